//! error[E0616]: Values that no control step released cannot be put in the place of released ones.

use obscura_query_guard::control::ReleasedTable;
use obscura_query_guard::execution::PlanToRun;

pub fn put_in(due: &mut PlanToRun, table: ReleasedTable) {
    due.released.insert(String::new(), table);
}

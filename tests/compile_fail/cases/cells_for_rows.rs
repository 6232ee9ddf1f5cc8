//! error[E0308]: Cells that have not passed their controls are no result.

use obscura_query_guard::control::Cells;
use obscura_query_guard::execution::LastDue;

pub fn unprotected(due: LastDue, cells: Cells) {
    drop(due.conclude(cells));
}

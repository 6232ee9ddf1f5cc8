//! error[E0599]: An execution with a stage left has no conclusion.

use obscura_query_guard::execution::Rows;
use obscura_query_guard::execution::StageDue;

pub fn skipped(due: StageDue, rows: Rows) {
    drop(due.conclude(rows));
}

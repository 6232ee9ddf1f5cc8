//! error[E0451]: An execution made from parts would begin where its stages end.

use obscura_query_guard::execution::LastDue;
use obscura_query_guard::execution::StageDue;

pub fn forged(due: StageDue, last: LastDue) -> LastDue {
    let StageDue { course, .. } = due;
    LastDue { course, ..last }
}

//! error[E0382]: A stage is protected once: a second answer could be compared with the first.

use obscura_query_guard::control::Cells;
use obscura_query_guard::execution::StageDue;

pub fn twice(due: StageDue, first: Cells, second: Cells) {
    drop(due.protect(first));
    drop(due.protect(second));
}

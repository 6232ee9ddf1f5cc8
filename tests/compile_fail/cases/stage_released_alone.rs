//! error[E0624]: A stage's controls applied outside an execution would make a released table of no query.

use obscura_query_guard::control::Cells;
use obscura_query_guard::control::ReleasedTable;
use obscura_query_guard::plan::Stage;

pub fn alone(stage: &Stage, cells: Cells) -> Option<ReleasedTable> {
    stage.release(cells).ok()
}

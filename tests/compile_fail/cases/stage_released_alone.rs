//! error[E0603]: The controls of stages applied outside an execution would make a released table of no query.

use obscura_query_guard::control::Cells;
use obscura_query_guard::control::ReleasedTable;
use obscura_query_guard::execution::ExecutionContext;
use obscura_query_guard::plan::Stage;

pub fn alone(stages: &[Stage], cells: Vec<Cells>, context: &ExecutionContext) -> Option<Vec<ReleasedTable>> {
    obscura_query_guard::release::release(stages, cells, context).ok()
}

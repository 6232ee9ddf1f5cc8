//! compiles: The names that the other cases use are public, so that those fail for what they try and not for a typo.

use obscura_query_guard::control::Cells;
use obscura_query_guard::control::Release;
use obscura_query_guard::control::ReleasedTable;
use obscura_query_guard::execution::LastDue;
use obscura_query_guard::execution::PlanToRun;
use obscura_query_guard::execution::Rows;
use obscura_query_guard::execution::StageDue;
use obscura_query_guard::plan::GuardedPlan;
use obscura_query_guard::plan::Stage;
use obscura_sandbox::audit::Receipt;

pub fn all(_: &GuardedPlan, _: &Stage, _: &Cells, _: &ReleasedTable, _: &Release, _: &Receipt) {}

pub fn states(_: &StageDue, _: &LastDue, _: &PlanToRun, _: &Rows) {}

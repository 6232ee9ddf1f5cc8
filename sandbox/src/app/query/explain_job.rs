//! Use case: what led to a job's end: the question, every rule that decided on it, and the plan before and after the guard.
//! It is for the person who asked, for auditors, and for stewards when all the data it asks of is their department's.

use obscura_policies::vocabulary::PersonRole;
use obscura_query_guard::plan::GuardedPlan;
use obscura_query_guard::plan::Stage;
use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::query::read_question::read_logged;
use crate::app::query::show_job::concerns_nobody_else;
use crate::app::query::show_job::no_job;
use crate::app::query::show_job::without_result;
use crate::audit::event::ActorName;
use crate::context::Caller;
use crate::error::AppError;
use crate::error::During as _;
use crate::ids::JobId;
use crate::installation::Installation;
use crate::installation::library::library;
use crate::jobs::JobRow;

/// The question, plan and verdict that led to a job's end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExplainedJob {
    /// The question.
    pub sql: String,
    /// The job with its verdict.
    pub row: JobRow,
    /// The plan, where it was admitted.
    pub plan: Option<PlanView>,
}

/// The plan of an admitted question, before and after the guard. A format we keep; it holds no estimate and no value of a
/// row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PlanView {
    /// The question as it was planned: one line for each step, its inputs indented below it.
    pub before: String,
    /// The stages that run in its place: each ends in cells that must pass its controls before anything goes on.
    pub stages: Vec<StageView>,
    /// The steps that follow on the tables that the stages release.
    pub after: String,
}

/// One boundary between individual records and what may leave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StageView {
    /// The name by which what it releases is read.
    pub name: String,
    /// Its plan.
    pub plan: String,
    /// Strictest grade that it reads.
    pub grade: String,
    /// Fewest subjects of each kind that a cell rests on.
    pub subjects: Vec<SubjectsView>,
    /// Largest share of the largest contributors, in thousandths.
    pub dominance_share_max_permille: Option<u16>,
    /// The p% rule.
    pub dominance_p_percent: Option<u16>,
    /// Counts are rounded to multiples of this number.
    pub rounding: Option<u32>,
    /// Standard deviation of one draw of the noise of counts and sums, in subjects. Absent where they have no noise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub perturbation: Option<u32>,
    /// Most cells that leave.
    pub cells_max: Option<u32>,
}

/// The subjects of one kind that a cell rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SubjectsView {
    /// Kind of subject; nothing when each row is its own.
    pub unit: Option<String>,
    /// Fewest of them.
    pub min: u32,
}

impl PlanView {
    /// Writes a plan down.
    pub(crate) fn of(plan: &GuardedPlan) -> Self {
        let explained = plan.explain();
        let stages = plan.stages().iter().zip(explained.stages);
        Self {
            before: explained.asked,
            stages: stages.map(|(stage, text)| StageView::of(stage, text)).collect(),
            after: explained.post,
        }
    }
}

impl StageView {
    fn of(stage: &Stage, plan: String) -> Self {
        let controls = stage.controls();
        let subjects = stage.classes().iter().map(|class| SubjectsView {
            unit: class.unit.as_ref().map(ToString::to_string),
            min: class.subjects_min,
        });
        Self {
            name: stage.name().to_owned(),
            plan,
            grade: controls.grade.to_string(),
            subjects: subjects.collect(),
            dominance_share_max_permille: controls.dominance.as_ref().map(|rule| rule.share_max_permille),
            dominance_p_percent: controls.dominance.as_ref().map(|rule| rule.p_percent),
            rounding: controls.rounding,
            perturbation: controls.perturbation,
            cells_max: controls.cells_max,
        }
    }
}

/// Explains a job. The log says who reads its question before they have it.
///
/// # Errors
/// Not found when there is no such job, it is not the caller's to see in full, or its question was shredded.
pub async fn explain_job(
    installation: &Installation,
    caller: &Caller,
    id: JobId,
) -> Result<ExplainedJob, AppError> {
    let row = installation.jobs.job(id).await.during("find a job")?.ok_or_else(no_job)?;
    let is_own = caller.asked_as(&row.person);
    let sees_all = is_own
        || caller.holds(PersonRole::Auditor)
        || concerns_nobody_else(caller, library(installation).await?.as_ref(), &row);
    if !sees_all {
        // In the words of a job that is not there.
        return Err(no_job());
    }
    let question = read_logged(installation, &row, ActorName::of(caller)).await?;
    let row = if is_own { row } else { without_result(row) };
    let plan = installation.jobs.plan(id).await.during("find a plan")?;
    let plan = plan.map(|text| serde_json::from_str(&text)).transpose().during("read a plan")?;
    Ok(ExplainedJob { sql: question.asked.sql, row, plan })
}

//! An admitted query while it runs, as states: each gives the one plan to run now and takes what that plan came to.
//! The controls of a stage are applied between two states, so that no stage is skipped, run twice, or answered with rows.
//!
//! Danger it answers: an executor that runs the last plan without the stages before it, hands a stage's rows on as its
//! released values, or answers one stage with what another came to. An executor only ever sees one plan and the values
//! that were released to it; it knows no controls, and makes no [`Release`]. Nothing here runs a plan, waits or reads.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion_expr::LogicalPlan;

pub use crate::context::ExecutionContext;
use crate::control::Cells;
use crate::control::ControlError;
use crate::control::Release;
use crate::control::ReleasedTable;
use crate::control::fits;
use crate::mask::Secrets;
use crate::mask::bind_secrets;
use crate::plan::GuardedPlan;
use crate::plan::Stage;
use crate::release::release;

/// An admitted query between two of its plans.
///
/// INVARIANT(release-needs-guarded-plan): a [`Release`] is made by [`LastDue::conclude`] alone, which exists once every
/// stage has passed its controls.
#[derive(Debug)]
pub enum Execution {
    /// A stage is due: its plan ends in cells.
    Stage(StageDue),
    /// No stage is left: what is done with the released tables is due.
    Last(LastDue),
}

/// An execution whose next plan is a stage's.
#[derive(Debug)]
pub struct StageDue {
    course: Course,
    /// Index into the plan's stages.
    stage: usize,
}

/// An execution whose next plan is its last.
#[derive(Debug)]
pub struct LastDue {
    course: Course,
}

/// The part that all states have in common.
#[derive(Debug)]
struct Course {
    plan: Arc<GuardedPlan>,
    context: ExecutionContext,
    released: BTreeMap<String, ReleasedTable>,
    /// Cells of the first sets of keys of a statement, and of the bases of others, until those of the last one are there.
    held: Vec<Cells>,
}

/// The one plan to run now, with the released tables that it may read besides sealed datasets.
#[derive(Debug, Clone)]
pub struct PlanToRun {
    plan: LogicalPlan,
    ends: EndsIn,
    released: BTreeMap<String, ReleasedTable>,
    guarded: Arc<GuardedPlan>,
    /// Index into the stages; nothing for the last plan.
    stage: Option<usize>,
    secrets: Option<Unseen>,
}

/// The secrets that a plan was bound to; they are never printed.
#[derive(Clone)]
struct Unseen(Secrets);

impl fmt::Debug for Unseen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets")
    }
}

/// Runs one plan at a time for an [`Execution`]; it may wait, and what it waits for is its own business.
pub trait PlanRunner {
    /// The error of a run; a failure of the controls ends a run as well.
    type Error: From<ControlError>;

    /// Runs the plan that is due and returns its batches; it is called once for each plan.
    fn run(&mut self, due: PlanToRun) -> impl Future<Output = Result<Vec<RecordBatch>, Self::Error>> + Send;
}

/// The kind of result of a plan; an executor compares its physical plan with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndsIn {
    /// Cells of individuals, which only the control step reads.
    Cells {
        /// The plan relies on every subject's rows standing together at the scan.
        needs_clustered_input: bool,
    },
    /// The query's result: it reads open data and released tables only.
    Result,
}

/// The batches of the last plan.
pub struct Rows(Vec<RecordBatch>);

impl Rows {
    /// Takes what the last plan came to.
    #[must_use]
    pub fn new(batches: Vec<RecordBatch>) -> Self {
        Rows(batches)
    }
}

impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rows")
    }
}

impl GuardedPlan {
    /// Begins to run an admitted query.
    ///
    /// Only a [`GuardedPlan`] begins, and only the guard makes one, so that no plan runs that was not reviewed
    /// (`sandbox/docs/disclosure-model.md`, section 2).
    ///
    /// # Errors
    /// [`ControlError::TooManyRows`] where a query without stages joins too many rows of open tables.
    pub fn begin(self: &Arc<Self>, context: ExecutionContext) -> Result<Execution, ControlError> {
        let (released, held) = (BTreeMap::new(), Vec::new());
        Course { plan: Arc::clone(self), context, released, held }.at(0)
    }
}

impl Execution {
    /// Runs every plan in its order and applies the controls in between: the one loop over the stages that there is.
    ///
    /// A second loop could leave a stage's controls out (`sandbox/docs/disclosure-model.md`, section 2).
    ///
    /// # Errors
    /// The error of the runner, or of the controls.
    pub async fn run<R: PlanRunner>(self, runner: &mut R) -> Result<Release, R::Error> {
        let mut execution = self;
        loop {
            execution = match execution {
                Execution::Stage(stage) => {
                    let batches = runner.run(stage.next()?).await?;
                    stage.protect(Cells::new(batches))?
                }
                Execution::Last(last) => {
                    let batches = runner.run(last.next()?).await?;
                    return Ok(last.conclude(Rows::new(batches))?);
                }
            };
        }
    }
}

impl StageDue {
    /// The plan to run now.
    ///
    /// # Errors
    /// [`ControlError::Unbound`] when a keyed mask cannot be given its secret.
    pub fn next(&self) -> Result<PlanToRun, ControlError> {
        let stage = self.stage()?;
        let ends = EndsIn::Cells { needs_clustered_input: stage.needs_clustered_input() };
        self.course.to_run(&stage.plan, ends, Some(self.stage))
    }

    /// Applies the stage's controls to its cells; the next state knows their released table and nothing else of them.
    ///
    /// It consumes its state, so that a stage is neither skipped nor run twice with other cells
    /// (`sandbox/docs/disclosure-model.md`, section 2). Of several sets of keys over the same rows nothing is released before the
    /// cells of all of them are there, because a total and its parts are protected together (section 5.11), and nothing is of the bases
    /// of cells, which are held until the cells are there (section 5.12).
    ///
    /// # Errors
    /// [`ControlError`]: nothing leaves, and the execution is over.
    pub fn protect(mut self, cells: Cells) -> Result<Execution, ControlError> {
        let is_last = self.stage()?.is_last();
        self.course.held.push(cells);
        let next = self.stage + 1;
        if is_last {
            let held = std::mem::take(&mut self.course.held);
            let plan = Arc::clone(&self.course.plan);
            let first = next.checked_sub(held.len()).ok_or(ControlError::NotCells)?;
            let stages = plan.stages.get(first..next).ok_or(ControlError::NotCells)?;
            let tables = release(stages, held, &self.course.context)?;
            let of_tables = stages.iter().filter(|stage| !stage.is_base);
            let seen = of_tables.zip(tables).filter(|(stage, _)| !stage.is_hidden());
            self.course.released.extend(seen.map(|(stage, table)| (stage.name.clone(), table)));
        }
        self.course.at(next)
    }

    fn stage(&self) -> Result<&Stage, ControlError> {
        self.course.plan.stages.get(self.stage).ok_or(ControlError::NotCells)
    }
}

impl LastDue {
    /// The plan to run now.
    ///
    /// # Errors
    /// [`ControlError::Unbound`] when a keyed mask cannot be given its secret.
    pub fn next(&self) -> Result<PlanToRun, ControlError> {
        self.course.to_run(&self.course.plan.post, EndsIn::Result, None)
    }

    /// Takes what the last plan came to as the query's release.
    ///
    /// The state exists only once every stage has passed its controls. Columns of another form than the admitted ones
    /// would be another plan's rows (`sandbox/docs/disclosure-model.md`, section 2).
    ///
    /// # Errors
    /// [`ControlError::NotCells`] when the columns are not the ones that were admitted.
    pub fn conclude(self, rows: Rows) -> Result<Release, ControlError> {
        let schema = self.course.plan.post.schema().as_arrow().clone();
        fits(&schema, &rows.0)?;
        Release::of(&schema, rows.0)
    }
}

impl Course {
    /// The state in which a stage is due, or the last plan if there is no such stage.
    ///
    /// Once it is known how many rows were released, their joins are bounded again: the review had to assume a number
    /// where the policy bounds no cells (`sandbox/docs/disclosure-model.md`, section 3).
    fn at(self, stage: usize) -> Result<Execution, ControlError> {
        if stage < self.plan.stages.len() {
            return Ok(Execution::Stage(StageDue { course: self, stage }));
        }
        let rows = self
            .released
            .iter()
            .map(|(name, table)| (name.clone(), u64::try_from(table.batch().num_rows()).unwrap_or(u64::MAX)));
        self.plan.joins_released_rows(&rows.collect()).map_err(|_too_many| ControlError::TooManyRows)?;
        Ok(Execution::Last(LastDue { course: self }))
    }

    /// The plan with the secrets of its masks, and the released tables that it may read.
    ///
    /// A mask whose secret is not bound must not run as if there were none, so that a plan without it fails or shows
    /// nothing (`sandbox/docs/disclosure-model.md`, section 4.2).
    fn to_run(
        &self,
        plan: &LogicalPlan,
        ends: EndsIn,
        stage: Option<usize>,
    ) -> Result<PlanToRun, ControlError> {
        let plan = match &self.context.secrets {
            Some(secrets) => bind_secrets(plan.clone(), secrets).map_err(|_| ControlError::Unbound)?,
            None => plan.clone(),
        };
        let (released, guarded) = (self.released.clone(), Arc::clone(&self.plan));
        let secrets = self.context.secrets.clone().map(Unseen);
        Ok(PlanToRun { plan, ends, released, guarded, stage, secrets })
    }
}

impl PlanToRun {
    /// The plan; it names sealed datasets and released tables.
    #[must_use]
    pub fn plan(&self) -> &LogicalPlan {
        &self.plan
    }

    /// The kind of its result.
    #[must_use]
    pub fn ends(&self) -> EndsIn {
        self.ends
    }

    /// A plan of a query, as if the stages before it had run.
    #[cfg(test)]
    pub(crate) fn of(guarded: &Arc<GuardedPlan>, stage: Option<usize>) -> Option<Self> {
        let (plan, ends) = match stage {
            Some(at) => {
                let stage = guarded.stages.get(at)?;
                (&stage.plan, EndsIn::Cells { needs_clustered_input: stage.needs_clustered_input() })
            }
            None => (&guarded.post, EndsIn::Result),
        };
        let released = BTreeMap::new();
        Some(PlanToRun {
            plan: plan.clone(),
            ends,
            released,
            guarded: Arc::clone(guarded),
            stage,
            secrets: None,
        })
    }

    pub(crate) fn guarded(&self) -> &GuardedPlan {
        &self.guarded
    }

    pub(crate) fn stage(&self) -> Option<usize> {
        self.stage
    }

    pub(crate) fn secrets(&self) -> Option<&Secrets> {
        self.secrets.as_ref().map(|Unseen(secrets)| secrets)
    }

    /// The released tables that it may read, by the name that it calls them.
    #[must_use]
    pub fn released(&self) -> &BTreeMap<String, ReleasedTable> {
        &self.released
    }
}

#[cfg(test)]
mod tests;

//! The second look: once the engine has optimised a plan, it is held to the policy again, and to what was admitted.
//!
//! It is independent of the passes that make plans: it takes the terms from the policy, reads nothing that these passes keep about
//! a plan, and shares no code with them but the definitions of the functions and folds that a plan may hold. What it confirms:
//! every row of a dataset meets its row filters and has a subject; every column is used only within its mask and domain; unit keys
//! tell subjects apart and do nothing else; individuals meet on unit keys, or one row of another table; they end in a fold that
//! counts each class of subjects, with numbers clamped and statistics kept; what chooses by sensitive columns has bases; and the controls of the stage are no laxer than those
//! of the policy (`sandbox/docs/disclosure-model.md`, section 3).
//!
//! A breach is a bug. Nothing may run then, and its text goes to the operator's log.

#![expect(clippy::wildcard_enum_match_arm, reason = "every wildcard denies")]

use std::sync::Arc;

use datafusion_expr::LogicalPlan;
use datafusion_expr::TableScan;
use obscura_policies::vocabulary::DatasetId;

use crate::execution::EndsIn;
use crate::execution::PlanToRun;
use crate::mask::bind_secrets;
use crate::plan::GuardedPlan;
use crate::plan::Stage;

mod breach;
mod expression;
mod filter;
mod fold;
mod homogeneity;
mod implied;
mod meeting;
mod privacy;
mod range;
mod relation;
pub(crate) mod terms;
mod treated;
mod walk;

pub use breach::Breach;

use walk::Walk;

/// The table that a scan reads, as whoever put it there says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scanned {
    /// A sealed dataset.
    Dataset(DatasetId),
    /// The released table of an earlier stage.
    Released,
}

/// Looks again at the plan that is due, as the engine has optimised it; `scanned` says what its scans read.
///
/// # Errors
/// The first [`Breach`]: nothing may run.
pub fn look_again(
    due: &PlanToRun,
    optimised: &LogicalPlan,
    scanned: &dyn Fn(&TableScan) -> Option<Scanned>,
) -> Result<(), Breach> {
    as_admitted(due)?;
    within_terms(due, optimised, scanned)
}

/// The plan that is due, and its stage's controls, are those that were admitted.
///
/// Whether the conditions, joins and functions of a plan mean what was asked no policy says. So the plan that is handed to the
/// engine must be the one that was judged, whole.
fn as_admitted(due: &PlanToRun) -> Result<(), Breach> {
    let (guarded, admitted) = (due.guarded(), &due.guarded().admitted);
    let plan = match due.stage() {
        Some(at) => {
            let (stage, known) =
                guarded.stages.get(at).zip(admitted.stages.get(at)).ok_or(Breach::NotAsAdmitted)?;
            if !is_same(stage, known) {
                return Err(Breach::NotAsAdmitted);
            }
            &known.plan
        }
        None => &admitted.post,
    };
    // Secrets are bound after the review, to both alike.
    let is_same = match due.secrets() {
        Some(secrets) => bind_secrets(plan.clone(), secrets).is_ok_and(|bound| bound == *due.plan()),
        None => plan == due.plan(),
    };
    if is_same { Ok(()) } else { Err(Breach::NotAsAdmitted) }
}

fn is_same(stage: &Stage, known: &Stage) -> bool {
    let names = match (&stage.names, &known.names) {
        (Some(names), Some(known)) => Arc::ptr_eq(names, known),
        (None, None) => true,
        _ => false,
    };
    names
        && stage.name == known.name
        && stage.keys == known.keys
        && stage.classes == known.classes
        && stage.atoms == known.atoms
        && stage.rows_atom == known.rows_atom
        && stage.columns == known.columns
        && stage.controls == known.controls
        && stage.base == known.base
        && stage.is_base == known.is_base
}

/// The optimised plan and the controls of its stage fulfil the terms of the policy.
fn within_terms(
    due: &PlanToRun,
    optimised: &LogicalPlan,
    scanned: &dyn Fn(&TableScan) -> Option<Scanned>,
) -> Result<(), Breach> {
    let guarded: &GuardedPlan = due.guarded();
    let terms = &guarded.admitted.terms;
    let mut reviews = guarded.stages.iter().map(|stage| stage.controls.review).chain([terms.review()]);
    if reviews.any(|review| guarded.review < review) {
        return Err(Breach::Controls);
    }
    let mut walk = Walk::new(terms, scanned);
    match (due.ends(), due.stage()) {
        (EndsIn::Cells { needs_clustered_input }, Some(at)) => {
            let stage = guarded.stages.get(at).ok_or(Breach::Fold)?;
            if stage.needs_clustered_input() != needs_clustered_input {
                return Err(Breach::SubjectsMode);
            }
            fold::stage(&mut walk, guarded, stage, optimised)
        }
        (EndsIn::Result, None) => walk.free(optimised).map(drop),
        (EndsIn::Cells { .. }, None) | (EndsIn::Result, Some(_)) => Err(Breach::Fold),
    }
}

#[cfg(test)]
mod mutants;
#[cfg(test)]
pub(crate) mod tests;

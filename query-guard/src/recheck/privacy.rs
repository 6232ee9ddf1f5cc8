//! Stages that are answered by differential privacy: what one subject can move of their numbers is bounded by the policy, and the
//! noise, the threshold and the price are made for no less.
//!
//! All of it is reckoned anew, from the bounds that the control step will clamp to: the sum of what all numbers of a question tell, in
//! rho of zero-concentrated differential privacy, is no more than its price, and the price no more than the policy allows
//! (M. Bun and T. Steinke, TCC 2016; C. Canonne, G. Kamath and T. Steinke, NeurIPS 2020).

use std::collections::BTreeSet;

use datafusion_common::tree_node::TreeNode;
use datafusion_common::tree_node::TreeNodeRecursion;
use datafusion_expr::Expr;
use datafusion_expr::LogicalPlan;
use obscura_policies::effective::DIFFERENTIAL_PRIVACY;
use obscura_policies::effective::EffectiveDataset;
use obscura_policies::privacy::NANO;
use obscura_policies::privacy::nano_rho_of;
use obscura_policies::privacy::threshold_delta;
use obscura_policies::vocabulary::DatasetId;

use super::Breach;
use super::terms::Terms;
use crate::cell::AtomSpec;
use crate::cell::CellFold;
use crate::cell::Subjects;
use crate::plan::Formula;
use crate::plan::GuardedPlan;
use crate::plan::Stage;
use crate::privacy::Kind;
use crate::privacy::Measured;
use crate::privacy::StagePrivacy;

/// The least number of subjects, with its noise, at which a group is shown, whatever a policy says.
const SUBJECTS_LEAST: u64 = 20;

/// The differential privacy of one stage, to be held to the terms.
pub(super) struct Private<'s> {
    stage: &'s Stage,
    own: &'s StagePrivacy,
    dataset: &'s EffectiveDataset,
}

impl<'s> Private<'s> {
    /// The differential privacy of a stage that reads these datasets; nothing where the policy asks for none.
    ///
    /// # Errors
    /// [`Breach::Privacy`] where the stage has none although the policy asks for it, or that of another dataset.
    pub(super) fn of(
        terms: &'s Terms,
        stage: &'s Stage,
        read: &BTreeSet<DatasetId>,
    ) -> Result<Option<Self>, Breach> {
        let has_budget = |id: &DatasetId| terms.dataset(id).is_some_and(|it| it.privacy_budget.is_some());
        let Some(own) = &stage.controls.privacy else {
            return if read.iter().any(has_budget) { Err(Breach::Privacy) } else { Ok(None) };
        };
        // Of a plan without any row the engine may have taken out the scan.
        let is_of_one = read.iter().all(|id| *id == own.dataset);
        let dataset = terms.dataset(&own.dataset).filter(|_| is_of_one).ok_or(Breach::Privacy)?;
        Ok(Some(Private { stage, own, dataset }))
    }

    /// The rows that are folded: each is one row of the dataset, and rests on no other row and on nothing that was released.
    ///
    /// A step that looks at several rows would let one subject's rows change those of others.
    pub(super) fn rows(&self, input: &LogicalPlan) -> Result<(), Breach> {
        if is_of_single_rows(input) { Ok(()) } else { Err(Breach::Node) }
    }

    /// The fold keeps every subject apart, by the unit's key: of a total no contribution could be clamped, and no subject be left out
    /// of the groups that its keyed hash does not choose.
    pub(super) fn fold(&self, fold: &CellFold) -> Result<(), Breach> {
        let keeps_apart = fold.is_by_subject() && fold.subjects() == Subjects::Mapped;
        if keeps_apart { Ok(()) } else { Err(Breach::SubjectsMode) }
    }

    /// The bounds, the noise and the threshold of the stage, and the price of the question.
    ///
    /// # Errors
    /// The first breach.
    pub(super) fn bounds(
        &self,
        guarded: &GuardedPlan,
        fold: &CellFold,
        groups: usize,
        subjects_min: u32,
    ) -> Result<(), Breach> {
        let (own, dataset) = (self.own, self.dataset);
        let [class] = self.stage.classes.as_slice() else { return Err(Breach::Subjects) };
        let is_unit = dataset.units.iter().any(|unit| class.unit.as_ref() == Some(&unit.kind));
        if !is_unit || dataset.units.len() != 1 {
            return Err(Breach::Subjects);
        }
        if Some(own.budget) != dataset.privacy_budget || !self.rows_and_groups(groups) {
            return Err(Breach::Privacy);
        }
        self.numbers(fold)?;
        // The threshold that is told is the one that decides.
        let is_told = class.subjects_min >= u32::try_from(own.subjects_least).unwrap_or(u32::MAX);
        if !is_told || own.subjects_least < SUBJECTS_LEAST.max(u64::from(subjects_min)) {
            return Err(Breach::Threshold);
        }
        self.price(guarded)
    }

    /// True if no more rows and groups of one subject count than the policy says; where there are groups, their number is bounded.
    fn rows_and_groups(&self, groups: usize) -> bool {
        let rows = 1..=self.dataset.max_rows_per_subject.max(1);
        let most = 1..=self.dataset.max_groups_per_subject.max(1);
        let are_bounded = match self.own.groups_max {
            Some(groups) => most.contains(&groups),
            None => groups == 0 && self.stage.keys.is_empty(),
        };
        rows.contains(&self.own.rows_max) && are_bounded
    }

    /// Every number that leaves is measured, within the bounds of what the fold has clamped each row to.
    fn numbers(&self, fold: &CellFold) -> Result<(), Breach> {
        let specs = fold.atoms();
        let own = self.own;
        let counts_all =
            matches!(specs.get(self.stage.rows_atom), Some(AtomSpec::Rows { conditional: false }));
        let first = own.measured.first();
        let decides = first.is_some_and(|one| one.kind == Kind::Subjects && one.atom == self.stage.rows_atom);
        if !counts_all || !decides {
            return Err(Breach::Threshold);
        }
        let is_bounded = |one: &Measured| match (one.kind, specs.get(one.atom)) {
            (Kind::Subjects, Some(_)) => true,
            (Kind::Rows, Some(AtomSpec::Rows { .. })) => one.low == 0 && (0..=1).contains(&one.high),
            (Kind::Sum, Some(AtomSpec::Measure(spec))) => {
                let (low, high) = (spec.low.min(0), spec.high.max(0));
                (low..=0).contains(&one.low) && (0..=high).contains(&one.high)
            }
            (Kind::Rows | Kind::Sum, _) | (Kind::Subjects, None) => false,
        };
        if !own.measured.iter().all(is_bounded) {
            return Err(Breach::Clamp);
        }
        let is_measured = |(counts_subjects, atom): (bool, usize)| {
            let as_subjects =
                |one: &Measured| one.kind == Kind::Subjects || (one.kind == Kind::Rows && own.rows_max == 1);
            let as_asked = |one: &Measured| match counts_subjects {
                true => as_subjects(one),
                false => one.kind != Kind::Subjects || own.rows_max == 1,
            };
            own.measured.iter().any(|one| one.atom == atom && as_asked(one))
        };
        let mut figures = self.stage.columns.iter().map(|column| figures(&column.formula));
        let are_measured = figures.all(|figures| figures.is_some_and(|all| all.into_iter().all(is_measured)));
        if are_measured { Ok(()) } else { Err(Breach::Statistics) }
    }

    /// The price covers all that the numbers of the question tell of one subject, and the budget the price.
    #[expect(clippy::cast_precision_loss, reason = "budgets lie far below 2^53 units")]
    fn price(&self, guarded: &GuardedPlan) -> Result<(), Breach> {
        let budget = &self.own.budget;
        let mut charges = guarded.charges.iter().filter(|charge| charge.dataset == self.own.dataset);
        let (Some(charge), None) = (charges.next(), charges.next()) else { return Err(Breach::Charge) };
        let most = nano_rho_of(budget.per_query_max.min(budget.epsilon), budget.delta);
        if charge.nano_rho > most {
            return Err(Breach::Charge);
        }
        let stages = guarded.stages.iter().filter_map(|stage| stage.controls.privacy.as_ref());
        let stages: Vec<_> = stages.filter(|privacy| privacy.dataset == self.own.dataset).collect();
        let told: f64 =
            stages.iter().flat_map(|stage| stage.measured.iter().map(|one| rho(stage, one))).sum();
        // No number at all is a breach.
        let is_paid = told <= charge.nano_rho as f64 / NANO;
        if !is_paid {
            return Err(Breach::Charge);
        }
        let fails: f64 = stages.iter().map(|stage| threshold_fails(stage)).sum();
        if fails <= threshold_delta(charge.nano_rho, budget.delta) { Ok(()) } else { Err(Breach::Threshold) }
    }

    /// True of a control that the stage's privacy is.
    pub(super) fn is_control(&self, name: &str) -> bool {
        name == DIFFERENTIAL_PRIVACY && self.dataset.all_ask_for_privacy
    }
}

/// The rho that one number of all groups tells of a subject: the square of how far the subject moves it, in deviations, halved.
///
/// The subject counts in so many groups before its rows change, and in as many after. A group of both moves from one bound to the other at
/// the most; two groups, of which it was in one and then in the other, move by the larger bound each.
#[expect(clippy::cast_precision_loss, reason = "the price was rounded by more")]
fn rho(stage: &StagePrivacy, one: &Measured) -> f64 {
    let (low, high) = match one.kind {
        Kind::Subjects => (0.0, 1.0),
        Kind::Rows | Kind::Sum => {
            let rows = f64::from(stage.rows_max);
            (one.low as f64 * rows, one.high as f64 * rows)
        }
    };
    let same_group = (high - low).powi(2);
    let moved = match stage.groups_max {
        None => same_group,
        Some(groups) => f64::from(groups) * same_group.max(2.0 * low.abs().max(high.abs()).powi(2)),
    };
    // Of a range of one value, zero, there is nothing to tell.
    if moved <= 0.0 { 0.0 } else { moved / (2.0 * one.deviation.value().powi(2)) }
}

/// The probability that noise lifts a group of one subject over the threshold, for all of a subject's groups together. Where all rows are
/// one group, that it is there tells nothing.
#[expect(clippy::cast_precision_loss, reason = "numbers of people")]
fn threshold_fails(stage: &StagePrivacy) -> f64 {
    let (Some(groups), Some(subjects)) = (stage.groups_max, stage.measured.first()) else { return 0.0 };
    let above_one = stage.subjects_least.saturating_sub(1) as f64;
    f64::from(groups) * (-(above_one / subjects.deviation.value()).powi(2) / 2.0).exp()
}

/// The numbers that a formula is made of, each with whether it counts subjects; nothing for a formula that has no such numbers.
fn figures(formula: &Formula) -> Option<Vec<(bool, usize)>> {
    Some(match formula {
        Formula::Count { atom } => vec![(false, *atom)],
        Formula::Subjects { atom, .. } => vec![(true, *atom)],
        Formula::Sum { terms } => terms.iter().map(|term| (false, term.atom)).collect(),
        Formula::Mean { parts, count, .. } => {
            let sums = parts.iter().flatten().map(|term| (false, term.atom));
            sums.chain([(false, *count)]).collect()
        }
        Formula::Moment { .. } | Formula::Quantile { .. } => return None,
    })
}

/// True if each row of a plan is made of one row of its one scan.
fn is_of_single_rows(plan: &LogicalPlan) -> bool {
    let mut is_alone = true;
    let walked = plan.apply_expressions(|expr| {
        is_alone &= !expr.exists(|inner| Ok(matches!(inner, Expr::ScalarSubquery(_))))?;
        Ok(TreeNodeRecursion::Continue)
    });
    if walked.is_err() || !is_alone {
        return false;
    }
    match plan {
        LogicalPlan::TableScan(scan) => scan.fetch.is_none(),
        LogicalPlan::Projection(projection) => is_of_single_rows(&projection.input),
        LogicalPlan::Filter(filter) => is_of_single_rows(&filter.input),
        LogicalPlan::SubqueryAlias(alias) => is_of_single_rows(&alias.input),
        LogicalPlan::EmptyRelation(empty) => !empty.produce_one_row,
        _ => false,
    }
}

//! Mutants of stages that are answered by differential privacy: bounds, noise, thresholds and prices, each by itself; and of what a whole
//! question is held to.

use std::sync::Arc;

use datafusion_common::tree_node::Transformed;
use datafusion_common::tree_node::TreeNode;
use datafusion_expr::AggregateUDF;
use datafusion_expr::Expr;
use datafusion_expr::LogicalPlan;
use datafusion_expr::LogicalPlanBuilder;
use datafusion_expr::expr::AggregateFunction;
use datafusion_functions_window::expr_fn::row_number;
use obscura_policies::vocabulary::Review;

use super::Mutant;
use super::kind::Kind;
use crate::cell::CellFold;
use crate::cell::fold_of;
use crate::plan::GuardedPlan;
use crate::plan::Stage;
use crate::pricing::priced;
use crate::privacy::Deviation;
use crate::privacy::Kind as Number;
use crate::privacy::StagePrivacy;

/// Changes of the differential privacy of a stage.
pub(super) fn of_privacy(stage: &Stage) -> Vec<(Kind, Stage)> {
    let mut all = Vec::new();
    let Some(privacy) = &stage.controls.privacy else { return all };
    let mut put = |kind: Kind, change: &dyn Fn(&mut StagePrivacy)| {
        let mut other = stage.clone();
        change(other.controls.privacy.as_mut().unwrap());
        all.push((kind, other));
    };
    put(Kind::RowsBoundRaised, &|privacy| privacy.rows_max += 1);
    put(Kind::RowsBoundRaised, &|privacy| privacy.rows_max = u32::MAX);
    if privacy.groups_max.is_some() {
        put(Kind::GroupsBoundDropped, &|privacy| privacy.groups_max = None);
        put(Kind::GroupsBoundRaised, &|privacy| privacy.groups_max = Some(u32::MAX));
        put(Kind::GroupsBoundRaised, &|privacy| privacy.groups_max = privacy.groups_max.map(|most| most + 1));
    }
    put(Kind::PrivateThresholdLowered, &|privacy| privacy.subjects_least -= 1);
    put(Kind::PrivateThresholdLowered, &|privacy| privacy.subjects_least = 0);
    put(Kind::BudgetChanged, &|privacy| privacy.budget.per_query_max *= 2.0);
    put(Kind::BudgetChanged, &|privacy| privacy.budget.delta *= 1e3);
    put(Kind::BudgetChanged, &|privacy| privacy.dataset = "corpus.zones".parse().unwrap());
    for at in 0..privacy.measured.len() {
        let number = &privacy.measured[at];
        if number.kind != Number::Subjects {
            put(Kind::ContributionUnclamped, &|privacy| privacy.measured[at].high = i128::MAX);
            put(Kind::ContributionUnclamped, &|privacy| privacy.measured[at].high += 1);
            put(Kind::ContributionUnclamped, &|privacy| privacy.measured[at].low -= 1);
        }
        let sixteenths = number.deviation.sixteenths();
        for less in [0, 1, sixteenths - sixteenths / 100 - 1] {
            put(Kind::PrivateNoiseLowered, &|privacy| {
                privacy.measured[at].deviation = Deviation::of_sixteenths(less);
            });
        }
        put(Kind::NumberNotMeasured, &|privacy| {
            privacy.measured.remove(at);
        });
    }
    put(Kind::NumberNotMeasured, &|privacy| privacy.measured.clear());
    let mut plain = stage.clone();
    plain.controls.privacy = None;
    all.push((Kind::PrivacyDropped, plain.clone()));
    // As if no policy had asked for it: exact cells, with a threshold.
    plain.plan =
        with_fold(&plain.plan, &|fold| CellFold::new(fold.subjects(), fold.atoms().to_vec(), fold.enough()));
    all.push((Kind::PrivacyDropped, plain));
    let mut together = stage.clone();
    together.plan =
        with_fold(&stage.plan, &|fold| CellFold::new(fold.subjects(), fold.atoms().to_vec(), fold.enough()));
    all.push((Kind::SubjectsTogether, together));
    let mut numbered = stage.clone();
    numbered.plan = with_rows(&stage.plan, &|rows| {
        let numbered = LogicalPlanBuilder::from(rows.clone()).window(vec![row_number()]).unwrap();
        let number = Expr::Column(numbered.schema().columns().pop().unwrap());
        let few = numbered.filter(number.lt_eq(datafusion_expr::lit(1_000_u64))).unwrap();
        let columns: Vec<Expr> = rows.schema().columns().into_iter().map(Expr::Column).collect();
        few.project(columns).unwrap().build().unwrap()
    });
    all.push((Kind::RowsOfOthersSeen, numbered));
    let mut doubled = stage.clone();
    doubled.plan = with_rows(&stage.plan, &|rows| {
        LogicalPlanBuilder::from(rows.clone()).union(rows.clone()).unwrap().build().unwrap()
    });
    all.push((Kind::RowsOfOthersSeen, doubled));
    all
}

fn with_fold(plan: &LogicalPlan, change: &dyn Fn(&CellFold) -> CellFold) -> LogicalPlan {
    let changed = plan.clone().transform_down(|node| {
        node.map_expressions(|expr| {
            expr.transform_down(|inner| match inner {
                Expr::AggregateFunction(call) => {
                    let fold = change(fold_of(&call.func).unwrap());
                    let func = Arc::new(AggregateUDF::new_from_impl(fold));
                    Ok(Transformed::yes(Expr::AggregateFunction(AggregateFunction { func, ..call })))
                }
                other => Ok(Transformed::no(other)),
            })
        })
    });
    changed.unwrap().data
}

/// The plan with other rows under its fold.
fn with_rows(plan: &LogicalPlan, change: &dyn Fn(&LogicalPlan) -> LogicalPlan) -> LogicalPlan {
    let LogicalPlan::Aggregate(fold) = plan else { panic!("{}", plan.display_indent()) };
    let rows = Arc::new(change(&fold.input));
    super::aggregate(&rows, fold.group_expr.clone(), fold.aggr_expr.clone()).unwrap()
}

/// Changes of what a whole question is held to: its prices, and the people who look at its result.
pub(super) fn of_question(plan: &GuardedPlan) -> Vec<Mutant> {
    let mut all = Vec::new();
    let mut put = |kind: Kind, stage: Option<usize>, change: &dyn Fn(&mut GuardedPlan)| {
        let mut other = plan.clone();
        change(&mut other);
        all.push(Mutant { kind, plan: other, stage });
    };
    if plan.review > Review::None {
        put(Kind::ReviewDropped, None, &|plan| plan.review = Review::None);
        for at in 0..plan.stages.len() {
            put(Kind::ReviewDropped, Some(at), &|plan| plan.review = Review::None);
            if plan.stages[at].controls.review > Review::None {
                put(Kind::ReviewDropped, Some(at), &|plan| plan.stages[at].controls.review = Review::None);
            }
        }
    }
    for at in 0..plan.stages.len() {
        if plan.stages[at].controls.privacy.is_none() {
            continue;
        }
        put(Kind::PriceLowered, Some(at), &|plan| plan.charges.clear());
        put(Kind::PriceLowered, Some(at), &|plan| plan.charges.iter_mut().for_each(|it| it.nano_rho /= 2));
        put(Kind::PriceLowered, Some(at), &|plan| {
            plan.charges.iter_mut().for_each(|it| it.nano_rho -= it.nano_rho / 100 + 1);
        });
        // A dearer question, with all of its noise made for the higher price.
        put(Kind::PriceAboveBudget, Some(at), &|plan| {
            for stage in &mut plan.stages {
                let privacy = stage.controls.privacy.as_mut().unwrap();
                (privacy.budget.per_query_max, privacy.budget.epsilon) = (4.0, 4.0);
            }
            plan.charges = priced(&mut plan.stages).unwrap();
            let budget = plan.admitted.stages[at].controls.privacy.as_ref().unwrap().budget;
            for stage in &mut plan.stages {
                stage.controls.privacy.as_mut().unwrap().budget = budget;
            }
        });
        // One more question in the place of another: numbers that no price is paid for.
        put(Kind::NumberNotPaid, Some(at), &|plan| {
            let privacy = plan.stages[at].controls.privacy.as_mut().unwrap();
            let again = privacy.measured.clone();
            privacy.measured.extend(again);
        });
        put(Kind::NumberNotPaid, Some(at), &|plan| {
            let again = plan.stages[at].clone();
            plan.stages.push(again);
        });
    }
    all
}

//! Holds the price of an admitted question against the budgets of differential privacy that it draws on, and charges them
//! with the decision, before anything runs. A question that finds no room is refused as `budget-spent`.
//!
//! The order of a charge: the right to change is taken, what is left is read from the log, and the decision is appended with
//! its charges under the same right. Two questions that a budget has room for once are one after the other there, whatever
//! processes they come through.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use jiff::Timestamp;
use obscura_policies::Text;
use obscura_policies::document::PrivacyBudget;
use obscura_policies::effective::EffectivePolicy;
use obscura_policies::privacy::LIFETIME_EPSILON;
use obscura_policies::privacy::nano_rho_of;
use obscura_policies::vocabulary::DatasetId;
use obscura_query_guard::plan::Charge;

use crate::app::query::budget_view::AmountView;
use crate::app::query::budget_view::BudgetUseView;
use crate::app::query::budget_view::told_time;
use crate::app::query::review::Reviewed;
use crate::app::query::review_context::ReviewContext;
use crate::app::query::verdict::FindingView;
use crate::app::query::verdict::GrantUseView;
use crate::app::query::verdict::Verdict;
use crate::audit::event::Action;
use crate::audit::event::ActorName;
use crate::budgets::Charged;
use crate::budgets::Family;
use crate::budgets::Spent;
use crate::budgets::Totals;
use crate::catalog::body::ChargeBody;
use crate::context::Caller;
use crate::error::AppError;
use crate::error::InternalError;
use crate::ids::JobId;
use crate::installation::ChangeGuard;
use crate::installation::Installation;
use crate::installation::records::Note;

/// The code of a question for which a budget has no room.
pub(crate) const BUDGET_SPENT: &str = "budget-spent";
/// Delta at which the lifetime total is declared; a policy's smaller one makes the total smaller.
pub(crate) const LIFETIME_DELTA: f64 = 1e-8;
/// Most fingerprints of inputs that a charge names: so many fit into its event.
const INPUTS_MAX: usize = 1_000;

/// The price of one question to one dataset, and the totals that bind it.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::app) struct Price {
    pub(in crate::app) dataset: DatasetId,
    pub(in crate::app) grant: String,
    pub(in crate::app) budget: PrivacyBudget,
    pub(in crate::app) nano_rho: u64,
    pub(in crate::app) inputs: BTreeSet<String>,
}

/// The price of a question at each budget, and the reasons where one has no room.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::app) struct Weighed {
    pub(in crate::app) uses: Vec<BudgetUseView>,
    pub(in crate::app) findings: Vec<FindingView>,
}

/// An admitted question with room in every budget, and the right to charge them.
pub(in crate::app) struct Charging<'a> {
    pub(in crate::app) changing: ChangeGuard<'a>,
    pub(in crate::app) charges: Vec<(ChargeBody, Note)>,
}

/// The totals of a budget: the lifetime of a family is the program's, which a policy's smaller delta makes smaller.
pub(crate) fn totals_of(budget: &PrivacyBudget) -> Totals {
    Totals {
        lifetime: lifetime_of(budget.delta),
        share: nano_rho_of(budget.epsilon, budget.delta),
        period_days: budget.period_days,
    }
}

/// The lifetime total of a family, in units of 1e-9 of rho. It is zero for what is no delta.
pub(crate) fn lifetime_of(delta: f64) -> u64 {
    nano_rho_of(LIFETIME_EPSILON, LIFETIME_DELTA).min(nano_rho_of(LIFETIME_EPSILON, delta))
}

/// The charges that the log holds, as budgets reckon with them.
pub(in crate::app) fn charged(known: &BTreeMap<String, ChargeBody>) -> Vec<Charged> {
    let charged = |body: &ChargeBody| Charged {
        dataset: body.dataset.clone(),
        inputs: body.inputs.clone(),
        person: body.person.clone(),
        at: body.charged,
        nano_rho: body.nano_rho,
    };
    known.values().map(charged).collect()
}

/// Holds the price of a question against what is left, and charges nothing: for questions that are only judged.
pub(super) async fn weigh(
    installation: &Installation,
    caller: &Caller,
    reviewed: Reviewed,
    review_context: &ReviewContext,
) -> Result<Reviewed, AppError> {
    let prices = prices(&reviewed, review_context)?;
    if prices.is_empty() {
        return Ok(reviewed);
    }
    let known = charged(installation.charges().await?.as_ref());
    let weighed = compared(&prices, known, (asker(caller)?, installation.now()));
    Ok(told(reviewed, weighed))
}

/// Holds the price of a question against what is left, and takes the right to charge it if there is room everywhere.
pub(super) async fn reserve<'a>(
    installation: &'a Installation,
    caller: &Caller,
    reviewed: Reviewed,
    (review_context, job): (&ReviewContext, JobId),
) -> Result<(Reviewed, Option<Charging<'a>>), AppError> {
    let prices = prices(&reviewed, review_context)?;
    if prices.is_empty() {
        return Ok((reviewed, None));
    }
    let (weighed, charging) = reserve_priced(installation, caller, prices, job).await?;
    Ok((told(reviewed, weighed), charging))
}

/// As [`reserve`], of prices that are known. Nothing is charged where the findings are not empty.
pub(in crate::app) async fn reserve_priced<'a>(
    installation: &'a Installation,
    caller: &Caller,
    prices: Vec<Price>,
    job: JobId,
) -> Result<(Weighed, Option<Charging<'a>>), AppError> {
    let person = asker(caller)?;
    let changing = installation.change().await?;
    let known = charged(installation.charges().await?.as_ref());
    let now = installation.now();
    let weighed = compared(&prices, known, (person, now));
    if !weighed.findings.is_empty() {
        return Ok((weighed, None));
    }
    let charge = |price: Price| {
        let note = Note::new(Action::BudgetCharged, ActorName::of(caller))
            .of_job(job)
            .with("dataset", price.dataset.to_string())
            .with("grant", price.grant.clone())
            .with("nano_rho", price.nano_rho);
        let body = ChargeBody {
            dataset: price.dataset.to_string(),
            inputs: price.inputs,
            job: job.to_string(),
            person: person.to_owned(),
            grant: price.grant,
            nano_rho: price.nano_rho,
            charged: now,
        };
        (body, note)
    };
    let charges = prices.into_iter().map(charge).collect();
    Ok((weighed, Some(Charging { changing, charges })))
}

/// The person whose share is charged. A stranger has none, and is given open data alone.
fn asker(caller: &Caller) -> Result<&str, InternalError> {
    if caller.is_stranger() {
        return Err(InternalError::of_kind("price a question", "a price for nobody"));
    }
    Ok(caller.person().name.as_str())
}

/// The prices of an admitted question; none for one that is refused.
fn prices(reviewed: &Reviewed, review_context: &ReviewContext) -> Result<Vec<Price>, InternalError> {
    let Reviewed::Admitted { plan, policy, verdict, .. } = reviewed else { return Ok(Vec::new()) };
    let inputs = |dataset: &DatasetId| {
        let sealed = review_context.sealed.get(dataset);
        sealed.map(|version| version.manifest().inputs.clone()).unwrap_or_default()
    };
    priced(plan.charges(), policy, &verdict.grants, inputs)
}

/// Joins each charge that the guard names with the budget and the grant that it is made under.
fn priced(
    charges: &[Charge],
    policy: &EffectivePolicy,
    grants: &[GrantUseView],
    inputs: impl Fn(&DatasetId) -> Vec<String>,
) -> Result<Vec<Price>, InternalError> {
    let unpriced = |what| InternalError::of_kind("price a question", what);
    let mut prices: BTreeMap<&DatasetId, Price> = BTreeMap::new();
    for Charge { dataset, nano_rho } in charges {
        // Nothing that is charged is free: a price of zero could be asked for ever.
        let nano_rho = (*nano_rho).max(1);
        if let Some(price) = prices.get_mut(dataset) {
            price.nano_rho = price.nano_rho.saturating_add(nano_rho);
            continue;
        }
        let budget = policy.datasets.get(dataset).and_then(|dataset| dataset.privacy_budget);
        let budget = budget.ok_or_else(|| unpriced("a charge without a budget"))?;
        let grant = grants.iter().find(|used| used.dataset == dataset.to_string());
        let grant = grant.ok_or_else(|| unpriced("a charge without a grant"))?.grant.clone();
        let inputs = inputs(dataset).into_iter().take(INPUTS_MAX).collect();
        prices.insert(dataset, Price { dataset: dataset.clone(), grant, budget, nano_rho, inputs });
    }
    Ok(prices.into_values().collect())
}

/// The verdict with what the question costs, or its refusal if a budget has no room.
fn told(reviewed: Reviewed, weighed: Weighed) -> Reviewed {
    let Reviewed::Admitted { plan, policy, verdict, explain_only } = reviewed else { return reviewed };
    let Weighed { uses, findings } = weighed;
    let budget = Some(uses);
    if findings.is_empty() {
        return Reviewed::Admitted { plan, policy, verdict: Verdict { budget, ..verdict }, explain_only };
    }
    let Verdict { policy, grants, .. } = verdict;
    Reviewed::Refused(Verdict { budget, policy, grants, ..Verdict::refused(findings) })
}

/// Compares each price with what is left. Datasets of one family draw on one budget, so that each price counts for those
/// behind it.
fn compared(prices: &[Price], mut known: Vec<Charged>, (person, now): (&str, Timestamp)) -> Weighed {
    let (mut uses, mut findings) = (Vec::new(), Vec::new());
    for price in prices {
        let (dataset, totals) = (price.dataset.to_string(), totals_of(&price.budget));
        let family = Family::of(&known, &dataset, &price.inputs);
        let amount = |nano_rho| AmountView::of(nano_rho, price.budget.delta);
        let spent_by = family.spent_by(person, totals.period_days, now);
        let resets = match family.check(person, price.nano_rho, totals, now) {
            Ok(()) => family.next_reset(person, totals.period_days, now),
            Err(spent) => {
                findings.push(no_room(price, spent));
                match spent {
                    Spent::Lifetime { .. } => None,
                    Spent::Share { resets, .. } => resets,
                }
            }
        };
        uses.push(BudgetUseView {
            dataset: dataset.clone(),
            grant: price.grant.clone(),
            delta: price.budget.delta,
            cost: amount(price.nano_rho),
            left: amount(totals.share.saturating_sub(spent_by)),
            lifetime_left: amount(totals.lifetime.saturating_sub(family.spent())),
            resets: resets.map(told_time),
        });
        known.push(Charged {
            dataset,
            inputs: price.inputs.clone(),
            person: person.to_owned(),
            at: now,
            nano_rho: price.nano_rho,
        });
    }
    Weighed { uses, findings }
}

/// The refusal of a question that a total has no room for: the price, the rest, and the date on which there is room again.
fn no_room(price: &Price, spent: Spent) -> FindingView {
    let (dataset, delta) = (&price.dataset, price.budget.delta);
    let cost = AmountView::of(price.nano_rho, delta).epsilon;
    let (message, help, left, resets) = match spent {
        Spent::Lifetime { left } => (
            Text::new(
                format!(
                    "the budget of `{dataset}` is spent for ever: all answers together may come to an epsilon of {LIFETIME_EPSILON}"
                ),
                format!("`{dataset}` 的隐私预算已永久用尽：全部结果合计不得超过 epsilon {LIFETIME_EPSILON}"),
            ),
            Text::new(
                "results that were released can be fetched again at no cost; its department may publish a table of its own",
                "已发布的结果可再次免费获取；所属部门可另行公布统计表",
            ),
            left,
            None,
        ),
        Spent::Share { left, resets: Some(resets) } => {
            let at = told_time(resets);
            (
                Text::new(
                    format!(
                        "your share of the budget of `{dataset}` is spent: there is room for this question from {at} on"
                    ),
                    format!("您在 `{dataset}` 的隐私预算份额已用尽：自 {at} 起可再提此问题"),
                ),
                Text::new(
                    "results that were released can be fetched again at no cost; `obscura budget` shows what is left",
                    "已发布的结果可再次免费获取；`obscura budget` 可查看余额",
                ),
                left,
                Some(at),
            )
        }
        Spent::Share { left, resets: None } => (
            Text::new(
                format!("your share of the budget of `{dataset}` has no room for this question at any time"),
                format!("您在 `{dataset}` 的隐私预算份额在任何时候都不足以回答该问题"),
            ),
            Text::new(
                "its department's steward sets the share in the policy",
                "份额由所属部门的数据管理员在策略中设定",
            ),
            left,
            None,
        ),
    };
    let mut finding = FindingView::plain(BUDGET_SPENT, message, Some(help));
    finding.params.insert("dataset".to_owned(), dataset.to_string());
    finding.params.insert("cost_epsilon".to_owned(), cost.to_string());
    finding.params.insert("left_epsilon".to_owned(), AmountView::of(left, delta).epsilon.to_string());
    if let Some(resets) = resets {
        finding.params.insert("resets".to_owned(), resets);
    }
    finding
}

#[cfg(test)]
mod tests;

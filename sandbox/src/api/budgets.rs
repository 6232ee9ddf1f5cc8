//! Budgets of differential privacy and the charges to them, on the wire.

use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::query::budget_view::AmountView;
use crate::app::query::budget_view::told_time;
use crate::app::query::charging::LIFETIME_DELTA;
use crate::app::query::charging::lifetime_of;
use crate::app::query::charging::totals_of;
use crate::app::query::list_budgets::BudgetSummary;
use crate::app::query::list_budgets::ChargePage;
use crate::app::query::list_budgets::ShareSummary;
use crate::catalog::body::ChargeBody;

/// The budget of a dataset: all its versions, and copies of its rows under another name, draw on it.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Budget)]
pub(crate) struct BudgetView {
    /// The dataset.
    #[schema(example = "hz-health.visits")]
    pub(crate) dataset: String,
    /// The total for ever, of all persons together.
    pub(crate) lifetime: TotalView,
    /// Your own shares, one for each grant.
    pub(crate) shares: Vec<ShareView>,
}

/// A total of a budget and what is left of it.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = BudgetTotal)]
pub(crate) struct TotalView {
    /// Delta at which the epsilons are reckoned.
    pub(crate) delta: f64,
    /// The total.
    pub(crate) total: AmountView,
    /// The sum of what was charged.
    pub(crate) spent: AmountView,
    /// The rest.
    pub(crate) left: AmountView,
}

/// Your share of a budget in a period.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = BudgetShare)]
pub(crate) struct ShareView {
    /// The grant.
    pub(crate) grant: String,
    /// Its purpose.
    pub(crate) purpose: String,
    /// Length of the period, in days; it ends now.
    pub(crate) period_days: u32,
    /// Epsilon that one question spends.
    pub(crate) per_query_max: f64,
    /// The share. What you spend under any grant of yours for the dataset counts.
    pub(crate) share: TotalView,
    /// When the next of your charges falls out of the period; nothing when there is none.
    #[schema(format = DateTime)]
    pub(crate) resets: Option<String>,
}

/// Budgets, by dataset.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct BudgetList {
    /// The budgets.
    pub(crate) budgets: Vec<BudgetView>,
}

/// A charge to a budget.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = BudgetEntry)]
pub(crate) struct ChargeView {
    /// The job that it was made for.
    pub(crate) job: String,
    /// The person who asked.
    pub(crate) person: String,
    /// The grant that they asked under.
    pub(crate) grant: String,
    /// The price; its epsilon is reckoned at a delta of 1e-8.
    pub(crate) cost: AmountView,
    /// When.
    #[schema(format = DateTime)]
    pub(crate) charged: String,
}

/// Charges to a budget, newest first.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = BudgetEntryList)]
pub(crate) struct ChargeList {
    /// The charges.
    pub(crate) entries: Vec<ChargeView>,
    /// The value to send as `cursor` for older ones; nothing when there are none.
    pub(crate) next: Option<String>,
}

impl TotalView {
    fn of(total: u64, spent: u64, delta: f64) -> Self {
        Self {
            delta,
            total: AmountView::of(total, delta),
            spent: AmountView::of(spent, delta),
            left: AmountView::of(total.saturating_sub(spent), delta),
        }
    }
}

impl ShareView {
    fn of(summary: ShareSummary) -> Self {
        let ShareSummary { grant, purpose, budget, spent, resets } = summary;
        Self {
            grant,
            purpose,
            period_days: budget.period_days,
            per_query_max: budget.per_query_max,
            share: TotalView::of(totals_of(&budget).share, spent, budget.delta),
            resets: resets.map(told_time),
        }
    }
}

impl BudgetView {
    pub(crate) fn of(summary: BudgetSummary) -> Self {
        let BudgetSummary { dataset, lifetime_spent, shares } = summary;
        // The smallest delta of the caller's shares is the one by which their next question is judged.
        let delta = shares.iter().map(|share| share.budget.delta).fold(LIFETIME_DELTA, f64::min);
        Self {
            dataset: dataset.to_string(),
            lifetime: TotalView::of(lifetime_of(delta), lifetime_spent, delta),
            shares: shares.into_iter().map(ShareView::of).collect(),
        }
    }
}

impl ChargeList {
    pub(crate) fn of(page: ChargePage) -> Self {
        Self {
            entries: page.charges.into_iter().map(ChargeView::of).collect(),
            next: page.next.map(|job| job.to_string()),
        }
    }
}

impl ChargeView {
    fn of(charge: ChargeBody) -> Self {
        Self {
            job: charge.job,
            person: charge.person,
            grant: charge.grant,
            cost: AmountView::of(charge.nano_rho, LIFETIME_DELTA),
            charged: charge.charged.to_string(),
        }
    }
}

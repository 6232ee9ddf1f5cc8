//! Use cases: the budgets of differential privacy that the caller may know of, and the charges to one of them.
//! An analyst sees their own shares and charges and the lifetime totals of those datasets, a steward the totals and charges of
//! their department's datasets, an auditor all. It charges nothing.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use obscura_policies::document::Grant;
use obscura_policies::document::PrivacyBudget;
use obscura_policies::evaluate::Permits;
use obscura_policies::evaluate::effective;
use obscura_policies::library::Library;
use obscura_policies::vocabulary::DatasetId;
use obscura_policies::vocabulary::PersonRole;

use crate::app::people::authorise::department_of;
use crate::app::people::authorise::is_steward;
use crate::app::query::charging::charged;
use crate::app::query::charging::totals_of;
use crate::app::query::principal::principal;
use crate::budgets::Family;
use crate::catalog::body::ChargeBody;
use crate::context::Caller;
use crate::error::AppError;
use crate::error::Class;
use crate::error::PublicError;
use crate::ids::JobId;
use crate::installation::Installation;
use crate::installation::library::grants_that_hold;
use crate::installation::library::library;
use crate::installation::library::local_time;
use crate::installation::openings::open_opened;

/// Most charges of one page.
pub const CHARGES_MAX: u32 = 200;

/// The budget of a dataset as a caller may know it, in units of 1e-9 of rho.
#[derive(Debug, Clone, PartialEq)]
pub struct BudgetSummary {
    /// The dataset.
    pub dataset: DatasetId,
    /// Sum of all charges to its family, ever.
    pub lifetime_spent: u64,
    /// The caller's own shares, one for each grant.
    pub shares: Vec<ShareSummary>,
}

/// A person's share of a budget, in units of 1e-9 of rho.
#[derive(Debug, Clone, PartialEq)]
pub struct ShareSummary {
    /// The grant.
    pub grant: String,
    /// Its purpose.
    pub purpose: String,
    /// The budget that the policies set.
    pub budget: PrivacyBudget,
    /// Sum of the caller's charges in the period that ends now, under whatever grant.
    pub spent: u64,
    /// When the next of them falls out of the period.
    pub resets: Option<jiff::Timestamp>,
}

/// Some charges to a budget, newest first.
#[derive(Debug, Clone, PartialEq)]
pub struct ChargePage {
    /// The charges.
    pub charges: Vec<ChargeBody>,
    /// The job before whose charge the next page begins; nothing when there are no more.
    pub next: Option<JobId>,
}

/// All that the caller may know of budgets.
struct Sight<'a> {
    caller: &'a Caller,
    library: Arc<Library>,
    grants: Vec<Grant>,
    known: Arc<BTreeMap<String, ChargeBody>>,
}

impl<'a> Sight<'a> {
    async fn of(installation: &Installation, caller: &'a Caller) -> Result<Self, AppError> {
        let library = library(installation).await?;
        let grants = match caller.holds(PersonRole::Analyst) {
            true => grants_that_hold(installation, caller.person().name.as_str()).await?,
            false => Vec::new(),
        };
        Ok(Self { caller, library, grants, known: installation.charges().await? })
    }

    /// Says whether the caller sees the charges of everybody to a dataset.
    fn keeps(&self, dataset: &DatasetId) -> bool {
        self.caller.holds(PersonRole::Auditor)
            || is_steward(self.caller, &self.library, department_of(&self.library, dataset))
    }

    /// Says whether the caller sees a charge.
    fn sees(&self, charge: &ChargeBody) -> bool {
        let keeps = || charge.dataset.parse().is_ok_and(|dataset| self.keeps(&dataset));
        self.caller.asked_as(&charge.person) || keeps()
    }

    /// The datasets with a budget, or with charges, that the caller may know of.
    fn datasets(&self) -> BTreeSet<DatasetId> {
        let granted = self.grants.iter().flat_map(|grant| &grant.datasets).map(|granted| &granted.dataset);
        let kept = self.library.datasets().keys().filter(|dataset| self.keeps(dataset));
        let may_have = |dataset: &&DatasetId| {
            let mut policies = self.library.policies().values();
            policies.any(|policy| {
                policy.method.privacy_budget.is_some() && policy.object.resources.datasets.contains(*dataset)
            })
        };
        let mut found: BTreeSet<DatasetId> = granted.chain(kept).filter(may_have).cloned().collect();
        let charges = self.known.values().filter(|charge| self.sees(charge));
        found.extend(charges.filter_map(|charge| charge.dataset.parse().ok()));
        found
    }
}

/// Lists the budgets that the caller may know of, by dataset.
///
/// # Errors
/// When documents, manifests or the log cannot be read.
pub async fn list_budgets(
    installation: &Installation,
    caller: &Caller,
) -> Result<Vec<BudgetSummary>, AppError> {
    let sight = Sight::of(installation, caller).await?;
    let known = charged(&sight.known);
    let mut budgets = Vec::new();
    for dataset in sight.datasets() {
        let sealed = open_opened(installation, &dataset).await?;
        let inputs = sealed.map(|version| version.manifest().inputs.iter().cloned().collect());
        let family = Family::of(&known, &dataset.to_string(), &inputs.unwrap_or_default());
        let shares = shares(installation, &sight, &dataset, &family)?;
        budgets.push(BudgetSummary { lifetime_spent: family.spent(), dataset, shares });
    }
    Ok(budgets)
}

/// The caller's shares of a family, one for each of their grants for the dataset. A grant that no policy answers now has none.
fn shares(
    installation: &Installation,
    sight: &Sight<'_>,
    dataset: &DatasetId,
    family: &Family<'_>,
) -> Result<Vec<ShareSummary>, AppError> {
    let mut shares = Vec::new();
    let grants = sight.grants.iter().filter(|grant| grant.dataset(dataset).is_some());
    for grant in grants {
        let (now, person) = (installation.now(), sight.caller.person().name.as_str());
        let time = local_time(now, &installation.settings().time_zone);
        let named = BTreeSet::from([grant.metadata.id.clone()]);
        let permits = Permits { grants: std::slice::from_ref(grant), named: &named };
        let asked = principal(sight.caller)?;
        let (purpose, datasets) = (grant.purpose.as_str(), std::slice::from_ref(dataset));
        let policy = effective(&sight.library, &asked, purpose, permits, datasets, &BTreeMap::new(), time);
        let budget = policy.ok().and_then(|policy| policy.datasets.get(dataset)?.privacy_budget);
        let Some(budget) = budget else { continue };
        let period_days = totals_of(&budget).period_days;
        shares.push(ShareSummary {
            grant: grant.metadata.id.to_string(),
            purpose: purpose.to_owned(),
            budget,
            spent: family.spent_by(person, period_days, now),
            resets: family.next_reset(person, period_days, now),
        });
    }
    Ok(shares)
}

/// Lists the charges to a dataset that the caller may see, newest first, from the one before the job `before` on. Those to a
/// copy stand under the copy's name.
///
/// # Errors
/// Not found for a dataset of whose budget the caller may not know, in the words of one that is not there.
pub async fn list_charges(
    installation: &Installation,
    caller: &Caller,
    dataset: &str,
    (before, most): (Option<JobId>, u32),
) -> Result<ChargePage, AppError> {
    let sight = Sight::of(installation, caller).await?;
    let dataset: DatasetId = dataset.parse().map_err(|_| no_budget())?;
    if !sight.datasets().contains(&dataset) {
        return Err(no_budget());
    }
    let mut charges: Vec<(JobId, &ChargeBody)> = Vec::new();
    for charge in sight.known.values().filter(|charge| charge.dataset == dataset.to_string()) {
        if sight.sees(charge)
            && let Ok(job) = charge.job.parse::<JobId>()
            && before.is_none_or(|before| job < before)
        {
            charges.push((job, charge));
        }
    }
    charges.sort_by_key(|(job, _)| std::cmp::Reverse(*job));
    let most = usize::try_from(most.clamp(1, CHARGES_MAX)).unwrap_or(1);
    let has_more = charges.len() > most;
    charges.truncate(most);
    let next = charges.last().filter(|_| has_more).map(|(job, _)| *job);
    Ok(ChargePage { charges: charges.into_iter().map(|(_, charge)| charge.clone()).collect(), next })
}

/// The answer for a dataset without a budget, and for one that the caller may not know of.
pub(crate) fn no_budget() -> AppError {
    PublicError::new(
        Class::NotFound,
        "budget-not-found",
        "there is no such budget that you may know of",
        "没有您可查看的该预算",
    )
    .with_help("`obscura budget` lists those that you may know of", "可用 `obscura budget` 查看")
    .into()
}

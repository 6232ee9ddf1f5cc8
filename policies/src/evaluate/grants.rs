//! The one of a person's grants that applies to a dataset: the one the question names, or the one that contains all others.
//! Grants never combine; where none contains the others, the person chooses.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::day::Day;
use crate::day::LocalTime;
use crate::document::Dataset;
use crate::document::Grant;
use crate::document::GrantedDataset;
use crate::document::Opening;
use crate::document::Policy;
use crate::evaluate::Ask;
use crate::evaluate::PolicyRefusal;
use crate::evaluate::Principal;
use crate::library::Library;
use crate::vocabulary::Code;
use crate::vocabulary::DatasetId;

/// The grants that a job may use.
#[derive(Debug, Clone, Copy)]
pub struct Permits<'a> {
    /// All that the person has.
    pub grants: &'a [Grant],
    /// Those that the question names. To a dataset that a named grant gives, no other grant applies.
    pub named: &'a BTreeSet<Code>,
}

impl<'a> Permits<'a> {
    /// Grants for a question that names none.
    #[must_use]
    pub fn unnamed(grants: &'a [Grant]) -> Self {
        static NONE: BTreeSet<Code> = BTreeSet::new();
        Self { grants, named: &NONE }
    }
}

/// The grant that applied to a dataset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsedGrant {
    /// Its identifier.
    pub id: Code,
    /// Its last day.
    pub until: Day,
    /// Further grants of the person that fit, and that the question could name instead.
    pub others: BTreeSet<Code>,
}

/// Finds the grant that applies to each of these datasets, where one does.
#[must_use]
pub fn used_grants(
    library: &Library,
    principal: &Principal,
    purpose: &str,
    permits: Permits<'_>,
    datasets: &[DatasetId],
    now: LocalTime,
) -> BTreeMap<DatasetId, UsedGrant> {
    let ask = Ask { library, principal, purpose, permits, now };
    let all = Ask { permits: Permits::unnamed(permits.grants), ..ask };
    let used = |id: &DatasetId| {
        let (_, grant, _) = ask.grant(id).ok()?;
        let fitting = all.current(id).unwrap_or_default();
        let others = fitting.into_iter().map(|(grant, _)| grant.metadata.id.clone());
        let others = others.filter(|id| *id != grant.metadata.id).collect();
        Some((id.clone(), UsedGrant { id: grant.metadata.id.clone(), until: grant.until, others }))
    };
    datasets.iter().filter_map(used).collect()
}

/// A grant, and what it says about one dataset.
type Fitting<'a> = (&'a Grant, &'a GrantedDataset);

impl<'a> Ask<'a> {
    /// Refuses names of grants that the person does not have on any of the datasets.
    pub(super) fn check_names(&self, datasets: &[DatasetId]) -> Result<(), PolicyRefusal> {
        let is_known = |name: &Code| {
            self.own().any(|grant| {
                grant.metadata.id == *name && datasets.iter().any(|id| grant.dataset(id).is_some())
            })
        };
        match self.permits.named.iter().find(|name| !is_known(name)) {
            Some(name) => Err(PolicyRefusal::grant_not_found(name.as_str())),
            None => Ok(()),
        }
    }

    /// The one grant that applies to the dataset.
    pub(super) fn grant(
        &self,
        id: &DatasetId,
    ) -> Result<(&'a Dataset, &'a Grant, &'a GrantedDataset), PolicyRefusal> {
        let Some(dataset) = self.library.datasets().get(id) else {
            return Err(PolicyRefusal::dataset_not_found(id));
        };
        let current = self.current(id)?;
        let ambiguous = |fitting: &[Fitting<'_>]| {
            let names: Vec<&str> = fitting.iter().map(|(grant, _)| grant.metadata.id.as_str()).collect();
            PolicyRefusal::grant_ambiguous(id, &names)
        };
        // Judged over all of them first: a policy that asks for more approvals must not make a choice clear that was not.
        let widest = widest(&current).ok_or_else(|| ambiguous(&current))?;
        let needed = self.policies(id).map_or(0, |policies| approvals(&policies));
        let approved: Vec<_> =
            current.iter().copied().filter(|(grant, _)| is_approved(grant, needed)).collect();
        let (grant, granted) = if approved.is_empty() {
            widest
        } else {
            self::widest(&approved).ok_or_else(|| ambiguous(&approved))?
        };
        Ok((dataset, grant, granted))
    }

    /// The grants that give the dataset for this purpose today; at least one.
    fn current(&self, id: &DatasetId) -> Result<Vec<Fitting<'a>>, PolicyRefusal> {
        let day = self.now.day;
        let own: Vec<Fitting<'a>> =
            self.own().filter_map(|grant| grant.dataset(id).map(|granted| (grant, granted))).collect();
        if own.is_empty() {
            let dataset = self.library.datasets().get(id);
            let hidden = dataset.is_none_or(|dataset| dataset.opening == Opening::Prohibited);
            return Err(if hidden {
                PolicyRefusal::dataset_not_found(id)
            } else {
                PolicyRefusal::no_grant(id)
            });
        }
        let is_named = |(grant, _): &Fitting<'_>| self.permits.named.contains(&grant.metadata.id);
        let chosen: Vec<_> = match own.iter().any(is_named) {
            true => own.into_iter().filter(is_named).collect(),
            false => own,
        };
        let fitting: Vec<_> =
            chosen.into_iter().filter(|(grant, _)| grant.purpose.as_str() == self.purpose).collect();
        if fitting.is_empty() {
            return Err(PolicyRefusal::purpose_mismatch(id, self.purpose, &self.own_purposes(Some(id))));
        }
        let begun: Vec<_> =
            fitting.into_iter().filter(|(grant, _)| grant.from.is_none_or(|from| from <= day)).collect();
        if begun.is_empty() {
            return Err(PolicyRefusal::grant_not_in_force(id));
        }
        let current: Vec<_> = begun.into_iter().filter(|(grant, _)| day <= grant.until).collect();
        if current.is_empty() { Err(PolicyRefusal::grant_expired(id)) } else { Ok(current) }
    }

    /// The purposes of the person's grants that are not over, of all or of those on a dataset.
    pub(super) fn own_purposes(&self, id: Option<&DatasetId>) -> BTreeSet<&'a str> {
        let gives = |grant: &&Grant| id.is_none_or(|id| grant.dataset(id).is_some());
        let own = self.own().filter(gives).filter(|grant| self.now.day <= grant.until);
        own.map(|grant| grant.purpose.as_str()).collect()
    }

    fn own(&self) -> impl Iterator<Item = &'a Grant> {
        let person = self.principal.person.as_str();
        self.permits.grants.iter().filter(move |grant| grant.person == person)
    }
}

/// The grant that contains all of these. Of several that say the same the one that lasts longest.
fn widest<'a>(fitting: &[Fitting<'a>]) -> Option<Fitting<'a>> {
    let contains_all = |(_, wide): &&Fitting<'_>| fitting.iter().all(|(_, other)| contains(wide, other));
    let last =
        |(grant, _): &&Fitting<'_>| (grant.until, Reverse(grant.from), Reverse(grant.metadata.id.clone()));
    fitting.iter().filter(contains_all).max_by_key(last).copied()
}

/// Says if `wide` allows everything that `narrow` allows: each of its limits is a limit of `narrow`, too.
///
/// Two different conditions on rows are not compared. A filter that is a territory taints no grade, so that it allows more
/// than the same filter that is none.
fn contains(wide: &GrantedDataset, narrow: &GrantedDataset) -> bool {
    let columns = match (&wide.columns, &narrow.columns) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(wide), Some(narrow)) => narrow.is_subset(wide),
    };
    let uses = match (&wide.uses, &narrow.uses) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(wide), Some(narrow)) => narrow.is_subset(wide),
    };
    let rows = match (&wide.row_filter, &narrow.row_filter) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(other), Some(filter)) => other == filter && wide.jurisdiction >= narrow.jurisdiction,
    };
    columns && uses && rows
}

/// The number of people who must have approved a grant under these policies.
pub(super) fn approvals(policies: &[&Policy]) -> u32 {
    policies.iter().map(|policy| policy.condition.approvals).max().unwrap_or(0)
}

/// Says if so many people approved the grant. Nobody approves their own request, even if the document says so, and an empty
/// name is nobody's.
pub(super) fn is_approved(grant: &Grant, needed: u32) -> bool {
    let is_another = |person: &&String| **person != grant.person && !person.trim().is_empty();
    let approvers = grant.approved_by.iter().filter(is_another).count();
    u32::try_from(approvers).is_ok_and(|approvers| approvers >= needed)
}

#[cfg(test)]
mod tests;

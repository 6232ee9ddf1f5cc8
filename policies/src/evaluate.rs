//! The one decision of this crate: what one person may do with some datasets for one purpose, now.
//! Deny by default: anything missing, unknown or unresolvable is a refusal. No I/O, no clock of its own.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::combine::ColumnTerms;
use crate::combine::Terms;
use crate::day::LocalTime;
use crate::document::Column;
use crate::document::Dataset;
use crate::document::Document;
use crate::document::Grant;
use crate::document::GrantedDataset;
use crate::document::Kind;
use crate::document::Layout;
use crate::document::Policy;
use crate::document::PolicyTest;
use crate::document::Update;
use crate::effective::EffectiveColumn;
use crate::effective::EffectiveDataset;
use crate::effective::EffectivePolicy;
use crate::effective::EffectiveUnit;
use crate::effective::Intervals;
use crate::effective::PolicySource;
use crate::effective::RowFilter;
use crate::effective::UsualRows;
use crate::fixed::Fixed;
use crate::library::Library;
use crate::library::POLICY_TESTER;
use crate::published::PublishedRows;
use crate::vocabulary::Code;
use crate::vocabulary::DatasetId;
use crate::vocabulary::Level;
use crate::vocabulary::PersonRole;
use crate::vocabulary::Use;

mod effect;
mod floors;
mod grants;
mod open_data;
mod refusal;

pub use effect::Warning;
pub use effect::effective_of_policy;
pub use effect::warnings_of_dataset;
pub use effect::warnings_of_grant;
pub use effect::warnings_of_policy;
pub use effect::warnings_of_purpose;
pub use grants::Permits;
pub use grants::UsedGrant;
pub use grants::used_grants;
pub use open_data::OPEN_DATA;
pub use open_data::open_to_everybody;
pub use refusal::PolicyRefusal;
pub use refusal::RefusalCode;

/// The person who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The person.
    pub person: String,
    /// Their roles.
    pub roles: BTreeSet<PersonRole>,
    /// Their department.
    pub department: Code,
    /// Their district, if they work for one.
    pub district: Option<Code>,
}

impl Principal {
    /// The person that a policy's test is asked by; their grant is [`Library::test_grant`].
    #[must_use]
    pub fn of_test(test: &PolicyTest) -> Self {
        Self {
            person: POLICY_TESTER.to_owned(),
            roles: BTreeSet::from([test.person.role]),
            department: test.person.department.clone(),
            district: test.person.district.clone(),
        }
    }
}

/// Facts that the signed manifest of a sealed dataset proves.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ManifestFacts {
    /// A version was sealed before this one.
    pub is_later_version: bool,
    /// All rows of one subject of the first protected unit lie together.
    pub clustered: bool,
    /// Each subject of the first protected unit has at most one row.
    pub one_row_per_subject: bool,
    /// Rows of the sealed version.
    pub rows: Option<u64>,
    /// Most rows of one subject, by the column of its key.
    pub rows_max: BTreeMap<String, u64>,
    /// Columns or sets of columns whose values are unique.
    pub unique: BTreeSet<BTreeSet<String>>,
    /// Columns that span intervals which do not overlap.
    pub intervals: BTreeSet<Intervals>,
    /// The rows that it publishes: all of a small open table.
    pub published: Option<PublishedRows>,
    /// The values of columns that refer to an open one, as they were when the data was sealed.
    pub domains: BTreeMap<String, Vec<String>>,
}

impl ManifestFacts {
    /// The facts that tests of policies are judged by, which read no data: open tables publish rows, of which there is none, and a
    /// column that refers to an open one has a single value.
    #[must_use]
    pub fn of_test(library: &Library, dataset: &Dataset) -> Self {
        let names = library.published_columns(dataset).map(|column| (column.name.to_string(), Vec::new()));
        let columns: BTreeMap<String, Vec<Option<String>>> = names.collect();
        let referring = dataset.columns.iter().filter(|column| column.domain_of.is_some());
        let domains = referring.map(|column| (column.name.to_string(), vec!["value".to_owned()]));
        Self {
            published: (!columns.is_empty()).then(|| PublishedRows::new(columns)).flatten(),
            domains: domains.collect(),
            ..Self::default()
        }
    }
}

/// Decides what one job may do.
///
/// `permits` are the grants that the job may use. Grants do not combine: for each dataset one of them applies, which the
/// question names or which contains all others that fit.
/// A dataset without facts is treated as if its manifest proved nothing.
///
/// # Errors
/// A refusal; it names nothing that the person did not name, and a hidden dataset looks like one that does not exist.
pub fn effective(
    library: &Library,
    principal: &Principal,
    purpose: &str,
    permits: Permits<'_>,
    datasets: &[DatasetId],
    manifests: &BTreeMap<DatasetId, ManifestFacts>,
    now: LocalTime,
) -> Result<EffectivePolicy, PolicyRefusal> {
    let ask = Ask { library, principal, purpose, permits, now };
    let known = library.purposes().values().find(|known| known.metadata.id.as_str() == purpose);
    let Some(known) = known else {
        return Err(PolicyRefusal::purpose_not_found(purpose, &ask.own_purposes(None)));
    };
    let mut sources = BTreeSet::new();
    let mut opened = BTreeMap::new();
    sources.extend(library.source(Kind::Purpose, known.metadata.id.as_str()).cloned());
    ask.check_names(datasets)?;
    let named: BTreeSet<&DatasetId> = datasets.iter().collect();
    for id in &named {
        let facts = manifests.get(*id).cloned().unwrap_or_default();
        opened.insert((*id).clone(), ask.dataset(id, facts, &mut sources)?);
    }
    let floors = floors::floors(library, purpose, &named, now.day, &mut sources)?;
    Ok(EffectivePolicy {
        purpose: purpose.to_owned(),
        datasets: opened,
        floors,
        sources: sources.into_iter().collect(),
    })
}

/// One request, as every step sees it.
struct Ask<'a> {
    library: &'a Library,
    principal: &'a Principal,
    purpose: &'a str,
    permits: Permits<'a>,
    now: LocalTime,
}

impl<'a> Ask<'a> {
    fn dataset(
        &self,
        id: &DatasetId,
        facts: ManifestFacts,
        sources: &mut BTreeSet<PolicySource>,
    ) -> Result<EffectiveDataset, PolicyRefusal> {
        let (dataset, grant, granted) = self.grant(id)?;
        let policies = self.policies(id)?;
        let unresolved = || PolicyRefusal::unresolved(id);
        let membership = self.library.membership_level(dataset).ok_or_else(unresolved)?;
        self.check_conditions(id, grant, &policies, dataset, membership)?;
        let mut joined: Option<Terms> = None;
        for policy in &policies {
            let terms = self.library.terms(policy, dataset).ok_or_else(unresolved)?;
            joined = Some(joined.map_or_else(|| terms.clone(), |other| other.stricter(&terms)));
            sources.extend(self.library.source(Kind::Policy, policy.metadata.id.as_str()).cloned());
        }
        let terms = joined.ok_or_else(unresolved)?;
        sources.extend(self.library.source(Kind::Dataset, &id.to_string()).cloned());
        sources.extend(self.library.source(Kind::GradeScheme, dataset.scheme.as_str()).cloned());
        sources.insert(Document::Grant(grant.clone()).source().map_err(|_| unresolved())?);
        open(self.library, dataset, granted, terms, membership, facts).ok_or_else(unresolved)
    }

    /// The policies that speak of this person, purpose and dataset, and are in force.
    fn policies(&self, id: &DatasetId) -> Result<Vec<&'a Policy>, PolicyRefusal> {
        let matching: Vec<&Policy> =
            self.library.policies().values().filter(|policy| self.matches(policy, id)).collect();
        if matching.is_empty() {
            return Err(PolicyRefusal::no_policy(id));
        }
        let in_force: Vec<&Policy> =
            matching.into_iter().filter(|policy| policy.effective.covers(self.now.day)).collect();
        if in_force.is_empty() { Err(PolicyRefusal::policy_not_in_force(id)) } else { Ok(in_force) }
    }

    fn matches(&self, policy: &Policy, id: &DatasetId) -> bool {
        let subjects = &policy.object.subjects;
        let has_role = subjects.roles.iter().any(|role| self.principal.roles.contains(role));
        has_role
            && subjects.departments.covers(Some(&self.principal.department))
            && subjects.districts.covers(self.principal.district.as_ref())
            && policy.object.resources.datasets.contains(id)
            && policy.condition.purposes.iter().any(|purpose| purpose.as_str() == self.purpose)
    }

    fn check_conditions(
        &self,
        id: &DatasetId,
        grant: &Grant,
        policies: &[&Policy],
        dataset: &Dataset,
        membership: Level,
    ) -> Result<(), PolicyRefusal> {
        if !grants::is_approved(grant, grants::approvals(policies)) {
            return Err(PolicyRefusal::grant_not_approved(id));
        }
        for policy in policies {
            if policy.condition.hours.is_some_and(|hours| !hours.covers(self.now.minute)) {
                return Err(PolicyRefusal::outside_hours(id));
            }
            if let Some(grade) = &policy.object.resources.grade_max {
                let max = self.library.level(&dataset.scheme, grade);
                if max.is_none_or(|max| membership > max) {
                    return Err(PolicyRefusal::grade_above_policy(id));
                }
            }
        }
        Ok(())
    }
}

/// Writes down what terms and grant leave of a dataset.
fn open(
    library: &Library,
    dataset: &Dataset,
    granted: &GrantedDataset,
    mut terms: Terms,
    membership: Level,
    facts: ManifestFacts,
) -> Option<EffectiveDataset> {
    if let Some(sql) = &granted.row_filter {
        let filter = RowFilter { sql: sql.clone(), jurisdiction: granted.jurisdiction };
        terms.row_filters.insert(filter);
    }
    let protected = || dataset.units.iter().filter(|unit| unit.protects);
    let mut columns = Vec::new();
    for column in &dataset.columns {
        let is_granted = granted.columns.as_ref().is_none_or(|names| names.contains(&column.name));
        let column_terms = terms.columns.remove(column.name.as_str())?;
        let (mut uses, range) = usable(&column_terms);
        if !is_granted {
            uses.clear();
        }
        if let Some(narrower) = &granted.uses {
            uses.retain(|usage| narrower.contains(usage));
        }
        columns.push(EffectiveColumn {
            name: column.name.to_string(),
            data_type: column.physical_type(),
            role: dataset.role_of(column),
            grade: library.column_level(dataset, column)?,
            grade_after: column_terms.grade_after,
            uses,
            mask: column_terms.mask,
            range,
            bins: column_terms.bins,
            usual: usual(column.usual, range),
            domain: domain(column, &facts.domains),
            scale: column.sum_scale(),
            coded: column.coded,
        });
    }
    let published: BTreeSet<&str> =
        library.published_columns(dataset).map(|column| column.name.as_str()).collect();
    let is_published = |name: &str| published.contains(name);
    let clustered = facts.clustered && dataset.row_layout() == Layout::Clustered;
    let units = protected().enumerate().map(|(index, unit)| EffectiveUnit {
        kind: unit.kind.clone(),
        column: unit.column.to_string(),
        one_row_per_subject: (index == 0 && facts.one_row_per_subject)
            || facts.unique.contains(&BTreeSet::from([unit.column.to_string()])),
        rows_max: facts.rows_max.get(unit.column.as_str()).copied(),
        clustered: index == 0 && clustered,
    });
    Some(EffectiveDataset {
        id: dataset.metadata.id.clone(),
        membership,
        units: units.collect(),
        columns,
        row_filters: terms.row_filters.into_iter().collect(),
        release: terms.release,
        functions: terms.functions,
        controls: terms.controls,
        join_with: terms.join_with,
        max_rows_per_subject: terms.max_rows_per_subject,
        max_groups_per_subject: terms.max_groups_per_subject,
        privacy_budget: terms.privacy_budget,
        all_ask_for_privacy: terms.all_ask_for_privacy,
        usual_rows: dataset.usual_rows,
        usual_rows_in: dataset.columns.iter().find_map(|column| {
            let usual = column.usual_rows?;
            Some(UsualRows { column: column.name.to_string(), month: usual.month, day: usual.day })
        }),
        is_updated: dataset.update != Update::Never || facts.is_later_version,
        rows: facts.rows,
        unique: facts.unique,
        intervals: facts.intervals,
        published: facts.published.map(|rows| rows.with(is_published)),
    })
}

/// Uses and range of a column; without a value left in its range a column is not aggregated.
fn usable(terms: &ColumnTerms) -> (BTreeSet<Use>, Option<(Fixed, Fixed)>) {
    let mut uses = terms.uses.clone();
    match terms.range {
        Some((low, high)) if low > high => {
            uses.remove(&Use::Aggregate);
            (uses, None)
        }
        range => (uses, range),
    }
}

/// The usual contribution of a subject within a range: contributions are clamped to the range, so that none is above it.
fn usual(usual: Option<Fixed>, range: Option<(Fixed, Fixed)>) -> Option<Fixed> {
    let (low, high) = range?;
    usual.map(|usual| usual.min(low.larger_abs(high)))
}

/// The values that a column has, sorted and each once: those that its document declares, or those that the open column it refers to
/// had when the data was sealed.
///
/// The open column of today would be another department's to change, and with it the names that noise is keyed by: its author
/// could have the same number leave with noise of its own a hundred times (`sandbox/docs/disclosure-model.md`, section 5.8).
fn domain(column: &Column, sealed: &BTreeMap<String, Vec<String>>) -> Option<Vec<String>> {
    let referred = || sealed.get(column.name.as_str()).filter(|_| column.domain_of.is_some());
    let values: BTreeSet<&String> = column.domain.as_ref().or_else(referred)?.iter().collect();
    Some(values.into_iter().cloned().collect())
}

#[cfg(test)]
mod tests;

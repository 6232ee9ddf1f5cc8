//! Tells a caller the terms of asking of a dataset, by purpose: uses, masks, edges, values, partners of joins, functions and
//! controls. It repeats grants, policies and documents; the only figure of the data is a number of rows, rounded as verdicts
//! round it.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use obscura_policies::Text;
use obscura_policies::day::Day;
use obscura_policies::day::LocalTime;
use obscura_policies::document::Dataset;
use obscura_policies::document::Grant;
use obscura_policies::effective::EffectiveColumn;
use obscura_policies::effective::EffectiveDataset;
use obscura_policies::effective::EffectivePolicy;
use obscura_policies::evaluate::Permits;
use obscura_policies::evaluate::PolicyRefusal;
use obscura_policies::evaluate::Principal;
use obscura_policies::evaluate::effective;
use obscura_policies::evaluate::used_grants;
use obscura_policies::fixed::Fixed;
use obscura_policies::library::Library;
use obscura_policies::mask::MaskContext;
use obscura_policies::vocabulary::DatasetId;
use obscura_policies::vocabulary::UnitKind;
use obscura_policies::vocabulary::Use;
use obscura_query_guard::dictionary::Edges;
use obscura_query_guard::dictionary::GradeControls;
use obscura_query_guard::dictionary::controls;
use obscura_query_guard::dictionary::edges;

mod words;

/// The terms on which a person may ask of a dataset for one purpose.
#[derive(Debug, Clone, PartialEq)]
pub struct PurposeTerms {
    /// Code of the purpose.
    pub purpose: String,
    /// Its title.
    pub title: Text,
    /// The grant that applies.
    pub grant: Option<String>,
    /// Its last day.
    pub until: Option<Day>,
    /// The terms, or the refusal that every question meets now.
    pub terms: Result<DatasetTerms, PolicyRefusal>,
}

/// The terms that questions of a dataset must keep to.
#[derive(Debug, Clone, PartialEq)]
pub struct DatasetTerms {
    /// The form in which results leave.
    pub release: &'static str,
    /// The columns that may be used, in order.
    pub columns: Vec<ColumnTerms>,
    /// Aggregate functions.
    pub functions: Vec<&'static str>,
    /// Datasets that may be joined, and by which kind of subject: both policies and grants of the caller say so.
    pub joins: Vec<(DatasetId, UnitKind)>,
    /// Kinds of protected subjects.
    pub units: Vec<UnitKind>,
    /// Controls by grade; none where rows may leave as they are.
    pub controls: Vec<GradeControls>,
    /// Most rows of one subject that a count distinguishes; nothing where there are no subjects.
    pub rows_per_subject_max: Option<u32>,
    /// True if the policy or the grant leaves out some of the rows.
    pub filtered: bool,
}

/// The terms that uses of a column must keep to.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnTerms {
    /// Name in SQL.
    pub name: String,
    /// The uses; at least one.
    pub uses: Vec<&'static str>,
    /// Name of the mask that values are seen through, and what is seen.
    pub mask: Option<(&'static str, Text)>,
    /// Values that it may be compared with; nothing where any may.
    pub edges: Option<EdgeTerms>,
    /// All values that the column shows, where its department declares them.
    pub values: Option<Vec<String>>,
    /// Smallest and largest contribution to a sum; what lies beyond counts as these.
    pub range: Option<(Fixed, Fixed)>,
}

/// The values that a column may be compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EdgeTerms {
    /// Distance of neighbouring edges.
    pub step: Option<Fixed>,
    /// The first edge.
    pub from: Option<Fixed>,
    /// The last value.
    pub to: Option<Fixed>,
    /// The same in words.
    pub text: Text,
}

/// The person whom terms are told, their grants, and the time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Told<'a> {
    pub(crate) library: &'a Library,
    pub(crate) principal: &'a Principal,
    /// The grants that hold.
    pub(crate) grants: &'a [Grant],
    pub(crate) time: LocalTime,
}

impl Told<'_> {
    /// The terms of a dataset, for each of these purposes.
    pub(crate) fn terms(&self, dataset: &Dataset, purposes: &BTreeSet<String>) -> Vec<PurposeTerms> {
        purposes.iter().map(|purpose| self.terms_of(dataset, purpose)).collect()
    }

    fn terms_of(&self, dataset: &Dataset, purpose: &str) -> PurposeTerms {
        let id = &dataset.metadata.id;
        let Told { library, principal, grants, time } = *self;
        let ids = std::slice::from_ref(id);
        let used = used_grants(library, principal, purpose, Permits::unnamed(grants), ids, time).remove(id);
        let known = library.purposes().values().find(|known| known.metadata.id.as_str() == purpose);
        PurposeTerms {
            purpose: purpose.to_owned(),
            title: known.map_or_else(|| Text::new(purpose, purpose), |known| known.metadata.title.clone()),
            grant: used.as_ref().map(|used| used.id.to_string()),
            until: used.as_ref().map(|used| used.until),
            terms: self.policy(purpose, id).map(|policy| self.dataset(dataset, &policy)),
        }
    }

    fn policy(&self, purpose: &str, id: &DatasetId) -> Result<EffectivePolicy, PolicyRefusal> {
        let permits = Permits::unnamed(self.grants);
        let ids = std::slice::from_ref(id);
        effective(self.library, self.principal, purpose, permits, ids, &BTreeMap::new(), self.time)
    }

    fn dataset(&self, document: &Dataset, policy: &EffectivePolicy) -> DatasetTerms {
        let Some(dataset) = policy.datasets.get(&document.metadata.id) else {
            return DatasetTerms::nothing();
        };
        let usable = dataset.columns.iter().filter(|column| !column.uses.is_empty());
        let has_units = !dataset.units.is_empty();
        DatasetTerms {
            release: dataset.release.as_str(),
            columns: usable.map(|column| self.column(document, dataset, column)).collect(),
            functions: dataset.functions.iter().map(|function| function.as_str()).collect(),
            joins: self.joins(&policy.purpose, dataset),
            units: dataset.units.iter().map(|unit| unit.kind.clone()).collect(),
            controls: controls(policy, dataset),
            rows_per_subject_max: has_units.then_some(dataset.max_rows_per_subject),
            filtered: !dataset.row_filters.is_empty(),
        }
    }

    /// Partners whose policy names this dataset in turn, and that the caller may use for the same purpose.
    fn joins(&self, purpose: &str, dataset: &EffectiveDataset) -> Vec<(DatasetId, UnitKind)> {
        let others = dataset.join_with.iter().filter(|(other, _)| *other != dataset.id);
        let agrees = |(other, unit): &&(DatasetId, UnitKind)| {
            let policy = self.policy(purpose, other);
            let partner = policy.ok().and_then(|mut policy| policy.datasets.remove(other));
            partner.is_some_and(|partner| partner.join_with.contains(&(dataset.id.clone(), unit.clone())))
        };
        let shared = others.filter(|(_, unit)| dataset.units.iter().any(|own| own.kind == *unit));
        shared.filter(agrees).cloned().collect()
    }

    fn column(
        &self,
        document: &Dataset,
        dataset: &EffectiveDataset,
        column: &EffectiveColumn,
    ) -> ColumnTerms {
        let known = edges(column, dataset);
        let is_compared = column.uses.contains(&Use::Filter);
        let is_shown = is_compared || column.uses.contains(&Use::Group);
        ColumnTerms {
            name: column.name.clone(),
            uses: column.uses.iter().map(|usage| usage.as_str()).collect(),
            mask: column.mask.as_ref().map(|mask| (mask.name(), words::mask(mask))),
            values: self.values(document, column, &known).filter(|_| is_shown),
            edges: Some(known).filter(|_| is_compared).and_then(EdgeTerms::of),
            range: column.range.filter(|_| column.uses.contains(&Use::Aggregate)),
        }
    }

    /// The declared values as the mask shows them.
    fn values(&self, document: &Dataset, column: &EffectiveColumn, edges: &Edges) -> Option<Vec<String>> {
        let declared = document.column(&column.name)?.domain.as_ref()?;
        let context = MaskContext::keyless(self.time.day);
        let shown = |value: &String| match &column.mask {
            None => Some(value.clone()),
            Some(mask) => mask.apply_text(value, &context),
        };
        match edges {
            Edges::Any | Edges::Shown => {}
            Edges::Steps { .. }
            | Edges::Between { .. }
            | Edges::Parts(_)
            | Edges::Years(_)
            | Edges::Nothing => {
                return None;
            }
        }
        let mut values: Vec<String> = Vec::new();
        for value in declared.iter().filter_map(shown) {
            // Several values may be shown as one.
            if !values.contains(&value) {
                values.push(value);
            }
        }
        Some(values)
    }
}

impl DatasetTerms {
    /// Nothing may be asked.
    const fn nothing() -> Self {
        Self {
            release: "none",
            columns: Vec::new(),
            functions: Vec::new(),
            joins: Vec::new(),
            units: Vec::new(),
            controls: Vec::new(),
            rows_per_subject_max: None,
            filtered: false,
        }
    }
}

impl EdgeTerms {
    /// Nothing where a column may be compared with any value.
    fn of(edges: Edges) -> Option<Self> {
        let text = words::edges(&edges)?;
        let (step, from, to) = match edges {
            Edges::Steps { step, from, to } => (Some(step), Some(from), to),
            Edges::Between { bottom, top } => (None, bottom, top),
            Edges::Any | Edges::Parts(_) | Edges::Years(_) | Edges::Shown | Edges::Nothing => {
                (None, None, None)
            }
        };
        Some(Self { step, from, to, text })
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests may panic")]
mod tests;

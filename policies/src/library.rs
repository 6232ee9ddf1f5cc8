//! All documents in force, with every reference between them checked once.
//! Code that holds a `Library` need not check again that a dataset, purpose or scheme exists that a document names.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use crate::day::Day;
use crate::document::ApiVersion;
use crate::document::Application;
use crate::document::Column;
use crate::document::ColumnOf;
use crate::document::Dataset;
use crate::document::Department;
use crate::document::Document;
use crate::document::Exception;
use crate::document::GradeScheme;
use crate::document::Grant;
use crate::document::GrantKind;
use crate::document::GrantedDataset;
use crate::document::Kind;
use crate::document::Metadata;
use crate::document::Opening;
use crate::document::Policy;
use crate::document::PolicyTest;
use crate::document::Purpose;
use crate::document::Registration;
use crate::effective::Controls;
use crate::effective::PolicySource;
use crate::hierarchy::Hierarchy;
use crate::parse::DocumentError;
use crate::parse::Located;
use crate::parse::first_errors;
use crate::shipped;
use crate::vocabulary::Code;
use crate::vocabulary::DatasetId;
use crate::vocabulary::Level;
use crate::vocabulary::Text;

mod check;
mod lowering;
mod resolve;

pub use lowering::LoweredGrade;
use resolve::controls_of;
pub(crate) use resolve::excepted;
pub(crate) use resolve::floors_of;

/// The person that a policy's tests are asked by.
pub const POLICY_TESTER: &str = "policy-test";

/// The grade of data that leaves as rows.
const OPEN: Level = Level(1);

/// All documents in force.
#[derive(Debug, Clone, Default)]
pub struct Library {
    schemes: BTreeMap<Code, GradeScheme>,
    departments: BTreeMap<Code, Department>,
    datasets: BTreeMap<DatasetId, Dataset>,
    policies: BTreeMap<Code, Policy>,
    purposes: BTreeMap<Code, Purpose>,
    grants: BTreeMap<Code, Grant>,
    exceptions: BTreeMap<Code, Exception>,
    applications: BTreeMap<Code, Application>,
    hierarchies: BTreeMap<String, Arc<Hierarchy>>,
    sources: BTreeMap<(Kind, String), PolicySource>,
}

impl Library {
    /// Makes a library of documents that are known by nothing but their content, and of the shipped ones.
    ///
    /// # Errors
    /// Everything wrong with the documents or between them.
    pub fn new(documents: Vec<Document>) -> Result<Self, Vec<DocumentError>> {
        Self::from_located(documents.into_iter().map(Located::nowhere).collect())
    }

    /// Makes a library of documents read from files, and of the shipped ones.
    ///
    /// A document that has the identifier of a shipped one takes its place if its version is higher.
    ///
    /// # Errors
    /// Everything wrong with the documents or between them, with the place of each finding.
    pub fn from_located(documents: Vec<Located<Document>>) -> Result<Self, Vec<DocumentError>> {
        Self::assembled(&documents, &documents, None)
    }

    /// Makes a library of the documents that a person may know of, and checks the new ones among them: a dataset that is
    /// not `visible` is as good as absent, so that no finding and no test of a policy can tell the two apart.
    ///
    /// New documents are held to more than those in force: a control that they write down must have an effect from `today`.
    ///
    /// # Errors
    /// Everything wrong with the new documents.
    pub fn as_seen(
        mut documents: Vec<Located<Document>>,
        new: &[Located<Document>],
        visible: &BTreeSet<DatasetId>,
        today: Day,
    ) -> Result<Self, Vec<DocumentError>> {
        documents.retain(|located| match &located.value {
            Document::Dataset(dataset) => visible.contains(&dataset.metadata.id),
            _ => true,
        });
        Self::assembled(&documents, new, Some(today))
    }

    /// Finds rules of policies in force that cover no column any more, and did `before`: new datasets must not drop the masks
    /// that policies in force put on the old ones.
    #[must_use]
    pub fn uncovered_since(&self, before: &Self, in_force: &[Located<Document>]) -> Vec<DocumentError> {
        let mut errors = Vec::new();
        for located in in_force {
            let known = check::uncovered_rules(before, located);
            let found = check::uncovered_rules(self, located);
            errors.extend(found.into_iter().filter(|error| known.iter().all(|old| old.field != error.field)));
        }
        first_errors(errors)
    }

    /// Puts documents together and checks some of them, more strictly those that are about to be published on a day.
    fn assembled(
        documents: &[Located<Document>],
        checked: &[Located<Document>],
        published_on: Option<Day>,
    ) -> Result<Self, Vec<DocumentError>> {
        let mut errors = Vec::new();
        let mut library = Self { hierarchies: shipped::hierarchies()?, ..Self::default() };
        let own: BTreeMap<(Kind, String), u32> = documents
            .iter()
            .map(|located| ((located.value.kind(), located.value.id()), located.value.version()))
            .collect();
        for located in shipped::documents()? {
            let key = (located.value.kind(), located.value.id());
            if own.get(&key).is_none_or(|version| *version <= located.value.version()) {
                library.insert(located.value, &mut errors);
            }
        }
        for located in documents {
            let key = (located.value.kind(), located.value.id());
            if let Some(present) = library.sources.get(&key) {
                let identical = located.value.source().is_ok_and(|source| source == *present);
                if !identical {
                    errors.push(check::duplicate(located, present.version));
                }
                continue;
            }
            library.insert(located.value.clone(), &mut errors);
        }
        for located in checked {
            check::check(&library, located, &mut errors);
            if let Some(today) = published_on {
                check::check_new(&library, located, today, &mut errors);
            }
        }
        if errors.is_empty() { Ok(library) } else { Err(first_errors(errors)) }
    }

    fn insert(&mut self, document: Document, errors: &mut Vec<DocumentError>) {
        match document.source() {
            Ok(source) => {
                self.sources.insert((document.kind(), document.id()), source);
            }
            Err(error) => errors.push(check::unprintable(&document, &error)),
        }
        match document {
            Document::GradeScheme(d) => drop(self.schemes.insert(d.metadata.id.clone(), d)),
            Document::Department(d) => drop(self.departments.insert(d.metadata.id.clone(), d)),
            Document::Dataset(d) => drop(self.datasets.insert(d.metadata.id.clone(), *d)),
            Document::Policy(d) => drop(self.policies.insert(d.metadata.id.clone(), *d)),
            Document::Purpose(d) => drop(self.purposes.insert(d.metadata.id.clone(), d)),
            Document::Grant(d) => drop(self.grants.insert(d.metadata.id.clone(), d)),
            Document::Exception(d) => drop(self.exceptions.insert(d.metadata.id.clone(), d)),
            Document::Application(d) => drop(self.applications.insert(d.metadata.id.clone(), d)),
        }
    }

    /// Grade schemes, by code.
    #[must_use]
    pub const fn schemes(&self) -> &BTreeMap<Code, GradeScheme> {
        &self.schemes
    }

    /// Departments, by code.
    #[must_use]
    pub const fn departments(&self) -> &BTreeMap<Code, Department> {
        &self.departments
    }

    /// Datasets, by identifier.
    #[must_use]
    pub const fn datasets(&self) -> &BTreeMap<DatasetId, Dataset> {
        &self.datasets
    }

    /// Policies, by identifier.
    #[must_use]
    pub const fn policies(&self) -> &BTreeMap<Code, Policy> {
        &self.policies
    }

    /// Purposes, by code.
    #[must_use]
    pub const fn purposes(&self) -> &BTreeMap<Code, Purpose> {
        &self.purposes
    }

    /// Grants that came as documents, by identifier.
    #[must_use]
    pub const fn grants(&self) -> &BTreeMap<Code, Grant> {
        &self.grants
    }

    /// Exceptions, by identifier.
    #[must_use]
    pub const fn exceptions(&self) -> &BTreeMap<Code, Exception> {
        &self.exceptions
    }

    /// Applications, by identifier.
    #[must_use]
    pub const fn applications(&self) -> &BTreeMap<Code, Application> {
        &self.applications
    }

    /// Hierarchies, by name.
    #[must_use]
    pub const fn hierarchies(&self) -> &BTreeMap<String, Arc<Hierarchy>> {
        &self.hierarchies
    }

    /// Identity and hash of a document in force.
    #[must_use]
    pub fn source(&self, kind: Kind, id: &str) -> Option<&PolicySource> {
        self.sources.get(&(kind, id.to_owned()))
    }

    /// Checks a grant that is about to be made against the documents in force.
    ///
    /// # Errors
    /// Everything that the grant names and that does not exist, and every list and text of it that names nothing.
    pub fn check_grant(&self, grant: &Grant) -> Result<(), Vec<DocumentError>> {
        let mut errors = Vec::new();
        let located = Located::nowhere(Document::Grant(grant.clone()));
        check::check(self, &located, &mut errors);
        check::check_forgotten(self, &located, &mut errors);
        if errors.is_empty() { Ok(()) } else { Err(first_errors(errors)) }
    }

    /// A grant on every dataset for the person of a policy's test, as wide as grants go and valid today.
    ///
    /// Tests ask what policies admit; whether somebody has a grant is not their question.
    #[must_use]
    pub fn test_grant(&self, test: &PolicyTest, today: Day) -> Option<Grant> {
        self.widest_grant(&test.person.purpose, today)
    }

    /// A grant on every dataset for the person of tests, for a purpose.
    pub(crate) fn widest_grant(&self, purpose: &Code, today: Day) -> Option<Grant> {
        let approvals = self.policies.values().map(|policy| policy.condition.approvals).max().unwrap_or(0);
        let datasets = self.datasets.keys().map(|id| GrantedDataset {
            dataset: id.clone(),
            columns: None,
            uses: None,
            row_filter: None,
            jurisdiction: false,
        });
        Some(Grant {
            api_version: ApiVersion,
            kind: GrantKind,
            metadata: Metadata {
                id: "policy-test".parse().ok()?,
                version: 1,
                title: Text::new("Test of a policy", "策略测试"),
            },
            person: POLICY_TESTER.to_owned(),
            purpose: purpose.clone(),
            datasets: datasets.collect(),
            from: None,
            until: today,
            approved_by: (0..approvals).map(|number| format!("steward-{number}")).collect(),
        })
    }

    /// Place of a scheme's grade on the common ladder.
    #[must_use]
    pub fn level(&self, scheme: &Code, grade: &str) -> Option<Level> {
        self.schemes.get(scheme)?.levels.iter().find(|level| level.code == grade).map(|level| level.level)
    }

    /// The strictest level that data of a scheme may be registered with: what is ungraded has it.
    #[must_use]
    pub fn strictest(&self, scheme: &Code) -> Option<Level> {
        let levels = &self.schemes.get(scheme)?.levels;
        let registered = levels.iter().filter(|level| level.registration == Registration::Allowed);
        registered.map(|level| level.level).max()
    }

    /// Level of a column.
    #[must_use]
    pub fn column_level(&self, dataset: &Dataset, column: &Column) -> Option<Level> {
        match &column.grade {
            Some(grade) => self.level(&dataset.scheme, grade),
            None => self.strictest(&dataset.scheme),
        }
    }

    /// The columns whose values a sealed version publishes: those that are open to everybody without condition, in a dataset
    /// whose rows are no subjects'.
    pub fn published_columns<'d>(&'d self, dataset: &'d Dataset) -> impl Iterator<Item = &'d Column> {
        let is_open = dataset.opening == Opening::Unconditional
            && dataset.units.is_empty()
            && self.membership_level(dataset).is_some_and(|level| level <= OPEN);
        let columns = dataset.columns.iter().filter(move |_| is_open);
        columns.filter(|column| self.column_level(dataset, column).is_some_and(|level| level <= OPEN))
    }

    /// The column that a reference names, if a sealed version publishes its values.
    #[must_use]
    pub fn published_column(&self, of: &ColumnOf) -> Option<&Column> {
        let dataset = self.datasets.get(&of.dataset)?;
        self.published_columns(dataset).find(|column| column.name == of.column)
    }

    /// True if each row of data above the open grade counts as a subject of its own, because no unit is protected. Thresholds
    /// then count rows, and somebody with ten rows is ten subjects: a second person answers for it.
    #[must_use]
    pub fn counts_rows(&self, dataset: &Dataset) -> bool {
        let is_protected = dataset.units.iter().any(|unit| unit.protects);
        let columns = dataset.columns.iter().map(|column| self.column_level(dataset, column));
        let mut levels = columns.chain([self.membership_level(dataset)]);
        // Without a level it is not known to be open.
        !is_protected && levels.any(|level| level.is_none_or(|level| level > OPEN))
    }

    /// The controls that a version of a dataset keeps to when it opens to analysts, for whatever purpose: the strictest of the floors up
    /// to its strictest grade, and of all policies that name it. Nothing where its grades are unknown.
    #[must_use]
    pub fn controls_of(&self, dataset: &Dataset) -> Option<Controls> {
        let mut strictest = self.membership_level(dataset)?;
        for column in &dataset.columns {
            strictest = strictest.max(self.column_level(dataset, column)?);
        }
        let floors = floors_of(self.schemes.get(&dataset.scheme)?);
        let floors =
            floors.into_iter().filter(|(level, _)| *level <= strictest).map(|(_, floor)| floor.controls);
        let naming = |policy: &&Policy| policy.object.resources.datasets.contains(&dataset.metadata.id);
        let policies = self.policies.values().filter(naming);
        let policies = policies.map(|policy| controls_of(&policy.method.controls));
        floors.chain(policies).reduce(|one, other| one.stricter(&other))
    }

    /// Level of the fact that somebody is in the dataset.
    #[must_use]
    pub fn membership_level(&self, dataset: &Dataset) -> Option<Level> {
        if let Some(grade) = &dataset.membership {
            return self.level(&dataset.scheme, grade);
        }
        let mut strictest = None;
        for column in &dataset.columns {
            strictest = strictest.max(Some(self.column_level(dataset, column)?));
        }
        strictest
    }
}

#[cfg(test)]
pub(crate) mod tests;

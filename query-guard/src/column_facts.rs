//! A base column: what the rules know of one column that source rows have, and every rule reads base columns only.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::DataType as ArrowType;
use datafusion_common::Column;
use datafusion_expr::Expr;
use obscura_policies::fixed::Fixed;
use obscura_policies::mask::Mask;
use obscura_policies::vocabulary::DatasetId;
use obscura_policies::vocabulary::Level;
use obscura_policies::vocabulary::Role;
use obscura_policies::vocabulary::UnitKind;
use obscura_policies::vocabulary::Use;

use crate::finding::Finding;
use crate::reason::Reason;

/// Facts about one base column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ColumnFacts {
    /// Name as declared, for messages.
    pub(crate) name: String,
    /// Its kind, by which rules differ.
    pub(crate) kind: ColumnKind,
    /// Uses granted.
    pub(crate) uses: BTreeSet<Use>,
    /// Grade after mask.
    pub(crate) grade: Level,
    /// Dataset it was read from, if one.
    pub(crate) dataset: Option<DatasetId>,
    /// Number of the scan that it was read by, if one.
    pub(crate) scan: Option<usize>,
    /// Read from an open table: an analyst can choose among its values, so they stand for literals.
    pub(crate) open: bool,
    /// Comes from the side of an outer join that may be missing.
    pub(crate) optional: bool,
    /// The outer join that may have left it missing.
    pub(crate) missing_by: Option<usize>,
    /// Joins and unions that may repeat its values for one row of its source: what is repeated is not added up.
    pub(crate) copied_by: BTreeSet<usize>,
    /// Hidden columns of the classes whose row it stands in: only columns of the same subjects are compared.
    pub(crate) owners: BTreeSet<String>,
    /// Physical type.
    pub(crate) data_type: ArrowType,
    /// Mask already applied at the scan.
    pub(crate) mask: Option<Mask>,
    /// Declared range of a measure.
    pub(crate) range: Option<(Fixed, Fixed)>,
    /// Bin width of a measure.
    pub(crate) bins: Option<Fixed>,
    /// Decimal places kept inside sums.
    pub(crate) scale: u8,
    /// Prefixes are meaningful.
    pub(crate) coded: bool,
    /// The columns of datasets that it lies between, where it is the time between two dates.
    pub(crate) between: Option<[String; 2]>,
}

impl ColumnFacts {
    /// A column that the query made up: it is read from no dataset and stands in no subject's row yet.
    ///
    /// As nothing is known of its values, it is compared with no column: it may be a constant, and cut a bin in two
    /// (`sandbox/docs/disclosure-model.md`, section 4.3).
    pub(crate) fn derived(name: &str, uses: BTreeSet<Use>, grade: Level, data_type: ArrowType) -> Self {
        ColumnFacts {
            name: name.to_owned(),
            kind: ColumnKind::Derived,
            uses,
            grade,
            dataset: None,
            scan: None,
            open: false,
            optional: false,
            missing_by: None,
            copied_by: BTreeSet::new(),
            owners: BTreeSet::new(),
            data_type,
            mask: None,
            range: None,
            bins: None,
            scale: 0,
            coded: false,
            between: None,
        }
    }

    /// Its name among what rows are chosen by: as a column of a dataset, or as its rows call it.
    ///
    /// The name is that of the dataset's column in every scan, so that rows chosen by it through another scan count as
    /// chosen (`sandbox/docs/disclosure-model.md`, section 5.6).
    pub(crate) fn compared_name(&self, name: &str) -> String {
        match self.source() {
            Some((dataset, column)) => format!("{}.{column}", dataset.sql_name()),
            None => name.to_owned(),
        }
    }

    /// True if the grant lets the column be used so: a steward decides for each column, because each use tells
    /// something else (`sandbox/docs/disclosure-model.md`, section 4.3).
    pub(crate) fn allows(&self, wanted: Use) -> bool {
        self.uses.contains(&wanted)
    }

    /// True if it marks rows of its own source, each once, where it is present.
    ///
    /// A count of such a column is one of its source's rows, also after a join that repeats other rows:
    /// `COUNT(v.person_id)` over `persons p LEFT JOIN visits v` counts visits
    /// (`sandbox/docs/disclosure-model.md`, section 4.5).
    pub(crate) fn marks_rows(&self) -> bool {
        self.copied_by.is_empty() && !self.owners.is_empty()
    }

    /// The column of a dataset that it is, unmasked or masked.
    ///
    /// A column that was computed, united or carried by a window has none: a measure is compared with the mean of its
    /// own column only (`sandbox/docs/disclosure-model.md`, section 4.6).
    pub(crate) fn source(&self) -> Option<SourceColumn> {
        let dataset = self.dataset.as_ref().filter(|_| matches!(self.kind, ColumnKind::Declared(_)))?;
        Some((dataset.clone(), self.name.clone()))
    }

    /// Known in steps, so that a comparison with anything chosen would cut one in two.
    ///
    /// A person between a step's edge and the chosen value is in one answer and not in the other, and is singled out
    /// (`sandbox/docs/disclosure-model.md`, section 4.4).
    pub(crate) fn is_stepped(&self) -> bool {
        self.is_measure() || self.mask.is_some() || self.bins.is_some()
    }

    /// A quantity whose single values are protected by bins.
    ///
    /// A sum, mean or extreme of a subject's own rows is one too: of a person with one row it is that row's value
    /// (`sandbox/docs/disclosure-model.md`, section 4.9).
    pub(crate) fn is_measure(&self) -> bool {
        matches!(self.kind, ColumnKind::Declared(Role::Measure) | ColumnKind::SubjectMeasure)
    }
}

/// The grant does not let a column be used in this way.
///
/// A site that may be grouped shows the sites of at least k subjects; filtered, it would answer for a chosen site. So
/// leave for the one use gives no answer by the other (`sandbox/docs/disclosure-model.md`, section 4.3).
pub(crate) fn use_not_granted(base: &ColumnFacts, wanted: Use) -> Finding {
    Finding::of(Reason::UseNotGranted).with("column", base.name.clone()).with("use", wanted.to_string())
}

/// The kinds of base columns, by which rules differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ColumnKind {
    /// A unit key (hidden or visible): joined and counted, nothing else.
    UnitKey {
        /// Kind of subject.
        kind: UnitKind,
        /// Hidden column of the class of subjects it belongs to.
        class: String,
    },
    /// A declared column.
    Declared(Role),
    /// A count over a subject's own rows, top-coded.
    SubjectCount,
    /// A sum, mean, minimum or maximum over a subject's own rows.
    SubjectMeasure,
    /// A literal per branch of a union: grouped by, compared with literals, never with columns.
    Derived,
    /// A value that a stage has released; `computed` when it is not the stage's own output column.
    Released {
        /// An expression over released columns rather than one of them.
        computed: bool,
        /// The facts of the stage's output column, unless it is computed.
        column: Option<Arc<ReleasedColumnFacts>>,
    },
}

/// A column of a dataset.
pub(crate) type SourceColumn = (DatasetId, String);

/// A condition that the rows of one scan fulfil, written over the columns of its dataset: equal texts are equal conditions. A
/// condition that cannot be written so (joins, columns of several scans or that the query made up) is of no scan, and has
/// a text of its own, equal to no other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RowCondition {
    /// Number of the scan; none where it is of no single one.
    pub(crate) scan: Option<usize>,
    /// The condition, or a text that nothing else has.
    pub(crate) text: String,
}

impl RowCondition {
    /// A condition of no single scan.
    pub(crate) fn of_no_scan(text: String) -> Self {
        RowCondition { scan: None, text }
    }
}

/// The conditions that rows fulfil, those of each scan wherever a row of it is there.
pub(crate) type Conditions = BTreeSet<RowCondition>;

/// The facts of a released column, for the rows of individuals that it meets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ReleasedColumnFacts {
    /// A group key; where it is a column as it is, that column.
    Key {
        /// Name among the stage's columns.
        name: String,
        /// The column.
        source: Option<SourceColumn>,
        /// For a count of a subject's rows: the number that stands for itself and for every larger one.
        top_coded_at: Option<Fixed>,
    },
    /// The mean of one declared measure, which that measure may be compared with.
    Benchmark {
        /// The measure.
        of: SourceColumn,
        /// Conditions of the rows that it is the mean of, all of them on the scan of the measure; none where some is not.
        conditions: Option<BTreeSet<String>>,
        /// Names of the stage's keys, and the column that each is.
        keys: BTreeMap<String, Option<SourceColumn>>,
        /// The scans whose columns have met all the keys, each its own: only their rows are rows of the mean's group.
        met_by: BTreeSet<usize>,
    },
    /// Anything else.
    Other,
}

/// Reference to a base column.
pub(crate) fn base_column(name: &str) -> Expr {
    Expr::Column(Column::new_unqualified(name))
}

//! Source rows: rows of individuals (or of open tables) as one plan over uniquely named base columns, with every SQL column
//! kept as an expression over them.
//!
//! Because definitions are carried as expressions, a projection, an alias or a subquery adds nothing that a rule could
//! overlook: rules always read base columns. Hidden unit columns are base columns that no SQL name reaches.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use datafusion_common::Column;
use datafusion_common::DFSchemaRef;
use datafusion_common::Result;
use datafusion_common::tree_node::Transformed;
use datafusion_common::tree_node::TreeNode;
use datafusion_common::tree_node::TreeNodeRecursion;
use datafusion_expr::Expr;
use datafusion_expr::LogicalPlan;
use obscura_policies::effective::Intervals;
use obscura_policies::vocabulary::DatasetId;
use obscura_policies::vocabulary::Level;
use obscura_policies::vocabulary::UnitKind;
use obscura_policies::vocabulary::Use;

use crate::column::bare_column;
use crate::column_facts::ColumnFacts;
use crate::column_facts::ColumnKind;
use crate::column_facts::Conditions;
use crate::column_facts::RowCondition;

/// Rows of individuals, or of open tables when `classes` is empty.
#[derive(Debug, Clone)]
pub(crate) struct SourceRows {
    /// Plan whose output columns are exactly the keys of `bases`.
    pub(crate) plan: LogicalPlan,
    /// Facts about each of the plan's columns.
    pub(crate) bases: BTreeMap<String, ColumnFacts>,
    /// Schema that the SQL sees.
    pub(crate) schema: DFSchemaRef,
    /// The definition of each column of `schema`, over the plan's columns.
    pub(crate) outputs: Vec<Expr>,
    /// The classes of subjects that the rows belong to.
    pub(crate) classes: Vec<Class>,
    /// The facts that every row carries, also where no column is read.
    pub(crate) taint: Taint,
    /// The columns by which a row of individuals meets at most one of these (open tables and released results only).
    pub(crate) unique: Unique,
    /// The rows of their sources that these rows stand for.
    pub(crate) multiplicity: Multiplicity,
    /// The conditions that every row fulfils.
    pub(crate) conditions: Conditions,
}

/// The columns by which at most one row is met.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Unique {
    /// Sets of base columns that hold no combination of values twice.
    pub(crate) sets: BTreeSet<BTreeSet<String>>,
    /// Base columns that span intervals which do not overlap.
    pub(crate) intervals: BTreeSet<Intervals>,
}

impl Unique {
    /// True if there is always exactly one row: the empty set of columns identifies it.
    ///
    /// Everybody meets such a row once, so that it neither repeats nor chooses people
    /// (`sandbox/docs/disclosure-model.md`, section 4.6).
    pub(crate) fn is_one_row(&self) -> bool {
        self.sets.contains(&BTreeSet::new())
    }
}

/// The rows of their sources that rows stand for.
///
/// Danger it answers: an analyst who makes one row count several times weighs chosen subjects against the others. Thresholds
/// and dominance then see a large sum, and the difference to the plain sum shows the few (`x UNION ALL x WHERE ...`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Multiplicity {
    /// Joins and unions that may have made several rows of one, by number; no row is counted then.
    pub(crate) copied_by: BTreeSet<usize>,
    /// Literals that a column of the only scan was restricted to: two such relations may share no row.
    pub(crate) equalities: Option<Equalities>,
}

/// Columns of one scan and the literals that every row's value is among.
pub(crate) type Equalities = BTreeMap<String, BTreeSet<String>>;

impl Multiplicity {
    /// Rows of one scan, each once: they may be counted, and added up
    /// (`sandbox/docs/disclosure-model.md`, section 4.5).
    pub(crate) fn scanned() -> Self {
        Multiplicity { copied_by: BTreeSet::new(), equalities: Some(Equalities::new()) }
    }

    /// True when two relations over the same dataset have no row of it in common.
    ///
    /// Both are restricted to literals of one column, and to none that is the same: `day = 1` and `day = 2`. In any
    /// other case their union may hold a row twice, and `x UNION ALL x WHERE day = 3` would count chosen people double
    /// (`sandbox/docs/disclosure-model.md`, section 4.8).
    pub(crate) fn is_disjoint(&self, other: &Multiplicity) -> bool {
        let (Some(equalities), Some(others)) = (&self.equalities, &other.equalities) else { return false };
        equalities
            .iter()
            .any(|(column, values)| others.get(column).is_some_and(|other| values.is_disjoint(other)))
    }
}

/// One class of subjects carried by rows: all instances equated on the same unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Class {
    /// Kind of subject; `None` when each row is its own subject (a dataset without unit).
    pub(crate) kind: Option<UnitKind>,
    /// Hidden base column with the subject's token; unused when each row is its own subject.
    pub(crate) column: String,
    /// The rows stand clustered by this column, at whole-file level.
    pub(crate) clustered: bool,
    /// Every subject has at most one of the rows.
    pub(crate) one_row: bool,
    /// Some rows may have no subject of this class; they feed no aggregate.
    pub(crate) optional: bool,
}

/// The facts that hold for every row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Taint {
    /// Strictest grade of membership, filters and join columns so far.
    pub(crate) grade: Level,
    /// Datasets of individuals scanned.
    pub(crate) datasets: BTreeSet<DatasetId>,
    /// Comparisons made so far.
    pub(crate) comparisons: usize,
    /// Literals used so far.
    pub(crate) literals: usize,
    /// The columns that conditions, joins and keys have chosen rows by.
    pub(crate) compared: Compared,
}

/// The quantities that rows have been chosen by. An analyst who chooses rows by one can make it the same in all, and
/// its sum is then a count times a number that everybody knows (`sandbox/docs/disclosure-model.md`, section 5.6).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Compared {
    /// The number of a subject's own rows, or a value that they have in common.
    pub(crate) counts: bool,
    /// Rows of other relations.
    pub(crate) joined: bool,
    /// Columns of datasets; the time between two dates is a comparison of both.
    pub(crate) columns: BTreeSet<String>,
}

impl Compared {
    /// Adds the columns that expressions over base columns read.
    ///
    /// An analyst who chooses rows by a column can make it the same in all, and its sum is then a count in disguise.
    /// Counts, sums and labels that the query made stand together as one, since any of them may be pinned through
    /// another (`sandbox/docs/disclosure-model.md`, section 5.6).
    pub(crate) fn add<'e>(
        &mut self,
        bases: &BTreeMap<String, ColumnFacts>,
        exprs: impl IntoIterator<Item = &'e Expr>,
    ) {
        for column in exprs.into_iter().flat_map(compared_columns) {
            let Some(base) = bases.get(&column.name) else { continue };
            match &base.kind {
                ColumnKind::UnitKey { .. } => {}
                ColumnKind::Declared(_) => match &base.between {
                    Some(dates) => self.columns.extend(dates.iter().cloned()),
                    None => {
                        self.columns.insert(base.compared_name(&column.name));
                    }
                },
                ColumnKind::SubjectCount
                | ColumnKind::SubjectMeasure
                | ColumnKind::Derived
                | ColumnKind::Released { .. } => self.counts = true,
            }
        }
    }

    /// Adds what the other side of a join or union was chosen by: it has chosen these rows too
    /// (`sandbox/docs/disclosure-model.md`, section 5.6).
    fn absorb(&mut self, other: &Compared) {
        self.counts |= other.counts;
        self.joined |= other.joined;
        self.columns.extend(other.columns.iter().cloned());
    }
}

/// The columns whose values an expression looks at; whether a column is missing says nothing of its values
/// (`sandbox/docs/disclosure-model.md`, section 5.6).
fn compared_columns(expr: &Expr) -> Vec<Column> {
    let mut columns = Vec::new();
    let walked = expr.apply(|inner| {
        if let Expr::Column(column) = inner {
            columns.push(column.clone());
        }
        let is_presence =
            matches!(inner, Expr::IsNull(of) | Expr::IsNotNull(of) if matches!(**of, Expr::Column(_)));
        Ok(if is_presence { TreeNodeRecursion::Jump } else { TreeNodeRecursion::Continue })
    });
    debug_assert!(walked.is_ok(), "the closure never fails");
    columns
}

/// The grade, comparisons and literals that expressions over individuals have read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Read {
    /// Strictest grade.
    pub(crate) grade: Level,
    /// Comparisons made.
    pub(crate) comparisons: usize,
    /// Literals used.
    pub(crate) literals: usize,
}

impl Read {
    /// The reading of expressions that read nothing: the laxest grade, and no comparison or literal.
    pub(crate) fn nothing() -> Self {
        Read { grade: Level(1), comparisons: 0, literals: 0 }
    }

    /// Everything that either has read: the stricter grade, and all comparisons and literals of both.
    ///
    /// Split over two subqueries, sixteen comparisons would else pass for eight, and describe one person
    /// (`sandbox/docs/disclosure-model.md`, section 4.3).
    pub(crate) fn and(self, other: Self) -> Self {
        Read {
            grade: self.grade.max(other.grade),
            comparisons: self.comparisons + other.comparisons,
            literals: self.literals + other.literals,
        }
    }
}

impl Taint {
    /// Everything that was read so far, as a released table carries it to the individuals that it meets
    /// (`sandbox/docs/disclosure-model.md`, section 4.2).
    pub(crate) fn as_read(&self) -> Read {
        Read { grade: self.grade, comparisons: self.comparisons, literals: self.literals }
    }

    /// The facts of rows that nothing has read yet.
    pub(crate) fn none() -> Self {
        Taint {
            grade: Level(1),
            datasets: BTreeSet::new(),
            comparisons: 0,
            literals: 0,
            compared: Compared::default(),
        }
    }

    /// Adds what checked expressions have read.
    ///
    /// A condition tells of its columns although no column of it leaves, so that its grade stays with the rows
    /// (`sandbox/docs/disclosure-model.md`, section 4.2).
    pub(crate) fn read(&mut self, read: Read) {
        self.grade = self.grade.max(read.grade);
        self.comparisons += read.comparisons;
        self.literals += read.literals;
    }

    /// Adds the facts of rows that come together with these.
    ///
    /// The grade of a stage is the strictest of all that its rows were made of, and all their datasets have a say in
    /// its controls: joined to laxer rows, strict ones would else leave under the laxer floor
    /// (`sandbox/docs/disclosure-model.md`, section 4.2).
    pub(crate) fn absorb(&mut self, other: &Taint) {
        self.grade = self.grade.max(other.grade);
        self.datasets.extend(other.datasets.iter().cloned());
        self.comparisons += other.comparisons;
        self.literals += other.literals;
        self.compared.absorb(&other.compared);
    }
}

impl SourceRows {
    /// Rewrites an expression over the SQL schema into one over base columns. Names stand in the schema; an alias
    /// within a definition would only hide from a rule what it looks at.
    ///
    /// `SELECT CAST(s AS BIGINT) ... FROM (SELECT salary AS s FROM persons) x` rounds a salary as
    /// `CAST(salary AS BIGINT)` does, and both are judged as the same expression
    /// (`sandbox/docs/disclosure-model.md`, section 4.1).
    pub(crate) fn define(&self, expr: &Expr) -> Result<Expr> {
        expr.clone()
            .transform_up(|inner| match inner {
                Expr::Alias(alias) => Ok(Transformed::yes(*alias.expr)),
                other => Ok(Transformed::no(other)),
            })?
            .data
            .transform_down(|inner| match &inner {
                Expr::Column(column) => {
                    let index = self.schema.index_of_column(column)?;
                    let definition = self.outputs.get(index).cloned().ok_or_else(|| {
                        datafusion_common::DataFusionError::Internal("column without definition".to_owned())
                    })?;
                    Ok(Transformed::new(keep_spans(definition, column), true, TreeNodeRecursion::Jump))
                }
                _ => Ok(Transformed::no(inner)),
            })
            .map(|transformed| transformed.data)
    }

    /// True if every row (or every row with one of these columns present) stands for one row of its source.
    ///
    /// Otherwise a count or a sum weighs chosen people against the others, and its difference to the plain one shows
    /// them (`sandbox/docs/disclosure-model.md`, section 4.5).
    pub(crate) fn counts_once<'b>(&self, marks: impl IntoIterator<Item = &'b ColumnFacts>) -> bool {
        self.multiplicity.copied_by.is_empty() || marks.into_iter().any(ColumnFacts::marks_rows)
    }

    /// The unit key that an expression is, and the hidden column of its class: a bare key, or COALESCE of the keys of
    /// one class of which one is always there (`FULL JOIN ... USING (person_id)`).
    ///
    /// Where all keys may be missing, or belong to two classes, the value does not tell the row's subject: grouped by
    /// it, rows of many people would pass for those of one (`sandbox/docs/disclosure-model.md`, section 4.9).
    pub(crate) fn unit_key(&self, expr: &Expr) -> Option<(&String, ColumnFacts)> {
        let bare = |expr: &Expr| {
            let base = self.base(bare_column(&self.bases, expr)?)?;
            match &base.kind {
                ColumnKind::UnitKey { class, .. } => Some((class, base)),
                ColumnKind::Declared(_)
                | ColumnKind::SubjectCount
                | ColumnKind::SubjectMeasure
                | ColumnKind::Derived
                | ColumnKind::Released { .. } => None,
            }
        };
        let Expr::ScalarFunction(call) = expr else {
            return bare(expr).map(|(class, base)| (class, base.clone()));
        };
        let keys: Vec<(&String, &ColumnFacts)> =
            call.args.iter().filter(|_| call.name() == "coalesce").map(bare).collect::<Option<_>>()?;
        let (class, first) = keys.first()?;
        let same_class = keys.iter().all(|(other, _)| other == class);
        let always_there = keys.iter().any(|(_, base)| !base.optional)
            || matches!(keys.as_slice(), [(_, a), (_, b)] if a.missing_by.is_some() && a.missing_by == b.missing_by);
        let joined: BTreeSet<Use> =
            keys.iter().fold(first.uses.clone(), |uses, (_, base)| &uses & &base.uses);
        (same_class && always_there)
            .then(|| (*class, ColumnFacts { optional: false, uses: joined, ..(*first).clone() }))
    }

    pub(crate) fn base(&self, column: &Column) -> Option<&ColumnFacts> {
        self.bases.get(&column.name)
    }

    /// A condition as a text over the columns of one scan; `None` when it reads anything else.
    ///
    /// A released mean is taken for one over the same rows as a measure's, or over more of them, where all its
    /// conditions are among these texts, for the scan that the measure was read by. A condition on another scan of the
    /// dataset chooses other rows: `b.cost > (SELECT AVG(cost) FROM visits WHERE day = 3)` beside `a.day = 3` of a self
    /// join would cut a bin of `b.cost` in two. A condition on what the query made up has no text, because equal texts
    /// would not mean equal rows (`sandbox/docs/disclosure-model.md`, section 4.6).
    pub(crate) fn canonical(&self, condition: &Expr) -> Option<RowCondition> {
        let mut known = true;
        let mut scans = BTreeSet::new();
        let renamed = condition.clone().transform_up(|inner| match inner {
            Expr::Column(column) => match self.base(&column).and_then(|base| base.source().zip(base.scan)) {
                Some(((dataset, name), scan)) => {
                    scans.insert(scan);
                    let name = Column::new(Some(dataset.sql_name()), name);
                    Ok(Transformed::yes(Expr::Column(name)))
                }
                None => {
                    known = false;
                    Ok(Transformed::no(Expr::Column(column)))
                }
            },
            Expr::ScalarSubquery(_) => {
                known = false;
                Ok(Transformed::no(inner))
            }
            other => Ok(Transformed::no(other)),
        });
        let text = renamed.ok().filter(|_| known)?.data.to_string();
        let scan = scans.pop_first().filter(|_| scans.is_empty())?;
        Some(RowCondition { scan: Some(scan), text })
    }
}

/// A definition that is a bare column keeps the place where the analyst wrote it.
fn keep_spans(definition: Expr, written: &Column) -> Expr {
    match definition {
        Expr::Column(mut column) => {
            column.spans = written.spans.clone();
            Expr::Column(column)
        }
        other => other,
    }
}

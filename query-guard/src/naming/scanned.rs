//! The rows below a boundary, read from the scans up: every column written out over those of the sealed datasets, with the
//! conditions that the rows have passed.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use datafusion_common::Column;
use datafusion_common::tree_node::Transformed;
use datafusion_common::tree_node::TreeNode;
use datafusion_common::tree_node::TreeNodeRecursion;
use datafusion_expr::Expr;
use datafusion_expr::Join;
use datafusion_expr::JoinType;
use datafusion_expr::LogicalPlan;
use datafusion_expr::TableScan;
use obscura_policies::effective::EffectiveDataset;
use obscura_policies::effective::EffectivePolicy;
use obscura_policies::vocabulary::DatasetId;

use crate::atoms::Atom;
use crate::atoms::Quantity;
use crate::cell::AtomSpec;
use crate::cell::MeasureSpec;
use crate::finding::Finding;
use crate::finding::Refused;
use crate::finding::internal;
use crate::floor::is_open;
use crate::reason::Reason;
use crate::source_rows::Class;
use crate::source_rows::SourceRows;

use super::condition::columns_of;

/// The refusal of rows that are not those of one table as it was sealed, beside what is looked up for each.
///
/// Any other join, and a union, gives rows another weight or another set, which no name of one table's cells tells
/// (`sandbox/docs/disclosure-model.md`, section 5.8).
fn rows_without_names() -> Refused {
    Finding::of(Reason::RowsWithoutNames)
        .help(
            "ask of one table, joined by the unit key to tables that have one row for each subject",
            "请查询一张表，并按主体标识关联每个主体只有一行的表",
        )
        .into()
}

/// A plan over scans, with its columns written out over those of the datasets: `dataset.column`.
#[derive(Default)]
pub(super) struct Scanned {
    /// The datasets that it reads, each once.
    pub(super) read: BTreeSet<DatasetId>,
    /// Those of them of which each row of the plan is one row, and no two are the same.
    pub(super) own: BTreeSet<DatasetId>,
    /// The plan's columns by name, each over raw columns.
    columns: BTreeMap<String, Expr>,
    /// The conditions of its rows, over raw columns.
    pub(super) conditions: Vec<Expr>,
    /// The row filters of policies and grants, over raw columns.
    pub(super) filters: BTreeSet<String>,
    /// No column has been computed yet: what is filtered here is filtered by a policy, before masks.
    is_raw: bool,
    /// Unit keys that joins have equated, each with one that comes before it.
    equated: BTreeMap<String, String>,
}

impl Scanned {
    /// Reads a plan that is made of scans, filters, projections and look-ups of one row for each subject.
    ///
    /// A plan that unites or folds rows first, or meets several rows of a subject, has no names in this version: the guard refuses its
    /// cells where a policy asks for noise.
    pub(super) fn of(plan: &LogicalPlan, policy: &EffectivePolicy) -> Result<Self, Refused> {
        #[expect(clippy::wildcard_enum_match_arm, reason = "the wildcard denies")]
        match plan {
            LogicalPlan::TableScan(scan) => Scanned::scan(scan, policy),
            LogicalPlan::Filter(filter) => {
                let mut inner = Scanned::of(&filter.input, policy)?;
                let condition = inner.raw(&filter.predicate)?;
                // That rows have a subject is one condition for every question.
                match inner.is_raw && !columns_are_keys(&condition, policy) {
                    true => drop(inner.filters.insert(condition.to_string())),
                    false => inner.conditions.push(condition),
                }
                Ok(inner)
            }
            LogicalPlan::Projection(projection) => {
                let inner = Scanned::of(&projection.input, policy)?;
                let exprs = projection.expr.iter().zip(projection.schema.fields());
                let columns = exprs.map(|(expr, field)| Ok((field.name().clone(), inner.raw(expr)?)));
                let columns = columns.collect::<Result<_, Refused>>()?;
                Ok(Scanned { columns, is_raw: false, ..inner })
            }
            LogicalPlan::SubqueryAlias(alias) => Scanned::of(&alias.input, policy),
            LogicalPlan::Sort(sort) if sort.fetch.is_none() => Scanned::of(&sort.input, policy),
            LogicalPlan::Join(join) => Scanned::join(join, policy),
            _ => Err(rows_without_names()),
        }
    }

    fn scan(scan: &TableScan, policy: &EffectivePolicy) -> Result<Self, Refused> {
        let table = scan.table_name.to_string();
        let dataset = policy.datasets.values().find(|dataset| dataset.id.sql_name() == table);
        let dataset = dataset.ok_or_else(internal)?;
        if is_open(dataset) {
            return Err(rows_without_names());
        }
        let raw = |name: &str| Expr::Column(Column::from_name(raw_name(dataset, name)));
        let fields = scan.projected_schema.fields().iter();
        let columns = fields.map(|field| (field.name().clone(), raw(field.name()))).collect();
        let own = BTreeSet::from([dataset.id.clone()]);
        let mut scanned = Scanned { read: own.clone(), own, columns, is_raw: true, ..Scanned::default() };
        for filter in &scan.filters {
            let condition = scanned.raw(filter)?;
            scanned.conditions.push(condition);
        }
        Ok(scanned)
    }

    /// A look-up by a unit key: every row meets one row of the other side at the most, so that what it finds there is a fact of the
    /// row itself. That there is such a row is a condition with a node of its own.
    ///
    /// Where both sides may have several rows of a subject, rows are repeated, or a row asks for one among many: these are not in
    /// this version (`sandbox/docs/disclosure-model.md`, section 5.8).
    fn join(join: &Join, policy: &EffectivePolicy) -> Result<Self, Refused> {
        let (mut left, mut right) = (Scanned::of(&join.left, policy)?, Scanned::of(&join.right, policy)?);
        let [(a, b)] = join.on.as_slice() else { return Err(rows_without_names()) };
        let is_single = |side: &Scanned, key: &Expr| {
            let key = side.raw(key)?;
            let single = side.own.iter().filter_map(|id| policy.datasets.get(id)).any(|dataset| {
                let mut units = dataset.units.iter().filter(|unit| unit.one_row_per_subject);
                units.any(|unit| key == Expr::Column(Column::from_name(raw_name(dataset, &unit.column))))
            });
            Ok::<bool, Refused>(single)
        };
        let (left_is_single, right_is_single) = (is_single(&left, a)?, is_single(&right, b)?);
        // Two scans of one dataset would have columns of the same names.
        if !left.read.is_disjoint(&right.read) {
            return Err(rows_without_names());
        }
        let read: BTreeSet<DatasetId> = left.read.union(&right.read).cloned().collect();
        left.filters.append(&mut right.filters);
        left.is_raw = false;
        let mut equated = std::mem::take(&mut left.equated);
        equated.append(&mut right.equated);
        let mut keys = [first_of(&left.raw(a)?, &equated), first_of(&right.raw(b)?, &equated)];
        keys.sort_unstable();
        let [first, second] = keys;
        if first != second {
            equated.insert(second, first);
        }
        if let Some(filter) = &join.filter {
            // It reads both sides; a row meets one of the other at the most, so that it is a condition like any other.
            let both = left.columns.iter().chain(&right.columns);
            let both = both.map(|(name, raw)| (name.clone(), raw.clone())).collect();
            right.conditions.push(Scanned { columns: both, ..Scanned::default() }.raw(filter)?);
        }
        #[expect(clippy::wildcard_enum_match_arm, reason = "the wildcard denies")]
        match join.join_type {
            JoinType::Inner if left_is_single || right_is_single => {
                let mut own = BTreeSet::new();
                if right_is_single {
                    own.extend(left.own.iter().cloned());
                }
                if left_is_single {
                    own.extend(right.own.iter().cloned());
                }
                let mut conditions = std::mem::take(&mut left.conditions);
                conditions.append(&mut right.conditions);
                conditions.extend(
                    left.read.iter().chain(&right.read).filter(|id| !own.contains(*id)).map(is_there),
                );
                left.columns.append(&mut right.columns);
                Ok(Scanned { read, own, conditions, equated, ..left })
            }
            JoinType::LeftSemi if right_is_single => {
                left.conditions.append(&mut right.conditions);
                left.conditions.extend(right.read.iter().map(is_there));
                Ok(Scanned { read, equated, ..left })
            }
            JoinType::LeftAnti if right_is_single => {
                let found = right.read.iter().map(is_there).chain(right.conditions);
                let found = found.reduce(Expr::and).ok_or_else(internal)?;
                left.conditions.push(Expr::IsNotTrue(Box::new(found)));
                Ok(Scanned { read, equated, ..left })
            }
            _ => Err(rows_without_names()),
        }
    }

    /// An expression over the plan's columns, over raw ones.
    pub(super) fn raw(&self, expr: &Expr) -> Result<Expr, Refused> {
        let written = expr.clone().transform_down(|mut inner| {
            while let Expr::Alias(alias) = inner {
                inner = *alias.expr;
            }
            let Expr::Column(column) = &inner else { return Ok(Transformed::yes(inner)) };
            let raw = self.columns.get(&column.name).cloned().ok_or_else(|| {
                datafusion_common::DataFusionError::Internal("column without definition".to_owned())
            })?;
            Ok(Transformed::new(raw, true, TreeNodeRecursion::Jump))
        });
        written.map(|written| written.data).map_err(|_| internal())
    }

    /// The dataset whose rows an atom adds up: that of its measure, or for a count the first of those that the rows are of.
    ///
    /// Secret and noise are that family's alone (`sandbox/docs/disclosure-model.md`, section 5.8).
    pub(super) fn own(&self, atom: &Atom) -> Result<DatasetId, Refused> {
        let mut owners = BTreeSet::new();
        for measure in atom.quantity.columns() {
            let raw = self.columns.get(measure).ok_or_else(internal)?;
            let of =
                |name: &String| self.own.iter().find(|id| name.starts_with(&format!("{}.", id.sql_name())));
            for column in columns_of(raw) {
                owners.insert(of(&column).ok_or_else(rows_without_names)?.clone());
            }
        }
        let first = owners.pop_first().or_else(|| self.own.first().cloned());
        if owners.is_empty() { first.ok_or_else(internal) } else { Err(rows_without_names()) }
    }

    /// The quantity that an atom adds up, as a text: the written-out columns with the range that each contribution is clamped to and its decimal
    /// places. A count of rows of which every subject has one at most is the count of the subjects.
    ///
    /// Under two policies a column may have two ranges or masks: its sums are two numbers, and have two noises
    /// (`sandbox/docs/disclosure-model.md`, section 5.8).
    pub(super) fn measure(&self, atom: &Atom, spec: &AtomSpec, rows: &SourceRows) -> Result<String, Refused> {
        let of = |column: &String, spec: &MeasureSpec| {
            let raw = self.columns.get(column).ok_or_else(internal)?;
            // Written out, a mask has a name and not its widths.
            let mask = &rows.bases.get(column).ok_or_else(internal)?.mask;
            Ok::<_, Refused>(format!("{raw} under {mask:?} in {}..{} e-{}", spec.low, spec.high, spec.scale))
        };
        match (&atom.quantity, spec) {
            (Quantity::Rows, _) => {
                let one = rows.classes.iter().find(|class| class.one_row);
                Ok(one.map_or_else(|| "rows".to_owned(), |class| self.subjects_of(class)))
            }
            (Quantity::Measure(column), AtomSpec::Measure(spec)) => {
                Ok(format!("sum of {}", of(column, spec)?))
            }
            (Quantity::Product(left, right), AtomSpec::Product(a, b)) => {
                Ok(format!("sum of {} times {}", of(left, a)?, of(right, b)?))
            }
            (Quantity::Measure(_) | Quantity::Product(..), _) => Err(internal()),
        }
    }

    /// The subjects of a class that contribute to an atom, as a text.
    pub(super) fn counted(&self, class: &Class, atom: &Atom, measure: &str) -> String {
        match atom.quantity {
            Quantity::Rows => self.subjects_of(class),
            Quantity::Measure(_) | Quantity::Product(..) => {
                format!("{} of {measure}", self.subjects_of(class))
            }
        }
    }

    /// The subjects of a class, as a text: their kind and the sealed column that tells them apart.
    ///
    /// Mothers and children are of one kind, and the numbers of the two under one noise would have an exact difference
    /// (`sandbox/docs/disclosure-model.md`, section 5.8).
    fn subjects_of(&self, class: &Class) -> String {
        match (&class.kind, self.columns.get(&class.column)) {
            (Some(kind), Some(key)) => format!("subjects {kind} by {}", first_of(key, &self.equated)),
            (Some(kind), None) => format!("subjects {kind}"),
            (None, _) => "subjects".to_owned(),
        }
    }
}

/// A unit key, or the first of those that joins have equated it with: on either side of a join a subject is one.
fn first_of(key: &Expr, equated: &BTreeMap<String, String>) -> String {
    let mut key = key.to_string();
    while let Some(first) = equated.get(&key) {
        key.clone_from(first);
    }
    key
}

/// A column of a dataset as expressions over raw columns name it.
pub(crate) fn raw_name(dataset: &EffectiveDataset, column: &str) -> String {
    format!("{}.{column}", dataset.id.sql_name())
}

/// True for the condition that a row has a subject, which every scan of individuals has.
pub(super) fn columns_are_keys(condition: &Expr, policy: &EffectivePolicy) -> bool {
    let Expr::IsNotNull(inner) = condition else { return false };
    let Expr::Column(column) = inner.as_ref() else { return false };
    policy
        .datasets
        .values()
        .any(|dataset| dataset.units.iter().any(|unit| raw_name(dataset, &unit.column) == column.name))
}

/// That the subject of a row has a row in another dataset: a column without a name, which has one value or none.
pub(super) fn is_there(dataset: &DatasetId) -> Expr {
    Expr::IsNotNull(Box::new(Expr::Column(Column::from_name(format!("{}.", dataset.sql_name())))))
}

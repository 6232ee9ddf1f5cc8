//! The names of a stage's cells: what their noise is keyed by (`sandbox/docs/disclosure-model.md`, section 5.8).
//!
//! The plan below a boundary is read once more, from the scan up, with every column written out over the columns of the sealed
//! dataset: conditions of the question, masks, conditions of aggregates and group keys become conditions over nodes, and the texts
//! of row filters are kept. A plan that cannot be read so is refused where a policy asks for noise. Nothing here adds noise: the
//! control step does (`control/noise.rs`).

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
use obscura_policies::fixed::Fixed;
use obscura_policies::vocabulary::DatasetId;

use crate::atoms::Atom;
use crate::atoms::Quantity;
use crate::atoms::is_present;
use crate::budget::Budget;
use crate::cell::AtomSpec;
use crate::cell::MeasureSpec;
use crate::cell_names::AtomNames;
use crate::cell_names::CellNames;
use crate::cover::Condition;
use crate::cover::NameFault;
use crate::cover::Names;
use crate::cover::names;
use crate::finding::Finding;
use crate::finding::Refused;
use crate::finding::fact_missing;
use crate::finding::internal;
use crate::floor::is_open;
use crate::limits::NAMES_MAX;
use crate::plan::KeyColumn;
use crate::reason::Reason;
use crate::source_rows::Class;
use crate::source_rows::SourceRows;

mod condition;
mod meeting;

use condition::Columns;
use meeting::few_meet;

/// Most names of all atoms in all groups that the keys' values make.
const DRAWS_MAX: usize = 20_000_000;
/// Most groups of all atoms whose deviations are looked at one by one, where they do not multiply.
const GROUPS_MAX: usize = 4_096;
/// Rows that one subject usually has where the dataset does not say.
const USUAL_ROWS: u32 = 20;

/// The parts of a boundary whose cells are named.
pub(crate) struct Boundary<'a> {
    pub(crate) rows: &'a SourceRows,
    pub(crate) group: &'a [Expr],
    pub(crate) keys: &'a [KeyColumn],
    pub(crate) atoms: &'a [Atom],
    pub(crate) specs: &'a [AtomSpec],
}

/// The names of a boundary's cells.
///
/// Noise that is not fixed by names averages out, and a cell without a name would have none: a boundary that cannot be read is
/// refused (`sandbox/docs/disclosure-model.md`, section 5.8).
pub(crate) fn cell_names(
    boundary: &Boundary<'_>,
    policy: &EffectivePolicy,
    budget: &Budget<'_>,
) -> Result<CellNames, Refused> {
    let Boundary { rows, group, keys, atoms, specs } = boundary;
    let scanned = Scanned::of(&rows.plan, policy)?;
    let mut columns = Columns::new(policy, budget);
    let common = scanned.conditions.iter().map(|condition| columns.condition(condition));
    let common = common.collect::<Result<Vec<_>, Refused>>()?;
    let mut named = Vec::with_capacity(atoms.len());
    let mut measures = Vec::with_capacity(atoms.len());
    for (atom, spec) in atoms.iter().zip(*specs) {
        let mut all = common.clone();
        if let Some(condition) = &atom.condition {
            all.push(columns.condition(&scanned.raw(condition)?)?);
        }
        // A row without the measure adds nothing to its sum: with or without `IS NOT NULL` the sum is the same, and so are its
        // names.
        let mut of_measures = BTreeSet::new();
        for measure in atom.quantity.columns() {
            let present = columns.condition(&scanned.raw(&is_present(measure))?)?;
            // A measure that is cut besides is a column of the condition like any other.
            let is_cut =
                all.iter().flat_map(Condition::columns).any(|column| present.columns().contains(&column));
            of_measures.extend(present.columns().into_iter().filter(|_| !is_cut));
            all.push(present);
        }
        measures.push(of_measures);
        let own = scanned.own(atom)?;
        // Each row of the others is a row of its own dataset too: that they are there is a condition on it.
        for other in scanned.own.iter().filter(|other| **other != own) {
            all.push(columns.condition(&is_there(other))?);
        }
        let measure = scanned.measure(atom, spec, rows)?;
        let subjects = rows.classes.iter().map(|class| scanned.counted(class, atom, &measure)).collect();
        let dataset = policy.datasets.get(&own).ok_or_else(internal)?;
        let unit = unit(atom, spec, rows, dataset).ok_or_else(fact_missing)?;
        named.push(AtomNames {
            family: own,
            condition: Condition::All(all),
            names: Names::default(),
            is_apart: true,
            deviations_max: None,
            measure,
            subjects,
            unit,
        });
    }
    let mut values = Vec::with_capacity(group.len());
    for (key, column) in group.iter().zip(*keys) {
        values.push(columns.values(&scanned.raw(key)?, &column.data_type)?);
    }
    let is_updated = |id: &DatasetId| policy.datasets.get(id).is_none_or(|dataset| dataset.is_updated);
    let of_keys: Vec<BTreeSet<u16>> =
        values.iter().map(|values| values.values().flat_map(Condition::columns).collect()).collect();
    let all_of_keys: BTreeSet<u16> = of_keys.iter().flatten().copied().collect();
    let cells = CellNames {
        is_updated: scanned.read.iter().any(is_updated),
        datasets: scanned.read,
        hierarchies: columns.hierarchies(),
        columns: columns.by_number(),
        filters: scanned.filters,
        keys_are_apart: of_keys.iter().map(BTreeSet::len).sum::<usize>() == all_of_keys.len(),
        keys: values,
        atoms: named,
    };
    let cells = with_names(cells, &all_of_keys)?;
    few_meet(&cells, &all_of_keys, &measures, policy)?;
    Ok(cells)
}

/// The cells with the names of each atom, within the limits.
///
/// All atoms have names together: six sums over as many names as one may have took a minute to review. With as many groups as the
/// keys have values, their draws would hold a job for minutes.
fn with_names(mut cells: CellNames, of_keys: &BTreeSet<u16>) -> Result<CellNames, Refused> {
    let groups = cells.keys.iter().fold(1_usize, |groups, values| groups.saturating_mul(values.len()));
    let (mut left, mut draws) = (NAMES_MAX, 0_usize);
    for atom in &mut cells.atoms {
        atom.names = names(&atom.condition, &cells.hierarchies, left).map_err(too_many)?;
        atom.is_apart = atom.condition.columns().is_disjoint(of_keys);
        left = left.saturating_sub(atom.names.len());
        draws = draws.saturating_add(atom.names.len().saturating_mul(groups));
        if draws > DRAWS_MAX {
            return Err(too_many(NameFault::TooMany { most: DRAWS_MAX }));
        }
    }
    // A median has a hundred atoms: over months of one year it would take seconds to look at every group of each.
    let groups_max = GROUPS_MAX / cells.atoms.len().max(1);
    Ok(cells.with_deviations(groups_max))
}

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

/// The refusal of conditions that select too many named cells, or have no truth table within the limits.
///
/// Each name is a draw, and so many draws are neither made in time nor a number that is of use
/// (`sandbox/docs/disclosure-model.md`, section 5.8).
fn too_many(_fault: NameFault) -> Refused {
    Finding::of(Reason::TooManyNames)
        .with("limit", "named cells")
        .help(
            format!("choose whole months, years, bins or code prefixes: at most {NAMES_MAX} named cells"),
            format!("请按整月、整年、整个区间或编码前缀筛选：命名单元格不超过 {NAMES_MAX} 个"),
        )
        .into()
}

/// A plan over scans, with its columns written out over those of the datasets: `dataset.column`.
#[derive(Default)]
struct Scanned {
    /// The datasets that it reads, each once.
    read: BTreeSet<DatasetId>,
    /// Those of them of which each row of the plan is one row, and no two are the same.
    own: BTreeSet<DatasetId>,
    /// The plan's columns by name, each over raw columns.
    columns: BTreeMap<String, Expr>,
    /// The conditions of its rows, over raw columns.
    conditions: Vec<Expr>,
    /// The row filters of policies and grants, over raw columns.
    filters: BTreeSet<String>,
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
    fn of(plan: &LogicalPlan, policy: &EffectivePolicy) -> Result<Self, Refused> {
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
    fn raw(&self, expr: &Expr) -> Result<Expr, Refused> {
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
    fn own(&self, atom: &Atom) -> Result<DatasetId, Refused> {
        let mut owners = BTreeSet::new();
        for measure in atom.quantity.columns() {
            let raw = self.columns.get(measure).ok_or_else(internal)?;
            let of =
                |name: &String| self.own.iter().find(|id| name.starts_with(&format!("{}.", id.sql_name())));
            for column in condition::columns_of(raw) {
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
    fn measure(&self, atom: &Atom, spec: &AtomSpec, rows: &SourceRows) -> Result<String, Refused> {
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
    fn counted(&self, class: &Class, atom: &Atom, measure: &str) -> String {
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
fn columns_are_keys(condition: &Expr, policy: &EffectivePolicy) -> bool {
    let Expr::IsNotNull(inner) = condition else { return false };
    let Expr::Column(column) = inner.as_ref() else { return false };
    policy
        .datasets
        .values()
        .any(|dataset| dataset.units.iter().any(|unit| raw_name(dataset, &unit.column) == column.name))
}

/// That the subject of a row has a row in another dataset: a column without a name, which has one value or none.
fn is_there(dataset: &DatasetId) -> Expr {
    Expr::IsNotNull(Box::new(Expr::Column(Column::from_name(format!("{}.", dataset.sql_name())))))
}

/// The scale of the noise of an atom's value, in its units: one subject for a count of subjects, a subject's usual rows for one of
/// rows, and a subject's usual contribution for a sum. Where the document says nothing, the largest possible contribution.
fn unit(atom: &Atom, spec: &AtomSpec, rows: &SourceRows, dataset: &EffectiveDataset) -> Option<i128> {
    let is_one_row = rows.classes.iter().any(|class| class.one_row);
    let copies = if is_one_row { 1 } else { i128::from(dataset.usual_rows.unwrap_or(USUAL_ROWS)) };
    let most = |spec: &MeasureSpec| spec.low.saturating_abs().max(spec.high.saturating_abs());
    let usual = |column: &String, spec: &MeasureSpec| {
        let name = &rows.bases.get(column)?.name;
        let declared = dataset.columns.iter().find(|known| known.name == *name);
        declared.and_then(|column| column.usual).and_then(|usual: Fixed| usual.to_scaled(spec.scale))
    };
    match (&atom.quantity, spec) {
        (Quantity::Rows, _) => Some(copies),
        (Quantity::Measure(column), AtomSpec::Measure(spec)) => {
            rows.bases.get(column)?;
            Some(usual(column, spec).unwrap_or_else(|| most(spec).saturating_mul(copies)).max(1))
        }
        // Of numbers that are not negative the product of two sums is no less than the sum of their products.
        (Quantity::Product(left, right), AtomSpec::Product(a, b)) => {
            let usual = usual(left, a).zip(usual(right, b)).map(|(left, right)| left.saturating_mul(right));
            let most = || most(a).saturating_mul(most(b)).saturating_mul(copies);
            Some(usual.unwrap_or_else(most).max(1))
        }
        (Quantity::Measure(_) | Quantity::Product(..), _) => None,
    }
}

#[cfg(test)]
mod tests;

//! The rows below a boundary, read from the scans up: every column written out over those of the sealed datasets, with the
//! conditions that the rows have passed. Folds to one row for each subject are in `folded.rs`, joins in `joined.rs`.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use datafusion_common::Column;
use datafusion_common::tree_node::Transformed;
use datafusion_common::tree_node::TreeNode;
use datafusion_common::tree_node::TreeNodeRecursion;
use datafusion_expr::Expr;
use datafusion_expr::LogicalPlan;
use datafusion_expr::TableScan;
use datafusion_expr::utils::split_conjunction;
use obscura_policies::effective::EffectivePolicy;
use obscura_policies::vocabulary::DatasetId;

use crate::atoms::Atom;
use crate::atoms::Quantity;
use crate::catalog::scanned_dataset;
use crate::cell::AtomSpec;
use crate::cell::MeasureSpec;
use crate::column::where_and_value;
use crate::finding::Finding;
use crate::finding::Refused;
use crate::finding::internal;
use crate::floor::is_open;
use crate::reason::Reason;
use crate::source_rows::Class;
use crate::source_rows::SourceRows;

use super::derived::Derived;
use super::look_up::looks_up;
use super::raw::Reading;
use super::raw::columns_are_keys;
use super::raw::columns_of;
use super::raw::first_of;
use super::raw::raw_name;
use super::raw::raw_of;

/// The refusal of rows that no name of a cell tells.
///
/// Rows that are united, or that meet several rows of their subject, have another weight or are another set than those of one
/// table (`sandbox/docs/disclosure-model.md`, section 5.8).
pub(super) fn rows_without_names() -> Refused {
    Finding::of(Reason::RowsWithoutNames)
        .help(
            "ask of one table, joined by the unit key to tables that have one row for each subject or are aggregated by subject, and to small open tables by a column whose values are unique in them",
            "请查询一张表，并按主体标识关联每个主体只有一行或已按主体汇总的表，或按取值唯一的字段关联小型开放表",
        )
        .into()
}

/// Rows of which each row of a plan is one, and no two rows of the plan are the same.
#[derive(Debug, Clone)]
pub(super) struct Source {
    /// The dataset that they are from.
    pub(super) family: DatasetId,
    /// They are subjects, each with what its rows were folded to.
    pub(super) is_folded: bool,
    /// Unit keys, of each of which no two of them have the same value.
    pub(super) single: BTreeSet<String>,
}

/// A plan over scans, with its columns written out over those of the datasets: `dataset.column`.
#[derive(Default)]
pub(super) struct Scanned {
    /// The datasets that it reads, each once.
    pub(super) read: BTreeSet<DatasetId>,
    /// Those rows of which each row of the plan is one, by the name of the column that has a value where there is such a row.
    pub(super) own: BTreeMap<String, Source>,
    /// Those rows of which each row of the plan is one or none, in the same way.
    pub(super) perhaps: BTreeMap<String, Source>,
    /// Datasets whose columns stand in columns and conditions as they were sealed.
    pub(super) open_columns: BTreeSet<DatasetId>,
    /// The plan's columns by name, each over raw columns.
    pub(super) columns: BTreeMap<String, Expr>,
    /// The conditions of its rows, over raw columns.
    pub(super) conditions: Vec<Expr>,
    /// The row filters of policies and grants, over raw columns.
    pub(super) filters: BTreeSet<String>,
    /// No column has been computed yet: what is filtered here is filtered by a policy, before masks.
    pub(super) is_raw: bool,
    /// Unit keys that joins have equated, each with one that comes before it.
    pub(super) equated: BTreeMap<String, String>,
    /// The columns that folds have made, by name.
    pub(super) derived: BTreeMap<String, Derived>,
}

impl Scanned {
    /// Reads a plan that is made of scans, filters, projections, joins on a unit key and folds to one row for each subject.
    ///
    /// A plan that unites rows, or meets several rows of a subject, has no names in this version: the guard refuses its cells where a
    /// policy asks for noise.
    pub(super) fn of(plan: &LogicalPlan, reading: Reading<'_>) -> Result<Self, Refused> {
        #[expect(clippy::wildcard_enum_match_arm, reason = "the wildcard denies")]
        match plan {
            LogicalPlan::TableScan(scan) => Scanned::scan(scan, reading.policy),
            LogicalPlan::Filter(filter) => {
                let mut inner = Scanned::of(&filter.input, reading)?;
                // A row passes where all parts are true, whether a part says `IS TRUE` or not: the zones write it above outer joins.
                let parts = split_conjunction(&filter.predicate).into_iter().map(|part| match part {
                    Expr::IsTrue(part) => part.as_ref(),
                    part => part,
                });
                let condition = parts.cloned().reduce(Expr::and).ok_or_else(internal)?;
                let condition = inner.raw(&condition)?;
                // That rows have a subject is one condition for every question.
                match inner.is_raw && !columns_are_keys(&condition, reading.policy) {
                    true => drop(inner.filters.insert(condition.to_string())),
                    false => inner.conditions.push(condition),
                }
                Ok(inner)
            }
            LogicalPlan::Projection(projection) => {
                let inner = Scanned::of(&projection.input, reading)?;
                let exprs = projection.expr.iter().zip(projection.schema.fields());
                let columns = exprs.map(|(expr, field)| Ok((field.name().clone(), inner.raw(expr)?)));
                let columns = columns.collect::<Result<_, Refused>>()?;
                Ok(Scanned { columns, is_raw: false, ..inner })
            }
            LogicalPlan::SubqueryAlias(alias) => Scanned::of(&alias.input, reading),
            LogicalPlan::Sort(sort) if sort.fetch.is_none() => Scanned::of(&sort.input, reading),
            LogicalPlan::Join(join) => Scanned::join(join, reading),
            LogicalPlan::Aggregate(aggregate) => {
                Scanned::of(&aggregate.input, reading)?.aggregated(aggregate, reading)
            }
            _ => Err(rows_without_names()),
        }
    }

    fn scan(scan: &TableScan, policy: &EffectivePolicy) -> Result<Self, Refused> {
        let dataset = scanned_dataset(scan, policy);
        // What is neither sealed nor open is the released table of an earlier stage.
        let dataset = dataset.filter(|dataset| !is_open(dataset)).ok_or_else(rows_without_names)?;
        let raw = |name: &str| Expr::Column(Column::from_name(raw_name(dataset, name)));
        let fields = scan.projected_schema.fields().iter();
        let columns = fields.map(|field| (field.name().clone(), raw(field.name()))).collect();
        let single = dataset.units.iter().filter(|unit| unit.one_row_per_subject);
        let single = single.map(|unit| raw_name(dataset, &unit.column)).collect();
        let source = Source { family: dataset.id.clone(), is_folded: false, single };
        let read = BTreeSet::from([dataset.id.clone()]);
        let mut scanned = Scanned {
            open_columns: read.clone(),
            read,
            own: BTreeMap::from([(raw_name(dataset, ""), source)]),
            columns,
            is_raw: true,
            ..Scanned::default()
        };
        for filter in &scan.filters {
            let condition = scanned.raw(filter)?;
            scanned.conditions.push(condition);
        }
        Ok(scanned)
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

    /// The rows that an atom adds up: those of its measure, or for a count the first of those that the rows are of, sealed ones
    /// before folded ones. With them the name of the column that has a value where there is such a row.
    ///
    /// Secret and noise are that family's alone (`sandbox/docs/disclosure-model.md`, section 5.8).
    pub(super) fn own(&self, atom: &Atom) -> Result<(&String, &Source), Refused> {
        let mut owners = BTreeMap::new();
        for measure in atom.quantity.columns() {
            let raw = where_found(self.columns.get(measure).ok_or_else(internal)?);
            // A subject's usual contribution is stated of its own values, and not of what they find.
            if looks_up(raw) {
                return Err(rows_without_names());
            }
            for column in columns_of(raw) {
                let of = |(_, source): &(&String, &Source)| column.starts_with(&raw_of(&source.family, ""));
                let (there, source) =
                    self.own.iter().chain(&self.perhaps).find(of).ok_or_else(rows_without_names)?;
                owners.insert(there, source);
            }
        }
        let first = owners.pop_first().or_else(|| self.ranked());
        if owners.is_empty() { first.ok_or_else(rows_without_names) } else { Err(rows_without_names()) }
    }

    /// The columns that have a value in every row: those that say that the row is there.
    pub(super) fn certain(&self) -> BTreeSet<&str> {
        self.own.keys().map(String::as_str).collect()
    }

    /// The first of the rows that each row of the plan is one of, sealed ones before folded ones.
    pub(super) fn ranked(&self) -> Option<(&String, &Source)> {
        self.own.iter().min_by_key(|(there, source)| (source.is_folded, *there))
    }

    /// The quantity that an atom adds up, as a text: the written-out columns with the range that each contribution is clamped to and its decimal
    /// places. A count of rows of which every subject has one at most is the count of the subjects.
    ///
    /// Under two policies a column may have two ranges or masks: its sums are two numbers, and have two noises
    /// (`sandbox/docs/disclosure-model.md`, section 5.8).
    pub(super) fn measure(&self, atom: &Atom, spec: &AtomSpec, rows: &SourceRows) -> Result<String, Refused> {
        let of = |column: &String, spec: &MeasureSpec| {
            let raw = where_found(self.columns.get(column).ok_or_else(internal)?);
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
    pub(super) fn subjects(&self, class: &Class, atom: &Atom, measure: &str) -> String {
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

/// A column without the condition under which an outer join has found it: where it is missing it adds nothing to a sum, and that it is
/// there is a condition of the atom.
fn where_found(raw: &Expr) -> &Expr {
    match (where_and_value(raw), raw) {
        (Some((_, value)), _) => where_found(value),
        (None, Expr::Cast(cast)) => where_found(&cast.expr),
        (None, _) => raw,
    }
}

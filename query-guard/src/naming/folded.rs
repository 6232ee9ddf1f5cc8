//! Folds of several rows of a subject to one, read for the names of cells: that a subject has such rows, how many, and what they add up
//! to are columns of the subject, each with nodes of its own.
//!
//! Which rows are folded is one node of each column: whole months or years, one value, one prefix. With a union of nodes
//! the same subjects would have any number of names (a month in which nobody has a row changes nothing), and
//! noise that is added node by node cancels: those who came in May, and those who came in June, less those who came in either
//! of them, are those who came in both (`sandbox/docs/disclosure-model.md`, section 5.8).

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use arrow::datatypes::DataType;
use datafusion_common::Column;
use datafusion_expr::Aggregate;
use datafusion_expr::Case;
use datafusion_expr::Expr;
use datafusion_expr::expr::AggregateFunction;

use crate::cell_names::put;
use crate::column::where_and_value;
use crate::constant::is_constant;
use crate::cover::Condition;
use crate::cover::names;
use crate::domain::DOMAIN_NAME;
use crate::domain::Published;
use crate::finding::Finding;
use crate::finding::Refused;
use crate::finding::internal;
use crate::limits::NAMES_MAX;
use crate::reason::Reason;

use super::condition::Columns;
use super::derived::Derived;
use super::derived::FoldedRows;
use super::raw::Reading;
use super::raw::columns_are_keys;
use super::raw::columns_of;
use super::raw::first_of;
use super::raw::is_there;
use super::raw::raw_of;
use super::scanned::Scanned;
use super::scanned::Source;
use super::scanned::rows_without_names;
use super::too_many;

impl Scanned {
    /// These rows, folded to one for each subject, which has no columns but its key.
    pub(super) fn folded(mut self, key: &Expr, reading: Reading<'_>) -> Result<Self, Refused> {
        let key = self.unit_key(key, reading)?;
        let node = self.node(None, &key, reading)?;
        let source = self.first_source()?.clone();
        let there = self.counted(&source, &node, reading)?;
        Ok(self.of_subjects(source, there, BTreeSet::from([key])))
    }

    /// These rows, grouped by the key of their subject, with what they add up to.
    pub(super) fn aggregated(mut self, aggregate: &Aggregate, reading: Reading<'_>) -> Result<Self, Refused> {
        let mut keys = BTreeSet::new();
        let mut columns = BTreeMap::new();
        let mut fields = aggregate.schema.fields().iter();
        for (group, field) in aggregate.group_expr.iter().zip(fields.by_ref()) {
            let raw = self.raw(group)?;
            // A constant key does not divide a subject's rows.
            if !is_constant(&raw) {
                keys.insert(self.unit_key(&raw, reading)?);
            }
            columns.insert(field.name().clone(), raw);
        }
        let canonical: BTreeSet<String> = keys.iter().map(|key| self.canonical(key)).collect();
        let (Some(key), 1) = (keys.first().cloned(), canonical.len()) else {
            return Err(rows_without_names());
        };
        let source = self.first_source()?.clone();
        let all = self.node(None, &key, reading)?;
        let there = self.counted(&source, &all, reading)?;
        for (call, field) in aggregate.aggr_expr.iter().zip(fields) {
            let Expr::AggregateFunction(call) = call.clone().unalias() else { return Err(internal()) };
            let value = self.value(&source, &there, &key, &call, field.data_type(), reading)?;
            columns.insert(field.name().clone(), value);
        }
        Ok(Scanned { columns, ..self.of_subjects(source, there, keys) })
    }

    /// The value that one aggregate has for each subject, over raw columns and those that this fold makes.
    fn value(
        &mut self,
        source: &Source,
        there: &str,
        key: &str,
        call: &AggregateFunction,
        data_type: &DataType,
        reading: Reading<'_>,
    ) -> Result<Expr, Refused> {
        let params = &call.params;
        let is_plain =
            params.filter.is_none() && params.order_by.is_empty() && params.null_treatment.is_none();
        let ([arg], true) = (params.args.as_slice(), is_plain) else { return Err(rows_without_names()) };
        // The zones write a FILTER so.
        let (condition, arg) =
            where_and_value(arg).map_or((None, arg), |(condition, value)| (Some(condition), value));
        let mut chosen: Vec<Expr> =
            condition.map(|condition| self.raw(condition)).transpose()?.into_iter().collect();
        let arg = self.raw(arg)?;
        let column = |name: String| Expr::Column(Column::from_name(name));
        if call.func.name() == "count" && !params.distinct {
            if !is_constant(&arg)
                && !columns_are_keys(&Expr::IsNotNull(Box::new(arg.clone())), reading.policy)
            {
                chosen.push(Expr::IsNotNull(Box::new(arg)));
            }
            let Some(chosen) = chosen.into_iter().reduce(Expr::and) else {
                return Ok(column(there.to_owned()));
            };
            let node = self.node(Some(&chosen), key, reading)?;
            let counted = column(self.counted(source, &node, reading)?);
            // A subject of the fold without such rows has none of them.
            let found = vec![(Box::new(Expr::IsNotNull(Box::new(counted.clone()))), Box::new(counted))];
            let none = Box::new(datafusion_expr::lit(0_i64));
            return Ok(Expr::Case(Case::new(None, found, Some(none))));
        }
        // The zones admit a bare column here, so that its text has one form.
        let inner = without_casts(&arg);
        let [raw] = columns_of(inner).try_into().map_err(|_| rows_without_names())?;
        let node = self.node(chosen.into_iter().reduce(Expr::and).as_ref(), key, reading)?;
        let distinct = if params.distinct { "distinct " } else { "" };
        let name = node.column(&source.family, &format!("{} of {distinct}{inner}", call.func.name()));
        let is_count = call.func.name() == "count";
        let published = match is_count {
            true => Published::counts(rows_max(source, reading)?),
            false => of_values(inner, &raw, call.func.name(), data_type, reading),
        };
        self.derived.insert(name.clone(), Derived { published, of: node, counts: false });
        Ok(column(name))
    }

    /// The column of how many rows of a node a subject has, which are missing where there are none.
    fn counted(
        &mut self,
        source: &Source,
        node: &FoldedRows,
        reading: Reading<'_>,
    ) -> Result<String, Refused> {
        let name = node.column(&source.family, "rows");
        let published = Published::counts(rows_max(source, reading)?);
        self.derived.insert(name.clone(), Derived { published, of: node.clone(), counts: true });
        Ok(name)
    }

    /// The rows that pass all conditions and a further one, as one node of each column.
    fn node(&self, further: Option<&Expr>, key: &str, reading: Reading<'_>) -> Result<FoldedRows, Refused> {
        let mut columns = Columns::new(reading, &self.derived, self.certain());
        let (there, _) = self.ranked().ok_or_else(rows_without_names)?;
        let others = self.own.keys().filter(|other| *other != there).map(|other| columns.there(other));
        let mut all = others.collect::<Result<Vec<_>, _>>()?;
        for condition in self.conditions.iter().chain(further) {
            all.push(columns.condition(condition)?);
        }
        let found = names(&Condition::All(all), &columns.hierarchies(), NAMES_MAX).map_err(too_many)?;
        let mut terms = found.terms();
        let (Some((name, 1)), None) = (terms.next(), terms.next()) else { return Err(not_one_node()) };
        let by_number = columns.by_number();
        let mut base = Vec::new();
        put(&mut base, there.as_bytes());
        put(&mut base, self.canonical(key).as_bytes());
        self.filters.iter().for_each(|filter| put(&mut base, filter.as_bytes()));
        let nodes = name.iter().filter_map(|(column, node)| {
            let (column, published) = by_number.get(column)?;
            Some((column.clone(), (*published.fingerprint(), published.hierarchy().span(*node))))
        });
        Ok(FoldedRows { base, nodes: nodes.collect() })
    }

    /// One row for each subject: nothing of the rows is left but what was folded.
    fn of_subjects(self, source: Source, there: String, single: BTreeSet<String>) -> Self {
        let folded = Source { is_folded: true, single, ..source };
        Scanned {
            own: BTreeMap::from([(there, folded)]),
            perhaps: BTreeMap::new(),
            open_columns: BTreeSet::new(),
            columns: BTreeMap::new(),
            conditions: Vec::new(),
            is_raw: false,
            ..self
        }
    }

    fn first_source(&self) -> Result<&Source, Refused> {
        self.ranked().map(|(_, source)| source).ok_or_else(rows_without_names)
    }

    /// The name of a raw unit key.
    fn unit_key(&self, key: &Expr, reading: Reading<'_>) -> Result<String, Refused> {
        let Expr::Column(column) = key else { return Err(rows_without_names()) };
        let is_key = columns_are_keys(&is_there(&column.name), reading.policy);
        if is_key { Ok(column.name.clone()) } else { Err(rows_without_names()) }
    }

    fn canonical(&self, key: &str) -> String {
        first_of(&Expr::Column(Column::from_name(key)), &self.equated)
    }
}

/// The value that is added up, before the casts to a type that holds sums of it.
fn without_casts(expr: &Expr) -> &Expr {
    #[expect(clippy::wildcard_enum_match_arm, reason = "anything else is a value of its own")]
    match expr {
        Expr::Cast(cast) => without_casts(&cast.expr),
        Expr::TryCast(cast) => without_casts(&cast.expr),
        other => other,
    }
}

/// The most rows of a subject that a count tells apart: above it the zones cut it off.
fn rows_max(source: &Source, reading: Reading<'_>) -> Result<u32, Refused> {
    let dataset = reading.policy.datasets.get(&source.family).ok_or_else(internal)?;
    Ok(dataset.max_rows_per_subject.max(1))
}

/// The domain of what a subject's values of a column come to: the column's own where it is one of them, as the scan has brought them
/// into it.
///
/// A sum may lie beyond the range, where no point of the domain does: `c >= 1200` would be true of people and of no name, and their
/// number would have no noise. So of a sum it is only said that there is one.
fn of_values(
    inner: &Expr,
    raw: &str,
    function: &str,
    data_type: &DataType,
    reading: Reading<'_>,
) -> Published {
    let is_as_sealed = match inner {
        Expr::Column(_) => true,
        Expr::ScalarFunction(call) => call.name() == DOMAIN_NAME,
        _ => false,
    };
    let declared = reading.policy.datasets.values().filter(|_| is_as_sealed).find_map(|dataset| {
        let name = raw.strip_prefix(&raw_of(&dataset.id, ""))?;
        let column = dataset.columns.iter().find(|column| column.name == name)?;
        Published::of(column, dataset).ok()
    });
    let known = match (declared, function) {
        (Some(declared), "min" | "max") => declared.in_type(data_type),
        (Some(declared), "sum") => declared.sums(),
        _ => None,
    };
    known.unwrap_or_else(|| Published::present(data_type.clone()))
}

/// The refusal of a fold over rows that are several nodes of a column.
///
/// Each union of nodes would be a further draw for nearly the same subjects, without an end
/// (`sandbox/docs/disclosure-model.md`, section 5.8).
fn not_one_node() -> Refused {
    Finding::of(Reason::FoldedRowsNotOneNode)
        .help(
            "choose a subject's rows by one value, one month, one year or one step of each column",
            "按主体筛选行时，每个字段只取一个值、一个整月、一个整年或一个区间",
        )
        .into()
}

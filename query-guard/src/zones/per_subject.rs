//! Aggregates over a subject's own rows: every carried unit key is among the group keys, so nothing is released yet.
//! Counts come out top-coded, sums and means as measures that obey the bins of what they add up.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion_common::DFSchema;
use datafusion_common::ScalarValue;
use datafusion_expr::Case;
use datafusion_expr::Expr;
use datafusion_expr::LogicalPlanBuilder;
use datafusion_expr::Operator;
use datafusion_expr::TryCast;
use datafusion_expr::expr::AggregateFunction;
use datafusion_functions_aggregate::expr_fn;
use obscura_policies::fixed::Fixed;
use obscura_policies::vocabulary::Function;
use obscura_policies::vocabulary::Level;
use obscura_policies::vocabulary::Role;
use obscura_policies::vocabulary::Use;

use crate::column::bare_column;
use crate::column::under;
use crate::column_facts::ColumnFacts;
use crate::column_facts::ColumnKind;
use crate::column_facts::Conditions;
use crate::column_facts::RowCondition;
use crate::column_facts::base_column;
use crate::constant::is_constant;
use crate::finding::Finding;
use crate::finding::Refused;
use crate::finding::first_span;
use crate::reason::Reason;
use crate::shape::ShapeCheck;
use crate::source_rows::Class;
use crate::source_rows::Multiplicity;
use crate::source_rows::SourceRows;
use crate::source_rows::Unique;

use super::ZonePass;
use crate::finding::internal;
use crate::finding::not_built;

/// The rows being put together.
#[derive(Default)]
struct Grouped {
    group: Vec<Expr>,
    calls: Vec<Expr>,
    finish: Vec<Expr>,
    bases: BTreeMap<String, ColumnFacts>,
    outputs: Vec<Expr>,
}

impl ZonePass<'_> {
    /// True when every class of subjects has its key among the group keys.
    ///
    /// With the key of one class alone, a group of a person would hold the rows of several firms, and nobody would
    /// count the firms any more (`sandbox/docs/disclosure-model.md`, section 4.9).
    pub(super) fn groups_by_subject(&self, source_rows: &SourceRows, keys: &[Expr]) -> bool {
        source_rows.classes.iter().all(|class| {
            class.kind.is_some() && keys.iter().any(|key| class_of(source_rows, key) == Some(&class.column))
        })
    }

    /// An aggregate over a subject's own rows: rows of individuals again, which describe each subject.
    ///
    /// Nothing leaves here, so that no threshold is needed. All that the rows had read stays with them, and what stood
    /// in several rows of a subject stays a copy: a union that gives each copy a label of its own (`1 AS k`, `2 AS k`)
    /// and takes it for a key would otherwise count chosen people twice
    /// (`sandbox/docs/disclosure-model.md`, section 4.9).
    pub(super) fn per_subject(
        &mut self,
        source_rows: SourceRows,
        keys: &[Expr],
        calls: &[Expr],
        schema: &Arc<DFSchema>,
    ) -> Result<SourceRows, Refused> {
        if keys.len() + calls.len() != schema.fields().len() {
            return Err(internal());
        }
        let instance = self.instance();
        let cap = self.rows_cap(&source_rows);
        // A constant key does not divide a subject's rows into several groups.
        let splitting = keys.iter().filter(|key| !is_constant(key)).count();
        let mut shape = ShapeCheck::new(&source_rows.bases, &source_rows.conditions, self.review);
        let mut grouped = Grouped::default();
        let mut classes = Vec::with_capacity(source_rows.classes.len());
        for (index, class) in source_rows.classes.iter().enumerate() {
            let name = format!("p{instance}__unit{index}");
            let base = source_rows.bases.get(&class.column).ok_or_else(internal)?;
            grouped.keep(&name, base_column(&class.column), unit_base(base, &name));
            // Grouped by nothing but its own key a subject has one row; a second class or key would split it.
            let one_row = splitting == 1 && source_rows.classes.len() == 1;
            classes.push(Class { column: name, clustered: false, one_row, ..class.clone() });
        }
        let mut refused = Vec::new();
        for (index, key) in keys.iter().enumerate() {
            let name = format!("p{instance}_k{index}");
            match class_of(&source_rows, key) {
                Some(hidden) => {
                    let class = source_rows
                        .classes
                        .iter()
                        .position(|class| class.column == *hidden)
                        .ok_or_else(internal)?;
                    let hidden = format!("p{instance}__unit{class}");
                    let (_, base) = source_rows.unit_key(key).ok_or_else(internal)?;
                    let kind = kind_with_class(&base, &hidden);
                    grouped.keep(&name, key.clone(), ColumnFacts { kind, ..base });
                }
                None => match shape.group_key(key) {
                    Ok(expr) => {
                        let base = key_base(&source_rows, key, schema.field(index).data_type(), shape.grade);
                        grouped.keep(&name, expr, base);
                    }
                    Err(findings) => refused.extend(findings),
                },
            }
            grouped.outputs.push(base_column(&name));
        }
        let owners: BTreeSet<String> = classes.iter().map(|class| class.column.clone()).collect();
        for (index, call) in calls.iter().enumerate() {
            let Expr::AggregateFunction(call) = call.clone().unalias() else { return Err(internal()) };
            let name = format!("p{instance}_a{index}");
            let target = schema.field(keys.len() + index).data_type();
            let own = own_rows(&call, &mut shape, &source_rows, target, cap).and_then(|own| {
                Ok(self.functions_allowed(&source_rows.taint, own.function).map(|()| own)?)
            });
            match own {
                Ok(own) => {
                    self.top_coded |= matches!(own.finish, Finish::Capped(_));
                    grouped.add(&name, own);
                }
                Err(findings) => refused.extend(findings),
            }
        }
        Refused::if_any(refused)?;
        let mut taint = source_rows.taint.clone();
        taint.read(shape.read());
        taint.read(self.take_subqueries_read());
        let mut builder = LogicalPlanBuilder::from(source_rows.plan.clone());
        for class in source_rows.classes.iter().filter(|class| class.optional) {
            builder =
                builder.filter(Expr::IsNotNull(Box::new(base_column(&class.column)))).map_err(not_built)?;
        }
        for class in &mut classes {
            class.optional = false;
        }
        // Grouped by its key alone a subject has one row, also after joins that repeated rows. Any further key may be a
        // label that the analyst gave to each copy.
        let by_subject_alone = splitting == source_rows.classes.len();
        let multiplicity = Multiplicity {
            copied_by: if by_subject_alone {
                BTreeSet::new()
            } else {
                source_rows.multiplicity.copied_by.clone()
            },
            equalities: None,
        };
        for base in grouped.bases.values_mut() {
            base.owners.clone_from(&owners);
            if by_subject_alone {
                base.copied_by.clear();
            } else {
                // What stood in several rows of a subject still does, in several groups.
                base.copied_by.extend(multiplicity.copied_by.iter().copied());
            }
            base.missing_by = None;
        }
        let plan = builder
            .aggregate(grouped.group, grouped.calls)
            .and_then(|builder| builder.project(grouped.finish))
            .and_then(LogicalPlanBuilder::build)
            .map_err(not_built)?;
        Ok(SourceRows {
            plan,
            bases: grouped.bases,
            schema: Arc::clone(schema),
            outputs: grouped.outputs,
            classes,
            taint,
            unique: Unique::default(),
            multiplicity,
            conditions: Conditions::from([RowCondition::of_no_scan(format!("per subject {instance}"))]),
        })
    }

    /// The smallest `max_rows_per_subject` of the datasets read.
    ///
    /// Counts of a subject's rows are cut off there, so that they have a range, by which their sums are clamped and
    /// rounded (`sandbox/docs/disclosure-model.md`, section 4.9).
    pub(super) fn rows_cap(&self, source_rows: &SourceRows) -> u32 {
        source_rows
            .taint
            .datasets
            .iter()
            .filter_map(|id| self.policy.datasets.get(id))
            .map(|dataset| dataset.max_rows_per_subject)
            .min()
            .unwrap_or(1)
            .max(1)
    }
}

impl Grouped {
    fn keep(&mut self, name: &str, expr: Expr, base: ColumnFacts) {
        self.group.push(expr.alias(name));
        self.finish.push(base_column(name));
        self.bases.insert(name.to_owned(), base);
    }

    fn add(&mut self, name: &str, own: OwnRows) {
        for (suffix, aggregate) in own.aggregates {
            self.calls.push(aggregate.alias(format!("{name}{suffix}")));
        }
        self.finish.push(own.finish.of(name).alias(name));
        self.bases.insert(name.to_owned(), own.base);
        self.outputs.push(base_column(name));
    }
}

/// One aggregate over a subject's own rows: what is computed, how it is finished, and what it is afterwards.
pub(super) struct OwnRows {
    /// Plain aggregates, by the suffix of their column.
    pub(super) aggregates: Vec<(&'static str, Expr)>,
    pub(super) finish: Finish,
    pub(super) base: ColumnFacts,
    /// The function that a policy must allow for it; values that are only carried along need none.
    pub(super) function: Option<Function>,
}

/// The last step, which makes the value from the plain aggregates.
pub(super) enum Finish {
    /// A count, top-coded.
    Capped(u32),
    /// A rank among a subject's own rows, top-coded, in the type that the SQL promised.
    Rank(u32, DataType),
    /// The value, in the type that the SQL promised.
    Cast(DataType),
    /// True if the value is one.
    Truth,
    /// Sum over count, in the type that the SQL promised.
    Mean(DataType),
}

impl Finish {
    /// The last step over the plain aggregates of one column, in a form that cannot fail.
    ///
    /// Casts that do not fit yield NULL: a failing query would tell that some person has such a value
    /// (`sandbox/docs/disclosure-model.md`, section 7).
    pub(super) fn of(self, name: &str) -> Expr {
        let cast = |expr: Expr, target: DataType| Expr::TryCast(TryCast::new(Box::new(expr), target));
        let part = |suffix: &str| base_column(&format!("{name}{suffix}"));
        match self {
            Self::Capped(cap) => capped(part(COUNT), cap),
            Self::Rank(cap, target) => cast(capped(cast(part(VALUE), DataType::Int64), cap), target),
            Self::Cast(target) => cast(part(VALUE), target),
            Self::Truth => {
                let one = Expr::Literal(ScalarValue::Int64(Some(1)), None);
                datafusion_expr::binary_expr(part(VALUE), Operator::Eq, one)
            }
            Self::Mean(target) => {
                let float = |suffix: &str| cast(part(suffix), DataType::Float64);
                cast(datafusion_expr::binary_expr(float(VALUE), Operator::Divide, float(COUNT)), target)
            }
        }
    }
}

pub(super) const VALUE: &str = "_value";
const COUNT: &str = "_count";

/// Recognises one aggregate over a subject's own rows.
///
/// Only values are computed that lie within the range of their column or among its own values, so that its rules still
/// hold for them. `MIN(20001) AS x` is a literal by another name, which would cut a bin in two, and counts or sums of
/// copied rows are weights (`sandbox/docs/disclosure-model.md`, section 4.9).
pub(super) fn own_rows(
    call: &AggregateFunction,
    shape: &mut ShapeCheck<'_>,
    source_rows: &SourceRows,
    target: &DataType,
    cap: u32,
) -> Result<OwnRows, Refused> {
    let params = &call.params;
    let sql = shape.review().sql;
    let refused = || Refused::from(not_per_subject(call, sql));
    let is_count = call.func.name() == "count";
    if (params.distinct && !is_count) || !params.order_by.is_empty() || params.null_treatment.is_some() {
        return Err(refused());
    }
    let filter = params.filter.as_ref().map(|filter| shape.predicate(filter)).transpose()?;
    let [arg] = params.args.as_slice() else { return Err(refused()) };
    let column = bare_column(&source_rows.bases, arg);
    let base = column.and_then(|column| source_rows.base(column));
    if is_count && params.distinct {
        // How many values a subject has is no more than how many rows; the copies of a join make none more of them.
        let base = base.filter(|base| matches!(base.kind, ColumnKind::Declared(_)) && !base.uses.is_empty());
        shape.grade = shape.grade.max(base.ok_or_else(refused)?.grade);
        let aggregates = vec![(COUNT, expr_fn::count_distinct(under(filter, arg.clone())))];
        let (finish, base) = (Finish::Capped(cap), count_base(source_rows, cap));
        return Ok(OwnRows { aggregates, finish, base, function: Some(Function::CountDistinct) });
    }
    if is_count {
        let counted = match base {
            None if is_constant(arg) => Expr::Literal(ScalarValue::Int64(Some(1)), None),
            Some(base) if !base.uses.is_empty() => arg.clone(),
            _ => return Err(refused()),
        };
        if !source_rows.counts_once(base) {
            return Err(repeated(call, sql).into());
        }
        shape.grade = base.map_or(shape.grade, |base| shape.grade.max(base.grade));
        let aggregates = vec![(COUNT, expr_fn::count(under(filter, counted)))];
        let (finish, base) = (Finish::Capped(cap), count_base(source_rows, cap));
        return Ok(OwnRows { aggregates, finish, base, function: Some(Function::Count) });
    }
    if matches!(call.func.name(), "bool_and" | "bool_or") {
        return any_or_every(call, arg, filter, shape);
    }
    let extreme = matches!(call.func.name(), "min" | "max");
    if let (Some(column), Some(base)) = (column, base.filter(|base| extreme && is_ordered_dimension(base))) {
        if !base.allows(Use::Filter) && !base.allows(Use::Group) {
            return Err(refused());
        }
        shape.grade = shape.grade.max(base.grade);
        let value = under(filter, base_column(&column.name));
        let chosen = if call.func.name() == "min" { expr_fn::min(value) } else { expr_fn::max(value) };
        let base = ColumnFacts { data_type: target.clone(), optional: false, ..base.clone() };
        let (aggregates, finish) = (vec![(VALUE, chosen)], Finish::Cast(target.clone()));
        return Ok(OwnRows { aggregates, finish, base, function: function_named(call.func.name()) });
    }
    let base = base.filter(|base| base.is_measure() && base.allows(Use::Aggregate)).ok_or_else(refused)?;
    let column = column.ok_or_else(refused)?;
    if !base.copied_by.is_empty() && !matches!(call.func.name(), "min" | "max") {
        return Err(repeated(call, sql).into());
    }
    shape.grade = shape.grade.max(base.grade);
    let places = i8::try_from(base.scale.min(6)).unwrap_or(6);
    // DataFusion's sums wrap silently: 28 digits do not, for any number of rows.
    let exact = TryCast::new(Box::new(base_column(&column.name)), DataType::Decimal128(28, places));
    let value = under(filter, Expr::TryCast(exact));
    let (low, high) = base.range.ok_or_else(refused)?;
    let most = i64::from(cap);
    let total = || Some((low.checked_mul_i64(most)?.min(low), high.checked_mul_i64(most)?.max(high)));
    let (aggregates, finish, range) = match call.func.name() {
        "sum" => {
            (vec![(VALUE, expr_fn::sum(value))], Finish::Cast(target.clone()), total().ok_or_else(refused)?)
        }
        "min" => (vec![(VALUE, expr_fn::min(value))], Finish::Cast(target.clone()), (low, high)),
        "max" => (vec![(VALUE, expr_fn::max(value))], Finish::Cast(target.clone()), (low, high)),
        "avg" => {
            let parts = vec![(VALUE, expr_fn::sum(value.clone())), (COUNT, expr_fn::count(value))];
            (parts, Finish::Mean(target.clone()), (low, high))
        }
        _ => return Err(refused()),
    };
    let measured = ColumnFacts {
        kind: ColumnKind::SubjectMeasure,
        mask: None,
        range: Some(range),
        data_type: target.clone(),
        optional: false,
        ..base.clone()
    };
    Ok(OwnRows { aggregates, finish, base: measured, function: function_named(call.func.name()) })
}

/// `BOOL_OR` and `BOOL_AND` over a subject's own rows: a condition on the subject, made of conditions on its rows.
///
/// The condition obeys the shape rule: `BOOL_OR(visit_id = 'v1')` asks for one person
/// (`sandbox/docs/disclosure-model.md`, section 4.9). The outcome is computed as a number, because the engine fails on
/// booleans over a frame whose beginning moves, and a failure would tell that somebody fits
/// (`sandbox/docs/disclosure-model.md`, section 7).
fn any_or_every(
    call: &AggregateFunction,
    arg: &Expr,
    filter: Option<Expr>,
    shape: &mut ShapeCheck<'_>,
) -> Result<OwnRows, Refused> {
    let condition = shape.predicate(arg)?;
    let number = |value: i64| Box::new(Expr::Literal(ScalarValue::Int64(Some(value)), None));
    // As a number: the engine has no booleans over a frame whose beginning moves.
    let branches = vec![
        (Box::new(Expr::IsTrue(Box::new(condition.clone()))), number(1)),
        (Box::new(Expr::IsFalse(Box::new(condition))), number(0)),
    ];
    let value = under(filter, Expr::Case(Case::new(None, branches, None)));
    let outcome = if call.func.name() == "bool_or" { expr_fn::max(value) } else { expr_fn::min(value) };
    let uses = BTreeSet::from([Use::Filter, Use::Group]);
    Ok(OwnRows {
        aggregates: vec![(VALUE, outcome)],
        finish: Finish::Truth,
        base: ColumnFacts::derived("condition", uses, shape.grade, DataType::Boolean),
        function: function_named(call.func.name()),
    })
}

/// The word by which a policy allows an aggregate.
fn function_named(name: &str) -> Option<Function> {
    Function::ALL.iter().copied().find(|function| function.as_str() == name)
}

/// A date, time or whole number that is no measure: the first and last of them are among its own values.
///
/// So the column's own rules hold for them, whereas the least text may be a name, and the least measure would escape
/// its bins if it were taken for a dimension (`sandbox/docs/disclosure-model.md`, section 4.9).
fn is_ordered_dimension(base: &ColumnFacts) -> bool {
    let plain =
        matches!(base.kind, ColumnKind::Declared(role) if !matches!(role, Role::Measure | Role::Identifier));
    plain && !base.open && (base.data_type.is_temporal() || base.data_type.is_integer())
}

/// The refusal of a count or sum over rows that a join or union may repeat.
///
/// `COUNT(*)` per person over `visits UNION ALL visits WHERE day = 3` weighs those of one day, and the difference to
/// the plain total shows them (`sandbox/docs/disclosure-model.md`, section 4.5).
fn repeated(call: &AggregateFunction, sql: &str) -> Finding {
    crate::atoms::repeated_rows(call.params.args.iter().find_map(|arg| first_span(sql, arg)))
}

/// The refusal of an aggregate that is none of those over a subject's own rows.
///
/// A median or a deviation has no bins and no range that would bound it in the sums above
/// (`sandbox/docs/disclosure-model.md`, section 4.9).
fn not_per_subject(call: &AggregateFunction, sql: &str) -> Finding {
    let span = call.params.args.iter().find_map(|arg| first_span(sql, arg));
    Finding::of(Reason::NotOverOwnRows).at(span).with("function", call.func.name()).help(
        "per subject, use COUNT, SUM, AVG, MIN or MAX of a bare measure, MIN or MAX of a date, or BOOL_OR of a condition",
        "按主体汇总时，可对度量字段使用 COUNT、SUM、AVG、MIN、MAX，对日期使用 MIN、MAX，对条件使用 BOOL_OR",
    )
}

/// A count, cut off at its cap: it lies within the range that its sums are clamped and rounded by
/// (`sandbox/docs/disclosure-model.md`, section 4.9).
fn capped(count: Expr, cap: u32) -> Expr {
    let most = || Expr::Literal(ScalarValue::Int64(Some(i64::from(cap))), None);
    let above = datafusion_expr::binary_expr(count.clone(), Operator::Gt, most());
    Expr::Case(Case::new(None, vec![(Box::new(above), Box::new(most()))], Some(Box::new(count))))
}

/// The facts of a count of a subject's rows.
///
/// Its grade is that of all that was read, since a condition decides what it counts. Its kind keeps it from being a
/// weight (`SUM(p.salary * s.n)`) and a literal (`v.cost <= a.n`), because the analyst can pin it to a number
/// (`sandbox/docs/disclosure-model.md`, section 4.9).
pub(super) fn count_base(source_rows: &SourceRows, cap: u32) -> ColumnFacts {
    ColumnFacts {
        kind: ColumnKind::SubjectCount,
        range: Some((Fixed::ZERO, Fixed::from_i64(i64::from(cap)))),
        ..ColumnFacts::derived(
            "count",
            BTreeSet::from([Use::Filter, Use::Group, Use::Aggregate]),
            source_rows.taint.grade,
            DataType::Int64,
        )
    }
}

/// The facts of a hidden unit key under its new name, present in every row
/// (`sandbox/docs/disclosure-model.md`, section 4.9).
fn unit_base(base: &ColumnFacts, name: &str) -> ColumnFacts {
    ColumnFacts { kind: kind_with_class(base, name), optional: false, ..base.clone() }
}

/// The kind of a unit key that belongs to a class under its new name: keys of one subject stay in one class
/// (`sandbox/docs/disclosure-model.md`, section 4.9).
fn kind_with_class(base: &ColumnFacts, hidden: &str) -> ColumnKind {
    match &base.kind {
        ColumnKind::UnitKey { kind, .. } => {
            ColumnKind::UnitKey { kind: kind.clone(), class: hidden.to_owned() }
        }
        other => other.clone(),
    }
}

/// The hidden column of the class that a unit key belongs to, unless the key may be missing.
///
/// After `persons p LEFT JOIN visits v` all people without a visit lack the key of `v`: grouped by it they would be one
/// group of many people that passes for one subject (`sandbox/docs/disclosure-model.md`, section 4.9).
pub(super) fn class_of<'b>(source_rows: &'b SourceRows, key: &Expr) -> Option<&'b String> {
    // The key of a side that may be missing does not tell every row's subject.
    source_rows.unit_key(key).filter(|(_, base)| !base.optional).map(|(class, _)| class)
}

/// The facts of a group key above the fold.
///
/// A column keeps its own. A coarser form may be used as what it was made of may be, and is a label that no column is
/// compared with: it may be a constant (`43210 AS low`), and compared with a measure it would be a literal off its
/// edges (`sandbox/docs/disclosure-model.md`, section 4.9).
fn key_base(source_rows: &SourceRows, key: &Expr, data_type: &DataType, grade: Level) -> ColumnFacts {
    if let Some(base) = bare_column(&source_rows.bases, key).and_then(|column| source_rows.base(column)) {
        return ColumnFacts { data_type: data_type.clone(), ..base.clone() };
    }
    // A coarser form may be used as what it was made from may be, no further.
    let sources = key.column_refs().into_iter().filter_map(|column| source_rows.base(column));
    let uses = sources.fold(BTreeSet::from([Use::Filter, Use::Group]), |uses, base| {
        uses.intersection(&base.uses).copied().chain([Use::Group]).collect()
    });
    ColumnFacts::derived("key", uses, grade, data_type.clone())
}

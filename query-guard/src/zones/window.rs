//! Windows: over individuals only a subject's own rows (`PARTITION BY person_id`), so that nothing is released yet.
//! Ranks come out top-coded, sums and means as measures; what a window repeats over rows is never added up again.

use std::collections::BTreeSet;

use arrow::datatypes::DataType;
use datafusion_common::ScalarValue;
use datafusion_expr::Expr;
use datafusion_expr::LogicalPlan;
use datafusion_expr::LogicalPlanBuilder;
use datafusion_expr::Window;
use datafusion_expr::WindowFrame;
use datafusion_expr::WindowFrameBound;
use datafusion_expr::WindowFrameUnits;
use datafusion_expr::WindowFunctionDefinition;
use datafusion_expr::expr::AggregateFunction;
use datafusion_expr::expr::Sort;
use datafusion_expr::expr::WindowFunction;
use datafusion_expr::expr::WindowFunctionParams;
use obscura_policies::vocabulary::Function;
use obscura_policies::vocabulary::Role;
use obscura_policies::vocabulary::Use;

use crate::column::bare_column;
use crate::column_facts::ColumnFacts;
use crate::column_facts::ColumnKind;
use crate::column_facts::base_column;
use crate::finding::Finding;
use crate::finding::Refused;
use crate::finding::first_span;
use crate::reason::Reason;
use crate::shape::ShapeCheck;
use crate::source_rows::Class;
use crate::source_rows::SourceRows;
use crate::source_rows::Unique;

use super::Zone;
use super::ZonePass;
use super::per_subject::Finish;
use super::per_subject::OwnRows;
use super::per_subject::VALUE;
use super::per_subject::class_of;
use super::per_subject::count_base;
use super::per_subject::own_rows;
use crate::finding::internal;
use crate::finding::not_built;

/// Most rows that a frame or a function looks away from its own.
const ROWS_MAX: u64 = 1_000;

/// The rows that a function sees for each row: those of the same subject, in an order, within a frame.
struct Over {
    partition_by: Vec<Expr>,
    order_by: Vec<Sort>,
    frame: WindowFrame,
}

impl ZonePass<'_> {
    /// The zone of window functions: free over released values, and over individuals a subject's own rows alone.
    ///
    /// `salary - LAG(s) OVER (ORDER BY person_id)` over running sums is the salary of each person
    /// (`sandbox/docs/disclosure-model.md`, section 4.10).
    pub(super) fn window(&mut self, plan: &LogicalPlan, window: &Window) -> Result<Zone, Refused> {
        match self.zone(&window.input)? {
            Zone::Individual(rows) => {
                self.own_windows(*rows, window).map(|rows| Zone::Individual(Box::new(rows)))
            }
            Zone::Public(rows) => self.over_open_tables(plan, *rows).map(Zone::Released),
            Zone::Released(input) => self.rebuild(plan, vec![input]).map(Zone::Released),
        }
    }

    /// Window functions over rows of individuals.
    ///
    /// Their values describe one subject, and nothing leaves here. A window repeats its value over the rows of a
    /// subject, so that it is not added up: `SUM(cost) OVER (PARTITION BY person_id)` would count for each row once
    /// more (`sandbox/docs/disclosure-model.md`, section 4.10).
    ///
    /// # Errors
    /// `operation-over-individuals` when the rows are not those of one subject, or the function is none of those that
    /// only look at a subject's own rows.
    fn own_windows(&mut self, source_rows: SourceRows, window: &Window) -> Result<SourceRows, Refused> {
        let instance = self.instance();
        let cap = self.rows_cap(&source_rows);
        let mut calls = Vec::new();
        let mut columns: Vec<Expr> = source_rows.bases.keys().map(|name| base_column(name)).collect();
        let mut bases = source_rows.bases.clone();
        let mut outputs = source_rows.outputs.clone();
        let mut shape = ShapeCheck::new(&source_rows.bases, &source_rows.conditions, self.review);
        let owners: BTreeSet<String> = source_rows.classes.iter().map(|class| class.column.clone()).collect();
        for (index, expr) in window.window_expr.iter().enumerate() {
            let Expr::WindowFunction(function) = self.define(&source_rows, expr)?.unalias() else {
                return Err(internal());
            };
            let over = self.over(&source_rows, &function, &mut shape)?;
            // A function of positions counts copies too: the joins so far keep their rows.
            if goes_by_position(&function) && !source_rows.multiplicity.copied_by.is_empty() {
                self.many_to_many.clear();
            }
            let target = window.schema.field(source_rows.outputs.len() + index).data_type();
            let own = self.own_window(&source_rows, &function, &mut shape, target, cap)?;
            self.top_coded |= matches!(own.finish, Finish::Capped(..) | Finish::Rank(..));
            self.functions_allowed(&source_rows.taint, own.function)?;
            let name = format!("w{instance}_{index}");
            for (suffix, call) in own.aggregates {
                calls.push(over.call(call)?.alias(format!("{name}{suffix}")));
            }
            columns.push(own.finish.of(&name).alias(&name));
            let copied_by = source_rows.multiplicity.copied_by.iter().copied().chain([instance]).collect();
            let owners = if own.base.owners.is_empty() { owners.clone() } else { own.base.owners.clone() };
            // No longer a column of the scan: that it equals a literal says nothing about which row this is.
            let base =
                ColumnFacts { copied_by, owners, missing_by: None, dataset: None, scan: None, ..own.base };
            bases.insert(name.clone(), base);
            outputs.push(base_column(&name));
        }
        let mut taint = source_rows.taint.clone();
        taint.read(shape.read());
        taint.read(self.take_subqueries_read());
        let plan = LogicalPlanBuilder::from(source_rows.plan)
            .window(calls)
            .and_then(|builder| builder.project(columns))
            .and_then(LogicalPlanBuilder::build)
            .map_err(not_built)?;
        let classes =
            source_rows.classes.into_iter().map(|class| Class { clustered: false, ..class }).collect();
        let schema = std::sync::Arc::clone(&window.schema);
        let (unique, multiplicity, conditions) =
            (Unique::default(), source_rows.multiplicity, source_rows.conditions);
        Ok(SourceRows { plan, bases, schema, outputs, classes, taint, unique, multiplicity, conditions })
    }

    /// The rows that a function sees, all of them one subject's.
    ///
    /// A rank or a total over several people shows one person's value by its neighbours. An offset in values
    /// (`RANGE BETWEEN 17 PRECEDING`) is a literal off its edges, and DISTINCT or IGNORE NULLS let single rows decide
    /// which others count (`sandbox/docs/disclosure-model.md`, section 4.10). A frame that the engine cannot count
    /// would fail for those people only who have rows (`sandbox/docs/disclosure-model.md`, section 7).
    fn over(
        &self,
        source_rows: &SourceRows,
        function: &WindowFunction,
        shape: &mut ShapeCheck<'_>,
    ) -> Result<Over, Refused> {
        let params = &function.params;
        let is_own = self.groups_by_subject(source_rows, &params.partition_by)
            && !source_rows.classes.iter().any(|class| class.optional);
        let offset = |bound: &WindowFrameBound| match bound {
            WindowFrameBound::CurrentRow => false,
            WindowFrameBound::Preceding(rows) | WindowFrameBound::Following(rows) => !rows.is_null(),
        };
        let frame = &params.window_frame;
        // An offset in values (RANGE) would be a literal off its edges.
        let by_value = frame.units == WindowFrameUnits::Range
            && (offset(&frame.start_bound) || offset(&frame.end_bound));
        if !is_own {
            return Err(self.not_own(Reason::WindowOverOthers, function));
        }
        if by_value {
            return Err(self.not_own(Reason::FrameByValue, function));
        }
        if !is_near(frame) {
            return Err(self.not_own(Reason::FrameTooFar, function));
        }
        if params.distinct || params.null_treatment.is_some() {
            return Err(self.not_own(Reason::WindowOfSomeValues, function));
        }
        let mut partition_by = Vec::with_capacity(params.partition_by.len());
        for key in &params.partition_by {
            partition_by.push(match class_of(source_rows, key) {
                Some(hidden) => base_column(hidden),
                None => shape.group_key(key)?,
            });
        }
        let mut order_by = Vec::with_capacity(params.order_by.len());
        for sort in &params.order_by {
            let expr = shape.order_key(&sort.expr)?;
            order_by.push(Sort { expr, ..sort.clone() });
        }
        // Rows of the same rank stay so where the frame goes by rank.
        let by_rank = matches!(function.fun.name(), "rank" | "dense_rank");
        if goes_by_position(function) && !by_rank {
            order_by.extend(self.tie_breakers(source_rows));
        }
        Ok(Over { partition_by, order_by, frame: frame.clone() })
    }

    /// Tells rows that the order leaves equal apart by the columns that the statement mentions.
    ///
    /// The row that comes first must not change from one run to the next, or asking again would show what such rows
    /// differ in (`sandbox/docs/disclosure-model.md`, section 6).
    fn tie_breakers(&self, source_rows: &SourceRows) -> Vec<Sort> {
        let mentioned = source_rows.bases.iter().filter(|(_, base)| {
            self.mentioned.contains(&base.name) && !matches!(base.kind, ColumnKind::UnitKey { .. })
        });
        mentioned.map(|(name, _)| base_column(name).sort(true, false)).collect()
    }

    /// The value that one function computes from a subject's own rows.
    ///
    /// Ranks are top-coded counts. LAG and its kin carry a column from row to row under its own rules; a computed
    /// value, such as `LAG(day * 2)`, may be any number. Every other function, such as NTILE, has no rule for its
    /// values, and is refused (`sandbox/docs/disclosure-model.md`, section 4.10).
    fn own_window(
        &self,
        source_rows: &SourceRows,
        function: &WindowFunction,
        shape: &mut ShapeCheck<'_>,
        target: &DataType,
        cap: u32,
    ) -> Result<OwnRows, Refused> {
        let params = &function.params;
        match &function.fun {
            WindowFunctionDefinition::AggregateUDF(aggregate) => {
                let (args, filter) = (params.args.clone(), params.filter.clone());
                let call = AggregateFunction::new_udf(
                    std::sync::Arc::clone(aggregate),
                    args,
                    false,
                    filter,
                    Vec::new(),
                    None,
                );
                own_rows(&call, shape, source_rows, target, cap)
            }
            WindowFunctionDefinition::WindowUDF(udf) => {
                // The planner has refused it.
                if params.filter.is_some() {
                    return Err(internal());
                }
                let call = |args: Vec<Expr>| {
                    let fun = function.fun.clone();
                    vec![(VALUE, Expr::from(WindowFunction::new(fun, args)))]
                };
                match (udf.name(), params.args.as_slice()) {
                    ("row_number" | "rank" | "dense_rank", []) if !params.order_by.is_empty() => {
                        let base = ColumnFacts {
                            uses: BTreeSet::from([Use::Filter, Use::Group]),
                            data_type: target.clone(),
                            ..count_base(source_rows, cap)
                        };
                        Ok(OwnRows {
                            aggregates: call(Vec::new()),
                            finish: Finish::Rank(cap, target.clone()),
                            base,
                            function: Some(Function::Count),
                        })
                    }
                    ("lag" | "lead" | "first_value" | "last_value", [value, rest @ ..])
                        if !params.order_by.is_empty() && self.is_distance(rest) =>
                    {
                        let own = bare_column(&source_rows.bases, value)
                            .and_then(|column| Some((column, source_rows.base(column)?)))
                            .filter(|(_, base)| is_own_value(base));
                        let (column, base) =
                            own.ok_or_else(|| self.not_own(Reason::ValueNotCarried, function))?;
                        shape.grade = shape.grade.max(base.grade);
                        let args = std::iter::once(base_column(&column.name)).chain(rest.first().cloned());
                        let base = ColumnFacts { data_type: target.clone(), ..base.clone() };
                        Ok(OwnRows {
                            aggregates: call(args.collect()),
                            finish: Finish::Cast(target.clone()),
                            base,
                            function: None,
                        })
                    }
                    _ => Err(self.not_own(Reason::WindowFunctionNotListed, function)),
                }
            }
        }
    }

    /// At most a whole number of rows to look back.
    ///
    /// A value in place of a missing one (`LAG(cost, 1, 777.0)`) would be a literal off its edges
    /// (`sandbox/docs/disclosure-model.md`, section 4.10). The engine fails on other distances, and only where there is
    /// a row, so that the failure would tell whether anybody fits (`sandbox/docs/disclosure-model.md`, section 7).
    fn is_distance(&self, args: &[Expr]) -> bool {
        let value = |expr: &Expr| self.review.constants.value(expr).ok().flatten();
        let is_near = |rows: &Expr| match value(rows) {
            Some(ScalarValue::Int64(Some(rows))) => rows.unsigned_abs() <= ROWS_MAX,
            _ => false,
        };
        match args {
            [] => true,
            [rows] => is_near(rows),
            [rows, missing] => is_near(rows) && value(missing).is_some_and(|value| value.is_null()),
            _ => false,
        }
    }

    /// The refusal of a window function for the rule that its caller names
    /// (`sandbox/docs/disclosure-model.md`, section 4.10).
    fn not_own(&self, reason: Reason, function: &WindowFunction) -> Refused {
        let params = &function.params;
        let sorts = params.order_by.iter().map(|sort| &sort.expr);
        let span = params
            .partition_by
            .iter()
            .chain(sorts)
            .chain(&params.args)
            .find_map(|expr| first_span(self.review.sql, expr));
        Finding::of(reason)
                .at(span)
                .with("operation", function.fun.name().to_owned())
                .help(
                    "PARTITION BY the unit key, with ORDER BY a column: ROW_NUMBER, RANK, LAG, LEAD, COUNT, SUM, AVG, MIN and MAX; or aggregate first",
                    "请按主体标识 PARTITION BY，并以字段 ORDER BY：可用 ROW_NUMBER、RANK、LAG、LEAD、COUNT、SUM、AVG、MIN、MAX；或先聚合",
                )
.into()
    }
}

impl Over {
    /// An aggregate or window function over these rows.
    fn call(&self, call: Expr) -> Result<Expr, Refused> {
        let (fun, args) = match call {
            Expr::AggregateFunction(call) => {
                (WindowFunctionDefinition::AggregateUDF(call.func), call.params.args)
            }
            Expr::WindowFunction(function) => (function.fun, function.params.args),
            _ => return Err(internal()),
        };
        Ok(Expr::from(WindowFunction {
            fun,
            params: WindowFunctionParams {
                args,
                partition_by: self.partition_by.clone(),
                order_by: self.order_by.clone(),
                window_frame: self.frame.clone(),
                filter: None,
                null_treatment: None,
                distinct: false,
            },
        }))
    }
}

/// True if a function's value changes with the number of equal rows.
///
/// Then copies that a join has made change the value, and so does the order of rows that the SQL leaves equal
/// (`sandbox/docs/disclosure-model.md`, section 6).
fn goes_by_position(function: &WindowFunction) -> bool {
    matches!(function.fun.name(), "row_number" | "rank" | "lag" | "lead")
        || function.params.window_frame.units == WindowFrameUnits::Rows
}

/// A frame that begins before it ends, no farther away than the engine counts.
///
/// `ROWS BETWEEN CURRENT ROW AND 18446744073709551615 FOLLOWING` overflows in the engine as soon as one row is there:
/// whether the query fails would tell whether anybody fits the condition
/// (`sandbox/docs/disclosure-model.md`, section 7).
fn is_near(frame: &WindowFrame) -> bool {
    let place = |bound: &WindowFrameBound, back: bool| -> Option<i64> {
        let rows = |value: &ScalarValue| match value {
            ScalarValue::UInt64(Some(rows)) if *rows <= ROWS_MAX => i64::try_from(*rows).ok(),
            value if value.is_null() => Some(i64::MAX),
            _ => None,
        };
        match bound {
            WindowFrameBound::CurrentRow => Some(0),
            WindowFrameBound::Preceding(value) => {
                rows(value).filter(|rows| back || *rows != i64::MAX).map(std::ops::Neg::neg)
            }
            WindowFrameBound::Following(value) => rows(value).filter(|rows| !back || *rows != i64::MAX),
        }
    };
    match (place(&frame.start_bound, true), place(&frame.end_bound, false)) {
        (Some(start), Some(end)) => start <= end,
        _ => false,
    }
}

/// A value that may be carried from one row of a subject to another: a column of its own, neither key nor name.
///
/// A carried key would be compared without its rule (`LAG(person_id) ... = 4711`), and a carried label is a literal by
/// another name (`sandbox/docs/disclosure-model.md`, section 4.10).
fn is_own_value(base: &ColumnFacts) -> bool {
    let known = match base.kind {
        ColumnKind::Declared(role) => role != Role::Identifier,
        ColumnKind::SubjectCount | ColumnKind::SubjectMeasure => true,
        ColumnKind::UnitKey { .. } | ColumnKind::Derived | ColumnKind::Released { .. } => false,
    };
    known && !base.uses.is_empty()
}

//! Implication between conditions: whether every row that meets some conditions meets others too, however the engine wrote them.
//!
//! It is decided over rows that are made up. A column takes the constants of the conditions that read it, their neighbours, and no
//! value. Where all combinations are few, all are tried, which is a proof for conditions that compare columns with constants.
//! Otherwise rows are drawn, and changed until they meet the given conditions, as far as they can. They are the same every time.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::Array as _;
use arrow::array::ArrayRef;
use arrow::array::AsArray as _;
use arrow::array::RecordBatch;
use arrow::array::UInt64Array;
use arrow::compute::take;
use arrow::datatypes::DataType as ArrowType;
use arrow::datatypes::Field;
use arrow::datatypes::Schema;
use datafusion_common::DFSchema;
use datafusion_common::ScalarValue;
use datafusion_common::tree_node::TreeNode as _;
use datafusion_common::tree_node::TreeNodeRecursion;
use datafusion_expr::Expr;
use datafusion_expr::simplify::SimplifyContext;
use datafusion_expr::utils::split_conjunction;
use datafusion_optimizer::simplify_expressions::ExprSimplifier;
use datafusion_physical_expr::PhysicalExpr;

use crate::naming::evaluate::batch;
use crate::naming::evaluate::compiled;

/// Rows that are tried.
const ROWS_MAX: usize = 2_048;
/// Values of a column that are tried.
const VALUES_MAX: usize = 256;
/// Rounds in which drawn rows are made to meet the given conditions, since to meet one may break another.
const REPAIRS: usize = 3;

/// The verdict of rows that are made up on an implication.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Implied {
    /// Some row meets the given conditions and not the others, or one of the others cannot be computed.
    No,
    /// Every row that meets the given conditions meets the others.
    Yes,
    /// No row meets the given conditions.
    Unknown,
}

/// Says whether rows that meet all of `given` meet all of `then`, which read columns of the schema by their bare names.
pub(super) fn implied(given: &[Expr], then: &[Expr], schema: &Schema) -> Implied {
    let both: Vec<&Expr> = given.iter().chain(then).collect();
    let read: BTreeSet<&str> = both.iter().flat_map(|expr| columns(expr)).collect();
    let fields: Vec<&Field> = schema
        .fields()
        .iter()
        .map(Arc::as_ref)
        .filter(|field| read.contains(field.name().as_str()))
        .collect();
    let values = fields.iter().map(|field| values_of(field, &both)).collect::<Option<Vec<_>>>();
    let Some(rows) = values.and_then(|values| Rows::of(&fields, &values)) else { return Implied::No };
    let Some(then) = then.iter().map(|expr| rows.condition(expr)).collect::<Option<Vec<_>>>() else {
        return Implied::No;
    };
    // A given condition that cannot be computed is left out, and less is implied.
    let parts = given.iter().flat_map(split_conjunction);
    let given: Vec<Condition<'_>> = parts.filter_map(|expr| rows.condition(expr)).collect();
    let rows = rows.made_to_meet(&given);
    let meets = met_by_all(&given, &rows);
    let fails = then.iter().any(|due| {
        let outcomes = outcomes(due.compiled.as_ref(), &rows.batch);
        meets.iter().zip(outcomes).any(|(meets, outcome)| *meets && outcome != Outcome::Met)
    });
    match (fails, meets.contains(&true)) {
        (true, _) => Implied::No,
        (false, true) => Implied::Yes,
        (false, false) => Implied::Unknown,
    }
}

/// A condition that can be computed, and the columns that it reads.
struct Condition<'e> {
    compiled: Arc<dyn PhysicalExpr>,
    columns: BTreeSet<&'e str>,
}

/// Rows that are made up.
struct Rows {
    batch: RecordBatch,
    /// True if they are all combinations of the values of their columns.
    is_whole: bool,
}

impl Rows {
    /// All combinations of values, or as many as there may be, drawn.
    fn of(fields: &[&Field], values: &[ArrayRef]) -> Option<Self> {
        let combinations = values.iter().try_fold(1_usize, |count, values| count.checked_mul(values.len()));
        let whole = combinations.filter(|count| *count <= ROWS_MAX);
        let count = whole.unwrap_or(ROWS_MAX);
        let (mut draw, mut stride) = (Draw(1), 1);
        let mut made = Vec::with_capacity(values.len());
        for values in values {
            let at = (0..count).map(|row| match whole {
                Some(_) => row / stride % values.len(),
                None => draw.below(values.len()),
            });
            made.push(chosen(values, at)?);
            stride = stride.saturating_mul(values.len());
        }
        let names = fields.iter().map(|field| field.name().as_str());
        Some(Rows { batch: batch(names.zip(made), count)?, is_whole: whole.is_some() })
    }

    fn condition<'e>(&self, expr: &'e Expr) -> Option<Condition<'e>> {
        let schema = self.batch.schema();
        // The engine computes some functions, such as COALESCE, in the form alone that its simplifier gives them.
        let context = DFSchema::try_from(Arc::clone(&schema)).ok()?;
        let context = SimplifyContext::builder().with_schema(Arc::new(context)).build();
        let simple = ExprSimplifier::new(context).simplify(expr.clone()).ok()?;
        Some(Condition { compiled: compiled(&simple, schema)?, columns: columns(expr).collect() })
    }

    /// Drawn rows that do not meet a condition take what it reads from rows that do.
    fn made_to_meet(mut self, given: &[Condition<'_>]) -> Self {
        if self.is_whole {
            return self;
        }
        let mut draw = Draw(2);
        for condition in (0..REPAIRS).flat_map(|_| given) {
            let outcomes = outcomes(condition.compiled.as_ref(), &self.batch);
            let is_met = |row: &usize| outcomes.get(*row) == Some(&Outcome::Met);
            let met: Vec<usize> = (0..self.batch.num_rows()).filter(is_met).collect();
            if met.is_empty() {
                continue;
            }
            let from: Vec<usize> =
                (0..self.batch.num_rows())
                    .map(|row| {
                        if is_met(&row) {
                            row
                        } else {
                            met.get(draw.below(met.len())).copied().unwrap_or(row)
                        }
                    })
                    .collect();
            let schema = self.batch.schema();
            let columns = schema.fields().iter().zip(self.batch.columns()).map(|(field, values)| {
                if condition.columns.contains(field.name().as_str()) {
                    chosen(values, from.iter().copied())
                } else {
                    Some(Arc::clone(values))
                }
            });
            let columns = columns.collect::<Option<Vec<_>>>();
            if let Some(batch) = columns.and_then(|columns| RecordBatch::try_new(schema, columns).ok()) {
                self.batch = batch;
            }
        }
        self
    }
}

/// The rows that may meet all conditions. One that cannot be computed here may hold in the job: a keyed mask has its key there.
fn met_by_all(given: &[Condition<'_>], rows: &Rows) -> Vec<bool> {
    let mut meets = vec![true; rows.batch.num_rows()];
    for condition in given {
        for (meets, outcome) in meets.iter_mut().zip(outcomes(condition.compiled.as_ref(), &rows.batch)) {
            *meets &= outcome != Outcome::NotMet;
        }
    }
    meets
}

/// The outcome of a condition for a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Met,
    /// False, or missing.
    NotMet,
    /// The engine fails at the row.
    Failed,
}

/// The outcome of a condition for each row. Where the engine fails at a batch, its halves are tried.
fn outcomes(condition: &dyn PhysicalExpr, rows: &RecordBatch) -> Vec<Outcome> {
    let count = rows.num_rows();
    let computed = condition.evaluate(rows).and_then(|value| value.into_array(count)).ok();
    match computed.as_ref().and_then(|array| array.as_boolean_opt()) {
        Some(values) => values
            .iter()
            .map(|value| if value == Some(true) { Outcome::Met } else { Outcome::NotMet })
            .collect(),
        None if count < 2 => vec![Outcome::Failed; count],
        None => {
            let half = count / 2;
            let mut all = outcomes(condition, &rows.slice(0, half));
            all.extend(outcomes(condition, &rows.slice(half, count - half)));
            all
        }
    }
}

/// The values of a column that conditions may tell apart.
fn values_of(field: &Field, conditions: &[&Expr]) -> Option<ArrayRef> {
    let mut values: Vec<ScalarValue> = Vec::new();
    let mut add = |value: ScalarValue| {
        if values.len() < VALUES_MAX && !values.contains(&value) {
            values.push(value);
        }
    };
    if field.is_nullable() {
        add(ScalarValue::try_new_null(field.data_type()).ok()?);
    }
    for expr in conditions.iter().filter(|expr| columns(expr).any(|name| name == field.name())) {
        for constant in constants(expr).into_iter().filter(|constant| !constant.is_null()) {
            if let Ok(value) = constant.cast_to(field.data_type()) {
                neighbours(&value).into_iter().for_each(&mut add);
            }
        }
    }
    let usual = match field.data_type() {
        ArrowType::Utf8 => ScalarValue::from("a"),
        _ => ScalarValue::Int64(Some(1)),
    };
    usual
        .cast_to(field.data_type())
        .map_or_else(|_| Vec::new(), |value| neighbours(&value))
        .into_iter()
        .for_each(add);
    ScalarValue::iter_to_array(values).ok()
}

/// A value, and those just below and above it.
fn neighbours(value: &ScalarValue) -> Vec<ScalarValue> {
    use ScalarValue as V;
    let around = |value: i64| [value, value.saturating_sub(1), value.saturating_add(1)].into_iter();
    match value {
        V::Int64(Some(value)) => around(*value).map(|it| V::Int64(Some(it))).collect(),
        V::Date32(Some(value)) => {
            [*value, value.saturating_sub(1), value.saturating_add(1)].map(|it| V::Date32(Some(it))).into()
        }
        V::TimestampMicrosecond(Some(value), zone) => {
            around(*value).map(|it| V::TimestampMicrosecond(Some(it), zone.clone())).collect()
        }
        V::Decimal128(Some(value), precision, scale) => {
            let all = [*value, value.saturating_sub(1), value.saturating_add(1)];
            all.map(|it| V::Decimal128(Some(it), *precision, *scale)).into()
        }
        V::Float64(Some(value)) => {
            let all = [*value, value.next_down(), value.next_up(), value - 1.0, value + 1.0];
            all.map(|it| V::Float64(Some(it))).into()
        }
        V::Boolean(Some(_)) => [true, false].map(|it| V::Boolean(Some(it))).into(),
        V::Utf8(Some(text)) => {
            // A pattern is met by itself without its wildcards.
            let plain: String =
                text.chars().filter(|it| *it != '%').map(|it| if it == '_' { 'a' } else { it }).collect();
            let mut shorter = text.clone();
            shorter.pop();
            [text.clone(), plain, shorter, format!("{text}a")].map(|it| V::Utf8(Some(it))).into()
        }
        other => vec![other.clone()],
    }
}

fn columns(expr: &Expr) -> impl Iterator<Item = &str> {
    expr.column_refs().into_iter().map(|column| column.name.as_str())
}

fn constants(expr: &Expr) -> Vec<&ScalarValue> {
    let mut found = Vec::new();
    let walked = expr.apply(|inner| {
        if let Expr::Literal(value, _) = inner {
            found.push(value);
        }
        Ok(TreeNodeRecursion::Continue)
    });
    if walked.is_ok() { found } else { Vec::new() }
}

fn chosen(values: &ArrayRef, at: impl Iterator<Item = usize>) -> Option<ArrayRef> {
    let at: Option<Vec<u64>> = at.map(|at| u64::try_from(at).ok()).collect();
    take(values, &UInt64Array::from(at?), None).ok()
}

/// Numbers that are spread well and the same every time (splitmix64, Steele, Lea and Flood, OOPSLA 2014).
struct Draw(u64);

impl Draw {
    /// A number from zero to one less than `count`, which is not zero.
    fn below(&mut self, count: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) >> 32).unwrap_or(0) % count.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recheck::terms::planned;

    fn schema() -> Schema {
        let field = |name, data_type| Field::new(name, data_type, true);
        Schema::new(vec![
            field("age", ArrowType::Int64),
            field("dept", ArrowType::Utf8),
            field("hired", ArrowType::Date32),
            field("zip", ArrowType::Utf8),
            field("rate", ArrowType::Float64),
            field("night", ArrowType::Boolean),
        ])
    }

    fn says(given: &[&str], then: &[&str]) -> Implied {
        let exprs = |all: &[&str]| all.iter().map(|sql| planned(sql, schema()).unwrap()).collect::<Vec<_>>();
        implied(&exprs(given), &exprs(then), &schema())
    }

    #[test]
    fn what_follows_is_implied() {
        for (given, then) in [
            (&["age >= 18"][..], &["age >= 18"][..]),
            (&["age > 20 AND age < 30"], &["age >= 21", "age <= 29"]),
            (&["age >= 18", "dept = 'tax'"], &["dept <> 'court'", "age IS NOT NULL"]),
            (&["NOT (dept = 'court' OR age < 18)"], &["dept <> 'court'", "age >= 18"]),
            (&["hired >= DATE '2020-01-01'"], &["hired > DATE '2019-12-31'"]),
            (&["zip LIKE '12%'"], &["zip LIKE '1%'"]),
            (&["zip IN ('1001', '1002') AND night"], &["zip >= '1001'", "night"]),
            (
                &[
                    "age = 3 AND dept = 'tax' AND zip = '1001' AND hired = DATE '2020-01-01' AND rate = 0.5 AND night",
                ],
                &["age > 2 AND dept <> 'court' AND rate < 1"],
            ),
            (&["CAST(zip AS BIGINT) = 1001"], &["zip IS NOT NULL"]),
            (&["COALESCE(dept, zip) = 'tax'"], &["COALESCE(dept, zip) = 'tax'"]),
            (&["COALESCE(dept, 'court') = 'tax'"], &["dept = 'tax'"]),
        ] {
            assert_eq!(says(given, then), Implied::Yes, "{given:?} imply {then:?}");
        }
    }

    #[test]
    fn what_does_not_follow_is_found() {
        for (given, then) in [
            (&[][..], &["age IS NOT NULL"][..]),
            (&["age >= 17"], &["age >= 18"]),
            (&["age >= 18"], &["age >= 18", "dept <> 'court'"]),
            (&["dept <> 'court' OR age >= 18"], &["dept <> 'court'"]),
            (&["hired >= DATE '2020-01-01'"], &["hired > DATE '2020-01-01'"]),
            (&["zip LIKE '1%'"], &["zip LIKE '12%'"]),
            (&["rate < 1.0"], &["rate <= 0.5"]),
            (&["age >= 18"], &["COALESCE(dept, 'court') = 'tax'"]),
            (
                &["age = 3", "dept = 'tax'", "zip = '1001'", "hired = DATE '2020-01-01'", "rate = 0.5"],
                &["night"],
            ),
        ] {
            assert_eq!(says(given, then), Implied::No, "{given:?} imply {then:?}");
        }
    }

    #[test]
    fn a_condition_that_cannot_be_computed_hides_nothing() {
        assert_eq!(says(&["age / 0 = 1"], &["dept = 'tax'"]), Implied::No);
        assert_eq!(says(&["age / 0 = 1", "dept = 'tax'"], &["dept <> 'court'"]), Implied::Yes);
        assert_eq!(says(&["dept = 'tax'"], &["age / 0 = 1"]), Implied::No);
    }

    #[test]
    fn conditions_that_nobody_meets_say_nothing() {
        assert_eq!(says(&["age > 3 AND age < 2"], &["dept = 'tax'"]), Implied::Unknown);
    }
}

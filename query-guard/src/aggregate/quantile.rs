//! MEDIAN and percentiles of a column that is known in steps: the step in which so many rows lie below, read off the numbers of rows
//! below each edge and from it on. Every such number passes the controls of a count; the answer is the middle of the step.

use arrow::datatypes::DataType;
use datafusion_common::ScalarValue;
use datafusion_expr::Expr;
use datafusion_expr::Operator;
use datafusion_expr::binary_expr;
use obscura_policies::fixed::Fixed;
use obscura_policies::mask::Mask;
use obscura_policies::vocabulary::Function;

use crate::aggregate::Aggregate;
use crate::aggregate::Call;
use crate::aggregate::numbers::Numbers;
use crate::aggregate::uncast;
use crate::atoms::Normaliser;
use crate::atoms::Quantity;
use crate::atoms::conjunction;
use crate::atoms::is_present;
use crate::column::bare_column;
use crate::column_facts::ColumnFacts;
use crate::column_facts::base_column;
use crate::constant::exact_number;
use crate::control::Figure;
use crate::control::Group;
use crate::control::number::Number;
use crate::finding::Finding;
use crate::finding::Refused;
use crate::finding::fact_missing;
use crate::finding::internal;
use crate::plan::Formula;
use crate::reason::Reason;
use crate::stated_error::StatedError;

/// It is computed from numbers of rows, and held to what they are held to.
pub(super) const QUANTILE: Aggregate = Aggregate { recognises, formula, number, error, figure: Figure::Rows };

/// The percentiles that are released.
///
/// With any p an analyst would walk along the distribution, and read off where each row lies
/// (`sandbox/docs/disclosure-model.md`, section 5.1).
pub(crate) const PERCENTS: [u8; 7] = [5, 10, 25, 50, 75, 90, 95];
/// Most steps that a range is read in: each edge costs every group two numbers of rows.
const STEPS_MAX: i128 = 50;

/// MEDIAN of one argument, and percentiles of one at a level; none of them DISTINCT.
fn recognises(call: &Call<'_>) -> bool {
    match call.args {
        [_] => matches!(call.name, "median" | "approx_median") && !call.is_distinct,
        [_, _] => matches!(call.name, "percentile_cont" | "approx_percentile_cont") && !call.is_distinct,
        _ => false,
    }
}

/// Two atoms for each edge of the column's steps, the rows below it and those from it on, and one for all rows that have a value.
///
/// Each is a count that an analyst could ask for, with a threshold of its own, so that the quantile tells nothing which these
/// counts do not (`sandbox/docs/disclosure-model.md`, section 5.1).
fn formula(normaliser: &mut Normaliser<'_>, call: &Call<'_>) -> Result<Formula, Refused> {
    let (argument, percent) = match call.args {
        [argument] => {
            normaliser.functions.push(Function::Median);
            (argument, 50)
        }
        [argument, level] => {
            normaliser.functions.push(Function::Quantile);
            (argument, percent(normaliser, call, level)?)
        }
        _ => return Err(internal()),
    };
    let (column, base) = quantity(normaliser, argument)?;
    let steps = Steps::of(&base).ok_or_else(|| no_steps(normaliser, call, &base))?;
    let mut below = Vec::with_capacity(steps.edges.len());
    let mut from = Vec::with_capacity(steps.edges.len());
    for edge in &steps.edges {
        let literal = literal(&base.data_type, *edge).ok_or_else(fact_missing)?;
        let compared = |op| Some(binary_expr(base_column(&column), op, Expr::Literal(literal.clone(), None)));
        let rows = conjunction(call.filter.clone(), compared(Operator::Lt));
        below.push(normaliser.atom(Quantity::Rows, rows));
        let rows = conjunction(call.filter.clone(), compared(Operator::GtEq));
        from.push(normaliser.atom(Quantity::Rows, rows));
    }
    let present = conjunction(call.filter.clone(), Some(is_present(&column)));
    let count = normaliser.atom(Quantity::Rows, present);
    let (middles, half_step) = (steps.middles(), steps.half_step());
    Ok(Formula::Quantile { percent, below, from, count, middles, half_step })
}

/// The column whose values are put in order: a bare quantity with a declared range.
///
/// A computed one has edges that no document declares (`sandbox/docs/disclosure-model.md`, section 4.4). A row that a join or union
/// repeats counts more than once (`sandbox/docs/disclosure-model.md`, section 4.5).
fn quantity(normaliser: &mut Normaliser<'_>, argument: &Expr) -> Result<(String, ColumnFacts), Refused> {
    let bare = uncast(argument);
    let Some(column) = bare_column(&normaliser.source_rows.bases, bare) else {
        return Err(normaliser.not_linear(argument));
    };
    let name = column.name.clone();
    // What a sum asks of its argument: its use, its range, and that nothing repeats its rows.
    let linear = normaliser.linear(bare)?;
    normaliser.terms_count_once(bare, &linear, true)?;
    let base = normaliser.source_rows.bases.get(&name).ok_or_else(fact_missing)?.clone();
    normaliser.shape.comparisons += 1;
    Ok((name, base))
}

/// The level of a percentile, in percent.
///
/// With every level an analyst would walk along the distribution (`sandbox/docs/disclosure-model.md`, section 5.1).
fn percent(normaliser: &Normaliser<'_>, call: &Call<'_>, level: &Expr) -> Result<u8, Refused> {
    let level = normaliser.review.constants.value(level)?.as_ref().and_then(exact_number);
    let hundredths = level.and_then(|level| level.checked_mul_i64(100)).and_then(Fixed::to_i64);
    let asked = hundredths.map(|percent| if call.descends { 100 - percent } else { percent });
    let listed = PERCENTS.into_iter().find(|listed| asked == Some(i64::from(*listed)));
    listed.ok_or_else(|| {
        let list = PERCENTS.map(|percent| format!("0.{percent:02}")).join(", ");
        Finding::of(Reason::PercentileNotListed)
            .at(call.place(normaliser))
            .with("function", call.name)
            .help(format!("percentiles at {list} are available"), format!("可用的分位点：{list}"))
            .into()
    })
}

/// The refusal of a column that is not known in steps: a measure without bins, or a column under a mask that leaves none.
///
/// The counts below its values would be cut where no document allows a cut (`sandbox/docs/disclosure-model.md`, section 4.4).
fn no_steps(normaliser: &Normaliser<'_>, call: &Call<'_>, base: &ColumnFacts) -> Finding {
    Finding::of(Reason::QuantileWithoutSteps)
        .at(call.place(normaliser))
        .with("column", base.name.clone())
        .with("function", call.name)
        .help("AVG of the column is available", "可用该字段的 AVG")
}

/// The steps that a column is read in.
struct Steps {
    /// The beginning of the first of them.
    first: Fixed,
    /// The beginning of each of the others.
    edges: Vec<Fixed>,
    /// The end of the last of them.
    high: Fixed,
    /// Each of them holds one whole number.
    are_single: bool,
}

impl Steps {
    /// The steps of a column: those of its bins, of its mask, or of whole numbers, taken together until there are few enough. Nothing
    /// where it has none of these.
    ///
    /// Bins are counted from the low end of the range, and a mask counts its own from zero: an edge elsewhere would cut a step in two
    /// (`sandbox/docs/disclosure-model.md`, section 4.4).
    fn of(base: &ColumnFacts) -> Option<Self> {
        let (low, high) = base.range?;
        let (first, own) = match (&base.mask, base.bins) {
            (None, Some(bins)) => (low, bins),
            (None, None) if !base.is_measure() && base.data_type.is_integer() => (low, Fixed::ONE),
            (Some(Mask::Bin { width }), None) if !base.is_measure() => (low.floor_to(*width)?, *width),
            _ => return None,
        };
        let step = step_of(first, high, own)?;
        let are_single = step == Fixed::ONE && base.data_type.is_integer();
        let mut edges = Vec::new();
        let mut edge = first.checked_add(step)?;
        // The last step holds the upper end of the range; of single numbers that is one of its own.
        while edge < high || (edge == high && are_single) {
            edges.push(edge);
            edge = edge.checked_add(step)?;
        }
        Some(Steps { first, edges, high, are_single })
    }

    fn starts(&self) -> impl Iterator<Item = f64> {
        std::iter::once(self.first).chain(self.edges.iter().copied()).map(Fixed::to_f64)
    }

    /// The middle of each step; a step of one whole number is that number.
    fn middles(&self) -> Vec<f64> {
        if self.are_single {
            return self.starts().collect();
        }
        let ends = self.starts().skip(1).chain([self.high.to_f64()]);
        self.starts().zip(ends).map(|(start, end)| f64::midpoint(start, end)).collect()
    }

    /// Half the width of the widest step.
    fn half_step(&self) -> f64 {
        self.middles()
            .into_iter()
            .zip(self.starts())
            .map(|(middle, start)| middle - start)
            .fold(0.0, f64::max)
    }
}

/// The narrowest multiple of a width, by 1, 2 or 5 times a power of ten, that cuts a range in few enough steps.
fn step_of(low: Fixed, high: Fixed, own: Fixed) -> Option<Fixed> {
    let width = high.checked_sub(low)?.micros();
    let mut power: i64 = 1;
    loop {
        for factor in [1, 2, 5] {
            let step = own.checked_mul_i64(power.checked_mul(factor)?)?;
            if step.micros() <= 0 {
                return None;
            }
            if width.div_euclid(step.micros()) < STEPS_MAX {
                return Some(step);
            }
        }
        power = power.checked_mul(10)?;
    }
}

fn literal(data_type: &DataType, at: Fixed) -> Option<ScalarValue> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "no other type is a quantity")]
    match data_type {
        DataType::Int64 => at.to_i64().map(|at| ScalarValue::Int64(Some(at))),
        DataType::Float64 => Some(ScalarValue::Float64(Some(at.to_f64()))),
        DataType::Decimal128(precision, scale) => {
            let units = at.to_scaled(u8::try_from(*scale).ok()?)?;
            Some(ScalarValue::Decimal128(Some(units), *precision, *scale))
        }
        _ => None,
    }
}

/// The middle of the first step up to whose end there are so many rows, where every number that decides it is released.
///
/// Numbers are rounded as counts before they are compared: an exact comparison would tell one row more from one less
/// (`sandbox/docs/disclosure-model.md`, section 5.4). Below the step's end and from its beginning on there are as many
/// subjects as the threshold asks for: otherwise the answer would be a step that few people are in or beyond
/// (`sandbox/docs/disclosure-model.md`, section 5.2).
fn number(formula: &Formula, group: &Group<'_>) -> Option<Number> {
    let Formula::Quantile { percent, below, from, count, middles, half_step: _ } = formula else {
        return None;
    };
    let rows = |atom: &usize| group.value(*atom).map(|value| group.rounding().count(value));
    let all = rows(count)?;
    let wanted = all.checked_mul(i128::from(*percent))?;
    let last = middles.len().checked_sub(1)?;
    for (step, middle) in middles.iter().enumerate() {
        let up_to_end = below.get(step).map(rows);
        let after_end = from.get(step).map(rows);
        let lie_below = match (step == last, up_to_end.flatten(), after_end.flatten()) {
            (true, ..) => all,
            (false, Some(below), _) => below,
            (false, None, Some(from)) => all.saturating_sub(from),
            // Neither side of the edge has enough people: where the rows lie is not told.
            (false, None, None) => return None,
        };
        if lie_below.saturating_mul(100) >= wanted {
            let enough_below = step == last || up_to_end.flatten().is_some();
            let enough_from = step == 0 || from.get(step - 1).and_then(rows).is_some();
            return (enough_below && enough_from).then_some(Number::Real(*middle));
        }
    }
    None
}

/// Half a step, beside the error of the numbers of rows that the step is read off.
fn error(formula: &Formula, numbers: &Numbers<'_>) -> Option<StatedError> {
    let Formula::Quantile { below, count, half_step, .. } = formula else { return None };
    let atoms = below.iter().chain([count]);
    let count = atoms.filter_map(|atom| numbers.value(*atom)).reduce(|widest, one| widest.widest(one))?;
    Some(StatedError::Quantile { half_step: *half_step, count })
}

#[cfg(test)]
mod tests;

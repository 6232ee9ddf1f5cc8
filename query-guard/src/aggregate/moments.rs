//! Variances, deviations, covariances, correlations and lines of best fit: arithmetic on the number of rows, the sums of one or two
//! measures, and those of their squares and product. Each of these sums passes its controls; the answer has two significant digits.

use datafusion_expr::Expr;
use datafusion_expr::Operator;
use datafusion_expr::binary_expr;
use obscura_policies::vocabulary::Function;

use crate::aggregate::Aggregate;
use crate::aggregate::Call;
use crate::aggregate::mean::total;
use crate::aggregate::numbers::Numbers;
use crate::aggregate::uncast;
use crate::atoms::Linear;
use crate::atoms::Normaliser;
use crate::atoms::Quantity;
use crate::atoms::conjunction;
use crate::atoms::is_present;
use crate::column::bare_column;
use crate::control::Figure;
use crate::control::Group;
use crate::control::number::Number;
use crate::control::number::to_f64;
use crate::finding::Refused;
use crate::finding::internal;
use crate::plan::Formula;
use crate::plan::Statistic;
use crate::plan::Term;
use crate::scalar::to_significant_digits;
use crate::stated_error::StatedError;

/// It is computed from sums, and held to what they are held to.
pub(super) const MOMENT: Aggregate =
    Aggregate { recognises, formula, number, error, figure: Figure::Quantity };

/// Significant digits of the answer: a deviation of all its digits over a known number of rows would tell the sum of squares exactly
/// (`sandbox/docs/disclosure-model.md`, sections 5.1 and 5.4).
const SIGNIFICANT_DIGITS: u8 = 2;
/// Largest share of the answer that the noise of its sums may be: beyond it the difference of two large numbers is mostly noise.
const SHARE_MAX: f64 = 0.3;
/// Deviations of its noise that a sum is taken to be off by.
const DEVIATIONS: f64 = 2.0;

/// The statistic of an engine's name, with the function by which a policy allows it.
fn statistic(name: &str) -> Option<(Statistic, Function)> {
    Some(match name {
        "var" => (Statistic::Variance { sample: true }, Function::Var),
        "var_pop" => (Statistic::Variance { sample: false }, Function::Var),
        "stddev" => (Statistic::Deviation { sample: true }, Function::Stddev),
        "stddev_pop" => (Statistic::Deviation { sample: false }, Function::Stddev),
        "covar_samp" => (Statistic::Covariance { sample: true }, Function::Covar),
        "covar_pop" => (Statistic::Covariance { sample: false }, Function::Covar),
        "corr" => (Statistic::Correlation, Function::Corr),
        "regr_slope" => (Statistic::Slope, Function::Regr),
        "regr_intercept" => (Statistic::Intercept, Function::Regr),
        "regr_r2" => (Statistic::Fit, Function::Regr),
        "regr_sxx" => (Statistic::SquaresX, Function::Regr),
        "regr_syy" => (Statistic::SquaresY, Function::Regr),
        "regr_sxy" => (Statistic::Products, Function::Regr),
        _ => return None,
    })
}

/// One column for variances and deviations, two for the others; none of them DISTINCT.
fn recognises(call: &Call<'_>) -> bool {
    let columns = match statistic(call.name) {
        Some((Statistic::Variance { .. } | Statistic::Deviation { .. }, _)) => 1,
        Some(_) => 2,
        None => return false,
    };
    !call.is_distinct && call.args.len() == columns
}

/// Atoms over the rows that have all columns: their number, each column, its square, and the product of two.
///
/// They are the atoms of COUNT, SUM(x), SUM(x * x) and SUM(x * y), so that each is a cell with thresholds and dominance of its own
/// (`sandbox/docs/disclosure-model.md`, section 5.1).
fn formula(normaliser: &mut Normaliser<'_>, call: &Call<'_>) -> Result<Formula, Refused> {
    let (statistic, function) = statistic(call.name).ok_or_else(internal)?;
    normaliser.functions.push(function);
    let columns =
        call.args.iter().map(|argument| column(normaliser, argument)).collect::<Result<Vec<_>, _>>()?;
    let present =
        columns.iter().fold(call.filter.clone(), |all, (_, name)| conjunction(all, Some(is_present(name))));
    let mut sums = Vec::new();
    for (expr, name) in &columns {
        let others = columns.iter().filter(|(_, other)| other != name);
        let others =
            others.fold(call.filter.clone(), |all, (_, other)| conjunction(all, Some(is_present(other))));
        sums.push(sum(normaliser, expr, others.as_ref())?);
        sums.push(sum(normaliser, &product(expr, expr), others.as_ref())?);
    }
    if let [(first, _), (second, _)] = columns.as_slice() {
        sums.push(sum(normaliser, &product(first, second), call.filter.as_ref())?);
    }
    Ok(Formula::Moment { statistic, count: normaliser.atom(Quantity::Rows, present), sums })
}

/// A column as it is, under the cast to floating point that such calls are planned with.
fn column(normaliser: &Normaliser<'_>, argument: &Expr) -> Result<(Expr, String), Refused> {
    let bare = uncast(argument);
    let Some(column) = bare_column(&normaliser.source_rows.bases, bare) else {
        return Err(normaliser.not_linear(argument));
    };
    Ok((bare.clone(), column.name.clone()))
}

fn product(left: &Expr, right: &Expr) -> Expr {
    binary_expr(left.clone(), Operator::Multiply, right.clone())
}

/// The one atom of a sum, with all that a sum asks of its argument.
fn sum(normaliser: &mut Normaliser<'_>, argument: &Expr, condition: Option<&Expr>) -> Result<usize, Refused> {
    let linear: Linear = normaliser.linear(argument)?;
    normaliser.terms_count_once(argument, &linear, true)?;
    let terms = normaliser.terms(linear.terms, condition);
    match terms.as_slice() {
        [Term { atom, .. }] => Ok(*atom),
        _ => Err(internal()),
    }
}

/// The sums of a group, and how far noise may move each.
struct Sums {
    rows: f64,
    /// Of each column: its sum, and the sum of its squares about the mean, with what that may be off by.
    about_mean: Vec<(f64, (f64, f64))>,
    /// The sum of products about the means.
    products: Option<(f64, f64)>,
}

impl Sums {
    fn of(group: &Group<'_>, count: usize, atoms: &[usize]) -> Option<Self> {
        let specs = atoms.iter().map(|atom| group.spec(*atom)).collect::<Option<Vec<_>>>()?;
        // Of few values, or of one value many times, a deviation tells what a count tells: it is made of what rounded counts tell.
        let is_count = specs.iter().any(|spec| spec.counts || spec.few.is_some() || spec.same.is_some());
        let rows = group.value(count)?;
        let rows = to_f64(if is_count { group.rounding().count(rows) } else { rows }, 0);
        let rows_off = DEVIATIONS * group.deviation(count, 0);
        if rows < 2.0 {
            return None;
        }
        let mut sums = Vec::with_capacity(atoms.len());
        for (atom, spec) in atoms.iter().zip(specs) {
            let sum = total(group, spec, group.value(*atom)?, is_count);
            sums.push((sum, DEVIATIONS * group.deviation(*atom, spec.scale)));
        }
        // The sum of squares or products less that of the means, and the noise of both.
        let about = |whole: (f64, f64), left: (f64, f64), right: (f64, f64)| {
            let off = whole.1
                + (left.0.abs() * right.1 + right.0.abs() * left.1 + left.1 * right.1) / rows
                + (left.0 * right.0).abs() / rows / rows * rows_off;
            (whole.0 - left.0 * right.0 / rows, off)
        };
        match *sums.as_slice() {
            [x, xx] => Some(Sums { rows, about_mean: vec![(x.0, about(xx, x, x))], products: None }),
            [y, yy, x, xx, xy] => Some(Sums {
                rows,
                about_mean: vec![(y.0, about(yy, y, y)), (x.0, about(xx, x, x))],
                products: Some(about(xy, x, y)),
            }),
            _ => None,
        }
    }

    /// The statistic; nothing where it has no value, or noise makes it useless.
    ///
    /// Squares about a mean that rounding or noise makes negative are those of numbers which are nearly the same.
    fn statistic(&self, statistic: Statistic) -> Option<f64> {
        let divisor = |sample: bool| if sample { self.rows - 1.0 } else { self.rows };
        let squares = |column: usize| {
            let (sum, (squares, off)) = *self.about_mean.get(column)?;
            (squares > 0.0 && off <= SHARE_MAX * squares).then_some((sum, squares))
        };
        let (first_sum, first) = squares(0)?;
        match statistic {
            Statistic::Variance { sample } => return Some(first / divisor(sample)),
            Statistic::Deviation { sample } => return Some((first / divisor(sample)).sqrt()),
            Statistic::SquaresY => return Some(first),
            Statistic::Covariance { .. }
            | Statistic::Correlation
            | Statistic::Slope
            | Statistic::Intercept
            | Statistic::Fit
            | Statistic::SquaresX
            | Statistic::Products => {}
        }
        let (second_sum, second) = squares(1)?;
        let (products, off) = self.products?;
        // Of columns that have nothing to do with each other products are near zero: their noise is measured by the squares.
        if off > SHARE_MAX * (first * second).sqrt() {
            return None;
        }
        Some(match statistic {
            Statistic::Covariance { sample } => products / divisor(sample),
            Statistic::Correlation => (products / (first * second).sqrt()).clamp(-1.0, 1.0),
            Statistic::Slope => products / second,
            Statistic::Intercept => (first_sum - products / second * second_sum) / self.rows,
            Statistic::Fit => (products * products / (first * second)).min(1.0),
            Statistic::SquaresX => second,
            Statistic::Products => products,
            Statistic::Variance { .. } | Statistic::Deviation { .. } | Statistic::SquaresY => first,
        })
    }
}

/// The statistic, to two significant digits (`sandbox/docs/disclosure-model.md`, section 5.4).
fn number(formula: &Formula, group: &Group<'_>) -> Option<Number> {
    let Formula::Moment { statistic, count, sums } = formula else { return None };
    let value = Sums::of(group, *count, sums)?.statistic(*statistic)?;
    value.is_finite().then(|| Number::Real(to_significant_digits(value, SIGNIFICANT_DIGITS)))
}

/// The error as that of the sums: what they come to together is not known without the data.
fn error(formula: &Formula, numbers: &Numbers<'_>) -> Option<StatedError> {
    let Formula::Moment { count, sums, .. } = formula else { return None };
    let sums = sums.iter().map(|atom| numbers.value(*atom)).collect::<Option<Vec<_>>>()?;
    let widest = sums.into_iter().map(|sum| sum.unrounded()).reduce(|widest, one| widest.widest(one))?;
    Some(StatedError::Moment {
        significant_digits: SIGNIFICANT_DIGITS,
        count: numbers.value(*count)?.unrounded(),
        sums: widest,
    })
}

#[cfg(test)]
mod tests;

//! The aggregates that are released over individuals, one file each (`sandbox/docs/disclosure-model.md`, section 5.1).
//!
//! The file of an aggregate says how a call of it is recognised, which atoms it needs, how its number is made of them once
//! they have passed the controls, how far that number may be off, and how it is treated. It uses what `atoms` offers to all of
//! them: the linear form of an argument, the condition under which an argument is present, and the register of atoms.
//!
//! A further aggregate is a file with its `mod`, a [`Formula`] and one line of the registry; the compiler asks for that line,
//! since formulas are matched exhaustively here and nowhere else. The atoms of every aggregate pass the controls, so that no
//! other file changes. The two texts below that tell an analyst which aggregates there are name it.

use datafusion_expr::Expr;
use datafusion_expr::expr::AggregateFunction;

use crate::atoms::Normaliser;
use crate::atoms::keeps_numbers;
use crate::control::Figure;
use crate::control::Group;
use crate::control::number::Number;
use crate::finding::Finding;
use crate::finding::Refused;
use crate::finding::SqlSpan;
use crate::finding::internal;
use crate::plan::Formula;
use crate::plan::Stage;
use crate::reason::Reason;
use crate::stated_error::StatedError;

mod count;
mod mean;
mod moments;
mod numbers;
mod quantile;
mod subjects;
mod sum;

pub(crate) use quantile::PERCENTS;

use numbers::Numbers;

/// Writes the registry: the list in which a call is looked up, and the match that finds the aggregate of a formula.
macro_rules! registry {
    ($($formula:ident = $aggregate:path;)+) => {
        /// All of them; no call is recognised by two.
        const ALL: &[Aggregate] = &[$($aggregate,)+];

        /// The aggregate whose formula it is.
        fn of(formula: &Formula) -> &'static Aggregate {
            match formula {
                $(Formula::$formula { .. } => &$aggregate,)+
            }
        }
    };
}

registry! {
    Count = count::COUNT;
    Subjects = subjects::SUBJECTS;
    Sum = sum::SUM;
    Mean = mean::MEAN;
    Quantile = quantile::QUANTILE;
    Moment = moments::MOMENT;
}

/// An aggregate, as its file states it.
struct Aggregate {
    /// True for a call of it.
    recognises: fn(&Call<'_>) -> bool,
    /// Registers the atoms that a call needs, and says how its column is made of them.
    formula: fn(&mut Normaliser<'_>, &Call<'_>) -> Result<Formula, Refused>,
    /// The number that a group releases; nothing where a control withholds it. A formula of another aggregate has none.
    number: fn(&Formula, &Group<'_>) -> Option<Number>,
    /// The error of its column, as far as it is known without data. A formula of another aggregate has none.
    error: fn(&Formula, &Numbers<'_>) -> Option<StatedError>,
    /// The treatment of its column: the controls are those of such a figure.
    figure: Figure,
}

/// A call of an aggregate over base columns.
struct Call<'c> {
    /// The engine's name of the function.
    name: &'c str,
    is_distinct: bool,
    args: &'c [Expr],
    /// Its FILTER, as the shape rule accepted it: a part of every atom's condition.
    filter: Option<Expr>,
    /// It puts its argument in falling order (WITHIN GROUP).
    descends: bool,
}

impl<'c> Call<'c> {
    /// The argument of a call that was recognised by having one.
    fn argument(&self) -> Result<&'c Expr, Refused> {
        let [argument] = self.args else { return Err(internal()) };
        Ok(argument)
    }

    /// The place of its first argument that has one.
    fn place(&self, normaliser: &Normaliser<'_>) -> Option<SqlSpan> {
        self.args.iter().find_map(|arg| normaliser.shape.place(arg))
    }
}

impl Normaliser<'_> {
    /// Rewrites a call over base columns to atoms, as the aggregate says that recognises it.
    ///
    /// ORDER BY inside a call, and IGNORE NULLS, let single rows decide about a value, so that neither is looked at further; but
    /// WITHIN GROUP of a percentile names its argument, and is only that. FILTER is a condition like any other, and answers to the shape rule before an aggregate sees it
    /// (`sandbox/docs/disclosure-model.md`, sections 4.3 and 5.1).
    ///
    /// # Errors
    /// The findings that refuse it.
    pub(crate) fn formula(&mut self, call: &AggregateFunction) -> Result<Formula, Refused> {
        let params = &call.params;
        let name = call.func.name();
        let (is_ordered, descends) = match (params.order_by.as_slice(), params.args.first()) {
            ([order], Some(argument))
                if name.contains("percentile") && [argument, uncast(argument)].contains(&&order.expr) =>
            {
                (false, !order.asc)
            }
            (order_by, _) => (!order_by.is_empty(), false),
        };
        let mut called =
            Call { name, is_distinct: params.distinct, args: &params.args, filter: None, descends };
        if is_ordered || params.null_treatment.is_some() {
            return Err(not_allowed(self, Reason::AggregateOfSomeValues, &called).into());
        }
        if let Some(filter) = &params.filter {
            called.filter = Some(self.shape.predicate(filter)?);
        }
        match ALL.iter().find(|aggregate| (aggregate.recognises)(&called)) {
            Some(aggregate) => (aggregate.formula)(self, &called),
            None => Err(unrecognised(self, &called).into()),
        }
    }
}

/// An argument without the cast to floating point that such calls are planned with.
fn uncast(argument: &Expr) -> &Expr {
    match argument {
        Expr::Cast(cast) if keeps_numbers(cast.field.data_type()) => &cast.expr,
        other => other,
    }
}

/// The number that a group releases for a column; nothing where a control withholds it.
pub(crate) fn number(formula: &Formula, group: &Group<'_>) -> Option<Number> {
    (of(formula).number)(formula, group)
}

/// The error of such a column of a stage, as far as it is known without data.
pub(crate) fn stated_error(formula: &Formula, stage: &Stage) -> Option<StatedError> {
    (of(formula).error)(formula, &Numbers::of(stage))
}

/// The kind of figure that such a column is to the controls.
pub(crate) fn figure(formula: &Formula) -> Figure {
    of(formula).figure
}

/// The refusal of a call that no aggregate recognises.
///
/// A maximum may be one person's value, and no control that would protect it is built. A sum of distinct values
/// is never released: a value that is there already adds nothing, so that the sum shows if any other subject has it
/// (`sandbox/docs/disclosure-model.md`, section 5.1).
fn unrecognised(normaliser: &Normaliser<'_>, call: &Call<'_>) -> Finding {
    if call.is_distinct || call.name == "grouping" {
        return not_allowed(normaliser, Reason::AggregateDistinct, call);
    }
    Finding::of(Reason::AggregateNotBuilt).at(call.place(normaliser)).with("function", call.name).help(
        "counts, sums, means, medians, percentiles, deviations, correlations and regressions are available",
        "目前可用计数、求和、平均值、中位数、分位数、离差、相关与回归",
    )
}

/// The refusal of a call that is never released, whichever rule it breaks
/// (`sandbox/docs/disclosure-model.md`, section 5.1).
fn not_allowed(normaliser: &Normaliser<'_>, reason: Reason, call: &Call<'_>) -> Finding {
    Finding::of(reason).at(call.place(normaliser)).with("function", call.name).help(
        "use COUNT, COUNT(DISTINCT unit key), SUM, AVG or MEDIAN",
        "请使用 COUNT、COUNT(DISTINCT 主体标识)、SUM、AVG 或 MEDIAN",
    )
}

#[cfg(test)]
mod tests {
    use datafusion_common::ScalarValue;

    use super::*;

    #[test]
    fn a_call_is_recognised_by_one_aggregate_at_the_most() {
        let args = vec![Expr::Literal(ScalarValue::Null, None); 2];
        let mut recognised = Vec::new();
        for name in ["avg", "count", "grouping", "max", "median", "percentile_cont", "stddev", "corr", "sum"]
        {
            for (is_distinct, count) in [(false, 0), (false, 1), (false, 2), (true, 0), (true, 1), (true, 2)]
            {
                let call = Call { name, is_distinct, args: &args[..count], filter: None, descends: false };
                let found = ALL.iter().filter(|aggregate| (aggregate.recognises)(&call)).count();
                assert!(found <= 1, "{name}: {found} aggregates");
                if found == 1 {
                    recognised.push((name, is_distinct, count));
                }
            }
        }
        let one_each = [
            ("avg", false, 1),
            ("count", false, 0),
            ("count", false, 1),
            ("count", false, 2),
            ("count", true, 1),
            ("median", false, 1),
            ("percentile_cont", false, 2),
            ("stddev", false, 1),
            ("corr", false, 2),
            ("sum", false, 1),
        ];
        assert_eq!(recognised, one_each);
    }
}

//! The numbers of atoms: what the fold keeps of each, and how it is rounded by its range and by what has chosen its rows
//! (`sandbox/docs/disclosure-model.md`, sections 5.4 and 5.6).

use std::collections::BTreeMap;

use arrow::datatypes::DataType;
use datafusion_expr::Expr;
use obscura_policies::fixed::Fixed;

use crate::atoms::Atom;
use crate::atoms::Quantity;
use crate::cell::AtomSpec;
use crate::cell::MeasureSpec;
use crate::column::under;
use crate::column_facts::ColumnFacts;
use crate::column_facts::ColumnKind;
use crate::column_facts::base_column;
use crate::finding::Finding;
use crate::plan::StageAtom;
use crate::reason::Reason;
use crate::shape::grain;
use crate::source_rows::Compared;

/// Bins that hold so many values, or fewer, choose single ones.
const BIN_VALUES_FEW: i64 = 10;
/// Decimal places at which a measure of floating point is kept.
const FLOAT_SCALE: u8 = 4;

/// The arguments that the fold takes for an atom.
///
/// The atom's condition stands around its value. So a subject that does not meet it contributes nothing and is no
/// contributor: in `SUM(salary) FILTER (WHERE zip = '9999')` the threshold counts the residents of that zip alone
/// (`sandbox/docs/disclosure-model.md`, section 5.1).
pub(super) fn arguments(atom: &Atom) -> Vec<Expr> {
    let guarded = |value: Expr| under(atom.condition.clone(), value);
    match &atom.quantity {
        Quantity::Rows => atom.condition.clone().into_iter().collect(),
        Quantity::Measure(column) => vec![guarded(base_column(column))],
        Quantity::Product(left, right) => vec![guarded(base_column(left)), base_column(right)],
    }
}

/// The form in which the fold keeps an atom; nothing without a declared range.
///
/// A measure without a range could not be clamped, and its rounding, which goes by the range, would hide nothing
/// (`sandbox/docs/disclosure-model.md`, section 5.4).
pub(super) fn specification(atom: &Atom, bases: &BTreeMap<String, ColumnFacts>) -> Option<AtomSpec> {
    Some(match &atom.quantity {
        Quantity::Rows => AtomSpec::Rows { conditional: atom.condition.is_some() },
        Quantity::Measure(column) => AtomSpec::Measure(measure(bases.get(column)?)?),
        Quantity::Product(left, right) => {
            AtomSpec::Product(measure(bases.get(left)?)?, measure(bases.get(right)?)?)
        }
    })
}

/// The range and the decimal places that a measure is added up in; nothing without a declared range.
///
/// Each row's contribution is clamped to the range: a value beyond it would show through a rounding that goes by the
/// range (`sandbox/docs/disclosure-model.md`, section 5.2).
fn measure(base: &ColumnFacts) -> Option<MeasureSpec> {
    let (low, high) = base.range?;
    let scale = scale_of(base);
    Some(MeasureSpec { scale, low: low.to_scaled(scale)?, high: high.to_scaled(scale)? })
}

/// Whole numbers keep no decimal places; decimals keep their own; floating point keeps four at the most.
///
/// So sums run in whole numbers, which come to the same in any order of the rows: sums of floating point would differ
/// from one run of a question to the next (`sandbox/docs/disclosure-model.md`, section 6).
fn scale_of(base: &ColumnFacts) -> u8 {
    #[expect(clippy::wildcard_enum_match_arm, reason = "other numeric types are read as floating point")]
    match &base.data_type {
        DataType::Int64 => 0,
        DataType::Decimal128(_, scale) => u8::try_from(*scale).unwrap_or(0).min(6),
        _ => base.scale.clamp(0, FLOAT_SCALE).max(if matches!(base.kind, ColumnKind::SubjectMeasure) {
            FLOAT_SCALE
        } else {
            base.scale.min(FLOAT_SCALE)
        }),
    }
}

/// Ranges no wider than this are shares, marks and yes or no: what they add up to is a count in disguise.
const FEW_VALUES: Fixed = Fixed::from_micros(10_000_000);

/// The columns that an atom adds up, both of a product: rows chosen by either may hold one value of it
/// (`sandbox/docs/disclosure-model.md`, section 5.6).
fn added_up<'b>(
    atom: &'b Atom,
    bases: &'b BTreeMap<String, ColumnFacts>,
) -> impl Iterator<Item = (&'b String, &'b ColumnFacts)> {
    let columns = atom.quantity.columns();
    columns.into_iter().filter_map(|column| Some((column, bases.get(column)?)))
}

/// True if rows were chosen by what an atom adds up.
///
/// Where all rows have the same value, a sum is their exact number times that value, which the rounded count hides:
/// `AVG(n) ... WHERE n IN (1, 10)` is the share of the tens, and `SUM(n) ... GROUP BY n` a count times n. A measure is
/// cut at the edges of its bins, so that it differs within them, unless they are so fine that they hold a few values
/// each (`SUM(nights) ... WHERE nights >= 2 AND nights < 3`) (`sandbox/docs/disclosure-model.md`, section 5.6).
pub(super) fn is_chosen(atom: &Atom, bases: &BTreeMap<String, ColumnFacts>, compared: &Compared) -> bool {
    added_up(atom, bases).any(|(name, base)| match base.kind {
        ColumnKind::SubjectCount => compared.counts,
        ColumnKind::SubjectMeasure => compared.counts && has_fine_bins(base),
        ColumnKind::Declared(_) if !base.is_measure() || has_fine_bins(base) => {
            // A union hides which columns the rows of its parts were chosen by.
            let is_united = base.dataset.is_none() && base.between.is_none() && compared.joined;
            is_united || compared.columns.contains(&base.compared_name(name))
        }
        ColumnKind::Declared(_)
        | ColumnKind::Derived
        | ColumnKind::Released { .. }
        | ColumnKind::UnitKey { .. } => false,
    })
}

/// True if a bin holds so few values that to cut at its edges is to choose one of them.
///
/// `nights >= 2 AND nights < 3` leaves rows of one value, whose sum is a count that was not rounded as one
/// (`sandbox/docs/disclosure-model.md`, section 5.6).
fn has_fine_bins(base: &ColumnFacts) -> bool {
    let few = grain(&base.data_type).and_then(|grain| grain.checked_mul_i64(BIN_VALUES_FEW));
    base.bins.zip(few).is_some_and(|(bins, few)| bins <= few)
}

/// The time between two dates that an atom adds up over rows that may have been chosen by it: by the time itself, by
/// both dates, or by rows of another relation.
///
/// Rows chosen by both dates, as `hire = DATE '2000-01-01' AND birth >= DATE '1970-01-01'`, are chosen by the time
/// between them: it can be made the same in all, and its mean then tells how many rows there are
/// (`sandbox/docs/disclosure-model.md`, section 5.6).
pub(super) fn lies_between_chosen<'b>(
    atom: &'b Atom,
    bases: &'b BTreeMap<String, ColumnFacts>,
    compared: &Compared,
) -> Option<&'b ColumnFacts> {
    let is_compared = |column: &String| compared.columns.contains(column);
    let (_, base) = added_up(atom, bases).find(|(_, base)| {
        let dates = base.between.as_ref();
        dates.is_some_and(|dates| compared.joined || compared.counts || dates.iter().all(is_compared))
    })?;
    Some(base)
}

/// The refusal of a mean of times between dates that rows were, or may have been, chosen by.
///
/// Such a mean tells the number of rows more closely than the rounded count does
/// (`sandbox/docs/disclosure-model.md`, section 5.6).
pub(super) fn chosen_between(base: &ColumnFacts) -> Finding {
    Finding::of(Reason::MeanOfChosenTimes).with("column", base.name.clone()).help(
        "the time between two dates has a mean over rows of one table, chosen and grouped by one of the dates at the most: else group by the time and count",
        "两个日期之间的时长仅在单表中、且至多按其中一个日期筛选或分组时可求平均值：否则请按时长分组计数",
    )
}

/// Says how an atom is rounded: as a count, by the width of its range, or as a count times its largest value.
///
/// A sum of counts over everybody is a count. A sum over rows that were chosen by what it adds up is a count in
/// disguise: rounded by its range alone, `SUM(n) ... GROUP BY n` would tell the exact number of people
/// (`sandbox/docs/disclosure-model.md`, section 5.6).
pub(super) fn stage_atom(
    atom: &Atom,
    spec: &AtomSpec,
    is_chosen: bool,
    bases: &BTreeMap<String, ColumnFacts>,
) -> StageAtom {
    let range = |column: &String| bases.get(column).and_then(|base| base.range);
    let counted = |scale: u8| StageAtom {
        counts: true,
        scale,
        width: Fixed::ZERO,
        few: None,
        same: None,
        of_row: spec.of_row(),
        base: None,
    };
    // A masked value, and one without bins, may be the same in many rows.
    let may_be_same = !added_up(atom, bases).any(|(_, base)| base.mask.is_none() && base.is_measure());
    let measured =
        |range, scale| StageAtom { of_row: spec.of_row(), ..measured(range, scale, is_chosen, may_be_same) };
    match (&atom.quantity, spec) {
        // Counts over subjects' own rows add up to a count.
        (Quantity::Measure(column), AtomSpec::Measure(measure))
            if !is_chosen && bases.get(column).is_some_and(|base| base.kind == ColumnKind::SubjectCount) =>
        {
            counted(measure.scale)
        }
        (Quantity::Measure(column), AtomSpec::Measure(measure)) => measured(range(column), measure.scale),
        (Quantity::Product(left, right), AtomSpec::Product(a, b)) => {
            measured(product(range(left), range(right)), a.scale + b.scale)
        }
        _ => counted(0),
    }
}

/// An atom whose numbers are not rounded, because they have the noise of differential privacy.
pub(super) fn unrounded(spec: &AtomSpec) -> StageAtom {
    let (counts, scale) = match spec {
        AtomSpec::Rows { .. } => (true, 0),
        AtomSpec::Measure(measure) => (false, measure.scale),
        AtomSpec::Product(left, right) => (false, left.scale + right.scale),
    };
    StageAtom { counts, scale, width: Fixed::ZERO, few: None, same: None, of_row: spec.of_row(), base: None }
}

/// The rounding of a sum of measures, by the width of its range and by its largest value.
///
/// `few` stands for a count in disguise: the sum is then rounded to the base of counts times the largest value, so that
/// it tells the number of rows no better than a count. `same` does so for values that may be the same in many rows
/// (`sandbox/docs/disclosure-model.md`, section 5.6).
fn measured(range: Option<(Fixed, Fixed)>, scale: u8, is_chosen: bool, may_be_same: bool) -> StageAtom {
    let (low, high) = range.unwrap_or((Fixed::ZERO, Fixed::ZERO));
    let width = high.checked_sub(low).unwrap_or(Fixed::ZERO);
    let largest = [low, high].into_iter().filter_map(Fixed::checked_abs).max();
    let few = largest.filter(|_| is_chosen || width <= FEW_VALUES);
    StageAtom {
        counts: false,
        scale,
        width,
        few,
        same: largest.filter(|_| may_be_same),
        of_row: (0, 0),
        base: None,
    }
}

/// The range of a product of two measures, from its four corners.
///
/// A narrower range would clamp real contributions, and make the rounding finer than the values are wide
/// (`sandbox/docs/disclosure-model.md`, section 5.4).
fn product(left: Option<(Fixed, Fixed)>, right: Option<(Fixed, Fixed)>) -> Option<(Fixed, Fixed)> {
    let (left, right) = (left?, right?);
    let corner = |a: Fixed, b: Fixed| Fixed::from_f64(a.to_f64() * b.to_f64());
    let corners = [
        corner(left.0, right.0)?,
        corner(left.0, right.1)?,
        corner(left.1, right.0)?,
        corner(left.1, right.1)?,
    ];
    Some((corners.into_iter().min()?, corners.into_iter().max()?))
}

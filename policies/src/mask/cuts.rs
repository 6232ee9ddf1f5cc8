//! The questions about the raw values of a column that its masked values still answer, exactly.
//! A comparison cuts the values in two; a mask keeps the cuts that lie between two values that it shows apart.
//! It knows values and masks, and no SQL.

use crate::day::DatePart;
use crate::day::Day;
use crate::fixed::Fixed;
use crate::mask::Mask;
use crate::mask::MaskContext;
use crate::mask::apply::MICROS_PER_DAY;
use crate::mask::apply::MICROS_PER_HOUR;
use crate::mask::nearest_multiples;

/// A place between neighbouring values where a comparison cuts a column in two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut<T> {
    /// Just below the value: what `< value` and `>= value` ask.
    Below(T),
    /// Just above the value: what `<= value` and `> value` ask.
    Above(T),
}

/// A number or a point in time whose neighbours lie a fixed distance apart.
trait OnGrid: Copy + Ord {
    fn on_or_above(self, grain: Self) -> Option<Self>;
    fn after(self, grain: Self) -> Option<Self>;
    fn before(self, grain: Self) -> Option<Self>;
}

impl OnGrid for Fixed {
    fn on_or_above(self, grain: Self) -> Option<Self> {
        self.ceil_to(grain)
    }

    fn after(self, grain: Self) -> Option<Self> {
        self.floor_to(grain)?.checked_add(grain)
    }

    fn before(self, grain: Self) -> Option<Self> {
        self.checked_sub(grain)
    }
}

impl OnGrid for i64 {
    fn on_or_above(self, grain: Self) -> Option<Self> {
        let below = self.div_euclid(grain).checked_mul(grain)?;
        if below == self { Some(self) } else { below.checked_add(grain) }
    }

    fn after(self, grain: Self) -> Option<Self> {
        self.div_euclid(grain).checked_mul(grain)?.checked_add(grain)
    }

    fn before(self, grain: Self) -> Option<Self> {
        self.checked_sub(grain)
    }
}

impl Cut<Fixed> {
    /// The first value of the upper part, among values that lie `grain` apart.
    #[must_use]
    pub fn first_above(self, grain: Fixed) -> Option<Fixed> {
        first_above(self, grain)
    }
}

fn first_above<T: OnGrid>(cut: Cut<T>, grain: T) -> Option<T> {
    match cut {
        Cut::Below(value) => value.on_or_above(grain),
        Cut::Above(value) => value.after(grain),
    }
}

/// Masks keep the order of values, so that a cut is kept where its two neighbours are shown as two values of the column.
fn kept<T: OnGrid>(cut: Cut<T>, grain: T, apply: impl Fn(T) -> Option<T>) -> Option<Cut<T>> {
    let first = first_above(cut, grain)?;
    let (below, at) = (apply(first.before(grain)?)?, apply(first)?);
    (below < at).then_some(Cut::Below(at))
}

impl Mask {
    /// The place where the masked numbers are cut when the raw ones are cut at `cut`: the same rows lie on either side.
    ///
    /// Nothing where the mask shows no such place. `grain` is the distance of neighbouring values of the column, none for
    /// floating point, whose values are told apart down to a millionth.
    #[must_use]
    pub fn number_cut(&self, cut: Cut<Fixed>, grain: Option<Fixed>) -> Option<Cut<Fixed>> {
        match (self, grain) {
            (Self::Bin { .. } | Self::Round { .. } | Self::TopBottom { .. }, Some(grain)) => {
                // What the column's type cannot show becomes missing.
                kept(cut, grain, |value| self.apply_number(value).filter(|shown| shown.is_multiple_of(grain)))
            }
            (Self::Bin { width }, None) => match cut {
                Cut::Below(value) => value.is_multiple_of(*width).then_some(cut),
                Cut::Above(_) => None,
            },
            (Self::Round { step }, None) => rounded_cut(cut, *step),
            (Self::TopBottom { bottom, top }, None) => {
                let (over, under) = match cut {
                    Cut::Below(value) => (bottom.is_none_or(|b| b < value), top.is_none_or(|t| value <= t)),
                    Cut::Above(value) => (bottom.is_none_or(|b| b <= value), top.is_none_or(|t| value < t)),
                };
                (over && under).then_some(cut)
            }
            (
                Self::Redact
                | Self::Partial { .. }
                | Self::Token { .. }
                | Self::BinYears { .. }
                | Self::DateTrunc { .. }
                | Self::DateShift { .. }
                | Self::Hierarchy(_)
                | Self::FormatPreserving { .. },
                _,
            ) => None,
        }
    }

    /// The place where the masked points in time are cut when the raw ones are, in microseconds since 1970-01-01; `grain`
    /// is a day for dates. `today` is the job's day.
    #[must_use]
    pub fn time_cut(&self, cut: Cut<i64>, grain: i64, today: Day) -> Option<Cut<i64>> {
        let context = MaskContext::keyless(today);
        match self {
            Self::BinYears { .. } | Self::DateTrunc { .. } => {
                kept(cut, grain, |micros| self.apply_timestamp(micros, &context))
            }
            Self::Redact
            | Self::Partial { .. }
            | Self::Token { .. }
            | Self::Bin { .. }
            | Self::DateShift { .. }
            | Self::Hierarchy(_)
            | Self::TopBottom { .. }
            | Self::Round { .. }
            | Self::FormatPreserving { .. } => None,
        }
    }

    /// The numbers next to `value`, below it or at it and above it, that `<` and `>=` may be asked with.
    #[must_use]
    pub fn number_edges(&self, value: Fixed, grain: Option<Fixed>) -> Option<(Fixed, Fixed)> {
        let candidates = match self {
            Self::Bin { width } => {
                let (below, above) = nearest_multiples(value, *width);
                vec![below, above, above.checked_add(*width)?]
            }
            Self::Round { step } => {
                let middle = value.round_to(*step)?;
                let half = Fixed::from_micros(step.micros() / 2);
                // Halves go away from zero: below it, an edge is the next value after the half.
                let after = |half: Fixed| grain.map_or(Some(half), |grain| half.after(grain));
                let at = |half: Fixed| grain.map_or(Some(half), |grain| half.on_or_above(grain));
                let edge = |half: Fixed| if half.is_positive() { at(half) } else { after(half) };
                [-3, -1, 1, 3]
                    .into_iter()
                    .filter_map(|halves| edge(middle.checked_add(half.checked_mul_i64(halves)?)?))
                    .collect()
            }
            Self::TopBottom { bottom, top } => {
                let least = bottom.map_or(Some(value), |b| b.checked_add(grain.unwrap_or(Fixed::ONE)))?;
                let most = top.unwrap_or(value);
                let nearest = value.max(least).min(most);
                return Some((nearest, nearest));
            }
            Self::Redact
            | Self::Partial { .. }
            | Self::Token { .. }
            | Self::BinYears { .. }
            | Self::DateTrunc { .. }
            | Self::DateShift { .. }
            | Self::Hierarchy(_)
            | Self::FormatPreserving { .. } => return None,
        };
        let below = candidates.iter().copied().filter(|edge| *edge <= value).max()?;
        let above = candidates.iter().copied().filter(|edge| *edge > value).min()?;
        Some((below, above))
    }

    /// The points in time next to `micros`, below it or at it and above it, that `<` and `>=` may be asked with.
    #[must_use]
    pub fn time_edges(&self, micros: i64, today: Day) -> Option<(i64, i64)> {
        let context = MaskContext::keyless(today);
        let below = self.apply_timestamp(micros, &context)?;
        let day = Day::from_epoch_days(i32::try_from(below.div_euclid(MICROS_PER_DAY)).ok()?);
        let above = match self {
            Self::DateTrunc { part: DatePart::Hour } => {
                return Some((below, below.checked_add(MICROS_PER_HOUR)?));
            }
            Self::DateTrunc { part } => day.next(*part),
            Self::BinYears { years, .. } => Day::new_year(day.year().saturating_add(i32::from(*years))),
            Self::Redact
            | Self::Partial { .. }
            | Self::Token { .. }
            | Self::Bin { .. }
            | Self::DateShift { .. }
            | Self::Hierarchy(_)
            | Self::TopBottom { .. }
            | Self::Round { .. }
            | Self::FormatPreserving { .. } => return None,
        };
        let above = i64::from(above.epoch_days()).checked_mul(MICROS_PER_DAY)?;
        // A person older than the oldest band is shown in it: its beginning is no edge.
        let is_edge = self.time_cut(Cut::Below(below), 1, today).is_some();
        Some((if is_edge { below } else { above }, above))
    }

    /// True if a calendar part is the same of the masked date as of the raw one.
    #[must_use]
    pub fn keeps_part(&self, part: &str) -> bool {
        match self {
            Self::DateTrunc { part: DatePart::Hour } => true,
            Self::DateTrunc { part: DatePart::Day } => part != "hour",
            Self::DateTrunc { part: DatePart::Week } => part == "week",
            Self::DateTrunc { part: DatePart::Month } => matches!(part, "month" | "quarter" | "year"),
            Self::DateTrunc { part: DatePart::Quarter } => matches!(part, "quarter" | "year"),
            Self::DateTrunc { part: DatePart::Year } => part == "year",
            Self::BinYears { years: 1, top: None } => part == "year",
            Self::Redact
            | Self::Partial { .. }
            | Self::Token { .. }
            | Self::Bin { .. }
            | Self::BinYears { .. }
            | Self::DateShift { .. }
            | Self::Hierarchy(_)
            | Self::TopBottom { .. }
            | Self::Round { .. }
            | Self::FormatPreserving { .. } => false,
        }
    }

    /// The number of first characters of a text that the mask leaves as they are.
    #[must_use]
    pub fn kept_prefix(&self) -> usize {
        match self {
            Self::Partial { keep_first, .. } => usize::from(*keep_first),
            Self::Hierarchy(level) => level.kept_prefix(),
            Self::Redact
            | Self::Token { .. }
            | Self::Bin { .. }
            | Self::BinYears { .. }
            | Self::DateTrunc { .. }
            | Self::DateShift { .. }
            | Self::TopBottom { .. }
            | Self::Round { .. }
            | Self::FormatPreserving { .. } => 0,
        }
    }

    /// True if the mask gives this text to some values: `J06` by category, `31****` by two first characters.
    #[must_use]
    pub fn names(&self, text: &str, today: Day) -> bool {
        match self {
            Self::Hierarchy(level) => level.is_ancestor(text),
            Self::Partial { .. } => {
                self.apply_text(text, &MaskContext::keyless(today)).as_deref() == Some(text)
            }
            Self::Redact
            | Self::Token { .. }
            | Self::Bin { .. }
            | Self::BinYears { .. }
            | Self::DateTrunc { .. }
            | Self::DateShift { .. }
            | Self::TopBottom { .. }
            | Self::Round { .. }
            | Self::FormatPreserving { .. } => false,
        }
    }
}

/// Rounding cuts at half steps; halves go away from zero.
fn rounded_cut(cut: Cut<Fixed>, step: Fixed) -> Option<Cut<Fixed>> {
    let half = Fixed::from_micros(step.micros() / 2);
    if half.checked_mul_i64(2)? != step {
        return None;
    }
    let is_shown = |masked: &Fixed| masked.is_multiple_of(step);
    match cut {
        Cut::Below(value) if value.is_positive() => value.checked_add(half).filter(is_shown).map(Cut::Below),
        Cut::Above(value) if value < Fixed::ZERO => value.checked_sub(half).filter(is_shown).map(Cut::Above),
        Cut::Below(_) | Cut::Above(_) => None,
    }
}

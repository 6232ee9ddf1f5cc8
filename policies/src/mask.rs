//! Masks: what a value becomes before any query sees it, which of two masks is coarser, and where a mask's edges lie.
//! It rewrites no plan: the guard wraps [`Mask::apply_text`] and its siblings as functions at the scan.

use crate::day::DatePart;
use crate::day::Day;
use crate::fixed::Fixed;
use crate::hierarchy::HierarchyLevel;
use crate::vocabulary::DataType;
use crate::vocabulary::UnitKind;

mod apply;
mod coarsens;
mod cuts;
mod format_preserving;

pub use apply::MICROS_PER_DAY;
pub use apply::MaskContext;
pub use apply::MaskSecrets;
pub use apply::NoSecrets;
pub(crate) use coarsens::Coarsening;
pub(crate) use coarsens::DeclaredValues;
pub use cuts::Cut;
pub use format_preserving::FORMAT_DOMAIN_MIN;
pub use format_preserving::FormatKey;
pub use format_preserving::FormatKind;

/// The change that a column's values undergo at the scan.
///
/// Every mask fails closed: a value that is too short or malformed for it becomes missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mask {
    /// Every value becomes missing.
    Redact,
    /// The ends stay, the middle becomes `*`; a value of no more than the kept characters becomes missing.
    Partial {
        /// Characters kept at the beginning.
        keep_first: u8,
        /// Characters kept at the end.
        keep_last: u8,
    },
    /// A keyed pseudonym; the same value gives the same token within one domain.
    Token {
        /// Domain that separates pseudonyms of different uses.
        domain: String,
    },
    /// The lower edge of the bin.
    Bin {
        /// Width of the bins, which are multiples of it.
        width: Fixed,
    },
    /// January 1 of the band of years; the oldest fall into one band.
    BinYears {
        /// Years in a band.
        years: u8,
        /// Age from which all share one band, counted from the job's day.
        top: Option<u8>,
    },
    /// The beginning of the calendar part.
    DateTrunc {
        /// The part.
        part: DatePart,
    },
    /// All dates of one subject move by the same keyed number of days.
    DateShift {
        /// Kind of subject.
        per: UnitKind,
        /// Largest move in either direction.
        days_max: u16,
    },
    /// The ancestor at one level of a hierarchy.
    Hierarchy(HierarchyLevel),
    /// Values beyond the limits become the limits.
    TopBottom {
        /// Smallest value shown.
        bottom: Option<Fixed>,
        /// Largest value shown.
        top: Option<Fixed>,
    },
    /// The nearest multiple.
    Round {
        /// The step.
        step: Fixed,
    },
    /// A keyed value of the same form (FF1), check digit recomputed.
    FormatPreserving {
        /// Form of the values.
        kind: FormatKind,
        /// Domain that separates pseudonyms of different uses.
        domain: String,
    },
}

impl Mask {
    /// The coarsest mask that hides what either hides.
    ///
    /// Masks of different families have no common refinement that both stewards meant, so together they redact.
    /// Commutative, associative and idempotent.
    #[must_use]
    pub fn coarser(&self, other: &Self) -> Self {
        if self == other {
            return self.clone();
        }
        self.join(other).or_else(|| other.join(self)).unwrap_or(Self::Redact)
    }

    fn join(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (
                Self::Partial { keep_first, keep_last },
                Self::Partial { keep_first: first, keep_last: last },
            ) => Some(Self::Partial { keep_first: *keep_first.min(first), keep_last: *keep_last.min(last) }),
            (Self::Bin { width: a }, Self::Bin { width: b }) => {
                a.least_common_multiple(*b).map(|width| Self::Bin { width })
            }
            (Self::Round { step: a }, Self::Round { step: b }) => {
                // Rounding to 10 tells 4 from 5 where rounding to 5 does not. Roundings nest by odd factors only.
                let step = a.least_common_multiple(*b)?;
                let is_odd = |part: Fixed| step.micros() / part.micros() % 2 != 0;
                (is_odd(*a) && is_odd(*b)).then_some(Self::Round { step })
            }
            (Self::BinYears { years: a, top: top_a }, Self::BinYears { years: b, top: top_b }) => {
                let years = least_common_years(*a, *b)?;
                Some(Self::BinYears { years, top: smaller_limit(*top_a, *top_b) })
            }
            (Self::DateTrunc { part: a }, Self::DateTrunc { part: b }) => {
                coarser_part(*a, *b).map(|part| Self::DateTrunc { part })
            }
            (Self::BinYears { .. }, Self::DateTrunc { part }) if *part != DatePart::Week => {
                Some(self.clone())
            }
            (Self::Hierarchy(a), Self::Hierarchy(b)) => a.coarser(b).map(Self::Hierarchy),
            (
                Self::TopBottom { bottom: bottom_a, top: top_a },
                Self::TopBottom { bottom: bottom_b, top: top_b },
            ) => Some(
                Self::TopBottom {
                    bottom: larger_limit(*bottom_a, *bottom_b),
                    top: smaller_limit(*top_a, *top_b),
                }
                .or_redact_when_empty(),
            ),
            _ => None,
        }
    }

    fn or_redact_when_empty(self) -> Self {
        match self {
            Self::TopBottom { bottom: Some(bottom), top: Some(top) } if bottom >= top => Self::Redact,
            other => other,
        }
    }

    /// True if the mask takes values of this type and gives values of this type.
    #[must_use]
    pub fn fits(&self, data_type: DataType) -> bool {
        match self {
            Self::Redact => true,
            Self::Partial { .. }
            | Self::Token { .. }
            | Self::Hierarchy(_)
            | Self::FormatPreserving { .. } => data_type == DataType::Text,
            Self::Bin { width: step } | Self::Round { step } => can_show(data_type, *step),
            Self::TopBottom { bottom, top } => {
                data_type.is_numeric() && bottom.iter().chain(top).all(|limit| can_show(data_type, *limit))
            }
            Self::DateTrunc { part: DatePart::Hour } => data_type == DataType::Timestamp,
            Self::BinYears { .. } | Self::DateTrunc { .. } | Self::DateShift { .. } => {
                data_type.is_temporal()
            }
        }
    }

    /// The word for the mask in documents and verdicts.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Redact => "redact",
            Self::Partial { .. } => "partial",
            Self::Token { .. } => "token",
            Self::Bin { .. } => "bin",
            Self::BinYears { .. } => "bin_years",
            Self::DateTrunc { .. } => "date_trunc",
            Self::DateShift { .. } => "date_shift",
            Self::Hierarchy(_) => "hierarchy",
            Self::TopBottom { .. } => "top_bottom",
            Self::Round { .. } => "round",
            Self::FormatPreserving { .. } => "format_preserving",
        }
    }

    /// Width of the steps that a number mask shows, if it shows steps.
    #[must_use]
    pub fn step(&self) -> Option<Fixed> {
        match self {
            Self::Bin { width } => Some(*width),
            Self::Round { step } => Some(*step),
            _ => None,
        }
    }

    /// Smallest and largest value that a number mask shows, where it has such limits.
    #[must_use]
    pub fn limits(&self) -> (Option<Fixed>, Option<Fixed>) {
        match self {
            Self::TopBottom { bottom, top } => (*bottom, *top),
            _ => (None, None),
        }
    }
}

/// True if a type holds a number and its multiples. A masked value that its type does not hold becomes missing.
fn can_show(data_type: DataType, number: Fixed) -> bool {
    match data_type {
        DataType::Int => number.is_multiple_of(Fixed::ONE),
        DataType::Decimal { scale } => {
            Fixed::from_scaled(1, scale).is_none_or(|grain| number.is_multiple_of(grain))
        }
        DataType::Float => true,
        DataType::Text | DataType::Date | DataType::Timestamp | DataType::Bool => false,
    }
}

/// The multiples of `step` next to a number, below and above (both the number itself when it is one).
#[must_use]
pub fn nearest_multiples(value: Fixed, step: Fixed) -> (Fixed, Fixed) {
    (value.floor_to(step).unwrap_or(value), value.ceil_to(step).unwrap_or(value))
}

/// First year of the band that a day lies in.
fn years_band(day: Day, years: u8) -> i32 {
    let years = i32::from(years.max(1));
    day.year().div_euclid(years) * years
}

/// First year of the band that holds everybody of age `top` and more.
fn oldest_band(years: u8, top: Option<u8>, today: Day) -> Option<i32> {
    let born = today.year() - i32::from(top?);
    let years = i32::from(years.max(1));
    Some(born.div_euclid(years) * years)
}

fn least_common_years(a: u8, b: u8) -> Option<u8> {
    let (a, b) = (Fixed::from_i64(i64::from(a)), Fixed::from_i64(i64::from(b)));
    a.least_common_multiple(b)?.to_i64().and_then(|years| u8::try_from(years).ok())
}

/// Weeks nest in no month, quarter or year.
fn coarser_part(a: DatePart, b: DatePart) -> Option<DatePart> {
    let (low, high) = if a <= b { (a, b) } else { (b, a) };
    if low == DatePart::Week && high != DatePart::Week { None } else { Some(high) }
}

fn smaller_limit<T: Ord + Copy>(a: Option<T>, b: Option<T>) -> Option<T> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (only, None) | (None, only) => only,
    }
}

fn larger_limit<T: Ord + Copy>(a: Option<T>, b: Option<T>) -> Option<T> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.max(b)),
        (only, None) | (None, only) => only,
    }
}

#[cfg(test)]
mod tests;

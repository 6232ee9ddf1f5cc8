//! Scalar masks as pure functions: the one definition of what each mask does to one value.
//! Secrets come in through a trait; this module holds none and reads no clock.

use std::fmt;

use crate::day::DatePart;
use crate::day::Day;
use crate::fixed::Fixed;
use crate::mask::FormatKey;
use crate::mask::Mask;
use crate::mask::oldest_band;
use crate::mask::years_band;
use crate::vocabulary::UnitKind;

pub(super) const MICROS_PER_HOUR: i64 = 3_600_000_000;
/// Microseconds of a day.
pub const MICROS_PER_DAY: i64 = 24 * MICROS_PER_HOUR;

/// Keyed functions that masks need; implemented over the key management, never here.
pub trait MaskSecrets {
    /// The pseudonym of a text in a domain, or nothing when the key is not at hand.
    fn token(&self, domain: &str, text: &str) -> Option<String>;

    /// A keyed, uniform number for one subject.
    fn shift(&self, per: &UnitKind, subject: i64) -> Option<u64>;

    /// The key of a format-preserving domain.
    fn format_key(&self, domain: &str) -> Option<&FormatKey>;
}

/// No keys at all: every keyed mask redacts.
#[derive(Debug, Clone, Copy)]
pub struct NoSecrets;

impl MaskSecrets for NoSecrets {
    fn token(&self, _domain: &str, _text: &str) -> Option<String> {
        None
    }

    fn shift(&self, _per: &UnitKind, _subject: i64) -> Option<u64> {
        None
    }

    fn format_key(&self, _domain: &str) -> Option<&FormatKey> {
        None
    }
}

/// The facts that a mask may need besides the value.
#[derive(Clone, Copy)]
pub struct MaskContext<'a> {
    /// The job's day, frozen at its start.
    pub today: Day,
    /// Token of the subject that the row belongs to.
    pub subject: Option<i64>,
    /// Keyed functions.
    pub secrets: &'a dyn MaskSecrets,
}

impl MaskContext<'_> {
    /// The context of masks that need neither a subject nor keys; keyed masks redact in it.
    #[must_use]
    pub const fn keyless(today: Day) -> Self {
        Self { today, subject: None, secrets: &NoSecrets }
    }
}

impl fmt::Debug for MaskContext<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MaskContext").field("today", &self.today).finish_non_exhaustive()
    }
}

impl Mask {
    /// Masks a text; missing where the value does not fit the mask.
    #[must_use]
    pub fn apply_text(&self, value: &str, context: &MaskContext<'_>) -> Option<String> {
        match self {
            Self::Partial { keep_first, keep_last } => partial(value, *keep_first, *keep_last),
            Self::Token { domain } => context.secrets.token(domain, value),
            Self::Hierarchy(level) => level.ancestor(value),
            Self::FormatPreserving { kind, domain } => {
                kind.encrypt(context.secrets.format_key(domain)?, domain, value)
            }
            Self::Redact
            | Self::Bin { .. }
            | Self::BinYears { .. }
            | Self::DateTrunc { .. }
            | Self::DateShift { .. }
            | Self::TopBottom { .. }
            | Self::Round { .. } => None,
        }
    }

    /// Masks a number; missing where the value does not fit the mask.
    #[must_use]
    pub fn apply_number(&self, value: Fixed) -> Option<Fixed> {
        match self {
            Self::Bin { width } => value.floor_to(*width),
            Self::Round { step } => value.round_to(*step),
            Self::TopBottom { bottom, top } => {
                let value = top.map_or(value, |t| value.min(t));
                Some(bottom.map_or(value, |b| value.max(b)))
            }
            Self::Redact
            | Self::Partial { .. }
            | Self::Token { .. }
            | Self::BinYears { .. }
            | Self::DateTrunc { .. }
            | Self::DateShift { .. }
            | Self::Hierarchy(_)
            | Self::FormatPreserving { .. } => None,
        }
    }

    /// Masks a day; missing where the value does not fit the mask.
    #[must_use]
    pub fn apply_date(&self, value: Day, context: &MaskContext<'_>) -> Option<Day> {
        match self {
            Self::BinYears { years, top } => {
                if *years == 0 {
                    return None;
                }
                let band = years_band(value, *years);
                let oldest = oldest_band(*years, *top, context.today);
                Some(Day::new_year(oldest.map_or(band, |o| band.max(o))))
            }
            Self::DateTrunc { part } => Some(value.trunc(*part)),
            Self::DateShift { per, days_max } => {
                let shift = context.secrets.shift(per, context.subject?)?;
                value.checked_add_days(days_of(shift, *days_max)?)
            }
            Self::Redact
            | Self::Partial { .. }
            | Self::Token { .. }
            | Self::Bin { .. }
            | Self::Hierarchy(_)
            | Self::TopBottom { .. }
            | Self::Round { .. }
            | Self::FormatPreserving { .. } => None,
        }
    }

    /// Masks a timestamp in microseconds since 1970-01-01; missing where the value does not fit the mask.
    #[must_use]
    pub fn apply_timestamp(&self, micros: i64, context: &MaskContext<'_>) -> Option<i64> {
        let day = Day::from_epoch_days(i32::try_from(micros.div_euclid(MICROS_PER_DAY)).ok()?);
        match self {
            Self::DateTrunc { part: DatePart::Hour } => {
                micros.div_euclid(MICROS_PER_HOUR).checked_mul(MICROS_PER_HOUR)
            }
            Self::BinYears { .. } | Self::DateTrunc { .. } => {
                i64::from(self.apply_date(day, context)?.epoch_days()).checked_mul(MICROS_PER_DAY)
            }
            Self::DateShift { .. } => {
                let moved = self.apply_date(day, context)?;
                let days = i64::from(moved.epoch_days()).checked_sub(i64::from(day.epoch_days()))?;
                micros.checked_add(days.checked_mul(MICROS_PER_DAY)?)
            }
            Self::Redact
            | Self::Partial { .. }
            | Self::Token { .. }
            | Self::Bin { .. }
            | Self::Hierarchy(_)
            | Self::TopBottom { .. }
            | Self::Round { .. }
            | Self::FormatPreserving { .. } => None,
        }
    }
}

fn partial(value: &str, keep_first: u8, keep_last: u8) -> Option<String> {
    let (first, last) = (usize::from(keep_first), usize::from(keep_last));
    let length = value.chars().count();
    // At least as many characters are hidden as a reader could guess from the kept ends of a very short value: one.
    let hidden = length.checked_sub(first + last).filter(|hidden| *hidden > 0)?;
    let mut masked: String = value.chars().take(first).collect();
    masked.extend(std::iter::repeat_n('*', hidden));
    masked.extend(value.chars().skip(first + hidden));
    Some(masked)
}

fn days_of(shift: u64, days_max: u16) -> Option<i32> {
    let span = u64::from(days_max) * 2 + 1;
    Some(i32::try_from(shift % span).ok()? - i32::from(days_max))
}

//! The test that a mask coarsens the values that a column is declared to hold: only such a mask may lower a grade.
//! It judges declarations, never data: values that the document does not declare are not coarsened.

use std::collections::BTreeSet;

use crate::day::DatePart;
use crate::day::Day;
use crate::fixed::Fixed;
use crate::mask::Mask;
use crate::mask::MaskContext;
use crate::vocabulary::DataType;

/// The values that a column may hold, as far as its document declares them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DeclaredValues<'a> {
    /// Physical type.
    pub(crate) data_type: DataType,
    /// Decimal places of a number: the type's smallest step.
    pub(crate) scale: u8,
    /// All values that occur.
    pub(crate) domain: Option<&'a [String]>,
    /// Smallest and largest value of a number.
    pub(crate) range: Option<(Fixed, Fixed)>,
    /// Semantic type.
    pub(crate) semantic: Option<&'a str>,
}

/// The effect of a mask on the values that a column may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coarsening {
    /// At most half as many values remain.
    Coarser,
    /// More than half as many values remain.
    TooFine,
    /// Every value remains apart, under another name or at another place.
    Renames,
    /// The document does not say what the values are.
    NotDeclared,
}

/// Of the declared values at most one in this many may remain.
const VALUES_PER_REMAINING: u128 = 2;

impl Mask {
    /// Decides if at most half as many of the declared values remain.
    ///
    /// Tokens, pseudonyms of the same form and shifted dates keep every value apart: a count of them is a count of people.
    pub(crate) fn coarsening(&self, values: &DeclaredValues<'_>) -> Coarsening {
        match self {
            Self::Redact => return Coarsening::Coarser,
            Self::Token { .. } | Self::DateShift { .. } | Self::FormatPreserving { .. } => {
                return Coarsening::Renames;
            }
            Self::Partial { .. }
            | Self::Bin { .. }
            | Self::BinYears { .. }
            | Self::DateTrunc { .. }
            | Self::Hierarchy(_)
            | Self::TopBottom { .. }
            | Self::Round { .. } => {}
        }
        if !self.fits(values.data_type) {
            return Coarsening::TooFine;
        }
        match values.domain {
            Some(domain) => of_counts(count(domain.len()), self.remaining_of(domain, values.data_type)),
            None => self.coarsening_of_type(values),
        }
    }

    /// The number of values of an enumerated domain that remain apart.
    fn remaining_of(&self, domain: &[String], data_type: DataType) -> u128 {
        // Without the age from which all share one band: the day of a job can only let fewer remain.
        let mask = match self {
            Self::BinYears { years, .. } => Self::BinYears { years: *years, top: None },
            other => other.clone(),
        };
        let context = MaskContext::keyless(Day::from_epoch_days(0));
        let remaining: BTreeSet<Image> =
            domain.iter().map(|value| image(&mask, value, data_type, &context)).collect();
        count(remaining.len())
    }

    fn coarsening_of_type(&self, values: &DeclaredValues<'_>) -> Coarsening {
        let decided = |is_coarser| if is_coarser { Coarsening::Coarser } else { Coarsening::TooFine };
        match self {
            Self::BinYears { years, .. } => decided(*years > 0),
            Self::DateTrunc { part } => decided(match part {
                DatePart::Hour => false,
                DatePart::Day => values.data_type == DataType::Timestamp,
                DatePart::Week | DatePart::Month | DatePart::Quarter | DatePart::Year => true,
            }),
            // The finest level is what the codes are known by; what lies below it is left out by most who write them.
            Self::Hierarchy(level) => decided(!level.is_finest()),
            Self::Partial { keep_first, keep_last } => match values.semantic.and_then(form_of) {
                Some(form) => decided(form.hides(*keep_first, *keep_last)),
                None => Coarsening::NotDeclared,
            },
            Self::Bin { .. } | Self::Round { .. } | Self::TopBottom { .. } => match values.range {
                Some(range) => match self.numbers(range, values.scale) {
                    Some((all, remaining)) => of_counts(all, remaining),
                    None => Coarsening::TooFine,
                },
                None => Coarsening::NotDeclared,
            },
            Self::Redact | Self::Token { .. } | Self::DateShift { .. } | Self::FormatPreserving { .. } => {
                Coarsening::TooFine
            }
        }
    }

    /// The count of numbers in a range, and of those the most that remain apart.
    fn numbers(&self, (low, high): (Fixed, Fixed), scale: u8) -> Option<(u128, u128)> {
        // Beyond six places numbers are counted as if they had six: too few, which is the careful side.
        let step = Fixed::from_scaled(1, scale).unwrap_or(Fixed::from_micros(1));
        let between = |low: Fixed, high: Fixed, step: Fixed| {
            let width = high.floor_to(step)?.checked_sub(low.ceil_to(step)?)?;
            u128::try_from(width.micros() / step.micros() + 1).ok()
        };
        let all = between(low, high, step)?;
        let (first, last) = (self.apply_number(low)?, self.apply_number(high)?);
        let shown = match self.step() {
            Some(width) => width,
            None => {
                // A limit that is none of the numbers is one more value.
                let limits = [first, last].iter().filter(|limit| !limit.is_multiple_of(step)).count();
                return Some((all, between(first, last, step)?.checked_add(count(limits))?));
            }
        };
        Some((all, between(first, last, shown)?))
    }
}

/// The masked form of one value of a domain.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Image {
    Missing,
    Text(String),
    Number(Fixed),
    Day(Day),
    /// Not written as its type is: it counts as a value of its own.
    Unread(String),
}

fn image(mask: &Mask, value: &str, data_type: DataType, context: &MaskContext<'_>) -> Image {
    let unread = || Image::Unread(value.to_owned());
    match (data_type, mask) {
        // A value that is too short becomes missing, and longer values, which are not declared, would be shown.
        (DataType::Text, Mask::Partial { .. }) => {
            mask.apply_text(value, context).map_or_else(unread, Image::Text)
        }
        (DataType::Text, _) => mask.apply_text(value, context).map_or(Image::Missing, Image::Text),
        (DataType::Int | DataType::Decimal { .. } | DataType::Float, _) => {
            match value.trim().parse::<Fixed>() {
                Ok(number) => mask.apply_number(number).map_or(Image::Missing, Image::Number),
                Err(_) => unread(),
            }
        }
        (DataType::Date, _) => match value.trim().parse::<Day>() {
            Ok(day) => mask.apply_date(day, context).map_or(Image::Missing, Image::Day),
            Err(_) => unread(),
        },
        (DataType::Timestamp | DataType::Bool, _) => unread(),
    }
}

/// The form of texts of one semantic type.
struct TextForm {
    /// Characters of the shortest text.
    length: usize,
    /// The last character follows from the others: hiding one of them hides nothing.
    has_check: bool,
}

impl TextForm {
    /// True if a character is hidden that the kept ones do not give away.
    fn hides(&self, keep_first: u8, keep_last: u8) -> bool {
        let kept = usize::from(keep_first) + usize::from(keep_last);
        let hidden = self.length.saturating_sub(kept);
        hidden > usize::from(self.has_check)
    }
}

/// The form of a semantic type whose texts have a known length.
fn form_of(semantic: &str) -> Option<TextForm> {
    match semantic {
        "resident_id" | "uscc" => Some(TextForm { length: 18, has_check: true }),
        "bank_card" => Some(TextForm { length: 16, has_check: true }),
        "mobile" => Some(TextForm { length: 11, has_check: false }),
        "plate" => Some(TextForm { length: 7, has_check: false }),
        _ => None,
    }
}

fn of_counts(all: u128, remaining: u128) -> Coarsening {
    match remaining.checked_mul(VALUES_PER_REMAINING) {
        Some(doubled) if doubled <= all => Coarsening::Coarser,
        _ => Coarsening::TooFine,
    }
}

fn count(values: usize) -> u128 {
    values as u128
}

#[cfg(test)]
mod tests {
    use proptest::prop_assert;
    use proptest::proptest;

    use super::*;
    use crate::combine::tests::mask as any_mask;
    use crate::mask::FormatKind;
    use crate::shipped::hierarchies;
    use crate::vocabulary::UnitKind;

    const UNDECLARED: DeclaredValues<'static> =
        DeclaredValues { data_type: DataType::Text, scale: 0, domain: None, range: None, semantic: None };

    fn numbers(range: Option<(i64, i64)>) -> DeclaredValues<'static> {
        let range = range.map(|(low, high)| (low.into(), high.into()));
        DeclaredValues { data_type: DataType::Int, range, ..UNDECLARED }
    }

    fn fixed(text: &str) -> Fixed {
        text.parse().unwrap()
    }

    #[test]
    fn masks_that_change_nothing_coarsen_nothing() {
        let top = |top: i64| Mask::TopBottom { bottom: None, top: Some(top.into()) };
        for mask in [
            Mask::Bin { width: Fixed::ONE },
            Mask::Round { step: Fixed::ONE },
            top(999_999_999),
            top(60),
            Mask::TopBottom { bottom: Some(20.into()), top: Some(90.into()) },
        ] {
            assert_eq!(mask.coarsening(&numbers(Some((0, 100)))), Coarsening::TooFine, "{mask:?}");
            assert_eq!(mask.coarsening(&numbers(None)), Coarsening::NotDeclared, "{mask:?}");
        }
        for mask in [
            Mask::Redact,
            Mask::Bin { width: 5.into() },
            Mask::Round { step: 5.into() },
            top(40),
            Mask::TopBottom { bottom: Some(40.into()), top: Some(60.into()) },
        ] {
            assert_eq!(mask.coarsening(&numbers(Some((0, 100)))), Coarsening::Coarser, "{mask:?}");
        }
    }

    #[test]
    fn bins_as_wide_as_the_declared_places_are_no_bins() {
        let money = |scale| DeclaredValues {
            data_type: DataType::Decimal { scale },
            scale,
            range: Some((0.into(), 100.into())),
            ..UNDECLARED
        };
        let cent = Mask::Bin { width: fixed("0.01") };
        assert_eq!(cent.coarsening(&money(2)), Coarsening::TooFine);
        assert_eq!(cent.coarsening(&money(4)), Coarsening::Coarser);
        assert_eq!(cent.coarsening(&money(0)), Coarsening::TooFine);
    }

    #[test]
    fn pseudonyms_and_moved_dates_stay_apart() {
        let domain = "a".to_owned();
        for mask in [
            Mask::Token { domain: domain.clone() },
            Mask::FormatPreserving { kind: FormatKind::Mobile, domain },
            Mask::DateShift { per: UnitKind("resident".to_owned()), days_max: 400 },
        ] {
            assert_eq!(mask.coarsening(&UNDECLARED), Coarsening::Renames, "{mask:?}");
        }
    }

    #[test]
    fn a_text_s_length_must_be_known_and_more_than_the_check_digit_hidden() {
        let of = |semantic, keep_first, keep_last| {
            let values = DeclaredValues { semantic, ..UNDECLARED };
            Mask::Partial { keep_first, keep_last }.coarsening(&values)
        };
        for (semantic, keep_first, keep_last, expected) in [
            (Some("mobile"), 255, 0, Coarsening::TooFine),
            (Some("mobile"), 3, 4, Coarsening::Coarser),
            (Some("mobile"), 10, 0, Coarsening::Coarser),
            (Some("mobile"), 11, 0, Coarsening::TooFine),
            (Some("resident_id"), 17, 0, Coarsening::TooFine),
            (Some("resident_id"), 8, 9, Coarsening::TooFine),
            (Some("resident_id"), 6, 4, Coarsening::Coarser),
            (Some("name"), 1, 0, Coarsening::NotDeclared),
            (None, 255, 0, Coarsening::NotDeclared),
        ] {
            assert_eq!(
                of(semantic, keep_first, keep_last),
                expected,
                "{semantic:?} {keep_first} {keep_last}"
            );
        }
    }

    #[test]
    fn calendar_parts_coarsen_from_the_week_and_times_from_the_day() {
        let of = |part, data_type| {
            Mask::DateTrunc { part }.coarsening(&DeclaredValues { data_type, ..UNDECLARED })
        };
        for (part, date, time) in [
            (DatePart::Hour, Coarsening::TooFine, Coarsening::TooFine),
            (DatePart::Day, Coarsening::TooFine, Coarsening::Coarser),
            (DatePart::Week, Coarsening::Coarser, Coarsening::Coarser),
            (DatePart::Year, Coarsening::Coarser, Coarsening::Coarser),
        ] {
            assert_eq!(of(part, DataType::Date), date, "{part}");
            assert_eq!(of(part, DataType::Timestamp), time, "{part}");
        }
        let band = Mask::BinYears { years: 1, top: None };
        assert_eq!(
            band.coarsening(&DeclaredValues { data_type: DataType::Date, ..UNDECLARED }),
            Coarsening::Coarser
        );
    }

    #[test]
    fn an_enumerated_domain_is_counted() {
        let domain = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>();
        let hierarchies = hierarchies().unwrap();
        let level = |name: &str| Mask::Hierarchy(hierarchies["icd10"].level(name).unwrap());
        let codes = domain(&["J45.0", "J45.9", "C15.1", "C15.2"]);
        let of = |mask: &Mask, domain: &[String], data_type| {
            mask.coarsening(&DeclaredValues { data_type, domain: Some(domain), ..UNDECLARED })
        };
        assert_eq!(of(&level("category"), &codes, DataType::Text), Coarsening::Coarser);
        let categories = domain(&["J45", "J46", "C15", "E11"]);
        assert_eq!(of(&level("category"), &categories, DataType::Text), Coarsening::TooFine);
        assert_eq!(of(&level("chapter"), &categories, DataType::Text), Coarsening::TooFine, "three of four");
        // Days that are the first of a quarter already.
        let quarters = domain(&["2026-01-01", "2026-04-01", "2026-07-01", "2026-10-01"]);
        let trunc = |part| Mask::DateTrunc { part };
        assert_eq!(of(&trunc(DatePart::Month), &quarters, DataType::Date), Coarsening::TooFine);
        assert_eq!(of(&trunc(DatePart::Year), &quarters, DataType::Date), Coarsening::Coarser);
        let letters = domain(&["a", "b", "c", "d"]);
        let all = Mask::Partial { keep_first: 255, keep_last: 0 };
        assert_eq!(of(&all, &letters, DataType::Text), Coarsening::TooFine);
        let only = domain(&["7"]);
        assert_eq!(of(&Mask::Bin { width: 10.into() }, &only, DataType::Int), Coarsening::TooFine);
    }

    #[test]
    fn the_finest_level_of_a_hierarchy_coarsens_nothing_that_is_known() {
        let hierarchies = hierarchies().unwrap();
        for (name, level, expected) in [
            ("icd10", "category", Coarsening::TooFine),
            ("icd10", "block", Coarsening::Coarser),
            ("cn-admin", "district", Coarsening::TooFine),
            ("cn-admin", "city", Coarsening::Coarser),
        ] {
            let mask = Mask::Hierarchy(hierarchies[name].level(level).unwrap());
            assert_eq!(mask.coarsening(&UNDECLARED), expected, "{name} {level}");
        }
    }

    proptest! {
        /// Over whole numbers: what counts as coarser leaves at most half of them apart, counted one by one.
        #[test]
        fn coarser_is_never_said_of_more_than_half(mask in any_mask(), low in -50_i64..50, width in 0_i64..80) {
            let values = numbers(Some((low, low + width)));
            let is_number_mask =
                matches!(mask, Mask::Bin { .. } | Mask::Round { .. } | Mask::TopBottom { .. });
            if is_number_mask && mask.coarsening(&values) == Coarsening::Coarser {
                let images: BTreeSet<_> =
                    (low..=low + width).map(|value| mask.apply_number(value.into())).collect();
                let remaining = i64::try_from(images.len()).unwrap();
                prop_assert!(remaining * 2 <= width + 1, "{mask:?} leaves {remaining} of {}", width + 1);
            }
        }
    }
}

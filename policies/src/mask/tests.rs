//! Facts about masks: what each does to a value, which edges it has, and that combining is a join.
//! Nothing here is used outside tests.

use proptest::prelude::any;
use proptest::prop_assert;
use proptest::prop_assert_eq;
use proptest::proptest;
use zeroize::Zeroizing;

use crate::day::DatePart;
use crate::day::Day;
use crate::fixed::Fixed;
use crate::identifiers::luhn_check;
use crate::identifiers::resident_id_check;
use crate::identifiers::uscc_check;
use crate::mask::Cut;
use crate::mask::FormatKey;
use crate::mask::FormatKind;
use crate::mask::MICROS_PER_DAY;
use crate::mask::Mask;
use crate::mask::MaskContext;
use crate::mask::MaskSecrets;
use crate::mask::NoSecrets;
use crate::vocabulary::DataType;
use crate::vocabulary::UnitKind;

fn day(text: &str) -> Day {
    text.parse().unwrap()
}

#[test]
fn bins_are_cut_at_their_multiples() {
    let mask = Mask::Bin { width: 10.into() };
    let whole = Some(Fixed::ONE);
    assert_eq!(mask.number_cut(Cut::Below(20.into()), whole), Some(Cut::Below(20.into())));
    assert_eq!(mask.number_cut(Cut::Above(19.into()), whole), Some(Cut::Below(20.into())), "> 19 is >= 20");
    assert_eq!(mask.number_cut(Cut::Above(20.into()), whole), None);
    assert_eq!(mask.number_cut(Cut::Above(19.into()), None), None, "19.5 lies between");
    assert_eq!(mask.number_edges(250.into(), whole), Some((250.into(), 260.into())));
    assert_eq!(mask.number_edges((-253).into(), whole), Some(((-260).into(), (-250).into())));
}

#[test]
fn a_mask_fits_a_type_that_holds_what_it_shows() {
    let half = Fixed::from_micros(2_500_000);
    for mask in [
        Mask::Bin { width: half },
        Mask::Round { step: half },
        Mask::TopBottom { bottom: None, top: Some(half) },
    ] {
        assert!(!mask.fits(DataType::Int), "{mask:?} makes whole numbers missing");
        assert!(mask.fits(DataType::Decimal { scale: 1 }) && mask.fits(DataType::Float), "{mask:?}");
        assert!(!mask.fits(DataType::Decimal { scale: 0 }) && !mask.fits(DataType::Text), "{mask:?}");
    }
}

#[test]
fn rounding_is_cut_at_half_steps() {
    let mask = Mask::Round { step: 10.into() };
    let whole = Some(Fixed::ONE);
    assert_eq!(mask.number_cut(Cut::Below(15.into()), whole), Some(Cut::Below(20.into())));
    assert_eq!(mask.number_cut(Cut::Below(20.into()), whole), None);
    assert_eq!(mask.number_cut(Cut::Above((-5).into()), whole), Some(Cut::Below(Fixed::ZERO)));
    assert_eq!(mask.number_cut(Cut::Below((-5).into()), whole), None, "-5 is shown as -10");
    assert_eq!(mask.number_edges(20.into(), whole), Some((15.into(), 25.into())));
}

#[test]
fn limits_cut_within_them_alone() {
    let mask = Mask::TopBottom { bottom: Some(10.into()), top: Some(90.into()) };
    let cut = |value: i64| mask.number_cut(Cut::Below(value.into()), Some(Fixed::ONE)).is_some();
    assert!(!cut(10), "all are at least 10");
    assert!(cut(11) && cut(90) && !cut(91));
    assert_eq!(mask.number_edges(120.into(), Some(Fixed::ONE)), Some((90.into(), 90.into())));
}

#[test]
fn dates_are_cut_where_parts_and_bands_begin() {
    let today = day("2026-11-21");
    let micros = |text: &str| i64::from(day(text).epoch_days()) * MICROS_PER_DAY;
    let month = Mask::DateTrunc { part: DatePart::Month };
    let cut = |mask: &Mask, cut| mask.time_cut(cut, MICROS_PER_DAY, today).is_some();
    assert!(cut(&month, Cut::Below(micros("2026-02-01"))) && cut(&month, Cut::Above(micros("2026-01-31"))));
    assert!(!cut(&month, Cut::Above(micros("2026-02-01"))));
    assert_eq!(
        month.time_edges(micros("2026-02-10"), today),
        Some((micros("2026-02-01"), micros("2026-03-01")))
    );
    let band = Mask::BinYears { years: 5, top: Some(90) };
    assert!(cut(&band, Cut::Below(micros("1985-01-01"))) && !cut(&band, Cut::Below(micros("1986-01-01"))));
    assert!(!cut(&band, Cut::Below(micros("1935-01-01"))), "below the oldest band nothing is told apart");
    assert_eq!(
        band.time_edges(micros("1986-06-01"), today),
        Some((micros("1985-01-01"), micros("1990-01-01")))
    );
}

#[test]
fn texts_keep_what_their_mask_leaves() {
    let today = day("2026-11-21");
    let partial = Mask::Partial { keep_first: 2, keep_last: 0 };
    assert_eq!(partial.kept_prefix(), 2);
    assert!(partial.names("31****", today) && !partial.names("310106", today) && !partial.names("31", today));
    let hierarchies = crate::shipped::hierarchies().unwrap();
    let level = |level: &str| Mask::Hierarchy(hierarchies.get("icd10").unwrap().level(level).unwrap());
    assert_eq!((level("category").kept_prefix(), level("block").kept_prefix()), (3, 0));
    assert!(level("category").names("J18", today) && !level("category").names("J18.9", today));
    assert!(level("block").names("J40-J47", today) && !level("block").names("J45", today));
}

struct Keys {
    format: FormatKey,
}

impl MaskSecrets for Keys {
    fn token(&self, domain: &str, text: &str) -> Option<String> {
        Some(format!("{domain}/{text}"))
    }

    fn shift(&self, per: &UnitKind, subject: i64) -> Option<u64> {
        (per.as_str() == "resident").then_some(subject.unsigned_abs())
    }

    fn format_key(&self, _domain: &str) -> Option<&FormatKey> {
        Some(&self.format)
    }
}

fn keys() -> Keys {
    Keys { format: FormatKey::new(Zeroizing::new([7; 32])) }
}

fn text(mask: &Mask, value: &str) -> Option<String> {
    let keys = keys();
    mask.apply_text(value, &MaskContext { today: day("2026-11-21"), subject: Some(40), secrets: &keys })
}

fn date(mask: &Mask, value: &str) -> Option<Day> {
    let keys = keys();
    mask.apply_date(day(value), &MaskContext { today: day("2026-11-21"), subject: Some(40), secrets: &keys })
}

#[test]
fn partial_keeps_the_ends_and_redacts_what_is_too_short() {
    let mask = Mask::Partial { keep_first: 3, keep_last: 4 };
    assert_eq!(text(&mask, "13800138000").as_deref(), Some("138****8000"));
    assert_eq!(text(&mask, "12345678").as_deref(), Some("123*5678"));
    assert_eq!(text(&mask, "1234567"), None);
    assert_eq!(text(&Mask::Partial { keep_first: 1, keep_last: 0 }, "欧阳娜娜").as_deref(), Some("欧***"));
    assert_eq!(text(&mask, ""), None);
}

#[test]
fn redact_leaves_nothing_of_any_type() {
    let keys = keys();
    let context = MaskContext { today: day("2026-11-21"), subject: Some(1), secrets: &keys };
    assert_eq!(text(&Mask::Redact, "x"), None);
    assert_eq!(Mask::Redact.apply_number(5.into()), None);
    assert_eq!(Mask::Redact.apply_date(day("2020-01-01"), &context), None);
    assert_eq!(Mask::Redact.apply_timestamp(5, &context), None);
}

#[test]
fn keyed_masks_without_their_key_redact() {
    let context = MaskContext { today: day("2026-11-21"), subject: Some(40), secrets: &NoSecrets };
    let token = Mask::Token { domain: "a".to_owned() };
    let format = Mask::FormatPreserving { kind: FormatKind::Mobile, domain: "a".to_owned() };
    let shift = Mask::DateShift { per: UnitKind("resident".to_owned()), days_max: 30 };
    assert_eq!(token.apply_text("x", &context), None);
    assert_eq!(format.apply_text("13800138000", &context), None);
    assert_eq!(shift.apply_date(day("2020-01-01"), &context), None);
    assert_eq!(text(&token, "x").as_deref(), Some("a/x"));
}

#[test]
fn numbers_show_their_step_or_limit() {
    assert_eq!(Mask::Bin { width: 100.into() }.apply_number((-1).into()), Some((-100).into()));
    assert_eq!(Mask::Round { step: 10.into() }.apply_number(15.into()), Some(20.into()));
    let limits = Mask::TopBottom { bottom: Some(10.into()), top: Some(90.into()) };
    assert_eq!(limits.apply_number(99.into()), Some(90.into()));
    assert_eq!(limits.apply_number(1.into()), Some(10.into()));
}

#[test]
fn old_people_share_one_band() {
    let mask = Mask::BinYears { years: 5, top: Some(90) };
    assert_eq!(date(&mask, "1987-06-05"), Some(day("1985-01-01")));
    assert_eq!(date(&mask, "1921-06-05"), Some(day("1935-01-01")));
    assert_eq!(date(&mask, "1939-12-31"), Some(day("1935-01-01")));
    assert_eq!(date(&mask, "1940-01-01"), Some(day("1940-01-01")));
}

#[test]
fn dates_of_one_subject_move_together() {
    let mask = Mask::DateShift { per: UnitKind("resident".to_owned()), days_max: 30 };
    // 40 modulo 61 less 30 is 10 days later.
    assert_eq!(date(&mask, "2026-01-31"), Some(day("2026-02-10")));
    assert_eq!(date(&mask, "2026-12-25"), Some(day("2027-01-04")));
    let keys = keys();
    let stranger = MaskContext { today: day("2026-11-21"), subject: None, secrets: &keys };
    assert_eq!(mask.apply_date(day("2026-01-31"), &stranger), None);
}

#[test]
fn timestamps_are_cut_like_dates() {
    let keys = keys();
    let context = MaskContext { today: day("2026-11-21"), subject: Some(40), secrets: &keys };
    // One microsecond before the epoch lies in the last hour of 1969.
    let hour = Mask::DateTrunc { part: DatePart::Hour };
    assert_eq!(hour.apply_timestamp(-1, &context), Some(-3_600_000_000));
    let year = Mask::DateTrunc { part: DatePart::Year };
    assert_eq!(year.apply_timestamp(-1, &context), Some(-365 * 86_400_000_000));
    assert_eq!(year.apply_timestamp(i64::MIN, &context), None);
}

#[test]
fn format_preserving_values_keep_form_and_check_digit() {
    let mask = |kind| Mask::FormatPreserving { kind, domain: "study".to_owned() };
    let mobile = text(&mask(FormatKind::Mobile), "13800138000").unwrap();
    assert!(mobile.len() == 11 && mobile.starts_with('1') && mobile != "13800138000");
    let id = text(&mask(FormatKind::ResidentId), "11010519491231002X").unwrap();
    assert!(resident_id_check(&id) && id != "11010519491231002X", "{id}");
    let code = text(&mask(FormatKind::Uscc), "91350100M000100Y43").unwrap();
    assert!(uscc_check(&code) && code != "91350100M000100Y43", "{code}");
    let card = text(&mask(FormatKind::BankCard), "4111111111111111").unwrap();
    assert!(luhn_check(&card) && card.len() == 16, "{card}");
    assert_eq!(text(&mask(FormatKind::Digits { length: 6 }), "000123").unwrap().len(), 6);
}

#[test]
fn format_preserving_redacts_the_malformed_and_small_domains() {
    let mask = |kind| Mask::FormatPreserving { kind, domain: "study".to_owned() };
    for bad in ["", "1380013800", "23800138000", "1380013800a", "１３８００１３８０００"] {
        assert_eq!(text(&mask(FormatKind::Mobile), bad), None, "{bad}");
    }
    assert_eq!(text(&mask(FormatKind::ResidentId), "110105194912310021"), None);
    assert_eq!(text(&mask(FormatKind::Digits { length: 5 }), "12345"), None);
    assert_eq!(text(&mask(FormatKind::Digits { length: 6 }), "12345"), None);
}

#[test]
fn ff1_agrees_with_the_published_samples() {
    // NIST's FF1 samples 7 to 9 (AES-256).
    let key: Vec<u8> = (0..64)
        .step_by(2)
        .map(|i| {
            u8::from_str_radix(
                &"2B7E151628AED2A6ABF7158809CF4F3CEF4359D8D580AA4F7F036D6F04FC6A94"[i..i + 2],
                16,
            )
            .unwrap()
        })
        .collect();
    let key = FormatKey::new(Zeroizing::new(key.try_into().unwrap()));
    let digits = b"0123456789";
    let permute = super::format_preserving::permute;
    assert_eq!(permute(&key, &[], digits, "0123456789").as_deref(), Some("6657667009"));
    let tweak: Vec<u8> = (0x30..=0x39).rev().collect();
    assert_eq!(permute(&key, &tweak, digits, "0123456789").as_deref(), Some("1001623463"));
    let alphabet = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let tweak = [0x37, 0x37, 0x37, 0x37, 0x70, 0x71, 0x72, 0x73, 0x37, 0x37, 0x37];
    assert_eq!(
        permute(&key, &tweak, alphabet, "0123456789abcdefghi").as_deref(),
        Some("xs8a0azh2avyalyzuwd")
    );
}

proptest! {
    /// Masking again changes nothing.
    #[test]
    fn masks_are_idempotent(tenths in -5_000_i64..5_000, days in -40_000_i32..40_000, mask in crate::combine::tests::mask()) {
        if let Some(masked) = mask.apply_number(Fixed::from_micros(i128::from(tenths) * 100_000)) {
            prop_assert_eq!(mask.apply_number(masked), Some(masked));
        }
        let context = MaskContext::keyless(day("2026-11-21"));
        if let Some(masked) = mask.apply_date(Day::from_epoch_days(days), &context) {
            prop_assert_eq!(mask.apply_date(masked, &context), Some(masked));
        }
    }

    /// A cut that is kept has the same values on either side, raw and masked; one that is not has two neighbours that the
    /// mask shows as one. The edges that are offered are kept.
    #[test]
    fn a_cut_is_kept_exactly_where_the_mask_shows_it(
        tenths in -300_i64..300, is_above in any::<bool>(), is_whole in any::<bool>(), mask in crate::combine::tests::mask(),
    ) {
        let grain = if is_whole { Fixed::ONE } else { Fixed::from_micros(100_000) };
        let value = Fixed::from_micros(i128::from(tenths) * 100_000);
        let cut = if is_above { Cut::Above(value) } else { Cut::Below(value) };
        let first = cut.first_above(grain).unwrap();
        match mask.number_cut(cut, Some(grain)) {
            Some(Cut::Above(_)) => prop_assert!(false, "on a grid every cut lies below a value"),
            Some(Cut::Below(shown)) => for steps in -200_i64..200 {
                let raw = first.checked_add(grain.checked_mul_i64(steps).unwrap()).unwrap();
                let masked = mask.apply_number(raw).unwrap();
                prop_assert!(!masked.is_multiple_of(grain) || (raw >= first) == (masked >= shown), "{:?}", raw);
            },
            None => if let Some(at) = mask.apply_number(first).filter(|at| at.is_multiple_of(grain)) {
                let before = mask.apply_number(first.checked_sub(grain).unwrap()).unwrap();
                prop_assert!(before == at || !before.is_multiple_of(grain));
            },
        }
        if let Some((below, above)) = mask.number_edges(value, Some(grain))
            && !matches!(mask, Mask::TopBottom { .. })
        {
            prop_assert!(below <= value && value < above, "{:?} {:?}", below, above);
            for edge in [below, above] {
                let on_grid = edge.is_multiple_of(grain);
                let is_kept = mask.number_cut(Cut::Below(edge), Some(grain)).is_some();
                let is_shown = mask.step().is_none_or(|step| step.is_multiple_of(grain));
                prop_assert!(is_kept || !on_grid || !is_shown, "{:?}", edge);
            }
        }
    }

    /// The same of dates.
    #[test]
    fn a_cut_of_dates_is_kept_exactly_where_the_mask_shows_it(
        days in -30_000_i64..30_000, is_above in any::<bool>(), mask in crate::combine::tests::mask(),
    ) {
        let context = MaskContext::keyless(day("2026-11-21"));
        let first = (days + i64::from(is_above)) * MICROS_PER_DAY;
        let cut = if is_above { Cut::Above(days * MICROS_PER_DAY) } else { Cut::Below(days * MICROS_PER_DAY) };
        let shown_as = |micros| mask.apply_timestamp(micros, &context);
        match mask.time_cut(cut, MICROS_PER_DAY, context.today) {
            Some(Cut::Above(_)) => prop_assert!(false, "on a grid every cut lies below a value"),
            Some(Cut::Below(shown)) => for steps in -800_i64..800 {
                let raw = first + steps * MICROS_PER_DAY;
                prop_assert_eq!(raw >= first, shown_as(raw).unwrap() >= shown, "{}", raw);
            },
            None => if let Some(at) = shown_as(first) {
                prop_assert_eq!(shown_as(first - MICROS_PER_DAY), Some(at));
            },
        }
    }

    /// Two values that the coarser mask tells apart are told apart by each of the two it joins.
    #[test]
    fn the_coarser_mask_tells_no_more_apart(a in -300_i64..300, b in -300_i64..300, first in crate::combine::tests::mask(), second in crate::combine::tests::mask()) {
        let coarser = first.coarser(&second);
        let (a, b) = (Fixed::from_i64(a), Fixed::from_i64(b));
        for finer in [&first, &second] {
            if finer.fits(DataType::Int) && finer.apply_number(a) == finer.apply_number(b) {
                prop_assert_eq!(coarser.apply_number(a), coarser.apply_number(b));
            }
        }
    }

    #[test]
    fn no_text_makes_a_mask_panic(value in ".{0,24}", mask in crate::combine::tests::mask()) {
        let _masked = text(&mask, &value);
    }
}

//! Facts about suggestions: what each kind of value becomes, and that doubt goes to the stricter side.
//! Nothing here is used outside tests.

use proptest::prop_assert;
use proptest::proptest;

use crate::detect::Suggestion;
use crate::detect::suggest_column;
use crate::identifiers::luhn_digit;
use crate::identifiers::resident_id_digit;
use crate::vocabulary::DataType;
use crate::vocabulary::Level;
use crate::vocabulary::Role;

fn suggest(name: &str, samples: &[&str]) -> Suggestion {
    suggest_column(name, samples)
}

fn semantic(suggestion: &Suggestion) -> &str {
    suggestion.semantic.as_ref().map_or("", |semantic| semantic.as_str())
}

fn ids() -> Vec<String> {
    (0..40)
        .map(|n| {
            let body = format!("3301061985{:02}{:02}{n:03}", n % 12 + 1, n % 28 + 1);
            format!("{body}{}", resident_id_digit(&body).unwrap())
        })
        .collect()
}

#[test]
fn values_with_a_check_digit_speak_for_themselves() {
    let ids = ids();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let found = suggest("c1", &ids);
    assert_eq!(
        (semantic(&found), found.role, found.grade, found.data_type),
        ("resident_id", Role::UnitKey, Level(3), DataType::Text)
    );
    let found = suggest("c1", &["91330100799655058B", "914403001922038216", "91350100M000100Y43"]);
    assert_eq!((semantic(&found), found.role), ("uscc", Role::UnitKey));
    let cards: Vec<String> = (0..10)
        .map(|n| format!("62220219000{n:04}"))
        .map(|b| format!("{b}{}", luhn_digit(&b).unwrap()))
        .collect();
    let cards: Vec<&str> = cards.iter().map(String::as_str).collect();
    let found = suggest("c1", &cards);
    assert_eq!((semantic(&found), found.role, found.grade), ("bank_card", Role::Identifier, Level(4)));
}

#[test]
fn forms_without_a_check_digit_are_known() {
    for (samples, word, role) in [
        (["13800138000", "15912345678", "+8618612345678"], "mobile", Role::Identifier),
        (["浙A12345", "浙AD12345", "沪B·9F8E7"], "plate", Role::Identifier),
        (["J45.901", "I10", "C50.9"], "icd10", Role::Sensitive),
        (
            ["浙江省杭州市西湖区文三路100号", "杭州市上城区中山南路1号", "杭州市余杭区仓前街道"],
            "address",
            Role::QuasiIdentifier,
        ),
        (["王小明", "欧阳娜", "李华"], "", Role::Identifier),
    ] {
        let found = suggest("c1", &samples);
        assert_eq!((semantic(&found), found.role), (word, role), "{samples:?}");
    }
    assert_eq!(semantic(&suggest("姓名", &["王小明", "欧阳娜", "李华"])), "name");
    assert!(suggest("diagnosis", &["J45.901", "I10", "C50.9"]).coded);
}

#[test]
fn names_in_both_languages_count() {
    for (name, samples, word) in [
        ("出生日期", ["1985/3/7", "1990-12-31", "2001.1.1"], "birth_date"),
        ("birth_date", ["19850307", "19901231", "20010101"], "birth_date"),
        ("医疗费用", ["12.50", "8", "1200.00"], "money"),
        ("total_cost", ["12.50", "8", "1200.00"], "money"),
        ("纬度", ["30.2741", "30.1001", "29.9876"], "coordinates"),
        ("住院号", ["0001234", "0001235", "0009876"], "medical_record_no"),
        ("备注", ["术后复查", "无", "建议休息"], "free_text"),
    ] {
        assert_eq!(semantic(&suggest(name, &samples)), word, "{name}");
    }
    assert_eq!(suggest("birth_date", &["19850307"]).data_type, DataType::Date);
    assert_eq!(suggest("医疗费用", &["12.50", "8"]).data_type, DataType::Decimal { scale: 2 });
}

#[test]
fn a_name_alone_does_not_overrule_the_type_of_the_values() {
    let found = suggest("fee_category", &["甲类", "乙类", "甲类"]);
    assert_ne!(semantic(&found), "money");
    let found = suggest("filename", &["a.txt", "b.txt"]);
    assert_eq!(semantic(&found), "");
}

#[test]
fn identifiers_inside_text_make_the_text_an_identifier() {
    let found = suggest(
        "c1",
        &["患者来电13800138000要求复诊", "无", "家属电话15912345678", "好", "本人11010519491231002X"],
    );
    assert_eq!((semantic(&found), found.role, found.grade), ("free_text", Role::Identifier, Level(4)));
}

#[test]
fn codes_with_leading_zeros_stay_text() {
    assert_eq!(suggest("c1", &["0101", "0202", "0303"]).data_type, DataType::Text);
    assert_eq!(suggest("c1", &["0", "10", "20"]).data_type, DataType::Int);
    assert_eq!(suggest("c1", &["１２", "３４"]).data_type, DataType::Int, "full-width digits are digits");
    assert_eq!(
        suggest("c1", &["2026-01-01 08:30:00", "2026-01-02T09:00:00.5Z"]).data_type,
        DataType::Timestamp
    );
    assert_eq!(suggest("c1", &["1.5e3", "2.25"]).data_type, DataType::Float);
}

#[test]
fn doubt_goes_to_the_stricter_side() {
    assert_eq!(suggest("c1", &[]).grade, Level(4));
    let unique: Vec<String> = (0..50).map(|n| format!("k-{n}-x")).collect();
    let unique: Vec<&str> = unique.iter().map(String::as_str).collect();
    let found = suggest("c1", &unique);
    assert_eq!((found.role, found.grade), (Role::Identifier, Level(4)));
    let few: Vec<&str> = ["red", "blue"].into_iter().cycle().take(40).collect();
    let found = suggest("c1", &few);
    assert_eq!((found.role, found.grade), (Role::Dimension, Level(3)));
}

proptest! {
    #[test]
    fn a_suggestion_never_lowers_a_given_grade(name in ".{0,12}", samples in proptest::collection::vec(".{0,20}", 0..8), given in 1_u8..=4) {
        let samples: Vec<&str> = samples.iter().map(String::as_str).collect();
        let found = suggest_column(&name, &samples);
        prop_assert!(found.grade_over(Some(Level(given))) >= Level(given));
        prop_assert!(found.grade_over(None) == found.grade);
        prop_assert!(found.confidence_percent <= 100);
    }
}

//! Facts about reading documents: what is accepted, and how precisely errors point.
//! Nothing here is used outside tests.

use std::collections::BTreeSet;

use crate::document::Document;
use crate::document::PerturbationForm;
use crate::parse::DOCUMENTS_MAX;
use crate::parse::DocumentError;
use crate::parse::ERRORS_MAX;
use crate::parse::Parts;
use crate::parse::first_errors;
use crate::parse::parse_documents;
use crate::vocabulary::Text;

pub(crate) const POLICY: &str = r#"# the example of the policy language
api_version: obscura/v1
kind: Policy
metadata: {id: health-outpatient-epi, version: 7, title: {zh: 门急诊数据传染病监测统计, en: Outpatient data for epidemic statistics}}
owner: hz-health
effective: {from: 2026-12-01, until: 2027-05-31}
legal_basis: [{law: PIPL, article: "13"}]
object:
  subjects:  {roles: [analyst], departments: [hz-cdc, hz-health], districts: any}
  resources: {datasets: [hz-health.outpatient_visits], grade_max: L3}
condition:
  purposes: [epidemic-monitoring]
  hours: "08:00-20:00"
  approvals: 1
  join_with: [{dataset: hz-edu.enrolment, unit: resident}]
content:
  default: deny
  row_filter: "visit_date >= DATE '2024-01-01'"
  columns:
    - {match: {role: identifier}, uses: []}
    - {match: {role: dimension},  uses: [filter, group]}
    - {match: {role: unit_key},   uses: [join, count_distinct]}
    - {match: {type: birth_date}, uses: [filter, group], mask: {bin_years: 5, top: 90}}
    - {match: {type: address},    uses: [filter, group], mask: {hierarchy: cn-admin, level: district}}
    - {match: {type: icd10},      uses: [filter, group], mask: {hierarchy: icd10, level: category}}
    - {match: {type: money},      uses: [aggregate], range: [0, 50000]}
    - {match: {name: note},       uses: []}
method:
  release: aggregates
  functions: [count, count_distinct, sum, avg, stddev, quantile]
  controls:
    subjects_min: {resident: 10, enterprise: 5}
    dominance: {n: 2, share_max: 0.85, p_percent: 10}
    rounding: {base: 5}
    tolerance: 0.10
    cells_max: 5000
  privacy_budget: null
  review: none
  retention: {result_days: 365}
tests:
  - {name: counts by district, as: {role: analyst, department: hz-cdc, purpose: epidemic-monitoring},
     sql: "select district, count(*) from hz_health.outpatient_visits group by 1", expect: admitted}
  - {name: no names, as: {role: analyst, department: hz-cdc, purpose: epidemic-monitoring},
     sql: "select patient_name from hz_health.outpatient_visits", expect: refused, code: column-not-in-scope}
"#;

/// The names that a text has in backticks, and what stands around them.
fn names_and_words(text: &str) -> (BTreeSet<&str>, String) {
    let names = text.split('`').skip(1).step_by(2).collect();
    (names, text.split('`').step_by(2).collect())
}

/// Fails unless a text has Chinese words, and the same names in both languages.
fn assert_text_bilingual(text: &Text) {
    let is_chinese = |c: char| ('\u{4e00}'..='\u{9fff}').contains(&c);
    let ((names_en, words_en), (names_zh, words_zh)) = (names_and_words(&text.en), names_and_words(&text.zh));
    assert!(words_en.contains(|c: char| c.is_ascii_lowercase()), "{text:?}");
    assert!(words_zh.contains(is_chinese) && words_zh != words_en, "{text:?}");
    assert_eq!(names_en, names_zh, "{text:?}");
}

/// Fails unless a finding says the same in both languages.
pub(crate) fn assert_bilingual(error: &DocumentError) {
    assert_text_bilingual(&error.message);
    error.help.iter().for_each(assert_text_bilingual);
}

/// The one finding in a text.
fn refused(text: &str) -> DocumentError {
    let mut errors = parse_documents("policy.yaml", text).unwrap_err();
    assert_eq!(errors.len(), 1, "{errors:?}");
    let error = errors.remove(0);
    assert_bilingual(&error);
    error
}

#[test]
fn the_example_of_the_policy_language_is_read() {
    let documents = parse_documents("policy.yaml", POLICY).unwrap();
    let [located] = documents.as_slice() else { panic!("one document") };
    let Document::Policy(policy) = &located.value else { panic!("a policy") };
    assert_eq!(policy.tests.len(), 2);
    assert_eq!(policy.condition.hours.unwrap().to_string(), "08:00-20:00");
    assert_eq!(located.position("content.columns[3].mask").unwrap().line, 23);
    assert_eq!(located.position("content.columns[3].mask.bin_years").unwrap().line, 23);
}

#[test]
fn unknown_field_is_refused_with_its_place() {
    let error = refused(&POLICY.replace("  approvals: 1", "  approval: 1"));
    assert_eq!(error.position.unwrap().line, 14);
    assert_eq!(error.field, "condition.approval");
    assert!(error.message.en.contains("approval") && error.help.unwrap().en.contains("approvals"));
}

#[test]
fn unknown_word_is_refused_with_the_words_accepted() {
    let error = refused(&POLICY.replace("uses: [aggregate]", "uses: [agregate]"));
    assert_eq!(error.position.unwrap().line, 26);
    assert_eq!(error.field, "content.columns[6].uses[0]");
    assert!(error.message.en.contains("agregate"), "{error}");
    assert!(error.help.unwrap().en.contains("aggregate"));
}

#[test]
fn missing_field_is_named() {
    let error = refused(&POLICY.replace("  release: aggregates\n", ""));
    assert!(error.message.en.contains("release"), "{error}");
}

#[test]
fn wrong_mask_says_which_masks_there_are() {
    let error = refused(&POLICY.replace("{bin_years: 5, top: 90}", "{hash: sha256}"));
    assert_eq!(error.position.unwrap().line, 23, "{error}");
    assert!(error.to_string().contains("bin_years"), "{error}");
    let error = refused(&POLICY.replace("{bin_years: 5, top: 90}", "{bin: 5, top: 90}"));
    assert!(error.to_string().contains("belongs to a bin_years mask"), "{error}");
}

#[test]
fn each_document_of_a_file_keeps_its_lines() {
    let department = "---\napi_version: obscura/v1\nkind: Department\nmetadata: {id: hz, version: 1, title: {zh: 杭州}}\nlevel: town\n";
    let both = format!("{POLICY}{department}");
    let error = refused(&both);
    assert_eq!(error.position.unwrap().line as usize, POLICY.lines().count() + 5);
    assert_eq!(error.field, "level");
    let documents = parse_documents("x.yaml", &both.replace("town", "city")).unwrap();
    assert_eq!(documents.len(), 2);
}

#[test]
fn other_versions_and_kinds_are_refused() {
    assert_eq!(refused(&POLICY.replace("obscura/v1", "obscura/v2")).field, "api_version");
    let error = refused(&POLICY.replace("kind: Policy", "kind: Polcy"));
    assert_eq!((error.code.as_ref(), error.field.as_str()), ("unknown-kind", "kind"));
    assert_eq!(refused("- 1\n").code, "not-a-document");
    assert_eq!(refused("# nothing\n").code, "document-missing");
    assert_eq!(refused("a: [1\n").code, "malformed");
}

#[test]
fn a_key_twice_is_refused() {
    let error = refused(&POLICY.replace("owner: hz-health\n", "owner: hz-health\nowner: hz-edu\n"));
    assert!(error.message.en.contains("owner"), "{error}");
}

#[test]
fn yaml_and_json_forms_read_back() {
    let documents = parse_documents("policy.yaml", POLICY).unwrap();
    let document = &documents.first().unwrap().value;
    for text in [document.to_yaml().unwrap(), document.to_canonical_json().unwrap()] {
        let again = parse_documents("again.yaml", &text).unwrap();
        assert_eq!(&again.first().unwrap().value, document, "{text}");
    }
}

#[test]
fn many_small_documents_take_no_more_room_than_their_text() {
    // Padded to keep its lines, the last of these alone was 80 KB, and all of them together 1.6 GB.
    let parts: Vec<usize> = Parts::of(&"---\na\n".repeat(40_000)).map(|part| part.text.len()).collect();
    assert_eq!(parts.len(), 40_000);
    assert!(parts.iter().all(|length| *length == 2));
}

#[test]
fn no_more_documents_and_findings_than_a_person_reads() {
    let department = |nth: usize| {
        format!(
            "---\napi_version: obscura/v1\nkind: Department\nmetadata: {{id: d{nth}, version: 1, title: {{zh: 杭州}}}}\nlevel: city\n"
        )
    };
    let most: String = (0..DOCUMENTS_MAX).map(department).collect();
    assert_eq!(parse_documents("x.yaml", &most).unwrap().len(), DOCUMENTS_MAX);
    let error = refused(&format!("{most}{}", department(DOCUMENTS_MAX)));
    assert_eq!(error.code, "too-many-documents");
    let errors = parse_documents("x.yaml", &"---\na\n".repeat(40_000)).unwrap_err();
    assert_eq!(errors.len(), ERRORS_MAX + 1);
    assert_eq!(errors.first().unwrap().position.unwrap().line, 2);
    assert_eq!(errors.get(ERRORS_MAX - 1).unwrap().position.unwrap().line as usize, 2 * ERRORS_MAX);
    assert_eq!(errors.last().unwrap().code, "more-errors");
    assert_eq!(first_errors(errors.clone()), errors);
}

#[test]
fn long_keys_over_many_fields_and_aliases_are_no_way_to_more_memory() {
    // The path of each item holds the key: without a bound this was 50 GB.
    let key = "k".repeat(400_000);
    let text = format!("kind: Policy\n? {key}\n: [{}]\n", "1,".repeat(100_000));
    assert_eq!(refused(&text).code, "malformed");
    let text = format!("kind: Policy\na: &a {}\nb: [{}]\n", "x".repeat(100_000), "*a,".repeat(90));
    let error = refused(&text);
    assert_eq!((error.code.as_ref(), error.field.as_str()), ("malformed", ""));
}

#[test]
fn what_is_malformed_is_told_in_chinese() {
    let mask = "{bin_years: 5, top: 90}";
    for (from, to, message, help) in [
        (
            "  approvals: 1",
            "  approval: 1",
            "没有字段 `approval`",
            Some("purposes、hours、approvals、join_with"),
        ),
        ("  release: aggregates\n", "", "缺少字段 `release`", None),
        ("uses: [aggregate]", "uses: [agregate]", "取值 `agregate` 无效", Some("aggregate、count_distinct")),
        ("owner: hz-health", "owner: HZ", "`HZ` 不是有效的代码", None),
        ("{name: note}", "{name: No}", "`No` 不是有效的名称", None),
        ("[hz-health.outpatient_visits]", "[visits]", "`visits` 不是有效的数据集标识", None),
        ("from: 2026-12-01", "from: 2026-13-01", "不是形如 2026-12-01 的日期", None),
        ("\"08:00-20:00\"", "\"20:00-08:00\"", "取值 `20:00-08:00` 无效", Some("08:00-20:00（起始在前）")),
        ("range: [0, 50000]", "range: [0, many]", "不是最多 6 位小数的数", None),
        ("range: [0, 50000]", "range: [0, [1]]", "类型不符：写的是列表", Some("最多 6 位小数的数")),
        ("range: [0, 50000]", "range: [0]", "个数不符：写了 1 个", Some("列表")),
        (
            "{resident: 10, enterprise: 5}",
            "ten",
            "类型不符：写的是文本 \"ten\"",
            Some("主体数，或按主体类型分别规定"),
        ),
        ("{resident: 10, enterprise: 5}", "-1", "不是主体数", None),
        ("{resident: 10, enterprise: 5}", "5000000000", "主体数过大", None),
        ("cells_max: 5000", "perturbation: always", "须为 `auto`，或标准差", None),
        ("cells_max: 5000", "perturbation: 8", "类型不符：写的是整数 `8`", Some("`auto`，或标准差")),
        ("cells_max: 5000", "perturbation: {cell_key: small}", "没有字段 `cell_key`", Some("deviation")),
        ("cells_max: 5000", "perturbation: {}", "缺少字段 `deviation`", None),
        ("cells_max: 5000", "perturbation: {deviation: -8}", "取值不是此字段的类型", None),
        ("districts: any", "districts: all", "须为 `any` 或列表", None),
        ("districts: any", "districts: 1", "类型不符：写的是整数 `1`", Some("`any` 或列表")),
        (
            "title: {zh: 门急诊数据传染病监测统计, en: Outpatient data for epidemic statistics}",
            "title: {}",
            "文本须写明",
            None,
        ),
        (mask, "{hash: sha256}", "没有字段 `hash`", Some("partial、token")),
        (mask, "{bin: 5, top: 90}", "`top` 只用于 bin_years 脱敏", None),
        (mask, "{bin: 5, level: x}", "`level` 只用于 hierarchy 脱敏", None),
        (mask, "{hierarchy: x}", "hierarchy 脱敏须写明 `level`", None),
        (mask, "{bin: 5, round: 5}", "脱敏须为 `redact`", None),
        (mask, "hash", "没有这种脱敏", None),
        (mask, "1", "类型不符：写的是整数 `1`", Some("`redact`，或下列之一")),
        ("owner: hz-health\n", "owner: hz-health\nowner: hz-edu\n", "字段 owner 重复出现", None),
        ("cells_max: 5000", "cells_max: many", "取值不是此字段的类型", None),
        ("kind: Policy", "kind: Polcy", "取值 `Polcy` 无效；可用：Application、Dataset", None),
        ("kind: Policy\n", "", "缺少此字段；可用：GradeScheme、Department", None),
        ("object:\n", "object: [\n", "此处不符合 YAML 的格式", None),
        ("object:\n", "object:\t{\n", "此处不符合 YAML 的格式", None),
    ] {
        assert!(POLICY.contains(from), "{from}");
        let error = refused(&POLICY.replacen(from, to, 1));
        assert!(error.message.zh.starts_with(message), "{to}: {error:?}");
        assert_eq!(error.help.is_some(), help.is_some(), "{to}: {error:?}");
        let told = error.help.as_ref().map(|text| text.zh.as_str()).unwrap_or_default();
        assert!(told.contains(help.unwrap_or_default()), "{to}: {error:?}");
        assert!(error.position.is_some(), "{error:?}");
    }
}

#[test]
fn noise_is_a_deviation_or_left_to_the_program() {
    let read = |perturbation: &str| {
        let text = POLICY.replacen("cells_max: 5000", &format!("perturbation: {perturbation}"), 1);
        let Document::Policy(policy) = parse_documents("policy.yaml", &text).unwrap().remove(0).value else {
            panic!("a policy")
        };
        policy.method.controls.perturbation
    };
    assert_eq!(read("{deviation: 8}"), Some(PerturbationForm::Deviation(8)));
    assert_eq!(read("auto"), Some(PerturbationForm::Auto));
    assert_eq!(read("null"), None);
    let error = refused(&POLICY.replacen("cells_max: 5000", "perturbation: 8", 1));
    assert_eq!(error.field, "method.controls.perturbation");
    assert!(
        error.to_string().ends_with("accepted: `auto`, or a deviation such as {deviation: 8}"),
        "{error}"
    );
}

#[test]
fn a_finding_is_one_line_in_either_language() {
    let error = refused(&POLICY.replacen("  approvals: 1", "  approval: 1", 1));
    assert_eq!(
        error.in_language("zh"),
        "policy.yaml:14:3: Policy: `condition.approval`: 没有字段 `approval`（malformed）；可用：purposes、hours、approvals、join_with"
    );
    assert_eq!(error.in_language("en"), error.to_string());
    assert!(error.to_string().ends_with(
        "unknown field `approval` (malformed); accepted: one of purposes, hours, approvals, join_with"
    ));
}

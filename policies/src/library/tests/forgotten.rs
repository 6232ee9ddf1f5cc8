//! Facts about what an author left out, emptied or set to zero: each is found where it stands, and what only closes is left.
//! Nothing here is used outside tests.

use super::WORLD;
use super::finding;
use super::found;
use super::library;
use crate::document::Document;
use crate::document::Grant;
use crate::library::Library;
use crate::parse::DocumentError;
use crate::parse::parse_documents;

/// A dataset above the open grade whose rows are about nobody; it says so on line six and seven.
const ROADS: &str = "\
api_version: obscura/v1
kind: Dataset
metadata: {id: hz-health.roads, version: 1, title: {zh: 路段, en: Stretches of road}}
department: hz-health
scheme: db33t2351-2021
units: none
units_reason: each row is a stretch of road
opening: limited
sharing: conditional
columns:
  - {name: road, type: text, role: dimension, grade: L2}
  - {name: accidents, type: int, role: measure, grade: L1, range: [0, 100]}
";

const SAYS_NONE: &str = "units: none\nunits_reason: each row is a stretch of road\n";

/// The findings when the roads are published beside the world, changed by these texts.
fn found_in_roads(changes: &[(&str, &str)]) -> Vec<DocumentError> {
    let mut roads = ROADS.to_owned();
    for (from, to) in changes {
        assert!(roads.contains(from), "the roads hold `{from}`");
        roads = roads.replacen(from, to, 1);
    }
    found(&format!("{roads}---\n{WORLD}"))
}

fn place(errors: &[DocumentError]) -> Vec<(&str, &str, u32, u32)> {
    let place = |error: &DocumentError| error.position.map_or((0, 0), |at| (at.line, at.column));
    errors.iter().map(|e| (e.code.as_ref(), e.field.as_str(), place(e).0, place(e).1)).collect()
}

#[test]
fn units_forgotten_above_the_open_grade_are_found() {
    assert_eq!(found_in_roads(&[]), []);
    let empty = found_in_roads(&[(SAYS_NONE, "units: []\n")]);
    assert_eq!(place(&empty), [("units-undeclared", "units", 6, 1)]);
    let help = empty.first().unwrap().help.clone().unwrap();
    assert!(help.en.contains("`units: none`") && help.en.contains("second"), "{help:?}");
    // Left out, the finding stands where the document begins.
    assert_eq!(place(&found_in_roads(&[(SAYS_NONE, "")])), [("units-undeclared", "units", 1, 1)]);
}

#[test]
fn a_grade_above_the_open_one_in_any_place_asks_for_units() {
    let open = [(SAYS_NONE, "units: []\n"), ("grade: L2", "grade: L1")];
    assert_eq!(found_in_roads(&open), [], "open data needs no units");
    let with = |change| found_in_roads(&[open.as_slice(), &[change]].concat());
    for (from, to) in [
        ("units: []\n", "units: []\nmembership: L2\n"),
        ("role: measure, grade: L1", "role: measure, grade: L3"),
        ("role: measure, grade: L1", "role: measure"),
    ] {
        assert_eq!(place(&with((from, to))), [("units-undeclared", "units", 6, 1)], "{to}");
    }
}

#[test]
fn data_without_units_says_why_and_other_data_does_not() {
    for reason in ["", "units_reason: \"  \"\n"] {
        let errors = found_in_roads(&[(SAYS_NONE, &format!("units: none\n{reason}"))]);
        assert_eq!(place(&errors), [("reason-missing", "units", 6, 1)], "{reason:?}");
    }
    // An open table that says `none` gives its reason as well.
    let open = [(SAYS_NONE, "units: none\n"), ("grade: L2", "grade: L1")];
    assert_eq!(place(&found_in_roads(&open)), [("reason-missing", "units", 6, 1)]);
    let error = finding("layout: clustered\n", "units_reason: each row is a visit\nlayout: clustered\n");
    assert_eq!((error.code.as_ref(), error.field.as_str()), ("reason-unused", "units_reason"));
}

#[test]
fn another_word_than_none_says_what_units_there_are() {
    for (text, line) in [("units: nobody\n", 6), ("units: {kind: resident}\n", 6)] {
        let errors = parse_documents("roads.yaml", &ROADS.replacen("units: none\n", text, 1)).unwrap_err();
        let error = errors.first().unwrap();
        assert_eq!((error.code.as_ref(), error.position.unwrap().line), ("malformed", line));
        assert!(error.to_string().contains("`none` or a list of units"), "{error}");
        assert!(error.in_language("zh").contains("`none` 或主体列表"), "{}", error.in_language("zh"));
    }
}

#[test]
fn rows_count_as_subjects_where_no_unit_is_protected() {
    let counts = |text: &str| {
        let library = library(text).unwrap();
        let dataset = library.datasets().values().find(|d| d.metadata.id.name() == "outpatient_visits");
        library.counts_rows(dataset.unwrap())
    };
    assert!(!counts(WORLD));
    let unit = "{kind: resident, column: person_id}\n  -";
    let unprotected = "{kind: resident, column: person_id, protects: false, reason: a register}\n  -";
    assert!(counts(&WORLD.replacen(unit, unprotected, 1).replacen("layout: clustered\n", "", 1)));
    let roads = format!("{ROADS}---\n{WORLD}");
    let library_with_roads = library(&roads).unwrap();
    let of = |library: &Library| library.counts_rows(library.datasets().values().last().unwrap());
    assert!(of(&library_with_roads));
    assert!(!of(&library(&roads.replacen("grade: L2", "grade: L1", 1)).unwrap()));
}

#[test]
fn datasets_published_before_without_units_are_still_read() {
    let old = format!("{}---\n{WORLD}", ROADS.replacen(SAYS_NONE, "", 1));
    assert!(!found(&old).is_empty());
    assert!(library(&old).is_ok());
}

/// The controls of the world's policy, as they are written.
const CONTROLS: &str = "  controls:
    subjects_min: {resident: 10, enterprise: 5}
    dominance: {n: 2, share_max: 0.85, p_percent: 10}
    rounding: {base: 5}
    tolerance: 0.10
    cells_max: 5000
";
const EXCEPTED: &str =
    "controls: {subjects_min: 6, dominance: {n: 2, share_max: 0.9, p_percent: 10}, rounding: {base: 5}}";
const JOINS: &str = "  join_with: [{dataset: hz-edu.enrolment, unit: resident}]\n";
const FILTER: &str = "  row_filter: \"visit_date >= DATE '2024-01-01'\"\n";
const GRANTED: &str = "columns: [visit_date, district, diagnosis, cost, note]";

#[test]
fn what_is_empty_or_zero_is_found_where_it_stands() {
    let cases = [
        (CONTROLS, "  controls: {}\n", "controls-empty", "method.controls"),
        // This build applies no tolerance, so that it is no control.
        (CONTROLS, "  controls: {tolerance: 0.05}\n", "controls-empty", "method.controls"),
        (
            "subjects_min: {resident: 10, enterprise: 5}",
            "subjects_min: 0",
            "limit-zero",
            "method.controls.subjects_min",
        ),
        (
            "subjects_min: {resident: 10, enterprise: 5}",
            "subjects_min: {}",
            "limit-zero",
            "method.controls.subjects_min",
        ),
        (
            "subjects_min: {resident: 10, enterprise: 5}",
            "subjects_min: {resident: 10, enterprise: 0}",
            "limit-zero",
            "method.controls.subjects_min.enterprise",
        ),
        (
            "dominance: {n: 2, share_max: 0.85, p_percent: 10}",
            "dominance: {n: 2, share_max: 1, p_percent: 0}",
            "control-without-effect",
            "method.controls.dominance",
        ),
        (
            "rounding: {base: 5}",
            "rounding: {base: 1}",
            "control-without-effect",
            "method.controls.rounding.base",
        ),
        ("result_days: 365", "result_days: 0", "limit-zero", "method.retention.result_days"),
        ("departments: [hz-cdc, hz-health]", "departments: []", "list-empty", "object.subjects.departments"),
        ("districts: any", "districts: []", "list-empty", "object.subjects.districts"),
        (JOINS, "  join_with: []\n", "list-empty", "condition.join_with"),
        (FILTER, "  row_filter: \" \"\n", "sql-missing", "content.row_filter"),
        (FILTER, "  jurisdiction: true\n", "row-filter-missing", "content.jurisdiction"),
        ("law: PIPL", "law: \"\"", "legal-basis-missing", "legal_basis[0].law"),
        (GRANTED, "columns: []", "list-empty", "datasets[0].columns"),
        (GRANTED, "uses: []", "list-empty", "datasets[0].uses"),
        (GRANTED, "row_filter: \"\"", "sql-missing", "datasets[0].row_filter"),
        (GRANTED, "jurisdiction: true", "row-filter-missing", "datasets[0].jurisdiction"),
        ("approved_by: [shen]", "approved_by: [shen, \"\"]", "approver-unfit", "approved_by"),
        (EXCEPTED, "controls: {}", "controls-empty", "controls"),
        (EXCEPTED, "controls: {subjects_min: 10}", "excepts-nothing", "controls"),
        (EXCEPTED, "controls: {subjects_min: {resident: 12}, cells_max: 10}", "excepts-nothing", "controls"),
        ("datasets: [hz-health.outpatient_visits]\nsql", "datasets: []\nsql", "dataset-missing", "datasets"),
        (
            "title: {zh: 起始日, en: First day}",
            "title: {zh: 起始日, en: First day}, domain: []",
            "list-empty",
            "parameters[0].domain",
        ),
    ];
    for (from, to, code, field) in cases {
        let error = finding(from, to);
        assert_eq!((error.code.as_ref(), error.field.as_str()), (code, field), "{to}");
        // The world is the same above the change, so the place of the finding is that of the change or behind it.
        let (before, _) = WORLD.split_once(from).unwrap();
        assert!(error.position.unwrap().line as usize >= before.lines().count(), "{error}");
    }
}

#[test]
fn a_policy_whose_rules_name_nothing_is_found() {
    let (before, rest) = WORLD.split_once("  columns:\n    - {match: {role: identifier}").unwrap();
    let (_, method) = rest.split_once("method:\n").unwrap();
    let without = format!("{before}  columns: []\nmethod:\n{method}");
    let line = u32::try_from(before.lines().count()).unwrap() + 1;
    assert_eq!(place(&found(&without)), [("list-empty", "content.columns", line, 3)]);
    // What shuts the data needs no rules.
    assert_eq!(found(&without.replacen("release: aggregates", "release: none", 1)), []);
    let tests = WORLD.split_once("tests:\n").unwrap();
    let (_, rest) = tests.1.split_once("---\n").unwrap();
    let line = u32::try_from(tests.0.lines().count()).unwrap() + 1;
    assert_eq!(
        place(&found(&format!("{}tests: []\n---\n{rest}", tests.0))),
        [("list-empty", "tests", line, 1)]
    );
}

#[test]
fn what_is_left_out_leaves_the_floor_and_is_no_finding() {
    for (from, to) in [
        (CONTROLS, ""),
        ("    cells_max: 5000\n", ""),
        (JOINS, ""),
        (FILTER, ""),
        (GRANTED, "jurisdiction: false"),
        ("{match: {role: dimension},  uses: [filter, group]}", "{match: {role: dimension},  uses: []}"),
        (EXCEPTED, "controls: {subjects_min: 6}"),
        // An exception says that it lifts a control.
        (EXCEPTED, "controls: {dominance: {n: 1, share_max: 1, p_percent: 0}, rounding: {base: 1}}"),
    ] {
        assert!(WORLD.contains(from), "{from}");
        assert_eq!(found(&WORLD.replacen(from, to, 1)), [], "{to}");
    }
}

#[test]
fn a_policy_that_leaves_controls_out_reads_the_same_from_the_form_that_is_kept() {
    let documents = parse_documents("world.yaml", &WORLD.replacen(CONTROLS, "", 1)).unwrap();
    let kept: Vec<String> = documents.iter().map(|located| located.value.to_yaml().unwrap()).collect();
    assert_eq!(found(&kept.join("---\n")), []);
}

#[test]
fn a_floor_above_the_open_grade_has_a_threshold() {
    let scheme = |floor: &str| {
        format!(
            "{WORLD}---\napi_version: obscura/v1\nkind: GradeScheme\nmetadata: {{id: own, version: 1, title: {{zh: 自定, en: Own}}}}\n\
             standard: {{zh: 标准, en: Standard}}\nlevels:\n  \
             - {{code: A, level: L1, title: {{zh: 甲, en: A}}, floor: {{release: aggregates}}}}\n  \
             - {{code: B, level: L2, title: {{zh: 乙, en: B}}, floor: {floor}}}\n"
        )
    };
    for (floor, code, field) in [
        ("{release: aggregates}", "threshold-missing", "levels[1].floor.controls"),
        (
            "{release: aggregates, controls: {rounding: {base: 5}}}",
            "threshold-missing",
            "levels[1].floor.controls",
        ),
        (
            "{release: aggregates, controls: {subjects_min: 5, rounding: {base: 1}}}",
            "control-without-effect",
            "levels[1].floor.controls.rounding.base",
        ),
        (
            "{release: aggregates, controls: {subjects_min: 5}, needs: []}",
            "list-empty",
            "levels[1].floor.needs",
        ),
    ] {
        let text = scheme(floor);
        let last = u32::try_from(text.lines().count()).unwrap();
        let errors = found(&text);
        let told: Vec<_> =
            place(&errors).iter().map(|(code, field, line, _)| (*code, *field, *line)).collect();
        assert_eq!(told, [(code, field, last)], "{floor}");
    }
    assert_eq!(found(&scheme("{release: aggregates, controls: {subjects_min: 5}}")), []);
    assert_eq!(found(&scheme("{release: none}")), [], "what does not leave needs no threshold");
}

#[test]
fn a_grant_that_is_about_to_be_given_names_something() {
    let library = library(WORLD).unwrap();
    let grant = |from: &str, to: &str| -> Grant {
        let mut documents = parse_documents("world.yaml", &WORLD.replacen(from, to, 1)).unwrap().into_iter();
        documents
            .find_map(|located| match located.value {
                Document::Grant(grant) => Some(grant),
                _ => None,
            })
            .unwrap()
    };
    assert_eq!(library.check_grant(&grant(GRANTED, GRANTED)), Ok(()));
    for (to, code) in
        [("columns: []", "list-empty"), ("uses: []", "list-empty"), ("row_filter: \"\"", "sql-missing")]
    {
        let errors = library.check_grant(&grant(GRANTED, to)).unwrap_err();
        assert_eq!(errors.iter().map(|error| error.code.as_ref()).collect::<Vec<_>>(), [code], "{to}");
    }
}

#[test]
fn a_field_without_a_value_is_found() {
    let cases = [
        ("mask: {hierarchy: icd10, level: category}", "mask:", "content.columns[5].mask"),
        ("mask: {bin_years: 5, top: 90}", "mask: {bin_years: }", "content.columns[3].mask.bin_years"),
        ("range: [0, 20000]", "range:", "content.columns[6].range"),
        ("  row_filter: \"visit_date >= DATE '2024-01-01'\"", "  row_filter:", "content.row_filter"),
        ("  hours: \"08:00-20:00\"", "  hours: # soon", "condition.hours"),
        (", grade_max: L3", ", grade_max:", "object.resources.grade_max"),
        ("subjects_min: {resident: 10, enterprise: 5}", "subjects_min:", "method.controls.subjects_min"),
        ("dominance: {n: 2, share_max: 0.85, p_percent: 10}", "dominance:", "method.controls.dominance"),
        (CONTROLS, "  controls:\n", "method.controls"),
        ("    cells_max: 5000\n", "    cells_max:\n", "method.controls.cells_max"),
        (GRANTED, "columns:", "datasets[0].columns"),
        (GRANTED, "uses:", "datasets[0].uses"),
        (EXCEPTED, "controls: {subjects_min: }", "controls.subjects_min"),
        ("layout: clustered\n", "layout: clustered\nmembership:\n", "membership"),
        ("roles: [analyst]", "roles: [analyst, ]", ""),
        ("datasets: [hz-health.outpatient_visits]\npurpose", "datasets:\n  -\npurpose", "datasets[0]"),
    ];
    for (from, to, field) in cases {
        let text = WORLD.replacen(from, to, 1);
        assert_ne!(text, WORLD, "{from}");
        // A comma at the end of a list is no entry.
        if field.is_empty() {
            assert!(parse_documents("world.yaml", &text).is_ok(), "{to}");
            continue;
        }
        let errors = parse_documents("world.yaml", &text).unwrap_err();
        let [error] = errors.as_slice() else { panic!("one finding: {errors:#?}") };
        assert_eq!((error.code.as_ref(), error.field.as_str()), ("value-missing", field), "{to}");
        let line = WORLD.split_once(from).unwrap().0.lines().count();
        assert!(error.position.unwrap().line as usize >= line, "{error}");
        super::assert_bilingual(error);
    }
    let long = format!("? {}\n: {{b: , c: 1}}\n", "k".repeat(100_000));
    let errors = parse_documents("world.yaml", &long).unwrap_err();
    let error = errors.first().unwrap();
    assert_eq!((error.code.as_ref(), error.field.len()), ("value-missing", 0), "no such path is told");
    // A word for nothing was written on purpose.
    for null in ["null", "~"] {
        let text = WORLD.replacen("privacy_budget: null", &format!("privacy_budget: {null}"), 1);
        assert_eq!(found(&text), [], "{null}");
    }
}

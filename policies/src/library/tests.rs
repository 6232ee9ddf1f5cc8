//! Facts about documents together: what holds, and which finding points where.
//! Nothing here is used outside tests.

use std::collections::BTreeSet;
use std::path::Path;

use crate::document::ControlsForm;
use crate::document::Document;
use crate::document::PerturbationForm;
use crate::effective::DEVIATIONS;
use crate::library::Library;
use crate::parse::DocumentError;
use crate::parse::Located;
use crate::parse::parse_documents;
use crate::parse::tests::assert_bilingual;
use crate::vocabulary::Epoch;
use crate::vocabulary::Level;
use crate::vocabulary::UnitKind;

mod forgotten;

pub(crate) const WORLD: &str = include_str!("tests/world.yaml");
const FAULTS: &str = include_str!("tests/faults.yaml");

/// The library of a text.
pub(crate) fn library(text: &str) -> Result<Library, Vec<DocumentError>> {
    Library::from_located(parse_documents("world.yaml", text)?)
}

/// The library of documents that are all published on this day.
fn published(documents: Vec<Located<Document>>) -> Result<Library, Vec<DocumentError>> {
    let datasets = documents.iter().filter_map(|located| match &located.value {
        Document::Dataset(dataset) => Some(dataset.metadata.id.clone()),
        _ => None,
    });
    let visible = datasets.collect();
    Library::as_seen(documents.clone(), &documents, &visible, "2026-12-24".parse().unwrap())
}

/// The findings in a text when its documents are published.
fn found(text: &str) -> Vec<DocumentError> {
    let errors = published(parse_documents("world.yaml", text).unwrap()).err().unwrap_or_default();
    errors.iter().for_each(assert_bilingual);
    errors
}

/// The first finding that a change to the world brings, with no other kind of finding beside it.
fn finding(from: &str, to: &str) -> DocumentError {
    assert!(WORLD.contains(from), "the world holds `{from}`");
    let errors = found(&WORLD.replacen(from, to, 1));
    let error = errors.first().unwrap();
    assert!(errors.iter().all(|other| other.code == error.code), "one kind of finding: {errors:#?}");
    assert!(error.position.is_some(), "{error}");
    error.clone()
}

#[test]
fn the_world_holds_together() {
    assert_eq!(found(WORLD), []);
}

#[test]
fn the_demo_documents_hold_together() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("documents/demo");
    let mut documents = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        match parse_documents(&name, &std::fs::read_to_string(&path).unwrap()) {
            Ok(read) => documents.extend(read),
            Err(errors) => panic!("{errors:#?}"),
        }
    }
    if let Err(errors) = published(documents) {
        let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
        panic!("{}", lines.join("\n"));
    }
}

#[test]
fn shipped_schemes_keep_the_floors_of_the_model() {
    let library = Library::new(Vec::new()).unwrap();
    assert_eq!(library.schemes().len(), 3);
    let scheme = library.schemes().values().find(|s| s.metadata.id.as_str() == "db33t2351-2021").unwrap();
    let floors = super::floors_of(scheme);
    let mins: Vec<u32> = floors.values().map(|floor| floor.controls.subjects_min).collect();
    assert_eq!(mins, [0, 5, 10, 20]);
    let l3 = floors.get(&Level(3)).unwrap().controls.dominance.unwrap();
    assert_eq!((l3.n, l3.share_max_permille, l3.p_percent), (2, 850, 10));
    assert!(floors.get(&Level(4)).unwrap().controls.unavailable.contains("differential-privacy"));
    assert!(floors.get(&Level(3)).unwrap().controls.unavailable.is_empty());
}

#[test]
fn ungraded_is_the_strictest_and_core_data_stays_out() {
    let library = Library::new(Vec::new()).unwrap();
    for (scheme, level) in [("db33t2351-2021", 4), ("gbt43697-2024", 4), ("cn-trd-310030-2025", 4)] {
        assert_eq!(library.strictest(&scheme.parse().unwrap()), Some(Level(level)), "{scheme}");
    }
    let error = finding("semantic: resident_id, grade: L3", "semantic: resident_id, grade: L9");
    assert_eq!((error.code.as_ref(), error.field.as_str()), ("grade-not-found", "columns[0].grade"));
}

#[test]
fn names_that_do_not_exist_are_found() {
    let cases = [
        ("department: hz-health\n", "department: hz-helth\n", "department-not-found", "department"),
        ("scheme: db33t2351-2021\n", "scheme: db33t2351-2012\n", "scheme-not-found", "scheme"),
        (
            "purposes: [epidemic-monitoring]",
            "purposes: [epidemic]",
            "purpose-not-found",
            "condition.purposes[0]",
        ),
        (
            "{dataset: hz-edu.enrolment, unit: resident}",
            "{dataset: hz-edu.pupils, unit: resident}",
            "dataset-not-found",
            "condition.join_with[0]",
        ),
        (
            "{match: {name: note}",
            "{match: {name: notes}",
            "column-not-found",
            "content.columns[8].match.name",
        ),
        (
            "{hierarchy: icd10, level: category}",
            "{hierarchy: icd11, level: category}",
            "hierarchy-not-found",
            "content.columns[5].mask",
        ),
        (
            "{hierarchy: icd10, level: category}",
            "{hierarchy: icd10, level: letter}",
            "hierarchy-not-found",
            "content.columns[5].mask",
        ),
        ("grade_max: L3", "grade_max: L7", "grade-not-found", "object.resources.grade_max"),
        (
            "{match: {type: money}",
            "{match: {type: monney}",
            "semantic-not-found",
            "content.columns[6].match.type",
        ),
        ("column: person_id}", "column: persona_id}", "unit-column-missing", "units[0].column"),
    ];
    for (from, to, code, field) in cases {
        let errors = library(&WORLD.replacen(from, to, 1)).unwrap_err();
        let found = errors.iter().any(|e| e.code == code && e.field == field && e.position.is_some());
        assert!(found, "{code} at {field}: {errors:#?}");
    }
}

const COST: &str = "range: [0, 50000], bins: 1000";

#[test]
fn a_usual_contribution_lies_between_zero_and_the_larger_end_of_the_range() {
    for range in
        ["range: [0, 50000], bins: 1000, usual: 50000", "range: [-60000, 50000], bins: 1000, usual: 60000"]
    {
        assert_eq!(found(&WORLD.replacen(COST, range, 1)), [], "{range}");
    }
    let error = finding(COST, "range: [-60000, 50000], bins: 1000, usual: 60001");
    assert_eq!((error.code.as_ref(), error.field.as_str()), ("usual-unfit", "columns[7].usual"));
    assert_eq!(error.help.unwrap().en, "accepted: a number above zero, up to 60000");
    let rows = WORLD.replacen("layout: clustered\n", "layout: clustered\nusual_rows: 1\n", 1);
    assert_eq!(found(&rows), []);
}

#[test]
fn usual_rows_of_a_month_and_a_day_are_stated_once_and_in_order() {
    let codes = |text: &str| found(text).into_iter().map(|error| error.code).collect::<Vec<_>>();
    let visited = "{name: visit_date, type: date, role: dimension, grade: L2";
    let with =
        |text: &str, column: &str, usual: &str| text.replacen(column, &format!("{column}, {usual}"), 1);
    let all = WORLD.replacen("layout: clustered\n", "layout: clustered\nusual_rows: 12\n", 1);
    assert_eq!(codes(&with(&all, visited, "usual_rows: {month: 12, day: 1}")), Vec::<String>::new());
    assert_eq!(codes(&with(WORLD, visited, "usual_rows: {month: 90, day: 90}")), Vec::<String>::new());
    for usual in [
        "usual_rows: {month: 4, day: 0}",
        "usual_rows: {month: 4, day: 5}",
        "usual_rows: {month: 13, day: 1}",
    ] {
        assert_eq!(codes(&with(&all, visited, usual)), ["range-unfit"], "{usual}");
    }
    let once = with(&all, visited, "usual_rows: {month: 4, day: 1}");
    let born = "{name: born_on, type: date, role: quasi_identifier, semantic: birth_date, grade: L3";
    assert_eq!(codes(&with(&once, born, "usual_rows: {month: 4, day: 1}")), ["range-unfit"]);
    let cost = WORLD.replacen(COST, &format!("{COST}, usual_rows: {{month: 4, day: 1}}"), 1);
    assert_eq!(codes(&cost), ["range-unfit"]);
}

#[test]
fn numbers_that_make_no_sense_are_found() {
    let cases = [
        ("range: [0, 50000], bins: 1000", "range: [50000, 0], bins: 1000", "range-reversed"),
        ("range: [0, 50000], bins: 1000", "range: [0, 50000], bins: 30000", "bins-unfit"),
        ("range: [0, 50000], bins: 1000", "range: [0, 50000], bins: 0", "bins-unfit"),
        ("range: [0, 20000]", "range: [20000, 0]", "range-reversed"),
        ("range: [0, 20000]", "range: [0, 20500]", "bins-unfit"),
        ("share_max: 0.85", "share_max: 1.5", "limit-unfit"),
        ("rounding: {base: 5}", "rounding: {base: 0}", "limit-zero"),
        ("subjects_min: {resident: 10, enterprise: 5}", "subjects_min: 0", "limit-zero"),
        ("tolerance: 0.10", "tolerance: 2", "limit-unfit"),
        ("{from: 2026-12-01, until: 2027-05-31}", "{from: 2027-12-01, until: 2027-05-31}", "range-reversed"),
        ("layout: clustered\n", "layout: clustered\nusual_rows: 0\n", "limit-zero"),
        (COST, "range: [0, 50000], bins: 1000, usual: 0", "usual-unfit"),
        (COST, "range: [0, 50000], bins: 1000, usual: -300", "usual-unfit"),
        (COST, "range: [0, 50000], bins: 1000, usual: 50000.01", "usual-unfit"),
        (COST, "range: [0, 50000], bins: 1000, usual: 300.005", "usual-unfit"),
        (COST, "usual: 300", "range-missing"),
        ("role: dimension, grade: L2}", "role: dimension, grade: L2, usual: 300}", "range-unfit"),
    ];
    for (from, to, code) in cases {
        assert_eq!(finding(from, to).code, code, "{to}");
    }
}

#[test]
fn masks_must_fit_their_columns() {
    let cases = [
        ("mask: {bin_years: 5, top: 90}", "mask: {bin: 5}", "mask-unfit"),
        ("mask: {bin_years: 5, top: 90}", "mask: {date_trunc: hour}", "mask-unfit"),
        ("mask: {bin_years: 5, top: 90}", "mask: {bin_years: 0}", "mask-parameter"),
        ("mask: {bin_years: 5, top: 90}", "mask: {date_shift: {per: vehicle}}", "unit-missing"),
        ("mask: {hierarchy: icd10, level: category}", "mask: {bin: 0}", "mask-parameter"),
        ("uses: [join, count_distinct]}", "uses: [join, count_distinct], mask: {token: x}}", "mask-unfit"),
        (
            "mask: {hierarchy: icd10, level: category}",
            "mask: {format_preserving: {form: digits, length: 5, domain: x}}",
            "format-domain-too-small",
        ),
        ("mask: {hierarchy: icd10, level: category}", "grade_after: L2", "mask-missing"),
        ("mask: {hierarchy: icd10, level: category}", "mask: redact, grade_after: L4", "grade-rises"),
    ];
    for (from, to, code) in cases {
        assert_eq!(finding(from, to).code, code, "{to}");
    }
}

#[test]
fn a_policy_that_asks_for_a_control_not_built_is_refused_at_load() {
    let cases = [
        ("    cells_max: 5000\n", "    cells_max: 5000\n    perturbation: auto\n"),
        ("  review: none\n", "  quota: {cells_share: 0.25, queries_per_day: 200}\n"),
    ];
    for (from, to) in cases {
        assert_eq!(finding(from, to).code, "control-not-available", "{to}");
    }
}

#[test]
fn a_privacy_budget_has_numbers_that_promise_something() {
    let with = |budget: &str| {
        WORLD.replacen("privacy_budget: null", &format!("privacy_budget: {{{budget}, period_days: 90}}"), 1)
    };
    assert_eq!(found(&with("epsilon: 2, delta: 1e-8, per_query_max: 0.5")), []);
    assert_eq!(found(&with("epsilon: 8, delta: 0.5, per_query_max: 8")), []);
    for (budget, field) in [
        ("epsilon: 8.1, delta: 1e-8, per_query_max: 0.5", "epsilon"),
        ("epsilon: 2, delta: 0, per_query_max: 0.5", "delta"),
        ("epsilon: 2, delta: 1, per_query_max: 0.5", "delta"),
        ("epsilon: 2, delta: 1e-8, per_query_max: 0", "per_query_max"),
        ("epsilon: 2, delta: 1e-8, per_query_max: 2.1", "per_query_max"),
        ("epsilon: 2, delta: 1e-8, per_query_max: 1e-9", "per_query_max"),
    ] {
        let findings = found(&with(budget));
        let fields: Vec<String> =
            findings.iter().map(|finding| format!("{} {}", finding.code, finding.field)).collect();
        assert_eq!(fields, [format!("limit-unfit method.privacy_budget.{field}")], "{budget}");
    }
    for (rows, code) in [("0", "limit-zero"), ("1001", "limit-unfit")] {
        let to = format!("  review: none\n  max_groups_per_subject: {rows}\n");
        assert_eq!(finding("  review: none\n", &to).code, code, "{rows}");
    }
}

/// The world whose policy asks for this noise.
fn with_noise(perturbation: &str) -> String {
    let to = format!("    cells_max: 5000\n    perturbation: {perturbation}\n");
    WORLD.replacen("    cells_max: 5000\n", &to, 1)
}

/// A scheme like the one of the world, whose grades L2 to L4 ask for this noise.
pub(crate) fn noisy_scheme(perturbation: [&str; 3]) -> String {
    let level = |(index, perturbation): (usize, &str)| {
        let level = index + 2;
        format!(
            "  - {{code: L{level}, level: L{level}, title: {{zh: 级, en: grade}}, floor: {{release: aggregates, \
             controls: {{subjects_min: {level}0{perturbation}}}}}}}\n"
        )
    };
    let levels: String = perturbation.into_iter().enumerate().map(level).collect();
    format!(
        "---\napi_version: obscura/v1\nkind: GradeScheme\nmetadata: {{id: noisy, version: 1, title: {{zh: 噪声, en: Noisy}}}}\n\
         standard: {{zh: 标准, en: Standard}}\nlevels:\n  \
         - {{code: L1, level: L1, title: {{zh: 公开, en: open}}, floor: {{release: rows_open}}}}\n{levels}"
    )
}

#[test]
fn every_rung_of_the_ladder_is_accepted_and_counts() {
    for rung in DEVIATIONS {
        let world = with_noise(&format!("{{deviation: {rung}}}"));
        assert_eq!(found(&world), []);
        let library = library(&world).unwrap();
        let policy = library.policies().values().next().unwrap();
        let controls = super::resolve::controls_of(&policy.method.controls);
        assert_eq!((controls.perturbation, controls.unavailable.is_empty()), (Some(rung), true));
    }
}

#[test]
fn a_deviation_between_the_rungs_is_told_the_rung_above() {
    for (deviation, help) in [
        ("0", "accepted: 2, the nearest rung above"),
        ("5", "accepted: 6, the nearest rung above"),
        ("15", "accepted: 16, the nearest rung above"),
        ("17", "accepted: a rung of the ladder"),
    ] {
        let error = finding(
            "    cells_max: 5000\n",
            &format!("    cells_max: 5000\n    perturbation: {{deviation: {deviation}}}\n"),
        );
        assert_eq!(
            (error.code.as_ref(), error.field.as_str()),
            ("limit-unfit", "method.controls.perturbation.deviation")
        );
        assert!(error.message.en.ends_with("2, 3, 4, 6, 8, 12, 16"), "{error}");
        assert_eq!(error.help.unwrap().en, help);
    }
}

#[test]
fn noise_that_cannot_be_had_makes_a_job_a_refusal() {
    for (form, name) in [
        (PerturbationForm::Auto, "perturbation: auto"),
        (PerturbationForm::Deviation(5), "perturbation: 5"),
        (PerturbationForm::Deviation(u32::MAX), "perturbation: 4294967295"),
    ] {
        let form = ControlsForm { perturbation: Some(form), ..ControlsForm::default() };
        let controls = super::resolve::controls_of(&form);
        assert_eq!(controls.perturbation, None);
        assert_eq!(controls.unavailable, BTreeSet::from([name.to_owned()]));
    }
}

#[test]
fn columns_that_meet_are_known_ones_of_the_dataset() {
    let with = |cubes: &str| {
        let to = format!("    cells_max: 5000\n    cubes: {{{cubes}}}\n");
        WORLD.replacen("    cells_max: 5000\n", &to, 1)
    };
    for sound in [
        "columns_max: 2",
        "sets: [[district, hospital], [born_on, diagnosis]]",
        "columns_max: 1, sets: [[district]]",
    ] {
        assert_eq!(found(&with(sound)), [], "{sound}");
    }
    for (cubes, code, field) in [
        ("columns_max: 0", "limit-unfit", "columns_max"),
        ("columns_max: 4", "limit-unfit", "columns_max"),
        ("sets: []", "cubes-empty", "sets"),
        ("sets: [[district], []]", "cubes-empty", "sets"),
        ("sets: [[district], [patient_name]]", "column-not-found", "sets[1]"),
        ("sets: [[nowhere]]", "column-not-found", "sets[0]"),
    ] {
        let findings: Vec<String> =
            found(&with(cubes)).iter().map(|finding| format!("{} {}", finding.code, finding.field)).collect();
        assert_eq!(findings, [format!("{code} method.controls.cubes.{field}")], "{cubes}");
    }
    let many = (0..33).map(|_| "[district]").collect::<Vec<_>>().join(", ");
    assert_eq!(found(&with(&format!("sets: [{many}]"))).first().unwrap().code, "limit-unfit");
    let floor = noisy_scheme(["", "", ", cubes: {columns_max: 2}"]);
    let errors = found(&format!("{WORLD}{floor}"));
    let field = "levels[3].floor.controls.cubes";
    assert!(errors.iter().any(|e| e.code == "cubes-unfit" && e.field == field), "{errors:#?}");
    let error =
        finding("controls: {subjects_min: 6,", "controls: {cubes: {columns_max: 2}, subjects_min: 6,");
    assert_eq!((error.code.as_ref(), error.field.as_str()), ("cubes-unfit", "controls.cubes"));
}

#[test]
fn a_dataset_opens_by_the_longest_epoch_of_its_grades_and_policies() {
    let of = |world: &str| {
        let library = library(world).unwrap();
        let dataset =
            library.datasets().get(&"hz-health.outpatient_visits".parse().unwrap()).unwrap().clone();
        let controls = library.controls_of(&dataset).unwrap();
        (controls.epoch, controls.subjects_min(&UnitKind("resident".to_owned())))
    };
    let with = |epoch: &str| {
        let to = format!("    cells_max: 5000\n    epoch: {epoch}\n");
        WORLD.replacen("    cells_max: 5000\n", &to, 1)
    };
    assert_eq!(of(WORLD), (Some(Epoch::Monthly), 10));
    assert_eq!(of(&WORLD.replacen("grade: L3", "grade: L4", 1)), (Some(Epoch::Monthly), 20));
    assert_eq!(of(&with("yearly")).0, Some(Epoch::Yearly));
    assert_eq!(
        of(&with("weekly")).0,
        Some(Epoch::Monthly),
        "no policy opens more often than a grade lets it"
    );
    let error = finding("controls: {subjects_min: 6,", "controls: {epoch: weekly, subjects_min: 6,");
    assert_eq!((error.code.as_ref(), error.field.as_str()), ("epoch-unfit", "controls.epoch"));
    let errors = found(&format!("{WORLD}{}", noisy_scheme(["", ", epoch: monthly", ", epoch: weekly"])));
    assert!(errors.iter().any(|error| error.code == "floor-falls"), "{errors:#?}");
}

#[test]
fn floors_ask_for_noise_that_rises_with_the_grade() {
    let eight = ", perturbation: {deviation: 8}";
    let twelve = ", perturbation: {deviation: 12}";
    assert_eq!(found(&format!("{WORLD}{}", noisy_scheme(["", eight, twelve]))), []);
    for (levels, code, field) in [
        (["", twelve, eight], "floor-falls", "levels"),
        (["", eight, ""], "floor-falls", "levels"),
        (
            ["", ", perturbation: {deviation: 7}", twelve],
            "limit-unfit",
            "levels[2].floor.controls.perturbation.deviation",
        ),
        (["", "", ", perturbation: auto"], "control-not-available", "levels[3].floor.controls.perturbation"),
    ] {
        let errors = found(&format!("{WORLD}{}", noisy_scheme(levels)));
        assert!(errors.iter().any(|e| e.code == code && e.field == field), "{levels:?}: {errors:#?}");
    }
}

#[test]
fn an_exception_says_nothing_of_noise() {
    for perturbation in ["{deviation: 2}", "{deviation: 5}", "auto"] {
        let error = finding(
            "controls: {subjects_min: 6,",
            &format!("controls: {{perturbation: {perturbation}, subjects_min: 6,"),
        );
        assert_eq!(
            (error.code.as_ref(), error.field.as_str()),
            ("control-not-available", "controls.perturbation"),
        );
    }
}

#[test]
fn exceptions_need_two_people_and_a_reason() {
    let error = finding("{person: wu, department: hz-data}", "{person: shen, department: hz-data}");
    assert_eq!((error.code.as_ref(), error.field.as_str()), ("approver-unfit", "approved_by"));
    assert_eq!(finding("reason: a rare disease", "reason: \"\" # a rare disease").code, "reason-missing");
}

#[test]
fn nobody_approves_their_own_grant() {
    assert_eq!(finding("approved_by: [shen]", "approved_by: [lin, shen]").code, "approver-unfit");
}

#[test]
fn a_policy_speaks_of_its_owner_s_datasets_only() {
    let error = finding(
        "datasets: [hz-health.outpatient_visits], grade_max",
        "datasets: [hz-edu.enrolment, hz-health.outpatient_visits], grade_max",
    );
    assert_eq!(
        (error.code.as_ref(), error.field.as_str()),
        ("not-the-owner", "object.resources.datasets[0]")
    );
}

#[test]
fn one_document_cannot_be_in_force_twice() {
    let twice = format!("{WORLD}\n---\n{}", crate::parse::tests::POLICY.replace("version: 7", "version: 8"));
    let errors = library(&twice).unwrap_err();
    assert!(errors.iter().any(|error| error.code == "document-twice"), "{errors:#?}");
}

#[test]
fn an_unprotected_unit_says_why() {
    assert_eq!(finding(", reason: public hospitals", "").code, "reason-missing");
}

const MONEY: &str = "{match: {type: money},      uses: [aggregate, filter], range: [0, 20000]}";
const DIAGNOSIS: &str = "mask: {hierarchy: icd10, level: category}";

#[test]
fn a_mask_that_changes_nothing_lowers_no_grade() {
    for mask in ["{bin: 0.02}", "{round: 0.01}", "{top_bottom: {top: 999999999}}"] {
        let rule = MONEY.replace('}', &format!(", mask: {mask}, grade_after: L2}}"));
        let rule = rule.replacen(&format!("money, mask: {mask}, grade_after: L2}}"), "money}", 1);
        let error = finding(MONEY, &rule);
        assert_eq!(error.code, "mask-changes-nothing", "{mask}");
        assert_eq!(error.field, "content.columns[6].mask");
    }
    for mask in ["{partial: {keep_first: 255}}", "{token: x}", "{hierarchy: icd10, level: category}"] {
        let error = finding(DIAGNOSIS, &format!("mask: {mask}, grade_after: L2"));
        assert_eq!(error.code, "mask-changes-nothing", "{mask}");
        assert!(error.help.is_some());
    }
    let lowered = WORLD.replacen(DIAGNOSIS, "mask: {hierarchy: icd10, level: block}, grade_after: L2", 1);
    assert_eq!(found(&lowered), []);
}

#[test]
fn a_grade_falls_by_one_level_and_never_from_the_strictest_nor_to_open_rows() {
    let to = |after: &str| format!("mask: {{hierarchy: icd10, level: chapter}}, grade_after: {after}");
    let error = finding(DIAGNOSIS, &to("L1"));
    assert_eq!(
        (error.code.as_ref(), error.field.as_str()),
        ("grade-after-unfit", "content.columns[5].grade_after")
    );
    assert_eq!(error.help.map(|help| help.en).as_deref(), Some("accepted: L2"));
    let strictest = WORLD
        .replace("semantic: icd10, grade: L3", "semantic: icd10, grade: L4")
        .replace("grade_max: L3", "grade_max: L4")
        .replace(DIAGNOSIS, "mask: redact, grade_after: L3");
    let errors = found(&strictest);
    assert_eq!(errors.first().unwrap().code, "grade-after-unfit", "{errors:#?}");
    assert!(errors.first().unwrap().help.as_ref().unwrap().en.contains("Exception"));
    // Where rows belong to no protected subject, L3 still does not become L1.
    let nobody = WORLD
        .replace(
            "  - {kind: resident, column: person_id}\n",
            "  - {kind: resident, column: person_id, protects: false, reason: a register of firms}\n",
        )
        .replace("layout: clustered\n", "")
        .replace(DIAGNOSIS, &to("L1"));
    let errors = found(&nobody);
    assert!(errors.iter().any(|error| error.code == "grade-after-unfit"), "{errors:#?}");
}

#[test]
fn documents_published_before_are_still_read() {
    let old = WORLD
        .replacen(DIAGNOSIS, "mask: {partial: {keep_first: 255}}, grade_after: L1", 1)
        .replacen("  review: none\n", "  review: none\n  max_rows_per_subject: 4000000000\n", 1)
        .replacen("{match: {name: note}, ", "{match: {role: dimension, name: note}, ", 1);
    assert!(!found(&old).is_empty());
    assert!(library(&old).is_ok());
}

#[test]
fn the_grades_that_a_policy_lowers_are_told() {
    let world = WORLD.replacen(DIAGNOSIS, "mask: {hierarchy: icd10, level: block}, grade_after: L2", 1);
    let library = library(&world).unwrap();
    let policy = library.policies().values().next().unwrap();
    let told: Vec<String> = library.lowered(policy).iter().map(|lowered| lowered.text().en).collect();
    assert_eq!(told, ["grade of hz-health.outpatient_visits.diagnosis: L3 to L2 by mask hierarchy"]);
    let library = super::Library::from_located(parse_documents("world.yaml", WORLD).unwrap()).unwrap();
    let policy = library.policies().values().next().unwrap();
    assert_eq!(library.lowered(policy), []);
}

#[test]
fn a_rule_that_covers_nothing_is_a_finding() {
    let cases = [
        // The attack: `born_on` is no dimension, and its bands were gone.
        ("{match: {name: note}, ", "{match: {role: dimension, name: note}, "),
        ("{match: {type: birth_date}, ", "{match: {role: dimension, type: birth_date}, "),
        ("{match: {type: birth_date}, ", "{match: {type: birth_date, grade: L2}, "),
        ("semantic: birth_date, ", ""),
        ("role: measure, semantic: money, grade: L3", "role: measure, grade: L3"),
    ];
    for (from, to) in cases {
        let error = finding(from, to);
        assert_eq!(error.code, "rule-covers-nothing", "{to}");
        assert!(error.help.is_some());
    }
    // What only opens, by a role, may find nothing to open.
    assert_eq!(
        found(&WORLD.replacen("{match: {role: sensitive}, uses", "{match: {role: measure}, uses", 1)),
        []
    );
    assert_eq!(
        found(&WORLD.replacen("role: sensitive, semantic: icd10", "role: dimension, semantic: icd10", 1)),
        []
    );
}

#[test]
fn a_rule_covers_what_it_names_in_every_dataset() {
    let second = "---
api_version: obscura/v1
kind: Dataset
metadata: {id: hz-health.stays, version: 1, title: {zh: 住院, en: Stays}}
department: hz-health
scheme: db33t2351-2021
units: [{kind: resident, column: person_id}]
opening: limited
sharing: conditional
columns:
  - {name: person_id, type: text, role: unit_key, grade: L3}
  - {name: visit_date, type: date, role: quasi_identifier, grade: L3}
";
    let rule = "{match: {name: note},       uses: []}";
    let both = WORLD.replacen(
        "datasets: [hz-health.outpatient_visits], grade_max",
        "datasets: [hz-health.outpatient_visits, hz-health.stays], grade_max",
        1,
    );
    let with = |rules: &str| format!("{}{second}", both.replacen(rule, &format!("{rule}\n    - {rules}"), 1));
    let one = with("{match: {role: dimension, name: visit_date}, uses: [filter], mask: {date_trunc: month}}");
    let errors = found(&one);
    assert_eq!(errors.iter().map(|e| e.code.as_ref()).collect::<Vec<_>>(), ["rule-covers-nothing"]);
    assert_eq!(found(&with("{match: {name: visit_date}, uses: [filter], mask: {date_trunc: month}}")), []);
    let other =
        "{match: {role: quasi_identifier, name: visit_date}, uses: [filter], mask: {date_trunc: month}}";
    let two = one.replacen(rule, &format!("{rule}\n    - {other}"), 1);
    assert_eq!(found(&two), []);
}

#[test]
fn a_new_dataset_uncovers_no_rule_in_force() {
    let before = library(WORLD).unwrap();
    let after = library(&WORLD.replacen("semantic: birth_date, ", "", 1)).unwrap();
    let in_force = parse_documents("record", WORLD).unwrap();
    let errors = after.uncovered_since(&before, &in_force);
    assert_eq!(errors.iter().map(|e| e.code.as_ref()).collect::<Vec<_>>(), ["rule-covers-nothing"]);
    assert_eq!(before.uncovered_since(&before, &in_force), []);
    assert_eq!(after.uncovered_since(&after, &in_force), [], "what was so before is no new finding");
}

#[test]
fn limits_beyond_the_ceiling_are_found() {
    let limit = |rows: u64| format!("  review: none\n  max_rows_per_subject: {rows}\n");
    for rows in [1_001, 4_000_000_000] {
        let error = finding("  review: none\n", &limit(rows));
        assert_eq!(
            (error.code.as_ref(), error.field.as_str()),
            ("limit-unfit", "method.max_rows_per_subject")
        );
    }
    assert_eq!(found(&WORLD.replacen("  review: none\n", &limit(1_000), 1)), []);
}

/// The world's policy under another name, changed by these texts.
fn another(name: &str, changes: &[(&str, &str)]) -> String {
    let (_, policy) = WORLD.split_once("# the example of the policy language\n").unwrap();
    let (policy, _) = policy.split_once("---\n").unwrap();
    let mut policy = policy.replace("id: health-outpatient-epi", &format!("id: {name}"));
    for (from, to) in changes {
        assert!(policy.contains(from), "the policy holds `{from}`");
        policy = policy.replacen(from, to, 1);
    }
    policy
}

/// The world with a second policy like its own, changed by these texts.
fn with_second(changes: &[(&str, &str)]) -> String {
    format!("{WORLD}---\n{}", another("health-second", changes))
}

const VALIDITY: &str = "{from: 2026-12-01, until: 2027-05-31}";

#[test]
fn a_strict_policy_that_ends_before_a_laxer_one_is_a_finding() {
    let lax = [
        (VALIDITY, "{from: 2026-12-01}"),
        ("subjects_min: {resident: 10, enterprise: 5}", "subjects_min: {resident: 6, enterprise: 5}"),
    ];
    let errors = found(&with_second(&lax));
    assert_eq!(errors.len(), 2, "told of both: {errors:#?}");
    for error in &errors {
        assert_eq!((error.code.as_ref(), error.field.as_str()), ("policy-lapses", "effective"));
        assert!(error.message.en.contains("2027-05-31"), "{error}");
    }
    assert!(errors.first().unwrap().message.en.contains("`health-second`"));
    assert!(errors.last().unwrap().message.en.contains("`health-outpatient-epi`"));
    let laxer_in = |from: &str, to: &str| {
        let errors = found(&with_second(&[(VALIDITY, "{from: 2026-12-01}"), (from, to)]));
        errors.iter().any(|error| error.code == "policy-lapses")
    };
    assert!(laxer_in("hours: \"08:00-20:00\"", "hours: \"07:00-20:00\""));
    assert!(laxer_in("approvals: 1", "approvals: 0"));
    assert!(laxer_in("grade_max: L3", "grade_max: L4"));
    assert!(laxer_in("row_filter: \"visit_date >= DATE '2024-01-01'\"", "jurisdiction: false"));
    assert!(laxer_in("mask: {hierarchy: icd10, level: category}", "range: null"));
    assert!(!laxer_in("mask: {hierarchy: icd10, level: category}", "mask: {hierarchy: icd10, level: block}"));
    assert!(laxer_in("uses: [aggregate, filter], range: [0, 20000]", "uses: [aggregate, filter]"));
    assert!(!laxer_in("approvals: 1", "approvals: 2"));
    assert!(!laxer_in("hours: \"08:00-20:00\"", "hours: \"09:00-20:00\""));
}

#[test]
fn a_policy_with_more_noise_that_ends_before_one_with_less_is_a_finding() {
    let lapses = |ends: &str, goes_on: &str| {
        let with = |noise: &str| format!("    cells_max: 5000\n    perturbation: {noise}\n");
        let noise = with(goes_on);
        let changes = [(VALIDITY, "{from: 2026-12-01}"), ("    cells_max: 5000\n", noise.as_str())];
        let errors = found(&format!("{}---\n{}", with_noise(ends), another("health-second", &changes)));
        errors.iter().any(|error| error.code == "policy-lapses")
    };
    assert!(lapses("{deviation: 8}", "{deviation: 6}"));
    assert!(lapses("{deviation: 8}", "null"));
    assert!(!lapses("{deviation: 8}", "{deviation: 8}"));
    assert!(!lapses("{deviation: 8}", "{deviation: 12}"));
}

#[test]
fn a_policy_may_end_with_the_laxer_one_or_after_it() {
    let laxer = ("subjects_min: {resident: 10, enterprise: 5}", "subjects_min: {resident: 6, enterprise: 5}");
    for (why, validity) in [
        ("the same day", VALIDITY),
        ("the laxer one ends first", "{from: 2026-12-01, until: 2027-01-31}"),
        ("it begins afterwards", "{from: 2027-06-01}"),
    ] {
        assert_eq!(found(&with_second(&[(VALIDITY, validity), laxer])), [], "{why}");
    }
    let open = (VALIDITY, "{from: 2026-12-01}");
    for (why, change) in [
        ("others ask", ("departments: [hz-cdc, hz-health]", "departments: [hz-edu]")),
        ("for something else", ("purposes: [epidemic-monitoring]", "purposes: [insurance-supervision]")),
    ] {
        let world = with_second(&[open, laxer, change]);
        let errors = found(&world);
        assert!(errors.iter().all(|error| error.code != "policy-lapses"), "{why}: {errors:#?}");
    }
    // A policy that ended yesterday binds no job, and its end is no finding for ever.
    let ended = WORLD.replacen(VALIDITY, "{from: 2026-12-01, until: 2026-12-23}", 1);
    let second = another("health-second", &[open, laxer]);
    assert_eq!(found(&format!("{ended}---\n{second}")), []);
}

#[test]
fn a_third_policy_that_is_as_strict_takes_over() {
    let open = (VALIDITY, "{from: 2026-12-01}");
    let laxer = ("subjects_min: {resident: 10, enterprise: 5}", "subjects_min: {resident: 6, enterprise: 5}");
    let two = with_second(&[open, laxer]);
    let third = another("health-third", &[(VALIDITY, "{from: 2027-06-01}")]);
    assert_eq!(found(&format!("{two}---\n{third}")), []);
}

/// The sources that make findings, to know of every code.
const CHECKS: &[&str] = &[
    include_str!("check.rs"),
    include_str!("check/dataset.rs"),
    include_str!("check/forgotten.rs"),
    include_str!("check/lapses.rs"),
    include_str!("check/lowered.rs"),
    include_str!("check/other.rs"),
    include_str!("check/policy.rs"),
    include_str!("check/scheme.rs"),
    include_str!("check/unheld.rs"),
    include_str!("resolve.rs"),
];

#[test]
fn every_finding_says_the_same_in_both_languages() {
    let today = "2026-12-24".parse().unwrap();
    let visible = ["hz-health.outpatient_visits", "hz-edu.enrolment"].map(|id| id.parse().unwrap()).into();
    let mut codes = BTreeSet::new();
    for part in FAULTS.split("---\n") {
        let new = parse_documents("faults.yaml", part).unwrap();
        let mut all = parse_documents("world.yaml", WORLD).unwrap();
        all.extend(new.clone());
        let errors = Library::as_seen(all, &new, &visible, today).unwrap_err();
        errors.iter().for_each(assert_bilingual);
        codes.extend(errors.into_iter().map(|error| error.code));
    }
    // Two policies are needed for this one.
    let second = with_second(&[(VALIDITY, "{from: 2026-12-01}"), ("approvals: 1", "approvals: 0")]);
    codes.extend(found(&second).into_iter().map(|error| error.code));
    let added = CHECKS.iter().flat_map(|source| source.split(".add(").skip(1));
    let problems = CHECKS.iter().flat_map(|source| source.split("MaskProblem::new(").skip(1));
    let written: BTreeSet<&str> = added
        .chain(problems)
        .filter_map(|call| call.trim_start().strip_prefix('"')?.split('"').next())
        .collect();
    assert!(written.len() > 50, "{}", written.len());
    let missing: Vec<_> = written.iter().filter(|code| !codes.contains(**code)).collect();
    assert!(missing.is_empty(), "add documents with these to faults.yaml: {missing:?}");
}

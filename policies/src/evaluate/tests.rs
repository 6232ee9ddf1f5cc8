//! Facts about the decision: every refusal code, what a grant narrows, what an exception touches, monotony.
//! Nothing here is used outside tests.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use proptest::prop_assert;
use proptest::proptest;
use proptest::sample::select;

use crate::day::LocalTime;
use crate::document::Document;
use crate::document::Grant;
use crate::document::Policy;
use crate::effective::EffectivePolicy;
use crate::evaluate::ManifestFacts;
use crate::evaluate::Permits;
use crate::evaluate::PolicyRefusal;
use crate::evaluate::Principal;
use crate::evaluate::RefusalCode;
use crate::evaluate::effective;
use crate::library::Library;
use crate::library::tests::WORLD;
use crate::library::tests::library;
use crate::library::tests::noisy_scheme;
use crate::parse::parse_documents;
use crate::vocabulary::Level;
use crate::vocabulary::PersonRole;
use crate::vocabulary::Review;
use crate::vocabulary::Role;
use crate::vocabulary::Use;

mod forgotten;
mod monotone;

const VISITS: &str = "hz-health.outpatient_visits";

struct Request {
    library: Library,
    principal: Principal,
    purpose: &'static str,
    grants: Vec<Grant>,
    datasets: Vec<&'static str>,
    facts: ManifestFacts,
    day: &'static str,
    minute: u16,
}

impl Request {
    fn new() -> Self {
        Self::of(WORLD)
    }

    fn of(world: &str) -> Self {
        let library = library(world).unwrap();
        let principal = Principal {
            person: "lin".to_owned(),
            roles: BTreeSet::from([PersonRole::Analyst]),
            department: "hz-cdc".parse().unwrap(),
            district: None,
        };
        Self {
            grants: library.grants().values().cloned().collect(),
            library,
            principal,
            purpose: "epidemic-monitoring",
            datasets: vec![VISITS],
            facts: ManifestFacts { clustered: true, ..ManifestFacts::default() },
            day: "2026-12-24",
            minute: 10 * 60,
        }
    }

    fn ask(&self) -> Result<EffectivePolicy, PolicyRefusal> {
        let datasets: Vec<_> = self.datasets.iter().map(|id| id.parse().unwrap()).collect();
        let manifests = BTreeMap::from([(VISITS.parse().unwrap(), self.facts.clone())]);
        let now = LocalTime { day: self.day.parse().unwrap(), minute: self.minute };
        let permits = Permits::unnamed(&self.grants);
        effective(&self.library, &self.principal, self.purpose, permits, &datasets, &manifests, now)
    }

    fn refused(&self) -> RefusalCode {
        self.ask().unwrap_err().code
    }
}

fn visits(policy: &EffectivePolicy) -> &crate::effective::EffectiveDataset {
    policy.datasets.get(&VISITS.parse().unwrap()).unwrap()
}

#[test]
fn what_grant_and_policy_name_is_opened_and_nothing_else() {
    let policy = Request::new().ask().unwrap();
    let dataset = visits(&policy);
    let usable = dataset.columns.iter().filter(|column| !column.uses.is_empty());
    let names: Vec<&str> = usable.map(|column| column.name.as_str()).collect();
    assert_eq!(names, ["visit_date", "district", "diagnosis", "cost"]);
    let column = |name: &str| dataset.columns.iter().find(|column| column.name == name).unwrap();
    assert!(column("person_id").uses.is_empty(), "the key is not granted");
    assert!(column("note").uses.is_empty(), "every rule that matches must allow a use");
    assert_eq!(column("cost").uses, BTreeSet::from([Use::Aggregate, Use::Filter]));
    assert_eq!(column("cost").range, Some((0.into(), 20_000.into())));
    assert_eq!(column("district").mask.as_ref().unwrap().name(), "hierarchy");
    assert_eq!(dataset.membership, Level(3));
    assert_eq!(dataset.units.len(), 1, "public hospitals are no protected unit");
    assert!(dataset.units.first().unwrap().clustered);
    assert_eq!(dataset.row_filters.len(), 1);
    assert_eq!(policy.floors.get(&Level(3)).unwrap().controls.subjects_min, 10);
    let sources: Vec<&str> = policy.sources.iter().map(|source| source.id.as_str()).collect();
    assert_eq!(
        sources,
        ["db33t2351-2021", "epidemic-monitoring", "health-outpatient-epi", VISITS, "lin-epi"]
    );
}

#[test]
fn an_unprotected_unit_is_a_dimension() {
    let mut request = Request::new();
    request.grants[0].datasets[0].columns = None;
    let policy = request.ask().unwrap();
    let hospital = visits(&policy).columns.iter().find(|column| column.name == "hospital").unwrap();
    assert_eq!(hospital.role, Role::Dimension);
    assert!(hospital.uses.contains(&Use::Group));
}

#[test]
fn a_hidden_dataset_and_none_at_all_are_told_in_the_same_words() {
    let mut request = Request::new();
    request.datasets = vec!["hz-edu.enrolment"];
    let hidden = request.ask().unwrap_err();
    let mut nowhere = Request::of(&WORLD.replace("hz-edu.enrolment", "hz-edu.pupils"));
    nowhere.datasets = vec!["hz-edu.enrolment"];
    assert_eq!(hidden, nowhere.ask().unwrap_err());
    assert_eq!(hidden.code, RefusalCode::DatasetNotFound);
}

#[test]
fn each_missing_permit_has_its_code() {
    let mut request = Request::new();
    request.grants.clear();
    assert_eq!(request.refused(), RefusalCode::NoGrant);

    let mut request = Request::new();
    request.principal.person = "somebody".to_owned();
    assert_eq!(request.refused(), RefusalCode::NoGrant);

    let mut request = Request::new();
    request.purpose = "tourism-analysis";
    assert_eq!(request.refused(), RefusalCode::PurposeMismatch);
    request.purpose = "nothing";
    assert_eq!(request.refused(), RefusalCode::PurposeNotFound);

    let mut request = Request::new();
    request.grants[0].approved_by = BTreeSet::from(["lin".to_owned()]);
    assert_eq!(request.refused(), RefusalCode::GrantNotApproved);

    let mut request = Request::new();
    let mut second = request.grants[0].clone();
    second.metadata.id = "lin-epi-2".parse().unwrap();
    second.datasets[0].columns = None;
    second.datasets[0].row_filter = Some("cost > 0".to_owned());
    request.grants.push(second);
    assert_eq!(request.refused(), RefusalCode::GrantAmbiguous);

    let mut request = Request::new();
    request.principal.department = "hz-edu".parse().unwrap();
    assert_eq!(request.refused(), RefusalCode::NoPolicy);

    let mut request = Request::new();
    request.principal.roles = BTreeSet::from([PersonRole::Operator]);
    assert_eq!(request.refused(), RefusalCode::NoPolicy);
}

#[test]
fn days_and_hours_end_where_they_say() {
    let mut request = Request::new();
    request.day = "2026-12-01";
    assert!(request.ask().is_ok());
    request.day = "2026-11-30";
    assert_eq!(request.refused(), RefusalCode::PolicyNotInForce);
    request.day = "2027-03-31";
    assert!(request.ask().is_ok());
    request.day = "2027-04-01";
    assert_eq!(request.refused(), RefusalCode::GrantExpired);
    request.grants[0].from = Some("2027-04-02".parse().unwrap());
    assert_eq!(request.refused(), RefusalCode::GrantNotInForce);

    let mut request = Request::new();
    for (minute, inside) in [(8 * 60 - 1, false), (8 * 60, true), (20 * 60 - 1, true), (20 * 60, false)] {
        request.minute = minute;
        assert_eq!(request.ask().is_ok(), inside, "{minute}");
    }
    assert_eq!(request.refused(), RefusalCode::OutsideHours);
}

#[test]
fn a_column_above_the_policy_s_grade_stays_shut() {
    let request = Request::of(&WORLD.replace("semantic: icd10, grade: L3", "semantic: icd10, grade: L4"));
    assert_eq!(
        request.refused(),
        RefusalCode::GradeAbovePolicy,
        "membership is the strictest column's grade"
    );
    let world = WORLD
        .replace("semantic: icd10, grade: L3", "semantic: icd10")
        .replace("layout: clustered\n", "layout: clustered\nmembership: L3\n");
    let policy = Request::of(&world).ask().unwrap();
    let diagnosis = visits(&policy).columns.iter().find(|column| column.name == "diagnosis").unwrap();
    assert_eq!(diagnosis.grade, Level(4), "ungraded is the strictest");
    assert!(diagnosis.uses.is_empty());
}

#[test]
fn a_grant_narrows_uses_and_rows() {
    let mut request = Request::new();
    request.grants[0].datasets[0].uses = Some(BTreeSet::from([Use::Filter]));
    request.grants[0].datasets[0].row_filter = Some("district = '330106'".to_owned());
    request.grants[0].datasets[0].jurisdiction = true;
    let policy = request.ask().unwrap();
    let dataset = visits(&policy);
    assert!(dataset.columns.iter().all(|column| column.uses.is_subset(&BTreeSet::from([Use::Filter]))));
    assert!(
        dataset.row_filters.iter().any(|filter| filter.jurisdiction && filter.sql == "district = '330106'")
    );
}

#[test]
fn only_an_exception_in_force_goes_below_a_floor_and_it_is_named() {
    let world = WORLD.replace("purpose: insurance-supervision", "purpose: epidemic-monitoring");
    let mut request = Request::of(&world);
    let policy = request.ask().unwrap();
    assert_eq!(policy.floors.get(&Level(3)).unwrap().controls.subjects_min, 6);
    assert_eq!(policy.floors.get(&Level(2)).unwrap().controls.subjects_min, 5, "one grade only");
    assert!(policy.sources.iter().any(|source| source.id == "rare-disease"));
    assert_eq!(visits(&policy).controls.subjects_min, 10, "what the policy asks for stands");
    request.day = "2027-02-01";
    let policy = request.ask().unwrap();
    assert_eq!(policy.floors.get(&Level(3)).unwrap().controls.subjects_min, 10);
    assert!(!policy.sources.iter().any(|source| source.id == "rare-disease"));
}

#[test]
fn an_exception_lifts_no_control_that_it_does_not_name() {
    let controls = |excepted: &str| {
        let (before, rest) = WORLD.split_once("controls: {subjects_min: 6,").unwrap();
        let (_, after) = rest.split_once('\n').unwrap();
        let world = format!("{before}controls: {excepted}\n{after}");
        let world = world.replace("purpose: insurance-supervision", "purpose: epidemic-monitoring");
        Request::of(&world).ask().unwrap().floors.remove(&Level(3)).unwrap().controls
    };
    let floor = Request::new().ask().unwrap().floors.remove(&Level(3)).unwrap().controls;
    let threshold = controls("{subjects_min: 6}");
    assert_eq!((threshold.subjects_min, threshold.dominance), (6, floor.dominance));
    assert_eq!(threshold.rounding, Some(5));
    assert_eq!(controls("{cells_max: 9}").subjects_min, 10);
    // The threshold of residents stays where only that of enterprises is lowered.
    let enterprises = controls("{subjects_min: {enterprise: 3}}");
    let least = |kind: &str| enterprises.subjects_min(&kind.parse().unwrap());
    assert_eq!((least("enterprise"), least("resident"), least("vehicle")), (3, 10, 10));
    // A control is lifted by naming it.
    let lifted = controls("{dominance: {n: 1, share_max: 1, p_percent: 0}, rounding: {base: 1}}");
    assert_eq!(lifted.dominance.unwrap().share_max_permille, 1_000);
    assert_eq!((lifted.rounding, lifted.subjects_min), (Some(1), 10));
}

#[test]
fn of_two_exceptions_the_stricter_counts() {
    let (before, exception) = WORLD.split_once("api_version: obscura/v1\nkind: Exception\n").unwrap();
    let (exception, after) = exception.split_once("---\n").unwrap();
    let exception = format!("api_version: obscura/v1\nkind: Exception\n{exception}")
        .replace("purpose: insurance-supervision", "purpose: epidemic-monitoring");
    let second = exception.replace("id: rare-disease", "id: rarer-disease").replace(
        "{subjects_min: 6, dominance: {n: 2, share_max: 0.9, p_percent: 10}, rounding: {base: 5}}",
        "{subjects_min: 8}",
    );
    let world = format!("{before}{exception}---\n{second}---\n{after}");
    let policy = Request::of(&world).ask().unwrap();
    let controls = &policy.floors.get(&Level(3)).unwrap().controls;
    assert_eq!((controls.subjects_min, controls.dominance.unwrap().share_max_permille), (8, 850));
    let named = policy.sources.iter().filter(|source| source.id.ends_with("-disease"));
    assert_eq!(named.count(), 2);
}

#[test]
fn an_empty_name_approves_nothing() {
    let request = |approved_by: &str| {
        Request::of(&WORLD.replacen("approved_by: [shen]", &format!("approved_by: {approved_by}"), 1))
    };
    assert!(request("[shen]").ask().is_ok());
    assert_eq!(request("[\" \"]").ask().unwrap_err().code, RefusalCode::GrantNotApproved);
}

#[test]
fn an_exception_lowers_numbers_and_drops_no_mechanism() {
    let world = WORLD
        .replace("purpose: insurance-supervision", "purpose: epidemic-monitoring")
        .replace("grade: L3\ncontrols", "grade: L4\ncontrols");
    let policy = Request::of(&world).ask().unwrap();
    let floor = policy.floors.get(&Level(4)).unwrap();
    assert_eq!(floor.controls.subjects_min, 6);
    assert!(floor.controls.unavailable.contains("differential-privacy"));
}

#[test]
fn an_exception_takes_no_reviewer_away_and_l4_always_has_one() {
    let world = WORLD
        .replace("purpose: insurance-supervision", "purpose: epidemic-monitoring")
        .replace("grade: L3\ncontrols", "grade: L4\ncontrols");
    let policy = Request::of(&world).ask().unwrap();
    let review = |level| policy.floors.get(&Level(level)).unwrap().controls.review;
    assert_eq!([1, 2, 3, 4].map(review), [Review::None, Review::None, Review::None, Review::One]);
    assert_eq!(visits(&policy).controls.review, Review::None);
    let asked = |word: &str| {
        let world = WORLD.replacen("  review: none\n", &format!("  review: {word}\n"), 1);
        visits(&Request::of(&world).ask().unwrap()).controls.review
    };
    assert_eq!((asked("one"), asked("two")), (Review::One, Review::Two));
}

#[test]
fn a_floor_may_ask_for_reviewers() {
    let noise = [", perturbation: {deviation: 8}"; 3];
    let scheme = noisy_scheme(noise).replace("release: aggregates,", "release: aggregates, review: two,");
    assert!(scheme.contains("review: two"), "{scheme}");
    let world = WORLD.replace("scheme: db33t2351-2021", "scheme: noisy");
    let policy = Request::of(&format!("{world}{scheme}")).ask().unwrap();
    for level in [2, 3, 4] {
        assert_eq!(policy.floors.get(&Level(level)).unwrap().controls.review, Review::Two);
    }
}

#[test]
fn an_exception_leaves_the_noise_of_a_floor_as_it_is() {
    let noise = ["", ", perturbation: {deviation: 8}", ", perturbation: {deviation: 8}"];
    let world = WORLD
        .replace("purpose: insurance-supervision", "purpose: epidemic-monitoring")
        .replace("scheme: db33t2351-2021", "scheme: noisy");
    let policy = Request::of(&format!("{world}{}", noisy_scheme(noise))).ask().unwrap();
    let controls = |level| &policy.floors.get(&Level(level)).unwrap().controls;
    assert_eq!((controls(3).subjects_min, controls(3).perturbation), (6, Some(8)));
    assert_eq!(controls(2).perturbation, None);
    assert_eq!(controls(4).perturbation, Some(8));
}

#[test]
fn the_larger_deviation_of_two_policies_counts() {
    let with = |text: &str, noise: &str| {
        text.replacen(
            "    tolerance: 0.10\n",
            &format!("    tolerance: 0.10\n    perturbation: {noise}\n"),
            1,
        )
    };
    let deviation = |world: &str| visits(&Request::of(world).ask().unwrap()).controls.perturbation;
    let second = crate::parse::tests::POLICY.replace("id: health-outpatient-epi", "id: health-second");
    assert_eq!(deviation(WORLD), None);
    assert_eq!(deviation(&with(WORLD, "{deviation: 6}")), Some(6));
    let one = with(WORLD, "{deviation: 6}");
    assert_eq!(deviation(&format!("{one}---\n{second}")), Some(6));
    assert_eq!(deviation(&format!("{one}---\n{}", with(&second, "{deviation: 12}"))), Some(12));
    assert_eq!(deviation(&format!("{one}---\n{}", with(&second, "{deviation: 3}"))), Some(6));
}

#[test]
fn the_scale_of_noise_is_the_document_s_within_the_narrowed_range() {
    let usual = |range: &str, declared: &str| {
        let world = WORLD
            .replacen(
                "range: [0, 50000], bins: 1000",
                &format!("range: [-50000, 50000], bins: 1000{declared}"),
                1,
            )
            .replacen("range: [0, 20000]", range, 1);
        let policy = Request::of(&world).ask().unwrap();
        visits(&policy).columns.iter().find(|column| column.name == "cost").unwrap().usual
    };
    let limit = ", usual: 30000";
    assert_eq!(usual("range: [0, 20000]", ""), None);
    assert_eq!(usual("range: [0, 20000]", limit), Some(20_000.into()));
    assert_eq!(usual("range: [0, 40000]", limit), Some(30_000.into()));
    assert_eq!(usual("range: [-25000, 20000]", limit), Some(25_000.into()));
    assert_eq!(usual("bins: 1000", limit), Some(30_000.into()));
    // Two ranges that do not meet leave nothing to add up.
    let second = crate::parse::tests::POLICY
        .replace("id: health-outpatient-epi", "id: health-second")
        .replace("range: [0, 50000]", "range: [30000, 50000]");
    let world =
        WORLD.replacen("range: [0, 50000], bins: 1000", "range: [0, 50000], bins: 1000, usual: 300", 1);
    let policy = Request::of(&format!("{world}---\n{second}")).ask().unwrap();
    let cost = visits(&policy).columns.iter().find(|column| column.name == "cost").unwrap();
    assert_eq!((cost.range, cost.usual, cost.uses.contains(&Use::Aggregate)), (None, None, false));
}

#[test]
fn facts_that_noise_needs_come_from_the_document() {
    let policy = Request::new().ask().unwrap();
    assert_eq!((visits(&policy).usual_rows, visits(&policy).is_updated), (None, true));
    let facts = |update: &str| {
        let to = format!("sharing: conditional\n{update}usual_rows: 4\n");
        let policy =
            Request::of(&WORLD.replacen("sharing: conditional\nupdate: daily\n", &to, 1)).ask().unwrap();
        (visits(&policy).usual_rows, visits(&policy).is_updated)
    };
    assert_eq!(facts("update: never\n"), (Some(4), false));
    assert_eq!(facts("update: irregular\n"), (Some(4), true));
    assert_eq!(facts(""), (Some(4), true), "an update that is not stated may come");
    let world =
        WORLD.replacen("sharing: conditional\nupdate: daily\n", "sharing: conditional\nupdate: never\n", 1);
    let mut again = Request::of(&world);
    again.facts.is_later_version = true;
    assert!(visits(&again.ask().unwrap()).is_updated, "an update that was never to come has come");
    let world = WORLD.replacen("grade: L2, coded: true}", "grade: L2, coded: true, domain: [b, a, c]}", 1);
    let policy = Request::of(&world).ask().unwrap();
    let domain = |name: &str| {
        let column = visits(&policy).columns.iter().find(|column| column.name == name).unwrap();
        column.domain.clone()
    };
    assert_eq!(domain("district"), Some(["a", "b", "c"].map(str::to_owned).to_vec()));
    assert_eq!(domain("diagnosis"), None);
    assert_eq!(super::declared(&["b".to_owned(), "a".to_owned(), "b".to_owned()]), ["a", "b"]);
}

#[test]
fn a_second_policy_only_narrows() {
    let second = crate::parse::tests::POLICY
        .replace("id: health-outpatient-epi", "id: health-second")
        .replace("functions: [count, count_distinct, sum, avg, stddev, quantile]", "functions: [count, sum]")
        .replace("subjects_min: {resident: 10, enterprise: 5}", "subjects_min: 25")
        .replace("mask: {hierarchy: cn-admin, level: district}", "mask: {hierarchy: cn-admin, level: city}")
        .replace("  join_with: [{dataset: hz-edu.enrolment, unit: resident}]\n", "");
    let one = Request::new().ask().unwrap();
    let two = Request::of(&format!("{WORLD}---\n{second}")).ask().unwrap();
    let (one, two) = (visits(&one), visits(&two));
    assert_eq!(two.controls.subjects_min(&"resident".parse().unwrap()), 25);
    assert!(two.functions.len() == 2 && two.functions.is_subset(&one.functions));
    assert!(!one.join_with.is_empty() && two.join_with.is_empty());
    let district = two.columns.iter().find(|column| column.name == "district").unwrap();
    let masked = district.mask.as_ref().unwrap();
    let crate::mask::Mask::Hierarchy(level) = masked else { panic!("a hierarchy") };
    assert_eq!(level.level(), "city");
}

#[test]
fn a_grade_after_a_mask_needs_every_policy_s_word() {
    let mask = "mask: {hierarchy: icd10, level: category}}";
    let softer = "mask: {hierarchy: icd10, level: block}, grade_after: L2}";
    let world = WORLD.replace(mask, softer);
    let grade_after = |world: &str| {
        let policy = Request::of(world).ask().unwrap();
        visits(&policy).columns.iter().find(|column| column.name == "diagnosis").unwrap().grade_after
    };
    assert_eq!(grade_after(WORLD), Level(3));
    assert_eq!(grade_after(&world), Level(2));
    let second = crate::parse::tests::POLICY.replace("id: health-outpatient-epi", "id: health-second");
    assert_eq!(grade_after(&format!("{world}---\n{second}")), Level(3));
}

#[test]
fn a_grade_after_without_ground_counts_as_the_column_s_own() {
    let after = |rule: &str, changed: &str, column: &str| {
        let world = WORLD.replace(rule, changed).replace("grade_max: L3", "grade_max: L4");
        assert!(world.contains(changed), "{changed}");
        let policy = Request::of(&world).ask().unwrap();
        visits(&policy).columns.iter().find(|c| c.name == column).unwrap().grade_after
    };
    let money = "uses: [aggregate, filter], range: [0, 20000]}";
    for (mask, to, expected) in [
        ("{bin: 0.01}", "L1", 3),
        ("{bin: 0.01}", "L2", 3),
        ("{top_bottom: {top: 999999999}}", "L2", 3),
        ("{top_bottom: {top: 30000}}", "L2", 3),
        ("{top_bottom: {top: 20000}}", "L2", 2),
        ("{bin: 1000}", "L2", 2),
        ("{bin: 1000}", "L1", 3),
        ("redact", "L2", 2),
        ("redact", "L1", 3),
    ] {
        let changed = money.replace('}', &format!(", mask: {mask}, grade_after: {to}}}"));
        assert_eq!(after(money, &changed, "cost"), Level(expected), "{mask} to {to}");
    }
    let diagnosis = "mask: {hierarchy: icd10, level: category}}";
    for (mask, expected) in [
        ("{partial: {keep_first: 255}}", 3),
        ("{token: x}", 3),
        ("{hierarchy: icd10, level: category}", 3),
        ("{hierarchy: icd10, level: block}", 2),
    ] {
        let changed = format!("mask: {mask}, grade_after: L2}}");
        assert_eq!(after(diagnosis, &changed, "diagnosis"), Level(expected), "{mask}");
    }
    let strictest = |world: &str| {
        let world = world
            .replace("semantic: icd10, grade: L3", "semantic: icd10, grade: L4")
            .replace("layout: clustered\n", "layout: clustered\nmembership: L3\n")
            .replace(diagnosis, "mask: redact, grade_after: L3}");
        let policy = Request::of(&world).ask().unwrap();
        visits(&policy).columns.iter().find(|c| c.name == "diagnosis").unwrap().grade_after
    };
    assert_eq!(strictest(WORLD), Level(4));
}

#[test]
fn no_policy_counts_more_rows_of_a_subject_than_the_ceiling() {
    let with = |rows: u64| {
        let limit = format!("  review: none\n  max_rows_per_subject: {rows}\n");
        let policy = Request::of(&WORLD.replacen("  review: none\n", &limit, 1)).ask().unwrap();
        visits(&policy).max_rows_per_subject
    };
    assert_eq!((with(3), with(1_000), with(4_000_000_000)), (3, 1_000, 1_000));
}

#[test]
fn the_tests_of_a_policy_are_asked_with_a_grant_on_everything() {
    let request = Request::new();
    let policy = request.library.policies().values().next().unwrap();
    let test = policy.tests.first().unwrap();
    let now = LocalTime { day: request.day.parse().unwrap(), minute: request.minute };
    let grants = [request.library.test_grant(test, now.day).unwrap()];
    let principal = Principal::of_test(test);
    let purpose = test.person.purpose.as_str();
    let datasets = [VISITS.parse().unwrap()];
    let permits = Permits::unnamed(&grants);
    let answer = effective(&request.library, &principal, purpose, permits, &datasets, &BTreeMap::new(), now);
    assert_eq!(visits(&answer.unwrap()).columns.len(), 9);
}

/// Texts that turn the world's policy into another one of the same datasets and purpose.
const VARIATIONS: &[(&str, &str)] = &[
    ("uses: [aggregate, filter], range: [0, 20000]", "uses: [aggregate], range: [1000, 30000]"),
    ("subjects_min: {resident: 10, enterprise: 5}", "subjects_min: {resident: 4}"),
    ("dominance: {n: 2, share_max: 0.85, p_percent: 10}", "dominance: {n: 1, share_max: 0.9, p_percent: 15}"),
    ("rounding: {base: 5}", "rounding: {base: 3}"),
    ("    tolerance: 0.10\n", "    tolerance: 0.05\n    perturbation: {deviation: 4}\n"),
    ("functions: [count, count_distinct, sum, avg, stddev, quantile]", "functions: [count, avg]"),
    ("mask: {bin_years: 5, top: 90}", "mask: {date_trunc: year}"),
    ("hours: \"08:00-20:00\"", "hours: \"09:30-22:00\""),
    ("approvals: 1", "approvals: 2"),
    ("release: aggregates", "release: none"),
    ("  review: none\n", "  review: two\n"),
    ("grade_max: L3", "grade_max: L2"),
    ("departments: [hz-cdc, hz-health]", "departments: any"),
    ("districts: any", "districts: [hz]"),
    ("until: 2027-05-31", "until: 2026-12-10"),
    ("row_filter: \"visit_date >= DATE '2024-01-01'\"", "row_filter: \"cost > 0\""),
    ("uses: [filter, group]", "uses: [group]"),
];

/// The policy in the world, varied.
fn varied(name: &str, choices: &[usize]) -> Box<Policy> {
    let (_, text) = WORLD.split_once("# the example of the policy language\n").unwrap();
    let (text, _) = text.split_once("---\n").unwrap();
    let mut text = text.replace("id: health-outpatient-epi", &format!("id: {name}"));
    for choice in choices {
        let (from, to) = VARIATIONS.get(*choice).unwrap();
        text = text.replacen(from, to, 1);
    }
    let mut documents = parse_documents("varied.yaml", &text).unwrap();
    match documents.remove(0).value {
        Document::Policy(policy) => policy,
        other => panic!("a policy, not {}", other.kind()),
    }
}

proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(48))]

    /// Over random documents: with one more policy in the library that matches the request, nothing is admitted
    /// that was not. A policy that does not match leaves the answer as it was.
    #[test]
    fn one_more_matching_policy_never_admits_more(
        first in proptest::collection::vec(select((0..VARIATIONS.len()).collect::<Vec<_>>()), 0..4),
        second in proptest::collection::vec(select((0..VARIATIONS.len()).collect::<Vec<_>>()), 0..6),
    ) {
        let (before, rest) = WORLD.split_once("# the example of the policy language\n").unwrap();
        let (_, after) = rest.split_once("---\n").unwrap();
        let world = |policies: &[Box<Policy>]| {
            let texts: Vec<String> =
                policies.iter().map(|p| Document::Policy(p.clone()).to_yaml().unwrap()).collect();
            format!("{before}{}---\n{after}", texts.join("---\n"))
        };
        let first = varied("one", &first);
        let one = Request::of(&world(std::slice::from_ref(&first)));
        let two = Request::of(&world(&[first, varied("two", &second)]));
        let (one, two) = (one.ask(), two.ask());
        match (&one, &two) {
            (_, Err(_)) => {}
            // A policy that did not match before cannot be narrowed by one that now does; it opens on its own.
            (Err(refusal), Ok(_)) => prop_assert!(matches!(
                refusal.code,
                RefusalCode::NoPolicy | RefusalCode::PolicyNotInForce
            )),
            (Ok(one), Ok(two)) => {
                let (one, two) = (visits(one), visits(two));
                prop_assert!(two.controls.is_at_least(&one.controls));
                prop_assert!(two.release >= one.release);
                prop_assert!(two.functions.is_subset(&one.functions));
                for (narrow, wide) in two.columns.iter().zip(&one.columns) {
                    prop_assert!(narrow.uses.is_subset(&wide.uses));
                    prop_assert!(narrow.grade_after >= wide.grade_after);
                    prop_assert!(wide.mask.is_none() || narrow.mask.is_some());
                }
                for filter in &one.row_filters {
                    prop_assert!(two.row_filters.contains(filter));
                }
            }
        }
    }
}

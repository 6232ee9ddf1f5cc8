//! `obscura policy exposure`: who is told the figures, what moves them, and what of them stays in the log. The figures themselves are
//! compared with a dense solution beside their code (`query-guard/src/exposure/tests`).
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may panic")]

use std::fs;

use obscura_tests::fixture::Fixture;
use obscura_tests::world::OPERATOR;
use obscura_tests::world::STEWARD;
use obscura_tests::world::World;
use obscura_tests::world::code;
use serde_json::Value;

fn world() -> World {
    World::under_shipped_grades(&Fixture::load().unwrap()).unwrap()
}

/// The figures of one dataset of a policy that is in force, or of a file.
fn figures(world: &World, policy: &str, dataset: &str) -> Value {
    let outcome = world.run(STEWARD, &["policy", "exposure", policy, "--output", "json"]);
    let rows: Vec<Value> = serde_json::from_str(&outcome.unwrap().done().unwrap().stdout).unwrap();
    rows.into_iter().find(|row| row["dataset"] == dataset).unwrap()
}

fn number(figures: &Value, name: &str) -> f64 {
    figures[name].as_f64().unwrap()
}

/// The policy of the corpus with other controls, in a file.
fn draft(world: &World, controls: &str) -> String {
    let shown = world.run(STEWARD, &["policy", "show", "corpus-statistics"]).unwrap().done().unwrap().stdout;
    let draft = shown.replacen("version: 1", "version: 2", 1);
    let draft = draft.replacen("  review: none\n", &format!("  review: none\n  controls: {controls}\n"), 1);
    assert_ne!(shown, draft);
    let file = world.root().join("draft.yaml");
    fs::write(&file, draft).unwrap();
    file.display().to_string()
}

#[test]
fn fewer_columns_and_more_noise_expose_less() {
    let world = world();
    let wide = figures(&world, "corpus-statistics", "corpus.persons");
    let worst = |figures: &Value| number(figures, "worst");
    assert!(worst(&wide) > 0.5 && worst(&wide) >= number(&wide, "random"), "{wide}");
    assert!(
        number(&wide, "all_known") >= worst(&wide) && number(&wide, "arrives") >= number(&wide, "all_known")
    );
    let narrow = figures(&world, &draft(&world, "{cubes: {columns_max: 1}}"), "corpus.persons");
    let loud = figures(&world, &draft(&world, "{perturbation: {deviation: 16}}"), "corpus.persons");
    assert!(worst(&narrow) < worst(&wide) && worst(&loud) < worst(&wide), "{wide}\n{narrow}\n{loud}");
    assert!(number(&narrow, "names") < number(&wide, "names"));
    assert_eq!((number(&loud, "names"), number(&loud, "deviation")), (number(&wide, "names"), 16.0));
    let listed = "{cubes: {sets: [[dept], [sex]]}}";
    let listed = figures(&world, &draft(&world, listed), "corpus.persons");
    assert!(number(&listed, "names") < number(&narrow, "names"));
    // A rung that is named keeps within the limits once it is written.
    let least = listed["deviation_least"].as_u64().unwrap();
    let controls = format!("{{cubes: {{sets: [[dept], [sex]]}}, perturbation: {{deviation: {least}}}}}");
    let written = figures(&world, &draft(&world, &controls), "corpus.persons");
    assert!(worst(&written) <= number(&written, "limit"), "{written}");
    assert_eq!(written["deviation_least"].as_u64(), Some(least));
}

#[test]
fn figures_are_the_stewards_alone_and_the_log_says_who_read_what() {
    let world = world();
    let outcome = |person: &str| world.run(person, &["policy", "exposure", "corpus-statistics"]).unwrap();
    for person in ["ana", OPERATOR] {
        let refused = outcome(person);
        assert_ne!(refused.code, Some(code::DONE), "{person}: {}", refused.stdout);
        assert!(!refused.stdout.contains("corpus.persons"), "{}", refused.stdout);
    }
    let log = || {
        let exported = ["audit", "export"];
        world.run("aldo", &exported).unwrap().done().unwrap().stdout
    };
    assert!(!log().contains("exposure corpus.persons"));
    let told = outcome(STEWARD).done().unwrap();
    assert!(
        told.stdout.contains("corpus.visits") && told.stderr.contains("cubes"),
        "{}{}",
        told.stdout,
        told.stderr
    );
    assert!(log().contains("exposure corpus.persons"), "{}", log());
    world.run("aldo", &["audit", "verify"]).unwrap().done().unwrap();
    assert!(world.sightings().unwrap().is_empty());
}

#[test]
fn where_no_number_has_noise_the_reason_is_told() {
    let world = world();
    let told = |policy: &str| {
        let outcome = world.run(STEWARD, &["policy", "exposure", policy]).unwrap().done().unwrap();
        outcome.stdout + &outcome.stderr
    };
    let open = told("corpus-open-zones");
    assert!(open.contains("no figure, as the dataset leaves as it is"), "{open}");
    let missing = world.run(STEWARD, &["policy", "exposure", "nowhere"]).unwrap();
    assert!(missing.stderr.contains("document-not-found"), "{}", missing.stderr);
    let file = world.root().join("purpose.yaml");
    fs::write(&file, "not: [a document").unwrap();
    let broken = world.run(STEWARD, &["policy", "exposure", &file.display().to_string()]).unwrap();
    assert!(broken.stderr.contains("purpose.yaml:1:6"), "{}", broken.stderr);
    let none = world.run(STEWARD, &["policy", "exposure", "corpus.persons"]).unwrap();
    assert!(none.stderr.contains("policy-missing"), "{}", none.stderr);
    // Rows that nobody is left in.
    let shown = world.run(STEWARD, &["policy", "show", "corpus-statistics"]).unwrap().done().unwrap().stdout;
    let nobody = shown.replacen("default: deny\n", "default: deny\n  row_filter: \"person_id IS NULL\"\n", 1);
    let file = world.root().join("nobody.yaml");
    fs::write(&file, nobody).unwrap();
    let nobody = world.run(STEWARD, &["policy", "exposure", &file.display().to_string()]).unwrap();
    assert!(nobody.stderr.contains("no-subjects"), "{}{}", nobody.stdout, nobody.stderr);
}

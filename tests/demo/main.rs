//! The demo as a newcomer runs it: it ends well in both languages, and every number of its story is the oracle's, but for the noise
//! that its verdict states.
//! The city's rows come from its generator as plain text; the answers come from the installation that the demo leaves.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests may panic")]

mod answers;

use std::path::Path;
use std::process::Command;

use obscura_sandbox::city::City;
use obscura_tests::environment;
use obscura_tests::oracle::amount;
use obscura_tests::oracle::boundary::Group;
use obscura_tests::oracle::boundary::Outcome;
use obscura_tests::table::Cell;
use obscura_tests::table::Table;
use obscura_tests::world::code;
use serde_json::Value;

/// The analysts of the story and the scenes that each gets an answer in, in order.
const ANSWERED: [(&str, &[&str]); 2] = [
    ("lin", &["traffic", "parking", "tourism", "villages"]),
    ("he", &["insurance", "old-age", "migrants", "giants"]),
];

fn residents() -> u32 {
    if environment::run_slow() { City::RESIDENTS_DEMO } else { 10_000 }
}

/// Runs the program in a folder, for a person of the city that lies in it or for no person.
fn obscura(folder: &Path, person: Option<&str>, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(environment::product().unwrap());
    command.env_clear().env("NO_COLOR", "1").env("TMPDIR", folder).current_dir(folder).args(arguments);
    if let Some(person) = person {
        let city = folder.join("city");
        command
            .env("OBSCURA_DATA_DIR", city.join("data"))
            .env("OBSCURA_KEYRING_KEY_FILE", city.join("keyring.key"))
            .env("OBSCURA_TOKEN_FILE", city.join(format!("{person}.token")));
    }
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn tell(folder: &Path, residents: u32, language: &str) -> String {
    let residents = residents.to_string();
    let arguments = ["demo", "--once", "--residents", &residents, "--dir", "city", "--lang", language];
    let (exit, stdout, stderr) = obscura(folder, None, &arguments);
    assert_eq!(exit, Some(code::DONE), "{stdout}{stderr}");
    stdout + &stderr
}

/// An answer of the story: its table, and what its verdict states of the errors of its columns.
struct Answer {
    table: Table,
    errors: Vec<Value>,
}

/// The answers to a person's released questions, the first asked first.
fn released(folder: &Path, person: &str) -> Vec<Answer> {
    let run = |arguments: &[&str]| {
        let (exit, stdout, stderr) = obscura(folder, Some(person), arguments);
        assert_eq!(exit, Some(code::DONE), "{stderr}");
        stdout
    };
    let listed = run(&["job", "list", "--limit", "50", "--output", "csv"]);
    let mut jobs: Vec<&str> = listed.lines().filter(|line| line.contains(",released,")).collect();
    jobs.reverse();
    jobs.iter()
        .map(|line| {
            let job = line.split(',').next().unwrap();
            let table = Table::from_csv(&run(&["job", "result", job, "--output", "csv"])).unwrap();
            let shown: Value = serde_json::from_str(&run(&["job", "show", job, "--output", "json"])).unwrap();
            let output = shown["verdict"]["output"].as_array().unwrap();
            Answer { table, errors: output.iter().map(|column| column["error"].clone()).collect() }
        })
        .collect()
}

/// Distance of a number from the true one, in deviations of its noise: farther is one of half a billion.
const DEVIATIONS: f64 = 6.0;

#[test]
fn every_number_of_the_story_is_the_oracles() {
    let folder = tempfile::tempdir().unwrap();
    let residents = residents();
    let story = tell(folder.path(), residents, "en");
    assert!(story.contains("This would be admitted"), "the refusal comes with its fix\n{story}");
    let city = City::new(City::SEED_DEMO, residents);
    let mut numbers = 0;
    for (person, scenes) in ANSWERED {
        let answers = released(folder.path(), person);
        assert_eq!(answers.len(), scenes.len(), "answers to {person}");
        for (scene, answer) in scenes.iter().zip(answers) {
            let expected = answers::of(scene, &city);
            let (shown, faults) = faults(&answer, &expected);
            assert!(faults.is_empty(), "{scene}:\n{}", faults.join("\n"));
            numbers += shown;
            // In a smaller city some groups of a scene are too small to leave, and its giants are no giants.
            if residents >= City::RESIDENTS_DEMO {
                assert!(shown > 0, "{scene} shows nothing");
                assert!(*scene != "giants" || !shows(&answer.table, "platform"), "two firms hold it all");
            }
        }
    }
    assert!(numbers >= 10, "only {numbers} numbers were shown");
}

/// The number of values that an answer shows, and what is wrong with it: groups of fewer than ten people, numbers that are
/// farther from the true ones than their noise, and numbers that are missing although they are large.
fn faults(answer: &Answer, expected: &[Group]) -> (usize, Vec<String>) {
    let (mut shown, mut faults) = (0, Vec::new());
    let keys = expected.first().map_or(0, |group| group.keys.len());
    for group in expected {
        let row = answer.table.rows.iter().find(|row| row[..keys] == group.keys[..]);
        // A ranking leaves groups out.
        let Some(row) = row else { continue };
        for ((value, outcome), error) in row[keys..].iter().zip(&group.cells).zip(&answer.errors[keys..]) {
            let told = format!("{:?}: {value:?} for {outcome:?}, {error}", group.keys);
            match value {
                Cell::Number(value) if outcome.passed && is_near(*value, outcome, error) => shown += 1,
                Cell::Null if !is_large(outcome, error) => {}
                Cell::Number(_) | Cell::Text(_) | Cell::Null => faults.push(told),
            }
        }
    }
    let is_known = |row: &Vec<Cell>| expected.iter().any(|group| row[..keys] == group.keys[..]);
    let unknown = answer.table.rows.iter().filter(|row| !is_known(row));
    faults.extend(unknown.map(|row| format!("a group of fewer than ten: {row:?}")));
    (shown, faults)
}

fn is_near(value: f64, outcome: &Outcome, error: &Value) -> bool {
    let part = |name: &str| {
        let inaccuracy = &error[name];
        DEVIATIONS * inaccuracy["deviation"].as_f64().unwrap() + inaccuracy["rounding"].as_f64().unwrap()
    };
    if error["number"].is_object() {
        // A sum is told by the size of its step; a count has one below ten.
        return (value - total(outcome, error)).abs() <= part("number");
    }
    // A mean of a perturbed sum and a perturbed number of rows, at three digits.
    let (sum, rows) = (amount::to_f64(outcome.total), amount::to_f64(outcome.rows * amount::ONE));
    (value * rows - sum).abs() <= part("sum") + value.abs() * (part("count") + 0.005 * rows)
}

/// The true number in its own unit: sums are in ten-thousandths.
fn total(outcome: &Outcome, error: &Value) -> f64 {
    let is_count = error["number"]["rounding"].as_f64().unwrap() < 5.0;
    amount::to_f64(if is_count { outcome.total * amount::ONE } else { outcome.total })
}

/// True of a number that neither its noise nor the threshold can have withheld: its deviation is more than three tenths of it, or it
/// is beyond a threshold of ten by more than two deviations.
fn is_large(outcome: &Outcome, error: &Value) -> bool {
    let Some(deviation) = error["number"]["deviation"].as_f64() else { return false };
    let is_of_people = outcome.total == outcome.rows && deviation < 50.0;
    outcome.passed && is_of_people && total(outcome, error) > 20.0 + (10.0 / 3.0 + DEVIATIONS) * deviation
}

/// True if the last value of a group's row is a number. A group whose number of firms has noise may be below the threshold by it, and has
/// no row then.
fn shows(table: &Table, group: &str) -> bool {
    let group = Cell::Text(group.to_owned());
    let mut rows = table.rows.iter().filter(|row| row.first() == Some(&group));
    rows.any(|row| matches!(row.last(), Some(Cell::Number(_))))
}

#[test]
fn what_the_story_says_of_its_answers_is_in_their_rows() {
    let folder = tempfile::tempdir().unwrap();
    let story = tell(folder.path(), City::RESIDENTS_MIN, "en");
    // So few people that nearly everything is withheld: the story may claim nothing of withheld groups.
    let said = story.split_whitespace().collect::<Vec<_>>().join(" ");
    for (person, scenes) in ANSWERED {
        for (scene, answer) in scenes.iter().zip(released(folder.path(), person)) {
            let answer = answer.table;
            let rows = answer.rows.len();
            match *scene {
                "tourism" => {
                    let guests = |row: usize| answer.rows.get(row).map_or(&Cell::Null, |row| &row[1]);
                    let is_alone = *guests(0) != Cell::Null && guests(0) != guests(1);
                    assert_eq!(said.contains("comes first"), is_alone, "{said}");
                }
                "old-age" => {
                    assert!(said.contains(&format!("{rows} of 13 districts have a line")), "{said}")
                }
                "villages" => assert!(said.contains(&format!("{rows} of the 9 villages")), "{said}"),
                _ => {}
            }
        }
    }
    assert!(!story.contains("://"), "a server that has ended is not named\n{story}");
    let first = story.lines().position(|line| line.ends_with('…')).unwrap();
    assert!(first < story.lines().position(|line| line.contains("1/")).unwrap(), "{story}");
}

#[test]
fn the_story_is_told_in_chinese() {
    let folder = tempfile::tempdir().unwrap();
    let story = tell(folder.path(), City::RESIDENTS_MIN * 5, "zh");
    assert!(story.contains("查询未通过审查") && story.contains("暗室"), "{story}");
    assert!(!story.contains("The guard refuses"), "{story}");
}

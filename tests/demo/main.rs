//! The demo as a newcomer runs it: it ends well in both languages, and every number of its story is the oracle's.
//! The city's rows come from its generator as plain text; the answers come from the installation that the demo leaves.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests may panic")]

mod answers;

use std::path::Path;
use std::process::Command;

use obscura_sandbox::city::City;
use obscura_tests::environment;
use obscura_tests::table::Cell;
use obscura_tests::table::Table;
use obscura_tests::world::code;

/// The analysts of the story and the scenes that each gets an answer in, in order.
const ANSWERED: [(&str, &[&str]); 2] = [
    ("lin", &["traffic", "parking", "tourism", "villages"]),
    ("he", &["insurance", "old-age", "migrants", "giants"]),
];

fn residents() -> u32 {
    if environment::run_slow() { City::RESIDENTS_DEMO } else { 2_000 }
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

/// The results of a person's released questions, the first asked first.
fn released(folder: &Path, person: &str) -> Vec<Table> {
    let listed = obscura(folder, Some(person), &["job", "list", "--limit", "50", "--output", "csv"]);
    assert_eq!(listed.0, Some(code::DONE), "{}", listed.2);
    let mut jobs: Vec<&str> = listed.1.lines().filter(|line| line.contains(",released,")).collect();
    jobs.reverse();
    jobs.iter()
        .map(|line| {
            let job = line.split(',').next().unwrap();
            let fetched = obscura(folder, Some(person), &["job", "result", job, "--output", "csv"]);
            assert_eq!(fetched.0, Some(code::DONE), "{}", fetched.2);
            Table::from_csv(&fetched.1).unwrap()
        })
        .collect()
}

#[test]
fn every_number_of_the_story_is_the_oracles() {
    let folder = tempfile::tempdir().unwrap();
    let residents = residents();
    let story = tell(folder.path(), residents, "en");
    assert!(story.contains("This would be admitted"), "the refusal comes with its fix\n{story}");
    let city = City::new(City::SEED_DEMO, residents);
    for (person, scenes) in ANSWERED {
        let answers = released(folder.path(), person);
        assert_eq!(answers.len(), scenes.len(), "answers to {person}");
        for (scene, answer) in scenes.iter().zip(answers) {
            let expected = answers::of(scene, &city);
            // In a smaller city some groups of a scene are too small to leave, and its giants are no giants.
            if residents >= City::RESIDENTS_DEMO {
                assert!(!expected.rows.is_empty(), "{scene} has no rows");
                assert!(*scene != "giants" || withholds(&expected, "platform"), "two firms hold it all");
            }
            let differences = answer.differences(&expected, 0.0);
            assert!(differences.is_empty(), "{scene}:\n{}", differences.join("\n"));
        }
    }
}

/// True if the last value of a group's row is withheld.
fn withholds(table: &Table, group: &str) -> bool {
    let group = Cell::Text(group.to_owned());
    table.rows.iter().any(|row| row.first() == Some(&group) && row.last() == Some(&Cell::Null))
}

#[test]
fn what_the_story_says_of_its_answers_is_in_their_rows() {
    let folder = tempfile::tempdir().unwrap();
    let story = tell(folder.path(), City::RESIDENTS_MIN, "en");
    // So few people that nearly everything is withheld: the story may claim nothing of withheld groups.
    let said = story.split_whitespace().collect::<Vec<_>>().join(" ");
    for (person, scenes) in ANSWERED {
        for (scene, answer) in scenes.iter().zip(released(folder.path(), person)) {
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

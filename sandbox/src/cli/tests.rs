//! The main job by command line, on real parts: the output, the secrets that stay in, and every exit code that can be
//! reached.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may panic")]

use std::fs;
use std::path::Path;
use std::path::PathBuf;

use obscura_query_guard::statement::parsed_so_far;
use serde_json::Value;
use tempfile::TempDir;

use super::*;

mod documents;
mod doors;
mod limits;
mod log;
mod records;
mod rotation;

const DOCUMENTS: &str = "\
api_version: obscura/v1
kind: Department
metadata: {id: hz, version: 1, title: {en: City, zh: 市}}
level: city
---
api_version: obscura/v1
kind: Department
metadata: {id: hz-health, version: 1, title: {en: Health, zh: 卫健}}
level: department
parent: hz
---
api_version: obscura/v1
kind: Department
metadata: {id: hz-tax, version: 1, title: {en: Tax, zh: 税务}}
level: department
parent: hz
";

/// The shipped grades without noise, so that numbers are exact.
fn exact_grades() -> String {
    let shipped = include_str!("../../../policies/documents/schemes/db33t2351-2021.yaml");
    let lines = shipped.lines().map(|line| match line.split_once(", perturbation: {") {
        Some((others, _)) => format!("{others}}}\n"),
        None => format!("{line}\n"),
    });
    lines.collect::<String>().replace("id: db33t2351-2021", "id: exact-2021")
}

const DATASET: &str = "\
api_version: obscura/v1
kind: Dataset
metadata: {id: hz-health.visits, version: 1, title: {en: Visits, zh: 就诊}}
department: hz-health
scheme: exact-2021
units:
  - {kind: resident, column: person_id}
opening: limited
sharing: conditional
columns:
  - {name: person_id, type: text, role: unit_key, grade: L3, semantic: resident_id}
  - {name: name, type: text, role: identifier, grade: L3, semantic: name}
  - {name: district, type: text, role: dimension, grade: L2}
  - {name: cost, type: decimal, scale: 2, role: measure, grade: L3, semantic: money, range: [0, 1000]}
---
api_version: obscura/v1
kind: Policy
metadata: {id: health-statistics, version: 1, title: {en: Statistics, zh: 统计}}
owner: hz-health
object:
  subjects: {roles: [analyst], departments: any, districts: any}
  resources: {datasets: [hz-health.visits], grade_max: L3}
condition:
  purposes: [official-statistics]
content:
  default: deny
  columns:
    - {match: {role: identifier}, uses: []}
    - {match: {role: unit_key}, uses: [join, count_distinct]}
    - {match: {role: dimension}, uses: [filter, group]}
    - {match: {role: measure}, uses: [aggregate]}
method:
  release: aggregates
  functions: [count, count_distinct, sum, avg]
tests:
  - {name: counts, as: {role: analyst, department: hz-tax, purpose: official-statistics},
     sql: \"select district, count(*) from hz_health.visits group by 1\", expect: admitted}
  - {name: no names, as: {role: analyst, department: hz-tax, purpose: official-statistics},
     sql: \"select name from hz_health.visits\", expect: refused}
";

const COUNT: &str =
    "select district, count(*) as n from hz_health.visits group by district order by district";
const CANARY: &str = "CANARY-Zhang-San";

/// One installation in a folder of its own, driven by arguments as a person would.
struct World {
    folder: TempDir,
    everything: Vec<u8>,
    /// Further variables of the environment.
    settings: BTreeMap<String, String>,
}

struct Ran {
    exit: Exit,
    out: String,
    err: String,
}

impl Ran {
    fn must_be(self, exit: Exit) -> Self {
        assert_eq!(self.exit, exit, "out: {}\nerr: {}", self.out, self.err);
        self
    }
}

impl World {
    fn new() -> Self {
        Self { folder: TempDir::new().unwrap(), everything: Vec::new(), settings: BTreeMap::new() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    /// Runs a command as a person, whose token file is named after them.
    fn run(&mut self, person: Option<&str>, arguments: &[&str]) -> Ran {
        let mut environment = self.settings.clone();
        environment.insert("OBSCURA_DATA_DIR".to_owned(), self.path("data").display().to_string());
        environment.insert("OBSCURA_THREADS".to_owned(), "2".to_owned());
        if let Some(person) = person {
            let token = self.path(&format!("{person}.token")).display().to_string();
            environment.insert("OBSCURA_TOKEN_FILE".to_owned(), token);
        }
        let sources = |flags| Sources { flags, environment: environment.clone(), ..Sources::default() };
        let arguments = std::iter::once("obscura").chain(arguments.iter().copied()).map(OsString::from);
        let (mut out, err) = (Vec::new(), Arc::new(Mutex::new(Vec::new())));
        let terminal = Terminal { is_terminal: false, shows_data: false, columns: None };
        let exit = run(arguments, &sources, terminal, &mut out, Arc::<Mutex<Vec<u8>>>::clone(&err));
        let err = err.lock().unwrap().clone();
        self.everything.extend_from_slice(&out);
        self.everything.extend_from_slice(&err);
        Ran {
            exit,
            out: String::from_utf8_lossy(&out).into_owned(),
            err: String::from_utf8_lossy(&err).into_owned(),
        }
    }

    fn person(&mut self, name: &str, role: &str, department: Option<&str>) {
        let mut arguments = vec!["person", "add", name, "--role", role];
        if let Some(department) = department {
            arguments.extend(["--department", department]);
        }
        self.run(Some("operator"), &arguments).must_be(Exit::Done);
        let file = self.path(&format!("{name}.token")).display().to_string();
        self.run(Some("operator"), &["token", "create", name, "--file", &file]).must_be(Exit::Done);
    }

    /// An installation with an analyst, three stewards, an auditor, and a published dataset.
    fn founded() -> Self {
        let mut world = Self::new();
        let token = world.path("operator.token").display().to_string();
        world.run(None, &["init", "--token-file", &token]).must_be(Exit::Done);
        world.person("lin", "analyst", Some("hz-tax"));
        world.person("shen", "steward", Some("hz-health"));
        world.person("feng", "steward", Some("hz-health"));
        world.person("tian", "steward", Some("hz-tax"));
        world.person("gu", "auditor", None);
        let departments = world.write("departments.yaml", &format!("{DOCUMENTS}---\n{}", exact_grades()));
        let dataset = world.write("dataset.yaml", DATASET);
        world.run(Some("operator"), &["policy", "publish", &departments]).must_be(Exit::Done);
        world.run(Some("shen"), &["policy", "publish", &dataset]).must_be(Exit::Waits);
        world.run(Some("feng"), &["policy", "activate", "health-statistics@1"]).must_be(Exit::Done);
        world
    }

    /// As [`Self::founded`], with 45 sealed visits and a grant.
    fn sealed() -> Self {
        let mut world = Self::founded();
        let rows = world.write("visits.csv", &visits());
        world.run(Some("shen"), &["seal", "hz-health.visits", &rows]).must_be(Exit::Done);
        world.grant().must_be(Exit::Done);
        world
    }

    fn grant(&mut self) -> Ran {
        let purpose =
            ["--purpose", "official-statistics", "--dataset", "hz-health.visits", "--until", "2099-12-31"];
        self.run(Some("shen"), &[&["grant", "create", "--person", "lin"][..], &purpose[..]].concat())
    }

    fn query(&mut self, sql: &str) -> Ran {
        self.run(Some("lin"), &["query", "--purpose", "official-statistics", "--output", "json", sql])
    }

    fn every_byte(&self) -> Vec<u8> {
        let mut bytes = self.everything.clone();
        collect(&self.path("data"), &mut bytes);
        bytes
    }
}

fn collect(folder: &Path, bytes: &mut Vec<u8>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, bytes);
        } else {
            bytes.extend(fs::read(path).unwrap());
        }
    }
}

/// Forty people of Xihu and five of Shangcheng, each with one visit; names are canaries.
fn visits() -> String {
    let mut csv = String::from("person_id,name,district,cost\n");
    for number in 0..45 {
        let district = if number < 40 { "Xihu" } else { "Shangcheng" };
        csv.push_str(&format!("{},{CANARY}-{number},{district},{}.50\n", resident(number), 10 + number));
    }
    csv
}

fn resident(number: u32) -> String {
    let body = format!("3301061980010{:04}", 1000 + number);
    let check = obscura_policies::identifiers::resident_id_digit(&body).unwrap();
    format!("{body}{check}")
}

#[test]
fn sealed_data_answers_in_aggregates_and_small_groups_stay_in() {
    let mut world = World::sealed();
    let answer = world.query(COUNT).must_be(Exit::Done);
    let rows: Value = serde_json::from_str(&answer.out).unwrap();
    assert_eq!(rows, serde_json::json!([{ "district": "Xihu", "n": 40 }]));
    assert!(answer.err.contains("Suppression is in force"), "{}", answer.err);
}

#[test]
fn a_released_job_parses_its_text_once() {
    let mut world = World::sealed();
    let before = parsed_so_far();
    world.query(COUNT).must_be(Exit::Done);
    assert_eq!(parsed_so_far() - before, 1, "tests of one process each count their own");
}

#[test]
fn row_level_question_is_refused_with_its_place_and_the_decision_is_logged() {
    let mut world = World::sealed();
    let sql = "select district, cost from hz_health.visits";
    let refused =
        world.run(Some("lin"), &["query", "--purpose", "official-statistics", sql]).must_be(Exit::Refused);
    assert!(refused.err.contains("row-level-output"), "{}", refused.err);
    let log =
        world.run(Some("gu"), &["audit", "log", "--limit", "2", "--output", "json"]).must_be(Exit::Done);
    let events: Value = serde_json::from_str(&log.out).unwrap();
    // The reader's own login is in it besides.
    let actions: Vec<&Value> = events.as_array().unwrap().iter().map(|event| &event["action"]).collect();
    assert!(actions.iter().any(|action| *action == "query.decided"), "{actions:?}");
}

#[test]
fn rewrites_of_a_refusal_are_admitted() {
    let mut world = World::sealed();
    let refused = world.query("select district, cost from hz_health.visits").must_be(Exit::Refused);
    let verdict: Value = serde_json::from_str(&refused.out).unwrap();
    let rewrites = verdict["rewrites"].as_array().unwrap().clone();
    assert!(!rewrites.is_empty(), "{verdict}");
    for rewrite in rewrites {
        let sql = rewrite["sql"].as_str().unwrap();
        world.run(Some("lin"), &["explain", "--purpose", "official-statistics", sql]).must_be(Exit::Done);
    }
}

#[test]
fn nothing_that_leaves_or_stays_on_disk_holds_a_canary() {
    let mut world = World::sealed();
    let csv = fs::read(world.path("visits.csv")).unwrap();
    assert!(contains(&csv, CANARY.as_bytes()), "the scanner must be able to find it");
    world.query(COUNT).must_be(Exit::Done);
    world.query("select name from hz_health.visits").must_be(Exit::Refused);
    world.query("select count(*) from hz_health.visits where name like 'x%'").must_be(Exit::Refused);
    let bytes = world.every_byte();
    assert!(!contains(&bytes, CANARY.as_bytes()));
    assert!(!contains(&bytes, resident(3).as_bytes()));
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

#[test]
fn audit_log_verifies_and_a_changed_byte_is_named_by_its_entry() {
    let mut world = World::sealed();
    world.query(COUNT).must_be(Exit::Done);
    world.run(None, &["audit", "verify"]).must_be(Exit::Done);
    let proof = world.run(None, &["audit", "prove", "3"]).must_be(Exit::Done).out;
    let proof_file = world.write("entry.tlog-proof", &proof);
    world.run(None, &["audit", "verify", "--proof", &proof_file]).must_be(Exit::Done);

    let bundle = world.path("data/audit/tile/entries/000.p");
    let bundle = fs::read_dir(bundle).unwrap().next().unwrap().unwrap().path();
    let mut bytes = fs::read(&bundle).unwrap();
    let place = bytes.windows(12).position(|window| window == b"person.added").unwrap();
    bytes[place] ^= 1;
    fs::write(&bundle, bytes).unwrap();
    let failed = world.run(None, &["audit", "verify"]).must_be(Exit::VerificationFailed);
    assert!(failed.err.contains("First bad entry: 1."), "{}", failed.err);
    // The proof that was made before still holds: it needs no log.
    world.run(None, &["audit", "verify", "--proof", &proof_file]).must_be(Exit::Done);
}

#[test]
fn row_that_the_log_does_not_know_is_found_and_not_honoured() {
    let mut world = World::sealed();
    let database = world.path("data/obscura.db");
    alter(
        &database,
        "UPDATE record SET body = replace(body, 'analyst', 'steward') WHERE kind = 'person' AND key = 'lin'",
    );
    let failed = world.run(None, &["audit", "verify"]).must_be(Exit::VerificationFailed);
    assert!(failed.err.contains("person `lin`"), "{}", failed.err);
    world.query(COUNT).must_be(Exit::Authentication);
}

#[test]
fn grant_put_back_in_the_database_after_its_revocation_is_not_honoured() {
    let mut world = World::sealed();
    let grants = world.run(Some("shen"), &["grant", "list", "--output", "json"]).must_be(Exit::Done);
    let grants: Value = serde_json::from_str(&grants.out).unwrap();
    let id = grants[0]["id"].as_str().unwrap().to_owned();
    world.run(Some("shen"), &["grant", "revoke", &id]).must_be(Exit::Done);
    world.query(COUNT).must_be(Exit::Refused);
    let database = world.path("data/obscura.db");
    alter(&database, "UPDATE record SET state = 'in_force', ended_index = NULL WHERE kind = 'grant'");
    world.query(COUNT).must_be(Exit::Refused);
    world.run(None, &["audit", "verify"]).must_be(Exit::VerificationFailed);
}

/// Edits the database as an attacker with the file could.
fn alter(database: &Path, sql: &'static str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(database);
        let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
        sqlx::query(sql).execute(&pool).await.unwrap();
        pool.close().await;
    });
}

#[test]
fn result_is_fetched_again_unchanged_and_only_by_its_owner() {
    let mut world = World::sealed();
    let answer = world.query(COUNT).must_be(Exit::Done);
    let jobs = world.run(Some("lin"), &["job", "list", "--output", "json"]).must_be(Exit::Done);
    let jobs: Value = serde_json::from_str(&jobs.out).unwrap();
    let id = jobs[0]["id"].as_str().unwrap().to_owned();
    let again = world.run(Some("lin"), &["job", "result", &id, "--output", "json"]).must_be(Exit::Done);
    assert_eq!(again.out, answer.out);
    world.run(Some("shen"), &["job", "result", &id]).must_be(Exit::Failure);
    let release = world.run(Some("lin"), &["job", "result", &id, "--release"]).must_be(Exit::Done);
    assert!(release.out.contains("obscura-release/2") && release.out.contains("releases"), "{}", release.out);
}

#[test]
fn release_record_verifies_with_the_public_key_alone_and_only_unchanged() {
    let mut world = World::sealed();
    world.query(COUNT).must_be(Exit::Done);
    let jobs = world.run(Some("lin"), &["job", "list", "--output", "json"]).must_be(Exit::Done);
    let jobs: Value = serde_json::from_str(&jobs.out).unwrap();
    let id = jobs[0]["id"].as_str().unwrap().to_owned();
    let record = world.run(Some("lin"), &["job", "result", &id, "--release"]).must_be(Exit::Done).out;
    let file = world.write("release.note", &record);
    let key = world.path("data/releases.pub").display().to_string();
    world.run(None, &["release", "verify", &file, "--key", &key]).must_be(Exit::Done);
    let file = world.write("changed.note", &record.replace("\"lin\"", "\"tian\""));
    world.run(None, &["release", "verify", &file, "--key", &key]).must_be(Exit::VerificationFailed);
}

#[test]
fn question_is_read_by_its_owner_and_the_auditor_and_stands_nowhere_in_the_clear() {
    let mut world = World::sealed();
    let sql = format!("{COUNT} -- CANARY-comment {}", "x".repeat(50_000));
    for sql in [COUNT, sql.as_str()] {
        world.query(sql).must_be(Exit::Done);
        let jobs = world.run(Some("lin"), &["job", "list", "--output", "json"]).must_be(Exit::Done);
        let jobs: Value = serde_json::from_str(&jobs.out).unwrap();
        let id = jobs[0]["id"].as_str().unwrap().to_owned();
        let mut bytes = Vec::new();
        collect(&world.path("data"), &mut bytes);
        assert!(!contains(&bytes, b"order by district"));
        for reader in ["lin", "gu"] {
            let read = world.run(Some(reader), &["audit", "question", &id]).must_be(Exit::Done);
            assert_eq!(read.out.trim_end(), sql);
        }
        world.run(Some("shen"), &["audit", "question", &id]).must_be(Exit::Failure);
    }
}

#[test]
fn rotated_key_opens_what_was_sealed_before() {
    let mut world = World::sealed();
    world.run(Some("shen"), &["key", "rotate", "hz-health/L3"]).must_be(Exit::Refused);
    world.run(Some("operator"), &["key", "rotate", "hz-none/L3"]).must_be(Exit::Failure);
    for grade in ["L2", "L3"] {
        let key = format!("hz-health/{grade}");
        let rotated = world.run(Some("operator"), &["key", "rotate", &key]).must_be(Exit::Done);
        assert!(rotated.err.contains("version 2"), "{}", rotated.err);
    }
    assert!(world.query(COUNT).must_be(Exit::Done).out.contains("40"));
    world.run(Some("shen"), &["dataset", "verify", "hz-health.visits"]).must_be(Exit::Done);
    world.run(None, &["audit", "verify"]).must_be(Exit::Done);
}

#[test]
fn older_version_put_back_on_disk_is_found() {
    let mut world = World::sealed();
    let rows = world.path("visits.csv").display().to_string();
    world.run(Some("shen"), &["seal", "hz-health.visits", &rows, "--replace"]).must_be(Exit::Done);
    let folder = world.path("data/datasets/hz-health/visits");
    let mut versions: Vec<PathBuf> =
        fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    versions.sort();
    versions.retain(|path| path.is_dir());
    fs::remove_dir_all(&versions[1]).unwrap();
    fs::rename(&versions[0], &versions[1]).unwrap();
    let verified = world.run(None, &["audit", "verify"]).must_be(Exit::VerificationFailed);
    assert!(verified.err.contains("hz-health.visits@2"), "{}", verified.err);
    assert_ne!(world.query(COUNT).exit, Exit::Done);
}

#[test]
fn stored_result_that_was_changed_is_not_shown() {
    let mut world = World::sealed();
    world.query(COUNT).must_be(Exit::Done);
    let jobs = world.run(Some("lin"), &["job", "list", "--output", "json"]).must_be(Exit::Done);
    let jobs: Value = serde_json::from_str(&jobs.out).unwrap();
    let id = jobs[0]["id"].as_str().unwrap().to_owned();
    let file = world.path(&format!("data/results/{id}.sealed"));
    let mut bytes = fs::read(&file).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&file, bytes).unwrap();
    world.run(Some("lin"), &["job", "result", &id]).must_be(Exit::VerificationFailed);
}

#[test]
fn every_output_form_holds_the_same_release() {
    let mut world = World::sealed();
    let csv = world
        .run(Some("lin"), &["query", "-p", "official-statistics", "-o", "csv", COUNT])
        .must_be(Exit::Done);
    assert_eq!(csv.out, "district,n\nXihu,40\n");
    let table = world.run(Some("lin"), &["query", "-p", "official-statistics", COUNT]).must_be(Exit::Done);
    assert!(table.out.contains("Xihu") && table.out.contains("40"), "{}", table.out);
    for form in ["arrow", "parquet"] {
        let ran = world.run(Some("lin"), &["query", "-p", "official-statistics", "-o", form, COUNT]);
        assert!(ran.must_be(Exit::Done).out.len() > 100, "{form}");
    }
}

#[test]
fn explain_reads_no_data_and_makes_no_job() {
    let mut world = World::sealed();
    let before = world.run(Some("lin"), &["job", "list", "-o", "json"]).must_be(Exit::Done).out;
    world.run(Some("lin"), &["explain", "-p", "official-statistics", COUNT]).must_be(Exit::Done);
    world
        .run(Some("lin"), &["query", "-p", "official-statistics", &format!("explain {COUNT}")])
        .must_be(Exit::Done);
    assert_eq!(world.run(Some("lin"), &["job", "list", "-o", "json"]).must_be(Exit::Done).out, before);
}

#[test]
fn hidden_dataset_and_none_at_all_give_the_same_answer() {
    let mut world = World::sealed();
    let hidden = DATASET.split("---").next().unwrap();
    let hidden = hidden
        .replace("hz-health.visits", "hz-health.secret")
        .replace("opening: limited", "opening: prohibited");
    let hidden = world.write("hidden.yaml", &hidden);
    world.run(Some("shen"), &["policy", "publish", &hidden]).must_be(Exit::Done);
    let one = world.query("select count(*) from hz_health.secret").must_be(Exit::Refused);
    let other = world.query("select count(*) from hz_health.absent").must_be(Exit::Refused);
    assert_eq!(one.out.replace("secret", "absent"), other.out);
}

#[test]
fn never_sealed_dataset_is_refused_and_not_failed() {
    let mut world = World::founded();
    world.grant().must_be(Exit::Done);
    let refused = world.query(COUNT).must_be(Exit::Refused);
    assert!(refused.out.contains("dataset-not-sealed"), "{}", refused.out);
}

#[test]
fn second_seal_needs_to_say_what_becomes_of_the_first() {
    let mut world = World::sealed();
    let rows = world.path("visits.csv").display().to_string();
    world.run(Some("shen"), &["seal", "hz-health.visits", &rows]).must_be(Exit::Failure);
    let asked =
        world.run(Some("shen"), &["seal", "hz-health.visits", &rows, "--append"]).must_be(Exit::Usage);
    assert!(asked.err.contains("sealed already"), "{}", asked.err);
    let append = ["seal", "hz-health.visits", &rows, "--append", "--yes"];
    world.run(Some("shen"), &append).must_be(Exit::Done);
    world.run(Some("shen"), &["seal", "hz-health.visits", &rows, "--replace"]).must_be(Exit::Done);
    let answer = world.query(COUNT).must_be(Exit::Done);
    assert!(answer.out.contains("40"), "{}", answer.out);
    world.run(Some("shen"), &["dataset", "verify", "hz-health.visits"]).must_be(Exit::Done);
    world.run(None, &["audit", "verify"]).must_be(Exit::Done);
}

#[test]
fn malformed_row_is_reported_by_line_and_never_by_value() {
    let mut world = World::founded();
    let bad = visits().replace("10.50", "CANARY-not-a-number");
    let rows = world.write("visits.csv", &bad);
    let stopped = world.run(Some("shen"), &["seal", "hz-health.visits", &rows]).must_be(Exit::Usage);
    assert!(stopped.err.contains("line 2"), "{}", stopped.err);
    let skip = ["seal", "hz-health.visits", &rows, "--on-bad-row", "skip"];
    let stopped = world.run(Some("shen"), &skip).must_be(Exit::Usage);
    assert!(stopped.err.contains("--rejects FILE"), "{}", stopped.err);
    let skipped = world.run(Some("shen"), &[&skip[..], &["--bad-rows-max", "2.5%"]].concat());
    let skipped = skipped.must_be(Exit::Done);
    assert!(skipped.err.contains("1 malformed rows"), "{}", skipped.err);
    assert!(!contains(&world.every_byte(), b"CANARY"));
}

#[test]
fn a_list_of_rejects_that_cannot_be_made_is_told_and_nothing_is_sealed() {
    let mut world = World::founded();
    let rows = world.write("visits.csv", &visits().replace("10.50", "CANARY-not-a-number"));
    let taken = world.write("taken.csv", "kept");
    let nowhere = world.path("nowhere/rejects.csv").display().to_string();
    let skip = ["seal", "hz-health.visits", &rows, "--on-bad-row", "skip", "--bad-rows-max", "100%"];
    for (file, reason) in [(&taken, "exists already"), (&nowhere, "its folder does not exist")] {
        let refused = world.run(Some("shen"), &[&skip[..], &["--rejects", file]].concat());
        let refused = refused.must_be(Exit::Usage);
        assert!(refused.err.contains("error[rejects-uncreated]"), "{}", refused.err);
        assert!(refused.err.contains(reason), "{}", refused.err);
    }
    assert_eq!(fs::read_to_string(&taken).unwrap(), "kept");
    let verified = world.run(Some("shen"), &["dataset", "verify", "hz-health.visits"]).must_be(Exit::Failure);
    assert!(verified.err.contains("dataset-not-sealed"), "{}", verified.err);
    let free = world.path("rejects.csv").display().to_string();
    world.run(Some("shen"), &[&skip[..], &["--rejects", &free]].concat()).must_be(Exit::Done);
    assert!(fs::read_to_string(&free).unwrap().starts_with("line,column,reason\n2,cost,"));
}

#[test]
fn shredded_dataset_cannot_be_asked_and_the_log_proves_it() {
    let mut world = World::sealed();
    world.run(Some("shen"), &["dataset", "shred", "hz-health.visits"]).must_be(Exit::Usage);
    world.run(Some("shen"), &["dataset", "shred", "hz-health.visits", "--yes"]).must_be(Exit::Done);
    world.query(COUNT).must_be(Exit::Refused);
    let log = world.run(Some("gu"), &["audit", "log", "-o", "json"]).must_be(Exit::Done);
    assert!(log.out.contains("dataset.shredded"), "{}", log.out);
    world.run(None, &["audit", "verify"]).must_be(Exit::Done);
}

#[test]
fn policy_whose_own_test_fails_is_not_published() {
    let mut world = World::founded();
    let wrong = DATASET.split("---\n").nth(1).unwrap().replace("version: 1", "version: 2");
    let wrong = wrong.replace("expect: admitted", "expect: refused");
    let wrong = world.write("wrong.yaml", &wrong);
    let failed = world.run(Some("shen"), &["policy", "publish", &wrong]).must_be(Exit::Failure);
    assert!(failed.err.contains("test `counts`"), "{}", failed.err);
}

#[test]
fn policy_is_activated_by_another_steward_of_its_department_or_withdrawn() {
    let mut world = World::founded();
    let second = DATASET.split("---\n").nth(1).unwrap().replace("version: 1", "version: 2");
    let second = world.write("second.yaml", &second);
    world.run(Some("shen"), &["policy", "publish", &second]).must_be(Exit::Waits);
    let waiting = world.run(Some("feng"), &["policy", "proposals", "-o", "csv"]).must_be(Exit::Done);
    assert_eq!(waiting.out, "policy,version,proposed_by\nhealth-statistics,2,shen\n");
    let none = world.run(Some("tian"), &["policy", "proposals", "-o", "csv"]).must_be(Exit::Done);
    assert_eq!(none.out, "policy,version,proposed_by\n");
    for (person, code, exit) in [
        ("shen", "not-oneself", Exit::Refused),
        ("tian", "proposal-not-found", Exit::Failure),
        ("lin", "role-missing", Exit::Refused),
    ] {
        let refused = world.run(Some(person), &["policy", "activate", "health-statistics@2"]).must_be(exit);
        assert!(refused.err.contains(code), "{person}: {}", refused.err);
    }
    world.run(Some("feng"), &["policy", "withdraw", "health-statistics@2"]).must_be(Exit::Done);
    world.run(Some("feng"), &["policy", "activate", "health-statistics@2"]).must_be(Exit::Failure);
    world.run(Some("feng"), &["policy", "publish", &second]).must_be(Exit::Waits);
    world.run(Some("shen"), &["policy", "activate", "health-statistics@2"]).must_be(Exit::Done);
}

#[test]
fn request_for_access_becomes_the_grant_that_was_asked() {
    let mut world = World::founded();
    let rows = world.write("visits.csv", &visits());
    world.run(Some("shen"), &["seal", "hz-health.visits", &rows]).must_be(Exit::Done);
    let ask = [
        "request",
        "create",
        "--purpose",
        "official-statistics",
        "--dataset",
        "hz-health.visits",
        "--until",
        "2099-12-31",
        "--reason",
        "a yearbook",
    ];
    world.run(Some("tian"), &ask).must_be(Exit::Refused);
    let id = world.run(Some("lin"), &ask).must_be(Exit::Waits).out.trim().to_owned();
    world.query(COUNT).must_be(Exit::Refused);
    world.run(Some("lin"), &["request", "approve", &id]).must_be(Exit::Refused);
    world.run(Some("tian"), &["request", "approve", &id]).must_be(Exit::Failure);
    world.run(Some("shen"), &["request", "approve", &id]).must_be(Exit::Done);
    world.run(Some("shen"), &["request", "decline", &id]).must_be(Exit::Failure);
    world.query(COUNT).must_be(Exit::Done);
    let list = world.run(Some("lin"), &["request", "list", "-o", "csv"]).must_be(Exit::Done);
    assert!(list.out.contains("approved"), "{}", list.out);
}

#[test]
fn published_version_never_changes() {
    let mut world = World::founded();
    let unchanged = world.path("dataset.yaml").display().to_string();
    world.run(Some("shen"), &["policy", "publish", &unchanged]).must_be(Exit::Done);
    let other = world.write("other.yaml", &DATASET.replace("en: Visits", "en: Other"));
    let refused = world.run(Some("shen"), &["policy", "publish", &other]).must_be(Exit::Failure);
    assert!(refused.err.contains("version-not-new"), "{}", refused.err);
}

#[test]
fn init_leaves_what_is_there_alone() {
    let mut world = World::founded();
    let token = world.path("second.token").display().to_string();
    world.run(None, &["init", "--token-file", &token]).must_be(Exit::Failure);
    assert!(!Path::new(&token).exists());
    world.run(Some("operator"), &["person", "list"]).must_be(Exit::Done);
}

#[test]
fn revoked_and_foreign_tokens_and_removed_persons_open_nothing() {
    let mut world = World::sealed();
    let tokens = world.run(Some("operator"), &["token", "list", "-o", "json"]).must_be(Exit::Done);
    let tokens: Value = serde_json::from_str(&tokens.out).unwrap();
    let of = |person: &str| {
        let found = tokens.as_array().unwrap().iter().find(|token| token["person"] == person);
        found.unwrap()["id"].as_str().unwrap().to_owned()
    };
    world.run(Some("operator"), &["token", "revoke", &of("lin")]).must_be(Exit::Done);
    world.query(COUNT).must_be(Exit::Authentication);
    world.run(Some("operator"), &["person", "remove", "gu"]).must_be(Exit::Done);
    world.run(Some("gu"), &["audit", "log"]).must_be(Exit::Authentication);
    let stranger = World::founded();
    fs::copy(stranger.path("shen.token"), world.path("shen.token")).unwrap();
    world.run(Some("shen"), &["grant", "list"]).must_be(Exit::Authentication);
}

/// The permissions: one row an action, one letter a role that may (a`d`min, `o`perator, steward of the department `s`,
/// steward of another `t`, `a`nalyst, audito`r`); no other role may, and no caller without a token.
const MATRIX: &[(&str, &[&str])] = &[
    ("d", &["person", "add", "new.NAME", "--role", "auditor"]),
    ("d", &["token", "create", "newcomer", "--file", "FOLDER/newcomer.token"]),
    ("d", &["person", "remove", "newcomer"]),
    ("odr", &["person", "list"]),
    ("odsart", &["token", "list"]),
    ("a", &["token", "create", "lin", "--file", "FOLDER/NAME.new"]),
    ("o", &["key", "rotate", "hz-health/L3"]),
    ("s", &["policy", "check", "FOLDER/dataset.yaml"]),
    ("s", &["policy", "publish", "FOLDER/NAME.yaml"]),
    ("s", &["dataset", "verify", "hz-health.visits"]),
    ("odsart", &["dataset", "list"]),
    ("odsart", &["dataset", "show", "hz-health.visits"]),
    ("odsart", &["whoami"]),
    ("odsart", &["purpose", "list"]),
    ("st", &["dataset", "suggest", "FOLDER/visits.csv"]),
    ("s", &["seal", "hz-health.visits", "FOLDER/visits.csv", "--append", "--yes"]),
    (
        "s",
        &[
            "grant",
            "create",
            "--person",
            "lin",
            "--purpose",
            "tourism-analysis",
            "--dataset",
            "hz-health.visits",
            "--until",
            "2099-01-01",
        ],
    ),
    ("odsart", &["grant", "list"]),
    ("a", &["explain", "-p", "official-statistics", COUNT]),
    ("a", &["query", "-p", "official-statistics", COUNT]),
    ("odsart", &["job", "list"]),
    ("r", &["audit", "log"]),
];

#[test]
fn role_matrix_holds() {
    let mut world = World::sealed();
    world.person("otto", "operator", None);
    world.person("adam", "admin", None);
    world.run(Some("adam"), &["person", "add", "newcomer", "--role", "auditor"]).must_be(Exit::Done);
    let people = [('o', "otto"), ('d', "adam"), ('s', "shen"), ('t', "tian"), ('a', "lin"), ('r', "gu")];
    for (number, (allowed, arguments)) in MATRIX.iter().enumerate() {
        for (letter, name) in people {
            let folder = world.folder.path().display().to_string();
            let version = format!("version: {}", number + 2);
            let document = DATASET.split("---").next().unwrap().replace("version: 1", &version);
            world.write(&format!("{name}.yaml"), &document);
            let arguments: Vec<String> =
                arguments.iter().map(|word| word.replace("FOLDER", &folder).replace("NAME", name)).collect();
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let ran = world.run(Some(name), &arguments);
            if allowed.contains(letter) {
                assert_eq!(ran.exit, Exit::Done, "{name}: {arguments:?}\n{}", ran.err);
            } else {
                assert_ne!(ran.exit, Exit::Done, "{name}: {arguments:?}\n{}", ran.out);
            }
        }
        let folder = world.folder.path().display().to_string();
        let arguments: Vec<String> =
            arguments.iter().map(|word| word.replace("FOLDER", &folder).replace("NAME", "nobody")).collect();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        world.run(None, &arguments).must_be(Exit::Authentication);
    }
}

#[test]
fn nobody_grants_to_themself_and_roles_that_check_each_other_stay_apart() {
    let mut world = World::founded();
    for roles in [
        ["analyst", "operator"],
        ["steward", "auditor"],
        ["admin", "analyst"],
        ["admin", "steward"],
        ["admin", "auditor"],
        ["operator", "auditor"],
    ] {
        let arguments =
            ["person", "add", "both", "--role", roles[0], "--role", roles[1], "--department", "hz-tax"];
        world.run(Some("operator"), &arguments).must_be(Exit::Usage);
    }
    let both =
        ["person", "add", "both", "--role", "steward", "--role", "analyst", "--department", "hz-health"];
    world.run(Some("operator"), &both).must_be(Exit::Done);
    let file = world.path("both.token").display().to_string();
    world.run(Some("operator"), &["token", "create", "both", "--file", &file]).must_be(Exit::Done);
    let grant =
        ["--purpose", "official-statistics", "--dataset", "hz-health.visits", "--until", "2099-12-31"];
    let arguments = [&["grant", "create", "--person", "both"][..], &grant[..]].concat();
    let refused = world.run(Some("both"), &arguments).must_be(Exit::Refused);
    assert!(refused.err.contains("not-oneself"), "{}", refused.err);
}

#[test]
fn an_admin_neither_takes_another_role_nor_makes_a_second_token_beside_somebodys_own() {
    let mut world = World::founded();
    world.person("adam", "admin", None);
    let file = world.path("other.token").display().to_string();
    for role in ["analyst", "steward", "auditor", "operator"] {
        let arguments = ["token", "create", "adam", "--role", role, "--file", &file];
        let refused = world.run(Some("adam"), &arguments).must_be(Exit::Refused);
        assert!(refused.err.contains("roles-not-carried"), "{}", refused.err);
    }
    let second = ["token", "create", "shen", "--file", &file];
    let refused = world.run(Some("adam"), &second).must_be(Exit::Failure);
    assert!(refused.err.contains("token-in-force"), "{}", refused.err);
    assert!(!Path::new(&file).exists());
    let tokens = world.run(Some("adam"), &["token", "list", "-o", "json"]).must_be(Exit::Done);
    let tokens: Value = serde_json::from_str(&tokens.out).unwrap();
    let tokens = tokens.as_array().unwrap();
    let first = tokens.iter().find(|token| token["person"] == "shen").unwrap()["id"].as_str().unwrap();
    world.run(Some("adam"), &["token", "revoke", first]).must_be(Exit::Done);
    world.run(Some("adam"), &second).must_be(Exit::Done);
}

#[test]
fn doctor_and_config_check_need_no_token_and_hide_secrets() {
    let mut world = World::sealed();
    let well = world.run(None, &["doctor"]).must_be(Exit::Done);
    assert!(well.out.contains("the audit log verifies"), "{}", well.out);
    let config = world.run(None, &["config", "check"]).must_be(Exit::Done);
    assert!(config.out.contains("contents hidden"), "{}", config.out);
    fs::remove_file(world.path("data.key")).unwrap();
    world.run(None, &["doctor"]).must_be(Exit::Failure);
}

#[test]
fn completions_and_help_are_data_and_wrong_usage_is_narration() {
    let mut world = World::new();
    assert!(world.run(None, &["completions", "bash"]).must_be(Exit::Done).out.contains("obscura"));
    assert!(world.run(None, &["query", "--help"]).must_be(Exit::Done).out.contains("Examples:"));
    let wrong = world.run(None, &["quarry"]).must_be(Exit::Usage);
    assert!(wrong.out.is_empty() && wrong.err.contains("query"), "{}", wrong.err);
    world.run(None, &["person", "add", "lin", "--as", "operator"]).must_be(Exit::Usage);
}

#[test]
fn messages_come_in_chinese_too() {
    let mut world = World::sealed();
    let refused = world.run(
        Some("lin"),
        &["--lang", "zh", "query", "-p", "official-statistics", "select name from hz_health.visits"],
    );
    assert!(refused.must_be(Exit::Refused).err.contains("查询未通过审查"));
    let nobody = world.run(None, &["--lang", "zh", "person", "list"]).must_be(Exit::Authentication);
    assert!(nobody.err.contains("未指定令牌文件"), "{}", nobody.err);
}

#[test]
fn demo_tells_its_story_and_leaves_a_city_that_verifies() {
    let mut world = World::new();
    let dir = world.path("city").display().to_string();
    let arguments = ["demo", "--once", "--residents", "300", "--dir", &dir];
    let told = world.run(None, &arguments).must_be(Exit::Done);
    assert!(told.err.contains("The log verifies") && told.out.contains("residents"), "{}", told.err);
    assert!(!told.err.contains("did not come out"), "{}", told.err);
    world.run(None, &arguments).must_be(Exit::Failure);
    let log = [&dir, "/copy-of-audit"].concat();
    let key = [&dir, "/data/audit.pub"].concat();
    world.run(None, &["audit", "verify", "--log", &log, "--key", &key]).must_be(Exit::Done);
}

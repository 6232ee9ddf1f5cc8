//! The audit log by command line: exported, its questions shredded, its keys reconciled, releases verified with it.

use sqlx::Connection as _;

use super::*;

fn newest_job(world: &mut World) -> String {
    let jobs = world.run(Some("lin"), &["job", "list", "--output", "json"]).must_be(Exit::Done);
    let jobs: Value = serde_json::from_str(&jobs.out).unwrap();
    jobs[0]["id"].as_str().unwrap().to_owned()
}

#[test]
fn release_record_proves_its_decision_with_the_log_s_public_key() {
    let mut world = World::sealed();
    world.query(COUNT).must_be(Exit::Done);
    let id = newest_job(&mut world);
    let record = world.run(Some("lin"), &["job", "result", &id, "--release"]).must_be(Exit::Done).out;
    let fields: Value = serde_json::from_str(record.lines().next().unwrap()).unwrap();
    assert_eq!(fields["suppression"], "in force");
    assert!(fields["controls"]["subjects_min"].is_number());
    assert!(fields["policy"].as_array().is_some_and(|policy| !policy.is_empty()));
    assert_eq!(fields["secrets"], serde_json::json!([]));
    assert_eq!(fields["datasets"][0]["version"], 1);
    assert_eq!(fields["datasets"][0]["manifest_sha256"].as_str().unwrap().len(), 64);
    assert_eq!(fields["software"]["engine"]["name"], "datafusion");
    let file = world.write("release.note", &record);
    let key = world.path("data/releases.pub").display().to_string();
    let audit_key = world.path("data/audit.pub").display().to_string();
    let verify = ["release", "verify", &file, "--key", &key];
    let both = [&verify[..], &["--audit-key", &audit_key]].concat();
    let proven = world.run(None, &both).must_be(Exit::Done);
    assert!(proven.err.contains("Its decision is entry"), "{}", proven.err);
    let summary: Vec<&str> = proven.err.lines().take(4).collect();
    assert!(summary[0].starts_with(&format!("{id}, asked by `lin` at ")), "{summary:?}");
    assert_eq!(summary[1], "  datasets (version): hz-health.visits (1)");
    assert_eq!(summary[2], "  columns: district, n");
    assert!(summary[3].starts_with("  every cell rests on at least "), "{summary:?}");
    assert_eq!(proven.out, record.split("\n\n").next().unwrap().to_owned() + "\n");
    let own = world.run(None, &["release", "verify", &file]).must_be(Exit::Done);
    assert!(own.err.contains("Its decision is entry"), "{}", own.err);
    let one = world.run(None, &verify).must_be(Exit::Done);
    assert!(one.err.contains("Not verified"), "{}", one.err);
    // The key of another log, or of something else altogether, proves nothing.
    let wrong = [&verify[..], &["--audit-key", &key]].concat();
    world.run(None, &wrong).must_be(Exit::VerificationFailed);
}

#[test]
fn exported_entries_are_ocsf_events_one_a_line_and_for_auditors_alone() {
    let mut world = World::sealed();
    let all = world.run(Some("gu"), &["audit", "export"]).must_be(Exit::Done);
    let lines: Vec<Value> = all.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.len() > 10 && lines.iter().all(|line| line["class_uid"] == 6005), "{}", all.out);
    let some = world.run(Some("gu"), &["audit", "export", "--from", "2", "--to", "5"]).must_be(Exit::Done);
    assert_eq!(some.out.lines().collect::<Vec<_>>(), all.out.lines().skip(2).take(3).collect::<Vec<_>>());
    let none = world.run(Some("gu"), &["audit", "export", "--from", "100000"]).must_be(Exit::Done);
    assert_eq!(none.out, "");
    world.run(Some("lin"), &["audit", "export"]).must_be(Exit::Refused);
    world.run(Some("lin"), &["audit", "export", "--from", "100000"]).must_be(Exit::Refused);
}

#[test]
fn shredded_question_opens_for_nobody_and_the_log_is_whole() {
    let mut world = World::sealed();
    let sql = format!("{COUNT} -- {}", "x".repeat(50_000));
    world.query("select name from hz_health.visits where name = 'CANARY-asked'").must_be(Exit::Refused);
    let refused = newest_job(&mut world);
    world.query(&sql).must_be(Exit::Done);
    let id = newest_job(&mut world);
    let release = world.run(Some("lin"), &["job", "result", &id, "--release"]).must_be(Exit::Done).out;
    let has_keys = |world: &World| {
        let mut bytes = Vec::new();
        collect(&world.path("data"), &mut bytes);
        contains(&bytes, b"owk1:_queries/")
    };
    assert!(has_keys(&world));
    let shred = ["audit", "shred", &id, "--reason", "a name stood in it"];
    for person in ["lin", "gu", "shen"] {
        world.run(Some(person), &shred).must_be(Exit::Refused);
    }
    world.run(Some("operator"), &["audit", "shred", &id, "--reason", " "]).must_be(Exit::Usage);
    world.run(Some("gu"), &["audit", "question", &id]).must_be(Exit::Done);
    world.run(Some("operator"), &shred).must_be(Exit::Done);
    world.run(Some("operator"), &["audit", "shred", &refused, "--reason", "a name"]).must_be(Exit::Done);
    world.run(Some("operator"), &shred).must_be(Exit::Done);
    assert!(!has_keys(&world), "no wrapped key of a question is left");
    for reader in ["lin", "gu"] {
        for job in [&id, &refused] {
            world.run(Some(reader), &["audit", "question", job]).must_be(Exit::Failure);
        }
    }
    assert!(!world.path(&format!("data/results/{id}.query")).exists());
    let again = world.run(Some("lin"), &["job", "result", &id, "--release"]).must_be(Exit::Done).out;
    assert_eq!(again, release, "what was released stays");
    let log = world.run(Some("gu"), &["audit", "export"]).must_be(Exit::Done).out;
    assert!(
        log.contains("question.read") && log.contains("question.shredded") && log.contains("a name stood")
    );
    world.run(None, &["audit", "verify"]).must_be(Exit::Done);
    // A key that an attacker put back is found.
    alter(&world.path("data/obscura.db"), "UPDATE job SET sql_key = 'back'");
    let found = world.run(None, &["audit", "verify"]).must_be(Exit::VerificationFailed);
    assert!(found.err.contains("text was destroyed"), "{}", found.err);
}

#[test]
fn keys_that_left_reconcile_with_decisions_and_a_spoilt_journal_is_found() {
    let mut world = World::sealed();
    world.query(COUNT).must_be(Exit::Done);
    let id = newest_job(&mut world);
    world.run(Some("lin"), &["job", "result", &id]).must_be(Exit::Done);
    world.run(Some("gu"), &["audit", "question", &id]).must_be(Exit::Done);
    world.query("select name from hz_health.visits").must_be(Exit::Refused);
    let journal = world.path("data/unwraps");
    let whole = fs::read_to_string(&journal).unwrap();
    let lines: Vec<&str> = whole.lines().collect();
    assert_eq!(lines.len(), 3, "a run, a result and a question: {whole}");
    assert!(
        lines[0].contains("district") && !lines[0].contains("\"name\""),
        "no key beyond the scan: {whole}"
    );
    world.run(None, &["audit", "verify"]).must_be(Exit::Done);
    let spoilt = [
        lines[1..].join("\n") + "\n",
        whole.replacen("\"keys\":1", "\"keys\":2", 1),
        whole.replacen("\"column\":\"district\"", "\"column\":\"name\"", 1),
        whole.replacen("query ", "result ", 1),
        format!("{whole}{{}}\n"),
        String::new(),
    ];
    for text in spoilt {
        assert_ne!(text, whole);
        fs::write(&journal, &text).unwrap();
        world.run(None, &["audit", "verify"]).must_be(Exit::VerificationFailed);
    }
    fs::write(&journal, &whole).unwrap();
    world.run(None, &["audit", "verify"]).must_be(Exit::Done);
}

#[test]
fn asker_proves_their_decision_and_learns_nothing_of_granted_keys() {
    let mut world = World::sealed();
    world.query(COUNT).must_be(Exit::Done);
    let log = world.run(Some("gu"), &["audit", "export"]).must_be(Exit::Done).out;
    let granted = log.lines().find(|line| line.contains("keys.granted")).unwrap();
    assert!(granted.contains("person_id") && granted.contains("district"), "{granted}");
    let id = newest_job(&mut world);
    let record = world.run(Some("lin"), &["job", "result", &id, "--release"]).must_be(Exit::Done).out;
    let evidence = world.run(Some("lin"), &["job", "evidence", &id]).must_be(Exit::Done).out;
    assert!(!record.contains("person_id") && !evidence.contains("keys.granted"));
}

#[test]
fn database_missing_from_one_s_own_folder_is_found_and_the_journal_is_compared_all_the_same() {
    let mut world = World::sealed();
    world.query(COUNT).must_be(Exit::Done);
    world.run(None, &["audit", "verify"]).must_be(Exit::Done);
    for name in ["obscura.db", "obscura.db-wal", "obscura.db-shm"] {
        let _absent = fs::remove_file(world.path("data").join(name));
    }
    let found = world.run(None, &["audit", "verify"]).must_be(Exit::VerificationFailed);
    assert!(found.err.contains("database is missing"), "{}", found.err);
    fs::write(world.path("data/unwraps"), "").unwrap();
    let found = world.run(None, &["audit", "verify"]).must_be(Exit::VerificationFailed);
    assert!(found.err.contains("the journal of keys lacks the line"), "{}", found.err);
    // A copy is verified without either.
    let (log, key) = (world.path("data/audit"), world.path("data/audit.pub"));
    let (log, key) = (log.display().to_string(), key.display().to_string());
    world.run(None, &["audit", "verify", "--log", &log, "--key", &key]).must_be(Exit::Done);
}

#[test]
fn question_whose_key_is_still_in_old_pages_is_not_said_to_be_destroyed() {
    let mut world = World::sealed();
    world.query(COUNT).must_be(Exit::Done);
    let id = newest_job(&mut world);
    let has_key = |world: &World| {
        let mut bytes = Vec::new();
        collect(&world.path("data"), &mut bytes);
        contains(&bytes, b"owk1:_queries/")
    };
    let database = world.path("data/obscura.db");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let reader = runtime.block_on(async {
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&database);
        let mut reader = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
        sqlx::query("BEGIN").execute(&mut reader).await.unwrap();
        sqlx::query("SELECT * FROM job").fetch_all(&mut reader).await.unwrap();
        reader
    });
    let shred = ["audit", "shred", &id, "--reason", "a name stood in it"];
    let held = world.run(Some("operator"), &shred).must_be(Exit::Failure);
    assert!(has_key(&world), "somebody still reads the page that it stands in");
    assert!(!held.err.contains("destroyed") && held.err.contains("not yet cleared"), "{}", held.err);
    world.run(Some("gu"), &["audit", "question", &id]).must_be(Exit::Failure);
    runtime.block_on(async { reader.close().await.unwrap() });
    let done = world.run(Some("operator"), &shred).must_be(Exit::Done);
    assert!(!has_key(&world) && done.err.contains("is destroyed"), "{}", done.err);
    world.run(None, &["audit", "verify"]).must_be(Exit::Done);
}

/// A line on an account behind the journal's last one, as an attacker who knows its form would write it.
fn forged_line(journal: &str, account: &str) -> String {
    let last = journal.lines().last().unwrap_or_default();
    let of_account = journal.lines().find(|line| line.contains(account)).unwrap();
    let mut line: Value = serde_json::from_str(of_account).unwrap();
    line["previous"] = obscura_crypto::sha256_hex(last.as_bytes()).into();
    format!("{journal}{line}\n")
}

#[test]
fn keys_that_left_more_often_than_the_log_says_are_found() {
    let mut world = World::sealed();
    let more = world.write("more.csv", &visits());
    world.run(Some("shen"), &["seal", "hz-health.visits", &more, "--append", "--yes"]).must_be(Exit::Done);
    world.query(COUNT).must_be(Exit::Done);
    let id = newest_job(&mut world);
    world.run(Some("lin"), &["job", "result", &id]).must_be(Exit::Done);
    world.run(Some("gu"), &["audit", "question", &id]).must_be(Exit::Done);
    world.run(None, &["audit", "verify"]).must_be(Exit::Done);
    let journal = world.path("data/unwraps");
    let whole = fs::read_to_string(&journal).unwrap();
    let accounts = [format!("query {id}"), format!("result {id}"), format!("question {id}")];
    for account in accounts.iter().map(String::as_str).chain(["append hz-health.visits"]) {
        fs::write(&journal, forged_line(&whole, account)).unwrap();
        let found = world.run(None, &["audit", "verify"]);
        assert_eq!(found.exit, Exit::VerificationFailed, "{account}: {}", found.err);
    }
}

#[test]
fn lines_cut_off_the_journal_are_found_when_another_run_has_finished_since() {
    let mut world = World::sealed();
    world.query(COUNT).must_be(Exit::Done);
    let id = newest_job(&mut world);
    let journal = world.path("data/unwraps");
    let before = fs::read(&journal).unwrap();
    let opened: [(&str, &[&str]); 2] =
        [("lin", &["job", "result", &id]), ("gu", &["audit", "question", &id])];
    for (reader, arguments) in opened {
        world.run(Some(reader), arguments).must_be(Exit::Done);
    }
    world.run(None, &["audit", "verify"]).must_be(Exit::Done);
    // Cut back, and continued from the earlier line by a run that is as it should be.
    fs::write(&journal, &before).unwrap();
    world.query(COUNT).must_be(Exit::Done);
    let found = world.run(None, &["audit", "verify"]).must_be(Exit::VerificationFailed);
    assert!(found.err.contains("journal of keys"), "{}", found.err);
}

#[test]
fn result_is_in_the_log_before_its_key_leaves() {
    let mut world = World::sealed();
    world.query(COUNT).must_be(Exit::Done);
    let id = newest_job(&mut world);
    let sealed = world.path(&format!("data/results/{id}.sealed"));
    let mut bytes = fs::read(&sealed).unwrap();
    bytes[0] ^= 1;
    fs::write(&sealed, bytes).unwrap();
    world.run(Some("lin"), &["job", "result", &id]).must_be(Exit::VerificationFailed);
    let journal = fs::read_to_string(world.path("data/unwraps")).unwrap();
    assert!(journal.contains(&format!("result {id}")), "its key had left: {journal}");
    let log = world.run(Some("gu"), &["audit", "export"]).must_be(Exit::Done).out;
    assert!(log.contains("result.downloaded"));
    // No key leaves for a result that is not there, and nothing was fetched.
    fs::remove_file(&sealed).unwrap();
    world.run(Some("lin"), &["job", "result", &id]).must_be(Exit::Failure);
    let log = world.run(Some("gu"), &["audit", "export"]).must_be(Exit::Done).out;
    assert_eq!(log.matches("result.downloaded").count(), 1);
}

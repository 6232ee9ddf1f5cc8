//! Access over HTTP: requests that become grants, policies with four eyes, tokens, and the catalogue.

use obscura_tests::environment;
use obscura_tests::fixture::Fixture;
use obscura_tests::server::COUNT;
use obscura_tests::server::Server;
use obscura_tests::world::PURPOSE;
use obscura_tests::world::World;
use serde_json::Value;
use serde_json::json;

fn wish() -> String {
    let datasets = json!([{ "dataset": "corpus.persons", "columns": ["dept", "person_id"] }]);
    json!({ "purpose": PURPOSE, "datasets": datasets, "until": "2099-12-31", "reason": "a yearbook" })
        .to_string()
}

#[test]
fn a_request_becomes_a_grant_and_a_revoked_grant_is_worth_nothing() {
    let server = Server::start();
    server.world.add_person("cleo", "analyst", "corpus").unwrap();
    assert_eq!(server.ask("cleo", COUNT).must_be(422).json()["code"], "query-refused");
    let asked = server.post(Some("cleo"), "/api/v1/requests", &wish(), &[]).must_be(201).json();
    assert_eq!((&asked["state"], &asked["department"]), (&json!("open"), &json!("corpus")));
    let path = format!("/api/v1/requests/{}", asked["id"].as_str().unwrap());
    let approve = json!({ "decision": "approve", "reason": "as agreed" }).to_string();
    for (person, status) in [(None, 401), (Some("cleo"), 403), (Some("ben"), 403), (Some("aldo"), 403)] {
        server.post(person, &format!("{path}/decision"), &approve, &[]).must_be(status);
    }
    server.get(Some("ben"), &path, &[]).must_be(404);
    let decided = server.post(Some("stella"), &format!("{path}/decision"), &approve, &[]).must_be(200).json();
    assert_eq!((&decided["state"], &decided["decided_by"]), (&json!("approved"), &json!("stella")));
    server.post(Some("sven"), &format!("{path}/decision"), &approve, &[]).must_be(409);
    assert_eq!(server.ask("cleo", COUNT).must_be(201).json()["state"], "released");
    let outside = "SELECT sex, COUNT(*) FROM persons GROUP BY sex";
    server.ask("cleo", outside).must_be(422);
    let grants = server.get(Some("cleo"), "/api/v1/grants", &[]).must_be(200).json();
    let grant = grants["grants"][0]["id"].as_str().unwrap().to_owned();
    let grant = format!("/api/v1/grants/{grant}");
    server.send("DELETE", &grant, Some("cleo"), &[], None).must_be(403);
    server.send("DELETE", &grant, Some("sven"), &[], None).must_be(204);
    server.ask("cleo", COUNT).must_be(422);
    server.send("DELETE", &grant, Some("sven"), &[], None).must_be(404);
    server.is_clean();
}

#[test]
fn a_request_can_be_declined_and_withdrawn_and_is_checked_when_it_is_made() {
    let server = Server::start();
    let ask = |wish: &str| server.post(Some("ana"), "/api/v1/requests", wish, &[]);
    let id = |answer: obscura_tests::server::Answer| answer.json()["id"].as_str().unwrap().to_owned();
    let first = id(ask(&wish()).must_be(201));
    let decline = json!({ "decision": "decline" }).to_string();
    let path = format!("/api/v1/requests/{first}/decision");
    assert_eq!(server.post(Some("sven"), &path, &decline, &[]).must_be(200).json()["state"], "declined");
    let second = id(ask(&wish()).must_be(201));
    let path = format!("/api/v1/requests/{second}");
    server.send("DELETE", &path, Some("ben"), &[], None).must_be(404);
    let withdrawn = server.send("DELETE", &path, Some("ana"), &[], None).must_be(200).json();
    assert_eq!(withdrawn["state"], "withdrawn");
    let list = server.get(Some("ana"), "/api/v1/requests", &[]).must_be(200).json();
    let states: Vec<&Value> = list["requests"].as_array().unwrap().iter().map(|one| &one["state"]).collect();
    assert_eq!(states, ["withdrawn", "declined"]);
    for (field, value) in [
        ("until", json!("2001-01-01")),
        ("until", json!("soon")),
        ("reason", json!("")),
        ("purpose", json!("no-such-purpose")),
        ("datasets", json!([])),
        ("datasets", json!([{ "dataset": "corpus.nothing" }])),
        ("datasets", json!([{ "dataset": "corpus.persons", "uses": ["read everything"] }])),
        ("datasets", json!([{ "dataset": "corpus.persons" }, { "dataset": "elsewhere.people" }])),
        ("more", json!(1)),
    ] {
        let mut changed: Value = serde_json::from_str(&wish()).unwrap();
        changed[field] = value;
        ask(&changed.to_string()).must_be(400);
    }
    server.is_clean();
}

pub(crate) fn policy(version: u32) -> String {
    let documents = environment::tests_folder().join("attacks").join("documents").join("corpus.yaml");
    let text = std::fs::read_to_string(documents).unwrap();
    let policy = text.split("\n---\n").find(|part| part.contains("id: corpus-statistics")).unwrap();
    policy.replace("version: 1", &format!("version: {version}"))
}

#[test]
fn a_policy_waits_for_a_second_person() {
    let server = Server::start();
    let listed = |person: &str| server.get(Some(person), "/api/v1/policies", &[]).must_be(200).json();
    let propose = |person: &str, text: &str| server.post(Some(person), "/api/v1/policies", text, &[]);
    let proposed = propose("stella", &policy(2)).must_be(201).json();
    assert_eq!(proposed["documents"][0]["state"], "proposed");
    propose("stella", &policy(2)).must_be(201);
    propose("sven", &policy(2)).must_be(409);
    propose("ana", &policy(2)).must_be(403);
    let wrong = propose("stella", &policy(3).replace("content:", "contents:")).must_be(400).json();
    assert_eq!(wrong["code"], "documents-refused");
    assert!(wrong["errors"][0]["line"].as_u64().is_some(), "{wrong}");
    assert!(listed("sven").to_string().contains("\"proposed\""));
    let path = "/api/v1/policies/corpus-statistics";
    let diff = server.get(Some("sven"), &format!("{path}/diff?from=1&to=2"), &[]).must_be(200).text();
    assert!(diff.contains("-  version: 1") && diff.contains("+  version: 2"), "{diff}");
    let wish = json!({ "version": 2 }).to_string();
    let own = server.post(Some("stella"), &format!("{path}/activate"), &wish, &[]).must_be(403).json();
    assert_eq!(own["code"], "not-oneself");
    server.post(Some("ana"), &format!("{path}/activate"), &wish, &[]).must_be(403);
    let active = server.post(Some("sven"), &format!("{path}/activate"), &wish, &[]).must_be(200).json();
    assert_eq!(active["state"], "published");
    server.post(Some("sven"), &format!("{path}/activate"), &wish, &[]).must_be(404);
    let versions = server.get(Some("aldo"), &format!("{path}/versions"), &[]).must_be(200).json();
    assert_eq!(versions["versions"][1]["proposed_by"], "stella");
    assert_eq!(versions["versions"][1]["published_by"], "sven");
    let verdict = server.ask("ana", COUNT).must_be(201).json()["verdict"].clone();
    assert!(verdict["policy"].to_string().contains("\"version\":2"), "{verdict}");
    propose("stella", &policy(3)).must_be(201);
    let wish = json!({ "version": 3 }).to_string();
    server.post(Some("sven"), &format!("{path}/withdraw"), &wish, &[]).must_be(204);
    server.post(Some("sven"), &format!("{path}/activate"), &wish, &[]).must_be(404);
    server.is_clean();
}

#[test]
fn another_departments_policies_and_hidden_datasets_are_nobody_elses() {
    let server = Server::start();
    let department = "api_version: obscura/v1\nkind: Department\nmetadata: {id: elsewhere, version: 1, title: {zh: 别处, en: Elsewhere}}\nlevel: department\nregion: \"330100\"\n";
    server.post(Some("olga"), "/api/v1/policies", department, &[]).must_be(201);
    server.world.add_person("emil", "steward", "elsewhere").unwrap();
    // A policy of the same name would put the other department's out of force.
    let taken = policy(2).replace("owner: corpus", "owner: elsewhere");
    let resources =
        taken.split("resources: {datasets: [").nth(1).unwrap().split(']').next().unwrap().to_owned();
    let taken = taken.replace(&format!("[{resources}]"), "[]");
    let refused = server.post(Some("emil"), "/api/v1/policies", &taken, &[]).must_be(400);
    assert!(refused.text().contains("owner-differs"), "{}", refused.text());
    // The faults of another document do not tell whether a hidden dataset has a document.
    let documents = environment::tests_folder().join("attacks").join("documents").join("corpus.yaml");
    let documents = std::fs::read_to_string(documents).unwrap();
    let hidden = documents.split("\n---\n").find(|part| part.contains("id: corpus.secrets")).unwrap();
    let hidden = hidden.replace("en: Data", "en: Other data");
    let without_name = |text: &str| {
        let mut problem = server.post(Some("emil"), "/api/v1/policies", text, &[]).must_be(403).json();
        problem.as_object_mut().unwrap().remove("request_id");
        problem
    };
    assert_eq!(without_name(&hidden), without_name(&hidden.replace("corpus.secrets", "corpus.nothing")));
    let listed = server.get(Some("emil"), "/api/v1/policies", &[]).must_be(200).text();
    assert!(listed.contains("corpus.persons") && !listed.contains("corpus.secrets"), "{listed}");
    server.get(Some("emil"), "/api/v1/policies/corpus-statistics/versions", &[]).must_be(404);
    server.get(Some("ana"), "/api/v1/policies", &[]).must_be(403);
    server.is_clean();
}

#[test]
fn labels_that_became_laxer_open_nothing_until_the_data_is_sealed_anew() {
    let server = Server::start();
    let documents = environment::tests_folder().join("attacks").join("documents").join("corpus.yaml");
    let documents = std::fs::read_to_string(documents).unwrap();
    let persons = documents.split("\n---\n").find(|part| part.contains("id: corpus.persons")).unwrap();
    let persons = persons.split("---\n").last().unwrap();
    let relabel = |version: u32, from: &str, to: &str| {
        let text = persons.replace("version: 1", &format!("version: {version}")).replace(from, to);
        assert_ne!(text, persons.replace("version: 1", &format!("version: {version}")), "{from}");
        server.post(Some("stella"), "/api/v1/policies", &text, &[]).must_be(201);
    };
    for (version, (from, to)) in (2..).zip([
        (
            "{name: name, type: text, role: identifier, grade: L3}",
            "{name: name, type: text, role: dimension, grade: L1}",
        ),
        ("role: sensitive, grade: L3", "role: sensitive, grade: L2"),
        ("bins: 20000", "bins: 1"),
        ("role: quasi_identifier, grade: L3}", "role: dimension, grade: L3}"),
        ("usual: 60000", "usual: 200000"),
        ("update: yearly", "update: yearly\nusual_rows: 20"),
        ("update: yearly", "update: never"),
    ]) {
        relabel(version, from, to);
        let refused = server.ask("ana", COUNT).must_be(422).json();
        assert_eq!(refused["verdict"]["findings"][0]["code"], "dataset-relabelled", "{from}");
        let more = server.world.root().join("more.csv");
        std::fs::write(&more, "person_id,dept,zip,age,sex,diag,salary,name,birth,hire\n").unwrap();
        let more = more.to_str().unwrap();
        let added = server.world.run("stella", &["seal", "corpus.persons", more, "--append"]).unwrap();
        assert!(added.stderr.contains("dataset-relabelled"), "{}", added.stderr);
    }
    // Stricter is as good as it was, and so is data that is updated more often.
    relabel(10, "update: yearly", "update: daily");
    server.ask("ana", COUNT).must_be(201);
    relabel(
        11,
        "{name: hire, type: date, role: dimension, grade: L2}",
        "{name: hire, type: date, role: dimension, grade: L3}",
    );
    server.ask("ana", COUNT).must_be(201);
    server.is_clean();
}

#[test]
fn who_asks_for_access_learns_of_no_hidden_dataset() {
    let server = Server::start();
    let ask = |dataset: &str, columns: Option<&str>| {
        let mut granted = json!({ "dataset": dataset });
        if let Some(column) = columns {
            granted["columns"] = json!([column]);
        }
        let wish = json!({ "purpose": PURPOSE, "datasets": [granted], "until": "2099-12-31", "reason": "x" });
        let mut problem =
            server.post(Some("ana"), "/api/v1/requests", &wish.to_string(), &[]).must_be(400).json();
        problem.as_object_mut().unwrap().remove("request_id");
        problem
    };
    let absent = ask("corpus.nothing", None);
    assert!(!absent.to_string().contains("secrets"), "{absent}");
    assert_eq!(absent, ask("corpus.secrets", None));
    assert_eq!(absent, ask("corpus.secrets", Some("hidden_column")));
    assert_eq!(absent, ask("corpus.secrets", Some("zzz")));
    server.is_clean();
}

#[test]
fn a_token_for_another_role_does_not_reach_what_was_asked() {
    let server = Server::start();
    let both = ["person", "add", "dora", "--role", "analyst", "--role", "steward", "--department", "corpus"];
    server.world.run("olga", &both).unwrap().done().unwrap();
    let file = server.world.root().join("dora.token");
    server
        .world
        .run("olga", &["token", "create", "dora", "--file", file.to_str().unwrap()])
        .unwrap()
        .done()
        .unwrap();
    let question = json!({ "sql": "SELECT salary FROM persons", "purpose": PURPOSE }).to_string();
    let key = [("idempotency-key", "of-dora")];
    let job = server.post(Some("dora"), "/api/v1/jobs", &question, &key).must_be(422).json()["job"].clone();
    let path = format!("/api/v1/jobs/{}", job.as_str().unwrap());
    let made = server.post(
        Some("dora"),
        "/api/v1/tokens",
        &json!({ "days": 1, "roles": ["steward"] }).to_string(),
        &[],
    );
    let token = made.must_be(201).json()["token"].as_str().unwrap().to_owned();
    server.get(Some("dora"), &path, &[]).must_be(200);
    for more in ["", "/explain", "/evidence", "/release", "/result", "/events"] {
        server.send_with("GET", &format!("{path}{more}"), Some(&token), &[], None).must_be(404);
    }
    // Nor by asking again what was asked.
    let again = server.send_with("POST", "/api/v1/jobs", Some(&token), &key, Some(&question)).must_be(403);
    assert_eq!(again.json()["code"], "role-missing");
    server.is_clean();
}

#[test]
fn tokens_carry_less_never_more_and_are_worth_nothing_once_revoked() {
    let server = Server::start();
    let make =
        |person: &str, wish: Value| server.post(Some(person), "/api/v1/tokens", &wish.to_string(), &[]);
    let mine = make("ana", json!({ "days": 7 })).must_be(201).json();
    let token = mine["token"].as_str().unwrap().to_owned();
    let me = |token: &str| server.send_with("GET", "/api/v1/me", Some(token), &[], None);
    assert_eq!(me(&token).must_be(200).json()["name"], "ana");
    make("ana", json!({ "days": 7, "person": "ben" })).must_be(403);
    make("ana", json!({ "days": 7, "roles": ["auditor"] })).must_be(403);
    make("ana", json!({ "days": 7, "roles": [] })).must_be(403);
    make("ana", json!({ "days": 0 })).must_be(400);
    make("ana", json!({ "days": 367 })).must_be(400);
    make("olga", json!({ "days": 7, "person": "nobody" })).must_be(404);
    let second = make("olga", json!({ "days": 7, "person": "ben" })).must_be(409).json();
    assert_eq!(second["code"], "token-in-force");
    let nina = ["person", "add", "nina", "--role", "auditor"];
    server.world.run("olga", &nina).unwrap().done().unwrap();
    let first = make("olga", json!({ "days": 7, "person": "nina" })).must_be(201).json();
    assert_eq!(me(first["token"].as_str().unwrap()).must_be(200).json()["name"], "nina");
    let events = server.get(Some("aldo"), "/api/v1/audit/events?from=0&limit=1000", &[]).must_be(200).json();
    let made = events["events"]
        .as_array()
        .unwrap()
        .iter()
        .find(|event| event["action"] == "token.created" && event["detail"]["person"] == "nina");
    assert_eq!(made.unwrap()["actor"], "olga", "who made it and for whom are in the log");
    let foreign = make("ben", json!({ "days": 7 })).must_be(201).json();
    let list = server.get(Some("ana"), "/api/v1/tokens", &[]).must_be(200);
    assert!(!list.text().contains(&token), "a token is shown once");
    let list = list.json();
    let mine = list["tokens"].as_array().unwrap().iter().find(|one| one["id"] == mine["id"]).unwrap().clone();
    assert!(mine["used"].is_string(), "{mine}");
    let path = |token: &Value| format!("/api/v1/tokens/{}", token["id"].as_str().unwrap());
    server.send("DELETE", &path(&foreign), Some("ana"), &[], None).must_be(404);
    server.send("DELETE", &path(&mine), Some("ana"), &[], None).must_be(204);
    assert_eq!(me(&token).must_be(401).json()["code"], "token-not-valid");
    server.is_clean();
}

#[test]
fn a_token_lives_no_longer_than_the_one_it_was_made_with_and_ends_with_it() {
    let server = Server::start();
    let make = |token: &str, days: u32| {
        let wish = json!({ "days": days }).to_string();
        server.send_with("POST", "/api/v1/tokens", Some(token), &[], Some(&wish)).must_be(201).json()
    };
    let text = |made: &Value| made["token"].as_str().unwrap().to_owned();
    let is_good =
        |made: &Value| server.send_with("GET", "/api/v1/me", Some(&text(made)), &[], None).status == 200;
    let child = make(&server.token("ana"), 1);
    let grandchild = make(&text(&child), 366);
    assert_eq!(grandchild["expires"], child["expires"]);
    let sibling = make(&server.token("ana"), 1);
    assert!(is_good(&grandchild) && is_good(&sibling));
    let path = format!("/api/v1/tokens/{}", child["id"].as_str().unwrap());
    server.send("DELETE", &path, Some("ana"), &[], None).must_be(204);
    assert!(!is_good(&child) && !is_good(&grandchild) && is_good(&sibling));
    let log = server.get(Some("aldo"), "/api/v1/audit/events?from=0&limit=1000", &[]).must_be(200).json();
    let about = |action: &str, key: &str, value: &Value| {
        let is_it = |event: &&Value| event["action"] == action && event["detail"][key] == *value;
        log["events"].as_array().unwrap().iter().filter(is_it).count()
    };
    assert_eq!(about("token.created", "made_with", &child["id"]), 1, "which token made it is in the log");
    assert_eq!(about("token.revoked", "revoked_with", &child["id"]), 1, "and what ended it");
    // A token that an admin makes for another person is theirs, and does not end with the admin's.
    let nina = ["person", "add", "nina", "--role", "auditor"];
    server.world.run("olga", &nina).unwrap().done().unwrap();
    let admins = make(&server.token("olga"), 1);
    let wish = json!({ "days": 7, "person": "nina" }).to_string();
    let made = server.send_with("POST", "/api/v1/tokens", Some(&text(&admins)), &[], Some(&wish));
    let made = made.must_be(201).json();
    assert_ne!(made["expires"], admins["expires"]);
    let path = format!("/api/v1/tokens/{}", admins["id"].as_str().unwrap());
    server.send("DELETE", &path, Some("olga"), &[], None).must_be(204);
    assert!(is_good(&made) && !is_good(&admins));
    server.is_clean();
}

#[test]
fn who_waits_for_a_job_while_their_token_is_revoked_is_told_nothing_of_it() {
    let world = World::with(&Fixture::load().unwrap()).unwrap();
    // Every job takes ten seconds, so that there is time to revoke a token meanwhile.
    std::fs::write(world.root().join("obscura.toml"), "completion_step_ms = 10000").unwrap();
    let server = &Server::over(world, &[]);
    let wish = json!({ "days": 1 }).to_string();
    let made = server.post(Some("ana"), "/api/v1/tokens", &wish, &[]).must_be(201).json();
    let token = made["token"].as_str().unwrap();
    let question = json!({ "sql": COUNT, "purpose": PURPOSE }).to_string();
    let own = || server.get(Some("ana"), "/api/v1/jobs", &[]).must_be(200).json()["jobs"][0]["id"].clone();
    let answers = std::thread::scope(|scope| {
        let posted = scope.spawn(|| {
            server.send_with("POST", "/api/v1/jobs", Some(token), &[("prefer", "wait=60")], Some(&question))
        });
        let job = std::iter::repeat_with(own).find_map(|id| Some(id.as_str()?.to_owned())).unwrap();
        let wait = format!("/api/v1/jobs/{job}?wait=60");
        let polled = scope.spawn(move || server.send_with("GET", &wait, Some(token), &[], None));
        for _ in 0..20 {
            server.get(Some("ana"), "/api/v1/me", &[]).must_be(200);
        }
        let path = format!("/api/v1/tokens/{}", made["id"].as_str().unwrap());
        server.send("DELETE", &path, Some("ana"), &[], None).must_be(204);
        [posted.join().unwrap(), polled.join().unwrap()]
    });
    for answer in answers {
        assert_eq!(answer.must_be(401).json()["code"], "token-not-valid");
    }
    server.is_clean();
}

#[test]
fn the_catalogue_shows_what_may_be_found_and_hides_the_rest() {
    let server = Server::start();
    let ids = |person: &str, query: &str| -> Vec<String> {
        let list = server.get(Some(person), &format!("/api/v1/datasets{query}"), &[]).must_be(200).json();
        let found = list["datasets"].as_array().unwrap().iter();
        found.map(|one| one["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(
        ids("ana", ""),
        [
            "corpus.firms",
            "corpus.holidays",
            "corpus.persons",
            "corpus.staff",
            "corpus.visits",
            "corpus.zones"
        ]
    );
    assert!(ids("stella", "").contains(&"corpus.secrets".to_owned()));
    assert_eq!(ids("ana", "?q=PEOPLE%20visits"), ["corpus.visits"]);
    assert_eq!(ids("ana", "?limit=1"), ["corpus.firms"]);
    assert_eq!(ids("ana", "?limit=1&cursor=corpus.holidays"), ["corpus.persons"]);
    let same = |path: &str| {
        let mut problem = server.get(Some("ana"), path, &[]).must_be(404).json();
        problem.as_object_mut().unwrap().remove("request_id");
        problem
    };
    let hidden = same("/api/v1/datasets/corpus.secrets");
    assert_eq!(hidden, same("/api/v1/datasets/corpus.nothing"));
    assert_eq!(hidden, same("/api/v1/datasets/%00"));
    let shown = server.get(Some("ana"), "/api/v1/datasets/corpus.persons", &[]).must_be(200).json();
    assert_eq!(shown["rows"], Value::Null, "how many rows there are is the steward's to know");
    assert!(shown["columns"].as_array().unwrap().iter().any(|column| column["name"] == "dept"));
    let collections = server.get(Some("ana"), "/api/v1/collections", &[]).must_be(200).json();
    assert_eq!(collections["collections"][0]["id"], "people");
    let departments = server.get(Some("ana"), "/api/v1/departments", &[]).must_be(200).json();
    assert!(departments.to_string().contains("corpus"));
    server.is_clean();
}

#[test]
fn open_requests_are_few_and_small_and_a_list_of_them_comes_in_parts() {
    let server = Server::start();
    let ask = |person: &str, wish: &str| server.post(Some(person), "/api/v1/requests", wish, &[]);
    let refused = |field: &str, value: Value| {
        let mut wish: Value = serde_json::from_str(&wish()).unwrap();
        wish["datasets"][0][field] = value;
        ask("ana", &wish.to_string()).must_be(400).json()["code"].clone()
    };
    assert_eq!(refused("row_filter", json!("x".repeat(2049))), "row-filter-too-long");
    let mut many: Value = serde_json::from_str(&wish()).unwrap();
    many["datasets"] = json!(vec![many["datasets"][0].clone(); 33]);
    assert_eq!(ask("ana", &many.to_string()).must_be(400).json()["code"], "too-many-datasets");
    let asked: Vec<String> =
        (0..16).map(|_| ask("ana", &wish()).must_be(201).json()["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ask("ana", &wish()).must_be(409).json()["code"], "too-many-open-requests");
    ask("ben", &wish()).must_be(201);
    server.send("DELETE", &format!("/api/v1/requests/{}", asked[3]), Some("ana"), &[], None).must_be(200);
    ask("ana", &wish()).must_be(201);
    let walk = |person: &str, limit: u32| {
        let (mut ids, mut cursor) = (Vec::new(), String::new());
        loop {
            let path = format!("/api/v1/requests?limit={limit}{cursor}");
            let page = server.get(Some(person), &path, &[]).must_be(200).json();
            let found = page["requests"].as_array().unwrap();
            assert!(found.len() <= limit as usize);
            ids.extend(found.iter().map(|one| one["id"].as_str().unwrap().to_owned()));
            let Some(next) = page["next"].as_str() else { return ids };
            cursor = format!("&cursor={next}");
        }
    };
    let own = walk("ana", 5);
    assert_eq!((own.len(), own.contains(&asked[3])), (17, true));
    assert!(own.is_sorted_by(|a, b| a > b), "newest first, each once");
    assert_eq!(walk("ana", 200), own);
    let seen = walk("sven", 4);
    assert_eq!(seen.len(), 18);
    assert_eq!(walk("aldo", 7), seen);
    for query in ["limit=0", "limit=201", "cursor=job_1", "more=1"] {
        server.get(Some("ana"), &format!("/api/v1/requests?{query}"), &[]).must_be(400);
    }
    server.get(Some("ana"), "/api/v1/requests/access_1", &[]).must_be(404);
    server.is_clean();
}

#[test]
fn a_policy_has_no_more_tests_than_somebody_reads() {
    let server = Server::start();
    let text = policy(2);
    let (before, tests) = text.split_once("\ntests:\n").unwrap();
    let one = tests.split("\n  - name").next().unwrap();
    let with = |count: usize| format!("{before}\ntests:\n{}", format!("{one}\n").repeat(count));
    for path in ["/api/v1/policies/check", "/api/v1/policies"] {
        let problem = server.post(Some("stella"), path, &with(101), &[]).must_be(400).json();
        assert_eq!(problem["errors"][0]["code"], "too-many-tests", "{problem}");
    }
    server.post(Some("stella"), "/api/v1/policies", &with(100), &[]).must_be(201);
    server.is_clean();
}

//! Answers to an analyst before they ask: datasets by purpose, search, purposes, their own account; and the auditor's search
//! of the log.

use std::io::BufRead as _;
use std::io::BufReader;
use std::process::Stdio;

use obscura_tests::environment;
use obscura_tests::fixture::Fixture;
use obscura_tests::server::COUNT;
use obscura_tests::server::Server;
use obscura_tests::world::OPERATOR;
use obscura_tests::world::PURPOSE;
use obscura_tests::world::World;
use serde_json::Value;
use serde_json::json;

fn column<'a>(allows: &'a Value, name: &str) -> &'a Value {
    let columns = allows["columns"].as_array().unwrap();
    columns.iter().find(|column| column["name"] == name).unwrap_or_else(|| panic!("{name}: {allows}"))
}

fn names(list: &Value, field: &str) -> Vec<String> {
    list.as_array().unwrap().iter().map(|one| one[field].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_dataset_is_shown_by_purpose_and_the_guard_keeps_to_it() {
    let server = Server::start();
    let show = |person: &str, dataset: &str| {
        server.get(Some(person), &format!("/api/v1/datasets/{dataset}"), &[]).must_be(200).json()
    };
    let persons = show("ana", "corpus.persons");
    let [terms] = persons["terms"].as_array().unwrap().as_slice() else { panic!("{persons}") };
    assert_eq!((&terms["purpose"], &terms["grant"]), (&json!(PURPOSE), &json!("ana-statistics")));
    assert_eq!((&terms["until"], &terms["refusal"]), (&json!("2099-12-31"), &Value::Null));
    let allows = &terms["allows"];
    assert_eq!(allows["release"], "aggregates");
    assert_eq!(allows["functions"], json!(["count", "count_distinct", "sum", "avg"]));
    let age = column(allows, "age");
    assert_eq!((&age["mask"]["name"], &age["edges"]["step"]), (&json!("bin"), &json!("10")));
    assert_eq!(age["mask"]["text"], json!({ "en": "in steps of 10", "zh": "每 10 一档" }));
    let salary = column(allows, "salary");
    let edges = &salary["edges"];
    assert_eq!(
        (&edges["from"], &edges["step"], &edges["to"]),
        (&json!("0"), &json!("20000"), &json!("200000"))
    );
    assert_eq!(salary["range"], json!({ "low": "0", "high": "200000" }));
    assert_eq!(column(allows, "dept")["edges"], Value::Null, "any value may be compared with");
    let columns = names(&allows["columns"], "name");
    assert!(!columns.contains(&"name".to_owned()), "what may not be used is not among them: {columns:?}");
    assert!(names(&persons["columns"], "name").contains(&"name".to_owned()));
    let joins: Vec<Value> = allows["joins"].as_array().unwrap().clone();
    assert_eq!(
        joins,
        [
            json!({ "dataset": "corpus.staff", "unit": "resident" }),
            json!({ "dataset": "corpus.visits", "unit": "resident" })
        ]
    );
    assert_eq!(allows["rows_per_subject_max"], 20);
    let strictest = &allows["controls"].as_array().unwrap().last().unwrap().clone();
    assert_eq!((&strictest["grade"], &strictest["available"]), (&json!("L3"), &json!(true)));
    assert_eq!(strictest["subjects"], json!([{ "unit": "resident", "min": 10 }]));
    // The number of rows is told as a power of two.
    let rows = persons["rows_max"].as_u64().unwrap();
    let exact = show("stella", "corpus.persons")["rows"].as_u64().unwrap();
    assert!(rows.is_power_of_two() && rows >= exact && rows < 2 * exact, "{rows} for {exact}");
    let admitted = |condition: &str| {
        let sql = format!("SELECT COUNT(*) FROM persons WHERE {condition}");
        let body = json!({ "sql": sql, "purpose": PURPOSE }).to_string();
        let verdict = server.post(Some("ana"), "/api/v1/queries/check", &body, &[]).must_be(200).json();
        verdict["decision"] == "admitted"
    };
    assert!(admitted("age >= 30") && !admitted("age >= 35"));
    assert!(admitted("salary >= 20000") && !admitted("salary >= 30000"));
    server.is_clean();
}

#[test]
fn whoever_has_no_grant_is_told_no_terms_and_no_rows() {
    let server = Server::start();
    server.world.add_person("cleo", "analyst", "corpus").unwrap();
    let show = |person: Option<&str>, dataset: &str| {
        server.get(person, &format!("/api/v1/datasets/{dataset}"), &[]).must_be(200).json()
    };
    let bare = show(Some("cleo"), "corpus.persons");
    assert_eq!((&bare["terms"], &bare["rows_max"], &bare["rows"]), (&json!([]), &Value::Null, &Value::Null));
    assert_eq!(show(Some("stella"), "corpus.persons")["terms"], json!([]), "a steward asks nothing");
    let open = show(None, "corpus.holidays");
    assert_eq!(open["terms"], json!([]));
    assert!(open["rows_max"].as_u64().unwrap().is_power_of_two());
    let ana = show(Some("ana"), "corpus.holidays");
    let allows = &ana["terms"][0]["allows"];
    assert_eq!((&allows["release"], &allows["controls"]), (&json!("rows_open"), &json!([])));
    // A grant that no policy answers says so, instead of showing what cannot be asked.
    let wish = json!({
        "person": "cleo", "purpose": "tax-analysis", "until": "2099-12-31",
        "datasets": [{ "dataset": "corpus.persons" }],
    });
    server.post(Some("stella"), "/api/v1/grants", &wish.to_string(), &[]).must_be(201);
    let refused = show(Some("cleo"), "corpus.persons");
    let terms = &refused["terms"][0];
    assert_eq!((&terms["refusal"]["code"], &terms["allows"]), (&json!("no-policy"), &Value::Null));
    assert_eq!(refused["rows_max"], Value::Null);
    // A narrower grant shows what it leaves: no partner, no other column.
    let wish = json!({
        "person": "cleo", "purpose": PURPOSE, "until": "2099-12-31",
        "datasets": [{ "dataset": "corpus.persons", "columns": ["dept", "person_id"], "row_filter": "dept = 'tax'" }],
    });
    server.post(Some("stella"), "/api/v1/grants", &wish.to_string(), &[]).must_be(201);
    let narrow = show(Some("cleo"), "corpus.persons");
    let allows = &narrow["terms"]
        .as_array()
        .unwrap()
        .iter()
        .find(|terms| terms["purpose"] == PURPOSE)
        .unwrap()["allows"];
    assert_eq!(names(&allows["columns"], "name"), ["person_id", "dept"]);
    assert_eq!((&allows["joins"], &allows["filtered"]), (&json!([]), &json!(true)));
    server.is_clean();
}

#[test]
fn the_time_that_data_is_about_is_told_as_its_department_states_it() {
    let server = Server::start();
    let documents = environment::tests_folder().join("attacks").join("documents").join("corpus.yaml");
    let text = std::fs::read_to_string(documents).unwrap();
    let zones = text.split("\n---\n").find(|part| part.contains("id: corpus.zones")).unwrap();
    let zones = |months: &str| {
        zones
            .replace("version: 1", "version: 2")
            .replace("update: yearly", &format!("update: yearly\ncovers: {months}"))
    };
    let publish = |text: &str| server.post(Some("stella"), "/api/v1/policies", text, &[]);
    let reversed = publish(&zones("{from: 2025-02, until: 2025-01}")).must_be(400).json();
    assert_eq!(reversed["errors"][0]["code"], "months-reversed");
    assert_eq!(reversed["errors"][0]["message"], "the last month is before the first");
    let text = zones("{from: 2025-02, until: 2025-01}");
    let header = [("accept-language", "zh")];
    let chinese = server.post(Some("stella"), "/api/v1/policies/check", &text, &header).must_be(400).json();
    assert_eq!(chinese["errors"][0]["message"], "末月早于首月");
    assert_eq!(chinese["errors"][0]["help"], "可用：{from: 2025-01, until: 2025-12}");
    publish(&zones("{from: 2024-11, until: 2025-01}")).must_be(201);
    let shown = server.get(Some("ana"), "/api/v1/datasets/corpus.zones", &[]).must_be(200).json();
    assert_eq!(shown["covers"], json!({ "from": "2024-11", "until": "2025-01" }));
    let catalog = server.get(None, "/api/v1/catalog", &[]).must_be(200).json();
    let mut open = catalog["dcat:dataset"].as_array().unwrap().iter();
    let zones = open.find(|one| one["dct:identifier"] == "corpus.zones").unwrap();
    let ends = &zones["dct:temporal"]["dcat:endDate"];
    assert_eq!(ends, &json!({ "@value": "2025-01", "@type": "xsd:gYearMonth" }));
    let persons = server.get(Some("ana"), "/api/v1/datasets/corpus.persons", &[]).must_be(200).json();
    assert_eq!(persons["covers"], Value::Null);
    server.is_clean();
}

#[test]
fn a_search_finds_columns_and_no_hidden_dataset() {
    let server = Server::start();
    let found = |person: &str, words: &str| {
        let list = server.get(Some(person), &format!("/api/v1/datasets?q={words}"), &[]).must_be(200).json();
        names(&list["datasets"], "id")
    };
    assert_eq!(found("ana", "SALARY"), ["corpus.persons"]);
    assert_eq!(found("ana", "zip"), ["corpus.persons", "corpus.zones"]);
    assert_eq!(found("ana", "%E5%B0%B1%E4%B8%9A"), ["corpus.staff"], "titles are found in either language");
    assert_eq!(found("ana", "zip%20salary"), ["corpus.persons"], "every word is found");
    assert_eq!(found("ana", "hidden_column"), Vec::<String>::new());
    assert_eq!(found("stella", "hidden_column"), ["corpus.secrets"]);
    server.is_clean();
}

#[test]
fn purposes_of_this_installation_are_told_to_whoever_may_know_of_them() {
    let server = Server::start();
    let purpose = "api_version: obscura/v1\nkind: Purpose\nmetadata: {id: secret-study, version: 1, title: {en: Study, zh: 研究}}\ndescription: {en: A study, zh: 一项研究}\nlegal_basis: [{law: PIPL, article: \"13\"}]\n";
    let file = server.world.root().join("purpose.yaml");
    std::fs::write(&file, purpose).unwrap();
    server.world.publish(OPERATOR, &file).unwrap();
    let list = |person: &str| {
        server.get(Some(person), "/api/v1/purposes", &[]).must_be(200).json()["purposes"].clone()
    };
    let knows = |person: &str| names(&list(person), "id").contains(&"secret-study".to_owned());
    assert_eq!(["stella", "aldo", "ana", "ben"].map(knows), [true, true, false, false]);
    let own = list("ana");
    let statistics = own.as_array().unwrap().iter().find(|one| one["id"] == PURPOSE).unwrap().clone();
    assert!(statistics["datasets"].as_array().unwrap().contains(&json!("corpus.persons")), "{statistics}");
    assert!(names(&own, "id").contains(&"tax-analysis".to_owned()), "those of the program may be asked for");
    let wish = json!({
        "person": "ben", "purpose": "secret-study", "until": "2099-12-31",
        "datasets": [{ "dataset": "corpus.secrets" }],
    });
    server.post(Some("stella"), "/api/v1/grants", &wish.to_string(), &[]).must_be(201);
    assert_eq!(["ana", "ben"].map(knows), [false, true]);
    server.is_clean();
}

#[test]
fn one_is_told_who_one_is_and_which_grants_hold() {
    let server = Server::start();
    let me = |person: &str| server.get(Some(person), "/api/v1/me", &[]).must_be(200).json();
    let ana = me("ana");
    assert_eq!(
        (&ana["name"], &ana["roles"], &ana["department"]),
        (&json!("ana"), &json!(["analyst"]), &json!("corpus"))
    );
    assert_eq!(ana["identity"]["source"], "access_token");
    assert!(ana["identity"]["token"].as_str().unwrap().starts_with("token_"), "{ana}");
    assert!(ana["identity"]["expires"].is_string(), "{ana}");
    assert_eq!(names(&ana["grants"], "id"), ["ana-statistics"]);
    // Grants that one gave, or may see, are not one's own.
    assert_eq!(["stella", "aldo"].map(|person| me(person)["grants"].clone()), [json!([]), json!([])]);
    server.is_clean();
}

#[test]
fn an_auditor_finds_events_by_what_they_are_about() {
    let server = Server::start();
    server.ask("ana", COUNT).must_be(201);
    server.ask("ana", "SELECT dept, salary FROM persons").must_be(422);
    server.ask("ben", "SELECT COUNT(*) FROM visits").must_be(201);
    let found = |query: &str| -> Vec<(String, String)> {
        let path = format!("/api/v1/audit/events?limit=1000&{query}");
        let list = server.get(Some("aldo"), &path, &[]).must_be(200).json();
        let events = list["events"].as_array().unwrap().iter();
        events
            .map(|event| {
                (event["actor"].as_str().unwrap().to_owned(), event["action"].as_str().unwrap().to_owned())
            })
            .collect()
    };
    let of = |actor: &str, action: &str| (actor.to_owned(), action.to_owned());
    assert_eq!(found("decision=refused"), [of("ana", "query.decided")]);
    assert_eq!(found("decision=admitted&person=ben"), [of("ben", "query.decided")]);
    let visits = found("dataset=corpus.visits");
    for event in [of("stella", "dataset.sealed"), of("stella", "grant.created"), of("ben", "result.released")]
    {
        assert!(visits.contains(&event), "{event:?} in {visits:?}");
    }
    assert!(visits.iter().all(|(actor, _)| actor != "ana"), "{visits:?}");
    assert!(found("purpose=official-statistics&person=ana").contains(&of("ana", "result.released")));
    assert_eq!(found("purpose=tax-analysis"), []);
    assert_eq!(found("since=2099-01-01"), []);
    assert!(!found("since=2000-01-01T00:00:00Z").is_empty());
    // Where one came from stands in the log, and in OCSF's own field of it.
    let list = server.get(Some("aldo"), "/api/v1/audit/events?decision=refused", &[]).must_be(200).json();
    let event = &list["events"][0];
    assert_eq!((&event["address"], &event["datasets"]), (&json!("127.0.0.1"), &json!(["corpus.persons"])));
    let (at, next) = (event["index"].as_u64().unwrap(), list["looked_to"].as_u64().unwrap());
    let line = server.get(Some("aldo"), &format!("/api/v1/audit/export?from={at}&limit=1"), &[]).must_be(200);
    let entry: Value = serde_json::from_str(&line.text()).unwrap();
    assert_eq!(entry["src_endpoint"], json!({ "name": "http", "ip": "127.0.0.1" }));
    assert_eq!(entry["table"], json!({ "name": "corpus.persons", "uid": "corpus.persons" }));
    assert_eq!(entry["observables"][0]["value"], "corpus.persons");
    // What comes later is found from where this search ended.
    server.ask("ana", "SELECT name FROM persons").must_be(422);
    assert_eq!(found(&format!("from={next}&decision=refused")).len(), 1);
    assert_eq!(found(&format!("before={at}&decision=refused")), []);
    for wrong in ["decision=maybe", "person=A%20B", "dataset=x", "since=yesterday", "from=1&before=2"] {
        let refused = server.get(Some("aldo"), &format!("/api/v1/audit/events?{wrong}"), &[]).must_be(400);
        assert_eq!(refused.json()["code"], "request-malformed", "{wrong}");
    }
    server.get(Some("ana"), "/api/v1/audit/events?person=ana", &[]).must_be(403);
    server.is_clean();
}

#[test]
fn whoever_follows_the_log_reads_each_event_when_it_is_appended() {
    let world = World::with(&Fixture::load().unwrap()).unwrap();
    let mut command = world.command(Some("aldo")).unwrap();
    command.args(["audit", "log", "--follow", "--limit", "1", "--output", "json"]).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || -> Value { serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap() };
    // Earlier entries are read first: that of the command's own login.
    let first = next();
    assert_eq!((&first["actor"], &first["action"]), (&json!("aldo"), &json!("login.succeeded")));
    world.query("ana", "SELECT name FROM persons").unwrap();
    let mut before = first["index"].as_u64().unwrap();
    let decided = loop {
        let event = next();
        let index = event["index"].as_u64().unwrap();
        assert_eq!(index, before + 1, "none is left out and none is read twice");
        before = index;
        if event["action"] == "query.decided" {
            break event;
        }
    };
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!((&decided["actor"], &decided["datasets"]), (&json!("ana"), &json!(["corpus.persons"])));
}

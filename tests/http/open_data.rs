//! Open data without an account: strangers find and download it, and cannot tell anything else apart from nothing.

use std::io::Cursor;

use arrow::array::Array;
use arrow::array::Int64Array;
use arrow::array::RecordBatch;
use arrow::array::StringArray;
use arrow::compute::cast;
use arrow::datatypes::DataType;
use bytes::Bytes;
use obscura_crypto::sha256_hex;
use obscura_tests::environment;
use obscura_tests::fixture::Fixture;
use obscura_tests::server::Answer;
use obscura_tests::server::Server;
use obscura_tests::world::PURPOSE;
use obscura_tests::world::World;
use serde_json::Value;
use serde_json::json;

const DOWNLOAD: &str = "/api/v1/datasets/corpus.holidays/download";

/// A document of the corpora, with some of its text replaced.
fn document(id: &str, changes: &[(&str, &str)]) -> String {
    let file = environment::tests_folder().join("attacks").join("documents").join("corpus.yaml");
    let text = std::fs::read_to_string(file).unwrap();
    let found = text.split("\n---\n").find(|part| part.contains(&format!("id: {id},"))).unwrap();
    let mut document = found.to_owned();
    for (from, to) in changes {
        assert!(document.contains(from), "{from} is not in {document}");
        document = document.replace(from, to);
    }
    document
}

fn publish(server: &Server, document: &str) {
    server.post(Some("stella"), "/api/v1/policies", document, &[]).must_be(201);
}

/// Puts a document in force as two stewards do.
fn enact(server: &Server, id: &str, version: u32, document: &str) {
    publish(server, document);
    let path = format!("/api/v1/policies/{id}/activate");
    server.post(Some("sven"), &path, &json!({ "version": version }).to_string(), &[]).must_be(200);
}

/// An answer without what differs between any two requests.
fn plain(answer: &Answer) -> (u16, Vec<(String, String)>, Value) {
    let mut body = answer.json();
    body.as_object_mut().unwrap().remove("request_id");
    let differs = ["x-request-id", "date"];
    let headers = answer.headers.iter().filter(|(name, _)| !differs.contains(&name.as_str()));
    (answer.status, headers.cloned().collect(), body)
}

/// The rows that were sealed, as text.
fn sealed_rows() -> Vec<Vec<String>> {
    let file = environment::tests_folder().join("attacks").join("data").join("holidays.csv");
    rows_of_csv(&std::fs::read(file).unwrap())
}

fn rows_of_csv(bytes: &[u8]) -> Vec<Vec<String>> {
    let mut rows: Vec<Vec<String>> = csv::Reader::from_reader(bytes)
        .records()
        .map(|row| row.unwrap().iter().map(str::to_owned).collect())
        .collect();
    rows.sort();
    rows
}

fn rows_of_batches(batches: &[RecordBatch]) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for batch in batches {
        let number = |column: usize| cast(batch.column(column), &DataType::Int64).unwrap();
        let (first, last) = (number(0), number(1));
        let first = first.as_any().downcast_ref::<Int64Array>().unwrap();
        let last = last.as_any().downcast_ref::<Int64Array>().unwrap();
        let name = cast(batch.column(2), &DataType::Utf8).unwrap();
        let name = name.as_any().downcast_ref::<StringArray>().unwrap();
        for row in 0..batch.num_rows() {
            rows.push(vec![
                first.value(row).to_string(),
                last.value(row).to_string(),
                name.value(row).to_owned(),
            ]);
        }
    }
    rows.sort();
    rows
}

fn log(server: &Server) -> Vec<Value> {
    let page = server.get(Some("aldo"), "/api/v1/audit/events?from=0&limit=1000", &[]).must_be(200).json();
    page["events"].as_array().unwrap().clone()
}

fn ids(answer: &Answer) -> Vec<String> {
    let body = answer.json();
    let all = body["datasets"].as_array().unwrap().iter();
    all.map(|dataset| dataset["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn strangers_find_open_datasets_and_nothing_of_any_other() {
    let server = Server::start();
    let department = "api_version: obscura/v1\nkind: Department\nmetadata: {id: elsewhere, version: 1, title: {zh: 别处, en: Elsewhere}}\nlevel: department\nregion: \"330100\"\n";
    server.post(Some("olga"), "/api/v1/policies", department, &[]).must_be(201);
    let list = server.get(None, "/api/v1/datasets", &[]).must_be(200);
    assert_eq!(ids(&list), ["corpus.holidays", "corpus.zones"]);
    let found = &list.json()["datasets"][0];
    assert_eq!(
        (&found["open"], &found["rows"], &found["purposes"]),
        (&json!(true), &json!(null), &json!([]))
    );
    assert_eq!(ids(&server.get(None, "/api/v1/datasets?q=people", &[]).must_be(200)), ["corpus.holidays"]);
    assert!(ids(&server.get(None, "/api/v1/datasets?q=visits", &[]).must_be(200)).is_empty());
    let collections = server.get(None, "/api/v1/collections", &[]).must_be(200).json();
    assert_eq!(collections, json!({ "collections": [{ "id": "people", "datasets": ["corpus.holidays"] }] }));
    let departments = |person| {
        let answer = server.get(person, "/api/v1/departments", &[]).must_be(200).json();
        answer["departments"].as_array().unwrap().iter().map(|one| one["id"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(departments(None), ["corpus"]);
    assert_eq!(departments(Some("ana")), ["corpus", "elsewhere"]);
    let detail = server.get(None, "/api/v1/datasets/corpus.holidays", &[]).must_be(200).json();
    assert_eq!(detail["columns"].as_array().unwrap().len(), 3);
    assert_eq!(detail["terms"], json!([]));
    for path in ["/api/v1/datasets", "/api/v1/collections", "/api/v1/departments", "/api/v1/catalog"] {
        let text = server.get(None, path, &[]).must_be(200).text();
        for hidden in ["persons", "visits", "secrets", "elsewhere", "Elsewhere", "别处"] {
            assert!(!text.contains(hidden), "{path} tells of {hidden}");
        }
    }
    // People with an account see what they saw, and which of it is open.
    let list = server.get(Some("ana"), "/api/v1/datasets", &[]).must_be(200);
    assert_eq!(
        ids(&list),
        [
            "corpus.firms",
            "corpus.holidays",
            "corpus.persons",
            "corpus.staff",
            "corpus.visits",
            "corpus.zones"
        ]
    );
    let open: Vec<Value> =
        list.json()["datasets"].as_array().unwrap().iter().map(|one| one["open"].clone()).collect();
    assert_eq!(open, [false, true, false, false, false, true]);
    // A token that is none opens nothing, not even what is open to strangers.
    for path in ["/api/v1/datasets", "/api/v1/catalog", DOWNLOAD] {
        server.send_with("GET", path, Some("obscura1.x.y"), &[], None).must_be(401);
    }
    server.is_clean();
}

#[test]
fn to_strangers_a_hidden_dataset_is_none_at_all() {
    let server = Server::start();
    let nothing = server.get(None, "/api/v1/datasets/corpus.nothing", &[]).must_be(404);
    assert_eq!(nothing.json()["code"], "dataset-not-found");
    for name in [
        "corpus.persons",
        "corpus.visits",
        "corpus.secrets",
        "corpus.Holidays",
        "CORPUS.holidays",
        "corpus.holidays.",
        "corpus.holidays%00",
        "corpus.holidays%20",
        "%20corpus.holidays",
        "corpus.holidays%2f..%2fcorpus.persons",
        "corpus_holidays",
        "holidays",
        "corpus.holidays@1",
        "corpus.holidays%20h%20JOIN%20corpus.persons",
        "%22corpus%22.%22holidays%22",
        "corpus.holidays;",
        "corpus%252Eholidays",
        "科.假日",
    ] {
        let encoded = name.replace('科', "%E7%A7%91").replace("假日", "%E5%81%87%E6%97%A5");
        for path in [
            format!("/api/v1/datasets/{encoded}"),
            format!("/api/v1/datasets/{encoded}/download"),
            format!("/api/v1/datasets/{encoded}/download?format=csv"),
        ] {
            let answer = server.get(None, &path, &[("if-none-match", "*")]);
            assert_eq!(plain(&answer), plain(&nothing), "{path}");
        }
    }
    // Another spelling of the same address is the same dataset.
    server.get(None, "/api/v1/datasets/corpus%2Eholidays", &[]).must_be(200);
    // No caller asks in SQL without an account, not even about open data.
    let body = json!({ "sql": "SELECT * FROM holidays", "purpose": "open-data" }).to_string();
    for path in ["/api/v1/jobs", "/api/v1/queries/check"] {
        server.post(None, path, &body, &[]).must_be(401);
        let answer = server.post(Some("ana"), path, &body, &[]);
        assert!(answer.status == 422 || answer.json()["decision"] == "refused", "{}", answer.text());
    }
    server.is_clean();
}

#[test]
fn a_download_is_the_sealed_rows_in_every_form_and_one_release() {
    let server = Server::start();
    let form = |form: &str| server.get(None, &format!("{DOWNLOAD}?format={form}"), &[]).must_be(200);
    let csv = form("csv");
    assert_eq!(csv.header("content-type"), Some("text/csv"));
    assert_eq!(csv.header("content-length"), Some(csv.body.len().to_string().as_str()));
    assert_eq!(csv.header("content-disposition"), Some("attachment; filename=\"corpus.holidays.csv\""));
    assert_eq!((csv.header("x-content-type-options"), csv.header("vary")), (Some("nosniff"), Some("accept")));
    assert!(!sealed_rows().is_empty());
    assert_eq!(rows_of_csv(&csv.body), sealed_rows());
    let mut rows: Vec<Vec<String>> = form("json").json().as_array().unwrap().iter().map(of_json).collect();
    rows.sort();
    assert_eq!(rows, sealed_rows());
    let arrow = form("arrow");
    let reader = arrow::ipc::reader::StreamReader::try_new(Cursor::new(&arrow.body), None).unwrap();
    assert_eq!(rows_of_batches(&reader.map(Result::unwrap).collect::<Vec<_>>()), sealed_rows());
    let parquet = Bytes::from(form("parquet").body);
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReader::try_new(parquet, 1024).unwrap();
    assert_eq!(rows_of_batches(&reader.map(Result::unwrap).collect::<Vec<_>>()), sealed_rows());
    let sha256 = sha256_hex(&arrow.body);
    assert_eq!(arrow.header("etag"), Some(format!("\"{sha256}.arrow\"").as_str()));
    assert_eq!(csv.header("etag"), Some(format!("\"{sha256}.csv\"").as_str()));
    let etag = csv.header("etag").unwrap();
    let again = server.get(None, &format!("{DOWNLOAD}?format=csv"), &[("if-none-match", etag)]).must_be(304);
    assert!(again.body.is_empty());
    server.get(None, &format!("{DOWNLOAD}?format=json"), &[("if-none-match", etag)]).must_be(200);
    let head = server.send("HEAD", &format!("{DOWNLOAD}?format=csv"), None, &[], None).must_be(200);
    assert!(head.body.is_empty());
    assert_eq!(
        (head.header("etag"), head.header("content-length")),
        (Some(etag), csv.header("content-length"))
    );
    let accept = |accept: &str| server.get(None, DOWNLOAD, &[("accept", accept)]);
    assert_eq!(accept("text/csv").must_be(200).body, csv.body);
    assert_eq!(accept("image/png").must_be(406).json()["code"], "format-not-available");
    server.get(None, &format!("{DOWNLOAD}?format=xml"), &[]).must_be(400);
    server.get(None, &format!("{DOWNLOAD}?sql=x"), &[]).must_be(400);
    assert_eq!(server.get(Some("ana"), &format!("{DOWNLOAD}?format=csv"), &[]).must_be(200).body, csv.body);
    let events = log(&server);
    let places = |action: &str| -> Vec<usize> {
        let found = events.iter().enumerate().filter(|(_, event)| event["action"] == action);
        found.map(|(index, _)| index).collect()
    };
    let (decided, released) = (places("query.decided"), places("result.released"));
    assert_eq!((decided.len(), places("query.executed").len(), released.len()), (1, 1, 1), "one job for all");
    assert!(decided[0] < places("query.executed")[0] && released[0] < places("result.downloaded")[0]);
    let decision = &events[decided[0]];
    assert_eq!(
        (&decision["actor"], &decision["detail"]["purpose"]),
        (&json!("stranger"), &json!("open-data"))
    );
    assert_eq!(decision["detail"]["datasets"], json!([{ "dataset": "corpus.holidays", "version": 1 }]));
    assert_eq!(events[released[0]]["detail"]["result_sha256"], json!(sha256));
    let by = |name: &str| {
        let downloads = places("result.downloaded");
        downloads.iter().filter(|index| events[**index]["actor"] == name).count()
    };
    assert_eq!((by("stranger"), by("ana")), (7, 1), "each release that left is in the log, with who got it");
    // A job without an account belongs to no person: not even an analyst finds it, and the auditor does.
    let job = decision["correlation"].as_str().unwrap();
    server.get(Some("ana"), &format!("/api/v1/jobs/{job}"), &[]).must_be(404);
    server.get(Some("aldo"), &format!("/api/v1/jobs/{job}"), &[]).must_be(200);
    server.get(Some("aldo"), &format!("/api/v1/jobs/{job}/result"), &[]).must_be(404);
    server.world.run("aldo", &["audit", "verify"]).unwrap().done().unwrap();
    let server = Server::over(server.kill(), &[]);
    server.get(None, &format!("{DOWNLOAD}?format=csv"), &[("if-none-match", etag)]).must_be(304);
    assert_eq!(server.get(None, &format!("{DOWNLOAD}?format=csv"), &[]).must_be(200).body, csv.body);
    assert_eq!(log(&server).iter().filter(|event| event["action"] == "query.decided").count(), 1);
    server.is_clean();
}

/// A row of the open dataset as JSON.
fn of_json(row: &Value) -> Vec<String> {
    let text = |name: &str| match &row[name] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    vec![text("first_day"), text("last_day"), text("holiday")]
}

/// True if strangers get the dataset; all answers about it must agree.
fn is_open(server: &Server, id: &str) -> bool {
    let listed = ids(&server.get(None, "/api/v1/datasets", &[]).must_be(200)).contains(&id.to_owned());
    let shown = server.get(None, &format!("/api/v1/datasets/{id}"), &[]).status == 200;
    let path = format!("/api/v1/datasets/{id}/download?format=csv");
    let answer = server.get(None, &path, &[("if-none-match", "*")]);
    let known = server.get(None, "/api/v1/catalog", &[]).must_be(200).text().contains(id);
    assert!([200, 304, 404].contains(&answer.status), "{}", answer.text());
    let given = answer.status != 404;
    assert_eq!([listed, shown, known], [given; 3], "{id}");
    given
}

#[test]
fn a_dataset_closes_with_its_first_column_above_l1() {
    let server = Server::start();
    assert!(is_open(&server, "corpus.holidays"));
    let closed = [
        ("version: 1, title", "version: 2, title"),
        (
            "name: holiday, type: text, role: dimension, grade: L1",
            "name: holiday, type: text, role: dimension, grade: L2",
        ),
        ("units: []\n", "units: none\nunits_reason: each row is a holiday\n"),
    ];
    enact(&server, "corpus.holidays", 2, &document("corpus.holidays", &closed));
    assert!(!is_open(&server, "corpus.holidays"));
    let labels = server.get(Some("ana"), "/api/v1/datasets/corpus.holidays", &[]).must_be(200).json();
    assert_eq!(labels["open"], false);
    publish(&server, &document("corpus.holidays", &[("version: 1, title", "version: 3, title")]));
    assert!(is_open(&server, "corpus.holidays"), "these are the labels that it was sealed under");
    for (version, from, to) in [
        (4, "opening: unconditional", "opening: limited"),
        (5, "opening: unconditional", "opening: prohibited"),
        // Hidden columns are not in the seal, and columns of the seal are not hidden.
        (7, "\n  - {name: holiday, type: text, role: dimension, grade: L1}", ""),
        (8, "columns:\n", "columns:\n  - {name: extra, type: int, role: dimension, grade: L1}\n"),
    ] {
        let number = format!("version: {version}, title");
        let changed = document("corpus.holidays", &[("version: 1, title", &number)]);
        assert!(changed.contains(from), "{from}");
        publish(&server, &changed.replace(from, to));
        assert!(!is_open(&server, "corpus.holidays"), "{from} -> {to}");
    }
    let of_members = [
        ("version: 1, title", "version: 9, title"),
        ("units: []\n", "units: none\nunits_reason: each row is a holiday\nmembership: L2\n"),
    ];
    enact(&server, "corpus.holidays", 9, &document("corpus.holidays", &of_members));
    assert!(!is_open(&server, "corpus.holidays"), "being in it is above L1");
    server.is_clean();
}

#[test]
fn a_document_alone_does_not_open_what_was_sealed_as_limited() {
    let server = Server::start();
    let limited =
        [("version: 1, title", "version: 2, title"), ("opening: unconditional", "opening: limited")];
    publish(&server, &document("corpus.holidays", &limited));
    let file = environment::tests_folder().join("attacks").join("data").join("holidays.csv");
    let seal = ["seal", "corpus.holidays", file.to_str().unwrap(), "--replace"];
    server.world.run("stella", &seal).unwrap().done().unwrap();
    publish(&server, &document("corpus.holidays", &[("version: 1, title", "version: 3, title")]));
    assert!(!is_open(&server, "corpus.holidays"));
    server.world.run("stella", &seal).unwrap().done().unwrap();
    assert!(is_open(&server, "corpus.holidays"), "sealed anew, by whoever has the data");
    server.is_clean();
}

#[test]
fn a_policy_that_says_otherwise_closes_a_dataset() {
    let server = Server::start();
    assert!(is_open(&server, "corpus.holidays"));
    for (version, from, to) in [
        (2, "release: rows_open", "release: aggregates"),
        (3, "departments: any", "departments: [corpus]"),
        (4, "approvals: 1", "approvals: 1\n  hours: \"00:00-23:59\""),
        (5, "default: deny", "default: deny\n  row_filter: \"first_day > 0\""),
        (6, "effective: {from: 2025-01-01}", "effective: {from: 2025-01-01, until: 2025-02-01}"),
        (
            7,
            "resources: {datasets: [corpus.holidays], grade_max: L1}",
            "resources: {datasets: [corpus.visits], grade_max: L1}",
        ),
    ] {
        let number = format!("version: {version}, title");
        let policy = document("corpus-open", &[("version: 1, title", &number)]);
        assert!(policy.contains(from), "{from}");
        enact(&server, "corpus-open", version, &policy.replace(from, to));
        assert!(!is_open(&server, "corpus.holidays"), "{to}");
    }
    enact(&server, "corpus-open", 8, &document("corpus-open", &[("version: 1, title", "version: 8, title")]));
    assert!(is_open(&server, "corpus.holidays"));
    server.is_clean();
}

#[test]
fn nobody_opens_by_a_document_what_was_sealed_as_protected() {
    let server = Server::start();
    let mut open = document(
        "corpus.persons",
        &[
            ("version: 1, title", "version: 2, title"),
            ("units:\n  - {kind: resident, column: person_id}\n", "units: []\n"),
            ("layout: clustered", "layout: arrival"),
            ("opening: limited", "opening: unconditional"),
            ("role: unit_key", "role: dimension"),
            ("grade: L3", "grade: L1"),
            ("grade: L2", "grade: L1"),
        ],
    );
    for role in ["quasi_identifier", "sensitive", "identifier"] {
        open = open.replace(&format!("role: {role}"), "role: dimension");
    }
    publish(&server, &open);
    let policy = document(
        "corpus-open",
        &[
            ("version: 1, title", "version: 2, title"),
            ("datasets: [corpus.holidays]", "datasets: [corpus.holidays, corpus.persons]"),
            (
                "uses: [filter, group, join]}",
                "uses: [filter, group, join]}\n    - {match: {role: measure}, uses: [filter]}",
            ),
        ],
    );
    enact(&server, "corpus-open", 2, &policy);
    let statistics = document(
        "corpus-statistics",
        &[
            ("version: 1, title", "version: 2, title"),
            ("datasets: [corpus.persons, corpus.visits]", "datasets: [corpus.visits]"),
            ("    - {match: {name: age}, uses: [filter, group, aggregate], mask: {bin: 10}}\n", ""),
        ],
    );
    let statistics = statistics.split("\ntests:").next().unwrap().to_owned() + "\n";
    enact(&server, "corpus-statistics", 2, &statistics);
    // Document and policies now say that everybody may have all rows. The seal does not.
    let detail = server.get(Some("stella"), "/api/v1/datasets/corpus.persons", &[]).must_be(200).json();
    assert_eq!((&detail["opening"], &detail["open"]), (&json!("unconditional"), &json!(false)));
    assert!(!is_open(&server, "corpus.persons"));
    assert!(is_open(&server, "corpus.holidays"));
    let refused = server.post(
        Some("ana"),
        "/api/v1/jobs",
        &json!({ "sql": "SELECT name FROM persons", "purpose": PURPOSE }).to_string(),
        &[],
    );
    refused.must_be(422);
    server.is_clean();
}

#[test]
fn a_new_version_is_a_new_release_and_a_dropped_one_is_gone() {
    let server = Server::start();
    let first = server.get(None, &format!("{DOWNLOAD}?format=csv"), &[]).must_be(200);
    let etag = first.header("etag").unwrap();
    let file = server.world.root().join("more.csv");
    std::fs::write(&file, "first_day,last_day,holiday\n7,8,harvest\n").unwrap();
    let file = file.to_str().unwrap();
    server.world.run("stella", &["seal", "corpus.holidays", file, "--replace"]).unwrap().done().unwrap();
    let second = server.get(None, &format!("{DOWNLOAD}?format=csv"), &[("if-none-match", etag)]).must_be(200);
    assert_eq!(rows_of_csv(&second.body), [["7", "8", "harvest"]]);
    for version in ["2", "1"] {
        let arguments = ["dataset", "drop", "corpus.holidays", "--version-number", version];
        server.world.run("stella", &arguments).unwrap().done().unwrap();
    }
    assert!(!is_open(&server, "corpus.holidays"));
    server.is_clean();
}

#[test]
fn the_catalogue_has_what_dcat_ap_demands() {
    let world = World::with(&Fixture::load().unwrap()).unwrap();
    let server = Server::over(world, &[]);
    let answer = server.get(None, "/api/v1/catalog", &[("host", "evil.example")]).must_be(200);
    assert_eq!(answer.header("content-type"), Some("application/ld+json"));
    assert!(!answer.text().contains("evil.example"), "what a request calls us is not who we are");
    let catalog = answer.json();
    assert_eq!(catalog["@id"], "/api/v1/catalog");
    judge(&catalog, "");
    let csv = server.get(None, &format!("{DOWNLOAD}?format=arrow"), &[]).must_be(200);
    let sha256 = csv.header("etag").unwrap().trim_matches('"').trim_end_matches(".arrow").to_owned();
    let catalog = server.get(None, "/api/v1/catalog", &[]).must_be(200).json();
    let distributions = catalog["dcat:dataset"][0]["dcat:distribution"].as_array().unwrap().clone();
    let known: Vec<&Value> = distributions.iter().filter(|one| !one["spdx:checksum"].is_null()).collect();
    assert_eq!(known.len(), 1);
    assert_eq!(known[0]["spdx:checksum"]["spdx:checksumValue"]["@value"], json!(sha256));
    let world = server.kill();
    std::fs::write(world.root().join("obscura.toml"), "public_url = \"https://data.example.gov\"").unwrap();
    let server = Server::over(world, &[]);
    judge(&server.get(None, "/api/v1/catalog", &[]).must_be(200).json(), "https://data.example.gov");
    server.is_clean();
}

/// The mandatory properties of DCAT-AP 3, and that every address of ours leads somewhere.
fn judge(catalog: &Value, base: &str) {
    let context = catalog["@context"].as_object().unwrap();
    assert!(context.values().all(Value::is_string), "nothing has to be fetched: {context:?}");
    let prefixes: Vec<String> = context.keys().map(|prefix| format!("{prefix}:")).collect();
    let has = |node: &Value, kind: &str, properties: &[&str]| {
        assert_eq!(node["@type"], json!(kind));
        for property in properties {
            assert!(prefixes.iter().any(|prefix| property.starts_with(prefix)), "{property}");
            assert!(!node[property].is_null(), "{kind} has no {property}: {node}");
        }
    };
    let in_both = |texts: &Value| {
        let languages: Vec<&Value> =
            texts.as_array().unwrap().iter().map(|text| &text["@language"]).collect();
        assert_eq!(languages, [&json!("en"), &json!("zh")], "{texts}");
    };
    has(catalog, "dcat:Catalog", &["dct:title", "dct:description", "dct:publisher", "dcat:dataset"]);
    in_both(&catalog["dct:title"]);
    has(&catalog["dct:publisher"], "foaf:Agent", &["foaf:name"]);
    let datasets = catalog["dcat:dataset"].as_array().unwrap();
    assert_eq!(datasets.len(), 2);
    for dataset in datasets {
        let wanted = ["dct:title", "dct:description", "dct:publisher", "dct:identifier", "dct:modified"];
        has(dataset, "dcat:Dataset", &wanted);
        in_both(&dataset["dct:title"]);
        let public = "http://publications.europa.eu/resource/authority/access-right/PUBLIC";
        assert_eq!(dataset["dct:accessRights"]["@id"], json!(public));
        let id = dataset["dct:identifier"].as_str().unwrap();
        assert_eq!(dataset["@id"], json!(format!("{base}/api/v1/datasets/{id}")));
        let distributions = dataset["dcat:distribution"].as_array().unwrap();
        let mut types = Vec::new();
        for distribution in distributions {
            has(distribution, "dcat:Distribution", &["dcat:accessURL", "dcat:downloadURL", "dcat:mediaType"]);
            types.push(distribution["dcat:mediaType"]["@id"].as_str().unwrap().rsplit_once('/').unwrap().1);
            let url = distribution["dcat:downloadURL"]["@id"].as_str().unwrap();
            assert!(url.starts_with(&format!("{base}/api/v1/datasets/{id}/download?format=")), "{url}");
        }
        assert_eq!(types, ["json", "csv", "vnd.apache.arrow.stream", "vnd.apache.parquet"]);
    }
}

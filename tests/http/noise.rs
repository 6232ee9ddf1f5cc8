//! Named noise over HTTP, from documents to numbers: what moves a number, what does not, and who is told of it.
//! Exact numbers are counted here, from the rows in clear.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use obscura_tests::fixture::Fixture;
use obscura_tests::server::Answer;
use obscura_tests::server::Server;
use obscura_tests::world::OPERATOR;
use obscura_tests::world::PURPOSE;
use obscura_tests::world::SECOND_STEWARD;
use obscura_tests::world::STEWARD;
use obscura_tests::world::World;
use serde_json::Value;
use serde_json::json;

/// Residents, once with noise (`residents`), once without (`locals`), once never updated (`census`), and stays of theirs.
const DOCUMENTS: &str = "\
api_version: obscura/v1
kind: Dataset
metadata: {id: noisy.residents, version: 1, title: {zh: 居民, en: Residents}}
department: noisy
scheme: exact-2021
units: [{kind: resident, column: person_id}]
layout: clustered
opening: limited
sharing: conditional
update: yearly
columns:
  - {name: person_id, type: text, role: unit_key, grade: L3}
  - {name: district, type: text, role: dimension, grade: L2, domain: [D0, D1, D2, D3, D4, D5, D6, D7, D8, D9]}
  - {name: sex, type: text, role: quasi_identifier, grade: L3, domain: [f, m]}
  - {name: age, type: int, role: quasi_identifier, grade: L3, range: [0, 99]}
  - {name: income, type: decimal, scale: 2, role: measure, grade: L3, range: [0, 100000], bins: 10000, usual: 20000}
---
api_version: obscura/v1
kind: Dataset
metadata: {id: noisy.stays, version: 1, title: {zh: 住院, en: Stays}}
department: noisy
scheme: exact-2021
units: [{kind: resident, column: person_id}]
layout: clustered
usual_rows: 3
opening: limited
sharing: conditional
update: yearly
columns:
  - {name: person_id, type: text, role: unit_key, grade: L3}
  - {name: ward, type: text, role: dimension, grade: L2, domain: [W0, W1, W2, W3]}
---
api_version: obscura/v1
kind: Policy
metadata: {id: noisy-statistics, version: 1, title: {zh: 带噪统计, en: Statistics with noise}}
owner: noisy
effective: {from: 2025-01-01}
legal_basis: [{law: PIPL, article: \"13\"}]
object:
  subjects: {roles: [analyst], departments: any, districts: any}
  resources: {datasets: [noisy.residents, noisy.stays, noisy.census], grade_max: L3}
condition:
  purposes: [official-statistics]
  approvals: 1
  join_with:
    - {dataset: noisy.residents, unit: resident}
    - {dataset: noisy.stays, unit: resident}
content:
  default: deny
  columns:
    - {match: {role: unit_key}, uses: [join, count_distinct]}
    - {match: {role: dimension}, uses: [filter, group]}
    - {match: {role: quasi_identifier}, uses: [filter, group]}
    - {match: {role: measure}, uses: [filter, group, aggregate]}
method:
  release: aggregates
  functions: [count, count_distinct, sum, avg]
  controls: {perturbation: {deviation: 4}}
  review: none
";

pub(crate) const DEPARTMENT: &str = "\
api_version: obscura/v1
kind: Department
metadata: {id: noisy, version: 1, title: {zh: 统计部门, en: Department of statistics}}
level: department
region: \"330100\"
";

/// The farthest that one draw of a deviation of 4 can be off: twice its variance.
const DRAW_MAX: i64 = 2 * 4 * 4;
/// The farthest that a number of one name can be off: a draw that stays, and one of four times its variance for the version.
const NAME_MAX: i64 = DRAW_MAX * (1 + 4);
/// The rounding of counts moves a number by no more.
const ROUNDED: f64 = 2.5;

const CELLS: &str =
    "SELECT district, sex, COUNT(*) AS n FROM noisy.residents GROUP BY district, sex ORDER BY district, sex";

/// One resident.
pub(crate) struct Resident {
    pub(crate) id: String,
    pub(crate) district: String,
    sex: &'static str,
    age: u32,
    income: i64,
}

/// Three thousand made-up residents, about 150 of each district and sex.
pub(crate) fn residents() -> Vec<Resident> {
    let mut state: u64 = 7;
    let mut next = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    (0..3_000)
        .map(|number| Resident {
            id: format!("R{number:05}"),
            district: format!("D{}", next(10)),
            sex: if next(2) == 0 { "f" } else { "m" },
            age: u32::try_from(next(100)).unwrap(),
            income: i64::try_from(5_000 + next(60_000)).unwrap(),
        })
        .collect()
}

pub(crate) fn csv_of(residents: &[Resident]) -> String {
    let mut text = "person_id,district,sex,age,income\n".to_owned();
    for Resident { id, district, sex, age, income } in residents {
        writeln!(text, "{id},{district},{sex},{age},{income}.00").unwrap();
    }
    text
}

/// Seals a text as a dataset's next version.
pub(crate) fn seal(world: &World, dataset: &str, text: &str, arguments: &[&str]) {
    let file = world.root().join("rows.csv");
    std::fs::write(&file, text).unwrap();
    let file = file.display().to_string();
    let arguments = [&["seal", dataset, &file], arguments].concat();
    world.run("nora", &arguments).unwrap().done().unwrap();
}

/// A server over a world in which ana may ask of residents, of stays, and of the same residents under other documents. Nothing but the
/// policies asks for noise, and every version opens when it is sealed.
fn noisy() -> Server {
    noisy_under("exact-2021")
}

/// As [`noisy`], by the grades of a scheme.
fn noisy_under(scheme: &str) -> Server {
    let world = World::with(&Fixture::load().unwrap()).unwrap();
    let file = |name: &str, text: &str| {
        let file = world.root().join(name);
        std::fs::write(&file, text).unwrap();
        file
    };
    world.publish(OPERATOR, &file("department.yaml", DEPARTMENT)).unwrap();
    for steward in ["nora", "nils"] {
        world.add_person(steward, "steward", "noisy").unwrap();
    }
    let parts: Vec<&str> = DOCUMENTS.split("---\n").collect();
    let &[residents, _, policy] = parts.as_slice() else { panic!("two datasets and a policy") };
    let named = |id: &str| residents.replace("noisy.residents", id);
    let plain = policy
        .replace("noisy-statistics", "noisy-plain")
        .replace("[noisy.residents, noisy.stays, noisy.census]", "[noisy.locals]")
        .replace("  controls: {perturbation: {deviation: 4}}\n", "")
        .replace("noisy.residents", "noisy.locals");
    let census = named("noisy.census").replace("update: yearly", "update: never");
    let all = [DOCUMENTS, &named("noisy.locals"), &census, &plain].join("---\n");
    let all = all.replace("scheme: exact-2021", &format!("scheme: {scheme}"));
    world.enact("nora", "nils", &file("documents.yaml", &all)).unwrap();
    let rows = self::residents();
    for dataset in ["residents", "locals", "census", "stays"] {
        let id = format!("noisy.{dataset}");
        let grant = ["grant", "create", "--person", "ana", "--purpose", PURPOSE, "--dataset", &id];
        world.run("nora", &[&grant[..], &["--until", "2099-12-31"]].concat()).unwrap().done().unwrap();
        if dataset != "stays" {
            seal(&world, &id, &csv_of(&rows), &[]);
        }
    }
    let mut stays = "person_id,ward\n".to_owned();
    for (number, Resident { id, .. }) in rows.iter().enumerate() {
        for stay in 0..1 + number % 3 {
            writeln!(stays, "{id},W{}", (number + stay) % 4).unwrap();
        }
    }
    seal(&world, "noisy.stays", &stays, &[]);
    Server::over(world, &[])
}

/// The released table of a question, as CSV.
pub(crate) fn released(server: &Server, sql: &str) -> String {
    let job = server.ask("ana", sql).must_be(201).json();
    let path = format!("/api/v1/jobs/{}/result", job["id"].as_str().unwrap());
    server.get(Some("ana"), &path, &[("accept", "text/csv")]).must_be(200).text()
}

/// The last column of a released table, by the others.
pub(crate) fn cells(table: &str) -> BTreeMap<String, f64> {
    let rows = table.lines().skip(1).map(|row| row.rsplit_once(',').unwrap_or(("", row)));
    rows.map(|(keys, value)| (keys.to_owned(), value.parse().unwrap())).collect()
}

/// The exact sums over residents, by district and sex.
fn exact(rows: &[Resident], value: impl Fn(&Resident) -> i64) -> BTreeMap<String, f64> {
    let mut exact: BTreeMap<String, f64> = BTreeMap::new();
    for row in rows {
        let added = i32::try_from(value(row)).unwrap();
        *exact.entry(format!("{},{}", row.district, row.sex)).or_default() += f64::from(added);
    }
    exact
}

fn farthest(found: &BTreeMap<String, f64>, exact: &BTreeMap<String, f64>) -> f64 {
    assert!(found.keys().eq(exact.keys()), "every cell is there: {found:?}");
    found.iter().map(|(cell, value)| (value - exact[cell]).abs()).fold(0.0, f64::max)
}

fn float(number: i64) -> f64 {
    f64::from(i32::try_from(number).unwrap())
}

#[test]
fn numbers_differ_from_the_exact_ones_by_no_more_than_their_draws() {
    let server = noisy();
    let rows = residents();
    let (counts, sums) = (exact(&rows, |_| 1), exact(&rows, |row| row.income));
    let found = cells(&released(&server, CELLS));
    let off = farthest(&found, &counts);
    // Of twenty numbers with a deviation of nine one is off by more than rounding, but for one case in 10^12.
    assert!(off > ROUNDED && off <= float(NAME_MAX) + ROUNDED, "{off}: {found:?} for {counts:?}");
    let found = cells(&released(&server, &CELLS.replace("COUNT(*)", "SUM(income)")));
    let off = farthest(&found, &sums);
    assert!(off > 1_000.0 && off <= float(NAME_MAX * 20_000) + 1_000.0, "{off}: {found:?} for {sums:?}");
    // A usual number of rows is the scale of counts of rows.
    let stays = released(&server, "SELECT ward, COUNT(*) AS n FROM noisy.stays GROUP BY ward");
    let stays = cells(&stays);
    assert_eq!(stays.len(), 4, "{stays:?}");
    assert!(stays.values().all(|n| (n - 1_500.0).abs() <= float(NAME_MAX * 3) + ROUNDED), "{stays:?}");
    // The same rows without `perturbation` in their policy leave as ever.
    let plain = cells(&released(&server, &CELLS.replace("residents", "locals")));
    assert!(farthest(&plain, &counts) <= ROUNDED, "{plain:?} for {counts:?}");
    server.is_clean();
}

#[test]
fn spellings_repetitions_and_a_restart_give_one_number() {
    let server = noisy();
    let chosen = "SELECT COUNT(*) AS n FROM noisy.residents WHERE district IN ('D1', 'D2') AND age >= 20";
    let first = released(&server, chosen);
    let table = released(&server, CELLS);
    for spelling in [
        chosen,
        "SELECT COUNT(*) AS n FROM noisy.residents WHERE (district = 'D2' OR 'D1' = district) AND NOT age < 20",
        "SELECT COUNT(DISTINCT person_id) AS n FROM noisy.residents WHERE age BETWEEN 20 AND 99 AND district IN ('D2', 'D1', 'D1')",
        "SELECT COUNT(*) FILTER (WHERE age >= 20) AS n FROM noisy.residents WHERE district IN ('D1', 'D2')",
        "SELECT COUNT(*) AS n FROM (SELECT district AS d, age AS a FROM noisy.residents) AS t WHERE t.a >= 20 AND t.d IN ('D2', 'D1')",
        "WITH t AS (SELECT CASE WHEN district IN ('D1', 'D2') THEN 'here' ELSE 'there' END AS g FROM noisy.residents WHERE age >= 20) \
         SELECT n FROM (SELECT g, COUNT(*) AS n FROM t GROUP BY g) AS u WHERE g = 'here'",
        "SELECT COUNT(*) AS n FROM noisy.residents WHERE district NOT IN ('D0', 'D3', 'D4', 'D5', 'D6', 'D7', 'D8', 'D9') AND age >= 20",
    ] {
        assert_eq!(released(&server, spelling), first, "{spelling}");
    }
    let renamed = CELLS.replace("AS n", "AS people").replace("ORDER BY district, sex", "");
    assert_eq!(cells(&released(&server, &renamed)), cells(&table));
    // The key of the noise is in the keyring, which the next process opens.
    let server = Server::over(server.kill(), &[]);
    assert_eq!(released(&server, chosen), first);
    assert_eq!(released(&server, CELLS), table);
    let here = server.world.query("ana", CELLS).unwrap().done().unwrap();
    assert_eq!(here.stdout, table, "the command line asks the same guard");
    server.is_clean();
}

#[test]
fn another_version_moves_the_numbers_and_the_same_rows_sealed_again_do_not() {
    let server = noisy();
    let rows = residents();
    let table = released(&server, CELLS);
    seal(&server.world, "noisy.residents", &csv_of(&rows), &["--replace", "--yes"]);
    assert_eq!(released(&server, CELLS), table, "the same content is the same draw");
    let changed = csv_of(rows.get(1..).unwrap());
    seal(&server.world, "noisy.residents", &changed, &["--replace"]);
    let moved = released(&server, CELLS);
    let same = |before: &BTreeMap<String, f64>, after: &BTreeMap<String, f64>| {
        before.iter().filter(|(cell, n)| after[*cell] == **n).count()
    };
    assert!(same(&cells(&table), &cells(&moved)) < 15, "one resident left, and all cells move: {moved}");
    seal(&server.world, "noisy.residents", &csv_of(&rows), &["--replace", "--yes"]);
    assert_eq!(released(&server, CELLS), table, "what was there before has the noise of before");
    server.is_clean();
}

/// The attack of the patient: ask each day, and see what one more person changes. Two answers that differ in one person are never
/// open together, whatever their noise.
#[test]
fn one_more_person_a_day_is_seen_on_no_day() {
    let server = noisy_under("db33t2351-2021");
    let table = released(&server, CELLS);
    let shown =
        |person: &str| server.get(Some(person), "/api/v1/datasets/noisy.residents", &[]).must_be(200).json();
    assert!(shown("nora")["waiting"].is_null());
    for day in 1..=4_u64 {
        let row = format!("person_id,district,sex,age,income\nX{day},D0,f,33,1000.00\n");
        seal(&server.world, "noisy.residents", &row, &["--append"]);
        assert_eq!(released(&server, CELLS), table, "day {day}");
        let (of_steward, of_analyst) = (shown("nora"), shown("ana"));
        assert_eq!(of_steward["version"], 1);
        assert_eq!(of_steward["waiting"], json!({ "version": day + 1, "opens": null }));
        assert!(of_analyst["version"] == 1 && of_analyst["waiting"].is_null(), "{of_analyst}");
    }
    // Whoever leaves is seen no more than who comes.
    let rows = residents();
    seal(&server.world, "noisy.residents", &csv_of(rows.get(1..).unwrap()), &["--replace"]);
    assert_eq!(released(&server, CELLS), table);
    server.is_clean();
}

#[test]
fn data_that_was_never_to_be_updated_has_noise_of_its_version_once_it_is() {
    let server = noisy();
    let rows = residents();
    let census = CELLS.replace("residents", "census");
    let counts = exact(&rows, |_| 1);
    let table = cells(&released(&server, &census));
    let off = farthest(&table, &counts);
    assert!(off > ROUNDED && off <= float(DRAW_MAX) + ROUNDED, "the draw that stays alone: {off}");
    seal(&server.world, "noisy.census", &csv_of(rows.get(1..).unwrap()), &["--replace"]);
    let moved = cells(&released(&server, &census));
    let same = table.iter().filter(|(cell, n)| moved[*cell] == **n).count();
    // Else the difference of the two numbers would be the exact number of people who left.
    assert!(same < 15, "one resident left, and all cells move: {table:?} became {moved:?}");
    server.is_clean();
}

/// The refusal's only reason and the address of its page.
fn reason(refused: &Answer) -> (String, String) {
    let problem = refused.json();
    let finding = &problem["verdict"]["findings"][0];
    let text = |name: &str| finding[name].as_str().unwrap().to_owned();
    assert_eq!(finding["code"], "control-not-available");
    (text("reason"), text("docs"))
}

#[test]
fn rows_that_meet_several_of_a_subject_are_refused_with_a_page() {
    let server = noisy();
    // Only asked for, several rows are one fact of their subject.
    let event = "SELECT COUNT(*) AS n FROM noisy.residents AS r \
                 WHERE EXISTS (SELECT 1 FROM noisy.stays AS s WHERE s.person_id = r.person_id)";
    server.ask("ana", event).must_be(201);
    let met = "SELECT COUNT(DISTINCT s.person_id) AS n FROM noisy.residents AS r \
               LEFT JOIN noisy.stays AS s ON s.person_id = r.person_id";
    let (name, page) = reason(&server.ask("ana", met).must_be(422));
    assert_eq!((name.as_str(), page.as_str()), ("rows-without-names", "/docs/refusals/rows-without-names"));
    for (language, words) in [("en", "no named cells"), ("zh", "没有命名单元格")] {
        let page = server.get(None, &page, &[("accept-language", language)]).must_be(200).text();
        assert!(page.contains(words), "{page}");
    }
    server.is_clean();
}

/// The controls that each output column has passed, by its name.
fn treatments(verdict: &Value) -> BTreeMap<String, Vec<String>> {
    let columns = verdict["output"].as_array().unwrap().iter();
    let words = |column: &Value| {
        let passed = column["treatment"].as_array().unwrap().iter();
        passed.map(|word| word.as_str().unwrap().to_owned()).collect()
    };
    columns.map(|column| (column["name"].as_str().unwrap().to_owned(), words(column))).collect()
}

/// The release record of a job as JSON, from its signed text.
fn record(server: &Server, job: &Value) -> Value {
    let path = format!("/api/v1/jobs/{}/release", job["id"].as_str().unwrap());
    let note = server.get(Some("ana"), &path, &[]).must_be(200).text();
    serde_json::from_str(note.lines().next().unwrap()).unwrap()
}

#[test]
fn verdict_record_and_dictionary_name_the_noise() {
    let server = noisy();
    let sql = "SELECT district, COUNT(*) AS n, SUM(income) AS total, AVG(income) AS mean FROM noisy.residents GROUP BY district";
    let plain = sql.replace("residents", "locals");
    let check = |sql: &str| {
        let question = json!({ "sql": sql, "purpose": PURPOSE }).to_string();
        server.post(Some("ana"), "/api/v1/queries/check", &question, &[]).must_be(200).json()
    };
    for (sql, deviation, secrets) in
        [(sql, json!(4), json!(["noise/noisy.residents"])), (plain.as_str(), Value::Null, json!([]))]
    {
        let job = server.ask("ana", sql).must_be(201).json();
        let record = record(&server, &job);
        assert_eq!(record["secrets"], secrets);
        let evidence = format!("/api/v1/jobs/{}/evidence", job["id"].as_str().unwrap());
        let evidence = server.get(Some("aldo"), &evidence, &[]).must_be(200).json();
        for told in [&check(sql), &job["verdict"], &evidence["verdict"], &record] {
            assert_eq!(told["controls"]["perturbation"], deviation, "{told}");
            for (name, passed) in treatments(told) {
                let has_noise = name != "district" && !deviation.is_null();
                for control in ["noise", "error-limit"] {
                    assert_eq!(passed.iter().any(|word| word == control), has_noise, "{name}: {passed:?}");
                }
            }
        }
        let id = job["id"].as_str().unwrap();
        let events =
            server.get(Some("aldo"), "/api/v1/audit/events?from=0&limit=1000", &[]).must_be(200).json();
        let of_job =
            |event: &&Value| event["correlation"] == job["id"] && event["action"] == "output.checked";
        let checked = events["events"].as_array().unwrap().iter().find(of_job).unwrap();
        assert_eq!(checked["detail"]["controls"]["perturbation"], deviation, "{checked}");
        let plan = server.get(Some("ana"), &format!("/api/v1/jobs/{id}/explain"), &[]).must_be(200).json();
        assert_eq!(plan["plan"]["stages"][0]["perturbation"], deviation, "{plan}");
        let explained = server.ask("ana", &format!("EXPLAIN {sql}")).must_be(200).json();
        assert_eq!(explained["controls"]["perturbation"], deviation);
        assert_eq!(treatments(&explained), treatments(&job["verdict"]));
    }
    for (dataset, deviation) in [("residents", json!(4)), ("locals", Value::Null)] {
        let shown = server.get(Some("ana"), &format!("/api/v1/datasets/noisy.{dataset}"), &[]).must_be(200);
        let controls = shown.json()["terms"][0]["allows"]["controls"].clone();
        let of_grade = controls.as_array().unwrap().iter().find(|known| known["grade"] == "L3").unwrap();
        assert_eq!(of_grade["perturbation"], deviation, "{controls}");
    }
    for (language, words) in
        [("en", "counts and sums have noise, of deviation 4"), ("zh", "计数与求和含噪声")]
    {
        let arguments = ["dataset", "show", "noisy.residents", "--lang", language];
        let shown = server.world.run("ana", &arguments).unwrap().done().unwrap().stdout;
        assert!(shown.contains(words), "{shown}");
        let arguments = ["explain", "--purpose", PURPOSE, "--lang", language, "--", sql];
        let told = server.world.run("ana", &arguments).unwrap().done().unwrap();
        assert!((told.stdout + &told.stderr).contains(words));
    }
    for steward in [STEWARD, SECOND_STEWARD] {
        let hidden = server.get(Some(steward), "/api/v1/policies/noisy-statistics", &[]);
        assert_eq!(hidden.status, 404, "a steward of another department is not told");
    }
    let shown = server.world.run("nora", &["policy", "show", "noisy-statistics"]).unwrap().done().unwrap();
    assert!(shown.stdout.contains("perturbation:\n      deviation: 4\n"), "{}", shown.stdout);
    server.is_clean();
}

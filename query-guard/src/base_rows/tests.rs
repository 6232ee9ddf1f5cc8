//! Every way of choosing by a sensitive column, over zips of which all, none, or all but a few have it.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::Array;
use arrow::array::ArrayRef;
use arrow::array::AsArray;
use arrow::array::Date32Array;
use arrow::array::Decimal128Array;
use arrow::array::Int64Array;
use arrow::array::RecordBatch;
use arrow::array::StringArray;
use arrow::array::TimestampMicrosecondArray;
use arrow::datatypes::Int64Type;
use obscura_policies::effective::EffectivePolicy;
use obscura_policies::vocabulary::Role;

use crate::fixture::admitted;
use crate::fixture::codes;
use crate::fixture::execute::Rows;
use crate::fixture::execute::run;
use crate::fixture::noise;
use crate::fixture::policy;
use crate::fixture::review;
use crate::fixture::review_under;
use crate::fixture::zones::zones;
use crate::reason::Reason;
use crate::verdict::Decision;

/// Subjects that a cell needs, and that must be in its base alone.
const LEAST: usize = 10;

#[derive(Debug, Clone, PartialEq, Eq)]
struct Person {
    zip: &'static str,
    dept: &'static str,
    age: i64,
    diag: Option<&'static str>,
    visits: i64,
}

impl Person {
    fn has(&self, diag: &str) -> bool {
        self.diag == Some(diag)
    }
}

/// People of a few zips. In each, so many have the flu: all, none, or as many as leave about the threshold.
fn people(seed: u64) -> Vec<Person> {
    let mut state = seed.wrapping_mul(2_862_933_555_777_941_757).wrapping_add(3_037_000_493);
    let mut next = move |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below
    };
    let mut all = Vec::new();
    for zip in ["1000", "1001", "1010", "2000", "2001", "9999"] {
        let count = 25 + next(20);
        let ill = [0, 9, 10, 11, count - 11, count - 10, count - 9, count][next(8)];
        for at in 0..count {
            let others = [Some("none"), Some("HIV"), None][next(3)];
            all.push(Person {
                zip,
                dept: ["tax", "eng"][next(2)],
                age: i64::try_from(20 + 10 * next(5)).unwrap(),
                diag: if at < ill { Some("flu") } else { others },
                visits: i64::try_from(next(3)).unwrap(),
            });
        }
    }
    all
}

fn rows(people: &[Person]) -> Rows {
    let count = i64::try_from(people.len()).unwrap();
    let text = |of: &dyn Fn(&Person) -> Option<&'static str>| -> ArrayRef {
        Arc::new(people.iter().map(of).collect::<StringArray>())
    };
    let days = || -> ArrayRef { Arc::new(Date32Array::from_iter_values(people.iter().map(|_| 0))) };
    let persons = RecordBatch::try_from_iter(vec![
        ("person_id", Arc::new(Int64Array::from_iter_values(1..=count)) as ArrayRef),
        ("dept", text(&|person| Some(person.dept))),
        ("zip", text(&|person| Some(person.zip))),
        ("age", Arc::new(Int64Array::from_iter_values(people.iter().map(|person| person.age)))),
        ("sex", text(&|_| Some("f"))),
        ("diag", text(&|person| person.diag)),
        ("salary", Arc::new(Int64Array::from_iter_values(people.iter().map(|person| 30_000 + person.age)))),
        ("name", text(&|_| Some("somebody"))),
        ("birth", days()),
        ("hire", days()),
    ]);
    let visited: Vec<i64> = people
        .iter()
        .zip(1_i64..)
        .flat_map(|(person, id)| std::iter::repeat_n(id, usize::try_from(person.visits).unwrap()))
        .collect();
    let costs = Decimal128Array::from_iter_values(visited.iter().map(|_| 20_000));
    let visits = RecordBatch::try_from_iter(vec![
        (
            "visit_id",
            Arc::new(Int64Array::from_iter_values(0..i64::try_from(visited.len()).unwrap())) as ArrayRef,
        ),
        ("person_id", Arc::new(Int64Array::from(visited.clone()))),
        ("cost", Arc::new(costs.with_precision_and_scale(18, 2).unwrap())),
        ("day", Arc::new(Int64Array::from_iter_values(visited.iter().map(|_| 1)))),
        ("at", Arc::new(TimestampMicrosecondArray::from_iter_values(visited.iter().map(|_| 0)))),
    ]);
    BTreeMap::from([
        ("corpus.persons", vec![vec![persons.unwrap()]]),
        ("corpus.visits", vec![vec![visits.unwrap()]]),
    ])
}

/// A question by zip, whose last column counts, and who is in its cells and in their bases.
struct Asked {
    sql: &'static str,
    is_in: fn(&Person) -> bool,
    is_in_base: fn(&Person) -> bool,
}

const fn asked(sql: &'static str, is_in: fn(&Person) -> bool, is_in_base: fn(&Person) -> bool) -> Asked {
    Asked { sql, is_in, is_in_base }
}

fn everybody(_: &Person) -> bool {
    true
}

const ASKED: &[Asked] = &[
    asked(
        "SELECT zip, COUNT(*) FROM persons WHERE diag = 'flu' GROUP BY zip",
        |person| person.has("flu"),
        everybody,
    ),
    asked(
        "SELECT zip, COUNT(*) FROM persons WHERE NOT (diag = 'flu') GROUP BY zip",
        |person| person.diag.is_some() && !person.has("flu"),
        everybody,
    ),
    asked(
        "SELECT zip, COUNT(*) FROM persons WHERE diag IN ('flu', 'HIV') AND dept = 'tax' GROUP BY zip",
        |person| person.dept == "tax" && (person.has("flu") || person.has("HIV")),
        |person| person.dept == "tax",
    ),
    asked(
        "SELECT zip, COUNT(*) FROM persons WHERE NOT (dept = 'tax' OR diag = 'flu') GROUP BY zip",
        |person| person.dept == "eng" && person.diag.is_some() && !person.has("flu"),
        |person| person.dept == "eng",
    ),
    asked(
        "SELECT zip, COUNT(*) FROM persons WHERE age >= 50 OR diag = 'flu' GROUP BY zip",
        |person| person.age >= 50 || person.has("flu"),
        everybody,
    ),
    asked(
        "SELECT zip, COUNT(*) FROM persons WHERE (age >= 50 OR diag = 'flu') AND dept = 'tax' GROUP BY zip",
        |person| person.dept == "tax" && (person.age >= 50 || person.has("flu")),
        |person| person.dept == "tax",
    ),
    asked(
        "SELECT zip, COUNT(*) FROM persons WHERE diag IS NULL GROUP BY zip",
        |person| person.diag.is_none(),
        everybody,
    ),
    asked("SELECT zip, COUNT(diag) FROM persons GROUP BY zip", |person| person.diag.is_some(), everybody),
    asked(
        "SELECT zip, COUNT(*) FILTER (WHERE diag = 'flu') FROM persons GROUP BY zip",
        |person| person.has("flu"),
        everybody,
    ),
    asked(
        "SELECT zip, COUNT(*) FILTER (WHERE diag = 'flu') FROM persons WHERE dept = 'tax' GROUP BY zip",
        |person| person.has("flu") && person.dept == "tax",
        |person| person.dept == "tax",
    ),
    asked(
        "SELECT zip, SUM(CASE WHEN dept = 'tax' AND diag = 'flu' THEN 1 ELSE 0 END) FROM persons GROUP BY zip",
        |person| person.has("flu") && person.dept == "tax",
        |person| person.dept == "tax",
    ),
    asked(
        "SELECT zip, COUNT(DISTINCT CASE WHEN diag = 'flu' THEN person_id END) FROM persons GROUP BY zip",
        |person| person.has("flu"),
        everybody,
    ),
    asked(
        "SELECT zip, COUNT(*) FROM (SELECT zip, CASE WHEN diag = 'flu' THEN 'ill' ELSE 'well' END AS is FROM persons) t WHERE is = 'ill' GROUP BY zip",
        |person| person.has("flu"),
        everybody,
    ),
    asked(
        "SELECT p.zip, COUNT(*) FROM persons p WHERE EXISTS (SELECT 1 FROM persons q WHERE q.person_id = p.person_id AND q.diag = 'flu') GROUP BY p.zip",
        |person| person.has("flu"),
        everybody,
    ),
    asked(
        "SELECT p.zip, COUNT(*) FROM persons p WHERE NOT EXISTS (SELECT 1 FROM persons q WHERE q.person_id = p.person_id AND q.diag = 'flu') GROUP BY p.zip",
        |person| !person.has("flu"),
        everybody,
    ),
    asked(
        "SELECT p.zip, COUNT(*) FROM persons p WHERE p.person_id IN (SELECT person_id FROM persons WHERE diag = 'flu' AND dept = 'tax') GROUP BY p.zip",
        |person| person.has("flu") && person.dept == "tax",
        |person| person.dept == "tax",
    ),
    asked(
        "SELECT p.zip, COUNT(*) FROM persons p WHERE p.dept = 'nowhere' OR EXISTS (SELECT 1 FROM persons q WHERE q.person_id = p.person_id AND q.diag = 'flu') GROUP BY p.zip",
        |person| person.has("flu"),
        everybody,
    ),
    asked(
        "SELECT p.zip, COUNT(*) FROM persons p JOIN (SELECT person_id FROM persons WHERE diag = 'flu') f ON p.person_id = f.person_id GROUP BY p.zip",
        |person| person.has("flu"),
        everybody,
    ),
    asked(
        "SELECT p.zip, COUNT(f.person_id) FROM persons p LEFT JOIN (SELECT person_id FROM persons WHERE diag = 'flu') f ON p.person_id = f.person_id GROUP BY p.zip",
        |person| person.has("flu"),
        everybody,
    ),
    asked(
        "SELECT p.zip, COUNT(*) FROM persons p LEFT JOIN (SELECT person_id FROM persons WHERE diag = 'flu') f ON p.person_id = f.person_id WHERE f.person_id IS NULL GROUP BY p.zip",
        |person| !person.has("flu"),
        everybody,
    ),
    asked(
        "SELECT p.zip, COUNT(*) FROM persons p JOIN (SELECT person_id, COUNT(*) AS n FROM persons WHERE diag = 'flu' GROUP BY person_id) f ON p.person_id = f.person_id WHERE f.n >= 1 GROUP BY p.zip",
        |person| person.has("flu"),
        everybody,
    ),
    asked(
        "SELECT p.zip, COUNT(*) FROM persons p JOIN (SELECT person_id, COUNT(*) FILTER (WHERE diag = 'flu') AS n FROM persons GROUP BY person_id) f ON p.person_id = f.person_id WHERE f.n = 1 GROUP BY p.zip",
        |person| person.has("flu"),
        everybody,
    ),
    asked(
        "SELECT p.zip, COUNT(DISTINCT v.person_id) FROM visits v JOIN persons p ON v.person_id = p.person_id WHERE p.diag = 'flu' GROUP BY p.zip",
        |person| person.has("flu") && person.visits > 0,
        |person| person.visits > 0,
    ),
    // What is found by other conditions besides is in the base as far as these go.
    asked(
        "SELECT p.zip, COUNT(*) FROM persons p LEFT JOIN (SELECT person_id FROM persons WHERE dept = 'tax' AND diag = 'flu') f ON p.person_id = f.person_id WHERE f.person_id IS NOT NULL GROUP BY p.zip",
        |person| person.has("flu") && person.dept == "tax",
        |person| person.dept == "tax",
    ),
    asked(
        "SELECT p.zip, COUNT(f.n) FROM persons p LEFT JOIN (SELECT person_id, COUNT(*) AS n FROM persons WHERE dept = 'tax' AND diag = 'flu' GROUP BY person_id) f ON p.person_id = f.person_id GROUP BY p.zip",
        |person| person.has("flu") && person.dept == "tax",
        |person| person.dept == "tax",
    ),
    asked(
        "SELECT p.zip, COUNT(*) FROM persons p LEFT JOIN (SELECT person_id, COUNT(*) AS n FROM persons WHERE dept = 'tax' AND diag = 'flu' GROUP BY person_id) f ON p.person_id = f.person_id WHERE f.n >= 1 GROUP BY p.zip",
        |person| person.has("flu") && person.dept == "tax",
        |person| person.dept == "tax",
    ),
    asked(
        "SELECT p.zip, COUNT(*) FROM persons p LEFT JOIN (SELECT person_id FROM persons WHERE dept = 'tax' AND diag = 'flu') f ON p.person_id = f.person_id WHERE f.person_id IS NULL GROUP BY p.zip",
        |person| !person.has("flu") || person.dept != "tax",
        everybody,
    ),
    asked(
        "SELECT p.zip, COUNT(*) FROM persons p WHERE NOT EXISTS (SELECT 1 FROM persons q WHERE q.person_id = p.person_id AND q.diag = 'flu' AND q.dept = 'tax') GROUP BY p.zip",
        |person| !person.has("flu") || person.dept != "tax",
        everybody,
    ),
    // What is not sensitive stays what it is, wherever it is found.
    asked(
        "SELECT p.zip, COUNT(*) FROM persons p LEFT JOIN (SELECT person_id, dept FROM persons WHERE diag = 'flu') f ON p.person_id = f.person_id WHERE f.dept = 'tax' GROUP BY p.zip",
        |person| person.has("flu") && person.dept == "tax",
        |person| person.dept == "tax",
    ),
    asked(
        "SELECT p.zip, COUNT(f.salary) FROM persons p LEFT JOIN (SELECT person_id, salary FROM persons WHERE diag = 'flu') f ON p.person_id = f.person_id GROUP BY p.zip",
        |person| person.has("flu"),
        everybody,
    ),
    asked(
        "SELECT p.zip, COUNT(DISTINCT p.person_id) FROM persons p JOIN (SELECT v.person_id FROM visits v JOIN persons q ON v.person_id = q.person_id WHERE q.diag = 'flu' GROUP BY v.person_id) f ON p.person_id = f.person_id GROUP BY p.zip",
        |person| person.has("flu") && person.visits > 0,
        |person| person.visits > 0,
    ),
    asked(
        "SELECT p.zip, COUNT(*) FROM persons p LEFT JOIN (SELECT v.person_id FROM visits v JOIN persons q ON v.person_id = q.person_id WHERE q.diag = 'flu' GROUP BY v.person_id) f ON p.person_id = f.person_id WHERE f.person_id IS NOT NULL GROUP BY p.zip",
        |person| person.has("flu") && person.visits > 0,
        |person| person.visits > 0,
    ),
    // Numbers of a subject's rows that depend on the diagnosis are of those who have any.
    asked(
        "SELECT zip, SUM(n) FROM (SELECT person_id, zip, COUNT(*) FILTER (WHERE diag = 'flu') AS n FROM persons GROUP BY person_id, zip) t GROUP BY zip",
        |person| person.has("flu"),
        everybody,
    ),
    // Whoever is left out by a row that others have is in no base.
    asked(
        "SELECT p.zip, COUNT(*) FROM persons p LEFT JOIN (SELECT person_id, COUNT(*) AS n FROM visits GROUP BY person_id) f ON p.person_id = f.person_id WHERE p.diag = 'flu' AND f.n >= 1 GROUP BY p.zip",
        |person| person.has("flu") && person.visits > 0,
        |person| person.visits > 0,
    ),
];

/// The numbers of each zip: that of the last column.
fn numbers(sql: &str, rows: &Rows) -> BTreeMap<String, i64> {
    let batch = run(&admitted(sql), rows).unwrap_or_else(|error| panic!("{sql}: {error}"));
    let zips = batch.column(0).as_string::<i32>();
    let numbers = arrow::compute::cast(batch.columns().last().unwrap(), &arrow::datatypes::DataType::Int64);
    let numbers = numbers.unwrap();
    let numbers = numbers.as_primitive::<Int64Type>();
    (0..batch.num_rows())
        .filter(|row| numbers.is_valid(*row))
        .map(|row| (zips.value(row).to_owned(), numbers.value(row)))
        .collect()
}

#[test]
fn a_cell_is_told_where_enough_of_its_base_are_not_in_it() {
    let mut told = (0, 0);
    for seed in 0..6 {
        let people = people(seed);
        let rows = rows(&people);
        for Asked { sql, is_in, is_in_base } in ASKED {
            let mut due: BTreeMap<String, i64> = BTreeMap::new();
            for zip in people.iter().map(|person| person.zip).collect::<BTreeSet<_>>() {
                let count = |of: &dyn Fn(&Person) -> bool| {
                    people.iter().filter(|person| person.zip == zip && of(person)).count()
                };
                let (cell, base) = (count(is_in), count(is_in_base));
                assert!(people.iter().all(|person| !is_in(person) || is_in_base(person)), "{sql}");
                let is_told = cell >= LEAST && base - cell >= LEAST;
                told.0 += usize::from(is_told);
                told.1 += usize::from(cell >= LEAST && !is_told);
                if is_told {
                    // Rounded to five, halves upwards.
                    due.insert(zip.to_owned(), i64::try_from((cell * 2 + 5) / 10 * 5).unwrap());
                }
            }
            assert_eq!(numbers(sql, &rows), due, "seed {seed}: {sql}");
        }
    }
    assert!(told.0 > 100 && told.1 > 100, "both happen: {told:?}");
}

#[test]
fn a_sensitive_key_shows_no_group_that_is_nearly_all_of_its_base() {
    for (seed, sql) in (0..4).flat_map(|seed| {
        [
            (seed, "SELECT zip, diag, COUNT(*) FROM persons GROUP BY zip, diag"),
            (seed, "SELECT DISTINCT zip, diag FROM persons"),
            (seed, "SELECT zip, diag, COUNT(*) FROM persons GROUP BY GROUPING SETS ((zip, diag))"),
            (seed, "SELECT zip, CASE WHEN diag = 'flu' THEN 'flu' END, COUNT(*) FROM persons WHERE diag = 'flu' GROUP BY 1, 2"),
        ]
    }) {
        let people = people(seed);
        let batch = run(&admitted(sql), &rows(&people)).unwrap();
        let (zips, diags) = (batch.column(0).as_string::<i32>(), batch.column(1).as_string::<i32>());
        let shown: BTreeSet<&str> = (0..batch.num_rows())
            .filter(|row| diags.is_valid(*row) && diags.value(*row) == "flu")
            .map(|row| zips.value(row))
            .collect();
        let of = |zip: &str, is_ill: bool| {
            people.iter().filter(|person| person.zip == zip && person.has("flu") == is_ill).count()
        };
        let due = people.iter().map(|person| person.zip);
        let due: BTreeSet<&str> = due.filter(|zip| of(zip, true) >= LEAST && of(zip, false) >= LEAST).collect();
        assert_eq!(shown, due, "seed {seed}: {sql}");
    }
}

/// Says who is chosen.
type Chosen<'c> = &'c dyn Fn(&Person) -> bool;

/// As the corpus, with the zip sensitive and the diagnosis not.
fn of_sensitive_zips() -> EffectivePolicy {
    let mut policy = policy();
    for column in policy.datasets.values_mut().flat_map(|dataset| &mut dataset.columns) {
        column.role = match column.name.as_str() {
            "zip" if column.role == Role::QuasiIdentifier => Role::Sensitive,
            "diag" => Role::QuasiIdentifier,
            _ => column.role,
        };
    }
    policy
}

#[test]
fn what_a_sensitive_column_finds_in_an_open_table_is_sensitive() {
    let policy = of_sensitive_zips();
    let zones = zones();
    let of_districts: BTreeMap<String, String> = {
        let (zips, districts) =
            (zones.column_by_name("zip").unwrap(), zones.column_by_name("district").unwrap());
        let texts = |column: &ArrayRef| -> Vec<String> {
            column.as_string::<i32>().iter().map(|text| text.unwrap_or_default().to_owned()).collect()
        };
        texts(zips).into_iter().zip(texts(districts)).collect()
    };
    let district = of_districts.values().next().unwrap().clone();
    let is_in = |person: &Person| of_districts.get(person.zip) == Some(&district);
    let is_found = |person: &Person| of_districts.contains_key(person.zip);
    let mut told = (0, 0);
    for seed in 0..12 {
        // Many, some or few of a department live elsewhere.
        let mut people = people(seed);
        people.retain(|person| match seed % 3 {
            _ if is_in(person) => true,
            0 => true,
            1 => person.age == 20,
            _ => person.age == 20 && person.diag.is_none(),
        });
        let mut rows = rows(&people);
        rows.insert("corpus.zones", vec![vec![zones.clone()]]);
        let by_join = format!(
            "SELECT p.dept, COUNT(*) FROM persons p JOIN zones z ON p.zip = z.zip WHERE z.district = '{district}' GROUP BY p.dept"
        );
        let by_left = by_join.replace("JOIN", "LEFT JOIN");
        let by_list = format!(
            "SELECT dept, COUNT(*) FROM persons WHERE zip IN (SELECT zip FROM zones WHERE district = '{district}') GROUP BY dept"
        );
        let by_no_list = by_list.replace(" IN (", " NOT IN (");
        let found =
            "SELECT p.dept, COUNT(*) FROM persons p JOIN zones z ON p.zip = z.zip GROUP BY p.dept".to_owned();
        let is_not_in = |person: &Person| !is_in(person);
        let asked: Vec<(&str, Chosen<'_>)> = vec![
            (&by_join, &is_in),
            (&by_left, &is_in),
            (&by_list, &is_in),
            (&by_no_list, &is_not_in),
            (&found, &is_found),
        ];
        for (sql, is_cell) in asked {
            let Decision::Admitted(plan) = review_under(&policy, sql).decision else {
                panic!("refused: {sql}")
            };
            let batch = run(&plan, &rows).unwrap();
            let depts = batch.column(0).as_string::<i32>();
            let shown: BTreeSet<&str> = (0..batch.num_rows()).map(|row| depts.value(row)).collect();
            for dept in ["tax", "eng"] {
                let all = people.iter().filter(|person| person.dept == dept).count();
                let cell = people.iter().filter(|person| person.dept == dept && is_cell(person)).count();
                let due = cell >= LEAST && all - cell >= LEAST;
                assert_eq!(shown.contains(dept), due, "seed {seed}, {cell} of {all}: {sql}");
                told.0 += usize::from(due);
                told.1 += usize::from(!due && cell >= LEAST);
            }
        }
    }
    assert!(told.0 > 5 && told.1 > 5, "both happen: {told:?}");
}

#[test]
fn what_chooses_by_no_sensitive_column_has_no_base() {
    for sql in [
        "SELECT zip, COUNT(*) FROM persons GROUP BY zip",
        "SELECT zip, AVG(salary) FROM persons WHERE salary >= 20000 GROUP BY zip",
        "SELECT p.zip, COUNT(*) FROM persons p LEFT JOIN (SELECT person_id, COUNT(*) AS n FROM persons WHERE diag = 'flu' GROUP BY person_id) f ON p.person_id = f.person_id GROUP BY p.zip",
    ] {
        let plan = admitted(sql);
        assert!(plan.stages().iter().all(|stage| !stage.is_base && !stage.controls.homogeneity), "{sql}");
    }
    // A condition of one number reads no row a second time.
    let plan =
        admitted("SELECT zip, COUNT(*), COUNT(*) FILTER (WHERE diag = 'flu') FROM persons GROUP BY zip");
    assert_eq!(plan.stages().len(), 1);
    assert!(plan.stages()[0].controls.homogeneity);
    // Of sets of keys only those have bases that have a sensitive key, and they share them.
    let bases = |sql: &str| admitted(sql).stages().iter().filter(|stage| stage.is_base).count();
    assert_eq!(bases("SELECT zip, diag, dept, COUNT(*) FROM persons GROUP BY ROLLUP (zip, dept, diag)"), 1);
    assert_eq!(bases("SELECT zip, diag, COUNT(*) FROM persons GROUP BY CUBE (zip, diag)"), 2);
    // Five questions of sensitive columns are five aggregations.
    let one = "SELECT COUNT(*) FROM persons WHERE diag = 'flu'";
    assert_eq!(bases(&[one; 5].join(" UNION ALL ")), 5);
}

#[test]
fn totals_stand_beside_groups_of_a_sensitive_key() {
    let (policy, people) = (with_noise(), people(1));
    let crowd: Vec<Person> = (0..8).flat_map(|_| people.clone()).collect();
    let plan = noise::plan(&policy, "SELECT zip, diag, COUNT(*) FROM persons GROUP BY ROLLUP (zip, diag)");
    let context = noise::context(Arc::new(noise::Mixed), 1);
    let batch = crate::fixture::execute::run_with(&plan, &rows(&crowd), context, 1).unwrap();
    let (zips, diags) = (batch.column(0).as_string::<i32>(), batch.column(1).as_string::<i32>());
    let totals = (0..batch.num_rows()).filter(|row| diags.is_null(*row));
    let shown: BTreeSet<Option<&str>> =
        totals.map(|row| zips.is_valid(row).then(|| zips.value(row))).collect();
    // Of each zip, but that of some is outside of the domain, and of all.
    assert!(shown.len() > 5, "{shown:?}");
}

/// The policy with noise, over a domain of diagnoses.
fn with_noise() -> EffectivePolicy {
    let mut policy = noise::policy();
    let columns = policy.datasets.values_mut().flat_map(|dataset| &mut dataset.columns);
    for column in columns.filter(|column| column.name == "diag") {
        column.domain = Some(["HIV", "flu", "none"].map(str::to_owned).to_vec());
    }
    policy
}

#[test]
fn conditions_that_leave_two_bases_are_refused() {
    let mixed = |sql: &str| match review(sql).decision {
        Decision::Admitted(_) => Vec::new(),
        Decision::Refused { findings, .. } => findings.into_iter().map(|finding| finding.reason).collect(),
    };
    for sql in [
        "SELECT COUNT(*) FROM persons WHERE zip = '1000' AND diag = 'flu' OR zip = '2000' AND diag = 'HIV'",
        "SELECT COUNT(*) FILTER (WHERE zip = '1000' AND diag = 'flu' OR zip = '2000' AND diag = 'HIV') FROM persons",
        "SELECT COUNT(*) FROM persons WHERE CASE WHEN zip = '1000' THEN diag = 'flu' ELSE diag = 'HIV' END",
        // Each of these parts has one base.
        "SELECT COUNT(*) FROM (SELECT * FROM persons WHERE zip <> '1000' OR diag = 'flu') t WHERE zip <> '2000' OR diag = 'HIV'",
        "SELECT COUNT(*) FILTER (WHERE zip <> '2000' OR diag = 'HIV') FROM persons WHERE zip <> '1000' OR diag = 'flu'",
        "SELECT COUNT(*) FROM persons p WHERE NOT EXISTS (SELECT 1 FROM persons q WHERE q.person_id = p.person_id AND q.zip = '1000' AND q.diag <> 'flu') AND NOT EXISTS (SELECT 1 FROM persons q WHERE q.person_id = p.person_id AND q.zip = '2000' AND q.diag <> 'HIV')",
        "SELECT COUNT(*) FROM persons p WHERE EXISTS (SELECT 1 FROM persons q WHERE q.person_id = p.person_id AND q.zip = '1000' AND q.diag = 'flu') OR EXISTS (SELECT 1 FROM persons q WHERE q.person_id = p.person_id AND q.zip = '2000' AND q.diag = 'HIV')",
        "SELECT COUNT(*) FROM persons p WHERE p.dept = 'tax' OR EXISTS (SELECT 1 FROM persons q WHERE q.person_id = p.person_id AND q.zip = '1000' AND q.diag = 'flu')",
        "SELECT COUNT(DISTINCT person_id) FROM (SELECT person_id FROM persons WHERE zip = '1000' AND diag = 'flu' UNION ALL SELECT person_id FROM persons WHERE zip = '2000' AND diag = 'HIV') t",
        "SELECT COUNT(*) FROM (SELECT COALESCE(a.person_id, b.person_id) AS person_id FROM (SELECT person_id FROM persons WHERE zip = '1000' AND diag = 'flu') a FULL JOIN (SELECT person_id FROM persons WHERE zip = '2000' AND diag = 'HIV') b ON a.person_id = b.person_id) t",
        "SELECT COUNT(DISTINCT v.person_id) FROM visits v LEFT JOIN (SELECT person_id, zip FROM persons WHERE diag = 'flu') f ON v.person_id = f.person_id GROUP BY f.zip",
        "SELECT COUNT(*) FROM (SELECT person_id, COUNT(*) FILTER (WHERE zip = '1000') AS n FROM persons WHERE diag = 'flu' GROUP BY person_id) t WHERE n = 1",
        "SELECT SUM(n) FROM (SELECT person_id, COUNT(*) FILTER (WHERE zip = '1000' AND diag = 'flu') AS n FROM persons GROUP BY person_id) t",
        "SELECT COUNT(*) FROM persons p LEFT JOIN (SELECT person_id FROM persons WHERE zip <> '1000' OR diag = 'flu') f ON p.person_id = f.person_id LEFT JOIN (SELECT person_id FROM persons WHERE zip <> '2000' OR diag = 'HIV') g ON p.person_id = g.person_id WHERE p.zip IN ('1000', '2000') AND f.person_id IS NOT NULL AND g.person_id IS NOT NULL",
        "SELECT COUNT(*) FROM persons p LEFT JOIN (SELECT person_id, zip FROM persons WHERE zip = '1000' AND diag = 'flu') f ON p.person_id = f.person_id JOIN zones z ON f.zip = z.zip",
        "SELECT COUNT(*) FROM persons WHERE diag <> 'flu' AND NOT EXISTS (SELECT 1 FROM visits v WHERE v.person_id = persons.person_id AND v.day = 3 AND EXISTS (SELECT 1 FROM persons q WHERE q.person_id = v.person_id AND q.diag = 'HIV'))",
        "SELECT COUNT(*) FROM (SELECT p.person_id, COUNT(f.person_id) AS n FROM persons p LEFT JOIN (SELECT person_id FROM persons WHERE zip = '1000' AND diag = 'flu') f ON p.person_id = f.person_id GROUP BY p.person_id) t WHERE n = 0 OR n = 1",
        "SELECT CASE WHEN zip = '1000' AND diag = 'flu' THEN 'a' ELSE 'b' END, COUNT(*) FROM persons GROUP BY 1",
        "SELECT COUNT(*) FROM (SELECT person_id, MAX(CASE WHEN zip = '1000' AND diag = 'flu' THEN 30 ELSE 10 END) AS f FROM persons GROUP BY person_id) t WHERE f >= 30",
    ] {
        let found = mixed(sql);
        assert!(
            found.contains(&Reason::SensitiveConditionsMixed)
                || !found.is_empty()
                    && ["MAX", "FULL", "EXISTS (SELECT 1 FROM visits"].iter().any(|word| sql.contains(word)),
            "{sql}: {found:?}"
        );
    }
    for sql in [
        "SELECT COUNT(*) FROM persons WHERE zip = '1000' AND (diag = 'flu' OR diag = 'HIV')",
        "SELECT COUNT(*) FROM persons WHERE CASE WHEN zip = '1000' THEN diag = 'flu' ELSE FALSE END",
        "SELECT COUNT(*) FROM persons WHERE (zip = '1000' AND diag = 'flu') IS TRUE",
    ] {
        assert_eq!(codes(sql), [], "{sql}");
    }
}

#[test]
fn under_noise_it_is_the_perturbed_rest_that_is_compared() {
    let policy = with_noise();
    let people = people(3);
    let crowd: Vec<Person> = (0..8).flat_map(|_| people.clone()).collect();
    let rows = rows(&crowd);
    for sql in [
        "SELECT zip, COUNT(*) FROM persons WHERE diag = 'flu' GROUP BY zip",
        "SELECT zip, COUNT(*) FILTER (WHERE diag = 'flu') FROM persons GROUP BY zip",
    ] {
        for version in 0..12 {
            let plan = noise::plan(&policy, sql);
            let context = noise::context(Arc::new(noise::Mixed), version);
            let batch = crate::fixture::execute::run_with(&plan, &rows, context, 1).unwrap();
            let (zips, numbers) =
                (batch.column(0).as_string::<i32>(), batch.column(1).as_primitive::<Int64Type>());
            let told: BTreeSet<&str> = (0..batch.num_rows())
                .filter(|row| numbers.is_valid(*row) && zips.is_valid(*row))
                .map(|row| zips.value(row))
                .collect();
            for zip in crowd.iter().map(|person| person.zip).collect::<BTreeSet<_>>() {
                let of = |is_ill: bool| {
                    crowd.iter().filter(|person| person.zip == zip && person.has("flu") == is_ill).count()
                };
                let (ill, well) = (of(true), of(false));
                assert!(!told.contains(zip) || ill >= LEAST && well >= LEAST, "{sql}: {zip} {ill} {well}");
                // Far above what noise may withhold.
                assert!(told.contains(zip) || ill < 100 || well < 100, "{sql}: {zip} {ill} {well}");
            }
        }
    }
}

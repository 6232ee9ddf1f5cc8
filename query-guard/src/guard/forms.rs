//! Ordinary SQL over results: every function of the allow-list with every type, alone and in other forms, over a boundary.
//! Each is answered, or refused with a reason; none fails while it runs.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::array::Date32Array;
use arrow::array::Decimal128Array;
use arrow::array::Int64Array;
use arrow::array::RecordBatch;
use arrow::array::StringArray;
use arrow::array::TimestampMicrosecondArray;

use crate::fixture::execute::Rows;
use crate::fixture::execute::run;
use crate::fixture::review;
use crate::verdict::Decision;

/// One column of each type, as results have them.
const RESULTS: &str = "(SELECT p.dept AS k, COUNT(*) AS n, SUM(v.cost) AS s, AVG(p.salary) AS a, date_trunc('year', p.hire) AS d, date_trunc('month', v.at) AS t, COUNT(*) > 20 AS b FROM persons p JOIN visits v ON p.person_id = v.person_id GROUP BY p.dept, date_trunc('year', p.hire), date_trunc('month', v.at)) r";
const COLUMNS: [&str; 7] = ["k", "n", "s", "a", "d", "t", "b"];

/// Every scalar function in the ways that it is written; `x` is the column.
const SCALARS: &[&str] = &[
    "abs(x)",
    "age_years(x)",
    "btrim(x)",
    "ceil(x)",
    "character_length(x)",
    "coalesce(x, x)",
    "concat(x, 'a')",
    "date_part('year', x)",
    "date_part('dow', x)",
    "date_trunc('month', x)",
    "extract(month FROM x)",
    "floor(x)",
    "greatest(x, x)",
    "least(x, x)",
    "left(x, 2)",
    "ln(x)",
    "log(x)",
    "log(2, x)",
    "log10(x)",
    "lower(x)",
    "ltrim(x)",
    "nullif(x, x)",
    "power(x, 2)",
    "right(x, 2)",
    "round(x)",
    "round(x, 1)",
    "round(x, -1)",
    "rtrim(x)",
    "signum(x)",
    "sqrt(x)",
    "strpos(x, 'a')",
    "substr(x, 1, 2)",
    "trunc(x)",
    "trunc(x, 1)",
    "upper(x)",
    "width_bucket(x, 0, 100, 10)",
    "x + 1",
    "x - 1",
    "x * 2",
    "x / 3",
    "x / 0",
    "x % 3",
    "-x",
    "x || 'a'",
    "x = x",
    "x < current_date",
    "x < now()",
    "x IN (x)",
    "x BETWEEN x AND x",
    "x LIKE 'a%'",
    "x IS NULL",
    "CASE WHEN x = x THEN x END",
    "CAST(x AS TEXT)",
    "CAST(x AS BIGINT)",
    "CAST(x AS DOUBLE)",
    "CAST(x AS DECIMAL(12, 3))",
    "CAST(x AS DATE)",
    "x * 100.0 / n",
    "round(x * 100.0 / n, 2)",
    "x / NULLIF(n - n, 0)",
    "x + INTERVAL '1 month'",
];

/// Aggregates over results, and windows.
const AGGREGATES: &[&str] = &[
    "approx_distinct(x)",
    "approx_median(x)",
    "approx_percentile_cont(x, 0.5)",
    "avg(x)",
    "bool_and(x = x)",
    "bool_or(x = x)",
    "corr(x, n)",
    "count(x)",
    "count(DISTINCT x)",
    "covar_pop(x, n)",
    "covar_samp(x, n)",
    "max(x)",
    "median(x)",
    "min(x)",
    "percentile_cont(0.5) WITHIN GROUP (ORDER BY x)",
    "regr_slope(x, n)",
    "regr_r2(x, n)",
    "stddev(x)",
    "stddev_pop(x)",
    "sum(x)",
    "var(x)",
    "var_pop(x)",
    "round(avg(x), 2)",
    "round(sum(x) / count(*), 1)",
    "sum(x) FILTER (WHERE n > 10)",
];
const WINDOWS: &[&str] = &[
    "cume_dist() OVER (ORDER BY x)",
    "dense_rank() OVER (ORDER BY x)",
    "first_value(x) OVER (ORDER BY n)",
    "lag(x) OVER (ORDER BY n)",
    "lag(x, 2, x) OVER (ORDER BY n)",
    "last_value(x) OVER (ORDER BY n)",
    "lead(x) OVER (ORDER BY n)",
    "nth_value(x, 2) OVER (ORDER BY n)",
    "ntile(4) OVER (ORDER BY x)",
    "percent_rank() OVER (ORDER BY x)",
    "rank() OVER (PARTITION BY k ORDER BY x)",
    "row_number() OVER (ORDER BY x)",
    "sum(x) OVER (ORDER BY n)",
    "avg(x) OVER (ORDER BY n ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING)",
    "x * 1.0 / sum(x) OVER ()",
];

/// Forms over individuals of the kinds that the engine plans and does not run.
const OVER_INDIVIDUALS: &[&str] = &[
    "SELECT COUNT(*) FROM (SELECT LAG(cost, 2, cost) OVER (PARTITION BY person_id ORDER BY day) AS x FROM visits) t WHERE x IS NOT NULL",
    "SELECT COUNT(*) FROM (SELECT LEAD(day, 1, day) OVER (PARTITION BY person_id ORDER BY day) AS x FROM visits) t WHERE x >= 2",
    "SELECT CAST(hire AS BIGINT), COUNT(*) FROM persons GROUP BY 1",
    "SELECT CAST(age AS DATE), COUNT(*) FROM persons GROUP BY 1",
    "SELECT COUNT(*) FROM persons WHERE CAST(hire AS TEXT) = '2001-01-01'",
    "SELECT COUNT(*) FROM persons WHERE -hire < birth",
    "SELECT SUM(CAST(cost AS DATE)) FROM visits",
    "SELECT SUM(ROUND(cost, 1)), AVG(ROUND(salary, -3)) FROM persons p JOIN visits v ON p.person_id = v.person_id",
    "SELECT ROUND(age, -1), COUNT(*) FROM persons GROUP BY 1",
    "SELECT COUNT(*) FROM persons WHERE ROUND(salary, -4) >= 40000",
    "SELECT approx_distinct(cost) FROM visits",
    "SELECT COUNT(*) FROM persons p WHERE dept NOT IN (SELECT diag FROM persons q WHERE q.person_id = p.person_id)",
    "SELECT COUNT(*) FROM persons p WHERE p.birth NOT IN (SELECT v.at FROM visits v WHERE v.person_id = p.person_id)",
    "SELECT COUNT(*) FROM persons p WHERE p.age = ANY (SELECT v.day FROM visits v WHERE v.person_id = p.person_id)",
    "SELECT COUNT(*) FROM persons p WHERE (SELECT MAX(day) FROM visits v WHERE v.person_id = p.person_id) > 3",
    "SELECT EXISTS (SELECT 1 FROM visits v WHERE v.person_id = p.person_id), COUNT(*) FROM persons p GROUP BY 1",
    "SELECT CASE WHEN EXISTS (SELECT 1 FROM visits v WHERE v.person_id = p.person_id) THEN 'a' ELSE 'b' END, COUNT(*) FROM persons p GROUP BY 1",
];

/// Two departments, two years, two months, thirty people in each.
fn rows() -> Rows {
    let count = 240_i64;
    let texts = |make: &dyn Fn(i64) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values((0..count).map(make)))
    };
    let numbers = |make: &dyn Fn(i64) -> i64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values((0..count).map(make)))
    };
    let days = |make: &dyn Fn(i64) -> i32| -> ArrayRef {
        Arc::new(Date32Array::from_iter_values((0..count).map(make)))
    };
    let persons = RecordBatch::try_from_iter(vec![
        ("person_id", numbers(&|row| row)),
        ("dept", texts(&|row| if row % 2 == 0 { "tax" } else { "12" }.to_owned())),
        ("zip", texts(&|_| "1000".to_owned())),
        ("age", numbers(&|row| 20 + row % 60)),
        ("sex", texts(&|row| if row % 3 == 0 { "f" } else { "m" }.to_owned())),
        ("diag", texts(&|_| "none".to_owned())),
        ("salary", numbers(&|row| 30_000 + row)),
        ("name", texts(&|_| "somebody".to_owned())),
        ("birth", days(&|_| 0)),
        ("hire", days(&|row| if row % 4 < 2 { 11_000 } else { 12_000 })),
    ]);
    let costs = Decimal128Array::from_iter_values((0..count).map(|row| i128::from(row * 37)));
    let times =
        TimestampMicrosecondArray::from_iter_values((0..count).map(|row| (row % 8 / 4) * 3_000_000_000_000));
    let visits = RecordBatch::try_from_iter(vec![
        ("visit_id", numbers(&|row| row)),
        ("person_id", numbers(&|row| row)),
        ("cost", Arc::new(costs.with_precision_and_scale(18, 2).unwrap()) as ArrayRef),
        ("day", numbers(&|row| row % 7)),
        ("at", Arc::new(times) as ArrayRef),
    ]);
    BTreeMap::from([
        ("corpus.persons", vec![vec![persons.unwrap()]]),
        ("corpus.visits", vec![vec![visits.unwrap()]]),
    ])
}

#[test]
fn ordinary_forms_are_answered_or_refused_with_a_reason() {
    let rows = rows();
    let mut forms = Vec::new();
    for column in COLUMNS {
        let of = |form: &str| {
            let words = form.split_inclusive(|c: char| !c.is_alphanumeric() && c != '_');
            words
                .map(|word| {
                    if word.trim_end_matches(|c: char| !c.is_alphanumeric()) == "x" {
                        word.replacen('x', column, 1)
                    } else {
                        word.to_owned()
                    }
                })
                .collect::<String>()
        };
        forms.extend(
            SCALARS.iter().chain(WINDOWS).map(|form| format!("SELECT {} AS y FROM {RESULTS}", of(form))),
        );
        forms.extend(AGGREGATES.iter().map(|form| format!("SELECT {} AS y FROM {RESULTS}", of(form))));
    }
    forms.extend(OVER_INDIVIDUALS.iter().map(|sql| (*sql).to_owned()));
    let (mut answered, mut failing) = (0_usize, Vec::new());
    for sql in &forms {
        let unwind = std::panic::AssertUnwindSafe(|| match review(sql).decision {
            Decision::Admitted(plan) => {
                run(&plan, &rows).map(|result| Some(result.num_rows())).map_err(|error| error.to_string())
            }
            Decision::Refused { findings, .. } if findings.is_empty() => {
                Err("refused without a reason".to_owned())
            }
            Decision::Refused { .. } => Ok(None),
        });
        match std::panic::catch_unwind(unwind) {
            Ok(Ok(Some(rows))) => {
                answered += 1;
                if rows == 0 {
                    failing.push(format!("no rows: {sql}"));
                }
            }
            Ok(Ok(None)) => {}
            Ok(Err(error)) => failing.push(format!("{error}: {sql}")),
            Err(_) => failing.push(format!("panics: {sql}")),
        }
    }
    let short: Vec<String> = failing.iter().map(|failure| failure.replace(RESULTS, "r")).collect();
    assert!(short.is_empty(), "{} of {}\n{}", short.len(), forms.len(), short.join("\n"));
    assert!(answered >= 200, "{answered} of {}", forms.len());
}

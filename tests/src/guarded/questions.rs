//! Random questions over people, their visits and two open tables, by kinds.
//! It does not care whether a question is admitted: a suite asks until enough are.

/// A small generator of repeatable numbers, printed with every failure.
#[derive(Debug, Clone)]
pub struct Seeded(pub u64);

impl Seeded {
    /// The next number below a bound.
    ///
    /// # Panics
    /// When the bound is zero.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or(0) % bound
    }

    fn one_of(&mut self, all: &[&str]) -> String {
        all[self.below(all.len())].to_owned()
    }

    fn sometimes(&mut self) -> bool {
        self.below(3) == 0
    }
}

/// Makes a question.
pub type Kind = fn(&mut Seeded) -> String;

/// All kinds; a run has some of each.
pub const KINDS: [(&str, Kind); 32] = [
    ("filters", filters),
    ("keys", keys),
    ("two keys", two_keys),
    ("conditions of aggregates", conditions),
    ("visits", visits),
    ("join", join),
    ("self join", self_join),
    ("self join with a condition between rows", self_join_between),
    ("copies joined", copies),
    ("semi join", semi_join),
    ("anti join", anti_join),
    ("mark join", mark_join),
    ("left join", left_join),
    ("unmatched rows", unmatched),
    ("per subject", per_subject),
    ("per subject, joined", per_subject_joined),
    ("correlated subquery", correlated),
    ("windows of a subject", own_windows),
    ("windows", windows),
    ("scalar benchmark", benchmark),
    ("scalar above", scalar_above),
    ("released joined", released_joined),
    ("open joined", open_joined),
    ("intervals joined", intervals_joined),
    ("results united", results_united),
    ("results joined", results_joined),
    ("results of results", results_of_results),
    ("ordered", ordered),
    ("ordered with ties", ordered_with_ties),
    ("limited", limited),
    ("distinct", distinct),
    ("open tables", open_tables),
];

fn of_persons(r: &mut Seeded, p: &str) -> String {
    let simple = |r: &mut Seeded| {
        let condition = r.one_of(&[
            "{p}dept = 'tax'",
            "{p}dept IN ('tax', 'health')",
            "{p}zip = '1003'",
            "{p}zip = '9999'",
            "{p}zip LIKE '10%'",
            "{p}diag = 'HIV'",
            "{p}diag <> 'none'",
            "{p}sex = 'f'",
            "{p}age >= 30",
            "{p}age < 60",
            "{p}salary >= 60000",
            "{p}salary < 100000",
            "{p}hire >= DATE '2002-01-01'",
            "NOT ({p}dept = 'police')",
            "{p}zip IS NOT NULL",
            "extract(year FROM {p}hire) = 2003",
        ]);
        condition.replace("{p}", p)
    };
    let first = simple(r);
    match r.below(5) {
        0 => format!("{first} AND {}", simple(r)),
        1 => format!("({first} OR {})", simple(r)),
        2 => format!("{p}zip = '9999' AND {p}diag = 'HIV'"),
        _ => first,
    }
}

fn of_visits(r: &mut Seeded, v: &str) -> String {
    let condition = r.one_of(&[
        "{v}day = 2",
        "{v}day IN (0, 1)",
        "{v}day BETWEEN 1 AND 3",
        "{v}cost >= 100",
        "{v}cost < 500",
        "{v}day >= 2 AND {v}cost >= 300",
        "{v}day <> 5",
    ]);
    condition.replace("{v}", v)
}

fn key_of_persons(r: &mut Seeded, p: &str) -> String {
    let key = r.one_of(&[
        "{p}dept",
        "{p}zip",
        "{p}sex",
        "{p}diag",
        "floor({p}age / 10) * 10",
        "date_trunc('year', {p}hire)",
        "extract(year FROM {p}hire)",
        "CASE WHEN {p}age < 30 THEN 'young' WHEN {p}age < 60 THEN 'middle' ELSE 'senior' END",
        "substring({p}zip, 1, 2)",
        "floor({p}salary / 20000) * 20000",
        "{p}age >= 60",
        "COALESCE({p}dept, 'unknown')",
    ]);
    key.replace("{p}", p)
}

fn of_everybody(r: &mut Seeded) -> String {
    r.one_of(&[
        "COUNT(*)",
        "COUNT(DISTINCT person_id)",
        "COUNT(*), SUM(salary)",
        "AVG(salary)",
        "COUNT(*), AVG(salary), SUM(salary)",
        "SUM(salary * 2 + 100)",
        "SUM(CASE WHEN sex = 'f' THEN salary END)",
        "AVG(CASE WHEN sex = 'f' THEN 1.0 ELSE 0.0 END)",
    ])
}

fn where_of(r: &mut Seeded, p: &str) -> String {
    if r.sometimes() { String::new() } else { format!(" WHERE {}", of_persons(r, p)) }
}

fn filters(r: &mut Seeded) -> String {
    format!("SELECT {} FROM persons WHERE {}", of_everybody(r), of_persons(r, ""))
}

fn keys(r: &mut Seeded) -> String {
    format!(
        "SELECT {} AS k, {} FROM persons{} GROUP BY 1",
        key_of_persons(r, ""),
        of_everybody(r),
        where_of(r, "")
    )
}

fn two_keys(r: &mut Seeded) -> String {
    let (first, second) = (key_of_persons(r, ""), key_of_persons(r, ""));
    format!("SELECT {first} AS k, {second} AS l, COUNT(*) AS n FROM persons{} GROUP BY 1, 2", where_of(r, ""))
}

fn conditions(r: &mut Seeded) -> String {
    format!(
        "SELECT {} AS k, COUNT(*) FILTER (WHERE {}) AS a, SUM(CASE WHEN {} THEN salary END) AS b FROM persons GROUP BY 1",
        key_of_persons(r, ""),
        of_persons(r, ""),
        of_persons(r, "")
    )
}

fn visits(r: &mut Seeded) -> String {
    let key = r.one_of(&["day", "day >= 3", "floor(cost / 100) * 100", "date_trunc('day', at)"]);
    let what = r.one_of(&["COUNT(*)", "COUNT(DISTINCT person_id)", "SUM(cost)", "AVG(cost), COUNT(*)"]);
    format!("SELECT {key} AS k, {what} FROM visits WHERE {} GROUP BY 1", of_visits(r, ""))
}

fn join(r: &mut Seeded) -> String {
    let what = r.one_of(&[
        "COUNT(DISTINCT p.person_id)",
        "SUM(v.cost)",
        "COUNT(*), AVG(v.cost)",
        "COUNT(DISTINCT v.person_id), SUM(v.cost)",
    ]);
    let key = key_of_persons(r, "p.");
    let (persons, visits) = (of_persons(r, "p."), of_visits(r, "v."));
    match r.below(3) {
        0 => format!(
            "SELECT {what} FROM persons p, visits v WHERE p.person_id = v.person_id AND {persons} AND {visits}"
        ),
        1 => format!(
            "SELECT {key} AS k, {what} FROM visits v JOIN persons p USING (person_id) WHERE {visits} GROUP BY 1"
        ),
        _ => format!(
            "SELECT {key} AS k, {what} FROM persons p JOIN visits v ON p.person_id = v.person_id AND {visits} WHERE {persons} GROUP BY 1"
        ),
    }
}

fn self_join(r: &mut Seeded) -> String {
    let third = if r.sometimes() {
        format!(" JOIN visits c ON a.person_id = c.person_id AND {}", of_visits(r, "c."))
    } else {
        String::new()
    };
    format!(
        "SELECT COUNT(DISTINCT a.person_id) FROM visits a JOIN visits b ON a.person_id = b.person_id{third} WHERE {} AND {}",
        of_visits(r, "a."),
        of_visits(r, "b.")
    )
}

fn self_join_between(r: &mut Seeded) -> String {
    let between = r.one_of(&["b.day > a.day", "b.day >= a.day", "b.at > a.at", "b.day = a.day"]);
    let key = r.one_of(&["a.day", "b.day", "a.day >= 2"]);
    format!(
        "SELECT {key} AS k, COUNT(DISTINCT a.person_id) FROM visits a JOIN visits b ON a.person_id = b.person_id AND {between} WHERE {} GROUP BY 1",
        of_visits(r, "a.")
    )
}

fn copies(r: &mut Seeded) -> String {
    let table = r.one_of(&["persons", "visits"]);
    let copies = vec![format!("SELECT person_id FROM {table}"); 2 + r.below(2)].join(" UNION ALL ");
    format!(
        "WITH u AS ({copies}) SELECT COUNT(DISTINCT p.person_id) FROM persons p JOIN u ON p.person_id = u.person_id WHERE {}",
        of_persons(r, "p.")
    )
}

fn those_who_visited(r: &mut Seeded, not: &str) -> String {
    let condition = of_visits(r, "v.");
    if r.sometimes() {
        format!("p.person_id {not}IN (SELECT v.person_id FROM visits v WHERE {condition})")
    } else {
        format!("{not}EXISTS (SELECT 1 FROM visits v WHERE v.person_id = p.person_id AND {condition})")
    }
}

fn semi_join(r: &mut Seeded) -> String {
    let who = those_who_visited(r, "");
    let key = key_of_persons(r, "p.");
    format!("SELECT {key} AS k, COUNT(*) FROM persons p WHERE {who} AND {} GROUP BY 1", of_persons(r, "p."))
}

fn anti_join(r: &mut Seeded) -> String {
    let who = those_who_visited(r, "NOT ");
    let key = key_of_persons(r, "p.");
    format!("SELECT {key} AS k, COUNT(*), AVG(p.salary) FROM persons p WHERE {who} GROUP BY 1")
}

fn mark_join(r: &mut Seeded) -> String {
    let not = r.one_of(&["", "NOT "]);
    let who = those_who_visited(r, &not);
    format!("SELECT p.sex, COUNT(*) FROM persons p WHERE {who} OR {} GROUP BY p.sex", of_persons(r, "p."))
}

fn left_join(r: &mut Seeded) -> String {
    let what = r.one_of(&[
        "COUNT(DISTINCT p.person_id)",
        "COUNT(DISTINCT v.person_id)",
        "SUM(v.cost)",
        "AVG(v.cost), COUNT(v.person_id)",
    ]);
    let key = key_of_persons(r, "p.");
    format!(
        "SELECT {key} AS k, {what} FROM persons p LEFT JOIN visits v ON p.person_id = v.person_id{} GROUP BY 1",
        where_of(r, "p.")
    )
}

fn unmatched(r: &mut Seeded) -> String {
    let key = key_of_persons(r, "p.");
    format!(
        "SELECT {key} AS k, COUNT(*) FROM persons p LEFT JOIN visits v ON p.person_id = v.person_id WHERE v.person_id IS NULL AND {} GROUP BY 1",
        of_persons(r, "p.")
    )
}

fn per_subject(r: &mut Seeded) -> String {
    let inner = format!(
        "SELECT person_id, COUNT(*) AS n, SUM(cost) AS total, MIN(day) AS first FROM visits WHERE {} GROUP BY person_id",
        of_visits(r, "")
    );
    let outer = r.one_of(&[
        "SELECT n, COUNT(*) FROM ({}) t GROUP BY n",
        "SELECT AVG(total) FROM ({}) t",
        "SELECT floor(total / 100) * 100 AS band, COUNT(*) FROM ({}) t GROUP BY 1",
        "SELECT first, COUNT(*) FROM ({}) t GROUP BY first",
        "SELECT SUM(n), COUNT(*) FROM ({}) t",
    ]);
    outer.replace("{}", &inner)
}

fn per_subject_joined(r: &mut Seeded) -> String {
    let how = r.one_of(&["JOIN", "LEFT JOIN"]);
    let what = r.one_of(&["COUNT(*)", "AVG(COALESCE(s.n, 0))", "COUNT(s.n)", "SUM(s.n)"]);
    let key = key_of_persons(r, "p.");
    format!(
        "SELECT {key} AS k, {what} FROM persons p {how} (SELECT person_id, COUNT(*) AS n FROM visits WHERE {} GROUP BY person_id) s ON p.person_id = s.person_id GROUP BY 1",
        of_visits(r, "")
    )
}

fn correlated(r: &mut Seeded) -> String {
    let condition = r.one_of(&[
        "(SELECT COUNT(*) FROM visits v WHERE v.person_id = p.person_id) >= 3",
        "(SELECT SUM(cost) FROM visits v WHERE v.person_id = p.person_id) >= 300",
        "(SELECT COUNT(*) FROM visits v WHERE v.person_id = p.person_id AND v.day = 2) >= 1",
    ]);
    let key = key_of_persons(r, "p.");
    format!("SELECT {key} AS k, COUNT(*) FROM persons p WHERE {condition} GROUP BY 1")
}

fn own_windows(r: &mut Seeded) -> String {
    let condition = of_visits(r, "");
    let whole = r.one_of(&[
        "SELECT k, COUNT(*) FROM (SELECT day AS k, ROW_NUMBER() OVER (PARTITION BY person_id ORDER BY day, cost) AS nth FROM visits WHERE {}) t WHERE nth = 1 GROUP BY k",
        "SELECT COUNT(*) FROM (SELECT day, LAG(day) OVER (PARTITION BY person_id ORDER BY day) AS before FROM visits WHERE {}) t WHERE before < day",
        "SELECT COUNT(*) FROM (SELECT cost, AVG(cost) OVER (PARTITION BY person_id) AS own FROM visits WHERE {}) t WHERE cost > own",
        "SELECT n, COUNT(DISTINCT person_id) FROM (SELECT person_id, COUNT(*) OVER (PARTITION BY person_id) AS n FROM visits WHERE {}) t GROUP BY n",
    ]);
    whole.replace("{}", &condition)
}

fn windows(r: &mut Seeded) -> String {
    let (key, other) = (key_of_persons(r, ""), key_of_persons(r, ""));
    let window = r.one_of(&[
        "RANK() OVER (ORDER BY n DESC)",
        "ROW_NUMBER() OVER (ORDER BY n)",
        "ROW_NUMBER() OVER (PARTITION BY k ORDER BY n)",
        "SUM(n) OVER (PARTITION BY k ORDER BY n)",
        "SUM(n) OVER (ORDER BY n ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)",
        "n * 1.0 / SUM(n) OVER ()",
        "LAG(n) OVER (ORDER BY n)",
        "NTILE(3) OVER (ORDER BY n)",
    ]);
    format!(
        "SELECT k, l, n, {window} AS w FROM (SELECT {key} AS k, {other} AS l, COUNT(*) AS n FROM persons GROUP BY 1, 2) t"
    )
}

fn benchmark(r: &mut Seeded) -> String {
    let (persons, visits) = (of_persons(r, ""), of_visits(r, ""));
    let whole = r.one_of(&[
        "SELECT dept, COUNT(*) FROM persons WHERE salary > (SELECT AVG(salary) FROM persons) GROUP BY dept",
        "SELECT COUNT(*) FROM persons WHERE salary > (SELECT AVG(salary) FROM persons) AND {p}",
        "SELECT day, COUNT(*) FROM visits WHERE cost > (SELECT AVG(cost) FROM visits) GROUP BY day",
        "SELECT COUNT(DISTINCT person_id) FROM visits WHERE cost > (SELECT AVG(cost) FROM visits) AND {v}",
        "SELECT sex, COUNT(*) FROM persons WHERE salary < (SELECT AVG(salary) FROM persons) AND {p} GROUP BY sex",
    ]);
    whole.replace("{p}", &persons).replace("{v}", &visits)
}

fn scalar_above(r: &mut Seeded) -> String {
    let key = key_of_persons(r, "");
    let what = r.one_of(&[
        "AVG(salary) - (SELECT AVG(salary) FROM persons)",
        "COUNT(*) * 1.0 / (SELECT COUNT(*) FROM persons)",
        "COUNT(*) - (SELECT MAX(level) FROM zones)",
    ]);
    format!("SELECT {key} AS k, {what} AS x FROM persons{} GROUP BY 1", where_of(r, ""))
}

fn released_joined(r: &mut Seeded) -> String {
    let whole = r.one_of(&[
        "SELECT COUNT(*) FROM persons p JOIN (SELECT dept, AVG(salary) AS mean FROM persons GROUP BY dept) m ON p.dept = m.dept WHERE p.salary > m.mean",
        "SELECT COUNT(*) FROM persons WHERE dept IN (SELECT dept FROM persons GROUP BY dept) AND {}",
        "SELECT p.dept, COUNT(*), SUM(p.salary) FROM persons p JOIN (SELECT dept, AVG(salary) AS mean FROM persons GROUP BY dept) m ON p.dept = m.dept WHERE {p} GROUP BY p.dept",
        "SELECT p.sex, COUNT(*) FROM persons p JOIN (SELECT sex, AVG(salary) AS mean FROM persons GROUP BY sex) m ON p.sex = m.sex WHERE p.salary < m.mean GROUP BY p.sex",
        "SELECT v.day, COUNT(*) FROM visits v JOIN (SELECT day, AVG(cost) AS mean FROM visits GROUP BY day) m ON v.day = m.day WHERE v.cost > m.mean GROUP BY v.day",
    ]);
    let (bare, named) = (of_persons(r, ""), of_persons(r, "p."));
    whole.replace("{}", &bare).replace("{p}", &named)
}

fn open_joined(r: &mut Seeded) -> String {
    let whole = r.one_of(&[
        "SELECT z.district, COUNT(*) FROM persons p JOIN zones z ON p.zip = z.zip WHERE {} GROUP BY z.district",
        "SELECT COUNT(*), SUM(p.salary) FROM persons p JOIN zones z ON p.zip = z.zip WHERE z.district = 'north' AND {}",
        "SELECT p.dept, COUNT(*) FROM persons p WHERE p.zip IN (SELECT zip FROM zones WHERE district = 'north') AND {} GROUP BY p.dept",
        "SELECT p.dept, COUNT(*) FROM persons p WHERE p.dept = 'tax' OR p.zip IN (SELECT zip FROM zones WHERE district = 'south') GROUP BY p.dept",
        "SELECT z.district, p.sex, COUNT(*) FROM persons p LEFT JOIN zones z ON p.zip = z.zip WHERE {} GROUP BY z.district, p.sex",
    ]);
    let condition = of_persons(r, "p.");
    whole.replace("{}", &condition)
}

fn intervals_joined(r: &mut Seeded) -> String {
    let whole = r.one_of(&[
        "SELECT h.holiday, COUNT(*) FROM visits v JOIN holidays h ON v.day BETWEEN h.first_day AND h.last_day WHERE {} GROUP BY h.holiday",
        "SELECT COUNT(*), SUM(v.cost) FROM visits v, holidays h WHERE v.day >= h.first_day AND v.day <= h.last_day AND h.holiday = 'fair' AND {}",
        "SELECT COUNT(*) FROM visits v WHERE v.cost >= 100 OR EXISTS (SELECT 1 FROM holidays h WHERE v.day BETWEEN h.first_day AND h.last_day)",
    ]);
    let condition = of_visits(r, "v.");
    whole.replace("{}", &condition)
}

fn results_united(r: &mut Seeded) -> String {
    let (first, second) = (where_of(r, ""), where_of(r, ""));
    let key = key_of_persons(r, "");
    let whole = r.one_of(&[
        "SELECT 'a' AS k, COUNT(*) AS n FROM persons{1} UNION ALL SELECT 'b', COUNT(*) FROM persons{2} UNION ALL SELECT 'c', COUNT(*) FROM visits",
        "SELECT {k} AS k, COUNT(*) AS n FROM persons{1} GROUP BY 1 UNION ALL SELECT {k}, COUNT(*) FROM persons{2} GROUP BY 1",
        "SELECT zip FROM persons{1} GROUP BY zip UNION SELECT zip FROM zones",
        "SELECT zip FROM zones EXCEPT SELECT zip FROM persons{1} GROUP BY zip",
        "SELECT dept FROM persons{1} GROUP BY dept INTERSECT SELECT dept FROM persons{2} GROUP BY dept",
    ]);
    whole.replace("{1}", &first).replace("{2}", &second).replace("{k}", &key)
}

fn results_joined(r: &mut Seeded) -> String {
    let how = r.one_of(&["JOIN", "LEFT JOIN", "FULL JOIN"]);
    let (first, second) = (where_of(r, ""), where_of(r, "p."));
    let key = r.one_of(&["dept", "zip", "sex", "diag"]);
    format!(
        "WITH a AS (SELECT {key}, COUNT(*) AS n FROM persons{first} GROUP BY {key}), b AS (SELECT p.{key}, SUM(v.cost) AS c FROM persons p JOIN visits v ON p.person_id = v.person_id{second} GROUP BY p.{key}) SELECT a.{key}, b.{key} AS l, n, c, c / n AS x FROM a {how} b ON a.{key} = b.{key}"
    )
}

fn results_of_results(r: &mut Seeded) -> String {
    let (key, other) = (key_of_persons(r, ""), key_of_persons(r, ""));
    let inner = format!(
        "SELECT {key} AS k, {other} AS l, COUNT(*) AS n, AVG(salary) AS m FROM persons{} GROUP BY 1, 2",
        where_of(r, "")
    );
    let outer = r.one_of(&[
        "SELECT k, SUM(n) FROM ({}) t GROUP BY k",
        "SELECT k, AVG(m), MAX(n), MIN(m) FROM ({}) t GROUP BY k",
        "SELECT AVG(m), SUM(m), STDDEV(m) FROM ({}) t",
        "SELECT n, COUNT(*) FROM ({}) t GROUP BY n HAVING COUNT(*) >= 1",
        "SELECT k, COUNT(DISTINCT l), MEDIAN(m) FROM ({}) t GROUP BY k",
    ]);
    outer.replace("{}", &inner)
}

fn ordered(r: &mut Seeded) -> String {
    let (key, other) = (key_of_persons(r, ""), key_of_persons(r, ""));
    let how = r.one_of(&["1, 2", "2 DESC, 1", "1 DESC, 2 DESC"]);
    format!(
        "SELECT {key} AS k, {other} AS l, COUNT(*) AS n FROM persons{} GROUP BY 1, 2 ORDER BY {how}",
        where_of(r, "")
    )
}

fn ordered_with_ties(r: &mut Seeded) -> String {
    let (key, other) = (key_of_persons(r, ""), key_of_persons(r, ""));
    let how = r.one_of(&["n", "n DESC", "l", "n > 10", "k, n"]);
    let limit = r.one_of(&["", " LIMIT 3", " LIMIT 4 OFFSET 1"]);
    format!(
        "SELECT {key} AS k, {other} AS l, COUNT(*) AS n FROM persons{} GROUP BY 1, 2 ORDER BY {how}{limit}",
        where_of(r, "")
    )
}

fn limited(r: &mut Seeded) -> String {
    let (key, other) = (key_of_persons(r, ""), key_of_persons(r, ""));
    let whole = r.one_of(&[
        "SELECT {k} AS k, {l} AS l, COUNT(*) AS n FROM persons GROUP BY 1, 2 LIMIT 3",
        "SELECT n FROM (SELECT {k} AS k, {l} AS l, COUNT(*) AS n FROM persons GROUP BY 1, 2 LIMIT 5) t WHERE n >= 5",
        "SELECT SUM(n) FROM (SELECT {k} AS k, {l} AS l, COUNT(*) AS n FROM persons GROUP BY 1, 2 LIMIT 5) t",
        "SELECT SUM(n) FROM (SELECT {k} AS k, {l} AS l, COUNT(*) AS n FROM persons GROUP BY 1, 2 ORDER BY n LIMIT 3) t",
        "SELECT 'a' AS k, COUNT(*) AS n FROM persons UNION ALL SELECT 'b', COUNT(*) FROM visits UNION ALL SELECT 'c', COUNT(*) FROM zones LIMIT 2",
        "SELECT district, level FROM zones LIMIT 7",
    ]);
    whole.replace("{k}", &key).replace("{l}", &other)
}

fn distinct(r: &mut Seeded) -> String {
    let (key, other) = (key_of_persons(r, ""), key_of_persons(r, ""));
    let condition = where_of(r, "");
    let whole = r.one_of(&[
        "SELECT DISTINCT {k} AS k FROM persons{w}",
        "SELECT DISTINCT {k} AS k, {l} AS l FROM persons{w}",
        "SELECT DISTINCT n FROM (SELECT {k} AS k, {l} AS l, COUNT(*) AS n FROM persons{w} GROUP BY 1, 2) t",
        "SELECT COUNT(DISTINCT n) FROM (SELECT {k} AS k, {l} AS l, COUNT(*) AS n FROM persons{w} GROUP BY 1, 2) t",
    ]);
    whole.replace("{k}", &key).replace("{l}", &other).replace("{w}", &condition)
}

/// Whole numbers only: fractions of open rows are added up in the order of the cut, and differ in their last digit.
fn open_tables(r: &mut Seeded) -> String {
    let level = r.below(3);
    let district = r.one_of(&["north", "south"]);
    let whole = r.one_of(&[
        "SELECT district, COUNT(*) FROM zones WHERE level >= {n} GROUP BY district",
        "SELECT zip, level FROM zones WHERE district = '{d}' OR level = {n}",
        "SELECT a.zip, b.district FROM zones a JOIN zones b ON a.level = b.level WHERE a.level = {n} AND b.district = '{d}'",
        "SELECT h.holiday, z.zip FROM holidays h CROSS JOIN zones z WHERE z.level = {n} AND z.district = '{d}'",
        "SELECT district, AVG(level), SUM(level * 3) FROM zones WHERE level <> {n} GROUP BY district",
        "SELECT level, district FROM zones WHERE district = '{d}' ORDER BY level DESC",
        "SELECT DISTINCT level + {n} FROM zones WHERE district = '{d}'",
    ]);
    whole.replace("{n}", &level.to_string()).replace("{d}", &district)
}

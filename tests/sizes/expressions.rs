//! Expressions within expressions: how each is made for a depth, and all places where an expression can stand.
//! Statements that nest otherwise are in `statements`.

use crate::Case;
use crate::Construct;

/// Longest text that is worth asking: beyond the guard's own limit nothing changes any more.
const BYTES_MAX: usize = 150_000;

/// The type of an expression, which decides how it becomes a condition.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Number,
    Date,
    Condition,
}

/// Wraps an expression once more; the level is for names and literals.
type Wrap = fn(&str, usize) -> String;

/// An expression by what it begins with and how it goes on.
struct Expression {
    name: &'static str,
    kind: Kind,
    begins: &'static str,
    wrap: Wrap,
}

/// The places where an expression can stand, by name: `{e}` is the expression, `{p}` the condition that it makes, `{n}` a
/// measure.
const PLACES: [(&str, &str); 16] = [
    ("where", "SELECT COUNT(*) FROM persons WHERE {p}"),
    ("filter", "SELECT COUNT(*) FILTER (WHERE {p}) FROM persons"),
    (
        "on",
        "SELECT COUNT(DISTINCT v.person_id) FROM persons p JOIN visits v ON p.person_id = v.person_id AND {p}",
    ),
    ("in", "SELECT COUNT(*) FROM visits WHERE person_id IN (SELECT person_id FROM persons WHERE {p})"),
    ("list", "SELECT COUNT(*) FROM persons WHERE {e} IN ({e})"),
    ("key", "SELECT {e} AS k, COUNT(*) FROM persons GROUP BY 1"),
    ("key-of-a-condition", "SELECT {p} AS k, COUNT(*) FROM persons GROUP BY 1"),
    ("aggregate", "SELECT SUM({n}), AVG({n}) FROM persons"),
    ("case", "SELECT SUM(CASE WHEN {p} THEN salary ELSE 0 END) FROM persons"),
    (
        "per-subject",
        "SELECT n, COUNT(*) FROM (SELECT person_id, COUNT(*) AS n FROM persons WHERE {p} GROUP BY person_id) t GROUP BY n",
    ),
    ("having", "SELECT zip, SUM(salary) FROM persons GROUP BY zip, dept, sex, hire HAVING {h}"),
    ("above-where", "SELECT zip FROM ({above}) t WHERE {p}"),
    ("above-select", "SELECT {e} AS x FROM ({above}) t ORDER BY {e}"),
    ("above-window", "SELECT SUM(salary) OVER (PARTITION BY {e} ORDER BY {e}) AS w FROM ({above}) t"),
    ("above-group", "SELECT {e} AS k, MAX(salary) FROM ({above}) t GROUP BY {e} HAVING COUNT(*) > 0"),
    ("above-on", "SELECT t.zip FROM ({above}) t JOIN zones z ON t.zip = z.zip AND {q}"),
];

/// Released values of every kind.
const ABOVE: &str =
    "SELECT dept, zip, sex, hire, SUM(salary) AS salary FROM persons GROUP BY dept, zip, sex, hire";

const EXPRESSIONS: &[Expression] = &[
    text("coalesce-first", |e, _| format!("COALESCE({e}, zip)")),
    text("coalesce-last", |e, _| format!("COALESCE(zip, {e})")),
    text("coalesce-constant", |e, n| format!("COALESCE({e}, '{n}')")),
    text("nullif-first", |e, n| format!("NULLIF({e}, '{n}')")),
    text("nullif-last", |e, _| format!("NULLIF(zip, {e})")),
    text("case-operand", |e, n| format!("CASE {e} WHEN '{n}' THEN 'a' WHEN 'b' THEN zip ELSE 'c' END")),
    text("case-searched-else", |e, n| format!("CASE WHEN zip = '{n}' THEN 'a' ELSE {e} END")),
    text("case-searched-then", |e, n| format!("CASE WHEN zip <> '{n}' THEN {e} ELSE 'z' END")),
    text("case-in-the-condition", |e, n| format!("CASE WHEN {e} = '{n}' THEN zip ELSE 'b' END")),
    text("case-everywhere", |e, n| {
        format!("CASE WHEN {e} = '{n}' THEN 'a' WHEN zip = 'b' THEN {e} ELSE 'c' END")
    }),
    text("case-of-constants", |e, n| format!("CASE WHEN {e} = 'a{n}' THEN 'a' ELSE 'b' END")),
    text("nullif-of-coalesce", |e, n| format!("NULLIF(COALESCE({e}, zip), '{n}')")),
    text("coalesce-of-case", |e, n| format!("COALESCE(CASE {e} WHEN '{n}' THEN zip END, zip)")),
    text("cast-of-text", |e, _| format!("CAST({e} AS VARCHAR)")),
    text("concat-operator", |e, n| format!("{e} || '{n}'")),
    text("concat-operator-twice", |e, _| format!("({e} || {e})")),
    text("concat-call", |e, n| format!("concat('{n}', {e})")),
    text("lower-of-upper", |e, _| format!("lower(upper({e}))")),
    text("trim", |e, _| format!("trim({e})")),
    text("substring", |e, _| format!("substring({e}, 1, 3)")),
    text("left-of-right", |e, _| format!("left(right({e}, 4), 3)")),
    text("greatest", |e, n| format!("greatest({e}, least(zip, '{n}'))")),
    text("parentheses", |e, _| format!("({e})")),
    number("plus", |e, _| format!("{e} + 20000")),
    number("plus-on-the-right", |e, _| format!("(20000 + {e})")),
    number("plus-itself", |e, _| format!("({e} + {e})")),
    number("times", |e, _| format!("{e} * 2")),
    number("times-itself", |e, _| format!("{e} * salary")),
    number("minus-remainder", |e, _| format!("({e} - {e} % 20000)")),
    number("divided", |e, _| format!("({e} / 2)")),
    number("sign", |e, _| format!("- ({e})")),
    number("floor", |e, _| format!("floor({e} / 20000) * 20000")),
    number("bucket", |e, _| format!("width_bucket({e}, 0, 200000, 10)")),
    number("rounded", |e, _| format!("round(abs({e}))")),
    number("power", |e, _| format!("power({e}, 2)")),
    number("coalesce-of-numbers", |e, _| format!("COALESCE({e}, salary, 0)")),
    number("nullif-of-numbers", |e, _| format!("NULLIF({e}, 0)")),
    number("case-of-numbers", |e, n| format!("CASE WHEN zip = '{n}' THEN {e} ELSE salary END")),
    number("case-operand-of-numbers", |e, _| format!("CASE {e} WHEN 20000 THEN salary ELSE 0 END")),
    number("casts", |e, _| format!("CAST(CAST({e} AS VARCHAR) AS BIGINT)")),
    number("casts-of-numbers", |e, _| format!("CAST(CAST({e} AS DOUBLE) AS BIGINT)")),
    date("date-trunc", |e, _| format!("date_trunc('month', {e})")),
    date("intervals", |e, _| format!("{e} + INTERVAL '1 day'")),
    date("dates-coalesced", |e, _| format!("COALESCE({e}, hire)")),
    condition("not", |e, _| format!("NOT ({e})")),
    condition("not-without-parentheses", |e, _| format!("NOT {e}")),
    condition("and", |e, n| format!("{e} AND zip <> '{n}'")),
    condition("or", |e, n| format!("{e} OR zip = '{n}'")),
    condition("and-or", |e, n| format!("({e} AND zip <> '{n}' OR dept = 'd{n}')")),
    condition("or-of-ands", |e, n| format!("{e} OR (zip = '{n}' AND dept = 'd{n}' AND sex = 's{n}')")),
    condition("and-of-ors", |e, n| format!("{e} AND (zip = '{n}' OR dept = 'd{n}' OR sex = 's{n}')")),
    condition("xor", |e, n| format!("(({e}) AND NOT (zip = '{n}') OR NOT ({e}) AND zip = '{n}')")),
    condition("between", |e, _| format!("(({e}) BETWEEN FALSE AND TRUE)")),
    condition("between-chain", |e, n| format!("{e} AND zip BETWEEN '{n}' AND '9'")),
    condition("in-in", |e, _| format!("(({e}) IN (TRUE))")),
    condition("in-lists", |e, n| format!("{e} OR zip IN ('{n}', 'a{n}', 'b{n}', 'c{n}')")),
    condition("not-in-lists", |e, n| format!("{e} AND zip NOT IN ('{n}', 'a{n}')")),
    condition("like", |e, n| format!("{e} OR zip LIKE '1{n}%'")),
    condition("is-null", |e, _| format!("(({e}) IS NULL)")),
    condition("is-true", |e, _| format!("(({e}) IS NOT TRUE)")),
    condition("is-distinct", |e, n| format!("(({e}) IS DISTINCT FROM (zip = '{n}'))")),
    condition("equals-true", |e, _| format!("(({e}) = TRUE)")),
    condition("condition-coalesced", |e, _| format!("COALESCE({e}, FALSE)")),
    condition("condition-in-case", |e, n| format!("CASE WHEN {e} THEN zip = '{n}' ELSE dept = 'tax' END")),
    condition("exists-in-the-condition", |e, _| {
        format!("(({e}) AND EXISTS (SELECT 1 FROM zones z WHERE z.zip = '1000'))")
    }),
];

const fn text(name: &'static str, wrap: Wrap) -> Expression {
    Expression { name, kind: Kind::Text, begins: "zip", wrap }
}

const fn number(name: &'static str, wrap: Wrap) -> Expression {
    Expression { name, kind: Kind::Number, begins: "salary", wrap }
}

const fn date(name: &'static str, wrap: Wrap) -> Expression {
    Expression { name, kind: Kind::Date, begins: "hire", wrap }
}

const fn condition(name: &'static str, wrap: Wrap) -> Expression {
    Expression { name, kind: Kind::Condition, begins: "dept = 'tax'", wrap }
}

/// Every expression at every place, and as a row filter of a policy.
pub(crate) fn constructs() -> Vec<Construct> {
    let of = |expression: &'static Expression| {
        let mut cases: Vec<Case> = PLACES
            .iter()
            .filter(|(place, _)| *place != "list" || expression.kind != Kind::Condition)
            .map(|(place, statement)| Case {
                place: (*place).to_owned(),
                is_row_filter: false,
                text: Box::new(move |depth| stands(statement, expression, &nested(expression, depth)?)),
            })
            .collect();
        cases.push(Case {
            place: "row-filter".to_owned(),
            is_row_filter: true,
            text: Box::new(move |depth| Some(condition_of(expression.kind, &nested(expression, depth)?))),
        });
        Construct { name: expression.name, cases }
    };
    EXPRESSIONS.iter().map(of).collect()
}

/// The expression, wrapped so often; none when it is too long.
fn nested(expression: &Expression, depth: usize) -> Option<String> {
    let mut text = expression.begins.to_owned();
    for level in 0..depth {
        text = (expression.wrap)(&text, level);
        if text.len() > BYTES_MAX {
            return None;
        }
    }
    Some(text)
}

fn condition_of(kind: Kind, text: &str) -> String {
    match kind {
        Kind::Text => format!("{text} = '1000'"),
        Kind::Number => format!("{text} >= 20000"),
        Kind::Date => format!("{text} >= DATE '2001-01-01'"),
        Kind::Condition => text.to_owned(),
    }
}

fn stands(statement: &str, expression: &Expression, text: &str) -> Option<String> {
    let condition = condition_of(expression.kind, text);
    let measure = match expression.kind {
        Kind::Number => text.to_owned(),
        Kind::Text | Kind::Date | Kind::Condition => format!("CASE WHEN {condition} THEN salary END"),
    };
    // Both sides of a join have a `zip`.
    let qualified = condition.replace("zip", "t.zip");
    let whole = statement
        .replace("{above}", ABOVE)
        .replace("{e}", text)
        .replace("{p}", &condition)
        .replace("{n}", &measure)
        .replace("{h}", &condition.replace("salary", "SUM(salary)"))
        .replace("{q}", &qualified);
    (whole.len() <= 3 * BYTES_MAX).then_some(whole)
}

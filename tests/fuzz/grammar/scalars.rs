//! Expressions over results, by type: every scalar function that the guard lists, some that it does not, arithmetic, CASE,
//! casts and comparisons.
//!
//! Casts and divisions are spelled for plain DataFusion as the product declares them: NULL where they would fail.

use super::conditions::filled;
use super::dice::Dice;
use super::forms::TODAY;
use super::forms::quotient;
use super::results::Output;
use super::results::Type;
use crate::question::Text;

/// An expression of any type.
pub(crate) fn scalar(d: &mut Dice, outputs: &[Output], released: bool, depth: usize) -> (Text, Type) {
    match d.below(20) {
        0..=10 => number(d, outputs, released, depth),
        11..=15 => (text(d, outputs, depth), Type::Text),
        16..=17 => (truth(d, outputs, released), Type::Truth),
        18 => {
            let (first, of) = number(d, outputs, released, depth.saturating_sub(1));
            let condition = truth(d, outputs, released);
            (Text::of("CASE WHEN {} THEN {} END", &[&condition, &first]), of)
        }
        _ => unlisted(d, outputs),
    }
}

fn of_type<'a>(d: &mut Dice, outputs: &'a [Output], is_wanted: fn(Type) -> bool) -> Option<&'a Output> {
    let fitting: Vec<&Output> = outputs.iter().filter(|output| is_wanted(output.of)).collect();
    if fitting.is_empty() { None } else { Some(d.one_of(&fitting)) }
}

/// A number.
pub(crate) fn number(d: &mut Dice, outputs: &[Output], released: bool, depth: usize) -> (Text, Type) {
    let Some(column) = of_type(d, outputs, Type::is_number) else {
        return match of_type(d, outputs, |of| of == Type::Text) {
            Some(column) => (Text::of("character_length({})", &[&column.text]), Type::Int),
            None => ("7".into(), Type::Int),
        };
    };
    if depth == 0 || d.percent(25) {
        return (column.text.clone(), column.of);
    }
    let (inner, of) = number(d, outputs, released, depth - 1);
    let (other, of_other) = number(d, outputs, released, depth - 1);
    let widest = match (of, of_other) {
        (Type::Real, _) | (_, Type::Real) => Type::Real,
        (Type::Decimal, _) | (_, Type::Decimal) => Type::Decimal,
        _ => Type::Int,
    };
    let double = Text::new(
        format!("CAST({} AS DOUBLE)", inner.on(crate::question::Side::Asked)),
        format!("TRY_CAST({} AS DOUBLE)", inner.on(crate::question::Side::Plain)),
    );
    let same = |form: &str| (filled(form, &inner), of);
    let real = |form: &str| (filled(form, &double), Type::Real);
    match d.below(34) {
        0..=2 => (Text::of("({} + {})", &[&inner, &other]), widest),
        3..=4 => (Text::of("({} - {})", &[&inner, &other]), widest),
        5 => (Text::of("({} * 2)", &[&inner]), of),
        6..=8 if released => {
            // A quotient is rounded where both of its sides read a column.
            let side = |text: Text| if reads(&text, outputs) { text } else { column.text.clone() };
            (quotient(&side(inner), &side(other)), Type::Real)
        }
        6..=8 => real("({} / 12)"),
        9 => real("({} / 7)"),
        10 => (
            Text::new(
                format!("(CAST({} AS BIGINT) % 7)", inner.on(crate::question::Side::Asked)),
                format!("(TRY_CAST({} AS BIGINT) % 7)", inner.on(crate::question::Side::Plain)),
            ),
            Type::Int,
        ),
        11 => same("abs({})"),
        12 => real("ceil({} / 10)"),
        13 => real("floor({} / 10)"),
        14 => (Text::of("COALESCE({}, 0)", &[&inner]), of),
        15 => (Text::of("greatest({}, {})", &[&inner, &other]), widest),
        16 => (Text::of("least({}, {})", &[&inner, &other]), widest),
        17 => real("ln({})"),
        18 => real("log(10.0, {})"),
        19 => real("log10({})"),
        20 => (Text::of("NULLIF({}, 20)", &[&inner]), of),
        21 => real("power({}, 2)"),
        22 => real("round({})"),
        23 => real("round({}, 1)"),
        24 => real("signum({})"),
        25 => real("sqrt({})"),
        26 => real("trunc({})"),
        27 => (
            super::forms::both(
                &Text::of("width_bucket({}, 0, 1000, 5)", &[&double]),
                &super::forms::width_bucket(&double, 1000, 5),
            ),
            Type::Int,
        ),
        28 => match of_type(d, outputs, |of| of == Type::Text) {
            Some(text) => {
                let form = d.one_of(&["character_length({})", "strpos({}, 'a')", "length({})"]);
                (Text::of(form, &[&text.text]), Type::Int)
            }
            None => same("(-{})"),
        },
        29 => match of_type(d, outputs, |of| of == Type::Date) {
            Some(date) => (Text::of("date_part('year', {})", &[&date.text]), Type::Int),
            None => (
                Text::new("date_part('year', current_date)", format!("date_part('year', {TODAY})")),
                Type::Int,
            ),
        },
        30 => (
            Text::new("date_part('year', now())", "date_part('year', TIMESTAMP '1970-01-01T00:00:00')"),
            Type::Int,
        ),
        31 => (
            Text::new(
                format!("CAST({} AS BIGINT)", inner.on(crate::question::Side::Asked)),
                format!("TRY_CAST({} AS BIGINT)", inner.on(crate::question::Side::Plain)),
            ),
            Type::Int,
        ),
        32 => (
            Text::of("CASE WHEN {} > 50 THEN 1 WHEN {} IS NULL THEN 2 ELSE 0 END", &[&inner, &other]),
            Type::Int,
        ),
        _ => same("(-{})"),
    }
}

/// True if an expression holds a column.
fn reads(text: &Text, outputs: &[Output]) -> bool {
    use crate::question::Side::Asked;
    outputs.iter().any(|output| text.on(Asked).contains(output.text.on(Asked)))
}

/// A text.
fn text(d: &mut Dice, outputs: &[Output], depth: usize) -> Text {
    let Some(column) = of_type(d, outputs, |of| of == Type::Text) else {
        let any = d.pick(outputs).text.clone();
        return Text::of("CASE WHEN {} IS NULL THEN 'none' ELSE 'some' END", &[&any]);
    };
    if depth == 0 || d.percent(15) {
        return column.text.clone();
    }
    let inner = text(d, outputs, depth - 1);
    let forms = [
        "upper({})",
        "lower({})",
        "btrim({})",
        "ltrim({})",
        "rtrim({})",
        "left({}, 2)",
        "right({}, 2)",
        "substr({}, 2)",
        "substr({}, 1, 3)",
        "concat({}, '-', {})",
        "COALESCE({}, 'none')",
        "NULLIF({}, 'tax')",
        "greatest({}, 'm')",
        "least({}, 'm')",
        "{} || '!'",
        "CASE {} WHEN 'tax' THEN 'a' WHEN 'health' THEN 'b' ELSE 'c' END",
        "substring({} FROM 2 FOR 2)",
        "trim({})",
    ];
    filled(d.one_of(&forms), &inner)
}

/// A condition.
pub(crate) fn truth(d: &mut Dice, outputs: &[Output], released: bool) -> Text {
    let column = d.pick(outputs).clone();
    let simple = match column.of {
        Type::Int | Type::Real | Type::Decimal => {
            let (other, _) = number(d, outputs, released, 1);
            let form = d.one_of(&[
                "{} > 20",
                "{} <= 60",
                "{} IS NOT NULL",
                "{} BETWEEN 10 AND 1000",
                "{} IN (10, 20, 25)",
                "{} <> 0",
                "{} > {o}",
                "{} = {o}",
                "{} IS DISTINCT FROM {o}",
                "NOT ({} < 30)",
            ]);
            // A form is taken apart at the gap of the other number.
            match form.split_once("{o}") {
                Some((before, after)) => Text::of(&format!("{before}{{}}{after}"), &[&column.text, &other]),
                None => filled(form, &column.text),
            }
        }
        Type::Text => filled(
            d.one_of(&[
                "{} = 'tax'",
                "{} LIKE '1%'",
                "{} ILIKE 'T%'",
                "{} IN ('tax', 'health', '1003')",
                "{} IS NULL",
                "{} <> 'm'",
                "{} > 'f'",
                "NOT ({} = 'tax')",
                "{} NOT IN ('tax', 'f')",
            ]),
            &column.text,
        ),
        Type::Date => filled(d.one_of(&["{} >= DATE '2002-01-01'", "{} IS NOT NULL"]), &column.text),
        Type::Truth => {
            filled(d.one_of(&["{}", "NOT {}", "{} IS NULL", "{} IS NOT TRUE", "{} = true"]), &column.text)
        }
    };
    match d.below(10) {
        0 => Text::of("({} OR {} IS NULL)", &[&simple, &d.pick(outputs).text]),
        1 => Text::of("({}) IS NOT FALSE", &[&simple]),
        _ => simple,
    }
}

/// A function that the guard does not list: it must be refused, and nothing else.
fn unlisted(d: &mut Dice, outputs: &[Output]) -> (Text, Type) {
    let any = d.pick(outputs).text.clone();
    let forms = [
        "md5(CAST({} AS VARCHAR))",
        "random()",
        "chr(65)",
        "repeat('a', 3)",
        "reverse(CAST({} AS VARCHAR))",
        "to_timestamp(1)",
        "version()",
        "uuid()",
        "regexp_like(CAST({} AS VARCHAR), 'a')",
        "make_array({})",
        "arrow_typeof({})",
        "factorial(3)",
        "encode(CAST({} AS VARCHAR), 'hex')",
        "sha256(CAST({} AS VARCHAR))",
        "lpad(CAST({} AS VARCHAR), 5)",
    ];
    (filled(d.one_of(&forms), &any), Type::Text)
}

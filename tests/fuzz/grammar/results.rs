//! Results: boundaries, open tables, and what is computed of them by joins, unions, windows, groupings, orders and functions.
//!
//! Three things are left out, because they have several right answers: LIMIT takes rows in the order of all of their columns;
//! what goes by the place of a row (`ROW_NUMBER`, `LAG`, frames in rows) is ordered by all columns as well; and columns of an
//! open table are not divided by each other where nothing is released beside them, since quotients are rounded only there.

use super::cells::figure;
use super::cells::key;
use super::dice::Dice;
use super::rows::Rows;
use super::rows::rows;
use super::scalars::number;
use super::scalars::scalar;
use super::scalars::truth;
use crate::question::Item;
use crate::question::Join;
use crate::question::Meaning;
use crate::question::Query;
use crate::question::Select;
use crate::question::Source;
use crate::question::Sources;
use crate::question::Table;
use crate::question::Text;

/// The types of a result's columns, as far as the grammar asks for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    Text,
    Int,
    Real,
    Decimal,
    Date,
    Truth,
}

impl Type {
    pub(crate) fn is_number(self) -> bool {
        matches!(self, Self::Int | Self::Real | Self::Decimal)
    }
}

/// A column of a result.
#[derive(Debug, Clone)]
pub(crate) struct Output {
    pub(crate) text: Text,
    pub(crate) of: Type,
}

/// A result: its query, the names of its columns, and whether anything in it was released.
#[derive(Debug, Clone)]
pub(crate) struct Relation {
    pub(crate) query: Query,
    pub(crate) columns: Vec<(String, Type)>,
    pub(crate) released: bool,
}

/// A whole question.
pub(crate) fn question(d: &mut Dice) -> Query {
    let depth = d.weighted(&[(46, 0), (40, 1), (14, 2)]);
    relation(d, depth).query
}

/// A kind of relation, by how often it is chosen among the others.
type WeightedRelation = (usize, fn(&mut Dice, usize) -> Relation);

/// A result, computed of others at most so many levels deep.
fn relation(d: &mut Dice, depth: usize) -> Relation {
    if depth == 0 {
        return if d.percent(94) { boundary(d) } else { open(d) };
    }
    let kinds: &[WeightedRelation] = &[
        (30, |d, depth| {
            let inner = relation(d, depth - 1);
            computed(d, inner)
        }),
        (16, |d, depth| {
            let inner = relation(d, depth - 1);
            grouped(d, inner)
        }),
        (14, |d, depth| {
            let inner = relation(d, depth - 1);
            windowed(d, inner)
        }),
        (14, joined),
        (16, |d, _| united(d)),
        (10, |d, _| decorated(d)),
    ];
    d.weighted(kinds)(d, depth)
}

/// Rows of individuals made into cells.
fn boundary(d: &mut Dice) -> Relation {
    let count = d.weighted(&[(22, 0), (52, 1), (22, 2), (4, 3)]);
    let rows = rows(d, 2);
    released(d, rows, count)
}

fn released(d: &mut Dice, rows: Rows, keys: usize) -> Relation {
    let (mut items, mut columns, mut groups) = (Vec::<Item>::new(), Vec::new(), Vec::new());
    for _ in 0..keys {
        let (text, of) = key(d, &rows.columns);
        if items.iter().any(|known| known.text == text) {
            continue;
        }
        let name = format!("k{}", items.len() + 1);
        let by_place = d.percent(25);
        items.push(Item { text: text.clone(), name: name.clone(), meaning: Meaning::Key });
        groups.push(if by_place { items.len().to_string().into() } else { text });
        columns.push((name, of));
    }
    let cells =
        if groups.is_empty() { 1 + d.below(2) } else { d.weighted(&[(6, 0), (58, 1), (28, 2), (8, 3)]) };
    let mut having = Vec::new();
    for number in 1..=cells {
        let cell = figure(d, &rows.columns, &rows.unit);
        if number == 1 && d.percent(6) && cell.of.is_number() {
            having.push(Text::of(
                d.one_of(&["{} > 20", "{} >= 5", "{} IS NOT NULL", "{} < 100000"]),
                &[&cell.text],
            ));
        }
        let name = format!("n{number}");
        items.push(Item {
            text: cell.text,
            name: name.clone(),
            meaning: Meaning::Cell(cell.cell, cell.contributors),
        });
        columns.push((name, cell.of));
    }
    let mut select = Select::of(items, rows.from);
    select.wheres = rows.wheres;
    select.groups = groups;
    select.having = having;
    if select.groups.len() > 1 && d.percent(3) {
        select.grouping = d.one_of(&["ROLLUP", "CUBE"]);
    }
    select.unit = Some(rows.unit);
    if select.items.len() == select.groups.len() && d.percent(50) {
        select.groups.clear();
        select.distinct = true;
    }
    if d.percent(12) && !columns.is_empty() {
        ordered(d, &mut select, &columns);
    }
    Relation { query: select.query(), columns, released: true }
}

/// Orders by all columns in some order, and perhaps keeps a few rows.
fn ordered(d: &mut Dice, select: &mut Select, columns: &[(String, Type)]) {
    let first = d.below(columns.len());
    for place in 0..columns.len() {
        let name = &columns[(first + place) % columns.len()].0;
        let direction = d.one_of(&["", "", " DESC", " ASC NULLS FIRST", " DESC NULLS LAST"]);
        select.order.push(format!("{name}{direction}").into());
    }
    if d.percent(60) {
        select.limit = Some((1 + d.below(6), if d.percent(25) { 1 + d.below(2) } else { 0 }));
    }
}

/// Open tables: rows, groups of them, and joins.
fn open(d: &mut Dice) -> Relation {
    let whole: [(&str, &[(&str, Type)]); 6] = [
        (
            "SELECT zip AS k1, district AS k2, level AS n1 FROM zones WHERE level >= 1",
            &[("k1", Type::Text), ("k2", Type::Text), ("n1", Type::Int)],
        ),
        (
            "SELECT district AS k1, COUNT(*) AS n1, SUM(level) AS n2 FROM zones GROUP BY district",
            &[("k1", Type::Text), ("n1", Type::Int), ("n2", Type::Int)],
        ),
        (
            "SELECT a.zip AS k1, b.district AS k2 FROM zones a JOIN zones b ON a.level = b.level",
            &[("k1", Type::Text), ("k2", Type::Text)],
        ),
        (
            "SELECT h.holiday AS k1, z.zip AS k2, h.last_day AS n1 FROM holidays h CROSS JOIN zones z",
            &[("k1", Type::Text), ("k2", Type::Text), ("n1", Type::Int)],
        ),
        ("SELECT DISTINCT level AS n1 FROM zones", &[("n1", Type::Int)]),
        (
            "SELECT holiday AS k1, last_day - first_day AS n1 FROM holidays",
            &[("k1", Type::Text), ("n1", Type::Int)],
        ),
    ];
    let (sql, columns) = *d.pick(&whole);
    let columns: Vec<(String, Type)> = columns.iter().map(|(name, of)| ((*name).to_owned(), *of)).collect();
    let items = columns.iter().map(|(name, _)| item(name.clone(), name)).collect();
    // The tables stand in one piece, which no clause can be taken from.
    let text = Source::Written(sql);
    let select = Select::of(items, Sources::one(text, &d.name("o")));
    Relation { query: select.query(), columns, released: false }
}

fn item(text: impl Into<Text>, name: &str) -> Item {
    Item { text: text.into(), name: name.to_owned(), meaning: Meaning::Computed }
}

/// A result as a table, and its columns as that table's.
fn table(d: &mut Dice, relation: Relation) -> (Table, Vec<Output>) {
    let alias = d.name("r");
    let columns = relation.columns.iter();
    let outputs =
        columns.map(|(name, of)| Output { text: format!("{alias}.{name}").into(), of: *of }).collect();
    let query = Box::new(relation.query);
    let source = if d.percent(35) { Source::Common(query) } else { Source::Query(query) };
    (Table { source, alias }, outputs)
}

/// Functions and conditions over the rows of a result.
fn computed(d: &mut Dice, inner: Relation) -> Relation {
    let released = inner.released;
    let (table, outputs) = table(d, inner);
    let mut select = Select::of(Vec::new(), Sources { first: table, joins: Vec::new() });
    let mut columns = Vec::new();
    for _ in 0..1 + d.below(3) {
        let (text, of) = scalar(d, &outputs, released, 2);
        let name = format!("y{}", columns.len() + 1);
        select.items.push(item(text, &name));
        columns.push((name, of));
    }
    for output in &outputs {
        if d.percent(40) {
            let name = format!("y{}", columns.len() + 1);
            select.items.push(item(output.text.clone(), &name));
            columns.push((name, output.of));
        }
    }
    if d.percent(45) {
        select.wheres.push(truth(d, &outputs, released));
    }
    if d.percent(10) {
        select.distinct = true;
    }
    if d.percent(30) {
        ordered(d, &mut select, &columns);
    }
    Relation { query: select.query(), columns, released }
}

/// Groups of a result's rows.
fn grouped(d: &mut Dice, inner: Relation) -> Relation {
    let released = inner.released;
    let (table, outputs) = table(d, inner);
    let mut select = Select::of(Vec::new(), Sources { first: table, joins: Vec::new() });
    let mut columns = Vec::new();
    for output in outputs.iter().filter(|output| !output.of.is_number()) {
        if d.percent(60) && columns.len() < 2 {
            let name = format!("y{}", columns.len() + 1);
            select.items.push(item(output.text.clone(), &name));
            select.groups.push(output.text.clone());
            columns.push((name, output.of));
        }
    }
    if !select.groups.is_empty() && d.percent(25) {
        select.grouping = d.one_of(&["ROLLUP", "CUBE"]);
        if d.percent(30) {
            let marked = select.groups[0].clone();
            let name = format!("y{}", columns.len() + 1);
            select.items.push(item(Text::of("GROUPING({})", &[&marked]), &name));
            columns.push((name, Type::Int));
        }
    }
    for _ in 0..1 + d.below(2) {
        let (text, of) = aggregate(d, &outputs, released);
        let name = format!("y{}", columns.len() + 1);
        if select.having.is_empty() && d.percent(15) && of.is_number() {
            select.having.push(Text::of(d.one_of(&["{} > 10", "{} IS NOT NULL", "{} >= 1"]), &[&text]));
        }
        select.items.push(item(text, &name));
        columns.push((name, of));
    }
    Relation { query: select.query(), columns, released }
}

/// An aggregate of a result's rows: all that the guard lists.
fn aggregate(d: &mut Dice, outputs: &[Output], released: bool) -> (Text, Type) {
    let any = d.pick(outputs).text.clone();
    if d.percent(25) || !outputs.iter().any(|output| output.of.is_number()) {
        let form = d.one_of(&["COUNT(*)", "COUNT({})", "COUNT(DISTINCT {})"]);
        return (super::conditions::filled(form, &any), Type::Int);
    }
    let (argument, of) = number(d, outputs, released, 1);
    let filter = if d.percent(15) {
        Text::of(" FILTER (WHERE {})", &[&truth(d, outputs, released)])
    } else {
        "".into()
    };
    let forms: [(&str, Type); 14] = [
        ("SUM({})", of),
        ("SUM({})", of),
        ("AVG({})", Type::Real),
        ("MIN({})", of),
        ("MAX({})", of),
        ("MEDIAN(CAST({} AS DOUBLE))", Type::Real),
        ("STDDEV({})", Type::Real),
        ("VAR_POP({})", Type::Real),
        ("COUNT({})", Type::Int),
        ("SUM(DISTINCT {})", of),
        ("BOOL_OR({} > 10)", Type::Truth),
        ("BOOL_AND({} > 10)", Type::Truth),
        ("STDDEV_POP({})", Type::Real),
        ("VAR({})", Type::Real),
    ];
    let (form, of) = *d.pick(&forms);
    (Text::of(&format!("{form}{{}}"), &[&argument, &filter]), of)
}

/// Window functions over a result.
fn windowed(d: &mut Dice, inner: Relation) -> Relation {
    let released = inner.released;
    let (table, outputs) = table(d, inner);
    let all = outputs
        .iter()
        .map(|output| output.text.on(crate::question::Side::Asked))
        .collect::<Vec<_>>()
        .join(", ");
    let one = d.pick(&outputs).text.clone();
    let partition = if d.percent(50) { Text::of("PARTITION BY {} ", &[&one]) } else { "".into() };
    let (argument, of) = number(d, &outputs, released, 1);
    let by_all = format!("ORDER BY {all}");
    let forms: [(String, Type); 13] = [
        ("RANK() OVER ({p}ORDER BY {a} DESC)".to_owned(), Type::Int),
        ("DENSE_RANK() OVER ({p}ORDER BY {a})".to_owned(), Type::Int),
        (format!("ROW_NUMBER() OVER ({{p}}{by_all})"), Type::Int),
        ("SUM({a}) OVER ({p})".to_owned(), of),
        ("SUM({a}) OVER ({p}ORDER BY {o})".to_owned(), of),
        (format!("SUM({{a}}) OVER ({{p}}{by_all} ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)"), of),
        ("AVG({a}) OVER ({p})".to_owned(), Type::Real),
        (format!("LAG({{a}}) OVER ({{p}}{by_all})"), of),
        (format!("LEAD({{a}}, 1) OVER ({{p}}{by_all})"), of),
        (format!("NTILE(3) OVER ({{p}}{by_all})"), Type::Int),
        ("COUNT(*) OVER ({p})".to_owned(), Type::Int),
        ("MAX({a}) OVER ({p})".to_owned(), of),
        ("PERCENT_RANK() OVER ({p}ORDER BY {a})".to_owned(), Type::Real),
    ];
    let (form, of) = d.pick(&forms).clone();
    let window = gaps(&form, &[("{p}", &partition), ("{a}", &argument), ("{o}", &one)]);
    let mut select = Select::of(Vec::new(), Sources { first: table, joins: Vec::new() });
    let mut columns = Vec::new();
    for output in &outputs {
        let name = format!("y{}", columns.len() + 1);
        select.items.push(item(output.text.clone(), &name));
        columns.push((name, output.of));
    }
    select.items.push(item(window, "w"));
    columns.push(("w".to_owned(), of));
    Relation { query: select.query(), columns, released }
}

/// A form with named gaps.
fn gaps(form: &str, pieces: &[(&str, &Text)]) -> Text {
    use crate::question::Side;
    let on =
        |side| pieces.iter().fold(form.to_owned(), |form, (gap, piece)| form.replace(gap, piece.on(side)));
    Text::new(on(Side::Asked), on(Side::Plain))
}

/// Two results side by side, by a text or a number that both have.
fn joined(d: &mut Dice, depth: usize) -> Relation {
    let left = relation(d, depth - 1);
    let right = if d.percent(12) { open(d) } else { relation(d, depth - 1) };
    let released = left.released || right.released;
    let (left, left_outputs) = table(d, left);
    let (right, right_outputs) = table(d, right);
    let pair = left_outputs.iter().find_map(|left| {
        let right = right_outputs.iter().find(|right| right.of == left.of && left.of != Type::Real)?;
        Some((left.text.clone(), right.text.clone()))
    });
    let how = d.one_of(&["JOIN", "LEFT JOIN", "FULL JOIN", "RIGHT JOIN"]);
    let (how, on) = match pair {
        Some((left, right)) => (how, Text::of("ON {} = {}", &[&left, &right])),
        None => ("CROSS JOIN", "".into()),
    };
    let from = Sources { first: left, joins: vec![Join { how, table: right, on }] };
    let outputs: Vec<Output> = left_outputs.into_iter().chain(right_outputs).collect();
    let mut select = Select::of(Vec::new(), from);
    let mut columns = Vec::new();
    for output in &outputs {
        let name = format!("y{}", columns.len() + 1);
        select.items.push(item(output.text.clone(), &name));
        columns.push((name, output.of));
    }
    if d.percent(50) {
        let (text, of) = scalar(d, &outputs, released, 1);
        select.items.push(item(text, "z"));
        columns.push(("z".to_owned(), of));
    }
    if d.percent(20) {
        select.wheres.push(truth(d, &outputs, released));
    }
    Relation { query: select.query(), columns, released }
}

/// Results of one form, one after the other, or the groups that one has and another has not.
fn united(d: &mut Dice) -> Relation {
    let operator = d.one_of(&["UNION ALL", "UNION ALL", "UNION", "EXCEPT", "INTERSECT"]);
    let branch = |d: &mut Dice| loop {
        let rows = rows(d, 1);
        let (key, of) = key(d, &rows.columns);
        if of != Type::Text {
            continue;
        }
        let mut items = vec![Item { text: key.clone(), name: "k1".to_owned(), meaning: Meaning::Key }];
        let cell = figure(d, &rows.columns, &rows.unit);
        if matches!(operator, "UNION ALL" | "UNION") {
            if !cell.of.is_number() {
                continue;
            }
            items.push(Item {
                text: cell.text,
                name: "n1".to_owned(),
                meaning: Meaning::Cell(cell.cell, cell.contributors),
            });
        }
        let mut select = Select::of(items, rows.from);
        select.wheres = rows.wheres;
        select.groups.push(key);
        select.unit = Some(rows.unit);
        return Box::new(select.query());
    };
    let query = Query::Set { operator, left: branch(d), right: branch(d) };
    let mut columns = vec![("k1".to_owned(), Type::Text)];
    if matches!(operator, "UNION ALL" | "UNION") {
        columns.push(("n1".to_owned(), Type::Real));
    }
    Relation { query, columns, released: true }
}

/// A boundary whose SELECT computes with its cells, and with scalar subqueries.
fn decorated(d: &mut Dice) -> Relation {
    let rows = rows(d, 1);
    let (key, of_key) = key(d, &rows.columns);
    let cell = figure(d, &rows.columns, &rows.unit);
    let outputs = [Output { text: key.clone(), of: of_key }, Output { text: cell.text, of: cell.of }];
    let (text, of) = match d.below(6) {
        0 => {
            let whole = super::forms::mean("AVG(salary)", false);
            (Text::of("({} - (SELECT {} FROM persons))", &[&outputs[1].text, &whole]), Type::Real)
        }
        1 => {
            let whole = Text::of("(SELECT {} FROM persons)", &[&super::forms::of_somebody("COUNT(*)")]);
            (super::forms::quotient(&outputs[1].text, &whole), Type::Real)
        }
        2 => (Text::of("{} - (SELECT MAX(level) FROM zones)", &[&outputs[1].text]), outputs[1].of),
        3 => (
            super::forms::quotient(&outputs[1].text, &Text::of("SUM({}) OVER ()", &[&outputs[1].text])),
            Type::Real,
        ),
        4 => (Text::of("RANK() OVER (ORDER BY {} DESC)", &[&outputs[1].text]), Type::Int),
        _ => scalar(d, &outputs[1..], true, 2),
    };
    let items =
        vec![Item { text: key.clone(), name: "k1".to_owned(), meaning: Meaning::Key }, item(text, "n1")];
    let mut select = Select::of(items, rows.from);
    select.wheres = rows.wheres;
    select.groups.push(key);
    select.unit = Some(rows.unit);
    Relation {
        query: select.query(),
        columns: vec![("k1".to_owned(), of_key), ("n1".to_owned(), of)],
        released: true,
    }
}

//! Rows of individuals: tables, joins of them on the subject, with open tables and with results, and queries within queries
//! that leave rows of subjects.
//!
//! An order that is not settled is left out: where rows of one subject are numbered, they are numbered by columns that tell
//! them apart or only by columns that are asked for afterwards, because with equal rows several answers are right.

use super::column::Column;
use super::column::Kind;
use super::conditions::condition;
use super::conditions::simple;
use super::dice::Dice;
use super::forms::mean;
use crate::question::Item;
use crate::question::Join;
use crate::question::Meaning;
use crate::question::Query;
use crate::question::Select;
use crate::question::Source;
use crate::question::Sources;
use crate::question::Table;
use crate::question::Text;

/// Rows of individuals on their way into a SELECT.
#[derive(Debug, Clone)]
pub(crate) struct Rows {
    pub(crate) from: Sources,
    pub(crate) wheres: Vec<Text>,
    pub(crate) columns: Vec<Column>,
    /// The subject of a row.
    pub(crate) unit: String,
}

/// A kind of rows, by how often it is chosen among the others.
type WeightedRows = (usize, fn(&mut Dice, usize) -> Rows);

/// Rows of some kind, perhaps narrowed by conditions.
pub(crate) fn rows(d: &mut Dice, depth: usize) -> Rows {
    let kinds: &[WeightedRows] = &[
        (22, |d, _| persons(d)),
        (12, |d, _| visits(d)),
        (16, |d, _| joined(d)),
        (7, |d, _| outer_joined(d)),
        (7, |d, _| in_zones(d)),
        (4, |d, _| on_holidays(d)),
        (3, |d, _| three_joined(d)),
        (4, |d, _| joined_with_itself(d)),
        (8, |d, _| per_subject(d)),
        (5, |d, _| per_subject_joined(d)),
        (5, |d, _| own_windows(d)),
        (5, |d, _| united(d)),
        (3, |d, _| distinct(d)),
        (5, |d, _| with_means(d)),
    ];
    let mut rows = if depth > 0 && d.percent(16) { inner(d, depth - 1) } else { d.weighted(kinds)(d, depth) };
    for _ in 0..d.weighted(&[(40, 0), (40, 1), (16, 2), (4, 3)]) {
        let unit = rows.unit.clone();
        rows.wheres.push(condition(d, &rows.columns, Some(&unit)));
    }
    rows
}

fn table(name: &'static str, alias: &str) -> Table {
    Table { source: Source::Named(name), alias: alias.to_owned() }
}

fn persons(d: &mut Dice) -> Rows {
    if d.percent(50) {
        return Rows {
            from: Sources::one(Source::Named("persons"), "persons"),
            wheres: Vec::new(),
            columns: Column::of_persons(""),
            unit: "persons.person_id".to_owned(),
        };
    }
    let p = d.name("p");
    Rows {
        from: Sources::one(Source::Named("persons"), &p),
        wheres: Vec::new(),
        columns: Column::of_persons(&format!("{p}.")),
        unit: format!("{p}.person_id"),
    }
}

fn visits(d: &mut Dice) -> Rows {
    let v = d.name("v");
    Rows {
        from: Sources::one(Source::Named("visits"), &v),
        wheres: Vec::new(),
        columns: Column::of_visits(&format!("{v}.")),
        unit: format!("{v}.person_id"),
    }
}

/// Persons and their visits, in one of several spellings.
fn joined(d: &mut Dice) -> Rows {
    let (p, v) = (d.name("p"), d.name("v"));
    let (columns, mut wheres) = (of_both(&p, &v), Vec::new());
    let equal = format!("{p}.person_id = {v}.person_id");
    let (first, second, join) = match d.below(6) {
        0 | 1 => (table("persons", &p), table("visits", &v), ("JOIN", format!("ON {equal}").into())),
        2 => (table("visits", &v), table("persons", &p), ("JOIN", format!("ON {equal}").into())),
        3 => {
            let more = simple(d, &Column::of_visits(&format!("{v}.")));
            let on = Text::of(&format!("ON {equal} AND {{}}"), &[&more]);
            (table("persons", &p), table("visits", &v), ("INNER JOIN", on))
        }
        4 => (table("visits", &v), table("persons", &p), ("JOIN", "USING (person_id)".into())),
        _ => {
            wheres.push(equal.into());
            (table("persons", &p), table("visits", &v), (",", "".into()))
        }
    };
    let from = Sources { first, joins: vec![Join { how: join.0, table: second, on: join.1 }] };
    let unit = if d.percent(50) { format!("{p}.person_id") } else { format!("{v}.person_id") };
    Rows { from, wheres, columns, unit }
}

fn of_both(p: &str, v: &str) -> Vec<Column> {
    let mut columns = Column::of_persons(&format!("{p}."));
    columns.extend(Column::of_visits(&format!("{v}.")));
    columns
}

fn outer_joined(d: &mut Dice) -> Rows {
    let (p, v) = (d.name("p"), d.name("v"));
    let how = d.one_of(&["LEFT JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "LEFT OUTER JOIN"]);
    let equal = format!("ON {p}.person_id = {v}.person_id");
    let on = if d.percent(25) {
        Text::of(&format!("{equal} AND {{}}"), &[&simple(d, &Column::of_visits(&format!("{v}.")))])
    } else {
        equal.into()
    };
    let mut wheres = Vec::new();
    if d.percent(20) {
        wheres.push(format!("{v}.person_id IS NULL").into());
    }
    let unit = match how {
        "RIGHT JOIN" => format!("{v}.person_id"),
        "FULL JOIN" => format!("COALESCE({p}.person_id, {v}.person_id)"),
        _ => format!("{p}.person_id"),
    };
    Rows {
        from: Sources {
            first: table("persons", &p),
            joins: vec![Join { how, table: table("visits", &v), on }],
        },
        wheres,
        columns: of_both(&p, &v),
        unit,
    }
}

fn in_zones(d: &mut Dice) -> Rows {
    let (p, z) = (d.name("p"), d.name("z"));
    let mut columns = Column::of_persons(&format!("{p}."));
    columns.extend(Column::of_zones(&format!("{z}.")));
    let how = d.one_of(&["JOIN", "JOIN", "LEFT JOIN"]);
    let on = if d.percent(20) {
        Text::of(
            &format!("ON {p}.zip = {z}.zip AND {{}}"),
            &[&simple(d, &Column::of_zones(&format!("{z}.")))],
        )
    } else {
        format!("ON {p}.zip = {z}.zip").into()
    };
    Rows {
        from: Sources {
            first: table("persons", &p),
            joins: vec![Join { how, table: table("zones", &z), on }],
        },
        wheres: Vec::new(),
        columns,
        unit: format!("{p}.person_id"),
    }
}

fn on_holidays(d: &mut Dice) -> Rows {
    let (v, h) = (d.name("v"), d.name("h"));
    let mut columns = Column::of_visits(&format!("{v}."));
    columns.push(Column::new(format!("{h}.holiday"), Kind::Holiday));
    let between = if d.percent(50) {
        format!("{v}.day BETWEEN {h}.first_day AND {h}.last_day")
    } else {
        format!("{v}.day >= {h}.first_day AND {v}.day <= {h}.last_day")
    };
    let (how, on, wheres) = if d.percent(70) {
        (d.one_of(&["JOIN", "LEFT JOIN"]), format!("ON {between}").into(), Vec::new())
    } else {
        (",", "".into(), vec![between.into()])
    };
    Rows {
        from: Sources {
            first: table("visits", &v),
            joins: vec![Join { how, table: table("holidays", &h), on }],
        },
        wheres,
        columns,
        unit: format!("{v}.person_id"),
    }
}

fn three_joined(d: &mut Dice) -> Rows {
    let mut rows = joined(d);
    let z = d.name("z");
    let zip = rows.columns.iter().find(|column| column.kind == Kind::Zip).map(|column| column.text.clone());
    let on = Text::of(&format!("ON {{}} = {z}.zip"), &[&zip.unwrap_or_else(|| "zip".into())]);
    if rows.from.joins[0].how == "," {
        return rows;
    }
    let how = d.one_of(&["JOIN", "LEFT JOIN"]);
    rows.from.joins.push(Join { how, table: table("zones", &z), on });
    rows.columns.extend(Column::of_zones(&format!("{z}.")));
    rows
}

/// Visits beside other visits of the same person: only the persons can be counted.
fn joined_with_itself(d: &mut Dice) -> Rows {
    let (a, b) = (d.name("a"), d.name("b"));
    let between = d.one_of(&["", " AND {b}.day > {a}.day", " AND {b}.day = {a}.day", " AND {b}.at > {a}.at"]);
    let on = format!("ON {a}.person_id = {b}.person_id{}", between.replace("{a}", &a).replace("{b}", &b));
    let mut columns = Column::of_visits(&format!("{a}."));
    columns.extend(Column::of_visits(&format!("{b}.")));
    Rows {
        from: Sources {
            first: table("visits", &a),
            joins: vec![Join { how: "JOIN", table: table("visits", &b), on: on.into() }],
        },
        wheres: Vec::new(),
        columns,
        unit: format!("{a}.person_id"),
    }
}

fn item(text: impl Into<Text>, name: &str) -> Item {
    Item { text: text.into(), name: name.to_owned(), meaning: Meaning::Computed }
}

/// A query that leaves rows of subjects, read by another.
fn inner(d: &mut Dice, depth: usize) -> Rows {
    let rows = rows(d, depth);
    let (select, columns) = passed_on(d, &rows);
    read(d, select.query(), columns)
}

/// A SELECT of the subject and of some columns, with their names.
fn passed_on(d: &mut Dice, rows: &Rows) -> (Select, Vec<(String, Kind)>) {
    let (mut items, mut columns) = (vec![item(rows.unit.clone(), "person_id")], Vec::new());
    let skipped = d.below(rows.columns.len());
    for (number, column) in rows.columns.iter().enumerate() {
        if number == skipped && rows.columns.len() > 1 {
            continue;
        }
        let name = format!("x{}", number + 1);
        items.push(item(column.text.clone(), &name));
        columns.push((name, column.kind));
    }
    let mut select = Select::of(items, rows.from.clone());
    select.wheres.clone_from(&rows.wheres);
    (select, columns)
}

/// Rows of a query that has the subject as `person_id`, as a subquery or a common table expression.
fn read(d: &mut Dice, query: Query, columns: Vec<(String, Kind)>) -> Rows {
    let t = d.name("t");
    let query = Box::new(query);
    let source = if d.percent(40) { Source::Common(query) } else { Source::Query(query) };
    let columns = columns.into_iter().map(|(name, kind)| Column::new(format!("{t}.{name}"), kind)).collect();
    Rows { from: Sources::one(source, &t), wheres: Vec::new(), columns, unit: format!("{t}.person_id") }
}

/// One row a subject: its visits counted and added up.
fn own(d: &mut Dice) -> (Query, Vec<(String, Kind)>) {
    let rows = visits(d);
    let of = |name: &str| {
        let text = rows.columns.iter().find(|column| column.text == Text::from(name));
        text.map_or_else(|| Text::from(name), |column| column.text.clone())
    };
    let v = rows.from.first.alias.clone();
    let (cost, day) = (of(&format!("{v}.cost")), of(&format!("{v}.day")));
    let all: [(&str, Text, Kind); 7] = [
        ("n", "COUNT(*)".into(), Kind::OwnCount),
        ("total", Text::of("SUM({})", &[&cost]), Kind::OwnTotal),
        ("first", Text::of("MIN({})", &[&day]), Kind::OwnDay),
        ("last", Text::of("MAX({})", &[&day]), Kind::OwnDay),
        ("often", Text::of("COUNT({})", &[&day]), Kind::OwnCount),
        ("ever", Text::of("BOOL_OR({} = 2)", &[&day]), Kind::OwnFlag),
        ("dear", Text::of("COUNT(*) FILTER (WHERE {} >= 500)", &[&cost]), Kind::OwnCount),
    ];
    let (mut items, mut columns) = (vec![item(rows.unit.clone(), "person_id")], Vec::new());
    for (number, (name, text, kind)) in all.into_iter().enumerate() {
        if number == 0 || d.percent(35) {
            items.push(item(text, name));
            columns.push((name.to_owned(), kind));
        }
    }
    let mut select = Select::of(items, rows.from.clone());
    if d.percent(40) {
        select.wheres.push(simple(d, &rows.columns));
    }
    select.groups.push(rows.unit.into());
    if d.percent(15) {
        select.having.push("COUNT(*) >= 2".into());
    }
    (select.query(), columns)
}

fn per_subject(d: &mut Dice) -> Rows {
    let (query, columns) = own(d);
    read(d, query, columns)
}

fn per_subject_joined(d: &mut Dice) -> Rows {
    let (query, columns) = own(d);
    let s = read(d, query, columns);
    let p = d.name("p");
    let how = d.one_of(&["JOIN", "LEFT JOIN"]);
    let on = format!("ON {p}.person_id = {}", s.unit);
    let mut columns = Column::of_persons(&format!("{p}."));
    columns.extend(s.columns);
    Rows {
        from: Sources {
            first: table("persons", &p),
            joins: vec![Join { how, table: s.from.first, on: on.into() }],
        },
        wheres: Vec::new(),
        columns,
        unit: format!("{p}.person_id"),
    }
}

/// A window over each subject's own rows, whose value every row has. Rows are numbered by all of their columns.
fn own_windows(d: &mut Dice) -> Rows {
    let v = d.name("v");
    let by_all = format!("ORDER BY {v}.day, {v}.cost, {v}.at");
    let windows: [(String, Kind); 8] = [
        (format!("ROW_NUMBER() OVER (PARTITION BY {v}.person_id {by_all})"), Kind::OwnCount),
        (format!("COUNT(*) OVER (PARTITION BY {v}.person_id)"), Kind::OwnCount),
        (format!("LAG({v}.day) OVER (PARTITION BY {v}.person_id {by_all})"), Kind::OwnDay),
        (format!("RANK() OVER (PARTITION BY {v}.person_id ORDER BY {v}.day)"), Kind::OwnCount),
        (format!("MIN({v}.day) OVER (PARTITION BY {v}.person_id)"), Kind::OwnDay),
        (format!("SUM({v}.cost) OVER (PARTITION BY {v}.person_id)"), Kind::OwnTotal),
        (
            format!(
                "SUM({v}.cost) OVER (PARTITION BY {v}.person_id {by_all} ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)"
            ),
            Kind::OwnTotal,
        ),
        (format!("LEAD({v}.day, 1) OVER (PARTITION BY {v}.person_id {by_all})"), Kind::OwnDay),
    ];
    let (window, kind) = d.pick(&windows).clone();
    let (mut items, mut columns) = (vec![item(format!("{v}.person_id"), "person_id")], Vec::new());
    for column in Column::of_visits(&format!("{v}.")) {
        let name = format!("x{}", columns.len() + 1);
        items.push(item(column.text, &name));
        columns.push((name, column.kind));
    }
    items.push(item(window, "w"));
    columns.push(("w".to_owned(), kind));
    let mut select = Select::of(items, Sources::one(Source::Named("visits"), &v));
    if d.percent(30) {
        select.wheres.push(simple(d, &Column::of_visits(&format!("{v}."))));
    }
    read(d, select.query(), columns)
}

/// Rows of one table twice, each with a label.
fn united(d: &mut Dice) -> Rows {
    let branch = |d: &mut Dice, label: &str, is_persons: bool| {
        let (table, columns) =
            if is_persons { ("persons", Column::of_persons("")) } else { ("visits", Column::of_visits("")) };
        let measure = if is_persons { "salary" } else { "cost" };
        let items =
            vec![item("person_id", "person_id"), item(format!("'{label}'"), "x1"), item(measure, "x2")];
        let mut select = Select::of(items, Sources::one(Source::Named(table), table));
        select.wheres.push(simple(d, &columns));
        select.query()
    };
    let is_persons = d.percent(50);
    let operator = d.one_of(&["UNION ALL", "UNION ALL", "UNION"]);
    let second = d.one_of(&["b", "a"]);
    let query = Query::Set {
        operator,
        left: Box::new(branch(d, "a", is_persons)),
        right: Box::new(branch(d, second, is_persons)),
    };
    let measure = if is_persons { Kind::Salary } else { Kind::Cost };
    read(d, query, vec![("x1".to_owned(), Kind::Label), ("x2".to_owned(), measure)])
}

fn distinct(d: &mut Dice) -> Rows {
    let v = d.name("v");
    let items = vec![item(format!("{v}.person_id"), "person_id"), item(format!("{v}.day"), "x1")];
    let mut select = Select::of(items, Sources::one(Source::Named("visits"), &v));
    select.distinct = true;
    if d.percent(40) {
        select.wheres.push(simple(d, &Column::of_visits(&format!("{v}."))));
    }
    read(d, select.query(), vec![("x1".to_owned(), Kind::Day)])
}

/// Rows beside the released mean of their group.
fn with_means(d: &mut Dice) -> Rows {
    let m = d.name("m");
    let (mut rows, name, key, measure, is_decimal) = if d.percent(70) {
        let key = d.one_of(&["dept", "sex", "zip"]);
        (persons(d), "persons", key, "salary", false)
    } else {
        (visits(d), "visits", "day", "cost", true)
    };
    let alias = rows.from.first.alias.clone();
    let items = vec![item(key, key), item(mean(&format!("AVG({measure})"), is_decimal), "mean")];
    let mut select = Select::of(items, Sources::one(Source::Named(name), name));
    select.groups.push(key.into());
    select.unit = Some("person_id".to_owned());
    let t = Table { source: Source::Query(Box::new(select.query())), alias: m.clone() };
    rows.from.joins.push(Join { how: "JOIN", table: t, on: format!("ON {alias}.{key} = {m}.{key}").into() });
    if d.percent(80) {
        let than = d.one_of(&[">", "<"]);
        rows.wheres.push(format!("{alias}.{measure} {than} {m}.mean").into());
    }
    if alias == "persons" {
        for column in &mut rows.columns {
            let qualified = column.text.on(crate::question::Side::Asked).to_owned();
            column.text = format!("persons.{qualified}").into();
        }
    }
    rows
}

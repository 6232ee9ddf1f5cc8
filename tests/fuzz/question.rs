//! A question as the grammar builds it: a tree of clauses that is written out twice, as it is asked and as plain DataFusion is
//! asked for the same, and that can be made smaller clause by clause.
//! It chooses nothing; the grammar does.

/// The two spellings of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// The product's: what an analyst would write.
    Asked,
    /// That of plain DataFusion, with what the product declares of its answers written out: quotients and means to three
    /// digits, NULL for division by zero, for a cast that fails and for a cell to which nobody contributes.
    Plain,
}

/// A piece of SQL in both spellings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Text {
    asked: String,
    plain: String,
}

impl Text {
    pub(crate) fn new(asked: impl Into<String>, plain: impl Into<String>) -> Self {
        Self { asked: asked.into(), plain: plain.into() }
    }

    /// A template whose `{}` are pieces, in their order.
    pub(crate) fn of(template: &str, pieces: &[&Self]) -> Self {
        let filled = |side| {
            let mut parts = template.split("{}");
            let mut text = parts.next().unwrap_or_default().to_owned();
            for (part, piece) in parts.zip(pieces) {
                text.push_str(piece.on(side));
                text.push_str(part);
            }
            text
        };
        Self { asked: filled(Side::Asked), plain: filled(Side::Plain) }
    }

    pub(crate) fn on(&self, side: Side) -> &str {
        match side {
            Side::Asked => &self.asked,
            Side::Plain => &self.plain,
        }
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self::new(text, text)
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self::new(text.clone(), text)
    }
}

/// A query.
#[derive(Debug, Clone)]
pub(crate) enum Query {
    Select(Box<Select>),
    /// Two queries and what stands between them, such as `UNION ALL`.
    Set {
        operator: &'static str,
        left: Box<Query>,
        right: Box<Query>,
    },
}

/// A SELECT.
#[derive(Debug, Clone)]
pub(crate) struct Select {
    pub(crate) distinct: bool,
    pub(crate) items: Vec<Item>,
    pub(crate) from: Sources,
    pub(crate) wheres: Vec<Text>,
    pub(crate) groups: Vec<Text>,
    /// The word before the brackets of GROUP BY, such as `ROLLUP`; empty for plain keys.
    pub(crate) grouping: &'static str,
    pub(crate) having: Vec<Text>,
    pub(crate) order: Vec<Text>,
    /// Rows to keep, and rows to leave out before them.
    pub(crate) limit: Option<(usize, usize)>,
    /// The subject of a row, where this turns rows of subjects into cells.
    pub(crate) unit: Option<String>,
}

/// An output column.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) text: Text,
    pub(crate) name: String,
    pub(crate) meaning: Meaning,
}

/// The kind of an output column, as far as its protection is known without the guard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// A group key.
    Key,
    /// A cell; the text counts those who contribute to it.
    Cell(Cell, String),
    /// Anything else.
    Computed,
}

/// The kinds of cells, by the rounding that each has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cell {
    /// Rows or subjects.
    Count,
    /// A sum or a mean of a measure.
    Quantity,
    /// A mean of ones and zeros.
    Share,
    /// A combination of several of these, each of which is rounded.
    Combined,
}

/// The tables of a SELECT.
#[derive(Debug, Clone)]
pub(crate) struct Sources {
    pub(crate) first: Table,
    pub(crate) joins: Vec<Join>,
}

/// One of its tables.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    pub(crate) source: Source,
    pub(crate) alias: String,
}

/// The rows of a table.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    Named(&'static str),
    /// A subquery that stands as it is.
    Written(&'static str),
    Query(Box<Query>),
    /// A query that stands before the question, in WITH.
    Common(Box<Query>),
}

/// A further table.
#[derive(Debug, Clone)]
pub(crate) struct Join {
    /// Such as `LEFT JOIN`, or a comma.
    pub(crate) how: &'static str,
    pub(crate) table: Table,
    /// With its `ON` or `USING`; empty after a comma.
    pub(crate) on: Text,
}

impl Query {
    /// The SQL.
    pub(crate) fn sql(&self, side: Side) -> String {
        let mut common = Vec::new();
        let body = self.body(side, &mut common);
        if common.is_empty() {
            return body;
        }
        let common = common.iter().enumerate().map(|(at, body)| format!("c{} AS ({body})", at + 1));
        format!("WITH {} {body}", common.collect::<Vec<_>>().join(", "))
    }

    fn body(&self, side: Side, common: &mut Vec<String>) -> String {
        match self {
            Self::Select(select) => select.body(side, common),
            Self::Set { operator, left, right } => {
                format!("{} {operator} {}", left.body(side, common), right.body(side, common))
            }
        }
    }

    /// True if its rows are cells.
    fn is_of_cells(&self) -> bool {
        match self {
            Self::Select(select) => select.unit.is_some(),
            Self::Set { left, .. } => left.is_of_cells(),
        }
    }

    /// True if its rows stand in the order of all of their columns.
    pub(crate) fn is_ordered(&self) -> bool {
        match self {
            Self::Select(select) => !select.order.is_empty() && select.order.len() == select.items.len(),
            Self::Set { .. } => false,
        }
    }

    /// The same question less one clause, in every way there is; the larger parts first.
    pub(crate) fn smaller(&self) -> Vec<Self> {
        match self {
            Self::Set { operator, left, right } => {
                let operator = *operator;
                let mut found = vec![(**left).clone(), (**right).clone()];
                let set = |left: &Self, right: &Self| Self::Set {
                    operator,
                    left: Box::new(left.clone()),
                    right: Box::new(right.clone()),
                };
                found.extend(left.smaller().iter().map(|left| set(left, right)));
                found.extend(right.smaller().iter().map(|right| set(left, right)));
                found
            }
            Self::Select(select) => {
                let mut found = select.within();
                found.extend(select.smaller().into_iter().map(|select| Self::Select(Box::new(select))));
                found
            }
        }
    }
}

impl Select {
    /// A SELECT of some items from some tables, and nothing more.
    pub(crate) fn of(items: Vec<Item>, from: Sources) -> Self {
        Self {
            distinct: false,
            items,
            from,
            wheres: Vec::new(),
            groups: Vec::new(),
            grouping: "",
            having: Vec::new(),
            order: Vec::new(),
            limit: None,
            unit: None,
        }
    }

    pub(crate) fn query(self) -> Query {
        Query::Select(Box::new(self))
    }

    fn body(&self, side: Side, common: &mut Vec<String>) -> String {
        let items = self.items.iter().map(|item| {
            if item.name.is_empty() {
                item.text.on(side).to_owned()
            } else {
                format!("{} AS {}", item.text.on(side), item.name)
            }
        });
        let distinct = if self.distinct { "DISTINCT " } else { "" };
        let from = self.from.body(side, common);
        let mut sql = format!("SELECT {distinct}{} FROM {from}", items.collect::<Vec<_>>().join(", "));
        let joined = |texts: &[Text], by: &str| {
            texts.iter().map(|text| text.on(side).to_owned()).collect::<Vec<_>>().join(by)
        };
        if !self.wheres.is_empty() {
            sql += &format!(" WHERE {}", joined(&self.wheres, " AND "));
        }
        if !self.groups.is_empty() {
            let keys = joined(&self.groups, ", ");
            sql += &if self.grouping.is_empty() {
                format!(" GROUP BY {keys}")
            } else {
                format!(" GROUP BY {} ({keys})", self.grouping)
            };
        }
        if !self.having.is_empty() {
            sql += &format!(" HAVING {}", joined(&self.having, " AND "));
        }
        if !self.order.is_empty() {
            sql += &format!(" ORDER BY {}", joined(&self.order, ", "));
        }
        if let Some((most, skipped)) = self.limit {
            sql += &format!(" LIMIT {most}");
            if skipped > 0 {
                sql += &format!(" OFFSET {skipped}");
            }
        }
        sql
    }

    /// The queries that it reads from, in its place.
    fn within(&self) -> Vec<Query> {
        let tables = std::iter::once(&self.from.first).chain(self.from.joins.iter().map(|join| &join.table));
        tables.filter_map(Table::query).cloned().collect()
    }

    fn smaller(&self) -> Vec<Self> {
        let mut found = Vec::new();
        let mut with = |change: &dyn Fn(&mut Self)| {
            let mut smaller = self.clone();
            change(&mut smaller);
            found.push(smaller);
        };
        for at in 0..self.from.joins.len() {
            with(&|select| drop(select.from.joins.remove(at)));
        }
        if self.limit.is_some() {
            with(&|select| select.limit = None);
        } else if !self.order.is_empty() {
            with(&|select| select.order.clear());
        }
        if self.distinct {
            with(&|select| select.distinct = false);
        }
        if !self.grouping.is_empty() {
            with(&|select| select.grouping = "");
        }
        for at in 0..self.having.len() {
            with(&|select| drop(select.having.remove(at)));
        }
        for at in 0..self.wheres.len() {
            with(&|select| drop(select.wheres.remove(at)));
        }
        // A key leaves GROUP BY and the items together; without its item it is looked at too.
        for at in 0..self.groups.len() {
            with(&|select| {
                let key = select.groups.remove(at);
                select.items.retain(|item| item.text != key);
            });
        }
        if self.items.len() > 1 {
            for at in 0..self.items.len() {
                with(&|select| drop(select.items.remove(at)));
            }
        }
        for (place, query) in self.from.queries() {
            for smaller in query.smaller() {
                with(&|select| select.from.replace(place, smaller.clone()));
            }
        }
        found
    }

    /// The plain question with the numbers of those on whom each group and cell rests, after its own columns; nothing where
    /// the answer is no plain list of keys and cells.
    pub(crate) fn counted(&self) -> Option<String> {
        let unit = self.unit.as_ref()?;
        let rests_on_results = self.from.queries().iter().any(|(_, query)| query.is_of_cells())
            || self.wheres.iter().any(|text| text.asked.contains("GROUP BY"));
        let is_plain = self.having.is_empty() && self.limit.is_none() && !self.distinct && !rests_on_results;
        let keys = self.items.iter().filter(|item| item.meaning == Meaning::Key).count();
        if !is_plain || keys != self.groups.len() || !self.grouping.is_empty() {
            return None;
        }
        let mut counted = self.clone();
        counted.order.clear();
        let count = |text: String, name: String| Item { text: text.into(), name, meaning: Meaning::Computed };
        counted.items.push(count(format!("COUNT(DISTINCT {unit})"), "subjects".to_owned()));
        for (number, item) in self.items.iter().enumerate() {
            match &item.meaning {
                Meaning::Key => {}
                Meaning::Cell(_, contributors) => {
                    counted.items.push(count(contributors.clone(), format!("contributors_{number}")));
                }
                Meaning::Computed => return None,
            }
        }
        Some(counted.query().sql(Side::Plain))
    }
}

impl Sources {
    /// One table.
    pub(crate) fn one(source: Source, alias: &str) -> Self {
        Self { first: Table { source, alias: alias.to_owned() }, joins: Vec::new() }
    }

    fn body(&self, side: Side, common: &mut Vec<String>) -> String {
        let mut text = self.first.body(side, common);
        for join in &self.joins {
            let table = join.table.body(side, common);
            text += &match join.how {
                "," => format!(", {table}"),
                how => format!(" {how} {table} {}", join.on.on(side)),
            };
        }
        text
    }

    /// The queries that it reads from, with their places.
    fn queries(&self) -> Vec<(usize, Query)> {
        let tables = std::iter::once(&self.first).chain(self.joins.iter().map(|join| &join.table));
        tables.enumerate().filter_map(|(place, table)| Some((place, table.query()?.clone()))).collect()
    }

    fn replace(&mut self, place: usize, query: Query) {
        let table = match place.checked_sub(1) {
            None => &mut self.first,
            Some(join) => &mut self.joins[join].table,
        };
        table.source = match table.source {
            Source::Common(_) => Source::Common(Box::new(query)),
            Source::Named(_) | Source::Written(_) | Source::Query(_) => Source::Query(Box::new(query)),
        };
    }
}

impl Table {
    fn query(&self) -> Option<&Query> {
        match &self.source {
            Source::Named(_) | Source::Written(_) => None,
            Source::Query(query) | Source::Common(query) => Some(query),
        }
    }

    fn body(&self, side: Side, common: &mut Vec<String>) -> String {
        match &self.source {
            Source::Named(name) if self.alias == *name => (*name).to_owned(),
            Source::Named(name) => format!("{name} {}", self.alias),
            Source::Written(sql) => format!("({sql}) {}", self.alias),
            Source::Query(query) => format!("({}) {}", query.body(side, common), self.alias),
            Source::Common(query) => {
                let body = query.body(side, common);
                // The same query twice is one that is named twice.
                let at = common.iter().position(|known| *known == body).unwrap_or_else(|| {
                    common.push(body);
                    common.len() - 1
                });
                format!("c{} {}", at + 1, self.alias)
            }
        }
    }
}

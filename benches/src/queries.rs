//! The queries: SQL that plain DataFusion and the guard both take as it stands, and how exact each column's answer is.
//! It runs nothing.

use crate::lineitem;

/// The distance that a guarded value may have from the plain one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Exactness {
    /// A group key.
    Key,
    /// A count, rounded to the policy's base.
    Count,
    /// A sum, rounded to the largest power of ten not above 1 % of each summand's declared width.
    Sum(&'static [&'static [&'static str]]),
    /// A sum of a product over rows that were chosen by a column of few values: rounded to as many of the largest as counts are.
    Chosen(&'static [&'static str]),
    /// A mean, rounded to three significant digits.
    Mean,
}

/// One query.
#[derive(Debug)]
pub(crate) struct Query {
    /// Short name.
    pub(crate) name: &'static str,
    /// Title, in words.
    pub(crate) title: &'static str,
    /// The SQL.
    pub(crate) sql: &'static str,
    /// The columns that it reads.
    pub(crate) reads: &'static [&'static str],
    /// True if it has groups, so that an analyst of a plain database could hold the threshold by hand.
    pub(crate) is_grouped: bool,
    /// Most names of a cell's condition: the noise of a number has the root of them times the deviation of one.
    pub(crate) names: u32,
    /// The columns of the answer.
    pub(crate) columns: &'static [Exactness],
}

impl Query {
    /// The query with the threshold written by hand.
    pub(crate) fn with_threshold(&self) -> Option<String> {
        let having = format!(
            "HAVING count(DISTINCT {}) >= {} ORDER BY",
            lineitem::UNIT_COLUMN,
            lineitem::SUBJECTS_MIN
        );
        self.is_grouped.then(|| self.sql.replace("ORDER BY", &having))
    }
}

/// All queries, in the order of the table.
pub(crate) const QUERIES: &[Query] = &[
    Query {
        name: "q1",
        title: "TPC-H Q1 without sum(price * (1 - discount) * (1 + tax)), a product of three measures that the guard refuses",
        sql: "SELECT l_returnflag, l_linestatus, sum(l_quantity) AS sum_qty, sum(l_extendedprice) AS sum_base_price, \
              sum(l_extendedprice * (1 - l_discount)) AS sum_disc_price, avg(l_quantity) AS avg_qty, \
              avg(l_extendedprice) AS avg_price, avg(l_discount) AS avg_disc, count(*) AS count_order \
              FROM tpch.lineitem WHERE l_shipdate <= DATE '1998-09-02' \
              GROUP BY l_returnflag, l_linestatus ORDER BY l_returnflag, l_linestatus",
        reads: &["l_quantity", "l_extendedprice", "l_discount", "l_returnflag", "l_linestatus", "l_shipdate"],
        is_grouped: true,
        // 98 years, 8 months, 2 days, each times three for the rows without a price, and again for those without a discount.
        names: 972,
        columns: &[
            Exactness::Key,
            Exactness::Key,
            Exactness::Sum(&[&["l_quantity"]]),
            Exactness::Sum(&[&["l_extendedprice"]]),
            Exactness::Sum(&[&["l_extendedprice"], &["l_extendedprice", "l_discount"]]),
            Exactness::Mean,
            Exactness::Mean,
            Exactness::Mean,
            Exactness::Count,
        ],
    },
    Query {
        name: "q6",
        title: "TPC-H Q6, its discount interval written as the half-open one of the declared bins",
        sql: "SELECT sum(l_extendedprice * l_discount) AS revenue FROM tpch.lineitem \
              WHERE l_shipdate >= DATE '1994-01-01' AND l_shipdate < DATE '1995-01-01' \
              AND l_discount >= 0.05 AND l_discount < 0.08 AND l_quantity < 24",
        reads: &["l_quantity", "l_extendedprice", "l_discount", "l_shipdate"],
        is_grouped: false,
        // One year, three bins of discounts, six nodes of quantities, times three for the rows without a price.
        names: 54,
        columns: &[Exactness::Chosen(&["l_extendedprice", "l_discount"])],
    },
    Query {
        name: "monthly",
        title: "monthly series",
        sql: "SELECT date_trunc('month', l_shipdate) AS shipped, count(*) AS lines, sum(l_extendedprice) AS price \
              FROM tpch.lineitem GROUP BY date_trunc('month', l_shipdate) ORDER BY shipped",
        reads: &["l_extendedprice", "l_shipdate"],
        is_grouped: true,
        names: 3,
        columns: &[Exactness::Key, Exactness::Count, Exactness::Sum(&[&["l_extendedprice"]])],
    },
    Query {
        name: "suppliers",
        title: "one group a supplier: 10,000 groups at scale factor 1",
        sql: "SELECT l_suppkey, count(*) AS lines, sum(l_extendedprice) AS price \
              FROM tpch.lineitem GROUP BY l_suppkey ORDER BY l_suppkey",
        reads: &["l_suppkey", "l_extendedprice"],
        is_grouped: true,
        names: 3,
        columns: &[Exactness::Key, Exactness::Count, Exactness::Sum(&[&["l_extendedprice"]])],
    },
];

/// The query whose cells the control step is timed with, alone: at scale factor 1 one number for each of 10,000 groups.
pub(crate) const CELLS: &str = "SELECT l_suppkey, count(*) AS lines FROM tpch.lineitem GROUP BY l_suppkey";

/// A query over ten tables joined on the unit, for the time of the guard alone: rows of the first, one row per subject
/// of each of the others.
pub(crate) fn ten_tables() -> String {
    let per_order =
        "(SELECT l_orderkey, sum(l_extendedprice) AS price FROM tpch.lineitem GROUP BY l_orderkey)";
    let joined: String = (1..10)
        .map(|table| format!(" JOIN {per_order} t{table} ON t0.l_orderkey = t{table}.l_orderkey"))
        .collect();
    format!(
        "SELECT t0.l_returnflag, count(*) AS lines, sum(t9.price) AS price \
         FROM tpch.lineitem t0{joined} WHERE t0.l_shipdate >= DATE '1994-01-01' GROUP BY t0.l_returnflag"
    )
}

/// The query of this name.
///
/// # Errors
/// When there is none.
pub(crate) fn by_name(name: &str) -> anyhow::Result<&'static Query> {
    QUERIES
        .iter()
        .find(|query| query.name == name)
        .ok_or_else(|| anyhow::anyhow!("there is no query `{name}`"))
}

//! Rewritten queries for refusals: each is shown only after the same guard has admitted it.
//!
//! A rewrite changes the analyst's own text where a finding points, one finding at a time, and reviews the outcome
//! again. It keeps the query's tables and every group key that is allowed; when no change helps, there is no rewrite.
//!
//! Its name is kept: no bound moves under a label or an alias that says the old one, and what only leaves a part out is
//! called a part, and is no rewrite where nothing of the question's conditions, keys or figures would remain.

use std::collections::BTreeSet;

use datafusion_sql::sqlparser::ast::Query;
use datafusion_sql::sqlparser::ast::Statement as SqlStatement;
use datafusion_sql::sqlparser::dialect::GenericDialect;
use datafusion_sql::sqlparser::parser::Parser;
use obscura_policies::vocabulary::Text;

use crate::finding::Code;
use crate::finding::Finding;
use crate::finding::Refused;
use crate::verdict::Rewrite;

mod aggregates;
mod labels;
mod literals;
mod parts;
mod subqueries;

/// Most changes made to one query before giving up.
const CHANGES_MAX: usize = 8;

/// One kind of change to a query, and what it is called.
struct Change {
    apply: fn(&mut Query, &Finding, &str) -> bool,
    /// The figures are then of other rows, so that what a name says of them may no longer hold.
    moves: bool,
    en: &'static str,
    zh: &'static str,
}

/// The changes that may answer a finding, the gentlest first.
///
/// Findings for which no change keeps the question have none: another join or another statement is another question, and
/// to offer it would put words into the analyst's mouth (`sandbox/docs/disclosure-model.md`, section 3).
fn changes(code: Code) -> &'static [Change] {
    const LITERAL_BELOW: Change = Change {
        apply: literals::to_nearest_edge,
        moves: true,
        en: "move the literal to the nearest edge: another number",
        zh: "将常量移到最近的区间边界：结果会不同",
    };
    const OPERATOR: Change = Change {
        apply: literals::to_edge_operator,
        moves: true,
        en: "cut the measure at its bin edge: the edge itself is counted with what lies above it",
        zh: "在分箱边界处划分度量字段：边界值计入其上方",
    };
    const DROP_CONDITION: Change = Change {
        apply: parts::drop_condition,
        moves: true,
        en: "a part of your question: without the condition",
        zh: "问题的一部分：去掉该条件",
    };
    const DROP_KEY: Change = Change {
        apply: parts::drop_key,
        moves: false,
        en: "a part of your question: without the group key",
        zh: "问题的一部分：去掉该分组字段",
    };
    const DROP_OUTPUT: Change = Change {
        apply: parts::drop_output,
        moves: false,
        en: "a part of your question: without the column",
        zh: "问题的一部分：去掉该列",
    };
    const COUNT: Change = Change {
        apply: aggregates::count_instead_of_rows,
        moves: false,
        en: "count instead of listing",
        zh: "改为计数而非列出个体",
    };
    const PERCENTILE: Change = Change {
        apply: aggregates::percentile_instead,
        moves: false,
        en: "use a percentile that is released: another number",
        zh: "改用可发布的分位数：结果会不同",
    };
    const MEAN: Change = Change {
        apply: aggregates::mean_instead,
        moves: false,
        en: "use the mean: another number",
        zh: "改用平均值：结果会不同",
    };
    const PLAIN_GROUPS: Change = Change {
        apply: aggregates::plain_groups,
        moves: false,
        en: "one grouping at a time",
        zh: "每次只做一种分组",
    };
    const QUOTED: Change = Change {
        apply: literals::quoted,
        moves: false,
        en: "quote the value: the same question",
        zh: "为取值加引号：含义不变",
    };
    const AS_SHOWN: Change = Change {
        apply: literals::as_shown,
        moves: true,
        en: "compare with what the mask leaves of the value: a larger group",
        zh: "与脱敏后的取值比较：范围更大",
    };
    const TRUNCATED: Change = Change {
        apply: aggregates::truncated_instead,
        moves: false,
        en: "use date_trunc: the date itself instead of its text",
        zh: "改用 date_trunc：以日期代替其文本",
    };
    const RATIO: Change = Change {
        apply: aggregates::ratio_of_means,
        moves: false,
        en: "divide the means: another number than the mean of the quotients",
        zh: "改为均值之商：与商的均值不同",
    };
    const JOINED: Change = Change {
        apply: subqueries::exists_as_join,
        moves: false,
        en: "join those whom the subquery finds: the same question",
        zh: "改为关联子查询所找到的主体：含义不变",
    };
    const VALUES: Change = Change {
        apply: subqueries::values_as_groups,
        moves: false,
        en: "count the values that enough subjects share: another number",
        zh: "改为统计足够多主体共有的取值个数：结果会不同",
    };
    match code {
        Code::LiteralOffEdge => &[LITERAL_BELOW],
        Code::PredicateNotAllowed => &[QUOTED, AS_SHOWN, OPERATOR, DROP_CONDITION, DROP_KEY, DROP_OUTPUT],
        Code::UnitKeyNotComparable | Code::ConstantNotEvaluated => &[DROP_CONDITION, DROP_KEY, DROP_OUTPUT],
        Code::UseNotGranted | Code::GroupKeyNotAllowed | Code::ColumnNotInScope => {
            &[DROP_KEY, DROP_OUTPUT, DROP_CONDITION]
        }
        Code::RowLevelOutput | Code::OperationOverIndividuals => &[COUNT, DROP_KEY],
        Code::ControlNotAvailable => &[VALUES, PERCENTILE, MEAN, PLAIN_GROUPS, DROP_OUTPUT],
        Code::SubqueryNotAllowed => &[JOINED],
        Code::FunctionNotAllowed | Code::AggregateNotAllowed | Code::AggregateNotDecomposable => {
            &[TRUNCATED, MEAN, RATIO, DROP_OUTPUT, DROP_CONDITION, DROP_KEY]
        }
        Code::QueryTooLarge => &[PLAIN_GROUPS],
        Code::SqlSyntax
        | Code::StatementNotAllowed
        | Code::DatasetNotFound
        | Code::QueryNotUnderstood
        | Code::JoinNotAllowed
        | Code::JoinNotAgreed
        | Code::TooManyCells
        | Code::InternalError => &[],
    }
}

/// Proposes at most one query close to a refused one, once the same guard has admitted it.
///
/// A proposal that is refused in its turn helps nobody, and one that another guard judged might leak. After eight
/// changes, or when a text comes back, there is none (`sandbox/docs/disclosure-model.md`, section 3).
pub(crate) fn suggest(
    query: &Query,
    findings: &[Finding],
    admits: impl Fn(&str, &Query) -> Result<(), Refused>,
) -> Vec<Rewrite> {
    // Findings place themselves in the analyst's text, the printed query is another text: review it once to begin with.
    let mut sql = query.to_string();
    let mut findings = findings.to_vec();
    let mut titles: Vec<(&'static str, &'static str)> = Vec::new();
    let mut seen = BTreeSet::new();
    if let Some(parsed) = parse(&sql)
        && let Err(printed) = admits(&sql, &parsed)
    {
        findings = printed.into_findings();
    }
    for _ in 0..CHANGES_MAX {
        if !seen.insert(sql.clone()) {
            return Vec::new();
        }
        let Some((changed, title)) = first_change(&sql, &findings) else { return Vec::new() };
        let Some(parsed) = parse(&changed) else { return Vec::new() };
        if !titles.contains(&title) {
            titles.push(title);
        }
        sql = changed;
        match admits(&sql, &parsed) {
            Ok(()) => {
                let join = |texts: Vec<&str>, by: &str| texts.join(by);
                let en = join(titles.iter().map(|title| title.0).collect(), "; ");
                let zh = join(titles.iter().map(|title| title.1).collect(), "；");
                return vec![Rewrite { sql, title: Text { en, zh } }];
            }
            Err(next) => findings = next.into_findings(),
        }
    }
    Vec::new()
}

/// The first change that does anything about any finding.
///
/// A change that moves a bound is taken only where every name stays true of the new rows: `AS minors` beside `age < 20`
/// would be a wrong number under a right name (`sandbox/docs/disclosure-model.md`, section 3).
fn first_change(sql: &str, findings: &[Finding]) -> Option<(String, (&'static str, &'static str))> {
    findings.iter().find_map(|finding| {
        changes(finding.code).iter().find_map(|change| {
            let mut query = parse(sql)?;
            let applies = (change.apply)(&mut query, finding, sql)
                && (!change.moves || labels::without_false_names(&mut query));
            applies.then(|| (query.to_string(), (change.en, change.zh)))
        })
    })
}

fn parse(sql: &str) -> Option<Query> {
    match Parser::parse_sql(&GenericDialect {}, sql).ok()?.pop()? {
        SqlStatement::Query(query) => Some(*query),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture::review_under;
    use crate::fixture::rewrite;
    use crate::fixture::variants::named;
    use crate::verdict::Decision;

    #[test]
    fn rows_become_a_count_per_allowed_column() {
        assert_eq!(
            rewrite("SELECT person_id, dept FROM persons WHERE dept = 'tax'").as_deref(),
            Some("SELECT dept, COUNT(*) AS n FROM persons WHERE dept = 'tax' GROUP BY dept")
        );
        assert_eq!(rewrite("SELECT * FROM persons").as_deref(), Some("SELECT COUNT(*) AS n FROM persons"));
    }

    #[test]
    fn a_literal_moves_to_its_nearest_edge() {
        assert_eq!(
            rewrite("SELECT dept, COUNT(*) FROM persons WHERE age >= 38 GROUP BY dept").as_deref(),
            Some("SELECT dept, COUNT(*) FROM persons WHERE age >= 40 GROUP BY dept")
        );
    }

    #[test]
    fn a_rewrite_keeps_no_name_that_its_bounds_make_false() {
        for sql in [
            "SELECT CASE WHEN age < 15 THEN '0-14' WHEN age < 65 THEN '15-64' ELSE '65+' END AS band, COUNT(*) FROM persons GROUP BY 1",
            "SELECT COUNT(*) FILTER (WHERE age < 35) AS n FROM persons",
            "SELECT under_35 FROM (SELECT COUNT(*) AS under_35 FROM persons WHERE age < 35) t",
            "SELECT COUNT(*) FROM persons WHERE age > 10",
            "SELECT COUNT(*) FROM persons WHERE age BETWEEN 10 AND 20",
            "SELECT COUNT(*) FROM persons WHERE age = 15",
        ] {
            assert_eq!(rewrite(sql), None, "{sql}");
        }
        for (name, kept) in [("under_35", ""), ("young", ""), ("n", " AS n"), ("persons", " AS persons")] {
            assert_eq!(
                rewrite(&format!("SELECT COUNT(*) AS {name} FROM persons WHERE age < 38")),
                Some(format!("SELECT COUNT(*){kept} FROM persons WHERE age < 40"))
            );
        }
        assert_eq!(
            rewrite("SELECT dept, MAX(salary) AS highest FROM persons GROUP BY dept").as_deref(),
            Some(
                "SELECT dept, PERCENTILE_CONT(0.95) WITHIN GROUP (ORDER BY salary) FROM persons GROUP BY dept"
            )
        );
    }

    #[test]
    fn what_leaves_nothing_of_the_question_is_no_rewrite() {
        for sql in [
            "SELECT dept, COUNT(*) FROM persons WHERE person_id = 4711 GROUP BY dept",
            "SELECT name, COUNT(*) FROM persons GROUP BY name",
            "SELECT dept, SUM(name) FROM persons GROUP BY dept",
            "SELECT COUNT(*) FROM visits WHERE at >= now() + random() AND day = 3",
        ] {
            assert_eq!(rewrite(sql), None, "{sql}");
        }
    }

    #[test]
    fn a_number_beside_a_text_is_quoted_and_a_text_of_a_date_becomes_the_date() {
        assert_eq!(
            rewrite("SELECT zip, COUNT(*) FROM persons WHERE zip = 310106 GROUP BY zip").as_deref(),
            Some("SELECT zip, COUNT(*) FROM persons WHERE zip = '310106' GROUP BY zip")
        );
        assert_eq!(
            rewrite("SELECT to_char(hire, 'YYYY-MM') AS month, COUNT(*) FROM persons GROUP BY 1").as_deref(),
            Some("SELECT date_trunc('month', hire) AS month, COUNT(*) FROM persons GROUP BY 1")
        );
        assert_eq!(
            rewrite("SELECT COUNT(*) FROM persons WHERE to_char(hire, '%Y') = '2024'"),
            None,
            "a text is not equal to a date"
        );
    }

    #[test]
    fn a_measure_is_cut_with_an_edge_operator() {
        assert_eq!(
            rewrite("SELECT dept, COUNT(*) FROM persons WHERE salary > 20000 GROUP BY dept").as_deref(),
            Some("SELECT dept, COUNT(*) FROM persons WHERE salary >= 20000 GROUP BY dept")
        );
    }

    #[test]
    fn a_condition_on_the_unit_key_is_left_out_and_the_rest_kept() {
        assert_eq!(
            rewrite(
                "SELECT dept, COUNT(*) FROM persons WHERE person_id = 4711 AND dept = 'tax' GROUP BY dept"
            )
            .as_deref(),
            Some("SELECT dept, COUNT(*) FROM persons WHERE dept = 'tax' GROUP BY dept")
        );
    }

    #[test]
    fn a_forbidden_group_key_is_left_out_and_the_others_kept() {
        assert_eq!(
            rewrite("SELECT dept, name, COUNT(*) FROM persons GROUP BY dept, name").as_deref(),
            Some("SELECT dept, COUNT(*) FROM persons GROUP BY dept")
        );
    }

    #[test]
    fn an_extreme_becomes_a_percentile_or_a_mean_and_a_rollup_plain_groups() {
        let percentile = |level: &str| {
            Some(format!(
                "SELECT dept, PERCENTILE_CONT({level}) WITHIN GROUP (ORDER BY salary) FROM persons GROUP BY dept"
            ))
        };
        for (asked, level) in [
            ("MIN(salary)", "0.05"),
            ("PERCENTILE_CONT(0.99) WITHIN GROUP (ORDER BY salary)", "0.95"),
            ("PERCENTILE_CONT(0.7) WITHIN GROUP (ORDER BY salary DESC)", "0.25"),
            ("APPROX_PERCENTILE_CONT(salary, 0.6)", "0.50"),
        ] {
            assert_eq!(
                rewrite(&format!("SELECT dept, {asked} FROM persons GROUP BY dept")),
                percentile(level)
            );
        }
        let mean = "SELECT dept, AVG(salary) FILTER (WHERE sex = 'f') FROM persons GROUP BY dept";
        let sql = "SELECT dept, MEDIAN(salary) FILTER (WHERE sex = 'f') AS m FROM persons GROUP BY dept";
        let policy = named("no-bins").unwrap();
        let Decision::Refused { rewrites, .. } = review_under(&policy, sql).decision else {
            panic!("admitted")
        };
        assert_eq!(rewrites.first().map(|rewrite| rewrite.sql.as_str()), Some(mean));
        assert_eq!(
            rewrite("SELECT dept, AVG(salary / age) AS per_year FROM persons GROUP BY dept").as_deref(),
            Some("SELECT dept, AVG(salary) / NULLIF(AVG(age), 0) FROM persons GROUP BY dept")
        );
        // More sets than aggregations, and several sets under differential privacy.
        assert_eq!(
            rewrite("SELECT dept, COUNT(*) FROM persons GROUP BY CUBE (dept, zip, sex, diag)").as_deref(),
            Some("SELECT dept, COUNT(*) FROM persons GROUP BY dept, zip, sex, diag")
        );
        let private = named("private").unwrap();
        let sql = "SELECT day, COUNT(*) FROM visits GROUP BY ROLLUP (day)";
        let Decision::Refused { rewrites, .. } = review_under(&private, sql).decision else {
            panic!("admitted")
        };
        let plain = "SELECT day, COUNT(*) FROM visits GROUP BY day";
        assert_eq!(rewrites.first().map(|rewrite| rewrite.sql.as_str()), Some(plain));
    }
}

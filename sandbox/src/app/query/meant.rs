//! Mistyped names in findings: what the asker may have meant, out of the names that they may know of.
//! It changes no verdict and names nothing that the asker has no grant on.

use std::collections::BTreeSet;
use std::ops::Bound;

use jiff::civil::Date;
use jiff::civil::DateTime;
use obscura_policies::Text;
use obscura_policies::effective::EffectiveDataset;
use obscura_policies::effective::EffectivePolicy;
use obscura_policies::library::Library;
use obscura_policies::nearest::nearest;
use obscura_policies::vocabulary::DatasetId;

use crate::app::query::principal::QueryPrincipal;
use crate::app::query::verdict::FindingView;
use crate::app::query::verdict::SpanView;

/// Most names that a help line lists.
const NAMES_MAX: usize = 5;

/// Scalar functions that people ask for; the guard's list is longer, and a slip in a seldom one finds nothing.
const SCALARS: &[&str] = &[
    "abs",
    "age_years",
    "ceil",
    "coalesce",
    "date_part",
    "date_trunc",
    "floor",
    "greatest",
    "least",
    "length",
    "lower",
    "nullif",
    "round",
    "substr",
    "substring",
    "trim",
    "trunc",
    "upper",
    "width_bucket",
];

/// The question and its context, by which a finding is explained.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Surroundings<'a> {
    pub(crate) sql: &'a str,
    pub(crate) library: &'a Library,
    pub(crate) asker: &'a QueryPrincipal,
    pub(crate) policy: &'a EffectivePolicy,
}

/// Adds to a finding which name was meant, which date is none, or which policies do not name each other.
pub(crate) fn with_meant(mut finding: FindingView, around: Surroundings<'_>) -> FindingView {
    let Surroundings { sql, library, asker, policy } = around;
    let meant = match finding.code.as_str() {
        "sql-syntax" if is_query(sql) => {
            finding.message = Text::new("the SQL cannot be understood from here on", "SQL 自此处起无法解析");
            hyphened(sql, library, asker)
        }
        "query-not-understood" | "constant-not-evaluated" => no_date(sql).map(|(span, help)| {
            finding.span = Some(span);
            help
        }),
        "join-not-agreed" => join(policy),
        "column-not-in-scope" => finding.params.get("column").and_then(|typed| column(typed, policy)),
        "dataset-not-found" => finding.params.get("dataset").and_then(|typed| dataset(typed, library, asker)),
        "function-not-allowed" => finding.params.get("function").and_then(|typed| function(typed, policy)),
        _ => None,
    };
    if let Some(meant) = meant {
        finding.help = Some(match finding.help.take() {
            None => meant,
            Some(help) => {
                Text::new(format!("{}; {}", meant.en, help.en), format!("{}；{}", meant.zh, help.zh))
            }
        });
    }
    finding
}

/// Says if a text begins as a query.
fn is_query(sql: &str) -> bool {
    let mut rest = sql.trim_start();
    // Comments before it are no part of it.
    while let Some(comment) = rest.strip_prefix("--") {
        rest = comment.split_once('\n').map_or("", |(_, after)| after).trim_start();
    }
    let word: String = rest.chars().take_while(char::is_ascii_alphabetic).collect();
    matches!(word.to_ascii_uppercase().as_str(), "SELECT" | "WITH" | "EXPLAIN" | "VALUES")
        || rest.starts_with('(')
}

/// The first text of the question that is written as a date and is none.
fn no_date(sql: &str) -> Option<(SpanView, Text)> {
    let mut start = None;
    for (at, c) in sql.char_indices() {
        if c != '\'' {
            continue;
        }
        let Some(from) = start.take() else {
            start = Some(at + 1);
            continue;
        };
        let text = sql.get(from..at)?;
        if is_written_as_date(text) && !is_date(text) {
            let head = sql.get(..from)?;
            let line = head.matches('\n').count() + 1;
            let column = head.rsplit('\n').next().map_or(0, |text| text.chars().count()) + 1;
            let span = SpanView {
                line: u64::try_from(line).ok()?,
                column: u64::try_from(column).ok()?,
                start: from,
                end: at,
            };
            let help = Text::new(
                format!(
                    "`{text}` is no date: a date is written as '2026-12-31', a time as '2026-12-31 08:00:00'"
                ),
                format!("`{text}` 不是有效日期：日期写作 '2026-12-31'，时间写作 '2026-12-31 08:00:00'"),
            );
            return Some((span, help));
        }
    }
    None
}

/// Digits in the places of a date, with one of the usual marks between them.
fn is_written_as_date(text: &str) -> bool {
    let day = text.split([' ', 'T']).next().unwrap_or_default();
    let parts: Vec<&str> = day.split(['-', '/', '.']).collect();
    let is_number = |part: &&str| (1..=4).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
    parts.len() == 3 && parts.iter().all(is_number) && parts.iter().any(|part| part.len() == 4)
}

fn is_date(text: &str) -> bool {
    text.parse::<Date>().is_ok() || text.replacen(' ', "T", 1).parse::<DateTime>().is_ok()
}

/// Both sides of a join that their policies do not agree on, and the unit that they share.
fn join(policy: &EffectivePolicy) -> Option<Text> {
    for (one, left) in &policy.datasets {
        for (other, right) in policy.datasets.range((Bound::Excluded(one), Bound::Unbounded)) {
            let shared = left.units.iter().find(|unit| right.units.iter().any(|own| own.kind == unit.kind));
            let Some(unit) = shared.map(|unit| &unit.kind) else { continue };
            let names = |dataset: &EffectiveDataset, id: &DatasetId| {
                dataset.join_with.contains(&(id.clone(), unit.clone()))
            };
            let silent = match (names(left, other), names(right, one)) {
                (true, true) => continue,
                (false, true) => format!("`{one}`"),
                (true, false) => format!("`{other}`"),
                (false, false) => format!("`{one}`, `{other}`"),
            };
            return Some(Text::new(
                format!(
                    "`{one}` and `{other}` share the unit `{unit}`, and both policies must name the other side in `join_with`; that of {silent} does not: ask its department"
                ),
                format!(
                    "`{one}` 与 `{other}` 共有主体 `{unit}`，双方策略均须在 `join_with` 中列出对方；{silent} 的策略未列出：请联系其部门"
                ),
            ));
        }
    }
    None
}

/// The columns that the asker may use in some way; without a slip, some of them.
fn column(typed: &str, policy: &EffectivePolicy) -> Option<Text> {
    let usable = policy.datasets.values().flat_map(|dataset| &dataset.columns);
    let names: BTreeSet<&str> =
        usable.filter(|column| !column.uses.is_empty()).map(|column| column.name.as_str()).collect();
    let last = typed.rsplit('.').next().unwrap_or(typed);
    if let Some(meant) = nearest(last, names.iter().copied()) {
        return Some(did_you_mean(meant));
    }
    let more = names.len().saturating_sub(NAMES_MAX);
    let list = |comma: &str| {
        names.iter().take(NAMES_MAX).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(comma)
    };
    match (names.is_empty(), more) {
        (true, _) => None,
        (false, 0) => Some(Text::new(
            format!("the columns that you may use here are {}", list(", ")),
            format!("此处可用的字段：{}", list("、")),
        )),
        (false, more) => Some(Text::new(
            format!("the columns that you may use here are {} and {more} more", list(", ")),
            format!("此处可用的字段：{} 等，另有 {more} 个", list("、")),
        )),
    }
}

/// The datasets that the asker has a grant on. A hyphen is written as an underscore in SQL.
fn dataset(typed: &str, library: &Library, asker: &QueryPrincipal) -> Option<Text> {
    let QueryPrincipal::Person { grants, .. } = asker else { return None };
    let granted = grants.iter().flat_map(|grant| &grant.datasets).map(|granted| &granted.dataset);
    let names: BTreeSet<String> =
        granted.filter(|id| library.datasets().contains_key(id)).map(|id| id.sql_name()).collect();
    let whole = nearest(typed, names.iter().map(String::as_str));
    let meant = whole.or_else(|| {
        let last = typed.rsplit('.').next().unwrap_or(typed);
        let by_last = |name: &&String| {
            let own = name.rsplit('.').next().unwrap_or(name);
            nearest(last, [own]).is_some()
        };
        names.iter().find(by_last).map(String::as_str)
    });
    meant.map(did_you_mean)
}

/// A dataset that is written in SQL as documents write it, so that its hyphen reads as a minus.
fn hyphened(sql: &str, library: &Library, asker: &QueryPrincipal) -> Option<Text> {
    let QueryPrincipal::Person { grants, .. } = asker else { return None };
    let granted = grants.iter().flat_map(|grant| &grant.datasets).map(|granted| &granted.dataset);
    let mut known = granted.filter(|id| library.datasets().contains_key(id));
    let written = sql.to_ascii_lowercase();
    let found = known.find(|id| id.to_string() != id.sql_name() && written.contains(&id.to_string()))?;
    let name = found.sql_name();
    Some(Text::new(
        format!("did you mean `{name}`? a hyphen of a dataset's name is an underscore in SQL"),
        format!("您是否想写 `{name}`？数据集名称中的连字符在 SQL 中写作下划线"),
    ))
}

fn function(typed: &str, policy: &EffectivePolicy) -> Option<Text> {
    let allowed = policy.datasets.values().flat_map(|dataset| &dataset.functions);
    let names = allowed.map(|function| function.as_str()).chain(SCALARS.iter().copied());
    // `count_distinct` is how documents name what SQL writes as COUNT(DISTINCT ...).
    let meant = nearest(typed, names)?;
    Some(did_you_mean(if meant == "count_distinct" { "count(DISTINCT ...)" } else { meant }))
}

fn did_you_mean(name: &str) -> Text {
    Text::new(format!("did you mean `{name}`?"), format!("您是否想写 `{name}`？"))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests may panic")]
mod tests {
    use std::collections::BTreeMap;

    use obscura_policies::effective::Controls;
    use obscura_policies::effective::EffectiveUnit;
    use obscura_policies::vocabulary::Level;
    use obscura_policies::vocabulary::Release;
    use obscura_policies::vocabulary::UnitKind;

    use super::*;

    #[test]
    fn a_text_that_is_written_as_a_date_and_is_none_is_found_with_its_place() {
        for bad in ["2024-13-01", "2024-02-30", "2024/02/30", "31.12.2024", "2024-02-30 10:00:00"] {
            let sql = format!("SELECT COUNT(*) FROM t\nWHERE note = '一' AND day > '{bad}'");
            let (span, help) = no_date(&sql).unwrap();
            assert_eq!(sql.get(span.start..span.end), Some(bad));
            assert_eq!(span.line, 2);
            assert!(help.en.contains(bad) && help.zh.contains(bad));
        }
        for good in ["2024-12-31", "2024-12-31 08:00:00", "2024-12-31T08:00:00", "1.2.3", "J18.9", "a-b-c"] {
            assert_eq!(no_date(&format!("SELECT * FROM t WHERE day > '{good}'")), None, "{good}");
        }
    }

    fn dataset(id: &str, join_with: &[&str]) -> (DatasetId, EffectiveDataset) {
        let unit: UnitKind = "resident".parse().unwrap();
        let dataset = EffectiveDataset {
            id: id.parse().unwrap(),
            membership: Level(3),
            units: vec![EffectiveUnit {
                kind: unit.clone(),
                column: "person_id".to_owned(),
                one_row_per_subject: false,
                rows_max: None,
                clustered: true,
            }],
            columns: Vec::new(),
            row_filters: Vec::new(),
            release: Release::Aggregates,
            functions: BTreeSet::new(),
            controls: Controls::default(),
            join_with: join_with.iter().map(|other| (other.parse().unwrap(), unit.clone())).collect(),
            max_rows_per_subject: 20,
            max_groups_per_subject: 5,
            privacy_budget: None,
            all_ask_for_privacy: false,
            usual_rows: None,
            usual_rows_in: None,
            is_updated: true,
            rows: None,
            unique: BTreeSet::new(),
            intervals: BTreeSet::new(),
            published: None,
        };
        (dataset.id.clone(), dataset)
    }

    #[test]
    fn a_join_that_one_side_does_not_agree_on_names_both_the_unit_and_that_side() {
        let of = |datasets: [(DatasetId, EffectiveDataset); 2]| {
            join(&EffectivePolicy {
                purpose: "official-statistics".to_owned(),
                datasets: datasets.into(),
                floors: BTreeMap::new(),
                sources: Vec::new(),
            })
        };
        let told = of([dataset("hz-a.one", &["hz-b.two"]), dataset("hz-b.two", &[])]).unwrap().en;
        for named in ["`hz-a.one` and `hz-b.two`", "unit `resident`", "that of `hz-b.two` does not"] {
            assert!(told.contains(named), "{told}");
        }
        assert_eq!(of([dataset("hz-a.one", &["hz-b.two"]), dataset("hz-b.two", &["hz-a.one"])]), None);
    }

    #[test]
    fn a_query_with_a_slip_is_still_a_query() {
        for sql in ["select * form t", " -- so\n-- and so\nWITH x", "(SELECT 1", "EXPLAIN SELECT"] {
            assert!(is_query(sql), "{sql}");
        }
        for sql in ["", "hello", "how many people are ill?", "DROP TABLE x", "-- SELECT"] {
            assert!(!is_query(sql), "{sql}");
        }
    }
}

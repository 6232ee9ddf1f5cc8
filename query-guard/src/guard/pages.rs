//! The pages of the reasons for refusals: the statement of each is refused for exactly this reason, its near miss is admitted.
//! The other demands on the pages are in `tests/tidy`.

use std::fmt::Write as _;
use std::path::Path;

use obscura_policies::effective::EffectivePolicy;

use crate::finding::Finding;
use crate::fixture::review_under;
use crate::fixture::variants::named;
use crate::reason::Reason;
use crate::verdict::Decision;

/// Reasons that no statement is refused for, with why. This list may only shrink.
const WITHOUT_STATEMENT: &[(Reason, &str)] = &[
    (Reason::PlanStepNotListed, "the planner makes no such step of a query"),
    (Reason::DefinedTooLarge, "the limit on parts of an expression is met first"),
    (Reason::ReviewTooCostly, "the limits on size are met first; `budget.rs` tests it by itself"),
    (Reason::ListsUnnested, "no function of the list makes a list"),
    (Reason::QueryRecurs, "the planner plans no recursion over the guard's catalog"),
    (Reason::WindowFiltered, "the planner refuses such a filter"),
    (Reason::PlanNotBuilt, "a failure of ours"),
    (Reason::FactMissing, "a failure of ours"),
];

/// A statement of a page, and the policy that it is asked under.
struct Example {
    sql: String,
    policy: EffectivePolicy,
}

/// The fenced statements of a page that are marked so.
fn examples(page: &str, mark: &str) -> Vec<Example> {
    let opening = format!("```sql {mark}");
    let mut found = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let Some(rest) = line.strip_prefix(&opening) else { continue };
        let policy = rest.trim().strip_prefix("policy=").unwrap_or("corpus");
        let sql: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        let sql = written_out(&sql.join("\n"));
        found.push(Example { sql, policy: named(policy).unwrap_or_else(|| panic!("no policy `{policy}`")) });
    }
    found
}

/// A statement whose parts in `⟨ ⟩×n` are written n times: sizes beyond a page.
fn written_out(sql: &str) -> String {
    let Some((before, rest)) = sql.split_once('⟨') else { return sql.to_owned() };
    let (part, rest) = rest.split_once("⟩×").expect("a repeated part ends");
    let digits = rest.chars().take_while(char::is_ascii_digit).count();
    let (count, rest) = rest.split_at(digits);
    let mut written = before.to_owned();
    for nth in 0..count.parse::<usize>().expect("how often it is repeated") {
        write!(written, "{}", part.replace('#', &nth.to_string())).unwrap();
    }
    written + &written_out(rest)
}

fn found(example: &Example) -> Vec<Finding> {
    match review_under(&example.policy, &example.sql).decision {
        Decision::Admitted(_) => Vec::new(),
        Decision::Refused { findings, .. } => findings,
    }
}

#[test]
fn every_page_is_refused_for_its_reason_and_its_near_miss_is_admitted() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sandbox/docs/refusals");
    let mut wrong = Vec::new();
    for reason in Reason::ALL {
        let slug = reason.slug();
        let Ok(page) = std::fs::read_to_string(folder.join(format!("{slug}.md"))) else {
            wrong.push(format!("{slug}: no page"));
            continue;
        };
        let refused = examples(&page, "refused");
        let is_excused = WITHOUT_STATEMENT.iter().any(|(excused, _)| excused == reason);
        if refused.is_empty() != is_excused {
            wrong.push(format!("{slug}: a statement is there, or excused"));
        }
        for example in &refused {
            let reasons: Vec<Reason> = found(example).iter().map(|finding| finding.reason).collect();
            if reasons.first() != Some(reason) {
                let sql: String = example.sql.chars().take(300).collect();
                wrong.push(format!("{slug}: refused for {reasons:?}: {sql}"));
            }
        }
        for example in examples(&page, "admitted") {
            let findings = found(&example);
            if !findings.is_empty() {
                let sql: String = example.sql.chars().take(300).collect();
                wrong.push(format!("{slug}: the near miss is refused: {sql}\n{findings:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_repeated_part_is_written_out() {
    assert_eq!(written_out("SELECT 1⟨ + #⟩×3"), "SELECT 1 + 0 + 1 + 2");
    assert_eq!(written_out("⟨(⟩×2 1 ⟨)⟩×2"), "(( 1 ))");
}

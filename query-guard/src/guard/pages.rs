//! The pages of the reasons for refusals: the statement of each is refused for exactly this reason, its near miss is admitted.
//! The few reasons that no statement comes to are shown by plans made by hand. `tests/tidy` checks what else the pages hold.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use chrono::DateTime;
use datafusion_common::Column;
use datafusion_expr::Expr;
use datafusion_expr::LogicalPlan;
use datafusion_expr::Partitioning;
use datafusion_expr::Projection;
use datafusion_expr::Repartition;
use datafusion_expr::Window;
use datafusion_expr::lit;
use obscura_policies::day::Day;
use obscura_policies::effective::EffectivePolicy;

use crate::budget::Budget;
use crate::constant::Constants;
use crate::finding::Finding;
use crate::fixture::policy;
use crate::fixture::review_under;
use crate::fixture::variants::named;
use crate::guard::Guard;
use crate::normalise::normalise;
use crate::reason::Reason;
use crate::statement::Statement;
use crate::verdict::Decision;
use crate::zones::ZonePass;

/// Changes a plan to one that the planner makes of no statement.
type ByHand = fn(LogicalPlan) -> LogicalPlan;

/// Reasons that no statement is refused for, with why, and the plan that is. This list may only shrink.
const WITHOUT_STATEMENT: &[(Reason, &str, ByHand)] = &[
    (Reason::PlanStepNotListed, "the planner makes no such step of a query", with_other_step),
    (Reason::PlanNotBuilt, "a failure of ours: a step reads columns of its input only", with_unknown_column),
    (Reason::FactMissing, "a failure of ours: a window step has window functions only", with_other_window),
];

/// A step that spreads rows, as only plans that run have it.
fn with_other_step(input: LogicalPlan) -> LogicalPlan {
    let partitioning_scheme = Partitioning::RoundRobinBatch(2);
    LogicalPlan::Repartition(Repartition { input: Arc::new(input), partitioning_scheme })
}

/// A projection of a column that its input does not have.
fn with_unknown_column(input: LogicalPlan) -> LogicalPlan {
    let schema = Arc::clone(input.schema());
    let columns = vec![Expr::Column(Column::from_name("nowhere"))];
    let projection = Projection::try_new_with_schema(columns, Arc::new(input), schema);
    LogicalPlan::Projection(projection.expect("one column"))
}

/// A window step that computes something else than a window function.
fn with_other_window(input: LogicalPlan) -> LogicalPlan {
    let schema = Arc::clone(input.schema());
    LogicalPlan::Window(Window { input: Arc::new(input), window_expr: vec![lit(1)], schema })
}

/// The reasons for which the plan of rows of individuals is refused, once it was changed.
fn reasons_by_hand(change: ByHand) -> Vec<Reason> {
    let policy = policy();
    let guard = Guard::new(&policy, DateTime::UNIX_EPOCH, Day::from_epoch_days(20_000));
    let sql = "SELECT dept FROM persons";
    let query = Statement::parse(sql).expect("a query").query;
    let constants = Constants::at(guard.now, guard.today);
    let plan = guard.plan(sql, &query).expect("a plan");
    let plan = normalise(plan, constants, guard.now).expect("its normal form");
    let budget = Budget::new(&|| false);
    let labelled = ZonePass::new(&policy, constants, sql, &budget).root(&change(plan));
    labelled.expect_err("it is refused").into_findings().into_iter().map(|finding| finding.reason).collect()
}

#[test]
fn what_no_statement_comes_to_is_refused_of_a_plan_made_by_hand() {
    for (reason, _, change) in WITHOUT_STATEMENT {
        assert_eq!(reasons_by_hand(*change), [*reason]);
    }
    assert_eq!(reasons_by_hand(|plan| plan), [Reason::RowsWouldLeave], "the plan before it is changed");
}

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
        let is_excused = WITHOUT_STATEMENT.iter().any(|(excused, ..)| excused == reason);
        if refused.is_empty() != is_excused {
            wrong.push(format!("{slug}: a statement is there, or excused"));
        }
        let mut carried = BTreeSet::new();
        for example in &refused {
            let findings = found(example);
            let reasons: Vec<Reason> = findings.iter().map(|finding| finding.reason).collect();
            let of_this = findings.iter().filter(|finding| finding.reason == *reason);
            carried.extend(of_this.flat_map(|finding| finding.params.keys().copied()));
            if reasons.first() != Some(reason) {
                let sql: String = example.sql.chars().take(300).collect();
                wrong.push(format!("{slug}: refused for {reasons:?}: {sql}"));
            }
        }
        let declared: BTreeSet<&str> = reason.carries().iter().copied().collect();
        if !is_excused && carried != declared {
            wrong.push(format!("{slug}: it carries {carried:?}, and {declared:?} are declared"));
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

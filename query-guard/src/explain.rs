//! A guarded plan in words, for readers of its question: how the question was planned, and what runs in its place.
//! It says nothing that the question, its verdict and the documents of the asker do not say: which rows policies and grants
//! give, and which columns they read for that, stays out of it, and there are no estimates in it.

use std::fmt;
use std::fmt::Write as _;

use datafusion_common::tree_node::TreeNodeRecursion;
use datafusion_expr::LogicalPlan;

use crate::catalog::SealedSource;
use crate::limits::STACK_BYTES;
use crate::plan::GuardedPlan;

/// Longest texts of all plans together, in bytes; what is longer is cut off, and says so.
const TEXT_BYTES_MAX: usize = 64 * 1024;

/// A plan before and after the guard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The question as it was planned.
    pub asked: String,
    /// The plan of each stage, in the order of [`GuardedPlan::stages`].
    pub stages: Vec<String>,
    /// The plan over what the stages release.
    pub post: String,
}

impl GuardedPlan {
    /// Writes the plans down: one line for each step, its inputs indented below it.
    #[must_use]
    pub fn explain(&self) -> Explanation {
        let mut left = TEXT_BYTES_MAX;
        stacker::grow(STACK_BYTES, || Explanation {
            asked: text(&self.asked, &mut left),
            stages: self.stages.iter().map(|stage| text(&stage.plan, &mut left)).collect(),
            post: text(&self.post, &mut left),
        })
    }
}

fn text(plan: &LogicalPlan, left: &mut usize) -> String {
    let mut lines = Bounded { text: String::new(), left: *left };
    // What stops it is that the texts are long enough.
    if write(plan, 0, &mut lines).is_err() {
        lines.text.push_str("\n...");
    }
    *left = lines.left;
    lines.text
}

fn write(plan: &LogicalPlan, depth: usize, lines: &mut Bounded) -> fmt::Result {
    if depth > 0 {
        lines.write_char('\n')?;
    }
    write!(lines, "{:width$}", "", width = 2 * depth)?;
    if let Some(dataset) = sealed_rows(plan) {
        return write!(lines, "Rows: {dataset}, as policies and grant give them");
    }
    match plan {
        LogicalPlan::TableScan(scan) => return write!(lines, "Table: {}", scan.table_name),
        other => write!(lines, "{}", other.display())?,
    }
    let mut written = Ok(());
    let walked = plan.apply_subqueries(|subquery| {
        written = write(subquery, depth + 1, lines);
        Ok(if written.is_ok() { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
    });
    debug_assert!(walked.is_ok(), "the closure never fails");
    written?;
    plan.inputs().into_iter().try_for_each(|input| write(input, depth + 1, lines))
}

/// The dataset of a scan with nothing but filters over it: those of policies and grants, and the one that drops rows
/// without a subject. A condition of the question stands above the projection that masks.
fn sealed_rows(plan: &LogicalPlan) -> Option<String> {
    match plan {
        LogicalPlan::Filter(filter) => sealed_rows(&filter.input),
        LogicalPlan::TableScan(scan) => {
            scan.source.downcast_ref::<SealedSource>().map(|source| source.dataset().sql_name())
        }
        _ => None,
    }
}

/// A text that takes no more when it is long enough.
#[derive(Debug)]
struct Bounded {
    text: String,
    left: usize,
}

impl fmt::Write for Bounded {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        self.left = self.left.checked_sub(more.len()).ok_or(fmt::Error)?;
        self.text.push_str(more);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use datafusion_expr::LogicalPlanBuilder;
    use datafusion_expr::lit;

    use super::*;
    use crate::fixture::admitted;

    #[test]
    fn a_plan_is_shown_before_and_after_the_guard_without_what_policies_read() {
        let explained =
            admitted("SELECT dept, AVG(salary) FROM persons WHERE age >= 30 GROUP BY dept").explain();
        assert!(
            explained.asked.starts_with("Projection: persons.dept, avg(persons.salary)"),
            "{explained:?}"
        );
        assert!(explained.asked.contains("Filter: persons.age >= Int64(30)"), "{explained:?}");
        let [stage] = explained.stages.as_slice() else { panic!("{explained:?}") };
        assert!(stage.starts_with("Aggregate: "), "{stage}");
        assert!(stage.contains("obscura_mask(") || stage.contains("Filter: "), "{stage}");
        assert!(stage.ends_with("as policies and grant give them"), "{stage}");
        assert!(!stage.contains("IS NOT NULL\n"), "the filter below the masks is the policies' own: {stage}");
        assert!(explained.post.contains("Table: __stage_0"), "{}", explained.post);
    }

    #[test]
    fn subqueries_stand_below_the_step_that_asks_them() {
        let explained = admitted(
            "SELECT dept, AVG(salary) - (SELECT AVG(salary) FROM persons) AS d FROM persons GROUP BY dept",
        )
        .explain();
        assert_eq!(explained.stages.len(), 2);
        assert!(explained.post.contains("Table: __stage_1"), "{}", explained.post);
    }

    #[test]
    fn a_text_that_is_too_long_is_cut_off_and_says_so() {
        let long = lit("x".repeat(TEXT_BYTES_MAX)).alias("long");
        let plan = LogicalPlanBuilder::empty(true).project([long]).unwrap().build().unwrap();
        let text = text(&plan, &mut TEXT_BYTES_MAX.clone());
        assert!(text.len() <= TEXT_BYTES_MAX + 4 && text.ends_with("\n..."), "{} bytes", text.len());
    }
}

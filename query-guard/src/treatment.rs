//! The treatment of each output column: the controls of the released values that it is computed from, and how far they may be off.
//! It only describes, for the verdict and the release record; the controls themselves are in `control`.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use datafusion_common::tree_node::TreeNode as _;
use datafusion_common::tree_node::TreeNodeRecursion;
use datafusion_expr::Distinct;
use datafusion_expr::Expr;
use datafusion_expr::LogicalPlan;
use obscura_policies::fixed::Fixed;

use crate::aggregate::figure;
use crate::aggregate::stated_error;
use crate::catalog::ReleasedSource;
use crate::column_facts::ReleasedColumnFacts;
use crate::control::Figure;
use crate::control::names;
use crate::control::passed;
use crate::control::threshold;
use crate::origin::origin;
use crate::plan::OutputRole;
use crate::plan::ReleasedColumn;
use crate::plan::Stage;
use crate::plan::Treatment;
use crate::stated_error::StatedError;

/// Counts over a subject's own rows are cut off where they are counted (`zones/per_subject.rs`), before there are cells.
const TOP_CODED: &str = "top-coded";

type Controls = BTreeSet<&'static str>;

/// The treatment of every output column; `top_coded` when a stage reads counts over subjects' own rows.
///
/// The names come from the list that the control step applies. A record that names a control which was not applied would
/// promise a protection that the number does not have (`sandbox/docs/disclosure-model.md`, section 5.7).
pub(crate) fn treatments(post: &LogicalPlan, stages: &[Stage], top_coded: bool) -> Vec<Treatment> {
    let by_name = stages.iter().map(|stage| (stage.name.as_str(), columns(stage, top_coded))).collect();
    let outputs = Lineage { stages: by_name }.outputs(post);
    post.schema()
        .fields()
        .iter()
        .zip(outputs)
        .enumerate()
        .map(|(index, (field, controls))| {
            let (role, top_coded_at) = role(post, index).unwrap_or((OutputRole::Computed, None));
            Treatment {
                column: field.name().clone(),
                data_type: field.data_type().clone(),
                controls: std::iter::once(TOP_CODED)
                    .chain(names())
                    .filter(|name| controls.contains(name))
                    .collect(),
                role,
                top_coded_at: top_coded_at.and_then(Fixed::to_i64).and_then(|most| u32::try_from(most).ok()),
                error: error(post, index, stages),
            }
        })
        .collect()
}

/// The role of an output column that is handed on as a stage releases it, and where its counts are cut off.
///
/// Over the sets of keys of one GROUP BY it is what it is in each of them: a key that a set does not have is missing there.
fn role(plan: &LogicalPlan, index: usize) -> Option<(OutputRole, Option<Fixed>)> {
    let (made_by, index) = origin(plan, index)?;
    if let LogicalPlan::Union(union) = made_by {
        let sets = union.inputs.iter().filter(|input| !is_missing(input, index));
        let roles = sets.map(|input| role(input, index)).collect::<Option<Vec<_>>>()?;
        return roles.first().copied().filter(|first| roles.iter().all(|role| role == first));
    }
    Some(match ReleasedSource::column_of(made_by, index)?.as_ref() {
        ReleasedColumnFacts::Key { top_coded_at, .. } => (OutputRole::Key, *top_coded_at),
        ReleasedColumnFacts::Benchmark { .. } | ReleasedColumnFacts::Other => (OutputRole::Cell, None),
    })
}

/// True if an output column is a NULL that the plan states.
fn is_missing(plan: &LogicalPlan, index: usize) -> bool {
    let LogicalPlan::Projection(projection) = plan else { return false };
    match projection.expr.get(index).map(|expr| (expr, expr.clone().unalias())) {
        Some((_, Expr::Column(column))) => {
            let below = projection.input.schema().maybe_index_of_column(&column);
            below.is_some_and(|below| is_missing(&projection.input, below))
        }
        Some((expr, _)) => is_null(expr),
        None => false,
    }
}

fn is_null(expr: &Expr) -> bool {
    match expr {
        Expr::Alias(alias) => is_null(&alias.expr),
        Expr::Literal(value, _) => value.is_null(),
        _ => false,
    }
}

/// The error of an output column; of several sets of keys the widest of theirs.
fn error(plan: &LogicalPlan, index: usize, stages: &[Stage]) -> Option<StatedError> {
    if let Some((LogicalPlan::Union(union), index)) = origin(plan, index) {
        let errors = union.inputs.iter().map(|input| error(input, index, stages));
        let errors = errors.collect::<Option<Vec<_>>>()?;
        return errors.into_iter().map(Some).reduce(|widest, one| widest?.widest(one?)).flatten();
    }
    let (stage, column) = released(plan, index, stages)?;
    stated_error(&column.formula, stage)
}

/// The released column that an output column is, with its stage; nothing for a key, and for what is computed.
fn released<'s>(
    post: &LogicalPlan,
    index: usize,
    stages: &'s [Stage],
) -> Option<(&'s Stage, &'s ReleasedColumn)> {
    let (LogicalPlan::TableScan(scan), index) = origin(post, index)? else { return None };
    scan.source.downcast_ref::<ReleasedSource>()?;
    let stage = stages.iter().find(|stage| stage.name == scan.table_name.table())?;
    let name = scan.projected_schema.fields().get(index)?.name();
    stage.columns.iter().find(|column| column.name == *name).map(|column| (stage, column))
}

/// Controls of each column of a stage's released table: its keys, then its values
/// (`sandbox/docs/disclosure-model.md`, section 5.7).
fn columns(stage: &Stage, top_coded: bool) -> BTreeMap<String, Controls> {
    let of = |figure: Figure| -> Controls {
        top_coded.then_some(TOP_CODED).into_iter().chain(passed(figure, &stage.controls)).collect()
    };
    let keys = stage.keys.iter().map(|key| (key.name.clone(), of(Figure::Presence)));
    let values = stage.columns.iter().map(|column| (column.name.clone(), of(figure(&column.formula))));
    keys.chain(values).collect()
}

/// Follows columns through post-processing.
struct Lineage<'a> {
    stages: BTreeMap<&'a str, BTreeMap<String, Controls>>,
}

impl Lineage<'_> {
    /// Controls behind each output column of a plan.
    ///
    /// A node that is not followed names for each column the controls of all, so that none is left out
    /// (`sandbox/docs/disclosure-model.md`, section 5.7).
    fn outputs(&self, plan: &LogicalPlan) -> Vec<Controls> {
        let inputs = || plan.inputs().into_iter().map(|input| self.outputs(input));
        let width = plan.schema().fields().len();
        match plan {
            LogicalPlan::TableScan(scan) => {
                let stage = scan
                    .source
                    .downcast_ref::<ReleasedSource>()
                    .and_then(|_| self.stages.get(scan.table_name.table()));
                let known = |name: &String| stage.and_then(|columns| columns.get(name)).cloned();
                scan.projected_schema.fields().iter().map(|f| known(f.name()).unwrap_or_default()).collect()
            }
            LogicalPlan::Projection(projection) => self.over(plan, &projection.expr),
            LogicalPlan::Aggregate(aggregate) => {
                let exprs: Vec<Expr> =
                    aggregate.group_expr.iter().chain(&aggregate.aggr_expr).cloned().collect();
                fitting(self.over(plan, &exprs), width)
            }
            LogicalPlan::Window(window) => {
                let mut outputs: Vec<Controls> = inputs().flatten().collect();
                outputs.extend(self.over(plan, &window.window_expr));
                fitting(outputs, width)
            }
            LogicalPlan::Union(_) => inputs().fold(vec![Controls::new(); width], |mut all, branch| {
                all.iter_mut().zip(branch).for_each(|(known, more)| known.extend(more));
                all
            }),
            LogicalPlan::Filter(_)
            | LogicalPlan::Sort(_)
            | LogicalPlan::Limit(_)
            | LogicalPlan::SubqueryAlias(_)
            | LogicalPlan::Subquery(_)
            | LogicalPlan::Repartition(_)
            | LogicalPlan::Join(_)
            | LogicalPlan::Distinct(Distinct::All(_))
            | LogicalPlan::EmptyRelation(_)
            | LogicalPlan::Values(_) => fitting(inputs().flatten().collect(), width),
            // Any other node: each output column may depend on every input column.
            LogicalPlan::Distinct(Distinct::On(_))
            | LogicalPlan::Unnest(_)
            | LogicalPlan::RecursiveQuery(_)
            | LogicalPlan::Extension(_)
            | LogicalPlan::Statement(_)
            | LogicalPlan::Explain(_)
            | LogicalPlan::Analyze(_)
            | LogicalPlan::Dml(_)
            | LogicalPlan::Ddl(_)
            | LogicalPlan::Copy(_)
            | LogicalPlan::DescribeTable(_) => {
                let all: Controls = inputs().flatten().flatten().collect();
                vec![all; width]
            }
        }
    }

    /// Controls behind each of a node's expressions.
    fn over(&self, plan: &LogicalPlan, exprs: &[Expr]) -> Vec<Controls> {
        let inputs: Vec<(&LogicalPlan, Vec<Controls>)> =
            plan.inputs().into_iter().map(|input| (input, self.outputs(input))).collect();
        exprs.iter().map(|expr| self.of(expr, &inputs)).collect()
    }

    /// Controls behind one expression over the outputs of its inputs.
    ///
    /// A count of released rows reads no column, and tells how many groups passed the threshold, so that it names that
    /// control (`sandbox/docs/disclosure-model.md`, section 5.7).
    fn of(&self, expr: &Expr, inputs: &[(&LogicalPlan, Vec<Controls>)]) -> Controls {
        let mut controls = Controls::new();
        let walked = expr.apply(|inner| {
            match inner {
                Expr::Column(column) => {
                    for (input, outputs) in inputs {
                        let index = input.schema().maybe_index_of_column(column);
                        controls.extend(index.and_then(|index| outputs.get(index)).into_iter().flatten());
                    }
                }
                Expr::ScalarSubquery(subquery) => {
                    controls.extend(self.outputs(&subquery.subquery).into_iter().flatten());
                }
                // A count of released rows tells how many groups passed the threshold.
                Expr::AggregateFunction(call) if call.params.args.iter().all(is_literal) => {
                    controls.extend(
                        inputs.iter().any(|(input, _)| reads_a_stage(input)).then_some(threshold::NAME),
                    );
                }
                _ => {}
            }
            Ok(TreeNodeRecursion::Continue)
        });
        debug_assert!(walked.is_ok(), "the closure never fails");
        controls
    }
}

fn is_literal(expr: &Expr) -> bool {
    matches!(expr, Expr::Literal(..))
}

fn reads_a_stage(plan: &LogicalPlan) -> bool {
    let released = |plan: &LogicalPlan| match plan {
        LogicalPlan::TableScan(scan) => scan.source.downcast_ref::<ReleasedSource>().is_some(),
        _ => false,
    };
    released(plan) || plan.inputs().into_iter().any(reads_a_stage)
}

/// The controls of a node's outputs; where widths differ, as in semi and mark joins, every column may come from any input
/// column, and names the controls of all (`sandbox/docs/disclosure-model.md`, section 5.7).
fn fitting(outputs: Vec<Controls>, width: usize) -> Vec<Controls> {
    if outputs.len() == width {
        return outputs;
    }
    let all: Controls = outputs.into_iter().flatten().collect();
    vec![all; width]
}

#[cfg(test)]
mod tests {
    use crate::fixture::admitted;
    use crate::plan::OutputRole;

    fn controls(sql: &str) -> Vec<Vec<&'static str>> {
        admitted(sql).treatments().iter().map(|treatment| treatment.controls.clone()).collect()
    }

    #[test]
    fn keys_are_told_from_figures_and_capped_counts_say_where() {
        let told = |sql: &str| -> Vec<(OutputRole, Option<u32>)> {
            let plan = admitted(sql);
            plan.treatments().iter().map(|treatment| (treatment.role, treatment.top_coded_at)).collect()
        };
        let [key, cell, computed] =
            [OutputRole::Key, OutputRole::Cell, OutputRole::Computed].map(|role| (role, None));
        let by_count = "SELECT n, COUNT(*) AS persons FROM (SELECT person_id, COUNT(*) AS n FROM visits GROUP BY person_id) t GROUP BY n";
        assert_eq!(told(by_count), [(OutputRole::Key, Some(20)), cell]);
        assert_eq!(told(&format!("{by_count} ORDER BY n DESC LIMIT 3")), [(OutputRole::Key, Some(20)), cell]);
        assert_eq!(
            told("SELECT dept, COUNT(*) FROM persons GROUP BY dept HAVING COUNT(*) > 20"),
            [key, cell]
        );
        assert_eq!(
            told(
                "SELECT dept, n, RANK() OVER (ORDER BY n) FROM (SELECT dept, COUNT(*) AS n FROM persons GROUP BY dept) t"
            ),
            [key, cell, computed]
        );
        assert_eq!(told("SELECT day, AVG(cost) FROM visits GROUP BY day"), [key, cell]);
        assert_eq!(told("SELECT upper(dept), COUNT(*) * 2 FROM persons GROUP BY dept"), [computed, computed]);
    }

    #[test]
    fn each_column_names_the_controls_that_it_passed() {
        let sql = "SELECT dept, COUNT(*), COUNT(DISTINCT person_id), AVG(salary) FROM persons GROUP BY dept";
        assert_eq!(
            controls(sql),
            [
                vec!["threshold"],
                vec!["threshold", "dominance", "rounded"],
                vec!["threshold", "rounded"],
                vec!["threshold", "dominance", "rounded"]
            ]
        );
    }

    #[test]
    fn what_is_computed_names_the_controls_of_all_that_it_is_computed_from() {
        let sql = "SELECT dept, n, RANK() OVER (ORDER BY n DESC) FROM (SELECT dept, COUNT(DISTINCT person_id) AS n FROM persons GROUP BY dept)";
        let counted = vec!["threshold", "rounded"];
        assert_eq!(controls(sql), [vec!["threshold"], counted.clone(), counted]);
        let sql = "SELECT dept, AVG(salary) - (SELECT AVG(salary) FROM persons) AS over_mean FROM persons GROUP BY dept";
        assert_eq!(controls(sql)[1], ["threshold", "dominance", "rounded"]);
        assert_eq!(controls("SELECT COUNT(*) FROM (SELECT DISTINCT dept FROM persons)"), [["threshold"]]);
    }

    #[test]
    fn counts_over_a_subjects_own_rows_are_cut_off() {
        let sql = "SELECT n, COUNT(*) FROM (SELECT person_id, COUNT(*) AS n FROM visits GROUP BY person_id) GROUP BY n";
        assert_eq!(controls(sql)[0], ["top-coded", "threshold"]);
        let sql = "SELECT n, COUNT(*) FROM (SELECT ROW_NUMBER() OVER (PARTITION BY person_id ORDER BY day) AS n FROM visits) GROUP BY n";
        assert_eq!(controls(sql)[0], ["top-coded", "threshold"]);
    }

    #[test]
    fn open_data_passes_no_control() {
        assert_eq!(controls("SELECT zip, district FROM zones"), [[""; 0], [""; 0]]);
    }
}

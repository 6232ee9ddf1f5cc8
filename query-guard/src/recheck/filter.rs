//! Row filters: every row of a dataset that a plan goes on with meets those of the policy, and has a subject.

use std::cell::OnceCell;
use std::collections::BTreeSet;

use arrow::datatypes::Schema;
use datafusion_common::Column;
use datafusion_common::tree_node::Transformed;
use datafusion_common::tree_node::TreeNode;
use datafusion_expr::Expr;
use datafusion_expr::LogicalPlan;
use datafusion_expr::builder::table_scan;
use datafusion_expr::utils::conjunction;
use datafusion_expr::utils::split_conjunction;
use datafusion_optimizer::Optimizer;
use datafusion_optimizer::OptimizerContext;
use obscura_policies::effective::EffectiveDataset;

use super::expression::raw_name;
use super::terms::row_conditions;
use super::terms::schema_of;

/// The conditions that each row of one scan of a dataset must meet.
pub(super) struct RowConditions<'t> {
    dataset: &'t EffectiveDataset,
    scan: usize,
    /// As the policy writes them.
    written: Vec<Expr>,
    /// As the engine writes them; worked out once, where they are not there as the policy writes them.
    optimised: OnceCell<Option<Vec<Expr>>>,
    schema: Schema,
}

impl<'t> RowConditions<'t> {
    /// The conditions for a scan; nothing where they cannot be planned.
    ///
    /// Of columns that are `never_missing` the engine drops the condition that they are there.
    pub(super) fn of(
        dataset: &'t EffectiveDataset,
        scan: usize,
        never_missing: &BTreeSet<String>,
    ) -> Option<Self> {
        let written = row_conditions(dataset).ok()?;
        let declared = schema_of(dataset);
        let fields = declared.fields().iter().map(|field| {
            let is_nullable = !never_missing.contains(field.name());
            field.as_ref().clone().with_nullable(is_nullable)
        });
        let schema = Schema::new(fields.collect::<Vec<_>>());
        Some(RowConditions { dataset, scan, written, optimised: OnceCell::new(), schema })
    }

    /// True if the conditions that are known of a scan's rows imply all of them: either each is there as it is written, or to put
    /// them on once more changes nothing in what the engine makes of the known ones.
    pub(super) fn hold(&self, facts: &[Expr]) -> bool {
        let known: Vec<Expr> = facts.iter().filter_map(|fact| self.own(fact)).collect();
        self.written.iter().all(|due| known.contains(due))
            || self.conjuncts(known.clone()).is_some_and(|before| {
                let both = known.into_iter().chain(self.written.iter().cloned());
                self.conjuncts(both.collect()).is_some_and(|after| {
                    after.len() == before.len() && after.iter().all(|part| before.contains(part))
                })
            })
    }

    /// True of a condition that is one of them, in either form: the policy's filters read raw values.
    pub(super) fn is_one(&self, fact: &Expr) -> bool {
        let Some(fact) = self.own(fact) else { return false };
        // Without a row filter there is nothing that the engine could have written in another way.
        let has_filters = !self.dataset.row_filters.is_empty();
        self.written.contains(&fact)
            || (has_filters && self.optimised().is_some_and(|all| all.contains(&fact)))
    }

    fn optimised(&self) -> Option<&Vec<Expr>> {
        self.optimised.get_or_init(|| self.conjuncts(self.written.clone())).as_ref()
    }

    /// A condition over raw columns of the scan alone, under their names in the dataset.
    fn own(&self, fact: &Expr) -> Option<Expr> {
        let named = fact.clone().transform_up(|inner| match inner {
            Expr::Column(column) => {
                let mut columns = self.dataset.columns.iter();
                let own = columns.find(|own| raw_name(self.scan, &own.name) == column.name);
                let other = || datafusion_common::DataFusionError::Plan("of another scan".to_owned());
                Ok(Transformed::yes(Expr::Column(Column::from_name(&own.ok_or_else(other)?.name))))
            }
            other => Ok(Transformed::no(other)),
        });
        named.map(|named| named.data).ok()
    }

    /// The conditions that the engine's optimiser makes of some.
    fn conjuncts(&self, conditions: Vec<Expr>) -> Option<Vec<Expr>> {
        let Some(condition) = conjunction(conditions) else { return Some(Vec::new()) };
        let scan = table_scan(Some("rows"), &self.schema, None).ok()?;
        let plan = scan.filter(condition).and_then(|builder| builder.build()).ok()?;
        // Parts that occur twice would stand in a projection of their own.
        let mut rules = Optimizer::new().rules;
        rules.retain(|rule| rule.name() != "common_sub_expression_eliminate");
        let optimizer = Optimizer::with_rules(rules);
        let optimised = optimizer.optimize(plan, &OptimizerContext::new(), |_plan, _rule| {}).ok()?;
        let mut all = Vec::new();
        let mut node = &optimised;
        loop {
            match node {
                LogicalPlan::Filter(filter) => {
                    all.extend(split_conjunction(&filter.predicate).into_iter().cloned());
                    node = &filter.input;
                }
                LogicalPlan::TableScan(scan) => {
                    all.extend(scan.filters.iter().cloned());
                    break;
                }
                // No row at all.
                LogicalPlan::EmptyRelation(_) => {
                    all.push(Expr::Literal(datafusion_common::ScalarValue::Boolean(Some(false)), None));
                    break;
                }
                _ => return None,
            }
        }
        let unqualified = all.into_iter().map(|expr| {
            expr.transform_up(|inner| match inner {
                Expr::Column(column) => Ok(Transformed::yes(Expr::Column(Column::from_name(column.name)))),
                Expr::Literal(value, _) => Ok(Transformed::no(Expr::Literal(value, None))),
                other => Ok(Transformed::no(other)),
            })
            .map(|changed| changed.data)
            .ok()
        });
        let mut all = unqualified.collect::<Option<Vec<_>>>()?;
        all.dedup();
        Some(all)
    }
}

//! Makes every plan give way to a caller that stops it: a pass over the physical plan that puts a pausing operator above the
//! operators that read and those that multiply rows. It changes no row.
//!
//! DataFusion's own rule leaves out the operators below an exchange, because the exchange itself gives way; but a partial
//! aggregate there takes in rows without end and hands on none, so that nothing ever reaches the exchange: such a job ran on
//! after its time was over, and kept its thread.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::tree_node::TreeNode as _;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::coop::CooperativeExec;

/// The rule of DataFusion's that this one stands behind: those after it read the finished plan.
const AFTER: &str = "EnsureCooperative";
/// Operators that give out more rows than they take in.
const MULTIPLY: &[&str] = &["CrossJoinExec", "HashJoinExec", "NestedLoopJoinExec", "SortMergeJoinExec"];

/// The rules of a session, this one among them.
pub(super) fn optimizer_rules() -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    let mut rules = PhysicalOptimizer::new().rules;
    let at = rules.iter().position(|rule| rule.name() == AFTER).map_or(rules.len(), |at| at + 1);
    rules.insert(at, Arc::new(GiveWay));
    rules
}

/// Puts places to pause into a plan.
#[derive(Debug)]
struct GiveWay;

impl PhysicalOptimizerRule for GiveWay {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let pausing = plan.transform_up(|node| {
            let reads = node.children().is_empty();
            Ok(if reads || MULTIPLY.contains(&node.name()) {
                Transformed::yes(Arc::new(CooperativeExec::new(node)) as Arc<dyn ExecutionPlan>)
            } else {
                Transformed::no(node)
            })
        });
        pausing.map(|pausing| pausing.data)
    }

    fn name(&self) -> &'static str {
        "GiveWay"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

//! The second look in the engine's own session: what it makes of admitted plans passes, and a plan that lacks a part of them does
//! not, be it the optimised or the physical one.

use arrow::datatypes::Schema;
use datafusion::common::JoinType;
use datafusion::common::tree_node::Transformed;
use datafusion::common::tree_node::TreeNode as _;
use datafusion::logical_expr::Join;
use datafusion::physical_expr::expressions::lit;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::filter::FilterExecBuilder;
use datafusion::physical_plan::limit::LocalLimitExec;

use super::*;

const QUESTIONS: &[&str] = &[
    COUNT,
    "SELECT COUNT(*) FROM hz_health.visits WHERE district = 'Xihu'",
    "SELECT COUNT(DISTINCT v.person_id) FROM hz_health.visits v WHERE EXISTS (SELECT 1 FROM hz_health.visits w WHERE w.person_id = v.person_id AND w.district = 'Xihu')",
    "SELECT n, COUNT(*) FROM (SELECT person_id, COUNT(*) AS n FROM hz_health.visits GROUP BY person_id) t GROUP BY n",
    "SELECT district, COUNT(*) FROM hz_health.visits WHERE district = 'Xihu' AND district = 'Shangcheng' GROUP BY district",
];

type Change<'c, N> = &'c dyn Fn(&N) -> Option<N>;

/// A stage's plan as the session optimises it, and its physical plan.
struct Planned {
    due: PlanToRun,
    sealed: Arc<SealedTables>,
    state: Arc<SessionState>,
    optimised: LogicalPlan,
    physical: Arc<dyn ExecutionPlan>,
}

/// Visits whose columns may be missing, as those of sealed files may: the engine then keeps the condition that they are there.
fn sealed_visits() -> Arc<SealedTables> {
    let batch = visits_batch();
    let fields = batch
        .schema()
        .fields()
        .iter()
        .map(|field| field.as_ref().clone().with_nullable(true))
        .collect::<Vec<_>>();
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), batch.columns().to_vec()).unwrap();
    let table = MemTable::try_new(batch.schema(), vec![vec![batch]]).unwrap();
    sealed(BTreeMap::from([(DATASET.parse().unwrap(), Arc::new(table) as Arc<dyn TableProvider>)]), &[])
}

async fn planned(sql: &str) -> Planned {
    let sealed = sealed_visits();
    let due = match Arc::new(admitted(sql)).begin(ExecutionContext::default()).unwrap() {
        Execution::Stage(stage) => stage.next().unwrap(),
        Execution::Last(_) => panic!("{sql} has a stage"),
    };
    let state = session::locked_down(LIMITS).unwrap();
    let optimised = state.optimize(&resolve(&due, &sealed).unwrap()).unwrap();
    let physical = state.query_planner().create_physical_plan(&optimised, state.as_ref()).await.unwrap();
    Planned { due, sealed, state, optimised, physical }
}

impl Planned {
    fn logical(&self, plan: &LogicalPlan) -> Result<(), EngineError> {
        recheck::optimised(&self.due, plan, &self.sealed)
    }

    fn physical(&self, plan: &Arc<dyn ExecutionPlan>) -> Result<(), EngineError> {
        recheck::physical(plan, &self.optimised, &self.state, self.due.ends())
    }

    /// Changes the optimised plan at one node after the other, each of which is refused; returns their number.
    fn refuses_optimised(&self, change: Change<'_, LogicalPlan>) -> usize {
        let mut at = 0;
        loop {
            let (mut seen, mut has_changed) = (0, false);
            let other = self.optimised.clone().transform_down(|node| {
                let new = change(&node).filter(|_| !has_changed);
                seen += usize::from(new.is_some());
                has_changed |= new.is_some() && seen == at + 1;
                Ok(match new.filter(|_| has_changed) {
                    Some(new) => Transformed::yes(new),
                    None => Transformed::no(node),
                })
            });
            if !has_changed {
                return at;
            }
            let other = other.unwrap().data;
            assert!(self.logical(&other).is_err(), "{}", other.display_indent());
            at += 1;
        }
    }

    /// True if the physical plan has a place for a change, with which it is refused.
    fn refuses_physical(&self, change: Change<'_, Arc<dyn ExecutionPlan>>) -> bool {
        let mut has_changed = false;
        let other = Arc::clone(&self.physical).transform_down(|node| {
            Ok(match change(&node).filter(|_| !has_changed) {
                Some(new) => {
                    has_changed = true;
                    Transformed::yes(new)
                }
                None => Transformed::no(node),
            })
        });
        if has_changed {
            let refused = self.physical(&other.unwrap().data);
            assert!(matches!(refused, Err(EngineError::Recheck(_))), "{refused:?}");
        }
        has_changed
    }
}

#[tokio::test]
async fn the_plans_of_the_engine_pass() {
    for sql in QUESTIONS {
        let planned = planned(sql).await;
        planned.logical(&planned.optimised).unwrap();
        planned.physical(&planned.physical).unwrap();
        run(&threads(2), job(admitted(sql), sealed(tables(), &[]), LIMITS)).await.unwrap();
    }
}

#[tokio::test]
async fn an_optimised_plan_without_a_control_is_found() {
    let mut places = [0; 3];
    for sql in QUESTIONS {
        let planned = planned(sql).await;
        places[0] += planned.refuses_optimised(&|node| match node {
            LogicalPlan::Filter(filter) if filter.predicate.to_string().contains("person_id IS NOT NULL") => {
                Some(filter.input.as_ref().clone())
            }
            _ => None,
        });
        places[1] += planned.refuses_optimised(&|node| match node {
            // What only makes rows distinct for a semi join changes nothing.
            LogicalPlan::Aggregate(aggregate) if !aggregate.aggr_expr.is_empty() => {
                Some(aggregate.input.as_ref().clone())
            }
            _ => None,
        });
        places[2] += planned.refuses_optimised(&|node| match node {
            LogicalPlan::TableScan(_) => {
                Some(LogicalPlanBuilder::from(node.clone()).limit(0, Some(1)).unwrap().build().unwrap())
            }
            _ => None,
        });
    }
    assert!(places.iter().all(|places| *places >= 4), "{places:?}");
}

#[tokio::test]
async fn a_physical_plan_that_is_another_one_is_found() {
    let mut places = [0; 3];
    for sql in QUESTIONS {
        let planned = planned(sql).await;
        places[0] += usize::from(planned.refuses_physical(&|node| {
            let filter = node.downcast_ref::<FilterExec>()?;
            let open = FilterExecBuilder::from(filter).with_predicate(lit(true)).build().unwrap();
            Some(Arc::new(open) as Arc<dyn ExecutionPlan>)
        }));
        places[1] += usize::from(planned.refuses_physical(&|node| {
            let is_scan = node.name() == "DataSourceExec";
            is_scan.then(|| Arc::new(LocalLimitExec::new(Arc::clone(node), 1)) as Arc<dyn ExecutionPlan>)
        }));
        let other = planned.optimised.clone().transform_down(|node| match node {
            LogicalPlan::Join(join) if join.join_type == JoinType::LeftSemi => {
                let join_type = JoinType::LeftAnti;
                Ok(Transformed::yes(LogicalPlan::Join(Join { join_type, ..join })))
            }
            other => Ok(Transformed::no(other)),
        });
        let other = other.unwrap();
        if other.transformed {
            let planner = planned.state.query_planner();
            let physical = planner.create_physical_plan(&other.data, planned.state.as_ref()).await.unwrap();
            refused(planned.physical(&physical), "another physical plan");
            places[2] += 1;
        }
    }
    assert!(places.iter().all(|places| *places >= 1), "{places:?}");
}

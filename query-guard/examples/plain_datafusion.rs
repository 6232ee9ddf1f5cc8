//! A plain DataFusion program that guards its own table: no Obscura service, no sealed files.
//!
//! `cargo run -p obscura-query-guard --example plain_datafusion`

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::DateTime;
use datafusion::arrow::array::Int64Array;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::array::StringArray;
use datafusion::arrow::util::pretty::pretty_format_batches;
use datafusion::catalog::MemTable;
use datafusion::common::tree_node::Transformed;
use datafusion::datasource::provider_as_source;
use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::LogicalPlan;
use datafusion::logical_expr::LogicalPlanBuilder;
use datafusion::physical_plan::collect;
use obscura_policies::day::Day;
use obscura_policies::effective::Controls;
use obscura_policies::effective::Dominance;
use obscura_policies::effective::EffectiveColumn;
use obscura_policies::effective::EffectiveDataset;
use obscura_policies::effective::EffectivePolicy;
use obscura_policies::effective::EffectiveUnit;
use obscura_policies::effective::Floor;
use obscura_policies::vocabulary::DataType;
use obscura_policies::vocabulary::Function;
use obscura_policies::vocabulary::Level;
use obscura_policies::vocabulary::Release;
use obscura_policies::vocabulary::Role;
use obscura_policies::vocabulary::UnitKind;
use obscura_policies::vocabulary::Use;
use obscura_query_guard::execution::ExecutionContext;
use obscura_query_guard::execution::PlanRunner;
use obscura_query_guard::execution::PlanToRun;
use obscura_query_guard::guard::Guard;
use obscura_query_guard::verdict::Decision;

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
#[expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "an example prints, and shows a default session"
)]
async fn main() -> Result<(), Failure> {
    let policy = policy()?;
    let guard = Guard::new(&policy, DateTime::UNIX_EPOCH, Day::from_epoch_days(0));
    for sql in
        ["SELECT sector, COUNT(*) AS firms FROM firms GROUP BY sector", "SELECT firm, sector FROM firms"]
    {
        println!("{sql}");
        match guard.review(sql).decision {
            Decision::Refused { findings, rewrites } => {
                for finding in findings {
                    println!("  refused: {} ({})", finding.code.rule().en, finding.code.slug());
                }
                for rewrite in rewrites {
                    println!("  admitted instead: {}", rewrite.sql);
                }
            }
            Decision::Admitted(plan) => {
                let context = SessionContext::new();
                let execution = Arc::new(*plan).begin(ExecutionContext::default())?;
                let released = execution.run(&mut Firms { context }).await?;
                println!("{}", pretty_format_batches(std::slice::from_ref(released.batch()))?);
            }
        }
    }
    Ok(())
}

/// Runs the plans of the guard in a session of DataFusion.
struct Firms {
    context: SessionContext,
}

impl PlanRunner for Firms {
    type Error = Failure;

    async fn run(&mut self, due: PlanToRun) -> Result<Vec<RecordBatch>, Failure> {
        run(&self.context, &due).await
    }
}

/// Runs one plan of the guard: over the firms, and over what was released to it.
async fn run(context: &SessionContext, due: &PlanToRun) -> Result<Vec<RecordBatch>, Failure> {
    let mut tables = BTreeMap::from([("demo.firms".to_owned(), firms()?)]);
    tables.extend(due.released().iter().map(|(name, table)| (name.clone(), table.batch().clone())));
    let resolved = due.plan().clone().transform_down_with_subqueries(|node| {
        let LogicalPlan::TableScan(scan) = &node else { return Ok(Transformed::no(node)) };
        let Some(batch) = tables.get(&scan.table_name.to_string()) else { return Ok(Transformed::no(node)) };
        let columns = scan
            .projected_schema
            .fields()
            .iter()
            .map(|field| batch.schema().index_of(field.name()))
            .collect::<Result<_, _>>()?;
        let table = MemTable::try_new(batch.schema(), vec![vec![batch.clone()]])?;
        LogicalPlanBuilder::scan(scan.table_name.clone(), provider_as_source(Arc::new(table)), Some(columns))?
            .build()
            .map(Transformed::yes)
    })?;
    let physical = context.state().create_physical_plan(&resolved.data).await?;
    Ok(collect(physical, context.task_ctx()).await?)
}

fn firms() -> Result<RecordBatch, Failure> {
    let sectors = (0..100).map(|firm| {
        if firm < 3 {
            "mining"
        } else if firm % 2 == 0 {
            "retail"
        } else {
            "software"
        }
    });
    let firms = Int64Array::from_iter_values(0..100);
    Ok(RecordBatch::try_from_iter([
        ("firm", Arc::new(firms) as _),
        ("sector", Arc::new(StringArray::from_iter_values(sectors)) as _),
    ])?)
}

/// The policy of one table; in Obscura it comes out of documents (`obscura_policies::evaluate`).
fn policy() -> Result<EffectivePolicy, Failure> {
    let column = |name: &str, data_type, role, uses: &[Use]| EffectiveColumn {
        name: name.to_owned(),
        data_type,
        role,
        grade: Level(3),
        grade_after: Level(3),
        uses: uses.iter().copied().collect(),
        mask: None,
        range: None,
        bins: None,
        usual: None,
        domain: None,
        scale: 0,
        coded: false,
    };
    let firms = EffectiveDataset {
        id: "demo.firms".parse()?,
        membership: Level(3),
        units: vec![EffectiveUnit {
            kind: UnitKind("enterprise".to_owned()),
            column: "firm".to_owned(),
            one_row_per_subject: true,
            rows_max: Some(1),
            clustered: false,
        }],
        columns: vec![
            column("firm", DataType::Int, Role::UnitKey, &[Use::CountDistinct]),
            column("sector", DataType::Text, Role::Dimension, &[Use::Filter, Use::Group]),
        ],
        row_filters: Vec::new(),
        release: Release::Aggregates,
        functions: BTreeSet::from([Function::Count, Function::CountDistinct]),
        controls: Controls::default(),
        join_with: BTreeSet::new(),
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
    let controls = Controls {
        subjects_min: 10,
        dominance: Some(Dominance { n: 2, share_max_permille: 850, p_percent: 10 }),
        rounding: Some(5),
        ..Controls::default()
    };
    Ok(EffectivePolicy {
        purpose: "demonstration".to_owned(),
        datasets: BTreeMap::from([(firms.id.clone(), firms)]),
        floors: BTreeMap::from([(Level(3), Floor { release: Release::Aggregates, controls })]),
        sources: Vec::new(),
    })
}

//! The catalogue that a query is planned against: the datasets and columns of one job, and the allow-listed functions.
//! It reads no data; a hidden dataset and one that does not exist are the same thing here.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;

use arrow::datatypes::DataType as ArrowType;
use arrow::datatypes::Field;
use arrow::datatypes::Schema;
use arrow::datatypes::SchemaRef;
use datafusion_common::DataFusionError;
use datafusion_common::Result;
use datafusion_common::TableReference;
use datafusion_common::config::ConfigOptions;
use datafusion_expr::AggregateUDF;
use datafusion_expr::Expr;
use datafusion_expr::HigherOrderUDF;
use datafusion_expr::LogicalPlan;
use datafusion_expr::ScalarUDF;
use datafusion_expr::TableScan;
use datafusion_expr::TableSource;
use datafusion_expr::WindowUDF;
use datafusion_expr::planner::ContextProvider;
use datafusion_expr::planner::ExprPlanner;
use datafusion_functions::core::planner::CoreFunctionPlanner;
use datafusion_functions::datetime::planner::DatetimeFunctionPlanner;
use datafusion_functions::unicode::planner::UnicodeFunctionPlanner;
use datafusion_functions_aggregate::planner::AggregateFunctionPlanner;
use datafusion_functions_window::planner::WindowFunctionPlanner;
use obscura_policies::effective::EffectiveDataset;
use obscura_policies::effective::EffectivePolicy;
use obscura_policies::vocabulary::DatasetId;

use crate::column_facts::ReleasedColumnFacts;
use crate::functions::Functions;
use crate::names::TableName;
use crate::sealed_type::column_type;

/// A sealed dataset as a stage's plan names it; the engine replaces it by the real table.
#[derive(Debug, Clone)]
pub struct SealedSource {
    dataset: DatasetId,
    schema: SchemaRef,
}

impl SealedSource {
    /// The dataset whose rows are meant.
    #[must_use]
    pub fn dataset(&self) -> &DatasetId {
        &self.dataset
    }
}

impl TableSource for SealedSource {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}

/// A dataset as the analyst may name it; exists only while a query is planned.
#[derive(Debug)]
pub(crate) struct GrantedSource {
    pub(crate) dataset: DatasetId,
    schema: SchemaRef,
}

impl TableSource for GrantedSource {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}

/// A stage's released table as later plans name it; the engine replaces it by the table in memory.
#[derive(Debug, Clone)]
pub struct ReleasedSource {
    pub(crate) schema: SchemaRef,
    /// The facts of each column, for the individuals that it meets.
    pub(crate) columns: BTreeMap<String, Arc<ReleasedColumnFacts>>,
}

impl ReleasedSource {
    /// The facts of an output column of a plan over released tables, if it is a column of one of them, unchanged.
    ///
    /// A computed column has none, because it can be made to be any number: compared with a measure,
    /// `AVG(salary) * 0 + 20001` is a literal off its edges (`sandbox/docs/disclosure-model.md`, section 4.6).
    pub(crate) fn column_of(plan: &LogicalPlan, index: usize) -> Option<Arc<ReleasedColumnFacts>> {
        #[expect(clippy::wildcard_enum_match_arm, reason = "what any other node yields is computed")]
        match plan {
            LogicalPlan::Projection(projection) => {
                let column = match projection.expr.get(index)? {
                    Expr::Alias(alias) => alias.expr.try_as_col()?,
                    other => other.try_as_col()?,
                };
                let below = projection.input.schema().maybe_index_of_column(column)?;
                Self::column_of(&projection.input, below)
            }
            LogicalPlan::SubqueryAlias(alias) => Self::column_of(&alias.input, index),
            LogicalPlan::Subquery(subquery) => Self::column_of(&subquery.subquery, index),
            LogicalPlan::TableScan(scan) => {
                let source = scan.source.downcast_ref::<ReleasedSource>()?;
                let name = scan.projected_schema.fields().get(index)?.name();
                source.columns.get(name).map(Arc::clone)
            }
            _ => None,
        }
    }
}

impl TableSource for ReleasedSource {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}

/// The dataset that a scan reads, by the name of its table; nothing for the released table of a stage.
pub(crate) fn scanned_dataset<'p>(
    scan: &TableScan,
    policy: &'p EffectivePolicy,
) -> Option<&'p EffectiveDataset> {
    let table = scan.table_name.to_string();
    policy.datasets.values().find(|dataset| dataset.id.sql_name() == table)
}

/// The schema a dataset's sealed table has for this job: granted columns and unit keys, in order.
///
/// A stage can name no column beyond it (`sandbox/docs/disclosure-model.md`, section 3).
pub(crate) fn sealed_source(dataset: &EffectiveDataset) -> SealedSource {
    let fields: Vec<Field> = dataset
        .columns
        .iter()
        .map(|column| Field::new(&column.name, column_type(column, dataset), true))
        .collect();
    SealedSource { dataset: dataset.id.clone(), schema: Arc::new(Schema::new(fields)) }
}

/// The names that planning asked for in vain: they tell a missing dataset or function from other planning errors without
/// reading an engine message.
#[derive(Debug, Default, Clone)]
pub(crate) struct Missing {
    pub(crate) dataset: Option<String>,
    pub(crate) function: Option<String>,
    /// A table of what a recursive query has found so far: it is given none.
    pub(crate) recursion: bool,
}

/// Planning context of one job.
pub(crate) struct Catalog<'a> {
    policy: &'a EffectivePolicy,
    functions: &'a Functions,
    tables: BTreeMap<String, Arc<GrantedSource>>,
    planners: Vec<Arc<dyn ExprPlanner>>,
    options: ConfigOptions,
    missing: Mutex<Missing>,
}

impl<'a> Catalog<'a> {
    /// The catalogue of one job: its datasets with the columns that have a use, and the functions on the list.
    ///
    /// Nothing else can be planned, so that no rule needs to think of it: settings and schemas of the engine
    /// (`information_schema.tables`), files and hidden columns (`sandbox/docs/disclosure-model.md`, section 3).
    pub(crate) fn new(policy: &'a EffectivePolicy, functions: &'a Functions) -> Self {
        let mut tables = BTreeMap::new();
        for (id, dataset) in &policy.datasets {
            let visible = dataset.columns.iter().filter(|column| !column.uses.is_empty());
            let fields: Vec<Field> =
                visible.map(|column| Field::new(&column.name, column_type(column, dataset), true)).collect();
            tables.insert(
                id.sql_name(),
                Arc::new(GrantedSource { dataset: id.clone(), schema: Arc::new(Schema::new(fields)) }),
            );
        }
        let planners: Vec<Arc<dyn ExprPlanner>> = vec![
            Arc::new(CoreFunctionPlanner::default()),
            Arc::new(DatetimeFunctionPlanner),
            Arc::new(UnicodeFunctionPlanner),
            Arc::new(AggregateFunctionPlanner),
            Arc::new(WindowFunctionPlanner),
        ];
        Catalog {
            policy,
            functions,
            tables,
            planners,
            options: ConfigOptions::default(),
            missing: Mutex::new(Missing::default()),
        }
    }

    pub(crate) fn missing(&self) -> Missing {
        self.missing.lock().map(|missing| missing.clone()).unwrap_or_default()
    }

    /// The function that an engine message is about, as a name of the list: nothing else of the message is told
    /// (`sandbox/docs/disclosure-model.md`, section 7).
    pub(crate) fn function_in(&self, message: &str) -> Option<String> {
        self.functions.names().find(|name| message.contains(&format!("'{name}'"))).map(str::to_owned)
    }

    fn note(&self, note: impl FnOnce(&mut Missing)) {
        if let Ok(mut missing) = self.missing.lock() {
            note(&mut missing);
        }
    }

    /// The one dataset in scope that a name may mean.
    ///
    /// A name that may mean two datasets means none: which of them is asked for decides whose rows are counted
    /// (`sandbox/docs/disclosure-model.md`, section 3).
    fn named(&self, reference: &TableReference) -> Option<Arc<GrantedSource>> {
        let name = TableName::of(reference)?;
        let mut found = self.policy.datasets.keys().filter(|id| name.may_mean(id));
        match (found.next(), found.next()) {
            (Some(id), None) => self.tables.get(&id.sql_name()).map(Arc::clone),
            _ => None,
        }
    }
}

impl ContextProvider for Catalog<'_> {
    /// A dataset by its name. A hidden one and one that does not exist end alike, so that names cannot be guessed
    /// (`sandbox/docs/disclosure-model.md`, section 3).
    fn get_table_source(&self, name: TableReference) -> Result<Arc<dyn TableSource>> {
        self.named(&name).map(|table| table as Arc<dyn TableSource>).ok_or_else(|| {
            self.note(|missing| missing.dataset = Some(name.to_string()));
            DataFusionError::Plan("no such dataset in scope".to_owned())
        })
    }

    /// Gives a recursive query no table, so that it cannot be planned.
    ///
    /// The number of its rounds would depend on its rows:
    /// `WHERE n < (SELECT age FROM persons WHERE name = 'Victim Vera')` tells an age by the depth of the recursion
    /// (`sandbox/docs/disclosure-model.md`, section 3).
    fn create_cte_work_table(&self, _name: &str, _schema: SchemaRef) -> Result<Arc<dyn TableSource>> {
        self.note(|missing| missing.recursion = true);
        Err(DataFusionError::Plan("no recursion".to_owned()))
    }

    fn get_expr_planners(&self) -> &[Arc<dyn ExprPlanner>] {
        &self.planners
    }

    /// A scalar function of the list.
    ///
    /// Functions that draw random numbers, hash, read the environment or quote their arguments in errors pick out
    /// people or show values: `md5(name)` scatters people into pseudo-random sets
    /// (`sandbox/docs/disclosure-model.md`, section 3).
    fn get_function_meta(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        let found = self.functions.scalar(name);
        if found.is_none()
            && self.functions.aggregate(name).is_none()
            && self.functions.window(name).is_none()
        {
            self.note(|missing| missing.function = Some(name.to_owned()));
        }
        found
    }

    /// No function that takes a function: none is on the list (`sandbox/docs/disclosure-model.md`, section 3).
    fn get_higher_order_meta(&self, _name: &str) -> Option<Arc<HigherOrderUDF>> {
        None
    }

    /// An aggregate of the list. One that keeps single values, such as `array_agg(salary)`, is not on it
    /// (`sandbox/docs/disclosure-model.md`, section 3).
    fn get_aggregate_meta(&self, name: &str) -> Option<Arc<AggregateUDF>> {
        self.functions.aggregate(name)
    }

    /// A window function of the list (`sandbox/docs/disclosure-model.md`, section 3).
    fn get_window_meta(&self, name: &str) -> Option<Arc<WindowUDF>> {
        self.functions.window(name)
    }

    /// No variable: their values would be those of the engine and of its environment
    /// (`sandbox/docs/disclosure-model.md`, section 3).
    fn get_variable_type(&self, _variable_names: &[String]) -> Option<ArrowType> {
        None
    }

    fn options(&self) -> &ConfigOptions {
        &self.options
    }

    fn udf_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn higher_order_function_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn udaf_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn udwf_names(&self) -> Vec<String> {
        Vec::new()
    }
}

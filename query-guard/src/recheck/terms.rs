//! The terms that a plan is held to when it is looked at again: what the policy of the job says of the datasets that it reads.
//!
//! They are taken from the policy, and not from what the guard made of it: a plan from which the guard left out a control does
//! not fulfil them.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::DataType as ArrowType;
use arrow::datatypes::Field;
use arrow::datatypes::Schema;
use datafusion_common::DFSchema;
use datafusion_common::DataFusionError;
use datafusion_common::Result;
use datafusion_common::TableReference;
use datafusion_common::config::ConfigOptions;
use datafusion_common::tree_node::Transformed;
use datafusion_common::tree_node::TreeNode;
use datafusion_expr::AggregateUDF;
use datafusion_expr::Expr;
use datafusion_expr::HigherOrderUDF;
use datafusion_expr::ScalarUDF;
use datafusion_expr::TableSource;
use datafusion_expr::TryCast;
use datafusion_expr::WindowUDF;
use datafusion_expr::planner::ContextProvider;
use datafusion_expr::planner::ExprPlanner;
use datafusion_expr::simplify::SimplifyContext;
use datafusion_expr::utils::split_conjunction_owned;
use datafusion_functions::core::planner::CoreFunctionPlanner;
use datafusion_functions::datetime::planner::DatetimeFunctionPlanner;
use datafusion_functions::unicode::planner::UnicodeFunctionPlanner;
use datafusion_optimizer::simplify_expressions::ExprSimplifier;
use datafusion_sql::planner::PlannerContext;
use datafusion_sql::planner::SqlToRel;
use datafusion_sql::sqlparser::dialect::GenericDialect;
use datafusion_sql::sqlparser::parser::Parser;
use obscura_policies::day::Day;
use obscura_policies::effective::Controls;
use obscura_policies::effective::EffectiveColumn;
use obscura_policies::effective::EffectiveDataset;
use obscura_policies::effective::EffectivePolicy;
use obscura_policies::effective::EffectiveUnit;
use obscura_policies::effective::Floor;
use obscura_policies::vocabulary::DataType;
use obscura_policies::vocabulary::DatasetId;
use obscura_policies::vocabulary::Level;
use obscura_policies::vocabulary::Release;
use obscura_policies::vocabulary::Review;

use crate::functions::is_known_scalar;
use crate::limits::PARSED_DEPTH_MAX;

/// Most values of a column that have names of their own.
const NAMED_MAX: i64 = 100_000;
/// Rows that carry subjects are held to the floor of this grade at the least.
const SUBJECTS_MIN: Level = Level(2);

/// The terms of one job, as far as its plan needs them.
#[derive(Debug, Clone)]
pub(crate) struct Terms {
    datasets: BTreeMap<DatasetId, EffectiveDataset>,
    floors: BTreeMap<Level, Floor>,
    /// Some cell under the policy may have noise, so that values are brought into their domains.
    asks_for_noise: bool,
    /// The people who look at the result, by the datasets of the job and the floors of their membership.
    review: Review,
    today: Day,
}

impl Terms {
    /// The terms of a policy for the datasets that a plan reads.
    pub(crate) fn of<'d>(
        policy: &EffectivePolicy,
        read: impl IntoIterator<Item = &'d DatasetId>,
        today: Day,
    ) -> Self {
        let read = read.into_iter().filter_map(|id| policy.datasets.get(id));
        let mut controls = policy.floors.values().map(|floor| &floor.controls);
        let mut own = policy.datasets.values().map(|dataset| &dataset.controls);
        let has_noise = |controls: &Controls| controls.perturbation.is_some();
        let reviews = policy.datasets.values().map(|dataset| {
            let floor = policy.floors.get(&dataset.membership);
            dataset.controls.review.max(floor.map_or(Review::None, |floor| floor.controls.review))
        });
        Terms {
            datasets: read.map(|dataset| (dataset.id.clone(), dataset.clone())).collect(),
            floors: policy.floors.clone(),
            asks_for_noise: controls.any(has_noise) || own.any(has_noise),
            review: reviews.max().unwrap_or(Review::None),
            today,
        }
    }

    pub(super) fn dataset(&self, id: &DatasetId) -> Option<&EffectiveDataset> {
        self.datasets.get(id)
    }

    pub(super) fn review(&self) -> Review {
        self.review
    }

    pub(super) fn today(&self) -> Day {
        self.today
    }

    /// All controls that rows of some datasets at some grade are held to.
    pub(super) fn controls<'t>(
        &'t self,
        datasets: &'t BTreeSet<DatasetId>,
        grade: Level,
        carries_subjects: bool,
    ) -> Vec<&'t Controls> {
        let least = if carries_subjects { grade.max(SUBJECTS_MIN) } else { grade };
        // A scheme need not have every level: the next stricter one holds.
        let floor = self.floors.range(least..).next().map(|(_, floor)| &floor.controls);
        let own = datasets.iter().filter_map(|id| self.datasets.get(id)).map(|dataset| &dataset.controls);
        floor.into_iter().chain(own).collect()
    }

    /// True if the values of a column are brought into a published domain at the scan.
    pub(super) fn has_domain(&self, dataset: &EffectiveDataset, column: &EffectiveColumn) -> bool {
        if !self.asks_for_noise || may_leave_as_rows(dataset) {
            return false;
        }
        let is_token = dataset.units.iter().any(|unit| unit.column == column.name);
        let has_bins = || {
            column.range.zip(column.bins).is_some_and(|((low, high), bins)| {
                let (span, width) = (high.to_f64() - low.to_f64(), bins.to_f64());
                width > 0.0 && span / width < 99_999.0
            })
        };
        match column.data_type {
            _ if is_token => column.range.is_some(),
            DataType::Text => column.domain.is_some(),
            DataType::Date | DataType::Timestamp => true,
            DataType::Int => column.range.is_some_and(|(low, high)| {
                let count = low.to_i64().zip(high.to_i64()).map(|(low, high)| high.saturating_sub(low));
                count.is_some_and(|count| (0..NAMED_MAX).contains(&count)) || has_bins()
            }),
            DataType::Decimal { .. } | DataType::Float => has_bins(),
            DataType::Bool => false,
        }
    }
}

/// True if the rows of a dataset may leave as they are.
pub(super) fn may_leave_as_rows(dataset: &EffectiveDataset) -> bool {
    let used = dataset.columns.iter().filter(|column| !column.uses.is_empty());
    let strictest = used.map(|column| column.grade).fold(dataset.membership, Level::max);
    dataset.release == Release::RowsOpen && dataset.privacy_budget.is_none() && strictest <= Level(1)
}

/// The unit whose key a column is.
pub(super) fn unit_of<'d>(dataset: &'d EffectiveDataset, column: &str) -> Option<&'d EffectiveUnit> {
    dataset.units.iter().find(|unit| unit.column == column)
}

/// The type that a column has in its sealed table.
pub(super) fn type_of(dataset: &EffectiveDataset, column: &EffectiveColumn) -> ArrowType {
    let is_token = unit_of(dataset, &column.name).is_some()
        && column.role == obscura_policies::vocabulary::Role::UnitKey;
    if is_token { ArrowType::Int64 } else { crate::sealed_type::sealed_type(column.data_type) }
}

/// The columns of a dataset's sealed table.
pub(super) fn schema_of(dataset: &EffectiveDataset) -> Schema {
    let fields =
        dataset.columns.iter().map(|column| Field::new(&column.name, type_of(dataset, column), true));
    Schema::new(fields.collect::<Vec<_>>())
}

/// The conditions that every row of a dataset in a plan must meet: its row filters, and a key of each of its units.
///
/// It is planned here for itself, from the text in the policy.
///
/// # Errors
/// When a filter cannot be planned, which the guard has refused.
pub(super) fn row_conditions(dataset: &EffectiveDataset) -> Result<Vec<Expr>> {
    let mut all = Vec::new();
    for filter in &dataset.row_filters {
        all.extend(split_conjunction_owned(planned(&filter.sql, schema_of(dataset))?));
    }
    if !may_leave_as_rows(dataset) {
        let keys = dataset.units.iter().map(|unit| raw(&unit.column));
        all.extend(keys.map(|key| Expr::IsNotNull(Box::new(key))));
    }
    Ok(all)
}

fn raw(name: &str) -> Expr {
    Expr::Column(datafusion_common::Column::from_name(name))
}

/// A condition in SQL over some columns; casts in it cannot fail.
pub(super) fn planned(sql: &str, schema: Schema) -> Result<Expr> {
    let schema = DFSchema::try_from(schema)?;
    let parsed = Parser::new(&GenericDialect {})
        .with_recursion_limit(PARSED_DEPTH_MAX)
        .try_with_sql(sql)
        .and_then(|mut parser| parser.parse_expr())
        .map_err(|_quotes| DataFusionError::Plan("row filter".to_owned()))?;
    let names = Names::new();
    let expr = SqlToRel::new(&names).sql_to_expr(parsed, &schema, &mut PlannerContext::new())?;
    let context = SimplifyContext::builder().with_schema(Arc::new(schema.clone())).build();
    let coerced = ExprSimplifier::new(context).coerce(expr, &schema)?;
    let total = coerced.transform_up(|inner| match inner {
        Expr::Cast(cast) => {
            Ok(Transformed::yes(Expr::TryCast(TryCast::new(cast.expr, cast.field.data_type().clone()))))
        }
        other => Ok(Transformed::no(other)),
    })?;
    Ok(total.data)
}

/// The functions that a row filter may name. There are no tables.
struct Names {
    functions: Vec<Arc<ScalarUDF>>,
    planners: Vec<Arc<dyn ExprPlanner>>,
    options: ConfigOptions,
}

impl Names {
    fn new() -> Self {
        let mut functions = datafusion_functions::all_default_functions();
        functions.extend(crate::scalar::own_functions());
        functions.retain(|function| is_known_scalar(function.name()));
        Names {
            functions,
            planners: vec![
                Arc::new(CoreFunctionPlanner::default()),
                Arc::new(DatetimeFunctionPlanner),
                Arc::new(UnicodeFunctionPlanner),
            ],
            options: ConfigOptions::default(),
        }
    }
}

impl ContextProvider for Names {
    fn get_table_source(&self, _name: TableReference) -> Result<Arc<dyn TableSource>> {
        Err(DataFusionError::Plan("no table".to_owned()))
    }

    fn get_expr_planners(&self) -> &[Arc<dyn ExprPlanner>] {
        &self.planners
    }

    fn get_function_meta(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        let answers = |function: &&Arc<ScalarUDF>| {
            function.name() == name || function.aliases().iter().any(|alias| alias == name)
        };
        self.functions.iter().find(answers).map(Arc::clone)
    }

    fn get_higher_order_meta(&self, _name: &str) -> Option<Arc<HigherOrderUDF>> {
        None
    }

    fn get_aggregate_meta(&self, _name: &str) -> Option<Arc<AggregateUDF>> {
        None
    }

    fn get_window_meta(&self, _name: &str) -> Option<Arc<WindowUDF>> {
        None
    }

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

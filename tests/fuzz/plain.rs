//! Plain DataFusion over the rows that masks leave: the answer that a question has where nothing is protected.
//! It shares the engine with the product, and nothing of the guard.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::array::AsArray as _;
use arrow::array::Float64Array;
use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::DataType;
use arrow::datatypes::Float64Type;
use datafusion::catalog::CatalogProvider;
use datafusion::catalog::MemTable;
use datafusion::catalog::MemorySchemaProvider;
use datafusion::common::DataFusionError;
use datafusion::logical_expr::ColumnarValue;
use datafusion::logical_expr::Volatility;
use datafusion::logical_expr::create_udf;
use datafusion::prelude::SessionConfig;
use datafusion::prelude::SessionContext;
use obscura_tests::guarded::people::Tables;
use tokio::runtime::Runtime;

/// The name under which plain questions round as means and quotients are rounded.
pub(crate) const THREE_DIGITS: &str = "three_digits";

/// The failure of a plain run.
#[derive(Debug)]
pub(crate) enum Failed {
    /// The engine does not take the question.
    Unplanned(String),
    /// The run failed over these rows.
    Ran,
}

/// An engine with the rows in clear.
pub(crate) struct Plain {
    context: SessionContext,
    runtime: Runtime,
}

impl Plain {
    /// Makes one over these tables.
    pub(crate) fn new(tables: &Tables) -> Self {
        let config = SessionConfig::new()
            .with_target_partitions(1)
            .with_default_catalog_and_schema("datafusion", "corpus")
            .with_create_default_catalog_and_schema(true);
        let context = SessionContext::new_with_config(config);
        let catalog: Arc<dyn CatalogProvider> = context.catalog("datafusion").expect("the default catalogue");
        if catalog.schema("corpus").is_none() {
            catalog
                .register_schema("corpus", Arc::new(MemorySchemaProvider::new()))
                .expect("a catalogue in memory takes a schema");
        }
        for (name, batch) in tables {
            let table = MemTable::try_new(batch.schema(), vec![vec![batch.clone()]]).expect("one schema");
            context.register_table(name.as_str(), Arc::new(table)).expect("a new name");
        }
        context.register_udf(create_udf(
            THREE_DIGITS,
            vec![DataType::Float64],
            DataType::Float64,
            Volatility::Immutable,
            Arc::new(|arguments: &[ColumnarValue]| {
                let arrays = ColumnarValue::values_to_arrays(arguments)?;
                let numbers = arrays[0].as_primitive::<Float64Type>().iter();
                let rounded: Float64Array = numbers.map(|number| number.map(to_three_digits)).collect();
                Ok(ColumnarValue::Array(Arc::new(rounded) as ArrayRef))
            }),
        ));
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        Self { context, runtime }
    }

    /// The answer.
    pub(crate) fn ask(&self, sql: &str) -> Result<RecordBatch, Failed> {
        self.runtime.block_on(async {
            let unplanned = |error: DataFusionError| Failed::Unplanned(error.to_string());
            let frame = self.context.sql(sql).await.map_err(unplanned)?;
            let schema = Arc::new(frame.schema().as_arrow().clone());
            let batches = frame.collect().await.map_err(|_| Failed::Ran)?;
            let schema = batches.first().map_or(schema, RecordBatch::schema);
            concat_batches(&schema, &batches).map_err(|_| Failed::Ran)
        })
    }
}

/// A number to three significant digits, through its text.
fn to_three_digits(number: f64) -> f64 {
    if number == 0.0 || !number.is_finite() {
        number
    } else {
        format!("{number:.2e}").parse().unwrap_or(number)
    }
}

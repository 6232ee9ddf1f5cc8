//! Expressions that are computed at review: over the points of a published domain, over open rows, or over nothing.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::array::RecordBatch;
use arrow::array::RecordBatchOptions;
use arrow::datatypes::Field;
use arrow::datatypes::Schema;
use arrow::datatypes::SchemaRef;
use datafusion_common::Column;
use datafusion_common::DFSchema;
use datafusion_common::tree_node::Transformed;
use datafusion_common::tree_node::TreeNode as _;
use datafusion_expr::Expr;
use datafusion_expr::execution_props::ExecutionProps;
use datafusion_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion_physical_expr::PhysicalExpr;
use datafusion_physical_expr::create_physical_expr;

/// Columns of so many rows as one batch; nothing where a column has another length.
pub(crate) fn batch<'c>(
    columns: impl IntoIterator<Item = (&'c str, ArrayRef)>,
    rows: usize,
) -> Option<RecordBatch> {
    let columns = columns.into_iter();
    let (fields, arrays): (Vec<Field>, Vec<ArrayRef>) =
        columns.map(|(name, values)| (Field::new(name, values.data_type().clone(), true), values)).unzip();
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options).ok()
}

/// An expression's values over the rows of a batch, as the engine computes them.
pub(crate) fn evaluated(expr: &Expr, over: &RecordBatch) -> Option<ArrayRef> {
    compiled(expr, over.schema())?.evaluate(over).ok()?.into_array(over.num_rows()).ok()
}

/// An expression as the engine computes it over columns, which it names without their table.
pub(crate) fn compiled(expr: &Expr, over: SchemaRef) -> Option<Arc<dyn PhysicalExpr>> {
    let unqualified = expr.clone().transform_up(|inner| {
        Ok(match inner {
            Expr::Column(column) => Transformed::yes(Expr::Column(Column::from_name(column.name))),
            other => Transformed::no(other),
        })
    });
    let schema = DFSchema::try_from(over).ok()?;
    let context = PhysicalPlanningContext::default();
    create_physical_expr(&unqualified.ok()?.data, &schema, &ExecutionProps::new(), &context).ok()
}

/// The value of an expression over no column.
pub(super) fn evaluated_constant(expr: &Expr) -> Option<ArrayRef> {
    evaluated(expr, &batch([], 1)?)
}

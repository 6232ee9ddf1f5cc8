//! Masks as functions at the scan: every filter, join, group and function above sees the masked value only.
//! The effect of a mask on one value is defined in `policies`; here it meets columns.

use std::any::Any;
use std::sync::Arc;

use arrow::array::Array;
use arrow::array::ArrayRef;
use arrow::array::AsArray;
use arrow::array::Date32Array;
use arrow::array::Decimal128Array;
use arrow::array::Float64Array;
use arrow::array::Int64Array;
use arrow::array::StringArray;
use arrow::array::TimestampMicrosecondArray;
use arrow::array::new_null_array;
use arrow::datatypes::DataType;
use arrow::datatypes::Date32Type;
use arrow::datatypes::Decimal128Type;
use arrow::datatypes::Float64Type;
use arrow::datatypes::Int64Type;
use arrow::datatypes::TimeUnit;
use arrow::datatypes::TimestampMicrosecondType;
use datafusion_common::Result;
use datafusion_common::tree_node::Transformed;
use datafusion_common::tree_node::TreeNode;
use datafusion_expr::ColumnarValue;
use datafusion_expr::Expr;
use datafusion_expr::LogicalPlan;
use datafusion_expr::ScalarFunctionArgs;
use datafusion_expr::ScalarUDF;
use datafusion_expr::ScalarUDFImpl;
use datafusion_expr::Signature;
use datafusion_expr::Volatility;
use datafusion_expr::expr::ScalarFunction;
use obscura_policies::day::Day;
use obscura_policies::effective::EffectiveColumn;
use obscura_policies::effective::EffectiveDataset;
use obscura_policies::fixed::Fixed;
use obscura_policies::mask::Mask;
use obscura_policies::mask::MaskContext;
use obscura_policies::mask::MaskSecrets;
use obscura_policies::mask::NoSecrets;

use crate::sealed_type::column_type;

/// Name under which masks appear in plans.
pub const MASK_NAME: &str = "obscura_mask";

/// Keyed functions that masks need at execution; the sandbox implements it over its key management.
pub type Secrets = Arc<dyn MaskSecrets + Send + Sync>;

/// The raw column under its mask, if it has one. Keyed masks are bound to their secrets only at execution.
///
/// It stands at the scan, below every condition, join and key: applied to the result, it would leave conditions on raw
/// values, and `age = 61` would tell an age that is shown in tens (`sandbox/docs/disclosure-model.md`, section 4.2).
pub(crate) fn masked(raw: Expr, column: &EffectiveColumn, dataset: &EffectiveDataset, today: Day) -> Expr {
    let Some(mask) = &column.mask else { return raw };
    let mut args = vec![raw];
    if let Mask::DateShift { per, .. } = mask
        && let Some(unit) = dataset.units.iter().find(|unit| unit.kind == *per)
    {
        args.push(Expr::Column(datafusion_common::Column::from_name(&unit.column)));
    }
    let function = MaskFunction {
        mask: mask.clone(),
        today,
        data_type: column_type(column, dataset),
        secrets: None,
        signature: Signature::variadic_any(Volatility::Immutable),
    };
    Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(ScalarUDF::new_from_impl(function)), args))
}

/// Binds every keyed mask of a plan to its secrets, which are never literals in it.
///
/// A plan is printed, stored and looked at, and whoever has the secret of a pseudonym can undo it by trying names. A
/// mask without its secret makes every value missing (`sandbox/docs/disclosure-model.md`, section 4.2).
///
/// # Errors
/// When the plan cannot be rewritten, which is a bug.
pub fn bind_secrets(plan: LogicalPlan, secrets: &Secrets) -> Result<LogicalPlan> {
    plan.transform_down_with_subqueries(|node| {
        node.map_expressions(|expr| {
            expr.transform_up(|inner| match inner {
                Expr::ScalarFunction(call) => match (call.func.inner().as_ref() as &dyn Any)
                    .downcast_ref::<MaskFunction>()
                {
                    Some(function) => {
                        let bound = MaskFunction { secrets: Some(Arc::clone(secrets)), ..function.clone() };
                        Ok(Transformed::yes(Expr::ScalarFunction(ScalarFunction::new_udf(
                            Arc::new(ScalarUDF::new_from_impl(bound)),
                            call.args,
                        ))))
                    }
                    None => Ok(Transformed::no(Expr::ScalarFunction(call))),
                },
                other => Ok(Transformed::no(other)),
            })
        })
    })
    .map(|transformed| transformed.data)
}

/// True if a keyed mask stands in an expression: its values are not known before its key is bound
/// (`sandbox/docs/disclosure-model.md`, section 4.2).
pub(crate) fn is_keyed(expr: &Expr) -> bool {
    let keyed = expr.exists(|inner| {
        let Expr::ScalarFunction(call) = inner else { return Ok(false) };
        let mask = (call.func.inner().as_ref() as &dyn Any).downcast_ref::<MaskFunction>();
        Ok(mask.is_some_and(|function| match function.mask {
            Mask::Token { .. } | Mask::DateShift { .. } | Mask::FormatPreserving { .. } => true,
            Mask::Redact
            | Mask::Partial { .. }
            | Mask::Bin { .. }
            | Mask::BinYears { .. }
            | Mask::DateTrunc { .. }
            | Mask::Hierarchy(_)
            | Mask::TopBottom { .. }
            | Mask::Round { .. } => false,
        }))
    });
    keyed.unwrap_or(true)
}

/// The mask that a function of a plan is, and the day as of which it counts ages.
pub(crate) fn mask_of(function: &ScalarUDF) -> Option<(&Mask, Day)> {
    let mask = (function.inner().as_ref() as &dyn Any).downcast_ref::<MaskFunction>()?;
    Some((&mask.mask, mask.today))
}

/// One mask over one column; unbound keyed masks redact.
#[derive(Clone)]
struct MaskFunction {
    mask: Mask,
    today: Day,
    data_type: DataType,
    secrets: Option<Secrets>,
    signature: Signature,
}

impl std::fmt::Debug for MaskFunction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MaskFunction").field("mask", &self.mask.name()).finish_non_exhaustive()
    }
}

impl PartialEq for MaskFunction {
    fn eq(&self, other: &Self) -> bool {
        self.mask == other.mask
            && self.today == other.today
            && self.data_type == other.data_type
            && self.secrets.is_some() == other.secrets.is_some()
    }
}

impl Eq for MaskFunction {}

impl std::hash::Hash for MaskFunction {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.mask.name().hash(state);
        self.data_type.hash(state);
    }
}

impl ScalarUDFImpl for MaskFunction {
    fn name(&self) -> &str {
        MASK_NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(self.data_type.clone())
    }

    /// The masked column. Where there is nothing to mask it is missing, and never the raw value
    /// (`sandbox/docs/disclosure-model.md`, section 4.2).
    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let Some(values) = arrays.first() else {
            return Ok(ColumnarValue::Array(new_null_array(&self.data_type, args.number_rows)));
        };
        let subjects = arrays.get(1).and_then(|array| array.as_primitive_opt::<Int64Type>());
        Ok(ColumnarValue::Array(self.apply(values, subjects)))
    }
}

impl MaskFunction {
    /// The values under the mask, row by row.
    ///
    /// A value that the mask cannot take becomes missing, and so does one of a keyed mask that has no secret: nothing
    /// ends as the raw value, and nothing fails (`sandbox/docs/disclosure-model.md`, section 4.2).
    fn apply(&self, values: &ArrayRef, subjects: Option<&Int64Array>) -> ArrayRef {
        let context = |row: usize| MaskContext {
            today: self.today,
            subject: subjects.filter(|subjects| subjects.is_valid(row)).map(|subjects| subjects.value(row)),
            secrets: self
                .secrets
                .as_ref()
                .map_or(&NoSecrets as &dyn MaskSecrets, |secrets| secrets.as_ref() as &dyn MaskSecrets),
        };
        let number = |value: Option<Fixed>| value.and_then(|value| self.mask.apply_number(value));
        match (&self.data_type, values.data_type()) {
            (DataType::Utf8, DataType::Utf8) => {
                let texts = values.as_string::<i32>();
                let masked =
                    texts.iter().enumerate().map(|(row, text)| self.mask.apply_text(text?, &context(row)));
                Arc::new(masked.collect::<StringArray>())
            }
            (DataType::Int64, DataType::Int64) => {
                let masked = values
                    .as_primitive::<Int64Type>()
                    .iter()
                    .map(|value| number(value.map(Fixed::from_i64))?.to_i64());
                Arc::new(masked.collect::<Int64Array>())
            }
            (DataType::Float64, DataType::Float64) => {
                let masked = values
                    .as_primitive::<Float64Type>()
                    .iter()
                    .map(|value| number(value.and_then(Fixed::from_f64)).map(Fixed::to_f64));
                Arc::new(masked.collect::<Float64Array>())
            }
            (DataType::Decimal128(precision, scale), DataType::Decimal128(..)) => {
                let places = u8::try_from(*scale).unwrap_or(u8::MAX);
                let masked = values.as_primitive::<Decimal128Type>().iter().map(|value| {
                    number(value.and_then(|value| Fixed::from_scaled(value, places)))?.to_scaled(places)
                });
                let array = masked.collect::<Decimal128Array>().with_precision_and_scale(*precision, *scale);
                array.map_or_else(
                    |_| new_null_array(&self.data_type, values.len()),
                    |array| Arc::new(array) as ArrayRef,
                )
            }
            (DataType::Date32, DataType::Date32) => {
                let days = values.as_primitive::<Date32Type>();
                let masked = days.iter().enumerate().map(|(row, day)| {
                    self.mask.apply_date(Day::from_epoch_days(day?), &context(row)).map(Day::epoch_days)
                });
                Arc::new(masked.collect::<Date32Array>())
            }
            (
                DataType::Timestamp(TimeUnit::Microsecond, None),
                DataType::Timestamp(TimeUnit::Microsecond, None),
            ) => {
                let micros = values.as_primitive::<TimestampMicrosecondType>();
                let masked = micros
                    .iter()
                    .enumerate()
                    .map(|(row, micros)| self.mask.apply_timestamp(micros?, &context(row)));
                Arc::new(masked.collect::<TimestampMicrosecondArray>())
            }
            _ => new_null_array(&self.data_type, values.len()),
        }
    }
}

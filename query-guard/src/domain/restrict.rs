//! The scan's side of published domains: a function that brings the values of a column into its domain.
//!
//! It stands below masks, so that no condition of a question ever sees a value that has no node. Row filters of policies are asked
//! of raw values, as everywhere; names hold their texts.

use std::any::Any;
use std::hash::Hash;
use std::hash::Hasher;
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion_common::Result;
use datafusion_expr::ColumnarValue;
use datafusion_expr::Expr;
use datafusion_expr::ScalarFunctionArgs;
use datafusion_expr::ScalarUDF;
use datafusion_expr::ScalarUDFImpl;
use datafusion_expr::Signature;
use datafusion_expr::Volatility;
use datafusion_expr::expr::ScalarFunction;
use obscura_policies::effective::EffectiveColumn;
use obscura_policies::effective::EffectiveDataset;
use obscura_policies::effective::EffectivePolicy;

use super::Kind;
use super::Published;
use crate::floor::is_open;
use crate::sealed_type::column_type;

/// Name under which the function appears in plans.
pub const DOMAIN_NAME: &str = "obscura_domain";

/// The raw column, its values brought into the published domain where the policy asks for noise.
///
/// A value outside of the domain has no node. If it met a condition, the condition's rows would not be those of its names, and the
/// difference to another condition of the same names would be an exact number
/// (`sandbox/docs/disclosure-model.md`, section 5.8).
pub(crate) fn in_domain(
    raw: Expr,
    column: &EffectiveColumn,
    dataset: &EffectiveDataset,
    policy: &EffectivePolicy,
) -> Expr {
    if is_open(dataset) || !asks_for_noise(policy) {
        return raw;
    }
    let Some(published) = Published::of(column, dataset).ok().filter(Published::restricts) else {
        return raw;
    };
    let data_type = column_type(column, dataset);
    let function =
        DomainFunction { published, data_type, signature: Signature::any(1, Volatility::Immutable) };
    Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(ScalarUDF::new_from_impl(function)), vec![raw]))
}

/// True if some cell that a question under the policy makes may need noise.
fn asks_for_noise(policy: &EffectivePolicy) -> bool {
    policy.floors.values().any(|floor| floor.controls.perturbation.is_some())
        || policy.datasets.values().any(|dataset| dataset.controls.perturbation.is_some())
}

/// The list of values that a function of a plan brings a column into; nothing where it is of another kind.
pub(crate) fn texts_of(function: &ScalarUDF) -> Option<&[String]> {
    let domain = (function.inner().as_ref() as &dyn Any).downcast_ref::<DomainFunction>()?;
    match &domain.published.kind {
        Kind::Texts(texts) => Some(texts.as_slice()),
        Kind::Presence | Kind::Truth | Kind::Wholes { .. } | Kind::Bins { .. } | Kind::Days { .. } => None,
    }
}

/// The function of one column.
#[derive(Debug, Clone)]
struct DomainFunction {
    published: Published,
    data_type: DataType,
    signature: Signature,
}

impl PartialEq for DomainFunction {
    fn eq(&self, other: &Self) -> bool {
        self.published == other.published && self.data_type == other.data_type
    }
}

impl Eq for DomainFunction {}

impl Hash for DomainFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.data_type.hash(state);
    }
}

impl ScalarUDFImpl for DomainFunction {
    fn name(&self) -> &str {
        DOMAIN_NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(self.data_type.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        Ok(ColumnarValue::Array(match arrays.first() {
            Some(values) => self.published.restrict(values),
            None => arrow::array::new_null_array(&self.data_type, args.number_rows),
        }))
    }
}

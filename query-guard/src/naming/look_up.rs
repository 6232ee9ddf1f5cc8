//! The function of what a key finds in open rows. It stands in no plan that runs: a review tries it with the points of the key's
//! domain, so that what is found has the names of the key's column.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::hash::Hasher;
use std::sync::Arc;

use arrow::array::Array as _;
use arrow::array::ArrayRef;
use arrow::array::UInt32Array;
use arrow::compute::take;
use arrow::datatypes::DataType;
use datafusion_common::DataFusionError;
use datafusion_common::Result;
use datafusion_common::ScalarValue;
use datafusion_common::tree_node::TreeNode as _;
use datafusion_expr::ColumnarValue;
use datafusion_expr::Expr;
use datafusion_expr::ScalarFunctionArgs;
use datafusion_expr::ScalarUDF;
use datafusion_expr::ScalarUDFImpl;
use datafusion_expr::Signature;
use datafusion_expr::Volatility;
use datafusion_expr::expr::ScalarFunction;

use crate::cell_names::digits_of;
use crate::cell_names::put;
use crate::open_values::as_texts;

/// The beginning of the names of such functions; no function of SQL has a `#` in its name.
const PREFIX: &str = "look_up#";

/// One column of open rows, by a key.
#[derive(Clone)]
pub(super) struct Found {
    /// The prefix and a digest of keys and values.
    name: String,
    key_type: DataType,
    rows: Arc<HashMap<ScalarValue, u32>>,
    values: ArrayRef,
    signature: Signature,
}

impl Found {
    /// The values by the keys of their rows; nothing where keys or values have no texts.
    pub(super) fn new(
        keys: &ArrayRef,
        rows: &Arc<HashMap<ScalarValue, u32>>,
        values: &ArrayRef,
    ) -> Option<Self> {
        let mut bytes = Vec::new();
        for column in [keys, values] {
            put(&mut bytes, column.data_type().to_string().as_bytes());
            for text in as_texts(column)? {
                put(&mut bytes, &[u8::from(text.is_some())]);
                put(&mut bytes, text.unwrap_or_default().as_bytes());
            }
        }
        Some(Found {
            name: format!("{PREFIX}{}", digits_of(&bytes)),
            key_type: keys.data_type().clone(),
            rows: Arc::clone(rows),
            values: Arc::clone(values),
            signature: Signature::any(1, Volatility::Immutable),
        })
    }

    /// The value that a key finds, missing where there is no such row.
    pub(super) fn by(self, key: Expr) -> Expr {
        Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(ScalarUDF::new_from_impl(self)), vec![key]))
    }
}

/// True if an expression reads open rows.
pub(super) fn looks_up(expr: &Expr) -> bool {
    let is_look_up =
        |inner: &Expr| matches!(inner, Expr::ScalarFunction(call) if call.name().starts_with(PREFIX));
    expr.exists(|inner| Ok(is_look_up(inner))).unwrap_or(true)
}

impl fmt::Debug for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Found").field("name", &self.name).finish_non_exhaustive()
    }
}

impl PartialEq for Found {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Found {}

impl Hash for Found {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for Found {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(self.values.data_type().clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let other = || DataFusionError::Internal("a key of another type".to_owned());
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let keys = arrays.first().filter(|keys| *keys.data_type() == self.key_type).ok_or_else(other)?;
        let found = (0..keys.len()).map(|row| {
            let key = ScalarValue::try_from_array(keys, row)?;
            // A missing key equals none.
            Ok(self.rows.get(&key).copied().filter(|_| !key.is_null()))
        });
        let places = found.collect::<Result<UInt32Array>>()?;
        Ok(ColumnarValue::Array(take(&self.values, &places, None)?))
    }
}

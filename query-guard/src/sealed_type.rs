//! The physical type that a column has once it is sealed.

use arrow::datatypes::DataType as ArrowType;
use arrow::datatypes::TimeUnit;
use obscura_policies::effective::EffectiveColumn;
use obscura_policies::effective::EffectiveDataset;
use obscura_policies::vocabulary::DataType;
use obscura_policies::vocabulary::Role;

/// The physical type that a declared type is sealed as.
#[must_use]
pub fn sealed_type(data_type: DataType) -> ArrowType {
    match data_type {
        DataType::Text => ArrowType::Utf8,
        DataType::Int => ArrowType::Int64,
        DataType::Decimal { scale } => ArrowType::Decimal128(18, i8::try_from(scale).unwrap_or(i8::MAX)),
        DataType::Float => ArrowType::Float64,
        DataType::Date => ArrowType::Date32,
        DataType::Timestamp => ArrowType::Timestamp(TimeUnit::Microsecond, None),
        DataType::Bool => ArrowType::Boolean,
    }
}

/// The type a column has inside the sandbox: a protecting unit key is a 64-bit token.
pub(crate) fn column_type(column: &EffectiveColumn, dataset: &EffectiveDataset) -> ArrowType {
    if column.role == Role::UnitKey && dataset.units.iter().any(|unit| unit.column == column.name) {
        ArrowType::Int64
    } else {
        sealed_type(column.data_type)
    }
}

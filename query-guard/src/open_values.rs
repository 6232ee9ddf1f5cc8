//! Values of open tables as texts, and the texts as values again: a manifest keeps them as texts, and a review computes with them.

use arrow::array::ArrayRef;
use arrow::array::AsArray as _;
use arrow::array::StringArray;
use arrow::compute::CastOptions;
use arrow::compute::cast_with_options;
use arrow::datatypes::DataType;
use arrow::util::display::FormatOptions;

/// The values of a column as texts, each the one that [`from_texts`] makes the same value of; nothing where the type has no such
/// texts.
#[must_use]
pub fn as_texts(values: &ArrayRef) -> Option<Vec<Option<String>>> {
    let texts = cast_with_options(values, &DataType::Utf8, &exact()).ok()?;
    Some(texts.as_string::<i32>().iter().map(|text| text.map(str::to_owned)).collect())
}

/// The values that texts stand for; nothing where one of them is no value of the type.
#[must_use]
pub fn from_texts(texts: &[Option<String>], data_type: &DataType) -> Option<ArrayRef> {
    let texts: StringArray = texts.iter().map(Option::as_deref).collect();
    cast_with_options(&texts, data_type, &exact()).ok()
}

/// A text that is no value fails, where it would else be missing.
fn exact() -> CastOptions<'static> {
    CastOptions { safe: false, format_options: FormatOptions::default() }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests may panic")]

    use std::sync::Arc;

    use arrow::array::Array as _;
    use arrow::array::BooleanArray;
    use arrow::array::Date32Array;
    use arrow::array::Decimal128Array;
    use arrow::array::Float64Array;
    use arrow::array::Int64Array;
    use arrow::array::TimestampMicrosecondArray;
    use proptest::prelude::*;

    use super::*;

    fn is_kept(values: ArrayRef) {
        let texts = as_texts(&values).unwrap();
        assert_eq!(from_texts(&texts, values.data_type()).unwrap().to_data(), values.to_data());
    }

    proptest! {
        #[test]
        fn values_are_the_same_after_their_texts(
            texts in prop::collection::vec(prop::option::of(".{0,12}"), 0..8),
            wholes in prop::collection::vec(prop::option::of(any::<i64>()), 0..8),
            decimals in prop::collection::vec(prop::option::of(-999_999_999_999_999_999_i128..=999_999_999_999_999_999), 0..8),
            floats in prop::collection::vec(prop::option::of(-1e12..1e12_f64), 0..8),
            days in prop::collection::vec(prop::option::of(-700_000..2_900_000_i32), 0..8),
            // The years 1 to 9999.
            moments in prop::collection::vec(prop::option::of(-62_135_596_800_000_000..253_402_300_799_999_999_i64), 0..8),
            truths in prop::collection::vec(prop::option::of(any::<bool>()), 0..8),
        ) {
            is_kept(Arc::new(StringArray::from(texts)));
            is_kept(Arc::new(Int64Array::from(wholes)));
            is_kept(Arc::new(Decimal128Array::from(decimals).with_precision_and_scale(18, 4).unwrap()));
            is_kept(Arc::new(Float64Array::from(floats)));
            is_kept(Arc::new(Date32Array::from(days)));
            is_kept(Arc::new(TimestampMicrosecondArray::from(moments)));
            is_kept(Arc::new(BooleanArray::from(truths)));
        }
    }

    #[test]
    fn a_text_that_is_no_value_is_not_missing() {
        let texts = [Some("2025-13-01".to_owned())];
        assert!(from_texts(&texts, &DataType::Date32).is_none());
    }
}

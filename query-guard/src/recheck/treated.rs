//! Masks and domains of a plan against those of the policy. A mask is compared as it is declared; a domain is tried with values
//! at its ends and outside of it.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::array::Date32Array;
use arrow::array::Decimal128Array;
use arrow::array::Float64Array;
use arrow::array::Int64Array;
use arrow::array::StringArray;
use arrow::array::TimestampMicrosecondArray;
use arrow::datatypes::DataType as ArrowType;
use arrow::datatypes::Field;
use arrow::datatypes::TimeUnit;
use chrono::NaiveDate;
use datafusion_common::config::ConfigOptions;
use datafusion_expr::ColumnarValue;
use datafusion_expr::Expr;
use datafusion_expr::ScalarFunctionArgs;
use datafusion_expr::ScalarUDF;
use datafusion_expr::expr::ScalarFunction;
use obscura_policies::effective::EffectiveColumn;
use obscura_policies::effective::EffectiveDataset;
use obscura_policies::mask::Mask;

use super::terms::Terms;
use super::terms::type_of;
use crate::domain::DOMAIN_NAME;
use crate::domain::texts_of;
use crate::mask::MASK_NAME;
use crate::mask::mask_of;

/// The days that dates are brought between.
const YEARS: (i32, i32) = (1900, 2100);
const MICROS_OF_DAY: i64 = 86_400_000_000;

/// A raw column within its treatment.
pub(super) struct Treated<'e> {
    /// The expression that should be the raw column.
    pub(super) raw: &'e Expr,
    mask: Option<&'e ScalarFunction>,
    domain: Option<&'e ScalarFunction>,
}

/// The treatment that an expression is; nothing where it is none.
pub(super) fn treated(call: &ScalarFunction) -> Option<Treated<'_>> {
    let (mask, inner) = match call.func.name() {
        MASK_NAME => (Some(call), call.args.first()?),
        DOMAIN_NAME => return Some(Treated { raw: call.args.first()?, mask: None, domain: Some(call) }),
        _ => return None,
    };
    match inner {
        Expr::ScalarFunction(domain) if domain.func.name() == DOMAIN_NAME => {
            Some(Treated { raw: domain.args.first()?, mask, domain: Some(domain) })
        }
        raw => Some(Treated { raw, mask, domain: None }),
    }
}

impl Treated<'_> {
    /// True if it is all that the terms ask for, and nothing else.
    ///
    /// `key` says if an expression is the key of a kind of subjects in the row of the raw column.
    pub(super) fn is_due(
        &self,
        terms: &Terms,
        dataset: &EffectiveDataset,
        column: &EffectiveColumn,
        key: impl Fn(&Expr, &Mask) -> bool,
    ) -> bool {
        let masked = match (&column.mask, self.mask) {
            (None, None) => true,
            (Some(due), Some(call)) => {
                let is_due =
                    mask_of(&call.func).is_some_and(|(mask, today)| mask == due && today == terms.today());
                let rest = call.args.get(1..).unwrap_or_default();
                is_due && rest.len() <= 1 && rest.iter().all(|argument| key(argument, due))
            }
            _ => false,
        };
        let domain = match (terms.has_domain(dataset, column), self.domain) {
            (false, None) => true,
            (true, Some(call)) => call.args.len() == 1 && brings_in(&call.func, dataset, column),
            _ => false,
        };
        masked && domain
    }
}

/// True if a function leaves the ends of a column's domain as they are, and brings in what lies outside.
fn brings_in(function: &ScalarUDF, dataset: &EffectiveDataset, column: &EffectiveColumn) -> bool {
    let data_type = type_of(dataset, column);
    // A value more on a list is found by no trial.
    let declared = column.domain.as_deref().filter(|_| data_type == ArrowType::Utf8);
    if texts_of(function).map(listed) != declared.map(listed) {
        return false;
    }
    let Some((tried, due)) = trial(column, &data_type) else { return false };
    let rows = tried.len();
    let got = function.invoke_with_args(ScalarFunctionArgs {
        args: vec![ColumnarValue::Array(tried)],
        arg_fields: vec![Arc::new(Field::new("raw", data_type.clone(), true))],
        number_rows: rows,
        return_field: Arc::new(Field::new("value", data_type, true)),
        config_options: Arc::new(ConfigOptions::default()),
    });
    match got.and_then(|got| got.into_array(rows)) {
        Ok(got) => *got == *due,
        Err(_) => false,
    }
}

fn listed(texts: &[String]) -> BTreeSet<&String> {
    texts.iter().collect()
}

/// Values at the ends of a domain and outside, and what they should come to.
fn trial(column: &EffectiveColumn, data_type: &ArrowType) -> Option<(ArrayRef, ArrayRef)> {
    match data_type {
        ArrowType::Utf8 => {
            let listed = column.domain.as_ref()?;
            let outside = "\u{1}no value of any domain";
            let tried: StringArray =
                listed.iter().map(String::as_str).chain([outside]).map(Some).chain([None]).collect();
            let due: StringArray =
                listed.iter().map(|text| Some(text.as_str())).chain([None, None]).collect();
            Some((Arc::new(tried), Arc::new(due)))
        }
        ArrowType::Int64 => {
            let (low, high) = column.range?;
            let (low, high) = (low.to_i64()?, high.to_i64()?);
            let tried = [low.saturating_sub(1), low, high, high.saturating_add(1)];
            let due = [low, low, high, high];
            Some((Arc::new(Int64Array::from(tried.to_vec())), Arc::new(Int64Array::from(due.to_vec()))))
        }
        ArrowType::Decimal128(precision, scale) => {
            let (low, high) = column.range?;
            let places = u8::try_from(*scale).ok()?;
            let (low, high) = (low.to_scaled(places)?, high.to_scaled(places)?);
            let array = |values: [i128; 4]| {
                Decimal128Array::from(values.to_vec()).with_precision_and_scale(*precision, *scale).ok()
            };
            let tried = array([low.saturating_sub(1), low, high, high.saturating_add(1)])?;
            Some((Arc::new(tried), Arc::new(array([low, low, high, high])?)))
        }
        ArrowType::Float64 => {
            let (low, high) = column.range?;
            let (low, high) = (low.to_f64() + 0.0, high.to_f64() + 0.0);
            let tried = vec![Some(low - 1.0), Some(low), Some(high), Some(high + 1.0), Some(f64::NAN)];
            let due = vec![Some(low), Some(low), Some(high), Some(high), None];
            Some((Arc::new(Float64Array::from(tried)), Arc::new(Float64Array::from(due))))
        }
        ArrowType::Date32 => {
            let (first, last) = days()?;
            let tried = vec![i32::MIN, first, last, i32::MAX];
            let due = vec![first, first, last, last];
            Some((Arc::new(Date32Array::from(tried)), Arc::new(Date32Array::from(due))))
        }
        ArrowType::Timestamp(TimeUnit::Microsecond, None) => {
            let (first, last) = days()?;
            let start = i64::from(first) * MICROS_OF_DAY;
            let end = (i64::from(last) + 1) * MICROS_OF_DAY - 1;
            let tried = vec![i64::MIN, start, end, i64::MAX];
            let due = vec![start, start, end, end];
            Some((
                Arc::new(TimestampMicrosecondArray::from(tried)),
                Arc::new(TimestampMicrosecondArray::from(due)),
            ))
        }
        _ => None,
    }
}

fn days() -> Option<(i32, i32)> {
    let epoch = NaiveDate::from_ymd_opt(1970, 1, 1)?;
    let day = |day: NaiveDate| i32::try_from(day.signed_duration_since(epoch).num_days()).ok();
    let (first, last) = YEARS;
    day(NaiveDate::from_ymd_opt(first, 1, 1)?).zip(day(NaiveDate::from_ymd_opt(last, 12, 31)?))
}

//! The published domain of a column: the values that its nodes are made of, as the Dataset document declares them and never
//! as a version of the data holds them (`sandbox/docs/disclosure-model.md`, section 5.8).
//!
//! A column is a list of values, whole numbers of a range, bins of a measure, or days. A column without any of these has two
//! nodes alone: a value, and none. What lies outside a domain is brought into it at the scan, by [`Published::restrict`], so
//! that every row has a leaf and no condition tells rows apart that no node does.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::Array as _;
use arrow::array::ArrayRef;
use arrow::array::ArrowPrimitiveType;
use arrow::array::AsArray;
use arrow::array::BooleanArray;
use arrow::array::Date32Array;
use arrow::array::Decimal128Array;
use arrow::array::Float64Array;
use arrow::array::Int64Array;
use arrow::array::PrimitiveArray;
use arrow::array::StringArray;
use arrow::array::TimestampMicrosecondArray;
use arrow::compute::max;
use arrow::compute::min;
use arrow::datatypes::DECIMAL128_MAX_PRECISION;
use arrow::datatypes::DataType;
use arrow::datatypes::Date32Type;
use arrow::datatypes::Decimal128Type;
use arrow::datatypes::Float64Type;
use arrow::datatypes::Int64Type;
use arrow::datatypes::TimeUnit;
use arrow::datatypes::TimestampMicrosecondType;
use chrono::NaiveDate;
use obscura_policies::effective::EffectiveColumn;
use obscura_policies::effective::EffectiveDataset;
use obscura_policies::fixed::Fixed;
use sha2::Digest as _;
use sha2::Sha256;

use crate::cover::Hierarchy;
use crate::cover::HierarchyFault;
use crate::cover::Node;
use crate::sealed_type::column_type;

mod restrict;

pub use restrict::DOMAIN_NAME;
pub(crate) use restrict::in_domain;
pub(crate) use restrict::texts_of;

/// Most leaves of a column, the days of the calendar among them.
const LEAVES_MAX: u32 = 100_000;
/// The first and the last year of the calendar: a date outside of it counts as the nearest day within.
const CALENDAR: (i32, i32) = (1900, 2100);
/// More rows than one subject has in a table.
const SUMMED_ROWS_MAX: i128 = 1_000_000_000;
const MICROS_OF_DAY: i64 = 86_400_000_000;

/// Most days of a month; a year has more, and nothing lies between.
const DAYS_OF_MONTH_MAX: u32 = 31;

/// A span of time that has a scale of noise of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Span {
    /// One month.
    Month,
    /// One day.
    Day,
}

/// The domain of one column, with its hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Published {
    kind: Kind,
    data_type: DataType,
    hierarchy: Hierarchy,
    fingerprint: [u8; 32],
}

/// The kinds of domains.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    /// Any value, which is one leaf.
    Presence,
    /// False and true.
    Truth,
    /// These texts, in order.
    Texts(Arc<Vec<String>>),
    /// Whole numbers from the first on.
    Wholes { first: i64, count: u32 },
    /// Half-open bins of one width, in units of the column's scale; the last one holds the upper end of the range.
    Bins { first: i128, width: i128, count: u32, low: i128, high: i128, scale: u8 },
    /// The days of the calendar, from this day of the epoch on.
    Days { first: i32, count: u32 },
}

impl Published {
    /// The domain that a column's document declares.
    ///
    /// # Errors
    /// When the declared values are too many to be named.
    pub(crate) fn of(column: &EffectiveColumn, dataset: &EffectiveDataset) -> Result<Self, HierarchyFault> {
        let data_type = column_type(column, dataset);
        let declared = Kind::declared(column, &data_type).unwrap_or(Kind::Presence);
        let hierarchy = declared.hierarchy(column.coded)?;
        let fingerprint = declared.fingerprint(column.coded);
        Ok(Published { kind: declared, data_type, hierarchy, fingerprint })
    }

    /// The domain of whether there is a row: one value, or none.
    pub(crate) fn presence() -> Self {
        let (kind, data_type) = (Kind::Presence, DataType::Boolean);
        let fingerprint = kind.fingerprint(false);
        Published { kind, data_type, hierarchy: Hierarchy::presence(), fingerprint }
    }

    /// The domain of a value that nothing is declared of: whether there is one.
    pub(crate) fn present(data_type: DataType) -> Self {
        Published { data_type, ..Published::presence() }
    }

    /// The domain of what several values of this one add up to: whether there is a sum, in the narrowest type that holds each of them.
    pub(crate) fn sums(&self) -> Option<Self> {
        let (largest, scale) = match self.kind {
            Kind::Wholes { first, count } => {
                let (first, count) = (i128::from(first), i128::from(count));
                (first.abs().max((first + count - 1).abs()), 0)
            }
            Kind::Bins { low, high, scale, .. } => (low.abs().max(high.abs()), scale),
            Kind::Presence | Kind::Truth | Kind::Texts(_) | Kind::Days { .. } => return None,
        };
        let digits = largest.checked_mul(SUMMED_ROWS_MAX)?.checked_ilog10().unwrap_or(0) + 1;
        let digits = u8::try_from(digits).ok().filter(|digits| *digits <= DECIMAL128_MAX_PRECISION)?;
        Some(Published::present(DataType::Decimal128(digits, i8::try_from(scale).ok()?)))
    }

    /// The domain of how many rows a subject has: from one to the most that are told apart.
    pub(crate) fn counts(most: u32) -> Self {
        let kind = Kind::Wholes { first: 1, count: most };
        let hierarchy = kind.hierarchy(false).unwrap_or_else(|_| Hierarchy::presence());
        let fingerprint = kind.fingerprint(false);
        Published { kind, data_type: DataType::Int64, hierarchy, fingerprint }
    }

    /// The same domain of a number that is computed in another type; nothing where the type has no such numbers.
    pub(crate) fn in_type(self, data_type: &DataType) -> Option<Self> {
        if self.data_type == *data_type {
            return Some(self);
        }
        let scale_of = |data_type: &DataType| match data_type {
            DataType::Int64 => Some(0),
            DataType::Decimal128(_, scale) => u8::try_from(*scale).ok(),
            _ => None,
        };
        match self.kind {
            Kind::Bins { scale, .. } if scale_of(data_type) == Some(scale) => {
                Some(Published { data_type: data_type.clone(), ..self })
            }
            _ => None,
        }
    }

    pub(crate) fn data_type(&self) -> &DataType {
        &self.data_type
    }

    pub(crate) fn hierarchy(&self) -> &Hierarchy {
        &self.hierarchy
    }

    /// True if single values of the column are named, rather than only whether there is one.
    pub(crate) fn names_values(&self) -> bool {
        self.kind != Kind::Presence
    }

    /// The span of time that the values of a node lie in; nothing for a longer one than a month. Values before the calendar count as its
    /// first day, and later ones as its last: these two are no days alone.
    pub(crate) fn time(&self, node: Node) -> Option<Span> {
        let Kind::Days { count, .. } = self.kind else { return None };
        let (start, end) = self.hierarchy.span(node);
        match end.saturating_sub(start) {
            _ if start == 0 || end >= count => None,
            1 => Some(Span::Day),
            2..=DAYS_OF_MONTH_MAX => Some(Span::Month),
            _ => None,
        }
    }

    /// True if a leaf holds several values, which an expression might tell apart.
    pub(crate) fn is_wide(&self) -> bool {
        self.per_leaf() > 1
    }

    /// True if some value of the physical type lies outside: the scan must bring such values into the domain.
    pub(crate) fn restricts(&self) -> bool {
        match self.kind {
            Kind::Presence | Kind::Truth => false,
            Kind::Texts(_) | Kind::Wholes { .. } | Kind::Bins { .. } | Kind::Days { .. } => true,
        }
    }

    /// The values with which an expression over the column is tried, leaf by leaf, as many for each; one missing value ends them.
    ///
    /// A leaf of several values is tried at both ends, beside both ends and in the middle: an expression that is not the same at
    /// all of them tells values of one leaf apart, and has no name.
    pub(crate) fn points(&self) -> ArrayRef {
        match &self.kind {
            Kind::Presence => arrow::array::new_null_array(&self.data_type, 2),
            Kind::Truth => Arc::new(BooleanArray::from(vec![Some(false), Some(true), None])),
            Kind::Texts(texts) => Arc::new(texts.iter().map(Some).chain([None]).collect::<StringArray>()),
            Kind::Wholes { first, count } => {
                let values = (0..i64::from(*count)).map(|step| Some(first + step));
                Arc::new(values.chain([None]).collect::<Int64Array>())
            }
            Kind::Bins { first, width, count, low, high, scale } => {
                let points = (0..i128::from(*count)).flat_map(|bin| {
                    let start = (first + bin * width).max(*low);
                    let end = (first + (bin + 1) * width - 1).min(*high);
                    let inner = |value: i128| value.clamp(start, end);
                    [start, inner(start + 1), inner(i128::midpoint(start, end)), inner(end - 1), end]
                });
                numbers(points, &self.data_type, *scale)
            }
            Kind::Days { first, count } if self.data_type == DataType::Date32 => {
                let days = (0..i64::from(*count)).map(|day| i32::try_from(i64::from(*first) + day).ok());
                Arc::new(days.chain([None]).collect::<Date32Array>())
            }
            Kind::Days { first, count } => {
                let instants = (0..i64::from(*count)).flat_map(|day| {
                    let start = (i64::from(*first) + day) * MICROS_OF_DAY;
                    [0, 1, MICROS_OF_DAY / 2, MICROS_OF_DAY - 1].map(|micros| Some(start + micros))
                });
                Arc::new(instants.chain([None]).collect::<TimestampMicrosecondArray>())
            }
        }
    }

    /// Values with which an expression is tried for each leaf.
    pub(crate) fn per_leaf(&self) -> usize {
        match self.kind {
            Kind::Presence | Kind::Truth | Kind::Texts(_) | Kind::Wholes { .. } => 1,
            Kind::Bins { .. } => 5,
            Kind::Days { .. } if self.data_type == DataType::Date32 => 1,
            Kind::Days { .. } => 4,
        }
    }

    /// Brings the values of a column into the domain: a text that is not listed is missing; a number or day beyond an end is
    /// that end, as contributions to sums are. Values that are not a number are missing.
    ///
    /// A value outside of the domain would have no name, and a condition that holds for it would have the names of one that
    /// does not.
    pub(crate) fn restrict(&self, values: &ArrayRef) -> ArrayRef {
        // Most data lies within its domain, and is passed on as it is: to copy every column costs more than to look through it.
        if self.holds_all(values) {
            return Arc::clone(values);
        }
        match (&self.kind, values.data_type()) {
            (Kind::Texts(texts), DataType::Utf8) => {
                let kept = values.as_string::<i32>().iter();
                let kept = kept.map(|text| text.filter(|text| is_listed(texts, text)));
                Arc::new(kept.collect::<StringArray>())
            }
            (Kind::Wholes { first, count }, DataType::Int64) => {
                let last = first + i64::from(*count) - 1;
                let values = values.as_primitive::<Int64Type>();
                Arc::new(values.unary::<_, Int64Type>(|value| value.clamp(*first, last)))
            }
            (Kind::Bins { low, high, .. }, DataType::Int64) => {
                let ends = i64::try_from(*low).ok().zip(i64::try_from(*high).ok());
                let (low, high) = ends.unwrap_or((i64::MIN, i64::MAX));
                Arc::new(
                    values.as_primitive::<Int64Type>().unary::<_, Int64Type>(|value| value.clamp(low, high)),
                )
            }
            (Kind::Bins { low, high, .. }, DataType::Decimal128(..)) => {
                let values = values.as_primitive::<Decimal128Type>();
                let clamped = values.unary::<_, Decimal128Type>(|value| value.clamp(*low, *high));
                Arc::new(clamped.with_data_type(self.data_type.clone()))
            }
            (Kind::Bins { low, high, scale, .. }, DataType::Float64) => {
                let (low, high) = (real(*low, *scale), real(*high, *scale));
                let kept = values.as_primitive::<Float64Type>().iter();
                // Zero is added, since a negative zero would be a group of its own that no point is.
                let bring = |value: f64| value.max(low).min(high) + 0.0;
                let kept = kept.map(|value| value.filter(|value| !value.is_nan()).map(bring));
                Arc::new(kept.collect::<Float64Array>())
            }
            (Kind::Days { first, count }, DataType::Date32) => {
                let last = first.saturating_add(i32::try_from(*count).unwrap_or(0)) - 1;
                Arc::new(
                    values.as_primitive::<Date32Type>().unary::<_, Date32Type>(|day| day.clamp(*first, last)),
                )
            }
            (Kind::Days { first, count }, DataType::Timestamp(TimeUnit::Microsecond, None)) => {
                let start = i64::from(*first) * MICROS_OF_DAY;
                let last = start + i64::from(*count) * MICROS_OF_DAY - 1;
                let values = values.as_primitive::<TimestampMicrosecondType>();
                Arc::new(values.unary::<_, TimestampMicrosecondType>(|micros| micros.clamp(start, last)))
            }
            (Kind::Presence | Kind::Truth, _) => Arc::clone(values),
            _ => arrow::array::new_null_array(&self.data_type, values.len()),
        }
    }

    /// The value of an expression for each leaf, missing last, from its value at each of [`Published::points`]; nothing where it is
    /// not the same for all values of a leaf.
    ///
    /// The rows of a leaf have one name, so that a condition which tells them apart would have the names of another
    /// (`sandbox/docs/disclosure-model.md`, section 5.8).
    pub(crate) fn by_leaf<T: PartialEq>(&self, value: &dyn Fn(usize) -> T) -> Option<Vec<T>> {
        let per_leaf = self.per_leaf();
        let values = usize::try_from(self.hierarchy.missing()).unwrap_or(usize::MAX);
        let mut leaves = Vec::with_capacity(values + 1);
        for leaf in 0..values {
            let first = value(leaf * per_leaf);
            if (1..per_leaf).any(|point| value(leaf * per_leaf + point) != first) {
                return None;
            }
            leaves.push(first);
        }
        leaves.push(value(values * per_leaf));
        Some(leaves)
    }

    /// The leaf of each value, once it is brought into the domain.
    pub(crate) fn leaves_of(&self, values: &ArrayRef) -> Vec<u32> {
        let missing = self.hierarchy.missing();
        if matches!(self.kind, Kind::Presence) {
            return (0..values.len()).map(|row| if values.is_null(row) { missing } else { 0 }).collect();
        }
        let values = self.restrict(values);
        let step = |steps: i128| u32::try_from(steps).ok().filter(|leaf| *leaf < missing).unwrap_or(missing);
        let each = |value: &dyn Fn(usize) -> u32| -> Vec<u32> {
            (0..values.len()).map(|row| if values.is_null(row) { missing } else { value(row) }).collect()
        };
        match (&self.kind, values.data_type()) {
            (Kind::Truth, DataType::Boolean) => {
                let values = values.as_boolean();
                each(&|row| u32::from(values.value(row)))
            }
            (Kind::Texts(texts), DataType::Utf8) => {
                let values = values.as_string::<i32>();
                let place = |text: &str| texts.binary_search_by(|known| known.as_str().cmp(text)).ok();
                each(&|row| place(values.value(row)).and_then(|at| u32::try_from(at).ok()).unwrap_or(missing))
            }
            (Kind::Wholes { first, .. }, DataType::Int64) => {
                let values = values.as_primitive::<Int64Type>();
                each(&|row| step(i128::from(values.value(row)) - i128::from(*first)))
            }
            (Kind::Bins { first, width, .. }, DataType::Int64) => {
                let values = values.as_primitive::<Int64Type>();
                each(&|row| step((i128::from(values.value(row)) - first).div_euclid(*width)))
            }
            (Kind::Bins { first, width, .. }, DataType::Decimal128(..)) => {
                let values = values.as_primitive::<Decimal128Type>();
                each(&|row| step((values.value(row) - first).div_euclid(*width)))
            }
            (Kind::Bins { first, width, count, scale, .. }, DataType::Float64) => {
                let values = values.as_primitive::<Float64Type>();
                let edges: Vec<f64> =
                    (1..i128::from(*count)).map(|bin| real(first + bin * width, *scale)).collect();
                each(&|row| {
                    let below = edges.partition_point(|edge| *edge <= values.value(row));
                    u32::try_from(below).unwrap_or(missing)
                })
            }
            (Kind::Days { first, .. }, DataType::Date32) => {
                let values = values.as_primitive::<Date32Type>();
                each(&|row| step(i128::from(values.value(row)) - i128::from(*first)))
            }
            (Kind::Days { first, .. }, DataType::Timestamp(TimeUnit::Microsecond, None)) => {
                let values = values.as_primitive::<TimestampMicrosecondType>();
                each(&|row| {
                    step(i128::from(values.value(row).div_euclid(MICROS_OF_DAY)) - i128::from(*first))
                })
            }
            _ => vec![missing; values.len()],
        }
    }

    /// True if every value lies in the domain. Of floating point that is not looked at: among its numbers are some that are none.
    fn holds_all(&self, values: &ArrayRef) -> bool {
        match (&self.kind, values.data_type()) {
            (Kind::Presence | Kind::Truth, _) => true,
            (Kind::Texts(texts), DataType::Utf8) => {
                let mut last: Option<&str> = None;
                values.as_string::<i32>().iter().flatten().all(|text| {
                    let is_listed = last == Some(text) || is_listed(texts, text);
                    last = Some(text);
                    is_listed
                })
            }
            (Kind::Wholes { first, count }, DataType::Int64) => {
                within(values.as_primitive::<Int64Type>(), *first, first + i64::from(*count) - 1)
            }
            (Kind::Bins { low, high, .. }, DataType::Int64) => {
                let ends = i64::try_from(*low).ok().zip(i64::try_from(*high).ok());
                ends.is_some_and(|(low, high)| within(values.as_primitive::<Int64Type>(), low, high))
            }
            (Kind::Bins { low, high, .. }, DataType::Decimal128(..)) => {
                *values.data_type() == self.data_type
                    && within(values.as_primitive::<Decimal128Type>(), *low, *high)
            }
            (Kind::Days { first, count }, DataType::Date32) => {
                let last = first.saturating_add(i32::try_from(*count).unwrap_or(0)) - 1;
                within(values.as_primitive::<Date32Type>(), *first, last)
            }
            _ => false,
        }
    }

    /// The declaration that the nodes are numbered by, as a fingerprint.
    ///
    /// It is part of every name that rests on the column: with another list of values, another range or another width the same
    /// node would be other rows, and the difference of the two an exact number.
    pub(crate) fn fingerprint(&self) -> &[u8; 32] {
        &self.fingerprint
    }
}

impl Kind {
    /// The kind that the document's facts make; nothing where it declares none.
    fn declared(column: &EffectiveColumn, data_type: &DataType) -> Option<Self> {
        #[expect(clippy::wildcard_enum_match_arm, reason = "no other type has a declared domain")]
        match data_type {
            DataType::Boolean => Some(Kind::Truth),
            DataType::Utf8 => {
                let texts = column.domain.as_ref()?.iter().cloned();
                let sorted: BTreeSet<String> = texts.collect();
                Some(Kind::Texts(Arc::new(sorted.into_iter().collect())))
            }
            DataType::Date32 | DataType::Timestamp(TimeUnit::Microsecond, None) => {
                let epoch = NaiveDate::from_ymd_opt(1970, 1, 1)?;
                let (first, last) = calendar()?;
                let days = |day: NaiveDate| day.signed_duration_since(epoch).num_days();
                let count = u32::try_from(days(last) - days(first) + 1).ok()?;
                Some(Kind::Days { first: i32::try_from(days(first)).ok()?, count })
            }
            DataType::Int64 => {
                let (low, high) = column.range?;
                let (low, high) = (low.to_i64()?, high.to_i64()?);
                let count = high.checked_sub(low)?.checked_add(1)?;
                match u32::try_from(count).ok().filter(|count| *count <= LEAVES_MAX) {
                    Some(count) => Some(Kind::Wholes { first: low, count }),
                    None => Kind::bins(column, 0),
                }
            }
            DataType::Decimal128(_, scale) => Kind::bins(column, u8::try_from(*scale).ok()?),
            DataType::Float64 => Kind::bins(column, column.scale),
            _ => None,
        }
    }

    fn bins(column: &EffectiveColumn, scale: u8) -> Option<Self> {
        let (low, high) = column.range?;
        let (low, high) = (low.to_scaled(scale)?, high.to_scaled(scale)?);
        let width = column.bins?.to_scaled(scale).filter(|width| *width > 0)?;
        // Edges are counted from the low end of the range, as literals are; a mask counts its own from zero.
        let first = if column.mask.is_some() { low.div_euclid(width) * width } else { low };
        let count = u32::try_from((high - first).div_euclid(width)).ok()?.checked_add(1)?;
        (count <= LEAVES_MAX).then_some(Kind::Bins { first, width, count, low, high, scale })
    }

    fn hierarchy(&self, coded: bool) -> Result<Hierarchy, HierarchyFault> {
        match self {
            Kind::Presence => Ok(Hierarchy::presence()),
            Kind::Truth => Hierarchy::values(2),
            Kind::Texts(texts) if coded => Hierarchy::new(count(texts.len())?, prefixes(texts)),
            Kind::Texts(texts) => Hierarchy::values(count(texts.len())?),
            Kind::Wholes { first, count } => Hierarchy::steps(*first, *count),
            Kind::Bins { first, width, count, .. } => {
                Hierarchy::steps(i64::try_from(first.div_euclid(*width)).unwrap_or(0), *count)
            }
            Kind::Days { .. } => {
                let (first, last) = calendar().ok_or(HierarchyFault::NoCalendar)?;
                Hierarchy::days(first, last)
            }
        }
    }

    /// The declaration as bytes, no two declarations alike.
    fn fingerprint(&self, coded: bool) -> [u8; 32] {
        let mut hash = Sha256::new();
        let numbers = |hash: &mut Sha256, kind: u8, numbers: &[i128]| {
            hash.update([kind]);
            numbers.iter().for_each(|number| hash.update(number.to_be_bytes()));
        };
        match self {
            Kind::Presence => numbers(&mut hash, 0, &[]),
            Kind::Truth => numbers(&mut hash, 1, &[]),
            Kind::Texts(texts) => {
                numbers(&mut hash, 2, &[i128::from(coded)]);
                for text in texts.iter() {
                    hash.update(u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes());
                    hash.update(text);
                }
            }
            Kind::Wholes { first, count } => numbers(&mut hash, 3, &[i128::from(*first), i128::from(*count)]),
            Kind::Bins { first, width, low, high, scale, count: _ } => {
                numbers(&mut hash, 4, &[*first, *width, *low, *high, i128::from(*scale)]);
            }
            Kind::Days { first, count } => numbers(&mut hash, 5, &[i128::from(*first), i128::from(*count)]),
        }
        hash.finalize().into()
    }
}

/// True of a text that a sorted list holds.
fn is_listed(texts: &[String], text: &str) -> bool {
    // A short list is looked through faster than it is cut in halves.
    match texts.len() {
        0..=8 => texts.iter().any(|known| known == text),
        _ => texts.binary_search_by(|known| known.as_str().cmp(text)).is_ok(),
    }
}

/// True if all numbers that are there lie between two ends.
fn within<T: ArrowPrimitiveType>(values: &PrimitiveArray<T>, low: T::Native, high: T::Native) -> bool
where
    T::Native: PartialOrd,
{
    values.null_count() == values.len()
        || (min(values).is_some_and(|least| least >= low) && max(values).is_some_and(|most| most <= high))
}

fn count(values: usize) -> Result<u32, HierarchyFault> {
    u32::try_from(values).ok().filter(|count| *count <= LEAVES_MAX).ok_or(HierarchyFault::TooManyLeaves)
}

fn calendar() -> Option<(NaiveDate, NaiveDate)> {
    let (first, last) = CALENDAR;
    NaiveDate::from_ymd_opt(first, 1, 1).zip(NaiveDate::from_ymd_opt(last, 12, 31))
}

/// The levels of a coded column: codes with the same first character, the same first two, and so on.
fn prefixes(texts: &[String]) -> Vec<Vec<u32>> {
    let longest = texts.iter().map(|text| text.chars().count()).max().unwrap_or(0);
    let mut levels: Vec<Vec<u32>> = Vec::new();
    for length in 1..longest {
        let mut starts = Vec::new();
        let mut last: Option<String> = None;
        for (leaf, text) in (0..).zip(texts) {
            let prefix: String = text.chars().take(length).collect();
            if last.as_ref() != Some(&prefix) {
                starts.push(leaf);
                last = Some(prefix);
            }
        }
        let is_finer = starts.len() > levels.last().map_or(1, Vec::len) && starts.len() < texts.len();
        if is_finer {
            levels.push(starts);
        }
    }
    levels
}

/// Numbers of a physical type, in units of a scale, and a missing one after them.
fn numbers(units: impl Iterator<Item = i128>, data_type: &DataType, scale: u8) -> ArrayRef {
    #[expect(clippy::wildcard_enum_match_arm, reason = "no other type has bins")]
    match data_type {
        DataType::Int64 => {
            let wholes = units.map(|value| i64::try_from(value).ok());
            Arc::new(wholes.chain([None]).collect::<Int64Array>())
        }
        DataType::Decimal128(..) => {
            let decimals = units.map(Some).chain([None]).collect::<Decimal128Array>();
            Arc::new(decimals.with_data_type(data_type.clone()))
        }
        DataType::Float64 => {
            let reals = units.map(|value| Some(real(value, scale)));
            Arc::new(reals.chain([None]).collect::<Float64Array>())
        }
        other => arrow::array::new_null_array(other, 1),
    }
}

fn real(units: i128, scale: u8) -> f64 {
    Fixed::from_scaled(units, scale).map_or(0.0, Fixed::to_f64)
}

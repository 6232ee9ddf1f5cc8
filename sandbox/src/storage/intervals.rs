//! Proves that two columns of a reference table span intervals which do not overlap (holidays, age bands, tariffs), so
//! that a value lies in one of them at most and a range join cannot multiply rows.

use arrow::array::Array;
use arrow::array::AsArray as _;
use arrow::array::PrimitiveArray;
use arrow::datatypes::ArrowPrimitiveType;
use arrow::datatypes::DataType;
use arrow::datatypes::Date32Type;
use arrow::datatypes::Decimal128Type;
use arrow::datatypes::Int64Type;
use arrow::datatypes::TimeUnit;
use arrow::datatypes::TimestampMicrosecondType;
use arrow::record_batch::RecordBatch;

/// Rows up to which pairs of columns are tried: tables of intervals are short.
const ROWS_MAX: usize = 10_000;

/// Two columns that span intervals which do not overlap, by position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProvenIntervals {
    pub(crate) low: usize,
    pub(crate) high: usize,
    /// Neighbours share no end either, so that both ends may belong to their interval.
    pub(crate) closed: bool,
}

/// Collects the ordered columns of a short table.
pub(crate) struct IntervalColumns {
    /// Type and values of each column; nothing once a value is missing, or where it has no order worth trying.
    columns: Vec<Option<(DataType, Vec<i128>)>>,
    rows: usize,
}

impl IntervalColumns {
    pub(crate) fn new(columns: usize) -> Self {
        Self { columns: vec![Some((DataType::Null, Vec::new())); columns], rows: 0 }
    }

    pub(crate) fn take(&mut self, batch: &RecordBatch) {
        self.rows += batch.num_rows();
        if self.rows > ROWS_MAX {
            self.columns.iter_mut().for_each(|column| *column = None);
        }
        for (slot, column) in self.columns.iter_mut().zip(batch.columns()) {
            let Some((data_type, values)) = slot else { continue };
            match ordered(column) {
                Some(more) => {
                    column.data_type().clone_into(data_type);
                    values.extend(more);
                }
                None => *slot = None,
            }
        }
    }

    /// The pairs of columns that span disjoint intervals.
    pub(crate) fn finish(self) -> Vec<ProvenIntervals> {
        if self.rows == 0 {
            return Vec::new();
        }
        let columns: Vec<(usize, DataType, Vec<i128>)> = self
            .columns
            .into_iter()
            .enumerate()
            .filter_map(|(at, column)| column.map(|(data_type, values)| (at, data_type, values)))
            .collect();
        let mut proven = Vec::new();
        for (low, low_type, lows) in &columns {
            for (high, high_type, highs) in &columns {
                if low != high
                    && low_type == high_type
                    && let Some(closed) = disjoint(lows, highs)
                {
                    proven.push(ProvenIntervals { low: *low, high: *high, closed });
                }
            }
        }
        proven
    }
}

/// `Some` if the intervals do not overlap; the value is true if they stay disjoint with both ends included.
fn disjoint(lows: &[i128], highs: &[i128]) -> Option<bool> {
    let mut intervals: Vec<(i128, i128)> = lows.iter().copied().zip(highs.iter().copied()).collect();
    intervals.sort_unstable();
    let ordered = intervals.iter().all(|(low, high)| low <= high);
    let gaps = || intervals.iter().zip(intervals.iter().skip(1)).map(|((_, high), (next, _))| (*high, *next));
    // Where neighbours touch, a single point would lie in both unless every interval has a length.
    let touching = gaps().all(|(high, next)| high <= next) && intervals.iter().all(|(low, high)| low < high);
    let closed = gaps().all(|(high, next)| high < next);
    (ordered && (closed || touching)).then_some(closed)
}

/// The values of a column that has an order, if none is missing.
fn ordered(column: &dyn Array) -> Option<Vec<i128>> {
    fn values<T>(column: &PrimitiveArray<T>) -> Vec<i128>
    where
        T: ArrowPrimitiveType,
        T::Native: Into<i128>,
    {
        column.values().iter().map(|value| (*value).into()).collect()
    }
    if column.null_count() > 0 {
        return None;
    }
    match column.data_type() {
        DataType::Int64 => column.as_primitive_opt::<Int64Type>().map(values),
        DataType::Date32 => column.as_primitive_opt::<Date32Type>().map(values),
        DataType::Decimal128(..) => column.as_primitive_opt::<Decimal128Type>().map(values),
        DataType::Timestamp(TimeUnit::Microsecond, None) => {
            column.as_primitive_opt::<TimestampMicrosecondType>().map(values)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_with_gaps_are_closed() {
        assert_eq!(disjoint(&[30, 0, 60], &[59, 29, 99]), Some(true));
        assert_eq!(disjoint(&[5], &[5]), Some(true));
    }

    #[test]
    fn intervals_that_touch_exclude_one_end() {
        assert_eq!(disjoint(&[0, 30], &[30, 60]), Some(false));
        assert_eq!(
            disjoint(&[0, 30, 30], &[30, 30, 60]),
            None,
            "an empty interval lies on its neighbours' end"
        );
    }

    #[test]
    fn overlapping_repeated_and_reversed_intervals_prove_nothing() {
        assert_eq!(disjoint(&[0, 20], &[30, 60]), None);
        assert_eq!(disjoint(&[0, 0], &[30, 30]), None);
        assert_eq!(disjoint(&[0, 10], &[100, 20]), None);
        assert_eq!(disjoint(&[30, 70], &[20, 80]), None);
    }
}

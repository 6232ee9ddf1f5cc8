//! The days that the engine computes with: what is made of a date beyond them is missing.

use arrow::datatypes::DataType as ArrowType;
use datafusion_common::Column;
use datafusion_common::ScalarValue;
use datafusion_expr::Case;
use datafusion_expr::Expr;

/// Days since 1970-01-01 between which the engine computes with dates and times without failing, the last not included.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Calendar {
    from: i32,
    until: i32,
}

impl Calendar {
    /// From the year -9999 to the last day of 9999, which stands for "without end" in many files.
    pub(crate) const WHOLE: Calendar = Calendar { from: -4_371_587, until: 2_932_897 };
    /// The years 1678 to 2261, all of whose days and whose beginnings can be written as nanoseconds in 64 bits.
    pub(crate) const NANOSECONDS: Calendar = Calendar { from: -106_650, until: 106_651 };

    /// The expression made from a date or time column; it is missing outside these days. The engine fails for dates
    /// beyond its range, and whether a query fails would tell whether somebody has such a date
    /// (`sandbox/docs/disclosure-model.md`, section 7).
    pub(crate) fn within(self, column: &Column, data_type: &ArrowType, made: Expr) -> Expr {
        const DAY_MICROSECONDS: i64 = 86_400_000_000;
        let at = |day: i32| {
            let literal = if *data_type == ArrowType::Date32 {
                ScalarValue::Date32(Some(day))
            } else {
                ScalarValue::TimestampMicrosecond(Some(i64::from(day) * DAY_MICROSECONDS), None)
            };
            Expr::Literal(literal, None)
        };
        let bare = || Expr::Column(column.clone());
        let within = bare().gt_eq(at(self.from)).and(bare().lt(at(self.until)));
        Expr::Case(Case::new(None, vec![(Box::new(within), Box::new(made))], None))
    }
}

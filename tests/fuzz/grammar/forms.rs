//! Forms that plain DataFusion lacks or answers otherwise than the product declares, written out for it.

use crate::plain::THREE_DIGITS;
use crate::question::Text;

/// The job's day as the product puts it in, 2024-10-04: the twenty thousandth day.
pub(crate) const TODAY: &str = "DATE '2024-10-04'";

/// A count or sum as the product releases it: one to which nobody contributes is missing.
pub(crate) fn of_somebody(text: &str) -> Text {
    Text::new(text, format!("NULLIF({text}, 0)"))
}

/// A mean as the product releases it, to three digits; of decimals it is one of four more places.
pub(crate) fn mean(text: &str, of_decimals: bool) -> Text {
    let rounded = format!("NULLIF({THREE_DIGITS}(CAST({text} AS DOUBLE)), 0)");
    Text::new(text, if of_decimals { format!("CAST({rounded} AS DECIMAL(22, 6))") } else { rounded })
}

/// `age_years`, which plain DataFusion does not have: completed years to the job's day.
pub(crate) fn age_years(date: &Text) -> Text {
    let years = "CAST(2024 - date_part('year', {}) - CASE WHEN date_part('month', {}) * 100 + date_part('day', {}) > 1004 \
                 THEN 1 ELSE 0 END AS BIGINT)";
    both(&Text::of("age_years({})", &[date]), &Text::of(years, &[date, date, date]))
}

/// `width_bucket` from zero, which plain DataFusion does not have.
pub(crate) fn width_bucket(number: &Text, high: usize, count: usize) -> Text {
    let asked = Text::of(&format!("width_bucket({{}}, 0, {high}, {count})"), &[number]);
    let buckets = format!(
        "CASE WHEN {{}} < 0 THEN 0 WHEN {{}} >= {high} THEN {} WHEN {{}} IS NULL THEN NULL \
         ELSE CAST(floor(CAST({{}} AS DOUBLE) * {count} / {high}) AS BIGINT) + 1 END",
        count + 1
    );
    both(&asked, &Text::of(&buckets, &[number, number, number, number]))
}

/// A quotient of two released numbers: NULL where it is divided by zero, else three digits.
pub(crate) fn quotient(left: &Text, right: &Text) -> Text {
    let asked = Text::of("(CAST({} AS DOUBLE) / {})", &[left, right]);
    let plain = Text::of(&format!("{THREE_DIGITS}(CAST({{}} AS DOUBLE) / NULLIF({{}}, 0))"), &[left, right]);
    both(&asked, &plain)
}

/// One piece as it is asked, and another as plain DataFusion is asked.
pub(crate) fn both(asked: &Text, plain: &Text) -> Text {
    use crate::question::Side;
    Text::new(asked.on(Side::Asked), plain.on(Side::Plain))
}

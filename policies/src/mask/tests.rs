//! Facts about masks: what each does to a value, which edges it has, and that combining is a join.
//! Nothing here is used outside tests.

use crate::day::DatePart;
use crate::day::Day;
use crate::mask::Mask;

fn day(text: &str) -> Day {
    text.parse().unwrap()
}

#[test]
fn bin_edges_are_multiples() {
    let mask = Mask::Bin { width: 100.into() };
    assert!(mask.is_edge(300.into()) && !mask.is_edge(250.into()));
    assert_eq!(mask.nearest_edges(250.into()), (200.into(), 300.into()));
    assert_eq!(mask.nearest_edges((-250).into()), ((-300).into(), (-200).into()));
}

#[test]
fn top_bottom_edges_lie_within_the_limits() {
    let mask = Mask::TopBottom { bottom: Some(10.into()), top: Some(90.into()) };
    assert!(mask.is_edge(10.into()) && mask.is_edge(37.into()) && !mask.is_edge(91.into()));
    assert_eq!(mask.nearest_edges(120.into()), (90.into(), 90.into()));
}

#[test]
fn date_edges_are_where_parts_and_bands_begin() {
    let today = day("2026-11-21");
    let month = Mask::DateTrunc { part: DatePart::Month };
    assert!(month.is_date_edge(day("2026-02-01"), today));
    assert_eq!(month.nearest_date_edges(day("2026-02-10"), today), (day("2026-02-01"), day("2026-03-01")));
    let band = Mask::BinYears { years: 5, top: Some(90) };
    assert!(band.is_date_edge(day("1985-01-01"), today) && !band.is_date_edge(day("1986-01-01"), today));
    assert!(!band.is_date_edge(day("1930-01-01"), today), "below the oldest band nothing is told apart");
    assert_eq!(band.nearest_date_edges(day("1930-01-01"), today), (day("1935-01-01"), day("1935-01-01")));
    assert_eq!(band.nearest_date_edges(day("1986-06-01"), today), (day("1985-01-01"), day("1990-01-01")));
}

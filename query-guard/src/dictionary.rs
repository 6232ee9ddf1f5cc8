//! The terms of a dataset: the edges that its columns are compared at, and the controls that answers pass.
//! It judges no question, and it says nothing that the guard would not: both go by the same masks, bins and floors.

use std::collections::BTreeSet;

use obscura_policies::day::DatePart;
use obscura_policies::effective::Controls;
use obscura_policies::effective::EffectiveColumn;
use obscura_policies::effective::EffectiveDataset;
use obscura_policies::effective::EffectivePolicy;
use obscura_policies::fixed::Fixed;
use obscura_policies::mask::Cut;
use obscura_policies::mask::Mask;
use obscura_policies::vocabulary::DataType;
use obscura_policies::vocabulary::Level;
use obscura_policies::vocabulary::Release;
use obscura_policies::vocabulary::Role;

use crate::floor::HeldTo;
use crate::row_filter::row_filter;
use crate::sealed_type::sealed_type;
use crate::shape::grain;

pub use crate::floor::is_open;

/// Bins that are tried until two of them are edges of the mask as well.
const BINS_TRIED: i64 = 1000;

/// The values that a column may be compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edges {
    /// Any value.
    Any,
    /// `from`, and every `step` from there, up to `to`: by `<` and `>=`.
    Steps {
        /// Distance of neighbouring edges.
        step: Fixed,
        /// The first edge.
        from: Fixed,
        /// The last value that is shown, where there is one.
        to: Option<Fixed>,
    },
    /// Values between the limits of a mask.
    Between {
        /// Smallest value shown.
        bottom: Option<Fixed>,
        /// Largest value shown.
        top: Option<Fixed>,
    },
    /// Beginnings of a calendar part.
    Parts(DatePart),
    /// The first of January of every so many years.
    Years(u8),
    /// The values that the mask leaves, by equality.
    Shown,
    /// None: the column is compared with nothing.
    Nothing,
}

/// The controls of questions whose strictest column is of one grade.
#[derive(Debug, Clone, PartialEq)]
pub struct GradeControls {
    /// The grade.
    pub grade: Level,
    /// The controls; nothing where such questions are refused, because a control is missing in this build.
    pub controls: Option<Controls>,
}

/// The controls by grade, for every grade that a question over this dataset alone can have.
#[must_use]
pub fn controls(policy: &EffectivePolicy, dataset: &EffectiveDataset) -> Vec<GradeControls> {
    if is_open(dataset) || dataset.release == Release::None {
        return Vec::new();
    }
    let mut least = dataset.membership;
    for filter in dataset.row_filters.iter().filter(|filter| !filter.jurisdiction) {
        let Ok((_, columns)) = row_filter(&filter.sql, dataset) else { return Vec::new() };
        let read = dataset.columns.iter().filter(|column| columns.contains(&column.name));
        least = read.map(|column| column.grade).fold(least, Level::max);
    }
    let usable = dataset.columns.iter().filter(|column| !column.uses.is_empty());
    let grades: BTreeSet<Level> = usable.map(|column| column.grade_after.max(least)).chain([least]).collect();
    let carried = !dataset.units.is_empty();
    let held = |grade| {
        let held = HeldTo::of(policy, [&dataset.id], grade, carried);
        let controls = held.filter(HeldTo::is_available).map(|held| held.controls);
        GradeControls { grade, controls }
    };
    grades.into_iter().map(held).collect()
}

/// The values that a column of a dataset may be compared with, if it may be filtered at all.
#[must_use]
pub fn edges(column: &EffectiveColumn, dataset: &EffectiveDataset) -> Edges {
    let is_key = dataset.units.iter().any(|unit| unit.column == column.name);
    match &column.mask {
        _ if is_key && !is_open(dataset) => Edges::Nothing,
        None if is_open(dataset) => Edges::Any,
        mask if column.data_type.is_numeric() => numeric(column, mask.as_ref()),
        None => Edges::Any,
        Some(Mask::DateTrunc { part }) if column.data_type.is_temporal() => Edges::Parts(*part),
        Some(Mask::BinYears { years, .. }) if column.data_type.is_temporal() => Edges::Years(*years),
        Some(Mask::Hierarchy(_) | Mask::Partial { .. }) if column.data_type == DataType::Text => Edges::Shown,
        Some(_) => Edges::Nothing,
    }
}

fn numeric(column: &EffectiveColumn, mask: Option<&Mask>) -> Edges {
    let is_binned = column.role == Role::Measure || column.bins.is_some();
    match (mask, column.bins) {
        (None, None) if !is_binned => Edges::Any,
        (_, Some(bins)) => binned(column, bins, mask),
        (Some(Mask::TopBottom { bottom, top }), None) if !is_binned => {
            Edges::Between { bottom: *bottom, top: *top }
        }
        (Some(mask), None) if !is_binned => {
            stepped(mask, grain(&sealed_type(column.data_type))).unwrap_or(Edges::Nothing)
        }
        (_, None) => Edges::Nothing,
    }
}

/// Edges of a mask of steps; halves where it rounds.
fn stepped(mask: &Mask, grain: Option<Fixed>) -> Option<Edges> {
    let (below, above) = mask.number_edges(Fixed::ZERO, grain)?;
    let from = if below < Fixed::ZERO { above } else { below };
    Some(Edges::Steps { step: mask.step()?, from, to: None })
}

/// Edges of bins, as far as the mask shows them.
fn binned(column: &EffectiveColumn, bins: Fixed, mask: Option<&Mask>) -> Edges {
    let origin = column.range.map_or(Fixed::ZERO, |(low, _)| low);
    let is_shown = |edge: &Fixed| {
        mask.is_none_or(|mask| {
            mask.number_cut(Cut::Below(*edge), grain(&sealed_type(column.data_type))).is_some()
        })
    };
    let all = (0..=BINS_TRIED).map_while(|bin| origin.checked_add(bins.checked_mul_i64(bin)?));
    let mut shown = all.filter(is_shown);
    let (from, next) = (shown.next(), shown.next());
    let limits = mask.and_then(|mask| mask.limits().1).into_iter().chain(column.range.map(|(_, high)| high));
    match from.zip(next).and_then(|(from, next)| Some((from, next.checked_sub(from)?))) {
        Some((from, step)) => Edges::Steps { step, from, to: limits.min() },
        None => Edges::Nothing,
    }
}

#[cfg(test)]
mod tests;

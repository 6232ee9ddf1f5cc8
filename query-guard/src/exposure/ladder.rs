//! The least deviation of the ladder that keeps exposure within limits, and what to close where none does.

use obscura_policies::effective::DEVIATIONS;

use super::AllKnown;
use super::Cube;
use super::Cubes;
use super::Exposure;
use super::ExposureFault;
use super::Knowledge;
use super::Opened;
use super::Search;
use super::Subjects;
use super::all_known;
use super::least_squares::information;
use super::least_squares::is_above;
use super::least_squares::of_tables;
use super::tables::Tables;

/// The advantages that a grade allows, and its least deviation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// The least deviation of the grade; rungs below are not tried.
    pub deviation_min: u32,
    /// Most advantage on the worst person, others unknown.
    pub exposure: f64,
    /// Most advantage of an attacker who knows everybody else, on somebody who stays.
    pub all_known: f64,
    /// Most advantage on somebody who arrives. Answers before and after take all who stay out of each other, so that the figure
    /// is that of an attacker who knows everybody else.
    pub arrives: f64,
}

impl Limits {
    /// The limits of grade L2.
    pub const L2: Limits = Limits { deviation_min: 2, exposure: 0.35, all_known: 0.5, arrives: 0.35 };
    /// The limits of grade L3.
    pub const L3: Limits = Limits { deviation_min: 4, exposure: 0.25, all_known: 0.5, arrives: 0.3 };

    /// The figures for an attacker who knows everybody else as parts of what is allowed: within the limits at one or less.
    fn share_all_known(&self, known: &AllKnown) -> f64 {
        // Data that is published once has nobody who arrives: the figure of those who stay is all.
        let arrives = if known.arrives > known.stays { known.arrives / self.arrives } else { 0.0 };
        (known.stays / self.all_known).max(arrives)
    }

    /// All figures as parts of what is allowed.
    fn share(&self, known: &AllKnown, exposure: &Exposure) -> f64 {
        self.share_all_known(known).max(exposure.worst() / self.exposure)
    }
}

/// A rung of the ladder with the figures at it.
#[derive(Debug, Clone, PartialEq)]
pub struct Rung {
    /// A member of [`DEVIATIONS`].
    pub deviation: u32,
    /// The attacker who knows everybody else.
    pub all_known: AllKnown,
    /// The attacker who knows nobody's bit.
    pub exposure: Exposure,
}

/// A part of what a policy opens that it could close.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Closing {
    /// One of several listed cubes.
    Cube(Cube),
    /// A known column, in all cubes.
    Column(u16),
}

/// The reason why there is no deviation.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum NoDeviation {
    /// The figures cannot be computed.
    #[error(transparent)]
    Fault(#[from] ExposureFault),
    /// At the last rung some advantage is above its limit.
    #[error("no deviation of the ladder keeps the exposure within its limits")]
    NoRung {
        /// The part whose closing lowers the advantages the most, taken by their limits; nothing where nothing can be closed.
        close: Option<Closing>,
        /// Largest advantage at the last rung, as a multiple of its limit: above one.
        share: f64,
        /// The same once the part is closed. At most one means that closing it is enough.
        share_closed: f64,
    },
}

/// The least deviation of the ladder that keeps all advantages within limits, with the figures at it.
///
/// Advantages fall as deviations rise, so that the first rung within limits is the least. The attacker who knows everybody else
/// costs no time and is asked first.
///
/// # Errors
/// [`NoDeviation::NoRung`] with what to close, [`NoDeviation::Fault`] when the figures cannot be computed.
pub fn least_deviation(
    opened: &Opened,
    subjects: &Subjects,
    limits: &Limits,
    search: &Search,
) -> Result<Rung, NoDeviation> {
    let mut tables = None;
    for deviation in DEVIATIONS.into_iter().filter(|rung| *rung >= limits.deviation_min) {
        let all_known = all_known(opened, deviation)?;
        if limits.share_all_known(&all_known) > 1.0 {
            continue;
        }
        let tables = match &mut tables {
            Some(built) => &*built,
            none => &*none.insert(Tables::of(opened, subjects)?),
        };
        let information = information(opened, deviation, search)?;
        // Most rungs that fail do so at the first person.
        if is_above(tables, information, search, limits.exposure) {
            continue;
        }
        let exposure = of_tables(tables, information, search);
        if limits.share(&all_known, &exposure) <= 1.0 {
            return Ok(Rung { deviation, all_known, exposure });
        }
    }
    Err(to_close(opened, subjects, limits, search)?)
}

/// The refusal at the last rung, with the part whose closing gains most.
fn to_close(
    opened: &Opened,
    subjects: &Subjects,
    limits: &Limits,
    search: &Search,
) -> Result<NoDeviation, ExposureFault> {
    let share = share_at_last(opened, subjects, limits, search)?;
    let mut best: Option<(Closing, f64)> = None;
    for (closing, closed) in closings(opened) {
        let share = share_at_last(&closed, subjects, limits, search)?;
        if best.as_ref().is_none_or(|(_, least)| share < *least) {
            best = Some((closing, share));
        }
    }
    let (close, share_closed) = best.map_or((None, share), |(close, share)| (Some(close), share));
    Ok(NoDeviation::NoRung { close, share, share_closed })
}

/// The largest advantage at the last rung as a multiple of its limit. Where the attacker who knows everybody else is above the
/// limit, the other is not asked: that one learns less, and what is opened may be too much to compute.
fn share_at_last(
    opened: &Opened,
    subjects: &Subjects,
    limits: &Limits,
    search: &Search,
) -> Result<f64, ExposureFault> {
    let deviation = DEVIATIONS.into_iter().max().unwrap_or(0);
    let known = all_known(opened, deviation)?;
    let share = limits.share_all_known(&known);
    if share > 1.0 {
        return Ok(share);
    }
    let tables = Tables::of(opened, subjects)?;
    let isolated = Search { sampled: 0, ..*search };
    Ok(limits.share(&known, &of_tables(&tables, information(opened, deviation, search)?, &isolated)))
}

/// The parts that can be closed, each with what is left open: listed cubes where there are several, else known columns.
fn closings(opened: &Opened) -> Vec<(Closing, Opened)> {
    if let Cubes::Listed(cubes) = &opened.cubes
        && cubes.len() > 1
    {
        let without = |number: usize| {
            let kept = cubes.iter().enumerate().filter(|(other, _)| *other != number);
            let cubes = Cubes::Listed(kept.map(|(_, cube)| cube.clone()).collect());
            Opened { cubes, ..opened.clone() }
        };
        let each = cubes.iter().enumerate();
        return each.map(|(number, cube)| (Closing::Cube(cube.clone()), without(number))).collect();
    }
    let known = opened.columns.iter().filter(|(_, column)| column.knowledge == Knowledge::Known);
    known.map(|(number, _)| (Closing::Column(*number), without_column(opened, *number))).collect()
}

fn without_column(opened: &Opened, number: u16) -> Opened {
    let mut closed = opened.clone();
    closed.columns.remove(&number);
    if let Cubes::Listed(cubes) = &mut closed.cubes {
        cubes.iter_mut().for_each(|cube| {
            cube.remove(&number);
        });
    }
    closed
}

//! Complementary suppression: where totals stand beside their parts in one answer, further groups are withheld, so that no difference
//! tells a withheld number closely (Hundepool et al., Statistical Disclosure Control (2012), section 4.4; Fischetti and Salazar 2001).
//!
//! It looks at the groups of all sets of keys of one GROUP BY (GROUPING SETS, ROLLUP, CUBE) at once. `margins` decides which groups go;
//! this file says what an attacker reads off the answer: the figures of each group, how closely they are told, and how far a withheld one
//! must stay open.
//!
//! With named noise nothing is looked at. A total and its parts are different names with draws of their own, and the difference of a total
//! and k-1 parts has the noise of k names, more than one number has that is released; withheld cells are no exact ones there.

use std::cmp::Ordering;

use arrow::array::ArrayRef;
use datafusion_common::ScalarValue;

use crate::cell::AtomStatistics;
use crate::control::Control;
use crate::control::ControlError;
use crate::control::Figure;
use crate::control::Group;
use crate::control::key_values;
use crate::plan::Formula;
use crate::plan::Stage;
use crate::plan::StageAtom;
use crate::plan::StageControls;

use margins::Figures;
use margins::Interval;
use margins::Margins;
use margins::Number;
use margins::Protection;
use places::laid_out;

mod margins;
mod places;
mod simplex;

/// It takes no cell: it withholds groups, once all cells of a statement have passed the controls before it.
pub(super) const COMPLEMENTARY: Control = Control { name: "complementary", holds_for, on_cell: None };

/// The part of a sum by which a withheld one stays open to both sides, in percent, where no rule of dominance names another.
const P_PERCENT: u16 = 10;

/// The cost of one row, of which the parts tell groups with as many rows apart, and the factor that spreads these parts.
const COST_OF_ROW: u64 = 1 << 20;
const SPREAD: u64 = 2_654_435_761;

/// All that a stage releases beside other sets of keys, since whole groups are withheld.
fn holds_for(_figure: Figure, stage: &StageControls) -> bool {
    stage.complementary
}

/// The groups of one set of keys, after the controls of single cells.
pub(crate) struct SetOfGroups<'g, 's> {
    pub(crate) stage: &'s Stage,
    /// The columns of its keys, a row for each group.
    pub(crate) keys: Vec<ArrayRef>,
    pub(crate) groups: &'g [Group<'s>],
    /// Of each group: it may be seen.
    pub(crate) shown: &'g mut [bool],
}

/// A number of each group that the answer tells, or is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    /// The total of an atom.
    Value(usize),
    /// The contributors of an atom, of one class.
    Subjects(usize, usize),
}

/// Withholds groups, beside those that the other controls have withheld.
///
/// The total of a department less all of its zips but one is the zip that was withheld. So a further zip is withheld, or the total: a count
/// that was withheld for few subjects may then be anything from zero to the threshold, and a sum anything from that of nobody to the
/// largest of one row, or off by p percent to both sides (`sandbox/docs/disclosure-model.md`, section 5.11).
///
/// # Errors
/// [`ControlError::NotCells`] where the sets do not add up to one another: they are not of the same rows, and nothing leaves.
pub(crate) fn complementary(sets: &mut [SetOfGroups<'_, '_>]) -> Result<(), ControlError> {
    let orders = sets.iter().map(ordered).collect::<Result<Vec<_>, _>>()?;
    let mut margins = margins(sets, &orders)?;
    margins.protect();
    let mut shown = margins.shown();
    for (set, order) in sets.iter_mut().zip(&orders) {
        for (at, shown) in order.iter().zip(shown.by_ref()) {
            set.shown.get_mut(*at).into_iter().for_each(|place| *place = shown);
        }
    }
    Ok(())
}

/// The groups of a set in the order of their keys, those that are not seen last: an engine finds them in any order, and the choice among
/// groups that cost the same must be the same in every run.
fn ordered(set: &SetOfGroups<'_, '_>) -> Result<Vec<usize>, ControlError> {
    let keys = rows(set)?;
    let mut order: Vec<usize> = (0..keys.len()).collect();
    let is_unseen = |at: usize| set.shown.get(at) != Some(&true);
    order.sort_by(|one, other| {
        let by_keys = keys.get(*one).partial_cmp(&keys.get(*other)).unwrap_or(Ordering::Equal);
        is_unseen(*one).cmp(&is_unseen(*other)).then(by_keys)
    });
    Ok(order)
}

/// The cost of a group by the rows that are told of it: of two groups with as many, one is cheaper, whatever is withheld beside them.
fn cost(rows: i128, rank: u64) -> u64 {
    let part = rank.wrapping_mul(SPREAD) % COST_OF_ROW;
    u64::try_from(rows.max(1)).unwrap_or(u64::MAX).saturating_mul(COST_OF_ROW).saturating_add(part)
}

/// The groups of all sets as an attacker knows them, with what is told of each.
///
/// The finest groups that are seen are unknowns of their own. Groups that are not seen may be small, or empty, or not there at all, and must
/// look alike: what else is withheld would otherwise tell that somebody is there. So there is an unknown for every place at which a group
/// may be missing, by the keys that the coarser sets have, whether there is a group or not; withheld groups are added up there.
fn margins(sets: &[SetOfGroups<'_, '_>], orders: &[Vec<usize>]) -> Result<Margins, ControlError> {
    let key_sets = sets
        .iter()
        .map(|set| set.stage.set.as_ref().ok_or(ControlError::NotCells))
        .collect::<Result<Vec<_>, _>>()?;
    let groups = || {
        sets.iter().zip(orders).flat_map(|(set, order)| {
            order.iter().filter_map(|at| Some((set.groups.get(*at)?, *set.shown.get(*at)?)))
        })
    };
    let mut keys = Vec::with_capacity(sets.len());
    for (set, order) in sets.iter().zip(orders) {
        let rows = rows(set)?;
        keys.push(order.iter().filter_map(|at| rows.get(*at).cloned()).collect::<Vec<_>>());
    }
    let in_order = |(set, order): (&SetOfGroups<'_, '_>, &Vec<usize>)| -> Vec<bool> {
        order.iter().map(|at| set.shown.get(*at) == Some(&true)).collect()
    };
    let shown: Vec<Vec<bool>> = sets.iter().zip(orders).map(in_order).collect();
    // Costs are what is told: by exact ones the choice would tell more than the numbers do.
    let mut rank: u64 = 0;
    let mut costs = Vec::new();
    for (group, shown) in groups() {
        let rows = statistics(group, group.stage.rows_atom)?.first().map_or(0, |rows| rows.total);
        rank += u64::from(shown);
        costs.push(cost(group.rounding().count(rows), rank));
    }
    let mut margins = laid_out(&key_sets, &keys, &shown, &costs)?;
    let formulas: Vec<&Formula> =
        sets.first().into_iter().flat_map(|set| &set.stage.columns).map(|column| &column.formula).collect();
    // A mean beside a sum tells how many rows there are: nothing counts as rounded then.
    let is_rounded = formulas.iter().all(|formula| is_told_rounded(formula));
    let mut told: Vec<Told> = Vec::new();
    for one in formulas.into_iter().flat_map(told_by) {
        if !told.contains(&one) {
            told.push(one);
        }
    }
    for told in told {
        let numbers = groups().map(|(group, shown)| number(told, group, shown, is_rounded));
        let numbers = numbers.collect::<Result<Vec<_>, _>>()?;
        let Some(first) = sets.first() else { continue };
        margins.figure(figures(told, first.stage)?, numbers)?;
    }
    Ok(margins)
}

/// The keys of each group of a set.
fn rows(set: &SetOfGroups<'_, '_>) -> Result<Vec<Vec<ScalarValue>>, ControlError> {
    (0..set.groups.len()).map(|row| key_values(&set.keys, row)).collect()
}

/// True if a column tells each of its numbers no more closely than it is rounded.
fn is_told_rounded(formula: &Formula) -> bool {
    match formula {
        Formula::Count { .. } | Formula::Subjects { .. } | Formula::Sum { .. } => true,
        Formula::Mean { .. } | Formula::Moment { .. } | Formula::Quantile { .. } => false,
    }
}

/// The numbers that a column is made of.
fn told_by(formula: &Formula) -> Vec<Told> {
    match formula {
        Formula::Count { atom } => vec![Told::Value(*atom)],
        Formula::Subjects { atom, class } => vec![Told::Subjects(*atom, *class)],
        Formula::Sum { terms } => terms.iter().map(|term| Told::Value(term.atom)).collect(),
        Formula::Mean { parts, count, low: _, high: _ } => {
            let terms = parts.iter().flatten().map(|term| term.atom);
            terms.chain([*count]).map(Told::Value).collect()
        }
        Formula::Moment { statistic: _, count, sums } => {
            sums.iter().chain([count]).copied().map(Told::Value).collect()
        }
        Formula::Quantile { percent: _, below, from, count, middles: _, half_step: _ } => {
            below.iter().chain(from).chain([count]).copied().map(Told::Value).collect()
        }
    }
}

/// The public knowledge of a number: whether it adds up over groups, which sign it has, and how far a withheld one stays open.
fn figures(told: Told, stage: &Stage) -> Result<Figures, ControlError> {
    // Where one subject is enough nothing is withheld.
    let least = Some(subjects_min(stage)).filter(|least| *least > 1).unwrap_or(0);
    Ok(match told {
        Told::Value(atom) => {
            let spec = stage.atoms.get(atom).ok_or(ControlError::NotCells)?;
            let (lowest, highest) = spec.of_row;
            let beforehand =
                Interval { least: (lowest == 0).then_some(0), most: (highest == 0).then_some(0) };
            let protection = match one_of(spec) {
                Some(one) => Protection::up_to(least.saturating_mul(one)),
                None => of_sum(stage, spec),
            };
            Figures { adds_up: true, beforehand, protection }
        }
        // One subject may have rows in several groups, and counts in each.
        Told::Subjects(_, class) => {
            let class = stage.classes.get(class).ok_or(ControlError::NotCells)?;
            let beforehand = Interval { least: Some(0), most: None };
            Figures { adds_up: class.one_row, beforehand, protection: Protection::up_to(least) }
        }
    })
}

/// The protection interval of a missing sum: that of nobody, that of any one row, and p percent of itself to both sides.
fn of_sum(stage: &Stage, spec: &StageAtom) -> Protection {
    let percent = stage.controls.dominance.map_or(P_PERCENT, |rule| rule.p_percent);
    let (least, most) = Some(spec.of_row).filter(|_| subjects_min(stage) > 1).unwrap_or_default();
    Protection { least, most, percent }
}

/// Subjects that a group needs, of any class.
fn subjects_min(stage: &Stage) -> i128 {
    stage.classes.iter().map(|class| i128::from(class.subjects_min)).max().unwrap_or(1)
}

fn statistics<'g>(group: &'g Group<'_>, atom: usize) -> Result<&'g [AtomStatistics], ControlError> {
    let classes = group.stage.classes.len().max(1);
    group.statistics.chunks_exact(classes).nth(atom).ok_or(ControlError::NotCells)
}

/// A number of a group: how closely it is told, or how far it must stay open.
fn number(told: Told, group: &Group<'_>, shown: bool, is_rounded: bool) -> Result<Number, ControlError> {
    let (stage, rounding) = (group.stage, group.rounding());
    let (atom, exact, released, step, one, least) = match told {
        Told::Value(atom) => {
            let spec = group.spec(atom).ok_or(ControlError::NotCells)?;
            let total = statistics(group, atom)?.first().map_or(0, |statistics| statistics.total);
            // A count that is seen has enough subjects, each of whom has a row.
            let least = (spec.counts && spec.scale == 0).then(|| subjects_min(stage));
            (atom, total, group.value(atom), rounding.step(spec), one_of(spec), least)
        }
        Told::Subjects(atom, class) => {
            let statistics = statistics(group, atom)?.get(class).ok_or(ControlError::NotCells)?;
            let step = stage.controls.rounding.map(i128::from);
            let contributors = i128::from(statistics.contributors);
            let least = stage.classes.get(class).map(|class| i128::from(class.subjects_min));
            (atom, contributors, group.subjects(atom, class), step, Some(1), least)
        }
    };
    if shown && released.is_some() {
        let told = Interval::of_rounded(exact, step.filter(|_| is_rounded).unwrap_or(1));
        let told = told.and(least.map_or(Interval::OPEN, Interval::from));
        return Ok(Number { exact, told: Some(told), beside: Interval::OPEN, needs: None });
    }
    let statistics = statistics(group, atom)?;
    let mut of_classes = stage.classes.iter().zip(statistics);
    let too_few = of_classes.any(|(class, one)| one.contributors < u64::from(class.subjects_min));
    let least = subjects_min(stage);
    let of_sum = of_sum(stage, stage.atoms.get(atom).ok_or(ControlError::NotCells)?);
    let part = of_sum.part(exact);
    // A value that a row withholds beside others is of few subjects, or of many of whom a few make up most.
    let (beside, needs) = match (one, too_few) {
        (Some(one), true) => {
            let most = least.saturating_sub(1).saturating_mul(one).max(exact);
            (Interval { least: Some(0), most: Some(most) }, (exact, most.saturating_sub(exact)))
        }
        (Some(one), false) => {
            let known = least.saturating_mul(one).min(exact);
            let down = part.min(exact.saturating_sub(known));
            (Interval { least: Some(known), most: None }, (down, part))
        }
        (None, true) => (Interval::OPEN, of_sum.needs(exact)),
        (None, false) => (Interval::OPEN, (part, part)),
    };
    Ok(Number { exact, told: None, beside, needs: Some(needs) })
}

/// The size of one row's part in what is a count, or as telling as one; nothing for other sums.
fn one_of(spec: &StageAtom) -> Option<i128> {
    if spec.counts {
        return Some(1);
    }
    let one = spec.few.or(spec.same).filter(|_| spec.of_row.0 == 0)?;
    one.to_scaled(spec.scale).filter(|one| *one > 0)
}

#[cfg(test)]
mod tests;

//! The cheapest way to let a withheld number change: a linear program moves the numbers around it so that all totals still agree, and pays
//! for each group that would have to be withheld as well.
//!
//! The program only proposes. What it comes to is rounded to whole numbers and looked at in exact arithmetic: a total or part that it moves
//! beyond what is told is withheld, and a proposal that then still does not agree is none. So neither its tolerances nor a fault of the
//! solver can leave a number without protection.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::control::complementary::simplex::Program;
use crate::control::number::to_f64;

use super::Change;
use super::Interval;
use super::Margins;

/// Most finest groups that one program looks at: those around the number, in its smallest totals first.
const PARTS_MAX: usize = 60;

/// One program: a withheld number, the finest groups around it, and the totals that they are part of.
pub(super) struct Transfer {
    change: Change,
    parts: BTreeSet<usize>,
    totals: BTreeSet<usize>,
}

impl Transfer {
    /// The finest groups around a number, at most so many; nothing where the number itself is made of more.
    pub(super) fn around(margins: &Margins, change: Change) -> Option<Self> {
        let own = margins.parts_of(change.group);
        if own.len() > PARTS_MAX {
            return None;
        }
        let mut parts: BTreeSet<usize> = own.iter().copied().collect();
        let of = |part: usize| margins.told_with(change.table, part, change.group);
        let mut around: Vec<usize> = own.iter().flat_map(|part| of(*part)).collect();
        around.sort_by_key(|group| (margins.parts_of(*group).len(), *group));
        around.dedup();
        for part in around.iter().flat_map(|group| margins.parts_of(*group)) {
            if parts.len() >= PARTS_MAX {
                break;
            }
            parts.insert(*part);
        }
        let totals = parts.iter().flat_map(|part| of(*part)).collect();
        Some(Transfer { change, parts, totals })
    }

    /// The groups to withhold, so that the number may change as it must; nothing where no way was found. And the steps that it took, of so
    /// many at the most.
    pub(super) fn solved(&self, margins: &Margins, steps_max: usize) -> (Option<Vec<usize>>, usize) {
        let (moved, steps) = self.moved(margins, steps_max);
        (moved.and_then(|moved| self.agreeing(margins, &moved)), steps)
    }

    /// By how much each of the unknowns moves, as the program finds it.
    fn moved(&self, margins: &Margins, steps_max: usize) -> (Option<BTreeMap<usize, i128>>, usize) {
        let mut program = Program::default();
        let totals: BTreeMap<usize, usize> = self
            .totals
            .iter()
            .map(|total| {
                let (least, most) =
                    self.distances(margins, *total, margins.may_be(self.change.table, *total));
                (*total, program.row(least, most))
            })
            .collect();
        for (total, row) in &totals {
            for (cost, upper, sign) in self.paid(margins, *total) {
                program.variable(cost, upper, vec![(*row, -sign)]);
            }
        }
        // The number itself is moved as far as it must be, whatever it costs.
        let dear: f64 = 1.0
            + self.totals.iter().map(|total| self.cost(margins, *total)).sum::<f64>()
            + self
                .parts
                .iter()
                .filter_map(|part| margins.finest(*part))
                .map(|group| self.cost(margins, group))
                .sum::<f64>();
        let (sign, far) = (to_f64(self.change.by.signum(), 0), to_f64(self.change.by.saturating_abs(), 0));
        let own: BTreeSet<usize> = margins.parts_of(self.change.group).iter().copied().collect();
        let is_sum = own.iter().all(|part| margins.finest(*part) != Some(self.change.group));
        let own_row = is_sum.then(|| program.row(0.0, 0.0));
        if let Some(row) = own_row {
            program.variable(-dear, far, vec![(row, -sign)]);
        }
        let mut by_part: Vec<(usize, usize, f64)> = Vec::new();
        for part in &self.parts {
            let Some(group) = margins.finest(*part) else { continue };
            let rows: Vec<usize> = totals
                .iter()
                .filter(|(total, _)| margins.is_part(*part, **total))
                .map(|(_, row)| *row)
                .chain(own_row.filter(|_| own.contains(part)))
                .collect();
            let (least, most) = self.distances(margins, group, margins.may_be(self.change.table, group));
            let free = [(0.0, most, 1.0), (0.0, -least, -1.0)];
            let ways: Vec<(f64, f64, f64)> = if group == self.change.group {
                vec![(-dear, far, sign)]
            } else {
                free.into_iter().chain(self.paid(margins, group)).collect()
            };
            for (cost, upper, sign) in ways {
                let factors = rows.iter().map(|row| (*row, sign)).collect();
                by_part.push((*part, program.variable(cost, upper, factors), sign));
            }
        }
        let (values, steps) = program.solved(steps_max);
        let Some(values) = values else { return (None, steps) };
        let mut moved: BTreeMap<usize, f64> = BTreeMap::new();
        for (part, variable, sign) in by_part {
            *moved.entry(part).or_default() += sign * values.get(variable).copied().unwrap_or(0.0);
        }
        (moved.into_iter().map(|(part, by)| Some((part, whole(by)?))).collect(), steps)
    }

    /// The ends of an interval as distances from the number of a group.
    fn distances(&self, margins: &Margins, group: usize, interval: Interval) -> (f64, f64) {
        let exact = margins.number(self.change.table, group).map_or(0, |number| number.exact);
        let distance = |end: i128| to_f64(end.saturating_sub(exact), 0);
        (interval.least.map_or(f64::NEG_INFINITY, distance), interval.most.map_or(f64::INFINITY, distance))
    }

    /// The ways in which the number of a group that is seen moves beyond what is told of it, once the group is withheld: the cost of one, how
    /// far, and the sign.
    fn paid(&self, margins: &Margins, group: usize) -> Vec<(f64, f64, f64)> {
        if !margins.is_shown(group) {
            return Vec::new();
        }
        let (least, most) = self.distances(margins, group, margins.may_be(self.change.table, group));
        let (lowest, highest) = self.distances(margins, group, margins.beforehand(self.change.table));
        let cost = self.cost(margins, group);
        // The distance of two open ends is none.
        let beyond = |far: f64, near: f64| if near.is_finite() { (far - near).max(0.0) } else { 0.0 };
        vec![(cost, beyond(highest, most), 1.0), (cost, beyond(-lowest, -least), -1.0)]
    }

    fn cost(&self, margins: &Margins, group: usize) -> f64 {
        if margins.is_shown(group) { to_f64(i128::from(margins.rows(group).max(1)), 0) } else { 0.0 }
    }

    /// The groups whose numbers are moved beyond what is told of them; nothing where a withheld one cannot be what it is moved to.
    fn agreeing(&self, margins: &Margins, moved: &BTreeMap<usize, i128>) -> Option<Vec<usize>> {
        let table = self.change.table;
        let by = |group: usize| {
            let mut moves = margins.parts_of(group).iter().filter_map(|part| moved.get(part));
            moves.try_fold(0_i128, |sum, by| sum.checked_add(*by))
        };
        if by(self.change.group)? != self.change.by {
            return None;
        }
        let mut withheld = Vec::new();
        let finest = self.parts.iter().filter_map(|part| margins.finest(*part));
        for group in finest.chain(self.totals.iter().copied()).filter(|group| *group != self.change.group) {
            let moved_to = margins.number(table, group)?.exact.checked_add(by(group)?)?;
            if margins.may_be(table, group).holds(moved_to) {
                continue;
            }
            if !margins.is_shown(group) || !margins.beforehand(table).holds(moved_to) {
                return None;
            }
            withheld.push(group);
        }
        Some(withheld)
    }
}

/// The nearest whole number.
fn whole(value: f64) -> Option<i128> {
    #[expect(clippy::cast_possible_truncation, reason = "checked to be within the exact range of f64 first")]
    let whole = value.round() as i128;
    (value.abs() < 9e15).then_some(whole)
}

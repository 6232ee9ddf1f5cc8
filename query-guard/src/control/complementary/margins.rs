//! The groups of several sets of keys over the same rows, as sums of the groups of the finest set, and the choice of those that go.
//!
//! Every group of the finest set that is seen is an unknown, and so is every place at which one may be missing; every other group that is
//! seen is the sum of some of them, told exactly or to a step of rounding. A withheld number is protected where another table of whole
//! numbers agrees with all that is told, and has the number at the end of its protection interval: such a table is made, in exact
//! arithmetic, for both ends, or further groups are withheld until there is one.
//!
//! A place where nobody is must have what one with few people must have. So the choice of the groups that go rests on what would be told
//! without it, and does not tell whether somebody is there (Kenthapadi, Mishra and Nissim 2005, simulatable auditing).
//!
//! How long it looks is bounded by a number of steps and not by a clock, so that the answer is a function of plan and data.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::collections::HashSet;

use crate::control::ControlError;

use transfer::Transfer;

mod transfer;

/// Steps of all that is looked at for one statement: about a second's work. A step is one number of a linear program's tableau that is
/// looked at, or one group.
const STEPS_MAX: u64 = 500_000_000;

/// The numbers that one may be; an end that is missing is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Interval {
    pub(super) least: Option<i128>,
    pub(super) most: Option<i128>,
}

impl Interval {
    pub(super) const OPEN: Interval = Interval { least: None, most: None };

    /// The numbers that are rounded to the same multiple of a step as this one.
    pub(super) fn of_rounded(exact: i128, step: i128) -> Self {
        let (size, step) = (exact.saturating_abs(), step.max(1));
        // Halves are rounded away from zero.
        let multiple = size.saturating_add(step / 2) / step;
        let least = multiple.saturating_mul(step).saturating_sub(step / 2);
        let most = least.saturating_add(step - 1);
        let (least, most) = match (multiple, exact >= 0) {
            (0, _) => (-(step - 1) / 2, (step - 1) / 2),
            (_, true) => (least, most),
            (_, false) => (-most, -least),
        };
        Interval { least: Some(least), most: Some(most) }
    }

    pub(super) fn holds(self, value: i128) -> bool {
        self.least.is_none_or(|least| least <= value) && self.most.is_none_or(|most| value <= most)
    }

    /// The numbers from this one on.
    pub(super) fn from(least: i128) -> Self {
        Interval { least: Some(least), most: None }
    }

    /// The numbers that are in both.
    pub(super) fn and(self, other: Self) -> Self {
        let least = self.least.into_iter().chain(other.least).max();
        Interval { least, most: self.most.into_iter().chain(other.most).min() }
    }

    /// The distance by which a number may fall, or rise; nothing where it may go anywhere.
    fn room(self, value: i128, rises: bool) -> Option<i128> {
        let end = if rises { self.most } else { self.least }?;
        Some(end.saturating_sub(value).saturating_abs())
    }
}

/// The knowledge of a figure beforehand, and how its withheld numbers are protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Figures {
    /// The number of a group is the sum of those of its parts.
    pub(super) adds_up: bool,
    pub(super) beforehand: Interval,
    pub(super) protection: Protection,
}

/// The protection interval of missing numbers: all numbers from an end to the other, and so many percent of itself to both sides.
///
/// It holds zero, so that a number cannot be told from that of nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Protection {
    pub(super) least: i128,
    pub(super) most: i128,
    pub(super) percent: u16,
}

impl Protection {
    /// Of a count: from zero up to this.
    pub(super) fn up_to(most: i128) -> Self {
        Protection { least: 0, most, percent: 0 }
    }

    /// The distances by which a number must be able to fall, and to rise.
    pub(super) fn needs(self, exact: i128) -> (i128, i128) {
        let part = self.part(exact);
        (exact.saturating_sub(self.least).max(part), self.most.saturating_sub(exact).max(part))
    }

    /// The percentage of a number, rounded up.
    pub(super) fn part(self, exact: i128) -> i128 {
        exact.saturating_abs().saturating_mul(i128::from(self.percent)).saturating_add(99) / 100
    }
}

/// One number of one group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Number {
    pub(super) exact: i128,
    /// The numbers that it may be by what the answer tells, while its group is seen.
    pub(super) told: Option<Interval>,
    /// The numbers that a withheld one may be, while the row of its group is seen.
    pub(super) beside: Interval,
    /// The distances by which it must be able to fall and to rise, if its row is seen and it is not.
    pub(super) needs: Option<(i128, i128)>,
}

/// A figure of all groups.
struct Table {
    known: Figures,
    numbers: Vec<Number>,
}

/// One set of keys.
pub(super) struct Set {
    pub(super) groups: usize,
    pub(super) keys: usize,
    /// A result reads it.
    pub(super) is_visible: bool,
}

/// A place at which a group may be missing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Unseen {
    /// The groups of the coarser sets that are seen and that it is part of.
    pub(super) seen: Vec<usize>,
    /// The missing groups of the other sets that it is part of, by set and keys.
    pub(super) missing: Vec<(usize, Vec<Option<usize>>)>,
}

/// All groups of all sets, in the order of the sets, and after them those that may be missing.
pub(super) struct Margins {
    sets: Vec<Set>,
    /// Of each group the unknowns that it is the sum of.
    parts: Vec<Vec<usize>>,
    /// The group that each unknown is.
    finest: Vec<usize>,
    /// Of each unknown the groups of coarser sets that it is part of.
    within: Vec<Vec<usize>>,
    /// Of each unknown the withheld groups of the finest set that are added up in it.
    added_up: Vec<Vec<usize>>,
    /// Rows of each group as they are told: what it costs to withhold it.
    rows: Vec<u64>,
    shown: Vec<bool>,
    tables: Vec<Table>,
    steps_left: u64,
}

/// A withheld number that must be able to change by so much.
#[derive(Debug, Clone, Copy)]
pub(super) struct Change {
    pub(super) table: usize,
    pub(super) group: usize,
    pub(super) by: i128,
}

/// The work of a statement is over its bound.
pub(super) struct OutOfSteps;

impl Margins {
    /// No groups yet.
    pub(super) fn new(sets: Vec<Set>) -> Self {
        Margins {
            sets,
            parts: Vec::new(),
            finest: Vec::new(),
            within: Vec::new(),
            added_up: Vec::new(),
            rows: Vec::new(),
            shown: Vec::new(),
            tables: Vec::new(),
            steps_left: STEPS_MAX,
        }
    }

    /// Groups of which there are too many to look at: the margins are withheld.
    pub(super) fn unseen(sets: Vec<Set>, shown: impl Iterator<Item = bool>) -> Self {
        let mut margins = Margins { shown: shown.collect(), ..Margins::new(sets) };
        margins.withhold_margins();
        // Of groups that are made of nothing no figure is looked at.
        margins
    }

    /// Adds a group: whether it is seen, and its rows.
    pub(super) fn group(&mut self, shown: bool, rows: u64) {
        self.shown.push(shown);
        self.rows.push(rows);
    }

    /// Says what the groups are made of, once all are added: seen groups of the finest set, and places at which one may be missing.
    ///
    /// `parts` has of each group the groups of the finest set, by their numbers there; `of_finest` the place of each of these that is not seen.
    pub(super) fn places(
        &mut self,
        parts: &[Vec<usize>],
        finest: usize,
        of_finest: &[Option<usize>],
        unseen: &[Unseen],
    ) {
        let before: usize = self.sets.iter().take(finest).map(|set| set.groups).sum();
        self.parts = vec![Vec::new(); self.shown.len()];
        let mut of_place = vec![Vec::new(); unseen.len()];
        let mut unknown_of = vec![None; of_finest.len()];
        for (number, place) in of_finest.iter().enumerate() {
            match place {
                None => unknown_of.get_mut(number).into_iter().for_each(|unknown| {
                    *unknown = Some(self.finest.len());
                    self.finest.push(before + number);
                    self.added_up.push(Vec::new());
                }),
                Some(place) => of_place.get_mut(*place).into_iter().for_each(|of| of.push(before + number)),
            }
        }
        self.within = vec![Vec::new(); self.finest.len()];
        for (group, parts) in parts.iter().enumerate() {
            if self.shown.get(group) != Some(&true) {
                continue;
            }
            for unknown in parts.iter().filter_map(|part| unknown_of.get(*part).copied().flatten()) {
                let is_itself = self.finest.get(unknown) == Some(&group);
                self.part(group, unknown, is_itself);
            }
        }
        let mut missing: BTreeMap<&(usize, Vec<Option<usize>>), Vec<usize>> = BTreeMap::new();
        for (place, added_up) in unseen.iter().zip(of_place) {
            let unknown = self.finest.len();
            let group = self.missing(added_up);
            self.finest.push(group);
            self.within.push(Vec::new());
            self.part(group, unknown, true);
            place.seen.iter().for_each(|seen| self.part(*seen, unknown, false));
            for missing_of in &place.missing {
                let parts = missing.entry(missing_of).or_default();
                if parts.last() != Some(&unknown) {
                    parts.push(unknown);
                }
            }
        }
        // A missing group of one place is that place.
        for unknowns in missing.into_values().filter(|unknowns| unknowns.len() > 1) {
            let group = self.parts.len();
            self.group(false, u64::MAX);
            self.parts.push(unknowns);
            debug_assert_eq!(group + 1, self.shown.len(), "one for each group");
        }
    }

    /// Adds a group that is not seen, as a place.
    fn missing(&mut self, added_up: Vec<usize>) -> usize {
        let group = self.parts.len();
        self.group(false, u64::MAX);
        self.parts.push(Vec::new());
        self.added_up.push(added_up);
        group
    }

    fn part(&mut self, group: usize, unknown: usize, is_itself: bool) {
        self.parts.get_mut(group).into_iter().for_each(|parts| parts.push(unknown));
        if !is_itself {
            self.within.get_mut(unknown).into_iter().for_each(|within| within.push(group));
        }
    }

    /// Adds a figure, with its numbers in all groups of the sets.
    ///
    /// # Errors
    /// [`ControlError::NotCells`] where a total is not the sum of its parts.
    pub(super) fn figure(&mut self, known: Figures, mut numbers: Vec<Number>) -> Result<(), ControlError> {
        let asked = numbers.len();
        let exact_of = |numbers: &[Number], group: usize| numbers.get(group).map_or(0, |number| number.exact);
        let together = |all: &mut dyn Iterator<Item = i128>| {
            if known.adds_up { all.fold(0, i128::saturating_add) } else { all.max().unwrap_or(0) }
        };
        // Of each unknown its own number, or those of the withheld groups that are added up in it.
        let of_unknown: Vec<i128> = self
            .finest
            .iter()
            .zip(&self.added_up)
            .map(|(group, added_up)| {
                let withheld = &mut added_up.iter().map(|group| exact_of(&numbers, *group));
                if *group < asked { exact_of(&numbers, *group) } else { together(withheld) }
            })
            .collect();
        let of_parts =
            |parts: &[usize]| together(&mut parts.iter().filter_map(|part| of_unknown.get(*part).copied()));
        for (group, parts) in self.parts.iter().enumerate() {
            let exact = of_parts(parts);
            if group >= asked {
                let needs = Some(known.protection.needs(exact));
                numbers.push(Number { exact, told: None, beside: Interval::OPEN, needs });
            } else if !self.is_shown(group) {
                // Withheld groups are added up at their places.
                numbers.get_mut(group).into_iter().for_each(|number| number.needs = None);
            } else if known.adds_up && exact != exact_of(&numbers, group) {
                return Err(ControlError::NotCells);
            }
        }
        self.tables.push(Table { known, numbers });
        Ok(())
    }

    /// Of each group of the sets: it may be seen.
    pub(super) fn shown(&self) -> impl Iterator<Item = bool> + '_ {
        let groups: usize = self.sets.iter().map(|set| set.groups).sum();
        self.shown.iter().copied().take(groups)
    }

    /// Withholds groups until every number that was withheld can be at both ends of its protection interval.
    ///
    /// Numbers are looked at one after the other; each time the cheapest groups go that a linear program finds. To withhold more never
    /// takes a protection back, because a withheld number may be all that it could be before. At the bound of its work the margins are
    /// withheld: all sets but the one with most keys, whose groups do not overlap.
    pub(super) fn protect(&mut self) {
        let mut in_time = true;
        for table in 0..self.tables.len() {
            let mut classes = None;
            for group in 0..self.parts.len() {
                let Some(number) = self.number(table, group) else { continue };
                let Some((down, up)) = number.needs.filter(|needs| *needs != (0, 0)) else { continue };
                for by in [down.saturating_neg(), up] {
                    let change = Change { table, group, by };
                    if by == 0 || classes.get_or_insert_with(|| Classes::of(self, table)).may(self, change) {
                        continue;
                    }
                    let found = if in_time { self.cheapest(change) } else { Ok(None) };
                    if found.is_err() {
                        self.withhold_margins();
                        (in_time, classes) = (false, None);
                    }
                    if found.is_err() && Classes::of(self, table).may(self, change) {
                        continue;
                    }
                    let withheld = found.ok().flatten().unwrap_or_else(|| self.all_around(group));
                    if !withheld.is_empty() {
                        classes = None;
                    }
                    withheld.into_iter().for_each(|group| self.withhold(group));
                    if !self.adds_up(table) && !Classes::of(self, table).may(self, change) {
                        classes = None;
                        self.all_around(group).into_iter().for_each(|group| self.withhold(group));
                    }
                }
            }
        }
    }

    /// The cheapest groups to withhold for a change; nothing where a linear program finds none.
    fn cheapest(&mut self, change: Change) -> Result<Option<Vec<usize>>, OutOfSteps> {
        if !self.adds_up(change.table) {
            return Ok(self.cheapest_of_class(change));
        }
        let Some(transfer) = Transfer::around(self, change) else { return Ok(None) };
        // Classes of groups are made anew where something is withheld.
        self.take_steps(self.parts.len())?;
        let left = usize::try_from(self.steps_left).unwrap_or(usize::MAX);
        let (withheld, steps) = transfer.solved(self, left);
        self.take_steps(steps)?;
        Ok(withheld)
    }

    /// The cheapest group to withhold where numbers do not add up: one of the class of each part, so that rows may be moved there.
    fn cheapest_of_class(&self, change: Change) -> Option<Vec<usize>> {
        let classes = Classes::of(self, change.table);
        let parts = self.parts_of(change.group);
        let others = parts.iter().map(|part| {
            let class = classes.class(*part)?;
            let members = class.members.iter().filter(|member| !parts.contains(member));
            let seen =
                members.filter_map(|member| self.finest(*member)).filter(|group| self.is_shown(*group));
            seen.min_by_key(|group| (self.rows(*group), *group))
        });
        others.collect()
    }

    fn adds_up(&self, table: usize) -> bool {
        self.tables.get(table).is_some_and(|table| table.known.adds_up)
    }

    /// Everything that is seen of a group's parts: all groups that overlap with it, and its own row.
    fn all_around(&self, group: usize) -> Vec<usize> {
        let parts = self.parts_of(group);
        let overlapping = parts.iter().filter_map(|part| self.within.get(*part)).flatten();
        let own = parts.iter().filter_map(|part| self.finest.get(*part));
        overlapping.chain(own).copied().filter(|group| self.is_shown(*group)).collect()
    }

    fn withhold(&mut self, group: usize) {
        self.shown.get_mut(group).into_iter().for_each(|shown| *shown = false);
    }

    /// Withholds all sets but one.
    fn withhold_margins(&mut self) {
        let visible = self.sets.iter().enumerate().filter(|(_, set)| set.is_visible);
        let kept = visible.max_by_key(|(number, set)| (set.keys, std::cmp::Reverse(*number)));
        let kept = kept.map(|(number, _)| number);
        let mut shown = self.shown.iter_mut();
        for (number, set) in self.sets.iter().enumerate() {
            let of_set = shown.by_ref().take(set.groups);
            of_set.filter(|_| Some(number) != kept).for_each(|shown| *shown = false);
        }
    }

    fn take_steps(&mut self, steps: usize) -> Result<(), OutOfSteps> {
        let left = self.steps_left.checked_sub(u64::try_from(steps).unwrap_or(u64::MAX));
        self.steps_left = left.ok_or(OutOfSteps)?;
        Ok(())
    }

    pub(super) fn parts_of(&self, group: usize) -> &[usize] {
        self.parts.get(group).map_or(&[], Vec::as_slice)
    }

    pub(super) fn is_part(&self, part: usize, group: usize) -> bool {
        self.within.get(part).is_some_and(|within| within.contains(&group))
    }

    /// The group that one of the finest is.
    pub(super) fn finest(&self, part: usize) -> Option<usize> {
        self.finest.get(part).copied()
    }

    pub(super) fn rows(&self, group: usize) -> u64 {
        self.rows.get(group).copied().unwrap_or(u64::MAX)
    }

    pub(super) fn is_shown(&self, group: usize) -> bool {
        self.shown.get(group).copied().unwrap_or(true)
    }

    pub(super) fn number(&self, table: usize, group: usize) -> Option<&Number> {
        self.tables.get(table)?.numbers.get(group)
    }

    /// All that a number may be by what is known beforehand.
    pub(super) fn beforehand(&self, table: usize) -> Interval {
        self.tables
            .get(table)
            .map_or(Interval { least: Some(0), most: Some(0) }, |table| table.known.beforehand)
    }

    /// All that a number may be by what the answer tells of it alone.
    pub(super) fn may_be(&self, table: usize, group: usize) -> Interval {
        let beforehand = self.beforehand(table);
        match self.number(table, group) {
            Some(number) if self.is_shown(group) => number.told.unwrap_or(number.beside).and(beforehand),
            _ => beforehand,
        }
    }

    /// The groups, other than the finest, that one of the finest is part of and that tell something of it, except for one group.
    pub(super) fn told_with(
        &self,
        table: usize,
        part: usize,
        except: usize,
    ) -> impl Iterator<Item = usize> + '_ {
        let beforehand = self.beforehand(table);
        let within = self.within.get(part).into_iter().flatten().copied();
        within.filter(move |group| *group != except && self.may_be(table, *group) != beforehand)
    }
}

/// The finest groups in classes, of which each is part of the same groups that are seen: what falls in one group of a class and rises in
/// another changes nothing that is told.
struct Classes {
    of: Vec<usize>,
    classes: Vec<Class>,
}

/// A class of finest groups.
#[derive(Default)]
struct Class {
    /// No group that is seen holds them.
    is_free: bool,
    members: Vec<usize>,
    /// The room in which all of them together may fall, and rise.
    room: [Room; 2],
}

/// The distance by which numbers may move together.
#[derive(Debug, Clone, Copy, Default)]
struct Room {
    bounded: i128,
    /// Numbers that may move without end.
    open: usize,
}

impl Room {
    fn of(room: Option<i128>) -> Self {
        Room { bounded: room.unwrap_or(0), open: usize::from(room.is_none()) }
    }

    fn plus(self, other: Self) -> Self {
        Room { bounded: self.bounded.saturating_add(other.bounded), open: self.open + other.open }
    }

    fn minus(self, other: Self) -> Self {
        Room {
            bounded: self.bounded.saturating_sub(other.bounded),
            open: self.open.saturating_sub(other.open),
        }
    }

    fn size(self) -> i128 {
        if self.open > 0 { i128::MAX } else { self.bounded }
    }
}

impl Classes {
    fn of(margins: &Margins, table: usize) -> Self {
        let mut known: HashMap<Vec<usize>, usize> = HashMap::new();
        let mut classes: Vec<Class> = Vec::new();
        let mut of = Vec::with_capacity(margins.finest.len());
        for part in 0..margins.finest.len() {
            let told: Vec<usize> = margins.told_with(table, part, usize::MAX).collect();
            let is_free = told.is_empty();
            let class = *known.entry(told).or_insert_with(|| {
                classes.push(Class { is_free, ..Class::default() });
                classes.len() - 1
            });
            of.push(class);
            if let Some(class) = classes.get_mut(class) {
                class.members.push(part);
                for (room, rises) in class.room.iter_mut().zip([false, true]) {
                    *room = room.plus(margins.room(table, part, rises));
                }
            }
        }
        Classes { of, classes }
    }

    fn class(&self, part: usize) -> Option<&Class> {
        self.classes.get(*self.of.get(part)?)
    }

    /// True if a number may change by so much within the classes of its parts.
    fn may(&self, margins: &Margins, change: Change) -> bool {
        let parts = margins.parts_of(change.group);
        let mut by_class: HashMap<usize, Vec<usize>> = HashMap::new();
        for part in parts {
            if let Some(class) = self.of.get(*part) {
                by_class.entry(*class).or_default().push(*part);
            }
        }
        if !margins.adds_up(change.table) {
            return self.subjects_may(margins, change, &by_class);
        }
        let rises = change.by > 0;
        let mut reach: i128 = 0;
        let of_one_class = by_class.len() == 1;
        for (class, inside) in by_class {
            let Some(class) = self.classes.get(class) else { return false };
            let room = |rises: bool| {
                inside
                    .iter()
                    .fold(Room::default(), |room, part| room.plus(margins.room(change.table, *part, rises)))
            };
            let [falls, lifts] = class.room;
            let outside = if rises { falls.minus(room(false)) } else { lifts.minus(room(true)) };
            // Totals may move as far as rounding hides it, all that the parts are in.
            let totals = inside.first().filter(|_| of_one_class);
            let totals = totals.map_or(0, |part| margins.room_of_totals(change, *part));
            let outside = if class.is_free { i128::MAX } else { outside.size().saturating_add(totals) };
            reach = reach.saturating_add(room(rises).size().min(outside));
        }
        reach >= change.by.saturating_abs()
    }

    /// The same for subjects that may have rows in several groups.
    ///
    /// Their numbers do not add up, so that nothing linear is known of them. But rows may be moved: were the rows of all subjects of a
    /// withheld group those of another withheld group of its class, every total that is seen would have the same subjects. Were the rows
    /// of the other group's in this one as well, it had as many as that.
    fn subjects_may(&self, margins: &Margins, change: Change, by_class: &HashMap<usize, Vec<usize>>) -> bool {
        let is_withheld = |part: &usize| margins.finest(*part).is_some_and(|group| !margins.is_shown(group));
        let elsewhere = |class: &Class, inside: &[usize]| {
            let others = class.members.iter().filter(|part| !inside.contains(part) && is_withheld(part));
            let numbers = others.filter_map(|part| margins.number(change.table, margins.finest(*part)?));
            numbers.map(|number| number.exact).max()
        };
        let exact = margins.number(change.table, change.group).map_or(0, |number| number.exact);
        if let [part] = margins.parts_of(change.group)
            && margins.subjects_may_be(change, *part, exact)
        {
            return true;
        }
        let mut of_classes = by_class.iter().map(|(class, inside)| (self.classes.get(*class), inside));
        if change.by < 0 {
            of_classes.all(|(class, inside)| {
                let Some(class) = class else { return false };
                inside.iter().all(is_withheld) && (class.is_free || elsewhere(class, inside).is_some())
            })
        } else {
            of_classes.any(|(class, inside)| {
                let Some(class) = class else { return false };
                let reached = || elsewhere(class, inside).is_some_and(|most| most >= exact + change.by);
                inside.iter().any(is_withheld) && (class.is_free || reached())
            })
        }
    }
}

impl Margins {
    /// True if the subjects of an unknown may be so many or so few, where all totals that it is part of lie within one another.
    ///
    /// Subjects of the smallest total may have rows there as well, so that it may have as many as that total. It may have none if the parts
    /// that are seen of each total may have as many as the total has.
    fn subjects_may_be(&self, change: Change, part: usize, exact: i128) -> bool {
        let mut totals: Vec<usize> = self.told_with(change.table, part, change.group).collect();
        totals.sort_by_key(|total| self.parts_of(*total).len());
        let are_nested = totals.windows(2).all(|two| match two {
            [inner, outer] => {
                let outer: HashSet<usize> = self.parts_of(*outer).iter().copied().collect();
                self.parts_of(*inner).iter().all(|part| outer.contains(part))
            }
            _ => true,
        });
        let least = |group: usize| self.may_be(change.table, group).least.unwrap_or(0);
        let seen = |total: &usize| {
            let parts = self.parts_of(*total).iter().filter(|other| **other != part);
            let most = parts.filter_map(|other| {
                let group = self.finest(*other).filter(|group| self.is_shown(*group))?;
                self.may_be(change.table, group).most
            });
            most.fold(0, i128::saturating_add) >= least(*total)
        };
        are_nested
            && if change.by < 0 {
                totals.iter().all(seen)
            } else {
                totals.first().is_none_or(|total| exact.saturating_add(change.by) <= least(*total))
            }
    }

    /// The room in which an unknown may fall, or rise, by what is told of it alone.
    fn room(&self, table: usize, part: usize, rises: bool) -> Room {
        let Some(group) = self.finest(part) else { return Room::default() };
        let Some(number) = self.number(table, group) else { return Room::default() };
        Room::of(self.may_be(table, group).room(number.exact, rises))
    }

    /// The distance by which all totals that an unknown is part of may move with it.
    fn room_of_totals(&self, change: Change, part: usize) -> i128 {
        let rooms = self.told_with(change.table, part, change.group).map(|total| {
            let number = self.number(change.table, total);
            let room =
                number.map(|number| self.may_be(change.table, total).room(number.exact, change.by > 0));
            room.map_or(0, |room| room.unwrap_or(i128::MAX))
        });
        rooms.min().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests;

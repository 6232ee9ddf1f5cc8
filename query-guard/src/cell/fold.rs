//! The fold of one group: contributions per subject, sealed into statistics as soon as a subject cannot come back.
//! It knows nothing of controls; it only counts exactly.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::hash::Hasher;

use datafusion_common::DataFusionError;
use datafusion_common::Result;

use super::Subjects;
use super::columns::CellBatch;

/// How many of the largest contributions are kept: enough for (n, k) with n up to 3 and for p%.
pub(crate) const LARGEST_KEPT: usize = 3;

/// What all subjects together contribute to one atom of one group.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct AtomStatistics {
    /// Subjects whose contribution is not zero.
    pub(crate) contributors: u64,
    /// Sum of contributions, in units of the atom's scale.
    pub(crate) total: i128,
    /// Sum of absolute contributions.
    pub(crate) absolute: u128,
    /// Largest absolute contributions, descending.
    pub(crate) largest: [u128; LARGEST_KEPT],
}

impl AtomStatistics {
    fn add(&mut self, contribution: i128) {
        if contribution == 0 {
            return;
        }
        let size = contribution.unsigned_abs();
        self.contributors += 1;
        self.total = self.total.saturating_add(contribution);
        self.absolute = self.absolute.saturating_add(size);
        self.keep(size);
    }

    fn keep(&mut self, mut size: u128) {
        // Nearly every contribution is smaller than the ones kept.
        if self.largest.last().is_some_and(|least| size <= *least) {
            return;
        }
        for place in &mut self.largest {
            if size > *place {
                std::mem::swap(place, &mut size);
            }
        }
    }

    fn merge(&mut self, other: &Self) {
        self.contributors += other.contributors;
        self.total = self.total.saturating_add(other.total);
        self.absolute = self.absolute.saturating_add(other.absolute);
        other.largest.iter().for_each(|size| self.keep(*size));
    }
}

/// Subject tokens are uniform already (HMAC output), so they are their own hash.
#[derive(Default)]
struct TokenHasher(u64);

impl Hasher for TokenHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_i64(&mut self, value: i64) {
        self.0 = u64::from_ne_bytes(value.to_ne_bytes());
    }
}

/// Subjects of one group that may come back, with their contributions so far.
#[derive(Default)]
struct Unsealed {
    places: HashMap<i64, usize, BuildHasherDefault<TokenHasher>>,
    /// One run per place, one after the other.
    runs: Vec<i128>,
}

impl Unsealed {
    /// Adds a run; true when its subject is new.
    fn add(&mut self, subject: i64, run: &[i128]) -> bool {
        let new = self.places.len();
        let place = *self.places.entry(subject).or_insert(new);
        if place == new {
            self.runs.extend_from_slice(run);
            return true;
        }
        let start = place.saturating_mul(run.len());
        for (sum, value) in self.runs.iter_mut().skip(start).zip(run) {
            *sum = sum.saturating_add(*value);
        }
        false
    }

    /// Every subject with its run.
    fn iter(&self, width: usize) -> impl Iterator<Item = (i64, &[i128])> {
        self.places.iter().map(move |(subject, place)| {
            let start = place.saturating_mul(width);
            (*subject, self.runs.get(start..start.saturating_add(width)).unwrap_or_default())
        })
    }
}

/// The run of rows of one group that is being read.
#[derive(Clone, Copy)]
struct Open {
    subject: i64,
    is_open: bool,
    /// A run has ended before in this state: the first one may continue in another state, so it is never sealed early.
    first_kept: bool,
    /// Its run in the batch that is being read.
    slot: usize,
}

/// Not a run of the batch that is being read.
const NO_SLOT: usize = usize::MAX;

/// A run of one group within one batch.
struct Slot {
    group: usize,
    subject: i64,
    /// It goes on with the run that the last batch left open.
    continues: bool,
}

/// Groups of which nothing more need be known than how much they come to: every atom has enough contributors.
struct Closed {
    enough: u64,
    is_closed: Vec<bool>,
    /// What rows added since a group was closed, by atom and group.
    totals: Vec<Vec<i128>>,
    /// Group of each row of the batch that is being read, where that group is closed.
    group_of_row: Vec<usize>,
}

/// Contributions of many groups, each atom of a group beside the others of its group.
pub(super) struct Folds {
    subjects: Subjects,
    width: usize,
    open: Vec<Open>,
    runs: Vec<i128>,
    sealed: Vec<AtomStatistics>,
    /// Subjects that may come back: all of them in map mode, first and last runs in run mode.
    unsealed: Vec<Unsealed>,
    unsealed_subjects: usize,
    slots: Vec<Slot>,
    slot_of_row: Vec<usize>,
    run: Vec<i128>,
    closed: Option<Closed>,
}

impl Folds {
    pub(super) fn new(subjects: Subjects, width: usize, enough: Option<u64>) -> Self {
        let closed = enough.map(|enough| Closed {
            enough,
            is_closed: Vec::new(),
            totals: vec![Vec::new(); width],
            group_of_row: Vec::new(),
        });
        Folds {
            closed,
            subjects,
            width,
            open: Vec::new(),
            runs: Vec::new(),
            sealed: Vec::new(),
            unsealed: Vec::new(),
            unsealed_subjects: 0,
            slots: Vec::new(),
            slot_of_row: Vec::new(),
            run: vec![0; width],
        }
    }

    /// Makes room for at least this many groups.
    pub(super) fn grow(&mut self, groups: usize) {
        if groups <= self.open.len() {
            return;
        }
        self.open.resize(groups, Open { subject: 0, is_open: false, first_kept: false, slot: NO_SLOT });
        self.runs.resize(groups * self.width, 0);
        self.sealed.resize(groups * self.width, AtomStatistics::default());
        self.unsealed.resize_with(groups, Unsealed::default);
        if let Some(closed) = &mut self.closed {
            closed.is_closed.resize(groups, false);
            closed.totals.iter_mut().for_each(|totals| totals.resize(groups, 0));
        }
    }

    /// Adds a batch: rows of closed groups go straight to their totals; the others are first told apart into runs, then
    /// every atom is added up run by run, then runs are ended.
    pub(super) fn add(&mut self, batch: &CellBatch, group_of: impl Fn(usize) -> Option<usize>) {
        self.slots.clear();
        self.slot_of_row.clear();
        if let Some(closed) = &mut self.closed {
            closed.group_of_row.clear();
        }
        let mut some_closed = false;
        for row in 0..batch.rows() {
            let counted = group_of(row).zip(batch.subject(row));
            let is_closed = counted.is_some_and(|(group, _)| self.is_closed(group));
            some_closed |= is_closed;
            if let Some(closed) = &mut self.closed {
                closed.group_of_row.push(counted.filter(|_| is_closed).map_or(NO_SLOT, |(group, _)| group));
            }
            let slot = match counted {
                Some((group, subject)) if !is_closed => self.slot(group, subject),
                _ => NO_SLOT,
            };
            self.slot_of_row.push(slot);
        }
        if let Some(closed) = self.closed.as_mut().filter(|_| some_closed) {
            batch.add_to(&closed.group_of_row, &mut closed.totals);
        }
        if self.slots.is_empty() {
            return;
        }
        let sums = batch.sums(&self.slot_of_row, self.slots.len());
        let slots = std::mem::take(&mut self.slots);
        for (number, slot) in slots.iter().enumerate() {
            sums.take_run(number, &mut self.run);
            self.end_slot(number, slot);
        }
        self.slots = slots;
    }

    /// The run of this batch that a row belongs to.
    fn slot(&mut self, group: usize, subject: i64) -> usize {
        let Some(open) = self.open.get_mut(group) else { return NO_SLOT };
        let same = self.subjects != Subjects::EachRow && open.subject == subject;
        if same && open.slot != NO_SLOT {
            return open.slot;
        }
        let continues = same && open.is_open && open.slot == NO_SLOT;
        let left_open = open.is_open && open.slot == NO_SLOT && !continues;
        let left = open.subject;
        let new = self.slots.len();
        open.slot = new;
        open.subject = subject;
        self.slots.push(Slot { group, subject, continues });
        if left_open {
            let start = group * self.width;
            for (own, sum) in self.run.iter_mut().zip(self.runs.iter().skip(start)) {
                *own = *sum;
            }
            self.end_run(group, left);
        }
        new
    }

    /// Ends a run of the batch, whose sums stand in `run`, or leaves it open when it is its group's last.
    fn end_slot(&mut self, number: usize, slot: &Slot) {
        let start = slot.group * self.width;
        if slot.continues {
            for (own, sum) in self.run.iter_mut().zip(self.runs.iter().skip(start)) {
                *own = own.saturating_add(*sum);
            }
        }
        let Some(open) = self.open.get_mut(slot.group) else { return };
        if open.slot != number {
            self.end_run(slot.group, slot.subject);
            return;
        }
        open.slot = NO_SLOT;
        open.is_open = true;
        for (sum, own) in self.runs.iter_mut().skip(start).zip(&self.run) {
            *sum = *own;
        }
    }

    /// Ends the run that stands in `run`: kept if its subject may come back, sealed otherwise.
    fn end_run(&mut self, group: usize, subject: i64) {
        let is_closed = self.is_closed(group);
        let Some(open) = self.open.get_mut(group) else { return };
        let keep = match self.subjects {
            Subjects::EachRow => false,
            Subjects::Mapped => !is_closed,
            Subjects::Clustered => !open.first_kept,
        };
        open.first_kept = true;
        if !keep {
            let start = group * self.width;
            for (statistics, contribution) in self.sealed.iter_mut().skip(start).zip(&self.run) {
                statistics.add(*contribution);
            }
            self.close_if_enough(group);
        } else if let Some(unsealed) = self.unsealed.get_mut(group) {
            let is_new = unsealed.add(subject, &self.run);
            self.unsealed_subjects += usize::from(is_new);
            // Looking takes as long as there are subjects, so it is done each time that their number has doubled.
            if is_new && self.subjects == Subjects::Mapped && unsealed.places.len().is_power_of_two() {
                self.seal_if_enough(group);
            }
        }
    }

    fn is_closed(&self, group: usize) -> bool {
        self.closed.as_ref().is_some_and(|closed| closed.is_closed.get(group) == Some(&true))
    }

    /// Closes a group once every atom has enough sealed contributors: these are different subjects, and do not come back.
    fn close_if_enough(&mut self, group: usize) {
        let Some(closed) = &mut self.closed else { return };
        let start = group * self.width;
        let mut atoms = self.sealed.iter().skip(start).take(self.width);
        if atoms.all(|statistics| statistics.contributors >= closed.enough)
            && let Some(is_closed) = closed.is_closed.get_mut(group)
        {
            *is_closed = true;
        }
    }

    /// Seals the subjects of a group, whatever else they will bring, when that closes it.
    fn seal_if_enough(&mut self, group: usize) {
        let Some(enough) = self.closed.as_ref().map(|closed| closed.enough) else { return };
        let Some(unsealed) = self.unsealed.get(group) else { return };
        let mut contributors = vec![0_u64; self.width];
        for (_, run) in unsealed.iter(self.width) {
            for (count, contribution) in contributors.iter_mut().zip(run) {
                *count += u64::from(*contribution != 0);
            }
        }
        if contributors.iter().all(|count| *count >= enough) {
            self.seal_unsealed(group);
            self.close_if_enough(group);
        }
    }

    fn seal_unsealed(&mut self, group: usize) {
        let Some(unsealed) = self.unsealed.get_mut(group).map(std::mem::take) else { return };
        self.unsealed_subjects = self.unsealed_subjects.saturating_sub(unsealed.places.len());
        for (_, run) in unsealed.iter(self.width) {
            for (statistics, contribution) in self.sealed.iter_mut().skip(group * self.width).zip(run) {
                statistics.add(*contribution);
            }
        }
    }

    /// Adds what came since a group was closed to what was sealed before.
    fn take_totals(&mut self, group: usize) {
        let Some(closed) = &mut self.closed else { return };
        let sealed = self.sealed.iter_mut().skip(group * self.width);
        for (statistics, totals) in sealed.zip(&mut closed.totals) {
            if let Some(total) = totals.get_mut(group) {
                statistics.total = statistics.total.saturating_add(std::mem::take(total));
            }
        }
    }

    /// Ends the open run of a group as one that may go on elsewhere.
    fn end_run_unsealed(&mut self, group: usize) {
        let Some(open) = self.open.get_mut(group) else { return };
        if !std::mem::take(&mut open.is_open) {
            return;
        }
        let subject = open.subject;
        let start = group * self.width;
        for (own, sum) in self.run.iter_mut().zip(self.runs.iter().skip(start)) {
            *own = *sum;
        }
        if self.subjects == Subjects::EachRow {
            return self.end_run(group, subject);
        }
        open.first_kept = true;
        if let Some(unsealed) = self.unsealed.get_mut(group) {
            self.unsealed_subjects += usize::from(unsealed.add(subject, &self.run));
        }
    }

    /// Merges another fold's state into a group.
    ///
    /// # Errors
    /// When the bytes are not a state of as many atoms.
    pub(super) fn merge(&mut self, group: usize, state: &[u8]) -> Result<()> {
        self.end_run_unsealed(group);
        let (statistics, runs) = decode_state(state)?;
        if statistics.len() != self.width {
            return Err(damaged());
        }
        for (own, other) in self.sealed.iter_mut().skip(group * self.width).zip(&statistics) {
            own.merge(other);
        }
        self.close_if_enough(group);
        let is_closed = self.is_closed(group);
        for (subject, run) in runs {
            if is_closed {
                let sealed = self.sealed.iter_mut().skip(group * self.width);
                sealed.zip(run.iter()).for_each(|(statistics, contribution)| statistics.add(*contribution));
            } else if let Some(unsealed) = self.unsealed.get_mut(group) {
                self.unsealed_subjects += usize::from(unsealed.add(subject, &run));
            }
        }
        Ok(())
    }

    /// The partial state of a group: statistics of sealed subjects, and every subject that may continue elsewhere.
    pub(super) fn state(&mut self, group: usize) -> Vec<u8> {
        self.end_run_unsealed(group);
        self.take_totals(group);
        let mut bytes = encode_statistics(self.sealed_of(group));
        let Some(unsealed) = self.unsealed.get(group) else { return bytes };
        let mut runs: Vec<_> = unsealed.iter(self.width).collect();
        runs.sort_unstable_by_key(|(subject, _)| *subject);
        for (subject, run) in runs {
            bytes.extend_from_slice(&subject.to_le_bytes());
            run.iter().for_each(|value| bytes.extend_from_slice(&value.to_le_bytes()));
        }
        bytes
    }

    /// The final statistics of a group.
    pub(super) fn finish(&mut self, group: usize) -> Vec<u8> {
        self.end_run_unsealed(group);
        self.take_totals(group);
        self.seal_unsealed(group);
        encode_statistics(self.sealed_of(group))
    }

    /// Forgets the first groups; the others move up.
    pub(super) fn forget_first(&mut self, groups: usize) {
        let groups = groups.min(self.open.len());
        self.open.drain(..groups);
        self.runs.drain(..groups * self.width);
        self.sealed.drain(..groups * self.width);
        let gone = self.unsealed.drain(..groups).map(|unsealed| unsealed.places.len()).sum::<usize>();
        self.unsealed_subjects = self.unsealed_subjects.saturating_sub(gone);
        if let Some(closed) = &mut self.closed {
            closed.is_closed.drain(..groups);
            closed.totals.iter_mut().for_each(|totals| drop(totals.drain(..groups)));
        }
    }

    #[cfg(test)]
    pub(super) fn unsealed_subjects(&self) -> usize {
        self.unsealed_subjects
    }

    pub(super) fn groups(&self) -> usize {
        self.open.len()
    }

    pub(super) fn bytes(&self) -> usize {
        let per_group = size_of::<Open>()
            + size_of::<Unsealed>()
            + self.width * (size_of::<AtomStatistics>() + size_of::<i128>());
        size_of::<Self>()
            + self.open.len() * per_group
            + self.unsealed_subjects * (24 + self.width * size_of::<i128>())
            + self.slots.capacity() * size_of::<Slot>()
            + self.slot_of_row.capacity() * size_of::<usize>()
            + self.closed.as_ref().map_or(0, |closed| closed.is_closed.len() * (1 + self.width * 16))
    }

    fn sealed_of(&self, group: usize) -> &[AtomStatistics] {
        let start = group * self.width;
        self.sealed.get(start..start + self.width).unwrap_or_default()
    }
}

/// Version byte of the encoding; states never leave one job, so there is only ever one.
const VERSION: u8 = 1;
const HEADER_BYTES: usize = 3;
const STATISTICS_BYTES: usize = 8 + 16 + 16 + 16 * LARGEST_KEPT;

fn encode_statistics(sealed: &[AtomStatistics]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER_BYTES + sealed.len() * STATISTICS_BYTES);
    bytes.push(VERSION);
    bytes.extend_from_slice(&u16::try_from(sealed.len()).unwrap_or(u16::MAX).to_le_bytes());
    for statistics in sealed {
        bytes.extend_from_slice(&statistics.contributors.to_le_bytes());
        bytes.extend_from_slice(&statistics.total.to_le_bytes());
        bytes.extend_from_slice(&statistics.absolute.to_le_bytes());
        statistics.largest.iter().for_each(|size| bytes.extend_from_slice(&size.to_le_bytes()));
    }
    bytes
}

/// Reads final statistics back; only the control step calls it.
///
/// # Errors
/// When the bytes are not a cell.
pub(crate) fn decode(cell: &[u8]) -> Result<Vec<AtomStatistics>> {
    decode_state(cell).map(|(statistics, _)| statistics)
}

type Runs = Vec<(i64, Box<[i128]>)>;

fn decode_state(bytes: &[u8]) -> Result<(Vec<AtomStatistics>, Runs)> {
    let (header, mut rest) = bytes.split_at_checked(HEADER_BYTES).ok_or_else(damaged)?;
    let [VERSION, low, high] = header else { return Err(damaged()) };
    let width = usize::from(u16::from_le_bytes([*low, *high]));
    let mut statistics = Vec::with_capacity(width);
    for _ in 0..width {
        statistics.push(AtomStatistics {
            contributors: u64::from_le_bytes(take(&mut rest)?),
            total: i128::from_le_bytes(take(&mut rest)?),
            absolute: u128::from_le_bytes(take(&mut rest)?),
            largest: [
                u128::from_le_bytes(take(&mut rest)?),
                u128::from_le_bytes(take(&mut rest)?),
                u128::from_le_bytes(take(&mut rest)?),
            ],
        });
    }
    let mut runs = Runs::new();
    while !rest.is_empty() {
        let subject = i64::from_le_bytes(take(&mut rest)?);
        let run =
            (0..width).map(|_| take(&mut rest).map(i128::from_le_bytes)).collect::<Result<Box<[i128]>>>()?;
        runs.push((subject, run));
    }
    Ok((statistics, runs))
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N]> {
    let (head, tail) = rest.split_first_chunk::<N>().ok_or_else(damaged)?;
    *rest = tail;
    Ok(*head)
}

fn damaged() -> DataFusionError {
    DataFusionError::Internal("cell state is damaged".to_owned())
}

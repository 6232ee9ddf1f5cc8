//! The fold of many groups: contributions per subject, sealed into statistics as soon as a subject cannot come back.
//! It knows nothing of controls; it only counts exactly.

use std::ops::Range;

use datafusion_common::Result;

use super::Subjects;
use super::columns::CellBatch;
use super::columns::Contribution;
use super::statistics::AtomStatistics;
use super::statistics::LARGEST_KEPT;
use super::statistics::damaged;
use super::statistics::decode_state;
use super::statistics::encode;
use super::unsealed::Unsealed;

/// Rows whose contributions are laid side by side at a time: few enough to stay in the nearest cache.
const BLOCK_ROWS: usize = 64;

/// The run of rows of one group that is being read, and how far the group has come.
#[derive(Clone, Copy, Default)]
struct Open {
    subject: i64,
    is_open: bool,
    /// A run has ended before in this state: the first one may continue in another state, so it is never sealed early.
    first_kept: bool,
    /// Nothing more need be known than how much the group comes to: every atom has enough contributors.
    is_closed: bool,
}

/// One atom of one group: all that a row or the end of a run touches, within one line of the processor's cache.
#[derive(Clone, Copy, Default)]
#[repr(align(64))]
struct Sums {
    /// Sum of the open run.
    run: i128,
    /// Sum of sealed contributions, and of rows since the group was closed.
    total: i128,
    /// Sum of absolute contributions.
    absolute: u128,
    /// Sealed subjects whose contribution is not zero.
    contributors: u64,
    /// The least of the largest contributions that are kept, or `u64::MAX` if it is larger still.
    least_kept: u64,
}

impl Sums {
    /// Adds one subject's whole contribution, once it is known; a contribution of zero makes no contributor.
    ///
    /// A subject who adds nothing hides nobody: k people of whom k-1 have zero would show the one salary that there is
    /// (`sandbox/docs/disclosure-model.md`, section 5.2).
    fn seal(&mut self, largest: &mut [u128; LARGEST_KEPT], contribution: i128) {
        if contribution == 0 {
            return;
        }
        let size = contribution.unsigned_abs();
        self.contributors += 1;
        self.total = self.total.saturating_add(contribution);
        self.absolute = self.absolute.saturating_add(size);
        self.keep(largest, size);
    }

    /// Keeps a contribution if it is among the largest, by its absolute size.
    ///
    /// Dominance asks for the largest subjects, and a large negative part is as telling as a positive one
    /// (`sandbox/docs/disclosure-model.md`, section 5.3).
    fn keep(&mut self, largest: &mut [u128; LARGEST_KEPT], mut size: u128) {
        // Nearly every contribution is smaller than the ones kept.
        if size <= u128::from(self.least_kept) {
            return;
        }
        for place in largest.iter_mut() {
            if size > *place {
                std::mem::swap(place, &mut size);
            }
        }
        let least = largest.last().copied().unwrap_or_default();
        self.least_kept = u64::try_from(least).unwrap_or(u64::MAX);
    }
}

/// Contributions of many groups, each atom of a group beside the others of its group.
pub(super) struct Folds {
    subjects: Subjects,
    width: usize,
    /// After so many contributors subjects need not be told apart; `None` tells all of them apart.
    enough: Option<u64>,
    open: Vec<Open>,
    sums: Vec<Sums>,
    largest: Vec<[u128; LARGEST_KEPT]>,
    /// Subjects that may come back: all of them in map mode, first and last runs in run mode.
    unsealed: Vec<Unsealed>,
    unsealed_subjects: usize,
}

impl Folds {
    pub(super) fn new(subjects: Subjects, width: usize, enough: Option<u64>) -> Self {
        Folds {
            subjects,
            width,
            enough,
            open: Vec::new(),
            sums: Vec::new(),
            largest: Vec::new(),
            unsealed: Vec::new(),
            unsealed_subjects: 0,
        }
    }

    /// Makes room for at least this many groups.
    pub(super) fn grow(&mut self, groups: usize) {
        if groups <= self.open.len() {
            return;
        }
        self.open.resize(groups, Open::default());
        self.sums.resize(groups * self.width, Sums::default());
        self.largest.resize(groups * self.width, [0; LARGEST_KEPT]);
        self.unsealed.resize_with(groups, Unsealed::default);
    }

    /// Adds a batch, row by row: a row goes on with its group's open run, or ends it and opens the next.
    pub(super) fn add(&mut self, batch: &CellBatch, group_of: impl Fn(usize) -> Option<usize>) {
        if batch.is_wide() {
            self.add_rows::<i128>(batch, group_of);
        } else {
            self.add_rows::<i64>(batch, group_of);
        }
    }

    fn add_rows<V: Contribution>(&mut self, batch: &CellBatch, group_of: impl Fn(usize) -> Option<usize>) {
        let mut block = vec![V::default(); BLOCK_ROWS * self.width];
        for first in (0..batch.rows()).step_by(BLOCK_ROWS) {
            let rows = first..batch.rows().min(first + BLOCK_ROWS);
            batch.lay(rows.clone(), &mut block);
            for (row, contributions) in rows.zip(block.chunks_exact(self.width)) {
                if let Some((group, subject)) = group_of(row).zip(batch.subject(row)) {
                    self.add_row(group, subject, contributions);
                }
            }
        }
    }

    /// Adds a row to its group's open run, or ends that run and opens one for the row's subject.
    ///
    /// A closed group only adds up: all of its atoms have enough contributors, which no further row takes away
    /// (`sandbox/docs/disclosure-model.md`, section 5.2).
    fn add_row<V: Contribution>(&mut self, group: usize, subject: i64, contributions: &[V]) {
        let Some(open) = self.open.get(group) else { return };
        let goes_on = open.is_open && open.subject == subject && self.subjects != Subjects::EachRow;
        if !goes_on && !open.is_closed {
            self.open_run(group, subject);
        }
        // A run that has just ended may have closed its group.
        let is_closed = self.is_closed(group);
        let atoms = self.atoms_of(group);
        let Some(sums) = self.sums.get_mut(atoms) else { return };
        for (sums, contribution) in sums.iter_mut().zip(contributions) {
            contribution.add_to(if is_closed { &mut sums.total } else { &mut sums.run });
        }
    }

    /// Ends the group's open run and makes this subject's the open one, unless that has closed the group.
    fn open_run(&mut self, group: usize, subject: i64) {
        if self.open.get(group).is_some_and(|open| open.is_open) {
            self.end_run(group);
        }
        if let Some(open) = self.open.get_mut(group) {
            open.subject = subject;
            open.is_open = !open.is_closed;
        }
    }

    /// Ends the open run of a group: kept if its subject may come back, sealed otherwise.
    ///
    /// A subject that is sealed and comes back counts twice. Clustered rows come back only at the ends of a partition, so
    /// that the first run of each is kept; rows in any order may always
    /// (`sandbox/docs/disclosure-model.md`, section 5.2).
    fn end_run(&mut self, group: usize) {
        let Some(open) = self.open.get_mut(group) else { return };
        let keep = match self.subjects {
            Subjects::EachRow => false,
            Subjects::Mapped => true,
            Subjects::Clustered => !open.first_kept,
        };
        if keep {
            let is_new = self.keep_run(group);
            // Looking takes as long as there are subjects, so it is done each time that their number has doubled.
            let subjects = self.unsealed.get(group).map_or(0, Unsealed::subjects);
            if is_new && self.subjects == Subjects::Mapped && subjects.is_power_of_two() {
                self.seal_if_enough(group);
            }
            return;
        }
        open.first_kept = true;
        open.is_open = false;
        let atoms = self.atoms_of(group);
        let Some(sums) = self.sums.get_mut(atoms.clone()) else { return };
        let Some(largest) = self.largest.get_mut(atoms) else { return };
        for (sums, largest) in sums.iter_mut().zip(largest) {
            let contribution = std::mem::take(&mut sums.run);
            sums.seal(largest, contribution);
        }
        self.close_if_enough(group);
    }

    /// Ends the open run of a group as one whose subject may come back; true when it has not been here before.
    fn keep_run(&mut self, group: usize) -> bool {
        let Some(open) = self.open.get_mut(group) else { return false };
        open.first_kept = true;
        open.is_open = false;
        let subject = open.subject;
        let atoms = self.atoms_of(group);
        let sums = self.sums.get_mut(atoms).unwrap_or_default();
        let run: Vec<i128> = sums.iter_mut().map(|sums| std::mem::take(&mut sums.run)).collect();
        let is_new = self.unsealed.get_mut(group).is_some_and(|unsealed| unsealed.add(subject, &run));
        self.unsealed_subjects += usize::from(is_new);
        is_new
    }

    /// Ends the open run of a group, which may go on in another state: its subject stays unsealed, or it would be counted
    /// in both (`sandbox/docs/disclosure-model.md`, section 5.2).
    fn end_last_run(&mut self, group: usize) {
        if self.open.get(group).is_some_and(|open| open.is_open) {
            if self.subjects == Subjects::EachRow {
                self.end_run(group);
            } else {
                self.keep_run(group);
            }
        }
    }

    /// The places of a group's atoms.
    fn atoms_of(&self, group: usize) -> Range<usize> {
        let start = group * self.width;
        start..start + self.width
    }

    fn is_closed(&self, group: usize) -> bool {
        self.open.get(group).is_some_and(|open| open.is_closed)
    }

    /// Closes a group once every atom has enough sealed contributors: these are different subjects, and do not come back.
    ///
    /// One atom with fewer keeps it open, because each atom has a threshold of its own
    /// (`sandbox/docs/disclosure-model.md`, section 5.2).
    fn close_if_enough(&mut self, group: usize) {
        let Some(enough) = self.enough else { return };
        let sums = self.sums.get(self.atoms_of(group)).unwrap_or_default();
        if sums.iter().all(|sums| sums.contributors >= enough)
            && let Some(open) = self.open.get_mut(group)
        {
            open.is_closed = true;
        }
    }

    /// Seals the subjects of a group when that closes it, although more of their rows may follow.
    ///
    /// Later rows only add to totals. This is admitted where no row can take a contribution back to zero, so that whoever
    /// contributes now still does in the end (`sandbox/docs/disclosure-model.md`, section 5.2).
    fn seal_if_enough(&mut self, group: usize) {
        let Some(enough) = self.enough else { return };
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
        self.unsealed_subjects = self.unsealed_subjects.saturating_sub(unsealed.subjects());
        for (_, run) in unsealed.iter(self.width) {
            self.seal(group, run);
        }
    }

    /// Seals one subject's contributions.
    fn seal(&mut self, group: usize, run: &[i128]) {
        let atoms = self.atoms_of(group);
        let sums = self.sums.get_mut(atoms.clone()).unwrap_or_default();
        let largest = self.largest.get_mut(atoms).unwrap_or_default();
        for ((sums, largest), contribution) in sums.iter_mut().zip(largest).zip(run) {
            sums.seal(largest, *contribution);
        }
    }

    /// Merges another fold's state into a group.
    ///
    /// Sealed subjects of two states are different people and add up; those that may continue are merged by their token,
    /// since a person whose rows lie in two partitions is one contributor
    /// (`sandbox/docs/disclosure-model.md`, section 5.2).
    ///
    /// # Errors
    /// When the bytes are not a state of as many atoms.
    pub(super) fn merge(&mut self, group: usize, state: &[u8]) -> Result<()> {
        self.end_last_run(group);
        let (statistics, runs) = decode_state(state)?;
        if statistics.len() != self.width {
            return Err(damaged());
        }
        let atoms = self.atoms_of(group);
        let sums = self.sums.get_mut(atoms.clone()).unwrap_or_default();
        let largest = self.largest.get_mut(atoms).unwrap_or_default();
        for ((sums, largest), other) in sums.iter_mut().zip(largest).zip(&statistics) {
            sums.contributors += other.contributors;
            sums.total = sums.total.saturating_add(other.total);
            sums.absolute = sums.absolute.saturating_add(other.absolute);
            other.largest.iter().for_each(|size| sums.keep(largest, *size));
        }
        self.close_if_enough(group);
        let is_closed = self.is_closed(group);
        for (subject, run) in runs {
            if is_closed {
                self.seal(group, &run);
            } else if let Some(unsealed) = self.unsealed.get_mut(group) {
                self.unsealed_subjects += usize::from(unsealed.add(subject, &run));
            }
        }
        Ok(())
    }

    /// The partial state of a group: statistics of sealed subjects, and every subject that may continue elsewhere.
    ///
    /// Runs stand in the order of tokens, so that the bytes do not depend on which thread was first
    /// (`sandbox/docs/disclosure-model.md`, sections 5.2 and 6).
    pub(super) fn state(&mut self, group: usize) -> Vec<u8> {
        self.end_last_run(group);
        let mut bytes = encode(&self.statistics(group));
        let Some(unsealed) = self.unsealed.get(group) else { return bytes };
        let mut runs: Vec<_> = unsealed.iter(self.width).collect();
        runs.sort_unstable_by_key(|(subject, _)| *subject);
        for (subject, run) in runs {
            bytes.extend_from_slice(&subject.to_le_bytes());
            run.iter().for_each(|value| bytes.extend_from_slice(&value.to_le_bytes()));
        }
        bytes
    }

    /// The final statistics of a group: no state follows, so that every subject is sealed with all of its rows
    /// (`sandbox/docs/disclosure-model.md`, section 5.2).
    pub(super) fn finish(&mut self, group: usize) -> Vec<u8> {
        self.end_last_run(group);
        self.seal_unsealed(group);
        encode(&self.statistics(group))
    }

    /// Forgets the first groups; the others move up.
    pub(super) fn forget_first(&mut self, groups: usize) {
        let groups = groups.min(self.open.len());
        self.open.drain(..groups);
        self.sums.drain(..groups * self.width);
        self.largest.drain(..groups * self.width);
        let gone = self.unsealed.drain(..groups).map(|unsealed| unsealed.subjects()).sum::<usize>();
        self.unsealed_subjects = self.unsealed_subjects.saturating_sub(gone);
    }

    #[cfg(test)]
    pub(super) fn unsealed_subjects(&self) -> usize {
        self.unsealed_subjects
    }

    pub(super) fn groups(&self) -> usize {
        self.open.len()
    }

    pub(super) fn bytes(&self) -> usize {
        let per_atom = size_of::<Sums>() + size_of::<[u128; LARGEST_KEPT]>();
        let per_group = size_of::<Open>() + size_of::<Unsealed>() + self.width * per_atom;
        size_of::<Self>()
            + self.open.len() * per_group
            + self.unsealed_subjects * (24 + self.width * size_of::<i128>())
    }

    fn statistics(&self, group: usize) -> Vec<AtomStatistics> {
        let atoms = self.atoms_of(group);
        let sums = self.sums.get(atoms.clone()).unwrap_or_default();
        let largest = self.largest.get(atoms).unwrap_or_default();
        sums.iter()
            .zip(largest)
            .map(|(sums, largest)| AtomStatistics {
                contributors: sums.contributors,
                total: sums.total,
                absolute: sums.absolute,
                largest: *largest,
            })
            .collect()
    }
}

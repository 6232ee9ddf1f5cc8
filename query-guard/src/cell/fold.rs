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

type Unsealed = HashMap<i64, Box<[i128]>, BuildHasherDefault<TokenHasher>>;

/// Contributions of one group.
pub(super) struct Fold {
    subjects: Subjects,
    sealed: Box<[AtomStatistics]>,
    /// The run of rows being read.
    run_subject: Option<i64>,
    run: Box<[i128]>,
    /// A run has ended before in this state: the first one may continue in another state, so it is never sealed early.
    first_kept: bool,
    /// Subjects that may come back: all of them in map mode, first and last runs in run mode.
    unsealed: Unsealed,
}

impl Fold {
    pub(super) fn new(subjects: Subjects, width: usize) -> Self {
        Fold {
            subjects,
            sealed: vec![AtomStatistics::default(); width].into(),
            run_subject: None,
            run: vec![0; width].into(),
            first_kept: false,
            unsealed: Unsealed::default(),
        }
    }

    /// Adds one row; returns by how many bytes the fold grew.
    pub(super) fn add(&mut self, subject: Option<i64>, batch: &CellBatch, row: usize) -> usize {
        let Some(subject) = subject else { return 0 };
        let mut grown = 0;
        if self.subjects == Subjects::EachRow || self.run_subject != Some(subject) {
            grown = self.end_run();
            self.run_subject = Some(subject);
        }
        batch.add_to(&mut self.run, row);
        grown
    }

    /// Ends the open run: kept if its subject may come back, sealed otherwise.
    fn end_run(&mut self) -> usize {
        let Some(subject) = self.run_subject.take() else { return 0 };
        let keep = match self.subjects {
            Subjects::EachRow => false,
            Subjects::Mapped => true,
            Subjects::Clustered => !self.first_kept,
        };
        self.first_kept = true;
        let width = self.run.len();
        let run = std::mem::replace(&mut self.run, vec![0; if keep { width } else { 0 }].into());
        if keep {
            return self.keep_unsealed(subject, run);
        }
        seal(&mut self.sealed, &run);
        self.run = run;
        self.run.fill(0);
        0
    }

    fn keep_unsealed(&mut self, subject: i64, run: Box<[i128]>) -> usize {
        match self.unsealed.entry(subject) {
            std::collections::hash_map::Entry::Occupied(mut known) => {
                for (sum, value) in known.get_mut().iter_mut().zip(run.iter()) {
                    *sum = sum.saturating_add(*value);
                }
                0
            }
            std::collections::hash_map::Entry::Vacant(place) => {
                let bytes = 24 + run.len() * 16;
                place.insert(run);
                bytes
            }
        }
    }

    /// Merges another fold's state; returns by how many bytes this one grew.
    pub(super) fn merge(&mut self, state: &[u8]) -> Result<usize> {
        let mut grown = self.end_run_unsealed();
        let (statistics, runs) = decode_state(state)?;
        if statistics.len() != self.sealed.len() {
            return Err(damaged());
        }
        for (own, other) in self.sealed.iter_mut().zip(&statistics) {
            own.merge(other);
        }
        for (subject, run) in runs {
            grown += self.keep_unsealed(subject, run);
        }
        Ok(grown)
    }

    fn end_run_unsealed(&mut self) -> usize {
        if self.subjects == Subjects::EachRow {
            return self.end_run();
        }
        let Some(subject) = self.run_subject.take() else { return 0 };
        let run = std::mem::replace(&mut self.run, vec![0; self.sealed.len()].into());
        self.first_kept = true;
        self.keep_unsealed(subject, run)
    }

    /// The partial state: statistics of sealed subjects, and every subject that may continue elsewhere.
    pub(super) fn state(&mut self) -> Vec<u8> {
        self.end_run_unsealed();
        let mut bytes = encode_statistics(&self.sealed);
        let mut runs: Vec<_> = self.unsealed.iter().collect();
        runs.sort_unstable_by_key(|(subject, _)| **subject);
        for (subject, run) in runs {
            bytes.extend_from_slice(&subject.to_le_bytes());
            run.iter().for_each(|value| bytes.extend_from_slice(&value.to_le_bytes()));
        }
        bytes
    }

    /// The final statistics.
    pub(super) fn finish(&mut self) -> Vec<u8> {
        self.end_run_unsealed();
        for (_, run) in self.unsealed.drain() {
            seal(&mut self.sealed, &run);
        }
        encode_statistics(&self.sealed)
    }

    pub(super) fn bytes(&self) -> usize {
        size_of::<Self>()
            + self.sealed.len() * (size_of::<AtomStatistics>() + 16)
            + self.unsealed.len() * (24 + self.sealed.len() * 16)
    }
}

fn seal(sealed: &mut [AtomStatistics], run: &[i128]) {
    for (statistics, contribution) in sealed.iter_mut().zip(run) {
        statistics.add(*contribution);
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

//! The contributions of all subjects to one atom, added up, and their encoding: bytes that only the control step reads.

use datafusion_common::DataFusionError;
use datafusion_common::Result;

/// Number of the largest contributions that are kept: enough for (n, k) with n up to 3 and for p%.
pub(crate) const LARGEST_KEPT: usize = 3;

/// The contributions of all subjects to one atom of one group, added up.
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

/// Version byte of the encoding; states never leave one job, so there is only ever one.
const VERSION: u8 = 1;
const HEADER_BYTES: usize = 3;
const STATISTICS_BYTES: usize = 8 + 16 + 16 + 16 * LARGEST_KEPT;

pub(super) fn encode(sealed: &[AtomStatistics]) -> Vec<u8> {
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
/// Other readers of a cell would see totals that no control has passed (`sandbox/docs/disclosure-model.md`, section 5.7).
///
/// # Errors
/// When the bytes are not a cell.
pub(crate) fn decode(cell: &[u8]) -> Result<Vec<AtomStatistics>> {
    decode_state(cell).map(|(statistics, _)| statistics)
}

/// Reads a cell that keeps every subject apart: their contributions to so many atoms; only the control step calls it.
///
/// # Errors
/// When the bytes are not such a cell, or a subject's contribution was added up with others already.
pub(crate) fn decode_runs(cell: &[u8], width: usize) -> Result<Runs> {
    let (statistics, runs) = decode_state(cell)?;
    if statistics.len() != width || statistics.iter().any(|atom| *atom != AtomStatistics::default()) {
        return Err(damaged());
    }
    Ok(runs)
}

/// Subjects that may continue elsewhere, with their contributions to each atom.
pub(crate) type Runs = Vec<(i64, Box<[i128]>)>;

/// Reads a partial state back: statistics of sealed subjects, and every subject that may continue elsewhere.
///
/// # Errors
/// When the bytes are not a state.
pub(super) fn decode_state(bytes: &[u8]) -> Result<(Vec<AtomStatistics>, Runs)> {
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

pub(super) fn damaged() -> DataFusionError {
    DataFusionError::Internal("cell state is damaged".to_owned())
}

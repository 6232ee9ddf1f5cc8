//! Differential privacy: a stage's numbers are measured with fresh noise, and nothing else of its cells decides anything
//! (`sandbox/docs/disclosure-model.md`, section 5.9).
//!
//! The exact part is one pure step, [`bounded`]: each subject counts in few groups, chosen by a keyed hash of the subject and the
//! group alone, and contributes to each no more than its bounds. Only there do exact numbers exist; noise is added to every
//! one of them before anything is compared.

use std::collections::HashSet;

use arrow::array::Array as _;
use arrow::array::AsArray;
use arrow::array::RecordBatch;
use arrow::row::RowConverter;
use arrow::row::SortField;
use sha2::Digest as _;
use sha2::Sha256;

use crate::cell::decode_runs;
use crate::context::ExecutionContext;
use crate::control::Control;
use crate::control::ControlError;
use crate::control::Figure;
use crate::plan::Stage;
use crate::plan::StageControls;
use crate::privacy::KEY_BYTES;
use crate::privacy::Kind;
use crate::privacy::Measured;
use crate::privacy::PrivacySource;
use crate::privacy::StagePrivacy;

/// It comes first and takes no cell: numbers of such a stage are made by [`measured`], and no exact one reaches another control.
pub(super) const PRIVACY: Control = Control { name: "differential-privacy", holds_for, on_cell: None };

/// Everything that leaves such a stage, the presence of groups too.
fn holds_for(_figure: Figure, stage: &StageControls) -> bool {
    stage.privacy.is_some()
}

/// The kind of number that such a figure is measured as.
pub(super) fn kind(figure: Figure) -> Kind {
    match figure {
        Figure::Presence | Figure::Subjects => Kind::Subjects,
        Figure::Rows => Kind::Rows,
        Figure::Quantity => Kind::Sum,
    }
}

/// The contributions of one group's subjects to each atom, by the subject's token.
pub(crate) type Contributions = Vec<(i64, Box<[i128]>)>;

/// The numbers of each group with their noise, in the order in which they are measured; nothing of a group that is not shown.
///
/// # Errors
/// [`ControlError::Unbound`] without a source of randomness, [`ControlError::NotCells`] where the batch is not the stage's.
pub(super) fn measured(
    stage: &Stage,
    privacy: &StagePrivacy,
    batch: &RecordBatch,
    context: &ExecutionContext,
) -> Result<Vec<Option<Vec<i128>>>, ControlError> {
    let source = context.privacy.as_deref().ok_or(ControlError::Unbound)?;
    let [class] = stage.classes.as_slice() else { return Err(ControlError::NotCells) };
    let column = batch.column_by_name(&class.cells).ok_or(ControlError::NotCells)?;
    let cells = column.as_binary_opt::<i32>().ok_or(ControlError::NotCells)?;
    let mut groups = Vec::with_capacity(cells.len());
    for cell in cells {
        let runs = cell.and_then(|cell| decode_runs(cell, stage.atoms.len()).ok());
        groups.push(runs.ok_or(ControlError::NotCells)?);
    }
    let names = names(stage, batch)?;
    let key = source.key().ok_or(ControlError::Unbound)?;
    let exact = bounded(privacy, &groups, &names, &key);
    with_noise(privacy, exact, source).ok_or(ControlError::Unbound)
}

/// The keys of each group as bytes: those of a group are the same in whatever order the engine found it.
///
/// Chosen by its place among the groups, a subject would count in others when somebody else's rows change, and one person's rows
/// would move what many contribute.
fn names(stage: &Stage, batch: &RecordBatch) -> Result<Vec<Vec<u8>>, ControlError> {
    if stage.keys.is_empty() {
        return Ok(vec![Vec::new(); batch.num_rows()]);
    }
    let columns = stage.key_columns(batch)?;
    let fields = columns.iter().map(|column| SortField::new(column.data_type().clone())).collect();
    let converter = RowConverter::new(fields).map_err(|_| ControlError::NotCells)?;
    let rows = converter.convert_columns(&columns).map_err(|_| ControlError::NotCells)?;
    Ok(rows.iter().map(|row| row.as_ref().to_vec()).collect())
}

/// The exact numbers of each group: of every subject at most `groups_max` groups, and in each at most its bounds.
///
/// This alone is what noise is made for: however the plan below cut, filtered or masked the rows, one subject moves these numbers by no
/// more than [`StagePrivacy::moved`], because its groups are chosen by its own rows and its contributions are clamped here.
pub(crate) fn bounded(
    privacy: &StagePrivacy,
    groups: &[Contributions],
    names: &[Vec<u8>],
    key: &[u8; KEY_BYTES],
) -> Vec<Vec<i128>> {
    let left_out = left_out(privacy, groups, names, key);
    let numbers = |(group, contributions): (usize, &Contributions)| {
        let mut sums = vec![0_i128; privacy.measured.len()];
        for (subject, run) in contributions {
            if left_out.as_ref().is_some_and(|left_out| left_out.contains(&(*subject, group))) {
                continue;
            }
            for (sum, measured) in sums.iter_mut().zip(&privacy.measured) {
                *sum = sum.saturating_add(contribution(measured, run, privacy.rows_max));
            }
        }
        sums
    };
    groups.iter().enumerate().map(numbers).collect()
}

/// The groups in which subjects do not count, because they lie in more than the policy lets them count in; nothing where all
/// rows are one group.
fn left_out(
    privacy: &StagePrivacy,
    groups: &[Contributions],
    names: &[Vec<u8>],
    key: &[u8; KEY_BYTES],
) -> Option<HashSet<(i64, usize)>> {
    let groups_max = usize::try_from(privacy.groups_max?).unwrap_or(usize::MAX);
    let mut places: Vec<(i64, usize)> = Vec::new();
    for (group, contributions) in groups.iter().enumerate() {
        places.extend(contributions.iter().map(|(subject, _)| (*subject, group)));
    }
    places.sort_unstable();
    let mut left_out = HashSet::new();
    for of_subject in places.chunk_by(|one, other| one.0 == other.0) {
        if of_subject.len() <= groups_max {
            continue;
        }
        let rank = |(subject, group): &(i64, usize)| -> [u8; 32] {
            let name = names.get(*group).map(Vec::as_slice).unwrap_or_default();
            let mut digest = Sha256::new();
            digest.update(key);
            digest.update(subject.to_le_bytes());
            digest.update(name);
            digest.finalize().into()
        };
        let mut ranked: Vec<([u8; 32], (i64, usize))> =
            of_subject.iter().map(|place| (rank(place), *place)).collect();
        ranked.sort_unstable();
        left_out.extend(ranked.into_iter().skip(groups_max).map(|(_, place)| place));
    }
    Some(left_out)
}

/// The contribution of one subject to one number of a group, within its bounds.
///
/// Of more rows than count, a sum has the part that the rows which count have of all: so many rows of the subject's mean. It
/// rests on no order of rows, and a mean over subjects with many rows is not pulled up by the cut.
fn contribution(measured: &Measured, run: &[i128], rows_max: u32) -> i128 {
    let of = |atom: usize| run.get(atom).copied().unwrap_or_default();
    let (low, high) = measured.bounds(rows_max);
    let value = of(measured.atom);
    let rows_max = i128::from(rows_max);
    let value = match measured.rows.map(of) {
        Some(rows) if rows > rows_max => match value.checked_mul(rows_max) {
            Some(product) => product / rows,
            None => value / rows * rows_max,
        },
        _ => value,
    };
    value.clamp(low, high)
}

/// Adds noise to every number, and leaves out the groups whose number of subjects does not pass the threshold with its noise.
///
/// The other numbers of those groups are never drawn for: that they are not is decided by a number with noise.
fn with_noise(
    privacy: &StagePrivacy,
    exact: Vec<Vec<i128>>,
    source: &dyn PrivacySource,
) -> Option<Vec<Option<Vec<i128>>>> {
    let [subjects, others @ ..] = privacy.measured.as_slice() else { return None };
    let least = i128::from(privacy.subjects_least);
    let mut shown: Vec<Option<Vec<i128>>> = Vec::with_capacity(exact.len());
    for (numbers, noise) in exact.into_iter().zip(drawn(source, subjects, shown.capacity())?) {
        let mut numbers = numbers;
        let first = numbers.first_mut()?;
        *first = first.saturating_add(noise);
        let passes = *first >= least;
        shown.push(passes.then_some(numbers));
    }
    let count = shown.iter().flatten().count();
    for (place, measured) in others.iter().enumerate() {
        for (numbers, noise) in shown.iter_mut().flatten().zip(drawn(source, measured, count)?) {
            let number = numbers.get_mut(place + 1)?;
            *number = number.saturating_add(noise);
        }
    }
    Some(shown)
}

/// So many draws, and no fewer: a number without its noise must not leave.
fn drawn(source: &dyn PrivacySource, measured: &Measured, count: usize) -> Option<Vec<i128>> {
    source.draw(measured.deviation, count).filter(|drawn| drawn.len() == count)
}

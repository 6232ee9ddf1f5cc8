//! The fold is exact for every cut of its input: partitions, partial states, row-wise states, early emission.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::array::Int64Array;
use datafusion_expr::EmitTo;
use datafusion_expr::GroupsAccumulator;
use proptest::prelude::*;

use super::*;

const SPEC: MeasureSpec = MeasureSpec { scale: 0, low: -1000, high: 1000 };

fn groups(subjects: Subjects) -> CellGroups {
    let atoms = vec![AtomSpec::Rows { conditional: false }, AtomSpec::Measure(SPEC)];
    CellFold::new(subjects, atoms, None).groups()
}

/// As [`groups`], told that so many contributors are enough.
fn bounded(subjects: Subjects, enough: u64, low: i128) -> CellGroups {
    let atoms = vec![AtomSpec::Rows { conditional: false }, AtomSpec::Measure(MeasureSpec { low, ..SPEC })];
    CellFold::new(subjects, atoms, Some(enough)).groups()
}

fn arrays(rows: &[(usize, i64, i64)]) -> (Vec<ArrayRef>, Vec<usize>) {
    let subjects: Int64Array = rows.iter().map(|row| Some(row.1)).collect();
    let values: Int64Array = rows.iter().map(|row| Some(row.2)).collect();
    (vec![Arc::new(subjects), Arc::new(values)], rows.iter().map(|row| row.0).collect())
}

/// The definition, written plainly.
fn expected(rows: &[(usize, i64, i64)], group: usize) -> Vec<AtomStatistics> {
    let mut per_subject: BTreeMap<i64, (i128, i128)> = BTreeMap::new();
    for (_, subject, value) in rows.iter().filter(|row| row.0 == group) {
        let sums = per_subject.entry(*subject).or_default();
        sums.0 += 1;
        sums.1 += i128::from(*value);
    }
    let statistics = |values: Vec<i128>| {
        let mut sizes: Vec<u128> =
            values.iter().map(|value| value.unsigned_abs()).filter(|size| *size > 0).collect();
        sizes.sort_unstable_by(|a, b| b.cmp(a));
        let mut largest = [0; LARGEST_KEPT];
        for (place, size) in largest.iter_mut().zip(&sizes) {
            *place = *size;
        }
        AtomStatistics {
            contributors: sizes.len() as u64,
            total: values.iter().sum(),
            absolute: sizes.iter().sum(),
            largest,
        }
    };
    vec![
        statistics(per_subject.values().map(|sums| sums.0).collect()),
        statistics(per_subject.values().map(|sums| sums.1).collect()),
    ]
}

fn check(array: &ArrayRef, rows: &[(usize, i64, i64)]) {
    let cells = array.as_any().downcast_ref::<BinaryArray>().unwrap();
    for (group, cell) in cells.iter().enumerate() {
        assert!(decode(cell.unwrap()).unwrap() == expected(rows, group), "group {group}");
    }
}

/// Totals are exact, and so is whether there are enough contributors.
fn check_bounded(array: &ArrayRef, rows: &[(usize, i64, i64)], enough: u64) {
    let cells = array.as_any().downcast_ref::<BinaryArray>().unwrap();
    for (group, cell) in cells.iter().enumerate() {
        let told = |atoms: &[AtomStatistics]| -> Vec<(i128, bool)> {
            atoms.iter().map(|atom| (atom.total, atom.contributors >= enough)).collect()
        };
        assert_eq!(told(&decode(cell.unwrap()).unwrap()), told(&expected(rows, group)), "group {group}");
    }
}

fn rows() -> impl Strategy<Value = Vec<(usize, i64, i64)>> {
    prop::collection::vec((0..3_usize, 0..6_i64, -3..4_i64), 1..60)
}

proptest! {
    #[test]
    fn any_order_is_exact_in_map_mode(rows in rows(), cut in 0..60_usize) {
        let (left, right) = rows.split_at(cut.min(rows.len()));
        let mut merged = groups(Subjects::Mapped);
        for part in [left, right] {
            let mut partial = groups(Subjects::Mapped);
            let (values, indices) = arrays(part);
            partial.update_batch(&values, &indices, None, 3).unwrap();
            let state = partial.state(EmitTo::All).unwrap();
            merged.merge_batch(&state, &[0, 1, 2], 3).unwrap();
        }
        check(&merged.evaluate(EmitTo::All).unwrap(), &rows);
    }

    #[test]
    fn clustered_rows_are_exact_however_they_are_cut(mut rows in rows(), first in 0..60_usize, second in 0..60_usize) {
        rows.sort_by_key(|row| row.1);
        let cuts = (first.min(second).min(rows.len()), first.max(second).min(rows.len()));
        let mut merged = groups(Subjects::Clustered);
        for part in [&rows[..cuts.0], &rows[cuts.0..cuts.1], &rows[cuts.1..]] {
            let mut partial = groups(Subjects::Clustered);
            let (values, indices) = arrays(part);
            partial.update_batch(&values, &indices, None, 3).unwrap();
            merged.merge_batch(&partial.state(EmitTo::All).unwrap(), &[0, 1, 2], 3).unwrap();
        }
        check(&merged.evaluate(EmitTo::All).unwrap(), &rows);
    }

    #[test]
    fn a_bounded_fold_tells_totals_and_enough_contributors_exactly(
        rows in rows(),
        first in 0..60_usize,
        second in 0..60_usize,
        enough in 1..7_u64,
        clustered in any::<bool>(),
        of_one_sign in any::<bool>(),
    ) {
        let mut rows = rows;
        let low = if of_one_sign { 0 } else { SPEC.low };
        rows.iter_mut().for_each(|row| row.2 = row.2.max(i64::try_from(low).unwrap()));
        let subjects = if clustered { Subjects::Clustered } else { Subjects::Mapped };
        if clustered {
            rows.sort_by_key(|row| row.1);
        }
        let cuts = (first.min(second).min(rows.len()), first.max(second).min(rows.len()));
        let mut merged = bounded(subjects, enough, low);
        for part in [&rows[..cuts.0], &rows[cuts.0..]] {
            let mut partial = bounded(subjects, enough, low);
            // Two batches each, so that groups close in the first and go on in the second.
            for batch in part.chunks(cuts.1.max(1)) {
                let (values, indices) = arrays(batch);
                partial.update_batch(&values, &indices, None, 3).unwrap();
            }
            merged.merge_batch(&partial.state(EmitTo::All).unwrap(), &[0, 1, 2], 3).unwrap();
        }
        check_bounded(&merged.evaluate(EmitTo::All).unwrap(), &rows, enough);
    }

    #[test]
    fn row_wise_states_are_exact(rows in rows()) {
        let (values, indices) = arrays(&rows);
        let mut merged = groups(Subjects::Clustered);
        let states = merged.convert_to_state(&values, None).unwrap();
        merged.merge_batch(&states, &indices, 3).unwrap();
        check(&merged.evaluate(EmitTo::All).unwrap(), &rows);
    }

    #[test]
    fn early_emission_is_exact(mut rows in rows(), cut in 0..60_usize) {
        rows.sort_by_key(|row| row.1);
        let (left, right) = rows.split_at(cut.min(rows.len()));
        let mut fold = groups(Subjects::Clustered);
        let mut merged = groups(Subjects::Clustered);
        for part in [left, right] {
            let (values, indices) = arrays(part);
            fold.update_batch(&values, &indices, None, 3).unwrap();
            let state = fold.state(EmitTo::First(3)).unwrap();
            merged.merge_batch(&state, &[0, 1, 2], 3).unwrap();
        }
        check(&merged.evaluate(EmitTo::All).unwrap(), &rows);
    }

    #[test]
    fn a_cut_state_is_refused_and_never_panics(length in 0..200_usize, byte in any::<u8>()) {
        let mut fold = groups(Subjects::Mapped);
        let (values, indices) = arrays(&[(0, 1, 2), (0, 2, 3)]);
        fold.update_batch(&values, &indices, None, 1).unwrap();
        let state = fold.state(EmitTo::All).unwrap();
        let bytes = state[0].as_any().downcast_ref::<BinaryArray>().unwrap().value(0).to_vec();
        let cut = &bytes[..length.min(bytes.len() - 1)];
        // A cut at the end of a run is a state of fewer runs; everywhere else it is damage.
        let _ = decode(cut);
        let _ = decode(&[byte]);
    }
}

#[test]
fn memory_stays_constant_over_clustered_subjects() {
    let mut fold = groups(Subjects::Clustered);
    let mut sizes = Vec::new();
    for start in [0, 10_000, 20_000] {
        let rows: Vec<(usize, i64, i64)> = (start..start + 10_000).map(|subject| (0, subject, 1)).collect();
        let (values, indices) = arrays(&rows);
        fold.update_batch(&values, &indices, None, 1).unwrap();
        sizes.push(fold.size());
    }
    assert_eq!(sizes[0], sizes[2]);
}

#[test]
fn a_bounded_fold_forgets_subjects_once_there_are_enough() {
    let mut fold = bounded(Subjects::Mapped, 10, 0);
    let mut sizes = Vec::new();
    for start in [0, 10_000, 20_000] {
        let rows: Vec<(usize, i64, i64)> = (start..start + 10_000).map(|subject| (0, subject, 1)).collect();
        let (values, indices) = arrays(&rows);
        fold.update_batch(&values, &indices, None, 1).unwrap();
        sizes.push(fold.folds.unsealed_subjects());
    }
    assert_eq!(sizes, [0, 0, 0]);
}

#[test]
fn one_person_with_fifty_rows_is_one_subject() {
    let rows: Vec<(usize, i64, i64)> = (0..50).map(|_| (0, 7, 1)).collect();
    let (values, indices) = arrays(&rows);
    let mut fold = groups(Subjects::Mapped);
    let states = fold.convert_to_state(&values, None).unwrap();
    fold.merge_batch(&states, &indices, 1).unwrap();
    check(&fold.evaluate(EmitTo::All).unwrap(), &rows);
}

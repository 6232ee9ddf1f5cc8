//! One boundary: individual rows go in, cells that passed their controls come out.
//! The rules stand in the parent's header; this file is their plain execution.

use std::collections::BTreeMap;

use super::Controls;
use super::amount;
use crate::table::Cell;

/// The source of one column of a boundary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Atom {
    /// Distinct subjects with a value.
    Subjects,
    /// Rows with a value.
    Rows,
    /// Sum of the values, of a measure with this declared range.
    Sum {
        /// Lowest and highest value of one row, in ten-thousandths.
        range: (i128, i128),
    },
    /// Mean of the values, of a measure with this declared range.
    Mean {
        /// Lowest and highest value of one row, in ten-thousandths.
        range: (i128, i128),
    },
}

/// One cell: its exact content, for answers that compute with unrounded parts, and its released value.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The value that leaves.
    pub released: Cell,
    /// True if the atom passed its controls.
    pub passed: bool,
    /// The unrounded total, in ten-thousandths for sums and in ones for counts.
    pub total: i128,
    /// Number of rows with a value.
    pub rows: i128,
}

/// One group that has a row.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// The values of its keys.
    pub keys: Vec<Cell>,
    /// Its cells, in the order of the atoms.
    pub cells: Vec<Outcome>,
}

/// Collects rows until they are released.
#[derive(Debug)]
pub struct Boundary {
    controls: Controls,
    atoms: Vec<Atom>,
    grouped: bool,
    groups: BTreeMap<Vec<String>, BTreeMap<String, Vec<Part>>>,
}

/// The contribution of one subject to one atom.
#[derive(Debug, Clone, Copy, Default)]
struct Part {
    values: i128,
    sum: i128,
}

impl Boundary {
    /// Begins a boundary. Without keys it is the ungrouped question that always has one row.
    #[must_use]
    pub fn new(controls: Controls, atoms: Vec<Atom>, grouped: bool) -> Self {
        let mut groups = BTreeMap::new();
        if !grouped {
            groups.insert(Vec::new(), BTreeMap::new());
        }
        Self { controls, atoms, grouped, groups }
    }

    /// Adds one row: its subject, its keys as text, and for each atom a value or nothing (NULL, or not under its condition).
    ///
    /// # Panics
    /// When the row does not have one value per atom.
    pub fn row(&mut self, subject: &str, keys: &[String], values: &[Option<i128>]) {
        assert_eq!(values.len(), self.atoms.len(), "one value per atom");
        if subject.is_empty() {
            return;
        }
        let group = self.groups.entry(keys.to_vec()).or_default();
        let parts = group.entry(subject.to_owned()).or_insert_with(|| vec![Part::default(); values.len()]);
        for ((part, value), atom) in parts.iter_mut().zip(values).zip(&self.atoms) {
            let Some(value) = value else { continue };
            part.values += 1;
            part.sum += match atom {
                Atom::Subjects | Atom::Rows => 1,
                Atom::Sum { range } | Atom::Mean { range } => (*value).clamp(range.0, range.1),
            };
        }
    }

    /// Applies the controls and returns the groups that have a row.
    #[must_use]
    pub fn release(self) -> Vec<Group> {
        let mut released = Vec::new();
        for (keys, subjects) in &self.groups {
            let enough = subjects.len() >= self.controls.subjects_min;
            if self.grouped && !enough {
                continue;
            }
            let cells = self
                .atoms
                .iter()
                .enumerate()
                .map(|(index, atom)| {
                    let parts: Vec<Part> = subjects.values().map(|parts| parts[index]).collect();
                    self.cell(*atom, &parts, enough)
                })
                .collect();
            released.push(Group { keys: keys.iter().map(|key| Cell::parse(key)).collect(), cells });
        }
        released
    }

    fn cell(&self, atom: Atom, parts: &[Part], group_passed: bool) -> Outcome {
        let with_value = parts.iter().filter(|part| part.values > 0).count();
        let not_zero = parts.iter().filter(|part| part.sum != 0).count();
        let rows: Vec<i128> = parts.iter().map(|part| part.values).collect();
        let sums: Vec<i128> = parts.iter().map(|part| part.sum).collect();
        let (row_total, sum_total): (i128, i128) = (rows.iter().sum(), sums.iter().sum());
        let k = self.controls.subjects_min;
        let base = self.controls.rounding;
        let (passed, total, value) = match atom {
            Atom::Subjects => {
                let count = i128::try_from(with_value).expect("a count fits");
                (with_value >= k, count, amount::to_f64(amount::nearest(count, base) * amount::ONE))
            }
            Atom::Rows => {
                let passed = with_value >= k && self.undominated(&rows);
                (passed, row_total, amount::to_f64(amount::nearest(row_total, base) * amount::ONE))
            }
            Atom::Sum { range } => {
                let passed = with_value >= k && not_zero >= k && self.undominated(&sums);
                (passed, sum_total, amount::to_f64(amount::nearest(sum_total, amount::sum_step(range))))
            }
            Atom::Mean { range } => {
                let passed =
                    with_value >= k && not_zero >= k && self.undominated(&sums) && self.undominated(&rows);
                (passed, sum_total, mean(sum_total, row_total, range))
            }
        };
        let passed = passed && group_passed;
        Outcome {
            released: if passed { Cell::Number(value) } else { Cell::Null },
            passed,
            total,
            rows: row_total,
        }
    }

    /// The (n, k) rule with n = 2, and the p% rule.
    fn undominated(&self, contributions: &[i128]) -> bool {
        let Some(share_max) = self.controls.share_max_permille else { return true };
        let mut sizes: Vec<i128> = contributions.iter().map(|value| value.abs()).collect();
        sizes.sort_unstable_by(|a, b| b.cmp(a));
        let total: i128 = sizes.iter().sum();
        let largest = sizes.first().copied().unwrap_or(0);
        let second = sizes.get(1).copied().unwrap_or(0);
        let within_share = (largest + second) * 1000 <= total * share_max;
        let rest_covers = (total - largest - second) * 100 >= self.controls.p_percent * largest;
        within_share && rest_covers
    }
}

/// A mean at three significant digits within the declared range. Both ends of the range are exact.
#[must_use]
pub fn mean(sum: i128, values: i128, range: (i128, i128)) -> f64 {
    if values == 0 {
        return 0.0;
    }
    let quotient = amount::three_digits(sum, values * amount::ONE);
    quotient.clamp(amount::to_f64(range.0), amount::to_f64(range.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RANGE: (i128, i128) = (0, 1000 * amount::ONE);

    fn released(atom: Atom, values: &[i128]) -> Cell {
        let mut boundary = Boundary::new(Controls::L3, vec![atom], false);
        for (number, value) in values.iter().enumerate() {
            boundary.row(&format!("s{number}"), &[], &[Some(value * amount::ONE)]);
        }
        boundary.release()[0].cells[0].released.clone()
    }

    #[test]
    fn the_threshold_is_met_at_k_and_not_below() {
        assert_eq!(released(Atom::Subjects, &[1; 9]), Cell::Null);
        assert_eq!(released(Atom::Subjects, &[1; 10]), Cell::Number(10.0));
        assert_eq!(released(Atom::Subjects, &[1; 11]), Cell::Number(10.0));
        assert_eq!(released(Atom::Subjects, &[1; 13]), Cell::Number(15.0));
    }

    #[test]
    fn zeros_do_not_contribute_to_a_sum() {
        let mut values = [100; 12];
        values[0] = 0;
        values[1] = 0;
        assert_eq!(released(Atom::Sum { range: RANGE }, &values), Cell::Number(1000.0));
        values[2] = 0;
        assert_eq!(released(Atom::Sum { range: RANGE }, &values), Cell::Null);
    }

    #[test]
    fn two_large_contributors_suppress_a_sum() {
        let mut values = [10; 12];
        values[0] = 500;
        values[1] = 500;
        assert_eq!(released(Atom::Sum { range: RANGE }, &values), Cell::Null);
        assert_eq!(released(Atom::Sum { range: RANGE }, &[10; 12]), Cell::Number(120.0));
    }

    #[test]
    fn contributions_are_clamped_to_the_range() {
        let mut values = [900; 20];
        values[0] = 999_999;
        assert_eq!(released(Atom::Sum { range: RANGE }, &values), Cell::Number(18_100.0));
    }

    #[test]
    fn a_mean_is_clamped_to_its_range() {
        let hundred = 100 * amount::ONE;
        assert!((mean(hundred * 3, 2, (0, hundred)) - 100.0).abs() < 1e-9);
    }

    #[test]
    fn one_subject_with_many_rows_counts_once() {
        let mut boundary = Boundary::new(Controls::L3, vec![Atom::Rows, Atom::Subjects], true);
        for _ in 0..50 {
            boundary.row("one", &["a".to_owned()], &[Some(1), Some(1)]);
        }
        assert!(boundary.release().is_empty());
    }

    #[test]
    fn a_failing_group_has_no_row_and_an_ungrouped_question_always_one() {
        let grouped = Boundary::new(Controls::L3, vec![Atom::Rows], true);
        assert!(grouped.release().is_empty());
        let ungrouped = Boundary::new(Controls::L3, vec![Atom::Rows], false);
        assert_eq!(ungrouped.release()[0].cells[0].released, Cell::Null);
    }
}

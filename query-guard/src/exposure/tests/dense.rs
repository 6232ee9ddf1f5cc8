//! The attack written out: every name, person by person, and a dense solution by Cholesky's factors.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use super::Cubes;
use super::Knowledge;
use super::Opened;
use super::SECRET;
use super::Subjects;
use crate::cover::Hierarchy;
use crate::cover::Node;

/// One noisy count: the people in the cell, and whether those with the bit or those without it are counted.
pub(super) struct Count {
    people: Vec<usize>,
    sign: f64,
}

impl Count {
    /// The count less its mean, each bit being as likely as not.
    pub(super) fn centred(&self, bits: &[bool]) -> f64 {
        self.people.iter().map(|person| if bits[*person] { 0.5 } else { -0.5 }).sum::<f64>() * self.sign
    }

    fn shift(&self, person: usize) -> f64 {
        if self.people.contains(&person) { self.sign } else { 0.0 }
    }
}

/// All nodes below the root, with their levels.
fn nodes(hierarchy: &Hierarchy) -> Vec<Node> {
    let levels = 1..=hierarchy.leaf_level();
    let of_level = |level| {
        let (first, after) = hierarchy.nodes_in(level, 0, hierarchy.leaves());
        (first..after).map(move |index| Node { level, index })
    };
    levels.flat_map(of_level).collect()
}

/// All tuples of nodes of known columns that the cubes open.
fn tuples(opened: &Opened) -> Vec<BTreeMap<u16, Node>> {
    let known = opened.columns.iter().filter(|(_, column)| column.knowledge == Knowledge::Known);
    let mut tuples = vec![BTreeMap::new()];
    for (number, column) in known {
        let longer = tuples.iter().flat_map(|tuple: &BTreeMap<u16, Node>| {
            nodes(&column.hierarchy).into_iter().map(|node| {
                let mut tuple = tuple.clone();
                tuple.insert(*number, node);
                tuple
            })
        });
        let longer: Vec<_> = longer.collect();
        tuples.extend(longer);
    }
    tuples.retain(|tuple| match &opened.cubes {
        Cubes::Any { columns_max } => tuple.len() <= *columns_max,
        Cubes::Listed(cubes) => {
            let within = |cube: &BTreeMap<u16, u8>| {
                tuple
                    .iter()
                    .all(|(column, node)| cube.get(column).is_some_and(|finest| node.level <= *finest))
            };
            tuple.is_empty() || cubes.iter().any(within)
        }
    });
    tuples
}

/// The leaves of each node of a name, which is what its noise is keyed by.
fn spans(opened: &Opened, tuple: &BTreeMap<u16, Node>) -> BTreeMap<u16, (u32, u32)> {
    tuple.iter().map(|(column, node)| (*column, opened.columns[column].hierarchy.span(*node))).collect()
}

/// Every count of a secret of two values that anybody is in, each as often as there are measures.
pub(super) fn names(opened: &Opened, subjects: &Subjects) -> Vec<Count> {
    let mut distinct: BTreeSet<_> = tuples(opened).iter().map(|tuple| spans(opened, tuple)).collect();
    // To have a value is all less the missing, and has no name of its own.
    let all_values = |column: &u16| (0, opened.columns[column].hierarchy.missing());
    distinct.retain(|spans| spans.iter().all(|(column, span)| *span != all_values(column)));
    let mut counts = Vec::new();
    for spans in distinct {
        let is_in = |person: &usize| {
            spans
                .iter()
                .all(|(column, (start, end))| (start..end).contains(&&subjects.leaves(*column)[*person]))
        };
        let people: Vec<usize> = (0..subjects.count() as usize).filter(is_in).collect();
        if people.is_empty() {
            continue;
        }
        for sign in [1.0, -1.0] {
            counts.extend((0..=opened.measures).map(|_| Count { people: people.clone(), sign }));
        }
    }
    counts
}

/// The names of the first subject that hold a bit, which is one of two leaves of the secret column.
pub(super) fn names_of_first(opened: &Opened, subjects: &Subjects, one: u32, other: u32) -> usize {
    let contains = |hierarchy: &Hierarchy, node: &Node, leaf: u32| {
        let (start, end) = hierarchy.span(*node);
        (start..end).contains(&leaf)
    };
    let is_first = |tuple: &BTreeMap<u16, Node>| {
        let leaf = |column: &u16| subjects.leaves(*column)[0];
        tuple.iter().all(|(column, node)| contains(&opened.columns[column].hierarchy, node, leaf(column)))
    };
    let secret = &opened.columns[&SECRET].hierarchy;
    let telling = |node: &&Node| contains(secret, node, one) != contains(secret, node, other);
    let measures = usize::try_from(opened.measures).unwrap() + 1;
    let cells = tuples(opened).iter().filter(|tuple| is_first(tuple)).count();
    cells * nodes(secret).iter().filter(telling).count() * measures
}

/// The covariance of all counts, the bit of one person being given.
fn covariance(counts: &[Count], person: usize, of_bit: f64, noise: f64) -> Vec<Vec<f64>> {
    let row = |(at, left): (usize, &Count)| {
        let entry = |(other, right): (usize, &Count)| {
            let both = left.people.iter().filter(|one| **one != person && right.people.contains(one)).count();
            let both = f64::from(u32::try_from(both).unwrap()) * left.sign * right.sign * of_bit;
            both + if at == other { noise } else { 0.0 }
        };
        counts.iter().enumerate().map(entry).collect()
    };
    counts.iter().enumerate().map(row).collect()
}

/// The linear discriminant of one person's bit: the inverse covariance, times the shift of each count by the bit.
pub(super) fn weights(counts: &[Count], person: usize, of_bit: f64, noise: f64) -> Vec<f64> {
    let shift: Vec<f64> = counts.iter().map(|count| count.shift(person)).collect();
    solve(covariance(counts, person, of_bit, noise), shift)
}

/// The shift of a weighted sum of all counts by one person's bit. That of the discriminant is the square of its separation.
pub(super) fn shift(counts: &[Count], person: usize, weights: &[f64]) -> f64 {
    counts.iter().zip(weights).map(|(count, weight)| count.shift(person) * weight).sum()
}

/// Deviations between the two values of one person's bit under the best linear estimate, from the precision of the bits of all
/// people, each by itself.
pub(super) fn separation(counts: &[Count], person: usize, of_bit: f64, noise: f64) -> f64 {
    let people = counts.iter().flat_map(|count| &count.people).max().unwrap() + 1;
    let mut precision = vec![vec![0.0; people]; people];
    for count in counts {
        for one in &count.people {
            count.people.iter().for_each(|other| precision[*one][*other] += 1.0 / noise);
        }
    }
    (0..people).for_each(|one| precision[one][one] += 1.0 / of_bit);
    let unit = (0..people).map(|one| if one == person { 1.0 } else { 0.0 }).collect();
    let variance = solve(precision, unit)[person];
    (1.0 / variance - 1.0 / of_bit).max(0.0).sqrt()
}

/// Solves a symmetric positive definite system by Cholesky's factors.
fn solve(mut matrix: Vec<Vec<f64>>, mut right: Vec<f64>) -> Vec<f64> {
    let size = right.len();
    for row in 0..size {
        for column in 0..=row {
            let known: f64 = (0..column).map(|at| matrix[row][at] * matrix[column][at]).sum();
            let left = matrix[row][column] - known;
            matrix[row][column] = if row == column { left.sqrt() } else { left / matrix[column][column] };
        }
        let known: f64 = (0..row).map(|at| matrix[row][at] * right[at]).sum();
        right[row] = (right[row] - known) / matrix[row][row];
    }
    for row in (0..size).rev() {
        let known: f64 = (row + 1..size).map(|at| matrix[at][row] * right[at]).sum();
        right[row] = (right[row] - known) / matrix[row][row];
    }
    right
}

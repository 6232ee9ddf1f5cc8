//! The threshold: a cell rests on at least k subjects of every class, or it is withheld (k-anonymity of groups; Sweeney,
//! International Journal of Uncertainty, Fuzziness and Knowledge-Based Systems 10 (5), 2002).

use crate::cell::AtomStatistics;
use crate::plan::StageClass;

/// Whether at least k subjects of every class contribute to an atom; `statistics` are those of each class, by atom.
pub(crate) fn has_subjects(classes: &[StageClass], statistics: &[Vec<AtomStatistics>], atom: usize) -> bool {
    classes.iter().zip(statistics).all(|(class, atoms)| {
        atoms.get(atom).is_some_and(|statistics| statistics.contributors >= u64::from(class.subjects_min))
    })
}

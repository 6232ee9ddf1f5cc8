//! Tells whether a dataset's document has become laxer than the one its data was sealed under. Labels bind what was sealed:
//! a newer document may be stricter; under a laxer one the data must be sealed anew, by a steward who has it.
//!
//! INVARIANT(labels-bind-what-was-sealed): no question is admitted over data whose document has become laxer.

use obscura_policies::document::Column;
use obscura_policies::document::Dataset;
use obscura_policies::document::Document;
use obscura_policies::library::Library;
use obscura_policies::vocabulary::Level;

use crate::installation::library::parse_one;
use crate::storage::Manifest;

/// Says whether the document in force relaxes the labels that a version was sealed under. Labels that cannot be
/// compared count as relaxed.
pub(crate) fn is_relabelled(library: &Library, now: &Dataset, manifest: &Manifest) -> bool {
    match parse_one(&manifest.document.text).map(|document| document.value) {
        Ok(Document::Dataset(then)) => relaxes(library, now, &then, manifest),
        _ => true,
    }
}

fn relaxes(library: &Library, now: &Dataset, then: &Dataset, manifest: &Manifest) -> bool {
    if now.scheme != then.scheme || now.units != then.units || now.department != then.department {
        return true;
    }
    if library.membership_level(now) < library.membership_level(then) {
        return true;
    }
    then.columns.iter().any(|old| {
        let new = now.columns.iter().find(|new| new.name == old.name);
        // A column that is no longer named cannot be asked for.
        new.is_some_and(|new| {
            let sealed = manifest.columns.iter().find(|column| column.name == old.name.as_str());
            // The grade as it was counted then: a scheme may have been published anew since.
            let grade = sealed.and_then(|column| column.grade.parse::<Level>().ok());
            !has_same_labels(new, old) || grade.is_none() || library.column_level(now, new) < grade
        })
    })
}

/// Says whether two columns agree in everything that the guard goes by, except the grade.
fn has_same_labels(new: &Column, old: &Column) -> bool {
    new.data_type == old.data_type
        && new.scale == old.scale
        && new.role == old.role
        && new.semantic == old.semantic
        && new.range == old.range
        && new.bins == old.bins
        && new.domain == old.domain
        && new.coded == old.coded
}

//! Tells whether a dataset's document has become laxer than the one its data was sealed under. Labels bind what was sealed:
//! a newer document may be stricter; under a laxer one the data must be sealed anew, by a steward who has it.
//!
//! INVARIANT(labels-bind-what-was-sealed): no question is admitted over data whose document has become laxer.

use obscura_policies::document::Column;
use obscura_policies::document::Dataset;
use obscura_policies::document::Document;
use obscura_policies::document::Update;
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
    if now.scheme != then.scheme || has_other_units(now, then) || now.department != then.department {
        return true;
    }
    if library.membership_level(now) < library.membership_level(then) || has_other_noise(now, then) {
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

/// Says whether other subjects are counted. Without units each row counts, whether the document says `none` or lists none.
fn has_other_units(now: &Dataset, then: &Dataset) -> bool {
    *now.units != *then.units
}

/// Says whether numbers over the same version would leave with noise that does not protect them as the noise before did.
///
/// Numbers of a dataset that is never updated have no noise of their version, and so less than they had. Another usual
/// number of rows is another scale of noise, see [`has_same_labels`].
fn has_other_noise(now: &Dataset, then: &Dataset) -> bool {
    now.usual_rows != then.usual_rows || (now.update == Update::Never && then.update != Update::Never)
}

/// Says whether two columns agree in everything that the guard goes by, except the grade.
///
/// A larger usual contribution is no stricter label than a smaller one, and neither is another domain, range or width of
/// bins: the names of noise, or its scale, are then others, and the same sum leaves a second time with noise of its own.
/// An author of documents who does not have the data could average the noise away, a cent at a time
/// (`sandbox/docs/disclosure-model.md`, section 5.8).
fn has_same_labels(new: &Column, old: &Column) -> bool {
    new.data_type == old.data_type
        && new.scale == old.scale
        && new.role == old.role
        && new.semantic == old.semantic
        && new.range == old.range
        && new.bins == old.bins
        && new.usual == old.usual
        && new.usual_rows == old.usual_rows
        && new.domain == old.domain
        && new.domain_of == old.domain_of
        && new.coded == old.coded
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests may panic")]

    use super::*;

    const VISITS: &str = "\
api_version: obscura/v1
kind: Dataset
metadata: {id: hz-clinics.visits, version: 1, title: {en: Visits}}
department: hz-clinics
scheme: db33t2351-2021
usual_rows: 3
opening: limited
sharing: conditional
update: yearly
columns:
  - {name: cost, type: decimal, scale: 2, role: measure, range: [0, 2000], bins: 100, usual: 300}
  - {name: clinic, type: text, role: dimension, domain: [dental, general]}
  - {name: visited_on, type: date, role: dimension, usual_rows: {month: 2, day: 1}}
";

    fn visits(from: &str, to: &str) -> Dataset {
        assert!(VISITS.contains(from), "{from}");
        match parse_one(&VISITS.replace(from, to)).unwrap().value {
            Document::Dataset(dataset) => *dataset,
            other => unreachable!("{other:?}"),
        }
    }

    fn has_same_columns(now: &Dataset, then: &Dataset) -> bool {
        now.columns.iter().zip(&then.columns).all(|(new, old)| has_same_labels(new, old))
    }

    #[test]
    fn any_other_scale_or_name_of_noise_is_another_label() {
        let then = visits("usual: 300", "usual: 300");
        for (from, to) in [
            ("usual: 300", "usual: 299.99"),
            ("usual: 300", "usual: 300.01"),
            (", usual: 300", ""),
            ("range: [0, 2000]", "range: [0, 2100]"),
            ("bins: 100", "bins: 200"),
            ("domain: [dental, general]", "domain: [dental, general, other]"),
            (", domain: [dental, general]", ""),
            ("usual_rows: {month: 2, day: 1}", "usual_rows: {month: 3, day: 1}"),
            (", usual_rows: {month: 2, day: 1}", ""),
        ] {
            assert!(!has_same_columns(&visits(from, to), &then), "{from} becomes {to}");
            assert!(!has_same_columns(&then, &visits(from, to)), "{to} becomes {from}");
        }
        assert!(has_same_columns(&visits("usual: 300", "usual: 300.00"), &then));
        for (from, to) in
            [("usual_rows: 3", "usual_rows: 2"), ("usual_rows: 3", "usual_rows: 4"), ("usual_rows: 3\n", "")]
        {
            assert!(has_other_noise(&visits(from, to), &then), "{from} becomes {to}");
            assert!(has_other_noise(&then, &visits(from, to)), "{to} becomes {from}");
        }
    }

    #[test]
    fn to_say_that_there_are_no_units_is_no_other_label() {
        let none = "units: none\nunits_reason: each row is a visit\nusual_rows: 3\n";
        let units = "units: [{kind: resident, column: clinic}]\nusual_rows: 3\n";
        let (silent, empty) =
            (visits("update", "update"), visits("usual_rows: 3\n", "units: []\nusual_rows: 3\n"));
        let (none, some) = (visits("usual_rows: 3\n", none), visits("usual_rows: 3\n", units));
        assert!(!has_other_units(&none, &silent) && !has_other_units(&none, &empty));
        assert!(has_other_units(&none, &some) && has_other_units(&some, &none));
    }

    #[test]
    fn numbers_of_data_that_is_never_updated_have_less_noise_and_those_of_updated_data_more() {
        let (yearly, never) = (visits("yearly", "yearly"), visits("yearly", "never"));
        assert!(has_other_noise(&never, &yearly));
        assert!(!has_other_noise(&yearly, &never));
        assert!(!has_other_noise(&never, &never));
        assert!(!has_other_noise(&visits("yearly", "daily"), &yearly), "how often it is updated is no label");
    }
}

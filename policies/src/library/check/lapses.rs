//! Checks that no policy about to be published ends, or goes on, so that a laxer one is left alone.
//! It compares what policies ask for; who asks, and for what, is decided when a job comes.

use std::collections::BTreeSet;

use crate::combine::Terms;
use crate::day::Day;
use crate::document::AnyOr;
use crate::document::Dataset;
use crate::document::Policy;
use crate::library::Library;
use crate::library::check::Findings;
use crate::vocabulary::Code;
use crate::vocabulary::DatasetId;
use crate::vocabulary::Text;

/// A strict policy that ends while a laxer one for the same people, purposes and data goes on leaves the laxer one alone.
///
/// Only policies of one owner are compared: a dataset belongs to one department, and another's policies are not its stewards'
/// to read of.
pub(super) fn check(library: &Library, policy: &Policy, today: Day, findings: &mut Findings<'_>) {
    for other in library.policies().values() {
        if other.metadata.id == policy.metadata.id || other.owner != policy.owner {
            continue;
        }
        if let Some((day, dataset)) = lapse(library, policy, other, today) {
            let other = &other.metadata.id;
            let message = Text::new(
                format!("after {day} `{other}` alone opens `{dataset}`, and it allows more"),
                format!("{day} 之后只有 `{other}` 开放 `{dataset}`，而它更为宽松"),
            );
            findings.add("policy-lapses", "effective", message, lapse_help());
        }
        if let Some((day, dataset)) = lapse(library, other, policy, today) {
            let other = &other.metadata.id;
            let message = Text::new(
                format!("`{other}` ends on {day}, and this policy then allows more of `{dataset}` than both"),
                format!("`{other}` 于 {day} 到期，此后本策略对 `{dataset}` 的开放比两者并存时更宽"),
            );
            findings.add("policy-lapses", "effective", message, lapse_help());
        }
    }
}

/// The help for a strict policy that lapses.
fn lapse_help() -> Text {
    Text::new(
        "accepted: both end on the same day, or the stricter one goes on",
        "可用：两者同日到期，或较严的一份继续有效",
    )
}

/// The day and the dataset that a policy gives up to a laxer one, if it does.
fn lapse<'a>(
    library: &Library,
    ends: &'a Policy,
    goes_on: &Policy,
    today: Day,
) -> Option<(Day, &'a DatasetId)> {
    let day = ends.effective.until.filter(|day| *day >= today)?;
    let next = day.checked_add_days(1)?;
    if !goes_on.effective.covers(day) || !goes_on.effective.covers(next) || !meet(ends, goes_on) {
        return None;
    }
    let mut shared = ends.object.resources.datasets.iter().filter(|id| {
        let Some(dataset) = library.datasets().get(*id) else { return false };
        goes_on.object.resources.datasets.contains(id) && is_laxer(library, ends, goes_on, dataset, next)
    });
    shared.next().map(|dataset| (day, dataset))
}

/// True if some person may ask for one purpose under both.
fn meet(one: &Policy, other: &Policy) -> bool {
    let (a, b) = (&one.object.subjects, &other.object.subjects);
    let purposes: BTreeSet<&Code> = one.condition.purposes.iter().collect();
    !a.roles.is_disjoint(&b.roles)
        && overlap(&a.departments, &b.departments)
        && overlap(&a.districts, &b.districts)
        && other.condition.purposes.iter().any(|purpose| purposes.contains(purpose))
}

fn overlap(one: &AnyOr<Code>, other: &AnyOr<Code>) -> bool {
    match (one, other) {
        (AnyOr::Any, AnyOr::Any) => true,
        (AnyOr::Any, AnyOr::Only(list)) | (AnyOr::Only(list), AnyOr::Any) => !list.is_empty(),
        (AnyOr::Only(one), AnyOr::Only(other)) => one.iter().any(|code| other.contains(code)),
    }
}

/// True if the wide policy speaks of every person and every purpose that the narrow one speaks of.
fn reaches(wide: &Policy, narrow: &Policy) -> bool {
    let (a, b) = (&wide.object.subjects, &narrow.object.subjects);
    let within = |wide: &AnyOr<Code>, narrow: &AnyOr<Code>| match (wide, narrow) {
        (AnyOr::Any, _) => true,
        (AnyOr::Only(_), AnyOr::Any) => false,
        (AnyOr::Only(wide), AnyOr::Only(narrow)) => narrow.iter().all(|code| wide.contains(code)),
    };
    a.roles.is_superset(&b.roles)
        && within(&a.departments, &b.departments)
        && within(&a.districts, &b.districts)
        && narrow.condition.purposes.iter().all(|purpose| wide.condition.purposes.contains(purpose))
}

/// True if the policies that go on allow anything that they and the one that ends do not allow together.
fn is_laxer(library: &Library, ends: &Policy, goes_on: &Policy, dataset: &Dataset, next: Day) -> bool {
    let (Some(lost), Some(mut left)) = (library.terms(ends, dataset), library.terms(goes_on, dataset)) else {
        return false;
    };
    let mut approvals = goes_on.condition.approvals;
    let mut stays = vec![goes_on];
    // Every other policy for the same people counts among those that go on.
    for policy in library.policies().values() {
        let names = policy.object.resources.datasets.contains(&dataset.metadata.id);
        let is_third = policy.metadata.id != ends.metadata.id && policy.metadata.id != goes_on.metadata.id;
        if !names || !is_third || !policy.effective.covers(next) || !reaches(policy, ends) {
            continue;
        }
        let Some(terms) = library.terms(policy, dataset) else { continue };
        left = left.stricter(&terms);
        approvals = approvals.max(policy.condition.approvals);
        stays.push(policy);
    }
    let keeps_hours = ends.condition.hours.is_none_or(|hours| {
        let kept = |policy: &&Policy| policy.condition.hours.is_some_and(|own| own.lies_within(hours));
        stays.iter().any(kept)
    });
    let level = |policy: &Policy| {
        let grade = policy.object.resources.grade_max.as_ref()?;
        library.level(&dataset.scheme, grade)
    };
    let keeps_grade =
        level(ends).is_none_or(|max| stays.iter().any(|policy| level(policy).is_some_and(|own| own <= max)));
    let keeps_all = keeps_hours && keeps_grade && approvals >= ends.condition.approvals;
    !keeps_all || !admits_no_more(&left, &left.stricter(&lost))
}

/// True if the terms ask for at least as much as the stricter ones that they are part of.
fn admits_no_more(terms: &Terms, joined: &Terms) -> bool {
    let columns = terms.columns.iter().all(|(name, column)| {
        // What may not be used needs no mask.
        column.uses.is_empty() || joined.columns.get(name) == Some(column)
    });
    columns
        && terms.release == joined.release
        && terms.functions == joined.functions
        && terms.join_with == joined.join_with
        && terms.row_filters == joined.row_filters
        && terms.max_rows_per_subject == joined.max_rows_per_subject
        && terms.max_groups_per_subject == joined.max_groups_per_subject
        && terms.privacy_budget == joined.privacy_budget
        && terms.controls.is_at_least(&joined.controls)
}

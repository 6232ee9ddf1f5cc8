//! The floors of one job: the strictest of the schemes it touches, and the exceptions that may go below.
//! The controls that a policy asks for are not a floor, and no exception touches them.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::day::Day;
use crate::document::Exception;
use crate::document::Kind;
use crate::effective::Floor;
use crate::effective::PolicySource;
use crate::evaluate::PolicyRefusal;
use crate::library::Library;
use crate::library::excepted;
use crate::library::floors_of;
use crate::vocabulary::DatasetId;
use crate::vocabulary::Level;

/// Computes the floors of a job over these datasets.
pub(super) fn floors(
    library: &Library,
    purpose: &str,
    datasets: &BTreeSet<&DatasetId>,
    today: Day,
    sources: &mut BTreeSet<PolicySource>,
) -> Result<BTreeMap<Level, Floor>, PolicyRefusal> {
    let mut floors: BTreeMap<Level, Floor> = BTreeMap::new();
    for id in datasets {
        let dataset = library.datasets().get(*id).ok_or_else(|| PolicyRefusal::dataset_not_found(id))?;
        let scheme = library.schemes().get(&dataset.scheme).ok_or_else(|| PolicyRefusal::unresolved(id))?;
        for (level, floor) in floors_of(scheme) {
            let joined = floors.get(&level).map_or_else(|| floor.clone(), |other| other.stricter(&floor));
            floors.insert(level, joined);
        }
    }
    for (level, exceptions) in in_force(library, purpose, datasets, today) {
        let Some(floor) = floors.get_mut(&level) else { continue };
        // Several exceptions for one level count as the strictest of them.
        let under = exceptions.iter().map(|exception| excepted(&exception.controls, &floor.controls));
        if let Some(controls) = under.reduce(|one, other| one.stricter(&other)) {
            floor.controls = controls;
        }
        let named = exceptions.iter().map(|exception| exception.metadata.id.as_str());
        sources.extend(named.filter_map(|id| library.source(Kind::Exception, id).cloned()));
    }
    Ok(floors)
}

/// The exceptions in force that touch this job, by level.
fn in_force<'a>(
    library: &'a Library,
    purpose: &str,
    datasets: &BTreeSet<&DatasetId>,
    today: Day,
) -> BTreeMap<Level, Vec<&'a Exception>> {
    let mut by_level: BTreeMap<Level, Vec<&Exception>> = BTreeMap::new();
    for exception in library.exceptions().values() {
        if let Some(level) = level(library, exception, purpose, datasets, today) {
            by_level.entry(level).or_default().push(exception);
        }
    }
    by_level
}

/// The level that an exception touches in this job, if it touches it: floors hold for a whole job,
/// so an exception for one of its datasets says nothing about the others.
fn level(
    library: &Library,
    exception: &Exception,
    purpose: &str,
    datasets: &BTreeSet<&DatasetId>,
    today: Day,
) -> Option<Level> {
    let in_force = exception.from <= today && today <= exception.until;
    let approvers: BTreeSet<&str> = exception
        .approved_by
        .iter()
        .map(|approver| approver.person.trim())
        .filter(|name| !name.is_empty())
        .collect();
    let covers = !datasets.is_empty() && datasets.iter().all(|id| exception.datasets.contains(*id));
    if !in_force || !covers || approvers.len() < 2 || exception.purpose.as_str() != purpose {
        return None;
    }
    let mut level = None;
    for id in datasets {
        let dataset = library.datasets().get(*id)?;
        let own = library.level(&dataset.scheme, &exception.grade)?;
        if level.is_some_and(|level| level != own) {
            return None;
        }
        level = Some(own);
    }
    level
}

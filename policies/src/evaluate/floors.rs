//! The floors of one job: the strictest of the schemes it touches, and the exceptions that may go below.
//! The controls that a policy asks for are not a floor, and no exception touches them.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::day::Day;
use crate::document::Exception;
use crate::document::Kind;
use crate::effective::Controls;
use crate::effective::Floor;
use crate::effective::PolicySource;
use crate::evaluate::PolicyRefusal;
use crate::library::Library;
use crate::library::controls_of;
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
    for (level, controls) in excepted(library, purpose, datasets, today, sources) {
        if let Some(floor) = floors.get_mut(&level) {
            // An exception lowers the numbers of a floor. A mechanism that the floor needs stays needed, and its noise stays.
            let needed = std::mem::take(&mut floor.controls.unavailable);
            let noise = floor.controls.perturbation;
            floor.controls = controls;
            floor.controls.unavailable.extend(needed);
            floor.controls.perturbation = floor.controls.perturbation.max(noise);
        }
    }
    Ok(floors)
}

/// The controls of the exceptions in force, by level; several for one level count as the strictest of them.
fn excepted(
    library: &Library,
    purpose: &str,
    datasets: &BTreeSet<&DatasetId>,
    today: Day,
    sources: &mut BTreeSet<PolicySource>,
) -> BTreeMap<Level, Controls> {
    let mut by_level: BTreeMap<Level, Controls> = BTreeMap::new();
    for exception in library.exceptions().values() {
        let Some(level) = level(library, exception, purpose, datasets, today) else { continue };
        let controls = controls_of(&exception.controls);
        let joined = by_level.get(&level).map_or_else(|| controls.clone(), |other| other.stricter(&controls));
        by_level.insert(level, joined);
        sources.extend(library.source(Kind::Exception, exception.metadata.id.as_str()).cloned());
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
    let approvers: BTreeSet<&str> =
        exception.approved_by.iter().map(|approver| approver.person.as_str()).collect();
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

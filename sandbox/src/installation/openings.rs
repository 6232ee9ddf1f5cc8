//! Openings of sealed versions: from which day on analysts see which version of a dataset. It decides none;
//! `app/data/open_version.rs` does, when a version is sealed.
//!
//! A version without an opening, or before its day, waits: no question reads it. A version that is out of use is not seen, whatever its
//! opening says; that opening stays, since analysts have seen the version.
//!
//! INVARIANT(log-is-the-truth): which versions have an opening is known from the log. One whose row is gone is not taken for one that
//! never was: nothing older is seen in its place.

use std::collections::BTreeMap;

use obscura_policies::day::Day;
use obscura_policies::vocabulary::DatasetId;

use crate::catalog::body;
use crate::catalog::body::Body;
use crate::catalog::body::DatasetOpeningBody;
use crate::catalog::body::DatasetVersionBody;
use crate::catalog::record::RecordKind;
use crate::error::AppError;
use crate::error::During as _;
use crate::installation::Installation;
use crate::installation::honoured::named_version;
use crate::installation::honoured::without_row;
use crate::installation::library::local_time;
use crate::installation::sealed;
use crate::storage::Expected;
use crate::storage::SealedVersion;

/// The local day at an installation.
pub(crate) fn today(installation: &Installation) -> Day {
    local_time(installation.now(), &installation.settings().time_zone).day
}

/// The versions of a dataset that are in force.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Versions {
    /// The one that analysts see.
    pub(crate) opened: Option<DatasetVersionBody>,
    /// The newest, where it is a later one.
    pub(crate) waiting: Option<Waiting>,
}

/// A version that analysts do not see yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// The version.
    pub version: u64,
    /// The day from which on they see it; nothing where a later version must have more that is new.
    pub opens: Option<Day>,
}

/// The openings and the versions of a dataset, those in force by the log with the rows that count.
#[derive(Debug, Default)]
pub(crate) struct Openings {
    /// The row of each opening in force; nothing where it is gone or altered.
    openings: BTreeMap<u64, Option<DatasetOpeningBody>>,
    /// The row of each version in force; nothing where it is gone or altered.
    versions: BTreeMap<u64, Option<DatasetVersionBody>>,
}

impl Openings {
    /// Finds the version that analysts see on a day. Fails with the key of a record without a row, if that may be the version that they see.
    fn on(&self, dataset: &str, today: Day) -> Result<Versions, (RecordKind, String)> {
        let mut opened = None;
        for (version, opening) in self.openings.iter().rev() {
            let Some(body) = self.versions.get(version) else { continue };
            let missing = |kind| (kind, format!("{dataset}@{version}"));
            let opening = opening.as_ref().ok_or_else(|| missing(RecordKind::DatasetOpening))?;
            if opening.opens <= today {
                opened = Some(body.clone().ok_or_else(|| missing(RecordKind::DatasetVersion))?);
                break;
            }
        }
        let newest = self.versions.keys().last().copied();
        let seen = opened.as_ref().map(|body| body.version);
        let waiting = newest.filter(|newest| Some(*newest) > seen).map(|version| {
            let opening = self.openings.get(&version).and_then(Option::as_ref);
            Waiting { version, opens: opening.map(|opening| opening.opens) }
        });
        Ok(Versions { opened, waiting })
    }

    /// The versions that analysts have seen, in force or not, each with its opening; nothing where its row is gone, so that it is not
    /// known from which day on. The first counts whatever the clock says: it opened when it was sealed.
    pub(crate) fn seen(&self, today: Day) -> Vec<(u64, Option<&DatasetOpeningBody>)> {
        let all = self.openings.iter().map(|(version, opening)| (*version, opening.as_ref())).enumerate();
        let is_seen = |number: usize, opening: Option<&DatasetOpeningBody>| {
            number == 0 || opening.is_none_or(|opening| opening.opens <= today)
        };
        let seen = all.filter(|(number, (_, opening))| is_seen(*number, *opening));
        seen.map(|(_, version)| version).collect()
    }

    /// The openings that are still to come.
    pub(crate) fn to_come(&self, today: Day) -> impl Iterator<Item = &DatasetOpeningBody> {
        let all = self.openings.values().enumerate();
        all.filter_map(move |(number, opening)| opening.as_ref().filter(|it| number > 0 && it.opens > today))
    }

    /// The version of this number, if it is in force and has a row.
    pub(crate) fn version(&self, number: u64) -> Option<&DatasetVersionBody> {
        self.versions.get(&number)?.as_ref()
    }
}

/// The versions of one dataset.
pub(crate) async fn versions_of(
    installation: &Installation,
    dataset: &DatasetId,
) -> Result<Versions, AppError> {
    let dataset = dataset.to_string();
    let mut found = held_against_log(installation, &format!("{dataset}@"), today(installation)).await?;
    Ok(found.remove(&dataset).unwrap_or_default())
}

/// The versions of every dataset that was ever sealed, by the dataset's identifier.
pub(crate) async fn versions_of_all(
    installation: &Installation,
) -> Result<BTreeMap<String, Versions>, AppError> {
    held_against_log(installation, "", today(installation)).await
}

/// The openings and the versions of one dataset, as they are now.
pub(crate) async fn openings_of(
    installation: &Installation,
    dataset: &DatasetId,
) -> Result<Openings, AppError> {
    let dataset = dataset.to_string();
    let mut found = openings_under(installation, &format!("{dataset}@")).await?;
    Ok(found.remove(&dataset).unwrap_or_default())
}

/// Opens the manifest of the version that analysts see.
pub(crate) async fn open_opened(
    installation: &Installation,
    dataset: &DatasetId,
) -> Result<Option<SealedVersion>, AppError> {
    match versions_of(installation, dataset).await?.opened {
        None => Ok(None),
        Some(body) => sealed::open(installation, dataset, &body, Expected::Newest(body.version)).map(Some),
    }
}

/// Finds what analysts see of each dataset under a prefix. A record that seems to have no row is looked for again as long as the log
/// goes on: one that began, or ended, while rows were read is none that is gone.
async fn held_against_log(
    installation: &Installation,
    prefix: &str,
    today: Day,
) -> Result<BTreeMap<String, Versions>, AppError> {
    loop {
        installation.learn().await?;
        let before = installation.facts.lock().await.newest_change();
        let found = openings_under(installation, prefix).await?;
        let found = found.iter().map(|(id, openings)| Ok((id.clone(), openings.on(id, today)?)));
        let missing = match found.collect::<Result<BTreeMap<_, _>, _>>() {
            Ok(versions) => return Ok(versions),
            Err(missing) => missing,
        };
        installation.learn().await?;
        if installation.facts.lock().await.newest_change() == before {
            let (kind, key) = missing;
            installation.note_missing(kind, &[key]);
            return Err(without_row().into());
        }
    }
}

/// The newest version in force of each dataset of which the log has no opening, whether taken back or not.
pub(crate) async fn never_opened(installation: &Installation) -> Result<BTreeMap<String, u64>, AppError> {
    installation.learn().await?;
    let facts = installation.facts.lock().await;
    let in_force =
        facts.under(RecordKind::DatasetVersion.name(), "").filter(|(_, fact)| fact.ended.is_none());
    let mut newest: BTreeMap<String, u64> = BTreeMap::new();
    for (dataset, version) in in_force.filter_map(|(key, _)| named_version(key)) {
        let known = newest.entry(dataset.to_owned()).or_default();
        *known = (*known).max(version);
    }
    let opening = RecordKind::DatasetOpening.name();
    newest.retain(|dataset, _| facts.under(opening, &format!("{dataset}@")).next().is_none());
    Ok(newest)
}

/// The openings and versions of each dataset under a prefix, by the log and then by rows.
async fn openings_under(
    installation: &Installation,
    prefix: &str,
) -> Result<BTreeMap<String, Openings>, AppError> {
    let mut found: BTreeMap<String, Openings> = BTreeMap::new();
    for ((dataset, version), body) in by_log(installation, prefix).await? {
        found.entry(dataset).or_default().versions.insert(version, body);
    }
    for ((dataset, version), body) in by_log(installation, prefix).await? {
        found.entry(dataset).or_default().openings.insert(version, body);
    }
    Ok(found)
}

/// The records of a kind that are in force by the log, by dataset and version, each with its row; nothing where that does not count.
async fn by_log<B: Body>(
    installation: &Installation,
    prefix: &str,
) -> Result<BTreeMap<(String, u64), Option<B>>, AppError> {
    let named = |key: &str| named_version(key).map(|(dataset, version)| (dataset.to_owned(), version));
    installation.learn().await?;
    let mut found: BTreeMap<(String, u64), Option<B>> = {
        let facts = installation.facts.lock().await;
        let in_force = facts.under(B::KIND.name(), prefix).filter(|(_, fact)| fact.ended.is_none());
        in_force.filter_map(|(key, _)| Some((named(key)?, None))).collect()
    };
    for row in installation.honoured(B::KIND, prefix).await?.rows {
        if let Some(name) = named(&row.key) {
            found.insert(name, Some(body::read(&row).during("read a record")?));
        }
    }
    Ok(found)
}

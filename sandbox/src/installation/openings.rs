//! Openings of sealed versions: from which day on analysts see which version of a dataset. It decides none;
//! `app/data/open_version.rs` does, when a version is sealed.
//!
//! A version without an opening, or before its day, waits: no question reads it. A version that is out of use is not seen, whatever its
//! opening says; that opening stays, since analysts have seen the version.

use std::collections::BTreeMap;

use obscura_policies::day::Day;
use obscura_policies::vocabulary::DatasetId;

use crate::catalog::body::DatasetOpeningBody;
use crate::catalog::body::DatasetVersionBody;
use crate::error::AppError;
use crate::installation::Installation;
use crate::installation::library::local_time;
use crate::installation::sealed;
use crate::storage::Expected;
use crate::storage::SealedVersion;

/// The local day at an installation.
pub(crate) fn today(installation: &Installation) -> Day {
    local_time(installation.now(), &installation.settings().time_zone).day
}

/// The openings of a dataset that were not taken back, those to come among them.
pub(crate) async fn openings(
    installation: &Installation,
    dataset: &DatasetId,
) -> Result<Vec<DatasetOpeningBody>, AppError> {
    installation.in_force_under::<DatasetOpeningBody>(&format!("{dataset}@")).await
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

impl Versions {
    fn of(openings: &[DatasetOpeningBody], versions: Vec<DatasetVersionBody>, today: Day) -> Self {
        let opens = |version: u64| {
            openings.iter().find(|opening| opening.version == version).map(|opening| opening.opens)
        };
        let newest = versions.iter().map(|body| body.version).max();
        let has_opened = |body: &DatasetVersionBody| opens(body.version).is_some_and(|day| day <= today);
        let opened = versions.into_iter().filter(has_opened).max_by_key(|body| body.version);
        let seen = opened.as_ref().map(|body| body.version);
        let waiting = newest.filter(|newest| Some(*newest) > seen);
        Self { opened, waiting: waiting.map(|version| Waiting { version, opens: opens(version) }) }
    }
}

/// The versions of one dataset.
pub(crate) async fn versions_of(
    installation: &Installation,
    dataset: &DatasetId,
) -> Result<Versions, AppError> {
    // The versions first: one that is dropped meanwhile has a successor whose opening is read then.
    let versions = sealed::versions(installation, dataset).await?;
    let openings = openings(installation, dataset).await?;
    Ok(Versions::of(&openings, versions, today(installation)))
}

/// The versions of every dataset that was ever sealed, by the dataset's identifier.
pub(crate) async fn versions_of_all(
    installation: &Installation,
) -> Result<BTreeMap<String, Versions>, AppError> {
    let mut versions: BTreeMap<String, Vec<DatasetVersionBody>> = BTreeMap::new();
    for version in installation.all_in_force::<DatasetVersionBody>().await? {
        versions.entry(version.dataset.clone()).or_default().push(version);
    }
    let mut openings: BTreeMap<String, Vec<DatasetOpeningBody>> = BTreeMap::new();
    for opening in installation.all_in_force::<DatasetOpeningBody>().await? {
        openings.entry(opening.dataset.clone()).or_default().push(opening);
    }
    let today = today(installation);
    let of = |(dataset, versions): (String, Vec<DatasetVersionBody>)| {
        let openings = openings.get(&dataset).map(Vec::as_slice).unwrap_or_default();
        let versions = Versions::of(openings, versions, today);
        (dataset, versions)
    };
    Ok(versions.into_iter().map(of).collect())
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

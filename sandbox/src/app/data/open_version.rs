//! Use case: when analysts see a version that was just sealed. What a fixed name cannot hide is an update: the same number before and
//! after somebody came. So newer versions open in epochs, and none with few changed subjects
//! (`sandbox/docs/disclosure-model.md`, section 6).

use std::sync::Arc;

use obscura_policies::day::Day;
use obscura_policies::document::Dataset;
use obscura_policies::effective::Controls;
use obscura_policies::library::Library;
use obscura_policies::vocabulary::DatasetId;

use crate::app::data::grant_columns::grant_columns;
use crate::audit::event::Action;
use crate::audit::event::ActorName;
use crate::audit::unwraps::Account;
use crate::catalog::body::DatasetOpeningBody;
use crate::catalog::record::RecordKind;
use crate::context::Caller;
use crate::error::AppError;
use crate::error::During as _;
use crate::error::InternalError;
use crate::installation::Installation;
use crate::installation::openings::open_opened;
use crate::installation::openings::openings;
use crate::installation::openings::today;
use crate::installation::records::Note;
use crate::installation::sealed::storage_failure;
use crate::storage::ColumnKeys;
use crate::storage::Direction;
use crate::storage::SealedVersion;
use crate::storage::Side;
use crate::storage::StorageError;
use crate::storage::compared_columns;
use crate::storage::differ_enough;

/// The day from which on analysts see a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opens {
    /// At once.
    Now,
    /// From a later day on; the version of this number until then, if there is one.
    From(Day, Option<u64>),
    /// Not before a later version has more that is new: fewer than so many subjects differ from the version that analysts see.
    Waits {
        /// Fewest subjects that must differ.
        subjects_min: u32,
        /// The version that analysts go on seeing.
        seen: u64,
    },
}

/// Decides when analysts see a version, and says how that is recorded. The first opens at once, and so does one with the rows of the
/// version that they see; any other one at most once in an epoch, and only if enough subjects of every unit differ.
///
/// # Errors
/// When the catalogue or a sealed file cannot be read, the version that analysts see is not as it was sealed, or `look` says to stop.
pub(super) async fn opening_of(
    installation: &Arc<Installation>,
    caller: &Caller,
    (library, dataset): (&Library, &Dataset),
    version: &SealedVersion,
    look: Arc<dyn Fn() -> Direction + Send + Sync>,
) -> Result<(Opens, Option<DatasetOpeningBody>), AppError> {
    let today = today(installation);
    let recorded = |opens: Day, since: Day| {
        Some(DatasetOpeningBody {
            dataset: dataset.metadata.id.to_string(),
            version: version.manifest().version,
            opens,
            since,
        })
    };
    let now = (Opens::Now, recorded(today, today));
    let controls = library.controls_of(dataset);
    let controls = controls.ok_or_else(|| InternalError::of_kind("open a version", "a grade is unknown"))?;
    let Some(epoch) = controls.epoch else { return Ok(now) };
    let mut past = openings(installation, &dataset.metadata.id).await?;
    past.retain(|opening| opening.opens <= today);
    let Some(last) = past.iter().map(|opening| opening.since).max() else { return Ok(now) };
    let seen = seen(installation, &dataset.metadata.id).await?;
    let opens = today.max(epoch.next(last));
    let found = |seen: Option<u64>| {
        let when = if opens > today { Opens::From(opens, seen) } else { Opens::Now };
        (when, recorded(opens, opens))
    };
    let Some(seen) = seen else { return Ok(found(None)) };
    let number = seen.manifest().version;
    let digest = |version: &SealedVersion| {
        version.manifest().content_digest().map_err(|error| storage_failure(&error))
    };
    if digest(&seen)? == digest(version)? {
        let since =
            past.iter().filter(|opening| opening.version == number).map(|opening| opening.since).max();
        return Ok((Opens::Now, recorded(today, since.unwrap_or(last))));
    }
    let subjects_min = subjects_min(dataset, &controls);
    if !differ(installation, caller, seen, version, subjects_min, look).await? {
        return Ok((Opens::Waits { subjects_min, seen: number }, None));
    }
    Ok(found(Some(number)))
}

/// The version that analysts see. There is none that a new one could be held against where its keys are destroyed, or where its record
/// has no row, so that no question is answered until another takes its place.
async fn seen(installation: &Installation, dataset: &DatasetId) -> Result<Option<SealedVersion>, AppError> {
    let records = installation.honoured(RecordKind::DatasetVersion, &format!("{dataset}@")).await?;
    if !records.missing.is_empty() {
        return Ok(None);
    }
    Ok(open_opened(installation, dataset).await?.filter(|seen| !seen.is_shredded()))
}

/// The entry of the log that goes with an opening.
pub(crate) fn opening_note(actor: ActorName, action: Action, opening: &DatasetOpeningBody) -> Note {
    Note::new(action, actor)
        .with("dataset", opening.dataset.clone())
        .with("version", opening.version)
        .with("opens", opening.opens.to_string())
}

/// Takes back the openings to come of all other versions of a dataset: a newer one takes their place.
pub(super) async fn hold_others(
    installation: &Installation,
    caller: &Caller,
    dataset: &DatasetId,
    version: u64,
) -> Result<(), AppError> {
    let today = today(installation);
    for opening in openings(installation, dataset).await? {
        if opening.version != version && opening.opens > today {
            hold(installation, caller, &opening).await?;
        }
    }
    Ok(())
}

/// Takes back an opening to come.
pub(super) async fn hold(
    installation: &Installation,
    caller: &Caller,
    opening: &DatasetOpeningBody,
) -> Result<(), AppError> {
    let note = opening_note(ActorName::of(caller), Action::DatasetHeld, opening);
    installation.end(opening, note).await.map(|_receipt| ())
}

/// Fewest subjects of each unit that must differ: the most that any of them needs in a cell.
fn subjects_min(dataset: &Dataset, controls: &Controls) -> u32 {
    let units = dataset.units.iter().filter(|unit| unit.protects);
    units.map(|unit| controls.subjects_min(&unit.kind)).max().unwrap_or(controls.subjects_min).max(1)
}

/// Compares all rows of two versions, with the keys of all their columns on an account of the dataset, once the log says who has them.
async fn differ(
    installation: &Arc<Installation>,
    caller: &Caller,
    seen: SealedVersion,
    version: &SealedVersion,
    subjects_min: u32,
    look: Arc<dyn Fn() -> Direction + Send + Sync>,
) -> Result<bool, AppError> {
    let of_seen = keys_of(installation, caller, &seen).await?;
    let of_version = keys_of(installation, caller, version).await?;
    let version = version.clone();
    let compared = tokio::task::spawn_blocking(move || {
        let old = Side { version: &seen, keys: &of_seen };
        let new = Side { version: &version, keys: &of_version };
        differ_enough(old, new, u64::from(subjects_min), || match look() {
            Direction::Continue => Ok(()),
            Direction::Cancel | Direction::Abandon => Err(StorageError::Cancelled),
        })
    });
    compared.await.during("wait for the comparison")?.map_err(|error| storage_failure(&error))
}

/// INVARIANT(keys-leave-on-an-account): those of all columns of one version, all at once on one line.
async fn keys_of(
    installation: &Installation,
    caller: &Caller,
    version: &SealedVersion,
) -> Result<ColumnKeys, AppError> {
    let account = Account::Opening(version.dataset().clone());
    let columns = compared_columns(version.manifest());
    grant_columns(installation, caller, &account, version, &columns).await?;
    let accounted = installation.accounts.on_account(account, |keys| version.unwrap_keys(keys, &columns));
    accounted.during("account for keys")?.taken.map_err(|error| storage_failure(&error))
}

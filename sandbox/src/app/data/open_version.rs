//! Use case: when analysts see a version that was just sealed. What a fixed name cannot hide is an update: the same number before and
//! after somebody came. So newer versions open in epochs, and none with few changed subjects
//! (`sandbox/docs/disclosure-model.md`, section 6).

use std::collections::BTreeSet;
use std::sync::Arc;

use obscura_policies::day::Day;
use obscura_policies::document::Dataset;
use obscura_policies::effective::Controls;
use obscura_policies::library::Library;
use obscura_policies::vocabulary::Epoch;

use crate::app::data::grant_columns::grant_columns;
use crate::audit::Receipt;
use crate::audit::event::Action;
use crate::audit::event::ActorName;
use crate::audit::unwraps::Account;
use crate::catalog::body::DatasetOpeningBody;
use crate::catalog::body::DatasetVersionBody;
use crate::context::Caller;
use crate::error::AppError;
use crate::error::During as _;
use crate::error::InternalError;
use crate::installation::Installation;
use crate::installation::openings::Openings;
use crate::installation::openings::openings_of;
use crate::installation::openings::today;
use crate::installation::records::Note;
use crate::installation::records::RecordStep;
use crate::installation::sealed;
use crate::installation::sealed::storage_failure;
use crate::storage::ColumnKeys;
use crate::storage::Differing;
use crate::storage::Direction;
use crate::storage::Expected;
use crate::storage::SealedVersion;
use crate::storage::Side;
use crate::storage::StorageError;
use crate::storage::compared_columns;
use crate::storage::differing;

/// The day from which on analysts see a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opens {
    /// At once.
    Now,
    /// From a later day on; the version of this number until then, if there is one.
    From(Day, Option<u64>),
    /// Not before a later version has more that is new.
    Waits {
        /// Fewest subjects that must differ.
        subjects_min: u32,
        /// A version that analysts have seen and from which fewer differ.
        seen: u64,
    },
}

/// A version that was sealed and is not yet recorded, with all that says when analysts see it.
pub(super) struct NewVersion<'a> {
    pub(super) installation: &'a Arc<Installation>,
    pub(super) caller: &'a Caller,
    pub(super) library: &'a Library,
    pub(super) dataset: &'a Dataset,
    pub(super) version: &'a SealedVersion,
    /// Says, while versions are compared, whether to go on.
    pub(super) look: Arc<dyn Fn() -> Direction + Send + Sync>,
}

impl NewVersion<'_> {
    /// Records a version, and in the same step of the log when analysts see it. The first opens at once, and so does one with the rows of
    /// the version that they see; any other one at most once in an epoch, and only if from each version that they have seen nobody
    /// differs, or enough subjects do. A newer version takes the place of those that were to open.
    ///
    /// Gives no receipt where a version of this number is recorded already.
    ///
    /// # Errors
    /// When the catalogue or a sealed file cannot be read, a version that analysts have seen is not as it was sealed, or `look` says to
    /// stop.
    pub(super) async fn record(
        &self,
        body: &DatasetVersionBody,
        note: Note,
    ) -> Result<(Opens, Option<Receipt>), AppError> {
        let controls = self.library.controls_of(self.dataset);
        let controls =
            controls.ok_or_else(|| InternalError::of_kind("open a version", "a grade is unknown"))?;
        let subjects_min = self.subjects_min(&controls);
        let mut compared = BTreeSet::new();
        let mut few = None;
        loop {
            // What was compared before the right to change was had may have changed: the day, and what analysts have seen.
            let changing = self.installation.change().await?;
            let openings = openings_of(self.installation, &self.dataset.metadata.id).await?;
            let today = today(self.installation);
            let same = controls.epoch.map_or(Ok(None), |_| self.same_rows(&openings, today))?;
            let is_compared = controls.epoch.is_some() && same.is_none();
            let due = if is_compared { self.seen(&openings, today)? } else { BTreeSet::new() };
            if let Some(number) = due.into_iter().find(|number| !compared.contains(number)) {
                drop(changing);
                if few.is_none() && self.differing(&openings, number, subjects_min).await? == Differing::Few {
                    few = Some(number);
                }
                compared.insert(number);
                continue;
            }
            let waits = few.map(|seen| Opens::Waits { subjects_min, seen });
            let (opens, opening) = self.decided(controls.epoch, &openings, today, (same, waits));
            let mut steps = vec![RecordStep::begin(body, note)?];
            if let Some(opening) = &opening {
                let actor = ActorName::of(self.caller);
                steps.push(RecordStep::begin(opening, opening_note(actor, Action::DatasetOpened, opening))?);
            }
            steps.extend(held(self.caller, openings.to_come(today))?);
            let receipts = self.installation.change_while_changing(steps).await?;
            return Ok((opens, receipts.and_then(|receipts| receipts.into_iter().next())));
        }
    }

    /// The versions that analysts have seen and that are still there.
    fn seen(&self, openings: &Openings, today: Day) -> Result<BTreeSet<u64>, AppError> {
        let mut versions = BTreeSet::new();
        for (number, _) in openings.seen(today) {
            if let Some(body) = openings.version(number)
                && !self.open(body)?.is_shredded()
            {
                versions.insert(number);
            }
        }
        Ok(versions)
    }

    /// The opening of the version that analysts see, if it has the rows of this one and the same names of their values: its noise is the
    /// same too.
    fn same_rows<'o>(
        &self,
        openings: &'o Openings,
        today: Day,
    ) -> Result<Option<&'o DatasetOpeningBody>, AppError> {
        let seen = openings.seen(today).into_iter().rev();
        let mut in_force = seen.filter_map(|(number, opening)| Some((openings.version(number)?, opening)));
        let Some((body, Some(newest))) = in_force.next() else { return Ok(None) };
        let (seen, new) = (self.open(body)?, self.version);
        let digest = |version: &SealedVersion| {
            version.manifest().content_digest().map_err(|error| storage_failure(&error))
        };
        let are_same = seen.manifest().domains == new.manifest().domains && digest(&seen)? == digest(new)?;
        Ok(are_same.then_some(newest))
    }

    /// When the version opens, once it was compared with all that analysts have seen: it may have the rows of what they see, or wait.
    fn decided(
        &self,
        epoch: Option<Epoch>,
        openings: &Openings,
        today: Day,
        (same, waits): (Option<&DatasetOpeningBody>, Option<Opens>),
    ) -> (Opens, Option<DatasetOpeningBody>) {
        let recorded = |opens: Day, since: Day| {
            Some(DatasetOpeningBody {
                dataset: self.dataset.metadata.id.to_string(),
                version: self.version.manifest().version,
                opens,
                since,
            })
        };
        let seen = openings.seen(today);
        // Where it is not known since when analysts see something, it counts as if it were since today.
        let since = seen.iter().map(|(_, opening)| opening.map_or(today, |opening| opening.since));
        let (Some(epoch), Some(last)) = (epoch, since.max()) else {
            return (Opens::Now, recorded(today, today));
        };
        if let Some(same) = same {
            return (Opens::Now, recorded(today, same.since));
        }
        if let Some(waits) = waits {
            return (waits, None);
        }
        let opens = today.max(epoch.next(last));
        if opens == today {
            return (Opens::Now, recorded(today, today));
        }
        let seen = seen.iter().map(|(number, _)| *number);
        let seen = seen.filter(|number| openings.version(*number).is_some()).max();
        (Opens::From(opens, seen), recorded(opens, opens))
    }

    /// Fewest subjects of each unit that must differ: the most that any of them needs in a cell.
    fn subjects_min(&self, controls: &Controls) -> u32 {
        let units = self.dataset.units.iter().filter(|unit| unit.protects);
        units.map(|unit| controls.subjects_min(&unit.kind)).max().unwrap_or(controls.subjects_min).max(1)
    }

    fn open(&self, body: &DatasetVersionBody) -> Result<SealedVersion, AppError> {
        let expected = Expected::Exactly(body.version);
        sealed::open(self.installation, &self.dataset.metadata.id, body, expected)
    }

    /// Compares the version with one that analysts have seen, with the keys of the common columns on an account of the dataset, once the
    /// log says who has them.
    async fn differing(
        &self,
        openings: &Openings,
        number: u64,
        subjects_min: u32,
    ) -> Result<Differing, AppError> {
        let Some(body) = openings.version(number) else { return Ok(Differing::Nobody) };
        let (seen, version) = (self.open(body)?, self.version.clone());
        let of_seen = self.keys_of(&seen, &version).await?;
        let of_version = self.keys_of(&version, &seen).await?;
        let enough = u64::from(subjects_min);
        let look = Arc::clone(&self.look);
        let compared = tokio::task::spawn_blocking(move || {
            let old = Side { version: &seen, keys: &of_seen };
            let new = Side { version: &version, keys: &of_version };
            differing(old, new, enough, || match look() {
                Direction::Continue => Ok(()),
                Direction::Cancel | Direction::Abandon => Err(StorageError::Cancelled),
            })
        });
        compared.await.during("wait for the comparison")?.map_err(|error| storage_failure(&error))
    }

    /// INVARIANT(keys-leave-on-an-account): those of the columns of one version that another has too, all at once on one line.
    async fn keys_of(&self, version: &SealedVersion, other: &SealedVersion) -> Result<ColumnKeys, AppError> {
        let account = Account::Opening(version.dataset().clone());
        let columns = compared_columns(version, other);
        grant_columns(self.installation, self.caller, &account, version, &columns).await?;
        let accounted =
            self.installation.accounts.on_account(account, |keys| version.unwrap_keys(keys, &columns));
        accounted.during("account for keys")?.taken.map_err(|error| storage_failure(&error))
    }
}

/// Takes back openings to come: analysts have not seen these versions, and will not.
pub(super) fn held<'o>(
    caller: &Caller,
    to_come: impl Iterator<Item = &'o DatasetOpeningBody>,
) -> Result<Vec<RecordStep>, AppError> {
    let note = |opening| opening_note(ActorName::of(caller), Action::DatasetHeld, opening);
    to_come.map(|opening| RecordStep::end(opening, note(opening))).collect()
}

/// The entry of the log that goes with an opening.
pub(crate) fn opening_note(actor: ActorName, action: Action, opening: &DatasetOpeningBody) -> Note {
    Note::new(action, actor)
        .with("dataset", opening.dataset.clone())
        .with("version", opening.version)
        .with("opens", opening.opens.to_string())
}

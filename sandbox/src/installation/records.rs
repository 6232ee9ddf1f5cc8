//! Records that begin and end only together with their event, and are honoured only while the log agrees.
//!
//! INVARIANT(log-is-the-truth): a row counts when the log holds an event with the same kind, key and hash that began it
//! and none that ended it. A crash between row and event is decided by looking into the log, at the next start or before
//! the next change.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::audit::Receipt;
use crate::audit::event::Action;
use crate::audit::event::ActorName;
use crate::audit::event::Change;
use crate::audit::event::Event;
use crate::audit::event::RecordChange;
use crate::audit::facts::LogFacts;
use crate::catalog::CatalogError;
use crate::catalog::body;
use crate::catalog::body::Body;
use crate::catalog::record::Record;
use crate::catalog::record::RecordKind;
use crate::catalog::record::RecordState;
use crate::error::AppError;
use crate::error::Class;
use crate::error::During as _;
use crate::error::PublicError;
use crate::ids::EventId;
use crate::installation::Installation;
use crate::installation::blocking::blocking_io;
use crate::installation::honoured::is_honoured;
use crate::installation::honoured::without_row;

/// Bodies up to this size stand in the event itself; of longer ones only the hash does.
const BODY_BYTES_MAX: usize = 40_000;

/// The facts of an event besides its record.
#[derive(Debug, Clone)]
pub(crate) struct Note {
    /// The action.
    pub(crate) action: Action,
    /// The actor.
    pub(crate) actor: ActorName,
    /// The job or command it belongs to.
    pub(crate) correlation: Option<String>,
    /// Further facts.
    pub(crate) detail: BTreeMap<String, Value>,
}

impl Note {
    /// Says who did what, and nothing else.
    pub(crate) fn new(action: Action, actor: ActorName) -> Self {
        Self { action, actor, correlation: None, detail: BTreeMap::new() }
    }

    /// Adds a fact.
    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.detail.insert(name.to_owned(), value.into());
        self
    }

    /// Names the job it belongs to.
    pub(crate) fn of_job(mut self, job: impl ToString) -> Self {
        self.correlation = Some(job.to_string());
        self
    }
}

/// A change of one record, with the event that goes with it.
#[derive(Debug)]
pub(crate) struct RecordStep {
    kind: RecordKind,
    key: String,
    text: String,
    change: Change,
    note: Note,
}

impl RecordStep {
    /// Puts a record in force.
    pub(crate) fn begin<B: Body>(body: &B, note: Note) -> Result<Self, AppError> {
        Self::of(body, Change::Begins, note)
    }

    /// Ends a record.
    pub(crate) fn end<B: Body>(body: &B, note: Note) -> Result<Self, AppError> {
        Self::of(body, Change::Ends, note)
    }

    fn of<B: Body>(body: &B, change: Change, note: Note) -> Result<Self, AppError> {
        let text = body::print(body).during("write a record")?;
        Ok(Self { kind: B::KIND, key: body.key(), text, change, note })
    }

    fn record(&self) -> RecordChange {
        let change = change_of_kind(self.kind, &self.key, &self.text, self.change);
        match self.change {
            Change::Begins => change,
            Change::Ends => RecordChange { body: None, ..change },
        }
    }
}

/// A row that does not agree with the audit log.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Disagreement {
    /// Kind of record.
    pub kind: &'static str,
    /// Its name among its kind.
    pub key: String,
    /// The fault of the row.
    pub problem: &'static str,
}

impl Installation {
    /// Appends events in one durable step.
    pub(crate) async fn append(
        &self,
        notes: Vec<(Note, Option<RecordChange>)>,
    ) -> Result<Vec<Receipt>, AppError> {
        let mut events = Vec::with_capacity(notes.len());
        for (note, record) in notes {
            events.push(Event {
                id: EventId::new(self.clock.as_ref(), self.random.as_ref()).during("name an event")?,
                time: self.now(),
                action: note.action,
                actor: note.actor,
                correlation: note.correlation,
                record,
                detail: note.detail,
            });
        }
        let audit = Arc::clone(&self.audit);
        let appended = tokio::task::spawn_blocking(move || audit.append(events)).await;
        appended.during("wait for the audit log")?.during("append to the audit log")
    }

    /// Appends one event that touches no record.
    pub(crate) async fn append_one(&self, note: Note) -> Result<Receipt, AppError> {
        let receipts = self.append(vec![(note, None)]).await?;
        receipts.into_iter().next().ok_or_else(no_receipt)
    }

    /// Puts a record in force together with its event.
    ///
    /// # Errors
    /// [`CatalogError::Exists`] as `None`: there is such a record already.
    pub(crate) async fn begin<B: Body>(&self, body: &B, note: Note) -> Result<Option<Receipt>, AppError> {
        let _guard = self.change().await?;
        self.begin_while_changing(body, note).await
    }

    /// As [`Self::begin`], for callers that hold the right to change already.
    pub(crate) async fn begin_while_changing<B: Body>(
        &self,
        body: &B,
        note: Note,
    ) -> Result<Option<Receipt>, AppError> {
        let key = body.key();
        let text = body::print(body).during("write a record")?;
        self.settle_while_changing().await?;
        self.learn().await?;
        if !self.stage(B::KIND, &key, &text).await? {
            return Ok(None);
        }
        let change = change_of::<B>(&key, &text, Change::Begins);
        let receipts = match self.append(vec![(note, Some(change))]).await {
            Ok(receipts) => receipts,
            Err(error) => {
                // The log decides; a row that is staged without an event would be in the way of a second try.
                self.learn().await?;
                let begun = self.facts.lock().await.fact(B::KIND.name(), &key).is_some();
                if !begun {
                    self.catalog.discard(B::KIND, &key).await.during("discard a record")?;
                }
                return Err(error);
            }
        };
        let receipt = receipts.into_iter().next().ok_or_else(no_receipt)?;
        self.catalog.confirm(B::KIND, &key, receipt.index()).await.during("confirm a record")?;
        Ok(Some(receipt))
    }

    /// Makes several changes of records in one step of the log: all, or none. Gives their receipts in order; nothing where a record of
    /// the key of one that begins is there already, and then all stay as they are.
    pub(crate) async fn change_while_changing(
        &self,
        steps: Vec<RecordStep>,
    ) -> Result<Option<Vec<Receipt>>, AppError> {
        // A row that is staged though it is in force must not stand in the way of its end.
        self.settle_while_changing().await?;
        self.learn().await?;
        let begins = || steps.iter().filter(|step| step.change == Change::Begins);
        for (number, step) in begins().enumerate() {
            if !self.stage(step.kind, &step.key, &step.text).await? {
                for staged in begins().take(number) {
                    self.catalog.discard(staged.kind, &staged.key).await.during("discard a record")?;
                }
                return Ok(None);
            }
        }
        for step in steps.iter().filter(|step| step.change == Change::Ends) {
            self.catalog.begin_ending(step.kind, &step.key).await.during("begin to end a record")?;
        }
        let notes = steps.iter().map(|step| (step.note.clone(), Some(step.record())));
        // The next start or change settles a failure from here on, of all records alike.
        let receipts = self.append(notes.collect()).await?;
        for (step, receipt) in steps.iter().zip(&receipts) {
            let (kind, key, index) = (step.kind, &step.key, receipt.index());
            match step.change {
                Change::Begins => {
                    self.catalog.confirm(kind, key, index).await.during("confirm a record")?;
                }
                Change::Ends => self.catalog.end(kind, key, index).await.during("end a record")?,
            }
        }
        Ok(Some(receipts))
    }

    /// Ends one record and begins another in one step of the log: both, or neither. Says whether it did; where a record of
    /// the new one's key is there already, both stay as they are.
    pub(crate) async fn replace_while_changing<Old: Body, New: Body>(
        &self,
        (old, ending): (&Old, Note),
        (new, beginning): (&New, Note),
    ) -> Result<bool, AppError> {
        let steps = vec![RecordStep::end(old, ending)?, RecordStep::begin(new, beginning)?];
        self.change_while_changing(steps).await.map(|receipts| receipts.is_some())
    }

    /// Ends a record together with its event.
    pub(crate) async fn end<B: Body>(&self, body: &B, note: Note) -> Result<Receipt, AppError> {
        let _guard = self.change().await?;
        self.end_while_changing(body, note).await
    }

    /// As [`Self::end`], for callers that hold the right to change already.
    pub(crate) async fn end_while_changing<B: Body>(
        &self,
        body: &B,
        note: Note,
    ) -> Result<Receipt, AppError> {
        let receipts = self.change_while_changing(vec![RecordStep::end(body, note)?]).await?;
        receipts.into_iter().flatten().next().ok_or_else(no_receipt)
    }

    /// Stages a record, and says whether it is new. A key that the log knows is never given again, its row being there
    /// or not: the log would not honour a second record of it. Callers have settled what was staged before, and know the log.
    async fn stage(&self, kind: RecordKind, key: &str, text: &str) -> Result<bool, AppError> {
        if self.facts.lock().await.fact(kind.name(), key).is_some() {
            return Ok(false);
        }
        match self.catalog.stage(kind, key, text).await {
            Ok(()) => Ok(true),
            Err(CatalogError::Exists) => Ok(false),
            Err(error) => Err(error).during("stage a record"),
        }
    }

    /// Finds the record of this key, if it is in force and the log agrees. Only for kinds of which one that is missing
    /// is simply not there: persons, tokens, links and grants.
    pub(crate) async fn find_in_force<B: Body>(&self, key: &str) -> Result<Option<B>, AppError> {
        let Some(record) = self.catalog.record(B::KIND, key).await.during("find a record")? else {
            return Ok(None);
        };
        self.learn().await?;
        if !is_honoured(&*self.facts.lock().await, &record) {
            return Ok(None);
        }
        body::read(&record).during("read a record").map(Some)
    }

    /// Lists the records of a kind that are in force and that the log agrees with, by key.
    ///
    /// # Errors
    /// Also when one that the log has in force has no row, and something older would be taken for it.
    pub(crate) async fn all_in_force<B: Body>(&self) -> Result<Vec<B>, AppError> {
        self.in_force_under("").await
    }

    /// As [`Self::all_in_force`], of the records whose keys begin with `prefix`.
    pub(crate) async fn in_force_under<B: Body>(&self, prefix: &str) -> Result<Vec<B>, AppError> {
        let found = self.honoured(B::KIND, prefix).await?;
        if !found.missing.is_empty() {
            self.note_missing(B::KIND, &found.missing);
            return Err(without_row().into());
        }
        found.rows.iter().map(|row| body::read(row).during("read a record")).collect()
    }

    /// The records of a kind that have ended, with the index of the event that ended each.
    pub(crate) async fn ended<B: Body>(&self) -> Result<Vec<(B, u64)>, AppError> {
        let records = self.catalog.records(B::KIND).await.during("list records")?;
        let known = self.known_ever(&records).await?;
        Ok(known.into_iter().filter_map(|(body, ended)| Some((body, ended?))).collect())
    }

    /// The record of this key, and the index of the event that ended it if one did; nothing where the log knows of none.
    pub(crate) async fn find_ever<B: Body>(&self, key: &str) -> Result<Option<(B, Option<u64>)>, AppError> {
        let record = self.catalog.record(B::KIND, key).await.during("find a record")?;
        Ok(self.known_ever(record.as_slice()).await?.pop())
    }

    /// Of these records those that the log knows of, with the index of the event that ended each that has ended.
    pub(crate) async fn known_ever<B: Body>(
        &self,
        records: &[Record],
    ) -> Result<Vec<(B, Option<u64>)>, AppError> {
        self.learn().await?;
        let facts = self.facts.lock().await;
        let mut known = Vec::new();
        for record in records {
            let ended = ended_index(&facts, record);
            if ended.is_some() || is_honoured(&facts, record) {
                known.push((body::read(record).during("read a record")?, ended));
            }
        }
        Ok(known)
    }

    /// Reads the entries of the log that are not known yet.
    pub(crate) async fn learn(&self) -> Result<(), AppError> {
        let mut facts = self.facts.lock().await;
        // It waits for a process that appends, and reads what is new.
        blocking_io(|| facts.learn(&self.audit)).during("read the audit log")
    }
}

/// The event that ended a record, if row and log agree on it.
fn ended_index(facts: &LogFacts, record: &Record) -> Option<u64> {
    let fact = facts.fact(record.kind.name(), &record.key)?;
    match record.state {
        RecordState::Ended { ended_index, .. }
            if fact.ended == Some(ended_index) && fact.sha256 == record.sha256() =>
        {
            Some(ended_index)
        }
        _ => None,
    }
}

pub(super) fn change_of<B: Body>(key: &str, text: &str, change: Change) -> RecordChange {
    change_of_kind(B::KIND, key, text, change)
}

fn change_of_kind(kind: RecordKind, key: &str, text: &str, change: Change) -> RecordChange {
    let body = if text.len() <= BODY_BYTES_MAX { serde_json::from_str(text).ok() } else { None };
    RecordChange {
        kind: kind.name().to_owned(),
        key: key.to_owned(),
        sha256: obscura_crypto::sha256_hex(text.as_bytes()),
        change,
        body,
    }
}

fn no_receipt() -> AppError {
    PublicError::new(Class::Failure, "no-receipt", "the audit log gave no receipt", "审计日志未给出回执")
        .into()
}

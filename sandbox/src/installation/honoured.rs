//! The rows that count, and what follows when the log has a record in force without a row that counts.
//! It repairs nothing: a row that is gone comes back from a backup, or a newer record takes its place.

use std::collections::BTreeSet;

use crate::audit::facts::Fact;
use crate::audit::facts::LogFacts;
use crate::catalog::record::Record;
use crate::catalog::record::RecordKind;
use crate::catalog::record::RecordState;
use crate::error::AppError;
use crate::error::During as _;
use crate::error::InternalError;
use crate::installation::Installation;

/// Most records without a row that are named at a time.
const NAMED_MAX: usize = 5;

/// The rows of a kind, held against the log.
pub(crate) struct Honoured {
    /// Those that count.
    pub(crate) rows: Vec<Record>,
    /// Keys that the log has in force, without a row that counts and nothing newer in its place.
    pub(crate) missing: Vec<String>,
}

/// INVARIANT(log-is-the-truth): the one place that decides whether a row counts.
pub(crate) fn is_honoured(facts: &LogFacts, record: &Record) -> bool {
    let in_force = |fact: &Fact| fact.ended.is_none() && fact.sha256 == record.sha256();
    match (record.state, facts.fact(record.kind.name(), &record.key)) {
        (RecordState::InForce { event_index } | RecordState::Ending { event_index }, Some(fact)) => {
            fact.begun == event_index && in_force(fact)
        }
        // The process that appended its event has not marked the row yet, died before it did, or the mark was taken away.
        (RecordState::Staged { .. }, Some(fact)) => in_force(fact),
        (RecordState::Ended { .. }, _) | (_, None) => false,
    }
}

/// True if something is wrongly allowed when a record of this kind has no row that counts.
fn must_be_there(kind: RecordKind) -> bool {
    match kind {
        // An older version would take its place, and may be laxer, or hold rows that were taken out since.
        RecordKind::Document | RecordKind::DatasetVersion | RecordKind::DatasetOpening => true,
        // The people whom these let in stay out. Where two grants exclude each other, or one contains the other, the one
        // that is left applies; but each was given to be used alone.
        RecordKind::Person | RecordKind::Token | RecordKind::AccountLink | RecordKind::Grant => false,
        // These allow nothing until a person decides on them.
        RecordKind::AccessRequest | RecordKind::Proposal => false,
        // Without its row a result waits on; a decision without one is not counted, and its reviewer cannot decide again.
        RecordKind::Review | RecordKind::ReviewDecision => false,
        // A charge without a row is read from its event (`installation/charges.rs`).
        RecordKind::Charge => false,
    }
}

impl Installation {
    /// The rows of a kind, under keys that begin with `prefix`, held against the log.
    pub(crate) async fn honoured(&self, kind: RecordKind, prefix: &str) -> Result<Honoured, AppError> {
        let rows = self.rows(kind, prefix).await?;
        self.learn().await?;
        let found = self.held_against_log(kind, prefix, rows, None).await;
        if found.missing.is_empty() {
            return Ok(found);
        }
        // A record that began between reading the rows and reading the log is not among the rows. Every row is staged before
        // its event is appended, so that every record in the log has one by the time the rows are read again.
        self.learn().await?;
        let known = self.facts.lock().await.newest_change();
        let rows = self.rows(kind, prefix).await?;
        self.learn().await?;
        Ok(self.held_against_log(kind, prefix, rows, known).await)
    }

    async fn rows(&self, kind: RecordKind, prefix: &str) -> Result<Vec<Record>, AppError> {
        let rows = match prefix {
            "" => self.catalog.records(kind).await,
            prefix => self.catalog.records_under(kind, prefix).await,
        };
        rows.during("list records")
    }

    /// The rows that count, and the records without one. A record that began after the event `known` is not reported as
    /// missing.
    async fn held_against_log(
        &self,
        kind: RecordKind,
        prefix: &str,
        mut rows: Vec<Record>,
        known: Option<u64>,
    ) -> Honoured {
        let facts = self.facts.lock().await;
        rows.retain(|row| is_honoured(&facts, row));
        let in_force = || facts.under(kind.name(), prefix).filter(|(_, fact)| fact.ended.is_none());
        // Every row that counts is another record in force, so that equal numbers are all of them.
        if !must_be_there(kind) || in_force().count() == rows.len() {
            return Honoured { rows, missing: Vec::new() };
        }
        let keys: BTreeSet<&str> = rows.iter().map(|row| row.key.as_str()).collect();
        let is_old = |fact: &Fact| known.is_none_or(|known| fact.begun <= known);
        let missing = in_force().filter(|(key, fact)| is_old(fact) && !keys.contains(key));
        let missing = missing.filter(|(key, _)| !is_followed(key, &keys));
        let missing = missing.map(|(key, _)| key.to_owned()).collect();
        Honoured { rows, missing }
    }

    /// Tells the operator of records that must be there and are not.
    pub(crate) fn note_missing(&self, kind: RecordKind, missing: &[String]) {
        for key in missing.iter().take(NAMED_MAX) {
            self.note(&format!("{kind} `{key}`"), &without_row());
        }
    }

    /// Looks for records that must be there and are not, and tells the operator.
    pub(crate) async fn note_all_missing(&self) -> Result<(), AppError> {
        for kind in RecordKind::ALL {
            if must_be_there(kind) {
                let found = self.honoured(kind, "").await?;
                self.note_missing(kind, &found.missing);
            }
        }
        Ok(())
    }
}

/// The failure of an operation that depends on records of a kind when one of them has no row.
pub(crate) fn without_row() -> InternalError {
    InternalError::of_kind(
        "honour the log",
        "in force in the log, its row in the database is gone or altered",
    )
}

/// True if a newer version (`name@version`) is there, so that this one allows nothing.
fn is_followed(key: &str, there: &BTreeSet<&str>) -> bool {
    let Some((name, version)) = named_version(key) else { return false };
    there.iter().filter_map(|key| named_version(key)).any(|(other, newer)| other == name && newer > version)
}

/// The name and the version of a key that has both (`name@version`).
pub(super) fn named_version(key: &str) -> Option<(&str, u64)> {
    let (name, version) = key.rsplit_once('@')?;
    Some((name, version.parse().ok()?))
}

//! Records: rows that change what persons may do, each bound to its event in the audit log.
//! A record is staged before its event is appended and confirmed after, so that a crash leaves a row that can be
//! decided by looking into the log. This file does not look.

use std::fmt;

use obscura_crypto::sha256_hex;
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use crate::catalog::Catalog;
use crate::catalog::CatalogError;
use crate::catalog::at;

/// The subject of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RecordKind {
    /// A person and their roles; the key is their name.
    Person,
    /// An access token; the key is its identifier.
    Token,
    /// A published document; the key is `Kind/id@version`.
    Document,
    /// A sealed version of a dataset; the key is `department.name@version`.
    DatasetVersion,
    /// The day from which on analysts see a sealed version; the key is the version's.
    DatasetOpening,
    /// A grant; the key is its identifier.
    Grant,
    /// A request for access; the key is its identifier.
    AccessRequest,
    /// A policy that waits for a second person; the key is its identifier.
    Proposal,
    /// A person's link to an identity provider; the key is a keyed token of the account, `/`, and an identifier.
    AccountLink,
    /// A result that waits for reviewers; the key is the job.
    Review,
    /// The decision of one reviewer on a result; the key is the job, `/`, and their name.
    ReviewDecision,
    /// A charge to a dataset's budget of differential privacy; the key is `department.name/job`.
    Charge,
}

impl RecordKind {
    /// All kinds, in the order they are reconciled.
    pub const ALL: [Self; 12] = [
        Self::Person,
        Self::Token,
        Self::Document,
        Self::DatasetVersion,
        Self::DatasetOpening,
        Self::Grant,
        Self::AccessRequest,
        Self::Proposal,
        Self::AccountLink,
        Self::Review,
        Self::ReviewDecision,
        Self::Charge,
    ];

    /// The word used in the database and in the audit log.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Token => "token",
            Self::Document => "document",
            Self::DatasetVersion => "dataset-version",
            Self::DatasetOpening => "dataset-opening",
            Self::Grant => "grant",
            Self::AccessRequest => "access-request",
            Self::Proposal => "proposal",
            Self::AccountLink => "account-link",
            Self::Review => "review",
            Self::ReviewDecision => "review-decision",
            Self::Charge => "charge",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl fmt::Display for RecordKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The state of a record in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordState {
    /// Written, its event not yet known to be in the log.
    Staged {
        /// Index of an event; none unless a hand-made edit has taken the row back to this state.
        event_index: Option<u64>,
    },
    /// In force since this event.
    InForce {
        /// Index of the event that began it.
        event_index: u64,
    },
    /// In force, and about to end: the event that ends it may be in the log already.
    Ending {
        /// Index of the event that began it.
        event_index: u64,
    },
    /// Ended.
    Ended {
        /// Index of the event that began it.
        event_index: u64,
        /// Index of the event that ended it.
        ended_index: u64,
    },
}

/// One row as it stands in the database; believed only once the log confirms it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The kind of its subject.
    pub kind: RecordKind,
    /// Its name among its kind.
    pub key: String,
    /// Canonical JSON.
    pub body: String,
    /// Its state.
    pub state: RecordState,
}

impl Record {
    /// SHA-256 of the body, computed now: never a stored number.
    #[must_use]
    pub fn sha256(&self) -> String {
        sha256_hex(self.body.as_bytes())
    }
}

impl Catalog {
    /// Writes a record whose event is about to be appended.
    ///
    /// # Errors
    /// [`CatalogError::Exists`] when there is one with this key, in whatever state.
    pub async fn stage(&self, kind: RecordKind, key: &str, body: &str) -> Result<(), CatalogError> {
        let done = sqlx::query("INSERT INTO record (kind, key, body, state) VALUES (?, ?, ?, 'staged')")
            .bind(kind.name())
            .bind(key)
            .bind(body)
            .execute(self.pool())
            .await;
        match done {
            Ok(_) => Ok(()),
            Err(sqlx::Error::Database(error)) if error.is_unique_violation() => Err(CatalogError::Exists),
            Err(error) => Err(at("stage a record")(error)),
        }
    }

    /// Puts a staged record in force, its event being in the log at `index`.
    ///
    /// # Errors
    /// When the database fails or the record is not staged.
    pub async fn confirm(&self, kind: RecordKind, key: &str, index: u64) -> Result<(), CatalogError> {
        let done = sqlx::query(
            "UPDATE record SET state = 'in_force', event_index = ? WHERE kind = ? AND key = ? AND state = 'staged'",
        )
        .bind(to_column(index)?)
        .bind(kind.name())
        .bind(key)
        .execute(self.pool())
        .await
        .map_err(at("confirm a record"))?;
        exactly_one(done.rows_affected())
    }

    /// Forgets a staged record whose event never reached the log.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn discard(&self, kind: RecordKind, key: &str) -> Result<(), CatalogError> {
        sqlx::query("DELETE FROM record WHERE kind = ? AND key = ? AND state = 'staged'")
            .bind(kind.name())
            .bind(key)
            .execute(self.pool())
            .await
            .map_err(at("discard a record"))?;
        Ok(())
    }

    /// Writes a record as the log tells it, its event being there at `index`, in the place of whatever row has its key.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn restore(
        &self,
        kind: RecordKind,
        key: &str,
        body: &str,
        index: u64,
    ) -> Result<(), CatalogError> {
        sqlx::query(
            "INSERT INTO record (kind, key, body, state, event_index) VALUES (?1, ?2, ?3, 'in_force', ?4) \
             ON CONFLICT (kind, key) DO UPDATE SET body = ?3, state = 'in_force', event_index = ?4, ended_index = NULL",
        )
        .bind(kind.name())
        .bind(key)
        .bind(body)
        .bind(to_column(index)?)
        .execute(self.pool())
        .await
        .map_err(at("restore a record"))?;
        Ok(())
    }

    /// Marks a record whose ending event is about to be appended.
    ///
    /// # Errors
    /// When the database fails or the record is not in force.
    pub async fn begin_ending(&self, kind: RecordKind, key: &str) -> Result<(), CatalogError> {
        let done = sqlx::query(
            "UPDATE record SET state = 'ending' WHERE kind = ? AND key = ? AND state IN ('in_force', 'ending')",
        )
        .bind(kind.name())
        .bind(key)
        .execute(self.pool())
        .await
        .map_err(at("begin to end a record"))?;
        exactly_one(done.rows_affected())
    }

    /// Ends a record, its ending event being in the log at `index`.
    ///
    /// # Errors
    /// When the database fails or the record is not about to end.
    pub async fn end(&self, kind: RecordKind, key: &str, index: u64) -> Result<(), CatalogError> {
        let done = sqlx::query(
            "UPDATE record SET state = 'ended', ended_index = ? WHERE kind = ? AND key = ? AND state = 'ending'",
        )
        .bind(to_column(index)?)
        .bind(kind.name())
        .bind(key)
        .execute(self.pool())
        .await
        .map_err(at("end a record"))?;
        exactly_one(done.rows_affected())
    }

    /// Takes back a mark whose ending event never reached the log.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn keep(&self, kind: RecordKind, key: &str) -> Result<(), CatalogError> {
        sqlx::query("UPDATE record SET state = 'in_force' WHERE kind = ? AND key = ? AND state = 'ending'")
            .bind(kind.name())
            .bind(key)
            .execute(self.pool())
            .await
            .map_err(at("keep a record"))?;
        Ok(())
    }

    /// Finds one record, whatever its state.
    ///
    /// # Errors
    /// When the database fails or the row is unreadable.
    pub async fn record(&self, kind: RecordKind, key: &str) -> Result<Option<Record>, CatalogError> {
        let row = sqlx::query("SELECT * FROM record WHERE kind = ? AND key = ?")
            .bind(kind.name())
            .bind(key)
            .fetch_optional(self.pool())
            .await
            .map_err(at("find a record"))?;
        row.map(|row| read(&row)).transpose()
    }

    /// Lists all records of a kind by key, whatever their state.
    ///
    /// # Errors
    /// When the database fails or a row is unreadable.
    pub async fn records(&self, kind: RecordKind) -> Result<Vec<Record>, CatalogError> {
        let rows = sqlx::query("SELECT * FROM record WHERE kind = ? ORDER BY key")
            .bind(kind.name())
            .fetch_all(self.pool())
            .await
            .map_err(at("list records"))?;
        rows.iter().map(read).collect()
    }

    /// Lists the records of a kind whose keys begin with `prefix` (ASCII), whatever their state.
    ///
    /// # Errors
    /// When the database fails or a row is unreadable.
    pub async fn records_under(&self, kind: RecordKind, prefix: &str) -> Result<Vec<Record>, CatalogError> {
        // DEL sorts after every character that a key may hold.
        let rows = sqlx::query("SELECT * FROM record WHERE kind = ? AND key >= ? AND key < ? ORDER BY key")
            .bind(kind.name())
            .bind(prefix)
            .bind(format!("{prefix}\u{7f}"))
            .fetch_all(self.pool())
            .await
            .map_err(at("list records"))?;
        rows.iter().map(read).collect()
    }

    /// Lists requests for access, newest first, from the one before `before` on; of one person or of everybody.
    ///
    /// # Errors
    /// When the database fails or a row is unreadable.
    pub async fn requests(
        &self,
        person: Option<&str>,
        before: Option<&str>,
        most: u32,
    ) -> Result<Vec<Record>, CatalogError> {
        // The kind is written out, so that the index over it is used.
        let whose = match person {
            Some(_) => "json_extract(body, '$.person') = ?1",
            None => "?1 IS NULL",
        };
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
            "SELECT * FROM record WHERE kind = 'access-request' AND {whose} AND (?2 IS NULL OR key < ?2) \
             ORDER BY key DESC LIMIT ?3"
        )))
        .bind(person)
        .bind(before)
        .bind(most)
        .fetch_all(self.pool())
        .await
        .map_err(at("list requests for access"))?;
        rows.iter().map(read).collect()
    }

    /// Lists the requests for access of one person that have not ended, oldest first.
    ///
    /// # Errors
    /// When the database fails or a row is unreadable.
    pub async fn open_requests(&self, person: &str) -> Result<Vec<Record>, CatalogError> {
        let rows = sqlx::query(
            "SELECT * FROM record WHERE kind = 'access-request' AND json_extract(body, '$.person') = ? \
             AND state <> 'ended' ORDER BY key",
        )
        .bind(person)
        .fetch_all(self.pool())
        .await
        .map_err(at("list open requests for access"))?;
        rows.iter().map(read).collect()
    }

    /// Lists the records that a crash may have left between database and log.
    ///
    /// # Errors
    /// When the database fails or a row is unreadable.
    pub async fn undecided(&self) -> Result<Vec<Record>, CatalogError> {
        let rows = sqlx::query("SELECT * FROM record WHERE state IN ('staged', 'ending') ORDER BY kind, key")
            .fetch_all(self.pool())
            .await
            .map_err(at("list undecided records"))?;
        rows.iter().map(read).collect()
    }
}

fn read(row: &SqliteRow) -> Result<Record, CatalogError> {
    let text = |name: &'static str| row.try_get::<String, _>(name).map_err(at("read a record"));
    let index = |name: &'static str| {
        let stored = row.try_get::<Option<i64>, _>(name).map_err(at("read a record"))?;
        stored.map(|n| u64::try_from(n).map_err(|_| CatalogError::Unreadable)).transpose()
    };
    let state = match (text("state")?.as_str(), index("event_index")?, index("ended_index")?) {
        ("staged", event_index, _) => RecordState::Staged { event_index },
        ("in_force", Some(event_index), _) => RecordState::InForce { event_index },
        ("ending", Some(event_index), _) => RecordState::Ending { event_index },
        ("ended", Some(event_index), Some(ended_index)) => RecordState::Ended { event_index, ended_index },
        _ => return Err(CatalogError::Unreadable),
    };
    let kind = RecordKind::from_name(&text("kind")?).ok_or(CatalogError::Unreadable)?;
    Ok(Record { kind, key: text("key")?, body: text("body")?, state })
}

fn exactly_one(rows: u64) -> Result<(), CatalogError> {
    if rows == 1 { Ok(()) } else { Err(CatalogError::Unreadable) }
}

/// Log indexes fit a signed column until the log has 2^63 entries.
pub(crate) fn to_column(index: u64) -> Result<i64, CatalogError> {
    i64::try_from(index).map_err(|_| CatalogError::Unreadable)
}

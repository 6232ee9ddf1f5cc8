//! The metadata database: records of persons, data and permissions, and the jobs.
//! It keeps rows and nothing more: `app` decides against the audit log whether a row is honoured.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use sqlx::SqlitePool;
use sqlx::migrate::MigrateError;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::sqlite::SqliteJournalMode;
use sqlx::sqlite::SqlitePoolOptions;
use sqlx::sqlite::SqliteSynchronous;
use thiserror::Error;

pub mod body;
pub mod record;

/// Longest wait of a clearing for readers, in milliseconds: no writer gets in meanwhile.
const CLEARING_PATIENCE: &str = "PRAGMA busy_timeout = 1000";

/// The metadata database of one installation.
#[derive(Debug, Clone)]
pub struct Catalog {
    pool: SqlitePool,
}

/// The metadata database failed.
#[derive(Debug, Error)]
pub enum CatalogError {
    /// The database could not be opened or asked.
    #[error("the metadata database failed at `{step}`")]
    Database {
        /// The step that failed.
        step: &'static str,
        /// The database's error.
        #[source]
        source: sqlx::Error,
    },
    /// The tables could not be brought up to date.
    #[error("the metadata database could not be brought up to date")]
    Migration(#[source] MigrateError),
    /// There is a row of this kind and key already.
    #[error("there is a record of this kind and name already")]
    Exists,
    /// A row does not have the form this version writes.
    #[error("a row of the metadata database is unreadable")]
    Unreadable,
}

/// The fate of the pages that hold deleted rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum OldPages {
    /// They are in no file of the database any more.
    Cleared,
    /// A reader still uses them: they stay in the files until it has ended and they are cleared again.
    Held,
}

/// The treatment of a missing database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// Make it.
    Create,
    /// Fail.
    Fail,
}

impl Catalog {
    /// Opens the database and brings its tables up to date.
    ///
    /// # Errors
    /// When the file cannot be opened, is no database, or comes from a later version.
    pub async fn open(path: &Path, missing: Missing) -> Result<Self, CatalogError> {
        // A commit is on disk when it returns: the audit log and the database must not disagree after a power cut.
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(missing == Missing::Create)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            // Deleting a wrapped key shreds what it opens, so its bytes must not linger in free pages.
            .pragma("secure_delete", "ON")
            .busy_timeout(Duration::from_secs(30));
        let pool =
            SqlitePoolOptions::new().max_connections(4).connect_with(options).await.map_err(at("open"))?;
        sqlx::migrate!("src/catalog/migrations").run(&pool).await.map_err(CatalogError::Migration)?;
        Ok(Self { pool })
    }

    /// Closes the database, so that its files can be moved or copied.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// True if the database answers at all.
    pub async fn answers(&self) -> bool {
        sqlx::query("SELECT 1").execute(&self.pool).await.is_ok()
    }

    /// Notes when a token was used.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn note_token_use(&self, token: &str, now: Timestamp) -> Result<(), CatalogError> {
        sqlx::query(
            "INSERT INTO token_use (token, used_ms) VALUES (?1, ?2) \
             ON CONFLICT (token) DO UPDATE SET used_ms = ?2",
        )
        .bind(token)
        .bind(now.as_millisecond())
        .execute(&self.pool)
        .await
        .map_err(at("note the use of a token"))?;
        Ok(())
    }

    /// When each token was last used.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn token_uses(&self) -> Result<BTreeMap<String, Timestamp>, CatalogError> {
        let rows: Vec<(String, i64)> = sqlx::query_as("SELECT token, used_ms FROM token_use")
            .fetch_all(&self.pool)
            .await
            .map_err(at("read the uses of tokens"))?;
        let read = |(token, millis)| {
            let used = Timestamp::from_millisecond(millis).map_err(|_| CatalogError::Unreadable)?;
            Ok((token, used))
        };
        rows.into_iter().map(read).collect()
    }

    /// Clears the pages that hold what was deleted, also from the write-ahead log, and says whether they are gone. It waits
    /// no longer than a second for each of those who read or write meanwhile.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn clear_old_pages(&self) -> Result<OldPages, CatalogError> {
        let step = "clear old pages";
        let mut connection = self.pool.acquire().await.map_err(at(step))?;
        // Its wait is shorter than that of other connections, so it must not go back to the pool.
        connection.close_on_drop();
        sqlx::query(CLEARING_PATIENCE).execute(&mut *connection).await.map_err(at(step))?;
        let (busy, _pages, _written): (i64, i64, i64) = sqlx::query_as("PRAGMA wal_checkpoint(TRUNCATE)")
            .fetch_one(&mut *connection)
            .await
            .map_err(at(step))?;
        // SQLite says so in an answer, not in an error.
        Ok(if busy == 0 { OldPages::Cleared } else { OldPages::Held })
    }

    /// True if the database finds its file intact.
    ///
    /// # Errors
    /// When it cannot be asked.
    pub async fn is_intact(&self) -> Result<bool, CatalogError> {
        let answer: String = sqlx::query_scalar("PRAGMA integrity_check")
            .fetch_one(&self.pool)
            .await
            .map_err(at("integrity check"))?;
        Ok(answer == "ok")
    }

    /// The connections, for the job store.
    pub(crate) fn pool(&self) -> &SqlitePool {
        &self.pool
    }
}

/// Says at which step the database failed.
pub(crate) fn at(step: &'static str) -> impl FnOnce(sqlx::Error) -> CatalogError {
    move |source| CatalogError::Database { step, source }
}

#[cfg(test)]
mod tests;

//! The life of a record, and that the database keeps it across reopening.

#![expect(clippy::unwrap_used, reason = "tests may panic")]

use tempfile::TempDir;

use super::*;
use crate::catalog::record::RecordKind;
use crate::catalog::record::RecordState;

async fn catalog(folder: &TempDir) -> Catalog {
    Catalog::open(&folder.path().join("obscura.db"), Missing::Create).await.unwrap()
}

#[tokio::test]
async fn record_goes_from_staged_to_ended_and_survives_reopening() {
    let folder = TempDir::new().unwrap();
    let first = catalog(&folder).await;
    first.stage(RecordKind::Grant, "grant_1", "{}").await.unwrap();
    assert_eq!(first.undecided().await.unwrap().len(), 1);
    first.confirm(RecordKind::Grant, "grant_1", 7).await.unwrap();
    first.begin_ending(RecordKind::Grant, "grant_1").await.unwrap();
    first.close().await;

    let second = catalog(&folder).await;
    let record = second.record(RecordKind::Grant, "grant_1").await.unwrap().unwrap();
    assert_eq!(record.state, RecordState::Ending { event_index: 7 });
    second.end(RecordKind::Grant, "grant_1", 9).await.unwrap();
    let record = second.record(RecordKind::Grant, "grant_1").await.unwrap().unwrap();
    assert_eq!(record.state, RecordState::Ended { event_index: 7, ended_index: 9 });
    assert!(second.undecided().await.unwrap().is_empty());
}

#[tokio::test]
async fn same_key_cannot_be_used_twice() {
    let folder = TempDir::new().unwrap();
    let catalog = catalog(&folder).await;
    catalog.stage(RecordKind::Person, "lin", "{}").await.unwrap();
    assert!(matches!(catalog.stage(RecordKind::Person, "lin", "{}").await, Err(CatalogError::Exists)));
    catalog.stage(RecordKind::Token, "lin", "{}").await.unwrap();
}

#[tokio::test]
async fn record_in_force_can_be_neither_discarded_nor_confirmed_again() {
    let folder = TempDir::new().unwrap();
    let catalog = catalog(&folder).await;
    catalog.stage(RecordKind::Person, "lin", "{}").await.unwrap();
    catalog.confirm(RecordKind::Person, "lin", 1).await.unwrap();
    assert!(catalog.confirm(RecordKind::Person, "lin", 2).await.is_err());
    catalog.discard(RecordKind::Person, "lin").await.unwrap();
    assert!(catalog.record(RecordKind::Person, "lin").await.unwrap().is_some());
}

#[tokio::test]
async fn missing_database_is_a_failure_unless_it_is_to_be_made() {
    let folder = TempDir::new().unwrap();
    assert!(Catalog::open(&folder.path().join("none.db"), Missing::Fail).await.is_err());
}

#[tokio::test]
async fn database_is_durable_at_commit() {
    let folder = TempDir::new().unwrap();
    let catalog = catalog(&folder).await;
    let mode: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(catalog.pool()).await.unwrap();
    let synchronous: i64 = sqlx::query_scalar("PRAGMA synchronous").fetch_one(catalog.pool()).await.unwrap();
    assert_eq!((mode.as_str(), synchronous), ("wal", 2));
    assert!(catalog.is_intact().await.unwrap());
}

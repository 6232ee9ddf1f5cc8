//! Entries of the audit log, and proofs of them, on the wire.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::app::log::search_log::FoundEvents;
use crate::audit::event::LoggedEvent;

/// Most events in one answer.
pub(crate) const EVENTS_MAX: u64 = 1000;

/// An event of the audit log.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Event)]
pub(crate) struct EventView {
    /// Its place in the log, from 0.
    pub(crate) index: u64,
    /// Identifier.
    pub(crate) id: String,
    /// When.
    #[schema(format = DateTime)]
    pub(crate) time: String,
    /// The action.
    pub(crate) action: String,
    /// The name of the actor.
    pub(crate) actor: String,
    /// The way they came in.
    pub(crate) door: String,
    /// The address that they came from, over a network.
    #[serde(default)]
    pub(crate) address: Option<String>,
    /// The job that it belongs to.
    pub(crate) correlation: Option<String>,
    /// The record that it begins or ends.
    pub(crate) record: Option<String>,
    /// The datasets that it is about.
    #[serde(default)]
    pub(crate) datasets: BTreeSet<String>,
    /// Further facts.
    #[schema(value_type = Object)]
    pub(crate) detail: Value,
}

impl EventView {
    pub(crate) fn of(event: LoggedEvent) -> Self {
        Self {
            datasets: event.datasets(),
            address: event.actor.address.map(|address| address.to_string()),
            index: event.index,
            id: event.id,
            time: event.time.to_string(),
            action: event.action,
            actor: event.actor.name,
            door: event.actor.door,
            correlation: event.correlation,
            record: event.record.map(|record| format!("{}/{}", record.kind, record.key)),
            detail: Value::Object(event.detail.into_iter().collect()),
        }
    }
}

/// Events, oldest first.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct EventList {
    /// The events.
    pub(crate) events: Vec<EventView>,
    /// The number of entries in the log.
    pub(crate) size: u64,
    /// The first entry that was looked at: what to send as `before` for older ones.
    pub(crate) looked_from: u64,
    /// The entry behind the last one that was looked at: what to send as `from` for newer ones.
    pub(crate) looked_to: u64,
}

impl EventList {
    pub(crate) fn of(found: FoundEvents) -> Self {
        let FoundEvents { events, looked_from, looked_to, size } = found;
        Self { events: events.into_iter().map(EventView::of).collect(), size, looked_from, looked_to }
    }
}

/// A cosigned checkpoint that is kept.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CosignedCheckpoint {
    /// The number of entries that it covers.
    pub(crate) size: u64,
    /// The witnesses that cosigned it.
    pub(crate) witnesses: Vec<WitnessView>,
}

/// A cosignature.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Cosignature)]
pub(crate) struct WitnessView {
    /// Name of the witness.
    pub(crate) name: String,
    /// When, in seconds since 1970.
    pub(crate) time: u64,
}

/// Proof that the log of a size is the beginning of the newest one (RFC 9162, section 2.1.4).
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ConsistencyProof {
    /// The size of the older log.
    pub(crate) from: u64,
    /// The hashes, in base64.
    pub(crate) hashes: Vec<String>,
    /// The newest signed checkpoint.
    pub(crate) checkpoint: String,
}

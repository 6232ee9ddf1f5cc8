//! Events of the audit log and their one written form: OCSF 1.8 Datastore Activity as canonical JSON (RFC 8785).
//! A format we keep. Events carry names, hashes and verdicts; never rows, and SQL only sealed.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::net::IpAddr;

use jiff::Timestamp;
use serde::Deserialize;
use serde::Serialize;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::audit::AuditError;
use crate::context::Caller;
use crate::context::Door;
use crate::ids::EventId;

/// Most bytes of one entry (C2SP tlog-tiles: a 16-bit length).
pub const ENTRY_BYTES_MAX: usize = 65_535;

const OCSF_VERSION: &str = "1.8.0";
const CLASS_UID: i64 = 6005;
/// OCSF types of a datastore resource.
const DATABASE: i64 = 1;
const TABLE: i64 = 3;
/// OCSF has no type of observable for the name of a table.
const OTHER: i64 = 99;

/// The kind of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// The installation was made and its log begun.
    LogBegun,
    /// A person was added.
    PersonAdded,
    /// A person was removed.
    PersonRemoved,
    /// A token was made.
    TokenCreated,
    /// A token was revoked.
    TokenRevoked,
    /// A document was put in force.
    DocumentPublished,
    /// A document was taken out of force.
    DocumentRetired,
    /// A dataset version was sealed.
    DatasetSealed,
    /// It was decided from which day on analysts see a dataset version.
    DatasetOpened,
    /// A dataset version that was to open to analysts does not.
    DatasetHeld,
    /// A dataset version was taken out of use.
    DatasetDropped,
    /// A dataset version's keys were destroyed.
    DatasetShredded,
    /// A grant was given.
    GrantCreated,
    /// A grant was revoked.
    GrantRevoked,
    /// A key-encryption key was made or rotated.
    KeyRotated,
    /// The guard gave its verdict, before anything was run.
    QueryDecided,
    /// A question waits for the approval of a request for access.
    QueryPending,
    /// The engine ran the approved plan.
    QueryExecuted,
    /// The control step looked at every cell.
    OutputChecked,
    /// A result was released.
    ResultReleased,
    /// Controls let nothing out.
    ResultWithheld,
    /// A released result was fetched again.
    ResultDownloaded,
    /// A job failed by our fault, or died with the process.
    JobFailed,
    /// A job was stopped before anything left.
    JobCancelled,
    /// A person was authenticated.
    LoginSucceeded,
    /// An attempt to authenticate failed.
    LoginFailed,
    /// A request was answered.
    RequestAnswered,
    /// An analyst asked for access.
    AccessRequested,
    /// A steward decided on a request for access, or its author took it back.
    AccessDecided,
    /// A policy waits for a second person.
    PolicyProposed,
    /// A proposed policy was put in force by a second person, or taken back.
    PolicyDecided,
    /// A person was linked to their account at the identity provider.
    PersonLinked,
    /// A person's link was ended.
    PersonUnlinked,
    /// A checkpoint of this log was cosigned by witnesses and kept.
    CheckpointCosigned,
    /// An admitted job may be given the keys of these columns and no others.
    KeysGranted,
    /// The text of a question was read.
    QuestionRead,
    /// The key of a question's text was destroyed.
    QuestionShredded,
    /// A protected result waits for reviewers.
    ReviewAwaited,
    /// A reviewer looks at a result that waits, before they have it.
    ReviewViewed,
    /// A reviewer decided.
    ReviewDecided,
    /// A result waited for its reviewers too long.
    ReviewExpired,
    /// A budget of differential privacy was charged for an admitted job, before anything was run.
    BudgetCharged,
}

impl Action {
    /// All actions. Append only: a name is never used for something else.
    pub const ALL: [Self; 42] = [
        Self::LogBegun,
        Self::PersonAdded,
        Self::PersonRemoved,
        Self::TokenCreated,
        Self::TokenRevoked,
        Self::DocumentPublished,
        Self::DocumentRetired,
        Self::DatasetSealed,
        Self::DatasetDropped,
        Self::DatasetShredded,
        Self::GrantCreated,
        Self::GrantRevoked,
        Self::KeyRotated,
        Self::QueryDecided,
        Self::QueryPending,
        Self::QueryExecuted,
        Self::OutputChecked,
        Self::ResultReleased,
        Self::ResultWithheld,
        Self::ResultDownloaded,
        Self::JobFailed,
        Self::JobCancelled,
        Self::LoginSucceeded,
        Self::LoginFailed,
        Self::RequestAnswered,
        Self::AccessRequested,
        Self::AccessDecided,
        Self::PolicyProposed,
        Self::PolicyDecided,
        Self::PersonLinked,
        Self::PersonUnlinked,
        Self::CheckpointCosigned,
        Self::KeysGranted,
        Self::QuestionRead,
        Self::QuestionShredded,
        Self::ReviewAwaited,
        Self::ReviewViewed,
        Self::ReviewDecided,
        Self::ReviewExpired,
        Self::BudgetCharged,
        Self::DatasetOpened,
        Self::DatasetHeld,
    ];

    /// The event's name, as `metadata.event_code`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::LogBegun => "log.begun",
            Self::PersonAdded => "person.added",
            Self::PersonRemoved => "person.removed",
            Self::TokenCreated => "token.created",
            Self::TokenRevoked => "token.revoked",
            Self::DocumentPublished => "document.published",
            Self::DocumentRetired => "document.retired",
            Self::DatasetSealed => "dataset.sealed",
            Self::DatasetOpened => "dataset.opened",
            Self::DatasetHeld => "dataset.held",
            Self::DatasetDropped => "dataset.dropped",
            Self::DatasetShredded => "dataset.shredded",
            Self::GrantCreated => "grant.created",
            Self::GrantRevoked => "grant.revoked",
            Self::KeyRotated => "key.rotated",
            Self::QueryDecided => "query.decided",
            Self::QueryPending => "query.pending",
            Self::QueryExecuted => "query.executed",
            Self::OutputChecked => "output.checked",
            Self::ResultReleased => "result.released",
            Self::ResultWithheld => "result.withheld",
            Self::ResultDownloaded => "result.downloaded",
            Self::JobFailed => "job.failed",
            Self::JobCancelled => "job.cancelled",
            Self::LoginSucceeded => "login.succeeded",
            Self::LoginFailed => "login.failed",
            Self::RequestAnswered => "request.answered",
            Self::AccessRequested => "access.requested",
            Self::AccessDecided => "access.decided",
            Self::PolicyProposed => "policy.proposed",
            Self::PolicyDecided => "policy.decided",
            Self::PersonLinked => "person.linked",
            Self::PersonUnlinked => "person.unlinked",
            Self::CheckpointCosigned => "checkpoint.cosigned",
            Self::KeysGranted => "keys.granted",
            Self::QuestionRead => "question.read",
            Self::QuestionShredded => "question.shredded",
            Self::ReviewAwaited => "review.awaited",
            Self::ReviewViewed => "review.viewed",
            Self::ReviewDecided => "review.decided",
            Self::ReviewExpired => "review.expired",
            Self::BudgetCharged => "budget.charged",
        }
    }

    /// The OCSF activity it is an instance of.
    fn activity(self) -> (i64, &'static str) {
        match self {
            Self::LogBegun
            | Self::PersonAdded
            | Self::TokenCreated
            | Self::DocumentPublished
            | Self::GrantCreated
            | Self::AccessRequested
            | Self::PolicyProposed
            | Self::PersonLinked => (6, "Create"),
            Self::PersonRemoved
            | Self::PersonUnlinked
            | Self::TokenRevoked
            | Self::DocumentRetired
            | Self::GrantRevoked
            | Self::DatasetDropped
            | Self::DatasetShredded
            | Self::QuestionShredded => (7, "Delete"),
            Self::DatasetOpened
            | Self::DatasetHeld
            | Self::KeyRotated
            | Self::AccessDecided
            | Self::PolicyDecided
            | Self::CheckpointCosigned
            | Self::ReviewDecided
            | Self::BudgetCharged => (2, "Update"),
            Self::LoginSucceeded | Self::LoginFailed => (3, "Connect"),
            Self::DatasetSealed => (9, "Encrypt"),
            Self::QueryDecided
            | Self::QueryPending
            | Self::KeysGranted
            | Self::QueryExecuted
            | Self::OutputChecked
            | Self::ResultWithheld
            | Self::JobFailed
            | Self::JobCancelled
            | Self::ReviewAwaited
            | Self::ReviewExpired => (4, "Query"),
            Self::ResultReleased
            | Self::ResultDownloaded
            | Self::RequestAnswered
            | Self::QuestionRead
            | Self::ReviewViewed => (1, "Read"),
        }
    }

    /// True if the entry names the newest line of the journal of keys: entries before which keys may have left, and those
    /// behind which one leaves next, so that the lines before cannot be cut off.
    pub(super) fn names_journal(self) -> bool {
        matches!(
            self,
            Self::KeysGranted
                | Self::QuestionRead
                | Self::ResultDownloaded
                | Self::ReviewViewed
                | Self::ResultWithheld
                | Self::JobFailed
                | Self::JobCancelled
                | Self::DatasetSealed
        )
    }

    fn has_succeeded(self) -> bool {
        !matches!(self, Self::JobFailed | Self::LoginFailed)
    }
}

/// The effect of an event on a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// The record is in force from here on.
    Begins,
    /// The record is no longer in force.
    Ends,
}

/// The record of the database that an event vouches for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordChange {
    /// Kind of record.
    pub kind: String,
    /// Its name among its kind.
    pub key: String,
    /// SHA-256 of its body.
    pub sha256: String,
    /// Begin or end.
    pub change: Change,
    /// The body itself where it fits, so that the log tells the whole story alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
}

/// The person or program that acted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActorName {
    /// Identifier of the person; none when the program itself acts.
    pub id: Option<String>,
    /// Name of the person, or `obscura`.
    pub name: String,
    /// The way they came in.
    pub door: String,
    /// The address that they came from, where they came over a network; written as the source of the event.
    #[serde(skip)]
    pub address: Option<IpAddr>,
}

impl ActorName {
    /// Names the person a request acts for.
    #[must_use]
    pub fn of(caller: &Caller) -> Self {
        let (door, address) = (caller.door().name().to_owned(), caller.address());
        if caller.is_stranger() {
            return Self { door, address, ..Self::stranger() };
        }
        let person = caller.person();
        Self { id: Some(person.id.to_string()), name: person.name.to_string(), door, address }
    }

    /// Names a caller without a valid token.
    #[must_use]
    pub fn stranger() -> Self {
        Self { id: None, name: "stranger".to_owned(), door: Door::Http.name().to_owned(), address: None }
    }

    /// The same, who came from this address.
    #[must_use]
    pub fn at(self, address: Option<IpAddr>) -> Self {
        Self { address, ..self }
    }

    /// True for a caller without a valid token; a person of that name has an identifier.
    #[must_use]
    pub fn is_stranger(&self) -> bool {
        self.id.is_none() && self.name == Self::stranger().name
    }

    /// Names the program itself.
    #[must_use]
    pub fn program(door: Door) -> Self {
        Self { id: None, name: "obscura".to_owned(), door: door.name().to_owned(), address: None }
    }
}

/// An event about to be appended.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Identifier.
    pub id: EventId,
    /// When.
    pub time: Timestamp,
    /// The kind of event.
    pub action: Action,
    /// The person or program that acted.
    pub actor: ActorName,
    /// The job or command that several events belong to.
    pub correlation: Option<String>,
    /// The record it begins or ends.
    pub record: Option<RecordChange>,
    /// Further facts, by name.
    pub detail: BTreeMap<String, Value>,
}

/// An event read back from the log.
#[derive(Debug, Clone, PartialEq)]
pub struct LoggedEvent {
    /// Its place in the log.
    pub index: u64,
    /// Identifier.
    pub id: String,
    /// When.
    pub time: Timestamp,
    /// Name of what happened.
    pub action: String,
    /// The person or program that acted.
    pub actor: ActorName,
    /// The job or command that several events belong to.
    pub correlation: Option<String>,
    /// The record it begins or ends.
    pub record: Option<RecordChange>,
    /// Index of the newest earlier event that began or ended a record.
    pub previous_change: Option<u64>,
    /// Further facts, by name.
    pub detail: BTreeMap<String, Value>,
}

/// Our own part of an entry, under `unmapped.obscura`.
#[derive(Debug, Serialize, Deserialize)]
struct Ours {
    actor: ActorName,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    record: Option<RecordChange>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    previous_change: Option<u64>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    detail: BTreeMap<String, Value>,
}

impl Event {
    /// Writes the entry. `previous_change` links the events that change records into a chain, so that they can be
    /// read without reading every query between them.
    ///
    /// # Errors
    /// [`AuditError::EntryTooLong`] when it exceeds [`ENTRY_BYTES_MAX`].
    pub(crate) fn entry(&self, log_name: &str, previous_change: Option<u64>) -> Result<Vec<u8>, AuditError> {
        let (activity_id, activity_name) = self.action.activity();
        let ours = Ours {
            actor: self.actor.clone(),
            record: self.record.clone(),
            previous_change,
            detail: self.detail.clone(),
        };
        let ours = serde_json::to_value(ours).map_err(|_| AuditError::Unwritable)?;
        let mut user =
            json!({ "name": self.actor.name, "type_id": if self.actor.id.is_some() { 1 } else { 3 } });
        let mut metadata = json!({
            "version": OCSF_VERSION,
            "product": { "name": "Obscura", "vendor_name": "Obscura", "version": env!("CARGO_PKG_VERSION") },
            "uid": self.id.to_string(),
            "event_code": self.action.name(),
            "log_name": log_name,
        });
        if let (Some(id), Some(user)) = (&self.actor.id, user.as_object_mut()) {
            user.insert("uid".to_owned(), json!(id));
        }
        if let (Some(correlation), Some(metadata)) = (&self.correlation, metadata.as_object_mut()) {
            metadata.insert("correlation_uid".to_owned(), json!(correlation));
        }
        let mut source = json!({ "name": self.actor.door });
        if let (Some(address), Some(source)) = (self.actor.address, source.as_object_mut()) {
            source.insert("ip".to_owned(), json!(address.to_string()));
        }
        let datasets = datasets(&self.detail, self.record.as_ref());
        let succeeded = self.action.has_succeeded();
        let mut entry = json!({
            "activity_id": activity_id,
            "activity_name": activity_name,
            "actor": { "user": user },
            "category_name": "Application Activity",
            "category_uid": 6,
            "class_name": "Datastore Activity",
            "class_uid": CLASS_UID,
            "database": { "name": log_name, "type": "Sandbox", "type_id": 99 },
            "metadata": metadata,
            "severity": if succeeded { "Informational" } else { "Medium" },
            "severity_id": if succeeded { 1 } else { 3 },
            "src_endpoint": source,
            "status_id": if succeeded { 1 } else { 2 },
            "time": self.time.as_millisecond(),
            "type_id": if datasets.len() == 1 { TABLE } else { DATABASE },
            "type_uid": CLASS_UID * 100 + activity_id,
            "unmapped": { "obscura": ours },
        });
        if let Some(entry) = entry.as_object_mut() {
            name_datasets(entry, &datasets);
        }
        let bytes = serde_json_canonicalizer::to_vec(&entry).map_err(|_| AuditError::Unwritable)?;
        if bytes.len() > ENTRY_BYTES_MAX { Err(AuditError::EntryTooLong) } else { Ok(bytes) }
    }
}

/// The datasets that an event is about: those of its facts, and the one whose version or document it begins or ends.
fn datasets(detail: &BTreeMap<String, Value>, record: Option<&RecordChange>) -> BTreeSet<String> {
    let listed = detail.get("datasets").and_then(Value::as_array).into_iter().flatten();
    let listed = listed.filter_map(|dataset| dataset.get("dataset").unwrap_or(dataset).as_str());
    let named = detail.get("dataset").and_then(Value::as_str).into_iter();
    let kept = record.and_then(|record| match record.kind.as_str() {
        "dataset-version" => Some(record.key.as_str()),
        "document" => record.key.strip_prefix("Dataset/"),
        _ => None,
    });
    let kept = kept.map(|key| key.split_once('@').map_or(key, |(name, _version)| name));
    listed.chain(named).chain(kept).map(str::to_owned).collect()
}

/// Names datasets where a SIEM looks for them: the one as the table, all as observables.
fn name_datasets(entry: &mut Map<String, Value>, datasets: &BTreeSet<String>) {
    if let (Some(dataset), 1) = (datasets.first(), datasets.len()) {
        entry.insert("table".to_owned(), json!({ "name": dataset, "uid": dataset }));
    }
    let observable = |dataset: &String| json!({ "name": "dataset", "type": "Dataset", "type_id": OTHER, "value": dataset });
    if !datasets.is_empty() {
        entry.insert("observables".to_owned(), datasets.iter().map(observable).collect());
    }
}

impl LoggedEvent {
    /// The datasets that the event is about.
    #[must_use]
    pub fn datasets(&self) -> BTreeSet<String> {
        datasets(&self.detail, self.record.as_ref())
    }

    /// Reads an entry.
    ///
    /// # Errors
    /// [`AuditError::UnreadableEntry`] when it is not what this version writes.
    pub fn read(index: u64, entry: &[u8]) -> Result<Self, AuditError> {
        let unreadable = || AuditError::UnreadableEntry { index };
        let value: Value = serde_json::from_slice(entry).map_err(|_| unreadable())?;
        let ours = value.pointer("/unmapped/obscura").cloned().ok_or_else(unreadable)?;
        let ours: Ours = serde_json::from_value(ours).map_err(|_| unreadable())?;
        let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let millis = value.pointer("/time").and_then(Value::as_i64).ok_or_else(unreadable)?;
        Ok(Self {
            index,
            id: text("/metadata/uid").ok_or_else(unreadable)?,
            time: Timestamp::from_millisecond(millis).map_err(|_| unreadable())?,
            action: text("/metadata/event_code").ok_or_else(unreadable)?,
            actor: ours.actor.at(text("/src_endpoint/ip").and_then(|address| address.parse().ok())),
            correlation: text("/metadata/correlation_uid"),
            record: ours.record,
            previous_change: ours.previous_change,
            detail: ours.detail,
        })
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests may panic")]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::clock::Clock as _;
    use crate::clock::SteppedClock;
    use crate::clock::SystemRandom;

    fn event() -> Event {
        let clock = SteppedClock::at_second(1_800_000_000);
        Event {
            id: EventId::new(&clock, &SystemRandom).unwrap(),
            time: clock.now(),
            action: Action::GrantCreated,
            actor: ActorName {
                id: Some("person_1".to_owned()),
                name: "lin".to_owned(),
                door: "test".to_owned(),
                address: Some([192, 0, 2, 7].into()),
            },
            correlation: Some("job_1".to_owned()),
            record: Some(RecordChange {
                kind: "grant".to_owned(),
                key: "grant_1".to_owned(),
                sha256: "00".to_owned(),
                change: Change::Begins,
                body: Some(json!({ "b": 1, "a": 2 })),
            }),
            detail: BTreeMap::from([("purpose".to_owned(), json!("epidemic-monitoring"))]),
        }
    }

    #[test]
    fn entry_reads_back_as_it_was_written() {
        let event = event();
        let read = LoggedEvent::read(3, &event.entry("obscura-test", Some(1)).unwrap()).unwrap();
        assert_eq!(read.index, 3);
        assert_eq!(read.previous_change, Some(1));
        assert_eq!(read.action, "grant.created");
        assert_eq!(read.time, event.time);
        assert_eq!(read.actor, event.actor);
        assert_eq!(read.record, event.record);
        assert_eq!(read.detail, event.detail);
        assert_eq!(read.correlation, event.correlation);
    }

    #[test]
    fn entry_has_what_ocsf_requires_of_datastore_activity() {
        let entry: Value = serde_json::from_slice(&event().entry("obscura-test", None).unwrap()).unwrap();
        for required in [
            "/activity_id",
            "/actor/user/name",
            "/category_uid",
            "/class_uid",
            "/database/type_id",
            "/metadata/product/name",
            "/metadata/version",
            "/severity_id",
            "/src_endpoint/name",
            "/time",
            "/type_uid",
        ] {
            assert!(entry.pointer(required).is_some(), "{required}");
        }
        assert_eq!(entry.pointer("/type_uid"), Some(&json!(600_506)));
        assert_eq!(entry.pointer("/src_endpoint/ip"), Some(&json!("192.0.2.7")));
        assert_eq!(entry.pointer("/unmapped/obscura/actor/address"), None, "it is written once");
    }

    #[test]
    fn datasets_stand_in_fields_of_ocsf() {
        let written = |event: &Event| -> Value {
            serde_json::from_slice(&event.entry("obscura-test", None).unwrap()).unwrap()
        };
        let mut event = event();
        let none = written(&event);
        assert_eq!((none.get("table"), none.get("observables")), (None, None));
        assert_eq!(none.pointer("/type_id"), Some(&json!(1)));
        event.record = event.record.map(|record| RecordChange {
            kind: "dataset-version".to_owned(),
            key: "hz-health.visits@3".to_owned(),
            ..record
        });
        let one = written(&event);
        assert_eq!(one.pointer("/table/uid"), Some(&json!("hz-health.visits")));
        assert_eq!(one.pointer("/type_id"), Some(&json!(3)));
        event.record = None;
        let named = json!([{ "dataset": "hz-tax.firms", "version": 1 }, { "dataset": "hz-health.visits" }]);
        event.detail.insert("datasets".to_owned(), named);
        let several = written(&event);
        assert_eq!(several.get("table"), None);
        assert_eq!(several.pointer("/observables/0/value"), Some(&json!("hz-health.visits")));
        assert_eq!(several.pointer("/observables/1/value"), Some(&json!("hz-tax.firms")));
        let read = LoggedEvent::read(3, &event.entry("obscura-test", None).unwrap()).unwrap();
        assert_eq!(read.datasets().into_iter().collect::<Vec<_>>(), ["hz-health.visits", "hz-tax.firms"]);
    }

    #[test]
    fn entry_beyond_the_format_s_length_is_refused() {
        let mut event = event();
        event.detail.insert("long".to_owned(), json!("x".repeat(ENTRY_BYTES_MAX)));
        assert!(matches!(event.entry("obscura-test", None), Err(AuditError::EntryTooLong)));
    }

    #[test]
    fn every_action_has_a_name_of_its_own() {
        let names: BTreeSet<_> = Action::ALL.iter().map(|action| action.name()).collect();
        assert_eq!(names.len(), Action::ALL.len());
    }
}

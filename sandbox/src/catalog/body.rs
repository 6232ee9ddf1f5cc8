//! The body of each kind of record, as canonical JSON (RFC 8785).
//! A format we keep: the body's hash is in the audit log, so fields are added, never renamed. It holds no logic.

use std::collections::BTreeSet;

use jiff::Timestamp;
use obscura_policies::day::Day;
use serde::Deserialize;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::catalog::CatalogError;
use crate::catalog::record::Record;
use crate::catalog::record::RecordKind;
use crate::context::Person;

/// A body that belongs to one kind of record.
pub trait Body: Serialize + DeserializeOwned {
    /// The kind of record this is the body of.
    const KIND: RecordKind;

    /// The record's name among its kind.
    fn key(&self) -> String;
}

/// A person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonBody {
    /// Identifier.
    pub id: String,
    /// Name, unique for ever.
    pub name: String,
    /// Department, if any.
    pub department: Option<String>,
    /// District, if any.
    pub district: Option<String>,
    /// Names of roles.
    pub roles: BTreeSet<String>,
    /// The person who added them; none for the first.
    pub added_by: Option<String>,
}

impl Body for PersonBody {
    const KIND: RecordKind = RecordKind::Person;

    fn key(&self) -> String {
        self.name.clone()
    }
}

impl PersonBody {
    /// Writes a person down.
    #[must_use]
    pub fn of(person: &Person, added_by: Option<&str>) -> Self {
        Self {
            id: person.id.to_string(),
            name: person.name.to_string(),
            department: person.department.clone(),
            district: person.district.clone(),
            roles: person.roles.iter().map(|role| role.as_str().to_owned()).collect(),
            added_by: added_by.map(str::to_owned),
        }
    }

    /// Reads the person back.
    ///
    /// # Errors
    /// When a field breaks its form.
    pub fn person(&self) -> Result<Person, CatalogError> {
        let roles: Result<_, _> = self.roles.iter().map(|role| role.parse()).collect();
        Ok(Person {
            id: self.id.parse().map_err(|_| CatalogError::Unreadable)?,
            name: self.name.parse().map_err(|_| CatalogError::Unreadable)?,
            department: self.department.clone(),
            district: self.district.clone(),
            roles: roles.map_err(|_| CatalogError::Unreadable)?,
        })
    }
}

/// An access token: never the secret, only its hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenBody {
    /// Identifier, part of the token's text.
    pub id: String,
    /// Name of the person it acts for.
    pub person: String,
    /// SHA-256 of the secret part (256 random bits, so that a plain hash cannot be searched).
    pub secret_sha256: String,
    /// Until when it is good.
    pub expires: Timestamp,
    /// The person who made it; none for the first.
    pub created_by: Option<String>,
    /// The access token that it was made with: of the same person, it ends this one with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_with: Option<String>,
    /// Those of the person's roles that it carries; all when missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roles: Option<BTreeSet<String>>,
}

impl Body for TokenBody {
    const KIND: RecordKind = RecordKind::Token;

    fn key(&self) -> String {
        self.id.clone()
    }
}

/// The link between a person and their account at an identity provider: never the account itself, only a keyed token of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountLinkBody {
    /// Identifier.
    pub id: String,
    /// Name of the person that the provider's tokens act for.
    pub person: String,
    /// The issuer, as its tokens name it.
    pub issuer: String,
    /// Keyed token of issuer and account.
    pub account: String,
    /// The admin who linked them.
    pub linked_by: String,
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub linked: Option<Timestamp>,
}

impl AccountLinkBody {
    /// The beginning of the keys of all links of an account: it may be linked again after a link has ended.
    #[must_use]
    pub fn prefix(account: &str) -> String {
        format!("{account}/")
    }
}

impl Body for AccountLinkBody {
    const KIND: RecordKind = RecordKind::AccountLink;

    fn key(&self) -> String {
        format!("{}{}", Self::prefix(&self.account), self.id)
    }
}

/// A published document: immutable once in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentBody {
    /// Kind of document.
    pub kind: String,
    /// Identifier of the document.
    pub id: String,
    /// Version of the document.
    pub version: u32,
    /// The document as published, alone in its YAML stream.
    pub text: String,
    /// The person who published it; none for those shipped with the program.
    pub published_by: Option<String>,
    /// The author, if another person put it in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposed_by: Option<String>,
}

impl Body for DocumentBody {
    const KIND: RecordKind = RecordKind::Document;

    fn key(&self) -> String {
        format!("{}/{}@{}", self.kind, self.id, self.version)
    }
}

/// A sealed version of a dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatasetVersionBody {
    /// Dataset, `department.name`.
    pub dataset: String,
    /// Version; only rises.
    pub version: u64,
    /// SHA-256 of the signed manifest.
    pub manifest_sha256: String,
    /// The person who sealed it.
    pub sealed_by: String,
}

impl Body for DatasetVersionBody {
    const KIND: RecordKind = RecordKind::DatasetVersion;

    fn key(&self) -> String {
        format!("{}@{}", self.dataset, self.version)
    }
}

/// The day from which on analysts see a sealed version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatasetOpeningBody {
    /// Dataset, `department.name`.
    pub dataset: String,
    /// Version.
    pub version: u64,
    /// The first day, by the calendar of the installation.
    pub opens: Day,
    /// The first day on which analysts saw these rows: earlier than `opens` where a version before had the same.
    pub since: Day,
}

impl Body for DatasetOpeningBody {
    const KIND: RecordKind = RecordKind::DatasetOpening;

    fn key(&self) -> String {
        format!("{}@{}", self.dataset, self.version)
    }
}

/// A grant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantBody {
    /// Identifier.
    pub id: String,
    /// Name of the person who may ask.
    pub person: String,
    /// The grant's document.
    pub text: String,
    /// The person who gave it.
    pub granted_by: String,
}

impl Body for GrantBody {
    const KIND: RecordKind = RecordKind::Grant;

    fn key(&self) -> String {
        self.id.clone()
    }
}

/// A request for access.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessRequestBody {
    /// Identifier.
    pub id: String,
    /// Name of the person who asks.
    pub person: String,
    /// The department that decides.
    pub department: String,
    /// The grant's document, as it would be given.
    pub text: String,
    /// The reason that they give.
    pub reason: String,
    /// When.
    pub requested: Timestamp,
}

impl Body for AccessRequestBody {
    const KIND: RecordKind = RecordKind::AccessRequest;

    fn key(&self) -> String {
        self.id.clone()
    }
}

/// A policy, or a dataset above L1 that protects no unit, that waits for a second person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProposalBody {
    /// Identifier.
    pub id: String,
    /// Identifier of the policy or the dataset.
    pub policy: String,
    /// Its version.
    pub version: u32,
    /// The document as it would be published.
    pub text: String,
    /// The person who wrote it.
    pub proposed_by: String,
}

impl Body for ProposalBody {
    const KIND: RecordKind = RecordKind::Proposal;

    fn key(&self) -> String {
        self.id.clone()
    }
}

/// A result that waits for reviewers. The entry that begins it says what waits, and for how many of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewBody {
    /// The job.
    pub job: String,
    /// The person who asked.
    pub person: String,
    /// The number of people who look at it.
    pub reviewers: u8,
}

impl Body for ReviewBody {
    const KIND: RecordKind = RecordKind::Review;

    fn key(&self) -> String {
        self.job.clone()
    }
}

/// The decision of one reviewer on a result. The comment stands in its entry of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewDecisionBody {
    /// The job.
    pub job: String,
    /// Name of the reviewer.
    pub reviewer: String,
    /// `approved`, `returned` or `rejected`.
    pub outcome: String,
}

impl Body for ReviewDecisionBody {
    const KIND: RecordKind = RecordKind::ReviewDecision;

    fn key(&self) -> String {
        format!("{}/{}", self.job, self.reviewer)
    }
}

/// A charge to the budget of differential privacy of a dataset, made before its job ran. It never ends: nothing is given back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChargeBody {
    /// Dataset, `department.name`.
    pub dataset: String,
    /// Keyed fingerprints of the inputs that its sealed version held.
    pub inputs: BTreeSet<String>,
    /// The job.
    pub job: String,
    /// Name of the person who asked.
    pub person: String,
    /// The grant that they asked under.
    pub grant: String,
    /// The price: the rho of zero-concentrated differential privacy, in units of 1e-9.
    pub nano_rho: u64,
    /// When.
    pub charged: Timestamp,
}

impl Body for ChargeBody {
    const KIND: RecordKind = RecordKind::Charge;

    /// One job has one key, so that nothing charges it a second time.
    fn key(&self) -> String {
        format!("{}/{}", self.dataset, self.job)
    }
}

/// Writes a body in its one canonical form.
///
/// # Errors
/// When it cannot be written as JSON.
pub fn print<B: Body>(body: &B) -> Result<String, CatalogError> {
    serde_json_canonicalizer::to_string(body).map_err(|_| CatalogError::Unreadable)
}

/// Reads the body of a record.
///
/// # Errors
/// When the record is of another kind, or its body is not what this version writes.
pub fn read<B: Body>(record: &Record) -> Result<B, CatalogError> {
    if record.kind != B::KIND {
        return Err(CatalogError::Unreadable);
    }
    serde_json::from_str(&record.body).map_err(|_| CatalogError::Unreadable)
}

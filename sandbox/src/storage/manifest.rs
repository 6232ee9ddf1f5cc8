//! The signed manifest of a sealed version: the stored format, and the checks that make it worth believing.
//!
//! A manifest file is one line of canonical JSON with two signed sections. The first never changes once published, and
//! the next version's manifest names its hash; the second holds the wrapped keys, which rotation and shredding replace.
//! It opens no sealed file and unwraps no key.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use obscura_crypto::Hash;
use obscura_crypto::sha256;
use obscura_crypto::sha256_hex;
use obscura_crypto::sign::Signature;
use obscura_crypto::sign::Signer;
use obscura_crypto::sign::Verifier;
use obscura_policies::published::PublishedRows;
use serde::Deserialize;
use serde::Serialize;

use crate::storage::error::StorageError;

/// File name of the manifest within a version's folder.
pub(crate) const MANIFEST_FILE: &str = "manifest.json";
/// Name of the format, with its version.
pub(crate) const FORMAT: &str = "obscura/sealed/v1";

const BODY_PURPOSE: &[u8] = b"obscura sealed manifest v1\n";
const KEYS_PURPOSE: &[u8] = b"obscura sealed keys v1\n";
const CONTENT_PURPOSE: &[u8] = b"obscura sealed content v1\n";

/// The check of a sealed version that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ManifestFault {
    /// The manifest is missing or cannot be read as one.
    #[error("the manifest is missing or damaged")]
    Manifest,
    /// The signature does not match the manifest.
    #[error("the manifest's signature does not match")]
    Signature,
    /// The signature of the wrapped keys does not match.
    #[error("the signature of the wrapped keys does not match")]
    KeysSignature,
    /// The manifest is another dataset's or another version's.
    #[error("the manifest belongs to another dataset or version")]
    Identity,
    /// An older version stands where the newest should.
    #[error("an older version was put back")]
    Rollback,
    /// The chain of previous manifests is broken.
    #[error("the chain of previous manifests is broken")]
    Chain,
    /// A part is missing.
    #[error("a part is missing")]
    PartMissing,
    /// A part is longer or shorter than when it was sealed.
    #[error("a part has another length")]
    PartLength,
    /// A part is not an encrypted Parquet file.
    #[error("a part is not encrypted")]
    PartPlaintext,
    /// A part's footer is not the sealed one.
    #[error("a part has another footer")]
    PartFooter,
    /// A part's bytes are not the sealed ones.
    #[error("a part has other bytes")]
    PartBytes,
    /// A file lies in the folder that the manifest does not name.
    #[error("a file that does not belong lies in the folder")]
    Stray,
}

/// The sealed content: signed once, never changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Name and version of this format.
    pub format: String,
    /// Dataset identifier.
    pub dataset: String,
    /// Version of the dataset: only rises.
    pub version: u64,
    /// SHA-256 of the previous version's first section, in hex.
    pub previous: Option<String>,
    /// When it was sealed, RFC 3339.
    pub sealed_at: String,
    /// The Dataset document: the labels of the columns.
    pub document: DocumentRecord,
    /// Schemes and policies in force when sealing: identifier to version.
    pub in_force: BTreeMap<String, String>,
    /// Columns in order.
    pub columns: Vec<ColumnRecord>,
    /// `clustered` or `arrival`.
    pub layout: String,
    /// Protecting units with what sealing measured.
    pub units: Vec<UnitRecord>,
    /// The steward's decision about unit keys that are written in several ways: `as-written` or `same`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit_keys: Option<String>,
    /// Columns whose values are proven unique.
    pub unique: Vec<String>,
    /// Columns that are proven to span intervals which do not overlap.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub intervals: Vec<IntervalsRecord>,
    /// All rows of a small open table, with its open columns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published: Option<PublishedRows>,
    /// The values of columns that refer to an open one, as they were when the first rows of this version were sealed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub domains: BTreeMap<String, Vec<String>>,
    /// Fingerprints of the rows of each input, under a key of the installation: the same file is not added twice unasked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<String>,
    /// Rows of all parts.
    pub rows: u64,
    /// Malformed rows left out while sealing this version.
    pub rows_skipped: u64,
    /// The files.
    pub parts: Vec<PartRecord>,
}

/// The Dataset document a version was sealed under.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DocumentRecord {
    /// The document's own version.
    pub version: u32,
    /// SHA-256 of the text, in hex.
    pub sha256: String,
    /// The text.
    pub text: String,
}

/// One sealed column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColumnRecord {
    /// Name in SQL.
    pub name: String,
    /// The document's word for the type.
    pub data_type: String,
    /// Decimal places, for decimals.
    pub scale: Option<u8>,
    /// Grade when it was sealed, `L1` to `L9`: the key-encryption key it is under.
    pub grade: String,
    /// The unit whose token it holds.
    pub token_of: Option<String>,
}

/// Two columns that span intervals which do not overlap, one interval a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IntervalsRecord {
    /// Column of the lower ends.
    pub low: String,
    /// Column of the upper ends.
    pub high: String,
    /// Neighbours share no end either.
    pub closed: bool,
}

/// The statistics that sealing measured of one protecting unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnitRecord {
    /// Kind of subject.
    pub kind: String,
    /// Column of its token.
    pub column: String,
    /// Distinct subjects.
    pub subjects: u64,
    /// Most rows of one subject.
    pub rows_max: u64,
    /// Rows without a subject.
    pub rows_without: u64,
    /// The order of one subject's rows.
    pub clustered: Clustered,
}

/// The order of one subject's rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Clustered {
    /// Together, in one row group of one part.
    Whole,
    /// Together within each run of parts that was sealed at once.
    PerPart,
    /// Anywhere.
    No,
}

/// One sealed file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartRecord {
    /// File name.
    pub name: String,
    /// The version that sealed it; its keys and associated data are bound to this one.
    pub sealed_in: u64,
    /// Bytes.
    pub length: u64,
    /// SHA-256 of the whole file, in hex.
    pub sha256: String,
    /// SHA-256 of the footer with its length and magic, in hex.
    pub footer_sha256: String,
    /// Rows.
    pub rows: u64,
    /// Row groups.
    pub row_groups: u64,
}

/// The wrapped keys of a version: replaced by rotation, destroyed by shredding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeysSection {
    /// SHA-256 of the first section, in hex.
    pub manifest: String,
    /// Rises with every rewrapping.
    pub revision: u64,
    /// When and why the keys were destroyed, if they were.
    pub shredded: Option<ShredRecord>,
    /// Keys by part.
    pub parts: BTreeMap<String, PartKeysRecord>,
}

/// The end of a version's keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShredRecord {
    /// When, RFC 3339.
    pub at: String,
    /// Number of wrapped keys that were destroyed.
    pub keys: u64,
}

/// Wrapped keys of one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartKeysRecord {
    /// Of the footer.
    pub footer: String,
    /// Of the columns.
    pub columns: BTreeMap<String, String>,
}

/// Both sections with their signatures, as they lie on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ManifestFile {
    pub(crate) manifest: Manifest,
    pub(crate) manifest_signature: String,
    pub(crate) keys: KeysSection,
    pub(crate) keys_signature: String,
}

/// The part of a manifest that its content digest covers.
#[derive(Serialize)]
struct ContentRecord<'a> {
    columns: Vec<ContentColumn<'a>>,
    rows: ContentRows<'a>,
}

/// One column as its values are read; fingerprints hold values by position and know no names, scales or units.
#[derive(Serialize)]
struct ContentColumn<'a> {
    name: &'a str,
    data_type: &'a str,
    scale: Option<u8>,
    token_of: Option<&'a str>,
}

/// The rows of a version, as far as its manifest knows them; sorted, and with repetitions.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum ContentRows<'a> {
    /// Fingerprints of its inputs.
    Inputs(Vec<&'a str>),
    /// SHA-256 of its files.
    Files(Vec<&'a str>),
}

impl Manifest {
    /// SHA-256 of the section in canonical form; the next version and the keys refer to it.
    ///
    /// # Errors
    ///
    /// Fails only when a text cannot be written as JSON.
    pub fn sha256(&self) -> Result<String, StorageError> {
        Ok(sha256_hex(&canonical(self)?))
    }

    /// The digest of the sealed rows: equal digests have equal rows in equal columns, whatever keys they are sealed under.
    ///
    /// Noise that is drawn anew for each version is keyed by it. Were it the version's number, a steward who seals the same
    /// file again and again would let an analyst average the noise away. Were it equal for other rows, the difference of two
    /// released values would be exact. Grades, parts and times take no part. The order of rows does, as it does in
    /// [`Self::inputs`], and so do the places at which appends divide them.
    ///
    /// # Errors
    ///
    /// Fails only when a text cannot be written as JSON.
    pub fn content_digest(&self) -> Result<Hash, StorageError> {
        let columns = self.columns.iter().map(|column| ContentColumn {
            name: &column.name,
            data_type: &column.data_type,
            scale: column.scale,
            token_of: column.token_of.as_deref(),
        });
        let content = ContentRecord { columns: columns.collect(), rows: self.content_rows() };
        Ok(sha256(&message(CONTENT_PURPOSE, &content)?))
    }

    /// The fingerprints of all inputs. An append adds its own to those before it, so that they are the whole version's.
    ///
    /// A version whose first rows were sealed before manifests had fingerprints has fewer of them than seals: each seal reads
    /// one input and writes at least one file. For such a version the hashes of its files stand in, since the known
    /// fingerprints leave rows out. Sealed again it has fingerprints, and thus another digest once.
    fn content_rows(&self) -> ContentRows<'_> {
        let sealed_in: BTreeSet<u64> = self.parts.iter().map(|part| part.sealed_in).collect();
        let is_known = self.inputs.len() >= sealed_in.len();
        let mut texts: Vec<&str> = match is_known {
            true => self.inputs.iter().map(String::as_str).collect(),
            false => self.parts.iter().map(|part| part.sha256.as_str()).collect(),
        };
        texts.sort_unstable();
        if is_known { ContentRows::Inputs(texts) } else { ContentRows::Files(texts) }
    }

    /// The record of one unit, with the facts on rows and clustering that the guard needs.
    #[must_use]
    pub fn unit(&self, kind: &str) -> Option<&UnitRecord> {
        self.units.iter().find(|u| u.kind == kind)
    }
}

impl UnitRecord {
    /// True if sealing proved that every subject has at most one row.
    #[must_use]
    pub fn is_one_row_per_subject(&self) -> bool {
        self.rows_max <= 1
    }
}

impl ManifestFile {
    /// Signs both sections.
    pub(crate) fn sign(manifest: Manifest, keys: KeysSection, signer: &Signer) -> Result<Self, StorageError> {
        let manifest_signature = signer.sign(&message(BODY_PURPOSE, &manifest)?).to_string();
        let keys_signature = signer.sign(&message(KEYS_PURPOSE, &keys)?).to_string();
        Ok(Self { manifest, manifest_signature, keys, keys_signature })
    }

    /// Puts other keys into an already signed manifest.
    pub(crate) fn with_keys(self, keys: KeysSection, signer: &Signer) -> Result<Self, StorageError> {
        let keys_signature = signer.sign(&message(KEYS_PURPOSE, &keys)?).to_string();
        Ok(Self { keys, keys_signature, ..self })
    }

    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, StorageError> {
        canonical(self)
    }

    /// Reads a manifest and believes it only when every byte is as it was signed.
    pub(crate) fn verify(bytes: &[u8], verifier: &Verifier) -> Result<Self, ManifestFault> {
        let file: Self = serde_json::from_slice(bytes).map_err(|_quotes| ManifestFault::Manifest)?;
        // One spelling: a changed space or a repeated field would otherwise go unnoticed.
        let spelt = file.to_bytes().map_err(|_never| ManifestFault::Manifest)?;
        if spelt != bytes || file.manifest.format != FORMAT {
            return Err(ManifestFault::Manifest);
        }
        verify_section(verifier, BODY_PURPOSE, &file.manifest, &file.manifest_signature)
            .ok_or(ManifestFault::Signature)?;
        verify_section(verifier, KEYS_PURPOSE, &file.keys, &file.keys_signature)
            .ok_or(ManifestFault::KeysSignature)?;
        let body = file.manifest.sha256().map_err(|_never| ManifestFault::Manifest)?;
        if file.keys.manifest != body {
            return Err(ManifestFault::KeysSignature);
        }
        Ok(file)
    }
}

fn verify_section<T: Serialize>(
    verifier: &Verifier,
    purpose: &[u8],
    section: &T,
    signature: &str,
) -> Option<()> {
    let signature: Signature = signature.parse().ok()?;
    verifier.verify(&message(purpose, section).ok()?, &signature).ok()
}

fn message<T: Serialize>(purpose: &[u8], section: &T) -> Result<Vec<u8>, StorageError> {
    let mut message = purpose.to_vec();
    message.extend_from_slice(&canonical(section)?);
    Ok(message)
}

/// RFC 8785.
fn canonical<T: Serialize>(value: &T) -> Result<Vec<u8>, StorageError> {
    serde_json_canonicalizer::to_vec(value)
        .map_err(|_never| StorageError::Columnar { step: "write the manifest" })
}

#[cfg(test)]
mod tests;

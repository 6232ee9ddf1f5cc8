//! A sealed version found on disk and believed: signature, identity, rollback, and each file before it is read.
//! It unwraps the keys of the columns it is asked for and no others; it decides nothing about who may ask.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::datatypes::DataType as ArrowType;
use arrow::datatypes::Field;
use arrow::datatypes::Schema;
use arrow::datatypes::SchemaRef;
use arrow::datatypes::TimeUnit;
use obscura_crypto::Sha256;
use obscura_crypto::keys::DataKey;
use obscura_crypto::kms::KeyManagement;
use obscura_crypto::sha256_hex;
use obscura_crypto::sign::Verifier;
use obscura_policies::vocabulary::DatasetId;

use crate::storage::cell::DECIMAL_PRECISION;
use crate::storage::error::StorageError;
use crate::storage::folder::DataFolder;
use crate::storage::manifest::Clustered;
use crate::storage::manifest::ColumnRecord;
use crate::storage::manifest::KeysSection;
use crate::storage::manifest::MANIFEST_FILE;
use crate::storage::manifest::Manifest;
use crate::storage::manifest::ManifestFault;
use crate::storage::manifest::ManifestFile;
use crate::storage::manifest::PartRecord;
use crate::storage::naming::FOOTER;
use crate::storage::naming::aad_prefix;
use crate::storage::naming::wrap_context;
use crate::storage::part::ENCRYPTED_MAGIC;
use crate::storage::part::read_footer;

const READ_BYTES: usize = 1 << 20;

/// One sealed version whose manifest was verified. Its files are checked when they are opened.
#[derive(Debug, Clone)]
pub struct SealedVersion {
    dataset: DatasetId,
    folder: PathBuf,
    file: ManifestFile,
}

/// The version that the caller expects to find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// The newest that is to be read, which by the catalogue has this number: anything else is a rollback.
    Newest(u64),
    /// This one, newest or not: for verification and history.
    Exactly(u64),
}

impl SealedVersion {
    /// Finds a version and verifies its manifest.
    ///
    /// # Errors
    ///
    /// Fails when it is missing, when its signature or identity is wrong, or when an older one stands in its place.
    pub fn open(
        data: &DataFolder,
        dataset: &DatasetId,
        expected: Expected,
        verifier: &Verifier,
    ) -> Result<Self, StorageError> {
        let (Expected::Newest(version) | Expected::Exactly(version)) = expected;
        let folder = data.version(dataset, version);
        let fault = |fault| tampered(dataset, version, fault);
        let bytes = match std::fs::read(folder.join(MANIFEST_FILE)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(missing(data, dataset, expected, &folder)?);
            }
            Err(error) => return Err(StorageError::disk("read the manifest")(error)),
        };
        let file = ManifestFile::verify(&bytes, verifier).map_err(fault)?;
        if file.manifest.dataset != dataset.to_string() {
            return Err(fault(ManifestFault::Identity));
        }
        if file.manifest.version != version {
            let is_older = file.manifest.version < version;
            return Err(fault(if is_older { ManifestFault::Rollback } else { ManifestFault::Identity }));
        }
        Ok(Self { dataset: dataset.clone(), folder, file })
    }

    /// The dataset.
    #[must_use]
    pub fn dataset(&self) -> &DatasetId {
        &self.dataset
    }

    /// The signed facts.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.file.manifest
    }

    /// The signed wrapped keys.
    #[must_use]
    pub fn keys(&self) -> &KeysSection {
        &self.file.keys
    }

    pub(crate) fn file(&self) -> &ManifestFile {
        &self.file
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// True if the wrapped keys were destroyed.
    #[must_use]
    pub fn is_shredded(&self) -> bool {
        self.file.keys.shredded.is_some()
    }

    /// True if all rows of each subject of the first unit stand together in one part.
    #[must_use]
    pub fn is_clustered_whole(&self) -> bool {
        self.file.manifest.units.first().is_some_and(|unit| unit.clustered == Clustered::Whole)
    }

    /// Schema of the sealed files.
    ///
    /// # Errors
    ///
    /// Fails when the manifest holds a type this build does not know.
    pub fn schema(&self) -> Result<SchemaRef, StorageError> {
        let mut fields = Vec::new();
        for column in &self.file.manifest.columns {
            let stored = stored_type(column).ok_or_else(|| self.fault(ManifestFault::Manifest))?;
            fields.push(Field::new(&column.name, stored, true));
        }
        Ok(Arc::new(Schema::new(fields)))
    }

    /// Opens the files for a query: length, encrypted magic and footer of each are as sealed.
    ///
    /// # Errors
    ///
    /// Fails when a file is missing, of another length, not encrypted, or ends in another footer.
    pub fn open_parts(&self) -> Result<Vec<SealedPart>, StorageError> {
        self.file.manifest.parts.iter().map(|part| self.open_part(part)).collect()
    }

    /// Unwraps the keys of these columns and of the footers, for every part.
    ///
    /// # Errors
    ///
    /// Fails when the version was shredded, a column is not in it, or the key service refuses.
    pub fn unwrap_keys(&self, kms: &dyn KeyManagement, columns: &[&str]) -> Result<ColumnKeys, StorageError> {
        if self.is_shredded() {
            let version = self.file.manifest.version;
            return Err(StorageError::Shredded { dataset: self.dataset.to_string(), version });
        }
        let mut parts = BTreeMap::new();
        for part in &self.file.manifest.parts {
            let footer = self.unwrap_key(kms, part, FOOTER)?;
            let mut of_columns = BTreeMap::new();
            for column in columns {
                of_columns.insert((*column).to_owned(), self.unwrap_key(kms, part, column)?);
            }
            parts.insert(part.name.clone(), PartKeys { footer, columns: of_columns });
        }
        Ok(ColumnKeys { parts })
    }

    /// Checks every byte of every file, the chain of previous manifests, and that nothing else lies in the folder.
    ///
    /// # Errors
    ///
    /// Fails at the first thing that is not as it was sealed.
    pub fn verify(&self, data: &DataFolder, verifier: &Verifier) -> Result<(), StorageError> {
        self.verify_no_strays()?;
        if !self.is_shredded() {
            for part in &self.file.manifest.parts {
                let opened = self.open_part(part)?;
                if file_sha256(&opened.file)? != part.sha256 {
                    return Err(self.fault(ManifestFault::PartBytes));
                }
            }
        }
        self.verify_chain(data, verifier)
    }

    fn verify_chain(&self, data: &DataFolder, verifier: &Verifier) -> Result<(), StorageError> {
        let older = data.versions(&self.dataset)?.into_iter().rfind(|v| *v < self.file.manifest.version);
        let Some(previous) = older else { return Ok(()) };
        // Versions in between may have been dropped: then the chain names a manifest that is gone.
        if previous + 1 != self.file.manifest.version {
            return Ok(());
        }
        let previous = Self::open(data, &self.dataset, Expected::Exactly(previous), verifier)?;
        if self.file.manifest.previous != Some(previous.manifest().sha256()?) {
            return Err(self.fault(ManifestFault::Chain));
        }
        Ok(())
    }

    fn verify_no_strays(&self) -> Result<(), StorageError> {
        let disk = || StorageError::disk("list a folder");
        for entry in std::fs::read_dir(&self.folder).map_err(disk())? {
            let name = entry.map_err(disk())?.file_name();
            let is_part = self.file.manifest.parts.iter().any(|part| name == *part.name);
            if !is_part && name != MANIFEST_FILE {
                return Err(self.fault(ManifestFault::Stray));
            }
        }
        Ok(())
    }

    fn open_part(&self, part: &PartRecord) -> Result<SealedPart, StorageError> {
        let disk = || StorageError::disk("open a sealed file");
        let file = match File::open(self.folder.join(&part.name)) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(self.fault(ManifestFault::PartMissing));
            }
            Err(error) => return Err(disk()(error)),
        };
        if file.metadata().map_err(disk())?.len() != part.length {
            return Err(self.fault(ManifestFault::PartLength));
        }
        let mut head = [0_u8; 4];
        file.read_exact_at(&mut head, 0).map_err(disk())?;
        let footer = read_footer(&file, part.length)?;
        let Some(footer) = footer.filter(|_| &head == ENCRYPTED_MAGIC) else {
            return Err(self.fault(ManifestFault::PartPlaintext));
        };
        if sha256_hex(&footer) != part.footer_sha256 {
            return Err(self.fault(ManifestFault::PartFooter));
        }
        Ok(SealedPart {
            name: part.name.clone(),
            file: Arc::new(file),
            length: part.length,
            footer,
            aad_prefix: aad_prefix(&self.dataset, part.sealed_in, &part.name),
        })
    }

    fn unwrap_key(
        &self,
        kms: &dyn KeyManagement,
        part: &PartRecord,
        column: &str,
    ) -> Result<DataKey, StorageError> {
        let keys = self.file.keys.parts.get(&part.name).ok_or_else(|| self.fault(ManifestFault::Manifest))?;
        let text = if column == FOOTER { Some(&keys.footer) } else { keys.columns.get(column) };
        let text = text.ok_or_else(|| StorageError::NoSuchColumn { column: column.to_owned() })?;
        let wrapped = text.parse().map_err(|_misspelt| self.fault(ManifestFault::Manifest))?;
        let place = wrap_context(&self.dataset, part.sealed_in, &part.name, column);
        kms.unwrap(&wrapped, &place).map_err(|_opaque| StorageError::Keys { step: "unwrap a data key" })
    }

    fn fault(&self, fault: ManifestFault) -> StorageError {
        tampered(&self.dataset, self.file.manifest.version, fault)
    }
}

/// A file that was checked. The same open file is read afterwards, so that it cannot be exchanged in between.
pub struct SealedPart {
    pub(crate) name: String,
    pub(crate) file: Arc<File>,
    pub(crate) length: u64,
    pub(crate) footer: Vec<u8>,
    pub(crate) aad_prefix: Vec<u8>,
}

impl SealedPart {
    /// File name within the version.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Bytes.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// The open file.
    #[must_use]
    pub fn into_file(self) -> Arc<File> {
        self.file
    }
}

impl std::fmt::Debug for SealedPart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealedPart")
    }
}

/// Unwrapped data keys of chosen columns: one job's, never more than it needs.
pub struct ColumnKeys {
    pub(crate) parts: BTreeMap<String, PartKeys>,
}

impl ColumnKeys {
    /// True if the key of every one of these columns is present.
    #[must_use]
    pub fn covers<'a>(&self, columns: impl Iterator<Item = &'a str> + Clone) -> bool {
        self.parts.values().all(|part| columns.clone().all(|column| part.columns.contains_key(column)))
    }

    /// Number of data keys that were unwrapped.
    #[must_use]
    pub fn count(&self) -> usize {
        self.parts.values().map(|part| part.columns.len() + 1).sum()
    }
}

impl std::fmt::Debug for ColumnKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ColumnKeys")
    }
}

pub(crate) struct PartKeys {
    pub(crate) footer: DataKey,
    pub(crate) columns: BTreeMap<String, DataKey>,
}

fn tampered(dataset: &DatasetId, version: u64, fault: ManifestFault) -> StorageError {
    StorageError::Tampered { dataset: dataset.to_string(), version, fault }
}

fn missing(
    data: &DataFolder,
    dataset: &DatasetId,
    expected: Expected,
    folder: &Path,
) -> Result<StorageError, StorageError> {
    let (Expected::Newest(version) | Expected::Exactly(version)) = expected;
    if folder.is_dir() {
        return Ok(tampered(dataset, version, ManifestFault::Manifest));
    }
    let has_older = data.versions(dataset)?.iter().any(|v| *v < version);
    Ok(match expected {
        Expected::Newest(_) if has_older => tampered(dataset, version, ManifestFault::Rollback),
        Expected::Newest(_) | Expected::Exactly(_) => {
            StorageError::VersionMissing { dataset: dataset.to_string(), version }
        }
    })
}

fn file_sha256(file: &File) -> Result<String, StorageError> {
    let mut digest = Sha256::new();
    let mut buffer = vec![0; READ_BYTES];
    let mut at = 0;
    loop {
        let read = file.read_at(&mut buffer, at).map_err(StorageError::disk("read a sealed file"))?;
        if read == 0 {
            return Ok(digest.finish().to_string());
        }
        digest.update(buffer.get(..read).unwrap_or_default());
        at += read as u64;
    }
}

fn stored_type(column: &ColumnRecord) -> Option<ArrowType> {
    if column.token_of.is_some() {
        return Some(ArrowType::Int64);
    }
    Some(match column.data_type.as_str() {
        "text" => ArrowType::Utf8,
        "int" => ArrowType::Int64,
        "decimal" => ArrowType::Decimal128(DECIMAL_PRECISION, i8::try_from(column.scale?).ok()?),
        "float" => ArrowType::Float64,
        "date" => ArrowType::Date32,
        "timestamp" => ArrowType::Timestamp(TimeUnit::Microsecond, None),
        "bool" => ArrowType::Boolean,
        _ => return None,
    })
}

//! A department in a temporary folder, for the tests of storage and of the sealed table.
//! It holds obviously fake people and seals them with a keyring of its own.

#![expect(clippy::unwrap_used, reason = "tests may panic")]

use std::collections::BTreeMap;
use std::io::Cursor;

use arrow::record_batch::RecordBatch;
use obscura_crypto::kms::KeyFile;
use obscura_crypto::kms::KeyManagement;
use obscura_crypto::kms::LocalKeyring;
use obscura_crypto::kms::Secret;
use obscura_crypto::sign::Signer;
use obscura_policies::vocabulary::DataType;
use obscura_policies::vocabulary::DatasetId;
use obscura_policies::vocabulary::Level;
use obscura_policies::vocabulary::UnitKind;
use tempfile::TempDir;

use crate::storage::ColumnSpec;
use crate::storage::Confirmation;
use crate::storage::DataFolder;
use crate::storage::DatasetSpec;
use crate::storage::Expected;
use crate::storage::Input;
use crate::storage::InputOptions;
use crate::storage::Layout;
use crate::storage::PartLimits;
use crate::storage::SealMode;
use crate::storage::SealObserver;
use crate::storage::SealRequest;
use crate::storage::Sealed;
use crate::storage::SealedVersion;
use crate::storage::StorageError;
use crate::storage::UnitKeys;
use crate::storage::UnitSpec;
use crate::storage::Unobserved;
use crate::storage::reading::read_part;
use crate::storage::seal;

pub(crate) struct World {
    pub(crate) folder: TempDir,
    pub(crate) data: DataFolder,
    pub(crate) kms: LocalKeyring,
    pub(crate) signer: Signer,
    pub(crate) options: InputOptions,
    pub(crate) limits: PartLimits,
    pub(crate) memory_bytes: usize,
    pub(crate) newest_known: Option<u64>,
    pub(crate) unit_keys: UnitKeys,
    pub(crate) confirmation: Confirmation,
}

impl World {
    pub(crate) fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let secret = Secret::KeyFile(KeyFile::create(&folder.path().join("key")).unwrap());
        let kms = LocalKeyring::create(&folder.path().join("keyring"), &secret).unwrap();
        let signer = kms.signer("obscura.test/manifests").unwrap();
        Self {
            data: DataFolder::new(folder.path().join("data")),
            folder,
            kms,
            signer,
            options: InputOptions::strict(64 << 20),
            limits: PartLimits::STANDARD,
            memory_bytes: 64 << 20,
            newest_known: None,
            unit_keys: UnitKeys::Ask,
            confirmation: Confirmation::Given,
        }
    }

    pub(crate) fn seal(
        &self,
        spec: &DatasetSpec,
        mode: SealMode,
        input: impl Into<Vec<u8>>,
    ) -> Result<Sealed, StorageError> {
        self.seal_observed(spec, mode, stream(input), &Unobserved)
    }

    pub(crate) fn seal_observed(
        &self,
        spec: &DatasetSpec,
        mode: SealMode,
        input: Input,
        observer: &dyn SealObserver,
    ) -> Result<Sealed, StorageError> {
        let request = SealRequest {
            data: &self.data,
            spec,
            options: &self.options,
            mode,
            newest_known: self.newest_known,
            in_force: self.newest_known,
            memory_bytes: self.memory_bytes,
            limits: self.limits,
            unit_keys: self.unit_keys,
            confirmation: self.confirmation,
            sealed_at: jiff::Timestamp::UNIX_EPOCH,
            kms: &self.kms,
            recount: &|version, columns| version.unwrap_keys(&self.kms, columns),
            signer: &self.signer,
            observer,
        };
        seal(&request, input)
    }

    pub(crate) fn open(&self, version: u64) -> Result<SealedVersion, StorageError> {
        SealedVersion::open(&self.data, &visits_id(), Expected::Newest(version), self.signer.verifier())
    }

    /// All rows of some columns, in the order of the files.
    pub(crate) fn read(&self, version: &SealedVersion, columns: &[&str]) -> Vec<RecordBatch> {
        let keys = version.unwrap_keys(&self.kms, columns).unwrap();
        let mut batches = Vec::new();
        for part in version.open_parts().unwrap() {
            read_part(&part, &keys, columns, |batch| {
                batches.push(batch.clone());
                Ok(())
            })
            .unwrap();
        }
        batches
    }

    /// Every file below the data folder with its bytes.
    pub(crate) fn files(&self) -> BTreeMap<std::path::PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        let mut folders = vec![self.folder.path().join("data")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).into_iter().flatten() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    files.insert(path.clone(), std::fs::read(&path).unwrap());
                }
            }
        }
        files
    }
}

pub(crate) fn stream(input: impl Into<Vec<u8>>) -> Input {
    Input::Stream(Box::new(Cursor::new(input.into())))
}

pub(crate) fn visits_id() -> DatasetId {
    "hz-health.outpatient_visits".parse().unwrap()
}

pub(crate) fn column(name: &str, data_type: DataType, grade: u8) -> ColumnSpec {
    ColumnSpec {
        name: name.to_owned(),
        data_type,
        grade: Level(grade),
        semantic: None,
        token_of: None,
        published: false,
        also: Vec::new(),
    }
}

/// Outpatient visits: a resident, a day, a diagnosis, a cost.
pub(crate) fn visits() -> DatasetSpec {
    let resident = UnitKind("resident".to_owned());
    DatasetSpec {
        id: visits_id(),
        columns: vec![
            ColumnSpec { token_of: Some(resident.clone()), ..column("person_id", DataType::Text, 3) },
            column("visit_date", DataType::Date, 2),
            column("icd10", DataType::Text, 3),
            column("cost", DataType::Decimal { scale: 2 }, 3),
        ],
        units: vec![UnitSpec { kind: resident, column: "person_id".to_owned() }],
        layout: Layout::Clustered,
        strictest: Level(4),
        document: "kind: Dataset\n".to_owned(),
        document_version: 1,
        domains: BTreeMap::new(),
        in_force: BTreeMap::from([("db33t2351-2021".to_owned(), "1".to_owned())]),
    }
}

/// Visits of `people` people, `each` visits a person, in an order that scatters them.
pub(crate) fn visits_csv(people: usize, each: usize) -> String {
    let mut csv = String::from("person_id,visit_date,icd10,cost\n");
    for visit in 0..each {
        for person in 0..people {
            let shuffled = (person * 7919 + visit * 31) % people;
            let day = (person + visit) % 28 + 1;
            csv.push_str(&format!("P{shuffled:06},2021/3/{day},J{:02},{person}.5\n", visit % 90));
        }
    }
    csv
}

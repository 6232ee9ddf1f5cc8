//! Rewrapping keeps data readable under new keys; dropping and shredding end it.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may panic")]

use obscura_crypto::kms::KekId;
use obscura_crypto::kms::KeyManagement;

use crate::storage::Expected;
use crate::storage::SealMode;
use crate::storage::SealedVersion;
use crate::storage::StorageError;
use crate::storage::drop_version;
use crate::storage::list;
use crate::storage::rewrap;
use crate::storage::shred;
use crate::storage::testing::World;
use crate::storage::testing::visits;
use crate::storage::testing::visits_csv;
use crate::storage::testing::visits_id;

fn rows(world: &World, version: &SealedVersion) -> usize {
    world.read(version, &["icd10"]).iter().map(|batch| batch.num_rows()).sum()
}

#[test]
fn rotation_rewraps_and_leaves_files_alone() {
    let world = World::new();
    world.seal(&visits(), SealMode::First, visits_csv(5, 1)).unwrap();
    let second = world.seal(&visits(), SealMode::Append, visits_csv(5, 1)).unwrap();
    let before = world.files();
    let kek: KekId = "hz-health/L3".parse().unwrap();
    let newest = world.kms.rotate(&kek).unwrap();
    let changed = rewrap(&world.data, &visits_id(), 2, &world.kms, &world.signer).unwrap();
    assert!(changed >= 6, "three L3 columns in two parts");
    let version = world.open(2).unwrap();
    assert_eq!(version.manifest(), second.version.manifest());
    assert_eq!(version.keys().revision, 2);
    assert_eq!(rows(&world, &version), 10);
    let parts_before = before.iter().filter(|(path, _)| path.extension().is_some_and(|e| e == "parquet"));
    for (path, bytes) in parts_before {
        assert_eq!(&std::fs::read(path).unwrap(), bytes);
    }
    // The old version still has keys under the old key: it must be rewrapped before that key is retired.
    rewrap(&world.data, &visits_id(), 1, &world.kms, &world.signer).unwrap();
    world.kms.retire(&kek, newest).unwrap();
    assert_eq!(rows(&world, &world.open(2).unwrap()), 10);
    version.verify(&world.data, world.signer.verifier()).unwrap();
}

#[test]
fn a_dropped_version_is_gone_and_shared_files_stay() {
    let world = World::new();
    world.seal(&visits(), SealMode::First, visits_csv(5, 1)).unwrap();
    world.seal(&visits(), SealMode::Append, visits_csv(5, 1)).unwrap();
    drop_version(&world.data, &visits_id(), 1).unwrap();
    assert_eq!(world.data.versions(&visits_id()).unwrap(), [2]);
    assert_eq!(rows(&world, &world.open(2).unwrap()), 10);
    let gone = drop_version(&world.data, &visits_id(), 1);
    assert!(matches!(gone, Err(StorageError::VersionMissing { version: 1, .. })));
    assert_eq!(world.data.sweep().unwrap(), 0);
}

#[test]
fn shredding_destroys_keys_and_files_of_all_versions() {
    let world = World::new();
    world.seal(&visits(), SealMode::First, visits_csv(5, 1)).unwrap();
    world.seal(&visits(), SealMode::Append, visits_csv(5, 1)).unwrap();
    let done = shred(&world.data, &visits_id(), &world.signer, jiff::Timestamp::UNIX_EPOCH).unwrap();
    assert_eq!((done.versions, done.keys, done.files), (2, 15, 3));
    assert!(world.files().keys().all(|path| path.extension().is_none_or(|e| e != "parquet")));
    for version in list(&world.data, &visits_id(), world.signer.verifier()).unwrap() {
        assert!(version.is_shredded() && version.keys().parts.is_empty());
        let refused = version.unwrap_keys(&world.kms, &["icd10"]);
        assert!(matches!(refused, Err(StorageError::Shredded { .. })));
        version.verify(&world.data, world.signer.verifier()).unwrap();
    }
    assert!(matches!(
        rewrap(&world.data, &visits_id(), 1, &world.kms, &world.signer),
        Err(StorageError::Shredded { .. })
    ));
    assert!(matches!(
        world.seal(&visits(), SealMode::Append, visits_csv(5, 1)),
        Err(StorageError::Shredded { .. })
    ));
    let again = shred(&world.data, &visits_id(), &world.signer, jiff::Timestamp::UNIX_EPOCH).unwrap();
    assert_eq!((again.keys, again.files), (0, 0));
    let fresh = world.seal(&visits(), SealMode::Replace, visits_csv(5, 1)).unwrap();
    assert_eq!(fresh.version.manifest().version, 3);
}

#[test]
fn keys_of_one_column_do_not_open_another() {
    let world = World::new();
    let sealed = world.seal(&visits(), SealMode::First, visits_csv(5, 1)).unwrap();
    let keys = sealed.version.unwrap_keys(&world.kms, &["visit_date"]).unwrap();
    assert_eq!(keys.count(), 2);
    let part = &sealed.version.open_parts().unwrap()[0];
    let read = |column: &str| crate::storage::reading::read_part(part, &keys, &[column], |_| Ok(()));
    read("visit_date").unwrap();
    assert!(read("icd10").is_err());
    let unknown = sealed.version.unwrap_keys(&world.kms, &["salary"]);
    assert!(matches!(unknown, Err(StorageError::NoSuchColumn { .. })));
}

#[test]
fn datasets_and_versions_are_listed() {
    let world = World::new();
    assert!(world.data.datasets().unwrap().is_empty());
    world.seal(&visits(), SealMode::First, visits_csv(5, 1)).unwrap();
    world.seal(&visits(), SealMode::Replace, visits_csv(5, 1)).unwrap();
    assert_eq!(world.data.datasets().unwrap(), [visits_id()]);
    let versions: Vec<_> = list(&world.data, &visits_id(), world.signer.verifier())
        .unwrap()
        .iter()
        .map(|version| version.manifest().version)
        .collect();
    assert_eq!(versions, [1, 2]);
    let missing =
        SealedVersion::open(&world.data, &visits_id(), Expected::Exactly(9), world.signer.verifier());
    assert!(matches!(missing, Err(StorageError::VersionMissing { version: 9, .. })));
}

//! Nothing of a sealed version can be changed, moved or put back without being found.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may panic")]

use obscura_crypto::Hash;
use obscura_crypto::kms::KekId;
use obscura_crypto::kms::KeyManagement;
use obscura_policies::vocabulary::DataType;

use crate::storage::DatasetSpec;
use crate::storage::Expected;
use crate::storage::Manifest;
use crate::storage::ManifestFault;
use crate::storage::SealMode;
use crate::storage::SealedVersion;
use crate::storage::StorageError;
use crate::storage::manifest::ManifestFile;
use crate::storage::reading::read_part;
use crate::storage::rewrap;
use crate::storage::testing::World;
use crate::storage::testing::column;
use crate::storage::testing::visits;
use crate::storage::testing::visits_csv;
use crate::storage::testing::visits_id;

fn fault(result: Result<impl Sized, StorageError>) -> ManifestFault {
    match result.err().unwrap() {
        StorageError::Tampered { fault, .. } => fault,
        other => unreachable!("{other:?}"),
    }
}

#[test]
fn every_flipped_bit_of_the_manifest_is_found() {
    let world = World::new();
    world.seal(&visits(), SealMode::First, visits_csv(5, 1)).unwrap();
    let path = world.data.version(&visits_id(), 1).join("manifest.json");
    let bytes = std::fs::read(path).unwrap();
    let verifier = world.signer.verifier();
    ManifestFile::verify(&bytes, verifier).unwrap();
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << (at % 8);
        assert!(ManifestFile::verify(&damaged, verifier).is_err(), "byte {at}");
    }
    for cut in 0..bytes.len() {
        assert!(ManifestFile::verify(&bytes[..cut], verifier).is_err(), "cut at {cut}");
    }
    let spaced = [bytes.as_slice(), b"\n"].concat();
    assert_eq!(ManifestFile::verify(&spaced, verifier), Err(ManifestFault::Manifest));
}

#[test]
fn every_flipped_byte_of_a_part_is_found() {
    let world = World::new();
    world.seal(&visits(), SealMode::First, visits_csv(5, 1)).unwrap();
    let path = world.data.version(&visits_id(), 1).join("part-00000.parquet");
    let bytes = std::fs::read(&path).unwrap();
    let columns = ["person_id", "visit_date", "icd10", "cost"];
    let mut errors = 0;
    let sound = world.read(&world.open(1).unwrap(), &columns);
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << (at % 8);
        std::fs::write(&path, &damaged).unwrap();
        let version = world.open(1).unwrap();
        assert!(version.verify(&world.data, world.signer.verifier()).is_err(), "byte {at}");
        // A query does not hash the file. What it reads is authenticated all the same; the only bytes that are not are
        // lengths that Parquet writes twice, and those change no row.
        let Ok(parts) = version.open_parts() else {
            errors += 1;
            continue;
        };
        let keys = version.unwrap_keys(&world.kms, &columns).unwrap();
        let mut rows = Vec::new();
        let read = read_part(&parts[0], &keys, &columns, |batch| {
            rows.push(batch.clone());
            Ok(())
        });
        assert!(read.is_err() || rows == sound, "byte {at} changed a row without an error");
        errors += usize::from(read.is_err());
    }
    assert!(errors > bytes.len() / 2, "only {errors} of {} flips failed a read", bytes.len());
}

#[test]
fn a_plaintext_file_in_place_of_a_part_is_refused() {
    let world = World::new();
    let sealed = world.seal(&visits(), SealMode::First, visits_csv(5, 1)).unwrap();
    let batches = world.read(&sealed.version, &["person_id", "visit_date", "icd10", "cost"]);
    let mut plain = Vec::new();
    let mut writer = parquet::arrow::ArrowWriter::try_new(&mut plain, batches[0].schema(), None).unwrap();
    writer.write(&batches[0]).unwrap();
    writer.close().unwrap();
    let path = world.data.version(&visits_id(), 1).join("part-00000.parquet");
    let length = std::fs::metadata(&path).unwrap().len();

    std::fs::write(&path, &plain).unwrap();
    assert_eq!(fault(world.open(1).unwrap().open_parts()), ManifestFault::PartLength);

    // Padded to the sealed length, so that only the magic can tell.
    let footer = plain.split_off(4);
    plain.extend(vec![0; usize::try_from(length).unwrap().saturating_sub(footer.len() + 4)]);
    plain.extend(footer);
    plain.truncate(usize::try_from(length).unwrap());
    std::fs::write(&path, &plain).unwrap();
    assert_eq!(fault(world.open(1).unwrap().open_parts()), ManifestFault::PartPlaintext);
}

#[test]
fn swapped_parts_are_found() {
    let mut world = World::new();
    world.limits.row_group_rows = 10;
    world.limits.part_rows = 10;
    let sealed = world.seal(&visits(), SealMode::First, visits_csv(20, 1)).unwrap();
    let folder = world.data.version(&visits_id(), 1);
    assert_eq!(sealed.version.manifest().parts.len(), 2);
    let (a, b, c) = (folder.join("part-00000.parquet"), folder.join("part-00001.parquet"), folder.join("x"));
    std::fs::rename(&a, &c).unwrap();
    std::fs::rename(&b, &a).unwrap();
    std::fs::rename(&c, &b).unwrap();
    let found = fault(world.open(1).unwrap().open_parts());
    assert!(matches!(found, ManifestFault::PartLength | ManifestFault::PartFooter));
}

#[test]
fn an_old_version_put_back_is_a_rollback() {
    let world = World::new();
    world.seal(&visits(), SealMode::First, visits_csv(5, 1)).unwrap();
    world.seal(&visits(), SealMode::Replace, visits_csv(5, 2)).unwrap();
    let (old, new) = (world.data.version(&visits_id(), 1), world.data.version(&visits_id(), 2));
    std::fs::remove_dir_all(&new).unwrap();
    assert_eq!(fault(world.open(2)), ManifestFault::Rollback);
    std::fs::rename(&old, &new).unwrap();
    assert_eq!(fault(world.open(2)), ManifestFault::Rollback);
}

#[test]
fn another_datasets_version_is_found() {
    let world = World::new();
    let mut other = visits();
    other.id = "hz-tax.incomes".parse().unwrap();
    world.seal(&visits(), SealMode::First, visits_csv(5, 1)).unwrap();
    world.seal(&other, SealMode::First, visits_csv(5, 1)).unwrap();
    std::fs::remove_dir_all(world.data.version(&visits_id(), 1)).unwrap();
    std::fs::rename(world.data.version(&other.id, 1), world.data.version(&visits_id(), 1)).unwrap();
    assert_eq!(fault(world.open(1)), ManifestFault::Identity);
}

#[test]
fn another_signers_manifest_is_found() {
    let world = World::new();
    world.seal(&visits(), SealMode::First, visits_csv(5, 1)).unwrap();
    let stranger = obscura_crypto::sign::Signer::generate("obscura.test/manifests").unwrap();
    let opened = SealedVersion::open(&world.data, &visits_id(), Expected::Newest(1), stranger.verifier());
    assert_eq!(fault(opened), ManifestFault::Signature);
}

#[test]
fn a_missing_part_and_a_stray_file_are_found() {
    let world = World::new();
    world.seal(&visits(), SealMode::First, visits_csv(5, 1)).unwrap();
    let folder = world.data.version(&visits_id(), 1);
    std::fs::write(folder.join("note.txt"), "hello").unwrap();
    let version = world.open(1).unwrap();
    assert_eq!(fault(version.verify(&world.data, world.signer.verifier())), ManifestFault::Stray);
    std::fs::remove_file(folder.join("note.txt")).unwrap();
    std::fs::remove_file(folder.join("part-00000.parquet")).unwrap();
    assert_eq!(fault(version.open_parts()), ManifestFault::PartMissing);
}

#[test]
fn a_broken_chain_is_found() {
    let world = World::new();
    world.seal(&visits(), SealMode::First, visits_csv(5, 1)).unwrap();
    world.seal(&visits(), SealMode::Replace, visits_csv(6, 1)).unwrap();
    // The department itself seals other rows as version 1: the signature is right, the hash is not.
    let spare = World { signer: world.kms.signer("obscura.test/manifests").unwrap(), ..World::new() };
    spare.seal(&visits(), SealMode::First, visits_csv(9, 1)).unwrap();
    let (first, forged) = (world.data.version(&visits_id(), 1), spare.data.version(&visits_id(), 1));
    std::fs::remove_dir_all(&first).unwrap();
    std::fs::rename(forged, first).unwrap();
    let newest = world.open(2).unwrap();
    assert_eq!(fault(newest.verify(&world.data, world.signer.verifier())), ManifestFault::Chain);
}

/// The manifest of a new version.
fn sealed(world: &World, spec: &DatasetSpec, mode: SealMode, input: impl Into<Vec<u8>>) -> Manifest {
    world.seal(spec, mode, input).unwrap().version.manifest().clone()
}

fn digest(manifest: &Manifest) -> Hash {
    manifest.content_digest().unwrap()
}

#[test]
fn the_same_rows_have_one_content_digest_whatever_they_are_sealed_under() {
    let world = World::new();
    let first = sealed(&world, &visits(), SealMode::First, visits_csv(5, 1));
    let again = sealed(&world, &visits(), SealMode::Replace, visits_csv(5, 1));
    assert_ne!(again.parts[0].sha256, first.parts[0].sha256, "other keys");
    assert_eq!(digest(&again), digest(&first));
    let mut regraded = visits();
    regraded.columns[2].grade.0 = 4;
    assert_eq!(digest(&sealed(&world, &regraded, SealMode::Replace, visits_csv(5, 1))), digest(&first));
    let mut parted = World::new();
    (parted.kms, parted.limits.row_group_rows, parted.limits.part_rows) = (world.kms, 2, 2);
    let parted = sealed(&parted, &visits(), SealMode::First, visits_csv(5, 1));
    assert!(parted.parts.len() > 1);
    assert_eq!(digest(&parted), digest(&first));
}

#[test]
fn rotation_leaves_the_content_digest_alone() {
    let world = World::new();
    let manifest = sealed(&world, &visits(), SealMode::First, visits_csv(5, 1));
    let _newest = world.kms.rotate(&"hz-health/L3".parse::<KekId>().unwrap()).unwrap();
    assert!(rewrap(&world.data, &visits_id(), 1, &world.kms, &world.signer).unwrap() > 0);
    assert_eq!(digest(world.open(1).unwrap().manifest()), digest(&manifest));
}

#[test]
fn other_rows_have_another_content_digest() {
    let world = World::new();
    let five = sealed(&world, &visits(), SealMode::First, visits_csv(5, 1));
    let six = sealed(&world, &visits(), SealMode::Replace, visits_csv(6, 1));
    let dearer = visits_csv(5, 1).replace("4.5", "4.6");
    let dearer = sealed(&world, &visits(), SealMode::Replace, dearer);
    let five_again = sealed(&world, &visits(), SealMode::Replace, visits_csv(5, 1));
    let five_and_six = sealed(&world, &visits(), SealMode::Append, visits_csv(6, 1));
    let six_twice = sealed(&world, &visits(), SealMode::Append, visits_csv(6, 1));
    assert_eq!(digest(&five_again), digest(&five));
    let digests = [&five, &six, &dearer, &five_and_six, &six_twice].map(digest);
    for (at, one) in digests.iter().enumerate() {
        assert!(!digests[..at].contains(one), "{at}");
    }
    let _six = sealed(&world, &visits(), SealMode::Replace, visits_csv(6, 1));
    let six_and_five = sealed(&world, &visits(), SealMode::Append, visits_csv(5, 1));
    assert_eq!(digest(&six_and_five), digest(&five_and_six), "in either order");
}

#[test]
fn the_same_values_in_other_columns_have_another_content_digest() {
    let world = World::new();
    let spec = |columns| DatasetSpec { columns, units: Vec::new(), ..visits() };
    let text = |name| column(name, DataType::Text, 2);
    let digests = |one: Manifest, other: Manifest| {
        assert_eq!(one.inputs, other.inputs, "fingerprints know values alone");
        assert_ne!(digest(&one), digest(&other));
    };
    let as_is = sealed(&world, &spec(vec![text("a"), text("b")]), SealMode::First, "a,b\nx,y\n");
    digests(as_is, sealed(&world, &spec(vec![text("b"), text("a")]), SealMode::Replace, "b,a\nx,y\n"));
    let scaled = |scale| spec(vec![column("cost", DataType::Decimal { scale }, 2)]);
    digests(
        sealed(&world, &scaled(2), SealMode::Replace, "cost\n12.50\n"),
        sealed(&world, &scaled(1), SealMode::Replace, "cost\n125.0\n"),
    );
}

#[test]
fn a_version_with_rows_of_unknown_fingerprint_goes_by_its_files() {
    let world = World::new();
    let _five = sealed(&world, &visits(), SealMode::First, visits_csv(5, 1));
    let after_five = sealed(&world, &visits(), SealMode::Append, visits_csv(3, 1));
    let _six = sealed(&world, &visits(), SealMode::Replace, visits_csv(6, 1));
    let after_six = sealed(&world, &visits(), SealMode::Append, visits_csv(3, 1));
    // The older software wrote none; what was added since has one.
    let partly_known = |manifest: &Manifest, known: usize| {
        let inputs = manifest.inputs[manifest.inputs.len() - known..].to_vec();
        Manifest { inputs, ..manifest.clone() }
    };
    assert_eq!(partly_known(&after_five, 1).inputs, partly_known(&after_six, 1).inputs);
    assert_ne!(digest(&partly_known(&after_five, 1)), digest(&partly_known(&after_six, 1)));
    assert_ne!(digest(&partly_known(&after_five, 1)), digest(&after_five));
    assert_eq!(digest(&partly_known(&after_five, 0)), digest(&partly_known(&after_five, 1)));
}

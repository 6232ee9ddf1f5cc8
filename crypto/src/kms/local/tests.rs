//! The keyring: what opens it, what it tells apart, rotation, destruction, damage, and other openers of the same file.

use std::error::Error as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use tempfile::TempDir;

use super::*;
use crate::danger::{create_keyring_with_cost, key_bytes};
use crate::noise::NoiseKey;

/// The cheapest Argon2id there is.
const CHEAP: PassphraseCost = PassphraseCost { memory_kib: 8, passes: 1, lanes: 1 };

fn passphrase() -> Secret {
    Secret::passphrase("correct horse battery".to_owned())
}

fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keyring");
    (folder, path)
}

fn keyring() -> (TempDir, PathBuf, LocalKeyring) {
    let (folder, path) = folder();
    let keyring = create_keyring_with_cost(&path, &passphrase(), CHEAP).unwrap();
    (folder, path, keyring)
}

fn kek() -> KekId {
    KekId::new("hz-health", 3).unwrap()
}

fn context() -> WrapContext {
    WrapContext::Column {
        format_version: 1,
        dataset: "hz-health.outpatient_visits".to_owned(),
        version: 7,
        part: "part-0".to_owned(),
        column: "cost".to_owned(),
    }
}

fn same(one: &DataKey, other: &DataKey) -> bool {
    key_bytes(one) == key_bytes(other)
}

fn refused<T: std::fmt::Debug>(result: Result<T, KmsError>) -> bool {
    match result {
        Err(error @ KmsError::Refused) => {
            // One opaque answer: the same words, and no cause underneath.
            assert_eq!(error.to_string(), "the key service refused the operation");
            assert!(error.source().is_none());
            true
        }
        _ => false,
    }
}

#[test]
fn a_wrapped_key_unwraps_after_reopening() {
    let (_folder, path, keyring) = keyring();
    keyring.ensure_key(&kek()).unwrap();
    let key = DataKey::generate().unwrap();
    let text = keyring.wrap(&kek(), &key, &context()).unwrap().to_string();
    drop(keyring);
    let keyring = LocalKeyring::open(&path, &passphrase()).unwrap();
    assert!(text.starts_with("owk1:hz-health/L3:1:"));
    assert!(same(&keyring.unwrap(&text.parse().unwrap(), &context()).unwrap(), &key));
}

#[test]
fn each_way_of_not_opening_is_told_apart() {
    let (folder, path, keyring) = keyring();
    drop(keyring);
    let wrong = Secret::passphrase("correct horse batteries".to_owned());
    let error = LocalKeyring::open(&path, &wrong).unwrap_err();
    assert!(matches!(error, KeyringError::WrongSecret));
    assert_eq!(error.to_string(), "wrong passphrase or key file, or damaged keyring");

    let missing = folder.path().join("missing");
    assert!(matches!(LocalKeyring::open(&missing, &passphrase()), Err(KeyringError::Missing { .. })));
    assert!(!folder.path().join("missing.lock").exists());

    let other = folder.path().join("other");
    for content in [
        &b""[..],
        b"OBSCKEY",
        &[0; 200],
        b"OBSCKEYR\x02 of a newer version that cannot be read, and then some more bytes",
    ] {
        fs::write(&other, content).unwrap();
        fs::set_permissions(&other, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(matches!(LocalKeyring::open(&other, &passphrase()), Err(KeyringError::Format { .. })));
    }

    for mode in [0o640, 0o604, 0o660, 0o606, 0o666] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let error = LocalKeyring::open(&path, &passphrase()).unwrap_err();
        assert!(matches!(error, KeyringError::Permissions { mode: found, .. } if found == mode));
    }

    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let key_file = KeyFile::create(&folder.path().join("key")).unwrap();
    let error = LocalKeyring::open(&path, &Secret::KeyFile(key_file)).unwrap_err();
    assert_eq!(error.to_string(), "the keyring is sealed under a passphrase");
}

#[test]
fn creating_leaves_a_file_that_is_already_there() {
    let (_folder, path, keyring) = keyring();
    let version = keyring.ensure_key(&kek()).unwrap();
    assert!(matches!(
        create_keyring_with_cost(&path, &passphrase(), CHEAP),
        Err(KeyringError::Exists { .. })
    ));
    assert_eq!(keyring.versions(&kek()).unwrap(), [version]);
}

#[test]
fn a_short_passphrase_or_an_unbounded_cost_makes_no_keyring() {
    let (_folder, path) = folder();
    let short = Secret::passphrase("1234567".to_owned());
    assert!(matches!(
        LocalKeyring::create(&path, &short),
        Err(KeyringError::Passphrase { characters_min: 8 })
    ));
    for cost in [
        PassphraseCost { memory_kib: 1, ..CHEAP },
        PassphraseCost { memory_kib: u32::MAX, ..CHEAP },
        PassphraseCost { passes: 0, ..CHEAP },
        PassphraseCost { passes: 17, ..CHEAP },
        PassphraseCost { lanes: 17, ..CHEAP },
    ] {
        assert!(matches!(create_keyring_with_cost(&path, &passphrase(), cost), Err(KeyringError::Cost)));
    }
    assert!(!path.exists());
}

#[test]
fn the_standard_cost_is_64_mib_three_passes_one_lane_and_is_stored() {
    let (_folder, path) = folder();
    LocalKeyring::create(&path, &passphrase()).unwrap();
    let bytes = fs::read(&path).unwrap();
    // Magic, version 1, Argon2id, then memory in KiB, passes and lanes.
    assert_eq!(bytes[..22], *b"OBSCKEYR\x01\x01\x00\x01\x00\x00\x00\x00\x00\x03\x00\x00\x00\x01");
}

#[test]
fn a_key_file_opens_what_it_sealed_and_nothing_else_does() {
    let (folder, path) = folder();
    let key_path = folder.path().join("key");
    let secret = Secret::KeyFile(KeyFile::create(&key_path).unwrap());
    let keyring = LocalKeyring::create(&path, &secret).unwrap();
    let version = keyring.ensure_key(&kek()).unwrap();
    let again = LocalKeyring::open(&path, &Secret::key_file(&key_path).unwrap()).unwrap();
    assert_eq!(again.versions(&kek()).unwrap(), [version]);

    let other = Secret::KeyFile(KeyFile::create(&folder.path().join("other")).unwrap());
    assert!(matches!(LocalKeyring::open(&path, &other), Err(KeyringError::WrongSecret)));
    let error = LocalKeyring::open(&path, &passphrase()).unwrap_err();
    assert_eq!(error.to_string(), "the keyring is sealed under a key file");
}

#[test]
fn a_key_file_is_private_and_only_a_key_file() {
    let (folder, path) = folder();
    KeyFile::create(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(matches!(KeyFile::create(&path), Err(KeyringError::Exists { .. })));
    let text = fs::read_to_string(&path).unwrap();
    for damaged in
        [text.replace("-v1", "-v2"), text.replace("\n", ""), format!("{text}more\n"), String::new()]
    {
        fs::write(&path, damaged).unwrap();
        assert!(matches!(KeyFile::open(&path), Err(KeyringError::Format { .. })));
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(KeyFile::open(&path), Err(KeyringError::Permissions { .. })));
    assert!(matches!(KeyFile::open(&folder.path().join("no")), Err(KeyringError::Missing { .. })));
}

#[test]
fn every_file_of_a_keyring_is_private() {
    let (folder, _path, keyring) = keyring();
    keyring.ensure_key(&kek()).unwrap();
    for entry in fs::read_dir(folder.path()).unwrap() {
        assert_eq!(entry.unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn every_flipped_bit_and_every_cut_of_a_keyring_fails_to_open() {
    let (_folder, path, keyring) = keyring();
    keyring.ensure_key(&kek()).unwrap();
    keyring.signer("log.example").unwrap();
    let bytes = fs::read(&path).unwrap();
    let fails = |damaged: &[u8]| {
        fs::write(&path, damaged).unwrap();
        matches!(
            LocalKeyring::open(&path, &passphrase()),
            Err(KeyringError::WrongSecret | KeyringError::Format { .. } | KeyringError::SecretKind { .. })
        )
    };
    for bit in 0..bytes.len() * 8 {
        let mut damaged = bytes.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(fails(&damaged), "bit {bit}");
    }
    for length in (0..bytes.len()).step_by(7) {
        assert!(fails(&bytes[..length]), "length {length}");
    }
    fs::write(&path, &bytes).unwrap();
    LocalKeyring::open(&path, &passphrase()).unwrap();
}

#[test]
fn every_flipped_bit_of_a_wrapped_key_and_every_other_context_is_refused_alike() {
    let (_folder, _path, keyring) = keyring();
    keyring.ensure_key(&kek()).unwrap();
    let wrapped = keyring.wrap(&kek(), &DataKey::generate().unwrap(), &context()).unwrap();
    for bit in 0..wrapped.sealed().len() * 8 {
        let mut sealed = wrapped.sealed().to_vec();
        sealed[bit / 8] ^= 1 << (bit % 8);
        assert!(refused(keyring.unwrap(&WrappedKey::new(kek(), wrapped.version(), sealed), &context())));
    }
    let WrapContext::Column { format_version, dataset, version, part, column } = context() else { return };
    let others = [
        WrapContext::Column {
            format_version: 2,
            dataset: dataset.clone(),
            version,
            part: part.clone(),
            column: column.clone(),
        },
        WrapContext::Column {
            format_version,
            dataset: "x".to_owned(),
            version,
            part: part.clone(),
            column: column.clone(),
        },
        WrapContext::Column {
            format_version,
            dataset: dataset.clone(),
            version: 8,
            part: part.clone(),
            column: column.clone(),
        },
        WrapContext::Column {
            format_version,
            dataset: dataset.clone(),
            version,
            part: "part-1".to_owned(),
            column,
        },
        WrapContext::Column { format_version, dataset, version, part, column: "icd10".to_owned() },
        WrapContext::Object { format_version, kind: "result".to_owned(), id: "1".to_owned() },
    ];
    for other in others {
        assert!(refused(keyring.unwrap(&wrapped, &other)));
    }
    let stranger = KekId::new("hz-tax", 3).unwrap();
    keyring.ensure_key(&stranger).unwrap();
    let moved = WrappedKey::new(stranger, wrapped.version(), wrapped.sealed().to_vec());
    assert!(refused(keyring.unwrap(&moved, &context())));
    let missing =
        WrappedKey::new(KekId::new("nobody", 1).unwrap(), wrapped.version(), wrapped.sealed().to_vec());
    assert!(refused(keyring.unwrap(&missing, &context())));
    assert!(refused(keyring.wrap(missing.kek(), &DataKey::generate().unwrap(), &context())));
    assert!(keyring.unwraps().is_empty());
}

#[test]
fn the_text_of_a_wrapped_key_reads_back_and_other_texts_do_not() {
    let (_folder, _path, keyring) = keyring();
    keyring.ensure_key(&kek()).unwrap();
    let wrapped = keyring.wrap(&kek(), &DataKey::generate().unwrap(), &context()).unwrap();
    let text = wrapped.to_string();
    assert!(text.parse::<WrappedKey>().unwrap() == wrapped);
    assert_eq!(format!("{wrapped:?}"), "WrappedKey(hz-health/L3, 1)");
    for damaged in [
        text.replace("owk1", "owk2"),
        text.replace(":1:", ":01:"),
        text.replace("/L3", "/L03"),
        format!("{text}A"),
        format!("{text}:"),
        text.strip_suffix(|_last: char| true).unwrap().to_owned(),
        String::new(),
    ] {
        assert!(damaged.parse::<WrappedKey>().is_err(), "{damaged}");
    }
}

#[test]
fn rotation_wraps_under_the_new_key_while_the_old_still_unwraps() {
    let (_folder, path, keyring) = keyring();
    let first = keyring.ensure_key(&kek()).unwrap();
    let key = DataKey::generate().unwrap();
    let old = keyring.wrap(&kek(), &key, &context()).unwrap();
    let second = keyring.rotate(&kek()).unwrap();
    assert!(second > first);
    assert_eq!(keyring.ensure_key(&kek()).unwrap(), second);
    assert!(same(&keyring.unwrap(&old, &context()).unwrap(), &key));

    let new = keyring.rewrap(&old, &context()).unwrap();
    assert_eq!((old.version(), new.version()), (first, second));
    assert!(same(&keyring.unwrap(&new, &context()).unwrap(), &key));
    assert_eq!(keyring.versions(&kek()).unwrap(), [first, second]);

    keyring.retire(&kek(), second).unwrap();
    assert_eq!(keyring.versions(&kek()).unwrap(), [second]);
    assert!(refused(keyring.unwrap(&old, &context())));
    let reopened = LocalKeyring::open(&path, &passphrase()).unwrap();
    assert!(refused(reopened.unwrap(&old, &context())));
    assert!(same(&reopened.unwrap(&new, &context()).unwrap(), &key));
    assert!(refused(keyring.rewrap(&old, &context())));
    assert!(refused(keyring.retire(&kek(), KekVersion::new(3))));
    assert!(refused(keyring.rotate(&KekId::new("hz-tax", 2).unwrap())));
}

#[test]
fn a_destroyed_key_is_gone_from_memory_disk_and_other_openers() {
    let (_folder, path, keyring) = keyring();
    let other = LocalKeyring::open(&path, &passphrase()).unwrap();
    keyring.ensure_key(&kek()).unwrap();
    keyring.rotate(&kek()).unwrap();
    let spared = KekId::new("hz-health", 2).unwrap();
    keyring.ensure_key(&spared).unwrap();
    let wrapped = keyring.wrap(&kek(), &DataKey::generate().unwrap(), &context()).unwrap();
    let spared_wrapped = keyring.wrap(&spared, &DataKey::generate().unwrap(), &context()).unwrap();
    assert!(other.unwrap(&wrapped, &context()).is_ok());
    // A second name keeps the replaced bytes reachable, as an open handle or an undelete would.
    let replaced = path.with_extension("replaced");
    fs::hard_link(&path, &replaced).unwrap();

    keyring.destroy(&kek()).unwrap();

    for holder in [&keyring, &other, &LocalKeyring::open(&path, &passphrase()).unwrap()] {
        assert!(refused(holder.unwrap(&wrapped, &context())));
        assert!(holder.versions(&kek()).unwrap().is_empty());
        assert!(holder.unwrap(&spared_wrapped, &context()).is_ok());
    }
    assert!(fs::read(&replaced).unwrap().iter().all(|byte| *byte == 0));
    assert!(refused(keyring.destroy(&kek())));
    assert_eq!(keyring.ensure_key(&kek()).unwrap().number(), 3);
    assert!(refused(keyring.unwrap(&wrapped, &context())));
}

#[test]
fn without_its_file_a_keyring_in_memory_unwraps_nothing() {
    let (_folder, path, keyring) = keyring();
    keyring.ensure_key(&kek()).unwrap();
    let wrapped = keyring.wrap(&kek(), &DataKey::generate().unwrap(), &context()).unwrap();
    fs::remove_file(&path).unwrap();
    assert!(refused(keyring.unwrap(&wrapped, &context())));
    assert!(matches!(keyring.rotate(&kek()), Err(KmsError::Keyring(KeyringError::Missing { .. }))));
}

#[test]
fn two_openers_do_not_lose_each_others_keys() {
    let (_folder, path, one) = keyring();
    let two = LocalKeyring::open(&path, &passphrase()).unwrap();
    let kek_of = |number: u8| KekId::new("hz-tax", number).unwrap();
    std::thread::scope(|scope| {
        for (holder, numbers) in [(&one, 0..20), (&two, 10..30)] {
            scope.spawn(move || {
                for number in numbers {
                    holder.ensure_key(&kek_of(number)).unwrap();
                }
            });
        }
    });
    for holder in [&one, &two, &LocalKeyring::open(&path, &passphrase()).unwrap()] {
        for number in 0..30 {
            assert_eq!(holder.versions(&kek_of(number)).unwrap(), [KekVersion::new(1)], "{number}");
        }
    }
}

#[test]
fn named_keys_are_the_same_after_reopening_and_differ_by_name() {
    let (_folder, path, keyring) = keyring();
    let again = LocalKeyring::open(&path, &passphrase()).unwrap();
    let token = keyring.tokenizer("resident").unwrap().token64("11010519491231002X");
    assert_eq!(again.tokenizer("resident").unwrap().token64("11010519491231002X"), token);
    assert_ne!(again.tokenizer("enterprise").unwrap().token64("11010519491231002X"), token);
    let hash = keyring.hash_key("cell-key").unwrap().hash_token(token);
    assert_eq!(again.hash_key("cell-key").unwrap().hash_token(token), hash);
    assert_ne!(again.hash_key("sketch").unwrap().hash_token(token), hash);
    let noise = |holder: &LocalKeyring, department: &str, family: &str| {
        let mut bytes = [0; 32];
        NoiseKey::of(&holder.hash_key(department).unwrap(), family).fill(b"name", 0, &mut bytes);
        bytes
    };
    let bytes = noise(&keyring, "noise/hz-health", "hz-health.visits");
    assert_eq!(noise(&again, "noise/hz-health", "hz-health.visits"), bytes);
    assert_ne!(noise(&again, "noise/hz-health", "hz-health.wards"), bytes);
    assert_ne!(noise(&again, "noise/hz-tax", "hz-health.visits"), bytes);
    let signature = keyring.signer("log.example").unwrap().sign(b"m");
    again.signer("log.example").unwrap().verifier().verify(b"m", &signature).unwrap();
    assert!(again.signer("manifests").unwrap().verifier().verify(b"m", &signature).is_err());
    for name in ["", "a b", "a+b", "a\nb"] {
        assert!(matches!(keyring.tokenizer(name), Err(KmsError::Name(_))), "{name:?}");
    }
}

#[test]
fn unwraps_are_counted_per_key_and_rewraps_are_not() {
    let (_folder, _path, keyring) = keyring();
    let tax = KekId::new("hz-tax", 3).unwrap();
    for kek in [&kek(), &tax] {
        keyring.ensure_key(kek).unwrap();
    }
    let key = DataKey::generate().unwrap();
    let wrapped = keyring.wrap(&kek(), &key, &context()).unwrap();
    keyring.unwrap(&wrapped, &context()).unwrap();
    keyring.unwrap(&wrapped, &context()).unwrap();
    keyring.rewrap(&wrapped, &context()).unwrap();
    keyring.unwrap(&keyring.wrap(&tax, &key, &context()).unwrap(), &context()).unwrap();
    assert_eq!(keyring.unwraps(), BTreeMap::from([(kek(), 2), (tax, 1)]));
}

#[test]
fn another_secret_takes_over_and_the_old_one_opens_nothing() {
    let (_folder, path, keyring) = keyring();
    let stale = LocalKeyring::open(&path, &passphrase()).unwrap();
    keyring.ensure_key(&kek()).unwrap();
    let wrapped = keyring.wrap(&kek(), &DataKey::generate().unwrap(), &context()).unwrap();
    let new = Secret::passphrase("another passphrase".to_owned());
    keyring.change_secret(&new).unwrap();
    keyring.unwrap(&wrapped, &context()).unwrap();
    LocalKeyring::open(&path, &new).unwrap().unwrap(&wrapped, &context()).unwrap();
    assert!(matches!(LocalKeyring::open(&path, &passphrase()), Err(KeyringError::WrongSecret)));
    assert!(refused(stale.unwrap(&wrapped, &context())));
}

#[test]
fn a_temporary_file_left_by_a_kill_is_replaced() {
    let (_folder, path, keyring) = keyring();
    let left = PathBuf::from(format!("{}.new", path.display()));
    fs::write(&left, b"half a keyring").unwrap();
    keyring.ensure_key(&kek()).unwrap();
    assert!(!left.exists());
    assert_eq!(LocalKeyring::open(&path, &passphrase()).unwrap().versions(&kek()).unwrap().len(), 1);
}

#[test]
fn no_key_is_in_the_file_in_the_clear() {
    let (_folder, path, keyring) = keyring();
    keyring.ensure_key(&kek()).unwrap();
    let bytes = fs::read(&path).unwrap();
    let secret =
        keyring.current(|records| *records.kek(&kek(), KekVersion::new(1)).unwrap().expose()).unwrap();
    assert!(!bytes.windows(32).any(|window| window == secret));
    assert!(!bytes.windows(9).any(|window| window == b"hz-health"));
}

#[test]
fn debug_output_of_secrets_is_the_type_name() {
    let (folder, _path, keyring) = keyring();
    let key_file = KeyFile::create(&folder.path().join("key")).unwrap();
    assert_eq!(format!("{keyring:?}"), "LocalKeyring");
    assert_eq!(format!("{:?}", passphrase()), "Secret");
    assert_eq!(format!("{key_file:?}"), "KeyFile");
    let Secret::Passphrase(passphrase) = passphrase() else { return };
    assert_eq!(format!("{passphrase:?}"), "Passphrase");
    assert_eq!(format!("{:?}", DataKey::generate().unwrap()), "DataKey");
}

#[test]
fn decoding_records_stops_at_every_cut_and_at_trailing_bytes() {
    let mut records = Records::default();
    records.add_version(&kek()).unwrap();
    records.insert(KeyName::new(Kind::Token, "resident", 1), SecretBytes::generate().unwrap());
    let bytes = records.encode();
    assert!(Records::decode(&bytes).unwrap().encode() == bytes);
    for length in 0..bytes.len() {
        assert!(Records::decode(&bytes[..length]).is_none(), "{length}");
    }
    assert!(Records::decode(&[&bytes[..], &[0]].concat()).is_none());
}

#[test]
fn a_keyring_that_would_be_too_large_is_not_written() {
    let (_folder, path, keyring) = keyring();
    let before = fs::read(&path).unwrap();
    let result = keyring.change(|records| {
        for number in 0..60_000 {
            let name = format!("{number:0>128}");
            records.insert(KeyName::new(Kind::Token, &name, 1), SecretBytes::from_slice(&[0; 32]).unwrap());
        }
        Ok(((), Change::Write))
    });
    assert!(matches!(result, Err(KmsError::Keyring(KeyringError::Full))));
    assert_eq!(fs::read(&path).unwrap(), before);
}

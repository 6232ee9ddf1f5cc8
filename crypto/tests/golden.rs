//! One golden set per format version, kept for ever: what an older Obscura wrote is still read.
//!
//! Never regenerate a file here; a new format version gets new files beside the old ones.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use obscura_crypto::checkpoint::Checkpoint;
use obscura_crypto::danger::key_bytes;
use obscura_crypto::kms::{KekId, KeyManagement, LocalKeyring, Secret, WrapContext};
use obscura_crypto::sha256_hex;
use obscura_crypto::tlog_proof::TlogProof;

const ORIGIN: &str = "obscura.example/audit";

/// Copies a golden file where it may have the permissions of a secret one, which a version control system cannot keep.
fn private_copy(folder: &Path, name: &str) -> PathBuf {
    let path = folder.join(name);
    fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name), &path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path
}

fn text(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)).unwrap()
}

/// Looks up `name value` in the list of what the golden keyring's keys give.
fn expected(name: &str) -> String {
    let facts = text("v1-facts.txt");
    facts.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).unwrap().to_owned()
}

fn check_keyring(keyring: &LocalKeyring) {
    let kek = KekId::new("hz-health", 3).unwrap();
    let versions: Vec<u32> = keyring.versions(&kek).unwrap().iter().map(|version| version.number()).collect();
    assert_eq!(versions, [2, 3]);
    let column = WrapContext::Column {
        format_version: 1,
        dataset: "hz-health.outpatient_visits".to_owned(),
        version: 7,
        part: "part-0".to_owned(),
        column: "cost".to_owned(),
    };
    let object = WrapContext::Object { format_version: 1, kind: "result".to_owned(), id: "r-1".to_owned() };
    for (name, context) in [("wrapped-column", column), ("wrapped-object", object)] {
        let key = keyring.unwrap(&expected(name).parse().unwrap(), &context).unwrap();
        assert_eq!(sha256_hex(key_bytes(&key)), expected("data-key-sha256"));
    }
    assert_eq!(keyring.tokenizer("resident").unwrap().token_hex("11010519491231002X"), expected("token"));
    let hash = keyring.hash_key("cell-key").unwrap().hash_token(-5);
    assert_eq!(hash.to_string(), expected("subject-hash"));
    assert_eq!(keyring.signer(ORIGIN).unwrap().verifier().to_string(), expected("verifier"));
}

#[test]
fn a_version_1_keyring_under_a_passphrase_opens() {
    let folder = tempfile::tempdir().unwrap();
    let path = private_copy(folder.path(), "v1-passphrase.keyring");
    check_keyring(&LocalKeyring::open(&path, &Secret::passphrase("golden passphrase".to_owned())).unwrap());
}

#[test]
fn a_version_1_keyring_under_a_key_file_opens() {
    let folder = tempfile::tempdir().unwrap();
    let secret = Secret::key_file(&private_copy(folder.path(), "v1.key")).unwrap();
    check_keyring(&LocalKeyring::open(&private_copy(folder.path(), "v1-key-file.keyring"), &secret).unwrap());
}

#[test]
fn a_version_1_receipt_verifies() {
    let proof: TlogProof = text("v1.tlog-proof").parse().unwrap();
    let verifier = expected("verifier").parse().unwrap();
    let checkpoint = proof.verify(b"entry 4", &verifier, ORIGIN).unwrap();
    assert_eq!(checkpoint, Checkpoint::verify(&proof.checkpoint, &verifier, ORIGIN).unwrap());
    assert_eq!((proof.index, checkpoint.size()), (4, 7));
    assert_eq!(proof.to_string(), text("v1.tlog-proof"));
}

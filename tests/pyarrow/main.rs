//! PyArrow opens what `sandbox/docs/reference.md`, section 8 says it opens: a file under one key whole, a normal sealed file's footer only.
//! It proves that sealed files are plain Parquet encryption; the checks in Python are in `open_sealed.py`.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests may panic and say why they did not run"
)]

use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::process::Stdio;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::array::Int64Array;
use arrow::array::RecordBatch;
use arrow::array::StringArray;
use obscura_crypto::kms::KeyFile;
use obscura_crypto::kms::KeyManagement as _;
use obscura_crypto::kms::LocalKeyring;
use obscura_crypto::kms::Secret;
use obscura_sandbox::storage::DataFolder;
use obscura_sandbox::storage::Expected;
use obscura_sandbox::storage::SealedVersion;
use obscura_sandbox::storage::danger;
use obscura_sandbox::storage::danger::RawAccess;
use obscura_tests::environment;
use obscura_tests::fixture::Fixture;
use obscura_tests::world::World;
use serde_json::Value;
use serde_json::json;

#[test]
fn pyarrow_opens_what_it_should_and_nothing_else() {
    let Some(python) = environment::python() else {
        assert!(!environment::run_slow(), "no Python: OBSCURA_PYTHON names the interpreter with PyArrow");
        eprintln!("skipped: OBSCURA_PYTHON names no interpreter with PyArrow; `cargo xtask test` makes one");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let world = World::with(&Fixture::load().unwrap()).unwrap();
    let mut cases = vec![one_key(&folder.path().join("one.parquet"))];
    cases.extend(sealed(&world));
    assert_eq!(cases.len(), 3);

    let script = environment::tests_folder().join("pyarrow").join("open_sealed.py");
    let mut child = Command::new(python)
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let input = json!({ "cases": cases }).to_string();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let finished = child.wait_with_output().unwrap();
    assert!(finished.status.success(), "{}", String::from_utf8_lossy(&finished.stderr));
}

/// A file as the sealing writer writes it, but with one key for everything.
fn one_key(path: &Path) -> Value {
    let names: ArrayRef = Arc::new(StringArray::from(vec![Some("tax"), None, Some("health")]));
    let counts: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
    let batch = RecordBatch::try_from_iter([("dept", names), ("n", counts)]).unwrap();
    let access = danger::seal_with_one_key(path, &batch, &"corpus.persons".parse().unwrap()).unwrap();
    case(
        path,
        &access,
        &json!({ "expect": "rows", "rows": { "dept": ["tax", null, "health"], "n": [1, 2, 3] } }),
    )
}

/// A part as the program sealed it, with the key of its footer.
fn sealed(world: &World) -> [Value; 2] {
    let secret = Secret::KeyFile(KeyFile::open(&world.root().join("data.key")).unwrap());
    let keyring = LocalKeyring::open(&world.data().join("keyring"), &secret).unwrap();
    let signer = keyring.signer("manifests").unwrap();
    let verifier = signer.verifier();
    let data = DataFolder::new(world.data());
    let dataset = "corpus.persons".parse().unwrap();
    let version = SealedVersion::open(&data, &dataset, Expected::Newest(1), verifier).unwrap();
    let access = danger::footer_access(&version, &keyring, 0).unwrap();
    let part = &version.manifest().parts[0];
    let path = data.version(&dataset, 1).join(&part.name);
    let columns: Vec<&str> = version.manifest().columns.iter().map(|column| column.name.as_str()).collect();
    let footer = json!({ "expect": "footer", "columns": columns, "row_count": part.rows });
    [case(&path, &access, &footer), case(&path, &access, &json!({ "expect": "nothing" }))]
}

fn case(path: &Path, access: &RawAccess, more: &Value) -> Value {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let mut case = json!({ "path": path, "key": hex(&access.key), "aad_prefix": hex(&access.aad_prefix) });
    for (key, value) in more.as_object().unwrap() {
        case[key] = value.clone();
    }
    case
}

//! The JSON Schemas that `obscura policy schema` prints, judged by a validator that is not ours: every document that ships
//! with the project fits its schema, and none does once it holds a field that the parser does not know.
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "tests may panic and say why they did not run")]

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Stdio;

use obscura_policies::document::Kind;
use obscura_policies::shipped::template;
use obscura_tests::environment;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

/// Folders of documents, from the root.
const FOLDERS: [&str; 4] = [
    "policies/documents/demo",
    "policies/documents/schemes",
    "policies/documents/purposes",
    "tests/attacks/documents",
];

#[test]
fn every_document_fits_its_schema_and_none_with_another_field() {
    let Some(python) = environment::python() else {
        assert!(
            !environment::run_slow(),
            "no Python: OBSCURA_PYTHON names the interpreter with jsonschema-rs"
        );
        eprintln!("skipped: OBSCURA_PYTHON names no interpreter; `cargo xtask test` makes one");
        return;
    };
    let mut schemas = Map::from_iter([("any".to_owned(), schema(&[]))]);
    let mut documents = Vec::new();
    for kind in Kind::ALL {
        schemas.insert(kind.to_string(), schema(&[kind.as_str()]));
        documents.extend(read(&format!("template of {kind}"), template(*kind).en));
        documents.extend(read(&format!("Chinese template of {kind}"), template(*kind).zh));
    }
    for file in files() {
        documents.extend(read(&file.display().to_string(), &fs::read_to_string(&file).unwrap()));
    }
    assert!(documents.len() > 60, "only {} documents", documents.len());
    judge(&python, &json!({ "schemas": schemas, "documents": documents }));
}

/// The schema that the program prints.
fn schema(arguments: &[&str]) -> Value {
    let printed = Command::new(environment::product().unwrap())
        .args(["policy", "schema"])
        .args(arguments)
        .env_clear()
        .output()
        .unwrap();
    assert!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
    serde_json::from_slice(&printed.stdout).unwrap()
}

fn files() -> Vec<PathBuf> {
    let root = environment::tests_folder().join("..");
    let list = |folder: &str| -> Vec<PathBuf> {
        fs::read_dir(root.join(folder)).unwrap().map(|entry| entry.unwrap().path()).collect()
    };
    let is_yaml = |file: &PathBuf| file.extension() == Some("yaml".as_ref());
    FOLDERS.iter().flat_map(|folder| list(folder)).filter(is_yaml).collect()
}

/// The documents of a file as an editor sees them, before our parser has made anything of them.
fn read(name: &str, text: &str) -> Vec<Value> {
    let name = Path::new(name).file_name().unwrap().to_string_lossy();
    text.split("\n---\n")
        .enumerate()
        .map(|(number, part)| {
            let value: Value = serde_saphyr::from_str(part).unwrap();
            json!({ "name": format!("{name} {number}"), "kind": value.get("kind"), "value": value })
        })
        .collect()
}

fn judge(python: &Path, input: &Value) {
    let mut child = Command::new(python)
        .arg(environment::tests_folder().join("schemas").join("validate.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.to_string().as_bytes()).unwrap();
    let finished = child.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&finished.stdout);
    assert!(finished.status.success(), "{told}\n{}", String::from_utf8_lossy(&finished.stderr));
    eprintln!("{told}");
}

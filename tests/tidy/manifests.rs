//! Rules for the manifests and the lock file: edges between crates, one version of what must agree, shared lints.
//! It does not judge licences or advisories; `.deny.toml` does.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

use crate::tree;

/// Every crate and the crates of ours that it may use. Dependencies point one way.
const EDGES: &[(&str, &[&str])] = &[
    ("obscura-policies", &[]),
    ("obscura-crypto", &[]),
    ("obscura-query-guard", &["obscura-policies"]),
    ("obscura-sandbox", &["obscura-crypto", "obscura-policies", "obscura-query-guard"]),
    ("obscura-tests", &["obscura-crypto", "obscura-policies", "obscura-query-guard", "obscura-sandbox"]),
    (
        "obscura-benches",
        &["obscura-crypto", "obscura-policies", "obscura-query-guard", "obscura-sandbox", "obscura-tests"],
    ),
    ("xtask", &[]),
];

/// Dependencies that a crate may not use outside its tests and examples, by the beginning of their names.
const OUT_OF_REACH: &[(&str, &[&str])] = &[
    ("obscura-policies", &["arrow", "parquet", "datafusion", "sqlparser", "tokio", "sqlx", "object_store"]),
    ("obscura-crypto", &["arrow", "parquet", "datafusion", "tokio", "sqlx", "object_store"]),
    ("obscura-query-guard", &["parquet", "tokio", "sqlx", "object_store", "jiff"]),
];

/// Packages of which two versions in one build would be two incompatible type systems.
const ONE_VERSION: &[&str] = &["arrow-array", "parquet", "datafusion-common", "object_store"];

#[test]
fn crates_depend_only_in_the_drawn_direction() {
    let allowed: BTreeMap<&str, &[&str]> = EDGES.iter().copied().collect();
    let mut findings = Vec::new();
    for package in packages() {
        let name = package["name"].as_str().unwrap();
        let Some(may) = allowed.get(name) else {
            findings.push(format!("{name} is not drawn in the map"));
            continue;
        };
        for dependency in package["dependencies"].as_array().unwrap() {
            let used = dependency["name"].as_str().unwrap();
            if allowed.contains_key(used) && used != name && !may.contains(&used) {
                findings.push(format!("{name} -> {used}"));
            }
        }
    }
    tree::report("an edge between crates that is not drawn", &findings);
}

#[test]
fn crates_reach_nothing_beyond_their_task() {
    let mut findings = Vec::new();
    for package in packages() {
        let name = package["name"].as_str().unwrap();
        let Some((_, banned)) = OUT_OF_REACH.iter().find(|(owner, _)| *owner == name) else { continue };
        for dependency in package["dependencies"].as_array().unwrap() {
            let used = dependency["name"].as_str().unwrap();
            let in_product = dependency["kind"].is_null();
            let facade = name == "obscura-query-guard" && used == "datafusion";
            if in_product && (facade || banned.iter().any(|prefix| used.starts_with(prefix))) {
                findings.push(format!("{name} -> {used}"));
            }
        }
    }
    tree::report("a dependency that the crate's task excludes", &findings);
}

#[test]
fn what_must_agree_has_one_version() {
    let lock: toml::Table = toml::from_str(&tree::text("Cargo.lock").unwrap()).unwrap();
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in lock["package"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        if ONE_VERSION.contains(&name) {
            versions.entry(name).or_default().insert(package["version"].as_str().unwrap());
        }
    }
    assert_eq!(versions.len(), ONE_VERSION.len(), "the lock file lacks one of {ONE_VERSION:?}");
    let findings: Vec<String> = versions
        .iter()
        .filter(|(_, found)| found.len() != 1)
        .map(|(name, found)| format!("{name}: {found:?}"))
        .collect();
    tree::report("two versions of one type system", &findings);
}

#[test]
fn versions_stand_in_the_root_manifest_only() {
    let mut findings = Vec::new();
    for (path, manifest) in member_manifests() {
        for table in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let Some(dependencies) = manifest.get(table).and_then(toml::Value::as_table) else { continue };
            for (name, value) in dependencies {
                let inherits = value.get("workspace").and_then(toml::Value::as_bool) == Some(true);
                if !inherits || value.get("version").is_some() {
                    findings.push(format!("{path}: {name}"));
                }
            }
        }
    }
    tree::report("a dependency whose version is not the workspace's", &findings);
}

#[test]
fn every_dependency_says_what_it_saves() {
    let text = tree::text("Cargo.toml").unwrap();
    let mut inside = false;
    let mut findings = Vec::new();
    for line in text.lines() {
        if line.starts_with('[') {
            inside = line == "[workspace.dependencies]";
        } else if inside
            && line.contains(" = ")
            && !line.contains("path = ")
            && !line.contains("} #")
            && !line.contains("\" #")
        {
            findings.push(line.to_owned());
        }
    }
    tree::report("a dependency without a sentence on what it saves", &findings);
}

#[test]
fn every_crate_inherits_lints_and_edition() {
    let mut findings = Vec::new();
    for (path, manifest) in member_manifests() {
        let inherits = |table: &str, key: &str| {
            let value = manifest.get(table).and_then(|table| table.get(key));
            match (table, value) {
                ("lints", Some(value)) => value.as_bool() == Some(true),
                (_, Some(value)) => value.get("workspace").and_then(toml::Value::as_bool) == Some(true),
                (_, None) => false,
            }
        };
        if !inherits("lints", "workspace") {
            findings.push(format!("{path}: lints"));
        }
        for key in ["version", "edition", "rust-version", "license", "publish"] {
            if !inherits("package", key) {
                findings.push(format!("{path}: {key}"));
            }
        }
    }
    tree::report("a manifest that does not inherit from the workspace", &findings);
}

#[test]
fn the_workspace_keeps_its_lints() {
    let manifest: toml::Table = toml::from_str(&tree::text("Cargo.toml").unwrap()).unwrap();
    let lints = &manifest["workspace"]["lints"];
    assert_eq!(lints["rust"]["unsafe_code"].as_str(), Some("deny"));
    let wanted = [
        "unwrap_used",
        "expect_used",
        "panic",
        "todo",
        "dbg_macro",
        "print_stdout",
        "print_stderr",
        "indexing_slicing",
        "string_slice",
        "cast_possible_truncation",
        "await_holding_lock",
        "clone_on_ref_ptr",
        "mod_module_files",
        "allow_attributes",
        "allow_attributes_without_reason",
        "disallowed_methods",
        "disallowed_types",
    ];
    let missing: Vec<String> = wanted
        .iter()
        .filter(|lint| lints["clippy"].get(**lint).is_none())
        .map(|lint| (*lint).to_owned())
        .collect();
    tree::report("a lint that the style guide names is not set", &missing);
    assert_eq!(manifest["profile"]["release"]["overflow-checks"].as_bool(), Some(true));
}

fn packages() -> Vec<Value> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(tree::root())
        .output()
        .expect("cargo prints the metadata");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

fn member_manifests() -> Vec<(String, toml::Table)> {
    tree::files_ending("Cargo.toml")
        .into_iter()
        .filter(|path| path != "Cargo.toml" && !path.starts_with("tests/fuzz/"))
        .map(|path| {
            let text = tree::text(&path).unwrap();
            let table = toml::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"));
            (path, table)
        })
        .collect()
}

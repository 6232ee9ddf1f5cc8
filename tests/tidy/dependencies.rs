//! Licences and sources of everything that is built in: those that `.deny.toml` allows, and one registry.
//! It does not look for advisories; `cargo deny` does where it is installed.

use std::process::Command;

use serde_json::Value;

use crate::tree;

#[test]
fn every_licence_is_one_that_is_allowed() {
    let allowed = allowed();
    let mut findings = Vec::new();
    for package in packages() {
        let name = package["name"].as_str().unwrap();
        let licence = match package["license"].as_str() {
            Some(licence) => licence.replace('/', " OR "),
            None => by_its_file(&package).unwrap_or("none stated").to_owned(),
        };
        if !Expression::new(&licence).meets(&allowed) {
            findings.push(format!("{name}: {licence}"));
        }
    }
    tree::report("a licence that is not allowed", &findings);
}

/// The crate of differential privacy brings old numerics and types of its own: one file calls its sampler, and nothing else does.
#[test]
fn one_file_alone_names_the_crate_of_differential_privacy() {
    const FENCE: &str = "sandbox/src/app/query/privacy_noise.rs";
    let names = |path: &&String| tree::text(path).is_some_and(|text| text.contains("opendp::"));
    let named: Vec<String> = tree::files_ending(".rs")
        .into_iter()
        .filter(|path| !path.starts_with("tests/tidy/"))
        .filter(|path| names(&path))
        .collect();
    assert_eq!(named, [FENCE]);
}

#[test]
fn every_dependency_comes_from_the_one_registry() {
    let registry = "registry+https://github.com/rust-lang/crates.io-index";
    let findings: Vec<String> = packages()
        .iter()
        .filter(|package| package["source"].as_str().is_some_and(|source| source != registry))
        .map(|package| format!("{}: {}", package["name"], package["source"]))
        .collect();
    tree::report("a dependency from elsewhere", &findings);
}

/// The licence of a package that states none and has the text of one.
fn by_its_file(package: &Value) -> Option<&'static str> {
    let manifest = std::path::Path::new(package["manifest_path"].as_str()?);
    let text = std::fs::read_to_string(manifest.with_file_name(package["license_file"].as_str()?)).ok()?;
    text.starts_with("MIT License\n").then_some("MIT")
}

fn allowed() -> Vec<String> {
    let table: toml::Table = toml::from_str(&tree::text(".deny.toml").unwrap()).unwrap();
    let list = table["licenses"]["allow"].as_array().unwrap();
    list.iter().map(|licence| licence.as_str().unwrap().to_owned()).collect()
}

fn packages() -> Vec<Value> {
    let target = "x86_64-unknown-linux-gnu";
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--offline", "--locked", "--format-version", "1", "--filter-platform", target])
        .current_dir(tree::root())
        .output()
        .expect("cargo prints the metadata");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

/// A licence expression: names joined by `OR` and `AND`, with parentheses.
struct Expression<'a> {
    words: Vec<&'a str>,
    at: usize,
}

impl<'a> Expression<'a> {
    fn new(text: &'a str) -> Self {
        let mut words = Vec::new();
        for word in text.split_whitespace() {
            let mut word = word;
            while let Some(rest) = word.strip_prefix('(') {
                words.push("(");
                word = rest;
            }
            let closing = word.len() - word.trim_end_matches(')').len();
            words.push(word.trim_end_matches(')'));
            words.extend(std::iter::repeat_n(")", closing));
        }
        Self { words, at: 0 }
    }

    fn meets(mut self, allowed: &[String]) -> bool {
        self.either(allowed)
    }

    fn either(&mut self, allowed: &[String]) -> bool {
        let mut met = self.all(allowed);
        while self.takes("OR") {
            met |= self.all(allowed);
        }
        met
    }

    fn all(&mut self, allowed: &[String]) -> bool {
        let mut met = self.one(allowed);
        while self.takes("AND") {
            met &= self.one(allowed);
        }
        met
    }

    fn one(&mut self, allowed: &[String]) -> bool {
        if self.takes("(") {
            let met = self.either(allowed);
            return self.takes(")") && met;
        }
        let mut name = self.words.get(self.at).copied().unwrap_or_default().to_owned();
        self.at += 1;
        if self.takes("WITH") {
            name = format!("{name} WITH {}", self.words.get(self.at).copied().unwrap_or_default());
            self.at += 1;
        }
        allowed.contains(&name)
    }

    fn takes(&mut self, word: &str) -> bool {
        let found = self.words.get(self.at) == Some(&word);
        self.at += usize::from(found);
        found
    }
}

#[test]
fn licence_expressions_are_read() {
    let allowed = ["MIT".to_owned(), "ISC".to_owned(), "Apache-2.0 WITH LLVM-exception".to_owned()];
    let met = |text: &str| Expression::new(text).meets(&allowed);
    assert!(met("MIT") && met("GPL-3.0 OR MIT") && met("(GPL-3.0 OR MIT) AND ISC"));
    assert!(met("Apache-2.0 WITH LLVM-exception OR GPL-3.0"));
    assert!(
        !met("GPL-3.0")
            && !met("MIT AND GPL-3.0")
            && !met("(GPL-3.0 OR MIT) AND GPL-2.0")
            && !met("Apache-2.0")
    );
}

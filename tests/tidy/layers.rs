//! The layers inside `sandbox/src`: a module imports only from layers with a smaller number, or from itself.
//! Reads the `crate::` paths of each file; the use of an import is not judged.

use std::collections::BTreeSet;

use crate::tree;

/// Modules by layer, lowest first (`sandbox/docs/style-guide.md`, section 1).
const LAYERS: &[&[&str]] = &[
    &["ids", "clock", "context", "config", "error"],
    &["storage", "identity"],
    &["catalog", "audit", "budgets", "engine"],
    &["jobs", "city"],
    &["installation"],
    &["app"],
    &["service", "api"],
    &["http"],
    &["cli", "console"],
];

#[test]
fn sandbox_modules_import_downwards_only() {
    let mut findings = Vec::new();
    for path in tree::files_ending(".rs") {
        let Some(inside) = path.strip_prefix("sandbox/src/") else { continue };
        let module = module_of(inside);
        if ["lib", "main"].contains(&module) {
            continue;
        }
        let Some(layer) = layer_of(module) else {
            findings.push(format!("{path}: module `{module}` has no layer"));
            continue;
        };
        for used in crate_paths(&tree::text(&path).unwrap()) {
            let allowed = used == module
                || layer_of(&used).is_some_and(|lower| lower < layer || (lower == 0 && layer == 0));
            if !allowed {
                findings.push(format!("{path}: uses crate::{used}"));
            }
        }
    }
    tree::report("an import against the layers", &findings);
}

fn module_of(inside: &str) -> &str {
    let first = inside.split('/').next().unwrap_or(inside);
    first.strip_suffix(".rs").unwrap_or(first)
}

fn layer_of(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

/// The first segment after every `crate::` outside comments.
fn crate_paths(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for line in text.lines() {
        let code = line.split("//").next().unwrap_or(line);
        for (at, marker) in code.match_indices("crate::") {
            let rest = &code[at + marker.len()..];
            let segment: String = rest.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
            if !segment.is_empty() {
                found.insert(segment);
            }
        }
    }
    found
}

#[test]
fn paths_in_comments_are_no_imports() {
    let text = "use crate::storage::Sealed;\n// crate::http is above us\nlet x = crate::ids::JobId::new();";
    assert_eq!(crate_paths(text).into_iter().collect::<Vec<_>>(), ["ids", "storage"]);
}

//! The documents that come with the crate: grade schemes, hierarchies and purposes, and a template of each kind in both
//! languages, embedded as text.
//! Departments, datasets and policies are the installation's own.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::document::Document;
use crate::document::Kind;
use crate::hierarchy::Hierarchy;
use crate::hierarchy::parse_hierarchy;
use crate::parse::DocumentError;
use crate::parse::Located;
use crate::parse::parse_documents;
use crate::vocabulary::Text;

macro_rules! shipped {
    ($path:literal) => {
        ($path, include_str!(concat!("../documents/", $path)))
    };
}

/// Documents, by file name.
const DOCUMENTS: &[(&str, &str)] = &[
    shipped!("schemes/db33t2351-2021.yaml"),
    shipped!("schemes/gbt43697-2024.yaml"),
    shipped!("schemes/cn-trd-310030-2025.yaml"),
    shipped!("purposes/education-planning.yaml"),
    shipped!("purposes/elderly-care.yaml"),
    shipped!("purposes/employment-support.yaml"),
    shipped!("purposes/enterprise-support.yaml"),
    shipped!("purposes/epidemic-monitoring.yaml"),
    shipped!("purposes/insurance-supervision.yaml"),
    shipped!("purposes/official-statistics.yaml"),
    shipped!("purposes/parking-management.yaml"),
    shipped!("purposes/tax-analysis.yaml"),
    shipped!("purposes/tourism-analysis.yaml"),
    shipped!("purposes/traffic-management.yaml"),
    shipped!("purposes/urban-planning.yaml"),
];

/// Hierarchies, by file name.
const HIERARCHIES: &[(&str, &str)] =
    &[shipped!("hierarchies/cn-admin.yaml"), shipped!("hierarchies/icd10.yaml")];

/// The shipped grade schemes and purposes.
///
/// # Errors
/// A shipped document is malformed, which the tests of this crate rule out.
pub fn documents() -> Result<Vec<Located<Document>>, Vec<DocumentError>> {
    let mut documents = Vec::new();
    for (file, text) in DOCUMENTS {
        documents.extend(parse_documents(file, text)?);
    }
    Ok(documents)
}

/// The shipped hierarchies, by name.
///
/// # Errors
/// A shipped hierarchy is malformed, which the tests of this crate rule out.
pub fn hierarchies() -> Result<BTreeMap<String, Arc<Hierarchy>>, Vec<DocumentError>> {
    let mut hierarchies = BTreeMap::new();
    for (file, text) in HIERARCHIES {
        let hierarchy = parse_hierarchy(text).map_err(|message| {
            vec![DocumentError {
                code: "malformed".into(),
                file: Some((*file).to_owned()),
                position: None,
                document: "Hierarchy".to_owned(),
                field: String::new(),
                message: Text::new(message, "随附的层级文件格式有误"),
                help: None,
            }]
        })?;
        hierarchies.insert(hierarchy.name().to_owned(), Arc::new(hierarchy));
    }
    Ok(hierarchies)
}

/// A document with comments in each language, to begin a document of one's own with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Template {
    /// With comments in English.
    pub en: &'static str,
    /// The same document with comments in Chinese.
    pub zh: &'static str,
}

macro_rules! template {
    ($name:literal) => {
        Template {
            en: include_str!(concat!("../documents/templates/", $name, ".yaml")),
            zh: include_str!(concat!("../documents/templates/", $name, ".zh.yaml")),
        }
    };
}

/// A commented document of one kind. Those of all kinds are accepted together as they are.
#[must_use]
pub const fn template(kind: Kind) -> Template {
    match kind {
        Kind::GradeScheme => template!("grade-scheme"),
        Kind::Department => template!("department"),
        Kind::Dataset => template!("dataset"),
        Kind::Policy => template!("policy"),
        Kind::Purpose => template!("purpose"),
        Kind::Grant => template!("grant"),
        Kind::Exception => template!("exception"),
        Kind::Application => template!("application"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::Template;
    use super::template;
    use crate::day::Day;
    use crate::document::Kind;
    use crate::document::schema;
    use crate::library::Library;
    use crate::parse::parse_documents;

    /// The names of all fields that a schema knows, at any depth.
    fn fields(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(map) => {
                if let Some(properties) = map.get("properties").and_then(Value::as_object) {
                    found.extend(properties.keys().cloned());
                }
                map.values().for_each(|value| fields(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| fields(value, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    #[test]
    fn template_of_each_kind_names_every_field_of_it() {
        for kind in Kind::ALL {
            let mut known = BTreeSet::new();
            fields(&schema(*kind), &mut known);
            assert!(known.len() > 5, "{kind}: {known:?}");
            let Template { en, zh } = template(*kind);
            for text in [en, zh] {
                let words: BTreeSet<&str> =
                    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').collect();
                let is_named =
                    |field: &&String| words.contains(field.as_str()) && text.contains(&format!("{field}:"));
                let missing: Vec<&String> = known.iter().filter(|field| !is_named(field)).collect();
                assert!(missing.is_empty(), "the template of {kind} does not name {missing:?}:\n{text}");
            }
        }
    }

    #[test]
    fn templates_are_accepted_together_as_they_are() {
        let mut all = Vec::new();
        for kind in Kind::ALL {
            let Template { en, zh } = template(*kind);
            let read = parse_documents(kind.as_str(), en).unwrap();
            let chinese = parse_documents(kind.as_str(), zh).unwrap();
            assert_eq!((read.len(), chinese.len()), (1, 1), "{kind}");
            assert_eq!(read[0].value, chinese[0].value, "only the comments differ");
            assert_eq!(read[0].value.kind(), *kind);
            all.extend(read);
        }
        let today: Day = "2026-06-01".parse().unwrap();
        let visible = ["my-department.visits".parse().unwrap()].into();
        let seen = Library::as_seen(all.clone(), &all, &visible, today);
        assert!(seen.is_ok(), "{:?}", seen.err());
    }
}

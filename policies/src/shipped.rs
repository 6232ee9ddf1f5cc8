//! The documents that come with the crate: grade schemes, hierarchies and purposes, embedded as text.
//! Departments, datasets and policies are the installation's own.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::document::Document;
use crate::hierarchy::Hierarchy;
use crate::hierarchy::parse_hierarchy;
use crate::parse::DocumentError;
use crate::parse::Located;
use crate::parse::parse_documents;

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
                message,
                help: None,
            }]
        })?;
        hierarchies.insert(hierarchy.name().to_owned(), Arc::new(hierarchy));
    }
    Ok(hierarchies)
}

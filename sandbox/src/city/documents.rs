//! The documents of the demo city as they are shipped: file name and YAML text.
//! It parses nothing; `obscura-policies` does.

/// Takes in one shipped file under its own name.
macro_rules! shipped {
    ($($name:literal),+ $(,)?) => {
        [$((
            concat!("demo/", $name),
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../policies/documents/demo/", $name)),
        )),+]
    };
}

/// Departments first, then their documents, then the grants: an order in which every reference points back.
static DOCUMENTS: [(&str, &str); 16] = shipped![
    "city.yaml",
    "hz-data.yaml",
    "hz-police.yaml",
    "hz-health.yaml",
    "hz-medins.yaml",
    "hz-transport.yaml",
    "hz-urban.yaml",
    "hz-culture.yaml",
    "hz-hrss.yaml",
    "hz-civil.yaml",
    "hz-econ.yaml",
    "hz-market.yaml",
    "hz-tax.yaml",
    "hz-edu.yaml",
    "hz-housing.yaml",
    "grants.yaml",
];

/// The city's documents: departments, datasets, policies, purposes and grants, as (file name, YAML).
#[must_use]
pub fn documents() -> &'static [(&'static str, &'static str)] {
    &DOCUMENTS
}

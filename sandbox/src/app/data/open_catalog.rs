//! Use case: the catalogue of open data, as harvesters read it: DCAT-AP 3 in JSON-LD, with its context inline.
//! It names open datasets and their departments to every reader; of all others it says nothing, not even how many there are.

use std::collections::BTreeMap;

use jiff::Timestamp;
use obscura_policies::Text;
use obscura_policies::document::Dataset;
use obscura_policies::document::Update;
use obscura_policies::library::Library;
use obscura_policies::month::Month;
use obscura_policies::month::Months;
use obscura_policies::vocabulary::DatasetId;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::app::data::open_data::OpenVersion;
use crate::app::data::open_data::known_sha256;
use crate::app::data::open_data::open_version_of_list;
use crate::app::query::formats::Format;
use crate::error::AppError;
use crate::installation::Installation;
use crate::installation::library::library;
use crate::installation::openings::versions_of_all;

/// The path of the interface under the address of the installation.
const API: &str = "/api/v1";
/// Register of media types.
const MEDIA_TYPES: &str = "https://www.iana.org/assignments/media-types/";
/// Authority tables of the European Union that DCAT-AP takes its words from.
const AUTHORITY: &str = "http://publications.europa.eu/resource/authority/";

/// An open dataset with what is said of it.
struct Entry<'a> {
    document: &'a Dataset,
    open: OpenVersion,
    /// SHA-256 of its rows as an Arrow stream, where they are kept.
    sha256: Option<String>,
}

/// Writes the catalogue of open data down. IRIs are relative to its own address unless `public_url` is set.
///
/// # Errors
/// When the database or the log cannot be read.
pub async fn open_catalog(installation: &Installation) -> Result<Value, AppError> {
    let library = library(installation).await?;
    let versions = versions_of_all(installation).await?;
    let found = installation.blocking(|| {
        let open = |(id, document)| {
            let opened =
                versions.get(&DatasetId::to_string(id)).and_then(|versions| versions.opened.as_ref());
            let open = open_version_of_list(installation, &library, id, opened);
            open.map(|open| (document, open))
        };
        library.datasets().iter().filter_map(open).collect::<Vec<(&Dataset, OpenVersion)>>()
    });
    let mut entries = Vec::with_capacity(found.len());
    for (document, open) in found {
        let sha256 = known_sha256(installation, &open).await?;
        entries.push(Entry { document, open, sha256 });
    }
    let base = installation.settings().public_url.as_deref().unwrap_or_default();
    Ok(Writer { library: &library, base }.catalog(&entries))
}

struct Writer<'a> {
    library: &'a Library,
    /// The beginning of all IRIs of ours; an empty one makes them relative.
    base: &'a str,
}

impl Writer<'_> {
    fn catalog(&self, entries: &[Entry<'_>]) -> Value {
        let datasets: Vec<Value> = entries.iter().map(|entry| self.dataset(entry)).collect();
        let title = Text::new("Open data", "开放数据");
        let description =
            Text::new("Datasets that everybody may download, without an account", "无需账号即可下载的数据集");
        let publisher = Text::new("The departments of this installation", "本平台各部门");
        json!({
            "@context": context(),
            "@id": self.iri("/catalog"),
            "@type": "dcat:Catalog",
            "dct:title": in_both_languages(&title),
            "dct:description": in_both_languages(&description),
            "dct:publisher": {
                "@id": self.iri("/departments"),
                "@type": "foaf:Agent",
                "foaf:name": in_both_languages(&publisher),
            },
            "dcat:dataset": datasets,
        })
    }

    fn dataset(&self, entry: &Entry<'_>) -> Value {
        let Entry { document, open, .. } = entry;
        let (id, manifest) = (&document.metadata.id, open.version.manifest());
        let title = &document.metadata.title;
        let mut dataset = json!({
            "@id": self.iri(&format!("/datasets/{id}")),
            "@type": "dcat:Dataset",
            "dct:identifier": id.to_string(),
            "dct:title": in_both_languages(title),
            "dct:description": in_both_languages(document.description.as_ref().unwrap_or(title)),
            "dct:publisher": self.department(document.department.as_str()),
            "dct:accessRights": { "@id": format!("{AUTHORITY}access-right/PUBLIC") },
            "dct:accrualPeriodicity": { "@id": format!("{AUTHORITY}frequency/{}", frequency(document.update)) },
            "dcat:version": manifest.version.to_string(),
        });
        let further = [
            ("dct:modified", time(&manifest.sealed_at)),
            ("dct:temporal", document.covers.map(period)),
            ("dcat:keyword", (!document.tags.is_empty()).then(|| json!(document.tags))),
            ("dcat:distribution", open.is_downloadable().then(|| self.distributions(id, entry))),
        ];
        add(&mut dataset, further);
        dataset
    }

    fn department(&self, code: &str) -> Value {
        let known = self.library.departments().values().find(|known| known.metadata.id.as_str() == code);
        let name = known.map_or_else(|| Text::new(code, code), |known| known.metadata.title.clone());
        json!({
            "@id": self.iri(&format!("/departments#{code}")),
            "@type": "foaf:Agent",
            "dct:identifier": code,
            "foaf:name": in_both_languages(&name),
        })
    }

    fn distributions(&self, id: &DatasetId, entry: &Entry<'_>) -> Value {
        let one = |format: Format| {
            let mut distribution = json!({
                "@id": self.iri(&format!("/datasets/{id}#{}", format.name())),
                "@type": "dcat:Distribution",
                "dct:title": format.name(),
                "dcat:accessURL": { "@id": self.iri(&format!("/datasets/{id}")) },
                "dcat:downloadURL": { "@id": self.iri(&format!("/datasets/{id}/download?format={}", format.name())) },
                "dcat:mediaType": { "@id": format!("{MEDIA_TYPES}{}", format.media_type()) },
            });
            // The release is hashed in this form and no other.
            let sha256 = entry.sha256.as_ref().filter(|_| format == Format::Arrow);
            let checksum = sha256.map(|sha256| {
                json!({
                    "@type": "spdx:Checksum",
                    "spdx:algorithm": { "@id": "spdx:checksumAlgorithm_sha256" },
                    "spdx:checksumValue": { "@value": sha256, "@type": "xsd:hexBinary" },
                })
            });
            add(&mut distribution, [("spdx:checksum", checksum)]);
            distribution
        };
        Format::ALL.into_iter().map(one).collect()
    }

    fn iri(&self, path: &str) -> String {
        format!("{}{API}{path}", self.base)
    }
}

/// The meaning of the words, given here so that no reader has to fetch it.
fn context() -> Value {
    json!({
        "dcat": "http://www.w3.org/ns/dcat#",
        "dct": "http://purl.org/dc/terms/",
        "foaf": "http://xmlns.com/foaf/0.1/",
        "spdx": "http://spdx.org/rdf/terms#",
        "xsd": "http://www.w3.org/2001/XMLSchema#",
    })
}

fn in_both_languages(text: &Text) -> Value {
    json!([{ "@value": text.en, "@language": "en" }, { "@value": text.zh, "@language": "zh" }])
}

/// A moment, if it is one.
fn time(text: &str) -> Option<Value> {
    let at: Timestamp = text.parse().ok()?;
    Some(json!({ "@value": at.to_string(), "@type": "xsd:dateTime" }))
}

/// The months that data is about.
fn period(months: Months) -> Value {
    let month = |month: Month| json!({ "@value": month.to_string(), "@type": "xsd:gYearMonth" });
    let mut period = json!({ "@type": "dct:PeriodOfTime", "dcat:startDate": month(months.from) });
    add(&mut period, [("dcat:endDate", months.until.map(month))]);
    period
}

fn add<const N: usize>(object: &mut Value, further: [(&str, Option<Value>); N]) {
    let Value::Object(object) = object else { return };
    let further: BTreeMap<&str, Option<Value>> = further.into();
    let known = further.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    object.extend(Map::from_iter(known));
}

/// The word of the authority table of frequencies.
fn frequency(update: Update) -> &'static str {
    match update {
        Update::Realtime => "UPDATE_CONT",
        Update::Hourly => "HOURLY",
        Update::Daily => "DAILY",
        Update::Weekly => "WEEKLY",
        Update::Monthly => "MONTHLY",
        Update::Quarterly => "QUARTERLY",
        Update::Yearly => "ANNUAL",
        Update::Irregular => "IRREG",
        Update::Never => "NEVER",
    }
}

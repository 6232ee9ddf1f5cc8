//! The analyst's effective policy by the corpus' documents, worked out without a sandbox: no data, no files but the
//! documents.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;

use anyhow::Context as _;
use anyhow::anyhow;
use obscura_policies::day::Day;
use obscura_policies::day::LocalTime;
use obscura_policies::document::Document;
use obscura_policies::document::Grant;
use obscura_policies::effective::EffectivePolicy;
use obscura_policies::evaluate::ManifestFacts;
use obscura_policies::evaluate::Permits;
use obscura_policies::evaluate::Principal;
use obscura_policies::evaluate::effective;
use obscura_policies::library::Library;
use obscura_policies::parse::DocumentError;
use obscura_policies::parse::parse_documents;
use obscura_policies::vocabulary::DatasetId;
use obscura_policies::vocabulary::PersonRole;
use obscura_tests::environment;
use obscura_tests::world::PURPOSE;

/// The day on which every question is asked.
pub(crate) const TODAY: Day = Day::from_epoch_days(20_700);

/// The effective policy of the analyst `ana` for both tables, as if each were sealed and clustered by person.
pub(crate) fn of_the_corpus() -> anyhow::Result<EffectivePolicy> {
    let folder = environment::tests_folder().join("attacks").join("documents");
    let mut documents = Vec::new();
    let mut grants: Vec<Grant> = Vec::new();
    for name in ["department.yaml", "corpus.yaml", "grants.yaml"] {
        let path = folder.join(name);
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        for located in parse_documents(name, &text).map_err(told)? {
            match &located.value {
                Document::Grant(grant) => grants.push(grant.clone()),
                _ => documents.push(located),
            }
        }
    }
    let library = Library::from_located(documents).map_err(told)?;
    let person = Principal {
        person: "ana".to_owned(),
        roles: BTreeSet::from([PersonRole::Analyst]),
        department: "corpus".parse()?,
        district: None,
    };
    let datasets: [DatasetId; 2] = ["corpus.persons".parse()?, "corpus.visits".parse()?];
    let manifests: BTreeMap<DatasetId, ManifestFacts> = datasets
        .iter()
        .map(|id| {
            let facts = ManifestFacts {
                is_later_version: false,
                clustered: true,
                one_row_per_subject: id.sql_name().ends_with("persons"),
                rows: None,
                rows_max: BTreeMap::from([("person_id".to_owned(), 4)]),
                unique: BTreeSet::new(),
                intervals: BTreeSet::new(),
                published: None,
                domains: BTreeMap::new(),
            };
            (id.clone(), facts)
        })
        .collect();
    let now = LocalTime { day: TODAY, minute: 600 };
    effective(&library, &person, PURPOSE, Permits::unnamed(&grants), &datasets, &manifests, now)
        .map_err(|refusal| anyhow!("the documents give nothing: {}", refusal.message.en))
}

fn told(errors: Vec<DocumentError>) -> anyhow::Error {
    let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
    anyhow!("{}", errors.join("\n"))
}

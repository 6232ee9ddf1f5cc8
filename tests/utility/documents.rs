//! The documents of the demo city as a library of policies, and the effective policy of an analyst who holds grants for all
//! that a purpose may use. The demo's own grants are narrower: each was made for one question.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use anyhow::anyhow;
use anyhow::ensure;
use obscura_policies::day::Day;
use obscura_policies::day::LocalTime;
use obscura_policies::document::Document;
use obscura_policies::document::Grant;
use obscura_policies::effective::Controls;
use obscura_policies::effective::Dominance;
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
use obscura_sandbox::city::documents;

/// The day on which every question is asked: two weeks after the year that the city's records are about.
pub(crate) const TODAY: Day = Day::from_epoch_days(20_467);
/// The department of the analyst, which every policy of the city admits.
const DEPARTMENT: &str = "hz-institute";

/// The controls that a question is asked under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protection {
    /// Those of the documents, named noise among them.
    Declared,
    /// Those of the documents with named noise of another deviation.
    Noise(u32),
    /// Those of the documents but for named noise.
    WithoutNoise,
    /// The thresholds of the documents and nothing else.
    Thresholds,
    /// None but the rounding of sums and means, which no policy takes off.
    Nothing,
}

/// The documents of the city.
pub(crate) struct Documents {
    pub(crate) library: Library,
}

impl Documents {
    /// Reads the shipped documents, without their grants.
    ///
    /// # Errors
    /// When one is malformed.
    pub(crate) fn shipped() -> anyhow::Result<Self> {
        let mut all = Vec::new();
        for (name, text) in documents() {
            all.extend(parse_documents(name, text).map_err(told)?);
        }
        all.retain(|located| !matches!(located.value, Document::Grant(_)));
        Ok(Documents { library: Library::from_located(all).map_err(told)? })
    }

    /// The datasets that some policy opens for a purpose.
    pub(crate) fn datasets(&self, purpose: &str) -> Vec<DatasetId> {
        let of_purpose = self
            .library
            .policies()
            .values()
            .filter(|policy| policy.condition.purposes.iter().any(|known| known.as_str() == purpose));
        let datasets: BTreeSet<&DatasetId> =
            of_purpose.flat_map(|policy| &policy.object.resources.datasets).collect();
        datasets.into_iter().cloned().collect()
    }

    /// The effective policy of an analyst for a purpose, over data of which these facts are known.
    ///
    /// # Errors
    /// When the documents give nothing.
    pub(crate) fn policy(
        &self,
        purpose: &str,
        facts: &BTreeMap<DatasetId, ManifestFacts>,
    ) -> anyhow::Result<EffectivePolicy> {
        let datasets: Vec<DatasetId> = facts.keys().cloned().collect();
        let analyst = Principal {
            person: "ana".to_owned(),
            roles: BTreeSet::from([PersonRole::Analyst]),
            department: DEPARTMENT.parse()?,
            district: None,
        };
        let grants = [grant(purpose, &datasets)?];
        let now = LocalTime { day: TODAY, minute: 600 };
        effective(&self.library, &analyst, purpose, Permits::unnamed(&grants), &datasets, facts, now)
            .map_err(|refusal| anyhow!("the documents give nothing: {}", refusal.message.en))
    }
}

/// A grant for whole datasets, as the city's steward gives one.
fn grant(purpose: &str, datasets: &[DatasetId]) -> anyhow::Result<Grant> {
    let listed: String = datasets.iter().map(|id| format!("  - {{dataset: {id}}}\n")).collect();
    let text = format!(
        "api_version: obscura/v1\nkind: Grant\n\
         metadata: {{id: ana-{purpose}, version: 1, title: {{zh: 统计, en: Statistics}}}}\n\
         person: ana\npurpose: {purpose}\ndatasets:\n{listed}until: 2035-12-31\napproved_by: [shen]\n"
    );
    let mut found = parse_documents("grant.yaml", &text).map_err(told)?;
    ensure!(found.len() == 1, "one grant");
    match found.pop().map(|located| located.value) {
        Some(Document::Grant(grant)) => Ok(grant),
        _ => Err(anyhow!("a grant")),
    }
}

/// A policy with other controls; all that is decided without them stays.
pub(crate) fn under(policy: &EffectivePolicy, protection: Protection) -> EffectivePolicy {
    let mut policy = policy.clone();
    let floors = policy.floors.values_mut().map(|floor| &mut floor.controls);
    let of_datasets = policy.datasets.values_mut().map(|dataset| &mut dataset.controls);
    for controls in floors.chain(of_datasets) {
        change(controls, protection);
    }
    if matches!(protection, Protection::Thresholds | Protection::Nothing) {
        // Nobody has more rows than these, so that no count of a subject's own rows is cut off.
        for dataset in policy.datasets.values_mut() {
            let most = dataset.units.iter().filter_map(|unit| unit.rows_max).max().unwrap_or(0);
            dataset.max_rows_per_subject = u32::try_from(most).unwrap_or(u32::MAX).max(1);
        }
    }
    policy
}

fn change(controls: &mut Controls, protection: Protection) {
    match protection {
        Protection::Declared => {}
        Protection::Noise(deviation) => {
            // Open data has no controls, and gets no noise.
            if controls.subjects_min > 0 {
                controls.perturbation = Some(deviation);
            }
        }
        Protection::WithoutNoise => controls.perturbation = None,
        Protection::Thresholds | Protection::Nothing => {
            controls.perturbation = None;
            // Sums need a rule of dominance: this one withholds nothing.
            let never = |rule: Dominance| Dominance { share_max_permille: 1000, p_percent: 0, ..rule };
            controls.dominance = controls.dominance.map(never);
            controls.rounding = None;
        }
    }
    if protection == Protection::Nothing {
        controls.subjects_min = controls.subjects_min.min(1);
        controls.subjects_min_by_unit.values_mut().for_each(|least| *least = 1);
    }
}

fn told(errors: Vec<DocumentError>) -> anyhow::Error {
    let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
    anyhow!("{}", errors.join("\n"))
}

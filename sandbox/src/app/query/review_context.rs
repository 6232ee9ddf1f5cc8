//! Gathers what a verdict rests on besides the question: documents, person, grants, and the manifests of datasets it names.
//! It reads no data.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use obscura_policies::Text;
use obscura_policies::document::Grant;
use obscura_policies::effective::EffectivePolicy;
use obscura_policies::effective::Intervals;
use obscura_policies::evaluate::ManifestFacts;
use obscura_policies::library::Library;
use obscura_policies::vocabulary::DatasetId;
use obscura_query_guard::plan::GuardedPlan;
use obscura_query_guard::statement::Statement;

use crate::app::data::open_data::is_declared_open;
use crate::app::data::open_data::is_sealed_open;
use crate::app::data::relabelled::is_relabelled;
use crate::app::query::principal::QueryPrincipal;
use crate::app::query::principal::principal;
use crate::app::query::question::SubmitQuery;
use crate::app::query::review::Judged;
use crate::app::query::review::Parsed;
use crate::app::query::review::ReviewInputs;
use crate::app::query::review::Reviewed;
use crate::app::query::review::named_datasets;
use crate::app::query::review::review;
use crate::app::query::verdict::FindingView;
use crate::app::query::verdict::Verdict;
use crate::context::Caller;
use crate::error::AppError;
use crate::error::InternalError;
use crate::installation::Installation;
use crate::installation::library::grants_in_force;
use crate::installation::library::library;
use crate::installation::library::local_time;
use crate::installation::openings::open_opened;
use crate::installation::reviews::Judging;
use crate::storage::IntervalsRecord;
use crate::storage::SealedVersion;

/// Everything a verdict rests on, besides the question itself.
pub(crate) struct ReviewContext {
    pub(crate) library: Arc<Library>,
    asker: Arc<QueryPrincipal>,
    /// The question's text, parsed.
    parsed: Arc<Parsed>,
    pub(crate) sealed: BTreeMap<DatasetId, SealedVersion>,
    /// Datasets whose document has become laxer than the one they were sealed under, and for strangers those that were not
    /// sealed as open data.
    pub(crate) relabelled: BTreeSet<DatasetId>,
    pub(crate) now: Timestamp,
}

impl ReviewContext {
    /// Judges a question.
    ///
    /// # Errors
    /// Busy when as many questions are being judged as can be; failure when the guard failed or panicked.
    pub(crate) async fn review(
        &self,
        installation: &Installation,
        question: &SubmitQuery,
        judging: Judging<'_>,
    ) -> Result<Reviewed, AppError> {
        let now = self.now;
        let time = local_time(now, &installation.settings().time_zone);
        let manifests = self.sealed.iter().map(|(id, version)| (id.clone(), facts(version))).collect();
        let (library, asker) = (Arc::clone(&self.library), Arc::clone(&self.asker));
        let parsed = Arc::clone(&self.parsed);
        let (sql, purpose) = (question.sql.clone(), question.purpose.clone());
        let grants = question.grants.clone();
        let run = move || {
            let judged = Judged { sql: &sql, parsed: &parsed, purpose: &purpose, grants: &grants };
            let inputs = ReviewInputs { library: &library, asker: &asker, manifests: &manifests, now, time };
            review(judged, inputs)
        };
        let reviewed = installation.reviews.run(judging, run).await?;
        // The guard's own failure decides nothing: it is the operator's to see, and no refusal.
        if let Reviewed::Refused(verdict) = &reviewed
            && let Some(reason) = verdict.failure()
        {
            return Err(InternalError::of_kind("judge a question", reason).into());
        }
        Ok(match reviewed {
            Reviewed::Admitted { plan, .. }
                if plan.scans().keys().any(|dataset| self.relabelled.contains(dataset)) =>
            {
                Reviewed::Refused(relabelled())
            }
            Reviewed::Admitted { plan, policy, .. } if self.unsealed(&plan).is_some() => {
                let unsealed = self.unsealed(&plan);
                Reviewed::Refused(
                    unsealed.map_or_else(relabelled, |(id, name)| not_sealed(&policy, id, name)),
                )
            }
            other => other,
        })
    }

    /// Says whether a verdict in this context holds in the other as well: both have the same documents, grants, sealed
    /// versions, day and minute, since a policy tells its opening hours in minutes.
    pub(crate) fn is_that_of(&self, other: &Self, zone: &TimeZone) -> bool {
        let versions = self.sealed.iter().map(|(id, sealed)| (id, sealed.manifest().version));
        Arc::ptr_eq(&self.library, &other.library)
            && self.asker == other.asker
            && versions.eq(other.sealed.iter().map(|(id, sealed)| (id, sealed.manifest().version)))
            && self.relabelled == other.relabelled
            && local_time(self.now, zone) == local_time(other.now, zone)
    }

    /// The same on its day, at the hour of another moment: policies tell their opening hours in minutes of the asker's day.
    pub(crate) fn at_the_hour_of(mut self, asked: Timestamp, zone: &TimeZone) -> Self {
        let time = asked.to_zoned(zone.clone()).time();
        let moved = self.now.to_zoned(zone.clone()).with().time(time).build();
        // An hour that this day does not have leaves the moment as it is.
        self.now = moved.map_or(self.now, |moved| moved.timestamp());
        self
    }

    /// The question's text, parsed.
    pub(crate) fn parsed(&self) -> &Arc<Parsed> {
        &self.parsed
    }

    /// A column that a plan reads and that the data does not have: its document is ahead of what was sealed.
    fn unsealed<'a>(&self, plan: &'a GuardedPlan) -> Option<(&'a DatasetId, &'a str)> {
        plan.scans().iter().find_map(|(dataset, columns)| {
            let manifest = self.sealed.get(dataset)?.manifest();
            let is_sealed = |name: &&String| manifest.columns.iter().any(|column| column.name == **name);
            columns.iter().find(|name| !is_sealed(name)).map(|name| (dataset, name.as_str()))
        })
    }

    /// Says whether everything a plan reads was sealed.
    pub(crate) fn is_sealed(&self, plan: &GuardedPlan) -> bool {
        plan.scans().keys().all(|dataset| self.sealed.contains_key(dataset))
    }
}

/// Reads a question's text, which happens once.
pub(crate) fn parsed(sql: &str) -> Arc<Parsed> {
    Arc::new(Statement::parse(sql))
}

/// Gathers what a verdict on a question rests on.
pub(crate) async fn review_context(
    installation: &Installation,
    caller: &Caller,
    parsed: &Arc<Parsed>,
) -> Result<ReviewContext, AppError> {
    review_context_with(installation, caller, parsed, Vec::new()).await
}

/// As [`review_context`], as if further grants were given.
pub(crate) async fn review_context_with(
    installation: &Installation,
    caller: &Caller,
    parsed: &Arc<Parsed>,
    hoped: Vec<Grant>,
) -> Result<ReviewContext, AppError> {
    let library = library(installation).await?;
    let asker = asker(installation, caller, hoped).await?;
    let mut sealed = BTreeMap::new();
    let mut relabelled = BTreeSet::new();
    for dataset in named_datasets(parsed, &library) {
        // Without a grant the caller learns nothing of the manifest, not even from the time it takes to open it.
        let may_know = match &asker {
            QueryPrincipal::Person { grants, .. } => {
                grants.iter().any(|grant| grant.dataset(&dataset).is_some())
            }
            QueryPrincipal::Anonymous => is_declared_open(installation, &library, &dataset),
        };
        if may_know && let Some(version) = open_opened(installation, &dataset).await? {
            let document = library.datasets().get(&dataset);
            let differs = document.is_none_or(|document| match &asker {
                QueryPrincipal::Person { .. } => is_relabelled(&library, document, version.manifest()),
                QueryPrincipal::Anonymous => !is_sealed_open(&library, document, &version),
            });
            if differs {
                relabelled.insert(dataset.clone());
            }
            sealed.insert(dataset, version);
        }
    }
    let (asker, parsed, now) = (Arc::new(asker), Arc::clone(parsed), installation.now());
    Ok(ReviewContext { library, asker, parsed, sealed, relabelled, now })
}

/// On whose behalf a caller asks.
async fn asker(
    installation: &Installation,
    caller: &Caller,
    hoped: Vec<Grant>,
) -> Result<QueryPrincipal, AppError> {
    if caller.is_stranger() {
        return Ok(QueryPrincipal::Anonymous);
    }
    let principal = principal(caller)?;
    let grants = grants_in_force(installation, Some(caller.person().name.as_str())).await?;
    let grants = grants.into_iter().map(|(_, grant)| grant).chain(hoped).collect();
    Ok(QueryPrincipal::Person { principal, grants })
}

fn relabelled() -> Verdict {
    let message = Text::new(
        "the dataset's labels have become laxer since its data was sealed, and bind nobody until it is sealed anew",
        "数据集封存后其标注被放宽，须重新封存后方可使用",
    );
    let help = Text::new(
        "its department seals the data again with `obscura seal --replace`",
        "须由所属部门用 `obscura seal --replace` 重新封存",
    );
    Verdict::refused(vec![FindingView::plain("dataset-relabelled", message, Some(help))])
}

/// The data was sealed under an older document. A column that only a row filter reads is not the asker's to know.
fn not_sealed(policy: &EffectivePolicy, dataset: &DatasetId, column: &str) -> Verdict {
    let columns = policy.datasets.get(dataset).into_iter().flat_map(|dataset| &dataset.columns);
    let is_shown = columns.filter(|known| !known.uses.is_empty()).any(|known| known.name == column);
    let message = match is_shown {
        true => Text::new(
            format!("the column `{column}` of `{dataset}` is in its document and not yet in the sealed data"),
            format!("`{dataset}` 的字段 `{column}` 已写入文档，但尚未封存到数据中"),
        ),
        false => Text::new(
            format!("the document of `{dataset}` is ahead of the sealed data"),
            format!("`{dataset}` 的文档新于已封存的数据"),
        ),
    };
    let help = Text::new(
        "its department seals the data again with `obscura seal --replace`; until then ask without it",
        "须由所属部门用 `obscura seal --replace` 重新封存；在此之前请勿使用该字段",
    );
    let mut finding = FindingView::plain("column-not-sealed", message, Some(help));
    if is_shown {
        finding.params.insert("column".to_owned(), column.to_owned());
    }
    finding.params.insert("dataset".to_owned(), dataset.to_string());
    Verdict::refused(vec![finding])
}

/// The facts that a sealed version proves, as policies are evaluated with them.
pub(crate) fn facts(version: &SealedVersion) -> ManifestFacts {
    let manifest = version.manifest();
    ManifestFacts {
        is_later_version: manifest.version > 1,
        clustered: version.is_clustered_whole(),
        one_row_per_subject: manifest.units.first().is_some_and(|unit| unit.is_one_row_per_subject()),
        rows: Some(manifest.rows),
        rows_max: manifest.units.iter().map(|unit| (unit.column.clone(), unit.rows_max)).collect(),
        intervals: manifest.intervals.iter().map(intervals).collect(),
        published: manifest.published.clone().filter(|_| !version.is_shredded()),
        domains: manifest.domains.clone(),
        unique: manifest.unique.iter().map(|column| [column.clone()].into()).collect(),
    }
}

fn intervals(record: &IntervalsRecord) -> Intervals {
    Intervals { low: record.low.clone(), high: record.high.clone(), closed: record.closed }
}

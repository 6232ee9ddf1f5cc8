//! Use case: the exposure of what a policy opens, computed on the sealed data: how far somebody who asks everything tells one secret
//! bit of one person. For stewards of the policy's department, before they put it in force and after.
//!
//! The figures are of exact data and of its most isolated people: they are the steward's alone, and no analyst sees them.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use obscura_policies::day::Day;
use obscura_policies::document::Document;
use obscura_policies::document::Policy;
use obscura_policies::effective::EffectivePolicy;
use obscura_policies::evaluate::effective_of_policy;
use obscura_policies::library::Library;
use obscura_policies::vocabulary::DatasetId;
use obscura_query_guard::exposure::AllKnown;
use obscura_query_guard::exposure::Closing;
use obscura_query_guard::exposure::Exposure;
use obscura_query_guard::exposure::ExposureFault;
use obscura_query_guard::exposure::Limits;
use obscura_query_guard::exposure::NoDeviation;
use obscura_query_guard::exposure::Search;
use obscura_query_guard::exposure::Subjects;
use obscura_query_guard::exposure::all_known;
use obscura_query_guard::exposure::least_deviation;
use obscura_query_guard::exposure::least_squares;
use obscura_query_guard::opening::NothingOpened;
use obscura_query_guard::opening::Opening;

use crate::app::data::grant_columns::grant_columns;
use crate::app::data::relabelled::is_relabelled;
use crate::app::documents::publish_documents::DocumentFile;
use crate::app::documents::publish_documents::DocumentsRefused;
use crate::app::documents::publish_documents::as_if_published;
use crate::app::query::review_context::facts;
use crate::audit::unwraps::Account;
use crate::context::Caller;
use crate::error::AppError;
use crate::error::Class;
use crate::error::During as _;
use crate::error::InternalError;
use crate::error::PublicError;
use crate::installation::Installation;
use crate::installation::library::local_time;
use crate::installation::sealed::open_newest;
use crate::installation::sealed::storage_failure;
use crate::storage::ColumnKeys;
use crate::storage::SealedVersion;
use crate::storage::read_columns;

/// The exposure of one dataset under one policy.
#[derive(Debug)]
pub struct DatasetExposure {
    /// The policy.
    pub policy: String,
    /// The dataset.
    pub dataset: DatasetId,
    /// The purpose that it is asked for.
    pub purpose: String,
    /// The figures, or why there are none.
    pub outcome: Result<Figures, NoFigures>,
}

/// The reason why there are no figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoFigures {
    /// No version is sealed.
    NotSealed,
    /// The sealed version has other labels than the document, and opens nothing.
    Relabelled,
    /// The policy lets nobody ask.
    Refused,
    /// No number leaves with noise.
    Nothing(NothingOpened),
}

/// The figures of one dataset.
#[derive(Debug)]
pub struct Figures {
    /// The version they were computed on.
    pub version: u64,
    /// Subjects; rows, where a subject has several.
    pub subjects: u32,
    /// A subject has one row, so that the figures are of people and not of one of their rows.
    pub rows_are_subjects: bool,
    /// The least deviation that a question's noise has under the policy.
    pub deviation: u32,
    /// The attacker who knows everybody else.
    pub all_known: AllKnown,
    /// The attacker who knows nobody's bit; nothing where more tables are opened than are computed.
    pub exposure: Option<Exposure>,
    /// The advantages that the grade allows.
    pub limits: Limits,
    /// The least deviation of the ladder that keeps within the limits.
    pub least: Least,
}

/// The least deviation that keeps within the limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Least {
    /// This rung.
    Rung(u32),
    /// No rung does.
    None {
        /// The columns of the part whose closing lowers the figures the most.
        close: Vec<String>,
        /// Closing it is enough.
        is_enough: bool,
    },
}

/// A step of the work, for somebody who waits.
#[derive(Debug, Clone, Copy)]
pub struct ExposureProgress<'a> {
    /// The dataset.
    pub dataset: &'a DatasetId,
    /// Rows that were read so far.
    pub rows: u64,
    /// Rows of the version.
    pub of: u64,
}

/// Computes the exposure of every dataset of the policies of a file, as if it were published.
///
/// # Errors
/// As [`check_documents`](crate::app::documents::publish_documents::check_documents) but for the tests of policies; usage when the
/// file has no policy; the errors of storage.
pub async fn exposure_of(
    installation: &Arc<Installation>,
    caller: &Caller,
    file: &DocumentFile,
    progress: Arc<dyn Fn(ExposureProgress<'_>) + Send + Sync>,
) -> Result<Vec<DatasetExposure>, DocumentsRefused> {
    let (library, documents) = as_if_published(installation, caller, std::slice::from_ref(file)).await?;
    let policies = documents.into_iter().filter_map(|document| match document.value {
        Document::Policy(policy) => Some(policy),
        _ => None,
    });
    let mut found = Vec::new();
    for policy in policies {
        for id in &policy.object.resources.datasets {
            found.extend(of_dataset(installation, caller, &library, &policy, id, &progress).await?);
        }
    }
    if found.is_empty() {
        let error = PublicError::new(
            Class::Usage,
            "policy-missing",
            "no policy is named, and only a policy opens data",
            "未指定策略，而只有策略能开放数据",
        );
        return Err(error
            .with_help("name a policy, or a file with one", "请指定一份策略，或含有策略的文件")
            .into());
    }
    Ok(found)
}

/// The exposure of one dataset, once for each purpose that opens it otherwise than those before.
async fn of_dataset(
    installation: &Arc<Installation>,
    caller: &Caller,
    library: &Library,
    policy: &Policy,
    id: &DatasetId,
    progress: &Arc<dyn Fn(ExposureProgress<'_>) + Send + Sync>,
) -> Result<Vec<DatasetExposure>, AppError> {
    let of = |purpose: &str, outcome| DatasetExposure {
        policy: policy.metadata.id.to_string(),
        dataset: id.clone(),
        purpose: purpose.to_owned(),
        outcome,
    };
    let first = policy.condition.purposes.first().map(ToString::to_string).unwrap_or_default();
    let Some(dataset) = library.datasets().get(id) else {
        return Ok(vec![of(&first, Err(NoFigures::Refused))]);
    };
    let Some(version) = open_newest(installation, id).await?.filter(|version| !version.is_shredded()) else {
        return Ok(vec![of(&first, Err(NoFigures::NotSealed))]);
    };
    if is_relabelled(library, dataset, version.manifest()) {
        return Ok(vec![of(&first, Err(NoFigures::Relabelled))]);
    }
    let now = local_time(installation.now(), &installation.settings().time_zone);
    let manifests = BTreeMap::from([(id.clone(), facts(&version))]);
    let version = Arc::new(version);
    let (mut found, mut known): (Vec<DatasetExposure>, Vec<EffectivePolicy>) = (Vec::new(), Vec::new());
    for purpose in &policy.condition.purposes {
        let Some(Ok(effective)) = effective_of_policy(library, policy, purpose, id, &manifests, now) else {
            found.push(of(purpose.as_str(), Err(NoFigures::Refused)));
            continue;
        };
        if known.iter().any(|other| other.datasets == effective.datasets && other.floors == effective.floors)
        {
            continue;
        }
        known.push(effective.clone());
        let columns = match Opening::of(&effective, id, now.day) {
            Ok(opening) => opening.columns(),
            Err(nothing) => {
                found.push(of(purpose.as_str(), Err(NoFigures::Nothing(nothing))));
                continue;
            }
        };
        let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
        let keys = keys_of(installation, caller, &version, &columns).await?;
        let work = Work { effective, id: id.clone(), version: Arc::clone(&version), keys, today: now.day };
        let progress = Arc::clone(progress);
        let figures = tokio::task::spawn_blocking(move || work.figures(progress.as_ref()));
        let figures = figures.await.during("wait for the exposure")??;
        found.push(of(purpose.as_str(), Ok(figures)));
    }
    Ok(found)
}

/// The keys of the columns that are read, on an account of the dataset, once the log says who has them.
///
/// INVARIANT(keys-leave-on-an-account): those of the columns that the figures are computed of, all at once on one line.
async fn keys_of(
    installation: &Installation,
    caller: &Caller,
    version: &SealedVersion,
    columns: &[&str],
) -> Result<ColumnKeys, AppError> {
    let account = Account::Exposure(version.dataset().clone());
    grant_columns(installation, caller, &account, version, columns).await?;
    let accounted = installation.accounts.on_account(account, |keys| version.unwrap_keys(keys, columns));
    accounted.during("account for keys")?.taken.map_err(|error| storage_failure(&error))
}

/// All that the figures of one dataset are computed of.
struct Work {
    effective: EffectivePolicy,
    id: DatasetId,
    version: Arc<SealedVersion>,
    keys: ColumnKeys,
    today: Day,
}

impl Work {
    fn figures(&self, progress: &dyn Fn(ExposureProgress<'_>)) -> Result<Figures, AppError> {
        let broken = |what| InternalError::of_kind("compute an exposure", what);
        let opening =
            Opening::of(&self.effective, &self.id, self.today).map_err(|_| broken("nothing opened"))?;
        let columns = opening.columns();
        let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
        let of = self.version.manifest().rows;
        let (mut rows, mut read) = (opening.rows(), 0_u64);
        let mut fault = None;
        let take = |batch: &RecordBatch| {
            read += u64::try_from(batch.num_rows()).unwrap_or(0);
            progress(ExposureProgress { dataset: &self.id, rows: read, of });
            if let Err(error) = rows.take(batch) {
                fault.get_or_insert(error);
            }
            Ok(())
        };
        read_columns(&self.version, &self.keys, &columns, take).map_err(|error| storage_failure(&error))?;
        if fault.is_some() {
            return Err(broken("rows cannot be read").into());
        }
        match rows.subjects() {
            Ok(subjects) => figures(&opening, &subjects, self.version.manifest().version)
                .map_err(|_fault| broken("figures").into()),
            Err(_nobody) => Err(nobody(&self.id).into()),
        }
    }
}

fn nobody(id: &DatasetId) -> PublicError {
    PublicError::new(
        Class::Conflict,
        "no-subjects",
        format!("the row filters of the policy leave no subject of `{id}`"),
        format!("策略的行过滤条件未保留 `{id}` 的任何主体"),
    )
}

fn figures(opening: &Opening<'_>, subjects: &Subjects, version: u64) -> Result<Figures, ExposureFault> {
    let (opened, deviation, search) = (opening.opened(), opening.deviation(), Search::default());
    let exposure = match least_squares(opened, subjects, deviation, &search) {
        Ok(exposure) => Some(exposure),
        Err(ExposureFault::TooManyTables) => None,
        Err(fault) => return Err(fault),
    };
    let name = |number: &u16| opening.name(*number).map(str::to_owned);
    let least = match least_deviation(opened, subjects, opening.limits(), &search) {
        Ok(rung) => Least::Rung(rung.deviation),
        Err(NoDeviation::NoRung { close, share_closed, .. }) => Least::None {
            close: match close {
                Some(Closing::Cube(cube)) => cube.keys().filter_map(name).collect(),
                Some(Closing::Column(column)) => name(&column).into_iter().collect(),
                None => Vec::new(),
            },
            is_enough: share_closed <= 1.0,
        },
        Err(NoDeviation::Fault(ExposureFault::TooManyTables)) => {
            Least::None { close: Vec::new(), is_enough: false }
        }
        Err(NoDeviation::Fault(fault)) => return Err(fault),
    };
    Ok(Figures {
        version,
        subjects: subjects.count(),
        rows_are_subjects: opening.rows_are_subjects(),
        deviation,
        all_known: all_known(opened, deviation)?,
        exposure,
        limits: *opening.limits(),
        least,
    })
}

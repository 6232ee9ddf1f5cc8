//! The sealed datasets of an admitted plan: which keys its job may be given, and opening them with those and no others.

use std::collections::BTreeMap;
use std::sync::Arc;

use obscura_policies::vocabulary::DatasetId;
use obscura_policies::vocabulary::Level;
use obscura_query_guard::plan::GuardedPlan;
use serde_json::json;

use crate::app::query::review_context::ReviewContext;
use crate::audit::event::Action;
use crate::audit::event::ActorName;
use crate::audit::unwraps::Account;
use crate::context::Caller;
use crate::engine::SealedTables;
use crate::engine::sealed_table::SealedTable;
use crate::error::AppError;
use crate::error::During as _;
use crate::error::InternalError;
use crate::ids::JobId;
use crate::installation::Installation;
use crate::installation::records::Note;
use crate::installation::sealed::storage_failure;

/// Says which columns' keys an admitted job may be given. Not in the decision itself, which the asker may show around:
/// a plan also reads columns that only its policies name.
pub(crate) fn keys_granted(
    caller: &Caller,
    job: JobId,
    review_context: &ReviewContext,
    plan: &GuardedPlan,
) -> Result<Note, AppError> {
    let mut datasets = Vec::new();
    for (dataset, columns) in plan.scans() {
        let version = review_context.sealed.get(dataset).map(|version| version.manifest().version);
        let version = version.ok_or_else(|| InternalError::of_kind("grant keys", "not sealed"))?;
        datasets.push(json!({ "dataset": dataset.to_string(), "version": version, "columns": columns }));
    }
    Ok(Note::new(Action::KeysGranted, ActorName::of(caller)).of_job(job).with("datasets", datasets))
}

/// The sealed datasets that a plan reads.
pub(crate) struct Opened {
    /// By dataset; one is open if every column read of it was sealed as open data.
    pub(crate) sealed: SealedTables,
    /// The content digests of the versions that were opened.
    pub(crate) versions: BTreeMap<DatasetId, [u8; 32]>,
    /// The keys that were unwrapped.
    pub(crate) unwrapped: Unwrapped,
}

/// The keys that a run was given.
#[derive(Debug, Clone, Default)]
pub(crate) struct Unwrapped {
    /// The number of keys.
    pub(crate) keys: usize,
    /// SHA-256 of the line of the journal that names them.
    pub(crate) line_sha256: Option<String>,
}

/// Opens the sealed datasets of a plan with the keys of its columns, once the journal says which keys left.
///
/// INVARIANT(keys-leave-on-an-account): the job's own account, for the columns that its decision granted.
pub(crate) fn open_tables(
    review_context: &ReviewContext,
    installation: &Installation,
    job: JobId,
    plan: &GuardedPlan,
) -> Result<Opened, AppError> {
    let mut versions = Vec::new();
    for (dataset, columns) in plan.scans() {
        let version = review_context.sealed.get(dataset);
        let version = version.ok_or_else(|| InternalError::of_kind("open a dataset", "not sealed"))?;
        versions.push((dataset, version, columns.iter().map(String::as_str).collect::<Vec<_>>()));
    }
    let accounted = installation.accounts.on_account(Account::Query(job), |keys| {
        let unwrapped = versions.iter().map(|(_, version, columns)| version.unwrap_keys(keys, columns));
        unwrapped.collect::<Result<Vec<_>, _>>()
    });
    let accounted = accounted.during("account for keys")?;
    let unwrapped = accounted.taken.map_err(|e| storage_failure(&e))?;
    let mut opened = Opened {
        sealed: SealedTables::default(),
        versions: BTreeMap::new(),
        unwrapped: Unwrapped { keys: 0, line_sha256: accounted.line_sha256 },
    };
    for ((dataset, version, columns), keys) in versions.into_iter().zip(unwrapped) {
        opened.unwrapped.keys += keys.count();
        let table = SealedTable::open(version, &keys, &columns).map_err(|e| storage_failure(&e))?;
        opened.sealed.tables.insert(dataset.clone(), Arc::new(table));
        let digest = version.manifest().content_digest().map_err(|e| storage_failure(&e))?;
        opened.versions.insert(dataset.clone(), *digest.as_bytes());
        let is_open = |name: &&str| {
            let sealed = version.manifest().columns.iter().find(|column| column.name == **name);
            sealed.is_some_and(|column| column.grade.parse() == Ok(Level(1)))
        };
        if columns.iter().all(is_open) {
            opened.sealed.open.insert(dataset.clone());
        }
    }
    Ok(opened)
}

//! Use cases: read a document as it was published, or as it waits for a second person.
//! A document that the caller may not know of is answered like one that does not exist.

use obscura_policies::document::Document;
use obscura_policies::document::Kind;
use obscura_policies::vocabulary::PersonRole;

use crate::app::data::datasets::visible_datasets;
use crate::app::documents::publish_documents::list_proposals;
use crate::app::documents::publish_documents::may_see_policy;
use crate::app::documents::publish_documents::must_keep;
use crate::app::documents::publish_documents::owner;
use crate::app::people::authorise::must_steward;
use crate::catalog::body::DocumentBody;
use crate::context::Caller;
use crate::error::AppError;
use crate::error::Class;
use crate::error::PublicError;
use crate::installation::Installation;
use crate::installation::library::library;
use crate::installation::library::parse_one;

/// A document in one of its versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownDocument {
    /// Its kind, as documents name it.
    pub kind: String,
    /// Identifier.
    pub id: String,
    /// Version.
    pub version: u32,
    /// It waits for a second person.
    pub is_proposed: bool,
    /// Its author, where that is known.
    pub proposed_by: Option<String>,
    /// The person who put it in force; none while it waits.
    pub published_by: Option<String>,
    /// The document, in YAML.
    pub text: String,
}

/// Shows a document: the version that is named, in force or proposed, or the newest in force.
///
/// # Errors
/// Forbidden for all but stewards, operators and auditors; not found when there is none, or it is not the caller's to see.
pub async fn show_document(
    installation: &Installation,
    caller: &Caller,
    id: &str,
    version: Option<u32>,
) -> Result<ShownDocument, AppError> {
    must_keep(caller)?;
    let mut found: Vec<ShownDocument> = Vec::new();
    for body in installation.all_in_force::<DocumentBody>().await? {
        if body.id == id && version.is_none_or(|version| version == body.version) {
            found.push(ShownDocument {
                kind: body.kind,
                id: body.id,
                version: body.version,
                is_proposed: false,
                proposed_by: body.proposed_by,
                published_by: body.published_by,
                text: body.text,
            });
        }
    }
    found.sort_by_key(|document| document.version);
    let visible = visible_datasets(installation, caller).await?;
    let library = library(installation).await?;
    for document in found.into_iter().rev() {
        let may_see = match &parse_one(&document.text)?.value {
            Document::Dataset(dataset) => visible.contains(&dataset.metadata.id),
            Document::Policy(policy) => may_see_policy(caller, &library, policy),
            _ => true,
        };
        if may_see {
            return Ok(document);
        }
    }
    // Only where a version is named: a proposal is not in force.
    let waiting = list_proposals(installation, caller).await?;
    let waiting = waiting.into_iter().find(|open| open.policy == id && Some(open.version) == version);
    let open = waiting.ok_or_else(|| no_document(id))?;
    Ok(ShownDocument {
        kind: open.kind.to_string(),
        id: open.policy,
        version: open.version,
        is_proposed: true,
        proposed_by: Some(open.proposed_by),
        published_by: None,
        text: open.text,
    })
}

/// A published policy, with every version of it that was ever in force, oldest first.
///
/// # Errors
/// Not found when there is none, or it is another department's; forbidden for all but stewards, operators and auditors.
pub async fn policy_versions(
    installation: &Installation,
    caller: &Caller,
    policy: &str,
) -> Result<Vec<DocumentBody>, AppError> {
    must_keep(caller)?;
    let kind = Kind::Policy.to_string();
    let all = installation.all_in_force::<DocumentBody>().await?;
    let mut versions: Vec<DocumentBody> =
        all.into_iter().filter(|body| body.kind == kind && body.id == policy).collect();
    versions.sort_by_key(|body| body.version);
    let Some(newest) = versions.last() else { return Err(no_policy(policy)) };
    if !caller.holds(PersonRole::Auditor) && !caller.holds(PersonRole::Operator) {
        // A policy may tell of data that other departments may not know of: it is shown to its own department.
        let library = library(installation).await?;
        must_steward(caller, &library, &owner(&newest.text)?).map_err(|_| no_policy(policy))?;
    }
    Ok(versions)
}

fn no_document(id: &str) -> AppError {
    let id: String = id.chars().take(64).collect();
    PublicError::new(
        Class::NotFound,
        "document-not-found",
        format!("there is no document `{id}`, or not in this version"),
        format!("没有文档 `{id}`，或没有该版本"),
    )
    .with_help("`obscura policy list` shows those in force", "可用 `obscura policy list` 查看生效的文档")
    .into()
}

fn no_policy(policy: &str) -> AppError {
    let policy: String = policy.chars().take(64).collect();
    PublicError::new(
        Class::NotFound,
        "policy-not-found",
        format!("there is no policy `{policy}`"),
        format!("没有策略 `{policy}`"),
    )
    .into()
}

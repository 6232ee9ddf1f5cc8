//! The refusals of published, proposed and activated documents, in words. They decide nothing.

use crate::catalog::body::DocumentBody;
use crate::catalog::body::ProposalBody;
use crate::error::AppError;
use crate::error::Class;
use crate::error::PublicError;

/// The refusal of a second proposal of one version.
pub(super) fn proposed_before(open: &ProposalBody) -> AppError {
    let ProposalBody { policy, version, .. } = open;
    PublicError::new(
        Class::Conflict,
        "proposal-open",
        format!("another version {version} of `{policy}` waits already"),
        format!("`{policy}` 的版本 {version} 已有待启用的提案"),
    )
    .with_help("activate or withdraw it first", "请先启用或撤回该提案")
    .into()
}

/// The refusal of an activation by the author.
pub(super) fn not_ones_own() -> AppError {
    PublicError::new(
        Class::Forbidden,
        "not-oneself",
        "nobody activates what they proposed",
        "不能启用自己提出的文档",
    )
    .with_help("another steward of the department activates it", "须由该部门的另一名数据管理员启用")
    .into()
}

/// The refusal of documents that were judged beside others than those now in force.
pub(super) fn overtaken() -> AppError {
    PublicError::new(
        Class::Conflict,
        "documents-changed",
        "the documents in force changed while these were checked",
        "检查期间生效的文档已发生变化",
    )
    .with_help("send them again", "请重新提交")
    .into()
}

/// The refusal of a proposal that is not there.
pub(super) fn no_proposal(policy: &str, version: u32) -> AppError {
    let policy: String = policy.chars().take(64).collect();
    PublicError::new(
        Class::NotFound,
        "proposal-not-found",
        format!("no version {version} of `{policy}` waits to be activated"),
        format!("`{policy}` 没有待启用的版本 {version}"),
    )
    .into()
}

/// The refusal of a version that was used before.
pub(super) fn raced(body: &DocumentBody) -> PublicError {
    PublicError::new(
        Class::Conflict,
        "version-not-new",
        format!("version {} of `{}` was used before", body.version, body.id),
        format!("`{}` 的版本 {} 已被使用", body.id, body.version),
    )
}

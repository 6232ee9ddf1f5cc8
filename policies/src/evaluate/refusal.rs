//! Refusals of the policy decision: fixed phrases, a stable code, and only names that the person wrote.
//! A hidden dataset and one that does not exist are told in the same words.

use std::collections::BTreeSet;

use crate::nearest::nearest;
use crate::vocabulary::DatasetId;
use crate::vocabulary::Text;
use crate::words::words;

/// Most grants that a help line names.
const NAMES_MAX: usize = 5;

words! {
    /// The reasons for which a job is refused before its query is read.
    RefusalCode, "refusal code" {
        /// The dataset does not exist, or the person may not know that it does.
        DatasetNotFound = "dataset-not-found",
        /// The purpose does not exist.
        PurposeNotFound = "purpose-not-found",
        /// The person has no grant on the dataset.
        NoGrant = "no-grant",
        /// The grants on the dataset are for other purposes.
        PurposeMismatch = "purpose-mismatch",
        /// The grant has not begun.
        GrantNotInForce = "grant-not-in-force",
        /// The grant has ended.
        GrantExpired = "grant-expired",
        /// The question names a grant that the person does not have, or that gives none of the question's datasets.
        GrantNotFound = "grant-not-found",
        /// More than one grant fits, none contains the others, and grants do not combine.
        GrantAmbiguous = "grant-ambiguous",
        /// Fewer stewards approved the grant than the policies ask for.
        GrantNotApproved = "grant-not-approved",
        /// No policy opens the dataset to this person for this purpose.
        NoPolicy = "no-policy",
        /// The policies that would open it do not hold today.
        PolicyNotInForce = "policy-not-in-force",
        /// A policy allows questions at other hours.
        OutsideHours = "outside-hours",
        /// The dataset's membership is graded above what a policy opens.
        GradeAbovePolicy = "grade-above-policy",
        /// A document in force could not be resolved.
        PolicyUnresolved = "policy-unresolved",
    }
}

/// The purpose that was meant, and those that there are for the person.
fn own_purposes(typed: &str, own: &BTreeSet<&str>) -> Option<Text> {
    if own.is_empty() {
        return None;
    }
    let list = |comma: &str| {
        own.iter().take(NAMES_MAX).map(|purpose| format!("`{purpose}`")).collect::<Vec<_>>().join(comma)
    };
    let (meant_en, meant_zh) = match nearest(typed, own.iter().copied()) {
        Some(meant) => (format!("did you mean `{meant}`? "), format!("您是否想写 `{meant}`？")),
        None => Default::default(),
    };
    Some(Text::new(
        format!("{meant_en}your grants are for {}; for another purpose ask for another grant", list(", ")),
        format!("{meant_zh}您的授权用途为 {}；如需其他用途请另行申请授权", list("、")),
    ))
}

/// A refusal: an answer, in words that may be shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} ({code})", .message.en)]
pub struct PolicyRefusal {
    /// Stable code.
    pub code: RefusalCode,
    /// The refusal and its reason.
    pub message: Text,
    /// Advice, where something would help.
    pub help: Option<Text>,
}

impl PolicyRefusal {
    fn new(code: RefusalCode, en: String, zh: String) -> Self {
        Self { code, message: Text::new(en, zh), help: None }
    }

    fn help(mut self, en: &str, zh: &str) -> Self {
        self.help = Some(Text::new(en, zh));
        self
    }

    pub(super) fn dataset_not_found(id: &DatasetId) -> Self {
        Self::new(
            RefusalCode::DatasetNotFound,
            format!("there is no dataset `{id}`"),
            format!("数据集 `{id}` 不存在"),
        )
        .help("look the dataset up in the catalogue", "请在数据目录中查找数据集")
    }

    /// `own` are the purposes of the person's own grants.
    pub(super) fn purpose_not_found(purpose: &str, own: &BTreeSet<&str>) -> Self {
        let purpose: String = purpose.chars().take(64).collect();
        let refusal = Self::new(
            RefusalCode::PurposeNotFound,
            format!("there is no purpose `{purpose}`"),
            format!("用途 `{purpose}` 不存在"),
        );
        match own_purposes(&purpose, own) {
            Some(help) => Self { help: Some(help), ..refusal },
            None => refusal,
        }
    }

    pub(super) fn no_grant(id: &DatasetId) -> Self {
        Self::new(
            RefusalCode::NoGrant,
            format!("you have no grant on `{id}`"),
            format!("您没有数据集 `{id}` 的授权"),
        )
        .help("ask the department for one, naming your purpose", "请向数据所属部门申请授权，并说明用途")
    }

    /// `own` are the purposes of the person's own grants on the dataset.
    pub(super) fn purpose_mismatch(id: &DatasetId, purpose: &str, own: &BTreeSet<&str>) -> Self {
        let refusal = Self::new(
            RefusalCode::PurposeMismatch,
            format!("your grant on `{id}` is not for `{purpose}`"),
            format!("您在数据集 `{id}` 上的授权不包含用途 `{purpose}`"),
        );
        match own_purposes(purpose, own) {
            Some(help) => Self { help: Some(help), ..refusal },
            None => refusal.help("ask for a grant that names it", "请另行申请包含该用途的授权"),
        }
    }

    pub(super) fn grant_not_in_force(id: &DatasetId) -> Self {
        Self::new(
            RefusalCode::GrantNotInForce,
            format!("your grant on `{id}` has not begun"),
            format!("您在数据集 `{id}` 上的授权尚未生效"),
        )
    }

    pub(super) fn grant_expired(id: &DatasetId) -> Self {
        Self::new(
            RefusalCode::GrantExpired,
            format!("your grant on `{id}` has ended"),
            format!("您在数据集 `{id}` 上的授权已到期"),
        )
        .help("ask for a new grant", "请重新申请授权")
    }

    pub(super) fn grant_not_found(grant: &str) -> Self {
        let grant: String = grant.chars().take(64).collect();
        Self::new(
            RefusalCode::GrantNotFound,
            format!("you have no grant `{grant}` on a dataset of this question"),
            format!("您没有可用于本查询所涉数据集的授权 `{grant}`"),
        )
        .help("`obscura grant list` shows your grants", "可用 `obscura grant list` 查看您的授权")
    }

    /// `grants` are the person's own.
    pub(super) fn grant_ambiguous(id: &DatasetId, grants: &[&str]) -> Self {
        let names = |comma: &str| {
            let shown = grants.iter().take(NAMES_MAX).map(|grant| format!("`{grant}`"));
            shown.collect::<Vec<_>>().join(comma)
        };
        Self::new(
            RefusalCode::GrantAmbiguous,
            format!(
                "you have several grants on `{id}` for this purpose, none contains the others, and grants do not combine"
            ),
            format!("您在数据集 `{id}` 上有多份同一用途的授权，互不包含，且授权不能合并使用"),
        )
        .help(
            &format!("name one with `--grant` (`\"grants\": [...]` over HTTP): {}", names(", ")),
            &format!("请用 `--grant` 指明一份（HTTP 请求为 `\"grants\": [...]`）：{}", names("、")),
        )
    }

    pub(super) fn grant_not_approved(id: &DatasetId) -> Self {
        Self::new(
            RefusalCode::GrantNotApproved,
            format!("your grant on `{id}` has too few approvals"),
            format!("您在数据集 `{id}` 上的授权未获足够人数批准"),
        )
        .help("ask a further steward to approve it", "请另一位数据专员批准")
    }

    pub(super) fn no_policy(id: &DatasetId) -> Self {
        Self::new(
            RefusalCode::NoPolicy,
            format!("no policy opens `{id}` to you for this purpose"),
            format!("没有策略允许您为此用途使用数据集 `{id}`"),
        )
        .help("ask the department's steward", "请联系数据所属部门的数据专员")
    }

    pub(super) fn policy_not_in_force(id: &DatasetId) -> Self {
        Self::new(
            RefusalCode::PolicyNotInForce,
            format!("the policy of `{id}` does not hold today"),
            format!("数据集 `{id}` 的策略今日不在有效期内"),
        )
    }

    pub(super) fn outside_hours(id: &DatasetId) -> Self {
        Self::new(
            RefusalCode::OutsideHours,
            format!("the policy of `{id}` does not allow questions at this hour"),
            format!("数据集 `{id}` 的策略不允许在此时段使用"),
        )
    }

    pub(super) fn grade_above_policy(id: &DatasetId) -> Self {
        Self::new(
            RefusalCode::GradeAbovePolicy,
            format!("`{id}` is graded above what its policy opens"),
            format!("数据集 `{id}` 的级别高于策略允许的级别"),
        )
    }

    pub(super) fn unresolved(id: &DatasetId) -> Self {
        Self::new(
            RefusalCode::PolicyUnresolved,
            format!("the policy of `{id}` could not be decided"),
            format!("数据集 `{id}` 的策略无法判定"),
        )
        .help("tell the operator", "请联系平台运维人员")
    }
}

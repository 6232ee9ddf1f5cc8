//! Grants, requests for access and decisions on them, on the wire.

use std::collections::BTreeSet;

use obscura_policies::document::Grant;
use obscura_policies::document::GrantedDataset;
use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::closed_words::RequestStateWord;
use crate::app::documents::access_requests::AccessDecision;
use crate::app::documents::access_requests::AccessRequestSummary;
use crate::app::documents::grants::GrantSummary;
use crate::app::query::verdict::TextView;

/// A dataset, and how far one may ask of it.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = GrantedDataset)]
pub(crate) struct GrantedDatasetView {
    /// Identifier.
    #[schema(example = "hz-health.visits")]
    pub(crate) dataset: String,
    /// The columns; all that the policies allow when not given.
    pub(crate) columns: Option<BTreeSet<String>>,
    /// The uses; all that the policies allow when not given.
    pub(crate) uses: Option<BTreeSet<String>>,
    /// SQL condition on rows.
    pub(crate) row_filter: Option<String>,
}

impl GrantedDatasetView {
    pub(crate) fn of(granted: &GrantedDataset) -> Self {
        let columns = granted.columns.as_ref();
        Self {
            dataset: granted.dataset.to_string(),
            columns: columns.map(|columns| columns.iter().map(ToString::to_string).collect()),
            uses: granted.uses.as_ref().map(|uses| uses.iter().map(ToString::to_string).collect()),
            row_filter: granted.row_filter.clone(),
        }
    }
}

/// A grant in force.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Grant)]
pub(crate) struct GrantView {
    /// Identifier.
    pub(crate) id: String,
    /// The person who may ask.
    pub(crate) person: String,
    /// Code of the purpose.
    pub(crate) purpose: String,
    /// The datasets, and how far.
    pub(crate) datasets: Vec<GrantedDatasetView>,
    /// Last day.
    #[schema(format = Date)]
    pub(crate) until: String,
    /// The person who gave it.
    pub(crate) granted_by: Option<String>,
    /// The reasons why questions under it are not answered yet, when it was given just now.
    #[serde(default)]
    pub(crate) warnings: Vec<TextView>,
}

impl GrantView {
    pub(crate) fn of(summary: &GrantSummary) -> Self {
        let warnings = summary.warnings.iter().cloned().map(TextView::from).collect();
        Self { warnings, ..Self::drafted(&summary.grant, Some(summary.granted_by.clone())) }
    }

    fn drafted(grant: &Grant, granted_by: Option<String>) -> Self {
        Self {
            id: grant.metadata.id.to_string(),
            person: grant.person.clone(),
            purpose: grant.purpose.to_string(),
            datasets: grant.datasets.iter().map(GrantedDatasetView::of).collect(),
            until: grant.until.to_string(),
            granted_by,
            warnings: Vec::new(),
        }
    }
}

/// Grants in force.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct GrantList {
    /// The grants.
    pub(crate) grants: Vec<GrantView>,
}

/// A grant to give.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GrantWish {
    /// The person who may ask.
    pub(crate) person: String,
    /// Code of the purpose.
    pub(crate) purpose: String,
    /// The datasets, and how far.
    pub(crate) datasets: Vec<GrantedDatasetView>,
    /// Last day, as `2027-12-31`.
    #[schema(format = Date)]
    pub(crate) until: String,
}

/// A request for access to make.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AccessWish {
    /// Code of the purpose.
    pub(crate) purpose: String,
    /// The datasets, all of one department, and how far.
    pub(crate) datasets: Vec<GrantedDatasetView>,
    /// Last day, as `2027-12-31`.
    #[schema(format = Date)]
    pub(crate) until: String,
    /// The reason for the request.
    pub(crate) reason: String,
}

/// A request for access.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = AccessRequest)]
pub(crate) struct AccessRequestView {
    /// Identifier.
    pub(crate) id: String,
    /// Its state.
    #[schema(value_type = RequestStateWord)]
    pub(crate) state: String,
    /// The department that decides.
    pub(crate) department: String,
    /// The grant that it becomes.
    pub(crate) grant: GrantView,
    /// The reason for the request.
    pub(crate) reason: String,
    /// When it was asked.
    #[schema(format = DateTime)]
    pub(crate) requested: String,
    /// The person who decided.
    pub(crate) decided_by: Option<String>,
    /// When.
    #[schema(format = DateTime)]
    pub(crate) decided: Option<String>,
    /// The reason that they gave.
    pub(crate) decision_reason: Option<String>,
}

impl AccessRequestView {
    pub(crate) fn of(request: AccessRequestSummary) -> Self {
        let decided = request.decided.as_ref();
        Self {
            state: decided.map_or_else(|| "open".to_owned(), |decided| decided.outcome.clone()),
            grant: GrantView::drafted(&request.grant, None),
            requested: request.requested.to_string(),
            decided_by: decided.map(|decided| decided.by.clone()),
            decided: decided.map(|decided| decided.at.to_string()),
            decision_reason: decided.and_then(|decided| decided.reason.clone()),
            id: request.id,
            department: request.department,
            reason: request.reason,
        }
    }
}

/// Requests for access, newest first.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct AccessRequestList {
    /// The requests.
    pub(crate) requests: Vec<AccessRequestView>,
    /// The value to send as `cursor` for older ones; nothing when there are none.
    pub(crate) next: Option<String>,
}

/// A steward's decision on a request.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DecisionWish {
    /// The decision: the request becomes a grant, or does not.
    pub(crate) decision: DecisionWord,
    /// A message to the person who asked.
    pub(crate) reason: Option<String>,
}

/// The decision on a request for access.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DecisionWord {
    /// The request becomes a grant.
    Approve,
    /// The request does not become a grant.
    Decline,
}

impl From<DecisionWord> for AccessDecision {
    fn from(word: DecisionWord) -> Self {
        match word {
            DecisionWord::Approve => Self::Approve,
            DecisionWord::Decline => Self::Decline,
        }
    }
}

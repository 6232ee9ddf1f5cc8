//! Grants: the only permits. One person, one purpose, some datasets, until a day.
//! Grants never combine and never widen a policy.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;

use crate::day::Day;
use crate::document::ApiVersion;
use crate::document::GrantKind;
use crate::document::Metadata;
use crate::vocabulary::Code;
use crate::vocabulary::ColumnName;
use crate::vocabulary::DatasetId;
use crate::vocabulary::Use;

/// One permission.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// Format version.
    pub api_version: ApiVersion,
    /// `Grant`.
    pub kind: GrantKind,
    /// Identity.
    pub metadata: Metadata,
    /// The person who may ask.
    pub person: String,
    /// Purpose of the questions.
    pub purpose: Code,
    /// The datasets, and how far.
    pub datasets: Vec<GrantedDataset>,
    /// First day; from the beginning if missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Day>,
    /// Last day.
    pub until: Day,
    /// Stewards who approved it.
    pub approved_by: BTreeSet<String>,
}

/// One dataset of a grant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GrantedDataset {
    /// The dataset.
    pub dataset: DatasetId,
    /// The columns; all that the policies allow if missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<BTreeSet<ColumnName>>,
    /// The uses; all that the policies allow if missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uses: Option<BTreeSet<Use>>,
    /// SQL condition on raw rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row_filter: Option<String>,
    /// The row filter is the asking district's or department's own territory, and taints no grade.
    #[serde(default)]
    pub jurisdiction: bool,
}

impl Grant {
    /// The grant's terms for a dataset.
    #[must_use]
    pub fn dataset(&self, id: &DatasetId) -> Option<&GrantedDataset> {
        self.datasets.iter().find(|granted| granted.dataset == *id)
    }
}

//! Applications: saved, parameterised, approved queries that others run.
//! The SQL is opaque text here.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;

use crate::document::ApiVersion;
use crate::document::ApplicationKind;
use crate::document::Metadata;
use crate::document::Range;
use crate::document::TypeWord;
use crate::vocabulary::Code;
use crate::vocabulary::ColumnName;
use crate::vocabulary::DatasetId;
use crate::vocabulary::Text;

/// A saved query.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Application {
    /// Format version.
    pub api_version: ApiVersion,
    /// `Application`.
    pub kind: ApplicationKind,
    /// Identity.
    pub metadata: Metadata,
    /// The person who wrote it.
    pub author: String,
    /// Purpose of the query.
    pub purpose: Code,
    /// The datasets that the query names.
    pub datasets: Vec<DatasetId>,
    /// The query, with `$name` for parameters.
    pub sql: String,
    /// Parameters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<Parameter>,
    /// Stewards who approved it.
    #[serde(default)]
    pub approved_by: BTreeSet<String>,
}

/// A parameter of a saved query.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Parameter {
    /// Name, without `$`.
    pub name: ColumnName,
    /// Type.
    #[serde(rename = "type")]
    pub data_type: TypeWord,
    /// Title.
    pub title: Text,
    /// Value when none is given, as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// The only values accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<Vec<String>>,
    /// Smallest and largest value accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<Range>,
}

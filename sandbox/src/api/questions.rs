//! A question on the wire.

use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

/// A question.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Question {
    /// One SELECT statement, or EXPLAIN and one.
    #[schema(example = "SELECT COUNT(*) FROM hz_health.visits")]
    pub(crate) sql: String,
    /// Code of the purpose it serves, as a grant names it.
    #[schema(example = "official-statistics")]
    pub(crate) purpose: String,
    /// The grants to use, by their identifiers; for a dataset that none of them gives, the widest grant applies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 32)]
    pub(crate) grants: Vec<String>,
}

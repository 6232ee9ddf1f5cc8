//! Purposes: what data is used for, and on which legal basis.
//! Policies say which dataset may serve which purpose.

use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;

use crate::document::ApiVersion;
use crate::document::Metadata;
use crate::document::PurposeKind;
use crate::vocabulary::Text;

/// A purpose that data is used for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Purpose {
    /// Format version.
    pub api_version: ApiVersion,
    /// `Purpose`.
    pub kind: PurposeKind,
    /// Identity; the identifier is the purpose's code.
    pub metadata: Metadata,
    /// Uses that the purpose covers.
    pub description: Text,
    /// Laws that allow it.
    pub legal_basis: Vec<LegalBasis>,
}

/// An article of a law.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LegalBasis {
    /// The law.
    pub law: String,
    /// The article.
    pub article: String,
}

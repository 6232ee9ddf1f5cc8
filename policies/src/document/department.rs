//! Departments: a tree of province, city, district and department.
//! People and their roles are kept elsewhere.

use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;

use crate::document::ApiVersion;
use crate::document::DepartmentKind;
use crate::document::Metadata;
use crate::vocabulary::Code;
use crate::words::words;

/// A node of the tree of departments.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Department {
    /// Format version.
    pub api_version: ApiVersion,
    /// `Department`.
    pub kind: DepartmentKind,
    /// Identity.
    pub metadata: Metadata,
    /// Place in the tree.
    pub level: DepartmentLevel,
    /// The node above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Code>,
    /// Administrative code (GB/T 2260) of the region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
}

words! {
    /// Place in the tree of departments; later members lie lower.
    DepartmentLevel, "level of a department" {
        /// A province.
        Province = "province",
        /// A city.
        City = "city",
        /// A district or county.
        District = "district",
        /// A department.
        Department = "department",
    }
}

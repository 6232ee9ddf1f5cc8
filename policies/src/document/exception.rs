//! Exceptions: the only way below a grade's floor, with a reason, two approvers and an end.
//! An exception changes floors only; what policies and grants ask for stands.

use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;

use crate::day::Day;
use crate::document::ApiVersion;
use crate::document::ControlsForm;
use crate::document::ExceptionKind;
use crate::document::Metadata;
use crate::vocabulary::Code;
use crate::vocabulary::DatasetId;

/// A way below the floor of one grade.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Exception {
    /// Format version.
    pub api_version: ApiVersion,
    /// `Exception`.
    pub kind: ExceptionKind,
    /// Identity.
    pub metadata: Metadata,
    /// Reason for the exception.
    pub reason: String,
    /// The datasets; a job is touched when it names no others.
    pub datasets: Vec<DatasetId>,
    /// The one purpose.
    pub purpose: Code,
    /// The scheme's word for the grade whose floor is replaced.
    pub grade: String,
    /// The controls that replace the floor's; those that are left out stay as the floor has them.
    pub controls: ControlsForm,
    /// Two or more different people: a steward and compliance.
    pub approved_by: Vec<Approver>,
    /// First day.
    pub from: Day,
    /// Last day.
    pub until: Day,
}

/// A person who approved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Approver {
    /// The person.
    pub person: String,
    /// The department they approved for.
    pub department: Code,
}

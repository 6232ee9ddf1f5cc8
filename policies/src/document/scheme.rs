//! Grade schemes: the grades of one standard, the floor of controls for each, and where they lie in other schemes.
//! No grade is known to the code beyond its place on the common ladder.

use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;

use crate::document::ApiVersion;
use crate::document::ControlsForm;
use crate::document::GradeSchemeKind;
use crate::document::Metadata;
use crate::vocabulary::Code;
use crate::vocabulary::Level;
use crate::vocabulary::Release;
use crate::vocabulary::Review;
use crate::vocabulary::Text;
use crate::words::words;

/// The grades of one standard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GradeScheme {
    /// Format version.
    pub api_version: ApiVersion,
    /// `GradeScheme`.
    pub kind: GradeSchemeKind,
    /// Identity.
    pub metadata: Metadata,
    /// Number and name of the standard.
    pub standard: Text,
    /// Grades, most open first.
    pub levels: Vec<SchemeLevel>,
}

/// One grade of a scheme.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SchemeLevel {
    /// The scheme's own word for the grade.
    pub code: String,
    /// Place on the common ladder.
    pub level: Level,
    /// Name.
    pub title: Text,
    /// Permission to register such data at all.
    #[serde(default)]
    pub registration: Registration,
    /// Release and controls that such data leaves with at the least.
    pub floor: FloorForm,
    /// The grade in other schemes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub crosswalk: Vec<Crosswalk>,
}

words! {
    /// Permission to register data of a grade.
    #[derive(Default)]
    Registration, "registration" {
        /// It may.
        #[default]
        Allowed = "allowed",
        /// It may not: state secrets and core data stay where they are.
        Refused = "refused",
    }
}

/// The release and the controls that data of a grade leaves with at the least.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FloorForm {
    /// Form in which it may leave.
    pub release: Release,
    /// Controls.
    #[serde(default)]
    pub controls: ControlsForm,
    /// The number of reviewers who see a result before it leaves; one at the least from L4 on.
    #[serde(default, skip_serializing_if = "is_unreviewed")]
    pub review: Review,
    /// Controls that must exist in this build besides, or nothing of the grade leaves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<Code>,
}

fn is_unreviewed(review: &Review) -> bool {
    *review == Review::None
}

/// The grade of another scheme that this one corresponds to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Crosswalk {
    /// The other scheme.
    pub scheme: Code,
    /// Its word for the grade.
    pub code: String,
}

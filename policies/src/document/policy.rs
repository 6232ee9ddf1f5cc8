//! Policies: rules in the four blocks object, condition, content and method.
//! SQL inside (row filters, tests) is opaque text here; the guard parses it.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::Serializer;
use serde::de::SeqAccess;
use serde::de::Visitor;

use crate::document::ApiVersion;
use crate::document::ControlsForm;
use crate::document::LegalBasis;
use crate::document::MaskForm;
use crate::document::Metadata;
use crate::document::PolicyKind;
use crate::document::Range;
use crate::document::Validity;
use crate::fixed::Fixed;
use crate::form::Phrase;
pub use crate::privacy::PrivacyBudget;
use crate::vocabulary::Code;
use crate::vocabulary::ColumnName;
use crate::vocabulary::DatasetId;
use crate::vocabulary::Function;
use crate::vocabulary::PersonRole;
use crate::vocabulary::Release;
use crate::vocabulary::Review;
use crate::vocabulary::Role;
use crate::vocabulary::Semantic;
use crate::vocabulary::UnitKind;
use crate::vocabulary::Use;
use crate::words::WordError;
use crate::words::text_form;
use crate::words::words;

/// Rules for some datasets of one department.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Format version.
    pub api_version: ApiVersion,
    /// `Policy`.
    pub kind: PolicyKind,
    /// Identity.
    pub metadata: Metadata,
    /// The department that owns the datasets.
    pub owner: Code,
    /// Days on which the policy holds.
    #[serde(default)]
    pub effective: Validity,
    /// Laws that it rests on.
    #[serde(default)]
    pub legal_basis: Vec<LegalBasis>,
    /// The people and the data that it is about.
    pub object: Object,
    /// The purposes and the hours in which it permits anything.
    pub condition: Condition,
    /// Rows and columns that may be seen or computed on.
    pub content: Content,
    /// Form and controls with which the result may leave.
    pub method: Method,
    /// Questions with known answers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tests: Vec<PolicyTest>,
}

/// The people and the data that a policy is about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Object {
    /// The people.
    pub subjects: Subjects,
    /// The data.
    pub resources: Resources,
}

/// The people that a policy speaks of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Subjects {
    /// Roles, of which a person needs one.
    pub roles: BTreeSet<PersonRole>,
    /// Departments.
    pub departments: AnyOr<Code>,
    /// Districts.
    #[serde(default)]
    pub districts: AnyOr<Code>,
}

/// Everything, or a list; written `any` or `[a, b]`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum AnyOr<T> {
    /// Everything.
    #[default]
    Any,
    /// Only these.
    Only(Vec<T>),
}

impl<T: PartialEq> AnyOr<T> {
    /// True if a value is among them.
    #[must_use]
    pub fn covers(&self, value: Option<&T>) -> bool {
        match (self, value) {
            (Self::Any, _) => true,
            (Self::Only(list), Some(value)) => list.contains(value),
            (Self::Only(_), None) => false,
        }
    }
}

/// The data that a policy speaks of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Resources {
    /// Datasets of the owner.
    pub datasets: Vec<DatasetId>,
    /// Strictest grade that the policy opens; columns above it stay shut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grade_max: Option<String>,
}

/// The purposes and the hours in which a policy permits anything, and the approvals and joins that it asks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// Purposes.
    pub purposes: Vec<Code>,
    /// Hours of the day, in the configured time zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hours: Option<Hours>,
    /// Stewards who must have approved a grant.
    #[serde(default)]
    pub approvals: u32,
    /// Datasets that may be joined with these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub join_with: Vec<JoinRule>,
}

/// A dataset that may be joined, and on which subject.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JoinRule {
    /// The other dataset.
    pub dataset: DatasetId,
    /// The kind of subject whose keys are equated.
    pub unit: UnitKind,
}

/// Hours of the day, written `08:00-20:00`; the end is not included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hours {
    from_minute: u16,
    until_minute: u16,
}

/// The rows and columns that may be seen or computed on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Content {
    /// Rule for a column that no rule matches.
    pub default: ContentDefault,
    /// SQL condition on raw rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row_filter: Option<String>,
    /// The row filter is a department's or district's own territory, and taints no grade.
    #[serde(default)]
    pub jurisdiction: bool,
    /// Rules for columns; all that match a column intersect.
    pub columns: Vec<ColumnRule>,
}

words! {
    /// The rule for a column that no rule matches.
    ContentDefault, "default" {
        /// It may not be used.
        Deny = "deny",
    }
}

/// The uses, mask and bounds of the columns that match.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ColumnRule {
    /// The columns that the rule is about.
    #[serde(rename = "match")]
    pub matches: ColumnMatch,
    /// Uses.
    pub uses: BTreeSet<Use>,
    /// Mask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask: Option<MaskForm>,
    /// The grade once the mask has been applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grade_after: Option<String>,
    /// Range that contributions are clamped to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<Range>,
    /// Width of the bins at whose edges the column may be filtered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bins: Option<Fixed>,
}

/// The columns that a rule is about; every field given must match.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ColumnMatch {
    /// Role.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// Semantic type.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub semantic: Option<Semantic>,
    /// Name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<ColumnName>,
    /// Grade.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grade: Option<String>,
}

/// The form and the controls with which the result may leave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Method {
    /// Form in which the result may leave.
    pub release: Release,
    /// Aggregate functions.
    #[serde(default)]
    pub functions: BTreeSet<Function>,
    /// Controls on every cell, besides the floor of the grade.
    #[serde(default, skip_serializing_if = "ControlsForm::is_empty")]
    pub controls: ControlsForm,
    /// Most rows of one subject that a count by subject distinguishes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_rows_per_subject: Option<u32>,
    /// Most groups of a question in which one subject counts, where it is answered by differential privacy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_groups_per_subject: Option<u32>,
    /// Budget of differential privacy; a dataset whose policy has one answers every question by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub privacy_budget: Option<PrivacyBudget>,
    /// Quota of released cells and of queries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<Quota>,
    /// Number of reviewers who see a result before it leaves.
    #[serde(default)]
    pub review: Review,
    /// Time for which results are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention: Option<Retention>,
}

/// Quota of released cells and of queries.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Quota {
    /// Released cells as a share of the published number of subjects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cells_share: Option<Fixed>,
    /// Queries a day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queries_per_day: Option<u32>,
}

/// The time for which results are kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Retention {
    /// Days.
    pub result_days: u32,
}

/// A question with a known answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyTest {
    /// Name.
    pub name: String,
    /// The person who asks, and the purpose.
    #[serde(rename = "as")]
    pub person: TestPerson,
    /// The query.
    pub sql: String,
    /// Outcome that the test requires.
    pub expect: Expectation,
    /// Code of the refusal that must come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
}

/// The person who asks in a test, and the purpose.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TestPerson {
    /// Role.
    pub role: PersonRole,
    /// Department.
    pub department: Code,
    /// District.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub district: Option<Code>,
    /// Purpose.
    pub purpose: Code,
}

words! {
    /// The outcome that a test requires.
    Expectation, "expectation" {
        /// The query is admitted.
        Admitted = "admitted",
        /// The query is refused.
        Refused = "refused",
    }
}

impl Hours {
    /// Makes hours from minutes since midnight, if the beginning lies before the end and the end within the day.
    #[must_use]
    pub fn new(from_minute: u16, until_minute: u16) -> Option<Self> {
        (from_minute < until_minute && until_minute <= 1_440).then_some(Self { from_minute, until_minute })
    }

    /// True if these hours lie within others.
    pub(crate) const fn lies_within(self, other: Self) -> bool {
        other.from_minute <= self.from_minute && self.until_minute <= other.until_minute
    }

    /// True if a minute of the day lies within.
    #[must_use]
    pub const fn covers(self, minute: u16) -> bool {
        self.from_minute <= minute && minute < self.until_minute
    }
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, until) = (self.from_minute, self.until_minute);
        write!(f, "{:02}:{:02}-{:02}:{:02}", from / 60, from % 60, until / 60, until % 60)
    }
}

impl FromStr for Hours {
    type Err = WordError;

    fn from_str(text: &str) -> Result<Self, WordError> {
        let parsed = text.split_once('-').and_then(|(from, until)| Self::new(minute(from)?, minute(until)?));
        parsed.ok_or_else(|| WordError::new("hours", text, &[Phrase::Hours.english()]))
    }
}

text_form!(Hours);

fn minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let is_two_digits = |part: &str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
    if !is_two_digits(hour) || !is_two_digits(minute) {
        return None;
    }
    let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
    (hour <= 24 && minute < 60).then_some(hour * 60 + minute)
}

impl<T: Serialize> Serialize for AnyOr<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Any => serializer.serialize_str("any"),
            Self::Only(list) => list.serialize(serializer),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for AnyOr<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyOrVisitor<T>(std::marker::PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for AnyOrVisitor<T> {
            type Value = AnyOr<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(Phrase::AnyOrList.english())
            }

            fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<AnyOr<T>, E> {
                if value == "any" { Ok(AnyOr::Any) } else { Err(E::custom(Phrase::NotAnyOrList)) }
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<AnyOr<T>, A::Error> {
                let mut list = Vec::new();
                while let Some(value) = seq.next_element()? {
                    list.push(value);
                }
                Ok(AnyOr::Only(list))
            }
        }

        deserializer.deserialize_any(AnyOrVisitor(std::marker::PhantomData))
    }
}

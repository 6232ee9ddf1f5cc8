//! The documents of the policy language as types: what stewards, compliance and operators write down.
//! Each type is the promised format of its kind; whether its references hold is the `library`'s business.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;
use sha2::Digest;
use sha2::Sha256;

use crate::day::Day;
use crate::effective::PolicySource;
use crate::vocabulary::Code;
use crate::vocabulary::DatasetId;
use crate::vocabulary::Text;
use crate::words::WordError;
use crate::words::text_form;
use crate::words::words;

mod application;
mod controls;
mod dataset;
mod department;
mod exception;
mod grant;
mod mask_form;
mod policy;
mod purpose;
mod schema;
mod scheme;
mod units;

pub use application::Application;
pub use application::Parameter;
pub use controls::ControlsForm;
pub use controls::CubesForm;
pub use controls::DominanceForm;
pub use controls::PerturbationForm;
pub use controls::RoundingForm;
pub use controls::SubjectsMin;
pub use dataset::Column;
pub use dataset::ColumnOf;
pub use dataset::Dataset;
pub use dataset::Layout;
pub use dataset::Opening;
pub use dataset::Range;
pub use dataset::Sharing;
pub use dataset::TypeWord;
pub use dataset::Update;
pub use dataset::UsualRowsIn;
pub use department::Department;
pub use department::DepartmentLevel;
pub use exception::Approver;
pub use exception::Exception;
pub use grant::Grant;
pub use grant::GrantedDataset;
pub use mask_form::DateShiftForm;
pub use mask_form::FormatForm;
pub use mask_form::FormatWord;
pub use mask_form::MaskForm;
pub use mask_form::OnShort;
pub use mask_form::PartialForm;
pub use mask_form::TopBottomForm;
pub use policy::AnyOr;
pub use policy::ColumnMatch;
pub use policy::ColumnRule;
pub use policy::Condition;
pub use policy::Content;
pub use policy::ContentDefault;
pub use policy::Expectation;
pub use policy::Hours;
pub use policy::JoinRule;
pub use policy::Method;
pub use policy::Object;
pub use policy::Policy;
pub use policy::PolicyTest;
pub use policy::PrivacyBudget;
pub use policy::Quota;
pub use policy::Resources;
pub use policy::Retention;
pub use policy::Subjects;
pub use policy::TestPerson;
pub use purpose::LegalBasis;
pub use purpose::Purpose;
pub use schema::schema;
pub use schema::schema_of_any;
pub use scheme::Crosswalk;
pub use scheme::FloorForm;
pub use scheme::GradeScheme;
pub use scheme::Registration;
pub use scheme::SchemeLevel;
pub use units::Unit;
pub use units::Units;

/// The one version of the document format.
pub const API_VERSION: &str = "obscura/v1";

/// The format version that every document begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ApiVersion;

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(API_VERSION)
    }
}

impl FromStr for ApiVersion {
    type Err = WordError;

    fn from_str(text: &str) -> Result<Self, WordError> {
        if text == API_VERSION { Ok(Self) } else { Err(WordError::new("api_version", text, &[API_VERSION])) }
    }
}

text_form!(ApiVersion);

words! {
    /// The kinds of documents.
    Kind, "kind" {
        /// Grades of one standard.
        GradeScheme = "GradeScheme",
        /// A node of the tree of departments.
        Department = "Department",
        /// Facts about the data.
        Dataset = "Dataset",
        /// Rules for data.
        Policy = "Policy",
        /// A purpose that data is used for.
        Purpose = "Purpose",
        /// One permission.
        Grant = "Grant",
        /// A way below a floor.
        Exception = "Exception",
        /// A saved query.
        Application = "Application",
    }
}

/// Declares the word that marks documents of one kind.
macro_rules! kind_tag {
    ($name:ident, $kind:ident) => {
        /// The `kind` of these documents.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub struct $name;

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str($crate::document::Kind::$kind.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::words::WordError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let word = $crate::document::Kind::$kind.as_str();
                if text == word {
                    Ok(Self)
                } else {
                    Err($crate::words::WordError::new("kind", text, &[word]))
                }
            }
        }

        $crate::words::text_form!($name);

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                let word = $crate::document::Kind::$kind.as_str();
                schemars::json_schema!({"type": "string", "const": word})
            }
        }
    };
}

kind_tag!(GradeSchemeKind, GradeScheme);
kind_tag!(DepartmentKind, Department);
kind_tag!(DatasetKind, Dataset);
kind_tag!(PolicyKind, Policy);
kind_tag!(PurposeKind, Purpose);
kind_tag!(GrantKind, Grant);
kind_tag!(ExceptionKind, Exception);
kind_tag!(ApplicationKind, Application);

/// Identity of a document; a published version never changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Metadata_{Id}")]
pub struct Metadata<Id = Code> {
    /// Identifier within the kind.
    pub id: Id,
    /// Version, from 1.
    pub version: u32,
    /// Title.
    pub title: Text,
}

/// First and last day of validity; a missing end is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Validity {
    /// First day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Day>,
    /// Last day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Day>,
}

impl Validity {
    /// True if the day lies within.
    #[must_use]
    pub fn covers(&self, day: Day) -> bool {
        self.from.is_none_or(|from| from <= day) && self.until.is_none_or(|until| day <= until)
    }
}

/// Any document.
#[derive(Debug, Clone, PartialEq)]
pub enum Document {
    /// Grades of one standard.
    GradeScheme(GradeScheme),
    /// A node of the tree of departments.
    Department(Department),
    /// Facts about the data.
    Dataset(Box<Dataset>),
    /// Rules for data.
    Policy(Box<Policy>),
    /// A purpose that data is used for.
    Purpose(Purpose),
    /// One permission.
    Grant(Grant),
    /// A way below a floor.
    Exception(Exception),
    /// A saved query.
    Application(Application),
}

impl Document {
    /// The kind.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::GradeScheme(_) => Kind::GradeScheme,
            Self::Department(_) => Kind::Department,
            Self::Dataset(_) => Kind::Dataset,
            Self::Policy(_) => Kind::Policy,
            Self::Purpose(_) => Kind::Purpose,
            Self::Grant(_) => Kind::Grant,
            Self::Exception(_) => Kind::Exception,
            Self::Application(_) => Kind::Application,
        }
    }

    /// Identifier within the kind.
    #[must_use]
    pub fn id(&self) -> String {
        match self {
            Self::GradeScheme(d) => d.metadata.id.to_string(),
            Self::Department(d) => d.metadata.id.to_string(),
            Self::Dataset(d) => dataset_id(&d.metadata).to_string(),
            Self::Policy(d) => d.metadata.id.to_string(),
            Self::Purpose(d) => d.metadata.id.to_string(),
            Self::Grant(d) => d.metadata.id.to_string(),
            Self::Exception(d) => d.metadata.id.to_string(),
            Self::Application(d) => d.metadata.id.to_string(),
        }
    }

    /// Version.
    #[must_use]
    pub const fn version(&self) -> u32 {
        match self {
            Self::GradeScheme(d) => d.metadata.version,
            Self::Department(d) => d.metadata.version,
            Self::Dataset(d) => d.metadata.version,
            Self::Policy(d) => d.metadata.version,
            Self::Purpose(d) => d.metadata.version,
            Self::Grant(d) => d.metadata.version,
            Self::Exception(d) => d.metadata.version,
            Self::Application(d) => d.metadata.version,
        }
    }

    /// Title.
    #[must_use]
    pub const fn title(&self) -> &Text {
        match self {
            Self::GradeScheme(d) => &d.metadata.title,
            Self::Department(d) => &d.metadata.title,
            Self::Dataset(d) => &d.metadata.title,
            Self::Policy(d) => &d.metadata.title,
            Self::Purpose(d) => &d.metadata.title,
            Self::Grant(d) => &d.metadata.title,
            Self::Exception(d) => &d.metadata.title,
            Self::Application(d) => &d.metadata.title,
        }
    }

    /// Identity for verdicts and the audit log; the hash is over the canonical JSON form.
    ///
    /// # Errors
    /// The document cannot be written as JSON.
    pub fn source(&self) -> Result<PolicySource, PrintError> {
        let digest = Sha256::digest(self.to_canonical_json()?.as_bytes());
        let sha256 = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(PolicySource { id: self.id(), version: self.version(), sha256 })
    }

    /// The canonical JSON form (RFC 8785).
    ///
    /// # Errors
    /// The document cannot be written as JSON.
    pub fn to_canonical_json(&self) -> Result<String, PrintError> {
        let print_error = |e: serde_json::Error| PrintError(e.to_string());
        match self {
            Self::Policy(policy) if policy.method.controls.is_empty() => {
                // Hashes are of the form that names the controls even where there are none. Others are kept in the log.
                let mut value = serde_json::to_value(policy).map_err(print_error)?;
                if let Some(method) = value.get_mut("method").and_then(serde_json::Value::as_object_mut) {
                    method.insert("controls".to_owned(), serde_json::Value::Object(serde_json::Map::new()));
                }
                serde_json_canonicalizer::to_string(&value).map_err(print_error)
            }
            _ => serde_json_canonicalizer::to_string(self).map_err(print_error),
        }
    }

    /// The YAML form.
    ///
    /// # Errors
    /// The document cannot be written as YAML.
    pub fn to_yaml(&self) -> Result<String, PrintError> {
        serde_saphyr::to_string(self).map_err(|e| PrintError(e.to_string()))
    }
}

/// A document could not be written down.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot write the document: {0}")]
pub struct PrintError(String);

fn dataset_id(metadata: &Metadata<DatasetId>) -> &DatasetId {
    &metadata.id
}

impl Serialize for Document {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::GradeScheme(d) => d.serialize(serializer),
            Self::Department(d) => d.serialize(serializer),
            Self::Dataset(d) => d.serialize(serializer),
            Self::Policy(d) => d.serialize(serializer),
            Self::Purpose(d) => d.serialize(serializer),
            Self::Grant(d) => d.serialize(serializer),
            Self::Exception(d) => d.serialize(serializer),
            Self::Application(d) => d.serialize(serializer),
        }
    }
}

#[cfg(test)]
mod tests;

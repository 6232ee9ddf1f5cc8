//! JSON Schemas of the documents, for editors: made from the types that parse them, so that both know the same fields.
//! A schema says what a document may look like; whether its references hold is the `library`'s business.

use std::borrow::Cow;

use schemars::JsonSchema;
use schemars::Schema;
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use schemars::json_schema;
use serde_json::Value;
use serde_json::json;

use crate::day::Day;
use crate::document::API_VERSION;
use crate::document::AnyOr;
use crate::document::ApiVersion;
use crate::document::Application;
use crate::document::Dataset;
use crate::document::Department;
use crate::document::Exception;
use crate::document::GradeScheme;
use crate::document::Grant;
use crate::document::Hours;
use crate::document::Kind;
use crate::document::PerturbationForm;
use crate::document::Policy;
use crate::document::Purpose;
use crate::document::SubjectsMin;
use crate::effective::DEVIATIONS;
use crate::fixed::Fixed;
use crate::month::Month;
use crate::vocabulary::CODE_BYTES_MAX;
use crate::vocabulary::Code;
use crate::vocabulary::ColumnName;
use crate::vocabulary::DatasetId;
use crate::vocabulary::Level;
use crate::vocabulary::Semantic;
use crate::vocabulary::Text;
use crate::vocabulary::UnitKind;

/// Returns the JSON Schema (draft 7, which every editor reads) of the documents of one kind.
#[must_use]
pub fn schema(kind: Kind) -> Value {
    let generator = SchemaSettings::draft07().into_generator();
    let schema = match kind {
        Kind::GradeScheme => generator.into_root_schema_for::<GradeScheme>(),
        Kind::Department => generator.into_root_schema_for::<Department>(),
        Kind::Dataset => generator.into_root_schema_for::<Dataset>(),
        Kind::Policy => generator.into_root_schema_for::<Policy>(),
        Kind::Purpose => generator.into_root_schema_for::<Purpose>(),
        Kind::Grant => generator.into_root_schema_for::<Grant>(),
        Kind::Exception => generator.into_root_schema_for::<Exception>(),
        Kind::Application => generator.into_root_schema_for::<Application>(),
    };
    schema.to_value()
}

/// Returns the JSON Schema of a file that holds documents of several kinds.
#[must_use]
pub fn schema_of_any() -> Value {
    SchemaSettings::draft07().into_generator().into_root_schema_for::<AnyDocument>().to_value()
}

/// A document of any kind.
struct AnyDocument;

impl JsonSchema for AnyDocument {
    fn schema_name() -> Cow<'static, str> {
        "Document".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let kinds = Kind::ALL.iter().map(|kind| match kind {
            Kind::GradeScheme => generator.subschema_for::<GradeScheme>(),
            Kind::Department => generator.subschema_for::<Department>(),
            Kind::Dataset => generator.subschema_for::<Dataset>(),
            Kind::Policy => generator.subschema_for::<Policy>(),
            Kind::Purpose => generator.subschema_for::<Purpose>(),
            Kind::Grant => generator.subschema_for::<Grant>(),
            Kind::Exception => generator.subschema_for::<Exception>(),
            Kind::Application => generator.subschema_for::<Application>(),
        });
        json_schema!({"anyOf": kinds.collect::<Vec<_>>()})
    }
}

/// Gives a type that is written as text its schema.
macro_rules! text_schema {
    ($name:ident, $schema:tt) => {
        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    };
}

/// The pattern of names that [`crate::vocabulary::is_sql_name`] accepts.
const NAME: &str = "^[a-z][a-z0-9_]{0,62}$";

text_schema!(ApiVersion, {"type": "string", "const": API_VERSION});
text_schema!(Level, {"type": "string", "pattern": "^L[1-9]$", "description": "Place on the common ladder of grades."});
text_schema!(Code, {
    "type": "string",
    "pattern": "^[a-z][a-z0-9]*(-[a-z0-9]+)*$",
    "maxLength": CODE_BYTES_MAX,
    "description": "A code: lower-case letters, digits and single `-`."
});
text_schema!(ColumnName, {"type": "string", "pattern": NAME, "description": "Name of a column in SQL."});
text_schema!(UnitKind, {"type": "string", "pattern": NAME, "description": "Kind of subject, such as `resident`.",
    "examples": ["resident", "enterprise"]});
text_schema!(Semantic, {"type": "string", "pattern": NAME, "description": "Meaning of the values.",
    "examples": Semantic::KNOWN});
text_schema!(DatasetId, {
    "type": "string",
    "pattern": "^[a-z][a-z0-9]*([_-][a-z0-9]+)*\\.[a-z][a-z0-9_]{0,62}$",
    "description": "A dataset: `department.name`, such as `hz-health.outpatient_visits`."
});
text_schema!(Month, {"type": "string", "pattern": "^[0-9]{4}-(0[1-9]|1[0-2])$", "description": "A month: `2027-12`."});
text_schema!(Day, {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$", "description": "A day: `2027-12-31`."});
text_schema!(Hours, {
    "type": "string",
    "pattern": "^[0-2][0-9]:[0-5][0-9]-[0-2][0-9]:[0-5][0-9]$",
    "description": "Hours of the day: `08:00-20:00`."
});
text_schema!(Fixed, {
    "type": ["number", "string"],
    "pattern": "^-?[0-9]*[.]?[0-9]*$",
    "description": "A decimal number with at most six places."
});
text_schema!(Text, {
    "type": "object",
    "description": "A text in Chinese, in English, or in both; one stands in for the other.",
    "properties": {"zh": {"type": ["string", "null"]}, "en": {"type": ["string", "null"]}},
    "additionalProperties": false,
    "minProperties": 1
});

impl JsonSchema for SubjectsMin {
    fn schema_name() -> Cow<'static, str> {
        "SubjectsMin".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A number of subjects, or numbers by unit such as `{resident: 10}`.",
            "anyOf": [
                generator.subschema_for::<u32>(),
                {
                    "type": "object",
                    "propertyNames": {"pattern": NAME},
                    "additionalProperties": generator.subschema_for::<u32>()
                }
            ]
        })
    }
}

impl JsonSchema for PerturbationForm {
    fn schema_name() -> Cow<'static, str> {
        "PerturbationForm".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Named noise: its deviation, such as `{deviation: 8}`, or `auto`.",
            "anyOf": [
                {"type": "string", "const": "auto"},
                {
                    "type": "object",
                    "properties": {
                        "deviation": {
                            "type": "integer",
                            "enum": DEVIATIONS,
                            "description": "Standard deviation of one draw, in subjects: 2, 3, 4, 6, 8, 12 or 16."
                        }
                    },
                    "required": ["deviation"],
                    "additionalProperties": false
                }
            ]
        })
    }
}

impl<T: JsonSchema> JsonSchema for AnyOr<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("AnyOr_{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Everything (`any`), or a list.",
            "anyOf": [
                {"type": "string", "const": "any"},
                {"type": "array", "items": generator.subschema_for::<T>()}
            ]
        })
    }
}

/// The schema of a mask: `redact`, or one of the masks with the parameter that belongs to it.
pub(super) fn mask_schema(fields: Schema) -> Schema {
    let masks: Vec<Value> = fields
        .get("properties")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .filter(|(name, _)| !matches!(name.as_str(), "level" | "top"))
        .map(|(name, _)| json!({"required": [name]}))
        .collect();
    let mut one = fields.to_value();
    if let Some(one) = one.as_object_mut() {
        one.insert("oneOf".to_owned(), Value::Array(masks));
        one.insert(
            "dependencies".to_owned(),
            json!({"hierarchy": ["level"], "level": ["hierarchy"], "top": ["bin_years"]}),
        );
    }
    json_schema!({
        "description": "A mask: `redact`, or one mask with its parameters, such as `{date_trunc: month}`.",
        "anyOf": [{"type": "string", "const": "redact"}, one]
    })
}

#[cfg(test)]
mod tests;

//! The privacy units of a dataset as documents write them: a list of units, or the word `none`.
//! It reads and writes their spelling; `library` decides if a dataset may go without units.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use schemars::JsonSchema;
use schemars::Schema;
use schemars::SchemaGenerator;
use schemars::json_schema;
use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::Serializer;
use serde::de::SeqAccess;
use serde::de::Visitor;

use crate::form::Phrase;
use crate::vocabulary::ColumnName;
use crate::vocabulary::UnitKind;

/// The word of a dataset that states that it has no units.
const NONE: &str = "none";

/// Privacy units: a list, or the word `none`, which states that there are none. Read as a slice, `none` is empty.
#[derive(Debug, Clone, PartialEq)]
pub enum Units {
    /// `none`: the department states that each row stands for itself.
    None,
    /// These. An empty list states nothing: its author may have forgotten them.
    Listed(Vec<Unit>),
}

/// A privacy unit of a dataset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Unit {
    /// Kind of subject.
    pub kind: UnitKind,
    /// The column that holds the subject's identifier before sealing.
    pub column: ColumnName,
    /// True if the subjects are protected; public institutions are not.
    #[serde(default = "yes")]
    pub protects: bool,
    /// Reason why the subjects are not protected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

const fn yes() -> bool {
    true
}

impl Default for Units {
    fn default() -> Self {
        Self::Listed(Vec::new())
    }
}

impl Deref for Units {
    type Target = [Unit];

    fn deref(&self) -> &[Unit] {
        match self {
            Self::None => &[],
            Self::Listed(units) => units,
        }
    }
}

impl Serialize for Units {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::None => serializer.serialize_str(NONE),
            Self::Listed(units) => units.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Units {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct UnitsVisitor;

        impl<'de> Visitor<'de> for UnitsVisitor {
            type Value = Units;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(Phrase::Units.english())
            }

            fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Units, E> {
                if value == NONE { Ok(Units::None) } else { Err(E::custom(Phrase::NotUnits)) }
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Units, A::Error> {
                let mut units = Vec::new();
                while let Some(unit) = seq.next_element()? {
                    units.push(unit);
                }
                Ok(Units::Listed(units))
            }
        }

        deserializer.deserialize_any(UnitsVisitor)
    }
}

impl JsonSchema for Units {
    fn schema_name() -> Cow<'static, str> {
        "Units".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Privacy units, or `none` where each row stands for itself.",
            "anyOf": [
                {"type": "string", "const": NONE},
                {"type": "array", "items": generator.subschema_for::<Unit>()}
            ]
        })
    }
}

//! Output controls as documents write them.
//! Combining them is `combine`'s business; these are only their spelling.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::de::MapAccess;
use serde::de::Visitor;
use serde::de::value::MapAccessDeserializer;
use serde::ser::SerializeMap;

use crate::fixed::Fixed;
use crate::form::Phrase;
use crate::vocabulary::ColumnName;
use crate::vocabulary::Epoch;
use crate::vocabulary::UnitKind;

/// Output controls.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ControlsForm {
    /// Fewest subjects that a cell must rest on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subjects_min: Option<SubjectsMin>,
    /// Dominance rule for sums.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dominance: Option<DominanceForm>,
    /// Rounding of counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rounding: Option<RoundingForm>,
    /// Named noise of counts and sums.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub perturbation: Option<PerturbationForm>,
    /// Columns that may meet in one number with noise, beside one secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cubes: Option<CubesForm>,
    /// The interval at which a newer version of the data opens to analysts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<Epoch>,
    /// Most that an inherited sum may be off before it is suppressed, as a share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tolerance: Option<Fixed>,
    /// Most cells one statement may release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cells_max: Option<u32>,
}

impl ControlsForm {
    /// True if no control is named.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A threshold for all kinds of subjects, or one for each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum SubjectsMin {
    /// The same for all.
    All(u32),
    /// By kind; a kind that is not named has the largest.
    ByUnit(BTreeMap<UnitKind, u32>),
}

/// The (n, k) and p% rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DominanceForm {
    /// Number of the largest contributors that are taken together.
    pub n: u8,
    /// Most that they may hold, as a share with at most three places.
    pub share_max: Fixed,
    /// p of the p% rule.
    pub p_percent: u16,
}

/// Rounding of counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RoundingForm {
    /// Counts become multiples of this.
    pub base: u32,
}

/// Columns that may meet in one number with noise, beside one measure or sensitive column: by their number, by name, or both.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CubesForm {
    /// Most dimensions and quasi-identifiers of one number, and secrets but for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns_max: Option<u32>,
    /// The columns of one number are all in one of these sets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sets: Option<Vec<Vec<ColumnName>>>,
}

/// Named noise (`sandbox/docs/disclosure-model.md`, section 5.8): its deviation, or the word that leaves the choice to the
/// program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PerturbationForm {
    /// `{deviation: 8}`
    Deviation(u32),
    /// `auto`: the least deviation that keeps the exposure of the opened columns.
    Auto,
}

/// The word for a deviation that the program chooses.
const AUTO: &str = "auto";

/// The fields of named noise with a stated deviation.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PerturbationFields {
    deviation: u32,
}

impl<'de> Deserialize<'de> for SubjectsMin {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SubjectsMinVisitor;

        impl<'de> Visitor<'de> for SubjectsMinVisitor {
            type Value = SubjectsMin;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(Phrase::Subjects.english())
            }

            fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<SubjectsMin, E> {
                u32::try_from(value).map(SubjectsMin::All).map_err(|_| E::custom(Phrase::TooManySubjects))
            }

            fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<SubjectsMin, E> {
                u32::try_from(value).map(SubjectsMin::All).map_err(|_| E::custom(Phrase::NotSubjects))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<SubjectsMin, A::Error> {
                let mut by_unit = BTreeMap::new();
                while let Some((unit, subjects)) = map.next_entry::<UnitKind, u32>()? {
                    by_unit.insert(unit, subjects);
                }
                Ok(SubjectsMin::ByUnit(by_unit))
            }
        }

        deserializer.deserialize_any(SubjectsMinVisitor)
    }
}

impl<'de> Deserialize<'de> for PerturbationForm {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PerturbationVisitor;

        impl<'de> Visitor<'de> for PerturbationVisitor {
            type Value = PerturbationForm;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(Phrase::Perturbation.english())
            }

            fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<PerturbationForm, E> {
                if value == AUTO {
                    Ok(PerturbationForm::Auto)
                } else {
                    Err(E::custom(Phrase::NotAPerturbation))
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<PerturbationForm, A::Error> {
                let fields = PerturbationFields::deserialize(MapAccessDeserializer::new(map))?;
                Ok(PerturbationForm::Deviation(fields.deviation))
            }
        }

        deserializer.deserialize_any(PerturbationVisitor)
    }
}

impl Serialize for PerturbationForm {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str(AUTO),
            Self::Deviation(deviation) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry("deviation", deviation)?;
                map.end()
            }
        }
    }
}

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

use crate::fixed::Fixed;
use crate::form::Phrase;
use crate::vocabulary::Code;
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
    /// Cell-key noise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub perturbation: Option<PerturbationForm>,
    /// Most that an inherited sum may be off before it is suppressed, as a share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tolerance: Option<Fixed>,
    /// Most cells one statement may release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cells_max: Option<u32>,
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

/// Cell-key noise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PerturbationForm {
    /// Name of the noise table.
    pub cell_key: Code,
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

//! Masks as documents write them: `redact`, or a map that names one mask and its parameters.
//! A form becomes a [`crate::mask::Mask`] when the library resolves it against a column.

use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::de::MapAccess;
use serde::de::Visitor;
use serde::de::value::MapAccessDeserializer;
use serde::ser::SerializeMap;

use crate::day::DatePart;
use crate::document::schema::mask_schema;
use crate::fixed::Fixed;
use crate::form::Phrase;
use crate::vocabulary::Code;
use crate::vocabulary::UnitKind;
use crate::words::words;

/// A mask as documents write it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MaskForm {
    /// `redact`
    Redact,
    /// `{partial: {keep_first: 3, keep_last: 4, on_short: redact}}`
    Partial(PartialForm),
    /// `{token: domain}`
    Token(Code),
    /// `{bin: 100}`
    Bin(Fixed),
    /// `{bin_years: 5, top: 90}`
    BinYears {
        /// Years in a band.
        years: u8,
        /// Age from which all share one band.
        top: Option<u8>,
    },
    /// `{date_trunc: month}`
    DateTrunc(DatePart),
    /// `{date_shift: {per: resident, days_max: 30}}`
    DateShift(DateShiftForm),
    /// `{hierarchy: cn-admin, level: district}`
    Hierarchy {
        /// Name of the hierarchy.
        name: Code,
        /// Name of the level.
        level: Code,
    },
    /// `{top_bottom: {bottom: 0, top: 100}}`
    TopBottom(TopBottomForm),
    /// `{round: 10}`
    Round(Fixed),
    /// `{format_preserving: {form: mobile, domain: x}}`
    FormatPreserving(FormatForm),
}

/// Parameters of `partial`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PartialForm {
    /// Characters kept at the beginning.
    #[serde(default)]
    pub keep_first: u8,
    /// Characters kept at the end.
    #[serde(default)]
    pub keep_last: u8,
    /// Treatment of a value that is too short.
    #[serde(default)]
    pub on_short: OnShort,
}

/// Parameters of `date_shift`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DateShiftForm {
    /// Kind of subject whose dates move together.
    pub per: UnitKind,
    /// Largest move in either direction.
    #[serde(default = "days_max_default")]
    pub days_max: u16,
}

/// Parameters of `top_bottom`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TopBottomForm {
    /// Smallest value shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bottom: Option<Fixed>,
    /// Largest value shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top: Option<Fixed>,
}

/// Parameters of `format_preserving`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FormatForm {
    /// Form of the values.
    pub form: FormatWord,
    /// Number of digits, for `digits`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<u8>,
    /// Domain that separates pseudonyms of different uses.
    pub domain: Code,
}

words! {
    /// Treatment of a value that is too short for its mask.
    #[derive(Default)]
    OnShort, "on_short" {
        /// It becomes missing.
        #[default]
        Redact = "redact",
    }
}

words! {
    /// Form of the values of a format-preserving mask.
    FormatWord, "form" {
        /// A number of digits.
        Digits = "digits",
        /// A mobile number.
        Mobile = "mobile",
        /// A bank card number.
        BankCard = "bank_card",
        /// A resident identity number.
        ResidentId = "resident_id",
        /// A unified social credit code.
        Uscc = "uscc",
    }
}

const fn days_max_default() -> u16 {
    30
}

/// All fields that any mask has; exactly one of the masks may be named.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct MaskFields {
    /// Keeps characters at the beginning and the end.
    partial: Option<PartialForm>,
    /// A keyed token; names the domain within which equal values have equal tokens.
    token: Option<Code>,
    /// The lower edge of the bin; says how wide bins are.
    bin: Option<Fixed>,
    /// Completed years in bands; says how many years a band has.
    bin_years: Option<u8>,
    /// The beginning of a period.
    date_trunc: Option<DatePart>,
    /// Dates moved by a keyed number of days.
    date_shift: Option<DateShiftForm>,
    /// A coarser value of a hierarchy; names it, and needs `level`.
    hierarchy: Option<Code>,
    /// Values beyond the edges become the edges.
    top_bottom: Option<TopBottomForm>,
    /// Rounded to a multiple of this.
    round: Option<Fixed>,
    /// A pseudonym of the same form.
    format_preserving: Option<FormatForm>,
    /// Level of the hierarchy.
    level: Option<Code>,
    /// Age from which all share one band of `bin_years`.
    top: Option<u8>,
}

impl MaskFields {
    /// The one mask that is named.
    fn into_form(self) -> Result<MaskForm, Phrase> {
        let (level, top) = (self.level, self.top);
        let has_level = level.is_some();
        let mut forms = Vec::new();
        forms.extend(self.partial.map(MaskForm::Partial));
        forms.extend(self.token.map(MaskForm::Token));
        forms.extend(self.bin.map(MaskForm::Bin));
        forms.extend(self.bin_years.map(|years| MaskForm::BinYears { years, top }));
        forms.extend(self.date_trunc.map(MaskForm::DateTrunc));
        forms.extend(self.date_shift.map(MaskForm::DateShift));
        if let Some(name) = self.hierarchy {
            let level = level.ok_or(Phrase::LevelMissing)?;
            forms.push(MaskForm::Hierarchy { name, level });
        }
        forms.extend(self.top_bottom.map(MaskForm::TopBottom));
        forms.extend(self.round.map(MaskForm::Round));
        forms.extend(self.format_preserving.map(MaskForm::FormatPreserving));
        let (Some(form), true) = (forms.pop(), forms.is_empty()) else {
            return Err(Phrase::NotAMask);
        };
        if has_level && !matches!(form, MaskForm::Hierarchy { .. }) {
            return Err(Phrase::LevelAlone);
        }
        if top.is_some() && !matches!(form, MaskForm::BinYears { .. }) {
            return Err(Phrase::TopAlone);
        }
        Ok(form)
    }
}

impl<'de> Deserialize<'de> for MaskForm {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MaskVisitor;

        impl<'de> Visitor<'de> for MaskVisitor {
            type Value = MaskForm;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(Phrase::Mask.english())
            }

            fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<MaskForm, E> {
                if value == "redact" { Ok(MaskForm::Redact) } else { Err(E::custom(Phrase::UnknownMask)) }
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<MaskForm, A::Error> {
                let fields = MaskFields::deserialize(MapAccessDeserializer::new(map))?;
                fields.into_form().map_err(serde::de::Error::custom)
            }
        }

        deserializer.deserialize_any(MaskVisitor)
    }
}

impl JsonSchema for MaskForm {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Mask".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        mask_schema(MaskFields::json_schema(generator))
    }
}

impl Serialize for MaskForm {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if *self == Self::Redact {
            return serializer.serialize_str("redact");
        }
        let mut map = serializer.serialize_map(None)?;
        match self {
            Self::Redact => {}
            Self::Partial(form) => map.serialize_entry("partial", form)?,
            Self::Token(domain) => map.serialize_entry("token", domain)?,
            Self::Bin(width) => map.serialize_entry("bin", width)?,
            Self::BinYears { years, top } => {
                map.serialize_entry("bin_years", years)?;
                if let Some(top) = top {
                    map.serialize_entry("top", top)?;
                }
            }
            Self::DateTrunc(part) => map.serialize_entry("date_trunc", part)?,
            Self::DateShift(form) => map.serialize_entry("date_shift", form)?,
            Self::Hierarchy { name, level } => {
                map.serialize_entry("hierarchy", name)?;
                map.serialize_entry("level", level)?;
            }
            Self::TopBottom(form) => map.serialize_entry("top_bottom", form)?,
            Self::Round(step) => map.serialize_entry("round", step)?,
            Self::FormatPreserving(form) => map.serialize_entry("format_preserving", form)?,
        }
        map.end()
    }
}

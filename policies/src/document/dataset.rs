//! Datasets: facts that a department states about its data.
//! Facts that are measured on the sealed data (uniqueness, clustering) are in the signed manifest.

use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;

use crate::document::ApiVersion;
use crate::document::DatasetKind;
use crate::document::Metadata;
use crate::document::Unit;
use crate::document::Units;
use crate::fixed::Fixed;
use crate::month::Months;
use crate::vocabulary::Code;
use crate::vocabulary::ColumnName;
use crate::vocabulary::DataType;
use crate::vocabulary::DatasetId;
use crate::vocabulary::Role;
use crate::vocabulary::Semantic;
use crate::vocabulary::Text;
use crate::vocabulary::UnitKind;
use crate::words::words;

/// Facts about the data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dataset {
    /// Format version.
    pub api_version: ApiVersion,
    /// `Dataset`.
    pub kind: DatasetKind,
    /// Identity; the identifier is `department.name`.
    pub metadata: Metadata<DatasetId>,
    /// The department that answers for the data.
    pub department: Code,
    /// The grade scheme that the grades are words of.
    pub scheme: Code,
    /// Grade of the fact that somebody is in the dataset; the strictest of the columns if missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub membership: Option<String>,
    /// Privacy units; the first is the one the sealed file is clustered by.
    #[serde(default)]
    pub units: Units,
    /// Reason why there are no units, with `units: none`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub units_reason: Option<String>,
    /// Order of rows in the sealed file; clustered if missing and a unit is protected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layout: Option<Layout>,
    /// Rows that a subject usually has: the scale of the noise of counts of rows, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usual_rows: Option<u32>,
    /// Terms on which the data may be opened to the public.
    pub opening: Opening,
    /// Terms on which other departments may use it.
    pub sharing: Sharing,
    /// Frequency of its updates.
    #[serde(default)]
    pub update: Update,
    /// The time that the data is about, as the department states it: no date of a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub covers: Option<Months>,
    /// The basic or thematic library it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collection: Option<Code>,
    /// Free tags.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Description of the data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Text>,
    /// Columns, in order.
    pub columns: Vec<Column>,
}

/// A column of a dataset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// Name in SQL.
    pub name: ColumnName,
    /// Title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<Text>,
    /// Physical type.
    #[serde(rename = "type")]
    pub data_type: TypeWord,
    /// Decimal places, for decimals and for measures inside sums.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<u8>,
    /// Role.
    pub role: Role,
    /// The scheme's word for the grade; the strictest if missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grade: Option<String>,
    /// Meaning of the values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub semantic: Option<Semantic>,
    /// Smallest and largest value of a measure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<Range>,
    /// Width of the bins at whose edges a measure may be filtered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bins: Option<Fixed>,
    /// Usual contribution of a subject, as the department states it and not from the data: the scale of the noise of sums.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usual: Option<Fixed>,
    /// Rows that a subject usually has in one month and on one day of the column: the scale of the noise of numbers about such a
    /// time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usual_rows: Option<UsualRowsIn>,
    /// All values that occur.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<Vec<String>>,
    /// The open column whose values are all that occur: codes of a table that everybody may have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain_of: Option<ColumnOf>,
    /// Codes whose prefixes mean something.
    #[serde(default, skip_serializing_if = "is_no")]
    pub coded: bool,
}

/// Rows that a subject usually has in a span of time, as the department states it and not from the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UsualRowsIn {
    /// In one month, from 1.
    pub month: u32,
    /// On one day, from 1.
    pub day: u32,
}

/// A column of a dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ColumnOf {
    /// The dataset.
    pub dataset: DatasetId,
    /// The column's name in SQL.
    pub column: ColumnName,
}

/// Smallest and largest value, written `[0, 50000]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Range(pub Fixed, pub Fixed);

words! {
    /// Physical type of a column, without its parameters.
    TypeWord, "type" {
        /// Text.
        Text = "text",
        /// Whole number.
        Int = "int",
        /// Decimal.
        Decimal = "decimal",
        /// Floating point.
        Float = "float",
        /// Calendar day.
        Date = "date",
        /// Date and time.
        Timestamp = "timestamp",
        /// True or false.
        Bool = "bool",
    }
}

words! {
    /// Order of rows in the sealed file.
    Layout, "layout" {
        /// All rows of one subject lie together.
        Clustered = "clustered",
        /// As the rows came.
        Arrival = "arrival",
    }
}

words! {
    /// Terms on which the data may be opened to the public.
    Opening, "opening attribute" {
        /// To everybody.
        Unconditional = "unconditional",
        /// Under conditions.
        Limited = "limited",
        /// Not at all; the dataset is hidden from those without a grant.
        Prohibited = "prohibited",
    }
}

words! {
    /// Terms on which other departments may use the data.
    Sharing, "sharing attribute" {
        /// They may.
        Unconditional = "unconditional",
        /// Under conditions.
        Conditional = "conditional",
        /// They may not.
        None = "none",
    }
}

words! {
    /// Frequency of the data's updates.
    #[derive(Default)]
    Update, "update frequency" {
        /// As it happens.
        Realtime = "realtime",
        /// Every hour.
        Hourly = "hourly",
        /// Every day.
        Daily = "daily",
        /// Every week.
        Weekly = "weekly",
        /// Every month.
        Monthly = "monthly",
        /// Every quarter.
        Quarterly = "quarterly",
        /// Every year.
        Yearly = "yearly",
        /// Now and then.
        #[default]
        Irregular = "irregular",
        /// Never again.
        Never = "never",
    }
}

/// Decimal places of a measure inside sums when none are declared.
const SUM_SCALE_DEFAULT: u8 = 4;

impl Dataset {
    /// One column by name.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name.as_str() == name)
    }

    /// Order of rows in the sealed file.
    #[must_use]
    pub fn row_layout(&self) -> Layout {
        let is_protected = self.units.iter().any(|unit| unit.protects);
        self.layout.unwrap_or(if is_protected { Layout::Clustered } else { Layout::Arrival })
    }

    /// The unit whose key a column is.
    #[must_use]
    pub fn unit_of(&self, column: &ColumnName) -> Option<&Unit> {
        self.units.iter().find(|unit| unit.column == *column)
    }

    /// The role that the rules see: the key of a unit that is not protected is a dimension.
    #[must_use]
    pub fn role_of(&self, column: &Column) -> Role {
        match self.unit_of(&column.name) {
            Some(unit) if !unit.protects => Role::Dimension,
            _ => column.role,
        }
    }

    /// True if the dataset carries protected subjects of this kind.
    #[must_use]
    pub fn carries(&self, kind: &UnitKind) -> bool {
        self.units.iter().any(|unit| unit.protects && unit.kind == *kind)
    }
}

impl Column {
    /// The physical type with its parameters.
    #[must_use]
    pub fn physical_type(&self) -> DataType {
        match self.data_type {
            TypeWord::Text => DataType::Text,
            TypeWord::Int => DataType::Int,
            TypeWord::Decimal => DataType::Decimal { scale: self.scale.unwrap_or(0) },
            TypeWord::Float => DataType::Float,
            TypeWord::Date => DataType::Date,
            TypeWord::Timestamp => DataType::Timestamp,
            TypeWord::Bool => DataType::Bool,
        }
    }

    /// Decimal places that a measure is kept at inside sums.
    #[must_use]
    pub fn sum_scale(&self) -> u8 {
        let declared = self.scale.unwrap_or(SUM_SCALE_DEFAULT);
        match self.data_type {
            TypeWord::Int => 0,
            TypeWord::Decimal => self.scale.unwrap_or(0),
            TypeWord::Float => declared,
            TypeWord::Text | TypeWord::Date | TypeWord::Timestamp | TypeWord::Bool => 0,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
const fn is_no(value: &bool) -> bool {
    !*value
}

//! The words that every document and every rule shares: grades, roles, uses, types, functions, identifiers.
//! It holds no rule about them beyond their order and their spelling.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::Serializer;
use serde::de::Error as _;

use crate::day::DatePart;
use crate::day::Day;
use crate::form::Phrase;
use crate::words::WordError;
use crate::words::text_form;
use crate::words::words;

/// A grade on the common ladder that all schemes are mapped to: 1 is the most open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Level(pub u8);

impl Level {
    /// Highest level that a scheme may map to.
    pub const MAX: u8 = 9;
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "L{}", self.0)
    }
}

impl FromStr for Level {
    type Err = WordError;

    fn from_str(text: &str) -> Result<Self, WordError> {
        let level = text.strip_prefix('L').filter(|d| d.len() == 1).and_then(|d| d.parse().ok());
        match level {
            Some(level @ 1..=Self::MAX) => Ok(Self(level)),
            _ => Err(WordError::new("level", text, &["L1", "L2", "L3", "L4", "... L9"])),
        }
    }
}

text_form!(Level);

/// An identifier that is not spelt as documents require.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {accepted}")]
pub struct IdentifierError {
    text: String,
    accepted: Phrase,
}

impl IdentifierError {
    /// Makes the error for a text that does not have one of the [`Self::FORMS`].
    fn new(text: &str, accepted: Phrase) -> Self {
        Self { text: text.chars().take(64).collect(), accepted }
    }

    /// The same in Chinese.
    #[must_use]
    pub fn chinese(&self) -> String {
        format!("`{}` 不是有效的{}", self.text, self.accepted.chinese())
    }

    /// The Chinese of such an error, found by its English text.
    pub(crate) fn chinese_of(message: &str) -> Option<String> {
        Self::FORMS.iter().find_map(|form| {
            let text = message.strip_suffix(form.english())?.strip_suffix(" is not ")?;
            Some(format!("{text} 不是有效的{}", form.chinese()))
        })
    }

    /// The forms that identifiers have.
    const FORMS: [Phrase; 3] = [Phrase::Code, Phrase::Name, Phrase::Dataset];
}

/// Longest code, in bytes.
pub const CODE_BYTES_MAX: usize = 64;

/// True if the text is a code: lower-case kebab case.
#[must_use]
pub fn is_code(text: &str) -> bool {
    let starts = text.bytes().next().is_some_and(|b| b.is_ascii_lowercase());
    let allowed = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    starts && allowed && !text.ends_with('-') && !text.contains("--") && text.len() <= CODE_BYTES_MAX
}

/// True if the text is a name that SQL reads without quotes: lower snake case.
#[must_use]
pub fn is_sql_name(text: &str) -> bool {
    let starts = text.bytes().next().is_some_and(|b| b.is_ascii_lowercase());
    starts
        && text.len() <= 63
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

/// Identifier of a dataset: `department.name`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DatasetId {
    department: String,
    name: String,
}

impl DatasetId {
    /// The department's code.
    #[must_use]
    pub fn department(&self) -> &str {
        &self.department
    }

    /// The name within the department.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name of the department in SQL (`-` becomes `_`).
    #[must_use]
    pub fn sql_schema(&self) -> String {
        self.department.replace('-', "_")
    }

    /// The name in SQL: `hz_health.outpatient_visits`.
    #[must_use]
    pub fn sql_name(&self) -> String {
        format!("{}.{}", self.sql_schema(), self.name)
    }
}

impl fmt::Display for DatasetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.department, self.name)
    }
}

impl FromStr for DatasetId {
    type Err = IdentifierError;

    /// Reads `hz-health.visits`, and `hz_health.visits` as SQL writes it: codes have no `_`, so that both are one dataset.
    fn from_str(text: &str) -> Result<Self, IdentifierError> {
        let malformed = || IdentifierError::new(text, Phrase::Dataset);
        let (department, name) = text.split_once('.').ok_or_else(malformed)?;
        let department = department.replace('_', "-");
        if !is_code(&department) || !is_sql_name(name) {
            return Err(malformed());
        }
        Ok(Self { department, name: name.to_owned() })
    }
}

text_form!(DatasetId);

/// A kind of protected subject, such as `resident` or `enterprise`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnitKind(pub String);

impl UnitKind {
    /// The word itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UnitKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for UnitKind {
    type Err = IdentifierError;

    fn from_str(text: &str) -> Result<Self, IdentifierError> {
        if is_sql_name(text) {
            Ok(Self(text.to_owned()))
        } else {
            Err(IdentifierError::new(text, Phrase::Name))
        }
    }
}

text_form!(UnitKind);

/// The code of a document, department, purpose, scheme or hierarchy.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(String);

impl Code {
    /// The code itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Code {
    type Err = IdentifierError;

    fn from_str(text: &str) -> Result<Self, IdentifierError> {
        if is_code(text) { Ok(Self(text.to_owned())) } else { Err(IdentifierError::new(text, Phrase::Code)) }
    }
}

text_form!(Code);

/// The name of a column.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ColumnName(String);

impl ColumnName {
    /// The name itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ColumnName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ColumnName {
    type Err = IdentifierError;

    fn from_str(text: &str) -> Result<Self, IdentifierError> {
        if is_sql_name(text) {
            Ok(Self(text.to_owned()))
        } else {
            Err(IdentifierError::new(text, Phrase::Name))
        }
    }
}

text_form!(ColumnName);

/// The meaning of a column's values, such as `resident_id` or `money`; an open vocabulary.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Semantic(String);

impl Semantic {
    /// Semantic types that the detectors and default masks know.
    pub const KNOWN: &'static [&'static str] = &[
        "resident_id",
        "uscc",
        "mobile",
        "name",
        "address",
        "bank_card",
        "plate",
        "medical_record_no",
        "birth_date",
        "coordinates",
        "icd10",
        "money",
        "free_text",
    ];

    /// The word itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// True if the detectors and default masks know the word.
    #[must_use]
    pub fn is_known(&self) -> bool {
        Self::KNOWN.contains(&self.as_str())
    }
}

impl fmt::Display for Semantic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Semantic {
    type Err = IdentifierError;

    fn from_str(text: &str) -> Result<Self, IdentifierError> {
        if is_sql_name(text) {
            Ok(Self(text.to_owned()))
        } else {
            Err(IdentifierError::new(text, Phrase::Name))
        }
    }
}

text_form!(Semantic);

words! {
    /// The roles of columns, by which rules differ.
    Role, "role" {
        /// Holds a subject's pseudonym.
        UnitKey = "unit_key",
        /// Names a subject directly.
        Identifier = "identifier",
        /// Narrows down which subject it is.
        QuasiIdentifier = "quasi_identifier",
        /// A fact that a subject would not want known.
        Sensitive = "sensitive",
        /// A quantity.
        Measure = "measure",
        /// An ordinary attribute to group and filter by.
        Dimension = "dimension",
    }
}

impl Role {
    /// True of a column that somebody may know of a person, which narrows down who it is: a dimension, or a quasi-identifier.
    #[must_use]
    pub fn is_known(self) -> bool {
        match self {
            Self::QuasiIdentifier | Self::Dimension => true,
            Self::UnitKey | Self::Identifier | Self::Sensitive | Self::Measure => false,
        }
    }
}

words! {
    /// The uses that a job may make of a column.
    Use, "use" {
        /// Compare it with literals.
        Filter = "filter",
        /// Group by it.
        Group = "group",
        /// Equate it in a join.
        Join = "join",
        /// Put it inside an aggregate.
        Aggregate = "aggregate",
        /// Count its distinct values.
        CountDistinct = "count_distinct",
    }
}

words! {
    /// An aggregate function that a policy may allow.
    Function, "function" {
        /// Rows.
        Count = "count",
        /// Distinct subjects or values.
        CountDistinct = "count_distinct",
        /// Sum.
        Sum = "sum",
        /// Mean.
        Avg = "avg",
        /// Smallest (released as the fifth percentile).
        Min = "min",
        /// Largest (released as the ninety-fifth percentile).
        Max = "max",
        /// Median.
        Median = "median",
        /// Other quantiles.
        Quantile = "quantile",
        /// Standard deviation.
        Stddev = "stddev",
        /// Variance.
        Var = "var",
        /// Covariance.
        Covar = "covar",
        /// Correlation.
        Corr = "corr",
        /// Linear regression.
        Regr = "regr",
        /// All true.
        BoolAnd = "bool_and",
        /// Any true.
        BoolOr = "bool_or",
    }
}

words! {
    /// The forms in which data may leave; later members are stricter.
    Release, "release" {
        /// As rows: open data.
        RowsOpen = "rows_open",
        /// As protected aggregates.
        Aggregates = "aggregates",
        /// Not at all.
        None = "none",
    }
}

impl Release {
    /// The stricter of two.
    #[must_use]
    pub fn stricter(self, other: Self) -> Self {
        self.max(other)
    }
}

words! {
    /// The number of reviewers who see a result before it leaves.
    #[derive(Default)]
    Review, "review" {
        /// None.
        #[default]
        None = "none",
        /// One who is not its author.
        One = "one",
        /// Two who are not its author.
        Two = "two",
    }
}

words! {
    /// The calendar interval at which a newer version of data opens to analysts, at most one in each; later members are longer.
    Epoch, "epoch" {
        /// One day.
        Daily = "daily",
        /// A week that begins on Monday.
        Weekly = "weekly",
        /// A calendar month.
        Monthly = "monthly",
        /// A quarter.
        Quarterly = "quarterly",
        /// A year.
        Yearly = "yearly",
    }
}

impl Epoch {
    /// The first day after the epoch that a day lies in.
    #[must_use]
    pub fn next(self, day: Day) -> Day {
        day.next(match self {
            Self::Daily => DatePart::Day,
            Self::Weekly => DatePart::Week,
            Self::Monthly => DatePart::Month,
            Self::Quarterly => DatePart::Quarter,
            Self::Yearly => DatePart::Year,
        })
    }
}

impl Review {
    /// The number of them.
    #[must_use]
    pub const fn reviewers(self) -> u8 {
        match self {
            Self::None => 0,
            Self::One => 1,
            Self::Two => 2,
        }
    }
}

words! {
    /// The roles of people in Obscura.
    PersonRole, "role of a person" {
        /// Asks questions.
        Analyst = "analyst",
        /// Answers for a department's data.
        Steward = "steward",
        /// Reads and verifies the history.
        Auditor = "auditor",
        /// Runs the installation.
        Operator = "operator",
        /// Says who may act here.
        Admin = "admin",
    }
}

/// Physical type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DataType {
    /// Text.
    Text,
    /// Whole number, 64 bits.
    Int,
    /// Decimal with a fixed number of places.
    Decimal {
        /// Decimal places.
        scale: u8,
    },
    /// Floating point, 64 bits.
    Float,
    /// Calendar day.
    Date,
    /// Date and time, in microseconds.
    Timestamp,
    /// True or false.
    Bool,
}

impl DataType {
    /// The words of documents, without parameters.
    pub const WORDS: &'static [&'static str] =
        &["text", "int", "decimal", "float", "date", "timestamp", "bool"];

    /// The word of documents, without parameters.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Int => "int",
            Self::Decimal { .. } => "decimal",
            Self::Float => "float",
            Self::Date => "date",
            Self::Timestamp => "timestamp",
            Self::Bool => "bool",
        }
    }

    /// True if values are numbers.
    #[must_use]
    pub const fn is_numeric(self) -> bool {
        matches!(self, Self::Int | Self::Decimal { .. } | Self::Float)
    }

    /// True if values are dates or timestamps.
    #[must_use]
    pub const fn is_temporal(self) -> bool {
        matches!(self, Self::Date | Self::Timestamp)
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text in English and Chinese.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Text {
    /// English.
    pub en: String,
    /// Chinese.
    pub zh: String,
}

impl Text {
    /// Makes a text from both languages.
    #[must_use]
    pub fn new(en: impl Into<String>, zh: impl Into<String>) -> Self {
        Self { en: en.into(), zh: zh.into() }
    }

    /// The text in one language: `zh`, or English for everything else.
    #[must_use]
    pub fn in_language(&self, language: &str) -> &str {
        if language.starts_with("zh") { &self.zh } else { &self.en }
    }
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        TextForm { zh: Some(self.zh.clone()), en: Some(self.en.clone()) }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let form = TextForm::deserialize(deserializer)?;
        // One language may be left out: then the other stands in for it.
        match (form.zh, form.en) {
            (Some(zh), Some(en)) => Ok(Self { en, zh }),
            (Some(only), None) | (None, Some(only)) => Ok(Self { en: only.clone(), zh: only }),
            (None, None) => Err(D::Error::custom(Phrase::TextMissing)),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TextForm {
    zh: Option<String>,
    en: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::DatasetId;
    use super::Level;
    use super::Release;
    use super::Role;
    use super::is_code;

    #[test]
    fn dataset_id_becomes_a_sql_name() {
        let id: DatasetId = "hz-health.outpatient_visits".parse().unwrap();
        assert_eq!(id.sql_name(), "hz_health.outpatient_visits");
        assert_eq!(id.department(), "hz-health");
        assert_eq!("hz_health.outpatient_visits".parse(), Ok(id), "both spellings are one dataset");
    }

    #[test]
    fn misspelt_identifiers_are_refused() {
        for bad in ["", "a", "A.b", "a.b.c", "a.b-c", "-a.b", "a-.b", "a--b.c", "a.1b", "健康.b"] {
            assert!(bad.parse::<DatasetId>().is_err(), "{bad}");
        }
        assert!(!is_code(&"a".repeat(65)));
    }

    #[test]
    fn words_that_do_not_exist_list_those_that_do() {
        let error = "owner".parse::<Role>().unwrap_err().to_string();
        assert!(error.contains("`owner`") && error.contains("quasi_identifier"), "{error}");
    }

    #[test]
    fn later_release_is_stricter() {
        assert_eq!(Release::RowsOpen.stricter(Release::Aggregates), Release::Aggregates);
        assert_eq!(Release::None.stricter(Release::Aggregates), Release::None);
        assert!("L0".parse::<Level>().is_err() && "L4".parse::<Level>().unwrap() > Level(3));
    }
}

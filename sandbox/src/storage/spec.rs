//! The dataset to seal, taken from a Dataset document: columns with their stored types, units, layout.
//! It reads no YAML itself and decides no grade.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::DataType as ArrowType;
use arrow::datatypes::Field;
use arrow::datatypes::Schema;
use arrow::datatypes::SchemaRef;
use arrow::datatypes::TimeUnit;
use obscura_crypto::kms::KekId;
use obscura_policies::vocabulary::DataType;
use obscura_policies::vocabulary::DatasetId;
use obscura_policies::vocabulary::Level;
use obscura_policies::vocabulary::UnitKind;

use crate::storage::cell::DECIMAL_PRECISION;
use crate::storage::error::StorageError;

/// The order of rows in a sealed file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// All rows of one subject of the first protecting unit stand together.
    Clustered,
    /// In the order of the input.
    Arrival,
}

/// One column to be sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnSpec {
    /// Name in SQL.
    pub name: String,
    /// Type in the document.
    pub data_type: DataType,
    /// Grade: with the department it chooses the key-encryption key.
    pub grade: Level,
    /// Semantic type (`resident_id`, ...): decides the canonical form of a unit key.
    pub semantic: Option<String>,
    /// The unit whose key this is, when it is stored as a token.
    pub token_of: Option<UnitKind>,
    /// It is open to everybody: a small table's values stand in the manifest.
    pub published: bool,
    /// Further names under which the input may carry the column, such as its Chinese title.
    pub also: Vec<String>,
}

impl ColumnSpec {
    /// The Arrow type that is stored.
    #[must_use]
    pub fn stored_type(&self) -> ArrowType {
        match (&self.token_of, self.data_type) {
            (Some(_), _) | (None, DataType::Int) => ArrowType::Int64,
            (None, DataType::Text) => ArrowType::Utf8,
            (None, DataType::Decimal { scale }) => {
                ArrowType::Decimal128(DECIMAL_PRECISION, i8::try_from(scale).unwrap_or(i8::MAX))
            }
            (None, DataType::Float) => ArrowType::Float64,
            (None, DataType::Date) => ArrowType::Date32,
            (None, DataType::Timestamp) => ArrowType::Timestamp(TimeUnit::Microsecond, None),
            (None, DataType::Bool) => ArrowType::Boolean,
        }
    }
}

/// One protecting privacy unit of the rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitSpec {
    /// Kind of subject.
    pub kind: UnitKind,
    /// The column that holds its key.
    pub column: String,
}

/// Everything that sealing needs to know about a dataset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatasetSpec {
    /// Identifier.
    pub id: DatasetId,
    /// Columns in the document's order.
    pub columns: Vec<ColumnSpec>,
    /// Protecting units; the first is the one that is clustered.
    pub units: Vec<UnitSpec>,
    /// The order of the rows.
    pub layout: Layout,
    /// The department's strictest grade: it guards the footers.
    pub strictest: Level,
    /// The document's text, kept in the manifest as the labels.
    pub document: String,
    /// The document's own version.
    pub document_version: u32,
    /// The values of columns that refer to an open one, sorted and each once.
    pub domains: BTreeMap<String, Vec<String>>,
    /// Versions of the schemes and policies in force when sealing, by identifier.
    pub in_force: BTreeMap<String, String>,
}

impl DatasetSpec {
    /// Checks what the rest of this module relies on.
    ///
    /// # Errors
    ///
    /// Fails when there is no column, a unit has no column, or a decimal has more places than digits.
    pub fn check(&self) -> Result<(), StorageError> {
        let document = |reason| Err(StorageError::Document { reason });
        if self.columns.is_empty() {
            return document("no column");
        }
        let mut names: Vec<_> = self.columns.iter().map(|c| c.name.as_str()).collect();
        names.sort_unstable();
        if names.windows(2).any(|pair| matches!(pair, [a, b] if a == b)) {
            return document("two columns share a name");
        }
        for column in &self.columns {
            if let DataType::Decimal { scale } = column.data_type
                && scale > DECIMAL_PRECISION
            {
                return document("a decimal has more places than 18");
            }
        }
        for unit in &self.units {
            let column = self.columns.iter().find(|c| c.name == unit.column);
            if column.and_then(|c| c.token_of.as_ref()) != Some(&unit.kind) {
                return document("a unit names a column that does not hold its key");
            }
        }
        Ok(())
    }

    /// The schema of the sealed files. Every column may be missing in a row.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        let fields: Vec<_> =
            self.columns.iter().map(|c| Field::new(&c.name, c.stored_type(), true)).collect();
        Arc::new(Schema::new(fields))
    }

    /// Position of the column that the file is clustered by, if it is.
    #[must_use]
    pub fn cluster_column(&self) -> Option<usize> {
        match self.layout {
            Layout::Clustered => {
                let unit = self.units.first()?;
                self.columns.iter().position(|c| c.name == unit.column)
            }
            Layout::Arrival => None,
        }
    }

    /// The key-encryption key of a column.
    pub(crate) fn column_kek(&self, column: &ColumnSpec) -> Result<KekId, StorageError> {
        kek(&self.id, column.grade)
    }

    /// The key-encryption key of the footers.
    pub(crate) fn footer_kek(&self) -> Result<KekId, StorageError> {
        kek(&self.id, self.strictest)
    }
}

fn kek(id: &DatasetId, grade: Level) -> Result<KekId, StorageError> {
    KekId::new(id.department(), grade.0)
        .map_err(|_misspelt| StorageError::Keys { step: "name a key of this department" })
}

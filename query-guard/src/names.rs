//! The dataset that a table name of a question means. One rule serves planning, and callers that must know beforehand
//! which datasets a question names.

use datafusion_common::TableReference;
use obscura_policies::vocabulary::DatasetId;

/// A table's name as the text writes it, identifiers without quotes in lower case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TableName {
    /// The department's part, where there is one.
    department: Option<String>,
    /// The dataset's own.
    table: String,
}

impl TableName {
    /// The name of a reference; `None` for a reference of three parts, which names nothing here.
    pub(crate) fn of(reference: &TableReference) -> Option<Self> {
        match reference {
            TableReference::Bare { table } => Some(TableName { department: None, table: table.to_string() }),
            // A quoted hyphen is the same name: SQL writes it as an underscore.
            TableReference::Partial { schema, table } => {
                Some(TableName { department: Some(schema.replace('-', "_")), table: table.to_string() })
            }
            TableReference::Full { .. } => None,
        }
    }

    /// True if it may mean the dataset. A name without its department may mean any dataset of that name; it is taken where
    /// exactly one is in scope.
    #[must_use]
    pub fn may_mean(&self, dataset: &DatasetId) -> bool {
        dataset.sql_name().split_once('.').is_some_and(|(department, table)| {
            table == self.table && self.department.as_ref().is_none_or(|named| named == department)
        })
    }
}

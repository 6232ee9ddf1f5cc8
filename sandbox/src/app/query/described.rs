//! Describes a released table in its own file, wherever the file is taken: the job, the purpose, the controls, and of every
//! column whether it is a key, how it was treated and how far it may be off. It is written into the Arrow schema, which Parquet files keep.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::Field;
use arrow::datatypes::Schema;

use obscura_query_guard::plan::OutputRole;

use crate::app::query::verdict::OutputView;
use crate::app::query::verdict::Verdict;
use crate::error::AppError;
use crate::error::During as _;
use crate::ids::JobId;

const JOB: &str = "obscura.job";
const PURPOSE: &str = "obscura.purpose";
const CONTROLS: &str = "obscura.controls";
const TREATMENT: &str = "obscura.treatment";
const ROLE: &str = "obscura.role";
const TOP_CODED_AT: &str = "obscura.top_coded_at";
const ERROR: &str = "obscura.error";

/// The table with its description.
///
/// # Errors
/// When the controls cannot be written.
pub(crate) fn described(
    batch: &RecordBatch,
    job: JobId,
    purpose: &str,
    verdict: &Verdict,
) -> Result<RecordBatch, AppError> {
    let controls = serde_json::to_string(&verdict.controls).during("write the controls")?;
    let metadata = HashMap::from([
        (JOB.to_owned(), job.to_string()),
        (PURPOSE.to_owned(), purpose.to_owned()),
        (CONTROLS.to_owned(), controls),
    ]);
    let schema = batch.schema();
    let outputs = verdict.output.iter().map(Some).chain(std::iter::repeat(None));
    let fields = schema.fields().iter().zip(outputs).map(|(field, output)| described_field(field, output));
    let fields = fields.collect::<Result<Vec<Field>, AppError>>()?;
    let schema = Arc::new(Schema::new_with_metadata(fields, metadata));
    RecordBatch::try_new(schema, batch.columns().to_vec()).during("describe a result")
}

fn described_field(field: &Arc<Field>, output: Option<&OutputView>) -> Result<Field, AppError> {
    let mut metadata = field.metadata().clone();
    if let Some(output) = output {
        metadata.insert(TREATMENT.to_owned(), output.treatment.join(","));
        metadata.extend(output.role.clone().map(|role| (ROLE.to_owned(), role)));
        metadata.extend(output.top_coded_at.map(|most| (TOP_CODED_AT.to_owned(), most.to_string())));
        if let Some(error) = &output.error {
            let error = serde_json::to_string(error).during("write the error of a column")?;
            metadata.insert(ERROR.to_owned(), error);
        }
    }
    Ok(field.as_ref().clone().with_metadata(metadata))
}

/// The meaning of a missing value of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    /// The data has no value: the column is a key.
    Value,
    /// The cell was withheld.
    Withheld,
    /// It was computed, or the table says nothing of it, as open data does not.
    Unsaid,
}

impl Missing {
    /// The meaning that the table states for a column.
    pub(crate) fn of(field: &Field) -> Self {
        let role = field.metadata().get(ROLE);
        let is = |known: OutputRole| role.is_some_and(|role| role == known.name());
        if is(OutputRole::Key) {
            Self::Value
        } else if is(OutputRole::Cell) {
            Self::Withheld
        } else {
            Self::Unsaid
        }
    }
}

/// The number that stands for itself and for every larger one, where a column has one.
pub(crate) fn top_coded_at(field: &Field) -> Option<&str> {
    field.metadata().get(TOP_CODED_AT).map(String::as_str)
}

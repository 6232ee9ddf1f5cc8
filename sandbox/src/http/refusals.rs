//! Problem documents that carry more than the problem, as the description of the interface names them: the verdict of a
//! refused question, the findings in refused documents.

use serde::Serialize;
use utoipa::ToSchema;

use crate::api::findings::DocumentFinding;
use crate::app::query::verdict::Verdict;
use crate::http::problem::ProblemDocument;

/// A question that a rule refuses: the problem, with the job that was made of it and the verdict.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct QueryRefused {
    /// The problem.
    #[serde(flatten)]
    problem: ProblemDocument,
    /// The job, in the state `refused`.
    job: String,
    /// The findings, and the questions that would be admitted.
    verdict: Verdict,
}

/// Documents that are not put in force: the problem, with what is wrong in them.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DocumentsRefused)]
pub(crate) struct DocumentsProblem {
    /// The problem.
    #[serde(flatten)]
    problem: ProblemDocument,
    /// The first findings; absent where the request itself does not have its form.
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<Vec<DocumentFinding>>,
}

//! Jobs on the wire: where one stands, lists of them, and what led to the end of one.

use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::reviews::JobReviewView;
use crate::app::closed_words::JobStateWord;
use crate::app::query::explain_job::ExplainedJob;
use crate::app::query::explain_job::PlanView;
use crate::app::query::verdict::Verdict;
use crate::app::reviews::of_job::JobReview;
use crate::jobs::JobRow;

/// A job: one question and what became of it.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Job)]
pub(crate) struct JobView {
    /// Identifier.
    pub(crate) id: String,
    /// The person who asked.
    pub(crate) person: String,
    /// Code of the purpose.
    pub(crate) purpose: String,
    /// Its state.
    #[schema(value_type = JobStateWord)]
    pub(crate) state: String,
    /// Stable code of a refusal, failure or cancelling, or of what its reviewers said.
    pub(crate) code: Option<String>,
    /// When it came.
    #[schema(format = DateTime)]
    pub(crate) received: String,
    /// When it ended.
    #[schema(format = DateTime)]
    pub(crate) finished: Option<String>,
    /// The verdict; only its owner sees it.
    pub(crate) verdict: Option<Verdict>,
    /// Index of the decision in the audit log.
    pub(crate) decided_index: Option<u64>,
    /// Index of the end in the audit log.
    pub(crate) finished_index: Option<u64>,
    /// SHA-256 of the released table.
    pub(crate) result_sha256: Option<String>,
    /// Its review, where its result needs one; only its owner sees it, and not in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) review: Option<JobReviewView>,
}

impl JobView {
    pub(crate) fn of(row: &JobRow) -> Self {
        Self {
            id: row.id.to_string(),
            person: row.person.clone(),
            purpose: row.purpose.clone(),
            state: row.state.name().to_owned(),
            code: row.code.clone(),
            received: row.received.to_string(),
            finished: row.finished.map(|at| at.to_string()),
            verdict: row.verdict.as_deref().and_then(|text| serde_json::from_str(text).ok()),
            decided_index: row.decided_index,
            finished_index: row.finished_index,
            result_sha256: row.result_sha256.clone(),
            review: None,
        }
    }

    /// The same with its review.
    pub(crate) fn reviewed(row: &JobRow, review: Option<JobReview>) -> Self {
        Self { review: review.map(JobReviewView::of), ..Self::of(row) }
    }
}

/// Jobs, newest first.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = JobList)]
pub(crate) struct JobList {
    /// The jobs.
    pub(crate) jobs: Vec<JobView>,
    /// The value to send as `cursor` for older ones; nothing when there are none.
    pub(crate) next: Option<String>,
}

/// An explanation of a job's end.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Explanation {
    /// The question.
    pub(crate) sql: String,
    /// The job, with its verdict.
    pub(crate) job: JobView,
    /// The plan before and after the guard, where the question was admitted.
    pub(crate) plan: Option<PlanView>,
}

impl Explanation {
    pub(crate) fn of(explained: ExplainedJob) -> Self {
        let ExplainedJob { sql, row, plan } = explained;
        Self { sql, job: JobView::of(&row), plan }
    }
}

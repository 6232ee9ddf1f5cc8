//! Problem documents that carry more than the problem: the verdict of a refused question, the findings in refused documents.
//! The same types describe the interface, write what is served, and are read by the command line.

use obscura_policies::parse::DocumentError;
use obscura_policies::vocabulary::Text;
use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::documents::policy_tests::PolicyTestFailure;
use crate::app::query::verdict::Verdict;
use crate::config::Language;
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

/// Something wrong with a document, or a test of a policy that comes out otherwise.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub(crate) struct DocumentFinding {
    /// Stable code.
    pub(crate) code: String,
    /// The file.
    pub(crate) file: Option<String>,
    /// The document.
    pub(crate) document: String,
    /// The field, or the name of the test.
    pub(crate) field: String,
    /// Line, from 1.
    pub(crate) line: Option<u32>,
    /// Column, from 1.
    pub(crate) column: Option<u32>,
    /// The finding, in one sentence, in the reader's language.
    pub(crate) message: String,
    /// What would be accepted, in the reader's language.
    pub(crate) help: Option<String>,
    /// What the test expects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expected: Option<String>,
    /// What came of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) came: Option<String>,
}

impl DocumentFinding {
    /// A finding in a document, for a reader.
    pub(crate) fn of_document(error: DocumentError, language: Language) -> Self {
        let told = |text: Text| text.in_language(language.code()).to_owned();
        Self {
            code: error.code.into_owned(),
            file: error.file,
            document: error.document,
            field: error.field,
            line: error.position.map(|at| at.line),
            column: error.position.map(|at| at.column),
            message: told(error.message),
            help: error.help.map(told),
            ..Self::default()
        }
    }

    /// A test of a policy that comes out otherwise, for a reader.
    pub(crate) fn of_test(failure: PolicyTestFailure, language: Language) -> Self {
        let PolicyTestFailure { policy, test, expected, came } = failure;
        let message = match language {
            Language::En => format!("expected {expected}, came {came}"),
            Language::Zh => format!("应为 {expected}，实为 {came}"),
        };
        Self {
            code: "policy-test-failed".to_owned(),
            document: policy,
            field: test,
            message,
            expected: Some(expected),
            came: Some(came),
            ..Self::default()
        }
    }
}

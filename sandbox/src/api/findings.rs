//! Findings in documents on the wire.

use obscura_policies::parse::DocumentError;
use obscura_policies::vocabulary::Text;
use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::documents::policy_tests::PolicyTestFailure;
use crate::config::Language;

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
    /// A correction that would be accepted, in the reader's language.
    pub(crate) help: Option<String>,
    /// The outcome that the test expects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expected: Option<String>,
    /// The outcome that came instead.
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

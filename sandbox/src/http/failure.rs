//! The failure of a handler: in words of its own, or the failure of a use case, which the door puts into words. It does so
//! in the reader's language and under the request's name, and notes for the operator what broke.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::response::Response;
use serde_json::json;

use crate::api::findings::DocumentFinding;
use crate::app::documents::publish_documents::DocumentsRefused;
use crate::error::AppError;
use crate::error::Class;
use crate::error::PublicError;
use crate::http::Service;
use crate::http::context::Request;
use crate::http::problem::Problem;

/// The end of a handler that does not succeed.
#[derive(Debug)]
pub(super) enum Failure {
    /// It is in words already.
    Problem(Problem),
    /// A use case failed, or refused documents.
    Refused(DocumentsRefused),
}

/// The failure of a use case, on its way to the door.
#[derive(Debug, Clone)]
struct Unrendered(Arc<DocumentsRefused>);

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<AppError> for Failure {
    fn from(error: AppError) -> Self {
        Self::Refused(DocumentsRefused::App(error))
    }
}

impl From<DocumentsRefused> for Failure {
    fn from(refused: DocumentsRefused) -> Self {
        Self::Refused(refused)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        match self {
            Self::Problem(problem) => problem.into_response(),
            Self::Refused(refused) => {
                // Only the door knows the reader; an answer that gets past it says that we broke, and nothing else.
                let mut response = StatusCode::INTERNAL_SERVER_ERROR.into_response();
                response.extensions_mut().insert(Unrendered(Arc::new(refused)));
                response
            }
        }
    }
}

/// A handler's answer, with the failure of a use case put into words, if it is one.
pub(super) fn rendered(request: &Request, service: &Service, mut response: Response) -> Response {
    match response.extensions_mut().remove::<Unrendered>() {
        Some(Unrendered(refused)) => problem(request, service, &refused).into_response(),
        None => response,
    }
}

fn problem(request: &Request, service: &Service, refused: &DocumentsRefused) -> Problem {
    let language = request.language;
    let findings: Vec<DocumentFinding> = match refused {
        DocumentsRefused::App(error) => return request.problem(service, error),
        DocumentsRefused::Documents(errors) => {
            errors.iter().map(|error| DocumentFinding::of_document(error.clone(), language)).collect()
        }
        DocumentsRefused::Tests(failures) => {
            failures.iter().map(|failure| DocumentFinding::of_test(failure.clone(), language)).collect()
        }
    };
    let error =
        PublicError::new(Class::Usage, "documents-refused", "the documents are not in order", "文档存在问题");
    Problem::of(request, &error).with("errors", json!(findings))
}

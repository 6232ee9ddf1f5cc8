//! The failure of a handler: a problem of the request, or the failure of a use case. The door puts it into words, in the
//! reader's language and under the request's name, and notes for the operator what broke.

use std::sync::Arc;

use axum::extract::Request as HttpRequest;
use axum::extract::State;
use axum::http::StatusCode;
use axum::middleware::Next;
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
#[derive(Debug, Clone)]
pub(super) enum Failure {
    /// The request is at fault, or comes at the wrong time.
    Problem(Problem),
    /// A use case failed, or refused documents.
    Refused(Arc<DocumentsRefused>),
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<AppError> for Failure {
    fn from(error: AppError) -> Self {
        Self::Refused(Arc::new(DocumentsRefused::App(error)))
    }
}

impl From<DocumentsRefused> for Failure {
    fn from(refused: DocumentsRefused) -> Self {
        Self::Refused(Arc::new(refused))
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        match self {
            Self::Problem(problem) => problem.into_response(),
            Self::Refused(_) => {
                // As with a problem: what gets past the door says that we broke, and nothing else.
                let mut response = StatusCode::INTERNAL_SERVER_ERROR.into_response();
                response.extensions_mut().insert(self);
                response
            }
        }
    }
}

impl Failure {
    /// The failure as the reader of a request is told it; an internal error is noted for the operator under the request's
    /// name.
    pub(super) fn worded(self, request: &Request, service: &Service) -> Response {
        let problem = match self {
            Self::Problem(problem) => problem,
            Self::Refused(refused) => problem(request, service, &refused),
        };
        problem.worded(request.language, &request.id)
    }
}

/// A handler's answer, put into words if it is a failure.
pub(super) fn worded(request: &Request, service: &Service, mut response: Response) -> Response {
    let extensions = response.extensions_mut();
    let problem = extensions.remove::<Problem>().map(Failure::Problem);
    match problem.or_else(|| extensions.remove::<Failure>()) {
        Some(failure) => failure.worded(request, service),
        None => response,
    }
}

/// Puts failures into words where there is no door: outside `/api/v1`.
pub(super) async fn without_door(
    State(service): State<Arc<Service>>,
    known: Request,
    mut request: HttpRequest,
    next: Next,
) -> Response {
    request.extensions_mut().insert(known.clone());
    worded(&known, &service, next.run(request).await)
}

fn problem(request: &Request, service: &Service, refused: &DocumentsRefused) -> Problem {
    let language = request.language;
    let findings: Vec<DocumentFinding> = match refused {
        DocumentsRefused::App(error) => {
            service.installation.note_failure(&request.id, error);
            return Problem::of(error.public());
        }
        DocumentsRefused::Documents(errors) => {
            errors.iter().map(|error| DocumentFinding::of_document(error.clone(), language)).collect()
        }
        DocumentsRefused::Tests(failures) => {
            failures.iter().map(|failure| DocumentFinding::of_test(failure.clone(), language)).collect()
        }
    };
    let error =
        PublicError::new(Class::Usage, "documents-refused", "the documents are not in order", "文档存在问题");
    Problem::of(error).with("errors", json!(findings))
}

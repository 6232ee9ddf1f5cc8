//! Use cases: check documents against those in force, and put them in force.
//! A published version never changes; who may publish what follows from the document's kind and department.

use std::collections::BTreeMap;

use obscura_policies::document::Document;
use obscura_policies::document::Kind;
use obscura_policies::library::Library;
use obscura_policies::parse::DocumentError;
use obscura_policies::parse::Located;
use obscura_policies::parse::parse_documents;
use obscura_policies::vocabulary::PersonRole;

use crate::app::authorise::must_be;
use crate::app::authorise::must_steward;
use crate::app::installation::Installation;
use crate::app::library::documents_in_force;
use crate::app::policy_tests::PolicyTestFailure;
use crate::app::policy_tests::run_tests;
use crate::app::records::Note;
use crate::audit::event::Action;
use crate::audit::event::ActorName;
use crate::catalog::body::DocumentBody;
use crate::context::Caller;
use crate::error::AppError;
use crate::error::Class;
use crate::error::During as _;
use crate::error::PublicError;

/// A file of documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentFile {
    /// Name, for messages.
    pub name: String,
    /// Contents.
    pub text: String,
}

/// One document that was checked or published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentSummary {
    /// Kind.
    pub kind: Kind,
    /// Identifier.
    pub id: String,
    /// Version.
    pub version: u32,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is in order and not in force yet.
    Sound,
    /// This very version is in force already.
    Unchanged,
    /// It is in force now.
    Published,
}

/// Why documents were not accepted.
#[derive(Debug)]
pub enum DocumentsRefused {
    /// Something is wrong with the documents themselves.
    Documents(Vec<DocumentError>),
    /// A policy's own tests do not come out as it says.
    Tests(Vec<PolicyTestFailure>),
    /// Anything else.
    App(AppError),
}

impl<E: Into<AppError>> From<E> for DocumentsRefused {
    fn from(error: E) -> Self {
        Self::App(error.into())
    }
}

/// Documents that fit together with those in force.
struct Accepted {
    documents: Vec<(Located<Document>, Outcome)>,
    library: Library,
}

/// Checks documents: their form, their references, and the tests of policies, against everything in force.
///
/// # Errors
/// Everything that is wrong, with file, line and field.
pub async fn check_documents(
    installation: &Installation,
    files: &[DocumentFile],
) -> Result<Vec<DocumentSummary>, DocumentsRefused> {
    let accepted = accept(installation, files).await?;
    Ok(accepted.documents.iter().map(|(document, outcome)| summary(document, *outcome)).collect())
}

/// Puts documents in force, each with its event; those that are in force already are left alone.
///
/// # Errors
/// As [`check_documents`]; forbidden when one of them is not the caller's to publish.
pub async fn publish_documents(
    installation: &Installation,
    caller: &Caller,
    files: &[DocumentFile],
) -> Result<Vec<DocumentSummary>, DocumentsRefused> {
    if !caller.holds(PersonRole::Operator) {
        must_be(caller, PersonRole::Steward)?;
    }
    let accepted = accept(installation, files).await?;
    for (document, _) in &accepted.documents {
        must_own(caller, &accepted.library, &document.value)?;
    }
    let _guard = installation.change().await?;
    let mut published = Vec::new();
    for (document, outcome) in &accepted.documents {
        let outcome = match outcome {
            Outcome::Unchanged => Outcome::Unchanged,
            Outcome::Sound | Outcome::Published => {
                let body = DocumentBody {
                    kind: document.value.kind().to_string(),
                    id: document.value.id(),
                    version: document.value.version(),
                    text: document.value.to_yaml().during("write a document")?,
                    published_by: Some(caller.person().name.to_string()),
                };
                let note = Note::new(Action::DocumentPublished, ActorName::of(caller));
                match installation.begin_while_changing(&body, note).await? {
                    Some(_) => Outcome::Published,
                    None => return Err(raced(&body).into()),
                }
            }
        };
        published.push(summary(document, outcome));
    }
    Ok(published)
}

/// Lists the documents in force that were published here, the newest version of each.
///
/// # Errors
/// When the database or the log cannot be read.
pub async fn list_documents(installation: &Installation) -> Result<Vec<DocumentSummary>, AppError> {
    let documents = documents_in_force(installation).await?;
    Ok(documents.values().map(|document| summary(document, Outcome::Unchanged)).collect())
}

async fn accept(installation: &Installation, files: &[DocumentFile]) -> Result<Accepted, DocumentsRefused> {
    let mut errors = Vec::new();
    let mut new = Vec::new();
    for file in files {
        match parse_documents(&file.name, &file.text) {
            Ok(documents) => new.extend(documents),
            Err(found) => errors.extend(found),
        }
    }
    let in_force = documents_in_force(installation).await?;
    let mut outcomes = Vec::new();
    for document in &new {
        match outcome_of(document, &in_force) {
            Ok(outcome) => outcomes.push(outcome),
            Err(error) => errors.push(*error),
        }
    }
    if !errors.is_empty() {
        return Err(DocumentsRefused::Documents(errors));
    }
    let mut all: BTreeMap<(String, String), Located<Document>> = in_force;
    for document in &new {
        all.insert((document.value.kind().to_string(), document.value.id()), document.clone());
    }
    // Grants are records of their own; here they are only checked, not kept.
    let library = Library::from_located(all.into_values().collect()).map_err(DocumentsRefused::Documents)?;
    let policies = new.iter().filter_map(|document| match &document.value {
        Document::Policy(policy) => Some(policy.as_ref()),
        _ => None,
    });
    let failures: Vec<_> = policies
        .flat_map(|policy| run_tests(&library, policy, installation.now(), installation.settings()))
        .collect();
    if !failures.is_empty() {
        return Err(DocumentsRefused::Tests(failures));
    }
    Ok(Accepted { documents: new.into_iter().zip(outcomes).collect(), library })
}

fn outcome_of(
    document: &Located<Document>,
    in_force: &BTreeMap<(String, String), Located<Document>>,
) -> Result<Outcome, Box<DocumentError>> {
    let value = &document.value;
    let refused = |code: &'static str, message: String, help: String| DocumentError {
        code,
        file: document.file().map(str::to_owned),
        position: document.position("metadata.version"),
        document: format!("{} {}", value.kind(), value.id()),
        field: "metadata.version".to_owned(),
        message,
        help: Some(help),
    };
    let Some(present) = in_force.get(&(value.kind().to_string(), value.id())).map(|known| &known.value)
    else {
        return Ok(Outcome::Sound);
    };
    if present == value {
        return Ok(Outcome::Unchanged);
    }
    if present.version() >= value.version() {
        return Err(Box::new(refused(
            "version-not-new",
            format!("version {} is in force, and a published version never changes", present.version()),
            format!("give it version {}", present.version().saturating_add(1)),
        )));
    }
    Ok(Outcome::Sound)
}

/// Departments, purposes and schemes are the operator's to publish; datasets and policies their department's.
fn must_own(caller: &Caller, library: &Library, document: &Document) -> Result<(), AppError> {
    match document {
        Document::GradeScheme(_) | Document::Department(_) | Document::Purpose(_) => {
            must_be(caller, PersonRole::Operator)
        }
        Document::Dataset(dataset) => must_steward(caller, library, dataset.department.as_str()),
        Document::Policy(policy) => must_steward(caller, library, policy.owner.as_str()),
        Document::Grant(_) => Err(PublicError::new(
            Class::Usage,
            "grant-is-not-published",
            "a grant is given, not published",
            "授权须通过授权流程，不能直接发布",
        )
        .with_help("use `obscura grant create --file FILE`", "请使用 `obscura grant create --file FILE`")
        .into()),
        Document::Exception(_) | Document::Application(_) => Err(PublicError::new(
            Class::Usage,
            "control-not-available",
            format!("documents of kind `{}` cannot be put in force yet", document.kind()),
            format!("暂不支持发布 `{}` 类文档", document.kind()),
        )
        .into()),
    }
}

fn summary(document: &Located<Document>, outcome: Outcome) -> DocumentSummary {
    let value = &document.value;
    DocumentSummary { kind: value.kind(), id: value.id(), version: value.version(), outcome }
}

fn raced(body: &DocumentBody) -> PublicError {
    PublicError::new(
        Class::Conflict,
        "version-not-new",
        format!("version {} of `{}` was used before", body.version, body.id),
        format!("`{}` 的版本 {} 已被使用", body.id, body.version),
    )
}

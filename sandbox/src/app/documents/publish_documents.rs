//! Use cases: check documents against those in force, and put them in force.
//! A published version never changes; who may publish what follows from the document's kind and department. A policy waits
//! for a second person, who activates it (four eyes), and so does a dataset above L1 that protects no unit; its author may take
//! it back.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use obscura_policies::document::Document;
use obscura_policies::document::Kind;
use obscura_policies::document::Policy;
use obscura_policies::evaluate::Warning;
use obscura_policies::evaluate::warnings_of_dataset;
use obscura_policies::evaluate::warnings_of_policy;
use obscura_policies::evaluate::warnings_of_purpose;
use obscura_policies::library::Library;
use obscura_policies::library::LoweredGrade;
use obscura_policies::parse::DocumentError;
use obscura_policies::parse::ERRORS_MAX;
use obscura_policies::parse::FILE_BYTES_MAX;
use obscura_policies::parse::Located;
use obscura_policies::parse::Position;
use obscura_policies::parse::first_errors;
use obscura_policies::parse::parse_documents;
use obscura_policies::vocabulary::Code;
use obscura_policies::vocabulary::DatasetId;
use obscura_policies::vocabulary::PersonRole;
use obscura_policies::vocabulary::Text;

use crate::app::data::datasets::visible_datasets;
use crate::app::documents::policy_tests::PolicyTestFailure;
use crate::app::documents::policy_tests::run_tests;
use crate::app::documents::row_filters::faults_of_policy;
use crate::app::documents::row_filters::faults_since;
use crate::app::documents::without_names::without_names;
use crate::app::people::authorise::is_steward;
use crate::app::people::authorise::must_be;
use crate::app::people::authorise::must_steward;
use crate::audit::event::Action;
use crate::audit::event::ActorName;
use crate::catalog::body::DocumentBody;
use crate::catalog::body::ProposalBody;
use crate::context::Caller;
use crate::error::AppError;
use crate::error::Class;
use crate::error::During as _;
use crate::error::InternalError;
use crate::error::PublicError;
use crate::ids::ProposalId;
use crate::installation::ChangeGuard;
use crate::installation::Installation;
use crate::installation::library::documents_in_force;
use crate::installation::library::library;
use crate::installation::library::local_time;
use crate::installation::library::name_of_library;
use crate::installation::library::parse_one;
use crate::installation::library::today;
use crate::installation::records::Note;
use crate::installation::reviews::Judging;

mod errors;

use errors::no_proposal;
use errors::not_ones_own;
use errors::overtaken;
use errors::proposed_before;
use errors::raced;

/// Most tests of one policy.
const TESTS_MAX: usize = 100;
/// The number of times that documents are judged, if those in force change meanwhile.
const TRIES: usize = 4;

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
    /// The outcome.
    pub outcome: Outcome,
    /// Grades that it lowers by a mask, if it is a policy.
    pub lowers: Vec<LoweredGrade>,
    /// The values of it that do not count as they are written.
    pub warnings: Vec<DocumentWarning>,
}

/// Something in a document that does not count as it is written, with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentWarning {
    /// The file, where there is one.
    pub file: Option<String>,
    /// Line and column, where they are known.
    pub position: Option<Position>,
    /// The warning.
    pub warning: Warning,
}

/// The outcome for a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is in order and not in force yet.
    Sound,
    /// This very version is in force already.
    Unchanged,
    /// It is in force now.
    Published,
    /// It waits for a second person.
    Proposed,
}

/// A document that waits for a second person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProposalSummary {
    /// Kind: a policy, or a dataset.
    pub kind: Kind,
    /// Identifier of the document.
    pub policy: String,
    /// Version it would have.
    pub version: u32,
    /// The person who proposed it.
    pub proposed_by: String,
    /// The document.
    pub text: String,
    /// Grades that it would lower by a mask: the second person answers for them.
    pub lowers: Vec<LoweredGrade>,
    /// Of a dataset, what the second person must know.
    pub warnings: Vec<DocumentWarning>,
}

/// The reasons that documents were not accepted.
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

/// A document that fits together with those in force.
struct Accepted {
    document: Located<Document>,
    outcome: Outcome,
    /// The department of which a second steward must put the document in force, if one must.
    four_eyes: Option<Code>,
    lowers: Vec<LoweredGrade>,
    warnings: Vec<DocumentWarning>,
}

/// Checks documents as if they were to be published: their form, their references, and the tests of policies, against
/// everything in force.
///
/// # Errors
/// Everything that is wrong, with file, line and field; forbidden when one of them is not the caller's to publish, for
/// what is wrong with it might tell of others.
pub async fn check_documents(
    installation: &Installation,
    caller: &Caller,
    files: &[DocumentFile],
) -> Result<Vec<DocumentSummary>, DocumentsRefused> {
    must_own_all(installation, caller, files).await?;
    let accepted = accept(installation, caller, files).await.map_err(told_of_own)?;
    Ok(accepted.iter().map(|accepted| accepted.summary(accepted.outcome)).collect())
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
    for _ in 0..TRIES {
        let judged_by = name_of_library(installation).await?;
        must_own_all(installation, caller, files).await?;
        let accepted = accept(installation, caller, files).await.map_err(told_of_own)?;
        let Some(_guard) = change_while(installation, &judged_by).await? else { continue };
        let mut published = Vec::new();
        for accepted in &accepted {
            let outcome = match accepted.outcome {
                Outcome::Unchanged => Outcome::Unchanged,
                _ => put(installation, caller, accepted).await?,
            };
            published.push(accepted.summary(outcome));
        }
        return Ok(published);
    }
    Err(overtaken().into())
}

/// Takes the right to change, if the documents in force are still those that something was judged by. Judging takes as long
/// as the author of the documents likes, and every release waits for this right.
async fn change_while<'a>(
    installation: &'a Installation,
    judged_by: &str,
) -> Result<Option<ChangeGuard<'a>>, AppError> {
    let guard = installation.change().await?;
    Ok((name_of_library(installation).await? == judged_by).then_some(guard))
}

/// Refuses documents of other owners before anything else: findings may tell of other documents that are in force.
async fn must_own_all(
    installation: &Installation,
    caller: &Caller,
    files: &[DocumentFile],
) -> Result<(), DocumentsRefused> {
    if !caller.holds(PersonRole::Operator) {
        must_be(caller, PersonRole::Steward)?;
    }
    let in_force = library(installation).await?;
    for document in parse(installation, files)? {
        must_own(caller, &in_force, &document.value)?;
    }
    Ok(())
}

fn told_of_own(refused: DocumentsRefused) -> DocumentsRefused {
    match refused {
        DocumentsRefused::Documents(errors) => DocumentsRefused::Documents(without_names(errors)),
        other => other,
    }
}

/// Puts one document in force, or before a second person.
async fn put(
    installation: &Installation,
    caller: &Caller,
    accepted: &Accepted,
) -> Result<Outcome, DocumentsRefused> {
    let document = &accepted.document.value;
    let text = document.to_yaml().during("write a document")?;
    let by = caller.person().name.to_string();
    let Some(department) = &accepted.four_eyes else {
        publish(installation, caller, document, text).await?;
        return Ok(Outcome::Published);
    };
    let (policy, version) = (document.id(), document.version());
    // Of the same department only: it must not learn what another proposes. The proposal activated first has the version.
    for open in proposals(installation, &policy, version).await? {
        if owner(&open.text)? != department.as_str() {
            continue;
        }
        if open.text == text && open.proposed_by == by {
            return Ok(Outcome::Proposed);
        }
        return Err(proposed_before(&open).into());
    }
    let id = ProposalId::new(installation.clock.as_ref(), installation.random.as_ref());
    let id = id.during("name a proposal")?.to_string();
    let body = ProposalBody { id, policy, version, text, proposed_by: by };
    let note = Note::new(Action::PolicyProposed, ActorName::of(caller));
    installation.begin_while_changing(&body, note).await?;
    Ok(Outcome::Proposed)
}

async fn publish(
    installation: &Installation,
    caller: &Caller,
    document: &Document,
    text: String,
) -> Result<(), AppError> {
    let body = DocumentBody {
        kind: document.kind().to_string(),
        id: document.id(),
        version: document.version(),
        text,
        published_by: Some(caller.person().name.to_string()),
        proposed_by: None,
    };
    let note = Note::new(Action::DocumentPublished, ActorName::of(caller));
    match installation.begin_while_changing(&body, note).await? {
        Some(_) => Ok(()),
        None => Err(raced(&body).into()),
    }
}

/// Puts a document in force that another person has proposed; it is checked again against what is in force now.
///
/// # Errors
/// As [`check_documents`]; forbidden for its author and for all but stewards of its department; not found when no such
/// version waits.
pub async fn activate_policy(
    installation: &Installation,
    caller: &Caller,
    policy: &str,
    version: u32,
) -> Result<DocumentSummary, DocumentsRefused> {
    must_be(caller, PersonRole::Steward)?;
    for _ in 0..TRIES {
        let judged_by = name_of_library(installation).await?;
        let proposal = find_proposal(installation, caller, policy, version).await?;
        let file = DocumentFile { name: format!("{policy}@{version}"), text: proposal.text.clone() };
        let accepted = accept(installation, caller, &[file]).await.map_err(told_of_own)?;
        let Some(accepted) = accepted.first() else {
            return Err(no_proposal(policy, version).into());
        };
        if proposal.proposed_by == caller.person().name.as_str() {
            return Err(not_ones_own().into());
        }
        let Some(_guard) = change_while(installation, &judged_by).await? else { continue };
        // Withdrawn meanwhile, or activated by another.
        if installation.find_in_force::<ProposalBody>(&proposal.id).await?.is_none() {
            return Err(no_proposal(policy, version).into());
        }
        put_in_force(installation, caller, &proposal, &accepted.document.value).await?;
        return Ok(accepted.summary(Outcome::Published));
    }
    Err(overtaken().into())
}

/// Puts a proposed policy in force, for callers that hold the right to change.
async fn put_in_force(
    installation: &Installation,
    caller: &Caller,
    proposal: &ProposalBody,
    document: &Document,
) -> Result<(), AppError> {
    let body = DocumentBody {
        kind: document.kind().to_string(),
        id: document.id(),
        version: document.version(),
        text: proposal.text.clone(),
        published_by: Some(caller.person().name.to_string()),
        proposed_by: Some(proposal.proposed_by.clone()),
    };
    let closing = Note::new(Action::PolicyDecided, ActorName::of(caller)).with("outcome", "activated");
    let published = Note::new(Action::DocumentPublished, ActorName::of(caller));
    if !installation.replace_while_changing((proposal, closing), (&body, published)).await? {
        return Err(raced(&body).into());
    }
    Ok(())
}

/// Takes a proposed document back: its author, or another steward of its department who will not have it.
///
/// # Errors
/// Forbidden for all but stewards; not found when no such version waits.
pub async fn withdraw_policy(
    installation: &Installation,
    caller: &Caller,
    policy: &str,
    version: u32,
) -> Result<(), AppError> {
    must_be(caller, PersonRole::Steward)?;
    let _guard = installation.change().await?;
    let proposal = find_proposal(installation, caller, policy, version).await?;
    let note = Note::new(Action::PolicyDecided, ActorName::of(caller)).with("outcome", "withdrawn");
    installation.end_while_changing(&proposal, note).await?;
    Ok(())
}

/// Lists the documents that wait for a second person: stewards see those of their departments, auditors all.
///
/// # Errors
/// When the database or the log cannot be read.
pub async fn list_proposals(
    installation: &Installation,
    caller: &Caller,
) -> Result<Vec<ProposalSummary>, AppError> {
    let library = library(installation).await?;
    let mut summaries = Vec::new();
    for proposal in installation.all_in_force::<ProposalBody>().await? {
        let keeps = must_steward(caller, &library, &owner(&proposal.text)?).is_ok();
        if keeps || caller.holds(PersonRole::Auditor) {
            let ProposalBody { policy, version, text, proposed_by, .. } = proposal;
            let document = parse_one(&text)?;
            let warnings = match &document.value {
                Document::Dataset(_) => warnings(installation, &library, &document),
                _ => Vec::new(),
            };
            let (kind, lowers) = (document.value.kind(), lowers(&library, &document.value));
            summaries.push(ProposalSummary { kind, policy, version, proposed_by, text, lowers, warnings });
        }
    }
    Ok(summaries)
}

/// The open proposals of a version of a document: at most one of each department. No policy is named like a dataset, whose name
/// has a dot.
async fn proposals(
    installation: &Installation,
    policy: &str,
    version: u32,
) -> Result<Vec<ProposalBody>, AppError> {
    let mut open = installation.all_in_force::<ProposalBody>().await?;
    open.retain(|open| open.policy == policy && open.version == version);
    Ok(open)
}

/// The proposal that a steward may decide on. Proposals of other departments are answered like missing ones.
async fn find_proposal(
    installation: &Installation,
    caller: &Caller,
    policy: &str,
    version: u32,
) -> Result<ProposalBody, AppError> {
    let library = library(installation).await?;
    for open in proposals(installation, policy, version).await? {
        if is_steward(caller, &library, &owner(&open.text)?) {
            return Ok(open);
        }
    }
    Err(no_proposal(policy, version))
}

/// The department whose stewards decide on a policy or a dataset.
pub(crate) fn owner(text: &str) -> Result<String, AppError> {
    match parse_one(text)?.value {
        Document::Policy(policy) => Ok(policy.owner.to_string()),
        Document::Dataset(dataset) => Ok(dataset.department.to_string()),
        _ => Err(InternalError::of_kind("read a proposal", "no policy and no dataset in it").into()),
    }
}

/// The department of which a second steward puts a document in force, if it is one that waits.
///
/// A policy opens data. A dataset above L1 that protects no unit makes each row a subject, so that one person's rows pass a
/// threshold by themselves: the reason that its author gives is read by somebody else first.
fn four_eyes(library: &Library, document: &Document) -> Option<Code> {
    match document {
        Document::Policy(policy) => Some(policy.owner.clone()),
        Document::Dataset(dataset) if library.counts_rows(dataset) => Some(dataset.department.clone()),
        _ => None,
    }
}

/// Lists the documents in force that were published here, the newest version of each; of datasets and policies those that
/// the caller may know of.
///
/// # Errors
/// Forbidden for all but stewards, operators and auditors.
pub async fn list_documents(
    installation: &Installation,
    caller: &Caller,
) -> Result<Vec<DocumentSummary>, AppError> {
    must_keep(caller)?;
    let visible = visible_datasets(installation, caller).await?;
    let library = library(installation).await?;
    let documents = documents_in_force(installation).await?;
    let shown = documents.values().filter(|document| match &document.value {
        Document::Dataset(dataset) => visible.contains(&dataset.metadata.id),
        Document::Policy(policy) => may_see_policy(caller, &library, policy),
        _ => true,
    });
    let told = |document: &Located<Document>| {
        summary(document, Outcome::Unchanged, lowers(&library, &document.value))
    };
    Ok(shown.map(told).collect())
}

/// Refuses unless the caller keeps documents, or checks who does.
pub(crate) fn must_keep(caller: &Caller) -> Result<(), AppError> {
    if caller.holds(PersonRole::Auditor) || caller.holds(PersonRole::Operator) {
        return Ok(());
    }
    must_be(caller, PersonRole::Steward)
}

fn parse(
    installation: &Installation,
    files: &[DocumentFile],
) -> Result<Vec<Located<Document>>, DocumentsRefused> {
    let mut errors = Vec::new();
    let mut documents = Vec::new();
    installation.blocking(|| {
        for file in files {
            match parse_documents(&file.name, &file.text) {
                Ok(parsed) => documents.extend(parsed),
                Err(found) => errors.extend(found),
            }
            if errors.len() > ERRORS_MAX {
                break;
            }
        }
    });
    if errors.is_empty() { Ok(documents) } else { Err(DocumentsRefused::Documents(first_errors(errors))) }
}

/// The documents in force with those of some files in their place, for people who may publish them, and those of the files.
///
/// # Errors
/// As [`check_documents`], without the tests of policies.
pub(crate) async fn as_if_published(
    installation: &Installation,
    caller: &Caller,
    files: &[DocumentFile],
) -> Result<(Library, Vec<Located<Document>>), DocumentsRefused> {
    must_own_all(installation, caller, files).await?;
    let new = parse(installation, files)?;
    let mut all: BTreeMap<(String, String), Located<Document>> = documents_in_force(installation).await?;
    for document in &new {
        all.insert((document.value.kind().to_string(), document.value.id()), document.clone());
    }
    let library = installation.blocking(|| Library::from_located(all.into_values().collect()));
    let library = library.map_err(DocumentsRefused::Documents).map_err(told_of_own)?;
    Ok((library, new))
}

async fn accept(
    installation: &Installation,
    caller: &Caller,
    files: &[DocumentFile],
) -> Result<Vec<Accepted>, DocumentsRefused> {
    let new = parse(installation, files)?;
    let mut errors = Vec::new();
    let in_force = documents_in_force(installation).await?;
    let mut outcomes = Vec::new();
    for document in &new {
        match must_be_bounded(document).and_then(|()| outcome_of(document, &in_force)) {
            Ok(outcome) => outcomes.push(outcome),
            Err(error) => errors.push(*error),
        }
    }
    if !errors.is_empty() {
        return Err(DocumentsRefused::Documents(first_errors(errors)));
    }
    let mut all: BTreeMap<(String, String), Located<Document>> = in_force;
    for document in &new {
        all.insert((document.value.kind().to_string(), document.value.id()), document.clone());
    }
    let are_new: BTreeSet<(Kind, String)> = new.iter().map(name_of).collect();
    let stay: Vec<_> =
        all.values().filter(|document| !are_new.contains(&name_of(document))).cloned().collect();
    let mut visible = known_to(installation, caller).await?;
    visible.extend(new.iter().filter_map(|document| match &document.value {
        Document::Dataset(dataset) => Some(dataset.metadata.id.clone()),
        _ => None,
    }));
    let all: Vec<Located<Document>> = all.into_values().collect();
    // First as the caller sees it: what is wrong with their own must not tell of datasets that they may not know of.
    let today = today(installation);
    let seen = installation.blocking(|| Library::as_seen(all.clone(), &new, &visible, today));
    let seen = seen.map_err(DocumentsRefused::Documents)?;
    must_fit(installation, all, &new, &stay).await?;
    let policies = new.iter().filter_map(|document| match &document.value {
        Document::Policy(policy) => Some(policy.as_ref().clone()),
        _ => None,
    });
    let policies: Vec<_> = policies.collect();
    let (now, settings, library) = (installation.now(), installation.settings().clone(), seen.clone());
    let run = move || -> Vec<_> {
        let run = |policy| run_tests(&library, policy, now, &settings);
        policies.iter().flat_map(run).take(ERRORS_MAX).collect()
    };
    let failures = installation.reviews.run(Judging::Tests, run).await.map_err(DocumentsRefused::App)?;
    if !failures.is_empty() {
        return Err(DocumentsRefused::Tests(failures));
    }
    let accepted = new.into_iter().zip(outcomes).map(|(document, outcome)| Accepted {
        four_eyes: four_eyes(&seen, &document.value),
        lowers: lowers(&seen, &document.value),
        warnings: warnings(installation, &seen, &document),
        document,
        outcome,
    });
    Ok(installation.blocking(|| accepted.collect()))
}

/// Refuses documents that would break others in force. Grants are records of their own; here they are only
/// checked, not kept.
async fn must_fit(
    installation: &Installation,
    all: Vec<Located<Document>>,
    new: &[Located<Document>],
    stay: &[Located<Document>],
) -> Result<(), DocumentsRefused> {
    let before = library(installation).await?;
    installation
        .blocking(|| {
            let after = Library::from_located(all)?;
            let mut errors = after.uncovered_since(&before, stay);
            for document in new {
                if let Document::Policy(policy) = &document.value {
                    errors.extend(faults_of_policy(&after, document, policy));
                }
            }
            errors.extend(faults_since(&before, &after, stay));
            if errors.is_empty() { Ok(()) } else { Err(first_errors(errors)) }
        })
        .map_err(DocumentsRefused::Documents)
}

/// Warns of the values of a document that do not count as they are written, by the documents that its author may know of.
fn warnings(
    installation: &Installation,
    library: &Library,
    document: &Located<Document>,
) -> Vec<DocumentWarning> {
    let now = local_time(installation.now(), &installation.settings().time_zone);
    let found = match &document.value {
        Document::Policy(policy) => warnings_of_policy(library, policy, now),
        Document::Dataset(dataset) => warnings_of_dataset(library, dataset, now),
        Document::Purpose(purpose) => warnings_of_purpose(library, &purpose.metadata.id),
        Document::GradeScheme(_)
        | Document::Department(_)
        | Document::Grant(_)
        | Document::Exception(_)
        | Document::Application(_) => Vec::new(),
    };
    let placed = |warning: Warning| DocumentWarning {
        file: document.file().map(str::to_owned),
        position: document.position(&warning.field),
        warning,
    };
    found.into_iter().map(placed).collect()
}

/// The grades that a document lowers by a mask, if it is a policy.
fn lowers(library: &Library, document: &Document) -> Vec<LoweredGrade> {
    match document {
        Document::Policy(policy) => library.lowered(policy),
        _ => Vec::new(),
    }
}

fn name_of(document: &Located<Document>) -> (Kind, String) {
    (document.value.kind(), document.value.id())
}

/// The datasets that the caller may know of: those that they may see, and those that policies in force of their own
/// departments name.
async fn known_to(installation: &Installation, caller: &Caller) -> Result<BTreeSet<DatasetId>, AppError> {
    let mut known = visible_datasets(installation, caller).await?;
    let library = library(installation).await?;
    for policy in library.policies().values().filter(|policy| may_see_policy(caller, &library, policy)) {
        known.extend(policy.object.resources.datasets.iter().cloned());
        known.extend(policy.condition.join_with.iter().map(|join| join.dataset.clone()));
    }
    Ok(known)
}

/// Says whether the caller may see a policy, even by name: it may tell of data that other departments may not know of.
pub(crate) fn may_see_policy(caller: &Caller, library: &Library, policy: &Policy) -> bool {
    is_steward(caller, library, policy.owner.as_str())
        || caller.holds(PersonRole::Auditor)
        || caller.holds(PersonRole::Operator)
}

/// Refuses documents that are too large. A policy's tests are run whenever it is checked; and the form that a document is
/// kept in must be readable again, also where it is longer than the form that the document came in.
fn must_be_bounded(document: &Located<Document>) -> Result<(), Box<DocumentError>> {
    let value = &document.value;
    let refused = |code: &'static str, field: &str, message: Text| DocumentError {
        code: code.into(),
        file: document.file().map(str::to_owned),
        position: document.position(field),
        document: format!("{} {}", value.kind(), value.id()),
        field: field.to_owned(),
        message,
        help: None,
    };
    if let Document::Policy(policy) = value
        && policy.tests.len() > TESTS_MAX
    {
        let message = Text::new(
            format!("a policy has at most {TESTS_MAX} tests"),
            format!("一份策略最多有 {TESTS_MAX} 个测试"),
        );
        return Err(Box::new(refused("too-many-tests", "tests", message)));
    }
    if value.to_yaml().is_ok_and(|text| text.len() > FILE_BYTES_MAX) {
        let message = Text::new(
            format!("a document has at most {FILE_BYTES_MAX} bytes in the form it is kept in"),
            format!("文档按保存的形式最多 {FILE_BYTES_MAX} 字节"),
        );
        return Err(Box::new(refused("document-too-large", "", message)));
    }
    Ok(())
}

fn outcome_of(
    document: &Located<Document>,
    in_force: &BTreeMap<(String, String), Located<Document>>,
) -> Result<Outcome, Box<DocumentError>> {
    let value = &document.value;
    let refused = |code: &'static str, message: Text, help: Text| DocumentError {
        code: code.into(),
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
    // Otherwise a policy could replace that of another department by taking its name.
    if let (Document::Policy(present), Document::Policy(new)) = (present, value)
        && present.owner != new.owner
    {
        return Err(Box::new(refused(
            "owner-differs",
            Text::new("this name belongs to a policy of another department", "此名称已属于其他部门的策略"),
            Text::new("choose another identifier", "请换一个标识"),
        )));
    }
    if present.version() >= value.version() {
        let (known, next) = (present.version(), present.version().saturating_add(1));
        return Err(Box::new(refused(
            "version-not-new",
            Text::new(
                format!("version {known} is in force, and a published version never changes"),
                format!("版本 {known} 已生效，已发布的版本不再改动"),
            ),
            Text::new(format!("give it version {next}"), format!("请改为版本 {next}")),
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
        Document::Dataset(dataset) => {
            // By its name as well: another department's dataset may have it, and others may not know of that one.
            must_steward(caller, library, dataset.metadata.id.department())?;
            must_steward(caller, library, dataset.department.as_str())
        }
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

impl Accepted {
    fn summary(&self, outcome: Outcome) -> DocumentSummary {
        let warnings = self.warnings.clone();
        DocumentSummary { warnings, ..summary(&self.document, outcome, self.lowers.clone()) }
    }
}

fn summary(document: &Located<Document>, outcome: Outcome, lowers: Vec<LoweredGrade>) -> DocumentSummary {
    let value = &document.value;
    DocumentSummary {
        kind: value.kind(),
        id: value.id(),
        version: value.version(),
        outcome,
        lowers,
        warnings: Vec::new(),
    }
}

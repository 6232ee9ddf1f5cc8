//! Use cases: an analyst asks for access, a steward of the department decides, and what was asked becomes a grant.
//! Nobody decides on their own request; what is granted is exactly what was asked.

use std::collections::BTreeSet;

use jiff::Timestamp;
use obscura_policies::day::Day;
use obscura_policies::document::Document;
use obscura_policies::document::Grant;
use obscura_policies::document::GrantedDataset;
use obscura_policies::vocabulary::Code;
use obscura_policies::vocabulary::PersonRole;
use serde_json::Value;

use crate::app::authorise::department_of;
use crate::app::authorise::is_steward;
use crate::app::authorise::must_be;
use crate::app::datasets::list_datasets;
use crate::app::grants::CreateGrant;
use crate::app::grants::approve_while_changing;
use crate::app::grants::check;
use crate::app::grants::draft;
use crate::app::installation::Installation;
use crate::app::library::library;
use crate::app::library::parse_one;
use crate::app::publish_documents::DocumentsRefused;
use crate::app::records::Note;
use crate::audit::event::Action;
use crate::audit::event::ActorName;
use crate::catalog::body::AccessRequestBody;
use crate::context::Caller;
use crate::error::AppError;
use crate::error::Class;
use crate::error::During as _;
use crate::error::InternalError;
use crate::error::PublicError;
use crate::ids::AccessRequestId;

/// Longest reason, in characters.
pub const REASON_MAX: usize = 2000;

/// What somebody asks for.
#[derive(Debug, Clone)]
pub struct RequestAccess {
    /// What for.
    pub purpose: Code,
    /// The datasets, all of one department, and how far.
    pub datasets: Vec<GrantedDataset>,
    /// Last day.
    pub until: Day,
    /// Why.
    pub reason: String,
}

/// What a steward says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccessDecision {
    /// It becomes a grant.
    Approve,
    /// It does not.
    Decline,
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// `approved`, `declined` or `withdrawn`.
    pub outcome: String,
    /// Who decided.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// What they said.
    pub reason: Option<String>,
}

/// A request for access.
#[derive(Debug, Clone, PartialEq)]
pub struct AccessRequestSummary {
    /// Identifier.
    pub id: String,
    /// The department that decides.
    pub department: String,
    /// The grant that it would be.
    pub grant: Grant,
    /// Why.
    pub reason: String,
    /// When it was asked.
    pub requested: Timestamp,
    /// What became of it; nothing while it is open.
    pub decided: Option<Decided>,
}

/// Asks for access.
///
/// # Errors
/// Forbidden for all but analysts; the documents' errors when it names what does not exist or could never be granted.
pub async fn request_access(
    installation: &Installation,
    caller: &Caller,
    request: RequestAccess,
) -> Result<AccessRequestSummary, DocumentsRefused> {
    must_be(caller, PersonRole::Analyst)?;
    check_reason(&request.reason)?;
    let library = library(installation).await?;
    // What one may not know of is answered like what is not there, before anything else is said.
    let visible = list_datasets(installation, caller).await?;
    for granted in &request.datasets {
        if !visible.iter().any(|dataset| dataset.id == granted.dataset) {
            return Err(AppError::from(PublicError::new(
                Class::Usage,
                "dataset-not-found",
                "there is no dataset of this name that you may ask for",
                "没有可供申请的该名称数据集",
            ))
            .into());
        }
    }
    let of = |granted: &GrantedDataset| department_of(&library, &granted.dataset).to_owned();
    let departments: BTreeSet<String> = request.datasets.iter().map(of).collect();
    let mut departments = departments.into_iter();
    let (Some(department), None) = (departments.next(), departments.next()) else {
        return Err(public(
            "one-department",
            "a request names datasets of one department, which decides on it",
            "一个申请须且仅可包含同一部门的数据集，由该部门审批",
        )
        .into());
    };
    let (clock, random) = (installation.clock.as_ref(), installation.random.as_ref());
    let id = AccessRequestId::new(clock, random).during("name a request")?.to_string();
    let RequestAccess { purpose, datasets, until, reason } = request;
    let person = caller.person().name.clone();
    let grant = draft(installation, CreateGrant { person, purpose, datasets, until })?;
    check(installation, &library, &grant).await?;
    let body = AccessRequestBody {
        id,
        person: grant.person.clone(),
        department,
        text: Document::Grant(grant.clone()).to_yaml().during("write a request")?,
        reason,
        // Whole seconds: nobody reads nanoseconds, and the body is kept for ever.
        requested: Timestamp::from_second(installation.now().as_second()).during("read the clock")?,
    };
    let note = Note::new(Action::AccessRequested, ActorName::of(caller))
        .with("purpose", grant.purpose.to_string())
        .with("department", body.department.clone());
    if installation.begin(&body, note).await?.is_none() {
        return Err(AppError::from(InternalError::of_kind("keep a request", "exists")).into());
    }
    Ok(summary(body, None)?)
}

/// Lists requests, newest first: analysts see their own, stewards those of their departments, auditors all.
///
/// # Errors
/// When the database or the log cannot be read.
pub async fn list_access_requests(
    installation: &Installation,
    caller: &Caller,
) -> Result<Vec<AccessRequestSummary>, AppError> {
    let library = library(installation).await?;
    let mut summaries = Vec::new();
    for (body, decided) in all(installation).await? {
        if is_steward(caller, &library, &body.department)
            || caller.holds(PersonRole::Auditor)
            || caller.asked_as(&body.person)
        {
            summaries.push(summary(body, decided)?);
        }
    }
    summaries.sort_by(|a, b| b.id.cmp(&a.id));
    Ok(summaries)
}

/// Shows one request.
///
/// # Errors
/// Not found when there is none, or it is not the caller's to see.
pub async fn show_access_request(
    installation: &Installation,
    caller: &Caller,
    id: &str,
) -> Result<AccessRequestSummary, AppError> {
    let all = list_access_requests(installation, caller).await?;
    all.into_iter().find(|request| request.id == id).ok_or_else(no_request)
}

/// Decides on a request: approved, it is a grant from this moment on.
///
/// # Errors
/// Not found when there is no such request to the caller's departments; forbidden on one's own and for all but stewards;
/// conflict when it was decided before.
pub async fn decide_access_request(
    installation: &Installation,
    caller: &Caller,
    id: &str,
    decision: AccessDecision,
    reason: Option<String>,
) -> Result<AccessRequestSummary, DocumentsRefused> {
    must_be(caller, PersonRole::Steward)?;
    if let Some(reason) = &reason {
        check_reason(reason)?;
    }
    let by = caller.person().name.to_string();
    {
        let _guard = installation.change().await?;
        let found = all(installation).await?.into_iter().find(|(body, _)| body.id == id);
        let (body, decided) = found.ok_or_else(no_request)?;
        let library = library(installation).await?;
        if !is_steward(caller, &library, &body.department) {
            return Err(no_request().into());
        }
        if body.person == by {
            let en = "nobody decides on their own request";
            let error = PublicError::new(Class::Forbidden, "not-oneself", en, "不能审批自己的申请");
            return Err(AppError::from(error).into());
        }
        if decided.is_some() {
            return Err(decided_before().into());
        }
        let mut note = Note::new(Action::AccessDecided, ActorName::of(caller)).with(
            "outcome",
            match decision {
                AccessDecision::Approve => "approved",
                AccessDecision::Decline => "declined",
            },
        );
        if let Some(reason) = reason {
            note = note.with("reason", reason);
        }
        match decision {
            AccessDecision::Approve => {
                let grant = grant_of(&body)?;
                let note = note.with("grant", grant.metadata.id.to_string());
                approve_while_changing(installation, caller, grant, (&body, note)).await?;
            }
            AccessDecision::Decline => {
                installation.end_while_changing(&body, note).await?;
            }
        }
    }
    Ok(show_access_request(installation, caller, id).await?)
}

/// Takes back a request of one's own.
///
/// # Errors
/// Not found when there is no such request of the caller; conflict when it was decided before.
pub async fn withdraw_access_request(
    installation: &Installation,
    caller: &Caller,
    id: &str,
) -> Result<AccessRequestSummary, AppError> {
    {
        let _guard = installation.change().await?;
        let mut found = all(installation).await?.into_iter();
        let is_own = |body: &AccessRequestBody| body.id == id && caller.asked_as(&body.person);
        let (body, decided) = found.find(|(body, _)| is_own(body)).ok_or_else(no_request)?;
        if decided.is_some() {
            return Err(decided_before());
        }
        let note = Note::new(Action::AccessDecided, ActorName::of(caller)).with("outcome", "withdrawn");
        installation.end_while_changing(&body, note).await?;
    }
    show_access_request(installation, caller, id).await
}

/// All requests that the log knows, with what became of them.
async fn all(installation: &Installation) -> Result<Vec<(AccessRequestBody, Option<Decided>)>, AppError> {
    let open = installation.all_in_force::<AccessRequestBody>().await?;
    let mut found: Vec<_> = open.into_iter().map(|body| (body, None)).collect();
    for (body, ended) in installation.ended::<AccessRequestBody>().await? {
        let event = installation.audit.event(ended).during("read the audit log")?;
        let text = |name: &str| event.detail.get(name).and_then(Value::as_str).map(str::to_owned);
        let decided = Decided {
            outcome: text("outcome").unwrap_or_default(),
            by: event.actor.name.clone(),
            at: event.time,
            reason: text("reason"),
        };
        found.push((body, Some(decided)));
    }
    Ok(found)
}

fn summary(body: AccessRequestBody, decided: Option<Decided>) -> Result<AccessRequestSummary, AppError> {
    let grant = grant_of(&body)?;
    let AccessRequestBody { id, department, reason, requested, .. } = body;
    Ok(AccessRequestSummary { id, department, grant, reason, requested, decided })
}

fn grant_of(body: &AccessRequestBody) -> Result<Grant, AppError> {
    match parse_one(&body.text)?.value {
        Document::Grant(grant) => Ok(grant),
        _ => Err(InternalError::of_kind("read a request", "no grant in it").into()),
    }
}

fn check_reason(reason: &str) -> Result<(), AppError> {
    if (1..=REASON_MAX).contains(&reason.chars().count()) {
        return Ok(());
    }
    Err(public(
        "reason-out-of-range",
        format!("a reason has 1 to {REASON_MAX} characters"),
        format!("理由须为 1 至 {REASON_MAX} 个字符"),
    ))
}

fn decided_before() -> AppError {
    PublicError::new(Class::Conflict, "request-decided", "the request was decided before", "该申请已有决定")
        .into()
}

fn no_request() -> AppError {
    PublicError::new(Class::NotFound, "request-not-found", "there is no such request", "没有该申请").into()
}

fn public(code: &'static str, en: impl Into<String>, zh: impl Into<String>) -> AppError {
    PublicError::new(Class::Usage, code, en, zh).into()
}

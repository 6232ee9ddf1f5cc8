//! Use cases: an analyst asks for access, a steward of the department decides, and what was asked becomes a grant.
//! Nobody decides on their own request; what is granted is exactly what was asked.

use std::collections::BTreeSet;

use jiff::Timestamp;
use obscura_policies::day::Day;
use obscura_policies::document::Document;
use obscura_policies::document::Grant;
use obscura_policies::document::GrantedDataset;
use obscura_policies::library::Library;
use obscura_policies::vocabulary::Code;
use obscura_policies::vocabulary::PersonRole;
use serde_json::Value;

use crate::app::data::datasets::list_datasets;
use crate::app::documents::grants::CreateGrant;
use crate::app::documents::grants::approve_while_changing;
use crate::app::documents::grants::check;
use crate::app::documents::grants::draft;
use crate::app::documents::grants::must_be_few;
use crate::app::documents::grants::names_of;
use crate::app::documents::publish_documents::DocumentsRefused;
use crate::app::people::authorise::department_of;
use crate::app::people::authorise::is_steward;
use crate::app::people::authorise::must_be;
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
use crate::installation::Installation;
use crate::installation::blocking::blocking_io;
use crate::installation::library::library;
use crate::installation::library::parse_one;
use crate::installation::records::Note;

/// Longest reason, in characters.
pub const REASON_MAX: usize = 2000;
/// Most open requests of one person.
pub const OPEN_MAX: usize = 16;
/// Most requests in one list.
pub const REQUESTS_MAX: u32 = 200;
/// Most requests that are looked through for one list of a steward, who then asks for more.
const LOOKED_THROUGH_MAX: usize = 2000;

/// A request for access, as a person makes it.
#[derive(Debug, Clone)]
pub struct RequestAccess {
    /// The purpose.
    pub purpose: Code,
    /// The datasets, all of one department, with the limits of each.
    pub datasets: Vec<GrantedDataset>,
    /// Last day.
    pub until: Day,
    /// The reason for asking.
    pub reason: String,
}

/// The decision of a steward.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccessDecision {
    /// It becomes a grant.
    Approve,
    /// It does not.
    Decline,
}

/// The outcome of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// `approved`, `declined` or `withdrawn`.
    pub outcome: String,
    /// The person who decided.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// The reason that they gave.
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
    /// The reason for asking.
    pub reason: String,
    /// When it was asked.
    pub requested: Timestamp,
    /// Its outcome; nothing while it is open.
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
    must_be_few(&request.datasets)?;
    let library = library(installation).await?;
    // A dataset that the caller may not know of is answered like a missing one, before anything else is said.
    let visible = list_datasets(installation, caller, "").await?;
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
        // Whole seconds: nanoseconds serve no reader, and the body is kept for ever.
        requested: Timestamp::from_second(installation.now().as_second()).during("read the clock")?,
    };
    let note = Note::new(Action::AccessRequested, ActorName::of(caller))
        .with("purpose", grant.purpose.to_string())
        .with("datasets", names_of(&grant))
        .with("department", body.department.clone());
    let _guard = installation.change().await?;
    if open_requests_of(installation, &body.person).await?.len() >= OPEN_MAX {
        return Err(too_many_open().into());
    }
    if installation.begin_while_changing(&body, note).await?.is_none() {
        return Err(AppError::from(InternalError::of_kind("keep a request", "exists")).into());
    }
    Ok(summary(body, None)?)
}

/// Requests, newest first.
#[derive(Debug)]
pub struct AccessRequestPage {
    /// The requests.
    pub requests: Vec<AccessRequestSummary>,
    /// The request before which there may be more.
    pub next: Option<AccessRequestId>,
}

/// Lists requests, newest first, from the one before `before` on: analysts see their own, stewards those of their
/// departments, auditors all.
///
/// # Errors
/// When the database or the log cannot be read.
pub async fn list_access_requests(
    installation: &Installation,
    caller: &Caller,
    before: Option<AccessRequestId>,
    most: u32,
) -> Result<AccessRequestPage, AppError> {
    let most = most.clamp(1, REQUESTS_MAX);
    let full = usize::try_from(most).unwrap_or(usize::MAX);
    let library = library(installation).await?;
    let sees_others = caller.holds(PersonRole::Auditor) || caller.holds(PersonRole::Steward);
    let own = (!sees_others).then(|| caller.person().name.as_str());
    let mut page = AccessRequestPage { requests: Vec::new(), next: before };
    let mut looked_through = 0;
    loop {
        let key = page.next.map(|id| id.to_string());
        let rows = installation.catalog.requests(own, key.as_deref(), most).await;
        let rows = rows.during("list requests for access")?;
        let is_last = rows.len() < full;
        looked_through += rows.len();
        let last = rows.last().map(|row| row.key.parse()).transpose().during("read a request's name")?;
        for (body, ended) in installation.known_ever::<AccessRequestBody>(&rows).await? {
            if page.requests.len() >= full {
                return Ok(page);
            }
            page.next = Some(body.id.parse().during("read a request's name")?);
            if may_see(caller, &library, &body) {
                page.requests.push(told(installation, body, ended)?);
            }
        }
        if page.requests.len() < full {
            page.next = last;
        }
        if is_last {
            return Ok(AccessRequestPage { next: None, ..page });
        }
        if page.requests.len() >= full || looked_through >= LOOKED_THROUGH_MAX {
            return Ok(page);
        }
    }
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
    let (body, ended) = find(installation, id).await?;
    if !may_see(caller, library(installation).await?.as_ref(), &body) {
        return Err(no_request());
    }
    told(installation, body, ended)
}

/// The requests of a person that no steward has decided on, oldest first.
pub(crate) async fn open_requests_of(
    installation: &Installation,
    person: &str,
) -> Result<Vec<AccessRequestBody>, AppError> {
    let records = installation.catalog.open_requests(person).await.during("list open requests")?;
    let known = installation.known_ever(&records).await?;
    Ok(known.into_iter().filter(|(_, ended)| ended.is_none()).map(|(body, _)| body).collect())
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
        let (body, ended) = find(installation, id).await?;
        let library = library(installation).await?;
        if !is_steward(caller, &library, &body.department) {
            return Err(no_request().into());
        }
        if body.person == by {
            let en = "nobody decides on their own request";
            let error = PublicError::new(Class::Forbidden, "not-oneself", en, "不能审批自己的申请");
            return Err(AppError::from(error).into());
        }
        if ended.is_some() {
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
        let (body, ended) = find(installation, id).await?;
        if !caller.asked_as(&body.person) {
            return Err(no_request());
        }
        if ended.is_some() {
            return Err(decided_before());
        }
        let note = Note::new(Action::AccessDecided, ActorName::of(caller)).with("outcome", "withdrawn");
        installation.end_while_changing(&body, note).await?;
    }
    show_access_request(installation, caller, id).await
}

/// A request that the log knows, and the event that ended it if one did. Its name alone is looked up: what is read must not
/// grow with what was ever asked.
async fn find(installation: &Installation, id: &str) -> Result<(AccessRequestBody, Option<u64>), AppError> {
    let id: AccessRequestId = id.parse().map_err(|_| no_request())?;
    installation.find_ever(&id.to_string()).await?.ok_or_else(no_request)
}

fn may_see(caller: &Caller, library: &Library, body: &AccessRequestBody) -> bool {
    is_steward(caller, library, &body.department)
        || caller.holds(PersonRole::Auditor)
        || caller.asked_as(&body.person)
}

/// A request as it is shown, with what became of it by the log.
fn told(
    installation: &Installation,
    body: AccessRequestBody,
    ended: Option<u64>,
) -> Result<AccessRequestSummary, AppError> {
    let Some(ended) = ended else { return summary(body, None) };
    let event = blocking_io(|| installation.audit.event(ended)).during("read the audit log")?;
    let text = |name: &str| event.detail.get(name).and_then(Value::as_str).map(str::to_owned);
    let decided = Decided {
        outcome: text("outcome").unwrap_or_default(),
        by: event.actor.name.clone(),
        at: event.time,
        reason: text("reason"),
    };
    summary(body, Some(decided))
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

fn too_many_open() -> AppError {
    PublicError::new(
        Class::Conflict,
        "too-many-open-requests",
        format!("you have {OPEN_MAX} open requests, as many as one person may have"),
        format!("您有 {OPEN_MAX} 个待审批的申请，已达上限"),
    )
    .with_help("wait until one is decided, or withdraw one", "请等待审批，或撤回其中之一")
    .into()
}

fn no_request() -> AppError {
    PublicError::new(Class::NotFound, "request-not-found", "there is no such request", "没有该申请").into()
}

fn public(code: &'static str, en: impl Into<String>, zh: impl Into<String>) -> AppError {
    PublicError::new(Class::Usage, code, en, zh).into()
}

//! Use cases: a steward gives an analyst a grant, revokes it, lists those in force.
//! A steward grants only data of their department, and nobody grants to themself.

use std::collections::BTreeSet;

use obscura_policies::day::Day;
use obscura_policies::document::ApiVersion;
use obscura_policies::document::Document;
use obscura_policies::document::Grant;
use obscura_policies::document::GrantKind;
use obscura_policies::document::GrantedDataset;
use obscura_policies::document::Metadata;
use obscura_policies::evaluate::warnings_of_grant;
use obscura_policies::library::Library;
use obscura_policies::parse::DocumentError;
use obscura_policies::parse::parse_documents;
use obscura_policies::vocabulary::Code;
use obscura_policies::vocabulary::PersonRole;
use obscura_policies::vocabulary::Text;

use crate::app::documents::publish_documents::DocumentFile;
use crate::app::documents::publish_documents::DocumentsRefused;
use crate::app::documents::row_filters::faults_of_grant;
use crate::app::documents::without_names::without_names;
use crate::app::people::authorise::department_of;
use crate::app::people::authorise::is_steward;
use crate::app::people::authorise::must_be;
use crate::app::people::authorise::must_steward;
use crate::app::people::in_force::no_such_person;
use crate::app::query::principal::principal_of;
use crate::audit::event::Action;
use crate::audit::event::ActorName;
use crate::catalog::body::AccessRequestBody;
use crate::catalog::body::GrantBody;
use crate::catalog::body::PersonBody;
use crate::context::Caller;
use crate::context::PersonName;
use crate::error::AppError;
use crate::error::Class;
use crate::error::During as _;
use crate::error::PublicError;
use crate::ids::GrantId;
use crate::installation::Installation;
use crate::installation::library::grants_in_force;
use crate::installation::library::holds_on;
use crate::installation::library::library;
use crate::installation::library::local_time;
use crate::installation::library::today;
use crate::installation::records::Note;

/// Most datasets of one grant.
pub const DATASETS_MAX: usize = 32;
/// Longest condition on rows, in bytes.
pub const ROW_FILTER_BYTES_MAX: usize = 2048;
/// Largest document of a grant, in bytes: it is read again with every question.
pub const GRANT_BYTES_MAX: usize = 64 * 1024;

/// The grant to give.
#[derive(Debug, Clone)]
pub struct CreateGrant {
    /// The person who may ask.
    pub person: PersonName,
    /// The purpose.
    pub purpose: Code,
    /// The datasets, with the limits of each.
    pub datasets: Vec<GrantedDataset>,
    /// Last day.
    pub until: Day,
}

/// A grant in force.
#[derive(Debug, Clone, PartialEq)]
pub struct GrantSummary {
    /// Its document.
    pub grant: Grant,
    /// The person who gave it.
    pub granted_by: String,
    /// The reasons that questions under it are not answered yet, when it was given just now.
    pub warnings: Vec<Text>,
}

/// Gives a grant.
///
/// # Errors
/// Forbidden for all but stewards of every department concerned, and to oneself; the documents' errors when it names
/// what does not exist.
pub async fn create_grant(
    installation: &Installation,
    caller: &Caller,
    request: CreateGrant,
) -> Result<GrantSummary, DocumentsRefused> {
    must_be(caller, PersonRole::Steward)?;
    let grant = draft(installation, request)?;
    give(installation, caller, grant).await
}

/// A grant as it would be given, under a name of its own.
pub(crate) fn draft(installation: &Installation, request: CreateGrant) -> Result<Grant, AppError> {
    let id =
        GrantId::new(installation.clock.as_ref(), installation.random.as_ref()).during("name a grant")?;
    let id: Code = id.to_string().parse().during("name a grant")?;
    let title = format!("{}: {}", request.person, request.purpose);
    Ok(Grant {
        api_version: ApiVersion,
        kind: GrantKind,
        metadata: Metadata { id, version: 1, title: Text::new(title.clone(), title) },
        person: request.person.to_string(),
        purpose: request.purpose,
        datasets: request.datasets,
        from: None,
        until: request.until,
        approved_by: BTreeSet::new(),
    })
}

/// Gives the grants that a file holds. Their approver is the caller, whatever the file says.
///
/// # Errors
/// As [`create_grant`], and when the file holds anything but grants. Grants before the first wrong one are given.
pub async fn create_grants(
    installation: &Installation,
    caller: &Caller,
    file: &DocumentFile,
) -> Result<Vec<GrantSummary>, DocumentsRefused> {
    // Before anything of the file is read: only stewards may make the server work on it.
    must_be(caller, PersonRole::Steward)?;
    let documents = installation.blocking(|| parse_documents(&file.name, &file.text));
    let documents = documents.map_err(DocumentsRefused::Documents)?;
    let mut grants = Vec::new();
    for document in documents {
        match document.value {
            Document::Grant(grant) if grant.metadata.id.as_str().parse::<GrantId>().is_ok() => {
                return Err(DocumentsRefused::Documents(vec![reserved(file, &grant)]));
            }
            Document::Grant(grant) => grants.push(grant),
            other => return Err(not_a_grant(file, &other)),
        }
    }
    let mut given = Vec::new();
    for grant in grants {
        given.push(give(installation, caller, grant).await?);
    }
    Ok(given)
}

/// Revokes a grant.
///
/// # Errors
/// Forbidden for all but stewards of a department concerned; not found when there is no such grant in force.
pub async fn revoke_grant(installation: &Installation, caller: &Caller, id: &str) -> Result<(), AppError> {
    must_be(caller, PersonRole::Steward)?;
    let library = library(installation).await?;
    let grants = grants_in_force(installation, None).await?;
    // A grant of other departments looks like none at all.
    let found = grants.into_iter().find(|(body, grant)| body.id == id && concerns(caller, &library, grant));
    let Some((body, grant)) = found else {
        let id: String = id.chars().take(64).collect();
        return Err(PublicError::new(
            Class::NotFound,
            "grant-not-found",
            format!("there is no grant `{id}` in force"),
            format!("没有有效的授权 `{id}`"),
        )
        .with_help("`obscura grant list` shows those in force", "可用 `obscura grant list` 查看")
        .into());
    };
    let note = Note::new(Action::GrantRevoked, ActorName::of(caller))
        .with("person", grant.person.clone())
        .with("purpose", grant.purpose.to_string())
        .with("datasets", names_of(&grant));
    installation.end(&body, note).await?;
    Ok(())
}

/// Lists the grants in force: analysts see their own, stewards those of their departments, auditors all.
///
/// # Errors
/// When the database or the log cannot be read.
pub async fn list_grants(
    installation: &Installation,
    caller: &Caller,
) -> Result<Vec<GrantSummary>, AppError> {
    let library = library(installation).await?;
    let grants = grants_in_force(installation, None).await?;
    let today = today(installation);
    let shown = |grant: &Grant| {
        let keeps = || caller.holds(PersonRole::Auditor) || concerns(caller, &library, grant);
        // A caller who keeps grants sees those that begin later as well.
        (caller.asked_as(&grant.person) && holds_on(grant, today)) || (today <= grant.until && keeps())
    };
    Ok(grants
        .into_iter()
        .filter(|(_, grant)| shown(grant))
        .map(|(body, grant)| GrantSummary { grant, granted_by: body.granted_by, warnings: Vec::new() })
        .collect())
}

/// Checks that a grant could be given at all, by any caller.
pub(crate) async fn check(
    installation: &Installation,
    library: &Library,
    grant: &Grant,
) -> Result<(), DocumentsRefused> {
    must_be_small(grant)?;
    let name: PersonName = grant.person.parse().map_err(|_| {
        public(
            Class::Usage,
            "person-malformed",
            "the grant's `person` is no person's name",
            "授权中的人员名称格式不正确",
        )
    })?;
    let person = installation.find_in_force::<PersonBody>(name.as_str()).await?;
    match &person {
        None => return Err(no_such_person(&name).into()),
        Some(person) if !person.roles.contains(PersonRole::Analyst.as_str()) => {
            let en = "only analysts are given grants";
            return Err(public(Class::Usage, "not-an-analyst", en, "只能给分析人员授权").into());
        }
        Some(_) => {}
    }
    if grant.until < today(installation) {
        return Err(
            public(Class::Usage, "grant-over", "the grant's last day is past", "授权的截止日期已过").into()
        );
    }
    library.check_grant(grant).map_err(|errors| DocumentsRefused::Documents(without_names(errors)))?;
    let faults = installation.blocking(|| faults_of_grant(library, grant));
    if faults.is_empty() { Ok(()) } else { Err(DocumentsRefused::Documents(faults)) }
}

/// Refuses datasets that are more, or have longer row filters, than a person can review.
pub(crate) fn must_be_few(datasets: &[GrantedDataset]) -> Result<(), AppError> {
    if datasets.len() > DATASETS_MAX {
        let en = format!("a grant names at most {DATASETS_MAX} datasets");
        let zh = format!("一个授权最多包含 {DATASETS_MAX} 个数据集");
        return Err(public(Class::Usage, "too-many-datasets", en, zh));
    }
    let mut filters = datasets.iter().filter_map(|granted| granted.row_filter.as_ref());
    if filters.any(|filter| filter.len() > ROW_FILTER_BYTES_MAX) {
        let en = format!("a row filter has at most {ROW_FILTER_BYTES_MAX} bytes");
        let zh = format!("行过滤条件最长 {ROW_FILTER_BYTES_MAX} 字节");
        return Err(public(Class::Usage, "row-filter-too-long", en, zh));
    }
    Ok(())
}

/// Refuses a grant, asked for or given, that is too long: it is kept for ever, and read with every question of the person.
fn must_be_small(grant: &Grant) -> Result<(), AppError> {
    must_be_few(&grant.datasets)?;
    let text = Document::Grant(grant.clone()).to_yaml().during("write a grant")?;
    if text.len() <= GRANT_BYTES_MAX {
        return Ok(());
    }
    let en = format!("a grant has at most {GRANT_BYTES_MAX} bytes");
    Err(public(Class::Usage, "grant-too-large", en, format!("一个授权最大 {GRANT_BYTES_MAX} 字节")))
}

async fn give(
    installation: &Installation,
    caller: &Caller,
    grant: Grant,
) -> Result<GrantSummary, DocumentsRefused> {
    let _guard = installation.change().await?;
    let id = grant.metadata.id.to_string();
    match give_while_changing(installation, caller, grant).await? {
        Some(summary) => Ok(summary),
        None => Err(given_before(&id).into()),
    }
}

/// Gives a grant, for callers that hold the right to change; nothing when it was given before.
async fn give_while_changing(
    installation: &Installation,
    caller: &Caller,
    grant: Grant,
) -> Result<Option<GrantSummary>, DocumentsRefused> {
    let (body, note, summary) = prepare(installation, caller, grant).await?;
    let given = installation.begin_while_changing(&body, note).await?;
    Ok(given.map(|_| summary))
}

/// Gives the grant that was asked for and closes the request, in one step of the log.
pub(crate) async fn approve_while_changing(
    installation: &Installation,
    caller: &Caller,
    grant: Grant,
    (request, closing): (&AccessRequestBody, Note),
) -> Result<(), DocumentsRefused> {
    let (body, note, _) = prepare(installation, caller, grant).await?;
    let is_given = installation.replace_while_changing((request, closing), (&body, note)).await?;
    // The request stays open: the steward who decides must not be told of another person's grant.
    if is_given { Ok(()) } else { Err(given_before(&body.id).into()) }
}

/// Makes a grant's record, event and summary, once it is known that the caller may give it.
async fn prepare(
    installation: &Installation,
    caller: &Caller,
    mut grant: Grant,
) -> Result<(GrantBody, Note, GrantSummary), DocumentsRefused> {
    must_be(caller, PersonRole::Steward)?;
    let library = library(installation).await?;
    for granted in &grant.datasets {
        must_steward(caller, &library, department_of(&library, &granted.dataset))?;
    }
    let by = caller.person().name.to_string();
    if grant.person == by {
        return Err(
            public(Class::Forbidden, "not-oneself", "nobody grants to themself", "不能给自己授权").into()
        );
    }
    grant.approved_by = BTreeSet::from([by.clone()]);
    check(installation, &library, &grant).await?;
    let body = GrantBody {
        id: grant.metadata.id.to_string(),
        person: grant.person.clone(),
        text: Document::Grant(grant.clone()).to_yaml().during("write a grant")?,
        granted_by: by.clone(),
    };
    let note = Note::new(Action::GrantCreated, ActorName::of(caller))
        .with("person", grant.person.clone())
        .with("purpose", grant.purpose.to_string())
        .with("datasets", names_of(&grant));
    let warnings = warnings(installation, &library, &grant).await?;
    Ok((body, note, GrantSummary { grant, granted_by: by, warnings }))
}

/// Names of the datasets of a grant, as its event carries them.
pub(crate) fn names_of(grant: &Grant) -> Vec<String> {
    grant.datasets.iter().map(|granted| granted.dataset.to_string()).collect()
}

/// The reasons that questions under a grant will not be answered, by the policies in force.
async fn warnings(
    installation: &Installation,
    library: &Library,
    grant: &Grant,
) -> Result<Vec<Text>, AppError> {
    let Some(person) = installation.find_in_force::<PersonBody>(&grant.person).await? else {
        return Ok(Vec::new());
    };
    let person = person.person().during("read a person")?;
    let principal = principal_of(&person)?;
    let now = local_time(installation.now(), &installation.settings().time_zone);
    let found = installation.blocking(|| warnings_of_grant(library, &principal, grant, now));
    Ok(found.into_iter().map(|warning| warning.text).collect())
}

fn concerns(caller: &Caller, library: &Library, grant: &Grant) -> bool {
    grant.datasets.iter().any(|granted| is_steward(caller, library, department_of(library, &granted.dataset)))
}

fn public(class: Class, code: &'static str, en: impl Into<String>, zh: impl Into<String>) -> AppError {
    PublicError::new(class, code, en, zh).into()
}

fn given_before(id: &str) -> AppError {
    public(
        Class::Conflict,
        "grant-exists",
        format!("a grant `{id}` was given before"),
        format!("授权 `{id}` 已存在"),
    )
}

/// Names of the form that the server gives are the server's: one in a file could stand in the way of a request.
fn reserved(file: &DocumentFile, grant: &Grant) -> DocumentError {
    DocumentError {
        code: "grant-id-reserved".into(),
        file: Some(file.name.clone()),
        position: None,
        document: format!("Grant {}", grant.metadata.id),
        field: "metadata.id".to_owned(),
        message: Text::new("names of this form are given by the server", "此形式的名称由服务器使用"),
        help: Some(Text::new("choose a name that says what it is for", "请换一个说明用途的名称")),
    }
}

fn not_a_grant(file: &DocumentFile, document: &Document) -> DocumentsRefused {
    DocumentsRefused::Documents(vec![DocumentError {
        code: "not-a-grant".into(),
        file: Some(file.name.clone()),
        position: None,
        document: format!("{} {}", document.kind(), document.id()),
        field: "kind".to_owned(),
        message: Text::new("only grants are given", "此处只接受授权"),
        help: Some(Text::new(
            "publish other documents with `obscura policy publish`",
            "其他文档请用 `obscura policy publish` 发布",
        )),
    }])
}

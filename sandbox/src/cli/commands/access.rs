//! `request create`, `list`, `approve`, `decline`, `withdraw`.

use obscura_policies::document::GrantedDataset;
use serde_json::json;

use crate::api::grants::AccessRequestView;
use crate::api::grants::DecisionWord;
use crate::app::documents::access_requests::RequestAccess;
use crate::cli::args::Output;
use crate::cli::args::RequestCommand;
use crate::cli::exit::Exit;
use crate::cli::screen::Screen;
use crate::cli::session::Ending;
use crate::cli::session::Session;
use crate::cli::table::Listing;

pub(in crate::cli) async fn request(
    session: &mut Session<'_>,
    command: RequestCommand,
) -> Result<Exit, Ending> {
    let desk = session.desk().await?;
    match command {
        RequestCommand::Create { purpose, datasets, until, reason } => {
            let whole = |dataset| GrantedDataset {
                dataset,
                columns: None,
                uses: None,
                row_filter: None,
                jurisdiction: false,
            };
            let datasets = datasets.into_iter().map(whole).collect();
            let request = RequestAccess { purpose, datasets, until, reason };
            let asked = desk.request_access(request).await?;
            session.screen.say(
                &format!("A steward of `{}` decides on it.", asked.department),
                &format!("由 `{}` 的数据管理员审批。", asked.department),
            )?;
            session.screen.line(&asked.id)?;
            return Ok(Exit::Waits);
        }
        RequestCommand::List => {
            let requests = desk.access_requests().await?;
            show(session, &requests)?;
        }
        RequestCommand::Show { id } => {
            let request = desk.access_request(&id).await?;
            show_one(&mut session.screen, &request)?;
        }
        RequestCommand::Approve { id, reason } => {
            let grant = desk.decide(&id, DecisionWord::Approve, reason).await?.grant;
            session.screen.say(
                &format!("`{}` may ask for `{}` until {}", grant.person, grant.purpose, grant.until),
                &format!("`{}` 可用于 `{}`，有效期至 {}", grant.person, grant.purpose, grant.until),
            )?;
            session.screen.line(&grant.id)?;
        }
        RequestCommand::Decline { id, reason } => {
            desk.decide(&id, DecisionWord::Decline, reason).await?;
            session.screen.say(&format!("`{id}` is declined"), &format!("已拒绝 `{id}`"))?;
        }
        RequestCommand::Withdraw { id } => {
            desk.withdraw_request(&id).await?;
            session.screen.say(&format!("`{id}` is withdrawn"), &format!("已撤回 `{id}`"))?;
        }
    }
    Ok(Exit::Done)
}

fn show(session: &mut Session<'_>, requests: &[AccessRequestView]) -> std::io::Result<()> {
    let mut listing = Listing::new(
        &session.screen,
        &[
            ("id", "request", "申请"),
            ("person", "person", "人员"),
            ("purpose", "purpose", "用途"),
            ("datasets", "datasets", "数据集"),
            ("until", "until", "截止"),
            ("reason", "reason", "理由"),
            ("outcome", "decision", "决定"),
        ],
    );
    for request in requests {
        let grant = &request.grant;
        let datasets: Vec<&String> = grant.datasets.iter().map(|granted| &granted.dataset).collect();
        let decision = Some(&request.state).filter(|state| *state != "open");
        listing.row(vec![
            json!(request.id),
            json!(grant.person),
            json!(grant.purpose),
            json!(datasets),
            json!(grant.until),
            json!(request.reason),
            json!(decision),
        ]);
    }
    listing.write(&mut session.screen)
}

/// Shows everything that a decision on the request rests on.
fn show_one(screen: &mut Screen<'_>, request: &AccessRequestView) -> Result<(), Ending> {
    if matches!(screen.output, Output::Json) {
        let text = serde_json::to_string_pretty(request).map_err(std::io::Error::other)?;
        return Ok(screen.line(&text)?);
    }
    let grant = &request.grant;
    let mut listing = Listing::new(screen, &[("field", "field", "项目"), ("value", "value", "内容")]);
    let mut row = |en: &str, zh: &str, value: &str| {
        listing.row(vec![json!(screen.either(en, zh)), json!(value)]);
    };
    row("request", "申请", &request.id);
    row("state", "状态", screen.word(&request.state));
    row("person", "人员", &grant.person);
    row("purpose", "用途", &grant.purpose);
    row("until", "截止", &grant.until);
    for granted in &grant.datasets {
        row("dataset", "数据集", &granted.dataset);
        if let Some(columns) = &granted.columns {
            row("  columns", "  字段", &columns.iter().cloned().collect::<Vec<_>>().join(", "));
        }
        if let Some(filter) = &granted.row_filter {
            row("  rows", "  行", filter);
        }
    }
    row("reason", "理由", &request.reason);
    if let Some(by) = &request.decided_by {
        row("decided by", "审批人", by);
    }
    if let Some(reason) = &request.decision_reason {
        row("said", "审批意见", reason);
    }
    Ok(listing.write(screen)?)
}

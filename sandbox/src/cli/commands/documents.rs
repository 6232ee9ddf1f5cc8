//! `policy check`, `publish`, `proposals`, `activate`, `withdraw`; `grant create`, `grant list`, `grant revoke`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

use obscura_policies::document::GrantedDataset;
use obscura_policies::vocabulary::ColumnName;
use serde_json::json;

use crate::app::grants::CreateGrant;
use crate::app::grants::GrantSummary;
use crate::app::grants::create_grant;
use crate::app::grants::create_grants;
use crate::app::grants::list_grants;
use crate::app::grants::revoke_grant;
use crate::app::publish_documents::DocumentFile;
use crate::app::publish_documents::DocumentSummary;
use crate::app::publish_documents::Outcome;
use crate::app::publish_documents::ProposalSummary;
use crate::app::publish_documents::activate_policy;
use crate::app::publish_documents::check_documents;
use crate::app::publish_documents::list_documents;
use crate::app::publish_documents::list_proposals;
use crate::app::publish_documents::publish_documents;
use crate::app::publish_documents::withdraw_policy;
use crate::cli::args::GrantArgs;
use crate::cli::args::GrantCommand;
use crate::cli::args::PolicyCommand;
use crate::cli::args::PolicyVersion;
use crate::cli::exit::Exit;
use crate::cli::screen::Screen;
use crate::cli::session::Ending;
use crate::cli::session::Session;
use crate::cli::table::Listing;
use crate::error::Class;
use crate::error::PublicError;

pub(in crate::cli) async fn policy(
    session: &mut Session<'_>,
    command: PolicyCommand,
) -> Result<Exit, Ending> {
    let (installation, caller) = session.enter().await?;
    let summaries = match command {
        PolicyCommand::Proposals => {
            show_proposals(&mut session.screen, &list_proposals(&installation, &caller).await?)?;
            return Ok(Exit::Done);
        }
        PolicyCommand::Activate { policy: PolicyVersion { id, version } } => {
            vec![activate_policy(&installation, &caller, &id, version).await?]
        }
        PolicyCommand::Withdraw { policy: PolicyVersion { id, version } } => {
            withdraw_policy(&installation, &caller, &id, version).await?;
            session
                .screen
                .say(&format!("`{id}@{version}` is withdrawn"), &format!("已撤回 `{id}@{version}`"))?;
            return Ok(Exit::Done);
        }
        PolicyCommand::List => list_documents(&installation, &caller).await?,
        PolicyCommand::Check { files } => check_documents(&installation, &read_files(&files)?).await?,
        PolicyCommand::Publish { files } => {
            publish_documents(&installation, &caller, &read_files(&files)?).await?
        }
    };
    show_documents(&mut session.screen, &summaries)?;
    if summaries.iter().any(|summary| summary.outcome == Outcome::Proposed) {
        session.screen.say(
            "Another steward of the department puts a policy in force: `obscura policy activate`.",
            "策略须由该部门的另一名数据管理员启用：`obscura policy activate`。",
        )?;
        return Ok(Exit::Waits);
    }
    Ok(Exit::Done)
}

fn show_proposals(screen: &mut Screen<'_>, proposals: &[ProposalSummary]) -> std::io::Result<()> {
    let columns = [
        ("policy", "policy", "策略"),
        ("version", "version", "版本"),
        ("proposed_by", "proposed by", "提出人"),
    ];
    let mut listing = Listing::new(screen, &columns);
    for proposal in proposals {
        listing.row(vec![json!(proposal.policy), json!(proposal.version), json!(proposal.proposed_by)]);
    }
    listing.write(screen)
}

pub(in crate::cli) async fn grant(session: &mut Session<'_>, command: GrantCommand) -> Result<Exit, Ending> {
    let (installation, caller) = session.enter().await?;
    match command {
        GrantCommand::Create(args) => {
            let given = match &args.file {
                Some(file) => create_grants(&installation, &caller, &read_file(file)?).await?,
                None => vec![create_grant(&installation, &caller, request(args)?).await?],
            };
            for summary in &given {
                let grant = &summary.grant;
                session.screen.say(
                    &format!("`{}` may ask for `{}` until {}", grant.person, grant.purpose, grant.until),
                    &format!("`{}` 可用于 `{}`，有效期至 {}", grant.person, grant.purpose, grant.until),
                )?;
                session.screen.line(&grant.metadata.id.to_string())?;
            }
        }
        GrantCommand::List => show_grants(&mut session.screen, &list_grants(&installation, &caller).await?)?,
        GrantCommand::Revoke { id } => {
            revoke_grant(&installation, &caller, &id).await?;
            session.screen.say(&format!("`{id}` is revoked"), &format!("已撤销 `{id}`"))?;
        }
    }
    Ok(Exit::Done)
}

fn show_documents(screen: &mut Screen<'_>, summaries: &[DocumentSummary]) -> std::io::Result<()> {
    let columns = [
        ("kind", "kind", "类型"),
        ("id", "document", "文档"),
        ("version", "version", "版本"),
        ("outcome", "state", "状态"),
    ];
    let mut listing = Listing::new(screen, &columns);
    for summary in summaries {
        let outcome = match summary.outcome {
            Outcome::Sound => screen.either("sound", "无误"),
            Outcome::Unchanged => screen.either("in force already", "此前已生效"),
            Outcome::Published => screen.either("in force now", "已生效"),
            Outcome::Proposed => screen.either("waits for a second person", "待他人启用"),
        };
        let kind = summary.kind.as_str();
        listing.row(vec![json!(kind), json!(summary.id), json!(summary.version), json!(outcome)]);
    }
    listing.write(screen)
}

fn show_grants(screen: &mut Screen<'_>, grants: &[GrantSummary]) -> std::io::Result<()> {
    let mut listing = Listing::new(
        screen,
        &[
            ("id", "grant", "授权"),
            ("person", "person", "人员"),
            ("purpose", "purpose", "用途"),
            ("datasets", "datasets", "数据集"),
            ("until", "until", "截止"),
            ("granted_by", "given by", "授权人"),
        ],
    );
    for summary in grants {
        let grant = &summary.grant;
        let datasets: Vec<String> =
            grant.datasets.iter().map(|granted| granted.dataset.to_string()).collect();
        listing.row(vec![
            json!(grant.metadata.id.to_string()),
            json!(grant.person),
            json!(grant.purpose.to_string()),
            json!(datasets),
            json!(grant.until.to_string()),
            json!(summary.granted_by),
        ]);
    }
    listing.write(screen)
}

fn request(args: GrantArgs) -> Result<CreateGrant, Ending> {
    let (Some(person), Some(purpose), Some(until)) = (args.person, args.purpose, args.until) else {
        return Err(usage(
            "a grant needs `--person`, `--purpose`, `--dataset` and `--until`",
            "授权需要人员、用途、数据集和截止日期",
        ));
    };
    let mut datasets = Vec::new();
    for text in &args.dataset {
        datasets.push(granted(text, args.row_filter.clone())?);
    }
    Ok(CreateGrant { person, purpose, datasets, until })
}

/// Reads `ID` or `ID:COLUMN,COLUMN`.
fn granted(text: &str, row_filter: Option<String>) -> Result<GrantedDataset, Ending> {
    let wrong = || {
        usage(
            "a dataset is written ID or ID:COLUMN,COLUMN, such as `hz-health.visits:person_id,cost`",
            "数据集写作 ID 或 ID:字段,字段，例如 `hz-health.visits:person_id,cost`",
        )
    };
    let (id, columns) = match text.split_once(':') {
        Some((id, columns)) => (id, Some(columns)),
        None => (text, None),
    };
    let columns = columns.map(|list| list.split(',').map(|name| name.trim().parse::<ColumnName>()).collect());
    let columns: Option<BTreeSet<ColumnName>> = columns.transpose().map_err(|_| wrong())?;
    let dataset = id.parse().map_err(|_| wrong())?;
    Ok(GrantedDataset { dataset, columns, uses: None, row_filter, jurisdiction: false })
}

fn usage(en: &str, zh: &str) -> Ending {
    PublicError::new(Class::Usage, "usage", en, zh).into()
}

fn read_files(paths: &[PathBuf]) -> Result<Vec<DocumentFile>, Ending> {
    paths.iter().map(|path| read_file(path)).collect()
}

fn read_file(path: &Path) -> Result<DocumentFile, Ending> {
    let name = path.display().to_string();
    let text = fs::read_to_string(path).map_err(|error| {
        PublicError::new(
            Class::Usage,
            "file-unreadable",
            format!("`{name}` cannot be read ({})", error.kind()),
            format!("无法读取 `{name}`"),
        )
    })?;
    Ok(DocumentFile { name, text })
}

//! `policy template`, `schema`, `check`, `publish`, `proposals`, `activate`, `withdraw`; `grant create`, `grant list`,
//! `grant revoke`.

use std::collections::BTreeSet;
use std::path::Path;

use obscura_policies::document::GrantedDataset;
use obscura_policies::document::schema;
use obscura_policies::document::schema_of_any;
use obscura_policies::parse::parse_documents;
use obscura_policies::shipped::Template;
use obscura_policies::shipped::template;
use obscura_policies::vocabulary::ColumnName;
use serde_json::Value;
use serde_json::json;
use similar::TextDiff;

use crate::api::grants::GrantView;
use crate::api::policies::DocumentState;
use crate::api::policies::DocumentTextView;
use crate::api::policies::DocumentView;
use crate::api::policies::WarningView;
use crate::app::documents::grants::CreateGrant;
use crate::cli::args::DocumentName;
use crate::cli::args::GrantArgs;
use crate::cli::args::GrantCommand;
use crate::cli::args::KeptCommand;
use crate::cli::args::Output;
use crate::cli::args::PolicyCommand;
use crate::cli::args::PolicyVersion;
use crate::cli::commands::document_files::document_name;
use crate::cli::commands::document_files::read_file;
use crate::cli::commands::document_files::read_files;
use crate::cli::commands::exposure::exposure;
use crate::cli::desk::Desk;
use crate::cli::exit::Exit;
use crate::cli::screen::Paint;
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
    match command {
        PolicyCommand::Template { kind } => {
            let Template { en, zh } = template(kind.into());
            let text = session.screen.either(en, zh);
            session.screen.data(text.as_bytes())?;
            Ok(Exit::Done)
        }
        PolicyCommand::Schema { kind } => {
            let schema = kind.map_or_else(schema_of_any, |kind| schema(kind.into()));
            session.screen.line(&serde_json::to_string_pretty(&schema).map_err(std::io::Error::other)?)?;
            Ok(Exit::Done)
        }
        PolicyCommand::Kept(command) => kept(session, command).await,
    }
}

/// The commands about the documents that an installation keeps.
async fn kept(session: &mut Session<'_>, command: KeptCommand) -> Result<Exit, Ending> {
    let desk = session.desk().await?;
    let documents = match command {
        KeptCommand::Proposals => {
            show_proposals(&mut session.screen, &desk.proposals().await?)?;
            return Ok(Exit::Done);
        }
        KeptCommand::Activate { policy: PolicyVersion { id, version } } => {
            vec![desk.activate(&id, version).await?]
        }
        KeptCommand::Withdraw { policy: PolicyVersion { id, version } } => {
            desk.withdraw_policy(&id, version).await?;
            session
                .screen
                .say(&format!("`{id}@{version}` is withdrawn"), &format!("已撤回 `{id}@{version}`"))?;
            return Ok(Exit::Done);
        }
        KeptCommand::Show { document: DocumentName { id, version } } => {
            let shown = desk.document(&id, version).await?;
            show_text(&mut session.screen, &shown)?;
            return Ok(Exit::Done);
        }
        KeptCommand::Diff { old, new } => {
            let (old, new) = (side(&desk, &old).await?, side(&desk, &new).await?);
            let diff = TextDiff::from_lines(&old.text, &new.text);
            let diff = diff.unified_diff().header(&old.name, &new.name).to_string();
            session.screen.data(diff.as_bytes())?;
            return Ok(Exit::Done);
        }
        KeptCommand::Exposure { policy } => return exposure(session, &policy).await,
        KeptCommand::List => desk.documents().await?,
        KeptCommand::Check { files } => desk.check_documents(read_files(&files)?).await?,
        KeptCommand::Publish { files } => desk.publish(read_files(&files)?).await?,
    };
    show_documents(&mut session.screen, &documents)?;
    if documents.iter().any(|document| document.state == DocumentState::Proposed) {
        session.screen.say(
            "Another steward of the department puts it in force: `obscura policy activate`; `obscura policy exposure` says first what it lets out.",
            "须由该部门的另一名数据管理员启用：`obscura policy activate`；可先用 `obscura policy exposure` 查看其暴露度。",
        )?;
        return Ok(Exit::Waits);
    }
    Ok(Exit::Done)
}

/// A text to compare.
struct Side {
    name: String,
    text: String,
}

/// A file where there is one of this name, else a document; both in the form that is kept.
async fn side(desk: &Desk, name: &str) -> Result<Side, Ending> {
    let path = Path::new(name);
    if path.is_file() {
        let text = read_file(path)?.text;
        // As documents are kept: otherwise every comment and every quote would differ.
        let kept = parse_documents(name, &text).map_err(Ending::Documents)?;
        let kept = kept.iter().map(|document| document.value.to_yaml()).collect::<Result<Vec<_>, _>>();
        return Ok(Side { name: name.to_owned(), text: kept.map_or(text, |kept| kept.join("---\n")) });
    }
    let DocumentName { id, version } = document_name(name)?;
    let shown = desk.document(&id, version).await?;
    Ok(Side { name: format!("{}@{}", shown.id, shown.version), text: shown.text })
}

/// The document on standard output, and the facts about it on standard error.
fn show_text(screen: &mut Screen<'_>, shown: &DocumentTextView) -> std::io::Result<()> {
    if matches!(screen.output, Output::Json) {
        let text = serde_json::to_string_pretty(shown).map_err(std::io::Error::other)?;
        return screen.line(&text);
    }
    let DocumentTextView { kind, id, version, proposed_by, published_by, .. } = shown;
    let (state_en, state_zh) = match shown.state {
        DocumentState::Proposed => ("waits for a second person", "待他人启用"),
        DocumentState::Sound | DocumentState::InForce | DocumentState::Published => ("in force", "已生效"),
    };
    let by = |label: &str, name: &Option<String>| {
        name.as_deref().map_or_else(String::new, |name| format!("{label}{name}"))
    };
    screen.say(
        &format!(
            "{kind} {id}@{version}: {state_en}{}{}",
            by(", proposed by ", proposed_by),
            by(", put in force by ", published_by)
        ),
        &format!(
            "{kind} {id}@{version}：{state_zh}{}{}",
            by("，提出人 ", proposed_by),
            by("，启用人 ", published_by)
        ),
    )?;
    screen.data(shown.text.as_bytes())
}

/// Names the parts of each document that do not count as they are written.
fn say_warnings(screen: &mut Screen<'_>, documents: &[DocumentView]) -> std::io::Result<()> {
    for document in documents {
        for warning in &document.warnings {
            let WarningView { code, file, line, column, field, text } = warning;
            let place = match (file, line, column) {
                (Some(file), Some(line), Some(column)) => format!("{file}:{line}:{column}: "),
                _ => String::new(),
            };
            let heading = screen.paint(&format!("warning[{code}]"), Paint::Faint);
            let said = screen.either(&text.en, &text.zh).to_owned();
            let name = format!("{} {}", document.kind, document.id);
            screen.show(&heading.then(&format!(": {place}{name}, {field}: {said}")))?;
        }
    }
    Ok(())
}

fn show_proposals(screen: &mut Screen<'_>, proposals: &[DocumentView]) -> std::io::Result<()> {
    let columns = [
        ("policy", "policy", "策略"),
        ("version", "version", "版本"),
        ("proposed_by", "proposed by", "提出人"),
    ];
    let mut listing = Listing::new(screen, with_lowers(screen, &columns).as_slice());
    for proposal in proposals {
        let mut row = vec![json!(proposal.id), json!(proposal.version), json!(proposal.proposed_by)];
        row.extend(lowers_for_programs(screen, proposal));
        listing.row(row);
    }
    listing.write(screen)?;
    say_warnings(screen, proposals)?;
    say_lowers(screen, proposals)
}

/// The columns of a list, and in JSON the grades that are lowered; people are told each in a sentence.
fn with_lowers<'a>(
    screen: &Screen<'_>,
    columns: &[(&'static str, &'a str, &'a str)],
) -> Vec<(&'static str, &'a str, &'a str)> {
    let more = [("lowers", "lowers", "降低分级"), ("warnings", "warnings", "警告")];
    let more = more.into_iter().filter(|_| matches!(screen.output, Output::Json));
    columns.iter().copied().chain(more).collect()
}

fn lowers_for_programs(screen: &Screen<'_>, document: &DocumentView) -> Vec<Value> {
    match screen.output {
        Output::Json => vec![json!(document.lowers), json!(document.warnings)],
        Output::Table | Output::Csv | Output::Arrow | Output::Parquet => Vec::new(),
    }
}

/// Names each column whose grade a mask lowers, and the claim that the activating steward answers for.
fn say_lowers(screen: &mut Screen<'_>, documents: &[DocumentView]) -> std::io::Result<()> {
    for document in documents {
        for lowered in &document.lowers {
            let DocumentView { id, version, .. } = document;
            screen.say(
                &format!("`{id}@{version}`: {}", lowered.text.en),
                &format!("`{id}@{version}`：{}", lowered.text.zh),
            )?;
        }
    }
    Ok(())
}

pub(in crate::cli) async fn grant(session: &mut Session<'_>, command: GrantCommand) -> Result<Exit, Ending> {
    let desk = session.desk().await?;
    match command {
        GrantCommand::Create(args) => {
            let given = match &args.file {
                Some(file) => desk.grants_of(&read_file(file)?).await?,
                None => vec![desk.grant(request(args)?).await?],
            };
            for grant in &given {
                session.screen.say(
                    &format!("`{}` may ask for `{}` until {}", grant.person, grant.purpose, grant.until),
                    &format!("`{}` 可用于 `{}`，有效期至 {}", grant.person, grant.purpose, grant.until),
                )?;
                for text in &grant.warnings {
                    let heading = session.screen.paint("warning[nobody-can-ask]", Paint::Faint);
                    let said = session.screen.either(&text.en, &text.zh).to_owned();
                    session.screen.show(&heading.then(&format!(": {said}")))?;
                }
                session.screen.line(&grant.id)?;
            }
        }
        GrantCommand::List => show_grants(&mut session.screen, &desk.grants().await?)?,
        GrantCommand::Revoke { id } => {
            desk.revoke_grant(&id).await?;
            session.screen.say(&format!("`{id}` is revoked"), &format!("已撤销 `{id}`"))?;
        }
    }
    Ok(Exit::Done)
}

fn show_documents(screen: &mut Screen<'_>, documents: &[DocumentView]) -> std::io::Result<()> {
    let columns = [
        ("kind", "kind", "类型"),
        ("id", "document", "文档"),
        ("version", "version", "版本"),
        ("outcome", "state", "状态"),
    ];
    let mut listing = Listing::new(screen, with_lowers(screen, &columns).as_slice());
    for document in documents {
        let state = match document.state {
            DocumentState::Sound => screen.either("sound", "无误"),
            DocumentState::InForce => screen.either("in force already", "此前已生效"),
            DocumentState::Published => screen.either("in force now", "已生效"),
            DocumentState::Proposed => screen.either("waits for a second person", "待他人启用"),
        };
        let DocumentView { kind, id, version, .. } = document;
        let mut row = vec![json!(kind), json!(id), json!(version), json!(state)];
        row.extend(lowers_for_programs(screen, document));
        listing.row(row);
    }
    listing.write(screen)?;
    say_lowers(screen, documents)?;
    say_warnings(screen, documents)
}

fn show_grants(screen: &mut Screen<'_>, grants: &[GrantView]) -> std::io::Result<()> {
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
    for grant in grants {
        let datasets: Vec<&String> = grant.datasets.iter().map(|granted| &granted.dataset).collect();
        listing.row(vec![
            json!(grant.id),
            json!(grant.person),
            json!(grant.purpose),
            json!(datasets),
            json!(grant.until),
            json!(grant.granted_by),
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

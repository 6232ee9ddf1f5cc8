//! `init`, `person`, `token`, `doctor`, `config check`, `completions`.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use clap::CommandFactory as _;
use clap_complete::Shell;
use serde_json::Value;
use serde_json::json;

use crate::api::tokens::LinkView;
use crate::api::tokens::TokenList;
use crate::app::data::rotate_key::rotate_key;
use crate::app::diagnose::Health;
use crate::app::diagnose::diagnose;
use crate::app::init::Init;
use crate::app::init::init as init_installation;
use crate::app::people::add_person::AddPerson;
use crate::app::people::add_person::add_person;
use crate::app::people::add_person::list_persons;
use crate::app::people::add_person::remove_person;
use crate::app::people::create_token::CreateToken;
use crate::app::people::link_person::LinkPerson;
use crate::app::people::link_person::link_person;
use crate::app::people::link_person::unlink_person;
use crate::cli::args::Cli;
use crate::cli::args::InitArgs;
use crate::cli::args::KeyCommand;
use crate::cli::args::PersonCommand;
use crate::cli::args::TokenCommand;
use crate::cli::exit::Exit;
use crate::cli::screen::Paint;
use crate::cli::session::Ending;
use crate::cli::session::Session;
use crate::cli::table::Listing;
use crate::context::Door;
use crate::error::Class;
use crate::error::PublicError;

pub(in crate::cli) async fn init(session: &mut Session<'_>, args: InitArgs) -> Result<Exit, Ending> {
    let request =
        Init { operator: args.operator, token_file: args.token_file.clone(), door: Door::CommandLine };
    let (clock, random) = (Arc::clone(&session.clock), Arc::clone(&session.random));
    let made = init_installation(session.loaded.settings.clone(), clock, random, request).await?;
    let installation = session.keep(made.installation);
    let root = installation.layout().root().display().to_string();
    let audit_key = installation.layout().audit_key().display().to_string();
    let token_file = args.token_file.display().to_string();
    let screen = &mut session.screen;
    screen.say(&format!("An installation stands in {root}."), &format!("已在 {root} 完成初始化。"))?;
    if let Some(key_file) = &made.key_file {
        let key_file = key_file.display();
        screen.say(
            &format!("  {key_file}  opens its keyring: keep a copy apart from the backups of {root}"),
            &format!("  {key_file}  可打开密钥环：请另行备份，勿与 {root} 的备份放在一起"),
        )?;
    }
    screen.say(
        &format!("  {token_file}  is the token of `{}`: keep it to yourself", made.operator.person().name),
        &format!("  {token_file}  是 `{}` 的令牌：请妥善保管", made.operator.person().name),
    )?;
    screen.say(
        &format!("  {audit_key}  verifies its audit log: give copies to whoever shall check you"),
        &format!("  {audit_key}  用于校验审计日志：请分发给审计人员"),
    )?;
    let next = [
        format!("export OBSCURA_TOKEN_FILE={token_file}"),
        "obscura person add shen --role steward --department hz-health".to_owned(),
        "obscura token create shen".to_owned(),
        "obscura policy publish departments.yaml".to_owned(),
    ];
    screen.say("\nNext:", "\n接下来：")?;
    for line in next {
        screen.tell(&format!("  {line}"))?;
    }
    screen.line(&made.audit_key)?;
    Ok(Exit::Done)
}

pub(in crate::cli) async fn person(
    session: &mut Session<'_>,
    command: PersonCommand,
) -> Result<Exit, Ending> {
    let (installation, caller) = session.enter().await?;
    match command {
        PersonCommand::Add { name, roles, department, district } => {
            let roles: BTreeSet<_> = roles.into_iter().collect();
            let request = AddPerson { name, roles, department, district };
            let person = add_person(&installation, &caller, request).await?;
            session.screen.say(
                &format!(
                    "`{}` is here now; `obscura token create {}` lets them in",
                    person.name, person.name
                ),
                &format!("已添加 `{}`；用 `obscura token create {}` 签发令牌", person.name, person.name),
            )?;
        }
        PersonCommand::List => {
            let mut listing = Listing::new(
                &session.screen,
                &[
                    ("name", "name", "名称"),
                    ("roles", "roles", "角色"),
                    ("department", "department", "部门"),
                    ("district", "district", "区县"),
                ],
            );
            for person in list_persons(&installation, &caller).await? {
                let roles: Vec<Value> = person.roles.iter().map(|role| json!(role.as_str())).collect();
                listing.row(vec![
                    json!(person.name.as_str()),
                    Value::Array(roles),
                    json!(person.department),
                    json!(person.district),
                ]);
            }
            listing.write(&mut session.screen)?;
        }
        PersonCommand::Link { name, subject: account } => {
            let shown = name.clone();
            link_person(&installation, &caller, LinkPerson { name, account }).await?;
            session.screen.say(
                &format!("tokens of the identity provider about this account act for `{shown}` now"),
                &format!("身份提供方为该账号签发的令牌现在代表 `{shown}`"),
            )?;
        }
        PersonCommand::Unlink { name } => {
            unlink_person(&installation, &caller, &name).await?;
            session.screen.say(
                &format!("no token of the identity provider acts for `{name}` any more"),
                &format!("身份提供方的令牌不再代表 `{name}`"),
            )?;
        }
        PersonCommand::Remove { name } => {
            remove_person(&installation, &caller, &name).await?;
            session.screen.say(
                &format!("`{name}` was removed; their tokens are worth nothing now"),
                &format!("已移除 `{name}`，其令牌全部失效"),
            )?;
        }
    }
    Ok(Exit::Done)
}

pub(in crate::cli) async fn token(session: &mut Session<'_>, command: TokenCommand) -> Result<Exit, Ending> {
    let desk = session.desk().await?;
    match command {
        TokenCommand::Create { person, file, days, roles } => {
            let file = file.unwrap_or_else(|| PathBuf::from(format!("./{person}.token")));
            // Looked at first: a token whose file cannot be written would be lost.
            if file.exists() {
                return Err(PublicError::new(
                    Class::Conflict,
                    "already-there",
                    format!("`{}` is there already and was left alone", file.display()),
                    format!("`{}` 已存在，未作改动", file.display()),
                )
                .into());
            }
            let roles = (!roles.is_empty()).then(|| roles.into_iter().collect());
            let (token, text) = desk.create_token(CreateToken { person, days, roles }).await?;
            text.write_new(&file)?;
            let (shown, expires) = (file.display(), &token.expires);
            session.screen.say(
                &format!("{shown} holds a token of `{}`, good until {expires}", token.person),
                &format!("{shown} 为 `{}` 的令牌，有效期至 {expires}", token.person),
            )?;
            session.screen.line(&token.id)?;
        }
        TokenCommand::List => {
            let mut listing = Listing::new(
                &session.screen,
                &[
                    ("id", "token", "令牌"),
                    ("person", "person", "人员"),
                    ("roles", "roles", "角色"),
                    ("expires", "good until", "有效期至"),
                    ("used", "last used", "最近使用"),
                ],
            );
            let TokenList { tokens, links } = desk.tokens().await?;
            for token in tokens {
                listing.row(vec![
                    json!(token.id),
                    json!(token.person),
                    json!(token.roles),
                    json!(token.expires),
                    json!(token.used),
                ]);
            }
            listing.write(&mut session.screen)?;
            for LinkView { person, issuer, since, linked_by, .. } in links {
                let since = since.unwrap_or_default();
                session.screen.say(
                    &format!("tokens of {issuer} act for `{person}` too: linked by `{linked_by}` {since}"),
                    &format!("{issuer} 的令牌也可代表 `{person}`：由 `{linked_by}` 关联 {since}"),
                )?;
            }
        }
        TokenCommand::Revoke { id } => {
            desk.revoke_token(id).await?;
            session.screen.say(&format!("{id} is worth nothing now"), &format!("{id} 已吊销"))?;
        }
    }
    Ok(Exit::Done)
}

pub(in crate::cli) async fn key(session: &mut Session<'_>, command: KeyCommand) -> Result<Exit, Ending> {
    let KeyCommand::Rotate { key } = command;
    let (installation, caller) = session.enter().await?;
    let rotated = rotate_key(&installation, &caller, &key).await?;
    let (version, rewrapped) = (rotated.version, rotated.rewrapped);
    session.screen.say(
        &format!("`{key}` is at version {version}; {rewrapped} data keys were wrapped again"),
        &format!("`{key}` 已轮换至版本 {version}，重新封装数据密钥 {rewrapped} 个"),
    )?;
    Ok(Exit::Done)
}

pub(in crate::cli) async fn doctor(session: &mut Session<'_>) -> Result<Exit, Ending> {
    let checks = diagnose(&session.loaded.settings).await;
    let mut exit = Exit::Done;
    for check in &checks {
        let (word, paint) = match check.health {
            Health::Passed => (session.screen.either("ok  ", "正常"), Paint::Good),
            Health::Warning => (session.screen.either("look", "注意"), Paint::Title),
            Health::Failed => (session.screen.either("FAIL", "异常"), Paint::Bad),
        };
        if check.health == Health::Failed {
            exit = Exit::Failure;
        }
        let word = session.screen.paint(word, paint);
        let text = session.screen.pick(&check.finding).to_owned();
        session.screen.painted_line(&word.then(&format!("  {text}")))?;
    }
    Ok(exit)
}

pub(in crate::cli) fn config_check(session: &mut Session<'_>) -> Result<Exit, Ending> {
    let columns = [("key", "setting", "设置"), ("value", "value", "值"), ("origin", "found in", "来源")];
    let mut listing = Listing::new(&session.screen, &columns);
    for setting in &session.loaded.effective {
        listing.row(vec![json!(setting.key), json!(setting.value), json!(setting.origin)]);
    }
    listing.write(&mut session.screen)?;
    for variable in &session.loaded.unknown_variables {
        session.screen.say(
            &format!("warning: the environment variable {variable} is no setting and was ignored"),
            &format!("警告：环境变量 {variable} 不是任何设置，已忽略"),
        )?;
    }
    Ok(Exit::Done)
}

pub(in crate::cli) fn completions(session: &mut Session<'_>, shell: Shell) -> Result<Exit, Ending> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "obscura", &mut script);
    session.screen.data(&script)?;
    Ok(Exit::Done)
}

//! `login`, `logout`: choose the server that commands are sent to, and the token that they show there.

use std::io::IsTerminal as _;
use std::io::Read as _;

use zeroize::Zeroizing;

use crate::api::me::Me;
use crate::app::people::authenticate::read_token;
use crate::app::people::authenticate::trimmed;
use crate::cli::args::LoginArgs;
use crate::cli::client::Client;
use crate::cli::exit::Exit;
use crate::cli::session::Ending;
use crate::cli::session::Session;
use crate::config::server::Login;
use crate::config::server::ServerAddress;
use crate::error::Class;
use crate::error::PublicError;

/// Longest token that is read from a terminal or standard input, in bytes.
const TOKEN_BYTES_MAX: u64 = 64 * 1024;

pub(in crate::cli) async fn login(session: &mut Session<'_>, args: LoginArgs) -> Result<Exit, Ending> {
    let roots = args.roots.as_ref().or(session.loaded.server_roots_file.as_ref());
    let roots = roots.map(std::path::absolute).transpose()?;
    let server = ServerAddress::parse(&args.url, roots.clone()).ok_or_else(|| {
        PublicError::new(
            Class::Usage,
            "server-malformed",
            format!("`{}` is no address of a server that a token may be sent to", args.url),
            format!("`{}` 不是可以发送令牌的服务地址", args.url),
        )
        .with_help(
            "accepted: `https://obscura.example`, or `http://127.0.0.1:7200` on this machine",
            "可接受：`https://obscura.example`，或本机的 `http://127.0.0.1:7200`",
        )
    })?;
    let file = session.loaded.login_file.clone().ok_or_else(no_home)?;
    let token = match &args.token_file {
        Some(file) => read_token(Some(file))?,
        None => ask_for_token(session)?,
    };
    // Nothing is kept of a login that does not work.
    let me: Me = Client::new(&server, token.clone(), &session.screen)?.get("/me").await?;
    let login = Login {
        server: server.url().to_owned(),
        token_file: file.with_extension("token"),
        server_roots_file: roots,
    };
    login.write(&file, &token)?;
    let (name, url) = (&me.name, server.url());
    let roles = me.roles.iter().map(|role| session.screen.word(role)).collect::<Vec<_>>().join(", ");
    session.screen.say(
        &format!("You are `{name}` ({roles}) at {url}; commands are sent there until `obscura logout`."),
        &format!("您以 `{name}`（{roles}）的身份登录 {url}；后续命令将发往该服务，直至 `obscura logout`。"),
    )?;
    Ok(Exit::Done)
}

pub(in crate::cli) fn logout(session: &mut Session<'_>) -> Result<Exit, Ending> {
    let file = session.loaded.login_file.clone().ok_or_else(no_home)?;
    if Login::remove(&file)? {
        session.screen.say(
            "The login is forgotten here; the token itself is good until it is revoked.",
            "本机已退出登录；令牌本身在吊销前仍然有效。",
        )?;
    } else {
        session.screen.say("There was no login.", "尚未登录。")?;
    }
    Ok(Exit::Done)
}

fn ask_for_token(session: &mut Session<'_>) -> Result<Zeroizing<String>, Ending> {
    let mut text = Zeroizing::new(String::new());
    if std::io::stdin().is_terminal() {
        session.screen.say("Token (it is not shown):", "令牌（不显示）：")?;
        text = Zeroizing::new(rpassword::read_password()?);
    } else {
        std::io::stdin().take(TOKEN_BYTES_MAX).read_to_string(&mut text)?;
    }
    let token = trimmed(&text).ok_or_else(|| {
        PublicError::new(Class::Unauthenticated, "token-missing", "no token was given", "未提供令牌")
            .with_help("name its file with `--token-file`", "请用 `--token-file` 指定令牌文件")
    });
    Ok(token?)
}

fn no_home() -> PublicError {
    PublicError::new(
        Class::Usage,
        "no-home",
        "there is no folder to keep a login in: neither HOME nor XDG_CONFIG_HOME is set",
        "没有可保存登录信息的目录：HOME 与 XDG_CONFIG_HOME 均未设置",
    )
    .with_help("use `--server` and OBSCURA_TOKEN_FILE instead", "请改用 `--server` 与 OBSCURA_TOKEN_FILE")
}

//! `serve`: answers over HTTP until it is told to stop.

use std::fs::File;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;
use tokio_rustls::rustls::ServerConfig;

use crate::cli::exit::Exit;
use crate::cli::session::Ending;
use crate::cli::session::Session;
use crate::error::Class;
use crate::error::During as _;
use crate::error::PublicError;
use crate::http::Service;
use crate::http::server;
use crate::http::server::is_private;
use crate::http::tls::configure;
use crate::installation::Installation;

pub(in crate::cli) async fn serve(session: &mut Session<'_>) -> Result<Exit, Ending> {
    let wanted = session.loaded.settings.listen;
    let tls = session.loaded.settings.tls.as_ref().map(configure).transpose()?;
    if tls.is_none() && !is_private(wanted) {
        return Err(PublicError::new(
            Class::Usage,
            "listen-without-tls",
            format!("`{wanted}` can be reached from other machines, and no TLS certificate is set"),
            format!("`{wanted}` 可被其他机器访问，但未设置 TLS 证书"),
        )
        .with_help(
            "set `tls_certificate_file` and `tls_key_file`, or listen on 127.0.0.1",
            "请设置 `tls_certificate_file` 和 `tls_key_file`，或监听 127.0.0.1",
        )
        .into());
    }
    let installation = session.open().await?;
    let _serving = serving(&installation)?;
    let listener = listen(wanted).await?;
    let admin = match session.loaded.settings.listen_admin {
        Some(wanted) => Some(listen(wanted).await?),
        None => None,
    };
    answer(session, installation, listener, tls, admin).await?;
    Ok(Exit::Done)
}

/// The right to serve a folder, held as long as it is served: two servers would each trust their own memory of it, and count
/// people's rates apart.
pub(in crate::cli) fn serving(installation: &Installation) -> Result<File, Ending> {
    let held = installation.layout().lock_serving().during("take the right to serve")?;
    Ok(held.ok_or_else(|| {
        let root = installation.layout().root().display();
        PublicError::new(
            Class::Conflict,
            "served-already",
            format!("another server answers for `{root}` already"),
            format!("`{root}` 已有另一个服务进程"),
        )
        .with_help(
            "one server serves a folder; end the other one first, or name another folder with `--data-dir`",
            "一个数据目录只能由一个服务进程使用；请先停止另一进程，或用 `--data-dir` 指定其他目录",
        )
    })?)
}

/// Takes an address for ourselves.
pub(in crate::cli) async fn listen(wanted: SocketAddr) -> Result<TcpListener, Ending> {
    let bound = TcpListener::bind(wanted).await.map_err(|error| {
        let kind = error.kind();
        PublicError::new(
            Class::Failure,
            "cannot-listen",
            format!("cannot listen on `{wanted}` ({kind})"),
            format!("无法监听 `{wanted}`（{kind}）"),
        )
        .with_help("name another address with `--listen`", "请用 `--listen` 指定其他地址")
    });
    Ok(bound?)
}

/// Answers requests until Ctrl-C.
async fn answer(
    session: &mut Session<'_>,
    installation: Arc<Installation>,
    listener: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    admin: Option<TcpListener>,
) -> Result<(), Ending> {
    let address = listener.local_addr()?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    session.screen.say(
        &format!("Obscura answers at {scheme}://{address}/api/v1. Ctrl-C stops it."),
        &format!("Obscura 服务地址：{scheme}://{address}/api/v1，按 Ctrl-C 停止。"),
    )?;
    if let Some(admin) = &admin {
        let address = admin.local_addr()?;
        session.screen.say(
            &format!("Operators find http://{address}/metrics."),
            &format!("运维指标：http://{address}/metrics。"),
        )?;
    }
    let service = Service::new(installation)?;
    server::serve(service, listener, tls, admin, told_to_stop()).await?;
    session.screen.say("Stopped.", "已停止。")?;
    Ok(())
}

/// Ends on Ctrl-C or when the system ends its services.
pub(in crate::cli) async fn told_to_stop() {
    let ended = async {
        match signal(SignalKind::terminate()) {
            Ok(mut terminate) => drop(terminate.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    let interrupted = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = ended => {}
        () = interrupted => {}
    }
}

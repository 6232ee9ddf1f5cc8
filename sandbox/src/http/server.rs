//! Connections: TLS where there is a certificate, so many at a time, so many from one address, none that keeps us waiting,
//! and an end in good order.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::service::Service as _;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::rt::TokioTimer;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::server::graceful::Watcher;
use hyper_util::service::TowerToHyperService;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

use crate::app::housekeeping::EVERY;
use crate::app::housekeeping::keep_house;
use crate::http::Service;
use crate::http::metrics;
use crate::http::peer::Peer;
use crate::http::router;
use crate::http::write_timeout::WriteTimeout;
use crate::service::limits::ConcurrencyLimit;

/// Connections at a time; the next ones wait.
const CONNECTIONS_MAX: usize = 1024;
/// Longest that the head of a request, or a TLS handshake, may take.
const HEAD_WAIT: Duration = Duration::from_secs(10);
/// Longest that a client may read nothing of what it is sent.
const WRITE_WAIT: Duration = Duration::from_secs(20);
/// Longest head of a request, in bytes.
const HEAD_BYTES_MAX: usize = 32 * 1024;
/// Time in which other connections may end when there is no room for another.
const PAUSE: Duration = Duration::from_millis(100);
/// Time that requests under way are given at the end.
const LAST_REQUESTS: Duration = Duration::from_secs(5);

/// Answers requests, and operators on a listener of their own, until told to stop; then requests and jobs under way are
/// finished, as far as they can be soon.
///
/// # Errors
/// When the listener fails for good.
pub async fn serve(
    service: Service,
    listener: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    admin: Option<TcpListener>,
    stop: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    let service = Arc::new(service);
    let mut tasks = JoinSet::new();
    if let Some(admin) = admin {
        let routes = metrics::router(Arc::clone(&service));
        // It ends with this function; its result is of no use.
        tasks.spawn(async move { drop(axum::serve(admin, routes).await) });
    }
    // Jobs that were approved while no service ran go on before the first request.
    service.pending.resume(None).await;
    let resuming = Arc::clone(&service);
    tasks.spawn(async move { resuming.pending.keep_resuming(resuming.stopping.subscribe()).await });
    tasks.spawn(keep_house(Arc::clone(&service.installation), EVERY, service.stopping.subscribe()));
    let routes = router(Arc::clone(&service));
    let tls = tls.map(TlsAcceptor::from);
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let addresses = ConcurrencyLimit::new(service.installation.settings().connections_per_address_max);
    let graceful = GracefulShutdown::new();
    tokio::pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            Some(_ended) = tasks.join_next() => continue,
            accepted = async {
                let permit = Arc::clone(&room).acquire_owned().await;
                listener.accept().await.map(|(stream, address)| (stream, Peer::of(address.ip()), permit))
            } => accepted,
        };
        let (stream, peer, permit) = match accepted {
            Ok(accepted) => accepted,
            Err(error) if is_of_one_connection(&error) => continue,
            Err(error) if is_full(&error) => {
                // Until a connection ends, or something else of this process does.
                let _in_time = tokio::time::timeout(PAUSE, tasks.join_next()).await;
                continue;
            }
            Err(error) => return Err(error),
        };
        // An address with as many as one may have is not waited for: others would wait behind it.
        let Some(of_address) = addresses.acquire(peer.as_str()) else { continue };
        let (routes, tls, watcher) = (routes.clone(), tls.clone(), graceful.watcher());
        tasks.spawn(async move {
            let _held = (permit, of_address);
            connect(stream, peer, tls, routes, watcher).await;
        });
    }
    drop(listener);
    service.stop().await;
    // A connection that is slower than that is cut off.
    let _in_time = tokio::time::timeout(LAST_REQUESTS, graceful.shutdown()).await;
    Ok(())
}

/// True if an address may be listened on without TLS.
#[must_use]
pub fn is_private(address: SocketAddr) -> bool {
    address.ip().is_loopback()
}

async fn connect(stream: TcpStream, peer: Peer, tls: Option<TlsAcceptor>, routes: Router, watcher: Watcher) {
    // Without it small answers wait for one another; where it cannot be set they do.
    let _unset = stream.set_nodelay(true);
    let stream = WriteTimeout::new(stream, WRITE_WAIT);
    match tls {
        None => talk(stream, peer, routes, watcher).await,
        Some(tls) => {
            // A handshake that fails or takes too long is a connection that never was.
            if let Ok(Ok(stream)) = tokio::time::timeout(HEAD_WAIT, tls.accept(stream)).await {
                talk(stream, peer, routes, watcher).await;
            }
        }
    }
}

async fn talk<S>(stream: S, peer: Peer, routes: Router, watcher: Watcher)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_WAIT).max_buf_size(HEAD_BYTES_MAX);
    let routes = TowerToHyperService::new(routes);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer.clone());
        routes.call(request)
    });
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    // A client that breaks off is not our failure.
    let _broken_off = watcher.watch(connection).await;
}

/// Errors of `accept` that concern the one connection.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    )
}

/// There are no file descriptors left until other connections end (ENFILE, EMFILE).
fn is_full(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(23 | 24))
}

//! An identity provider in the test: real keys, a discovery document and a JWK set over loopback, counting who asks.
//! It issues what it is told to, also what no honest issuer would; it knows nothing of the product.

mod keys;

use std::io::BufRead as _;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::net::TcpListener;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use serde_json::json;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::ServerConnection;
use tokio_rustls::rustls::StreamOwned;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;

pub use keys::IssuerKey;

/// The audience that tokens name unless a test changes it.
pub const AUDIENCE: &str = "obscura-test";

/// The behaviour of an issuer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// As it should.
    Well,
    /// It closes every connection.
    Down,
    /// It takes requests and never answers.
    Silent,
    /// It answers 500.
    Broken,
    /// Its discovery document names another issuer.
    OtherIssuer,
    /// Its discovery document names keys at an address without TLS.
    KeysElsewhere,
    /// Its keys are elsewhere, by a redirect.
    Moved,
    /// Its JWK set is longer than the product accepts.
    Long,
    /// Its JWK set is none.
    NoSet,
}

/// A running issuer.
#[derive(Debug)]
pub struct Issuer {
    /// The issuer's name for itself.
    pub url: String,
    address: std::net::SocketAddr,
    shared: Arc<Shared>,
    serving: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    url: String,
    tls: Option<Arc<ServerConfig>>,
    manner: Mutex<Manner>,
    keys: Mutex<Vec<Value>>,
    /// Number of requests for the JWK set.
    fetched: AtomicUsize,
    /// Number of connections.
    connections: AtomicUsize,
    stopping: AtomicBool,
    /// Connections that are never answered.
    held: Mutex<Vec<TcpStream>>,
}

impl Issuer {
    /// Starts an issuer that publishes these keys.
    ///
    /// # Panics
    /// When it cannot listen.
    #[must_use]
    pub fn start(keys: &[&IssuerKey], manner: Manner) -> Self {
        Self::over(keys, manner, None)
    }

    /// Starts one that speaks TLS, with a certificate and its key, both PEM.
    ///
    /// # Panics
    /// When it cannot listen, or the two do not belong together.
    #[must_use]
    pub fn start_with_tls(keys: &[&IssuerKey], certificate: &str, key: &str) -> Self {
        let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).expect("a certificate")];
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a key");
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions of TLS")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .expect("certificate and key belong together");
        Self::over(keys, Manner::Well, Some(Arc::new(config)))
    }

    fn over(keys: &[&IssuerKey], manner: Manner, tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port of loopback");
        let address = listener.local_addr().expect("an address");
        let scheme = if tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{address}/realms/city");
        let shared = Arc::new(Shared {
            url: url.clone(),
            tls,
            manner: Mutex::new(manner),
            keys: Mutex::new(keys.iter().map(|key| key.jwk()).collect()),
            fetched: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
            stopping: AtomicBool::new(false),
            held: Mutex::default(),
        });
        let served = Arc::clone(&shared);
        let serving = std::thread::Builder::new().spawn(move || serve(&listener, &served));
        Self { url, address, shared, serving: Some(serving.expect("a thread")) }
    }

    /// Number of requests for the JWK set.
    #[must_use]
    pub fn fetched(&self) -> usize {
        self.shared.fetched.load(Ordering::SeqCst)
    }

    /// Number of connections.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Changes how it answers from now on.
    ///
    /// # Panics
    /// When a thread panicked meanwhile.
    pub fn behave(&self, manner: Manner) {
        *self.shared.manner.lock().expect("no thread panicked") = manner;
    }

    /// The settings of an installation that honours its tokens.
    #[must_use]
    pub fn settings(&self) -> String {
        format!("oidc_issuer = \"{}\"\noidc_audience = \"{AUDIENCE}\"\n", self.url)
    }

    /// Ordinary claims about a subject, of now.
    #[must_use]
    pub fn claims(&self, subject: &str) -> Value {
        let now = now();
        json!({ "iss": self.url, "sub": subject, "aud": AUDIENCE, "iat": now, "exp": now + 300 })
    }

    /// An ordinary token about a subject.
    #[must_use]
    pub fn token(&self, key: &IssuerKey, subject: &str) -> String {
        token(key, &key.header(), &self.claims(subject))
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        // Wakes the thread that waits for connections.
        let _woken = TcpStream::connect(self.address);
        if let Some(serving) = self.serving.take() {
            let _ended = serving.join();
        }
    }
}

/// The seconds of the machine's clock, by which tokens live.
///
/// # Panics
/// When the clock stands before 1970.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "the built program lives in real time, and so do tokens for it"
)]
pub fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(since.expect("a clock after 1970").as_secs()).expect("a clock of this age")
}

/// A token of any header and claims, signed by a key as the header says.
#[must_use]
pub fn token(key: &IssuerKey, header: &Value, claims: &Value) -> String {
    let message = unsigned(header, claims);
    let signature = key.sign(header["alg"].as_str().unwrap_or_default(), message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// Header and claims as they are signed.
#[must_use]
pub fn unsigned(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}", part(header), part(claims))
}

fn serve(listener: &TcpListener, shared: &Shared) {
    for stream in listener.incoming() {
        if shared.stopping.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else { continue };
        shared.connections.fetch_add(1, Ordering::SeqCst);
        let manner = *shared.manner.lock().expect("no thread panicked");
        match manner {
            Manner::Down => drop(stream),
            Manner::Silent => shared.held.lock().expect("no thread panicked").push(stream),
            _ => match &shared.tls {
                None => answer(stream, shared, manner),
                Some(tls) => {
                    let connection = ServerConnection::new(Arc::clone(tls)).expect("a connection");
                    answer(StreamOwned::new(connection, stream), shared, manner);
                }
            },
        }
    }
}

/// Answers one request and closes. A client that gives up in the middle is what some tests are about.
fn answer(mut stream: impl Read + Write, shared: &Shared, manner: Manner) {
    let mut reader = BufReader::new(&mut stream);
    let mut line = String::new();
    if reader.read_line(&mut line).is_err() {
        return;
    }
    let mut header = String::from("-");
    while !header.trim_end().is_empty() {
        header.clear();
        if !matches!(reader.read_line(&mut header), Ok(1..)) {
            return;
        }
    }
    let path = line.split(' ').nth(1).unwrap_or_default();
    let (status, more, body) = answer_of(path, shared, manner);
    let head =
        format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n{more}\r\n", body.len());
    let _gone = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes()));
    let _flushed = stream.flush();
}

fn answer_of(path: &str, shared: &Shared, manner: Manner) -> (&'static str, String, String) {
    let url = &shared.url;
    let keys_url = match manner {
        Manner::KeysElsewhere => "http://keys.invalid/keys".to_owned(),
        _ => format!("{url}/keys"),
    };
    match path {
        _ if manner == Manner::Broken => ("500 Broken", String::new(), String::new()),
        "/realms/city/.well-known/openid-configuration" => {
            let issuer = if manner == Manner::OtherIssuer { format!("{url}/") } else { url.clone() };
            let document = json!({
                "issuer": issuer,
                "jwks_uri": keys_url,
                "authorization_endpoint": format!("{url}/auth"),
                "response_types_supported": ["code"],
                "subject_types_supported": ["pairwise"],
                "id_token_signing_alg_values_supported": ["RS256"],
            });
            ("200 OK", String::new(), document.to_string())
        }
        "/realms/city/keys" if manner == Manner::Moved => {
            ("302 Found", format!("location: {url}/keys-moved\r\n"), String::new())
        }
        "/realms/city/keys" | "/realms/city/keys-moved" => {
            shared.fetched.fetch_add(1, Ordering::SeqCst);
            let keys = shared.keys.lock().expect("no thread panicked").clone();
            let mut set = json!({ "keys": keys });
            match manner {
                Manner::Long => set["padding"] = json!("x".repeat(1 << 20)),
                Manner::NoSet => set = json!({ "error": "maintenance" }),
                _ => {}
            }
            ("200 OK", String::new(), set.to_string())
        }
        _ => ("404 Not Found", String::new(), String::new()),
    }
}

//! A server, as a command asks it: requests with a token, answers as values, problems as errors in the server's own words.
//! It does not know the questions; `desk` does.

use std::fs;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use obscura_policies::parse::DocumentError;
use obscura_policies::parse::Position;
use obscura_policies::vocabulary::Text;
use serde::Deserialize;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use ureq::Agent;
use ureq::Body;
use ureq::http::Method;
use ureq::http::Request;
use ureq::http::Response;
use ureq::tls::Certificate;
use ureq::tls::PemItem;
use ureq::tls::RootCerts;
use ureq::tls::TlsConfig;
use zeroize::Zeroizing;

use crate::api::findings::DocumentFinding;
use crate::app::documents::policy_tests::PolicyTestFailure;
use crate::app::query::verdict::Verdict;
use crate::cli::retry::Patience;
use crate::cli::screen::Narration;
use crate::cli::screen::Screen;
use crate::cli::session::Ending;
use crate::cli::visible::visible_line;
use crate::config::Language;
use crate::config::server::ServerAddress;
use crate::error::Class;
use crate::error::PublicError;
use crate::ids::JobId;

/// Longest wait for a connection to a server.
const CONNECT_WAIT: Duration = Duration::from_secs(10);
/// Longest silence of a server: longer than a long poll, and than the pulse of an event stream.
const SILENCE: Duration = Duration::from_secs(90);
/// Longest answer, in bytes: a result may be long.
const BODY_BYTES_MAX: u64 = 1 << 30;
/// Longest answer that says something of a request, in bytes.
const WORDS_BYTES_MAX: u64 = 1 << 20;
/// Longest line of an event stream, in bytes.
const LINE_BYTES_MAX: u64 = 64 * 1024;

/// A server and the token of a person.
#[derive(Clone)]
pub(crate) struct Client {
    agent: Agent,
    /// Address with the path of the interface.
    base: String,
    token: Zeroizing<String>,
    language: Language,
    /// Stream that reports waiting.
    narration: Narration,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("base", &self.base).finish_non_exhaustive()
    }
}

/// An answer that is no problem.
pub(crate) struct Answer {
    /// Body.
    pub(crate) body: Vec<u8>,
}

/// The body and headers of a request.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    body: Option<Vec<u8>>,
    headers: Vec<(&'static str, String)>,
}

impl Sent {
    /// A body of JSON.
    pub(crate) fn json(value: &impl Serialize) -> Result<Self, Ending> {
        let body = serde_json::to_vec(value).map_err(std::io::Error::other)?;
        Ok(Self::default().with("content-type", "application/json").with_body(body))
    }

    /// A body of YAML.
    pub(crate) fn yaml(text: &str) -> Self {
        Self::default().with("content-type", "application/yaml").with_body(text.as_bytes().to_vec())
    }

    /// Adds a header.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    fn has_header(&self, name: &str) -> bool {
        self.headers.iter().any(|(known, _)| *known == name)
    }

    fn with_body(mut self, body: Vec<u8>) -> Self {
        self.body = Some(body);
        self
    }
}

/// The fields of a problem document (RFC 9457) that a command shows.
#[derive(Debug, Deserialize)]
struct Problem {
    code: String,
    title: String,
    help: Option<String>,
    #[serde(default)]
    errors: Vec<DocumentFinding>,
    job: Option<String>,
    verdict: Option<Verdict>,
}

/// The failure of a request.
#[derive(Debug)]
pub(crate) enum Refused {
    /// The guard said no.
    Query(JobId, Box<Verdict>),
    /// Anything else.
    Otherwise(Ending),
}

impl From<Ending> for Refused {
    fn from(ending: Ending) -> Self {
        Self::Otherwise(ending)
    }
}

impl From<Refused> for Ending {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Query(..) => unexpected(),
            Refused::Otherwise(ending) => ending,
        }
    }
}

impl Client {
    /// A client of a server, for the owner of a token.
    ///
    /// # Errors
    /// When the file of the server's roots holds no certificate or cannot be read.
    pub(crate) fn new(
        server: &ServerAddress,
        token: Zeroizing<String>,
        screen: &Screen<'_>,
    ) -> Result<Self, Ending> {
        let mut tls = TlsConfig::builder();
        if let Some(path) = &server.roots {
            tls = tls.root_certs(RootCerts::new_with_certs(&roots(path)?));
        }
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_connect(Some(CONNECT_WAIT))
            .timeout_per_read(Some(SILENCE))
            .timeout_per_write(Some(SILENCE))
            .tls_config(tls.build());
        if server.url().starts_with("http:") {
            // Requests without TLS stay on this machine.
            config = config.proxy(None);
        }
        let base = format!("{}/api/v1", server.url());
        let (language, narration) = (screen.language, screen.narration());
        Ok(Self { agent: config.build().into(), base, token, language, narration })
    }

    /// Fetches something.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Ending> {
        let answer = self.ask(Method::GET, path, Sent::default()).await?;
        read(&answer)
    }

    /// Sends a body and reads the answer.
    pub(crate) async fn post<T: DeserializeOwned>(&self, path: &str, sent: Sent) -> Result<T, Ending> {
        let answer = self.ask(Method::POST, path, sent).await?;
        read(&answer)
    }

    /// Takes something away.
    pub(crate) async fn delete(&self, path: &str) -> Result<Answer, Ending> {
        Ok(self.ask(Method::DELETE, path, Sent::default()).await?)
    }

    /// Asks, and tells a refusal of the guard from other bad endings.
    pub(crate) async fn ask(&self, method: Method, path: &str, sent: Sent) -> Result<Answer, Refused> {
        let response = self.exchange(method, path, &sent).await?;
        let body = self.blocking(move || read_body(response, BODY_BYTES_MAX)).await?;
        Ok(Answer { body })
    }

    /// Follows events from after `last` on, as long as the server sends any and the receiver takes them: name and data of
    /// each.
    pub(crate) async fn follow(
        &self,
        path: &str,
        last: Option<String>,
    ) -> Result<mpsc::Receiver<ServerEvent>, Ending> {
        let mut sent = Sent::default().with("accept", "text/event-stream");
        if let Some(last) = last {
            sent = sent.with("last-event-id", last);
        }
        let response = self.exchange(Method::GET, path, &sent).await?;
        let (sender, events) = mpsc::channel(1);
        // It ends when its events are not taken any more; until then it waits for the server, as everything here does.
        drop(tokio::task::spawn_blocking(move || {
            let mut event = ServerEvent::default();
            // A stream that breaks is followed again from its last event.
            let mut reader = BufReader::new(response.into_body().into_reader());
            while let Some(line) = next_line(&mut reader) {
                // The receiver is gone: noticing it at the server's next sign of life is enough.
                let is_over = sender.is_closed()
                    || event.take(&line) && sender.blocking_send(std::mem::take(&mut event)).is_err();
                if is_over {
                    return;
                }
            }
        }));
        Ok(events)
    }

    /// Sends a request until it is answered otherwise than with "later", as long as that may be waited for, and returns an
    /// answer that is no problem, with its body still to be read.
    async fn exchange(&self, method: Method, path: &str, sent: &Sent) -> Result<Response<Body>, Refused> {
        let mut patience = Patience::for_request(&method, sent.has_header("idempotency-key"));
        loop {
            let request = self.request(method.clone(), path, sent)?;
            let (agent, body) = (self.agent.clone(), sent.body.clone());
            let talk = move || match body {
                Some(body) => agent.run(request.map(|()| body)),
                None if *request.method() == Method::POST => agent.run(request.map(|()| Vec::new())),
                None => agent.run(request),
            };
            let response = self.blocking(talk).await?;
            let status = response.status();
            if status.is_success() {
                return Ok(response);
            }
            let asked = patience.asked_by(status.as_u16(), response.headers());
            let body = self.blocking(move || read_body(response, WORDS_BYTES_MAX)).await?;
            let Some(asked) = asked else { return Err(problem(status.as_u16(), &body)) };
            if !self.waits(asked, patience.take(asked))? {
                return Err(problem(status.as_u16(), &body));
            }
            tokio::time::sleep_until(tokio::time::Instant::now() + asked).await;
        }
    }

    /// Says that the server asks to come back later, and whether that is waited for.
    fn waits(&self, asked: Duration, waits: bool) -> Result<bool, Ending> {
        let seconds = asked.as_secs();
        if waits {
            self.narration.say(
                &format!("The server asks to come back in {seconds} s; this command waits."),
                &format!("服务端要求 {seconds} 秒后重试，本命令正在等待。"),
            )?;
        } else {
            self.narration.say(
                &format!("The server asks to come back in {seconds} s; this command waits no longer."),
                &format!("服务端要求 {seconds} 秒后重试，本命令不再等待。"),
            )?;
        }
        Ok(waits)
    }

    /// Talks to the server where waiting for it holds up nothing else.
    async fn blocking<T: Send + 'static>(
        &self,
        talk: impl FnOnce() -> Result<T, ureq::Error> + Send + 'static,
    ) -> Result<T, Ending> {
        let talked = tokio::task::spawn_blocking(talk).await.map_err(|_| unexpected())?;
        talked.map_err(|error| self.unreachable(&error))
    }

    fn request(&self, method: Method, path: &str, sent: &Sent) -> Result<Request<()>, Ending> {
        let bearer = Zeroizing::new(format!("Bearer {}", self.token.as_str()));
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header("authorization", bearer.as_str())
            .header("accept-language", self.language.code());
        for (name, value) in &sent.headers {
            request = request.header(*name, value);
        }
        Ok(request.body(()).map_err(|_| token_malformed())?)
    }

    fn unreachable(&self, error: &ureq::Error) -> Ending {
        let url = self.base.trim_end_matches("/api/v1");
        // A library's message about a connection names hosts and certificates, no data.
        PublicError::new(
            Class::Failure,
            "server-unreachable",
            format!("the server `{url}` does not answer ({error})"),
            format!("服务 `{url}` 没有应答（{error}）"),
        )
        .with_help(
            "see whether it runs and the address is right; ask again later",
            "请确认服务已启动、地址正确，或稍后重试",
        )
        .into()
    }
}

fn read_body(mut response: Response<Body>, most: u64) -> Result<Vec<u8>, ureq::Error> {
    response.body_mut().with_config().limit(most).read_to_vec()
}

/// The next line of a stream; nothing at its end, and of a line that never ends.
fn next_line(reader: &mut impl BufRead) -> Option<String> {
    let mut line = Vec::new();
    let read = reader.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line).ok()?;
    if read == 0 || !line.ends_with(b"\n") {
        return None;
    }
    let line = String::from_utf8(line).ok()?;
    Some(line.trim_end_matches(['\n', '\r']).to_owned())
}

/// One server-sent event.
#[derive(Debug, Default)]
pub(crate) struct ServerEvent {
    /// Its name, to resume from.
    pub(crate) id: String,
    /// Its data.
    pub(crate) data: String,
}

impl ServerEvent {
    /// Takes one line of the stream; says whether the event is whole.
    fn take(&mut self, line: &str) -> bool {
        let value =
            |field: &str| line.strip_prefix(field).map(|rest| rest.trim_start_matches(' ').to_owned());
        if let Some(id) = value("id:") {
            self.id = id;
        } else if let Some(data) = value("data:") {
            self.data = data;
        }
        line.is_empty() && !self.data.is_empty()
    }
}

/// A name as one step of a path (RFC 3986, section 2.1).
pub(crate) fn step(name: &str) -> String {
    let mut step = String::new();
    for byte in name.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'~' => step.push(char::from(byte)),
            b'.' if name.bytes().any(|byte| byte != b'.') => step.push('.'),
            _ => step.push_str(&format!("%{byte:02X}")),
        }
    }
    step
}

/// Reads an answer's JSON.
pub(crate) fn read<T: DeserializeOwned>(answer: &Answer) -> Result<T, Ending> {
    serde_json::from_slice(&answer.body).map_err(|_| unexpected())
}

fn problem(status: u16, body: &[u8]) -> Refused {
    let Ok(problem) = serde_json::from_slice::<Problem>(body) else { return unexpected().into() };
    let job = problem.job.and_then(|job| job.parse().ok());
    if let (Some(job), Some(verdict)) = (job, problem.verdict) {
        return Refused::Query(job, Box::new(verdict));
    }
    if !problem.errors.is_empty() {
        return documents(problem.errors).into();
    }
    let class = match status {
        401 => Class::Unauthenticated,
        403 => Class::Forbidden,
        404 => Class::NotFound,
        409 => Class::Conflict,
        410 => Class::Gone,
        429 | 500.. => Class::Failure,
        _ => Class::Usage,
    };
    // The server has chosen the reader's language; each is one line, and no further one of ours.
    let title = visible_line(&problem.title);
    let mut error = PublicError::new(class, visible_line(&problem.code), title.clone(), title);
    if let Some(help) = problem.help.as_deref().map(visible_line) {
        error = error.with_help(help.clone(), help);
    }
    Ending::from(error).into()
}

fn documents(findings: Vec<DocumentFinding>) -> Ending {
    let mut errors = Vec::new();
    let mut failures = Vec::new();
    for finding in findings {
        let DocumentFinding { code, file, document, field, line, column, message, help, expected, came } =
            finding;
        match (expected, came) {
            (Some(expected), Some(came)) => {
                failures.push(PolicyTestFailure { policy: document, test: field, expected, came });
            }
            _ => errors.push(DocumentError {
                code: code.into(),
                file,
                position: line.zip(column).map(|(line, column)| Position { line, column }),
                document,
                field,
                // The server has chosen the reader's language.
                message: Text::new(message.clone(), message),
                help: help.map(|help| Text::new(help.clone(), help)),
            }),
        }
    }
    if failures.is_empty() { Ending::Documents(errors) } else { Ending::Tests(failures) }
}

fn roots(path: &Path) -> Result<Vec<Certificate<'static>>, Ending> {
    let unusable = || {
        PublicError::new(
            Class::Usage,
            "tls-file-unusable",
            format!("`{}` holds no certificate, or cannot be read", path.display()),
            format!("`{}` 中没有证书，或无法读取", path.display()),
        )
    };
    let pem = fs::read(path).map_err(|_| unusable())?;
    let certificates: Vec<_> = ureq::tls::parse_pem(&pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    if certificates.is_empty() { Err(unusable().into()) } else { Ok(certificates) }
}

/// The other side speaks, but not as an Obscura server of this version does.
pub(crate) fn unexpected() -> Ending {
    PublicError::new(
        Class::Failure,
        "server-not-understood",
        "the server's answer is none that this program knows",
        "无法理解服务端的应答",
    )
    .with_help(
        "see whether the address is that of an Obscura server of this version",
        "请确认该地址是同版本的 Obscura 服务",
    )
    .into()
}

fn token_malformed() -> PublicError {
    PublicError::new(
        Class::Unauthenticated,
        "token-file-unusable",
        "the token file holds something that is no token",
        "令牌文件中没有令牌",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_leave_its_step_of_the_path() {
        assert_eq!(step("hz-visits"), "hz-visits");
        assert_eq!(step("hz-health.visits"), "hz-health.visits");
        assert_eq!(step("../../livez?x#y"), "..%2F..%2Flivez%3Fx%23y");
        assert_eq!(step(".."), "%2E%2E");
        assert_eq!(step("查"), "%E6%9F%A5");
    }

    #[test]
    fn a_line_that_never_ends_is_not_waited_for() {
        let longest = usize::try_from(LINE_BYTES_MAX).unwrap_or(usize::MAX) - 1;
        let stream = format!("id: 1\r\n\n{}\n{}\n", "x".repeat(longest), "y".repeat(longest + 1));
        let mut reader = stream.as_bytes();
        let lines: Vec<usize> =
            std::iter::from_fn(|| next_line(&mut reader)).map(|line| line.len()).collect();
        assert_eq!(lines, [5, 0, longest]);
    }

    #[test]
    fn what_a_server_says_is_one_line_and_steers_nothing() {
        let said = br#"{"code": "x\u001b[2J", "title": "no\nerror[y]: \u009b31m", "help": "\u202ehelp"}"#;
        let error = match problem(400, said) {
            Refused::Otherwise(Ending::App(error)) => Some(error.public()),
            _ => None,
        };
        let shown = error.as_ref().map(|error| (error.code(), error.message().in_language("en")));
        assert_eq!(shown, Some(("x?[2J", "no error[y]: \u{b7}31m")));
        let help = error.as_ref().and_then(|error| error.help()).map(|help| help.in_language("zh"));
        assert_eq!(help, Some("\u{fffd}help"));
    }

    #[test]
    fn an_event_is_whole_at_its_empty_line() {
        let mut event = ServerEvent::default();
        let whole: Vec<bool> =
            ["", ": pulse", "", "event: job", "id: p.3", "data: {\"state\":\"running\"}", ""]
                .map(|line| event.take(line))
                .to_vec();
        assert_eq!(whole, [false, false, false, false, false, false, true]);
        assert_eq!((event.id.as_str(), event.data.as_str()), ("p.3", "{\"state\":\"running\"}"));
    }
}

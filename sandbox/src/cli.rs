//! The command line: translate words into one use case, call it, translate its result into words and an exit code.
//! It decides nothing; another edge could do all that it does by the same calls.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::io::IsTerminal as _;
use std::io::Write;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use crate::cli::args::Cli;
use crate::cli::args::Command;
use crate::cli::args::Lang;
use crate::cli::args::ServeArgs;
use crate::cli::screen::Look;
use crate::cli::screen::Screen;
use crate::cli::session::Ending;
use crate::cli::session::Session;
use crate::cli::visible::visible;
use crate::config::Language;
use crate::config::Sources;

mod args;
mod client;
mod commands;
mod desk;
mod exit;
mod help;
mod retry;
mod screen;
mod session;
mod table;
mod unaccepted;
mod verdict;
mod visible;
mod wrap;

pub use crate::cli::exit::Exit;

/// Runs one command with the process's own arguments, environment and streams.
#[must_use]
pub fn run_process() -> Exit {
    silence_panics();
    let (mut out, err) = (io::stdout(), io::stderr());
    let look = Terminal {
        is_terminal: err.is_terminal(),
        shows_data: out.is_terminal(),
        columns: table::terminal_columns(),
    };
    run(std::env::args_os(), &Sources::of_process, look, &mut out, Arc::new(Mutex::new(err)))
}

/// A panic tells its place and no more: its message may quote data.
fn silence_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(|place| {
            let file = place.file().rsplit(['/', '\\']).next().unwrap_or_default();
            format!("{file}:{}", place.line())
        });
        // No stream is left to report a failure of this.
        let _told = writeln!(io::stderr(), "a bug ended this: {}", place.unwrap_or_default());
    }));
}

/// Properties of the terminal.
#[derive(Debug, Clone, Copy)]
pub struct Terminal {
    /// Standard error is a terminal: progress and colour are welcome.
    pub is_terminal: bool,
    /// Standard output is a terminal: data is for a person to see, and steers nothing.
    pub shows_data: bool,
    /// Width of standard error, if it is a terminal.
    pub columns: Option<u16>,
}

/// Runs one command. `sources` turns the flags that are settings into the places where settings are looked for.
pub fn run(
    arguments: impl IntoIterator<Item = OsString>,
    sources: &dyn Fn(BTreeMap<&'static str, String>) -> Sources,
    terminal: Terminal,
    out: &mut (dyn Write + Send),
    err: Arc<Mutex<dyn Write + Send>>,
) -> Exit {
    // No other thread holds the stream yet.
    let fails = |text: &str| write!(err.lock().unwrap_or_else(PoisonError::into_inner), "{text}");
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    // Unusable settings are reported later: here they only choose the language.
    let language = help::asked_for(&arguments).unwrap_or_else(|| {
        let sources = sources(BTreeMap::new());
        sources.load().map_or_else(|_| sources.locale(), |loaded| loaded.settings.language)
    });
    let cli = match help::parse(arguments, language) {
        Ok(cli) => cli,
        Err((error, text)) => {
            let told = if error.use_stderr() { fails(&text) } else { write!(out, "{text}") };
            return if told.is_ok() && !error.use_stderr() { Exit::Done } else { Exit::Usage };
        }
    };
    let mut sources = sources(flags(&cli));
    if let Some(file) = &cli.global.config {
        sources.name_file(file.clone());
    }
    let colours = terminal.is_terminal && !sources.forbids_colour();
    let loaded = match sources.load() {
        Ok(loaded) => loaded,
        Err(error) => {
            // It may quote a file that somebody else wrote.
            let told = error.localized(sources.locale());
            return match fails(&format!("error[settings]: {}\n", visible(&told))) {
                Ok(()) | Err(_) => Exit::Usage,
            };
        }
    };
    let look = Look {
        language: loaded.settings.language,
        output: cli.global.output,
        is_terminal: terminal.is_terminal,
        shows_data: terminal.shows_data,
        columns: terminal.columns.map(usize::from),
        colours,
    };
    let screen = Screen::new(out, err, look);
    match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(command(Session::new(loaded, screen), cli.command)),
        Err(_) => Exit::Failure,
    }
}

async fn command(mut session: Session<'_>, command: Command) -> Exit {
    let ended = dispatch(&mut session, command).await;
    session.close().await;
    match ended {
        Ok(exit) => exit,
        // The reader of the data has had enough, as `head` does.
        Err(Ending::Io(error)) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Done,
        Err(ending) => session.explain(&ending),
    }
}

async fn dispatch(session: &mut Session<'_>, command: Command) -> Result<Exit, Ending> {
    match command {
        Command::Init(args) => commands::setup::init(session, args).await,
        Command::Login(args) => commands::login::login(session, args).await,
        Command::Whoami => commands::whoami::whoami(session).await,
        Command::Logout => commands::login::logout(session),
        Command::Demo(args) => commands::demo::demo(session, args).await,
        Command::Seal(args) => commands::data::seal(session, args).await,
        Command::Query(args) => commands::ask::query(session, args).await,
        Command::Explain(args) => commands::ask::explain(session, args).await,
        Command::Job(command) => commands::ask::job(session, command).await,
        Command::Dataset(command) => commands::data::dataset(session, command).await,
        Command::Budget(args) => commands::budget::budget(session, args).await,
        Command::Purpose(command) => commands::purposes::purpose(session, command).await,
        Command::Policy(command) => commands::documents::policy(session, command).await,
        Command::Grant(command) => commands::documents::grant(session, command).await,
        Command::Request(command) => commands::access::request(session, command).await,
        Command::Review(command) => commands::reviews::review(session, command).await,
        Command::Person(command) => commands::setup::person(session, command).await,
        Command::Token(command) => commands::setup::token(session, command).await,
        Command::Audit(command) => commands::audit::audit(session, command).await,
        Command::Release(command) => commands::audit::release(session, &command),
        Command::Serve(_) => commands::serve::serve(session).await,
        Command::Key(command) => commands::setup::key(session, command).await,
        Command::Doctor => commands::setup::doctor(session).await,
        Command::Config(_) => commands::setup::config_check(session),
        Command::Completions { shell } => commands::setup::completions(session, shell),
    }
}

fn flags(cli: &Cli) -> BTreeMap<&'static str, String> {
    let global = &cli.global;
    let mut flags = BTreeMap::new();
    if let Command::Serve(ServeArgs { listen: Some(listen) }) = &cli.command {
        flags.insert("listen", listen.to_string());
    }
    if let Some(data_dir) = &global.data_dir {
        flags.insert("data_dir", data_dir.display().to_string());
    }
    if let Some(server) = &global.server {
        flags.insert("server", server.clone());
    }
    if let Some(lang) = global.lang {
        let language = match lang {
            Lang::En => Language::En,
            Lang::Zh => Language::Zh,
        };
        flags.insert("language", language.code().to_owned());
    }
    flags
}

#[cfg(test)]
mod tests;

//! One command's surroundings: settings, screen, clock, and the installation once it is opened.
//! It also turns every kind of bad ending into words and an exit code.

use std::io;
use std::sync::Arc;

use obscura_policies::parse::DocumentError;

use crate::app::data::key_generation::must_be_of_one_generation;
use crate::app::documents::policy_tests::PolicyTestFailure;
use crate::app::documents::publish_documents::DocumentsRefused;
use crate::app::people::authenticate::log_in;
use crate::app::people::authenticate::read_token;
use crate::app::recover::Recovered;
use crate::app::recover::expire_results;
use crate::app::recover::recover;
use crate::cli::client::Client;
use crate::cli::desk::Desk;
use crate::cli::exit::Exit;
use crate::cli::screen::Paint;
use crate::cli::screen::Screen;
use crate::clock::Clock;
use crate::clock::Random;
use crate::clock::SystemClock;
use crate::clock::SystemRandom;
use crate::config::Loaded;
use crate::context::Caller;
use crate::context::Door;
use crate::error::AppError;
use crate::error::InternalError;
use crate::error::PublicError;
use crate::error::operator_log::OperatorLog;
use crate::ids::RequestId;
use crate::installation::Installation;
use crate::installation::Layout;

/// One command's surroundings.
#[derive(Debug)]
pub(crate) struct Session<'a> {
    pub(crate) loaded: Loaded,
    pub(crate) screen: Screen<'a>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
    installation: Option<Arc<Installation>>,
}

/// A bad ending.
#[derive(Debug)]
pub(crate) enum Ending {
    /// A use case failed.
    App(AppError),
    /// Documents were not accepted.
    Documents(Vec<DocumentError>),
    /// A policy's own tests failed.
    Tests(Vec<PolicyTestFailure>),
    /// A stream broke.
    Io(io::Error),
}

impl From<AppError> for Ending {
    fn from(error: AppError) -> Self {
        Self::App(error)
    }
}

impl From<PublicError> for Ending {
    fn from(error: PublicError) -> Self {
        Self::App(error.into())
    }
}

impl From<io::Error> for Ending {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<DocumentsRefused> for Ending {
    fn from(refused: DocumentsRefused) -> Self {
        match refused {
            DocumentsRefused::Documents(errors) => Self::Documents(errors),
            DocumentsRefused::Tests(failures) => Self::Tests(failures),
            DocumentsRefused::App(error) => Self::App(error),
        }
    }
}

impl<'a> Session<'a> {
    pub(crate) fn new(loaded: Loaded, screen: Screen<'a>) -> Self {
        let (clock, random) = (Arc::new(SystemClock), Arc::new(SystemRandom));
        Self { loaded, screen, clock, random, installation: None }
    }

    /// Opens the installation and settles what a killed process left behind.
    pub(crate) async fn open(&mut self) -> Result<Arc<Installation>, Ending> {
        let (clock, random) = (Arc::clone(&self.clock), Arc::clone(&self.random));
        let installation = Installation::open(self.loaded.settings.clone(), clock, random).await?;
        // Before anything is settled or sealed: the right keyring, once it is back, cannot open what another one sealed.
        must_be_of_one_generation(&installation).await?;
        let recovered = recover(&installation).await?;
        expire_results(&installation).await?;
        if recovered != Recovered::default() {
            self.screen.say(
                "An earlier command was killed; what it left was settled by the audit log.",
                "之前有命令被中断，已依据审计日志完成善后。",
            )?;
        }
        Ok(self.keep(installation))
    }

    /// Keeps an opened installation, so that the end of the command closes it.
    pub(crate) fn keep(&mut self, installation: Installation) -> Arc<Installation> {
        let installation = Arc::new(installation);
        self.installation = Some(Arc::clone(&installation));
        installation
    }

    /// Closes the installation: when a command has ended, nothing of it still writes.
    pub(crate) async fn close(&mut self) {
        if let Some(installation) = self.installation.take() {
            installation.close().await;
        }
    }

    /// Opens the installation and recognises the person this command acts for.
    pub(crate) async fn enter(&mut self) -> Result<(Arc<Installation>, Caller), Ending> {
        // The caller is settled before anything is opened that needs a key.
        let token_file = self.loaded.settings.token_file.clone();
        let installation = self.open().await?;
        let caller = log_in(&installation, token_file.as_deref(), Door::CommandLine).await?;
        Ok((installation, caller))
    }

    /// Finds the desk of commands, and recognises the person this command acts for.
    pub(crate) async fn desk(&mut self) -> Result<Desk, Ending> {
        let settings = &self.loaded.settings;
        let Some(server) = &settings.server else {
            let (installation, caller) = self.enter().await?;
            return Ok(Desk::Here { installation, caller });
        };
        let token = read_token(settings.token_file.as_deref())?;
        Ok(Desk::Server(Client::new(server, token, &self.screen)?))
    }

    /// Reports how a command failed. If even that cannot be written, the exit code still tells it.
    pub(crate) fn explain(&mut self, ending: &Ending) -> Exit {
        let told = match ending {
            Ending::App(error) => self.explain_error(error),
            Ending::Documents(errors) => self.explain_documents(errors),
            Ending::Tests(failures) => self.explain_tests(failures),
            Ending::Io(error) => {
                let internal = InternalError::new("write the output", error);
                self.explain_error(&AppError::Internal(internal))
            }
        };
        told.unwrap_or(Exit::Failure)
    }

    fn explain_error(&mut self, error: &AppError) -> io::Result<Exit> {
        let public = error.public();
        let heading = self.screen.paint(&format!("error[{}]", public.code()), Paint::Bad);
        let message = self.screen.pick(public.message()).to_owned();
        self.screen.show(&heading.then(&format!(": {message}")))?;
        if let Some(help) = public.help() {
            let help = self.screen.pick(help).to_owned();
            self.screen.say(&format!("  help: {help}"), &format!("  建议：{help}"))?;
        }
        if let AppError::Internal(internal) = error {
            self.note(internal)?;
        }
        Ok(Exit::of(public.class()))
    }

    /// Leaves the detail in the operator's log, and tells its name there.
    fn note(&mut self, internal: &InternalError) -> io::Result<()> {
        let Ok(subject) = RequestId::new(self.clock.as_ref(), self.random.as_ref()) else {
            return Ok(());
        };
        let folder = Layout::of(&self.loaded.settings.data_dir).log();
        let log = OperatorLog::in_folder(&folder);
        if log.note(self.clock.now(), &subject.to_string(), internal).is_ok() {
            let path = log.path().display().to_string();
            return self.screen.say(&format!("  {subject} in {path}"), &format!("  {path} 中的 {subject}"));
        }
        // There is no log to look into, as on a full disk: its line would hold no values.
        self.screen.tell(&format!("  {}: {}", internal.step(), internal.causes().join(": ")))
    }

    fn explain_documents(&mut self, errors: &[DocumentError]) -> io::Result<Exit> {
        for error in errors {
            self.screen.say(&error.in_language("en"), &error.in_language("zh"))?;
        }
        let count = errors.len();
        self.screen.say(
            &format!("{count} finding(s); nothing was put in force by this command"),
            &format!("共 {count} 处问题，本次没有文档生效"),
        )?;
        Ok(Exit::Failure)
    }

    fn explain_tests(&mut self, failures: &[PolicyTestFailure]) -> io::Result<Exit> {
        for failure in failures {
            let PolicyTestFailure { policy, test, expected, came } = failure;
            self.screen.say(
                &format!("policy `{policy}`, test `{test}`: expected {expected}, came {came}"),
                &format!("策略 `{policy}` 的测试 `{test}`：应为 {expected}，实为 {came}"),
            )?;
        }
        Ok(Exit::Failure)
    }
}

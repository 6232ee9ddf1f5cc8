//! Errors for two audiences: [`PublicError`] is made of fixed phrases and names the caller wrote, [`InternalError`] is for
//! the operator's log and has no way into a response (no `Display`, no `Serialize`).

use std::borrow::Cow;
use std::error::Error;
use std::io;

use obscura_policies::Text;

pub mod operator_log;

/// Words of libraries that keep no kind of error: SQLite's, and the system's own where they are quoted. The code is what
/// SQLite says when the index of its write-ahead log has no room (`SQLITE_IOERR_SHMSIZE`), as on opening a database.
const FULL_WORDS: [&str; 3] = ["database or disk is full", "(code: 4874)", "No space left on device"];

/// The kind of a failure; edges translate it to an exit code or a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// The request has the wrong form.
    Usage,
    /// No person has been recognised.
    Unauthenticated,
    /// The person may not do this.
    Forbidden,
    /// There is no such thing, or the person may not know of it.
    NotFound,
    /// It is already so, or something else stands in the way.
    Conflict,
    /// It was there, and is no longer kept.
    Gone,
    /// A verification failed.
    VerificationFailed,
    /// Something that we need does not answer; later it may.
    Unavailable,
    /// As many requests are under way as there can be at a time; a moment later one may end.
    Busy,
    /// Something of ours broke.
    Failure,
}

/// An answer that may be shown to the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicError {
    class: Class,
    code: Cow<'static, str>,
    message: Text,
    /// Apart, because every result that may fail is as large as this.
    help: Option<Box<Text>>,
}

impl PublicError {
    /// Makes an answer from a stable code and a sentence in both languages.
    #[must_use]
    pub fn new(
        class: Class,
        code: impl Into<Cow<'static, str>>,
        en: impl Into<String>,
        zh: impl Into<String>,
    ) -> Self {
        let code = code.into();
        Self { class, code, message: Text::new(en, zh), help: None }
    }

    /// Adds what would be accepted.
    #[must_use]
    pub fn with_help(mut self, en: impl Into<String>, zh: impl Into<String>) -> Self {
        self.help = Some(Box::new(Text::new(en, zh)));
        self
    }

    /// The kind of failure.
    #[must_use]
    pub fn class(&self) -> Class {
        self.class
    }

    /// Its stable code.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.code
    }

    /// One sentence, lower case, no full stop.
    #[must_use]
    pub fn message(&self) -> &Text {
        &self.message
    }

    /// Input that would be accepted, where that can be said.
    #[must_use]
    pub fn help(&self) -> Option<&Text> {
        self.help.as_deref()
    }
}

/// Details for the operator: the step that failed and the chain of causes, values removed.
#[derive(Debug)]
pub struct InternalError {
    step: &'static str,
    causes: Vec<String>,
    is_disk_full: bool,
}

impl InternalError {
    /// Notes a failure of our own modules, whose messages carry no data.
    #[must_use]
    pub fn new(step: &'static str, error: &(dyn Error + 'static)) -> Self {
        let mut causes = Vec::new();
        let mut is_disk_full = false;
        let mut next: Option<&(dyn Error + 'static)> = Some(error);
        while let Some(error) = next {
            let message = error.to_string();
            is_disk_full |= says_full(error, &message);
            causes.push(without_values(&message));
            next = error.source();
        }
        Self { step, causes, is_disk_full }
    }

    /// Notes a failure of which only a fixed phrase may be kept, as of the engine, whose messages quote cells.
    #[must_use]
    pub fn of_kind(step: &'static str, kind: &str) -> Self {
        Self { step, causes: vec![without_values(kind)], is_disk_full: false }
    }

    /// True if it failed because there is no room on the disk.
    #[must_use]
    pub fn is_disk_full(&self) -> bool {
        self.is_disk_full
    }

    /// The step that failed.
    #[must_use]
    pub fn step(&self) -> &'static str {
        self.step
    }

    /// The chain of causes, outermost first.
    #[must_use]
    pub fn causes(&self) -> &[String] {
        &self.causes
    }
}

/// The failures of a use case. A refusal by the guard is not one of them: that is an answer.
#[derive(Debug)]
pub enum AppError {
    /// The caller is told exactly this.
    Public(PublicError),
    /// The caller is told that something broke; the operator's log has the rest.
    Internal(InternalError),
}

impl AppError {
    /// The error as the caller may see it.
    #[must_use]
    pub fn public(&self) -> PublicError {
        match self {
            Self::Public(error) => error.clone(),
            Self::Internal(error) if error.is_disk_full() => PublicError::new(
                Class::Unavailable,
                "disk-full",
                "the disk of the installation is full; nothing was released",
                "系统磁盘已满，没有任何结果流出",
            )
            .with_help(
                "the operator makes room; then ask again, nothing needs to be repaired",
                "请运维人员清理磁盘空间，之后重试即可，无需修复",
            ),
            Self::Internal(_) => PublicError::new(
                Class::Failure,
                "internal-error",
                "something of ours broke; nothing was released",
                "系统内部出错，没有任何结果流出",
            )
            .with_help("the operator's log says what", "详情见运维日志"),
        }
    }
}

impl From<PublicError> for AppError {
    fn from(error: PublicError) -> Self {
        Self::Public(error)
    }
}

impl From<InternalError> for AppError {
    fn from(error: InternalError) -> Self {
        Self::Internal(error)
    }
}

/// Says at which step a lower layer failed.
pub trait During<T> {
    /// Turns the error into an internal one.
    ///
    /// # Errors
    /// When `self` is one.
    fn during(self, step: &'static str) -> Result<T, AppError>;
}

impl<T, E: Error + 'static> During<T> for Result<T, E> {
    fn during(self, step: &'static str) -> Result<T, AppError> {
        self.map_err(|error| AppError::Internal(InternalError::new(step, &error)))
    }
}

/// True if one error of a chain means that there is no room on the disk: the system's own word, or that of the database.
fn says_full(error: &(dyn Error + 'static), message: &str) -> bool {
    let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
    matches!(kind, Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded))
        || FULL_WORDS.iter().any(|words| message.contains(words))
}

/// Removes what could be data from a message: quoted text, digits, and every letter outside ASCII.
#[must_use]
pub fn without_values(message: &str) -> String {
    let mut kept = String::with_capacity(message.len());
    let mut open: Option<char> = None;
    for c in message.chars() {
        match (open, c) {
            (Some(quote), c) if c == quote => {
                open = None;
                kept.push(c);
            }
            (Some(_), _) => {}
            (None, '\'' | '"' | '`') => {
                open = Some(c);
                kept.push(c);
                kept.push('…');
            }
            (None, c) if c.is_ascii_digit() => {
                if !kept.ends_with('#') {
                    kept.push('#');
                }
            }
            (None, c) if c.is_ascii() => kept.push(c),
            (None, _) => {
                if !kept.ends_with('?') {
                    kept.push('?');
                }
            }
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_do_not_survive_in_a_message_for_the_log() {
        let message = "cannot cast 'CANARY-1' to Int64, row 4711, name 张三, \"CANARY-2\" and `CANARY-3`";
        let kept = without_values(message);
        for gone in ["CANARY", "4711", "张三"] {
            assert!(!kept.contains(gone), "{kept}");
        }
        assert!(kept.starts_with("cannot cast"));
    }

    #[test]
    fn unbalanced_quote_hides_the_rest() {
        assert_eq!(without_values("bad value 'CANARY"), "bad value '…");
    }

    #[test]
    fn a_full_disk_is_told_whatever_wraps_it() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot append")]
        struct Wrapping(#[source] io::Error);
        for (error, full) in [
            (io::Error::from(io::ErrorKind::StorageFull), true),
            (io::Error::from(io::ErrorKind::QuotaExceeded), true),
            (io::Error::other("error returned from database: (code: 13) database or disk is full"), true),
            (io::Error::other("error returned from database: (code: 4874) disk I/O error"), true),
            (io::Error::other("error returned from database: (code: 266) disk I/O error"), false),
            (io::Error::from(io::ErrorKind::PermissionDenied), false),
        ] {
            let error = AppError::Internal(InternalError::new("append", &Wrapping(error)));
            let code = if full { "disk-full" } else { "internal-error" };
            assert_eq!(error.public().code(), code, "{error:?}");
        }
    }

    #[test]
    fn internal_errors_all_look_alike_to_the_caller() {
        let one = AppError::Internal(InternalError::of_kind("one step", "cast"));
        let other = AppError::Internal(InternalError::of_kind("other step", "overflow"));
        assert_eq!(one.public(), other.public());
    }
}

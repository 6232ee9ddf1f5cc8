//! The two streams of a command: data on standard output, narration on standard error.
//! Nothing else in the crate writes to either. Colour and progress only where a person looks on.

use std::io;
use std::io::Write;

use obscura_policies::Text;

use crate::cli::args::Output;
use crate::config::Language;

/// Where a command's words go.
pub(crate) struct Screen<'a> {
    out: &'a mut (dyn Write + Send),
    err: &'a mut (dyn Write + Send),
    /// How people are to be addressed.
    pub(crate) language: Language,
    /// Form of data.
    pub(crate) output: Output,
    /// Standard error is a terminal.
    pub(crate) is_terminal: bool,
    /// Colour is welcome.
    pub(crate) colours: bool,
}

impl std::fmt::Debug for Screen<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Screen").field("language", &self.language).finish_non_exhaustive()
    }
}

/// How a screen is to behave.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look {
    /// How people are to be addressed.
    pub(crate) language: Language,
    /// Form of data.
    pub(crate) output: Output,
    /// Standard error is a terminal.
    pub(crate) is_terminal: bool,
    /// Colour is welcome.
    pub(crate) colours: bool,
}

impl<'a> Screen<'a> {
    pub(crate) fn new(out: &'a mut (dyn Write + Send), err: &'a mut (dyn Write + Send), look: Look) -> Self {
        let Look { language, output, is_terminal, colours } = look;
        Self { out, err, language, output, is_terminal, colours }
    }

    /// Writes data.
    pub(crate) fn data(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)?;
        self.out.flush()
    }

    /// Writes a line of data.
    pub(crate) fn line(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "{text}")
    }

    /// Tells something, in the reader's language.
    pub(crate) fn say(&mut self, en: &str, zh: &str) -> io::Result<()> {
        let text = match self.language {
            Language::En => en,
            Language::Zh => zh,
        };
        writeln!(self.err, "{text}")
    }

    /// Tells something that is the same in every language.
    pub(crate) fn tell(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.err, "{text}")
    }

    /// Chooses the reader's language.
    pub(crate) fn pick<'t>(&self, text: &'t Text) -> &'t str {
        text.in_language(self.language.code())
    }

    /// Chooses between two texts.
    pub(crate) fn either<'t>(&self, en: &'t str, zh: &'t str) -> &'t str {
        match self.language {
            Language::En => en,
            Language::Zh => zh,
        }
    }

    /// Paints a text where colour is welcome.
    pub(crate) fn paint(&self, text: &str, paint: Paint) -> String {
        if !self.colours {
            return text.to_owned();
        }
        let code = match paint {
            Paint::Title => "1",
            Paint::Good => "32",
            Paint::Bad => "31",
            Paint::Faint => "2",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

/// What a text is painted as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Paint {
    /// A heading.
    Title,
    /// Good news.
    Good,
    /// Bad news.
    Bad,
    /// Beside the point.
    Faint,
}

//! The two streams of a command: data on standard output, narration on standard error.
//! Nothing else in the crate writes to either. Colour and progress appear on a terminal only. Control characters in
//! untrusted text are replaced before it is printed (`visible`), and only `Painted` text carries escape sequences, which are
//! ours.

use std::io;
use std::io::Write;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use obscura_policies::Text;

use crate::app::chinese::in_chinese;
use crate::cli::args::Output;
use crate::cli::visible::visible;
use crate::cli::wrap::lines;
use crate::config::Language;

/// Narrowest that lines are made.
const COLUMNS_MIN: usize = 20;

/// The streams of a command and their look.
pub(crate) struct Screen<'a> {
    out: &'a mut (dyn Write + Send),
    narration: Narration,
    /// Language of messages.
    pub(crate) language: Language,
    /// Form of data.
    pub(crate) output: Output,
    /// Standard error is a terminal.
    pub(crate) is_terminal: bool,
    /// Standard output is a terminal.
    shows_data: bool,
    /// Width of standard error, if it is a terminal.
    columns: Option<usize>,
    /// Colour is welcome.
    pub(crate) colours: bool,
}

impl std::fmt::Debug for Screen<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Screen").field("language", &self.language).finish_non_exhaustive()
    }
}

/// The look of a screen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look {
    /// Language of messages.
    pub(crate) language: Language,
    /// Form of data.
    pub(crate) output: Output,
    /// Standard error is a terminal.
    pub(crate) is_terminal: bool,
    /// Standard output is a terminal.
    pub(crate) shows_data: bool,
    /// Width of standard error, if it is a terminal.
    pub(crate) columns: Option<usize>,
    /// Colour is welcome.
    pub(crate) colours: bool,
}

impl<'a> Screen<'a> {
    pub(crate) fn new(
        out: &'a mut (dyn Write + Send),
        err: Arc<Mutex<dyn Write + Send>>,
        look: Look,
    ) -> Self {
        let Look { language, output, is_terminal, shows_data, columns, colours } = look;
        let narration = Narration { stream: err, language };
        Self { out, narration, language, output, is_terminal, shows_data, columns, colours }
    }

    /// A second handle of standard error, for reports made while a command waits.
    pub(crate) fn narration(&self) -> Narration {
        self.narration.clone()
    }

    /// Writes data: byte by byte for programs, to be seen on a terminal.
    pub(crate) fn data(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.shows_data {
            self.out.write_all(visible(&String::from_utf8_lossy(bytes)).as_bytes())?;
        } else {
            self.out.write_all(bytes)?;
        }
        self.out.flush()
    }

    /// Writes a line of data: made visible for people, as it is for a program that asked for a form of its own.
    pub(crate) fn line(&mut self, text: &str) -> io::Result<()> {
        if self.shows_data || self.output == Output::Table {
            writeln!(self.out, "{}", visible(text))
        } else {
            writeln!(self.out, "{text}")
        }
    }

    /// Writes a line of data that is painted.
    pub(crate) fn painted_line(&mut self, text: &Painted) -> io::Result<()> {
        writeln!(self.out, "{}", text.0)
    }

    /// Tells something, in the reader's language.
    pub(crate) fn say(&mut self, en: &str, zh: &str) -> io::Result<()> {
        self.narration.say(en, zh)
    }

    /// Width for a text of at most `most` columns here.
    pub(crate) fn columns(&self, most: usize) -> usize {
        self.columns.map_or(most, |columns| columns.clamp(COLUMNS_MIN, most))
    }

    /// Tells sentences in the reader's language, broken between words to fit the terminal.
    pub(crate) fn prose(&mut self, en: &str, zh: &str) -> io::Result<()> {
        let text = self.either(en, zh).to_owned();
        let Some(columns) = self.columns else { return self.tell(&text) };
        for line in lines(&text, columns.max(COLUMNS_MIN)) {
            self.tell(&line)?;
        }
        Ok(())
    }

    /// Tells something that is the same in every language.
    pub(crate) fn tell(&mut self, text: &str) -> io::Result<()> {
        self.narration.tell(text)
    }

    /// Tells something that is painted.
    pub(crate) fn show(&mut self, text: &Painted) -> io::Result<()> {
        self.narration.write_line(&text.0)
    }

    /// A word of a closed vocabulary as people read it: a state, a role, a use.
    pub(crate) fn word<'t>(&self, word: &'t str) -> &'t str {
        match self.language {
            Language::En => word,
            Language::Zh => in_chinese(word).unwrap_or(word),
        }
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
    pub(crate) fn paint(&self, text: &str, paint: Paint) -> Painted {
        let text = visible(text);
        if !self.colours {
            return Painted(text.into_owned());
        }
        let code = match paint {
            Paint::Title => "1",
            Paint::Good => "32",
            Paint::Bad => "31",
            Paint::Faint => "2",
        };
        Painted(format!("\u{1b}[{code}m{text}\u{1b}[0m"))
    }
}

/// Standard error, to which several may write, each a line at a time.
#[derive(Clone)]
pub(crate) struct Narration {
    stream: Arc<Mutex<dyn Write + Send>>,
    language: Language,
}

impl std::fmt::Debug for Narration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Narration").field("language", &self.language).finish_non_exhaustive()
    }
}

impl Narration {
    /// Tells something, in the reader's language.
    pub(crate) fn say(&self, en: &str, zh: &str) -> io::Result<()> {
        self.tell(match self.language {
            Language::En => en,
            Language::Zh => zh,
        })
    }

    fn tell(&self, text: &str) -> io::Result<()> {
        self.write_line(&visible(text))
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        // A panic while a line was written leaves a usable stream.
        writeln!(self.stream.lock().unwrap_or_else(PoisonError::into_inner), "{text}")
    }
}

/// A text that carries our escape sequences: control characters in its parts were replaced first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Painted(String);

impl Painted {
    /// Adds a text that is not painted.
    pub(crate) fn then(mut self, text: &str) -> Self {
        self.0.push_str(&visible(text));
        self
    }

    /// A drawing in which every text was made visible by its maker.
    pub(crate) fn drawing_of_visible(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// The paint of a text.
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

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests may panic")]
mod tests {
    use super::*;

    /// The output of a screen on its two streams.
    fn written(output: Output, shows_data: bool, write: impl Fn(&mut Screen<'_>)) -> (String, String) {
        let (mut out, err) = (Vec::new(), Arc::new(Mutex::new(Vec::new())));
        let look = Look {
            language: Language::En,
            output,
            is_terminal: true,
            shows_data,
            columns: None,
            colours: true,
        };
        write(&mut Screen::new(&mut out, Arc::<Mutex<Vec<u8>>>::clone(&err), look));
        let err = err.lock().unwrap().clone();
        (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    }

    #[test]
    fn what_others_wrote_steers_no_terminal_and_our_colours_do() {
        let (out, err) = written(Output::Table, false, |screen| {
            screen.line("a\u{1b}[2J").unwrap();
            screen.tell("b\u{9b}2J").unwrap();
            screen.say("c\u{202e}", "").unwrap();
            let painted = screen.paint("d\u{1b}[8m", Paint::Bad).then(": e\u{7}");
            screen.show(&painted).unwrap();
        });
        assert_eq!(out, "a?[2J\n");
        assert_eq!(err, "b\u{b7}2J\nc\u{fffd}\n\u{1b}[31md?[8m\u{1b}[0m: e?\n");
    }

    #[test]
    fn sentences_are_broken_between_words_where_a_terminal_is_narrow() {
        let (mut out, err) = (Vec::new(), Arc::new(Mutex::new(Vec::new())));
        for columns in [None, Some(24), Some(3)] {
            let (language, output) = (Language::En, Output::Table);
            let look =
                Look { language, output, is_terminal: true, shows_data: false, columns, colours: false };
            let mut screen = Screen::new(&mut out, Arc::<Mutex<Vec<u8>>>::clone(&err), look);
            screen.prose("The city stays where it is.", "").unwrap();
            assert_eq!(screen.columns(100), columns.map_or(100, |columns| columns.max(20)));
        }
        let told = String::from_utf8(err.lock().unwrap().clone()).unwrap();
        assert_eq!(
            told,
            "The city stays where it is.\nThe city stays where it\nis.\nThe city stays where\nit is.\n"
        );
    }

    #[test]
    fn a_program_gets_every_byte_and_a_person_sees_them() {
        let write = |screen: &mut Screen<'_>| {
            screen.data("n,\u{1b}c\r\n".as_bytes()).unwrap();
            screen.line("{\"n\": \"\u{9b}\"}").unwrap();
        };
        assert_eq!(written(Output::Json, false, write).0, "n,\u{1b}c\r\n{\"n\": \"\u{9b}\"}\n");
        assert_eq!(written(Output::Json, true, write).0, "n,?c \n{\"n\": \"\u{b7}\"}\n");
    }
}

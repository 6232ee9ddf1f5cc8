//! Tells the story: passages, scenes, and a check that they came out as the story has them. Every question goes over HTTP,
//! with the token of its asker.

use std::collections::VecDeque;
use std::io::Write as _;
use std::path::Path;

use arrow::array::Array as _;
use arrow::array::ArrayRef;
use arrow::util::display::ArrayFormatter;
use arrow::util::display::FormatOptions;

use crate::app::log::verify_audit::LogAgainst;
use crate::app::log::verify_audit::LogCopy;
use crate::app::log::verify_audit::verify_entry_proof;
use crate::app::log::verify_audit::verify_log;
use crate::app::query::formats::decode_arrow;
use crate::app::query::outcome::JobEnd;
use crate::app::query::outcome::Submitted;
use crate::app::query::question::SubmitQuery;
use crate::city::story;
use crate::city::story::Answer;
use crate::city::story::Cell;
use crate::city::story::Expectation;
use crate::city::story::Outcome;
use crate::city::story::Passage;
use crate::city::story::Scene;
use crate::cli::commands::ask::show_submitted;
use crate::cli::commands::demo::people::People;
use crate::cli::commands::verify::show_verification;
use crate::cli::exit::Exit;
use crate::cli::screen::Paint;
use crate::cli::screen::Screen;
use crate::cli::session::Ending;
use crate::cli::session::Session;
use crate::cli::wrap::indented;
use crate::cli::wrap::lines;
use crate::cli::wrap::width;
use crate::config::Language;
use crate::installation::Layout;

/// Widest that a passage is told.
const COLUMNS_MAX: usize = 92;
/// Prefix of each line of a question.
const RULE: &str = "  │ ";

/// The way the story is told.
pub(super) struct Stage {
    language: story::Language,
    once: bool,
}

impl Stage {
    /// A stage for readers of a language, who read at their own pace unless it is told at once.
    pub(super) fn new(language: Language, once: bool) -> Self {
        Self { language: told_in(language), once }
    }

    /// Tells a passage.
    pub(super) fn tell(&mut self, screen: &mut Screen<'_>, passage: &Passage) -> std::io::Result<()> {
        self.tell_text(screen, passage.tell(self.language))
    }

    fn tell_text(&mut self, screen: &mut Screen<'_>, text: &str) -> std::io::Result<()> {
        screen.tell("")?;
        for line in lines(text, screen.columns(COLUMNS_MAX)) {
            screen.tell(&line)?;
        }
        screen.tell("")
    }

    fn head(&mut self, screen: &mut Screen<'_>, title: &Passage) -> std::io::Result<()> {
        let title = screen.paint(&format!("── {} ", title.tell(self.language)), Paint::Title);
        screen.tell("")?;
        screen.show(&title)
    }

    /// Plays one scene and says whether it came out as the story has it.
    pub(super) async fn play(
        &mut self,
        session: &mut Session<'_>,
        people: &People,
        scene: &Scene,
    ) -> Result<bool, Ending> {
        self.head(&mut session.screen, &scene.title)?;
        self.tell(&mut session.screen, &scene.narration)?;
        let sql = scene.sql(self.language);
        let submitted = self.ask(session, people, scene, &sql).await?;
        let mut came_as_told = came(&submitted) == expected(scene.expectation);
        let answer = answer(&submitted)?;
        let is_refused = came(&submitted) == Came::Refused;
        let fix = match &submitted {
            Submitted::Refused { verdict, .. } => verdict.rewrites.first().map(|rewrite| rewrite.sql.clone()),
            _ => None,
        };
        show_submitted(&mut session.screen, &sql, submitted)?;
        if scene.expectation == Expectation::RefusedWithFix {
            match &fix {
                Some(sql) => {
                    session
                        .screen
                        .say("\nAsked again, as the guard proposes:", "\n按审查给出的建议再问一次：")?;
                    let mended = self.ask(session, people, scene, sql).await?;
                    came_as_told = came_as_told && came(&mended) == Came::Answered;
                    show_submitted(&mut session.screen, sql, mended)?;
                }
                None => came_as_told = false,
            }
        }
        let has_rewrite = fix.is_some();
        let outcome = Outcome { answer: answer.as_ref(), is_refused, has_rewrite };
        self.tell_text(&mut session.screen, &scene.remark(&outcome, self.language))?;
        if !came_as_told {
            session
                .screen
                .say("This scene did not come out as the story has it.", "这一幕的结果与剧本不符。")?;
        }
        self.wait(&mut session.screen)?;
        Ok(came_as_told)
    }

    async fn ask(
        &mut self,
        session: &mut Session<'_>,
        people: &People,
        scene: &Scene,
        sql: &str,
    ) -> Result<Submitted, Ending> {
        let columns = session.screen.columns(usize::MAX).saturating_sub(width(RULE));
        for line in sql.lines() {
            let text = line.trim_start();
            let indent = line.strip_suffix(text).unwrap_or_default();
            for part in indented(indent, text, columns) {
                session.screen.tell(&format!("{RULE}{part}"))?;
            }
        }
        session.screen.tell("")?;
        let question = SubmitQuery::once(sql, scene.purpose);
        people.named(scene.analyst)?.desk.submit(question, &|_progress| {}).await
    }

    /// The audit log is copied away and verified with its public key alone, and one entry is proven.
    pub(super) async fn prove(
        &mut self,
        session: &mut Session<'_>,
        layout: &Layout,
        people: &People,
    ) -> Result<bool, Ending> {
        self.head(&mut session.screen, &story::AUDIT_TITLE)?;
        self.tell(&mut session.screen, &story::AUDIT_NARRATION)?;
        let copy = layout.root().with_file_name("copy-of-audit");
        copy_folder(&layout.audit(), &copy)?;
        let log = LogCopy { folder: copy, key_file: layout.audit_key() };
        let verification = verify_log(&log, &LogAgainst::default())?;
        let exit = show_verification(&mut session.screen, &verification)?;
        let newest = verification.size.saturating_sub(1);
        let proof = people.auditor()?.desk.entry_proof(newest).await?;
        let proven = verify_entry_proof(&log.key_file, &proof)?;
        session.screen.prose(
            &format!(
                "Entry {newest} (`{}`) is proven by {} bytes of text.",
                proven.event.action,
                proof.len()
            ),
            &format!("第 {newest} 条（`{}`）由 {} 字节的文本证明。", proven.event.action, proof.len()),
        )?;
        self.tell(&mut session.screen, &story::AUDIT_REMARK)?;
        Ok(exit == Exit::Done)
    }

    /// Waits for the reader, if a person reads.
    fn wait(&mut self, screen: &mut Screen<'_>) -> std::io::Result<()> {
        if self.once || !screen.is_terminal {
            return Ok(());
        }
        screen.say("[Enter]", "[回车继续]")?;
        std::io::stdin().read_line(&mut String::new()).map(drop)
    }
}

/// The kind of outcome of a question, as far as the story needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Came {
    Answered,
    Refused,
    Otherwise,
}

fn came(submitted: &Submitted) -> Came {
    match submitted {
        Submitted::Ended(JobEnd::Released(_)) => Came::Answered,
        Submitted::Refused { .. } => Came::Refused,
        Submitted::Explained(_)
        | Submitted::Pending { .. }
        | Submitted::Ended(
            JobEnd::InReview { .. }
            | JobEnd::Withheld { .. }
            | JobEnd::Failed { .. }
            | JobEnd::Cancelled { .. },
        ) => Came::Otherwise,
    }
}

/// The released rows of a question, as the story reads them.
fn answer(submitted: &Submitted) -> Result<Option<Answer>, Ending> {
    let Submitted::Ended(JobEnd::Released(released)) = submitted else { return Ok(None) };
    let batch = decode_arrow(&released.table).map_err(std::io::Error::other)?;
    let options = FormatOptions::default();
    let formatters = batch.columns().iter().map(|column| ArrayFormatter::try_new(column.as_ref(), &options));
    let formatters: Vec<ArrayFormatter<'_>> =
        formatters.collect::<Result<_, _>>().map_err(std::io::Error::other)?;
    let cell = |(column, formatter): (&ArrayRef, &ArrayFormatter<'_>), row: usize| {
        let text = formatter.value(row).to_string();
        match text.parse() {
            _ if column.is_null(row) => Cell::Missing,
            Ok(number) if column.data_type().is_numeric() => Cell::Number(number),
            _ => Cell::Text(text),
        }
    };
    let row = |row| batch.columns().iter().zip(&formatters).map(|pair| cell(pair, row)).collect();
    Ok(Some(Answer::new((0..batch.num_rows()).map(row).collect())))
}

fn expected(expectation: Expectation) -> Came {
    match expectation {
        Expectation::Answered | Expectation::Suppressed => Came::Answered,
        Expectation::RefusedWithFix | Expectation::RefusedSinglingOut => Came::Refused,
    }
}

fn told_in(language: Language) -> story::Language {
    match language {
        Language::En => story::Language::English,
        Language::Zh => story::Language::Chinese,
    }
}

fn copy_folder(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    let mut left = VecDeque::from([(from.to_owned(), to.to_owned())]);
    while let Some((from, to)) = left.pop_front() {
        for entry in std::fs::read_dir(&from)? {
            let entry = entry?;
            let target = to.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                std::fs::create_dir_all(&target)?;
                left.push_back((entry.path(), target));
            } else {
                let mut copy = std::fs::File::create(&target)?;
                copy.write_all(&std::fs::read(entry.path())?)?;
            }
        }
    }
    Ok(())
}

//! From a page's text to its blocks: commands to run, the output that they must print, and blocks that do not run.
//! It reads Markdown fences only; everything else is prose.

use anyhow::Context as _;
use anyhow::bail;
use anyhow::ensure;

/// A page.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) name: String,
    /// The page whose blocks run before those of this one.
    pub(crate) goes_on_after: Option<String>,
    pub(crate) blocks: Vec<Block>,
}

/// One fenced block of commands.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) line: usize,
    pub(crate) action: Action,
}

/// The use of a block.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// It runs.
    Run(Vec<Step>),
    /// It does not, for a reason.
    Leave(String),
}

/// Commands with the code that they end with, and what they print where the page shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) line: usize,
    pub(crate) script: String,
    pub(crate) code: i32,
    pub(crate) printed: Option<Vec<String>>,
}

const GOES_ON: &str = "This page goes on where [";

impl Page {
    pub(crate) fn parse(name: &str, text: &str) -> anyhow::Result<Self> {
        let mut page = Self { name: name.to_owned(), goes_on_after: None, blocks: Vec::new() };
        let mut lines = text.lines().zip(1..);
        while let Some((line, number)) = lines.next() {
            if let Some(rest) = line.strip_prefix(GOES_ON) {
                let target = rest.split_once("](").and_then(|(_, rest)| rest.split_once(") ends."));
                let (target, _) = target.with_context(|| format!("{name}:{number}: where does it go on?"))?;
                ensure!(page.blocks.is_empty(), "{name}:{number}: this stands before the first block");
                page.goes_on_after = Some(target.to_owned());
            }
            let Some(info) = line.strip_prefix("```") else { continue };
            let mut body = Vec::new();
            loop {
                let (line, _) =
                    lines.next().with_context(|| format!("{name}:{number}: the block does not end"))?;
                if line.trim_end() == "```" {
                    break;
                }
                body.push(line);
            }
            let action = action(info, &body, number + 1).with_context(|| format!("{name}:{number}"))?;
            page.blocks.extend(action.map(|action| Block { line: number, action }));
        }
        Ok(page)
    }
}

/// Reads a block; nothing when it holds no commands.
fn action(info: &str, body: &[&str], line: usize) -> anyhow::Result<Option<Action>> {
    let (language, rest) = info.split_once(' ').unwrap_or((info, ""));
    match language {
        "sh" | "console" => {}
        "" | "bash" | "shell" | "zsh" => bail!("commands are marked `sh` or `console`, and text `text`"),
        _ => return Ok(None),
    }
    let rest = rest.trim();
    if let Some(reason) = rest.strip_prefix("no-run:") {
        ensure!(!reason.trim().is_empty(), "a block that does not run says why");
        return Ok(Some(Action::Leave(reason.trim().to_owned())));
    }
    let code = match rest.strip_prefix("exit:") {
        Some(code) => code.parse().context("a code is a number, as in `exit:3`")?,
        None if rest.is_empty() => 0,
        None => bail!("`{rest}` is neither `exit:CODE` nor `no-run: REASON`"),
    };
    let mut steps = if language == "sh" {
        vec![Step { line, script: body.join("\n"), code: 0, printed: None }]
    } else {
        console(body, line)?
    };
    let last = steps.last_mut().context("the block is empty")?;
    last.code = code;
    Ok(Some(Action::Run(steps)))
}

/// Reads commands after `$ `, with the lines below each as its output. A command goes on after a `\`.
fn console(body: &[&str], first_line: usize) -> anyhow::Result<Vec<Step>> {
    let mut steps: Vec<Step> = Vec::new();
    let mut lines = body.iter().zip(first_line..);
    while let Some((text, line)) = lines.next() {
        if let Some(command) = text.strip_prefix("$ ") {
            let mut script = command.to_owned();
            while script.ends_with('\\') {
                let (next, _) = lines.next().context("a command ends with `\\`")?;
                script.push('\n');
                script.push_str(next);
            }
            steps.push(Step { line, script, code: 0, printed: Some(Vec::new()) });
        } else {
            let step = steps.last_mut().context("a console block begins with `$ `")?;
            step.printed.get_or_insert_default().push((*text).to_owned());
        }
    }
    Ok(steps)
}

/// True if a program printed what the page shows: `…` stands for anything within a line, and alone for any lines.
pub(crate) fn is_as_shown(shown: &[String], printed: &[&str]) -> bool {
    match (shown.split_first(), printed.split_first()) {
        (None, None) => true,
        (Some((first, rest)), _) if first.trim() == "…" => {
            (0..=printed.len()).any(|skip| printed.get(skip..).is_some_and(|left| is_as_shown(rest, left)))
        }
        (Some((first, rest)), Some((line, left))) => {
            line_is_as_shown(first.trim_end(), line.trim_end()) && is_as_shown(rest, left)
        }
        (Some(_), None) | (None, Some(_)) => false,
    }
}

fn line_is_as_shown(shown: &str, printed: &str) -> bool {
    let mut pieces = shown.split('…');
    let Some(mut left) = pieces.next().and_then(|first| printed.strip_prefix(first)) else { return false };
    let pieces: Vec<&str> = pieces.collect();
    let Some((last, middle)) = pieces.split_last() else { return left.is_empty() };
    for piece in middle {
        let Some(at) = left.find(piece) else { return false };
        left = left.get(at + piece.len()..).unwrap_or_default();
    }
    left.ends_with(last)
}

/// Tries the convention on small pages: accepted blocks, refused blocks, and outputs that are as shown.
pub(crate) fn convention_holds() -> anyhow::Result<()> {
    let page = Page::parse("small", "```console exit:3\n$ one \\\n  two\n  out\n$ three\n```\n")?;
    let [Block { line: 1, action: Action::Run(steps) }] = page.blocks.as_slice() else {
        bail!("one block that runs, not {page:?}");
    };
    let told: Vec<_> = steps.iter().map(|step| (step.script.as_str(), step.code, step.line)).collect();
    ensure!(told == [("one \\\n  two", 0, 2), ("three", 3, 5)], "{told:?}");
    let printed: Vec<_> = steps.iter().map(|step| step.printed.clone()).collect();
    ensure!(printed == [Some(vec!["  out".to_owned()]), Some(Vec::new())], "{printed:?}");
    for wrong in [
        "```bash\nx\n```",
        "```\nx\n```",
        "```sh exit:no\nx\n```",
        "```sh no-run:\nx\n```",
        "```sh quietly\nx\n```",
        "```console\nx\n```",
        "```sh\nx",
    ] {
        ensure!(Page::parse("wrong", wrong).is_err(), "{wrong} is accepted");
    }
    let shown = |text: &str| -> Vec<String> { text.lines().map(str::to_owned).collect() };
    for (page, printed, is_same) in [
        ("a\nb", "a\nb", true),
        ("a\nb", "a", false),
        ("a", "a\nb", false),
        ("…", "", true),
        ("…\nb", "a\na\nb", true),
        ("…\nb", "a\nb\nc", false),
        ("job_… is done", "job_1 is done", true),
        ("job_… is done", "job_1 is not", false),
        ("a…b…c", "a-c-b", false),
        ("a…a", "a", false),
    ] {
        let printed: Vec<&str> = printed.lines().collect();
        ensure!(is_as_shown(&shown(page), &printed) == is_same, "{page:?} and {printed:?}");
    }
    Ok(())
}

//! Command transcripts: sessions of commands with everything that they print and how they end, compared with files.
//! Texts that differ from run to run (identifiers, times, hashes) are written as their kind. `cargo xtask bless` accepts
//! changes.

use std::fs;
use std::process::ExitCode;

use anyhow::Context as _;
use anyhow::ensure;
use libtest_mimic::Arguments;
use libtest_mimic::Trial;
use obscura_tests::canary::Canary;
use obscura_tests::environment;
use obscura_tests::fixture::Fixture;
use obscura_tests::world::World;
use serde::Deserialize;

/// A session: commands in order, in one world.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Session {
    /// The behaviour that the session shows.
    shows: String,
    /// The commands.
    run: Vec<Run>,
}

/// One command.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Run {
    /// The person who runs it; none when missing.
    by: Option<String>,
    /// The arguments of `obscura`.
    arguments: Vec<String>,
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let trials = match names() {
        Ok(names) => names
            .into_iter()
            .map(|name| {
                Trial::test(name.clone(), move || judge(&name).map_err(|error| format!("{error:#}").into()))
            })
            .collect(),
        Err(error) => vec![Trial::test("the-sessions-are-there", move || Err(format!("{error:#}").into()))],
    };
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn names() -> anyhow::Result<Vec<String>> {
    let folder = environment::tests_folder().join("cli").join("sessions");
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let path = entry?.path();
        names.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
    }
    names.sort();
    ensure!(!names.is_empty(), "there is no session");
    Ok(names)
}

fn judge(name: &str) -> anyhow::Result<()> {
    let folder = environment::tests_folder().join("cli");
    let session = fs::read_to_string(folder.join("sessions").join(format!("{name}.toml")))?;
    let session: Session = toml::from_str(&session)?;
    let mut fixture = Fixture::load()?;
    fixture.canaries.push(Canary::new("a malformed row", "CANARY-cost-4-d1f0aa"));
    let world = World::with(&fixture)?;
    let files = folder.join("files");
    let mut transcript = format!("# {}\n", session.shows);
    for run in &session.run {
        let mut command = world.command(run.by.as_deref())?;
        command
            .args(run.arguments.iter().map(|argument| argument.replace("FILES", &files.to_string_lossy())));
        let outcome = world.finish(command, &run.arguments.join(" "))?;
        let shown: Vec<String> = run.arguments.iter().map(|argument| quoted(argument)).collect();
        let by = run.by.as_deref().unwrap_or("nobody");
        transcript.push_str(&format!("\n{by}$ obscura {}\n", shown.join(" ")));
        for (mark, text) in [("", &outcome.stdout), ("2> ", &outcome.stderr)] {
            for line in plain(text, &world).lines() {
                transcript.push_str(format!("{mark}{line}").trim_end());
                transcript.push('\n');
            }
        }
        transcript.push_str(&format!(
            "exit {}\n",
            outcome.code.map_or("by a signal".to_owned(), |code| code.to_string())
        ));
    }
    let sightings = world.sightings()?;
    ensure!(sightings.is_empty(), "canaries leave: {sightings:#?}");
    compare(&folder.join("transcripts").join(format!("{name}.txt")), &transcript)
}

fn compare(file: &std::path::Path, transcript: &str) -> anyhow::Result<()> {
    if environment::bless() {
        return fs::write(file, transcript).with_context(|| format!("cannot write {}", file.display()));
    }
    let wanted = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    for (number, (found, wanted)) in transcript.lines().zip(wanted.lines()).enumerate() {
        ensure!(
            found == wanted,
            "{}:{}\n  expected: {wanted}\n  found:    {found}\n\n{transcript}",
            file.display(),
            number + 1
        );
    }
    ensure!(transcript == wanted, "{}: another length\n{transcript}", file.display());
    Ok(())
}

fn quoted(argument: &str) -> String {
    let plain = argument.chars().all(|c| c.is_ascii_alphanumeric() || "-_./=:,".contains(c));
    if plain { argument.to_owned() } else { format!("\"{argument}\"") }
}

/// The text with everything that differs from run to run replaced by its kind.
fn plain(text: &str, world: &World) -> String {
    let text = text.replace(&*world.root().to_string_lossy(), "WORLD");
    let text = text.replace(&*environment::tests_folder().to_string_lossy(), "TESTS");
    let mut out = String::new();
    let mut word = String::new();
    for c in text.chars().chain(['\n']) {
        if c.is_ascii_alphanumeric() || "_-:.+/=".contains(c) {
            word.push(c);
        } else {
            out.push_str(&kind(&word));
            word.clear();
            out.push(c);
        }
    }
    out.pop();
    out
}

fn kind(word: &str) -> String {
    let digits = word.chars().filter(char::is_ascii_digit).count();
    let hex = word.chars().all(|c| c.is_ascii_hexdigit());
    if let Some((prefix, rest)) = word.split_once('_')
        && rest.len() == 32
        && rest.chars().all(|c| c.is_ascii_hexdigit())
    {
        return format!("{prefix}_ID");
    }
    if word.len() >= 19 && word.contains('T') && word.contains(':') && digits >= 12 {
        return "TIME".to_owned();
    }
    if word.len() == 10 && word.matches('-').count() == 2 && digits == 8 && !word.starts_with("2099") {
        return "DAY".to_owned();
    }
    if hex && word.len() >= 16 && digits > 0 {
        return "HEX".to_owned();
    }
    if word.len() >= 40 && digits > 2 && !word.contains("WORLD") && !word.contains("TESTS") {
        return "KEY".to_owned();
    }
    word.to_owned()
}

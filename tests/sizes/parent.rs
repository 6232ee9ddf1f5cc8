//! Watches over a child that reviews one construct: notes what it says, ends it when a step takes too long, and starts
//! another one at the next place. It reviews nothing itself.

use std::fmt::Write as _;
use std::io::BufRead as _;
use std::io::BufReader;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::sync::mpsc;
use std::time::Duration;

use anyhow::Context as _;
use anyhow::ensure;

use crate::Case;
use crate::Construct;
use crate::child;

/// Longest step, far beyond what a release build may take: machines are slow and shared, and a debug build is ten times
/// slower than the one that is used.
const STEP: Duration = Duration::from_secs(if cfg!(debug_assertions) { 30 } else { 10 });
/// Most characters of a statement that a finding shows.
const TEXT_MAX: usize = 300;
/// Most address space of a child: unbounded growth ends the child and not the machine.
const MEMORY_KIB: u64 = 4 * 1024 * 1024;

/// Reviews a construct at all its places.
pub(crate) fn judge(construct: &Construct) -> anyhow::Result<()> {
    let mut report = Report::default();
    let mut next = 0;
    while next < construct.cases.len() {
        next = watch(construct, next, &mut report)?;
    }
    eprintln!("{}: {}", construct.name, report.figures());
    ensure!(
        report.findings.is_empty(),
        "{}: {} findings; {}\n{}",
        construct.name,
        report.findings.len(),
        report.figures(),
        report.findings.join("\n")
    );
    Ok(())
}

/// The reports of a construct's children.
#[derive(Default)]
struct Report {
    findings: Vec<String>,
    reviews: usize,
    admitted: usize,
    slowest: [(u64, String); 3],
    largest: [(u64, String); 3],
}

impl Report {
    fn figures(&self) -> String {
        let mut text = format!("{} reviews, {} admitted", self.reviews, self.admitted);
        let most = child::STEPS.iter().zip(self.slowest.iter().zip(&self.largest));
        for (step, ((time, slow), (memory, large))) in most.filter(|(_, ((_, name), _))| !name.is_empty()) {
            let mark = if *time >= 1000 { " SLOW" } else { "" };
            let _ = write!(text, "; {step} {time} ms ({slow}){mark}, {memory} KiB ({large})");
        }
        text
    }

    fn find(&mut self, case: &Case, finding: &str) {
        let asked = asked(case, finding).unwrap_or_default();
        self.findings.push(format!("{}: {finding}\n    {asked}", case.place));
    }

    /// Takes one line of a child.
    fn note(&mut self, case: &Case, line: &str) {
        let place = &case.place;
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["done", step, depth, outcome, time, memory] => {
                let Some(step) = child::STEPS.iter().position(|known| known == step) else { return };
                let (time, memory) = (time.parse().unwrap_or(0), memory.parse().unwrap_or(0));
                let at = format!("{place} at {depth}");
                self.reviews += usize::from(step == 0);
                self.admitted += usize::from(step == 0 && *outcome == "admitted");
                if self.slowest[step].1.is_empty() || time > self.slowest[step].0 {
                    self.slowest[step] = (time, at.clone());
                }
                if self.largest[step].1.is_empty() || memory > self.largest[step].0 {
                    self.largest[step] = (memory, at);
                }
            }
            ["finding", ..] => self.find(case, line.trim_start_matches("finding ")),
            _ => {}
        }
    }
}

/// The beginning of what was asked.
fn asked(case: &Case, finding: &str) -> Option<String> {
    let depth = finding.split_once("at depth ")?.1;
    let depth = depth.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()?;
    Some((case.text)(depth)?.chars().take(TEXT_MAX).collect())
}

/// Lets a child review from a place on; returns the place from which to go on.
fn watch(construct: &Construct, from: usize, report: &mut Report) -> anyhow::Result<usize> {
    let mut child = start(construct.name, from)?;
    let output = child.stdout.take().context("its output is ours")?;
    let (sender, lines) = mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let (mut place, mut last) = (from, "the start".to_owned());
        loop {
            // A child that has just been started has the whole program to load.
            match lines.recv_timeout(STEP) {
                Ok(line) => {
                    if let Some(number) = line.strip_prefix("place ") {
                        place = number.trim().parse().context("a place's number")?;
                    }
                    if line.starts_with("begin ") {
                        last = line.trim_start_matches("begin ").to_owned();
                    }
                    report.note(&construct.cases[place], &line);
                }
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    child.kill().and_then(|()| child.wait()).context("a child is ended")?;
                    let finding = format!("{last} takes longer than {} s", STEP.as_secs());
                    report.find(&construct.cases[place], &finding);
                    return Ok(place + 1);
                }
                Err(mpsc::RecvTimeoutError::Disconnected) => {
                    let status = child.wait().context("a child ends")?;
                    if status.success() {
                        return Ok(construct.cases.len());
                    }
                    let finding = format!("{last} ends the process, {status}");
                    report.find(&construct.cases[place], &finding);
                    return Ok(place + 1);
                }
            }
        }
    })
}

/// Starts this program as a child with a bound on its memory, where the system has one.
fn start(construct: &str, from: usize) -> anyhow::Result<Child> {
    let this = std::env::current_exe().context("a test cannot tell where it stands")?;
    let limited = format!("ulimit -v {MEMORY_KIB} 2>/dev/null; exec \"$@\"");
    Command::new("sh")
        .args(["-c", &limited, "sh"])
        .arg(this)
        .args([child::ARGUMENT, construct, &from.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .context("a child is started")
}

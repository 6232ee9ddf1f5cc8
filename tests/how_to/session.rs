//! A reader's terminal: one shell in a fresh folder, with a home of its own; variables, functions and jobs stay in it.
//! Processes in the background end with it.

use std::fs;
use std::io::BufRead as _;
use std::io::BufReader;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt as _;
use std::process;
use std::process::Child;
use std::process::ChildStdin;
use std::process::ChildStdout;
use std::process::Command;
use std::process::Stdio;

use anyhow::Context as _;
use anyhow::bail;
use anyhow::ensure;
use obscura_tests::environment;
use tempfile::TempDir;

use crate::block::Step;
use crate::block::is_as_shown;

/// A reader's terminal.
#[derive(Debug)]
pub(crate) struct Session {
    folder: TempDir,
    shell: Child,
    commands: ChildStdin,
    codes: BufReader<ChildStdout>,
    /// Address and port that the page's 127.0.0.1:7200 stands for.
    address: String,
    port: String,
}

impl Session {
    pub(crate) fn begin(number: usize) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir().context("cannot make a folder for a page")?;
        let path = |name: &str| folder.path().join(name);
        for name in ["programs", "home", "temporary", "here"] {
            fs::create_dir(path(name))?;
        }
        symlink(environment::product()?, path("programs").join("obscura"))?;
        let programs = format!("{}:/usr/local/bin:/usr/bin:/bin", path("programs").display());
        // Every process has a number of its own, and all of 127.0.0.0/8 is this machine.
        let [_, a, b, c] = process::id().to_be_bytes();
        let address = format!("127.{}.{b}.{c}", a.saturating_add(64));
        let port = (7200 + number).to_string();
        let mut shell = Command::new("bash")
            .args(["--noprofile", "--norc", "-e", "-o", "pipefail"])
            .env_clear()
            .env("PATH", programs)
            .env("HOME", path("home"))
            .env("TMPDIR", path("temporary"))
            .env("LC_ALL", "C.UTF-8")
            .env("OBSCURA_LISTEN", format!("{address}:{port}"))
            .current_dir(path("here"))
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start bash")?;
        let commands = shell.stdin.take().context("bash has an input")?;
        let codes = BufReader::new(shell.stdout.take().context("bash has an output")?);
        Ok(Self { folder, shell, commands, codes, address, port })
    }

    /// Runs one step and compares how it ends, and what it prints where the page shows it.
    pub(crate) fn run(&mut self, page: &str, step: &Step) -> anyhow::Result<()> {
        let place = format!("{page}:{}", step.line);
        let (script, printed) = (self.folder.path().join("step"), self.folder.path().join("printed"));
        fs::write(&script, self.local(&step.script) + "\n")?;
        let streams = format!("< /dev/null > '{}' 2>&1", printed.display());
        let script = script.display();
        if step.code == 0 {
            // A failure ends the shell, and the page with it.
            writeln!(self.commands, "{{ . '{script}'; }} {streams}; echo 0")?;
        } else {
            // In a shell within, which a failure may end.
            writeln!(
                self.commands,
                "set +e; ( set -e; . '{script}' ) {streams}; code=$?; set -e; echo $code"
            )?;
        }
        let mut code = String::new();
        self.codes.read_line(&mut code)?;
        let ended = match code.trim().parse::<i32>() {
            Ok(code) => Some(code),
            Err(_) => self.shell.wait()?.code(),
        };
        let found = fs::read(&printed).unwrap_or_default();
        let found = String::from_utf8_lossy(&found);
        if ended != Some(step.code) {
            bail!("{place}: ends with {ended:?}, not {}\n{}\n--- printed:\n{found}", step.code, step.script);
        }
        let Some(shown) = &step.printed else { return Ok(()) };
        let shown: Vec<String> = shown.iter().map(|line| self.local(line)).collect();
        let lines: Vec<&str> = found.lines().collect();
        ensure!(
            is_as_shown(&shown, &lines),
            "{place}: prints something else\n$ {}\n--- shown:\n{}\n--- printed:\n{found}",
            step.script,
            shown.join("\n")
        );
        Ok(())
    }

    /// The text with this page's own address and port.
    fn local(&self, text: &str) -> String {
        text.replace("127.0.0.1", &self.address).replace(":7200", &format!(":{}", self.port))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // The shell is not waited for before, so that the group is still its own.
        let group = format!("-{}", self.shell.id());
        let _killed = Command::new("kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status();
        let _ended = self.shell.wait();
    }
}

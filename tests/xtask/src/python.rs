//! The Python of the suites that bring their own judges (DuckDB, PyArrow, Schemathesis, a client made of the OpenAPI description): a virtual environment in the target folder with pinned packages.
//! It installs nothing outside that folder.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Context as _;
use anyhow::ensure;

use crate::workspace;

/// Makes the environment, or finds it made, and returns its interpreter.
pub(crate) fn prepare() -> anyhow::Result<PathBuf> {
    let wanted = workspace::root()?.join("tests").join("requirements.txt");
    let wanted_text =
        fs::read_to_string(&wanted).with_context(|| format!("cannot read {}", wanted.display()))?;
    let folder = workspace::target()?.join("python");
    let interpreter = folder.join("bin").join("python");
    let installed = folder.join("installed.txt");
    if fs::read_to_string(&installed).is_ok_and(|text| text == wanted_text) {
        return Ok(interpreter);
    }

    let made = Command::new("python3")
        .args(["-m", "venv", "--clear"])
        .arg(&folder)
        .status()
        .context("cannot start python3; install Python 3 with venv")?;
    ensure!(made.success(), "python3 cannot make a virtual environment; install the package python3-venv");
    let filled = Command::new(&interpreter)
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:"])
        .arg("--requirement")
        .arg(&wanted)
        .status()
        .context("cannot start pip")?;
    ensure!(filled.success(), "pip cannot install the packages of {}", wanted.display());
    fs::write(&installed, wanted_text).with_context(|| format!("cannot write {}", installed.display()))?;
    Ok(interpreter)
}

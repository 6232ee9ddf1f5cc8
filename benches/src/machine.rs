//! Facts about the machine and the commit for the samples: processor, cores, memory, load. No host name, no path.
//! It reads what Linux tells every process.

use std::path::Path;
use std::process::Command;

use anyhow::Context as _;

use crate::samples::Machine;

/// Folders whose changes would change what is measured.
const PRODUCT: &[&str] =
    &["Cargo.toml", "Cargo.lock", "policies", "query-guard", "crypto", "sandbox", "benches/src"];

/// Describes the machine as it is now.
///
/// # Errors
/// When this is no Linux.
pub(crate) fn machine() -> anyhow::Result<Machine> {
    let cpu = std::fs::read_to_string("/proc/cpuinfo")?;
    let memory = std::fs::read_to_string("/proc/meminfo")?;
    let load = std::fs::read_to_string("/proc/loadavg")?;
    let cores = std::thread::available_parallelism()?.get();
    let kib: u64 = field(&memory, "MemTotal").and_then(|text| text.parse().ok()).context("no memory size")?;
    let load: f64 = load.split(' ').next().and_then(|text| text.parse().ok()).context("no load")?;
    Ok(Machine {
        cpu: line(&cpu, "model name").unwrap_or("unknown").to_owned(),
        cores,
        memory_gib: (kib + (1 << 19)) >> 20,
        load_before: load / f64::from(u32::try_from(cores)?),
    })
}

/// Most memory this process has held so far, in MiB.
///
/// # Errors
/// When this is no Linux.
pub(crate) fn peak_mib() -> anyhow::Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let kib: u32 = field(&status, "VmHWM").and_then(|text| text.parse().ok()).context("no peak")?;
    Ok(f64::from(kib) / 1024.0)
}

/// The commit, and whether what is measured differs from it.
///
/// # Errors
/// When git does not answer.
pub(crate) fn commit(folder: &Path) -> anyhow::Result<(String, bool)> {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).current_dir(folder.join("..")).output()?;
        anyhow::ensure!(output.status.success(), "git failed");
        anyhow::Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let commit = git(&["rev-parse", "--short=9", "HEAD"])?;
    let changed = git(&[&["status", "--porcelain", "--"], PRODUCT].concat())?;
    Ok((commit, !changed.is_empty()))
}

fn line<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    line.split_once(':').map(|(_, value)| value.trim())
}

fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    line(text, name)?.split(' ').next()
}

//! The places of things: the workspace's root, the target folder, the built binaries.
//! It reads no manifest; places follow from that of this program.

use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Context as _;

/// Name of the product's binary.
pub(crate) const PRODUCT: &str = "obscura";

/// The folder that holds the root manifest.
pub(crate) fn root() -> anyhow::Result<PathBuf> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = manifest.ancestors().nth(2).context("the manifest of xtask lies two folders deep")?;
    Ok(root.to_path_buf())
}

/// The folder cargo builds into: the one this program was built into.
pub(crate) fn target() -> anyhow::Result<PathBuf> {
    let this = std::env::current_exe().context("cannot tell where this program stands")?;
    let target = this.ancestors().nth(2).context("a built program lies in target/PROFILE")?;
    Ok(target.to_path_buf())
}

/// A binary of the development profile.
pub(crate) fn binary(name: &str) -> anyhow::Result<PathBuf> {
    Ok(target()?.join("debug").join(name))
}

/// The cargo that runs this program, in the workspace's root, building into the same folder.
pub(crate) fn cargo() -> anyhow::Result<Command> {
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(root()?);
    command.env("CARGO_TARGET_DIR", target()?);
    // Cargo's variables about this program's own package would make build scripts that look at them (that of `ring`) run
    // anew, and with them compile the whole engine, whenever a developer changes between xtask and cargo itself.
    for (name, _) in std::env::vars_os() {
        let own =
            name.to_str().is_some_and(|name| OF_THIS_PACKAGE.iter().any(|prefix| name.starts_with(prefix)));
        if own {
            command.env_remove(name);
        }
    }
    Ok(command)
}

/// Prefixes of the variables that cargo sets for a program it runs.
const OF_THIS_PACKAGE: [&str; 5] =
    ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_CRATE_", "CARGO_BIN_", "CARGO_PRIMARY_"];

/// Builds the product's binary. Selecting the suites' package with it gives both the same features of what they
/// share, so that the query engine is compiled once, not once for the product and once for the tests.
pub(crate) fn build_product() -> anyhow::Result<()> {
    let built = cargo()?
        .args(["build", "--locked", "--package", "obscura-sandbox", "--package", "obscura-tests"])
        .args(["--bin", PRODUCT])
        .status()
        .context("cannot start cargo")?;
    anyhow::ensure!(built.success(), "the product does not build; the compiler's messages stand above");
    Ok(())
}

//! The harness's surroundings: the slow switch, the folder of real data, the Python, the built binary.
//! The only module of the harness that reads the environment.
#![expect(clippy::disallowed_methods, reason = "this module wraps the environment for all suites")]

use std::env;
use std::path::PathBuf;

use anyhow::Context as _;
use anyhow::ensure;

/// True if slow tests run too (`RUN_SLOW=1`, as `cargo xtask test` sets it).
#[must_use]
pub fn run_slow() -> bool {
    env::var_os("RUN_SLOW").is_some_and(|value| value == "1")
}

/// Names the folder of real data files, if `OBSCURA_REAL_DATA` gives one.
#[must_use]
pub fn real_data() -> Option<PathBuf> {
    env::var_os("OBSCURA_REAL_DATA").filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// Names the Python interpreter that has the packages of `tests/requirements.txt`: that of `OBSCURA_PYTHON`, else the one that
/// `cargo xtask test` has made beside the built programs. Suites that need it are skipped without one.
#[must_use]
pub fn python() -> Option<PathBuf> {
    let named = env::var_os("OBSCURA_PYTHON").filter(|value| !value.is_empty()).map(PathBuf::from);
    named.or_else(|| {
        let this = env::current_exe().ok()?;
        let made = this.ancestors().nth(3)?.join("python").join("bin").join("python");
        made.is_file().then_some(made)
    })
}

/// True if expectation files are written instead of compared (`cargo xtask bless`).
#[must_use]
pub fn bless() -> bool {
    env::var_os("OBSCURA_BLESS").is_some_and(|value| value == "1")
}

/// True if the programs of `tests/redteam` run in full and write their page (`cargo xtask redteam`).
#[must_use]
pub fn red_team() -> bool {
    env::var_os("OBSCURA_REDTEAM").is_some_and(|value| value == "1")
}

/// A run of random questions that somebody asks for; what is left out is the suite's to choose.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fuzz {
    /// The seed.
    pub seed: Option<u64>,
    /// Number of the first question.
    pub first: Option<u64>,
    /// Questions.
    pub questions: Option<u64>,
}

/// The run of random questions that `cargo xtask fuzz` asks for (`OBSCURA_FUZZ=1`, and `_SEED`, `_FIRST`, `_QUESTIONS`).
#[must_use]
pub fn fuzz() -> Option<Fuzz> {
    let number = |name| env::var(name).ok()?.parse().ok();
    env::var_os("OBSCURA_FUZZ").is_some_and(|value| value == "1").then(|| Fuzz {
        seed: number("OBSCURA_FUZZ_SEED"),
        first: number("OBSCURA_FUZZ_FIRST"),
        questions: number("OBSCURA_FUZZ_QUESTIONS"),
    })
}

/// True if the questions of `tests/utility` write their list and page (`cargo xtask utility`).
#[must_use]
pub fn utility() -> bool {
    env::var_os("OBSCURA_UTILITY").is_some_and(|value| value == "1")
}

/// Returns the folder of the package `obscura-tests`.
#[must_use]
pub fn tests_folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Returns the product's binary, built beside the tests.
///
/// # Errors
/// When it has not been built.
pub fn product() -> anyhow::Result<PathBuf> {
    let this = env::current_exe().context("a test cannot tell where it stands")?;
    let folder = this.ancestors().nth(2).context("a test lies in target/PROFILE/deps")?;
    let binary = folder.join(format!("obscura{}", env::consts::EXE_SUFFIX));
    ensure!(
        binary.is_file(),
        "the product is not built; run `cargo build --workspace --bins` or `cargo xtask test`"
    );
    Ok(binary)
}

/// Returns the folder of the libraries built for the tests.
///
/// # Errors
/// When a test cannot tell where it stands.
pub fn built_libraries() -> anyhow::Result<PathBuf> {
    let this = env::current_exe().context("a test cannot tell where it stands")?;
    Ok(this.parent().context("a test lies in a folder")?.to_path_buf())
}

/// Returns a folder beside the built programs for what tests want to keep between runs.
///
/// # Errors
/// When a test cannot tell where it stands.
pub fn scratch_folder() -> anyhow::Result<PathBuf> {
    let this = env::current_exe().context("a test cannot tell where it stands")?;
    let profile = this.ancestors().nth(2).context("a test lies in target/PROFILE/deps")?;
    Ok(profile.join("obscura-tests"))
}

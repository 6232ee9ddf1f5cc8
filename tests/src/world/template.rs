//! Worlds that are made once and copied: sealing takes seconds, copying a folder does not.
//! A template belongs to one fixture and one build of the program; another build makes its own.

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process;
use std::time::SystemTime;

use anyhow::Context as _;
use anyhow::ensure;

use super::Grades;
use super::World;
use crate::environment;
use crate::fixture::Fixture;

/// Returns the folder of a furnished world for this fixture, making it if it is missing.
pub(super) fn of(fixture: &Fixture, grades: Grades) -> anyhow::Result<PathBuf> {
    let folder = environment::scratch_folder()?.join("worlds");
    let wanted = folder.join(key(fixture, grades)?);
    if wanted.is_dir() {
        return Ok(wanted);
    }
    let world = World::empty(fixture)?;
    world.furnish(fixture, grades).context("cannot furnish a world")?;
    let sightings = world.sightings()?;
    ensure!(sightings.is_empty(), "canaries leave while a world is furnished: {sightings:#?}");
    fs::create_dir_all(&folder)?;
    let begun = folder.join(format!("begun-{}", process::id()));
    fs::create_dir(&begun)?;
    copy(world.root(), &begun)?;
    // The process that renames first wins; the other's folder is as good, and goes.
    if fs::rename(&begun, &wanted).is_err() {
        fs::remove_dir_all(&begun)?;
    }
    ensure!(wanted.is_dir(), "cannot keep a world in {}", wanted.display());
    Ok(wanted)
}

/// Copies a folder with everything in it, permissions included.
///
/// # Errors
/// When something cannot be read or written.
pub fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to)?;
    fs::set_permissions(to, fs::metadata(from)?.permissions())?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot list {}", from.display()))? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}

/// Names a template after everything that it is made from.
fn key(fixture: &Fixture, grades: Grades) -> anyhow::Result<String> {
    let product = fs::metadata(environment::product()?)?;
    let built = product.modified()?.duration_since(SystemTime::UNIX_EPOCH)?;
    let documents = environment::tests_folder().join("attacks").join("documents");
    let mut parts = vec![format!("{} {}", product.len(), built.as_nanos())];
    for name in ["department.yaml", "corpus.yaml", "grants.yaml"] {
        parts.push(grades.of(&fs::read_to_string(documents.join(name))?));
    }
    for (_, file) in super::FIXED {
        parts.push(fs::read_to_string(environment::tests_folder().join(file))?);
    }
    for table in fixture.tables() {
        parts.push(table.to_csv()?);
    }
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in parts.iter().flat_map(|part| part.bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    Ok(format!("{hash:016x}"))
}

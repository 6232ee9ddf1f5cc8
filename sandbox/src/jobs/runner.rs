//! A process's sign of life: a locked file that the operating system unlocks when the process dies.
//! No clock and no heartbeat are involved, so a slow process is never taken for a dead one.

use std::fs;
use std::fs::File;
use std::fs::TryLockError;
use std::path::Path;
use std::path::PathBuf;

use crate::clock::Clock;
use crate::clock::Random;
use crate::ids::EventId;
use crate::jobs::JobError;

/// The sign of life of this process.
#[derive(Debug)]
pub struct Runner {
    name: String,
    path: PathBuf,
    // Held, not read: dropping it unlocks the file.
    _lock: File,
}

impl Runner {
    /// Begins to show that this process lives.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn start(folder: &Path, clock: &dyn Clock, random: &dyn Random) -> Result<Self, JobError> {
        fs::create_dir_all(folder).map_err(JobError::Runner)?;
        let name = EventId::new(clock, random)?.to_string().replace(EventId::PREFIX, "runner_");
        let path = folder.join(&name);
        let file = File::create_new(&path).map_err(JobError::Runner)?;
        file.lock().map_err(JobError::Runner)?;
        Ok(Self { name, path, _lock: file })
    }

    /// Its name, written beside every job it takes care of.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        // A file left behind is harmless: no process holds its lock.
        let _left_behind = fs::remove_file(&self.path);
    }
}

/// True if the process of this name no longer lives.
///
/// # Errors
/// When the folder cannot be read.
pub fn is_dead(folder: &Path, name: &str) -> Result<bool, JobError> {
    let file = match File::open(folder.join(name)) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(true),
        Err(error) => return Err(JobError::Runner(error)),
    };
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(JobError::Runner(error)),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests may panic")]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::clock::SteppedClock;
    use crate::clock::SystemRandom;

    #[test]
    fn process_lives_until_its_sign_of_life_is_dropped() {
        let folder = TempDir::new().unwrap();
        let runner = Runner::start(folder.path(), &SteppedClock::at_second(1), &SystemRandom).unwrap();
        let name = runner.name().to_owned();
        assert!(!is_dead(folder.path(), &name).unwrap());
        drop(runner);
        assert!(is_dead(folder.path(), &name).unwrap());
    }

    #[test]
    fn file_left_by_a_killed_process_counts_as_dead() {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("runner_gone"), "").unwrap();
        assert!(is_dead(folder.path(), "runner_gone").unwrap());
        assert!(is_dead(folder.path(), "runner_never").unwrap());
    }
}

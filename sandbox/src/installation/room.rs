//! Room on the disk of an installation: found by writing a little, and remembered for a moment.
//! The operator's log says when room is gone and when it is back; standard error does while there is none.

use std::fs;
use std::fs::File;
use std::io;
use std::io::Write as _;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::PoisonError;

use jiff::SignedDuration;
use jiff::Timestamp;

use crate::error::InternalError;
use crate::error::operator_log::OperatorLog;

/// Bytes that are written to find out if there is room: about as many as one question writes.
const PROBE_BYTES: usize = 64 * 1024;
/// Time for which an answer is good.
const GOOD_FOR: SignedDuration = SignedDuration::from_secs(5);
/// Name of the disk in the operator's log.
const LOG_SUBJECT: &str = "disk";

/// The room on one disk.
#[derive(Debug)]
pub(crate) struct Room {
    probe: PathBuf,
    looked: Mutex<Option<Looked>>,
}

#[derive(Debug, Clone, Copy)]
struct Looked {
    at: Timestamp,
    is_there: bool,
}

impl Room {
    /// The room on the disk that holds a folder.
    pub(crate) fn in_folder(folder: &Path) -> Self {
        Self { probe: folder.join("room"), looked: Mutex::default() }
    }

    /// Says if there is room. A change of the answer is noted.
    pub(crate) fn is_there(&self, now: Timestamp, log: &OperatorLog) -> bool {
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = *looked
            && now.duration_since(last.at).abs() < GOOD_FOR
        {
            return last.is_there;
        }
        let found = self.look();
        let was_there = looked.is_none_or(|last| last.is_there);
        match &found {
            Err(error) if was_there => {
                log.note_somewhere(now, LOG_SUBJECT, &InternalError::new("look for room on the disk", error));
            }
            Ok(()) if !was_there => {
                let back = "the disk was full, and there is room again";
                log.note_somewhere(
                    now,
                    LOG_SUBJECT,
                    &InternalError::of_kind("look for room on the disk", back),
                );
            }
            Ok(()) | Err(_) => {}
        }
        *looked = Some(Looked { at: now, is_there: found.is_ok() });
        found.is_ok()
    }

    /// Writes a little and removes it again.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn look(&self) -> io::Result<()> {
        let written = File::create(&self.probe).and_then(|mut file| {
            file.write_all(&[0; PROBE_BYTES])?;
            file.sync_all()
        });
        let removed = match fs::remove_file(&self.probe) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        };
        written.and(removed)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests may panic")]
mod tests {
    use tempfile::TempDir;

    use super::*;

    #[test]
    fn room_that_is_gone_and_back_is_noted_once_each() {
        let folder = TempDir::new().unwrap();
        let log = OperatorLog::in_folder(folder.path());
        let room = Room::in_folder(folder.path());
        let at = |second: i64| Timestamp::from_second(1_800_000_000 + second).unwrap();
        let lines = || fs::read_to_string(log.path()).unwrap_or_default().lines().count();
        assert!(room.is_there(at(0), &log));
        // A folder in the probe's place cannot be written, as on a full disk.
        fs::create_dir(folder.path().join("room")).unwrap();
        assert!(room.is_there(at(4), &log), "the answer of a moment ago");
        assert!(!room.is_there(at(5), &log));
        assert!(!room.is_there(at(10), &log));
        assert_eq!(lines(), 1);
        fs::remove_dir(folder.path().join("room")).unwrap();
        assert!(room.is_there(at(15), &log));
        assert_eq!(lines(), 2);
        assert!(!folder.path().join("room").exists());
    }
}

//! Does the regular work of a serving process: it removes results that were kept as long as they should be, clears pages of
//! the database that hold deleted keys, and checks that the audit log is still the one that it has seen.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::app::recover::expire_results;
use crate::catalog::OldPages;
use crate::error::AppError;
use crate::error::InternalError;
use crate::installation::Installation;
use crate::installation::blocking::blocking_io;

/// The interval at which a serving process keeps house.
pub const EVERY: Duration = Duration::from_secs(60 * 60);

/// Keeps house, now and then again, until it is told to stop.
pub async fn keep_house(
    installation: Arc<Installation>,
    every: Duration,
    mut stopping: watch::Receiver<bool>,
) {
    loop {
        // A step that fails now is tried again the next time.
        if let Err(AppError::Internal(error)) = expire_results(&installation).await {
            installation.note("results past their days", &error);
        }
        // A shredding reports pages that are still being read; they are cleared here, once the readers have gone.
        match installation.catalog.clear_old_pages().await {
            Ok(OldPages::Cleared | OldPages::Held) => {}
            Err(error) => {
                installation
                    .note("old pages of the database", &InternalError::new("clear old pages", &error));
            }
        }
        // Without questions or other changes, nothing else would notice a log that was cut back.
        if !blocking_io(|| installation.audit.is_continued()) {
            let cut_back =
                "the audit log does not continue the one that was seen before: it was cut back or replaced";
            installation.note("the audit log", &InternalError::of_kind("look at the audit log", cut_back));
        }
        let told = stopping.wait_for(|stopping| *stopping);
        if tokio::time::timeout(every, told).await.is_ok() {
            return;
        }
    }
}

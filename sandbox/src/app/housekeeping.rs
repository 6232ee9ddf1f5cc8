//! What a serving process does by itself, now and then: it removes results that were kept as long as they should be, and
//! looks whether the audit log is still the one that it has seen.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::app::in_place::aside;
use crate::app::installation::Installation;
use crate::app::recover::expire_results;
use crate::error::AppError;
use crate::error::InternalError;

/// How often a serving process keeps house.
pub const EVERY: Duration = Duration::from_secs(60 * 60);

/// Keeps house, now and then again, until it is told to stop.
pub async fn keep_house(
    installation: Arc<Installation>,
    every: Duration,
    mut stopping: watch::Receiver<bool>,
) {
    loop {
        // What did not work now is tried again the next time.
        if let Err(AppError::Internal(error)) = expire_results(&installation).await {
            installation.note("results past their days", &error);
        }
        // Where nobody asks, nobody else would notice.
        if let Err(error) = aside(|| installation.audit.newest_change()) {
            installation.note("the audit log", &InternalError::new("look at the audit log", &error));
        }
        let told = stopping.wait_for(|stopping| *stopping);
        if tokio::time::timeout(every, told).await.is_ok() {
            return;
        }
    }
}

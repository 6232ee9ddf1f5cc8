//! What a serving process does by itself, now and then: it removes results that were kept as long as they should be.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::app::installation::Installation;
use crate::app::recover::expire_results;
use crate::error::AppError;

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
        let told = stopping.wait_for(|stopping| *stopping);
        if tokio::time::timeout(every, told).await.is_ok() {
            return;
        }
    }
}

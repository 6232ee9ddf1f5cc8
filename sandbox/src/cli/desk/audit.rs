//! The audit log, as far as it is asked at a desk: most of it needs the log's files and no desk.

use axum::http::Method;

use crate::app::verify_audit::prove_own_entry;
use crate::cli::client::Sent;
use crate::cli::client::unexpected;
use crate::cli::desk::Desk;
use crate::cli::session::Ending;

impl Desk {
    /// The proof that an entry is in the log.
    pub(crate) async fn entry_proof(&self, index: u64) -> Result<String, Ending> {
        match self {
            Self::Here { installation, caller } => Ok(prove_own_entry(installation, caller, index).await?),
            Self::Server(client) => {
                let path = format!("/audit/events/{index}/proof");
                let answer = client.ask(Method::GET, &path, Sent::default()).await?;
                String::from_utf8(answer.body).map_err(|_| unexpected())
            }
        }
    }
}

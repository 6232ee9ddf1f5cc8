//! The audit log, as far as it is asked at a desk: most of it needs the log's files and no desk.

use axum::http::Method;

use crate::api::audit::EVENTS_MAX;
use crate::api::audit::EventList;
use crate::app::log::search_log::LogFilter;
use crate::app::log::search_log::LogPart;
use crate::app::log::search_log::search_log;
use crate::app::log::verify_audit::prove_own_entry;
use crate::cli::client::Sent;
use crate::cli::client::step;
use crate::cli::client::unexpected;
use crate::cli::desk::Desk;
use crate::cli::session::Ending;

impl Desk {
    /// Searches the audit log.
    pub(crate) async fn events(
        &self,
        part: LogPart,
        most: u64,
        filter: &LogFilter,
    ) -> Result<EventList, Ending> {
        let client = match self {
            Self::Here { installation, caller } => {
                return Ok(EventList::of(search_log(installation, caller, part, most, filter)?));
            }
            Self::Server(client) => client,
        };
        let mut path = format!("/audit/events?limit={}", most.clamp(1, EVENTS_MAX));
        let mut add = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                path.push_str(&format!("&{name}={}", step(&value)));
            }
        };
        match part {
            LogPart::From(from) => add("from", Some(from.to_string())),
            LogPart::NewestBefore(before) => add("before", before.map(|before| before.to_string())),
        }
        add("dataset", filter.dataset.as_ref().map(ToString::to_string));
        add("person", filter.person.as_ref().map(ToString::to_string));
        add("purpose", filter.purpose.as_ref().map(ToString::to_string));
        add("decision", filter.decision.map(|decision| decision.name().to_owned()));
        add("since", filter.since.map(|since| since.to_string()));
        client.get(&path).await
    }

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

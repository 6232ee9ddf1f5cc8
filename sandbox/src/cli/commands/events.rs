//! `audit log`: events of the log, those that a filter finds, and with `--follow` those that are appended meanwhile.

use std::time::Duration;

use serde_json::json;

use crate::api::audit::EVENTS_MAX;
use crate::api::audit::EventList;
use crate::api::audit::EventView;
use crate::app::log::search_log::LogFilter;
use crate::app::log::search_log::LogPart;
use crate::app::log::search_log::read_since;
use crate::cli::args::AuditLogArgs;
use crate::cli::args::Output;
use crate::cli::desk::Desk;
use crate::cli::exit::Exit;
use crate::cli::screen::Screen;
use crate::cli::session::Ending;
use crate::cli::session::Session;
use crate::cli::table::Listing;
use crate::error::Class;
use crate::error::PublicError;

/// Time between two looks at the log.
const HERE_EVERY: Duration = Duration::from_secs(1);
/// The same over a network, where each look is an entry of the log itself.
const SERVER_EVERY: Duration = Duration::from_secs(5);
/// The route that reads the log; its own entries are not followed.
const OWN_ROUTE: &str = "GET /api/v1/audit/events";

/// The columns of an event: names for programs, headings for people.
const COLUMNS: [(&str, &str, &str); 6] = [
    ("index", "entry", "序号"),
    ("time", "time", "时间"),
    ("actor", "who", "人员"),
    ("action", "what", "事件"),
    ("subject", "about", "对象"),
    ("datasets", "datasets", "数据集"),
];

pub(super) async fn events(session: &mut Session<'_>, args: AuditLogArgs) -> Result<Exit, Ending> {
    let since = args.since.as_deref().map(|text| {
        read_since(text, &session.loaded.settings.time_zone).ok_or_else(|| {
            PublicError::new(
                Class::Usage,
                "since-malformed",
                "a time is a day as 2026-12-31, or an instant as 2026-12-31T08:00:00Z",
                "时间须为日期（如 2026-12-31）或时刻（如 2026-12-31T08:00:00Z）",
            )
        })
    });
    let filter = LogFilter {
        dataset: args.dataset,
        person: args.person,
        purpose: args.purpose,
        decision: args.decision,
        since: since.transpose()?,
    };
    let desk = session.desk().await?;
    let (found, end) = match args.from {
        Some(from) => from_on(&desk, from, args.limit, &filter).await?,
        None => newest(&desk, args.limit, &filter).await?,
    };
    let screen = &mut session.screen;
    if !args.follow {
        let mut listing = Listing::new(screen, &COLUMNS);
        for event in &found {
            listing.row(row(event).into());
        }
        listing.write(screen)?;
        return Ok(Exit::Done);
    }
    for event in &found {
        write_line(screen, event)?;
    }
    follow(screen, &desk, end, &filter).await
}

/// The events from an entry on, up to a number of them, and the entry behind the last one that was looked at.
async fn from_on(
    desk: &Desk,
    from: u64,
    most: u64,
    filter: &LogFilter,
) -> Result<(Vec<EventView>, u64), Ending> {
    let (mut found, mut next) = (Vec::new(), from);
    loop {
        let left = most.saturating_sub(count(&found));
        // Also for nothing: permission to read is checked first.
        let EventList { events, looked_to, size, .. } =
            desk.events(LogPart::From(next), left, filter).await?;
        found.extend(events);
        next = next.max(looked_to);
        if count(&found) >= most || next >= size {
            found.truncate(usize::try_from(most).unwrap_or(usize::MAX));
            return Ok((found, next));
        }
    }
}

/// The newest events, oldest first, and the end of the log.
async fn newest(desk: &Desk, most: u64, filter: &LogFilter) -> Result<(Vec<EventView>, u64), Ending> {
    let (mut pages, mut before, mut end) = (Vec::new(), None, None);
    let mut left = most;
    loop {
        let EventList { events, looked_from, looked_to, .. } =
            desk.events(LogPart::NewestBefore(before), left, filter).await?;
        let end = *end.get_or_insert(looked_to);
        left = left.saturating_sub(count(&events));
        pages.push(events);
        if left == 0 || looked_from == 0 {
            let mut found: Vec<EventView> = pages.into_iter().rev().flatten().collect();
            let surplus = count(&found).saturating_sub(most);
            drop(found.drain(..usize::try_from(surplus).unwrap_or(found.len())));
            return Ok((found, end));
        }
        before = Some(looked_from);
    }
}

/// Writes new events, until their reader is gone.
async fn follow(
    screen: &mut Screen<'_>,
    desk: &Desk,
    mut next: u64,
    filter: &LogFilter,
) -> Result<Exit, Ending> {
    let every = match desk {
        Desk::Here { .. } => HERE_EVERY,
        Desk::Server(_) => SERVER_EVERY,
    };
    let mut looks = tokio::time::interval(every);
    loop {
        let EventList { events, looked_to, size, .. } =
            desk.events(LogPart::From(next), EVENTS_MAX, filter).await?;
        for event in events.iter().filter(|event| !is_own(event)) {
            write_line(screen, event)?;
        }
        next = next.max(looked_to);
        if next >= size {
            looks.tick().await;
        }
    }
}

fn is_own(event: &EventView) -> bool {
    event.detail.get("route").and_then(serde_json::Value::as_str) == Some(OWN_ROUTE)
}

fn count(events: &[EventView]) -> u64 {
    u64::try_from(events.len()).unwrap_or(u64::MAX)
}

fn row(event: &EventView) -> [serde_json::Value; 6] {
    let key = event.record.as_deref().map(|record| record.split_once('/').map_or(record, |(_, key)| key));
    let about = key.or(event.correlation.as_deref());
    [
        json!(event.index),
        json!(event.time),
        json!(event.actor),
        json!(event.action),
        json!(about),
        json!(event.datasets),
    ]
}

/// One event as one line, as soon as it is known.
fn write_line(screen: &mut Screen<'_>, event: &EventView) -> Result<(), Ending> {
    let mut listing = Listing::new(screen, &COLUMNS);
    listing.row(row(event).into());
    let written = match screen.output {
        Output::Json => listing.write_lines(screen),
        Output::Table | Output::Csv => listing.write_plain(screen),
        // It says that a list has no such form.
        Output::Arrow | Output::Parquet => listing.write(screen),
    };
    Ok(written?)
}

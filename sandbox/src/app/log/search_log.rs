//! Use case: search the audit log: entries that name a dataset, a person, a purpose or a decision, since a time. It finds
//! what entries say themselves; each entry that is given out was led back to the signed checkpoint.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use obscura_policies::vocabulary::Code;
use obscura_policies::vocabulary::DatasetId;
use obscura_policies::vocabulary::PersonRole;
use serde_json::Value;

use crate::app::log::verify_audit::checkpoint;
use crate::app::log::verify_audit::log_failure;
use crate::app::people::authorise::must_be;
use crate::audit::event::LoggedEvent;
use crate::context::Caller;
use crate::context::PersonName;
use crate::error::AppError;
use crate::installation::Installation;

/// Most entries that one search looks at; the next one goes on from there.
const LOOKED_AT_MAX: u64 = 20_000;

/// The entries that are meant; an empty filter means all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogFilter {
    /// The entry is about this dataset.
    pub dataset: Option<DatasetId>,
    /// This person did it, or it is about them.
    pub person: Option<PersonName>,
    /// It is for this purpose.
    pub purpose: Option<Code>,
    /// It decides so.
    pub decision: Option<Decision>,
    /// It is not older.
    pub since: Option<Timestamp>,
}

/// A decision that an entry can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// A question may run.
    Admitted,
    /// A question may not run.
    Refused,
    /// A request for access is a grant, or a reviewer lets a result out.
    Approved,
    /// A request for access is no grant.
    Declined,
    /// A request or a proposal was taken back.
    Withdrawn,
    /// A proposed policy is in force.
    Activated,
    /// A reviewer sends a result back, with what to change.
    Returned,
    /// A reviewer keeps a result in.
    Rejected,
}

impl Decision {
    /// Every decision.
    pub const ALL: [Self; 8] = [
        Self::Admitted,
        Self::Refused,
        Self::Approved,
        Self::Declined,
        Self::Withdrawn,
        Self::Activated,
        Self::Returned,
        Self::Rejected,
    ];

    /// The word of the log.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Admitted => "admitted",
            Self::Refused => "refused",
            Self::Approved => "approved",
            Self::Declined => "declined",
            Self::Withdrawn => "withdrawn",
            Self::Activated => "activated",
            Self::Returned => "returned",
            Self::Rejected => "rejected",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|decision| decision.name() == name)
    }
}

/// The part of the log that a search looks through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogPart {
    /// From this entry on, the oldest first.
    From(u64),
    /// The newest entries before this one, or before the end of the log.
    NewestBefore(Option<u64>),
}

/// The result of a search.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundEvents {
    /// The events, oldest first.
    pub events: Vec<LoggedEvent>,
    /// The first entry that was looked at.
    pub looked_from: u64,
    /// The entry behind the last one that was looked at.
    pub looked_to: u64,
    /// The number of entries in the log.
    pub size: u64,
}

/// Searches a part of the log for at most so many events.
///
/// # Errors
/// Forbidden for all but auditors; verification failed when an entry does not verify.
pub fn search_log(
    installation: &Installation,
    caller: &Caller,
    part: LogPart,
    most: u64,
    filter: &LogFilter,
) -> Result<FoundEvents, AppError> {
    must_be(caller, PersonRole::Auditor)?;
    installation.blocking(|| {
        let size = checkpoint(installation)?.0;
        let event = |index| installation.audit.event(index).map_err(log_failure);
        match part {
            LogPart::From(from) => forward(from.min(size), size, most, filter, event),
            LogPart::NewestBefore(end) => backward(end.unwrap_or(size).min(size), size, most, filter, event),
        }
    })
}

fn forward(
    from: u64,
    size: u64,
    most: u64,
    filter: &LogFilter,
    event: impl Fn(u64) -> Result<LoggedEvent, AppError>,
) -> Result<FoundEvents, AppError> {
    let mut found = FoundEvents { events: Vec::new(), looked_from: from, looked_to: from, size };
    let end = size.min(from.saturating_add(LOOKED_AT_MAX));
    while found.looked_to < end && count(&found.events) < most {
        let event = event(found.looked_to)?;
        found.looked_to += 1;
        found.events.extend(Some(event).filter(|event| filter.finds(event)));
    }
    Ok(found)
}

fn backward(
    end: u64,
    size: u64,
    most: u64,
    filter: &LogFilter,
    event: impl Fn(u64) -> Result<LoggedEvent, AppError>,
) -> Result<FoundEvents, AppError> {
    let mut found = FoundEvents { events: Vec::new(), looked_from: end, looked_to: end, size };
    let first = end.saturating_sub(LOOKED_AT_MAX);
    while found.looked_from > first && count(&found.events) < most {
        let event = event(found.looked_from - 1)?;
        found.looked_from -= 1;
        found.events.extend(Some(event).filter(|event| filter.finds(event)));
    }
    found.events.reverse();
    Ok(found)
}

fn count(events: &[LoggedEvent]) -> u64 {
    u64::try_from(events.len()).unwrap_or(u64::MAX)
}

impl LogFilter {
    /// Says whether an event is meant.
    #[must_use]
    pub fn finds(&self, event: &LoggedEvent) -> bool {
        let said = |name: &str| event.detail.get(name).and_then(Value::as_str);
        let is_of = |person: &PersonName| {
            let person = person.as_str();
            let record = event.record.as_ref();
            let body = record.and_then(|record| record.body.as_ref()?.get("person")?.as_str());
            let is_theirs = record.is_some_and(|record| record.kind == "person" && record.key == person);
            event.actor.id.is_some() && event.actor.name == person
                || said("person") == Some(person)
                || body == Some(person)
                || is_theirs
        };
        let decided = || said("decision").or_else(|| said("outcome"));
        self.dataset.as_ref().is_none_or(|dataset| event.datasets().contains(&dataset.to_string()))
            && self.person.as_ref().is_none_or(is_of)
            && self.purpose.as_ref().is_none_or(|purpose| said("purpose") == Some(purpose.as_str()))
            && self.decision.is_none_or(|decision| decided() == Some(decision.name()))
            && self.since.is_none_or(|since| event.time >= since)
    }
}

/// Reads a time: an instant as `2026-12-31T08:00:00Z`, or the beginning of a day as `2026-12-31` in the configured zone.
#[must_use]
pub fn read_since(text: &str, zone: &TimeZone) -> Option<Timestamp> {
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Some(instant);
    }
    let day = text.parse::<Date>().ok().filter(|_| text.len() == "2026-12-31".len())?;
    Some(day.to_zoned(zone.clone()).ok()?.timestamp())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests may panic")]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;
    use crate::audit::event::ActorName;

    /// Forty entries: every tenth is a refusal of lin's about visits, the others are requests of others.
    fn event(index: u64) -> Result<LoggedEvent, AppError> {
        let is_lins = index % 10 == 3;
        let detail = match is_lins {
            true => json!({
                "datasets": [{ "dataset": "hz-health.visits" }],
                "decision": "refused",
                "purpose": "official-statistics",
            }),
            false => json!({ "person": "shen", "status": 200 }),
        };
        let name = if is_lins { "lin" } else { "obscura" };
        Ok(LoggedEvent {
            index,
            id: format!("event_{index}"),
            time: Timestamp::from_second(1_800_000_000 + i64::try_from(index).unwrap() * 60).unwrap(),
            action: "any".to_owned(),
            actor: ActorName {
                id: is_lins.then(|| "person_1".to_owned()),
                name: name.to_owned(),
                door: "test".to_owned(),
                address: None,
            },
            correlation: None,
            record: None,
            previous_change: None,
            detail: detail.as_object().unwrap().clone().into_iter().collect::<BTreeMap<_, _>>(),
        })
    }

    fn indices(found: &FoundEvents) -> Vec<u64> {
        found.events.iter().map(|event| event.index).collect()
    }

    #[test]
    fn each_part_of_a_filter_is_asked() {
        let lin = LogFilter { person: "lin".parse().ok(), ..LogFilter::default() };
        let found = |filter: &LogFilter| indices(&forward(0, 40, 100, filter, event).unwrap());
        assert_eq!(found(&lin), [3, 13, 23, 33]);
        let dataset = LogFilter { dataset: "hz_health.visits".parse().ok(), ..LogFilter::default() };
        assert_eq!(found(&dataset), [3, 13, 23, 33]);
        let purpose = LogFilter { purpose: "official-statistics".parse().ok(), ..LogFilter::default() };
        assert_eq!(found(&purpose), [3, 13, 23, 33]);
        let refused = LogFilter { decision: Some(Decision::Refused), ..LogFilter::default() };
        assert_eq!(found(&refused), [3, 13, 23, 33]);
        let shen = LogFilter { person: "shen".parse().ok(), ..LogFilter::default() };
        assert_eq!(found(&shen).len(), 36);
        // The program acts under a name that a person could have.
        let obscura = LogFilter { person: "obscura".parse().ok(), ..LogFilter::default() };
        assert!(found(&obscura).is_empty());
        for nothing in [
            LogFilter { purpose: "tax-analysis".parse().ok(), ..lin.clone() },
            LogFilter { decision: Some(Decision::Admitted), ..lin.clone() },
            LogFilter { dataset: "hz-tax.firms".parse().ok(), ..lin.clone() },
        ] {
            assert!(found(&nothing).is_empty(), "{nothing:?}");
        }
        let since = Timestamp::from_second(1_800_000_000 + 13 * 60).ok();
        assert_eq!(found(&LogFilter { since, ..lin }), [13, 23, 33]);
    }

    #[test]
    fn the_next_search_goes_on_where_this_one_stopped() {
        let lin = LogFilter { person: "lin".parse().ok(), ..LogFilter::default() };
        let first = forward(0, 40, 2, &lin, event).unwrap();
        assert_eq!((indices(&first), first.looked_to), (vec![3, 13], 14));
        let second = forward(first.looked_to, 40, 2, &lin, event).unwrap();
        assert_eq!((indices(&second), second.looked_to), (vec![23, 33], 34));
        let newest = backward(40, 40, 3, &lin, event).unwrap();
        assert_eq!((indices(&newest), newest.looked_from), (vec![13, 23, 33], 13));
        let older = backward(newest.looked_from, 40, 3, &lin, event).unwrap();
        assert_eq!((indices(&older), older.looked_from), (vec![3], 0));
        // For one answer the server never looks through a long log.
        let bounded = forward(0, 10 * LOOKED_AT_MAX, 2_000_000, &lin, event).unwrap();
        assert_eq!(bounded.looked_to, LOOKED_AT_MAX);
        assert_eq!(
            backward(10 * LOOKED_AT_MAX, 0, 2_000_000, &lin, event).unwrap().looked_from,
            9 * LOOKED_AT_MAX
        );
    }

    #[test]
    fn a_time_is_an_instant_or_the_beginning_of_a_day() {
        let shanghai = TimeZone::get("Asia/Shanghai").unwrap();
        let read = |text: &str| read_since(text, &shanghai).map(|at| at.to_string());
        assert_eq!(read("2026-12-31").as_deref(), Some("2026-12-30T16:00:00Z"));
        assert_eq!(read("2026-12-31T08:00:00Z").as_deref(), Some("2026-12-31T08:00:00Z"));
        assert_eq!(read("2026-12-31T08:00:00+08:00").as_deref(), Some("2026-12-31T00:00:00Z"));
        for wrong in ["", "yesterday", "2026-13-01", "20261231", "2026-12-31T08:00:00"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}

//! The log's account of each job: asker, decision, end. An account that no job can have is a finding by itself; comparing it
//! with the database is left to callers that have a database.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use serde_json::Value;

use crate::audit::event::Action;
use crate::audit::event::LoggedEvent;
use crate::context::PersonName;

/// The end of a job, by the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoryEnd {
    /// A result left.
    Released,
    /// Controls or reviewers let nothing out.
    Withheld,
    /// It broke, or was cut off.
    Failed,
    /// It was stopped.
    Cancelled,
}

impl StoryEnd {
    /// The end that an action brings to a job, if it does.
    #[must_use]
    pub fn of(action: &str) -> Option<Self> {
        let ends = [
            (Action::ResultReleased, Self::Released),
            (Action::ResultWithheld, Self::Withheld),
            (Action::JobFailed, Self::Failed),
            (Action::JobCancelled, Self::Cancelled),
        ];
        ends.into_iter().find(|(known, _)| action == known.name()).map(|(_, end)| end)
    }
}

/// The log's account of one job.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobStory {
    /// The asker and the purpose; nothing when the job was cut off before anything was decided.
    pub asker: Option<(String, String)>,
    /// Entry that says that it waits for an approval.
    pub pending: Option<u64>,
    /// Entry of its decision.
    pub decided: Option<u64>,
    /// True if it was admitted.
    pub admitted: bool,
    /// The number of people who must look at its result before it leaves.
    pub reviewers: u64,
    /// Entry that lets its result wait for reviewers.
    pub awaited: Option<u64>,
    /// The people who let its result out.
    pub approved_by: BTreeSet<String>,
    /// True if a reviewer did not let it out.
    pub turned_down: bool,
    /// Its end, and the entry that says so.
    pub ended: Option<(StoryEnd, u64)>,
    /// The reason why it failed, was stopped or was turned down, as its owner is told.
    pub code: Option<String>,
    /// SHA-256 of what was released.
    pub result_sha256: Option<String>,
    /// The contradiction in the log's account of the job, if there is one.
    pub impossible: Option<&'static str>,
}

impl JobStory {
    fn decided(&mut self, event: &LoggedEvent) {
        let is_second = self.decided.is_some();
        self.asked(event);
        self.decided.get_or_insert(event.index);
        if is_second {
            self.is_impossible("the log decides on it twice");
        } else if self.ended.is_some() {
            self.is_impossible("the log decides on it after its end");
        }
        self.admitted |= event.detail.get("decision").and_then(Value::as_str) == Some("admitted");
        self.reviewers = event.detail.get("reviewers").and_then(Value::as_u64).unwrap_or_default();
    }

    fn awaited(&mut self, event: &LoggedEvent) {
        if !self.admitted || self.awaited.is_some() || self.ended.is_some() {
            self.is_impossible("the log lets its result wait for reviewers out of turn");
        }
        self.awaited.get_or_insert(event.index);
    }

    fn reviewed(&mut self, event: &LoggedEvent) {
        let reviewer = event.actor.name.clone();
        if self.awaited.is_none() || self.ended.is_some() {
            self.is_impossible("the log has a reviewer's decision on what does not wait for one");
        }
        if self.asker.as_ref().is_some_and(|(asker, _)| *asker == reviewer) {
            self.is_impossible("the log has its asker decide on its result");
        }
        if event.detail.get("outcome").and_then(Value::as_str) != Some("approved") {
            self.turned_down = true;
        } else if !self.approved_by.insert(reviewer) {
            self.is_impossible("the log has one reviewer decide twice");
        }
    }

    /// INVARIANT(no-review-no-release): as many people as its decision asks for, none of them its asker, have let it out.
    fn has_its_reviews(&self) -> bool {
        let approved = u64::try_from(self.approved_by.len()).unwrap_or(u64::MAX);
        approved >= self.reviewers && !self.turned_down
    }

    fn pending(&mut self, event: &LoggedEvent) {
        if self.pending.is_some() || self.decided.is_some() || self.ended.is_some() {
            self.is_impossible("the log lets it wait after something else");
        }
        self.asked(event);
        self.pending.get_or_insert(event.index);
    }

    fn asked(&mut self, event: &LoggedEvent) {
        let purpose = event.detail.get("purpose").and_then(Value::as_str).unwrap_or_default();
        let name = match event.actor.is_stranger() {
            true => PersonName::of_strangers().to_string(),
            false => event.actor.name.clone(),
        };
        let asker = (name, purpose.to_owned());
        if *self.asker.get_or_insert_with(|| asker.clone()) != asker {
            self.is_impossible("the log names two askers or purposes");
        }
    }

    fn ended(&mut self, end: StoryEnd, event: &LoggedEvent) {
        if self.ended.is_some() {
            self.is_impossible("the log ends it twice");
        }
        let needs_admission = matches!(end, StoryEnd::Released | StoryEnd::Withheld);
        if needs_admission && !self.admitted {
            self.is_impossible("the log has its result and did not admit it");
        }
        if end == StoryEnd::Released && !self.has_its_reviews() {
            self.is_impossible("the log releases its result without its reviewers");
        }
        self.ended.get_or_insert((end, event.index));
        let said = |name: &str| event.detail.get(name).and_then(Value::as_str).map(str::to_owned);
        match end {
            StoryEnd::Released => self.result_sha256 = said("result_sha256"),
            StoryEnd::Failed | StoryEnd::Cancelled | StoryEnd::Withheld => self.code = said("code"),
        }
    }

    /// A charge stands behind the decision that it pays for, in the same step of the log.
    fn charged(&mut self) {
        if !self.admitted {
            self.is_impossible("the log charges a budget for it and did not admit it");
        } else if self.ended.is_some() {
            self.is_impossible("the log charges a budget for it after its end");
        }
    }

    fn is_impossible(&mut self, why: &'static str) {
        self.impossible.get_or_insert(why);
    }
}

/// The log's account of all jobs, by their names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobStories {
    jobs: BTreeMap<String, JobStory>,
}

impl JobStories {
    /// Takes in one event; events must come in the log's order.
    pub fn take(&mut self, event: &LoggedEvent) {
        let Some(job) = &event.correlation else { return };
        if event.action == Action::QueryDecided.name() {
            self.story(job).decided(event);
        } else if event.action == Action::QueryPending.name() {
            self.story(job).pending(event);
        } else if event.action == Action::ReviewAwaited.name() {
            self.story(job).awaited(event);
        } else if event.action == Action::ReviewDecided.name() {
            self.story(job).reviewed(event);
        } else if event.action == Action::BudgetCharged.name() {
            self.story(job).charged();
        } else if let Some(end) = StoryEnd::of(&event.action) {
            self.story(job).ended(end, event);
        }
    }

    fn story(&mut self, job: &str) -> &mut JobStory {
        self.jobs.entry(job.to_owned()).or_default()
    }

    /// All of them, by the jobs' names.
    pub fn all(&self) -> impl Iterator<Item = (&str, &JobStory)> {
        self.jobs.iter().map(|(job, story)| (job.as_str(), story))
    }

    /// The log's account of one job.
    #[must_use]
    pub fn of(&self, job: &str) -> Option<&JobStory> {
        self.jobs.get(job)
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::audit::event::ActorName;

    fn told(events: &[(Action, &str)]) -> JobStory {
        let mut stories = JobStories::default();
        for (index, (action, by)) in (0..).zip(events) {
            let detail = BTreeMap::from([
                ("purpose".to_owned(), Value::from("statistics")),
                ("decision".to_owned(), Value::from(if *by == "refused" { "refused" } else { "admitted" })),
                ("result_sha256".to_owned(), Value::from("aa")),
            ]);
            let name = if *by == "he" { "he" } else { "lin" };
            stories.take(&LoggedEvent {
                index,
                action: action.name().to_owned(),
                actor: ActorName { id: None, name: name.to_owned(), door: "test".to_owned(), address: None },
                correlation: Some("job_1".to_owned()),
                detail,
                id: String::new(),
                time: Timestamp::UNIX_EPOCH,
                record: None,
                previous_change: None,
            });
        }
        stories.of("job_1").cloned().unwrap_or_default()
    }

    #[test]
    fn a_job_waits_is_decided_on_and_ends() {
        let story = told(&[
            (Action::QueryPending, "lin"),
            (Action::QueryDecided, "lin"),
            (Action::ResultReleased, "lin"),
        ]);
        assert_eq!(story.impossible, None);
        assert_eq!(story.asker, Some(("lin".to_owned(), "statistics".to_owned())));
        assert_eq!((story.pending, story.decided), (Some(0), Some(1)));
        assert_eq!(story.ended, Some((StoryEnd::Released, 2)));
        assert_eq!(story.result_sha256.as_deref(), Some("aa"));
    }

    /// A story of lin's job that needs two reviewers: each step by whom, with what outcome.
    fn reviewed(steps: &[(Action, &str, &str)]) -> Option<&'static str> {
        let mut stories = JobStories::default();
        let decided = [(Action::QueryDecided, "lin", ""), (Action::ReviewAwaited, "lin", "")];
        for (index, (action, by, outcome)) in (0..).zip(decided.iter().chain(steps)) {
            let said = [("purpose", "statistics"), ("decision", "admitted"), ("outcome", outcome)];
            let mut detail: BTreeMap<String, Value> =
                said.map(|(name, value)| (name.to_owned(), Value::from(value))).into();
            detail.insert("reviewers".to_owned(), Value::from(2));
            stories.take(&LoggedEvent {
                index,
                action: action.name().to_owned(),
                actor: ActorName { id: None, name: (*by).to_owned(), door: "test".to_owned(), address: None },
                correlation: Some("job_1".to_owned()),
                detail,
                id: String::new(),
                time: Timestamp::UNIX_EPOCH,
                record: None,
                previous_change: None,
            });
        }
        stories.of("job_1").and_then(|story| story.impossible)
    }

    #[test]
    fn a_release_without_its_reviewers_is_told_as_such() {
        use Action::ResultReleased;
        use Action::ResultWithheld;
        use Action::ReviewDecided;
        let (shen, gu) = ((ReviewDecided, "shen", "approved"), (ReviewDecided, "gu", "approved"));
        let (left, stayed) = ((ResultReleased, "obscura", ""), (ResultWithheld, "obscura", ""));
        assert_eq!(reviewed(&[shen, gu, left]), None);
        assert_eq!(reviewed(&[shen, (ReviewDecided, "gu", "returned"), stayed]), None);
        for impossible in [
            &[left][..],
            &[shen, left],
            &[shen, shen, left],
            &[shen, (ReviewDecided, "lin", "approved"), left],
            &[shen, gu, (ReviewDecided, "ma", "rejected"), left],
            &[shen, (ReviewDecided, "gu", "rejected"), left],
            &[shen, (ReviewDecided, "gu", "of a later version"), left],
            &[shen, gu, left, (ReviewDecided, "ma", "approved")],
        ] {
            assert_ne!(reviewed(impossible), None, "{impossible:?}");
        }
    }

    #[test]
    fn a_story_that_no_job_has_is_told_as_such() {
        use Action::BudgetCharged;
        use Action::JobFailed;
        use Action::QueryDecided;
        use Action::QueryPending;
        use Action::ResultReleased;
        let impossible: &[&[(Action, &str)]] = &[
            &[(QueryDecided, "lin"), (QueryDecided, "lin")],
            &[(QueryDecided, "refused"), (QueryDecided, "he")],
            &[(QueryPending, "lin"), (QueryDecided, "he")],
            &[(QueryDecided, "lin"), (ResultReleased, "lin"), (ResultReleased, "lin")],
            &[(QueryDecided, "lin"), (ResultReleased, "lin"), (JobFailed, "lin")],
            &[(QueryDecided, "refused"), (ResultReleased, "lin")],
            &[(ResultReleased, "lin")],
            &[(JobFailed, "lin"), (QueryDecided, "lin")],
            &[(QueryDecided, "lin"), (QueryPending, "lin")],
            &[(BudgetCharged, "lin"), (QueryDecided, "lin")],
            &[(QueryDecided, "refused"), (BudgetCharged, "lin")],
            &[(QueryDecided, "lin"), (JobFailed, "lin"), (BudgetCharged, "lin")],
        ];
        for events in impossible {
            assert_ne!(told(events).impossible, None, "{events:?}");
        }
        assert_eq!(told(&[(QueryPending, "lin"), (JobFailed, "lin")]).impossible, None);
        assert_eq!(told(&[(QueryDecided, "refused"), (JobFailed, "lin")]).impossible, None);
        let charged = [(QueryDecided, "lin"), (BudgetCharged, "lin"), (ResultReleased, "lin")];
        assert_eq!(told(&charged).impossible, None);
    }
}

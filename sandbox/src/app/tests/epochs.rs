//! When analysts see what was sealed: newer versions open in epochs, and none with few changed subjects.

use std::collections::BTreeSet;

use obscura_policies::day::Day;
use obscura_policies::vocabulary::DatasetId;
use obscura_policies::vocabulary::PersonRole;

use super::*;
use crate::app::data::datasets::drop_dataset;
use crate::app::data::open_version::Opens;
use crate::app::data::seal_dataset::SealDataset;
use crate::app::data::seal_dataset::seal_dataset;
use crate::catalog::body::DocumentBody;
use crate::context::Caller;
use crate::context::Credential;
use crate::context::Person;
use crate::ids::PersonId;
use crate::installation::openings::today;
use crate::installation::openings::versions_of;
use crate::storage::Confirmation;
use crate::storage::Direction;
use crate::storage::Input;
use crate::storage::InputOptions;
use crate::storage::Progress;
use crate::storage::SealMode;
use crate::storage::SealObserver;
use crate::storage::Stage;
use crate::storage::UnitKeys;
use crate::storage::Unobserved;

const DOCUMENTS: [(&str, &str, &str); 2] = [
    (
        "Department",
        "hz-health",
        "api_version: obscura/v1\nkind: Department\n\
         metadata: {id: hz-health, version: 1, title: {en: Health, zh: 卫健}}\nlevel: city\n",
    ),
    (
        "Dataset",
        "hz-health.visits",
        "api_version: obscura/v1\nkind: Dataset\n\
         metadata: {id: hz-health.visits, version: 1, title: {en: Visits, zh: 就诊}}\n\
         department: hz-health\nscheme: db33t2351-2021\nunits:\n  - {kind: resident, column: person_id}\n\
         opening: limited\nsharing: conditional\ncolumns:\n\
         \x20 - {name: person_id, type: text, role: unit_key, grade: L3}\n\
         \x20 - {name: ward, type: text, role: dimension, grade: L2}\n",
    ),
];

fn visits() -> DatasetId {
    "hz-health.visits".parse().unwrap()
}

fn steward() -> Caller {
    let person = Person {
        id: PersonId::new(&SteppedClock::at_second(1), &SystemRandom).unwrap(),
        name: "shen".parse().unwrap(),
        department: Some("hz-health".to_owned()),
        district: None,
        roles: BTreeSet::from([PersonRole::Steward]),
    };
    Caller::authenticated(person, Door::CommandLine, Credential::Founding)
}

/// An installation with visits that were never sealed, on 15 January 2027.
struct Epochs {
    world: World,
    installation: Arc<Installation>,
}

impl Epochs {
    async fn new() -> Self {
        let (world, installation) = World::new().await;
        for (kind, id, text) in DOCUMENTS {
            let body = DocumentBody {
                kind: kind.to_owned(),
                id: id.to_owned(),
                version: 1,
                text: text.to_owned(),
                published_by: None,
                proposed_by: None,
            };
            installation.begin(&body, Note::new(Action::DocumentPublished, program())).await.unwrap();
        }
        let epochs = Self { world, installation: Arc::new(installation) };
        assert_eq!(today(&epochs.installation), day("2027-01-15"));
        epochs
    }

    /// Seals people by number, each with a ward.
    async fn seal(&self, mode: SealMode, people: impl Iterator<Item = (u32, &str)>) -> Opens {
        self.seal_watched(mode, people, Arc::new(Unobserved)).await.unwrap()
    }

    async fn seal_watched(
        &self,
        mode: SealMode,
        people: impl Iterator<Item = (u32, &str)>,
        observer: Arc<dyn SealObserver + Send + Sync>,
    ) -> Result<Opens, String> {
        let rows: String = people.map(|(person, ward)| format!("P{person:03},{ward}\n")).collect();
        let request = SealDataset {
            dataset: visits(),
            input: Input::Stream(Box::new(std::io::Cursor::new(format!("person_id,ward\n{rows}")))),
            options: InputOptions::strict(1 << 20),
            mode,
            unit_keys: UnitKeys::AsWritten,
            confirmation: Confirmation::Given,
            observer,
        };
        let sealed = seal_dataset(&self.installation, &steward(), request).await;
        sealed.map(|sealed| sealed.opens).map_err(|error| error.public().code().to_owned())
    }

    /// The version that analysts see, and the one that waits.
    async fn seen(&self) -> (Option<u64>, Option<(u64, Option<Day>)>) {
        let versions = versions_of(&self.installation, &visits()).await.unwrap();
        let waiting = versions.waiting.map(|waiting| (waiting.version, waiting.opens));
        (versions.opened.map(|body| body.version), waiting)
    }

    fn days_pass(&self, days: i64) {
        self.world.clock.advance_ms(days * 24 * 3_600_000);
    }

    /// The log, the database, the disk and the journal of keys tell the same.
    async fn holds_together(&self) {
        let layout = self.installation.layout();
        let verification = verify_log(&LogCopy::of(layout), &LogAgainst::default()).unwrap();
        assert_eq!(reconcile(layout, &verification).await.unwrap(), []);
        assert_eq!(verification.findings, []);
    }
}

fn day(text: &str) -> Day {
    text.parse().unwrap()
}

fn everybody(ward: &str) -> impl Iterator<Item = (u32, &str)> {
    (0..40).map(move |person| (person, ward))
}

/// Everybody, the first so many of them in another ward.
fn moved(count: u32) -> impl Iterator<Item = (u32, &'static str)> {
    (0..40).map(move |person| (person, if person < count { "south" } else { "north" }))
}

#[tokio::test]
async fn a_newer_version_opens_when_the_epoch_is_over() {
    let epochs = Epochs::new().await;
    assert_eq!(epochs.seal(SealMode::First, everybody("north")).await, Opens::Now);
    assert_eq!(epochs.seen().await, (Some(1), None));
    let february = day("2027-02-01");
    assert_eq!(epochs.seal(SealMode::Replace, moved(10)).await, Opens::From(february, Some(1)));
    assert_eq!(epochs.seen().await, (Some(1), Some((2, Some(february)))));
    epochs.days_pass(16);
    assert_eq!(epochs.seen().await, (Some(1), Some((2, Some(february)))));
    epochs.days_pass(1);
    assert_eq!(epochs.seen().await, (Some(2), None));
    // The epoch began on the day that analysts saw it, not on the day that it was sealed.
    assert_eq!(epochs.seal(SealMode::Replace, moved(30)).await, Opens::From(day("2027-03-01"), Some(2)));
    epochs.days_pass(40);
    assert_eq!(epochs.seal(SealMode::Replace, moved(10)).await, Opens::From(day("2027-04-01"), Some(3)));
    epochs.holds_together().await;
}

#[tokio::test]
async fn few_changed_subjects_open_no_version() {
    let epochs = Epochs::new().await;
    epochs.seal(SealMode::First, everybody("north")).await;
    epochs.days_pass(60);
    let waits = Opens::Waits { subjects_min: 10, seen: 1 };
    assert_eq!(epochs.seal(SealMode::Replace, moved(9)).await, waits);
    assert_eq!(epochs.seen().await, (Some(1), Some((2, None))));
    epochs.days_pass(400);
    assert_eq!(epochs.seen().await, (Some(1), Some((2, None))));
    // One more person beside the nine: ten differ from what analysts see.
    assert_eq!(epochs.seal(SealMode::Append, [(40, "north")].into_iter()).await, Opens::Now);
    assert_eq!(epochs.seen().await, (Some(3), None));
    // Nine who leave are as few as nine who come.
    let left = moved(9).filter(|(person, _)| *person < 32);
    assert_eq!(epochs.seal(SealMode::Replace, left).await, Opens::Waits { subjects_min: 10, seen: 3 });
    epochs.holds_together().await;
}

#[tokio::test]
async fn the_same_rows_open_at_once_and_use_no_epoch_up() {
    let epochs = Epochs::new().await;
    epochs.seal(SealMode::First, everybody("north")).await;
    epochs.days_pass(31);
    assert_eq!(epochs.seal(SealMode::Replace, everybody("north")).await, Opens::Now);
    assert_eq!(epochs.seen().await, (Some(2), None));
    assert_eq!(epochs.seal(SealMode::Replace, everybody("south")).await, Opens::Now);
    // What went before is no way to an earlier day.
    assert_eq!(epochs.seal(SealMode::Replace, everybody("south")).await, Opens::Now);
    assert_eq!(
        epochs.seal(SealMode::Replace, everybody("north")).await,
        Opens::From(day("2027-03-01"), Some(4))
    );
    epochs.holds_together().await;
}

#[tokio::test]
async fn of_two_versions_that_are_to_open_the_newer_one_does() {
    let epochs = Epochs::new().await;
    epochs.seal(SealMode::First, everybody("north")).await;
    let from = Opens::From(day("2027-02-01"), Some(1));
    assert_eq!(epochs.seal(SealMode::Replace, moved(20)).await, from);
    // One that does not open leaves the opening of the one before it alone.
    let waits = Opens::Waits { subjects_min: 10, seen: 1 };
    assert_eq!(epochs.seal(SealMode::Replace, moved(3)).await, waits);
    assert_eq!(epochs.seen().await, (Some(1), Some((3, None))));
    assert_eq!(epochs.seal(SealMode::Replace, moved(21)).await, from);
    epochs.days_pass(20);
    assert_eq!(epochs.seen().await, (Some(4), None));
    // Twenty and twenty-one moved: the two differ by one person, and analysts never see both.
    drop_dataset(&epochs.installation, &steward(), &visits(), Some(4)).await.unwrap();
    assert_eq!(epochs.seen().await, (Some(1), Some((3, None))));
    epochs.holds_together().await;
}

#[tokio::test]
async fn a_version_that_is_dropped_before_its_day_has_used_no_epoch_up() {
    let epochs = Epochs::new().await;
    epochs.seal(SealMode::First, everybody("north")).await;
    let from = Opens::From(day("2027-02-01"), Some(1));
    assert_eq!(epochs.seal(SealMode::Replace, moved(20)).await, from);
    drop_dataset(&epochs.installation, &steward(), &visits(), None).await.unwrap();
    assert_eq!(epochs.seen().await, (Some(1), None));
    epochs.days_pass(20);
    assert_eq!(epochs.seal(SealMode::Replace, moved(10)).await, Opens::Now);
    // One that analysts have seen has used it up, in force or not.
    drop_dataset(&epochs.installation, &steward(), &visits(), None).await.unwrap();
    assert_eq!(epochs.seen().await, (Some(1), None));
    assert_eq!(epochs.seal(SealMode::Replace, moved(30)).await, Opens::From(day("2027-03-01"), Some(1)));
    epochs.holds_together().await;
}

/// Stops when versions are compared.
struct StopsComparing;

impl SealObserver for StopsComparing {
    fn reached(&self, progress: Progress) -> Direction {
        if progress.stage == Stage::Comparing { Direction::Cancel } else { Direction::Continue }
    }
}

#[tokio::test]
async fn a_comparison_that_is_stopped_leaves_the_version_before() {
    let epochs = Epochs::new().await;
    epochs.seal(SealMode::First, everybody("north")).await;
    let stopped = epochs.seal_watched(SealMode::Replace, moved(20), Arc::new(StopsComparing)).await;
    assert_eq!(stopped, Err("sealing-cancelled".to_owned()));
    assert_eq!(epochs.seen().await, (Some(1), None));
    epochs.holds_together().await;
    let from = Opens::From(day("2027-02-01"), Some(1));
    assert_eq!(epochs.seal(SealMode::Replace, moved(20)).await, from);
}

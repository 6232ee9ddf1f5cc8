//! When analysts see what was sealed: newer versions open in epochs, and none with few changed subjects.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use obscura_policies::day::Day;
use obscura_policies::vocabulary::DatasetId;
use obscura_policies::vocabulary::PersonRole;
use proptest::prelude::Just;
use proptest::prelude::ProptestConfig;
use proptest::prelude::Strategy;
use proptest::prop_oneof;
use proptest::test_runner::TestRunner;

use super::*;
use crate::app::data::datasets::drop_dataset;
use crate::app::data::open_version::Opens;
use crate::app::data::seal_dataset::SealDataset;
use crate::app::data::seal_dataset::seal_dataset;
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

const VISITS: (&str, &str, &str) = (
    "Dataset",
    "hz-health.visits",
    "api_version: obscura/v1\nkind: Dataset\n\
         metadata: {id: hz-health.visits, version: 1, title: {en: Visits, zh: 就诊}}\n\
         department: hz-health\nscheme: db33t2351-2021\nunits:\n  - {kind: resident, column: person_id}\n\
         opening: limited\nsharing: conditional\ncolumns:\n\
         \x20 - {name: person_id, type: text, role: unit_key, grade: L3}\n\
         \x20 - {name: ward, type: text, role: dimension, grade: L2}\n",
);

fn visits() -> DatasetId {
    "hz-health.visits".parse().unwrap()
}

fn steward() -> Caller {
    caller(PersonRole::Steward)
}

/// An installation with visits that were never sealed, on 15 January 2027.
struct Epochs {
    world: World,
    installation: Arc<Installation>,
}

impl Epochs {
    async fn new() -> Self {
        let (world, installation) = World::new().await;
        publish(&installation, &[HEALTH, VISITS]).await;
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
async fn a_newer_version_takes_the_place_of_one_that_was_to_open() {
    let epochs = Epochs::new().await;
    epochs.seal(SealMode::First, everybody("north")).await;
    let from = Opens::From(day("2027-02-01"), Some(1));
    assert_eq!(epochs.seal(SealMode::Replace, moved(20)).await, from);
    assert_eq!(epochs.seal(SealMode::Replace, moved(21)).await, from);
    epochs.days_pass(20);
    assert_eq!(epochs.seen().await, (Some(3), None));
    // Twenty and twenty-one moved: the two differ by one person, and analysts never see both.
    drop_dataset(&epochs.installation, &steward(), &visits(), Some(3)).await.unwrap();
    assert_eq!(epochs.seen().await, (Some(1), Some((2, None))));
    // One that does not open takes the place as well: the one before it may have been a mistake.
    let march = Opens::From(day("2027-03-01"), Some(1));
    assert_eq!(epochs.seal(SealMode::Replace, moved(30)).await, march);
    let waits = Opens::Waits { subjects_min: 10, seen: 1 };
    assert_eq!(epochs.seal(SealMode::Replace, moved(3)).await, waits);
    epochs.days_pass(60);
    assert_eq!(epochs.seen().await, (Some(1), Some((5, None))));
    epochs.holds_together().await;
}

/// A mistake that is mended, with one person more, is held against what analysts saw before the mistake.
#[tokio::test]
async fn a_version_is_held_against_all_that_analysts_have_seen() {
    let epochs = Epochs::new().await;
    epochs.seal(SealMode::First, everybody("north")).await;
    epochs.days_pass(31);
    assert_eq!(epochs.seal(SealMode::Replace, moved(20)).await, Opens::Now);
    epochs.days_pass(31);
    let waits = Opens::Waits { subjects_min: 10, seen: 1 };
    assert_eq!(epochs.seal(SealMode::Replace, moved(1)).await, waits);
    // The very rows of before teach nothing that was not seen.
    assert_eq!(epochs.seal(SealMode::Replace, everybody("north")).await, Opens::Now);
    assert_eq!(epochs.seen().await, (Some(4), None));
    epochs.holds_together().await;
}

#[tokio::test]
async fn a_clock_that_goes_back_opens_nothing_early() {
    let epochs = Epochs::new().await;
    epochs.seal(SealMode::First, everybody("north")).await;
    epochs.world.clock.advance_ms(-3 * 24 * 3_600_000);
    assert_eq!(epochs.seen().await, (None, Some((1, Some(day("2027-01-15"))))));
    assert_eq!(epochs.seal(SealMode::Replace, moved(1)).await, Opens::Waits { subjects_min: 10, seen: 1 });
    let from = Opens::From(day("2027-02-01"), Some(1));
    assert_eq!(epochs.seal(SealMode::Replace, moved(10)).await, from);
    epochs.days_pass(3);
    assert_eq!(epochs.seen().await.0, Some(1));
    epochs.holds_together().await;
}

#[tokio::test]
async fn an_opening_whose_row_is_gone_is_followed_by_a_later_one_and_no_earlier() {
    let epochs = Epochs::new().await;
    epochs.seal(SealMode::First, everybody("north")).await;
    epochs.days_pass(31);
    assert_eq!(epochs.seal(SealMode::Replace, moved(20)).await, Opens::Now);
    let gone = "DELETE FROM record WHERE kind = 'dataset-opening' AND key LIKE '%@2'";
    sqlx::query(gone).execute(epochs.installation.catalog.pool()).await.unwrap();
    versions_of(&epochs.installation, &visits()).await.unwrap_err();
    // What has no row is compared like all else.
    let waits = Opens::Waits { subjects_min: 10, seen: 2 };
    assert_eq!(epochs.seal(SealMode::Replace, moved(21)).await, waits);
    // It is not known since when analysts see what they see.
    let march = day("2027-03-01");
    assert!(matches!(epochs.seal(SealMode::Replace, moved(30)).await, Opens::From(day, _) if day == march));
    versions_of(&epochs.installation, &visits()).await.unwrap_err();
    epochs.days_pass(31);
    assert_eq!(epochs.seen().await, (Some(4), None));
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

/// A thing that a steward does, or that days pass.
#[derive(Debug, Clone)]
enum Step {
    /// Seals everybody anew, so many of them in another ward.
    Replace(u32),
    /// Adds so many people who were never there.
    Append(u32),
    /// Drops the newest version.
    Drop,
    /// Lets days pass.
    Pass(i64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0_u32..25).prop_map(Step::Replace),
        3 => (1_u32..14).prop_map(Step::Append),
        1 => Just(Step::Drop),
        4 => (1_i64..40).prop_map(Step::Pass),
    ];
    proptest::collection::vec(step, 1..10)
}

/// The ward of everybody in a version.
type Rows = BTreeMap<u32, &'static str>;

/// A steward's history, with what analysts see of it.
struct History {
    epochs: Epochs,
    /// The rows of each version, whether it is in force or not.
    rows: BTreeMap<u64, Rows>,
    in_force: BTreeSet<u64>,
    next_person: u32,
    /// The rows that analysts had seen, and that were still there, when each version was sealed.
    beside: BTreeMap<u64, Vec<Rows>>,
    /// The rows that analysts have seen, one after the other, each with the version and the first day.
    seen: Vec<(u64, Day, Rows)>,
}

impl History {
    async fn take(&mut self, step: &Step) {
        let newest = self.in_force.last().copied();
        match step {
            Step::Replace(count) => self.seal(SealMode::Replace, moved(*count).collect(), Rows::new()).await,
            Step::Append(count) => {
                let Some(newest) = newest else { return };
                let people = self.next_person..self.next_person + count;
                self.next_person += count;
                let added = people.map(|person| (person, "north")).collect();
                self.seal(SealMode::Append, added, self.rows[&newest].clone()).await;
            }
            Step::Drop => {
                let Some(newest) = newest else { return };
                drop_dataset(&self.epochs.installation, &steward(), &visits(), None).await.unwrap();
                self.in_force.remove(&newest);
            }
            Step::Pass(days) => self.epochs.days_pass(*days),
        }
        self.look().await;
    }

    async fn seal(&mut self, mode: SealMode, rows: Rows, before: Rows) {
        let seen = self.seen.iter().filter(|(version, ..)| self.in_force.contains(version));
        let seen = seen.map(|(_, _, rows)| rows.clone()).collect();
        self.epochs.seal(mode, rows.clone().into_iter()).await;
        let version = self.rows.keys().max().map_or(1, |version| version + 1);
        self.rows.insert(version, before.into_iter().chain(rows).collect());
        self.beside.insert(version, seen);
        self.in_force.insert(version);
    }

    async fn look(&mut self) {
        let (Some(version), _) = self.epochs.seen().await else { return };
        let rows = &self.rows[&version];
        if self.seen.last().is_none_or(|(last, ..)| *last != version) {
            self.seen.push((version, today(&self.epochs.installation), rows.clone()));
        }
    }

    /// Checks that analysts see something new at most once in a month, and that from all that they had seen, and that was still there
    /// when it was sealed, ten people differ at the least.
    fn check(&self) {
        let mut months = BTreeSet::new();
        for (number, (version, day, rows)) in self.seen.iter().enumerate() {
            if self.seen[..number].iter().any(|(_, _, other)| other == rows) {
                continue;
            }
            let (year, month, _) = day.ymd();
            assert!(months.insert((year, month)), "twice in one month: {:?}", self.seen);
            for before in &self.beside[version] {
                let people: BTreeSet<&u32> = before.keys().chain(rows.keys()).collect();
                let changed =
                    people.into_iter().filter(|person| before.get(person) != rows.get(person)).count();
                assert!(changed == 0 || changed >= 10, "{changed} changed: {:?}", self.seen);
            }
        }
    }
}

/// The property of all histories of sealing, adding and dropping over any time: no two answers are open that differ in few people, and
/// no month has two.
#[test]
fn no_history_lets_analysts_see_few_people_come_or_go() {
    let mut runner = TestRunner::new(ProptestConfig { cases: 20, ..ProptestConfig::default() });
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let holds = |steps: Vec<Step>| {
        runtime.block_on(async {
            let mut history = History {
                epochs: Epochs::new().await,
                rows: BTreeMap::new(),
                in_force: BTreeSet::new(),
                next_person: 100,
                beside: BTreeMap::new(),
                seen: Vec::new(),
            };
            history.seal(SealMode::First, everybody("north").collect(), Rows::new()).await;
            history.look().await;
            for step in &steps {
                history.take(step).await;
            }
            history.check();
            history.epochs.holds_together().await;
        });
        Ok(())
    };
    runner.run(&steps(), holds).unwrap();
}

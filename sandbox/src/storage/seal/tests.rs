//! Sealing from end to end: the stored files, the counts, and the state after a stop.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests may panic")]

use std::collections::BTreeSet;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use arrow::array::AsArray;
use arrow::datatypes::Date32Type;
use arrow::datatypes::Decimal128Type;
use arrow::datatypes::Int64Type;
use obscura_crypto::kms::KeyManagement;
use obscura_policies::vocabulary::DataType;

use crate::storage::BadRowReason;
use crate::storage::Clustered;
use crate::storage::Confirmation;
use crate::storage::DatasetSpec;
use crate::storage::Direction;
use crate::storage::Input;
use crate::storage::Layout;
use crate::storage::OnBadRow;
use crate::storage::PartLimits;
use crate::storage::Progress;
use crate::storage::SealMode;
use crate::storage::SealObserver;
use crate::storage::Sealed;
use crate::storage::Stage;
use crate::storage::StorageError;
use crate::storage::UnitKeys;
use crate::storage::error::RejectsProblem;
use crate::storage::published::PUBLISHED_BYTES_MAX;
use crate::storage::spec::ColumnSpec;
use crate::storage::testing::World;
use crate::storage::testing::column;
use crate::storage::testing::stream;
use crate::storage::testing::visits;
use crate::storage::testing::visits_csv;
use crate::storage::testing::visits_id;

const FOUR: &str = "person_id,visit_date,icd10,cost\n\
    P1,2021/2/3,J00,12.50\n\
    P2,2021-02-04,?,0.01\n\
    P1,20210205,K35,\n\
    ,2021/2/6,J00,7\n";

/// Tokens of all rows in file order, by row group.
fn tokens_by_row_group(world: &World, version: &crate::storage::SealedVersion) -> Vec<Vec<Option<i64>>> {
    let keys = version.unwrap_keys(&world.kms, &["person_id"]).unwrap();
    let mut groups = Vec::new();
    for part in version.open_parts().unwrap() {
        let metadata = crate::storage::open_metadata(&part, &keys).unwrap();
        let mut tokens = Vec::new();
        crate::storage::reading::read_part(&part, &keys, &["person_id"], |batch| {
            tokens.extend(batch.column(0).as_primitive::<Int64Type>().iter());
            Ok(())
        })
        .unwrap();
        for group in metadata.row_groups() {
            let rest = tokens.split_off(usize::try_from(group.num_rows()).unwrap());
            groups.push(std::mem::replace(&mut tokens, rest));
        }
    }
    groups
}

fn assert_every_subject_in_one_row_group(groups: &[Vec<Option<i64>>]) {
    let mut finished = BTreeSet::new();
    for group in groups {
        let mut previous = None;
        for token in group {
            if *token != previous {
                assert!(
                    token.is_none() || !finished.contains(&token.unwrap()),
                    "a subject stands in two places"
                );
                finished.extend(previous);
                previous = *token;
            }
        }
        finished.extend(previous);
    }
}

#[test]
fn what_was_sealed_is_what_is_read() {
    let world = World::new();
    let sealed = world.seal(&visits(), SealMode::First, FOUR).unwrap();
    let manifest = sealed.version.manifest();
    assert_eq!((manifest.version, manifest.rows, manifest.rows_skipped), (1, 4, 0));
    assert_eq!(manifest.previous, None);
    let unit = manifest.unit("resident").unwrap();
    assert_eq!((unit.subjects, unit.rows_max, unit.rows_without), (2, 2, 1));
    assert_eq!(unit.clustered, Clustered::Whole);
    assert!(manifest.unique.is_empty());

    let version = world.open(1).unwrap();
    let token = |text: &str| world.kms.tokenizer("resident").unwrap().token64(text);
    let mut rows = Vec::new();
    for batch in world.read(&version, &["person_id", "visit_date", "icd10", "cost"]) {
        let ids = batch.column(0).as_primitive::<Int64Type>();
        let days = batch.column(1).as_primitive::<Date32Type>();
        let codes = batch.column(2).as_string::<i32>();
        let costs = batch.column(3).as_primitive::<Decimal128Type>();
        for row in 0..batch.num_rows() {
            rows.push((
                ids.iter().nth(row).unwrap(),
                days.value(row),
                codes.iter().nth(row).unwrap().map(ToOwned::to_owned),
                costs.iter().nth(row).unwrap(),
            ));
        }
    }
    let j00 = Some("J00".to_owned());
    let mut expected = vec![
        (Some(token("P1")), 18_661, j00.clone(), Some(1250)),
        (Some(token("P1")), 18_663, Some("K35".to_owned()), None),
        (Some(token("P2")), 18_662, None, Some(1)),
        (None, 18_664, j00, Some(700)),
    ];
    expected.sort_by_key(|row| row.0);
    assert_eq!(rows, expected);
    version.verify(&world.data, world.signer.verifier()).unwrap();
}

#[test]
fn small_memory_forces_buckets_and_changes_nothing() {
    let mut world = World::new();
    world.memory_bytes = 400 << 10;
    world.limits = PartLimits { row_group_rows: 4000, part_rows: 20_000, ..PartLimits::STANDARD };
    let csv = visits_csv(10_000, 5);
    let sealed = world.seal(&visits(), SealMode::First, csv.clone()).unwrap();
    let manifest = sealed.version.manifest();
    assert_eq!(manifest.rows, 50_000);
    let unit = manifest.unit("resident").unwrap();
    assert_eq!((unit.subjects, unit.rows_max), (10_000, 5));
    assert!(manifest.parts.len() > 1 && manifest.parts.iter().all(|part| part.row_groups > 1));
    let groups = tokens_by_row_group(&world, &sealed.version);
    assert_eq!(groups.iter().map(Vec::len).sum::<usize>(), 50_000);
    assert_every_subject_in_one_row_group(&groups);

    let roomy = World { memory_bytes: 64 << 20, ..World::new() };
    let all = |world: &World, version: &_| {
        let sum = |batch: &arrow::record_batch::RecordBatch| {
            batch.column(1).as_primitive::<Decimal128Type>().iter().flatten().sum::<i128>()
        };
        world.read(version, &["person_id", "cost"]).iter().map(sum).sum::<i128>()
    };
    let other = roomy.seal(&visits(), SealMode::First, csv).unwrap();
    assert_eq!(all(&world, &sealed.version), all(&roomy, &other.version));
}

#[test]
fn one_heavy_subject_is_not_cut() {
    let mut world = World::new();
    world.memory_bytes = 200 << 10;
    world.limits = PartLimits { row_group_rows: 1000, part_rows: 2000, ..PartLimits::STANDARD };
    let mut csv = visits_csv(2000, 1);
    for day in 0..9000 {
        csv.push_str(&format!("P-heavy,2021/4/{},I10,1\n", day % 30 + 1));
    }
    let sealed = world.seal(&visits(), SealMode::First, csv).unwrap();
    assert_eq!(sealed.version.manifest().unit("resident").unwrap().rows_max, 9000);
    assert_every_subject_in_one_row_group(&tokens_by_row_group(&world, &sealed.version));
}

#[test]
fn rows_of_a_subject_keep_their_order() {
    let mut world = World::new();
    world.memory_bytes = 300 << 10;
    let mut csv = String::from("person_id,visit_date,icd10,cost\n");
    for visit in 0..20_000 {
        csv.push_str(&format!("P{},2021/1/1,A,{visit}\n", visit % 50));
    }
    let sealed = world.seal(&visits(), SealMode::First, csv).unwrap();
    let mut last = (None, -1);
    for batch in world.read(&sealed.version, &["person_id", "cost"]) {
        let ids = batch.column(0).as_primitive::<Int64Type>();
        let costs = batch.column(1).as_primitive::<Decimal128Type>();
        for (id, cost) in ids.iter().zip(costs.iter().flatten()) {
            assert!(last.0 != id || last.1 < cost, "order within a subject was lost");
            last = (id, cost);
        }
    }
}

#[test]
fn arrival_layout_keeps_the_order_of_the_input() {
    let world = World::new();
    let spec = DatasetSpec { layout: Layout::Arrival, ..visits() };
    let sealed = world.seal(&spec, SealMode::First, FOUR).unwrap();
    assert_eq!(sealed.version.manifest().units[0].clustered, Clustered::No);
    assert_eq!(sealed.version.manifest().units[0].subjects, 2);
    let days: Vec<_> = world
        .read(&sealed.version, &["visit_date"])
        .iter()
        .flat_map(|batch| batch.column(0).as_primitive::<Date32Type>().values().to_vec())
        .collect();
    assert_eq!(days, [18_661, 18_662, 18_663, 18_664]);
}

#[test]
fn one_row_a_subject_is_proven() {
    let world = World::new();
    let sealed = world.seal(&visits(), SealMode::First, visits_csv(500, 1)).unwrap();
    assert!(sealed.version.manifest().units[0].is_one_row_per_subject());
    assert_eq!(sealed.version.manifest().unique, ["person_id"]);
}

#[test]
fn unique_columns_of_a_reference_table_are_proven() {
    let world = World::new();
    let spec = stations();
    let sealed = world
        .seal(&spec, SealMode::First, "code,city,place\n01,Hangzhou,a\n02,Hangzhou,b\n03,Ningbo,\n")
        .unwrap();
    assert_eq!(sealed.version.manifest().unique, ["code"]);
    let more = world.seal(&spec, SealMode::Append, "code,city,place\n03,Wenzhou,c\n").unwrap();
    assert!(more.version.manifest().unique.is_empty(), "a value came twice over both versions");
    assert_eq!(more.version.manifest().rows, 4);
}

#[test]
fn intervals_of_a_reference_table_are_proven_over_all_versions() {
    let world = World::new();
    let spec = DatasetSpec {
        id: "hz-transport.holidays".parse().unwrap(),
        columns: vec![
            column("first", DataType::Date, 1),
            column("last", DataType::Date, 1),
            column("holiday", DataType::Text, 1),
        ],
        ..stations()
    };
    let intervals = |sealed: &Sealed| {
        let proven = sealed.version.manifest().intervals.clone();
        proven.into_iter().map(|i| (i.low, i.high, i.closed)).collect::<Vec<_>>()
    };
    let proven = [("first".to_owned(), "last".to_owned(), true)];
    let csv = "first,last,holiday\n2025-01-28,2025-02-04,Spring Festival\n2025-01-01,2025-01-01,New Year\n";
    assert_eq!(intervals(&world.seal(&spec, SealMode::First, csv).unwrap()), proven);
    let later = "first,last,holiday\n2025-04-04,2025-04-06,Qingming\n";
    assert_eq!(intervals(&world.seal(&spec, SealMode::Append, later).unwrap()), proven);
    let within = "first,last,holiday\n2025-02-01,2025-02-02,Week-end\n";
    assert_eq!(intervals(&world.seal(&spec, SealMode::Append, within).unwrap()), []);
    let last = "first,last,holiday\n2025-05-01,2025-05-05,Labour Day\n";
    let sealed = world.seal(&spec, SealMode::Append, last).unwrap();
    assert_eq!(intervals(&sealed), [], "what once overlapped is never read again, and proves nothing");
}

fn stations() -> DatasetSpec {
    DatasetSpec {
        id: "hz-transport.stations".parse().unwrap(),
        columns: ["code", "city", "place"].map(|name| column(name, DataType::Text, 1)).to_vec(),
        units: Vec::new(),
        layout: Layout::Arrival,
        ..visits()
    }
}

#[test]
fn tokens_join_across_datasets_and_spellings() {
    let world = World::new();
    let mut residents = visits();
    residents.columns[0].semantic = Some("resident_id".to_owned());
    let a = world
        .seal(&residents, SealMode::First, "person_id,visit_date,icd10,cost\n11010519491231002x,,,\n")
        .unwrap();
    let other = DatasetSpec { id: "hz-tax.incomes".parse().unwrap(), ..residents.clone() };
    let b = world
        .seal(&other, SealMode::First, "person_id,visit_date,icd10,cost\n１１０１０５ 19491231 002X,,,\n")
        .unwrap();
    let token =
        |version| world.read(version, &["person_id"])[0].column(0).as_primitive::<Int64Type>().value(0);
    assert_eq!(token(&a.version), token(&b.version));
    // A key with a wrong check digit gets no token: it would join with nothing.
    let wrong =
        world.seal(&residents, SealMode::Replace, "person_id,visit_date,icd10,cost\n110105194912310021,,,\n");
    assert!(matches!(wrong, Err(StorageError::BadRow { reason: BadRowReason::NotIdentifier, .. })));
}

#[test]
fn append_shares_old_files_and_says_per_part() {
    let world = World::new();
    let first = world.seal(&visits(), SealMode::First, visits_csv(100, 2)).unwrap();
    let second = world.seal(&visits(), SealMode::Append, visits_csv(150, 1)).unwrap();
    let manifest = second.version.manifest();
    assert_eq!((manifest.version, manifest.rows, manifest.parts.len()), (2, 350, 2));
    assert_eq!(manifest.parts[0], first.version.manifest().parts[0]);
    assert_eq!(manifest.units[0].clustered, Clustered::PerPart);
    assert_eq!((manifest.units[0].subjects, manifest.units[0].rows_max), (150, 3));
    assert_eq!(manifest.previous, Some(first.version.manifest().sha256().unwrap()));
    let rows: usize = world.read(&second.version, &["icd10"]).iter().map(|batch| batch.num_rows()).sum();
    assert_eq!(rows, 350);
    world.open(2).unwrap().verify(&world.data, world.signer.verifier()).unwrap();
    first.version.verify(&world.data, world.signer.verifier()).unwrap();
}

#[test]
fn append_under_other_columns_is_refused() {
    let world = World::new();
    world.seal(&visits(), SealMode::First, FOUR).unwrap();
    let mut spec = visits();
    spec.columns[2].grade = obscura_policies::vocabulary::Level(4);
    assert!(matches!(world.seal(&spec, SealMode::Append, FOUR), Err(StorageError::AppendMismatch { .. })));
}

#[test]
fn version_numbers_only_rise() {
    let mut world = World::new();
    world.seal(&visits(), SealMode::First, FOUR).unwrap();
    assert!(matches!(world.seal(&visits(), SealMode::First, FOUR), Err(StorageError::VersionTaken { .. })));
    let second = world.seal(&visits(), SealMode::Replace, FOUR).unwrap();
    assert_eq!(second.version.manifest().version, 2);
    crate::storage::drop_version(&world.data, &visits_id(), 2).unwrap();
    world.newest_known = Some(2);
    assert!(matches!(world.seal(&visits(), SealMode::Append, FOUR), Err(StorageError::Tampered { .. })));
    assert_eq!(world.seal(&visits(), SealMode::Replace, FOUR).unwrap().version.manifest().version, 3);
}

#[test]
fn nothing_to_append_to_is_an_error() {
    let world = World::new();
    assert!(matches!(world.seal(&visits(), SealMode::Append, FOUR), Err(StorageError::NeverSealed { .. })));
}

#[test]
fn two_seals_of_one_dataset_do_not_run_at_once() {
    let world = World::new();
    let _held = world.data.lock(&visits_id()).unwrap();
    assert!(matches!(world.seal(&visits(), SealMode::First, FOUR), Err(StorageError::Busy { .. })));
}

struct StopAt {
    stage: Stage,
    how: Direction,
}

impl SealObserver for StopAt {
    fn reached(&self, progress: Progress) -> Direction {
        if progress.stage == self.stage { self.how } else { Direction::Continue }
    }
}

const STAGES: [Stage; 6] = [
    Stage::Staged,
    Stage::Reading,
    Stage::Grouping,
    Stage::FilesWritten,
    Stage::ManifestWritten,
    Stage::Publishing,
];

#[test]
fn a_kill_at_any_stage_leaves_the_old_version_and_is_swept() {
    for mode in [SealMode::Replace, SealMode::Append] {
        for stage in STAGES {
            let world = World::new();
            world.seal(&visits(), SealMode::First, FOUR).unwrap();
            let before = world.files();
            let kill = StopAt { stage, how: Direction::Abandon };
            let input = stream(visits_csv(50, 2));
            let stopped = world.seal_observed(&visits(), mode, input, &kill);
            assert!(matches!(stopped, Err(StorageError::Abandoned)), "{stage:?}");
            assert_eq!(world.data.versions(&visits_id()).unwrap(), [1], "{stage:?}");
            world.open(1).unwrap().verify(&world.data, world.signer.verifier()).unwrap();
            assert_eq!(world.data.sweep().unwrap(), 1, "{stage:?}");
            assert_eq!(world.files(), before, "{stage:?}");
            let next = world.seal(&visits(), mode, FOUR).unwrap();
            assert_eq!(next.version.manifest().version, 2);
        }
    }
}

#[test]
fn cancelling_at_any_stage_cleans_up() {
    for stage in STAGES {
        let world = World::new();
        let cancel = StopAt { stage, how: Direction::Cancel };
        let stopped = world.seal_observed(&visits(), SealMode::First, stream(FOUR), &cancel);
        assert!(matches!(stopped, Err(StorageError::Cancelled)), "{stage:?}");
        assert_eq!(world.data.sweep().unwrap(), 0, "{stage:?}");
        let left: Vec<_> = world.files().into_keys().filter(|path| !path.ends_with(".lock")).collect();
        assert!(left.is_empty(), "{stage:?} left {left:?}");
    }
}

#[test]
fn a_running_seal_is_not_swept() {
    struct Sweeper<'a>(&'a World, AtomicU64);
    impl SealObserver for Sweeper<'_> {
        fn reached(&self, _progress: Progress) -> Direction {
            self.1.fetch_add(self.0.data.sweep().unwrap() as u64, Ordering::Relaxed);
            Direction::Continue
        }
    }
    let world = World::new();
    let sweeper = Sweeper(&world, AtomicU64::new(0));
    world.seal_observed(&visits(), SealMode::First, stream(FOUR), &sweeper).unwrap();
    assert_eq!(sweeper.1.load(Ordering::Relaxed), 0);
}

#[test]
fn temporary_files_hold_no_plaintext_and_go_away() {
    struct Looker<'a>(&'a World, AtomicU64);
    impl SealObserver for Looker<'_> {
        fn reached(&self, _progress: Progress) -> Direction {
            for (path, bytes) in self.0.files() {
                if path.extension().is_some_and(|e| e == "tmp") {
                    self.1.fetch_add(1, Ordering::Relaxed);
                    assert!(!bytes.windows(9).any(|window| window == b"CANARY-X1"), "plaintext in {path:?}");
                }
            }
            Direction::Continue
        }
    }
    let mut world = World::new();
    world.memory_bytes = 200 << 10;
    let mut csv = visits_csv(20_000, 1);
    for _ in 0..500 {
        csv.push_str("P1,2021/1/1,CANARY-X1,1\n");
    }
    let looker = Looker(&world, AtomicU64::new(0));
    world.seal_observed(&visits(), SealMode::First, stream(csv), &looker).unwrap();
    assert!(looker.1.load(Ordering::Relaxed) > 0, "nothing was spilled");
    assert!(world.files().keys().all(|path| path.extension().is_none_or(|e| e != "tmp")));
}

#[test]
fn a_bad_row_stops_with_its_line_and_without_its_value() {
    let world = World::new();
    let bad = format!("{FOUR}P9,2021/2/3,J00,SECRET-9\n");
    let error = world.seal(&visits(), SealMode::First, bad).unwrap_err();
    assert_eq!(error.to_string(), "line 6: not a decimal number that fits in column `cost`");
    assert!(!format!("{error:?}").contains("SECRET"));
    assert!(world.data.versions(&visits_id()).unwrap().is_empty());
}

#[test]
fn bad_rows_are_skipped_and_counted() {
    let mut world = World::new();
    world.options.on_bad_row = OnBadRow::Skip;
    world.options.bad_rows_max_ppm = 400_000;
    world.options.rejects = Some(world.folder.path().join("rejects.csv"));
    let bad = format!("{FOUR}P9,2021/2/30,J00,1\nP9,2021/2/3\nP9,2021/2/3,J00,1,1\nP9,2021/2/3,J00,2\n");
    let sealed = world.seal(&visits(), SealMode::First, bad).unwrap();
    assert_eq!((sealed.report.rows, sealed.report.rows_skipped), (5, 3));
    assert_eq!(sealed.version.manifest().rows_skipped, 3);
    let found: Vec<_> = sealed.report.bad_rows.iter().map(|row| (row.line, row.reason)).collect();
    let field = BadRowReason::FieldCount;
    assert_eq!(found, [(6, BadRowReason::NotDate), (7, field), (8, field)]);
    let by: Vec<_> = sealed.report.skipped_by.into_iter().collect();
    let day = Some("visit_date".to_owned());
    assert_eq!(by, [((None, field), 2), ((day, BadRowReason::NotDate), 1)]);
    let rejects = std::fs::read_to_string(world.folder.path().join("rejects.csv")).unwrap();
    let expected = "line,column,reason\n6,visit_date,\"not a date\"\n7,,\"wrong number of fields\"\n8,,\"wrong number of fields\"\n";
    assert_eq!(rejects, expected, "positions and reasons, no values");
    let again = world.seal(&visits(), SealMode::Replace, FOUR);
    let exists = StorageError::RejectsUncreated { reason: RejectsProblem::Exists };
    assert_eq!(again.unwrap_err().to_string(), exists.to_string(), "no file is overwritten");
}

#[test]
fn an_empty_input_is_no_version() {
    let world = World::new();
    let none = world.seal(&visits(), SealMode::First, "person_id,visit_date,icd10,cost\n");
    assert!(matches!(none, Err(StorageError::NoRows)));
    assert!(matches!(world.seal(&visits(), SealMode::First, ""), Err(StorageError::ColumnMissing { .. })));
}

#[test]
fn every_key_is_under_the_grade_of_its_column() {
    let world = World::new();
    let sealed = world.seal(&visits(), SealMode::First, FOUR).unwrap();
    let keys = &sealed.version.keys().parts["part-00000.parquet"];
    assert!(keys.footer.starts_with("owk1:hz-health/L4:"));
    assert!(keys.columns["visit_date"].starts_with("owk1:hz-health/L2:"));
    assert!(keys.columns["cost"].starts_with("owk1:hz-health/L3:"));
    assert_eq!(keys.columns.len(), 4);
}

#[test]
fn a_file_is_sealed_from_its_path() {
    let world = World::new();
    let path = world.folder.path().join("visits.csv");
    std::fs::write(&path, FOUR).unwrap();
    let bytes = AtomicU64::new(0);
    struct Bytes<'a>(&'a AtomicU64);
    impl SealObserver for Bytes<'_> {
        fn reached(&self, progress: Progress) -> Direction {
            self.0.fetch_max(progress.bytes, Ordering::Relaxed);
            Direction::Continue
        }
    }
    world.seal_observed(&visits(), SealMode::First, Input::Path(path), &Bytes(&bytes)).unwrap();
    assert_eq!(bytes.load(Ordering::Relaxed), FOUR.len() as u64);
}

fn with_keys(keys: &[&str]) -> String {
    let rows: String = keys.iter().map(|key| format!("{key},2021/2/3,J00,1\n")).collect();
    format!("person_id,visit_date,icd10,cost\n{rows}")
}

/// Sealing stopped for spellings of the unit key, and the rows that it named.
fn spellings(result: Result<Sealed, StorageError>) -> Option<(u64, u64)> {
    match result {
        Err(StorageError::UnitKeySpellings { column, lines }) => {
            assert_eq!(column, "person_id");
            lines
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_unit_key_written_in_several_ways_asks_for_a_decision() {
    for other in ["08888", "8888.0", "88\u{200b}88", "\u{200f}8888", "88 88", "+8888"] {
        let world = World::new();
        let sealed = world.seal(&visits(), SealMode::First, with_keys(&["8888", "7", other]));
        assert_eq!(spellings(sealed), Some((2, 4)), "{other:?}");
        assert!(world.data.versions(&visits_id()).unwrap().is_empty(), "nothing is published");
    }
    let world = World::new();
    world.seal(&visits(), SealMode::First, with_keys(&["8888", "7"])).unwrap();
    spellings(world.seal(&visits(), SealMode::Replace, with_keys(&["8888", "08888"])));
    assert_eq!(world.open(1).unwrap().manifest().rows, 2, "what was there stays");
    let error = world.seal(&visits(), SealMode::Replace, with_keys(&["8888", "08888"])).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the unit key `person_id` is written in several ways, such as in lines 2 and 3"
    );
}

#[test]
fn keys_that_differ_in_more_than_spelling_ask_for_nothing() {
    let world = World::new();
    let keys = ["8888", "８８８８", " 8888 ", "88880", "8888a", "", "?", "7"];
    let sealed = world.seal(&visits(), SealMode::First, with_keys(&keys)).unwrap();
    let manifest = sealed.version.manifest();
    let unit = manifest.unit("resident").unwrap();
    assert_eq!(
        (unit.subjects, unit.rows_max, unit.rows_without),
        (4, 3, 2),
        "full width was never another subject"
    );
    assert_eq!(manifest.unit_keys, None);
    let mut typed = visits();
    typed.columns[0].semantic = Some("resident_id".to_owned());
    let keys = ["11010519491231002X", "110105 19491231 002x", "350627199711275419"];
    let sealed = World::new().seal(&typed, SealMode::First, with_keys(&keys)).unwrap();
    assert_eq!(sealed.version.manifest().unit("resident").unwrap().subjects, 2);
}

#[test]
fn the_steward_s_decision_is_sealed_with_the_rows() {
    let keys = ["8888", "08888", "7", "8888.0"];
    for (unit_keys, subjects, word) in [(UnitKeys::Same, 2, "same"), (UnitKeys::AsWritten, 4, "as-written")] {
        let mut world = World::new();
        world.unit_keys = unit_keys;
        let sealed = world.seal(&visits(), SealMode::First, with_keys(&keys)).unwrap();
        assert_eq!(sealed.version.manifest().unit("resident").unwrap().subjects, subjects);
        assert_eq!(sealed.version.manifest().unit_keys.as_deref(), Some(word));
        // Rows that are added are tokenised as those that stay, without being asked again.
        world.unit_keys = UnitKeys::Ask;
        let sealed = world.seal(&visits(), SealMode::Append, with_keys(&["008888", "8888"])).unwrap();
        let more = u64::from(unit_keys == UnitKeys::AsWritten);
        assert_eq!(sealed.version.manifest().unit("resident").unwrap().subjects, subjects + more);
        assert_eq!(sealed.version.manifest().unit_keys.as_deref(), Some(word));
        world.unit_keys = if unit_keys == UnitKeys::Same { UnitKeys::AsWritten } else { UnitKeys::Same };
        let other = world.seal(&visits(), SealMode::Append, with_keys(&["9"]));
        assert!(matches!(other, Err(StorageError::AppendMismatch { .. })), "{other:?}");
    }
}

#[test]
fn appended_rows_that_spell_a_sealed_key_in_another_way_are_found() {
    let mut world = World::new();
    world.seal(&visits(), SealMode::First, with_keys(&["8888", "7"])).unwrap();
    let lines = spellings(world.seal(&visits(), SealMode::Append, with_keys(&["08888", "9"])));
    assert_eq!(lines, None, "of a sealed row no line is known");
    assert_eq!(world.open(1).unwrap().manifest().rows, 2);
    world.unit_keys = UnitKeys::Same;
    let same = world.seal(&visits(), SealMode::Append, with_keys(&["08888"]));
    assert!(matches!(same, Err(StorageError::AppendMismatch { .. })), "old rows cannot be tokenised anew");
    world.unit_keys = UnitKeys::AsWritten;
    world.seal(&visits(), SealMode::Append, with_keys(&["08888"])).unwrap();
}

#[test]
fn spellings_beyond_the_remembered_rows_are_found_by_counting() {
    let mut keys: Vec<String> = (1..=66_000).map(|number| format!("P{number}")).collect();
    keys.push("p65900".to_owned());
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let world = World::new();
    assert_eq!(spellings(world.seal(&visits(), SealMode::First, with_keys(&keys))), None);
    assert!(world.data.versions(&visits_id()).unwrap().is_empty());
}

#[test]
fn rows_without_any_subject_replace_nothing() {
    let world = World::new();
    world.seal(&visits(), SealMode::First, FOUR).unwrap();
    for text in [
        "person_id,visit_date,icd10,cost\n,2021/2/3,J00,1\nNULL,2021/2/3,J00,1\n",
        "{\"person_id\":null,\"visit_date\":null,\"icd10\":null,\"cost\":1}\n",
    ] {
        let sealed = world.seal(&visits(), SealMode::Replace, text);
        assert!(matches!(sealed, Err(StorageError::NoSubjects { column }) if column == "person_id"));
    }
    let renamed = "{\"no\":\"P1\",\"visit_date\":null,\"icd10\":null,\"cost\":1}\n";
    let sealed = world.seal(&visits(), SealMode::Replace, renamed);
    assert!(matches!(sealed, Err(StorageError::BadRow { line: 1, reason: BadRowReason::KeyMissing, .. })));
    assert_eq!(world.open(1).unwrap().manifest().rows, 4, "what was there stays");
}

#[test]
fn words_for_a_missing_key_are_no_subjects_and_totals_no_keys() {
    let world = World::new();
    let keys = ["10000", "NULL", "\\N", "-", "10001", "null"];
    let sealed = world.seal(&visits(), SealMode::First, with_keys(&keys)).unwrap();
    let manifest = sealed.version.manifest();
    let unit = manifest.unit("resident").unwrap();
    assert_eq!((unit.subjects, unit.rows_without), (2, 4));
    assert_eq!(sealed.report.mended.values().copied().collect::<Vec<_>>(), [4]);
    let total = world.seal(&visits(), SealMode::Replace, with_keys(&["10000", "合计"]));
    assert!(matches!(total, Err(StorageError::BadRow { line: 3, reason: BadRowReason::BelowTable, .. })));
}

#[test]
fn a_key_that_a_program_wrote_with_places_is_the_whole_number() {
    let token = |sealed: &Sealed, world: &World| tokens_by_row_group(world, &sealed.version)[0][0];
    let (plain, places) = (World::new(), "10000.0");
    let whole = plain.seal(&visits(), SealMode::First, with_keys(&["10000"])).unwrap();
    let sealed = plain.seal(&visits(), SealMode::Replace, with_keys(&[places])).unwrap();
    assert_eq!(token(&sealed, &plain), token(&whole, &plain), "they meet");
    assert_eq!(sealed.report.mended.len(), 1, "and it is said");
    let appended = plain.seal(&visits(), SealMode::Append, with_keys(&["10000"])).unwrap();
    assert_eq!(appended.version.manifest().unit("resident").unwrap().subjects, 1);
    let mut written = World::new();
    written.unit_keys = UnitKeys::AsWritten;
    let sealed = written.seal(&visits(), SealMode::First, with_keys(&[places, "10000"])).unwrap();
    assert_eq!(sealed.version.manifest().unit("resident").unwrap().subjects, 2, "as decided");
}

#[test]
fn more_malformed_rows_than_the_share_seal_nothing() {
    let mut world = World::new();
    world.options.on_bad_row = OnBadRow::Skip;
    let with_bad = |bad: usize| visits_csv(200 - bad, 1) + &"P9,2021/2/30,J00,1\n".repeat(bad);
    assert_eq!(world.seal(&visits(), SealMode::First, with_bad(2)).unwrap().report.rows_skipped, 2);
    let stopped = world.seal(&visits(), SealMode::Replace, with_bad(3)).unwrap_err();
    let told = "3 of 200 rows are malformed, more than 1 %, most: not a date in column `visit_date` (3)";
    assert_eq!(stopped.to_string(), told);
    world.options.bad_rows_max_ppm = 15_000;
    world.seal(&visits(), SealMode::Replace, with_bad(3)).unwrap();
}

#[test]
fn a_version_with_fewer_than_half_of_the_subjects_is_asked_for() {
    let mut world = World::new();
    world.seal(&visits(), SealMode::First, visits_csv(100, 1)).unwrap();
    world.confirmation = Confirmation::Ask;
    world.seal(&visits(), SealMode::Replace, visits_csv(100, 1)).unwrap();
    let fewer = world.seal(&visits(), SealMode::Replace, visits_csv(49, 9));
    assert!(
        matches!(fewer, Err(StorageError::FewerThanHalf { before: 100, after: 49, .. })),
        "rows do not make up for subjects: {fewer:?}"
    );
    world.seal(&visits(), SealMode::Replace, visits_csv(50, 1)).unwrap();
    world.confirmation = Confirmation::Given;
    world.seal(&visits(), SealMode::Replace, visits_csv(3, 1)).unwrap();
    world.confirmation = Confirmation::Ask;
    let open = DatasetSpec { units: Vec::new(), ..spec_without_units() };
    world.seal(&open, SealMode::First, "zone\na\nb\nc\n").unwrap();
    let fewer = world.seal(&open, SealMode::Replace, "zone\na\n");
    assert!(matches!(fewer, Err(StorageError::FewerThanHalf { before: 3, after: 1, .. })));
}

#[test]
fn a_small_open_table_is_published_with_its_open_columns() {
    let world = World::new();
    let mut spec = DatasetSpec { units: Vec::new(), ..spec_without_units() };
    spec.columns = vec![
        ColumnSpec { published: true, ..column("zone", DataType::Text, 1) },
        column("head", DataType::Text, 2),
        ColumnSpec { published: true, ..column("since", DataType::Date, 1) },
    ];
    let published = |sealed: &Sealed| serde_json::to_string(&sealed.version.manifest().published).unwrap();
    let first = world.seal(&spec, SealMode::First, "zone,head,since\nb,lin,2025/3/1\na,wang,\n").unwrap();
    assert_eq!(published(&first), r#"{"since":["2025-03-01",null],"zone":["b","a"]}"#);
    let second = world.seal(&spec, SealMode::Append, "zone,head,since\nc,shen,2025/3/2\n").unwrap();
    assert_eq!(published(&second), r#"{"since":["2025-03-01",null,"2025-03-02"],"zone":["b","a","c"]}"#);
    // What is not read again is not published again.
    let closed = DatasetSpec {
        columns: spec
            .columns
            .iter()
            .map(|column| ColumnSpec { published: false, ..column.clone() })
            .collect(),
        ..spec.clone()
    };
    let third = world.seal(&closed, SealMode::Append, "zone,head,since\nd,shen,2025/3/2\n").unwrap();
    assert_eq!(published(&third), "null");
    let fourth = world.seal(&spec, SealMode::Append, "zone,head,since\ne,shen,2025/3/2\n").unwrap();
    assert_eq!(published(&fourth), "null");
}

#[test]
fn large_tables_and_those_of_subjects_are_not_published() {
    let world = World::new();
    let mut spec = visits();
    spec.columns.iter_mut().for_each(|column| column.published = true);
    let sealed = world.seal(&spec, SealMode::First, visits_csv(10, 1)).unwrap();
    assert_eq!(sealed.version.manifest().published, None);
    let mut spec = spec_without_units();
    spec.columns[0].published = true;
    let zone = "z".repeat(1 << 10);
    let rows = |count: usize| format!("zone\n{}", format!("{zone}\n").repeat(count));
    let sealed = world.seal(&spec, SealMode::First, rows(PUBLISHED_BYTES_MAX >> 10)).unwrap();
    assert_eq!(sealed.version.manifest().published.as_ref().unwrap().bytes(), PUBLISHED_BYTES_MAX);
    let sealed = world.seal(&spec, SealMode::Append, "zone\na\n").unwrap();
    assert_eq!(sealed.version.manifest().published, None);
    let sealed = world.seal(&spec, SealMode::Replace, rows((PUBLISHED_BYTES_MAX >> 10) + 1)).unwrap();
    assert_eq!(sealed.version.manifest().published, None);
}

fn spec_without_units() -> DatasetSpec {
    let id = "hz-health.zones".parse().unwrap();
    DatasetSpec { id, columns: vec![column("zone", DataType::Text, 2)], units: Vec::new(), ..visits() }
}

#[test]
fn a_file_that_is_sealed_already_is_added_on_request_only() {
    let mut world = World::new();
    world.confirmation = Confirmation::Ask;
    world.seal(&visits(), SealMode::First, FOUR).unwrap();
    let ndjson = FOUR.replace(',', ";").replace("12.50", "12.5");
    for same in [FOUR.to_owned(), ndjson] {
        let again = world.seal(&visits(), SealMode::Append, same);
        assert!(matches!(again, Err(StorageError::SealedAlready)), "whatever its delimiter: {again:?}");
    }
    let more = world.seal(&visits(), SealMode::Append, visits_csv(5, 1)).unwrap();
    assert_eq!(more.version.manifest().inputs.len(), 2);
    for same in [FOUR.to_owned(), visits_csv(5, 1)] {
        assert!(matches!(world.seal(&visits(), SealMode::Append, same), Err(StorageError::SealedAlready)));
    }
    world.confirmation = Confirmation::Given;
    assert_eq!(world.seal(&visits(), SealMode::Append, FOUR).unwrap().version.manifest().rows, 13);
}

#[test]
fn numbers_that_a_spreadsheet_cut_are_refused_even_where_their_check_digit_passes() {
    let mut world = World::new();
    world.options.on_bad_row = OnBadRow::Skip;
    world.options.bad_rows_max_ppm = 1_000_000;
    let mut residents = visits();
    residents.columns[0].semantic = Some("resident_id".to_owned());
    for cut in ["110105194912310000", "1.10105E+17"] {
        let sealed = world.seal(&residents, SealMode::First, with_keys(&["11010519491231002X", cut]));
        assert!(
            matches!(sealed, Err(StorageError::BadRow { line: 3, reason: BadRowReason::CutNumber, .. })),
            "skipping does not help: {sealed:?}"
        );
    }
    let passing: Vec<String> = cut_numbers_that_pass(3);
    let passing: Vec<&str> = passing.iter().map(String::as_str).collect();
    let sealed = world.seal(&residents, SealMode::First, with_keys(&passing));
    assert!(matches!(sealed, Err(StorageError::CutNumbers { .. })), "{sealed:?}");
    let mut among = passing.clone();
    among.resize(70, "11010519491231002X");
    world.seal(&residents, SealMode::First, with_keys(&among)).unwrap();
    let plain = world.seal(&visits(), SealMode::Replace, with_keys(&["330106199001011000"; 5]));
    assert!(matches!(plain, Err(StorageError::CutNumbers { .. })), "a key without a form too: {plain:?}");
}

/// Identity numbers that end in 000 and pass their check.
fn cut_numbers_that_pass(count: usize) -> Vec<String> {
    let body = |n: usize| format!("33010{}19{:02}{:02}15", n % 9 + 1, n / 81 % 80 + 10, n / 9 % 9 + 1);
    let numbers = (0..).map(|n| format!("{}1000", body(n)));
    numbers.filter(|id| obscura_policies::identifiers::is_resident_id(id)).take(count).collect()
}

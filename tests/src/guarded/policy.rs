//! The effective policy of these suites' analyst, as the guard sees it: people, their visits, two open tables.
//! It is written out by hand, and reads no document and no manifest.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use obscura_policies::day::Day;
use obscura_policies::effective::Controls;
use obscura_policies::effective::Dominance;
use obscura_policies::effective::EffectiveColumn;
use obscura_policies::effective::EffectiveDataset;
use obscura_policies::effective::EffectivePolicy;
use obscura_policies::effective::EffectiveUnit;
use obscura_policies::effective::Floor;
use obscura_policies::effective::Intervals;
use obscura_policies::effective::RowFilter;
use obscura_policies::fixed::Fixed;
use obscura_policies::mask::Mask;
use obscura_policies::vocabulary::DataType;
use obscura_policies::vocabulary::Function;
use obscura_policies::vocabulary::Level;
use obscura_policies::vocabulary::Release;
use obscura_policies::vocabulary::Role;
use obscura_policies::vocabulary::UnitKind;
use obscura_policies::vocabulary::Use;

/// The day on which every question is asked.
pub const TODAY: Day = Day::from_epoch_days(20_000);
/// Most visits of one person, in every data set of these suites.
pub const VISITS_OF_ONE_MAX: u64 = 20;
/// People, at the most.
pub const PERSONS_MAX: u64 = 400;
/// Rows of the open table of zones.
pub const ZONES: u64 = 41;
/// Rows of the open table of holidays.
pub const HOLIDAYS: u64 = 2;

/// The properties of a table's rows that a manifest proves.
struct Proven {
    one_row_per_subject: bool,
}

/// The effective policy of the analyst.
#[must_use]
pub fn policy() -> EffectivePolicy {
    let floor = |subjects_min| Floor {
        release: Release::Aggregates,
        controls: Controls {
            subjects_min,
            dominance: Some(Dominance { n: 2, share_max_permille: 850, p_percent: 10 }),
            rounding: Some(5),
            ..Controls::default()
        },
    };
    let datasets = [persons(), visits(), zones(), holidays()];
    EffectivePolicy {
        purpose: "tests".to_owned(),
        datasets: datasets.into_iter().map(|dataset| (dataset.id.clone(), dataset)).collect(),
        floors: BTreeMap::from([
            (Level(1), Floor { release: Release::RowsOpen, controls: Controls::default() }),
            (Level(2), floor(5)),
            (Level(3), floor(10)),
        ]),
        sources: Vec::new(),
    }
}

/// As [`policy`], where a row filter narrows the people.
#[must_use]
pub fn filtered(condition: &str) -> EffectivePolicy {
    let mut policy = policy();
    for dataset in policy.datasets.values_mut().filter(|dataset| dataset.id.sql_name() == "corpus.persons") {
        dataset.row_filters = vec![RowFilter { sql: condition.to_owned(), jurisdiction: false }];
    }
    policy
}

fn persons() -> EffectiveDataset {
    let both = [Use::Filter, Use::Group];
    let columns = vec![
        column("person_id", DataType::Int, Role::UnitKey, 3, &[Use::Join, Use::CountDistinct]),
        column("dept", DataType::Text, Role::Dimension, 2, &both),
        EffectiveColumn { coded: true, ..column("zip", DataType::Text, Role::QuasiIdentifier, 3, &both) },
        EffectiveColumn {
            mask: Some(Mask::Bin { width: Fixed::from_i64(10) }),
            range: range(0, 120),
            ..column(
                "age",
                DataType::Int,
                Role::QuasiIdentifier,
                3,
                &[Use::Filter, Use::Group, Use::Aggregate],
            )
        },
        column("sex", DataType::Text, Role::QuasiIdentifier, 3, &both),
        column("diag", DataType::Text, Role::Sensitive, 3, &both),
        EffectiveColumn {
            range: range(0, 200_000),
            bins: Some(Fixed::from_i64(20_000)),
            ..column("salary", DataType::Int, Role::Measure, 3, &[Use::Filter, Use::Aggregate])
        },
        column("birth", DataType::Date, Role::QuasiIdentifier, 3, &both),
        column("hire", DataType::Date, Role::Dimension, 2, &both),
    ];
    individuals("corpus.persons", columns, &Proven { one_row_per_subject: true })
}

fn visits() -> EffectiveDataset {
    let both = [Use::Filter, Use::Group];
    let columns = vec![
        column("person_id", DataType::Int, Role::UnitKey, 3, &[Use::Join, Use::CountDistinct]),
        EffectiveColumn {
            range: range(0, 1000),
            bins: Some(Fixed::from_i64(100)),
            scale: 2,
            ..column("cost", DataType::Decimal { scale: 2 }, Role::Measure, 3, &[Use::Filter, Use::Aggregate])
        },
        column("day", DataType::Int, Role::Dimension, 2, &both),
        column("at", DataType::Timestamp, Role::Dimension, 2, &both),
    ];
    individuals("corpus.visits", columns, &Proven { one_row_per_subject: false })
}

/// An open reference table with a unique key.
fn zones() -> EffectiveDataset {
    let columns = vec![
        column("zip", DataType::Text, Role::Dimension, 1, &[Use::Filter, Use::Group, Use::Join]),
        column("district", DataType::Text, Role::Dimension, 1, &[Use::Filter, Use::Group]),
        column("level", DataType::Int, Role::Dimension, 1, &[Use::Filter]),
    ];
    EffectiveDataset {
        unique: BTreeSet::from([BTreeSet::from(["zip".to_owned()])]),
        ..open("corpus.zones", columns)
    }
}

/// An open table of intervals of days that do not overlap.
fn holidays() -> EffectiveDataset {
    let day = |name| column(name, DataType::Int, Role::Dimension, 1, &[Use::Filter, Use::Group, Use::Join]);
    let name = column("holiday", DataType::Text, Role::Dimension, 1, &[Use::Filter, Use::Group]);
    let intervals = Intervals { low: "first_day".to_owned(), high: "last_day".to_owned(), closed: true };
    EffectiveDataset {
        intervals: BTreeSet::from([intervals]),
        ..open("corpus.holidays", vec![day("first_day"), day("last_day"), name])
    }
}

fn open(id: &str, columns: Vec<EffectiveColumn>) -> EffectiveDataset {
    EffectiveDataset {
        units: Vec::new(),
        release: Release::RowsOpen,
        membership: Level(1),
        join_with: BTreeSet::new(),
        ..individuals(id, columns, &Proven { one_row_per_subject: false })
    }
}

fn individuals(id: &str, columns: Vec<EffectiveColumn>, proven: &Proven) -> EffectiveDataset {
    let resident = UnitKind("resident".to_owned());
    let other = if id == "corpus.persons" { "corpus.visits" } else { "corpus.persons" };
    EffectiveDataset {
        id: id.parse().expect("a dataset's name"),
        membership: Level(2),
        units: vec![EffectiveUnit {
            kind: resident.clone(),
            column: "person_id".to_owned(),
            one_row_per_subject: proven.one_row_per_subject,
            rows_max: Some(if proven.one_row_per_subject { 1 } else { 8 }),
            clustered: true,
        }],
        columns,
        row_filters: Vec::new(),
        release: Release::Aggregates,
        functions: BTreeSet::from([Function::Count, Function::CountDistinct, Function::Sum, Function::Avg]),
        controls: Controls::default(),
        join_with: BTreeSet::from([(other.parse().expect("a dataset's name"), resident)]),
        max_rows_per_subject: 20,
        max_groups_per_subject: 5,
        privacy_budget: None,
        all_ask_for_privacy: false,
        usual_rows: None,
        usual_rows_in: None,
        is_updated: true,
        rows: None,
        unique: BTreeSet::new(),
        intervals: BTreeSet::new(),
        published: None,
    }
}

/// A column of a grade, without mask, range or domain.
#[must_use]
pub fn column(name: &str, data_type: DataType, role: Role, grade: u8, uses: &[Use]) -> EffectiveColumn {
    EffectiveColumn {
        name: name.to_owned(),
        data_type,
        role,
        grade: Level(grade),
        grade_after: Level(grade),
        uses: uses.iter().copied().collect(),
        mask: None,
        range: None,
        bins: None,
        usual: None,
        domain: None,
        scale: 4,
        coded: false,
    }
}

fn range(low: i64, high: i64) -> Option<(Fixed, Fixed)> {
    Some((Fixed::from_i64(low), Fixed::from_i64(high)))
}

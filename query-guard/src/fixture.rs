//! Test fixture: the policy of the corpus tables `persons` and `visits`, written out by hand.
//! It exists only in tests.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use chrono::DateTime;
use obscura_policies::day::Day;
use obscura_policies::effective::Controls;
use obscura_policies::effective::Dominance;
use obscura_policies::effective::EffectiveColumn;
use obscura_policies::effective::EffectiveDataset;
use obscura_policies::effective::EffectivePolicy;
use obscura_policies::effective::EffectiveUnit;
use obscura_policies::effective::Floor;
use obscura_policies::effective::Intervals;
use obscura_policies::fixed::Fixed;
use obscura_policies::mask::Mask;
use obscura_policies::vocabulary::DataType;
use obscura_policies::vocabulary::Function;
use obscura_policies::vocabulary::Level;
use obscura_policies::vocabulary::Release;
use obscura_policies::vocabulary::Role;
use obscura_policies::vocabulary::UnitKind;
use obscura_policies::vocabulary::Use;

use crate::finding::Code;
use crate::guard::Guard;
use crate::plan::GuardedPlan;
use crate::recheck::look_again;
use crate::recheck::tests::due;
use crate::recheck::tests::scanned;
use crate::verdict::Decision;
use crate::verdict::Verdict;

pub(crate) mod execute;
pub(crate) mod noise;
pub(crate) mod private;
pub(crate) mod variants;
pub(crate) mod zones;

/// Reviews a query under the fixture's policy.
pub(crate) fn review(sql: &str) -> Verdict {
    review_under(&policy(), sql)
}

/// Reviews a query under a policy; a plan that is admitted passes the second look as it is.
pub(crate) fn review_under(policy: &EffectivePolicy, sql: &str) -> Verdict {
    let verdict = Guard::new(policy, DateTime::UNIX_EPOCH, Day::from_epoch_days(20_000)).review(sql);
    if let Decision::Admitted(plan) = &verdict.decision {
        for due in due(plan) {
            let looked = look_again(&due, due.plan(), &scanned);
            assert_eq!(looked, Ok(()), "{sql}\n{}", due.plan().display_indent());
        }
    }
    verdict
}

/// The codes of a refusal; empty when the query is admitted.
pub(crate) fn codes(sql: &str) -> Vec<Code> {
    match review(sql).decision {
        Decision::Admitted(_) => Vec::new(),
        Decision::Refused { findings, .. } => findings.into_iter().map(|finding| finding.code).collect(),
    }
}

/// The first query that is offered for a refused one.
pub(crate) fn rewrite(sql: &str) -> Option<String> {
    match review(sql).decision {
        Decision::Admitted(_) => panic!("admitted: {sql}"),
        Decision::Refused { rewrites, .. } => rewrites.into_iter().next().map(|rewrite| rewrite.sql),
    }
}

/// The plan of an admitted query.
pub(crate) fn admitted(sql: &str) -> GuardedPlan {
    match review(sql).decision {
        Decision::Admitted(plan) => *plan,
        Decision::Refused { findings, .. } => panic!("{sql}\nrefused: {findings:#?}"),
    }
}

/// Labels as the corpus states them.
pub(crate) fn policy() -> EffectivePolicy {
    let persons = dataset(
        "corpus.persons",
        vec![
            column("person_id", DataType::Int, Role::UnitKey, 3, &[Use::Join, Use::CountDistinct]),
            column("dept", DataType::Text, Role::Dimension, 2, &[Use::Filter, Use::Group]),
            column("zip", DataType::Text, Role::QuasiIdentifier, 3, &[Use::Filter, Use::Group]),
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
            column("sex", DataType::Text, Role::QuasiIdentifier, 3, &[Use::Filter, Use::Group]),
            column("diag", DataType::Text, Role::Sensitive, 3, &[Use::Filter, Use::Group]),
            EffectiveColumn {
                range: range(0, 200_000),
                bins: Some(Fixed::from_i64(20_000)),
                ..column("salary", DataType::Int, Role::Measure, 3, &[Use::Filter, Use::Aggregate])
            },
            column("name", DataType::Text, Role::Identifier, 3, &[]),
            column("birth", DataType::Date, Role::QuasiIdentifier, 3, &[Use::Filter, Use::Group]),
            column("hire", DataType::Date, Role::Dimension, 2, &[Use::Filter, Use::Group]),
        ],
        true,
    );
    let visits = dataset(
        "corpus.visits",
        vec![
            column("visit_id", DataType::Int, Role::Identifier, 3, &[]),
            column("person_id", DataType::Int, Role::UnitKey, 3, &[Use::Join, Use::CountDistinct]),
            EffectiveColumn {
                range: range(0, 1000),
                bins: Some(Fixed::from_i64(100)),
                scale: 2,
                ..column(
                    "cost",
                    DataType::Decimal { scale: 2 },
                    Role::Measure,
                    3,
                    &[Use::Filter, Use::Aggregate],
                )
            },
            column("day", DataType::Int, Role::Dimension, 2, &[Use::Filter, Use::Group]),
            column("at", DataType::Timestamp, Role::Dimension, 2, &[Use::Filter, Use::Group]),
        ],
        false,
    );
    let floor = |subjects_min| Floor {
        release: Release::Aggregates,
        controls: Controls {
            subjects_min,
            dominance: Some(Dominance { n: 2, share_max_permille: 850, p_percent: 10 }),
            rounding: Some(5),
            ..Controls::default()
        },
    };
    let unavailable =
        Controls { unavailable: BTreeSet::from(["differential-privacy".to_owned()]), ..floor(20).controls };
    EffectivePolicy {
        purpose: "tests".to_owned(),
        datasets: BTreeMap::from([
            (persons.id.clone(), persons),
            (visits.id.clone(), visits),
            {
                let zones = zones();
                (zones.id.clone(), zones)
            },
            {
                let holidays = holidays();
                (holidays.id.clone(), holidays)
            },
            {
                let register = register();
                (register.id.clone(), register)
            },
        ]),
        floors: BTreeMap::from([
            (Level(1), Floor { release: Release::RowsOpen, controls: Controls::default() }),
            (Level(2), floor(5)),
            (Level(3), floor(10)),
            (Level(4), Floor { release: Release::Aggregates, controls: unavailable }),
        ]),
        sources: Vec::new(),
    }
}

/// An open reference table with a unique key.
fn zones() -> EffectiveDataset {
    let mut zones = dataset(
        "corpus.zones",
        vec![
            column("zip", DataType::Text, Role::Dimension, 1, &[Use::Filter, Use::Group, Use::Join]),
            column("district", DataType::Text, Role::Dimension, 1, &[Use::Filter, Use::Group]),
            column("level", DataType::Int, Role::Dimension, 1, &[Use::Filter]),
        ],
        true,
    );
    zones.units.clear();
    zones.release = Release::RowsOpen;
    zones.membership = Level(1);
    zones.unique = BTreeSet::from([BTreeSet::from(["zip".to_owned()])]);
    zones
}

/// An open register of residents: everybody knows who is in it.
fn register() -> EffectiveDataset {
    let columns = vec![
        column("person_id", DataType::Int, Role::UnitKey, 1, &[Use::Filter, Use::Group, Use::Join]),
        column("office", DataType::Text, Role::Identifier, 1, &[Use::Filter, Use::Group]),
        column("rank", DataType::Text, Role::Dimension, 1, &[Use::Filter, Use::Group]),
    ];
    EffectiveDataset {
        release: Release::RowsOpen,
        membership: Level(1),
        unique: BTreeSet::from([BTreeSet::from(["person_id".to_owned()])]),
        ..dataset("corpus.register", columns, true)
    }
}

/// An open table of intervals of days that do not overlap.
fn holidays() -> EffectiveDataset {
    let day = |name| column(name, DataType::Int, Role::Dimension, 1, &[Use::Filter, Use::Group, Use::Join]);
    let name = column("holiday", DataType::Text, Role::Dimension, 1, &[Use::Filter, Use::Group]);
    EffectiveDataset {
        id: "corpus.holidays".parse().unwrap(),
        columns: vec![day("first_day"), day("last_day"), name],
        unique: BTreeSet::new(),
        intervals: BTreeSet::from([Intervals {
            low: "first_day".to_owned(),
            high: "last_day".to_owned(),
            closed: true,
        }]),
        ..zones()
    }
}

fn dataset(id: &str, columns: Vec<EffectiveColumn>, one_row_per_subject: bool) -> EffectiveDataset {
    let resident = UnitKind("resident".to_owned());
    let other = if id == "corpus.persons" { "corpus.visits" } else { "corpus.persons" };
    EffectiveDataset {
        id: id.parse().unwrap(),
        membership: Level(2),
        units: vec![EffectiveUnit {
            kind: resident.clone(),
            column: "person_id".to_owned(),
            one_row_per_subject,
            rows_max: Some(if one_row_per_subject { 1 } else { 4 }),
            clustered: true,
        }],
        columns,
        row_filters: Vec::new(),
        release: Release::Aggregates,
        functions: BTreeSet::from([
            Function::Count,
            Function::CountDistinct,
            Function::Sum,
            Function::Avg,
            Function::Quantile,
            Function::Stddev,
            Function::Covar,
            Function::Corr,
            Function::Regr,
        ]),
        controls: Controls::default(),
        join_with: BTreeSet::from([(other.parse().unwrap(), resident)]),
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

pub(crate) fn column(
    name: &str,
    data_type: DataType,
    role: Role,
    grade: u8,
    uses: &[Use],
) -> EffectiveColumn {
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

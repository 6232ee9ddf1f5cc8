//! The effective policy of the programs' analyst: one register under the controls of L2 or L3, with the noise that is tried.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use obscura_policies::effective::Controls;
use obscura_policies::effective::Dominance;
use obscura_policies::effective::EffectiveColumn;
use obscura_policies::effective::EffectiveDataset;
use obscura_policies::effective::EffectivePolicy;
use obscura_policies::effective::EffectiveUnit;
use obscura_policies::effective::Floor;
use obscura_policies::fixed::Fixed;
use obscura_policies::vocabulary::DataType;
use obscura_policies::vocabulary::DatasetId;
use obscura_policies::vocabulary::Function;
use obscura_policies::vocabulary::Level;
use obscura_policies::vocabulary::Release;
use obscura_policies::vocabulary::Role;
use obscura_policies::vocabulary::UnitKind;
use obscura_policies::vocabulary::Use;

use crate::register::FILLED;
use crate::register::GROUPS;
use crate::register::VILLAGES;
use crate::register::filled;
use crate::register::group;
use crate::register::village;

/// The deviation that the shipped grades have at L2; all others are tried under the controls of L3.
pub(crate) const OF_L2: u32 = 2;

/// Fewest subjects of a cell where the noise has such a deviation.
pub(crate) fn subjects_min(perturbation: Option<u32>) -> u32 {
    if perturbation == Some(OF_L2) { 5 } else { 10 }
}

/// Base that counts are rounded to.
pub(crate) const BASE: u32 = 5;
/// Contribution of a subject to a sum of salaries that the document calls usual: the 95th percentile of them.
pub(crate) const USUAL_SALARY: i64 = 58_000;

/// The register's name.
pub(crate) fn dataset() -> DatasetId {
    "redteam.register".parse().expect("a dataset's name")
}

/// The policy of a deviation of noise, or of none. A dataset whose versions are replaced has a part of its noise drawn anew for
/// each.
pub(crate) fn policy(perturbation: Option<u32>, is_updated: bool) -> EffectivePolicy {
    let controls = Controls {
        subjects_min: subjects_min(perturbation),
        dominance: Some(Dominance {
            n: 2,
            share_max_permille: if perturbation == Some(OF_L2) { 900 } else { 850 },
            p_percent: 10,
        }),
        rounding: Some(BASE),
        perturbation,
        ..Controls::default()
    };
    let floor = Floor { release: Release::Aggregates, controls };
    let register = register(is_updated);
    EffectivePolicy {
        purpose: "tests".to_owned(),
        datasets: BTreeMap::from([(register.id.clone(), register)]),
        floors: BTreeMap::from([
            (Level(1), Floor { release: Release::RowsOpen, controls: Controls::default() }),
            (Level(2), floor.clone()),
            (Level(3), floor),
        ]),
        sources: Vec::new(),
    }
}

fn register(is_updated: bool) -> EffectiveDataset {
    let both = [Use::Filter, Use::Group];
    let listed = |values: &mut dyn Iterator<Item = String>| Some(values.collect());
    let words = |words: &[&str]| listed(&mut words.iter().map(|word| (*word).to_owned()));
    let known = |name: &str, of| column(name, of, Role::QuasiIdentifier, &both);
    let measure = |name: &str, most, bins, usual| EffectiveColumn {
        range: range(0, most),
        bins: Some(Fixed::from_i64(bins)),
        usual: Some(Fixed::from_i64(usual)),
        ..column(name, DataType::Int, Role::Measure, &[Use::Filter, Use::Aggregate])
    };
    let mut columns = vec![
        column("person_id", DataType::Int, Role::UnitKey, &[Use::Join, Use::CountDistinct]),
        EffectiveColumn {
            domain: listed(&mut (0..VILLAGES).map(village)),
            ..known("village", DataType::Text)
        },
        EffectiveColumn { domain: listed(&mut (0..GROUPS).map(group)), ..known("grp", DataType::Text) },
        EffectiveColumn { range: range(0, 99), ..known("age", DataType::Int) },
        EffectiveColumn { domain: words(&["f", "m"]), ..known("sex", DataType::Text) },
        known("moved", DataType::Date),
        EffectiveColumn {
            domain: words(&["no", "yes"]),
            ..column("secret", DataType::Text, Role::Sensitive, &both)
        },
        measure("salary", 200_000, 20_000, USUAL_SALARY),
        measure("hours", 60, 10, 50),
    ];
    columns.extend((0..FILLED).map(|number| known(&filled(number), DataType::Text)));
    EffectiveDataset {
        id: dataset(),
        membership: Level(2),
        units: vec![EffectiveUnit {
            kind: UnitKind("resident".to_owned()),
            column: "person_id".to_owned(),
            one_row_per_subject: true,
            rows_max: Some(1),
            clustered: true,
        }],
        columns,
        row_filters: Vec::new(),
        release: Release::Aggregates,
        functions: BTreeSet::from([Function::Count, Function::CountDistinct, Function::Sum, Function::Avg]),
        controls: Controls::default(),
        join_with: BTreeSet::new(),
        max_rows_per_subject: 1,
        max_groups_per_subject: 5,
        privacy_budget: None,
        all_ask_for_privacy: false,
        usual_rows: None,
        usual_rows_in: None,
        is_updated,
        rows: None,
        unique: BTreeSet::new(),
        intervals: BTreeSet::new(),
        published: None,
    }
}

fn column(name: &str, data_type: DataType, role: Role, uses: &[Use]) -> EffectiveColumn {
    EffectiveColumn {
        name: name.to_owned(),
        data_type,
        role,
        grade: Level(3),
        grade_after: Level(3),
        uses: uses.iter().copied().collect(),
        mask: None,
        range: None,
        bins: None,
        usual: None,
        domain: None,
        scale: 0,
        coded: false,
    }
}

fn range(low: i64, high: i64) -> Option<(Fixed, Fixed)> {
    Some((Fixed::from_i64(low), Fixed::from_i64(high)))
}

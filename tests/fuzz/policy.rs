//! The policies that the questions are reviewed under: that of other suites with more columns and masks, and the same with
//! controls that withhold and round nothing.
//! They are written out by hand; no document is read.

use std::collections::BTreeMap;

use obscura_policies::day::DatePart;
use obscura_policies::effective::Controls;
use obscura_policies::effective::Dominance;
use obscura_policies::effective::EffectiveColumn;
use obscura_policies::effective::EffectiveDataset;
use obscura_policies::effective::EffectivePolicy;
use obscura_policies::effective::Floor;
use obscura_policies::mask::Mask;
use obscura_policies::vocabulary::DataType;
use obscura_policies::vocabulary::Level;
use obscura_policies::vocabulary::Release;
use obscura_policies::vocabulary::Role;
use obscura_policies::vocabulary::Use;
use obscura_tests::guarded::policy;

use crate::people::VISITS_OF_ONE_MAX;

/// The policy of an ordinary analyst: thresholds of 5 and 10, dominance, counts rounded to 5.
pub(crate) fn strict() -> EffectivePolicy {
    let mut policy = policy::policy();
    for dataset in policy.datasets.values_mut() {
        match dataset.id.sql_name().as_str() {
            "corpus.persons" => widen_persons(dataset),
            "corpus.visits" => widen_visits(dataset),
            _ => {}
        }
    }
    policy
}

/// The same policy with the weakest controls there are: one subject is enough, nobody dominates, counts are exact.
///
/// Sums are rounded to 1 % of a declared range under every policy, and the people's numbers are multiples of that step; so an
/// answer under this policy is the exact one, but for a cell to which nobody contributes, which is missing.
pub(crate) fn open() -> EffectivePolicy {
    let controls = Controls {
        subjects_min: 1,
        dominance: Some(Dominance { n: 2, share_max_permille: 1000, p_percent: 0 }),
        ..Controls::default()
    };
    let aggregates = || Floor { release: Release::Aggregates, controls: controls.clone() };
    let mut policy = strict();
    policy.floors = BTreeMap::from([
        (Level(1), Floor { release: Release::RowsOpen, controls: Controls::default() }),
        (Level(2), aggregates()),
        (Level(3), aggregates()),
    ]);
    policy
}

fn widen_persons(dataset: &mut EffectiveDataset) {
    for column in &mut dataset.columns {
        if column.name == "hire" {
            column.mask = Some(Mask::DateTrunc { part: DatePart::Month });
        }
    }
    dataset.columns.push(EffectiveColumn {
        mask: Some(Mask::Partial { keep_first: 3, keep_last: 0 }),
        coded: true,
        ..policy::column("phone", DataType::Text, Role::QuasiIdentifier, 3, &[Use::Filter, Use::Group])
    });
    dataset.columns.push(EffectiveColumn {
        mask: Some(Mask::Redact),
        ..policy::column("faith", DataType::Text, Role::Sensitive, 3, &[Use::Filter, Use::Group])
    });
    dataset.columns.push(policy::column("name", DataType::Text, Role::Identifier, 3, &[]));
}

fn widen_visits(dataset: &mut EffectiveDataset) {
    for unit in &mut dataset.units {
        unit.rows_max = Some(VISITS_OF_ONE_MAX);
    }
    dataset.columns.push(policy::column("visit_id", DataType::Int, Role::Identifier, 3, &[]));
}

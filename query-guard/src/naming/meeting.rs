//! The columns that meet in one number: a cell of many columns holds one person, and every combination of them is a further number
//! with noise of its own, so that the person's secret is read off all of them together.
//!
//! A policy opens every combination of at most so many known columns, each with one secret one
//! (`sandbox/docs/disclosure-model.md`, section 5.8).

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use obscura_policies::effective::EffectivePolicy;
use obscura_policies::vocabulary::Role;

use crate::cell_names::CellNames;
use crate::finding::Refused;
use crate::limits::COLUMNS_MEET_MAX;
use crate::limits::too_large;
use crate::naming::derived::Derived;
use crate::naming::raw::raw_name;
use crate::reason::Reason;

/// Refuses cells in which more columns meet than may.
///
/// `own` are the columns that each atom adds up and nothing else cuts: a sum is over rows that have its measure, and that is no further
/// column.
///
/// At a deviation of 4 the worst person of a thousand is told with an advantage of 0.18 where any three columns meet, of 0.36 where
/// four do, and of 0.63 where five do (simulated for the design of named noise; `sandbox/docs/disclosure-model.md`, section 5.8).
pub(super) fn few_meet(
    cells: &CellNames,
    of_keys: &BTreeSet<u16>,
    own: &[BTreeSet<u16>],
    derived: &BTreeMap<String, Derived>,
    policy: &EffectivePolicy,
) -> Result<(), Refused> {
    // A median has a hundred atoms over the same few columns.
    let known: BTreeSet<u16> =
        cells.columns.keys().copied().filter(|number| is_known(cells, *number, policy)).collect();
    for (atom, own) in cells.atoms.iter().zip(own) {
        let nodes = atom.names.terms().flat_map(|(name, _)| name);
        let conditions = nodes.map(|(number, _)| *number).filter(|number| !own.contains(number));
        let met: BTreeSet<u16> = conditions.chain(of_keys.iter().copied()).collect();
        // Of two secrets the second is as known to whoever asks for the first.
        let secret = met.difference(&known).count().saturating_sub(1);
        // What a fold has made is a secret, and the columns that its rows were chosen by meet in it.
        let of_folds = met.iter().filter_map(|number| derived.get(&cells.columns.get(number)?.0));
        let folded = of_folds.map(Derived::met).sum::<usize>();
        if met.intersection(&known).count() + secret + folded > COLUMNS_MEET_MAX {
            return Err(too_large(
                Reason::TooManyColumnsMeet,
                "columns",
                format!("leave out a column: at most {COLUMNS_MEET_MAX} columns and one secret one meet in a number with noise"),
                format!("请去掉一个字段：含噪声的数字中最多同时涉及 {COLUMNS_MEET_MAX} 个字段和一个敏感字段"),
            )
            .into());
        }
    }
    Ok(())
}

/// True of a dimension or a quasi-identifier, which somebody may know of a person. The presence of a person in another dataset, and what
/// no document describes, are secrets.
fn is_known(cells: &CellNames, number: u16, policy: &EffectivePolicy) -> bool {
    let Some((name, _)) = cells.columns.get(&number) else { return false };
    let described = policy.datasets.values().flat_map(|dataset| {
        dataset.columns.iter().map(move |column| (raw_name(dataset, &column.name), column.role))
    });
    described
        .filter(|(known, _)| known == name)
        .any(|(_, role)| matches!(role, Role::Dimension | Role::QuasiIdentifier))
}

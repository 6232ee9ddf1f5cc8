//! The columns that meet in one number: a cell of many columns holds one person, and every combination of them is a further number
//! with noise of its own, so that the person's secret is read off all of them together.
//!
//! A policy opens every combination of at most so many known columns, or those that it lists, each with one secret one
//! (`sandbox/docs/disclosure-model.md`, section 5.8).

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use obscura_policies::effective::Cubes;
use obscura_policies::effective::EffectiveColumn;
use obscura_policies::effective::EffectiveDataset;
use obscura_policies::effective::EffectivePolicy;
use obscura_policies::effective::KNOWN_COLUMNS_MAX;
use obscura_policies::vocabulary::DatasetId;

use crate::cell_names::CellNames;
use crate::finding::Finding;
use crate::finding::Refused;
use crate::limits::too_large;
use crate::naming::derived::Derived;
use crate::naming::raw::raw_name;
use crate::reason::Reason;

/// Refuses cells in which more columns meet than may, or others than a policy opens together.
///
/// `own` are the columns that each atom adds up and nothing else cuts: a sum is over rows that have its measure, and that is no further
/// column. How many columns may meet is [`KNOWN_COLUMNS_MAX`]'s reason, and which ones is the reason of [`Cubes`]
/// (`sandbox/docs/disclosure-model.md`, section 5.8).
///
/// [`Cubes`]: obscura_policies::effective::Cubes
pub(super) fn few_meet(
    cells: &CellNames,
    of_keys: &BTreeSet<u16>,
    own: &[BTreeSet<u16>],
    derived: &BTreeMap<String, Derived>,
    policy: &EffectivePolicy,
) -> Result<(), Refused> {
    // A median has a hundred atoms over the same few columns.
    let known: BTreeSet<u16> = cells
        .columns
        .iter()
        .filter(|(_, (name, _))| is_known(name, policy))
        .map(|(number, _)| *number)
        .collect();
    for (atom, own) in cells.atoms.iter().zip(own) {
        let nodes = atom.names.terms().flat_map(|(name, _)| name);
        let conditions = nodes.map(|(number, _)| *number).filter(|number| !own.contains(number));
        let met: BTreeSet<u16> = conditions.chain(of_keys.iter().copied()).collect();
        // Of two secrets the second is as known to whoever asks for the first.
        let secret = met.difference(&known).count().saturating_sub(1);
        // What a fold has made is a secret, and the columns that its rows were chosen by meet in it.
        let name = |number: &u16| cells.columns.get(number).map(|(name, _)| name.as_str());
        let of_folds: Vec<&Derived> = met.iter().filter_map(|number| derived.get(name(number)?)).collect();
        let folded = of_folds.iter().map(|derived| derived.met()).sum::<usize>();
        let columns_max = usize::try_from(KNOWN_COLUMNS_MAX).unwrap_or(0);
        if met.intersection(&known).count() + secret + folded > columns_max {
            return Err(too_large(
                Reason::TooManyColumnsMeet,
                "columns",
                format!("leave out a column: at most {columns_max} columns and one secret one meet in a number with noise"),
                format!("请去掉一个字段：含噪声的数字中最多同时涉及 {columns_max} 个字段和一个敏感字段"),
            )
            .into());
        }
        let names =
            met.iter().filter_map(name).chain(of_folds.iter().flat_map(|derived| derived.chosen_by()));
        opened_together(names, policy)?;
    }
    Ok(())
}

/// Refuses columns that the policies of their datasets do not open together. One secret meets any of them: it is what is asked for.
///
/// A policy opens few tables with little noise, or many with much: what all of them together tell of one person is computed of what it
/// opens, and a table that it does not open would not have been counted (`sandbox/docs/disclosure-model.md`, section 5.8).
fn opened_together<'n>(
    names: impl Iterator<Item = &'n str>,
    policy: &EffectivePolicy,
) -> Result<(), Refused> {
    let columns: Vec<(&EffectiveDataset, &EffectiveColumn)> =
        names.filter_map(|name| described(name, policy)).collect();
    let secrets = columns.iter().enumerate().filter(|(_, (_, column))| !column.role.is_known());
    let secrets: Vec<Option<usize>> = secrets.map(|(place, _)| Some(place)).collect();
    let asked_for = if secrets.is_empty() { vec![None] } else { secrets };
    let mut closed = None;
    for asked_for in asked_for {
        let mut met: BTreeMap<&DatasetId, (&Cubes, BTreeSet<String>)> = BTreeMap::new();
        for (place, (dataset, column)) in columns.iter().enumerate() {
            if Some(place) != asked_for {
                let (_, columns) =
                    met.entry(&dataset.id).or_insert((&dataset.controls.cubes, BTreeSet::new()));
                columns.insert(column.name.clone());
            }
        }
        match met.into_iter().find(|(_, (cubes, columns))| !cubes.opens(columns)) {
            None => return Ok(()),
            Some((dataset, (cubes, columns))) => closed = Some((dataset, nearest(cubes, &columns))),
        }
    }
    let Some((dataset, (en, zh))) = closed else { return Ok(()) };
    Err(Finding::of(Reason::ColumnsNotOpenedTogether)
        .with("dataset", dataset.to_string())
        .help(en, zh)
        .into())
}

/// The largest part of the columns that may meet.
fn nearest(cubes: &Cubes, columns: &BTreeSet<String>) -> (String, String) {
    let whole = BTreeSet::from([columns.clone()]);
    let sets = cubes.sets().unwrap_or(&whole).iter().map(|set| set & columns);
    let most = cubes.columns_max().and_then(|most| usize::try_from(most).ok()).unwrap_or(columns.len());
    let nearest = sets.max_by_key(BTreeSet::len).unwrap_or_default();
    if nearest.is_empty() {
        return ("ask without these columns".to_owned(), "请去掉这些字段".to_owned());
    }
    let listed = nearest.into_iter().collect::<Vec<_>>();
    if listed.len() > most {
        return (
            format!("use at most {most} of {} in one number", listed.join(", ")),
            format!("一个数字中至多使用 {} 中的 {most} 个", listed.join("、")),
        );
    }
    (
        format!("use only {} in one number", listed.join(", ")),
        format!("一个数字中只使用 {}", listed.join("、")),
    )
}

/// The dataset and the column of a name that a document describes.
fn described<'p>(
    name: &str,
    policy: &'p EffectivePolicy,
) -> Option<(&'p EffectiveDataset, &'p EffectiveColumn)> {
    let mut described = policy
        .datasets
        .values()
        .flat_map(|dataset| dataset.columns.iter().map(move |column| (dataset, column)));
    described.find(|(dataset, column)| raw_name(dataset, &column.name) == name)
}

/// True of a dimension or a quasi-identifier, which somebody may know of a person. The presence of a person in another dataset, and what
/// no document describes, are secrets.
fn is_known(name: &str, policy: &EffectivePolicy) -> bool {
    described(name, policy).is_some_and(|(_, column)| column.role.is_known())
}

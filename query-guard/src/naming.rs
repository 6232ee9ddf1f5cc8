//! The names of a stage's cells: what their noise is keyed by (`sandbox/docs/disclosure-model.md`, section 5.8).
//!
//! The plan below a boundary is read once more, from the scan up, with every column written out over the columns of the sealed
//! dataset: conditions of the question, masks, conditions of aggregates and group keys become conditions over nodes, and the texts
//! of row filters are kept. A plan that cannot be read so is refused where a policy asks for noise. Nothing here adds noise: the
//! control step does (`control/noise.rs`).

use std::collections::BTreeSet;

use datafusion_expr::Expr;
use obscura_policies::effective::EffectiveDataset;
use obscura_policies::effective::EffectivePolicy;
use obscura_policies::fixed::Fixed;
use obscura_policies::vocabulary::DatasetId;

use crate::atoms::Atom;
use crate::atoms::Quantity;
use crate::atoms::is_present;
use crate::budget::Budget;
use crate::cell::AtomSpec;
use crate::cell::MeasureSpec;
use crate::cell_names::AtomNames;
use crate::cell_names::CellNames;
use crate::cell_names::UnitsIn;
use crate::column_facts::ColumnKind;
use crate::cover::Condition;
use crate::cover::NameFault;
use crate::cover::Names;
use crate::cover::names;
use crate::cover::with_linked;
use crate::finding::Finding;
use crate::finding::Refused;
use crate::finding::fact_missing;
use crate::finding::internal;
use crate::limits::NAMES_MAX;
use crate::plan::KeyColumn;
use crate::reason::Reason;
use crate::source_rows::SourceRows;

mod condition;
mod derived;
pub(crate) mod evaluate;
mod folded;
mod joined;
mod look_up;
mod looked_up;
mod meeting;
mod open_rows;
mod raw;
mod scanned;

use condition::Columns;
use meeting::few_meet;
use raw::Reading;
use raw::raw_name;
use scanned::Scanned;

/// Most names of all atoms in all groups that the keys' values make.
const DRAWS_MAX: usize = 20_000_000;
/// Most groups of all atoms whose deviations are looked at one by one, where they do not multiply.
const GROUPS_MAX: usize = 4_096;
/// Rows that one subject usually has where the dataset does not say.
const USUAL_ROWS: u32 = 20;

/// The parts of a boundary whose cells are named.
pub(crate) struct Boundary<'a> {
    pub(crate) rows: &'a SourceRows,
    pub(crate) group: &'a [Expr],
    pub(crate) keys: &'a [KeyColumn],
    pub(crate) atoms: &'a [Atom],
    pub(crate) specs: &'a [AtomSpec],
}

/// The names of a boundary's cells.
///
/// Noise that is not fixed by names averages out, and a cell without a name would have none: a boundary that cannot be read is
/// refused (`sandbox/docs/disclosure-model.md`, section 5.8).
pub(crate) fn cell_names(
    boundary: &Boundary<'_>,
    policy: &EffectivePolicy,
    budget: &Budget<'_>,
) -> Result<CellNames, Refused> {
    let Boundary { rows, group, keys, atoms, specs } = boundary;
    let reading = Reading { policy, budget };
    let scanned = Scanned::of(&rows.plan, reading)?;
    let mut columns = Columns::new(reading, &scanned.derived, scanned.certain());
    let common = scanned.conditions.iter().map(|condition| columns.condition(condition));
    let common = common.collect::<Result<Vec<_>, Refused>>()?;
    let mut named = Vec::with_capacity(atoms.len());
    let mut measures = Vec::with_capacity(atoms.len());
    let mut of_rows = Vec::with_capacity(atoms.len());
    for (atom, spec) in atoms.iter().zip(*specs) {
        let mut all = common.clone();
        if let Some(condition) = &atom.condition {
            all.push(columns.condition(&scanned.raw(condition)?)?);
        }
        // A row without the measure adds nothing to its sum: with or without `IS NOT NULL` the sum is the same, and so are its
        // names.
        let mut of_measures = BTreeSet::new();
        for measure in atom.quantity.columns() {
            let present = columns.condition(&scanned.raw(&is_present(measure))?)?;
            // A measure that is cut besides is a column of the condition like any other.
            let is_cut =
                all.iter().flat_map(Condition::columns).any(|column| present.columns().contains(&column));
            of_measures.extend(present.columns().into_iter().filter(|_| !is_cut));
            all.push(present);
        }
        measures.push(of_measures);
        let (there, source) = scanned.own(atom)?;
        // Each row of the others is a row of its own too: that they are there is a condition on it.
        for other in scanned.own.keys().filter(|other| *other != there) {
            all.push(columns.there(other)?);
        }
        // Folded rows are a table of their own, whichever rows were folded.
        let of = if source.is_folded { format!(" of {there}") } else { String::new() };
        let measure = scanned.measure(atom, spec, rows)? + &of;
        let subjects =
            rows.classes.iter().map(|class| scanned.subjects(class, atom, &measure) + &of).collect();
        let own = source.family.clone();
        let dataset = policy.datasets.get(&own).ok_or_else(internal)?;
        let unit = unit(atom, spec, rows, dataset).ok_or_else(fact_missing)?;
        named.push(AtomNames {
            family: own,
            condition: Condition::All(all),
            names: Names::default(),
            is_apart: true,
            deviations_max: None,
            measure,
            subjects,
            unit,
            units_in: None,
        });
        // Folded rows are as many as subjects, whichever month they are of.
        of_rows.push((!source.is_folded).then_some(dataset));
    }
    let mut values = Vec::with_capacity(group.len());
    for (key, column) in group.iter().zip(*keys) {
        values.push(columns.values(&scanned.raw(key)?, &column.data_type)?);
    }
    for (atom, dataset) in named.iter_mut().zip(of_rows) {
        atom.units_in = dataset.and_then(|dataset| units_in(atom.unit, dataset, rows, &columns));
    }
    let is_updated = |id: &DatasetId| policy.datasets.get(id).is_none_or(|dataset| dataset.is_updated);
    let of_keys: Vec<BTreeSet<u16>> =
        values.iter().map(|values| values.values().flat_map(Condition::columns).collect()).collect();
    let all_of_keys: BTreeSet<u16> = of_keys.iter().flatten().copied().collect();
    let hierarchies = columns.hierarchies();
    // Columns of which one has a value only where another has do not multiply.
    let linked = |of_key: &BTreeSet<u16>| with_linked(of_key, &hierarchies).len();
    let keys_are_apart =
        of_keys.iter().map(linked).sum::<usize>() == with_linked(&all_of_keys, &hierarchies).len();
    let cells = CellNames {
        is_updated: scanned.read.iter().any(is_updated),
        datasets: scanned.read.clone(),
        hierarchies,
        columns: columns.by_number(),
        filters: scanned.filters.clone(),
        keys_are_apart,
        keys: values,
        atoms: named,
    };
    let cells = with_names(cells, &all_of_keys)?;
    few_meet(&cells, &all_of_keys, &measures, &scanned.derived, policy)?;
    Ok(cells)
}

/// The cells with the names of each atom, within the limits.
///
/// All atoms have names together: six sums over as many names as one may have took a minute to review. With as many groups as the
/// keys have values, their draws would hold a job for minutes.
fn with_names(mut cells: CellNames, of_keys: &BTreeSet<u16>) -> Result<CellNames, Refused> {
    let groups = cells.keys.iter().fold(1_usize, |groups, values| groups.saturating_mul(values.len()));
    let (mut left, mut draws) = (NAMES_MAX, 0_usize);
    let of_keys = with_linked(of_keys, &cells.hierarchies);
    for atom in &mut cells.atoms {
        atom.names = names(&atom.condition, &cells.hierarchies, left).map_err(too_many)?;
        atom.is_apart = atom.condition.columns().is_disjoint(&of_keys);
        left = left.saturating_sub(atom.names.len());
        draws = draws.saturating_add(atom.names.len().saturating_mul(groups));
        if draws > DRAWS_MAX {
            return Err(too_many(NameFault::TooMany { most: DRAWS_MAX }));
        }
    }
    // A median has a hundred atoms: over months of one year it would take seconds to look at every group of each.
    let groups_max = GROUPS_MAX / cells.atoms.len().max(1);
    Ok(cells.with_deviations(groups_max))
}

/// The refusal of conditions that select too many named cells, or have no truth table within the limits.
///
/// Each name is a draw, and so many draws are neither made in time nor a number that is of use
/// (`sandbox/docs/disclosure-model.md`, section 5.8).
fn too_many(_fault: NameFault) -> Refused {
    Finding::of(Reason::TooManyNames)
        .with("limit", "named cells")
        .help(
            format!("choose whole months, years, bins or code prefixes: at most {NAMES_MAX} named cells"),
            format!("请按整月、整年、整个区间或编码前缀筛选：命名单元格不超过 {NAMES_MAX} 个"),
        )
        .into()
}

/// The scale of the noise of an atom's value, in its units: one subject for a count of subjects, a subject's usual rows for one of
/// rows, and a subject's usual contribution for a sum. Where the document says nothing, the largest possible contribution.
fn unit(atom: &Atom, spec: &AtomSpec, rows: &SourceRows, dataset: &EffectiveDataset) -> Option<i128> {
    let is_one_row = rows.classes.iter().any(|class| class.one_row);
    let copies = if is_one_row { 1 } else { i128::from(dataset.usual_rows.unwrap_or(USUAL_ROWS)) };
    let most = |spec: &MeasureSpec| spec.low.saturating_abs().max(spec.high.saturating_abs());
    let usual = |column: &String, spec: &MeasureSpec| {
        let facts = rows.bases.get(column)?;
        if facts.kind == ColumnKind::SubjectCount {
            return dataset.usual_rows.map(i128::from);
        }
        let name = &facts.name;
        let declared = dataset.columns.iter().find(|known| known.name == *name);
        declared.and_then(|column| column.usual).and_then(|usual: Fixed| usual.to_scaled(spec.scale))
    };
    match (&atom.quantity, spec) {
        (Quantity::Rows, _) => Some(copies),
        (Quantity::Measure(column), AtomSpec::Measure(spec)) => {
            rows.bases.get(column)?;
            Some(usual(column, spec).unwrap_or_else(|| most(spec).saturating_mul(copies)).max(1))
        }
        // Of numbers that are not negative the product of two sums is no less than the sum of their products.
        (Quantity::Product(left, right), AtomSpec::Product(a, b)) => {
            let usual = usual(left, a).zip(usual(right, b)).map(|(left, right)| left.saturating_mul(right));
            let most = || most(a).saturating_mul(most(b)).saturating_mul(copies);
            Some(usual.unwrap_or_else(most).max(1))
        }
        (Quantity::Measure(_) | Quantity::Product(..), _) => None,
    }
}

/// The scales of noise of names about one month and one day: the part of the whole one that a subject's usual rows there are of all.
///
/// A day has few of a subject's rows of a year, and noise for all of them would hide a city's day and not only a person's
/// (`sandbox/docs/disclosure-model.md`, section 5.8).
fn units_in(
    unit: i128,
    dataset: &EffectiveDataset,
    rows: &SourceRows,
    columns: &Columns<'_>,
) -> Option<UnitsIn> {
    let usual = dataset.usual_rows_in.as_ref().filter(|_| !rows.classes.iter().any(|class| class.one_row))?;
    let all = i128::from(dataset.usual_rows.unwrap_or(USUAL_ROWS)).max(1);
    let part = |rows: u32| {
        let part = unit.saturating_mul(i128::from(rows).min(all));
        (part / all + i128::from(part % all > 0)).max(1)
    };
    let column = columns.number_of(&raw_name(dataset, &usual.column))?;
    Some(UnitsIn { column, month: part(usual.month), day: part(usual.day) })
}

#[cfg(test)]
mod tests;

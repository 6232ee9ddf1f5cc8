//! The bases of a boundary's cells: atoms of their own in its stage, or a stage of their own where the base has other rows or fewer keys.

use std::collections::BTreeMap;

use datafusion_expr::Expr;

use crate::atoms::Atom;
use crate::atoms::Quantity;
use crate::atoms::conjunction;
use crate::atoms::is_present;
use crate::base_rows::AddedUp;
use crate::base_rows::BaseRows;
use crate::base_rows::Choice;
use crate::base_rows::is_sensitive;
use crate::finding::Refused;
use crate::finding::internal;
use crate::plan::Base;
use crate::plan::KeySet;
use crate::plan::Stage;
use crate::source_rows::SourceRows;

use super::ZonePass;
use super::grouped::Apart;
use super::grouped::Bases;
use super::grouped::Grouped;
use super::grouped::OfAtom;
use super::numbers::specification;

/// The stages of bases that a boundary has so far, by the places of their keys among all of its own.
pub(super) type Known = BTreeMap<Vec<usize>, String>;

impl ZonePass<'_> {
    /// The bases of a boundary's atoms, which it adds to them where the bases have the same rows and groups; nothing where no cell chooses by a
    /// sensitive column.
    ///
    /// A cell that has all of its base tells what all of them have in common: that all 40 residents of a village have a diagnosis, or that none
    /// has (`sandbox/docs/disclosure-model.md`, section 5.12).
    pub(super) fn bases(
        &self,
        rows: &SourceRows,
        group: &[Expr],
        atoms: &mut Vec<Atom>,
    ) -> Result<Option<Bases>, Refused> {
        let read = rows.taint.datasets.iter().filter_map(|id| self.policy.datasets.get(id));
        if !read.flat_map(|dataset| &dataset.columns).any(is_sensitive) {
            return Ok(None);
        }
        let base = BaseRows::of(&rows.plan, self.policy)?;
        let are_kept = group.iter().map(|key| Ok(!base.is_sensitive(key)?));
        let are_kept = are_kept.collect::<Result<Vec<bool>, Refused>>()?;
        let by_keys = if are_kept.contains(&false) { Choice::Whole } else { Choice::None };
        let of_group = base.choice.and(by_keys)?;
        let mut are_apart = of_group != Choice::None;
        let mut relaxed = Vec::with_capacity(atoms.len());
        for atom in atoms.iter() {
            let condition = atom.condition.as_ref().map(|condition| base.relaxed(condition)).transpose()?;
            let mut choice = condition.as_ref().map_or(Choice::None, |condition| condition.choice);
            are_apart |= condition.as_ref().is_some_and(|condition| condition.is_of_rows);
            let mut condition = condition.and_then(|condition| condition.condition);
            let mut quantity = atom.quantity.clone();
            for column in atom.quantity.columns() {
                match base.added_up(column)? {
                    AddedUp::Same => continue,
                    AddedUp::Rows => {}
                    AddedUp::Found => {
                        condition = conjunction(condition, Some(is_present(column)));
                        are_apart = true;
                    }
                }
                quantity = Quantity::Rows;
                choice = choice.and(Choice::Whole)?;
            }
            of_group.and(choice)?;
            relaxed.push((choice != Choice::None, Atom { quantity, condition }));
        }
        if !are_apart && !relaxed.iter().any(|(is_chosen, _)| *is_chosen) {
            return Ok(None);
        }
        // The first atom of bases is all of their rows.
        let mut of_bases = vec![Atom { quantity: Quantity::Rows, condition: None }];
        let all = if are_apart { &mut of_bases } else { atoms };
        let mut of_atoms = Vec::with_capacity(relaxed.len());
        for (is_chosen, atom) in relaxed {
            let place = match all.iter().position(|known| *known == atom) {
                _ if !are_apart && !is_chosen => None,
                None => {
                    all.push(atom);
                    Some(all.len() - 1)
                }
                place => place,
            };
            of_atoms.push(place.map(|place| OfAtom { place, is_chosen }));
        }
        let apart = are_apart.then(|| Apart {
            rows: SourceRows { plan: base.plan, ..rows.clone() },
            atoms: of_bases,
            keys: are_kept,
        });
        Ok(Some(Bases { of_atoms, are_rows_chosen: base.choice != Choice::None, apart }))
    }

    /// The stage of some keys of a boundary. That of its bases goes before it, unless it is known already.
    ///
    /// No number leaves a cell before its base is there: `control` reads both at once (`sandbox/docs/disclosure-model.md`, section 5.12).
    pub(super) fn stage_after_bases(
        &mut self,
        grouped: &Grouped,
        positions: &[usize],
        set: Option<KeySet>,
        known: &mut Known,
    ) -> Result<Stage, Refused> {
        let has_bases = grouped.bases_of(positions).iter().any(Option::is_some);
        let apart = grouped.bases.as_ref().and_then(|bases| bases.apart.as_ref()).filter(|_| has_bases);
        let Some(apart) = apart else { return self.stage(grouped, positions, set) };
        let is_kept = |position: &usize| apart.keys.get(*position) == Some(&true);
        let of_base: Vec<usize> = positions.iter().copied().filter(is_kept).collect();
        let stage = match known.get(&of_base) {
            Some(stage) => stage.clone(),
            None => {
                let stage = self.stage(&grouped.of_bases(apart)?, &of_base, None)?;
                let name = stage.name.clone();
                self.stages.push(stage);
                known.insert(of_base, name.clone());
                name
            }
        };
        let keys = (0..positions.len()).filter(|at| positions.get(*at).is_some_and(is_kept)).collect();
        Ok(Stage { base: Some(Base { stage, keys }), ..self.stage(grouped, positions, set)? })
    }
}

impl Grouped {
    /// The bases of its cells as a boundary of their own, of which nothing is released.
    fn of_bases(&self, apart: &Apart) -> Result<Grouped, Refused> {
        let bases = &apart.rows.bases;
        let specs = apart.atoms.iter().map(|atom| specification(atom, bases));
        let specs = specs.collect::<Option<Vec<_>>>().ok_or_else(internal)?;
        Ok(Grouped {
            source_rows: apart.rows.clone(),
            keys: self.keys.clone(),
            key_types: self.key_types.clone(),
            group: self.group.clone(),
            chosen: vec![false; specs.len()],
            atoms: apart.atoms.clone(),
            specs,
            rows_atom: 0,
            columns: Vec::new(),
            controls: self.controls.clone(),
            privacy: None,
            bases: None,
            is_base: true,
            read: self.read,
        })
    }
}

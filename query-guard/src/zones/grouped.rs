//! A boundary once its keys and calls have passed the rules, with the bases of its cells: stages are made of it.

use arrow::datatypes::DataType;
use datafusion_expr::Expr;
use obscura_policies::effective::Controls;

use crate::atoms::Atom;
use crate::cell::AtomSpec;
use crate::plan::ReleasedColumn;
use crate::privacy::StagePrivacy;
use crate::source_rows::Read;
use crate::source_rows::SourceRows;

/// The keys and calls of a boundary that have passed the rules: stages are made of them.
pub(super) struct Grouped {
    pub(super) source_rows: SourceRows,
    /// The keys as they are written, over base columns.
    pub(super) keys: Vec<Expr>,
    pub(super) key_types: Vec<DataType>,
    /// The keys as the shape rule accepted them.
    pub(super) group: Vec<Expr>,
    pub(super) atoms: Vec<Atom>,
    pub(super) specs: Vec<AtomSpec>,
    /// Of each atom: rows were chosen by what it adds up.
    pub(super) chosen: Vec<bool>,
    pub(super) rows_atom: usize,
    pub(super) columns: Vec<ReleasedColumn>,
    pub(super) controls: Controls,
    /// Differential privacy, where the dataset is answered by it.
    pub(super) privacy: Option<StagePrivacy>,
    /// The bases of its cells, where some choose by sensitive columns.
    pub(super) bases: Option<Bases>,
    /// Its groups are the bases of another one's.
    pub(super) is_base: bool,
    pub(super) read: Read,
}

/// The bases of the cells of a boundary.
pub(super) struct Bases {
    /// Of each atom the one of its base: in the stage of the bases, where there is one, and else among the boundary's own. Those that were
    /// added for it have none.
    pub(super) of_atoms: Vec<Option<OfAtom>>,
    /// Conditions on sensitive columns have chosen the rows of all atoms.
    pub(super) are_rows_chosen: bool,
    /// The stage of the bases, where they have other rows or fewer keys.
    pub(super) apart: Option<Apart>,
}

/// The base of an atom.
#[derive(Debug, Clone, Copy)]
pub(super) struct OfAtom {
    /// Its place among the atoms of the bases.
    pub(super) place: usize,
    /// The atom itself chooses by sensitive columns, whatever the rows and keys do.
    pub(super) is_chosen: bool,
}

/// The rows of bases that are no cells of the boundary.
pub(super) struct Apart {
    pub(super) rows: SourceRows,
    pub(super) atoms: Vec<Atom>,
    /// Of each group key: it tells of no sensitive column.
    pub(super) keys: Vec<bool>,
}

impl Grouped {
    /// The atom of the base of each atom, in a stage of some of the keys; nothing where it is the same cell.
    pub(super) fn bases_of(&self, positions: &[usize]) -> Vec<Option<usize>> {
        let Some(bases) = &self.bases else { return vec![None; self.atoms.len()] };
        let keeps = |position: &usize| {
            bases.apart.as_ref().is_none_or(|apart| apart.keys.get(*position) == Some(&true))
        };
        let are_chosen = bases.are_rows_chosen || !positions.iter().all(keeps);
        let of_atom = |atom: usize| {
            let base = bases.of_atoms.get(atom).copied().flatten()?;
            (are_chosen || base.is_chosen).then_some(base.place)
        };
        (0..self.atoms.len()).map(of_atom).collect()
    }

    /// The items of some of the keys.
    pub(super) fn at<T: Clone>(&self, positions: &[usize], items: &[T]) -> Vec<T> {
        debug_assert_eq!(items.len(), self.keys.len(), "one for each key");
        positions.iter().filter_map(|position| items.get(*position).cloned()).collect()
    }
}

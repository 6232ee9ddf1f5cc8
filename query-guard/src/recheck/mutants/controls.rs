//! Mutants of the controls of a stage.

use std::sync::Arc;

use obscura_policies::effective::Dominance;
use obscura_policies::fixed::Fixed;
use obscura_policies::vocabulary::Level;

use super::kind::Kind;
use crate::cell_names::CellNames;
use crate::plan::Formula;
use crate::plan::Stage;

/// Changes of the controls of a stage.
pub(super) fn of_controls(stage: &Stage) -> Vec<(Kind, Stage)> {
    let mut all = Vec::new();
    let mut put = |kind: Kind, change: &dyn Fn(&mut Stage)| {
        let mut other = stage.clone();
        change(&mut other);
        all.push((kind, other));
    };
    for at in 0..stage.classes.len() {
        put(Kind::ThresholdLowered, &|stage| stage.classes[at].subjects_min -= 1);
        put(Kind::ThresholdLowered, &|stage| stage.classes[at].subjects_min = 1);
        put(Kind::ClassDropped, &|stage| drop(stage.classes.remove(at)));
    }
    if let Some(rule) = stage.controls.dominance {
        let set = |rule| move |stage: &mut Stage| stage.controls.dominance = rule;
        put(Kind::DominanceDropped, &set(None));
        for weaker in [
            Dominance { n: rule.n - 1, ..rule },
            Dominance { share_max_permille: rule.share_max_permille + 1, ..rule },
            Dominance { p_percent: rule.p_percent - 1, ..rule },
        ] {
            put(Kind::DominanceWeaker, &set(Some(weaker)));
        }
    }
    if stage.controls.rounding.is_some() {
        put(Kind::RoundingDropped, &|stage| stage.controls.rounding = None);
        put(Kind::RoundingDropped, &|stage| stage.controls.rounding = Some(1));
    }
    if let Some(names) = &stage.names {
        let mut put_names = |change: &dyn Fn(&mut CellNames)| {
            let mut other = names.as_ref().clone();
            change(&mut other);
            let other = Arc::new(other);
            put(Kind::NamesDropped, &|stage| stage.names = Some(Arc::clone(&other)));
        };
        put_names(&|names| drop(names.atoms.pop()));
        put_names(&|names| names.atoms.iter_mut().for_each(|atom| atom.unit = 0));
        put_names(&|names| names.datasets.clear());
    }
    if stage.controls.perturbation.is_some() {
        put(Kind::NoiseDropped, &|stage| stage.controls.perturbation = None);
        put(Kind::NoiseDropped, &|stage| stage.controls.perturbation = Some(1));
        put(Kind::NamesDropped, &|stage| stage.names = None);
    }
    if stage.controls.cells_max.is_some() {
        put(Kind::CellsUnbounded, &|stage| stage.controls.cells_max = None);
    }
    if stage.controls.homogeneity {
        let of_rows = stage.rows_atom;
        put(Kind::BasesDropped, &|stage| stage.controls.homogeneity = false);
        put(Kind::BasesDropped, &|stage| stage.atoms.iter_mut().for_each(|atom| atom.base = None));
        if stage.atoms[of_rows].base.is_some() {
            put(Kind::BasesDropped, &|stage| stage.atoms[of_rows].base = None);
        }
    }
    if stage.base.is_some() {
        put(Kind::BasesDropped, &|stage| stage.base = None);
    }
    if stage.is_base {
        put(Kind::BasesDropped, &|stage| stage.is_base = false);
    }
    put(Kind::GradeLowered, &|stage| stage.controls.grade = Level(1));
    for at in 0..stage.atoms.len() {
        if stage.atoms[at].counts {
            put(Kind::ConditionCounted, &|stage| stage.atoms[at].counts = false);
        } else {
            put(Kind::ConditionCounted, &|stage| stage.atoms[at].counts = true);
            // Numbers of differential privacy have no width.
            if stage.controls.privacy.is_none() {
                put(Kind::WidthNarrowed, &|stage| stage.atoms[at].width = Fixed::ZERO);
            }
        }
    }
    for at in 0..stage.columns.len() {
        let other = stage.atoms.len().saturating_sub(1);
        put(Kind::FormulaChanged, &|stage| match &mut stage.columns[at].formula {
            Formula::Count { atom } | Formula::Subjects { atom, .. } => {
                *atom = other + usize::from(*atom == other)
            }
            Formula::Sum { terms } => terms.iter_mut().for_each(|term| term.factor *= 2.0),
            Formula::Mean { count, .. } | Formula::Moment { count, .. } | Formula::Quantile { count, .. } => {
                *count = if *count == 0 { other } else { 0 };
            }
        });
    }
    all
}

//! The numbers of a stage's atoms, as far as their errors are known before it runs. The aggregates state the errors of their columns by
//! them; nothing here reads data.

use crate::control::Figure;
use crate::control::deviation;
use crate::control::number::to_f64;
use crate::control::rounding::Rounding;
use crate::plan::Stage;
use crate::plan::StageAtom;
use crate::stated_error::Inaccuracy;
use crate::stated_error::Noise;

/// The numbers of a stage, as far as their errors are known before it runs.
pub(crate) struct Numbers<'s> {
    stage: &'s Stage,
}

impl<'s> Numbers<'s> {
    pub(crate) fn of(stage: &'s Stage) -> Self {
        Numbers { stage }
    }

    /// The specification of an atom.
    pub(crate) fn spec(&self, atom: usize) -> Option<&'s StageAtom> {
        self.stage.atoms.get(atom)
    }

    /// The rounding of the stage's numbers.
    pub(crate) fn rounding(&self) -> Rounding {
        Rounding { base: self.stage.controls.rounding }
    }

    /// The inaccuracy of an atom's value, rounded as it is by itself.
    pub(crate) fn value(&self, atom: usize) -> Option<Inaccuracy> {
        let spec = self.spec(atom)?;
        let step = self.rounding().step(spec).unwrap_or(1);
        let scale = if spec.counts { 0 } else { spec.scale };
        let figure = if spec.counts { Figure::Rows } else { Figure::Quantity };
        Some(Inaccuracy { rounding: half(step, scale), noise: self.noise(figure, atom, scale) })
    }

    /// The inaccuracy of the number of subjects of an atom, of any class.
    pub(crate) fn subjects(&self, atom: usize) -> Inaccuracy {
        let step = self.stage.controls.rounding.map_or(1, i128::from);
        Inaccuracy { rounding: half(step, 0), noise: self.noise(Figure::Subjects, atom, 0) }
    }

    fn noise(&self, figure: Figure, atom: usize, scale: u8) -> Noise {
        match deviation(self.stage, figure, atom) {
            None => Noise::None,
            Some(Some(units)) => Noise::Deviation(units / 10_f64.powi(i32::from(scale))),
            Some(None) => Noise::ByGroup,
        }
    }
}

/// Half a step of rounding; a number that is rounded to its own last place is not moved.
fn half(step: i128, scale: u8) -> f64 {
    if step <= 1 { 0.0 } else { to_f64(step, scale) / 2.0 }
}

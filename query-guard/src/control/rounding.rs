//! Rounding: a released number is known only to the base that counts are rounded to, or to 1 % of a declared range.
//! Deterministic, to the nearest multiple, so that the same cell asked for twice is the same number.

use obscura_policies::fixed::Fixed;

use crate::control::Control;
use crate::control::Figure;
use crate::control::number::Number;
use crate::control::number::round_half_up;
use crate::plan::StageAtom;
use crate::plan::StageControls;

/// It follows all others and takes no cell, so that it never decides what is withheld. An aggregate rounds the number that it
/// makes of cells, by [`Rounding`]: a mean is rounded otherwise than a sum (`sandbox/docs/disclosure-model.md`, section 5.4).
pub(super) const ROUNDING: Control = Control { name: "rounded", holds_for, on_cell: None };

/// Counts, where the policy has a base; sums and means whatever the policy says, by declared ranges and significant
/// digits.
///
/// The presence of a group is no number. All else leaves rounded, since the difference of two exact figures that differ
/// in one person is that person's value (`sandbox/docs/disclosure-model.md`, sections 5.4 and 6).
fn holds_for(figure: Figure, stage: &StageControls) -> bool {
    match figure {
        // Numbers with the noise of differential privacy need none.
        _ if stage.privacy.is_some() => false,
        Figure::Presence => false,
        Figure::Subjects | Figure::Rows => stage.rounding.is_some(),
        Figure::Quantity => true,
    }
}

/// The rounding of the numbers of one stage.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rounding {
    /// Base that counts are rounded to; without one they leave as they are.
    pub(crate) base: Option<u32>,
}

impl Rounding {
    /// A count, or a sum of what an atom adds up.
    ///
    /// A sum of small whole numbers, of few values, or of one value many times is as telling as a count: of indicators it
    /// is the exact count beside the rounded one. So it is rounded to as many of them as counts are
    /// (`sandbox/docs/disclosure-model.md`, sections 5.4 and 5.6).
    pub(crate) fn atom(self, spec: &StageAtom, value: i128) -> Number {
        let rounded = self.step(spec).map_or(value, |step| round_half_up(value, step));
        if spec.counts { Number::Whole(rounded) } else { Number::Scaled(rounded, spec.scale) }
    }

    /// The step that a count or sum of what an atom adds up is rounded to, in the atom's units; nothing where it leaves as it is.
    pub(crate) fn step(self, spec: &StageAtom) -> Option<i128> {
        if spec.counts {
            return self.base.map(i128::from);
        }
        // A sum of small whole numbers, of few values, or of one value many times, is as telling as a count.
        let one = spec.few.or(spec.same).or((spec.scale == 0).then_some(Fixed::ONE));
        let least = one.and_then(|one| self.least_sum(spec, one));
        rounding_units(spec).max(least)
    }

    /// The base of a sum in which one row's part may be `one`: as many of them as counts are rounded to.
    ///
    /// `SUM(n) ... GROUP BY n` is a count times n, and the quotient would tell the exact count
    /// (`sandbox/docs/disclosure-model.md`, section 5.6).
    pub(crate) fn least_sum(self, spec: &StageAtom, one: Fixed) -> Option<i128> {
        let grain = Fixed::from_scaled(1, spec.scale).unwrap_or(Fixed::from_micros(1));
        let units = one.ceil_to(grain)?.to_scaled(spec.scale)?;
        units.checked_mul(i128::from(self.base?)).filter(|base| *base > 1)
    }

    /// A number of rows or subjects to the nearest multiple of the base.
    ///
    /// An exact count tells one more person from one less: the tracker asks for two counts whose difference is the victim
    /// (`sandbox/docs/disclosure-model.md`, section 5.4; Denning and others 1979).
    pub(crate) fn count(self, value: i128) -> i128 {
        self.base.map_or(value, |base| round_half_up(value, i128::from(base)))
    }
}

/// Largest power of ten not above 1 % of the declared range, in the atom's units; `None` when it is below one unit.
///
/// The range bounds what one subject's row adds, so that the difference of two sums tells a person's value to 1 % of it
/// at best (`sandbox/docs/disclosure-model.md`, section 5.4).
pub(super) fn rounding_units(spec: &StageAtom) -> Option<i128> {
    let one_percent =
        spec.width.micros().checked_mul(10_i128.checked_pow(u32::from(spec.scale))?)? / 100_000_000;
    let mut base = 1_i128;
    while base.checked_mul(10)? <= one_percent {
        base *= 10;
    }
    (one_percent >= 1).then_some(base)
}

//! Differential privacy of a stage: what is measured with noise, how far one subject can move it, and the noise that a price buys
//! (`sandbox/docs/disclosure-model.md`, section 5.9). It draws nothing; [`PrivacySource`] does.
//!
//! Two tables are neighbours if they differ in the rows of one subject, in whatever way: none before, none after, or others.
//! Bounds come from the policy alone, and never from the data or what a manifest proves of them.

use std::fmt::Debug;

use obscura_policies::privacy::NANO;
use obscura_policies::privacy::PrivacyBudget;
use obscura_policies::vocabulary::DatasetId;

/// Bytes of the key by which the groups are chosen in which a subject counts.
pub const KEY_BYTES: usize = 32;

/// The least number of subjects, with its noise, at which a group is shown, whatever the policy says.
const SUBJECTS_LEAST: u64 = 20;

/// Parts of one in which a [`Deviation`] is kept.
const PARTS: f64 = 16.0;

/// Beyond this many parts a deviation is not kept: no sum of declared ranges comes near it.
const PARTS_MAX: f64 = 1e36;

/// A share by which deviations are rounded up before all else, so that no rounding of floating point makes them smaller.
const MARGIN: f64 = 1e-9;

/// Randomness for answers by differential privacy: drawn anew for every execution, and known to nobody.
///
/// Noise that could be asked for again would average out or be subtracted, and noise that was predictable would be none.
pub trait PrivacySource: Debug + Send + Sync {
    /// So many independent draws of the discrete Gaussian distribution with mean zero and this deviation (C. Canonne, G. Kamath
    /// and T. Steinke, "The Discrete Gaussian for Differential Privacy", NeurIPS 2020); nothing where there is no randomness.
    ///
    /// Draws beyond 128 bits may be returned as the nearest number: that is done without looking at data.
    #[must_use]
    fn draw(&self, deviation: Deviation, count: usize) -> Option<Vec<i128>>;

    /// A key that is as good as fresh random bytes; nothing where there is no randomness.
    #[must_use]
    fn key(&self) -> Option<[u8; KEY_BYTES]>;
}

/// The deviation of noise, in sixteenths of a unit: a whole number of them, so that the noise is the same on every machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deviation(u128);

impl Deviation {
    /// A deviation of so many sixteenths of a unit.
    #[must_use]
    pub fn of_sixteenths(sixteenths: u128) -> Self {
        Self(sixteenths)
    }

    /// The deviation in sixteenths of a unit.
    #[must_use]
    pub fn sixteenths(self) -> u128 {
        self.0
    }

    /// The deviation.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "for stated errors, which have three digits")]
    pub fn value(self) -> f64 {
        self.0 as f64 / PARTS
    }

    /// The least deviation that gives rho-zCDP, of whole numbers that one subject moves by at most `moved` in Euclidean length:
    /// rho is moved^2 / (2 deviation^2) (Canonne, Kamath and Steinke 2020). Nothing where it is not kept.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "bounded first, and not negative"
    )]
    #[expect(clippy::cast_precision_loss, reason = "budgets lie far below 2^53 units")]
    pub(crate) fn of(moved: f64, nano_rho: u64) -> Option<Self> {
        let exact = moved * (NANO / (2.0 * nano_rho as f64)).sqrt();
        let parts = (exact * (1.0 + MARGIN) * PARTS).ceil();
        (parts.is_finite() && (0.0..=PARTS_MAX).contains(&parts)).then_some(Self(parts as u128))
    }
}

/// The kinds of numbers that are measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The subjects that contribute to an atom.
    Subjects,
    /// The rows that an atom counts.
    Rows,
    /// A sum of what an atom adds up.
    Sum,
}

/// A number of every group that is measured with noise.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Measured {
    /// Its kind.
    pub(crate) kind: Kind,
    /// Index into the stage's atoms.
    pub(crate) atom: usize,
    /// The atom that counts the rows of a sum: a subject's rows beyond the bound count as so many of its mean.
    pub(crate) rows: Option<usize>,
    /// Most that one row takes away, in the atom's units: zero or less.
    pub(crate) low: i128,
    /// Most that one row adds, in the atom's units: zero or more.
    pub(crate) high: i128,
    /// The noise; set by `pricing`.
    pub(crate) deviation: Deviation,
}

/// The differential privacy of one stage.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct StagePrivacy {
    /// The one dataset whose rows it reads.
    pub(crate) dataset: DatasetId,
    /// The dataset's budget.
    pub(crate) budget: PrivacyBudget,
    /// Most rows of one subject that count in one group.
    pub(crate) rows_max: u32,
    /// Most groups in which one subject counts; nothing where all rows are one group.
    pub(crate) groups_max: Option<u32>,
    /// The numbers with noise: first the subjects of the group.
    pub(crate) measured: Vec<Measured>,
    /// The least number of subjects, with its noise, at which a group is shown; set by `pricing`.
    pub(crate) subjects_least: u64,
}

impl Measured {
    /// A number whose noise is not known yet.
    pub(crate) fn unpriced(kind: Kind, atom: usize, rows: Option<usize>, (low, high): (i128, i128)) -> Self {
        Measured { kind, atom, rows, low: low.min(0), high: high.max(0), deviation: Deviation(u128::MAX) }
    }

    /// The bounds of what one subject contributes to one group: a subject counts once, and so many of its rows.
    pub(crate) fn bounds(&self, rows_max: u32) -> (i128, i128) {
        if self.kind == Kind::Subjects {
            return (0, 1);
        }
        let rows = i128::from(rows_max);
        (self.low.saturating_mul(rows), self.high.saturating_mul(rows))
    }
}

impl StagePrivacy {
    /// Most that the numbers of all groups move when the rows of one subject change, as Euclidean length.
    ///
    /// Within one group a contribution goes from one bound to the other at the most. Where there are several groups, a subject
    /// that counted in some may count in others instead: then each contribution is lost and as large a one comes elsewhere.
    pub(crate) fn moved(&self, measured: &Measured) -> f64 {
        let (low, high) = measured.bounds(self.rows_max);
        let (low, high) = (to_f64(low), to_f64(high));
        let within = high - low;
        match self.groups_max {
            None => within,
            Some(groups) => {
                let elsewhere = low.abs().max(high.abs()) * 2.0_f64.sqrt();
                within.max(elsewhere) * f64::from(groups).sqrt()
            }
        }
    }

    /// The place of a number among those that are measured; nothing for one that is not.
    ///
    /// Where one row of a subject counts, the rows of an atom are its subjects, and are measured once.
    pub(crate) fn place(&self, kind: Kind, atom: usize) -> Option<usize> {
        let counts_subjects = |kind| kind == Kind::Subjects || (kind == Kind::Rows && self.rows_max == 1);
        self.measured
            .iter()
            .position(|one| one.atom == atom && counts_subjects(one.kind) == counts_subjects(kind))
    }

    /// The deviation of a number's noise, in the atom's units.
    pub(crate) fn deviation(&self, kind: Kind, atom: usize) -> Option<f64> {
        Some(self.measured.get(self.place(kind, atom)?)?.deviation.value())
    }

    /// The least number of subjects, with noise, at which a group is shown.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "not negative, and casts saturate"
    )]
    pub(crate) fn least(&self, delta: f64, of_policy: impl Iterator<Item = u32>) -> u64 {
        let of_policy = of_policy.map(u64::from).max().unwrap_or(0).max(SUBJECTS_LEAST);
        let (Some(groups), Some(subjects)) = (self.groups_max, self.measured.first()) else {
            return of_policy;
        };
        let tail = (2.0 * (f64::from(groups.max(1)) / delta).ln()).max(0.0).sqrt();
        let above_one = (subjects.deviation.value() * tail * (1.0 + MARGIN)).ceil();
        of_policy.max((above_one as u64).saturating_add(1))
    }
}

#[expect(clippy::cast_precision_loss, reason = "a margin makes up for it")]
fn to_f64(value: i128) -> f64 {
    value as f64
}

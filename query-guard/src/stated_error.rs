//! The error of each released column, as far as plan and policy tell it: an analyst who publishes a number must be able to say how
//! far it may be off. Nothing here reads data: an error computed from data would be exact data.

/// Deviations within which 95 of 100 numbers of a normal distribution lie.
const DEVIATIONS_OF_95: f64 = 1.96;

/// The stated error of a column of released numbers. Contributions beyond the declared range count as its end besides.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum StatedError {
    /// Of a count or a sum.
    Number(Inaccuracy),
    /// Of a mean: that of its sum, and that of the number of rows which it is divided by.
    Mean {
        /// Significant digits to which each part of the mean is rounded.
        significant_digits: u8,
        /// The sum.
        sum: Inaccuracy,
        /// The number of rows.
        count: Inaccuracy,
    },
    /// Of a variance, a correlation or the like: those of the numbers that it is computed from.
    Moment {
        /// Significant digits to which it is rounded.
        significant_digits: u8,
        /// The number of rows.
        count: Inaccuracy,
        /// The sums, the largest inaccuracy of them.
        sums: Inaccuracy,
    },
    /// Of a quantile: it is the middle of a step, which is read off numbers of rows.
    Quantile {
        /// Half the width of a step.
        half_step: f64,
        /// The numbers of rows, the largest inaccuracy of them.
        count: Inaccuracy,
    },
}

impl StatedError {
    /// The larger of each, of two columns of one kind.
    pub(crate) fn widest(self, other: Self) -> Option<Self> {
        Some(match (self, other) {
            (Self::Number(one), Self::Number(other)) => Self::Number(one.widest(other)),
            (Self::Mean { significant_digits, sum, count }, Self::Mean { sum: more, count: others, .. }) => {
                Self::Mean { significant_digits, sum: sum.widest(more), count: count.widest(others) }
            }
            (
                Self::Moment { significant_digits, count, sums },
                Self::Moment { count: others, sums: more, .. },
            ) => Self::Moment { significant_digits, count: count.widest(others), sums: sums.widest(more) },
            (Self::Quantile { half_step, count }, Self::Quantile { count: others, .. }) => {
                Self::Quantile { half_step, count: count.widest(others) }
            }
            (
                Self::Number(_) | Self::Mean { .. } | Self::Moment { .. } | Self::Quantile { .. },
                Self::Number(_) | Self::Mean { .. } | Self::Moment { .. } | Self::Quantile { .. },
            ) => return None,
        })
    }
}

/// The distance that a number may have from the exact one, in its own units.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Inaccuracy {
    /// Most that rounding moves it.
    pub rounding: f64,
    /// Standard deviation of its noise: the largest of all groups that there may be.
    pub noise: Noise,
}

/// The standard deviation of a number's noise.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Noise {
    /// The policy asks for none.
    #[default]
    None,
    /// At most this, in the number's units.
    Deviation(f64),
    /// It differs from group to group, of which there are too many to look at.
    ByGroup,
}

impl Inaccuracy {
    /// The distance within which 95 of 100 numbers lie, or all where there is no noise; nothing where it differs from group to group.
    #[must_use]
    pub fn within(self) -> Option<f64> {
        match self.noise {
            Noise::None => Some(self.rounding),
            Noise::Deviation(deviation) => Some(self.rounding + DEVIATIONS_OF_95 * deviation),
            Noise::ByGroup => None,
        }
    }

    /// The inaccuracy of a sum of two numbers.
    ///
    /// Their noise may be of the same names, and then deviations add up rather than variances.
    pub(crate) fn plus(self, other: Self) -> Self {
        let noise = match (self.noise, other.noise) {
            (Noise::ByGroup, _) | (_, Noise::ByGroup) => Noise::ByGroup,
            (Noise::None, noise) | (noise, Noise::None) => noise,
            (Noise::Deviation(left), Noise::Deviation(right)) => Noise::Deviation(left + right),
        };
        Inaccuracy { rounding: self.rounding + other.rounding, noise }
    }

    /// The inaccuracy of a multiple of the number.
    pub(crate) fn times(self, factor: f64) -> Self {
        let noise = match self.noise {
            Noise::Deviation(deviation) => Noise::Deviation(deviation * factor.abs()),
            other => other,
        };
        Inaccuracy { rounding: self.rounding * factor.abs(), noise }
    }

    /// The larger of each.
    pub(crate) fn widest(self, other: Self) -> Self {
        let noise = match (self.noise, other.noise) {
            (Noise::ByGroup, _) | (_, Noise::ByGroup) => Noise::ByGroup,
            (Noise::None, noise) | (noise, Noise::None) => noise,
            (Noise::Deviation(left), Noise::Deviation(right)) => Noise::Deviation(left.max(right)),
        };
        Inaccuracy { rounding: self.rounding.max(other.rounding), noise }
    }

    /// The same without its rounding, where a number is made of what was not rounded yet.
    pub(crate) fn unrounded(self) -> Self {
        Inaccuracy { rounding: 0.0, ..self }
    }
}

#[cfg(test)]
mod tests;

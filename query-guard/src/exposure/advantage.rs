//! The advantage of the best test between two values of a bit, and the information that the noise of one name lets through.

use std::f64::consts::PI;
use std::f64::consts::SQRT_2;

use crate::noise::OF_VERSION_VARIANCE;

/// Beyond this argument the error function is one to the last bit.
const ERF_ENDS: f64 = 6.0;
/// Terms of the series: at its end, where they fall the slowest, two hundred reach the last bit.
const ERF_TERMS: u32 = 200;

/// The error function, by the series of positive terms of Abramowitz and Stegun (1964), 7.1.6.
fn erf(x: f64) -> f64 {
    if x.abs() >= ERF_ENDS {
        return x.signum();
    }
    let (mut term, mut sum) = (x, x);
    for n in 1..=ERF_TERMS {
        term *= 2.0 * x * x / f64::from(2 * n + 1);
        sum += term;
    }
    sum * 2.0 / PI.sqrt() * (-x * x).exp()
}

/// The advantage of the best test between two normal distributions of one variance, whose means lie `separation` deviations
/// apart: erf(separation / (2 sqrt 2)).
///
/// The likelihood ratio of the two rises with the value, so that the best test compares it with the midpoint (Neyman and
/// Pearson 1933); it is right with probability Phi(separation / 2) under either, and the advantage is 2 Phi(separation / 2) - 1.
/// An estimate of the bit of deviation s has separation 1 / s.
#[must_use]
pub fn advantage(separation: f64) -> f64 {
    erf(separation / (2.0 * SQRT_2))
}

/// The versions that an attacker may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Versions {
    /// The data never changes: a name has the draw that stays for ever, and no other.
    Once,
    /// Versions are replaced: a name has a draw of its own for each, with twice the deviation, beside the one that stays.
    Updated {
        /// Versions that analysts see; zero counts as one.
        epochs: u32,
    },
}

impl Versions {
    /// Information on a count that is the same in all versions, from the answers of one name, in units of 1 / deviation^2.
    ///
    /// The mean of E answers has the variance deviation^2 (1 + 4 / E): averaging takes away the draws of versions, and never the
    /// one that stays.
    pub(super) fn of_who_stays(self) -> f64 {
        match self {
            Versions::Once => 1.0,
            Versions::Updated { epochs } => 1.0 / mean_of(epochs.max(1)),
        }
    }

    /// Information on a bit that is counted from some version on and not before, everybody else known, in units of
    /// 1 / deviation^2, for the arrival that is the worst of all.
    ///
    /// Means before and after share the draw that stays, so that the first takes a part of it away from the second: the
    /// information is the last entry of the inverse of their covariance [[b, 1], [1, a]], which is b / (ab - 1).
    pub(super) fn of_who_arrives(self) -> f64 {
        let Versions::Updated { epochs } = self else { return 1.0 };
        let epochs = epochs.max(1);
        let arrivals = (1..epochs).map(|before| {
            let (before, after) = (mean_of(before), mean_of(epochs - before));
            before / (before * after - 1.0)
        });
        arrivals.fold(self.of_who_stays(), f64::max)
    }
}

/// Variance of the mean of the answers of one name over so many versions, in units of deviation^2.
fn mean_of(epochs: u32) -> f64 {
    1.0 + f64::from(OF_VERSION_VARIANCE) / f64::from(epochs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_function_is_that_of_the_tables() {
        // Abramowitz and Stegun (1964), table 7.1 and 7.2.
        let known = [
            (0.0, 0.0),
            (0.02, 0.022_564_574_7),
            (0.5, 0.520_499_877_8),
            (1.0, 0.842_700_792_9),
            (2.0, 0.995_322_265_0),
            (3.0, 0.999_977_909_5),
            (7.0, 1.0),
        ];
        for (x, value) in known {
            assert!((erf(x) - value).abs() < 1e-9, "erf({x}) = {}", erf(x));
            assert!((erf(-x) + value).abs() < 1e-9);
        }
        assert!((erf(5.9) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn updates_tell_as_much_as_the_design_simulated() {
        // Sixteen names, deviations 8 and 16, 24 versions: 0.17 for those who stay, 0.26 for one who arrives.
        let versions = Versions::Updated { epochs: 24 };
        let of = |information: f64| advantage((16.0 * information).sqrt() / 8.0);
        assert!((of(versions.of_who_stays()) - 0.17).abs() < 0.02, "{}", of(versions.of_who_stays()));
        assert!((of(versions.of_who_arrives()) - 0.26).abs() < 0.02, "{}", of(versions.of_who_arrives()));
    }

    #[test]
    fn versions_bring_never_more_than_the_draw_that_stays_for_those_who_stay() {
        let (mut stays, mut arrives) = (0.0, 0.0);
        for epochs in 1..100 {
            let versions = Versions::Updated { epochs };
            let (staying, arriving) = (versions.of_who_stays(), versions.of_who_arrives());
            assert!(staying > stays && staying < 1.0);
            assert!(arriving >= arrives && arriving >= staying);
            (stays, arrives) = (staying, arriving);
        }
        assert!((Versions::Updated { epochs: 1 }.of_who_arrives() - 0.2).abs() < 1e-12);
        assert!((Versions::Updated { epochs: 0 }.of_who_stays() - 0.2).abs() < 1e-12);
    }
}

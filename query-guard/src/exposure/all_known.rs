//! The attacker who knows everybody else: noise alone protects the bit.

use super::ExposureFault;
use super::Opened;
use super::advantage;

/// The advantage of an attacker who knows everybody else.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AllKnown {
    /// Named cells, with the measure, that can contain one subject and hold the bit; D in the formula.
    pub names: u64,
    /// Advantage on somebody who is in every version.
    pub stays: f64,
    /// Advantage on somebody who comes, or whose bit changes, at the worst of all versions; the same as `stays` where data is
    /// published once.
    pub arrives: f64,
}

/// The advantage on one secret bit of an attacker who asks everything that is opened and knows all other subjects:
/// erf(sqrt(D / v) / (2 sqrt 2)), with D names and the variance v of what the answers of one name tell over all versions.
///
/// Each name shifts by one with the bit, and its noise is independent of the others': the sum of all answers, signed, is the
/// sufficient statistic, of separation sqrt(D / v). D is the number of tables (over the opened combinations of columns the product
/// of their levels), times two for every level of the secret column, times (1 + measures). Published once, v is deviation^2; over
/// E versions it is deviation^2 (1 + 4 / E) for those who stay. Versions are no further names, since the draw that stays is one in
/// all of them.
///
/// # Errors
/// [`ExposureFault`] when cubes name other columns than known ones, list too many tables, no column is secret, or the deviation is
/// zero.
pub fn all_known(opened: &Opened, deviation: u32) -> Result<AllKnown, ExposureFault> {
    if deviation == 0 {
        return Err(ExposureFault::NoNoise);
    }
    let names = opened.tables_count()?.saturating_mul(u64::from(opened.observations()));
    let count = f64::from(u32::try_from(names).unwrap_or(u32::MAX));
    let of = |information: f64| advantage((count * information).sqrt() / f64::from(deviation));
    let (stays, arrives) = (opened.versions.of_who_stays(), opened.versions.of_who_arrives());
    Ok(AllKnown { names, stays: of(stays), arrives: of(arrives) })
}

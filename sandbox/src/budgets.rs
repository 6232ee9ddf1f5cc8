//! Budgets of differential privacy: what the charges to a family of datasets leave of its totals.
//! It is arithmetic over charges that its caller has held against the audit log: it reads no log, no database and no clock.
//!
//! A charge is a whole number, the rho of zero-concentrated differential privacy in units of 1e-9 (`obscura_policies::privacy`),
//! so that sums are exact. Two totals bind every charge: that of the family, for all persons and for ever, and the share of one
//! person in a period. A charge is never taken back, and it counts in a period by its time alone, so that a clock that goes
//! back frees nothing.

use std::collections::BTreeSet;

use jiff::SignedDuration;
use jiff::Timestamp;

#[cfg(test)]
mod tests;

/// Hours of a day of a period: a period is a span of time and needs no calendar.
const DAY_HOURS: i64 = 24;

/// One charge, as the log tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charged {
    /// The dataset.
    pub dataset: String,
    /// Keyed fingerprints of the inputs that the sealed version held: by them a copy under another name is recognised.
    pub inputs: BTreeSet<String>,
    /// The person who asked.
    pub person: String,
    /// When.
    pub at: Timestamp,
    /// The price, in units of 1e-9 of rho.
    pub nano_rho: u64,
}

/// The totals that bind a charge, in units of 1e-9 of rho.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Totals {
    /// Of the family, for all persons and for ever.
    pub lifetime: u64,
    /// Of one person, in a period.
    pub share: u64,
    /// Length of the period, in days. With none, the share is for ever.
    pub period_days: u32,
}

/// A total that has no room for a charge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spent {
    /// That of the family; no date gives anything back.
    Lifetime {
        /// The rest of it, in units of 1e-9 of rho.
        left: u64,
    },
    /// The share of the person.
    Share {
        /// The rest of it, in units of 1e-9 of rho.
        left: u64,
        /// When there is room for the charge; never if it is more than the whole share.
        resets: Option<Timestamp>,
    },
}

/// The charges to one family of datasets: to the dataset under whatever version, and to all that held rows of the same inputs
/// under another name.
///
/// The family is that of the charges themselves. A dataset whose documents, versions or whole catalogue entry are gone still
/// has the charges of its name, and a copy has those of the inputs that it shares, also through others.
#[derive(Debug)]
pub struct Family<'a> {
    charges: Vec<&'a Charged>,
}

impl<'a> Family<'a> {
    /// Finds the family of a dataset that holds these inputs now.
    #[must_use]
    pub fn of(all: &'a [Charged], dataset: &str, inputs: &BTreeSet<String>) -> Self {
        let mut names = BTreeSet::from([dataset]);
        let mut shared: BTreeSet<&str> = inputs.iter().map(String::as_str).collect();
        let mut charges = Vec::new();
        let mut rest: Vec<&Charged> = all.iter().collect();
        loop {
            let is_kin = |charge: &&Charged| {
                names.contains(charge.dataset.as_str())
                    || charge.inputs.iter().any(|input| shared.contains(input.as_str()))
            };
            let (found, others): (Vec<&Charged>, Vec<&Charged>) = rest.into_iter().partition(is_kin);
            if found.is_empty() {
                return Self { charges };
            }
            for charge in &found {
                names.insert(&charge.dataset);
                shared.extend(charge.inputs.iter().map(String::as_str));
            }
            charges.extend(found);
            rest = others;
        }
    }

    /// The sum of all charges.
    #[must_use]
    pub fn spent(&self) -> u64 {
        sum(self.charges.iter().copied())
    }

    /// The sum of a person's charges in the period that ends now.
    #[must_use]
    pub fn spent_by(&self, person: &str, period_days: u32, now: Timestamp) -> u64 {
        sum(self.counted(person, period_days, now))
    }

    /// When the next charge of a person falls out of the period; nothing when none of them ever does.
    #[must_use]
    pub fn next_reset(&self, person: &str, period_days: u32, now: Timestamp) -> Option<Timestamp> {
        self.counted(person, period_days, now).filter_map(|charge| leaves(charge.at, period_days)).min()
    }

    /// Holds a price against what is left of both totals.
    ///
    /// INVARIANT(budget-is-never-exceeded): a charge is made only after this has found room, and under a right that no other
    /// charge is made under at the same time (`installation/charges.rs`). Then the charges of a person in any span as long as
    /// the period come to no more than the share: the last of them was held against all others of that span.
    ///
    /// # Errors
    /// The total that has no room, that of the family first.
    pub fn check(&self, person: &str, price: u64, totals: Totals, now: Timestamp) -> Result<(), Spent> {
        let left = totals.lifetime.saturating_sub(self.spent());
        if price > left {
            return Err(Spent::Lifetime { left });
        }
        let left = totals.share.saturating_sub(self.spent_by(person, totals.period_days, now));
        if price > left {
            return Err(Spent::Share { left, resets: self.room_for(person, price, totals, now) });
        }
        Ok(())
    }

    /// When enough of the person's charges have fallen out of the period.
    fn room_for(&self, person: &str, price: u64, totals: Totals, now: Timestamp) -> Option<Timestamp> {
        let mut counted: Vec<&Charged> = self.counted(person, totals.period_days, now).collect();
        counted.sort_by_key(|charge| charge.at);
        let mut spent = sum(counted.iter().copied());
        for charge in counted {
            spent = spent.saturating_sub(charge.nano_rho);
            if spent.saturating_add(price) <= totals.share {
                return leaves(charge.at, totals.period_days);
            }
        }
        None
    }

    /// The charges of a person that count in the period that ends now. One of the future counts too: the clock went back.
    fn counted<'b>(
        &'b self,
        person: &'b str,
        period_days: u32,
        now: Timestamp,
    ) -> impl Iterator<Item = &'a Charged> + 'b {
        let is_counted =
            move |charge: &Charged| leaves(charge.at, period_days).is_none_or(|leaves| now < leaves);
        self.charges.iter().copied().filter(move |charge| charge.person == person && is_counted(charge))
    }
}

/// When a charge falls out of the period; nothing when it never does: with a period of no days, or one beyond all time.
fn leaves(at: Timestamp, period_days: u32) -> Option<Timestamp> {
    if period_days == 0 {
        return None;
    }
    at.checked_add(SignedDuration::from_hours(i64::from(period_days).saturating_mul(DAY_HOURS))).ok()
}

/// A sum that is too large for its type is larger than every total.
fn sum<'a>(charges: impl Iterator<Item = &'a Charged>) -> u64 {
    charges.fold(0, |sum, charge| sum.saturating_add(charge.nano_rho))
}

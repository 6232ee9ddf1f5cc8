//! Subjects of one group that may come back, with what they contributed so far.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::hash::Hasher;

/// Subject tokens are uniform already (HMAC output), so they are their own hash.
#[derive(Default)]
struct TokenHasher(u64);

impl Hasher for TokenHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_i64(&mut self, value: i64) {
        self.0 = u64::from_ne_bytes(value.to_ne_bytes());
    }
}

/// Subjects of one group that may come back, with their contributions so far.
#[derive(Default)]
pub(super) struct Unsealed {
    places: HashMap<i64, usize, BuildHasherDefault<TokenHasher>>,
    /// One run per place, one after the other.
    runs: Vec<i128>,
}

impl Unsealed {
    /// Adds a run; true when its subject is new.
    ///
    /// Runs of one subject add up to one contribution, so that it counts once towards the threshold and with all of its
    /// rows towards dominance (`sandbox/docs/disclosure-model.md`, sections 5.2 and 5.3).
    pub(super) fn add(&mut self, subject: i64, run: &[i128]) -> bool {
        let new = self.places.len();
        let place = *self.places.entry(subject).or_insert(new);
        if place == new {
            self.runs.extend_from_slice(run);
            return true;
        }
        let start = place.saturating_mul(run.len());
        for (sum, value) in self.runs.iter_mut().skip(start).zip(run) {
            *sum = sum.saturating_add(*value);
        }
        false
    }

    /// The number of subjects.
    pub(super) fn subjects(&self) -> usize {
        self.places.len()
    }

    /// Every subject with its run.
    pub(super) fn iter(&self, width: usize) -> impl Iterator<Item = (i64, &[i128])> {
        self.places.iter().map(move |(subject, place)| {
            let start = place.saturating_mul(width);
            (*subject, self.runs.get(start..start.saturating_add(width)).unwrap_or_default())
        })
    }
}

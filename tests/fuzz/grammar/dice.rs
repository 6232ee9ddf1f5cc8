//! Choices by a seed, and fresh names. The same seed makes the same choices.

use obscura_tests::guarded::questions::Seeded;

/// Makes the choices of one question.
pub(crate) struct Dice {
    seeded: Seeded,
    names: usize,
}

impl Dice {
    /// The choices of one question of a run.
    pub(crate) fn of(seed: u64, question: u64) -> Self {
        // Neighbouring seeds of the generator begin alike, so that they are spread first (Steele and others 2014).
        let mut mixed = seed.wrapping_add((question + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Self { seeded: Seeded(mixed ^ (mixed >> 31)), names: 0 }
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.seeded.below(bound)
    }

    /// True so many times in a hundred.
    pub(crate) fn percent(&mut self, share: usize) -> bool {
        self.below(100) < share
    }

    pub(crate) fn one_of<'a, T: ?Sized>(&mut self, all: &[&'a T]) -> &'a T {
        all[self.below(all.len())]
    }

    pub(crate) fn pick<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }

    /// One of several, each as often as its weight says.
    pub(crate) fn weighted<T: Copy>(&mut self, all: &[(usize, T)]) -> T {
        let mut left = self.below(all.iter().map(|(weight, _)| weight).sum());
        for (weight, one) in all {
            if left < *weight {
                return *one;
            }
            left -= weight;
        }
        all[0].1
    }

    /// A name that this question has not used.
    pub(crate) fn name(&mut self, first: &str) -> String {
        self.names += 1;
        format!("{first}{}", self.names)
    }
}

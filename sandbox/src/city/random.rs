//! Seeded numbers for the demo city: the same key gives the same numbers on every machine.
//! Not for secrets: an attacker can compute these.

/// Names the independent sequences drawn for one subject, so that a new column never moves an old one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    Birth = 1,
    Origin,
    Offset,
    Home,
    Names,
    Vehicle,
    Illness,
    Visit,
    Stay,
    Claim,
    Passage,
    Fine,
    Parking,
    Scenic,
    Hotel,
    Work,
    Festival,
    Allowance,
    School,
    Rental,
    Firm,
    Subsidy,
    Tax,
}

/// A SplitMix64 sequence keyed by seed, stream and subject.
#[derive(Debug, Clone)]
pub(super) struct Draws {
    state: u64,
}

const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// The finaliser of SplitMix64: a bijection of 64 bits without visible pattern.
fn mix(mut value: u64) -> u64 {
    value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

impl Draws {
    pub(super) fn new(seed: u64, stream: Stream, subject: u64) -> Self {
        let stream = mix(seed.wrapping_add((stream as u64).wrapping_mul(GOLDEN)));
        Self { state: mix(stream ^ subject.wrapping_mul(GOLDEN)) }
    }

    /// The sequence of the `nth` event of one subject.
    pub(super) fn event(seed: u64, stream: Stream, subject: u32, nth: u32) -> Self {
        Self::new(seed, stream, (u64::from(nth) + 1) << 32 | u64::from(subject))
    }

    pub(super) fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GOLDEN);
        mix(self.state)
    }

    /// A number in `0..end`; 0 when `end` is 0.
    pub(super) fn below(&mut self, end: u32) -> u32 {
        (((self.bits() >> 32) * u64::from(end)) >> 32) as u32
    }

    /// A number in `first..=last`.
    pub(super) fn between(&mut self, first: u32, last: u32) -> u32 {
        first + self.below(last.saturating_sub(first) + 1)
    }

    /// True in `share` of a thousand draws.
    pub(super) fn permille(&mut self, share: u32) -> bool {
        self.below(1000) < share
    }

    /// A long-tailed amount: most draws near `base`, few up to 128 times as much.
    pub(super) fn heavy(&mut self, base: u32) -> u64 {
        let doublings = self.bits().trailing_zeros().min(6);
        let scale = u64::from(self.between(512, 1023));
        (u64::from(base) * scale / 512) << doublings
    }

    /// One of `items`.
    pub(super) fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        let end = u32::try_from(items.len()).unwrap_or(u32::MAX);
        items.get(self.below(end) as usize)
    }

    /// One of `items`, the empty text of none.
    pub(super) fn word(&mut self, items: &[&'static str]) -> &'static str {
        self.pick(items).copied().unwrap_or_default()
    }

    /// One of `items` by weight, the empty text of none.
    pub(super) fn weighted(&mut self, items: &[(u32, &'static str)]) -> &'static str {
        let total = items.iter().map(|(weight, _)| weight).sum();
        let mut left = self.below(total);
        for (weight, item) in items {
            if left < *weight {
                return item;
            }
            left -= weight;
        }
        ""
    }
}

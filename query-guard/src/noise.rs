//! The noise of one name: a binomial draw by a keyed pseudo-random function (`sandbox/docs/disclosure-model.md`, section 5.8).
//!
//! A draw of variance v counts the ones among the first 4v pseudo-random bits of a name and takes 2v away. It is bounded by 2v, its
//! mean is zero and its variance v, all exactly, and it is made of whole numbers alone: no table and no floating point makes it
//! differ from one machine to another. It depends on the family's key and the name and on nothing else, so that a name has one
//! noise for ever. A draw of a larger variance takes the same bits and further ones: two policies at different deviations tell
//! together no more than the lower one alone.

use std::fmt::Debug;

use obscura_policies::vocabulary::DatasetId;

/// Bytes that one draw asks for at a time.
pub const BYTES_AT_ONCE: usize = 32;

/// The block of a part of a unit: no draw has so many bits that it comes to it.
const PART_BLOCK: u32 = u32::MAX;

/// The draw of a version has four times the variance of the one that stays: twice its deviation.
pub const OF_VERSION_VARIANCE: u32 = 4;

/// A keyed pseudo-random function for each dataset family. The keys stay with the implementation: no plan and no name holds
/// a secret.
pub trait NoiseSource: Debug + Send + Sync {
    /// Fills `bytes` with the output for a family, a name and a block number; false where there is no key of the family.
    ///
    /// The output is the same for the same family, name and number. Without a key `bytes` are left as they are.
    #[must_use]
    fn fill(&self, family: &DatasetId, name: &[u8], block: u32, bytes: &mut [u8; BYTES_AT_ONCE]) -> bool;
}

/// The noise of a name of a family, of a variance: bounded by twice the variance, with mean zero.
///
/// Nothing where the source has no key of the family: a value without its noise must not leave.
#[must_use]
pub fn draw(source: &dyn NoiseSource, family: &DatasetId, name: &[u8], variance: u32) -> Option<i64> {
    let bits = u64::from(variance) * 4;
    let mut ones: u64 = 0;
    let mut left = bits;
    let mut block = 0;
    while left > 0 {
        let mut bytes = [0; BYTES_AT_ONCE];
        if !source.fill(family, name, block, &mut bytes) {
            return None;
        }
        for byte in bytes {
            let taken = left.min(8);
            let kept = (0..taken).fold(0_u8, |mask, bit| mask | 1 << bit);
            ones += u64::from((byte & kept).count_ones());
            left -= taken;
        }
        block += 1;
    }
    Some(i64::try_from(ones).unwrap_or(i64::MAX) - i64::from(variance) * 2)
}

/// A part of a unit for a name of a family: the difference of two uniform numbers below the unit, so that its mean is zero, its
/// variance a sixth of the unit's square less one, and its remainder by the unit uniform.
///
/// Nothing where the source has no key of the family.
#[must_use]
pub fn part(source: &dyn NoiseSource, family: &DatasetId, name: &[u8], unit: i128) -> Option<i128> {
    let mut bytes = [0; BYTES_AT_ONCE];
    if !source.fill(family, name, PART_BLOCK, &mut bytes) {
        return None;
    }
    let (first, second) = bytes.split_first_chunk::<16>()?;
    let below =
        |bytes: [u8; 16]| i128::try_from(u128::from_be_bytes(bytes) % unit.unsigned_abs().max(1)).ok();
    Some(below(*first)? - below(second.try_into().ok()?)?)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    /// A source whose output is the name itself, in each block of one family.
    #[derive(Debug)]
    struct Echo;

    impl NoiseSource for Echo {
        fn fill(&self, of: &DatasetId, name: &[u8], _block: u32, bytes: &mut [u8; BYTES_AT_ONCE]) -> bool {
            if *of != family() {
                return false;
            }
            for (byte, known) in bytes.iter_mut().zip(name.iter().cycle()) {
                *byte = *known;
            }
            true
        }
    }

    /// A source whose output is the block's number in each byte, and that has the key of any family.
    #[derive(Debug)]
    struct Numbers;

    impl NoiseSource for Numbers {
        fn fill(&self, _: &DatasetId, _name: &[u8], block: u32, bytes: &mut [u8; BYTES_AT_ONCE]) -> bool {
            *bytes = [u8::try_from(block).unwrap(); BYTES_AT_ONCE];
            true
        }
    }

    fn family() -> DatasetId {
        "hz-health.visits".parse().unwrap()
    }

    fn echoed(name: &[u8], variance: u32) -> i64 {
        draw(&Echo, &family(), name, variance).unwrap()
    }

    #[test]
    fn mean_and_variance_are_exact_over_all_outputs() {
        for variance in 1..=4_u32 {
            let outputs = 1_u32 << (4 * variance);
            let draws = (0..outputs).map(|output| echoed(&output.to_le_bytes(), variance));
            let (sum, squares) = draws.fold((0, 0), |(sum, squares), draw| {
                assert!(draw.abs() <= i64::from(2 * variance), "bounded by twice the variance");
                (sum + draw, squares + draw * draw)
            });
            assert_eq!(sum, 0, "mean, variance {variance}");
            assert_eq!(squares, i64::from(variance) * i64::from(outputs), "variance {variance}");
        }
    }

    #[test]
    fn a_draw_of_many_bits_asks_for_further_blocks() {
        assert_eq!(echoed(&[0xff], 256), 512, "1,024 ones of 1,024 bits, less 512");
        assert_eq!(echoed(&[0x00], 256), -512);
        assert_eq!(echoed(&[0x0f], 128), 0, "half of the bits");
        assert_eq!(echoed(&[0x0f], 129), 2, "four ones of the next block");
        assert_eq!(echoed(&[0xff], 0), 0);
        let numbered = |variance| draw(&Numbers, &family(), b"", variance);
        assert_eq!(numbered(64), Some(-128), "block 0 alone");
        assert_eq!(numbered(128), Some(32 - 256), "block 1 has one bit a byte");
        assert_eq!(numbered(256), Some(4 * 32 - 512), "blocks 2 and 3 have one and two");
    }

    #[test]
    fn without_a_key_of_the_family_there_is_no_draw() {
        let other = "hz-health.wards".parse().unwrap();
        assert_eq!(draw(&Echo, &other, &[0xff], 4), None);
        assert_eq!(draw(&Echo, &family(), &[0xff], 4), Some(8));
    }

    #[test]
    fn the_remainders_of_parts_of_a_unit_are_uniform() {
        let mut remainders = [0; 10];
        for (first, second) in (0..10_u128).flat_map(|first| (0..10_u128).map(move |second| (first, second)))
        {
            let name = [first.to_be_bytes(), second.to_be_bytes()].concat();
            let part = part(&Echo, &family(), &name, 10).unwrap();
            assert!((-9..=9).contains(&part));
            remainders[usize::try_from(part.rem_euclid(10)).unwrap()] += 1;
        }
        assert_eq!(remainders, [10; 10]);
        let other = "hz-health.wards".parse().unwrap();
        assert_eq!(part(&Echo, &other, &[0xff], 10), None);
    }

    #[test]
    fn a_draw_of_a_larger_variance_is_a_smaller_one_and_further_bits() {
        for (name, smaller, larger) in [(b"ab".as_slice(), 4, 9), (&[0xff, 0x00, 0x3c], 16, 64)] {
            let further = (smaller * 4..larger * 4).map(|bit| {
                let byte = name[usize::try_from(bit / 8).unwrap() % name.len()];
                i64::from(byte >> (bit % 8) & 1)
            });
            let ones: i64 = further.sum();
            let rest = ones - 2 * i64::from(larger - smaller);
            assert_eq!(echoed(name, larger), echoed(name, smaller) + rest);
        }
    }
}

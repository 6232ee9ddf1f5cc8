//! Keyed pseudo-random bytes by name and block number, of which the noise of released numbers is drawn.
//!
//! A key gives the same bytes for the same name for ever, on every machine. Drawing noise from them, and saying which names
//! there are, is the business of others.

use crate::secret::opaque_debug;
use crate::tokens::{HmacSha256, SubjectHashKey, digest, keyed};

/// Bytes of one block: a whole HMAC-SHA256.
pub const NOISE_BYTES: usize = 32;

/// Holds the noise key of one dataset family; wiped when dropped, and never printable.
///
/// An attacker who had it could take the noise off every released number. It leaves the crate in no form.
///
/// The key is taken once, when the value is made. A block costs two compressions of SHA-256 for names of up to 51 bytes,
/// and three for names of up to 115 bytes.
pub struct NoiseKey(HmacSha256);

opaque_debug!(NoiseKey);

impl NoiseKey {
    /// Derives the key of a dataset family, as [`SubjectHashKey::data_key`] derives its keys.
    ///
    /// One secret of the keyring serves many families, and a family's name may be longer than a name in the keyring.
    /// A secret that derives noise keys is used for nothing else.
    #[must_use]
    pub fn of(source: &SubjectHashKey, family: &str) -> Self {
        Self(keyed(&source.derived(family)))
    }

    /// Fills `bytes` with a block of a name: the HMAC-SHA256 of the block number, big endian, and the name.
    ///
    /// The number has a fixed length, so that no two pairs of number and name are one input.
    pub fn fill(&self, name: &[u8], block: u32, bytes: &mut [u8; NOISE_BYTES]) {
        *bytes = *digest(&self.0, &[&block.to_be_bytes(), name]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::SecretBytes;

    fn key_of(family: &str) -> NoiseKey {
        let mut key = [0; 32];
        key[..4].copy_from_slice(b"Jefe");
        NoiseKey::of(&SubjectHashKey::new(&SecretBytes::from_slice(&key).unwrap()), family)
    }

    fn block(key: &NoiseKey, name: &[u8], number: u32) -> [u8; NOISE_BYTES] {
        let mut bytes = [0; NOISE_BYTES];
        key.fill(name, number, &mut bytes);
        bytes
    }

    fn hex(bytes: [u8; NOISE_BYTES]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Computed with the module `hmac` of Python 3 from the key `Jefe`: the family's key first, then the blocks.
    #[test]
    fn blocks_are_what_another_implementation_of_hmac_computes() {
        let key = key_of("hz-health.outpatient_visits");
        let counted: Vec<u8> = (0..100).collect();
        for (name, number, expected) in [
            (b"".as_slice(), 0, "0922e48c85ef8175098c9e1bcd244b1947744d7474c7f1e08db146c4f0c06c91"),
            (b"district=1", 0, "e74dc55bbbe139bebe26e6cadd5695ec955f99082629e99afd86913c1320473f"),
            (b"district=1", 1, "41258948dec15e496d880098b567b3eb396551b89278bb3cda76c9b515fdbca3"),
            (
                counted.as_slice(),
                0x0102_0304,
                "69b1132f32c01d5f4dab931b136455ab775a569ad5f33bea72d0e3b72b7ae071",
            ),
        ] {
            assert_eq!(hex(block(&key, name, number)), expected, "{} bytes, block {number}", name.len());
        }
    }

    #[test]
    fn another_family_block_or_name_gives_other_bytes() {
        let key = key_of("hz-health.visits");
        let known = block(&key, b"district=1", 0);
        assert_eq!(block(&key_of("hz-health.visits"), b"district=1", 0), known);
        assert_ne!(block(&key_of("hz-health.visit"), b"district=1", 0), known);
        assert_ne!(block(&key, b"district=1", 1), known);
        assert_ne!(block(&key, b"district=2", 0), known);
        // The last byte of the number is no first byte of the name.
        assert_ne!(block(&key, b"\x01", 0), block(&key, b"", 1));
        assert_ne!(block(&key, b"\x00", 0), block(&key, b"", 0));
    }

    #[test]
    fn a_block_leaves_nothing_of_what_the_buffer_held() {
        let key = key_of("hz-health.visits");
        let mut bytes = [0xff; NOISE_BYTES];
        key.fill(b"district=1", 7, &mut bytes);
        assert_eq!(bytes, block(&key, b"district=1", 7));
    }

    #[test]
    fn a_dropped_key_is_wiped() {
        fn is_wiped<T: zeroize::ZeroizeOnDrop>() {}
        // A key is the states of two digests and a buffer; the type around them has no mark of its own.
        is_wiped::<sha2::Sha256>();
    }

    #[test]
    fn debug_output_is_the_type_name() {
        assert_eq!(format!("{:?}", key_of("hz-health.visits")), "NoiseKey");
    }
}

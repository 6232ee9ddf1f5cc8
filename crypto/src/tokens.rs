//! Keyed tokens, which stand for identifiers once these have been sealed.
//!
//! A token is HMAC-SHA256 under the key of one privacy unit, so that departments' datasets join on it and nobody without
//! the key can table the ten billion possible phone numbers. Canonical spelling of the identifier is the caller's work.

use hmac::{Hmac, KeyInit as _, Mac as _};
use zeroize::{Zeroize, Zeroizing};

use crate::keys::DataKey;
use crate::secret::{SecretBytes, opaque_debug};

/// Block length of SHA-256.
const BLOCK_BYTES: usize = 64;

pub(crate) type HmacSha256 = Hmac<sha2::Sha256>;

/// Turns canonical identifiers of one privacy unit into tokens; the same in every dataset of that unit.
pub struct Tokenizer(HmacSha256);

opaque_debug!(Tokenizer);

impl Tokenizer {
    pub(crate) fn new(secret: &SecretBytes) -> Self {
        Self(keyed(secret))
    }

    /// Gives the first 64 bits (big endian) of the HMAC, the form a sealed unit column is stored in.
    ///
    /// Among n subjects two share a token with a chance of about n^2 / 2^65: below 3 % at a billion subjects.
    #[must_use]
    pub fn token64(&self, canonical: &str) -> i64 {
        first_64_bits(&self.0, canonical.as_bytes()).cast_signed()
    }

    /// Gives the first 128 bits of the HMAC as 32 lower-case hexadecimal digits, the form masks show.
    #[must_use]
    pub fn token_hex(&self, canonical: &str) -> String {
        let digest = digest(&self.0, &[canonical.as_bytes()]);
        digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Gives each subject a secret, uniform number: record keys for cell-key noise and elements of ledger sketches. It also
/// gives keys by name, for small texts that are sealed where no wrapped key has a place and for the noise of datasets.
pub struct SubjectHashKey(HmacSha256);

opaque_debug!(SubjectHashKey);

impl SubjectHashKey {
    pub(crate) fn new(secret: &SecretBytes) -> Self {
        Self(keyed(secret))
    }

    /// Hashes a subject's stored token.
    #[must_use]
    pub fn hash_token(&self, token: i64) -> u64 {
        first_64_bits(&self.0, &token.to_be_bytes())
    }

    /// Hashes any bytes; the caller keeps its inputs prefix-free.
    #[must_use]
    pub fn hash_bytes(&self, bytes: &[u8]) -> u64 {
        first_64_bits(&self.0, bytes)
    }

    /// Derives the data key of a name: the whole HMAC (NIST SP 800-108, counter mode, one block).
    ///
    /// A secret that derives keys is used for nothing else.
    #[must_use]
    pub fn data_key(&self, name: &str) -> DataKey {
        DataKey::from_secret(self.derived(name))
    }

    pub(crate) fn derived(&self, name: &str) -> SecretBytes {
        let input = [&1_u32.to_be_bytes(), name.as_bytes(), &[0], &256_u32.to_be_bytes()];
        secret_of(digest(&self.0, &input).as_slice())
    }
}

/// Computes HMAC-SHA256 of `parts` in order; used inside the crate to derive keys.
pub(crate) fn derive(key: &SecretBytes, parts: &[&[u8]]) -> SecretBytes {
    let mut mac = keyed(key);
    for part in parts {
        mac.update(part);
    }
    secret_of(mac.finalize().as_bytes())
}

/// Takes a whole HMAC as a secret.
fn secret_of(digest: &[u8]) -> SecretBytes {
    let derived = SecretBytes::filled_by(|bytes| {
        bytes.copy_from_slice(digest);
        Ok::<(), std::convert::Infallible>(())
    });
    match derived {
        Ok(derived) => derived,
    }
}

pub(crate) fn keyed(secret: &SecretBytes) -> HmacSha256 {
    // A key shorter than the hash's block is padded with zeros, as RFC 2104 says.
    let mut block = Zeroizing::new([0; BLOCK_BYTES]);
    if let Some(start) = block.first_chunk_mut() {
        *start = *secret.expose();
    }
    HmacSha256::new((&*block).into())
}

/// Computes the HMAC of `parts` in order, from a state that has taken its key already.
pub(crate) fn digest(mac: &HmacSha256, parts: &[&[u8]]) -> Zeroizing<[u8; 32]> {
    let mut mac = mac.clone();
    for part in parts {
        mac.update(part);
    }
    let mut output = mac.finalize().into_bytes();
    let mut digest = Zeroizing::new([0; 32]);
    digest.copy_from_slice(&output);
    output.zeroize();
    digest
}

fn first_64_bits(mac: &HmacSha256, bytes: &[u8]) -> u64 {
    digest(mac, &[bytes]).first_chunk().map_or(0, |first| u64::from_be_bytes(*first))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231, test case 1, has a 20-byte key; case 2's short key and data are used here padded to 32 bytes, which
    /// HMAC defines to be the same key.
    fn rfc_4231_case_2() -> SecretBytes {
        let mut key = [0; 32];
        key[..4].copy_from_slice(b"Jefe");
        SecretBytes::from_slice(&key).unwrap()
    }

    const DATA: &str = "what do ya want for nothing?";

    #[test]
    fn tokens_are_the_first_bits_of_the_published_hmac() {
        let tokenizer = Tokenizer::new(&rfc_4231_case_2());
        assert_eq!(tokenizer.token_hex(DATA), "5bdcc146bf60754e6a042426089575c7");
        assert_eq!(tokenizer.token64(DATA), 0x5bdc_c146_bf60_754e);
        let hashes = SubjectHashKey::new(&rfc_4231_case_2());
        assert_eq!(hashes.hash_bytes(DATA.as_bytes()), 0x5bdc_c146_bf60_754e);
    }

    #[test]
    fn a_derived_key_is_the_hmac_of_its_counted_name() {
        let secret = rfc_4231_case_2();
        let expected = derive(&secret, &[&[0, 0, 0, 1], b"rows", &[0], &[0, 0, 1, 0]]);
        let hashes = SubjectHashKey::new(&secret);
        assert_eq!(hashes.data_key("rows").expose(), expected.expose());
        assert_ne!(hashes.data_key("row").expose(), expected.expose());
    }

    #[test]
    fn another_key_gives_other_tokens() {
        let one = Tokenizer::new(&SecretBytes::generate().unwrap());
        let two = Tokenizer::new(&SecretBytes::generate().unwrap());
        assert_ne!(one.token64("11010519491231002X"), two.token64("11010519491231002X"));
        assert_eq!(one.token64("11010519491231002X"), one.token64("11010519491231002X"));
    }

    #[test]
    fn derived_keys_follow_the_published_hmac() {
        let derived = derive(&rfc_4231_case_2(), &[b"what do ya want ", b"for nothing?"]);
        assert_eq!(derived.expose()[..4], [0x5b, 0xdc, 0xc1, 0x46]);
    }

    #[test]
    fn debug_output_is_the_type_name() {
        let secret = SecretBytes::generate().unwrap();
        assert_eq!(format!("{secret:?}"), "SecretBytes");
        assert_eq!(format!("{:?}", Tokenizer::new(&secret)), "Tokenizer");
        assert_eq!(format!("{:?}", SubjectHashKey::new(&secret)), "SubjectHashKey");
    }
}

//! AES-256-GCM by `ring`: the default provider.
//!
//! It only translates calls; nonces and formats are decided one level up.

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, UnboundKey};
use zeroize::Zeroizing;

use super::{Aead, AeadError, Nonce, OVERHEAD_BYTES, split_nonce};
use crate::keys::DataKey;

/// Seals and opens through the `ring` library.
#[derive(Clone, Copy, Debug)]
pub struct RingAead;

impl RingAead {
    fn cipher(key: &DataKey) -> Result<LessSafeKey, AeadError> {
        UnboundKey::new(&AES_256_GCM, key.expose()).map(LessSafeKey::new).map_err(|_unspecified| AeadError)
    }
}

impl Aead for RingAead {
    fn seal_with(
        &self,
        key: &DataKey,
        nonce: Nonce,
        associated_data: &[u8],
        plaintext: &[u8],
    ) -> Result<Vec<u8>, AeadError> {
        let cipher = Self::cipher(key)?;
        let mut sealed = Vec::with_capacity(plaintext.len() + OVERHEAD_BYTES);
        sealed.extend_from_slice(&nonce.0);
        sealed.extend_from_slice(plaintext);
        let ring_nonce = ring::aead::Nonce::assume_unique_for_key(nonce.0);
        let body =
            sealed.split_first_chunk_mut().map(|(_nonce, body): (&mut [u8; 12], _)| body).ok_or(AeadError)?;
        let tag = cipher
            .seal_in_place_separate_tag(ring_nonce, Aad::from(associated_data), body)
            .map_err(|_unspecified| AeadError)?;
        sealed.extend_from_slice(tag.as_ref());
        Ok(sealed)
    }

    fn open(
        &self,
        key: &DataKey,
        associated_data: &[u8],
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, AeadError> {
        let (nonce, body) = split_nonce(sealed)?;
        let cipher = Self::cipher(key)?;
        let ring_nonce = ring::aead::Nonce::assume_unique_for_key(*nonce);
        let mut plaintext = Zeroizing::new(body.to_vec());
        let length = cipher
            .open_in_place(ring_nonce, Aad::from(associated_data), &mut plaintext)
            .map_err(|_unspecified| AeadError)?
            .len();
        plaintext.truncate(length);
        Ok(plaintext)
    }
}

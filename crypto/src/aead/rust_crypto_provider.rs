//! AES-256-GCM by RustCrypto's `aes-gcm`: the second provider, and the check on the first.
//!
//! It only translates calls; nonces and formats are decided one level up.

use aes_gcm::aead::{Aead as _, Payload};
use aes_gcm::{Aes256Gcm, KeyInit};
use zeroize::Zeroizing;

use super::{Aead, AeadError, Nonce, OVERHEAD_BYTES, split_nonce};
use crate::keys::DataKey;

/// Seals and opens through the pure-Rust `aes-gcm` library.
#[derive(Clone, Copy, Debug)]
pub struct RustCryptoAead;

impl Aead for RustCryptoAead {
    fn seal_with(
        &self,
        key: &DataKey,
        nonce: Nonce,
        associated_data: &[u8],
        plaintext: &[u8],
    ) -> Result<Vec<u8>, AeadError> {
        let cipher = Aes256Gcm::new(key.expose().into());
        let body = cipher
            .encrypt((&nonce.0).into(), Payload { msg: plaintext, aad: associated_data })
            .map_err(|_opaque| AeadError)?;
        let mut sealed = Vec::with_capacity(plaintext.len() + OVERHEAD_BYTES);
        sealed.extend_from_slice(&nonce.0);
        sealed.extend_from_slice(&body);
        Ok(sealed)
    }

    fn open(
        &self,
        key: &DataKey,
        associated_data: &[u8],
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, AeadError> {
        let (nonce, body) = split_nonce(sealed)?;
        let cipher = Aes256Gcm::new(key.expose().into());
        cipher
            .decrypt(nonce.into(), Payload { msg: body, aad: associated_data })
            .map(Zeroizing::new)
            .map_err(|_opaque| AeadError)
    }
}

//! Keys, sealing, signatures and the Merkle log of Obscura.
//!
//! The crate holds every secret of the system and every proof it gives: a key hierarchy behind [`kms::KeyManagement`],
//! authenticated encryption with two interchangeable providers, keyed tokens, Ed25519 signatures, and an
//! RFC 9162 Merkle log in the open C2SP formats.
//!
//! It never knows what is sealed: no Arrow, no Parquet, no datasets. It opens no file but the keyring and its key file.
//! No secret can be printed, cloned or serialised; raw key bytes leave only through [`danger`].
//!
//! ```text
//! passphrase | key file
//!        |  Argon2id | HMAC
//!      root key ---- seals ----> keyring file (kms::LocalKeyring)
//!                                  |-- key-encryption keys, one per department and grade
//!                                  |        |-- wrap --> data keys, one per column and file (keys::DataKey)
//!                                  |-- unit keys        -> tokens::Tokenizer, tokens::SubjectHashKey -> noise::NoiseKey
//!                                  `-- signing keys     -> sign::Signer -> note, checkpoint, tlog_proof
//! entries -> merkle (leaf, node, proofs) -> tiles (storage) -> checkpoint (signed) -> tlog_proof (receipt)
//! checkpoint -> add_checkpoint (to a witness) -> cosignature (from it)
//! ```
//!
//! Reading order: [`aead`], [`keys`], [`kms`], then [`tokens`], [`noise`], [`sign`] and [`foreign`], then [`merkle`], [`tiles`],
//! [`note`], [`checkpoint`], [`tlog_proof`], [`cosignature`] and [`add_checkpoint`].
//!
//! ```
//! use obscura_crypto::aead::{Aead, RingAead, RustCryptoAead, associated_data};
//! use obscura_crypto::keys::DataKey;
//!
//! let key = DataKey::generate()?;
//! let context = associated_data("example", &[b"part-0", b"cost"]);
//! let sealed = RingAead.seal(&key, &context, b"1200.50")?;
//! assert_eq!(RustCryptoAead.open(&key, &context, &sealed)?.as_slice(), b"1200.50");
//! assert!(RingAead.open(&key, b"another context", &sealed).is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![cfg_attr(
    test,
    expect(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        clippy::cast_possible_truncation,
        reason = "a test fails by panicking"
    )
)]

pub mod add_checkpoint;
pub mod aead;
pub mod checkpoint;
pub mod cosignature;
pub mod danger;
pub mod foreign;
pub mod keys;
pub mod kms;
pub mod merkle;
pub mod noise;
pub mod note;
mod secret;
pub mod sha256;
pub mod sign;
pub mod tiles;
pub mod tlog_proof;
pub mod tokens;

pub use crate::sha256::{Hash, Sha256, sha256, sha256_hex};

//! The contents of a keyring, and their plaintext encoding inside the sealed file.
//!
//! The encoding is `count` records of `kind, name length, name, version, key`, then `count` of
//! `name length, name, newest version ever used`; integers are big endian. It does not seal or store.

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use crate::keys::DataKey;
use crate::kms::{KekId, KekVersion, KeyringError};
use crate::secret::{SECRET_BYTES, SecretBytes};

/// Says what a key is for; the numbers are stored.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Kek = 1,
    Token = 2,
    SubjectHash = 3,
    Signing = 4,
}

impl Kind {
    fn from_byte(byte: u8) -> Option<Self> {
        [Self::Kek, Self::Token, Self::SubjectHash, Self::Signing]
            .into_iter()
            .find(|kind| *kind as u8 == byte)
    }
}

/// Names one stored key.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct KeyName {
    kind: Kind,
    name: String,
    version: u32,
}

impl KeyName {
    pub(super) fn new(kind: Kind, name: &str, version: u32) -> Self {
        Self { kind, name: name.to_owned(), version }
    }
}

/// Holds all keys of a keyring.
#[derive(Default)]
pub(super) struct Records {
    keys: BTreeMap<KeyName, SecretBytes>,
    /// Newest version ever used of each key-encryption key, kept after destruction so that no number returns.
    newest_used: BTreeMap<String, u32>,
}

impl Records {
    pub(super) fn secret(&self, name: &KeyName) -> Option<&SecretBytes> {
        self.keys.get(name)
    }

    pub(super) fn insert(&mut self, name: KeyName, secret: SecretBytes) {
        self.keys.insert(name, secret);
    }

    pub(super) fn kek(&self, kek: &KekId, version: KekVersion) -> Option<DataKey> {
        let name = KeyName::new(Kind::Kek, &kek.to_string(), version.number());
        self.secret(&name).map(|secret| DataKey::from_secret(secret.duplicate()))
    }

    pub(super) fn versions(&self, kek: &KekId) -> Vec<KekVersion> {
        let name = kek.to_string();
        let range = KeyName::new(Kind::Kek, &name, 0)..=KeyName::new(Kind::Kek, &name, u32::MAX);
        self.keys.range(range).map(|(key, _secret)| KekVersion::new(key.version)).collect()
    }

    pub(super) fn newest(&self, kek: &KekId) -> Option<KekVersion> {
        self.versions(kek).last().copied()
    }

    pub(super) fn add_version(&mut self, kek: &KekId) -> Result<KekVersion, KeyringError> {
        let name = kek.to_string();
        let secret = SecretBytes::generate()?;
        let newest_used = self.newest_used.entry(name.clone()).or_insert(0);
        *newest_used = newest_used.saturating_add(1);
        let version = *newest_used;
        self.keys.insert(KeyName::new(Kind::Kek, &name, version), secret);
        Ok(KekVersion::new(version))
    }

    /// Removes the versions that `condemned` names and says whether there were any.
    pub(super) fn remove_versions(&mut self, kek: &KekId, condemned: impl Fn(KekVersion) -> bool) -> bool {
        let name = kek.to_string();
        let before = self.keys.len();
        self.keys.retain(|key, _secret| {
            key.kind != Kind::Kek || key.name != name || !condemned(KekVersion::new(key.version))
        });
        self.keys.len() < before
    }

    /// Encodes into one allocation of the final size, so that growing leaves no copy of a key behind.
    pub(super) fn encode(&self) -> Zeroizing<Vec<u8>> {
        let keys_length: usize = self.keys.keys().map(|key| 1 + 2 + key.name.len() + 4 + SECRET_BYTES).sum();
        let newest_length: usize = self.newest_used.keys().map(|name| 2 + name.len() + 4).sum();
        let mut bytes = Zeroizing::new(Vec::with_capacity(8 + keys_length + 8 + newest_length));
        bytes.extend_from_slice(&(self.keys.len() as u64).to_be_bytes());
        for (key, secret) in &self.keys {
            bytes.push(key.kind as u8);
            put_name(&mut bytes, &key.name);
            bytes.extend_from_slice(&key.version.to_be_bytes());
            bytes.extend_from_slice(secret.expose());
        }
        bytes.extend_from_slice(&(self.newest_used.len() as u64).to_be_bytes());
        for (name, version) in &self.newest_used {
            put_name(&mut bytes, name);
            bytes.extend_from_slice(&version.to_be_bytes());
        }
        bytes
    }

    /// Decodes what `encode` wrote, to the last byte.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        let mut records = Self::default();
        for _ in 0..reader.u64()? {
            let kind = Kind::from_byte(reader.byte()?)?;
            let name = KeyName { kind, name: reader.name()?, version: reader.u32()? };
            let secret = SecretBytes::from_slice(reader.take(SECRET_BYTES)?)?;
            records.keys.insert(name, secret);
        }
        for _ in 0..reader.u64()? {
            let name = reader.name()?;
            let version = reader.u32()?;
            records.newest_used.insert(name, version);
        }
        reader.0.is_empty().then_some(records)
    }
}

fn put_name(bytes: &mut Vec<u8>, name: &str) {
    // Names are checked to be at most 128 bytes where they enter, far below the 65,535 that the length holds.
    let length = u16::try_from(name.len()).unwrap_or(u16::MAX);
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(name.as_bytes());
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn byte(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    fn name(&mut self) -> Option<String> {
        let length = self.array().map(u16::from_be_bytes)?;
        std::str::from_utf8(self.take(usize::from(length))?).ok().map(str::to_owned)
    }
}

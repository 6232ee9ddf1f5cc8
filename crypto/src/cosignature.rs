//! C2SP cosignatures (`cosignature/v1`): a witness says that it saw this checkpoint, when, and that it continues those
//! before. This file keeps no history of a witness, and does not decide which witnesses to believe.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::note::{NoteError, NoteSignature, SignedNote};
use crate::secret::opaque_debug;
use crate::sign::{SIGNATURE_BYTES, SignError, Signature, Signer, Verifier, key_id};

/// Most witnesses that are believed at a time.
pub const WITNESSES_MAX: usize = 32;
/// C2SP signature type of an Ed25519 cosignature.
const COSIGNATURE: u8 = 0x04;
/// Latest time that a cosignature may state.
const TIME_MAX: u64 = i64::MAX as u64;

/// Cosigns checkpoints with a key that signs nothing else.
pub struct Cosigner {
    signer: Signer,
    key: WitnessKey,
}

opaque_debug!(Cosigner);

impl Cosigner {
    /// Takes the key for cosignatures alone.
    #[must_use]
    pub fn new(signer: Signer) -> Self {
        let key = WitnessKey::of(signer.verifier().clone());
        Self { signer, key }
    }

    /// Adds a cosignature to a checkpoint that the log has signed; the caller knows that it continues the last one.
    ///
    /// # Errors
    ///
    /// Fails when the note is no checkpoint signed by this log, the time is no POSIX time, or there are too many
    /// signatures on it.
    pub fn cosign(
        &self,
        note: &SignedNote,
        log: &Verifier,
        time: u64,
    ) -> Result<SignedNote, CheckpointError> {
        Checkpoint::verify(note, log, log.name())?;
        if time == 0 || time > TIME_MAX {
            return Err(CheckpointError::Form);
        }
        let signature = self.signer.sign(message(note, time).as_bytes());
        let line = NoteSignature {
            name: self.key.name().to_owned(),
            key_id: self.key.key_id,
            signature: [&time.to_be_bytes()[..], signature.as_bytes()].concat(),
        };
        // An older one of this witness says less, and makes room.
        let others = note.signatures().iter().filter(|line| !self.key.is_of(line)).cloned();
        Ok(note.under(others.chain([line]).collect())?)
    }

    /// Shows the public half.
    #[must_use]
    pub fn key(&self) -> &WitnessKey {
        &self.key
    }
}

/// Names a witness with its public key. Its text form is C2SP's `name+hash+base64`, of type 4.
#[derive(Clone, PartialEq, Eq)]
pub struct WitnessKey {
    verifier: Verifier,
    key_id: u32,
}

impl WitnessKey {
    fn of(verifier: Verifier) -> Self {
        let key_id = key_id(verifier.name(), COSIGNATURE, verifier.public_key());
        Self { verifier, key_id }
    }

    /// Names the witness.
    #[must_use]
    pub fn name(&self) -> &str {
        self.verifier.name()
    }

    /// Gives the newest time at which this witness cosigned the note; nothing when it did not.
    ///
    /// # Errors
    ///
    /// Fails when a cosignature by this key does not match.
    pub fn time_of(&self, note: &SignedNote) -> Result<Option<u64>, NoteError> {
        let mut newest = None;
        for line in note.signatures().iter().filter(|line| self.is_of(line)) {
            let (time, signature) = line.signature.split_first_chunk().ok_or(NoteError::Signature)?;
            let time = u64::from_be_bytes(*time);
            let bytes: [u8; SIGNATURE_BYTES] = signature.try_into().map_err(|_cause| NoteError::Signature)?;
            self.verifier
                .verify(message(note, time).as_bytes(), &Signature::from_bytes(bytes))
                .map_err(|_cause| NoteError::Signature)?;
            if time == 0 || time > TIME_MAX {
                return Err(NoteError::Signature);
            }
            newest = newest.max(Some(time));
        }
        Ok(newest)
    }

    fn is_of(&self, line: &NoteSignature) -> bool {
        line.name == self.name() && line.key_id == self.key_id
    }
}

impl fmt::Display for WitnessKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let encoded = STANDARD.encode([&[COSIGNATURE][..], self.verifier.public_key()].concat());
        write!(formatter, "{}+{:08x}+{encoded}", self.name(), self.key_id)
    }
}

impl fmt::Debug for WitnessKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "WitnessKey({self})")
    }
}

impl FromStr for WitnessKey {
    type Err = SignError;

    fn from_str(text: &str) -> Result<Self, SignError> {
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(encoded)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(SignError::Verifier);
        };
        let encoded = STANDARD.decode(encoded).map_err(|_cause| SignError::Verifier)?;
        let Some((&[COSIGNATURE], key)) = encoded.split_first_chunk() else {
            return Err(SignError::Verifier);
        };
        let key: &[u8; 32] = key.try_into().map_err(|_cause| SignError::Verifier)?;
        let witness = Self::of(Verifier::from_public_key(name, key)?);
        // The id is redundant, so it catches a key pasted beside another key's name.
        if format!("{:08x}", witness.key_id) == id { Ok(witness) } else { Err(SignError::Verifier) }
    }
}

/// A cosignature that was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cosignature {
    /// Name of the witness.
    pub witness: String,
    /// When it cosigned, in seconds since 1970.
    pub time: u64,
}

/// Lists the witnesses that are believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witnesses {
    keys: Vec<WitnessKey>,
}

impl Witnesses {
    /// Verifies the cosignatures of these witnesses; those of others say nothing.
    ///
    /// # Errors
    ///
    /// Fails when a cosignature by one of the keys does not match.
    pub fn cosignatures(&self, note: &SignedNote) -> Result<Vec<Cosignature>, NoteError> {
        let mut found = Vec::new();
        for key in &self.keys {
            if let Some(time) = key.time_of(note)? {
                found.push(Cosignature { witness: key.name().to_owned(), time });
            }
        }
        Ok(found)
    }

    /// Gives a checkpoint with the log's signature and these witnesses' cosignatures on it and on `other`, a note of the
    /// same text; every other signature is left out.
    ///
    /// # Errors
    ///
    /// Fails when the texts differ, the log did not sign, or there are too many signatures.
    pub fn gather(
        &self,
        log: &Verifier,
        note: &SignedNote,
        other: &SignedNote,
    ) -> Result<SignedNote, NoteError> {
        note.verified_text(log)?;
        if note.unverified_text() != other.unverified_text() {
            return Err(NoteError::Form);
        }
        let is_log = |line: &&NoteSignature| line.name == log.name() && line.key_id == log.key_id();
        let mut lines: Vec<NoteSignature> =
            note.signatures().iter().find(is_log).into_iter().cloned().collect();
        for key in &self.keys {
            let both = other.signatures().iter().chain(note.signatures());
            lines.extend(both.filter(|line| key.is_of(line)).take(1).cloned());
        }
        note.under(lines)
    }
}

impl FromStr for Witnesses {
    type Err = SignError;

    /// Reads one key a line; empty lines and those that begin with `#` are skipped.
    fn from_str(text: &str) -> Result<Self, SignError> {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let keys: Vec<WitnessKey> =
            lines.take(WITNESSES_MAX + 1).map(str::parse).collect::<Result<_, _>>()?;
        if keys.is_empty() || keys.len() > WITNESSES_MAX {
            return Err(SignError::Verifier);
        }
        Ok(Self { keys })
    }
}

/// The signed message: header and time, each a line, and the whole text of the note.
fn message(note: &SignedNote, time: u64) -> String {
    format!("cosignature/v1\ntime {time}\n{}", note.unverified_text())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merkle::leaf_hash;

    /// A checkpoint of a public log with the cosignatures of four public witnesses, and the keys these publish.
    const PUBLIC: &str = "arche2025h1.staging.ct.transparency.dev\n1432088532\nU7WM79jrzyhGZ5/GUBTpM7NzwdyfFx61t3RovgcC4Ro=\n\n\
        \u{2014} arche2025h1.staging.ct.transparency.dev ui8GwCF1+kWqZrxGdhj4aX3gcw7XUlXQQabg/27lefwhUkzbC3NygNI75MdhL1bfTW9g8Ei59RA23oHP7Ry1k3ZFWwQ=\n\
        \u{2014} transparency.dev/DEV:witness-little-garden 2AQqhwAAAABqEiEgzgFIqqhbUoDwjMWE6UP8nd8/KYTzwZ2rhIgcqoXHAwVkjZr4AscylP3v7sEodkRAErumC2q44vdgJY096st5BQ==\n\
        \u{2014} witness1.smartit.nu/witness1 pIyCDwAAAABqEiEghIp82KWebrw7/oHQwlTAm3g2RKS4+eebl8eO0WH+/iEcxZ75W3u5hNI7TOQtmJbqmNWVuE0tgh0XwzdZsDsUAQ==\n\
        \u{2014} remora.n621.de 2net5wAAAABqEiEgPlfF3V06o0Y+fHM+J5J9s27wgxxcOVSpZ/2g/KSiXCg9DEZI+aVCIobWX9sXTynk5XeU/zZ0WBxtqB0DrAWfBw==\n\
        \u{2014} witness.stagemole.eu Z/euoAAAAABqEiEgw0i+7g2ENfDAWHmtRzCfKTHSDwYDJA2NmKeGi9Y8FtEyOUvVr+AJmIY/2TUFucgKi7lI7cUiOvKFYe/TmN9DAg==\n";
    const KEYS: [&str; 4] = [
        "transparency.dev/DEV:witness-little-garden+d8042a87+BCtusOxINQNUTN5Oj8HObRkh2yHf/MwYaGX4CPdiVEPM",
        "witness1.smartit.nu/witness1+a48c820f+BPSFWg9G6KPiO7QPryYO5Xq4oYJJ+kAvLKLSimDhoxMO",
        "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2",
        "witness.stagemole.eu+67f7aea0+BEqSG3yu9YrmcM3BHvQYTxwFj3uSWakQepafafpUqklv",
    ];
    const TIME: u64 = 1_779_573_024;
    const ORIGIN: &str = "obscura.example/audit";

    fn cosigned() -> (Signer, Cosigner, SignedNote) {
        let log = Signer::generate(ORIGIN).unwrap();
        let witness = Cosigner::new(Signer::generate("witness.example/w1").unwrap());
        let note = Checkpoint::new(ORIGIN, 7, leaf_hash(b"x")).unwrap().sign(&log).unwrap();
        let note = witness.cosign(&note, log.verifier(), 1_800_000_000).unwrap();
        (log, witness, note)
    }

    #[test]
    fn cosignatures_of_public_witnesses_verify() {
        let note: SignedNote = PUBLIC.parse().unwrap();
        for text in KEYS {
            let key: WitnessKey = text.parse().unwrap();
            assert_eq!(key.to_string(), text);
            assert_eq!(key.time_of(&note).unwrap(), Some(TIME), "{text}");
        }
        let witnesses: Witnesses = format!("# ours\n\n{}\n", KEYS.join("\n")).parse().unwrap();
        assert_eq!(witnesses.cosignatures(&note).unwrap().len(), 4);
        let other: SignedNote = PUBLIC.replace("1432088532", "1432088533").parse().unwrap();
        assert!(matches!(witnesses.cosignatures(&other), Err(NoteError::Signature)));
    }

    #[test]
    fn a_cosignature_survives_printing_and_leaves_the_log_s_signature() {
        let (log, witness, note) = cosigned();
        let note: SignedNote = note.to_string().parse().unwrap();
        let key: WitnessKey = witness.key().to_string().parse().unwrap();
        assert_eq!(key.time_of(&note).unwrap(), Some(1_800_000_000));
        assert_eq!(Checkpoint::verify(&note, log.verifier(), ORIGIN).unwrap().size(), 7);
        let again = witness.cosign(&note, log.verifier(), 1_800_000_001).unwrap();
        assert_eq!(key.time_of(&again).unwrap(), Some(1_800_000_001));
        assert_eq!(again.signatures().len(), 2, "one line per witness");
    }

    #[test]
    fn every_flipped_bit_of_a_cosigned_checkpoint_costs_the_cosignature() {
        let (_log, witness, note) = cosigned();
        let text = note.to_string();
        // The log's own line is no part of what a witness signs.
        let lines: Vec<&str> = text.lines().collect();
        let own = lines[..4].iter().map(|line| line.len() + 1).sum::<usize>();
        let end = own + lines[4].len() + 1;
        for bit in (0..text.len() * 8).filter(|bit| !(own..end).contains(&(bit / 8))) {
            let mut damaged = text.as_bytes().to_vec();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let found = String::from_utf8(damaged)
                .ok()
                .and_then(|text| text.parse::<SignedNote>().ok())
                .and_then(|note| witness.key().time_of(&note).ok().flatten());
            assert_eq!(found, None, "bit {bit}");
        }
    }

    #[test]
    fn nothing_is_cosigned_that_the_log_did_not_sign() {
        let (_log, witness, note) = cosigned();
        let stranger = Signer::generate(ORIGIN).unwrap();
        assert!(witness.cosign(&note, stranger.verifier(), 1).is_err());
        let (log, witness, note) = cosigned();
        assert!(witness.cosign(&note, log.verifier(), 0).is_err());
        assert!(witness.cosign(&note, log.verifier(), u64::MAX).is_err());
    }

    #[test]
    fn a_log_s_key_is_no_witness_s_key_and_the_other_way_round() {
        let (log, witness, _note) = cosigned();
        assert!(log.verifier().to_string().parse::<WitnessKey>().is_err());
        assert!(witness.key().to_string().parse::<Verifier>().is_err());
        let damaged = KEYS[2].replace("da77ade7", "da77ade8");
        assert!(damaged.parse::<WitnessKey>().is_err());
        assert!("".parse::<Witnesses>().is_err());
        let many = format!("{}\n", KEYS[0]).repeat(WITNESSES_MAX + 1);
        assert!(many.parse::<Witnesses>().is_err());
    }

    #[test]
    fn gathering_keeps_the_log_and_each_witness_once_and_nobody_else() {
        let (log, one, note) = cosigned();
        let other = Cosigner::new(Signer::generate("witness.example/w2").unwrap());
        let stranger = Cosigner::new(Signer::generate("witness.example/w3").unwrap());
        let second = other.cosign(&note, log.verifier(), 1_800_000_002).unwrap();
        let second = stranger.cosign(&second, log.verifier(), 1_800_000_003).unwrap();
        let witnesses: Witnesses = format!("{}\n{}", one.key(), other.key()).parse().unwrap();
        let gathered = witnesses.gather(log.verifier(), &note, &second).unwrap();
        assert_eq!(gathered.signatures().len(), 3);
        assert_eq!(witnesses.cosignatures(&gathered).unwrap().len(), 2);
        let elsewhere = Checkpoint::new(ORIGIN, 8, leaf_hash(b"x")).unwrap().sign(&log).unwrap();
        assert!(witnesses.gather(log.verifier(), &note, &elsewhere).is_err());
    }
}

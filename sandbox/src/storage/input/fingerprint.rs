//! A fingerprint of the rows of an input: two files with the same rows in the same order have the same, whatever their
//! format. It is a hash of values and leaves this module only under a key.

use obscura_crypto::sha256_hex;
use obscura_crypto::tokens::Tokenizer;

use crate::storage::cell::Cell;

/// Bytes that are hashed at a time.
const CHUNK_BYTES: usize = 1 << 20;

/// Takes rows one after the other.
#[derive(Default)]
pub(super) struct Fingerprint {
    waiting: Vec<u8>,
    so_far: String,
}

impl Fingerprint {
    pub(super) fn take(&mut self, cells: &[Cell<'_>]) {
        for cell in cells {
            self.take_cell(cell);
        }
        if self.waiting.len() >= CHUNK_BYTES {
            self.hash();
        }
    }

    fn take_cell(&mut self, cell: &Cell<'_>) {
        match cell {
            Cell::Null | Cell::MissingWord => self.take_bytes(0, &[]),
            Cell::Text(text) => self.take_bytes(1, text.as_bytes()),
            Cell::Owned(text) => self.take_bytes(1, text.as_bytes()),
            Cell::Int(value) => self.take_bytes(2, &value.to_le_bytes()),
            Cell::Decimal(value) => self.take_bytes(3, &value.to_le_bytes()),
            Cell::Float(value) => self.take_bytes(4, &value.to_le_bytes()),
            Cell::Date(value) => self.take_bytes(5, &value.to_le_bytes()),
            Cell::Timestamp(value) => self.take_bytes(6, &value.to_le_bytes()),
            Cell::Bool(value) => self.take_bytes(7, &[u8::from(*value)]),
            Cell::Token(value) => self.take_bytes(8, &value.to_le_bytes()),
            Cell::Spelt(key) => self.take_bytes(8, &key.sealed.to_le_bytes()),
        }
    }

    fn take_bytes(&mut self, kind: u8, bytes: &[u8]) {
        self.waiting.push(kind);
        self.waiting.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        self.waiting.extend_from_slice(bytes);
    }

    fn hash(&mut self) {
        let mut bytes = std::mem::take(&mut self.so_far).into_bytes();
        bytes.append(&mut self.waiting);
        self.so_far = sha256_hex(&bytes);
    }

    /// The fingerprint under a key: without the key an attacker cannot try which rows a file may have held.
    pub(super) fn under(&mut self, key: &Tokenizer) -> String {
        self.hash();
        format!("{:016x}", key.token64(&self.so_far))
    }
}

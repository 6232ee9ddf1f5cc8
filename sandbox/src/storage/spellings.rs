//! Finds subjects' keys that are written in several ways (`8888`, `08888`, `8888.0`, with invisible characters).
//! Counting such spellings apart would count one person as several, and a group of one person could pass a threshold.
//! Sealing does not guess: it finds them, exactly and in flat memory, and the steward decides. No value and no token gets
//! into an error.

use std::collections::BTreeMap;
use std::collections::HashMap;

use arrow::array::Int64Array;

use crate::storage::cell::SpeltKey;
use crate::storage::error::StorageError;

/// The decision about spellings of a unit key without a form of its own; others (`resident_id`, `uscc`, ...) have one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnitKeys {
    /// Undecided: several spellings stop the seal.
    Ask,
    /// Each spelling is a subject.
    AsWritten,
    /// Spellings of one key are one subject: the plain form is sealed.
    Same,
}

impl UnitKeys {
    /// The decision's word in manifests and on the command line; without a decision there is none.
    #[must_use]
    pub const fn word(self) -> Option<&'static str> {
        match self {
            Self::Ask => None,
            Self::AsWritten => Some("as-written"),
            Self::Same => Some("same"),
        }
    }

    /// The decision of a word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::AsWritten, Self::Same].into_iter().find(|keys| keys.word() == Some(word))
    }
}

/// Keys per column whose first row is remembered, so that two spellings can be shown by their rows.
///
/// Beyond it spellings are still found, by counting, and no rows are named.
const EXAMPLES_MAX: usize = 1 << 16;

/// The plain forms of the unit keys of the rows that were taken, and the first rows that differ in spelling alone.
#[derive(Default)]
pub(crate) struct Spellings {
    columns: BTreeMap<usize, Spelt>,
}

#[derive(Default)]
struct Spelt {
    /// Tokens of plain forms that are not counted yet.
    waiting: Vec<i64>,
    /// Token as written, and line, of the first keys by the token of their plain form.
    first: HashMap<i64, (i64, u64)>,
}

impl Spellings {
    /// Takes a key of a row.
    pub(crate) fn take(
        &mut self,
        (column, name): (usize, &str),
        key: SpeltKey,
        line: u64,
    ) -> Result<(), StorageError> {
        let SpeltKey { written, plain, .. } = key;
        let spelt = self.columns.entry(column).or_default();
        spelt.waiting.push(plain);
        match spelt.first.get(&plain) {
            Some((other, first)) if *other != written => {
                Err(StorageError::UnitKeySpellings { column: name.to_owned(), lines: Some((*first, line)) })
            }
            Some(_) => Ok(()),
            None => {
                if spelt.first.len() < EXAMPLES_MAX {
                    spelt.first.insert(plain, (written, line));
                }
                Ok(())
            }
        }
    }

    /// Hands out the plain forms that are to be counted.
    pub(crate) fn drain(&mut self) -> Vec<(usize, Int64Array)> {
        let drained = self
            .columns
            .iter_mut()
            .map(|(column, spelt)| (*column, Int64Array::from(std::mem::take(&mut spelt.waiting))));
        drained.filter(|(_, tokens)| !tokens.is_empty()).collect()
    }
}

//! The log's account of records: the hashes with which they began, and the records that have ended.
//! Events that change records form a chain backwards through the log, so that queries between them need not be read.

use std::collections::BTreeMap;

use crate::audit::AuditError;
use crate::audit::AuditLog;
use crate::audit::event::Change;
use crate::audit::event::LoggedEvent;

/// The log's account of one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// SHA-256 of its body.
    pub sha256: String,
    /// Index of the event that began it.
    pub begun: u64,
    /// Index of the event that ended it.
    pub ended: Option<u64>,
}

/// The log's account of all records, up to some event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogFacts {
    facts: BTreeMap<(String, String), Fact>,
    newest_change: Option<u64>,
}

impl LogFacts {
    /// Takes in the changes that are newer than the newest known.
    ///
    /// # Errors
    /// When the log cannot be read, or an entry on the way does not verify.
    pub fn learn(&mut self, log: &AuditLog) -> Result<(), AuditError> {
        let mut unknown = Vec::new();
        let mut next = log.newest_change()?;
        let newest = next;
        while let Some(index) = next {
            if Some(index) == self.newest_change {
                break;
            }
            // The chain only ever points backwards; anything else is not what `append` wrote.
            if self.newest_change.is_some_and(|known| index < known) {
                return Err(AuditError::UnreadableEntry { index });
            }
            let event = log.event(index)?;
            if event.previous_change.is_some_and(|previous| previous >= index) {
                return Err(AuditError::UnreadableEntry { index });
            }
            next = event.previous_change;
            unknown.push(event);
        }
        for event in unknown.into_iter().rev() {
            self.take(event);
        }
        self.newest_change = newest;
        Ok(())
    }

    /// Takes in one event; events must come in the log's order.
    pub fn take(&mut self, event: LoggedEvent) {
        let Some(record) = event.record else {
            return;
        };
        self.newest_change = self.newest_change.max(Some(event.index));
        let name = (record.kind, record.key);
        match record.change {
            Change::Begins => {
                // A key begins once: a second beginning changes nothing, so a forged row cannot lean on it.
                self.facts.entry(name).or_insert(Fact {
                    sha256: record.sha256,
                    begun: event.index,
                    ended: None,
                });
            }
            Change::Ends => {
                if let Some(fact) = self.facts.get_mut(&name) {
                    fact.ended.get_or_insert(event.index);
                }
            }
        }
    }

    /// The log's account of one record.
    #[must_use]
    pub fn fact(&self, kind: &str, key: &str) -> Option<&Fact> {
        self.facts.get(&(kind.to_owned(), key.to_owned()))
    }

    /// The log's account of records of one kind whose keys begin with `prefix`, by key.
    pub fn under<'a>(&'a self, kind: &'a str, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a Fact)> {
        let from = self.facts.range((kind.to_owned(), prefix.to_owned())..);
        from.take_while(move |((of, key), _)| of == kind && key.starts_with(prefix))
            .map(|((_, key), fact)| (key.as_str(), fact))
    }

    /// Index of the newest event that changed a record.
    #[must_use]
    pub fn newest_change(&self) -> Option<u64> {
        self.newest_change
    }

    /// Everything the log says, by kind and key.
    pub fn all(&self) -> impl Iterator<Item = (&str, &str, &Fact)> {
        self.facts.iter().map(|((kind, key), fact)| (kind.as_str(), key.as_str(), fact))
    }
}

//! Charges to budgets of differential privacy: appended with the decision that they pay for, in one durable step of the log,
//! and known from the log alone. It decides nothing; `app/query/charging.rs` holds a price against what is left.
//!
//! INVARIANT(nothing-is-refunded): a charge is known when the log holds the event that began its record. No row, state, end
//! of its record or end of its job takes it back, and a charge whose row is gone or altered is read from its event.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::audit::Receipt;
use crate::audit::event::Action;
use crate::audit::event::Change;
use crate::audit::facts::Fact;
use crate::catalog::body;
use crate::catalog::body::Body as _;
use crate::catalog::body::ChargeBody;
use crate::catalog::record::Record;
use crate::catalog::record::RecordKind;
use crate::catalog::record::RecordState;
use crate::error::AppError;
use crate::error::During as _;
use crate::error::InternalError;
use crate::ids::JobId;
use crate::installation::ChangeGuard;
use crate::installation::Installation;
use crate::installation::blocking::blocking_io;
use crate::installation::records::Note;
use crate::installation::records::change_of;

/// With more charges than these that are not known yet, all rows are read at once.
const ONE_BY_ONE_MAX: usize = 16;

/// The charges that this process has held against the log, by their keys.
#[derive(Debug, Default)]
pub(crate) struct KnownCharges(Arc<BTreeMap<String, ChargeBody>>);

/// Proof that the price of a job is in the log, or that it has none. INVARIANT(charged-before-run): nothing is computed
/// without it, and it is made of the receipts of the job's charges alone.
#[derive(Debug)]
pub(crate) struct Reserved(());

impl Reserved {
    /// Checks that the receipts are those of one charge for each price of this job.
    pub(crate) fn of(receipts: &[Receipt], job: JobId, prices: usize) -> Result<Self, InternalError> {
        let job = job.to_string();
        let is_charge = |receipt: &&Receipt| {
            receipt.action() == Action::BudgetCharged && receipt.correlation() == Some(job.as_str())
        };
        match receipts.iter().filter(is_charge).count() == prices {
            true => Ok(Self(())),
            false => Err(InternalError::of_kind("charge a budget", "a price without its charge")),
        }
    }
}

impl Installation {
    /// Appends a decision and the charges that it costs, in one durable step of the log: both, or neither. The caller holds
    /// the right to change since it looked at what is left.
    ///
    /// # Errors
    /// When the log or the database cannot be written, or the log has a charge of the same job already.
    pub(crate) async fn append_charging(
        &self,
        _changing: &ChangeGuard<'_>,
        notes: Vec<Note>,
        charges: &[(ChargeBody, Note)],
    ) -> Result<Vec<Receipt>, AppError> {
        // Rows that are staged here must not be taken for those that a dead process left.
        self.settle_while_changing().await?;
        self.learn().await?;
        let before = notes.len();
        let mut all: Vec<_> = notes.into_iter().map(|note| (note, None)).collect();
        for (body, note) in charges {
            let key = body.key();
            if self.facts.lock().await.fact(RecordKind::Charge.name(), &key).is_some() {
                return Err(InternalError::of_kind("charge a budget", "the job was charged before").into());
            }
            let text = body::print(body).during("write a charge")?;
            self.catalog.stage(RecordKind::Charge, &key, &text).await.during("stage a charge")?;
            all.push((note.clone(), Some(change_of::<ChargeBody>(&key, &text, Change::Begins))));
        }
        // From here on the log decides. What fails later is settled by the next change or start.
        let receipts = self.append(all).await?;
        for ((body, _), receipt) in charges.iter().zip(receipts.iter().skip(before)) {
            let confirmed = self.catalog.confirm(RecordKind::Charge, &body.key(), receipt.index()).await;
            confirmed.during("confirm a charge")?;
        }
        Ok(receipts)
    }

    /// All charges that the log holds, by their keys.
    ///
    /// # Errors
    /// When the log or the database cannot be read, or a charge can be read from neither.
    pub(crate) async fn charges(&self) -> Result<Arc<BTreeMap<String, ChargeBody>>, AppError> {
        let mut known = self.charges.lock().await;
        self.take_charges(&mut known).await?;
        Ok(Arc::clone(&known.0))
    }

    /// Writes the rows of charges that are gone or altered again, as the log tells them, and says how many there were.
    ///
    /// # Errors
    /// As [`Self::charges`].
    pub(crate) async fn restore_charges(&self) -> Result<u64, AppError> {
        let mut known = self.charges.lock().await;
        // Everything is compared once more, also what this process knows already.
        *known = KnownCharges::default();
        self.take_charges(&mut known).await
    }

    /// Takes in the charges of the log that are not known yet, and says how many of them had no row that agrees.
    async fn take_charges(&self, known: &mut KnownCharges) -> Result<u64, AppError> {
        self.learn().await?;
        let kind = RecordKind::Charge;
        let unknown: Vec<(String, Fact)> = {
            let facts = self.facts.lock().await;
            let unknown = facts.under(kind.name(), "").filter(|(key, _)| !known.0.contains_key(*key));
            unknown.map(|(key, fact)| (key.to_owned(), fact.clone())).collect()
        };
        if unknown.is_empty() {
            return Ok(0);
        }
        let rows: Vec<Record> = if unknown.len() > ONE_BY_ONE_MAX {
            self.catalog.records(kind).await.during("list charges")?
        } else {
            let mut rows = Vec::new();
            for (key, _) in &unknown {
                rows.extend(self.catalog.record(kind, key).await.during("find a charge")?);
            }
            rows
        };
        let mut rows: BTreeMap<String, Record> = rows.into_iter().map(|row| (row.key.clone(), row)).collect();
        let mut restored = 0;
        for (key, fact) in unknown {
            let body = match rows.remove(&key).filter(|row| agrees(row, &fact)) {
                Some(row) => body::read(&row).during("read a charge")?,
                None => {
                    restored += 1;
                    self.restore_charge(&key, &fact).await?
                }
            };
            Arc::make_mut(&mut known.0).insert(key, body);
        }
        Ok(restored)
    }

    /// Reads a charge from its event, and writes its row again.
    async fn restore_charge(&self, key: &str, fact: &Fact) -> Result<ChargeBody, AppError> {
        let unreadable =
            || InternalError::of_kind("read a charge from the log", "its event does not hold it");
        let event = blocking_io(|| self.audit.event(fact.begun)).during("read the audit log")?;
        let record =
            event.record.filter(|record| record.kind == RecordKind::Charge.name() && record.key == key);
        let body = record.and_then(|record| record.body).ok_or_else(unreadable)?;
        let text = serde_json_canonicalizer::to_string(&body).map_err(|_| unreadable())?;
        if obscura_crypto::sha256_hex(text.as_bytes()) != fact.sha256 {
            return Err(unreadable().into());
        }
        let kind = RecordKind::Charge;
        let restored = self.catalog.restore(kind, key, &text, fact.begun).await;
        restored.during("restore a charge")?;
        let told = InternalError::of_kind(
            "restore a charge",
            "in force in the log, its row in the database was gone or altered",
        );
        self.note(&format!("{kind} `{key}`"), &told);
        serde_json::from_str(&text).map_err(|_| unreadable().into())
    }
}

/// Says whether the row of a charge is the one of its event. A process that has appended the event may not have marked it yet.
fn agrees(row: &Record, fact: &Fact) -> bool {
    let is_marked = match row.state {
        RecordState::Staged { event_index } => event_index.is_none(),
        RecordState::InForce { event_index } => event_index == fact.begun,
        RecordState::Ending { .. } => false,
        RecordState::Ended { event_index, ended_index } => {
            event_index == fact.begun && fact.ended == Some(ended_index)
        }
    };
    is_marked && row.sha256() == fact.sha256
}

//! Records that a killed process left between database and log, settled by the log. Every change settles them first, so
//! that nothing older than the newest change is ever undecided. It guesses nothing and reads no body.

use crate::catalog::record::Record;
use crate::catalog::record::RecordState;
use crate::error::AppError;
use crate::error::During as _;
use crate::error::InternalError;
use crate::installation::Installation;

/// Counts of the records that were settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Settled {
    /// Records put in force or ended as the log says.
    pub(crate) completed: u64,
    /// Records whose event never reached the log, taken back.
    pub(crate) discarded: u64,
}

impl Installation {
    /// Settles undecided records. The caller holds the right to change, so the process that left it is dead.
    pub(crate) async fn settle_while_changing(&self) -> Result<Settled, AppError> {
        let undecided = self.catalog.undecided().await.during("list undecided records")?;
        let mut settled = Settled::default();
        if undecided.is_empty() {
            return Ok(settled);
        }
        self.learn().await?;
        for record in undecided {
            if self.settle(&record).await? {
                settled.completed += 1;
            } else {
                settled.discarded += 1;
            }
        }
        Ok(settled)
    }

    /// Settles one record, and says whether the log had gone on without its row.
    async fn settle(&self, record: &Record) -> Result<bool, AppError> {
        let (kind, key) = (record.kind, record.key.as_str());
        let fact = self.facts.lock().await.fact(kind.name(), key).cloned();
        let catalog = &self.catalog;
        match (record.state, fact) {
            (RecordState::Staged { .. }, Some(fact)) if fact.sha256 == record.sha256() => {
                catalog.confirm(kind, key, fact.begun).await.during("confirm a record")?;
                // A crash leaves this, and so does a change of the database from outside: the operator is told, and knows
                // which it was.
                let error =
                    InternalError::of_kind("settle a record", "in force in the log, staged in the database");
                self.note(&format!("{kind} `{key}`"), &error);
                if let Some(ended) = fact.ended {
                    catalog.begin_ending(kind, key).await.during("begin to end a record")?;
                    catalog.end(kind, key, ended).await.during("end a record")?;
                }
                Ok(true)
            }
            (RecordState::Staged { .. }, _) => {
                catalog.discard(kind, key).await.during("discard a record")?;
                Ok(false)
            }
            (RecordState::Ending { .. }, Some(fact)) if fact.ended.is_some() => {
                let index = fact.ended.unwrap_or(fact.begun);
                catalog.end(kind, key, index).await.during("end a record")?;
                Ok(true)
            }
            (RecordState::Ending { .. }, _) => {
                catalog.keep(kind, key).await.during("keep a record")?;
                Ok(false)
            }
            (RecordState::InForce { .. } | RecordState::Ended { .. }, _) => Ok(false),
        }
    }
}

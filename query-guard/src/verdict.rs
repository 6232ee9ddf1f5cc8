//! The guard's answer to one question: admitted with a plan, or refused with reasons and with questions that come close.

use obscura_policies::effective::PolicySource;
use obscura_policies::vocabulary::Text;

use crate::finding::Finding;
use crate::plan::Charge;
use crate::plan::GuardedPlan;

/// The guard's answer to one query.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// Admitted with a plan, or refused with reasons.
    pub decision: Decision,
    /// The statement asked for the verdict only (`EXPLAIN`).
    pub explain: bool,
    /// Documents it rests on.
    pub policy: Vec<PolicySource>,
}

impl Verdict {
    /// The price of the question ([`GuardedPlan::charges`]); empty where it is refused, or needs no differential privacy.
    #[must_use]
    pub fn charges(&self) -> &[Charge] {
        match &self.decision {
            Decision::Admitted(plan) => plan.charges(),
            Decision::Refused { .. } => &[],
        }
    }
}

/// Admitted or refused.
#[derive(Debug, Clone)]
pub enum Decision {
    /// May run, as this plan and no other.
    Admitted(Box<GuardedPlan>),
    /// May not run.
    Refused {
        /// Every reason found; never empty.
        findings: Vec<Finding>,
        /// Queries that come close and that this guard admits.
        rewrites: Vec<Rewrite>,
    },
}

/// A query that comes close to a refused one and is admitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rewrite {
    /// The query.
    pub sql: String,
    /// The change, in one sentence.
    pub title: Text,
}

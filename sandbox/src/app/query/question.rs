//! A question as it is asked: text, purpose, grants, and what makes a repeated request the same one.

use std::collections::BTreeSet;

use obscura_policies::vocabulary::Code;
use serde_json::Value;
use serde_json::json;

use crate::context::Presence;
use crate::error::AppError;
use crate::error::During as _;
use crate::jobs::store::Repeatable;

/// A question.
#[derive(Debug, Clone)]
pub struct SubmitQuery {
    /// The SQL.
    pub sql: String,
    /// Code of the one purpose it serves.
    pub purpose: String,
    /// The grants to use, where the asker names any.
    pub grants: BTreeSet<Code>,
    /// The asker's own name for this request: asked again under it, it is the same job.
    pub key: Option<String>,
    /// Its fate if it is refused.
    pub on_refusal: OnRefusal,
    /// Tells if the asker still listens.
    pub presence: Presence,
}

/// The fate of a refused question that an open request for access would let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnRefusal {
    /// It is refused.
    End,
    /// It waits until the request is decided on, where a service goes on with it.
    WaitForApproval,
}

impl SubmitQuery {
    /// A question that is asked once.
    #[must_use]
    pub fn once(sql: impl Into<String>, purpose: impl Into<String>) -> Self {
        Self {
            sql: sql.into(),
            purpose: purpose.into(),
            grants: BTreeSet::new(),
            key: None,
            on_refusal: OnRefusal::End,
            presence: Presence::default(),
        }
    }

    pub(super) fn repeatable(&self) -> Result<Option<Repeatable>, AppError> {
        let Some(key) = self.key.clone() else { return Ok(None) };
        let mut asked = json!({ "sql": self.sql, "purpose": self.purpose });
        if let (false, Some(asked)) = (self.grants.is_empty(), asked.as_object_mut()) {
            asked.insert("grants".to_owned(), names(&self.grants));
        }
        let request = serde_json_canonicalizer::to_string(&asked).during("write a request")?;
        Ok(Some(Repeatable { key, request }))
    }
}

/// Names of grants, as a question's request and its event carry them.
pub(super) fn names(grants: &BTreeSet<Code>) -> Value {
    grants.iter().map(|grant| Value::from(grant.as_str())).collect()
}

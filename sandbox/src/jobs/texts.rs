//! Protects a job's row: verdict, plans and release record lie sealed, a repeated request is known by a keyed token, and the
//! owner stands under a keyed mark. A thief of the database cannot read what was asked, and an attacker who writes into it
//! cannot give a job to another person. It does not know what the texts say.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use obscura_crypto::aead::Aead as _;
use obscura_crypto::aead::RingAead;
use obscura_crypto::aead::associated_data;
use obscura_crypto::keys::DataKey;
use obscura_crypto::kms::KeyManagement;
use obscura_crypto::kms::KmsError;
use obscura_crypto::tokens::Tokenizer;

use crate::ids::JobId;
use crate::jobs::JobError;

/// Name of the secret that the key of texts is derived from.
const TEXTS: &str = "job-texts";
/// Name of the secret that tokens of requests are made with.
const REQUESTS: &str = "job-requests";
/// Name of the secret that marks of rows are made with.
const ROWS: &str = "job-rows";

/// The columns of a row that are sealed.
#[derive(Debug, Clone, Copy)]
pub(super) enum Column {
    Verdict,
    Plan,
    Release,
}

impl Column {
    /// Its name in the database.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Verdict => "verdict",
            Self::Plan => "plan",
            Self::Release => "release",
        }
    }
}

/// Seals and opens the texts of rows.
#[derive(Debug)]
pub(super) struct Texts {
    key: DataKey,
    requests: Tokenizer,
    rows: Tokenizer,
}

/// The fields of a row that never change.
#[derive(Debug, Clone, Copy)]
pub(super) struct Origin<'a> {
    pub(super) job: JobId,
    pub(super) person: &'a str,
    pub(super) purpose: &'a str,
    pub(super) received_ms: i64,
    pub(super) request_key: Option<&'a str>,
}

impl Texts {
    pub(super) fn new(keys: &dyn KeyManagement) -> Result<Self, KmsError> {
        let key = keys.hash_key(TEXTS)?.data_key("rows");
        Ok(Self { key, requests: keys.tokenizer(REQUESTS)?, rows: keys.tokenizer(ROWS)? })
    }

    /// Seals a text for its place: moved to another row or column it does not open.
    pub(super) fn seal(&self, job: JobId, column: Column, text: &str) -> Result<String, JobError> {
        let sealed = RingAead.seal(&self.key, &place(job, column), text.as_bytes());
        sealed.map(|sealed| STANDARD.encode(sealed)).map_err(|_| JobError::Text)
    }

    /// Opens a text of a row.
    pub(super) fn open(&self, job: JobId, column: Column, stored: &str) -> Result<String, JobError> {
        let sealed = STANDARD.decode(stored).map_err(|_| JobError::Text)?;
        let text = RingAead.open(&self.key, &place(job, column), &sealed).map_err(|_| JobError::Text)?;
        std::str::from_utf8(&text).map(str::to_owned).map_err(|_| JobError::Text)
    }

    /// The mark of a row: without it, or with another, the row is ignored.
    pub(super) fn mark(&self, origin: Origin<'_>) -> String {
        let Origin { job, person, purpose, received_ms, request_key } = origin;
        // As JSON, in which no two origins are written alike.
        let origin = serde_json::json!([job.to_string(), person, purpose, received_ms, request_key]);
        self.rows.token_hex(&origin.to_string())
    }

    /// The token by which a repeated request is recognised.
    pub(super) fn token(&self, request: &str) -> String {
        self.requests.token_hex(request)
    }
}

fn place(job: JobId, column: Column) -> Vec<u8> {
    associated_data("obscura job text", &[column.name().as_bytes(), job.to_string().as_bytes()])
}

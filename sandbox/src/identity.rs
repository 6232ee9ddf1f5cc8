//! An identity provider (OpenID Connect): recognises the accounts of its tokens, by the keys that it publishes.
//!
//! It knows no person and no role of ours: a token names an account of the issuer, and gives no permission here. Keys are
//! fetched when a token first needs them, kept, and fetched anew when they are old or one is unknown.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::RwLock;

use jiff::SignedDuration;
use jiff::Timestamp;
use jsonwebtoken::DecodingKey;
use tokio::sync::Mutex;
use tokio::sync::Semaphore;

use crate::clock::Clock;
use crate::config::identity::OidcSettings;
use crate::error::AppError;
use crate::error::InternalError;
use crate::error::operator_log::OperatorLog;

mod account;
mod keys;
mod signatures;
mod source;
mod token;

pub use account::Account;
pub use account::AccountError;
pub use token::TokenFault;

use keys::PublishedKeys;
use source::Discovery;
use source::Fault;
use source::KeySource;
use token::ShownToken;

/// Keys older than this are fetched anew before they are used again.
const REFRESH_AFTER: SignedDuration = SignedDuration::from_mins(5);
/// Keys older than this are not honoured, whether or not the issuer answers: one that it took away is worth nothing then.
const KEYS_AGE_MAX: SignedDuration = SignedDuration::from_mins(60);
/// The issuer is asked at most once in this time, whatever strangers show us.
const ASK_AT_MOST_EVERY: SignedDuration = SignedDuration::from_secs(15);
/// Requests that wait at a time while the issuer is asked: strangers can make more than it is worth to keep.
const WAITING_MAX: usize = 64;
/// Shortest time between two log lines with the same reason for refusing tokens.
const NOTE_AT_MOST_EVERY: SignedDuration = SignedDuration::from_mins(1);
/// Subject of the provider's faults in the operator's log.
const LOG_SUBJECT: &str = "identity-provider";

/// Recognises the tokens of one issuer.
#[derive(Debug)]
pub struct IdentityProvider {
    issuer: String,
    audience: String,
    source: Arc<dyn KeySource>,
    clock: Arc<dyn Clock>,
    log: OperatorLog,
    known: RwLock<Option<Arc<Known>>>,
    /// Places for requests that wait while the issuer is asked.
    waiting: Semaphore,
    /// The outcome of the last fetch from the issuer; held while it is being asked, so that it is asked once.
    asked: Mutex<Option<Asked>>,
    /// When each reason for a refusal was last written down.
    noted: std::sync::Mutex<BTreeMap<TokenFault, Timestamp>>,
}

#[derive(Debug)]
struct Known {
    keys: PublishedKeys,
    fetched: Timestamp,
}

#[derive(Debug, Clone, Copy)]
struct Asked {
    at: Timestamp,
    answered: Result<(), Fault>,
}

/// The account that a token is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The account at the issuer.
    pub account: Account,
    /// The words after `obscura:` in the token's scope, when there are any: roles are narrowed to these.
    pub narrowed_to: Option<BTreeSet<String>>,
    /// When the token ends.
    pub expires: Timestamp,
}

/// The reason why a token was not honoured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdentityError {
    /// It is not valid; why not is the operator's business alone.
    NotValid(TokenFault),
    /// The issuer does not answer, and without its keys nothing can be said.
    Unreachable,
}

impl IdentityProvider {
    /// Takes the settings; nothing is fetched yet.
    ///
    /// # Errors
    /// When the file of roots cannot be used.
    pub fn new(settings: &OidcSettings, clock: Arc<dyn Clock>, log: OperatorLog) -> Result<Self, AppError> {
        let source = Discovery::of(settings)?;
        Ok(Self::over(settings, Arc::new(source), clock, log))
    }

    fn over(
        settings: &OidcSettings,
        source: Arc<dyn KeySource>,
        clock: Arc<dyn Clock>,
        log: OperatorLog,
    ) -> Self {
        signatures::install();
        Self {
            issuer: settings.issuer.to_string(),
            audience: settings.audience.clone(),
            source,
            clock,
            log,
            known: RwLock::default(),
            waiting: Semaphore::new(WAITING_MAX),
            asked: Mutex::default(),
            noted: std::sync::Mutex::default(),
        }
    }

    /// The issuer of these tokens.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Recognises the account that a token is about.
    ///
    /// # Errors
    /// When the token is not valid, or the issuer's keys are not to be had.
    pub async fn recognise(&self, text: &str) -> Result<Identity, IdentityError> {
        let recognised = self.judge(text).await;
        if let Err(IdentityError::NotValid(fault)) = recognised {
            self.note_refusal(fault);
        }
        recognised
    }

    async fn judge(&self, text: &str) -> Result<Identity, IdentityError> {
        let shown = ShownToken::read(text).map_err(IdentityError::NotValid)?;
        let key = self.key_of(&shown).await?;
        let claims = shown.verify(&key).map_err(IdentityError::NotValid)?;
        claims.judge(&self.issuer, &self.audience, self.clock.now()).map_err(IdentityError::NotValid)
    }

    /// Tells the operator why a token was refused. Each reason is written once a minute at most, so that strangers cannot
    /// fill the log.
    pub(crate) fn note_refusal(&self, fault: TokenFault) {
        let now = self.clock.now();
        {
            let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
            if noted.get(&fault).is_some_and(|last| self.age(*last) < NOTE_AT_MOST_EVERY) {
                return;
            }
            noted.insert(fault, now);
        }
        let error = InternalError::of_kind("honour a token of the identity provider", fault.phrase());
        // The caller gets the same answer if the line cannot be written.
        let _unwritable = self.log.note(now, LOG_SUBJECT, &error);
    }

    /// Fetches the keys and says how many of them can be used.
    ///
    /// # Errors
    /// When the issuer does not answer, or with something else.
    pub async fn look(&self) -> Result<usize, IdentityError> {
        let mut asked = self.asked.lock().await;
        self.ask(&mut asked).await.map_err(|_noted| IdentityError::Unreachable)?;
        Ok(self.known().map_or(0, |known| known.keys.count()))
    }

    /// The key that a token names: a fresh one, or a known one while the issuer does not answer.
    async fn key_of(&self, shown: &ShownToken<'_>) -> Result<DecodingKey, IdentityError> {
        let known = self.find(shown, REFRESH_AFTER);
        if let Some(key) = known {
            return Ok(key);
        }
        let answered = match (self.find(shown, KEYS_AGE_MAX), self.asked.try_lock()) {
            // Another request asks already, and until it has an answer the known key is good.
            (Some(key), Err(_)) => return Ok(key),
            (_, Ok(mut asked)) => self.ask_unless_just_asked(&mut asked).await,
            (None, Err(_)) => {
                let _seat = self.waiting.try_acquire().map_err(|_full| IdentityError::Unreachable)?;
                self.ask_unless_just_asked(&mut *self.asked.lock().await).await
            }
        };
        match (self.find(shown, KEYS_AGE_MAX), answered) {
            (Some(key), _) => Ok(key),
            (None, Ok(())) => Err(IdentityError::NotValid(TokenFault::Key)),
            (None, Err(_)) => Err(IdentityError::Unreachable),
        }
    }

    async fn ask_unless_just_asked(&self, asked: &mut Option<Asked>) -> Result<(), Fault> {
        match asked {
            Some(last) if self.age(last.at) < ASK_AT_MOST_EVERY => last.answered,
            _ => self.ask(asked).await,
        }
    }

    async fn ask(&self, asked: &mut Option<Asked>) -> Result<(), Fault> {
        let source = Arc::clone(&self.source);
        let fetched = tokio::task::spawn_blocking(move || source.fetch()).await;
        let at = self.clock.now();
        let answered = match fetched.unwrap_or(Err(Fault::Panicked)) {
            Ok(keys) => {
                let known = Some(Arc::new(Known { keys, fetched: at }));
                *self.known.write().unwrap_or_else(PoisonError::into_inner) = known;
                Ok(())
            }
            Err(fault) => {
                let error = InternalError::of_kind("fetch the keys of the identity provider", fault.phrase());
                // The asker is told of the fault even if the line cannot be written.
                let _unwritable = self.log.note(at, LOG_SUBJECT, &error);
                Err(fault)
            }
        };
        *asked = Some(Asked { at, answered });
        answered
    }

    /// The key that a token names, if it is known and no older than this.
    fn find(&self, shown: &ShownToken<'_>, age_max: SignedDuration) -> Option<DecodingKey> {
        let known = self.known().filter(|known| self.age(known.fetched) < age_max)?;
        known.keys.find(shown.key_id(), shown.algorithm()).cloned()
    }

    fn known(&self) -> Option<Arc<Known>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Time since an earlier moment; a clock that was set back counts the same way.
    fn age(&self, then: Timestamp) -> SignedDuration {
        self.clock.now().duration_since(then).abs()
    }
}

#[cfg(test)]
mod tests;

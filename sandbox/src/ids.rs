//! Typed identifiers: one registry of prefixes, each identifier a UUIDv7 that sorts by the time it was made.
//! It reads neither the clock nor the random source by itself.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;
use uuid::Builder;
use uuid::Uuid;

use crate::clock::Clock;
use crate::clock::Random;
use crate::clock::RandomError;

/// An identifier that does not have the form its type promises.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("an identifier of the form `{prefix}...` was expected")]
pub struct IdError {
    prefix: &'static str,
}

impl IdError {
    /// The prefix that the identifier should have.
    #[must_use]
    pub const fn prefix(&self) -> &'static str {
        self.prefix
    }
}

/// Makes one type per line: `Name, "prefix", "what it identifies"`.
macro_rules! registry {
    ($($name:ident, $prefix:literal, $doc:literal;)*) => {
        $(
            #[doc = $doc]
            #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
            pub struct $name(Uuid);

            impl $name {
                /// The prefix of the text form of this identifier.
                pub const PREFIX: &'static str = $prefix;

                /// Makes a new identifier.
                ///
                /// # Errors
                /// When the random source fails.
                pub fn new(clock: &dyn Clock, random: &dyn Random) -> Result<Self, RandomError> {
                    Ok(Self(uuid_v7(clock, random)?))
                }
            }

            impl fmt::Display for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    write!(f, "{}{}", $prefix, self.0.as_simple())
                }
            }

            impl FromStr for $name {
                type Err = IdError;

                fn from_str(text: &str) -> Result<Self, IdError> {
                    let wrong = IdError { prefix: $prefix };
                    let hex = text.strip_prefix($prefix).ok_or_else(|| wrong.clone())?;
                    if hex.len() != 32 {
                        return Err(wrong);
                    }
                    Uuid::try_parse(hex).map(Self).map_err(|_| wrong)
                }
            }
        )*

        #[cfg(test)]
        const PREFIXES: &[&str] = &[$($prefix),*];
    };
}

// Append only: a prefix is never renamed or used again.
registry! {
    PersonId, "person_", "Identifies a person who may act here.";
    TokenId, "token_", "Identifies an access token (never the secret itself).";
    GrantId, "grant-", "Identifies a grant; a code of the policy language, hence the hyphen.";
    AccessRequestId, "access_", "Identifies a request for access: what may become a grant.";
    LinkId, "link_", "Identifies the link between a person and who they are to an identity provider.";
    ProposalId, "proposal_", "Identifies a policy that waits for a second person.";
    JobId, "job_", "Identifies a job: one question and what became of it.";
    EventId, "event_", "Identifies an event in the audit log.";
    RequestId, "request_", "Identifies one request: what the operator's log and the caller both call it.";
    InstallationId, "obscura_", "Identifies an installation: one data directory, one audit log.";
}

impl PersonId {
    /// Identifier of an unauthenticated caller: no person is ever given it.
    pub const NOBODY: Self = Self(Uuid::nil());
}

fn uuid_v7(clock: &dyn Clock, random: &dyn Random) -> Result<Uuid, RandomError> {
    let mut bytes = [0_u8; 10];
    random.fill(&mut bytes)?;
    let millis = u64::try_from(clock.now().as_millisecond()).unwrap_or(0);
    Ok(Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests may panic")]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::clock::SteppedClock;
    use crate::clock::SystemRandom;

    #[test]
    fn text_form_reads_back_as_the_same_identifier() {
        let clock = SteppedClock::at_second(1_800_000_000);
        let id = JobId::new(&clock, &SystemRandom).unwrap();
        assert_eq!(id.to_string().parse::<JobId>().unwrap(), id);
        assert!(id.to_string().starts_with("job_"));
    }

    #[test]
    fn identifier_of_another_kind_is_refused() {
        let clock = SteppedClock::at_second(1_800_000_000);
        let id = GrantId::new(&clock, &SystemRandom).unwrap();
        assert!(id.to_string().parse::<JobId>().is_err());
        assert!("job_".parse::<JobId>().is_err());
        assert!("job_xyz".parse::<JobId>().is_err());
    }

    #[test]
    fn later_identifiers_sort_after_earlier_ones() {
        let clock = SteppedClock::at_second(1_800_000_000);
        let first = JobId::new(&clock, &SystemRandom).unwrap();
        clock.advance_ms(5);
        let second = JobId::new(&clock, &SystemRandom).unwrap();
        assert!(first < second);
        assert!(first.to_string() < second.to_string());
    }

    #[test]
    fn no_two_kinds_share_a_prefix() {
        assert_eq!(PREFIXES.iter().collect::<BTreeSet<_>>().len(), PREFIXES.len());
    }
}

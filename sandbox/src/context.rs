//! The caller of a request: person, roles, door.
//! It knows no token and no database: authentication makes a [`Caller`], everything else only reads it.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use jiff::Timestamp;
use obscura_policies::vocabulary::PersonRole;
use thiserror::Error;
use tokio::sync::watch;

use crate::ids::PersonId;
use crate::ids::TokenId;

/// The way a request came in; recorded, never decisive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Door {
    /// The command line.
    CommandLine,
    /// The HTTP interface.
    Http,
    /// The demonstration city.
    Demo,
}

impl Door {
    /// The word used in the audit log.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::CommandLine => "command-line",
            Self::Http => "http",
            Self::Demo => "demo",
        }
    }
}

/// Name, place and roles of a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Identifier.
    pub id: PersonId,
    /// The name they are known by in grants; unique, never given to another.
    pub name: PersonName,
    /// Department they belong to, if any.
    pub department: Option<String>,
    /// District they belong to, if any.
    pub district: Option<String>,
    /// The roles that permit them to act.
    pub roles: BTreeSet<PersonRole>,
}

/// A person's name in commands and documents: lower-case letters, digits, `.`, `_`, `-`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PersonName(String);

/// A person's name that breaks its form.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("a person's name has 1 to 64 lower-case letters, digits, `.`, `_` or `-`, and begins with a letter")]
pub struct PersonNameError;

impl PersonName {
    /// The name of an unauthenticated caller; no person can have it, because names have no parentheses.
    pub(crate) fn of_strangers() -> Self {
        Self("(stranger)".to_owned())
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PersonName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for PersonName {
    type Err = PersonNameError;

    fn from_str(text: &str) -> Result<Self, PersonNameError> {
        let begins_well = text.chars().next().is_some_and(|c| c.is_ascii_lowercase());
        let spelled_well = text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-'));
        if begins_well && spelled_well && text.len() <= 64 {
            Ok(Self(text.to_owned()))
        } else {
            Err(PersonNameError)
        }
    }
}

/// The proof by which a caller was recognised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// Nothing: a stranger.
    Nobody,
    /// They have just made the installation.
    Founding,
    /// Nothing, just now: the person has asked before, and that request goes on.
    InAbsence,
    /// An access token of this installation.
    AccessToken(TokenId),
    /// A token of the identity provider: good for as long as the provider says, and for no longer.
    ProviderToken {
        /// Key of the link that it was recognised by.
        link: String,
        /// When it ends.
        expires: Timestamp,
    },
}

/// The connection of the asker: a caller who has broken off need not be waited for.
#[derive(Debug, Clone, Default)]
pub struct Presence(Option<watch::Receiver<()>>);

impl Presence {
    /// A caller who listens as long as the sender of this is kept.
    pub(crate) fn of(listening: watch::Receiver<()>) -> Self {
        Self(Some(listening))
    }

    /// Waits until the caller has broken off; for ever where that cannot be known.
    pub(crate) async fn gone(&self) {
        let Some(listening) = &self.0 else { return std::future::pending().await };
        let mut listening = listening.clone();
        while listening.changed().await.is_ok() {}
    }
}

/// The person a request acts for: made by authentication and by nothing else, or the unauthenticated caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    person: Person,
    door: Door,
    credential: Credential,
    /// Address that they came from, if over a network.
    address: Option<IpAddr>,
}

impl Caller {
    /// States that `person` was recognised at `door`.
    ///
    /// Only `app::people::authenticate` and `app::init` may call this: everywhere else a `Caller` is received.
    pub(crate) fn authenticated(person: Person, door: Door, credential: Credential) -> Self {
        Self { person, door, credential, address: None }
    }

    /// The same, who came from this address.
    #[must_use]
    pub(crate) fn at(self, address: Option<IpAddr>) -> Self {
        Self { address, ..self }
    }

    /// The address that they came from, where they came over a network. Recorded, never decisive.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// The proof by which they were recognised.
    #[must_use]
    pub fn credential(&self) -> &Credential {
        &self.credential
    }

    /// The unauthenticated caller, who holds no role and reaches open data only.
    #[must_use]
    pub(crate) fn stranger(door: Door) -> Self {
        let person = Person {
            id: PersonId::NOBODY,
            name: PersonName::of_strangers(),
            department: None,
            district: None,
            roles: BTreeSet::new(),
        };
        Self { person, door, credential: Credential::Nobody, address: None }
    }

    /// True if no person has been recognised.
    #[must_use]
    pub fn is_stranger(&self) -> bool {
        self.person.id == PersonId::NOBODY
    }

    /// The person.
    #[must_use]
    pub fn person(&self) -> &Person {
        &self.person
    }

    /// The way they came in.
    #[must_use]
    pub fn door(&self) -> Door {
        self.door
    }

    /// True if they hold this role.
    #[must_use]
    pub fn holds(&self, role: PersonRole) -> bool {
        self.person.roles.contains(&role)
    }

    /// True if this is theirs, asked as an analyst: a token that carries only other roles of the same person does not reach
    /// the person's questions.
    #[must_use]
    pub fn asked_as(&self, person: &str) -> bool {
        self.holds(PersonRole::Analyst) && self.person.name.as_str() == person
    }

    /// True if they are a steward of this department.
    #[must_use]
    pub fn is_steward_of(&self, department: &str) -> bool {
        self.holds(PersonRole::Steward) && self.person.department.as_deref() == Some(department)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests may panic")]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_be_mistaken_are_refused() {
        for wrong in ["", "Lin", "9lin", "lin fang", "林", "lin/../x", &"a".repeat(65)] {
            assert!(wrong.parse::<PersonName>().is_err(), "{wrong}");
        }
        assert_eq!("lin.fang-2".parse::<PersonName>().unwrap().as_str(), "lin.fang-2");
    }

    #[test]
    fn a_stranger_is_nobody_and_holds_nothing() {
        let stranger = Caller::stranger(Door::Http);
        assert!(stranger.is_stranger());
        let name = stranger.person().name.as_str();
        assert!(name.parse::<PersonName>().is_err(), "nobody can be given the name");
        assert!(stranger.person().roles.is_empty() && !stranger.asked_as(name));
    }
}

//! Everybody who acts in the story, each with a token of their own and a desk at the city's server.

use std::collections::BTreeSet;
use std::path::Path;
use std::path::PathBuf;

use obscura_policies::vocabulary::PersonRole;

use crate::app::people::add_person::AddPerson;
use crate::app::people::add_person::add_person;
use crate::app::people::authenticate::authenticate;
use crate::app::people::authenticate::read_token;
use crate::app::people::create_token::CreateToken;
use crate::app::people::create_token::create_token;
use crate::city::story::CHARACTERS;
use crate::cli::client::Client;
use crate::cli::commands::demo::broken;
use crate::cli::desk::Desk;
use crate::cli::screen::Screen;
use crate::cli::session::Ending;
use crate::config::server::ServerAddress;
use crate::context::Caller;
use crate::context::Door;
use crate::installation::Installation;

/// Everybody who acts.
pub(super) struct People {
    guests: Vec<Guest>,
}

/// A person who acts.
pub(super) struct Guest {
    /// The caller in the installation, for sealing, which a server does not offer.
    pub(super) caller: Caller,
    /// The desk at the server.
    pub(super) desk: Desk,
}

impl People {
    /// Adds everybody and makes their tokens.
    pub(super) async fn arrive(
        installation: &Installation,
        operator: &Caller,
        dir: &Path,
        (server, screen): (&ServerAddress, &Screen<'_>),
    ) -> Result<Self, Ending> {
        let mut guests = Vec::new();
        for character in &CHARACTERS {
            let name = character.id.parse().map_err(|_| broken("a character has no name"))?;
            let keeps = !matches!(character.role, PersonRole::Analyst | PersonRole::Steward);
            let request = AddPerson {
                name,
                roles: BTreeSet::from([character.role]),
                department: (!keeps).then(|| character.department.to_owned()),
                district: None,
            };
            let person = add_person(installation, operator, request).await?;
            let file = token_file(dir, character.id);
            let request = CreateToken { person: person.name, days: 30, roles: None };
            create_token(installation, operator, request).await?.text.write_new(&file)?;
            let caller = authenticate(installation, Some(&file), Door::Demo).await?;
            let desk = Desk::Server(Client::new(server, read_token(Some(&file))?, screen)?);
            guests.push(Guest { caller, desk });
        }
        Ok(Self { guests })
    }

    /// A person of the story.
    pub(super) fn named(&self, name: &str) -> Result<&Guest, Ending> {
        let found = self.guests.iter().find(|guest| guest.caller.person().name.as_str() == name);
        found.ok_or_else(|| broken("a character is missing"))
    }

    /// The one who checks.
    pub(super) fn auditor(&self) -> Result<&Guest, Ending> {
        self.with(PersonRole::Auditor).next().ok_or_else(|| broken("nobody checks"))
    }

    /// The steward who writes policies, and the one who reviews them.
    pub(super) fn stewards(&self) -> Result<(&Guest, &Guest), Ending> {
        let mut stewards = self.with(PersonRole::Steward);
        stewards.next().zip(stewards.next()).ok_or_else(|| broken("a policy needs two stewards"))
    }

    /// Those who hold a role, in the order in which they arrived.
    fn with(&self, role: PersonRole) -> impl Iterator<Item = &Guest> {
        self.guests.iter().filter(move |guest| guest.caller.holds(role))
    }
}

/// File of a person's token.
pub(super) fn token_file(dir: &Path, name: &str) -> PathBuf {
    dir.join(format!("{name}.token"))
}

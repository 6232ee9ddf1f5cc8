//! Use case: who the caller is to this installation, what they were recognised by, and the grants that hold for them.
//! The account at the identity provider is personal and kept as a token only; its issuer and link are told.

use jiff::Timestamp;
use obscura_policies::document::Grant;

use crate::app::documents::grants::GrantSummary;
use crate::app::people::link_person::LinkSummary;
use crate::app::people::link_person::links;
use crate::catalog::body::GrantBody;
use crate::catalog::body::TokenBody;
use crate::context::Caller;
use crate::context::Credential;
use crate::context::Person;
use crate::error::AppError;
use crate::installation::Installation;
use crate::installation::library::grants_in_force;
use crate::installation::library::holds_on;
use crate::installation::library::today;

/// The identity of a caller.
#[derive(Debug, Clone)]
pub struct Whoami {
    /// The person, with the roles that they have now.
    pub person: Person,
    /// The token that they were recognised by, if any.
    pub identity: IdentitySource,
    /// Until when that is good, where it ends.
    pub expires: Option<Timestamp>,
    /// The link by which tokens of the identity provider act for them too.
    pub link: Option<LinkSummary>,
    /// Their own grants that hold today.
    pub grants: Vec<GrantSummary>,
}

/// The token that a caller was recognised by, if any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdentitySource {
    /// An access token of this installation.
    AccessToken(String),
    /// A token of the identity provider.
    IdentityProvider,
    /// They act for themself here, with no token: while the installation is made, or for a job of theirs that goes on.
    Installation,
}

impl IdentitySource {
    /// The word for it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::AccessToken(_) => "access_token",
            Self::IdentityProvider => "identity_provider",
            Self::Installation => "installation",
        }
    }
}

/// Says who the caller is.
///
/// # Errors
/// When the database or the log cannot be read.
pub async fn whoami(installation: &Installation, caller: &Caller) -> Result<Whoami, AppError> {
    let person = caller.person();
    let (identity, expires) = match caller.credential() {
        Credential::AccessToken(id) => {
            let id = id.to_string();
            let token = installation.find_in_force::<TokenBody>(&id).await?;
            (IdentitySource::AccessToken(id), token.map(|token| token.expires))
        }
        Credential::ProviderToken { expires, .. } => (IdentitySource::IdentityProvider, Some(*expires)),
        Credential::Nobody | Credential::Founding | Credential::InAbsence => {
            (IdentitySource::Installation, None)
        }
    };
    let today = today(installation);
    let own = grants_in_force(installation, Some(person.name.as_str())).await?;
    let own = own.into_iter().filter(|(_, grant)| caller.asked_as(&grant.person) && holds_on(grant, today));
    let summary = |(body, grant): (GrantBody, Grant)| GrantSummary {
        grant,
        granted_by: body.granted_by,
        warnings: Vec::new(),
    };
    let link = links(installation, Some(&person.name)).await?.into_iter().next();
    Ok(Whoami { person: person.clone(), identity, expires, link, grants: own.map(summary).collect() })
}

//! The bearer of a token on the wire.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::grants::GrantView;
use crate::api::tokens::LinkView;
use crate::app::closed_words::PersonRoleWord;
use crate::app::people::whoami::IdentitySource;
use crate::app::people::whoami::Whoami;

/// A person.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Me {
    /// Identifier.
    pub(crate) id: String,
    /// Name in grants and in the audit log.
    pub(crate) name: String,
    /// Department, if any.
    pub(crate) department: Option<String>,
    /// District, if any.
    pub(crate) district: Option<String>,
    /// Their roles, as far as this token carries them.
    #[schema(value_type = BTreeSet<PersonRoleWord>)]
    pub(crate) roles: BTreeSet<String>,
    /// The evidence of who they are.
    pub(crate) identity: IdentityView,
    /// The link by which tokens of the identity provider act for them too, if there is one.
    #[serde(default)]
    pub(crate) link: Option<LinkView>,
    /// Their own grants that hold today.
    pub(crate) grants: Vec<GrantView>,
}

/// The evidence by which a person was recognised.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Identity)]
pub(crate) struct IdentityView {
    /// `access_token` of this installation, `identity_provider`, or `installation` itself.
    pub(crate) source: String,
    /// Identifier of the access token.
    pub(crate) token: Option<String>,
    /// Until when it is good.
    #[schema(format = DateTime)]
    pub(crate) expires: Option<String>,
}

impl Me {
    pub(crate) fn of(found: &Whoami) -> Self {
        let person = &found.person;
        let token = match &found.identity {
            IdentitySource::AccessToken(id) => Some(id.clone()),
            IdentitySource::IdentityProvider | IdentitySource::Installation => None,
        };
        Self {
            id: person.id.to_string(),
            name: person.name.to_string(),
            department: person.department.clone(),
            district: person.district.clone(),
            roles: person.roles.iter().map(|role| role.as_str().to_owned()).collect(),
            identity: IdentityView {
                source: found.identity.name().to_owned(),
                token,
                expires: found.expires.map(|at| at.to_string()),
            },
            link: found.link.clone().map(LinkView::of),
            grants: found.grants.iter().map(GrantView::of).collect(),
        }
    }
}

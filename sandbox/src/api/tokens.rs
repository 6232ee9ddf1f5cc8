//! Access tokens, and links to accounts at the identity provider, on the wire.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::closed_words::PersonRoleWord;
use crate::app::people::create_token::TokenSummary;
use crate::app::people::link_person::LinkSummary;

/// A token; never its text.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Token)]
pub(crate) struct TokenView {
    /// Identifier.
    pub(crate) id: String,
    /// The person it acts for.
    pub(crate) person: String,
    /// The roles that it carries; all of the person's when nothing.
    #[schema(value_type = Option<BTreeSet<PersonRoleWord>>)]
    pub(crate) roles: Option<BTreeSet<String>>,
    /// Until when it is good.
    #[schema(format = DateTime)]
    pub(crate) expires: String,
    /// When it was last used, to a quarter of an hour.
    #[schema(format = DateTime)]
    pub(crate) used: Option<String>,
}

impl TokenView {
    pub(crate) fn of(token: TokenSummary) -> Self {
        let TokenSummary { id, person, expires, roles, used } = token;
        Self { id, person, roles, expires: expires.to_string(), used: used.map(|used| used.to_string()) }
    }
}

/// A link to an account at the identity provider, whose tokens act for a person; never the account.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Link)]
pub(crate) struct LinkView {
    /// Identifier.
    pub(crate) id: String,
    /// The person.
    pub(crate) person: String,
    /// The issuer, as its tokens name it.
    pub(crate) issuer: String,
    /// Since when.
    #[schema(format = DateTime)]
    pub(crate) since: Option<String>,
    /// The admin who linked them.
    pub(crate) linked_by: String,
}

impl LinkView {
    pub(crate) fn of(link: LinkSummary) -> Self {
        let LinkSummary { id, person, issuer, since, linked_by } = link;
        Self { id, person, issuer, since: since.map(|since| since.to_string()), linked_by }
    }
}

/// Tokens in force, and links beside them.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct TokenList {
    /// The tokens.
    pub(crate) tokens: Vec<TokenView>,
    /// The links by which tokens of the identity provider act for these people.
    #[serde(default)]
    pub(crate) links: Vec<LinkView>,
}

/// A token to make.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TokenWish {
    /// The person it acts for: yourself when not given.
    pub(crate) person: Option<String>,
    /// The number of days that it is valid.
    #[schema(minimum = 1, maximum = 366)]
    pub(crate) days: u32,
    /// The roles that it carries; all when not given.
    #[schema(value_type = Option<BTreeSet<PersonRoleWord>>)]
    pub(crate) roles: Option<BTreeSet<String>>,
}

/// A new token.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct TokenGift {
    /// The facts of it that may be shown at any time.
    #[serde(flatten)]
    pub(crate) summary: TokenView,
    /// Its text: shown now and never again.
    pub(crate) token: String,
}

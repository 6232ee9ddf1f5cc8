//! The caller's own account, requests for access, and access tokens.

use std::collections::BTreeSet;

use zeroize::Zeroizing;

use crate::api::grants::AccessRequestList;
use crate::api::grants::AccessRequestView;
use crate::api::grants::AccessWish;
use crate::api::grants::DecisionWish;
use crate::api::grants::DecisionWord;
use crate::api::grants::GrantedDatasetView;
use crate::api::me::Me;
use crate::api::tokens::LinkView;
use crate::api::tokens::TokenGift;
use crate::api::tokens::TokenList;
use crate::api::tokens::TokenView;
use crate::api::tokens::TokenWish;
use crate::app::documents::access_requests::AccessDecision;
use crate::app::documents::access_requests::REQUESTS_MAX;
use crate::app::documents::access_requests::RequestAccess;
use crate::app::documents::access_requests::decide_access_request;
use crate::app::documents::access_requests::list_access_requests;
use crate::app::documents::access_requests::request_access;
use crate::app::documents::access_requests::show_access_request;
use crate::app::documents::access_requests::withdraw_access_request;
use crate::app::people::create_token::CreateToken;
use crate::app::people::create_token::create_token;
use crate::app::people::create_token::list_links;
use crate::app::people::create_token::list_tokens;
use crate::app::people::create_token::revoke_token;
use crate::app::people::token::TokenText;
use crate::app::people::whoami::whoami;
use crate::cli::client::Sent;
use crate::cli::client::step;
use crate::cli::client::unexpected;
use crate::cli::desk::Desk;
use crate::cli::session::Ending;
use crate::ids::TokenId;

impl Desk {
    /// Says who asks.
    pub(crate) async fn whoami(&self) -> Result<Me, Ending> {
        match self {
            Self::Here { installation, caller } => Ok(Me::of(&whoami(installation, caller).await?)),
            Self::Server(client) => client.get("/me").await,
        }
    }

    /// Asks for access.
    pub(crate) async fn request_access(&self, request: RequestAccess) -> Result<AccessRequestView, Ending> {
        match self {
            Self::Here { installation, caller } => {
                Ok(AccessRequestView::of(request_access(installation, caller, request).await?))
            }
            Self::Server(client) => {
                let wish = AccessWish {
                    purpose: request.purpose.to_string(),
                    datasets: request.datasets.iter().map(GrantedDatasetView::of).collect(),
                    until: request.until.to_string(),
                    reason: request.reason,
                };
                client.post("/requests", Sent::json(&wish)?).await
            }
        }
    }

    /// Shows one request for access.
    pub(crate) async fn access_request(&self, id: &str) -> Result<AccessRequestView, Ending> {
        match self {
            Self::Here { installation, caller } => {
                Ok(AccessRequestView::of(show_access_request(installation, caller, id).await?))
            }
            Self::Server(client) => client.get(&format!("/requests/{}", step(id))).await,
        }
    }

    /// Lists requests for access, the newest.
    pub(crate) async fn access_requests(&self) -> Result<Vec<AccessRequestView>, Ending> {
        match self {
            Self::Here { installation, caller } => {
                let page = list_access_requests(installation, caller, None, REQUESTS_MAX).await?;
                Ok(page.requests.into_iter().map(AccessRequestView::of).collect())
            }
            Self::Server(client) => {
                let path = format!("/requests?limit={REQUESTS_MAX}");
                Ok(client.get::<AccessRequestList>(&path).await?.requests)
            }
        }
    }

    /// Decides on a request.
    pub(crate) async fn decide(
        &self,
        id: &str,
        decision: DecisionWord,
        reason: Option<String>,
    ) -> Result<AccessRequestView, Ending> {
        match self {
            Self::Here { installation, caller } => {
                let decision = AccessDecision::from(decision);
                let decided = decide_access_request(installation, caller, id, decision, reason).await?;
                Ok(AccessRequestView::of(decided))
            }
            Self::Server(client) => {
                let wish = Sent::json(&DecisionWish { decision, reason })?;
                client.post(&format!("/requests/{}/decision", step(id)), wish).await
            }
        }
    }

    /// Takes back a request of one's own.
    pub(crate) async fn withdraw_request(&self, id: &str) -> Result<(), Ending> {
        match self {
            Self::Here { installation, caller } => {
                withdraw_access_request(installation, caller, id).await?;
                Ok(())
            }
            Self::Server(client) => client.delete(&format!("/requests/{}", step(id))).await.map(drop),
        }
    }

    /// Makes a token.
    pub(crate) async fn create_token(&self, request: CreateToken) -> Result<(TokenView, TokenText), Ending> {
        match self {
            Self::Here { installation, caller } => {
                let made = create_token(installation, caller, request).await?;
                Ok((TokenView::of(made.summary), made.text))
            }
            Self::Server(client) => {
                let names = |role: obscura_policies::vocabulary::PersonRole| role.as_str().to_owned();
                let wish = TokenWish {
                    person: Some(request.person.to_string()),
                    days: request.days,
                    roles: request.roles.map(|roles| roles.into_iter().map(names).collect::<BTreeSet<_>>()),
                };
                let TokenGift { summary, token } = client.post("/tokens", Sent::json(&wish)?).await?;
                let token = Zeroizing::new(token);
                Ok((summary, TokenText::parse(&token).ok_or_else(unexpected)?))
            }
        }
    }

    /// Lists the tokens in force, and the links beside them.
    pub(crate) async fn tokens(&self) -> Result<TokenList, Ending> {
        match self {
            Self::Here { installation, caller } => {
                let tokens = list_tokens(installation, caller).await?.into_iter().map(TokenView::of);
                let links = list_links(installation, caller).await?.into_iter().map(LinkView::of);
                Ok(TokenList { tokens: tokens.collect(), links: links.collect() })
            }
            Self::Server(client) => client.get::<TokenList>("/tokens").await,
        }
    }

    /// Revokes a token.
    pub(crate) async fn revoke_token(&self, id: TokenId) -> Result<(), Ending> {
        match self {
            Self::Here { installation, caller } => Ok(revoke_token(installation, caller, id).await?),
            Self::Server(client) => client.delete(&format!("/tokens/{id}")).await.map(drop),
        }
    }
}

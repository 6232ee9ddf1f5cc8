//! Documents, policies and grants.

use crate::api::grants::GrantList;
use crate::api::grants::GrantView;
use crate::api::grants::GrantWish;
use crate::api::grants::GrantedDatasetView;
use crate::api::policies::DocumentFileView;
use crate::api::policies::DocumentFiles;
use crate::api::policies::DocumentList;
use crate::api::policies::DocumentState;
use crate::api::policies::DocumentTextView;
use crate::api::policies::DocumentView;
use crate::api::policies::VersionWish;
use crate::app::documents::grants::CreateGrant;
use crate::app::documents::grants::create_grant;
use crate::app::documents::grants::create_grants;
use crate::app::documents::grants::list_grants;
use crate::app::documents::grants::revoke_grant;
use crate::app::documents::publish_documents::DocumentFile;
use crate::app::documents::publish_documents::activate_policy;
use crate::app::documents::publish_documents::check_documents;
use crate::app::documents::publish_documents::list_documents;
use crate::app::documents::publish_documents::list_proposals;
use crate::app::documents::publish_documents::publish_documents;
use crate::app::documents::publish_documents::withdraw_policy;
use crate::app::documents::show_document::show_document;
use crate::cli::client::Sent;
use crate::cli::client::step;
use crate::cli::desk::Desk;
use crate::cli::session::Ending;

impl Desk {
    /// Lists the documents in force.
    pub(crate) async fn documents(&self) -> Result<Vec<DocumentView>, Ending> {
        match self {
            Self::Here { installation, caller } => {
                Ok(list_documents(installation, caller).await?.into_iter().map(DocumentView::of).collect())
            }
            Self::Server(client) => {
                let listed: DocumentList = client.get("/policies").await?;
                let is_in_force = |view: &DocumentView| view.state != DocumentState::Proposed;
                Ok(listed.documents.into_iter().filter(is_in_force).collect())
            }
        }
    }

    /// Lists the policies that wait for a second person.
    pub(crate) async fn proposals(&self) -> Result<Vec<DocumentView>, Ending> {
        match self {
            Self::Here { installation, caller } => {
                let waiting = list_proposals(installation, caller).await?;
                Ok(waiting.into_iter().map(DocumentView::waiting).collect())
            }
            Self::Server(client) => {
                let listed: DocumentList = client.get("/policies").await?;
                let waits = |view: &DocumentView| view.state == DocumentState::Proposed;
                Ok(listed.documents.into_iter().filter(waits).collect())
            }
        }
    }

    /// A document as it was written.
    pub(crate) async fn document(&self, id: &str, version: Option<u32>) -> Result<DocumentTextView, Ending> {
        match self {
            Self::Here { installation, caller } => {
                Ok(DocumentTextView::of(show_document(installation, caller, id, version).await?))
            }
            Self::Server(client) => {
                let version = version.map_or_else(String::new, |version| format!("?version={version}"));
                client.get(&format!("/policies/{}{version}", step(id))).await
            }
        }
    }

    /// Checks documents.
    pub(crate) async fn check_documents(
        &self,
        files: Vec<DocumentFile>,
    ) -> Result<Vec<DocumentView>, Ending> {
        match self {
            Self::Here { installation, caller } => {
                let checked = check_documents(installation, caller, &files).await?;
                Ok(checked.into_iter().map(DocumentView::of).collect())
            }
            Self::Server(client) => {
                Ok(client.post::<DocumentList>("/policies/check", sent(files)?).await?.documents)
            }
        }
    }

    /// Puts documents in force, and policies before a second person.
    pub(crate) async fn publish(&self, files: Vec<DocumentFile>) -> Result<Vec<DocumentView>, Ending> {
        match self {
            Self::Here { installation, caller } => {
                let published = publish_documents(installation, caller, &files).await?;
                Ok(published.into_iter().map(DocumentView::of).collect())
            }
            Self::Server(client) => {
                Ok(client.post::<DocumentList>("/policies", sent(files)?).await?.documents)
            }
        }
    }

    /// Puts a policy in force that another person has proposed.
    pub(crate) async fn activate(&self, policy: &str, version: u32) -> Result<DocumentView, Ending> {
        match self {
            Self::Here { installation, caller } => {
                Ok(DocumentView::of(activate_policy(installation, caller, policy, version).await?))
            }
            Self::Server(client) => {
                let wish = Sent::json(&VersionWish { version })?;
                client.post(&format!("/policies/{}/activate", step(policy)), wish).await
            }
        }
    }

    /// Takes back a policy that waits.
    pub(crate) async fn withdraw_policy(&self, policy: &str, version: u32) -> Result<(), Ending> {
        match self {
            Self::Here { installation, caller } => {
                Ok(withdraw_policy(installation, caller, policy, version).await?)
            }
            Self::Server(client) => {
                let wish = Sent::json(&VersionWish { version })?;
                let path = format!("/policies/{}/withdraw", step(policy));
                client.ask(axum::http::Method::POST, &path, wish).await?;
                Ok(())
            }
        }
    }

    /// Lists the grants in force.
    pub(crate) async fn grants(&self) -> Result<Vec<GrantView>, Ending> {
        match self {
            Self::Here { installation, caller } => {
                Ok(list_grants(installation, caller).await?.iter().map(GrantView::of).collect())
            }
            Self::Server(client) => Ok(client.get::<GrantList>("/grants").await?.grants),
        }
    }

    /// Gives a grant.
    pub(crate) async fn grant(&self, request: CreateGrant) -> Result<GrantView, Ending> {
        match self {
            Self::Here { installation, caller } => {
                Ok(GrantView::of(&create_grant(installation, caller, request).await?))
            }
            Self::Server(client) => {
                let wish = GrantWish {
                    person: request.person.to_string(),
                    purpose: request.purpose.to_string(),
                    datasets: request.datasets.iter().map(GrantedDatasetView::of).collect(),
                    until: request.until.to_string(),
                };
                let given: GrantList = client.post("/grants", Sent::json(&wish)?).await?;
                given.grants.into_iter().next().ok_or_else(crate::cli::client::unexpected)
            }
        }
    }

    /// Gives the grants of a file.
    pub(crate) async fn grants_of(&self, file: &DocumentFile) -> Result<Vec<GrantView>, Ending> {
        match self {
            Self::Here { installation, caller } => {
                Ok(create_grants(installation, caller, file).await?.iter().map(GrantView::of).collect())
            }
            Self::Server(client) => {
                Ok(client.post::<GrantList>("/grants", Sent::yaml(&file.text)).await?.grants)
            }
        }
    }

    /// Revokes a grant.
    pub(crate) async fn revoke_grant(&self, id: &str) -> Result<(), Ending> {
        match self {
            Self::Here { installation, caller } => Ok(revoke_grant(installation, caller, id).await?),
            Self::Server(client) => client.delete(&format!("/grants/{}", step(id))).await.map(drop),
        }
    }
}

fn sent(files: Vec<DocumentFile>) -> Result<Sent, Ending> {
    let file = |DocumentFile { name, text }| DocumentFileView { name, text };
    Sent::json(&DocumentFiles { files: files.into_iter().map(file).collect() })
}

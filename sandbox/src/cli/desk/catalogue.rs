//! The catalogue: datasets and purposes that the caller may see.

use obscura_policies::vocabulary::DatasetId;

use crate::api::datasets::DatasetDetailView;
use crate::api::datasets::DatasetList;
use crate::api::datasets::DatasetView;
use crate::api::purposes::PurposeList;
use crate::api::purposes::PurposeView;
use crate::app::data::datasets::list_datasets;
use crate::app::data::datasets::show_dataset;
use crate::app::data::no_dataset::no_dataset_named;
use crate::app::documents::purposes::list_purposes;
use crate::cli::client::step;
use crate::cli::desk::Desk;
use crate::cli::session::Ending;
use crate::error::AppError;
use crate::error::Class;

impl Desk {
    /// Lists the datasets that the caller may see and that a search finds.
    pub(crate) async fn datasets(&self, search: &str) -> Result<Vec<DatasetView>, Ending> {
        let client = match self {
            Self::Here { installation, caller } => {
                let found = list_datasets(installation, caller, search).await?;
                return Ok(found.into_iter().map(DatasetView::of).collect());
            }
            Self::Server(client) => client,
        };
        let first = format!("/datasets?limit=1000&q={}", step(search));
        let mut path = first.clone();
        let mut all = Vec::new();
        loop {
            let DatasetList { datasets, next } = client.get(&path).await?;
            all.extend(datasets);
            match next {
                Some(next) => path = format!("{first}&cursor={}", step(&next)),
                None => return Ok(all),
            }
        }
    }

    /// Lists the purposes that the caller may know of.
    pub(crate) async fn purposes(&self) -> Result<Vec<PurposeView>, Ending> {
        match self {
            Self::Here { installation, caller } => {
                let found = list_purposes(installation, caller).await?;
                Ok(found.into_iter().map(PurposeView::of).collect())
            }
            Self::Server(client) => Ok(client.get::<PurposeList>("/purposes").await?.purposes),
        }
    }

    /// Looks at a dataset.
    pub(crate) async fn dataset(&self, id: &DatasetId) -> Result<DatasetDetailView, Ending> {
        match self {
            Self::Here { installation, caller } => {
                Ok(DatasetDetailView::of(show_dataset(installation, caller, id).await?))
            }
            Self::Server(client) => {
                let found = client.get(&format!("/datasets/{}", step(&id.to_string()))).await;
                found.map_err(|ending| match ending {
                    // The server does not repeat the name, to be the same for all; here it may be.
                    Ending::App(AppError::Public(error)) if error.class() == Class::NotFound => {
                        no_dataset_named(id).into()
                    }
                    other => other,
                })
            }
        }
    }
}

//! The catalogue: datasets that one may see.

use obscura_policies::vocabulary::DatasetId;

use crate::app::datasets::list_datasets;
use crate::app::datasets::no_dataset_named;
use crate::app::datasets::show_dataset;
use crate::cli::client::step;
use crate::cli::desk::Desk;
use crate::cli::session::Ending;
use crate::error::AppError;
use crate::error::Class;
use crate::http::datasets::DatasetDetailView;
use crate::http::datasets::DatasetList;
use crate::http::datasets::DatasetView;

impl Desk {
    /// Lists the datasets that one may see and that a search finds.
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

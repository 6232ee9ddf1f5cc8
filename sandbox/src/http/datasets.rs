//! The catalogue over HTTP: datasets, collections and departments that the caller may see, with search. A caller
//! without an account sees open datasets and what belongs to them.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::api::datasets::Collection;
use crate::api::datasets::CollectionList;
use crate::api::datasets::DatasetDetailView;
use crate::api::datasets::DatasetList;
use crate::api::datasets::DatasetView;
use crate::api::datasets::Department;
use crate::api::datasets::DepartmentList;
use crate::app::data::datasets::list_datasets;
use crate::app::data::datasets::show_dataset;
use crate::app::data::departments::DepartmentSummary;
use crate::app::data::departments::list_departments;
use crate::app::data::no_dataset::no_dataset;
use crate::app::query::verdict::TextView;
use crate::error::AppError;
use crate::http::Service;
use crate::http::context::Anyone;
use crate::http::context::Name;
use crate::http::context::Parameters;
use crate::http::failure::Failure;
use crate::http::problem::Problems;
use crate::http::problem::malformed;

/// Most datasets in one list.
const DATASETS_MAX: usize = 1000;

/// The part of the list that is asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct DatasetPage {
    /// Words that all occur in what the document says: identifier, titles, department, collection, tags, and names, titles
    /// and meanings of columns.
    q: Option<String>,
    /// The largest number of datasets, up to 1000; 100 when not given.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// The `next` of the list before.
    cursor: Option<String>,
}

/// Find datasets that you may see
#[utoipa::path(
    get,
    path = "/datasets",
    operation_id = "list_datasets",
    tag = "catalogue",
    security((), ("token" = [])),
    params(DatasetPage),
    responses((status = 200, description = "The datasets", body = DatasetList), Problems)
)]
pub(super) async fn list(
    State(service): State<Arc<Service>>,
    anyone: Anyone,
    Parameters(page): Parameters<DatasetPage>,
) -> Result<Json<DatasetList>, Failure> {
    let most = page.limit.unwrap_or(100);
    if !(1..=DATASETS_MAX).contains(&most) {
        return Err(malformed(
            format!("`limit` is 1 to {DATASETS_MAX}"),
            format!("`limit` 须为 1 至 {DATASETS_MAX}"),
        )
        .into());
    }
    let found = list_datasets(&service.installation, &anyone.caller, &page.q.unwrap_or_default()).await?;
    let after = page.cursor.unwrap_or_default();
    let mut datasets: Vec<DatasetView> =
        found.into_iter().map(DatasetView::of).filter(|dataset| dataset.id > after).take(most + 1).collect();
    let next = if datasets.len() > most {
        datasets.truncate(most);
        datasets.last().map(|dataset| dataset.id.clone())
    } else {
        None
    };
    Ok(Json(DatasetList { datasets, next }))
}

/// Look at a dataset
#[utoipa::path(
    get,
    path = "/datasets/{id}",
    operation_id = "show_dataset",
    tag = "catalogue",
    security((), ("token" = [])),
    params(("id" = String, Path, description = "The dataset")),
    responses((status = 200, description = "The dataset", body = DatasetDetailView), Problems)
)]
pub(super) async fn show(
    State(service): State<Arc<Service>>,
    anyone: Anyone,
    Name(id): Name,
) -> Result<Json<DatasetDetailView>, Failure> {
    let id = id.parse().map_err(|_| no_dataset())?;
    let detail = show_dataset(&service.installation, &anyone.caller, &id).await;
    // The name is the caller's own word; whether it is a name at all must not show in the answer.
    let detail = detail.map_err(|error| match error {
        AppError::Public(_) => no_dataset(),
        internal @ AppError::Internal(_) => internal,
    })?;
    Ok(Json(DatasetDetailView::of(detail)))
}

/// List basic and thematic libraries with the datasets that you may see
#[utoipa::path(get, path = "/collections", operation_id = "list_collections", tag = "catalogue", security((), ("token" = [])), responses((status = 200, description = "The collections", body = CollectionList), Problems))]
pub(super) async fn collections(
    State(service): State<Arc<Service>>,
    anyone: Anyone,
) -> Result<Json<CollectionList>, Failure> {
    let found = list_datasets(&service.installation, &anyone.caller, "").await?;
    let mut collections: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for dataset in found {
        if let Some(collection) = dataset.collection {
            collections.entry(collection).or_default().push(dataset.id.to_string());
        }
    }
    let collections = collections.into_iter().map(|(id, datasets)| Collection { id, datasets }).collect();
    Ok(Json(CollectionList { collections }))
}

/// List departments
#[utoipa::path(get, path = "/departments", operation_id = "list_departments", tag = "catalogue", security((), ("token" = [])), responses((status = 200, description = "The departments", body = DepartmentList), Problems))]
pub(super) async fn departments(
    State(service): State<Arc<Service>>,
    anyone: Anyone,
) -> Result<Json<DepartmentList>, Failure> {
    let found = list_departments(&service.installation, &anyone.caller).await?;
    let view = |summary: DepartmentSummary| Department {
        id: summary.id,
        title: TextView { en: summary.title.en, zh: summary.title.zh },
        parent: summary.parent,
    };
    Ok(Json(DepartmentList { departments: found.into_iter().map(view).collect() }))
}

//! The catalogue over HTTP: datasets, collections and departments that the caller may see, with search. Whoever has no
//! account sees open datasets and what belongs to them.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use obscura_policies::month::Months;
use serde::Deserialize;
use serde::Serialize;
use utoipa::IntoParams;
use utoipa::ToSchema;

use crate::app::closed_words::ColumnRoleWord;
use crate::app::closed_words::OpeningWord;
use crate::app::closed_words::SharingWord;
use crate::app::data::datasets::ColumnSummary;
use crate::app::data::datasets::DatasetDetail;
use crate::app::data::datasets::DatasetSummary;
use crate::app::data::datasets::list_datasets;
use crate::app::data::datasets::no_dataset;
use crate::app::data::datasets::show_dataset;
use crate::app::data::departments::DepartmentSummary;
use crate::app::data::departments::list_departments;
use crate::app::query::verdict::TextView;
use crate::error::AppError;
use crate::http::Service;
use crate::http::context::Anyone;
use crate::http::context::Name;
use crate::http::context::Parameters;
use crate::http::dictionary::TermsView;
use crate::http::failure::Failure;
use crate::http::problem::Problems;
use crate::http::problem::malformed;

/// Most datasets in one list.
const DATASETS_MAX: usize = 1000;

/// A dataset.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = Dataset)]
pub(crate) struct DatasetView {
    /// Identifier, as in SQL.
    pub(crate) id: String,
    /// Title.
    pub(crate) title: TextView,
    /// Department it belongs to.
    department: String,
    /// Basic or thematic library it belongs to.
    collection: Option<String>,
    /// Free tags.
    tags: Vec<String>,
    /// Whether it may be opened to the public: `unconditional`, `limited` or `prohibited`.
    #[schema(value_type = OpeningWord)]
    opening: String,
    /// Whether everybody may download it, without an account.
    pub(crate) open: bool,
    /// Whether other departments may use it: `unconditional`, `conditional` or `none`.
    #[schema(value_type = SharingWord)]
    sharing: String,
    /// Newest sealed version; nothing when it was never sealed.
    pub(crate) version: Option<u64>,
    /// Purposes for which you have a grant.
    pub(crate) purposes: BTreeSet<String>,
    /// Rows, for stewards of its department only.
    pub(crate) rows: Option<u64>,
}

impl DatasetView {
    pub(crate) fn of(summary: DatasetSummary) -> Self {
        Self {
            id: summary.id.to_string(),
            title: summary.title.into(),
            department: summary.department,
            collection: summary.collection,
            tags: summary.tags,
            opening: summary.opening.to_owned(),
            open: summary.open,
            sharing: summary.sharing.to_owned(),
            version: summary.version,
            purposes: summary.purposes,
            rows: summary.rows,
        }
    }
}

/// Datasets, by identifier.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct DatasetList {
    /// The datasets.
    pub(crate) datasets: Vec<DatasetView>,
    /// What to send as `cursor` for more; nothing when there are none.
    pub(crate) next: Option<String>,
}

/// Which part of a list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct DatasetPage {
    /// Words that all occur in what the document says: identifier, titles, department, collection, tags, and names, titles
    /// and meanings of columns.
    q: Option<String>,
    /// How many, up to 1000; 100 when not given.
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
    let Anyone { request, caller, .. } = &anyone;
    let most = page.limit.unwrap_or(100);
    if !(1..=DATASETS_MAX).contains(&most) {
        return Err(malformed(
            request,
            format!("`limit` is 1 to {DATASETS_MAX}"),
            format!("`limit` 须为 1 至 {DATASETS_MAX}"),
        )
        .into());
    }
    let found = list_datasets(&service.installation, caller, &page.q.unwrap_or_default()).await?;
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

/// A column.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Column)]
pub(crate) struct ColumnView {
    /// Name in SQL.
    pub(crate) name: String,
    /// Title, where there is one.
    pub(crate) title: Option<TextView>,
    /// Type.
    #[serde(rename = "type")]
    pub(crate) data_type: String,
    /// Role.
    #[schema(value_type = ColumnRoleWord)]
    pub(crate) role: String,
    /// Grade.
    pub(crate) grade: String,
    /// What the values mean, such as `resident_id` or `money`, where it is declared.
    semantic: Option<String>,
}

impl ColumnView {
    fn of(column: ColumnSummary) -> Self {
        Self {
            name: column.name,
            title: column.title.map(TextView::from),
            data_type: column.data_type,
            role: column.role,
            grade: column.grade,
            semantic: column.semantic,
        }
    }
}

/// First and last month, as `2026-12`.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Months)]
pub(crate) struct MonthsView {
    /// First month.
    pub(crate) from: String,
    /// Last month; nothing where it goes on.
    pub(crate) until: Option<String>,
}

impl MonthsView {
    fn of(months: Months) -> Self {
        Self { from: months.from.to_string(), until: months.until.map(|until| until.to_string()) }
    }
}

/// A dataset with its columns and what you may ask of it.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct DatasetDetailView {
    /// What a list says of it.
    #[serde(flatten)]
    pub(crate) summary: DatasetView,
    /// What it is about, where its department says so.
    pub(crate) description: Option<TextView>,
    /// How often it is brought up to date, as its document says.
    pub(crate) update: String,
    /// The time that it is about, in months, where its department says so.
    pub(crate) covers: Option<MonthsView>,
    /// Its columns, in order.
    pub(crate) columns: Vec<ColumnView>,
    /// What you may ask, for each purpose that a grant of yours names.
    pub(crate) terms: Vec<TermsView>,
    /// Rows at the most, a power of two; nothing where you may not ask of them.
    pub(crate) rows_max: Option<u64>,
}

impl DatasetDetailView {
    pub(crate) fn of(detail: DatasetDetail) -> Self {
        Self {
            summary: DatasetView::of(detail.summary),
            description: detail.description.map(TextView::from),
            update: detail.update.to_owned(),
            covers: detail.covers.map(MonthsView::of),
            columns: detail.columns.into_iter().map(ColumnView::of).collect(),
            terms: detail.terms.into_iter().map(TermsView::of).collect(),
            rows_max: detail.rows_max,
        }
    }
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

/// A basic or thematic library.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Collection {
    /// Its code.
    id: String,
    /// Its datasets that you may see.
    datasets: Vec<String>,
}

/// Basic and thematic libraries.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CollectionList {
    /// The collections.
    collections: Vec<Collection>,
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

/// A department.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Department {
    /// Its code.
    id: String,
    /// Title.
    title: TextView,
    /// The one above it.
    parent: Option<String>,
}

/// Departments.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DepartmentList {
    /// The departments.
    departments: Vec<Department>,
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

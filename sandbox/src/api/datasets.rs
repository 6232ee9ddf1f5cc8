//! Datasets, collections and departments on the wire.

use std::collections::BTreeSet;

use obscura_policies::month::Months;
use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::dictionary::TermsView;
use crate::app::closed_words::ColumnRoleWord;
use crate::app::closed_words::OpeningWord;
use crate::app::closed_words::SharingWord;
use crate::app::data::datasets::ColumnSummary;
use crate::app::data::datasets::DatasetDetail;
use crate::app::data::datasets::DatasetSummary;
use crate::app::query::verdict::TextView;

/// A dataset.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = Dataset)]
pub(crate) struct DatasetView {
    /// Identifier, as in SQL.
    pub(crate) id: String,
    /// Title.
    pub(crate) title: TextView,
    /// Department it belongs to.
    pub(crate) department: String,
    /// Basic or thematic library it belongs to.
    pub(crate) collection: Option<String>,
    /// Free tags.
    pub(crate) tags: Vec<String>,
    /// The degree to which it may be opened to the public: `unconditional`, `limited` or `prohibited`.
    #[schema(value_type = OpeningWord)]
    pub(crate) opening: String,
    /// True if everybody may download it, without an account.
    pub(crate) open: bool,
    /// The degree to which other departments may use it: `unconditional`, `conditional` or `none`.
    #[schema(value_type = SharingWord)]
    pub(crate) sharing: String,
    /// The sealed version that questions are answered from; nothing when it was never sealed.
    pub(crate) version: Option<u64>,
    /// Purposes for which you have a grant.
    pub(crate) purposes: BTreeSet<String>,
    /// Rows, for stewards of its department only.
    pub(crate) rows: Option<u64>,
    /// The newest version where no question is answered from it yet, for stewards of its department only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) waiting: Option<WaitingVersionView>,
}

/// A sealed version that no question is answered from yet.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = WaitingVersion)]
pub(crate) struct WaitingVersionView {
    /// The version.
    pub(crate) version: u64,
    /// The day from which on it is; nothing where a later version must have more that is new.
    pub(crate) opens: Option<String>,
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
            waiting: summary.waiting.map(|waiting| WaitingVersionView {
                version: waiting.version,
                opens: waiting.opens.map(|day| day.to_string()),
            }),
        }
    }
}

/// Datasets, by identifier.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct DatasetList {
    /// The datasets.
    pub(crate) datasets: Vec<DatasetView>,
    /// The value to send as `cursor` for more; nothing when there are none.
    pub(crate) next: Option<String>,
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
    /// The meaning of the values, such as `resident_id` or `money`, where it is declared.
    pub(crate) semantic: Option<String>,
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
    /// The facts that a list gives of it.
    #[serde(flatten)]
    pub(crate) summary: DatasetView,
    /// A description of its contents, where its department gives one.
    pub(crate) description: Option<TextView>,
    /// The frequency of its updates, as its document gives it.
    pub(crate) update: String,
    /// The time that it is about, in months, where its department says so.
    pub(crate) covers: Option<MonthsView>,
    /// Its columns, in order.
    pub(crate) columns: Vec<ColumnView>,
    /// Your terms of use, for each purpose that a grant of yours names.
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

/// A basic or thematic library.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Collection {
    /// Its code.
    pub(crate) id: String,
    /// Its datasets that you may see.
    pub(crate) datasets: Vec<String>,
}

/// Basic and thematic libraries.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CollectionList {
    /// The collections.
    pub(crate) collections: Vec<Collection>,
}

/// A department.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Department {
    /// Its code.
    pub(crate) id: String,
    /// Title.
    pub(crate) title: TextView,
    /// The one above it.
    pub(crate) parent: Option<String>,
}

/// Departments.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DepartmentList {
    /// The departments.
    pub(crate) departments: Vec<Department>,
}

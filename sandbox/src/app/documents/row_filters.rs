//! Row filters of policies and grants, checked before a question depends on them: one that cannot be applied is refused when
//! it is written, not when an analyst asks. The guard decides which conditions are filters.

use obscura_policies::document::Dataset;
use obscura_policies::document::Document;
use obscura_policies::document::Grant;
use obscura_policies::document::Policy;
use obscura_policies::library::Library;
use obscura_policies::parse::DocumentError;
use obscura_policies::parse::Located;
use obscura_policies::vocabulary::DatasetId;
use obscura_policies::vocabulary::Text;
use obscura_query_guard::RowFilterFault;
use obscura_query_guard::check_row_filter;

/// Most columns that a help line names.
const NAMES_MAX: usize = 5;

/// Finds faults of the row filters of a grant.
pub(crate) fn faults_of_grant(library: &Library, grant: &Grant) -> Vec<DocumentError> {
    let located = Located::nowhere(Document::Grant(grant.clone()));
    let filters = grant.datasets.iter().enumerate().filter_map(|(index, granted)| {
        let filter = granted.row_filter.as_deref()?;
        Some((format!("datasets[{index}].row_filter"), filter, &granted.dataset))
    });
    filters.filter_map(|(field, filter, id)| fault(library, &located, &field, filter, id)).collect()
}

/// Finds faults of the row filter of a policy, which holds for each of its datasets.
pub(crate) fn faults_of_policy(
    library: &Library,
    located: &Located<Document>,
    policy: &Policy,
) -> Vec<DocumentError> {
    let Some(filter) = &policy.content.row_filter else { return Vec::new() };
    let datasets = policy.object.resources.datasets.iter();
    datasets.filter_map(|id| fault(library, located, "content.row_filter", filter, id)).collect()
}

/// Finds faults of policies that stay in force, which were none `before`: a new version of a dataset must not take a
/// column away that a row filter reads.
pub(crate) fn faults_since(
    before: &Library,
    after: &Library,
    in_force: &[Located<Document>],
) -> Vec<DocumentError> {
    let mut errors = Vec::new();
    for located in in_force {
        if let Document::Policy(policy) = &located.value
            && faults_of_policy(before, located, policy).is_empty()
        {
            errors.extend(faults_of_policy(after, located, policy));
        }
    }
    errors
}

fn fault(
    library: &Library,
    located: &Located<Document>,
    field: &str,
    filter: &str,
    id: &DatasetId,
) -> Option<DocumentError> {
    let dataset = library.datasets().get(id)?;
    let fault = check_row_filter(filter, dataset).err()?;
    let help = match fault {
        RowFilterFault::Column(_) => {
            let columns = columns_of(dataset);
            Text::new(
                format!("accepted: {}; a text stands in single quotes, such as 'north'", columns.en),
                format!("可用：{}；文本须加单引号，如 'north'", columns.zh),
            )
        }
        RowFilterFault::Syntax => {
            Text::new("accepted: one condition, such as ward = 'north'", "可用：一个条件，如 ward = 'north'")
        }
        RowFilterFault::Constant => Text::new(
            "accepted: a constant of the column's type, such as '2026-12-31' for a date",
            "可用：与字段类型相同的常量，如日期 '2026-12-31'",
        ),
        RowFilterFault::Type | RowFilterFault::TooLarge | RowFilterFault::CanFail => Text::new(
            "accepted: comparisons of columns with constants, joined by AND, OR and NOT",
            "可用：字段与常量的比较，以 AND、OR 和 NOT 连接",
        ),
    };
    let what = fault.text();
    Some(DocumentError {
        code: "row-filter-unfit".into(),
        file: located.file().map(str::to_owned),
        position: located.position(field),
        document: format!("{} {}", located.value.kind(), located.value.id()),
        field: field.to_owned(),
        message: Text::new(format!("{} (`{id}`)", what.en), format!("{}（`{id}`）", what.zh)),
        help: Some(help),
    })
}

/// The columns of a dataset for a help line, at most five by name.
fn columns_of(dataset: &Dataset) -> Text {
    let names: Vec<&str> = dataset.columns.iter().map(|column| column.name.as_str()).collect();
    let more = names.len().saturating_sub(NAMES_MAX);
    let shown = |comma| names.iter().take(NAMES_MAX).copied().collect::<Vec<_>>().join(comma);
    match more {
        0 => Text::new(shown(", "), shown("、")),
        more => Text::new(
            format!("{} and {more} more", shown(", ")),
            format!("{} 等，另有 {more} 个", shown("、")),
        ),
    }
}

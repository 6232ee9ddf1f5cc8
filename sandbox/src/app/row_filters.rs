//! Row filters of policies and grants, checked before anybody depends on them: one that cannot be applied is refused when
//! it is written, not when an analyst asks. The guard decides which conditions are filters.

use obscura_policies::document::Document;
use obscura_policies::document::Grant;
use obscura_policies::document::Policy;
use obscura_policies::library::Library;
use obscura_policies::parse::DocumentError;
use obscura_policies::parse::Located;
use obscura_policies::vocabulary::DatasetId;
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
    let columns = || {
        let names: Vec<&str> = dataset.columns.iter().map(|column| column.name.as_str()).collect();
        let more = names.len().saturating_sub(NAMES_MAX);
        let shown = names.iter().take(NAMES_MAX).copied().collect::<Vec<_>>().join(", ");
        if more == 0 { shown } else { format!("{shown} and {more} more") }
    };
    let help = match fault {
        RowFilterFault::Column(_) => {
            format!("accepted: {}; a text stands in single quotes, such as 'north'", columns())
        }
        RowFilterFault::Syntax => "accepted: one condition, such as ward = 'north'".to_owned(),
        RowFilterFault::Constant => {
            "accepted: a constant of the column's type, such as '2026-12-31' for a date".to_owned()
        }
        RowFilterFault::Type | RowFilterFault::TooLarge | RowFilterFault::CanFail => {
            "accepted: comparisons of columns with constants, joined by AND, OR and NOT".to_owned()
        }
    };
    Some(DocumentError {
        code: "row-filter-unfit".into(),
        file: located.file().map(str::to_owned),
        position: located.position(field),
        document: format!("{} {}", located.value.kind(), located.value.id()),
        field: field.to_owned(),
        message: format!("{fault} (`{id}`)"),
        help: Some(help),
    })
}

//! Budgets of differential privacy over HTTP: those that the caller may know of, and the charges to one.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::api::budgets::BudgetList;
use crate::api::budgets::BudgetView;
use crate::api::budgets::ChargeList;
use crate::app::query::list_budgets::CHARGES_MAX;
use crate::app::query::list_budgets::list_budgets;
use crate::app::query::list_budgets::list_charges;
use crate::http::Service;
use crate::http::context::Authenticated;
use crate::http::context::Name;
use crate::http::context::Parameters;
use crate::http::failure::Failure;
use crate::http::problem::Problems;
use crate::http::problem::asked_part;

/// List your shares of budgets of differential privacy; those of a department's datasets for its steward, all for an auditor
#[utoipa::path(get, path = "/budgets", operation_id = "list_budgets", tag = "budgets", responses((status = 200, description = "The budgets", body = BudgetList), Problems))]
pub(super) async fn list(
    State(service): State<Arc<Service>>,
    known: Authenticated,
) -> Result<Json<BudgetList>, Failure> {
    let budgets = list_budgets(&service.installation, &known.caller).await?;
    Ok(Json(BudgetList { budgets: budgets.into_iter().map(BudgetView::of).collect() }))
}

/// The part of the list that is asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct EntryPage {
    /// The largest number of charges, up to 200; 50 when not given.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// The `next` of the list before.
    cursor: Option<String>,
}

/// List your charges to a budget, newest first; everybody's for a steward of the department and for an auditor
#[utoipa::path(
    get,
    path = "/budgets/{id}/entries",
    operation_id = "list_budget_entries",
    tag = "budgets",
    params(("id" = String, Path, description = "The dataset"), EntryPage),
    responses((status = 200, description = "The charges", body = ChargeList), Problems)
)]
pub(super) async fn entries(
    State(service): State<Arc<Service>>,
    known: Authenticated,
    Name(id): Name,
    Parameters(page): Parameters<EntryPage>,
) -> Result<Json<ChargeList>, Failure> {
    let part = asked_part((page.cursor, page.limit), CHARGES_MAX)?;
    Ok(Json(ChargeList::of(list_charges(&service.installation, &known.caller, &id, part).await?)))
}

//! Budgets of differential privacy and the charges to them.

use obscura_policies::vocabulary::DatasetId;

use crate::api::budgets::BudgetList;
use crate::api::budgets::BudgetView;
use crate::api::budgets::ChargeList;
use crate::app::query::list_budgets::list_budgets;
use crate::app::query::list_budgets::list_charges;
use crate::cli::client::step;
use crate::cli::desk::Desk;
use crate::cli::session::Ending;

impl Desk {
    /// Lists the budgets that the caller may know of.
    pub(crate) async fn budgets(&self) -> Result<Vec<BudgetView>, Ending> {
        match self {
            Self::Here { installation, caller } => {
                let found = list_budgets(installation, caller).await?;
                Ok(found.into_iter().map(BudgetView::of).collect())
            }
            Self::Server(client) => Ok(client.get::<BudgetList>("/budgets").await?.budgets),
        }
    }

    /// Lists the newest charges to the budget of a dataset.
    pub(crate) async fn charges(&self, dataset: &DatasetId, limit: u32) -> Result<ChargeList, Ending> {
        let name = dataset.to_string();
        match self {
            Self::Here { installation, caller } => {
                Ok(ChargeList::of(list_charges(installation, caller, &name, (None, limit)).await?))
            }
            Self::Server(client) => {
                client.get(&format!("/budgets/{}/entries?limit={limit}", step(&name))).await
            }
        }
    }
}

//! `budget`: what is left of budgets of differential privacy, and the charges to one.

use obscura_policies::vocabulary::DatasetId;
use serde_json::Value;
use serde_json::json;

use crate::api::budgets::BudgetView;
use crate::cli::args::BudgetArgs;
use crate::cli::exit::Exit;
use crate::cli::session::Ending;
use crate::cli::session::Session;
use crate::cli::table::Listing;

pub(in crate::cli) async fn budget(session: &mut Session<'_>, args: BudgetArgs) -> Result<Exit, Ending> {
    match args.dataset {
        Some(dataset) => show_charges(session, &dataset, args.limit).await?,
        None => show_budgets(session).await?,
    }
    Ok(Exit::Done)
}

/// One line for each share of the caller, and one for each dataset of which they have none. Amounts are epsilons.
async fn show_budgets(session: &mut Session<'_>) -> Result<(), Ending> {
    let budgets = session.desk().await?.budgets().await?;
    let screen = &mut session.screen;
    let mut listing = Listing::new(
        screen,
        &[
            ("dataset", "dataset", "数据集"),
            ("grant", "grant", "授权"),
            ("purpose", "purpose", "用途"),
            ("period_days", "days", "周期（天）"),
            ("total", "share", "份额"),
            ("spent", "spent", "已用"),
            ("left", "left", "剩余"),
            ("resets", "next reset", "下次恢复"),
            ("lifetime_total", "lifetime", "终身总额"),
            ("lifetime_spent", "of it spent", "其中已用"),
            ("lifetime_left", "of it left", "其中剩余"),
        ],
    );
    for budget in &budgets {
        for row in rows(budget) {
            listing.row(row);
        }
    }
    listing.write(screen)?;
    screen.prose(
        "Amounts are epsilons at the budget's delta; those of parts do not add up to that of the whole. Nothing that was spent is given back.",
        "金额为预算 delta 下的 epsilon；各部分之和不等于整体。已用部分不予退还。",
    )?;
    Ok(())
}

fn rows(budget: &BudgetView) -> Vec<Vec<Value>> {
    let lifetime = [&budget.lifetime.total, &budget.lifetime.spent, &budget.lifetime.left];
    let lifetime = lifetime.map(|amount| json!(amount.epsilon));
    let row = |share: [Value; 7]| {
        [json!(budget.dataset)].into_iter().chain(share).chain(lifetime.clone()).collect()
    };
    if budget.shares.is_empty() {
        return vec![row(std::array::from_fn(|_| Value::Null))];
    }
    let of_share = |share: &crate::api::budgets::ShareView| {
        row([
            json!(share.grant),
            json!(share.purpose),
            json!(share.period_days),
            json!(share.share.total.epsilon),
            json!(share.share.spent.epsilon),
            json!(share.share.left.epsilon),
            json!(share.resets),
        ])
    };
    budget.shares.iter().map(of_share).collect()
}

async fn show_charges(session: &mut Session<'_>, dataset: &DatasetId, limit: u32) -> Result<(), Ending> {
    let found = session.desk().await?.charges(dataset, limit).await?;
    let screen = &mut session.screen;
    let mut listing = Listing::new(
        screen,
        &[
            ("job", "job", "任务"),
            ("person", "person", "人员"),
            ("grant", "grant", "授权"),
            ("epsilon", "epsilon", "epsilon"),
            ("nano_rho", "rho / 1e-9", "rho / 1e-9"),
            ("charged", "charged", "扣减时间"),
        ],
    );
    for entry in &found.entries {
        listing.row(vec![
            json!(entry.job),
            json!(entry.person),
            json!(entry.grant),
            json!(entry.cost.epsilon),
            json!(entry.cost.nano_rho),
            json!(entry.charged),
        ]);
    }
    listing.write(screen)?;
    Ok(())
}

//! Released relations: an ordinary plan over what stages have released, over constants, and over open tables.
//! Nothing about individuals is left in it to protect, so that any node may stand above it.

use std::collections::BTreeSet;

use datafusion_expr::Expr;
use datafusion_expr::LogicalPlan;
use datafusion_expr::LogicalPlanBuilder;

use crate::finding::Refused;
use crate::finding::not_built;
use crate::source_rows::Read;
use crate::source_rows::SourceRows;

/// Released values and constants: an ordinary plan with the schema that the SQL sees.
#[derive(Debug, Clone)]
pub(crate) struct ReleasedPlan {
    pub(crate) plan: LogicalPlan,
    /// Sets of output columns, by index, that hold no combination twice.
    pub(crate) unique: BTreeSet<BTreeSet<usize>>,
    /// Output columns that are a stage's own released columns, not computed from them.
    pub(crate) bare: BTreeSet<usize>,
    /// The reading of individuals and of open tables that made it: it counts once more where it meets individuals again.
    pub(crate) read: Read,
}

impl ReleasedPlan {
    /// A plan whose columns are computed, over what was read before: nothing of it is unique or bare
    /// (`sandbox/docs/disclosure-model.md`, section 4.6).
    pub(super) fn computed(plan: LogicalPlan, read: Read) -> Self {
        ReleasedPlan { plan, unique: BTreeSet::new(), bare: BTreeSet::new(), read }
    }

    /// True if it always has exactly one row: the empty set of columns identifies it.
    ///
    /// One row repeats nobody whom it meets, and chooses nobody (`sandbox/docs/disclosure-model.md`, section 4.6).
    pub(crate) fn is_one_row(&self) -> bool {
        self.unique.contains(&BTreeSet::new())
    }
}

/// Rows of open tables as a plan with the schema that the SQL sees.
///
/// The comparisons that chose them go with them, and count where they meet individuals
/// (`sandbox/docs/disclosure-model.md`, section 4.6).
pub(super) fn of_open_tables(rows: SourceRows) -> Result<ReleasedPlan, Refused> {
    let columns: Vec<Expr> = rows
        .outputs
        .iter()
        .zip(rows.schema.iter())
        .map(|(output, (qualifier, field))| output.clone().alias_qualified(qualifier.cloned(), field.name()))
        .collect();
    let plan = LogicalPlanBuilder::from(rows.plan)
        .project(columns)
        .and_then(LogicalPlanBuilder::build)
        .map_err(not_built)?;
    Ok(ReleasedPlan::computed(plan, rows.taint.as_read()))
}

//! Released values among rows of individuals: columns of their own kind, which carry what was read to make them.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion_common::Column;
use datafusion_expr::Expr;
use datafusion_expr::LogicalPlanBuilder;
use obscura_policies::vocabulary::Level;
use obscura_policies::vocabulary::Use;

use crate::catalog::ReleasedSource;
use crate::column_facts::ColumnFacts;
use crate::column_facts::ColumnKind;
use crate::column_facts::Conditions;
use crate::column_facts::base_column;
use crate::finding::Refused;
use crate::finding::not_built;
use crate::source_rows::Multiplicity;
use crate::source_rows::SourceRows;
use crate::source_rows::Taint;
use crate::source_rows::Unique;
use crate::zones::ZonePass;
use crate::zones::released::ReleasedPlan;

impl ZonePass<'_> {
    /// Released values stand among rows of individuals as columns of their own kind.
    ///
    /// A released list that was filtered chooses whom it meets by what its filter read, so that this counts once more:
    /// eight comparisons in each of two lists would be sixteen over one person. Computed values are marked, since
    /// `dept IN ('tax') AS f` is a condition that no rule has judged (`sandbox/docs/disclosure-model.md`, section 4.6).
    pub(super) fn released_rows(&mut self, released: ReleasedPlan) -> Result<SourceRows, Refused> {
        let instance = self.instance();
        let schema = Arc::clone(released.plan.schema());
        let names: Vec<String> =
            (0..schema.fields().len()).map(|index| format!("r{instance}_{index}")).collect();
        let mut bases = BTreeMap::new();
        let mut projection = Vec::with_capacity(names.len());
        for (index, (name, (qualifier, field))) in names.iter().zip(schema.iter()).enumerate() {
            projection.push(Expr::Column(Column::new(qualifier.cloned(), field.name())).alias(name));
            let kind = ColumnKind::Released {
                computed: !released.bare.contains(&index),
                column: ReleasedSource::column_of(&released.plan, index),
            };
            bases.insert(
                name.clone(),
                ColumnFacts {
                    kind,
                    ..ColumnFacts::derived(
                        field.name(),
                        BTreeSet::from([Use::Filter, Use::Group, Use::Join]),
                        Level(1),
                        field.data_type().clone(),
                    )
                },
            );
        }
        let plan = LogicalPlanBuilder::from(released.plan)
            .project(projection)
            .and_then(LogicalPlanBuilder::build)
            .map_err(not_built)?;
        let sets = released
            .unique
            .iter()
            .map(|set| set.iter().filter_map(|index| names.get(*index).cloned()).collect())
            .collect();
        let unique = Unique { sets, intervals: BTreeSet::new() };
        let outputs = names.iter().map(|name| base_column(name)).collect();
        // What was read to make it was read to choose whom it meets, ancestors and all.
        let mut taint = Taint::none();
        taint.read(released.read);
        let (classes, multiplicity, conditions) = (Vec::new(), Multiplicity::default(), Conditions::new());
        Ok(SourceRows { plan, bases, schema, outputs, classes, taint, unique, multiplicity, conditions })
    }
}

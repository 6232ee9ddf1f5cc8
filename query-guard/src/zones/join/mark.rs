//! Mark joins: `EXISTS` as a value, which is a condition on the subject.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use arrow::datatypes::DataType;
use datafusion_expr::Expr;
use datafusion_expr::LogicalPlan;
use datafusion_expr::LogicalPlanBuilder;
use obscura_policies::vocabulary::Use;

use crate::column_facts::ColumnFacts;
use crate::column_facts::base_column;
use crate::finding::Refused;
use crate::finding::not_built;
use crate::source_rows::Class;
use crate::source_rows::Taint;
use crate::zones::ZonePass;

impl ZonePass<'_> {
    /// The plan of a mark join with its mark as a base column: a condition on the subject that the analyst has made up.
    ///
    /// `dept = 'nowhere' OR EXISTS (SELECT 1 FROM persons q WHERE q.person_id = p.person_id AND q.zip = '9999')` asks
    /// for one zip by the mark alone. So the mark has the grade of all that was read for it, and as a made-up column it
    /// is compared with literals and grouped, and with no column (`sandbox/docs/disclosure-model.md`, section 4.7).
    pub(super) fn marked(
        &mut self,
        plan: LogicalPlan,
        bases: &mut BTreeMap<String, ColumnFacts>,
        classes: &[Class],
        taint: &Taint,
    ) -> Result<(LogicalPlan, Expr), Refused> {
        let name = format!("m{}_mark", self.instance());
        let columns: Vec<Expr> = bases
            .keys()
            .map(|column| base_column(column))
            .chain([base_column("mark").alias(&name)])
            .collect();
        let owners = classes.iter().map(|class| class.column.clone()).collect();
        let uses = BTreeSet::from([Use::Filter, Use::Group]);
        let mark =
            ColumnFacts { owners, ..ColumnFacts::derived("exists", uses, taint.grade, DataType::Boolean) };
        bases.insert(name.clone(), mark);
        let plan = LogicalPlanBuilder::from(plan)
            .project(columns)
            .and_then(LogicalPlanBuilder::build)
            .map_err(not_built)?;
        Ok((plan, base_column(&name)))
    }
}

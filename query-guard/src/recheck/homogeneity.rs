//! Bases: a stage that chooses by a sensitive column is held to bases that do not.
//!
//! It sees sensitive columns in conditions and keys. It does not see them in numbers that were folded for each subject before: there it rests
//! on the comparison with the admitted plan (`as_admitted`).

use datafusion_common::tree_node::TreeNode;
use datafusion_common::tree_node::TreeNodeRecursion;
use datafusion_expr::Expr;
use obscura_policies::vocabulary::Level;
use obscura_policies::vocabulary::Role;
use obscura_policies::vocabulary::Use;

use super::Breach;
use super::expression::Leaves;
use super::relation::Leaf;
use super::relation::Relation;
use super::terms::may_leave_as_rows;
use crate::plan::GuardedPlan;
use crate::plan::Stage;

impl Leaves<'_> {
    /// True if an expression reads a sensitive column as it was sealed. Whether there is a value of one that is added up tells nothing.
    pub(super) fn reads_sensitive(&self, expr: &Expr) -> bool {
        let mut found = false;
        let walked = expr.apply(|inner| {
            let presence = match inner {
                Expr::IsNull(of) | Expr::IsNotNull(of) => Some(of.as_ref()),
                inner => {
                    found |= self.is_sensitive(inner).is_some();
                    None
                }
            };
            let is_measured = presence.and_then(|of| self.is_sensitive(of)).unwrap_or(false);
            Ok(if is_measured { TreeNodeRecursion::Jump } else { TreeNodeRecursion::Continue })
        });
        walked.is_err() || found
    }

    /// The use of a sensitive column to be added up; nothing of any other expression.
    fn is_sensitive(&self, expr: &Expr) -> Option<bool> {
        let Expr::Column(column) = expr else { return None };
        let Some(Leaf::Raw { dataset, column, .. }) = self.get(&column.name) else { return None };
        let dataset = self.terms.dataset(dataset).filter(|dataset| !may_leave_as_rows(dataset))?;
        let column = dataset.columns.iter().find(|known| known.name == *column)?;
        // A row filter of the policy, which is the same for every question, may be written in any way by the engine.
        let is_filtered = dataset.row_filters.iter().any(|filter| filter.sql.contains(&column.name));
        let is_sensitive = column.role == Role::Sensitive && column.grade > Level(1) && !is_filtered;
        is_sensitive.then(|| column.uses.contains(&Use::Aggregate))
    }
}

/// Holds a stage to its bases: `keys` and `conditions` say which of its keys and atoms choose by a sensitive column.
///
/// # Errors
/// [`Breach::Homogeneity`] where it chooses by one and has no base for that, or is a base itself.
pub(super) fn bases(
    guarded: &GuardedPlan,
    stage: &Stage,
    relation: &Relation,
    keys: &[bool],
    conditions: &[bool],
) -> Result<(), Breach> {
    // Where one subject is enough to be seen nobody is to be told apart from others.
    if stage.classes.iter().all(|class| class.subjects_min <= 1) {
        return Ok(());
    }
    let needs_other_rows = relation.is_chosen || keys.contains(&true);
    let has_bases = match (&stage.base, stage.is_base) {
        (None, true) => {
            return if needs_other_rows || conditions.contains(&true) {
                Err(Breach::Homogeneity)
            } else {
                Ok(())
            };
        }
        (Some(_), true) => false,
        (Some(base), false) => {
            let mut earlier = guarded.stages.iter().take_while(|one| one.name != stage.name);
            let of_bases = earlier.find(|one| one.name == base.stage && one.is_base);
            of_bases.is_some_and(|of_bases| {
                let are_there = stage.atoms.iter().zip(conditions).all(|(atom, chooses)| match atom.base {
                    Some(at) => at < of_bases.atoms.len(),
                    None => !needs_other_rows && !chooses,
                });
                let are_no_keys = base.keys.iter().all(|key| keys.get(*key) == Some(&false));
                let thresholds = |stage: &Stage| -> Vec<_> {
                    stage.classes.iter().map(|class| (class.unit.clone(), class.subjects_min)).collect()
                };
                let are_alike = thresholds(stage) == thresholds(of_bases);
                are_there && are_no_keys && are_alike && base.keys.len() == of_bases.keys.len()
            })
        }
        (None, false) => {
            let has_base = |(at, chooses): (usize, &bool)| {
                let base = stage.atoms.get(at).and_then(|atom| atom.base);
                !chooses || base.is_some_and(|base| conditions.get(base) == Some(&false))
            };
            !needs_other_rows && conditions.iter().enumerate().all(has_base)
        }
    };
    let is_due = needs_other_rows || conditions.contains(&true);
    if has_bases && (stage.controls.homogeneity || !is_due) { Ok(()) } else { Err(Breach::Homogeneity) }
}

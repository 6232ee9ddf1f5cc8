//! Individuals with individuals: only where the keys of one unit are equated, so that both sides are about one subject.
//! Instances that are equated are one class, which is counted once.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use datafusion_common::Column;
use datafusion_expr::Expr;
use datafusion_expr::LogicalPlan;
use datafusion_expr::LogicalPlanBuilder;
use datafusion_functions::core::expr_fn::coalesce;
use obscura_policies::vocabulary::DatasetId;
use obscura_policies::vocabulary::Role;
use obscura_policies::vocabulary::UnitKind;
use obscura_policies::vocabulary::Use;

use crate::column_facts::ColumnFacts;
use crate::column_facts::ColumnKind;
use crate::column_facts::base_column;
use crate::finding::Finding;
use crate::finding::Refused;
use crate::finding::first_span;
use crate::finding::not_built;
use crate::reason::Reason;
use crate::source_rows::Class;
use crate::source_rows::SourceRows;
use crate::source_rows::Taint;
use crate::source_rows::Unique;
use crate::zones::ZonePass;

use super::condition::Condition;
use super::condition::renamed;
use super::meeting::Meeting;
use super::outer::only_where_present;
use super::outer::without_constants;
use super::preserved::Preserved;
use super::refusal::join_refusal;
use super::refusal::known;

impl ZonePass<'_> {
    /// Individuals with individuals, on equal unit keys of the same kind.
    ///
    /// Rows of different people beside each other tell of the one by the other, and put one person's values under the
    /// keys of many: so a join without an equal unit key is refused. Equated keys are one class, which is counted once;
    /// all other classes of both sides stay and have thresholds of their own
    /// (`sandbox/docs/disclosure-model.md`, section 4.5).
    pub(super) fn individuals(
        &mut self,
        left: SourceRows,
        mut right: SourceRows,
        condition: Condition,
        preserved: Preserved,
    ) -> Result<SourceRows, Refused> {
        let mut merged = Vec::new();
        for (a, b) in &condition.equated {
            let (from, to) = (known(&left, a)?, known(&right, b)?);
            match (&from.kind, &to.kind) {
                (
                    ColumnKind::UnitKey { kind, class },
                    ColumnKind::UnitKey { kind: other, class: replaced },
                ) if kind == other => {
                    self.joinable_keys(from, to, a)?;
                    self.datasets_agree(&left.taint, &right.taint, kind, Some(a))?;
                    merged.push((class.clone(), replaced.clone()));
                }
                (ColumnKind::UnitKey { .. }, _) | (_, ColumnKind::UnitKey { .. }) => {
                    return Err(self.not_joinable(Reason::UnitKeyMeetsOther, a));
                }
                _ => {
                    for (base, column) in [(from, a), (to, b)] {
                        self.plain_join_column(base, column)?;
                    }
                }
            }
        }
        if merged.is_empty() {
            let place = condition.equated.first().map(|(a, _)| Expr::Column(a.clone()));
            let place = place.and_then(|column| first_span(self.review.sql, &column));
            return Err(join_refusal(Reason::NoSharedUnitKey).at(place).into());
        }
        self.equated_of_one_subject(&left, &right, &condition, &merged)?;
        // A semi or anti join keeps no column of its right side, and so would lose whose rows those were: the firms of one
        // resident would be released as firms alone. A semi join counts them as an inner join does.
        let lost =
            right.classes.iter().any(|class| !merged.iter().any(|(_, replaced)| *replaced == class.column));
        let carried = lost && preserved == Preserved::LeftIfMatched;
        if lost && preserved.is_about_left_only() && !carried {
            return Err(lost_subjects().into());
        }
        let preserved = if carried { Preserved::Both } else { preserved };
        let mut classes = left.classes.clone();
        let mut plan_right = std::mem::take(&mut right.plan);
        let mut plan_left = left.plan.clone();
        if matches!(preserved, Preserved::Left | Preserved::Either) {
            plan_right = without_constants(plan_right)?;
        }
        if matches!(preserved, Preserved::Right | Preserved::Either) {
            plan_left = without_constants(plan_left)?;
        }
        let mut bases = left.bases.clone();
        let survives = !preserved.is_about_left_only();
        let mut taint = left.taint.clone();
        taint.absorb(&right.taint);
        for (a, b) in &condition.equated {
            taint.grade = taint.grade.max(known(&left, a)?.grade).max(known(&right, b)?.grade);
        }
        let (residual, read) = self.residual(&left, &right, &condition.residual, &merged)?;
        taint.read(read);
        taint.read(self.take_subqueries_read());
        taint.comparisons += condition.equated.len() - merged.len();
        taint.compared.joined = true;
        for source_rows in [&left, &right] {
            taint.compared.add(&source_rows.bases, condition.columns().iter().chain(&residual));
        }
        let keys = (
            condition.equated.iter().map(|(a, _)| a.clone()).collect(),
            condition.equated.iter().map(|(_, b)| b.clone()).collect(),
        );
        let mut plan = LogicalPlanBuilder::from(plan_left)
            .join_detailed_with_options(
                plan_right,
                preserved.join_type(),
                keys,
                residual,
                condition.nulls,
                condition.null_aware,
            )
            .and_then(LogicalPlanBuilder::build)
            .map_err(not_built)?;
        let mut outputs = left.outputs.clone();
        // A semi or anti join keeps or drops rows; any other meets rows of the other side.
        let mut multiplicity = left.multiplicity.clone();
        for class in &mut classes {
            class.clustered = false;
        }
        if survives {
            for (kept, replaced) in &merged {
                for base in right.bases.values_mut() {
                    if let ColumnKind::UnitKey { class, .. } = &mut base.kind
                        && class == replaced
                    {
                        class.clone_from(kept);
                    }
                }
            }
            let others = right
                .classes
                .iter()
                .filter(|class| !merged.iter().any(|(_, replaced)| *replaced == class.column));
            classes.extend(others.cloned().map(|class| Class { clustered: false, one_row: false, ..class }));
            bases.extend(right.bases.clone());
            if matches!(preserved, Preserved::Right | Preserved::Either) {
                outputs = only_where_present(outputs, unit_key_beside(&left, &merged))?;
            }
            let found = matches!(preserved, Preserved::Left | Preserved::Either);
            let others = if carried { Vec::new() } else { right.outputs.clone() };
            let key = merged.first().map(|(_, replaced)| replaced.clone());
            outputs.extend(if found { only_where_present(others, key)? } else { others });
            let number = self.instance();
            let meeting = Meeting::of(&left, &right, &merged, preserved, number);
            multiplicity = meeting.rows();
            if !meeting.left_is_one && !meeting.right_is_one {
                let names = condition.equated.iter().map(|(a, b)| (a.name.clone(), b.name.clone()));
                self.many_to_many.insert(names.collect());
            }
            for class in &mut classes {
                class.one_row = meeting.one_row() && merged.iter().any(|(kept, _)| *kept == class.column);
            }
            for (name, base) in &mut bases {
                let of_left = left.bases.contains_key(name);
                base.copied_by.extend(meeting.copies(of_left));
                base.owners = base.owners.iter().map(|owner| renamed(owner, &merged)).collect();
            }
            // Asked for by IN or EXISTS, a row is one row, however many of the other side it meets.
            if carried && !meeting.right_is_one {
                multiplicity.copied_by.insert(number);
                for base in bases.values_mut() {
                    base.copied_by.insert(number);
                }
            }
            mark_optional(&mut bases, &mut classes, &left, &right, preserved, number);
            plan = unify(plan, &bases, &mut classes, &merged, preserved).map_err(not_built)?;
            // Rows without a subject of some class feed no aggregate: the outer join would silently become an inner one.
            if classes.iter().any(|class| class.optional) {
                return Err(lost_subjects().into());
            }
        }
        if preserved == Preserved::LeftMarked {
            let mark;
            (plan, mark) = self.marked(plan, &mut bases, &classes, &taint)?;
            outputs.push(mark);
        }
        let (schema, unique) = (left.schema, Unique::default());
        let conditions = self.joined_conditions(left.conditions, right.conditions);
        Ok(SourceRows { plan, bases, schema, outputs, classes, taint, unique, multiplicity, conditions })
    }

    /// Columns that a join equates besides unit keys are compared, and so must be one subject's.
    ///
    /// Two people of one firm have the firm in common, and not the site: `a.firm = b.firm AND a.site = b.site` tells
    /// where the one works by the other (`sandbox/docs/disclosure-model.md`, section 4.5).
    fn equated_of_one_subject(
        &self,
        left: &SourceRows,
        right: &SourceRows,
        condition: &Condition,
        merged: &[(String, String)],
    ) -> Result<(), Refused> {
        for (a, b) in &condition.equated {
            let (from, to) = (known(left, a)?, known(right, b)?);
            let is_key = |base: &ColumnFacts| matches!(base.kind, ColumnKind::UnitKey { .. });
            let owners = |base: &ColumnFacts| -> BTreeSet<String> {
                base.owners.iter().map(|owner| renamed(owner, merged)).collect()
            };
            if !is_key(from) && !is_key(to) && owners(from) != owners(to) {
                return Err(self.not_joinable(Reason::TwoSubjectsEquated, a));
            }
        }
        Ok(())
    }

    /// The unit keys of both sides need the use `join`.
    ///
    /// A steward may let people be counted and not be followed from one dataset to another
    /// (`sandbox/docs/disclosure-model.md`, section 4.5).
    fn joinable_keys(&self, left: &ColumnFacts, right: &ColumnFacts, column: &Column) -> Result<(), Refused> {
        match [left, right].into_iter().find(|base| !base.allows(Use::Join)) {
            Some(base) => Err(self.use_not_granted(column, base, Use::Join)),
            None => Ok(()),
        }
    }

    /// The policies of all datasets that come together must name each other for this unit, however they meet.
    ///
    /// Each department decides which facts about its people are put beside others. All pairs are asked, so that a third
    /// dataset does not bring two together that do not agree (`sandbox/docs/disclosure-model.md`, section 4.5).
    pub(in crate::zones) fn datasets_agree(
        &self,
        left: &Taint,
        right: &Taint,
        kind: &UnitKind,
        column: Option<&Column>,
    ) -> Result<(), Refused> {
        let names = |from: &DatasetId, to: &DatasetId| {
            let dataset = self.policy.datasets.get(from);
            dataset.is_some_and(|dataset| dataset.join_with.contains(&(to.clone(), kind.clone())))
        };
        for a in &left.datasets {
            for b in right.datasets.iter().filter(|b| *b != a) {
                if !names(a, b) || !names(b, a) {
                    let span = column.and_then(|column| column.spans.first());
                    let span = span.and_then(|span| crate::finding::SqlSpan::locate(self.review.sql, span));
                    let finding = Finding::of(Reason::PoliciesDoNotAgree).at(span);
                    let (left, right) = (a.sql_name(), b.sql_name());
                    let help = finding.help(
                        format!("the policies of `{left}` and `{right}` must name each other in `join_with`: ask their departments, or ask of one dataset"),
                        format!("`{left}` 与 `{right}` 的策略须在 `join_with` 中互相列出：请联系其所属部门，或只查询一个数据集"),
                    );
                    return Err(help.with("left", left).with("right", right).into());
                }
            }
        }
        Ok(())
    }

    /// A column that is equated beside the key: no identifier, no measure, no made-up column, and none with a mask or
    /// bins.
    ///
    /// `ON f.firm = c.firm AND f.size = c.n WHERE c.n = 3` tells the firms of exactly three people, where sizes are
    /// told in tens. A masked column would be compared as the mask made it, which is not what was asked
    /// (`sandbox/docs/disclosure-model.md`, section 4.5).
    fn plain_join_column(&self, base: &ColumnFacts, column: &Column) -> Result<(), Refused> {
        if matches!(base.kind, ColumnKind::Declared(Role::Identifier) | ColumnKind::Derived)
            || base.is_stepped()
        {
            return Err(self.not_joinable(Reason::ColumnNotEquated, column));
        }
        if base.allows(Use::Join) || base.allows(Use::Filter) {
            Ok(())
        } else {
            Err(self.use_not_granted(column, base, Use::Join))
        }
    }
}

/// The refusal of a join after which subjects of one side would no longer be counted.
///
/// `firms f WHERE f.firm NOT IN (SELECT s.firm FROM staff s JOIN ...)` asks about the staff, and counts firms alone:
/// the firms of one resident would pass the threshold (`sandbox/docs/disclosure-model.md`, section 4.7).
fn lost_subjects() -> Finding {
    join_refusal(Reason::SubjectsWouldBeLost).help(
        "the other side is also about subjects of another kind, who must be counted too: use an inner join",
        "关联的另一侧还涉及其他类型的主体，也必须计数：请使用内关联",
    )
}

/// A side's own unit key that stays beside the merged one: it is missing where that side has no row, and so says which
/// of its made columns are (`sandbox/docs/disclosure-model.md`, section 4.7).
fn unit_key_beside(side: &SourceRows, merged: &[(String, String)]) -> Option<String> {
    let key = side.bases.iter().find(|(name, base)| match &base.kind {
        ColumnKind::UnitKey { class, .. } => {
            merged.iter().any(|(kept, _)| kept == class && kept != *name) && !base.optional
        }
        ColumnKind::Declared(_)
        | ColumnKind::SubjectCount
        | ColumnKind::SubjectMeasure
        | ColumnKind::Derived
        | ColumnKind::Released { .. } => false,
    });
    key.map(|(name, _)| name.clone())
}

/// Marks the columns and classes of a side that may be missing in a row of an outer join.
///
/// A row without a subject of some class feeds no aggregate, so that a class that stays optional is refused. A column
/// that was optional before does not tell which of two joins found nothing: with `IS NULL` on it, copies of the other
/// join would pass for single rows (`sandbox/docs/disclosure-model.md`, section 4.7).
fn mark_optional(
    bases: &mut BTreeMap<String, ColumnFacts>,
    classes: &mut [Class],
    left: &SourceRows,
    right: &SourceRows,
    preserved: Preserved,
    number: usize,
) {
    for (missing, sides) in
        [(left, [Preserved::Right, Preserved::Either]), (right, [Preserved::Left, Preserved::Either])]
    {
        if !sides.contains(&preserved) {
            continue;
        }
        for name in missing.bases.keys() {
            if let Some(base) = bases.get_mut(name) {
                // What was missing before does not tell which of the two joins found nothing.
                base.missing_by = (!base.optional).then_some(number);
                base.optional = true;
            }
        }
        for class in classes.iter_mut() {
            if missing.classes.iter().any(|known| known.column == class.column) {
                class.optional = true;
            }
        }
    }
}

/// Gives rows of an outer join the subject of the side that has one.
///
/// Without it, people whom only the right side knows would have no subject: a FULL JOIN would be answered as a LEFT
/// JOIN, and say nothing of it (`sandbox/docs/disclosure-model.md`, section 4.7).
fn unify(
    plan: LogicalPlan,
    bases: &BTreeMap<String, ColumnFacts>,
    classes: &mut [Class],
    merged: &[(String, String)],
    preserved: Preserved,
) -> datafusion_common::Result<LogicalPlan> {
    if !matches!(preserved, Preserved::Right | Preserved::Either) {
        return Ok(plan);
    }
    let mut columns: Vec<Expr> = Vec::with_capacity(bases.len());
    for name in bases.keys() {
        let replaced = merged.iter().find(|(kept, _)| kept == name);
        columns.push(match replaced {
            Some((kept, other)) => coalesce(vec![base_column(kept), base_column(other)]).alias(kept),
            None => base_column(name),
        });
    }
    for class in classes.iter_mut() {
        if merged.iter().any(|(kept, _)| *kept == class.column) {
            class.optional = false;
        }
    }
    LogicalPlanBuilder::from(plan).project(columns)?.build()
}

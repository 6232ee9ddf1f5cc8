//! Joins: individuals with individuals on the same unit key, individuals with open or released tables N:1.
//! What neither is, is refused: a join on anything else multiplies or picks out rows.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion_common::Column;
use datafusion_common::JoinType;
use datafusion_common::NullEquality;
use datafusion_common::tree_node::Transformed;
use datafusion_common::tree_node::TreeNode;
use datafusion_expr::Between;
use datafusion_expr::BinaryExpr;
use datafusion_expr::Case;
use datafusion_expr::Expr;
use datafusion_expr::Filter;
use datafusion_expr::Join;
use datafusion_expr::LogicalPlan;
use datafusion_expr::LogicalPlanBuilder;
use datafusion_expr::Operator;
use datafusion_expr::utils::split_conjunction;
use datafusion_functions::core::expr_fn::coalesce;
use obscura_policies::vocabulary::DatasetId;
use obscura_policies::vocabulary::Level;
use obscura_policies::vocabulary::Role;
use obscura_policies::vocabulary::UnitKind;
use obscura_policies::vocabulary::Use;

use crate::base::Base;
use crate::base::BaseKind;
use crate::base::Conditions;
use crate::base::base_column;
use crate::base::use_not_granted;
use crate::block::Block;
use crate::block::Class;
use crate::block::Read;
use crate::block::Rows;
use crate::block::Taint;
use crate::block::Unique;
use crate::catalog::ReleasedSource;
use crate::column::bare_column;
use crate::finding::Finding;
use crate::finding::Refused;
use crate::finding::first_span;
use crate::reason::Reason;
use crate::shape::ShapeCheck;

use super::ZonePass;
use super::Open;
use super::Relation;
use crate::finding::internal;
use crate::finding::not_built;

/// Which side of a join must survive.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    Both,
    Left,
    Right,
    Either,
    LeftIfMatched,
    LeftIfUnmatched,
    /// All of the left side, with a column that says whether there was a match (`EXISTS ... OR ...`).
    LeftMarked,
}

/// A join's condition, taken apart: equated base columns (left, right) and the rest.
pub(super) struct Condition {
    pub(super) equated: Vec<(Column, Column)>,
    /// Whether equated columns that are both NULL match (`IS NOT DISTINCT FROM`, INTERSECT, EXCEPT).
    pub(super) nulls: NullEquality,
    /// An anti join by NOT IN: one NULL on the right empties it, and a NULL on the left is never in it.
    pub(super) null_aware: bool,
    pub(super) residual: Vec<Expr>,
}

impl Condition {
    /// The columns of both sides that are equated.
    pub(super) fn columns(&self) -> Vec<Expr> {
        let columns = self.equated.iter().flat_map(|(left, right)| [left, right]);
        columns.map(|column| Expr::Column(column.clone())).collect()
    }
}

impl ZonePass<'_> {
    pub(super) fn join(&mut self, plan: &LogicalPlan, join: &Join) -> Result<Relation, Refused> {
        let left = self.zone(&join.left)?;
        let right = self.zone(&join.right)?;
        let individual = |relation: &Relation| match relation {
            Relation::Block(block) => block.is_individual(),
            Relation::Open(_) => false,
        };
        if !individual(&left) && !individual(&right) {
            return self.rebuild_over(plan, vec![left, right]);
        }
        let (left, right) = (self.joinable(left)?, self.joinable(right)?);
        // A right semi or anti join is the left one with its sides exchanged.
        let (left, right, keep) = match join.join_type {
            JoinType::Inner => (left, right, Keep::Both),
            JoinType::Left => (left, right, Keep::Left),
            JoinType::Right => (left, right, Keep::Right),
            JoinType::Full => (left, right, Keep::Either),
            JoinType::LeftSemi => (left, right, Keep::LeftIfMatched),
            JoinType::LeftAnti => (left, right, Keep::LeftIfUnmatched),
            JoinType::RightSemi => (right, left, Keep::LeftIfMatched),
            JoinType::RightAnti => (right, left, Keep::LeftIfUnmatched),
            JoinType::LeftMark => (left, right, Keep::LeftMarked),
            JoinType::RightMark => (right, left, Keep::LeftMarked),
        };
        let condition = self.condition(&left, &right, join)?;
        let schema = Arc::clone(&join.schema);
        let block = if left.is_individual() && right.is_individual() {
            self.individuals(left, right, condition, keep)?
        } else if left.is_individual() {
            self.many_to_one(left, right, condition, keep, Side::Left)?
        } else {
            self.many_to_one(right, left, mirrored(condition), keep, Side::Right)?
        };
        if block.outputs.len() != schema.fields().len() {
            return Err(internal());
        }
        Ok(Relation::Block(Box::new(Block { schema, ..block })))
    }

    /// Released values take part in a block as columns of their own kind.
    fn joinable(&mut self, relation: Relation) -> Result<Block, Refused> {
        match relation {
            Relation::Block(block) => Ok(*block),
            Relation::Open(open) => self.released_block(open),
        }
    }

    fn released_block(&mut self, open: Open) -> Result<Block, Refused> {
        let instance = self.instance();
        let schema = Arc::clone(open.plan.schema());
        let names: Vec<String> =
            (0..schema.fields().len()).map(|index| format!("r{instance}_{index}")).collect();
        let mut bases = BTreeMap::new();
        let mut projection = Vec::with_capacity(names.len());
        for (index, (name, (qualifier, field))) in names.iter().zip(schema.iter()).enumerate() {
            projection.push(Expr::Column(Column::new(qualifier.cloned(), field.name())).alias(name));
            let kind = BaseKind::Released {
                computed: !open.bare.contains(&index),
                column: ReleasedSource::column_of(&open.plan, index),
            };
            bases.insert(
                name.clone(),
                Base {
                    kind,
                    ..Base::label(
                        field.name(),
                        BTreeSet::from([Use::Filter, Use::Group, Use::Join]),
                        Level(1),
                        field.data_type().clone(),
                    )
                },
            );
        }
        let plan = LogicalPlanBuilder::from(open.plan)
            .project(projection)
            .and_then(LogicalPlanBuilder::build)
            .map_err(not_built)?;
        let sets = open
            .unique
            .iter()
            .map(|set| set.iter().filter_map(|index| names.get(*index).cloned()).collect())
            .collect();
        let unique = Unique { sets, intervals: BTreeSet::new() };
        let outputs = names.iter().map(|name| base_column(name)).collect();
        // What was read to make it was read to choose whom it meets, ancestors and all.
        let mut taint = Taint::none();
        taint.read(open.read);
        let (classes, rows, conditions) = (Vec::new(), Rows::default(), Conditions::new());
        Ok(Block { plan, bases, schema, outputs, classes, taint, unique, rows, conditions })
    }

    /// Takes the condition apart; both forms that the planner leaves (pairs and a filter) mean the same.
    fn condition(&mut self, left: &Block, right: &Block, join: &Join) -> Result<Condition, Refused> {
        let both = both_sides(left, right)?;
        let pairs = join.on.iter().map(|(a, b)| {
            (datafusion_expr::binary_expr(a.clone(), Operator::Eq, b.clone()), join.null_equality)
        });
        let filters = join.filter.iter().flat_map(|filter| split_conjunction(filter));
        let conjuncts = pairs.chain(filters.map(|expr| (expr.clone(), NullEquality::NullEqualsNothing)));
        let mut condition = Condition {
            equated: Vec::new(),
            nulls: join.null_equality,
            null_aware: join.null_aware,
            residual: Vec::new(),
        };
        for (conjunct, nulls) in conjuncts {
            let defined = self.define(&both, &conjunct)?;
            // One join treats NULLs in one way: an equation of the other way stays a comparison.
            let equation = equation(&both.bases, &defined).filter(|_| nulls == condition.nulls);
            match equation {
                Some((a, b)) if left.bases.contains_key(&a.name) && right.bases.contains_key(&b.name) => {
                    condition.equated.push((a, b))
                }
                Some((a, b)) if left.bases.contains_key(&b.name) && right.bases.contains_key(&a.name) => {
                    condition.equated.push((b, a))
                }
                _ if is_true(&defined) => {}
                // A pair of the join that is no pair of base columns would lose how it treats NULLs.
                _ if nulls == NullEquality::NullEqualsNull => {
                    return Err(join_refusal(Reason::MissingWouldMatch).into());
                }
                _ => condition.residual.extend(between_ends(defined)),
            }
        }
        Ok(condition)
    }

    fn individuals(
        &mut self,
        left: Block,
        mut right: Block,
        condition: Condition,
        keep: Keep,
    ) -> Result<Block, Refused> {
        let mut merged = Vec::new();
        for (a, b) in &condition.equated {
            let (from, to) = (known(&left, a)?, known(&right, b)?);
            match (&from.kind, &to.kind) {
                (BaseKind::UnitKey { kind, class }, BaseKind::UnitKey { kind: other, class: replaced })
                    if kind == other =>
                {
                    self.joinable_keys(from, to, a)?;
                    self.datasets_agree(&left.taint, &right.taint, kind, Some(a))?;
                    merged.push((class.clone(), replaced.clone()));
                }
                (BaseKind::UnitKey { .. }, _) | (_, BaseKind::UnitKey { .. }) => {
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
        let carried = lost && keep == Keep::LeftIfMatched;
        if lost && keep.is_about_left_only() && !carried {
            return Err(lost_subjects().into());
        }
        let keep = if carried { Keep::Both } else { keep };
        let mut classes = left.classes.clone();
        let mut plan_right = std::mem::take(&mut right.plan);
        let mut plan_left = left.plan.clone();
        if matches!(keep, Keep::Left | Keep::Either) {
            plan_right = without_constants(plan_right)?;
        }
        if matches!(keep, Keep::Right | Keep::Either) {
            plan_left = without_constants(plan_left)?;
        }
        let mut bases = left.bases.clone();
        let survives = !keep.is_about_left_only();
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
        for block in [&left, &right] {
            taint.compared.add(&block.bases, condition.columns().iter().chain(&residual));
        }
        let keys = (
            condition.equated.iter().map(|(a, _)| a.clone()).collect(),
            condition.equated.iter().map(|(_, b)| b.clone()).collect(),
        );
        let mut plan = LogicalPlanBuilder::from(plan_left)
            .join_detailed_with_options(
                plan_right,
                keep.join_type(),
                keys,
                residual,
                condition.nulls,
                condition.null_aware,
            )
            .and_then(LogicalPlanBuilder::build)
            .map_err(not_built)?;
        let mut outputs = left.outputs.clone();
        // A semi or anti join keeps or drops rows; any other meets rows of the other side.
        let mut rows = left.rows.clone();
        for class in &mut classes {
            class.clustered = false;
        }
        if survives {
            for (kept, replaced) in &merged {
                for base in right.bases.values_mut() {
                    if let BaseKind::UnitKey { class, .. } = &mut base.kind
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
            if matches!(keep, Keep::Right | Keep::Either) {
                outputs = only_where_present(outputs, unit_key_beside(&left, &merged))?;
            }
            let found = matches!(keep, Keep::Left | Keep::Either);
            let others = if carried { Vec::new() } else { right.outputs.clone() };
            let key = merged.first().map(|(_, replaced)| replaced.clone());
            outputs.extend(if found { only_where_present(others, key)? } else { others });
            let number = self.instance();
            let meeting = Meeting::of(&left, &right, &merged, keep, number);
            rows = meeting.rows();
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
                rows.copied_by.insert(number);
                for base in bases.values_mut() {
                    base.copied_by.insert(number);
                }
            }
            mark_optional(&mut bases, &mut classes, &left, &right, keep, number);
            plan = unify(plan, &bases, &mut classes, &merged, keep).map_err(not_built)?;
            // Rows without a subject of some class feed no aggregate: the outer join would silently become an inner one.
            if classes.iter().any(|class| class.optional) {
                return Err(lost_subjects().into());
            }
        }
        if keep == Keep::LeftMarked {
            let mark;
            (plan, mark) = self.marked(plan, &mut bases, &classes, &taint)?;
            outputs.push(mark);
        }
        let (schema, unique) = (left.schema, Unique::default());
        let conditions = self.joined_conditions(left.conditions, right.conditions);
        Ok(Block { plan, bases, schema, outputs, classes, taint, unique, rows, conditions })
    }

    /// The conditions of both sides, and that of the join, which is equal to no other.
    pub(super) fn joined_conditions(&mut self, left: Conditions, right: Conditions) -> Conditions {
        left.into_iter().chain(right).chain([format!("join {}", self.instance())]).collect()
    }

    /// Columns that a join equates besides unit keys are compared, and so must be one subject's: two people of one firm have
    /// the firm in common, not the site.
    fn equated_of_one_subject(
        &self,
        left: &Block,
        right: &Block,
        condition: &Condition,
        merged: &[(String, String)],
    ) -> Result<(), Refused> {
        for (a, b) in &condition.equated {
            let (from, to) = (known(left, a)?, known(right, b)?);
            let is_key = |base: &Base| matches!(base.kind, BaseKind::UnitKey { .. });
            let owners = |base: &Base| -> BTreeSet<String> {
                base.owners.iter().map(|owner| renamed(owner, merged)).collect()
            };
            if !is_key(from) && !is_key(to) && owners(from) != owners(to) {
                return Err(self.not_joinable(Reason::TwoSubjectsEquated, a));
            }
        }
        Ok(())
    }

    /// The plan of a mark join with its mark as a base column: a condition on the subject that the analyst has made up.
    pub(super) fn marked(
        &mut self,
        plan: LogicalPlan,
        bases: &mut BTreeMap<String, Base>,
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
        let mark = Base { owners, ..Base::label("exists", uses, taint.grade, DataType::Boolean) };
        bases.insert(name.clone(), mark);
        let plan = LogicalPlanBuilder::from(plan)
            .project(columns)
            .and_then(LogicalPlanBuilder::build)
            .map_err(not_built)?;
        Ok((plan, base_column(&name)))
    }

    /// A residual condition compares columns of the same subject, by the shape rule; with it comes what it read.
    pub(super) fn residual(
        &self,
        left: &Block,
        right: &Block,
        residual: &[Expr],
        merged: &[(String, String)],
    ) -> Result<(Option<Expr>, Read), Refused> {
        let mut bases: BTreeMap<String, Base> =
            left.bases.iter().chain(&right.bases).map(|(name, base)| (name.clone(), base.clone())).collect();
        for base in bases.values_mut() {
            base.owners = base.owners.iter().map(|owner| renamed(owner, merged)).collect();
        }
        let conditions = left.conditions.union(&right.conditions).cloned().collect();
        let mut shape = ShapeCheck::new(&bases, &conditions, self.review);
        let mut accepted = Vec::with_capacity(residual.len());
        for expr in residual {
            accepted.push(shape.predicate(expr)?);
        }
        Ok((accepted.into_iter().reduce(Expr::and), shape.read()))
    }

    fn joinable_keys(&self, left: &Base, right: &Base, column: &Column) -> Result<(), Refused> {
        match [left, right].into_iter().find(|base| !base.allows(Use::Join)) {
            Some(base) => Err(self.use_not_granted(column, base, Use::Join)),
            None => Ok(()),
        }
    }

    /// The policies of all datasets that come together must name each other for this unit, however they meet.
    pub(super) fn datasets_agree(
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
                    return Err(finding.with("left", a.sql_name()).with("right", b.sql_name()).into());
                }
            }
        }
        Ok(())
    }

    fn plain_join_column(&self, base: &Base, column: &Column) -> Result<(), Refused> {
        if matches!(base.kind, BaseKind::Declared(Role::Identifier) | BaseKind::Label) || base.is_stepped() {
            return Err(self.not_joinable(Reason::ColumnNotEquated, column));
        }
        if base.allows(Use::Join) || base.allows(Use::Filter) {
            Ok(())
        } else {
            Err(self.use_not_granted(column, base, Use::Join))
        }
    }

    /// The refusal of a join by a column, whichever rule it breaks.
    pub(super) fn not_joinable(&self, reason: Reason, column: &Column) -> Refused {
        join_refusal(reason).at(first_span(self.review.sql, &Expr::Column(column.clone()))).into()
    }

    /// The grant does not let the column be used so, with its place.
    pub(super) fn use_not_granted(&self, column: &Column, base: &Base, wanted: Use) -> Refused {
        let place = first_span(self.review.sql, &Expr::Column(column.clone()));
        use_not_granted(base, wanted).at(place).into()
    }
}

/// On which side of the SQL's join the individuals stand.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Left,
    Right,
}

impl Keep {
    /// The other side's rows only decide about the left side's.
    pub(super) fn is_about_left_only(self) -> bool {
        matches!(self, Keep::LeftIfMatched | Keep::LeftIfUnmatched | Keep::LeftMarked)
    }

    fn join_type(self) -> JoinType {
        match self {
            Keep::Both => JoinType::Inner,
            Keep::Left => JoinType::Left,
            Keep::Right => JoinType::Right,
            Keep::Either => JoinType::Full,
            Keep::LeftIfMatched => JoinType::LeftSemi,
            Keep::LeftIfUnmatched => JoinType::LeftAnti,
            Keep::LeftMarked => JoinType::LeftMark,
        }
    }
}

/// How the rows of two sides meet: which of them a row of the join stands for, and which it may repeat.
struct Meeting<'b> {
    left: &'b Rows,
    right: &'b Rows,
    left_is_one: bool,
    right_is_one: bool,
    keep: Keep,
    number: usize,
}

impl<'b> Meeting<'b> {
    fn of(left: &'b Block, right: &'b Block, merged: &[(String, String)], keep: Keep, number: usize) -> Self {
        let is_one = |block: &Block, column: &String| {
            block.classes.iter().any(|class| class.column == *column && class.one_row)
        };
        Meeting {
            left: &left.rows,
            right: &right.rows,
            left_is_one: merged.iter().any(|(kept, _)| is_one(left, kept)),
            right_is_one: merged.iter().any(|(_, replaced)| is_one(right, replaced)),
            keep,
            number,
        }
    }

    /// Each subject has at most one row on either side.
    fn one_row(&self) -> bool {
        self.left_is_one && self.right_is_one
    }

    fn rows(&self) -> Rows {
        let both = self.left.copied_by.union(&self.right.copied_by).copied();
        let copied_by = if self.one_row() {
            BTreeSet::new()
        } else if self.right_is_one && matches!(self.keep, Keep::Both | Keep::Left) {
            self.left.copied_by.clone()
        } else if self.left_is_one && matches!(self.keep, Keep::Both | Keep::Right) {
            self.right.copied_by.clone()
        } else {
            both.chain([self.number]).collect()
        };
        Rows { copied_by, pins: None }
    }

    /// What may repeat the values of a side's columns. Where every row is a row of the other side, as it was recorded, how
    /// often is a fact about the subject, and conditions have their threshold. A side that an outer join preserves stays
    /// without a match, so that the analyst's conditions would choose who is repeated and who stands once.
    fn copies(&self, of_left: bool) -> BTreeSet<usize> {
        let (own_is_one, other, other_is_one, preserving) = if of_left {
            (self.left_is_one, self.right, self.right_is_one, Keep::Left)
        } else {
            (self.right_is_one, self.left, self.left_is_one, Keep::Right)
        };
        if other_is_one {
            return BTreeSet::new();
        }
        let chosen = !own_is_one || self.keep == preserving || self.keep == Keep::Either;
        other.copied_by.iter().copied().chain(chosen.then_some(self.number)).collect()
    }
}

fn renamed(owner: &str, merged: &[(String, String)]) -> String {
    merged
        .iter()
        .find(|(_, replaced)| replaced == owner)
        .map_or_else(|| owner.to_owned(), |(kept, _)| kept.clone())
}

/// Subjects of one side would no longer be counted.
fn lost_subjects() -> Finding {
    join_refusal(Reason::SubjectsWouldBeLost).help(
        "the other side is also about subjects of another kind, who must be counted too: use an inner join",
        "关联的另一侧还涉及其他类型的主体，也必须计数：请使用内关联",
    )
}

/// The refusal of a join, whichever rule it breaks.
pub(super) fn join_refusal(reason: Reason) -> Finding {
    Finding::of(reason).help(
        "join on the unit key of both datasets, on the unique key of an open table, or on its intervals that do not overlap",
        "请按双方的主体标识关联，或按开放表的唯一键或互不重叠的区间关联",
    )
}

/// Both inputs as one block, only to resolve the join's own condition.
fn both_sides(left: &Block, right: &Block) -> Result<Block, Refused> {
    let schema = left.schema.join(&right.schema).map_err(not_built)?;
    Ok(Block {
        plan: LogicalPlan::default(),
        bases: left
            .bases
            .iter()
            .chain(&right.bases)
            .map(|(name, base)| (name.clone(), base.clone()))
            .collect(),
        schema: Arc::new(schema),
        outputs: left.outputs.iter().chain(&right.outputs).cloned().collect(),
        classes: Vec::new(),
        taint: Taint::none(),
        unique: Unique::default(),
        rows: Rows::default(),
        conditions: Conditions::new(),
    })
}

fn equation(bases: &BTreeMap<String, Base>, expr: &Expr) -> Option<(Column, Column)> {
    let Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) = expr else { return None };
    Some((bare_column(bases, left)?.clone(), bare_column(bases, right)?.clone()))
}

/// BETWEEN as its two comparisons.
fn between_ends(expr: Expr) -> Vec<Expr> {
    match expr {
        Expr::Between(Between { expr, negated: false, low, high }) => vec![
            datafusion_expr::binary_expr((*expr).clone(), Operator::GtEq, *low),
            datafusion_expr::binary_expr(*expr, Operator::LtEq, *high),
        ],
        other => vec![other],
    }
}

fn is_true(expr: &Expr) -> bool {
    matches!(expr, Expr::Literal(datafusion_common::ScalarValue::Boolean(Some(true)), _))
}

fn mirrored(condition: Condition) -> Condition {
    Condition {
        equated: condition.equated.iter().map(|(a, b)| (b.clone(), a.clone())).collect(),
        ..condition
    }
}

pub(super) fn known<'b>(block: &'b Block, column: &Column) -> Result<&'b Base, Refused> {
    block.base(column).ok_or_else(internal)
}

/// What a side's columns are in rows where an outer join found nothing there: missing, also where they are made from
/// missing values, as a label or COALESCE would be.
pub(super) fn only_where_present(outputs: Vec<Expr>, key: Option<String>) -> Result<Vec<Expr>, Refused> {
    let present = |output: Expr| {
        if is_strict(&output) {
            return Ok(output);
        }
        let key = key.as_deref().ok_or_else(|| join_refusal(Reason::OuterColumnMade))?;
        let found = Expr::IsNotNull(Box::new(base_column(key)));
        Ok(Expr::Case(Case::new(None, vec![(Box::new(found), Box::new(output))], None)))
    };
    outputs.into_iter().map(present).collect()
}

/// The same rows, with conditions that do not tell the engine that a column is constant: it would take the column for
/// constant above an outer join as well, where it may be missing, and leave out sorts by it (DataFusion 55,
/// `EquivalenceGroup::join`).
pub(super) fn without_constants(plan: LogicalPlan) -> Result<LogicalPlan, Refused> {
    plan.transform_down(|node| match node {
        LogicalPlan::Filter(Filter { predicate, input, .. }) => {
            let conditions = split_conjunction(&predicate).into_iter().cloned();
            let opaque = conditions.map(|condition| Expr::IsTrue(Box::new(condition))).reduce(Expr::and);
            let predicate = opaque.unwrap_or(predicate);
            Ok(Transformed::yes(LogicalPlan::Filter(Filter::try_new(predicate, input)?)))
        }
        other => Ok(Transformed::no(other)),
    })
    .map(|transformed| transformed.data)
    .map_err(not_built)
}

/// NULL for certain when its columns are.
fn is_strict(expr: &Expr) -> bool {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the wildcard is taken for one that is not")]
    match expr {
        Expr::Column(_) => true,
        Expr::Alias(alias) => is_strict(&alias.expr),
        Expr::Cast(cast) => is_strict(&cast.expr),
        Expr::TryCast(cast) => is_strict(&cast.expr),
        _ => false,
    }
}

/// A side's own unit key that stays beside the merged one.
fn unit_key_beside(side: &Block, merged: &[(String, String)]) -> Option<String> {
    let key = side.bases.iter().find(|(name, base)| match &base.kind {
        BaseKind::UnitKey { class, .. } => {
            merged.iter().any(|(kept, _)| kept == class && kept != *name) && !base.optional
        }
        BaseKind::Declared(_)
        | BaseKind::SubjectCount
        | BaseKind::SubjectMeasure
        | BaseKind::Label
        | BaseKind::Released { .. } => false,
    });
    key.map(|(name, _)| name.clone())
}

/// Columns and classes of a side that may be missing in a row.
fn mark_optional(
    bases: &mut BTreeMap<String, Base>,
    classes: &mut [Class],
    left: &Block,
    right: &Block,
    keep: Keep,
    number: usize,
) {
    for (missing, sides) in [(left, [Keep::Right, Keep::Either]), (right, [Keep::Left, Keep::Either])] {
        if !sides.contains(&keep) {
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

/// After an outer join the merged subject is whichever side has it.
fn unify(
    plan: LogicalPlan,
    bases: &BTreeMap<String, Base>,
    classes: &mut [Class],
    merged: &[(String, String)],
    keep: Keep,
) -> datafusion_common::Result<LogicalPlan> {
    if !matches!(keep, Keep::Right | Keep::Either) {
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

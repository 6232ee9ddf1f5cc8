//! Joins of individuals with open or released tables, N:1: each row of an individual meets at most one row, by a unique
//! key or because it lies in one of several intervals that do not overlap.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::DataType as ArrowType;
use datafusion_common::Column;
use datafusion_common::JoinType;
use datafusion_common::NullEquality;
use datafusion_expr::BinaryExpr;
use datafusion_expr::Expr;
use datafusion_expr::LogicalPlan;
use datafusion_expr::LogicalPlanBuilder;
use datafusion_expr::Operator;
use obscura_policies::vocabulary::Level;
use obscura_policies::vocabulary::Role;
use obscura_policies::vocabulary::Use;

use crate::column::bare_column;
use crate::column::total;
use crate::column_facts::ColumnFacts;
use crate::column_facts::ColumnKind;
use crate::column_facts::ReleasedColumnFacts;
use crate::column_facts::SourceColumn;
use crate::finding::Refused;
use crate::finding::first_span;
use crate::finding::not_built;
use crate::reason::Reason;
use crate::source_rows::Class;
use crate::source_rows::SourceRows;
use crate::source_rows::Unique;
use crate::zones::ZonePass;

use super::condition::Condition;
use super::outer::only_where_present;
use super::outer::without_constants;
use super::preserved::Preserved;
use super::preserved::Side;
use super::refusal::join_refusal;
use super::refusal::known;

/// The comparisons that put a value into one of several disjoint intervals.
struct Range {
    /// The individual's column.
    value: Column,
    /// The other side's columns.
    low: Column,
    high: Column,
    comparisons: Vec<Expr>,
}

/// One comparison of a range join: an individual's column with an end of an interval.
struct End {
    value: Column,
    end: Column,
    /// The end is the interval's lower one.
    is_low: bool,
    /// The end belongs to the interval.
    included: bool,
}

impl ZonePass<'_> {
    /// Individuals with an open or released table whose join columns are unique: each row meets at most one.
    ///
    /// A second row would count a person twice. A table that is met by a key, a name or a measure names a person or
    /// cuts a bin: `persons p JOIN (VALUES (123456)) t(x) ON p.salary = t.x`. A list that was filtered, or that a
    /// threshold has cut, is a filter on the column that it meets, which the grant may not give. All that the table has
    /// read or was chosen by stays with the rows (`sandbox/docs/disclosure-model.md`, section 4.6).
    pub(super) fn many_to_one(
        &mut self,
        many: SourceRows,
        mut one: SourceRows,
        mut condition: Condition,
        preserved: Preserved,
        side: Side,
    ) -> Result<SourceRows, Refused> {
        let columns: BTreeSet<String> = condition.equated.iter().map(|(_, b)| b.name.clone()).collect();
        let semi = preserved.is_about_left_only();
        let released = one.bases.values().any(|base| matches!(base.kind, ColumnKind::Released { .. }));
        // A semi join cannot multiply rows, so an open table needs no unique key for it.
        // A key is unique among its values; how many rows have none is not known.
        let nulls_match = condition.nulls == NullEquality::NullEqualsNull && !released;
        let range = if columns.is_empty() { Range::take(&many, &one, &mut condition.residual) } else { None };
        let matches_once =
            !nulls_match && (range.is_some() || one.unique.sets.iter().any(|set| set.is_subset(&columns)));
        if !matches_once && (columns.is_empty() || !semi || released) {
            return Err(self.not_once(&condition));
        }
        let whole = !released
            && one.taint.comparisons == 0
            && one.taint.literals == 0
            && condition.residual.is_empty()
            || one.unique.is_one_row();
        let mut taint = many.taint.clone();
        taint.absorb(&one.taint);
        taint.read(self.take_subqueries_read());
        keep_benchmarks(&many, &mut one, &condition);
        let mut uses: Option<BTreeSet<Use>> = None;
        let mut grade = Level(1);
        let mut by_register = false;
        let compared =
            range.iter().flat_map(|range| [(&range.value, &range.low), (&range.value, &range.high)]);
        for (a, b) in condition.equated.iter().map(|(a, b)| (a, b)).chain(compared) {
            let (individual, open) = (known(&many, a)?, known(&one, b)?);
            if matches_once && self.is_register(individual, open) {
                if let Some(base) = [individual, open].into_iter().find(|base| !base.allows(Use::Join)) {
                    return Err(self.use_not_granted(a, base, Use::Join));
                }
                by_register = true;
                grade = grade.max(individual.grade).max(open.grade);
                continue;
            }
            let never = matches!(
                individual.kind,
                ColumnKind::UnitKey { .. } | ColumnKind::Declared(Role::Identifier) | ColumnKind::Derived
            );
            if never
                || matches!(open.kind, ColumnKind::Released { computed: true, .. })
                || individual.is_measure()
            {
                return Err(self.not_joinable(Reason::ColumnMeetsNoTable, a));
            }
            // A key set that was filtered, or that a threshold may have cut, filters what it meets.
            if !whole && !individual.allows(Use::Filter) {
                return Err(self.use_not_granted(a, individual, Use::Filter));
            }
            // An open table's numbers and dates are literals by another name: they would cut a mask in two. What is known
            // in bins is equated with nothing, as by the shape rule: a released number is seldom an edge.
            let is_cut = individual.mask.is_some()
                && (range.is_some() || open.open && individual.data_type != ArrowType::Utf8);
            if is_cut || individual.bins.is_some() {
                return Err(self.not_joinable(Reason::TableWouldCutMask, a));
            }
            if range.is_some() && !individual.allows(Use::Filter) {
                let refused = self.use_not_granted(a, individual, Use::Filter);
                return Err(refused.map(|finding| finding.because(Reason::IntervalWithoutFilter)));
            }
            let shared: BTreeSet<Use> = individual.uses.intersection(&open.uses).copied().collect();
            if !individual.allows(Use::Join)
                && !individual.allows(Use::Group)
                && !individual.allows(Use::Filter)
            {
                return Err(self.use_not_granted(a, individual, Use::Join));
            }
            uses = Some(uses.map_or(shared.clone(), |uses| uses.intersection(&shared).copied().collect()));
            grade = grade.max(individual.grade).max(open.grade);
        }
        taint.grade = taint.grade.max(grade);
        for base in one.bases.values_mut() {
            base.grade = base.grade.max(grade);
            if let Some(shared) = &uses {
                base.uses.retain(|used| *used == Use::Aggregate || shared.contains(used));
            }
            // Once a row of the register has met individuals, no query reads whom it is about.
            if by_register && is_identifying(base) {
                base.uses.clear();
            }
        }
        let (residual, read) = self.residual(&many, &one, &condition.residual, &[])?;
        taint.read(read);
        taint.compared.joined = true;
        let ends = range.iter().flat_map(|range| &range.comparisons);
        taint.compared.add(&many.bases, condition.columns().iter().chain(&residual).chain(ends));
        // Rows of the open side that no individual meets feed no aggregate, so that side is never the one preserved.
        let join_type = match (preserved, side) {
            (Preserved::Both, _) | (Preserved::Left, Side::Right) | (Preserved::Right, Side::Left) => {
                JoinType::Inner
            }
            (Preserved::Left, Side::Left) | (Preserved::Right, Side::Right) | (Preserved::Either, _) => {
                JoinType::Left
            }
            (Preserved::LeftIfMatched, Side::Left) => JoinType::LeftSemi,
            (Preserved::LeftIfUnmatched, Side::Left) => JoinType::LeftAnti,
            (Preserved::LeftMarked, Side::Left) => JoinType::LeftMark,
            (Preserved::LeftIfMatched | Preserved::LeftIfUnmatched | Preserved::LeftMarked, Side::Right) => {
                return Err(join_refusal(Reason::TableChosenByIndividuals).into());
            }
        };
        // One row that is always there is met by everybody.
        let always_met =
            one.unique.is_one_row() && condition.equated.is_empty() && range.is_none() && residual.is_none();
        let join_type = if always_met && join_type == JoinType::Left { JoinType::Inner } else { join_type };
        // Values of the open side stand in as many rows as meet them.
        for base in one.bases.values_mut() {
            base.copied_by.extend(many.multiplicity.copied_by.iter().copied());
        }
        let first = columns.into_iter().next().or_else(|| range.as_ref().map(|range| range.low.name.clone()));
        let ends = range.map(|range| range.comparisons).unwrap_or_default();
        taint.comparisons += ends.len() + usize::from(!whole);
        condition.residual = ends.into_iter().chain(residual).collect();
        let plan_one = if join_type == JoinType::Left { without_constants(one.plan)? } else { one.plan };
        let mut plan = joined(many.plan, plan_one, join_type, condition)?;
        let classes: Vec<Class> =
            many.classes.into_iter().map(|class| Class { clustered: false, ..class }).collect();
        let mut bases = many.bases;
        let mut outputs = many.outputs;
        if join_type == JoinType::LeftMark {
            let mark;
            (plan, mark) = self.marked(plan, &mut bases, &classes, &taint)?;
            outputs.push(mark);
        } else if !semi {
            let optional = join_type == JoinType::Left;
            if optional {
                one.outputs = only_where_present(one.outputs, first)?;
            }
            bases.extend(
                one.bases
                    .into_iter()
                    .map(|(name, base)| (name, ColumnFacts { optional: optional || base.optional, ..base })),
            );
            outputs = match side {
                Side::Left => outputs.into_iter().chain(one.outputs).collect(),
                Side::Right => one.outputs.into_iter().chain(outputs).collect(),
            };
        }
        let (schema, unique, multiplicity) = (many.schema, Unique::default(), many.multiplicity);
        let conditions = self.joined_conditions(many.conditions, one.conditions);
        Ok(SourceRows { plan, bases, schema, outputs, classes, taint, unique, multiplicity, conditions })
    }

    /// True if a subject's key meets the key of an open register of the same kind of subject.
    ///
    /// Everybody can read the register, and each person meets their own row of it, whose columns are facts about them.
    /// Once it has met individuals its identifying columns are cleared, so that no query asks for one person by it
    /// (`sandbox/docs/disclosure-model.md`, section 4.6).
    fn is_register(&self, individual: &ColumnFacts, open: &ColumnFacts) -> bool {
        let ColumnKind::UnitKey { kind, .. } = &individual.kind else { return false };
        let dataset = open.dataset.as_ref().and_then(|id| self.policy.datasets.get(id));
        open.open
            && !individual.optional
            && dataset.is_some_and(|dataset| {
                dataset.units.iter().any(|unit| unit.column == open.name && unit.kind == *kind)
            })
    }

    /// The refusal of a join that may meet several rows, with the place of its first column.
    ///
    /// `persons p JOIN zones z ON p.dept = z.district` counts some people more often than others, by numbers of rows
    /// that an analyst can choose (`sandbox/docs/disclosure-model.md`, section 4.6).
    fn not_once(&self, condition: &Condition) -> Refused {
        let pairs = condition.equated.iter().map(|(a, _)| Expr::Column(a.clone()));
        let place = pairs
            .chain(condition.residual.iter().cloned())
            .find_map(|expr| first_span(self.review.sql, &expr));
        join_refusal(Reason::MayMeetSeveralRows).at(place).into()
    }
}

/// Keeps a released mean as one only where each key of its stage meets the column that it is, all of them of one scan, and
/// notes whose.
///
/// Met by another column (`ON p.dept = r.sex`) it would be the mean of a group that the analyst chose, and so it would be for
/// the other side of a self join: beside `ON a.day = t.day`, `b.cost > t.mean` cuts a bin of `b.cost` at the mean of the day
/// that `a.day = 3` chooses (`sandbox/docs/disclosure-model.md`, section 4.6).
fn keep_benchmarks(many: &SourceRows, one: &mut SourceRows, condition: &Condition) {
    let scans_at = |name: &str, source: &SourceColumn| -> BTreeSet<usize> {
        let met = condition.equated.iter().filter_map(|(a, b)| {
            let is_key = one.base(b).is_some_and(|base| match &base.kind {
                ColumnKind::Released { column: Some(facts), .. } => {
                    matches!(&**facts, ReleasedColumnFacts::Key { name: known, .. } if known == name)
                }
                _ => false,
            });
            many.base(a).filter(|base| is_key && base.source().as_ref() == Some(source))?.scan
        });
        met.collect()
    };
    let mut judged = Vec::new();
    for (name, base) in &one.bases {
        let ColumnKind::Released { column: Some(facts), .. } = &base.kind else { continue };
        let ReleasedColumnFacts::Benchmark { of, conditions, keys, .. } = &**facts else { continue };
        let at_keys = keys.iter().map(|(name, source)| {
            source.as_ref().map_or_else(BTreeSet::new, |source| scans_at(name, source))
        });
        let Some(met_by) = at_keys.reduce(|scans, others| &scans & &others) else { continue };
        let kept = (!met_by.is_empty()).then(|| {
            let (of, conditions, keys) = (of.clone(), conditions.clone(), keys.clone());
            Arc::new(ReleasedColumnFacts::Benchmark { of, conditions, keys, met_by })
        });
        judged.push((name.clone(), kept));
    }
    for (name, kept) in judged {
        if let Some(ColumnFacts { kind: ColumnKind::Released { column, .. }, .. }) = one.bases.get_mut(&name)
        {
            *column = kept;
        }
    }
}

/// A column that tells whom a row is about.
///
/// Rows of a register chosen by it would choose single people among those whom they meet
/// (`sandbox/docs/disclosure-model.md`, section 4.6).
pub(in crate::zones) fn is_identifying(base: &ColumnFacts) -> bool {
    matches!(base.kind, ColumnKind::Declared(Role::Identifier | Role::UnitKey))
}

impl Range {
    /// Takes the two comparisons of a range join out of a join's condition.
    ///
    /// Only intervals that sealing proved disjoint hold a value once. Half a range (`v.day >= h.first_day`) and
    /// intervals of the analyst's own (`VALUES (0, 2), (1, 3)`) repeat rows, and are no range join
    /// (`sandbox/docs/disclosure-model.md`, section 4.6).
    fn take(many: &SourceRows, one: &SourceRows, residual: &mut Vec<Expr>) -> Option<Self> {
        let ends: Vec<Option<End>> = residual.iter().map(|expr| End::of(many, one, expr)).collect();
        let find = |is_low: bool| {
            ends.iter()
                .enumerate()
                .find_map(|(at, end)| end.as_ref().filter(|end| end.is_low == is_low).map(|end| (at, end)))
        };
        let ((at_low, low), (at_high, high)) = (find(true)?, find(false)?);
        let proven = one.unique.intervals.iter().any(|intervals| {
            intervals.low == low.end.name
                && intervals.high == high.end.name
                && (intervals.closed || !(low.included && high.included))
        });
        if low.value != high.value || !proven {
            return None;
        }
        let later = residual.remove(at_low.max(at_high));
        let earlier = residual.remove(at_low.min(at_high));
        let comparisons = [earlier, later].iter().map(compared).collect();
        Some(Range { value: low.value.clone(), low: low.end.clone(), high: high.end.clone(), comparisons })
    }
}

impl End {
    /// One comparison of a column of individuals with a bare column of the table; nothing where it is another
    /// condition.
    ///
    /// It says whether the end belongs to its interval: of two that share an end, a value there must meet one only
    /// (`sandbox/docs/disclosure-model.md`, section 4.6).
    fn of(many: &SourceRows, one: &SourceRows, expr: &Expr) -> Option<Self> {
        let Expr::BinaryExpr(BinaryExpr { left, op, right }) = expr else { return None };
        let of_many =
            |expr: &Expr| bare_column(&many.bases, expr).filter(|c| many.base(c).is_some()).cloned();
        let of_one = |expr: &Expr| bare_column(&one.bases, expr).filter(|c| one.base(c).is_some()).cloned();
        let (value, end, op) = match (of_many(left), of_one(right)) {
            (Some(value), Some(end)) => (value, end, *op),
            _ => (of_many(right)?, of_one(left)?, op.swap()?),
        };
        let (is_low, included) = match op {
            Operator::GtEq => (true, true),
            Operator::Gt => (true, false),
            Operator::LtEq => (false, true),
            Operator::Lt => (false, false),
            _ => return None,
        };
        Some(End { value, end, is_low, included })
    }
}

/// A comparison whose casts cannot fail: a failing query would tell that some person has such a value
/// (`sandbox/docs/disclosure-model.md`, section 7).
fn compared(expr: &Expr) -> Expr {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            datafusion_expr::binary_expr(total((**left).clone()), *op, total((**right).clone()))
        }
        other => other.clone(),
    }
}

/// The join. Without equal keys the engine keeps its left side in memory: that is the short table, never the individuals.
fn joined(
    many: LogicalPlan,
    one: LogicalPlan,
    join_type: JoinType,
    condition: Condition,
) -> Result<LogicalPlan, Refused> {
    let Condition { equated, nulls, null_aware, residual } = condition;
    let residual = residual.into_iter().reduce(Expr::and);
    let keys: (Vec<Column>, Vec<Column>) = equated.into_iter().unzip();
    let builder = match (keys.0.is_empty(), residual) {
        (true, None) if join_type == JoinType::Inner => LogicalPlanBuilder::from(many).cross_join(one),
        (true, residual) => LogicalPlanBuilder::from(one).join_detailed_with_options(
            many,
            join_type.swap(),
            keys,
            residual,
            nulls,
            null_aware,
        ),
        (false, residual) => LogicalPlanBuilder::from(many)
            .join_detailed_with_options(one, join_type, keys, residual, nulls, null_aware),
    };
    builder.and_then(LogicalPlanBuilder::build).map_err(not_built)
}

//! Joins of a base: what is found by sensitive columns, and what that it is found tells.

use std::sync::Arc;

use datafusion_common::JoinType;
use datafusion_expr::Expr;
use datafusion_expr::Join;
use datafusion_expr::LogicalPlan;

use super::BaseRows;
use super::columns::Choice;
use super::columns::OwnRows;
use super::columns::Part;
use super::columns::mixed;
use super::condition::relaxed;
use crate::finding::Refused;
use crate::finding::internal;
use crate::finding::not_built;

/// The equal pairs of a join.
type Pairs = Vec<(Expr, Expr)>;

impl BaseRows {
    /// Rows of the same subjects beside one another. They meet by their keys; what else is equated is a condition.
    ///
    /// # Errors
    /// As [`BaseRows::of`].
    pub(super) fn joined(self, right: Self, join: &Join) -> Result<Self, Refused> {
        if !(self.is_individual && right.is_individual) {
            return self.looked_up(right, join);
        }
        let both = self.columns.and(&right.columns);
        let is_key = |(one, other): &(Expr, Expr)| both.is_key(one) && both.is_key(other);
        let reads = |(one, other): &(Expr, Expr)| both.reads_sensitive(one) || both.reads_sensitive(other);
        let found = |(one, other): &(Expr, Expr)| both.reads_found(one) || both.reads_found(other);
        if join.on.iter().any(|pair| !is_key(pair) && found(pair)) {
            return Err(mixed());
        }
        let is_kept = |pair: &&(Expr, Expr)| is_key(pair) || !reads(pair);
        let on: Pairs = join.on.iter().filter(is_kept).cloned().collect();
        let by_pairs = if on.len() < join.on.len() { Choice::Whole } else { Choice::None };
        let filter = join.filter.as_ref().map(|filter| relaxed(filter, &both)).transpose()?;
        let (filter, by_filter) =
            filter.map_or((None, Choice::None), |filter| (filter.condition, filter.choice));
        let meets_by_others = filter.is_some() || !on.iter().all(is_key);
        // Whoever was found by sensitive columns is chosen by them wherever their key is met.
        let by_found_keys = join.on.iter().any(|pair| is_key(pair) && reads(pair));
        let is_found_narrowed = join.on.iter().any(|pair| is_key(pair) && found(pair));
        let tells_both = |expr: &Expr| both.read(expr).contains(&Part::Mixed);
        if join.on.iter().any(|(one, other)| tells_both(one) || tells_both(other)) {
            return Err(mixed());
        }
        let by_keys = if by_found_keys { Choice::Whole } else { Choice::None };
        // The rows of the other side as they are met: by what has chosen them, and by the condition of the join.
        let of_join = by_pairs.and(by_filter)?.and(by_keys)?;
        let tables_differ = |one: &Self, other: &Self| !one.datasets.is_subset(&other.datasets);
        let met = right.choice.and(of_join)?;
        let is_met_narrowed =
            right.is_narrowed || meets_by_others || is_found_narrowed || tables_differ(&right, &self);
        let is_narrowed = self.is_narrowed || is_met_narrowed;
        let of_met = right.own_rows.after(of_join);
        let own_rows = self.own_rows.max(of_met);
        let datasets = &self.datasets | &right.datasets;
        let is_individual = true;
        let (of_left, of_right) = (names(&self.plan), names(&right.plan));
        let mut columns = both.clone();
        let rows_found = |is_narrowed: bool| if is_narrowed { OwnRows::Mixed } else { OwnRows::Chosen };
        match join.join_type {
            JoinType::Inner => {
                let choice = self.choice.and(met)?;
                let plan = rejoined(self.plan, right.plan, on, filter, join)?;
                let is_raw = false;
                Ok(BaseRows { plan, columns, is_individual, is_raw, choice, own_rows, is_narrowed, datasets })
            }
            JoinType::Left => {
                let mut of_rows = self.own_rows;
                let is_chosen = of_met > OwnRows::All;
                if is_chosen {
                    columns.find(&of_right, met, is_met_narrowed);
                    of_rows = of_rows.max(rows_found(is_met_narrowed || met == Choice::Partial));
                }
                let plan = rejoined(self.plan, right.plan, on, filter, join)?;
                Ok(BaseRows { plan, columns, is_raw: false, own_rows: of_rows, datasets, ..self })
            }
            JoinType::Right => {
                let mut of_rows = right.own_rows;
                let met = self.choice.and(of_join)?;
                let is_chosen = self.own_rows.after(of_join) > OwnRows::All;
                if is_chosen {
                    let is_met_narrowed = self.is_narrowed
                        || meets_by_others
                        || is_found_narrowed
                        || tables_differ(&self, &right);
                    columns.find(&of_left, met, is_met_narrowed);
                    of_rows = of_rows.max(rows_found(is_met_narrowed || met == Choice::Partial));
                }
                let plan = rejoined(self.plan, right.plan, on, filter, join)?;
                Ok(BaseRows { plan, columns, is_raw: false, own_rows: of_rows, datasets, ..right })
            }
            JoinType::Full => {
                let choice = self.choice.or(right.choice)?;
                let is_chosen = own_rows > OwnRows::All;
                if is_chosen {
                    let all: Vec<String> = of_left.into_iter().chain(of_right).collect();
                    columns.find(&all, Choice::Partial, true);
                }
                let own_rows = if is_chosen { OwnRows::Mixed } else { own_rows };
                let plan = rejoined(self.plan, right.plan, on, filter, join)?;
                let is_raw = false;
                Ok(BaseRows { plan, columns, is_individual, is_raw, choice, own_rows, is_narrowed, datasets })
            }
            JoinType::LeftSemi => {
                let choice = self.choice.and(met)?;
                let own_rows = self.own_rows.after(met);
                let plan = rejoined(self.plan, right.plan, on, filter, join)?;
                Ok(BaseRows { plan, is_raw: false, choice, own_rows, is_narrowed, datasets, ..self })
            }
            // Who has none of certain rows is anybody, where nothing is to tell which rows those are.
            JoinType::LeftAnti if met != Choice::None => {
                let is_partial = is_met_narrowed || met == Choice::Partial;
                let among = if is_partial { Choice::Partial } else { Choice::Whole };
                let own_rows = self.own_rows.after(among);
                Ok(BaseRows { choice: self.choice.and(among)?, own_rows, ..self })
            }
            JoinType::LeftAnti => {
                let plan = rejoined(self.plan, right.plan, on, filter, join)?;
                Ok(BaseRows { plan, is_raw: false, is_narrowed: true, datasets, ..self })
            }
            JoinType::LeftMark => {
                let part = match (met, is_met_narrowed) {
                    (Choice::None, _) => Part::Other,
                    (Choice::Whole, false) => Part::Sensitive,
                    (Choice::Whole, true) => Part::Found,
                    (Choice::Partial, _) => Part::Mixed,
                };
                self.marked(right.plan, join, (on, filter), part)
            }
            JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => Err(internal()),
        }
    }

    /// Individuals with rows of an open or released table, of which each meets one at the most. What a sensitive column finds there tells
    /// of it, and whether it finds something chooses by it.
    ///
    /// # Errors
    /// `sensitive-conditions-mixed` where rows are found by a sensitive column together with others, for whose values it finds others.
    fn looked_up(self, right: Self, join: &Join) -> Result<Self, Refused> {
        let both = self.columns.and(&right.columns);
        let sides = || join.on.iter().flat_map(|(one, other)| [one, other]).chain(&join.filter);
        if sides().any(|side| both.reads_found(side)) {
            return Err(mixed());
        }
        let by_sensitive = sides().any(|side| both.reads_sensitive(side));
        let individuals_left = self.is_individual;
        let (many, one) = if individuals_left { (self, right) } else { (right, self) };
        if by_sensitive {
            let of_many = names(&many.plan);
            let is_other = |name: &str| {
                of_many.iter().any(|own| own == name)
                    && matches!(both.part(name), Part::Other | Part::Measured)
            };
            if sides().flat_map(|side| side.column_refs()).any(|column| is_other(&column.name)) {
                return Err(mixed());
            }
        }
        let (plan_left, plan_right) = if individuals_left {
            (many.plan.clone(), one.plan.clone())
        } else {
            (one.plan.clone(), many.plan.clone())
        };
        let condition = (join.on.clone(), join.filter.clone());
        let keeps_many_alone = match (join.join_type, individuals_left) {
            (JoinType::LeftSemi | JoinType::LeftAnti, true)
            | (JoinType::RightSemi | JoinType::RightAnti, false) => true,
            (JoinType::LeftMark, true) | (JoinType::RightMark, false) => {
                let part = if by_sensitive { Part::Sensitive } else { Part::Other };
                let plan = rejoined(plan_left, plan_right, condition.0, condition.1, join)?;
                return many.with_mark(plan, part);
            }
            (
                JoinType::LeftSemi
                | JoinType::LeftAnti
                | JoinType::LeftMark
                | JoinType::RightSemi
                | JoinType::RightAnti
                | JoinType::RightMark,
                _,
            ) => return Err(internal()),
            (JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full, _) => false,
        };
        if keeps_many_alone && by_sensitive {
            let (choice, own_rows) = (many.choice.and(Choice::Whole)?, many.own_rows.after(Choice::Whole));
            return Ok(BaseRows { choice, own_rows, ..many });
        }
        let chooses = keeps_many_alone || join.join_type == JoinType::Inner;
        let (kind, found_by) = match (join.join_type, by_sensitive, individuals_left) {
            (JoinType::Inner, true, true) => (JoinType::Left, Choice::Whole),
            (JoinType::Inner, true, false) => (JoinType::Right, Choice::Whole),
            (kind, _, _) => (kind, Choice::None),
        };
        let mut columns = if keeps_many_alone { many.columns.clone() } else { both };
        for name in names(&one.plan).iter().filter(|_| by_sensitive) {
            columns.put(name, Part::Sensitive);
        }
        let join = Join { join_type: kind, ..join.clone() };
        let plan = rejoined(plan_left, plan_right, condition.0, condition.1, &join)?;
        let (choice, own_rows) = (many.choice.and(found_by)?, many.own_rows.after(found_by));
        let is_narrowed = many.is_narrowed || (chooses && !by_sensitive);
        Ok(BaseRows { plan, columns, is_raw: false, choice, own_rows, is_narrowed, ..many })
    }

    /// A mark tells whether there is a row on the other side, and with that what has chosen the rows there.
    fn marked(
        self,
        right: LogicalPlan,
        join: &Join,
        (on, filter): (Pairs, Option<Expr>),
        part: Part,
    ) -> Result<Self, Refused> {
        let plan = rejoined(self.plan.clone(), right, on, filter, join)?;
        self.with_mark(plan, part)
    }

    fn with_mark(self, plan: LogicalPlan, part: Part) -> Result<Self, Refused> {
        let mut columns = self.columns;
        let mark = plan.schema().fields().last().ok_or_else(internal)?.name().clone();
        columns.put(&mark, part);
        Ok(BaseRows { plan, columns, is_raw: false, ..self })
    }
}

fn names(plan: &LogicalPlan) -> Vec<String> {
    plan.schema().fields().iter().map(|field| field.name().clone()).collect()
}

fn rejoined(
    left: LogicalPlan,
    right: LogicalPlan,
    on: Pairs,
    filter: Option<Expr>,
    join: &Join,
) -> Result<LogicalPlan, Refused> {
    // Without an equal key everybody would meet everybody.
    if on.is_empty() && !join.on.is_empty() {
        return Err(internal());
    }
    let joined = Join::try_new(
        Arc::new(left),
        Arc::new(right),
        on,
        filter,
        join.join_type,
        join.join_constraint,
        join.null_equality,
        join.null_aware,
    );
    Ok(LogicalPlan::Join(joined.map_err(not_built)?))
}

//! Joins of a base: what is found by sensitive columns, and what that it is found tells.

use std::sync::Arc;

use datafusion_common::JoinType;
use datafusion_expr::Expr;
use datafusion_expr::Join;
use datafusion_expr::LogicalPlan;

use super::BaseRows;
use super::columns::Choice;
use super::columns::Columns;
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
        let read = |(one, other): &(Expr, Expr)| &both.read(one) | &both.read(other);
        // What was found is equated by its key alone, and that only where it tells of sensitive columns in one way.
        let equates_found = |pair: &(Expr, Expr)| {
            let least = if is_key(pair) { Part::Mixed } else { Part::Beside };
            read(pair).iter().any(|part| *part >= least)
        };
        if join.on.iter().any(equates_found) {
            return Err(mixed());
        }
        let is_sensitive = |pair: &(Expr, Expr)| read(pair).iter().any(|part| *part >= Part::Certain);
        let on: Pairs = join.on.iter().filter(|pair| is_key(pair) || !is_sensitive(pair)).cloned().collect();
        // Whoever was found by sensitive columns is chosen by them wherever their key is met.
        let by_pairs = if join.on.iter().any(is_sensitive) { Choice::Whole } else { Choice::None };
        let filter = join.filter.as_ref().map(|filter| relaxed(filter, &both)).transpose()?;
        let (filter, by_filter) =
            filter.map_or((None, Choice::None), |filter| (filter.condition, filter.choice));
        let meeting = Meeting {
            choice: by_pairs.and(by_filter)?,
            is_narrowed: filter.is_some()
                || !on.iter().all(is_key)
                || join.on.iter().any(|pair| read(pair).iter().any(|part| *part >= Part::Beside)),
        };
        let met = Met::of(&right, &self, &meeting)?;
        let own_rows = self.own_rows.max(met.own_rows);
        let is_narrowed = self.is_narrowed || met.is_narrowed;
        let datasets = &self.datasets | &right.datasets;
        let (of_left, of_right) = (names(&self.plan), names(&right.plan));
        let mut columns = both.clone();
        let is_raw = false;
        match join.join_type {
            JoinType::Inner => {
                let choice = self.choice.and(met.choice)?;
                let plan = rejoined(self.plan, right.plan, on, filter, join)?;
                Ok(BaseRows { plan, columns, is_raw, choice, own_rows, is_narrowed, datasets, ..self })
            }
            JoinType::Left => {
                let own_rows = self.own_rows.max(met.found(&mut columns, &of_right));
                let plan = rejoined(self.plan, right.plan, on, filter, join)?;
                Ok(BaseRows { plan, columns, is_raw, own_rows, datasets, ..self })
            }
            JoinType::Right => {
                let met = Met::of(&self, &right, &meeting)?;
                let own_rows = right.own_rows.max(met.found(&mut columns, &of_left));
                let plan = rejoined(self.plan, right.plan, on, filter, join)?;
                Ok(BaseRows { plan, columns, is_raw, own_rows, datasets, ..right })
            }
            // Of either side anybody is there, so that what one of them finds tells of both.
            JoinType::Full => {
                let choice = self.choice.or(right.choice)?;
                let either = Met { choice: Choice::Partial, own_rows, is_narrowed };
                let all: Vec<String> = of_left.into_iter().chain(of_right).collect();
                let own_rows = either.found(&mut columns, &all);
                let plan = rejoined(self.plan, right.plan, on, filter, join)?;
                Ok(BaseRows { plan, columns, is_raw, choice, own_rows, is_narrowed, datasets, ..self })
            }
            JoinType::LeftSemi => {
                let choice = self.choice.and(met.choice)?;
                let own_rows = self.own_rows.after(met.choice);
                let plan = rejoined(self.plan, right.plan, on, filter, join)?;
                Ok(BaseRows { plan, is_raw, choice, own_rows, is_narrowed, datasets, ..self })
            }
            // Who has none of certain rows is anybody, where nothing is to tell which rows those are.
            JoinType::LeftAnti if met.choice != Choice::None => {
                let among = if met.tells_others() { Choice::Partial } else { Choice::Whole };
                let own_rows = self.own_rows.after(among);
                Ok(BaseRows { choice: self.choice.and(among)?, own_rows, ..self })
            }
            JoinType::LeftAnti => {
                let plan = rejoined(self.plan, right.plan, on, filter, join)?;
                Ok(BaseRows { plan, is_raw, is_narrowed: true, datasets, ..self })
            }
            JoinType::LeftMark => {
                let part = match (met.choice, met.is_narrowed) {
                    (Choice::None, _) => Part::Other,
                    (Choice::Whole, false) => Part::Sensitive,
                    (Choice::Whole, true) => Part::Found,
                    (Choice::Partial, _) => Part::Mixed,
                };
                let plan = rejoined(self.plan.clone(), right.plan, on, filter, join)?;
                self.with_mark(plan, part)
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
    fn with_mark(self, plan: LogicalPlan, part: Part) -> Result<Self, Refused> {
        let mut columns = self.columns;
        let mark = plan.schema().fields().last().ok_or_else(internal)?.name().clone();
        columns.put(&mark, part);
        Ok(BaseRows { plan, columns, is_raw: false, ..self })
    }
}

/// The condition of a join, as far as it chooses rows of a side that is met.
struct Meeting {
    /// The choice that has been taken out of it.
    choice: Choice,
    /// The rest of it chooses as well.
    is_narrowed: bool,
}

/// The rows of a side as those of the other side meet them: by what has chosen them, and by the condition of the join.
struct Met {
    choice: Choice,
    own_rows: OwnRows,
    is_narrowed: bool,
}

impl Met {
    /// The rows of `side` as those of `beside` meet them. That somebody is in another table narrows them as a condition does.
    fn of(side: &BaseRows, beside: &BaseRows, meeting: &Meeting) -> Result<Self, Refused> {
        Ok(Met {
            choice: side.choice.and(meeting.choice)?,
            own_rows: side.own_rows.after(meeting.choice),
            is_narrowed: side.is_narrowed
                || meeting.is_narrowed
                || !side.datasets.is_subset(&beside.datasets),
        })
    }

    /// True if that they are met tells of other conditions besides.
    fn tells_others(&self) -> bool {
        self.is_narrowed || self.choice == Choice::Partial
    }

    /// Notes that columns of these rows are found where they are met, and missing elsewhere: that they are there tells what has chosen
    /// them. Says what numbers over both sides' rows are of.
    fn found(&self, columns: &mut Columns, names: &[String]) -> OwnRows {
        if self.own_rows == OwnRows::All {
            return OwnRows::All;
        }
        columns.find(names, self.choice, self.is_narrowed);
        if self.tells_others() { OwnRows::Mixed } else { OwnRows::Chosen }
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

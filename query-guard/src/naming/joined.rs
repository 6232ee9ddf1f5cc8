//! Joins on a unit key, read for the names of cells: what a row finds is a fact of the row itself, and that it finds something is a
//! condition on it.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use datafusion_expr::Expr;
use datafusion_expr::Join;
use datafusion_expr::JoinType;
use datafusion_expr::utils::split_conjunction;
use obscura_policies::vocabulary::DatasetId;

use crate::column::only_where;
use crate::finding::Refused;
use crate::finding::internal;

use super::raw::Reading;
use super::raw::columns_of;
use super::raw::first_of;
use super::raw::is_there;
use super::scanned::Scanned;
use super::scanned::Source;
use super::scanned::rows_without_names;

impl Scanned {
    /// A join on one pair of unit keys.
    ///
    /// Where a side has one row for each subject at the most, a row of the other side meets one row or none, so that what it finds is a
    /// fact of the row. Where only asked for (`EXISTS`, `IN`), several rows of a subject are folded to one first. Where both
    /// sides may have several rows of a subject and both are kept, rows are repeated, and have no names
    /// (`sandbox/docs/disclosure-model.md`, section 5.8).
    pub(super) fn join(join: &Join, reading: Reading<'_>) -> Result<Self, Refused> {
        let [(a, b)] = join.on.as_slice() else { return Err(rows_without_names()) };
        let (left, right) = (Scanned::of(&join.left, reading)?, Scanned::of(&join.right, reading)?);
        let (a, b) = (left.raw(a)?, right.raw(b)?);
        let sides = Sides {
            left_is_single: left.is_single_by(&a),
            right_is_single: right.is_single_by(&b),
            keys: (a, b),
            left,
            right,
            filters: join.filter.iter().flat_map(|filter| split_conjunction(filter)).cloned().collect(),
        };
        match join.join_type {
            JoinType::Inner => sides.inner(reading),
            JoinType::LeftSemi => sides.asked_for(reading, |found| found, None),
            JoinType::LeftAnti => sides.asked_for(reading, |found| Expr::IsNotTrue(Box::new(found)), None),
            JoinType::LeftMark => {
                let mark = join.schema.fields().last().ok_or_else(internal)?.name().clone();
                sides.asked_for(reading, |found| Expr::IsTrue(Box::new(found)), Some(mark))
            }
            JoinType::Left => sides.outer(reading),
            JoinType::Right => sides.turned().outer(reading),
            JoinType::Full | JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => {
                Err(rows_without_names())
            }
        }
    }

    /// True if no two rows have the same value of a unit key.
    fn is_single_by(&self, key: &Expr) -> bool {
        let Expr::Column(column) = key else { return false };
        self.own.values().any(|source| source.single.contains(&column.name))
    }

    /// That there is a row which the side's conditions hold for.
    fn found(&self) -> Result<Expr, Refused> {
        let there = self.own.keys().map(|there| is_there(there));
        there.chain(self.conditions.iter().cloned()).reduce(Expr::and).ok_or_else(internal)
    }

    /// Takes over what the other side of a join was read from: its datasets, row filters and folds.
    fn reads_what(&mut self, other: &mut Scanned) {
        self.read.append(&mut other.read);
        self.open_columns.append(&mut other.open_columns);
        self.filters.append(&mut other.filters);
        self.derived.append(&mut other.derived);
    }
}

/// The two sides of a join.
struct Sides {
    left: Scanned,
    right: Scanned,
    left_is_single: bool,
    right_is_single: bool,
    /// The keys that are equated, over raw columns.
    keys: (Expr, Expr),
    /// The comparisons besides, over the columns of both sides.
    filters: Vec<Expr>,
}

impl Sides {
    fn turned(self) -> Self {
        Sides {
            left: self.right,
            right: self.left,
            left_is_single: self.right_is_single,
            right_is_single: self.left_is_single,
            keys: (self.keys.1, self.keys.0),
            filters: self.filters,
        }
    }

    fn inner(mut self, reading: Reading<'_>) -> Result<Scanned, Refused> {
        if !self.left_is_single && !self.right_is_single {
            return Err(rows_without_names());
        }
        self.columns_are_apart()?;
        let filters = self.filters()?;
        self.names_its_keys(reading);
        let equated = self.equated();
        let Sides { mut left, mut right, left_is_single, right_is_single, .. } = self;
        left.reads_what(&mut right);
        let (mut own, mut conditions) = (BTreeMap::new(), [left.conditions, right.conditions].concat());
        for (side, stays) in [(left.own, right_is_single), (right.own, left_is_single)] {
            // A row that is met by several is no row of its own any more; that it is there stays a condition.
            conditions.extend(side.keys().filter(|_| !stays).map(|there| is_there(there)));
            own.extend(side.into_iter().filter(|_| stays));
        }
        conditions.extend(filters);
        // What is one row or none beside a row that several meet would be added up more than once.
        let perhaps = [(left.perhaps, right_is_single), (right.perhaps, left_is_single)];
        let perhaps = perhaps.into_iter().filter(|(_, stays)| *stays).flat_map(|(perhaps, _)| perhaps);
        Ok(Scanned {
            read: left.read,
            own,
            perhaps: perhaps.collect(),
            open_columns: left.open_columns,
            columns: left.columns.into_iter().chain(right.columns).collect(),
            conditions,
            filters: left.filters,
            is_raw: false,
            equated,
            derived: left.derived,
        })
    }

    /// A join that only asks whether the other side has a row: a condition, or the column of this name.
    fn asked_for(
        mut self,
        reading: Reading<'_>,
        condition: impl Fn(Expr) -> Expr,
        mark: Option<String>,
    ) -> Result<Scanned, Refused> {
        let mut of_both = Vec::new();
        if !self.right_is_single {
            // One of several rows is asked for: what is compared with it must be its own, or that of the row which asks.
            let (of_right, others): (Vec<Expr>, Vec<Expr>) =
                std::mem::take(&mut self.filters).into_iter().partition(|filter| {
                    columns_of(filter).iter().all(|column| self.right.columns.contains_key(column))
                });
            for filter in of_right {
                let filter = self.right.raw(&filter)?;
                self.right.conditions.push(filter);
            }
            for filter in others {
                if columns_of(&filter).iter().any(|column| !self.left.columns.contains_key(column)) {
                    return Err(rows_without_names());
                }
                of_both.push(self.left.raw(&filter)?);
            }
            self.right = self.right.folded(&self.keys.1, reading)?;
        }
        self.columns_are_apart()?;
        of_both.extend(self.filters()?);
        self.names_its_keys(reading);
        let equated = self.equated();
        let found = of_both.into_iter().fold(self.right.found()?, Expr::and);
        let Sides { mut left, mut right, .. } = self;
        left.reads_what(&mut right);
        match mark {
            Some(mark) => drop(left.columns.insert(mark, condition(found))),
            None => left.conditions.push(condition(found)),
        }
        Ok(Scanned { is_raw: false, equated, ..left })
    }

    /// A left join with one row at the most: its columns have values where it is found, and are missing elsewhere.
    fn outer(mut self, reading: Reading<'_>) -> Result<Scanned, Refused> {
        if !self.right_is_single {
            return Err(rows_without_names());
        }
        self.columns_are_apart()?;
        let filters = self.filters()?;
        self.names_its_keys(reading);
        let found = filters.into_iter().fold(self.right.found()?, Expr::and);
        let Sides { mut left, mut right, left_is_single, .. } = self;
        left.reads_what(&mut right);
        if left_is_single {
            left.perhaps.extend(right.own);
            left.perhaps.extend(right.perhaps);
        }
        for (name, raw) in right.columns {
            left.columns.insert(name, only_where(found.clone(), raw));
        }
        left.equated.extend(right.equated);
        Ok(Scanned { is_raw: false, ..left })
    }

    /// The comparisons besides the keys, over raw columns: a row meets one of the other side at the most, so that it is a condition like any
    /// other.
    fn filters(&self) -> Result<Vec<Expr>, Refused> {
        let both = self.left.columns.iter().chain(&self.right.columns);
        let both = both.map(|(name, raw)| (name.clone(), raw.clone())).collect();
        let both = Scanned { columns: both, ..Scanned::default() };
        self.filters.iter().map(|filter| both.raw(filter)).collect()
    }

    /// Refuses two scans of one dataset: their columns would have the same names.
    fn columns_are_apart(&self) -> Result<(), Refused> {
        let are_apart = self.left.open_columns.is_disjoint(&self.right.open_columns);
        if are_apart { Ok(()) } else { Err(rows_without_names()) }
    }

    /// Writes the pair of keys into the names where a dataset has several unit keys.
    ///
    /// Of the marriages that a resident is husband in and those that the resident is wife in the columns have the same names, and the
    /// rows are others (`sandbox/docs/disclosure-model.md`, section 5.8).
    fn names_its_keys(&mut self, reading: Reading<'_>) {
        let several =
            |id: &DatasetId| reading.policy.datasets.get(id).is_none_or(|dataset| dataset.units.len() > 1);
        let families = |side: &Scanned| -> BTreeSet<DatasetId> {
            side.own
                .values()
                .filter(|source| !source.is_folded)
                .map(|source: &Source| source.family.clone())
                .collect()
        };
        if families(&self.left).iter().chain(&families(&self.right)).any(several) {
            let mut keys = [self.keys.0.to_string(), self.keys.1.to_string()];
            keys.sort_unstable();
            self.left.filters.insert(keys.join(" = "));
        }
    }

    /// The unit keys that are equated on either side and by the join itself.
    fn equated(&self) -> BTreeMap<String, String> {
        let sides = self.left.equated.iter().chain(&self.right.equated);
        let mut equated: BTreeMap<String, String> =
            sides.map(|(key, first)| (key.clone(), first.clone())).collect();
        let mut keys = [first_of(&self.keys.0, &equated), first_of(&self.keys.1, &equated)];
        keys.sort_unstable();
        let [first, second] = keys;
        if first != second {
            equated.insert(second, first);
        }
        equated
    }
}

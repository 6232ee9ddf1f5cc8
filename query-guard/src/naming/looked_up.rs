//! Joins of individuals with open tables, read for the names of cells: what a row finds is a function of its own key.

use datafusion_common::NullEquality;
use datafusion_expr::Expr;
use datafusion_expr::Join;
use datafusion_expr::JoinType;
use datafusion_expr::lit;
use datafusion_expr::utils::split_conjunction;

use crate::column::only_where;
use crate::finding::Refused;
use crate::finding::internal;

use super::open_rows::OpenRows;
use super::scanned::Scanned;
use super::scanned::rows_without_names;

impl Scanned {
    /// These rows, joined with open ones by a key of each. `kind` is the join's kind with these rows on the left side.
    ///
    /// A row that meets several open rows would be repeated, and has no names
    /// (`sandbox/docs/disclosure-model.md`, section 5.8).
    pub(super) fn looking_up(
        mut self,
        mut open: OpenRows,
        (own, theirs): (&Expr, &Expr),
        join: &Join,
        kind: JoinType,
    ) -> Result<Self, Refused> {
        let key = self.raw(own)?;
        // By `IS NOT DISTINCT FROM` a row without the key meets an open row without it.
        if join.null_equality != NullEquality::NullEqualsNothing {
            return Err(rows_without_names());
        }
        let filters = join.filter.iter().flat_map(|filter| split_conjunction(filter));
        let (of_open, others): (Vec<&Expr>, Vec<&Expr>) =
            filters.partition(|filter| open.has_columns_of(filter));
        for filter in of_open {
            open.filter(filter)?;
        }
        let is_asked_for = matches!(kind, JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark);
        // Whether there is one does not depend on how many there are, but for comparisons with each of them.
        let open = open.keyed(theirs)?;
        if !(open.is_unique() || is_asked_for && others.is_empty()) {
            return Err(rows_without_names());
        }
        let there = Expr::IsNotNull(Box::new(open.there()?.by(key.clone())));
        let mut both = self.columns.clone();
        both.extend(open.columns()?.into_iter().map(|(name, found)| (name, found.by(key.clone()))));
        let both = Scanned { columns: both, ..Scanned::default() };
        let others = others.into_iter().map(|filter| both.raw(filter)).collect::<Result<Vec<_>, _>>()?;
        let found = others.iter().cloned().fold(there, Expr::and);
        if join.null_aware {
            // NOT IN: nobody passes a list with a missing value, and who has no key passes an empty list only. Taken for NOT EXISTS,
            // the same names would have other rows, and the difference would be an exact number.
            if kind != JoinType::LeftAnti || !others.is_empty() {
                return Err(rows_without_names());
            }
            self.conditions.push(match (open.is_empty(), open.has_missing()) {
                (true, _) => lit(true),
                (false, true) => lit(false),
                (false, false) => Expr::IsNotTrue(Box::new(found)).and(Expr::IsNotNull(Box::new(key))),
            });
            self.is_raw = false;
            return Ok(self);
        }
        match kind {
            JoinType::Inner => {
                self.conditions.push(found);
                self.columns = both.columns;
            }
            JoinType::Left if others.is_empty() => self.columns = both.columns,
            JoinType::Left => {
                for (name, raw) in both.columns {
                    self.columns.entry(name).or_insert_with(|| only_where(found.clone(), raw));
                }
            }
            JoinType::LeftSemi => self.conditions.push(found),
            JoinType::LeftAnti => self.conditions.push(Expr::IsNotTrue(Box::new(found))),
            JoinType::LeftMark => {
                let mark = join.schema.fields().last().ok_or_else(internal)?.name().clone();
                self.columns.insert(mark, Expr::IsTrue(Box::new(found)));
            }
            JoinType::Right
            | JoinType::Full
            | JoinType::RightSemi
            | JoinType::RightAnti
            | JoinType::RightMark => return Err(rows_without_names()),
        }
        self.is_raw = false;
        Ok(self)
    }
}

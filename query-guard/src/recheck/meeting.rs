//! Joins: individuals meet individuals on a key of the same kind of subjects, and at most one row of any other table.

use datafusion_common::JoinType;
use datafusion_common::tree_node::TreeNode;
use datafusion_expr::BinaryExpr;
use datafusion_expr::Expr;
use datafusion_expr::Join;
use datafusion_expr::utils::split_conjunction;

use super::Breach;
use super::expression::Leaves;
use super::expression::written_out;
use super::relation::Leaf;
use super::relation::Read;
use super::relation::Relation;
use super::relation::Subject;

/// The sides of a join, with its condition written out.
struct Sides<'j> {
    kind: JoinType,
    left: &'j Relation,
    right: &'j Relation,
    on: Vec<(Expr, Expr)>,
    residual: Option<Expr>,
}

/// The relation that a join makes.
///
/// # Errors
/// The first breach of its condition or of its sides.
pub(super) fn joined(
    leaves: &mut Leaves<'_>,
    join: &Join,
    left: Relation,
    right: Relation,
) -> Result<Relation, Breach> {
    let mut on = Vec::with_capacity(join.on.len());
    for (one, other) in &join.on {
        let one = written_out(one, &[(&join.left, &left)])?;
        on.push((one, written_out(other, &[(&join.right, &right)])?));
    }
    let inputs = [(join.left.as_ref(), &left), (join.right.as_ref(), &right)];
    let residual = join.filter.as_ref().map(|filter| written_out(filter, &inputs)).transpose()?;
    let mut read = Read::default();
    read.add(&left.read);
    read.add(&right.read);
    for (one, other) in &on {
        if !leaves.equates_keys(one, other) {
            leaves.used(one, &mut read)?;
            leaves.used(other, &mut read)?;
        }
    }
    for part in residual.iter().flat_map(split_conjunction) {
        leaves.used(part, &mut read)?;
    }
    let is_by_sensitive =
        on.iter().any(|(one, other)| leaves.reads_sensitive(one) || leaves.reads_sensitive(other))
            || residual.as_ref().is_some_and(|residual| leaves.reads_sensitive(residual));
    let is_chosen = match join.join_type {
        JoinType::Inner
        | JoinType::LeftSemi
        | JoinType::RightSemi
        | JoinType::LeftAnti
        | JoinType::RightAnti => is_by_sensitive || left.is_chosen || right.is_chosen,
        JoinType::Left | JoinType::LeftMark => left.is_chosen,
        JoinType::Right | JoinType::RightMark => right.is_chosen,
        JoinType::Full => left.is_chosen || right.is_chosen,
    };
    let sides = Sides { kind: join.join_type, left: &left, right: &right, on, residual };
    let subjects = match (left.is_individual(), right.is_individual()) {
        (true, true) => sides.individuals()?,
        (true, false) => {
            read.meet(&right)?;
            sides.looked_up(true)?
        }
        (false, true) => {
            read.meet(&left)?;
            sides.looked_up(false)?
        }
        (false, false) => Vec::new(),
    };
    let unique = sides.unique();
    let mut columns = match join.join_type {
        JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => left.columns.clone(),
        JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => right.columns.clone(),
        JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full => {
            left.columns.iter().chain(&right.columns).cloned().collect()
        }
    };
    if matches!(join.join_type, JoinType::LeftMark | JoinType::RightMark) {
        columns.push(leaves.add(Leaf::Free));
    }
    Ok(Relation { columns, subjects, unique, read, is_chosen, ..Relation::default() })
}

impl Sides<'_> {
    /// Individuals with individuals: their equated classes are one, and every other one is kept.
    fn individuals(&self) -> Result<Vec<Subject>, Breach> {
        let mut pairs: Vec<(usize, usize)> = Vec::new();
        for (one, other) in &self.on {
            if let (Some(one), Some(other)) = (self.left.class_of(one), self.right.class_of(other)) {
                pairs.push((one, other));
            }
        }
        let mut merged = Vec::new();
        for (one, other) in &pairs {
            let (Some(one), Some(other)) = (self.left.subjects.get(*one), self.right.subjects.get(*other))
            else {
                return Err(Breach::Join);
            };
            if one.kind != other.kind || one.kind.is_none() {
                return Err(Breach::Join);
            }
            let keys = one.keys.union(&other.keys).cloned().collect();
            merged.push(Subject { kind: one.kind.clone(), keys, one_row: one.one_row && other.one_row });
        }
        if merged.is_empty() {
            return Err(Breach::Join);
        }
        let alone = |subjects: &[Subject], is_paired: &dyn Fn(usize) -> bool| -> Vec<Subject> {
            let alone = subjects.iter().enumerate().filter(|(at, _)| !is_paired(*at));
            alone.map(|(_, subject)| Subject { one_row: false, ..subject.clone() }).collect()
        };
        let left = alone(&self.left.subjects, &|at| pairs.iter().any(|(one, _)| *one == at));
        let right = alone(&self.right.subjects, &|at| pairs.iter().any(|(_, other)| *other == at));
        match self.kind {
            // The subjects of the side that leaves would be counted no more.
            JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark if right.is_empty() => {
                Ok(self.left.subjects.clone())
            }
            JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark if left.is_empty() => {
                Ok(self.right.subjects.clone())
            }
            kind if keeps_one_side(kind) => Err(Breach::Subjects),
            _ => Ok(merged.into_iter().chain(left).chain(right).collect()),
        }
    }

    /// Individuals with a table of which each of them meets one row at most.
    fn looked_up(&self, individuals_left: bool) -> Result<Vec<Subject>, Breach> {
        let (many, one) = if individuals_left { (self.left, self.right) } else { (self.right, self.left) };
        let keeps_many = match self.kind {
            JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => individuals_left,
            JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => !individuals_left,
            JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full => {
                let met = |pair: &(Expr, Expr)| {
                    if individuals_left { pair.1.clone() } else { pair.0.clone() }
                };
                let met: Vec<Expr> = self.on.iter().map(met).collect();
                if !self.is_met_once(one, &met) {
                    return Err(Breach::Join);
                }
                true
            }
        };
        if !keeps_many {
            return Err(Breach::Table);
        }
        // Rows of the table alone have no subject, and would be counted as one each.
        let keeps_one = match self.kind {
            JoinType::Left => !individuals_left,
            JoinType::Right => individuals_left,
            JoinType::Full => true,
            _ => false,
        };
        let subjects = many.subjects.iter().cloned();
        Ok(subjects.map(|class| Subject { one_row: class.one_row && !keeps_one, ..class }).collect())
    }

    fn is_met_once(&self, one: &Relation, met: &[Expr]) -> bool {
        let by_key = one.unique.iter().any(|set| set.iter().all(|column| met.contains(column)));
        let compares = |column: &Expr| {
            self.residual.iter().flat_map(split_conjunction).any(|part| match part {
                Expr::BinaryExpr(BinaryExpr { op, .. }) if op.supports_propagation() => {
                    part.exists(|inner| Ok(inner == column)).unwrap_or(false)
                }
                Expr::Between(_) => part.exists(|inner| Ok(inner == column)).unwrap_or(false),
                _ => false,
            })
        };
        by_key || one.empty || one.intervals.iter().any(|(low, high)| compares(low) && compares(high))
    }

    /// Sets of columns that stay unique: those of a side each row of which meets one row at most.
    fn unique(&self) -> Vec<Vec<Expr>> {
        let (lefts, rights): (Vec<Expr>, Vec<Expr>) = self.on.iter().cloned().unzip();
        match self.kind {
            JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => self.left.unique.clone(),
            JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => self.right.unique.clone(),
            JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full => {
                let mut kept = Vec::new();
                if self.is_met_once(self.right, &rights) {
                    kept.extend(self.left.unique.iter().cloned());
                }
                if self.is_met_once(self.left, &lefts) {
                    kept.extend(self.right.unique.iter().cloned());
                }
                kept
            }
        }
    }
}

/// True of the joins that keep rows of their left side, or of their right side, and nothing of the other.
fn keeps_one_side(kind: JoinType) -> bool {
    match kind {
        JoinType::LeftSemi
        | JoinType::RightSemi
        | JoinType::LeftAnti
        | JoinType::RightAnti
        | JoinType::LeftMark
        | JoinType::RightMark => true,
        JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full => false,
    }
}

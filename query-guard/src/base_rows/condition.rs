//! A condition without what sensitive columns decide of it: true wherever the condition is true for some values of these columns.
//!
//! Parts that are joined by AND stand for themselves. A part that reads both kinds of columns is tried with every outcome of its comparisons:
//! it may let the same people through for every one of the other columns' outcomes, or choose among them in one way and no second one.

use std::collections::BTreeSet;

use datafusion_common::ScalarValue;
use datafusion_common::tree_node::Transformed;
use datafusion_common::tree_node::TreeNode;
use datafusion_common::tree_node::TreeNodeRecursion;
use datafusion_expr::BinaryExpr;
use datafusion_expr::Expr;
use datafusion_expr::Operator;

use super::columns::Choice;
use super::columns::Columns;
use super::columns::Part;
use super::columns::Reads;
use super::columns::joins_conditions;
use super::columns::mixed;
use crate::column::branches;
use crate::connectives::joined;
use crate::connectives::reached;
use crate::cover::Condition;
use crate::cover::LeafSet;
use crate::cover::Test;
use crate::finding::Refused;
use crate::finding::internal;
use crate::finding::not_built;

/// Comparisons of one part that are tried with every outcome.
const COMPARISONS_MAX: usize = 6;

/// The condition of a base.
pub(crate) struct Relaxed {
    /// The condition that is left; nothing where all rows are of the base.
    pub(crate) condition: Option<Expr>,
    /// The choice that has been taken out.
    pub(crate) choice: Choice,
    /// It asks what is found, and has another outcome over the rows of the base.
    pub(crate) is_of_rows: bool,
}

/// The outcome of a comparison: true, false or unknown.
type Outcome = Option<bool>;

const OUTCOMES: [Outcome; 3] = [Some(true), Some(false), None];

/// A condition without what sensitive columns decide.
pub(super) fn relaxed(condition: &Expr, columns: &Columns) -> Result<Relaxed, Refused> {
    let (mut kept, mut sensitive, mut both) = (Vec::new(), Vec::new(), Vec::new());
    let (mut choice, mut is_of_rows) = (Choice::None, false);
    for part in parts(condition) {
        match columns.reads(&part) {
            Reads::Others => kept.push(part),
            Reads::Sensitive => sensitive.push(part),
            Reads::Mixed => match of_found(&part, columns) {
                Some(Relaxed { condition, choice: of_part, is_of_rows: asks }) => {
                    choice = choice.and(of_part)?;
                    is_of_rows |= asks;
                    kept.extend(condition);
                }
                None => both.push(part),
            },
        }
    }
    if !both.is_empty() {
        let all = both.into_iter().chain(sensitive).reduce(Expr::and).ok_or_else(internal)?;
        let Relaxed { condition, choice: of_all, is_of_rows: _ } = tried(&all, columns)?;
        choice = choice.and(of_all)?;
        kept.extend(condition);
    } else if !sensitive.is_empty() {
        choice = choice.and(Choice::Whole)?;
    }
    Ok(Relaxed { condition: kept.into_iter().reduce(Expr::and), choice, is_of_rows })
}

/// A condition on what was found beside a row that sensitive columns have chosen together with others. Where it is only true if something is
/// found, the base has all who find something there once sensitive columns choose no more. Where it is true if nothing is found, the base has
/// all, of whom some are chosen.
fn of_found(part: &Expr, columns: &Columns) -> Option<Relaxed> {
    let is_found = |expr: &Expr| matches!(expr, Expr::Column(column) if matches!(columns.part(&column.name), Part::Found | Part::Beside));
    #[expect(clippy::wildcard_enum_match_arm, reason = "anything else is refused")]
    match part {
        // A mark, or that there is a value.
        Expr::Column(_) if is_found(part) => Some(Relaxed::found(part.clone())),
        Expr::IsNotNull(inner) if is_found(inner) => Some(Relaxed::found(part.clone())),
        Expr::Not(inner) | Expr::IsNotTrue(inner) | Expr::IsFalse(inner) | Expr::IsNull(inner)
            if is_found(inner) =>
        {
            Some(Relaxed { condition: None, choice: Choice::Partial, is_of_rows: false })
        }
        Expr::BinaryExpr(BinaryExpr { op, .. }) if !op.is_logic_operator() && is_strict(*op) => {
            found_there(part, columns)
        }
        Expr::Between(_) | Expr::InList(_) | Expr::Like(_) => found_there(part, columns),
        _ => None,
    }
}

/// True of a comparison that is unknown where a side is missing.
fn is_strict(op: Operator) -> bool {
    !matches!(op, Operator::IsDistinctFrom | Operator::IsNotDistinctFrom)
}

/// A comparison that is true only of what is found: of what is not sensitive it stays, and of a number it becomes that there is one. Nothing
/// where it reads anything else, or has a value of its own for what is missing.
fn found_there(comparison: &Expr, columns: &Columns) -> Option<Relaxed> {
    if joins_conditions(comparison) {
        return None;
    }
    let read = comparison.column_refs();
    let all = |part: Part| !read.is_empty() && read.iter().all(|column| columns.part(&column.name) == part);
    if all(Part::Beside) {
        return Some(Relaxed::found(comparison.clone()));
    }
    let there = read.iter().map(|column| Expr::IsNotNull(Box::new(Expr::Column((*column).clone()))));
    there.reduce(Expr::and).filter(|_| all(Part::Found)).map(Relaxed::found)
}

impl Relaxed {
    /// That something is found, whatever it is.
    fn found(condition: Expr) -> Self {
        Relaxed { condition: Some(condition), choice: Choice::Whole, is_of_rows: true }
    }
}

/// The parts of a condition that must all be true for it to be true.
fn parts(condition: &Expr) -> Vec<Expr> {
    let both = |one: Expr, other: Expr| parts(&one).into_iter().chain(parts(&other)).collect();
    let not = |expr: &Expr| Expr::Not(Box::new(expr.clone()));
    let is_not_true = |expr: &Expr| Expr::IsNotTrue(Box::new(expr.clone()));
    #[expect(clippy::wildcard_enum_match_arm, reason = "what is not taken apart is one part")]
    match condition {
        Expr::Alias(alias) => parts(&alias.expr),
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
            both((**left).clone(), (**right).clone())
        }
        Expr::IsTrue(inner) => parts(inner),
        Expr::Not(inner) | Expr::IsFalse(inner) => match inner.as_ref() {
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => both(not(left), not(right)),
            Expr::Not(inner) => parts(inner),
            Expr::IsNull(of) => vec![Expr::IsNotNull(of.clone())],
            Expr::IsNotNull(of) => vec![Expr::IsNull(of.clone())],
            _ => vec![condition.clone()],
        },
        Expr::IsNotTrue(inner) => match inner.as_ref() {
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
                both(is_not_true(left), is_not_true(right))
            }
            Expr::IsNull(of) => vec![Expr::IsNotNull(of.clone())],
            Expr::IsNotNull(of) => vec![Expr::IsNull(of.clone())],
            _ => vec![condition.clone()],
        },
        _ => vec![condition.clone()],
    }
}

/// The comparisons of a condition. Each is a column of three leaves: true, false and unknown.
#[derive(Default)]
struct Comparisons {
    all: Vec<Expr>,
}

impl Comparisons {
    /// The condition that an expression makes of its comparisons.
    fn condition(&mut self, expr: &Expr) -> Result<Condition, Refused> {
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "anything else joins conditions, or is one comparison"
        )]
        match expr {
            Expr::Alias(alias) => self.condition(&alias.expr),
            Expr::Literal(ScalarValue::Boolean(Some(value)), _) => Ok(Condition::Always(*value)),
            Expr::Literal(ScalarValue::Boolean(None) | ScalarValue::Null, _) => Ok(Condition::Unknown),
            Expr::Case(_) => {
                let cases = branches(expr).unwrap_or_default();
                let cases = reached(cases, |when| self.condition(when))?.into_iter();
                let any =
                    cases.map(|(reached, value)| Ok(Condition::All(vec![reached, self.condition(&value)?])));
                Ok(Condition::Any(any.collect::<Result<_, Refused>>()?))
            }
            other => match joined(other, |part| self.condition(part))? {
                Some(condition) => Ok(condition),
                None => self.comparison(other),
            },
        }
    }

    fn comparison(&mut self, expr: &Expr) -> Result<Condition, Refused> {
        let known = self.all.iter().position(|known| known == expr);
        let column = known.unwrap_or_else(|| {
            self.all.push(expr.clone());
            self.all.len() - 1
        });
        let column = u16::try_from(column).map_err(|_| mixed())?;
        let leaf = |outcome: Outcome| LeafSet::one(leaf_of(outcome));
        Ok(Condition::Test(Test { column, is_true: leaf(Some(true)), is_unknown: leaf(None) }))
    }
}

fn leaf_of(outcome: Outcome) -> u32 {
    match outcome {
        Some(true) => 0,
        Some(false) => 1,
        None => 2,
    }
}

/// The part of a condition that other columns decide; nothing where they decide nothing.
///
/// For each outcome of the other columns' comparisons some outcomes of the sensitive ones let a row through: none, all, or some. Where two
/// outcomes of the others let different ones through there are two bases, and the one would hide the other.
fn tried(condition: &Expr, columns: &Columns) -> Result<Relaxed, Refused> {
    let mut comparisons = Comparisons::default();
    let made = comparisons.condition(condition)?;
    let reads: Vec<Reads> = comparisons.all.iter().map(|one| columns.reads(one)).collect();
    if reads.len() > COMPARISONS_MAX || reads.contains(&Reads::Mixed) {
        return Err(mixed());
    }
    let places =
        |kind: Reads| (0..reads.len()).filter(|at| reads.get(*at) == Some(&kind)).collect::<Vec<_>>();
    let (others, sensitive) = (places(Reads::Others), places(Reads::Sensitive));
    let lets_through = |of_others: &[Outcome], of_sensitive: &[Outcome]| {
        let all = others.iter().zip(of_others).chain(sensitive.iter().zip(of_sensitive));
        let leaves = all.filter_map(|(at, outcome)| Some((u16::try_from(*at).ok()?, leaf_of(*outcome))));
        made.value(&leaves.collect()) == Some(true)
    };
    let (of_others, of_sensitive) = (outcomes(others.len()), outcomes(sensitive.len()));
    let mut ways: BTreeSet<Vec<bool>> = BTreeSet::new();
    for of_others in &of_others {
        ways.insert(of_sensitive.iter().map(|outcomes| lets_through(of_others, outcomes)).collect());
    }
    // Some of the base are let through whatever the sensitive columns are.
    let lets_all = |way: &Vec<bool>| !way.contains(&false);
    let choice = if ways.iter().any(lets_all) { Choice::Partial } else { Choice::Whole };
    ways.retain(|way| way.contains(&true) && way.contains(&false));
    if ways.len() > 1 {
        return Err(mixed());
    }
    // One condition over the others for each way in which an outcome of the sensitive comparisons leaves it.
    let mut known: BTreeSet<Vec<bool>> = BTreeSet::new();
    let mut any: Option<Expr> = None;
    for outcomes in &of_sensitive {
        let chosen: Vec<bool> = of_others.iter().map(|of_others| lets_through(of_others, outcomes)).collect();
        if !chosen.contains(&false) {
            return Ok(Relaxed { condition: None, choice, is_of_rows: false });
        }
        if chosen.contains(&true) && known.insert(chosen) {
            let left = with_outcomes(condition, &comparisons, &sensitive, outcomes)?;
            let left = Expr::IsTrue(Box::new(left));
            any = Some(any.map_or(left.clone(), |any| any.or(left)));
        }
    }
    let nobody = || Expr::Literal(ScalarValue::Boolean(Some(false)), None);
    Ok(Relaxed { condition: Some(any.unwrap_or_else(nobody)), choice, is_of_rows: false })
}

/// All outcomes of so many comparisons.
fn outcomes(count: usize) -> Vec<Vec<Outcome>> {
    (0..count).fold(vec![Vec::new()], |all, _| {
        let longer = |known: &Vec<Outcome>| {
            OUTCOMES.map(|outcome| known.iter().copied().chain([outcome]).collect::<Vec<_>>())
        };
        all.iter().flat_map(longer).collect()
    })
}

/// The condition with constants in place of some comparisons.
fn with_outcomes(
    condition: &Expr,
    comparisons: &Comparisons,
    places: &[usize],
    outcomes: &[Outcome],
) -> Result<Expr, Refused> {
    let replaced = |inner: Expr| {
        let place = places.iter().position(|at| comparisons.all.get(*at) == Some(&inner));
        Ok(match place.and_then(|place| outcomes.get(place)) {
            Some(outcome) => {
                let constant = Expr::Literal(ScalarValue::Boolean(*outcome), None);
                Transformed::new(constant, true, TreeNodeRecursion::Jump)
            }
            None => Transformed::no(inner),
        })
    };
    condition.clone().transform_down(replaced).map(|done| done.data).map_err(not_built)
}

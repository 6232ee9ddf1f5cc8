//! Expressions over raw columns as conditions over leaves: an expression over one column is tried with every value of the
//! column's domain, so that its names rest on what it does and never on how it is written.
//!
//! The engine's own evaluation is asked. What joins several columns is taken apart: AND, OR, NOT, the tests for true, false and
//! unknown, and CASE with its like; two columns in one comparison have no names.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::Array;
use arrow::array::ArrayRef;
use arrow::array::AsArray;
use arrow::datatypes::DataType;
use datafusion_common::ScalarValue;
use datafusion_common::tree_node::Transformed;
use datafusion_common::tree_node::TreeNode;
use datafusion_common::tree_node::TreeNodeRecursion;
use datafusion_expr::BinaryExpr;
use datafusion_expr::Expr;
use datafusion_expr::Operator;
use obscura_policies::effective::EffectivePolicy;

use super::derived::Derived;
use super::evaluate::batch;
use super::evaluate::evaluated;
use super::evaluate::evaluated_constant;
use super::raw::Reading;
use super::raw::columns_of;
use super::raw::is_there;
use super::raw::is_unit_key;

use crate::budget::Budget;
use crate::cell_names::KeyValues;
use crate::column::branches;
use crate::column::cast;
use crate::column::is_truth;
use crate::column::mirror;
use crate::column::widens;
use crate::connectives::joined;
use crate::connectives::reached;
use crate::cover::Condition;
use crate::cover::Hierarchy;
use crate::cover::LeafSet;
use crate::cover::Test;
use crate::domain::DOMAIN_NAME;
use crate::domain::Published;
use crate::finding::Finding;
use crate::finding::Refused;
use crate::finding::fact_missing;
use crate::mask::MASK_NAME;
use crate::mask::is_keyed;
use crate::reason::Reason;
use crate::scalar::AGE_YEARS;
use crate::scalar::WIDTH_BUCKET;

/// Values that are tried for the price of one node of the review's budget.
const POINTS_A_NODE: usize = 64;

/// The raw columns that expressions have asked for, as `dataset.column`; no column's name stands for whether there is a row.
pub(super) struct Columns<'a> {
    policy: &'a EffectivePolicy,
    budget: &'a Budget<'a>,
    /// The columns that folds have made.
    derived: &'a BTreeMap<String, Derived>,
    /// Columns that have a value in every row.
    certain: BTreeSet<&'a str>,
    /// Number and domain of each.
    known: BTreeMap<String, (u16, Arc<Published>)>,
}

impl<'a> Columns<'a> {
    /// None yet; `derived` are those that folds have made, and `certain` have a value in every row.
    pub(super) fn new(
        reading: Reading<'a>,
        derived: &'a BTreeMap<String, Derived>,
        certain: BTreeSet<&'a str>,
    ) -> Self {
        let Reading { policy, budget } = reading;
        Columns { policy, budget, derived, certain, known: BTreeMap::new() }
    }

    /// That a row has one of other rows beside it, by the column that has a value where it is there.
    pub(super) fn there(&mut self, there: &str) -> Result<Condition, Refused> {
        self.tested(&is_there(there))
    }

    /// The number of a column, where a condition rests on it.
    pub(super) fn number_of(&self, name: &str) -> Option<u16> {
        self.known.get(name).map(|(number, _)| *number)
    }

    /// The columns and their domains, by number.
    pub(super) fn by_number(&self) -> BTreeMap<u16, (String, Arc<Published>)> {
        let known = self.known.iter();
        known.map(|(name, (number, published))| (*number, (name.clone(), Arc::clone(published)))).collect()
    }

    /// The hierarchies of the columns, by number.
    pub(super) fn hierarchies(&self) -> BTreeMap<u16, Hierarchy> {
        let of_folds =
            || self.known.iter().filter_map(|(name, (number, _))| Some((number, self.derived.get(name)?)));
        let wider = |number: &u16, narrow: &Derived| {
            let others = of_folds().filter(|(other, _)| *other != number);
            others.filter_map(|(other, wide)| Some((*other, narrow.within(wide)?))).collect()
        };
        let all = self.known.iter().map(|(name, (number, published))| {
            let hierarchy = published.hierarchy().clone();
            match self.derived.get(name) {
                Some(derived) => (*number, hierarchy.within(wider(number, derived))),
                None => (*number, hierarchy),
            }
        });
        all.collect()
    }

    /// The condition that an expression over raw columns is.
    ///
    /// Two conditions of the same rows have the same names, and noise that is fixed for the one is fixed for the other: asked in
    /// many forms it does not average out. Two of different rows have different names, or their difference would be an
    /// exact number (`sandbox/docs/disclosure-model.md`, section 5.8).
    pub(super) fn condition(&mut self, expr: &Expr) -> Result<Condition, Refused> {
        if let Some(is_there) = self.asks_for_certain(expr) {
            return Ok(Condition::Always(is_there));
        }
        self.tested(expr)
    }

    fn tested(&mut self, expr: &Expr) -> Result<Condition, Refused> {
        self.budget.spend(expr)?;
        match columns_of(expr).as_slice() {
            [] => constant(expr),
            [column] => match self.published(column)?.1 {
                published if !published.names_values() => self.parts(expr),
                published if published.is_wide() => self.comparison(expr, column),
                _ => self.test(expr, column),
            },
            _ => self.parts(expr),
        }
    }

    /// The result of a test for the presence of what every row has: a unit key, since rows without a subject were left out for every
    /// question alike, and the row itself.
    ///
    /// With a node of its own, `COUNT(person_id)` would be a second draw of the noise of `COUNT(*)`
    /// (`sandbox/docs/disclosure-model.md`, section 5.8).
    fn asks_for_certain(&self, expr: &Expr) -> Option<bool> {
        let (inner, is_there) = match expr {
            Expr::IsNotNull(inner) => (inner, true),
            Expr::IsNull(inner) => (inner, false),
            _ => return None,
        };
        let is_own =
            matches!(inner.as_ref(), Expr::Column(column) if self.certain.contains(column.name.as_str()));
        let is_key = is_unit_key(inner, self.policy);
        (is_own || is_key).then_some(is_there)
    }

    /// The condition under which an expression over raw columns has each of its values.
    ///
    /// A group's names are those of the condition under which its key has the value: labels, aliases and spellings never enter
    /// (`sandbox/docs/disclosure-model.md`, section 5.8).
    pub(super) fn values(&mut self, expr: &Expr, data_type: &DataType) -> Result<KeyValues, Refused> {
        self.budget.spend(expr)?;
        match columns_of(expr).as_slice() {
            [] => {
                let value = evaluated_constant(expr).ok_or_else(without_names)?;
                let value = value_at(&value, 0, data_type)?;
                Ok(KeyValues::from([(value, Condition::Always(true))]))
            }
            [column] if self.names_single_values(expr, column)? => {
                self.values_of_one(expr, column, data_type)
            }
            _ if is_truth(expr) => {
                let condition = self.condition(expr)?;
                let is_true = Condition::IsTrue(Box::new(condition.clone()));
                let is_false = Condition::IsTrue(Box::new(Condition::Not(Box::new(condition))));
                let not = |condition: &Condition| Condition::Not(Box::new(condition.clone()));
                let is_unknown = Condition::All(vec![not(&is_true), not(&is_false)]);
                Ok(KeyValues::from([
                    (ScalarValue::Boolean(Some(true)), is_true),
                    (ScalarValue::Boolean(Some(false)), is_false),
                    (ScalarValue::Boolean(None), is_unknown),
                ]))
            }
            _ => {
                let mut all = KeyValues::new();
                for (reached, value) in self.cases(expr)? {
                    for (value, condition) in self.values(&value, data_type)? {
                        let here = Condition::All(vec![reached.clone(), condition]);
                        match all.remove(&value) {
                            Some(known) => all.insert(value, Condition::Any(vec![known, here])),
                            None => all.insert(value, here),
                        };
                    }
                }
                Ok(all)
            }
        }
    }

    /// True if trying the points of a column tells an expression's value of every leaf.
    fn names_single_values(&mut self, expr: &Expr, column: &str) -> Result<bool, Refused> {
        let (_, published) = self.published(column)?;
        Ok(published.names_values() && (!published.is_wide() || rises(expr) || is_by_day(expr)))
    }

    /// A condition on a column whose leaves hold several values, by its comparisons.
    ///
    /// The points of such a leaf do not tell what lies between them: `EXTRACT(hour FROM at) = 9` is false at the beginning, in the
    /// middle and at the end of every day, and would have no names and no noise. So each comparison is tried for itself, and only
    /// one that changes once: what rises with the column and is the same at both ends of a leaf is the same within
    /// (`sandbox/docs/disclosure-model.md`, section 5.8).
    fn comparison(&mut self, expr: &Expr, column: &str) -> Result<Condition, Refused> {
        if is_by_day(expr) {
            return self.test(expr, column);
        }
        #[expect(clippy::wildcard_enum_match_arm, reason = "what is no comparison is taken apart")]
        match expr {
            Expr::BinaryExpr(BinaryExpr { left, op, right }) if mirror(*op).is_some() => {
                if columns_of(right).is_empty() && rises(left) {
                    return self.compared(left, *op, right, column);
                }
                match mirror(*op) {
                    Some(op) if columns_of(left).is_empty() && rises(right) => {
                        self.compared(right, op, left, column)
                    }
                    _ => self.parts(expr),
                }
            }
            Expr::Between(between) if rises(&between.expr) => {
                let low = self.compared(&between.expr, Operator::GtEq, &between.low, column)?;
                let high = self.compared(&between.expr, Operator::LtEq, &between.high, column)?;
                let both = Condition::All(vec![low, high]);
                Ok(if between.negated { Condition::Not(Box::new(both)) } else { both })
            }
            Expr::InList(list) if rises(&list.expr) => {
                let one_of = list.list.iter().map(|one| self.compared(&list.expr, Operator::Eq, one, column));
                let any = Condition::Any(one_of.collect::<Result<_, _>>()?);
                Ok(if list.negated { Condition::Not(Box::new(any)) } else { any })
            }
            Expr::IsNull(inner) | Expr::IsNotNull(inner) if rises(inner) => self.test(expr, column),
            other => self.parts(other),
        }
    }

    /// The condition that compares an expression which rises with a column with a constant: an equality is two cuts, each of which must fall between leaves.
    fn compared(
        &mut self,
        value: &Expr,
        op: Operator,
        with: &Expr,
        column: &str,
    ) -> Result<Condition, Refused> {
        if !columns_of(with).is_empty() {
            return Err(without_names());
        }
        let cut = |op: Operator| datafusion_expr::binary_expr(value.clone(), op, with.clone());
        let not = |condition: Condition| Condition::Not(Box::new(condition));
        #[expect(clippy::wildcard_enum_match_arm, reason = "the wildcard denies")]
        match op {
            Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq => self.test(&cut(op), column),
            Operator::Eq => {
                let ends = [Operator::GtEq, Operator::LtEq].map(|op| self.test(&cut(op), column));
                Ok(Condition::All(ends.into_iter().collect::<Result<_, _>>()?))
            }
            Operator::NotEq => Ok(not(self.compared(value, Operator::Eq, with, column)?)),
            Operator::IsDistinctFrom if is_missing(with) => {
                self.test(&Expr::IsNotNull(Box::new(value.clone())), column)
            }
            Operator::IsDistinctFrom => {
                let same = self.compared(value, Operator::Eq, with, column)?;
                Ok(not(Condition::IsTrue(Box::new(same))))
            }
            Operator::IsNotDistinctFrom => {
                Ok(not(self.compared(value, Operator::IsDistinctFrom, with, column)?))
            }
            _ => Err(without_names()),
        }
    }

    /// A condition on one column: the leaves for which it is true, and those for which it is unknown.
    fn test(&mut self, expr: &Expr, column: &str) -> Result<Condition, Refused> {
        let (number, published) = self.published(column)?;
        let tried = self.tried(expr, column, &published)?;
        let truth = tried.as_boolean_opt().ok_or_else(without_names)?;
        let value = |point: usize| truth.is_valid(point).then(|| truth.value(point));
        let leaves = published.by_leaf(&value).ok_or_else(|| within_node(column))?;
        let set = |wanted: Option<bool>| {
            LeafSet::of((0..).zip(&leaves).filter(|(_, value)| **value == wanted).map(|(leaf, _)| leaf))
        };
        Ok(Condition::Test(Test { column: number, is_true: set(Some(true)), is_unknown: set(None) }))
    }

    fn values_of_one(
        &mut self,
        expr: &Expr,
        column: &str,
        data_type: &DataType,
    ) -> Result<KeyValues, Refused> {
        let (number, published) = self.published(column)?;
        let tried = self.tried(expr, column, &published)?;
        let tried = arrow::compute::cast(&tried, data_type).map_err(|_| without_names())?;
        let value = |point: usize| ScalarValue::try_from_array(&tried, point).ok();
        let leaves = published.by_leaf(&value).ok_or_else(|| within_node(column))?;
        let mut by_value: HashMap<ScalarValue, Vec<u32>> = HashMap::new();
        for (leaf, value) in (0..).zip(leaves) {
            by_value.entry(value.ok_or_else(without_names)?).or_default().push(leaf);
        }
        let condition = |leaves: Vec<u32>| {
            let is_true = LeafSet::of(leaves);
            Condition::Test(Test { column: number, is_true, is_unknown: LeafSet::none() })
        };
        Ok(by_value.into_iter().map(|(value, leaves)| (value, condition(leaves))).collect())
    }

    /// An expression over one column, tried with the points of its domain.
    ///
    /// A keyed mask has no values before its key is bound, and a keyed value is no node of any hierarchy
    /// (`sandbox/docs/disclosure-model.md`, section 5.8).
    fn tried(&self, expr: &Expr, column: &str, published: &Published) -> Result<ArrayRef, Refused> {
        if is_keyed(expr) {
            return Err(not_published(column));
        }
        let points = published.points();
        self.budget.take(u64::try_from(points.len() / POINTS_A_NODE).unwrap_or(u64::MAX))?;
        let rows = points.len();
        let over = batch([(column, points)], rows).ok_or_else(without_names)?;
        evaluated(expr, &over).ok_or_else(without_names)
    }

    /// A condition on several columns, or on the presence of one without a published domain, by its parts.
    ///
    /// Two columns in one comparison (`hire > birth`) choose rows by no node of either, so that they are refused
    /// (`sandbox/docs/disclosure-model.md`, section 5.8).
    fn parts(&mut self, expr: &Expr) -> Result<Condition, Refused> {
        if let Some(joined) = joined(expr, |part| self.condition(part))? {
            return Ok(joined);
        }
        #[expect(clippy::wildcard_enum_match_arm, reason = "the wildcard denies what no case can be made of")]
        match expr {
            Expr::Alias(alias) => self.condition(&alias.expr),
            Expr::IsNotNull(inner) if self.is_column(inner)? => self.presence(inner),
            Expr::IsNull(inner) if self.is_column(inner)? => {
                Ok(Condition::Not(Box::new(self.presence(inner)?)))
            }
            other => {
                let mut any = Vec::new();
                for (reached, value) in self.cases(other)? {
                    any.push(Condition::All(vec![reached, self.condition(&value)?]));
                }
                Ok(Condition::Any(any))
            }
        }
    }

    /// True if an expression is a column, or its value in a type that holds each of them: in a narrower one a large value would be
    /// missing, which is a condition without a name.
    fn is_column(&mut self, expr: &Expr) -> Result<bool, Refused> {
        let mut casts = Vec::new();
        let mut inner = expr;
        while let Some((within, target)) = cast(inner) {
            casts.push(target);
            inner = within;
        }
        let Expr::Column(column) = inner else { return Ok(false) };
        let (_, published) = self.published(&column.name)?;
        let mut source = published.data_type();
        let keeps_all =
            casts.iter().rev().all(|target| widens(std::mem::replace(&mut source, target), target));
        Ok(keeps_all)
    }

    /// That a column without a published domain has a value.
    fn presence(&mut self, expr: &Expr) -> Result<Condition, Refused> {
        let columns = columns_of(expr);
        let column = columns.first().ok_or_else(fact_missing)?;
        let (number, _) = self.published(column)?;
        Ok(Condition::Test(Test { column: number, is_true: LeafSet::one(0), is_unknown: LeafSet::none() }))
    }

    /// The cases of an expression that is a CASE, COALESCE or NULLIF, or has one in it: each with the condition under which it is
    /// reached, which is true or false and never unknown.
    fn cases(&mut self, expr: &Expr) -> Result<Vec<(Condition, Expr)>, Refused> {
        let branches = match branches(expr) {
            Some(branches) => branches,
            None => lifted(expr).ok_or_else(|| several(expr))?,
        };
        reached(branches, |when| self.condition(when))
    }

    /// The number of a column and its domain.
    fn published(&mut self, name: &str) -> Result<(u16, Arc<Published>), Refused> {
        if let Some(known) = self.known.get(name) {
            return Ok(known.clone());
        }
        let published = match self.derived.get(name) {
            Some(derived) => derived.published.clone(),
            None => self.declared(name)?,
        };
        let published = Arc::new(published);
        let number = u16::try_from(self.known.len()).map_err(|_| fact_missing())?;
        self.known.insert(name.to_owned(), (number, Arc::clone(&published)));
        Ok((number, published))
    }

    /// The domain that a sealed column's document declares, or that of whether there is a row.
    fn declared(&self, name: &str) -> Result<Published, Refused> {
        let (dataset, column) = name.rsplit_once('.').ok_or_else(fact_missing)?;
        let mut datasets = self.policy.datasets.values();
        let dataset = datasets.find(|known| known.id.sql_name() == dataset).ok_or_else(fact_missing)?;
        if column.is_empty() {
            return Ok(Published::presence());
        }
        let declared = dataset.columns.iter().find(|known| known.name == column);
        Published::of(declared.ok_or_else(fact_missing)?, dataset).map_err(|_| not_published(name))
    }
}

/// The refusal of an expression over several columns that are not told apart, or over one without a domain.
fn several(expr: &Expr) -> Refused {
    match columns_of(expr).as_slice() {
        [column] => not_published(column),
        _ => without_names(),
    }
}

/// A column as its refusal shows it: without its dataset, and what a fold has made by what it was made of.
fn shown(column: &str) -> &str {
    let column = column.split('#').next().unwrap_or(column);
    let column = column.rsplit('.').next().unwrap_or(column);
    column.trim_end_matches(')')
}

/// The refusal of a column of which no values are named.
///
/// A list of values that is read from the data would tell who is in it, so that a domain is declared or there is none
/// (`sandbox/docs/disclosure-model.md`, section 5.8).
fn not_published(column: &str) -> Refused {
    let column = shown(column);
    Finding::of(Reason::DomainNotPublished)
        .with("column", column.to_owned())
        .help(
            "ask without the column, or ask its department to declare the column's domain or range",
            "请避免使用该字段，或请其部门声明该字段的取值或范围",
        )
        .into()
}

/// The refusal of a condition that tells values of one leaf apart.
///
/// The rows of a leaf have one name, so that such a condition would have the names of another, and the difference of the two
/// would be an exact number (`sandbox/docs/disclosure-model.md`, section 5.8).
fn within_node(column: &str) -> Refused {
    let column = shown(column);
    Finding::of(Reason::ConditionWithinNode)
        .with("column", column.to_owned())
        .help(
            "compare the column at the edges of its declared bins, or with whole days",
            "请在该字段声明的区间边界处比较，或按整日比较",
        )
        .into()
}

/// The refusal of a condition or key that nodes of single columns do not make up.
///
/// Without names its cells have no noise, and an exact number is what the noise is against
/// (`sandbox/docs/disclosure-model.md`, section 5.8).
pub(super) fn without_names() -> Refused {
    Finding::of(Reason::ConditionWithoutNames)
        .help(
            "compare each column with literals; noise is fixed for the nodes of single columns",
            "请将各字段分别与常量比较；噪声按单个字段的节点确定",
        )
        .into()
}

/// True if an expression is monotone in its one column: what two of its values enclose lies between them.
fn rises(expr: &Expr) -> bool {
    let constant = |expr: &Expr| columns_of(expr).is_empty();
    #[expect(clippy::wildcard_enum_match_arm, reason = "the wildcard denies")]
    match expr {
        Expr::Column(_) => true,
        Expr::Alias(alias) => rises(&alias.expr),
        Expr::Negative(inner) => rises(inner),
        Expr::Cast(cast) => is_ordered(cast.field.data_type()) && rises(&cast.expr),
        Expr::TryCast(cast) => is_ordered(cast.field.data_type()) && rises(&cast.expr),
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match op {
            Operator::Minus if is_remainder_of(right, left) => rises(left),
            Operator::Plus | Operator::Minus | Operator::Multiply => {
                constant(right) && rises(left) || constant(left) && rises(right)
            }
            Operator::Divide => constant(right) && rises(left),
            _ => false,
        },
        Expr::ScalarFunction(call) => {
            let is_known = match call.name() {
                "ceil" | "date_trunc" | "floor" | "round" | "trunc" => true,
                "date_part" => part_of(&call.args).is_some_and(|part| part == "year"),
                AGE_YEARS | DOMAIN_NAME | MASK_NAME | WIDTH_BUCKET => true,
                _ => false,
            };
            let mut moved = call.args.iter().filter(|arg| !constant(arg));
            is_known && moved.next().is_some_and(rises) && moved.next().is_none()
        }
        _ => false,
    }
}

/// `value % constant`, which taken off the value leaves the beginning of its step.
fn is_remainder_of(expr: &Expr, value: &Expr) -> bool {
    let Expr::BinaryExpr(BinaryExpr { left, op: Operator::Modulo, right }) = expr else { return false };
    **left == *value && columns_of(right).is_empty()
}

/// True of types that a cast does not leave the order of.
fn is_ordered(data_type: &DataType) -> bool {
    data_type.is_numeric() || data_type.is_temporal()
}

/// True if the column stands only within functions that are the same for all of a day.
fn is_by_day(expr: &Expr) -> bool {
    let mut is_by_day = true;
    let walked = expr.apply(|inner| {
        if is_of_day(inner) {
            return Ok(TreeNodeRecursion::Jump);
        }
        is_by_day &= !matches!(inner, Expr::Column(_));
        Ok(if is_by_day { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
    });
    walked.is_ok() && is_by_day
}

/// True of a function of a moment that is the same for all of its day.
fn is_of_day(expr: &Expr) -> bool {
    const PARTS: [&str; 6] = ["dow", "isodow", "month", "quarter", "week", "year"];
    #[expect(clippy::wildcard_enum_match_arm, reason = "the wildcard denies")]
    match expr {
        Expr::Cast(cast) => *cast.field.data_type() == DataType::Date32 && is_moment(&cast.expr),
        Expr::TryCast(cast) => *cast.field.data_type() == DataType::Date32 && is_moment(&cast.expr),
        Expr::ScalarFunction(call) if call.name() == "date_part" => {
            part_of(&call.args).is_some_and(|part| PARTS.contains(&part.as_str()))
                && call.args.iter().skip(1).all(is_moment)
        }
        _ => false,
    }
}

/// True of the column itself as a moment, in its domain and under its mask.
fn is_moment(expr: &Expr) -> bool {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the wildcard denies")]
    match expr {
        Expr::Column(_) => true,
        Expr::Alias(alias) => is_moment(&alias.expr),
        Expr::Cast(cast) => cast.field.data_type().is_temporal() && is_moment(&cast.expr),
        Expr::TryCast(cast) => cast.field.data_type().is_temporal() && is_moment(&cast.expr),
        Expr::ScalarFunction(call) => {
            matches!(call.name(), DOMAIN_NAME | MASK_NAME | "date_trunc")
                && call.args.iter().all(|arg| columns_of(arg).is_empty() || is_moment(arg))
        }
        _ => false,
    }
}

/// The calendar part that a call of `date_part` asks for.
fn part_of(args: &[Expr]) -> Option<String> {
    let Some(Expr::Literal(part, _)) = args.first() else { return None };
    part.try_as_str().flatten().map(str::to_ascii_lowercase)
}

/// True of a constant without a value.
fn is_missing(expr: &Expr) -> bool {
    evaluated_constant(expr).is_none_or(|value| value.is_null(0))
}

/// True of a comparison of a missing value without a type, which a CASE without ELSE leaves: it is unknown, and the engine
/// computes no such comparison.
fn compares_nothing(expr: &Expr) -> bool {
    let is_nothing = |expr: &Expr| matches!(expr, Expr::Literal(ScalarValue::Null, _));
    #[expect(clippy::wildcard_enum_match_arm, reason = "anything else is computed")]
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let compares = matches!(op, Operator::Eq | Operator::NotEq)
                || matches!(op, Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq);
            compares && (is_nothing(left) || is_nothing(right))
        }
        Expr::Between(between) => is_nothing(&between.expr),
        Expr::InList(list) => is_nothing(&list.expr) && !list.list.is_empty(),
        _ => false,
    }
}

/// A condition without columns.
fn constant(expr: &Expr) -> Result<Condition, Refused> {
    if compares_nothing(expr) {
        return Ok(Condition::Unknown);
    }
    let value = evaluated_constant(expr).ok_or_else(without_names)?;
    match value_at(&value, 0, &DataType::Boolean)? {
        ScalarValue::Boolean(Some(value)) => Ok(Condition::Always(value)),
        _ => Ok(Condition::Unknown),
    }
}

fn value_at(array: &ArrayRef, at: usize, data_type: &DataType) -> Result<ScalarValue, Refused> {
    let array = arrow::compute::cast(array, data_type).map_err(|_| without_names())?;
    ScalarValue::try_from_array(&array, at).map_err(|_| without_names())
}

/// The branches of an expression that has a CASE in it: the expression with each of the CASE's values in its place.
fn lifted(expr: &Expr) -> Option<Vec<(Option<Expr>, Expr)>> {
    let mut found = None;
    expr.apply(|inner| {
        let is_case = !columns_of(inner).is_empty() && branches(inner).is_some();
        if is_case {
            found = Some(inner.clone());
        }
        Ok(if is_case { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })
    .ok()?;
    let case = found?;
    let with = |value: Expr| {
        expr.clone().transform_down(|inner| {
            Ok(if inner == case {
                Transformed::new(value.clone(), true, TreeNodeRecursion::Jump)
            } else {
                Transformed::no(inner)
            })
        })
    };
    branches(&case)?.into_iter().map(|(when, value)| Some((when, with(value).ok()?.data))).collect()
}

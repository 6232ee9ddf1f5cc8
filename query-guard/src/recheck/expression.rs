//! The use of columns in expressions: a raw value only within its mask and domain, a unit key only to tell subjects apart, a count
//! of a subject's own rows only where it is cut off, and functions of the list only.

use std::collections::BTreeMap;

use datafusion_common::Column;
use datafusion_common::ScalarValue;
use datafusion_common::tree_node::Transformed;
use datafusion_common::tree_node::TreeNode;
use datafusion_expr::BinaryExpr;
use datafusion_expr::Case;
use datafusion_expr::Expr;
use datafusion_expr::LogicalPlan;
use datafusion_expr::Operator;
use obscura_policies::mask::Mask;
use obscura_policies::vocabulary::DatasetId;
use obscura_policies::vocabulary::Level;

use super::Breach;
use super::relation::Leaf;
use super::relation::Read;
use super::relation::Relation;
use super::relation::bare;
use super::relation::key_leaves;
use super::relation::uncast;
use super::terms::Terms;
use super::terms::may_leave_as_rows;
use super::terms::unit_of;
use super::treated::treated;
use crate::functions::is_known_scalar;

/// The columns of all relations, and what each of them is.
#[derive(Debug)]
pub(super) struct Leaves<'t> {
    pub(super) terms: &'t Terms,
    leaves: BTreeMap<String, Leaf>,
    scans: usize,
}

impl<'t> Leaves<'t> {
    pub(super) fn new(terms: &'t Terms) -> Self {
        Leaves { terms, leaves: BTreeMap::new(), scans: 0 }
    }

    pub(super) fn scan(&mut self) -> usize {
        self.scans += 1;
        self.scans
    }

    /// A column of its own.
    pub(super) fn add(&mut self, leaf: Leaf) -> Expr {
        let name = match &leaf {
            Leaf::Raw { scan, column, .. } => raw_name(*scan, column),
            Leaf::United | Leaf::Count { .. } | Leaf::Own { .. } | Leaf::Free => {
                format!("#{}", self.leaves.len())
            }
        };
        self.leaves.insert(name.clone(), leaf);
        Expr::Column(Column::from_name(name))
    }

    pub(super) fn get(&self, name: &str) -> Option<&Leaf> {
        self.leaves.get(name)
    }

    pub(super) fn of(&self, expr: &Expr) -> Option<&Leaf> {
        self.get(&bare(expr)?.name)
    }

    /// True of the key of some subjects, or of the first of several that is there.
    pub(super) fn is_key(&self, expr: &Expr) -> bool {
        key_leaves(expr).is_some_and(|leaves| {
            leaves.iter().all(|leaf| match self.get(leaf) {
                Some(Leaf::Raw { dataset, column, .. }) => self.is_unit_key(dataset, column),
                Some(Leaf::United) => true,
                Some(Leaf::Count { .. } | Leaf::Own { .. } | Leaf::Free) | None => false,
            })
        })
    }

    fn is_unit_key(&self, dataset: &DatasetId, column: &str) -> bool {
        self.terms
            .dataset(dataset)
            .is_some_and(|dataset| !may_leave_as_rows(dataset) && unit_of(dataset, column).is_some())
    }

    /// Looks at an expression that is computed of a relation's columns, and adds what it reads.
    ///
    /// # Errors
    /// The first breach in it.
    pub(super) fn used(&self, expr: &Expr, read: &mut Read) -> Result<(), Breach> {
        match expr {
            Expr::Column(column) => self.leaf_used(&column.name, read),
            Expr::Alias(alias) => self.used(&alias.expr, read),
            Expr::Literal(..) => Ok(()),
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => self.binary(left, *op, right, read),
            Expr::IsNotNull(inner) | Expr::IsNull(inner) => {
                if self.is_key(inner) {
                    Ok(())
                } else {
                    self.used(inner, read)
                }
            }
            Expr::Not(inner)
            | Expr::IsTrue(inner)
            | Expr::IsFalse(inner)
            | Expr::IsUnknown(inner)
            | Expr::IsNotTrue(inner)
            | Expr::IsNotFalse(inner)
            | Expr::IsNotUnknown(inner)
            | Expr::Negative(inner) => self.used(inner, read),
            Expr::Cast(cast) => self.used(&cast.expr, read),
            Expr::TryCast(cast) => self.used(&cast.expr, read),
            Expr::Like(like) | Expr::SimilarTo(like) => {
                self.used(&like.expr, read)?;
                self.used(&like.pattern, read)
            }
            Expr::Between(between) => {
                self.used(&between.expr, read)?;
                self.used(&between.low, read)?;
                self.used(&between.high, read)
            }
            Expr::InList(list) => {
                self.used(&list.expr, read)?;
                list.list.iter().try_for_each(|item| self.used(item, read))
            }
            Expr::Case(case) => self.case(case, read),
            Expr::ScalarFunction(call) => {
                if !is_known_scalar(call.func.name()) {
                    return Err(Breach::Function);
                }
                if let Some(treated) = treated(call) {
                    let Some(Leaf::Raw { scan, dataset: id, column: name }) = self.of(treated.raw) else {
                        return Err(Breach::OtherTreatment);
                    };
                    let dataset = self.terms.dataset(id).ok_or(Breach::Table)?;
                    let column =
                        dataset.columns.iter().find(|column| column.name == *name).ok_or(Breach::Column)?;
                    let key = |argument: &Expr, mask: &Mask| {
                        let Mask::DateShift { per, .. } = mask else { return false };
                        let Some(Leaf::Raw { scan: of, column, .. }) = self.of(argument) else {
                            return false;
                        };
                        of == scan && unit_of(dataset, column).is_some_and(|unit| unit.kind == *per)
                    };
                    if !treated.is_due(self.terms, dataset, column, key) {
                        return Err(Breach::OtherTreatment);
                    }
                    if column.uses.is_empty() {
                        return Err(Breach::Column);
                    }
                    read.grade = read.grade.max(column.grade_after);
                    return Ok(());
                }
                let keeps_keys = call.func.name() == "coalesce";
                call.args.iter().try_for_each(|argument| {
                    if keeps_keys && self.is_key(argument) { Ok(()) } else { self.used(argument, read) }
                })
            }
            // Released values alone: the plan within is looked at where it stands.
            Expr::ScalarSubquery(_) => Ok(()),
            Expr::AggregateFunction(_)
            | Expr::WindowFunction(_)
            | Expr::ScalarVariable(..)
            | Expr::Exists(_)
            | Expr::InSubquery(_)
            | Expr::SetComparison(_)
            | Expr::GroupingSet(_)
            | Expr::Placeholder(_)
            | Expr::OuterReferenceColumn(..)
            | Expr::Unnest(_)
            | Expr::HigherOrderFunction(_)
            | Expr::Lambda(_)
            | Expr::LambdaVariable(_) => Err(Breach::Node),
            #[expect(deprecated, reason = "the engine still has it")]
            Expr::Wildcard { .. } => Err(Breach::Node),
        }
    }

    fn leaf_used(&self, name: &str, read: &mut Read) -> Result<(), Breach> {
        match self.get(name).ok_or(Breach::Column)? {
            Leaf::Raw { dataset: id, column: name, .. } => {
                if self.is_unit_key(id, name) {
                    return Err(Breach::UnitKey);
                }
                let dataset = self.terms.dataset(id).ok_or(Breach::Table)?;
                let column =
                    dataset.columns.iter().find(|column| column.name == *name).ok_or(Breach::Column)?;
                if column.uses.is_empty() {
                    return Err(Breach::Column);
                }
                if column.mask.is_some() || self.terms.has_domain(dataset, column) {
                    return Err(Breach::RawValue);
                }
                read.grade = read.grade.max(column.grade_after);
                Ok(())
            }
            Leaf::United => Err(Breach::UnitKey),
            Leaf::Count { .. } => Err(Breach::UncappedCount),
            Leaf::Own { .. } | Leaf::Free => Ok(()),
        }
    }

    /// Keys are equated with keys and with columns of open registers; the number of a mean's rows divides its sum.
    fn binary(&self, left: &Expr, op: Operator, right: &Expr, read: &mut Read) -> Result<(), Breach> {
        let equates = matches!(op, Operator::Eq | Operator::IsNotDistinctFrom);
        if equates && self.equates_keys(left, right) {
            return Ok(());
        }
        if op == Operator::Divide && matches!(self.of(right), Some(Leaf::Count { .. })) {
            return self.used(left, read);
        }
        self.used(left, read)?;
        self.used(right, read)
    }

    /// True of the key of a subject and another one, or a column of an open table.
    pub(super) fn equates_keys(&self, left: &Expr, right: &Expr) -> bool {
        let is_open = |expr: &Expr| match self.of(expr) {
            Some(Leaf::Raw { dataset, .. }) => self.terms.dataset(dataset).is_some_and(may_leave_as_rows),
            Some(Leaf::Free) => true,
            Some(Leaf::United | Leaf::Count { .. } | Leaf::Own { .. }) | None => false,
        };
        match (self.is_key(left), self.is_key(right)) {
            (true, true) => true,
            (true, false) => is_open(right),
            (false, true) => is_open(left),
            (false, false) => false,
        }
    }

    fn case(&self, case: &Case, read: &mut Read) -> Result<(), Breach> {
        if self.capped_at(case).is_some() {
            return Ok(());
        }
        if let Some(operand) = &case.expr {
            self.used(operand, read)?;
        }
        let result = |expr: &Expr, read: &mut Read| {
            if self.is_key(expr) { Ok(()) } else { self.used(expr, read) }
        };
        for (when, then) in &case.when_then_expr {
            self.used(when, read)?;
            result(then, read)?;
        }
        case.else_expr.iter().try_for_each(|otherwise| result(otherwise, read))
    }

    /// The number at which a count is cut off by `CASE WHEN n > most THEN most ELSE n END`.
    pub(super) fn capped_at(&self, case: &Case) -> Option<u32> {
        let [(when, then)] = case.when_then_expr.as_slice() else { return None };
        let otherwise = case.else_expr.as_deref().filter(|_| case.expr.is_none())?;
        let Expr::BinaryExpr(BinaryExpr { left, op, right }) = when.as_ref() else { return None };
        let (count, edge) = match op {
            Operator::Gt => (left, right),
            Operator::Lt => (right, left),
            _ => return None,
        };
        let Some(Leaf::Count { most }) = self.of(count) else { return None };
        let whole = |expr: &Expr| match uncast(expr) {
            Expr::Literal(ScalarValue::Int64(Some(value)), _) => Some(*value),
            // The engine's row numbers have no sign.
            Expr::Literal(ScalarValue::UInt64(Some(value)), _) => i64::try_from(*value).ok(),
            _ => None,
        };
        let (edge, value) = (whole(edge)?, whole(then)?);
        let is_cut =
            uncast(count) == uncast(otherwise) && edge == value && (0..=i64::from(*most)).contains(&edge);
        is_cut.then_some(u32::try_from(edge).ok()?)
    }

    /// True of a count of a subject's own rows, cut off.
    pub(super) fn is_count(&self, value: &Expr) -> bool {
        match uncast(value) {
            Expr::Case(case) => self.capped_at(case).is_some(),
            _ => matches!(self.of(value), Some(Leaf::Own { counts: true, .. })),
        }
    }

    /// The strictest grade of the columns of row filters, which no question reads.
    pub(super) fn grade_of_filters(&self, id: &DatasetId) -> Level {
        let Some(dataset) = self.terms.dataset(id) else { return Level(1) };
        let mut grade = Level(1);
        for filter in dataset.row_filters.iter().filter(|filter| !filter.jurisdiction) {
            for column in &dataset.columns {
                let mut words = filter.sql.split(|c: char| !c.is_alphanumeric() && c != '_');
                if words.any(|word| word == column.name) {
                    grade = grade.max(column.grade);
                }
            }
        }
        grade
    }
}

pub(super) fn raw_name(scan: usize, column: &str) -> String {
    format!("{scan}.{column}")
}

/// The expression with the columns of a plan's inputs written out.
///
/// # Errors
/// When it has a column that no input has.
pub(super) fn written_out(expr: &Expr, inputs: &[(&LogicalPlan, &Relation)]) -> Result<Expr, Breach> {
    let written = expr.clone().transform_up(|inner| match inner {
        Expr::Column(column) => {
            let found = inputs.iter().find_map(|(plan, relation)| {
                relation.columns.get(plan.schema().maybe_index_of_column(&column)?)
            });
            let missing = || datafusion_common::DataFusionError::Plan("no such column".to_owned());
            Ok(Transformed::yes(found.ok_or_else(missing)?.clone()))
        }
        Expr::Alias(alias) => Ok(Transformed::yes(*alias.expr)),
        Expr::Literal(value, _) => Ok(Transformed::no(Expr::Literal(value, None))),
        other => Ok(Transformed::no(other)),
    });
    written.map(|written| written.data).map_err(|_| Breach::Column)
}

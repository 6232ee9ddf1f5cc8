//! Reads the argument of a sum or mean as a linear combination of measures, or says why it is none.
//! An accepted argument yields terms; the aggregate that asked registers their atoms.

use datafusion_common::ScalarValue;
use datafusion_expr::BinaryExpr;
use datafusion_expr::Expr;
use datafusion_expr::Operator;
use obscura_policies::fixed::Fixed;
use obscura_policies::vocabulary::Use;

use super::Normaliser;
use super::Quantity;
use super::condition::conjunction;
use super::condition::has_branches;
use super::condition::is_null;
use super::condition::is_present;
use super::condition::keeps_numbers;
use super::linear::Linear;
use super::linear::add;
use super::linear::multiply;
use super::linear::scale;
use super::repeated_rows;
use crate::column::bare_column;
use crate::column_facts::ColumnKind;
use crate::constant::exact_number;
use crate::finding::Refused;
use crate::finding::fact_missing;
use crate::reason::Reason;

/// Largest factor and largest end of an interval: far beyond them numbers become infinite, and then nothing at all.
const NUMBER_MAX: f64 = 1e24;

impl Normaliser<'_> {
    /// Reads an expression as a linear combination of measures.
    ///
    /// A function of single values, such as `power(salary, 2)`, has no range that protects its sum, and can let one value
    /// weigh more than all others. A cast that cuts off or rounds in every row is a condition on single values. Every
    /// other expression is refused (`sandbox/docs/disclosure-model.md`, section 5.1).
    pub(crate) fn linear(&mut self, expr: &Expr) -> Result<Linear, Refused> {
        self.review.budget.spend(expr)?;
        if let Some(value) = self.review.constants.value(expr)? {
            return self.constant(expr, &value);
        }
        if let Some(column) = bare_column(&self.source_rows.bases, expr) {
            return self.measure(expr, &column.name);
        }
        #[expect(clippy::wildcard_enum_match_arm, reason = "the wildcard denies")]
        match expr {
            Expr::Alias(alias) => self.linear(&alias.expr),
            Expr::Cast(cast) if keeps_numbers(cast.field.data_type()) => self.linear(&cast.expr),
            Expr::Negative(inner) => Ok(scale(self.linear(inner)?, -1.0)),
            Expr::BinaryExpr(binary) => self.arithmetic(expr, binary),
            Expr::Case(_) | Expr::ScalarFunction(_) if has_branches(expr) => self.case(expr),
            _ => Err(self.not_linear(expr)),
        }
    }

    /// The refusal of an expression that adds up no measures: its sum has no range that protects it
    /// (`sandbox/docs/disclosure-model.md`, section 5.1).
    pub(crate) fn not_linear(&self, expr: &Expr) -> Refused {
        self.not_decomposable(Reason::NotLinear, expr).into()
    }

    /// A number is that many rows. One with too many places would add something to every row that cannot be told exactly
    /// (`sandbox/docs/disclosure-model.md`, section 5.1).
    fn constant(&self, expr: &Expr, value: &ScalarValue) -> Result<Linear, Refused> {
        if value.is_null() {
            return Ok(Linear {
                terms: Vec::new(),
                present: vec![Expr::Literal(ScalarValue::Boolean(Some(false)), None)],
                low: 0.0,
                high: 0.0,
            });
        }
        let number = exact_number(value)
            .ok_or_else(|| self.not_decomposable(Reason::ConstantNotExact, expr))?
            .to_f64();
        let terms = if number == 0.0 { Vec::new() } else { vec![(number, Quantity::Rows, None)] };
        Ok(Linear { terms, present: Vec::new(), low: number, high: number })
    }

    /// A column on its own: a quantity with a declared range, in rows that nothing repeats.
    ///
    /// Without a range nothing says how much one subject adds at the most, and a sum of keys tells whose keys they are
    /// (`sandbox/docs/disclosure-model.md`, section 5.1). An analyst can choose among the numbers of an open table: added up
    /// over individuals they weigh groups of them against each other (`sandbox/docs/disclosure-model.md`, section 4.6).
    fn measure(&mut self, expr: &Expr, name: &str) -> Result<Linear, Refused> {
        let base = self.source_rows.bases.get(name).ok_or_else(fact_missing)?;
        let quantity = base.data_type.is_numeric()
            && (base.is_measure()
                || base.kind == ColumnKind::SubjectCount
                || matches!(base.kind, ColumnKind::Declared(_)));
        if !base.allows(Use::Aggregate) {
            return Err(self.use_not_granted(expr, base, Use::Aggregate).into());
        }
        let is_no_sum = |reason| self.use_not_granted(expr, base, Use::Aggregate).because(reason);
        if !quantity {
            return Err(is_no_sum(Reason::NoQuantity).into());
        }
        let Some((low, high)) = base.range else {
            return Err(is_no_sum(Reason::RangeNotDeclared)
                .help(
                    "the column has no declared range, so its sum cannot be protected",
                    "该字段没有声明取值范围，无法保护其合计值",
                )
                .into());
        };
        if base.open {
            return Err(self
                .not_decomposable(Reason::TableNumbersSummed, expr)
                .help(
                    "numbers of an open table are not added up over individuals: group by the column instead",
                    "不能对个体累加开放表中的数值：请改为按该字段分组",
                )
                .into());
        }
        if !base.copied_by.is_empty() {
            return Err(repeated_rows(self.shape.place(expr)).into());
        }
        self.shape.grade = self.shape.grade.max(base.grade);
        let present = is_present(name);
        Ok(Linear {
            terms: vec![(1.0, Quantity::Measure(name.to_owned()), None)],
            present: vec![present],
            low: low.to_f64(),
            high: high.to_f64(),
        })
    }

    /// Sums, products and quotients by a constant.
    ///
    /// Per subject an analyst counts and adds up under conditions of their own, so that a product with such a number is a
    /// weight of the analyst's choice (`sandbox/docs/disclosure-model.md`, section 4.9). A quotient of measures has no range,
    /// because the divisor may be close to zero. A division of whole numbers cuts off in every row, which is a condition on
    /// single values (`sandbox/docs/disclosure-model.md`, section 5.1).
    fn arithmetic(&mut self, expr: &Expr, binary: &BinaryExpr) -> Result<Linear, Refused> {
        #[expect(clippy::wildcard_enum_match_arm, reason = "the wildcard denies")]
        match binary.op {
            Operator::Plus | Operator::Minus => {
                let left = self.linear(&binary.left)?;
                let right = self.linear(&binary.right)?;
                let right = if binary.op == Operator::Minus { scale(right, -1.0) } else { right };
                Ok(add(left, right).map_err(|reason| self.not_decomposable(reason, expr))?)
            }
            Operator::Multiply => {
                let left = self.linear(&binary.left)?;
                let right = self.linear(&binary.right)?;
                let product = multiply(left, right).map_err(|reason| self.not_decomposable(reason, expr))?;
                if product.terms.iter().any(|(_, quantity, _)| self.is_weighted(quantity)) {
                    return Err(self.not_decomposable(Reason::MeasureWeighted, expr).into());
                }
                Ok(product)
            }
            Operator::Divide => {
                let divisor = self
                    .review
                    .constants
                    .value(&binary.right)?
                    .as_ref()
                    .and_then(exact_number)
                    .filter(|divisor| *divisor != Fixed::ZERO)
                    .ok_or_else(|| self.not_decomposable(Reason::DivisorNotConstant, expr))?;
                if self.is_integer(&binary.left) && self.is_integer(&binary.right) {
                    return Err(self.not_decomposable(Reason::WholeNumbersDivided, expr).into());
                }
                Ok(scale(self.linear(&binary.left)?, 1.0 / divisor.to_f64()))
            }
            _ => Err(self.not_linear(expr)),
        }
    }

    /// The terms of every branch, each under the condition that its branch is taken, after those before it were not.
    ///
    /// This is what stops `sum(case when <one person> then 2 * salary else salary end)`: the one person's branch is an atom,
    /// and has a threshold of its own (`sandbox/docs/disclosure-model.md`, section 5.1). A value that is always missing has no range.
    fn case(&mut self, expr: &Expr) -> Result<Linear, Refused> {
        let mut terms = Vec::new();
        let mut reached: Vec<Expr> = Vec::new();
        let mut interval: Option<(f64, f64)> = None;
        let mut rest: Option<Expr> = None;
        // True while every branch yields a value whenever it is taken, so that the whole is never NULL.
        let mut always = true;
        for (condition, value) in self.branches(expr)? {
            let here = conjunction(rest.clone(), condition.clone());
            self.spend(here.as_ref())?;
            if is_null(self.review.constants, &value) {
                always = false;
            } else {
                let linear = self.linear(&value)?;
                always &= linear.present.is_empty();
                interval = Some(interval.map_or((linear.low, linear.high), |(low, high)| {
                    (low.min(linear.low), high.max(linear.high))
                }));
                let inside = linear.present.into_iter().fold(here, |all, one| conjunction(all, Some(one)));
                terms.extend(
                    linear
                        .terms
                        .into_iter()
                        .map(|(factor, quantity, own)| (factor, quantity, conjunction(inside.clone(), own))),
                );
                reached.push(inside.unwrap_or(Expr::Literal(ScalarValue::Boolean(Some(true)), None)));
            }
            rest = conjunction(rest, condition.map(|condition| Expr::IsNotTrue(Box::new(condition))));
        }
        let (low, high) = interval.ok_or_else(|| self.not_decomposable(Reason::CaseWithoutValue, expr))?;
        let present =
            if always { Vec::new() } else { reached.into_iter().reduce(Expr::or).into_iter().collect() };
        Ok(Linear { terms, present, low, high })
    }

    /// Refuses a linear expression whose numbers run away, or that counts rows which a join repeats.
    ///
    /// Beyond a certain size numbers lose digits, and what is lost depends on single values. A repeated row is a weight: in
    /// `x UNION ALL x WHERE ...` the chosen count twice, and the difference to the plain total shows them. A measure may stand
    /// in rows that are not repeated where others are, so that sums ask it of each column, and means of the rows they divide
    /// by as well (`sandbox/docs/disclosure-model.md`, section 4.5).
    pub(crate) fn terms_count_once(&self, arg: &Expr, linear: &Linear, counted: bool) -> Result<(), Refused> {
        let numbers = linear.terms.iter().map(|(factor, ..)| *factor).chain([linear.low, linear.high]);
        if !numbers.map(f64::abs).all(|number| number <= NUMBER_MAX) {
            return Err(self.not_decomposable(Reason::NumberTooLarge, arg).into());
        }
        let counted = counted || linear.terms.iter().any(|(_, quantity, _)| *quantity == Quantity::Rows);
        let measures = linear.terms.iter().flat_map(|(_, quantity, _)| quantity.columns());
        if counted
            && !self.source_rows.counts_once(measures.filter_map(|name| self.source_rows.bases.get(name)))
        {
            return Err(repeated_rows(self.shape.place(arg)).into());
        }
        Ok(())
    }

    /// True of a product with something that was counted or added up per subject: a weight of the analyst's choice
    /// (`sandbox/docs/disclosure-model.md`, section 4.9).
    fn is_weighted(&self, quantity: &Quantity) -> bool {
        let own = |name: &String| {
            self.source_rows
                .bases
                .get(name)
                .is_none_or(|base| matches!(base.kind, ColumnKind::SubjectCount | ColumnKind::SubjectMeasure))
        };
        matches!(quantity, Quantity::Product(left, right) if own(left) || own(right))
    }

    fn is_integer(&self, expr: &Expr) -> bool {
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "anything else is taken for a whole number, which refuses"
        )]
        match expr {
            Expr::Column(column) => {
                self.source_rows.base(column).is_none_or(|base| base.data_type.is_integer())
            }
            Expr::Literal(value, _) => value.data_type().is_integer(),
            Expr::Cast(cast) => cast.field.data_type().is_integer(),
            Expr::BinaryExpr(binary) => self.is_integer(&binary.left) && self.is_integer(&binary.right),
            _ => true,
        }
    }
}

//! The normal form of aggregates: every argument becomes a linear combination of atoms
//! (`sandbox/docs/disclosure-model.md`, section 5).
//!
//! An atom is COUNT, COUNT(DISTINCT unit) or SUM of a bare measure (or a product of two) under one condition. It is a
//! cell of its own with its own controls; what is linear is pulled above the boundary.
//! Danger it answers: `sum(case when <one person> then 2 * salary else salary end) - sum(salary)`.
//! Refused: `sum(power(2, person_id))`. Accepted: `avg(case when sex = 'f' then 1.0 else 0.0 end)`.

use arrow::datatypes::DataType;
use datafusion_common::ScalarValue;
use datafusion_expr::BinaryExpr;
use datafusion_expr::Case;
use datafusion_expr::Expr;
use datafusion_expr::Operator;
use datafusion_expr::expr::AggregateFunction;
use obscura_policies::fixed::Fixed;
use obscura_policies::vocabulary::Function;
use obscura_policies::vocabulary::Use;

use crate::base::Base;
use crate::base::BaseKind;
use crate::base::use_not_granted;
use crate::block::Block;
use crate::column::bare_column;
use crate::column::branches;
use crate::column::strip_casts;
use crate::constant::Constants;
use crate::constant::exact_number;
use crate::finding::Finding;
use crate::finding::Refused;
use crate::finding::fact_missing;
use crate::limits::TERMS_MAX;
use crate::plan::Formula;
use crate::plan::Term;
use crate::reason::Reason;
use crate::shape::Review;
use crate::shape::ShapeCheck;

/// Largest factor and largest end of an interval: far beyond them numbers become infinite, and then nothing at all.
const NUMBER_MAX: f64 = 1e24;

/// What an atom adds up.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Quantity {
    /// Rows.
    Rows,
    /// A measure, by base column.
    Measure(String),
    /// A product of two measures, by base columns in order.
    Product(String, String),
}

impl Quantity {
    /// The columns that are added up; none where rows are.
    pub(crate) fn columns(&self) -> Vec<&String> {
        match self {
            Quantity::Rows => Vec::new(),
            Quantity::Measure(name) => vec![name],
            Quantity::Product(left, right) => vec![left, right],
        }
    }
}

/// One cell of every group: a quantity under a condition.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Atom {
    pub(crate) quantity: Quantity,
    pub(crate) condition: Option<Expr>,
}

/// Rewrites the aggregates of one boundary to atoms.
pub(crate) struct Normaliser<'a> {
    block: &'a Block,
    review: Review<'a>,
    pub(crate) shape: ShapeCheck<'a>,
    pub(crate) atoms: Vec<Atom>,
    /// Functions that must be allowed by every dataset's policy.
    pub(crate) functions: Vec<Function>,
}

/// A linear expression: terms not yet turned into atoms, and what makes the whole present.
struct Linear {
    terms: Vec<(f64, Quantity, Option<Expr>)>,
    /// Conditions under which the value is not NULL; all must hold.
    present: Vec<Expr>,
    low: f64,
    high: f64,
}

impl<'a> Normaliser<'a> {
    pub(crate) fn new(block: &'a Block, review: Review<'a>) -> Self {
        Normaliser {
            block,
            review,
            shape: ShapeCheck::new(&block.bases, &block.conditions, review),
            atoms: Vec::new(),
            functions: Vec::new(),
        }
    }

    /// Rewrites one aggregate over base columns.
    ///
    /// # Errors
    /// The finding that refuses it.
    pub(crate) fn formula(&mut self, call: &AggregateFunction) -> Result<Formula, Refused> {
        let params = &call.params;
        if !params.order_by.is_empty() || params.null_treatment.is_some() {
            return Err(self.not_allowed(Reason::AggregateOfSomeValues, call).into());
        }
        let filter = match &params.filter {
            Some(filter) => self.shape.predicate(filter)?.into(),
            None => None,
        };
        match (call.func.name(), params.distinct, params.args.as_slice()) {
            ("count", true, [arg]) => self.count_distinct(call, arg, filter),
            ("count", false, args) => self.count(args, filter),
            ("sum", false, [arg]) => self.sum(arg, filter),
            ("avg", false, [arg]) => self.mean(arg, filter),
            (name, false, _) if !matches!(name, "sum" | "avg" | "grouping") => {
                Err(Finding::of(Reason::AggregateNotBuilt)
                    .at(self.call_span(call))
                    .with("function", name)
                    .help(
                        "COUNT, COUNT(DISTINCT unit), SUM and AVG are available",
                        "目前可用 COUNT、COUNT(DISTINCT 主体标识)、SUM 与 AVG",
                    )
                    .into())
            }
            _ => Err(self.not_allowed(Reason::AggregateDistinct, call).into()),
        }
    }

    /// Adds the atom for all rows and returns its index: the group's own threshold.
    pub(crate) fn rows_atom(&mut self) -> usize {
        self.atom(Quantity::Rows, None)
    }

    fn count(&mut self, args: &[Expr], filter: Option<Expr>) -> Result<Formula, Refused> {
        self.functions.push(Function::Count);
        let mut condition = filter;
        let present = args.iter().filter_map(|arg| bare_column(&self.block.bases, arg)).collect::<Vec<_>>();
        if !self.block.counts_once(present.iter().filter_map(|column| self.block.base(column))) {
            return Err(repeated_rows(args.iter().find_map(|arg| self.shape.place(arg))).into());
        }
        for arg in args {
            let present = self.presence(arg)?;
            condition = conjunction(condition, present);
        }
        Ok(Formula::Count { atom: self.atom(Quantity::Rows, condition) })
    }

    /// `COUNT(DISTINCT unit)`, also of `CASE WHEN condition THEN unit END`, by lineage.
    fn count_distinct(
        &mut self,
        call: &AggregateFunction,
        arg: &Expr,
        filter: Option<Expr>,
    ) -> Result<Formula, Refused> {
        self.functions.push(Function::CountDistinct);
        let (key, condition) = match strip_casts(&self.block.bases, arg) {
            Expr::Case(Case { expr: None, when_then_expr, else_expr })
                if else_expr.as_ref().is_none_or(|other| is_null(self.review.constants, other)) =>
            {
                match when_then_expr.as_slice() {
                    [(when, then)] => (&**then, Some(self.shape.predicate(when)?)),
                    _ => return Err(self.not_allowed(Reason::DistinctOfSeveralCases, call).into()),
                }
            }
            _ => (arg, None),
        };
        let (hidden, base) = self.block.unit_key(key).ok_or_else(|| self.not_a_unit_key(call))?;
        if !base.allows(Use::CountDistinct) {
            return Err(self.use_not_granted(arg, &base, Use::CountDistinct).into());
        }
        let class =
            self.block.classes.iter().position(|class| class.column == *hidden).ok_or_else(fact_missing)?;
        let present = base.optional.then(|| Expr::IsNotNull(Box::new(key.clone())));
        let condition = conjunction(conjunction(filter, condition), present);
        Ok(Formula::Subjects { atom: self.atom(Quantity::Rows, condition), class })
    }

    /// Refuses a linear expression whose numbers run away, or that counts rows which a join repeats.
    fn terms_count_once(&self, arg: &Expr, linear: &Linear, counted: bool) -> Result<(), Refused> {
        let numbers = linear.terms.iter().map(|(factor, ..)| *factor).chain([linear.low, linear.high]);
        if !numbers.map(f64::abs).all(|number| number <= NUMBER_MAX) {
            return Err(self.not_decomposable(Reason::NumberTooLarge, arg).into());
        }
        let counted = counted || linear.terms.iter().any(|(_, quantity, _)| *quantity == Quantity::Rows);
        let measures = linear.terms.iter().flat_map(|(_, quantity, _)| quantity.columns());
        if counted && !self.block.counts_once(measures.filter_map(|name| self.block.bases.get(name))) {
            return Err(repeated_rows(self.shape.place(arg)).into());
        }
        Ok(())
    }

    fn sum(&mut self, arg: &Expr, filter: Option<Expr>) -> Result<Formula, Refused> {
        self.functions.push(Function::Sum);
        let linear = self.linear(arg)?;
        self.terms_count_once(arg, &linear, false)?;
        self.has_sums(arg, &linear)?;
        Ok(Formula::Sum { terms: self.terms(linear.terms, filter.as_ref()) })
    }

    /// Sums are rounded by the width of a declared range, which days between dates do not have.
    fn has_sums(&self, arg: &Expr, linear: &Linear) -> Result<(), Refused> {
        let mut added_up = linear.terms.iter().flat_map(|(_, quantity, _)| quantity.columns());
        let some_between =
            added_up.any(|name| self.block.bases.get(name).is_some_and(|base| base.between.is_some()));
        if some_between {
            return Err(self
                .not_decomposable(Reason::TimeBetweenSummed, arg)
                .help(
                    "the time between two dates is released as a mean: use AVG, beside COUNT(*)",
                    "两个日期之间的时长以平均值发布：请使用 AVG 与 COUNT(*)",
                )
                .into());
        }
        Ok(())
    }

    fn mean(&mut self, arg: &Expr, filter: Option<Expr>) -> Result<Formula, Refused> {
        self.functions.push(Function::Avg);
        let linear = self.linear(arg)?;
        self.terms_count_once(arg, &linear, true)?;
        let present = linear.present.into_iter().fold(filter.clone(), |all, one| conjunction(all, Some(one)));
        let terms = self.terms(linear.terms, filter.as_ref());
        Ok(Formula::Mean {
            parts: self.parts(terms),
            count: self.atom(Quantity::Rows, present),
            low: linear.low,
            high: linear.high,
        })
    }

    fn terms(&mut self, terms: Vec<(f64, Quantity, Option<Expr>)>, filter: Option<&Expr>) -> Vec<Term> {
        let mut combined: Vec<Term> = Vec::new();
        for (factor, quantity, condition) in terms {
            let atom = self.atom(quantity, conjunction(filter.cloned(), condition));
            match combined.iter_mut().find(|term| term.atom == atom) {
                Some(term) => term.factor += factor,
                None => combined.push(Term { factor, atom }),
            }
        }
        combined
    }

    /// Measures over the very same rows are one quantity of each row, and have one mean. Under different conditions they are
    /// two, or the difference of two means would be that of two sets of people.
    fn parts(&self, terms: Vec<Term>) -> Vec<Vec<Term>> {
        let mut parts: Vec<(Option<Vec<Expr>>, Vec<Term>)> = Vec::new();
        for term in terms {
            let rows = self.atoms.get(term.atom).and_then(rows_of);
            let same = |known: &Option<Vec<Expr>>| match (known, &rows) {
                (Some(known), Some(rows)) => {
                    known.iter().all(|one| rows.contains(one)) && rows.iter().all(|one| known.contains(one))
                }
                _ => false,
            };
            match parts.iter_mut().find(|(known, _)| same(known)) {
                Some((_, part)) => part.push(term),
                None => parts.push((rows, vec![term])),
            }
        }
        parts.into_iter().map(|(_, part)| part).collect()
    }

    fn atom(&mut self, quantity: Quantity, condition: Option<Expr>) -> usize {
        let atom = Atom { quantity, condition };
        self.atoms.iter().position(|known| *known == atom).unwrap_or_else(|| {
            self.atoms.push(atom);
            self.atoms.len() - 1
        })
    }

    /// The condition under which an argument of COUNT is present; `None` when it always is.
    fn presence(&mut self, arg: &Expr) -> Result<Option<Expr>, Refused> {
        self.review.budget.spend(arg)?;
        if let Some(value) = self.review.constants.value(arg)? {
            return Ok(value.is_null().then(|| Expr::Literal(ScalarValue::Boolean(Some(false)), None)));
        }
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "what is not CASE must be a bare column, or is refused"
        )]
        match arg {
            Expr::Alias(alias) => self.presence(&alias.expr),
            Expr::ScalarFunction(call) if call.name() == "coalesce" => {
                let mut any: Option<Expr> = None;
                for value in &call.args {
                    let Some(present) = self.presence(value)? else { return Ok(None) };
                    any = Some(any.map_or(present.clone(), |any| any.or(present)));
                }
                Ok(any)
            }
            Expr::Cast(cast) if keeps_numbers(cast.field.data_type()) => self.presence(&cast.expr),
            Expr::Case(_) | Expr::ScalarFunction(_) if has_branches(arg) => {
                let mut rest: Option<Expr> = None;
                let mut any: Option<Expr> = None;
                for (condition, value) in self.branches(arg)? {
                    let here = conjunction(rest.clone(), condition.clone());
                    self.spend(here.as_ref())?;
                    if let Some(reached) = self.reached(here, &value)? {
                        any = Some(any.map_or(reached.clone(), |any| any.or(reached)));
                    }
                    rest = conjunction(rest, condition.map(|condition| Expr::IsNotTrue(Box::new(condition))));
                }
                Ok(Some(any.unwrap_or(Expr::Literal(ScalarValue::Boolean(Some(false)), None))))
            }
            Expr::Column(column) => {
                let base = self.block.base(column).ok_or_else(fact_missing)?;
                if base.uses.is_empty() {
                    return Err(self.use_not_granted(arg, base, Use::Aggregate).into());
                }
                if matches!(base.kind, BaseKind::Released { computed: true, .. }) {
                    return Err(self.not_decomposable(Reason::ComputedResultCounted, arg).into());
                }
                self.shape.comparisons += 1;
                self.shape.grade = self.shape.grade.max(base.grade);
                Ok(Some(Expr::IsNotNull(Box::new(Expr::Column(column.clone())))))
            }
            _ => Err(self.not_decomposable(Reason::ExpressionCounted, arg).into()),
        }
    }

    /// The condition under which a CASE branch yields a value, or `None` when it never does.
    fn reached(&mut self, here: Option<Expr>, value: &Expr) -> Result<Option<Expr>, Refused> {
        if is_null(self.review.constants, value) {
            return Ok(None);
        }
        let present = self.presence(value)?;
        Ok(Some(conjunction(here, present).unwrap_or(Expr::Literal(ScalarValue::Boolean(Some(true)), None))))
    }

    /// The branches of a CASE in order, conditions checked; the last has none (ELSE).
    fn branches(&mut self, expr: &Expr) -> Result<Vec<(Option<Expr>, Expr)>, Refused> {
        let mut accepted = Vec::new();
        let mut refused = Vec::new();
        for (when, value) in branches(expr).into_iter().flatten() {
            match when.map(|when| self.shape.predicate(&when)).transpose() {
                Ok(when) => accepted.push((when, value)),
                Err(findings) => refused.extend(findings),
            }
        }
        Refused::if_any(refused)?;
        Ok(accepted)
    }

    /// Reads an expression as a linear combination of measures.
    fn linear(&mut self, expr: &Expr) -> Result<Linear, Refused> {
        self.review.budget.spend(expr)?;
        if let Some(value) = self.review.constants.value(expr)? {
            return self.constant(expr, &value);
        }
        if let Some(column) = bare_column(&self.block.bases, expr) {
            return self.measure(expr, &column.name);
        }
        #[expect(clippy::wildcard_enum_match_arm, reason = "the wildcard denies")]
        match expr {
            Expr::Alias(alias) => self.linear(&alias.expr),
            // A cast that truncates or rounds every row is not linear.
            Expr::Cast(cast) if keeps_numbers(cast.field.data_type()) => self.linear(&cast.expr),
            Expr::Negative(inner) => Ok(scale(self.linear(inner)?, -1.0)),
            Expr::BinaryExpr(binary) => self.arithmetic(expr, binary),
            Expr::Case(_) | Expr::ScalarFunction(_) if has_branches(expr) => self.case(expr),
            _ => Err(self.not_linear(expr)),
        }
    }

    /// The expression adds up no measures.
    fn not_linear(&self, expr: &Expr) -> Refused {
        self.not_decomposable(Reason::NotLinear, expr).into()
    }

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

    fn measure(&mut self, expr: &Expr, name: &str) -> Result<Linear, Refused> {
        let base = self.block.bases.get(name).ok_or_else(fact_missing)?;
        let quantity = base.data_type.is_numeric()
            && (base.is_measure()
                || base.kind == BaseKind::SubjectCount
                || matches!(base.kind, BaseKind::Declared(_)));
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
        // An open table's numbers are anybody's to choose from: added up they weigh groups against each other.
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
        let present = Expr::IsNotNull(Box::new(crate::base::base_column(name)));
        Ok(Linear {
            terms: vec![(1.0, Quantity::Measure(name.to_owned()), None)],
            present: vec![present],
            low: low.to_f64(),
            high: high.to_f64(),
        })
    }

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
                    // Whole-number division truncates every row: not linear.
                    return Err(self.not_decomposable(Reason::WholeNumbersDivided, expr).into());
                }
                Ok(scale(self.linear(&binary.left)?, 1.0 / divisor.to_f64()))
            }
            _ => Err(self.not_linear(expr)),
        }
    }

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

    /// Takes a condition that was put together from the budget.
    fn spend(&self, condition: Option<&Expr>) -> Result<(), Refused> {
        condition.map_or(Ok(()), |condition| Ok(self.review.budget.spend(condition)?))
    }

    /// A product with something counted or added up per subject: its conditions are the analyst's, and so the weights.
    fn is_weighted(&self, quantity: &Quantity) -> bool {
        let own = |name: &String| {
            self.block
                .bases
                .get(name)
                .is_none_or(|base| matches!(base.kind, BaseKind::SubjectCount | BaseKind::SubjectMeasure))
        };
        matches!(quantity, Quantity::Product(left, right) if own(left) || own(right))
    }

    fn is_integer(&self, expr: &Expr) -> bool {
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "anything else is taken for a whole number, which refuses"
        )]
        match expr {
            Expr::Column(column) => self.block.base(column).is_none_or(|base| base.data_type.is_integer()),
            Expr::Literal(value, _) => value.data_type().is_integer(),
            Expr::Cast(cast) => cast.field.data_type().is_integer(),
            Expr::BinaryExpr(binary) => self.is_integer(&binary.left) && self.is_integer(&binary.right),
            _ => true,
        }
    }

    fn call_span(&self, call: &AggregateFunction) -> Option<crate::finding::SqlSpan> {
        call.params.args.iter().find_map(|arg| self.shape.place(arg))
    }

    /// The refusal of an aggregate that is never released, whichever rule it breaks.
    fn not_allowed(&self, reason: Reason, call: &AggregateFunction) -> Finding {
        Finding::of(reason).at(self.call_span(call)).with("function", call.func.name()).help(
            "use COUNT, COUNT(DISTINCT unit key), SUM or AVG",
            "请使用 COUNT、COUNT(DISTINCT 主体标识)、SUM 或 AVG",
        )
    }

    /// Values are counted, and not subjects.
    fn not_a_unit_key(&self, call: &AggregateFunction) -> Finding {
        Finding::of(Reason::ValuesCountedOnce)
            .at(self.call_span(call))
            .with("function", "count(distinct)")
            .help("COUNT(DISTINCT unit key) is available", "可用 COUNT(DISTINCT 主体标识)")
    }

    /// The refusal of an argument without a normal form, whichever rule it breaks.
    fn not_decomposable(&self, reason: Reason, expr: &Expr) -> Finding {
        Finding::of(reason).at(self.shape.place(expr)).help(
            "aggregate a measure, a linear combination of measures, or CASE with conditions on columns",
            "请对度量字段、其线性组合，或以字段条件书写的 CASE 进行聚合",
        )
    }

    /// The grant does not let the column be used so, with its place.
    fn use_not_granted(&self, expr: &Expr, base: &Base, wanted: Use) -> Finding {
        use_not_granted(base, wanted).at(self.shape.place(expr))
    }
}

/// Rows that a join or union may repeat are not added up.
pub(crate) fn repeated_rows(span: Option<crate::finding::SqlSpan>) -> Finding {
    Finding::of(Reason::CopiedRowsSummed).at(span).help(
        "a join or union repeats these rows, so that some subjects would count more than others: aggregate each dataset per subject first, or use COUNT(DISTINCT unit key)",
        "关联或合并会使这些行重复，部分主体将被多次计入：请先按主体分别汇总各数据集，或使用 COUNT(DISTINCT 主体标识)",
    )
}

fn conjunction(left: Option<Expr>, right: Option<Expr>) -> Option<Expr> {
    match (left, right) {
        (Some(left), Some(right)) if left == right => Some(left),
        (Some(left), Some(right)) => Some(left.and(right)),
        (left, right) => left.or(right),
    }
}

/// CASE, COALESCE and NULLIF: one atom per branch.
fn has_branches(expr: &Expr) -> bool {
    matches!(expr, Expr::Case(_))
        || matches!(expr, Expr::ScalarFunction(call) if matches!(call.name(), "coalesce" | "nullif"))
}

fn is_null(constants: Constants, expr: &Expr) -> bool {
    constants.value(expr).ok().flatten().is_some_and(|value| value.is_null())
}

fn scale(linear: Linear, factor: f64) -> Linear {
    let ends = (linear.low * factor, linear.high * factor);
    let terms =
        linear.terms.into_iter().map(|(own, quantity, condition)| (own * factor, quantity, condition));
    Linear {
        terms: terms.collect(),
        present: linear.present,
        low: ends.0.min(ends.1),
        high: ends.0.max(ends.1),
    }
}

/// A sum is present where both parts are, so each part is summed under the other's presence.
fn add(left: Linear, right: Linear) -> Result<Linear, Reason> {
    within_terms(left.terms.len() + right.terms.len())?;
    let mut terms = Vec::new();
    for (own, other) in [(&left, &right), (&right, &left)] {
        for (factor, quantity, condition) in &own.terms {
            let presence = match quantity {
                Quantity::Rows => own.present.iter().chain(&other.present).collect::<Vec<_>>(),
                Quantity::Measure(_) | Quantity::Product(..) => other.present.iter().collect(),
            };
            terms.push((*factor, quantity.clone(), under(condition.clone(), presence, quantity)));
        }
    }
    let (low, high) = (left.low + right.low, left.high + right.high);
    Ok(Linear { terms, present: united(left.present, right.present), low, high })
}

/// Refuses more terms than one argument may have.
fn within_terms(terms: usize) -> Result<(), Reason> {
    if terms > TERMS_MAX { Err(Reason::TooManyTerms) } else { Ok(()) }
}

/// Products of at most two measures, distributed over sums.
fn multiply(left: Linear, right: Linear) -> Result<Linear, Reason> {
    within_terms(left.terms.len() * right.terms.len())?;
    let mut terms = Vec::new();
    for (left_factor, left_quantity, left_condition) in &left.terms {
        for (right_factor, right_quantity, right_condition) in &right.terms {
            let quantity = match (left_quantity, right_quantity) {
                (Quantity::Rows, other) | (other, Quantity::Rows) => other.clone(),
                (Quantity::Measure(a), Quantity::Measure(b)) => {
                    Quantity::Product(a.min(b).clone(), a.max(b).clone())
                }
                _ => return Err(Reason::ProductOfThree),
            };
            let condition = conjunction(left_condition.clone(), right_condition.clone());
            let presence = left.present.iter().chain(&right.present).collect();
            terms.push((left_factor * right_factor, quantity.clone(), under(condition, presence, &quantity)));
        }
    }
    let corners =
        [left.low * right.low, left.low * right.high, left.high * right.low, left.high * right.high];
    let low = corners.into_iter().fold(f64::INFINITY, f64::min);
    let high = corners.into_iter().fold(f64::NEG_INFINITY, f64::max);
    Ok(Linear { terms, present: united(left.present, right.present), low, high })
}

/// A condition under further presences; a quantity is never summed where it is itself missing, so its own needs no saying.
fn under(condition: Option<Expr>, presence: Vec<&Expr>, quantity: &Quantity) -> Option<Expr> {
    let own: Vec<Expr> = quantity.columns().into_iter().map(|name| is_present(name)).collect();
    let further = presence.into_iter().filter(|present| !own.contains(present));
    further.fold(condition, |all, one| conjunction(all, Some(one.clone())))
}

/// What holds of every row that a measure is added up over; nothing for rows that are counted.
fn rows_of(atom: &Atom) -> Option<Vec<Expr>> {
    if atom.quantity == Quantity::Rows {
        return None;
    }
    let mut all: Vec<Expr> = atom.quantity.columns().into_iter().map(|name| is_present(name)).collect();
    let mut waiting: Vec<&Expr> = atom.condition.iter().collect();
    while let Some(condition) = waiting.pop() {
        match condition {
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
                waiting.extend([&**left, &**right])
            }
            other => all.push(other.clone()),
        }
    }
    Some(all)
}

fn is_present(column: &str) -> Expr {
    Expr::IsNotNull(Box::new(crate::base::base_column(column)))
}

fn united(mut left: Vec<Expr>, right: Vec<Expr>) -> Vec<Expr> {
    for one in right {
        if !left.contains(&one) {
            left.push(one);
        }
    }
    left
}

/// True for casts of computed values that change no number: to floating point, and no narrower.
fn keeps_numbers(target: &DataType) -> bool {
    *target == DataType::Float64
}

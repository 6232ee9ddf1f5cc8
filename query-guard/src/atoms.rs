//! The normal form of aggregates: every argument becomes a linear combination of atoms
//! (`sandbox/docs/disclosure-model.md`, section 5).
//!
//! An atom is COUNT, COUNT(DISTINCT unit) or SUM of a bare measure (or a product of two) under one condition. It is a
//! cell of its own with its own controls; what is linear is pulled above the boundary.
//! Danger it answers: `sum(case when <one person> then 2 * salary else salary end) - sum(salary)`.
//! Refused: `sum(power(2, person_id))`. Accepted: `avg(case when sex = 'f' then 1.0 else 0.0 end)`.

use datafusion_expr::BinaryExpr;
use datafusion_expr::Case;
use datafusion_expr::Expr;
use datafusion_expr::Operator;
use datafusion_expr::expr::AggregateFunction;
use obscura_policies::vocabulary::Function;
use obscura_policies::vocabulary::Use;

use crate::base::Base;
use crate::base::use_not_granted;
use crate::block::Block;
use crate::column::bare_column;
use crate::column::strip_casts;
use crate::finding::Finding;
use crate::finding::Refused;
use crate::finding::SqlSpan;
use crate::finding::fact_missing;
use crate::plan::Formula;
use crate::plan::Term;
use crate::reason::Reason;
use crate::shape::Review;
use crate::shape::ShapeCheck;

mod argument;
mod condition;
mod linear;

use condition::conjunction;
use condition::is_null;
use condition::is_present;
use linear::Linear;

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

    fn call_span(&self, call: &AggregateFunction) -> Option<SqlSpan> {
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
pub(crate) fn repeated_rows(span: Option<SqlSpan>) -> Finding {
    Finding::of(Reason::CopiedRowsSummed).at(span).help(
        "a join or union repeats these rows, so that some subjects would count more than others: aggregate each dataset per subject first, or use COUNT(DISTINCT unit key)",
        "关联或合并会使这些行重复，部分主体将被多次计入：请先按主体分别汇总各数据集，或使用 COUNT(DISTINCT 主体标识)",
    )
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

//! The normal form of aggregates: every argument becomes a linear combination of atoms
//! (`sandbox/docs/disclosure-model.md`, section 5).
//!
//! An atom is COUNT, COUNT(DISTINCT unit) or SUM of a bare measure (or a product of two) under one condition. It is a
//! cell of its own with its own controls; linear parts are pulled above the boundary. This file holds what all aggregates
//! share; the file of each in `aggregate` says which atoms it needs.
//! Danger it answers: `sum(case when <one person> then 2 * salary else salary end) - sum(salary)`.
//! Refused: `sum(power(2, person_id))`. Accepted: `avg(case when sex = 'f' then 1.0 else 0.0 end)`.

use datafusion_expr::Expr;
use obscura_policies::vocabulary::Function;
use obscura_policies::vocabulary::Use;

use crate::column_facts::ColumnFacts;
use crate::column_facts::use_not_granted;
use crate::finding::Finding;
use crate::finding::SqlSpan;
use crate::plan::Term;
use crate::reason::Reason;
use crate::shape::Review;
use crate::shape::ShapeCheck;
use crate::source_rows::SourceRows;

mod argument;
mod condition;
mod linear;

pub(crate) use condition::conjunction;
pub(crate) use condition::is_null;
pub(crate) use condition::is_present;
pub(crate) use condition::keeps_numbers;
pub(crate) use linear::Linear;

/// The quantity that an atom adds up.
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
    pub(crate) source_rows: &'a SourceRows,
    pub(crate) review: Review<'a>,
    pub(crate) shape: ShapeCheck<'a>,
    pub(crate) atoms: Vec<Atom>,
    /// Functions that must be allowed by every dataset's policy.
    pub(crate) functions: Vec<Function>,
}

impl<'a> Normaliser<'a> {
    pub(crate) fn new(source_rows: &'a SourceRows, review: Review<'a>) -> Self {
        Normaliser {
            source_rows,
            review,
            shape: ShapeCheck::new(&source_rows.bases, &source_rows.conditions, review),
            atoms: Vec::new(),
            functions: Vec::new(),
        }
    }

    /// Adds the atom for all rows and returns its index: the group's own threshold
    /// (`sandbox/docs/disclosure-model.md`, section 5.2).
    pub(crate) fn rows_atom(&mut self) -> usize {
        self.atom(Quantity::Rows, None)
    }

    /// The atoms of a linear form's terms under a FILTER. Terms of one atom are one term, so that a quantity which is
    /// taken off again takes no second rounding with it (`sandbox/docs/disclosure-model.md`, section 5.4).
    pub(crate) fn terms(
        &mut self,
        terms: Vec<(f64, Quantity, Option<Expr>)>,
        filter: Option<&Expr>,
    ) -> Vec<Term> {
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

    /// The index of an atom: that of the same atom, if it is known already.
    pub(crate) fn atom(&mut self, quantity: Quantity, condition: Option<Expr>) -> usize {
        let atom = Atom { quantity, condition };
        self.atoms.iter().position(|known| *known == atom).unwrap_or_else(|| {
            self.atoms.push(atom);
            self.atoms.len() - 1
        })
    }

    /// The refusal of an argument without a normal form, for the rule that it breaks.
    pub(crate) fn not_decomposable(&self, reason: Reason, expr: &Expr) -> Finding {
        Finding::of(reason).at(self.shape.place(expr)).help(
            "aggregate a measure, a linear combination of measures, or CASE with conditions on columns",
            "请对度量字段、其线性组合，或以字段条件书写的 CASE 进行聚合",
        )
    }

    /// The grant does not let the column be used so, with its place.
    pub(crate) fn use_not_granted(&self, expr: &Expr, base: &ColumnFacts, wanted: Use) -> Finding {
        use_not_granted(base, wanted).at(self.shape.place(expr))
    }
}

/// The refusal of rows that a join or union may repeat.
///
/// Repeated rows are weights: thresholds and dominance see a large sum, and the difference to the plain one shows the few
/// whose rows were repeated (`sandbox/docs/disclosure-model.md`, section 4.5).
pub(crate) fn repeated_rows(span: Option<SqlSpan>) -> Finding {
    Finding::of(Reason::CopiedRowsSummed).at(span).help(
        "a join or union repeats these rows, so that some subjects would count more than others: aggregate each dataset per subject first, or use COUNT(DISTINCT unit key)",
        "关联或合并会使这些行重复，部分主体将被多次计入：请先按主体分别汇总各数据集，或使用 COUNT(DISTINCT 主体标识)",
    )
}

//! The boundaries that are answered by differential privacy, and the numbers that are measured there
//! (`sandbox/docs/disclosure-model.md`, section 5.9). Prices and noise are `privacy`'s business.
//!
//! Danger it answers: rows below the boundary that depend on more than one subject, so that a change of one person's rows moves
//! the contributions of others, and noise that is made for one person protects none.
//! Refused: a join of two registers. Accepted: conditions, masks and keys over the rows of one dataset.

use datafusion_common::tree_node::TreeNode as _;
use datafusion_common::tree_node::TreeNodeRecursion;
use datafusion_expr::Distinct;
use datafusion_expr::Expr;
use datafusion_expr::LogicalPlan;

use crate::atoms::Normaliser;
use crate::atoms::Quantity;
use crate::atoms::conjunction;
use crate::atoms::is_present;
use crate::catalog::SealedSource;
use crate::cell::AtomSpec;
use crate::finding::Finding;
use crate::finding::Refused;
use crate::finding::internal;
use crate::plan::Formula;
use crate::privacy::Kind;
use crate::privacy::Measured;
use crate::privacy::StagePrivacy;
use crate::reason::Reason;
use crate::source_rows::SourceRows;

use super::ZonePass;
use super::numbers::specification;

impl ZonePass<'_> {
    /// The differential privacy of a boundary; nothing where no dataset that it reads has a privacy budget.
    ///
    /// Each row counts for one subject, and what a row is depends on that row alone: one dataset, one kind of subject, and no step
    /// that looks at several rows. Then the control step can bound what a subject contributes by looking at the subject alone
    /// (`sandbox/docs/disclosure-model.md`, section 5.9).
    pub(super) fn private(
        &self,
        source_rows: &SourceRows,
        formulas: &[Formula],
        rows_atom: usize,
        normaliser: &mut Normaliser<'_>,
        is_grouped: bool,
    ) -> Result<Option<StagePrivacy>, Refused> {
        let mut datasets = source_rows.taint.datasets.iter().filter_map(|id| self.policy.datasets.get(id));
        let Some((dataset, budget)) = datasets.find_map(|dataset| Some((dataset, dataset.privacy_budget?)))
        else {
            return Ok(None);
        };
        let refused = |reason| Finding::of(reason).with("dataset", dataset.id.to_string());
        if source_rows.taint.datasets.len() != 1 || !is_one_scan(&source_rows.plan) {
            return Err(refused(Reason::PrivacyOfOneTable)
                .help(
                    "aggregate the rows of this dataset alone: columns, conditions and keys of one table",
                    "请仅对该数据集的行进行聚合：只用单表的字段、条件与分组",
                )
                .into());
        }
        let [class] = source_rows.classes.as_slice() else { return Err(one_unit(refused).into()) };
        if class.kind.is_none() || class.optional {
            return Err(one_unit(refused).into());
        }
        let counted = Measured::unpriced(Kind::Subjects, rows_atom, None, (0, 1));
        let mut privacy = StagePrivacy {
            dataset: dataset.id.clone(),
            budget,
            rows_max: dataset.max_rows_per_subject.max(1),
            groups_max: is_grouped.then_some(dataset.max_groups_per_subject.max(1)),
            measured: vec![counted],
            subjects_least: u64::MAX,
        };
        let asked = formulas.iter().map(figures).collect::<Option<Vec<_>>>();
        let has_all = asked.is_some();
        for (kind, atom) in asked.into_iter().flatten().flatten() {
            // What is added up may be rows: `SUM(1)`, and the share of those who fulfil a condition.
            let counts = normaliser.atoms.get(atom).is_some_and(|atom| atom.quantity == Quantity::Rows);
            let kind = if counts && kind == Kind::Sum { Kind::Rows } else { kind };
            if privacy.place(kind, atom).is_none() {
                privacy.measured.push(measured(normaliser, kind, atom).ok_or_else(internal)?);
            }
        }
        let is_bare = |one: &Measured| {
            normaliser.atoms.get(one.atom).is_some_and(|atom| match atom.quantity {
                Quantity::Rows | Quantity::Measure(_) => true,
                Quantity::Product(..) => false,
            })
        };
        if !has_all || !privacy.measured.iter().all(is_bare) {
            return Err(refused(Reason::AggregateWithoutPrivacy)
                .help(
                    "COUNT(*), COUNT(DISTINCT unit key), SUM and AVG of a measure are answered by differential privacy",
                    "差分隐私可回答 COUNT(*)、COUNT(DISTINCT 主体标识) 以及度量字段的 SUM 与 AVG",
                )
                .into());
        }
        Ok(Some(privacy))
    }
}

/// The refusal of rows that carry no protected unit, or several: noise that is made for a resident hides no enterprise with many
/// of them (`sandbox/docs/disclosure-model.md`, section 5.9).
fn one_unit(refused: impl Fn(Reason) -> Finding) -> Finding {
    refused(Reason::PrivacyOfOneUnit).help(
        "a dataset whose rows carry one protected unit is answered by differential privacy",
        "差分隐私只回答行中仅含一类受保护主体的数据集",
    )
}

/// The numbers of atoms that a formula is made of; nothing for one that is not answered by differential privacy.
///
/// A quantile takes a count for every step, and a moment squares of a whole range: both would be noise alone.
fn figures(formula: &Formula) -> Option<Vec<(Kind, usize)>> {
    Some(match formula {
        Formula::Count { atom } => vec![(Kind::Rows, *atom)],
        Formula::Subjects { atom, .. } => vec![(Kind::Subjects, *atom)],
        Formula::Sum { terms } => terms.iter().map(|term| (Kind::Sum, term.atom)).collect(),
        Formula::Mean { parts, count, .. } => {
            let sums = parts.iter().flatten().map(|term| (Kind::Sum, term.atom));
            sums.chain([(Kind::Rows, *count)]).collect()
        }
        Formula::Moment { .. } | Formula::Quantile { .. } => return None,
    })
}

/// A number as it is measured, with the bounds of one row: of a sum those of the column's declared range, and the atom that counts its
/// rows, which the fold then counts too.
fn measured(normaliser: &mut Normaliser<'_>, kind: Kind, atom: usize) -> Option<Measured> {
    let asked = normaliser.atoms.get(atom)?.clone();
    let (low, high) = match specification(&asked, &normaliser.source_rows.bases)? {
        AtomSpec::Rows { .. } => (0, 1),
        AtomSpec::Measure(measure) => (measure.low, measure.high),
        AtomSpec::Product(left, right) => {
            let ends = [left.low, left.high, right.low, right.high];
            let most = ends.into_iter().map(i128::saturating_abs).max()?;
            let most = most.saturating_mul(most);
            (-most, most)
        }
    };
    let rows = match &asked.quantity {
        Quantity::Measure(column) => {
            let counted = conjunction(asked.condition.clone(), Some(is_present(column)));
            Some(normaliser.atom(Quantity::Rows, counted))
        }
        Quantity::Rows | Quantity::Product(..) => None,
    };
    Some(Measured::unpriced(kind, atom, rows, (low, high)))
}

/// True if every row of a plan is made of one row of one dataset, and of nothing else.
///
/// A window, a statistic over a subject's own rows and a union look at several rows, and what they make of them may rest on the
/// order of all; a subquery brings in what was released before.
fn is_one_scan(plan: &LogicalPlan) -> bool {
    let mut has_subquery = false;
    let walked = plan.apply_expressions(|expr| {
        expr.apply(|inner| {
            has_subquery |= matches!(
                inner,
                Expr::ScalarSubquery(_) | Expr::Exists(_) | Expr::InSubquery(_) | Expr::SetComparison(_)
            );
            Ok(TreeNodeRecursion::Continue)
        })
    });
    if walked.is_err() || has_subquery {
        return false;
    }
    match plan {
        LogicalPlan::TableScan(scan) => scan.source.downcast_ref::<SealedSource>().is_some(),
        LogicalPlan::Projection(projection) => is_one_scan(&projection.input),
        LogicalPlan::Filter(filter) => is_one_scan(&filter.input),
        LogicalPlan::SubqueryAlias(alias) => is_one_scan(&alias.input),
        LogicalPlan::Sort(sort) => sort.fetch.is_none() && is_one_scan(&sort.input),
        LogicalPlan::Aggregate(_)
        | LogicalPlan::Window(_)
        | LogicalPlan::Join(_)
        | LogicalPlan::Union(_)
        | LogicalPlan::Subquery(_)
        | LogicalPlan::Repartition(_)
        | LogicalPlan::Limit(_)
        | LogicalPlan::Distinct(Distinct::All(_) | Distinct::On(_))
        | LogicalPlan::EmptyRelation(_)
        | LogicalPlan::Values(_)
        | LogicalPlan::Unnest(_)
        | LogicalPlan::RecursiveQuery(_)
        | LogicalPlan::Extension(_)
        | LogicalPlan::Statement(_)
        | LogicalPlan::Explain(_)
        | LogicalPlan::Analyze(_)
        | LogicalPlan::Dml(_)
        | LogicalPlan::Ddl(_)
        | LogicalPlan::Copy(_)
        | LogicalPlan::DescribeTable(_) => false,
    }
}

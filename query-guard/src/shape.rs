//! The shape rule: which conditions and group keys may stand over individuals
//! (`sandbox/docs/disclosure-model.md`, section 4).
//!
//! Pseudo-random subsets of people are how tables are reconstructed, so the rule holds for every column of every grade.
//! An accepted expression comes back rewritten so that it is total: it yields NULL where it might have failed.
//!
//! Danger it answers: `md5(name) < '8'`, `salary % 97 = 13`, `person_id = 4711`, `age <> 107`.
//! Refused: `where floor(100 * power(age, 0.7)) = 3`. Accepted: `where age >= 60 and dept in ('tax', 'health')`.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::DataType as ArrowType;
use datafusion_common::Column;
use datafusion_common::ScalarValue;
use datafusion_expr::Between;
use datafusion_expr::BinaryExpr;
use datafusion_expr::Case;
use datafusion_expr::Expr;
use datafusion_expr::Operator;
use datafusion_expr::expr::InList;
use obscura_policies::mask::Mask;
use obscura_policies::vocabulary::Level;
use obscura_policies::vocabulary::Role;
use obscura_policies::vocabulary::Use;

use crate::budget::Budget;
use crate::catalog::ReleasedSource;
use crate::column::bare_column;
use crate::column::branches;
use crate::column::is_nullif;
use crate::column::is_truth;
use crate::column::mirror;
use crate::column::strip_casts;
use crate::column::total;
use crate::column_facts::ColumnFacts;
use crate::column_facts::ColumnKind;
use crate::column_facts::Conditions;
use crate::column_facts::ReleasedColumnFacts;
use crate::column_facts::RowCondition;
use crate::column_facts::use_not_granted;
use crate::constant::Constants;
use crate::finding::Finding;
use crate::finding::Refused;
use crate::finding::SqlSpan;
use crate::finding::fact_missing;
use crate::finding::find_word;
use crate::finding::first_span;
use crate::limits::IN_LIST_MAX;
use crate::reason::Reason;
use crate::source_rows::Read;

mod calendar;
mod edges;
mod generaliser;
mod text;

pub(crate) use calendar::Calendar;
pub(crate) use edges::grain;
pub(crate) use generaliser::recall;
pub(crate) use generaliser::retype;

use edges::has_unshown_steps;
use generaliser::Form;
use generaliser::Generalised;

/// Fewest characters before the wildcard of a LIKE pattern.
const LIKE_PREFIX_MIN: usize = 2;

/// Checks expressions over the base columns of some rows and adds up what they read.
pub(crate) struct ShapeCheck<'a> {
    bases: &'a BTreeMap<String, ColumnFacts>,
    /// Conditions that the rows fulfil already, or together with this one.
    conditions: &'a Conditions,
    review: Review<'a>,
    /// Strictest grade read so far.
    pub(crate) grade: Level,
    /// Comparisons so far.
    pub(crate) comparisons: usize,
    /// Literals so far.
    pub(crate) literals: usize,
    /// Literals that lie off an edge: each is noted and the check goes on, so that all of them are named at once.
    off_edge: Vec<Finding>,
}

/// The context of every check of one review: the job's constants, the text for places, and the budget that is left.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Review<'a> {
    pub(crate) constants: Constants,
    pub(crate) sql: &'a str,
    pub(crate) budget: &'a Budget<'a>,
}

impl<'a> ShapeCheck<'a> {
    pub(crate) fn new(
        bases: &'a BTreeMap<String, ColumnFacts>,
        conditions: &'a Conditions,
        review: Review<'a>,
    ) -> Self {
        ShapeCheck {
            bases,
            conditions,
            review,
            grade: Level(1),
            comparisons: 0,
            literals: 0,
            off_edge: Vec::new(),
        }
    }

    /// The review that it is part of.
    pub(crate) fn review(&self) -> Review<'a> {
        self.review
    }

    /// Everything that was read so far.
    pub(crate) fn read(&self) -> Read {
        Read { grade: self.grade, comparisons: self.comparisons, literals: self.literals }
    }

    /// Accepts a condition over individuals, rewritten so that it is total.
    ///
    /// A condition of any form may choose a pseudo-random half of the people, such as `md5(name) < '8'`, and counts over
    /// many such halves give everybody's diagnosis. So only listed forms are accepted, whatever the grade of the column
    /// (`sandbox/docs/disclosure-model.md`, section 4.3; Dinur and Nissim 2003).
    ///
    /// # Errors
    /// Every literal off its edges, and the first other finding.
    pub(crate) fn predicate(&mut self, expr: &Expr) -> Result<Expr, Refused> {
        let judged = self.condition(expr);
        self.with_off_edge(judged)
    }

    /// Accepts a group key over individuals, rewritten so that it is total.
    ///
    /// A key is a condition for each of its values: `GROUP BY md5(name)` makes groups at random, and `GROUP BY name` a
    /// group of one. So a key is a column, a coarser form of one, a condition, or a CASE over these
    /// (`sandbox/docs/disclosure-model.md`, section 4.3).
    ///
    /// # Errors
    /// Every literal off its edges, and the first other finding.
    pub(crate) fn group_key(&mut self, expr: &Expr) -> Result<Expr, Refused> {
        let judged = self.key(expr);
        self.with_off_edge(judged)
    }

    /// Accepts a key by which a window orders a subject's own rows: a column of that subject, or a coarser form of it.
    /// The order decides which row is the first, so that it chooses rows as a condition does and obeys the same rule
    /// (`sandbox/docs/disclosure-model.md`, sections 4.3 and 4.10).
    ///
    /// # Errors
    /// The finding that refuses it.
    pub(crate) fn order_key(&mut self, expr: &Expr) -> Result<Expr, Refused> {
        let judged = self.order(expr);
        self.with_off_edge(judged)
    }

    /// Refuses an expression for the literals that were noted while it was judged, also where nothing else refuses it.
    /// Each lies between two edges and singles out the people beside it
    /// (`sandbox/docs/disclosure-model.md`, section 4.4).
    fn with_off_edge(&mut self, judged: Result<Expr, Finding>) -> Result<Expr, Refused> {
        let noted = std::mem::take(&mut self.off_edge);
        match judged {
            Ok(accepted) => Refused::if_any(noted).map(|()| accepted),
            Err(finding) => Err(Refused::after(noted, finding)),
        }
    }

    /// Walks a condition and accepts its parts. The wildcard denies: a condition that no rule knows, such as
    /// `CAST(day AS BOOLEAN)`, may choose any subset of people (`sandbox/docs/disclosure-model.md`, section 4.3).
    fn condition(&mut self, expr: &Expr) -> Result<Expr, Finding> {
        self.review.budget.spend(expr)?;
        if let Some(value) = self.review.constants.value(expr)? {
            return match value {
                ScalarValue::Boolean(_) => Ok(Expr::Literal(value, None)),
                ScalarValue::Null => Ok(Expr::Literal(ScalarValue::Boolean(None), None)),
                _ => Err(self.not_truth(expr)),
            };
        }
        #[expect(clippy::wildcard_enum_match_arm, reason = "the wildcard denies")]
        match expr {
            Expr::Alias(alias) => self.condition(&alias.expr),
            Expr::BinaryExpr(BinaryExpr { left, op: op @ (Operator::And | Operator::Or), right }) => {
                let left = self.condition(left)?;
                let right = self.condition(right)?;
                Ok(datafusion_expr::binary_expr(left, *op, right))
            }
            Expr::Not(inner) => Ok(Expr::Not(Box::new(self.condition(inner)?))),
            Expr::IsTrue(inner) => Ok(Expr::IsTrue(Box::new(self.condition(inner)?))),
            Expr::IsFalse(inner) => Ok(Expr::IsFalse(Box::new(self.condition(inner)?))),
            Expr::IsUnknown(inner) => Ok(Expr::IsUnknown(Box::new(self.condition(inner)?))),
            Expr::IsNotTrue(inner) => Ok(Expr::IsNotTrue(Box::new(self.condition(inner)?))),
            Expr::IsNotFalse(inner) => Ok(Expr::IsNotFalse(Box::new(self.condition(inner)?))),
            Expr::IsNotUnknown(inner) => Ok(Expr::IsNotUnknown(Box::new(self.condition(inner)?))),
            Expr::IsNull(inner) => self.missing(inner),
            Expr::IsNotNull(inner) => Ok(negated(self.missing(inner)?)),
            Expr::Column(column) => self.flag(column),
            Expr::BinaryExpr(binary) => self.comparison(expr, binary),
            Expr::Between(between) => self.between(between),
            Expr::InList(list) => self.in_list(list),
            Expr::Like(like) => self.like(expr, like),
            other => match branches(other) {
                Some(branches) => self.in_branches(&branches, &mut |shape, value| shape.condition(value)),
                None => Err(self.not_allowed(Reason::ConditionNotListed, other)),
            },
        }
    }

    /// Accepts a group key: a constant, a CASE, a condition, or one column in a coarser form. A condition is a CASE with
    /// the labels true and false. A column needs the use `group`, and steps that its edges admit: `floor(age / 5) * 5`
    /// over bins of ten cuts them in two, and a second grouping shows who is between
    /// (`sandbox/docs/disclosure-model.md`, sections 4.3 and 4.4).
    fn key(&mut self, expr: &Expr) -> Result<Expr, Finding> {
        self.review.budget.spend(expr)?;
        if let Some(value) = self.review.constants.value(expr)? {
            return Ok(Expr::Literal(value, None));
        }
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "the wildcard goes on to the generalisers, which deny"
        )]
        match expr {
            Expr::Alias(alias) => self.key(&alias.expr),
            Expr::Case(_) => self.label_case(expr),
            Expr::ScalarFunction(call) if call.name() == "coalesce" => self.coalesce_key(expr, &call.args),
            Expr::ScalarFunction(_) if is_nullif(expr) => self.label_case(expr),
            // A condition as a key is a CASE with the labels true and false.
            truth if is_truth(truth) => self.condition(truth).map_err(as_group_key),
            other => {
                let generalised = self.generalise(other).map_err(as_group_key)?;
                self.require(&generalised, Use::Group).map_err(as_group_key)?;
                self.key_step(&generalised)?;
                self.grade = self.grade.max(generalised.base.grade);
                Ok(generalised.expr)
            }
        }
    }

    /// Accepts a column of the subject's own rows as an order. A label of a union, an open or a released value is the
    /// analyst's to choose: ordered by `'a' AS k` beside `'b' AS k`, the first row of each person is theirs to pick
    /// (`sandbox/docs/disclosure-model.md`, section 4.10).
    fn order(&mut self, expr: &Expr) -> Result<Expr, Finding> {
        let generalised = self.generalise(expr)?;
        let base = generalised.base;
        let wanted =
            if base.is_measure() && base.allows(Use::Aggregate) { Use::Aggregate } else { Use::Filter };
        self.require(&generalised, wanted)?;
        if base.open || matches!(base.kind, ColumnKind::Derived | ColumnKind::Released { .. }) {
            return Err(self.not_allowed(Reason::OrderedByChoice, expr));
        }
        self.count(base.grade, 1, 0);
        Ok(generalised.expr)
    }

    /// Accepts a CASE, or what is one, as a group key; each of its conditions obeys the rule, and so does each label.
    /// `CASE WHEN md5(name) < '8' THEN 'a' ELSE 'b' END` is the pseudo-random half as a key, so that the conditions are
    /// judged like any others (`sandbox/docs/disclosure-model.md`, section 4.3).
    fn label_case(&mut self, expr: &Expr) -> Result<Expr, Finding> {
        let mut labelled = Vec::new();
        let mut otherwise = None;
        for (when, then) in branches(expr).into_iter().flatten() {
            let label = Box::new(self.label(&then)?);
            match when {
                Some(when) => labelled.push((Box::new(self.condition(&when)?), label)),
                None => otherwise = Some(label),
            }
        }
        Ok(Expr::Case(Case::new(None, labelled, otherwise)))
    }

    /// Accepts a label: a constant, or a group key of its own (`CASE WHEN zip IS NULL THEN 'none' ELSE zip END`). An
    /// unjudged label would show its value, as in `CASE WHEN age = 107 THEN name END`
    /// (`sandbox/docs/disclosure-model.md`, section 4.3).
    fn label(&mut self, label: &Expr) -> Result<Expr, Finding> {
        match self.review.constants.value(label)? {
            Some(value) => {
                self.literals += 1;
                Ok(Expr::Literal(value, None))
            }
            None => self.key(label).map_err(as_group_key),
        }
    }

    /// Accepts `COALESCE(key, constant)` as a key with a label for missing values, and every other COALESCE as a CASE.
    /// Each argument is judged as a key, so that `COALESCE(NULLIF(diag, 'none'), name)` does not carry a name to the
    /// result (`sandbox/docs/disclosure-model.md`, section 4.3).
    fn coalesce_key(&mut self, whole: &Expr, args: &[Expr]) -> Result<Expr, Finding> {
        let [key, fallback] = args else { return self.label_case(whole) };
        let Some(fallback) = self.review.constants.value(fallback)? else { return self.label_case(whole) };
        let key = self.key(key)?;
        let missing = Expr::IsNull(Box::new(key.clone()));
        Ok(Expr::Case(Case::new(
            None,
            vec![(Box::new(missing), Box::new(Expr::Literal(fallback, None)))],
            Some(Box::new(key)),
        )))
    }

    /// Accepts `IS NULL` of a bare column, of a condition, or of the branches of a CASE. A function that is NULL for one
    /// person alone is a condition in disguise, and so is a value computed of results, which can be made missing at will.
    /// On a unit key it says whether an outer join found the subject
    /// (`sandbox/docs/disclosure-model.md`, sections 4.3 and 4.6).
    fn missing(&mut self, inner: &Expr) -> Result<Expr, Finding> {
        self.review.budget.spend(inner)?;
        if let Some(value) = self.review.constants.value(inner)? {
            return Ok(Expr::Literal(ScalarValue::Boolean(Some(value.is_null())), None));
        }
        // What a function leaves out (NULLIF) is compared, not asked for by its absence.
        if let Some(branches) = branches(inner).filter(|_| !is_nullif(inner)) {
            return self.in_branches(&branches, &mut |shape, value| shape.missing(value));
        }
        let inner = strip_casts(self.bases, inner);
        let Expr::Column(column) = inner else {
            return Ok(Expr::IsUnknown(Box::new(self.condition(inner)?)));
        };
        let base = self.known(column)?;
        if matches!(base.kind, ColumnKind::Released { computed: true, .. }) {
            return Err(self.computed_result(inner));
        }
        if !matches!(base.kind, ColumnKind::UnitKey { .. })
            && !base.allows(Use::Filter)
            && !base.allows(Use::Aggregate)
        {
            return Err(self.use_not_granted(column, base, Use::Filter));
        }
        self.must_be_shown(column, base)?;
        // What the type cannot show of a mask's steps is missing, and was there.
        if has_unshown_steps(base) {
            return Err(self.not_shown(&self.generalise(inner)?));
        }
        self.count(base.grade, 1, 0);
        Ok(Expr::IsNull(Box::new(inner.clone())))
    }

    /// Turns a test of the value of a CASE into a CASE of tests, each judged where its branch is reached.
    /// `CASE WHEN dept = 'tax' THEN salary ELSE 0 END >= 20001` would else hide from the rule that a literal stands
    /// between two edges of the salary (`sandbox/docs/disclosure-model.md`, sections 4.3 and 4.4).
    fn in_branches(
        &mut self,
        branches: &[(Option<Expr>, Expr)],
        judge: &mut dyn FnMut(&mut Self, &Expr) -> Result<Expr, Finding>,
    ) -> Result<Expr, Finding> {
        let mut accepted = Vec::with_capacity(branches.len());
        let mut otherwise = Expr::Literal(ScalarValue::Boolean(None), None);
        for (when, value) in branches {
            let outcome = judge(self, value)?;
            match when {
                Some(when) => accepted.push((Box::new(self.condition(when)?), Box::new(outcome))),
                None => otherwise = outcome,
            }
        }
        Ok(Expr::Case(Case::new(None, accepted, Some(Box::new(otherwise)))))
    }

    /// Accepts a boolean column as a condition of its own. It chooses rows as a comparison does, so that it needs the use
    /// `filter` and counts as one; a boolean that was computed of results is the analyst's own and would carry any choice
    /// of groups to individuals (`sandbox/docs/disclosure-model.md`, sections 4.3 and 4.6).
    fn flag(&mut self, column: &Column) -> Result<Expr, Finding> {
        let base = self.known(column)?;
        let computed = matches!(base.kind, ColumnKind::Released { computed: true, .. });
        if computed {
            return Err(self.computed_result(&Expr::Column(column.clone())));
        }
        if base.data_type != ArrowType::Boolean {
            return Err(self.not_truth(&Expr::Column(column.clone())));
        }
        if !base.allows(Use::Filter) {
            return Err(self.use_not_granted(column, base, Use::Filter));
        }
        self.must_be_shown(column, base)?;
        self.count(base.grade, 1, 1);
        Ok(Expr::Column(column.clone()))
    }

    /// Accepts a comparison: of a column with a literal, of two columns, or of a CASE with a literal. Operators that do
    /// not compare, such as `~` or `&`, choose subsets that no range describes, and from many of these a table can be
    /// reconstructed (`sandbox/docs/disclosure-model.md`, section 4.3; Dinur and Nissim 2003).
    fn comparison(&mut self, whole: &Expr, binary: &BinaryExpr) -> Result<Expr, Finding> {
        let Some(mirrored) = mirror(binary.op) else {
            return Err(self.not_allowed(Reason::OperatorNotListed, whole));
        };
        for (side, other, op) in
            [(&binary.left, &binary.right, binary.op), (&binary.right, &binary.left, mirrored)]
        {
            if let Some(branches) = branches(side)
                && let Some(value) = self.review.constants.value(other)?
            {
                return self.branches_against(&branches, op, &value);
            }
        }
        self.no_unit_key(&binary.left)?;
        self.no_unit_key(&binary.right)?;
        let left = self.review.constants.value(&binary.left)?;
        let right = self.review.constants.value(&binary.right)?;
        match (left, right) {
            (None, Some(literal)) => self.against_literal(&binary.left, binary.op, &literal),
            (Some(literal), None) => self.against_literal(&binary.right, mirrored, &literal),
            _ => self.between_columns(whole, binary),
        }
    }

    /// Judges the comparison of a CASE with a literal as one comparison for each branch.
    /// `COALESCE(person_id, '0') = '4711'` would else ask about one person behind a function
    /// (`sandbox/docs/disclosure-model.md`, section 4.3).
    fn branches_against(
        &mut self,
        branches: &[(Option<Expr>, Expr)],
        op: Operator,
        literal: &ScalarValue,
    ) -> Result<Expr, Finding> {
        let against = |value: &Expr| {
            datafusion_expr::binary_expr(value.clone(), op, Expr::Literal(literal.clone(), None))
        };
        self.in_branches(branches, &mut |shape, value| shape.condition(&against(value)))
    }

    /// Accepts a column beside a literal, where the column may be filtered and the literal lies on an edge: two literals
    /// within one bin differ by the people between them. A condition beside true or false is that condition
    /// (`sandbox/docs/disclosure-model.md`, sections 4.3 and 4.4).
    fn against_literal(&mut self, side: &Expr, op: Operator, literal: &ScalarValue) -> Result<Expr, Finding> {
        // `(age >= 60) = true` is the condition itself.
        if let (ScalarValue::Boolean(Some(wanted)), Operator::Eq | Operator::NotEq) = (literal, op)
            && bare_column(self.bases, side).is_none()
        {
            let condition = self.condition(side)?;
            let is_itself = *wanted == (op == Operator::Eq);
            return Ok(if is_itself { condition } else { Expr::Not(Box::new(condition)) });
        }
        self.is_quoted(side, literal)?;
        let generalised = self.generalise(side)?;
        self.require(&generalised, Use::Filter)?;
        let (op, literal) = self.on_edge_or_noted(&generalised, op, literal)?;
        self.count(generalised.base.grade, 1, 1);
        Ok(datafusion_expr::binary_expr(generalised.expr, op, Expr::Literal(literal, None)))
    }

    /// Accepts two columns of the same subject, a date among them moved by a constant interval, or a measure against a
    /// mean.
    ///
    /// A column that the analyst can pin to one value is a literal by another name: `day = 3 AND cost > day` cuts the
    /// cost at 3, off its edges. So a measure is compared with measures only, a column with other bins with nothing, a
    /// column with steps with no number of an open table and no count, and a label with no column. Masked values would
    /// compare as their masks made them. Two people of one firm share its class, and comparing them tells of one by the
    /// other (`sandbox/docs/disclosure-model.md`, sections 4.3 and 4.4).
    fn between_columns(&mut self, whole: &Expr, binary: &BinaryExpr) -> Result<Expr, Finding> {
        if let Some(expr) = self.against_released(binary)? {
            return Ok(expr);
        }
        let (Some(left), Some(right)) = (self.moved_column(&binary.left), self.moved_column(&binary.right))
        else {
            return Err(self.not_allowed(Reason::ExpressionsCompared, whole));
        };
        for (column, _) in [&left, &right] {
            let base = self.known(column)?;
            if matches!(base.kind, ColumnKind::UnitKey { .. } | ColumnKind::Declared(Role::Identifier)) {
                return Err(self.unit_key(column, base));
            }
            if matches!(base.kind, ColumnKind::Released { .. } | ColumnKind::Derived) {
                return Err(self.not_allowed(Reason::LabelCompared, whole));
            }
            if !base.allows(Use::Filter) {
                return Err(self.use_not_granted(column, base, Use::Filter));
            }
            self.count(base.grade, 0, 0);
        }
        let (left_base, right_base) = (self.known(&left.0)?, self.known(&right.0)?);
        let is_binned = |base: &ColumnFacts| !base.is_measure() && base.bins.is_some();
        if left_base.is_measure() != right_base.is_measure() || is_binned(left_base) || is_binned(right_base)
        {
            return Err(self.not_allowed(Reason::MeasureComparedWithOther, whole));
        }
        if left_base.mask.is_some() || right_base.mask.is_some() {
            return Err(self.not_allowed(Reason::MaskedColumnsCompared, whole).help(
                "a masked column is compared with literals on its mask's edges only",
                "已脱敏的字段只能与其区间边界上的常量比较",
            ));
        }
        let chosen = |base: &ColumnFacts| base.open || base.kind == ColumnKind::SubjectCount;
        if (chosen(left_base) && right_base.is_stepped()) || (chosen(right_base) && left_base.is_stepped()) {
            return Err(self.not_allowed(Reason::ChosenNumberCompared, whole));
        }
        if !left_base.open && !right_base.open && left_base.owners != right_base.owners {
            return Err(self.not_allowed(Reason::TwoSubjectsCompared, whole));
        }
        self.count(Level(1), 1, 0);
        Ok(datafusion_expr::binary_expr(left.1, binary.op, right.1))
    }

    /// True if a released value is the mean of this measure over the same rows or over more of them. Such a mean lies
    /// among the measure's values, and no choice of rows moves it. Any other released number can be made to order, as in
    /// `salary > (SELECT SUM(cost) FROM visits WHERE day = 3 AND cost >= 300)`, and would be a literal off the measure's
    /// edges (`sandbox/docs/disclosure-model.md`, section 4.6).
    fn is_its_own_mean(&self, base: &ColumnFacts, facts: &ReleasedColumnFacts) -> bool {
        match facts {
            ReleasedColumnFacts::Benchmark { of, conditions: Some(conditions), keys, met_by } => {
                let is_of_group = keys.is_empty() || base.scan.is_some_and(|scan| met_by.contains(&scan));
                let holds = |text: &String| {
                    self.conditions.contains(&RowCondition { scan: base.scan, text: text.clone() })
                };
                base.source().as_ref() == Some(of) && is_of_group && conditions.iter().all(holds)
            }
            ReleasedColumnFacts::Benchmark { conditions: None, .. } => false,
            ReleasedColumnFacts::Key { .. } | ReleasedColumnFacts::Other => false,
        }
    }

    /// Accepts a measure that is above or below its own released mean; the value is the same for everybody in its group.
    ///
    /// A computed side, as in `salary * 2 > mean`, cuts the measure where the analyst likes, and so does a result that is
    /// not its own mean. People whose value equals a mean are a group of one or of none, so that `=` is refused
    /// (`sandbox/docs/disclosure-model.md`, section 4.6).
    fn against_released(&mut self, binary: &BinaryExpr) -> Result<Option<Expr>, Finding> {
        let (measure, released, op) =
            match (self.released_side(&binary.left), self.released_side(&binary.right)) {
                (None, Some(released)) => (&binary.left, released, binary.op),
                (Some(released), None) => (&binary.right, released, mirror(binary.op).unwrap_or(binary.op)),
                _ => return Ok(None),
            };
        let Some(column) = bare_column(self.bases, measure) else {
            return Err(self.not_allowed(Reason::ExpressionAgainstResult, measure));
        };
        let base = self.known(column)?;
        let (released, facts) = released;
        if !base.is_measure() || !self.is_its_own_mean(base, &facts) {
            return Err(self.not_allowed(Reason::ResultNotOwnMean, measure).help(
                "compare a measure with its own mean over the same rows, or over more of them",
                "请将度量字段与其自身在相同或更大范围内的均值比较",
            ));
        }
        if !base.allows(Use::Filter) && !base.allows(Use::Aggregate) {
            return Err(self.use_not_granted(column, base, Use::Filter));
        }
        if !matches!(op, Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq) {
            return Err(self.not_allowed(Reason::EqualToMean, measure));
        }
        self.count(base.grade, 1, 0);
        Ok(Some(datafusion_expr::binary_expr(total((**measure).clone()), op, released)))
    }

    /// Finds a released column or a scalar subquery on one side, under widening casts, with what it is of its stage. An
    /// expression over results has no such facts and is taken for no result
    /// (`sandbox/docs/disclosure-model.md`, section 4.6).
    fn released_side(&self, expr: &Expr) -> Option<(Expr, Arc<ReleasedColumnFacts>)> {
        #[expect(clippy::wildcard_enum_match_arm, reason = "nothing else is released")]
        match strip_casts(self.bases, expr) {
            Expr::Column(column) => match &self.bases.get(&column.name)?.kind {
                ColumnKind::Released { column: Some(facts), .. } => {
                    Some((total(expr.clone()), Arc::clone(facts)))
                }
                ColumnKind::Released { column: None, .. }
                | ColumnKind::UnitKey { .. }
                | ColumnKind::Declared(_)
                | ColumnKind::SubjectCount
                | ColumnKind::SubjectMeasure
                | ColumnKind::Derived => None,
            },
            Expr::ScalarSubquery(subquery) => {
                Some((expr.clone(), ReleasedSource::column_of(&subquery.subquery, 0)?))
            }
            _ => None,
        }
    }

    /// Reads a bare column, or a date that a constant interval moves (`visit_date + INTERVAL '30 days'`). Other
    /// arithmetic makes conditions that no range describes. The interval is bounded and the date missing outside the
    /// calendar: an overflow would tell of somebody's date (`sandbox/docs/disclosure-model.md`, sections 4.3 and 7).
    fn moved_column(&self, expr: &Expr) -> Option<(Column, Expr)> {
        if let Some(column) = bare_column(self.bases, expr) {
            return Some((column.clone(), total(expr.clone())));
        }
        let Expr::BinaryExpr(BinaryExpr { left, op: op @ (Operator::Plus | Operator::Minus), right }) = expr
        else {
            return None;
        };
        let column = bare_column(self.bases, left)?;
        let base = self.bases.get(&column.name).filter(|base| base.data_type.is_temporal())?;
        let moved = self.review.constants.value(right).ok().flatten()?;
        let interval = matches!(moved, ScalarValue::IntervalMonthDayNano(Some(value)) if value.months.abs() <= 1200 && value.days.abs() <= 36_500 && value.nanoseconds == 0);
        interval.then(|| {
            let moved =
                datafusion_expr::binary_expr(total((**left).clone()), *op, Expr::Literal(moved, None));
            (column.clone(), Calendar::WHOLE.within(column, &base.data_type, moved))
        })
    }

    /// Judges `BETWEEN` as the two comparisons that it stands for. Both of its ends must lie on edges:
    /// `pay BETWEEN 20001 AND 20099` would else ask for single values of pay
    /// (`sandbox/docs/disclosure-model.md`, sections 4.3 and 4.4).
    fn between(&mut self, between: &Between) -> Result<Expr, Finding> {
        let low =
            datafusion_expr::binary_expr((*between.expr).clone(), Operator::GtEq, (*between.low).clone());
        let high =
            datafusion_expr::binary_expr((*between.expr).clone(), Operator::LtEq, (*between.high).clone());
        let inside = self.condition(&low.and(high))?;
        Ok(if between.negated { Expr::Not(Box::new(inside)) } else { inside })
    }

    /// Accepts a column in a list of literals, each judged as an equality: `age IN (60)` asks who is exactly sixty. A
    /// column in the list is a comparison of two columns that no rule has judged, and many values chosen one by one are a
    /// subset at will (`sandbox/docs/disclosure-model.md`, sections 4.3 and 4.4).
    fn in_list(&mut self, list: &InList) -> Result<Expr, Finding> {
        if let Some(branches) = branches(&list.expr) {
            let among = |value: &Expr| {
                Expr::InList(InList::new(Box::new(value.clone()), list.list.clone(), list.negated))
            };
            return self.in_branches(&branches, &mut |shape, value| shape.condition(&among(value)));
        }
        self.no_unit_key(&list.expr)?;
        let generalised = self.generalise(&list.expr)?;
        self.require(&generalised, Use::Filter)?;
        if list.list.len() > IN_LIST_MAX {
            return Err(Finding::of(Reason::ListTooLong).at(self.place(&list.expr)).help(
                format!("at most {IN_LIST_MAX} literals in one IN list"),
                format!("一个 IN 列表最多 {IN_LIST_MAX} 个常量"),
            ));
        }
        let mut literals = Vec::with_capacity(list.list.len());
        for item in &list.list {
            let Some(literal) = self.review.constants.value(item)? else {
                return Err(self.not_allowed(Reason::ListNotConstant, &list.expr));
            };
            let (_, literal) = self.on_edge_or_noted(&generalised, Operator::Eq, &literal)?;
            literals.push(Expr::Literal(literal, None));
        }
        self.count(generalised.base.grade, 1, literals.len());
        Ok(Expr::InList(InList::new(Box::new(generalised.expr), literals, list.negated)))
    }

    /// Refuses a use of a column that its kind, its mask or the grant does not admit. A unit key or an identifier points
    /// at one person; under a mask an identifier may be grouped. A computed result can be any number. A redacted column
    /// is empty, so that an answer about it means nothing, and a condition on it would escape the edges of a lighter mask
    /// (`sandbox/docs/disclosure-model.md`, sections 4.3 and 4.6).
    fn require(&self, generalised: &Generalised<'_>, wanted: Use) -> Result<(), Finding> {
        let base = generalised.base;
        match &base.kind {
            ColumnKind::UnitKey { .. } => Err(self.unit_key(&generalised.column, base)),
            ColumnKind::Declared(Role::Identifier) if wanted != Use::Group || base.mask.is_none() => {
                Err(self.unit_key(&generalised.column, base))
            }
            ColumnKind::Released { computed: true, .. } => {
                Err(self.computed_result(&Expr::Column(generalised.column.clone())))
            }
            _ if !base.allows(wanted) => Err(self.use_not_granted(&generalised.column, base, wanted)),
            _ if wanted == Use::Filter || generalised.form != Form::Bare => {
                self.must_be_shown(&generalised.column, base)
            }
            _ => Ok(()),
        }
    }

    /// Refuses a redacted column in a condition. It is empty in every row, so that `diag IS NULL` would be answered with
    /// everybody and a redacted yes or no with nobody: wrong numbers, and admitted where a mask with edges refuses
    /// (`sandbox/docs/disclosure-model.md`, section 4.4).
    fn must_be_shown(&self, column: &Column, base: &ColumnFacts) -> Result<(), Finding> {
        if base.mask != Some(Mask::Redact) {
            return Ok(());
        }
        let refused = self.not_allowed(Reason::RedactedColumnRead, &Expr::Column(column.clone()));
        Err(refused.help(
            "the column is redacted: it is empty in every row, so leave it out",
            "该字段已被遮蔽：每一行均为空，请勿使用",
        ))
    }

    /// Refuses a comparison with a unit key on one side, at any depth: it asks about one person. The literal is not
    /// looked at first, since the token's type is no business of the analyst's
    /// (`sandbox/docs/disclosure-model.md`, section 4.3).
    fn no_unit_key(&self, side: &Expr) -> Result<(), Finding> {
        let mut columns =
            side.column_refs().into_iter().filter_map(|column| Some((column, self.bases.get(&column.name)?)));
        match columns.find(|(_, base)| matches!(base.kind, ColumnKind::UnitKey { .. })) {
            Some((column, base)) => Err(self.unit_key(column, base)),
            None => Ok(()),
        }
    }

    fn known(&self, column: &Column) -> Result<&'a ColumnFacts, Finding> {
        self.bases.get(&column.name).ok_or_else(fact_missing)
    }

    /// Adds what an expression reads to the grade, the comparisons and the literals of the boundary. The grade of a stage
    /// is the strictest of what it reads, since a condition on a diagnosis tells diagnoses; and many conditions together
    /// choose a subset at will, so that a boundary has at most so many
    /// (`sandbox/docs/disclosure-model.md`, sections 4.2 and 4.3).
    fn count(&mut self, grade: Level, comparisons: usize, literals: usize) {
        self.grade = self.grade.max(grade);
        self.comparisons += comparisons;
        self.literals += literals;
    }

    /// The place where the analyst wrote the first column of the expression. After an aggregation the planner forgets it;
    /// the column's name still tells it.
    pub(crate) fn place(&self, expr: &Expr) -> Option<SqlSpan> {
        let named = || {
            let known = expr.column_refs().into_iter().filter_map(|column| self.bases.get(&column.name));
            known.filter_map(|base| find_word(self.review.sql, &base.name)).next()
        };
        first_span(self.review.sql, expr).or_else(named)
    }

    /// The refusal of an expression that stands for a condition and is none. The rows that a number or a text chooses
    /// depend on how the engine reads it as a truth value, and on no rule
    /// (`sandbox/docs/disclosure-model.md`, section 4.3).
    fn not_truth(&self, expr: &Expr) -> Finding {
        self.not_allowed(Reason::ConditionNotTruth, expr)
    }

    /// The refusal of a value that was computed of results and stands in a condition on individuals. Such a value can be
    /// made to be any number, `AVG(salary) + 1234` for one, and would be a literal off the edges
    /// (`sandbox/docs/disclosure-model.md`, section 4.6).
    fn computed_result(&self, expr: &Expr) -> Finding {
        self.not_allowed(Reason::ComputedResultCompared, expr)
    }

    /// The refusal of a condition for the rule that it breaks.
    fn not_allowed(&self, reason: Reason, expr: &Expr) -> Finding {
        Finding::of(reason).at(self.place(expr)).help(
            "compare a column (or date_trunc, extract, floor(col/c)*c of it) with literals; combine with AND, OR, NOT",
            "请将字段（或其 date_trunc、extract、floor(col/c)*c 形式）与常量比较，并用 AND、OR、NOT 组合",
        )
    }

    /// The refusal of a unit key or an identifier as a value: `person_id = 4711` asks about one person, and
    /// `GROUP BY name` makes each group one person (`sandbox/docs/disclosure-model.md`, section 4.3).
    fn unit_key(&self, column: &Column, base: &ColumnFacts) -> Finding {
        let is_identifier = matches!(base.kind, ColumnKind::Declared(_));
        Finding::of(if is_identifier { Reason::IdentifierRead } else { Reason::UnitKeyCompared })
            .at(self.place(&Expr::Column(column.clone())))
            .with("column", base.name.clone())
            .help(
                "count subjects with COUNT(DISTINCT key), or join another dataset on the key",
                "可用 COUNT(DISTINCT 主体标识) 统计主体数，或用其关联其他数据集",
            )
    }

    /// The grant does not let the column be used so, with its place.
    fn use_not_granted(&self, column: &Column, base: &ColumnFacts, wanted: Use) -> Finding {
        use_not_granted(base, wanted).at(self.place(&Expr::Column(column.clone())))
    }
}

/// The opposite of a condition that is never unknown.
fn negated(condition: Expr) -> Expr {
    match condition {
        Expr::IsNull(inner) => Expr::IsNotNull(inner),
        other => Expr::Not(Box::new(other)),
    }
}

/// Says of a key of no listed form what keys may be; a finer rule that it breaks says more, and stays. A key that
/// scatters people, such as `salary % 7`, makes groups at random (`sandbox/docs/disclosure-model.md`, section 4.3; Dinur
/// and Nissim 2003).
fn as_group_key(finding: Finding) -> Finding {
    if !finding.reason.is_of_no_form() {
        return finding;
    }
    finding
        .because(Reason::KeyNotListed)
        .help("group by a column, date_trunc or extract of a date, floor(col/c)*c or width_bucket of a number in multiples of its bins, or CASE with constant labels", "请按字段、日期的 date_trunc/extract、数值的 floor(col/c)*c 或 width_bucket（箱宽的整数倍）、或带常量标签的 CASE 分组")
}

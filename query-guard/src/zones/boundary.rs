//! The boundary: where rows of individuals become cells (`sandbox/docs/disclosure-model.md`, section 5).
//! It builds the stage and the released table that stands in its place; the controls themselves run in `control`.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::DataType;
use arrow::datatypes::Field;
use arrow::datatypes::Schema;
use datafusion_common::DFSchema;
use datafusion_common::ScalarValue;
use datafusion_expr::AggregateUDF;
use datafusion_expr::Expr;
use datafusion_expr::LogicalPlanBuilder;
use datafusion_expr::expr::AggregateFunction;
use obscura_policies::effective::Controls;
use obscura_policies::fixed::Fixed;
use obscura_policies::vocabulary::Function;
use obscura_policies::vocabulary::Level;

use crate::at_least::at_least_subjects;
use crate::atoms::Atom;
use crate::atoms::Normaliser;
use crate::atoms::Quantity;
use crate::catalog::ReleasedSource;
use crate::cell::AtomSpec;
use crate::cell::CellFold;
use crate::cell::MeasureSpec;
use crate::cell::Subjects;
use crate::column::bare_column;
use crate::column::under;
use crate::column_facts::ColumnFacts;
use crate::column_facts::ColumnKind;
use crate::column_facts::ReleasedColumnFacts;
use crate::column_facts::RowCondition;
use crate::column_facts::SourceColumn;
use crate::column_facts::base_column;
use crate::finding::Finding;
use crate::finding::Refused;
use crate::floor::HeldTo;
use crate::limits::BOUNDARIES_MAX;
use crate::limits::COMPARISONS_MAX;
use crate::limits::GROUP_KEYS_MAX;
use crate::limits::LITERALS_MAX;
use crate::limits::too_large;
use crate::plan::Formula;
use crate::plan::KeyColumn;
use crate::plan::ReleasedColumn;
use crate::plan::Stage;
use crate::plan::StageAtom;
use crate::plan::StageClass;
use crate::plan::StageControls;
use crate::privacy::StagePrivacy;
use crate::reason::Reason;
use crate::shape::grain;
use crate::source_rows::Compared;
use crate::source_rows::Read;
use crate::source_rows::SourceRows;
use crate::source_rows::Taint;

use super::ZonePass;
use super::released::ReleasedPlan;
use crate::finding::internal;
use crate::finding::not_built;
use crate::naming::Boundary;
use crate::naming::cell_names;

/// Bins that hold so many values, or fewer, choose single ones.
const BIN_VALUES_FEW: i64 = 10;
/// Decimal places at which a measure of floating point is kept.
const FLOAT_SCALE: u8 = 4;

impl ZonePass<'_> {
    /// An aggregate whose groups hold several subjects: each becomes cells, which pass their controls before anything
    /// reads them.
    ///
    /// Every way from individuals to a result leads through here, so that all that was read below counts together. Each
    /// further comparison narrows a group until it describes one person, and many literals are a subset chosen at will,
    /// from which a table can be reconstructed (Dinur and Nissim 2003): both are bounded
    /// (`sandbox/docs/disclosure-model.md`, section 4.3).
    pub(super) fn boundary(
        &mut self,
        source_rows: SourceRows,
        keys: &[Expr],
        calls: &[Expr],
        schema: &Arc<DFSchema>,
    ) -> Result<ReleasedPlan, Refused> {
        self.within_limits(keys.len())?;
        if keys.len() + calls.len() != schema.fields().len() {
            return Err(internal());
        }
        let subqueries = self.take_subqueries_read();
        let mut normaliser = Normaliser::new(&source_rows, self.review);
        let mut refused = Vec::new();
        let mut group = Vec::with_capacity(keys.len());
        for key in keys {
            match normaliser.shape.group_key(key) {
                Ok(key) => group.push(key),
                Err(findings) => refused.extend(findings),
            }
        }
        let rows_atom = normaliser.rows_atom();
        let mut formulas = Vec::with_capacity(calls.len());
        for call in calls {
            let Expr::AggregateFunction(call) = call.clone().unalias() else { return Err(internal()) };
            match normaliser.formula(&call) {
                Ok(formula) => formulas.push(formula),
                Err(findings) => refused.extend(findings),
            }
        }
        let read = normaliser.shape.read().and(source_rows.taint.as_read()).and(subqueries);
        let Read { grade, comparisons, literals } = read;
        if comparisons > COMPARISONS_MAX {
            refused.push(too_large(
                Reason::TooManyComparisons,
                "comparisons",
                format!("at most {COMPARISONS_MAX} comparisons over individuals"),
                format!("针对个体的比较不超过 {COMPARISONS_MAX} 个"),
            ));
        }
        if literals > LITERALS_MAX {
            refused.push(too_large(
                Reason::TooManyLiterals,
                "literals",
                format!("at most {LITERALS_MAX} literals over individuals"),
                format!("针对个体的常量不超过 {LITERALS_MAX} 个"),
            ));
        }
        for function in &normaliser.functions {
            if let Err(finding) = self.functions_allowed(&source_rows.taint, Some(*function)) {
                refused.push(finding);
                break;
            }
        }
        let privacy = self.private(&source_rows, &formulas, rows_atom, &mut normaliser, !keys.is_empty());
        let privacy = privacy.unwrap_or_else(|findings| {
            refused.extend(findings);
            None
        });
        let (atoms, functions) = (normaliser.atoms, normaliser.functions);
        let mut compared = source_rows.taint.compared.clone();
        compared.add(&source_rows.bases, &group);
        let mut chosen = Vec::with_capacity(atoms.len());
        for atom in &atoms {
            let mut compared = compared.clone();
            compared.add(&source_rows.bases, &atom.condition);
            if let Some(base) = lies_between_chosen(atom, &source_rows.bases, &compared) {
                refused.push(chosen_between(base));
            }
            chosen.push(is_chosen(atom, &source_rows.bases, &compared));
        }
        let controls = self.controls(&source_rows, grade, &functions, privacy.is_some(), &mut refused);
        Refused::if_any(refused)?;
        let names: Vec<ReleasedColumn> = formulas
            .into_iter()
            .enumerate()
            .map(|(index, formula)| {
                let field = schema.field(keys.len() + index);
                ReleasedColumn { name: format!("a{index}"), data_type: field.data_type().clone(), formula }
            })
            .collect();
        let facts = facts(keys, &names, &atoms, &source_rows);
        let stage = self.stage(
            source_rows,
            group,
            (&atoms, &chosen),
            rows_atom,
            names,
            (&controls, privacy),
            grade,
            schema,
        )?;
        let open = released(&stage, facts, schema, read)?;
        self.stages.push(stage);
        Ok(open)
    }

    /// Bounds the boundaries of one statement and the keys of one boundary.
    ///
    /// The numbers of two aggregations can be set against one another, as `SUM(salary)` with and without one zip. With
    /// each further key groups become smaller, until each describes one person
    /// (`sandbox/docs/disclosure-model.md`, section 3).
    fn within_limits(&self, keys: usize) -> Result<(), Refused> {
        if self.stages.len() >= BOUNDARIES_MAX {
            return Err(too_large(
                Reason::TooManyAggregations,
                "boundaries",
                format!("at most {BOUNDARIES_MAX} aggregations over individuals"),
                format!("针对个体的聚合不超过 {BOUNDARIES_MAX} 个"),
            )
            .into());
        }
        if keys > GROUP_KEYS_MAX {
            return Err(too_large(
                Reason::TooManyGroupKeys,
                "group keys",
                format!("at most {GROUP_KEYS_MAX} group keys"),
                format!("分组字段不超过 {GROUP_KEYS_MAX} 个"),
            )
            .into());
        }
        Ok(())
    }

    /// Every dataset's policy must allow a function over its individuals, whether its values are released or only
    /// compared.
    ///
    /// A department may release counts and no sums. A sum over a person's own rows counts as one also where it is only
    /// compared, because a count of those with `total >= 100` tells of their totals
    /// (`sandbox/docs/disclosure-model.md`, section 5.1).
    pub(super) fn functions_allowed(&self, taint: &Taint, function: Option<Function>) -> Result<(), Finding> {
        let Some(function) = function else { return Ok(()) };
        for id in &taint.datasets {
            let allowed = self.policy.datasets.get(id).map(|dataset| &dataset.functions);
            if !allowed.is_some_and(|allowed| covered_by(function).any(|other| allowed.contains(&other))) {
                let names: Vec<String> =
                    allowed.into_iter().flatten().take(5).map(ToString::to_string).collect();
                let list = names.join(", ");
                return Err(Finding::of(Reason::FunctionNotInPolicy)
                    .with("function", function.to_string())
                    .help(format!("the policy allows: {list}"), format!("策略允许：{list}")));
            }
        }
        Ok(())
    }

    /// The floor of the strictest grade read, tightened by every dataset's own controls.
    ///
    /// Without a floor nothing says how a grade is protected, and a control that is not built cannot protect it
    /// (`sandbox/docs/disclosure-model.md`, section 4.2). Without a rule of dominance a sum may be nearly the value of
    /// its largest contributor (`sandbox/docs/disclosure-model.md`, section 5.3). All three are refused.
    fn controls(
        &self,
        source_rows: &SourceRows,
        grade: Level,
        functions: &[Function],
        is_private: bool,
        refused: &mut Vec<Finding>,
    ) -> Controls {
        let carried = source_rows.classes.iter().any(|class| class.kind.is_some());
        let Some(held) = HeldTo::of(self.policy, &source_rows.taint.datasets, grade, carried) else {
            refused.push(Finding::of(Reason::GradeWithoutFloor).with("grade", grade.to_string()));
            return Controls::default();
        };
        let is_available = held.is_available();
        let controls = held.controls;
        if !is_available {
            let mut finding = Finding::of(Reason::ControlNotBuilt).with("grade", grade.to_string());
            if let Some(control) = controls.unavailable.iter().next() {
                finding = finding.with("control", control.clone());
            }
            refused.push(finding.help(
                "ask without the columns of this grade; differential privacy needs a `privacy_budget` in every policy that matches",
                "请避免使用该级别的字段；差分隐私需要每份适用的策略都有 `privacy_budget`",
            ));
        }
        if controls.dominance.is_none()
            && !is_private
            && functions.iter().any(|function| adds_up(*function))
            && grade > Level(1)
        {
            refused.push(Finding::of(Reason::SumsWithoutDominance).with("control", "dominance"));
        }
        controls
    }

    /// Builds the stage: a plan that ends in one fold for each class of subjects, and the numbers that its controls
    /// need.
    ///
    /// Subjects are counted by hidden keys, for each class apart: with residents alone counted, the many residents of
    /// one firm would be released. Rows without a subject are left out, so that nobody fills a group up to the
    /// threshold (`sandbox/docs/disclosure-model.md`, section 5.2).
    #[expect(clippy::too_many_arguments, reason = "one call puts the parts of a stage together")]
    fn stage(
        &mut self,
        source_rows: SourceRows,
        group: Vec<Expr>,
        (atoms, chosen): (&[Atom], &[bool]),
        rows_atom: usize,
        columns: Vec<ReleasedColumn>,
        (controls, privacy): (&Controls, Option<StagePrivacy>),
        grade: Level,
        schema: &Arc<DFSchema>,
    ) -> Result<Stage, Refused> {
        let name = format!("__stage_{}", self.stages.len());
        let keys: Vec<KeyColumn> = (0..group.len())
            .map(|index| KeyColumn {
                name: format!("k{index}"),
                data_type: schema.field(index).data_type().clone(),
            })
            .collect();
        let specs: Vec<AtomSpec> = atoms
            .iter()
            .map(|atom| specification(atom, &source_rows.bases))
            .collect::<Option<_>>()
            .ok_or_else(internal)?;
        let mut folds = Vec::with_capacity(source_rows.classes.len());
        let mut classes = Vec::with_capacity(source_rows.classes.len());
        let single = source_rows.classes.len() == 1;
        // No control asks how many subjects there are beyond the threshold, or how large the largest contributions are.
        let threshold_only = controls.dominance.is_none()
            && controls.perturbation.is_none()
            && !columns.iter().any(|column| matches!(column.formula, Formula::Subjects { .. }));
        let mut builder = LogicalPlanBuilder::from(source_rows.plan.clone());
        for (index, class) in source_rows.classes.iter().enumerate() {
            if class.optional {
                builder = builder
                    .filter(Expr::IsNotNull(Box::new(base_column(&class.column))))
                    .map_err(not_built)?;
            }
            let clustered = single && class.clustered && !class.one_row && privacy.is_none();
            let subjects = match (class.one_row && privacy.is_none(), clustered) {
                (true, _) => Subjects::EachRow,
                (false, true) => Subjects::Clustered,
                (false, false) => Subjects::Mapped,
            };
            let cells = format!("c{index}");
            let subject = if subjects == Subjects::EachRow {
                Expr::Literal(ScalarValue::Int64(Some(0)), None)
            } else {
                base_column(&class.column)
            };
            let subjects_min =
                class.kind.as_ref().map_or(controls.subjects_min.max(1), |kind| controls.subjects_min(kind));
            // Keys alone need no more than the threshold, and need not remember every subject for it.
            let (fold, args) = if privacy.is_some() {
                let args = std::iter::once(subject).chain(atoms.iter().flat_map(arguments)).collect();
                (AggregateUDF::new_from_impl(CellFold::by_subject(specs.clone())), args)
            } else if columns.is_empty() && controls.perturbation.is_none() && subjects == Subjects::Mapped {
                (at_least_subjects(subjects_min), vec![subject])
            } else {
                let args = std::iter::once(subject).chain(atoms.iter().flat_map(arguments)).collect();
                let enough = threshold_only.then_some(u64::from(subjects_min));
                (AggregateUDF::new_from_impl(CellFold::new(subjects, specs.clone(), enough)), args)
            };
            let fold = AggregateFunction::new_udf(Arc::new(fold), args, false, None, Vec::new(), None);
            folds.push(Expr::AggregateFunction(fold).alias(&cells));
            classes.push(StageClass { unit: class.kind.clone(), subjects_min, cells, clustered });
        }
        let expressions = group.clone();
        let group = group.into_iter().zip(&keys).map(|(expr, key)| expr.alias(&key.name)).collect::<Vec<_>>();
        let plan = builder.aggregate(group, folds).and_then(LogicalPlanBuilder::build).map_err(not_built)?;
        let names = match controls.perturbation {
            Some(_) => {
                let boundary =
                    Boundary { rows: &source_rows, group: &expressions, keys: &keys, atoms, specs: &specs };
                Some(Arc::new(cell_names(&boundary, self.policy, self.review.budget)?))
            }
            None => None,
        };
        let atoms = atoms
            .iter()
            .zip(&specs)
            .zip(chosen)
            .map(|((atom, spec), is_chosen)| match privacy {
                None => stage_atom(atom, spec, *is_chosen, &source_rows.bases),
                Some(_) => unrounded(spec),
            })
            .collect();
        let controls = StageControls {
            grade,
            dominance: controls.dominance,
            rounding: controls.rounding,
            perturbation: controls.perturbation,
            cells_max: controls.cells_max,
            review: controls.review,
            privacy,
        };
        Ok(Stage { name, plan, keys, classes, atoms, rows_atom, columns, controls, names })
    }
}

/// True if a function is made of sums of a measure.
fn adds_up(function: Function) -> bool {
    match function {
        Function::Sum
        | Function::Avg
        | Function::Stddev
        | Function::Var
        | Function::Covar
        | Function::Corr
        | Function::Regr => true,
        Function::Count
        | Function::CountDistinct
        | Function::Min
        | Function::Max
        | Function::Median
        | Function::Quantile
        | Function::BoolAnd
        | Function::BoolOr => false,
    }
}

/// The functions of a policy that allow one over a subject's own rows: itself, and those that tell more.
///
/// A policy that releases sums or means gives away more than the least and the largest value of a subject, which are
/// only compared here. A count of rows under a condition tells if some or all fulfil it. A median is one of the quantiles
/// (`sandbox/docs/disclosure-model.md`, section 4.9).
fn covered_by(function: Function) -> impl Iterator<Item = Function> {
    let more: &[Function] = match function {
        Function::Min | Function::Max => &[Function::Sum, Function::Avg],
        Function::BoolAnd | Function::BoolOr => &[Function::Count],
        Function::Median => &[Function::Quantile],
        // Each is the root or the square of the other.
        Function::Stddev => &[Function::Var],
        Function::Var => &[Function::Stddev],
        Function::Count
        | Function::CountDistinct
        | Function::Sum
        | Function::Avg
        | Function::Quantile
        | Function::Covar
        | Function::Corr
        | Function::Regr => &[],
    };
    std::iter::once(function).chain(more.iter().copied())
}

/// The released table in the place of the aggregate, under the names that the SQL sees.
///
/// Its keys are unique, because the control step refuses two rows of one group, and its columns are the stage's own.
/// All that was read to make it goes with it, because by that it chooses the individuals whom it meets
/// (`sandbox/docs/disclosure-model.md`, section 4.6).
fn released(
    stage: &Stage,
    columns: BTreeMap<String, Arc<ReleasedColumnFacts>>,
    schema: &Arc<DFSchema>,
    read: Read,
) -> Result<ReleasedPlan, Refused> {
    let keys = stage.keys.iter().map(|key| Field::new(&key.name, key.data_type.clone(), true));
    let values = stage.columns.iter().map(|column| Field::new(&column.name, column.data_type.clone(), true));
    let fields: Vec<Field> = keys.chain(values).collect();
    let names: Vec<String> = fields.iter().map(|field| field.name().clone()).collect();
    let source = ReleasedSource { schema: Arc::new(Schema::new(fields)), columns };
    let projection: Vec<Expr> = names
        .iter()
        .zip(schema.iter())
        .map(|(name, (qualifier, field))| {
            Expr::Column(datafusion_common::Column::new(Some(stage.name.clone()), name))
                .alias_qualified(qualifier.cloned(), field.name())
        })
        .collect();
    let plan = LogicalPlanBuilder::scan(stage.name.clone(), Arc::new(source), None)
        .and_then(|builder| builder.project(projection))
        .and_then(LogicalPlanBuilder::build)
        .map_err(not_built)?;
    let width = schema.fields().len();
    let keys = stage.keys.len();
    Ok(ReleasedPlan { plan, unique: BTreeSet::from([(0..keys).collect()]), bare: (0..width).collect(), read })
}

/// The facts of each column of a stage, for individuals that it meets later.
///
/// A mean keeps the conditions of its rows and the columns of its keys, so that a measure is compared with the mean of
/// its own group and of no finer one. All other columns are `Other`: a number that the analyst can make to order would
/// cut a measure between two edges (`sandbox/docs/disclosure-model.md`, section 4.6).
fn facts(
    exprs: &[Expr],
    columns: &[ReleasedColumn],
    atoms: &[Atom],
    source_rows: &SourceRows,
) -> BTreeMap<String, Arc<ReleasedColumnFacts>> {
    let source = |key: &Expr| {
        let column = bare_column(&source_rows.bases, key)?;
        source_rows.base(column).and_then(ColumnFacts::source)
    };
    let keys: BTreeMap<String, Option<SourceColumn>> =
        exprs.iter().enumerate().map(|(index, key)| (format!("k{index}"), source(key))).collect();
    let counted = |key: &Expr| {
        let base = source_rows.base(bare_column(&source_rows.bases, key)?)?;
        base.range.map(|(_, most)| most).filter(|_| base.kind == ColumnKind::SubjectCount)
    };
    let of_keys = keys.iter().zip(exprs).map(|((name, source), key)| {
        let (name, source, top_coded_at) = (name.clone(), source.clone(), counted(key));
        (name.clone(), ReleasedColumnFacts::Key { name, source, top_coded_at })
    });
    let of_columns = columns.iter().map(|column| {
        let facts = match benchmark_of(column, atoms, &source_rows.bases) {
            Some((of, scan)) => {
                let conditions = source_rows.conditions.iter();
                let of_scan = |known: &RowCondition| (known.scan == Some(scan)).then(|| known.text.clone());
                let conditions = conditions.map(of_scan).collect();
                ReleasedColumnFacts::Benchmark { of, conditions, keys: keys.clone(), met_by: BTreeSet::new() }
            }
            None => ReleasedColumnFacts::Other,
        };
        (column.name.clone(), facts)
    });
    of_keys.chain(of_columns).map(|(name, facts)| (name, Arc::new(facts))).collect()
}

/// The measure that a column is the mean of as it is, and the scan that read it: no factor, no condition of its own,
/// nothing counted or read from an open table.
///
/// Any other number can be chosen: `salary >= (SELECT AVG(20001) FROM persons)` is a literal off its edges, and so is
/// the mean of `CASE WHEN age >= 30 THEN salary ELSE 0 END` (`sandbox/docs/disclosure-model.md`, section 4.6).
fn benchmark_of(
    column: &ReleasedColumn,
    atoms: &[Atom],
    bases: &BTreeMap<String, ColumnFacts>,
) -> Option<(SourceColumn, usize)> {
    let Formula::Mean { parts, count, .. } = &column.formula else { return None };
    let [part] = parts.as_slice() else { return None };
    let [term] = part.as_slice() else { return None };
    let Atom { quantity: Quantity::Measure(name), condition: None } = atoms.get(term.atom)? else {
        return None;
    };
    let present = Some(Expr::IsNotNull(Box::new(base_column(name))));
    let is_whole = (term.factor - 1.0).abs() < f64::EPSILON
        && atoms.get(*count).is_some_and(|atom| atom.condition == present);
    let base = bases.get(name).filter(|base| base.is_measure() && !base.open)?;
    base.source().zip(base.scan).filter(|_| is_whole)
}

/// The arguments that the fold takes for an atom.
///
/// The atom's condition stands around its value. So a subject that does not meet it contributes nothing and is no
/// contributor: in `SUM(salary) FILTER (WHERE zip = '9999')` the threshold counts the residents of that zip alone
/// (`sandbox/docs/disclosure-model.md`, section 5.1).
fn arguments(atom: &Atom) -> Vec<Expr> {
    let guarded = |value: Expr| under(atom.condition.clone(), value);
    match &atom.quantity {
        Quantity::Rows => atom.condition.clone().into_iter().collect(),
        Quantity::Measure(column) => vec![guarded(base_column(column))],
        Quantity::Product(left, right) => vec![guarded(base_column(left)), base_column(right)],
    }
}

/// The form in which the fold keeps an atom; nothing without a declared range.
///
/// A measure without a range could not be clamped, and its rounding, which goes by the range, would hide nothing
/// (`sandbox/docs/disclosure-model.md`, section 5.4).
pub(super) fn specification(atom: &Atom, bases: &BTreeMap<String, ColumnFacts>) -> Option<AtomSpec> {
    Some(match &atom.quantity {
        Quantity::Rows => AtomSpec::Rows { conditional: atom.condition.is_some() },
        Quantity::Measure(column) => AtomSpec::Measure(measure(bases.get(column)?)?),
        Quantity::Product(left, right) => {
            AtomSpec::Product(measure(bases.get(left)?)?, measure(bases.get(right)?)?)
        }
    })
}

/// The range and the decimal places that a measure is added up in; nothing without a declared range.
///
/// Each row's contribution is clamped to the range: a value beyond it would show through a rounding that goes by the
/// range (`sandbox/docs/disclosure-model.md`, section 5.2).
fn measure(base: &ColumnFacts) -> Option<MeasureSpec> {
    let (low, high) = base.range?;
    let scale = scale_of(base);
    Some(MeasureSpec { scale, low: low.to_scaled(scale)?, high: high.to_scaled(scale)? })
}

/// Whole numbers keep no decimal places; decimals keep their own; floating point keeps four at the most.
///
/// So sums run in whole numbers, which come to the same in any order of the rows: sums of floating point would differ
/// from one run of a question to the next (`sandbox/docs/disclosure-model.md`, section 6).
fn scale_of(base: &ColumnFacts) -> u8 {
    #[expect(clippy::wildcard_enum_match_arm, reason = "other numeric types are read as floating point")]
    match &base.data_type {
        DataType::Int64 => 0,
        DataType::Decimal128(_, scale) => u8::try_from(*scale).unwrap_or(0).min(6),
        _ => base.scale.clamp(0, FLOAT_SCALE).max(if matches!(base.kind, ColumnKind::SubjectMeasure) {
            FLOAT_SCALE
        } else {
            base.scale.min(FLOAT_SCALE)
        }),
    }
}

/// Ranges no wider than this are shares, marks and yes or no: what they add up to is a count in disguise.
const FEW_VALUES: Fixed = Fixed::from_micros(10_000_000);

/// The columns that an atom adds up, both of a product: rows chosen by either may hold one value of it
/// (`sandbox/docs/disclosure-model.md`, section 5.6).
fn added_up<'b>(
    atom: &'b Atom,
    bases: &'b BTreeMap<String, ColumnFacts>,
) -> impl Iterator<Item = (&'b String, &'b ColumnFacts)> {
    let columns = atom.quantity.columns();
    columns.into_iter().filter_map(|column| Some((column, bases.get(column)?)))
}

/// True if rows were chosen by what an atom adds up.
///
/// Where all rows have the same value, a sum is their exact number times that value, which the rounded count hides:
/// `AVG(n) ... WHERE n IN (1, 10)` is the share of the tens, and `SUM(n) ... GROUP BY n` a count times n. A measure is
/// cut at the edges of its bins, so that it differs within them, unless they are so fine that they hold a few values
/// each (`SUM(nights) ... WHERE nights >= 2 AND nights < 3`) (`sandbox/docs/disclosure-model.md`, section 5.6).
fn is_chosen(atom: &Atom, bases: &BTreeMap<String, ColumnFacts>, compared: &Compared) -> bool {
    added_up(atom, bases).any(|(name, base)| match base.kind {
        ColumnKind::SubjectCount => compared.counts,
        ColumnKind::SubjectMeasure => compared.counts && has_fine_bins(base),
        ColumnKind::Declared(_) if !base.is_measure() || has_fine_bins(base) => {
            // A union hides which columns the rows of its parts were chosen by.
            let is_united = base.dataset.is_none() && base.between.is_none() && compared.joined;
            is_united || compared.columns.contains(&base.compared_name(name))
        }
        ColumnKind::Declared(_)
        | ColumnKind::Derived
        | ColumnKind::Released { .. }
        | ColumnKind::UnitKey { .. } => false,
    })
}

/// True if a bin holds so few values that to cut at its edges is to choose one of them.
///
/// `nights >= 2 AND nights < 3` leaves rows of one value, whose sum is a count that was not rounded as one
/// (`sandbox/docs/disclosure-model.md`, section 5.6).
fn has_fine_bins(base: &ColumnFacts) -> bool {
    let few = grain(&base.data_type).and_then(|grain| grain.checked_mul_i64(BIN_VALUES_FEW));
    base.bins.zip(few).is_some_and(|(bins, few)| bins <= few)
}

/// The time between two dates that an atom adds up over rows that may have been chosen by it: by the time itself, by
/// both dates, or by rows of another relation.
///
/// Rows chosen by both dates, as `hire = DATE '2000-01-01' AND birth >= DATE '1970-01-01'`, are chosen by the time
/// between them: it can be made the same in all, and its mean then tells how many rows there are
/// (`sandbox/docs/disclosure-model.md`, section 5.6).
fn lies_between_chosen<'b>(
    atom: &'b Atom,
    bases: &'b BTreeMap<String, ColumnFacts>,
    compared: &Compared,
) -> Option<&'b ColumnFacts> {
    let is_compared = |column: &String| compared.columns.contains(column);
    let (_, base) = added_up(atom, bases).find(|(_, base)| {
        let dates = base.between.as_ref();
        dates.is_some_and(|dates| compared.joined || compared.counts || dates.iter().all(is_compared))
    })?;
    Some(base)
}

/// The refusal of a mean of times between dates that rows were, or may have been, chosen by.
///
/// Such a mean tells the number of rows more closely than the rounded count does
/// (`sandbox/docs/disclosure-model.md`, section 5.6).
fn chosen_between(base: &ColumnFacts) -> Finding {
    Finding::of(Reason::MeanOfChosenTimes).with("column", base.name.clone()).help(
        "the time between two dates has a mean over rows of one table, chosen and grouped by one of the dates at the most: else group by the time and count",
        "两个日期之间的时长仅在单表中、且至多按其中一个日期筛选或分组时可求平均值：否则请按时长分组计数",
    )
}

/// Says how an atom is rounded: as a count, by the width of its range, or as a count times its largest value.
///
/// A sum of counts over everybody is a count. A sum over rows that were chosen by what it adds up is a count in
/// disguise: rounded by its range alone, `SUM(n) ... GROUP BY n` would tell the exact number of people
/// (`sandbox/docs/disclosure-model.md`, section 5.6).
fn stage_atom(
    atom: &Atom,
    spec: &AtomSpec,
    is_chosen: bool,
    bases: &BTreeMap<String, ColumnFacts>,
) -> StageAtom {
    let range = |column: &String| bases.get(column).and_then(|base| base.range);
    let counted = |scale: u8| StageAtom { counts: true, scale, width: Fixed::ZERO, few: None, same: None };
    // A masked value, and one without bins, may be the same in many rows.
    let may_be_same = !added_up(atom, bases).any(|(_, base)| base.mask.is_none() && base.is_measure());
    let measured = |range, scale| measured(range, scale, is_chosen, may_be_same);
    match (&atom.quantity, spec) {
        // Counts over subjects' own rows add up to a count.
        (Quantity::Measure(column), AtomSpec::Measure(measure))
            if !is_chosen && bases.get(column).is_some_and(|base| base.kind == ColumnKind::SubjectCount) =>
        {
            counted(measure.scale)
        }
        (Quantity::Measure(column), AtomSpec::Measure(measure)) => measured(range(column), measure.scale),
        (Quantity::Product(left, right), AtomSpec::Product(a, b)) => {
            measured(product(range(left), range(right)), a.scale + b.scale)
        }
        _ => counted(0),
    }
}

/// An atom whose numbers are not rounded, because they have the noise of differential privacy.
fn unrounded(spec: &AtomSpec) -> StageAtom {
    let (counts, scale) = match spec {
        AtomSpec::Rows { .. } => (true, 0),
        AtomSpec::Measure(measure) => (false, measure.scale),
        AtomSpec::Product(left, right) => (false, left.scale + right.scale),
    };
    StageAtom { counts, scale, width: Fixed::ZERO, few: None, same: None }
}

/// The rounding of a sum of measures, by the width of its range and by its largest value.
///
/// `few` stands for a count in disguise: the sum is then rounded to the base of counts times the largest value, so that
/// it tells the number of rows no better than a count. `same` does so for values that may be the same in many rows
/// (`sandbox/docs/disclosure-model.md`, section 5.6).
fn measured(range: Option<(Fixed, Fixed)>, scale: u8, is_chosen: bool, may_be_same: bool) -> StageAtom {
    let (low, high) = range.unwrap_or((Fixed::ZERO, Fixed::ZERO));
    let width = high.checked_sub(low).unwrap_or(Fixed::ZERO);
    let largest = [low, high].into_iter().filter_map(Fixed::checked_abs).max();
    let few = largest.filter(|_| is_chosen || width <= FEW_VALUES);
    StageAtom { counts: false, scale, width, few, same: largest.filter(|_| may_be_same) }
}

/// The range of a product of two measures, from its four corners.
///
/// A narrower range would clamp real contributions, and make the rounding finer than the values are wide
/// (`sandbox/docs/disclosure-model.md`, section 5.4).
fn product(left: Option<(Fixed, Fixed)>, right: Option<(Fixed, Fixed)>) -> Option<(Fixed, Fixed)> {
    let (left, right) = (left?, right?);
    let corner = |a: Fixed, b: Fixed| Fixed::from_f64(a.to_f64() * b.to_f64());
    let corners = [
        corner(left.0, right.0)?,
        corner(left.0, right.1)?,
        corner(left.1, right.0)?,
        corner(left.1, right.1)?,
    ];
    Some((corners.into_iter().min()?, corners.into_iter().max()?))
}

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
use datafusion_expr::LogicalPlan;
use datafusion_expr::LogicalPlanBuilder;
use datafusion_expr::expr::AggregateFunction;
use obscura_policies::effective::Controls;
use obscura_policies::vocabulary::Function;
use obscura_policies::vocabulary::Level;
use obscura_policies::vocabulary::UnitKind;

use crate::at_least::at_least_subjects;
use crate::atoms::Atom;
use crate::atoms::Normaliser;
use crate::atoms::Quantity;
use crate::catalog::ReleasedSource;
use crate::cell::AtomSpec;
use crate::cell::CellFold;
use crate::cell::Subjects;
use crate::column::bare_column;
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
use crate::plan::KeySet;
use crate::plan::ReleasedColumn;
use crate::plan::Stage;
use crate::plan::StageAtom;
use crate::plan::StageClass;
use crate::plan::StageControls;
use crate::reason::Reason;
use crate::source_rows::Class;
use crate::source_rows::Read;
use crate::source_rows::SourceRows;
use crate::source_rows::Taint;

use super::ZonePass;
use super::base::Known;
use super::grouped::Grouped;
use super::numbers::arguments;
use super::numbers::chosen_between;
use super::numbers::is_chosen;
use super::numbers::lies_between_chosen;
use super::numbers::specification;
use super::numbers::stage_atom;
use super::numbers::unrounded;
use super::released::ReleasedPlan;
use crate::finding::internal;
use crate::finding::not_built;
use crate::naming::Boundary;
use crate::naming::cell_names;

impl ZonePass<'_> {
    /// An aggregate whose groups hold several subjects: each becomes cells, which pass their controls before anything
    /// reads them (`sandbox/docs/disclosure-model.md`, section 5).
    pub(super) fn boundary(
        &mut self,
        source_rows: SourceRows,
        keys: &[Expr],
        calls: &[Expr],
        schema: &Arc<DFSchema>,
    ) -> Result<ReleasedPlan, Refused> {
        self.within_limits(1, keys.len())?;
        if keys.len() + calls.len() != schema.fields().len() {
            return Err(internal());
        }
        let types: Vec<DataType> = schema.fields().iter().map(|field| field.data_type().clone()).collect();
        let (key_types, types) = types.split_at(keys.len());
        let grouped = self.grouped(source_rows, keys, calls, (key_types, types))?;
        let all: Vec<usize> = (0..keys.len()).collect();
        let stage = self.stage_after_bases(&grouped, &all, None, &mut Known::new())?;
        let open = released(&stage, grouped.facts(&all), schema, grouped.read)?;
        self.stages.push(stage);
        Ok(open)
    }

    /// The keys and calls of a boundary, once they have passed the rules.
    ///
    /// Every way from individuals to a result leads through here, so that all that was read below counts together. Each
    /// further comparison narrows a group until it describes one person, and many literals are a subset chosen at will,
    /// from which a table can be reconstructed (Dinur and Nissim 2003): both are bounded
    /// (`sandbox/docs/disclosure-model.md`, section 4.3).
    pub(super) fn grouped(
        &mut self,
        source_rows: SourceRows,
        keys: &[Expr],
        calls: &[Expr],
        (key_types, types): (&[DataType], &[DataType]),
    ) -> Result<Grouped, Refused> {
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
        let (mut atoms, functions) = (normaliser.atoms, normaliser.functions);
        let controls = self.controls(&source_rows, grade, &functions, privacy.is_some(), &mut refused);
        let least = |class: &Class| subjects_min(&controls, class.kind.as_ref());
        // What differential privacy releases depends on no exact number, that of a base neither. Where one subject is enough to be seen
        // nobody is to be told apart from others.
        let is_held = privacy.is_none() && source_rows.classes.iter().any(|class| least(class) > 1);
        let bases = if is_held { self.bases(&source_rows, &group, &mut atoms) } else { Ok(None) };
        let bases = bases.unwrap_or_else(|findings| {
            refused.extend(findings);
            None
        });
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
        Refused::if_any(refused)?;
        let columns: Vec<ReleasedColumn> = formulas
            .into_iter()
            .zip(types)
            .enumerate()
            .map(|(index, (formula, data_type))| ReleasedColumn {
                name: format!("a{index}"),
                data_type: data_type.clone(),
                formula,
            })
            .collect();
        let specs: Vec<AtomSpec> = atoms
            .iter()
            .map(|atom| specification(atom, &source_rows.bases))
            .collect::<Option<_>>()
            .ok_or_else(internal)?;
        let (keys, key_types) = (keys.to_vec(), key_types.to_vec());
        Ok(Grouped {
            source_rows,
            keys,
            key_types,
            group,
            atoms,
            specs,
            chosen,
            rows_atom,
            columns,
            controls,
            privacy,
            bases,
            is_base: false,
            read,
        })
    }

    /// Bounds the boundaries of one statement and the keys of one boundary.
    ///
    /// The numbers of two aggregations can be set against one another, as `SUM(salary)` with and without one zip. With
    /// each further key groups become smaller, until each describes one person
    /// (`sandbox/docs/disclosure-model.md`, section 3). Each set of keys of a GROUP BY is an aggregation of its own.
    pub(super) fn within_limits(&self, boundaries: usize, keys: usize) -> Result<(), Refused> {
        let known = self.stages.iter().filter(|stage| !stage.is_base).count();
        if known.saturating_add(boundaries) > BOUNDARIES_MAX {
            return Err(too_large(
                Reason::TooManyAggregations,
                "boundaries",
                format!(
                    "at most {BOUNDARIES_MAX} aggregations over individuals; each set of keys of GROUPING SETS, ROLLUP or CUBE is one, and all keys together are one more where no set has them"
                ),
                format!(
                    "针对个体的聚合不超过 {BOUNDARIES_MAX} 个；GROUPING SETS、ROLLUP 或 CUBE 的每个分组集算一个，若没有分组集包含全部字段，则再加一个"
                ),
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

    /// Builds the stage of some of the keys: a plan that ends in one fold for each class of subjects, and the numbers that
    /// its controls need.
    ///
    /// Subjects are counted by hidden keys, for each class apart: with residents alone counted, the many residents of
    /// one firm would be released. Rows without a subject are left out, so that nobody fills a group up to the
    /// threshold (`sandbox/docs/disclosure-model.md`, section 5.2).
    pub(super) fn stage(
        &mut self,
        grouped: &Grouped,
        positions: &[usize],
        set: Option<KeySet>,
    ) -> Result<Stage, Refused> {
        let Grouped { source_rows, atoms, specs, columns, controls, privacy, .. } = grouped;
        let name = format!("__stage_{}", self.stages.len());
        let group = grouped.at(positions, &grouped.group);
        let types = grouped.at(positions, &grouped.key_types);
        let keys: Vec<KeyColumn> = types
            .into_iter()
            .enumerate()
            .map(|(index, data_type)| KeyColumn { name: format!("k{index}"), data_type })
            .collect();
        let mut folds = Vec::with_capacity(source_rows.classes.len());
        let mut classes = Vec::with_capacity(source_rows.classes.len());
        let single = source_rows.classes.len() == 1;
        let bases = grouped.bases_of(positions);
        let homogeneity = bases.iter().any(Option::is_some);
        let is_compared = grouped.is_base || homogeneity;
        // No control asks how many subjects there are beyond the threshold, or how large the largest contributions are.
        let threshold_only = controls.dominance.is_none()
            && controls.perturbation.is_none()
            && !is_compared
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
            let subjects_min = subjects_min(controls, class.kind.as_ref());
            // Keys alone need no more than the threshold, and need not remember every subject for it.
            let (fold, args) = if privacy.is_some() {
                let args = std::iter::once(subject).chain(atoms.iter().flat_map(arguments)).collect();
                (AggregateUDF::new_from_impl(CellFold::by_subject(specs.clone())), args)
            } else if columns.is_empty()
                && controls.perturbation.is_none()
                && subjects == Subjects::Mapped
                && !is_compared
            {
                (at_least_subjects(subjects_min), vec![subject])
            } else {
                let args = std::iter::once(subject).chain(atoms.iter().flat_map(arguments)).collect();
                let enough = threshold_only.then_some(u64::from(subjects_min));
                (AggregateUDF::new_from_impl(CellFold::new(subjects, specs.clone(), enough)), args)
            };
            let fold = AggregateFunction::new_udf(Arc::new(fold), args, false, None, Vec::new(), None);
            folds.push(Expr::AggregateFunction(fold).alias(&cells));
            let (unit, one_row) = (class.kind.clone(), class.one_row);
            classes.push(StageClass { unit, subjects_min, cells, clustered, one_row });
        }
        let expressions = group.clone();
        let group = group.into_iter().zip(&keys).map(|(expr, key)| expr.alias(&key.name)).collect::<Vec<_>>();
        let plan = builder.aggregate(group, folds).and_then(LogicalPlanBuilder::build).map_err(not_built)?;
        let names = match controls.perturbation {
            Some(_) => {
                let boundary = Boundary { rows: source_rows, group: &expressions, keys: &keys, atoms, specs };
                Some(Arc::new(cell_names(&boundary, self.policy, self.review.budget)?))
            }
            None => None,
        };
        let atoms = atoms
            .iter()
            .zip(specs)
            .zip(&grouped.chosen)
            .zip(bases)
            .map(|(((atom, spec), is_chosen), base)| match privacy {
                None => StageAtom { base, ..stage_atom(atom, spec, *is_chosen, &source_rows.bases) },
                Some(_) => unrounded(spec),
            })
            .collect();
        let controls = StageControls {
            grade: grouped.read.grade,
            dominance: controls.dominance,
            rounding: controls.rounding,
            perturbation: controls.perturbation,
            cells_max: controls.cells_max,
            homogeneity,
            complementary: set.is_some() && controls.perturbation.is_none() && !columns.is_empty(),
            review: controls.review,
            privacy: privacy.clone(),
        };
        let (rows_atom, columns) = (grouped.rows_atom, columns.clone());
        let (base, is_base) = (None, grouped.is_base);
        Ok(Stage {
            name,
            plan,
            keys,
            classes,
            atoms,
            rows_atom,
            columns,
            controls,
            names,
            set,
            base,
            is_base,
        })
    }
}

impl Grouped {
    /// The facts of each column of a stage of some of the keys, for individuals that it meets later.
    pub(super) fn facts(&self, positions: &[usize]) -> BTreeMap<String, Arc<ReleasedColumnFacts>> {
        facts(&self.at(positions, &self.keys), &self.columns, &self.atoms, &self.source_rows)
    }
}

/// The subjects of a kind that a cell must rest on.
fn subjects_min(controls: &Controls, kind: Option<&UnitKind>) -> u32 {
    kind.map_or(controls.subjects_min.max(1), |kind| controls.subjects_min(kind))
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
    let table = released_table(stage, columns)?;
    let projection: Vec<Expr> = table
        .schema()
        .columns()
        .into_iter()
        .zip(schema.iter())
        .map(|(column, (qualifier, field))| {
            Expr::Column(column).alias_qualified(qualifier.cloned(), field.name())
        })
        .collect();
    let plan = LogicalPlanBuilder::from(table)
        .project(projection)
        .and_then(LogicalPlanBuilder::build)
        .map_err(not_built)?;
    let width = schema.fields().len();
    let keys = stage.keys.len();
    Ok(ReleasedPlan { plan, unique: BTreeSet::from([(0..keys).collect()]), bare: (0..width).collect(), read })
}

/// A scan of what a stage releases: its keys, then its values.
pub(super) fn released_table(
    stage: &Stage,
    columns: BTreeMap<String, Arc<ReleasedColumnFacts>>,
) -> Result<LogicalPlan, Refused> {
    let keys = stage.keys.iter().map(|key| Field::new(&key.name, key.data_type.clone(), true));
    let values = stage.columns.iter().map(|column| Field::new(&column.name, column.data_type.clone(), true));
    let schema = Arc::new(Schema::new(keys.chain(values).collect::<Vec<Field>>()));
    let source = ReleasedSource { schema, columns };
    LogicalPlanBuilder::scan(stage.name.clone(), Arc::new(source), None)
        .and_then(LogicalPlanBuilder::build)
        .map_err(not_built)
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

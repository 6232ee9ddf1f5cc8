//! UNION ALL of individuals with the same units: an OR over rows, one class of subjects.
//! Measures must be base columns in every branch; a literal may only stand where a key stands.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion_expr::Expr;
use datafusion_expr::LogicalPlan;
use datafusion_expr::LogicalPlanBuilder;
use datafusion_expr::Union;
use obscura_policies::vocabulary::Level;
use obscura_policies::vocabulary::Use;

use crate::column::bare_column;
use crate::column_facts::ColumnFacts;
use crate::column_facts::ColumnKind;
use crate::column_facts::Conditions;
use crate::column_facts::RowCondition;
use crate::column_facts::base_column;
use crate::constant::is_constant;
use crate::finding::Finding;
use crate::finding::Refused;
use crate::finding::first_span;
use crate::source_rows::Class;
use crate::source_rows::Multiplicity;
use crate::source_rows::SourceRows;
use crate::source_rows::Taint;
use crate::source_rows::Unique;

use super::Zone;
use super::ZonePass;
use super::released::of_open_tables;
use crate::finding::internal;
use crate::finding::not_built;
use crate::reason::Reason;

impl ZonePass<'_> {
    /// The zone of a union: of individuals, or of released values and open tables.
    ///
    /// Rows of a table beside rows of people are no subject's, and would fill up groups to the threshold
    /// (`sandbox/docs/disclosure-model.md`, section 4.8).
    pub(super) fn union(&mut self, plan: &LogicalPlan, union: &Union) -> Result<Zone, Refused> {
        let (mut individuals, mut released) = (Vec::new(), Vec::new());
        for input in &union.inputs {
            match self.zone(input)? {
                Zone::Individual(rows) => individuals.push(*rows),
                Zone::Public(rows) => released.push(of_open_tables(*rows)?),
                Zone::Released(input) => released.push(input),
            }
        }
        match (individuals.is_empty(), released.is_empty()) {
            (true, _) => self.rebuild(plan, released).map(Zone::Released),
            (false, true) => self.one_class(individuals, union).map(|rows| Zone::Individual(Box::new(rows))),
            (false, false) => Err(union_refusal(Reason::UnionWithTable).into()),
        }
    }

    /// Unites rows of individuals that carry the same units, each unit as one class.
    ///
    /// A threshold counts subjects of one kind, so that rows of other kinds have no place in it. The policies must
    /// agree as for a join, because a union puts rows about the same people together too
    /// (`sandbox/docs/disclosure-model.md`, section 4.8).
    fn one_class(&mut self, branches: Vec<SourceRows>, union: &Union) -> Result<SourceRows, Refused> {
        let instance = self.instance();
        let kinds = |source_rows: &SourceRows| {
            source_rows.classes.iter().map(|class| class.kind.clone()).collect::<Vec<_>>()
        };
        let first = branches.first().ok_or_else(internal)?;
        let units = kinds(first);
        let distinct = units.iter().collect::<BTreeSet<_>>().len() == units.len();
        if !distinct
            || units.contains(&None)
            || branches.iter().any(|source_rows| kinds(source_rows) != units)
        {
            return Err(union_refusal(Reason::UnionOfOtherSubjects).into());
        }
        for (index, left) in branches.iter().enumerate() {
            for right in branches.iter().skip(index + 1) {
                for kind in units.iter().flatten() {
                    self.datasets_agree(&left.taint, &right.taint, kind, None)?;
                }
            }
        }
        let hidden: Vec<String> = (0..units.len()).map(|index| format!("u{instance}__unit{index}")).collect();
        let mut bases: BTreeMap<String, ColumnFacts> = BTreeMap::new();
        for (name, class) in hidden.iter().zip(&first.classes) {
            let base = first.bases.get(&class.column).ok_or_else(internal)?;
            bases.insert(name.clone(), with_class(base, name));
        }
        let names: Vec<String> =
            (0..union.schema.fields().len()).map(|index| format!("u{instance}_{index}")).collect();
        for (index, name) in names.iter().enumerate() {
            bases.insert(name.clone(), self.position(&branches, index, &hidden, union)?);
        }
        // Two branches over one dataset may hold the same row: it would count as often as it is written.
        let multiplicity = united_rows(&branches, instance);
        for base in bases.values_mut() {
            base.copied_by.extend(multiplicity.copied_by.iter().copied());
        }
        let mut taint = Taint::none();
        let mut plans = Vec::with_capacity(branches.len());
        for source_rows in branches {
            taint.absorb(&source_rows.taint);
            taint.compared.joined = true;
            taint.literals += source_rows.outputs.iter().filter(|output| is_constant(output)).count();
            let units = source_rows
                .classes
                .iter()
                .zip(&hidden)
                .map(|(class, name)| base_column(&class.column).alias(name));
            let columns =
                source_rows.outputs.iter().zip(&names).map(|(output, name)| output.clone().alias(name));
            let projection: Vec<Expr> = units.chain(columns).collect();
            plans.push(Arc::new(
                LogicalPlanBuilder::from(source_rows.plan)
                    .project(projection)
                    .and_then(LogicalPlanBuilder::build)
                    .map_err(not_built)?,
            ));
        }
        let classes = units
            .into_iter()
            .zip(&hidden)
            .map(|(kind, column)| Class {
                kind,
                column: column.clone(),
                clustered: false,
                one_row: false,
                optional: false,
            })
            .collect();
        let plan = LogicalPlan::Union(Union::try_new_with_loose_types(plans).map_err(not_built)?);
        let outputs = names.iter().map(|name| base_column(name)).collect();
        Ok(SourceRows {
            plan,
            bases,
            schema: Arc::clone(&union.schema),
            outputs,
            classes,
            taint,
            unique: Unique::default(),
            multiplicity,
            conditions: Conditions::from([RowCondition::of_no_scan(format!("union {instance}"))]),
        })
    }

    /// The base column of one output position over all branches: of the same kind everywhere, or a key with literals.
    ///
    /// A measure in one branch and a dimension in another would lose the rules of both. A literal beside a column is a
    /// row that the analyst made up: `SELECT person_id, salary ... UNION ALL SELECT person_id, 0 ...` pads one person's
    /// salary with the zeros of others (`sandbox/docs/disclosure-model.md`, section 4.8).
    fn position(
        &self,
        branches: &[SourceRows],
        index: usize,
        hidden: &[String],
        union: &Union,
    ) -> Result<ColumnFacts, Refused> {
        let mut merged: Option<ColumnFacts> = None;
        let mut literals = false;
        for source_rows in branches {
            let output = source_rows.outputs.get(index).ok_or_else(internal)?;
            let refused =
                || union_refusal(Reason::UnionOfOtherColumns).at(first_span(self.review.sql, output));
            if self.review.constants.value(output)?.is_some() {
                literals = true;
                continue;
            }
            let base = bare_column(&source_rows.bases, output)
                .and_then(|column| source_rows.base(column))
                .ok_or_else(refused)?;
            let base = match &base.kind {
                ColumnKind::UnitKey { class, .. } => {
                    let position = source_rows
                        .classes
                        .iter()
                        .position(|known| known.column == *class)
                        .ok_or_else(internal)?;
                    with_class(base, hidden.get(position).ok_or_else(internal)?)
                }
                _ => base.clone(),
            };
            merged = Some(match merged {
                None => base,
                Some(known) => combine(known, &base).ok_or_else(refused)?,
            });
        }
        let base = match (merged, literals) {
            (Some(base), false) => base,
            // A union of more than two branches is one of unions.
            (Some(ColumnFacts { kind: ColumnKind::Derived, .. }), true) | (None, _) => derived_column(),
            (Some(_), true) => return Err(union_refusal(Reason::UnionWithLiteral).into()),
        };
        Ok(ColumnFacts {
            data_type: union.schema.field(index).data_type().clone(),
            dataset: None,
            scan: None,
            owners: hidden.iter().cloned().collect(),
            ..base
        })
    }
}

/// The rows of their sources that the branches' rows stand for together.
///
/// `x UNION ALL x WHERE day = 3` counts those of one day twice, and the difference to the plain total shows them. So
/// branches over one dataset are copies unless they are restricted to different literals of one column
/// (`sandbox/docs/disclosure-model.md`, section 4.8).
fn united_rows(branches: &[SourceRows], instance: usize) -> Multiplicity {
    let share = |left: &SourceRows, right: &SourceRows| {
        !left.taint.datasets.is_disjoint(&right.taint.datasets)
            && !left.multiplicity.is_disjoint(&right.multiplicity)
    };
    let shared = branches
        .iter()
        .enumerate()
        .any(|(index, left)| branches.iter().skip(index + 1).any(|right| share(left, right)));
    let copied_by =
        branches.iter().flat_map(|source_rows| source_rows.multiplicity.copied_by.iter().copied());
    let copied_by = copied_by.chain(shared.then_some(instance)).collect();
    let of_one_dataset =
        branches.windows(2).all(|pair| matches!(pair, [a, b] if a.taint.datasets == b.taint.datasets));
    let equalities = branches
        .iter()
        .map(|source_rows| source_rows.multiplicity.equalities.clone())
        .reduce(|left, right| {
            let (left, mut right) = (left?, right?);
            let both = left.into_iter().filter_map(|(column, values)| {
                let others = right.remove(&column)?;
                Some((column, values.union(&others).cloned().collect()))
            });
            Some(both.collect())
        })
        .flatten()
        .filter(|_| of_one_dataset);
    Multiplicity { copied_by, equalities }
}

/// The refusal of a union for the rule that its caller names (`sandbox/docs/disclosure-model.md`, section 4.8).
fn union_refusal(reason: Reason) -> Finding {
    Finding::of(reason).with("operation", "UNION").help(
        "aggregate each branch first, or unite bare columns of datasets with the same unit",
        "请先对各分支分别聚合，或只合并同一主体数据集的原始字段",
    )
}

/// The facts of a unit key that belongs to the class of the union: a person in two branches is counted once
/// (`sandbox/docs/disclosure-model.md`, section 4.8).
fn with_class(base: &ColumnFacts, hidden: &str) -> ColumnFacts {
    let kind = match &base.kind {
        ColumnKind::UnitKey { kind, .. } => {
            ColumnKind::UnitKey { kind: kind.clone(), class: hidden.to_owned() }
        }
        other => other.clone(),
    };
    ColumnFacts { kind, owners: BTreeSet::from([hidden.to_owned()]), ..base.clone() }
}

/// The stricter of two facts; `None` when they cannot share a position.
///
/// Only uses of both are left, and the stricter grade: a union of a column with a laxer one would otherwise open it.
/// Masks, bins and scales must be the same, because a comparison has one set of edges
/// (`sandbox/docs/disclosure-model.md`, section 4.8).
fn combine(left: ColumnFacts, right: &ColumnFacts) -> Option<ColumnFacts> {
    let same = left.kind == right.kind
        && left.mask == right.mask
        && left.bins == right.bins
        && left.scale == right.scale
        && left.coded == right.coded;
    if !same {
        return None;
    }
    let range = match (left.range, right.range) {
        (Some((low, high)), Some((other_low, other_high))) => {
            Some((low.min(other_low), high.max(other_high)))
        }
        _ => None,
    };
    let uses = left.uses.intersection(&right.uses).copied().collect();
    Some(ColumnFacts {
        range,
        uses,
        grade: left.grade.max(right.grade),
        optional: left.optional || right.optional,
        missing_by: None,
        copied_by: left.copied_by.union(&right.copied_by).copied().collect(),
        ..left
    })
}

/// A position that holds literals in every branch: a label.
///
/// It is grouped and compared with literals, and with no column: `WHERE cost = t` with the labels 33 and 34 would cut a
/// bin in two (`sandbox/docs/disclosure-model.md`, section 4.8).
fn derived_column() -> ColumnFacts {
    ColumnFacts::derived(
        "label",
        BTreeSet::from([Use::Group, Use::Filter]),
        Level(1),
        arrow::datatypes::DataType::Utf8,
    )
}

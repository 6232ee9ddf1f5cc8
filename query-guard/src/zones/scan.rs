//! Scans: row filters on raw values, then masks, hidden unit columns, and the facts every rule reads.
//! It decides what a scan is (open or individual); it does not judge what is done with it.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion_common::Column;
use datafusion_expr::Expr;
use datafusion_expr::LogicalPlan;
use datafusion_expr::LogicalPlanBuilder;
use datafusion_expr::TableScan;
use obscura_policies::effective::EffectiveColumn;
use obscura_policies::effective::EffectiveDataset;
use obscura_policies::effective::Intervals;
use obscura_policies::vocabulary::Level;
use obscura_policies::vocabulary::Release;

use crate::catalog::GrantedSource;
use crate::catalog::sealed_source;
use crate::column_facts::ColumnFacts;
use crate::column_facts::ColumnKind;
use crate::column_facts::Conditions;
use crate::column_facts::base_column;
use crate::domain::in_domain;
use crate::finding::Finding;
use crate::finding::Refused;
use crate::floor::is_open;
use crate::mask::masked;
use crate::reason::Reason;
use crate::row_filter::row_filter;
use crate::sealed_type::column_type;
use crate::source_rows::Class;
use crate::source_rows::Multiplicity;
use crate::source_rows::SourceRows;
use crate::source_rows::Taint;
use crate::source_rows::Unique;

use super::Zone;
use super::ZonePass;
use crate::finding::internal;
use crate::finding::not_built;

impl ZonePass<'_> {
    /// The zone of a dataset: rows of an open table, or individuals with hidden unit keys.
    ///
    /// A count alone tells who is in the dataset, so that every scan of individuals carries the grade of membership.
    /// Columns without a use are not there, and a dataset of which the policy releases nothing is refused, aggregates
    /// included (`sandbox/docs/disclosure-model.md`, section 4.1).
    pub(super) fn scan(&mut self, scan: &TableScan) -> Result<Zone, Refused> {
        let granted = scan.source.downcast_ref::<GrantedSource>().ok_or_else(internal)?;
        let dataset = self.policy.datasets.get(&granted.dataset).ok_or_else(internal)?;
        if dataset.release == Release::None {
            return Err(Finding::of(Reason::NothingReleased).with("dataset", dataset.id.sql_name()).into());
        }
        let visible: Vec<&EffectiveColumn> =
            dataset.columns.iter().filter(|column| !column.uses.is_empty()).collect();
        let open = is_open(dataset);
        let instance = self.instance();
        let mut bases = BTreeMap::new();
        let mut projection = Vec::new();
        let classes =
            if open { Vec::new() } else { hidden_units(dataset, instance, &mut bases, &mut projection) };
        let mut outputs = Vec::with_capacity(visible.len());
        for column in visible {
            let name = format!("s{instance}_{}", column.name);
            let value = in_domain(raw(&column.name), column, dataset, self.policy);
            projection.push(masked(value, column, dataset, self.review.constants.today).alias(&name));
            bases.insert(name.clone(), self.declared(column, dataset, instance, &classes, open));
            outputs.push(base_column(&name));
        }
        let mut taint = Taint::none();
        if !open {
            taint.datasets.insert(dataset.id.clone());
            taint.grade = dataset.membership;
        }
        let plan = self.raw_rows(dataset, open, &mut taint)?;
        let plan = LogicalPlanBuilder::from(plan)
            .project(projection)
            .and_then(LogicalPlanBuilder::build)
            .map_err(not_built)?;
        let unique = unique(dataset, instance);
        let schema = Arc::clone(&scan.projected_schema);
        if outputs.len() != schema.fields().len() {
            return Err(internal());
        }
        let (multiplicity, conditions) = (Multiplicity::scanned(), Conditions::new());
        let rows = Box::new(SourceRows {
            plan,
            bases,
            schema,
            outputs,
            classes,
            taint,
            unique,
            multiplicity,
            conditions,
        });
        Ok(if open { Zone::Public(rows) } else { Zone::Individual(rows) })
    }

    /// The sealed table under its row filters, rows without subject dropped.
    ///
    /// Filters run on raw values, before any mask. `diag = 'HIV'` in a policy makes each count one of that diagnosis,
    /// so that its grade counts, unless it only says whose jurisdiction the rows are
    /// (`sandbox/docs/disclosure-model.md`, section 4.2). A row without a subject has nobody whom a threshold could
    /// count (`sandbox/docs/disclosure-model.md`, section 4.11).
    fn raw_rows(
        &self,
        dataset: &EffectiveDataset,
        open: bool,
        taint: &mut Taint,
    ) -> Result<LogicalPlan, Refused> {
        let mut builder =
            LogicalPlanBuilder::scan(dataset.id.sql_name(), Arc::new(sealed_source(dataset)), None)
                .map_err(not_built)?;
        for filter in &dataset.row_filters {
            let (condition, columns) = row_filter(&filter.sql, dataset)?;
            if !filter.jurisdiction {
                let grades = dataset
                    .columns
                    .iter()
                    .filter(|column| columns.contains(&column.name))
                    .map(|column| column.grade);
                taint.grade = grades.fold(taint.grade, Level::max);
            }
            builder = builder.filter(condition).map_err(not_built)?;
        }
        if !open {
            for unit in &dataset.units {
                builder = builder.filter(Expr::IsNotNull(Box::new(raw(&unit.column)))).map_err(not_built)?;
            }
        }
        builder.build().map_err(not_built)
    }

    /// The facts of a column of a dataset, as its policy and grant have them.
    ///
    /// A unit key of individuals is of a kind that no rule compares or groups, whatever role and name it has. Its
    /// owners are the subjects of its row: only columns of the same subjects are compared
    /// (`sandbox/docs/disclosure-model.md`, section 4.3).
    fn declared(
        &self,
        column: &EffectiveColumn,
        dataset: &EffectiveDataset,
        instance: usize,
        classes: &[Class],
        open: bool,
    ) -> ColumnFacts {
        let unit = dataset.units.iter().zip(classes).find(|(unit, _)| unit.column == column.name);
        let kind = match unit {
            Some((unit, class)) if !open => {
                ColumnKind::UnitKey { kind: unit.kind.clone(), class: class.column.clone() }
            }
            _ => ColumnKind::Declared(column.role),
        };
        ColumnFacts {
            name: column.name.clone(),
            kind,
            uses: column.uses.clone(),
            grade: column.grade_after,
            dataset: Some(dataset.id.clone()),
            scan: Some(instance),
            open,
            optional: false,
            missing_by: None,
            copied_by: BTreeSet::new(),
            owners: classes.iter().map(|class| class.column.clone()).collect(),
            data_type: column_type(column, dataset),
            mask: column.mask.clone(),
            range: column.range,
            bins: column.bins,
            scale: column.scale,
            coded: column.coded,
            between: None,
        }
    }
}

/// One hidden column per privacy unit; a dataset without unit has one class whose subjects are its rows.
///
/// No name of SQL reaches these columns. So `SELECT visit_id AS person_id` and `concat(person_id, value)` make no more
/// subjects of the rows of one person, and every class is counted for itself
/// (`sandbox/docs/disclosure-model.md`, section 4.1).
fn hidden_units(
    dataset: &EffectiveDataset,
    instance: usize,
    bases: &mut BTreeMap<String, ColumnFacts>,
    projection: &mut Vec<Expr>,
) -> Vec<Class> {
    if dataset.units.is_empty() {
        return vec![Class {
            kind: None,
            column: format!("s{instance}__row"),
            clustered: false,
            one_row: true,
            optional: false,
        }];
    }
    let mut classes = Vec::with_capacity(dataset.units.len());
    for (index, unit) in dataset.units.iter().enumerate() {
        let name = format!("s{instance}__unit{index}");
        projection.push(raw(&unit.column).alias(&name));
        bases.insert(
            name.clone(),
            ColumnFacts {
                kind: ColumnKind::UnitKey { kind: unit.kind.clone(), class: name.clone() },
                dataset: Some(dataset.id.clone()),
                owners: BTreeSet::from([name.clone()]),
                ..ColumnFacts::derived(
                    &unit.column,
                    BTreeSet::new(),
                    Level(1),
                    arrow::datatypes::DataType::Int64,
                )
            },
        );
        classes.push(Class {
            kind: Some(unit.kind.clone()),
            column: name,
            clustered: unit.clustered && index == 0,
            one_row: unit.one_row_per_subject,
            optional: false,
        });
    }
    classes
}

/// The uniqueness that the manifest proves of columns, but for those in which a mask may have made duplicates.
///
/// By such columns individuals meet a table: two rows of one masked key would count a person twice
/// (`sandbox/docs/disclosure-model.md`, section 4.6).
fn unique(dataset: &EffectiveDataset, instance: usize) -> Unique {
    let masked =
        |name: &String| dataset.columns.iter().any(|column| column.name == *name && column.mask.is_some());
    let visible = |name: &String| {
        dataset.columns.iter().any(|column| column.name == *name && !column.uses.is_empty()) && !masked(name)
    };
    let base = |name: &String| format!("s{instance}_{name}");
    let sets = dataset.unique.iter().filter(|set| !set.iter().any(masked));
    let intervals =
        dataset.intervals.iter().filter(|intervals| visible(&intervals.low) && visible(&intervals.high));
    Unique {
        sets: sets.map(|set| set.iter().map(base).collect()).collect(),
        intervals: intervals
            .map(|Intervals { low, high, closed }| Intervals {
                low: base(low),
                high: base(high),
                closed: *closed,
            })
            .collect(),
    }
}

fn raw(name: &str) -> Expr {
    Expr::Column(Column::from_name(name))
}

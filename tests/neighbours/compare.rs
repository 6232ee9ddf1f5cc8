//! One admitted plan over neighbouring data sets, and over one data set cut in several ways.
//! It compares work, ends and the order of rows, never the values.

use std::collections::BTreeSet;
use std::fmt;

use arrow::array::RecordBatch;
use arrow::ipc::writer::StreamWriter;
use arrow::util::display::ArrayFormatter;
use arrow::util::display::FormatOptions;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::logical_expr::LogicalPlan;
use obscura_query_guard::plan::GuardedPlan;
use obscura_tests::guarded::engine::Cut;
use obscura_tests::guarded::engine::End;
use obscura_tests::guarded::engine::Run;

use crate::OPERATOR_ROWS_MAX;
use crate::WORK_SHARE;
use crate::World;

/// The cut of neighbours' runs.
const ALIKE: Cut = Cut { partitions: 2, batch_rows: 8192 };
/// The cuts of one data set; the last is the first again, on threads that race anew.
const CUTS: [Cut; 5] = [
    Cut { partitions: 1, batch_rows: 64 },
    Cut { partitions: 3, batch_rows: 7 },
    Cut { partitions: 8, batch_rows: 8192 },
    Cut { partitions: 8, batch_rows: 31 },
    Cut { partitions: 2, batch_rows: 8192 },
];
/// The pairs of data sets that are compared, by their places.
const PAIRS: [(usize, usize); 4] = [(0, 1), (0, 2), (0, 3), (1, 3)];

/// The largest differences that were seen.
#[derive(Debug, Default)]
pub(crate) struct Most {
    operator_rows: u64,
    work_rows: u64,
    share: f64,
    plans: usize,
    stopped: usize,
}

impl fmt::Display for Most {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} plans; neighbours differ by {} rows of an operator, {} rows and {:.1} % of all work at the most; \
             {} plans read a table for one neighbour and not for another",
            self.plans,
            self.operator_rows,
            self.work_rows,
            self.share * 100.0,
            self.stopped
        )
    }
}

/// The faults of a plan.
pub(crate) fn judge(world: &World, plan: &GuardedPlan, rows_max: u64, most: &mut Most) -> Vec<String> {
    most.plans += 1;
    // A stage of bases reads the same rows once more.
    let has_bases = plan.stages().iter().any(|stage| stage.controls().homogeneity);
    let rows_max = if has_bases { 2 * rows_max } else { rows_max };
    let mut findings = neighbours(world, plan, rows_max, most);
    if findings.is_empty() {
        findings.extend(order(world, plan));
    }
    findings
}

/// Work and end of neighbours.
pub(crate) fn neighbours(world: &World, plan: &GuardedPlan, rows_max: u64, most: &mut Most) -> Vec<String> {
    let runs: Vec<Run> =
        world.datasets.iter().map(|(_, tables)| world.engine.run(plan, tables, ALIKE)).collect();
    let mut findings = BTreeSet::new();
    for ((victim, _), run) in world.datasets.iter().zip(&runs) {
        match &run.end {
            End::Released | End::Withheld => {}
            end => {
                findings.insert(format!("{victim:?}: {end:?}"));
            }
        }
    }
    let read = runs.iter().map(|run| run.scanned).max().unwrap_or(0);
    most.stopped += usize::from(runs.iter().any(|run| run.scanned * 10 < read * 9));
    for (left, right) in PAIRS {
        let of = format!("{:?} and {:?}", world.datasets[left].0, world.datasets[right].0);
        let (left, right) = (&runs[left], &runs[right]);
        if left.end != right.end {
            findings.insert(format!("{of} end as {:?} and {:?}", left.end, right.end));
        } else if let Some(finding) = work(left, right, rows_max, most) {
            findings.insert(format!("{of}: {finding}"));
        }
    }
    findings.into_iter().collect()
}

fn work(left: &Run, right: &Run, rows_max: u64, most: &mut Most) -> Option<String> {
    let names = |run: &Run| run.work.iter().map(|work| work.operator.clone()).collect::<Vec<_>>();
    if names(left) != names(right) {
        return Some(format!("other operators: {:?} and {:?}", names(left), names(right)));
    }
    let differences = left.work.iter().zip(&right.work).map(|(a, b)| (a.rows.abs_diff(b.rows), &a.operator));
    let (largest, operator) = differences.clone().max()?;
    let difference: u64 = differences.map(|(rows, _)| rows).sum();
    let total = |run: &Run| run.work.iter().map(|work| work.rows).sum::<u64>();
    let all = total(left).max(total(right)).max(1);
    let share = difference as f64 / all as f64;
    most.operator_rows = most.operator_rows.max(largest);
    most.work_rows = most.work_rows.max(difference);
    most.share = most.share.max(share);
    if largest > OPERATOR_ROWS_MAX {
        return Some(format!("{operator} differs by {largest} rows"));
    }
    (share > WORK_SHARE && difference > rows_max)
        .then(|| format!("{difference} rows of {all} differ, {largest} of them in {operator}"))
}

/// The same release however a run is cut.
fn order(world: &World, plan: &GuardedPlan) -> Option<String> {
    let run = |cut| world.engine.run(plan, &world.datasets[0].1, cut);
    let first = run(ALIKE);
    let base = first.released.as_ref()?;
    for cut in CUTS {
        let other = run(cut);
        let Some(batch) = &other.released else {
            return Some(format!("{ALIKE:?} is released, {cut:?} ends as {:?}", other.end));
        };
        if let Some(difference) = difference(base, batch) {
            return Some(format!("{ALIKE:?} and {cut:?} give {difference}"));
        }
    }
    None
}

fn difference(left: &RecordBatch, right: &RecordBatch) -> Option<String> {
    if bytes(left) == bytes(right) {
        return None;
    }
    if left == right {
        return Some("other bytes for the same values".to_owned());
    }
    let (first, second) = (rows(left), rows(right));
    let sorted = |mut rows: Vec<String>| {
        rows.sort();
        rows
    };
    let what = if sorted(first.clone()) == sorted(second.clone()) {
        "the same rows in another order"
    } else {
        "other rows"
    };
    let pair = first.iter().zip(&second).find(|(a, b)| a != b);
    Some(format!("{what}: {pair:?}, {} and {} rows", first.len(), second.len()))
}

fn bytes(batch: &RecordBatch) -> Vec<u8> {
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).expect("a stream in memory");
    writer.write(batch).expect("a stream in memory");
    writer.into_inner().expect("a stream in memory")
}

fn rows(batch: &RecordBatch) -> Vec<String> {
    let options = FormatOptions::new().with_null("NULL");
    let columns: Vec<ArrayFormatter<'_>> = batch
        .columns()
        .iter()
        .map(|column| ArrayFormatter::try_new(column.as_ref(), &options).expect("a value has a text"))
        .collect();
    let row = |row| columns.iter().map(|column| column.value(row).to_string()).collect::<Vec<_>>().join(", ");
    (0..batch.num_rows()).map(row).collect()
}

/// The nodes of a plan, without what stands in them.
pub(crate) fn shape(plan: &LogicalPlan) -> String {
    let mut shape = String::new();
    let walked = plan.apply_with_subqueries(|node| {
        let name = match node {
            LogicalPlan::TableScan(scan) => scan.table_name.to_string(),
            LogicalPlan::Join(join) => format!("{} join", join.join_type),
            other => format!("{:?}", std::mem::discriminant(other)),
        };
        shape.push_str(&name);
        shape.push(if node.inputs().len() > 1 { '*' } else { ' ' });
        Ok(TreeNodeRecursion::Continue)
    });
    walked.expect("the closure never fails");
    shape
}

//! TPC-H lineitem as a department's dataset: columns, roles, ranges and bins, how it is sealed, what a job may do.
//! It reads no document: one list of columns yields the sealed types and the effective policy, so that they agree.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use obscura_policies::effective::Controls;
use obscura_policies::effective::Dominance;
use obscura_policies::effective::EffectiveColumn;
use obscura_policies::effective::EffectiveDataset;
use obscura_policies::effective::EffectivePolicy;
use obscura_policies::effective::EffectiveUnit;
use obscura_policies::effective::Floor;
use obscura_policies::fixed::Fixed;
use obscura_policies::vocabulary::DataType;
use obscura_policies::vocabulary::DatasetId;
use obscura_policies::vocabulary::Function;
use obscura_policies::vocabulary::Level;
use obscura_policies::vocabulary::Release;
use obscura_policies::vocabulary::Role;
use obscura_policies::vocabulary::UnitKind;
use obscura_policies::vocabulary::Use;
use obscura_sandbox::storage::ColumnSpec;
use obscura_sandbox::storage::DatasetSpec;
use obscura_sandbox::storage::Layout;
use obscura_sandbox::storage::UnitSpec;

/// Name of the dataset in SQL.
pub(crate) const SQL_NAME: &str = "tpch.lineitem";
/// The unit key.
pub(crate) const UNIT_COLUMN: &str = "l_orderkey";
/// Kind of the one subject.
const UNIT: &str = "order";
/// Fewest orders behind a cell.
pub(crate) const SUBJECTS_MIN: u32 = 10;
/// Base that counts are rounded to.
pub(crate) const ROUNDING: u32 = 5;
/// Decimal places of the money columns.
const SCALE: u8 = 2;

/// The statistics that the controls of a job ask of the fold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// At least k subjects per cell, nothing else.
    Threshold,
    /// The threshold, and dominance over every subject's contribution.
    Dominance,
}

/// The order of rows that the manifest is taken to prove.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proof {
    /// Every subject's rows stand together: the run fold.
    Clustered,
    /// Nothing: the map fold.
    Nothing,
}

struct Column {
    name: &'static str,
    data_type: DataType,
    role: Role,
    /// Declared range and bin width, in hundredths.
    measure: Option<(i64, i64)>,
}

const MONEY: DataType = DataType::Decimal { scale: SCALE };

const COLUMNS: &[Column] = &[
    column(UNIT_COLUMN, DataType::Int, Role::UnitKey),
    column("l_partkey", DataType::Int, Role::Dimension),
    column("l_suppkey", DataType::Int, Role::Dimension),
    column("l_linenumber", DataType::Int, Role::Dimension),
    // Q6 cuts quantity at 24 and discount at 0.05 and 0.08: all of them are edges of these bins.
    measure("l_quantity", 5_000, 100),
    measure("l_extendedprice", 10_500_000, 100_000),
    measure("l_discount", 10, 1),
    measure("l_tax", 8, 1),
    column("l_returnflag", DataType::Text, Role::Dimension),
    column("l_linestatus", DataType::Text, Role::Dimension),
    column("l_shipdate", DataType::Date, Role::Dimension),
    column("l_commitdate", DataType::Date, Role::Dimension),
    column("l_receiptdate", DataType::Date, Role::Dimension),
    column("l_shipinstruct", DataType::Text, Role::Dimension),
    column("l_shipmode", DataType::Text, Role::Dimension),
    column("l_comment", DataType::Text, Role::Identifier),
];

const fn column(name: &'static str, data_type: DataType, role: Role) -> Column {
    Column { name, data_type, role, measure: None }
}

const fn measure(name: &'static str, high: i64, bins: i64) -> Column {
    Column { name, data_type: MONEY, role: Role::Measure, measure: Some((high, bins)) }
}

/// The dataset's identifier.
pub(crate) fn id() -> anyhow::Result<DatasetId> {
    SQL_NAME.parse().map_err(|_misspelt| anyhow::anyhow!("the dataset's name is misspelt"))
}

/// The width of a measure's declared range, for the rounding of its sums.
pub(crate) fn width(name: &str) -> f64 {
    let high = COLUMNS.iter().find(|column| column.name == name).and_then(|column| column.measure);
    high.map_or(0.0, |(high, _bins)| hundredths(high).to_f64())
}

/// The specification by which the dataset is sealed.
pub(crate) fn specification() -> anyhow::Result<DatasetSpec> {
    let unit = UnitKind(UNIT.to_owned());
    let columns = COLUMNS.iter().map(|column| ColumnSpec {
        name: column.name.to_owned(),
        data_type: column.data_type,
        grade: Level(3),
        semantic: None,
        token_of: (column.role == Role::UnitKey).then(|| unit.clone()),
        also: Vec::new(),
    });
    Ok(DatasetSpec {
        id: id()?,
        columns: columns.collect(),
        units: vec![UnitSpec { kind: unit.clone(), column: UNIT_COLUMN.to_owned() }],
        layout: Layout::Clustered,
        strictest: Level(4),
        document: "kind: Dataset\n".to_owned(),
        document_version: 1,
        in_force: BTreeMap::new(),
    })
}

/// The policy of one job. Grade L1 asks for the threshold alone; L3 asks for dominance as well.
pub(crate) fn policy(controls: Asked, proof: Proof) -> anyhow::Result<EffectivePolicy> {
    let (grade, dominance) = match controls {
        Asked::Threshold => (Level(1), None),
        Asked::Dominance => (Level(3), Some(Dominance { n: 2, share_max_permille: 850, p_percent: 10 })),
    };
    let id = id()?;
    let dataset = EffectiveDataset {
        id: id.clone(),
        membership: grade,
        units: vec![EffectiveUnit {
            kind: UnitKind(UNIT.to_owned()),
            column: UNIT_COLUMN.to_owned(),
            one_row_per_subject: false,
            rows_max: None,
            clustered: proof == Proof::Clustered,
        }],
        columns: COLUMNS.iter().map(|column| effective(column, grade)).collect(),
        row_filters: Vec::new(),
        release: Release::Aggregates,
        functions: BTreeSet::from([Function::Count, Function::CountDistinct, Function::Sum, Function::Avg]),
        controls: Controls::default(),
        join_with: BTreeSet::new(),
        max_rows_per_subject: 20,
        usual_rows: None,
        is_updated: true,
        rows: None,
        unique: BTreeSet::new(),
        intervals: BTreeSet::new(),
    };
    let controls =
        Controls { subjects_min: SUBJECTS_MIN, dominance, rounding: Some(ROUNDING), ..Controls::default() };
    Ok(EffectivePolicy {
        purpose: "benchmark".to_owned(),
        datasets: BTreeMap::from([(id, dataset)]),
        floors: BTreeMap::from([(grade, Floor { release: Release::Aggregates, controls })]),
        sources: Vec::new(),
    })
}

fn effective(column: &Column, grade: Level) -> EffectiveColumn {
    let uses: &[Use] = match column.role {
        Role::UnitKey => &[Use::Join, Use::CountDistinct],
        Role::Measure => &[Use::Filter, Use::Aggregate],
        Role::Identifier => &[],
        _ => &[Use::Filter, Use::Group],
    };
    EffectiveColumn {
        name: column.name.to_owned(),
        data_type: column.data_type,
        role: column.role,
        grade,
        grade_after: grade,
        uses: uses.iter().copied().collect(),
        mask: None,
        range: column.measure.map(|(high, _bins)| (Fixed::ZERO, hundredths(high))),
        bins: column.measure.map(|(_high, bins)| hundredths(bins)),
        usual: None,
        domain: None,
        scale: if column.measure.is_some() { SCALE } else { 0 },
        coded: false,
    }
}

fn hundredths(value: i64) -> Fixed {
    Fixed::from_scaled(i128::from(value), SCALE).unwrap_or(Fixed::ZERO)
}

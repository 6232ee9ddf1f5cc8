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
/// Deviation of the noise of each named cell: the least of grade L3.
pub(crate) const DEVIATION: u32 = 4;
/// Lines that an order usually has.
pub(crate) const USUAL_ROWS: u32 = 7;
/// Decimal places of the money columns.
const SCALE: u8 = 2;

/// The statistics that the controls of a job ask of the fold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// At least k subjects per cell, nothing else.
    Threshold,
    /// The threshold, and dominance over every subject's contribution.
    Dominance,
    /// Both, and named noise: the default controls of grade L3.
    Noise,
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
    /// The declared range and bins of a measure.
    measure: Option<Measure>,
    /// The published domain of a text.
    texts: &'static [&'static str],
    /// The first and the last of the published domain of whole numbers.
    wholes: Option<(i64, i64)>,
}

/// A measure's declaration, in hundredths.
#[derive(Clone, Copy)]
struct Measure {
    /// Upper end of the range; the lower is zero.
    high: i64,
    /// Width of a bin.
    bins: i64,
    /// The usual contribution of an order to a sum: about the 95th percentile, the scale of the sum's noise.
    usual: i64,
}

const MONEY: DataType = DataType::Decimal { scale: SCALE };

const COLUMNS: &[Column] = &[
    column(UNIT_COLUMN, DataType::Int, Role::UnitKey),
    column("l_partkey", DataType::Int, Role::Dimension),
    // The suppliers of scale factor 1.
    Column { wholes: Some((1, 10_000)), ..column("l_suppkey", DataType::Int, Role::Dimension) },
    column("l_linenumber", DataType::Int, Role::Dimension),
    // Q6 cuts quantity at 24 and discount at 0.05 and 0.08: all of them are edges of these bins.
    measure("l_quantity", Measure { high: 5_000, bins: 100, usual: 20_000 }),
    measure("l_extendedprice", Measure { high: 10_500_000, bins: 100_000, usual: 35_000_000 }),
    measure("l_discount", Measure { high: 10, bins: 1, usual: 40 }),
    measure("l_tax", Measure { high: 8, bins: 1, usual: 30 }),
    Column { texts: &["A", "N", "R"], ..column("l_returnflag", DataType::Text, Role::Dimension) },
    Column { texts: &["F", "O"], ..column("l_linestatus", DataType::Text, Role::Dimension) },
    column("l_shipdate", DataType::Date, Role::Dimension),
    column("l_commitdate", DataType::Date, Role::Dimension),
    column("l_receiptdate", DataType::Date, Role::Dimension),
    column("l_shipinstruct", DataType::Text, Role::Dimension),
    column("l_shipmode", DataType::Text, Role::Dimension),
    column("l_comment", DataType::Text, Role::Identifier),
];

const fn column(name: &'static str, data_type: DataType, role: Role) -> Column {
    Column { name, data_type, role, measure: None, texts: &[], wholes: None }
}

const fn measure(name: &'static str, measure: Measure) -> Column {
    Column { measure: Some(measure), ..column(name, MONEY, Role::Measure) }
}

/// The dataset's identifier.
pub(crate) fn id() -> anyhow::Result<DatasetId> {
    SQL_NAME.parse().map_err(|_misspelt| anyhow::anyhow!("the dataset's name is misspelt"))
}

/// The width of a measure's declared range, for the rounding of its sums.
pub(crate) fn width(name: &str) -> f64 {
    declared(name).map_or(0.0, |measure| hundredths(measure.high).to_f64())
}

/// The scale of the noise of a sum: what one order usually contributes to it.
pub(crate) fn usual(factors: &[&str]) -> f64 {
    factors
        .iter()
        .map(|name| declared(name).map_or(0.0, |measure| hundredths(measure.usual).to_f64()))
        .product()
}

fn declared(name: &str) -> Option<Measure> {
    COLUMNS.iter().find(|column| column.name == name).and_then(|column| column.measure)
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
        published: false,
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
        domains: BTreeMap::new(),
        in_force: BTreeMap::new(),
    })
}

/// The policy of one job. Columns of grade L1 ask for the threshold alone; L3 asks for dominance as well, and for noise by default.
pub(crate) fn policy(controls: Asked, proof: Proof) -> anyhow::Result<EffectivePolicy> {
    let of_l3 = Some(Dominance { n: 2, share_max_permille: 850, p_percent: 10 });
    let (grade, dominance, perturbation) = match controls {
        Asked::Threshold => (Level(1), None, None),
        Asked::Dominance => (Level(3), of_l3, None),
        Asked::Noise => (Level(3), of_l3, Some(DEVIATION)),
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
        max_groups_per_subject: 5,
        privacy_budget: None,
        all_ask_for_privacy: false,
        usual_rows: Some(USUAL_ROWS),
        usual_rows_in: None,
        is_updated: true,
        rows: None,
        unique: BTreeSet::new(),
        intervals: BTreeSet::new(),
        published: None,
    };
    let controls = Controls {
        subjects_min: SUBJECTS_MIN,
        dominance,
        rounding: Some(ROUNDING),
        perturbation,
        ..Controls::default()
    };
    Ok(EffectivePolicy {
        purpose: "benchmark".to_owned(),
        datasets: BTreeMap::from([(id, dataset)]),
        // Whoever carries a unit key is held to the floor of L2 at the least.
        // Whoever carries a unit key is held to the floor of L2 at the least.
        floors: BTreeMap::from([(grade.max(Level(2)), Floor { release: Release::Aggregates, controls })]),
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
        range: column
            .measure
            .map(|measure| (Fixed::ZERO, hundredths(measure.high)))
            .or_else(|| column.wholes.map(|(first, last)| (Fixed::from_i64(first), Fixed::from_i64(last)))),
        bins: column.measure.map(|measure| hundredths(measure.bins)),
        usual: column.measure.map(|measure| hundredths(measure.usual)),
        domain: (!column.texts.is_empty())
            .then(|| column.texts.iter().map(|text| (*text).to_owned()).collect()),
        scale: if column.measure.is_some() { SCALE } else { 0 },
        coded: false,
    }
}

fn hundredths(value: i64) -> Fixed {
    Fixed::from_scaled(i128::from(value), SCALE).unwrap_or(Fixed::ZERO)
}

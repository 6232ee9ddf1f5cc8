//! One more control never admits more: over random policies, each question that is admitted under the stricter of two
//! policies is admitted under the laxer one. An identifier is left alone: it is grouped only under a mask.

use obscura_policies::day::DatePart;
use obscura_policies::effective::EffectiveColumn;
use obscura_policies::effective::EffectiveDataset;
use obscura_policies::effective::EffectivePolicy;
use obscura_policies::effective::RowFilter;
use obscura_policies::fixed::Fixed;
use obscura_policies::mask::Mask;
use obscura_policies::vocabulary::DataType;
use obscura_policies::vocabulary::Level;
use obscura_policies::vocabulary::Release;
use obscura_policies::vocabulary::Role;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::fixture::policy;
use crate::fixture::review_under;
use crate::verdict::Decision;

/// A control that may be added.
#[derive(Debug, Clone, Copy)]
enum Added {
    Mask,
    Bins,
    FewerUses,
    FewerFunctions,
    Grade,
    Membership,
    LargerThreshold,
    RowFilter,
    FewerRows,
    FewerJoins,
    NarrowerRange,
}

const ALL: [Added; 11] = [
    Added::Mask,
    Added::Bins,
    Added::FewerUses,
    Added::FewerFunctions,
    Added::Grade,
    Added::Membership,
    Added::LargerThreshold,
    Added::RowFilter,
    Added::FewerRows,
    Added::FewerJoins,
    Added::NarrowerRange,
];

/// The place where a control is added, and how much of it.
#[derive(Debug, Clone)]
struct Place {
    added: Index,
    dataset: Index,
    column: Index,
    size: u8,
}

fn places(count: usize) -> impl Strategy<Value = Vec<Place>> {
    let place = (any::<Index>(), any::<Index>(), any::<Index>(), 1..6_u8)
        .prop_map(|(added, dataset, column, size)| Place { added, dataset, column, size });
    prop::collection::vec(place, 1..count)
}

fn add(policy: &mut EffectivePolicy, place: &Place) {
    let ids: Vec<_> = policy.datasets.keys().cloned().collect();
    let Some(dataset) = policy.datasets.get_mut(place.dataset.get(&ids)) else { return };
    match place.added.get(&ALL) {
        Added::FewerFunctions => drop(dataset.functions.pop_last()),
        Added::Membership => dataset.membership = dataset.membership.max(Level(3)),
        Added::LargerThreshold => dataset.controls.subjects_min += u32::from(place.size),
        Added::RowFilter => add_filter(dataset, place),
        Added::FewerRows => {
            dataset.max_rows_per_subject = dataset.max_rows_per_subject.min(u32::from(place.size))
        }
        Added::FewerJoins => dataset.join_with.clear(),
        Added::Mask | Added::Bins | Added::FewerUses | Added::Grade | Added::NarrowerRange => {
            let columns = dataset.columns.len();
            let may_be_open = dataset.release == Release::RowsOpen;
            let column = &mut dataset.columns[place.column.index(columns)];
            // A column without a use is not there, and an open table without its only strict column is open again.
            let opens =
                matches!(place.added.get(&ALL), Added::FewerUses) && may_be_open && column.grade > Level(1);
            if !opens && !matches!(column.role, Role::Identifier | Role::UnitKey) {
                add_to_column(column, place);
            }
        }
    }
}

fn add_filter(dataset: &mut EffectiveDataset, place: &Place) {
    let columns = dataset.columns.len();
    let name = &dataset.columns[place.column.index(columns)].name;
    dataset.row_filters.push(RowFilter { sql: format!("{name} IS NOT NULL"), jurisdiction: false });
}

fn add_to_column(column: &mut EffectiveColumn, place: &Place) {
    let size = Fixed::from_i64(i64::from(place.size) * 10);
    match place.added.get(&ALL) {
        Added::Mask => {
            let mask = match (column.data_type, place.size) {
                (DataType::Text, _) => Mask::Partial { keep_first: place.size, keep_last: 0 },
                (DataType::Date | DataType::Timestamp, 1 | 2) => Mask::DateTrunc { part: DatePart::Month },
                (DataType::Date | DataType::Timestamp, _) => Mask::BinYears { years: place.size, top: None },
                (DataType::Bool, _) => Mask::Redact,
                (_, 1 | 2) => Mask::Bin { width: size },
                (_, 3) => Mask::Round { step: size },
                (_, 4) => Mask::Bin { width: Fixed::from_micros(500_000) },
                _ => Mask::TopBottom { bottom: Some(Fixed::ZERO), top: Some(size) },
            };
            // No document has a mask that does not fit its column's type (`mask-unfit`).
            if mask.fits(column.data_type) {
                column.mask = Some(column.mask.as_ref().map_or(mask.clone(), |known| known.coarser(&mask)));
            }
        }
        // Coarser bins where there are some, bins where there were none but for a measure, which needs them to be filtered.
        Added::Bins
            if column.data_type.is_numeric() && (column.bins.is_some() || column.role != Role::Measure) =>
        {
            column.range = column.range.or(Some((Fixed::ZERO, Fixed::from_i64(1_000_000))));
            column.bins = Some(column.bins.map_or(size, |known| known.least_common_multiple(size).unwrap()));
        }
        Added::FewerUses => drop(column.uses.pop_last()),
        Added::Grade => {
            column.grade = Level(3).max(column.grade);
            column.grade_after = Level(3).max(column.grade_after);
        }
        Added::NarrowerRange => {
            column.range = column.range.map(|(low, high)| (low, high.min(Fixed::from_i64(100_000)).max(low)));
        }
        _ => {}
    }
}

/// Comparisons, groups and aggregates of every column in every form, and joins.
fn questions() -> Vec<String> {
    let mut all: Vec<String> = super::tests::ADMITTED.iter().map(|sql| (*sql).to_owned()).collect();
    let columns = [("persons", "age"), ("persons", "salary"), ("visits", "cost"), ("visits", "day")];
    for (table, column) in columns {
        for condition in
            ["= 20", "<> 20", ">= 20", ">= 20000", "< 100", "> 99", "BETWEEN 20 AND 40", "IN (20, 30)"]
        {
            all.push(format!("SELECT COUNT(*) FROM {table} WHERE {column} {condition}"));
        }
        for step in ["0.5", "1", "5", "10", "15", "20000"] {
            all.push(format!("SELECT floor({column} / {step}) * {step}, COUNT(*) FROM {table} GROUP BY 1"));
        }
        all.push(format!("SELECT {column}, COUNT(*) FROM {table} GROUP BY 1"));
        all.push(format!("SELECT SUM({column}), AVG({column}) FROM {table}"));
    }
    for column in ["dept", "zip"] {
        for condition in ["= 't'", "<> 'tax'", "IN ('t', '8****')", "LIKE 'ta%'", ">= 't'", "IS NULL"] {
            all.push(format!("SELECT COUNT(*) FROM persons WHERE {column} {condition}"));
        }
        for key in ["{}", "left({}, 1)", "lower({})", "CASE WHEN {} = 'tax' THEN 'a' ELSE 'b' END"] {
            let key = key.replace("{}", column);
            all.push(format!("SELECT {key}, COUNT(*) FROM persons GROUP BY 1"));
        }
    }
    for (table, column) in [("persons", "birth"), ("persons", "hire"), ("visits", "at")] {
        for condition in
            [">= DATE '2000-01-01'", "< DATE '2001-03-01'", "= DATE '2001-02-03'", "> DATE '2000-12-31'"]
        {
            all.push(format!("SELECT COUNT(*) FROM {table} WHERE {column} {condition}"));
        }
        for key in ["date_trunc('day', {})", "date_trunc('week', {})", "extract(year FROM {})", "{}"] {
            let key = key.replace("{}", column);
            all.push(format!("SELECT {key}, COUNT(*) FROM {table} GROUP BY 1"));
        }
    }
    for sql in [
        "SELECT COUNT(*) FROM persons WHERE age < salary",
        "SELECT COUNT(*) FROM visits WHERE cost > day AND day = 3",
        "SELECT COUNT(*) FROM persons WHERE dept = 't' OR dept LIKE 'ta%'",
        "SELECT COUNT(*) FROM persons WHERE hire < birth AND hire >= DATE '2001-02-03'",
        "SELECT date_trunc('month', hire), COUNT(*) FROM persons GROUP BY 1",
        "SELECT COUNT(*) FROM (SELECT person_id, MAX(cost) AS m, MIN(day) AS d FROM visits GROUP BY person_id) t WHERE m >= 100 AND d = 2",
        "SELECT district, COUNT(*) FROM zones GROUP BY district",
    ] {
        all.push(sql.to_owned());
    }
    all
}

fn is_admitted(policy: &EffectivePolicy, sql: &str) -> bool {
    matches!(review_under(policy, sql).decision, Decision::Admitted(_))
}

/// The name of the column that a control stands on; of the table, where it stands on all of it.
fn subject(policy: &EffectivePolicy, place: &Place) -> String {
    let ids: Vec<_> = policy.datasets.keys().cloned().collect();
    let dataset = &policy.datasets[place.dataset.get(&ids)];
    match place.added.get(&ALL) {
        Added::Mask | Added::Bins | Added::FewerUses | Added::Grade | Added::NarrowerRange => {
            dataset.columns[place.column.index(dataset.columns.len())].name.clone()
        }
        Added::FewerFunctions
        | Added::Membership
        | Added::LargerThreshold
        | Added::RowFilter
        | Added::FewerRows
        | Added::FewerJoins => dataset.id.to_string().rsplit('.').next().unwrap_or_default().to_owned(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn one_more_control_never_admits_more(
        before in places(6),
        added in places(2),
        chosen in prop::collection::vec(any::<Index>(), 24),
    ) {
        let mut lax = policy();
        // Two controls differ most where they meet, so every second one of the laxer policy stands where the further one does.
        for (at, place) in before.iter().enumerate() {
            let meets = added.first().filter(|_| at % 2 == 0);
            let place = meets.map_or_else(
                || place.clone(),
                |added| Place { dataset: added.dataset, column: added.column, ..place.clone() },
            );
            add(&mut lax, &place);
        }
        let mut strict = lax.clone();
        added.iter().for_each(|place| add(&mut strict, place));
        let subjects: Vec<String> = added.iter().map(|place| subject(&lax, place)).collect();
        let mut questions = questions();
        questions.retain(|sql| subjects.iter().any(|subject| sql.contains(subject.as_str())));
        if questions.is_empty() {
            return Ok(());
        }
        for index in chosen {
            let sql = index.get(&questions);
            if is_admitted(&strict, sql) {
                prop_assert!(is_admitted(&lax, sql), "{:?} lets it in: {sql}", added.iter().map(|place| place.added.get(&ALL)).collect::<Vec<_>>());
            }
        }
    }
}

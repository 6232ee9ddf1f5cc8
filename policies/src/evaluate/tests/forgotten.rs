//! The property that forgetting weakens nothing: over random documents, a field that is left out never leads below the floor of
//! the scheme, and a grade that is left out is the strictest. What is refused before it is published is the library's part.

use proptest::option;
use proptest::prelude::Just;
use proptest::prelude::Strategy;
use proptest::prop_assert;
use proptest::prop_assert_eq;
use proptest::prop_assume;
use proptest::prop_oneof;
use proptest::proptest;
use proptest::sample::select;

use super::VARIATIONS;
use super::monotone::BASES;
use super::monotone::Documents;
use super::monotone::nth;
use crate::document::ControlsForm;
use crate::document::CubesForm;
use crate::document::DominanceForm;
use crate::document::RoundingForm;
use crate::document::SubjectsMin;
use crate::document::Units;
use crate::document::Validity;
use crate::effective::Controls;
use crate::effective::EffectivePolicy;
use crate::library::Library;
use crate::library::floors_of;
use crate::vocabulary::Epoch;
use crate::vocabulary::Level;
use crate::vocabulary::Role;
use crate::vocabulary::UnitKind;
use crate::vocabulary::Use;

/// Leaves a field out; which of several is the seed's choice.
type Forgets = fn(&mut Documents, usize);

const FORGETS: &[(&str, Forgets)] = &[
    ("controls", |documents, _| documents.policy().method.controls = ControlsForm::default()),
    ("subjects_min", |documents, _| documents.policy().method.controls.subjects_min = None),
    ("dominance", |documents, _| documents.policy().method.controls.dominance = None),
    ("rounding", |documents, _| documents.policy().method.controls.rounding = None),
    ("perturbation", |documents, _| documents.policy().method.controls.perturbation = None),
    ("cubes", |documents, _| documents.policy().method.controls.cubes = None),
    ("epoch", |documents, _| documents.policy().method.controls.epoch = None),
    ("cells_max", |documents, _| documents.policy().method.controls.cells_max = None),
    ("max_rows_per_subject", |documents, _| documents.policy().method.max_rows_per_subject = None),
    ("effective", |documents, _| documents.policy().effective = Validity::default()),
    ("hours", |documents, _| documents.policy().condition.hours = None),
    ("approvals", |documents, _| documents.policy().condition.approvals = 0),
    ("join_with", |documents, _| documents.policy().condition.join_with.clear()),
    ("grade_max", |documents, _| documents.policy().object.resources.grade_max = None),
    ("row_filter", |documents, _| documents.policy().content.row_filter = None),
    ("mask", |documents, seed| {
        let rule = nth(&mut documents.policy().content.columns, seed);
        (rule.mask, rule.grade_after) = (None, None);
    }),
    ("grade_after", |documents, seed| nth(&mut documents.policy().content.columns, seed).grade_after = None),
    ("range and bins", |documents, seed| {
        let rule = nth(&mut documents.policy().content.columns, seed);
        (rule.range, rule.bins) = (None, None);
    }),
    ("membership", |documents, _| documents.dataset().membership = None),
    ("grade", |documents, seed| nth(&mut documents.dataset().columns, seed).grade = None),
    ("grades", |documents, _| documents.dataset().columns.iter_mut().for_each(|column| column.grade = None)),
    ("usual", |documents, _| documents.dataset().columns.iter_mut().for_each(|column| column.usual = None)),
    ("usual_rows", |documents, _| documents.dataset().usual_rows = None),
    ("usual_rows of a column", |documents, _| {
        documents.dataset().columns.iter_mut().for_each(|column| column.usual_rows = None);
    }),
    ("layout", |documents, _| documents.dataset().layout = None),
    ("columns of the grant", |documents, _| documents.grant().datasets[0].columns = None),
    ("uses of the grant", |documents, _| documents.grant().datasets[0].uses = None),
    ("row_filter of the grant", |documents, _| documents.grant().datasets[0].row_filter = None),
];

/// The floors that the scheme of the world demands by itself.
fn demanded() -> Vec<(Level, Controls)> {
    let library = Library::new(Vec::new()).unwrap();
    let scheme = library.schemes().values().find(|s| s.metadata.id.as_str() == "db33t2351-2021").unwrap();
    floors_of(scheme).into_iter().map(|(level, floor)| (level, floor.controls)).collect()
}

/// The outcome is at the floors of the scheme or above them, and what has no grade is the strictest.
fn keeps_the_floors(documents: &mut Documents, outcome: &EffectivePolicy) -> Result<(), String> {
    for (level, floor) in demanded() {
        let Some(found) = outcome.floors.get(&level) else { return Err(format!("no floor of {level}")) };
        if !found.controls.is_at_least(&floor) {
            return Err(format!("the floor of {level}"));
        }
    }
    let declared = documents.dataset().clone();
    let Some(dataset) = outcome.datasets.get(&declared.metadata.id) else { return Ok(()) };
    let strictest = dataset.columns.iter().map(|column| column.grade).max();
    if declared.membership.is_none() && Some(dataset.membership) != strictest {
        return Err("membership".to_owned());
    }
    for (column, found) in declared.columns.iter().zip(&dataset.columns) {
        if column.grade.is_none() && found.grade != Level(4) {
            return Err(format!("the grade of `{}`", column.name));
        }
    }
    Ok(())
}

/// The world varied, with a grant that has every limit.
fn limited(base: &[usize]) -> Option<Documents> {
    let mut documents = Documents::varied(base)?;
    let granted = &mut documents.grant().datasets[0];
    granted.uses = Some(Use::ALL.iter().copied().collect());
    granted.row_filter = Some("district = '330106'".to_owned());
    documents.policy().method.controls.cubes = Some(CubesForm { columns_max: Some(2), sets: None });
    documents.policy().method.controls.epoch = Some(Epoch::Yearly);
    Some(documents)
}

#[test]
fn each_field_that_is_forgotten_was_there() {
    for (name, forgets) in FORGETS {
        let changes = (0..BASES.len() + VARIATIONS.len()).any(|base| {
            let Some(before) = limited(&[base]) else { return false };
            (0..10).any(|seed| {
                let mut after = before.clone();
                forgets(&mut after, seed);
                !after.is_like(&before)
            })
        });
        assert!(changes, "{name}");
    }
}

/// Controls of an exception, of which any may be left out.
fn excepted() -> impl Strategy<Value = ControlsForm> {
    let kinds =
        || select(vec!["resident", "enterprise", "vehicle"]).prop_map(|kind| UnitKind(kind.to_owned()));
    let subjects_min = prop_oneof![
        (1_u32..30).prop_map(SubjectsMin::All),
        proptest::collection::btree_map(kinds(), 1_u32..30, 1..3).prop_map(SubjectsMin::ByUnit),
    ];
    let dominance = (1_u8..4, select(vec!["0.5", "0.9", "1"]), 0_u16..30)
        .prop_map(|(n, share, p_percent)| DominanceForm { n, share_max: share.parse().unwrap(), p_percent });
    (
        option::of(subjects_min),
        option::of(dominance),
        option::of((1_u32..20).prop_map(|base| RoundingForm { base })),
        option::of(1_u32..9_000),
    )
        .prop_map(|(subjects_min, dominance, rounding, cells_max)| ControlsForm {
            subjects_min,
            dominance,
            rounding,
            perturbation: None,
            cubes: None,
            epoch: None,
            tolerance: None,
            cells_max,
        })
}

proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(64))]

    /// Over random documents: whatever is left out, the floors hold, and ungraded data is the strictest.
    #[test]
    fn what_is_left_out_never_leads_below_the_floor(
        base in proptest::collection::vec(select((0..VARIATIONS.len() + BASES.len()).collect::<Vec<_>>()), 0..5),
        forgotten in proptest::collection::vec((select((0..FORGETS.len()).collect::<Vec<_>>()), 0_usize..64), 1..6),
    ) {
        let varied = limited(&base);
        prop_assume!(varied.is_some());
        let mut documents = varied.unwrap();
        for (choice, seed) in forgotten {
            let (name, forgets) = FORGETS[choice];
            forgets(&mut documents, seed);
            if let Some(Ok(outcome)) = documents.ask() {
                let kept = keeps_the_floors(&mut documents, &outcome);
                prop_assert!(kept.is_ok(), "{name} {seed}: {kept:?}");
            }
        }
    }

    /// Over random exceptions: a control, or a kind of subject, that the exception leaves out stays as the floor has it.
    #[test]
    fn an_exception_leaves_what_it_does_not_name(
        controls in prop_oneof![excepted(), Just(ControlsForm::default())],
    ) {
        let mut documents = Documents::varied(&[]).unwrap();
        let exception = documents.exception();
        exception.purpose = "epidemic-monitoring".parse().unwrap();
        exception.controls = controls.clone();
        let outcome = documents.ask().unwrap().unwrap();
        let found = &outcome.floors.get(&Level(3)).unwrap().controls;
        let (_, floor) = demanded().into_iter().find(|(level, _)| *level == Level(3)).unwrap();
        if controls.dominance.is_none() {
            prop_assert_eq!(found.dominance, floor.dominance);
        }
        prop_assert_eq!(found.rounding, controls.rounding.map(|rounding| rounding.base).or(floor.rounding));
        prop_assert_eq!(found.cells_max, controls.cells_max.or(floor.cells_max));
        for kind in ["resident", "enterprise", "vehicle"].map(|kind| UnitKind(kind.to_owned())) {
            let named = match &controls.subjects_min {
                None => None,
                Some(SubjectsMin::All(subjects)) => Some(*subjects),
                Some(SubjectsMin::ByUnit(by_unit)) => by_unit.get(&kind).copied(),
            };
            prop_assert_eq!(found.subjects_min(&kind), named.unwrap_or(floor.subjects_min(&kind)));
        }
    }
}

/// A dataset without units counts rows, and its floors are those of its grades all the same.
#[test]
fn a_dataset_without_units_keeps_the_floors() {
    let mut documents = Documents::varied(&[]).unwrap();
    let dataset = documents.dataset();
    dataset.units = Units::None;
    dataset.layout = None;
    dataset.columns.retain(|column| column.role != Role::UnitKey);
    documents.policy().condition.join_with.clear();
    documents.policy().content.columns.retain(|rule| rule.matches.role != Some(Role::UnitKey));
    let outcome = documents.ask().unwrap().unwrap();
    assert_eq!(keeps_the_floors(&mut documents, &outcome), Ok(()));
    assert!(outcome.datasets.values().all(|dataset| dataset.units.is_empty()));
}

//! The property that no control loosens another: over random documents, one control more never makes the outcome laxer.
//! It goes from documents to `EffectivePolicy`; what the guard makes of that is the guard's own property.

use std::collections::BTreeSet;

use proptest::prop_assert;
use proptest::prop_assume;
use proptest::proptest;
use proptest::sample::select;

use super::Request;
use super::VARIATIONS;
use crate::document::Dataset;
use crate::document::Document;
use crate::document::DominanceForm;
use crate::document::Exception;
use crate::document::Grant;
use crate::document::MaskForm;
use crate::document::PerturbationForm;
use crate::document::Policy;
use crate::document::Range;
use crate::document::RoundingForm;
use crate::document::SubjectsMin;
use crate::effective::DEVIATIONS;
use crate::effective::EffectiveColumn;
use crate::effective::EffectiveDataset;
use crate::effective::EffectivePolicy;
use crate::evaluate::PolicyRefusal;
use crate::fixed::Fixed;
use crate::library::Library;
use crate::library::tests::WORLD;
use crate::mask::Mask;
use crate::parse::parse_documents;
use crate::vocabulary::ColumnName;
use crate::vocabulary::Epoch;
use crate::vocabulary::Release;
use crate::vocabulary::Use;

/// Further texts that vary the world: controls that are missing, and grades that masks lower, with ground and without.
pub(super) const BASES: &[(&str, &str)] = &[
    ("    dominance: {n: 2, share_max: 0.85, p_percent: 10}\n", ""),
    ("    rounding: {base: 5}\n", ""),
    ("    cells_max: 5000\n", ""),
    ("    subjects_min: {resident: 10, enterprise: 5}\n", ""),
    ("subjects_min: {resident: 10, enterprise: 5}", "subjects_min: 7"),
    ("  hours: \"08:00-20:00\"\n", ""),
    ("  row_filter: \"visit_date >= DATE '2024-01-01'\"\n", ""),
    (", grade_max: L3", ""),
    ("  review: none\n", "  review: none\n  max_rows_per_subject: 300\n"),
    (
        "privacy_budget: null",
        "privacy_budget: {epsilon: 2, delta: 1e-8, per_query_max: 0.5, period_days: 90}",
    ),
    ("layout: clustered\n", "layout: clustered\nmembership: L2\n"),
    (
        "role: measure, semantic: money, grade: L3, range: [0, 50000], bins: 1000",
        "role: measure, semantic: money, grade: L2",
    ),
    ("range: [0, 20000]}", "range: [0, 20000], mask: {bin: 1000}, grade_after: L2}"),
    ("range: [0, 20000]}", "range: [0, 20000], bins: 2000}"),
    ("range: [0, 50000], bins: 1000", "range: [0, 50000], bins: 1000, usual: 15000"),
    ("sharing: conditional\nupdate: daily\n", "sharing: conditional\nupdate: never\nusual_rows: 3\n"),
    (
        "{name: visit_date, type: date, role: dimension, grade: L2",
        "{name: visit_date, type: date, role: dimension, grade: L2, usual_rows: {month: 2, day: 1}",
    ),
    ("range: [0, 20000]}", "mask: {top_bottom: {top: 999999999}}, grade_after: L1}"),
    ("{hierarchy: icd10, level: category}}", "{hierarchy: icd10, level: block}, grade_after: L2}"),
    ("{hierarchy: icd10, level: category}}", "{hierarchy: icd10, level: category}, grade_after: L2}"),
    ("{hierarchy: icd10, level: category}}", "{token: x}, grade_after: L1}"),
    (", mask: {bin_years: 5, top: 90}", ", mask: {bin_years: 5, top: 90}, grade_after: L2"),
    (", mask: {bin_years: 5, top: 90}", ""),
    (", mask: {hierarchy: cn-admin, level: district}", ""),
    ("semantic: icd10, grade: L3", "semantic: icd10, grade: L2"),
];

/// The documents of a world, to be changed.
#[derive(Clone)]
pub(super) struct Documents(Vec<Document>);

impl Documents {
    /// The world varied; nothing where two of the texts do not fit together.
    pub(super) fn varied(choices: &[usize]) -> Option<Self> {
        let mut text = WORLD.to_owned();
        for choice in choices {
            let (from, to) = VARIATIONS.iter().chain(BASES).nth(*choice).unwrap();
            text = text.replacen(from, to, 1);
        }
        let parsed = parse_documents("varied.yaml", &text).ok()?;
        Some(Self(parsed.into_iter().map(|located| located.value).collect()))
    }

    pub(super) fn policy(&mut self) -> &mut Policy {
        let mut found = self.0.iter_mut().filter_map(|document| match document {
            Document::Policy(policy) => Some(policy.as_mut()),
            _ => None,
        });
        found.next().unwrap()
    }

    pub(super) fn dataset(&mut self) -> &mut Dataset {
        let mut found = self.0.iter_mut().filter_map(|document| match document {
            Document::Dataset(dataset) => Some(dataset.as_mut()),
            _ => None,
        });
        found.next().unwrap()
    }

    pub(super) fn grant(&mut self) -> &mut Grant {
        let mut found = self.0.iter_mut().filter_map(|document| match document {
            Document::Grant(grant) => Some(grant),
            _ => None,
        });
        found.next().unwrap()
    }

    pub(super) fn exception(&mut self) -> &mut Exception {
        let mut found = self.0.iter_mut().filter_map(|document| match document {
            Document::Exception(exception) => Some(exception),
            _ => None,
        });
        found.next().unwrap()
    }

    /// True if both hold the same documents.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.0 == other.0
    }

    /// The answer to the world's request, unless the documents do not fit together.
    pub(super) fn ask(&self) -> Option<Result<EffectivePolicy, PolicyRefusal>> {
        let library = Library::new(self.0.clone()).ok()?;
        let mut request = Request::new();
        request.grants = library.grants().values().cloned().collect();
        request.library = library;
        Some(request.ask())
    }
}

/// Adds a control, or makes one stricter; which of several is the seed's choice.
type Control = fn(&mut Documents, usize);

pub(super) fn nth<T>(list: &mut [T], seed: usize) -> &mut T {
    let length = list.len();
    &mut list[seed % length]
}

fn stricter_grade(grade: &mut Option<String>) {
    *grade = match grade.as_deref() {
        Some("L1") => Some("L2".to_owned()),
        Some("L2") => Some("L3".to_owned()),
        _ => Some("L4".to_owned()),
    };
}

fn mask(documents: &mut Documents, seed: usize) {
    let rule = nth(&mut documents.policy().content.columns, seed);
    // With `grade_after` a mask is no control alone: it is the ground for a lower grade.
    if rule.grade_after.is_some() {
        return;
    }
    let hierarchy = |name: &str, level: &str| MaskForm::Hierarchy {
        name: name.parse().unwrap(),
        level: level.parse().unwrap(),
    };
    let masks = [
        MaskForm::Redact,
        MaskForm::Bin(3_000.into()),
        MaskForm::Round(100.into()),
        MaskForm::BinYears { years: 10, top: None },
        hierarchy("icd10", "chapter"),
        hierarchy("cn-admin", "city"),
        MaskForm::Token("x".parse().unwrap()),
    ];
    // A mask in the place of another is more only if it leaves nothing.
    let choice = if rule.mask.is_some() { 0 } else { seed / 16 % masks.len() };
    rule.mask = masks.into_iter().nth(choice);
}

fn bins(documents: &mut Documents, seed: usize) {
    let rule = nth(&mut documents.policy().content.columns, seed);
    let known = rule.bins.unwrap_or(Fixed::from_i64(1_000));
    rule.bins = known.checked_mul_i64(2);
}

fn range(documents: &mut Documents, seed: usize) {
    let mut rules = documents.policy().content.columns.iter_mut();
    if let Some(range) = rules.find_map(|rule| rule.range.as_mut()) {
        let less = Fixed::from_i64(1_000 * (1 + i64::try_from(seed % 8).unwrap()));
        *range = Range(range.0, range.1.checked_sub(less).unwrap());
    }
}

fn subjects_min(documents: &mut Documents, seed: usize) {
    let more = u32::try_from(seed % 20 + 1).unwrap();
    let controls = &mut documents.policy().method.controls;
    controls.subjects_min = Some(match controls.subjects_min.take() {
        None => SubjectsMin::All(more),
        Some(SubjectsMin::All(known)) => SubjectsMin::All(known + more),
        Some(SubjectsMin::ByUnit(by_unit)) => {
            SubjectsMin::ByUnit(by_unit.into_iter().map(|(unit, known)| (unit, known + more)).collect())
        }
    });
}

fn dominance(documents: &mut Documents, _: usize) {
    let controls = &mut documents.policy().method.controls;
    controls.dominance = Some(match controls.dominance.take() {
        None => DominanceForm { n: 1, share_max: "0.9".parse().unwrap(), p_percent: 5 },
        Some(rule) => {
            DominanceForm { n: rule.n + 1, share_max: "0.5".parse().unwrap(), p_percent: rule.p_percent + 1 }
        }
    });
}

fn rounding(documents: &mut Documents, _: usize) {
    let controls = &mut documents.policy().method.controls;
    let known = controls.rounding.as_ref().map_or(1, |rounding| rounding.base);
    controls.rounding = Some(RoundingForm { base: known * 2 });
}

fn perturbation(documents: &mut Documents, seed: usize) {
    let known = &mut documents.policy().method.controls.perturbation;
    let least = match *known {
        Some(PerturbationForm::Deviation(deviation)) => deviation,
        None | Some(PerturbationForm::Auto) => 0,
    };
    let mut above: Vec<u32> = DEVIATIONS.into_iter().filter(|rung| *rung > least).collect();
    if !above.is_empty() {
        *known = Some(PerturbationForm::Deviation(*nth(&mut above, seed)));
    }
}

fn cubes(documents: &mut Documents, seed: usize) {
    let dataset = documents.dataset();
    let known = dataset.columns.iter().filter(|column| dataset.role_of(column).is_known());
    let known: Vec<ColumnName> = known.map(|column| column.name.clone()).collect();
    let most = u32::try_from(seed % 3).unwrap() + 1;
    let form = documents.policy().method.controls.cubes.get_or_insert_default();
    if seed.is_multiple_of(2) {
        form.columns_max = Some(form.columns_max.map_or(most, |least| least.min(most)));
    } else {
        let sets = form.sets.get_or_insert_with(|| vec![known]);
        for set in sets.iter_mut().filter(|set| set.len() > 1) {
            set.remove(seed % set.len());
        }
    }
}

fn hours(documents: &mut Documents, seed: usize) {
    let hours = &mut documents.policy().condition.hours;
    // Hours that are there already are not moved.
    if hours.is_none() {
        *hours = Some(["09:00-11:00", "11:00-12:00"][seed % 2].parse().unwrap());
    }
}

fn row_filter(documents: &mut Documents, seed: usize) {
    let sql = Some("district = '330106'".to_owned());
    let of_policy = &mut documents.policy().content.row_filter;
    if seed.is_multiple_of(2) && of_policy.is_none() {
        *of_policy = sql;
    } else {
        documents.grant().datasets[0].row_filter = sql;
    }
}

fn uses(documents: &mut Documents, seed: usize) {
    let rule = nth(&mut documents.policy().content.columns, seed);
    let dropped = Use::ALL[seed / 16 % Use::ALL.len()];
    rule.uses.remove(&dropped);
}

fn functions(documents: &mut Documents, seed: usize) {
    let functions = &mut documents.policy().method.functions;
    let dropped = functions.iter().nth(seed % functions.len().max(1)).copied();
    functions.retain(|function| Some(*function) != dropped);
}

const CONTROLS: &[(&str, Control)] = &[
    ("mask", mask),
    ("bins", bins),
    ("range", range),
    ("uses", uses),
    ("uses of the grant", |documents, seed| {
        let known = &mut documents.grant().datasets[0].uses;
        let mut kept = known.take().unwrap_or_else(|| Use::ALL.iter().copied().collect());
        kept.remove(&Use::ALL[seed % Use::ALL.len()]);
        *known = Some(kept);
    }),
    ("columns of the grant", |documents, seed| {
        let columns = documents.grant().datasets[0].columns.as_mut().unwrap();
        let dropped = columns.iter().nth(seed % columns.len()).cloned().unwrap();
        columns.remove(&dropped);
    }),
    ("functions", functions),
    ("subjects_min", subjects_min),
    ("dominance", dominance),
    ("rounding", rounding),
    ("perturbation", perturbation),
    ("cubes", cubes),
    ("epoch", |documents, seed| {
        let known = &mut documents.policy().method.controls.epoch;
        *known = (*known).max(Some(Epoch::ALL[seed % Epoch::ALL.len()]));
    }),
    ("cells_max", |documents, _| {
        let known = &mut documents.policy().method.controls.cells_max;
        *known = Some(known.map_or(100, |known| known / 2));
    }),
    ("row_filter", row_filter),
    ("grade", |documents, seed| stricter_grade(&mut nth(&mut documents.dataset().columns, seed).grade)),
    ("no grade", |documents, seed| nth(&mut documents.dataset().columns, seed).grade = None),
    ("membership", |documents, _| stricter_grade(&mut documents.dataset().membership)),
    ("max_rows_per_subject", |documents, seed| {
        let known = &mut documents.policy().method.max_rows_per_subject;
        let fewer = u32::try_from(seed % 20).unwrap() + 1;
        *known = Some(known.map_or(fewer, |known| known.min(fewer)));
    }),
    ("max_groups_per_subject", |documents, seed| {
        let known = &mut documents.policy().method.max_groups_per_subject;
        let fewer = u32::try_from(seed % 5).unwrap() + 1;
        *known = Some(known.map_or(fewer, |known| known.min(fewer)));
    }),
    ("privacy_budget", |documents, _| {
        // A policy that has none yet would open what needs one: that is a further policy's, which opens nothing.
        if let Some(known) = &mut documents.policy().method.privacy_budget {
            known.per_query_max /= 2.0;
            known.epsilon /= 2.0;
        }
    }),
    ("approvals", |documents, _| documents.policy().condition.approvals += 1),
    ("hours", hours),
    ("grade_max", |documents, _| {
        let known = &mut documents.policy().object.resources.grade_max;
        *known = Some(if known.is_none() { "L3" } else { "L2" }.to_owned());
    }),
    ("release", |documents, _| documents.policy().method.release = Release::None),
    ("join_with", |documents, _| documents.policy().condition.join_with.clear()),
];

/// True if one outcome allows only what the other allows too, control by control.
fn is_no_laxer(narrow: &EffectivePolicy, wide: &EffectivePolicy) -> Result<(), String> {
    for (level, floor) in &narrow.floors {
        let Some(other) = wide.floors.get(level) else { return Err(format!("{level} has a floor")) };
        if !floor.controls.is_at_least(&other.controls) || floor.release < other.release {
            return Err(format!("the floor of {level}"));
        }
    }
    for (id, dataset) in &narrow.datasets {
        let Some(other) = wide.datasets.get(id) else { return Err(format!("{id} is opened")) };
        dataset_is_no_laxer(dataset, other)?;
    }
    Ok(())
}

/// Datasets that are answered by differential privacy stay so, of a budget that is no larger, and no further grade opens.
fn is_no_laxer_budget(narrow: &EffectiveDataset, wide: &EffectiveDataset) -> bool {
    let is_kept = wide
        .privacy_budget
        .is_none_or(|wide| narrow.privacy_budget.is_some_and(|narrow| narrow.stricter(&wide) == narrow));
    is_kept && (wide.all_ask_for_privacy || !narrow.all_ask_for_privacy)
}

fn dataset_is_no_laxer(narrow: &EffectiveDataset, wide: &EffectiveDataset) -> Result<(), String> {
    let filters: BTreeSet<_> = narrow.row_filters.iter().collect();
    for (holds, what) in [
        (narrow.membership >= wide.membership, "membership"),
        (wide.row_filters.iter().all(|filter| filters.contains(filter)), "row filters"),
        (narrow.release >= wide.release, "release"),
        (narrow.functions.is_subset(&wide.functions), "functions"),
        (narrow.controls.is_at_least(&wide.controls), "controls"),
        (narrow.join_with.is_subset(&wide.join_with), "joins"),
        (narrow.max_rows_per_subject <= wide.max_rows_per_subject, "rows of a subject"),
        (narrow.max_groups_per_subject <= wide.max_groups_per_subject, "groups of a subject"),
        (is_no_laxer_budget(narrow, wide), "budget"),
        (narrow.units == wide.units, "units"),
        (
            narrow.usual_rows == wide.usual_rows
                && narrow.usual_rows_in == wide.usual_rows_in
                && narrow.is_updated == wide.is_updated,
            "facts",
        ),
    ] {
        if !holds {
            return Err(what.to_owned());
        }
    }
    for column in &narrow.columns {
        let Some(other) = wide.columns.iter().find(|other| other.name == column.name) else {
            return Err(format!("`{}` is opened", column.name));
        };
        column_is_no_laxer(column, other).map_err(|what| format!("{what} of `{}`", column.name))?;
    }
    Ok(())
}

fn column_is_no_laxer(narrow: &EffectiveColumn, wide: &EffectiveColumn) -> Result<(), String> {
    let masks_more = match (&narrow.mask, &wide.mask) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(narrow), Some(wide)) => *narrow == Mask::Redact || wide.coarser(narrow) == *narrow,
    };
    let clamps_more = !narrow.uses.contains(&Use::Aggregate)
        || wide.range.is_none_or(|(low, high)| narrow.range.is_some_and(|(l, h)| l >= low && h <= high));
    let bins_more = wide.bins.is_none_or(|bins| narrow.bins.is_some_and(|own| own.is_multiple_of(bins)));
    // A narrower range may cap the scale of the noise, and nothing else changes it.
    let capped = |usual: Fixed| narrow.range.map(|(low, high)| usual.min(low.larger_abs(high)));
    let scales_alike = narrow.usual == wide.usual.and_then(capped);
    for (holds, what) in [
        (narrow.uses.is_subset(&wide.uses), "uses"),
        (narrow.grade >= wide.grade, "grade"),
        (narrow.grade_after >= wide.grade_after, "grade after the mask"),
        (masks_more, "mask"),
        (clamps_more, "range"),
        (bins_more, "bins"),
        (narrow.role == wide.role && narrow.coded == wide.coded && narrow.scale == wide.scale, "facts"),
        (narrow.domain == wide.domain, "domain"),
        (scales_alike, "usual contribution"),
    ] {
        if !holds {
            return Err(what.to_owned());
        }
    }
    Ok(())
}

#[test]
fn each_control_of_the_property_changes_something() {
    let base = |word| BASES.iter().position(|(from, _)| from.contains(word)).unwrap() + VARIATIONS.len();
    let before = Documents::varied(&[base("hours"), base("privacy_budget")]).unwrap();
    let asked = before.ask().unwrap().unwrap();
    for (name, control) in CONTROLS {
        let changes = (0..160).any(|seed| {
            let mut after = before.clone();
            control(&mut after, seed);
            match after.ask() {
                None => false,
                Some(Err(_)) => true,
                Some(Ok(answer)) => answer.datasets != asked.datasets || answer.floors != asked.floors,
            }
        });
        assert!(changes, "{name}");
    }
}

proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(128))]

    /// Over random documents: one control more, or a stricter one, makes the outcome no laxer, and opens nothing.
    #[test]
    fn one_more_control_never_makes_a_policy_laxer(
        base in proptest::collection::vec(select((0..VARIATIONS.len() + BASES.len()).collect::<Vec<_>>()), 0..7),
        controls in proptest::collection::vec((select((0..CONTROLS.len()).collect::<Vec<_>>()), 0_usize..4_096), 1..4),
    ) {
        let varied = Documents::varied(&base);
        prop_assume!(varied.is_some());
        let mut documents = varied.unwrap();
        let mut before = documents.ask();
        for (choice, seed) in controls {
            let (name, control) = CONTROLS[choice];
            let known = documents.clone();
            control(&mut documents, seed);
            let after = documents.ask();
            match (&before, &after) {
                (_, None) => documents = known,
                (None | Some(Ok(_)), Some(Err(_))) | (None, Some(Ok(_))) => before = after,
                (Some(Err(before)), Some(Ok(_))) => {
                    prop_assert!(false, "{name} opens what was refused ({:?})", before.code);
                }
                (Some(Err(_)), Some(Err(_))) => {}
                (Some(Ok(wide)), Some(Ok(narrow))) => {
                    let judged = is_no_laxer(narrow, wide);
                    prop_assert!(judged.is_ok(), "{name} {seed}: laxer in {judged:?}");
                    before = after;
                }
            }
        }
    }
}

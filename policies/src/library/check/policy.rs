//! Checks of policies: known owner, datasets, purposes and columns; masks that fit; controls that this build has.
//! SQL in row filters and tests is checked by the guard.

use crate::document::AnyOr;
use crate::document::ColumnRule;
use crate::document::ControlsForm;
use crate::document::Dataset;
use crate::document::Expectation;
use crate::document::Method;
use crate::document::Policy;
use crate::document::Range;
use crate::document::Review;
use crate::document::SubjectsMin;
use crate::fixed::Fixed;
use crate::library::Library;
use crate::library::check::Findings;
use crate::library::check::accepted;
use crate::library::resolve::permille;
use crate::mask::Mask;
use crate::vocabulary::Code;
use crate::vocabulary::Release;
use crate::vocabulary::Role;

pub(super) fn check(library: &Library, policy: &Policy, findings: &mut Findings<'_>) {
    check_object(library, policy, findings);
    check_condition(library, policy, findings);
    let datasets: Vec<&Dataset> =
        policy.object.resources.datasets.iter().filter_map(|id| library.datasets().get(id)).collect();
    for (index, rule) in policy.content.columns.iter().enumerate() {
        let field = format!("content.columns[{index}]");
        check_match(library, rule, &datasets, &field, findings);
        check_mask(library, rule, &datasets, &field, findings);
        check_range(rule, &datasets, &field, findings);
    }
    check_method(&policy.method, &datasets, findings);
    check_tests(library, policy, findings);
}

fn check_object(library: &Library, policy: &Policy, findings: &mut Findings<'_>) {
    check_department(library, &policy.owner, "owner", findings);
    if let (Some(from), Some(until)) = (policy.effective.from, policy.effective.until)
        && from > until
    {
        let help = "accepted: the earlier day first";
        findings.add("range-reversed", "effective", "the policy ends before it begins", help);
    }
    let subjects = &policy.object.subjects;
    if subjects.roles.is_empty() {
        findings.add("role-missing", "object.subjects.roles", "no role is named", "accepted: [analyst]");
    }
    for (field, list) in [("departments", &subjects.departments), ("districts", &subjects.districts)] {
        if let AnyOr::Only(codes) = list {
            for (index, code) in codes.iter().enumerate() {
                check_department(library, code, &format!("object.subjects.{field}[{index}]"), findings);
            }
        }
    }
    let resources = &policy.object.resources;
    if resources.datasets.is_empty() {
        findings.add("dataset-missing", "object.resources.datasets", "no dataset is named", "");
    }
    for (index, id) in resources.datasets.iter().enumerate() {
        let field = format!("object.resources.datasets[{index}]");
        let Some(dataset) = library.datasets().get(id) else {
            let message = format!("there is no dataset `{id}`");
            findings.add("dataset-not-found", &field, message, &accepted(library.datasets().keys()));
            continue;
        };
        if dataset.department != policy.owner {
            let message = format!("`{id}` belongs to another department than the owner");
            findings.add("not-the-owner", &field, message, "accepted: datasets of the owner");
        }
        if let Some(grade) = &resources.grade_max {
            check_grade(library, dataset, grade, "object.resources.grade_max", findings);
        }
    }
}

fn check_department(library: &Library, code: &Code, field: &str, findings: &mut Findings<'_>) {
    if !library.departments().contains_key(code) {
        let message = format!("there is no department `{code}`");
        findings.add("department-not-found", field, message, &accepted(library.departments().keys()));
    }
}

fn check_grade(library: &Library, dataset: &Dataset, grade: &str, field: &str, findings: &mut Findings<'_>) {
    if library.level(&dataset.scheme, grade).is_none() {
        let words =
            library.schemes().get(&dataset.scheme).map(|scheme| scheme.levels.iter().map(|l| &l.code));
        let message = format!("`{}` has no grade `{grade}`", dataset.scheme);
        findings.add("grade-not-found", field, message, &accepted(words.into_iter().flatten()));
    }
}

fn check_purpose(library: &Library, code: &Code, field: &str, findings: &mut Findings<'_>) {
    if !library.purposes().contains_key(code) {
        let message = format!("there is no purpose `{code}`");
        findings.add("purpose-not-found", field, message, &accepted(library.purposes().keys()));
    }
}

fn check_condition(library: &Library, policy: &Policy, findings: &mut Findings<'_>) {
    let condition = &policy.condition;
    if condition.purposes.is_empty() {
        findings.add("purpose-missing", "condition.purposes", "no purpose is named", "");
    }
    for (index, code) in condition.purposes.iter().enumerate() {
        check_purpose(library, code, &format!("condition.purposes[{index}]"), findings);
    }
    for (index, join) in condition.join_with.iter().enumerate() {
        let field = format!("condition.join_with[{index}]");
        let Some(other) = library.datasets().get(&join.dataset) else {
            let message = format!("there is no dataset `{}`", join.dataset);
            findings.add("dataset-not-found", &field, message, &accepted(library.datasets().keys()));
            continue;
        };
        let own = policy.object.resources.datasets.iter().filter_map(|id| library.datasets().get(id));
        // One side may be an open register without subjects; one of the two must carry the unit.
        let carried = other.units.iter().chain(own.flat_map(|d| &d.units)).any(|unit| unit.kind == join.unit);
        if !carried {
            let message = format!("neither side carries the unit `{}`", join.unit);
            let help = accepted(other.units.iter().map(|unit| &unit.kind));
            findings.add("unit-missing", &format!("{field}.unit"), message, &help);
        }
    }
}

fn check_match(
    library: &Library,
    rule: &ColumnRule,
    datasets: &[&Dataset],
    field: &str,
    findings: &mut Findings<'_>,
) {
    let field = format!("{field}.match");
    let columns = || datasets.iter().flat_map(|dataset| &dataset.columns);
    if rule.matches == crate::document::ColumnMatch::default() {
        let help = "accepted: role, type, name or grade";
        findings.add("match-empty", &field, "the rule matches nothing", help);
    }
    if let Some(name) = &rule.matches.name
        && !datasets.is_empty()
        && !columns().any(|column| column.name == *name)
    {
        let message = format!("no dataset of the policy has a column `{name}`");
        let help = accepted(columns().map(|column| &column.name));
        findings.add("column-not-found", &format!("{field}.name"), message, &help);
    }
    if let Some(semantic) = &rule.matches.semantic {
        let used = columns().any(|column| column.semantic.as_ref() == Some(semantic));
        if !semantic.is_known() && !used {
            let message = format!("`{semantic}` is no known semantic type and no column has it");
            let help = accepted(crate::vocabulary::Semantic::KNOWN);
            findings.add("semantic-not-found", &format!("{field}.type"), message, &help);
        }
    }
    if let Some(grade) = &rule.matches.grade {
        for dataset in datasets {
            check_grade(library, dataset, grade, &format!("{field}.grade"), findings);
        }
    }
}

fn check_mask(
    library: &Library,
    rule: &ColumnRule,
    datasets: &[&Dataset],
    field: &str,
    findings: &mut Findings<'_>,
) {
    let after_field = format!("{field}.grade_after");
    let Some(form) = &rule.mask else {
        if rule.grade_after.is_some() {
            findings.add(
                "mask-missing",
                &after_field,
                "only a mask changes a grade",
                "accepted: with `mask`",
            );
        }
        return;
    };
    let mask_field = format!("{field}.mask");
    let mask = match library.mask(form) {
        Ok(mask) => mask,
        Err(problem) => return findings.add(problem.code, &mask_field, problem.message, &problem.help),
    };
    for dataset in datasets {
        let matched = dataset.columns.iter().filter(|column| rule.matches.covers(dataset, column));
        for column in matched {
            if dataset.role_of(column) == Role::UnitKey && mask != Mask::Redact {
                let message = format!("the unit key `{}` is a pseudonym already", column.name);
                findings.add("mask-unfit", &mask_field, message, "accepted: no mask, or redact");
            } else if !mask.fits(column.physical_type()) {
                let message =
                    format!("{} does not fit `{}`, which is {}", mask.name(), column.name, column.data_type);
                findings.add("mask-unfit", &mask_field, message, "");
            }
            let after = rule.grade_after.as_ref().and_then(|word| library.level(&dataset.scheme, word));
            if after > library.column_level(dataset, column) {
                let message = format!("the mask makes the grade of `{}` stricter", column.name);
                findings.add("grade-rises", &after_field, message, "accepted: a grade that is no stricter");
            }
        }
        if let Mask::DateShift { per, .. } = &mask
            && !dataset.carries(per)
        {
            let message = format!("`{}` carries no protected unit `{per}`", dataset.metadata.id);
            let help = accepted(dataset.units.iter().map(|unit| &unit.kind));
            findings.add("unit-missing", &mask_field, message, &help);
        }
        if let Some(word) = &rule.grade_after {
            check_grade(library, dataset, word, &after_field, findings);
        }
    }
}

fn check_range(rule: &ColumnRule, datasets: &[&Dataset], field: &str, findings: &mut Findings<'_>) {
    let range_field = format!("{field}.range");
    let bins_field = format!("{field}.bins");
    if let Some(range) = rule.range
        && range.0 >= range.1
    {
        let help = "accepted: the smaller number first";
        return findings.add("range-reversed", &range_field, "the range is reversed or empty", help);
    }
    if rule.range.is_none() && rule.bins.is_none() {
        return;
    }
    for dataset in datasets {
        for column in dataset.columns.iter().filter(|column| rule.matches.covers(dataset, column)) {
            if !column.physical_type().is_numeric() {
                let message = format!("`{}` is {}, which has no range", column.name, column.data_type);
                findings.add("range-unfit", &range_field, message, "accepted types: int, decimal, float");
                continue;
            }
            let bins = rule.bins.or(column.bins);
            let range = rule.range.or(column.range);
            if let Some(bins) = bins
                && !is_on_grid(bins, range, column.range, column.bins)
            {
                let message = format!("bins of {bins} do not divide the range of `{}`", column.name);
                let help = "accepted: bins and edges that are multiples of the dataset's bins";
                findings.add("bins-unfit", &bins_field, message, help);
            }
        }
    }
}

/// Bins must divide the range, and lie on the grid that the dataset declares.
fn is_on_grid(bins: Fixed, range: Option<Range>, declared: Option<Range>, grid: Option<Fixed>) -> bool {
    let Some(range) = range else { return false };
    let divides = range.1.checked_sub(range.0).is_some_and(|width| width.is_multiple_of(bins));
    let coarser = grid.is_none_or(|grid| bins.is_multiple_of(grid));
    let aligned = match (declared, grid) {
        (Some(declared), Some(grid)) => {
            range.0.checked_sub(declared.0).is_some_and(|offset| offset.is_multiple_of(grid))
        }
        _ => true,
    };
    divides && coarser && aligned
}

fn check_method(method: &Method, datasets: &[&Dataset], findings: &mut Findings<'_>) {
    check_controls(&method.controls, "method.controls", findings);
    let not_built = [
        (method.controls.perturbation.is_some(), "method.controls.perturbation", "cell-key noise"),
        (method.privacy_budget.is_some(), "method.privacy_budget", "differential privacy"),
        (method.quota.is_some(), "method.quota", "quota of released cells"),
        (method.review != Review::None, "method.review", "review of results"),
    ];
    for (asked, field, control) in not_built {
        if asked {
            let message = format!("this build has no {control}");
            let help = "accepted: subjects_min, dominance, rounding, tolerance, cells_max";
            findings.add("control-not-available", field, message, help);
        }
    }
    if let Some(SubjectsMin::ByUnit(by_unit)) = &method.controls.subjects_min {
        let kinds = || datasets.iter().flat_map(|dataset| &dataset.units).map(|unit| &unit.kind);
        // A joined dataset may bring units of its own, so a kind that nobody carries is only refused as a misspelling
        // when none of the named kinds is carried.
        if !datasets.is_empty()
            && kinds().next().is_some()
            && !by_unit.keys().any(|k| kinds().any(|x| x == k))
        {
            let message = "no dataset of the policy carries these units";
            findings.add("unit-missing", "method.controls.subjects_min", message, &accepted(kinds()));
        }
    }
    if method.release == Release::Aggregates && method.functions.is_empty() {
        findings.add("function-missing", "method.functions", "no function is allowed", "accepted: [count]");
    }
    if method.max_rows_per_subject == Some(0) {
        findings.add(
            "limit-zero",
            "method.max_rows_per_subject",
            "the limit is zero",
            "accepted: 1 and more",
        );
    }
}

/// Checks the numbers of controls.
pub(super) fn check_controls(controls: &ControlsForm, field: &str, findings: &mut Findings<'_>) {
    let least = match &controls.subjects_min {
        None => None,
        Some(SubjectsMin::All(subjects)) => Some(*subjects),
        Some(SubjectsMin::ByUnit(by_unit)) => Some(by_unit.values().copied().min().unwrap_or(0)),
    };
    if least == Some(0) {
        let message = "a threshold of no subjects protects nobody";
        findings.add("limit-zero", &format!("{field}.subjects_min"), message, "accepted: 1 and more");
    }
    if let Some(dominance) = &controls.dominance {
        let share = permille(dominance.share_max);
        if dominance.n == 0 || share.is_none_or(|share| share == 0) || dominance.p_percent > 100 {
            let message = "the dominance rule has no meaning";
            let help = "accepted: n from 1, share_max from 0.001 to 1 with three places, p_percent up to 100";
            findings.add("limit-unfit", &format!("{field}.dominance"), message, help);
        }
    }
    if controls.rounding.as_ref().is_some_and(|rounding| rounding.base == 0) {
        let help = "accepted: 1 and more";
        findings.add("limit-zero", &format!("{field}.rounding.base"), "the base is zero", help);
    }
    if controls.cells_max == Some(0) {
        findings.add(
            "limit-zero",
            &format!("{field}.cells_max"),
            "no cell may leave",
            "accepted: 1 and more",
        );
    }
    if controls.tolerance.is_some_and(|share| share < Fixed::ZERO || share > Fixed::ONE) {
        let message = "the tolerance is a share";
        findings.add("limit-unfit", &format!("{field}.tolerance"), message, "accepted: from 0 to 1");
    }
}

fn check_tests(library: &Library, policy: &Policy, findings: &mut Findings<'_>) {
    for (index, test) in policy.tests.iter().enumerate() {
        let field = format!("tests[{index}]");
        check_department(library, &test.person.department, &format!("{field}.as.department"), findings);
        check_purpose(library, &test.person.purpose, &format!("{field}.as.purpose"), findings);
        if test.expect == Expectation::Admitted && test.code.is_some() {
            let message = "what is admitted has no refusal code";
            findings.add("code-unfit", &format!("{field}.code"), message, "accepted: with `expect: refused`");
        }
        if test.sql.trim().is_empty() {
            findings.add("sql-missing", &format!("{field}.sql"), "the query is empty", "");
        }
    }
}

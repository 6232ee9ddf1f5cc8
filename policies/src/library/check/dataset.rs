//! Checks of datasets: known department and scheme, columns that make sense, units whose columns exist.
//! The data itself is checked when it is sealed.

use std::collections::BTreeSet;

use crate::document::Column;
use crate::document::Dataset;
use crate::document::Layout;
use crate::document::Registration;
use crate::document::TypeWord;
use crate::library::Library;
use crate::library::check::Findings;
use crate::library::check::accepted;
use crate::vocabulary::Role;

/// Most decimal places: sealed decimals have 18 digits.
const SCALE_MAX: u8 = 18;

pub(super) fn check(library: &Library, dataset: &Dataset, findings: &mut Findings<'_>) {
    if dataset.metadata.id.department() != dataset.department.as_str() {
        let message = "the identifier begins with another department".to_owned();
        let help = format!("accepted: {}.{}", dataset.department, dataset.metadata.id.name());
        findings.add("department-differs", "metadata.id", message, &help);
    }
    if !library.departments().contains_key(&dataset.department) {
        let message = format!("there is no department `{}`", dataset.department);
        findings.add("department-not-found", "department", message, &accepted(library.departments().keys()));
    }
    if library.schemes().contains_key(&dataset.scheme) {
        if let Some(grade) = &dataset.membership {
            check_grade(library, dataset, grade, "membership", findings);
        }
    } else {
        let message = format!("there is no grade scheme `{}`", dataset.scheme);
        findings.add("scheme-not-found", "scheme", message, &accepted(library.schemes().keys()));
    }
    if dataset.columns.is_empty() {
        findings.add(
            "columns-missing",
            "columns",
            "the dataset has no column",
            "accepted: one column and more",
        );
    }
    let mut names = BTreeSet::new();
    for (index, column) in dataset.columns.iter().enumerate() {
        let field = format!("columns[{index}]");
        if !names.insert(&column.name) {
            let message = format!("the column `{}` is there twice", column.name);
            findings.add("column-twice", &format!("{field}.name"), message, "");
        }
        check_column(library, dataset, column, &field, findings);
    }
    if dataset.covers.is_some_and(|covers| !covers.is_in_order()) {
        let message = "the last month is before the first";
        findings.add("months-reversed", "covers", message, "accepted: {from: 2025-01, until: 2025-12}");
    }
    check_units(dataset, findings);
    let has_subjects = dataset.units.iter().any(|unit| unit.protects);
    if dataset.layout == Some(Layout::Clustered) && !has_subjects {
        let message = "rows are clustered by a protected unit, and there is none";
        findings.add("layout-unfit", "layout", message, "accepted: arrival");
    }
}

fn check_grade(library: &Library, dataset: &Dataset, grade: &str, field: &str, findings: &mut Findings<'_>) {
    let Some(scheme) = library.schemes().get(&dataset.scheme) else { return };
    match scheme.levels.iter().find(|level| level.code == grade) {
        None => {
            let message = format!("`{}` has no grade `{grade}`", dataset.scheme);
            findings.add("grade-not-found", field, message, &accepted(scheme.levels.iter().map(|l| &l.code)));
        }
        Some(level) if level.registration == Registration::Refused => {
            let message = format!("data of grade `{grade}` may not be registered");
            findings.add("registration-refused", field, message, "keep such data where it is");
        }
        Some(_) => {}
    }
}

fn check_column(
    library: &Library,
    dataset: &Dataset,
    column: &Column,
    field: &str,
    findings: &mut Findings<'_>,
) {
    if let Some(grade) = &column.grade {
        check_grade(library, dataset, grade, &format!("{field}.grade"), findings);
    }
    match (column.data_type, column.scale) {
        (TypeWord::Decimal, None) => {
            findings.add(
                "scale-missing",
                field,
                "a decimal needs its `scale`",
                "accepted: scale from 0 to 18",
            );
        }
        (TypeWord::Decimal | TypeWord::Float, Some(scale)) if scale > SCALE_MAX => {
            let message = "there are not so many places";
            findings.add("scale-unfit", &format!("{field}.scale"), message, "accepted: scale from 0 to 18");
        }
        (TypeWord::Decimal | TypeWord::Float, _) | (_, None) => {}
        (_, Some(_)) => {
            let message = "only decimals and floats have a `scale`";
            findings.add("scale-unfit", &format!("{field}.scale"), message, "");
        }
    }
    if column.role == Role::Measure && !column.physical_type().is_numeric() {
        let message = "a measure is a number";
        findings.add("role-unfit", &format!("{field}.role"), message, "accepted types: int, decimal, float");
    }
    if column.coded && column.data_type != TypeWord::Text {
        let help = "accepted: type text, so that leading zeros stay";
        findings.add("coded-unfit", &format!("{field}.coded"), "codes are text", help);
    }
    if column.role == Role::UnitKey && dataset.unit_of(&column.name).is_none() {
        let message = "no unit names this key";
        findings.add("unit-missing", &format!("{field}.role"), message, "accepted: an entry under `units`");
    }
    if let Some(domain) = &column.domain {
        let distinct: BTreeSet<_> = domain.iter().collect();
        if domain.is_empty() || distinct.len() != domain.len() {
            let message = "the domain is empty or has a value twice";
            findings.add("domain-unfit", &format!("{field}.domain"), message, "");
        }
    }
    check_range(column, field, findings);
}

fn check_range(column: &Column, field: &str, findings: &mut Findings<'_>) {
    let range_field = format!("{field}.range");
    let bins_field = format!("{field}.bins");
    let numeric = column.physical_type().is_numeric();
    if !numeric && (column.range.is_some() || column.bins.is_some()) {
        let help = "accepted types: int, decimal, float";
        findings.add("range-unfit", field, "only numbers have a range and bins", help);
        return;
    }
    let Some(range) = column.range else {
        if column.bins.is_some() {
            findings.add("range-missing", &bins_field, "bins need a range", "accepted: range: [0, 50000]");
        }
        return;
    };
    if range.0 >= range.1 {
        let help = "accepted: the smaller number first";
        findings.add("range-reversed", &range_field, "the range is reversed or empty", help);
        return;
    }
    let fits = [range.0, range.1].iter().all(|edge| edge.to_scaled(column.sum_scale()).is_some());
    if !fits {
        let message = "an edge has more places than the column";
        findings.add("range-unfit", &range_field, message, "");
    }
    let width = range.1.checked_sub(range.0);
    if let (Some(bins), Some(width)) = (column.bins, width)
        && !(width.is_multiple_of(bins) && range.0.is_multiple_of(bins))
    {
        // Steps of `floor(column / c) * c` count from zero: another grid would cut every bin in two.
        let message = format!("bins of {bins} do not divide the range into steps from zero");
        findings.add(
            "bins-unfit",
            &bins_field,
            message,
            "accepted: a width that divides both ends of the range",
        );
    }
}

fn check_units(dataset: &Dataset, findings: &mut Findings<'_>) {
    let mut columns = BTreeSet::new();
    for (index, unit) in dataset.units.iter().enumerate() {
        let field = format!("units[{index}]");
        let column_field = format!("{field}.column");
        if !columns.insert(&unit.column) {
            let message = format!("`{}` is the key of two units", unit.column);
            findings.add("unit-twice", &column_field, message, "accepted: one key column for each unit");
        }
        match dataset.column(unit.column.as_str()) {
            None => {
                let message = format!("the dataset has no column `{}`", unit.column);
                let help = accepted(dataset.columns.iter().map(|c| &c.name));
                findings.add("unit-column-missing", &column_field, message, &help);
            }
            Some(column) if unit.protects && column.role != Role::UnitKey => {
                let message = format!("`{}` is the key of a protected unit", unit.column);
                findings.add("role-unfit", &column_field, message, "accepted: role: unit_key");
            }
            Some(column) if unit.protects && column.data_type != TypeWord::Text => {
                let message = "identifiers are text before they are sealed";
                findings.add("type-unfit", &column_field, message, "accepted: type: text");
            }
            Some(_) => {}
        }
        let has_reason = unit.reason.as_ref().is_some_and(|reason| !reason.trim().is_empty());
        if !unit.protects && !has_reason {
            let message = "a unit that is not protected needs a reason";
            findings.add("reason-missing", &field, message, "accepted: reason: \"public hospitals\"");
        }
    }
}

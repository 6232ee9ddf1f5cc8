//! Checks of departments, purposes, grants, exceptions and applications.
//! What a grant may do is decided by policies, when it is used.

use std::collections::BTreeSet;

use crate::document::Application;
use crate::document::Department;
use crate::document::Exception;
use crate::document::Grant;
use crate::document::Purpose;
use crate::library::Library;
use crate::library::check::Findings;
use crate::library::check::accepted;
use crate::library::check::policy;
use crate::vocabulary::Code;
use crate::vocabulary::DatasetId;

/// Fewest different people who approve an exception.
const EXCEPTION_APPROVERS_MIN: usize = 2;

pub(super) fn check_department(library: &Library, department: &Department, findings: &mut Findings<'_>) {
    if let Some(parent) = &department.parent {
        match library.departments().get(parent) {
            None => {
                let message = format!("there is no department `{parent}`");
                findings.add(
                    "department-not-found",
                    "parent",
                    message,
                    &accepted(library.departments().keys()),
                );
            }
            // Levels that only fall towards the leaves leave no room for a circle.
            Some(above) if above.level >= department.level => {
                let message = format!("`{parent}` does not lie above");
                let help = "accepted: province over city over district over department";
                findings.add("department-unfit", "parent", message, help);
            }
            Some(_) => {}
        }
    }
    if let Some(region) = &department.region
        && (region.len() != 6 || !region.bytes().all(|b| b.is_ascii_digit()))
    {
        let message = format!("`{region}` is no administrative code");
        findings.add("region-unfit", "region", message, "accepted: six digits, such as \"330100\"");
    }
}

pub(super) fn check_purpose(purpose: &Purpose, findings: &mut Findings<'_>) {
    if purpose.legal_basis.is_empty() {
        let help = "accepted: [{law: PIPL, article: \"13\"}]";
        findings.add("legal-basis-missing", "legal_basis", "a purpose rests on a law", help);
    }
}

fn check_purpose_code(library: &Library, code: &Code, findings: &mut Findings<'_>) {
    if !library.purposes().contains_key(code) {
        let message = format!("there is no purpose `{code}`");
        findings.add("purpose-not-found", "purpose", message, &accepted(library.purposes().keys()));
    }
}

fn check_dataset(library: &Library, id: &DatasetId, field: &str, findings: &mut Findings<'_>) {
    if !library.datasets().contains_key(id) {
        let message = format!("there is no dataset `{id}`");
        findings.add("dataset-not-found", field, message, &accepted(library.datasets().keys()));
    }
}

pub(super) fn check_grant(library: &Library, grant: &Grant, findings: &mut Findings<'_>) {
    check_purpose_code(library, &grant.purpose, findings);
    if grant.person.trim().is_empty() {
        findings.add("person-missing", "person", "nobody is named", "");
    }
    if grant.from.is_some_and(|from| from > grant.until) {
        findings.add("range-reversed", "until", "the grant ends before it begins", "");
    }
    if grant.approved_by.contains(&grant.person) {
        let message = "nobody approves their own request";
        findings.add("approver-unfit", "approved_by", message, "accepted: a steward who is somebody else");
    }
    if grant.datasets.is_empty() {
        findings.add("dataset-missing", "datasets", "no dataset is named", "");
    }
    let mut seen = BTreeSet::new();
    for (index, granted) in grant.datasets.iter().enumerate() {
        let field = format!("datasets[{index}]");
        check_dataset(library, &granted.dataset, &format!("{field}.dataset"), findings);
        if !seen.insert(&granted.dataset) {
            let message = format!("`{}` is there twice", granted.dataset);
            findings.add("dataset-twice", &field, message, "accepted: each dataset once");
        }
        let Some(dataset) = library.datasets().get(&granted.dataset) else { continue };
        for name in granted.columns.iter().flatten() {
            if dataset.column(name.as_str()).is_none() {
                let message = format!("`{}` has no column `{name}`", granted.dataset);
                let help = accepted(dataset.columns.iter().map(|column| &column.name));
                findings.add("column-not-found", &format!("{field}.columns"), message, &help);
            }
        }
    }
}

pub(super) fn check_exception(library: &Library, exception: &Exception, findings: &mut Findings<'_>) {
    check_purpose_code(library, &exception.purpose, findings);
    if exception.reason.trim().is_empty() {
        findings.add("reason-missing", "reason", "an exception needs a reason", "");
    }
    if exception.from > exception.until {
        findings.add("range-reversed", "until", "the exception ends before it begins", "");
    }
    let people: BTreeSet<&str> =
        exception.approved_by.iter().map(|approver| approver.person.trim()).collect();
    if people.len() < EXCEPTION_APPROVERS_MIN || people.contains("") {
        let message = "an exception needs two different approvers";
        findings.add("approver-unfit", "approved_by", message, "accepted: a steward and compliance");
    }
    for (index, approver) in exception.approved_by.iter().enumerate() {
        if !library.departments().contains_key(&approver.department) {
            let message = format!("there is no department `{}`", approver.department);
            let help = accepted(library.departments().keys());
            let field = format!("approved_by[{index}].department");
            findings.add("department-not-found", &field, message, &help);
        }
    }
    if exception.datasets.is_empty() {
        findings.add("dataset-missing", "datasets", "no dataset is named", "");
    }
    for (index, id) in exception.datasets.iter().enumerate() {
        let field = format!("datasets[{index}]");
        check_dataset(library, id, &field, findings);
        let Some(dataset) = library.datasets().get(id) else { continue };
        if library.level(&dataset.scheme, &exception.grade).is_none() {
            let message = format!("`{}` has no grade `{}`", dataset.scheme, exception.grade);
            findings.add("grade-not-found", "grade", message, "");
        }
    }
    policy::check_controls(&exception.controls, "controls", findings);
    if exception.controls.perturbation.is_some() {
        let message = "this build has no cell-key noise";
        findings.add("control-not-available", "controls.perturbation", message, "");
    }
}

pub(super) fn check_application(library: &Library, application: &Application, findings: &mut Findings<'_>) {
    check_purpose_code(library, &application.purpose, findings);
    for (index, id) in application.datasets.iter().enumerate() {
        check_dataset(library, id, &format!("datasets[{index}]"), findings);
    }
    if application.sql.trim().is_empty() {
        findings.add("sql-missing", "sql", "the query is empty", "");
    }
    if application.approved_by.contains(&application.author) {
        findings.add("approver-unfit", "approved_by", "nobody approves their own application", "");
    }
    let mut names = BTreeSet::new();
    for (index, parameter) in application.parameters.iter().enumerate() {
        let field = format!("parameters[{index}]");
        if !names.insert(&parameter.name) {
            let message = format!("the parameter `{}` is there twice", parameter.name);
            findings.add("parameter-twice", &field, message, "");
        }
        if parameter.range.is_some_and(|range| range.0 >= range.1) {
            let help = "accepted: the smaller number first";
            findings.add("range-reversed", &format!("{field}.range"), "the range is reversed", help);
        }
        if !application.sql.contains(&format!("${}", parameter.name)) {
            let message = format!("the query does not use `${}`", parameter.name);
            findings.add("parameter-unused", &field, message, "");
        }
    }
}

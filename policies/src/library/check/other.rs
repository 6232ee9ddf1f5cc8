//! Checks of departments, purposes, grants, exceptions and applications.
//! Policies decide what a grant may do, when it is used.

use std::collections::BTreeSet;

use crate::document::Application;
use crate::document::Department;
use crate::document::Exception;
use crate::document::Grant;
use crate::document::Purpose;
use crate::library::Library;
use crate::library::check::DATASET;
use crate::library::check::DEPARTMENT;
use crate::library::check::Findings;
use crate::library::check::PURPOSE;
use crate::library::check::accepted;
use crate::library::check::policy;
use crate::vocabulary::Text;

/// Fewest different people who approve an exception.
const EXCEPTION_APPROVERS_MIN: usize = 2;

pub(super) fn check_department(library: &Library, department: &Department, findings: &mut Findings<'_>) {
    // Levels that only fall towards the leaves leave no room for a circle.
    if let Some(parent) = &department.parent
        && let Some(above) = findings.found(DEPARTMENT, library.departments(), parent, "parent")
        && above.level >= department.level
    {
        let message = Text::new(format!("`{parent}` does not lie above"), format!("`{parent}` 不是上级"));
        let help = Text::new(
            "accepted: province over city over district over department",
            "可用：上级依次为 province、city、district、department",
        );
        findings.add("department-unfit", "parent", message, help);
    }
    if let Some(region) = &department.region
        && (region.len() != 6 || !region.bytes().all(|b| b.is_ascii_digit()))
    {
        let message = Text::new(
            format!("`{region}` is no administrative code"),
            format!("`{region}` 不是行政区划代码"),
        );
        findings.add(
            "region-unfit",
            "region",
            message,
            Text::new("accepted: six digits, such as \"330100\"", "可用：六位数字，如 \"330100\""),
        );
    }
}

pub(super) fn check_purpose(purpose: &Purpose, findings: &mut Findings<'_>) {
    if purpose.legal_basis.is_empty() {
        let help =
            Text::new("accepted: [{law: PIPL, article: \"13\"}]", "可用：[{law: PIPL, article: \"13\"}]");
        findings.add(
            "legal-basis-missing",
            "legal_basis",
            Text::new("a purpose rests on a law", "用途须有法律依据"),
            help,
        );
    }
}

pub(super) fn check_grant(library: &Library, grant: &Grant, findings: &mut Findings<'_>) {
    findings.found(PURPOSE, library.purposes(), &grant.purpose, "purpose");
    if grant.person.trim().is_empty() {
        findings.add("person-missing", "person", Text::new("nobody is named", "没有写明人员"), None);
    }
    if grant.from.is_some_and(|from| from > grant.until) {
        findings.add(
            "range-reversed",
            "until",
            Text::new("the grant ends before it begins", "授权的末日早于首日"),
            None,
        );
    }
    if grant.approved_by.contains(&grant.person) {
        let message = Text::new("nobody approves their own request", "不得批准自己的申请");
        findings.add(
            "approver-unfit",
            "approved_by",
            message,
            Text::new("accepted: a steward who is somebody else", "可用：本人以外的数据管理员"),
        );
    }
    if grant.datasets.is_empty() {
        findings.add("dataset-missing", "datasets", Text::new("no dataset is named", "没有写明数据集"), None);
    }
    let mut seen = BTreeSet::new();
    for (index, granted) in grant.datasets.iter().enumerate() {
        let field = format!("datasets[{index}]");
        findings.found(DATASET, library.datasets(), &granted.dataset, &format!("{field}.dataset"));
        if !seen.insert(&granted.dataset) {
            let message = Text::new(
                format!("`{}` is there twice", granted.dataset),
                format!("`{}` 重复出现", granted.dataset),
            );
            findings.add(
                "dataset-twice",
                &field,
                message,
                Text::new("accepted: each dataset once", "可用：每个数据集一次"),
            );
        }
        let Some(dataset) = library.datasets().get(&granted.dataset) else { continue };
        for name in granted.columns.iter().flatten() {
            if dataset.column(name.as_str()).is_none() {
                let message = Text::new(
                    format!("`{}` has no column `{name}`", granted.dataset),
                    format!("`{}` 没有字段 `{name}`", granted.dataset),
                );
                let help = accepted(dataset.columns.iter().map(|column| &column.name));
                findings.add("column-not-found", &format!("{field}.columns"), message, help);
            }
        }
    }
}

pub(super) fn check_exception(library: &Library, exception: &Exception, findings: &mut Findings<'_>) {
    findings.found(PURPOSE, library.purposes(), &exception.purpose, "purpose");
    if exception.reason.trim().is_empty() {
        findings.add(
            "reason-missing",
            "reason",
            Text::new("an exception needs a reason", "例外须说明理由"),
            None,
        );
    }
    if exception.from > exception.until {
        findings.add(
            "range-reversed",
            "until",
            Text::new("the exception ends before it begins", "例外的末日早于首日"),
            None,
        );
    }
    let people: BTreeSet<&str> =
        exception.approved_by.iter().map(|approver| approver.person.trim()).collect();
    if people.len() < EXCEPTION_APPROVERS_MIN || people.contains("") {
        let message = Text::new("an exception needs two different approvers", "例外须有两名不同的批准人");
        findings.add(
            "approver-unfit",
            "approved_by",
            message,
            Text::new("accepted: a steward and compliance", "可用：一名数据管理员和一名合规人员"),
        );
    }
    for (index, approver) in exception.approved_by.iter().enumerate() {
        let field = format!("approved_by[{index}].department");
        findings.found(DEPARTMENT, library.departments(), &approver.department, &field);
    }
    if exception.datasets.is_empty() {
        findings.add("dataset-missing", "datasets", Text::new("no dataset is named", "没有写明数据集"), None);
    }
    for (index, id) in exception.datasets.iter().enumerate() {
        let field = format!("datasets[{index}]");
        let Some(dataset) = findings.found(DATASET, library.datasets(), id, &field) else { continue };
        if library.level(&dataset.scheme, &exception.grade).is_none() {
            let message = Text::new(
                format!("`{}` has no grade `{}`", dataset.scheme, exception.grade),
                format!("`{}` 中没有分级 `{}`", dataset.scheme, exception.grade),
            );
            findings.add("grade-not-found", "grade", message, None);
        }
    }
    policy::check_controls(&exception.controls, "controls", findings);
    policy::check_no_cubes(&exception.controls, "controls", findings);
    if exception.controls.epoch.is_some() {
        let message = Text::new(
            "a version opens to everybody at once, so that no exception for one purpose opens it earlier",
            "版本对所有人同时开放，针对某一用途的例外不能使其提前开放",
        );
        findings.add(
            "epoch-unfit",
            "controls.epoch",
            message,
            Text::new("accepted: no `epoch`", "可用：不写 `epoch`"),
        );
    }
    if exception.controls.perturbation.is_some() {
        let message =
            Text::new("an exception does not lower noise in this build", "在此版本中，例外不能降低噪声");
        let help = Text::new("accepted: no `perturbation`", "可用：不写 `perturbation`");
        findings.add("control-not-available", "controls.perturbation", message, help);
    }
}

pub(super) fn check_application(library: &Library, application: &Application, findings: &mut Findings<'_>) {
    findings.found(PURPOSE, library.purposes(), &application.purpose, "purpose");
    for (index, id) in application.datasets.iter().enumerate() {
        findings.found(DATASET, library.datasets(), id, &format!("datasets[{index}]"));
    }
    if application.sql.trim().is_empty() {
        findings.add("sql-missing", "sql", Text::new("the query is empty", "查询为空"), None);
    }
    if application.approved_by.contains(&application.author) {
        findings.add(
            "approver-unfit",
            "approved_by",
            Text::new("nobody approves their own application", "不得批准自己的应用"),
            None,
        );
    }
    let mut names = BTreeSet::new();
    for (index, parameter) in application.parameters.iter().enumerate() {
        let field = format!("parameters[{index}]");
        if !names.insert(&parameter.name) {
            let message = Text::new(
                format!("the parameter `{}` is there twice", parameter.name),
                format!("参数 `{}` 重复出现", parameter.name),
            );
            findings.add("parameter-twice", &field, message, None);
        }
        if parameter.range.is_some_and(|range| range.0 >= range.1) {
            let help = Text::new("accepted: the smaller number first", "可用：较小的数在前");
            findings.add(
                "range-reversed",
                &format!("{field}.range"),
                Text::new("the range is reversed", "范围颠倒"),
                help,
            );
        }
        if !application.sql.contains(&format!("${}", parameter.name)) {
            let message = Text::new(
                format!("the query does not use `${}`", parameter.name),
                format!("查询没有使用 `${}`", parameter.name),
            );
            findings.add("parameter-unused", &field, message, None);
        }
    }
}

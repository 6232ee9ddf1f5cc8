//! Checks of a document that is about to be published: what its author left out, emptied or set to zero weakens nothing.
//! An empty list or an empty block is refused where it stands, since its author meant to write something there. A field that is
//! not written at all leaves the floor of the grade, so it needs no check. Documents in force are not checked here.

use crate::document::AnyOr;
use crate::document::Application;
use crate::document::ControlsForm;
use crate::document::Dataset;
use crate::document::Document;
use crate::document::Exception;
use crate::document::GradeScheme;
use crate::document::Grant;
use crate::document::LegalBasis;
use crate::document::Policy;
use crate::document::Units;
use crate::effective::Controls;
use crate::fixed::Fixed;
use crate::library::Library;
use crate::library::OPEN;
use crate::library::check::Findings;
use crate::library::resolve::controls_of;
use crate::library::resolve::excepted;
use crate::library::resolve::floors_of;
use crate::vocabulary::Release;
use crate::vocabulary::Text;

pub(super) fn check(library: &Library, findings: &mut Findings<'_>) {
    let located = findings.located;
    match &located.value {
        Document::GradeScheme(scheme) => check_scheme(scheme, findings),
        Document::Dataset(dataset) => check_units(library, dataset, findings),
        Document::Policy(policy) => check_policy(policy, findings),
        Document::Purpose(purpose) => check_legal_basis(&purpose.legal_basis, findings),
        Document::Grant(grant) => check_grant(grant, findings),
        Document::Exception(exception) => check_exception(library, exception, findings),
        Document::Application(application) => check_application(application, findings),
        Document::Department(_) => {}
    }
}

/// A dataset above the open grade says whom its rows are about, or that they are about nobody.
///
/// Without a unit each row counts as a subject. Where the author forgot the units, somebody with ten visits is ten subjects,
/// and passes a threshold of ten alone.
fn check_units(library: &Library, dataset: &Dataset, findings: &mut Findings<'_>) {
    let has_reason = dataset.units_reason.as_ref().is_some_and(|reason| !reason.trim().is_empty());
    match &dataset.units {
        Units::None if !has_reason => {
            let message = Text::new("a dataset without units needs a reason", "没有主体的数据集须说明理由");
            let help = Text::new(
                "accepted: units_reason: \"each row is a stretch of road\"",
                "可用：units_reason: \"每行为一个路段\"",
            );
            findings.add("reason-missing", "units", message, help);
        }
        Units::Listed(_) if dataset.units_reason.is_some() => {
            let message = Text::new(
                "only `units: none` has a reason here; a unit has its own",
                "只有 `units: none` 在此说明理由；各主体的理由写在其自身",
            );
            let help = Text::new("accepted: with `units: none`", "可用：与 `units: none` 同时写");
            findings.add("reason-unused", "units_reason", message, help);
        }
        Units::Listed(units) if units.is_empty() && library.counts_rows(dataset) => {
            let message = Text::new(
                "no unit is named, so each row would count as a subject, and the data is graded above L1",
                "没有写明主体，每行将各计为一个主体，而数据的分级高于 L1",
            );
            let help = Text::new(
                "accepted: `units: [{kind: resident, column: person_id}]`, or `units: none` with `units_reason` and a second \
                 steward who activates it",
                "可用：`units: [{kind: resident, column: person_id}]`，或写 `units: none` 并以 `units_reason` 说明理由，\
                 再由另一名数据管理员启用",
            );
            findings.add("units-undeclared", "units", message, help);
        }
        Units::None | Units::Listed(_) => {}
    }
}

fn check_policy(policy: &Policy, findings: &mut Findings<'_>) {
    let subjects = &policy.object.subjects;
    for (name, list) in [("departments", &subjects.departments), ("districts", &subjects.districts)] {
        if *list == AnyOr::Only(Vec::new()) {
            let help = Text::new("accepted: `any`, or a list of codes", "可用：`any`，或代码列表");
            add_empty_list(&format!("object.subjects.{name}"), help, findings);
        }
    }
    check_written_list("condition.join_with", policy.condition.join_with.is_empty(), findings);
    check_written_list("tests", policy.tests.is_empty(), findings);
    if policy.content.columns.is_empty() && policy.method.release != Release::None {
        let help = Text::new(
            "accepted: [{match: {role: dimension}, uses: [filter, group]}]",
            "可用：[{match: {role: dimension}, uses: [filter, group]}]",
        );
        add_empty_list("content.columns", help, findings);
    }
    check_row_filter(policy.content.row_filter.as_deref(), policy.content.jurisdiction, "content", findings);
    if findings.located.is_written("method.controls") {
        check_named(&policy.method.controls, "method.controls", findings);
    }
    check_effect(&policy.method.controls, "method.controls", findings);
    if policy.method.retention.as_ref().is_some_and(|retention| retention.result_days == 0) {
        let message = Text::new("results are kept for no day", "结果的保存期为零天");
        let help = Text::new("accepted: 1 and more", "可用：1 及以上");
        findings.add("limit-zero", "method.retention.result_days", message, help);
    }
    check_legal_basis(&policy.legal_basis, findings);
}

/// A grade above the open one leaves with a threshold: a floor without one lets single subjects leave.
fn check_scheme(scheme: &GradeScheme, findings: &mut Findings<'_>) {
    for (index, level) in scheme.levels.iter().enumerate() {
        let field = format!("levels[{index}].floor.controls");
        let is_above = level.level > OPEN && level.floor.release == Release::Aggregates;
        if is_above && level.floor.controls.subjects_min.is_none() {
            let message = Text::new(
                format!("data of grade `{}` would leave without a threshold", level.code),
                format!("分级为 `{}` 的数据将不经阈值即可输出", level.code),
            );
            let help = Text::new("accepted: with `subjects_min`", "可用：写明 `subjects_min`");
            findings.add("threshold-missing", &field, message, help);
        }
        check_effect(&level.floor.controls, &field, findings);
        let needs = format!("levels[{index}].floor.needs");
        check_written_list(&needs, level.floor.needs.is_empty(), findings);
    }
}

/// A grant whose list names nothing is a list that was forgotten: without the list it would give everything.
fn check_grant(grant: &Grant, findings: &mut Findings<'_>) {
    for (index, granted) in grant.datasets.iter().enumerate() {
        let field = format!("datasets[{index}]");
        let lists = [
            ("columns", granted.columns.as_ref().is_some_and(|columns| columns.is_empty())),
            ("uses", granted.uses.as_ref().is_some_and(|uses| uses.is_empty())),
        ];
        for (name, is_empty) in lists {
            if is_empty {
                add_empty_list(&format!("{field}.{name}"), an_entry_or_no_list(), findings);
            }
        }
        check_row_filter(granted.row_filter.as_deref(), granted.jurisdiction, &field, findings);
    }
    if grant.approved_by.iter().any(|person| person.trim().is_empty()) {
        let message = Text::new("an approver has no name", "批准人没有姓名");
        let help = Text::new("accepted: a steward who is somebody else", "可用：本人以外的数据管理员");
        findings.add("approver-unfit", "approved_by", message, help);
    }
}

/// An exception lowers something that the floors of its datasets have.
fn check_exception(library: &Library, exception: &Exception, findings: &mut Findings<'_>) {
    if check_named(&exception.controls, "controls", findings) {
        return;
    }
    let mut floors = exception.datasets.iter().filter_map(|id| {
        let scheme = &library.datasets().get(id)?.scheme;
        let level = library.level(scheme, &exception.grade)?;
        floors_of(library.schemes().get(scheme)?).remove(&level)
    });
    let lowers_none = |floor: &Controls| excepted(&exception.controls, floor).is_at_least(floor);
    let Some(first) = floors.next() else { return };
    if lowers_none(&first.controls) && floors.all(|floor| lowers_none(&floor.controls)) {
        let message = Text::new(
            format!("the floor of `{}` is no stricter than this, so nothing is excepted", exception.grade),
            format!("`{}` 的底线并不比此更严，例外不起作用", exception.grade),
        );
        let help = Text::new(
            "accepted: a control below the floor's, or no exception",
            "可用：低于底线的控制，或删去该例外",
        );
        findings.add("excepts-nothing", "controls", message, help);
    }
}

fn check_application(application: &Application, findings: &mut Findings<'_>) {
    if application.datasets.is_empty() {
        findings.add("dataset-missing", "datasets", Text::new("no dataset is named", "没有写明数据集"), None);
    }
    for (index, parameter) in application.parameters.iter().enumerate() {
        if parameter.domain.as_ref().is_some_and(Vec::is_empty) {
            add_empty_list(&format!("parameters[{index}].domain"), an_entry_or_no_list(), findings);
        }
    }
}

fn check_legal_basis(legal_basis: &[LegalBasis], findings: &mut Findings<'_>) {
    for (index, basis) in legal_basis.iter().enumerate() {
        if basis.law.trim().is_empty() {
            let message = Text::new("no law is named", "没有写明法律");
            let help =
                Text::new("accepted: {law: PIPL, article: \"13\"}", "可用：{law: PIPL, article: \"13\"}");
            findings.add("legal-basis-missing", &format!("legal_basis[{index}].law"), message, help);
        }
    }
}

/// Controls that are written down name one. True if they do not.
fn check_named(controls: &ControlsForm, field: &str, findings: &mut Findings<'_>) -> bool {
    let is_empty = controls_of(controls) == Controls::default();
    if is_empty {
        let message = Text::new("the controls name none", "没有写明任何控制");
        let help = Text::new(
            "accepted: subjects_min, dominance, rounding, perturbation, cubes, epoch or cells_max",
            "可用：subjects_min、dominance、rounding、perturbation、cubes、epoch 或 cells_max",
        );
        findings.add("controls-empty", field, message, help);
    }
    is_empty
}

/// A control that is written down holds something back. An exception lifts a control by one that does not.
fn check_effect(controls: &ControlsForm, field: &str, findings: &mut Findings<'_>) {
    let lets_all =
        |rule: &&crate::document::DominanceForm| rule.share_max == Fixed::ONE && rule.p_percent == 0;
    if controls.dominance.as_ref().filter(lets_all).is_some() {
        let message = Text::new("no sum is dominated by this rule", "按此规则没有总和会被判为主导");
        let help = Text::new(
            "accepted: share_max below 1, or p_percent above 0",
            "可用：share_max 小于 1，或 p_percent 大于 0",
        );
        findings.add("control-without-effect", &format!("{field}.dominance"), message, help);
    }
    if controls.rounding.as_ref().is_some_and(|rounding| rounding.base == 1) {
        let message = Text::new("every count is a multiple of 1", "任何计数都是 1 的倍数");
        let help = Text::new("accepted: 2 and more, or no rounding", "可用：2 及以上，或不写 rounding");
        findings.add("control-without-effect", &format!("{field}.rounding.base"), message, help);
    }
}

/// A condition on rows says something, and there is one where it is called a territory.
fn check_row_filter(sql: Option<&str>, jurisdiction: bool, field: &str, findings: &mut Findings<'_>) {
    match sql {
        Some(sql) if sql.trim().is_empty() => {
            let message = Text::new("the condition on rows is empty", "行条件为空");
            let help = Text::new(
                "accepted: a SQL condition, or no `row_filter`",
                "可用：SQL 条件，或不写 `row_filter`",
            );
            findings.add("sql-missing", &format!("{field}.row_filter"), message, help);
        }
        None if jurisdiction => {
            let message = Text::new("no condition on rows marks the territory", "没有行条件划定管辖范围");
            let help = Text::new("accepted: with `row_filter`", "可用：与 `row_filter` 同时写");
            findings.add("row-filter-missing", &format!("{field}.jurisdiction"), message, help);
        }
        Some(_) | None => {}
    }
}

/// A list whose absence means the same as an empty one, and that is written down all the same.
fn check_written_list(field: &str, is_empty: bool, findings: &mut Findings<'_>) {
    if is_empty && findings.located.is_written(field) {
        add_empty_list(field, an_entry_or_no_list(), findings);
    }
}

fn an_entry_or_no_list() -> Text {
    Text::new("accepted: one entry and more, or no list", "可用：至少一项，或不写该列表")
}

fn add_empty_list(field: &str, help: Text, findings: &mut Findings<'_>) {
    let message = Text::new("the list names nothing", "列表没有写明任何内容");
    findings.add("list-empty", field, message, help);
}

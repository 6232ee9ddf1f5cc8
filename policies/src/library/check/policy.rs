//! Checks of policies: known owner, datasets, purposes and columns; masks that fit; controls that this build has.
//! SQL in row filters and tests is checked by the guard.

use crate::document::AnyOr;
use crate::document::Column;
use crate::document::ColumnRule;
use crate::document::ControlsForm;
use crate::document::CubesForm;
use crate::document::Dataset;
use crate::document::Expectation;
use crate::document::Method;
use crate::document::PerturbationForm;
use crate::document::Policy;
use crate::document::PrivacyBudget;
use crate::document::Range;
use crate::document::SubjectsMin;
use crate::effective::DEVIATIONS;
use crate::effective::KNOWN_COLUMNS_MAX;
use crate::fixed::Fixed;
use crate::library::Library;
use crate::library::check::DATASET;
use crate::library::check::DEPARTMENT;
use crate::library::check::Findings;
use crate::library::check::PURPOSE;
use crate::library::check::accepted;
use crate::library::resolve::permille;
use crate::mask::Mask;
use crate::privacy::LIFETIME_EPSILON;
use crate::privacy::nano_rho_of;
use crate::vocabulary::Release;
use crate::vocabulary::Review;
use crate::vocabulary::Role;
use crate::vocabulary::Text;

/// Most sets of columns that a policy lists. Policies that apply together open what lies in a set of each, which are as many as the
/// product.
const CUBES_MAX: usize = 32;

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
    findings.found(DEPARTMENT, library.departments(), &policy.owner, "owner");
    if let (Some(from), Some(until)) = (policy.effective.from, policy.effective.until)
        && from > until
    {
        let help = Text::new("accepted: the earlier day first", "可用：较早的日期在前");
        findings.add(
            "range-reversed",
            "effective",
            Text::new("the policy ends before it begins", "策略的末日早于首日"),
            help,
        );
    }
    let subjects = &policy.object.subjects;
    if subjects.roles.is_empty() {
        findings.add(
            "role-missing",
            "object.subjects.roles",
            Text::new("no role is named", "没有写明角色"),
            Text::new("accepted: [analyst]", "可用：[analyst]"),
        );
    }
    for (field, list) in [("departments", &subjects.departments), ("districts", &subjects.districts)] {
        if let AnyOr::Only(codes) = list {
            for (index, code) in codes.iter().enumerate() {
                let field = format!("object.subjects.{field}[{index}]");
                findings.found(DEPARTMENT, library.departments(), code, &field);
            }
        }
    }
    let resources = &policy.object.resources;
    if resources.datasets.is_empty() {
        findings.add(
            "dataset-missing",
            "object.resources.datasets",
            Text::new("no dataset is named", "没有写明数据集"),
            None,
        );
    }
    for (index, id) in resources.datasets.iter().enumerate() {
        let field = format!("object.resources.datasets[{index}]");
        let Some(dataset) = findings.found(DATASET, library.datasets(), id, &field) else { continue };
        if dataset.department != policy.owner {
            let message = Text::new(
                format!("`{id}` belongs to another department than the owner"),
                format!("`{id}` 不属于策略所属的部门"),
            );
            findings.add(
                "not-the-owner",
                &field,
                message,
                Text::new("accepted: datasets of the owner", "可用：策略所属部门的数据集"),
            );
        }
        if let Some(grade) = &resources.grade_max {
            check_grade(library, dataset, grade, "object.resources.grade_max", findings);
        }
    }
}

fn check_grade(library: &Library, dataset: &Dataset, grade: &str, field: &str, findings: &mut Findings<'_>) {
    if library.level(&dataset.scheme, grade).is_none() {
        let words =
            library.schemes().get(&dataset.scheme).map(|scheme| scheme.levels.iter().map(|l| &l.code));
        let message = Text::new(
            format!("`{}` has no grade `{grade}`", dataset.scheme),
            format!("`{}` 中没有分级 `{grade}`", dataset.scheme),
        );
        findings.add("grade-not-found", field, message, accepted(words.into_iter().flatten()));
    }
}

fn check_condition(library: &Library, policy: &Policy, findings: &mut Findings<'_>) {
    let condition = &policy.condition;
    if condition.purposes.is_empty() {
        findings.add(
            "purpose-missing",
            "condition.purposes",
            Text::new("no purpose is named", "没有写明用途"),
            None,
        );
    }
    for (index, code) in condition.purposes.iter().enumerate() {
        let field = format!("condition.purposes[{index}]");
        findings.found(PURPOSE, library.purposes(), code, &field);
    }
    for (index, join) in condition.join_with.iter().enumerate() {
        let field = format!("condition.join_with[{index}]");
        let Some(other) = findings.found(DATASET, library.datasets(), &join.dataset, &field) else {
            continue;
        };
        let own = policy.object.resources.datasets.iter().filter_map(|id| library.datasets().get(id));
        // One side may be an open register without subjects; one of the two must carry the unit.
        let carried =
            other.units.iter().chain(own.flat_map(|d| d.units.iter())).any(|unit| unit.kind == join.unit);
        if !carried {
            let message = Text::new(
                format!("neither side carries the unit `{}`", join.unit),
                format!("双方都没有主体类型 `{}`", join.unit),
            );
            let help = accepted(other.units.iter().map(|unit| &unit.kind));
            findings.add("unit-missing", &format!("{field}.unit"), message, help);
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
        let help = Text::new("accepted: role, type, name or grade", "可用：role、type、name 或 grade");
        findings.add(
            "match-empty",
            &field,
            Text::new("the rule matches nothing", "规则没有写匹配条件"),
            help,
        );
    }
    if let Some(name) = &rule.matches.name
        && !datasets.is_empty()
        && !columns().any(|column| column.name == *name)
    {
        let message = Text::new(
            format!("no dataset of the policy has a column `{name}`"),
            format!("策略的数据集都没有字段 `{name}`"),
        );
        let help = accepted(columns().map(|column| &column.name));
        findings.add("column-not-found", &format!("{field}.name"), message, help);
    }
    if let Some(semantic) = &rule.matches.semantic {
        let used = columns().any(|column| column.semantic.as_ref() == Some(semantic));
        if !semantic.is_known() && !used {
            let message = Text::new(
                format!("`{semantic}` is no known semantic type and no column has it"),
                format!("`{semantic}` 不是已知的语义，也没有字段使用它"),
            );
            let help = accepted(crate::vocabulary::Semantic::KNOWN);
            findings.add("semantic-not-found", &format!("{field}.type"), message, help);
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
                Text::new("only a mask changes a grade", "只有脱敏能改变分级"),
                Text::new("accepted: with `mask`", "可用：与 `mask` 同时写"),
            );
        }
        return;
    };
    let mask_field = format!("{field}.mask");
    let mask = match library.mask(form) {
        Ok(mask) => mask,
        Err(problem) => return findings.add(problem.code, &mask_field, problem.message, problem.help),
    };
    for dataset in datasets {
        let matched = dataset.columns.iter().filter(|column| rule.matches.covers(dataset, column));
        for column in matched {
            if dataset.role_of(column) == Role::UnitKey && mask != Mask::Redact {
                let message = Text::new(
                    format!("the unit key `{}` is a pseudonym already", column.name),
                    format!("主体的键 `{}` 已是假名", column.name),
                );
                findings.add(
                    "mask-unfit",
                    &mask_field,
                    message,
                    Text::new("accepted: no mask, or redact", "可用：不脱敏，或 redact"),
                );
            } else if !mask.fits(column.physical_type()) {
                let message = Text::new(
                    format!("{} does not fit `{}`, which is {}", mask.name(), column.name, column.data_type),
                    format!("脱敏 {} 不适用于 `{}`，其类型为 {}", mask.name(), column.name, column.data_type),
                );
                findings.add("mask-unfit", &mask_field, message, None);
            }
            let after = rule.grade_after.as_ref().and_then(|word| library.level(&dataset.scheme, word));
            if after > library.column_level(dataset, column) {
                let message = Text::new(
                    format!("the mask makes the grade of `{}` stricter", column.name),
                    format!("脱敏后 `{}` 的分级反而更严", column.name),
                );
                findings.add(
                    "grade-rises",
                    &after_field,
                    message,
                    Text::new("accepted: a grade that is no stricter", "可用：不更严的分级"),
                );
            }
        }
        if let Mask::DateShift { per, .. } = &mask
            && !dataset.carries(per)
        {
            let message = Text::new(
                format!("`{}` carries no protected unit `{per}`", dataset.metadata.id),
                format!("`{}` 没有受保护的主体类型 `{per}`", dataset.metadata.id),
            );
            let help = accepted(dataset.units.iter().map(|unit| &unit.kind));
            findings.add("unit-missing", &mask_field, message, help);
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
        let help = Text::new("accepted: the smaller number first", "可用：较小的数在前");
        return findings.add(
            "range-reversed",
            &range_field,
            Text::new("the range is reversed or empty", "范围颠倒或为空"),
            help,
        );
    }
    if rule.range.is_none() && rule.bins.is_none() {
        return;
    }
    for dataset in datasets {
        for column in dataset.columns.iter().filter(|column| rule.matches.covers(dataset, column)) {
            if !column.physical_type().is_numeric() {
                let message = Text::new(
                    format!("`{}` is {}, which has no range", column.name, column.data_type),
                    format!("`{}` 的类型为 {}，没有范围", column.name, column.data_type),
                );
                findings.add(
                    "range-unfit",
                    &range_field,
                    message,
                    Text::new("accepted types: int, decimal, float", "可用的类型：int、decimal、float"),
                );
                continue;
            }
            let bins = rule.bins.or(column.bins);
            let range = rule.range.or(column.range);
            if let Some(bins) = bins
                && !is_on_grid(bins, range, column.range, column.bins)
            {
                let message = Text::new(
                    format!("bins of {bins} do not divide the range of `{}`", column.name),
                    format!("宽度为 {bins} 的区间不能整分 `{}` 的范围", column.name),
                );
                let help = Text::new(
                    "accepted: bins and edges that are multiples of the dataset's bins",
                    "可用：区间宽度和端点均为数据集区间宽度的倍数",
                );
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
    check_perturbation(&method.controls, "method.controls", findings);
    if let Some(cubes) = &method.controls.cubes {
        check_cubes(cubes, datasets, findings);
    }
    let not_built = [(method.quota.is_some(), "method.quota", "quota of released cells", "输出单元格配额")];
    for (asked, field, control, control_zh) in not_built {
        if asked {
            let message =
                Text::new(format!("this build has no {control}"), format!("此版本不含{control_zh}"));
            let help = Text::new(
                "accepted: subjects_min, dominance, rounding, perturbation, cubes, epoch, tolerance, cells_max, privacy_budget",
                "可用：subjects_min、dominance、rounding、perturbation、cubes、epoch、tolerance、cells_max、privacy_budget",
            );
            findings.add("control-not-available", field, message, help);
        }
    }
    if method.release == Release::RowsOpen && method.review != Review::None {
        findings.add(
            "review-unfit",
            "method.review",
            Text::new(
                "rows that are open to everybody wait for no reviewer",
                "向所有人开放的行不需要结果复核",
            ),
            Text::new("accepted: none, or another release", "可用：none，或其他输出形式"),
        );
    }
    if let Some(SubjectsMin::ByUnit(by_unit)) = &method.controls.subjects_min {
        let kinds = || datasets.iter().flat_map(|dataset| dataset.units.iter()).map(|unit| &unit.kind);
        // A joined dataset may bring units of its own, so a kind that no dataset here carries is only refused as a
        // misspelling when none of the named kinds is carried.
        if !datasets.is_empty()
            && !by_unit.is_empty()
            && kinds().next().is_some()
            && !by_unit.keys().any(|k| kinds().any(|x| x == k))
        {
            let message =
                Text::new("no dataset of the policy carries these units", "策略的数据集都没有这些主体类型");
            findings.add("unit-missing", "method.controls.subjects_min", message, accepted(kinds()));
        }
    }
    if method.release == Release::Aggregates && method.functions.is_empty() {
        findings.add(
            "function-missing",
            "method.functions",
            Text::new("no function is allowed", "没有允许任何函数"),
            Text::new("accepted: [count]", "可用：[count]"),
        );
    }
    for (limit, field) in [
        (method.max_rows_per_subject, "method.max_rows_per_subject"),
        (method.max_groups_per_subject, "method.max_groups_per_subject"),
    ] {
        if limit == Some(0) {
            findings.add(
                "limit-zero",
                field,
                Text::new("the limit is zero", "上限为零"),
                Text::new("accepted: 1 and more", "可用：1 及以上"),
            );
        }
    }
    if let Some(budget) = &method.privacy_budget {
        check_budget(budget, findings);
    }
}

/// Checks the numbers of a privacy budget: what is none, or more than a life's, would promise nothing.
fn check_budget(budget: &PrivacyBudget, findings: &mut Findings<'_>) {
    let is_positive = |number: f64| number.is_finite() && number > 0.0;
    let cases = [
        (
            is_positive(budget.epsilon) && budget.epsilon <= LIFETIME_EPSILON,
            "epsilon",
            Text::new(
                format!(
                    "the epsilon of a period is positive and not above {LIFETIME_EPSILON}, that of a dataset's life"
                ),
                format!("一个周期的 epsilon 须为正数，且不超过数据集终身的 {LIFETIME_EPSILON}"),
            ),
            Text::new("accepted: such as 2", "可用：例如 2"),
        ),
        (
            is_positive(budget.delta) && budget.delta < 1.0,
            "delta",
            Text::new("delta is a probability between 0 and 1", "delta 是 0 与 1 之间的概率"),
            Text::new(
                "accepted: far less than one in all subjects, such as 1e-8",
                "可用：远小于主体总数的倒数，例如 1e-8",
            ),
        ),
        (
            is_positive(budget.per_query_max) && budget.per_query_max <= budget.epsilon,
            "per_query_max",
            Text::new(
                "the epsilon of a query is positive and not above that of the period",
                "单次查询的 epsilon 须为正数，且不超过周期的 epsilon",
            ),
            Text::new("accepted: such as 0.5", "可用：例如 0.5"),
        ),
        (
            budget.period_days > 0,
            "period_days",
            Text::new("a period has at least one day", "周期至少为一天"),
            Text::new("accepted: such as 90", "可用：例如 90"),
        ),
        (
            !is_positive(budget.per_query_max)
                || nano_rho_of(budget.per_query_max, budget.delta.clamp(f64::MIN_POSITIVE, 0.5)) > 0,
            "per_query_max",
            Text::new("a query of so small an epsilon has no answer", "epsilon 如此之小的查询没有答案"),
            Text::new("accepted: such as 0.5", "可用：例如 0.5"),
        ),
    ];
    for (holds, field, message, help) in cases {
        if !holds {
            findings.add("limit-unfit", &format!("method.privacy_budget.{field}"), message, help);
        }
    }
}

/// Checks named noise where a document may ask for it: in policies and in floors.
pub(super) fn check_perturbation(controls: &ControlsForm, field: &str, findings: &mut Findings<'_>) {
    match controls.perturbation {
        None => {}
        Some(PerturbationForm::Auto) => {
            let message = Text::new(
                "a deviation is stated, so that two people read it before it is in force",
                "标准差须写明，以便启用前由两人审阅",
            );
            let help = Text::new(
                "accepted: such as {deviation: 8}; `obscura policy exposure` names the least one that protects what is opened",
                "可用：例如 {deviation: 8}；`obscura policy exposure` 给出足以保护开放内容的最小标准差",
            );
            findings.add("control-not-available", &format!("{field}.perturbation"), message, help);
        }
        Some(PerturbationForm::Deviation(deviation)) if DEVIATIONS.contains(&deviation) => {}
        Some(PerturbationForm::Deviation(deviation)) => {
            let ladder = DEVIATIONS.map(|rung| rung.to_string());
            let message = Text::new(
                format!("a deviation of {deviation} is no rung of the ladder {}", ladder.join(", ")),
                format!("标准差 {deviation} 不是档位 {} 之一", ladder.join("、")),
            );
            let help = match DEVIATIONS.iter().find(|rung| **rung > deviation) {
                Some(rung) => Text::new(
                    format!("accepted: {rung}, the nearest rung above"),
                    format!("可用：{rung}，即其上最近的一档"),
                ),
                None => Text::new("accepted: a rung of the ladder", "可用：其中一档"),
            };
            findings.add("limit-unfit", &format!("{field}.perturbation.deviation"), message, help);
        }
    }
}

/// Checks the columns that may meet in one number.
fn check_cubes(cubes: &CubesForm, datasets: &[&Dataset], findings: &mut Findings<'_>) {
    let field = "method.controls.cubes";
    if cubes.columns_max.is_some_and(|most| most == 0 || most > KNOWN_COLUMNS_MAX) {
        findings.add(
            "limit-unfit",
            &format!("{field}.columns_max"),
            Text::new(
                format!("at least one known column and at most {KNOWN_COLUMNS_MAX} meet in a number"),
                format!("一个数字至少涉及一个、至多涉及 {KNOWN_COLUMNS_MAX} 个已知字段"),
            ),
            Text::new(
                format!("accepted: 1 to {KNOWN_COLUMNS_MAX}"),
                format!("可用：1 至 {KNOWN_COLUMNS_MAX}"),
            ),
        );
    }
    let Some(sets) = &cubes.sets else { return };
    if sets.len() > CUBES_MAX {
        let message = Text::new(
            format!("more than {CUBES_MAX} sets of columns"),
            format!("字段组合超过 {CUBES_MAX} 个"),
        );
        findings.add("limit-unfit", &format!("{field}.sets"), message, None);
    }
    if sets.is_empty() || sets.iter().any(Vec::is_empty) {
        let message = Text::new("a set of columns names none", "有的字段组合没有列出任何字段");
        let help =
            Text::new("accepted: such as [[sex, district], [age]]", "可用：例如 [[sex, district], [age]]");
        findings.add("cubes-empty", &format!("{field}.sets"), message, help);
    }
    let attributes = || {
        datasets.iter().flat_map(|dataset| {
            let is_attribute = move |column: &&Column| match dataset.role_of(column) {
                Role::Dimension | Role::QuasiIdentifier | Role::Sensitive | Role::Measure => true,
                Role::UnitKey | Role::Identifier => false,
            };
            dataset.columns.iter().filter(is_attribute).map(|column| &column.name)
        })
    };
    for (index, set) in sets.iter().enumerate() {
        let unknown = set.iter().filter(|name| !attributes().any(|column| column == *name));
        for name in unknown.filter(|_| !datasets.is_empty()) {
            let message = Text::new(
                format!("no dataset of the policy has a column `{name}` that meets others"),
                format!("策略的数据集都没有可与其他字段同时使用的字段 `{name}`"),
            );
            findings.add(
                "column-not-found",
                &format!("{field}.sets[{index}]"),
                message,
                accepted(attributes()),
            );
        }
    }
}

/// Refuses cubes where no dataset is named whose columns they could be of.
pub(super) fn check_no_cubes(controls: &ControlsForm, field: &str, findings: &mut Findings<'_>) {
    if controls.cubes.is_some() {
        let message =
            Text::new("only a policy says which columns may meet", "只有策略能规定哪些字段可以同时使用");
        let help = Text::new("accepted: no `cubes`", "可用：不写 `cubes`");
        findings.add("cubes-unfit", &format!("{field}.cubes"), message, help);
    }
}

/// Checks the numbers of controls.
pub(super) fn check_controls(controls: &ControlsForm, field: &str, findings: &mut Findings<'_>) {
    let field_min = format!("{field}.subjects_min");
    let zeros: Vec<String> = match &controls.subjects_min {
        Some(SubjectsMin::All(0)) => vec![field_min],
        Some(SubjectsMin::ByUnit(by_unit)) if by_unit.is_empty() => vec![field_min],
        Some(SubjectsMin::ByUnit(by_unit)) => {
            let zeros = by_unit.iter().filter(|(_, subjects)| **subjects == 0);
            zeros.map(|(unit, _)| format!("{field_min}.{unit}")).collect()
        }
        None | Some(SubjectsMin::All(_)) => Vec::new(),
    };
    for field in zeros {
        let message = Text::new("a threshold of no subjects protects nobody", "阈值为零，不能保护任何主体");
        let help = Text::new("accepted: 1 and more", "可用：1 及以上");
        findings.add("limit-zero", &field, message, help);
    }
    if let Some(dominance) = &controls.dominance {
        let share = permille(dominance.share_max);
        if dominance.n == 0 || share.is_none_or(|share| share == 0) || dominance.p_percent > 100 {
            let message = Text::new("the dominance rule has no meaning", "主导规则没有意义");
            let help = Text::new(
                "accepted: n from 1, share_max from 0.001 to 1 with three places, p_percent up to 100",
                "可用：n 从 1 起，share_max 为 0.001 至 1、最多三位小数，p_percent 不超过 100",
            );
            findings.add("limit-unfit", &format!("{field}.dominance"), message, help);
        }
    }
    if controls.rounding.as_ref().is_some_and(|rounding| rounding.base == 0) {
        let help = Text::new("accepted: 1 and more", "可用：1 及以上");
        findings.add(
            "limit-zero",
            &format!("{field}.rounding.base"),
            Text::new("the base is zero", "基数为零"),
            help,
        );
    }
    if controls.cells_max == Some(0) {
        findings.add(
            "limit-zero",
            &format!("{field}.cells_max"),
            Text::new("no cell may leave", "不允许输出任何单元格"),
            Text::new("accepted: 1 and more", "可用：1 及以上"),
        );
    }
    if controls.tolerance.is_some_and(|share| share < Fixed::ZERO || share > Fixed::ONE) {
        let message = Text::new("the tolerance is a share", "允许的偏差是份额");
        findings.add(
            "limit-unfit",
            &format!("{field}.tolerance"),
            message,
            Text::new("accepted: from 0 to 1", "可用：0 至 1"),
        );
    }
}

fn check_tests(library: &Library, policy: &Policy, findings: &mut Findings<'_>) {
    for (index, test) in policy.tests.iter().enumerate() {
        let field = format!("tests[{index}]");
        let department = format!("{field}.as.department");
        findings.found(DEPARTMENT, library.departments(), &test.person.department, &department);
        findings.found(PURPOSE, library.purposes(), &test.person.purpose, &format!("{field}.as.purpose"));
        if test.expect == Expectation::Admitted && test.code.is_some() {
            let message = Text::new("what is admitted has no refusal code", "应当通过的测试没有拒绝代码");
            findings.add(
                "code-unfit",
                &format!("{field}.code"),
                message,
                Text::new("accepted: with `expect: refused`", "可用：与 `expect: refused` 同时写"),
            );
        }
        if test.sql.trim().is_empty() {
            findings.add(
                "sql-missing",
                &format!("{field}.sql"),
                Text::new("the query is empty", "查询为空"),
                None,
            );
        }
    }
}

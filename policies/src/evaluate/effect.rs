//! Effective values of documents: the evaluator is run for the roles, purposes, datasets and functions that the policy names, and
//! each value that does not count as it is written is told with the one that counts. A warning refuses nothing.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::day::LocalTime;
use crate::document::AnyOr;
use crate::document::Column;
use crate::document::Dataset;
use crate::document::Grant;
use crate::document::Kind;
use crate::document::PerturbationForm;
use crate::document::Policy;
use crate::document::SchemeLevel;
use crate::document::SubjectsMin;
use crate::document::TypeWord;
use crate::effective::Controls;
use crate::effective::DIFFERENTIAL_PRIVACY;
use crate::effective::EffectiveDataset;
use crate::effective::EffectivePolicy;
use crate::evaluate::ManifestFacts;
use crate::evaluate::Permits;
use crate::evaluate::PolicyRefusal;
use crate::evaluate::Principal;
use crate::evaluate::RefusalCode;
use crate::evaluate::effective;
use crate::library::Library;
use crate::vocabulary::Code;
use crate::vocabulary::DatasetId;
use crate::vocabulary::Level;
use crate::vocabulary::PersonRole;
use crate::vocabulary::Role;
use crate::vocabulary::Text;

/// Most columns that a warning names.
const NAMES_MAX: usize = 3;
/// The grade from which on numbers may have noise: what is open has none.
const NOISE_FROM: Level = Level(2);

/// Something in a document that does not count as it is written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Warning {
    /// Stable code.
    pub code: &'static str,
    /// The field that it is about.
    pub field: String,
    /// The value that counts, and the text to write instead.
    pub text: Text,
}

impl Warning {
    fn new(code: &'static str, field: &str, en: String, zh: String) -> Self {
        Self { code, field: field.to_owned(), text: Text::new(en, zh) }
    }
}

/// Warns of every value of a policy that does not count as it is written, at a moment when the policy holds.
#[must_use]
pub fn warnings_of_policy(library: &Library, policy: &Policy, now: LocalTime) -> Vec<Warning> {
    let mut found = BTreeSet::new();
    if !policy.object.subjects.roles.contains(&PersonRole::Analyst) {
        found.insert(Warning::new(
            "nobody-can-ask",
            "object.subjects.roles",
            "nobody can ask anything by this policy: only analysts ask, and it names other roles".to_owned(),
            "没有人能依据该策略查询：只有分析人员可以查询，而策略未包含该角色".to_owned(),
        ));
    }
    if policy.condition.approvals > 1 {
        let approvals = policy.condition.approvals;
        found.insert(Warning::new(
            "nobody-can-ask",
            "condition.approvals",
            format!("nobody can ask anything by this policy: a grant has one approval, and {approvals} are asked for"),
            format!("没有人能依据该策略查询：一份授权仅有一次批准，而策略要求 {approvals} 次"),
        ));
    }
    for id in &policy.object.resources.datasets {
        let Some(dataset) = library.datasets().get(id) else { continue };
        for purpose in &policy.condition.purposes {
            match effective_of_policy(library, policy, purpose, id, &BTreeMap::new(), now) {
                None => {}
                Some(Err(refusal)) => found.extend(nobody(library, policy, dataset, &refusal)),
                Some(Ok(effective)) => found.extend(overridden(library, policy, dataset, &effective)),
            }
        }
    }
    found.into_iter().collect()
}

/// Warns of everything in a dataset's document that keeps people from asking, under the policies in force.
#[must_use]
pub fn warnings_of_dataset(library: &Library, dataset: &Dataset, now: LocalTime) -> Vec<Warning> {
    let id = &dataset.metadata.id;
    let naming: Vec<&Policy> =
        library.policies().values().filter(|policy| policy.object.resources.datasets.contains(id)).collect();
    let mut found = BTreeSet::new();
    if naming.is_empty() {
        found.insert(Warning::new(
            "no-policy",
            "metadata.id",
            format!("no policy opens `{id}` yet: nobody can ask anything of it"),
            format!("尚无策略开放 `{id}`：没有人能查询该数据集"),
        ));
    }
    for policy in naming {
        for purpose in &policy.condition.purposes {
            if let Some(Err(refusal)) =
                effective_of_policy(library, policy, purpose, id, &BTreeMap::new(), now)
            {
                found.extend(nobody(library, policy, dataset, &refusal));
            }
        }
    }
    // The policy's own fields are told where the policy is written.
    found.retain(|warning| ["metadata.id", "membership"].contains(&warning.field.as_str()));
    found.extend(counted_rows(library, dataset));
    found.extend(without_domain(library, dataset));
    found.into_iter().collect()
}

/// Warns of columns that nobody groups or filters by, where every number has noise: it belongs to values that a document declares.
fn without_domain(library: &Library, dataset: &Dataset) -> Option<Warning> {
    let membership = library.membership_level(dataset)?;
    let scheme = library.schemes().get(&dataset.scheme)?;
    let held = |level: &&SchemeLevel| level.level >= membership;
    let has_noise = |level: &SchemeLevel| level.floor.controls.perturbation.is_some();
    if membership < NOISE_FROM || !scheme.levels.iter().filter(held).any(has_noise) {
        return None;
    }
    let is_without = |column: &&Column| {
        let groups = matches!(column.role, Role::Dimension | Role::QuasiIdentifier | Role::Sensitive);
        groups
            && match column.data_type {
                TypeWord::Text => column.domain.is_none() && column.domain_of.is_none(),
                TypeWord::Int => column.range.is_none(),
                TypeWord::Decimal | TypeWord::Float => column.range.is_none() || column.bins.is_none(),
                TypeWord::Date | TypeWord::Timestamp | TypeWord::Bool => false,
            }
    };
    let names: Vec<String> =
        dataset.columns.iter().filter(is_without).map(|column| format!("`{}`", column.name)).collect();
    let (first, others) = names.split_at_checked(NAMES_MAX).unwrap_or((&names, &[]));
    if first.is_empty() {
        return None;
    }
    let (more_en, more_zh) = match others.len() {
        0 => (String::new(), String::new()),
        more => (format!(" and {more} more"), format!(" 等 {} 个字段", names.len())),
    };
    Some(Warning::new(
        "column-without-domain",
        "columns",
        format!(
            "nobody groups or filters by {}{more_en}, since every number has noise: write the `domain` of a text, the `range` of a whole number, `range` and `bins` of another",
            first.join(", ")
        ),
        format!(
            "每个数字都带噪声，因此不能按 {}{more_zh} 分组或筛选：text 请写 `domain`，整数请写 `range`，其他数值请写 `range` 和 `bins`",
            first.join("、")
        ),
    ))
}

/// Warns that thresholds count rows where no unit is protected, with the reason that the author gives: the second person reads it
/// before the dataset is in force.
fn counted_rows(library: &Library, dataset: &Dataset) -> Option<Warning> {
    if !library.counts_rows(dataset) {
        return None;
    }
    let own = dataset.units.iter().filter_map(|unit| unit.reason.as_deref());
    let reasons: Vec<&str> = dataset.units_reason.as_deref().into_iter().chain(own).collect();
    Some(Warning::new(
        "rows-are-subjects",
        "units",
        format!("each row counts as a subject of its own, whoever it is about: {}", reasons.join("; ")),
        format!("每一行各计为一个主体，无论其涉及何人：{}", reasons.join("；")),
    ))
}

/// Warns of a purpose that no policy allows.
#[must_use]
pub fn warnings_of_purpose(library: &Library, purpose: &Code) -> Vec<Warning> {
    if library.policies().values().any(|policy| policy.condition.purposes.contains(purpose)) {
        return Vec::new();
    }
    vec![Warning::new(
        "no-policy",
        "metadata.id",
        format!("no policy allows the purpose `{purpose}` yet: nobody can ask for it"),
        format!("尚无策略允许用途 `{purpose}`：没有人能为此用途查询"),
    )]
}

/// Warns of each dataset of a grant that no policy opens to its person.
#[must_use]
pub fn warnings_of_grant(
    library: &Library,
    principal: &Principal,
    grant: &Grant,
    now: LocalTime,
) -> Vec<Warning> {
    let mut found = Vec::new();
    // The grant itself says from which day it holds.
    let now = LocalTime { day: grant.from.map_or(now.day, |from| now.day.max(from)), ..now };
    for (index, granted) in grant.datasets.iter().enumerate() {
        let id = &granted.dataset;
        let permits = Permits::unnamed(std::slice::from_ref(grant));
        let datasets = std::slice::from_ref(id);
        let purpose = grant.purpose.as_str();
        let refusal = effective(library, principal, purpose, permits, datasets, &BTreeMap::new(), now).err();
        let is_lasting = |refusal: &PolicyRefusal| {
            matches!(
                refusal.code,
                RefusalCode::NoPolicy
                    | RefusalCode::GradeAbovePolicy
                    | RefusalCode::GrantNotApproved
                    | RefusalCode::PolicyUnresolved
            )
        };
        if let Some(refusal) = refusal.filter(is_lasting) {
            let person = &grant.person;
            found.push(Warning::new(
                "nobody-can-ask",
                &format!("datasets[{index}]"),
                format!(
                    "`{person}` cannot ask anything of `{id}` for `{purpose}` yet: no policy allows it ({})",
                    refusal.code
                ),
                format!("`{person}` 暂时无法为 `{purpose}` 查询 `{id}`：没有策略允许（{}）", refusal.code),
            ));
        }
    }
    found
}

/// The moment, moved into the days and hours that the policy holds.
fn within(policy: &Policy, mut now: LocalTime) -> LocalTime {
    now.day = policy.effective.from.map_or(now.day, |from| now.day.max(from));
    now.day = policy.effective.until.map_or(now.day, |until| now.day.min(until));
    if let Some(hours) = policy.condition.hours {
        now.minute = (0..24 * 60).find(|minute| hours.covers(*minute)).unwrap_or(now.minute);
    }
    now
}

/// All that a policy opens of a dataset for a purpose: the dataset is evaluated for a person whom the policy is about, under a grant as
/// wide as grants go, at a moment when the policy holds. Other policies that match this person count as they do for a question.
/// Nothing where no person can be made up.
#[must_use]
pub fn effective_of_policy(
    library: &Library,
    policy: &Policy,
    purpose: &Code,
    id: &DatasetId,
    manifests: &BTreeMap<DatasetId, ManifestFacts>,
    now: LocalTime,
) -> Option<Result<EffectivePolicy, PolicyRefusal>> {
    let now = within(policy, now);
    let first = |list: &AnyOr<Code>| match list {
        AnyOr::Any => None,
        AnyOr::Only(codes) => codes.first().cloned(),
    };
    let subjects = &policy.object.subjects;
    let principal = Principal {
        person: crate::library::POLICY_TESTER.to_owned(),
        roles: subjects.roles.clone(),
        department: first(&subjects.departments).unwrap_or_else(|| policy.owner.clone()),
        district: first(&subjects.districts),
    };
    let grants = [library.widest_grant(purpose, now.day)?];
    let datasets = std::slice::from_ref(id);
    let permits = Permits::unnamed(&grants);
    Some(effective(library, &principal, purpose.as_str(), permits, datasets, manifests, now))
}

/// The warning that no person can ask anything of a dataset by a policy, with the reason.
fn nobody(library: &Library, policy: &Policy, dataset: &Dataset, refusal: &PolicyRefusal) -> Option<Warning> {
    let id = &dataset.metadata.id;
    match refusal.code {
        RefusalCode::GradeAbovePolicy => {
            let membership = library.membership_level(dataset)?;
            let max = policy.object.resources.grade_max.as_deref()?;
            let columns = dataset.columns.iter();
            let strict = columns.filter(|column| library.column_level(dataset, column) == Some(membership));
            let names: Vec<String> =
                strict.take(NAMES_MAX).map(|column| format!("`{}`", column.name)).collect();
            let (why_en, why_zh) = match (&dataset.membership, names.is_empty()) {
                (None, false) => (
                    format!(", as column {} is", names.join(", ")),
                    format!("（因字段 {}）", names.join("、")),
                ),
                _ => (String::new(), String::new()),
            };
            Some(Warning::new(
                "nobody-can-ask",
                "membership",
                format!(
                    "nobody can ask anything of `{id}`: being in it is graded {membership}{why_en}, and policy `{}` opens no more than {max}; write `membership: {max}` in the dataset's document if the fact alone is no stricter, or raise `grade_max`",
                    policy.metadata.id
                ),
                format!(
                    "没有人能查询 `{id}`：成员资格的级别为 {membership}{why_zh}，而策略 `{}` 最多开放到 {max}；如仅“在册”这一事实不更敏感，请在数据集文档中写明 `membership: {max}`，或提高 `grade_max`",
                    policy.metadata.id
                ),
            ))
        }
        RefusalCode::PolicyUnresolved | RefusalCode::PurposeNotFound | RefusalCode::NoPolicy => {
            Some(Warning::new(
                "nobody-can-ask",
                "object",
                format!("nobody can ask anything of `{id}` by this policy: {}", refusal.message.en),
                format!("没有人能依据该策略查询 `{id}`：{}", refusal.message.zh),
            ))
        }
        // Of another moment, or of the grant.
        RefusalCode::DatasetNotFound
        | RefusalCode::NoGrant
        | RefusalCode::PurposeMismatch
        | RefusalCode::GrantNotInForce
        | RefusalCode::GrantExpired
        | RefusalCode::GrantNotFound
        | RefusalCode::GrantAmbiguous
        | RefusalCode::GrantNotApproved
        | RefusalCode::PolicyNotInForce
        | RefusalCode::OutsideHours => None,
    }
}

/// The values of a policy that others override: floors of the grade, and further policies that match.
fn overridden(
    library: &Library,
    policy: &Policy,
    dataset: &Dataset,
    effective: &EffectivePolicy,
) -> Vec<Warning> {
    let id = &dataset.metadata.id;
    let Some(opened) = effective.datasets.get(id) else { return Vec::new() };
    let Some(floor) = effective.floors.get(&opened.membership) else { return Vec::new() };
    let mut controls = opened.controls.stricter(&floor.controls);
    let mut found = Vec::new();
    if opened.opens_by_privacy() {
        controls.unavailable.remove(DIFFERENTIAL_PRIVACY);
    }
    if controls.unavailable.iter().eq([DIFFERENTIAL_PRIVACY]) {
        let grade = opened.membership;
        found.push(Warning::new(
            "nobody-can-ask",
            "method.privacy_budget",
            format!("every question of `{id}` is refused: grade {grade} needs differential privacy, and not every policy that matches has a `privacy_budget`"),
            format!("对 `{id}` 的所有查询都会被拒绝：{grade} 级需要差分隐私，而并非每份适用的策略都有 `privacy_budget`"),
        ));
    } else if !controls.unavailable.is_empty() {
        let missing = controls.unavailable.iter().cloned().collect::<Vec<_>>().join(", ");
        let grade = opened.membership;
        found.push(Warning::new(
            "nobody-can-ask",
            "method.controls",
            format!("every question of `{id}` is refused: grade {grade} needs {missing}, which this version does not have"),
            format!("对 `{id}` 的所有查询都会被拒绝：{grade} 级需要 {missing}，而本版本尚不具备"),
        ));
    }
    if floor.release.stricter(policy.method.release) != policy.method.release {
        let (written, counts) = (policy.method.release, floor.release);
        found.push(of_value(
            "method.release",
            id,
            &written.to_string(),
            &counts.to_string(),
            &why(effective, library, policy, opened),
        ));
    }
    found.extend(numbers(policy, id, &controls, &why(effective, library, policy, opened)));
    found.extend(columns(policy, id, opened));
    found
}

/// The numbers of controls that count otherwise than they are written.
fn numbers(policy: &Policy, id: &DatasetId, controls: &Controls, why: &Text) -> Vec<Warning> {
    let written = &policy.method.controls;
    let mut found = Vec::new();
    let field = |name: &str| format!("method.controls.{name}");
    match &written.subjects_min {
        Some(SubjectsMin::All(least)) if controls.subjects_min > *least => {
            let (least, counts) = (least.to_string(), controls.subjects_min.to_string());
            found.push(of_value(&field("subjects_min"), id, &least, &counts, why));
        }
        None | Some(SubjectsMin::All(_)) => {}
        Some(SubjectsMin::ByUnit(by_unit)) => {
            for (unit, least) in by_unit {
                let counts = controls.subjects_min(unit);
                if counts > *least {
                    let (least, counts) = (format!("{least} of {unit}"), counts.to_string());
                    found.push(of_value(&field("subjects_min"), id, &least, &counts, why));
                }
            }
        }
    }
    if let (Some(rounding), Some(counts)) = (&written.rounding, controls.rounding)
        && counts != rounding.base
    {
        let base = rounding.base.to_string();
        found.push(of_value(&field("rounding.base"), id, &base, &counts.to_string(), why));
    }
    if let (Some(PerturbationForm::Deviation(deviation)), Some(counts)) =
        (written.perturbation, controls.perturbation)
        && counts != deviation
    {
        let deviation = deviation.to_string();
        found.push(of_value(&field("perturbation.deviation"), id, &deviation, &counts.to_string(), why));
    }
    if written.cubes.is_some() && controls.perturbation.is_none() {
        found.push(Warning::new(
            "cubes-without-noise",
            &field("cubes"),
            format!("`{id}` is answered without noise, so that any of its columns meet: write `perturbation` as well"),
            format!("`{id}` 的答案不含噪声，任何字段都可同时使用：请同时写明 `perturbation`"),
        ));
    }
    if let (Some(epoch), Some(counts)) = (written.epoch, controls.epoch)
        && counts != epoch
    {
        found.push(of_value(&field("epoch"), id, epoch.as_str(), counts.as_str(), why));
    }
    let review = policy.method.review;
    if controls.review > review {
        found.push(of_value("method.review", id, review.as_str(), controls.review.as_str(), why));
    }
    if let (Some(cells), Some(counts)) = (written.cells_max, controls.cells_max)
        && counts != cells
    {
        found.push(of_value(&field("cells_max"), id, &cells.to_string(), &counts.to_string(), why));
    }
    found
}

/// Columns that a rule names with uses of which none is left.
fn columns(policy: &Policy, id: &DatasetId, opened: &EffectiveDataset) -> Vec<Warning> {
    let mut found = Vec::new();
    for (index, rule) in policy.content.columns.iter().enumerate() {
        let Some(name) = rule.matches.name.as_ref().filter(|_| !rule.uses.is_empty()) else { continue };
        let column = opened.columns.iter().find(|column| column.name == name.as_str());
        if let Some(column) = column.filter(|column| column.uses.is_empty()) {
            let grade = column.grade;
            found.push(Warning::new(
                "column-shut",
                &format!("content.columns[{index}]"),
                format!("nobody can use `{name}` of `{id}`: its grade is {grade}, or another rule or policy takes every use away"),
                format!("`{id}` 的字段 `{name}` 无法使用：其级别为 {grade}，或其他规则、策略取消了全部用法"),
            ));
        }
    }
    found
}

fn of_value(field: &str, id: &DatasetId, written: &str, counts: &str, why: &Text) -> Warning {
    let name = field.rsplit('.').next().unwrap_or(field);
    Warning::new(
        "value-overridden",
        field,
        format!("`{name}: {written}` does not count for `{id}`: {counts} does, {}", why.en),
        format!("`{name}: {written}` 对 `{id}` 不起作用：实际为 {counts}，{}", why.zh),
    )
}

/// Names what overrides a policy: the floor of the grade, and the other policies that match.
fn why(effective: &EffectivePolicy, library: &Library, policy: &Policy, opened: &EffectiveDataset) -> Text {
    let own = policy.metadata.id.as_str();
    let is_other = |id: &str| id != own && library.source(Kind::Policy, id).is_some();
    let others = effective.sources.iter().map(|source| source.id.as_str()).filter(|id| is_other(id));
    let others: Vec<String> = others.take(NAMES_MAX).map(|id| format!("`{id}`")).collect();
    let grade = opened.membership;
    if others.is_empty() {
        return Text::new(format!("by the floor of grade {grade}"), format!("由 {grade} 级的底线决定"));
    }
    Text::new(
        format!("by the floor of grade {grade} or by policy {}", others.join(", ")),
        format!("由 {grade} 级的底线或策略 {} 决定", others.join("、")),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::library::tests::WORLD;
    use crate::library::tests::library;
    use crate::library::tests::noisy_scheme;

    fn warnings(world: &str) -> Vec<Warning> {
        let library = library(world).unwrap();
        let policy = library.policies().values().next().unwrap();
        warnings_of_policy(&library, policy, LocalTime { day: "2026-12-24".parse().unwrap(), minute: 3 })
    }

    fn told(world: &str, code: &str, field: &str) -> String {
        let found = warnings(world);
        let warning = found.iter().find(|warning| warning.code == code && warning.field.starts_with(field));
        warning.unwrap_or_else(|| panic!("no {code} at {field}: {found:#?}")).text.en.clone()
    }

    #[test]
    fn a_threshold_below_the_floor_is_told_with_the_one_that_counts() {
        let world = WORLD.replace("subjects_min: {resident: 10, enterprise: 5}", "subjects_min: 2");
        let text = told(&world, "value-overridden", "method.controls.subjects_min");
        assert!(text.contains("`subjects_min: 2`") && text.contains("10 does"), "{text}");
    }

    #[test]
    fn a_deviation_below_that_of_another_policy_is_told_with_the_one_that_counts() {
        let noise =
            |deviation: u32| format!("    tolerance: 0.10\n    perturbation: {{deviation: {deviation}}}\n");
        let second = crate::parse::tests::POLICY
            .replace("id: health-outpatient-epi", "id: health-second")
            .replace("    tolerance: 0.10\n", &noise(8));
        let world = format!("{}---\n{second}", WORLD.replacen("    tolerance: 0.10\n", &noise(3), 1));
        let text = told(&world, "value-overridden", "method.controls.perturbation.deviation");
        assert!(text.contains("`deviation: 3`") && text.contains("8 does"), "{text}");
    }

    #[test]
    fn an_epoch_that_is_shorter_than_the_grade_allows_is_told_with_the_one_that_counts() {
        let epoch = WORLD.replacen("    tolerance: 0.10\n", "    tolerance: 0.10\n    epoch: daily\n", 1);
        let text = told(&epoch, "value-overridden", "method.controls.epoch");
        assert!(text.contains("`epoch: daily`") && text.contains("monthly"), "{text}");
    }

    #[test]
    fn columns_that_may_not_meet_are_told_where_there_is_no_noise() {
        let cubes =
            WORLD.replacen("    tolerance: 0.10\n", "    tolerance: 0.10\n    cubes: {columns_max: 1}\n", 1);
        let without = cubes.replace("scheme: db33t2351-2021", "scheme: noisy") + &noisy_scheme(["", "", ""]);
        let text = told(&without, "cubes-without-noise", "method.controls.cubes");
        assert!(text.contains("`perturbation`"), "{text}");
        let is_told =
            |world: &str| warnings(world).iter().any(|warning| warning.code == "cubes-without-noise");
        assert!(is_told(&without) && !is_told(&cubes) && !is_told(WORLD));
    }

    #[test]
    fn a_dataset_that_nobody_can_ask_is_told_with_its_column_and_what_to_write() {
        let world = WORLD.replace("semantic: icd10, grade: L3", "semantic: icd10, grade: L4");
        let text = told(&world, "nobody-can-ask", "membership");
        assert!(text.contains("`diagnosis`") && text.contains("`membership: L3`"), "{text}");
        let library = library(&world).unwrap();
        let visits = &library.datasets()[&"hz-health.outpatient_visits".parse().unwrap()];
        let now = LocalTime { day: "2026-12-24".parse().unwrap(), minute: 600 };
        assert_eq!(warnings_of_dataset(&library, visits, now).len(), 1);
    }

    #[test]
    fn columns_that_nobody_groups_by_under_noise_are_told() {
        let now = LocalTime { day: "2026-12-24".parse().unwrap(), minute: 600 };
        let told = |world: &str| {
            let library = library(world).unwrap();
            let visits = &library.datasets()[&"hz-health.outpatient_visits".parse().unwrap()];
            let mut found = warnings_of_dataset(&library, visits, now);
            found.retain(|warning| warning.code == "column-without-domain");
            found.into_iter().map(|warning| warning.text.en).collect::<Vec<_>>()
        };
        let all = told(WORLD);
        let [text] = all.as_slice() else { panic!("{all:?}") };
        assert!(text.contains("`diagnosis`") && !text.contains("`visit_date`"), "{text}");
        let declared =
            WORLD.replacen("semantic: icd10, grade: L3", "semantic: icd10, grade: L3, domain: [A00]", 1);
        assert!(!told(&declared).concat().contains("`diagnosis`"));
        // A scheme without noise asks for no names.
        let exact = noisy_scheme(["", "", ""]).replace("id: noisy", "id: exact");
        let world = WORLD.replacen("scheme: db33t2351-2021", "scheme: exact", 1) + &exact;
        assert_eq!(told(&world), Vec::<String>::new());
    }

    #[test]
    fn rows_that_count_as_subjects_are_told_with_the_reason() {
        let unit = "{kind: resident, column: person_id}\n  -";
        let unprotected = "{kind: resident, column: person_id, protects: false, reason: a register}\n  -";
        let world = WORLD.replacen(unit, unprotected, 1).replacen("layout: clustered\n", "", 1);
        let now = LocalTime { day: "2026-12-24".parse().unwrap(), minute: 600 };
        let told = |world: &str| {
            let library = library(world).unwrap();
            let visits = &library.datasets()[&"hz-health.outpatient_visits".parse().unwrap()];
            let mut found = warnings_of_dataset(&library, visits, now);
            found.retain(|warning| warning.code == "rows-are-subjects");
            found.into_iter().map(|warning| (warning.field, warning.text.en)).collect::<Vec<_>>()
        };
        assert_eq!(told(WORLD), []);
        let text =
            "each row counts as a subject of its own, whoever it is about: a register; public hospitals";
        assert_eq!(told(&world), [("units".to_owned(), text.to_owned())]);
    }

    #[test]
    fn fewer_reviewers_than_a_floor_asks_for_are_told() {
        let scheme =
            noisy_scheme([""; 3]).replace("release: aggregates,", "release: aggregates, review: two,");
        let world = format!("{}{scheme}", WORLD.replace("scheme: db33t2351-2021", "scheme: noisy"));
        let text = told(&world, "value-overridden", "method.review");
        assert!(text.contains("`review: none`") && text.contains("two does"), "{text}");
    }

    #[test]
    fn approvals_that_no_grant_reaches_are_told() {
        let text =
            told(&WORLD.replace("approvals: 1", "approvals: 2"), "nobody-can-ask", "condition.approvals");
        assert!(text.contains("2 are asked for"), "{text}");
    }

    #[test]
    fn a_dataset_and_a_purpose_without_policy_are_told() {
        let library = library(WORLD).unwrap();
        let alone = library.datasets().values().find(|dataset| {
            !library
                .policies()
                .values()
                .any(|policy| policy.object.resources.datasets.contains(&dataset.metadata.id))
        });
        let now = LocalTime { day: "2026-12-24".parse().unwrap(), minute: 600 };
        let found = warnings_of_dataset(&library, alone.unwrap(), now);
        assert_eq!(
            found.iter().map(|warning| warning.code).collect::<Vec<_>>(),
            ["column-without-domain", "no-policy"]
        );
        let purpose = "tourism-analysis".parse().unwrap();
        assert_eq!(warnings_of_purpose(&library, &purpose).len(), 1);
    }
}

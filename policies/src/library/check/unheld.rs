//! Checks of a policy that is about to be published: every control that it writes down must have an effect.
//! Documents in force are not checked here. Jobs hold them to the same rules, and what one of them says in vain must not keep
//! an installation from reading the others.

use crate::combine::GROUPS_PER_SUBJECT_CEILING;
use crate::combine::ROWS_PER_SUBJECT_CEILING;
use crate::document::Column;
use crate::document::ColumnRule;
use crate::document::Dataset;
use crate::document::Policy;
use crate::library::Library;
use crate::library::check::Findings;
use crate::vocabulary::Text;

pub(super) fn check(library: &Library, policy: &Policy, findings: &mut Findings<'_>) {
    check_coverage(library, policy, findings);
    if policy.method.max_rows_per_subject.is_some_and(|rows| rows > ROWS_PER_SUBJECT_CEILING) {
        let message = Text::new(
            "a subject with so many rows would stand out in every count",
            "行数如此之多的主体会在每项计数中凸显出来",
        );
        let help = Text::new(
            format!("accepted: from 1 to {ROWS_PER_SUBJECT_CEILING}"),
            format!("可用：1 至 {ROWS_PER_SUBJECT_CEILING}"),
        );
        findings.add("limit-unfit", "method.max_rows_per_subject", message, help);
    }
    if policy.method.max_groups_per_subject.is_some_and(|groups| groups > GROUPS_PER_SUBJECT_CEILING) {
        let message = Text::new(
            "a subject that counts in so many groups would need noise that no number survives",
            "主体计入如此多的分组时，所需噪声会淹没所有数值",
        );
        let help = Text::new(
            format!("accepted: from 1 to {GROUPS_PER_SUBJECT_CEILING}"),
            format!("可用：1 至 {GROUPS_PER_SUBJECT_CEILING}"),
        );
        findings.add("limit-unfit", "method.max_groups_per_subject", message, help);
    }
}

/// A rule that covers no column drops its mask, range or narrower uses without a word.
pub(super) fn check_coverage(library: &Library, policy: &Policy, findings: &mut Findings<'_>) {
    let ids = &policy.object.resources.datasets;
    let datasets: Vec<&Dataset> = ids.iter().filter_map(|id| library.datasets().get(id)).collect();
    if datasets.len() < ids.len() {
        return;
    }
    for (index, rule) in policy.content.columns.iter().enumerate() {
        let field = format!("content.columns[{index}].match");
        let Some(problem) = uncovered(policy, rule, &datasets) else { continue };
        findings.add("rule-covers-nothing", &field, problem.message, problem.help);
    }
}

/// A rule that does not cover what it is about, and what would be accepted.
struct Uncovered {
    message: Text,
    help: Text,
}

/// The problem of a rule that does not cover what it is about, if it does not.
///
/// A rule with nothing but a role, a type or a grade may cover nothing as long as it only opens: shipped policies serve
/// datasets with and without measures. A rule that names a column, that joins several conditions, or that restricts (mask,
/// range, bins) means a column that is there.
fn uncovered(policy: &Policy, rule: &ColumnRule, datasets: &[&Dataset]) -> Option<Uncovered> {
    let covers = |rule: &ColumnRule, dataset: &Dataset, column: &Column| rule.matches.covers(dataset, column);
    let covers_any = datasets.iter().any(|dataset| dataset.columns.iter().any(|c| covers(rule, dataset, c)));
    let help = || {
        Text::new(
            "accepted: a match that a column meets, such as the name alone, or no rule",
            "可用：有字段符合的匹配条件（例如只写名称），或删去该规则",
        )
    };
    if let Some(name) = &rule.matches.name {
        let named = datasets.iter().filter_map(|dataset| Some((dataset, dataset.column(name.as_str())?)));
        for (dataset, column) in named {
            let mut siblings =
                policy.content.columns.iter().filter(|r| r.matches.name.as_ref() == Some(name));
            if !covers_any || !siblings.any(|sibling| covers(sibling, dataset, column)) {
                let (id, role) = (&dataset.metadata.id, dataset.role_of(column));
                let message = Text::new(
                    format!("the rule names `{name}` and does not cover it in `{id}`: its role is {role}"),
                    format!("规则指明了 `{name}`，却不适用于 `{id}` 中的该字段：其角色为 {role}"),
                );
                return Some(Uncovered { message, help: help() });
            }
        }
        return None;
    }
    let matches = &rule.matches;
    let conditions =
        [matches.role.is_some(), matches.semantic.is_some(), matches.grade.is_some()].map(usize::from);
    let restricts = rule.mask.is_some() || rule.range.is_some() || rule.bins.is_some();
    let means_one = conditions.iter().sum::<usize>() > 1 || restricts;
    let is_empty = conditions.iter().sum::<usize>() == 0;
    if covers_any || is_empty || !means_one {
        return None;
    }
    let message = Text::new(
        "no column of the policy's datasets meets this match, so the rule restricts nothing",
        "策略的数据集中没有字段符合此匹配条件，该规则不起限制作用",
    );
    Some(Uncovered { message, help: help() })
}

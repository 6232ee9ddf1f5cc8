//! Checks of grades that a policy about to be published lowers by a mask, with what would be accepted.
//! The decision is `library::lowering`'s; jobs go by it too, so that a finding here is never the only hindrance.

use crate::document::Column;
use crate::document::ColumnRule;
use crate::document::Dataset;
use crate::document::Policy;
use crate::library::Library;
use crate::library::check::Findings;
use crate::library::check::accepted;
use crate::library::lowering::Unfit;
use crate::library::lowering::judge;
use crate::mask::Coarsening;
use crate::mask::Mask;
use crate::vocabulary::Level;
use crate::vocabulary::Text;

pub(super) fn check(library: &Library, policy: &Policy, findings: &mut Findings<'_>) {
    let ids = policy.object.resources.datasets.iter();
    let datasets: Vec<&Dataset> = ids.filter_map(|id| library.datasets().get(id)).collect();
    for (index, rule) in policy.content.columns.iter().enumerate() {
        let field = format!("content.columns[{index}]");
        for dataset in &datasets {
            check_rule(library, rule, dataset, &field, findings);
        }
    }
}

fn check_rule(
    library: &Library,
    rule: &ColumnRule,
    dataset: &Dataset,
    field: &str,
    findings: &mut Findings<'_>,
) {
    let (Some(form), Some(word)) = (&rule.mask, &rule.grade_after) else { return };
    let (Ok(mask), Some(to)) = (library.mask(form), library.level(&dataset.scheme, word)) else { return };
    for column in dataset.columns.iter().filter(|column| rule.matches.covers(dataset, column)) {
        let Some(from) = library.column_level(dataset, column) else { continue };
        let Err(unfit) = judge(dataset, column, &mask, from, to) else { continue };
        let name = &column.name;
        let below = Level(from.0.saturating_sub(1));
        let has_subjects = dataset.units.iter().any(|unit| unit.protects);
        let one_down = if below <= Level(1) && has_subjects { None } else { grade(library, dataset, below) };
        let one_down = one_down.map_or_else(no_grade_after, |word| accepted([word]));
        let (message, help) = match unfit {
            Unfit::FromStrictest => {
                let message = Text::new(
                    format!("`{name}` is graded {from}, which no mask lowers"),
                    format!("`{name}` 的分级为 {from}，任何脱敏都不能降低"),
                );
                (message, no_grade_after())
            }
            Unfit::OpensSubjects => {
                let id = &dataset.metadata.id;
                let message = Text::new(
                    format!("rows of `{id}` belong to protected subjects: `{name}` does not become {to}"),
                    format!("`{id}` 的行属于受保护的主体：`{name}` 不能降为 {to}"),
                );
                (message, one_down)
            }
            Unfit::TooFar => {
                let message = Text::new(
                    format!("a mask lowers by one level, and `{name}` would go from {from} to {to}"),
                    format!("脱敏只能降低一级，而 `{name}` 将由 {from} 降为 {to}"),
                );
                (message, one_down)
            }
            Unfit::ChangesNothing(coarsening) => {
                let (message, help) = changes_nothing(&mask, column, coarsening);
                findings.add("mask-changes-nothing", &format!("{field}.mask"), message, help);
                continue;
            }
        };
        findings.add("grade-after-unfit", &format!("{field}.grade_after"), message, help);
    }
}

/// The help where no mask lowers the grade.
fn no_grade_after() -> Text {
    Text::new(
        "accepted: no `grade_after`; only an Exception goes below a floor",
        "可用：不写 `grade_after`；只有例外（Exception）能低于底线",
    )
}

/// The message and the help for a mask that does not coarsen a column.
fn changes_nothing(mask: &Mask, column: &Column, coarsening: Coarsening) -> (Text, Text) {
    let (mask, name) = (mask.name(), &column.name);
    match coarsening {
        Coarsening::Renames => (
            Text::new(
                format!("{mask} keeps the values of `{name}` apart, so its grade stays"),
                format!("脱敏 {mask} 不合并 `{name}` 的取值，其分级不变"),
            ),
            Text::new(
                "accepted: redact, or a mask that merges values (bins, calendar parts, levels above the finest)",
                "可用：redact，或能合并取值的脱敏（区间、日期的一部分、高于最细一层的层级）",
            ),
        ),
        Coarsening::NotDeclared => (
            Text::new(
                format!("the document does not declare which values of `{name}` {mask} would merge"),
                format!("文档没有写明脱敏 {mask} 会合并 `{name}` 的哪些取值"),
            ),
            Text::new(
                "accepted: a `domain`, a `range` or a type of known length in the dataset, or no `grade_after`",
                "可用：在数据集中写明 `domain`、`range` 或长度已知的类型，或不写 `grade_after`",
            ),
        ),
        Coarsening::TooFine | Coarsening::Coarser => (
            Text::new(
                format!("under {mask} more than half of the declared values of `{name}` stay apart"),
                format!("经脱敏 {mask}，`{name}` 写明的取值仍有一半以上可以区分"),
            ),
            Text::new(
                "accepted: a mask that leaves at most half of them, or no `grade_after`",
                "可用：至多保留一半取值的脱敏，或不写 `grade_after`",
            ),
        ),
    }
}

/// The scheme's word for a level.
fn grade<'a>(library: &'a Library, dataset: &Dataset, level: Level) -> Option<&'a str> {
    let levels = &library.schemes().get(&dataset.scheme)?.levels;
    levels.iter().find(|known| known.level == level).map(|known| known.code.as_str())
}

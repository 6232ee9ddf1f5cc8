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
        let one_down = one_down.map_or_else(|| NO_GRADE_AFTER.to_owned(), |word| accepted([word]));
        let (message, help) = match unfit {
            Unfit::FromStrictest => {
                (format!("`{name}` is graded {from}, which no mask lowers"), NO_GRADE_AFTER.to_owned())
            }
            Unfit::OpensSubjects => {
                let id = &dataset.metadata.id;
                (
                    format!("rows of `{id}` belong to protected subjects: `{name}` does not become {to}"),
                    one_down,
                )
            }
            Unfit::TooFar => {
                (format!("a mask lowers by one level, and `{name}` would go from {from} to {to}"), one_down)
            }
            Unfit::ChangesNothing(coarsening) => {
                let (message, help) = changes_nothing(&mask, column, coarsening);
                findings.add("mask-changes-nothing", &format!("{field}.mask"), message, help);
                continue;
            }
        };
        findings.add("grade-after-unfit", &format!("{field}.grade_after"), message, &help);
    }
}

const NO_GRADE_AFTER: &str = "accepted: no `grade_after`; only an Exception goes below a floor";

fn changes_nothing(mask: &Mask, column: &Column, coarsening: Coarsening) -> (String, &'static str) {
    let (mask, name) = (mask.name(), &column.name);
    match coarsening {
        Coarsening::Renames => (
            format!("{mask} keeps the values of `{name}` apart, so its grade stays"),
            "accepted: redact, or a mask that merges values (bins, calendar parts, levels above the finest)",
        ),
        Coarsening::NotDeclared => (
            format!("the document does not declare which values of `{name}` {mask} would merge"),
            "accepted: a `domain`, a `range` or a type of known length in the dataset, or no `grade_after`",
        ),
        Coarsening::TooFine | Coarsening::Coarser => (
            format!("under {mask} more than half of the declared values of `{name}` stay apart"),
            "accepted: a mask that leaves at most half of them, or no `grade_after`",
        ),
    }
}

/// The scheme's word for a level.
fn grade<'a>(library: &'a Library, dataset: &Dataset, level: Level) -> Option<&'a str> {
    let levels = &library.schemes().get(&dataset.scheme)?.levels;
    levels.iter().find(|known| known.level == level).map(|known| known.code.as_str())
}

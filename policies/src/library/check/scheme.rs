//! Checks of grade schemes: levels rise, floors rise with them, crosswalks lead somewhere and never down.
//! Compliance judges if a floor is wise.

use std::collections::BTreeSet;

use crate::document::GradeScheme;
use crate::document::Registration;
use crate::library::Library;
use crate::library::check::Findings;
use crate::library::check::GRADE_SCHEME;
use crate::library::check::Kind;
use crate::library::check::accepted;
use crate::library::check::policy;
use crate::library::floors_of;
use crate::vocabulary::Release;
use crate::vocabulary::Review;
use crate::vocabulary::Text;

pub(super) fn check(library: &Library, scheme: &GradeScheme, findings: &mut Findings<'_>) {
    if scheme.levels.iter().all(|level| level.registration == Registration::Refused) {
        findings.add(
            "levels-missing",
            "levels",
            Text::new("no grade may be registered", "没有可以登记的分级"),
            Text::new("accepted: one grade and more", "可用：至少一个分级"),
        );
    }
    let mut codes = BTreeSet::new();
    for (index, level) in scheme.levels.iter().enumerate() {
        let field = format!("levels[{index}]");
        if !codes.insert(&level.code) {
            let message = Text::new(
                format!("the grade `{}` is there twice", level.code),
                format!("分级 `{}` 重复出现", level.code),
            );
            findings.add("grade-twice", &format!("{field}.code"), message, None);
        }
        let controls_field = format!("{field}.floor.controls");
        policy::check_controls(&level.floor.controls, &controls_field, findings);
        policy::check_no_cubes(&level.floor.controls, &controls_field, findings);
        policy::check_perturbation(&level.floor.controls, &controls_field, findings);
        if level.floor.release == Release::RowsOpen && level.floor.review != Review::None {
            findings.add(
                "review-unfit",
                &format!("{field}.floor.review"),
                Text::new(
                    "rows that are open to everybody wait for no reviewer",
                    "向所有人开放的行不需要结果复核",
                ),
                Text::new("accepted: none, or another release", "可用：none，或其他输出形式"),
            );
        }
        for (number, crosswalk) in level.crosswalk.iter().enumerate() {
            let field = format!("{field}.crosswalk[{number}]");
            let kind = Kind { en: "scheme", ..GRADE_SCHEME };
            let Some(other) = findings.found(kind, library.schemes(), &crosswalk.scheme, &field) else {
                continue;
            };
            match library.level(&crosswalk.scheme, &crosswalk.code) {
                None => {
                    let help = accepted(other.levels.iter().map(|l| &l.code));
                    let message = Text::new(
                        format!("`{}` has no grade `{}`", crosswalk.scheme, crosswalk.code),
                        format!("`{}` 中没有分级 `{}`", crosswalk.scheme, crosswalk.code),
                    );
                    findings.add("grade-not-found", &field, message, help);
                }
                Some(target) if target < level.level => {
                    let message = Text::new(
                        format!("`{}` is a more open grade", crosswalk.code),
                        format!("`{}` 是更开放的分级", crosswalk.code),
                    );
                    findings.add(
                        "crosswalk-lowers",
                        &field,
                        message,
                        Text::new("accepted: a grade at least as strict", "可用：至少同样严格的分级"),
                    );
                }
                Some(_) => {}
            }
        }
    }
    let floors: Vec<_> = floors_of(scheme).into_iter().collect();
    for pair in floors.windows(2) {
        let [(low, open), (high, strict)] = pair else { continue };
        let rises = strict.release >= open.release;
        // What does not leave at all needs no controls.
        let is_shut = strict.release == Release::None;
        if !rises || !(is_shut || strict.controls.is_at_least(&open.controls)) {
            let message = Text::new(
                format!("the floor of {high} is looser than that of {low}"),
                format!("{high} 的底线比 {low} 的宽松"),
            );
            findings.add(
                "floor-falls",
                "levels",
                message,
                Text::new("accepted: floors that rise with the level", "可用：随级别提高的底线"),
            );
        }
    }
}

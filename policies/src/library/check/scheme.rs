//! Checks of grade schemes: levels rise, floors rise with them, crosswalks lead somewhere and never down.
//! Whether a floor is wise is compliance's business.

use std::collections::BTreeSet;

use crate::document::GradeScheme;
use crate::document::Registration;
use crate::library::Library;
use crate::library::check::Findings;
use crate::library::check::accepted;
use crate::library::check::policy;
use crate::library::floors_of;

pub(super) fn check(library: &Library, scheme: &GradeScheme, findings: &mut Findings<'_>) {
    if scheme.levels.iter().all(|level| level.registration == Registration::Refused) {
        findings.add(
            "levels-missing",
            "levels",
            "no grade may be registered",
            "accepted: one grade and more",
        );
    }
    let mut codes = BTreeSet::new();
    for (index, level) in scheme.levels.iter().enumerate() {
        let field = format!("levels[{index}]");
        if !codes.insert(&level.code) {
            let message = format!("the grade `{}` is there twice", level.code);
            findings.add("grade-twice", &format!("{field}.code"), message, "");
        }
        policy::check_controls(&level.floor.controls, &format!("{field}.floor.controls"), findings);
        for (number, crosswalk) in level.crosswalk.iter().enumerate() {
            let field = format!("{field}.crosswalk[{number}]");
            let Some(other) = library.schemes().get(&crosswalk.scheme) else {
                let help = accepted(library.schemes().keys());
                let message = format!("there is no scheme `{}`", crosswalk.scheme);
                findings.add("scheme-not-found", &field, message, &help);
                continue;
            };
            match library.level(&crosswalk.scheme, &crosswalk.code) {
                None => {
                    let help = accepted(other.levels.iter().map(|l| &l.code));
                    let message = format!("`{}` has no grade `{}`", crosswalk.scheme, crosswalk.code);
                    findings.add("grade-not-found", &field, message, &help);
                }
                Some(target) if target < level.level => {
                    let message = format!("`{}` is a more open grade", crosswalk.code);
                    findings.add("crosswalk-lowers", &field, message, "accepted: a grade at least as strict");
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
        let is_shut = strict.release == crate::vocabulary::Release::None;
        if !rises || !(is_shut || strict.controls.is_at_least(&open.controls)) {
            let message = format!("the floor of {high} is looser than that of {low}");
            findings.add("floor-falls", "levels", message, "accepted: floors that rise with the level");
        }
    }
}

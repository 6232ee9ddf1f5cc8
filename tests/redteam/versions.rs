//! Differences from day to day: the same two cells before and after a resident came, in versions whose content differs elsewhere
//! every day, so that a part of the noise is drawn anew for each.

use crate::Scale;
use crate::desk::Desk;
use crate::in_lists::mean;
use crate::register::Register;
use crate::register::group;
use crate::register::village;
use crate::score::Outcome;
use crate::score::Tally;

pub(crate) const NAME: &str = "differences between versions";

pub(crate) fn run(desk: &Desk, register: &Register, scale: &Scale) -> anyhow::Result<Vec<Outcome>> {
    let after = register.batch();
    let mut tallies = vec![Tally::default(); scale.versions.len()];
    for number in 0..scale.targets(desk) {
        let target = &register.residents[number];
        let before = register.without(number).batch();
        let sql = format!(
            "SELECT COUNT(*), COUNT(*) FILTER (WHERE (village = '{}') IS NOT TRUE) FROM register WHERE secret = 'yes' AND grp = '{}'",
            village(target.village),
            group(target.group)
        );
        // Others come and go too: none of them has the secret, so that these cells have the same residents on both sides.
        let (mut earlier, mut later) = (desk.admit(&before, &sql)?, desk.admit(&after, &sql)?);
        let most = scale.versions.iter().max().copied().unwrap_or(2) / 2;
        let mut samples: Vec<(Vec<f64>, Vec<f64>)> = vec![Default::default(); desk.keys()];
        for day in 0..u32::try_from(most)? {
            let first = desk.answers(&mut earlier, &before, day)?;
            let second = desk.answers(&mut later, &after, 1_000_000 + day)?;
            for ((samples, first), second) in samples.iter_mut().zip(first).zip(second) {
                let difference = |answer: &crate::desk::Answer| Some(answer.number(0)? - answer.number(1)?);
                samples.0.extend(difference(&first));
                samples.1.extend(difference(&second));
            }
        }
        for (tally, versions) in tallies.iter_mut().zip(&scale.versions) {
            for (first, second) in &samples {
                let mean = |all: &[f64]| mean(all.get(..versions / 2).unwrap_or(all));
                tally.guess(
                    mean(first).zip(mean(second)).map(|(first, second)| second - first),
                    target.secret,
                );
            }
        }
    }
    let results = scale.versions.iter().zip(tallies);
    Ok(results.map(|(versions, tally)| Outcome { attack: NAME, cells: 2 * versions, tally }).collect())
}

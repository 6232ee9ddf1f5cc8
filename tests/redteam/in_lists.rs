//! Averaging by varied IN lists: T(V+v, G+g) - T(V+v, G) - T(V, G+g) + T(V, G) isolates the one resident of a village and a group,
//! and every choice of other villages V and groups G is a further sample.

use obscura_tests::guarded::questions::Seeded;

use crate::Scale;
use crate::desk::Answer;
use crate::desk::Desk;
use crate::register::GROUPS;
use crate::register::Register;
use crate::register::VILLAGES;
use crate::register::group;
use crate::register::village;
use crate::score::Outcome;
use crate::score::Tally;

/// The columns that it asks of.
pub(crate) const ASKED: [&str; 3] = ["village", "grp", "secret"];
pub(crate) const NAME: &str = "varied IN lists";
/// Lists of groups that one statement asks for beside a list of villages: three, each with and without the resident's group.
const LISTS: usize = 3;

pub(crate) fn run(desk: &Desk, register: &Register, scale: &Scale) -> anyhow::Result<Vec<Outcome>> {
    let mut tallies: Vec<Tally> = vec![Tally::default(); scale.choices.len()];
    let most = scale.choices.last().copied().unwrap_or(1);
    for number in 0..scale.targets(desk) {
        let (secret, beside) = (register.residents[number].secret, register.expected_beside(number));
        for samples in samples(desk, register, number, most)? {
            for (tally, choices) in tallies.iter_mut().zip(&scale.choices) {
                let shown: Vec<f64> =
                    samples.iter().take(*choices).copied().filter(|one| !one.is_nan()).collect();
                tally.guess(mean(&shown).map(|count| count - beside), secret);
            }
        }
    }
    let results = scale.choices.iter().zip(tallies);
    Ok(results.map(|(choices, tally)| Outcome { attack: NAME, cells: 4 * choices, tally }).collect())
}

/// The estimates of a resident's bit, for each key one of each choice of lists; no number where a cell is withheld.
pub(crate) fn samples(
    desk: &Desk,
    register: &Register,
    number: usize,
    most: usize,
) -> anyhow::Result<Vec<Vec<f64>>> {
    let rows = register.batch();
    let target = &register.residents[number];
    let mut seeded = Seeded(7_000 + number as u64);
    let mut samples: Vec<Vec<f64>> = vec![Vec::new(); desk.keys()];
    for _ in 0..most.div_ceil(LISTS) {
        let villages = others(&mut seeded, VILLAGES, target.village, 6);
        let lists: Vec<Vec<usize>> =
            (0..LISTS).map(|_| others(&mut seeded, GROUPS, target.group, 3)).collect();
        let with: Vec<usize> = villages.iter().copied().chain([target.village]).collect();
        let with = desk.ask(&rows, &statement(&with, &lists, target.group))?;
        let without = desk.ask(&rows, &statement(&villages, &lists, target.group))?;
        for ((samples, with), without) in samples.iter_mut().zip(with).zip(without) {
            for list in 0..LISTS {
                let group = |answer: &Answer| Some(answer.number(2 * list)? - answer.number(2 * list + 1)?);
                let sample = group(&with).zip(group(&without)).map(|(with, without)| with - without);
                samples.push(sample.unwrap_or(f64::NAN));
            }
        }
    }
    Ok(samples)
}

/// The residents with the secret in a list of villages, in each list of groups with and without the resident's.
fn statement(villages: &[usize], lists: &[Vec<usize>], own: usize) -> String {
    let columns = lists.iter().flat_map(|list| {
        let with: Vec<usize> = list.iter().copied().chain([own]).collect();
        [with, list.clone()].map(|list| format!("COUNT(*) FILTER (WHERE grp IN ({}))", quoted(&list, group)))
    });
    // Two lists may be the same one: columns have names of their own.
    let columns: Vec<String> = columns.enumerate().map(|(place, one)| format!("{one} AS c{place}")).collect();
    format!(
        "SELECT {} FROM register WHERE secret = 'yes' AND village IN ({})",
        columns.join(", "),
        quoted(villages, village)
    )
}

/// So many different numbers below a bound, without one of them.
pub(crate) fn others(seeded: &mut Seeded, bound: usize, without: usize, count: usize) -> Vec<usize> {
    let mut all: Vec<usize> = (0..bound).filter(|number| *number != without).collect();
    (0..count).map(|_| all.swap_remove(seeded.below(all.len()))).collect()
}

/// Codes as a list of SQL.
pub(crate) fn quoted(numbers: &[usize], code: fn(usize) -> String) -> String {
    let codes: Vec<String> = numbers.iter().map(|number| format!("'{}'", code(*number))).collect();
    codes.join(", ")
}

/// The mean of what there is.
pub(crate) fn mean(samples: &[f64]) -> Option<f64> {
    (!samples.is_empty()).then(|| samples.iter().sum::<f64>() / samples.len() as f64)
}

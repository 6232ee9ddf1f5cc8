//! Differences and trackers: a count with and without one value of a key differs in one person. Padded with conditions that make
//! no difference to that person it is asked again under other names (Denning, Denning and Schwartz 1979).

use crate::Scale;
use crate::desk::Desk;
use crate::in_lists::mean;
use crate::register::FILLED;
use crate::register::Register;
use crate::register::filled;
use crate::register::group;
use crate::register::village;
use crate::score::Outcome;
use crate::score::Tally;

pub(crate) const PLAIN: &str = "tracker: one village left out";
pub(crate) const PRESENT: &str = "tracker, padded with columns that all have";
pub(crate) const EQUAL: &str = "equality of two numbers";
/// Most conditions of presence beside the three that a tracker needs: a boundary has eight at the most.
const PADS_MAX: usize = 5;

/// One village left out.
pub(crate) fn plain(desk: &Desk, register: &Register, scale: &Scale) -> anyhow::Result<Vec<Outcome>> {
    Ok(vec![difference(desk, register, scale.targets(desk), PLAIN, &[String::new()])?])
}

pub(crate) fn run(desk: &Desk, register: &Register, scale: &Scale) -> anyhow::Result<Vec<Outcome>> {
    let mut results = plain(desk, register, scale)?;
    for columns in &scale.filled {
        results.push(difference(desk, register, scale.targets(desk), PRESENT, &presences(*columns))?);
    }
    results.push(equality(desk, register, scale.targets(desk))?);
    Ok(results)
}

/// Conditions that columns have a value, which is true of everybody: every choice of at most five of so many columns.
fn presences(columns: usize) -> Vec<String> {
    let mut pads = Vec::new();
    for chosen in 0_usize..1 << columns.min(FILLED) {
        if usize::try_from(chosen.count_ones()).is_ok_and(|count| count <= PADS_MAX) {
            let chosen = (0..columns).filter(|column| chosen >> column & 1 == 1);
            pads.push(chosen.map(|column| format!(" AND {} IS NOT NULL", filled(column))).collect());
        }
    }
    pads
}

/// The mean, over all paddings, of a count less the same without the resident's village.
fn difference(
    desk: &Desk,
    register: &Register,
    targets: usize,
    attack: &'static str,
    pads: &[String],
) -> anyhow::Result<Outcome> {
    let rows = register.batch();
    let (mut tally, cells) = (Tally::default(), 2 * pads.len());
    for (number, target) in register.residents.iter().enumerate().take(targets) {
        let beside = register.expected_beside(number);
        let mut samples: Vec<Vec<f64>> = vec![Vec::new(); desk.keys()];
        for pad in pads {
            let sql = format!(
                "SELECT COUNT(*), COUNT(*) FILTER (WHERE (village = '{}') IS NOT TRUE) FROM register WHERE secret = 'yes' AND grp = '{}'{pad}",
                village(target.village),
                group(target.group)
            );
            for (samples, answer) in samples.iter_mut().zip(desk.ask(&rows, &sql)?) {
                samples.extend(answer.number(0).zip(answer.number(1)).map(|(all, others)| all - others));
            }
        }
        for samples in &samples {
            tally.guess(mean(samples).map(|count| count - beside), target.secret);
        }
    }
    Ok(Outcome { attack, cells, tally })
}

/// Two numbers that are the same if the resident has no secret: a count, and the count without the resident's cell of it. The
/// program says that there is no secret where the two are equal.
fn equality(desk: &Desk, register: &Register, targets: usize) -> anyhow::Result<Outcome> {
    let rows = register.batch();
    let mut tally = Tally::default();
    for target in register.residents.iter().take(targets) {
        let sql = format!(
            "SELECT COUNT(*), COUNT(*) FILTER (WHERE (village = '{}' AND secret = 'yes') IS NOT TRUE) FROM register WHERE grp = '{}'",
            village(target.village),
            group(target.group)
        );
        for answer in desk.ask(&rows, &sql)? {
            let both = answer.number(0).zip(answer.number(1));
            tally.guess(both.map(|(all, others)| f64::from(u8::from(all != others))), target.secret);
        }
    }
    Ok(Outcome { attack: EQUAL, cells: 2, tally })
}

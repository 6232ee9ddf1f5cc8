//! Weights in sums: one person's value made larger than all others by CASE, and the same sum asked for under many factors.

use crate::Scale;
use crate::desk::Desk;
use crate::in_lists::mean;
use crate::register::Register;
use crate::register::group;
use crate::register::village;
use crate::score::Outcome;
use crate::score::Tally;

pub(crate) const CASE: &str = "a weight for one person by CASE";
pub(crate) const FACTORS: &str = "tracker on sums, under many factors";
pub(crate) const LARGEST: &str = "tracker on sums, of the largest salary there may be";
/// Factors of one sum.
const FACTORS_MAX: i64 = 8;
/// The end of the declared range of salaries.
const SALARY_MAX: i64 = 200_000;

pub(crate) fn run(desk: &Desk, register: &Register, scale: &Scale) -> anyhow::Result<Vec<Outcome>> {
    let targets = scale.targets(desk);
    let case = |place: &str| {
        vec![format!(
            "SELECT SUM(CASE WHEN {place} AND secret = 'yes' THEN salary * 1000 ELSE salary END) / 999.0, SUM(salary) / 999.0 FROM register"
        )]
    };
    let factors = |most: i64| {
        move |village: &str, group: &str| -> Vec<String> {
            let sum = |factor| {
                let sum = format!("SUM(salary * {factor})");
                format!(
                    "SELECT {sum} / {factor}.0, {sum} FILTER (WHERE ({village}) IS NOT TRUE) / {factor}.0 FROM register WHERE secret = 'yes' AND {group}"
                )
            };
            (1..=most).map(sum).collect()
        }
    };
    let mut results = vec![
        sums(desk, register, targets, CASE, &|village, group| case(&format!("{village} AND {group}")))?,
        sums(desk, register, targets, FACTORS, &factors(FACTORS_MAX))?,
    ];
    let mut rich = register.clone();
    rich.residents.iter_mut().take(targets).for_each(|one| one.salary = SALARY_MAX);
    results.push(sums(desk, &rich, targets, LARGEST, &factors(1))?);
    Ok(results)
}

/// The mean difference of two sums, in salaries of the resident.
fn sums(
    desk: &Desk,
    register: &Register,
    targets: usize,
    attack: &'static str,
    statements: &dyn Fn(&str, &str) -> Vec<String>,
) -> anyhow::Result<Outcome> {
    let rows = register.batch();
    let (mut tally, mut cells) = (Tally::default(), 0);
    for target in register.residents.iter().take(targets) {
        let statements = statements(
            &format!("village = '{}'", village(target.village)),
            &format!("grp = '{}'", group(target.group)),
        );
        cells = 2 * statements.len();
        let mut samples: Vec<Vec<f64>> = vec![Vec::new(); desk.keys()];
        for sql in &statements {
            for (samples, answer) in samples.iter_mut().zip(desk.ask(&rows, sql)?) {
                let both = answer.number(0).zip(answer.number(1));
                samples.extend(both.map(|(with, without)| (with - without) / target.salary as f64));
            }
        }
        for samples in &samples {
            tally.guess(mean(samples), target.secret);
        }
    }
    Ok(Outcome { attack, cells, tally })
}

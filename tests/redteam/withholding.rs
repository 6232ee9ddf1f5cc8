//! Withholding as an oracle: somebody who knows all others of a cell asks whether it shows, of cells that are as large as the
//! smallest that do.

use obscura_tests::guarded::questions::Seeded;

use crate::Scale;
use crate::desk::Desk;
use crate::desk::Protection;
use crate::in_lists::others;
use crate::in_lists::quoted;
use crate::register::ISOLATED;
use crate::register::Register;
use crate::register::VILLAGES;
use crate::register::group;
use crate::register::village;
use crate::score::Outcome;
use crate::score::Tally;

pub(crate) const NAME: &str = "which cells show, by somebody who knows all others";

pub(crate) fn run(desk: &Desk, register: &Register, scale: &Scale) -> anyhow::Result<Vec<Outcome>> {
    let rows = register.batch();
    let mut tally = Tally::default();
    for number in on_the_edge(desk, register, scale.targets(desk)) {
        let target = &register.residents[number];
        let mut seeded = Seeded(11_000 + number as u64);
        let mut signs = vec![0.0; desk.keys()];
        for cell in cells(desk, register, number, &mut seeded, scale.shown) {
            let sql = format!(
                "SELECT COUNT(*) FROM register WHERE secret = 'yes' AND grp = '{}' AND village IN ({})",
                group(target.group),
                quoted(&cell.villages, village)
            );
            for (sign, answer) in signs.iter_mut().zip(desk.ask(&rows, &sql)?) {
                *sign += match (desk.protection, answer.number(0)) {
                    (Protection::Nothing, Some(number)) => number - cell.others - 0.5,
                    (_, shown) => f64::from(u8::from(shown.is_some())) - cell.chance,
                };
            }
        }
        for sign in signs {
            tally.guess(Some(0.5 + sign), target.secret);
        }
    }
    // Under a low threshold the register may have nobody on its edge.
    Ok(Vec::from_iter(tally.has_guesses().then_some(Outcome { attack: NAME, cells: scale.shown, tally })))
}

/// Residents in whose village and group one fewer others than a cell needs have the secret, half of whom have it themselves.
fn on_the_edge(desk: &Desk, register: &Register, count: usize) -> Vec<usize> {
    let mut found: [Vec<usize>; 2] = [Vec::new(), Vec::new()];
    let mut places = std::collections::BTreeSet::new();
    for (number, one) in register.residents.iter().enumerate().skip(ISOLATED) {
        let here = register.with_secret(|other| (other.village, other.group) == (one.village, one.group));
        let others = here - usize::from(one.secret);
        let of = &mut found[usize::from(one.secret)];
        if others + 1 == desk.subjects_min as usize
            && of.len() < count.div_ceil(2)
            && places.insert((one.village, one.group))
        {
            of.push(number);
        }
    }
    let [without, with] = found;
    let both = without.len().min(with.len());
    without.into_iter().take(both).chain(with.into_iter().take(both)).collect()
}

struct Asked {
    villages: Vec<usize>,
    /// Others in it who have the secret.
    others: f64,
    /// The chance that it shows, in the middle between the two that the bit makes.
    chance: f64,
}

/// Cells with the resident that are nearly as large as the smallest that show. Without noise it is the one with nine others.
fn cells(desk: &Desk, register: &Register, number: usize, seeded: &mut Seeded, count: usize) -> Vec<Asked> {
    let target = &register.residents[number];
    let least = f64::from(desk.subjects_min);
    let Protection::Named(deviation) = desk.protection else {
        return vec![Asked { villages: vec![target.village], others: least - 1.0, chance: 0.5 }];
    };
    let mut found = Vec::new();
    for try_number in 0..200 * count {
        if found.len() == count {
            break;
        }
        let mut villages = others(seeded, VILLAGES, target.village, 1 + try_number % 8);
        villages.push(target.village);
        let others = register.with_secret(|one| one.group == target.group && villages.contains(&one.village));
        let others = others as f64 - f64::from(u8::from(target.secret));
        let spread = f64::from(deviation) * (villages.len() as f64).sqrt();
        // Two deviations above the threshold, and no number whose deviation is more than three tenths of it.
        let limit = (least + 2.0 * spread).max(spread / 0.3);
        if (others - limit).abs() < spread / 2.0 {
            found.push(Asked { villages, others, chance: above((limit - others - 0.5) / spread) });
        }
    }
    found
}

/// The share of a normal distribution that lies above a number of deviations.
fn above(deviations: f64) -> f64 {
    // A logistic curve, which is near enough for a weight.
    1.0 / (1.0 + (1.702 * deviations).exp())
}

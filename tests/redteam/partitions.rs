//! Sums of parts against their total, over many partitions; and least squares over every named cell that holds one resident.

use obscura_tests::guarded::questions::Seeded;

use crate::Scale;
use crate::desk::Desk;
use crate::in_lists::mean;
use crate::in_lists::others;
use crate::in_lists::quoted;
use crate::register::Register;
use crate::register::Resident;
use crate::register::VILLAGES;
use crate::register::group;
use crate::register::village;
use crate::score::Outcome;
use crate::score::Tally;

pub(crate) const SUMS: &str = "totals less the sum of their parts";
pub(crate) const ALONE: &str = "every named cell of one resident alone, least squares";
pub(crate) const ALL_KNOWN: &str = "every named cell, by somebody who knows all others";

pub(crate) fn run(desk: &Desk, register: &Register, scale: &Scale) -> anyhow::Result<Vec<Outcome>> {
    let mut outcomes = vec![sums(desk, register, scale)?];
    outcomes.extend(everything(desk, register, scale)?);
    Ok(outcomes)
}

/// The total of a group in some villages, less the parts that show: the part of the resident's own village is withheld.
fn sums(desk: &Desk, register: &Register, scale: &Scale) -> anyhow::Result<Outcome> {
    let rows = register.batch();
    let mut tally = Tally::default();
    for number in 0..scale.targets(desk) {
        let target = &register.residents[number];
        let mut seeded = Seeded(9_000 + number as u64);
        let mut samples: Vec<Vec<f64>> = vec![Vec::new(); desk.keys()];
        for _ in 0..scale.partitions {
            let villages = others(&mut seeded, VILLAGES, target.village, 14);
            let (first, second) = villages.split_at(7);
            let own = village(target.village);
            let all: Vec<usize> = villages.iter().copied().chain([target.village]).collect();
            let within = format!(
                "FROM register WHERE secret = 'yes' AND grp = '{}' AND village IN ({})",
                group(target.group),
                quoted(&all, village)
            );
            let totals = desk.ask(&rows, &format!("SELECT COUNT(*) {within}"))?;
            let parts = desk.ask(
                &rows,
                &format!(
                    "SELECT CASE WHEN village IN ({}) THEN 'a' WHEN village IN ({}) THEN 'b' WHEN village = '{own}' THEN 'own' END, COUNT(*) {within} GROUP BY 1",
                    quoted(first, village),
                    quoted(second, village),
                ),
            )?;
            for ((samples, total), parts) in samples.iter_mut().zip(totals).zip(parts) {
                let shown = parts.rows.iter().filter(|(label, _)| label == "a" || label == "b");
                let shown: Vec<f64> =
                    shown.filter_map(|(_, numbers)| numbers.first().copied().flatten()).collect();
                if let (Some(total), [_, _]) = (total.number(0), shown.as_slice()) {
                    samples.push(total - shown.iter().sum::<f64>());
                }
            }
        }
        for samples in &samples {
            tally.guess(mean(samples), target.secret);
        }
    }
    Ok(Outcome { attack: SUMS, cells: 4 * scale.partitions, tally })
}

/// A named cell that a person lies in: of each column one of the nodes above their value, counted from all values down.
struct Cell<'t> {
    person: &'t Resident,
    village: usize,
    group: usize,
    age: usize,
    sex: usize,
    moved: usize,
}

impl<'t> Cell<'t> {
    /// The cells of all choices of nodes, but for the one of all residents.
    fn all(person: &'t Resident) -> Vec<Self> {
        let mut cells = Vec::new();
        for (village, group) in (0..2).flat_map(|village| (0..2).map(move |group| (village, group))) {
            for (age, sex) in (0..3).flat_map(|age| (0..2).map(move |sex| (age, sex))) {
                cells.extend((0..4).map(|moved| Cell { person, village, group, age, sex, moved }));
            }
        }
        cells.retain(|cell| !cell.condition().is_empty());
        cells
    }

    /// True if it is one of village and group, in which the isolated are alone.
    fn is_alone(&self) -> bool {
        self.village > 0 && self.group > 0
    }

    /// The condition, empty where all residents are in it.
    fn condition(&self) -> String {
        let person = self.person;
        let parts = [
            ["".to_owned(), format!("village = '{}'", village(person.village))].get(self.village).cloned(),
            ["".to_owned(), format!("grp = '{}'", group(person.group))].get(self.group).cloned(),
            [
                "".to_owned(),
                format!("age BETWEEN {} AND {}", person.decade(), person.decade() + 9),
                format!("age = {}", person.age),
            ]
            .get(self.age)
            .cloned(),
            ["".to_owned(), format!("sex = '{}'", person.sex)].get(self.sex).cloned(),
            [
                "".to_owned(),
                format!("extract(year FROM moved) = {}", person.year()),
                format!("date_trunc('month', moved) = DATE '{}-01'", person.month()),
                format!("moved = DATE '{}'", person.date()),
            ]
            .get(self.moved)
            .cloned(),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().filter(|part| !part.is_empty()).collect();
        parts.join(" AND ")
    }

    /// True if a resident is in it.
    fn holds(&self, other: &Resident) -> bool {
        let person = self.person;
        let same_age = [true, other.decade() == person.decade(), other.age == person.age];
        let same_day = [
            true,
            other.year() == person.year(),
            other.month() == person.month(),
            other.moved == person.moved,
        ];
        (self.village == 0 || other.village == person.village)
            && (self.group == 0 || other.group == person.group)
            && same_age[self.age]
            && (self.sex == 0 || other.sex == person.sex)
            && same_day[self.moved]
    }
}

/// The mean over named cells of the person of what the cell takes off the number of all, less the others in it: in the cells in
/// which the person is alone there are none, and of the rest somebody may know them.
///
/// The cells themselves are too small to be shown, and all but the cell is not. The number of all with its noise is learned from
/// cells of the same village and group that are empty.
fn everything(desk: &Desk, register: &Register, scale: &Scale) -> anyhow::Result<Vec<Outcome>> {
    let rows = register.batch();
    let kinds = [(ALONE, false), (ALL_KNOWN, true)];
    let mut outcomes = kinds.map(|(attack, _)| Outcome { attack, cells: 0, tally: Tally::default() });
    for target in register.residents.iter().take(scale.targets(desk)) {
        let but = |condition: &str| {
            let sql =
                format!("SELECT COUNT(*) FROM register WHERE secret = 'yes' AND ({condition}) IS NOT TRUE");
            desk.ask(&rows, &sql)
        };
        let place = format!("village = '{}' AND grp = '{}'", village(target.village), group(target.group));
        let ages = (0..100_i64).filter(|age| *age != target.age).step_by(2);
        let empty: Vec<String> = ages.map(|age| format!("{place} AND age = {age}")).collect();
        let mut totals: Vec<Vec<f64>> = vec![Vec::new(); desk.keys()];
        for condition in &empty {
            for (totals, answer) in totals.iter_mut().zip(but(condition)?) {
                totals.extend(answer.number(0));
            }
        }
        // The estimates of each kind, for each key.
        let mut samples: Vec<[Vec<f64>; 2]> = vec![Default::default(); desk.keys()];
        let cells = Cell::all(target);
        for cell in &cells {
            let others = register.with_secret(|one| cell.holds(one)) - usize::from(target.secret);
            for ((samples, totals), answer) in samples.iter_mut().zip(&totals).zip(but(&cell.condition())?) {
                let taken = mean(totals).zip(answer.number(0)).map(|(total, without)| total - without);
                for (samples, (_, all_known)) in samples.iter_mut().zip(kinds) {
                    if all_known || cell.is_alone() {
                        samples.extend(taken.map(|taken| taken - others as f64));
                    }
                }
            }
        }
        for (place, outcome) in outcomes.iter_mut().enumerate() {
            for samples in &samples {
                outcome.tally.guess(mean(&samples[place]), target.secret);
            }
            let of_kind = cells.iter().filter(|cell| kinds[place].1 || cell.is_alone());
            outcome.cells = empty.len() + of_kind.count();
        }
    }
    Ok(outcomes.into())
}

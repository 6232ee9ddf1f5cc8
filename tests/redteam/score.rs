//! The score of a program: how much better than a coin it guesses a secret bit, with its interval, and the table of all programs.

use std::collections::BTreeMap;

use crate::desk::Protection;

/// Ends of 95 % of a normal distribution, in deviations.
const Z: f64 = 1.959_964;

/// Guesses of one program.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Tally {
    /// Guesses that were right; one without any sign is half right.
    right: f64,
    trials: f64,
}

impl Tally {
    /// Notes a guess from an estimate of the bit, which is nearer to zero or to one. Without an estimate, or in the middle, the
    /// program tosses a coin.
    pub(crate) fn guess(&mut self, estimate: Option<f64>, bit: bool) {
        self.trials += 1.0;
        self.right += match estimate {
            Some(estimate) if estimate > 0.5 => f64::from(u8::from(bit)),
            Some(estimate) if estimate < 0.5 => f64::from(u8::from(!bit)),
            _ => 0.5,
        };
    }

    /// True if anybody's bit was guessed.
    pub(crate) fn has_guesses(self) -> bool {
        self.trials > 0.0
    }

    /// The advantage: twice the accuracy less one, with the ends of its interval of 95 % (Wilson 1927).
    pub(crate) fn advantage(self) -> (f64, f64, f64) {
        let n = self.trials.max(1.0);
        let p = self.right / n;
        let middle = (p + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n);
        let half = Z / (1.0 + Z * Z / n) * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
        (2.0 * p - 1.0, 2.0 * (middle - half) - 1.0, 2.0 * (middle + half) - 1.0)
    }
}

/// The result of one program at one desk: what it did, the cells that it asked for of one person, and its score.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) attack: &'static str,
    pub(crate) cells: usize,
    pub(crate) tally: Tally,
}

/// The results of all programs, in the order in which they came.
#[derive(Debug, Default)]
pub(crate) struct Scores {
    order: Vec<(String, usize)>,
    of: BTreeMap<(String, usize), BTreeMap<Protection, Tally>>,
}

impl Scores {
    /// Adds a result, under the name of its program and of the persons that it guesses.
    pub(crate) fn add(&mut self, protection: Protection, persons: &str, result: &Outcome) {
        let row = (format!("{}{persons}", result.attack), result.cells);
        if !self.order.contains(&row) {
            self.order.push(row.clone());
        }
        self.of.entry(row).or_default().insert(protection, result.tally);
    }

    /// The advantage of one program with so many cells.
    pub(crate) fn advantage(&self, attack: &str, cells: usize, protection: Protection) -> Option<f64> {
        Some(self.of.get(&(attack.to_owned(), cells))?.get(&protection)?.advantage().0)
    }

    /// The programs whose advantage at a desk is above the bound for the persons that they guess, with their cells.
    pub(crate) fn over(&self, protection: Protection, most: impl Fn(&str) -> f64) -> Vec<(String, f64)> {
        let found = self.order.iter().filter_map(|row| {
            let (advantage, ..) = self.of.get(row)?.get(&protection)?.advantage();
            (advantage > most(&row.0)).then(|| (format!("{}, {} cells", row.0, row.1), advantage))
        });
        found.collect()
    }

    /// The table, as Markdown.
    pub(crate) fn table(&self, columns: &[(Protection, &str)]) -> String {
        let heads: Vec<&str> = columns.iter().map(|(_, head)| *head).collect();
        let mut text = format!(
            "| attack | cells | {} |\n|---|---:|{}\n",
            heads.join(" | "),
            "---|".repeat(columns.len())
        );
        for row in &self.order {
            let scores = &self.of[row];
            let written =
                columns.iter().map(|(protection, _)| scores.get(protection).map_or("".to_owned(), written));
            let written: Vec<String> = written.collect();
            text.push_str(&format!("| {} | {} | {} |\n", row.0, row.1, written.join(" | ")));
        }
        text
    }
}

fn written(tally: &Tally) -> String {
    let (advantage, low, high) = tally.advantage();
    format!("{advantage:.2} ({low:.2} to {high:.2})")
}

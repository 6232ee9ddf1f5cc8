//! A small linear program, solved by the simplex method with Bland's rule over bounded variables (Bland 1977; Chvátal, Linear Programming,
//! 1983, chapter 8).
//!
//! The variables are zero to begin with, and every row may be zero: so the start is feasible, and no first phase is needed. The work is
//! counted and not timed. What it comes to is only proposed: its reader checks it in whole numbers.

/// Numbers nearer to zero than this are rounding errors of the tableau.
const ZERO: f64 = 1e-9;

/// The cheapest values of variables from zero to their upper ends, so that every row's sum lies between its ends.
#[derive(Debug, Default)]
pub(super) struct Program {
    costs: Vec<f64>,
    upper: Vec<f64>,
    /// Of each variable its factors, by row.
    factors: Vec<Vec<(usize, f64)>>,
    /// Least and largest sum of each row; zero lies between them.
    rows: Vec<(f64, f64)>,
}

impl Program {
    /// Adds a row, and gives its number.
    pub(super) fn row(&mut self, least: f64, most: f64) -> usize {
        self.rows.push((least.min(0.0), most.max(0.0)));
        self.rows.len() - 1
    }

    /// Adds a variable with its factors in rows, and gives its number.
    pub(super) fn variable(&mut self, cost: f64, upper: f64, factors: Vec<(usize, f64)>) -> usize {
        self.costs.push(cost);
        self.upper.push(upper.max(0.0));
        self.factors.push(factors);
        self.costs.len() - 1
    }

    /// The values of the variables, where they are found within so many steps; and the steps that were taken. A step is one number of the
    /// tableau that is looked at.
    pub(super) fn solved(&self, steps_max: usize) -> (Option<Vec<f64>>, usize) {
        let mut tableau = Tableau::of(self);
        let step = (self.rows.len() + 1).saturating_mul(self.costs.len());
        let mut steps: usize = 0;
        loop {
            steps = steps.saturating_add(step);
            if steps > steps_max {
                return (None, steps);
            }
            match tableau.improve() {
                Improved::Yes => {}
                Improved::AtBest => return (Some(tableau.of_variables()), steps),
                Improved::Unbounded => return (None, steps),
            }
        }
    }
}

enum Improved {
    Yes,
    AtBest,
    Unbounded,
}

/// The basic variables as sums of the others. Variables are numbered with the rows' sums after them.
struct Tableau {
    variables: usize,
    basic: Vec<usize>,
    others: Vec<usize>,
    /// Of each basic variable its factors of the others.
    factors: Vec<Vec<f64>>,
    costs: Vec<f64>,
    values: Vec<f64>,
    ends: Vec<(f64, f64)>,
}

impl Tableau {
    fn of(program: &Program) -> Self {
        let (variables, rows) = (program.costs.len(), program.rows.len());
        let mut factors = vec![vec![0.0; variables]; rows];
        for (variable, of_rows) in program.factors.iter().enumerate() {
            for (row, factor) in of_rows {
                let place = factors.get_mut(*row).and_then(|row| row.get_mut(variable));
                place.into_iter().for_each(|place| *place += factor);
            }
        }
        let ends = program.upper.iter().map(|upper| (0.0, *upper)).chain(program.rows.iter().copied());
        Tableau {
            variables,
            basic: (variables..variables + rows).collect(),
            others: (0..variables).collect(),
            factors,
            costs: program.costs.clone(),
            values: vec![0.0; variables + rows],
            ends: ends.collect(),
        }
    }

    fn of_variables(&self) -> Vec<f64> {
        self.values.iter().copied().take(self.variables).collect()
    }

    fn value(&self, variable: usize) -> f64 {
        self.values.get(variable).copied().unwrap_or(0.0)
    }

    /// The distance by which a variable may still move, up or down.
    fn room(&self, variable: usize, rises: bool) -> f64 {
        let (least, most) = self.ends.get(variable).copied().unwrap_or((0.0, 0.0));
        let value = self.value(variable);
        (if rises { most - value } else { value - least }).max(0.0)
    }

    /// Moves the first variable that makes it cheaper, as far as it goes.
    fn improve(&mut self) -> Improved {
        let moves = self.others.iter().zip(&self.costs).enumerate().filter_map(|(at, (variable, cost))| {
            let rises = *cost < 0.0;
            (cost.abs() > ZERO && self.room(*variable, rises) > ZERO).then_some((*variable, at, rises))
        });
        let Some((variable, at, rises)) = moves.min() else { return Improved::AtBest };
        let direction = if rises { 1.0 } else { -1.0 };
        // The basic variable that stops it first, and the first of several.
        let mut step = self.room(variable, rises);
        let mut stopped_by: Option<(usize, usize)> = None;
        for (row, (basic, factors)) in self.basic.iter().zip(&self.factors).enumerate() {
            let rate = factors.get(at).copied().unwrap_or(0.0) * direction;
            if rate.abs() <= ZERO {
                continue;
            }
            let most = self.room(*basic, rate > 0.0) / rate.abs();
            let is_first = stopped_by.is_none_or(|(_, known)| *basic < known);
            if most < step - ZERO || (most <= step + ZERO && is_first) {
                step = step.min(most);
                stopped_by = Some((row, *basic));
            }
        }
        if !step.is_finite() {
            return Improved::Unbounded;
        }
        self.values.get_mut(variable).into_iter().for_each(|value| *value += direction * step);
        for (basic, factors) in self.basic.iter().zip(&self.factors) {
            let rate = factors.get(at).copied().unwrap_or(0.0) * direction;
            self.values.get_mut(*basic).into_iter().for_each(|value| *value += rate * step);
        }
        if let Some((row, _)) = stopped_by {
            self.exchange(row, at);
        }
        Improved::Yes
    }

    /// Makes a basic variable one of the others, and one of these basic.
    fn exchange(&mut self, row: usize, at: usize) {
        let Some(pivot_row) = self.factors.get(row).cloned() else { return };
        let Some(pivot) = pivot_row.get(at).copied() else { return };
        let exchanged: Vec<f64> = pivot_row
            .iter()
            .enumerate()
            .map(|(column, factor)| if column == at { 1.0 / pivot } else { -factor / pivot })
            .collect();
        let substitute = |factors: &mut Vec<f64>| {
            let times = factors.get(at).copied().unwrap_or(0.0);
            if times.abs() <= ZERO {
                factors.get_mut(at).into_iter().for_each(|place| *place = 0.0);
                return;
            }
            for (column, (place, factor)) in factors.iter_mut().zip(&exchanged).enumerate() {
                *place = if column == at { times * factor } else { *place + times * factor };
            }
        };
        for (number, factors) in self.factors.iter_mut().enumerate() {
            if number == row {
                factors.clone_from(&exchanged);
            } else {
                substitute(factors);
            }
        }
        substitute(&mut self.costs);
        if let (Some(basic), Some(other)) = (self.basic.get_mut(row), self.others.get_mut(at)) {
            std::mem::swap(basic, other);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_cheaper_of_two_ways_is_taken() {
        let mut program = Program::default();
        let row = program.row(0.0, 0.0);
        program.variable(-100.0, 3.0, vec![(row, 1.0)]);
        program.variable(5.0, 10.0, vec![(row, -1.0)]);
        program.variable(2.0, 2.0, vec![(row, -1.0)]);
        let (values, _) = program.solved(10_000);
        assert_eq!(values.unwrap(), [3.0, 1.0, 2.0]);
        assert!(program.solved(5).0.is_none());
    }

    #[test]
    fn what_never_ends_is_no_solution() {
        let mut program = Program::default();
        program.variable(-1.0, f64::INFINITY, Vec::new());
        assert!(program.solved(1_000).0.is_none());
    }

    proptest! {
        /// Of few whole values all combinations are tried.
        #[test]
        fn it_is_as_cheap_as_the_best_of_all_combinations(
            variables in prop::collection::vec((-5..6_i32, 0..4_i32, prop::collection::vec(-1..2_i32, 2)), 1..5),
            ends in prop::collection::vec((-3..1_i32, 0..4_i32), 2),
        ) {
            let mut program = Program::default();
            for (least, most) in &ends {
                program.row(f64::from(*least), f64::from(*most));
            }
            for (cost, upper, factors) in &variables {
                let factors = factors.iter().enumerate().map(|(row, factor)| (row, f64::from(*factor)));
                program.variable(f64::from(*cost), f64::from(*upper), factors.collect());
            }
            let values = program.solved(1_000_000).0.unwrap();
            let cost: f64 = values.iter().zip(&variables).map(|(value, one)| value * f64::from(one.0)).sum();
            for (row, (least, most)) in ends.iter().enumerate() {
                let sum: f64 = values.iter().zip(&variables).map(|(value, one)| value * f64::from(one.2[row])).sum();
                prop_assert!(f64::from(*least) - 1e-6 <= sum && sum <= f64::from(*most) + 1e-6);
            }
            let mut best = f64::INFINITY;
            let count: i32 = variables.iter().map(|one| one.1 + 1).product();
            for number in 0..count {
                let mut rest = number;
                let tried: Vec<i32> = variables.iter().map(|one| { let value = rest % (one.1 + 1); rest /= one.1 + 1; value }).collect();
                let agrees = ends.iter().enumerate().all(|(row, (least, most))| {
                    let sum: i32 = tried.iter().zip(&variables).map(|(value, one)| value * one.2[row]).sum();
                    *least <= sum && sum <= *most
                });
                if agrees {
                    best = best.min(tried.iter().zip(&variables).map(|(value, one)| f64::from(value * one.0)).sum());
                }
            }
            // Whole values are some of all values.
            prop_assert!(cost <= best + 1e-6, "{cost} {best}");
        }
    }
}

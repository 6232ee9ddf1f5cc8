//! The full run: every program at every desk, and the page that says what came of it.

use std::fs;

use anyhow::Context as _;
use anyhow::ensure;
use obscura_tests::environment;

use crate::Program;
use crate::Scale;
use crate::desk::Desk;
use crate::desk::Protection;
use crate::exposure::figures;
use crate::in_lists;
use crate::in_lists::ASKED;
use crate::partitions;
use crate::register::Register;
use crate::rephrasing;
use crate::score::Scores;
use crate::trackers;
use crate::versions;
use crate::weights;
use crate::withholding;

/// Seed of the register.
pub(crate) const SEED: u64 = 20_260;

/// The columns of the table.
const COLUMNS: [(Protection, &str); 6] = [
    (Protection::Nothing, "no guard"),
    (Protection::Threshold, "threshold and rounding"),
    (Protection::Fresh(4), "fresh noise at 4"),
    (Protection::Fresh(8), "fresh noise at 8"),
    (Protection::Named(4), "named noise at 4"),
    (Protection::Named(8), "named noise at 8"),
];

/// A program, and where it asks.
struct Run {
    program: Program,
    /// Of a dataset whose versions are replaced.
    is_updated: bool,
    /// Also where noise is drawn anew for each number.
    with_fresh: bool,
}

const RUNS: [Run; 7] = [
    Run { program: in_lists::run, is_updated: false, with_fresh: true },
    Run { program: rephrasing::run, is_updated: false, with_fresh: true },
    Run { program: trackers::run, is_updated: false, with_fresh: false },
    Run { program: partitions::run, is_updated: false, with_fresh: false },
    Run { program: versions::run, is_updated: true, with_fresh: false },
    Run { program: withholding::run, is_updated: false, with_fresh: false },
    Run { program: weights::run, is_updated: false, with_fresh: false },
];

/// Runs everything and writes the page.
pub(crate) fn write() -> anyhow::Result<()> {
    let scale = Scale {
        targets: (6, 12),
        keys: 16,
        choices: vec![1, 10, 100, 400],
        spellings: 20,
        filled: vec![4, 8],
        partitions: 40,
        versions: vec![24, 120],
        shown: 40,
    };
    let register = Register::of(SEED);
    let mut scores = Scores::default();
    for Run { program, is_updated, with_fresh } in RUNS {
        for (protection, name) in COLUMNS {
            if matches!(protection, Protection::Fresh(_)) && !with_fresh {
                continue;
            }
            let desk = Desk::new(protection, scale.keys, is_updated)?;
            for result in program(&desk, &register, &scale)? {
                let (advantage, low, high) = result.tally.advantage();
                eprintln!(
                    "{}, {} cells, {name}: {advantage:.2} ({low:.2} to {high:.2})",
                    result.attack, result.cells
                );
                scores.add(protection, &result);
            }
        }
    }
    held(&scores)?;
    let page = format!("{HEAD}\n{}\n{}\n{}{TAIL}", scores.table(&COLUMNS), over(&scores), shown(&register)?);
    let docs = environment::tests_folder().join("..").join("sandbox").join("docs");
    fs::write(docs.join("attack-results.md"), page).context("cannot write attack-results.md")
}

/// Most cells of the program of IN lists.
const IN_LIST_CELLS: usize = 1_600;

/// Fails where IN lists average named noise away, or where they do not average away noise that is drawn anew: then the program, and
/// not the noise, is what fell short.
fn held(scores: &Scores) -> anyhow::Result<()> {
    let of = |protection| {
        let found = scores.advantage(in_lists::NAME, IN_LIST_CELLS, protection);
        found.context("the program of IN lists did not run")
    };
    let (named, fresh) = (of(Protection::Named(8))?, of(Protection::Fresh(4))?);
    ensure!(named < 0.3, "IN lists have an advantage of {named} over named noise at 8");
    ensure!(fresh > 0.6, "IN lists have an advantage of {fresh} over fresh noise at 4");
    Ok(())
}

/// The exposure that the design lets a grade such as L3 have (`sandbox/docs/disclosure-model.md`, section 5.8).
const EXPOSURE_MAX: f64 = 0.25;

/// The programs that named noise does not hold to the exposure of the design.
fn over(scores: &Scores) -> String {
    let mut text = format!(
        "## Over the aim\n\nThe aim of named noise at L3 is an advantage of {EXPOSURE_MAX} at the most, for the most isolated person.\n\n"
    );
    for (protection, name) in COLUMNS {
        if !matches!(protection, Protection::Named(_)) {
            continue;
        }
        let over = scores.over(protection, EXPOSURE_MAX);
        let over: Vec<String> = over.iter().map(|(row, found)| format!("{row} ({found:.2})")).collect();
        let over = if over.is_empty() { "none".to_owned() } else { over.join("; ") };
        text.push_str(&format!("- {name}: {over}.\n"));
    }
    text
}

/// The exposure that a steward is shown of the register, at each deviation that is tried.
fn shown(register: &Register) -> anyhow::Result<String> {
    let mut text = "## The exposure that is shown\n\n`obscura policy exposure` computes what somebody comes to who asks everything that is open, of the most isolated resident and of one at random, and what somebody comes to who knows everybody else.\n\n".to_owned();
    for (protection, name) in COLUMNS {
        let Protection::Named(deviation) = protection else { continue };
        for (of, opened) in
            [("everything", None), ("villages, groups and the secret alone", Some(&ASKED[..]))]
        {
            let (exposure, known) = figures(register, deviation, opened)?;
            text.push_str(&format!(
                "- {of}, {name}: {:.2} of the most isolated, {:.2} of one at random; {:.2} for somebody who knows all others.\n",
                exposure.worst(),
                exposure.random(),
                known.stays
            ));
        }
    }
    Ok(text)
}

const HEAD: &str = "\
# Results of attacks

Programs play an analyst: they ask the guard many questions about a synthetic register, and guess one secret bit of a person.
This page is made by `cargo xtask redteam`, which runs `tests/redteam` in full; the same programs run small as tests.
All seeds and keys are fixed, so that a run of the same code writes the same page.

- **The register** has 4,000 residents in 20 villages and 10 groups, half of whom have the secret; forty are alone in their village and group, and they are the persons that are guessed.
- **The policy** is one of L3: at least 10 subjects, rounding to 5, dominance (2 at 85 %, p = 10 %); the dataset is published once, so that the noise of versions does not protect it, but for the rows on versions.
- **The advantage** is twice the share of right guesses less one: 0 is a coin, 1 is certainty.
- **The interval** is one of 95 %, over 6 persons without a guard, 12 with thresholds alone, and 6 with 16 keys each with noise (Wilson).
- **Cells** are the released numbers that were asked for about one person.
- **No guard** is exact answers of a plain engine; **fresh noise** is exact answers with noise that is drawn anew for each number and rounded, which the product does not have.

An interval counts guesses as if each were of another person; it says nothing of registers with other proportions.
The persons are few because each is asked about thousands of times in the development profile; `tests/redteam/report.rs` has the numbers.

## The table
";

const TAIL: &str = "
## Its reading

- **Without a guard** every program has the bit after the first cells.
- **Thresholds and rounding alone fail.** Varied IN lists and totals less their parts average the rounding away, a sum tells one salary, and a cell that shows tells the tenth person to somebody who knows the other nine.
- **Fresh noise fails** at enough cells; it only sets their number.
- **Named noise has one draw for each named cell.** IN lists, spellings, partitions, factors and comparisons with literals are measurements of the same draw, and more of them add nothing but what rounding took.
- **Named noise is overcome by names.** Each further name that holds a person is a further draw: every choice of nodes of village, group, age, sex and day, and every column that is asked to have a value.
  At most three columns and one secret one meet in a number; a policy lets fewer meet (`cubes`), and the exposure that is shown says what its choice comes to.
  A deviation is no promise by itself: of this register, with thirteen columns that may be known and any three of them together, it is far above the aim.
- **Columns that all have a value in** add nothing: whichever of them are asked to have a value, the draw of all is one, and what is taken off it is a cell of nobody.
- **Somebody who knows all others** uses every name above a person's values, and not only those in which the person is alone.
- **Daily versions** draw a part of the noise anew each day, and their mean takes it away; what is fixed cancels in the difference.
  Epochs, which the design has for this, are not built.
- **Sums** protect contributions of the declared usual size, and larger ones less, which so few persons do not show clearly.
- **A weight by CASE** shows nothing: the weighted part is a cell of its own, and is withheld.
";

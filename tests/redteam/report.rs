//! The full run: every program at every desk, and the page that says what came of it.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use anyhow::Context as _;
use anyhow::ensure;
use obscura_tests::environment;

use crate::Program;
use crate::STACK_BYTES;
use crate::Scale;
use crate::desk::Desk;
use crate::desk::Protection;
use crate::exposure::figures;
use crate::in_lists;
use crate::in_lists::ASKED;
use crate::partitions;
use crate::policy::OF_L2;
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
const COLUMNS: [(Protection, &str); 7] = [
    (Protection::Nothing, "no guard"),
    (Protection::Threshold, "threshold and rounding"),
    (Protection::Fresh(4), "fresh noise at 4"),
    (Protection::Fresh(8), "fresh noise at 8"),
    (Protection::Named(2), "named noise at 2 (L2)"),
    (Protection::Named(4), "named noise at 4 (L3)"),
    (Protection::Named(8), "named noise at 8"),
];

/// A program, and where it asks.
struct Run {
    program: Program,
    /// Of a dataset whose versions are replaced.
    is_updated: bool,
    /// Also where noise is drawn anew for each number.
    with_fresh: bool,
    /// Of persons at random, not of isolated ones.
    at_random: bool,
}

impl Run {
    /// A program that guesses isolated persons of a dataset that is published once, at the desks that the product has.
    const fn of(program: Program) -> Self {
        Run { program, is_updated: false, with_fresh: false, at_random: false }
    }

    /// The register, with the persons first whose bits are guessed.
    fn register(&self) -> Register {
        let register = Register::of(SEED);
        if self.at_random { register.others_first() } else { register }
    }

    /// The words for the persons in the table.
    fn persons(&self) -> &'static str {
        if self.at_random { AT_RANDOM } else { "" }
    }
}

/// The words of the table for a program that guesses persons at random.
const AT_RANDOM: &str = ", of persons at random";

const RUNS: [Run; 9] = [
    Run { with_fresh: true, ..Run::of(in_lists::run) },
    Run { with_fresh: true, ..Run::of(rephrasing::run) },
    Run::of(trackers::run),
    Run::of(partitions::run),
    Run { is_updated: true, ..Run::of(versions::run) },
    Run::of(withholding::run),
    Run::of(weights::run),
    Run { at_random: true, ..Run::of(in_lists::run) },
    Run { at_random: true, ..Run::of(trackers::plain) },
];

/// The size of a run: few isolated persons who are asked much about, or many at random who are asked little about.
fn scale(at_random: bool) -> Scale {
    let (targets, choices) =
        if at_random { ((48, 96), vec![1, 10]) } else { ((6, 12), vec![1, 10, 100, 400]) };
    Scale {
        targets,
        keys: 16,
        choices,
        spellings: 20,
        filled: vec![4, 8],
        partitions: 40,
        versions: vec![24, 120],
        shown: 40,
    }
}

/// Runs everything and writes the page.
pub(crate) fn write() -> anyhow::Result<()> {
    let asks = |run: &Run, protection| !matches!(protection, Protection::Fresh(_)) || run.with_fresh;
    let tasks: Vec<(&Run, Protection, &str)> = RUNS
        .iter()
        .flat_map(|run| COLUMNS.map(|(protection, name)| (run, protection, name)))
        .filter(|(run, protection, _)| asks(run, *protection))
        .collect();
    let results = side_by_side(tasks.len(), |number| {
        let (run, protection, name) = tasks[number];
        let scale = scale(run.at_random);
        let desk = Desk::new(protection, scale.keys, run.is_updated)?;
        let results = (run.program)(&desk, &run.register(), &scale)?;
        for result in &results {
            let (advantage, low, high) = result.tally.advantage();
            let (attack, persons, cells) = (result.attack, run.persons(), result.cells);
            eprintln!("{attack}{persons}, {cells} cells, {name}: {advantage:.2} ({low:.2} to {high:.2})");
        }
        Ok(results)
    })?;
    let (mut scores, register) = (Scores::default(), Register::of(SEED));
    for ((run, protection, _), results) in tasks.iter().zip(&results) {
        results.iter().for_each(|result| scores.add(*protection, run.persons(), result));
    }
    held(&scores)?;
    let page = format!("{HEAD}\n{}\n{}\n{}{TAIL}", scores.table(&COLUMNS), over(&scores), shown(&register)?);
    let docs = environment::tests_folder().join("..").join("sandbox").join("docs");
    fs::write(docs.join("attack-results.md"), page).context("cannot write attack-results.md")
}

/// Does so many tasks on all cores, and returns what came of them in their order.
fn side_by_side<T: Send>(
    count: usize,
    task: impl Fn(usize) -> anyhow::Result<T> + Sync,
) -> anyhow::Result<Vec<T>> {
    let (next, done) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            let worker = || {
                loop {
                    let number = next.fetch_add(1, Ordering::SeqCst);
                    if number >= count {
                        return;
                    }
                    let found = task(number);
                    done.lock().expect("no worker has panicked").insert(number, found);
                }
            };
            std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, worker)?;
        }
        anyhow::Ok(())
    })?;
    done.into_inner().map_err(|_| anyhow::anyhow!("a worker panicked"))?.into_values().collect()
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

/// The exposure that the design lets L2 and L3 have, of isolated persons and of those at random (`sandbox/docs/disclosure-model.md`,
/// section 5.8).
const AIMS: [(&str, f64, f64); 2] = [("L2", 0.35, 0.10), ("L3", 0.25, 0.05)];

/// The programs that named noise does not hold to the exposure of the design.
fn over(scores: &Scores) -> String {
    let mut text = "## Over the aim\n\n".to_owned();
    for (grade, isolated, at_random) in AIMS {
        text.push_str(&format!(
            "The aim at {grade} is an advantage of {isolated:.2} at the most for the most isolated person, and of {at_random:.2} for one at random.\n"
        ));
    }
    text.push('\n');
    for (protection, name) in COLUMNS {
        let Protection::Named(deviation) = protection else { continue };
        let (_, isolated, at_random) = AIMS[usize::from(deviation != OF_L2)];
        let over =
            scores.over(protection, |attack| if attack.ends_with(AT_RANDOM) { at_random } else { isolated });
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

- **The register** has 4,000 residents in 20 villages and 10 groups, half of whom have the secret; forty are alone in their village and group, and they are the persons that are guessed, but for the rows on persons at random.
- **The policy** is one of L3: at least 10 subjects, rounding to 5, dominance (2 at 85 %, p = 10 %); at a deviation of 2 one of L2: at least 5 subjects, dominance (2 at 90 %).
  The dataset is published once, so that the noise of versions does not protect it, but for the rows on versions.
- **The advantage** is twice the share of right guesses less one: 0 is a coin, 1 is certainty.
- **The interval** is one of 95 %, over 6 persons without a guard, 12 with thresholds alone, and 6 with 16 keys each with noise (Wilson); of persons at random over 48, 96, and 48 with 16 keys each.
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
  The product opens at most one newer version a month, and none in which fewer subjects differ than a cell must rest on, so that these 24 and 120 are two and ten years of it.
- **Persons at random** live with twenty others in a village and group, and somebody who knows where everybody lives guesses by the share of them that has the secret.
  An exact share tells one of twenty with an advantage of 0.18 on average; the 48 persons of these rows are told with 0.33 by it, and with noise they are the same persons.
  No program here knows the others' secrets.
- **Sums** protect contributions of the declared usual size, and larger ones less, which so few persons do not show clearly.
- **A weight by CASE** shows nothing: the weighted part is a cell of its own, and is withheld.
";

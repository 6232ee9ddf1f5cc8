//! Averaging by repetition and by rephrasing: the same cells asked for again, and in many spellings of the same meaning.

use anyhow::ensure;
use obscura_tests::guarded::questions::Seeded;

use crate::Scale;
use crate::desk::Answer;
use crate::desk::Desk;
use crate::in_lists::mean;
use crate::in_lists::others;
use crate::in_lists::quoted;
use crate::register::GROUPS;
use crate::register::Register;
use crate::register::VILLAGES;
use crate::register::group;
use crate::register::village;
use crate::score::Outcome;
use crate::score::Tally;

pub(crate) const REPEATED: &str = "repetition";
pub(crate) const REPHRASED: &str = "rephrasing";

/// Shapes of a count of residents in villages and groups; `V` and `G` are lists, in a new order each time.
const SHAPES: [&str; 20] = [
    "SELECT COUNT(*) FROM register WHERE secret = 'yes' AND village IN (V) AND grp IN (G)",
    "SELECT COUNT(*) FROM register WHERE grp IN (G) AND village IN (V) AND NOT (secret = 'no' OR secret IS NULL)",
    "SELECT COUNT(1) FROM register r WHERE r.secret IN ('yes') AND r.village IN (V) AND r.grp IN (G)",
    "SELECT COUNT(DISTINCT person_id) FROM register WHERE secret = 'yes' AND village IN (V) AND grp IN (G)",
    "SELECT COUNT(*) FILTER (WHERE secret = 'yes') FROM register WHERE village IN (V) AND grp IN (G)",
    "SELECT COUNT(*) FILTER (WHERE village IN (V) AND grp IN (G) AND secret = 'yes') FROM register",
    "SELECT COUNT(CASE WHEN secret = 'yes' AND grp IN (G) THEN 1 END) FROM register WHERE village IN (V)",
    "SELECT SUM(CASE WHEN secret = 'yes' AND grp IN (G) THEN 1 ELSE 0 END) FROM register WHERE village IN (V)",
    "SELECT SUM(1) FROM register WHERE secret = 'yes' AND village IN (V) AND grp IN (G)",
    "SELECT COUNT(*) FROM (SELECT village AS a, grp AS b, secret AS c FROM register) x WHERE c = 'yes' AND a IN (V) AND b IN (G)",
    "WITH some AS (SELECT * FROM register WHERE village IN (V)) SELECT COUNT(*) FROM some WHERE grp IN (G) AND secret > 'no'",
    "SELECT COUNT(*) FROM register WHERE NOT (NOT (village IN (V))) AND NOT (grp NOT IN (G)) AND secret <> 'no'",
    "SELECT COUNT(*) FROM register WHERE secret = 'yes' AND village IN (V) AND grp IN (G) AND (sex IS NULL OR sex IS NOT NULL)",
    "SELECT COUNT(*) FROM register WHERE secret = 'yes' AND village IN (V) AND grp IN (G) AND (secret = 'yes' OR sex = 'f')",
    "SELECT COUNT(*) FROM register WHERE CASE WHEN village IN (V) THEN grp IN (G) ELSE false END AND secret = 'yes'",
    "SELECT COUNT(*) FROM register WHERE COALESCE(village IN (V), false) AND grp IN (G) AND secret = 'yes'",
    "SELECT COUNT(*) FROM register WHERE (village IN (V) AND grp IN (G) AND secret = 'yes') IS TRUE",
    "SELECT COUNT(*) FROM register WHERE village IN (V) AND village IN (V) AND grp IN (G) AND secret = 'yes'",
    "SELECT SUM(CASE WHEN secret = 'yes' THEN 2 ELSE 0 END) / 2 FROM register WHERE village IN (V) AND grp IN (G)",
    "SELECT COUNT(*) FROM register WHERE lower(village) IN (V) AND grp IN (G) AND trim(secret) = 'yes'",
];

/// The four cells that isolate a resident, each asked for in every shape; the villages and groups are the same throughout.
pub(crate) fn run(desk: &Desk, register: &Register, scale: &Scale) -> anyhow::Result<Vec<Outcome>> {
    let rows = register.batch();
    let (mut once, mut many) = (Tally::default(), Tally::default());
    for number in 0..scale.targets(desk) {
        let target = &register.residents[number];
        let mut seeded = Seeded(8_000 + number as u64);
        let cells = cells(&mut seeded, target.village, target.group);
        let mut samples: Vec<Vec<f64>> = vec![Vec::new(); desk.keys()];
        for spelling in 0..scale.spellings {
            let mut all: Vec<Vec<Answer>> = Vec::new();
            for (villages, groups) in &cells {
                let sql = spelled(spelling, &mut seeded, villages, groups);
                all.push(desk.ask(&rows, &sql)?);
            }
            for (key, samples) in samples.iter_mut().enumerate() {
                let four: Option<Vec<f64>> = all.iter().map(|answers| answers[key].number(0)).collect();
                if let Some([both, no_group, no_village, neither]) = four.as_deref() {
                    samples.push(both - no_group - no_village + neither);
                }
            }
        }
        for samples in &samples {
            once.guess(samples.first().copied(), target.secret);
            many.guess(mean(samples), target.secret);
        }
    }
    // To ask the same statement again is to ask it in its first spelling again, which the desk answers alike.
    Ok(vec![
        Outcome { attack: REPEATED, cells: 4, tally: once },
        Outcome { attack: REPHRASED, cells: 4 * scale.spellings, tally: many },
    ])
}

/// Asks for one cell in as many spellings, and returns the answers of the first key.
pub(crate) fn spellings(desk: &Desk, register: &Register, count: usize) -> anyhow::Result<Vec<Option<f64>>> {
    let rows = register.batch();
    let target = &register.residents[0];
    let mut seeded = Seeded(8_000);
    let cells = cells(&mut seeded, target.village, target.group);
    let (villages, groups) = &cells[0];
    let mut all = Vec::new();
    for spelling in 0..count {
        let sql = spelled(spelling, &mut seeded, villages, groups);
        let answers = desk.ask(&rows, &sql)?;
        ensure!(answers == desk.ask(&rows, &sql)?, "the same statement has another answer: {sql}");
        all.push(answers[0].number(0));
    }
    Ok(all)
}

fn cells(seeded: &mut Seeded, own_village: usize, own_group: usize) -> [(Vec<usize>, Vec<usize>); 4] {
    let villages = others(seeded, VILLAGES, own_village, 6);
    let groups = others(seeded, GROUPS, own_group, 3);
    let with_village: Vec<usize> = villages.iter().copied().chain([own_village]).collect();
    let with_group: Vec<usize> = groups.iter().copied().chain([own_group]).collect();
    [
        (with_village.clone(), with_group.clone()),
        (with_village, groups.clone()),
        (villages.clone(), with_group),
        (villages, groups),
    ]
}

fn spelled(spelling: usize, seeded: &mut Seeded, villages: &[usize], groups: &[usize]) -> String {
    let shape = SHAPES[spelling % SHAPES.len()];
    let mut shuffled = |all: &[usize]| {
        let mut left = all.to_vec();
        let mut order = Vec::new();
        while !left.is_empty() {
            order.push(left.swap_remove(seeded.below(left.len())));
        }
        order
    };
    let villages = quoted(&shuffled(villages), village);
    let groups = quoted(&shuffled(groups), group);
    shape.replace("(V)", &format!("({villages})")).replace("(G)", &format!("({groups})"))
}

//! The attacker who knows everybody's attributes and nobody's bit, asks everything and solves the answers by least squares.

use super::ExposureFault;
use super::Opened;
use super::Subjects;
use super::advantage;
use super::gradients::Bounds;
use super::gradients::System;
use super::tables::Tables;

/// The largest variance of a bit: as many have it as not.
const BIT_VARIANCE_MAX: f64 = 0.25;

/// The people who are looked at, and how exactly.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Search {
    /// Most isolated people, of as many classes.
    pub isolated: u32,
    /// People taken evenly from all, from the most to the least isolated.
    pub sampled: u32,
    /// Prior variance of one bit, p (1 - p) where a share p of all people has it. A quarter is the most; a rare secret has less,
    /// and is told from the others more easily.
    pub bit_variance: f64,
    /// Width of the interval that an advantage is known to; its upper end is reported.
    pub tolerance: f64,
    /// Most steps of conjugate gradients for one person.
    pub steps_max: u32,
}

impl Default for Search {
    fn default() -> Self {
        Search { isolated: 8, sampled: 8, bit_variance: BIT_VARIANCE_MAX, tolerance: 0.002, steps_max: 1_000 }
    }
}

/// The exposure of one person.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Person {
    /// Number of the subject, from zero.
    pub subject: usize,
    /// Subjects with the same known attributes, this one among them.
    pub alike: u32,
    /// Advantage on the person's bit, no less than the true one.
    pub advantage: f64,
    /// Largest amount by which `advantage` may be too large: at most the tolerance, unless the steps were too few.
    pub excess: f64,
}

/// The exposure of what a policy opens.
#[derive(Debug, Clone, PartialEq)]
pub struct Exposure {
    /// One person of each of the most isolated classes, most isolated first.
    pub isolated: Vec<Person>,
    /// People taken evenly from all.
    pub sampled: Vec<Person>,
}

impl Exposure {
    /// The largest advantage that was found.
    #[must_use]
    pub fn worst(&self) -> f64 {
        self.isolated.iter().chain(&self.sampled).map(|person| person.advantage).fold(0.0, f64::max)
    }

    /// The mean advantage on a person who is taken at random; zero where nobody was sampled.
    #[must_use]
    pub fn random(&self) -> f64 {
        let count = u32::try_from(self.sampled.len()).unwrap_or(u32::MAX).max(1);
        self.sampled.iter().map(|person| person.advantage).sum::<f64>() / f64::from(count)
    }
}

/// The advantage on one secret bit of an attacker who asks everything that is opened, over all versions, and knows the known
/// attributes of everybody and nobody's bit.
///
/// For one person of a class of n, with the posterior variance S of the number of true bits in it (`gradients.rs`), bits of prior
/// variance q:
///
/// * Members are alike, so that the bit's posterior variance is w = S / n^2 + q (1 - 1 / n): that of the mean, and that of the bit
///   about the mean, of which no answer tells anything.
/// * In the linear Gaussian model precisions add: 1 / w = 1 / q + 1 / s^2, where s is the deviation of the best unbiased estimate
///   of the bit, others' uncertainty and noise together. (By the formula of Sherman and Morrison 1 / s^2 = a' C^-1 a, with the
///   answers' shift a by the bit and their covariance C without it: the separation of the linear discriminant of Fisher 1936.)
/// * The best test between the two values of the bit has the advantage erf(1 / (2 sqrt 2 s)).
///
/// The bits themselves are not needed, as the error of a linear estimate does not depend on them. Where versions are replaced,
/// the person stays, and so do the others; a person who arrives alone is exposed as if all others were known
/// ([`AllKnown::arrives`](super::AllKnown::arrives)).
///
/// Time: steps times the cells of all tables that others are summed from, for each person; memory: those cells.
///
/// # Errors
/// [`ExposureFault`].
pub fn least_squares(
    opened: &Opened,
    subjects: &Subjects,
    deviation: u32,
    search: &Search,
) -> Result<Exposure, ExposureFault> {
    let information = information(opened, deviation, search)?;
    let tables = Tables::of(opened, subjects)?;
    Ok(of_tables(&tables, information, search))
}

/// True if the most isolated person has an advantage above the limit: nobody else needs to be looked at then.
pub(super) fn is_above(tables: &Tables, information: f64, search: &Search, limit: f64) -> bool {
    let first = Search { isolated: 1, sampled: 0, ..*search };
    of_tables(tables, information, &first).worst() > limit
}

/// Information of the answers of all names of one cell of known nodes.
pub(super) fn information(opened: &Opened, deviation: u32, search: &Search) -> Result<f64, ExposureFault> {
    if deviation == 0 || !(search.bit_variance > 0.0 && search.bit_variance <= BIT_VARIANCE_MAX) {
        return Err(ExposureFault::NoNoise);
    }
    let deviation = f64::from(deviation);
    Ok(f64::from(opened.observations()) * opened.versions.of_who_stays() / (deviation * deviation))
}

/// The exposure over tables that are built.
pub(super) fn of_tables(tables: &Tables, information: f64, search: &Search) -> Exposure {
    let ranked = by_isolation(tables, information, search.bit_variance);
    let mut system = System::new(tables, information, search.bit_variance);
    let isolated = ranked.iter().take(search.isolated as usize);
    let isolated: Vec<Person> = isolated.map(|class| person(&mut system, tables, *class, search)).collect();
    let mut sampled: Vec<Person> = Vec::new();
    for class in evenly(&ranked, &tables.classes.sizes, search.sampled) {
        let subject = tables.classes.first.get(class).copied();
        let known = isolated.iter().chain(&sampled).find(|person| Some(person.subject) == subject).copied();
        sampled.push(known.unwrap_or_else(|| person(&mut system, tables, class, search)));
    }
    Exposure { isolated, sampled }
}

/// The classes from the most to the least isolated, by the information that a person's cells would hold if each was looked at
/// alone: a cell of N people tells the bit of one with the noise and the bits of N - 1 others.
fn by_isolation(tables: &Tables, information: f64, of_bit: f64) -> Vec<usize> {
    let noise = information.recip();
    let mut cells = tables.values(|people| (noise + of_bit * (people - 1.0)).recip());
    let mut told = vec![0.0; tables.classes.sizes.len()];
    tables.spread(&mut cells, &mut told);
    let mut ranked: Vec<(usize, f64)> = told.into_iter().enumerate().collect();
    ranked.sort_by(|(_, left), (_, right)| right.total_cmp(left));
    ranked.into_iter().map(|(class, _)| class).collect()
}

/// The classes of so many people, taken at even distances from all people in the order of their classes.
fn evenly(ranked: &[usize], sizes: &[u32], count: u32) -> Vec<usize> {
    let size = |class: &usize| sizes.get(*class).copied().map_or(0, u64::from);
    let all: u64 = ranked.iter().map(size).sum();
    let count = u64::from(count).min(all);
    let mut places = (0..count).map(|number| (2 * number + 1) * all / (2 * count)).peekable();
    let (mut chosen, mut passed) = (Vec::new(), 0);
    for class in ranked {
        passed += size(class);
        while places.next_if(|place| *place < passed).is_some() {
            chosen.push(*class);
        }
    }
    chosen
}

fn person(system: &mut System<'_>, tables: &Tables, class: usize, search: &Search) -> Person {
    let alike = tables.classes.sizes.get(class).copied().unwrap_or(1);
    let of = |variance: f64| advantage(separation(variance, f64::from(alike), search.bit_variance));
    // The smaller the posterior variance, the larger the advantage.
    let excess = |bounds: Bounds| of(bounds.least) - of(bounds.most);
    let bounds = system.variance(class, search.steps_max, |bounds| excess(bounds) <= search.tolerance);
    let subject = tables.classes.first.get(class).copied().unwrap_or(0);
    Person { subject, alike, advantage: of(bounds.least), excess: excess(bounds) }
}

/// 1 / s of the bit of one of n alike, from the posterior variance of their number of true bits and the prior one of a bit.
fn separation(variance: f64, alike: f64, of_bit: f64) -> f64 {
    let posterior = variance / (alike * alike) + of_bit * (1.0 - alike.recip());
    (posterior.recip() - of_bit.recip()).max(0.0).sqrt()
}

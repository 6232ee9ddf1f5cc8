//! The names of a condition: a signed sum of tuples of nodes, the same for every way of writing the condition.
//!
//! The truth table is expanded to tuples of parts, each part is substituted by its cover, the products are multiplied out, and
//! like terms cancel. The coefficients multiply the noise of their names; the root of their squares is the static error.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use super::column::cover;
use super::condition::Condition;
use super::condition::TruthTable;
use super::hierarchy::Hierarchy;
use super::hierarchy::Node;
use super::leaves::LeafSet;

/// Most rows of a truth table: eight comparisons of as many columns have 6,561 at three parts each.
const ROWS_MAX: usize = 65_536;

/// A name: one node of each column that it rests on, by column number. An absent column is the node "all".
pub type Name = BTreeMap<u16, Node>;

/// A signed sum of names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    terms: BTreeMap<Name, i64>,
}

/// The reason why a condition has no names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameFault {
    /// More names than the limit.
    #[error("a condition selects more than {most} named cells")]
    TooMany {
        /// The limit.
        most: usize,
    },
    /// A truth table that is larger than any statement within its own limits comes to, or a column without hierarchy.
    #[error("a condition has no truth table")]
    NoTable,
}

impl Names {
    /// The names and their coefficients, in the order of the names; none is zero.
    pub fn terms(&self) -> impl Iterator<Item = (&Name, i64)> {
        self.terms.iter().map(|(name, coefficient)| (name, *coefficient))
    }

    /// Number of names.
    #[must_use]
    pub fn len(&self) -> usize {
        self.terms.len()
    }

    /// True if the condition is never true.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// The standard deviation of the sum of the names' noise, in deviations of one name: the root of the sum of the squared
    /// coefficients. It rests on the names alone, and so tells nothing of the data.
    #[must_use]
    pub fn deviations(&self) -> f64 {
        self.deviations_of(|_| 1.0)
    }

    /// As [`Names::deviations`], where the noise of each name has a scale of its own.
    #[must_use]
    pub fn deviations_of(&self, scale: impl Fn(&Name) -> f64) -> f64 {
        let square = |(name, coefficient): (&Name, &i64)| {
            #[expect(clippy::cast_precision_loss, reason = "a static error is stated to two digits")]
            let coefficient = *coefficient as f64;
            (coefficient * scale(name)).powi(2)
        };
        self.terms.iter().map(square).sum::<f64>().sqrt()
    }

    /// The names of two conditions over columns of their own, taken together: those of each pair. Nothing when there would be more
    /// than `most`.
    #[must_use]
    pub fn times(&self, other: &Names, most: usize) -> Option<Names> {
        self.len().checked_mul(other.len()).filter(|pairs| *pairs <= most)?;
        let mut product = Names::default();
        for (name, coefficient) in &self.terms {
            for (further, factor) in &other.terms {
                let both = name.iter().chain(further).map(|(column, node)| (*column, *node)).collect();
                product.add(both, coefficient.saturating_mul(*factor));
            }
        }
        Some(product)
    }

    fn add(&mut self, name: Name, coefficient: i64) {
        let known = self.terms.entry(name).or_insert(0);
        *known = known.saturating_add(coefficient);
    }
}

/// The names of a condition over the columns of `hierarchies`.
///
/// # Errors
/// [`NameFault`] when there would be more names than `most`, or the condition has no truth table.
pub fn names(
    condition: &Condition,
    hierarchies: &BTreeMap<u16, Hierarchy>,
    most: usize,
) -> Result<Names, NameFault> {
    if let Condition::Test(test) = condition
        && test.is_unknown.is_empty()
    {
        return names_of_set(test.column, &test.is_true, hierarchies, most);
    }
    let table = TruthTable::of(condition, hierarchies, ROWS_MAX).ok_or(NameFault::NoTable)?;
    let too_many = NameFault::TooMany { most };
    // The parts that no chosen tuple has need no names, and may have very many.
    let mut covers: BTreeMap<u16, BTreeMap<usize, Vec<(Node, i64)>>> = BTreeMap::new();
    for (position, (column, parts)) in table.columns.iter().enumerate() {
        let hierarchy = hierarchies.get(column).ok_or(NameFault::NoTable)?;
        let chosen: BTreeSet<usize> =
            table.chosen.iter().filter_map(|tuple| tuple.get(position)).copied().collect();
        let parts = parts.iter().enumerate().filter(|(number, _)| chosen.contains(number));
        let parts = parts.map(|(number, part)| Some((number, cover(hierarchy, part, most)?)));
        covers.insert(*column, parts.collect::<Option<_>>().ok_or(too_many)?);
    }
    let mut names = Names::default();
    let mut multiplied: usize = 0;
    for tuple in &table.chosen {
        let parts: Vec<(u16, &Vec<(Node, i64)>)> = covers
            .iter()
            .zip(tuple)
            .map(|((column, parts), part)| parts.get(part).map(|cover| (*column, cover)))
            .collect::<Option<_>>()
            .ok_or(NameFault::NoTable)?;
        let products = parts.iter().try_fold(1_usize, |product, (_, cover)| product.checked_mul(cover.len()));
        // Like terms cancel only afterwards: a few times as many are looked at as may be left.
        multiplied = products.and_then(|products| multiplied.checked_add(products)).ok_or(too_many)?;
        if multiplied > most.saturating_mul(4) {
            return Err(too_many);
        }
        let mut terms: Vec<(Name, i64)> = vec![(Name::new(), 1)];
        for (column, cover) in parts {
            let longer = terms.into_iter().flat_map(|(name, coefficient)| {
                cover.iter().map(move |(node, sign)| {
                    let mut name = name.clone();
                    if *node != Node::ROOT {
                        name.insert(column, *node);
                    }
                    (name, coefficient * sign)
                })
            });
            terms = longer.collect();
        }
        for (name, coefficient) in terms {
            names.add(name, coefficient);
        }
    }
    names.terms.retain(|_, coefficient| *coefficient != 0);
    if names.len() > most { Err(too_many) } else { Ok(names) }
}

/// The names of a set of one column's leaves, which needs no truth table: a group key's value is one, and a result has very many.
fn names_of_set(
    column: u16,
    set: &LeafSet,
    hierarchies: &BTreeMap<u16, Hierarchy>,
    most: usize,
) -> Result<Names, NameFault> {
    let hierarchy = hierarchies.get(&column).ok_or(NameFault::NoTable)?;
    let set = set.within(0, hierarchy.leaves());
    let nodes = cover(hierarchy, &set, most).ok_or(NameFault::TooMany { most })?;
    let name = |node: Node| match node {
        Node::ROOT => Name::new(),
        node => Name::from([(column, node)]),
    };
    Ok(Names { terms: nodes.into_iter().map(|(node, sign)| (name(node), sign)).collect() })
}

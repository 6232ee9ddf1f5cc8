//! The names of a stage's cells as the control step reads them: a condition and its names for each atom, the values of group keys,
//! and the bytes of a name. `naming` makes them of a plan; nothing here adds noise.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::HashMap;
use std::sync::Arc;

use datafusion_common::ScalarValue;
use obscura_policies::vocabulary::DatasetId;
use sha2::Digest as _;
use sha2::Sha256;

use crate::cover::Condition;
use crate::cover::Hierarchy;
use crate::cover::Name;
use crate::cover::NameFault;
use crate::cover::Names;
use crate::cover::names;
use crate::domain::Published;
use crate::domain::Span;
use crate::limits::NAMES_MAX;

/// The values of a group key, each with the condition under which the key has it.
pub(crate) type KeyValues = HashMap<ScalarValue, Condition>;

/// The names of the cells of one stage.
#[derive(Debug, Clone)]
pub(crate) struct CellNames {
    /// The datasets that are read, of whose versions a part of the noise is.
    pub(crate) datasets: BTreeSet<DatasetId>,
    /// Versions of one of them are replaced, so that a part of the noise is drawn anew for each.
    pub(crate) is_updated: bool,
    /// Dataset and name of each column that conditions and keys rest on, and its domain, by number.
    pub(crate) columns: BTreeMap<u16, (String, Arc<Published>)>,
    pub(crate) hierarchies: BTreeMap<u16, Hierarchy>,
    /// The row filters of policies and grants that the rows have passed, as texts.
    pub(crate) filters: BTreeSet<String>,
    /// The values of each group key.
    pub(crate) keys: Vec<KeyValues>,
    /// The keys rest on columns of their own, each of them, so that their names multiply.
    pub(crate) keys_are_apart: bool,
    /// In the order of the stage's atoms.
    pub(crate) atoms: Vec<AtomNames>,
}

/// The names of one atom, but for the group keys.
#[derive(Debug, Clone)]
pub(crate) struct AtomNames {
    /// The dataset whose rows it adds up: noise is its family's alone.
    pub(crate) family: DatasetId,
    /// The condition of its rows: those of the question, and its own.
    pub(crate) condition: Condition,
    /// The names of that condition, for all groups together.
    pub(crate) names: Names,
    /// Its columns are none of the keys'.
    pub(crate) is_apart: bool,
    /// The deviation of the noise of a cell's subjects, and that of its value, in deviations of one name of the whole unit: the largest
    /// over all groups, where they are not too many to look at.
    pub(crate) deviations_max: Option<Deviations>,
    /// The quantity that is added up. Two atoms of the same names add up the same, or have measures of different texts.
    pub(crate) measure: String,
    /// The quantity that is counted, for each class of subjects.
    pub(crate) subjects: Vec<String>,
    /// The scale of the noise of its value, in the atom's units: the usual contribution of a subject.
    pub(crate) unit: i128,
    /// That of names about one month or one day of a column.
    pub(crate) units_in: Option<UnitsIn>,
}

/// The scales of noise of names about one month and one day of a column: the usual contributions of a subject there.
///
/// They rest on the name and on declarations alone, as the name does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UnitsIn {
    /// Number of the column.
    pub(crate) column: u16,
    pub(crate) month: i128,
    pub(crate) day: i128,
}

/// Deviations in deviations of one name.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Deviations {
    /// Of a number of subjects.
    pub(crate) subjects: f64,
    /// Of the value.
    pub(crate) value: f64,
}

impl Deviations {
    fn map(self, other: Self, with: impl Fn(f64, f64) -> f64) -> Self {
        Deviations { subjects: with(self.subjects, other.subjects), value: with(self.value, other.value) }
    }
}

impl CellNames {
    /// The names of an atom in the group that has these values of the keys; nothing where a value is none of the key's, or the
    /// names are too many.
    ///
    /// They rest on plan, keys and declarations alone (`sandbox/docs/disclosure-model.md`, section 5.8).
    #[cfg(test)]
    pub(crate) fn of(&self, atom: &AtomNames, keys: &[ScalarValue]) -> Option<Names> {
        self.in_group(atom, keys, self.of_keys(keys).as_ref())
    }

    /// The names of the group with these values, where all its keys are apart; `of_keys` are those of [`Self::of_keys`].
    pub(crate) fn in_group(
        &self,
        atom: &AtomNames,
        keys: &[ScalarValue],
        of_keys: Option<&Names>,
    ) -> Option<Names> {
        if let (true, Some(of_keys)) = (atom.is_apart, of_keys) {
            return atom.names.times(of_keys, NAMES_MAX);
        }
        let values = self.keys.iter().zip(keys).map(|(values, value)| values.get(value).cloned());
        let values = values.collect::<Option<Vec<_>>>()?;
        self.named(&Condition::All(std::iter::once(atom.condition.clone()).chain(values).collect())).ok()
    }

    /// The names of the condition that the keys have these values; nothing where the keys are not apart.
    ///
    /// Over columns of their own conditions multiply, and so do their names: they need no truth table for every group.
    pub(crate) fn of_keys(&self, keys: &[ScalarValue]) -> Option<Names> {
        if !self.keys_are_apart {
            return None;
        }
        let mut named = self.keys.iter().zip(keys).map(|(values, value)| self.named(values.get(value)?).ok());
        let Some(first) = named.next() else { return self.named(&Condition::Always(true)).ok() };
        named.try_fold(first?, |names, of_key| names.times(&of_key?, NAMES_MAX))
    }

    /// States of each atom the deviation of the noise of its cells, in deviations of one name: the largest over all groups; nothing where
    /// the names do not multiply and there are more than `groups_max` groups.
    pub(crate) fn with_deviations(mut self, groups_max: usize) -> Self {
        // Over columns of their own deviations multiply as names do.
        let of_keys: Option<Vec<Vec<Names>>> = self.keys_are_apart.then(|| {
            let named =
                |values: &KeyValues| values.values().filter_map(|value| self.named(value).ok()).collect();
            self.keys.iter().map(named).collect()
        });
        let of_atom = |atom: &AtomNames| match of_keys.as_ref().filter(|_| atom.is_apart) {
            Some(of_keys) => {
                let largest = |named: &Vec<Names>| self.largest(atom, named.iter());
                let of_atom = self.deviations(atom, &atom.names);
                Some(of_keys.iter().map(largest).fold(of_atom, |all, key| all.map(key, |a, b| a * b)))
            }
            None => self.deviations_of_groups(atom, groups_max),
        };
        let deviations: Vec<_> = self.atoms.iter().map(of_atom).collect();
        for (atom, deviations) in self.atoms.iter_mut().zip(deviations) {
            atom.deviations_max = deviations;
        }
        self
    }

    /// The largest deviation over all groups, one by one.
    fn deviations_of_groups(&self, atom: &AtomNames, groups_max: usize) -> Option<Deviations> {
        let groups = self.keys.iter().try_fold(1_usize, |groups, values| groups.checked_mul(values.len()))?;
        if groups > groups_max {
            return None;
        }
        let mut conditions = vec![atom.condition.clone()];
        for values in &self.keys {
            let longer = conditions.iter().flat_map(|condition| {
                values.values().map(|value| Condition::All(vec![condition.clone(), value.clone()]))
            });
            conditions = longer.collect();
        }
        // A group without names is withheld.
        let named: Vec<Names> =
            conditions.iter().filter_map(|condition| self.named(condition).ok()).collect();
        Some(self.largest(atom, named.iter()))
    }

    fn largest<'n>(&self, atom: &AtomNames, named: impl Iterator<Item = &'n Names>) -> Deviations {
        let deviations = named.map(|names| self.deviations(atom, names));
        deviations.fold(Deviations::default(), |largest, one| largest.map(one, f64::max))
    }

    /// The deviations of a cell of these names.
    pub(crate) fn deviations(&self, atom: &AtomNames, names: &Names) -> Deviations {
        let whole = real(atom.unit);
        let value = names.deviations_of(|name| real(self.unit(atom, name)) / whole);
        Deviations { subjects: names.deviations_of(|_| 1.0), value }
    }

    /// The scale of the noise that a name has in an atom's value.
    pub(crate) fn unit(&self, atom: &AtomNames, name: &Name) -> i128 {
        let span = atom.units_in.and_then(|units| {
            let (_, published) = self.columns.get(&units.column)?;
            Some((units, published.time(*name.get(&units.column)?)?))
        });
        match span {
            Some((units, Span::Month)) => units.month,
            Some((units, Span::Day)) => units.day,
            None => atom.unit,
        }
    }

    fn named(&self, condition: &Condition) -> Result<Names, NameFault> {
        names(condition, &self.hierarchies, NAMES_MAX)
    }

    /// A name as bytes: each column with its declaration and the leaves of its node, in the order of the columns' names. Two names
    /// are the same bytes only if they are of one set of rows.
    pub(crate) fn bytes(&self, name: &Name) -> Vec<u8> {
        let mut parts: Vec<(&str, &Published, (u32, u32))> = name
            .iter()
            .filter_map(|(column, node)| {
                let (column, published) = self.columns.get(column)?;
                Some((column.as_str(), published.as_ref(), published.hierarchy().span(*node)))
            })
            .collect();
        parts.sort_unstable_by_key(|(column, _, _)| *column);
        let mut bytes = Vec::with_capacity(parts.len() * 64);
        // Under a row filter a node is other rows: filters are asked of raw values, which are not those of the domain.
        for filter in &self.filters {
            put(&mut bytes, filter.as_bytes());
        }
        bytes.extend_from_slice(&u32::try_from(self.filters.len()).unwrap_or(u32::MAX).to_be_bytes());
        for (column, published, (start, end)) in parts {
            put(&mut bytes, column.as_bytes());
            bytes.extend_from_slice(published.fingerprint());
            bytes.extend_from_slice(&start.to_be_bytes());
            bytes.extend_from_slice(&end.to_be_bytes());
        }
        bytes
    }
}

#[expect(clippy::cast_precision_loss, reason = "a static error is stated to two digits")]
fn real(unit: i128) -> f64 {
    unit as f64
}

/// The SHA-256 of bytes, in hex.
pub(crate) fn digits_of(bytes: &[u8]) -> String {
    let digest: [u8; 32] = Sha256::digest(bytes).into();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Appends a part with its length, so that no two sequences of parts are the same bytes.
pub(crate) fn put(bytes: &mut Vec<u8>, part: &[u8]) {
    bytes.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
    bytes.extend_from_slice(part);
}

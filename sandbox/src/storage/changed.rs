//! The subjects whose rows differ between two sealed versions, counted until there are enough.
//! It reads the files that only one of the two has, and says nothing of who they are.

use std::collections::BTreeSet;
use std::collections::HashMap;
use std::hash::BuildHasher as _;
use std::hash::RandomState;

use arrow::array::Array as _;
use arrow::array::ArrayRef;
use arrow::record_batch::RecordBatch;
use arrow::row::Row;
use arrow::row::RowConverter;
use arrow::row::SortField;

use crate::storage::error::StorageError;
use crate::storage::reading::read_part;
use crate::storage::version::ColumnKeys;
use crate::storage::version::SealedVersion;

const STEP: &str = "compare two sealed versions";

/// Subjects that are held in memory at a time, at about twenty bytes each: of more, one part is compared after the other.
const SUBJECTS_HELD: u64 = 1 << 22;

/// The subjects that differ between two versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Differing {
    /// None.
    Nobody,
    /// Fewer than would be enough, of some unit.
    Few,
    /// As many as are enough of each unit of which any differs.
    Enough,
}

/// A sealed version with the keys of the columns that are compared.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Side<'a> {
    pub(crate) version: &'a SealedVersion,
    pub(crate) keys: &'a ColumnKeys,
}

/// The columns that two versions are compared by: those that both have in one type. One that only one of them has lets nobody differ:
/// it would hide who came or left behind everybody.
pub(crate) fn compared_columns<'a>(one: &'a SealedVersion, other: &SealedVersion) -> Vec<&'a str> {
    let is_common = |name: &str| {
        let of = |version: &SealedVersion| {
            let columns = &version.manifest().columns;
            let column = columns.iter().find(|column| column.name == name)?;
            Some((column.data_type.clone(), column.scale, column.token_of.clone()))
        };
        of(one).is_some() && of(one) == of(other)
    };
    let columns = one.manifest().columns.iter().map(|column| column.name.as_str());
    let common: BTreeSet<&str> = columns.filter(|name| is_common(name)).collect();
    common.into_iter().collect()
}

/// The subjects of each unit that have other rows in one version than in the other: those that came, that left, and of whose rows any
/// value of a common column differs. Where no unit is protected, each row is a subject. The order of rows takes no part.
///
/// Rows are compared by keyed 64-bit digests that are added up for each subject, so that two that differ are taken for equal once in
/// 2^64 times.
///
/// # Errors
/// As those of opening the files; and what `look` returns, who is asked after every batch whether to go on.
pub(crate) fn differing(
    old: Side<'_>,
    new: Side<'_>,
    enough: u64,
    mut look: impl FnMut() -> Result<(), StorageError>,
) -> Result<Differing, StorageError> {
    let units: BTreeSet<&str> = [old, new]
        .into_iter()
        .flat_map(|side| side.version.manifest().units.iter().map(|unit| unit.column.as_str()))
        .collect();
    let found = if units.is_empty() {
        vec![Comparison::new(old, new, None).count(enough, &mut look)?]
    } else {
        let columns = compared_columns(old.version, new.version);
        let mut found = Vec::new();
        for unit in units {
            found.push(match columns.contains(&unit) {
                true => Comparison::new(old, new, Some(unit)).count(enough, &mut look)?,
                // They were subjects of another kind, or of none.
                false => subjects(old, Some(unit)).max(subjects(new, Some(unit))),
            });
        }
        found
    };
    Ok(match found.into_iter().filter(|count| *count > 0).min() {
        None => Differing::Nobody,
        Some(fewest) if fewest < enough => Differing::Few,
        Some(_) => Differing::Enough,
    })
}

/// Subjects of a unit; rows, where there is none.
fn subjects(side: Side<'_>, unit: Option<&str>) -> u64 {
    let manifest = side.version.manifest();
    let Some(unit) = unit else { return manifest.rows };
    manifest.units.iter().find(|known| known.column == unit).map_or(0, |known| known.subjects)
}

/// The comparison by one unit.
struct Comparison<'a> {
    old: Side<'a>,
    new: Side<'a>,
    unit: Option<&'a str>,
    columns: Vec<&'a str>,
    digests: RandomState,
    /// Parts of the subjects that are compared one after the other.
    parts: u64,
}

impl<'a> Comparison<'a> {
    fn new(old: Side<'a>, new: Side<'a>, unit: Option<&'a str>) -> Self {
        let both = subjects(old, unit).saturating_add(subjects(new, unit));
        Self {
            old,
            new,
            unit,
            columns: compared_columns(old.version, new.version),
            digests: RandomState::new(),
            parts: both.div_ceil(SUBJECTS_HELD).max(1),
        }
    }

    /// The subjects that differ, or more than are enough of them.
    fn count(
        &self,
        enough: u64,
        look: &mut impl FnMut() -> Result<(), StorageError>,
    ) -> Result<u64, StorageError> {
        let mut found = 0_u64;
        for part in 0..self.parts {
            found = found.saturating_add(self.of_part(part, look)?);
            if found >= enough {
                break;
            }
        }
        Ok(found)
    }

    /// The subjects of one part whose rows differ.
    fn of_part(
        &self,
        part: u64,
        look: &mut impl FnMut() -> Result<(), StorageError>,
    ) -> Result<u64, StorageError> {
        // Of each subject the digests of its new rows less those of its old ones.
        let mut sums: HashMap<u64, i64> = HashMap::new();
        for (side, other, is_new) in [(self.old, self.new, false), (self.new, self.old, true)] {
            let shared: BTreeSet<&str> =
                other.version.manifest().parts.iter().map(|part| part.sha256.as_str()).collect();
            let rows = Rows::of(side.version, self)?;
            let mut add = |batch: &RecordBatch| {
                look()?;
                for (subject, digest) in rows.digests(batch)? {
                    let Some(subject) = subject.filter(|subject| subject % self.parts == part) else {
                        continue;
                    };
                    let of_row = if self.unit.is_some() { digest.cast_signed() } else { 1 };
                    let sum = sums.entry(subject).or_default();
                    *sum = if is_new { sum.wrapping_add(of_row) } else { sum.wrapping_sub(of_row) };
                }
                Ok(())
            };
            for (file, record) in side.version.open_parts()?.iter().zip(&side.version.manifest().parts) {
                // Appending keeps the files that were there: what both have cancels.
                if !shared.contains(record.sha256.as_str()) {
                    read_part(file, side.keys, &self.columns, &mut add)?;
                }
            }
        }
        let of_subject = |sum: &i64| match self.unit {
            Some(_) => u64::from(*sum != 0),
            // The digest of a row is its subject: so many more of it are in one version than in the other.
            None => sum.unsigned_abs(),
        };
        Ok(sums.values().map(of_subject).fold(0, u64::saturating_add))
    }
}

/// Reads rows of one version as digests.
struct Rows<'a> {
    all: RowConverter,
    of_unit: Option<(usize, RowConverter)>,
    columns: &'a [&'a str],
    digests: &'a RandomState,
}

impl<'a> Rows<'a> {
    fn of(version: &SealedVersion, comparison: &'a Comparison<'_>) -> Result<Self, StorageError> {
        let columns = comparison.columns.as_slice();
        let schema = version.schema()?;
        let field = |name: &str| {
            let field = schema.field_with_name(name).map_err(StorageError::columnar(STEP))?;
            Ok(SortField::new(field.data_type().clone()))
        };
        let converter = |fields| RowConverter::new(fields).map_err(StorageError::columnar(STEP));
        let all = converter(columns.iter().map(|name| field(name)).collect::<Result<_, StorageError>>()?)?;
        let of_unit = match comparison.unit {
            Some(unit) => {
                let place = columns.iter().position(|name| *name == unit);
                Some((place.ok_or(StorageError::Columnar { step: STEP })?, converter(vec![field(unit)?])?))
            }
            None => None,
        };
        Ok(Self { all, of_unit, columns, digests: &comparison.digests })
    }

    /// The subject of each row, if it has one, with the digest of all its values.
    fn digests(&self, batch: &RecordBatch) -> Result<Vec<(Option<u64>, u64)>, StorageError> {
        let column = |name: &&str| batch.column_by_name(name).cloned();
        let columns: Option<Vec<ArrayRef>> = self.columns.iter().map(column).collect();
        let columns = columns.ok_or(StorageError::Columnar { step: STEP })?;
        let rows = self.all.convert_columns(&columns).map_err(StorageError::columnar(STEP))?;
        let digest = |row: Row<'_>| self.digests.hash_one(row.as_ref());
        let Some((place, converter)) = &self.of_unit else {
            return Ok(rows.iter().map(digest).map(|row| (Some(row), row)).collect());
        };
        let unit = columns.get(*place).ok_or(StorageError::Columnar { step: STEP })?;
        let subjects =
            converter.convert_columns(std::slice::from_ref(unit)).map_err(StorageError::columnar(STEP))?;
        let of_row = |(at, (row, subject)): (usize, (Row<'_>, Row<'_>))| {
            (unit.is_valid(at).then(|| digest(subject)), digest(row))
        };
        Ok(rows.iter().zip(subjects.iter()).enumerate().map(of_row).collect())
    }
}

#[cfg(test)]
mod tests;

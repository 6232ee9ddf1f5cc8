//! The subjects whose rows differ between two sealed versions, counted until there are enough.
//! It reads the files that only one of the two has, and says nothing of who they are.

use std::collections::BTreeSet;
use std::collections::HashMap;
use std::hash::BuildHasher as _;
use std::hash::RandomState;

use arrow::array::Array as _;
use arrow::array::ArrayRef;
use arrow::record_batch::RecordBatch;
use arrow::row::RowConverter;
use arrow::row::SortField;

use crate::storage::error::StorageError;
use crate::storage::manifest::Manifest;
use crate::storage::reading::read_part;
use crate::storage::version::ColumnKeys;
use crate::storage::version::SealedPart;
use crate::storage::version::SealedVersion;

const STEP: &str = "compare two sealed versions";

/// Subjects that are held in memory at a time, at about fifty bytes each: of more, a part is compared after the other.
const SUBJECTS_HELD: u64 = 1 << 20;

/// A sealed version with the keys of all its columns.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Side<'a> {
    pub(crate) version: &'a SealedVersion,
    pub(crate) keys: &'a ColumnKeys,
}

/// The columns of a version, of all of which a subject's rows are compared.
pub(crate) fn compared_columns(manifest: &Manifest) -> Vec<&str> {
    manifest.columns.iter().map(|column| column.name.as_str()).collect()
}

/// True if at least `enough` subjects of every unit have other rows in one version than in the other: one that came, one that left, and
/// one of whose rows any value differs. Where no unit is protected, each row is a subject. The order of rows takes no part, and a
/// column that one version does not have lets all subjects differ.
///
/// Rows are compared by keyed 64-bit digests that are added up for each subject, so that two that differ are taken for equal once in
/// 2^64 times.
///
/// # Errors
/// As those of opening the files; and what `look` returns, who is asked after every batch whether to go on.
pub(crate) fn differ_enough(
    old: Side<'_>,
    new: Side<'_>,
    enough: u64,
    mut look: impl FnMut() -> Result<(), StorageError>,
) -> Result<bool, StorageError> {
    let units: Vec<&str> = new.version.manifest().units.iter().map(|unit| unit.column.as_str()).collect();
    if units.is_empty() {
        return Comparison::new(old, new, None).reaches(enough, &mut look);
    }
    for unit in units {
        let of = |side: Side<'_>| {
            let units = &side.version.manifest().units;
            units.iter().find(|known| known.column == unit).map(|known| known.subjects)
        };
        let differ = match of(old) {
            Some(_) => Comparison::new(old, new, Some(unit)).reaches(enough, &mut look)?,
            // Nobody was a subject of this kind before.
            None => of(new).is_some_and(|subjects| subjects >= enough),
        };
        if !differ {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The comparison by one unit.
struct Comparison<'a> {
    old: Side<'a>,
    new: Side<'a>,
    unit: Option<&'a str>,
    digests: RandomState,
    /// Parts of the subjects that are compared one after the other.
    parts: u64,
}

impl<'a> Comparison<'a> {
    fn new(old: Side<'a>, new: Side<'a>, unit: Option<&'a str>) -> Self {
        let subjects = |side: Side<'_>| {
            let manifest = side.version.manifest();
            let of_unit = manifest.units.iter().find(|known| Some(known.column.as_str()) == unit);
            of_unit.map_or(manifest.rows, |unit| unit.subjects)
        };
        let both = subjects(old).saturating_add(subjects(new));
        Self { old, new, unit, digests: RandomState::new(), parts: both.div_ceil(SUBJECTS_HELD).max(1) }
    }

    fn reaches(
        &self,
        enough: u64,
        look: &mut impl FnMut() -> Result<(), StorageError>,
    ) -> Result<bool, StorageError> {
        let mut found = 0_u64;
        for part in 0..self.parts {
            found = found.saturating_add(self.of_part(part, look)?);
            if found >= enough {
                return Ok(true);
            }
        }
        Ok(found >= enough)
    }

    /// The subjects of one part whose rows differ.
    fn of_part(
        &self,
        part: u64,
        look: &mut impl FnMut() -> Result<(), StorageError>,
    ) -> Result<u64, StorageError> {
        let mut sums: HashMap<u64, i128> = HashMap::new();
        for (side, other, sign) in [(self.old, self.new, -1), (self.new, self.old, 1)] {
            let shared: BTreeSet<&str> =
                other.version.manifest().parts.iter().map(|part| part.sha256.as_str()).collect();
            let columns = compared_columns(side.version.manifest());
            let rows = Rows::of(side.version, self.unit, &self.digests)?;
            for (file, record) in side.version.open_parts()?.iter().zip(&side.version.manifest().parts) {
                // Appending keeps the files that were there: what both have cancels.
                if !shared.contains(record.sha256.as_str()) {
                    self.add(file, side.keys, &columns, &rows, (part, sign), &mut sums, look)?;
                }
            }
        }
        let differing = match self.unit {
            Some(_) => sums.values().filter(|sum| **sum != 0).count().try_into().unwrap_or(u64::MAX),
            // The digest of a row is its subject: so many more of it are in one version than in the other.
            None => sums.values().fold(0_u64, |found, sum| {
                found.saturating_add(u64::try_from(sum.unsigned_abs()).unwrap_or(u64::MAX))
            }),
        };
        Ok(differing)
    }

    #[expect(clippy::too_many_arguments, reason = "one file of one side, and what is known so far")]
    fn add(
        &self,
        file: &SealedPart,
        keys: &ColumnKeys,
        columns: &[&str],
        rows: &Rows<'_>,
        (part, sign): (u64, i128),
        sums: &mut HashMap<u64, i128>,
        look: &mut impl FnMut() -> Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        read_part(file, keys, columns, |batch| {
            look()?;
            for (subject, digest) in rows.digests(batch)? {
                let Some(subject) = subject else { continue };
                if subject % self.parts == part {
                    let of_row = if self.unit.is_some() { i128::from(digest) } else { 1 };
                    let sum = sums.entry(subject).or_default();
                    *sum = sum.wrapping_add(sign * of_row);
                }
            }
            Ok(())
        })
    }
}

/// Reads rows of one version as digests.
struct Rows<'a> {
    all: RowConverter,
    of_unit: Option<(usize, RowConverter)>,
    names: Vec<&'a str>,
    digests: &'a RandomState,
}

impl<'a> Rows<'a> {
    fn of(
        version: &'a SealedVersion,
        unit: Option<&str>,
        digests: &'a RandomState,
    ) -> Result<Self, StorageError> {
        let names = compared_columns(version.manifest());
        let schema = version.schema()?;
        let field = |name: &str| {
            let field = schema.field_with_name(name).map_err(StorageError::columnar(STEP))?;
            Ok(SortField::new(field.data_type().clone()))
        };
        let converter = |fields| RowConverter::new(fields).map_err(StorageError::columnar(STEP));
        let all = converter(names.iter().map(|name| field(name)).collect::<Result<_, StorageError>>()?)?;
        let of_unit = match unit {
            Some(unit) => {
                let place = names.iter().position(|name| *name == unit);
                let place = place.ok_or(StorageError::Columnar { step: STEP })?;
                Some((place, converter(vec![field(unit)?])?))
            }
            None => None,
        };
        Ok(Self { all, of_unit, names, digests })
    }

    /// The subject of each row, if it has one, with the digest of all its values and of the columns that they are of.
    fn digests(&self, batch: &RecordBatch) -> Result<Vec<(Option<u64>, u64)>, StorageError> {
        let column = |name: &&str| batch.column_by_name(name).cloned();
        let columns: Option<Vec<ArrayRef>> = self.names.iter().map(column).collect();
        let columns = columns.ok_or(StorageError::Columnar { step: STEP })?;
        let rows = self.all.convert_columns(&columns).map_err(StorageError::columnar(STEP))?;
        let digest = |row: &[u8]| self.digests.hash_one((&self.names, row));
        let Some((place, converter)) = &self.of_unit else {
            return Ok(rows.iter().map(|row| digest(row.as_ref())).map(|row| (Some(row), row)).collect());
        };
        let unit = columns.get(*place).ok_or(StorageError::Columnar { step: STEP })?;
        let subjects =
            converter.convert_columns(std::slice::from_ref(unit)).map_err(StorageError::columnar(STEP))?;
        let of_row = |(at, (row, subject)): (usize, (arrow::row::Row<'_>, arrow::row::Row<'_>))| {
            let subject = unit.is_valid(at).then(|| self.digests.hash_one(subject.as_ref()));
            (subject, digest(row.as_ref()))
        };
        Ok(rows.iter().zip(subjects.iter()).enumerate().map(of_row).collect())
    }
}

#[cfg(test)]
mod tests;

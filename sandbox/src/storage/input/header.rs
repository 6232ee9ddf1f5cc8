//! Finds the dataset's columns among the input's: by name, by a further name, or by an explicit renaming.
//! It does not guess by position.

use std::collections::BTreeMap;

use crate::storage::cell::narrow;
use crate::storage::error::StorageError;
use crate::storage::spec::DatasetSpec;

/// The place of each column of the dataset in the input, and the number of input columns that are left out.
pub(super) struct Positions {
    pub(super) of_column: Vec<usize>,
    pub(super) ignored: u64,
}

/// Matches the dataset's columns with the names an input carries.
pub(super) fn find<'a>(
    spec: &DatasetSpec,
    rename: &BTreeMap<String, String>,
    names: impl Iterator<Item = &'a str>,
) -> Result<Positions, StorageError> {
    let mut positions: Vec<Option<usize>> = vec![None; spec.columns.len()];
    let mut seen = 0_u64;
    for (at, name) in names.enumerate() {
        seen += 1;
        let Some(column) = column_of(spec, rename, name) else { continue };
        let Some(slot) = positions.get_mut(column) else { continue };
        if slot.replace(at).is_some() {
            let column = spec.columns.get(column).map(|c| c.name.clone()).unwrap_or_default();
            return Err(StorageError::ColumnTwice { column });
        }
    }
    let mut of_column = Vec::with_capacity(positions.len());
    for (position, column) in positions.iter().zip(&spec.columns) {
        let found = positions.iter().flatten().count() as u64;
        let at = position.ok_or_else(|| StorageError::ColumnMissing {
            column: column.name.clone(),
            cells: seen,
            found,
        })?;
        of_column.push(at);
    }
    let ignored = seen.saturating_sub(of_column.len() as u64);
    Ok(Positions { of_column, ignored })
}

/// The column that an input name stands for.
///
/// A line break within a name is a spreadsheet's way to fit it into a narrow column: it stands for nothing, or for a space.
pub(super) fn column_of(spec: &DatasetSpec, rename: &BTreeMap<String, String>, name: &str) -> Option<usize> {
    let name = name.trim();
    if name.contains(['\n', '\r']) {
        let joined = |by: &str| name.lines().map(str::trim).collect::<Vec<_>>().join(by);
        return column_of(spec, rename, &joined("")).or_else(|| column_of(spec, rename, &joined(" ")));
    }
    if let Some(renamed) = rename.get(name) {
        return spec.columns.iter().position(|c| &c.name == renamed);
    }
    let normal = normal_form(name);
    let by_name = spec.columns.iter().position(|c| c.name == normal);
    by_name
        .or_else(|| spec.columns.iter().position(|c| c.also.iter().any(|also| normal_form(also) == normal)))
}

/// Lower snake case, as document columns are named: `Marital-Status` and `marital_status` are one name.
fn normal_form(name: &str) -> String {
    let narrowed = narrow(name.trim());
    narrowed
        .chars()
        .flat_map(char::to_lowercase)
        .map(|c| if matches!(c, '-' | ' ' | '.') { '_' } else { c })
        .collect()
}

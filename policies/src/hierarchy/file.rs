//! The file form of a hierarchy: levels by prefix length or by ranges of prefixes.
//! It is read once, from text that is part of the program.

use serde::Deserialize;

use crate::hierarchy::Form;
use crate::hierarchy::Hierarchy;
use crate::hierarchy::Level;
use crate::hierarchy::Range;
use crate::hierarchy::Rule;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HierarchyFile {
    name: String,
    form: FormWord,
    levels: Vec<LevelFile>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum FormWord {
    AdministrativeCode,
    Icd10,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LevelFile {
    name: String,
    #[serde(default)]
    prefix: Option<usize>,
    #[serde(default)]
    padded_to: usize,
    #[serde(default)]
    ranges: Vec<String>,
}

/// Reads a hierarchy.
///
/// # Errors
/// One sentence on what is wrong with the file.
pub(crate) fn parse_hierarchy(text: &str) -> Result<Hierarchy, String> {
    let file: HierarchyFile = serde_saphyr::from_str(text).map_err(|e| e.without_snippet().to_string())?;
    let levels = file.levels.into_iter().map(level).collect::<Result<Vec<_>, _>>()?;
    let form = match file.form {
        FormWord::AdministrativeCode => Form::AdministrativeCode,
        FormWord::Icd10 => Form::Icd10,
    };
    Ok(Hierarchy { name: file.name, levels, form })
}

fn level(file: LevelFile) -> Result<Level, String> {
    let rule = match file.prefix {
        Some(length) => Rule::Prefix { length, padded_to: file.padded_to },
        None => ranges(&file.name, &file.ranges)?,
    };
    Ok(Level { name: file.name, rule })
}

fn ranges(level: &str, words: &[String]) -> Result<Rule, String> {
    let mut ranges = Vec::new();
    for word in words {
        let (first, last) = word.split_once('-').ok_or_else(|| format!("`{word}` is no range"))?;
        if first.len() != last.len() || first > last {
            return Err(format!("the range `{word}` is reversed"));
        }
        ranges.push(Range { first: first.to_owned(), last: last.to_owned(), code: word.clone() });
    }
    ranges.sort_by(|a, b| a.first.cmp(&b.first));
    let length =
        ranges.first().map(|range| range.first.len()).ok_or_else(|| format!("`{level}` is empty"))?;
    let overlaps = ranges.iter().zip(ranges.iter().skip(1)).find(|(a, b)| a.last >= b.first);
    match overlaps {
        Some((_, b)) => Err(format!("the range `{}` overlaps the one before", b.code)),
        None => Ok(Rule::Ranges { length, ranges }),
    }
}

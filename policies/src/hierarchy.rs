//! Hierarchies of codes: the ancestor of a code at a level, from documents shipped with the crate.
//! It translates no names and reads no file at run time.

use std::sync::Arc;

mod file;

pub(crate) use file::parse_hierarchy;

/// A hierarchy of codes, such as administrative divisions or diagnoses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hierarchy {
    pub(crate) name: String,
    /// Coarsest first.
    pub(crate) levels: Vec<Level>,
    pub(crate) form: Form,
}

/// One level of a hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Level {
    pub(crate) name: String,
    pub(crate) rule: Rule,
}

/// The rule by which a level finds the ancestor of a code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Rule {
    /// The first characters, padded to a width where the codes of the level are.
    Prefix { length: usize, padded_to: usize },
    /// The range that the code's first characters lie in; ranges are sorted and disjoint.
    Ranges { length: usize, ranges: Vec<Range> },
}

/// A range of code prefixes with the code of their ancestor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) first: String,
    pub(crate) last: String,
    pub(crate) code: String,
}

/// The form of a hierarchy's codes; a text of another form has no ancestor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Form {
    /// GB/T 2260 and its longer relatives: 6, 9 or 12 digits.
    AdministrativeCode,
    /// ICD-10: a letter, two digits, then an optional subdivision.
    Icd10,
}

/// One level of one hierarchy: what the mask needs.
#[derive(Debug, Clone)]
pub struct HierarchyLevel {
    hierarchy: Arc<Hierarchy>,
    depth: usize,
}

impl PartialEq for HierarchyLevel {
    fn eq(&self, other: &Self) -> bool {
        self.depth == other.depth && self.hierarchy.name == other.hierarchy.name
    }
}

impl Eq for HierarchyLevel {}

impl Hierarchy {
    /// The name that masks use.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Names of the levels, coarsest first.
    #[must_use]
    pub fn level_names(&self) -> Vec<&str> {
        self.levels.iter().map(|level| level.name.as_str()).collect()
    }

    /// One level by name.
    #[must_use]
    pub fn level(self: &Arc<Self>, name: &str) -> Option<HierarchyLevel> {
        let depth = self.levels.iter().position(|level| level.name == name)?;
        Some(HierarchyLevel { hierarchy: Arc::clone(self), depth })
    }
}

impl HierarchyLevel {
    /// Name of the hierarchy.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.hierarchy.name
    }

    /// Name of the level.
    #[must_use]
    pub fn level(&self) -> &str {
        self.hierarchy.levels.get(self.depth).map_or("", |level| level.name.as_str())
    }

    /// True if this is the finest level of the hierarchy.
    pub(crate) fn is_finest(&self) -> bool {
        self.depth + 1 >= self.hierarchy.levels.len()
    }

    /// The coarser of two levels of one hierarchy.
    #[must_use]
    pub fn coarser(&self, other: &Self) -> Option<Self> {
        if self.hierarchy.name != other.hierarchy.name {
            return None;
        }
        Some(if self.depth <= other.depth { self.clone() } else { other.clone() })
    }

    /// The ancestor of a code at this level; a malformed or unknown code has none.
    #[must_use]
    pub fn ancestor(&self, code: &str) -> Option<String> {
        let code = self.hierarchy.form.normalised(code)?;
        self.hierarchy.levels.get(self.depth)?.rule.ancestor(&code)
    }

    /// The number of first characters of a code that its ancestor at this level keeps.
    #[must_use]
    pub fn kept_prefix(&self) -> usize {
        match self.hierarchy.levels.get(self.depth).map(|level| &level.rule) {
            Some(Rule::Prefix { length, .. }) => *length,
            Some(Rule::Ranges { .. }) | None => 0,
        }
    }

    /// True if a code is an ancestor at this level.
    #[must_use]
    pub fn is_ancestor(&self, code: &str) -> bool {
        match self.hierarchy.levels.get(self.depth).map(|level| &level.rule) {
            Some(Rule::Prefix { .. }) => self.ancestor(code).as_deref() == Some(code),
            Some(Rule::Ranges { ranges, .. }) => ranges.iter().any(|range| range.code == code),
            None => false,
        }
    }
}

impl Form {
    fn normalised(&self, code: &str) -> Option<String> {
        let code = code.trim();
        match self {
            Self::AdministrativeCode => {
                let digits = code.bytes().all(|b| b.is_ascii_digit());
                // The first digit names one of eight great regions.
                let region = code.bytes().next().is_some_and(|b| (b'1'..=b'8').contains(&b));
                (digits && region && matches!(code.len(), 6 | 9 | 12)).then(|| code.to_owned())
            }
            Self::Icd10 => {
                let upper = code.to_ascii_uppercase();
                let bytes = upper.as_bytes();
                let starts = bytes.first().is_some_and(u8::is_ascii_uppercase)
                    && bytes.get(1).is_some_and(u8::is_ascii_digit)
                    && bytes.get(2).is_some_and(u8::is_ascii_digit);
                // National extensions add letters, a dagger or an asterisk; only the first three characters are used.
                let rest = bytes.iter().skip(3);
                let tail = rest.clone().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'*' | b'+'));
                (starts && tail && upper.len() <= 10).then_some(upper)
            }
        }
    }
}

impl Rule {
    fn ancestor(&self, code: &str) -> Option<String> {
        match self {
            Self::Prefix { length, padded_to } => {
                let prefix = code.get(..*length)?;
                Some(format!("{prefix:0<width$}", width = *padded_to))
            }
            Self::Ranges { length, ranges } => {
                let key = code.get(..*length)?;
                let after = ranges.partition_point(|range| range.first.as_str() <= key);
                let range = ranges.get(after.checked_sub(1)?)?;
                (key <= range.last.as_str()).then(|| range.code.clone())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::shipped::hierarchies;

    fn ancestor(hierarchy: &str, level: &str, code: &str) -> Option<String> {
        hierarchies().unwrap().get(hierarchy).unwrap().level(level).unwrap().ancestor(code)
    }

    #[test]
    fn administrative_codes_are_cut_to_their_level() {
        assert_eq!(ancestor("cn-admin", "province", "330106").as_deref(), Some("330000"));
        assert_eq!(ancestor("cn-admin", "city", "330106").as_deref(), Some("330100"));
        assert_eq!(ancestor("cn-admin", "district", "330106002013").as_deref(), Some("330106"));
    }

    #[test]
    fn what_is_no_code_has_no_ancestor() {
        for bad in ["", "3301", "杭州市西湖区文三路", "33010A", "900000", "3301060020"] {
            assert_eq!(ancestor("cn-admin", "district", bad), None, "{bad}");
        }
        for bad in ["", "A", "A0", "123", "A001234567890", "C15.x;drop", "T99"] {
            assert_eq!(ancestor("icd10", "chapter", bad), None, "{bad}");
        }
    }

    #[test]
    fn diagnoses_climb_from_category_to_chapter() {
        assert_eq!(ancestor("icd10", "category", "j45.901").as_deref(), Some("J45"));
        assert_eq!(ancestor("icd10", "block", "J45.9").as_deref(), Some("J40-J47"));
        assert_eq!(ancestor("icd10", "chapter", "J45.9").as_deref(), Some("J00-J99"));
        assert_eq!(ancestor("icd10", "block", "X05").as_deref(), Some("W00-X59"));
    }

    #[test]
    fn every_block_lies_in_one_chapter() {
        let hierarchies = hierarchies().unwrap();
        let icd10 = hierarchies.get("icd10").unwrap();
        let (chapter, block) = (icd10.level("chapter").unwrap(), icd10.level("block").unwrap());
        for letter in 'A'..='Z' {
            for number in 0..100 {
                let code = format!("{letter}{number:02}");
                if let Some(range) = block.ancestor(&code) {
                    let (first, last) = range.split_once('-').unwrap();
                    assert_eq!(chapter.ancestor(first), chapter.ancestor(last), "{range}");
                    assert!(chapter.ancestor(&code).is_some(), "{code}");
                }
            }
        }
    }

    #[test]
    fn the_coarser_level_wins() {
        let hierarchies = hierarchies().unwrap();
        let admin = hierarchies.get("cn-admin").unwrap();
        let (city, district) = (admin.level("city").unwrap(), admin.level("district").unwrap());
        assert_eq!(district.coarser(&city), Some(city.clone()));
        assert_eq!(city.coarser(&hierarchies.get("icd10").unwrap().level("block").unwrap()), None);
    }
}

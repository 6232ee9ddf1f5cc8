//! The rows of open data, as the signed manifest of a sealed version publishes them: small tables of codes and names that other
//! datasets refer to. They are known before a question is run, so that a question which looks something up in them can be judged.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::de::Error as _;

/// Columns of one length by name, each value as the text that its type is written as; nothing where the value is missing. Copies share
/// the values.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
pub struct PublishedRows {
    #[serde(serialize_with = "shared")]
    columns: BTreeMap<String, Arc<Vec<Option<String>>>>,
}

impl PublishedRows {
    /// Rows of these columns; nothing if the columns have different lengths.
    #[must_use]
    pub fn new(columns: BTreeMap<String, Vec<Option<String>>>) -> Option<Self> {
        let lengths: BTreeSet<usize> = columns.values().map(Vec::len).collect();
        let columns = columns.into_iter().map(|(name, values)| (name, Arc::new(values)));
        (lengths.len() <= 1).then(|| Self { columns: columns.collect() })
    }

    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.columns.values().next().map_or(0, |values| values.len())
    }

    /// The values of a column, one for each row.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&[Option<String>]> {
        self.columns.get(name).map(|values| values.as_slice())
    }

    /// The same rows with only those columns that a condition on their name holds for.
    #[must_use]
    pub fn with(&self, is_kept: impl Fn(&str) -> bool) -> Self {
        let kept = self.columns.iter().filter(|(name, _)| is_kept(name));
        Self { columns: kept.map(|(name, values)| (name.clone(), Arc::clone(values))).collect() }
    }

    /// These rows, and after them others of the same columns; nothing if the others have other columns.
    #[must_use]
    pub fn followed_by(&self, others: &Self) -> Option<Self> {
        if !self.columns.keys().eq(others.columns.keys()) {
            return None;
        }
        let both = self.columns.iter().zip(others.columns.values());
        let both = both.map(|((name, first), then)| (name.clone(), [first.as_slice(), then].concat()));
        Self::new(both.collect())
    }

    /// Number of all values, missing ones among them.
    #[must_use]
    pub fn values(&self) -> usize {
        self.columns.values().map(|values| values.len()).sum()
    }

    /// Bytes of all values.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.columns.values().flat_map(|values| values.iter().flatten()).map(String::len).sum()
    }
}

impl<'de> Deserialize<'de> for PublishedRows {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let columns = BTreeMap::deserialize(deserializer)?;
        Self::new(columns).ok_or_else(|| D::Error::custom("columns of different lengths"))
    }
}

fn shared<S: serde::Serializer>(
    columns: &BTreeMap<String, Arc<Vec<Option<String>>>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(columns.iter().map(|(name, values)| (name, values.as_slice())))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests may panic")]

    use super::*;

    fn rows(values: &[(&str, &[Option<&str>])]) -> Option<PublishedRows> {
        let owned = |values: &[Option<&str>]| values.iter().map(|value| value.map(str::to_owned)).collect();
        PublishedRows::new(values.iter().map(|(name, values)| ((*name).to_owned(), owned(values))).collect())
    }

    #[test]
    fn rows_are_kept_as_columns() {
        let zones = rows(&[("code", &[Some("1"), Some("2")]), ("name", &[Some("north"), None])]).unwrap();
        assert_eq!((zones.rows(), zones.bytes()), (2, 7));
        let text = serde_json::to_string(&zones).unwrap();
        assert_eq!(text, r#"{"code":["1","2"],"name":["north",null]}"#);
        assert_eq!(serde_json::from_str::<PublishedRows>(&text).unwrap(), zones);
        assert_eq!(zones.with(|name| name == "code").column("name"), None);
    }

    #[test]
    fn columns_of_different_lengths_are_no_rows() {
        assert_eq!(rows(&[("a", &[Some("1")]), ("b", &[])]), None);
        assert!(serde_json::from_str::<PublishedRows>(r#"{"a":["1"],"b":[]}"#).is_err());
    }

    #[test]
    fn added_rows_follow_those_of_the_same_columns() {
        let (first, then) = (rows(&[("a", &[Some("1")])]).unwrap(), rows(&[("a", &[None])]).unwrap());
        assert_eq!(first.followed_by(&then), rows(&[("a", &[Some("1"), None])]));
        assert_eq!(first.followed_by(&rows(&[("b", &[None])]).unwrap()), None);
    }
}

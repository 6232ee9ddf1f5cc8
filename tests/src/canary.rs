//! Canaries: unique values planted in protected columns, and the search for them in any bytes that left.
//! It finds; the suites decide what a finding means (always: a defect).

mod decode;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use aho_corasick::AhoCorasick;
use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Most rounds of decoding for a decoded part: base64 of zstd of Parquet needs three.
const DEPTH_MAX: u8 = 5;

/// One planted value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Canary {
    /// The place where it was planted, as `dataset.column`.
    pub place: String,
    /// The value as text, long enough never to occur by chance.
    pub value: String,
}

impl Canary {
    /// Creates a canary for a column.
    ///
    /// # Panics
    /// When the value is too short to be unmistakable.
    #[must_use]
    pub fn new(place: impl Into<String>, value: impl Into<String>) -> Self {
        let canary = Self { place: place.into(), value: value.into() };
        assert!(canary.value.len() >= 8, "`{}` could occur by chance", canary.value);
        canary
    }
}

/// A canary seen where it must not be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sighting {
    /// The column that it was planted in.
    pub place: String,
    /// The bytes it was seen in: a file, a stream, and the way it was wrapped.
    pub seen_in: String,
}

/// Searches bytes for a set of canaries, through the encodings that data leaves in.
#[derive(Debug)]
pub struct Scanner {
    canaries: Vec<Canary>,
    automaton: AhoCorasick,
    /// For each needle, which canary it stands for and how it was written.
    needles: Vec<(usize, &'static str)>,
}

impl Scanner {
    /// Builds the search for these canaries.
    ///
    /// # Errors
    /// When the canaries are too many for one automaton.
    pub fn new(canaries: Vec<Canary>) -> anyhow::Result<Self> {
        let mut patterns = Vec::new();
        let mut needles = Vec::new();
        for (index, canary) in canaries.iter().enumerate() {
            for (pattern, form) in forms(&canary.value) {
                patterns.push(pattern);
                needles.push((index, form));
            }
        }
        let automaton = AhoCorasick::new(&patterns).context("cannot build the search for canaries")?;
        Ok(Self { canaries, automaton, needles })
    }

    /// The canaries that are searched.
    #[must_use]
    pub fn canaries(&self) -> &[Canary] {
        &self.canaries
    }

    /// Returns every sighting in these bytes and in whatever they hold encoded.
    #[must_use]
    pub fn scan(&self, name: &str, bytes: &[u8]) -> BTreeSet<Sighting> {
        let mut found = BTreeSet::new();
        self.scan_part(name, bytes, 0, &mut found);
        found
    }

    /// Returns every sighting in the names and contents of all files under a folder.
    ///
    /// # Errors
    /// When a file cannot be read: unread bytes would count as clean.
    pub fn scan_folder(&self, folder: &Path) -> anyhow::Result<BTreeSet<Sighting>> {
        let mut found = BTreeSet::new();
        let entries = fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
        for entry in entries {
            let path = entry?.path();
            let name = path.to_string_lossy().into_owned();
            found.extend(self.scan("the name of a file", name.as_bytes()));
            let kind = fs::symlink_metadata(&path).with_context(|| format!("cannot look at {name}"))?;
            if kind.is_dir() {
                found.extend(self.scan_folder(&path)?);
            } else if kind.is_file() {
                let bytes = fs::read(&path).with_context(|| format!("cannot read {name}"))?;
                found.extend(self.scan(&name, &bytes));
            }
        }
        Ok(found)
    }

    /// Returns the places of all canaries that are seen, for the self test of the scanner.
    #[must_use]
    pub fn places_seen(&self, name: &str, bytes: &[u8]) -> BTreeSet<String> {
        self.scan(name, bytes).into_iter().map(|sighting| sighting.place).collect()
    }

    /// The places that canaries were planted in.
    #[must_use]
    pub fn places(&self) -> BTreeSet<String> {
        self.canaries.iter().map(|canary| canary.place.clone()).collect()
    }

    fn scan_part(&self, name: &str, bytes: &[u8], depth: u8, found: &mut BTreeSet<Sighting>) {
        for hit in self.automaton.find_overlapping_iter(bytes) {
            let (canary, form) = self.needles[hit.pattern().as_usize()];
            let place = self.canaries[canary].place.clone();
            found.insert(Sighting { place, seen_in: format!("{name} ({form})") });
        }
        if depth < DEPTH_MAX {
            for (form, part) in decode::parts(bytes) {
                self.scan_part(&format!("{name} > {form}"), &part, depth + 1, found);
            }
        }
    }
}

/// The ways one value may be written without any structure around it.
fn forms(value: &str) -> BTreeMap<Vec<u8>, &'static str> {
    let mut forms = BTreeMap::new();
    let utf16: Vec<u16> = value.encode_utf16().collect();
    forms.insert(value.as_bytes().to_vec(), "text");
    forms.insert(utf16.iter().flat_map(|unit| unit.to_le_bytes()).collect(), "UTF-16, little end first");
    forms.insert(utf16.iter().flat_map(|unit| unit.to_be_bytes()).collect(), "UTF-16, big end first");
    let hex: String = value.bytes().map(|byte| format!("{byte:02x}")).collect();
    forms.insert(hex.to_uppercase().into_bytes(), "hex");
    forms.insert(hex.into_bytes(), "hex");
    for shift in 0..3 {
        forms.insert(inner_base64(&STANDARD_NO_PAD.encode(shifted(value, shift)), shift), "base64");
        forms.insert(inner_base64(&URL_SAFE_NO_PAD.encode(shifted(value, shift)), shift), "base64");
    }
    forms
}

/// The value behind some bytes that belong to its neighbour.
fn shifted(value: &str, shift: usize) -> Vec<u8> {
    let mut bytes = vec![0; shift];
    bytes.extend_from_slice(value.as_bytes());
    bytes
}

/// The characters of an encoding that depend on the value alone: those shared with neighbours are cut off.
fn inner_base64(encoded: &str, shift: usize) -> Vec<u8> {
    let first = if shift == 0 { 0 } else { shift + 1 };
    encoded.as_bytes()[first..encoded.len() - 1].to_vec()
}

#[cfg(test)]
mod tests;

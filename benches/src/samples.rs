//! Raw samples: what one run measured, where and from which commit. The form is kept, so that old samples stay readable.
//! No host name and no path is in it.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;
use serde::Deserialize;
use serde::Serialize;

/// One run.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Samples {
    pub(crate) commit: String,
    /// Product folders held changes that were not committed.
    pub(crate) is_dirty: bool,
    pub(crate) date: String,
    pub(crate) command: String,
    pub(crate) machine: Machine,
    pub(crate) settings: RunSettings,
    pub(crate) preparation: Preparation,
    pub(crate) queries: Vec<QuerySamples>,
    pub(crate) guard: Vec<GuardSamples>,
    /// The control step alone; older samples have none.
    #[serde(default)]
    pub(crate) controls: Vec<ControlSamples>,
}

/// The machine that it ran on.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) cpu: String,
    pub(crate) cores: usize,
    pub(crate) memory_gib: u64,
    /// Runnable processes per core just before measuring: much above zero, the machine was busy with something else.
    pub(crate) load_before: f64,
}

/// The settings that it ran with.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RunSettings {
    pub(crate) repetitions: usize,
    pub(crate) threads: usize,
    pub(crate) is_release: bool,
}

/// The data.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Preparation {
    pub(crate) scale_factor: f64,
    pub(crate) rows: u64,
    /// Generating rows and writing them as plaintext Parquet.
    pub(crate) plain_write_seconds: f64,
    /// Sealing that file: reading, tokenising, grouping, encrypting, signing.
    pub(crate) seal_seconds: f64,
    pub(crate) sealed_bytes: u64,
    pub(crate) clustered_bytes: u64,
    pub(crate) arrival_bytes: u64,
}

/// One query.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct QuerySamples {
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) sql: String,
    pub(crate) groups: usize,
    /// Values withheld by the strictest variant.
    pub(crate) withheld: usize,
    pub(crate) variants: Vec<VariantSamples>,
}

/// One query one way.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct VariantSamples {
    pub(crate) name: String,
    pub(crate) seconds: Vec<f64>,
    /// Most memory a process of its own held while it ran the query once.
    pub(crate) peak_mib: Option<f64>,
}

/// The guard alone.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct GuardSamples {
    pub(crate) name: String,
    pub(crate) tables: usize,
    pub(crate) milliseconds: Vec<f64>,
}

/// The control step alone, over the cells of one query.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ControlSamples {
    /// The controls that the policy asks for.
    pub(crate) name: String,
    pub(crate) cells: usize,
    pub(crate) milliseconds: Vec<f64>,
}

impl Samples {
    /// Writes the samples and returns the file's name.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub(crate) fn write(&self, folder: &Path) -> anyhow::Result<String> {
        std::fs::create_dir_all(folder)?;
        let name = format!("{}-{}-sf{}.json", self.date, self.commit, self.preparation.scale_factor);
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        std::fs::write(folder.join(&name), text)?;
        Ok(name)
    }
}

impl QuerySamples {
    /// The median of one variant, in seconds.
    pub(crate) fn median(&self, variant: &str) -> Option<f64> {
        median(&self.variants.iter().find(|samples| samples.name == variant)?.seconds)
    }
}

/// The middle of the values.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = *sorted.get(sorted.len() / 2)?;
    if sorted.len() % 2 == 1 {
        return Some(upper);
    }
    let lower = *sorted.get(sorted.len() / 2 - 1)?;
    Some(f64::midpoint(lower, upper))
}

/// The newest samples of each scale factor that were taken with optimisation, smallest scale first.
///
/// # Errors
/// When a file there is not samples.
pub(crate) fn newest_by_scale(folder: &Path) -> anyhow::Result<Vec<Samples>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut names: Vec<_> = std::fs::read_dir(folder)?
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    names.sort();
    let mut newest: BTreeMap<String, Samples> = BTreeMap::new();
    for path in names {
        let samples: Samples = serde_json::from_str(&std::fs::read_to_string(&path)?)
            .with_context(|| format!("{:?} is not samples", path.file_name().unwrap_or_default()))?;
        let key = format!("{:012.4}", samples.preparation.scale_factor);
        let is_newer = newest.get(&key).is_none_or(|known| known.date <= samples.date);
        if samples.settings.is_release && is_newer {
            newest.insert(key, samples);
        }
    }
    Ok(newest.into_values().collect())
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn the_median_is_the_middle_of_the_sorted_values() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(&[]), None);
    }
}

//! The demo city: a seeded, Hangzhou-like world of fourteen departments that tell of the same invented people and
//! enterprises. It writes CSV, documents and a story; it seals nothing, asks nothing and knows no engine.
//!
//! ```text
//! City::new(seed, residents) -> City::csv(CityDataset) -> impl Read     rows
//! documents()                -> departments, datasets, policies, grants (YAML)
//! story::scenes()            -> what `obscura demo` tells
//! ```

use std::io;
use std::io::Read;
use std::io::Write;

pub use self::dataset::CityDataset;
pub use self::documents::documents;

mod dataset;
mod date;
mod documents;
mod firm;
mod geography;
mod person;
mod random;
mod row;
pub mod story;
mod tables;
#[cfg(test)]
mod tests;

use self::geography::Geography;

/// A city of a given size; the same seed and size give the same bytes on every machine.
#[derive(Debug)]
pub struct City {
    seed: u64,
    residents: u32,
    firms: u32,
    geography: Geography,
}

impl City {
    /// Fewest residents that show every scene of the story.
    pub const RESIDENTS_MIN: u32 = 200;
    /// Most residents whose identity numbers are certain to differ.
    pub const RESIDENTS_MAX: u32 = 7_500_000;
    /// Residents of the demo.
    pub const RESIDENTS_DEMO: u32 = 200_000;
    /// Seed of the demo.
    pub const SEED_DEMO: u64 = 3301;

    /// Plans a city; `residents` is brought into `RESIDENTS_MIN..=RESIDENTS_MAX`.
    #[must_use]
    pub fn new(seed: u64, residents: u32) -> Self {
        let residents = residents.clamp(Self::RESIDENTS_MIN, Self::RESIDENTS_MAX);
        Self { seed, residents, firms: (residents / 20).max(120), geography: Geography::new() }
    }

    /// Number of residents.
    #[must_use]
    pub fn residents(&self) -> u32 {
        self.residents
    }

    /// Streams one dataset as CSV with a header line.
    #[must_use]
    pub fn csv(&self, dataset: CityDataset) -> CsvRows<'_> {
        let mut buffer = dataset.header().as_bytes().to_vec();
        buffer.push(b'\n');
        CsvRows { city: self, dataset, step: 0, rows: 0, buffer, taken: 0 }
    }

    /// Writes one dataset as CSV and returns its number of rows.
    ///
    /// # Errors
    ///
    /// When `out` fails.
    pub fn write_csv(&self, dataset: CityDataset, out: &mut dyn Write) -> io::Result<u64> {
        let mut rows = self.csv(dataset);
        while rows.refill() {
            out.write_all(rows.pending())?;
            rows.taken = rows.buffer.len();
        }
        Ok(rows.rows)
    }

    /// Residents and visitors together.
    fn people(&self) -> u32 {
        self.residents + self.residents / 4
    }
}

/// One dataset as a byte stream; it holds a few kilobytes whatever the size of the city.
#[derive(Debug)]
pub struct CsvRows<'a> {
    city: &'a City,
    dataset: CityDataset,
    step: u64,
    rows: u64,
    buffer: Vec<u8>,
    taken: usize,
}

impl CsvRows<'_> {
    /// Bytes gathered before they are handed on.
    const CHUNK_BYTES: usize = 64 * 1024;

    /// Rows produced so far.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Gathers the next bytes if none are pending; false at the end.
    fn refill(&mut self) -> bool {
        if self.taken < self.buffer.len() {
            return true;
        }
        self.buffer.clear();
        self.taken = 0;
        let steps = self.dataset.steps(self.city);
        while self.step < steps && self.buffer.len() < Self::CHUNK_BYTES {
            self.rows += u64::from(self.dataset.append(self.city, self.step, &mut self.buffer));
            self.step += 1;
        }
        !self.buffer.is_empty()
    }

    fn pending(&self) -> &[u8] {
        self.buffer.get(self.taken..).unwrap_or_default()
    }
}

impl Read for CsvRows<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if !self.refill() {
            return Ok(0);
        }
        let count = self.pending().read(into)?;
        self.taken += count;
        Ok(count)
    }
}

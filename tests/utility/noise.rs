//! The same questions under named noise of other deviations than the grades ask for, and the key of the noise.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context as _;
use obscura_policies::vocabulary::DatasetId;
use obscura_query_guard::noise::BYTES_AT_ONCE;
use obscura_query_guard::noise::NoiseSource;
use obscura_query_guard::verdict::Decision;
use obscura_sandbox::city::City;
use ring::hmac;

use crate::compare::Loss;
use crate::desk::Desk;
use crate::desk::reason;
use crate::documents::Protection;
use crate::questions::File;

/// The deviations that are asked for.
pub(crate) const DEVIATIONS: [u32; 2] = [4, 8];

/// The outcome of all questions under noise of one deviation.
#[derive(Debug, Clone, Default)]
pub(crate) struct Noisy {
    /// Number of admitted questions of individuals.
    pub(crate) admitted: usize,
    /// The part of their exact answers that they lack, over all of them.
    pub(crate) loss: Loss,
    /// Refused questions by reason; one with several reasons counts for each.
    pub(crate) reasons: BTreeMap<String, usize>,
}

/// Asks every question under noise of each deviation.
///
/// # Errors
/// When a run fails.
pub(crate) fn asked(files: &[File], residents: u32) -> anyhow::Result<Vec<(u32, Noisy)>> {
    let key = key();
    let mut all: Vec<(u32, Noisy)> =
        DEVIATIONS.into_iter().map(|deviation| (deviation, Noisy::default())).collect();
    for file in files {
        let desk = Desk::of(&file.purpose, &City::new(City::SEED_DEMO, residents))?;
        for (deviation, noisy) in &mut all {
            for question in &file.questions {
                match desk.review(&question.sql, Protection::Noise(*deviation)) {
                    // Open data has no noise.
                    Decision::Admitted(plan) if plan.stages().is_empty() => {}
                    Decision::Admitted(plan) => {
                        noisy.admitted += 1;
                        let lost = desk.under_noise(&question.sql, &plan, &key);
                        noisy.loss.add(&lost.with_context(|| question.title.clone())?);
                    }
                    Decision::Refused { findings, .. } => {
                        let mut reasons: Vec<String> = findings.iter().map(reason).collect();
                        reasons.sort();
                        reasons.dedup();
                        for reason in reasons {
                            *noisy.reasons.entry(reason).or_default() += 1;
                        }
                    }
                }
            }
        }
    }
    Ok(all)
}

/// A source of noise whose key is fixed, so that a run is the same every time.
pub(crate) fn key() -> Arc<dyn NoiseSource> {
    Arc::new(Key(hmac::Key::new(hmac::HMAC_SHA256, b"a key of the questions")))
}

/// A keyed source as the product's is: the HMAC-SHA256 of block and name.
#[derive(Debug)]
struct Key(hmac::Key);

impl NoiseSource for Key {
    fn fill(&self, _family: &DatasetId, name: &[u8], block: u32, bytes: &mut [u8; BYTES_AT_ONCE]) -> bool {
        let mut signed = hmac::Context::with_key(&self.0);
        signed.update(&block.to_be_bytes());
        signed.update(name);
        bytes.copy_from_slice(signed.sign().as_ref());
        true
    }
}

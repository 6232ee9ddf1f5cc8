//! The inputs of an execution that no plan may hold: keyed functions of masks, the source of noise, and the digests of versions.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use obscura_policies::vocabulary::DatasetId;

use crate::mask::Secrets;
use crate::noise::NoiseSource;
use crate::privacy::PrivacySource;

/// The inputs of an execution that no plan may hold.
#[derive(Clone, Default)]
pub struct ExecutionContext {
    /// Keyed functions of masks, bound to each plan just before it runs; without them a plan with such a mask fails.
    pub secrets: Option<Secrets>,
    /// The keyed source of named noise; without it a plan with noise fails.
    pub noise: Option<Arc<dyn NoiseSource>>,
    /// The source of fresh randomness for differential privacy; without it a plan that needs it fails.
    pub privacy: Option<Arc<dyn PrivacySource>>,
    /// The digest of the content of each dataset's opened version: the noise that is drawn anew for each version is keyed by
    /// it.
    pub versions: BTreeMap<DatasetId, [u8; 32]>,
}

impl fmt::Debug for ExecutionContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ExecutionContext")
    }
}

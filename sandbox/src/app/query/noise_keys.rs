//! The noise keys of the datasets that a job reads, and no others: taken from the keyring before the job runs.
//! No plan holds one, and nothing here draws noise or says where it is due.

use std::collections::BTreeMap;

use obscura_crypto::kms::KeyManagement;
use obscura_crypto::kms::KmsError;
use obscura_crypto::noise::NoiseKey;
use obscura_policies::effective::EffectivePolicy;
use obscura_policies::vocabulary::DatasetId;
use obscura_query_guard::dictionary::is_open;
use obscura_query_guard::noise::BYTES_AT_ONCE;
use obscura_query_guard::noise::NoiseSource;
use obscura_query_guard::plan::GuardedPlan;

/// The noise keys of one job's datasets.
pub(crate) struct NoiseKeys(BTreeMap<DatasetId, NoiseKey>);

impl std::fmt::Debug for NoiseKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NoiseKeys")
    }
}

impl NoiseKeys {
    /// Takes the keys of all protected datasets that a plan reads, if its results need noise.
    ///
    /// # Errors
    /// When the key service refuses.
    pub(crate) fn of(
        plan: &GuardedPlan,
        policy: &EffectivePolicy,
        keys: &dyn KeyManagement,
    ) -> Result<Self, KmsError> {
        if !plan.needs_noise() {
            return Ok(Self(BTreeMap::new()));
        }
        // A dataset that the policy does not know is taken for a protected one.
        let is_protected = |dataset: &&DatasetId| !policy.datasets.get(*dataset).is_some_and(is_open);
        Self::of_datasets(plan.scans().keys().filter(is_protected), keys)
    }

    /// Takes the keys of datasets. Each department has a secret of its own, of which the keys of its datasets are derived.
    fn of_datasets<'a>(
        datasets: impl Iterator<Item = &'a DatasetId>,
        keys: &dyn KeyManagement,
    ) -> Result<Self, KmsError> {
        let mut taken = BTreeMap::new();
        for dataset in datasets {
            let source = keys.hash_key(&format!("noise/{}", dataset.department()))?;
            taken.insert(dataset.clone(), NoiseKey::of(&source, &dataset.to_string()));
        }
        Ok(Self(taken))
    }

    /// Names the keys, for those who are told which secrets took part and not what they are.
    pub(crate) fn names(&self) -> impl Iterator<Item = String> {
        self.0.keys().map(|dataset| format!("noise/{dataset}"))
    }
}

impl NoiseSource for NoiseKeys {
    fn fill(&self, family: &DatasetId, name: &[u8], block: u32, bytes: &mut [u8; BYTES_AT_ONCE]) -> bool {
        let Some(key) = self.0.get(family) else { return false };
        key.fill(name, block, bytes);
        true
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests may panic")]

    use obscura_crypto::kms::KeyFile;
    use obscura_crypto::kms::LocalKeyring;
    use obscura_crypto::kms::Secret;
    use tempfile::TempDir;

    use super::*;

    fn id(text: &str) -> DatasetId {
        text.parse().unwrap()
    }

    fn keyring() -> (TempDir, LocalKeyring) {
        let folder = TempDir::new().unwrap();
        let secret = Secret::KeyFile(KeyFile::create(&folder.path().join("key")).unwrap());
        let keyring = LocalKeyring::create(&folder.path().join("keyring"), &secret).unwrap();
        (folder, keyring)
    }

    fn bytes(keys: &NoiseKeys, family: &DatasetId) -> Option<[u8; BYTES_AT_ONCE]> {
        let mut bytes = [0; BYTES_AT_ONCE];
        keys.fill(family, b"name", 0, &mut bytes).then_some(bytes)
    }

    #[test]
    fn each_dataset_has_a_key_of_its_own_in_every_job() {
        let (_folder, keyring) = keyring();
        let (visits, wards, incomes) = (id("hz-health.visits"), id("hz-health.wards"), id("hz-tax.incomes"));
        let both = NoiseKeys::of_datasets([&visits, &wards].into_iter(), &keyring).unwrap();
        let one = NoiseKeys::of_datasets([&visits].into_iter(), &keyring).unwrap();
        assert!(bytes(&both, &visits).is_some());
        assert_eq!(bytes(&both, &visits), bytes(&one, &visits));
        assert_ne!(bytes(&both, &visits), bytes(&both, &wards));
        assert_eq!(bytes(&one, &wards), None);
        assert_eq!(bytes(&both, &incomes), None);
        assert_eq!(both.names().collect::<Vec<_>>(), ["noise/hz-health.visits", "noise/hz-health.wards"]);
        assert_eq!(format!("{both:?}"), "NoiseKeys");
    }

    #[test]
    fn the_longest_name_of_a_dataset_has_a_key() {
        let (_folder, keyring) = keyring();
        let longest = id(&format!("{}.{}", "a".repeat(64), "b".repeat(63)));
        let keys = NoiseKeys::of_datasets([&longest].into_iter(), &keyring).unwrap();
        assert!(bytes(&keys, &longest).is_some());
    }
}

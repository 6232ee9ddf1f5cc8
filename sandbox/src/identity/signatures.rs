//! Signature verification for `jsonwebtoken`: by `ring`, through our own `crypto`. It signs nothing.

use jsonwebtoken::Algorithm;
use jsonwebtoken::DecodingKey;
use jsonwebtoken::DecodingKeyKind;
use jsonwebtoken::crypto::CryptoProvider;
use jsonwebtoken::crypto::JwtSigner;
use jsonwebtoken::crypto::JwtVerifier;
use jsonwebtoken::crypto::KeyUtils;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::errors::Result as JwtResult;
use jsonwebtoken::errors::new_error;
use jsonwebtoken::signature::Error as SignatureError;
use jsonwebtoken::signature::Verifier;
use obscura_crypto::foreign::ForeignAlgorithm;
use obscura_crypto::foreign::ForeignKey;

/// The functions that tokens are verified with. None of them signs, and no unused function of a key is there.
static VERIFYING: CryptoProvider = CryptoProvider {
    signer_factory: |_, _| refuse::<Box<dyn JwtSigner>>(),
    verifier_factory: verifier,
    key_utils: KeyUtils {
        rsa_pub_components_from_private_key: |_| refuse(),
        rsa_pub_components_from_public_key: |_| refuse(),
        ec_pub_components_from_private_key: |_, _| refuse(),
        ed_pub_components_from_private_key: |_, _| refuse(),
        compute_digest: |_, _| refuse(),
    },
};

/// Makes this the provider of the whole process; the second time changes nothing.
pub(super) fn install() {
    let _installed_already = VERIFYING.install_default();
}

fn refuse<T>() -> JwtResult<T> {
    Err(new_error(ErrorKind::UnsupportedAlgorithm))
}

fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> JwtResult<Box<dyn JwtVerifier>> {
    let foreign = match algorithm {
        Algorithm::RS256 => ForeignAlgorithm::RsaPkcs1Sha256,
        Algorithm::PS256 => ForeignAlgorithm::RsaPssSha256,
        Algorithm::ES256 => ForeignAlgorithm::EcdsaP256Sha256,
        Algorithm::ES384 => ForeignAlgorithm::EcdsaP384Sha384,
        Algorithm::EdDSA => ForeignAlgorithm::Ed25519,
        _ => return refuse(),
    };
    Ok(Box::new(RingVerifier { algorithm: *algorithm, foreign, key: key.clone() }))
}

struct RingVerifier {
    algorithm: Algorithm,
    foreign: ForeignAlgorithm,
    key: DecodingKey,
}

impl JwtVerifier for RingVerifier {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

impl Verifier<Vec<u8>> for RingVerifier {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), SignatureError> {
        let key = match self.key.kind() {
            DecodingKeyKind::RsaModulusExponent { n, e } => ForeignKey::Rsa { modulus: n, exponent: e },
            DecodingKeyKind::SecretOrDer(point) => ForeignKey::Point(point),
        };
        key.verify(self.foreign, message, signature).map_err(|_opaque| SignatureError::new())
    }
}

//! The randomness of answers by differential privacy: exact draws of the discrete Gaussian distribution by OpenDP's proven sampler.
//! This file alone names the crate `opendp`, and none of its types leaves it. It knows no data and no prices.
//!
//! Without its OpenSSL feature the crate draws from a generator of the thread (ChaCha20), which the operating system seeds when the
//! thread first asks. So every batch of draws runs on a thread of its own: its seed is fresh, and its state ends with it
//! (`sandbox/docs/decisions/0010-differential-privacy.md`).

use obscura_query_guard::privacy::Deviation;
use obscura_query_guard::privacy::KEY_BYTES;
use obscura_query_guard::privacy::PrivacySource;
use opendp::traits::samplers::sample_discrete_gaussian;

use crate::installation::charges::Reserved;

/// Whole numbers below this are floating point without loss.
const EXACT_BELOW: u128 = 1 << 53;

/// The source of all jobs; it holds nothing.
#[derive(Debug, Clone, Copy)]
pub struct PrivacyNoise;

impl PrivacyNoise {
    /// The source for a question whose price is in the log.
    ///
    /// Drawn before it is charged, noise could be had for nothing: a job that is stopped in between is asked again.
    pub(super) fn once(_charged: &Reserved) -> Self {
        PrivacyNoise
    }
}

impl PrivacySource for PrivacyNoise {
    fn draw(&self, deviation: Deviation, count: usize) -> Option<Vec<i128>> {
        let sixteenths = deviation.sixteenths();
        let all = || (0..count).map(|_| drawn(sixteenths)).collect();
        std::thread::scope(|scope| scope.spawn(all).join().ok().flatten())
    }

    fn key(&self) -> Option<[u8; KEY_BYTES]> {
        let mut key = [0; KEY_BYTES];
        getrandom::fill(&mut key).ok()?;
        Some(key)
    }
}

/// One draw of a deviation in sixteenths; nothing without randomness, and for a draw beyond 128 bits, which never comes.
///
/// The deviation is exact as long as it has 53 bits, and is rounded up to a whole number beyond.
fn drawn(sixteenths: u128) -> Option<i128> {
    let drawn = if sixteenths < EXACT_BELOW {
        #[expect(clippy::cast_precision_loss, reason = "below 2^53, and sixteen is a power of two")]
        let deviation = sixteenths as f64 / 16.0;
        sample_discrete_gaussian(deviation.try_into().ok()?)
    } else {
        sample_discrete_gaussian(sixteenths.div_ceil(16).into())
    };
    drawn.ok()?.try_into().ok()
}

//! The distribution of the noise, against its definition. The bounds fail one run in a thousand million.

use obscura_query_guard::privacy::Deviation;
use obscura_query_guard::privacy::PrivacySource as _;
use obscura_sandbox::app::query::privacy_noise::PrivacyNoise;

/// Natural logarithm of two thousand million: the chance of a false alarm, on two sides.
const LN_OF_ALARM: f64 = 21.5;

fn drawn(sixteenths: u128, count: usize) -> Vec<i128> {
    PrivacyNoise.draw(Deviation::of_sixteenths(sixteenths), count).expect("there is randomness")
}

/// The distribution function of the discrete Gaussian at each whole number of a range that holds nearly all of it.
fn distribution(deviation: f64) -> Vec<(i128, f64)> {
    let most = (deviation * 12.0).ceil() as i128 + 2;
    let weight = |x: i128| (-(x as f64).powi(2) / (2.0 * deviation.powi(2))).exp();
    let total: f64 = (-most..=most).map(weight).sum();
    let mut below = 0.0;
    (-most..=most)
        .map(|x| {
            below += weight(x) / total;
            (x, below)
        })
        .collect()
}

#[test]
fn draws_have_the_distribution_of_their_definition() {
    for sixteenths in [8, 16, 50, 200] {
        let count = 20_000;
        let draws = drawn(sixteenths, count);
        // Dvoretzky, Kiefer, Wolfowitz, with Massart's constant.
        let bound = (LN_OF_ALARM / (2.0 * count as f64)).sqrt();
        for (x, expected) in distribution(sixteenths as f64 / 16.0) {
            let found = draws.iter().filter(|draw| **draw <= x).count() as f64 / count as f64;
            assert!((found - expected).abs() <= bound, "{sixteenths}: at {x} {found} for {expected}");
        }
    }
}

#[test]
fn wide_noise_is_as_wide_as_it_says() {
    // Beyond 53 bits the deviation is a whole number.
    for sixteenths in [1_u128 << 40, 1 << 70, 1 << 100] {
        let deviation = sixteenths as f64 / 16.0;
        let draws = drawn(sixteenths, 4_000);
        let share = |within: f64| {
            draws.iter().filter(|draw| (**draw as f64).abs() <= within * deviation).count() as f64 / 4_000.0
        };
        let bound = (LN_OF_ALARM / 8_000.0).sqrt();
        for (within, expected) in [(0.674_49, 0.5), (1.0, 0.682_69), (1.96, 0.95)] {
            assert!((share(within) - expected).abs() <= bound, "{sixteenths}: {within}");
        }
    }
}

#[test]
fn nothing_is_drawn_twice() {
    let (one, other) = (drawn(1 << 60, 50), drawn(1 << 60, 50));
    assert!(one.iter().all(|draw| !other.contains(draw)));
    assert_ne!(PrivacyNoise.key(), PrivacyNoise.key());
    assert_eq!(drawn(160, 0), []);
}

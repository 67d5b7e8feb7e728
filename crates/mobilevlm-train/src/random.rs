//! Random numbers that are a pure function of a key and a place: nothing has to be saved to resume.

use std::f64::consts::TAU;

/// A stream of random numbers, of which any can be asked for at any time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draws {
    key: u64,
}

impl Draws {
    /// The stream of a seed.
    pub fn new(seed: u64) -> Draws {
        Draws { key: mix(seed) }
    }

    /// A stream of its own for a number: a step, a layer, a micro-batch.
    pub fn at(self, number: u64) -> Draws {
        Draws {
            key: mix(self.key ^ mix(number.wrapping_add(1))),
        }
    }

    /// A stream of its own for a name.
    pub fn named(self, name: &str) -> Draws {
        // FNV-1a, then mixed: stable for ever, which the standard library's hashes are not.
        let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        self.at(hash)
    }

    /// 64 random bits at a place.
    pub fn bits(self, place: u64) -> u64 {
        mix(self
            .key
            .wrapping_add(place.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
    }

    /// A number from 0 to 1, without 1, at a place.
    pub fn uniform(self, place: u64) -> f64 {
        (self.bits(place) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A number of the standard normal distribution at a place.
    pub fn normal(self, place: u64) -> f64 {
        // 1 - u is never 0.
        let radius = (-2.0 * (1.0 - self.uniform(2 * place)).ln()).sqrt();
        radius * (TAU * self.uniform(2 * place + 1)).cos()
    }
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood 2014).
fn mix(mut x: u64) -> u64 {
    x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_numbers_have_mean_zero_and_deviation_one() {
        let draws = Draws::new(7).named("a");
        let count = 100_000;
        let numbers: Vec<f64> = (0..count).map(|place| draws.normal(place)).collect();
        let mean = numbers.iter().sum::<f64>() / count as f64;
        let square = numbers.iter().map(|x| x * x).sum::<f64>() / count as f64;
        assert!(mean.abs() < 0.02, "{mean}");
        assert!((square - 1.0).abs() < 0.02, "{square}");
    }

    #[test]
    fn streams_differ_and_come_back() {
        let of = |seed, name: &str, step| Draws::new(seed).named(name).at(step).bits(3);
        assert_eq!(of(1, "a", 2), of(1, "a", 2));
        assert_ne!(of(1, "a", 2), of(2, "a", 2));
        assert_ne!(of(1, "a", 2), of(1, "b", 2));
        assert_ne!(of(1, "a", 2), of(1, "a", 3));
    }
}

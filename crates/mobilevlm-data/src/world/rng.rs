//! Random numbers whose stream is a part of the world's definition.
//!
//! SplitMix64 (Steele, Lea and Flood 2014; constants of Vigna's `splitmix64.c`): a counter and a
//! mixing function, so that it can be stated in ten lines and never changes under the world. A
//! crate's generator would be as good; its way from bits to a range is what changes with versions.

/// Mixes the bits of `value`: the output function of SplitMix64, a bijection.
pub(crate) fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

/// The step of the counter: the odd number nearest to 2⁶⁴ / φ.
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// A stream of random numbers.
#[derive(Clone, Debug)]
pub(crate) struct Rng {
    state: u64,
}

impl Rng {
    /// The stream that belongs to these numbers, in this order.
    pub(crate) fn of(key: &[u64]) -> Rng {
        let state = key.iter().fold(0, |state, part| {
            mix(mix(state).wrapping_add(STEP).wrapping_add(*part))
        });
        Rng { state }
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(STEP);
        mix(self.state)
    }

    /// A number below `end`; 0 if `end` is 0. Its bias, `end` / 2⁶⁴, is beyond measuring.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        let product = u128::from(self.next()) * end as u128;
        (product >> 64) as usize
    }

    /// A number from `low` to `high`, both included.
    pub(crate) fn between(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high - low + 1)
    }

    /// A number in `[low, high)`, of 24 random bits.
    pub(crate) fn real(&mut self, low: f32, high: f32) -> f32 {
        let unit = (self.next() >> 40) as f32 / (1u64 << 24) as f32;
        low + (high - low) * unit
    }

    /// True in `percent` of a hundred cases.
    pub(crate) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of `items`.
    ///
    /// # Panics
    /// If there are none: callers hold lists that are written down or have been looked at.
    pub(crate) fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    /// One of `items`, or nothing where there are none.
    pub(crate) fn choose<T: Clone>(&mut self, items: &[T]) -> Option<T> {
        match items {
            [] => None,
            _ => Some(self.pick(items).clone()),
        }
    }

    /// One of `items`, each as often as its weight says.
    pub(crate) fn weighted<T: Copy>(&mut self, items: &[(T, usize)]) -> T {
        let total = items.iter().map(|(_, weight)| weight).sum();
        let mut at = self.below(total);
        for (item, weight) in items {
            if at < *weight {
                return *item;
            }
            at -= weight;
        }
        items[0].0
    }

    /// Puts `items` into a random order (Fisher and Yates).
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for end in (1..items.len()).rev() {
            items.swap(end, self.below(end + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_ranges_and_reach_the_ends() {
        let mut rng = Rng::of(&[1]);
        let mut seen = [0usize; 6];
        for _ in 0..6000 {
            seen[rng.below(6)] += 1;
            assert!((2..=4).contains(&rng.between(2, 4)));
            let real = rng.real(-1.0, 0.5);
            assert!((-1.0..0.5).contains(&real), "{real}");
        }
        assert!(seen.iter().all(|&n| (850..1150).contains(&n)), "{seen:?}");
    }

    #[test]
    fn keys_are_told_apart_by_value_and_order() {
        let first = |key: &[u64]| Rng::of(key).next();
        assert_eq!(first(&[1, 2]), first(&[1, 2]));
        assert_ne!(first(&[1, 2]), first(&[2, 1]));
        assert_ne!(first(&[0]), first(&[0, 0]));
    }

    #[test]
    fn weights_are_kept() {
        let mut rng = Rng::of(&[3]);
        let heads = (0..4000)
            .filter(|_| rng.weighted(&[(true, 3), (false, 1)]))
            .count();
        assert!((2850..3150).contains(&heads), "{heads}");
    }
}

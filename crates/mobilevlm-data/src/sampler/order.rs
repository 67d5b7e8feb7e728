//! Our own order of samples.

use std::num::NonZeroUsize;

use super::grouped::{Grouping, Groups};

/// An order that is a pure function of (seed, epoch, step): a run that is resumed needs no state of
/// a generator, and any step can be looked up without going through those before it.
///
/// Samples are grouped as upstream groups them. Where upstream stops, since all samples have a
/// picture or none has, or since one has no words, they are grouped by length.
///
/// ```
/// use std::num::NonZeroUsize;
/// use mobilevlm_data::{Grouping, Order};
///
/// let lengths = vec![12, -7, 30, 5, -9, 18];
/// let two = NonZeroUsize::new(2).unwrap();
/// let order = Order::new(lengths, Grouping::Modality, two, NonZeroUsize::MIN, 42);
/// let epoch = order.epoch(0);
/// assert_eq!(epoch.steps(), 3);
/// assert_eq!(epoch.batch(1, 0), order.epoch(0).batch(1, 0));
/// ```
#[derive(Clone, Debug)]
pub struct Order {
    lengths: Vec<i32>,
    grouping: Grouping,
    batch_size: NonZeroUsize,
    world_size: NonZeroUsize,
    seed: u64,
}

impl Order {
    /// An order of samples of these lengths
    /// ([`Sample::modality_length`](crate::Sample::modality_length)), `batch_size` at a time for
    /// each of `world_size` processes.
    pub fn new(
        lengths: Vec<i32>,
        grouping: Grouping,
        batch_size: NonZeroUsize,
        world_size: NonZeroUsize,
        seed: u64,
    ) -> Order {
        Order {
            lengths,
            grouping,
            batch_size,
            world_size,
            seed,
        }
    }

    /// The order of one epoch, from 0. Takes eight bytes a sample while it is made and held.
    pub fn epoch(&self, epoch: u64) -> EpochOrder {
        let (batch_size, world_size) = (self.batch_size.get(), self.world_size.get());
        let groups = Groups {
            batch_size,
            world_size,
        };
        let mut words = Shuffle::new(self.seed, epoch);
        let indices = groups.order(&self.lengths, self.grouping, &mut |n| words.permutation(n));
        EpochOrder {
            indices,
            batch_size,
            world_size,
        }
    }
}

/// The order of samples in one epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EpochOrder {
    indices: Vec<usize>,
    batch_size: usize,
    world_size: usize,
}

impl EpochOrder {
    /// Steps of the epoch, before accumulation. The last one may be short.
    pub fn steps(&self) -> usize {
        self.indices.len().div_ceil(self.megabatch())
    }

    /// The samples that process `process` takes in step `step`, both from 0; empty beyond the end.
    pub fn batch(&self, step: usize, process: usize) -> &[usize] {
        if process >= self.world_size {
            return &[];
        }
        let batch = step.saturating_mul(self.world_size).saturating_add(process);
        let start = batch
            .saturating_mul(self.batch_size)
            .min(self.indices.len());
        let end = start
            .saturating_add(self.batch_size)
            .min(self.indices.len());
        &self.indices[start..end]
    }

    /// All samples in order.
    pub fn indices(&self) -> &[usize] {
        &self.indices
    }

    fn megabatch(&self) -> usize {
        self.batch_size.saturating_mul(self.world_size)
    }
}

/// Permutations from SplitMix64 (Steele, Lea and Flood 2014): any seed is a good one.
pub(crate) struct Shuffle(u64);

impl Shuffle {
    /// The permutations of this seed and number.
    pub(crate) fn new(seed: u64, number: u64) -> Shuffle {
        // Mixed one after the other, so that (1, 2) is not (2, 1).
        Shuffle(Shuffle(seed).next().wrapping_add(number))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// Fisher and Yates; a word's high part picks the place, biased by less than n / 2⁶⁴.
    pub(crate) fn permutation(&mut self, n: usize) -> Vec<usize> {
        let mut permutation: Vec<usize> = (0..n).collect();
        for i in 0..n.saturating_sub(1) {
            let left = (n - i) as u128;
            let picked = (u128::from(self.next()) * left) >> 64;
            permutation.swap(i, i + picked as usize);
        }
        permutation
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn n(value: usize) -> NonZeroUsize {
        NonZeroUsize::new(value).unwrap()
    }

    fn lengths(count: i32) -> Vec<i32> {
        let length = |i: i32| (i * 37 % 50 + 1) * if i % 3 == 0 { -1 } else { 1 };
        (0..count).map(length).collect()
    }

    #[test]
    fn every_sample_comes_once_an_epoch_whatever_the_kinds() {
        let all = lengths(101);
        let pictures: Vec<i32> = all.iter().map(|length| length.abs()).collect();
        let texts: Vec<i32> = all.iter().map(|length| -length.abs()).collect();
        let wordless = vec![0; 7];
        for lengths in [all, pictures, texts, wordless, vec![3], vec![]] {
            for grouping in [Grouping::None, Grouping::Length, Grouping::Modality] {
                let order = Order::new(lengths.clone(), grouping, n(5), n(3), 7);
                let epoch = order.epoch(1);
                let steps = 0..epoch.steps();
                let mut taken: Vec<usize> = steps
                    .flat_map(|step| (0..3).map(move |process| (step, process)))
                    .flat_map(|(step, process)| epoch.batch(step, process).to_vec())
                    .collect();
                assert_eq!(taken, epoch.indices());
                taken.sort_unstable();
                assert_eq!(taken, (0..lengths.len()).collect::<Vec<_>>());
                assert!(epoch.batch(epoch.steps(), 0).is_empty());
            }
        }
    }

    #[test]
    fn order_depends_on_seed_and_epoch_alone() {
        let order = |seed| Order::new(lengths(64), Grouping::Modality, n(4), n(2), seed);
        assert_eq!(order(1).epoch(2), order(1).epoch(2));
        assert_ne!(order(1).epoch(2), order(1).epoch(3));
        assert_ne!(order(1).epoch(2), order(2).epoch(1));
    }

    #[test]
    fn whole_batches_are_of_one_kind_but_for_the_rest() {
        let lengths = lengths(300);
        let epoch = Order::new(lengths.clone(), Grouping::Modality, n(4), n(1), 5).epoch(0);
        let mixed = (0..epoch.steps())
            .filter(|&step| {
                let batch = epoch.batch(step, 0);
                let pictures = batch.iter().filter(|&&i| lengths[i] > 0).count();
                pictures != 0 && pictures != batch.len()
            })
            .count();
        assert!(mixed <= 2, "{mixed}");
    }
}

//! What goes together. Source: `get_modality_length_grouped_indices` and
//! `get_length_grouped_indices` of upstream's trainer.

use std::num::NonZeroUsize;

use super::mt19937::{Mt19937, random_permutation};

/// By what samples are grouped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Grouping {
    /// By nothing: a permutation. Stage 1.
    None,
    /// Samples of a batch are about equally long.
    Length,
    /// As `Length`, and pictures and text alone are kept apart. Stage 2.
    #[default]
    Modality,
}

/// Why upstream has no order for these samples.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OrderError {
    /// A sample without words.
    #[error("sample {sample} has no words; upstream's sampler expects at least one")]
    Zero {
        /// The sample, from 0.
        sample: usize,
    },
    /// Only pictures, or only text.
    #[error(
        "all samples are of one kind; upstream's sampler expects some with and some without a picture"
    )]
    OneKind,
}

impl OrderError {
    /// The exception that upstream raises, as Python prints it.
    pub fn upstream(&self) -> &'static str {
        match self {
            OrderError::Zero { .. } => "AssertionError: Should not have zero length.",
            OrderError::OneKind => "ValueError: not enough values to unpack (expected 2, got 0)",
        }
    }
}

/// Upstream's order of samples, given the state of torch's global generator.
///
/// `lengths`: [`Sample::modality_length`](crate::Sample::modality_length) of each. Batches are
/// consecutive runs of `batch_size`; of `world_size` processes, process r takes batches r,
/// r + `world_size`, …
///
/// # Errors
/// [`OrderError`] where upstream stops; [`Order`](super::Order) has an order for these too.
pub fn upstream_order(
    lengths: &[i32],
    grouping: Grouping,
    batch_size: NonZeroUsize,
    world_size: NonZeroUsize,
    generator: &mut Mt19937,
) -> Result<Vec<usize>, OrderError> {
    if grouping == Grouping::Modality {
        if let Some(sample) = lengths.iter().position(|&length| length == 0) {
            return Err(OrderError::Zero { sample });
        }
        let pictures = lengths.iter().filter(|&&length| length > 0).count();
        if pictures == 0 || pictures == lengths.len() {
            return Err(OrderError::OneKind);
        }
    }
    let groups = Groups {
        batch_size: batch_size.get(),
        world_size: world_size.get(),
    };
    Ok(groups.order(lengths, grouping, &mut |n| random_permutation(generator, n)))
}

/// How many samples are taken at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Groups {
    pub(super) batch_size: usize,
    pub(super) world_size: usize,
}

impl Groups {
    /// Samples that all processes together take in a step.
    fn megabatch(self) -> usize {
        self.batch_size.saturating_mul(self.world_size)
    }

    /// The order; `permute(n)` is asked for permutations of 0 to n.
    pub(super) fn order(
        self,
        lengths: &[i32],
        grouping: Grouping,
        permute: &mut dyn FnMut(usize) -> Vec<usize>,
    ) -> Vec<usize> {
        match grouping {
            Grouping::None => permute(lengths.len()),
            Grouping::Length => self.by_length(lengths, permute),
            Grouping::Modality => self.by_modality(lengths, permute),
        }
    }

    fn by_length(
        self,
        lengths: &[i32],
        permute: &mut dyn FnMut(usize) -> Vec<usize>,
    ) -> Vec<usize> {
        let mut order = permute(lengths.len());
        for megabatch in order.chunks_mut(self.megabatch()) {
            // Stable, as Python's: equally long ones keep their random order.
            megabatch.sort_by(|&a, &b| lengths[b].cmp(&lengths[a]));
            let dealt = self.deal(megabatch, lengths);
            megabatch.copy_from_slice(&dealt);
        }
        order
    }

    /// A megabatch as one chunk for each process, about equally long. Source:
    /// `split_to_even_chunks`.
    fn deal(self, megabatch: &[usize], lengths: &[i32]) -> Vec<usize> {
        let chunks = self.world_size;
        if !megabatch.len().is_multiple_of(chunks) {
            let chunk = |first| megabatch.iter().skip(first).step_by(chunks);
            return (0..chunks).flat_map(chunk).copied().collect();
        }
        let full = megabatch.len() / chunks;
        let mut dealt: Vec<(i64, Vec<usize>)> = vec![(0, Vec::with_capacity(full)); chunks];
        for &index in megabatch {
            // `min_by_key` finds the first of equals, as upstream's `index(min(…))`.
            let open = dealt.iter_mut().filter(|(_, chunk)| chunk.len() < full);
            if let Some((sum, chunk)) = open.min_by_key(|(sum, _)| *sum) {
                *sum += i64::from(lengths[index]);
                chunk.push(index);
            }
        }
        dealt.into_iter().flat_map(|(_, chunk)| chunk).collect()
    }

    fn by_modality(
        self,
        lengths: &[i32],
        permute: &mut dyn FnMut(usize) -> Vec<usize>,
    ) -> Vec<usize> {
        let (pictures, texts): (Vec<usize>, Vec<usize>) =
            (0..lengths.len()).partition(|&index| lengths[index] > 0);
        if pictures.is_empty() || texts.is_empty() {
            let lengths: Vec<i32> = lengths
                .iter()
                .map(|length| length.saturating_abs())
                .collect();
            return self.by_length(&lengths, permute);
        }
        let mut grouped = |kind: Vec<usize>| -> Vec<usize> {
            let own: Vec<i32> = kind.iter().map(|&i| lengths[i].saturating_abs()).collect();
            let order = self.by_length(&own, permute);
            order.into_iter().map(|place| kind[place]).collect()
        };
        let (pictures, texts) = (grouped(pictures), grouped(texts));

        // The last megabatch of each kind is set aside, full or not.
        let size = self.megabatch();
        let whole = |kind: &[usize]| (kind.len() - 1) / size * size;
        let (pictures, last_pictures) = pictures.split_at(whole(&pictures));
        let (texts, last_texts) = texts.split_at(whole(&texts));
        let megabatches: Vec<&[usize]> = pictures.chunks(size).chain(texts.chunks(size)).collect();
        let rest = [last_pictures, last_texts].concat();

        let (front, end) = match rest.len() >= size {
            true => rest.split_at(size),
            false => rest.split_at(0),
        };
        let mut order = Vec::with_capacity(lengths.len());
        order.extend_from_slice(front);
        for megabatch in permute(megabatches.len()) {
            order.extend_from_slice(megabatches[megabatch]);
        }
        order.extend_from_slice(end);
        order
    }
}

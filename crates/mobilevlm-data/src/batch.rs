//! Rows of one length. Source: upstream's `DataCollatorForSupervisedDataset`.

use crate::labels::Labelled;
use crate::sample::IGNORE;

/// Which places of a row attention sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AttentionMask {
    /// All places that are not padding.
    #[default]
    Length,
    /// Upstream's `input_ids.ne(pad_token_id)`: an `<unk>` in a text is hidden too, since its id is
    /// that of padding. With a picture before it, another place than its own is hidden.
    UpstreamNotPad,
}

/// A batch before pictures are put in; all fields `[rows, length]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// Token ids, padded at the end.
    pub input_ids: Vec<Vec<i32>>,
    /// Labels, padded with [`IGNORE`].
    pub labels: Vec<Vec<i32>>,
    /// Whether attention sees a place.
    pub attention_mask: Vec<Vec<bool>>,
}

impl Batch {
    /// The number of labels that reach the loss.
    pub fn supervised(&self) -> usize {
        let rows = self.labels.iter();
        rows.map(|labels| crate::labels::supervised(labels)).sum()
    }
}

/// Puts samples into one batch: cut to `model_max_length` places and padded with `pad` to the
/// longest.
pub fn collate(
    samples: &[Labelled],
    model_max_length: usize,
    pad: i32,
    mask: AttentionMask,
) -> Batch {
    let cut = |sample: &Labelled| sample.ids.len().min(model_max_length);
    let length = samples.iter().map(cut).max().unwrap_or(0);
    let mut batch = Batch::default();
    for sample in samples {
        let own = cut(sample);
        let padded = |values: &[i32], with: i32| {
            let mut values = values[..own].to_vec();
            values.resize(length, with);
            values
        };
        let ids = padded(&sample.ids, pad);
        let seen = |(place, &id): (usize, &i32)| match mask {
            AttentionMask::Length => place < own,
            AttentionMask::UpstreamNotPad => id != pad,
        };
        batch
            .attention_mask
            .push(ids.iter().enumerate().map(seen).collect());
        batch.input_ids.push(ids);
        batch.labels.push(padded(&sample.labels, IGNORE));
    }
    batch
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(ids: &[i32]) -> Labelled {
        Labelled {
            ids: ids.to_vec(),
            labels: ids.to_vec(),
            mismatch: None,
        }
    }

    #[test]
    fn rows_are_cut_and_padded() {
        let samples = [sample(&[1, 5, 0, 7, 8]), sample(&[1, 6])];
        let batch = collate(&samples, 4, 0, AttentionMask::Length);
        assert_eq!(batch.input_ids, [[1, 5, 0, 7], [1, 6, 0, 0]]);
        assert_eq!(batch.labels, [[1, 5, 0, 7], [1, 6, IGNORE, IGNORE]]);
        assert_eq!(
            batch.attention_mask,
            [[true; 4], [true, true, false, false]]
        );
        assert_eq!(batch.supervised(), 4);
        let upstream = collate(&samples, 4, 0, AttentionMask::UpstreamNotPad);
        assert_eq!(upstream.attention_mask[0], [true, true, false, true]);
    }
}

//! Contrastive losses. Row i of the logits `[n, n]` is picture i, column j caption j.

use burn::tensor::{Int, Tensor, activation};

use crate::ops;

/// Added to a squared length, so that a row of zeros stays one.
const TINY: f64 = 1e-12;

/// Rows scaled to length 1: `[n, width]`.
pub(super) fn unit(x: Tensor<2>) -> Tensor<2> {
    let length = (x.clone().square().sum_dim(1) + TINY).sqrt();
    x / length
}

/// Each picture among all captions and each caption among all pictures, the mean of both; summed
/// over the n pairs, `[1]`. Source: CLIP (Radford et al. 2021), figure 3.
pub(super) fn softmax(logits: Tensor<2>) -> Tensor<1> {
    let pairs = logits.dims()[0] as i64;
    let own = Tensor::<1, Int>::arange(0..pairs, &logits.device());
    let of_pictures = ops::cross_entropy(logits.clone(), own.clone());
    let of_captions = ops::cross_entropy(logits.transpose(), own);
    (of_pictures + of_captions) / 2.0
}

/// Whether picture and caption belong together, asked for each of the n² pairs; summed over all,
/// `[1]`. Divided by n it is SigLIP's (Zhai et al. 2023), equation 1.
pub(super) fn siglip(logits: Tensor<2>) -> Tensor<1> {
    let [pairs, _] = logits.dims();
    let own = Tensor::<2>::eye(pairs, &logits.device());
    let sign = own * 2.0 - 1.0;
    activation::log_sigmoid(logits * sign).sum().neg()
}

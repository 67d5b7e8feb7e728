//! Normalisation of rows.

use crate::Compute;
use crate::parallel::for_each_piece;

/// Elements that one task takes at least.
const PIECE: usize = 16 * 1024;

/// Each row divided by the root of its mean square plus `eps`, times `weight`.
///
/// `x`, `out`: rows of `weight.len()`. out = x / √(mean(x²) + eps) · weight. Upstream:
/// `LlamaRMSNorm`.
///
/// # Panics
/// If `x` is not whole rows, or `out` has another length.
pub fn rms_norm(compute: &Compute, x: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) {
    rows(compute, x, weight.len(), out, |x, out| {
        compute.kernels().rms_norm(x, weight, eps, out)
    });
}

/// Each row with mean 0 and variance 1, times `weight`, plus `bias`.
///
/// `x`, `out`: rows of `weight.len()`. out = (x − mean) / √(variance + eps) · weight + bias, the
/// variance divided by the number of elements. Upstream: `nn.LayerNorm`.
///
/// # Panics
/// If `x` is not whole rows, or `out` or `bias` has another length.
pub fn layer_norm(
    compute: &Compute,
    x: &[f32],
    weight: &[f32],
    bias: &[f32],
    eps: f32,
    out: &mut [f32],
) {
    assert_eq!(
        bias.len(),
        weight.len(),
        "bias has {} elements, weight {}",
        bias.len(),
        weight.len()
    );
    rows(compute, x, weight.len(), out, |x, out| {
        compute.kernels().layer_norm(x, weight, bias, eps, out)
    });
}

fn rows(
    compute: &Compute,
    x: &[f32],
    width: usize,
    out: &mut [f32],
    job: impl Fn(&[f32], &mut [f32]) + Sync,
) {
    assert_eq!(
        x.len(),
        out.len(),
        "x has {} elements, the output {}",
        x.len(),
        out.len()
    );
    if x.is_empty() {
        return;
    }
    assert!(
        width > 0 && x.len().is_multiple_of(width),
        "{} elements are not rows of {width}",
        x.len()
    );
    let piece = width * PIECE.div_ceil(width);
    for_each_piece(compute.pool(), out, piece, |number, out| {
        job(&x[number * piece..][..out.len()], out)
    });
}

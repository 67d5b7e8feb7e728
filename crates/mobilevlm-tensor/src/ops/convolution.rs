//! Depthwise convolution and adaptive mean over a grid of channels-last vectors.

use crate::Compute;
use crate::parallel::for_each_piece;
use crate::scratch::with_scratch;

/// Depthwise 3×3 convolution with a border of one zero.
///
/// `x`: `[h, w, ch]`; `weight`: `[ch, 3, 3]`; `bias`: `[ch]`; `out`: `[oh, ow, ch]` with
/// `oh = (h − 1) / stride + 1`, `ow` likewise. Upstream:
/// `nn.Conv2d(ch, ch, 3, stride, padding=1, groups=ch)`.
///
/// # Panics
/// If a length does not fit, or `stride` is 0.
#[allow(
    clippy::too_many_arguments,
    reason = "the operands of a convolution, each named"
)]
pub fn depthwise3x3(
    compute: &Compute,
    x: &[f32],
    h: usize,
    w: usize,
    weight: &[f32],
    bias: Option<&[f32]>,
    stride: usize,
    out: &mut [f32],
) {
    assert!(stride > 0, "a convolution needs a stride");
    assert!(
        weight.len().is_multiple_of(9),
        "{} weights are not [ch, 3, 3]",
        weight.len()
    );
    let ch = weight.len() / 9;
    assert_eq!(
        x.len(),
        h * w * ch,
        "x has {} elements, expected [{h}, {w}, {ch}]",
        x.len()
    );
    if x.is_empty() {
        assert!(out.is_empty(), "nothing in, {} elements out", out.len());
        return;
    }
    let (oh, ow) = ((h - 1) / stride + 1, (w - 1) / stride + 1);
    assert_eq!(
        out.len(),
        oh * ow * ch,
        "the output has {} elements, expected [{oh}, {ow}, {ch}]",
        out.len()
    );
    if let Some(bias) = bias {
        assert_eq!(
            bias.len(),
            ch,
            "bias has {} elements, expected {ch}",
            bias.len()
        );
    }
    with_scratch(9 * ch, |taps| {
        // `[3, 3, ch]`, so that the channels lie side by side as they do in `x`.
        for (channel, weights) in weight.chunks_exact(9).enumerate() {
            for (tap, &weight) in weights.iter().enumerate() {
                taps[tap * ch + channel] = weight;
            }
        }
        let taps = &*taps;
        for_each_piece(compute.pool(), out, ow * ch, |oy, row| {
            for (ox, sum) in row.chunks_exact_mut(ch).enumerate() {
                match bias {
                    Some(bias) => sum.copy_from_slice(bias),
                    None => sum.fill(0.0),
                }
                for (tap, weights) in taps.chunks_exact(ch).enumerate() {
                    let (y, x_at) = (oy * stride + tap / 3, ox * stride + tap % 3);
                    // The border is at 0 and beyond h and w.
                    if (1..=h).contains(&y) && (1..=w).contains(&x_at) {
                        let from = ((y - 1) * w + x_at - 1) * ch;
                        compute
                            .kernels()
                            .add_product(sum, &x[from..][..ch], weights);
                    }
                }
            }
        });
    });
}

/// The mean over windows that divide the grid as evenly as possible.
///
/// `x`: `[h, w, ch]`; `out`: `[out_h, out_w, ch]`. Window i of n over a side of s covers
/// `i · s / n` (rounded down) to `(i + 1) · s / n` (rounded up). Upstream: `nn.AdaptiveAvgPool2d`.
///
/// # Panics
/// If a length does not fit, or there is an output and no input.
pub fn adaptive_mean(
    compute: &Compute,
    x: &[f32],
    h: usize,
    w: usize,
    out_h: usize,
    out_w: usize,
    out: &mut [f32],
) {
    if out.is_empty() {
        return;
    }
    assert!(
        out_h * out_w > 0 && out.len().is_multiple_of(out_h * out_w),
        "the output has {} elements, expected [{out_h}, {out_w}, ch]",
        out.len()
    );
    let ch = out.len() / (out_h * out_w);
    assert!(
        h * w > 0 && x.len() == h * w * ch,
        "x has {} elements, expected [{h}, {w}, {ch}]",
        x.len()
    );
    let window = |i: usize, side: usize, n: usize| i * side / n..((i + 1) * side).div_ceil(n);
    for_each_piece(compute.pool(), out, out_w * ch, |oy, row| {
        for (ox, sum) in row.chunks_exact_mut(ch).enumerate() {
            sum.fill(0.0);
            let (ys, xs) = (window(oy, h, out_h), window(ox, w, out_w));
            let count = (ys.len() * xs.len()) as f32;
            for y in ys {
                for x_at in xs.clone() {
                    compute.kernels().add(sum, &x[(y * w + x_at) * ch..][..ch]);
                }
            }
            for sum in sum {
                *sum /= count;
            }
        }
    });
}

//! Brings a component to the picture's full size, row by row.
//!
//! Upstream: `jdsample.c`. Where chroma has half the resolution a triangle filter is used (three
//! parts of the nearer sample, one of the farther); other ratios repeat samples.

use super::frame::{Component, Frame};

/// Row `y` of the picture from one component: `out` `[width]`.
pub(super) fn row(frame: &Frame, component: &Component, y: usize, out: &mut [u8]) {
    let across = frame.max_h / component.h;
    let down = frame.max_v / component.v;
    let nearer = component.row(y / down);
    match (across, down) {
        (1, 1) => out.copy_from_slice(nearer),
        (1, 2) => {
            let farther = farther(component, y);
            // Rounding alternates between the two rows of a pair.
            let bias = 1 + (y % 2) as u32;
            for (out, (&a, &b)) in out.iter_mut().zip(nearer.iter().zip(farther)) {
                *out = ((u32::from(a) * 3 + u32::from(b) + bias) >> 2) as u8;
            }
        }
        // Narrower components than this are repeated, as in libjpeg.
        (2, 1) if component.width > 2 => {
            triangle(component.width, |x| u32::from(nearer[x]), 1, out);
        }
        (2, 2) if component.width > 2 => {
            let farther = farther(component, y);
            let column = |x: usize| u32::from(nearer[x]) * 3 + u32::from(farther[x]);
            triangle(component.width, column, 4, out);
        }
        _ => {
            for (out, &sample) in out.chunks_mut(across).zip(nearer) {
                out.fill(sample);
            }
        }
    }
}

/// The row of a component of half the height on the other side of row `y` of the picture.
fn farther(component: &Component, y: usize) -> &[u8] {
    let nearer = y / 2;
    component.row(if y.is_multiple_of(2) {
        nearer.saturating_sub(1)
    } else {
        nearer + 1
    })
}

/// Doubles a row of `width` samples that are `unit` times too large.
#[inline]
fn triangle(width: usize, sample: impl Fn(usize) -> u32, unit: u32, out: &mut [u8]) {
    // Of a pair, the left sample rounds one half down and the right one up (`unit` 1: 1 and 2
    // quarters; `unit` 4: 8 and 7 sixteenths), so that errors do not add up.
    let (bias_left, bias_right) = if unit == 1 { (1, 2) } else { (8, 7) };
    let total = unit * 4;
    let last = width - 1;
    for (x, pair) in out.chunks_mut(2).enumerate() {
        let here = sample(x) * 3;
        let left = sample(x.saturating_sub(1));
        let right = sample((x + 1).min(last));
        pair[0] = ((here + left + bias_left) / total) as u8;
        if let [_, out] = pair {
            *out = ((here + right + bias_right) / total) as u8;
        }
    }
}

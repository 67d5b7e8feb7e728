//! Brings a component to the picture's full size, row by row.
//!
//! Upstream: `jdsample.c`. Where chroma has half the resolution a triangle filter is used (three
//! parts of the nearer sample, one of the farther); other ratios repeat samples.

use super::frame::{Component, Frame};

/// Row `y` of the picture from one component: `out` `[width]`. `sums` is scratch: any content, at
/// least as long.
pub(super) fn row(
    frame: &Frame,
    component: &Component,
    y: usize,
    sums: &mut [u16],
    out: &mut [u8],
) {
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
            let sums = &mut sums[..component.width];
            for (sum, &a) in sums.iter_mut().zip(nearer) {
                *sum = u16::from(a);
            }
            // In quarters.
            triangle::<2>(sums, [1, 2], out);
        }
        (2, 2) if component.width > 2 => {
            let farther = farther(component, y);
            let sums = &mut sums[..component.width];
            for (sum, (&a, &b)) in sums.iter_mut().zip(nearer.iter().zip(farther)) {
                *sum = u16::from(a) * 3 + u16::from(b);
            }
            // In sixteenths: the sums are four times too large.
            triangle::<4>(sums, [8, 7], out);
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

/// Doubles a row of at least two samples and takes off the `BITS` lowest bits of the weighted sums.
///
/// Of a pair, the left sample rounds one half down and the right one up, so that errors do not add
/// up: `rounding` is added to each.
#[inline]
fn triangle<const BITS: u32>(samples: &[u16], rounding: [u16; 2], out: &mut [u8]) {
    let pair = |left: u16, here: u16, right: u16| {
        // 4 x 1020 at most.
        let here = 3 * here;
        [left + here + rounding[0], right + here + rounding[1]].map(|sum| (sum >> BITS) as u8)
    };
    let last = samples.len() - 1;
    // Where the width is odd, the last pair has one sample.
    let end = pair(samples[last - 1], samples[last], samples[last]);
    let (inner, outer) = out.split_at_mut(2 * last);
    outer.copy_from_slice(&end[..outer.len()]);
    let (pairs, _) = inner.as_chunks_mut::<2>();
    pairs[0] = pair(samples[0], samples[0], samples[1]);
    for (out, around) in pairs[1..].iter_mut().zip(samples.windows(3)) {
        *out = pair(around[0], around[1], around[2]);
    }
}

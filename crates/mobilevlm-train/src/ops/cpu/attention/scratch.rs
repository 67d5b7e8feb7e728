//! Buffers for one head, and how it is copied into them.

use super::Sizes;
use crate::ops::cpu::product::{LANES, ROWS};

/// Buffers for one head.
pub(super) struct Scratch {
    /// Transposed: `[head, key_step]`.
    pub(super) turned: Vec<f32>,
    /// `[keys, head_step]`, and for backward queries likewise.
    pub(super) keys: Vec<f32>,
    pub(super) queries: Vec<f32>,
    pub(super) d_output: Vec<f32>,
    /// `[queries, key_step]`.
    pub(super) d_scores: Vec<f32>,
    /// `[ROWS, key_step]` and `[ROWS, head_step]`.
    pub(super) scores: Vec<f32>,
    pub(super) rows: Vec<f32>,
}

impl Scratch {
    pub(super) fn new(sizes: &Sizes) -> Self {
        let (wide, narrow) = (sizes.key_step(), sizes.head_step());
        Self {
            turned: vec![0.0; sizes.head * wide],
            keys: vec![0.0; sizes.keys * narrow],
            queries: Vec::new(),
            d_output: Vec::new(),
            d_scores: Vec::new(),
            scores: vec![0.0; ROWS * wide],
            rows: vec![0.0; ROWS * narrow],
        }
    }

    pub(super) fn for_backward(sizes: &Sizes) -> Self {
        Self {
            queries: vec![0.0; sizes.queries * sizes.head_step()],
            d_output: vec![0.0; sizes.queries * sizes.head_step()],
            d_scores: vec![0.0; sizes.queries * sizes.key_step()],
            ..Self::new(sizes)
        }
    }
}

/// Copies one head of `[len, heads, head]` to rows that are `to_step` apart.
#[inline(always)]
pub(super) fn pack(from: &[f32], from_step: usize, head: usize, to: &mut [f32], to_step: usize) {
    for (to, from) in to.chunks_exact_mut(to_step).zip(from.chunks(from_step)) {
        to[..head].copy_from_slice(&from[..head]);
    }
}

/// Copies one head transposed and scaled: row d of `to` holds element d of all tokens.
#[inline(always)]
pub(super) fn pack_turned(
    from: &[f32],
    from_step: usize,
    len: usize,
    scale: f32,
    to: &mut [f32],
    to_step: usize,
) {
    for start in (0..len).step_by(LANES) {
        let count = LANES.min(len - start);
        for (d, to) in to.chunks_exact_mut(to_step).enumerate() {
            for (j, to) in to[start..start + count].iter_mut().enumerate() {
                *to = from[(start + j) * from_step + d] * scale;
            }
        }
    }
}

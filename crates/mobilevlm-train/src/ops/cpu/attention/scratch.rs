//! Buffers for one head, and how it is copied into them.

use super::Sizes;
use crate::ops::cpu::product::{LANES, ROWS};
use crate::ops::{PRODUCTS, Products};

/// Buffers for one head.
pub(super) struct Scratch {
    /// Transposed: `[head, key_step]`.
    pub(super) turned: Vec<f32>,
    /// `[keys, head_step]`, and for backward queries likewise. Where products are in bfloat16, rows are `head` long, and behind the last key are zeros up to `key_step`.
    pub(super) keys: Vec<f32>,
    /// Of products in bfloat16 alone, as keys.
    pub(super) values: Vec<f32>,
    pub(super) queries: Vec<f32>,
    pub(super) d_output: Vec<f32>,
    /// `[queries, key_step]`.
    pub(super) d_scores: Vec<f32>,
    /// `[ROWS, key_step]` and `[ROWS, head_step]`; of products in bfloat16, none and all of a result.
    pub(super) scores: Vec<f32>,
    pub(super) rows: Vec<f32>,
}

impl Scratch {
    /// For forward, as this thread multiplies.
    pub(super) fn new(sizes: &Sizes) -> Self {
        match PRODUCTS.get() {
            Products::F32 => Self::in_f32(sizes),
            Products::Bf16 => Self::rounded(sizes),
        }
    }

    pub(super) fn for_backward(sizes: &Sizes) -> Self {
        let zeros = |count| vec![0.0; count];
        match PRODUCTS.get() {
            Products::F32 => Self {
                queries: zeros(sizes.queries * sizes.head_step()),
                d_output: zeros(sizes.queries * sizes.head_step()),
                d_scores: zeros(sizes.queries * sizes.key_step()),
                ..Self::in_f32(sizes)
            },
            Products::Bf16 => Self {
                d_output: zeros(sizes.queries * sizes.head),
                ..Self::rounded(sizes)
            },
        }
    }

    fn rounded(sizes: &Sizes) -> Self {
        let (wide, head) = (sizes.key_step(), sizes.head);
        Self {
            turned: Vec::new(),
            keys: vec![0.0; wide * head],
            values: vec![0.0; wide * head],
            queries: vec![0.0; sizes.queries * head],
            d_output: Vec::new(),
            d_scores: vec![0.0; sizes.queries * wide],
            scores: Vec::new(),
            rows: vec![0.0; sizes.queries.max(wide) * head],
        }
    }

    fn in_f32(sizes: &Sizes) -> Self {
        let (wide, narrow) = (sizes.key_step(), sizes.head_step());
        Self {
            values: Vec::new(),
            turned: vec![0.0; sizes.head * wide],
            keys: vec![0.0; sizes.keys * narrow],
            queries: Vec::new(),
            d_output: Vec::new(),
            d_scores: Vec::new(),
            scores: vec![0.0; ROWS * wide],
            rows: vec![0.0; ROWS * narrow],
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

//! Functions of each element.

use crate::parallel::for_each_piece;
use crate::{Compute, Kernels};

/// Elements that one task takes: about ten microseconds of work, and a multiple of every vector,
/// so that only the last piece has a tail.
const PIECE: usize = 16 * 1024;

/// x · Φ(x) with the exact Φ(x) = (1 + erf(x / √2)) / 2, in place. Upstream: `nn.GELU()`.
pub fn gelu(compute: &Compute, x: &mut [f32]) {
    each(compute, x, Kernels::gelu);
}

/// x · sigmoid(1.702 x), in place. Upstream: `QuickGELUActivation`, CLIP's.
pub fn quick_gelu(compute: &Compute, x: &mut [f32]) {
    each(compute, x, Kernels::quick_gelu);
}

/// max(x, 0), in place.
pub fn relu(compute: &Compute, x: &mut [f32]) {
    each(compute, x, Kernels::relu);
}

/// x · min(max(x + 3, 0), 6) / 6, in place. Upstream: `nn.Hardswish()`.
pub fn hard_swish(compute: &Compute, x: &mut [f32]) {
    each(compute, x, Kernels::hard_swish);
}

/// min(max(x + 3, 0), 6) / 6, in place. Upstream: `nn.Hardsigmoid()`.
pub fn hard_sigmoid(compute: &Compute, x: &mut [f32]) {
    each(compute, x, Kernels::hard_sigmoid);
}

/// gate · sigmoid(gate) · up, in place of `gate`. Upstream: `act_fn(gate_proj(x)) * up_proj(x)`.
///
/// # Panics
/// If the two differ in length.
pub fn silu_mul(compute: &Compute, gate: &mut [f32], up: &[f32]) {
    assert_eq!(
        gate.len(),
        up.len(),
        "gate has {} elements, up {}",
        gate.len(),
        up.len()
    );
    each_pair(compute, gate, up, Kernels::silu_mul);
}

/// x + y, in place of `x`.
///
/// # Panics
/// If the two differ in length.
pub fn add(compute: &Compute, x: &mut [f32], y: &[f32]) {
    assert_eq!(
        x.len(),
        y.len(),
        "x has {} elements, y {}",
        x.len(),
        y.len()
    );
    each_pair(compute, x, y, Kernels::add);
}

fn each(compute: &Compute, x: &mut [f32], function: fn(&Kernels, &mut [f32])) {
    for_each_piece(compute.pool(), x, PIECE, |_, x| {
        function(compute.kernels(), x)
    });
}

fn each_pair(
    compute: &Compute,
    x: &mut [f32],
    y: &[f32],
    function: fn(&Kernels, &mut [f32], &[f32]),
) {
    for_each_piece(compute.pool(), x, PIECE, |piece, x| {
        function(compute.kernels(), x, &y[piece * PIECE..][..x.len()]);
    });
}

//! Rotary position embedding.

use crate::Compute;
use crate::parallel::for_each_piece;

/// Cosines and sines of the rotary embedding for a range of positions.
#[derive(Clone, Debug)]
pub struct Rotary {
    half: usize,
    /// `[positions][2][half]`: the cosines of a position, then its sines.
    table: Vec<f32>,
}

impl Rotary {
    /// Angles for heads of `head_dim` numbers at positions `0..positions`: pair i turns by
    /// position · θ^(−2i / head_dim).
    ///
    /// The frequencies and the angles are rounded to `f32` as upstream's `LlamaRotaryEmbedding`
    /// rounds them; at high positions that rounding is the largest error there is.
    ///
    /// # Panics
    /// If `head_dim` is odd.
    pub fn new(head_dim: usize, theta: f32, positions: usize) -> Rotary {
        assert!(
            head_dim.is_multiple_of(2),
            "pairs need an even head size, found {head_dim}"
        );
        let half = head_dim / 2;
        let frequencies: Vec<f32> = (0..half)
            .map(|i| {
                let exponent = (2 * i) as f32 / head_dim as f32;
                1.0 / f64::from(theta).powf(f64::from(exponent)) as f32
            })
            .collect();
        let mut table = Vec::with_capacity(positions * head_dim);
        for position in 0..positions {
            let angle = |frequency: &f32| f64::from(position as f32 * frequency);
            table.extend(
                frequencies
                    .iter()
                    .map(|frequency| angle(frequency).cos() as f32),
            );
            table.extend(
                frequencies
                    .iter()
                    .map(|frequency| angle(frequency).sin() as f32),
            );
        }
        Rotary { half, table }
    }

    /// Number of positions that the table has.
    pub fn positions(&self) -> usize {
        self.table
            .len()
            .checked_div(2 * self.half)
            .unwrap_or(usize::MAX)
    }
}

/// Turns each head of each row by the angles of the row's position, in place.
///
/// `x`: `[m, heads · head_dim]`; `positions`: `[m]`. The pairs of a head are its first half with
/// its second half: (a, b) becomes (a · cos − b · sin, b · cos + a · sin). Upstream:
/// `apply_rotary_pos_emb`.
///
/// # Panics
/// If `x` is not `positions.len()` rows of whole heads, the head size differs from the table's, or
/// a position is not in the table.
pub fn rotary(
    compute: &Compute,
    x: &mut [f32],
    head_dim: usize,
    rotary: &Rotary,
    positions: &[usize],
) {
    assert_eq!(
        head_dim,
        2 * rotary.half,
        "heads of {head_dim}, angles for heads of {}",
        2 * rotary.half
    );
    if x.is_empty() {
        return;
    }
    let m = positions.len();
    assert!(
        m > 0 && x.len().is_multiple_of(m * head_dim),
        "{} elements are not {m} rows of heads of {head_dim}",
        x.len()
    );
    if let Some(position) = positions
        .iter()
        .find(|&&position| position >= rotary.positions())
    {
        panic!(
            "position {position} of a rotary table of {} positions",
            rotary.positions()
        );
    }
    let width = x.len() / m;
    let rows_per_task = (16 * 1024usize).div_ceil(width);
    for_each_piece(compute.pool(), x, rows_per_task * width, |piece, rows| {
        for (row, &position) in rows
            .chunks_exact_mut(width)
            .zip(&positions[piece * rows_per_task..])
        {
            let angles = &rotary.table[position * head_dim..][..head_dim];
            let (cos, sin) = angles.split_at(rotary.half);
            compute.kernels().rotary(row, cos, sin);
        }
    });
}

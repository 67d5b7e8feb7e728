//! Products of quantised rows with panels, in integers.
//!
//! A lane holds one weight row, so nothing is ever summed across lanes. Of each sub-block of 16 or
//! 32 numbers the products are summed exactly, as whole numbers; then
//! `y += sum · (scale of w · scale of x) − minimum of w · (sum of x)`, sub-block after sub-block,
//! from what `y` begins with. That order is the same in [`few`], which takes the levels apart in
//! registers, and in [`many`], which first lays them out for many rows.

use super::quantise::{BLOCK, FIELDS, Levels, Tiles};
use super::weights::{Weights, bits, has_offset, quads};
use crate::kernels::dot::{Dot, opaque};
use crate::panel::{GROUP, QUAD, ROWS};

/// Vectors of a quad in the narrowest table.
const MOST_VECTORS: usize = 4;

/// `y[i, j] = x[i] · w[j] + bias[j]` for all rows `i` and weight rows `j`.
pub(crate) struct Panels<'a> {
    /// Rows of `x`.
    pub(crate) m: usize,
    /// Whole panels of `n` weight rows.
    pub(crate) w: &'a [u8],
    /// Weight rows.
    pub(crate) n: usize,
    /// Numbers in a row.
    pub(crate) k: usize,
    /// `[n]`.
    pub(crate) bias: Option<&'a [f32]>,
    /// Whether the products are added to what `y` holds.
    pub(crate) accumulate: bool,
    /// Output of row 0 of `x` with the first weight row.
    pub(crate) y: *mut f32,
    /// From one row of `y` to the next, in numbers.
    pub(crate) stride: usize,
}

impl Panels<'_> {
    /// Whether the lengths fit each other.
    pub(crate) fn check<W: Weights>(&self) {
        assert!(self.k.is_multiple_of(W::LAYOUT.numbers));
        assert!(self.w.len() == self.n.div_ceil(ROWS) * self.panel::<W>());
        assert!(self.bias.is_none_or(|bias| bias.len() == self.n));
    }

    /// Bytes of a panel.
    pub(crate) fn panel<W: Weights>(&self) -> usize {
        self.k / W::LAYOUT.numbers * W::LAYOUT.unit()
    }

    /// What the outputs of row `i` with the sixteen weight rows from `j` begin with, `v` being the
    /// vector of them; with `partial`, what was written to them before.
    ///
    /// # Safety
    /// `i < m`, `j < n`, and `y` is as the kernels ask.
    #[inline(always)]
    pub(crate) unsafe fn begin<S: Dot>(
        &self,
        s: S,
        i: usize,
        j: usize,
        v: usize,
        partial: bool,
    ) -> S::Vector {
        let (at, columns) = (j + v * S::LANES, self.n - j);
        let y = self.y.wrapping_add(i * self.stride + at);
        if columns < ROWS {
            let mut out = [0.0; ROWS];
            let here = S::LANES.min(columns.saturating_sub(v * S::LANES));
            if partial || self.accumulate {
                // SAFETY: these columns exist.
                unsafe { std::ptr::copy_nonoverlapping(y, out.as_mut_ptr(), here) };
            }
            if let (Some(bias), false) = (self.bias, partial) {
                for c in 0..here {
                    out[c] += bias[at + c];
                }
            }
            return s.read(&out);
        }
        let mut out = s.splat(0.0);
        if partial || self.accumulate {
            // SAFETY: sixteen columns exist.
            out = unsafe { s.load(y) };
        }
        if let (Some(bias), false) = (self.bias, partial) {
            // SAFETY: as long as `n`, as was checked.
            out = s.add(out, unsafe { s.load(bias.as_ptr().add(at)) });
        }
        out
    }

    /// Writes the vector `v` of the outputs of row `i` with the sixteen weight rows from `j`.
    ///
    /// # Safety
    /// As [`begin`](Panels::begin).
    #[inline(always)]
    pub(crate) unsafe fn end<S: Dot>(&self, s: S, i: usize, j: usize, v: usize, out: S::Vector) {
        let columns = self.n - j;
        let y = self.y.wrapping_add(i * self.stride + j + v * S::LANES);
        if columns < ROWS {
            let mut numbers = [0.0; ROWS];
            s.write(out, &mut numbers);
            let here = S::LANES.min(columns.saturating_sub(v * S::LANES));
            // SAFETY: these columns exist.
            unsafe { std::ptr::copy_nonoverlapping(numbers.as_ptr(), y, here) };
            return;
        }
        // SAFETY: sixteen columns exist.
        unsafe { s.store(out, y) };
    }
}

/// Computes `a`, up to `R` rows at once, with weights read once from where they are stored.
///
/// # Safety
/// `a.y` is writable, and nobody else's, at `i · stride + j` for `i < m`, `j < n`.
#[inline(always)]
pub(crate) unsafe fn few<S: Dot, W: Weights, const R: usize>(s: S, a: &Panels, x: Levels) {
    a.check::<W>();
    let (m, groups) = (a.m, a.k / GROUP);
    assert!(x.levels.len() >= m * a.k && x.scales.len() >= m * groups);
    assert!(x.sums32.len() >= m * groups && x.sums16.len() >= 2 * m * groups);
    assert!(x.totals16.len() >= 2 * m * groups);
    let height = |i: usize| match m - i {
        rows if rows >= R => R,
        2.. if R > 2 => 2,
        _ => 1,
    };
    let next = |&i: &usize| Some(i + height(i)).filter(|&i| i < m);
    let tiles = std::iter::successors((m > 0).then_some(0), next).count();
    for (index, panel) in a.w.chunks_exact(a.panel::<W>().max(1)).enumerate() {
        let (j, mut i) = (index * ROWS, 0);
        for tile in 0..tiles {
            let (height, next) = (height(i), (panel.len() + 64 * tile, 64 * tiles));
            // SAFETY: of all: their rows and the panel exist; `y` by the caller's promise.
            unsafe {
                match (height, tiles) {
                    (1, 1) => few_tile::<S, W, 1, true>(s, a, x, i, j, panel, next),
                    (2, 1) => few_tile::<S, W, 2, true>(s, a, x, i, j, panel, next),
                    (_, 1) => few_tile::<S, W, R, true>(s, a, x, i, j, panel, next),
                    (1, _) => few_tile::<S, W, 1, false>(s, a, x, i, j, panel, next),
                    (2, _) => few_tile::<S, W, 2, false>(s, a, x, i, j, panel, next),
                    _ => few_tile::<S, W, R, false>(s, a, x, i, j, panel, next),
                }
            }
            i += height;
        }
    }
}

/// Rows `i..i + R` with one panel.
///
/// Alone, a tile asks early for what lies a little ahead. Of several tiles with the same panel each
/// asks for some lines of the next one, `next` being the first of them and the step to the others,
/// in bytes: so the first tile does not wait for what the memory had time to bring.
///
/// # Safety
/// The rows exist, `panel` is that of weight rows `j..j + 16`, and `few`'s promise about `y`.
#[inline(always)]
unsafe fn few_tile<S: Dot, W: Weights, const R: usize, const ALONE: bool>(
    s: S,
    a: &Panels,
    x: Levels,
    i: usize,
    j: usize,
    panel: &[u8],
    next: (usize, usize),
) {
    let layout = W::LAYOUT;
    let vectors = ROWS / S::LANES;
    let halves = GROUP / W::SUB;
    let mut out = [[s.splat(0.0); MOST_VECTORS]; R];
    for r in 0..R {
        for v in 0..vectors {
            // SAFETY: row and panel exist.
            out[r][v] = unsafe { a.begin(s, i + r, j, v, false) };
        }
    }
    let units = a.k / layout.numbers;
    let groups = layout.numbers / GROUP;
    for unit_index in 0..units {
        // SAFETY: the panel has so many units.
        let unit = unsafe { panel.as_ptr().add(unit_index * layout.unit()) };
        if !ALONE {
            for line in (0..layout.unit()).step_by(next.1) {
                s.prefetch(unit.wrapping_add(next.0 + line));
            }
        }
        for g in 0..groups {
            let group = unit_index * groups + g;
            // SAFETY: inside the unit.
            let levels = unsafe { unit.add(layout.header() + g * layout.group()) };
            if ALONE {
                let share = layout.unit() / groups;
                for line in 0..share.div_ceil(64) {
                    s.prefetch(unit.wrapping_add(AHEAD + g * share + line * 64));
                }
            }
            for v in 0..vectors {
                let row = v * S::LANES;
                let mut sums = [[s.ints(0); 2]; R];
                if has_offset::<S, W>() {
                    for r in 0..R {
                        let at = 2 * ((i + r) * (a.k / GROUP) + group);
                        // SAFETY: row and group exist.
                        let totals = unsafe {
                            let totals = x.totals16.as_ptr().add(at).cast::<i32>();
                            [*totals, *totals.add(1)]
                        };
                        for t in 0..halves {
                            let total = match halves {
                                1 => totals[0] + totals[1],
                                _ => totals[t],
                            };
                            sums[r][t] = s.ints_left(s.ints(total), W::OFFSET);
                        }
                    }
                }
                let mut parts = [[s.begin(); 2]; R];
                for q in 0..4 {
                    // SAFETY: the group is readable, as is the part of each row of `x` below.
                    let w = unsafe { quads::<S, W>(s, levels.add(4 * row), q) };
                    for h in 0..2 {
                        let t = h * (halves - 1);
                        for r in 0..R {
                            let at = (i + r) * a.k + group * GROUP + 16 * h + 4 * q;
                            // SAFETY: as above.
                            let x = unsafe { s.four(x.levels.as_ptr().add(at)) };
                            parts[r][t] = s.dot(parts[r][t], w[h], x, bits::<W>());
                        }
                    }
                    let dots = (q + 1) * 2 / halves;
                    if dots.is_multiple_of(S::chain(bits::<W>())) || q == 3 {
                        for r in 0..R {
                            for t in 0..halves {
                                sums[r][t] = s.flush(sums[r][t], parts[r][t], bits::<W>());
                                parts[r][t] = s.begin();
                            }
                        }
                    }
                }
                for t in 0..halves {
                    // SAFETY: the unit's header is readable.
                    let [scale, minimum] = unsafe { W::scales(s, unit, g * halves + t, row) };
                    for r in 0..R {
                        let at = (i + r) * (a.k / GROUP) + group;
                        // SAFETY: row and group exist.
                        let x = unsafe {
                            let sum = match W::SUB {
                                32 => *x.sums32.as_ptr().add(at),
                                _ => *x.sums16.as_ptr().add(2 * at + t),
                            };
                            [*x.scales.as_ptr().add(at), sum]
                        };
                        out[r][v] = scaled::<S, W>(s, out[r][v], sums[r][t], [scale, minimum], x);
                    }
                }
            }
        }
    }
    for r in 0..R {
        for v in 0..vectors {
            // SAFETY: row and panel exist.
            unsafe { a.end(s, i + r, j, v, out[r][v]) };
        }
    }
}

/// How far ahead panels are asked for: far enough to be there in time, near enough to be in this
/// task's panels.
const AHEAD: usize = 3072;

/// Adds a sub-block to an output.
#[inline(always)]
pub(crate) fn scaled<S: Dot, W: Weights>(
    s: S,
    out: S::Vector,
    sum: S::Ints,
    [scale, minimum]: [S::Vector; 2],
    x: [f32; 2],
) -> S::Vector {
    let x = [s.splat(x[0]), s.splat(x[1])];
    scaled_lanes::<S, W>(s, out, sum, [scale, minimum], x)
}

/// As [`scaled`], with what belongs to `x` in lanes: the one place where rounding is decided.
#[inline(always)]
pub(crate) fn scaled_lanes<S: Dot, W: Weights>(
    s: S,
    out: S::Vector,
    sum: S::Ints,
    [scale, minimum]: [S::Vector; 2],
    [x_scale, x_sum]: [S::Vector; 2],
) -> S::Vector {
    let scale = s.mul(scale, x_scale);
    let out = s.mul_add(s.to_f32(sum), scale, out);
    if W::LAYOUT.minimum {
        s.mul_add(minimum, x_sum, out)
    } else {
        out
    }
}

/// Panels that [`many`] lays out at once, at most.
const MOST_PANELS: usize = 2;

/// Numbers of scratch that [`many`] needs: levels, scales and minima of a block.
pub(crate) const STRIP_NUMBERS: usize = MOST_PANELS * ROWS * (BLOCK / 4 + 2 * BLOCK / 16);

/// Computes the rows of `tiles` of `a`, a tile being `R` rows and `P` panels. `strip` is scratch of
/// [`STRIP_NUMBERS`].
///
/// # Safety
/// As [`few`], of the rows of these tiles.
#[inline(always)]
pub(crate) unsafe fn many<S: Dot, W: Weights, const R: usize, const P: usize>(
    s: S,
    a: &Panels,
    x: Tiles,
    tiles: std::ops::Range<usize>,
    strip: &mut [f32],
) {
    a.check::<W>();
    assert!(P <= MOST_PANELS && P * ROWS / S::LANES <= MOST_VECTORS);
    assert!(strip.len() >= STRIP_NUMBERS);
    assert!(tiles.end <= x.tiles && x.tiles == a.m.div_ceil(R));
    assert!(x.levels.len() >= x.tiles * R * a.k);
    assert!(x.scales.len() >= x.tiles * R * FIELDS * (a.k / GROUP));
    let (levels, scales) = strip.split_at_mut(MOST_PANELS * ROWS * BLOCK / 4);
    let panel = a.panel::<W>();
    let panels = a.n.div_ceil(ROWS);
    for first in (0..a.k).step_by(BLOCK) {
        let length = BLOCK.min(a.k - first);
        for p in (0..panels).step_by(P) {
            let here = P.min(panels - p);
            for index in 0..P {
                // A missing panel is replaced by the last one, and its outputs dropped.
                let from = &a.w[(p + index.min(here - 1)) * panel..][..panel];
                // SAFETY: the block lies in the panel, and the scratch has room for `P` of them.
                unsafe { lay_out::<S, W, P>(s, from, first, length, index, levels, scales) };
            }
            let block = Block {
                levels: levels.as_ptr().cast(),
                scales: scales.as_ptr(),
                first,
                length,
                j: p * ROWS,
                panels: here,
            };
            for tile in tiles.clone() {
                // SAFETY: tile and block exist in `x`; `y` by the caller's promise.
                unsafe { many_tile::<S, W, R, P>(s, a, x, &block, tile) };
            }
        }
    }
}

/// Weights as [`lay_out`] left them: levels `[groups][8 quads][P][64]`, and scales
/// `[groups][sub-blocks][scale, minimum][P][16]`.
struct Block {
    levels: *const u8,
    scales: *const f32,
    /// The first number of each row.
    first: usize,
    /// Numbers of each row.
    length: usize,
    /// The first weight row.
    j: usize,
    /// Panels that exist.
    panels: usize,
}

/// Takes the levels and scales of numbers `first..first + length` of a panel apart.
///
/// # Safety
/// The numbers exist; `levels` and `scales` have room for a block of `P` panels; `index < P`.
#[inline(always)]
pub(crate) unsafe fn lay_out<S: Dot, W: Weights, const P: usize>(
    s: S,
    panel: &[u8],
    first: usize,
    length: usize,
    index: usize,
    levels: &mut [f32],
    scales: &mut [f32],
) {
    let layout = W::LAYOUT;
    let halves = GROUP / W::SUB;
    let (levels, scales) = (levels.as_mut_ptr().cast::<u8>(), scales.as_mut_ptr());
    for group in 0..length / GROUP {
        let number = first + group * GROUP;
        let g = number % layout.numbers / GROUP;
        // SAFETY: of all pointers below: inside the panel, and inside the block's room.
        unsafe {
            let unit = panel.as_ptr().add(number / layout.numbers * layout.unit());
            let from = unit.add(layout.header() + g * layout.group());
            for row in (0..ROWS).step_by(S::LANES) {
                for q in 0..4 {
                    let w = quads::<S, W>(s, from.add(4 * row), q);
                    for h in 0..2 {
                        let quad = group * 8 + 4 * h + q;
                        let to = levels.add((quad * P + index) * QUAD + 4 * row);
                        s.store_bytes(w[h], to);
                    }
                }
                for t in 0..halves {
                    let both = W::scales(s, unit, g * halves + t, row);
                    for which in 0..2 {
                        let at = ((group * halves + t) * 2 + which) * P + index;
                        s.store(both[which], scales.add(at * ROWS + row));
                    }
                }
            }
        }
    }
}

/// The rows of a tile with the panels of a block.
///
/// # Safety
/// The tile exists in `x`, the block is as it says, and `many`'s promise about `y`.
#[inline(always)]
unsafe fn many_tile<S: Dot, W: Weights, const R: usize, const P: usize>(
    s: S,
    a: &Panels,
    x: Tiles,
    block: &Block,
    tile: usize,
) {
    let vectors = P * ROWS / S::LANES;
    let halves = GROUP / W::SUB;
    let per_panel = ROWS / S::LANES;
    let rows = R.min(a.m - tile * R);
    let mut out = [[s.splat(0.0); MOST_VECTORS]; R];
    for r in 0..rows {
        for p in 0..block.panels {
            for v in 0..per_panel {
                let (i, j) = (tile * R + r, block.j + p * ROWS);
                // SAFETY: row and panel exist.
                let begin = unsafe { a.begin(s, i, j, v, block.first > 0) };
                out[r][p * per_panel + v] = begin;
            }
        }
    }
    // SAFETY: the tile's part of the block, and its scales from the block's first group on.
    let (x_levels, x_scales) = unsafe {
        let before = (x.tiles * block.first + tile * block.length) * R;
        let groups = tile * (a.k / GROUP) + block.first / GROUP;
        let scales = x.scales.as_ptr().add(groups * FIELDS * R);
        (x.levels.as_ptr().add(before), scales)
    };
    for group in 0..block.length / GROUP {
        for t in 0..halves {
            let mut sums = [[s.ints(0); MOST_VECTORS]; R];
            if has_offset::<S, W>() {
                let which = if W::SUB == 32 { 4 } else { 5 + t };
                for r in 0..R {
                    // SAFETY: inside the tile's scales.
                    let total =
                        unsafe { *x_scales.add((group * FIELDS + which) * R + r).cast::<i32>() };
                    let total = s.ints_left(s.ints(total), W::OFFSET);
                    for v in 0..vectors {
                        sums[r][v] = total;
                    }
                }
            }
            let quads = 8 / halves;
            let chain = S::chain(bits::<W>()).min(quads);
            for from in (0..quads).step_by(chain) {
                let mut parts = [[s.begin(); MOST_VECTORS]; R];
                // A loop whose length the compiler does not know stays one. Unrolled, it moves
                // loads so far ahead that registers spill where there are only sixteen.
                let end = from + chain;
                for q in from..if S::LANES < 16 { opaque(end) } else { end } {
                    let quad = group * 8 + t * quads + q;
                    let mut w = [s.zero_bytes(); MOST_VECTORS];
                    for v in 0..vectors {
                        let at = quad * P * QUAD + v * 4 * S::LANES;
                        // SAFETY: inside the block.
                        w[v] = unsafe { s.bytes(block.levels.add(at)) };
                    }
                    for r in 0..R {
                        // SAFETY: inside the tile's part.
                        let x = unsafe { s.four(x_levels.add((quad * R + r) * 4)) };
                        for v in 0..vectors {
                            parts[r][v] = s.dot(parts[r][v], w[v], x, bits::<W>());
                        }
                    }
                }
                for r in 0..R {
                    for v in 0..vectors {
                        sums[r][v] = s.flush(sums[r][v], parts[r][v], bits::<W>());
                    }
                }
            }
            for v in 0..vectors {
                let at = (group * halves + t) * 2 * P * ROWS + v * S::LANES;
                // SAFETY: inside the block.
                let both = unsafe {
                    let scales = block.scales.add(at);
                    [s.load(scales), s.load(scales.add(P * ROWS))]
                };
                for r in 0..R {
                    let which = if W::SUB == 32 { 1 } else { 2 + t };
                    // SAFETY: inside the tile's scales.
                    let x = unsafe {
                        let scales = x_scales.add(group * FIELDS * R + r);
                        [*scales, *scales.add(which * R)]
                    };
                    out[r][v] = scaled::<S, W>(s, out[r][v], sums[r][v], both, x);
                }
            }
        }
    }
    for r in 0..rows {
        for p in 0..block.panels {
            for v in 0..per_panel {
                let (i, j) = (tile * R + r, block.j + p * ROWS);
                // SAFETY: row and panel exist.
                unsafe { a.end(s, i, j, v, out[r][p * per_panel + v]) };
            }
        }
    }
}

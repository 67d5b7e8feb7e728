//! The table `amx`: that of `avx512`, with products of many rows in tile registers.
//!
//! The arithmetic is the one of every integer kernel, 8-bit levels with a scale for each 16 or 32
//! numbers. Tiles in bfloat16 would need no scales between products, but then the products of few
//! rows, which are bound by memory, would have to round in the same way, and rounding weights to
//! bfloat16 takes longer than reading them.
//!
//! No machine with tile registers was at hand. The kernel runs here with [emulated](emulation)
//! ones; a machine that has them is handed this table only after a product in its own agreed with
//! the emulation.

mod check;
mod emulation;
mod many;
mod present;
mod tiles;

use super::avx512::{self, Avx512};
use super::{Feature, Kernels, PanelLinear, PanelLinears, Tile};
use tiles::Unit;

/// A table whose products of many rows run in the tile registers `$unit`.
macro_rules! tile_table {
    ($name:ident, $unit:ty, $label:literal, [$($feature:literal => $present:expr),*]) => {
        pub(super) static $name: Kernels = {
            use std::ops::Range;

            use $crate::kernels::generic::{panels, quantise, weights};
            use many::many;

            compile! { [#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]] Avx512::new();
                fn many_q8_0(a: &panels::Panels, x: quantise::Tiles, tiles: Range<usize>, strip: &mut [f32]) =
                    many::<$unit, weights::Q8_0>;
                fn many_q4_0(a: &panels::Panels, x: quantise::Tiles, tiles: Range<usize>, strip: &mut [f32]) =
                    many::<$unit, weights::Q4_0>;
                fn many_q4_1(a: &panels::Panels, x: quantise::Tiles, tiles: Range<usize>, strip: &mut [f32]) =
                    many::<$unit, weights::Q4_1>;
                fn many_q5_0(a: &panels::Panels, x: quantise::Tiles, tiles: Range<usize>, strip: &mut [f32]) =
                    many::<$unit, weights::Q5_0>;
                fn many_q5_1(a: &panels::Panels, x: quantise::Tiles, tiles: Range<usize>, strip: &mut [f32]) =
                    many::<$unit, weights::Q5_1>;
                fn many_q2_k(a: &panels::Panels, x: quantise::Tiles, tiles: Range<usize>, strip: &mut [f32]) =
                    many::<$unit, weights::Q2K>;
                fn many_q3_k(a: &panels::Panels, x: quantise::Tiles, tiles: Range<usize>, strip: &mut [f32]) =
                    many::<$unit, weights::Q3K>;
                fn many_q4_k(a: &panels::Panels, x: quantise::Tiles, tiles: Range<usize>, strip: &mut [f32]) =
                    many::<$unit, weights::Q4K>;
                fn many_q5_k(a: &panels::Panels, x: quantise::Tiles, tiles: Range<usize>, strip: &mut [f32]) =
                    many::<$unit, weights::Q5K>;
                fn many_q6_k(a: &panels::Panels, x: quantise::Tiles, tiles: Range<usize>, strip: &mut [f32]) =
                    many::<$unit, weights::Q6K>;
                fn int8_peak(rounds: usize) -> i32 = peak::<$unit>;
            }

            let few = &avx512::TABLE.panels;
            Kernels {
                name: $label,
                features: &[$(Feature { name: $feature, present: || $present }),*],
                tile: Tile {
                    panel_rows: tiles::ROWS,
                    panel_row: quantise::TILE_ROW,
                    int8_operations: 2 * tiles::PEAK_SUMS * tiles::SUMS * tiles::ROW_BYTES,
                    ..avx512::TABLE.tile
                },
                panels: PanelLinears {
                    q8_0: PanelLinear { many: many_q8_0, ..few.q8_0 },
                    q4_0: PanelLinear { many: many_q4_0, ..few.q4_0 },
                    q4_1: PanelLinear { many: many_q4_1, ..few.q4_1 },
                    q5_0: PanelLinear { many: many_q5_0, ..few.q5_0 },
                    q5_1: PanelLinear { many: many_q5_1, ..few.q5_1 },
                    q2_k: PanelLinear { many: many_q2_k, ..few.q2_k },
                    q3_k: PanelLinear { many: many_q3_k, ..few.q3_k },
                    q4_k: PanelLinear { many: many_q4_k, ..few.q4_k },
                    q5_k: PanelLinear { many: many_q5_k, ..few.q5_k },
                    q6_k: PanelLinear { many: many_q6_k, ..few.q6_k },
                },
                int8_peak,
                ..avx512::TABLE
            }
        };
    };
}

tile_table! { TABLE, tiles::Hardware, "amx", [
    "avx512f" => is_x86_feature_detected!("avx512f"),
    "avx512bw" => is_x86_feature_detected!("avx512bw"),
    "avx512dq" => is_x86_feature_detected!("avx512dq"),
    "avx512vl" => is_x86_feature_detected!("avx512vl"),
    "avx512vnni" => is_x86_feature_detected!("avx512vnni"),
    "amx-tile" => present::tile(),
    "amx-int8" => present::int8(),
    "amx permission of the system" => present::permitted(),
    "amx self-check" => present::checked()
] }

/// See [`Unit::peak`].
///
/// # Safety
/// The promise of [`Unit::configure`].
#[inline(always)]
unsafe fn peak<T: Unit>(_: Avx512, rounds: usize) -> i32 {
    // SAFETY: the caller's promise.
    unsafe { T::configure(&const { tiles::Shapes::new(tiles::ROW_BYTES) }) }.peak(rounds)
}

#[cfg(test)]
mod tests;

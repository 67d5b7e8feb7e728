//! The table `amx`: that of `avx512`, with products of prompts and pictures in tile registers.
//!
//! The tiles take bfloat16, so that nothing has to be scaled between products; see [`products`].
//! The products of single steps stay those of `avx512`, in integers: they are bound by memory, and
//! rounding weights to bfloat16 takes longer than reading them.

mod check;
mod emulation;
mod present;
mod products;
mod rounded;
mod tiles;

use super::avx512::{self, Avx512};
use super::{Feature, Kernels, Rounded, Tile, TileProducts};
use tiles::Unit;

/// A table whose products of prompts run in the tile registers `$unit`.
macro_rules! tile_table {
    ($name:ident, $unit:ty, $label:literal, [$($feature:literal => $present:expr),*]) => {
        pub(super) static $name: Kernels = {
            use std::ops::Range;

            use $crate::kernels::TileRows;
            use $crate::kernels::generic::{panels, weights};
            use products::products;
            use rounded::rounded as rounded_product;

            compile! { [#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]] Avx512::new();
                fn tiles_q8_0(a: &panels::Panels, x: TileRows, tiles: Range<usize>, strip: &mut [f32]) =
                    products::<$unit, weights::Q8_0>;
                fn tiles_q4_0(a: &panels::Panels, x: TileRows, tiles: Range<usize>, strip: &mut [f32]) =
                    products::<$unit, weights::Q4_0>;
                fn tiles_q4_1(a: &panels::Panels, x: TileRows, tiles: Range<usize>, strip: &mut [f32]) =
                    products::<$unit, weights::Q4_1>;
                fn tiles_q5_0(a: &panels::Panels, x: TileRows, tiles: Range<usize>, strip: &mut [f32]) =
                    products::<$unit, weights::Q5_0>;
                fn tiles_q5_1(a: &panels::Panels, x: TileRows, tiles: Range<usize>, strip: &mut [f32]) =
                    products::<$unit, weights::Q5_1>;
                fn tiles_q2_k(a: &panels::Panels, x: TileRows, tiles: Range<usize>, strip: &mut [f32]) =
                    products::<$unit, weights::Q2K>;
                fn tiles_q3_k(a: &panels::Panels, x: TileRows, tiles: Range<usize>, strip: &mut [f32]) =
                    products::<$unit, weights::Q3K>;
                fn tiles_q4_k(a: &panels::Panels, x: TileRows, tiles: Range<usize>, strip: &mut [f32]) =
                    products::<$unit, weights::Q4K>;
                fn tiles_q5_k(a: &panels::Panels, x: TileRows, tiles: Range<usize>, strip: &mut [f32]) =
                    products::<$unit, weights::Q5K>;
                fn tiles_q6_k(a: &panels::Panels, x: TileRows, tiles: Range<usize>, strip: &mut [f32]) =
                    products::<$unit, weights::Q6K>;
                fn round(x: &[f32], out: *mut u16, stride: usize) = products::round;
                fn rounded(a: &mut Rounded, scratch: &mut [f32]) = rounded_product::<$unit>;
                fn int8_peak(rounds: usize) -> i32 = peak::<$unit>;
            }

            Kernels {
                name: $label,
                features: &[$(Feature { name: $feature, present: || $present }),*],
                tile: Tile {
                    int8_operations: 2 * tiles::PEAK_SUMS * tiles::SUMS * tiles::ROW_BYTES,
                    ..avx512::TABLE.tile
                },
                tiles: Some(TileProducts {
                    block: products::BLOCK,
                    strip: products::strip_numbers,
                    round,
                    q8_0: tiles_q8_0,
                    q4_0: tiles_q4_0,
                    q4_1: tiles_q4_1,
                    q5_0: tiles_q5_0,
                    q5_1: tiles_q5_1,
                    q2_k: tiles_q2_k,
                    q3_k: tiles_q3_k,
                    q4_k: tiles_q4_k,
                    q5_k: tiles_q5_k,
                    q6_k: tiles_q6_k,
                    rounded_scratch: rounded::scratch_numbers,
                    rounded,
                }),
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
    "amx-bf16" => present::bf16(),
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
    unsafe { T::configure(&tiles::Shapes::new(tiles::ROWS)) }.peak(rounds)
}

#[cfg(test)]
mod tests;

//! Compiles the generic kernels for one table.

/// Defines `TABLE`, a [`Kernels`](super::Kernels).
///
/// - `features`: what the machine must have, and how to ask for it;
/// - `enable`: the attribute that compiles a function with the instructions, none for plain Rust;
/// - `simd`: the vector type, and how its value is made inside such a function;
/// - `direct_rows`, `packed_rows`: rows of a tile, see `generic::direct` and `generic::packed`;
/// - `attention`: rows, accumulators per row, and vectors in a panel, see `generic::attention`;
/// - `integer_attention`: whether `generic::attention_i16` is faster than `generic::attention`;
/// - `panels`: rows that are multiplied with a panel at once, and rows and panels of a tile of many,
///   see `generic::panels`;
/// - `words`: what multiplies `q8_0` otherwise;
/// - `peak`: independent accumulators that keep the multiply-add units busy, of floats and of integers.
macro_rules! kernel_table {
    (
        name: $name:literal,
        features: [$($feature:literal => $present:expr),*],
        enable: $enable:tt,
        simd: $simd:ty = $token:expr,
        direct_rows: $direct_rows:literal,
        packed_rows: $rows:literal,
        attention: [$attention_rows:literal, $wide:literal, $narrow:literal],
        integer_attention: $integer_attention:literal,
        panels: [$few:literal, $many:literal, $together:literal],
        words: $words:expr,
        peak: $peak:literal,
    ) => {
        pub(super) static TABLE: $crate::kernels::Kernels = {
            use std::ops::Range;

            use $crate::kernels::generic::*;
            use $crate::kernels::simd::{Bf16, F16, F32, Simd};
            use $crate::kernels::{Kernels, Linear, PanelLinear, PanelLinears, Tile};

            compile! { $enable $token;
                fn direct_f32(a: &direct::Direct) = direct::direct::<$simd, F32, $direct_rows>;
                fn direct_f16(a: &direct::Direct) = direct::direct::<$simd, F16, $direct_rows>;
                fn direct_bf16(a: &direct::Direct) = direct::direct::<$simd, Bf16, $direct_rows>;
                fn packed_f32(a: &packed::Packed, panels: &mut [f32]) = packed::packed::<$simd, F32, $rows>;
                fn packed_f16(a: &packed::Packed, panels: &mut [f32]) = packed::packed::<$simd, F16, $rows>;
                fn packed_bf16(a: &packed::Packed, panels: &mut [f32]) = packed::packed::<$simd, Bf16, $rows>;
                fn few_q8_0(a: &panels::Panels, x: quantise::Levels) = panels::few::<$simd, weights::Q8_0, $few>;
                fn many_q8_0(a: &panels::Panels, x: quantise::Tiles, tiles: Range<usize>, strip: &mut [f32]) =
                    panels::many::<$simd, weights::Q8_0, $many, $together>;
                fn few_q4_0(a: &panels::Panels, x: quantise::Levels) = panels::few::<$simd, weights::Q4_0, $few>;
                fn many_q4_0(a: &panels::Panels, x: quantise::Tiles, tiles: Range<usize>, strip: &mut [f32]) =
                    panels::many::<$simd, weights::Q4_0, $many, $together>;
                fn few_q4_1(a: &panels::Panels, x: quantise::Levels) = panels::few::<$simd, weights::Q4_1, $few>;
                fn many_q4_1(a: &panels::Panels, x: quantise::Tiles, tiles: Range<usize>, strip: &mut [f32]) =
                    panels::many::<$simd, weights::Q4_1, $many, $together>;
                fn few_q5_0(a: &panels::Panels, x: quantise::Levels) = panels::few::<$simd, weights::Q5_0, $few>;
                fn many_q5_0(a: &panels::Panels, x: quantise::Tiles, tiles: Range<usize>, strip: &mut [f32]) =
                    panels::many::<$simd, weights::Q5_0, $many, $together>;
                fn few_q5_1(a: &panels::Panels, x: quantise::Levels) = panels::few::<$simd, weights::Q5_1, $few>;
                fn many_q5_1(a: &panels::Panels, x: quantise::Tiles, tiles: Range<usize>, strip: &mut [f32]) =
                    panels::many::<$simd, weights::Q5_1, $many, $together>;
                fn few_q2_k(a: &panels::Panels, x: quantise::Levels) = panels::few::<$simd, weights::Q2K, $few>;
                fn many_q2_k(a: &panels::Panels, x: quantise::Tiles, tiles: Range<usize>, strip: &mut [f32]) =
                    panels::many::<$simd, weights::Q2K, $many, $together>;
                fn few_q3_k(a: &panels::Panels, x: quantise::Levels) = panels::few::<$simd, weights::Q3K, $few>;
                fn many_q3_k(a: &panels::Panels, x: quantise::Tiles, tiles: Range<usize>, strip: &mut [f32]) =
                    panels::many::<$simd, weights::Q3K, $many, $together>;
                fn few_q4_k(a: &panels::Panels, x: quantise::Levels) = panels::few::<$simd, weights::Q4K, $few>;
                fn many_q4_k(a: &panels::Panels, x: quantise::Tiles, tiles: Range<usize>, strip: &mut [f32]) =
                    panels::many::<$simd, weights::Q4K, $many, $together>;
                fn few_q5_k(a: &panels::Panels, x: quantise::Levels) = panels::few::<$simd, weights::Q5K, $few>;
                fn many_q5_k(a: &panels::Panels, x: quantise::Tiles, tiles: Range<usize>, strip: &mut [f32]) =
                    panels::many::<$simd, weights::Q5K, $many, $together>;
                fn few_q6_k(a: &panels::Panels, x: quantise::Levels) = panels::few::<$simd, weights::Q6K, $few>;
                fn many_q6_k(a: &panels::Panels, x: quantise::Tiles, tiles: Range<usize>, strip: &mut [f32]) =
                    panels::many::<$simd, weights::Q6K, $many, $together>;
                fn quantise(x: &[f32], row: &mut quantise::Row) = quantise::quantise::<$simd>;

                fn pack_rows(x: &[f32], k: usize, first: usize, length: usize, out: &mut [f32]) =
                    packed::pack_rows::<$simd, $rows>;

                fn attention(a: &attention::Attention, scratch: &mut [f32]) =
                    attention::attention::<$simd, $attention_rows, $wide, $narrow>;
                fn attention_i16(a: &attention_i16::Attention, scratch: &mut [f32]) =
                    attention_i16::attention::<$simd, $attention_rows, $wide, $narrow>;
                fn pack_keys_i16(keys: &attention_i16::Rows, out: &mut [i32], units: &mut [f32]) =
                    attention_i16::pack_keys::<$simd>;
                fn pack_values_i16(values: &attention_i16::Rows, out: &mut [i32], units: &mut [f32]) =
                    attention_i16::pack_values::<$simd>;
                fn rotary(row: &mut [f32], cos: &[f32], sin: &[f32]) = rotary::rotary::<$simd>;

                fn rms_norm(x: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) = norm::rms_norm::<$simd>;
                fn layer_norm(x: &[f32], weight: &[f32], bias: &[f32], eps: f32, out: &mut [f32]) =
                    norm::layer_norm::<$simd>;

                fn add(x: &mut [f32], y: &[f32]) = activation::add::<$simd>;
                fn gelu(x: &mut [f32]) = activation::map::<$simd, activation::Gelu>;
                fn hard_sigmoid(x: &mut [f32]) = activation::map::<$simd, activation::HardSigmoid>;
                fn hard_swish(x: &mut [f32]) = activation::map::<$simd, activation::HardSwish>;
                fn quick_gelu(x: &mut [f32]) = activation::map::<$simd, activation::QuickGelu>;
                fn relu(x: &mut [f32]) = activation::map::<$simd, activation::Relu>;
                fn silu_mul(gate: &mut [f32], up: &[f32]) = activation::silu_mul::<$simd>;

                fn add_product(sum: &mut [f32], x: &[f32], weight: &[f32]) = convolution::add_product::<$simd>;

                fn multiply_add_peak(rounds: usize) -> f32 = peak::peak::<$simd, $peak>;
                fn int8_peak(rounds: usize) -> i32 = peak::int8_peak::<$simd, $peak>;
                fn read(x: &[u8]) -> f32 = peak::read::<$simd>;
            }

            Kernels {
                name: $name,
                features: &[$($crate::kernels::Feature { name: $feature, present: || $present }),*],
                tile: Tile {
                    lanes: <$simd as Simd>::LANES,
                    rows: $rows,
                    attention_rows: $attention_rows,
                    integer_attention: $integer_attention,
                    panel_rows: $many,
                    panel_row: 4,
                    peak_operations: 2 * $peak * <$simd as Simd>::LANES,
                    int8_operations: 2 * $peak * <$simd as peak::Int8>::PRODUCTS,
                },
                f32: Linear { direct: direct_f32, packed: packed_f32 },
                f16: Linear { direct: direct_f16, packed: packed_f16 },
                bf16: Linear { direct: direct_bf16, packed: packed_bf16 },
                panels: PanelLinears {
                    q8_0: PanelLinear { few: few_q8_0, many: many_q8_0 },
                    q4_0: PanelLinear { few: few_q4_0, many: many_q4_0 },
                    q4_1: PanelLinear { few: few_q4_1, many: many_q4_1 },
                    q5_0: PanelLinear { few: few_q5_0, many: many_q5_0 },
                    q5_1: PanelLinear { few: few_q5_1, many: many_q5_1 },
                    q2_k: PanelLinear { few: few_q2_k, many: many_q2_k },
                    q3_k: PanelLinear { few: few_q3_k, many: many_q3_k },
                    q4_k: PanelLinear { few: few_q4_k, many: many_q4_k },
                    q5_k: PanelLinear { few: few_q5_k, many: many_q5_k },
                    q6_k: PanelLinear { few: few_q6_k, many: many_q6_k },
                },
                quantise,
                words: $words,
                tiles: None,
                pack_rows,
                attention,
                attention_i16,
                pack_keys_i16,
                pack_values_i16,
                rotary,
                rms_norm,
                layer_norm,
                add,
                gelu,
                hard_sigmoid,
                hard_swish,
                quick_gelu,
                relu,
                silu_mul,
                add_product,
                peak: multiply_add_peak,
                int8_peak,
                read,
            }
        };
    };
}

/// Functions that call a generic one with the table's vector, compiled with its instructions.
macro_rules! compile {
    ($enable:tt $token:expr; $(
        fn $name:ident($($argument:ident: $type:ty),*) $(-> $result:ty)? = $generic:expr;
    )*) => {
        $(compile_one! { $enable $token; $name($($argument: $type),*) ($(-> $result)?) $generic })*
    };
}

/// One of the functions of `compile`: the attribute is taken apart here, where it is not repeated.
macro_rules! compile_one {
    ([$(#[$enable:meta])?] $token:expr;
        $name:ident($($argument:ident: $type:ty),*) ($(-> $result:ty)?) $generic:expr
    ) => {
        $(#[$enable])?
        #[allow(unused_unsafe, reason = "plain Rust needs no proof of features, and most kernels no promise")]
        unsafe fn $name($($argument: $type),*) $(-> $result)? {
            // SAFETY: the table's features, and what the generic function asks for, are the
            // promises of whoever calls through the table.
            unsafe { $generic($token, $($argument),*) }
        }
    };
}

/// Methods of a vector type that are nothing but intrinsics.
#[cfg_attr(
    not(any(target_arch = "aarch64", target_arch = "x86_64")),
    allow(unused_macros, reason = "plain Rust has no intrinsics")
)]
macro_rules! intrinsics {
    ($(fn $name:ident($($argument:ident: $type:ty),*) -> $result:ty = $body:expr;)*) => {
        $(#[inline(always)]
        #[allow(unused_unsafe, reason = "some need no instruction")]
        fn $name(self, $($argument: $type),*) -> $result {
            // SAFETY: the value of `self` proves that the machine has the instructions.
            unsafe { $body }
        })*
    };
}

//! The table `neon`: 128-bit vectors with fused multiply-add, which every aarch64 machine has.

use std::arch::aarch64::*;

use super::dot::Dot;
use super::generic::peak::Int8;
use super::simd::Simd;
use super::simd_i16::SimdI16;

/// Proves that the machine has NEON.
#[derive(Clone, Copy)]
pub(crate) struct Neon(());

impl Neon {
    /// # Safety
    /// The machine has NEON.
    #[inline(always)]
    pub(super) unsafe fn new() -> Neon {
        Neon(())
    }
}

impl Simd for Neon {
    type Vector = float32x4_t;
    const LANES: usize = 4;

    // `fmax` and `fmaxnm` both treat NaN otherwise than the trait says, so a comparison selects.
    intrinsics! {
        fn splat(x: f32) -> float32x4_t = vdupq_n_f32(x);
        fn add(a: float32x4_t, b: float32x4_t) -> float32x4_t = vaddq_f32(a, b);
        fn sub(a: float32x4_t, b: float32x4_t) -> float32x4_t = vsubq_f32(a, b);
        fn mul(a: float32x4_t, b: float32x4_t) -> float32x4_t = vmulq_f32(a, b);
        fn div(a: float32x4_t, b: float32x4_t) -> float32x4_t = vdivq_f32(a, b);
        fn mul_add(a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t =
            vfmaq_f32(c, a, b);
        fn max(a: float32x4_t, b: float32x4_t) -> float32x4_t = vbslq_f32(vcgtq_f32(a, b), a, b);
        fn min(a: float32x4_t, b: float32x4_t) -> float32x4_t = vbslq_f32(vcltq_f32(a, b), a, b);
        fn select_less(
            a: float32x4_t, b: float32x4_t, yes: float32x4_t, no: float32x4_t
        ) -> float32x4_t = vbslq_f32(vcltq_f32(a, b), yes, no);
        fn shift_into_exponent(a: float32x4_t) -> float32x4_t =
            vreinterpretq_f32_u32(vshlq_n_u32::<23>(vreinterpretq_u32_f32(a)));
    }

    /// Lanes 0 + 1 and 2 + 3, then their sum.
    #[inline(always)]
    fn sums(self, [a, b, c, d]: [float32x4_t; 4]) -> [f32; 4] {
        // SAFETY: the value of `self` proves the instructions.
        let sums = unsafe { vpaddq_f32(vpaddq_f32(a, b), vpaddq_f32(c, d)) };
        let mut out = [0.0; 4];
        self.write(sums, &mut out);
        out
    }

    // Memory is read and written as bytes, which need no alignment; the instruction is the same.
    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> float32x4_t {
        // SAFETY: readable by the caller's promise; `self` proves the instructions.
        unsafe { vreinterpretq_f32_u8(vld1q_u8(from.cast())) }
    }
    #[inline(always)]
    unsafe fn load_f16(self, from: *const u8) -> float32x4_t {
        // SAFETY: readable by the caller's promise; `self` proves the instructions.
        unsafe { vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(from))) }
    }
    #[inline(always)]
    unsafe fn load_bf16(self, from: *const u8) -> float32x4_t {
        // SAFETY: readable by the caller's promise; `self` proves the instructions.
        unsafe { vreinterpretq_f32_u32(vshll_n_u16::<16>(vreinterpret_u16_u8(vld1_u8(from)))) }
    }
    #[inline(always)]
    unsafe fn store(self, a: float32x4_t, to: *mut f32) {
        // SAFETY: writable by the caller's promise; `self` proves the instructions.
        unsafe { vst1q_u8(to.cast(), vreinterpretq_u8_f32(a)) }
    }
}

impl Int8 for Neon {
    type Integers = int32x4_t;
    const PRODUCTS: usize = 16;

    intrinsics! {
        fn integers(x: i32) -> int32x4_t = vdupq_n_s32(x);
        fn add_products(sums: int32x4_t, a: int32x4_t, b: int32x4_t) -> int32x4_t = {
            let (a, b) = (vreinterpretq_s8_s32(a), vreinterpretq_s8_s32(b));
            let low = vmull_s8(vget_low_s8(a), vget_low_s8(b));
            let pairs = vmlal_high_s8(low, a, b);
            vpadalq_s16(sums, pairs)
        };
        fn first(a: int32x4_t) -> i32 = vgetq_lane_s32::<0>(a);
    }
}

impl Dot for Neon {
    type Bytes = int8x16_t;
    type Partial = int32x4_t;
    type Ints = int32x4_t;

    const SIGNED: bool = true;

    fn chain(_bits: usize) -> usize {
        8
    }

    intrinsics! {
        fn zero_bytes() -> int8x16_t = vdupq_n_s8(0);
        fn field(a: int8x16_t, right: u32, mask: u8) -> int8x16_t = vreinterpretq_s8_u8(vandq_u8(
            vshlq_u8(vreinterpretq_u8_s8(a), vdupq_n_s8(-(right as i8))), vdupq_n_u8(mask)));
        fn field_left(a: int8x16_t, left: u32, mask: u8) -> int8x16_t = vreinterpretq_s8_u8(vandq_u8(
            vshlq_u8(vreinterpretq_u8_s8(a), vdupq_n_s8(left as i8)), vdupq_n_u8(mask)));
        fn or(a: int8x16_t, b: int8x16_t) -> int8x16_t = vorrq_s8(a, b);
        fn eight(a: int8x16_t) -> int8x16_t = veorq_s8(a, vdupq_n_s8(-128));
        fn begin() -> int32x4_t = vdupq_n_s32(0);
        fn dot(sum: int32x4_t, w: int8x16_t, x: int8x16_t, _bits: usize) -> int32x4_t = {
            // Two products of at most 128 · 127 fit 16 bits.
            let low = vmull_s8(vget_low_s8(w), vget_low_s8(x));
            vpadalq_s16(sum, vpaddq_s16(low, vmull_high_s8(w, x)))
        };
        fn flush(sum: int32x4_t, partial: int32x4_t, _bits: usize) -> int32x4_t =
            vaddq_s32(sum, partial);
        fn ints(x: i32) -> int32x4_t = vdupq_n_s32(x);
        fn ints_field(a: int32x4_t, right: u32, mask: i32) -> int32x4_t = vandq_s32(
            vshlq_s32(a, vdupq_n_s32(-(right as i32))), vdupq_n_s32(mask));
        fn ints_join(a: int32x4_t, b: int32x4_t, left: u32) -> int32x4_t = vorrq_s32(
            a, vshlq_s32(b, vdupq_n_s32(left as i32)));
        fn ints_left(a: int32x4_t, left: u32) -> int32x4_t = vshlq_s32(a, vdupq_n_s32(left as i32));
        fn greatest(a: float32x4_t) -> f32 = vmaxvq_f32(a);
        fn to_f32(a: int32x4_t) -> float32x4_t = vcvtq_f32_s32(a);
    }

    #[inline(always)]
    unsafe fn bytes(self, from: *const u8) -> int8x16_t {
        // SAFETY: readable by the caller's promise; `self` proves the instructions.
        unsafe { vld1q_s8(from.cast()) }
    }
    #[inline(always)]
    unsafe fn store_bytes(self, a: int8x16_t, to: *mut u8) {
        // SAFETY: writable by the caller's promise; `self` proves the instructions.
        unsafe { vst1q_s8(to.cast(), a) }
    }
    #[inline(always)]
    unsafe fn four(self, from: *const i8) -> int8x16_t {
        // SAFETY: readable by the caller's promise; `self` proves the instructions.
        unsafe { vreinterpretq_s8_s32(vdupq_n_s32(from.cast::<i32>().read_unaligned())) }
    }
    #[inline(always)]
    unsafe fn ints_u8(self, from: *const u8) -> int32x4_t {
        // SAFETY: readable by the caller's promise; `self` proves the instructions.
        unsafe {
            let four = vreinterpret_u8_u32(vdup_n_u32(from.cast::<u32>().read_unaligned()));
            vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(vmovl_u8(four))))
        }
    }
    #[inline(always)]
    unsafe fn ints_i8(self, from: *const u8) -> int32x4_t {
        // SAFETY: readable by the caller's promise; `self` proves the instructions.
        unsafe {
            let four = vreinterpret_s8_u32(vdup_n_u32(from.cast::<u32>().read_unaligned()));
            vmovl_s16(vget_low_s16(vmovl_s8(four)))
        }
    }
    #[inline(always)]
    unsafe fn store_rounded(self, a: float32x4_t, to: *mut i8) -> float32x4_t {
        // SAFETY: writable by the caller's promise; `self` proves the instructions.
        unsafe {
            let whole = vcvtnq_s32_f32(a);
            let words = vmovn_s32(whole);
            let bytes = vmovn_s16(vcombine_s16(words, words));
            to.cast::<u32>()
                .write_unaligned(vget_lane_u32::<0>(vreinterpret_u32_s8(bytes)));
            vcvtq_f32_s32(whole)
        }
    }
}

impl SimdI16 for Neon {
    type Integers = int32x4_t;

    intrinsics! {
        fn zeros() -> int32x4_t = vdupq_n_s32(0);
        fn splat_pair(pair: i32) -> int32x4_t = vdupq_n_s32(pair);
        fn add_pair_products(a: int32x4_t, b: int32x4_t, sum: int32x4_t) -> int32x4_t = {
            let (a, b) = (vreinterpretq_s16_s32(a), vreinterpretq_s16_s32(b));
            let low = vmull_s16(vget_low_s16(a), vget_low_s16(b));
            vaddq_s32(sum, vpaddq_s32(low, vmull_high_s16(a, b)))
        };
        fn integers_to_f32(a: int32x4_t) -> float32x4_t = vcvtq_f32_s32(a);
        fn round_pairs(first: float32x4_t, second: float32x4_t) -> int32x4_t =
            vsliq_n_s32::<16>(vcvtnq_s32_f32(first), vcvtnq_s32_f32(second));
    }

    #[inline(always)]
    unsafe fn load_integers(self, from: *const i32) -> int32x4_t {
        // SAFETY: readable by the caller's promise; `self` proves the instructions.
        unsafe { vreinterpretq_s32_u8(vld1q_u8(from.cast())) }
    }
    #[inline(always)]
    unsafe fn store_integers(self, a: int32x4_t, to: *mut i32) {
        // SAFETY: writable by the caller's promise; `self` proves the instructions.
        unsafe { vst1q_u8(to.cast(), vreinterpretq_u8_s32(a)) }
    }
    #[inline(always)]
    unsafe fn store_rounded(self, a: float32x4_t, to: *mut i32) {
        // SAFETY: writable by the caller's promise; `self` proves the instructions.
        unsafe {
            vst1_u8(
                to.cast(),
                vreinterpret_u8_s16(vqmovn_s32(vcvtnq_s32_f32(a))),
            )
        }
    }
}

// Registers, of 32: a tile of the linear layer takes 6 · 4 sums, 6 rows and a weight; attention
// 6 · 4 sums, 4 vectors and a factor. The compiler keeps both inner loops free of spills. 24 sums
// are more than the 16 that four multiply-add units of latency 4 have under way.
kernel_table! {
    name: "neon",
    features: ["neon" => std::arch::is_aarch64_feature_detected!("neon")],
    enable: [#[target_feature(enable = "neon")]],
    simd: crate::kernels::neon::Neon = crate::kernels::neon::Neon::new(),
    direct_rows: 4,
    packed_rows: 6,
    attention: [6, 4, 4],
    // An instruction takes four products of 16-bit integers, as of floats, and the Cortex-A78 class
    // has twice as many units for the latter.
    integer_attention: false,
    panels: [2, 3, 1],
    words: None,
    peak: 24,
}

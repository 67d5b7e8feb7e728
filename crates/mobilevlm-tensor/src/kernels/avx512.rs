//! The table `avx512`: 512-bit vectors with AVX-512 F, BW, DQ, VL and VNNI.

use std::arch::x86_64::*;

use super::dot::Dot;
use super::generic::peak::Int8;
use super::simd::Simd;
use super::simd_i16::SimdI16;

/// Proves that the machine has AVX-512 F, BW, DQ, VL and VNNI.
#[derive(Clone, Copy)]
pub(crate) struct Avx512(());

impl Avx512 {
    /// # Safety
    /// The machine has AVX-512 F, BW, DQ, VL and VNNI.
    #[inline(always)]
    pub(super) unsafe fn new() -> Avx512 {
        Avx512(())
    }
}

impl Simd for Avx512 {
    type Vector = __m512;
    const LANES: usize = 16;

    intrinsics! {
        fn splat(x: f32) -> __m512 = _mm512_set1_ps(x);
        fn add(a: __m512, b: __m512) -> __m512 = _mm512_add_ps(a, b);
        fn sub(a: __m512, b: __m512) -> __m512 = _mm512_sub_ps(a, b);
        fn mul(a: __m512, b: __m512) -> __m512 = _mm512_mul_ps(a, b);
        fn div(a: __m512, b: __m512) -> __m512 = _mm512_div_ps(a, b);
        fn mul_add(a: __m512, b: __m512, c: __m512) -> __m512 = _mm512_fmadd_ps(a, b, c);
        fn max(a: __m512, b: __m512) -> __m512 = _mm512_max_ps(a, b);
        fn min(a: __m512, b: __m512) -> __m512 = _mm512_min_ps(a, b);
        fn select_less(a: __m512, b: __m512, yes: __m512, no: __m512) -> __m512 =
            _mm512_mask_blend_ps(_mm512_cmp_ps_mask::<_CMP_LT_OQ>(a, b), no, yes);
        fn shift_into_exponent(a: __m512) -> __m512 =
            _mm512_castsi512_ps(_mm512_slli_epi32::<23>(_mm512_castps_si512(a)));
    }

    /// Lanes 0 + 2 and 1 + 3 of each quarter, their sum, then quarters 0 + 2 and 1 + 3, their sum.
    #[inline(always)]
    fn sums(self, [a, b, c, d]: [__m512; 4]) -> [f32; 4] {
        // SAFETY: the value of `self` proves the instructions; the array has room for the store.
        unsafe {
            let ab = _mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
            let cd = _mm512_add_ps(_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
            let (ab, cd) = (_mm512_castps_pd(ab), _mm512_castps_pd(cd));
            let (low, high) = (_mm512_unpacklo_pd(ab, cd), _mm512_unpackhi_pd(ab, cd));
            let quarters = _mm512_add_ps(_mm512_castpd_ps(low), _mm512_castpd_ps(high));
            let halves = _mm256_add_ps(
                _mm512_castps512_ps256(quarters),
                _mm512_extractf32x8_ps::<1>(quarters),
            );
            let sums = _mm_add_ps(
                _mm256_castps256_ps128(halves),
                _mm256_extractf128_ps::<1>(halves),
            );
            let mut out = [0.0; 4];
            _mm_storeu_ps(out.as_mut_ptr(), sums);
            out
        }
    }

    #[inline(always)]
    fn prefetch(self, at: *const u8) {
        // SAFETY: a hint, which reads nothing; the instruction is in every x86-64 processor.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(at.cast()) };
    }
    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> __m512 {
        // SAFETY: readable by the caller's promise; `self` proves the instructions.
        unsafe { _mm512_loadu_ps(from) }
    }
    #[inline(always)]
    unsafe fn load_f16(self, from: *const u8) -> __m512 {
        // SAFETY: readable by the caller's promise; `self` proves the instructions.
        unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(from.cast())) }
    }
    #[inline(always)]
    unsafe fn load_bf16(self, from: *const u8) -> __m512 {
        // SAFETY: readable by the caller's promise; `self` proves the instructions.
        unsafe {
            let wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(from.cast()));
            _mm512_castsi512_ps(_mm512_slli_epi32::<16>(wide))
        }
    }
    #[inline(always)]
    unsafe fn store(self, a: __m512, to: *mut f32) {
        // SAFETY: writable by the caller's promise; `self` proves the instructions.
        unsafe { _mm512_storeu_ps(to, a) }
    }
}

impl Int8 for Avx512 {
    type Integers = __m512i;
    const PRODUCTS: usize = 64;

    intrinsics! {
        fn integers(x: i32) -> __m512i = _mm512_set1_epi32(x);
        fn add_products(sums: __m512i, a: __m512i, b: __m512i) -> __m512i =
            _mm512_dpbusd_epi32(sums, a, b);
        fn first(a: __m512i) -> i32 = _mm512_cvtsi512_si32(a);
    }
}

impl Dot for Avx512 {
    type Bytes = __m512i;
    type Partial = __m512i;
    type Ints = __m512i;

    // The instruction takes one operand without sign.
    const SIGNED: bool = false;

    fn chain(_bits: usize) -> usize {
        8
    }

    intrinsics! {
        fn zero_bytes() -> __m512i = _mm512_setzero_si512();
        fn field(a: __m512i, right: u32, mask: u8) -> __m512i = _mm512_and_si512(
            _mm512_srl_epi16(a, _mm_cvtsi32_si128(right as i32)), _mm512_set1_epi8(mask as i8));
        fn field_left(a: __m512i, left: u32, mask: u8) -> __m512i = _mm512_and_si512(
            _mm512_sll_epi16(a, _mm_cvtsi32_si128(left as i32)), _mm512_set1_epi8(mask as i8));
        fn or(a: __m512i, b: __m512i) -> __m512i = _mm512_or_si512(a, b);
        fn eight(a: __m512i) -> __m512i = a;
        fn begin() -> __m512i = _mm512_setzero_si512();
        fn dot(sum: __m512i, w: __m512i, x: __m512i, _bits: usize) -> __m512i =
            _mm512_dpbusd_epi32(sum, w, x);
        fn flush(sum: __m512i, partial: __m512i, _bits: usize) -> __m512i =
            _mm512_add_epi32(sum, partial);
        fn ints(x: i32) -> __m512i = _mm512_set1_epi32(x);
        fn ints_field(a: __m512i, right: u32, mask: i32) -> __m512i = _mm512_and_si512(
            _mm512_srl_epi32(a, _mm_cvtsi32_si128(right as i32)), _mm512_set1_epi32(mask));
        fn ints_join(a: __m512i, b: __m512i, left: u32) -> __m512i = _mm512_or_si512(
            a, _mm512_sll_epi32(b, _mm_cvtsi32_si128(left as i32)));
        fn ints_left(a: __m512i, left: u32) -> __m512i =
            _mm512_sll_epi32(a, _mm_cvtsi32_si128(left as i32));
        fn greatest(a: __m512) -> f32 = {
            let eight = _mm256_max_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps::<1>(a));
            let four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps::<1>(eight));
            let two = _mm_max_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)))
        };
        fn to_f32(a: __m512i) -> __m512 = _mm512_cvtepi32_ps(a);
    }

    #[inline(always)]
    unsafe fn bytes(self, from: *const u8) -> __m512i {
        // SAFETY: readable by the caller's promise; `self` proves the instructions.
        unsafe { _mm512_loadu_si512(from.cast()) }
    }
    #[inline(always)]
    unsafe fn store_bytes(self, a: __m512i, to: *mut u8) {
        // SAFETY: writable by the caller's promise; `self` proves the instructions.
        unsafe { _mm512_storeu_si512(to.cast(), a) }
    }
    #[inline(always)]
    unsafe fn four(self, from: *const i8) -> __m512i {
        // SAFETY: readable by the caller's promise; `self` proves the instructions.
        unsafe { _mm512_set1_epi32(from.cast::<i32>().read_unaligned()) }
    }
    #[inline(always)]
    unsafe fn ints_u8(self, from: *const u8) -> __m512i {
        // SAFETY: readable by the caller's promise; `self` proves the instructions.
        unsafe { _mm512_cvtepu8_epi32(_mm_loadu_si128(from.cast())) }
    }
    #[inline(always)]
    unsafe fn ints_i8(self, from: *const u8) -> __m512i {
        // SAFETY: readable by the caller's promise; `self` proves the instructions.
        unsafe { _mm512_cvtepi8_epi32(_mm_loadu_si128(from.cast())) }
    }
    #[inline(always)]
    unsafe fn store_rounded(self, a: __m512, to: *mut i8) -> __m512 {
        // SAFETY: writable by the caller's promise; `self` proves the instructions.
        unsafe {
            let whole = _mm512_cvtps_epi32(a);
            _mm_storeu_si128(to.cast(), _mm512_cvtepi32_epi8(whole));
            _mm512_cvtepi32_ps(whole)
        }
    }
}

impl SimdI16 for Avx512 {
    type Integers = __m512i;

    intrinsics! {
        fn zeros() -> __m512i = _mm512_setzero_si512();
        fn splat_pair(pair: i32) -> __m512i = _mm512_set1_epi32(pair);
        fn add_pair_products(a: __m512i, b: __m512i, sum: __m512i) -> __m512i =
            _mm512_dpwssd_epi32(sum, a, b);
        fn integers_to_f32(a: __m512i) -> __m512 = _mm512_cvtepi32_ps(a);
        fn round_pairs(first: __m512, second: __m512) -> __m512i = _mm512_mask_blend_epi16(
            0xaaaa_aaaa,
            _mm512_cvtps_epi32(first),
            _mm512_slli_epi32::<16>(_mm512_cvtps_epi32(second)),
        );
    }

    #[inline(always)]
    unsafe fn load_integers(self, from: *const i32) -> __m512i {
        // SAFETY: readable by the caller's promise; `self` proves the instructions.
        unsafe { _mm512_loadu_si512(from.cast()) }
    }
    #[inline(always)]
    unsafe fn store_integers(self, a: __m512i, to: *mut i32) {
        // SAFETY: writable by the caller's promise; `self` proves the instructions.
        unsafe { _mm512_storeu_si512(to.cast(), a) }
    }
    #[inline(always)]
    unsafe fn store_rounded(self, a: __m512, to: *mut i32) {
        // SAFETY: writable by the caller's promise; `self` proves the instructions.
        unsafe { _mm256_storeu_si256(to.cast(), _mm512_cvtsepi32_epi16(_mm512_cvtps_epi32(a))) }
    }
}

kernel_table! {
    name: "avx512",
    features: [
        "avx512f" => is_x86_feature_detected!("avx512f"),
        "avx512bw" => is_x86_feature_detected!("avx512bw"),
        "avx512dq" => is_x86_feature_detected!("avx512dq"),
        "avx512vl" => is_x86_feature_detected!("avx512vl"),
        "avx512vnni" => is_x86_feature_detected!("avx512vnni")
    ],
    enable: [#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]],
    simd: crate::kernels::avx512::Avx512 = crate::kernels::avx512::Avx512::new(),
    direct_rows: 6,
    packed_rows: 6,
    attention: [6, 4, 1],
    // One core of a Zen 4, 577 rows of 16 heads of 64, packing included: 9.3 ms, 15.0 ms in `f32`.
    integer_attention: true,
    panels: [8, 6, 2],
    words: None,
    peak: 16,
}

//! The table `avx2`: 256-bit vectors with AVX2, FMA and F16C.

use std::arch::x86_64::*;

use super::dot::Dot;
use super::generic::peak::Int8;
use super::simd::Simd;
use super::simd_i16::SimdI16;

/// Proves that the machine has AVX2, FMA and F16C.
#[derive(Clone, Copy)]
pub(crate) struct Avx2(());

impl Avx2 {
    /// # Safety
    /// The machine has AVX2, FMA and F16C.
    #[inline(always)]
    pub(super) unsafe fn new() -> Avx2 {
        Avx2(())
    }
}

impl Simd for Avx2 {
    type Vector = __m256;
    const LANES: usize = 8;

    intrinsics! {
        fn splat(x: f32) -> __m256 = _mm256_set1_ps(x);
        fn add(a: __m256, b: __m256) -> __m256 = _mm256_add_ps(a, b);
        fn sub(a: __m256, b: __m256) -> __m256 = _mm256_sub_ps(a, b);
        fn mul(a: __m256, b: __m256) -> __m256 = _mm256_mul_ps(a, b);
        fn div(a: __m256, b: __m256) -> __m256 = _mm256_div_ps(a, b);
        fn mul_add(a: __m256, b: __m256, c: __m256) -> __m256 = _mm256_fmadd_ps(a, b, c);
        fn max(a: __m256, b: __m256) -> __m256 = _mm256_max_ps(a, b);
        fn min(a: __m256, b: __m256) -> __m256 = _mm256_min_ps(a, b);
        fn select_less(a: __m256, b: __m256, yes: __m256, no: __m256) -> __m256 =
            _mm256_blendv_ps(no, yes, _mm256_cmp_ps::<_CMP_LT_OQ>(a, b));
        fn shift_into_exponent(a: __m256) -> __m256 =
            _mm256_castsi256_ps(_mm256_slli_epi32::<23>(_mm256_castps_si256(a)));
    }

    /// Lanes 0 + 2 and 1 + 3 of each half, their sum, then the sum of the halves.
    #[inline(always)]
    fn sums(self, [a, b, c, d]: [__m256; 4]) -> [f32; 4] {
        // SAFETY: the value of `self` proves the instructions; the array has room for the store.
        unsafe {
            let ab = _mm256_add_ps(_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
            let cd = _mm256_add_ps(_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d));
            let (ab, cd) = (_mm256_castps_pd(ab), _mm256_castps_pd(cd));
            let (low, high) = (_mm256_unpacklo_pd(ab, cd), _mm256_unpackhi_pd(ab, cd));
            let halves = _mm256_add_ps(_mm256_castpd_ps(low), _mm256_castpd_ps(high));
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
    unsafe fn load(self, from: *const f32) -> __m256 {
        // SAFETY: readable by the caller's promise; `self` proves the instructions.
        unsafe { _mm256_loadu_ps(from) }
    }
    #[inline(always)]
    unsafe fn load_f16(self, from: *const u8) -> __m256 {
        // SAFETY: readable by the caller's promise; `self` proves the instructions.
        unsafe { _mm256_cvtph_ps(_mm_loadu_si128(from.cast())) }
    }
    #[inline(always)]
    unsafe fn load_bf16(self, from: *const u8) -> __m256 {
        // SAFETY: readable by the caller's promise; `self` proves the instructions.
        unsafe {
            let wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(from.cast()));
            _mm256_castsi256_ps(_mm256_slli_epi32::<16>(wide))
        }
    }
    #[inline(always)]
    unsafe fn store(self, a: __m256, to: *mut f32) {
        // SAFETY: writable by the caller's promise; `self` proves the instructions.
        unsafe { _mm256_storeu_ps(to, a) }
    }
}

impl Int8 for Avx2 {
    type Integers = __m256i;
    const PRODUCTS: usize = 32;

    intrinsics! {
        fn integers(x: i32) -> __m256i = _mm256_set1_epi32(x);
        fn add_products(sums: __m256i, a: __m256i, b: __m256i) -> __m256i = {
            let pairs = _mm256_maddubs_epi16(a, b);
            _mm256_add_epi32(sums, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
        };
        fn first(a: __m256i) -> i32 = _mm256_cvtsi256_si32(a);
    }
}

impl Dot for Avx2 {
    type Bytes = __m256i;
    /// Sixteen sums of 16 bits; for levels of 8 bits, eight of 32.
    type Partial = __m256i;
    type Ints = __m256i;

    // Two products of unsigned bytes with bytes from −127 to 127 do not fit 16 bits; with signed
    // ones they do.
    const SIGNED: bool = true;

    /// Each product of four adds up to `2 · (2^bits − 1) · 127` to a sum that ends at 32767.
    fn chain(bits: usize) -> usize {
        match bits {
            ..=4 => 8,
            5 => 4,
            6 => 2,
            _ => 8,
        }
    }

    intrinsics! {
        fn zero_bytes() -> __m256i = _mm256_setzero_si256();
        fn field(a: __m256i, right: u32, mask: u8) -> __m256i = _mm256_and_si256(
            _mm256_srl_epi16(a, _mm_cvtsi32_si128(right as i32)), _mm256_set1_epi8(mask as i8));
        fn field_left(a: __m256i, left: u32, mask: u8) -> __m256i = _mm256_and_si256(
            _mm256_sll_epi16(a, _mm_cvtsi32_si128(left as i32)), _mm256_set1_epi8(mask as i8));
        fn or(a: __m256i, b: __m256i) -> __m256i = _mm256_or_si256(a, b);
        fn eight(a: __m256i) -> __m256i = _mm256_xor_si256(a, _mm256_set1_epi8(-128));
        fn begin() -> __m256i = _mm256_setzero_si256();
        fn dot(sum: __m256i, w: __m256i, x: __m256i, bits: usize) -> __m256i = if bits == 8 {
            let pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(x, w));
            _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
        } else {
            _mm256_add_epi16(sum, _mm256_maddubs_epi16(w, x))
        };
        fn flush(sum: __m256i, partial: __m256i, bits: usize) -> __m256i = if bits == 8 {
            _mm256_add_epi32(sum, partial)
        } else {
            _mm256_add_epi32(sum, _mm256_madd_epi16(partial, _mm256_set1_epi16(1)))
        };
        fn ints(x: i32) -> __m256i = _mm256_set1_epi32(x);
        fn ints_field(a: __m256i, right: u32, mask: i32) -> __m256i = _mm256_and_si256(
            _mm256_srl_epi32(a, _mm_cvtsi32_si128(right as i32)), _mm256_set1_epi32(mask));
        fn ints_join(a: __m256i, b: __m256i, left: u32) -> __m256i = _mm256_or_si256(
            a, _mm256_sll_epi32(b, _mm_cvtsi32_si128(left as i32)));
        fn ints_left(a: __m256i, left: u32) -> __m256i =
            _mm256_sll_epi32(a, _mm_cvtsi32_si128(left as i32));
        fn greatest(a: __m256) -> f32 = {
            let four = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps::<1>(a));
            let two = _mm_max_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)))
        };
        fn to_f32(a: __m256i) -> __m256 = _mm256_cvtepi32_ps(a);
    }

    #[inline(always)]
    unsafe fn bytes(self, from: *const u8) -> __m256i {
        // SAFETY: readable by the caller's promise; `self` proves the instructions.
        unsafe { _mm256_loadu_si256(from.cast()) }
    }
    #[inline(always)]
    unsafe fn store_bytes(self, a: __m256i, to: *mut u8) {
        // SAFETY: writable by the caller's promise; `self` proves the instructions.
        unsafe { _mm256_storeu_si256(to.cast(), a) }
    }
    #[inline(always)]
    unsafe fn four(self, from: *const i8) -> __m256i {
        // SAFETY: readable by the caller's promise; `self` proves the instructions.
        unsafe { _mm256_set1_epi32(from.cast::<i32>().read_unaligned()) }
    }
    #[inline(always)]
    unsafe fn ints_u8(self, from: *const u8) -> __m256i {
        // SAFETY: readable by the caller's promise; `self` proves the instructions.
        unsafe { _mm256_cvtepu8_epi32(_mm_loadl_epi64(from.cast())) }
    }
    #[inline(always)]
    unsafe fn ints_i8(self, from: *const u8) -> __m256i {
        // SAFETY: readable by the caller's promise; `self` proves the instructions.
        unsafe { _mm256_cvtepi8_epi32(_mm_loadl_epi64(from.cast())) }
    }
    #[inline(always)]
    unsafe fn store_rounded(self, a: __m256, to: *mut i8) -> __m256 {
        // SAFETY: writable by the caller's promise; `self` proves the instructions.
        unsafe {
            let whole = _mm256_cvtps_epi32(a);
            let words = _mm_packs_epi32(
                _mm256_castsi256_si128(whole),
                _mm256_extracti128_si256::<1>(whole),
            );
            _mm_storel_epi64(to.cast(), _mm_packs_epi16(words, words));
            _mm256_cvtepi32_ps(whole)
        }
    }
}

impl SimdI16 for Avx2 {
    type Integers = __m256i;

    intrinsics! {
        fn zeros() -> __m256i = _mm256_setzero_si256();
        fn splat_pair(pair: i32) -> __m256i = _mm256_set1_epi32(pair);
        fn add_pair_products(a: __m256i, b: __m256i, sum: __m256i) -> __m256i =
            _mm256_add_epi32(sum, _mm256_madd_epi16(a, b));
        fn integers_to_f32(a: __m256i) -> __m256 = _mm256_cvtepi32_ps(a);
        fn round_pairs(first: __m256, second: __m256) -> __m256i = _mm256_blend_epi16::<0xaa>(
            _mm256_cvtps_epi32(first),
            _mm256_slli_epi32::<16>(_mm256_cvtps_epi32(second)),
        );
    }

    #[inline(always)]
    unsafe fn load_integers(self, from: *const i32) -> __m256i {
        // SAFETY: readable by the caller's promise; `self` proves the instructions.
        unsafe { _mm256_loadu_si256(from.cast()) }
    }
    #[inline(always)]
    unsafe fn store_integers(self, a: __m256i, to: *mut i32) {
        // SAFETY: writable by the caller's promise; `self` proves the instructions.
        unsafe { _mm256_storeu_si256(to.cast(), a) }
    }
    #[inline(always)]
    unsafe fn store_rounded(self, a: __m256, to: *mut i32) {
        // SAFETY: writable by the caller's promise; `self` proves the instructions.
        unsafe {
            let a = _mm256_cvtps_epi32(a);
            let (low, high) = (_mm256_castsi256_si128(a), _mm256_extracti128_si256::<1>(a));
            _mm_storeu_si128(to.cast(), _mm_packs_epi32(low, high));
        }
    }
}

kernel_table! {
    name: "avx2",
    features: [
        "avx2" => is_x86_feature_detected!("avx2"),
        "fma" => is_x86_feature_detected!("fma"),
        "f16c" => is_x86_feature_detected!("f16c")
    ],
    enable: [#[target_feature(enable = "avx2,fma,f16c")]],
    simd: crate::kernels::avx2::Avx2 = crate::kernels::avx2::Avx2::new(),
    direct_rows: 2,
    packed_rows: 3,
    attention: [6, 2, 2],
    // One core of a Zen 4, 577 rows of 16 heads of 64, packing included: 11.7 ms, 17.1 ms in `f32`.
    integer_attention: true,
    panels: [3, 3, 1],
    words: Some(crate::kernels::avx2_words::TABLE),
    peak: 12,
}

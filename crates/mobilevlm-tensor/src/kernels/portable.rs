//! The table `portable`: plain Rust, for any machine. Vectors are arrays of four numbers, which
//! compilers turn into the 128-bit registers that every 64-bit machine has.

use super::dot::Dot;
use super::generic::peak::Int8;
use super::simd::Simd;
use super::simd_i16::SimdI16;
use crate::format::{bf16_to_f32, f16_to_f32};

/// Proves nothing, since nothing is needed.
#[derive(Clone, Copy)]
pub(crate) struct Portable;

#[derive(Clone, Copy)]
#[repr(align(16))]
pub(crate) struct Four([f32; 4]);

impl Four {
    #[inline(always)]
    fn zip(self, other: Four, f: impl Fn(f32, f32) -> f32) -> Four {
        let (Four([a, b, c, d]), Four([e, g, h, i])) = (self, other);
        Four([f(a, e), f(b, g), f(c, h), f(d, i)])
    }
}

impl Simd for Portable {
    type Vector = Four;
    const LANES: usize = 4;

    #[inline(always)]
    fn splat(self, x: f32) -> Four {
        Four([x; 4])
    }
    #[inline(always)]
    fn add(self, a: Four, b: Four) -> Four {
        a.zip(b, |a, b| a + b)
    }
    #[inline(always)]
    fn sub(self, a: Four, b: Four) -> Four {
        a.zip(b, |a, b| a - b)
    }
    #[inline(always)]
    fn mul(self, a: Four, b: Four) -> Four {
        a.zip(b, |a, b| a * b)
    }
    #[inline(always)]
    fn div(self, a: Four, b: Four) -> Four {
        a.zip(b, |a, b| a / b)
    }
    #[inline(always)]
    fn mul_add(self, a: Four, b: Four, c: Four) -> Four {
        // Rounded twice: without the instruction, `f32::mul_add` is a slow function call.
        self.add(self.mul(a, b), c)
    }
    #[inline(always)]
    fn max(self, a: Four, b: Four) -> Four {
        a.zip(b, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    fn min(self, a: Four, b: Four) -> Four {
        a.zip(b, |a, b| if a < b { a } else { b })
    }
    #[inline(always)]
    fn select_less(self, a: Four, b: Four, yes: Four, no: Four) -> Four {
        let mut out = no;
        for i in 0..4 {
            if a.0[i] < b.0[i] {
                out.0[i] = yes.0[i];
            }
        }
        out
    }
    #[inline(always)]
    fn shift_into_exponent(self, Four(mut a): Four) -> Four {
        for x in &mut a {
            *x = f32::from_bits(x.to_bits() << 23);
        }
        Four(a)
    }

    #[inline(always)]
    fn sums(self, a: [Four; 4]) -> [f32; 4] {
        // Through memory: compilers keep the lanes of a vector together where they end in a store,
        // and compute each alone where they end in this sum, which is four times slower.
        let a = std::hint::black_box(a);
        let mut out = [0.0; 4];
        for (out, Four([a, b, c, d])) in out.iter_mut().zip(a) {
            *out = (a + c) + (b + d);
        }
        out
    }

    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> Four {
        // SAFETY: readable for four numbers by the caller's promise.
        Four(unsafe { from.cast::<[f32; 4]>().read_unaligned() })
    }
    #[inline(always)]
    unsafe fn load_f16(self, from: *const u8) -> Four {
        // SAFETY: readable for four numbers of two bytes by the caller's promise.
        let stored = unsafe { from.cast::<[[u8; 2]; 4]>().read_unaligned() };
        let mut out = [0.0; 4];
        for (out, stored) in out.iter_mut().zip(stored) {
            *out = f16_to_f32(u16::from_le_bytes(stored));
        }
        Four(out)
    }
    #[inline(always)]
    unsafe fn load_bf16(self, from: *const u8) -> Four {
        // SAFETY: readable for four numbers of two bytes by the caller's promise.
        let stored = unsafe { from.cast::<[[u8; 2]; 4]>().read_unaligned() };
        let mut out = [0.0; 4];
        for (out, stored) in out.iter_mut().zip(stored) {
            *out = bf16_to_f32(u16::from_le_bytes(stored));
        }
        Four(out)
    }
    #[inline(always)]
    unsafe fn store(self, a: Four, to: *mut f32) {
        // SAFETY: writable for four numbers by the caller's promise.
        unsafe { to.cast::<[f32; 4]>().write_unaligned(a.0) }
    }
}

impl Int8 for Portable {
    type Integers = [i32; 4];
    const PRODUCTS: usize = 16;

    #[inline(always)]
    fn integers(self, x: i32) -> [i32; 4] {
        [x; 4]
    }
    #[inline(always)]
    fn add_products(self, mut sums: [i32; 4], a: [i32; 4], b: [i32; 4]) -> [i32; 4] {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            for (a, b) in a.to_ne_bytes().into_iter().zip(b.to_ne_bytes()) {
                let product = i32::from(a.cast_signed()) * i32::from(b.cast_signed());
                *sum = sum.wrapping_add(product);
            }
        }
        sums
    }
    #[inline(always)]
    fn first(self, [a, ..]: [i32; 4]) -> i32 {
        a
    }
}

/// Sixteen bytes: four of each of four rows.
#[derive(Clone, Copy)]
#[repr(align(16))]
pub(crate) struct Bytes([u8; 16]);

impl Bytes {
    #[inline(always)]
    fn map(mut self, f: impl Fn(u8) -> u8) -> Bytes {
        for byte in &mut self.0 {
            *byte = f(*byte);
        }
        self
    }
}

impl Dot for Portable {
    type Bytes = Bytes;
    type Partial = [i32; 4];
    type Ints = [i32; 4];

    const SIGNED: bool = true;

    fn chain(_bits: usize) -> usize {
        8
    }

    #[inline(always)]
    unsafe fn bytes(self, from: *const u8) -> Bytes {
        // SAFETY: readable by the caller's promise.
        Bytes(unsafe { from.cast::<[u8; 16]>().read_unaligned() })
    }
    #[inline(always)]
    unsafe fn store_bytes(self, a: Bytes, to: *mut u8) {
        // SAFETY: writable by the caller's promise.
        unsafe { to.cast::<[u8; 16]>().write_unaligned(a.0) }
    }
    #[inline(always)]
    unsafe fn four(self, from: *const i8) -> Bytes {
        // SAFETY: readable by the caller's promise.
        let [a, b, c, d] = unsafe { from.cast::<[u8; 4]>().read_unaligned() };
        Bytes([a, b, c, d, a, b, c, d, a, b, c, d, a, b, c, d])
    }
    #[inline(always)]
    fn zero_bytes(self) -> Bytes {
        Bytes([0; 16])
    }
    #[inline(always)]
    fn field(self, a: Bytes, right: u32, mask: u8) -> Bytes {
        a.map(|byte| byte >> right & mask)
    }
    #[inline(always)]
    fn field_left(self, a: Bytes, left: u32, mask: u8) -> Bytes {
        a.map(|byte| byte << left & mask)
    }
    #[inline(always)]
    fn or(self, mut a: Bytes, b: Bytes) -> Bytes {
        for (a, b) in a.0.iter_mut().zip(b.0) {
            *a |= b;
        }
        a
    }
    #[inline(always)]
    fn eight(self, a: Bytes) -> Bytes {
        a.map(|byte| byte ^ 0x80)
    }

    #[inline(always)]
    fn begin(self) -> [i32; 4] {
        [0; 4]
    }
    #[inline(always)]
    fn dot(self, mut sum: [i32; 4], w: Bytes, x: Bytes, _bits: usize) -> [i32; 4] {
        for (at, (w, x)) in w.0.into_iter().zip(x.0).enumerate() {
            sum[at / 4] += i32::from(w as i8) * i32::from(x as i8);
        }
        sum
    }
    #[inline(always)]
    fn flush(self, mut sum: [i32; 4], partial: [i32; 4], _bits: usize) -> [i32; 4] {
        for (sum, partial) in sum.iter_mut().zip(partial) {
            *sum += partial;
        }
        sum
    }

    #[inline(always)]
    fn ints(self, x: i32) -> [i32; 4] {
        [x; 4]
    }
    #[inline(always)]
    unsafe fn ints_u8(self, from: *const u8) -> [i32; 4] {
        // SAFETY: readable by the caller's promise.
        let [a, b, c, d] = unsafe { from.cast::<[u8; 4]>().read_unaligned() };
        [a.into(), b.into(), c.into(), d.into()]
    }
    #[inline(always)]
    unsafe fn ints_i8(self, from: *const u8) -> [i32; 4] {
        // SAFETY: readable by the caller's promise.
        let [a, b, c, d] = unsafe { from.cast::<[i8; 4]>().read_unaligned() };
        [a.into(), b.into(), c.into(), d.into()]
    }
    #[inline(always)]
    fn ints_field(self, mut a: [i32; 4], right: u32, mask: i32) -> [i32; 4] {
        for a in &mut a {
            *a = *a >> right & mask;
        }
        a
    }
    #[inline(always)]
    fn ints_join(self, mut a: [i32; 4], b: [i32; 4], left: u32) -> [i32; 4] {
        for (a, b) in a.iter_mut().zip(b) {
            *a |= b << left;
        }
        a
    }
    #[inline(always)]
    fn ints_left(self, mut a: [i32; 4], left: u32) -> [i32; 4] {
        for a in &mut a {
            *a <<= left;
        }
        a
    }
    #[inline(always)]
    fn to_f32(self, [a, b, c, d]: [i32; 4]) -> Four {
        Four([a as f32, b as f32, c as f32, d as f32])
    }
    #[inline(always)]
    unsafe fn store_rounded(self, a: Four, to: *mut i8) -> Four {
        // Adding and taking away 1.5 · 2^23 leaves no place for a fraction.
        const WHOLE: f32 = 12_582_912.0;
        let mut whole = a;
        for (at, whole) in whole.0.iter_mut().enumerate() {
            *whole = (*whole + WHOLE) - WHOLE;
            // SAFETY: writable for four bytes by the caller's promise.
            unsafe { *to.add(at) = *whole as i8 };
        }
        whole
    }
}

impl SimdI16 for Portable {
    type Integers = [i32; 4];

    #[inline(always)]
    fn zeros(self) -> [i32; 4] {
        [0; 4]
    }
    #[inline(always)]
    fn splat_pair(self, pair: i32) -> [i32; 4] {
        [pair; 4]
    }
    #[inline(always)]
    fn add_pair_products(self, a: [i32; 4], b: [i32; 4], mut sum: [i32; 4]) -> [i32; 4] {
        for i in 0..4 {
            let low = i32::from(a[i] as i16) * i32::from(b[i] as i16);
            let high = (a[i] >> 16) * (b[i] >> 16);
            sum[i] = sum[i].wrapping_add(low).wrapping_add(high);
        }
        sum
    }
    #[inline(always)]
    fn integers_to_f32(self, a: [i32; 4]) -> Four {
        Four([a[0] as f32, a[1] as f32, a[2] as f32, a[3] as f32])
    }
    #[inline(always)]
    fn round_pairs(self, Four(first): Four, Four(second): Four) -> [i32; 4] {
        let mut pairs = [0; 4];
        for i in 0..4 {
            pairs[i] = pair(first[i], second[i]);
        }
        pairs
    }

    #[inline(always)]
    unsafe fn load_integers(self, from: *const i32) -> [i32; 4] {
        // SAFETY: readable for four integers by the caller's promise.
        unsafe { from.cast::<[i32; 4]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store_integers(self, a: [i32; 4], to: *mut i32) {
        // SAFETY: writable for four integers by the caller's promise.
        unsafe { to.cast::<[i32; 4]>().write_unaligned(a) }
    }
    #[inline(always)]
    unsafe fn store_rounded(self, Four([a, b, c, d]): Four, to: *mut i32) {
        let pairs = [pair(a, b), pair(c, d)];
        // SAFETY: writable for two pairs by the caller's promise.
        unsafe { to.cast::<[i32; 2]>().write_unaligned(pairs) }
    }
}

/// Both rounded, the first in the lower half.
#[inline(always)]
fn pair(first: f32, second: f32) -> i32 {
    // Added to a number below 2^22, 1.5 · 2^23 leaves it, rounded, in the lowest bits: without the
    // instruction, `f32::round_ties_even` is a slow function call.
    let rounded = |x: f32| (x + 12_582_912.0).to_bits();
    (rounded(first) & 0xffff | rounded(second) << 16) as i32
}

kernel_table! {
    name: "portable",
    features: [],
    enable: [],
    simd: crate::kernels::portable::Portable = crate::kernels::portable::Portable,
    direct_rows: 2,
    packed_rows: 2,
    attention: [2, 4, 4],
    // 2.7 times the time of `f32`, with the vectors that every x86-64 has.
    integer_attention: false,
    panels: [1, 2, 1],
    words: None,
    peak: 12,
}

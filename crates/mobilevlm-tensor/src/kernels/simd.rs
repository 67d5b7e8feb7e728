//! The vector of an instruction set, as the kernels see it.
//!
//! The kernels in `generic/` are written once against this trait. Each table compiles them for
//! its own instruction set, inside functions that enable it, so everything here and there is
//! `#[inline(always)]`: an intrinsic that is not inlined into such a function is a call.

/// A vector of `LANES` numbers.
///
/// A value of an implementing type proves that the machine has the instructions: it can only be
/// made by an `unsafe` constructor, called where they are known to exist. Methods are therefore
/// safe unless they take a pointer.
pub(crate) trait Simd: Copy {
    /// The vector register.
    type Vector: Copy;
    /// Numbers in a vector; divides 16.
    const LANES: usize;

    /// `x` in every lane.
    fn splat(self, x: f32) -> Self::Vector;
    /// `a + b`.
    fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `a − b`.
    fn sub(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `a · b`.
    fn mul(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `a / b`.
    fn div(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `a · b + c`, rounded once where the instruction set can.
    fn mul_add(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
    /// The larger one; `b` where either is NaN.
    fn max(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// The smaller one; `b` where either is NaN.
    fn min(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `yes` in the lanes where `a < b`, else `no` (also where either is NaN).
    fn select_less(
        self,
        a: Self::Vector,
        b: Self::Vector,
        yes: Self::Vector,
        no: Self::Vector,
    ) -> Self::Vector;
    /// The lanes' bits shifted left by 23: moves a small integer into the exponent.
    fn shift_into_exponent(self, a: Self::Vector) -> Self::Vector;

    /// The sums of the lanes of four vectors. The order of additions is fixed, the same for each
    /// of the four, and does not depend on the other three.
    fn sums(self, a: [Self::Vector; 4]) -> [f32; 4];

    /// The sum of the lanes, in the order of [`sums`](Simd::sums).
    #[inline(always)]
    fn sum(self, a: Self::Vector) -> f32 {
        let zero = self.splat(0.0);
        self.sums([a, zero, zero, zero])[0]
    }

    /// Asks for a cache line that will be read soon; any address is allowed.
    #[inline(always)]
    fn prefetch(self, _at: *const u8) {}

    /// Reads `LANES` numbers.
    ///
    /// # Safety
    /// `from` is readable for that many; it need not be aligned.
    unsafe fn load(self, from: *const f32) -> Self::Vector;
    /// Reads `LANES` stored numbers of [`Format::F16`](crate::Format::F16).
    ///
    /// # Safety
    /// `from` is readable for that many; it need not be aligned.
    unsafe fn load_f16(self, from: *const u8) -> Self::Vector;
    /// Reads `LANES` stored numbers of [`Format::BF16`](crate::Format::BF16).
    ///
    /// # Safety
    /// `from` is readable for that many; it need not be aligned.
    unsafe fn load_bf16(self, from: *const u8) -> Self::Vector;
    /// Writes `LANES` numbers.
    ///
    /// # Safety
    /// `to` is writable for that many; it need not be aligned.
    unsafe fn store(self, a: Self::Vector, to: *mut f32);

    /// The first `LANES` numbers of a slice.
    ///
    /// # Panics
    /// If there are fewer.
    #[inline(always)]
    fn read(self, from: &[f32]) -> Self::Vector {
        assert!(from.len() >= Self::LANES);
        // SAFETY: long enough by the line above.
        unsafe { self.load(from.as_ptr()) }
    }

    /// Writes the first `LANES` numbers of a slice.
    ///
    /// # Panics
    /// If there are fewer.
    #[inline(always)]
    fn write(self, a: Self::Vector, to: &mut [f32]) {
        assert!(to.len() >= Self::LANES);
        // SAFETY: long enough by the line above.
        unsafe { self.store(a, to.as_mut_ptr()) }
    }

    /// A slice of fewer than `LANES` numbers, the other lanes zero.
    #[inline(always)]
    fn read_partial(self, from: &[f32]) -> Self::Vector {
        let mut padded = [0.0; 16];
        padded[..from.len()].copy_from_slice(from);
        self.read(&padded)
    }

    /// Writes as many lanes as `to` has places, fewer than `LANES`.
    #[inline(always)]
    fn write_partial(self, a: Self::Vector, to: &mut [f32]) {
        let mut padded = [0.0; 16];
        self.write(a, &mut padded);
        to.copy_from_slice(&padded[..to.len()]);
    }

    /// The largest lane.
    #[inline(always)]
    fn largest(self, a: Self::Vector) -> f32 {
        let mut lanes = [f32::NEG_INFINITY; 16];
        self.write(a, &mut lanes);
        lanes.into_iter().fold(f32::NEG_INFINITY, f32::max)
    }
}

/// A storage format as the kernels read it.
pub(crate) trait Stored: Copy {
    /// Bytes of one number.
    const BYTES: usize;

    /// Reads `LANES` stored numbers.
    ///
    /// # Safety
    /// `from` is readable for that many; it need not be aligned.
    unsafe fn load<S: Simd>(s: S, from: *const u8) -> S::Vector;

    /// Reads `count` stored numbers, fewer than `LANES`; the other lanes are zero.
    ///
    /// # Safety
    /// `from` is readable for `count` stored numbers.
    #[inline(always)]
    unsafe fn load_partial<S: Simd>(s: S, from: *const u8, count: usize) -> S::Vector {
        debug_assert!(count <= S::LANES);
        let mut padded = [0u8; 64];
        // SAFETY: readable by the caller's promise; `count` is at most 16, of 4 bytes at most.
        unsafe { std::ptr::copy_nonoverlapping(from, padded.as_mut_ptr(), count * Self::BYTES) };
        // SAFETY: the array holds 16 numbers of any format, and zero bytes mean zero in each.
        unsafe { Self::load(s, padded.as_ptr()) }
    }
}

/// [`Format::F32`](crate::Format::F32).
#[derive(Clone, Copy)]
pub(crate) struct F32;
/// [`Format::F16`](crate::Format::F16).
#[derive(Clone, Copy)]
pub(crate) struct F16;
/// [`Format::BF16`](crate::Format::BF16).
#[derive(Clone, Copy)]
pub(crate) struct Bf16;

impl Stored for F32 {
    const BYTES: usize = 4;
    #[inline(always)]
    unsafe fn load<S: Simd>(s: S, from: *const u8) -> S::Vector {
        // SAFETY: the same promise; `load` takes unaligned pointers.
        unsafe { s.load(from.cast()) }
    }
}

impl Stored for F16 {
    const BYTES: usize = 2;
    #[inline(always)]
    unsafe fn load<S: Simd>(s: S, from: *const u8) -> S::Vector {
        // SAFETY: the same promise.
        unsafe { s.load_f16(from) }
    }
}

impl Stored for Bf16 {
    const BYTES: usize = 2;
    #[inline(always)]
    unsafe fn load<S: Simd>(s: S, from: *const u8) -> S::Vector {
        // SAFETY: the same promise.
        unsafe { s.load_bf16(from) }
    }
}

//! The vectors of the integer kernels: one weight row per lane of 32 bits.

use super::simd::Simd;

/// What the integer kernels need beyond [`Simd`], whose `LANES` are weight rows here.
///
/// A vector of [`Bytes`](Dot::Bytes) holds four neighbouring numbers of each of `LANES` rows. As in
/// `Simd`, methods are safe unless they take a pointer.
pub(crate) trait Dot: Simd {
    /// `LANES · 4` bytes.
    type Bytes: Copy;
    /// Sums of products on their way, in whatever width the instructions give them.
    type Partial: Copy;
    /// `LANES` whole numbers of 32 bits.
    type Ints: Copy;

    /// Whether levels of 8 bits are taken with their sign, and not with 128 added.
    const SIGNED: bool;

    /// How many products of four a partial sum of levels of `bits` bits holds without overflow.
    fn chain(bits: usize) -> usize;

    /// Reads `LANES · 4` bytes.
    ///
    /// # Safety
    /// `from` is readable for that many; it need not be aligned.
    unsafe fn bytes(self, from: *const u8) -> Self::Bytes;
    /// Writes `LANES · 4` bytes.
    ///
    /// # Safety
    /// `to` is writable for that many; it need not be aligned.
    unsafe fn store_bytes(self, a: Self::Bytes, to: *mut u8);
    /// The four numbers at `from` in every lane.
    ///
    /// # Safety
    /// `from` is readable for four bytes.
    unsafe fn four(self, from: *const i8) -> Self::Bytes;
    /// Bytes of zero.
    fn zero_bytes(self) -> Self::Bytes;
    /// `(a >> right) & mask` in every byte; `mask` has no bits that the shift drags in.
    fn field(self, a: Self::Bytes, right: u32, mask: u8) -> Self::Bytes;
    /// `(a << left) & mask` in every byte; `mask` has no bits that the shift drags in.
    fn field_left(self, a: Self::Bytes, left: u32, mask: u8) -> Self::Bytes;
    /// `a | b`.
    fn or(self, a: Self::Bytes, b: Self::Bytes) -> Self::Bytes;
    /// Levels of 8 bits as [`dot`](Dot::dot) takes them: see [`SIGNED`](Dot::SIGNED).
    fn eight(self, a: Self::Bytes) -> Self::Bytes;

    /// No products yet.
    fn begin(self) -> Self::Partial;
    /// Adds the products of four levels of `bits` bits with four numbers from −127 to 127.
    fn dot(self, sum: Self::Partial, w: Self::Bytes, x: Self::Bytes, bits: usize) -> Self::Partial;
    /// Adds a partial sum to whole numbers.
    fn flush(self, sum: Self::Ints, partial: Self::Partial, bits: usize) -> Self::Ints;

    /// `x` in every lane.
    fn ints(self, x: i32) -> Self::Ints;
    /// Reads `LANES` bytes, without or with sign.
    ///
    /// # Safety
    /// `from` is readable for that many.
    unsafe fn ints_u8(self, from: *const u8) -> Self::Ints;
    /// As [`ints_u8`](Dot::ints_u8) of signed bytes.
    ///
    /// # Safety
    /// `from` is readable for `LANES` bytes.
    unsafe fn ints_i8(self, from: *const u8) -> Self::Ints;
    /// `(a >> right) & mask`.
    fn ints_field(self, a: Self::Ints, right: u32, mask: i32) -> Self::Ints;
    /// `a | b << left`.
    fn ints_join(self, a: Self::Ints, b: Self::Ints, left: u32) -> Self::Ints;
    /// `a << left`.
    fn ints_left(self, a: Self::Ints, left: u32) -> Self::Ints;
    /// The largest lane, none being NaN.
    #[inline(always)]
    fn greatest(self, a: Self::Vector) -> f32 {
        self.largest(a)
    }
    /// As numbers with a fraction.
    fn to_f32(self, a: Self::Ints) -> Self::Vector;
    /// The nearest whole numbers, ties to even, of numbers within ±127: stores them as bytes and
    /// returns them.
    ///
    /// # Safety
    /// `to` is writable for `LANES` bytes.
    unsafe fn store_rounded(self, a: Self::Vector, to: *mut i8) -> Self::Vector;
}

/// `n`, of which the compiler knows nothing.
#[inline(always)]
pub(crate) fn opaque(n: usize) -> usize {
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    {
        let mut n = n;
        // SAFETY: no instruction at all.
        unsafe {
            std::arch::asm!("/* {0} */", inout(reg) n, options(pure, nomem, nostack, preserves_flags));
        }
        n
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    n
}

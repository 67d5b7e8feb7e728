//! Products of 16-bit integers, as the kernels see them.

use super::simd::Simd;

/// A vector whose lanes of 32 bits hold an integer each, or a pair of 16-bit integers.
///
/// The first of a pair is in the lower half; in memory a pair is an `i32`. What [`Simd`] says of
/// values of an implementing type holds here too.
pub(crate) trait SimdI16: Simd {
    /// The integer register, of as many lanes as [`Simd::Vector`].
    type Integers: Copy;

    /// Zero in every lane.
    fn zeros(self) -> Self::Integers;
    /// The same pair in every lane.
    fn splat_pair(self, pair: i32) -> Self::Integers;
    /// `sum + a₀ · b₀ + a₁ · b₁` in each lane, for the pairs a and b; wraps around.
    fn add_pair_products(
        self,
        a: Self::Integers,
        b: Self::Integers,
        sum: Self::Integers,
    ) -> Self::Integers;
    /// The integers as numbers.
    fn integers_to_f32(self, a: Self::Integers) -> Self::Vector;
    /// Pairs of the rounded lanes of `first` and of `second`, which are at most 32767 in size.
    fn round_pairs(self, first: Self::Vector, second: Self::Vector) -> Self::Integers;

    /// Reads `LANES` pairs or integers.
    ///
    /// # Safety
    /// `from` is readable for that many; it need not be aligned.
    unsafe fn load_integers(self, from: *const i32) -> Self::Integers;
    /// Writes `LANES` pairs or integers.
    ///
    /// # Safety
    /// `to` is writable for that many; it need not be aligned.
    unsafe fn store_integers(self, a: Self::Integers, to: *mut i32);
    /// Writes `LANES / 2` pairs: the rounded lanes of `a`, at most 32767 in size, each with its
    /// neighbour.
    ///
    /// # Safety
    /// `to` is writable for that many; it need not be aligned.
    unsafe fn store_rounded(self, a: Self::Vector, to: *mut i32);
}

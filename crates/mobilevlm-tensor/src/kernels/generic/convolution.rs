//! Sums over channels-last rows: what the convolution and the mean of the projectors are made of.

use crate::kernels::simd::Simd;

/// `sum ← sum + x · weight`.
#[inline(always)]
pub(crate) fn add_product<S: Simd>(s: S, sum: &mut [f32], x: &[f32], weight: &[f32]) {
    let mut sums = sum.chunks_exact_mut(S::LANES);
    let mut xs = x.chunks_exact(S::LANES);
    let mut weights = weight.chunks_exact(S::LANES);
    for ((sum, x), weight) in (&mut sums).zip(&mut xs).zip(&mut weights) {
        s.write(s.mul_add(s.read(x), s.read(weight), s.read(sum)), sum);
    }
    let (sum, x, weight) = (sums.into_remainder(), xs.remainder(), weights.remainder());
    if !sum.is_empty() {
        let result = s.mul_add(
            s.read_partial(x),
            s.read_partial(weight),
            s.read_partial(sum),
        );
        s.write_partial(result, sum);
    }
}

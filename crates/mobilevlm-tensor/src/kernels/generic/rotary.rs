//! Rotation of the pairs of a head.

use crate::kernels::simd::Simd;

/// Rotates each head of `row`: the pair (x[i], x[i + half]) by the angle whose cosine and sine are
/// `cos[i]`, `sin[i]`, with `half = cos.len()`.
#[inline(always)]
pub(crate) fn rotary<S: Simd>(s: S, row: &mut [f32], cos: &[f32], sin: &[f32]) {
    let half = cos.len();
    for head in row.chunks_exact_mut(2 * half) {
        let (low, high) = head.split_at_mut(half);
        let mut lows = low.chunks_exact_mut(S::LANES);
        let mut highs = high.chunks_exact_mut(S::LANES);
        let mut coses = cos.chunks_exact(S::LANES);
        let mut sines = sin.chunks_exact(S::LANES);
        for ((low, high), (cos, sin)) in (&mut lows)
            .zip(&mut highs)
            .zip((&mut coses).zip(&mut sines))
        {
            let (x, y) = (s.read(low), s.read(high));
            let (cos, sin) = (s.read(cos), s.read(sin));
            s.write(s.sub(s.mul(x, cos), s.mul(y, sin)), low);
            s.write(s.add(s.mul(y, cos), s.mul(x, sin)), high);
        }
        let pairs = lows.into_remainder().iter_mut().zip(highs.into_remainder());
        for ((low, high), (cos, sin)) in pairs.zip(coses.remainder().iter().zip(sines.remainder()))
        {
            let (x, y) = (*low, *high);
            *low = x * cos - y * sin;
            *high = y * cos + x * sin;
        }
    }
}

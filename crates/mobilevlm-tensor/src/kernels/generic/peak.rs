//! The fastest that a table can multiply and add, and read, for [`probe`](crate::probe).

use std::hint::black_box;

use crate::kernels::simd::Simd;

/// `rounds` times: `N` independent multiply-adds of a vector. Returns something that depends on
/// all of them.
#[inline(always)]
pub(crate) fn peak<S: Simd, const N: usize>(s: S, rounds: usize) -> f32 {
    let mut sums = [s.splat(0.0); N];
    for (i, sum) in sums.iter_mut().enumerate() {
        // Opaque, or the compiler would see that all lanes are equal and compute one.
        *sum = black_box(s.splat(i as f32));
    }
    let (factor, term) = (black_box(s.splat(0.999)), black_box(s.splat(1e-3)));
    for _ in 0..rounds {
        for sum in &mut sums {
            // The sum is what is added to, as in the kernels: NEON's instruction writes to that
            // operand, and any other form costs a copy.
            *sum = s.mul_add(factor, term, *sum);
        }
    }
    let mut total = 0.0;
    for sum in sums {
        total += s.sum(sum);
    }
    total
}

/// Reads `x`, but for the end that fills no eight vectors. Returns something that depends on all of
/// it.
#[inline(always)]
pub(crate) fn read<S: Simd>(s: S, x: &[u8]) -> f32 {
    let mut largest = [s.splat(f32::NEG_INFINITY); 8];
    for group in x.chunks_exact(8 * 4 * S::LANES) {
        for (i, largest) in largest.iter_mut().enumerate() {
            // SAFETY: the group holds eight vectors.
            let part = unsafe { s.load(group.as_ptr().add(4 * i * S::LANES).cast()) };
            *largest = s.max(part, *largest);
        }
    }
    let mut all = f32::NEG_INFINITY;
    for largest in largest {
        all = all.max(s.largest(largest));
    }
    all
}

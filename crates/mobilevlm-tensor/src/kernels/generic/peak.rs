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

/// Sums of products of 8-bit numbers, with the instructions that a table's integer kernels use.
pub(crate) trait Int8: Simd {
    /// A register of 32-bit sums, or of 8-bit numbers.
    type Integers: Copy;
    /// Products that [`add_products`](Int8::add_products) takes.
    const PRODUCTS: usize;

    /// `x` in every 32-bit lane.
    fn integers(self, x: i32) -> Self::Integers;
    /// Each 32-bit lane of `sums`, plus the products of those 8-bit numbers of `a` and `b` that lie
    /// in it. Sums wrap; `a` may be read as unsigned, and sums of two products may saturate at 16 bits.
    fn add_products(
        self,
        sums: Self::Integers,
        a: Self::Integers,
        b: Self::Integers,
    ) -> Self::Integers;
    /// The first lane.
    fn first(self, a: Self::Integers) -> i32;
}

/// `rounds` times: `N` independent sums of 8-bit products. Returns something that depends on all of
/// them.
#[inline(always)]
pub(crate) fn int8_peak<S: Int8, const N: usize>(s: S, rounds: usize) -> i32 {
    let mut sums = [s.integers(0); N];
    for (sum, i) in sums.iter_mut().zip(0..) {
        *sum = black_box(s.integers(i));
    }
    let factor = black_box(s.integers(0x0102_0103));
    for _ in 0..rounds {
        for sum in &mut sums {
            // A sum is its own factor, so that no product is the same in the next round.
            *sum = s.add_products(*sum, factor, *sum);
        }
    }
    sums.into_iter().fold(0, |all, sum| all ^ s.first(sum))
}

/// How far ahead memory is asked for.
const AHEAD: usize = 3072;

/// Reads `x`, but for the end that fills no eight vectors. Returns something that depends on all of
/// it.
#[inline(always)]
pub(crate) fn read<S: Simd>(s: S, x: &[u8]) -> f32 {
    let mut largest = [s.splat(f32::NEG_INFINITY); 8];
    for group in x.chunks_exact(8 * 4 * S::LANES) {
        // As the kernels of a step do: without it, narrow vectors read a fifth slower.
        for line in (0..group.len()).step_by(64) {
            s.prefetch(group.as_ptr().wrapping_add(AHEAD + line));
        }
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

#[cfg(test)]
mod tests {
    use crate::tables;

    #[test]
    fn every_round_adds_products_to_every_sum() {
        for table in tables() {
            let Some(kernels) = table.kernels() else {
                println!("{}: skipped", table.name);
                continue;
            };
            // Tile registers have a loop and a test of their own.
            if table.name == "amx" {
                continue;
            }
            let tile = kernels.tile();
            let sums = (tile.peak_operations / (2 * tile.lanes)) as i32;
            // Sum i begins at i, of which the lowest byte is multiplied with 3; the instructions of
            // two tables add that of two lanes.
            let factor = match table.name {
                "neon" | "neon_i8mm" => 6,
                _ => 3,
            };
            for rounds in [0, 1, 2] {
                let sum = |i| (0..rounds).fold(i, |sum, _| sum + factor * i32::from(sum as i8));
                let expected = (0..sums).fold(0, |all, i| all ^ sum(i));
                assert_eq!(kernels.int8_peak(rounds), expected, "{}", table.name);
            }
        }
    }
}

//! Whether the processor's tile registers compute what the emulated ones do.

use super::emulation::Emulation;
use super::tiles::{ROW_BYTES, ROWS, SUMS, Shapes, Sources, TOGETHER, Unit, steps};
use crate::kernels::generic::quantise::TILE_ROW;

/// Whether the registers of `T` give the sums of the emulated ones, for each length of sub-blocks,
/// with every byte that a weight can have and levels of both signs.
///
/// # Safety
/// The promise of [`Unit::configure`].
pub(super) unsafe fn agree<T: Unit>() -> bool {
    [16, 32].into_iter().all(|numbers| {
        let case = Case::new(numbers);
        // SAFETY: the caller's promise; emulated registers need nothing.
        unsafe { case.run::<T>() == case.run::<Emulation>() }
    })
}

/// Sub-blocks to multiply.
pub(super) struct Case {
    numbers: usize,
    /// Groups of 32 numbers, `[16 rows][32]` each: four, of which sub-blocks of 16 fill two.
    x: Vec<i8>,
    /// `[TOGETHER][numbers / 4][64]`
    w: Vec<u8>,
}

impl Case {
    pub(super) fn new(numbers: usize) -> Case {
        // Odd factors, so that all bytes occur and no two rows are alike.
        let x = (0..TOGETHER * ROWS * TILE_ROW).map(|at| ((at * 37 + at / 251) % 255) as i32 - 127);
        let w = (0..TOGETHER * numbers / 4 * ROW_BYTES).map(|at| (at * 89 + at / 256) as u8);
        Case {
            numbers,
            x: x.map(|level| level as i8).collect(),
            w: w.collect(),
        }
    }

    /// # Safety
    /// The promise of [`Unit::configure`].
    pub(super) unsafe fn run<T: Unit>(&self) -> Vec<i32> {
        let [odd, even] = steps(self.numbers);
        let mut sums = vec![0; TOGETHER * SUMS];
        let from = Sources {
            x: self.x.as_ptr(),
            odd,
            even,
            w: self.w.as_ptr(),
            step: self.numbers * ROWS,
        };
        // SAFETY: by the caller's promise, and the vectors are as long as the sub-blocks.
        unsafe { T::configure(&Shapes::new(self.numbers)).products(&from, sums.as_mut_ptr()) };
        sums
    }

    /// Number `k` of sub-block `block` of row `i`.
    #[cfg(test)]
    pub(super) fn x(&self, block: usize, i: usize, k: usize) -> i32 {
        let number = block * self.numbers + k;
        i32::from(self.x[(number / TILE_ROW * ROWS + i) * TILE_ROW + number % TILE_ROW])
    }

    /// Number `k` of sub-block `block` of weight row `j`.
    #[cfg(test)]
    pub(super) fn w(&self, block: usize, j: usize, k: usize) -> i32 {
        let quad = (block * self.numbers + k) / 4;
        i32::from(self.w[quad * ROW_BYTES + 4 * j + k % 4])
    }
}

//! Whether the processor's tile registers compute what the emulated ones do.

use super::emulation::Emulation;
use super::tiles::{Operands, ROW_NUMBERS, ROWS, SIDE, SUMS, Shapes, Unit};

/// Whether the registers of `T` give the sums of the emulated ones, with registers full and in
/// part, and the same peak. The numbers are whole and so small that every sum is exact, in whatever
/// order it is taken.
///
/// # Safety
/// The promise of [`Unit::configure`].
pub(super) unsafe fn agree<T: Unit>() -> bool {
    let cases = [(16, false), (16, true), (15, true), (1, false)];
    let products = cases.into_iter().all(|(rows, accumulate)| {
        let case = Case::new(rows, accumulate);
        // SAFETY: the caller's promise; emulated registers need nothing.
        unsafe { case.run::<T>() == case.run::<Emulation>() }
    });
    // SAFETY: as above.
    let peaks = unsafe {
        let shapes = Shapes::new(ROWS);
        [
            T::configure(&shapes).peak(3),
            Emulation::configure(&shapes).peak(3),
        ]
    };
    products && peaks[0] == peaks[1]
}

/// Times 32 numbers of a [`Case`].
const STEPS: usize = 3;

/// Rows to multiply.
pub(super) struct Case {
    rows: usize,
    accumulate: bool,
    /// As [`Operands::x`].
    x: Vec<u16>,
    /// As [`Operands::w`].
    w: Vec<u16>,
}

/// A whole number of at most eight bits in bfloat16.
fn bf16(x: i32) -> u16 {
    ((x as f32).to_bits() >> 16) as u16
}

impl Case {
    pub(super) fn new(rows: usize, accumulate: bool) -> Case {
        // Odd factors, so that no two rows are alike.
        let x =
            (0..STEPS * SIDE * rows * ROW_NUMBERS).map(|at| ((at * 37 + at / 251) % 255) as i32);
        let w =
            (0..STEPS * SIDE * ROWS * ROW_NUMBERS).map(|at| ((at * 89 + at / 256) % 253) as i32);
        Case {
            rows,
            accumulate,
            x: x.map(|x| bf16(x - 127)).collect(),
            w: w.map(|w| bf16(w - 126)).collect(),
        }
    }

    /// # Safety
    /// The promise of [`Unit::configure`].
    pub(super) unsafe fn run<T: Unit>(&self) -> Vec<f32> {
        let mut sums: Vec<f32> = (0..SIDE * SIDE * SUMS).map(|at| at as f32).collect();
        let operands = Operands {
            x: self.x.as_ptr(),
            w: self.w.as_ptr(),
            sums: sums.as_mut_ptr(),
            steps: STEPS,
            rows: self.rows,
            accumulate: self.accumulate,
        };
        // SAFETY: by the caller's promise, and the vectors are as long as the operands say.
        unsafe { T::configure(&Shapes::new(self.rows)).products(&operands) };
        sums
    }

    /// Where the sum of row `i` of `x` and weight row `j` is.
    #[cfg(test)]
    pub(super) fn sum(&self, i: usize, j: usize) -> usize {
        let register = i / self.rows * SIDE + j / ROWS;
        register * SUMS + i % self.rows * ROWS + j % ROWS
    }

    /// What it should be.
    #[cfg(test)]
    pub(super) fn expected(&self, i: usize, j: usize) -> f32 {
        let number = |bits: u16| f32::from_bits(u32::from(bits) << 16);
        let (rows, mut sum) = (self.rows, 0.0);
        for k in 0..STEPS * ROW_NUMBERS {
            let (step, k) = (k / ROW_NUMBERS, k % ROW_NUMBERS);
            let x = ((step * SIDE + i / rows) * rows + i % rows) * ROW_NUMBERS + k;
            let row = (step * SIDE + j / ROWS) * ROWS + k / 2;
            let w = row * ROW_NUMBERS + 2 * (j % ROWS) + k % 2;
            sum += number(self.x[x]) * number(self.w[w]);
        }
        sum + if self.accumulate {
            self.sum(i, j) as f32
        } else {
            0.0
        }
    }
}

//! The tile instructions in plain Rust, after their definition in Intel's manual.

use super::tiles::{PEAK_SUMS, ROW_BYTES, ROWS, SUMS, Shapes, Sources, Unit};
use crate::kernels::generic::quantise::TILE_ROW;

/// Emulated tile registers.
pub(super) struct Emulation {
    shapes: Shapes,
    registers: [[u8; ROWS * ROW_BYTES]; 8],
}

impl Emulation {
    /// `tileloadd`.
    ///
    /// # Safety
    /// `from` is readable for the register's rows, `stride` bytes from one to the next.
    unsafe fn load(&mut self, register: usize, from: *const u8, stride: usize) {
        let rows = usize::from(self.shapes.rows[register]);
        let bytes = usize::from(self.shapes.row_bytes[register]);
        let register = &mut self.registers[register];
        register.fill(0);
        for (i, row) in register.chunks_exact_mut(ROW_BYTES).take(rows).enumerate() {
            // SAFETY: readable by the caller's promise.
            let from = unsafe { std::slice::from_raw_parts(from.add(i * stride), bytes) };
            row[..bytes].copy_from_slice(from);
        }
    }

    /// `tilestored`.
    ///
    /// # Safety
    /// As [`load`](Emulation::load), of writing.
    unsafe fn store(&self, to: *mut u8, stride: usize, register: usize) {
        let rows = usize::from(self.shapes.rows[register]);
        let bytes = usize::from(self.shapes.row_bytes[register]);
        let register = self.registers[register].chunks_exact(ROW_BYTES);
        for (i, row) in register.take(rows).enumerate() {
            // SAFETY: writable by the caller's promise.
            unsafe { std::ptr::copy_nonoverlapping(row.as_ptr(), to.add(i * stride), bytes) };
        }
    }

    /// `tilezero`.
    fn zero(&mut self, register: usize) {
        self.registers[register].fill(0);
    }

    /// `tdpbssd` and `tdpbsud`, which differ in what a byte of `b` means.
    ///
    /// # Panics
    /// Where the processor raises an exception: the registers are the same or their shapes do not
    /// fit.
    fn dot(&mut self, c: usize, a: usize, b: usize, meaning: fn(u8) -> i32) {
        let Shapes {
            row_bytes, rows, ..
        } = self.shapes;
        assert!(c != a && a != b && b != c);
        assert!(rows[c] == rows[a] && row_bytes[c] == row_bytes[b]);
        assert!(usize::from(row_bytes[a]) == 4 * usize::from(rows[b]));
        for m in 0..usize::from(rows[c]) {
            for k in 0..usize::from(rows[b]) {
                for n in 0..usize::from(row_bytes[c]) / 4 {
                    let at = m * ROW_BYTES + 4 * n;
                    let mut sum = [0; 4];
                    sum.copy_from_slice(&self.registers[c][at..at + 4]);
                    let mut sum = i32::from_le_bytes(sum);
                    for byte in 0..4 {
                        let a = self.registers[a][m * ROW_BYTES + 4 * k + byte];
                        let b = self.registers[b][k * ROW_BYTES + 4 * n + byte];
                        sum = sum.wrapping_add(signed(a) * meaning(b));
                    }
                    self.registers[c][at..at + 4].copy_from_slice(&sum.to_le_bytes());
                }
            }
        }
    }
}

fn signed(byte: u8) -> i32 {
    i32::from(byte as i8)
}

/// The sequences of the processor's tile registers, instruction by instruction.
impl Unit for Emulation {
    unsafe fn configure(shapes: &Shapes) -> Emulation {
        Emulation {
            shapes: *shapes,
            registers: [[0; ROWS * ROW_BYTES]; 8],
        }
    }

    unsafe fn products(&mut self, from: &Sources, sums: *mut i32) {
        let (mut x, mut w) = (from.x.cast::<u8>(), from.w);
        for register in 0..4 {
            self.zero(register);
        }
        let steps = [from.odd, from.even, from.odd, 0];
        for (c, x_step) in steps.into_iter().enumerate() {
            let (a, b) = (4 + c % 2, 6 + c % 2);
            // SAFETY: readable by the caller's promise.
            unsafe {
                self.load(a, x, TILE_ROW);
                self.load(b, w, ROW_BYTES);
            }
            self.dot(c, a, b, i32::from);
            x = x.wrapping_add(x_step);
            w = w.wrapping_add(from.step);
        }
        for c in 0..4 {
            // SAFETY: writable by the caller's promise.
            unsafe { self.store(sums.add(c * SUMS).cast(), ROW_BYTES, c) };
        }
    }

    fn peak(&mut self, rounds: usize) -> i32 {
        let ones = [1; ROWS * ROW_BYTES];
        // SAFETY: of both: the array has a register's bytes.
        unsafe {
            self.load(6, ones.as_ptr(), ROW_BYTES);
            self.load(7, ones.as_ptr(), ROW_BYTES);
        }
        for register in 0..PEAK_SUMS {
            self.zero(register);
        }
        for _ in 0..rounds {
            for c in 0..PEAK_SUMS {
                self.dot(c, 6, 7, signed);
            }
        }
        let mut all = 0_i32;
        for c in 0..PEAK_SUMS {
            let mut sums = [0_i32; SUMS];
            // SAFETY: the array has a register's bytes.
            unsafe { self.store(sums.as_mut_ptr().cast(), ROW_BYTES, c) };
            all = all.wrapping_add(sums[0]);
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::amx::check::{Case, agree};

    #[test]
    fn products_are_the_sums_that_they_stand_for() {
        for numbers in [16, 32] {
            let case = Case::new(numbers);
            // SAFETY: emulated registers need nothing.
            let sums = unsafe { case.run::<Emulation>() };
            for block in 0..4 {
                for i in 0..ROWS {
                    for j in 0..ROWS {
                        let expected: i32 = (0..numbers)
                            .map(|k| case.x(block, i, k) * case.w(block, j, k))
                            .sum();
                        let found = sums[(block * ROWS + i) * ROWS + j];
                        assert_eq!(found, expected, "{numbers} numbers, {block}, {i}, {j}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_loop_for_the_peak_adds_every_round() {
        for rounds in [0, 1, 5] {
            // SAFETY: emulated registers need nothing.
            let mut unit = unsafe { Emulation::configure(&Shapes::new(64)) };
            assert_eq!(unit.peak(rounds), (PEAK_SUMS * 64 * rounds) as i32);
        }
    }

    /// Registers that take weights with a sign.
    struct Wrong(Emulation);

    impl Unit for Wrong {
        unsafe fn configure(shapes: &Shapes) -> Wrong {
            // SAFETY: emulated registers need nothing.
            Wrong(unsafe { Emulation::configure(shapes) })
        }

        unsafe fn products(&mut self, from: &Sources, sums: *mut i32) {
            // SAFETY: the same promise.
            unsafe {
                self.0.products(from, sums);
                self.0.dot(3, 5, 7, signed);
                self.0.store(sums.cast(), ROW_BYTES, 3);
            }
        }

        fn peak(&mut self, rounds: usize) -> i32 {
            self.0.peak(rounds)
        }
    }

    #[test]
    fn a_wrong_product_is_noticed() {
        // SAFETY: emulated registers need nothing.
        unsafe {
            assert!(agree::<Emulation>());
            assert!(!agree::<Wrong>());
        }
    }
}

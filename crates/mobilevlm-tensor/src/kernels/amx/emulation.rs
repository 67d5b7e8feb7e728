//! The tile instructions in plain Rust, after their definition in Intel's manual.

use super::tiles::{Operands, PEAK_SUMS, ROW_BYTES, ROWS, SIDE, SUMS, Shapes, Unit};

/// Emulated tile registers.
pub(super) struct Emulation {
    shapes: Shapes,
    registers: [[u8; ROWS * ROW_BYTES]; 8],
}

impl Emulation {
    /// `tileloadd`.
    ///
    /// # Safety
    /// `from` is readable for the register's rows, [`ROW_BYTES`] from one to the next.
    unsafe fn load(&mut self, register: usize, from: *const u8) {
        let bytes = usize::from(self.shapes.rows[register]) * ROW_BYTES;
        let register = &mut self.registers[register];
        register.fill(0);
        // SAFETY: readable by the caller's promise.
        let from = unsafe { std::slice::from_raw_parts(from, bytes) };
        register[..bytes].copy_from_slice(from);
    }

    /// `tilestored`.
    ///
    /// # Safety
    /// As [`load`](Emulation::load), of writing.
    unsafe fn store(&self, to: *mut u8, register: usize) {
        let bytes = usize::from(self.shapes.rows[register]) * ROW_BYTES;
        let from = self.registers[register].as_ptr();
        // SAFETY: writable by the caller's promise.
        unsafe { std::ptr::copy_nonoverlapping(from, to, bytes) };
    }

    /// `tilezero`.
    fn zero(&mut self, register: usize) {
        self.registers[register].fill(0);
    }

    /// The element `n` of row `row` of a register.
    fn element(&self, register: usize, row: usize, n: usize) -> [u8; 4] {
        let mut element = [0; 4];
        element.copy_from_slice(&self.registers[register][row * ROW_BYTES + 4 * n..][..4]);
        element
    }

    /// What the product instructions have in common: `add` adds the products of an element of `a`
    /// with one of `b` to one of `c`.
    ///
    /// # Panics
    /// Where the processor raises an exception: the registers are the same or their shapes do not
    /// fit.
    fn products_of(&mut self, c: usize, a: usize, b: usize, add: fn([[u8; 4]; 3]) -> [u8; 4]) {
        let Shapes {
            row_bytes, rows, ..
        } = self.shapes;
        assert!(c != a && a != b && b != c);
        assert!(rows[c] == rows[a] && row_bytes[c] == row_bytes[b]);
        assert!(usize::from(row_bytes[a]) == 4 * usize::from(rows[b]));
        for m in 0..usize::from(rows[c]) {
            for k in 0..usize::from(rows[b]) {
                for n in 0..usize::from(row_bytes[c]) / 4 {
                    let elements = [(c, m, n), (a, m, k), (b, k, n)];
                    let elements = elements.map(|(of, row, n)| self.element(of, row, n));
                    self.registers[c][m * ROW_BYTES + 4 * n..][..4].copy_from_slice(&add(elements));
                }
            }
        }
    }

    /// `tdpbssd`.
    fn dot_i8(&mut self, c: usize, a: usize, b: usize) {
        self.products_of(c, a, b, |[sum, a, b]| {
            let products = a.iter().zip(b).map(|(a, b)| signed(*a) * signed(b));
            let sum = products.fold(i32::from_le_bytes(sum), i32::wrapping_add);
            sum.to_le_bytes()
        });
    }

    /// `tdpbf16ps`, but for the order in which the processor adds and for numbers next to zero,
    /// which it takes for zero.
    fn dot_bf16(&mut self, c: usize, a: usize, b: usize) {
        self.products_of(c, a, b, |[sum, a, b]| {
            let ([a0, a1], [b0, b1]) = (pair(a), pair(b));
            let sum = a0.mul_add(b0, f32::from_le_bytes(sum));
            a1.mul_add(b1, sum).to_le_bytes()
        });
    }
}

fn signed(byte: u8) -> i32 {
    i32::from(byte as i8)
}

/// Two numbers in bfloat16.
fn pair([a, b, c, d]: [u8; 4]) -> [f32; 2] {
    [
        f32::from_le_bytes([0, 0, a, b]),
        f32::from_le_bytes([0, 0, c, d]),
    ]
}

/// The sequences of the processor's tile registers, instruction by instruction.
impl Unit for Emulation {
    unsafe fn configure(shapes: &Shapes) -> Emulation {
        Emulation {
            shapes: *shapes,
            registers: [[0; ROWS * ROW_BYTES]; 8],
        }
    }

    unsafe fn products(&mut self, operands: &Operands) {
        let (mut x, mut w) = (operands.x.cast::<u8>(), operands.w.cast::<u8>());
        let x_bytes = operands.rows * ROW_BYTES;
        let sums = |c: usize| operands.sums.wrapping_add(c * SUMS).cast::<u8>();
        for c in 0..SIDE * SIDE {
            if operands.accumulate {
                // SAFETY: readable by the caller's promise.
                unsafe { self.load(c, sums(c)) };
            } else {
                self.zero(c);
            }
        }
        for _ in 0..operands.steps {
            // SAFETY: of all: readable by the caller's promise.
            unsafe {
                self.load(6, w);
                self.load(4, x);
                self.load(7, w.wrapping_add(ROWS * ROW_BYTES));
                self.load(5, x.wrapping_add(x_bytes));
            }
            x = x.wrapping_add(SIDE * x_bytes);
            w = w.wrapping_add(SIDE * ROWS * ROW_BYTES);
            self.dot_bf16(0, 4, 6);
            self.dot_bf16(1, 4, 7);
            self.dot_bf16(2, 5, 6);
            self.dot_bf16(3, 5, 7);
        }
        for c in 0..SIDE * SIDE {
            // SAFETY: writable by the caller's promise.
            unsafe { self.store(sums(c), c) };
        }
    }

    fn peak(&mut self, rounds: usize) -> i32 {
        let ones = [1; ROWS * ROW_BYTES];
        // SAFETY: of both: the array has a register's bytes.
        unsafe {
            self.load(6, ones.as_ptr());
            self.load(7, ones.as_ptr());
        }
        for register in 0..PEAK_SUMS {
            self.zero(register);
        }
        for _ in 0..rounds {
            for c in 0..PEAK_SUMS {
                self.dot_i8(c, 6, 7);
            }
        }
        (0..PEAK_SUMS).fold(0_i32, |all, c| {
            all.wrapping_add(i32::from_le_bytes(self.element(c, 0, 0)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::amx::check::{Case, agree};

    #[test]
    fn products_are_the_sums_that_they_stand_for() {
        for rows in [1, 15, 16] {
            for accumulate in [false, true] {
                let case = Case::new(rows, accumulate);
                // SAFETY: emulated registers need nothing.
                let sums = unsafe { case.run::<Emulation>() };
                for i in 0..SIDE * rows {
                    for j in 0..SIDE * ROWS {
                        let found = sums[case.sum(i, j)];
                        assert_eq!(found, case.expected(i, j), "{rows} rows, {i}, {j}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_loop_for_the_peak_adds_every_round() {
        for rounds in [0, 1, 5] {
            // SAFETY: emulated registers need nothing.
            let mut unit = unsafe { Emulation::configure(&Shapes::new(ROWS)) };
            assert_eq!(unit.peak(rounds), (PEAK_SUMS * 64 * rounds) as i32);
        }
    }

    /// Registers that forget the second half of the weight rows.
    struct Wrong(Emulation);

    impl Unit for Wrong {
        unsafe fn configure(shapes: &Shapes) -> Wrong {
            // SAFETY: emulated registers need nothing.
            Wrong(unsafe { Emulation::configure(shapes) })
        }

        unsafe fn products(&mut self, operands: &Operands) {
            // SAFETY: the same promise.
            unsafe {
                self.0.products(operands);
                self.0.store(operands.sums.add(SUMS).cast(), 0);
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

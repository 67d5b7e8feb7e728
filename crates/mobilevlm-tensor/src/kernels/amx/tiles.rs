//! The tile registers: what the kernels ask of them, and the instructions that do it.
//!
//! Stable Rust has no functions for these instructions, so they stand in `asm!` blocks, and since
//! the compiler knows nothing of tile registers, no number stays in one from block to block.

use std::arch::asm;

use crate::kernels::generic::quantise::TILE_ROW;

/// Rows of a tile register, and rows of `x` that are multiplied at once.
pub(super) const ROWS: usize = 16;

/// Bytes of a row of a tile register.
pub(super) const ROW_BYTES: usize = 64;

/// 32-bit sums in a tile register.
pub(super) const SUMS: usize = ROWS * ROW_BYTES / 4;

/// Sub-blocks that are multiplied at once, each into a tile register of its own: a product takes
/// three times as long as the next one has to wait.
pub(super) const TOGETHER: usize = 4;

/// Sums that the loop for the peak keeps.
pub(super) const PEAK_SUMS: usize = 6;

/// What `ldtilecfg` reads: the shape of each tile register.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Shapes {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    /// Bytes of a row.
    pub(super) row_bytes: [u16; 16],
    pub(super) rows: [u8; 16],
}

impl Shapes {
    /// For products of `numbers` numbers: registers 0 to 3 hold sums, `[16 rows of x][16 weight
    /// rows]`, 4 and 5 rows of `x`, `[16][numbers]`, 6 and 7 quads of weights, `[numbers / 4][64]`.
    pub(super) const fn new(numbers: usize) -> Shapes {
        assert!(numbers.is_multiple_of(4) && numbers <= ROW_BYTES);
        let (mut row_bytes, mut rows) = ([0; 16], [0; 16]);
        let mut register = 0;
        while register < 8 {
            row_bytes[register] = match register {
                4 | 5 => numbers as u16,
                _ => ROW_BYTES as u16,
            };
            rows[register] = match register {
                6 | 7 => (numbers / 4) as u8,
                _ => ROWS as u8,
            };
            register += 1;
        }
        Shapes {
            palette: 1,
            start_row: 0,
            reserved: [0; 14],
            row_bytes,
            rows,
        }
    }
}

/// Where [`TOGETHER`] sub-blocks lie.
pub(super) struct Sources {
    /// Levels of sixteen rows of `x`, [`TILE_ROW`] bytes from row to row: the first sub-block.
    pub(super) x: *const i8,
    /// Bytes from the first sub-block of `x` to the second, and from the third to the fourth.
    pub(super) odd: usize,
    /// Bytes from the second sub-block of `x` to the third.
    pub(super) even: usize,
    /// Quads of weights, of the first sub-block.
    pub(super) w: *const u8,
    /// Bytes from one sub-block of weights to the next.
    pub(super) step: usize,
}

/// Bytes from one sub-block of `numbers` to the next in the levels of a tile, `[groups][16][32]`:
/// those of [`Sources::odd`] and [`Sources::even`].
pub(super) const fn steps(numbers: usize) -> [usize; 2] {
    let group = ROWS * TILE_ROW;
    if numbers == TILE_ROW {
        [group, group]
    } else {
        [numbers, group - numbers]
    }
}

/// Tile registers with shapes, the processor's or emulated ones.
pub(super) trait Unit {
    /// Gives the registers their shapes.
    ///
    /// # Safety
    /// The machine and the process may use what the implementation needs, and this thread has no
    /// other value of it.
    unsafe fn configure(shapes: &Shapes) -> Self;

    /// The sums of products of each sub-block, for every row of `x` and weight row, to
    /// `[TOGETHER][16 rows of x][16 weight rows]`. Exact: levels of `x` are signed, weights not.
    ///
    /// # Safety
    /// The sub-blocks of the shapes' length are readable, `sums` writable.
    unsafe fn products(&mut self, from: &Sources, sums: *mut i32);

    /// For shapes of 64 numbers: `rounds` times [`PEAK_SUMS`] independent products of ones, summed.
    /// Returns the sum of the first numbers of all of them.
    fn peak(&mut self, rounds: usize) -> i32;
}

/// The processor's tile registers, from their configuration to their release.
pub(super) struct Hardware(());

impl Drop for Hardware {
    fn drop(&mut self) {
        // SAFETY: the value proves the instruction; it changes nothing but tile registers.
        unsafe { asm!("tilerelease", options(nostack, preserves_flags)) };
    }
}

impl Unit for Hardware {
    #[inline(always)]
    unsafe fn configure(shapes: &Shapes) -> Hardware {
        // SAFETY: the instruction exists by the caller's promise, and reads the 64 bytes of shapes.
        unsafe { asm!("ldtilecfg [{}]", in(reg) shapes, options(nostack, preserves_flags)) };
        Hardware(())
    }

    #[inline(always)]
    unsafe fn products(&mut self, from: &Sources, sums: *mut i32) {
        // SAFETY: the value proves the instructions; memory by the caller's promise.
        unsafe {
            asm!(
                "tilezero tmm0",
                "tilezero tmm1",
                "tilezero tmm2",
                "tilezero tmm3",
                "tileloadd tmm4, [{x} + 1*{x_row}]",
                "tileloadd tmm6, [{w} + 1*{row}]",
                "tdpbsud tmm0, tmm4, tmm6",
                "add {x}, {odd}",
                "add {w}, {step}",
                "tileloadd tmm5, [{x} + 1*{x_row}]",
                "tileloadd tmm7, [{w} + 1*{row}]",
                "tdpbsud tmm1, tmm5, tmm7",
                "add {x}, {even}",
                "add {w}, {step}",
                "tileloadd tmm4, [{x} + 1*{x_row}]",
                "tileloadd tmm6, [{w} + 1*{row}]",
                "tdpbsud tmm2, tmm4, tmm6",
                "add {x}, {odd}",
                "add {w}, {step}",
                "tileloadd tmm5, [{x} + 1*{x_row}]",
                "tileloadd tmm7, [{w} + 1*{row}]",
                "tdpbsud tmm3, tmm5, tmm7",
                "tilestored [{sums} + 1*{row}], tmm0",
                "tilestored [{sums} + 1*{row} + 1024], tmm1",
                "tilestored [{sums} + 1*{row} + 2048], tmm2",
                "tilestored [{sums} + 1*{row} + 3072], tmm3",
                x = inout(reg) from.x => _,
                odd = in(reg) from.odd,
                even = in(reg) from.even,
                w = inout(reg) from.w => _,
                step = in(reg) from.step,
                x_row = in(reg) TILE_ROW,
                row = in(reg) ROW_BYTES,
                sums = in(reg) sums,
                options(nostack),
            );
        }
    }

    #[inline(always)]
    fn peak(&mut self, rounds: usize) -> i32 {
        let ones = Bytes([1; ROWS * ROW_BYTES]);
        let mut sums = [0_i32; PEAK_SUMS * SUMS];
        // SAFETY: the value proves the instructions; they read one array and write the other.
        unsafe {
            asm!(
                "tileloadd tmm6, [{ones} + 1*{row}]",
                "tileloadd tmm7, [{ones} + 1*{row}]",
                "tilezero tmm0",
                "tilezero tmm1",
                "tilezero tmm2",
                "tilezero tmm3",
                "tilezero tmm4",
                "tilezero tmm5",
                "test {rounds}, {rounds}",
                "jz 3f",
                "2:",
                "tdpbssd tmm0, tmm6, tmm7",
                "tdpbssd tmm1, tmm6, tmm7",
                "tdpbssd tmm2, tmm6, tmm7",
                "tdpbssd tmm3, tmm6, tmm7",
                "tdpbssd tmm4, tmm6, tmm7",
                "tdpbssd tmm5, tmm6, tmm7",
                "dec {rounds}",
                "jnz 2b",
                "3:",
                "tilestored [{sums} + 1*{row}], tmm0",
                "tilestored [{sums} + 1*{row} + 1024], tmm1",
                "tilestored [{sums} + 1*{row} + 2048], tmm2",
                "tilestored [{sums} + 1*{row} + 3072], tmm3",
                "tilestored [{sums} + 1*{row} + 4096], tmm4",
                "tilestored [{sums} + 1*{row} + 5120], tmm5",
                ones = in(reg) &raw const ones,
                row = in(reg) ROW_BYTES,
                rounds = inout(reg) rounds => _,
                sums = in(reg) sums.as_mut_ptr(),
                options(nostack),
            );
        }
        sums.chunks_exact(SUMS)
            .fold(0, |all, sum| all.wrapping_add(sum[0]))
    }
}

/// The content of a tile register.
#[repr(align(64))]
struct Bytes<const N: usize>([u8; N]);

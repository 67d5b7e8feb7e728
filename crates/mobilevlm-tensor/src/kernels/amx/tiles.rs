//! The tile registers: what the kernels ask of them, and the instructions that do it.
//!
//! Stable Rust has no functions for these instructions, so they stand in `asm!` blocks, and since
//! the compiler knows nothing of tile registers, no number stays in one from block to block.

use std::arch::asm;

/// Rows of a tile register.
pub(crate) const ROWS: usize = 16;

/// Bytes of a row of a tile register.
pub(crate) const ROW_BYTES: usize = 64;

/// Numbers of 16 bits in a row of a tile register.
pub(crate) const ROW_NUMBERS: usize = ROW_BYTES / 2;

/// 32-bit sums in a tile register.
pub(crate) const SUMS: usize = ROWS * ROW_BYTES / 4;

/// Tile registers of `x`, and of weights, that are multiplied with each other: four products, each
/// into a register of its own, take longer than one has to wait for the next.
pub(crate) const SIDE: usize = 2;

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
    /// For products of `rows` rows of `x`: registers 0 to 3 hold sums, `[rows][16 weight rows]`, 4
    /// and 5 rows of `x`, `[rows][32]`, 6 and 7 pairs of weights, `[16][16 weight rows][2]`.
    pub(super) fn new(rows: usize) -> Shapes {
        assert!((1..=ROWS).contains(&rows));
        let (mut row_bytes, mut all_rows) = ([0; 16], [0; 16]);
        row_bytes[..8].fill(ROW_BYTES as u16);
        all_rows[..6].fill(rows as u8);
        all_rows[6..8].fill(ROWS as u8);
        Shapes {
            palette: 1,
            start_row: 0,
            reserved: [0; 14],
            row_bytes,
            rows: all_rows,
        }
    }
}

/// Where the operands of [`Unit::products`] lie.
pub(super) struct Operands {
    /// bfloat16 `[steps][SIDE][rows][32]`.
    pub(super) x: *const u16,
    /// bfloat16 `[steps][SIDE][16][16 weight rows][2]`.
    pub(super) w: *const u16,
    /// `f32` `[SIDE of x][SIDE of w][16][16 weight rows]`.
    pub(super) sums: *mut f32,
    /// Times 32 numbers of each row.
    pub(super) steps: usize,
    /// Rows of `x` in a register.
    pub(super) rows: usize,
    /// Whether the products are added to what `sums` hold.
    pub(super) accumulate: bool,
}

/// Tile registers with shapes, the processor's or emulated ones.
pub(super) trait Unit {
    /// Gives the registers their shapes.
    ///
    /// # Safety
    /// The machine and the process may use what the implementation needs, and this thread has no
    /// other value of it.
    unsafe fn configure(shapes: &Shapes) -> Self;

    /// The sums of products of bfloat16 numbers, for every row of `x` and weight row.
    ///
    /// # Safety
    /// The rows are those of the shapes, the operands are readable, the sums writable.
    unsafe fn products(&mut self, operands: &Operands);

    /// For shapes of 16 rows: `rounds` times [`PEAK_SUMS`] independent products of 8-bit ones,
    /// summed. Returns the sum of the first numbers of all of them.
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
    unsafe fn products(&mut self, operands: &Operands) {
        let x_bytes = operands.rows * ROW_BYTES;
        // SAFETY: the value proves the instructions; memory by the caller's promise.
        unsafe {
            asm!(
                "test {accumulate}, {accumulate}",
                "jnz 2f",
                "tilezero tmm0",
                "tilezero tmm1",
                "tilezero tmm2",
                "tilezero tmm3",
                "jmp 3f",
                "2:",
                "tileloadd tmm0, [{sums} + 1*{row}]",
                "tileloadd tmm1, [{sums} + 1*{row} + 1024]",
                "tileloadd tmm2, [{sums} + 1*{row} + 2048]",
                "tileloadd tmm3, [{sums} + 1*{row} + 3072]",
                "3:",
                "test {steps}, {steps}",
                "jz 5f",
                "4:",
                // Rows of `x` are used once before many others are: the hint keeps them from
                // driving the weights out of the first-level cache, for a quarter more speed.
                "tileloadd tmm6, [{w} + 1*{row}]",
                "tileloaddt1 tmm4, [{x} + 1*{row}]",
                "add {x}, {x_bytes}",
                "tileloadd tmm7, [{w} + 1*{row} + 1024]",
                "tileloaddt1 tmm5, [{x} + 1*{row}]",
                "add {x}, {x_bytes}",
                "add {w}, 2048",
                "tdpbf16ps tmm0, tmm4, tmm6",
                "tdpbf16ps tmm1, tmm4, tmm7",
                "tdpbf16ps tmm2, tmm5, tmm6",
                "tdpbf16ps tmm3, tmm5, tmm7",
                "dec {steps}",
                "jnz 4b",
                "5:",
                "tilestored [{sums} + 1*{row}], tmm0",
                "tilestored [{sums} + 1*{row} + 1024], tmm1",
                "tilestored [{sums} + 1*{row} + 2048], tmm2",
                "tilestored [{sums} + 1*{row} + 3072], tmm3",
                x = inout(reg) operands.x => _,
                x_bytes = in(reg) x_bytes,
                w = inout(reg) operands.w => _,
                row = in(reg) ROW_BYTES,
                sums = in(reg) operands.sums,
                steps = inout(reg) operands.steps => _,
                accumulate = in(reg) usize::from(operands.accumulate),
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

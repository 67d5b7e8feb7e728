//! What the table needs of the machine and the system beside AVX-512.

use std::arch::x86_64::{__cpuid_count, _xgetbv};
use std::sync::OnceLock;

use super::check::agree;
use super::tiles::Hardware;

/// Bits of EDX of leaf 7.
const AMX_TILE: u32 = 1 << 24;
const AMX_INT8: u32 = 1 << 25;
const AMX_BF16: u32 = 1 << 22;

/// States in XCR0: the configuration of tiles, and their data.
const STATES: u64 = 1 << 17 | 1 << 18;

/// Tile registers, of the sizes that the kernels use, which the system saves.
pub(super) fn tile() -> bool {
    static PRESENT: OnceLock<bool> = OnceLock::new();
    *PRESENT.get_or_init(|| leaf_7() & AMX_TILE != 0 && saved() && registers())
}

/// Products of 8-bit numbers in them.
pub(super) fn int8() -> bool {
    static PRESENT: OnceLock<bool> = OnceLock::new();
    *PRESENT.get_or_init(|| leaf_7() & AMX_INT8 != 0)
}

/// Products of bfloat16 numbers in them.
pub(super) fn bf16() -> bool {
    static PRESENT: OnceLock<bool> = OnceLock::new();
    *PRESENT.get_or_init(|| leaf_7() & AMX_BF16 != 0)
}

/// EDX of leaf 7, where there is one.
fn leaf_7() -> u32 {
    match cpuid(0, 0)[0] {
        0..7 => 0,
        _ => cpuid(7, 0)[3],
    }
}

fn cpuid(leaf: u32, part: u32) -> [u32; 4] {
    let found = __cpuid_count(leaf, part);
    [found.eax, found.ebx, found.ecx, found.edx]
}

/// Whether the system switches tile registers with the threads.
fn saved() -> bool {
    // SAFETY: the detection includes that the system has turned the instruction on.
    is_x86_feature_detected!("xsave") && unsafe { states() } & STATES == STATES
}

#[target_feature(enable = "xsave")]
fn states() -> u64 {
    // SAFETY: register 0 exists wherever the instruction does.
    unsafe { _xgetbv(0) }
}

/// Whether palette 1 has eight registers of 16 rows of 64 bytes.
fn registers() -> bool {
    if cpuid(0, 0)[0] < 0x1d || cpuid(0x1d, 0)[0] < 1 {
        return false;
    }
    let [sizes, row, rows, _] = cpuid(0x1d, 1);
    sizes >> 16 >= 1024 && row & 0xffff >= 64 && row >> 16 >= 8 && rows & 0xffff >= 16
}

/// Whether the system lets this process use tile data, which Linux does when asked. On a machine
/// without tiles there is nothing to ask for.
pub(super) fn permitted() -> bool {
    static PERMITTED: OnceLock<bool> = OnceLock::new();
    *PERMITTED.get_or_init(|| !tile() || ask())
}

#[cfg(target_os = "linux")]
fn ask() -> bool {
    /// `ARCH_REQ_XCOMP_PERM` of the kernel's `asm/prctl.h`.
    const REQUEST: libc::c_long = 0x1023;
    /// The number of the state of tile data.
    const TILE_DATA: libc::c_long = 18;
    // SAFETY: takes numbers and changes nothing but the permission; older kernels refuse it.
    unsafe { libc::syscall(libc::SYS_arch_prctl, REQUEST, TILE_DATA) == 0 }
}

#[cfg(not(target_os = "linux"))]
fn ask() -> bool {
    false
}

/// Whether a product in tiles was right. On a machine that lacks what it needs there is nothing to
/// try.
pub(super) fn checked() -> bool {
    static CHECKED: OnceLock<bool> = OnceLock::new();
    *CHECKED.get_or_init(|| {
        // SAFETY: the registers exist, the system saves them and has given its permission; whoever
        // uses them gives them back before anything else runs on its thread.
        !(tile() && int8() && bf16() && permitted()) || unsafe { agree::<Hardware>() }
    })
}

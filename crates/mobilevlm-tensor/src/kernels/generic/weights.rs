//! Block formats as the integer kernels read them out of panels.
//!
//! Of 32 numbers of each row a format gives eight quads of levels, and for each sub-block of 16 or
//! 32 numbers a scale and what is subtracted: a number is `scale · level − minimum`.

use crate::Format;
use crate::kernels::dot::Dot;
use crate::panel::{Layout, QUAD, ROWS};

/// A block format.
pub(crate) trait Weights {
    /// The order of its panels.
    const LAYOUT: Layout;
    /// Numbers that share a scale: 16 or 32.
    const SUB: usize;
    /// The level that means zero is 2 to this power, for formats without a minimum.
    const OFFSET: u32;

    /// Scale and negative minimum, zero for formats without one, of sub-block `sub` of a unit, for the rows from `row`.
    ///
    /// # Safety
    /// `unit` is readable for a unit's header, and `row + LANES ≤ 16`.
    unsafe fn scales<S: Dot>(s: S, unit: *const u8, sub: usize, row: usize) -> [S::Vector; 2];
}

/// Bits of a level.
pub(crate) const fn bits<W: Weights>() -> usize {
    W::LAYOUT.low + W::LAYOUT.high
}

/// Whether a level that means zero is subtracted from each.
pub(crate) const fn has_offset<S: Dot, W: Weights>() -> bool {
    let signed = S::SIGNED && W::LAYOUT.low == 8;
    !W::LAYOUT.minimum && !signed
}

/// Quads `j` and `j + 4` of the eight of 32 numbers, for `j < 4`.
///
/// # Safety
/// `group` points into a group's first quad, at the first of the rows asked for, and the group is
/// readable.
#[inline(always)]
pub(crate) unsafe fn quads<S: Dot, W: Weights>(s: S, group: *const u8, j: usize) -> [S::Bytes; 2] {
    let at = |vector: usize| {
        // SAFETY: a group has `low + high` vectors of a quad's size.
        unsafe { s.bytes(group.add(vector * QUAD)) }
    };
    let field = j as u32;
    let low = match W::LAYOUT.low {
        8 => return [s.eight(at(j)), s.eight(at(j + 4))],
        4 => {
            let both = at(j);
            [s.field(both, 0, 15), s.field(both, 4, 15)]
        }
        _ => [s.field(at(0), 2 * field, 3), s.field(at(1), 2 * field, 3)],
    };
    let (first, shift) = (W::LAYOUT.low, W::LAYOUT.low as u32);
    let high = match W::LAYOUT.high {
        0 => return low,
        1 => [
            moved(s, at(first), field, shift, 1),
            moved(s, at(first), field + 4, shift, 1),
        ],
        _ => [
            moved(s, at(first), 2 * field, shift, 3),
            moved(s, at(first + 1), 2 * field, shift, 3),
        ],
    };
    [s.or(low[0], high[0]), s.or(low[1], high[1])]
}

/// The bits `mask` at `from`, brought to `to`.
#[inline(always)]
fn moved<S: Dot>(s: S, a: S::Bytes, from: u32, to: u32, mask: u8) -> S::Bytes {
    if from > to {
        s.field(a, from - to, mask << to)
    } else {
        s.field_left(a, to - from, mask << to)
    }
}

/// The f16 number `index` (0 or 1) of each row's block.
///
/// # Safety
/// As [`Weights::scales`].
#[inline(always)]
unsafe fn half<S: Dot>(s: S, unit: *const u8, index: usize, row: usize) -> S::Vector {
    // SAFETY: inside the header.
    unsafe { s.load_f16(unit.add(2 * (index * ROWS + row))) }
}

/// Byte `index` of the packed scales of each row.
///
/// # Safety
/// As [`Weights::scales`].
#[inline(always)]
unsafe fn packed<S: Dot, W: Weights>(s: S, unit: *const u8, index: usize, row: usize) -> S::Ints {
    let halves = 2 * ROWS * (1 + W::LAYOUT.minimum as usize);
    // SAFETY: inside the header.
    unsafe { s.ints_u8(unit.add(halves + index * ROWS + row)) }
}

/// The layout of a block format.
const fn layout(format: Format) -> Layout {
    match format.layout() {
        Some(layout) => layout,
        None => panic!("the format has no blocks"),
    }
}

/// Formats with one scale for 32 numbers.
macro_rules! blocks_of_32 {
    ($($name:ident: offset 2 ^ $offset:literal;)*) => {
        $(#[doc = concat!("[`Format::", stringify!($name), "`]")]
        #[allow(non_camel_case_types, reason = "the names of the formats")]
        pub(crate) struct $name;

        impl Weights for $name {
            const LAYOUT: Layout = layout(Format::$name);
            const SUB: usize = 32;
            const OFFSET: u32 = $offset;

            #[inline(always)]
            unsafe fn scales<S: Dot>(s: S, unit: *const u8, _sub: usize, row: usize) -> [S::Vector; 2] {
                // SAFETY: the same promise.
                let d = unsafe { half(s, unit, 0, row) };
                if Self::LAYOUT.minimum {
                    // SAFETY: the same promise; the format has a second number.
                    [d, unsafe { half(s, unit, 1, row) }]
                } else {
                    [d, s.splat(0.0)]
                }
            }
        })*
    };
}

blocks_of_32! {
    Q8_0: offset 2 ^ 7;
    Q4_0: offset 2 ^ 3;
    Q4_1: offset 2 ^ 0;
    Q5_0: offset 2 ^ 4;
    Q5_1: offset 2 ^ 0;
}

/// Formats with eight scales and minima of 6 bits, for 32 numbers each.
macro_rules! blocks_of_8_times_32 {
    ($($name:ident)*) => {
        $(#[doc = concat!("[`Format::", stringify!($name), "`]")]
        pub(crate) struct $name;

        impl Weights for $name {
            const LAYOUT: Layout = layout(Format::$name);
            const SUB: usize = 32;
            const OFFSET: u32 = 0;

            #[inline(always)]
            unsafe fn scales<S: Dot>(s: S, unit: *const u8, sub: usize, row: usize) -> [S::Vector; 2] {
                // SAFETY: the same promise.
                let byte = |index| unsafe { packed::<S, Self>(s, unit, index, row) };
                let (scale, minimum) = if sub < 4 {
                    (s.ints_field(byte(sub), 0, 63), s.ints_field(byte(sub + 4), 0, 63))
                } else {
                    let low = byte(sub + 4);
                    let (high_scale, high_minimum) = (byte(sub - 4), byte(sub));
                    (
                        s.ints_join(s.ints_field(low, 0, 15), s.ints_field(high_scale, 6, 3), 4),
                        s.ints_join(s.ints_field(low, 4, 15), s.ints_field(high_minimum, 6, 3), 4),
                    )
                };
                // SAFETY: the same promise.
                let (d, dmin) = unsafe { (half(s, unit, 0, row), half(s, unit, 1, row)) };
                let dmin = s.sub(s.splat(0.0), dmin);
                [s.mul(d, s.to_f32(scale)), s.mul(dmin, s.to_f32(minimum))]
            }
        })*
    };
}

blocks_of_8_times_32! { Q4K Q5K }

/// [`Format::Q2K`]
pub(crate) struct Q2K;

impl Weights for Q2K {
    const LAYOUT: Layout = layout(Format::Q2K);
    const SUB: usize = 16;
    const OFFSET: u32 = 0;

    #[inline(always)]
    unsafe fn scales<S: Dot>(s: S, unit: *const u8, sub: usize, row: usize) -> [S::Vector; 2] {
        // SAFETY: the same promise.
        let both = unsafe { packed::<S, Self>(s, unit, sub, row) };
        // SAFETY: the same promise.
        let (d, dmin) = unsafe { (half(s, unit, 0, row), half(s, unit, 1, row)) };
        let dmin = s.sub(s.splat(0.0), dmin);
        let (scale, minimum) = (s.ints_field(both, 0, 15), s.ints_field(both, 4, 15));
        [s.mul(d, s.to_f32(scale)), s.mul(dmin, s.to_f32(minimum))]
    }
}

/// [`Format::Q3K`]
pub(crate) struct Q3K;

impl Weights for Q3K {
    const LAYOUT: Layout = layout(Format::Q3K);
    const SUB: usize = 16;
    const OFFSET: u32 = 2;

    #[inline(always)]
    unsafe fn scales<S: Dot>(s: S, unit: *const u8, sub: usize, row: usize) -> [S::Vector; 2] {
        // SAFETY: the same promise.
        let byte = |index| unsafe { packed::<S, Self>(s, unit, index, row) };
        let low = s.ints_field(byte(sub % 8), sub as u32 / 8 * 4, 15);
        let high = s.ints_field(byte(8 + sub % 4), sub as u32 / 4 * 2, 3);
        let scale = s.sub(s.to_f32(s.ints_join(low, high, 4)), s.splat(32.0));
        // SAFETY: the same promise.
        let d = unsafe { half(s, unit, 0, row) };
        [s.mul(d, scale), s.splat(0.0)]
    }
}

/// [`Format::Q6K`]
pub(crate) struct Q6K;

impl Weights for Q6K {
    const LAYOUT: Layout = layout(Format::Q6K);
    const SUB: usize = 16;
    const OFFSET: u32 = 5;

    #[inline(always)]
    unsafe fn scales<S: Dot>(s: S, unit: *const u8, sub: usize, row: usize) -> [S::Vector; 2] {
        // SAFETY: the same promise; the scales follow one f16 of each row.
        let (d, scale) = unsafe {
            (
                half(s, unit, 0, row),
                s.ints_i8(unit.add(2 * ROWS + sub * ROWS + row)),
            )
        };
        [s.mul(d, s.to_f32(scale)), s.splat(0.0)]
    }
}

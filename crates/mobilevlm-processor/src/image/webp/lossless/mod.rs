//! Lossless WebP (VP8L).
//!
//! Decoded here because a file of two megabytes can make the `image-webp` crate build a gigabyte of
//! Huffman tables: a picture may name 65,536 groups of codes and use one. Here groups that no
//! block uses are read and dropped, and a code takes memory in proportion to its symbols.
//!
//! Source: the WebP Lossless Bitstream Specification (RFC 9649, section 3).

mod bits;
mod codes;
mod transform;

use self::bits::Bits;
use self::codes::Group;
use self::transform::Transform;

/// What is wrong with a bitstream.
pub(super) enum Problem {
    /// It ends before the picture does.
    Truncated,
    /// It breaks a rule.
    Broken(&'static str),
}

/// Bytes of the header: signature, 14 bits of each side less one, an alpha flag, three of version.
const HEADER: usize = 5;

/// Decodes a VP8L bitstream whose header declares `width` and `height`: `[height, width, 3]`.
/// Alpha is read and dropped.
pub(super) fn decode(data: &[u8], width: usize, height: usize) -> Result<Vec<u8>, Problem> {
    if data.len() < HEADER {
        return Err(Problem::Truncated);
    }
    if data[0] != 0x2f || data[4] >> 5 != 0 {
        return Err(Problem::Broken("expected signature 0x2f and version 0"));
    }
    let mut bits = Bits::new(&data[HEADER..]);
    let mut transforms: Vec<Transform> = Vec::new();
    let mut stored_width = width;
    while bits.take(1) == 1 {
        let transform = Transform::read(&mut bits, &mut stored_width, height)?;
        if transforms.iter().any(|known| known.same_kind(&transform)) {
            return Err(Problem::Broken("expected each transform once"));
        }
        transforms.push(transform);
    }
    let mut pixels = read_pixels(&mut bits, stored_width, height, true)?;
    for transform in transforms.iter().rev() {
        transform.undo(&mut pixels, width, height);
    }
    let rgb = pixels.iter().flat_map(|&argb| {
        let [_, r, g, b] = argb.to_be_bytes();
        [r, g, b]
    });
    let mut out = Vec::with_capacity(3 * width * height);
    out.extend(rgb);
    Ok(out)
}

/// Side of a grid of blocks of `2^bits` pixels.
fn blocks(length: usize, bits: u32) -> usize {
    length.div_ceil(1 << bits)
}

/// An entropy-coded picture: `[height, width]` of alpha, red, green, blue from the highest byte.
/// Only the main picture (`main`) may change codes from block to block.
fn read_pixels(
    bits: &mut Bits<'_>,
    width: usize,
    height: usize,
    main: bool,
) -> Result<Vec<u32>, Problem> {
    let cache_bits = if bits.take(1) == 1 { bits.take(4) } else { 0 };
    if cache_bits > 11 {
        return Err(Problem::Broken(
            "expected a colour cache of at most 11 bits",
        ));
    }
    let mut cache = vec![0_u32; if cache_bits > 0 { 1 << cache_bits } else { 0 }];
    let slot = |argb: u32| (0x1e35_a7bd_u32.wrapping_mul(argb) >> (32 - cache_bits)) as usize;

    // Which group each block uses.
    let (block_bits, uses) = if main && bits.take(1) == 1 {
        let block_bits = bits.take(3) + 2;
        let grid = read_pixels(
            bits,
            blocks(width, block_bits),
            blocks(height, block_bits),
            false,
        )?;
        (
            block_bits,
            grid.into_iter().map(|argb| (argb >> 8) as u16).collect(),
        )
    } else {
        (31, vec![0])
    };
    let (groups, places) = Group::read_used(bits, &uses, cache.len())?;
    let across = blocks(width, block_bits);
    let mask = (1_usize << block_bits) - 1;

    let total = width * height;
    let mut pixels = vec![0_u32; total];
    let (mut at, mut x, mut y) = (0, 0, 0);
    let mut group = &groups[0];
    let mut block = usize::MAX;
    while at < total {
        let here = (y >> block_bits) * across + (x >> block_bits);
        if here != block {
            block = here;
            group = &groups[places[usize::from(uses[block])] as usize];
        }
        let symbol = usize::from(group.green.symbol(bits));
        let length = match symbol {
            0..256 => {
                let red = u32::from(group.red.symbol(bits));
                let blue = u32::from(group.blue.symbol(bits));
                let alpha = u32::from(group.alpha.symbol(bits));
                pixels[at] = alpha << 24 | red << 16 | (symbol as u32) << 8 | blue;
                1
            }
            256..280 => {
                let length = bits.number(symbol - 256);
                let symbol = usize::from(group.distance.symbol(bits));
                let code = bits.number(symbol);
                let distance = distance(code, width);
                if distance > at || length > total - at {
                    return Err(Problem::Broken("expected a copy within the picture"));
                }
                for to in at..at + length {
                    pixels[to] = pixels[to - distance];
                }
                length
            }
            _ => {
                pixels[at] = cache[symbol - 280];
                1
            }
        };
        if bits.overrun() {
            return Err(Problem::Truncated);
        }
        if !cache.is_empty() {
            for &argb in &pixels[at..at + length] {
                cache[slot(argb)] = argb;
            }
        }
        at += length;
        x += length;
        if x >= width {
            y += x / width;
            x %= width;
        }
        // A copy may end inside another block.
        if x & mask == 0 || length > 1 {
            block = usize::MAX;
        }
    }
    Ok(pixels)
}

/// How many pixels back a distance code points. The first 120 are near in two dimensions.
fn distance(code: usize, width: usize) -> usize {
    match NEAR.get(code - 1) {
        // The row above, counted in the high digit, and how far to the left, less eight.
        Some(&near) => {
            let back = usize::from(near >> 4) * width + 8;
            back.saturating_sub(usize::from(near & 15)).max(1)
        }
        None => code - NEAR.len(),
    }
}

/// The neighbourhood of a pixel from the nearest outwards, as in the specification's table, a
/// pair `(xi, yi)` written as `yi << 4 | (8 - xi)`.
#[rustfmt::skip]
const NEAR: [u8; 120] = [
    0x18, 0x07, 0x17, 0x19, 0x28, 0x06, 0x27, 0x29, 0x16, 0x1a, 0x26, 0x2a,
    0x38, 0x05, 0x37, 0x39, 0x15, 0x1b, 0x36, 0x3a, 0x25, 0x2b, 0x48, 0x04,
    0x47, 0x49, 0x14, 0x1c, 0x35, 0x3b, 0x46, 0x4a, 0x24, 0x2c, 0x58, 0x45,
    0x4b, 0x34, 0x3c, 0x03, 0x57, 0x59, 0x13, 0x1d, 0x56, 0x5a, 0x23, 0x2d,
    0x44, 0x4c, 0x55, 0x5b, 0x33, 0x3d, 0x68, 0x02, 0x67, 0x69, 0x12, 0x1e,
    0x66, 0x6a, 0x22, 0x2e, 0x54, 0x5c, 0x43, 0x4d, 0x65, 0x6b, 0x32, 0x3e,
    0x78, 0x01, 0x77, 0x79, 0x53, 0x5d, 0x11, 0x1f, 0x64, 0x6c, 0x42, 0x4e,
    0x76, 0x7a, 0x21, 0x2f, 0x75, 0x7b, 0x31, 0x3f, 0x63, 0x6d, 0x52, 0x5e,
    0x00, 0x74, 0x7c, 0x41, 0x4f, 0x10, 0x20, 0x62, 0x6e, 0x30, 0x73, 0x7d,
    0x51, 0x5f, 0x40, 0x72, 0x7e, 0x61, 0x6f, 0x50, 0x71, 0x7f, 0x60, 0x70,
];

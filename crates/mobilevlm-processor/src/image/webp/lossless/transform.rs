//! The four transforms that an encoder may have applied, and their inverses.

use super::bits::Bits;
use super::{Problem, blocks, read_pixels};

/// A transform with its data. `bits`: blocks have `2^bits` pixels a side.
pub(super) enum Transform {
    /// Pixels are differences to a prediction, whose kind the green of each block says.
    Predictor { bits: u32, kinds: Vec<u32> },
    /// Red and blue are differences to shares of green and red, three factors per block.
    Colour { bits: u32, factors: Vec<u32> },
    /// Red and blue are differences to green.
    SubtractGreen,
    /// Green numbers a colour of a palette, `8 >> bits` bits of it per pixel.
    Palette { bits: u32, colours: Vec<u32> },
}

impl Transform {
    /// Reads a transform. A palette of few colours packs pixels and so shrinks `width`.
    pub(super) fn read(
        bits: &mut Bits<'_>,
        width: &mut usize,
        height: usize,
    ) -> Result<Transform, Problem> {
        let kind = bits.take(2);
        match kind {
            0 | 1 => {
                let size = bits.take(3) + 2;
                let data = read_pixels(bits, blocks(*width, size), blocks(height, size), false)?;
                Ok(match kind {
                    0 => Transform::Predictor {
                        bits: size,
                        kinds: data,
                    },
                    _ => Transform::Colour {
                        bits: size,
                        factors: data,
                    },
                })
            }
            2 => Ok(Transform::SubtractGreen),
            _ => {
                let count = bits.take(8) as usize + 1;
                let mut colours = read_pixels(bits, count, 1, false)?;
                for index in 1..count {
                    colours[index] = add(colours[index], colours[index - 1]);
                }
                // Indices beyond the palette mean transparent black.
                colours.resize(256, 0);
                let packed = match count {
                    1..=2 => 3,
                    3..=4 => 2,
                    5..=16 => 1,
                    _ => 0,
                };
                *width = blocks(*width, packed);
                Ok(Transform::Palette {
                    bits: packed,
                    colours,
                })
            }
        }
    }

    pub(super) fn same_kind(&self, other: &Transform) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }

    /// Undoes the transform on a picture that has `width` when it is undone.
    pub(super) fn undo(&self, pixels: &mut Vec<u32>, width: usize, height: usize) {
        // Transforms that come after a palette see packed pixels.
        let stored = pixels.len() / height;
        match self {
            Transform::Predictor { bits, kinds } => predict(pixels, stored, *bits, kinds),
            Transform::Colour { bits, factors } => {
                for (y, row) in pixels.chunks_exact_mut(stored).enumerate() {
                    let blocks = &factors[(y >> bits) * blocks(stored, *bits)..];
                    for (x, argb) in row.iter_mut().enumerate() {
                        *argb = recolour(*argb, blocks[x >> bits]);
                    }
                }
            }
            Transform::SubtractGreen => {
                for argb in pixels {
                    let green = *argb >> 8 & 0xff;
                    *argb = add(*argb, green << 16 | green);
                }
            }
            Transform::Palette { bits: 0, colours } => {
                for argb in pixels {
                    *argb = colours[(*argb >> 8 & 0xff) as usize];
                }
            }
            Transform::Palette { bits, colours } => {
                // From the end, since a row grows over those that follow it.
                pixels.resize(width * height, 0);
                let depth = 8 >> bits;
                for y in (0..height).rev() {
                    for x in (0..width).rev() {
                        let packed = pixels[y * stored + (x >> bits)] >> 8 & 0xff;
                        let index =
                            packed >> (depth * (x & ((1 << bits) - 1))) & ((1 << depth) - 1);
                        pixels[y * width + x] = colours[index as usize];
                    }
                }
            }
        }
    }
}

/// The sum of each channel, modulo 256.
fn add(a: u32, b: u32) -> u32 {
    let alpha_green = (a & 0xff00_ff00).wrapping_add(b & 0xff00_ff00) & 0xff00_ff00;
    let red_blue = (a & 0x00ff_00ff).wrapping_add(b & 0x00ff_00ff) & 0x00ff_00ff;
    alpha_green | red_blue
}

fn recolour(argb: u32, factors: u32) -> u32 {
    let [alpha, red, green, blue] = argb.to_be_bytes();
    let [_, red_to_blue, green_to_blue, green_to_red] = factors.to_be_bytes();
    let share = |factor: u8, level: u8| (i32::from(factor as i8) * i32::from(level as i8)) >> 5;
    let red = red.wrapping_add(share(green_to_red, green) as u8);
    let blue = blue
        .wrapping_add(share(green_to_blue, green) as u8)
        .wrapping_add(share(red_to_blue, red) as u8);
    u32::from_be_bytes([alpha, red, green, blue])
}

fn predict(pixels: &mut [u32], width: usize, bits: u32, kinds: &[u32]) {
    // The first pixel is predicted as black, its row from the left, its column from above.
    pixels[0] = add(pixels[0], 0xff00_0000);
    for x in 1..width {
        pixels[x] = add(pixels[x], pixels[x - 1]);
    }
    let across = blocks(width, bits);
    for (y, row) in (1..).zip((width..pixels.len()).step_by(width)) {
        pixels[row] = add(pixels[row], pixels[row - width]);
        for x in 1..width {
            let at = row + x;
            let kind = kinds[(y >> bits) * across + (x >> bits)] >> 8 & 15;
            // The pixel to the upper right of the last one is the first one of this row.
            let [left, top] = [pixels[at - 1], pixels[at - width]];
            let [top_left, top_right] = [pixels[at - width - 1], pixels[at - width + 1]];
            let prediction = match kind {
                1 => left,
                2 => top,
                3 => top_right,
                4 => top_left,
                5 => average(average(left, top_right), top),
                6 => average(left, top_left),
                7 => average(left, top),
                8 => average(top_left, top),
                9 => average(top, top_right),
                10 => average(average(left, top_left), average(top, top_right)),
                11 => select(left, top, top_left),
                12 => each(|i| clamp(level(left, i) + level(top, i) - level(top_left, i))),
                13 => {
                    let middle = average(left, top);
                    each(|i| {
                        let step = (level(middle, i) - level(top_left, i)) / 2;
                        clamp(level(middle, i) + step)
                    })
                }
                _ => 0xff00_0000,
            };
            pixels[at] = add(pixels[at], prediction);
        }
    }
}

/// Channel `i` of a pixel, the lowest first.
fn level(argb: u32, i: u32) -> i32 {
    (argb >> (8 * i) & 0xff) as i32
}

fn clamp(level: i32) -> u32 {
    level.clamp(0, 255) as u32
}

fn each(channel: impl Fn(u32) -> u32) -> u32 {
    channel(0) | channel(1) << 8 | channel(2) << 16 | channel(3) << 24
}

/// The mean of each channel, rounded down.
fn average(a: u32, b: u32) -> u32 {
    (((a ^ b) & 0xfefe_fefe) >> 1) + (a & b)
}

/// Whichever of left and top is nearer to left + top - top left.
fn select(left: u32, top: u32, top_left: u32) -> u32 {
    let far = |other: u32| -> i32 {
        (0..4)
            .map(|i| (level(other, i) - level(top_left, i)).abs())
            .sum()
    };
    // The distance of left to the estimate is that of top to top left, and the other way round.
    if far(top) < far(left) { left } else { top }
}

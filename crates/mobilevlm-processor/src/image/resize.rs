//! Pillow's bicubic resize, to the last bit.
//!
//! Two passes, first along rows, then along columns, each rounding to 8 bits. The weights are
//! computed in float64 and rounded to 22 fractional bits; everything after that is integers.
//! Upstream of the numbers: `precompute_coeffs`, `normalize_coeffs_8bpc` and `bicubic_filter` in
//! Pillow's `src/libImaging/Resample.c`.

use super::{RgbImage, bands};

/// Fractional bits of a weight: Pillow's `PRECISION_BITS`, `32 - 8 - 2`.
const BITS: u32 = 22;
const HALF: i32 = 1 << (BITS - 1);

/// Resizes with Pillow's bicubic filter: `[H, W, 3]` to `[height, width, 3]`.
///
/// Upstream: `Image.resize((width, height), Resampling.BICUBIC)`, which `CLIPImageProcessor`
/// calls. A pass that would keep its length is skipped, as there.
///
/// # Panics
/// If a length is zero or the picture has other than `3 · width · height` bytes.
pub fn resize(picture: &RgbImage, width: usize, height: usize) -> RgbImage {
    let all = Window {
        left: 0,
        top: 0,
        width,
        height,
    };
    resample(&Canvas::exact(picture), width, height, &all)
}

/// A picture lying on a larger canvas of one colour, which is never built.
pub(crate) struct Canvas<'a> {
    picture: &'a RgbImage,
    /// Width and height of the canvas, in pixels.
    pub(crate) width: usize,
    pub(crate) height: usize,
    left: usize,
    top: usize,
    colour: [u8; 3],
}

/// The part of a resized picture that is wanted, in its pixels.
pub(crate) struct Window {
    pub(crate) left: usize,
    pub(crate) top: usize,
    pub(crate) width: usize,
    pub(crate) height: usize,
}

impl<'a> Canvas<'a> {
    /// The picture alone.
    pub(crate) fn exact(picture: &'a RgbImage) -> Canvas<'a> {
        Canvas {
            picture,
            width: picture.width,
            height: picture.height,
            left: 0,
            top: 0,
            colour: [0; 3],
        }
    }

    /// The picture centred on a square: what [`pad_to_square`](super::pad_to_square) builds.
    pub(crate) fn square(picture: &'a RgbImage, colour: [u8; 3]) -> Canvas<'a> {
        let side = picture.width.max(picture.height);
        Canvas {
            picture,
            width: side,
            height: side,
            left: (side - picture.width) / 2,
            top: (side - picture.height) / 2,
            colour,
        }
    }
}

/// Resizes a canvas to `width` by `height` and computes only `window` of the result.
pub(crate) fn resample(
    canvas: &Canvas<'_>,
    width: usize,
    height: usize,
    window: &Window,
) -> RgbImage {
    let columns = Weights::new(canvas.width, width, window.left, window.width);
    let rows = Weights::new(canvas.height, height, window.top, window.height);

    // First pass: those rows of the picture that the second pass will read.
    let bottom = canvas.top + canvas.picture.height;
    let first = rows.first().clamp(canvas.top, bottom);
    let end = rows.end().clamp(first, bottom);
    let stride = window.width * 3;
    let mut narrow = vec![0; (end - first) * stride];
    let reaches = columns.reaches(canvas);
    let work = canvas.picture.pixels.len();
    bands::fill(&mut narrow, stride, work, |above, lines| {
        for (y, out) in (first + above..).zip(lines.chunks_exact_mut(stride)) {
            let row = canvas.picture.row(y - canvas.top);
            for (reach, pixel) in reaches.iter().zip(out.as_chunks_mut().0) {
                *pixel = reach.apply(row);
            }
        }
    });

    // A row of the border is its colour after the first pass too: the weights of a pixel add up
    // to 2^22 within the rounding of a few dozen of them, far less than the half that rounds.
    let border = canvas.colour.repeat(window.width);
    let row_of = |y: usize| match y.checked_sub(first) {
        Some(row) if y < end => &narrow[row * stride..][..stride],
        _ => &border[..],
    };
    let mut pixels = vec![0; window.height * stride];
    let mut sums = vec![0; stride];
    for (taps, out) in rows.taps.iter().zip(pixels.chunks_exact_mut(stride)) {
        taps.down_columns(&rows.values, row_of, &mut sums, out);
    }
    RgbImage {
        width: window.width,
        height: window.height,
        pixels,
    }
}

/// The weights of one direction: a run of inputs for each output.
struct Weights {
    taps: Vec<Taps>,
    /// Fixed-point weights of all runs, one after the other.
    values: Vec<i32>,
}

/// The inputs of one output: `inputs` from `first` on, their weights from `offset` on.
struct Taps {
    first: usize,
    inputs: usize,
    offset: usize,
}

impl Weights {
    /// The weights for outputs `start..start + count` of a line resized from `from` to `to`.
    fn new(from: usize, to: usize, start: usize, count: usize) -> Weights {
        let mut weights = Weights {
            taps: Vec::with_capacity(count),
            values: Vec::new(),
        };
        let scale = from as f64 / to as f64;
        let stretch = scale.max(1.0);
        let support = 2.0 * stretch;
        let shrink = 1.0 / stretch;
        let mut line = Vec::new();
        for output in start..start + count {
            if from == to {
                weights.push(output, &[1.0]);
                continue;
            }
            let centre = (output as f64 + 0.5) * scale;
            // Casts truncate towards zero and clip below at zero, as wanted.
            let first = (centre - support + 0.5) as usize;
            let end = ((centre + support + 0.5) as usize).min(from);
            line.clear();
            line.extend((first..end).map(|input| bicubic((input as f64 - centre + 0.5) * shrink)));
            let sum: f64 = line.iter().sum();
            if sum != 0.0 {
                line.iter_mut().for_each(|weight| *weight /= sum);
            }
            weights.push(first, &line);
        }
        weights
    }

    fn push(&mut self, first: usize, line: &[f64]) {
        self.taps.push(Taps {
            first,
            inputs: line.len(),
            offset: self.values.len(),
        });
        let fixed = |weight: f64| {
            let scaled = weight * f64::from(1 << BITS);
            // Half away from zero.
            (scaled + if weight < 0.0 { -0.5 } else { 0.5 }) as i32
        };
        self.values.extend(line.iter().map(|&weight| fixed(weight)));
    }

    /// The first input that any output reads.
    fn first(&self) -> usize {
        self.taps.first().map_or(0, |taps| taps.first)
    }

    /// The input behind the last one that any output reads.
    fn end(&self) -> usize {
        self.taps.last().map_or(0, |taps| taps.first + taps.inputs)
    }

    /// What each output of the first pass takes from a row of the picture.
    fn reaches(&self, canvas: &Canvas<'_>) -> Vec<Reach<'_>> {
        let (left, right) = (canvas.left, canvas.left + canvas.picture.width);
        let reach = |taps: &Taps| {
            let weights = &self.values[taps.offset..][..taps.inputs];
            let place = |x: usize| x.saturating_sub(taps.first).min(taps.inputs);
            let (before, inside) = weights.split_at(place(left));
            let (inside, after) = inside.split_at(place(right) - before.len());
            let border: i32 = before.iter().chain(after).sum();
            Reach {
                base: canvas.colour.map(|level| HALF + i32::from(level) * border),
                first: (taps.first + before.len())
                    .saturating_sub(left)
                    .min(canvas.picture.width),
                weights: inside,
            }
        };
        self.taps.iter().map(reach).collect()
    }
}

/// One output of the first pass. The border to both sides of the picture has one colour, so it is
/// summed once for all rows: the cost is that of the picture, however large its canvas.
struct Reach<'a> {
    /// The half that rounds, and the border's part.
    base: [i32; 3],
    /// The first pixel of a row of the picture, and the weights from there on.
    first: usize,
    weights: &'a [i32],
}

impl Reach<'_> {
    /// The output from `row`, `[W, 3]`.
    fn apply(&self, row: &[u8]) -> [u8; 3] {
        let mut sums = self.base;
        let inputs = &row[self.first * 3..][..self.weights.len() * 3];
        for (input, &weight) in inputs.as_chunks::<3>().0.iter().zip(self.weights) {
            sums[0] += i32::from(input[0]) * weight;
            sums[1] += i32::from(input[1]) * weight;
            sums[2] += i32::from(input[2]) * weight;
        }
        sums.map(level)
    }
}

impl Taps {
    /// Second pass: one row of the result, from the rows that `row_of` gives.
    fn down_columns<'a>(
        &self,
        values: &[i32],
        row_of: impl Fn(usize) -> &'a [u8],
        sums: &mut [i32],
        out: &mut [u8],
    ) {
        sums.fill(HALF);
        for (input, &weight) in values[self.offset..][..self.inputs].iter().enumerate() {
            for (sum, &value) in sums.iter_mut().zip(row_of(self.first + input)) {
                *sum += i32::from(value) * weight;
            }
        }
        for (level_out, &sum) in out.iter_mut().zip(sums.iter()) {
            *level_out = level(sum);
        }
    }
}

/// A sum with 22 fractional bits (and the half added) as a level.
fn level(sum: i32) -> u8 {
    (sum >> BITS).clamp(0, 255) as u8
}

/// The cubic convolution kernel with a = -0.5, in Pillow's order of operations.
fn bicubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    let x = x.abs();
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}

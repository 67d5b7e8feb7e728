//! A square picture that shapes are painted on, with smooth edges.

use mobilevlm_processor::RgbImage;

/// Red, green and blue, from 0 to 255.
pub(crate) type Rgb = [f32; 3];

/// A rectangle: left, top, right, bottom, in sides of the picture.
pub(crate) type Bounds = [f32; 4];

/// A picture being painted.
pub(crate) struct Canvas {
    size: usize,
    /// `[size, size]`, row by row from the top.
    pixels: Vec<Rgb>,
}

impl Canvas {
    /// `colour`: what the row at this height has, from 0 at the top to 1.
    pub(crate) fn new(size: usize, colour: impl Fn(f32) -> Rgb) -> Canvas {
        let row = |y: usize| vec![colour((y as f32 + 0.5) / size as f32); size];
        Canvas {
            size,
            pixels: (0..size).flat_map(row).collect(),
        }
    }

    /// Pixels in a side.
    pub(crate) fn side(&self) -> f32 {
        self.size as f32
    }

    /// Paints what lies within `bounds` and has a negative distance.
    ///
    /// `distance(x, y)`: how far a place is from the edge, negative inside, in sides of the
    /// picture. A pixel is covered by as much as the edge's line through it leaves: from all at
    /// half a pixel inside to nothing at half a pixel outside.
    /// `colour(x, y, distance)`: what is painted there.
    pub(crate) fn fill(
        &mut self,
        bounds: Bounds,
        distance: impl Fn(f32, f32) -> f32,
        colour: impl Fn(f32, f32, f32) -> Rgb,
    ) {
        let side = self.side();
        let [left, top, right, bottom] =
            bounds.map(|at| (at * side).clamp(-2.0, side + 2.0) as isize);
        let range = |low: isize, high: isize| {
            let within = |at: isize| at.clamp(0, self.size as isize) as usize;
            within(low - 1)..within(high + 2)
        };
        let (rows, columns) = (range(top, bottom), range(left, right));
        for row in rows {
            let y = (row as f32 + 0.5) / side;
            for column in columns.clone() {
                let x = (column as f32 + 0.5) / side;
                let d = distance(x, y);
                let cover = (0.5 - d * side).clamp(0.0, 1.0);
                if cover > 0.0 {
                    let pixel = &mut self.pixels[row * self.size + column];
                    *pixel = blend(*pixel, colour(x, y, d), cover);
                }
            }
        }
    }

    /// The picture in bytes.
    pub(crate) fn finish(self) -> RgbImage {
        let byte = |value: f32| (value + 0.5).clamp(0.0, 255.0) as u8;
        RgbImage {
            width: self.size,
            height: self.size,
            pixels: self.pixels.iter().flatten().map(|&v| byte(v)).collect(),
        }
    }
}

/// From `a` at 0 to `b` at 1.
pub(crate) fn blend(a: Rgb, b: Rgb, share: f32) -> Rgb {
    [0, 1, 2].map(|i| a[i] + (b[i] - a[i]) * share)
}

/// Bytes as a colour to paint with.
pub(crate) fn rgb(bytes: [u8; 3]) -> Rgb {
    bytes.map(f32::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edge_through_the_middle_of_pixels_covers_half_of_them() {
        let mut canvas = Canvas::new(4, |_| [0.0; 3]);
        let everywhere = [0.0, 0.0, 1.0, 1.0];
        // Everything left of the middle of the third column.
        canvas.fill(everywhere, |x, _| x - 2.5 / 4.0, |_, _, _| [200.0; 3]);
        let picture = canvas.finish();
        let row: Vec<u8> = picture.row(1).iter().step_by(3).copied().collect();
        assert_eq!(row, [200, 200, 100, 0]);
    }

    #[test]
    fn what_lies_outside_is_left_out() {
        let mut canvas = Canvas::new(4, |_| [7.0; 3]);
        canvas.fill([-9.0, -9.0, -5.0, 9.0], |_, _| -1.0, |_, _, _| [200.0; 3]);
        assert_eq!(canvas.finish(), RgbImage::filled(4, 4, [7; 3]));
    }
}

//! From components to RGB.

use super::frame::Frame;

/// What the components mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Colours {
    Gray,
    Rgb,
    YCbCr,
    Cmyk,
    Ycck,
}

impl Colours {
    /// What libjpeg assumes, from the markers of JFIF and Adobe (its transform) and the
    /// components' ids. Upstream: `default_decompress_parms` in `jdapimin.c`.
    pub(super) fn guess(frame: &Frame, jfif: bool, adobe: Option<u8>) -> Colours {
        let ids: Vec<u8> = frame.components.iter().map(|c| c.id).collect();
        match (ids.as_slice(), adobe) {
            ([_], _) => Colours::Gray,
            ([_, _, _, _], None | Some(0)) => Colours::Cmyk,
            ([_, _, _, _], Some(_)) => Colours::Ycck,
            (_, _) if jfif => Colours::YCbCr,
            (_, Some(0)) | (b"RGB", None) => Colours::Rgb,
            _ => Colours::YCbCr,
        }
    }

    /// One row: `rows` `[components][width]` to `out` `[width, 3]`.
    ///
    /// Four components are ink as Adobe stores it, inverted, whether an Adobe marker says so or
    /// not: that is Pillow's rule, and its `convert("RGB")` comes in the same step.
    pub(super) fn convert(self, rows: &[Vec<u8>], out: &mut [u8]) {
        let out = out.as_chunks_mut::<3>().0.iter_mut();
        match (self, rows) {
            (Colours::Rgb, [r, g, b]) => {
                for (((out, &r), &g), &b) in out.zip(r).zip(g).zip(b) {
                    *out = [r, g, b];
                }
            }
            (Colours::YCbCr, [y, cb, cr]) => {
                for (((out, &y), &cb), &cr) in out.zip(y).zip(cb).zip(cr) {
                    *out = ycc_to_rgb(y, cb, cr);
                }
            }
            (Colours::Cmyk, [c, m, y, k]) => {
                for ((((out, &c), &m), &y), &k) in out.zip(c).zip(m).zip(y).zip(k) {
                    *out = [c, m, y].map(|ink| inked(ink, k));
                }
            }
            (Colours::Ycck, [y, cb, cr, k]) => {
                for ((((out, &y), &cb), &cr), &k) in out.zip(y).zip(cb).zip(cr).zip(k) {
                    *out = ycc_to_rgb(y, cb, cr).map(|level| inked(255 - level, k));
                }
            }
            (_, [gray, ..]) => {
                for (out, &gray) in out.zip(gray) {
                    *out = [gray; 3];
                }
            }
            (_, []) => {}
        }
    }
}

/// With 16 fractional bits. Upstream: `build_ycc_rgb_table` and `ycc_rgb_convert` in `jdcolor.c`.
#[inline]
fn ycc_to_rgb(y: u8, cb: u8, cr: u8) -> [u8; 3] {
    const HALF: i32 = 1 << 15;
    let (y, cb, cr) = (i32::from(y), i32::from(cb) - 128, i32::from(cr) - 128);
    let r = y + ((91_881 * cr + HALF) >> 16); // 1.40200
    let g = y + ((-22_554 * cb - 46_802 * cr + HALF) >> 16); // 0.34414, 0.71414
    let b = y + ((116_130 * cb + HALF) >> 16); // 1.77200
    [r, g, b].map(|level| level.clamp(0, 255) as u8)
}

/// A channel under ink: `stored` and `k` are inverted, as Adobe stores them. Pillow: the inverted
/// ink is `255 - stored`, and `k - round((255 - stored) * k / 255)` remains (`cmyk2rgb` and
/// `MULDIV255` in `Convert.c`).
#[inline]
fn inked(stored: u8, k: u8) -> u8 {
    let product = u32::from(255 - stored) * u32::from(k) + 128;
    let rounded = ((product >> 8) + product) >> 8;
    (u32::from(k) - rounded) as u8
}

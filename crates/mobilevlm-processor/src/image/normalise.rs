//! From levels to the floats that a tower reads.

use super::RgbImage;

/// `(level / 255 - mean[c]) / std[c]` for each pixel, channels first.
///
/// `[H, W, 3]` of levels to `[3, H, W]` of float32. Upstream: `rescale` and `normalize` of
/// `CLIPImageProcessor`: the product with 1/255 is computed in float64 and rounded to float32, the
/// difference and the quotient are float32 operations.
pub fn normalise(picture: &RgbImage, mean: [f32; 3], std: [f32; 3]) -> Vec<f32> {
    let plane = picture.width * picture.height;
    let mut out = Vec::with_capacity(3 * plane);
    for channel in 0..3 {
        let floats: [f32; 256] = std::array::from_fn(|level| {
            let rescaled = (level as f64 * (1.0 / 255.0)) as f32;
            (rescaled - mean[channel]) / std[channel]
        });
        let levels = picture.pixels.iter().skip(channel).step_by(3);
        out.extend(levels.map(|&level| floats[usize::from(level)]));
    }
    out
}

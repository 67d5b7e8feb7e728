//! The preparation of pictures: pixels after padding, resizing and cropping, and their floats.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use mobilevlm_processor::{Aspect, Exif, Limits, Preprocessor, RgbImage, decode, normalise};
use serde::{Deserialize, Serialize};

use super::files::{self, Recorded, content};
use crate::error::CliError;

/// Of a lossy picture, levels that a value may be off: decoders round differently.
const LOSSY_LEVELS: u8 = 5;
/// Of a lossy picture, the share of values that may be more than one level off.
const LOSSY_SHARE: f64 = 0.10;

/// OpenAI's constants (`preprocessor_config.json` of openai/clip-vit-large-patch14-336).
const MEAN: [f32; 3] = [0.48145466, 0.4578275, 0.40821073];
const STD: [f32; 3] = [0.26862954, 0.261_302_6, 0.275_777_1];

/// A row of `index.json`. Other keys are not needed.
#[derive(Deserialize)]
pub(super) struct Row {
    pub(super) file: String,
    picture: String,
    mode: String,
    size: usize,
}

/// What came out for the whole folder.
#[derive(Serialize)]
pub(super) struct Report {
    pictures: Vec<PictureReport>,
    /// Tensors of floats that were compared, all of which must be equal to the last bit.
    float_tensors: usize,
}

#[derive(Serialize)]
struct PictureReport {
    file: String,
    /// Whether decoding is exact, so that every pixel must be equal.
    lossless: bool,
    /// The largest difference in levels.
    max_levels: u8,
    /// The share of values that are more than one level off.
    share_above_one: f64,
    passed: bool,
}

/// Compares every row of the folder's index.
pub(super) fn verify(
    folder: &Path,
    images: Option<&Path>,
    failures: &mut Vec<String>,
) -> Result<Report, CliError> {
    let index_path = folder.join("index.json");
    let rows: Vec<Row> = files::json(&index_path)?;
    if rows.is_empty() {
        return Err(content(&index_path, "expected pictures, found none"));
    }
    let images = match images {
        Some(folder) => files::named_folder(folder)?,
        None => files::first_folder(&[folder.join("images"), folder.join("../images")])
            .ok_or_else(|| {
                CliError::Failed("there is no folder of pictures; name it with --images".to_owned())
            })?,
    };
    let mut pictures = Vec::new();
    for row in &rows {
        pictures.push(compare(row, folder, &images, &index_path, failures)?);
    }
    let floats = folder.join("pixel_values.safetensors");
    let float_tensors = if floats.exists() {
        compare_floats(folder, floats, failures)?
    } else {
        0
    };
    Ok(Report {
        pictures,
        float_tensors,
    })
}

fn compare(
    row: &Row,
    folder: &Path,
    images: &Path,
    index_path: &Path,
    failures: &mut Vec<String>,
) -> Result<PictureReport, CliError> {
    let aspect = match row.mode.as_str() {
        "pad" => Aspect::Pad,
        "square" => Aspect::Square,
        other => {
            let wrong = format!(
                "{}: expected mode `pad` or `square`, found `{other}`",
                row.file
            );
            return Err(content(index_path, wrong));
        }
    };
    let recorded_path = folder.join(&row.file);
    let recorded = files::picture(&recorded_path)?;
    if (recorded.width, recorded.height) != (row.size, row.size) {
        let found = format!("{} x {}", recorded.width, recorded.height);
        return Err(content(
            &recorded_path,
            format!("expected {0} x {0} pixels, found {found}", row.size),
        ));
    }
    let picture_path = images.join(&row.picture);
    let file = std::fs::read(&picture_path).map_err(CliError::read(&picture_path))?;
    let picture =
        decode(&file, &Limits::default(), Exif::Ignore).map_err(|source| CliError::Picture {
            path: picture_path.display().to_string(),
            source: Box::new(source.into()),
        })?;
    let preprocessor = Preprocessor {
        aspect,
        size: row.size,
        mean: MEAN,
        std: STD,
    };
    let prepared = preprocessor.prepare(&picture);

    let lossless = !is_lossy(&file);
    let levels = prepared
        .pixels
        .iter()
        .zip(&recorded.pixels)
        .map(|(a, b)| a.abs_diff(*b));
    let max_levels = levels.clone().max().unwrap_or(0);
    let share_above_one =
        levels.filter(|levels| *levels > 1).count() as f64 / recorded.pixels.len() as f64;
    let passed = match lossless {
        true => prepared == recorded,
        false => max_levels <= LOSSY_LEVELS && share_above_one <= LOSSY_SHARE,
    };
    if !passed {
        let allowed = if lossless {
            "none"
        } else {
            "5 levels, and more than one in at most 10 % of the values,"
        };
        failures.push(format!(
            "{}: {max_levels} levels at most and more than one in {:.1} % of the values; {allowed} is allowed",
            row.file,
            100.0 * share_above_one
        ));
    }
    Ok(PictureReport {
        file: row.file.clone(),
        lossless,
        max_levels,
        share_above_one,
        passed,
    })
}

/// Whether a file's decoders may differ in rounding: JPEG, and WebP with a `VP8 ` chunk.
fn is_lossy(file: &[u8]) -> bool {
    if file.starts_with(b"RIFF") && file.get(8..12) == Some(b"WEBP") {
        let mut rest = file.get(12..).unwrap_or_default();
        while let Some((head, body)) = rest.split_first_chunk::<8>() {
            if head.starts_with(b"VP8 ") {
                return true;
            }
            let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
            // Chunks are padded to an even length.
            rest = length
                .checked_add(length % 2)
                .and_then(|length| body.get(length..))
                .unwrap_or_default();
        }
        return false;
    }
    file.starts_with(&[0xff, 0xd8])
}

/// Compares every tensor of floats with what this engine makes of the recorded pixels.
fn compare_floats(
    folder: &Path,
    path: PathBuf,
    failures: &mut Vec<String>,
) -> Result<usize, CliError> {
    let recorded = Recorded::open(path)?;
    let names = recorded.names()?;
    if names.is_empty() {
        return Err(content(recorded.path(), "expected tensors, found none"));
    }
    for name in &names {
        let (floats, shape) = match name.as_str() {
            "levels" => (normalised_levels(), vec![256, 3]),
            picture => {
                let pixels = files::picture(&folder.join(format!("{picture}.png")))?;
                let shape = vec![3, pixels.height, pixels.width];
                (normalise(&pixels, MEAN, STD), shape)
            }
        };
        // A tensor that is named is there.
        let expected = recorded.get(name, &shape)?.unwrap_or_default();
        let same = |(a, b): &(&f32, &f32)| a.to_bits() == b.to_bits();
        let equal = floats.iter().zip(&expected).take_while(same).count();
        if equal < floats.len().max(expected.len()) {
            failures.push(format!(
                "pixel_values {name}: value {equal} is {:?}, recorded is {:?}",
                floats.get(equal),
                expected.get(equal)
            ));
        }
    }
    Ok(names.len())
}

/// `[256, 3]`: the float of each level in each channel.
fn normalised_levels() -> Vec<f32> {
    let pixels = (0..=255).flat_map(|level| [level; 3]).collect();
    let by_channel = normalise(
        &RgbImage {
            width: 256,
            height: 1,
            pixels,
        },
        MEAN,
        STD,
    );
    (0..256)
        .flat_map(|level| [0, 1, 2].map(|channel| by_channel[channel * 256 + level]))
        .collect()
}

impl Report {
    pub(super) fn print(&self, out: &mut impl Write) -> io::Result<()> {
        let worst = |lossless: bool| {
            let of_kind = || {
                self.pictures
                    .iter()
                    .filter(move |picture| picture.lossless == lossless)
            };
            let levels = of_kind()
                .map(|picture| picture.max_levels)
                .max()
                .unwrap_or(0);
            let share = of_kind()
                .map(|picture| picture.share_above_one)
                .fold(0.0, f64::max);
            (of_kind().count(), levels, 100.0 * share)
        };
        let (count, levels, _) = worst(true);
        writeln!(
            out,
            "lossless pictures: {count}, at most {levels} levels off"
        )?;
        let (count, levels, share) = worst(false);
        writeln!(
            out,
            "lossy pictures: {count}, at most {levels} levels off, more than one in at most {share:.1} %"
        )?;
        writeln!(out, "tensors of floats: {}\n", self.float_tensors)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lossy_files_are_told_by_their_bytes() {
        let webp = |chunks: &[&[u8]]| [b"RIFF\0\0\0\0WEBP".as_slice(), &chunks.concat()].concat();
        assert!(is_lossy(&[0xff, 0xd8, 0xff, 0xe0]));
        assert!(is_lossy(&webp(&[b"VP8 \x02\0\0\0ab"])));
        assert!(is_lossy(&webp(&[
            b"VP8X\x01\0\0\0a\0",
            b"ALPH\0\0\0\0",
            b"VP8 \0\0\0\0"
        ])));
        assert!(!is_lossy(&webp(&[
            b"VP8X\x01\0\0\0a\0",
            b"VP8L\x04\0\0\0VP8 "
        ])));
        assert!(!is_lossy(&webp(&[b"VP8X\xff\xff\xff\xffa"])));
        assert!(!is_lossy(b"\x89PNG"));
        assert!(!is_lossy(b""));
    }
}

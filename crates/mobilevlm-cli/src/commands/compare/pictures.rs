//! The pictures that models are compared with.

use std::path::{Path, PathBuf};

use mobilevlm::{Picture, RgbImage};

use crate::args::ExifMode;
use crate::error::CliError;
use crate::plan;

/// Width and height of a drawing, about what towers take.
const SIDE: usize = 336;

/// A picture that is not read yet.
#[derive(Debug)]
pub(super) enum Source {
    File(PathBuf),
    Drawing(fn(usize, usize) -> [u8; 3]),
}

/// The files of a folder that are called like pictures, by name, or a few drawings.
///
/// # Errors
/// [`CliError::File`] if the folder cannot be read, [`CliError::Content`] if there is none in it.
pub(super) fn sources(folder: Option<&Path>) -> Result<Vec<Source>, CliError> {
    let Some(folder) = folder else {
        return Ok([sunset, board, rings].map(Source::Drawing).into());
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(CliError::read(folder))? {
        let path = entry.map_err(CliError::read(folder))?.path();
        if path.is_file() && plan::is_called_like_a_picture(&path) {
            files.push(path);
        }
    }
    files.sort();
    match files.is_empty() {
        true => Err(CliError::Content {
            path: folder.display().to_string(),
            wrong: "expected pictures (.jpg, .png, .webp, .bmp, .gif), found none".to_owned(),
        }),
        false => Ok(files.into_iter().map(Source::File).collect()),
    }
}

impl Source {
    /// The picture.
    ///
    /// # Errors
    /// As [`plan::read_picture`].
    pub(super) fn read(&self) -> Result<Picture, CliError> {
        match self {
            Source::File(path) => plan::read_picture(path, ExifMode::On),
            Source::Drawing(colour) => Ok(draw(*colour)),
        }
    }
}

fn draw(colour: fn(usize, usize) -> [u8; 3]) -> Picture {
    let mut image = RgbImage::filled(SIDE, SIDE, [0; 3]);
    for (index, pixel) in image.pixels.chunks_exact_mut(3).enumerate() {
        pixel.copy_from_slice(&colour(index % SIDE, index / SIDE));
    }
    Picture::from_image(image)
}

/// The square of the distance from a place.
fn distance2(x: usize, y: usize, (to_x, to_y): (usize, usize)) -> usize {
    x.abs_diff(to_x).pow(2) + y.abs_diff(to_y).pow(2)
}

/// A yellow disc in a sky that goes from blue to orange, above dark water.
fn sunset(x: usize, y: usize) -> [u8; 3] {
    let low = (y * 255 / SIDE) as u8;
    match y {
        _ if y > 240 => [20, 40, 60 + low / 8],
        _ if distance2(x, y, (220, 190)) < 40 * 40 => [255, 230, 90],
        _ => [low, 90 + low / 4, 230 - low / 2],
    }
}

/// A board of black and white squares with a red one.
fn board(x: usize, y: usize) -> [u8; 3] {
    match (x / 42, y / 42) {
        (5, 2) => [210, 30, 30],
        (column, row) if (column + row) % 2 == 0 => [245, 245, 240],
        _ => [25, 25, 30],
    }
}

/// Three rings side by side: green, blue, violet.
fn rings(x: usize, y: usize) -> [u8; 3] {
    let centres = [(80, 168), (168, 168), (256, 168)];
    let colours = [[40, 160, 70], [40, 80, 200], [140, 50, 170]];
    let on_ring = |&centre: &(usize, usize)| (44 * 44..56 * 56).contains(&distance2(x, y, centre));
    centres
        .iter()
        .position(on_ring)
        .map_or([250, 250, 250], |ring| colours[ring])
}

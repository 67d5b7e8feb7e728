//! What the frozen tower sees in pictures, kept on disk if asked for.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use burn::tensor::{Tensor, TensorData};
use mobilevlm_data::Finding;
use mobilevlm_processor::Preprocessor;
use sha2::{Digest, Sha256};

use super::samples::Picture;
use crate::model::{VisionTower, values};

/// Bytes of the checksum at the end of a file.
const CHECKSUM: usize = 8;

/// Encodes pictures, one at a time: what comes out depends on the picture alone, not on those
/// beside it, so that a run that is resumed with another cache goes on with the same bits.
#[derive(Debug)]
pub(super) struct Features {
    tower: VisionTower,
    preprocessor: Preprocessor,
    cache: Option<PathBuf>,
    /// Numbers of a picture: patches times the tower's width.
    count: usize,
}

impl Features {
    /// `tower` is on a device without autodiff and gives features of `width` numbers a patch;
    /// `cache` is a folder that other towers may use too.
    pub(super) fn new(
        tower: VisionTower,
        width: usize,
        preprocessor: Preprocessor,
        cache: Option<&Path>,
    ) -> Features {
        let cache = cache.map(|folder| folder.join(key(&tower, &preprocessor)));
        Features {
            count: tower.patches() * width,
            tower,
            preprocessor,
            cache,
        }
    }

    pub(super) fn tower(&self) -> &VisionTower {
        &self.tower
    }

    /// The features of a picture, `[P, V]`.
    pub(super) fn of(&self, picture: &Picture) -> Result<Vec<f32>, Finding> {
        let Some(folder) = &self.cache else {
            return self.encode(picture);
        };
        let name: String = picture
            .identity()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        // Not millions of files in one folder.
        let path = folder.join(&name[..2]).join(&name[2..]);
        if let Some(known) = self.read(&path) {
            return Ok(known);
        }
        let features = self.encode(picture)?;
        // A cache that cannot be written costs time, and nothing else.
        let _ = write(&path, &features);
        Ok(features)
    }

    /// What the tower gets of a picture, `[3, S, S]`.
    pub(super) fn pixels(&self, picture: &Picture) -> Result<Vec<f32>, Finding> {
        let side = self.preprocessor.size;
        Ok(match picture.pixels()? {
            Some(pixels) => self
                .preprocessor
                .normalise(&self.preprocessor.prepare(&pixels)),
            None => vec![0.0; 3 * side * side],
        })
    }

    fn encode(&self, picture: &Picture) -> Result<Vec<f32>, Finding> {
        let side = self.preprocessor.size;
        let pixels = self.pixels(picture)?;
        let pixels = TensorData::new(pixels, [1, 3, side, side]);
        let features = self
            .tower
            .forward(Tensor::from_data(pixels, &self.tower.device()));
        Ok(features.into_data().iter::<f32>().collect())
    }

    /// What the file holds, if it is whole.
    fn read(&self, path: &Path) -> Option<Vec<f32>> {
        let bytes = fs::read(path).ok()?;
        let (numbers, checksum) = bytes.split_last_chunk::<CHECKSUM>()?;
        if numbers.len() != self.count * 4 || *checksum != check(numbers) {
            return None;
        }
        let number = |bytes: &[u8; 4]| f32::from_le_bytes(*bytes);
        Some(numbers.as_chunks().0.iter().map(number).collect())
    }
}

/// Not put on the disk by force, as that takes longer than encoding again: a file that a power cut
/// left half is known by its checksum.
fn write(path: &Path, features: &[f32]) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder)?;
    let mut bytes: Vec<u8> = features.iter().flat_map(|x| x.to_le_bytes()).collect();
    bytes.extend(check(&bytes));
    let mut part = tempfile::NamedTempFile::new_in(folder)?;
    part.write_all(&bytes)?;
    let _: File = part.persist(path).map_err(|error| error.error)?;
    Ok(())
}

fn check(bytes: &[u8]) -> [u8; CHECKSUM] {
    let digest: [u8; 32] = Sha256::digest(bytes).into();
    digest.first_chunk().copied().unwrap_or_default()
}

/// All that features depend on but the picture: the tower's weights and sizes, and the picture's
/// way to it.
fn key(tower: &VisionTower, preprocessor: &Preprocessor) -> String {
    let mut digest = Sha256::new();
    for (name, tensor) in values(tower, "vision", |_| true).iter() {
        digest.update(format!("{name} {:?}\n", tensor.shape()));
        digest.update(tensor.data());
    }
    // Activation, heads and the number of blocks are no weights.
    digest.update(format!("{preprocessor:?} {tower:?}"));
    let digest = digest.finalize();
    digest[..16].iter().map(|b| format!("{b:02x}")).collect()
}

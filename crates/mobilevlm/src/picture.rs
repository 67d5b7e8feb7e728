use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use mobilevlm_processor::{Exif, Limits, RgbImage, decode};
use sha2::{Digest, Sha256};

use crate::Error;
use crate::answer::milliseconds;

/// A decoded picture, as a question takes it. Cloning shares the pixels.
#[derive(Clone, Debug)]
pub struct Picture {
    image: Arc<RgbImage>,
    hash: PictureHash,
    prepared: bool,
    read_ms: f64,
}

/// SHA-256 of what a picture's embeds depend on.
pub(crate) type PictureHash = [u8; 32];

impl Picture {
    /// Decodes the bytes of a JPEG, PNG, WebP, BMP or GIF file.
    ///
    /// # Errors
    /// [`Error::Picture`] for what is no picture, is damaged, or exceeds `limits`.
    pub fn decode(bytes: &[u8], limits: &Limits, exif: Exif) -> Result<Picture, Error> {
        let start = Instant::now();
        let image = Arc::new(decode(bytes, limits, exif)?);
        let kind = match exif {
            Exif::Apply => "file, turned",
            Exif::Ignore => "file, as stored",
        };
        let hash = hash(kind, &[bytes]);
        Ok(Picture {
            image,
            hash,
            prepared: false,
            read_ms: milliseconds(start),
        })
    }

    /// A picture that is decoded already.
    pub fn from_image(image: RgbImage) -> Picture {
        Picture::from_pixels("pixels", image, false)
    }

    /// Pixels that are padded, resized and cropped already: what
    /// [`Preprocessor::prepare`](mobilevlm_processor::Preprocessor::prepare) returns.
    pub fn from_prepared(image: RgbImage) -> Picture {
        Picture::from_pixels("prepared pixels", image, true)
    }

    fn from_pixels(kind: &str, image: RgbImage, prepared: bool) -> Picture {
        let size = [image.width, image.height].map(|side| (side as u64).to_le_bytes());
        let hash = hash(kind, &[&size[0], &size[1], &image.pixels]);
        Picture {
            image: Arc::new(image),
            hash,
            prepared,
            read_ms: 0.0,
        }
    }

    /// The pixels.
    pub fn image(&self) -> &RgbImage {
        &self.image
    }

    pub(crate) fn hash(&self) -> PictureHash {
        self.hash
    }

    /// Whether the pixels are what the tower takes.
    pub(crate) fn is_prepared(&self) -> bool {
        self.prepared
    }

    /// Milliseconds that decoding took.
    pub(crate) fn read_ms(&self) -> f64 {
        self.read_ms
    }
}

fn hash(kind: &str, parts: &[&[u8]]) -> PictureHash {
    let mut hash = Sha256::new();
    // The kind ends with a byte that no kind has, so that it cannot run into the content.
    hash.update(kind);
    hash.update([0]);
    parts.iter().for_each(|part| hash.update(part));
    hash.finalize().into()
}

/// The embeds of a picture. Cloning shares them.
#[derive(Clone, Debug)]
pub struct EncodedPicture {
    hash: PictureHash,
    /// `[tokens, width]`
    embeds: Arc<[f32]>,
    width: usize,
    /// What making them cost.
    timings: PictureTimings,
}

/// Milliseconds of each stage of one picture.
#[derive(Clone, Copy, Debug, Default)]
pub struct PictureTimings {
    /// Decoding the file.
    pub image_read: f64,
    /// Padding, resizing, normalising.
    pub preprocess: f64,
    /// The vision tower.
    pub vision: f64,
    /// The projector.
    pub projector: f64,
}

impl std::ops::AddAssign for PictureTimings {
    fn add_assign(&mut self, other: PictureTimings) {
        self.image_read += other.image_read;
        self.preprocess += other.preprocess;
        self.vision += other.vision;
        self.projector += other.projector;
    }
}

impl EncodedPicture {
    pub(crate) fn new(
        hash: PictureHash,
        embeds: Vec<f32>,
        width: usize,
        timings: PictureTimings,
    ) -> EncodedPicture {
        EncodedPicture {
            hash,
            embeds: embeds.into(),
            width,
            timings,
        }
    }

    /// Embeds that were made elsewhere: `[T, width]`, without any cost.
    ///
    /// [`Model::prompt`](crate::Model::prompt) refuses those of another width than the model's.
    pub fn from_embeds(embeds: Vec<f32>, width: usize) -> EncodedPicture {
        let bytes: Vec<u8> = embeds
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        let hash = hash("embeds", &[&(width as u64).to_le_bytes(), &bytes]);
        EncodedPicture::new(hash, embeds, width, PictureTimings::default())
    }

    /// `[T, d]`: what the projector made.
    pub fn embeds(&self) -> &[f32] {
        &self.embeds
    }

    /// Width d of the embeds.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Positions that the picture takes in a prompt.
    pub fn tokens(&self) -> usize {
        self.embeds.len() / self.width
    }

    /// What making the embeds cost; zero where they were at hand.
    pub fn timings(&self) -> PictureTimings {
        self.timings
    }

    pub(crate) fn hash(&self) -> PictureHash {
        self.hash
    }

    pub(crate) fn row(&self, row: usize) -> &[f32] {
        &self.embeds[row * self.width..][..self.width]
    }

    /// The same embeds where they were at hand: only reading the file took time.
    pub(crate) fn at_hand(&self, read_ms: f64) -> EncodedPicture {
        let timings = PictureTimings {
            image_read: read_ms,
            ..PictureTimings::default()
        };
        EncodedPicture {
            timings,
            ..self.clone()
        }
    }
}

/// The embeds of the pictures that a model encoded last, within a bound of bytes.
pub(crate) struct RecentPictures {
    /// The one used last at the end.
    pictures: VecDeque<EncodedPicture>,
    most_bytes: usize,
}

impl RecentPictures {
    pub(crate) fn new(most_bytes: usize) -> RecentPictures {
        RecentPictures {
            pictures: VecDeque::new(),
            most_bytes,
        }
    }

    pub(crate) fn find(&mut self, hash: PictureHash) -> Option<EncodedPicture> {
        let index = self
            .pictures
            .iter()
            .position(|picture| picture.hash == hash)?;
        let picture = self.pictures.remove(index)?;
        self.pictures.push_back(picture.clone());
        Some(picture)
    }

    pub(crate) fn insert(&mut self, picture: EncodedPicture) {
        self.pictures.retain(|other| other.hash != picture.hash);
        self.pictures.push_back(picture);
        while self.bytes() > self.most_bytes {
            self.pictures.pop_front();
        }
    }

    fn bytes(&self) -> usize {
        self.pictures
            .iter()
            .map(|picture| size_of_val(picture.embeds()))
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(name: u8, values: usize) -> EncodedPicture {
        EncodedPicture::new(
            [name; 32],
            vec![0.0; values],
            values,
            PictureTimings::default(),
        )
    }

    #[test]
    fn the_picture_not_used_for_longest_goes_first() {
        let mut recent = RecentPictures::new(2 * 10 * size_of::<f32>());
        recent.insert(encoded(1, 10));
        recent.insert(encoded(2, 10));
        assert!(recent.find([1; 32]).is_some());
        recent.insert(encoded(3, 10));
        assert!(recent.find([2; 32]).is_none());
        assert!(recent.find([1; 32]).is_some());
        assert!(recent.find([3; 32]).is_some());
    }

    #[test]
    fn a_picture_larger_than_the_bound_is_not_kept() {
        let mut recent = RecentPictures::new(10);
        recent.insert(encoded(1, 10));
        assert!(recent.find([1; 32]).is_none());
    }

    #[test]
    fn the_same_bytes_read_differently_are_different_pictures() {
        let image = || RgbImage {
            width: 1,
            height: 2,
            pixels: vec![0; 6],
        };
        let turned = RgbImage {
            width: 2,
            height: 1,
            pixels: vec![0; 6],
        };
        let hash = Picture::from_image(image()).hash();
        assert_eq!(hash, Picture::from_image(image()).hash());
        assert_ne!(hash, Picture::from_image(turned).hash());
        assert_ne!(hash, Picture::from_prepared(image()).hash());
    }
}

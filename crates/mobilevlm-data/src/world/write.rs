//! Writes samples as files: LLaVA's JSON and PNG.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::ops::{ControlFlow, Range};
use std::path::{Path, PathBuf};

use mobilevlm_processor::RgbImage;
use serde::Serialize;

use super::{Exchange, Kind, Sample, Split, VERSION, World, WorldError};
use crate::sample::{IMAGE_MARK, Message};

/// Pictures in a folder at most.
const IN_A_FOLDER: u64 = 1000;

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Written {
    /// The samples: `samples.json` in the folder. Pictures are named relative to the folder.
    pub samples: PathBuf,
    /// How many of them have a picture.
    pub pictures: u64,
}

/// A row of `samples.json`.
#[derive(Serialize)]
struct Row<'a> {
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<&'a str>,
    conversations: Vec<Message>,
    /// Not LLaVA's: readers pass it over.
    kinds: Vec<&'static str>,
}

/// What `world.json` says about the folder.
#[derive(Serialize)]
struct Origin {
    version: u32,
    seed: u64,
    split: &'static str,
    kind: Option<&'static str>,
    first: u64,
    count: u64,
    size: usize,
}

impl World {
    /// Writes samples of a part into a new folder: `samples.json`, `images/`, and `world.json`,
    /// which says what they are. The folder appears when it is complete, or not at all.
    ///
    /// `kind`: only samples of this kind, as [`World::sample_of`] gives them; else all, as
    /// [`World::sample`] does. `on_progress(done, total)` may stop it.
    ///
    /// # Errors
    /// [`WorldError::Exists`] if `folder` is there; [`WorldError::Write`] with what the system
    /// says; [`WorldError::Stopped`]. What was written by then is removed.
    pub fn write(
        &self,
        folder: &Path,
        split: Split,
        kind: Option<Kind>,
        indices: Range<u64>,
        on_progress: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
    ) -> Result<Written, WorldError> {
        if fs::symlink_metadata(folder).is_ok() {
            return Err(WorldError::Exists {
                path: folder.to_owned(),
            });
        }
        let pending = Pending::create(folder)?;
        let pictures = self.fill(&pending.path, split, kind, indices, on_progress)?;
        pending.put(folder)?;
        Ok(Written {
            samples: folder.join("samples.json"),
            pictures,
        })
    }

    fn fill(
        &self,
        folder: &Path,
        split: Split,
        kind: Option<Kind>,
        indices: Range<u64>,
        on_progress: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
    ) -> Result<u64, WorldError> {
        let origin = Origin {
            version: VERSION,
            seed: self.options().seed,
            split: split.name(),
            kind: kind.map(Kind::name),
            first: indices.start,
            count: indices.end.saturating_sub(indices.start),
            size: self.options().size,
        };
        let path = folder.join("world.json");
        let text = serde_json::to_vec_pretty(&origin).map_err(io::Error::from);
        text.and_then(|text| fs::write(&path, text))
            .map_err(error_at(&path))?;

        let path = folder.join("samples.json");
        let file = File::create_new(&path).map_err(error_at(&path))?;
        let mut rows = BufWriter::with_capacity(1 << 20, file);
        let mut pictures = 0;
        let total = origin.count;
        for (done, index) in indices.enumerate() {
            let sample = match kind {
                Some(kind) => self.sample_of(kind, split, index),
                None => self.sample(split, index),
            };
            let mut image = None;
            if let Some(picture) = self.image(&sample) {
                let group = format!("images/{:05}", pictures / IN_A_FOLDER);
                if pictures.is_multiple_of(IN_A_FOLDER) {
                    let path = folder.join(&group);
                    fs::create_dir_all(&path).map_err(error_at(&path))?;
                }
                let name = format!("{group}/{}.png", sample.id);
                let path = folder.join(&name);
                fs::write(&path, png(&picture)).map_err(error_at(&path))?;
                image = Some(name);
                pictures += 1;
            }
            let before = if done == 0 { "[\n" } else { ",\n" };
            let row = row(&sample, image.as_deref());
            let text = serde_json::to_string(&row).map_err(io::Error::from);
            text.and_then(|text| write!(rows, "{before}{text}"))
                .map_err(error_at(&path))?;
            if on_progress(done as u64 + 1, total).is_break() {
                return Err(WorldError::Stopped);
            }
        }
        let end = if total == 0 { "[]\n" } else { "\n]\n" };
        rows.write_all(end.as_bytes()).map_err(error_at(&path))?;
        let file = rows.into_inner().map_err(|error| error.into_error());
        file.and_then(|file| file.sync_all())
            .map_err(error_at(&path))?;
        Ok(pictures)
    }
}

fn row<'a>(sample: &'a Sample, image: Option<&'a str>) -> Row<'a> {
    Row {
        id: &sample.id,
        image,
        conversations: sample.messages(),
        kinds: sample.exchanges.iter().map(|e| e.kind.name()).collect(),
    }
}

impl Sample {
    /// The exchanges as messages of a training sample, the picture marked before the first
    /// question.
    pub fn messages(&self) -> Vec<Message> {
        let exchanges = self.exchanges.iter().enumerate();
        exchanges
            .flat_map(|(place, exchange)| {
                let question = match place {
                    0 if self.scene.is_some() => format!("{IMAGE_MARK}\n{}", exchange.question),
                    _ => exchange.question.clone(),
                };
                let answer = exchange.answer.clone();
                [Message::new("human", question), Message::new("gpt", answer)]
            })
            .collect()
    }

    /// Every exchange as a sample of its own about the same scene.
    pub fn turns(&self) -> Vec<Sample> {
        let alone = |exchange: &Exchange| Sample {
            exchanges: vec![exchange.clone()],
            ..self.clone()
        };
        self.exchanges.iter().map(alone).collect()
    }
}

/// A picture as the bytes of a PNG file.
pub fn png(picture: &RgbImage) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, picture.width as u32, picture.height as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Balanced);
    encoder
        .write_header()
        .and_then(|mut writer| writer.write_image_data(&picture.pixels))
        .expect("memory takes every byte, and a picture has as many as its sides say");
    bytes
}

fn error_at(path: &Path) -> impl FnOnce(io::Error) -> WorldError {
    let path = path.to_owned();
    move |source| WorldError::Write { path, source }
}

/// A folder beside the one to make, removed unless it has taken that one's name.
struct Pending {
    path: PathBuf,
    is_done: bool,
}

impl Pending {
    fn create(folder: &Path) -> Result<Pending, WorldError> {
        let Some(name) = folder.file_name() else {
            let none = io::Error::new(io::ErrorKind::InvalidInput, "the path has no name");
            return Err(error_at(folder)(none));
        };
        if let Some(above) = folder.parent() {
            fs::create_dir_all(above).map_err(error_at(above))?;
        }
        let mut sibling = name.to_owned();
        sibling.push(format!(".{}.part", std::process::id()));
        let path = folder.with_file_name(sibling);
        fs::create_dir(&path).map_err(error_at(&path))?;
        Ok(Pending {
            path,
            is_done: false,
        })
    }

    fn put(mut self, folder: &Path) -> Result<(), WorldError> {
        fs::rename(&self.path, folder).map_err(error_at(folder))?;
        self.is_done = true;
        Ok(())
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if !self.is_done {
            // An error is already on its way to the caller; a second one would hide it.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

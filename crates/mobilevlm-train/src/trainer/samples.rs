//! Where samples come from: a LLaVA file with its pictures, or the synthetic world.

use std::fs::File;
use std::io::Read;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use mobilevlm_data::world::{self, World};
use mobilevlm_data::{
    Checker, Finding, Grouping, IndexPlace, Labelled, Labeller, Pictures, Problem, Rows, Sample,
};
use mobilevlm_processor::{Exif, Limits, RgbImage, decode};
use sha2::{Digest, Sha256};

use super::error::TrainError;
use crate::recipe::{DataSource, WorldData};
use crate::run::RunError;

/// The samples of a run, by their numbers.
#[derive(Debug)]
pub(super) struct Samples {
    source: Source,
    labeller: Labeller,
    /// Whether samples that are masked whole are kept. Upstream keeps them.
    keep_masked: bool,
}

#[derive(Debug)]
enum Source {
    Llava {
        rows: Rows,
        pictures: Pictures,
        /// SHA-256 of the file of rows.
        hash: String,
    },
    World {
        world: World,
        data: WorldData,
    },
}

/// A picture that is not decoded or drawn yet.
#[derive(Debug)]
pub(super) enum Picture {
    /// The bytes of a file, and its name.
    File(String, Vec<u8>),
    /// A scene of the world.
    Scene(World, Box<world::Sample>),
    /// A sample that marks a picture and has none gets one that is 0 all over after
    /// normalisation, as upstream's.
    None,
}

impl Samples {
    /// Opens them; nothing but names and places is read. `side`: of the tower's pictures, in
    /// pixels.
    pub(super) fn open(
        source: &DataSource,
        side: usize,
        labeller: Labeller,
        keep_masked: bool,
        stop: &dyn Fn() -> bool,
    ) -> Result<Samples, TrainError> {
        let source = match source {
            DataSource::Llava {
                data_path,
                image_folders,
            } => {
                let mut go_on = |_, _| match stop() {
                    true => ControlFlow::Break(()),
                    false => ControlFlow::Continue(()),
                };
                Source::Llava {
                    rows: Rows::open(data_path, &IndexPlace::Beside, &mut go_on)?,
                    pictures: open_pictures(data_path, image_folders)?,
                    hash: hash_file(data_path)?,
                }
            }
            DataSource::World(data) => Source::World {
                world: World::new(data.options(side))?,
                data: data.clone(),
            },
            DataSource::Texts(_) => {
                let wrong = "expected samples with pictures, found files of text";
                return Err(TrainError::key("data.texts", wrong));
            }
        };
        Ok(Samples {
            source,
            labeller,
            keep_masked,
        })
    }

    pub(super) fn len(&self) -> usize {
        match &self.source {
            Source::Llava { rows, .. } => rows.len(),
            Source::World { data, .. } => usize::try_from(data.count).unwrap_or(usize::MAX),
        }
    }

    pub(super) fn labeller(&self) -> &Labeller {
        &self.labeller
    }

    /// What the samples are known by: a run goes on with the same ones only.
    pub(super) fn identity(&self) -> String {
        match &self.source {
            Source::Llava { rows, hash, .. } => format!("{} rows, SHA-256 {hash}", rows.len()),
            // Seed, size and number are keys of the recipe.
            Source::World { .. } => format!("world, version {}", world::VERSION),
        }
    }

    /// What the order groups by: words, negative without a picture.
    pub(super) fn lengths(&self, grouping: Grouping) -> Vec<i32> {
        match &self.source {
            Source::Llava { rows, .. } => rows.modality_lengths(),
            // Nobody looks at them: composing a world takes its time.
            Source::World { .. } if grouping == Grouping::None => vec![1; self.len()],
            Source::World { world, data } => (0..data.count)
                .map(|index| self::sample(&data.sample(world, index)).modality_length())
                .collect(),
        }
    }

    /// Sample `index` as ids and labels, and its picture if a place is marked for one. It is one
    /// row, but for [`WorldData::turns_apart`]; all rows are about the one picture.
    pub(super) fn load(&self, index: usize) -> Result<(Vec<Labelled>, Option<Picture>), Finding> {
        let (rows, picture) = match &self.source {
            Source::Llava { rows, pictures, .. } => {
                let (labelled, picture) = self.load_row(rows, pictures, index)?;
                (vec![labelled], picture)
            }
            Source::World { world, data } => {
                let sample = data.sample(world, index as u64);
                let rows = match data.turns_apart {
                    true => {
                        let turns = sample.turns();
                        let rows = turns.iter().map(|turn| self.label_scene(turn));
                        rows.collect::<Result<_, _>>()?
                    }
                    false => vec![self.label_scene(&sample)?],
                };
                (rows, Picture::Scene(*world, Box::new(sample)))
            }
        };
        let marked = rows.iter().any(|row| row.pictures() > 0);
        Ok((rows, marked.then_some(picture)))
    }

    fn label_scene(&self, sample: &world::Sample) -> Result<Labelled, Finding> {
        let labelled = self.labeller.label(&self::sample(sample));
        let labelled = labelled.map_err(|error| Finding {
            problem: Problem::Refused,
            message: error.to_string(),
        })?;
        let limit = self.labeller.options().model_max_length;
        match labelled.supervised_within(limit) {
            0 => Err(Finding {
                problem: Problem::Unsupervised,
                message: format!("{} ids of which {limit} are taken", labelled.ids.len()),
            }),
            _ => Ok(labelled),
        }
    }

    fn load_row(
        &self,
        rows: &Rows,
        pictures: &Pictures,
        index: usize,
    ) -> Result<(Labelled, Picture), Finding> {
        let checker = Checker {
            rows,
            pictures: Some(pictures),
            decode: false,
            template: self.labeller.options().template,
            labeller: Some(&self.labeller),
        };
        let loaded = checker.load(index).map(|loaded| loaded.labelled);
        let sample = || {
            rows.read(index).map_err(|error| Finding {
                problem: Problem::BrokenRow,
                message: error.to_string(),
            })
        };
        let labelled = match loaded {
            Err(finding) if finding.problem == Problem::Masked && self.keep_masked => {
                let labelled = self.labeller.label(&sample()?);
                labelled.map_err(|error| Finding {
                    problem: Problem::Refused,
                    message: error.to_string(),
                })?
            }
            loaded => loaded?,
        };
        let Some(name) = sample()?.image else {
            return Ok((labelled, Picture::None));
        };
        let bytes = pictures.read(&name).map_err(|error| Finding {
            problem: Problem::BrokenPicture,
            message: error.to_string(),
        })?;
        Ok((labelled, Picture::File(name, bytes)))
    }
}

impl Picture {
    /// What the picture is known by, whatever its file is called.
    pub(super) fn identity(&self) -> [u8; 32] {
        match self {
            Picture::File(_, bytes) => Sha256::digest(bytes).into(),
            Picture::Scene(world, sample) => {
                let name = format!("{} {} {}", world::VERSION, world.options().size, sample.id);
                Sha256::digest(name).into()
            }
            Picture::None => [0; 32],
        }
    }

    /// Decodes or draws it; nothing for [`Picture::None`].
    pub(super) fn pixels(&self) -> Result<Option<RgbImage>, Finding> {
        match self {
            Picture::File(name, bytes) => decode(bytes, &Limits::default(), Exif::Ignore)
                .map(Some)
                .map_err(|error| Finding {
                    problem: Problem::BrokenPicture,
                    message: format!("{name:?}: {error}"),
                }),
            Picture::Scene(world, sample) => Ok(world.image(sample)),
            Picture::None => Ok(None),
        }
    }
}

/// `data.image_folder`, else the folder of the rows.
fn open_pictures(data_path: &Path, folders: &[PathBuf]) -> Result<Pictures, TrainError> {
    let own;
    let folders = match folders {
        [] => {
            let above = data_path.parent().unwrap_or(data_path);
            own = [match above.as_os_str().is_empty() {
                true => PathBuf::from("."),
                false => above.to_owned(),
            }];
            &own[..]
        }
        folders => folders,
    };
    Ok(Pictures::open(folders, Limits::default())?)
}

/// SHA-256 of a file, as hexadecimal digits.
pub(super) fn hash_file(path: &Path) -> Result<String, TrainError> {
    let mut digest = Sha256::new();
    let hashed = File::open(path).and_then(|mut file| {
        let mut buffer = vec![0; 1 << 20];
        loop {
            match file.read(&mut buffer)? {
                0 => return Ok(()),
                read => digest.update(&buffer[..read]),
            }
        }
    });
    hashed.map_err(RunError::file(path, "read"))?;
    Ok(digest
        .finalize()
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect())
}

fn sample(of_world: &world::Sample) -> Sample {
    Sample {
        // Whether it has one is what counts; nothing is read by this name.
        image: of_world.scene.as_ref().map(|_| of_world.id.clone()),
        conversations: of_world.messages(),
    }
}

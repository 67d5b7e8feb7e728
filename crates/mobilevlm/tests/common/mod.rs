//! Reference sets: checkpoints with recorded answers, and pictures prepared as upstream did.
#![allow(dead_code)] // Each test file uses a part.

use std::path::{Path, PathBuf};

use mobilevlm::{Exif, Kernels, Limits, Model, OpenOptions, Picture};
use mobilevlm_testing::{micro_golden, shared_golden};
use safetensors::SafeTensors;
use serde::Deserialize;

/// A checkpoint with its recorded cases.
pub(crate) struct Golden {
    pub(crate) name: String,
    pub(crate) checkpoint: PathBuf,
    images: PathBuf,
    preprocess: PathBuf,
    pub(crate) cases: Vec<Case>,
    reference: Vec<u8>,
}

/// One recorded answer of upstream.
#[derive(Deserialize)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) images: Vec<String>,
    pub(crate) prompt: String,
    pub(crate) input_ids: Vec<i64>,
    pub(crate) max_new_tokens: usize,
    pub(crate) output_ids: Vec<u32>,
    pub(crate) margins: Vec<f32>,
    pub(crate) text: String,
}

/// The five checkpoints of the full set.
pub(crate) const SHARED: [&str; 5] = [
    "v2-ldpv2",
    "v1-ldp",
    "llava-mlp2x",
    "v2-ldpv2-224",
    "gqa-linear",
];

impl Golden {
    /// The set that every clone has.
    pub(crate) fn micro() -> Golden {
        let folder = micro_golden("");
        Golden::read(
            "micro",
            &folder,
            folder.join("images"),
            folder.join("preprocess"),
        )
    }

    /// Small checkpoints in the layouts and with the projectors of MobileVLM's relatives.
    pub(crate) fn relatives() -> Vec<Golden> {
        let mut folders: Vec<_> = std::fs::read_dir(micro_golden("relatives"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.is_dir())
            .collect();
        folders.sort();
        let name = |folder: &Path| folder.file_name().unwrap().to_string_lossy().into_owned();
        folders
            .iter()
            .map(|folder| {
                let preprocess = folder.join("preprocess");
                Golden::read(&name(folder), folder, micro_golden("images"), preprocess)
            })
            .collect()
    }

    /// A checkpoint of the full set, if that is here.
    pub(crate) fn shared(name: &str, test: &str) -> Option<Golden> {
        let folder = shared_golden(&format!("model/{name}"), test)?;
        let root = folder.join("../..");
        Some(Golden::read(
            name,
            &folder,
            root.join("images"),
            root.join("preprocess"),
        ))
    }

    /// The micro set and what is here of the full one.
    pub(crate) fn all(test: &str) -> impl Iterator<Item = Golden> {
        let shared = SHARED
            .into_iter()
            .filter_map(move |name| Golden::shared(name, test));
        std::iter::once(Golden::micro()).chain(shared)
    }

    fn read(name: &str, folder: &Path, images: PathBuf, preprocess: PathBuf) -> Golden {
        let read = |file: &str| std::fs::read(folder.join(file)).unwrap();
        Golden {
            name: name.to_owned(),
            checkpoint: folder.join("checkpoint"),
            images,
            preprocess,
            cases: serde_json::from_slice(&read("cases.json")).unwrap(),
            reference: read("reference.safetensors"),
        }
    }

    pub(crate) fn open(&self, kernels: &'static Kernels, threads: usize) -> Model {
        let options = OpenOptions {
            kernels: Some(kernels),
            threads: Some(threads),
            ..OpenOptions::default()
        };
        Model::open(&self.checkpoint, &options)
            .unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }

    /// Opened with the best kernels on two threads.
    pub(crate) fn model(&self) -> Model {
        self.open(Kernels::detect().unwrap(), 2)
    }

    /// The recorded pixels of a picture just before normalisation.
    pub(crate) fn prepared(&self, model: &Model, picture: &str) -> Picture {
        let mode = match model.config().preprocess.aspect {
            mobilevlm_checkpoint::Aspect::Pad => "pad",
            _ => "square",
        };
        let size = model.config().preprocess.image_size;
        let file = self.preprocess.join(format!("{picture}.{mode}.{size}.png"));
        Picture::from_prepared(decode(&file).image().clone())
    }

    /// The picture itself.
    pub(crate) fn picture(&self, picture: &str) -> Picture {
        decode(&self.images.join(picture))
    }

    /// A recorded tensor, if it was recorded.
    pub(crate) fn reference(&self, name: &str) -> Option<Vec<f32>> {
        let tensors = SafeTensors::deserialize(&self.reference).unwrap();
        let tensor = tensors.tensor(name).ok()?;
        let numbers = tensor.data().as_chunks::<4>().0;
        Some(
            numbers
                .iter()
                .map(|bytes| f32::from_le_bytes(*bytes))
                .collect(),
        )
    }
}

pub(crate) fn decode(file: &Path) -> Picture {
    let bytes = std::fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    Picture::decode(&bytes, &Limits::default(), Exif::Ignore).unwrap()
}

/// Every kernel table that this machine can run.
pub(crate) fn kernels() -> Vec<&'static Kernels> {
    mobilevlm_tensor::tables()
        .iter()
        .filter_map(|table| {
            if table.kernels().is_none() {
                eprintln!(
                    "skipped: kernel table {} (this machine cannot run it)",
                    table.name
                );
            }
            table.kernels()
        })
        .collect()
}

/// Fails where `found` differs from `expected` by more than `tolerance` times the standard
/// deviation of `expected`, and shows the worst place.
pub(crate) fn assert_close(what: &str, found: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(found.len(), expected.len(), "{what}: number of values");
    let count = expected.len() as f64;
    let mean = expected.iter().map(|&value| f64::from(value)).sum::<f64>() / count;
    let variance = expected
        .iter()
        .map(|&value| (f64::from(value) - mean).powi(2))
        .sum::<f64>()
        / count;
    let (worst, difference) = found
        .iter()
        .zip(expected)
        .map(|(found, expected)| {
            if found.is_nan() {
                f32::INFINITY
            } else {
                (found - expected).abs()
            }
        })
        .enumerate()
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .unwrap();
    let relative = difference / variance.sqrt() as f32;
    assert!(
        relative <= tolerance,
        "{what}: value {worst}: expected {}, found {}: {relative:e} of the standard deviation, more than {tolerance:e}",
        expected[worst],
        found[worst],
    );
    eprintln!("{what}: within {relative:.1e} of the standard deviation");
}

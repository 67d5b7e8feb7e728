//! How a picture becomes the tower's input.

use super::ConfigError;
use super::fields::{Fields, show};
use serde_json::Value;

/// What happens to a picture that is not square.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aspect {
    /// It is padded with the mean colour (upstream: `expand2square`).
    Pad,
    /// Its middle is cut out.
    Square,
}

impl Aspect {
    /// The name in GGUF files: `pad` as `image_aspect_ratio` has it, or `square`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Pad => "pad",
            Self::Square => "square",
        }
    }
}

/// Constants of the picture's way into the tower.
#[derive(Clone, Debug, PartialEq)]
pub struct Preprocess {
    /// What happens to a picture that is not square.
    pub aspect: Aspect,
    /// Side in pixels; equals the tower's.
    pub image_size: usize,
    /// Subtracted from each channel, red first, of levels from 0 to 1.
    pub mean: [f32; 3],
    /// Divides each channel after that.
    pub std: [f32; 3],
}

/// OpenAI CLIP's constants (transformers: `OPENAI_CLIP_MEAN`, `OPENAI_CLIP_STD`).
const MEAN: [f32; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];
const STD: [f32; 3] = [0.268_629_54, 0.261_302_6, 0.275_777_1];

/// `resample` of a preprocessor configuration: Pillow's number of the bicubic filter.
const BICUBIC: usize = 3;

impl Preprocess {
    /// With OpenAI CLIP's mean and standard deviation.
    pub fn clip(aspect: Aspect, image_size: usize) -> Self {
        Self {
            aspect,
            image_size,
            mean: MEAN,
            std: STD,
        }
    }

    pub(super) fn from_fields(
        config: &Fields<'_>,
        preprocessor: Option<&Fields<'_>>,
        image_size: usize,
    ) -> Result<Self, ConfigError> {
        let mut aspect = match config.text("image_aspect_ratio")? {
            Some("pad") => Aspect::Pad,
            _ => Aspect::Square,
        };
        let (mut mean, mut std) = (MEAN, STD);
        if let Some(file) = preprocessor {
            for key in ["size", "crop_size"] {
                check_side(file, key, image_size)?;
            }
            if let Some(filter) = file.whole("resample", 0..=usize::MAX)?
                && filter != BICUBIC
            {
                return Err(file.wrong("resample", "3 (bicubic)", filter));
            }
            for key in ["do_resize", "do_center_crop", "do_rescale", "do_normalize"] {
                if file.flag(key)? == Some(false) {
                    return Err(file.wrong(key, "true", "false"));
                }
            }
            // LlavaImageProcessor's word for padding.
            if file.flag("do_pad")? == Some(true) {
                aspect = Aspect::Pad;
            }
            mean = channels(file, "image_mean", -10.0)?.unwrap_or(mean);
            std = channels(file, "image_std", 1e-6)?.unwrap_or(std);
        }
        Ok(Self {
            aspect,
            image_size,
            mean,
            std,
        })
    }
}

/// Checks a size that is written as `336`, `{"shortest_edge": 336}` or
/// `{"height": 336, "width": 336}`.
fn check_side(file: &Fields<'_>, key: &str, image_size: usize) -> Result<(), ConfigError> {
    let Some(value) = file.value(key) else {
        return Ok(());
    };
    let right = |side: &Value| side.as_u64() == Some(image_size as u64);
    let fits = match value {
        Value::Object(sides) => ["shortest_edge", "height", "width"]
            .iter()
            .filter_map(|name| sides.get(*name))
            .all(right),
        side => right(side),
    };
    if fits {
        return Ok(());
    }
    Err(file.wrong(
        key,
        format!("{image_size}, the tower's image size"),
        show(value),
    ))
}

/// Three numbers, each from `least` to 10.
fn channels(file: &Fields<'_>, key: &str, least: f64) -> Result<Option<[f32; 3]>, ConfigError> {
    let Some(value) = file.value(key) else {
        return Ok(None);
    };
    let number = |value: &Value| {
        value
            .as_f64()
            .filter(|number| (least..=10.0).contains(number))
    };
    let numbers = match value {
        Value::Array(list) => list.iter().map(number).collect::<Option<Vec<f64>>>(),
        _ => None,
    };
    match numbers.as_deref() {
        Some(&[red, green, blue]) => Ok(Some([red as f32, green as f32, blue as f32])),
        _ => Err(file.wrong(
            key,
            format!("three numbers from {least} to 10"),
            show(value),
        )),
    }
}

//! What the configuration files say, parsed once into sizes.
//!
//! Nothing after this module reads JSON, or keys of GGUF files for sizes. Every number that comes out of it is within the bounds
//! written beside its key, so that products of sizes cannot overflow.

mod fields;
mod gguf;
mod keys;
mod language;
mod preprocess;
mod projector;
mod vision;

pub use language::LanguageConfig;
pub use preprocess::{Aspect, Preprocess};
pub use projector::{LdpV2, Projector};
pub use vision::{Activation, VisionConfig};

use fields::Fields;
pub(crate) use keys::Keys;

/// The longest configuration that is read, in bytes. Released ones have under 10 kB.
pub(crate) const CONFIG_LIMIT: usize = 256 << 10;

// What messages call the files.
const MAIN: &str = "config.json";
const VISION: &str = "the tower's configuration";
const PREPROCESSOR: &str = "preprocessor_config.json";

/// What is wrong with a configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The text is not JSON.
    #[error("{file}: not valid JSON")]
    Json {
        /// Which of the files.
        file: &'static str,
        /// What the parser says.
        #[source]
        source: serde_json::Error,
    },
    /// The text is too long to be a configuration.
    #[error("{file}: expected at most {limit} bytes, found {found}")]
    TooLong {
        /// Which of the files.
        file: &'static str,
        /// Bytes read at most.
        limit: usize,
        /// Bytes there.
        found: usize,
    },
    /// A key has a value that it cannot have.
    #[error("{file}: {key}: expected {expected}, found {found}")]
    Value {
        /// Which of the files.
        file: &'static str,
        /// The path of the key, such as `text_config.hidden_size`.
        key: String,
        /// What would have been right.
        expected: String,
        /// What is there.
        found: String,
    },
}

/// How a checkpoint names its tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// As MobileVLM and the authors of LLaVA release: `model.mm_projector.…`.
    Authors,
    /// As the `llava-hf` releases: `language_model.…`, `multi_modal_projector.…`.
    LlavaHf,
    /// As llama.cpp's pairs of GGUF files: `blk.…`, `v.blk.…`, `mm.…`.
    LlamaCpp,
    /// As a whole model in one GGUF file: the names that an [`Inventory`](crate::Inventory) has.
    OneFile,
}

/// The texts that describe a model. Only the first is always there.
#[derive(Clone, Copy, Debug, Default)]
pub struct ConfigFiles<'a> {
    /// `config.json` of the model.
    pub config: &'a [u8],
    /// A CLIP vision configuration, or a CLIP configuration with a `vision_config` in it.
    pub vision: Option<&'a [u8]>,
    /// `preprocessor_config.json`.
    pub preprocessor: Option<&'a [u8]>,
}

/// Everything that the sizes and the arithmetic of a model depend on.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// How the tensors are named.
    pub layout: Layout,
    /// The vision tower.
    pub vision: VisionConfig,
    /// What stands between tower and language model.
    pub projector: Projector,
    /// The language model.
    pub language: LanguageConfig,
    /// How a picture becomes the tower's input.
    pub preprocess: Preprocess,
    /// The tower's name or path (`mm_vision_tower`), if the model says one.
    pub tower_name: Option<String>,
}

impl Config {
    /// Parses the texts that describe a model.
    ///
    /// The tower is described by `files.vision`, else by `vision_config` in `files.config`, else
    /// by the preset that `mm_vision_tower` names: CLIP ViT-L/14 for 224 pixels by that very name,
    /// for 336 pixels in every other case.
    ///
    /// # Errors
    /// [`ConfigError`] names the file, the key, what was expected and what was found.
    pub fn from_json(files: &ConfigFiles<'_>) -> Result<Self, ConfigError> {
        let json = fields::parse(MAIN, files.config)?;
        let config = Fields::new(MAIN, &json)?;
        let Outline { layout, tower_name } = Outline::from_fields(&config)?;

        let text = match layout {
            Layout::Authors => Some(config.clone()),
            _ => config.object("text_config")?,
        };
        let language = match text {
            Some(text) => LanguageConfig::from_fields(&text, layout)?,
            None => LanguageConfig::default(),
        };
        let vision = vision(&config, files.vision, layout, tower_name.as_deref())?;
        let projector = Projector::from_fields(&config, layout)?;
        let json = files
            .preprocessor
            .map(|text| fields::parse(PREPROCESSOR, text))
            .transpose()?;
        let preprocessor = json
            .as_ref()
            .map(|json| Fields::new(PREPROCESSOR, json))
            .transpose()?;
        let preprocess =
            Preprocess::from_fields(&config, preprocessor.as_ref(), vision.image_size)?;
        Ok(Self {
            layout,
            vision,
            projector,
            language,
            preprocess,
            tower_name,
        })
    }
}

/// What has to be known of a configuration before the tower is found.
pub(crate) struct Outline {
    pub(crate) layout: Layout,
    pub(crate) tower_name: Option<String>,
}

impl Outline {
    pub(crate) fn from_json(config: &[u8]) -> Result<Self, ConfigError> {
        Self::from_fields(&Fields::new(MAIN, &fields::parse(MAIN, config)?)?)
    }

    fn from_fields(config: &Fields<'_>) -> Result<Self, ConfigError> {
        let layout = layout(config)?;
        let tower_name = match config.text("mm_vision_tower")? {
            Some(name) => Some(name),
            None => config.text("vision_tower")?,
        };
        Ok(Self {
            layout,
            tower_name: tower_name.map(str::to_owned),
        })
    }
}

/// Tells the layouts apart, and refuses what is no vision-language model of this family.
fn layout(config: &Fields<'_>) -> Result<Layout, ConfigError> {
    let kind = config.text("model_type")?.unwrap_or("");
    let architecture = config.first_text("architectures")?.unwrap_or("");
    if architecture == "LlavaForConditionalGeneration" || config.has("text_config") {
        if !matches!(kind, "" | "llava") {
            return Err(config.wrong("model_type", "\"llava\"", format!("{kind:?}")));
        }
        return Ok(Layout::LlavaHf);
    }
    // The name of the family in each code base, and plain LLaMA with the keys of a tower added.
    let known = [
        "",
        "mobilevlm",
        "mobilellama",
        "llava",
        "llava_llama",
        "share4v",
        "llama",
    ];
    if !known.contains(&kind) {
        let expected =
            "mobilevlm, llava, llava_llama or share4v: other language models are not implemented";
        return Err(config.wrong("model_type", expected, format!("{kind:?}")));
    }
    let sees = [
        "mm_vision_tower",
        "vision_tower",
        "mm_projector_type",
        "vision_config",
    ];
    if !sees.iter().any(|key| config.has(key)) {
        let expected = "the name of a vision tower: a language model alone cannot look at pictures";
        return Err(config.wrong("mm_vision_tower", expected, "nothing"));
    }
    Ok(Layout::Authors)
}

/// The tower's sizes from `text`, else from the model's configuration, else from a preset.
fn vision(
    config: &Fields<'_>,
    text: Option<&[u8]>,
    layout: Layout,
    tower_name: Option<&str>,
) -> Result<VisionConfig, ConfigError> {
    let json = text.map(|text| fields::parse(VISION, text)).transpose()?;
    let fields = match &json {
        Some(json) => {
            let whole = Fields::new(VISION, json)?;
            Some(whole.object("vision_config")?.unwrap_or(whole))
        }
        None => config.object("vision_config")?,
    };
    let vision = match fields {
        Some(fields) => VisionConfig::from_fields(&fields)?,
        None => VisionConfig::preset(tower_name),
    };
    if let Some(width) = config.whole("mm_hidden_size", 1..=vision::HIDDEN_LIMIT)?
        && width != vision.hidden
    {
        let expected = format!("{}, the tower's hidden size", vision.hidden);
        return Err(config.wrong("mm_hidden_size", expected, width));
    }
    let (key, layer) = select_layer(config, layout)?;
    vision
        .run_up_to(layer)
        .map_err(|expected| config.wrong(key, expected, layer))
}

/// The key that selects a hidden state of the tower, and its value; refuses to keep the class
/// token beside the patches.
fn select_layer(config: &Fields<'_>, layout: Layout) -> Result<(&'static str, i64), ConfigError> {
    let (layer, feature, patches) = match layout {
        Layout::Authors => (
            "mm_vision_select_layer",
            "mm_vision_select_feature",
            "patch",
        ),
        _ => (
            "vision_feature_layer",
            "vision_feature_select_strategy",
            "default",
        ),
    };
    if let Some(found) = config.text(feature)?
        && found != patches
    {
        let expected = format!("{patches:?}: keeping the class token is not implemented");
        return Err(config.wrong(feature, expected, format!("{found:?}")));
    }
    // Every released model of the family, and LlavaConfig's default.
    Ok((layer, config.integer(layer)?.unwrap_or(-2)))
}

#[cfg(test)]
mod tests;

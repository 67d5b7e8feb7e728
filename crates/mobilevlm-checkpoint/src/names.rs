//! Tensor names: what each layout calls a tensor, which tensors a configuration asks for, and the
//! report of what does not fit.

pub(crate) mod llama_cpp;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::config::{Config, Layout, LdpV2, Projector};
use crate::inventory::Inventory;

/// A naming scheme: stored prefixes, each with the prefix that it has in an [`Inventory`].
/// Where several stored prefixes mean the same, the first is the usual one.
pub(crate) struct Names {
    prefixes: &'static [(&'static str, &'static str)],
    /// Beginnings of names that hold nothing that is read.
    ignored: &'static [&'static str],
}

/// MobileVLM, LLaVA and ShareGPT4V as their authors release them.
const AUTHORS: Names = Names {
    prefixes: &[
        ("model.vision_tower.vision_tower.vision_model.", "vision."),
        ("model.mm_projector.", "projector."),
        ("model.embed_tokens.", "language.embed_tokens."),
        ("model.layers.", "language.layers."),
        ("model.norm.", "language.norm."),
        ("lm_head.", "language.lm_head."),
    ],
    ignored: &[],
};

/// The `llava-hf` releases; the second half is how transformers 4.52 and later save.
const LLAVA_HF: Names = Names {
    prefixes: &[
        ("vision_tower.vision_model.", "vision."),
        ("multi_modal_projector.linear_1.", "projector.0."),
        ("multi_modal_projector.linear_2.", "projector.2."),
        ("language_model.model.", "language."),
        ("language_model.lm_head.", "language.lm_head."),
        ("model.vision_tower.vision_model.", "vision."),
        ("model.multi_modal_projector.linear_1.", "projector.0."),
        ("model.multi_modal_projector.linear_2.", "projector.2."),
        ("model.language_model.", "language."),
        ("lm_head.", "language.lm_head."),
    ],
    ignored: &[],
};

/// A CLIP folder: the tower alone, or the whole CLIP model.
pub(crate) const CLIP: Names = Names {
    prefixes: &[
        ("vision_model.", "vision."),
        ("model.vision_tower.vision_tower.vision_model.", "vision."),
    ],
    ignored: &[
        "text_model.",
        "text_projection.",
        "visual_projection.",
        "logit_scale",
    ],
};

impl Names {
    pub(crate) fn of(layout: Layout) -> &'static Self {
        match layout {
            Layout::LlavaHf => &LLAVA_HF,
            // What GGUF files call their tensors is no matter of prefixes.
            Layout::Authors | Layout::LlamaCpp | Layout::OneFile => &AUTHORS,
        }
    }

    /// The name in an inventory of a stored name.
    pub(crate) fn canonical(&self, stored: &str) -> Canonical {
        let is_buffer = stored.ends_with(".inv_freq") || stored.ends_with(".position_ids");
        if is_buffer || self.ignored.iter().any(|prefix| stored.starts_with(prefix)) {
            return Canonical::Ignored;
        }
        for (prefix, canonical) in self.prefixes {
            if let Some(rest) = stored.strip_prefix(prefix) {
                return Canonical::Name(format!("{canonical}{rest}"));
            }
        }
        Canonical::Unknown
    }

    /// The usual stored name of a name in an inventory.
    pub(crate) fn stored(&self, canonical: &str) -> String {
        let best = self
            .prefixes
            .iter()
            .rev() // the first of equals wins
            .filter_map(|(stored, prefix)| {
                Some((prefix.len(), stored, canonical.strip_prefix(prefix)?))
            })
            .max_by_key(|(length, _, _)| *length);
        match best {
            Some((_, stored, rest)) => format!("{stored}{rest}"),
            None => canonical.to_owned(),
        }
    }
}

/// What MobileVLM's authors call the tensor of an [`Inventory`]'s name:
/// `model.mm_projector.mlp.mlp.0.weight` for `projector.mlp.mlp.0.weight`.
pub fn upstream_name(canonical: &str) -> String {
    AUTHORS.stored(canonical)
}

/// The name in an [`Inventory`] of what MobileVLM's authors call a tensor; `None` for names that
/// mean nothing.
pub fn canonical_name(upstream: &str) -> Option<String> {
    match AUTHORS.canonical(upstream) {
        Canonical::Name(name) => Some(name),
        Canonical::Ignored | Canonical::Unknown => None,
    }
}

/// What a stored name means.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Canonical {
    /// A tensor of this name in an inventory.
    Name(String),
    /// Known, and never read.
    Ignored,
    /// Not known.
    Unknown,
}

/// The names and sizes of all tensors that a configuration asks for, in the order of the data's
/// way through the model. This is what [`Checkpoint::open`](crate::Checkpoint::open) insists on.
pub fn expected_tensors(config: &Config) -> Vec<(String, Vec<usize>)> {
    let mut list = Vec::new();
    vision(config, &mut list);
    projector(config, &mut list);
    language(config, &mut list);
    list
}

type Shapes = Vec<(String, Vec<usize>)>;

fn vision(config: &Config, list: &mut Shapes) {
    let vision = &config.vision;
    let (hidden, ffn, patch) = (vision.hidden, vision.ffn, vision.patch_size);
    let mut add =
        |name: String, shape: &[usize]| list.push((format!("vision.{name}"), shape.to_vec()));
    add("embeddings.class_embedding".into(), &[hidden]);
    add(
        "embeddings.patch_embedding.weight".into(),
        &[hidden, 3, patch, patch],
    );
    add(
        "embeddings.position_embedding.weight".into(),
        &[vision.patches() + 1, hidden],
    );
    // Upstream's spelling.
    add("pre_layrnorm.weight".into(), &[hidden]);
    add("pre_layrnorm.bias".into(), &[hidden]);
    for layer in 0..vision.blocks_to_run {
        let mut both = |name: &str, weight: &[usize]| {
            add(format!("encoder.layers.{layer}.{name}.weight"), weight);
            add(format!("encoder.layers.{layer}.{name}.bias"), &weight[..1]);
        };
        both("layer_norm1", &[hidden]);
        for name in ["q_proj", "k_proj", "v_proj", "out_proj"] {
            both(&format!("self_attn.{name}"), &[hidden, hidden]);
        }
        both("layer_norm2", &[hidden]);
        both("mlp.fc1", &[ffn, hidden]);
        both("mlp.fc2", &[hidden, ffn]);
    }
}

fn projector(config: &Config, list: &mut Shapes) {
    let (width, hidden) = (config.vision.hidden, config.language.hidden);
    let mut add =
        |name: &str, shape: &[usize]| list.push((format!("projector.{name}"), shape.to_vec()));
    let mut both = |name: &str, weight: &[usize]| {
        add(&format!("{name}weight"), weight);
        add(&format!("{name}bias"), &weight[..1]);
    };
    match config.projector {
        Projector::Linear => both("", &[hidden, width]),
        Projector::Mlp { depth } => {
            both("0.", &[hidden, width]);
            // Every other place holds a GELU.
            for layer in 1..depth {
                both(&format!("{}.", 2 * layer), &[hidden, hidden]);
            }
        }
        Projector::LdpNet => {
            both("model.mlp.1.", &[hidden, width]);
            both("model.mlp.3.", &[hidden, hidden]);
            let squeezed = squeezed_channels(hidden);
            for block in [1, 2] {
                let name = |part: &str| format!("model.mb_block.{block}.block.{part}");
                add(&name("0.0.weight"), &[hidden, 1, 3, 3]);
                add(&name("0.1.weight"), &[hidden]);
                add(&name("0.1.bias"), &[hidden]);
                add(&name("1.fc1.weight"), &[squeezed, hidden, 1, 1]);
                add(&name("1.fc1.bias"), &[squeezed]);
                add(&name("1.fc2.weight"), &[hidden, squeezed, 1, 1]);
                add(&name("1.fc2.bias"), &[hidden]);
                add(&name("2.0.weight"), &[hidden, hidden, 1, 1]);
                add(&name("2.1.weight"), &[hidden]);
                add(&name("2.1.bias"), &[hidden]);
            }
        }
        Projector::LdpNetV2(variant) => {
            both("mlp.mlp.0.", &[hidden, width]);
            both("mlp.mlp.2.", &[hidden, hidden]);
            match variant {
                LdpV2::PoolPeg | LdpV2::PoolPegTo(_) | LdpV2::NoPool => {
                    both("peg.peg.0.", &[hidden, 1, 3, 3]);
                }
                LdpV2::Pool => {}
                LdpV2::PoolPositions => {
                    let places = variant.grid().map_or(0, |side| side * side);
                    add("positions", &[places, hidden]);
                }
            }
        }
    }
}

/// Channels inside the squeeze-excitation of `ldpnet`: a quarter, rounded to a multiple of eight
/// that loses no more than a tenth (torchvision: `_make_divisible(channels // 4, 8)`).
fn squeezed_channels(hidden: usize) -> usize {
    let quarter = hidden / 4;
    let rounded = ((quarter + 4) / 8 * 8).max(8);
    if 10 * rounded < 9 * quarter {
        rounded + 8
    } else {
        rounded
    }
}

fn language(config: &Config, list: &mut Shapes) {
    let language = &config.language;
    let (hidden, ffn) = (language.hidden, language.ffn);
    let (query, kv) = (
        language.heads * language.head_dim,
        language.kv_heads * language.head_dim,
    );
    let mut add = |name: String, shape: &[usize]| {
        list.push((format!("language.{name}.weight"), shape.to_vec()))
    };
    add("embed_tokens".into(), &[language.vocab, hidden]);
    for layer in 0..language.layers {
        let mut add = |name: &str, shape: &[usize]| add(format!("layers.{layer}.{name}"), shape);
        add("input_layernorm", &[hidden]);
        add("self_attn.q_proj", &[query, hidden]);
        add("self_attn.k_proj", &[kv, hidden]);
        add("self_attn.v_proj", &[kv, hidden]);
        add("self_attn.o_proj", &[hidden, query]);
        add("post_attention_layernorm", &[hidden]);
        add("mlp.gate_proj", &[ffn, hidden]);
        add("mlp.up_proj", &[ffn, hidden]);
        add("mlp.down_proj", &[hidden, ffn]);
    }
    add("norm".into(), &[hidden]);
    add("lm_head".into(), &[language.vocab, hidden]);
}

/// Whether a tensor that nobody asked for is a part of the tower that nobody reads: its last norm,
/// and blocks behind the selected hidden state.
fn is_unread(name: &str, config: &Config) -> bool {
    let Some(name) = name.strip_prefix("vision.") else {
        return false;
    };
    if name.starts_with("post_layernorm.") {
        return true;
    }
    let layer = name
        .strip_prefix("encoder.layers.")
        .and_then(|rest| rest.split('.').next()?.parse().ok());
    layer.is_some_and(|layer: usize| {
        (config.vision.blocks_to_run..config.vision.layers).contains(&layer)
    })
}

/// Every tensor that does not fit the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Asked for and not there: stored name and sizes.
    pub missing: Vec<(String, Vec<usize>)>,
    /// There and not asked for: stored name and file.
    pub unexpected: Vec<(String, PathBuf)>,
    /// There with other sizes, or with numbers that are no weights.
    pub misshaped: Vec<Misshaped>,
}

/// A tensor that is not what the configuration asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Misshaped {
    /// The stored name.
    pub name: String,
    /// The file it is in.
    pub file: PathBuf,
    /// The sizes asked for.
    pub expected: Vec<usize>,
    /// What is there: type and sizes.
    pub found: String,
}

impl Report {
    /// Compares an inventory with what the configuration asks for, and drops from it what nobody
    /// reads. `strays` are stored names that mean nothing, each with its file; `stored` says what
    /// the files call a tensor.
    pub(crate) fn compare(
        config: &Config,
        inventory: &mut Inventory,
        strays: Vec<(String, PathBuf)>,
        stored: impl Fn(&str) -> String,
    ) -> Self {
        let mut report = Self {
            unexpected: strays,
            ..Self::default()
        };
        let expected: BTreeMap<_, _> = expected_tensors(config).into_iter().collect();
        for (name, shape) in &expected {
            let Some(tensor) = inventory.get(name) else {
                report.missing.push((stored(name), shape.clone()));
                continue;
            };
            if tensor.shape() != shape || !tensor.dtype().is_weight() {
                report.misshaped.push(Misshaped {
                    name: stored(name),
                    file: tensor.file().unwrap_or(Path::new("")).to_owned(),
                    expected: shape.clone(),
                    found: format!("{} {:?}", tensor.dtype(), tensor.shape()),
                });
            }
        }
        for (name, tensor) in inventory.iter() {
            if !expected.contains_key(name) && !is_unread(name, config) {
                let file = tensor.file().unwrap_or(Path::new("")).to_owned();
                report.unexpected.push((stored(name), file));
            }
        }
        inventory.retain(|name| expected.contains_key(name));
        report
    }

    /// Whether everything fits.
    pub fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.unexpected.is_empty() && self.misshaped.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (missing, unexpected, misshaped) = (
            self.missing.len(),
            self.unexpected.len(),
            self.misshaped.len(),
        );
        write!(
            f,
            "{missing} tensors missing, {unexpected} unexpected, {misshaped} misshaped"
        )?;
        for (name, shape) in &self.missing {
            write!(f, "\n  {name}: expected {shape:?}, found nothing")?;
        }
        for (name, file) in &self.unexpected {
            // The name is the file's own, and a terminal may show it.
            let name = name.escape_debug();
            write!(f, "\n  {name}: not expected, found in {}", file.display())?;
        }
        for one in &self.misshaped {
            let file = one.file.display();
            write!(
                f,
                "\n  {}: expected weights {:?}, found {} in {file}",
                one.name, one.expected, one.found
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;

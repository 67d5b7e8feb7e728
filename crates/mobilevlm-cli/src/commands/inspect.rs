//! `mobilevlm inspect`: what a model consists of and what is wrong with it.

use std::io::{self, Write};

use mobilevlm_checkpoint::{
    Aspect, Config, Inspection, LdpV2, OpenOptions, Part, Projector, Tensor,
};
use serde::Serialize;
use serde_json::{Value, json};

use crate::args::InspectArgs;
use crate::error::{CliError, chain};
use crate::plan::{self, Network};
use crate::terminal::{Terminal, print_json};

pub(crate) fn run(args: &InspectArgs, terminal: Terminal) -> Result<(), CliError> {
    let found = plan::find_model(args.model.as_deref(), Network::Allowed, terminal)?;
    let name = found.name.clone();
    let files = found.files()?;
    let options = OpenOptions {
        vision_tower: args.vision_tower.clone(),
        tower_cache: files.tower_cache,
        mmproj: args.mmproj.clone(),
        ..OpenOptions::default()
    };
    let inspection = Inspection::new(&files.path, &options);
    let hashes: Vec<Option<String>> = {
        let _waiting = terminal.waiting("reading the weights");
        let parts = inspection.parts.iter();
        let hash = |part: &Part| (!args.quick).then(|| inspection.sha256(part.name));
        parts.map(hash).collect()
    };
    let problems: Vec<String> = inspection
        .problems
        .iter()
        .map(|problem| chain(problem))
        .collect();
    if args.json {
        print_json(&in_json(&name, &inspection, &hashes, &problems))?;
    } else {
        print(&name, &inspection, &hashes, &problems)?;
    }
    match problems.is_empty() {
        true => Ok(()),
        false => Err(CliError::Failed(format!("{} cannot be used", name))),
    }
}

#[derive(Serialize)]
struct TensorJson<'a> {
    name: &'a str,
    dtype: &'static str,
    shape: &'a [usize],
    bytes: usize,
    file: Option<String>,
}

impl<'a> TensorJson<'a> {
    fn new((name, tensor): (&'a str, &'a Tensor)) -> TensorJson<'a> {
        TensorJson {
            name,
            dtype: tensor.dtype().name(),
            shape: tensor.shape(),
            bytes: tensor.byte_len(),
            file: tensor.file().map(|file| file.display().to_string()),
        }
    }
}

fn in_json(
    name: &str,
    inspection: &Inspection,
    hashes: &[Option<String>],
    problems: &[String],
) -> Value {
    let part = |(part, hash): (&Part, &Option<String>)| {
        json!({
            "name": part.name,
            "tensors": part.tensors,
            "parameters": part.parameters,
            "bytes": part.bytes,
            "bits_per_weight": part.bits_per_weight(),
            "sha256": hash,
            "dtypes": part.dtypes.iter().map(|dtype| dtype.name()).collect::<Vec<_>>(),
        })
    };
    json!({
        "model": name,
        "usable": problems.is_empty(),
        "problems": problems,
        "config": inspection.config.as_ref().map(config_json),
        "tokenizer": inspection.tokenizer.is_some(),
        "files": inspection.files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>(),
        "parts": inspection.parts.iter().zip(hashes).map(part).collect::<Vec<_>>(),
        "tensors": inspection.tensors.iter().map(TensorJson::new).collect::<Vec<_>>(),
    })
}

fn config_json(config: &Config) -> Value {
    let Config {
        vision,
        language,
        preprocess,
        ..
    } = config;
    json!({
        "layout": format!("{:?}", config.layout).to_lowercase(),
        "projector": projector_name(config.projector),
        "vision_tower": config.tower_name,
        "vision": {
            "image_size": vision.image_size,
            "patch_size": vision.patch_size,
            "patches": vision.patches(),
            "hidden": vision.hidden,
            "heads": vision.heads,
            "ffn": vision.ffn,
            "layers": vision.layers,
            "blocks_to_run": vision.blocks_to_run,
        },
        "language": {
            "hidden": language.hidden,
            "heads": language.heads,
            "kv_heads": language.kv_heads,
            "head_dim": language.head_dim,
            "ffn": language.ffn,
            "layers": language.layers,
            "vocab": language.vocab,
            "context": language.context,
            "rms_eps": language.rms_eps,
            "rope_theta": language.rope_theta,
            "tied": language.tied,
        },
        "preprocess": {
            "aspect": format!("{:?}", preprocess.aspect).to_lowercase(),
            "image_size": preprocess.image_size,
            "mean": preprocess.mean,
            "std": preprocess.std,
        },
    })
}

fn print(
    name: &str,
    inspection: &Inspection,
    hashes: &[Option<String>],
    problems: &[String],
) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    writeln!(out, "{name}\n")?;
    if let Some(config) = &inspection.config {
        let Config {
            vision,
            language,
            preprocess,
            ..
        } = config;
        writeln!(
            out,
            "vision     {0} x {0} pixels, {1} patches; width {2}, {3} heads, {4} of {5} layers are read",
            vision.image_size,
            vision.patches(),
            vision.hidden,
            vision.heads,
            vision.blocks_to_run,
            vision.layers
        )?;
        writeln!(out, "projector  {}", projector_name(config.projector))?;
        writeln!(
            out,
            "language   width {}, {} layers, {} heads ({} for keys and values) of {}; {} pieces, context {}",
            language.hidden,
            language.layers,
            language.heads,
            language.kv_heads,
            language.head_dim,
            language.vocab,
            language.context
        )?;
        let aspect = if preprocess.aspect == Aspect::Pad {
            "padded"
        } else {
            "cropped"
        };
        writeln!(out, "pictures   {aspect} to a square")?;
    }
    writeln!(
        out,
        "tokenizer  {}\n",
        if inspection.tokenizer.is_some() {
            "there"
        } else {
            "missing"
        }
    )?;
    writeln!(
        out,
        "{:<10} {:>8} {:>14} {:>10} {:>6}  stored as",
        "part", "tensors", "parameters", "MB", "bits"
    )?;
    for part in &inspection.parts {
        let dtypes: Vec<&str> = part.dtypes.iter().map(|dtype| dtype.name()).collect();
        writeln!(
            out,
            "{:<10} {:>8} {:>14} {:>10.1} {:>6.2}  {}",
            part.name,
            part.tensors,
            part.parameters,
            part.bytes as f64 / 1e6,
            part.bits_per_weight(),
            dtypes.join(", ")
        )?;
    }
    writeln!(out)?;
    for (part, hash) in inspection.parts.iter().zip(hashes) {
        if let Some(hash) = hash {
            writeln!(out, "{:<10} SHA-256 {hash}", part.name)?;
        }
    }
    if hashes.iter().any(Option::is_some) {
        writeln!(out)?;
    }
    for file in &inspection.files {
        writeln!(out, "{}", file.display())?;
    }
    for problem in problems {
        writeln!(out, "\nproblem: {problem}")?;
    }
    Ok(out.flush()?)
}

/// As `mm_projector_type` and `mm_projector_variant` name it; the released variant goes without.
fn projector_name(projector: Projector) -> String {
    let (kind, variant) = projector.names();
    match variant {
        Some(variant) if projector != Projector::LdpNetV2(LdpV2::default()) => {
            format!("{kind}, {variant}")
        }
        _ => kind,
    }
}

//! A whole model in one file, as this project reads it.

use super::{Conversion, ConvertError, File, in_one_file, set_vocabulary, size};
use crate::config::Activation;
use crate::gguf::keys::{self, language, preprocess, projector, vision};
use crate::gguf::write::{Head, Setting};

use super::stored::Stored;

/// What each tensor's place is a multiple of: a cache line, and the widest vector.
const ALIGNMENT: u32 = 64;

pub(super) fn plan<'a>(conversion: &'a Conversion<'a>) -> Result<File<'a>, ConvertError> {
    let config = &conversion.checkpoint.config;
    let mut head = Head::default();
    head.set(keys::ARCHITECTURE, keys::MOBILEVLM);
    head.set(keys::NAME, conversion.name);
    head.set(keys::ALIGNMENT, Setting::U32(ALIGNMENT));
    head.set(keys::QUANTIZATION_VERSION, Setting::U32(2));
    head.set(keys::VERSION, Setting::U32(1));
    head.set(keys::TEMPLATE, "v1");

    let tower = &config.vision;
    head.set(vision::IMAGE_SIZE, size(tower.image_size));
    head.set(vision::PATCH_SIZE, size(tower.patch_size));
    head.set(vision::HIDDEN, size(tower.hidden));
    head.set(vision::HEADS, size(tower.heads));
    head.set(vision::FFN, size(tower.ffn));
    head.set(vision::BLOCKS, size(tower.blocks_to_run));
    head.set(vision::EPS, Setting::F32(tower.eps));
    let activation = match tower.activation {
        Activation::QuickGelu => "quick_gelu",
        Activation::Gelu => "gelu",
    };
    head.set(vision::ACTIVATION, activation);

    let (kind, variant) = config.projector.names();
    head.set(projector::KIND, Setting::Text(kind));
    if let Some(variant) = variant {
        head.set(projector::VARIANT, Setting::Text(variant));
    }

    let llama = &config.language;
    head.set(language::HIDDEN, size(llama.hidden));
    head.set(language::HEADS, size(llama.heads));
    head.set(language::KV_HEADS, size(llama.kv_heads));
    head.set(language::HEAD_DIM, size(llama.head_dim));
    head.set(language::FFN, size(llama.ffn));
    head.set(language::BLOCKS, size(llama.layers));
    head.set(language::VOCAB, size(llama.vocab));
    head.set(language::CONTEXT, size(llama.context));
    head.set(language::RMS_EPS, Setting::F32(llama.rms_eps));
    head.set(language::ROPE_THETA, Setting::F32(llama.rope_theta));
    head.set(language::TIED, Setting::Bool(llama.tied));

    let pictures = &config.preprocess;
    head.set(preprocess::ASPECT, pictures.aspect.name());
    head.set(preprocess::MEAN, Setting::F32s(pictures.mean.to_vec()));
    head.set(preprocess::STD, Setting::F32s(pictures.std.to_vec()));

    set_vocabulary(&mut head, conversion.vocabulary, llama.vocab)?;
    let tensors = conversion.tensors().map(|chosen| Stored {
        dtype: in_one_file(chosen.purpose, chosen.dtype),
        name: chosen.name,
        shape: chosen.shape,
        paired: None,
        tensor: chosen.tensor,
    });
    Ok(File::new(head, tensors.collect()))
}

//! The keys of GGUF files, named once for reading and for writing.
//!
//! `general.*` and `tokenizer.*` are the format's own and llama.cpp's; `mobilevlm.*` are this
//! project's: they describe a whole model in one file, and say in a language model's file what
//! llama.cpp has no key for. Types are those that are written; any width of whole number is read.

/// Text: `mobilevlm` for a whole model, `llama` for a language model, `clip` for a tower.
pub(crate) const ARCHITECTURE: &str = "general.architecture";
/// Text: the model's name.
pub(crate) const NAME: &str = "general.name";
/// U32: what each tensor's place is a multiple of; 32 without it.
pub(crate) const ALIGNMENT: &str = "general.alignment";
/// U32: llama.cpp's number of a mix of formats.
pub(crate) const FILE_TYPE: &str = "general.file_type";
/// U32: 2, the version of ggml's block formats.
pub(crate) const QUANTIZATION_VERSION: &str = "general.quantization_version";

/// The architecture of a whole model in one file.
pub(crate) const MOBILEVLM: &str = "mobilevlm";

/// U32: the version of this list of keys, 1.
pub(crate) const VERSION: &str = "mobilevlm.version";
/// Text: how a conversation becomes a prompt, `v1`.
pub(crate) const TEMPLATE: &str = "mobilevlm.template";

/// The vision tower. Only the blocks that are read are in the file.
pub(crate) mod vision {
    /// U32: width of the hidden state.
    pub(crate) const HIDDEN: &str = "mobilevlm.vision.embedding_length";
    /// U32: attention heads.
    pub(crate) const HEADS: &str = "mobilevlm.vision.attention.head_count";
    /// U32: width inside the feed-forward part.
    pub(crate) const FFN: &str = "mobilevlm.vision.feed_forward_length";
    /// U32: blocks; all of them run.
    pub(crate) const BLOCKS: &str = "mobilevlm.vision.block_count";
    /// U32: side of the picture in pixels.
    pub(crate) const IMAGE_SIZE: &str = "mobilevlm.vision.image_size";
    /// U32: side of a patch in pixels.
    pub(crate) const PATCH_SIZE: &str = "mobilevlm.vision.patch_size";
    /// F32: added to the variance in layer norms.
    pub(crate) const EPS: &str = "mobilevlm.vision.attention.layer_norm_epsilon";
    /// Text: `quick_gelu` or `gelu`.
    pub(crate) const ACTIVATION: &str = "mobilevlm.vision.activation";
}

/// The projector.
pub(crate) mod projector {
    /// Text: as `mm_projector_type` of a configuration, `ldpnetv2` for instance.
    pub(crate) const KIND: &str = "mobilevlm.projector.type";
    /// Text: as `mm_projector_variant`, `pool+peg` for instance; only for `ldpnetv2`.
    pub(crate) const VARIANT: &str = "mobilevlm.projector.variant";
}

/// The language model. Its first and last token are in the tokenizer's keys.
pub(crate) mod language {
    /// U32: width of the hidden state.
    pub(crate) const HIDDEN: &str = "mobilevlm.language.embedding_length";
    /// U32: query heads.
    pub(crate) const HEADS: &str = "mobilevlm.language.attention.head_count";
    /// U32: key and value heads.
    pub(crate) const KV_HEADS: &str = "mobilevlm.language.attention.head_count_kv";
    /// U32: width of a head.
    pub(crate) const HEAD_DIM: &str = "mobilevlm.language.attention.key_length";
    /// U32: width inside the feed-forward part.
    pub(crate) const FFN: &str = "mobilevlm.language.feed_forward_length";
    /// U32: blocks.
    pub(crate) const BLOCKS: &str = "mobilevlm.language.block_count";
    /// U32: rows of the embedding and of the head.
    pub(crate) const VOCAB: &str = "mobilevlm.language.vocab_size";
    /// U32: positions that the model was trained for.
    pub(crate) const CONTEXT: &str = "mobilevlm.language.context_length";
    /// F32: added to the mean square in RMSNorm.
    pub(crate) const RMS_EPS: &str = "mobilevlm.language.attention.layer_norm_rms_epsilon";
    /// F32: base of the rotary frequencies.
    pub(crate) const ROPE_THETA: &str = "mobilevlm.language.rope.freq_base";
    /// Bool: whether the head is the embedding; the file has no head then.
    pub(crate) const TIED: &str = "mobilevlm.language.tied";
}

/// What llama.cpp's language models say besides. Their sizes have the keys of [`language`], as
/// [`in_pair`] names them.
pub(crate) mod llama {
    /// U32: how much of a head is rotated; its whole width without it.
    pub(crate) const ROPE_DIMENSIONS: &str = "llama.rope.dimension_count";
    /// Text: `none`, `linear` or others that are not computed.
    pub(crate) const ROPE_SCALING: &str = "llama.rope.scaling.type";
    /// F32: how far positions are stretched; 1 without it.
    pub(crate) const ROPE_SCALING_FACTOR: &str = "llama.rope.scaling.factor";
    /// F32: the same in older files.
    pub(crate) const ROPE_SCALE_LINEAR: &str = "llama.rope.scale_linear";
    /// U16: over how many files the model is spread.
    pub(crate) const SPLIT_COUNT: &str = "split.count";
}

/// What llama.cpp's projector files say besides. Sizes have the keys of [`vision`], and the
/// constants of pictures those of [`preprocess`], as [`in_pair`] names them.
pub(crate) mod clip {
    /// Bool: true.
    pub(crate) const HAS_VISION: &str = "clip.has_vision_encoder";
    /// Text: `ldp`, `ldpv2` or `mlp`.
    pub(crate) const PROJECTOR: &str = "clip.projector_type";
    /// Text: the same in files with several encoders.
    pub(crate) const VISION_PROJECTOR: &str = "clip.vision.projector_type";
    /// Array of I32: the hidden states that are read; without it, the last of the file.
    pub(crate) const FEATURE_LAYER: &str = "clip.vision.feature_layer";
    /// Bool: GELU inside the tower; quick GELU without it.
    pub(crate) const USE_GELU: &str = "clip.use_gelu";
    /// Bool: SiLU inside the tower.
    pub(crate) const USE_SILU: &str = "clip.use_silu";
}

/// What a file of a pair calls a key of a whole model's file; `None` for keys that both share.
pub(crate) fn in_pair(key: &str) -> Option<String> {
    [
        ("mobilevlm.language.", "llama."),
        ("mobilevlm.vision.", "clip.vision."),
        ("mobilevlm.preprocess.", "clip.vision."),
    ]
    .into_iter()
    .find_map(|(ours, theirs)| Some(format!("{theirs}{}", key.strip_prefix(ours)?)))
}

/// How a picture becomes the tower's input.
pub(crate) mod preprocess {
    /// Text: `pad` or `square`. Also in a tower's file of a pair, which means `pad` without it.
    pub(crate) const ASPECT: &str = "mobilevlm.preprocess.aspect";
    /// Array of three F32.
    pub(crate) const MEAN: &str = "mobilevlm.preprocess.image_mean";
    /// Array of three F32.
    pub(crate) const STD: &str = "mobilevlm.preprocess.image_std";
}

/// The vocabulary: llama.cpp's keys, and what it has no key for. The latter are also written to a
/// language model's file where they differ from what is meant without them.
pub(crate) mod tokenizer {
    /// Text: `llama`, SentencePiece BPE.
    pub(crate) const MODEL: &str = "tokenizer.ggml.model";
    /// Text: `default`; means nothing for this model.
    pub(crate) const PRE: &str = "tokenizer.ggml.pre";
    /// Array of texts: the pieces.
    pub(crate) const TOKENS: &str = "tokenizer.ggml.tokens";
    /// Array of F32: a score for each.
    pub(crate) const SCORES: &str = "tokenizer.ggml.scores";
    /// Array of I32: a kind for each.
    pub(crate) const KINDS: &str = "tokenizer.ggml.token_type";
    /// U32: the piece that begins a prompt.
    pub(crate) const BOS: &str = "tokenizer.ggml.bos_token_id";
    /// U32: the piece that ends an answer.
    pub(crate) const EOS: &str = "tokenizer.ggml.eos_token_id";
    /// U32: the piece for what no piece spells.
    pub(crate) const UNKNOWN: &str = "tokenizer.ggml.unknown_token_id";
    /// U32: the piece that fills up; never read.
    pub(crate) const PADDING: &str = "tokenizer.ggml.padding_token_id";
    /// Bool: whether a prompt begins with the first piece; true.
    pub(crate) const ADD_BOS: &str = "tokenizer.ggml.add_bos_token";
    /// Bool: whether a prompt ends with the last piece; false.
    pub(crate) const ADD_EOS: &str = "tokenizer.ggml.add_eos_token";
    /// Bool: whether a text is encoded as if a space stood before it; true without it.
    pub(crate) const ADD_SPACE_PREFIX: &str = "tokenizer.ggml.add_space_prefix";
    /// Bool: `legacy` of `tokenizer_config.json`; true without it.
    pub(crate) const LEGACY: &str = "mobilevlm.tokenizer.legacy";
    /// Bool: whether a character that is no piece becomes bytes; without it, whether there is a
    /// piece for every byte.
    pub(crate) const BYTE_FALLBACK: &str = "mobilevlm.tokenizer.byte_fallback";
    /// Text: what the unknown piece is shown as; ` ⁇ ` without it.
    pub(crate) const UNKNOWN_SURFACE: &str = "mobilevlm.tokenizer.unknown_surface";
}

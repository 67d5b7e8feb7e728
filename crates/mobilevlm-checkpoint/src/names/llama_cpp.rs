//! What llama.cpp's converters call the tensors of a pair: a language model's file and a
//! projector's.

/// Parts of a block of the language model: the name in an inventory, the name in the file.
const LANGUAGE_BLOCK: [(&str, &str); 9] = [
    ("input_layernorm", "attn_norm"),
    ("self_attn.q_proj", "attn_q"),
    ("self_attn.k_proj", "attn_k"),
    ("self_attn.v_proj", "attn_v"),
    ("self_attn.o_proj", "attn_output"),
    ("post_attention_layernorm", "ffn_norm"),
    ("mlp.gate_proj", "ffn_gate"),
    ("mlp.up_proj", "ffn_up"),
    ("mlp.down_proj", "ffn_down"),
];

/// Parts of a block of the tower. The converters for this family name the first layer of the
/// feed-forward part `ffn_down`; newer ones name it `ffn_up`. llama.cpp tells by the columns of
/// `ffn_down`; where both layers have as many, it takes them to be named as here.
const VISION_BLOCK: [(&str, &str); 8] = [
    ("layer_norm1", "ln1"),
    ("layer_norm2", "ln2"),
    ("self_attn.q_proj", "attn_q"),
    ("self_attn.k_proj", "attn_k"),
    ("self_attn.v_proj", "attn_v"),
    ("self_attn.out_proj", "attn_out"),
    ("mlp.fc1", "ffn_down"),
    ("mlp.fc2", "ffn_up"),
];

/// Beginnings of all other names.
const OTHERS: [(&str, &str); 14] = [
    ("language.embed_tokens.", "token_embd."),
    ("language.lm_head.", "output."),
    ("language.norm.", "output_norm."),
    ("vision.embeddings.class_embedding", "v.class_embd"),
    ("vision.embeddings.patch_embedding.", "v.patch_embd."),
    ("vision.embeddings.position_embedding.", "v.position_embd."),
    ("vision.pre_layrnorm.", "v.pre_ln."),
    ("vision.post_layernorm.", "v.post_ln."),
    ("projector.mlp.mlp.", "mm.model.mlp."),
    ("projector.peg.peg.", "mm.model.peg."),
    ("projector.model.", "mm.model."),
    ("projector.0.", "mm.0."),
    ("projector.2.", "mm.2."),
    // The one layer of a linear projector.
    ("projector.", "mm.0."),
];

/// The name in a file of llama.cpp's of a tensor that an inventory has under `name`; `None` for
/// what such files do not hold.
pub(crate) fn stored(name: &str) -> Option<String> {
    let block = |prefix: &str, short: &str, parts: &[(&str, &str)]| {
        let (layer, rest) = name.strip_prefix(prefix)?.split_once('.')?;
        let (part, kind) = rest.rsplit_once('.')?;
        let (_, part) = parts.iter().find(|(known, _)| *known == part)?;
        Some(format!("{short}{layer}.{part}.{kind}"))
    };
    let other = || {
        let mut others = OTHERS.iter();
        others.find_map(|(ours, theirs)| Some(format!("{theirs}{}", name.strip_prefix(ours)?)))
    };
    block("language.layers.", "blk.", &LANGUAGE_BLOCK)
        .or_else(|| block("vision.encoder.layers.", "v.blk.", &VISION_BLOCK))
        .or_else(other)
}

/// Whether such files hold the rows of a tensor so that those of a rotary pair are neighbours.
pub(crate) fn is_paired(name: &str) -> bool {
    name.starts_with("language.layers.")
        && (name.ends_with(".q_proj.weight") || name.ends_with(".k_proj.weight"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_converters_write() {
        for (name, expected) in [
            ("language.embed_tokens.weight", "token_embd.weight"),
            ("language.lm_head.weight", "output.weight"),
            ("language.norm.weight", "output_norm.weight"),
            (
                "language.layers.11.post_attention_layernorm.weight",
                "blk.11.ffn_norm.weight",
            ),
            (
                "language.layers.0.self_attn.o_proj.weight",
                "blk.0.attn_output.weight",
            ),
            ("vision.embeddings.class_embedding", "v.class_embd"),
            ("vision.pre_layrnorm.bias", "v.pre_ln.bias"),
            (
                "vision.encoder.layers.22.mlp.fc1.bias",
                "v.blk.22.ffn_down.bias",
            ),
            (
                "vision.encoder.layers.3.self_attn.out_proj.weight",
                "v.blk.3.attn_out.weight",
            ),
            ("projector.mlp.mlp.2.weight", "mm.model.mlp.2.weight"),
            ("projector.peg.peg.0.bias", "mm.model.peg.0.bias"),
            ("projector.model.mlp.3.bias", "mm.model.mlp.3.bias"),
            (
                "projector.model.mb_block.2.block.1.fc1.weight",
                "mm.model.mb_block.2.block.1.fc1.weight",
            ),
            ("projector.2.bias", "mm.2.bias"),
            ("projector.weight", "mm.0.weight"),
        ] {
            assert_eq!(stored(name).as_deref(), Some(expected), "{name}");
        }
        assert_eq!(stored("language.layers.0.other.weight"), None);
    }
}

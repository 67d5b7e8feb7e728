use super::*;
use crate::config::ConfigFiles;

fn config(text: &str) -> Config {
    Config::from_json(&ConfigFiles {
        config: text.as_bytes(),
        ..ConfigFiles::default()
    })
    .unwrap()
}

#[test]
fn names_of_every_layout_come_out_the_same() {
    let query = "language.layers.0.self_attn.q_proj.weight";
    let patch = "vision.embeddings.patch_embedding.weight";
    let cases: &[(&Names, &str, &str)] = &[
        (&AUTHORS, "model.layers.0.self_attn.q_proj.weight", query),
        (
            &AUTHORS,
            "model.embed_tokens.weight",
            "language.embed_tokens.weight",
        ),
        (&AUTHORS, "model.norm.weight", "language.norm.weight"),
        (&AUTHORS, "lm_head.weight", "language.lm_head.weight"),
        (&AUTHORS, "model.mm_projector.weight", "projector.weight"),
        (
            &AUTHORS,
            "model.mm_projector.mlp.mlp.0.weight",
            "projector.mlp.mlp.0.weight",
        ),
        (
            &AUTHORS,
            "model.vision_tower.vision_tower.vision_model.embeddings.patch_embedding.weight",
            patch,
        ),
        (
            &LLAVA_HF,
            "language_model.model.layers.0.self_attn.q_proj.weight",
            query,
        ),
        (
            &LLAVA_HF,
            "language_model.lm_head.weight",
            "language.lm_head.weight",
        ),
        (
            &LLAVA_HF,
            "vision_tower.vision_model.embeddings.patch_embedding.weight",
            patch,
        ),
        (
            &LLAVA_HF,
            "multi_modal_projector.linear_1.weight",
            "projector.0.weight",
        ),
        (
            &LLAVA_HF,
            "multi_modal_projector.linear_2.bias",
            "projector.2.bias",
        ),
        (
            &LLAVA_HF,
            "model.language_model.layers.0.self_attn.q_proj.weight",
            query,
        ),
        (&LLAVA_HF, "lm_head.weight", "language.lm_head.weight"),
        (
            &LLAVA_HF,
            "model.vision_tower.vision_model.embeddings.patch_embedding.weight",
            patch,
        ),
        (
            &LLAVA_HF,
            "model.multi_modal_projector.linear_1.bias",
            "projector.0.bias",
        ),
        (
            &LLAVA_HF,
            "model.multi_modal_projector.linear_2.weight",
            "projector.2.weight",
        ),
        (
            &CLIP,
            "vision_model.embeddings.patch_embedding.weight",
            patch,
        ),
    ];
    for (names, stored, expected) in cases {
        assert_eq!(
            names.canonical(stored),
            Canonical::Name((*expected).to_owned()),
            "{stored}"
        );
    }
}

#[test]
fn the_usual_stored_name_leads_back() {
    for names in [&AUTHORS, &LLAVA_HF, &CLIP] {
        for (prefix, canonical) in names.prefixes {
            let back = names.stored(&format!("{canonical}x"));
            assert_eq!(
                names.canonical(&back),
                Canonical::Name(format!("{canonical}x")),
                "{prefix}"
            );
        }
    }
    assert_eq!(AUTHORS.stored("language.lm_head.weight"), "lm_head.weight");
    assert_eq!(
        LLAVA_HF.stored("language.norm.weight"),
        "language_model.model.norm.weight"
    );
    assert_eq!(
        LLAVA_HF.stored("language.lm_head.weight"),
        "language_model.lm_head.weight"
    );
}

#[test]
fn what_is_never_read_and_what_is_not_known_are_told_apart() {
    for (names, stored) in [
        (&AUTHORS, "model.layers.0.self_attn.rotary_emb.inv_freq"),
        (
            &AUTHORS,
            "model.vision_tower.vision_tower.vision_model.embeddings.position_ids",
        ),
        (&CLIP, "text_model.final_layer_norm.weight"),
        (&CLIP, "logit_scale"),
        (&CLIP, "visual_projection.weight"),
    ] {
        assert_eq!(names.canonical(stored), Canonical::Ignored, "{stored}");
    }
    for (names, stored) in [
        (&AUTHORS, "model.image_newline"),
        (&LLAVA_HF, "image_newline"),
        (&CLIP, "model.norm.weight"),
    ] {
        assert_eq!(names.canonical(stored), Canonical::Unknown, "{stored}");
    }
}

#[test]
fn squeezed_channels_are_torchvisions() {
    // _make_divisible(c // 4, 8) of torchvision 0.15.2 for these c.
    for (hidden, expected) in [
        (8, 8),
        (16, 8),
        (48, 16),
        (64, 16),
        (76, 24),
        (160, 40),
        (2048, 512),
        (2560, 640),
        (4096, 1024),
    ] {
        assert_eq!(squeezed_channels(hidden), expected, "{hidden}");
    }
}

#[test]
fn every_projector_asks_for_its_own_tensors() {
    let list = |changes: &str| {
        let text = format!(
            r#"{{"model_type":"mobilevlm","mm_vision_tower":"x","hidden_size":64,"num_attention_heads":2,
                "vision_config":{{"hidden_size":32,"num_attention_heads":2}},{changes}}}"#
        );
        let expected = expected_tensors(&config(&text));
        expected
            .into_iter()
            .filter(|(name, _)| name.starts_with("projector."))
            .collect::<Vec<_>>()
    };
    let names = |changes| {
        list(changes)
            .into_iter()
            .map(|(name, _)| name)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        list(r#""mm_projector_type":"linear""#),
        [
            ("projector.weight".to_owned(), vec![64, 32]),
            ("projector.bias".to_owned(), vec![64])
        ]
    );
    assert_eq!(
        names(r#""mm_projector_type":"mlp3x_gelu""#),
        [
            "0.weight", "0.bias", "2.weight", "2.bias", "4.weight", "4.bias"
        ]
        .map(|name| format!("projector.{name}"))
    );
    let pool = [
        "mlp.mlp.0.weight",
        "mlp.mlp.0.bias",
        "mlp.mlp.2.weight",
        "mlp.mlp.2.bias",
    ];
    let ldpv2 = |variant| {
        list(&format!(
            r#""mm_projector_type":"ldpnetv2","mm_projector_variant":"{variant}""#
        ))
    };
    assert_eq!(
        ldpv2("pool")
            .iter()
            .map(|(name, _)| &name[10..])
            .collect::<Vec<_>>(),
        pool
    );
    assert_eq!(
        ldpv2("pool+positions")[4],
        ("projector.positions".to_owned(), vec![144, 64])
    );
    assert_eq!(ldpv2("no-pool"), ldpv2("pool+peg"));
    assert_eq!(
        ldpv2("pool+peg")[4],
        ("projector.peg.peg.0.weight".to_owned(), vec![64, 1, 3, 3])
    );
    assert_eq!(list(r#""mm_projector_type":"ldpnet""#).len(), 24);
}

use serde_json::{Value, json};

use super::*;

/// A configuration as MobileVLM V2 releases it, with some keys set otherwise.
fn released(changes: Value) -> Value {
    let mut config = json!({
        "architectures": ["MobileLlamaForCausalLM"], "model_type": "mobilevlm",
        "bos_token_id": 1, "eos_token_id": 2, "hidden_act": "silu", "hidden_size": 2048,
        "image_aspect_ratio": "pad", "intermediate_size": 5632, "max_position_embeddings": 2048,
        "mm_hidden_size": 1024, "mm_projector_type": "ldpnetv2", "mm_use_im_start_end": false,
        "mm_vision_select_feature": "patch", "mm_vision_select_layer": -2,
        "mm_vision_tower": "openai/clip-vit-large-patch14-336", "num_attention_heads": 16,
        "num_hidden_layers": 24, "num_key_value_heads": 16, "rms_norm_eps": 1e-6,
        "rope_scaling": null, "tie_word_embeddings": false, "vocab_size": 32000
    });
    merge(&mut config, changes);
    config
}

/// A configuration as `llava-hf/llava-1.5-7b-hf` has it, with some keys set otherwise.
fn llava_hf(changes: Value) -> Value {
    let mut config = json!({
        "architectures": ["LlavaForConditionalGeneration"], "model_type": "llava",
        "image_token_index": 32000, "projector_hidden_act": "gelu",
        "text_config": {
            "architectures": ["LlamaForCausalLM"], "max_position_embeddings": 4096,
            "model_type": "llama", "rms_norm_eps": 1e-5, "vocab_size": 32064
        },
        "vision_config": {
            "hidden_size": 1024, "image_size": 336, "intermediate_size": 4096,
            "model_type": "clip_vision_model", "num_attention_heads": 16,
            "num_hidden_layers": 24, "patch_size": 14, "projection_dim": 768
        },
        "vision_feature_layer": -2, "vision_feature_select_strategy": "default"
    });
    merge(&mut config, changes);
    config
}

fn merge(config: &mut Value, changes: Value) {
    let Value::Object(changes) = changes else {
        panic!("changes are an object")
    };
    config.as_object_mut().expect("an object").extend(changes);
}

fn parse(config: &Value) -> Result<Config, ConfigError> {
    Config::from_json(&ConfigFiles {
        config: config.to_string().as_bytes(),
        ..ConfigFiles::default()
    })
}

fn refusal(config: &Value) -> String {
    parse(config)
        .expect_err("a configuration that cannot be computed was accepted")
        .to_string()
}

#[test]
fn a_release_says_everything_but_the_tower_which_is_the_preset() {
    let config = parse(&released(json!({}))).unwrap();
    assert_eq!(config.layout, Layout::Authors);
    assert_eq!(config.projector, Projector::LdpNetV2(LdpV2::PoolPeg));
    assert_eq!(
        config.tower_name.as_deref(),
        Some("openai/clip-vit-large-patch14-336")
    );
    let vision = &config.vision;
    assert_eq!(
        (vision.hidden, vision.heads, vision.ffn, vision.layers),
        (1024, 16, 4096, 24)
    );
    assert_eq!(
        (vision.image_size, vision.patch_size, vision.patches()),
        (336, 14, 576)
    );
    assert_eq!(
        (vision.blocks_to_run, vision.eps, vision.activation),
        (23, 1e-5, Activation::QuickGelu)
    );
    let language = &config.language;
    assert_eq!(
        (
            language.hidden,
            language.heads,
            language.kv_heads,
            language.head_dim
        ),
        (2048, 16, 16, 128)
    );
    assert_eq!(
        (language.ffn, language.layers, language.vocab),
        (5632, 24, 32000)
    );
    assert_eq!(
        (language.rms_eps, language.rope_theta, language.context),
        (1e-6, 1e4, 2048)
    );
    assert_eq!((language.tied, language.bos, language.eos), (false, 1, 2));
    let preprocess = &config.preprocess;
    assert_eq!(
        (preprocess.aspect, preprocess.image_size),
        (Aspect::Pad, 336)
    );
    // As preprocessor_config.json of openai/clip-vit-large-patch14-336 spells them.
    let mean = [0.48145466, 0.4578275, 0.40821073_f64];
    let std = [0.26862954, 0.26130258, 0.27577711_f64];
    assert_eq!(preprocess.mean, mean.map(|value| value as f32));
    assert_eq!(preprocess.std, std.map(|value| value as f32));
}

#[test]
fn llava_hf_fills_sparse_parts_with_the_defaults_of_transformers() {
    let config = parse(&llava_hf(json!({}))).unwrap();
    assert_eq!(
        (config.layout, config.projector),
        (Layout::LlavaHf, Projector::Mlp { depth: 2 })
    );
    let language = &config.language;
    assert_eq!(
        (
            language.hidden,
            language.heads,
            language.head_dim,
            language.ffn
        ),
        (4096, 32, 128, 11008)
    );
    assert_eq!(
        (
            language.layers,
            language.vocab,
            language.context,
            language.rms_eps
        ),
        (32, 32064, 4096, 1e-5)
    );
    assert_eq!((config.vision.blocks_to_run, config.vision.eps), (23, 1e-5));
    assert_eq!(config.preprocess.aspect, Aspect::Square);

    // No description at all is LlavaConfig's own default, which is L/336 and LLaMA 7B.
    let bare = parse(&json!({ "architectures": ["LlavaForConditionalGeneration"] })).unwrap();
    assert_eq!(bare.language, LanguageConfig::default());
    assert_eq!(bare.vision, config.vision);
    // One without sizes is CLIPVisionConfig's default, which is B/32.
    let small = parse(&llava_hf(
        json!({ "vision_config": { "model_type": "clip_vision_model" } }),
    ))
    .unwrap()
    .vision;
    assert_eq!(
        (
            small.hidden,
            small.layers,
            small.image_size,
            small.patch_size
        ),
        (768, 12, 224, 32)
    );
}

#[test]
fn relatives_of_the_family_are_recognised() {
    let cases = [
        (
            json!({ "model_type": "llava", "architectures": ["LlavaLlamaForCausalLM"], "mm_projector_type": "mlp2x_gelu" }),
            2,
        ),
        (
            json!({ "model_type": "llava_llama", "mm_projector_type": "mlp3x_gelu" }),
            3,
        ),
        (
            json!({ "model_type": "share4v", "mm_projector_type": "mlp1x_gelu" }),
            1,
        ),
    ];
    for (changes, depth) in cases {
        assert_eq!(
            parse(&released(changes)).unwrap().projector,
            Projector::Mlp { depth }
        );
    }
    let projector = |kind| {
        parse(&released(json!({ "mm_projector_type": kind })))
            .unwrap()
            .projector
    };
    assert_eq!(projector(json!("ldpnet")), Projector::LdpNet);
    assert_eq!(projector(json!("linear")), Projector::Linear);
    assert_eq!(projector(json!(null)), Projector::Linear);
}

#[test]
fn every_variant_of_ldpv2_has_a_name() {
    let variant = |name| {
        parse(&released(json!({ "mm_projector_variant": name })))
            .unwrap()
            .projector
    };
    for (name, expected) in [
        ("pool+peg", LdpV2::PoolPeg),
        ("no-pool", LdpV2::NoPool),
        ("pool", LdpV2::Pool),
        ("pool+positions", LdpV2::PoolPositions),
        ("pool6+peg", LdpV2::PoolPegTo(6)),
        ("pool64+peg", LdpV2::PoolPegTo(64)),
    ] {
        assert_eq!(variant(name), Projector::LdpNetV2(expected), "{name}");
        assert_eq!(variant(name).names().1.as_deref(), Some(name));
    }
    assert_eq!(LdpV2::PoolPeg.grid(), Some(12));
    assert_eq!(LdpV2::PoolPegTo(6).grid(), Some(6));
    assert_eq!(LdpV2::NoPool.grid(), None);
    // Each has one name: the released grid has its own already.
    for name in [
        "pool0+peg",
        "pool12+peg",
        "pool06+peg",
        "pool+6+peg",
        "pool65+peg",
        "pool300+peg",
    ] {
        parse(&released(json!({ "mm_projector_variant": name }))).unwrap_err();
    }
}

#[test]
fn the_selected_layer_says_how_many_blocks_run() {
    for (layer, blocks) in [(-1, 24), (-2, 23), (-25, 0), (0, 0), (1, 1), (24, 24)] {
        let config = parse(&released(json!({ "mm_vision_select_layer": layer }))).unwrap();
        assert_eq!(config.vision.blocks_to_run, blocks, "{layer}");
        let config = parse(&llava_hf(json!({ "vision_feature_layer": layer }))).unwrap();
        assert_eq!(config.vision.blocks_to_run, blocks, "{layer}");
    }
}

#[test]
fn a_towers_own_description_goes_before_the_models() {
    let model = released(json!({ "mm_hidden_size": 64, "vision_config": { "hidden_size": 36 } }))
        .to_string();
    let vision = json!({ "hidden_size": 64, "num_attention_heads": 2, "hidden_act": "gelu" });
    for vision in [
        vision.clone(),
        json!({ "model_type": "clip", "vision_config": vision }),
    ] {
        let vision = vision.to_string();
        let files = ConfigFiles {
            config: model.as_bytes(),
            vision: Some(vision.as_bytes()),
            preprocessor: None,
        };
        let Err(error) = Config::from_json(&ConfigFiles {
            vision: None,
            ..files
        }) else {
            panic!("36 is not 64")
        };
        assert!(error.to_string().contains("mm_hidden_size"), "{error}");
        let config = Config::from_json(&files).unwrap();
        assert_eq!(
            (config.vision.hidden, config.vision.activation),
            (64, Activation::Gelu)
        );
    }
}

#[test]
fn the_name_of_the_smaller_preset_is_known() {
    let size = |name| {
        parse(&released(json!({ "mm_vision_tower": name })))
            .unwrap()
            .vision
            .image_size
    };
    assert_eq!(size("openai/clip-vit-large-patch14"), 224);
    assert_eq!(size("openai/clip-vit-large-patch14-336"), 336);
    assert_eq!(size("/somewhere/else"), 336);
}

#[test]
fn preprocessing_constants_come_from_their_file() {
    let with = |file: Value| {
        Config::from_json(&ConfigFiles {
            config: released(json!({ "image_aspect_ratio": null }))
                .to_string()
                .as_bytes(),
            vision: None,
            preprocessor: Some(file.to_string().as_bytes()),
        })
    };
    let file = json!({
        "size": { "shortest_edge": 336 }, "crop_size": { "height": 336, "width": 336 }, "resample": 3,
        "image_mean": [0.5, 0.25, 0.125], "image_std": [1, 2, 4], "do_resize": true
    });
    let preprocess = with(file).unwrap().preprocess;
    assert_eq!(
        (preprocess.aspect, preprocess.mean),
        (Aspect::Square, [0.5, 0.25, 0.125])
    );
    assert_eq!(preprocess.std, [1.0, 2.0, 4.0]);
    assert_eq!(
        with(json!({ "size": 336, "do_pad": true }))
            .unwrap()
            .preprocess
            .aspect,
        Aspect::Pad
    );
    for (file, expected) in [
        (
            json!({ "size": 224 }),
            "size: expected 336, the tower's image size, found 224",
        ),
        (
            json!({ "crop_size": { "height": 336, "width": 224 } }),
            "crop_size: expected 336",
        ),
        (
            json!({ "resample": 2 }),
            "resample: expected 3 (bicubic), found 2",
        ),
        (
            json!({ "do_normalize": false }),
            "do_normalize: expected true",
        ),
        (
            json!({ "image_mean": [0.5, 0.5] }),
            "image_mean: expected three numbers",
        ),
        (
            json!({ "image_std": [1, 0, 1] }),
            "image_std: expected three numbers",
        ),
    ] {
        let found = with(file).unwrap_err().to_string();
        assert!(found.contains(expected), "{found}");
    }
}

#[test]
fn rotary_settings_that_change_nothing_are_accepted() {
    for rope in [
        json!(null),
        json!({ "rope_type": "default" }),
        json!({ "type": "linear", "factor": 1.0 }),
        json!({ "rope_type": "default", "rope_theta": 10000.0 }),
    ] {
        assert_eq!(
            parse(&released(json!({ "rope_scaling": rope })))
                .unwrap()
                .language
                .rope_theta,
            1e4
        );
    }
    let newer = json!({ "rope_parameters": { "rope_type": "default", "rope_theta": 5e5 } });
    assert_eq!(parse(&released(newer)).unwrap().language.rope_theta, 5e5);
    assert_eq!(
        parse(&released(json!({ "rope_theta": 1e6 })))
            .unwrap()
            .language
            .rope_theta,
        1e6
    );
}

#[test]
fn heads_may_have_a_size_of_their_own() {
    let config = json!({ "head_dim": 80, "num_attention_heads": 32, "num_key_value_heads": 8 });
    let language = parse(&released(config)).unwrap().language;
    assert_eq!(
        (language.head_dim, language.heads, language.kv_heads),
        (80, 32, 8)
    );
    let language = parse(&released(json!({ "num_key_value_heads": null })))
        .unwrap()
        .language;
    assert_eq!(language.kv_heads, 16);
}

#[test]
fn what_is_not_computed_is_refused_by_its_key() {
    let cases = [
        (
            json!({ "model_type": "qwen2" }),
            "model_type: expected mobilevlm",
        ),
        (
            json!({ "hidden_act": "gelu" }),
            "hidden_act: expected \"silu\", found \"gelu\"",
        ),
        (json!({ "attention_bias": true }), "attention_bias"),
        (json!({ "mlp_bias": true }), "mlp_bias"),
        (
            json!({ "mm_use_im_start_end": true }),
            "mm_use_im_start_end",
        ),
        (
            json!({ "mm_vision_select_feature": "cls_patch" }),
            "mm_vision_select_feature: expected \"patch\"",
        ),
        (
            json!({ "mm_vision_select_layer": 25 }),
            "mm_vision_select_layer: expected a whole number from -25 to 24",
        ),
        (
            json!({ "mm_vision_select_layer": -26 }),
            "mm_vision_select_layer",
        ),
        (
            json!({ "mm_vision_select_layer": 1.5 }),
            "mm_vision_select_layer: expected a whole number, found 1.5",
        ),
        (
            json!({ "mm_hidden_size": 1000 }),
            "mm_hidden_size: expected 1024",
        ),
        (
            json!({ "mm_projector_type": "qformer" }),
            "mm_projector_type: expected linear",
        ),
        (
            json!({ "mm_projector_type": "mlp0x_gelu" }),
            "mm_projector_type",
        ),
        (
            json!({ "mm_projector_type": "mlp+2x_gelu" }),
            "mm_projector_type",
        ),
        (
            json!({ "mm_projector_type": "mlp99999999999999999999x_gelu" }),
            "mm_projector_type",
        ),
        (
            json!({ "mm_projector_variant": "pool+pig" }),
            "one of pool+peg, poolN+peg (N from 1 to 64, not 12), no-pool, pool, pool+positions",
        ),
        (
            json!({ "mm_projector_variant": "pool", "mm_projector_type": "linear" }),
            "mm_projector_variant",
        ),
        (
            json!({ "rope_scaling": { "type": "linear", "factor": 2.0 } }),
            "rope_scaling: expected null",
        ),
        (
            json!({ "rope_scaling": { "rope_type": "llama3" } }),
            "rope_scaling: expected null",
        ),
        (
            json!({ "rope_scaling": { "factor": 4.0 } }),
            "rope_scaling: expected null",
        ),
        (json!({ "rope_theta": 0 }), "rope_theta"),
        (
            json!({ "num_key_value_heads": 3 }),
            "num_key_value_heads: expected a divisor",
        ),
        (
            json!({ "num_attention_heads": 15, "num_key_value_heads": 5 }),
            "divisor of hidden_size (2048), found 15",
        ),
        (json!({ "num_attention_heads": 0 }), "num_attention_heads"),
        (
            json!({ "head_dim": 7 }),
            "head_dim: expected an even number",
        ),
        (
            json!({ "hidden_size": -1 }),
            "hidden_size: expected a whole number from 1 to 65536, found -1",
        ),
        (json!({ "hidden_size": "2048" }), "hidden_size"),
        (json!({ "hidden_size": 1e300 }), "hidden_size"),
        (json!({ "vocab_size": u64::MAX }), "vocab_size"),
        (
            json!({ "num_hidden_layers": 1_000_000_000 }),
            "num_hidden_layers",
        ),
        (
            json!({ "eos_token_id": 32000 }),
            "eos_token_id: expected an id below 32000",
        ),
        (json!({ "rms_norm_eps": -1e-6 }), "rms_norm_eps"),
        (
            json!({ "tie_word_embeddings": 1 }),
            "tie_word_embeddings: expected true or false",
        ),
        (
            json!({ "vision_config": { "patch_size": 13 } }),
            "vision_config.patch_size: expected a divisor of image_size",
        ),
        (
            json!({ "vision_config": { "num_channels": 4 } }),
            "vision_config.num_channels: expected 3",
        ),
        (
            json!({ "vision_config": { "model_type": "siglip_vision_model" } }),
            "vision_config.model_type",
        ),
        (
            json!({ "vision_config": { "hidden_act": "relu" } }),
            "vision_config.hidden_act",
        ),
        (
            json!({ "vision_config": [] }),
            "vision_config: expected an object",
        ),
    ];
    for (changes, expected) in cases {
        let found = refusal(&released(changes.clone()));
        assert!(found.contains(expected), "{changes}: {found}");
    }
    let cases = [
        (
            json!({ "model_type": "llava_next" }),
            "model_type: expected \"llava\"",
        ),
        (
            json!({ "text_config": { "model_type": "mistral" } }),
            "text_config.model_type: expected \"llama\"",
        ),
        (
            json!({ "projector_hidden_act": "relu" }),
            "projector_hidden_act",
        ),
        (
            json!({ "multimodal_projector_bias": false }),
            "multimodal_projector_bias",
        ),
        (
            json!({ "vision_feature_select_strategy": "full" }),
            "vision_feature_select_strategy",
        ),
        (
            json!({ "vision_feature_layer": [-2, -5] }),
            "vision_feature_layer: expected a whole number",
        ),
    ];
    for (changes, expected) in cases {
        let found = refusal(&llava_hf(changes.clone()));
        assert!(found.contains(expected), "{changes}: {found}");
    }
}

#[test]
fn a_language_model_alone_is_refused() {
    let found = refusal(&json!({ "model_type": "llama", "hidden_size": 64 }));
    assert!(
        found.contains("mm_vision_tower: expected the name of a vision tower"),
        "{found}"
    );
}

#[test]
fn texts_that_are_no_configuration_are_refused() {
    let refusal = |text: &[u8]| {
        let files = ConfigFiles {
            config: text,
            ..ConfigFiles::default()
        };
        Config::from_json(&files)
            .expect_err("no configuration")
            .to_string()
    };
    for text in [
        &b""[..],
        b"{",
        b"nonsense",
        b"\xff\xfe",
        "[".repeat(100_000).as_bytes(),
    ] {
        assert!(
            refusal(text).contains("not valid JSON"),
            "{}",
            refusal(text)
        );
    }
    assert!(refusal(b"[1, 2]").contains("expected an object, found [1,2]"));
    let long = format!("{{\"a\": \"{}\"}}", "a".repeat(CONFIG_LIMIT));
    assert!(refusal(long.as_bytes()).contains("at most 262144 bytes"));
}

#[test]
fn every_prefix_and_every_changed_byte_ends_in_a_result() {
    for config in [released(json!({})), llava_hf(json!({}))] {
        let text = config.to_string().into_bytes();
        let parse = |text: &[u8]| {
            Config::from_json(&ConfigFiles {
                config: text,
                ..ConfigFiles::default()
            })
        };
        for end in 0..text.len() {
            assert!(
                parse(&text[..end]).is_err(),
                "accepted {end} of {} bytes",
                text.len()
            );
        }
        for at in 0..text.len() {
            for value in [0, 255]
                .into_iter()
                .chain((0..8).map(|bit| text[at] ^ 1 << bit))
            {
                let mut changed = text.clone();
                changed[at] = value;
                if let Ok(config) = parse(&changed) {
                    let (vision, language) = (&config.vision, &config.language);
                    assert!(
                        vision.blocks_to_run <= vision.layers
                            && language.heads % language.kv_heads == 0
                    );
                    assert_eq!(
                        (
                            vision.image_size % vision.patch_size,
                            vision.hidden % vision.heads
                        ),
                        (0, 0)
                    );
                }
            }
        }
    }
}

//! Folders of parts that were trained from nothing: a run starts from them, and the engine opens
//! what comes of it.

use std::path::Path;

use burn::tensor::{Device, Tensor};
use mobilevlm::{Chat, GenerateOptions, Model, OpenOptions, Picture, RgbImage};
use mobilevlm_checkpoint::{
    Activation, Aspect, LanguageConfig, LdpV2, Preprocess, Projector, VisionConfig,
};
use mobilevlm_processor::Tokenizer;
use mobilevlm_train::recipe::{ClipLoss, TextSizes};
use mobilevlm_train::{
    ClipModel, ClipSizes, Export, ExportDtype, Language, RandomSource, Start, StartParts,
    VisionTower, export_language, export_tower, values,
};

fn vision() -> VisionConfig {
    VisionConfig {
        hidden: 16,
        heads: 2,
        ffn: 32,
        layers: 3,
        blocks_to_run: 3,
        image_size: 48,
        patch_size: 4,
        eps: 1e-5,
        activation: Activation::QuickGelu,
    }
}

fn preprocess() -> Preprocess {
    Preprocess {
        aspect: Aspect::Square,
        image_size: 48,
        mean: [0.4, 0.5, 0.6],
        std: [0.2, 0.25, 0.3],
    }
}

fn write_tower(folder: &Path) -> ClipModel {
    let vision = vision();
    let sizes = ClipSizes {
        vision: &vision,
        text: &TextSizes {
            hidden: 8,
            layers: 1,
            heads: 2,
            ffn: 16,
            projection: 8,
        },
        vocabulary: 20,
        caption_length: 8,
        loss: ClipLoss::Siglip,
    };
    let device = Device::flex().autodiff();
    let clip = ClipModel::new(&sizes, &RandomSource::new(8), &device).unwrap();
    export_tower(folder, &clip, &vision, &preprocess()).unwrap();
    clip
}

fn write_language(folder: &Path) -> Language {
    let tokenizer_file = mobilevlm_testing::micro_golden("checkpoint/tokenizer.model");
    let tokenizer = Tokenizer::from_sentencepiece(&std::fs::read(&tokenizer_file).unwrap());
    let tokenizer = tokenizer.unwrap();
    let config = LanguageConfig {
        hidden: 24,
        heads: 4,
        kv_heads: 2,
        head_dim: 6,
        ffn: 40,
        layers: 2,
        vocab: tokenizer.vocab_size(),
        context: 512,
        bos: tokenizer.bos(),
        eos: tokenizer.eos(),
        ..LanguageConfig::default()
    };
    let device = Device::flex().autodiff();
    let pad = Some(tokenizer.unk());
    let language = Language::new(&config, pad, &RandomSource::new(9), &device).unwrap();
    let tokenizer = tokenizer_file.parent().unwrap();
    export_language(folder, &language, &config, pad, tokenizer).unwrap();
    language
}

#[test]
fn a_run_starts_from_both_and_the_engine_answers() {
    let temp = tempfile::tempdir().unwrap();
    let (tower, language) = (temp.path().join("clip"), temp.path().join("lm"));
    let clip = write_tower(&tower);
    let trained = write_language(&language);
    let start = Start::read(&StartParts {
        model: language.clone(),
        vision_tower: Some(tower.clone()),
        projector: Some(Projector::LdpNetV2(LdpV2::PoolPeg)),
        seed: 1,
    })
    .unwrap();
    assert_eq!(start.config.preprocess, preprocess());
    let plain = Device::flex();
    let model = start.model(&plain).unwrap();
    let found = values(model.language(), "language", |_| true);
    let expected = values(&trained, "language", |_| true);
    assert!(found.iter().count() > 10);
    for (name, tensor) in expected.iter() {
        assert_eq!(found.get(name).unwrap().data(), tensor.data(), "{name}");
    }

    // The tower of the folder sees what the trained one sees: the block that the last hidden state
    // needs is there and the others are its.
    let mut config = start.config.vision.clone();
    config.blocks_to_run = vision().layers;
    assert_eq!(config, vision());
    let checked = Start::read(&StartParts {
        model: language,
        vision_tower: Some(tower),
        projector: Some(Projector::LdpNetV2(LdpV2::PoolPeg)),
        seed: 2,
    });
    let mut checked = checked.unwrap();
    checked.config.vision = config;
    let tower: VisionTower = checked.tower(&plain).unwrap();
    let pixels = Tensor::ones([1, 3, 48, 48], &plain);
    let seen: Vec<f32> = tower.forward(pixels).into_data().iter().collect();
    let pixels = Tensor::ones([1, 3, 48, 48], &Device::flex().autodiff());
    let of_clip: Vec<f32> = clip.tower().forward(pixels).into_data().iter().collect();
    assert_eq!(seen.len(), of_clip.len());
    // The graph is computed by other products, which round otherwise.
    let close = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-5;
    assert!(seen.iter().zip(&of_clip).all(close));

    let whole = temp.path().join("model");
    let export = Export {
        start: &checked,
        tokenizer: &temp.path().join("lm"),
        lora: None,
        dtype: ExportDtype::F32,
    };
    export.write(&whole, &model, &tower).unwrap();
    let engine = Model::open(&whole, &OpenOptions::default()).unwrap();
    let picture = Picture::from_image(RgbImage::filled(60, 50, [200, 30, 90]));
    let options = GenerateOptions {
        max_new_tokens: 4,
        ..GenerateOptions::default()
    };
    let mut silent = |_: &str| std::ops::ControlFlow::Continue(());
    let answer = Chat::new(&engine).ask(&[picture], "What is this?", &options, &mut silent);
    let answer = answer.unwrap();
    // The projector pools to 12 by 12.
    assert_eq!(answer.image_tokens, 144);
    assert!(!answer.ids.is_empty());
}

#[test]
fn another_grid_is_pooled_to_as_the_engine_pools_to_it() {
    let temp = tempfile::tempdir().unwrap();
    let (tower, language) = (temp.path().join("clip"), temp.path().join("lm"));
    write_tower(&tower);
    write_language(&language);
    let plain = Device::flex();
    // Of 12 patches along a side: even windows, and uneven ones that overlap.
    for side in [6, 5] {
        let start = Start::read(&StartParts {
            model: language.clone(),
            vision_tower: Some(tower.clone()),
            projector: Some(Projector::LdpNetV2(LdpV2::PoolPegTo(side))),
            seed: 3,
        });
        let start = start.unwrap();
        let (model, tower) = (start.model(&plain).unwrap(), start.tower(&plain).unwrap());
        let places = usize::from(side) * usize::from(side);
        assert_eq!(model.picture_places(), places);
        let whole = temp.path().join(format!("model-{side}"));
        let export = Export {
            start: &start,
            tokenizer: &language,
            lora: None,
            dtype: ExportDtype::F32,
        };
        export.write(&whole, &model, &tower).unwrap();

        let engine = Model::open(&whole, &OpenOptions::default()).unwrap();
        let picture = RgbImage {
            width: 48,
            height: 48,
            pixels: (0..48 * 48 * 3).map(|i| (i * 37 % 251) as u8).collect(),
        };
        let pixels = engine.pixels(&Picture::from_image(picture)).unwrap();
        let features = engine.vision_features(&pixels).unwrap();
        let found = engine.image_embeds(&features).unwrap();
        let pixels = Tensor::<1>::from_floats(pixels.as_slice(), &plain).reshape([1, 3, 48, 48]);
        let expected = model.project(tower.forward(pixels));
        assert_eq!(expected.dims()[1], places);
        let expected: Vec<f32> = expected.into_data().iter().collect();
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(&expected) {
            assert!(
                (found - expected).abs() < 1e-5,
                "{side}: {found} {expected}"
            );
        }
    }
}

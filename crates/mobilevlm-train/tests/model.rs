//! A model of random weights: what is frozen, dropped, accumulated and resumed.

use burn::tensor::{DType, Device};
use mobilevlm_checkpoint::{
    Activation, Aspect, Config, LanguageConfig, Layout, LdpV2, Preprocess, Projector, VisionConfig,
};
use mobilevlm_data::{Batch, IGNORE, PICTURE, Place, Splice, splice};
use mobilevlm_train::recipe::Precision;
use mobilevlm_train::{
    Accumulated, Accumulation, AdamW, AdamWConfig, Draws, GroupOptions, LoraConfig, MobileVlm,
    NamedGradients, NonFinite, RandomSource, Start, StepOptions, VisionTower, parameter_groups,
    parameters, train_only, values,
};

fn config(projector: Projector) -> Config {
    Config {
        layout: Layout::Authors,
        vision: VisionConfig {
            hidden: 16,
            heads: 2,
            ffn: 32,
            layers: 2,
            blocks_to_run: 1,
            image_size: 56,
            patch_size: 4,
            eps: 1e-5,
            activation: Activation::QuickGelu,
        },
        projector,
        language: LanguageConfig {
            hidden: 32,
            heads: 4,
            kv_heads: 2,
            head_dim: 8,
            ffn: 48,
            layers: 2,
            vocab: 40,
            ..LanguageConfig::default()
        },
        preprocess: Preprocess {
            aspect: Aspect::Pad,
            image_size: 56,
            mean: [0.5; 3],
            std: [0.5; 3],
        },
        tower_name: None,
    }
}

struct Toy {
    model: MobileVlm,
    tower: VisionTower,
}

impl Toy {
    fn new(config: Config) -> Toy {
        let start = Start::random(config, Some(0), 3);
        Toy {
            model: start.model(&Device::flex().autodiff()).unwrap(),
            tower: start.tower(&Device::flex()).unwrap(),
        }
    }

    /// Rows of a picture and an answer of `lengths` ids.
    fn batch(&self, lengths: &[usize], with_pictures: bool) -> Splice {
        let most = lengths.iter().max().unwrap() + 3;
        let row = |answer: usize, labels: bool| {
            let mark = if with_pictures { PICTURE } else { 7 };
            let mut row = match labels {
                false => vec![1, mark, 5],
                true => vec![IGNORE; 3],
            };
            row.extend((0..answer).map(|id| 9 + (id % 30) as i32));
            row.resize(most, if labels { IGNORE } else { 0 });
            row
        };
        let rows = |labels| lengths.iter().map(|&length| row(length, labels)).collect();
        let batch = Batch {
            input_ids: rows(false),
            labels: rows(true),
            attention_mask: lengths
                .iter()
                .map(|&length| (0..most).map(|place| place < length + 3).collect())
                .collect(),
        };
        splice(&batch, lengths.len(), self.model.picture_places()).unwrap()
    }

    fn features(&self, batch: &Splice) -> Option<burn::tensor::Tensor<3>> {
        let pictures = mobilevlm_train::used_pictures(batch).len();
        (pictures > 0).then(|| {
            let side = self.tower.image_size();
            let pixels = burn::tensor::Tensor::ones([pictures, 3, side, side], &Device::flex());
            self.tower.forward(pixels)
        })
    }

    fn loss(
        &self,
        model: &MobileVlm,
        batch: &Splice,
        draws: Option<Draws>,
    ) -> mobilevlm_train::Loss {
        let features = self.features(batch);
        model.loss(batch, features, draws).unwrap()
    }
}

fn optimizer(model: &MobileVlm, weight_decay: f64) -> AdamW {
    let names = parameters(model, "");
    let names = names.iter().map(|parameter| parameter.name.as_str());
    let options = GroupOptions {
        learning_rate: 1e-2,
        mm_projector_lr: None,
        weight_decay,
        upstream_loses_tower: false,
    };
    AdamW::new(AdamWConfig::default(), parameter_groups(names, &options))
}

fn step(
    toy: &Toy,
    model: MobileVlm,
    optimizer: &mut AdamW,
    batches: &[Splice],
    options: StepOptions,
) -> (MobileVlm, mobilevlm_train::StepOutcome) {
    let mut accumulated = Accumulated::new(options);
    for batch in batches {
        let loss = toy.loss(&model, batch, None);
        accumulated.add(&model, "", loss);
    }
    accumulated
        .finish(model, "", optimizer, &[1e-2, 1e-2])
        .unwrap()
}

/// All projectors of the paper's Table 7 and of the family.
fn projectors() -> Vec<Projector> {
    let variants = [
        LdpV2::PoolPeg,
        LdpV2::PoolPegTo(3),
        LdpV2::NoPool,
        LdpV2::Pool,
        LdpV2::PoolPositions,
    ];
    let mut all = vec![
        Projector::Linear,
        Projector::Mlp { depth: 2 },
        Projector::LdpNet,
    ];
    all.extend(variants.map(Projector::LdpNetV2));
    all
}

#[test]
fn every_projector_trains_alone_and_the_rest_keeps_its_bits() {
    for projector in projectors() {
        let toy = Toy::new(config(projector));
        let before = values(&toy.model, "", |_| true);
        let model = train_only(toy.model.clone(), "", |name| name.contains("mm_projector"));
        let mut optimizer = optimizer(&model, 0.1);
        let batch = [toy.batch(&[4, 2], true)];
        let (mut model, first) = step(&toy, model, &mut optimizer, &batch, StepOptions::default());
        let mut last = first;
        for _ in 0..5 {
            (model, last) = step(&toy, model, &mut optimizer, &batch, StepOptions::default());
        }
        assert!(
            last.loss < first.loss,
            "{projector:?}: {} {}",
            first.loss,
            last.loss
        );
        for (name, tensor) in values(&model, "", |_| true).iter() {
            let same = before.get(name).unwrap().data() == tensor.data();
            assert_eq!(
                same,
                !name.contains("mm_projector"),
                "{projector:?}: {name}"
            );
        }
        assert!(
            optimizer
                .state()
                .iter()
                .all(|(name, _)| name.contains("mm_projector"))
        );
    }
}

/// bfloat16 has 8 bits: each product is off by up to 1/256.
#[test]
fn bfloat16_gives_the_losses_and_gradients_of_float32_within_its_rounding() {
    for projector in projectors() {
        let toy = Toy::new(config(projector));
        let rounded = toy.model.clone().with_precision(Precision::Bf16);
        for with_pictures in [true, false] {
            let batch = toy.batch(&[9, 5], with_pictures);
            let of = |model: &MobileVlm| {
                let mut accumulated = Accumulated::new(StepOptions::default());
                let loss = accumulated.add(model, "", toy.loss(model, &batch, None));
                (loss, accumulated.gradients())
            };
            let ((exact_loss, exact), (loss, mut gradients)) = (of(&toy.model), of(&rounded));
            assert_ne!(loss, exact_loss, "{projector:?}: nothing is rounded");
            assert!(
                (loss - exact_loss).abs() < 0.01 * exact_loss,
                "{projector:?}: {loss}, exact {exact_loss}"
            );
            let (norm, norms) = (exact.norm(), exact.norms());
            gradients.add(exact, -1.0);
            for (name, distance) in gradients.norms() {
                let most = 0.03 * norms[&name] + 0.002 * norm;
                assert!(
                    distance < most,
                    "{projector:?}: {name}: {distance}, expected under {most}"
                );
            }
        }
        let pixels = burn::tensor::Tensor::ones([1, 3, 56, 56], &Device::flex());
        let tower = toy.tower.clone().with_precision(Precision::Bf16);
        let (exact, features) = (toy.tower.forward(pixels.clone()), tower.forward(pixels));
        assert_eq!(features.dtype(), DType::BF16);
        let norm = |x: burn::tensor::Tensor<3>| x.square().sum().into_scalar::<f32>();
        let distance = norm(exact.clone() - features.cast(DType::F32));
        assert!(distance > 0.0 && distance < 1e-4 * norm(exact));
    }
}

#[test]
fn a_tower_that_learns_lowers_the_loss_as_its_gradients_say() {
    let start = Start::random(config(Projector::LdpNetV2(LdpV2::PoolPeg)), Some(0), 3);
    let device = Device::flex().autodiff();
    let toy = Toy {
        model: start.model(&device).unwrap(),
        tower: start.tower(&Device::flex()).unwrap(),
    };
    let model = toy.model.clone().with_tower(start.tower(&device).unwrap());
    let model = train_only(model, "", |name| name.contains("vision_tower"));
    let batch = toy.batch(&[4, 2], true);
    let loss = |model: &MobileVlm| {
        let tower = model.tower().unwrap();
        let pixels = burn::tensor::Tensor::ones([2, 3, 56, 56], &device);
        model
            .loss(&batch, Some(tower.forward(pixels)), None)
            .unwrap()
    };
    let value = |model: &MobileVlm| loss(model).sum.unwrap().into_scalar::<f32>() / 6.0;
    // The frozen tower has the same weights.
    let frozen = toy.loss(&toy.model, &batch, None).sum.unwrap();
    assert_eq!(value(&model), frozen.into_scalar::<f32>() / 6.0);

    let mut accumulated = Accumulated::new(StepOptions::default());
    accumulated.add(&model, "", loss(&model));
    let gradients = accumulated.gradients();
    let names: Vec<String> = parameters(&model, "")
        .into_iter()
        .filter(|parameter| parameter.trained)
        .map(|parameter| parameter.name)
        .collect();
    assert!(names.len() > 10 && names.iter().all(|name| name.contains("vision_tower")));
    let slope: f32 = names
        .iter()
        .flat_map(|name| gradients.values(name).unwrap())
        .map(f32::abs)
        .sum();

    // AdamW's first step is the rate, against the sign of every gradient.
    let rate = 2e-5;
    let mut optimizer = optimizer(&model, 0.0);
    let before = value(&model);
    let options = StepOptions {
        max_grad_norm: None,
        ..StepOptions::default()
    };
    let mut accumulated = Accumulated::new(options);
    accumulated.add(&model, "", loss(&model));
    let (model, _) = accumulated
        .finish(model, "", &mut optimizer, &[rate, rate])
        .unwrap();
    let lowered = (before - value(&model)) / (rate as f32 * slope);
    assert!(
        (0.9..1.1).contains(&lowered),
        "{lowered} of the slope {slope}"
    );
}

#[test]
fn text_alone_gives_the_projector_zero_gradients_and_steps_it_by_its_momentum() {
    let toy = Toy::new(config(Projector::Mlp { depth: 2 }));
    let mut optimizer = optimizer(&toy.model, 0.0);
    let pictures = [toy.batch(&[4], true)];
    let text = [toy.batch(&[4], false)];
    let (model, _) = step(
        &toy,
        toy.model.clone(),
        &mut optimizer,
        &pictures,
        StepOptions::default(),
    );
    let mut accumulated = Accumulated::new(StepOptions::default());
    accumulated.add(&model, "", toy.loss(&model, &text[0], None));
    let norms = accumulated.gradients().norms();
    let projector = |name: &str| name.contains("mm_projector");
    assert!(
        norms
            .iter()
            .filter(|(name, _)| projector(name))
            .all(|(_, &norm)| norm == 0.0)
    );
    assert!(
        norms
            .iter()
            .filter(|(name, _)| !projector(name))
            .all(|(_, &norm)| norm > 0.0)
    );
    let before = values(&model, "", projector);
    let (model, outcome) = step(&toy, model, &mut optimizer, &text, StepOptions::default());
    assert!(outcome.taken);
    for (name, tensor) in values(&model, "", projector).iter() {
        assert_ne!(before.get(name).unwrap().data(), tensor.data(), "{name}");
    }
    // A projector alone has nothing to learn from text, and the step is one of zeros.
    let alone = train_only(model, "", projector);
    let mut accumulated = Accumulated::new(StepOptions::default());
    accumulated.add(&alone, "", toy.loss(&alone, &text[0], None));
    assert_eq!(accumulated.gradients().norm(), 0.0);
}

#[test]
fn the_embedding_of_padding_has_no_gradient_where_the_configuration_names_it() {
    let config = config(Projector::Linear);
    let device = Device::flex().autodiff();
    for (pad, is_zero) in [(Some(0), true), (None, false), (Some(9), false)] {
        let toy = Toy {
            model: MobileVlm::new(&config, pad, &RandomSource::new(3), &device).unwrap(),
            ..Toy::new(config.clone())
        };
        // An id 0 inside the text, and id 9 in every answer.
        let ids = vec![vec![1, 0, 9, 10, 9]];
        let batch = Batch {
            labels: vec![vec![IGNORE, IGNORE, 9, 10, 11]],
            attention_mask: vec![vec![true; 5]],
            input_ids: ids,
        };
        let splice = splice(&batch, 1, toy.model.picture_places()).unwrap();
        let mut accumulated = Accumulated::new(StepOptions::default());
        accumulated.add(&toy.model, "", toy.loss(&toy.model, &splice, None));
        let gradient = accumulated
            .gradients()
            .values("model.embed_tokens.weight")
            .unwrap();
        let rows: Vec<bool> = gradient
            .chunks(32)
            .map(|row| row.iter().all(|&x| x == 0.0))
            .collect();
        assert_eq!(rows[0], is_zero, "{pad:?}");
        assert_eq!(rows[9], pad == Some(9), "{pad:?}");
        assert!(!rows[10] && !rows[1]);
    }
}

/// One large batch, and the same rows in two micro-batches.
#[test]
fn accumulation_by_tokens_equals_the_large_batch_and_upstreams_does_not() {
    let toy = Toy::new(config(Projector::Mlp { depth: 2 }));
    let whole = [toy.batch(&[9, 2], true)];
    let parts = [toy.batch(&[9], true), toy.batch(&[2], true)];
    let gradients = |batches: &[Splice], accumulation| {
        let options = StepOptions {
            accumulation,
            ..StepOptions::default()
        };
        let mut accumulated = Accumulated::new(options);
        for batch in batches {
            accumulated.add(&toy.model, "", toy.loss(&toy.model, batch, None));
        }
        accumulated.gradients()
    };
    let distance = |a: &NamedGradients, b: &NamedGradients| {
        let mut difference = a.clone();
        difference.add(b.clone(), -1.0);
        difference.norm() / b.norm()
    };
    let large = gradients(&whole, Accumulation::MicroBatches);
    let tokens = gradients(&parts, Accumulation::Tokens);
    assert!(
        distance(&tokens, &large) < 1e-5,
        "{}",
        distance(&tokens, &large)
    );
    let means = gradients(&parts, Accumulation::MicroBatches);
    assert!(
        distance(&means, &large) > 1e-2,
        "{}",
        distance(&means, &large)
    );
}

#[test]
fn a_step_without_a_finite_loss_is_left_out_unless_upstreams_way_is_asked_for() {
    let toy = Toy::new(config(Projector::Mlp { depth: 2 }));
    let mut optimizer = optimizer(&toy.model, 0.0);
    let some = [toy.batch(&[4], true)];
    let none = [toy.batch(&[0], true)];
    let (model, _) = step(
        &toy,
        toy.model.clone(),
        &mut optimizer,
        &some,
        StepOptions::default(),
    );
    let before = values(&model, "", |_| true);
    let same = |model: &MobileVlm| {
        let after = values(model, "", |_| true);
        before
            .iter()
            .all(|(name, tensor)| after.get(name).unwrap().data() == tensor.data())
    };
    let (model, outcome) = step(&toy, model, &mut optimizer, &none, StepOptions::default());
    assert!(outcome.loss.is_nan() && !outcome.taken && outcome.supervised == 0);
    assert!(same(&model));
    assert_eq!(optimizer.steps(), 1);

    let upstream = StepOptions {
        non_finite: NonFinite::UpstreamStep,
        ..StepOptions::default()
    };
    let (model, outcome) = step(&toy, model, &mut optimizer, &none, upstream);
    assert!(outcome.loss.is_nan() && outcome.taken && outcome.gradient_norm == 0.0);
    assert!(!same(&model), "the old momentum moves the weights");
    // Beside a batch with something to learn, one without counts as nothing.
    let both = [some[0].clone(), none[0].clone()];
    let of = |batches: &[Splice]| {
        let mut accumulated = Accumulated::new(StepOptions::default());
        for batch in batches {
            accumulated.add(&model, "", toy.loss(&model, batch, None));
        }
        accumulated.gradients().norm()
    };
    assert_eq!(of(&both), of(&some));
}

#[test]
fn adapters_train_alone_beside_the_projector_and_begin_as_nothing() {
    let toy = Toy::new(config(Projector::Mlp { depth: 2 }));
    let lora = LoraConfig {
        r: 4,
        alpha: 8.0,
        dropout: 0.5,
    };
    let device = Device::flex().autodiff();
    let model = toy
        .model
        .clone()
        .with_lora(&lora, &RandomSource::new(5), &device)
        .unwrap();
    let batch = toy.batch(&[4, 3], true);
    let value = |model: &MobileVlm, draws| {
        let sum = toy.loss(model, &batch, draws).sum.unwrap();
        sum.into_scalar::<f32>()
    };
    assert_eq!(value(&model, None), value(&toy.model, None), "B is 0");
    for parameter in parameters(&model, "") {
        let expected = parameter.name.contains(".lora_") || parameter.name.contains("mm_projector");
        assert_eq!(parameter.trained, expected, "{}", parameter.name);
    }
    let mut optimizer = optimizer(&model, 0.0);
    let before = values(&model, "", |name| !name.contains("lora"));
    let (model, _) = step(
        &toy,
        model,
        &mut optimizer,
        std::slice::from_ref(&batch),
        StepOptions::default(),
    );
    let (model, _) = step(
        &toy,
        model,
        &mut optimizer,
        std::slice::from_ref(&batch),
        StepOptions::default(),
    );
    for (name, tensor) in values(&model, "", |name| !name.contains("lora")).iter() {
        let same = before.get(name).unwrap().data() == tensor.data();
        assert_eq!(same, !name.contains("mm_projector"), "{name}");
    }
    // Dropout is a function of its key, and absent without one.
    let draws = |seed| Some(Draws::new(seed));
    assert_eq!(value(&model, draws(1)), value(&model, draws(1)));
    assert_ne!(value(&model, draws(1)), value(&model, draws(2)));
    assert_ne!(value(&model, draws(1)), value(&model, None));
}

#[test]
fn recomputed_gradients_are_the_gradients() {
    let device = Device::flex().autodiff();
    let lora = LoraConfig {
        r: 4,
        alpha: 8.0,
        dropout: 0.3,
    };
    let exact = Precision::F32;
    for (tied, with_lora, with_pictures, precision, packs) in [
        (false, false, true, exact, false),
        (true, false, true, exact, false),
        (false, true, true, exact, false),
        (false, false, false, exact, false),
        (false, true, true, Precision::Bf16, false),
        (false, true, true, exact, true),
    ] {
        let mut config = config(Projector::LdpNetV2(LdpV2::PoolPeg));
        config.language.tied = tied;
        let toy = Toy::new(config);
        let model = match with_lora {
            false => toy.model.clone(),
            true => {
                let random = RandomSource::new(5);
                let adapted = toy.model.clone().with_lora(&lora, &random, &device);
                // A step away from B = 0, where A has no gradient.
                let adapted = adapted.unwrap();
                let mut optimizer = optimizer(&adapted, 0.0);
                let batch = [toy.batch(&[4], true)];
                step(
                    &toy,
                    adapted,
                    &mut optimizer,
                    &batch,
                    StepOptions::default(),
                )
                .0
            }
        };
        let model = model.with_precision(precision).with_packing(packs);
        let batch = toy.batch(&[4, 3], with_pictures);
        let draws = Some(Draws::new(9));
        let mut accumulated = Accumulated::new(StepOptions::default());
        let loss = accumulated.add(&model, "", toy.loss(&model, &batch, draws));
        let expected = accumulated.gradients();
        let features = toy.features(&batch);
        let found = model.recomputed_gradients(&batch, features, draws).unwrap();
        assert_eq!((found.loss, found.supervised), (loss, 7));
        let (expected_norms, norms) = (expected.norms(), found.gradients.norms());
        assert_eq!(norms.len(), expected_norms.len());
        let mut difference = found.gradients;
        difference.add(expected, -1.0);
        for (name, distance) in difference.norms() {
            let norm = expected_norms[&name];
            assert!(distance <= 1e-5 * norm, "{name}: {distance} of {norm}");
        }
        let none = toy.batch(&[0], with_pictures);
        let features = toy.features(&none);
        let zeros = model.recomputed_gradients(&none, features, draws).unwrap();
        assert!(zeros.loss.is_nan() && zeros.gradients.norm() == 0.0);
    }
}

/// Rows that share one give the loss and the gradients that they give beside each other, and one by
/// one: with and without pictures, padding, a text cut off behind its picture, an id in the middle
/// that is not seen.
#[test]
fn packed_rows_are_as_rows_alone() {
    let mut config = config(Projector::Mlp { depth: 2 });
    config.language.layers = 3;
    let toy = Toy::new(config);
    let row = |ids: &[i32], first: usize, unseen: Option<usize>| {
        let labels = ids.iter().enumerate();
        let label = |(place, &id): (usize, &i32)| match place < first || id < 0 {
            true => IGNORE,
            false => id,
        };
        let seen = (0..ids.len()).map(|place| Some(place) != unseen);
        (
            ids.to_vec(),
            labels.map(label).collect::<Vec<i32>>(),
            seen.collect::<Vec<bool>>(),
        )
    };
    let rows = [
        row(&[1, PICTURE, 5, 6, 7, 8, 2], 3, None),
        row(&[1, 9, 12, 2], 1, None),
        row(&[1, 9, 0, 13, 14, 2], 3, Some(2)),
        row(&[1, PICTURE, 20, 21], 2, None),
        row(&[1, 5, 30, 31, 32, 33, 34, 35, 2], 8, None),
    ];
    let splice = |rows: &[(Vec<i32>, Vec<i32>, Vec<bool>)]| {
        let most = rows.iter().map(|row| row.0.len()).max().unwrap();
        fn padded<T: Copy>(row: &[T], most: usize, with: T) -> Vec<T> {
            let mut row = row.to_vec();
            row.resize(most, with);
            row
        }
        let batch = Batch {
            input_ids: rows.iter().map(|row| padded(&row.0, most, 0)).collect(),
            labels: rows
                .iter()
                .map(|row| padded(&row.1, most, IGNORE))
                .collect(),
            attention_mask: rows.iter().map(|row| padded(&row.2, most, false)).collect(),
        };
        splice(&batch, rows.len(), toy.model.picture_places()).unwrap()
    };
    let of = |model: &MobileVlm, batches: &[Splice]| {
        let options = StepOptions {
            accumulation: Accumulation::Tokens,
            ..StepOptions::default()
        };
        let mut accumulated = Accumulated::new(options);
        let (mut sum, mut count) = (0.0, 0);
        for batch in batches {
            let loss = toy.loss(model, batch, None);
            let supervised = loss.supervised;
            sum += accumulated.add(model, "", loss) * supervised as f64;
            count += supervised;
        }
        (sum / count as f64, count, accumulated.gradients())
    };
    let alone: Vec<Splice> = rows.chunks(1).map(splice).collect();
    let (loss, count, expected) = of(&toy.model, &alone);
    let norms = expected.norms();
    let together = [splice(&rows)];
    let packed = toy.model.clone().with_packing(true);
    for (name, model) in [("padded", &toy.model), ("packed", &packed)] {
        let (found, supervised, mut gradients) = of(model, &together);
        assert_eq!(supervised, count, "{name}");
        assert!((found - loss).abs() < 1e-6 * loss, "{name}: {found} {loss}");
        gradients.add(expected.clone(), -1.0);
        for (parameter, distance) in gradients.norms() {
            let norm = norms[&parameter];
            assert!(norm > 0.0, "{parameter} learns nothing");
            assert!(
                distance < 2e-5 * norm,
                "{name}: {parameter}: {distance} of {norm}"
            );
        }
    }
    // Rows about one picture: what they begin with is there once.
    let mut about_one = splice(&[
        row(&[1, 9, PICTURE, 5, 6, 7, 2], 5, None),
        row(&[1, 9, PICTURE, 5, 30, 2], 4, None),
        row(&[1, 9, PICTURE, 12, 13, 14, 15, 2], 6, None),
        row(&[1, 9, 12, 2], 2, None),
        row(&[1, 8, PICTURE, 5, 6, 2], 4, None),
    ]);
    for row in &mut about_one.rows[..3] {
        for place in &mut row.places {
            if let Place::Picture { picture, .. } = place {
                *picture = 0;
            }
        }
    }
    let about_one = [about_one];
    let (loss, _, expected) = of(&toy.model, &about_one);
    let (found, _, mut gradients) = of(&packed, &about_one);
    assert!((found - loss).abs() < 1e-6 * loss, "{found} {loss}");
    gradients.add(expected.clone(), -1.0);
    let norms = expected.norms();
    for (parameter, distance) in gradients.norms() {
        let norm = norms[&parameter];
        assert!(distance < 2e-5 * norm, "{parameter}: {distance} of {norm}");
    }

    // They would differ if rows saw each other, or went on counting places.
    let one: Vec<(Vec<i32>, Vec<i32>, Vec<bool>)> = vec![(
        rows[1].0.iter().chain(&rows[4].0).copied().collect(),
        rows[1].1.iter().chain(&rows[4].1).copied().collect(),
        rows[1].2.iter().chain(&rows[4].2).copied().collect(),
    )];
    let two = [rows[1].clone(), rows[4].clone()];
    let (seen, ..) = of(&toy.model, &[splice(&one)]);
    let (unseen, ..) = of(&packed, &[splice(&two)]);
    assert!((seen - unseen).abs() > 1e-5 * unseen, "{seen} {unseen}");
}

#[test]
fn a_state_that_was_written_and_read_goes_on_bit_for_bit() {
    let toy = Toy::new(config(Projector::LdpNetV2(LdpV2::PoolPeg)));
    let batch = [toy.batch(&[4, 2], true)];
    let run = |model: MobileVlm, optimizer: &mut AdamW, steps: usize| {
        (0..steps).fold(model, |model, _| {
            step(&toy, model, optimizer, &batch, StepOptions::default()).0
        })
    };
    let mut straight = optimizer(&toy.model, 0.1);
    let end = run(toy.model.clone(), &mut straight, 4);

    let mut first = optimizer(&toy.model, 0.1);
    let half = run(toy.model.clone(), &mut first, 2);
    let folder = tempfile::tempdir().unwrap();
    let (weights, state) = (
        folder.path().join("w.safetensors"),
        folder.path().join("s.safetensors"),
    );
    mobilevlm_checkpoint::write_safetensors(&weights, &values(&half, "", |_| true)).unwrap();
    mobilevlm_checkpoint::write_safetensors(&state, &first.state()).unwrap();
    let read = |path: &std::path::Path| {
        mobilevlm_checkpoint::stored_tensors(path, mobilevlm_checkpoint::Access::Read).unwrap()
    };
    let named = read(&weights)
        .into_iter()
        .map(|(name, tensor)| (mobilevlm_checkpoint::canonical_name(&name).unwrap(), tensor));
    let named: mobilevlm_checkpoint::Inventory = named.collect();
    let device = Device::flex().autodiff();
    let config = config(Projector::LdpNetV2(LdpV2::PoolPeg));
    let model = MobileVlm::new(&config, Some(0), &named, &device).unwrap();
    let mut second = optimizer(&model, 0.1);
    let state = read(&state).into_iter().collect();
    second
        .restore(first.steps(), &state, &Device::flex())
        .unwrap();
    let resumed = run(model, &mut second, 2);
    let expected = values(&end, "", |_| true);
    for (name, tensor) in values(&resumed, "", |_| true).iter() {
        assert_eq!(expected.get(name).unwrap().data(), tensor.data(), "{name}");
    }
    assert_eq!(second.steps(), straight.steps());
}

#[test]
fn random_values_depend_on_the_seed_alone() {
    let start = |seed| Start::random(config(Projector::LdpNet), Some(0), seed);
    let device = Device::flex();
    let of = |seed| values(&start(seed).model(&device).unwrap(), "", |_| true);
    let (a, b, c) = (of(1), of(1), of(2));
    for (name, tensor) in a.iter() {
        assert_eq!(b.get(name).unwrap().data(), tensor.data(), "{name}");
        let is_constant =
            name.contains("norm") || name.contains("block.0.1") || name.contains("block.2.1");
        assert_eq!(
            c.get(name).unwrap().data() == tensor.data(),
            is_constant,
            "{name}"
        );
    }
}

#[test]
fn inputs_that_do_not_fit_are_errors() {
    let toy = Toy::new(config(Projector::Linear));
    let mut batch = toy.batch(&[2], true);
    let refused = |batch: &Splice| toy.model.loss(batch, None, None).unwrap_err().to_string();
    assert!(refused(&batch).contains("features"), "{}", refused(&batch));
    batch.rows[0].labels[5] = 40;
    assert!(refused(&batch).contains("label"), "{}", refused(&batch));
    let mut text = toy.batch(&[2], false);
    text.rows[0].places[1] = mobilevlm_data::Place::Token(40);
    assert!(refused(&text).contains("token"), "{}", refused(&text));
    text.rows.clear();
    assert!(toy.model.logits(&text, None).is_err());
}

use super::*;
use crate::model::{NamedGradients, RandomSource, parameters};
use crate::ops::testing::{device, numbers};
use burn::tensor::TensorData;
use mobilevlm_checkpoint::Activation;

const PAIRS: usize = 4;
const WIDTH: usize = 3;

fn model(loss: ClipLoss) -> ClipModel {
    let vision = VisionConfig {
        hidden: 8,
        heads: 2,
        ffn: 12,
        layers: 2,
        blocks_to_run: 1,
        image_size: 8,
        patch_size: 4,
        eps: 1e-5,
        activation: Activation::QuickGelu,
    };
    let text = TextSizes {
        hidden: 6,
        layers: 1,
        heads: 2,
        ffn: 10,
        projection: WIDTH,
    };
    let sizes = ClipSizes {
        vision: &vision,
        text: &text,
        vocabulary: 11,
        caption_length: 5,
        loss,
    };
    ClipModel::new(&sizes, &RandomSource::new(1), &device()).expect("random values are there")
}

fn pixels() -> Tensor<4> {
    let numbers = numbers(PAIRS * 3 * 64, 5);
    Tensor::from_data(TensorData::new(numbers, [PAIRS, 3, 8, 8]), &device())
}

fn captions() -> Vec<Vec<u32>> {
    vec![vec![1, 5, 2], vec![1, 2], vec![1, 7, 8, 9, 2], vec![10]]
}

fn doubles(x: Tensor<2>) -> Vec<f64> {
    x.into_data().iter::<f32>().map(f64::from).collect()
}

/// The loss in double precision, from the places of pictures and captions, by the papers' words.
fn direct(loss: ClipLoss, x: &[f64], y: &[f64], scale: f64, bias: f64) -> f64 {
    let logit = |i: usize, j: usize| {
        let dot: f64 = (0..WIDTH)
            .map(|k| x[i * WIDTH + k] * y[j * WIDTH + k])
            .sum();
        scale.exp() * dot + bias
    };
    let all = 0..PAIRS;
    match loss {
        ClipLoss::Softmax => {
            let of = |logits: &dyn Fn(usize) -> f64, own: usize| {
                let sum: f64 = all.clone().map(|j| logits(j).exp()).sum();
                sum.ln() - logits(own)
            };
            let one = |i: usize| of(&|j| logit(i, j), i) + of(&|j| logit(j, i), i);
            all.clone().map(one).sum::<f64>() / 2.0
        }
        ClipLoss::Siglip => {
            let pairs = all.clone().flat_map(|i| (0..PAIRS).map(move |j| (i, j)));
            pairs
                .map(|(i, j)| {
                    let sign = if i == j { 1.0 } else { -1.0 };
                    (1.0 + (-sign * logit(i, j)).exp()).ln()
                })
                .sum()
        }
    }
}

#[test]
fn losses_and_their_gradients_equal_a_direct_computation() {
    for loss in [ClipLoss::Softmax, ClipLoss::Siglip] {
        let (scale, bias) = match loss {
            ClipLoss::Softmax => ((1.0_f64 / 0.07).ln(), 0.0),
            ClipLoss::Siglip => (10.0_f64.ln(), -10.0),
        };
        let model = model(loss);
        let rows = |seed| {
            let values = TensorData::new(numbers(PAIRS * WIDTH, seed), [PAIRS, WIDTH]);
            super::loss::unit(Tensor::<2>::from_data(values, &device()))
        };
        let x = Tensor::from_inner(rows(3).inner()).require_grad();
        let y = Tensor::from_inner(rows(4).inner()).require_grad();
        let logits = model.logits(x.clone(), y.clone());
        let sum = match loss {
            ClipLoss::Softmax => super::loss::softmax(logits),
            ClipLoss::Siglip => super::loss::siglip(logits),
        };
        let (a, b) = (doubles(x.clone()), doubles(y.clone()));
        let expected = direct(loss, &a, &b, scale, bias);
        let found = f64::from(sum.clone().into_scalar::<f32>());
        assert!(
            (found - expected).abs() < 1e-5 * expected.abs(),
            "{loss:?}: {found}, directly {expected}"
        );

        let mut gradients = sum.backward();
        let step = 1e-5;
        let slope = |f: &dyn Fn(f64) -> f64| (f(step) - f(-step)) / (2.0 * step);
        let close = |found: f64, expected: f64, what: &str| {
            assert!(
                (found - expected).abs() < 1e-4 * (1.0 + expected.abs()),
                "{loss:?}, gradient of {what}: {found}, directly {expected}"
            );
        };
        let of_x = doubles(x.grad_remove(&mut gradients).expect("it is tracked"));
        let of_y = doubles(y.grad_remove(&mut gradients).expect("it is tracked"));
        for place in 0..PAIRS * WIDTH {
            let moved = |of: &[f64], by: f64| {
                let mut of = of.to_vec();
                of[place] += by;
                of
            };
            let by_x = slope(&|by| direct(loss, &moved(&a, by), &b, scale, bias));
            close(of_x[place], by_x, "a picture");
            let by_y = slope(&|by| direct(loss, &a, &moved(&b, by), scale, bias));
            close(of_y[place], by_y, "a caption");
        }
        let scalar = |found: Option<Tensor<1>>| f64::from(found.unwrap().into_scalar::<f32>());
        let of_scale = scalar(model.logit_scale.val().grad_remove(&mut gradients));
        let by_scale = slope(&|by| direct(loss, &a, &b, scale + by, bias));
        close(of_scale, by_scale, "the scale");
        if let Some(found) = &model.logit_bias {
            let found = scalar(found.val().grad_remove(&mut gradients));
            let by_bias = slope(&|by| direct(loss, &a, &b, scale, bias + by));
            close(found, by_bias, "the bias");
        }
    }
}

#[test]
fn every_block_of_the_tower_learns() {
    let model = model(ClipLoss::Siglip);
    let loss = model.loss(pixels(), &captions()).expect("they fit");
    assert_eq!(loss.supervised, PAIRS);
    let gradients = loss.sum.map(|sum| sum.backward());
    let norms = NamedGradients::collect(&model, "", gradients).norms();
    let names = parameters(&model, "");
    // Two blocks although `blocks_to_run` is 1.
    assert!(names.iter().any(|p| p.name.contains("encoder.layers.1.")));
    for parameter in names {
        let norm = norms[&parameter.name];
        // Softmax takes away what all scores have in common: in exact numbers it is 0.
        let nothing = parameter.name.ends_with("k_proj.bias");
        assert!(nothing || norm > 1e-6, "{}: {norm}", parameter.name);
    }
}

/// What a caption means does not depend on those beside it, whatever their lengths.
#[test]
fn bfloat16_is_near_float32_and_gradients_are_float32() {
    for loss in [ClipLoss::Softmax, ClipLoss::Siglip] {
        let of = |precision| {
            let model = model(loss).with_precision(precision);
            let loss = model.loss(pixels(), &captions()).expect("pairs fit").sum;
            let loss = loss.expect("pairs have a loss");
            let value: f32 = loss.clone().into_scalar();
            (
                value,
                NamedGradients::collect(&model, "", Some(loss.backward())),
            )
        };
        let ((exact_loss, exact), (loss, mut gradients)) =
            (of(Precision::F32), of(Precision::Bf16));
        assert!(loss != exact_loss && (loss - exact_loss).abs() < 0.03 * exact_loss);
        let mut all = gradients.by_name.values();
        assert!(all.all(|gradient| gradient.dtype() == DType::F32));
        let norm = exact.norm();
        gradients.add(exact, -1.0);
        assert!(
            gradients.norm() < 0.05 * norm,
            "{} {norm}",
            gradients.norm()
        );
    }
}

#[test]
fn captions_do_not_see_each_other() {
    let model = model(ClipLoss::Siglip);
    let together = doubles(model.captions(&captions()).expect("they fit"));
    for (caption, ids) in captions().into_iter().enumerate() {
        let alone = doubles(model.captions(&[ids]).expect("it fits"));
        let expected = &together[caption * WIDTH..][..WIDTH];
        for (a, b) in alone.iter().zip(expected) {
            assert!((a - b).abs() < 1e-6, "caption {caption}");
        }
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let model = model(ClipLoss::Siglip);
    let wrong = |captions: &[Vec<u32>]| model.captions(captions).unwrap_err().to_string();
    assert_eq!(
        wrong(&[vec![1], vec![]]),
        "caption: expected 1 to 5 ids, found 0 ids in caption 1"
    );
    assert_eq!(
        wrong(&[vec![1; 6]]),
        "caption: expected 1 to 5 ids, found 6 ids in caption 0"
    );
    assert_eq!(
        wrong(&[vec![11]]),
        "caption: expected ids below 11, found 11 in caption 0"
    );
    let error = model.loss(pixels(), &captions()[1..]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "captions: expected 4, one for each picture, found 3"
    );
}

#[test]
fn the_scale_is_bounded_and_goes_on_learning() {
    let mut model = model(ClipLoss::Softmax);
    model.logit_scale = model
        .logit_scale
        .map(|scale| Tensor::from_inner(scale.inner() + 5.0).require_grad());
    let model = model.with_bounded_scale();
    let scale = model.logit_scale.val();
    assert!((scale.clone().into_scalar::<f32>().exp() - 100.0).abs() < 1e-3);
    assert!(scale.is_require_grad());
}

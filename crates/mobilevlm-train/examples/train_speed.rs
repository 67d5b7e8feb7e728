//! Times training steps of a toy model on random data: `train_speed STAGE SHAPE REPLICAS STEPS`.
//!
//! Stage `stage2` trains projector and language model behind a frozen tower, which is run; `tower`
//! trains the tower alone, on the mean square of its features. Shapes: `small`, `large`. With 0
//! replicas the batch is one, on as many threads as `RAYON_NUM_THREADS` says. Prints one line of
//! JSON. `bench/train/run.py` runs it beside a PyTorch program that does the same.

use std::error::Error;
use std::time::Instant;

use burn::tensor::{Device, Tensor, TensorData};
use mobilevlm_checkpoint::{Config, ConfigFiles};
use mobilevlm_data::{IGNORE, Place, Splice, SplicedRow};
use mobilevlm_train::{
    Accumulated, Accumulation, AdamW, AdamWConfig, GroupOptions, Loss, MobileVlm, ModelError,
    PartGradients, Products, RandomSource, Replicas, StepOptions, VisionTower, parameter_groups,
    parameters,
};

const BATCH: usize = 32;
const PATCH: usize = 8;
const HEADS: usize = 4;
/// Layers of the tower that are run, and of the language model.
const LAYERS: usize = 3;
const VOCABULARY: usize = 1024;

/// What differs between the shapes.
struct Shape {
    hidden: usize,
    ffn: usize,
    /// Patches of a picture in a row.
    grid: usize,
    /// Tokens of text, and how many of them are supervised, the last ones.
    text: usize,
    answer: usize,
}

impl Shape {
    fn named(name: &str) -> Result<Shape, String> {
        match name {
            "small" => Ok(Shape {
                hidden: 224,
                ffn: 608,
                grid: 8,
                text: 40,
                answer: 12,
            }),
            "large" => Ok(Shape {
                hidden: 256,
                ffn: 704,
                grid: 12,
                text: 48,
                answer: 16,
            }),
            name => Err(format!("shape {name}: expected small or large")),
        }
    }

    fn config(&self) -> Result<Config, Box<dyn Error>> {
        let Shape {
            hidden, ffn, grid, ..
        } = self;
        let side = grid * PATCH;
        let config = format!(
            r#"{{"model_type": "mobilevlm", "hidden_act": "silu", "hidden_size": {hidden},
            "intermediate_size": {ffn}, "max_position_embeddings": 2048, "mm_hidden_size": {hidden},
            "mm_projector_type": "mlp2x_gelu", "mm_vision_select_layer": -2,
            "mm_vision_select_feature": "patch", "mm_vision_tower": "tower",
            "num_attention_heads": {HEADS}, "num_key_value_heads": {HEADS},
            "num_hidden_layers": {LAYERS}, "rms_norm_eps": 1e-05, "rope_theta": 10000.0,
            "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0, "torch_dtype": "float32",
            "tie_word_embeddings": false, "vocab_size": {VOCABULARY}}}"#
        );
        let vision = format!(
            r#"{{"model_type": "clip_vision_model", "hidden_act": "quick_gelu",
            "hidden_size": {hidden}, "image_size": {side}, "intermediate_size": {ffn},
            "layer_norm_eps": 1e-05, "num_attention_heads": {HEADS}, "num_channels": 3,
            "num_hidden_layers": {}, "patch_size": {PATCH}, "projection_dim": {hidden}}}"#,
            LAYERS + 1,
        );
        let preprocessor = format!(
            r#"{{"crop_size": {{"height": {side}, "width": {side}}}, "do_center_crop": true,
            "do_convert_rgb": true, "do_normalize": true, "do_rescale": true, "do_resize": true,
            "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5], "resample": 3,
            "rescale_factor": 0.00392156862745098, "size": {{"shortest_edge": {side}}}}}"#
        );
        Ok(Config::from_json(&ConfigFiles {
            config: config.as_bytes(),
            vision: Some(vision.as_bytes()),
            preprocessor: Some(preprocessor.as_bytes()),
        })?)
    }

    /// Rows of a picture and a text behind it, `rows` of them from row `first` of the batch.
    fn splice(&self, first: usize, rows: usize) -> Splice {
        let places = self.grid * self.grid;
        let row = |row: usize| {
            let token = |at: usize| (3 + ((first + row) * 31 + at * 7) % (VOCABULARY - 3)) as i32;
            let picture = (0..places).map(|place| Place::Picture {
                picture: row,
                place,
            });
            let text = (0..self.text).map(|at| Place::Token(token(at) as u32));
            let label = |at| {
                if at < self.text - self.answer {
                    IGNORE
                } else {
                    token(at)
                }
            };
            SplicedRow {
                places: picture.chain(text).collect(),
                labels: std::iter::repeat_n(IGNORE, places)
                    .chain((0..self.text).map(label))
                    .collect(),
                attention_mask: vec![true; places + self.text],
            }
        };
        Splice {
            rows: (0..rows).map(row).collect(),
        }
    }

    /// `[rows, 3, side, side]`.
    fn pixels(&self, first: usize, rows: usize, device: &Device) -> Tensor<4> {
        let side = self.grid * PATCH;
        let count = rows * 3 * side * side;
        let value = |i: usize| ((first * 3 * side * side + i) * 7919 % 1000) as f32 / 500.0 - 1.0;
        let values = (0..count).map(value).collect::<Vec<_>>();
        Tensor::from_data(TensorData::new(values, [rows, 3, side, side]), device)
    }
}

/// Seconds of all threads so far: user and system time of `/proc/self/stat`, in hundredths.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat
        .rsplit(") ")
        .next()
        .unwrap_or_default()
        .split(' ')
        .collect::<Vec<_>>();
    let field = |at: usize| fields.get(at).and_then(|text| text.parse::<f64>().ok());
    (field(11).unwrap_or(f64::NAN) + field(12).unwrap_or(f64::NAN)) / 100.0
}

/// Kilobytes of memory at the highest.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse().ok()
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = std::env::args().skip(1).collect::<Vec<_>>();
    let [stage, shape_name, replicas, steps] = arguments.as_slice() else {
        return Err("usage: train_speed stage2|tower small|large REPLICAS STEPS".into());
    };
    let shape = Shape::named(shape_name)?;
    let (replicas, steps) = (replicas.parse::<usize>()?, steps.parse::<usize>()?);
    let config = shape.config()?;
    let (plain, tracked) = (Device::flex(), Device::flex().autodiff());
    let source = RandomSource::new(1);
    let pools = Replicas::new(replicas, rayon::current_num_threads(), Products::F32)?;
    let parts = replicas.max(1);
    let rows = BATCH / parts;

    let mut losses = Vec::new();
    let mut wall = Vec::new();
    let mut cpu = Vec::new();
    let mut timed =
        |step: &mut dyn FnMut() -> Result<f64, Box<dyn Error>>| -> Result<(), Box<dyn Error>> {
            for _ in 0..steps {
                let (start, used) = (Instant::now(), cpu_seconds());
                losses.push(step()?);
                wall.push(start.elapsed().as_secs_f64());
                cpu.push(cpu_seconds() - used);
            }
            Ok(())
        };
    let options = StepOptions {
        accumulation: Accumulation::Tokens,
        ..StepOptions::default()
    };
    let prefix = if stage == "tower" { "vision" } else { "" };
    let optimizer = |names: Vec<String>| {
        let options = GroupOptions {
            learning_rate: 1e-3,
            mm_projector_lr: None,
            weight_decay: 0.1,
            upstream_loses_tower: false,
        };
        AdamW::new(
            AdamWConfig {
                beta1: 0.9,
                beta2: 0.95,
                eps: 1e-8,
            },
            parameter_groups(names.iter().map(String::as_str), &options),
        )
    };
    match stage.as_str() {
        "stage2" => {
            let tower = VisionTower::new(&config.vision, &source, &plain)?;
            let mut model = Some(MobileVlm::new(&config, None, &source, &tracked)?);
            let names = parameters(model.as_ref().expect("just made"), prefix)
                .into_iter()
                .map(|p| p.name)
                .collect();
            let mut optimizer = optimizer(names);
            let inputs = (0..parts)
                .map(|part| {
                    (
                        shape.splice(part * rows, rows),
                        shape.pixels(part * rows, rows, &plain),
                    )
                })
                .collect::<Vec<_>>();
            let loss = |model: &MobileVlm, (splice, pixels): (Splice, Tensor<4>)| {
                model.loss(&splice, Some(tower.forward(pixels)), None)
            };
            timed(&mut || {
                let now = model.take().expect("put back after each step");
                let mut sum = Accumulated::new(options);
                if replicas == 0 {
                    sum.add(&now, prefix, loss(&now, inputs[0].clone())?);
                } else {
                    let part = |model: &_, input| {
                        Ok(PartGradients::of(model, prefix, loss(model, input)?))
                    };
                    for part in pools.gradients(&now, &tracked, inputs.clone(), part)? {
                        sum.add_gradients(part);
                    }
                }
                let (next, outcome) = sum.finish(now, prefix, &mut optimizer, &[1e-3, 1e-3])?;
                model = Some(next);
                Ok(outcome.loss)
            })?;
        }
        "tower" => {
            let mut model = Some(VisionTower::new(&config.vision, &source, &tracked)?);
            let names = parameters(model.as_ref().expect("just made"), prefix)
                .into_iter()
                .map(|p| p.name)
                .collect();
            let mut optimizer = optimizer(names);
            let inputs = (0..parts)
                .map(|part| shape.pixels(part * rows, rows, &tracked))
                .collect::<Vec<_>>();
            let loss = |tower: &VisionTower, pixels: Tensor<4>| -> Result<Loss, ModelError> {
                let features = tower.forward(pixels);
                let supervised = features.dims().iter().product();
                Ok(Loss {
                    sum: Some(features.square().sum()),
                    supervised,
                })
            };
            timed(&mut || {
                let now = model.take().expect("put back after each step");
                let mut sum = Accumulated::new(options);
                if replicas == 0 {
                    sum.add(&now, prefix, loss(&now, inputs[0].clone())?);
                } else {
                    let part = |model: &_, input| {
                        Ok(PartGradients::of(model, prefix, loss(model, input)?))
                    };
                    for part in pools.gradients(&now, &tracked, inputs.clone(), part)? {
                        sum.add_gradients(part);
                    }
                }
                let (next, outcome) = sum.finish(now, prefix, &mut optimizer, &[1e-3, 1e-3])?;
                model = Some(next);
                Ok(outcome.loss)
            })?;
        }
        stage => return Err(format!("stage {stage}: expected stage2 or tower").into()),
    }
    let line = serde_json::json!({
        "program": "mobilevlm-train", "stage": stage, "shape": shape_name, "replicas": replicas,
        "batch": BATCH, "wall": wall, "cpu": cpu, "loss": losses, "peak_kb": peak_memory(),
    });
    println!("{line}");
    Ok(())
}

//! AdamW over named parameters, with upstream's groups; for matrices inside a model, Muon on wish.

mod muon;

use std::collections::{BTreeMap, BTreeSet};

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use mobilevlm_checkpoint::Inventory;
use rayon::prelude::*;

use crate::error::ModelError;
use crate::model::{Change, Described, NamedGradients, change_trained, flat, to_stored};

/// Parameters that share a peak rate and a decay.
#[derive(Clone, Debug, PartialEq)]
pub struct ParameterGroup {
    /// The highest learning rate.
    pub rate: f64,
    /// What decay takes of the weights, times the rate.
    pub weight_decay: f64,
    /// Whether the parameters are of the kind that decays, even where the decay is 0.
    pub decays: bool,
    /// How a step is taken.
    pub method: Method,
    /// Upstream's names.
    pub parameters: Vec<String>,
}

/// How a step is taken from a gradient.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Method {
    /// Loshchilov and Hutter 2019; what upstream uses.
    #[default]
    AdamW,
    /// Jordan et al. 2024, for matrices: the step's singular values are all made about 1.
    Muon,
}

/// Takes the matrices of blocks and projectors out of their groups, into one at the end that steps
/// as [`Method::Muon`]: linear layers between hidden states, no embedding, no head.
pub fn with_muon(
    mut groups: Vec<ParameterGroup>,
    rate: f64,
    weight_decay: f64,
) -> Vec<ParameterGroup> {
    let is_hidden = |name: &String| {
        let is_matrix = name.contains(".self_attn.") || name.contains(".mlp.");
        is_matrix && name.ends_with(".weight") && !name.contains(".lora_")
    };
    let mut parameters = Vec::new();
    for group in &mut groups {
        parameters.extend(group.parameters.extract_if(.., |name| is_hidden(name)));
    }
    groups.push(ParameterGroup {
        rate,
        weight_decay,
        decays: true,
        method: Method::Muon,
        parameters,
    });
    groups
}

/// What upstream's `VLMTrainer.create_optimizer` reads; the names are HF's and upstream's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GroupOptions {
    /// The peak rate.
    pub learning_rate: f64,
    /// The peak rate of the projector, if it has its own.
    pub mm_projector_lr: Option<f64>,
    /// The decay of those that decay.
    pub weight_decay: f64,
    /// Whether, with a rate for the projector, what of the tower is outside its layers is in no
    /// group. Upstream loses it so, and its tower is frozen.
    pub upstream_loses_tower: bool,
}

/// Upstream's groups of the named parameters: those that decay, then those that do not; with a rate
/// of its own for the projector, the rest so and then the projector so. Groups can be empty.
pub fn parameter_groups<'a>(
    names: impl IntoIterator<Item = &'a str>,
    options: &GroupOptions,
) -> Vec<ParameterGroup> {
    let group = |rate, decays| ParameterGroup {
        rate,
        weight_decay: if decays { options.weight_decay } else { 0.0 },
        decays,
        method: Method::AdamW,
        parameters: Vec::new(),
    };
    let rate = options.learning_rate;
    let mut groups = vec![group(rate, true), group(rate, false)];
    if let Some(rate) = options.mm_projector_lr {
        groups.extend([group(rate, true), group(rate, false)]);
    }
    for name in names {
        let is_projector = name.contains("mm_projector");
        let is_lost = options.upstream_loses_tower
            && name.contains("vision_tower")
            && !name.contains(".layers.");
        let place = usize::from(!decays(name));
        let place = match options.mm_projector_lr {
            Some(_) if is_lost => continue,
            Some(_) if is_projector => 2 + place,
            _ => place,
        };
        groups[place].parameters.push(name.to_owned());
    }
    groups
}

/// Whether a parameter decays: all but biases and the weights of `nn.LayerNorm` and its subclasses
/// (CLIP's, `ldpnet`'s). LLaMA's norms are none and decay. Upstream: `get_parameter_names` with
/// `ALL_LAYERNORM_LAYERS` of transformers 4.33.1.
pub fn decays(name: &str) -> bool {
    if name.contains("bias") {
        return false;
    }
    let parts: Vec<&str> = name.split('.').collect();
    let is_layer_norm = match parts.as_slice() {
        [.., norm, "weight"] if name.contains("vision_tower") => {
            norm.contains("norm") || norm.contains("layrnorm")
        }
        // `ldpnet`: block.0 and block.2 are a convolution `0` and a norm `1`.
        [.., "block", "0" | "2", "1", "weight"] => true,
        _ => false,
    };
    !is_layer_norm
}

/// AdamW's constants.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamWConfig {
    /// What the mean of gradients keeps in a step.
    pub beta1: f64,
    /// What the mean of squares keeps in a step.
    pub beta2: f64,
    /// Added to the root of the mean of squares.
    pub eps: f64,
}

/// HF's defaults, which upstream uses.
impl Default for AdamWConfig {
    fn default() -> Self {
        Self {
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-8,
        }
    }
}

/// AdamW as torch computes it: decay first, both means corrected for their start at 0.
#[derive(Debug)]
pub struct AdamW {
    config: AdamWConfig,
    groups: Vec<ParameterGroup>,
    steps: u64,
    /// Of every trained parameter, flat `[n]`.
    moments: BTreeMap<String, Moments>,
}

#[derive(Debug)]
struct Moments {
    mean: Tensor<1>,
    /// Muon has none.
    square: Option<Tensor<1>>,
}

// torch's names of the state.
const MEAN: &str = "exp_avg";
const SQUARE: &str = "exp_avg_sq";

impl AdamW {
    /// A fresh optimiser.
    pub fn new(config: AdamWConfig, groups: Vec<ParameterGroup>) -> AdamW {
        AdamW {
            config,
            groups,
            steps: 0,
            moments: BTreeMap::new(),
        }
    }

    /// The groups, in the order of rates.
    pub fn groups(&self) -> &[ParameterGroup] {
        &self.groups
    }

    /// Steps taken.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Takes a step of every trained parameter of a module. `rates`: one for each group.
    ///
    /// # Errors
    /// [`ModelError::Parameter`] where a trained parameter has no gradient or no group; the
    /// optimiser is then as before.
    pub fn step<M: Module>(
        &mut self,
        module: M,
        prefix: &str,
        gradients: NamedGradients,
        rates: &[f64],
    ) -> Result<M, ModelError> {
        let missing = |name: String, what| ModelError::Parameter { name, what };
        let mut settings = BTreeMap::new();
        for (group, &rate) in self.groups.iter().zip(rates) {
            for name in &group.parameters {
                settings.insert(name.as_str(), (group.method, rate, group.weight_decay));
            }
        }
        let mut gradients = gradients.by_name;
        let mut due = Vec::new();
        for parameter in crate::model::parameters(&module, prefix) {
            if !parameter.trained {
                continue;
            }
            let Some(&(method, rate, decay)) = settings.get(parameter.name.as_str()) else {
                return Err(missing(parameter.name, "group with a learning rate"));
            };
            let Some(gradient) = gradients.remove(&parameter.name) else {
                return Err(missing(parameter.name, "gradient"));
            };
            due.push(Due {
                parameter,
                method,
                rate,
                decay,
                gradient,
                old: None,
            });
        }
        for due in &mut due {
            due.old = self.moments.remove(&due.parameter.name);
        }
        self.steps += 1;
        let step = Step::new(self.config, self.steps);
        // One does not depend on another; the result does not depend on how many threads there are.
        let updates: Vec<_> = due.into_par_iter().map(|due| step.of(due)).collect();
        let mut changes = Updates::default();
        for (name, update, moments) in updates {
            self.moments.insert(name.clone(), moments);
            changes.0.insert(name, update);
        }
        Ok(change_trained(module, prefix, &mut changes))
    }

    /// The state by torch's names behind the parameter's, `model.norm.weight.exp_avg`; beside it
    /// [`AdamW::steps`] has to be kept.
    pub fn state(&self) -> Inventory {
        let entries = self.moments.iter().flat_map(|(name, moments)| {
            let square = moments.square.clone();
            let square = square.map(|square| (format!("{name}.{SQUARE}"), to_stored(square)));
            let mean = (format!("{name}.{MEAN}"), to_stored(moments.mean.clone()));
            [mean].into_iter().chain(square)
        });
        entries.collect()
    }

    /// Takes over a state; moments go to `device`, which is without autodiff.
    ///
    /// # Errors
    /// [`ModelError::Parameter`] where half of a parameter's state is missing or of another length;
    /// the optimiser is then as before.
    pub fn restore(
        &mut self,
        steps: u64,
        state: &Inventory,
        device: &Device,
    ) -> Result<(), ModelError> {
        let of_muon = self
            .groups
            .iter()
            .filter(|group| group.method == Method::Muon);
        let of_muon: BTreeSet<&String> = of_muon.flat_map(|group| &group.parameters).collect();
        let mut moments = BTreeMap::new();
        for (full, mean) in state.iter() {
            let Some(name) = full
                .strip_suffix(MEAN)
                .and_then(|name| name.strip_suffix('.'))
            else {
                continue;
            };
            let missing = |what| ModelError::Parameter {
                name: name.to_owned(),
                what,
            };
            let mean = mean
                .to_f32()
                .ok_or_else(|| missing("numbers in its state"))?;
            let square = match of_muon.contains(&name.to_owned()) {
                true => None,
                false => {
                    let square = state.get(&format!("{name}.{SQUARE}"));
                    let square = square.and_then(|square| square.to_f32());
                    let square = square.filter(|square| square.len() == mean.len());
                    Some(square.ok_or_else(|| missing("mean of squares of its length"))?)
                }
            };
            let moment = Moments {
                mean: flat(mean, device),
                square: square.map(|square| flat(square, device)),
            };
            moments.insert(name.to_owned(), moment);
        }
        self.moments = moments;
        self.steps = steps;
        Ok(())
    }
}

/// A parameter whose step is to be taken, and what that takes.
struct Due {
    parameter: Described,
    method: Method,
    rate: f64,
    decay: f64,
    gradient: Tensor<1>,
    old: Option<Moments>,
}

/// What becomes of a parameter: it keeps a share of itself, and the update is taken away.
struct Update {
    keeps: f64,
    update: Tensor<1>,
}

#[derive(Default)]
struct Updates(BTreeMap<String, Update>);

impl Change for Updates {
    fn change(&mut self, name: &str, _: &[usize], value: Tensor<1>) -> Tensor<1> {
        // It is there: `AdamW::step` has looked.
        let Some(Update { keeps, update }) = self.0.remove(name) else {
            return value;
        };
        match keeps == 1.0 {
            true => value - update,
            false => value * keeps - update,
        }
    }
}

/// What the parameters of a step have in common.
struct Step {
    config: AdamWConfig,
    correction1: f64,
    correction2: f64,
}

impl Step {
    fn new(config: AdamWConfig, steps: u64) -> Step {
        let steps = steps as f64;
        Step {
            config,
            correction1: 1.0 - config.beta1.powf(steps),
            correction2: (1.0 - config.beta2.powf(steps)).sqrt(),
        }
    }

    /// The parameter's name, what becomes of it, and its new moments.
    fn of(&self, due: Due) -> (String, Update, Moments) {
        let Described { name, shape, .. } = due.parameter;
        let (update, moments) = match (due.method, shape.as_slice()) {
            (Method::Muon, &[rows, columns]) => {
                let old = due.old.map(|moments| moments.mean);
                let (update, mean) = muon::update(due.gradient, old, [rows, columns]);
                (update * due.rate, Moments { mean, square: None })
            }
            _ => self.adamw(due.old, due.gradient, due.rate),
        };
        let keeps = 1.0 - due.rate * due.decay;
        (name, Update { keeps, update }, moments)
    }

    /// torch's `_single_tensor_adamw`.
    fn adamw(&self, old: Option<Moments>, gradient: Tensor<1>, rate: f64) -> (Tensor<1>, Moments) {
        let AdamWConfig { beta1, beta2, eps } = self.config;
        let (mean, square) = match old {
            Some(Moments {
                mean,
                square: Some(square),
            }) => (
                mean * beta1 + gradient.clone() * (1.0 - beta1),
                square * beta2 + gradient.square() * (1.0 - beta2),
            ),
            _ => (
                gradient.clone() * (1.0 - beta1),
                gradient.square() * (1.0 - beta2),
            ),
        };
        let deviation = square.clone().sqrt() / self.correction2 + eps;
        let update = mean.clone() / deviation * (rate / self.correction1);
        let square = Some(square);
        (update, Moments { mean, square })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn norms_of_the_language_model_decay_and_layer_norms_do_not() {
        let tower = "model.vision_tower.vision_tower.vision_model";
        for name in [
            "model.norm.weight".to_owned(),
            "model.layers.0.input_layernorm.weight".to_owned(),
            "model.layers.0.post_attention_layernorm.weight".to_owned(),
            "model.embed_tokens.weight".to_owned(),
            "model.mm_projector.peg.peg.0.weight".to_owned(),
            "model.mm_projector.positions".to_owned(),
            "model.mm_projector.model.mb_block.1.block.0.0.weight".to_owned(),
            "model.mm_projector.model.mb_block.1.block.1.fc1.weight".to_owned(),
            format!("{tower}.embeddings.class_embedding"),
            format!("{tower}.encoder.layers.0.mlp.fc1.weight"),
        ] {
            assert!(decays(&name), "{name}");
        }
        for name in [
            "model.mm_projector.mlp.mlp.0.bias".to_owned(),
            "model.mm_projector.model.mb_block.1.block.0.1.weight".to_owned(),
            "model.mm_projector.model.mb_block.2.block.2.1.weight".to_owned(),
            format!("{tower}.pre_layrnorm.weight"),
            format!("{tower}.post_layernorm.weight"),
            format!("{tower}.encoder.layers.0.layer_norm2.weight"),
        ] {
            assert!(!decays(&name), "{name}");
        }
    }
}

//! One optimiser step of one or more micro-batches.

use burn::module::Module;

use crate::error::ModelError;
use crate::model::{Loss, NamedGradients};
use crate::optimizer::AdamW;

/// How micro-batches of one step are weighed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Accumulation {
    /// Each counts the same, whatever its number of supervised ids: a mean of means. What upstream
    /// computes (`gradient_accumulation_steps` of HF's Trainer 4.33).
    #[default]
    MicroBatches,
    /// Each supervised id counts the same, as in one large batch.
    Tokens,
}

/// What happens to a step whose loss or gradient is not finite.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NonFinite {
    /// It is left out and counted.
    #[default]
    Skip,
    /// It is taken. Upstream: HF's Trainer, which hides the loss from its log
    /// (`logging_nan_inf_filter`). A batch without supervised ids has no finite loss and zero
    /// gradients: the old momentum moves the weights.
    UpstreamStep,
}

/// What decides about a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepOptions {
    /// Gradients of a larger norm over all parameters are scaled down to this one. HF's
    /// `max_grad_norm`, 1 by default.
    pub max_grad_norm: Option<f64>,
    /// How micro-batches are weighed.
    pub accumulation: Accumulation,
    /// What happens where numbers are not finite.
    pub non_finite: NonFinite,
}

impl Default for StepOptions {
    fn default() -> Self {
        Self {
            max_grad_norm: Some(1.0),
            accumulation: Accumulation::default(),
            non_finite: NonFinite::default(),
        }
    }
}

/// What came of a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepOutcome {
    /// The loss, weighed as the gradients are; NaN where nothing was supervised.
    pub loss: f64,
    /// The norm over all trained parameters before it was scaled down.
    pub gradient_norm: f64,
    /// Supervised ids.
    pub supervised: usize,
    /// Whether parameters and optimiser have moved.
    pub taken: bool,
}

/// The gradients of a micro-batch, or of a replica's part of one.
#[derive(Debug)]
pub struct PartGradients {
    /// Gradients of the mean loss over the supervised ids; zeros where nothing is supervised.
    pub gradients: NamedGradients,
    /// That mean; NaN where nothing is supervised.
    pub loss: f64,
    /// Supervised ids.
    pub supervised: usize,
}

impl PartGradients {
    /// Runs the backward pass of a loss.
    pub fn of<M: Module>(module: &M, prefix: &str, loss: Loss) -> PartGradients {
        let Loss { sum, supervised } = loss;
        let mean = sum.map(|sum| sum / supervised as f64);
        let loss = match &mean {
            Some(mean) => f64::from(mean.clone().into_scalar::<f32>()),
            None => f64::NAN,
        };
        // A loss that no trained parameter is in, has no graph.
        let gradients = mean
            .filter(|mean| mean.is_tracked())
            .map(|mean| mean.backward());
        PartGradients {
            gradients: NamedGradients::collect(module, prefix, gradients),
            loss,
            supervised,
        }
    }
}

/// Gradients of the micro-batches of a step, while they come in.
#[derive(Debug)]
pub struct Accumulated {
    options: StepOptions,
    gradients: NamedGradients,
    /// Loss and weight of each micro-batch.
    losses: Vec<(f64, f64)>,
    supervised: usize,
}

impl Accumulated {
    /// Nothing yet.
    pub fn new(options: StepOptions) -> Accumulated {
        Accumulated {
            options,
            gradients: NamedGradients::default(),
            losses: Vec::new(),
            supervised: 0,
        }
    }

    /// Runs the backward pass of a micro-batch and adds its gradients. Returns its loss, the mean
    /// over its supervised ids, which is NaN where there are none.
    pub fn add<M: Module>(&mut self, module: &M, prefix: &str, loss: Loss) -> f64 {
        let part = PartGradients::of(module, prefix, loss);
        let loss = part.loss;
        self.add_gradients(part);
        loss
    }

    /// Adds gradients that were computed elsewhere, by a replica for instance.
    pub fn add_gradients(&mut self, part: PartGradients) {
        let PartGradients {
            gradients,
            loss,
            supervised,
        } = part;
        let weight = match (self.options.accumulation, self.options.non_finite) {
            (Accumulation::Tokens, _) => supervised as f64,
            // Without supervised ids it counts as nothing; upstream counts it.
            (Accumulation::MicroBatches, NonFinite::Skip) => f64::from(u8::from(supervised > 0)),
            (Accumulation::MicroBatches, NonFinite::UpstreamStep) => 1.0,
        };
        self.losses.push((loss, weight));
        self.supervised += supervised;
        self.gradients.add(gradients, weight);
    }

    /// The gradients of the step so far, not yet scaled down.
    pub fn gradients(&self) -> NamedGradients {
        let mut gradients = self.gradients.clone();
        if let Some(factor) = self.factor() {
            gradients.scale(factor);
        }
        gradients
    }

    /// What the sum is multiplied with to be a mean; `None` where it is one.
    fn factor(&self) -> Option<f64> {
        let total: f64 = self.losses.iter().map(|(_, weight)| weight).sum();
        (total != 1.0 && total > 0.0).then(|| 1.0 / total)
    }

    fn loss(&self) -> f64 {
        let total: f64 = self.losses.iter().map(|(_, weight)| weight).sum();
        let counted = self.losses.iter().filter(|(_, weight)| *weight > 0.0);
        counted.map(|(loss, weight)| loss * weight).sum::<f64>() / total
    }

    /// Scales the gradients down and takes the step. `rates`: one for each group.
    ///
    /// # Errors
    /// As [`AdamW::step`].
    pub fn finish<M: Module>(
        self,
        module: M,
        prefix: &str,
        optimizer: &mut AdamW,
        rates: &[f64],
    ) -> Result<(M, StepOutcome), ModelError> {
        let loss = self.loss();
        let mut gradients = self.gradients();
        let norm = gradients.norm();
        let outcome = |taken| StepOutcome {
            loss,
            gradient_norm: norm,
            supervised: self.supervised,
            taken,
        };
        if !(loss.is_finite() && norm.is_finite()) && self.options.non_finite == NonFinite::Skip {
            return Ok((module, outcome(false)));
        }
        if let Some(most) = self.options.max_grad_norm {
            // torch's `clip_grad_norm_`.
            let factor = most / (norm + 1e-6);
            if factor < 1.0 || factor.is_nan() {
                gradients.scale(factor);
            }
        }
        let module = optimizer.step(module, prefix, gradients, rates)?;
        Ok((module, outcome(true)))
    }
}

//! Gradients at the memory of one decoder layer: the activations of the others are computed again
//! when the backward pass comes to them. Upstream: `gradient_checkpointing`.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use mobilevlm_data::Splice;

use super::{Language, Loss, MobileVlm, NamedGradients, Rows};
use crate::error::ModelError;
use crate::random::Draws;
use crate::step::PartGradients;

impl MobileVlm {
    /// The loss of a batch and its gradients, of which every trained parameter has one: what
    /// [`MobileVlm::loss`] and [`PartGradients::of`] give, with another forward pass of the decoder
    /// layers and far less memory.
    ///
    /// burn recomputes elementwise operations only, so it is done by hand: layers run without a
    /// graph, of which nothing but their inputs is kept; then each runs again from its input, and
    /// the sum of its output times the gradient that came from above has the gradients that belong
    /// to it.
    ///
    /// # Errors
    /// As [`MobileVlm::loss`].
    pub fn recomputed_gradients(
        &self,
        splice: &Splice,
        features: Option<Tensor<3>>,
        draws: Option<Draws>,
    ) -> Result<PartGradients, ModelError> {
        let rows = Rows::new(splice, self.packs)?;
        let (places, targets) = rows.supervised(self.language.vocabulary())?;
        let supervised = targets.len();
        let nothing = Loss {
            sum: None,
            supervised: 0,
        };
        if supervised == 0 {
            return Ok(PartGradients::of(self, "", nothing));
        }
        let device = self.language.device();
        let [count, length] = rows.shape();
        let embeds = self.embeds(&rows.splice, features)?;
        let embeds = embeds.reshape([count, length, self.language.hidden()]);
        let plain = self.language.valid();
        let context = |language: &Language, device: &Device| {
            rows.context(language, device).wanting(&places, device)
        };
        let plain_context = context(&plain, &device.clone().inner());
        let mut inputs = vec![embeds.clone().inner()];
        for layer in 0..plain.depth() {
            let x = inputs[layer].clone();
            inputs.push(plain.layer(layer, x, &plain_context, draws));
        }
        let last = inputs.pop().map(|x| Tensor::from_inner(x).require_grad());
        let Some(last) = last else {
            return Ok(PartGradients::of(self, "", nothing));
        };

        let Loss { sum, .. } = self.language.loss_of(last.clone(), targets);
        let Some(mean) = sum.map(|sum| sum / supervised as f64) else {
            return Ok(PartGradients::of(self, "", nothing));
        };
        let loss = f64::from(mean.clone().into_scalar::<f32>());
        let mut backward = mean.backward();
        let context = context(&self.language, &device);
        let mut gradient = last.grad_remove(&mut backward);
        let mut gradients = NamedGradients::found(self, "", backward);
        for (layer, input) in inputs.into_iter().enumerate().rev() {
            let Some(above) = gradient else { break };
            let input = Tensor::from_inner(input).require_grad();
            let output = self.language.layer(layer, input.clone(), &context, draws);
            let mut backward = (output * Tensor::from_inner(above)).sum().backward();
            gradient = input.grad_remove(&mut backward);
            gradients.add(NamedGradients::found(self, "", backward), 1.0);
        }
        if let Some(above) = gradient.filter(|_| embeds.is_tracked()) {
            let backward = (embeds * Tensor::from_inner(above)).sum().backward();
            gradients.add(NamedGradients::found(self, "", backward), 1.0);
        }
        gradients.fill(self, "");
        Ok(PartGradients {
            gradients,
            loss,
            supervised,
        })
    }
}

//! Projectors: image features `[P, V]` to image embeds `[T, d]`.

mod ldp;
mod ldpv2;
mod mlp;

use mobilevlm_checkpoint::{Config, Projector as Kind, Scope};
use mobilevlm_tensor::{Compute, Matrix};

use self::ldp::Ldp;
use self::ldpv2::LdpV2;
use self::mlp::Mlp;
use crate::{ModelError, linear::Linear};

/// What stands between vision tower and language model; one of the family's kinds.
pub struct Projector {
    layers: Layers,
    /// P, the number of patches.
    patches: usize,
    /// V, the width of the tower.
    features: usize,
}

enum Layers {
    Linear(Linear),
    Mlp(Mlp),
    Ldp(Box<Ldp>),
    LdpV2(LdpV2),
}

impl Projector {
    /// Takes the tensors below `scope`, which are named as upstream names them after
    /// `mm_projector.`.
    ///
    /// # Errors
    /// [`ModelError::Tensor`] where a tensor is missing or misshaped.
    pub fn load(config: &Config, scope: Scope<'_>) -> Result<Projector, ModelError> {
        let features = config.vision.hidden;
        let width = config.language.hidden;
        let side = config.vision.grid();
        let layers = match config.projector {
            Kind::Linear => Layers::Linear(Linear::load(&scope, features, width)?),
            Kind::Mlp { depth } => Layers::Mlp(Mlp::load(depth, features, width, &scope)?),
            Kind::LdpNet => Layers::Ldp(Box::new(Ldp::load(features, width, side, &scope)?)),
            Kind::LdpNetV2(variant) => {
                Layers::LdpV2(LdpV2::load(variant, features, width, side, &scope)?)
            }
        };
        Ok(Projector {
            layers,
            patches: side * side,
            features,
        })
    }

    /// Number T of image embeds, the places that a picture takes in the prompt.
    pub fn tokens(&self) -> usize {
        match &self.layers {
            Layers::Linear(_) | Layers::Mlp(_) => self.patches,
            Layers::Ldp(ldp) => ldp.tokens(),
            Layers::LdpV2(ldp) => ldp.tokens(),
        }
    }

    /// Projects the features of one picture.
    ///
    /// `features`: `[P, V]`. Returns `[T, d]`.
    ///
    /// # Errors
    /// [`ModelError::Features`] if the number of values is another one.
    pub fn forward(&self, compute: &Compute, features: &[f32]) -> Result<Vec<f32>, ModelError> {
        let (rows, columns) = (self.patches, self.features);
        if features.len() != rows * columns {
            return Err(ModelError::Features {
                rows,
                columns,
                found: features.len(),
            });
        }
        Ok(match &self.layers {
            Layers::Linear(linear) => {
                let mut out = vec![0.0; rows * linear.outputs()];
                linear.forward(compute, features, &mut out);
                out
            }
            Layers::Mlp(mlp) => mlp.forward(compute, features, rows),
            Layers::Ldp(ldp) => ldp.forward(compute, features),
            Layers::LdpV2(ldp) => ldp.forward(compute, features),
        })
    }

    /// The matrices that [`Projector::forward`] multiplies with.
    pub fn weights(&self) -> impl Iterator<Item = &Matrix> {
        let linears = match &self.layers {
            Layers::Linear(linear) => vec![linear],
            Layers::Mlp(mlp) => mlp.linears(),
            Layers::Ldp(ldp) => ldp.linears(),
            Layers::LdpV2(ldp) => ldp.linears(),
        };
        linears.into_iter().map(Linear::weight)
    }

    /// Multiply-adds of the linear layers in [`Projector::forward`].
    pub fn multiply_adds(&self) -> u64 {
        let rows = self.patches as u64;
        match &self.layers {
            Layers::Linear(linear) => rows * linear.multiply_adds(),
            Layers::Mlp(mlp) => rows * mlp.multiply_adds(),
            Layers::Ldp(ldp) => ldp.multiply_adds(),
            Layers::LdpV2(ldp) => ldp.multiply_adds(),
        }
    }
}

//! Projectors: features of the tower `[pictures, P, V]` to image embeds `[pictures, T, d]`.

mod ldp;
mod ldpv2;

use burn::module::Module;
use burn::tensor::Tensor;
use mobilevlm_checkpoint::{Config, Projector as Kind, TensorError};

use self::ldp::Ldp;
use self::ldpv2::LdpV2;
use super::layers::Linear;
use super::source::Place;
use crate::ops;

/// What stands between tower and language model; one of the family's kinds. All begin as torch's
/// layers do. The names of the variants are no part of parameters' names.
#[derive(Module, Debug)]
pub(crate) enum Projector {
    Linear(Linear),
    /// Upstream's `nn.Sequential` counts the GELUs too: every other place is empty.
    Mlp(Vec<Option<Linear>>),
    Ldp(Ldp),
    LdpV2(LdpV2),
}

/// Number T of image embeds of a picture, the places that it takes in a row.
pub(crate) fn tokens(config: &Config) -> usize {
    match config.projector {
        Kind::Linear | Kind::Mlp { .. } => config.vision.patches(),
        Kind::LdpNet => config.vision.grid().div_ceil(2).pow(2),
        Kind::LdpNetV2(variant) => match variant.grid() {
            Some(side) => side * side,
            None => config.vision.patches(),
        },
    }
}

impl Projector {
    /// Makes the projector at `place`.
    pub(crate) fn new(config: &Config, place: &Place<'_>) -> Result<Projector, TensorError> {
        let (features, width) = (config.vision.hidden, config.language.hidden);
        Ok(match config.projector {
            Kind::Linear => Projector::Linear(Linear::torch(place, features, width)?),
            Kind::Mlp { depth } => Projector::Mlp(sequence(place, depth, 0, features, width)?),
            Kind::LdpNet => Projector::Ldp(Ldp::new(place, features, width)?),
            Kind::LdpNetV2(variant) => {
                Projector::LdpV2(LdpV2::new(variant, place, features, width)?)
            }
        })
    }

    /// `features`: `[pictures, P, V]`. Returns `[pictures, T, d]`.
    pub(crate) fn forward(&self, features: Tensor<3>) -> Tensor<3> {
        match self {
            Projector::Linear(linear) => linear.forward(features),
            Projector::Mlp(layers) => run(layers, features),
            Projector::Ldp(ldp) => ldp.forward(features),
            Projector::LdpV2(ldp) => ldp.forward(features),
        }
    }
}

/// `depth` linear layers at the places `first`, `first` + 2, … of an `nn.Sequential`.
fn sequence(
    place: &Place<'_>,
    depth: usize,
    first: usize,
    features: usize,
    width: usize,
) -> Result<Vec<Option<Linear>>, TensorError> {
    let mut layers: Vec<Option<Linear>> = (0..first).map(|_| None).collect();
    for layer in 0..depth {
        if layer > 0 {
            layers.push(None);
        }
        let inputs = if layer == 0 { features } else { width };
        let place = place.pp(layers.len());
        layers.push(Some(Linear::torch(&place, inputs, width)?));
    }
    Ok(layers)
}

/// Linear layers with exact GELUs between them.
fn run(layers: &[Option<Linear>], x: Tensor<3>) -> Tensor<3> {
    let layers = layers.iter().flatten().enumerate();
    layers.fold(x, |x, (index, layer)| match index {
        0 => layer.forward(x),
        _ => layer.forward(ops::gelu(x)),
    })
}

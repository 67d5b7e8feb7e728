//! Where the values of parameters come from: a checkpoint, or chance.

use burn::module::Param;
use burn::tensor::{Device, Tensor, TensorData};
use mobilevlm_checkpoint::{Inventory, TensorError};

use crate::random::Draws;

/// How a parameter begins where nothing is loaded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Init {
    /// The same number everywhere.
    Constant(f32),
    /// A normal distribution of this standard deviation around 0.
    Normal(f64),
    /// Evenly between minus and plus this bound.
    Uniform(f64),
}

impl Init {
    /// What torch's `nn.Linear` and `nn.Conv2d` begin with, weights and biases:
    /// evenly within 1 / sqrt(inputs).
    pub(crate) fn torch_default(inputs: usize) -> Init {
        Init::Uniform(1.0 / (inputs.max(1) as f64).sqrt())
    }
}

/// Gives the values of parameters by the names that an [`Inventory`] has.
pub trait Source {
    /// The values of a parameter, row-major.
    ///
    /// # Errors
    /// [`TensorError`] where there is no such tensor of this shape.
    fn values(&self, name: &str, shape: &[usize], init: Init) -> Result<Vec<f32>, TensorError>;
}

impl Source for Inventory {
    fn values(&self, name: &str, shape: &[usize], _init: Init) -> Result<Vec<f32>, TensorError> {
        let (scope, last) = name.rsplit_once('.').unwrap_or(("", name));
        self.scope(scope).tensor(last, shape)
    }
}

/// Random values, a pure function of seed and name.
#[derive(Clone, Copy, Debug)]
pub struct RandomSource {
    draws: Draws,
}

impl RandomSource {
    /// The values of a seed.
    pub fn new(seed: u64) -> RandomSource {
        RandomSource {
            draws: Draws::new(seed).named("initial values"),
        }
    }
}

impl Source for RandomSource {
    fn values(&self, name: &str, shape: &[usize], init: Init) -> Result<Vec<f32>, TensorError> {
        let draws = self.draws.named(name);
        let places = 0..shape.iter().product::<usize>() as u64;
        Ok(match init {
            Init::Constant(value) => places.map(|_| value).collect(),
            Init::Normal(deviation) => places
                .map(|place| (draws.normal(place) * deviation) as f32)
                .collect(),
            Init::Uniform(bound) => places
                .map(|place| ((2.0 * draws.uniform(place) - 1.0) * bound) as f32)
                .collect(),
        })
    }
}

/// A tower, a projector or a language model that a checkpoint has, else another source for what it
/// lacks: a new projector before a language model that was trained alone, for instance.
pub struct Either<'a, A: ?Sized, B: ?Sized>(pub &'a A, pub &'a B, pub &'a dyn Fn(&str) -> bool);

impl<A: Source + ?Sized, B: Source + ?Sized> Source for Either<'_, A, B> {
    fn values(&self, name: &str, shape: &[usize], init: Init) -> Result<Vec<f32>, TensorError> {
        match (self.2)(name) {
            true => self.0.values(name, shape, init),
            false => self.1.values(name, shape, init),
        }
    }
}

/// A place in the tree of names at which a layer makes its parameters.
#[derive(Clone)]
pub(crate) struct Place<'a> {
    source: &'a dyn Source,
    device: &'a Device,
    prefix: String,
}

impl<'a> Place<'a> {
    pub(crate) fn new(source: &'a dyn Source, device: &'a Device, prefix: &str) -> Place<'a> {
        Place {
            source,
            device,
            prefix: prefix.to_owned(),
        }
    }

    /// The place one name further down.
    pub(crate) fn pp(&self, name: impl std::fmt::Display) -> Place<'a> {
        Place {
            prefix: format!("{}.{name}", self.prefix),
            ..self.clone()
        }
    }

    /// The parameter `name` of this place.
    pub(crate) fn param<const D: usize>(
        &self,
        name: &str,
        shape: [usize; D],
        init: Init,
    ) -> Result<Param<Tensor<D>>, TensorError> {
        let values = self
            .source
            .values(&format!("{}.{name}", self.prefix), &shape, init)?;
        Ok(Param::from_tensor(Tensor::from_data(
            TensorData::new(values, shape),
            self.device,
        )))
    }
}

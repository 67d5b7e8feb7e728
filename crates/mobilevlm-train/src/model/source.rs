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

/// How parameters begin that no folder has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Beginning {
    /// As HF's CLIP and LLaMA and upstream's projectors begin.
    #[default]
    Released,
    /// For small models: LLaMA's deviation of 0.02 suits a width of some thousand; a layer of a
    /// hundred inputs would hardly pass anything on. Here every matrix keeps the size of what it
    /// gets (deviation 1 / sqrt(inputs)), those that add to the stream of a block half of it, and
    /// the places of patches are waves of the size of what they are added to.
    Scaled,
}

/// Random values, a pure function of seed and name.
#[derive(Clone, Copy, Debug)]
pub struct RandomSource {
    draws: Draws,
    beginning: Beginning,
}

impl RandomSource {
    /// The values of a seed.
    pub fn new(seed: u64) -> RandomSource {
        RandomSource {
            draws: Draws::new(seed).named("initial values"),
            beginning: Beginning::Released,
        }
    }

    /// The same with other deviations.
    #[must_use]
    pub fn beginning(self, beginning: Beginning) -> RandomSource {
        RandomSource { beginning, ..self }
    }
}

/// How a parameter begins in [`Beginning::Scaled`]: `init` says it for what is no matrix.
fn scaled(name: &str, shape: &[usize], init: Init) -> Init {
    let is_constant = matches!(init, Init::Constant(_));
    let is_depthwise = shape.get(1) == Some(&1) && shape.len() == 4;
    if is_constant || shape.len() < 2 || is_depthwise {
        return init;
    }
    let is_table = name.contains("embed_tokens") || name.contains("token_embedding");
    let inputs = match is_table {
        true => shape[shape.len() - 1],
        false => shape[1..].iter().product(),
    };
    const ADDED: [&str; 4] = [
        "o_proj.weight",
        "down_proj.weight",
        "out_proj.weight",
        "fc2.weight",
    ];
    let is_added = ADDED.iter().any(|end| name.ends_with(end));
    let share = if is_added { 0.5 } else { 1.0 };
    Init::Normal(share * (inputs as f64).powf(-0.5))
}

/// Places of a square grid of patches `[1 + P, width]`, the class token's first, which is 0: sines
/// and cosines of row and column.
fn places(shape: &[usize]) -> Option<Vec<f32>> {
    let &[places, width] = shape else { return None };
    let side = (places.checked_sub(1)? as f64).sqrt() as usize;
    if side == 0 || side * side + 1 != places {
        return None;
    }
    let waves = width.div_ceil(4);
    let value = |place: usize, column: usize| {
        let (kind, wave) = (column / waves, column % waves);
        let along = if kind < 2 { place / side } else { place % side };
        // From half a wave across the picture to some of them.
        let fraction = wave as f64 / waves as f64;
        let frequency = std::f64::consts::FRAC_PI_2 * 100f64.powf(-fraction);
        let phase = along as f64 * frequency;
        (if kind % 2 == 0 {
            phase.sin()
        } else {
            phase.cos()
        }) as f32
    };
    let grid =
        (0..side * side).flat_map(|place| (0..width).map(move |column| value(place, column)));
    Some(std::iter::repeat_n(0.0, width).chain(grid).collect())
}

impl Source for RandomSource {
    fn values(&self, name: &str, shape: &[usize], init: Init) -> Result<Vec<f32>, TensorError> {
        let is_scaled = self.beginning == Beginning::Scaled;
        if is_scaled
            && name.ends_with("position_embedding.weight")
            && let Some(places) = places(shape)
        {
            return Ok(places);
        }
        let init = if is_scaled {
            scaled(name, shape, init)
        } else {
            init
        };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scaled_matrices_keep_the_size_of_their_input() {
        let source = RandomSource::new(1).beginning(Beginning::Scaled);
        let deviation = |name: &str, shape: &[usize]| {
            let values = source.values(name, shape, Init::Normal(0.02)).unwrap();
            let squares = values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>();
            (squares / values.len() as f64).sqrt()
        };
        for (name, shape, expected) in [
            (
                "language.layers.0.self_attn.q_proj.weight",
                &[64, 100][..],
                0.1,
            ),
            ("language.layers.0.mlp.down_proj.weight", &[64, 100], 0.05),
            ("language.embed_tokens.weight", &[400, 100], 0.1),
            (
                "vision.embeddings.patch_embedding.weight",
                &[64, 3, 5, 5],
                75f64.powf(-0.5),
            ),
            // What is no matrix begins as it does elsewhere.
            ("vision.embeddings.class_embedding", &[4000], 0.02),
            ("projector.peg.peg.0.weight", &[4000, 1, 3, 3], 0.02),
        ] {
            let found = deviation(name, shape);
            assert!((found / expected - 1.0).abs() < 0.05, "{name}: {found}");
        }
    }

    #[test]
    fn scaled_places_differ_by_how_far_they_are_apart() {
        let source = RandomSource::new(1).beginning(Beginning::Scaled);
        let name = "vision.embeddings.position_embedding.weight";
        let (side, width) = (6, 32);
        let values = source
            .values(name, &[1 + side * side, width], Init::Normal(0.02))
            .unwrap();
        assert!(values[..width].iter().all(|v| *v == 0.0));
        let place =
            |row: usize, column: usize| &values[(1 + row * side + column) * width..][..width];
        let apart = |a: &[f32], b: &[f32]| {
            let squares = a.iter().zip(b).map(|(a, b)| (a - b).powi(2));
            squares.sum::<f32>().sqrt()
        };
        for row in 0..side {
            for column in 1..side {
                assert!(apart(place(row, column), place(row, column - 1)) > 0.5);
                assert!(apart(place(column, row), place(column - 1, row)) > 0.5);
            }
        }
    }

    #[test]
    fn without_a_wish_values_are_those_that_were_always_drawn() {
        let plain = RandomSource::new(1);
        let same = plain.beginning(Beginning::Released);
        let of = |source: RandomSource| source.values("a.weight", &[3, 4], Init::Normal(0.02));
        assert_eq!(of(plain).unwrap(), of(same).unwrap());
    }
}

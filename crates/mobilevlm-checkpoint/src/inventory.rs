//! All tensors of a checkpoint under one set of names, and the way layers read them.

use std::collections::BTreeMap;
use std::fmt::Display;

use mobilevlm_tensor::Matrix;

use crate::error::TensorError;
use crate::tensor::Tensor;

/// The tensors of a checkpoint, under names that are the same for every layout.
///
/// | name begins with | then |
/// |---|---|
/// | `vision.` | CLIP's names after `vision_model.`: `vision.encoder.layers.0.self_attn.q_proj.weight` |
/// | `projector.` | upstream's names after `model.mm_projector.`: `projector.mlp.mlp.0.weight` |
/// | `language.` | upstream's names after `model.`, and `lm_head`: `language.layers.0.mlp.up_proj.weight` |
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    tensors: BTreeMap<String, Tensor>,
}

impl Inventory {
    /// The tensor of a full name.
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.tensors.get(name)
    }

    /// Every name with its tensor, in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.tensors
            .iter()
            .map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// How many tensors there are.
    pub fn len(&self) -> usize {
        self.tensors.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.tensors.is_empty()
    }

    /// Adds a tensor; one of the same name is replaced and returned.
    pub fn insert(&mut self, name: String, tensor: Tensor) -> Option<Tensor> {
        self.tensors.insert(name, tensor)
    }

    /// Weighs the errors of tensors that are quantised by the importance of each column, which is
    /// finite and not negative. Names and numbers of columns that do not fit change nothing.
    pub fn weigh(&mut self, importance: BTreeMap<String, Vec<f32>>) {
        for (name, columns) in importance {
            if let Some(tensor) = self.tensors.get_mut(&name) {
                tensor.set_importance(columns.into());
            }
        }
    }

    /// Keeps the tensors for which `keep` holds.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&str) -> bool) {
        self.tensors.retain(|name, _| keep(name));
    }

    /// The tensors whose names begin with `prefix` and a dot.
    pub fn scope(&self, prefix: &str) -> Scope<'_> {
        Scope {
            inventory: self,
            prefix: prefix.to_owned(),
        }
    }
}

impl FromIterator<(String, Tensor)> for Inventory {
    fn from_iter<I: IntoIterator<Item = (String, Tensor)>>(tensors: I) -> Self {
        Self {
            tensors: tensors.into_iter().collect(),
        }
    }
}

/// A place in the tree of names, from which a layer reads its tensors.
///
/// Prefixes are walked, so that every error can say the full name:
///
/// ```
/// # use mobilevlm_checkpoint::{Dtype, Inventory, Tensor};
/// let weight = Tensor::new(Dtype::F32, vec![1], bytes::Bytes::from_static(&[0, 0, 128, 63]))?;
/// let inventory: Inventory = [("vision.encoder.layers.0.layer_norm1.weight".into(), weight)].into_iter().collect();
/// let layer = inventory.scope("vision").pp("encoder").pp("layers").pp(0);
/// assert_eq!(layer.vector("layer_norm1.weight", 1)?, [1.0]);
/// let error = layer.vector("layer_norm1.bias", 1).unwrap_err();
/// assert!(error.to_string().contains("vision.encoder.layers.0.layer_norm1.bias"));
/// # Ok::<(), mobilevlm_checkpoint::TensorError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Scope<'a> {
    inventory: &'a Inventory,
    prefix: String,
}

impl<'a> Scope<'a> {
    /// The place one name further down.
    pub fn pp(&self, name: impl Display) -> Self {
        Self {
            inventory: self.inventory,
            prefix: self.full(name),
        }
    }

    /// Whether there is a tensor `name` here.
    pub fn contains(&self, name: &str) -> bool {
        self.inventory.get(&self.full(name)).is_some()
    }

    /// Weights `[rows, columns]`, kept as stored. The tensor's first size is `rows`, and the
    /// others multiply to `columns`: a convolution's weight is read as the matrix that it is.
    ///
    /// # Errors
    /// [`TensorError`] if the tensor is absent, has other sizes, or holds no weights.
    pub fn matrix(&self, name: &str, rows: usize, columns: usize) -> Result<Matrix, TensorError> {
        let tensor = self.find(name, &[rows, columns])?;
        let fits = tensor.shape().split_first().is_some_and(|(&first, rest)| {
            first == rows && crate::tensor::elements(rest) == Some(columns)
        });
        if !fits {
            return Err(self.misshaped(name, &[rows, columns], tensor));
        }
        let matrix = tensor.to_matrix(rows, columns);
        match matrix {
            Some(matrix) => Ok(matrix.named(&self.full(name))),
            None => Err(self.no_weights(name, tensor)),
        }
    }

    /// A vector of `length` numbers as `f32`.
    ///
    /// # Errors
    /// [`TensorError`] if the tensor is absent, has other sizes, or holds no weights.
    pub fn vector(&self, name: &str, length: usize) -> Result<Vec<f32>, TensorError> {
        self.tensor(name, &[length])
    }

    /// A tensor of `shape` as `f32`, row-major.
    ///
    /// # Errors
    /// [`TensorError`] if the tensor is absent, has other sizes, or holds no weights.
    pub fn tensor(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, TensorError> {
        let tensor = self.find(name, shape)?;
        if tensor.shape() != shape {
            return Err(self.misshaped(name, shape, tensor));
        }
        tensor.to_f32().ok_or_else(|| self.no_weights(name, tensor))
    }

    /// The sizes of a tensor.
    ///
    /// # Errors
    /// [`TensorError`] if the tensor is absent.
    pub fn shape(&self, name: &str) -> Result<&'a [usize], TensorError> {
        Ok(self.find(name, &[])?.shape())
    }

    fn find(&self, name: &str, shape: &[usize]) -> Result<&'a Tensor, TensorError> {
        let full = self.full(name);
        let missing = || TensorError::Missing {
            name: full.clone(),
            expected: shape.to_vec(),
        };
        self.inventory.get(&full).ok_or_else(missing)
    }

    fn misshaped(&self, name: &str, expected: &[usize], tensor: &Tensor) -> TensorError {
        TensorError::Shape {
            name: self.full(name),
            expected: expected.to_vec(),
            found: tensor.shape().to_vec(),
        }
    }

    fn no_weights(&self, name: &str, tensor: &Tensor) -> TensorError {
        TensorError::Dtype {
            name: self.full(name),
            found: tensor.dtype(),
        }
    }

    fn full(&self, name: impl Display) -> String {
        format!("{}.{name}", self.prefix)
    }
}

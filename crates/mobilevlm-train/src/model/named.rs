//! Parameters by the names that upstream gives them.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Gradients, Tensor, TensorData};

use mobilevlm_checkpoint::{Bytes, Dtype, Inventory, Tensor as Stored, upstream_name};

/// Follows a visitor through the tree of modules.
#[derive(Debug, Default)]
struct Path(Vec<String>);

impl Path {
    fn enter(&mut self, name: &str, container: &str) {
        // Which kind of projector it is, is no part of a name.
        let name = if container.starts_with("Enum:") {
            ""
        } else {
            name
        };
        self.0.push(name.to_owned());
    }

    fn exit(&mut self) {
        self.0.pop();
    }

    /// Upstream's name of the parameter where the visitor is. Fields are named so that the path is
    /// the name in an [`Inventory`]; only adapters, whose names have capitals, are not.
    fn name(&self) -> String {
        let parts: Vec<&str> = self
            .0
            .iter()
            .map(String::as_str)
            .filter(|part| !part.is_empty())
            .collect();
        let path = match parts.as_slice() {
            [rest @ .., "lora", half] => {
                let rest = rest.join(".");
                format!("{rest}.lora_{}.default.weight", half.to_uppercase())
            }
            parts => parts.join("."),
        };
        upstream_name(&path)
    }
}

/// One parameter of a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// Upstream's name.
    pub name: String,
    /// Its sizes.
    pub shape: Vec<usize>,
    /// Whether it has gradients.
    pub trained: bool,
}

/// The parameters of a module in their order. `prefix` is the module's place in a model:
/// `vision`, `projector` or `language`, or nothing for a [`MobileVlm`](super::MobileVlm).
pub fn parameters<M: Module>(module: &M, prefix: &str) -> Vec<Described> {
    struct List(Path, Vec<Described>);
    impl ModuleVisitor for List {
        fn enter_module(&mut self, name: &str, container: &str) {
            self.0.enter(name, container);
        }
        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.0.exit();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let value = param.val();
            self.1.push(Described {
                name: self.0.name(),
                shape: value.dims().to_vec(),
                trained: value.is_require_grad(),
            });
        }
    }
    let mut list = List(Path(vec![prefix.to_owned()]), Vec::new());
    module.visit(&mut list);
    list.1
}

/// The values of those parameters whose upstream names pass.
///
/// # Panics
/// If a backend gives another number of values than a tensor has.
pub fn values<M: Module>(module: &M, prefix: &str, keep: impl Fn(&str) -> bool) -> Inventory {
    struct Values<K>(Path, BTreeMap<String, Stored>, K);
    impl<K: Fn(&str) -> bool> ModuleVisitor for Values<K> {
        fn enter_module(&mut self, name: &str, container: &str) {
            self.0.enter(name, container);
        }
        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.0.exit();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let name = self.0.name();
            if (self.2)(&name) {
                self.1.insert(name, to_stored(param.val()));
            }
        }
    }
    let mut values = Values(Path(vec![prefix.to_owned()]), BTreeMap::new(), keep);
    module.visit(&mut values);
    values.1.into_iter().collect()
}

/// A tensor as files hold it, in float32.
pub(crate) fn to_stored<const D: usize>(tensor: Tensor<D>) -> Stored {
    let shape = tensor.dims().to_vec();
    let values: Vec<f32> = tensor.into_data().iter::<f32>().collect();
    let bytes: Vec<u8> = values.into_iter().flat_map(f32::to_le_bytes).collect();
    Stored::new(Dtype::F32, shape, Bytes::from(bytes)).expect("as many values as the sizes say")
}

/// Trains the parameters whose upstream names pass, and no others: the rest has no node in the
/// graph. Parameters on a device without autodiff never have.
pub fn train_only<M: Module>(module: M, prefix: &str, trained: impl Fn(&str) -> bool) -> M {
    struct Train<K>(Path, K);
    impl<K: Fn(&str) -> bool> ModuleMapper for Train<K> {
        fn enter_module(&mut self, name: &str, container: &str) {
            self.0.enter(name, container);
        }
        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.0.exit();
        }
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let trained = (self.1)(&self.0.name());
            param.set_require_grad(trained)
        }
    }
    module.map(&mut Train(Path(vec![prefix.to_owned()]), trained))
}

/// A change of one parameter's values: name, sizes, values without autodiff and flat `[n]`, new
/// values.
pub(crate) trait Change {
    fn change(&mut self, name: &str, shape: &[usize], value: Tensor<1>) -> Tensor<1>;
}

/// Replaces the values of all trained parameters.
pub(crate) fn change_trained<M: Module, C: Change>(module: M, prefix: &str, change: &mut C) -> M {
    struct Changing<'a, C>(Path, &'a mut C);
    impl<C: Change> ModuleMapper for Changing<'_, C> {
        fn enter_module(&mut self, name: &str, container: &str) {
            self.0.enter(name, container);
        }
        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.0.exit();
        }
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            if !param.val().is_require_grad() {
                return param;
            }
            let name = self.0.name();
            param.map(|value| {
                let shape = value.dims();
                let count = shape.iter().product::<usize>();
                let flat = value.inner().reshape([count]);
                let changed = self.1.change(&name, &shape, flat).reshape(shape);
                Tensor::from_inner(changed).require_grad()
            })
        }
    }
    module.map(&mut Changing(Path(vec![prefix.to_owned()]), change))
}

/// Gradients by upstream's names, each flat `[n]` on the device without autodiff.
#[derive(Clone, Debug, Default)]
pub struct NamedGradients {
    pub(crate) by_name: BTreeMap<String, Tensor<1>>,
}

impl NamedGradients {
    /// The gradients of all trained parameters of a module; zero where the loss does not depend on
    /// one, as in a batch of text alone for the projector. `None` is a loss that depends on none.
    pub fn collect<M: Module>(module: &M, prefix: &str, gradients: Option<Gradients>) -> Self {
        let mut found = match gradients {
            Some(gradients) => Self::found(module, prefix, gradients),
            None => Self::default(),
        };
        found.fill(module, prefix);
        found
    }

    /// The gradients of those trained parameters that a loss depends on.
    pub(crate) fn found<M: Module>(module: &M, prefix: &str, gradients: Gradients) -> Self {
        struct Found(Path, NamedGradients, Gradients);
        impl ModuleVisitor for Found {
            fn enter_module(&mut self, name: &str, container: &str) {
                self.0.enter(name, container);
            }
            fn exit_module(&mut self, _name: &str, _container: &str) {
                self.0.exit();
            }
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                let value = param.val();
                if let Some(gradient) = value.grad_remove(&mut self.2) {
                    let count = value.dims().iter().product::<usize>();
                    let gradient = gradient.reshape([count]);
                    self.1.by_name.insert(self.0.name(), gradient);
                }
            }
        }
        let path = Path(vec![prefix.to_owned()]);
        let mut found = Found(path, Self::default(), gradients);
        module.visit(&mut found);
        found.1
    }

    /// Gives every trained parameter that has no gradient one of zeros.
    pub(crate) fn fill<M: Module>(&mut self, module: &M, prefix: &str) {
        struct Fill<'a>(Path, &'a mut NamedGradients);
        impl ModuleVisitor for Fill<'_> {
            fn enter_module(&mut self, name: &str, container: &str) {
                self.0.enter(name, container);
            }
            fn exit_module(&mut self, _name: &str, _container: &str) {
                self.0.exit();
            }
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                let value = param.val();
                if value.is_require_grad() {
                    let count = value.dims().iter().product::<usize>();
                    let zeros = || Tensor::zeros([count], &value.device().inner());
                    let gradients = &mut self.1.by_name;
                    gradients.entry(self.0.name()).or_insert_with(zeros);
                }
            }
        }
        module.visit(&mut Fill(Path(vec![prefix.to_owned()]), self));
    }

    /// Adds `factor` times another set of the same names; the first set added sets the names.
    pub fn add(&mut self, other: NamedGradients, factor: f64) {
        for (name, gradient) in other.by_name {
            let scaled = match factor == 1.0 {
                true => gradient,
                false => gradient * factor,
            };
            let sum = match self.by_name.remove(&name) {
                Some(sum) => sum + scaled,
                None => scaled,
            };
            self.by_name.insert(name, sum);
        }
    }

    /// Multiplies all by a factor.
    pub fn scale(&mut self, factor: f64) {
        for gradient in self.by_name.values_mut() {
            gradient.inplace(|gradient| gradient * factor);
        }
    }

    /// The Euclidean norm of each, by name.
    pub fn norms(&self) -> BTreeMap<String, f64> {
        let squares: Vec<Tensor<1>> = self
            .by_name
            .values()
            .map(|gradient| gradient.clone().square().sum())
            .collect();
        if squares.is_empty() {
            return BTreeMap::new();
        }
        // One reading for all of them: on a GPU each costs a wait.
        let squares: Vec<f32> = Tensor::cat(squares, 0).into_data().iter::<f32>().collect();
        let names = self.by_name.keys().cloned();
        names
            .zip(squares.into_iter().map(|square| f64::from(square).sqrt()))
            .collect()
    }

    /// The Euclidean norm of all together. Upstream: `torch.nn.utils.clip_grad_norm_`.
    pub fn norm(&self) -> f64 {
        let squares = self.norms().into_values().map(|norm| norm * norm);
        squares.sum::<f64>().sqrt()
    }

    /// The values of one gradient, flat.
    pub fn values(&self, name: &str) -> Option<Vec<f32>> {
        let gradient = self.by_name.get(name)?;
        Some(gradient.to_data().iter::<f32>().collect())
    }
}

/// Upstream's name of the embeddings of tokens.
pub(crate) fn upstream_embedding() -> String {
    upstream_name("language.embed_tokens.weight")
}

/// The last names of the layers that have adapters, sorted. Upstream: `find_all_linear_names`.
pub(crate) fn lora_targets<M: Module>(module: &M) -> Vec<String> {
    let names = parameters(module, "");
    let targets = names.iter().filter_map(|parameter| {
        let (layer, _) = parameter.name.split_once(".lora_")?;
        layer.rsplit('.').next().map(str::to_owned)
    });
    let mut targets: Vec<String> = targets.collect();
    targets.sort();
    targets.dedup();
    targets
}

/// Values as a flat tensor on a device.
pub(crate) fn flat(values: Vec<f32>, device: &burn::tensor::Device) -> Tensor<1> {
    let count = values.len();
    Tensor::from_data(TensorData::new(values, [count]), device)
}

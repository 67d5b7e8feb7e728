//! Data parallel on the CPU: copies of a model, each on a thread of its own.

use burn::module::Module;
use burn::tensor::Device;
use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};

use crate::error::ModelError;
use crate::model::{Loss, NamedGradients};

/// Threads that each compute the gradients of a part of a batch.
///
/// What burn does on one thread whatever their number (additions, copies, the bookkeeping of a
/// graph), several replicas do at once.
#[derive(Debug)]
pub struct Replicas {
    /// Of one thread each: what a replica hands to rayon stays with it. None for one replica, which
    /// has all threads to itself.
    pools: Vec<ThreadPool>,
}

/// The gradients of one part of a batch: what [`Accumulated::add_gradients`] takes.
///
/// [`Accumulated::add_gradients`]: crate::Accumulated::add_gradients
#[derive(Debug)]
pub struct PartGradients {
    /// Gradients of the mean loss over the supervised ids; zeros where nothing is supervised.
    pub gradients: NamedGradients,
    /// That mean; NaN where nothing is supervised.
    pub loss: f64,
    /// Supervised ids.
    pub supervised: usize,
}

impl Replicas {
    /// Makes a thread for each of `count` replicas. One replica, and none is one, is the model
    /// itself, on the calling thread and on as many others as rayon has.
    ///
    /// # Errors
    /// The system has no further thread.
    pub fn new(count: usize) -> Result<Replicas, ThreadPoolBuildError> {
        let pool = |_| ThreadPoolBuilder::new().num_threads(1).build();
        Ok(Replicas {
            pools: (0..count)
                .filter(|_| count > 1)
                .map(pool)
                .collect::<Result<_, _>>()?,
        })
    }

    /// Number of replicas.
    pub fn count(&self) -> usize {
        self.pools.len().max(1)
    }

    /// Computes the loss of every part of a batch and its gradients, part i on replica i modulo
    /// their number. The results stand in the order of the parts: added up in that order they have
    /// the same bits on any number of replicas.
    ///
    /// `module` is on `device`, which has autodiff.
    ///
    /// # Errors
    /// That of the first part whose loss has one.
    pub fn gradients<M: Module, I: Send>(
        &self,
        module: &M,
        prefix: &str,
        device: &Device,
        parts: Vec<I>,
        loss: impl Fn(&M, I) -> Result<Loss, ModelError> + Sync,
    ) -> Result<Vec<PartGradients>, ModelError> {
        if self.pools.is_empty() {
            let part = |part| of_part(module, prefix, part, &loss);
            return parts.into_iter().map(part).collect();
        }
        let mut shares: Vec<Vec<(usize, I)>> = self.pools.iter().map(|_| Vec::new()).collect();
        for (index, part) in parts.into_iter().enumerate() {
            shares[index % self.pools.len()].push((index, part));
        }
        let mut results = Vec::new();
        std::thread::scope(|scope| {
            let threads: Vec<_> = self
                .pools
                .iter()
                .zip(shares)
                .map(|(pool, share)| {
                    // Forked, or all replicas would be one graph, whose backward passes wait for
                    // each other.
                    let replica = module.clone().fork(device);
                    let loss = &loss;
                    scope.spawn(move || {
                        pool.install(move || {
                            let part =
                                |(index, part)| (index, of_part(&replica, prefix, part, loss));
                            share.into_iter().map(part).collect::<Vec<_>>()
                        })
                    })
                })
                .collect();
            for thread in threads {
                match thread.join() {
                    Ok(share) => results.extend(share),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
        });
        results.sort_by_key(|(index, _)| *index);

        results.into_iter().map(|(_, result)| result).collect()
    }
}

fn of_part<M: Module, I>(
    module: &M,
    prefix: &str,
    part: I,
    loss: impl Fn(&M, I) -> Result<Loss, ModelError>,
) -> Result<PartGradients, ModelError> {
    let Loss { sum, supervised } = loss(module, part)?;
    let mean = sum.map(|sum| sum / supervised as f64);
    let loss = match &mean {
        Some(mean) => f64::from(mean.clone().into_scalar::<f32>()),
        None => f64::NAN,
    };
    // A loss that no trained parameter is in, has no graph.
    let gradients = mean
        .filter(|mean| mean.is_tracked())
        .map(|mean| mean.backward());
    Ok(PartGradients {
        gradients: NamedGradients::collect(module, prefix, gradients),
        loss,
        supervised,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::step::{Accumulated, Accumulation, StepOptions};
    use burn::module::Param;
    use burn::tensor::{Int, Tensor};

    #[derive(Module, Debug)]
    struct Classifier {
        weight: Param<Tensor<2>>,
    }

    const CLASSES: usize = 5;

    /// Rows of one batch, and the loss of a range of them.
    fn loss(module: &Classifier, rows: std::ops::Range<usize>) -> Result<Loss, ModelError> {
        let device = module.weight.val().device();
        let x = rows
            .clone()
            .flat_map(|row| (0..3).map(move |i| ((row * 3 + i) as f32).sin()));
        let x = Tensor::<1>::from_floats(x.collect::<Vec<_>>().as_slice(), &device);
        let targets = rows
            .clone()
            .map(|row| (row % CLASSES) as i64)
            .collect::<Vec<_>>();
        let targets = Tensor::<1, Int>::from_data(targets.as_slice(), &device);
        let logits = crate::ops::linear(x.reshape([rows.len(), 3]), module.weight.val(), None);
        let sum = (!rows.is_empty()).then(|| crate::ops::cross_entropy(logits, targets));
        Ok(Loss {
            sum,
            supervised: rows.len(),
        })
    }

    fn run(count: usize, parts: Vec<std::ops::Range<usize>>) -> (Vec<f32>, f64, usize) {
        let device = Device::flex().autodiff();
        let weight = (0..CLASSES * 3)
            .map(|i| (i as f32).cos())
            .collect::<Vec<_>>();
        let weight = Tensor::<1>::from_floats(weight.as_slice(), &device).reshape([CLASSES, 3]);
        let module = Classifier {
            weight: Param::from_tensor(weight),
        };
        let replicas = Replicas::new(count).unwrap();
        let parts = replicas
            .gradients(&module, "", &device, parts, loss)
            .unwrap();
        let mut batch = Accumulated::new(StepOptions {
            accumulation: Accumulation::Tokens,
            ..StepOptions::default()
        });
        let supervised = parts.iter().map(|part| part.supervised).sum::<usize>();
        let sum = parts
            .iter()
            .filter(|part| part.supervised > 0)
            .map(|part| part.loss * part.supervised as f64);
        let loss = sum.sum::<f64>() / supervised as f64;
        for part in parts {
            batch.add_gradients(part.gradients, part.loss, part.supervised);
        }
        (
            batch.gradients().values("weight").unwrap(),
            loss,
            supervised,
        )
    }

    #[test]
    fn parts_add_up_to_the_batch() {
        let (whole, loss, supervised) = run(1, std::iter::once(0..23).collect());
        for parts in [
            vec![0..10, 10..23],
            vec![0..1, 1..1, 1..20, 20..23],
            vec![0..23, 23..23],
        ] {
            let got = run(2, parts);
            assert!(whole.iter().zip(&got.0).all(|(a, b)| (a - b).abs() < 1e-6));
            assert!((loss - got.1).abs() < 1e-6);
            assert_eq!(supervised, got.2);
        }
    }

    #[test]
    fn the_same_parts_give_the_same_bits_on_any_number_of_replicas() {
        let parts = || vec![0..10, 10..15, 15..23];
        let one = run(1, parts());
        assert!([2, 3].into_iter().all(|count| run(count, parts()) == one));
    }

    #[test]
    fn nothing_supervised_gives_zeros() {
        let (gradient, loss, supervised) = run(2, vec![0..0, 0..0]);
        assert!(loss.is_nan() && supervised == 0);
        assert_eq!(gradient, vec![0.0; CLASSES * 3]);
    }
}

//! Data parallel on the CPU: copies of a model, each on a thread of its own.

use burn::module::Module;
use burn::tensor::Device;
use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};

use crate::error::ModelError;
use crate::ops::{Products, multiply_in};
use crate::step::PartGradients;

/// Copies of a model that each compute the gradients of a part of a batch, on threads of their own.
///
/// What burn does on one thread whatever their number (additions, copies, the bookkeeping of a
/// graph), several replicas do at once.
#[derive(Debug)]
pub struct Replicas {
    /// What a replica hands to rayon stays in its pool. There is one at least.
    pools: Vec<ThreadPool>,
    /// All threads, for what is done between the replicas' turns.
    together: ThreadPool,
}

impl Replicas {
    /// Makes `count` replicas, and none is one, that share `threads` threads; each has one at least.
    /// They multiply as `products` says.
    ///
    /// # Errors
    /// The system has no further thread.
    pub fn new(
        count: usize,
        threads: usize,
        products: Products,
    ) -> Result<Replicas, ThreadPoolBuildError> {
        let count = count.max(1);
        let each = |_| pool(threads / count, products);
        Ok(Replicas {
            pools: (0..count).map(each).collect::<Result<_, _>>()?,
            together: pool(threads, products)?,
        })
    }

    /// Number of replicas.
    pub fn count(&self) -> usize {
        self.pools.len()
    }

    /// The threads of the first replica.
    pub(crate) fn first(&self) -> &ThreadPool {
        &self.pools[0]
    }

    /// All threads, which multiply as those of the replicas do: for what is done while these wait.
    pub(crate) fn together(&self) -> &ThreadPool {
        &self.together
    }

    /// Computes the gradients of every part of a batch, part i on replica i modulo their number. The
    /// results stand in the order of the parts: added up in that order they have the same bits on
    /// any number of replicas.
    ///
    /// `module` is on `device`, which has autodiff.
    ///
    /// # Errors
    /// That of the first part that has one.
    pub fn gradients<M: Module, I: Send>(
        &self,
        module: &M,
        device: &Device,
        parts: Vec<I>,
        gradients: impl Fn(&M, I) -> Result<PartGradients, ModelError> + Sync,
    ) -> Result<Vec<PartGradients>, ModelError> {
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
                    let gradients = &gradients;
                    scope.spawn(move || {
                        pool.install(move || {
                            let part = |(index, part)| (index, gradients(&replica, part));
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

/// A pool of threads, of one at least, that multiply as `products` says.
pub(crate) fn pool(threads: usize, products: Products) -> Result<ThreadPool, ThreadPoolBuildError> {
    // rayon takes 0 for as many as there are cores.
    ThreadPoolBuilder::new()
        .num_threads(threads.max(1))
        .start_handler(move |_| multiply_in(products))
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Loss;
    use crate::step::{Accumulated, Accumulation, StepOptions};
    use burn::module::Param;
    use burn::tensor::{Int, Tensor};

    #[derive(Module, Debug)]
    struct Classifier {
        weight: Param<Tensor<2>>,
    }

    const CLASSES: usize = 5;

    /// The gradients of a range of the rows of a batch.
    fn part(
        module: &Classifier,
        rows: std::ops::Range<usize>,
    ) -> Result<PartGradients, ModelError> {
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
        let loss = Loss {
            sum,
            supervised: rows.len(),
        };
        Ok(PartGradients::of(module, "", loss))
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
        let replicas = Replicas::new(count, 2, Products::F32).unwrap();
        let parts = replicas.gradients(&module, &device, parts, part).unwrap();
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
            batch.add_gradients(part);
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

    #[test]
    fn replicas_share_the_threads_and_each_has_one() {
        for (count, threads, each) in [(1, 1, 1), (1, 3, 3), (2, 5, 2), (4, 2, 1), (0, 2, 2)] {
            let replicas = Replicas::new(count, threads, Products::F32).unwrap();
            let device = Device::flex().autodiff();
            let weight = Tensor::<1>::ones([CLASSES * 3], &device).reshape([CLASSES, 3]);
            let module = Classifier {
                weight: Param::from_tensor(weight),
            };
            let seen = std::sync::Mutex::new(Vec::new());
            let counted = |module: &Classifier, rows| {
                seen.lock().unwrap().push(rayon::current_num_threads());
                part(module, rows)
            };
            let parts = vec![0..2, 2..3, 3..5, 5..9];
            replicas
                .gradients(&module, &device, parts, counted)
                .unwrap();
            assert_eq!(seen.into_inner().unwrap(), [each; 4]);
        }
    }
}

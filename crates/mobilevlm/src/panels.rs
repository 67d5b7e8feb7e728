//! Lays out weights as integer kernels read them.

use std::sync::OnceLock;

use mobilevlm_checkpoint::{Inventory, Tensor};
use mobilevlm_tensor::Pool;

/// What is looked up row by row and never multiplied.
const TABLES: [&str; 2] = [
    "language.embed_tokens.weight",
    "vision.embeddings.position_embedding.weight",
];

/// The same weights, those in block formats that are multiplied copied into panels, unless their
/// file has them so. The copying is shared among the threads of `pool`.
pub(crate) fn interleaved(tensors: &Inventory, pool: &Pool) -> Inventory {
    let all: Vec<(&str, &Tensor)> = tensors.iter().collect();
    let done: Vec<OnceLock<Tensor>> = all.iter().map(|_| OnceLock::new()).collect();
    pool.run(all.len(), &|index| {
        let (name, tensor) = all[index];
        let laid_out = match TABLES.contains(&name) {
            true => tensor.clone(),
            false => tensor.interleave(),
        };
        // Each task runs once, so its place is free.
        let _ = done[index].set(laid_out);
    });
    let names = all.iter().map(|(name, _)| (*name).to_owned());
    let done = done.into_iter().filter_map(OnceLock::into_inner);
    names.zip(done).collect()
}

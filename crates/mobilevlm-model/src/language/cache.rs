use mobilevlm_checkpoint::LanguageConfig;
use mobilevlm_tensor::Compute;
use mobilevlm_tensor::ops::KeyValues;

/// The keys and values of one sequence in every layer: what the model has read so far.
#[derive(Clone)]
pub struct Cache {
    layers: Vec<KeyValues>,
    /// Keys of one position in one layer, and as many values.
    width: usize,
}

impl Cache {
    pub(crate) fn new(config: &LanguageConfig) -> Cache {
        let layer = || KeyValues::new(config.kv_heads, config.head_dim);
        Cache {
            layers: (0..config.layers).map(|_| layer()).collect(),
            width: config.kv_heads * config.head_dim,
        }
    }

    /// Number of positions read.
    pub fn len(&self) -> usize {
        self.layers.first().map_or(0, KeyValues::len)
    }

    /// Whether nothing has been read.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets everything from position `len` on; the memory stays reserved.
    pub fn truncate(&mut self, len: usize) {
        self.layers.iter_mut().for_each(|layer| layer.truncate(len));
    }

    /// Makes room for `positions` positions in total, so that reading them allocates nothing.
    pub fn reserve(&mut self, positions: usize) {
        self.layers
            .iter_mut()
            .for_each(|layer| layer.reserve(positions));
    }

    /// A cache that has read the first `len` positions only.
    pub fn prefix(&self, len: usize) -> Cache {
        Cache {
            layers: self.layers.iter().map(|layer| layer.prefix(len)).collect(),
            width: self.width,
        }
    }

    /// Number of layers.
    pub fn layers(&self) -> usize {
        self.layers.len()
    }

    /// Numbers that [`Cache::copy_layer`] copies for each position.
    pub fn row(&self) -> usize {
        2 * self.width
    }

    /// Copies what one layer holds of the first positions: `[2, n, kv_heads · head_dim]`, the keys
    /// before the values; n is what `out` has room for.
    ///
    /// # Panics
    /// If there is no such layer, `out` is no whole number of positions, or the cache has fewer.
    pub fn copy_layer(&self, layer: usize, out: &mut [f32]) {
        let (keys, values) = out.split_at_mut(out.len() / 2);
        let rows = keys
            .chunks_exact_mut(self.width)
            .zip(values.chunks_exact_mut(self.width));
        for (position, (k, v)) in rows.enumerate() {
            self.layers[layer].row(position, k, v);
        }
    }

    /// Appends to one layer what [`Cache::copy_layer`] copied. The cache can be used when every
    /// layer has the same number of positions.
    ///
    /// # Panics
    /// If there is no such layer, or `numbers` is no whole number of positions.
    pub fn append_layer(&mut self, compute: &Compute, layer: usize, numbers: &[f32]) {
        let (k, v) = numbers.split_at(numbers.len() / 2);
        self.layers[layer].append(compute, k, v);
    }

    /// Bytes in use.
    pub fn bytes(&self) -> usize {
        self.layers.iter().map(KeyValues::bytes).sum()
    }

    pub(crate) fn layer(&mut self, layer: usize) -> &mut KeyValues {
        &mut self.layers[layer]
    }
}

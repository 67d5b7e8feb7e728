use mobilevlm_checkpoint::LanguageConfig;
use mobilevlm_tensor::ops::KeyValues;

/// The keys and values of one sequence in every layer: what the model has read so far.
#[derive(Clone)]
pub struct Cache {
    layers: Vec<KeyValues>,
}

impl Cache {
    pub(crate) fn new(config: &LanguageConfig) -> Cache {
        let layer = || KeyValues::new(config.kv_heads, config.head_dim);
        Cache {
            layers: (0..config.layers).map(|_| layer()).collect(),
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
        }
    }

    /// Bytes in use.
    pub fn bytes(&self) -> usize {
        self.layers.iter().map(KeyValues::bytes).sum()
    }

    pub(crate) fn layer(&mut self, layer: usize) -> &mut KeyValues {
        &mut self.layers[layer]
    }
}

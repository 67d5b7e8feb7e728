//! The language model: LLaMA.

mod block;
mod lora;
mod texts;

use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};
use mobilevlm_checkpoint::{LanguageConfig, TensorError};

pub(crate) use self::block::Context;
use self::block::{Block, Positions};
pub use self::lora::LoraConfig;
pub(crate) use self::lora::merge;
use super::layers::{Linear, RmsNorm};
use super::source::{Init, Place, Source};
use crate::ops::{Mask, Text};
use crate::random::Draws;
use crate::recipe::Precision;

/// What HF's LLaMA begins every matrix with (`initializer_range`).
const MATRIX: Init = Init::Normal(0.02);

/// Places at the beginning of a text that are those of a text before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shared {
    /// The text that holds them.
    pub(crate) row: usize,
    /// How many there are.
    pub(crate) places: usize,
}

/// LLaMA, from embeddings to logits.
#[derive(Module, Debug)]
pub struct Language {
    embed_tokens: Embedding,
    layers: Vec<Block>,
    norm: RmsNorm,
    /// Absent where the head is the embedding.
    lm_head: Option<Linear>,
    #[module(skip)]
    positions: Positions,
    #[module(skip)]
    pad: Option<u32>,
    #[module(skip)]
    precision: Precision,
}

#[derive(Module, Debug)]
struct Embedding {
    /// `[vocabulary, d]`.
    weight: Param<Tensor<2>>,
}

impl Language {
    /// Makes the language model; its names begin with `language.`.
    ///
    /// `pad`: the id whose embedding gets no gradient (`pad_token_id`; torch's `padding_idx`).
    ///
    /// # Errors
    /// [`TensorError`] where the source lacks a tensor.
    pub fn new(
        config: &LanguageConfig,
        pad: Option<u32>,
        source: &dyn Source,
        device: &Device,
    ) -> Result<Language, TensorError> {
        let place = Place::new(source, device, "language");
        let (vocabulary, hidden) = (config.vocab, config.hidden);
        let embed = place.pp("embed_tokens");
        let layers = place.pp("layers");
        let head = place.pp("lm_head");
        let eps = f64::from(config.rms_eps);
        Ok(Language {
            embed_tokens: Embedding {
                weight: embed.param("weight", [vocabulary, hidden], MATRIX)?,
            },
            layers: (0..config.layers)
                .map(|layer| Block::new(config, &layers.pp(layer)))
                .collect::<Result<_, _>>()?,
            norm: RmsNorm::new(&place.pp("norm"), hidden, eps)?,
            lm_head: match config.tied {
                true => None,
                false => Some(Linear::without_bias(&head, hidden, vocabulary, MATRIX)?),
            },
            positions: Positions::new(config),
            pad,
            precision: Precision::F32,
        })
    }

    /// The same with other arithmetic; parameters stay float32.
    #[must_use]
    pub fn with_precision(self, precision: Precision) -> Language {
        Language { precision, ..self }
    }

    /// Adds adapters to the linear layers of the blocks, and freezes everything of the model but
    /// them. Upstream: `find_all_linear_names` and peft's `get_peft_model`.
    ///
    /// # Errors
    /// [`TensorError`] where the source lacks a tensor.
    pub fn with_lora(
        self,
        lora: &LoraConfig,
        source: &dyn Source,
        device: &Device,
    ) -> Result<Language, TensorError> {
        let place = Place::new(source, device, "language").pp("layers");
        let mut language = self.freeze();
        let layers = std::mem::take(&mut language.layers).into_iter();
        language.layers = layers
            .enumerate()
            .map(|(layer, block)| block.with_lora(lora, &place.pp(layer)))
            .collect::<Result<_, _>>()?;
        Ok(language)
    }

    /// Width d of the hidden state.
    pub fn hidden(&self) -> usize {
        self.embed_tokens.weight.dims()[1]
    }

    /// Ids of the vocabulary.
    pub fn vocabulary(&self) -> usize {
        self.embed_tokens.weight.dims()[0]
    }

    /// What is added to the mean square in every norm, as far as they agree.
    pub fn rms_eps(&self) -> Option<f64> {
        let eps = self.norm.eps();
        let mut others = self.layers.iter().flat_map(Block::rms_eps);
        others.all(|other| other == eps).then_some(eps)
    }

    /// The device of the parameters, on which all inputs are expected.
    pub fn device(&self) -> Device {
        self.embed_tokens.weight.val().device()
    }

    /// A float32 tensor in the type that this model computes in.
    pub(crate) fn rounded<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        x.cast(self.precision.dtype())
    }

    /// The embeddings of ids that are below [`Language::vocabulary`], `[n, d]`, in the type that is
    /// computed in. The row of the pad id gets no gradient.
    pub(crate) fn embed(&self, ids: &[u32]) -> Tensor<2> {
        self.rounded(self.exact_embed(ids))
    }

    fn exact_embed(&self, ids: &[u32]) -> Tensor<2> {
        let weight = self.embed_tokens.weight.val();
        let device = weight.device();
        let pick = |weight: Tensor<2>, ids: Vec<i64>| {
            let count = ids.len();
            let ids = Tensor::<1, Int>::from_data(TensorData::new(ids, [count]), &device);
            weight.select(0, ids)
        };
        let all = ids.iter().map(|&id| i64::from(id)).collect();
        let embedded = pick(weight.clone(), all);
        let Some(pad) = self.pad.filter(|pad| ids.contains(pad)) else {
            return embedded;
        };
        // The same numbers by a way without gradient.
        let is_pad: Vec<bool> = ids.iter().map(|&id| id == pad).collect();
        let mask = Tensor::<1, burn::tensor::Bool>::from_data(
            TensorData::new(is_pad, [ids.len()]),
            &device,
        );
        let mask = mask
            .unsqueeze_dim::<2>(1)
            .expand([ids.len(), self.hidden()]);
        let padding = weight.detach().narrow(0, pad as usize, 1);
        embedded.mask_where(mask, padding.expand([ids.len(), self.hidden()]))
    }

    /// `x`: embeddings `[rows, length, d]`, as `context` has them. Returns the hidden state before
    /// the last norm, of the same sizes, or `[1, wanted, d]` where the context wants some places
    /// only. `draws`: for dropout in adapters; `None` drops nothing.
    pub(crate) fn forward(
        &self,
        x: Tensor<3>,
        context: &Context,
        draws: Option<Draws>,
    ) -> Tensor<3> {
        (0..self.depth()).fold(x, |x, layer| self.layer(layer, x, context, draws))
    }

    /// What the layers look at where each text has a row of `length` places. `keys`: those that may
    /// be seen, `[rows, length]`; `None` if all may.
    pub(crate) fn in_rows(
        &self,
        length: usize,
        keys: Option<Vec<bool>>,
        device: &Device,
    ) -> Context {
        let keys = keys.map(|keys| {
            let rows = keys.len() / length.max(1);
            Tensor::from_data(TensorData::new(keys, [rows, length]), device)
        });
        Context {
            mask: Mask { causal: true, keys },
            rotary: self.positions.tables(0..length, device),
            texts: None,
            wanted: None,
        }
    }

    /// The same for texts one after the other in one row, `[1, places, d]`, without padding. All
    /// layers but attention look at one place at a time and do not care; attention goes through
    /// each text by itself, and positions begin anew with each. `lengths`: places of each;
    /// `shared`: what each begins with besides, empty where nothing is shared; `keys`: those that
    /// may be seen, `[texts, longest]`.
    pub(crate) fn in_one_row(
        &self,
        lengths: &[usize],
        shared: &[Shared],
        keys: Option<Vec<bool>>,
        device: &Device,
    ) -> Context {
        let mut texts: Vec<Text> = Vec::with_capacity(lengths.len());
        let mut first = 0;
        for (text, &own) in lengths.iter().enumerate() {
            let Shared { row, places } = shared.get(text).copied().unwrap_or_default();
            let before = texts.get(row).map(|text| text.beginning(places));
            texts.push(Text {
                before: before.unwrap_or_default(),
                own: first..first + own,
            });
            first += own;
        }
        let longest = texts.iter().map(Text::len).max().unwrap_or(0);
        let positions: Vec<usize> = texts
            .iter()
            .flat_map(|text| text.shared()..text.len())
            .collect();
        Context {
            rotary: self.positions.tables(positions, device),
            texts: Some(texts),
            ..self.in_rows(longest, keys, device)
        }
    }

    /// How many decoder layers there are.
    pub(crate) fn depth(&self) -> usize {
        self.layers.len()
    }

    /// Decoder layer `layer`, which exists.
    pub(crate) fn layer(
        &self,
        layer: usize,
        x: Tensor<3>,
        context: &Context,
        draws: Option<Draws>,
    ) -> Tensor<3> {
        let draws = draws.map(|draws| draws.at(layer as u64));
        let is_last = layer + 1 == self.depth();
        let wanted = context.wanted.as_ref().filter(|_| is_last);
        self.layers[layer].forward(x, context, wanted, draws)
    }

    /// `x`: rows of the hidden state before the last norm, `[n, d]`. Returns logits
    /// `[n, vocabulary]`.
    pub(crate) fn logits(&self, x: Tensor<2>) -> Tensor<2> {
        let x = self.norm.forward(x);
        match &self.lm_head {
            Some(head) => head.forward(x),
            None => crate::ops::linear(x, self.embed_tokens.weight.val(), None),
        }
    }
}

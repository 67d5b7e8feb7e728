use burn::tensor::{Device, Int, Tensor, TensorData};

/// Places at the beginning of a text that are those of a text before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shared {
    /// The text that holds them.
    pub(crate) row: usize,
    /// How many there are.
    pub(crate) places: usize,
}

/// Texts one after the other in a single row, without padding. All layers but attention look at
/// one place at a time and do not care; for attention each text gets a row of its own, so that
/// no text sees another and positions begin anew.
#[derive(Debug)]
pub(super) struct Packed {
    texts: usize,
    longest: usize,
    /// For each place of the texts, the place of the packed row, `[texts · longest]`. Behind a text
    /// stands any: no place of the text looks that far ahead.
    to_rows: Tensor<1, Int>,
    /// For each place of the packed row, that of the text that holds it, `[places]`.
    to_packed: Tensor<1, Int>,
}

impl Packed {
    /// `lengths`: what the packed row holds of each text, in their order; `shared`: what each
    /// begins with besides, empty where none shares anything.
    pub(super) fn new(lengths: &[usize], shared: &[Shared], device: &Device) -> Packed {
        let shared = |text: usize| shared.get(text).copied().unwrap_or_default();
        let whole = lengths.iter().enumerate();
        let longest = whole.map(|(text, own)| shared(text).places + own).max();
        let longest = longest.unwrap_or(0);
        let mut to_rows = Vec::with_capacity(lengths.len() * longest);
        let mut to_packed = Vec::new();
        let mut firsts = Vec::with_capacity(lengths.len());
        let mut first = 0;
        for (text, &own) in lengths.iter().enumerate() {
            firsts.push(first);
            let Shared { row, places } = shared(text);
            let before = (0..places).map(|place| firsts[row] + place);
            let behind = std::iter::repeat_n(0, longest - places - own);
            let all = before.chain(first..first + own).chain(behind);
            to_rows.extend(all.map(|place| place as i64));
            let own_places = places..places + own;
            to_packed.extend(own_places.map(|place| (text * longest + place) as i64));
            first += own;
        }
        let indices = |indices: Vec<i64>| {
            let count = indices.len();
            Tensor::from_data(TensorData::new(indices, [count]), device)
        };
        Packed {
            texts: lengths.len(),
            longest,
            to_rows: indices(to_rows),
            to_packed: indices(to_packed),
        }
    }

    /// Places of the longest text.
    pub(super) fn longest(&self) -> usize {
        self.longest
    }

    /// From `[1, places, width]` to `[texts, longest, width]`.
    pub(super) fn rows(&self, x: Tensor<3>) -> Tensor<3> {
        let width = x.dims()[2];
        x.squeeze_dim::<2>(0)
            .select(0, self.to_rows.clone())
            .reshape([self.texts, self.longest, width])
    }

    /// From `[texts, longest, width]` to `[1, places, width]`.
    pub(super) fn row(&self, x: Tensor<3>) -> Tensor<3> {
        let width = x.dims()[2];
        x.reshape([self.texts * self.longest, width])
            .select(0, self.to_packed.clone())
            .unsqueeze::<3>()
    }
}

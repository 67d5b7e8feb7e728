use burn::tensor::{Device, Int, Tensor, TensorData};

/// Texts one after the other in a single row, without padding. All layers but attention look at
/// one place at a time and do not care; for attention each text gets a row of its own, so that
/// no text sees another and positions begin anew.
#[derive(Debug)]
pub(super) struct Packed {
    texts: usize,
    longest: usize,
    /// For each place of the rows, the place of the packed row, `[texts · longest]`. Behind a text
    /// stands any: no place of the text looks that far ahead.
    to_rows: Tensor<1, Int>,
    /// For each place of the packed row, that of the rows, `[places]`.
    to_packed: Tensor<1, Int>,
}

impl Packed {
    /// `lengths`: those of the texts, in their order.
    pub(super) fn new(lengths: &[usize], device: &Device) -> Packed {
        let longest = lengths.iter().copied().max().unwrap_or(0);
        let mut to_rows = Vec::with_capacity(lengths.len() * longest);
        let mut to_packed = Vec::new();
        let mut first = 0;
        for (text, &length) in lengths.iter().enumerate() {
            let places = (0..longest).map(|place| match place < length {
                true => (first + place) as i64,
                false => 0,
            });
            to_rows.extend(places);
            to_packed.extend((0..length).map(|place| (text * longest + place) as i64));
            first += length;
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

//! Attention of texts that stand one after the other along the same places, without padding.

use super::attention::{Mask, attention};
use super::cpu;
use burn::tensor::{Bool, Device, Int, Tensor, TensorData};
use std::ops::Range;

/// Where a text stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Text {
    /// What it begins with: the first places of a text before it, which may begin with those of
    /// another itself.
    pub(crate) before: Vec<Range<usize>>,
    /// Its own places, which follow those of the text before it.
    pub(crate) own: Range<usize>,
}

impl Text {
    /// How many places it does not hold itself.
    pub(crate) fn shared(&self) -> usize {
        self.before.iter().map(Range::len).sum()
    }

    /// Places from its beginning on.
    pub(crate) fn len(&self) -> usize {
        self.shared() + self.own.len()
    }

    /// Its places, from its beginning on.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &Range<usize>> {
        self.before.iter().chain(std::iter::once(&self.own))
    }

    /// The first of its places.
    pub(crate) fn beginning(&self, mut count: usize) -> Vec<Range<usize>> {
        let mut beginning = Vec::new();
        for part in self.parts() {
            let places = count.min(part.len());
            if places > 0 {
                beginning.push(part.start..part.start + places);
            }
            count -= places;
        }
        beginning
    }
}

/// Causal attention in which a text sees itself and nothing of the others: q `[1, heads, places, head]`, k and v `[1, groups, places, head]`, see [`attention`]. `texts` have all places in their order; `keys`: those that may be seen, `[texts, longest]`, from the beginning of each text on; absent, all may.
pub(crate) fn texts_attention(
    q: Tensor<4>,
    k: Tensor<4>,
    v: Tensor<4>,
    texts: &[Text],
    keys: Option<&Tensor<2, Bool>>,
) -> Tensor<4> {
    if cpu::takes(&q) {
        cpu::texts_attention(q, k, v, texts, keys)
    } else {
        composed(q, k, v, texts, keys)
    }
}

/// Each text gets a row of its own.
fn composed(
    q: Tensor<4>,
    k: Tensor<4>,
    v: Tensor<4>,
    texts: &[Text],
    keys: Option<&Tensor<2, Bool>>,
) -> Tensor<4> {
    let device = q.device();
    let longest = texts.iter().map(Text::len).max().unwrap_or(0);
    let (mut to_rows, mut to_places) = (Vec::new(), Vec::new());
    for (row, text) in texts.iter().enumerate() {
        to_rows.extend(text.parts().cloned().flatten());
        // Behind a text stands any place: none of the text looks that far ahead.
        to_rows.resize((row + 1) * longest, 0);
        to_places.extend((text.shared()..text.len()).map(|place| row * longest + place));
    }
    let rows = |x: Tensor<4>| {
        let [_, heads, _, head] = x.dims();
        x.select(2, indices(&to_rows, &device))
            .reshape([heads, texts.len(), longest, head])
            .swap_dims(0, 1)
    };
    let mask = Mask {
        causal: true,
        keys: keys.cloned(),
    };
    let y = attention(rows(q), rows(k), rows(v), &mask);
    let [_, heads, _, head] = y.dims();
    y.swap_dims(0, 1)
        .reshape([1, heads, texts.len() * longest, head])
        .select(2, indices(&to_places, &device))
}

fn indices(places: &[usize], device: &Device) -> Tensor<1, Int> {
    let places: Vec<i64> = places.iter().map(|&place| place as i64).collect();
    let count = places.len();
    Tensor::from_data(TensorData::new(places, [count]), device)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::{agree, agree_rounded, device, numbers};

    /// Texts of 7, 3 more behind the first 4 of it, 1, 2 more behind that one, and 2 more behind
    /// the first 6 of the second.
    fn texts() -> Vec<Text> {
        let text = |before, own| Text { before, own };
        let first = text(Vec::new(), 0..7);
        let second = text(first.beginning(4), 7..10);
        let third = text(Vec::new(), 10..11);
        let fourth = text(third.beginning(1), 11..13);
        let fifth = text(second.beginning(6), 13..15);
        vec![first, second, third, fourth, fifth]
    }

    #[test]
    fn a_text_begins_with_parts_of_others() {
        let text = texts().pop().expect("it is there");
        assert_eq!(text.before, [0..4, 7..9]);
        assert_eq!((text.shared(), text.len()), (6, 8));
        assert!(text.beginning(0).is_empty());
        assert_eq!(text.beginning(4), text.before[..1]);
        assert_eq!(text.beginning(7), [0..4, 7..9, 13..14]);
        assert_eq!(text.beginning(99), [0..4, 7..9, 13..15]);
    }

    #[test]
    fn fused_equals_composed() {
        let (places, longest) = (15, 8);
        let seen: Vec<bool> = (0..5 * longest).map(|i| i % 5 != 1).collect();
        let seen = Tensor::<1, Bool>::from_data(seen.as_slice(), &device()).reshape([5, longest]);
        for (heads, groups, head) in [(1, 1, 1), (4, 2, 20), (2, 2, 32)] {
            for keys in [None, Some(&seen)] {
                type Operation = fn(
                    Tensor<4>,
                    Tensor<4>,
                    Tensor<4>,
                    &[Text],
                    Option<&Tensor<2, Bool>>,
                ) -> Tensor<4>;
                let with = |attention: Operation, [q, k, v]: [Tensor<1>; 3]| {
                    // As a model has them: views of [1, places, heads, head].
                    let q = q.reshape([1, places, heads, head]).swap_dims(1, 2);
                    let [k, v] =
                        [k, v].map(|x| x.reshape([1, places, groups, head]).swap_dims(1, 2));
                    attention(q, k, v, &texts(), keys)
                        .swap_dims(1, 2)
                        .reshape([-1])
                };
                let [of_queries, of_keys] = [heads, groups].map(|heads| places * heads * head);
                let inputs = [
                    numbers(of_queries, 1),
                    numbers(of_keys, 2),
                    numbers(of_keys, 3),
                ];
                let fused = |x| with(cpu::texts_attention, x);
                agree(&inputs, fused, |x| with(composed, x));
                agree_rounded(&inputs, fused, |x| with(composed, x));
            }
        }
    }
}

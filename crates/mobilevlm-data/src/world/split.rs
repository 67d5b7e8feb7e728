//! Which words, numbers and pairs belong to training and which are held out.
//!
//! It depends on nothing but the word, the number or the pair: not on the world's seed. So two
//! worlds never disagree about what a model may have seen.

use super::rng::mix;
use super::scene::{Colour, Shape};
use super::words::WORDS;

/// A part of the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Split {
    /// What models are trained on.
    Train,
    /// What they are asked about afterwards.
    HeldOut,
}

impl Split {
    /// Both.
    pub const ALL: [Split; 2] = [Split::Train, Split::HeldOut];

    /// Its name: `train` or `held-out`.
    pub fn name(self) -> &'static str {
        match self {
            Split::Train => "train",
            Split::HeldOut => "held-out",
        }
    }

    fn held_out_if(is_held_out: bool) -> Split {
        if is_held_out {
            Split::HeldOut
        } else {
            Split::Train
        }
    }
}

/// What a thing is for the pairs below.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Noun {
    /// An object of this shape.
    Object(Shape),
    /// A bar of a chart.
    Bar,
}

/// Shape and colour: what relations and comparisons call a thing.
pub type Thing = (Noun, Colour);

/// The part in which two things may be related or compared, in whatever way and order.
///
/// A sixth of the pairs is held out, and of each relation with it. In training, the two things
/// of such a pair are never even in the same picture. Two things that look the same are in no
/// relation that could be stated, and belong to training.
pub fn pair_split(a: Thing, b: Thing) -> Split {
    let number = |(noun, colour): Thing| {
        let noun = match noun {
            Noun::Object(shape) => shape as u64,
            Noun::Bar => Shape::ALL.len() as u64,
        };
        noun * Colour::ALL.len() as u64 + colour as u64
    };
    let (a, b) = (number(a), number(b));
    let key = mix(a.min(b) * 1000 + a.max(b) + 1);
    Split::held_out_if(a != b && key.is_multiple_of(6))
}

/// The part in which a word is printed or mentioned: a fifth of [`WORDS`] is held out.
///
/// What is no word of the list belongs to training, which prints random letters and digits.
pub fn word_split(word: &str) -> Split {
    let Ok(place) = WORDS.binary_search(&word) else {
        return Split::Train;
    };
    Split::held_out_if(mix(place as u64 + 77).is_multiple_of(5))
}

/// The part in which a number is printed: a fifth of those with two digits is held out.
///
/// The digits themselves are printed in training only.
pub fn number_split(number: u8) -> Split {
    Split::held_out_if(number >= 10 && mix(u64::from(number)).is_multiple_of(5))
}

/// The part in which a text, word or number, is printed.
pub fn text_split(text: &str) -> Split {
    match text.parse() {
        Ok(number) => number_split(number),
        Err(_) => word_split(text),
    }
}

/// All words of a part.
pub(crate) fn words(split: Split) -> Vec<&'static str> {
    let of_split = |word: &&str| word_split(word) == split;
    WORDS.into_iter().filter(of_split).collect()
}

/// All numbers of a part, up to 99.
pub(crate) fn numbers(split: Split) -> Vec<u8> {
    (0..=99).filter(|&n| number_split(n) == split).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn things() -> Vec<Thing> {
        let nouns = Shape::ALL.iter().map(|&shape| Noun::Object(shape));
        let nouns: Vec<_> = nouns.chain([Noun::Bar]).collect();
        let colours = Colour::ALL.iter();
        colours
            .flat_map(|&colour| nouns.iter().map(move |&noun| (noun, colour)))
            .collect()
    }

    #[test]
    fn a_sixth_of_the_pairs_is_held_out_whatever_their_order() {
        let things = things();
        let (mut held_out, mut all) = (0, 0);
        for (place, &a) in things.iter().enumerate() {
            assert_eq!(pair_split(a, a), Split::Train);
            for &b in &things[place + 1..] {
                assert_eq!(pair_split(a, b), pair_split(b, a));
                held_out += usize::from(pair_split(a, b) == Split::HeldOut);
                all += 1;
            }
        }
        assert!(
            (all / 7..all / 5).contains(&held_out),
            "{held_out} of {all}"
        );
    }

    #[test]
    fn everything_has_partners_in_both_parts() {
        let things = things();
        for &thing in &things {
            for split in Split::ALL {
                let alike = |other: &&Thing| (other.0 == Noun::Bar) == (thing.0 == Noun::Bar);
                let partners = things.iter().filter(alike);
                let found =
                    partners.filter(|&&other| other != thing && pair_split(thing, other) == split);
                let needed = usize::from(thing.0 != Noun::Bar);
                assert!(found.count() >= needed, "{thing:?} {split:?}");
            }
        }
    }

    #[test]
    fn a_fifth_of_words_and_numbers_is_held_out() {
        let held_out = words(Split::HeldOut).len();
        assert_eq!(held_out + words(Split::Train).len(), WORDS.len());
        assert!((45..90).contains(&held_out), "{held_out}");
        let held_out = numbers(Split::HeldOut).len();
        assert!((10..28).contains(&held_out), "{held_out}");
        // Not ten numbers in a row, or all with the same digit.
        for digit in 0..10 {
            let with = |n: &&u8| **n / 10 == digit || **n % 10 == digit;
            let train = numbers(Split::Train);
            assert!(train.iter().filter(with).count() >= 6, "{digit}");
        }
    }
}

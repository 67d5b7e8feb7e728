//! What objects are called: by shape, and as much else as is needed.

use crate::world::scene::{Colour, Object, Pattern, Scene, Shape, Size};
use crate::world::split::{Noun, Thing};

/// What is said of an object; what is not said can be anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Look {
    pub(crate) size: Option<Size>,
    pub(crate) pattern: Option<Pattern>,
    pub(crate) colour: Option<Colour>,
    pub(crate) shape: Option<Shape>,
}

impl Look {
    pub(crate) fn shape(shape: Shape) -> Look {
        Look {
            shape: Some(shape),
            ..Look::default()
        }
    }

    pub(crate) fn colour(colour: Colour) -> Look {
        Look {
            colour: Some(colour),
            ..Look::default()
        }
    }

    pub(crate) fn both(object: &Object) -> Look {
        Look {
            colour: Some(object.colour),
            ..Look::shape(object.shape)
        }
    }

    /// Everything that is worth saying: plain is not.
    pub(crate) fn of(object: &Object) -> Look {
        Look {
            size: Some(object.size),
            pattern: Some(object.pattern).filter(|pattern| *pattern != Pattern::Plain),
            ..Look::both(object)
        }
    }

    pub(crate) fn matches(&self, object: &Object) -> bool {
        self.size.is_none_or(|size| size == object.size)
            && self.pattern.is_none_or(|p| p == object.pattern)
            && self.colour.is_none_or(|colour| colour == object.colour)
            && self.shape.is_none_or(|shape| shape == object.shape)
    }

    pub(crate) fn count(&self, scene: &Scene) -> usize {
        let objects = scene.objects.iter();
        objects.filter(|object| self.matches(object)).count()
    }

    /// For one: `large red circle`, `striped shape`.
    pub(crate) fn name(&self) -> String {
        self.named(self.shape.map_or("shape", Shape::name))
    }

    /// For several: `large red circles`.
    pub(crate) fn plural(&self) -> String {
        self.named(self.shape.map_or("shapes", Shape::plural))
    }

    /// For this many: `1 red circle` without the number.
    pub(crate) fn for_count(&self, count: usize) -> String {
        if count == 1 {
            self.name()
        } else {
            self.plural()
        }
    }

    /// What is said and nothing else: `large red`.
    pub(crate) fn words(&self) -> String {
        self.with(self.shape.map(Shape::name))
    }

    fn named(&self, noun: &str) -> String {
        self.with(Some(noun))
    }

    fn with(&self, noun: Option<&str>) -> String {
        let words = [
            self.size.map(Size::name),
            self.pattern.map(Pattern::name),
            self.colour.map(Colour::name),
            noun,
        ];
        words.into_iter().flatten().collect::<Vec<_>>().join(" ")
    }
}

/// Shape and colour of an object.
pub(crate) fn thing(object: &Object) -> Thing {
    (Noun::Object(object.shape), object.colour)
}

/// With `a` or `an`.
pub(crate) fn a(name: &str) -> String {
    let is_vowel = name.starts_with(['a', 'e', 'i', 'o', 'u']);
    format!("{} {name}", if is_vowel { "an" } else { "a" })
}

/// With a capital letter.
pub(crate) fn capital(text: &str) -> String {
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => String::new(),
    }
}

/// `a, b and c`
pub(crate) fn list(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [only] => only.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

/// `one` to `nine`; digits for more.
pub(crate) fn in_words(number: usize) -> String {
    const WORDS: [&str; 10] = [
        "no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine",
    ];
    WORDS
        .get(number)
        .map_or_else(|| number.to_string(), |word| (*word).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_english() {
        let look = Look {
            size: Some(Size::Large),
            ..Look::colour(Colour::Orange)
        };
        assert_eq!(look.name(), "large orange shape");
        assert_eq!(look.plural(), "large orange shapes");
        assert_eq!(a("orange cross"), "an orange cross");
        assert_eq!(a(&Look::shape(Shape::Cross).name()), "a cross");
        assert_eq!(capital("red"), "Red");
        let items = ["x", "y", "z"].map(str::to_owned);
        assert_eq!(list(&items), "x, y and z");
        assert_eq!(in_words(3), "three");
        assert_eq!(in_words(12), "12");
    }
}

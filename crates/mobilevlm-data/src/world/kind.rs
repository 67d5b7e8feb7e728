//! Kinds of samples and questions.

use std::fmt;
use std::str::FromStr;

/// What a sample or a question is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// A sentence that describes the picture.
    Caption,
    /// A paragraph that does.
    LongCaption,
    /// Everything that is there, one thing a line, in reading order.
    List,
    /// Two to five questions of any kind about one picture, unless
    /// [`WorldOptions`](super::WorldOptions) says otherwise.
    Conversation,
    /// Whether something is there.
    Existence,
    /// The colour of something.
    Colour,
    /// How many there are, up to six.
    Counting,
    /// Where something is, seen from something else.
    Relation,
    /// Which is larger, taller, or more.
    Comparison,
    /// What a word or number in the picture says.
    Reading,
    /// A question with answers to choose from.
    Choice,
    /// What time a clock shows.
    Clock,
    /// Where in the picture something is, or what is somewhere.
    Place,
    /// A question without a picture.
    Text,
    /// Some things by their names: how many there are, what they look like, where they are.
    Lookup,
    /// The same of things whose colour nothing else in the picture has.
    ColourLookup,
    /// What up to six signs say, and where they are.
    Page,
    /// The values above the bars of a chart, from left to right.
    Chart,
    /// How many there are, among many shapes of few forms and colours.
    Crowd,
    /// How many there are, and what is in front of what, where shapes hide parts of others.
    Overlap,
    /// Which shape has a colour, a pattern or a size.
    Shape,
    /// What a sign says, with answers to choose from that are as likely: words, numbers or codes.
    SignChoice,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 22] = [
        Kind::Caption,
        Kind::LongCaption,
        Kind::List,
        Kind::Conversation,
        Kind::Existence,
        Kind::Colour,
        Kind::Counting,
        Kind::Relation,
        Kind::Comparison,
        Kind::Reading,
        Kind::Choice,
        Kind::Clock,
        Kind::Place,
        Kind::Text,
        Kind::Lookup,
        Kind::ColourLookup,
        Kind::Page,
        Kind::Chart,
        Kind::Crowd,
        Kind::Overlap,
        Kind::Shape,
        Kind::SignChoice,
    ];

    /// Those that a model is examined in: one question with a short answer.
    pub const EXAMINED: [Kind; 7] = [
        Kind::Existence,
        Kind::Colour,
        Kind::Counting,
        Kind::Relation,
        Kind::Comparison,
        Kind::Reading,
        Kind::Choice,
    ];

    /// Its name in lower case, such as `long-caption`.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Caption => "caption",
            Kind::LongCaption => "long-caption",
            Kind::List => "list",
            Kind::Conversation => "conversation",
            Kind::Existence => "existence",
            Kind::Colour => "colour",
            Kind::Counting => "counting",
            Kind::Relation => "relation",
            Kind::Comparison => "comparison",
            Kind::Reading => "reading",
            Kind::Choice => "choice",
            Kind::Clock => "clock",
            Kind::Place => "place",
            Kind::Text => "text",
            Kind::Lookup => "lookup",
            Kind::ColourLookup => "colour-lookup",
            Kind::Page => "page",
            Kind::Chart => "chart",
            Kind::Crowd => "crowd",
            Kind::Overlap => "overlap",
            Kind::Shape => "shape",
            Kind::SignChoice => "sign-choice",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(name: &str) -> Result<Kind, UnknownKind> {
        let mut all = Kind::ALL.into_iter();
        let kind = all.find(|kind| kind.name() == name);
        kind.ok_or_else(|| UnknownKind {
            found: name.to_owned(),
        })
    }
}

/// A name that no kind has.
#[derive(Debug, thiserror::Error)]
#[error("there is no kind {found:?}; there are: {}", Kind::ALL.map(Kind::name).join(", "))]
pub struct UnknownKind {
    /// What was asked for.
    found: String,
}

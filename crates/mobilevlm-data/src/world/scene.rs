//! What a picture shows: everything that questions and drawing know.
//!
//! Places are in units of the picture's side, from its left upper corner.

/// What a picture shows.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Scene {
    /// How it is arranged.
    pub layout: Layout,
    /// What is behind everything.
    pub background: Background,
    /// Shapes, the hindmost first.
    pub objects: Vec<Object>,
    /// Printed words and numbers.
    pub signs: Vec<Sign>,
    /// The bars of a chart, from left to right.
    pub bars: Vec<Bar>,
    /// A clock.
    pub clock: Option<Clock>,
}

/// How a scene is arranged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Layout {
    /// Shapes anywhere.
    Free,
    /// Shapes in the cells of a grid, some of them empty.
    Grid {
        /// Cells from top to bottom.
        rows: usize,
        /// Cells from left to right.
        columns: usize,
    },
    /// One or two signs, and perhaps shapes.
    Sign,
    /// Bars, with or without their values.
    Chart,
    /// A clock, and perhaps shapes.
    Clock,
}

/// What is behind everything: pale, so that every colour of [`Colour`] stands out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Background {
    /// Red, green, blue at the top.
    pub top: [u8; 3],
    /// The same at the bottom.
    pub bottom: [u8; 3],
    /// Whether the two meet in a line instead of shading into each other.
    pub has_horizon: bool,
}

/// A shape.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Object {
    /// Its form.
    pub shape: Shape,
    /// Its colour.
    pub colour: Colour,
    /// Small or large.
    pub size: Size,
    /// What its surface looks like.
    pub pattern: Pattern,
    /// Its middle, from the left.
    pub x: f32,
    /// Its middle, from the top.
    pub y: f32,
    /// Half of about its width.
    pub radius: f32,
    /// The share of it that nothing hides, from 0 to 1.
    pub visible: f32,
    /// What is added to its colour's red, green and blue.
    pub tint: [i8; 3],
}

/// A printed word or number.
#[derive(Clone, Debug, PartialEq)]
pub struct Sign {
    /// What it says: at most five capital letters, or at most two digits.
    pub text: String,
    /// The board's colour; without a board, the text stands on the background.
    pub board: Option<Colour>,
    /// Its middle, from the left.
    pub x: f32,
    /// Its middle, from the top.
    pub y: f32,
    /// The height of a letter.
    pub height: f32,
    /// The width of a pen's stroke, in heights of a letter.
    pub weight: f32,
    /// How far letters lean to the right, in heights for a height.
    pub slant: f32,
}

/// A bar of a chart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bar {
    /// Its colour; no two bars share one.
    pub colour: Colour,
    /// What it stands for, from 1 to 99: its height in hundredths of the highest possible.
    pub value: u8,
    /// Whether the value is printed above it.
    pub is_labelled: bool,
    /// Its middle, from the left.
    pub x: f32,
    /// Its width.
    pub width: f32,
}

/// A clock with two hands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clock {
    /// From 1 to 12.
    pub hour: u8,
    /// 0, 15, 30 or 45.
    pub minute: u8,
    /// Its middle, from the left.
    pub x: f32,
    /// Its middle, from the top.
    pub y: f32,
    /// Half of its width.
    pub radius: f32,
    /// The colour of its rim.
    pub rim: Colour,
}

macro_rules! named {
    ($(#[$doc:meta])* $name:ident { $($(#[$each:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$each])* $variant,)* }

        impl $name {
            /// All of them.
            pub const ALL: &[$name] = &[$($name::$variant,)*];

            /// Its name in questions and answers.
            pub fn name(self) -> &'static str {
                match self { $($name::$variant => $text,)* }
            }
        }
    };
}

named! {
    /// The form of an object.
    Shape {
        /// A filled disc.
        Circle = "circle",
        /// Four equal sides, upright.
        Square = "square",
        /// Three sides, one at the bottom.
        Triangle = "triangle",
        /// Five points.
        Star = "star",
        /// A heart.
        Heart = "heart",
        /// A square on its corner, narrow.
        Diamond = "diamond",
        /// A plus sign.
        Cross = "cross",
        /// A circle with a hole.
        Ring = "ring",
    }
}

impl Shape {
    /// Its name for several.
    pub fn plural(self) -> &'static str {
        match self {
            Shape::Circle => "circles",
            Shape::Square => "squares",
            Shape::Triangle => "triangles",
            Shape::Star => "stars",
            Shape::Heart => "hearts",
            Shape::Diamond => "diamonds",
            Shape::Cross => "crosses",
            Shape::Ring => "rings",
        }
    }
}

named! {
    /// The colour of an object, far from each other.
    Colour {
        /// Red.
        Red = "red",
        /// Orange.
        Orange = "orange",
        /// Yellow.
        Yellow = "yellow",
        /// Green.
        Green = "green",
        /// Blue.
        Blue = "blue",
        /// Purple.
        Purple = "purple",
        /// Pink.
        Pink = "pink",
        /// Brown.
        Brown = "brown",
        /// Black.
        Black = "black",
        /// White.
        White = "white",
    }
}

impl Colour {
    /// Red, green and blue.
    pub fn rgb(self) -> [u8; 3] {
        match self {
            Colour::Red => [214, 36, 40],
            Colour::Orange => [247, 134, 14],
            Colour::Yellow => [252, 218, 40],
            Colour::Green => [44, 150, 62],
            Colour::Blue => [36, 92, 214],
            Colour::Purple => [124, 46, 168],
            Colour::Pink => [250, 142, 190],
            Colour::Brown => [118, 70, 34],
            Colour::Black => [30, 30, 34],
            Colour::White => [252, 252, 252],
        }
    }

    /// The colour that [`Colour::rgb`] puts nearest to these values.
    pub fn nearest(rgb: [u8; 3]) -> Colour {
        let distance = |colour: &Colour| -> i32 {
            let parts = colour.rgb().into_iter().zip(rgb);
            parts
                .map(|(a, b)| (i32::from(a) - i32::from(b)).pow(2))
                .sum()
        };
        let nearest = Colour::ALL.iter().min_by_key(|colour| distance(colour));
        nearest.copied().unwrap_or(Colour::Red)
    }
}

named! {
    /// The size of an object. There is nothing between: a large one is at least 1.5 times as wide.
    Size {
        /// Small.
        Small = "small",
        /// Large.
        Large = "large",
    }
}

named! {
    /// What an object's surface looks like: its colour, with a paler or darker one between.
    Pattern {
        /// One colour.
        Plain = "plain",
        /// Slanted stripes.
        Striped = "striped",
        /// Dots.
        Dotted = "dotted",
        /// A chessboard.
        Checked = "checked",
    }
}

/// Nothing is farther from the middle of an object than its radius times this, in x or in y.
pub(crate) const REACH: f32 = 1.15;

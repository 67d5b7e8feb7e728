//! Kernel tables: the same functions, compiled for different instruction sets.
//!
//! - [`simd`] is the vector of an instruction set, with one implementation per table;
//! - [`generic`] has the kernels, written once against it;
//! - each table's file names its features and tile sizes and compiles the kernels with them.

// First, since the tables use its macros.
#[macro_use]
mod instantiate;

#[cfg(target_arch = "x86_64")]
mod amx;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx2_words;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod choose;
mod dot;
pub(crate) mod generic;
mod list;
#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(target_arch = "aarch64")]
mod neon_dot;
#[cfg(target_arch = "aarch64")]
mod neon_i8mm;
#[cfg(target_arch = "aarch64")]
mod neon_many;
mod portable;
mod simd;
mod simd_i16;

pub use choose::KernelError;
pub use list::{Cell, Origin, Table, tables};

use std::ops::Range;

use crate::Format;
use generic::attention::Attention;
use generic::attention_i16;
use generic::direct::Direct;
use generic::packed::Packed;
use generic::panels::Panels;
use generic::quantise::{Levels, Row, Tiles};

/// A table of functions for one instruction set.
///
/// Had from [`detect`](Kernels::detect), [`best`](Kernels::best) or [`by_name`](Kernels::by_name),
/// which hand a table out only where the machine has what it needs: a reference to a table is the
/// proof that its functions can be called.
pub struct Kernels {
    name: &'static str,
    /// What the functions need of the machine.
    features: &'static [Feature],
    tile: Tile,

    f32: Linear,
    f16: Linear,
    bf16: Linear,
    panels: PanelLinears,
    quantise: unsafe fn(x: &[f32], row: &mut Row),
    words: Option<Words>,
    tiles: Option<TileProducts>,
    pack_rows: unsafe fn(x: &[f32], k: usize, first: usize, length: usize, out: &mut [f32]),

    attention: unsafe fn(&Attention, scratch: &mut [f32]),
    attention_i16: unsafe fn(&attention_i16::Attention, scratch: &mut [f32]),
    pack_keys_i16: unsafe fn(&attention_i16::Rows, out: &mut [i32], units: &mut [f32]),
    pack_values_i16: unsafe fn(&attention_i16::Rows, out: &mut [i32], units: &mut [f32]),
    rotary: unsafe fn(row: &mut [f32], cos: &[f32], sin: &[f32]),

    rms_norm: unsafe fn(x: &[f32], weight: &[f32], eps: f32, out: &mut [f32]),
    #[allow(clippy::type_complexity, reason = "the signature is the documentation")]
    layer_norm: unsafe fn(x: &[f32], weight: &[f32], bias: &[f32], eps: f32, out: &mut [f32]),

    add: unsafe fn(x: &mut [f32], y: &[f32]),
    gelu: unsafe fn(x: &mut [f32]),
    hard_sigmoid: unsafe fn(x: &mut [f32]),
    hard_swish: unsafe fn(x: &mut [f32]),
    quick_gelu: unsafe fn(x: &mut [f32]),
    relu: unsafe fn(x: &mut [f32]),
    silu_mul: unsafe fn(gate: &mut [f32], up: &[f32]),

    add_product: unsafe fn(sum: &mut [f32], x: &[f32], weight: &[f32]),

    peak: unsafe fn(rounds: usize) -> f32,
    int8_peak: unsafe fn(rounds: usize) -> i32,
    read: unsafe fn(x: &[u8]) -> f32,
}

/// The linear layer for one storage format.
#[derive(Clone, Copy)]
struct Linear {
    /// Few rows, weights read from where they are stored.
    direct: unsafe fn(&Direct),
    /// Many rows, packed; the second argument is scratch for packed weights.
    packed: unsafe fn(&Packed, panels: &mut [f32]),
}

/// The linear layer in integers for panels of one format.
#[derive(Clone, Copy)]
struct PanelLinear {
    /// Few rows, weights read from where they are stored.
    few: unsafe fn(&Panels, Levels),
    /// Many rows; the last argument is scratch for weights.
    many: unsafe fn(&Panels, Tiles, Range<usize>, strip: &mut [f32]),
}

/// One for each format that has panels.
#[derive(Clone, Copy)]
struct PanelLinears {
    q8_0: PanelLinear,
    q4_0: PanelLinear,
    q4_1: PanelLinear,
    q5_0: PanelLinear,
    q5_1: PanelLinear,
    q2_k: PanelLinear,
    q3_k: PanelLinear,
    q4_k: PanelLinear,
    q5_k: PanelLinear,
    q6_k: PanelLinear,
}

/// The linear layer of `q8_0` with activations in 16 bits, for tables that take them so.
#[derive(Clone, Copy)]
pub(crate) struct Words {
    /// Rows in a tile.
    pub(crate) tile: usize,
    /// Numbers of a row that share a scale.
    pub(crate) block: usize,
    /// Words of scratch for each thread.
    pub(crate) strip: usize,
    quantise: unsafe fn(x: &[f32], levels: &mut [i16], scales: &mut [f32]),
    few: unsafe fn(&Panels, WordLevels),
    many: unsafe fn(&Panels, WordLevels, Range<usize>, strip: &mut [i16]),
}

/// Rows of activations in words, `x` is about `scale · level`.
#[derive(Clone, Copy)]
#[cfg_attr(
    not(target_arch = "x86_64"),
    allow(dead_code, reason = "no other table takes words")
)]
pub(crate) struct WordLevels<'a> {
    /// In rows: `[m, k]`. In tiles: for each block, for each tile, `[pairs][rows][2]`.
    pub(crate) levels: &'a [i16],
    /// In rows: `[m, blocks]`. In tiles: `[tiles][blocks][rows]`.
    pub(crate) scales: &'a [f32],
}

impl Words {
    /// Quantises a row of whole groups of 32: of each block the largest number becomes the largest
    /// level.
    pub(crate) fn quantise(&self, x: &[f32], levels: &mut [i16], scales: &mut [f32]) {
        // SAFETY: the features are present, as the table was handed out.
        unsafe { (self.quantise)(x, levels, scales) }
    }

    /// Few rows, weights read from where they are stored.
    ///
    /// # Safety
    /// The promise of [`few`](generic::panels::few).
    pub(crate) unsafe fn few(&self, a: &Panels, x: WordLevels) {
        // SAFETY: the features are present, as the table was handed out; the rest is promised.
        unsafe { (self.few)(a, x) }
    }

    /// Many rows; `strip` is scratch of [`Words::strip`].
    ///
    /// # Safety
    /// The promise of [`many`](generic::panels::many).
    pub(crate) unsafe fn many(
        &self,
        a: &Panels,
        x: WordLevels,
        tiles: Range<usize>,
        strip: &mut [i16],
    ) {
        // SAFETY: the features are present, as the table was handed out; the rest is promised.
        unsafe { (self.many)(a, x, tiles, strip) }
    }
}

/// The linear layer of prompts and pictures in tile registers, for tables that have them: numbers
/// of both sides in bfloat16, sums in `f32`.
pub(crate) struct TileProducts {
    /// Numbers of a row that lie together in [`TileRows`].
    pub(crate) block: usize,
    /// Numbers of scratch for so many tiles and panels.
    pub(crate) strip: fn(tiles: usize, panels: usize) -> usize,
    round: unsafe fn(x: &[f32], out: *mut u16, stride: usize),
    q8_0: PanelTiles,
    q4_0: PanelTiles,
    q4_1: PanelTiles,
    q5_0: PanelTiles,
    q5_1: PanelTiles,
    q2_k: PanelTiles,
    q3_k: PanelTiles,
    q4_k: PanelTiles,
    q5_k: PanelTiles,
    q6_k: PanelTiles,
    /// Numbers of scratch for a product of this shape.
    pub(crate) rounded_scratch: fn([usize; 3]) -> usize,
    rounded: unsafe fn(&mut Rounded, scratch: &mut [f32]),
}

/// A product of two matrices, `y = left · right`, whose numbers are rounded to bfloat16.
#[cfg_attr(
    not(target_arch = "x86_64"),
    allow(dead_code, reason = "no other table has tiles")
)]
pub(crate) struct Rounded<'a> {
    /// `[m, n, k]`: left is `[m, k]`, right `[k, n]`.
    pub(crate) shape: [usize; 3],
    /// The rows that are computed, from a multiple of [`Rounded::TILE`] on.
    pub(crate) rows: Range<usize>,
    pub(crate) left: Side<'a>,
    pub(crate) right: Side<'a>,
    /// These rows, `[rows, n]`.
    pub(crate) y: &'a mut [f32],
}

impl Rounded<'_> {
    /// Rows of a tile.
    pub(crate) const TILE: usize = 32;
}

/// A factor of a product, as it lies in memory.
#[derive(Clone, Copy, Debug)]
pub enum Side<'a> {
    /// Row by row.
    Plain(&'a [f32]),
    /// Column by column: the rows of its transpose.
    Transposed(&'a [f32]),
}

impl<'a> Side<'a> {
    /// The numbers in the order in which they lie.
    pub fn numbers(self) -> &'a [f32] {
        match self {
            Side::Plain(numbers) | Side::Transposed(numbers) => numbers,
        }
    }
}

/// The function of one format.
type PanelTiles = unsafe fn(&Panels, TileRows, Range<usize>, strip: &mut [f32]);

/// Rows of activations in bfloat16, as tile registers take them. A tile is [`TileRows::PARTS`]
/// times `rows` rows; rows that do not exist are zeros.
#[derive(Clone, Copy)]
#[cfg_attr(
    not(target_arch = "x86_64"),
    allow(dead_code, reason = "no other table has tiles")
)]
pub(crate) struct TileRows<'a> {
    /// For each block of [`TileProducts::block`] numbers, for each tile,
    /// `[groups][PARTS][rows][32]`.
    pub(crate) numbers: &'a [u16],
    /// Rows in a tile register, up to [`TileRows::MOST`].
    pub(crate) rows: usize,
    /// How many tiles there are.
    pub(crate) tiles: usize,
}

impl TileRows<'_> {
    /// Tile registers that hold a tile.
    pub(crate) const PARTS: usize = 2;
    /// Most rows in a tile register.
    pub(crate) const MOST: usize = 16;
}

impl TileProducts {
    /// Rounds whole groups of 32 of a row, each to its place: group `g` at `g · stride` of `out`.
    ///
    /// # Safety
    /// These places are writable, and nobody else's.
    pub(crate) unsafe fn round(&self, x: &[f32], out: *mut u16, stride: usize) {
        // SAFETY: the features are present, as the table was handed out; the rest is promised.
        unsafe { (self.round)(x, out, stride) }
    }

    /// The rows of `tiles` with the panels of `a`.
    ///
    /// # Safety
    /// `a.y` is writable, and nobody else's, at `i · stride + j` for the rows `i` of these tiles
    /// and `j < n`.
    pub(crate) unsafe fn products(
        &self,
        format: Format,
        a: &Panels,
        x: TileRows,
        tiles: Range<usize>,
        strip: &mut [f32],
    ) {
        // SAFETY: the features are present, as the table was handed out; the rest is promised.
        unsafe { (self.of(format))(a, x, tiles, strip) }
    }

    /// Computes `a.y`; `scratch` is as long as [`rounded_scratch`](TileProducts::rounded_scratch)
    /// says.
    ///
    /// # Panics
    /// Where it or a factor is too short.
    pub(crate) fn rounded(&self, a: &mut Rounded, scratch: &mut [f32]) {
        // SAFETY: the features are present, as the table was handed out.
        unsafe { (self.rounded)(a, scratch) }
    }

    fn of(&self, format: Format) -> PanelTiles {
        match format {
            Format::Q8_0 => self.q8_0,
            Format::Q4_0 => self.q4_0,
            Format::Q4_1 => self.q4_1,
            Format::Q5_0 => self.q5_0,
            Format::Q5_1 => self.q5_1,
            Format::Q2K => self.q2_k,
            Format::Q3K => self.q3_k,
            Format::Q4K => self.q4_k,
            Format::Q5K => self.q5_k,
            Format::Q6K => self.q6_k,
            _ => unreachable!("{} has no panels", format.name()),
        }
    }
}

/// A feature of a machine, and whether this one has it.
struct Feature {
    name: &'static str,
    present: fn() -> bool,
}

/// Sizes that a table chooses.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tile {
    /// Numbers in a vector.
    pub(crate) lanes: usize,
    /// Rows of `x` in a tile of the packed product.
    pub(crate) rows: usize,
    /// Rows of `x` in a tile of a product with panels.
    pub(crate) panel_rows: usize,
    /// Numbers of a row of `x` that lie together there: 4 or 8.
    pub(crate) panel_row: usize,
    /// Rows that attention computes at once.
    pub(crate) attention_rows: usize,
    /// Whether attention in 16-bit integers is faster than in `f32`.
    pub(crate) integer_attention: bool,
    /// Operations, a multiplication or an addition each, in a round of `peak`.
    pub(crate) peak_operations: usize,
    /// The same for a round of `int8_peak`.
    pub(crate) int8_operations: usize,
}

impl Kernels {
    /// The name of the table: `portable`, `avx2`, `avx512`, `amx`, `neon`, `neon_dot`,
    /// `neon_i8mm`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) fn tile(&self) -> Tile {
        self.tile
    }

    fn linear(&self, format: Format) -> Linear {
        match format {
            Format::F32 => self.f32,
            Format::F16 => self.f16,
            Format::BF16 => self.bf16,
            _ => unreachable!(
                "{} rows are decoded before they are multiplied",
                format.name()
            ),
        }
    }

    /// See [`generic::direct`].
    ///
    /// # Safety
    /// The promise of [`direct`](generic::direct::direct).
    pub(crate) unsafe fn direct(&self, format: Format, a: &Direct) {
        // SAFETY: the features are present, as the table was handed out; the rest is promised.
        unsafe { (self.linear(format).direct)(a) }
    }

    /// See [`generic::packed`].
    ///
    /// # Safety
    /// The promise of [`packed`](generic::packed::packed).
    pub(crate) unsafe fn packed(&self, format: Format, a: &Packed, panels: &mut [f32]) {
        // SAFETY: the features are present, as the table was handed out; the rest is promised.
        unsafe { (self.linear(format).packed)(a, panels) }
    }

    /// What multiplies matrices of this format with activations in words, if the table does so.
    pub(crate) fn words(&self, format: Format) -> Option<&Words> {
        self.words.as_ref().filter(|_| format == Format::Q8_0)
    }

    /// What multiplies rows of prompts and pictures with panels, if the table has tile registers.
    pub(crate) fn tiles(&self) -> Option<&TileProducts> {
        self.tiles.as_ref()
    }

    fn panel_linear(&self, format: Format) -> PanelLinear {
        let panels = &self.panels;
        match format {
            Format::Q8_0 => panels.q8_0,
            Format::Q4_0 => panels.q4_0,
            Format::Q4_1 => panels.q4_1,
            Format::Q5_0 => panels.q5_0,
            Format::Q5_1 => panels.q5_1,
            Format::Q2K => panels.q2_k,
            Format::Q3K => panels.q3_k,
            Format::Q4K => panels.q4_k,
            Format::Q5K => panels.q5_k,
            Format::Q6K => panels.q6_k,
            _ => unreachable!("{} has no panels", format.name()),
        }
    }

    /// See [`generic::panels::few`].
    ///
    /// # Safety
    /// The promise of [`few`](generic::panels::few).
    pub(crate) unsafe fn few(&self, format: Format, a: &Panels, x: Levels) {
        // SAFETY: the features are present, as the table was handed out; the rest is promised.
        unsafe { (self.panel_linear(format).few)(a, x) }
    }

    /// See [`generic::panels::many`].
    ///
    /// # Safety
    /// The promise of [`many`](generic::panels::many).
    pub(crate) unsafe fn many(
        &self,
        format: Format,
        a: &Panels,
        x: Tiles,
        tiles: Range<usize>,
        strip: &mut [f32],
    ) {
        // SAFETY: the features are present, as the table was handed out; the rest is promised.
        unsafe { (self.panel_linear(format).many)(a, x, tiles, strip) }
    }

    /// See [`generic::attention`].
    ///
    /// # Safety
    /// The promise of [`attention`](generic::attention::attention).
    pub(crate) unsafe fn attention(&self, a: &Attention, scratch: &mut [f32]) {
        // SAFETY: the features are present, as the table was handed out; the rest is promised.
        unsafe { (self.attention)(a, scratch) }
    }

    /// See [`generic::attention_i16`].
    ///
    /// # Safety
    /// The promise of [`attention`](attention_i16::attention).
    pub(crate) unsafe fn attention_i16(&self, a: &attention_i16::Attention, scratch: &mut [f32]) {
        // SAFETY: the features are present, as the table was handed out; the rest is promised.
        unsafe { (self.attention_i16)(a, scratch) }
    }
}

/// Methods for the functions that need nothing but the table's features.
macro_rules! safe_functions {
    ($($name:ident($($argument:ident: $type:ty),*) $(-> $result:ty)?;)*) => {
        impl Kernels {
            $(pub(crate) fn $name(&self, $($argument: $type),*) $(-> $result)? {
                // SAFETY: the features are present, as the table was handed out.
                unsafe { (self.$name)($($argument),*) }
            })*
        }
    };
}

safe_functions! {
    quantise(x: &[f32], row: &mut Row);
    pack_rows(x: &[f32], k: usize, first: usize, length: usize, out: &mut [f32]);
    pack_keys_i16(keys: &attention_i16::Rows, out: &mut [i32], units: &mut [f32]);
    pack_values_i16(values: &attention_i16::Rows, out: &mut [i32], units: &mut [f32]);
    rotary(row: &mut [f32], cos: &[f32], sin: &[f32]);
    rms_norm(x: &[f32], weight: &[f32], eps: f32, out: &mut [f32]);
    layer_norm(x: &[f32], weight: &[f32], bias: &[f32], eps: f32, out: &mut [f32]);
    add(x: &mut [f32], y: &[f32]);
    gelu(x: &mut [f32]);
    hard_sigmoid(x: &mut [f32]);
    hard_swish(x: &mut [f32]);
    quick_gelu(x: &mut [f32]);
    relu(x: &mut [f32]);
    silu_mul(gate: &mut [f32], up: &[f32]);
    add_product(sum: &mut [f32], x: &[f32], weight: &[f32]);
    peak(rounds: usize) -> f32;
    int8_peak(rounds: usize) -> i32;
    read(x: &[u8]) -> f32;
}

impl std::fmt::Debug for Kernels {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.debug_struct("Kernels")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

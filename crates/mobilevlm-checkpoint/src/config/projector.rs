//! The projector: which member of the family stands between tower and language model.

use super::fields::Fields;
use super::{ConfigError, Layout};

/// The deepest `mlpNx_gelu`.
const DEPTH_LIMIT: usize = 64;

/// What turns the tower's features `[P, V]` into embeddings `[T, d]` of the language model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Projector {
    /// One linear layer; T = P.
    Linear,
    /// Linear layers with GELU between (`mlpNx_gelu`); T = P.
    Mlp {
        /// Linear layers, at least one.
        depth: usize,
    },
    /// MobileVLM V1's: two linear layers, two inverted residual blocks; T = P / 4.
    LdpNet,
    /// MobileVLM V2's: two linear layers, pooling, and a depthwise convolution; T = 144 as released.
    LdpNetV2(LdpV2),
}

/// Members of the LDPv2 family, in the terms of the MobileVLM V2 paper's ablation.
///
/// Configuration key `mm_projector_variant`, which released files lack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum LdpV2 {
    /// `pool+peg`: pooled to 12×12, then x + depthwise 3×3(x). What is released.
    #[default]
    PoolPeg,
    /// `pool6+peg`: the same pooled to 6×6, or to another grid of this side, for towers whose grid
    /// is not 24×24. Ours.
    PoolPegTo(u8),
    /// `no-pool`: the same without pooling; T = P.
    NoPool,
    /// `pool`: pooled to 12×12, nothing after.
    Pool,
    /// `pool+positions`: pooled to 12×12, then learned positions `projector.positions`
    /// `[144, d]` are added.
    PoolPositions,
}

impl LdpV2 {
    /// The side of the grid that is pooled to, whatever the tower's grid; nothing without pooling.
    /// Upstream: `TokenDownLayer((12, 12))`.
    pub fn grid(self) -> Option<usize> {
        match self {
            Self::PoolPeg | Self::Pool | Self::PoolPositions => Some(RELEASED_GRID),
            Self::PoolPegTo(side) => Some(usize::from(side)),
            Self::NoPool => None,
        }
    }

    fn name(self) -> String {
        match self {
            Self::PoolPeg => "pool+peg".to_owned(),
            Self::PoolPegTo(side) => format!("pool{side}+peg"),
            Self::NoPool => "no-pool".to_owned(),
            Self::Pool => "pool".to_owned(),
            Self::PoolPositions => "pool+positions".to_owned(),
        }
    }

    fn named(name: &str) -> Option<Self> {
        match name {
            "pool+peg" => Some(Self::PoolPeg),
            "no-pool" => Some(Self::NoPool),
            "pool" => Some(Self::Pool),
            "pool+positions" => Some(Self::PoolPositions),
            _ => {
                let side = name
                    .strip_prefix("pool")?
                    .strip_suffix("+peg")?
                    .parse()
                    .ok()?;
                let is_spelled_so = Self::PoolPegTo(side).name() == name;
                let is_other =
                    (1..=GRID_LIMIT).contains(&side) && usize::from(side) != RELEASED_GRID;
                (is_spelled_so && is_other).then_some(Self::PoolPegTo(side))
            }
        }
    }
}

/// The side of the grid that every released LDPv2 pools to.
const RELEASED_GRID: usize = 12;
/// The largest side of a grid that is pooled to.
const GRID_LIMIT: u8 = 64;

impl Projector {
    /// What `mm_projector_type` and `mm_projector_variant` call it; only a member of the LDPv2
    /// family has the latter.
    pub fn names(self) -> (String, Option<String>) {
        match self {
            Self::Linear => ("linear".to_owned(), None),
            Self::Mlp { depth } => (format!("mlp{depth}x_gelu"), None),
            Self::LdpNet => ("ldpnet".to_owned(), None),
            Self::LdpNetV2(variant) => ("ldpnetv2".to_owned(), Some(variant.name())),
        }
    }

    pub(super) fn from_fields(config: &Fields<'_>, layout: Layout) -> Result<Self, ConfigError> {
        match layout {
            Layout::Authors => Self::authors(config),
            _ => Self::llava_hf(config),
        }
    }

    fn authors(config: &Fields<'_>) -> Result<Self, ConfigError> {
        // Upstream's own default (build_vision_projector).
        let kind = config.text("mm_projector_type")?.unwrap_or("linear");
        let variant = config.text("mm_projector_variant")?;
        Self::named(kind, variant).map_err(|(of_variant, expected)| {
            let (key, found) = match of_variant {
                true => ("mm_projector_variant", variant.unwrap_or_default()),
                false => ("mm_projector_type", kind),
            };
            config.wrong(key, expected, format!("{found:?}"))
        })
    }

    /// The projector of a kind and a variant as configurations name them.
    ///
    /// # Errors
    /// Whether it is about the variant, and what was expected.
    pub fn named(kind: &str, variant: Option<&str>) -> Result<Self, (bool, String)> {
        let is_ldp = kind == "ldpnetv2";
        let variant = match variant {
            None => LdpV2::default(),
            Some(_) if !is_ldp => {
                return Err((true, format!("no variant of the type {kind:?}")));
            }
            Some(name) => LdpV2::named(name).ok_or_else(|| {
                let expected = format!(
                    "one of pool+peg, poolN+peg (N from 1 to {GRID_LIMIT}, not {RELEASED_GRID}), \
                     no-pool, pool, pool+positions"
                );
                (true, expected)
            })?,
        };
        match kind {
            "linear" => Ok(Self::Linear),
            "ldpnet" => Ok(Self::LdpNet),
            "ldpnetv2" => Ok(Self::LdpNetV2(variant)),
            _ => match mlp_depth(kind) {
                Some(depth) => Ok(Self::Mlp { depth }),
                None => Err((
                    false,
                    format!("linear, mlpNx_gelu (N from 1 to {DEPTH_LIMIT}), ldpnet or ldpnetv2"),
                )),
            },
        }
    }

    /// `LlavaForConditionalGeneration` has one projector: linear, GELU, linear.
    fn llava_hf(config: &Fields<'_>) -> Result<Self, ConfigError> {
        if let Some(activation) = config.text("projector_hidden_act")?
            && activation != "gelu"
        {
            return Err(config.wrong(
                "projector_hidden_act",
                "\"gelu\"",
                format!("{activation:?}"),
            ));
        }
        if config.flag("multimodal_projector_bias")? == Some(false) {
            return Err(config.wrong("multimodal_projector_bias", "true", "false"));
        }
        Ok(Self::Mlp { depth: 2 })
    }
}

/// N of `mlpNx_gelu`.
fn mlp_depth(kind: &str) -> Option<usize> {
    let digits = kind.strip_prefix("mlp")?.strip_suffix("x_gelu")?;
    if !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    digits
        .parse()
        .ok()
        .filter(|depth| (1..=DEPTH_LIMIT).contains(depth))
}

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
    /// MobileVLM V2's: two linear layers, pooling, and a depthwise convolution; T = 144.
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
    /// `no-pool`: the same without pooling; T = P.
    NoPool,
    /// `pool`: pooled to 12×12, nothing after.
    Pool,
    /// `pool+positions`: pooled to 12×12, then learned positions `projector.positions`
    /// `[144, d]` are added.
    PoolPositions,
}

impl LdpV2 {
    const NAMES: [(&'static str, Self); 4] = [
        ("pool+peg", Self::PoolPeg),
        ("no-pool", Self::NoPool),
        ("pool", Self::Pool),
        ("pool+positions", Self::PoolPositions),
    ];
}

/// The side of the grid that LDPv2 pools to, whatever the tower's grid
/// (upstream: `TokenDownLayer((12, 12))`).
pub(crate) const POOLED_SIDE: usize = 12;

impl Projector {
    /// What `mm_projector_type` and `mm_projector_variant` call it; only a member of the LDPv2
    /// family has the latter.
    pub fn names(self) -> (String, Option<&'static str>) {
        match self {
            Self::Linear => ("linear".to_owned(), None),
            Self::Mlp { depth } => (format!("mlp{depth}x_gelu"), None),
            Self::LdpNet => ("ldpnet".to_owned(), None),
            Self::LdpNetV2(variant) => {
                let known = LdpV2::NAMES.iter().find(|(_, known)| *known == variant);
                ("ldpnetv2".to_owned(), known.map(|(name, _)| *name))
            }
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
            Some(name) => match LdpV2::NAMES.iter().find(|(known, _)| *known == name) {
                Some(&(_, variant)) => variant,
                None => {
                    let names: Vec<_> = LdpV2::NAMES.iter().map(|(known, _)| *known).collect();
                    return Err((true, format!("one of {}", names.join(", "))));
                }
            },
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

//! The demo model: small, trained on the synthetic world alone, and a part of this program.

use mobilevlm::{Error, Model, OpenOptions};
use mobilevlm_checkpoint::Bytes;

/// What it is called where a model is named.
pub(crate) const NAME: &str = "demo";

/// What whoever gets its answers has to know.
pub(crate) const NOTE: &str = "the demo model answers. It knows drawn pictures only: shapes, \
     signs, bar charts and clocks (mobilevlm data world --preview draws one); for photographs: \
     mobilevlm use mtgv/MobileVLM_V2-1.7B, which is downloaded on first use (3 GB)";

/// What `cargo xtask demo` made; docs/demo.md tells how.
static FILE: &[u8] = include_bytes!("../assets/demo.gguf");

pub(crate) fn open(options: &OpenOptions) -> Result<Model, Error> {
    Model::from_gguf(Bytes::from_static(FILE), options)
}

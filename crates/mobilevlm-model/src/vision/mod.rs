//! The vision tower: CLIP's ViT up to the hidden state that the projector reads.

mod block;
mod embeddings;
mod tower;

pub use tower::VisionTower;

use mobilevlm_checkpoint::TensorError;

/// What can go wrong while a model is assembled or run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// A tensor is missing or has another shape than the configuration says.
    #[error(transparent)]
    Tensor(#[from] TensorError),
    /// The pixels given to the vision tower are not one picture of its size.
    #[error(
        "a picture for this vision tower has 3 x {side} x {side} values, found {found}: prepare it with image size {side}"
    )]
    Pixels {
        /// Side of the square picture in pixels.
        side: usize,
        /// Number of values given.
        found: usize,
    },
    /// The features given to the projector are not one picture of the tower.
    #[error("image features for this projector have {rows} x {columns} values, found {found}")]
    Features {
        /// Number of patches.
        rows: usize,
        /// Width of the tower.
        columns: usize,
        /// Number of values given.
        found: usize,
    },
}

//! The picture while it is being decoded: sizes, and what is known of each component.

use super::super::ImageError;
use super::{idct, malformed};

/// A picture as its frame header declares it.
pub(super) struct Frame {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) progressive: bool,
    pub(super) components: Vec<Component>,
    /// The largest sampling factors, horizontal and vertical.
    pub(super) max_h: usize,
    pub(super) max_v: usize,
    /// MCUs of an interleaved scan.
    pub(super) mcus_across: usize,
    pub(super) mcus_down: usize,
}

/// A colour component: one plane, perhaps of lower resolution.
pub(super) struct Component {
    pub(super) id: u8,
    /// Sampling factors.
    pub(super) h: usize,
    pub(super) v: usize,
    /// Which quantisation table it names, and that table once its first scan began.
    pub(super) table: usize,
    pub(super) quantisation: Option<[u16; 64]>,
    /// Size in samples.
    pub(super) width: usize,
    pub(super) height: usize,
    /// Blocks that cover the samples: what a scan of this component alone holds.
    pub(super) blocks_across: usize,
    pub(super) blocks_down: usize,
    /// Blocks per row as stored, which whole MCUs fill.
    pub(super) stride: usize,
    /// Rows of blocks as stored.
    rows: usize,
    /// Progressive: `[rows, stride, 64]`, in natural order.
    pub(super) coefficients: Vec<i16>,
    /// `[rows · 8, stride · 8]`.
    pub(super) plane: Vec<u8>,
}

/// What a frame header says of one component.
pub(super) struct Declared {
    pub(super) id: u8,
    pub(super) h: usize,
    pub(super) v: usize,
    pub(super) table: usize,
}

impl Frame {
    /// Works out all sizes. Allocates nothing for pixels.
    pub(super) fn new(
        width: usize,
        height: usize,
        progressive: bool,
        declared: &[Declared],
    ) -> Frame {
        let max_h = declared.iter().map(|c| c.h).max().unwrap_or(1);
        let max_v = declared.iter().map(|c| c.v).max().unwrap_or(1);
        let mcus_across = width.div_ceil(8 * max_h);
        let mcus_down = height.div_ceil(8 * max_v);
        let components = declared.iter().map(|c| Component {
            id: c.id,
            h: c.h,
            v: c.v,
            table: c.table,
            quantisation: None,
            width: (width * c.h).div_ceil(max_h),
            height: (height * c.v).div_ceil(max_v),
            blocks_across: (width * c.h).div_ceil(8 * max_h),
            blocks_down: (height * c.v).div_ceil(8 * max_v),
            stride: mcus_across * c.h,
            rows: mcus_down * c.v,
            coefficients: Vec::new(),
            plane: Vec::new(),
        });
        Frame {
            width,
            height,
            progressive,
            components: components.collect(),
            max_h,
            max_v,
            mcus_across,
            mcus_down,
        }
    }

    /// Turns the coefficients of a progressive frame into planes, and checks that there is a plane
    /// for every component.
    pub(super) fn transform(&mut self) -> Result<(), ImageError> {
        for component in &mut self.components {
            let Some(quantisation) = component.quantisation else {
                return Err(malformed(format!(
                    "expected a scan of component {}, found none",
                    component.id
                )));
            };
            if !self.progressive {
                continue;
            }
            // Freed at the end of this turn, so that one component at a time is there twice.
            let coefficients = std::mem::take(&mut component.coefficients);
            component.allocate_plane();
            for (index, block) in coefficients.as_chunks::<64>().0.iter().enumerate() {
                component.put(index, &idct::block(block, &quantisation));
            }
        }
        Ok(())
    }
}

impl Component {
    /// Whether a scan of this component was begun.
    pub(super) fn is_begun(&self) -> bool {
        self.quantisation.is_some()
    }

    pub(super) fn allocate_plane(&mut self) {
        self.plane = vec![0; self.rows * self.stride * 64];
    }

    pub(super) fn allocate_coefficients(&mut self) {
        self.coefficients = vec![0; self.rows * self.stride * 64];
    }

    /// Writes the samples of the stored block `index` into the plane.
    #[inline]
    pub(super) fn put(&mut self, index: usize, samples: &[[u8; 8]; 8]) {
        let line = self.stride * 8;
        let at = index / self.stride * 8 * line + index % self.stride * 8;
        for (y, row) in samples.iter().enumerate() {
            self.plane[at + y * line..][..8].copy_from_slice(row);
        }
    }

    /// Samples of row `y`, or of the last row where there are fewer: `[width]`.
    pub(super) fn row(&self, y: usize) -> &[u8] {
        let y = y.min(self.height - 1);
        &self.plane[y * self.stride * 8..][..self.width]
    }
}

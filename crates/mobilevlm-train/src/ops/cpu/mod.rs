//! The operations once more, fused, for float32 on burn's CPU backend.
//!
//! burn's autodiff makes a softmax five operations and a norm six, each of which runs on one thread and allocates its result; here each is one pass with a backward pass of its own. Work is cut into blocks whose size depends on the shape alone, so a result has the same bits on any number of threads.

mod activation;
mod attention;
mod cross_entropy;
mod linear;
mod norm;
mod product;
mod rotate;
mod rounded;

pub(super) use activation::{gelu, quick_gelu, swiglu};
pub(super) use attention::{attention, texts_attention};
pub(super) use cross_entropy::cross_entropy;
pub(super) use linear::linear;
pub(super) use norm::{layer_norm, rms_norm};
pub(super) use rotate::rotate;

use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::ops::{Backward, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, DispatchDevice, Flex, GradientCheckpointingStrategy};
use burn::tensor::{DType, Tensor, TensorData};
use std::borrow::Cow;

/// Whether a tensor is one that this module's functions take: float32 on the CPU backend, with or without autodiff. Checkpointed gradients stay with burn's operations, which know how to be recomputed.
pub(super) fn takes<const D: usize>(x: &Tensor<D>) -> bool {
    let plain = |device: &DispatchDevice| matches!(device, DispatchDevice::Flex(_));
    let device = x.device();
    x.dtype() == DType::F32
        && match device.as_dispatch() {
            DispatchDevice::Autodiff(tracked) => {
                tracked.gradient_checkpointing_strategy() == GradientCheckpointingStrategy::Disabled
                    && plain(&tracked.clone().inner())
            }
            device => plain(device),
        }
}

/// A tensor of any rank, as an input of [`apply`].
enum Input {
    Plain(FlexTensor),
    Tracked(FloatTensor<Autodiff<Flex>>),
}

impl<const D: usize> From<Tensor<D>> for Input {
    /// The tensor must be one that [`takes`] admits.
    fn from(x: Tensor<D>) -> Self {
        if x.is_autodiff() {
            Self::Tracked(
                x.try_into_primitive::<Autodiff<Flex>>()
                    .expect("a tensor that `takes` admits"),
            )
        } else {
            Self::Plain(
                x.try_into_primitive::<Flex>()
                    .expect("a tensor that `takes` admits"),
            )
        }
    }
}

/// Runs `forward` on the inputs and, where one of them is tracked, records `backward` with what forward kept. Forward is told whether to keep anything.
fn apply<const N: usize, const D: usize, O: Backward<Flex, N>>(
    backward: O,
    inputs: [Input; N],
    forward: impl FnOnce([FlexTensor; N], bool) -> (FlexTensor, Option<O::State>),
) -> Tensor<D> {
    if inputs.iter().all(|x| matches!(x, Input::Plain(_))) {
        let inputs = inputs.map(|x| match x {
            Input::Plain(x) => x,
            Input::Tracked(_) => unreachable!("all are plain"),
        });
        return Tensor::from_primitive::<Flex>(forward(inputs, false).0);
    }
    let inputs = inputs.map(|x| match x {
        Input::Tracked(x) => x,
        Input::Plain(_) => panic!("tensors with and without autodiff do not mix"),
    });
    let nodes = inputs.each_ref().map(|x| x.node());
    let inputs = inputs.map(|x| x.into_primitive());
    Tensor::from_primitive::<Autodiff<Flex>>(
        match backward
            .prepare::<NoCheckpointing>(nodes)
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prepared) => {
                let (y, kept) = forward(inputs, true);
                prepared.finish(kept.expect("forward was told to keep"), y)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(forward(inputs, false).0),
        },
    )
}

/// The elements in order, copied where a view has them otherwise.
fn elements(x: &FlexTensor) -> Cow<'_, [f32]> {
    match x.as_slice::<f32>() {
        Some(slice) => Cow::Borrowed(slice),
        None => Cow::Owned(x.to_contiguous().storage::<f32>().to_vec()),
    }
}

/// The values of a tensor through which no gradient is asked for.
fn constant<const D: usize>(x: Tensor<D>) -> FlexTensor {
    match Input::from(x) {
        Input::Plain(x) => x,
        Input::Tracked(x) => x.into_primitive(),
    }
}

/// `[batch, heads, len, head]` as `[batch, len, heads, head]`, in that order in memory: without a copy where it came from a linear layer.
fn tokens_first(x: FlexTensor) -> FlexTensor {
    let x = Flex::float_swap_dims(x, 1, 2);
    let y = x.to_contiguous();
    // Or y would not be the only one to hold its memory.
    drop(x);
    y
}

/// Runs a loop compiled for the widest vectors that the machine has; the closure is to be `#[inline(always)]`, and what it calls.
///
/// pulp takes closures too, but calls them as [`FnOnce`]: what makes one of a closure that could be called again is a function of its own, compiled for the oldest machine.
#[inline(always)]
fn in_vectors<R>(f: impl FnMut() -> R) -> R {
    struct Loop<F>(F);
    impl<R, F: FnMut() -> R> pulp::WithSimd for Loop<F> {
        type Output = R;
        #[inline(always)]
        fn with_simd<S: pulp::Simd>(mut self, _: S) -> R {
            (self.0)()
        }
    }
    pulp::Arch::new().dispatch(Loop(f))
}

/// A tensor of the elements in order.
fn tensor(elements: Vec<f32>, dims: &[usize]) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(elements, dims.to_vec()))
}

/// Rows of a block when `width` wide rows are handed to threads: about 64 KiB.
fn block_rows(width: usize) -> usize {
    (16_384 / width.max(1)).max(1)
}

/// Adds up the partial sums of blocks in their order: `partials` are `[blocks][width]`.
fn add_up(partials: Vec<Vec<f32>>, width: usize) -> Vec<f32> {
    let mut sums = vec![0.0f32; width];
    for partial in partials {
        for (sum, part) in sums.iter_mut().zip(partial) {
            *sum += part;
        }
    }
    sums
}

/// e to the x within 2 units in the last place; saturates at e^±88 in place of 0 and infinity. Without branches or calls, so that loops over it become vector code.
#[inline(always)]
fn exp(x: f32) -> f32 {
    // Adding and taking away 1.5 · 2^23 rounds to a whole number, which then stands in the low bits.
    const ROUND: f32 = 12_582_912.0;
    // Cody and Waite's ln 2 in two parts; the polynomial is Cephes' expf.
    const LN2_HIGH: f32 = 355.0 / 512.0;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let x = x.clamp(-87.0, 88.0);
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let whole = shifted - ROUND;
    let r = x - whole * LN2_HIGH - whole * LN2_LOW;
    let mut p = 1.987_569_1e-4;
    p = p * r + 1.398_2e-3;
    p = p * r + 8.333_452e-3;
    p = p * r + 4.166_579_6e-2;
    p = p * r + 1.666_666_5e-1;
    p = p * r + 0.5;
    let p = p * r * r + r + 1.0;
    let scale = f32::from_bits((shifted.to_bits() << 23).wrapping_add(127 << 23));
    p * scale
}

/// `1 / (1 + e^-x)`.
#[inline(always)]
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

#[cfg(test)]
mod tests {
    #[test]
    fn exp_is_exact_to_two_units() {
        for i in -870_000..=880_000 {
            let x = i as f32 * 1e-4;
            let (got, expected) = (f64::from(super::exp(x)), f64::from(x).exp());
            assert!(
                (got / expected - 1.0).abs() < 2.4e-7,
                "{x}: {got} {expected}"
            );
        }
        assert!(super::exp(f32::NAN).is_nan());
        assert!(super::exp(f32::NEG_INFINITY) > 0.0 && super::exp(f32::NEG_INFINITY) < 1e-37);
        assert_eq!(super::exp(0.0), 1.0);
    }
}

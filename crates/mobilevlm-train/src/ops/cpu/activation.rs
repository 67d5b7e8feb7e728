//! Activations, elementwise.

use super::{Input, apply, elements, exp, in_vectors, sigmoid, tensor};
use burn::backend::Flex;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops};
use burn::backend::flex::FlexTensor;
use burn::tensor::Tensor;
use rayon::prelude::*;

/// Elements of a block that goes to a thread.
const BLOCK: usize = 16_384;

pub(in crate::ops) fn swiglu<const D: usize>(gate: Tensor<D>, up: Tensor<D>) -> Tensor<D> {
    apply(
        Swiglu,
        [gate.into(), Input::from(up)],
        |[gate, up], keep| {
            let y = zipped(
                &gate,
                &up,
                #[inline(always)]
                |gate, up| gate * sigmoid(gate) * up,
            );
            (y, keep.then_some((gate, up)))
        },
    )
}

#[derive(Debug)]
struct Swiglu;

impl Backward<Flex, 2> for Swiglu {
    type State = (FlexTensor, FlexTensor);

    fn backward(self, ops: Ops<Self::State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let dy = gradients.consume::<Flex>(&ops.node).to_contiguous();
        let (gate, up) = ops.state;
        let (dims, gate, up) = (
            gate.layout().shape().to_vec(),
            elements(&gate),
            elements(&up),
        );
        let mut d_gate = vec![0.0; gate.len()];
        let mut d_up = vec![0.0; gate.len()];
        let dy = elements(&dy);
        let outputs = d_gate.par_chunks_mut(BLOCK).zip(d_up.par_chunks_mut(BLOCK));
        let inputs = gate
            .par_chunks(BLOCK)
            .zip(up.par_chunks(BLOCK))
            .zip(dy.par_chunks(BLOCK));
        outputs
            .zip(inputs)
            .for_each(|((d_gate, d_up), ((gate, up), dy))| {
                in_vectors(
                    #[inline(always)]
                    || {
                        let outputs = d_gate.iter_mut().zip(d_up.iter_mut());
                        for ((d_gate, d_up), ((gate, up), dy)) in
                            outputs.zip(gate.iter().zip(up).zip(dy))
                        {
                            let s = sigmoid(*gate);
                            let silu = gate * s;
                            *d_up = dy * silu;
                            *d_gate = dy * up * (s + silu * (1.0 - s));
                        }
                    },
                );
            });
        let [gate, up] = &ops.parents;
        if let Some(node) = gate {
            gradients.register::<Flex>(node.id, tensor(d_gate, &dims));
        }
        if let Some(node) = up {
            gradients.register::<Flex>(node.id, tensor(d_up, &dims));
        }
    }
}

pub(in crate::ops) fn quick_gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    apply(QuickGelu, [Input::from(x)], |[x], keep| {
        let y = mapped(
            &x,
            #[inline(always)]
            |x| x * sigmoid(1.702 * x),
        );
        (y, keep.then_some(x))
    })
}

#[derive(Debug)]
struct QuickGelu;

impl Backward<Flex, 1> for QuickGelu {
    type State = FlexTensor;

    fn backward(self, ops: Ops<FlexTensor, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        backward_of(
            ops,
            gradients,
            #[inline(always)]
            |x| {
                let s = sigmoid(1.702 * x);
                s + 1.702 * x * s * (1.0 - s)
            },
        );
    }
}

pub(in crate::ops) fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    apply(Gelu, [Input::from(x)], |[x], keep| {
        let y = mapped(
            &x,
            #[inline(always)]
            |x| x * normal(x),
        );
        (y, keep.then_some(x))
    })
}

#[derive(Debug)]
struct Gelu;

impl Backward<Flex, 1> for Gelu {
    type State = FlexTensor;

    fn backward(self, ops: Ops<FlexTensor, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        // The density of the normal distribution is exp(-x²/2) / sqrt(2 π).
        backward_of(
            ops,
            gradients,
            #[inline(always)]
            |x| normal(x) + x * exp(-0.5 * x * x) * 0.398_942_3,
        );
    }
}

/// Φ, the distribution function of the normal distribution: Abramowitz and Stegun 7.1.26, whose absolute error is below 1.5e-7.
#[inline(always)]
fn normal(x: f32) -> f32 {
    let z = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * z);
    let mut p = 1.061_405_4;
    p = p * t - 1.453_152;
    p = p * t + 1.421_413_7;
    p = p * t - 0.284_496_74;
    p = p * t + 0.254_829_6;
    let tail = 0.5 * p * t * exp(-z * z);
    if x < 0.0 { tail } else { 1.0 - tail }
}

/// One function of each element.
fn mapped(x: &FlexTensor, f: impl Fn(f32) -> f32 + Sync) -> FlexTensor {
    let (dims, x) = (x.layout().shape().to_vec(), elements(x));
    let mut y = vec![0.0; x.len()];
    y.par_chunks_mut(BLOCK)
        .zip(x.par_chunks(BLOCK))
        .for_each(|(y, x)| {
            in_vectors(
                #[inline(always)]
                || {
                    for (y, x) in y.iter_mut().zip(x) {
                        *y = f(*x);
                    }
                },
            );
        });
    tensor(y, &dims)
}

/// One function of each pair of elements.
fn zipped(a: &FlexTensor, b: &FlexTensor, f: impl Fn(f32, f32) -> f32 + Sync) -> FlexTensor {
    let (dims, a, b) = (a.layout().shape().to_vec(), elements(a), elements(b));
    let mut y = vec![0.0; a.len()];
    y.par_chunks_mut(BLOCK)
        .zip(a.par_chunks(BLOCK))
        .zip(b.par_chunks(BLOCK))
        .for_each(|((y, a), b)| {
            in_vectors(
                #[inline(always)]
                || {
                    for ((y, a), b) in y.iter_mut().zip(a).zip(b) {
                        *y = f(*a, *b);
                    }
                },
            );
        });
    tensor(y, &dims)
}

/// Registers `derivative(x) · dy` for the only parent.
fn backward_of(
    ops: Ops<FlexTensor, 1>,
    gradients: &mut Gradients,
    derivative: impl Fn(f32) -> f32 + Sync,
) {
    let dy = gradients.consume::<Flex>(&ops.node);
    if let [Some(node)] = &ops.parents {
        let dx = zipped(
            &ops.state,
            &dy,
            #[inline(always)]
            |x, dy| derivative(x) * dy,
        );
        gradients.register::<Flex>(node.id, dx);
    }
}

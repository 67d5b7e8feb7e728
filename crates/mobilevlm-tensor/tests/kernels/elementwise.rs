//! Functions of each element, on slices of every length around the vector widths.

use mobilevlm_tensor::{Compute, ops};

use crate::support::{Differences, ROUNDING, numbers};

const LENGTHS: [usize; 12] = [0, 1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 40_001];

pub(crate) fn gelu(compute: &Compute, differences: &mut Differences) {
    // Within 1e-7 of the value's scale, as documented.
    unary(
        compute,
        ops::gelu,
        |x| x * normal_distribution(x),
        |x| 1e-7 * (1.0 + x.abs()),
        differences,
    );
}

pub(crate) fn quick_gelu(compute: &Compute, differences: &mut Differences) {
    unary(
        compute,
        ops::quick_gelu,
        |x| x * sigmoid(1.702 * x),
        sigmoid_bound,
        differences,
    );
}

pub(crate) fn relu(compute: &Compute, differences: &mut Differences) {
    unary(
        compute,
        ops::relu,
        |x| if x < 0.0 { 0.0 } else { x },
        |_| 0.0,
        differences,
    );
}

pub(crate) fn hard_sigmoid(compute: &Compute, differences: &mut Differences) {
    let bound = |x: f64| 2.0 * ROUNDING * (x.abs() + 3.0) / 6.0;
    unary(
        compute,
        ops::hard_sigmoid,
        hard_sigmoid_of,
        bound,
        differences,
    );
}

pub(crate) fn hard_swish(compute: &Compute, differences: &mut Differences) {
    let bound = |x: f64| 3.0 * ROUNDING * x.abs() * (x.abs() + 3.0) / 6.0;
    unary(
        compute,
        ops::hard_swish,
        |x| x * hard_sigmoid_of(x),
        bound,
        differences,
    );
}

pub(crate) fn silu_mul(compute: &Compute, differences: &mut Differences) {
    for length in LENGTHS {
        let gate = inputs(length);
        let up = numbers(length, 9);
        let mut found = gate.clone();
        ops::silu_mul(compute, &mut found, &up);
        for (at, &found) in found.iter().enumerate() {
            let (x, up) = (f64::from(gate[at]), f64::from(up[at]));
            let expected = if x == f64::NEG_INFINITY {
                f64::NAN
            } else {
                x * sigmoid(x) * up
            };
            let bound = (sigmoid_bound(x) + ROUNDING * x.abs()) * up.abs();
            differences.compare(found, expected, bound, || format!("silu({x}) · {up}"));
        }
    }
}

pub(crate) fn add(compute: &Compute, differences: &mut Differences) {
    for length in LENGTHS {
        let (x, y) = (numbers(length, 1), numbers(length, 2));
        let mut found = x.clone();
        ops::add(compute, &mut found, &y);
        for (at, &found) in found.iter().enumerate() {
            differences.compare(found, f64::from(x[at] + y[at]), 0.0, || {
                format!("element {at} of {length}")
            });
        }
    }
}

fn unary(
    compute: &Compute,
    operation: fn(&Compute, &mut [f32]),
    definition: impl Fn(f64) -> f64,
    bound: impl Fn(f64) -> f64,
    differences: &mut Differences,
) {
    for length in LENGTHS {
        let x = inputs(length);
        let mut found = x.clone();
        operation(compute, &mut found);
        for (&x, &found) in x.iter().zip(&found) {
            let x = f64::from(x);
            if x == f64::NEG_INFINITY {
                // −∞ · 0, or the limit 0: the definition has no value there.
                continue;
            }
            differences.compare(found, definition(x), bound(x), || {
                format!("at {x}, {length} elements")
            });
        }
    }
}

/// Values of every magnitude, and the special ones where they fit.
fn inputs(length: usize) -> Vec<f32> {
    let special = [
        0.0,
        -0.0,
        1e-40,
        -1e-40,
        3.0,
        -3.0,
        88.0,
        -88.0,
        1e30,
        -1e30,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::NAN,
    ];
    let scale = [0.01, 1.0, 4.0, 12.0, 120.0];
    let mut values = numbers(length, 5);
    for (at, value) in values.iter_mut().enumerate() {
        *value *= scale[at % scale.len()];
    }
    if length > 100 {
        values[length - special.len()..].copy_from_slice(&special);
    }
    values
}

fn hard_sigmoid_of(x: f64) -> f64 {
    if x.is_nan() {
        x
    } else {
        (x + 3.0).clamp(0.0, 6.0) / 6.0
    }
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// The error of x · sigmoid(a · x): the exponential within 2 units of 2 roundings, its argument
/// rounded twice (an error relative to the argument z, of which z² · σ(z) · (1 − σ(z)) < 0.5
/// reaches the result), then a sum, a quotient and a product. Where the exponential overflows or
/// vanishes the result is 0 instead of something below 1e-35.
fn sigmoid_bound(x: f64) -> f64 {
    if x.is_finite() {
        10.0 * ROUNDING * x.abs() + ROUNDING + 1e-35
    } else {
        0.0
    }
}

/// Φ(x) = (1 + erf(x / √2)) / 2 by a series of positive terms:
/// Φ(x) = 1/2 + φ(x) · (x + x³/3 + x⁵/(3·5) + …).
fn normal_distribution(x: f64) -> f64 {
    if x.is_nan() {
        return x;
    }
    if x.abs() > 9.0 {
        return if x < 0.0 { 0.0 } else { 1.0 };
    }
    let (mut term, mut sum, mut n) = (x, x, 1.0);
    while term.abs() > 1e-18 * sum.abs() {
        n += 2.0;
        term *= x * x / n;
        sum += term;
    }
    0.5 + sum * (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt()
}

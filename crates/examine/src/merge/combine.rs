//! Weights become one: the arithmetic, element by element, in an order that is written down.
//!
//! Sums are in single precision and in the order of parents; SLERP's angles are in double precision with `libm`'s functions,
//! which give the same bits everywhere. A result is rounded once, to the type that the base has.

#![allow(
    clippy::indexing_slicing,
    reason = "kernels over slices of equal length, checked where tensors are read"
)]

use bytes::Bytes;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use tensor::delta::Operand;
use tensor::safetensors::{Dtype, SafeTensors, View, write};

use super::recipe::{Method, Protected, Recipe};
use super::refused;
use crate::change::Files;
use crate::error::{Error, shown};

/// The files of base and parents, whose tensors fit each other.
#[derive(Debug)]
pub(crate) struct Tensors {
    base: Vec<Bytes>,
    parents: Vec<Vec<Bytes>>,
}

/// Most elements of all tensors of a model.
const ELEMENTS_MAX: usize = 1 << 33;

impl Tensors {
    /// Opens the files, and checks that every side has the same tensors of the same sizes.
    pub(crate) fn open<'f>(base: &Files, parents: impl Iterator<Item = &'f Files>) -> Result<Self, Error> {
        let of = |files: &Files| files.safetensors().cloned().collect::<Vec<_>>();
        let opened = Self { base: of(base), parents: parents.map(of).collect() };
        let sides = opened.read()?;
        let Some((base, parents)) = sides.split_first() else { return Err(refused("there is no base")) };
        let all: usize = base.iter().flat_map(SafeTensors::views).map(|view| view.elements_len()).sum();
        if all == 0 || all > ELEMENTS_MAX {
            return Err(refused("the base has no tensors, or too many"));
        }
        for side in parents {
            let count: usize = side.iter().map(|file| file.views().count()).sum();
            if count != base.iter().map(|file| file.views().count()).sum::<usize>() {
                return Err(refused("a parent has more or fewer tensors than the base"));
            }
            for view in base.iter().flat_map(SafeTensors::views) {
                let theirs = side.iter().find_map(|file| file.view(view.name));
                if theirs.is_none_or(|theirs| theirs.shape != view.shape) {
                    let name = shown(view.name);
                    return Err(refused(format!("a parent has no tensor `{name}` of the base's size")));
                }
            }
        }
        Ok(opened)
    }

    /// Base first, then parents, each of one file or several.
    fn read(&self) -> Result<Vec<Vec<SafeTensors<'_>>>, Error> {
        let told = |error: tensor::Error| refused(format!("[{}] {error}", error.code()));
        let sides = std::iter::once(&self.base).chain(&self.parents);
        sides.map(|files| files.iter().map(|file| SafeTensors::read(file).map_err(told)).collect()).collect()
    }

    /// Whether every tensor of the base is of a type that is merged.
    pub(crate) fn are_numbers(&self) -> Result<bool, Error> {
        let sides = self.read()?;
        Ok(sides
            .first()
            .is_some_and(|base| base.iter().flat_map(SafeTensors::views).all(|view| is_merged(view.dtype))))
    }

    /// The merge, as one safetensors file.
    pub(crate) fn merged(&self, recipe: &Recipe) -> Result<Vec<u8>, Error> {
        recipe.check(self.parents.len())?;
        let sides = self.read()?;
        let Some((base, parents)) = sides.split_first() else { return Err(refused("there is no base")) };
        let mut views: Vec<View<'_>> = base.iter().flat_map(SafeTensors::views).collect();
        views.sort_by(|a, b| a.name.cmp(b.name));
        let mut written = Vec::with_capacity(views.len());
        for (at, view) in views.iter().enumerate() {
            written.push(tensor_of(view, parents, recipe, at)?);
        }
        let entries: Vec<(&str, Dtype, &[usize], &[u8])> = views
            .iter()
            .zip(&written)
            .map(|(view, bytes)| (view.name, view.dtype, view.shape, bytes.as_slice()))
            .collect();
        write(&entries).map_err(|error| refused(format!("[{}] {error}", error.code())))
    }
}

/// The bytes of one tensor of the merge; `at` is its place among all in the order of names.
fn tensor_of(
    view: &View<'_>,
    parents: &[Vec<SafeTensors<'_>>],
    recipe: &Recipe,
    at: usize,
) -> Result<Vec<u8>, Error> {
    if !is_merged(view.dtype) || !recipe.takes(view.name) {
        // Numbers of other kinds are tables and counters; nothing of them is merged.
        return Ok(view.data.to_vec());
    }
    let base = values(view);
    let mut of_parents = Vec::with_capacity(parents.len());
    for side in parents {
        let theirs = side.iter().find_map(|file| file.view(view.name));
        let theirs =
            theirs.ok_or_else(|| refused(format!("a parent has no tensor `{}`", shown(view.name))))?;
        of_parents.push(values(&theirs));
    }
    let mut merged = combined(recipe, at, &base, &of_parents);
    if let Some(protected) = &recipe.protected {
        protect(view, protected, &base, &mut merged)?;
    }
    encoded(view.dtype, &merged).ok_or_else(|| refused("a tensor's type cannot be written"))
}

const fn is_merged(dtype: Dtype) -> bool {
    matches!(dtype, Dtype::F32 | Dtype::F16 | Dtype::BF16)
}

fn values(view: &View<'_>) -> Vec<f32> {
    let mut part = Vec::new();
    Operand::decode_part(view, 0, view.elements_len(), &mut part);
    part.into_iter().map(|value| value as f32).collect()
}

/// The merged values of one tensor.
pub(crate) fn combined(recipe: &Recipe, at: usize, base: &[f32], parents: &[Vec<f32>]) -> Vec<f32> {
    let coefficients = &recipe.coefficients;
    if recipe.is_plain() {
        // As a declared weighted sum has it: every summand in order, the base's first.
        let mut sum = vec![0.0_f32; base.len()];
        let sides = std::iter::once(base).chain(parents.iter().map(Vec::as_slice));
        for (side, coefficient) in sides.zip(recipe.with_base()) {
            sum.iter_mut().zip(side).for_each(|(sum, value)| *sum += coefficient * value);
        }
        return sum;
    }
    let differences = || parents.iter().map(|parent| less(parent, base)).collect::<Vec<_>>();
    match recipe.method {
        Method::Weighted => added(base, &differences(), coefficients),
        Method::Dare => {
            let mut thinned = differences();
            for (parent, difference) in thinned.iter_mut().enumerate() {
                thin(difference, recipe, parent, at);
            }
            added(base, &thinned, coefficients)
        }
        Method::Ties => {
            let mut trimmed = differences();
            for difference in &mut trimmed {
                trim(difference, recipe.density);
            }
            elected(base, &trimmed, coefficients)
        }
        Method::Slerp => match (parents, coefficients.as_slice()) {
            ([first, second], [one, two]) => slerp(first, second, f64::from(*two) / f64::from(one + two)),
            _ => base.to_vec(),
        },
    }
}

fn less(parent: &[f32], base: &[f32]) -> Vec<f32> {
    parent.iter().zip(base).map(|(a, b)| a - b).collect()
}

fn added(base: &[f32], differences: &[Vec<f32>], coefficients: &[f32]) -> Vec<f32> {
    let mut merged = base.to_vec();
    for (difference, coefficient) in differences.iter().zip(coefficients) {
        merged.iter_mut().zip(difference).for_each(|(value, d)| *value += coefficient * d);
    }
    merged
}

/// Drops elements at random and scales up the rest.
fn thin(difference: &mut [f32], recipe: &Recipe, parent: usize, at: usize) {
    let mut random = ChaCha8Rng::seed_from_u64(recipe.seed);
    random.set_stream(((parent as u64) << 32) | at as u64);
    let (density, up) = (f64::from(recipe.density), 1.0 / recipe.density);
    for value in difference {
        let unit = (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
        *value = if unit < density { *value * up } else { 0.0 };
    }
}

/// Keeps the largest elements.
fn trim(difference: &mut [f32], density: f32) {
    let mut sizes: Vec<f32> = difference.iter().map(|value| value.abs()).collect();
    let kept = ((sizes.len() as f64 * f64::from(density)).ceil() as usize).clamp(1, sizes.len().max(1));
    if kept >= sizes.len() {
        return;
    }
    let (_, least, _) = sizes.select_nth_unstable_by(kept - 1, |a, b| b.total_cmp(a));
    let least = *least;
    difference.iter_mut().filter(|value| value.abs() < least).for_each(|value| *value = 0.0);
}

/// Elects a sign for each element, and takes the weighted mean of what has it.
fn elected(base: &[f32], differences: &[Vec<f32>], coefficients: &[f32]) -> Vec<f32> {
    let whole: f32 = coefficients.iter().sum();
    let mut merged = base.to_vec();
    for (at, value) in merged.iter_mut().enumerate() {
        let vote: f32 = differences.iter().zip(coefficients).map(|(d, c)| c * d[at]).sum();
        let (mut sum, mut weight) = (0.0_f32, 0.0_f32);
        for (difference, coefficient) in differences.iter().zip(coefficients) {
            let element = difference[at];
            if element != 0.0 && (element > 0.0) == (vote > 0.0) {
                sum += coefficient * element;
                weight += coefficient;
            }
        }
        if weight > 0.0 {
            *value += whole * (sum / weight);
        }
    }
    merged
}

/// Along the great circle from the first to the second.
fn slerp(first: &[f32], second: &[f32], along: f64) -> Vec<f32> {
    const PARALLEL: f64 = 1e-4;
    let dot = |x: &[f32], y: &[f32]| x.iter().zip(y).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>();
    let lengths = libm::sqrt(dot(first, first) * dot(second, second)).max(f64::MIN_POSITIVE);
    let angle = libm::acos((dot(first, second) / lengths).clamp(-1.0, 1.0));
    let sine = libm::sin(angle);
    let (of_first, of_second) = if sine < PARALLEL {
        (1.0 - along, along)
    } else {
        (libm::sin((1.0 - along) * angle) / sine, libm::sin(along * angle) / sine)
    };
    first
        .iter()
        .zip(second)
        .map(|(a, b)| (of_first * f64::from(*a) + of_second * f64::from(*b)) as f32)
        .collect()
}

/// Takes what lies along the direction out of the difference of a matrix that writes to the residual stream.
fn protect(view: &View<'_>, protected: &Protected, base: &[f32], merged: &mut [f32]) -> Result<(), Error> {
    let writes = ["o_proj.weight", "down_proj.weight"].iter().any(|end| view.name.ends_with(end));
    let (true, [rows, columns]) = (writes, view.shape) else { return Ok(()) };
    let direction = &protected.direction;
    if direction.len() != *rows {
        let name = shown(view.name);
        return Err(refused(format!(
            "the protected direction has not as many elements as `{name}` has rows"
        )));
    }
    let mut along = vec![0.0_f32; *columns];
    for (row, r) in direction.iter().enumerate() {
        for (column, sum) in along.iter_mut().enumerate() {
            let place = row * columns + column;
            *sum += r * (merged[place] - base[place]);
        }
    }
    for (row, r) in direction.iter().enumerate() {
        for (column, sum) in along.iter().enumerate() {
            merged[row * columns + column] -= r * sum;
        }
    }
    Ok(())
}

/// Values in a type, rounded once; none for types that are no floating-point numbers of at most single precision.
pub(crate) fn encoded(dtype: Dtype, values: &[f32]) -> Option<Vec<u8>> {
    Some(match dtype {
        Dtype::F32 => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        Dtype::F16 => values.iter().flat_map(|value| quant::half_bits(*value).to_le_bytes()).collect(),
        Dtype::BF16 => values.iter().flat_map(|value| brain(*value).to_le_bytes()).collect(),
        _ => return None,
    })
}

/// The bits of a number rounded to bfloat16, ties to even.
fn brain(value: f32) -> u16 {
    let bits = value.to_bits();
    if value.is_nan() {
        return ((bits >> 16) | 0x40) as u16;
    }
    ((bits + 0x7fff + ((bits >> 16) & 1)) >> 16) as u16
}

#[cfg(test)]
mod tests;

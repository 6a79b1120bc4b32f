//! A model's weights by name, and arithmetic on them.

use std::collections::BTreeMap;

use bytes::Bytes;
use model::Model;
use model::graph::{Graph, NamedValues, Trained};

use crate::error::{About as _, Error};
use crate::folder::{Precision, safetensors};
use crate::shape::Shape;

/// Weights under the names of the transformers library.
#[derive(Debug, Clone, PartialEq)]
pub struct Weights {
    shape: Shape,
    tensors: Vec<NamedValues>,
}

impl Weights {
    /// The weights of a graph.
    ///
    /// # Errors
    /// [`Error::Model`].
    pub fn of(shape: Shape, graph: &Graph) -> Result<Self, Error> {
        Ok(Self { shape, tensors: graph.tensors().about(shape.name())? })
    }

    /// The weights of a model that is run.
    ///
    /// # Errors
    /// [`Error::Model`].
    pub fn of_model(shape: Shape, model: &Model) -> Result<Self, Error> {
        Self::of(shape, &Graph::of(model, &Trained::Nothing).about(shape.name())?)
    }

    /// Which shape they are of.
    pub const fn shape(&self) -> Shape {
        self.shape
    }

    /// The tensors: name, shape, row-major values.
    pub fn tensors(&self) -> &[NamedValues] {
        &self.tensors
    }

    /// The model with these weights, in single precision.
    ///
    /// # Errors
    /// [`Error::Model`], [`Error::Tensors`].
    pub fn model(&self) -> Result<Model, Error> {
        let file = Bytes::from(safetensors(&self.tensors, Precision::Single)?);
        let config = self.shape.config_json().to_string();
        Model::from_safetensors(config.as_bytes(), &[file]).about(self.shape.name())
    }

    /// Other weights, computed tensor by tensor from these: the name, how many rows and columns, and the values; a
    /// vector has one row.
    #[must_use]
    pub fn map(&self, mut each: impl FnMut(&str, (usize, usize), &[f32]) -> Vec<f32>) -> Self {
        let tensors = self.tensors.iter().map(|(name, shape, values)| {
            let size = match shape.as_slice() {
                [rows, columns] => (*rows, *columns),
                _ => (1, values.len()),
            };
            (name.clone(), shape.clone(), each(name, size, values))
        });
        Self { shape: self.shape, tensors: tensors.collect() }
    }

    /// Weights computed element by element from these and others of the same shape.
    #[must_use]
    pub fn with(&self, other: &Self, each: impl Fn(f32, f32) -> f32) -> Self {
        let others: BTreeMap<&str, &[f32]> =
            other.tensors.iter().map(|(name, _, values)| (name.as_str(), values.as_slice())).collect();
        self.map(|name, _, values| match others.get(name) {
            Some(others) => values.iter().zip(*others).map(|(a, b)| each(*a, *b)).collect(),
            None => values.to_vec(),
        })
    }

    /// `self + factor · (other − self)`.
    #[must_use]
    pub fn towards(&self, other: &Self, factor: f32) -> Self {
        self.with(other, |a, b| a + factor * (b - a))
    }

    /// The relative Frobenius distance of other weights from these.
    pub fn distance(&self, other: &Self) -> f64 {
        let (mut apart, mut all) = (0.0_f64, 0.0_f64);
        for ((_, _, a), (_, _, b)) in self.tensors.iter().zip(&other.tensors) {
            for (a, b) in a.iter().zip(b) {
                apart += f64::from(b - a).powi(2);
                all += f64::from(*a).powi(2);
            }
        }
        if all > 0.0 { (apart / all).sqrt() } else { 0.0 }
    }

    /// The weights as they are after being kept in ggml blocks of a kind: every matrix, the embedding among them; rows
    /// that are no whole blocks, and vectors, stay.
    ///
    /// # Errors
    /// [`Error::Quantiser`].
    pub fn quantised(&self, kind: quant::Kind) -> Result<Self, Error> {
        let mut failed = None;
        let quantised = self.map(|_, (rows, columns), values| {
            if rows == 1 || !columns.is_multiple_of(kind.block_elements()) {
                return values.to_vec();
            }
            turned_back(kind, values, columns).unwrap_or_else(|cause| {
                failed = Some(cause);
                values.to_vec()
            })
        });
        match failed {
            Some(cause) => Err(cause),
            None => Ok(quantised),
        }
    }
}

/// Values after being kept in blocks of a kind.
///
/// # Errors
/// [`Error::Quantiser`].
pub fn turned_back(kind: quant::Kind, values: &[f32], row_len: usize) -> Result<Vec<f32>, Error> {
    let refused = |cause| Error::Quantiser { cause };
    let blocks = quant::quantize(kind, values, row_len, None).map_err(refused)?;
    let mut back = vec![0.0; values.len()];
    quant::dequantize(kind, &blocks, &mut back).map_err(refused)?;
    Ok(back)
}

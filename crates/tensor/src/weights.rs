//! One list of tensors, whatever container they came in, and one name for what is the same tensor.
//!
//! [`Weights`] lists the tensors of a safetensors file (an adapter's among them), of its shards, of a GGUF file or
//! of a PyTorch checkpoint, with shape, type and bytes. [`Tensor::decode_rows`] turns rows into `f32`, blocks of
//! ggml among them, through crate `quant`. [`Family`] knows what a tensor is called in GGUF and at Hugging Face,
//! and what llama.cpp's converter did to its elements on the way.
//!
//! What this module does not do: read files, guess a model's family from its tensors, or compare.

#[cfg(feature = "spectrum")]
mod compare;
mod element;
mod error;
pub mod folder;
mod names;
pub mod packed;
mod transform;

use std::borrow::Cow;
use std::ops::Range;

pub use element::ElementType;
pub use error::WeightsError;
pub use names::Family;
pub use transform::{Heads, RotaryRows, Transform};

use crate::error::shown;
use crate::gguf::Gguf;
use crate::safetensors::{SafeTensors, Sharded, View};
use crate::scope::BaseWeights;
use crate::torch::{Checkpoint, Finding};

/// One tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tensor<'a> {
    name: &'a str,
    element: ElementType,
    shape: Cow<'a, [usize]>,
    data: Cow<'a, [u8]>,
}

impl<'a> Tensor<'a> {
    /// A tensor from its parts.
    ///
    /// # Errors
    /// [`WeightsError::Bytes`] where the bytes do not fit shape and type.
    pub fn new(
        name: &'a str,
        element: ElementType,
        shape: impl Into<Cow<'a, [usize]>>,
        data: impl Into<Cow<'a, [u8]>>,
    ) -> Result<Self, WeightsError> {
        let (shape, data) = (shape.into(), data.into());
        if element.bytes_of(&shape) == Some(data.len()) {
            return Ok(Self { name, element, shape, data });
        }
        Err(WeightsError::Bytes { tensor: shown(name), bytes: data.len() })
    }

    /// The name that it has in its container.
    pub const fn name(&self) -> &'a str {
        self.name
    }

    /// How its elements are kept.
    pub const fn element(&self) -> ElementType {
        self.element
    }

    /// Its dimensions in row-major order, the slowest first; empty for a scalar.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Its bytes.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// How many elements it has.
    pub fn elements_len(&self) -> usize {
        self.shape.iter().product()
    }

    /// The length of a row: the last dimension, or 1 for a scalar.
    pub fn row_len(&self) -> usize {
        self.shape.last().copied().unwrap_or(1)
    }

    /// How many rows it has: the product of all dimensions but the last.
    pub fn rows(&self) -> usize {
        let but_last = self.shape.len().saturating_sub(1);
        self.shape.get(..but_last).unwrap_or_default().iter().product()
    }

    /// Decodes whole rows into `out`. Types wider than `f32` are rounded to nearest; what a block stands for is
    /// ggml's own `f32`, bit for bit.
    ///
    /// # Errors
    /// [`WeightsError::Rows`] where the rows are not there or `out` has another length than they need;
    /// [`WeightsError::NotDecodable`] for blocks of types that `quant` does not know.
    pub fn decode_rows(&self, rows: Range<usize>, out: &mut [f32]) -> Result<(), WeightsError> {
        let buffer = out.len();
        let wrong = || WeightsError::Rows {
            tensor: shown(self.name),
            begin: rows.start,
            end: rows.end,
            rows: self.rows(),
            buffer,
        };
        let count = rows.end.checked_sub(rows.start).filter(|_| rows.end <= self.rows()).ok_or_else(wrong)?;
        if count.checked_mul(self.row_len()) != Some(buffer) {
            return Err(wrong());
        }
        // INVARIANT: rows are whole blocks, and the bytes are those of all rows.
        let row_bytes = self.row_len() / self.element.block_elements() * self.element.block_bytes();
        let bytes = self.data.get(rows.start * row_bytes..rows.end * row_bytes).ok_or_else(wrong)?;
        match self.element {
            ElementType::Plain(dtype) => {
                decode_plain(dtype, bytes, out);
                Ok(())
            }
            ElementType::Block(kind) => {
                let unknown =
                    || WeightsError::NotDecodable { tensor: shown(self.name), element: kind.name() };
                let kind = quant::Kind::from_ggml_type(kind.number()).ok_or_else(unknown)?;
                quant::dequantize(kind, bytes, out).map_err(|_| wrong())
            }
        }
    }

    /// The same as a tensor of a safetensors file, where its elements stand by themselves.
    fn as_view(&self) -> Option<View<'_>> {
        match self.element {
            ElementType::Plain(dtype) => {
                Some(View { name: self.name, dtype, shape: &self.shape, data: &self.data })
            }
            ElementType::Block(_) => None,
        }
    }

    /// Every element, decoded as by [`Tensor::decode_rows`].
    ///
    /// # Errors
    /// [`WeightsError::NotDecodable`].
    pub fn decode(&self) -> Result<Vec<f32>, WeightsError> {
        if !self.element.is_decodable() {
            return Err(WeightsError::NotDecodable {
                tensor: shown(self.name),
                element: self.element.name(),
            });
        }
        let mut out = vec![0.0; self.elements_len()];
        self.decode_rows(0..self.rows(), &mut out)?;
        Ok(out)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "rounding to nearest is what is asked for")]
fn decode_plain(dtype: crate::safetensors::Dtype, bytes: &[u8], out: &mut [f32]) {
    const CHUNK: usize = 4096;
    let mut values = Vec::with_capacity(CHUNK.min(out.len()));
    for (bytes, out) in bytes.chunks(CHUNK * dtype.bytes()).zip(out.chunks_mut(CHUNK)) {
        crate::safetensors::decode(dtype, bytes, &mut values);
        for (out, value) in out.iter_mut().zip(&values) {
            *out = *value as f32;
        }
    }
}

/// The tensors of one or several files, in the order of their names.
#[derive(Debug, Clone, Default)]
pub struct Weights<'a> {
    tensors: Vec<Tensor<'a>>,
}

impl<'a> Weights<'a> {
    /// A list of tensors from anywhere.
    ///
    /// # Errors
    /// [`WeightsError::Repeated`] where a name stands twice.
    pub fn gather(tensors: impl IntoIterator<Item = Tensor<'a>>) -> Result<Self, WeightsError> {
        let mut tensors: Vec<_> = tensors.into_iter().collect();
        tensors.sort_unstable_by(|a, b| a.name.cmp(b.name));
        match tensors.array_windows::<2>().find(|[a, b]| a.name == b.name) {
            Some([twice, _]) => Err(WeightsError::Repeated { tensor: shown(twice.name) }),
            None => Ok(Self { tensors }),
        }
    }

    /// The tensors of a PyTorch checkpoint. Those that lie there row by row are borrowed; the others are copied, at most
    /// `copied_bytes_max` of all together.
    ///
    /// # Errors
    /// [`WeightsError::Ambiguous`] for a checkpoint that other readers may read otherwise, or of which a part is not
    /// understood; [`WeightsError::Checkpoint`] for tensors that other containers have no type for, and copies beyond the
    /// limit; [`WeightsError::Repeated`].
    pub fn of_checkpoint(
        checkpoint: &'a Checkpoint<'_>,
        copied_bytes_max: u64,
    ) -> Result<Self, WeightsError> {
        if let Some(unread) = checkpoint.unread.first() {
            return Err(WeightsError::Ambiguous {
                why: format!("`{}` is {}", shown(&unread.name), shown(&unread.what)),
            });
        }
        for finding in &checkpoint.findings {
            let why = match finding {
                Finding::Repeated { name } => format!("two tensors are named `{}`", shown(name)),
                Finding::SeveralRoots => "there is more than one `data.pkl`".to_owned(),
                Finding::Longer { .. } | Finding::Unused { .. } | Finding::Trailing { .. } => continue,
            };
            return Err(WeightsError::Ambiguous { why });
        }
        let (mut tensors, mut left) = (Vec::with_capacity(checkpoint.tensors.len()), copied_bytes_max);
        for tensor in &checkpoint.tensors {
            let cannot = || WeightsError::Checkpoint { tensor: shown(&tensor.name) };
            let dtype = tensor.element.plain.filter(|_| !tensor.quantised).ok_or_else(cannot)?;
            let shape: Option<Vec<usize>> =
                tensor.shape.iter().map(|dimension| usize::try_from(*dimension).ok()).collect();
            let data = checkpoint.elements(tensor, left).map_err(|_| cannot())?;
            if let Cow::Owned(copied) = &data {
                left = left.saturating_sub(copied.len() as u64);
            }
            tensors.push(Tensor::new(&tensor.name, dtype.into(), shape.ok_or_else(cannot)?, data)?);
        }
        Self::gather(tensors)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.tensors.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.tensors.is_empty()
    }

    /// The tensors, in the order of their names.
    pub fn tensors(&self) -> &[Tensor<'a>] {
        &self.tensors
    }

    /// The tensor of that name.
    pub fn tensor(&self, name: &str) -> Option<&Tensor<'a>> {
        let at = self.tensors.binary_search_by(|tensor| tensor.name.cmp(name)).ok()?;
        self.tensors.get(at)
    }
}

/// Tensors in blocks are left out: what checks a scope counts elements as they stand.
impl BaseWeights for Weights<'_> {
    fn tensor(&self, name: &str) -> Option<View<'_>> {
        Weights::tensor(self, name).and_then(Tensor::as_view)
    }

    fn names(&self) -> Vec<&str> {
        self.tensors.iter().map(Tensor::name).collect()
    }
}

fn of_view(view: View<'_>) -> Tensor<'_> {
    Tensor { name: view.name, element: view.dtype.into(), shape: view.shape.into(), data: view.data.into() }
}

// INVARIANT: the readers have refused repeated names, shown that bytes fit, and give views in the order of names.

impl<'a> From<&'a SafeTensors<'_>> for Weights<'a> {
    fn from(file: &'a SafeTensors<'_>) -> Self {
        Self { tensors: file.views().map(of_view).collect() }
    }
}

impl<'a> From<&'a Sharded<'_>> for Weights<'a> {
    fn from(shards: &'a Sharded<'_>) -> Self {
        Self { tensors: shards.views().map(of_view).collect() }
    }
}

impl<'a> From<&'a Gguf<'_>> for Weights<'a> {
    fn from(file: &'a Gguf<'_>) -> Self {
        let tensor = |view: crate::gguf::View<'a>| Tensor {
            name: view.name,
            element: view.kind.into(),
            shape: view.shape.into(),
            data: view.data.into(),
        };
        Self { tensors: file.views().map(tensor).collect() }
    }
}

#[cfg(test)]
mod tests;

//! The tensors of a GGUF file under the names and in the layout that the model's `transformers` checkpoint has, so that
//! one model has one seal in either container.
//!
//! For the architectures `llama`, `qwen2` and `qwen3`, names and the rows of the query and key projections are put back
//! as [`Family`] knows them. Tensors of other architectures keep the names of the file: their seals compare GGUF files
//! with each other only, and [`Model::naming`] says so.
//!
//! Elements in ggml's block formats are sealed as the numbers that ggml's reference dequantisation gives.

use std::ops::Range;

use tensor::gguf::{Gguf, Value, View};
use tensor::safetensors::Dtype;
use tensor::weights::{self, ElementType, Family, Heads, RotaryRows, Transform};

use crate::Error;
use crate::error::shown;
use crate::source::{Decode, Elements, Tensor};

/// Where the names of a model's tensors come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Naming {
    /// The model's checkpoint.
    Canonical,
    /// The GGUF file, whose architecture is not known here.
    File,
}

/// A GGUF file's tensors, ready to be sealed.
#[derive(Debug)]
pub struct Model<'a> {
    naming: Naming,
    parts: Vec<Part<'a>>,
}

#[derive(Debug)]
struct Part<'a> {
    name: String,
    shape: Vec<u64>,
    stored: Stored<'a>,
}

#[derive(Debug)]
enum Stored<'a> {
    Plain { dtype: Dtype, bytes: &'a [u8] },
    Rows(Rows<'a>),
}

impl<'a> Model<'a> {
    /// The tensors of an open file.
    ///
    /// # Errors
    /// [`Error::Decode`] for block formats that cannot be decoded here, and for heads that do not fit their rows.
    pub fn of(file: &'a Gguf<'_>) -> Result<Self, Error> {
        let family = file.architecture().and_then(Family::of_architecture);
        // INVARIANT: nothing happened to elements of these families but that rows were put in another order.
        let family = family.filter(|family| matches!(family, Family::Llama | Family::Qwen2 | Family::Qwen3));
        let naming = if family.is_some() { Naming::Canonical } else { Naming::File };
        let count = |name: &str| {
            let number = file.setting(name).and_then(Value::as_unsigned);
            number.and_then(|number| usize::try_from(number).ok())
        };
        let heads = count("attention.head_count");
        let key_heads = count("attention.head_count_kv").or(heads);
        let mut parts = Vec::with_capacity(file.len());
        for view in file.views() {
            let known = family.and_then(|family| family.to_hugging_face(view.name));
            let (name, transform) = known.unwrap_or_else(|| (view.name.to_owned(), Transform::Same));
            let order = match transform {
                Transform::Rotary(Heads::Query) => Some(order(&view, heads)?),
                Transform::Rotary(Heads::KeyValue) => Some(order(&view, key_heads)?),
                Transform::Same | Transform::PlusOne | Transform::Transposed => None,
            };
            let shape = view.shape.iter().map(|&dimension| dimension as u64).collect();
            parts.push(Part { name, shape, stored: stored(&view, order)? });
        }
        Ok(Self { naming, parts })
    }

    /// Where the names come from.
    pub const fn naming(&self) -> Naming {
        self.naming
    }

    /// The tensors.
    ///
    /// # Errors
    /// As [`Tensor::new`].
    pub fn tensors(&self) -> Result<Vec<Tensor<'_>>, Error> {
        self.parts
            .iter()
            .map(|part| {
                let elements = match &part.stored {
                    Stored::Plain { dtype, bytes } => Elements::Plain { dtype: *dtype, bytes },
                    Stored::Rows(rows) => Elements::Coded(rows),
                };
                Tensor::new(part.name.as_str(), part.shape.clone(), elements)
            })
            .collect()
    }
}

fn order(view: &View<'_>, heads: Option<usize>) -> Result<RotaryRows, Error> {
    let rows = view.shape.first().copied().unwrap_or(0);
    heads.and_then(|heads| RotaryRows::new(rows, heads)).ok_or_else(|| Error::Decode {
        tensor: shown(view.name),
        reason: "the number of attention heads does not fit its rows".to_owned(),
    })
}

fn stored<'a>(view: &View<'a>, order: Option<RotaryRows>) -> Result<Stored<'a>, Error> {
    let refused = |reason: &str| Error::Decode { tensor: shown(view.name), reason: reason.to_owned() };
    let element = ElementType::from(view.kind);
    match (element, order) {
        (ElementType::Plain(dtype), None) => return Ok(Stored::Plain { dtype, bytes: view.data }),
        (ElementType::Plain(Dtype::F32 | Dtype::F16 | Dtype::BF16), Some(_)) => {}
        (ElementType::Plain(_), Some(_)) => {
            return Err(refused("its element type has no place in an attention projection"));
        }
        (ElementType::Block(_), _) if element.is_decodable() => {}
        (ElementType::Block(_), _) => return Err(refused("its block format cannot be decoded here")),
    }
    // One element in a row for a bias, whose elements are put in order like rows.
    let shape = match (view.shape, order) {
        (&[rows], Some(_)) => vec![rows, 1],
        (shape, _) => shape.to_vec(),
    };
    let tensor = weights::Tensor::new(view.name, element, shape, view.data);
    let tensor = tensor.map_err(|_| refused("its bytes are not whole rows"))?;
    Ok(Stored::Rows(Rows { tensor, order }))
}

/// Rows that are decoded on demand.
#[derive(Debug)]
struct Rows<'a> {
    tensor: weights::Tensor<'a>,
    /// How the file has put them in another order.
    order: Option<RotaryRows>,
}

impl Rows<'_> {
    fn damaged(&self, reason: &str) -> Error {
        Error::Decode { tensor: shown(self.tensor.name()), reason: reason.to_owned() }
    }

    /// The rows of the file, with the part of each, in which elements of the tensor are, in the tensor's order.
    fn parts(&self, first: usize, count: usize) -> impl Iterator<Item = (usize, Range<usize>)> {
        let columns = self.tensor.row_len();
        let (mut at, end) = (first, first.saturating_add(count));
        std::iter::from_fn(move || {
            let (row, skipped) = (at.checked_div(columns)?, at.checked_rem(columns)?);
            let taken = (columns - skipped).min(end.checked_sub(at)?);
            at += taken;
            let in_file = self.order.map_or(row, |order| order.to_gguf(row));
            (taken > 0).then_some((in_file, skipped..skipped + taken))
        })
    }

    /// Appends a part of a row of the file. Plain elements keep their bits, which numbers that are none would lose on
    /// the way through a float.
    fn append(
        &self,
        row: usize,
        part: Range<usize>,
        room: &mut Vec<f32>,
        out: &mut Vec<u32>,
    ) -> Result<(), Error> {
        let columns = self.tensor.row_len();
        if let ElementType::Block(_) = self.tensor.element() {
            room.resize(columns, 0.0);
            let decoded = self.tensor.decode_rows(row..row + 1, room);
            decoded.map_err(|error| self.damaged(&error.to_string()))?;
            out.extend(room.get(part).unwrap_or_default().iter().map(|value| value.to_bits()));
            return Ok(());
        }
        let (begin, end) = (row * columns + part.start, row * columns + part.end);
        let size = self.tensor.element().block_bytes();
        let bytes = self.tensor.data().get(begin * size..end * size);
        let bytes = bytes.ok_or_else(|| self.damaged("it is cut short"))?;
        let halves = || bytes.as_chunks::<2>().0.iter().map(|word| u16::from_le_bytes(*word));
        match self.tensor.element() {
            ElementType::Plain(Dtype::F16) => out.extend(halves().map(crate::coding::f32_of_f16)),
            ElementType::Plain(Dtype::BF16) => out.extend(halves().map(|half| u32::from(half) << 16)),
            _ => out.extend(bytes.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word))),
        }
        Ok(())
    }
}

impl Decode for Rows<'_> {
    fn length(&self) -> u64 {
        self.tensor.elements_len() as u64
    }

    fn decode(&self, first: u64, count: usize, out: &mut Vec<u32>) -> Result<(), Error> {
        let first = usize::try_from(first).map_err(|_| self.damaged("it is too large"))?;
        let mut room = Vec::new();
        self.parts(first, count).try_for_each(|(row, part)| self.append(row, part, &mut room, out))
    }

    /// Whole blocks, where the elements are in blocks.
    fn stored(&self, first: u64, count: usize) -> Vec<&[u8]> {
        let (columns, element) = (self.tensor.row_len(), self.tensor.element());
        let (elements, size) = (element.block_elements(), element.block_bytes());
        let bytes = |(row, part): (usize, Range<usize>)| {
            let begin = (row * columns + part.start) / elements * size;
            let end = (row * columns + part.end).div_ceil(elements) * size;
            self.tensor.data().get(begin..end)
        };
        let first = usize::try_from(first).ok();
        first.and_then(|first| self.parts(first, count).map(bytes).collect()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;

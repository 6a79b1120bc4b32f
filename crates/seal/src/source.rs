//! The tensors that are sealed: a canonical name, a shape, and where the elements come from.
//!
//! Elements are taken in row-major order of the shape. Files that store plain elements hand over their bytes, which
//! are hashed where they lie. Files that store elements otherwise (blocks of codes with scales, rows in another
//! order) decode them on demand through [`Decode`], a block at a time.

use std::borrow::Cow;
use std::fmt::Debug;

use tensor::safetensors::{Dtype, View};

use crate::Error;
use crate::error::shown;

/// Most bytes in a tensor's name.
pub const NAME_BYTES_MAX: usize = 1024;
/// Most dimensions.
pub const RANK_MAX: usize = 16;

/// Elements that are decoded on demand to `f32`, bit for bit the same on every machine.
pub trait Decode: Debug + Sync {
    /// How many elements there are.
    fn length(&self) -> u64;

    /// Appends the bits of the elements `first..first + count` to `out`, in row-major order.
    ///
    /// # Errors
    /// [`Error::Decode`] where the stored form cannot be decoded.
    fn decode(&self, first: u64, count: usize, out: &mut Vec<u32>) -> Result<(), Error>;

    /// The bytes from which these elements are decoded, in their order, where they lie; none where that is not known.
    fn stored(&self, _first: u64, _count: usize) -> Vec<&[u8]> {
        Vec::new()
    }
}

/// Where elements come from.
#[derive(Debug, Clone, Copy)]
pub enum Elements<'a> {
    /// Stored as they are, little-endian, row-major.
    Plain {
        /// Their type.
        dtype: Dtype,
        /// Their bytes.
        bytes: &'a [u8],
    },
    /// Decoded on demand.
    Coded(&'a dyn Decode),
}

/// A tensor to be sealed.
#[derive(Debug, Clone)]
pub struct Tensor<'a> {
    name: Cow<'a, str>,
    shape: Vec<u64>,
    elements: Elements<'a>,
}

impl<'a> Tensor<'a> {
    /// A tensor under its canonical name: the one that the model's `transformers` checkpoint gives it.
    ///
    /// # Errors
    /// [`Error::Name`], [`Error::Rank`], [`Error::Shape`] where shape and elements do not fit together.
    pub fn new(
        name: impl Into<Cow<'a, str>>,
        shape: Vec<u64>,
        elements: Elements<'a>,
    ) -> Result<Self, Error> {
        let name = name.into();
        check_name(&name)?;
        if shape.len() > RANK_MAX {
            return Err(Error::Rank { tensor: shown(&name) });
        }
        let product = product(&shape);
        let length = match elements {
            Elements::Plain { dtype, bytes } if bytes.len() % dtype.bytes() == 0 => {
                Some((bytes.len() / dtype.bytes()) as u64)
            }
            Elements::Plain { .. } => None,
            Elements::Coded(decode) => Some(decode.length()),
        };
        if product.is_none() || product != length {
            return Err(Error::Shape { tensor: shown(&name) });
        }
        Ok(Self { name, shape, elements })
    }

    /// A tensor of a safetensors file, under the name it has there.
    ///
    /// # Errors
    /// As [`Tensor::new`].
    pub fn of_view(view: View<'a>) -> Result<Self, Error> {
        let shape = view.shape.iter().map(|&dimension| dimension as u64).collect();
        Self::new(view.name, shape, Elements::Plain { dtype: view.dtype, bytes: view.data })
    }

    /// The canonical name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The dimensions; none for a scalar.
    pub fn shape(&self) -> &[u64] {
        &self.shape
    }

    /// Where the elements come from.
    pub const fn elements(&self) -> Elements<'a> {
        self.elements
    }

    /// How many elements.
    pub fn length(&self) -> u64 {
        // INVARIANT: `new` has shown that the product does not overflow.
        product(&self.shape).unwrap_or(0)
    }
}

pub(crate) fn check_name(name: &str) -> Result<(), Error> {
    if name.is_empty() || name.len() > NAME_BYTES_MAX || name.contains(char::is_control) {
        return Err(Error::Name { name: shown(name) });
    }
    Ok(())
}

/// How many elements a shape has; none where that does not fit.
pub(crate) fn product(shape: &[u64]) -> Option<u64> {
    shape.iter().try_fold(1_u64, |product, &dimension| product.checked_mul(dimension))
}

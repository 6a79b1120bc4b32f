//! NumPy's `.npy` files.
//!
//! Source: `numpy/lib/_format_impl.py`, "Format Version 1.0" to "3.0". Behind a magic and a version stands a Python
//! literal, a dictionary of exactly `descr`, `fortran_order` and `shape`. NumPy evaluates it; here a parser reads
//! the one form it has. Arrays of Python objects are refused by name, for their data is a pickle.
//!
//! What this module does not do: read `.npz` archives (each of their members is such a file), texts, dates or
//! structures.

mod error;
mod literal;

pub use error::NumpyError;

use crate::error::shown;
use crate::safetensors::Dtype;
use literal::Header;

/// Most bytes of header that are read. NumPy itself trusts 10,000 by default.
pub const HEADER_MAX: u64 = 10_000;
/// Most dimensions, as in NumPy 2.
pub const RANK_MAX: usize = 64;

/// The type of an array's elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ElementType {
    /// One of the types that safetensors has too.
    Plain(Dtype),
    /// Two numbers of single precision.
    Complex64,
    /// Two numbers of double precision.
    Complex128,
}

impl ElementType {
    /// Bytes of an element.
    pub const fn bytes(self) -> usize {
        match self {
            Self::Plain(dtype) => dtype.bytes(),
            Self::Complex64 => 8,
            Self::Complex128 => 16,
        }
    }

    /// The letter and size in a header.
    fn descr(self) -> &'static str {
        TABLE.iter().find(|(_, element)| *element == self).map_or("", |(descr, _)| descr)
    }
}

const TABLE: [(&str, ElementType); 14] = [
    ("b1", ElementType::Plain(Dtype::Bool)),
    ("i1", ElementType::Plain(Dtype::I8)),
    ("u1", ElementType::Plain(Dtype::U8)),
    ("i2", ElementType::Plain(Dtype::I16)),
    ("u2", ElementType::Plain(Dtype::U16)),
    ("i4", ElementType::Plain(Dtype::I32)),
    ("u4", ElementType::Plain(Dtype::U32)),
    ("i8", ElementType::Plain(Dtype::I64)),
    ("u8", ElementType::Plain(Dtype::U64)),
    ("f2", ElementType::Plain(Dtype::F16)),
    ("f4", ElementType::Plain(Dtype::F32)),
    ("f8", ElementType::Plain(Dtype::F64)),
    ("c8", ElementType::Complex64),
    ("c16", ElementType::Complex128),
];

/// Which byte of a number comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByteOrder {
    /// The least significant.
    Little,
    /// The most significant.
    Big,
}

/// Which index runs fastest through the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The last: row-major, as in C.
    RowMajor,
    /// The first: column-major, as in Fortran.
    ColumnMajor,
}

/// An array, over the caller's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Array<'a> {
    /// The type of its elements.
    pub element: ElementType,
    /// The order of their bytes.
    pub byte_order: ByteOrder,
    /// The order of the elements.
    pub order: Order,
    /// The dimensions, the slowest of a row-major array first; empty for a scalar.
    pub shape: Vec<usize>,
    /// The elements.
    pub data: &'a [u8],
}

impl<'a> Array<'a> {
    /// Reads a file.
    ///
    /// # Errors
    /// Every [`NumpyError`].
    pub fn read(file: &'a [u8]) -> Result<Self, NumpyError> {
        let rest = file.strip_prefix(b"\x93NUMPY").ok_or(NumpyError::Magic)?;
        let (version, rest) = rest.split_first_chunk::<2>().ok_or(NumpyError::Magic)?;
        let short = |left: usize| NumpyError::Header { announced: 0, left: left as u64, limit: HEADER_MAX };
        let (announced, rest) = match version {
            [1, 0] => {
                let (length, rest) = rest.split_first_chunk::<2>().ok_or_else(|| short(rest.len()))?;
                (u64::from(u16::from_le_bytes(*length)), rest)
            }
            [2 | 3, 0] => {
                let (length, rest) = rest.split_first_chunk::<4>().ok_or_else(|| short(rest.len()))?;
                (u64::from(u32::from_le_bytes(*length)), rest)
            }
            _ => return Err(NumpyError::Magic),
        };
        let split = usize::try_from(announced).ok().filter(|_| announced <= HEADER_MAX);
        let split = split.and_then(|length| rest.split_at_checked(length));
        let left = rest.len() as u64;
        let (header, data) = split.ok_or(NumpyError::Header { announced, left, limit: HEADER_MAX })?;
        let Header { descr, order, shape } = literal::read(header)?;
        let (element, byte_order) = element_of(descr)?;
        let most = shape.iter().try_fold(1_usize, |product, dim| product.checked_mul((*dim).max(1)));
        if most.and_then(|most| most.checked_mul(element.bytes())).is_none() {
            return Err(NumpyError::Shape);
        }
        let needed = shape.iter().product::<usize>() * element.bytes();
        if data.len() != needed {
            return Err(NumpyError::Length { length: data.len() as u64, needed: needed as u64 });
        }
        Ok(Self { element, byte_order, order, shape, data })
    }

    /// How many elements the array has.
    pub fn elements_len(&self) -> usize {
        self.shape.iter().product()
    }

    /// The elements as `f64` in the order of the data, each exact; 64-bit integers beyond 2^53 are NaN. Nothing for
    /// complex types.
    pub fn elements(&self) -> Option<Vec<f64>> {
        let ElementType::Plain(dtype) = self.element else { return None };
        let mut values = Vec::new();
        match self.byte_order {
            ByteOrder::Little => crate::safetensors::decode(dtype, self.data, &mut values),
            ByteOrder::Big => {
                let mut turned = self.data.to_vec();
                turned.chunks_exact_mut(dtype.bytes()).for_each(<[u8]>::reverse);
                crate::safetensors::decode(dtype, &turned, &mut values);
            }
        }
        Some(values)
    }

    /// The array as a file of version 1.0, in the form that NumPy itself gives it: header padded with spaces to a
    /// multiple of 64 bytes.
    ///
    /// # Errors
    /// [`NumpyError::Shape`] and [`NumpyError::Length`] where what is there could not be read back.
    pub fn write(&self) -> Result<Vec<u8>, NumpyError> {
        let size = self.element.bytes();
        let first = match (self.byte_order, size) {
            (_, 1) => '|',
            (ByteOrder::Little, _) => '<',
            (ByteOrder::Big, _) => '>',
        };
        let order = match self.order {
            Order::RowMajor => "False",
            Order::ColumnMajor => "True",
        };
        let dimensions: Vec<String> = self.shape.iter().map(ToString::to_string).collect();
        let comma = if dimensions.len() == 1 { "," } else { "" };
        let mut header = format!(
            "{{'descr': '{first}{}', 'fortran_order': {order}, 'shape': ({}{comma}), }}",
            self.element.descr(),
            dimensions.join(", ")
        );
        let padding = (10 + header.len() + 1).next_multiple_of(64) - (10 + header.len() + 1);
        header.extend(std::iter::repeat_n(' ', padding));
        header.push('\n');
        let length = u16::try_from(header.len()).map_err(|_| NumpyError::Shape)?;
        let file =
            [b"\x93NUMPY\x01\x00".as_slice(), &length.to_le_bytes(), header.as_bytes(), self.data].concat();
        Array::read(&file)?;
        Ok(file)
    }
}

/// The element type and byte order that a `descr` names.
fn element_of(descr: &str) -> Result<(ElementType, ByteOrder), NumpyError> {
    let other = || NumpyError::ElementType { descr: shown(descr) };
    let mut letters = descr.chars();
    let first = letters.next().ok_or_else(other)?;
    let rest = letters.as_str();
    if matches!(first, '|' | '<' | '>') && rest.starts_with('O') || first == 'O' {
        return Err(NumpyError::Objects { descr: shown(descr) });
    }
    let element = TABLE.iter().find(|(known, _)| *known == rest).map(|(_, element)| *element);
    let element = element.ok_or_else(other)?;
    match (first, element.bytes()) {
        ('|' | '<' | '>', 1) | ('<', _) => Ok((element, ByteOrder::Little)),
        ('>', _) => Ok((element, ByteOrder::Big)),
        _ => Err(other()),
    }
}

#[cfg(test)]
mod tests;

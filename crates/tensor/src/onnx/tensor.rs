//! Tensors: initialisers, and values of attributes.

use std::borrow::Cow;

use super::element::ElementType;
use super::error::OnnxError;
use super::message::{Budget, Known, Message, Numbers};
use super::read_pair;
use crate::error::shown;

/// A tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor<'a> {
    /// Its name; empty for values of attributes.
    pub name: &'a str,
    /// The type of its elements.
    pub element: ElementType,
    /// Its dimensions, the slowest first; empty for a scalar.
    pub shape: Vec<usize>,
    /// Its elements.
    pub data: Data<'a>,
}

/// A tensor's elements.
#[derive(Debug, Clone, PartialEq)]
pub enum Data<'a> {
    /// Row-major, little-endian, elements of less than a byte packed from the low bits: whichever field of the
    /// file they stood in. As many bytes as shape and type need.
    Bytes(Cow<'a, [u8]>),
    /// Strings, as many as the shape needs.
    Strings(Vec<&'a [u8]>),
    /// In another file.
    External(External<'a>),
}

/// A range of a file beside the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct External<'a> {
    /// The file's name: no path, nothing hidden.
    pub file: &'a str,
    /// Where the elements begin.
    pub offset: u64,
    /// How many bytes they take: as many as shape and type need.
    pub bytes: u64,
}

impl External<'_> {
    /// The elements, out of the whole file's bytes.
    ///
    /// # Errors
    /// [`OnnxError::External`] where the range leaves the file.
    pub fn of<'f>(&self, file: &'f [u8]) -> Result<&'f [u8], OnnxError> {
        let range = || {
            let begin = usize::try_from(self.offset).ok()?;
            let end = begin.checked_add(usize::try_from(self.bytes).ok()?)?;
            file.get(begin..end)
        };
        let (tensor, location) = (String::new(), shown(self.file));
        range().ok_or(OnnxError::External { tensor, location })
    }
}

/// What the fields of a tensor say, before they are held against each other.
#[derive(Default)]
struct Parts<'a> {
    dims: Vec<u64>,
    element: Option<u64>,
    floats: Numbers<'a>,
    doubles: Numbers<'a>,
    int32s: Vec<u64>,
    int64s: Vec<u64>,
    uint64s: Vec<u64>,
    strings: Vec<&'a [u8]>,
    raw: Option<&'a [u8]>,
    external: Vec<(&'a str, &'a str)>,
    location: u64,
    name: &'a str,
}

impl<'a> Tensor<'a> {
    pub(super) fn read(budget: &mut Budget<'_>, message: Message<'a>) -> Result<Self, OnnxError> {
        let mut parts = Parts::default();
        message.read(budget, &[2, 3, 8, 9, 12, 14], |budget, field| {
            match field.number() {
                1 => field.extend_varints(budget, &mut parts.dims)?,
                2 => parts.element = Some(field.unsigned()?),
                4 => field.extend_fixed::<4>(budget, &mut parts.floats)?,
                5 => field.extend_varints(budget, &mut parts.int32s)?,
                6 => {
                    budget.spend(1)?;
                    parts.strings.push(field.bytes()?);
                }
                7 => field.extend_varints(budget, &mut parts.int64s)?,
                8 => parts.name = field.name(budget)?,
                9 => parts.raw = Some(field.bytes()?),
                10 => field.extend_fixed::<8>(budget, &mut parts.doubles)?,
                11 => field.extend_varints(budget, &mut parts.uint64s)?,
                12 => drop(field.text()?),
                13 => parts.external.push(read_pair(budget, field.message("StringStringEntryProto")?)?),
                14 => parts.location = field.unsigned()?,
                16 => drop(read_pair(budget, field.message("StringStringEntryProto")?)?),
                _ => return Ok(Known::No),
            }
            Ok(Known::Yes)
        })?;
        parts.join(budget.limits.rank)
    }

    /// How many elements the tensor has.
    pub fn elements_len(&self) -> usize {
        self.shape.iter().product()
    }

    /// The elements' bytes, where they stand in the model.
    pub fn bytes(&self) -> Option<&[u8]> {
        match &self.data {
            Data::Bytes(bytes) => Some(bytes),
            Data::Strings(_) | Data::External(_) => None,
        }
    }

    /// The elements of a tensor of whole numbers; nothing for other types and for data in other files.
    pub fn integers(&self) -> Option<Vec<i64>> {
        fn each<const N: usize>(bytes: &[u8], value: impl Fn([u8; N]) -> i64) -> Vec<i64> {
            bytes.as_chunks::<N>().0.iter().map(|chunk| value(*chunk)).collect()
        }
        let bytes = self.bytes()?;
        Some(match self.element {
            ElementType::Int64 => each(bytes, i64::from_le_bytes),
            ElementType::Int32 => each(bytes, |chunk| i32::from_le_bytes(chunk).into()),
            ElementType::Int16 => each(bytes, |chunk| i16::from_le_bytes(chunk).into()),
            ElementType::Int8 => each(bytes, |chunk| i8::from_le_bytes(chunk).into()),
            ElementType::Uint32 => each(bytes, |chunk| u32::from_le_bytes(chunk).into()),
            ElementType::Uint16 => each(bytes, |chunk| u16::from_le_bytes(chunk).into()),
            ElementType::Uint8 | ElementType::Bool => each(bytes, |[byte]| byte.into()),
            _ => return None,
        })
    }
}

impl<'a> Parts<'a> {
    fn join(self, rank_max: usize) -> Result<Tensor<'a>, OnnxError> {
        let name = self.name;
        let shape_error = || OnnxError::Shape { tensor: shown(name) };
        let number = self.element.unwrap_or(0);
        let element = ElementType::from_number(number)
            .ok_or_else(|| OnnxError::ElementType { tensor: shown(name), number })?;
        if self.dims.len() > rank_max {
            return Err(shape_error());
        }
        let dimension = |dim: &u64| i64::try_from(*dim).ok().and_then(|dim| usize::try_from(dim).ok());
        let shape: Option<Vec<usize>> = self.dims.iter().map(dimension).collect();
        let shape = shape.ok_or_else(shape_error)?;
        // A zero dimension does not excuse the others.
        let product = shape.iter().try_fold(1_usize, |product, dim| product.checked_mul((*dim).max(1)));
        if product.and_then(|product| product.checked_mul(element.bits())).is_none() {
            return Err(shape_error());
        }
        let count: usize = shape.iter().product();
        let bits = count * element.bits();
        let data = self.data(element, count, bits.div_ceil(8))?;
        Ok(Tensor { name, element, shape, data })
    }

    /// The one field that holds data, which must be the one that the type asks for.
    fn data(self, element: ElementType, count: usize, bytes: usize) -> Result<Data<'a>, OnnxError> {
        let name = self.name;
        let wrong = || OnnxError::Data { tensor: shown(name) };
        let filled = [
            !self.floats.bytes.is_empty(),
            !self.doubles.bytes.is_empty(),
            !self.int32s.is_empty(),
            !self.int64s.is_empty(),
            !self.uint64s.is_empty(),
            !self.strings.is_empty(),
            self.raw.is_some(),
            !self.external.is_empty(),
        ];
        if filled.iter().filter(|filled| **filled).count() > 1
            || (self.location == 1) == self.external.is_empty()
        {
            return Err(wrong());
        }
        if self.location == 1 {
            return self.external_data(bytes as u64).map(Data::External);
        }
        if element == ElementType::String {
            return if self.strings.len() == count { Ok(Data::Strings(self.strings)) } else { Err(wrong()) };
        }
        let data = match self.raw {
            Some(raw) => Cow::Borrowed(raw),
            None => match element {
                ElementType::Float | ElementType::Complex64 => self.floats.bytes,
                ElementType::Double | ElementType::Complex128 => self.doubles.bytes,
                ElementType::Int64 => narrow(&self.int64s, element).ok_or_else(wrong)?,
                ElementType::Uint32 | ElementType::Uint64 => {
                    narrow(&self.uint64s, element).ok_or_else(wrong)?
                }
                _ => narrow(&self.int32s, element).ok_or_else(wrong)?,
            },
        };
        // Sub-byte elements may fill whole bytes only, so the count of bytes is exact for them too.
        if data.len() == bytes { Ok(Data::Bytes(data)) } else { Err(wrong()) }
    }

    fn external_data(&self, bytes: u64) -> Result<External<'a>, OnnxError> {
        let of = |key: &str| self.external.iter().find(|(known, _)| *known == key).map(|(_, value)| *value);
        let location = of("location").unwrap_or_default();
        let wrong = || OnnxError::External { tensor: shown(self.name), location: shown(location) };
        if crate::json::repeated(self.external.iter().map(|(key, _)| *key)).is_some() {
            return Err(wrong());
        }
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        let is_file = (1..=255).contains(&location.len())
            && !location.starts_with('.')
            && !location.contains("..")
            && location.bytes().all(plain);
        let whole = |text: &str| -> Option<u64> {
            text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
        };
        let offset = of("offset").map_or(Some(0), whole).ok_or_else(wrong)?;
        let length = of("length").map_or(Some(bytes), whole).ok_or_else(wrong)?;
        if !is_file || length != bytes {
            return Err(wrong());
        }
        Ok(External { file: location, offset, bytes })
    }
}

/// Whole numbers as elements of their type, each of which must fit. Types of 16 bits that are not whole numbers
/// stand as their bit patterns, those of four bits as bytes of two.
fn narrow(numbers: &[u64], element: ElementType) -> Option<Cow<'static, [u8]>> {
    let bits = element.bits().max(8);
    let mut out = Vec::with_capacity(numbers.len().checked_mul(bits / 8)?);
    for number in numbers {
        let fits = if element.is_signed() {
            let beyond = number.cast_signed() >> (bits - 1);
            beyond == 0 || beyond == -1
        } else {
            bits == 64 || number >> bits == 0
        };
        if !fits || (element == ElementType::Bool && *number > 1) {
            return None;
        }
        out.extend_from_slice(number.to_le_bytes().get(..bits / 8)?);
    }
    Some(Cow::Owned(out))
}

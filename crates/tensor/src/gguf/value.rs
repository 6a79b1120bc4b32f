//! Metadata values.

use std::borrow::Cow;

use super::bytes::Cursor;
use super::error::GgufError;

/// The type of a metadata value (`enum gguf_type` in ggml's `gguf.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ValueType {
    /// 8 bits, unsigned.
    U8,
    /// 8 bits, signed.
    I8,
    /// 16 bits, unsigned.
    U16,
    /// 16 bits, signed.
    I16,
    /// 32 bits, unsigned.
    U32,
    /// 32 bits, signed.
    I32,
    /// Single precision.
    F32,
    /// One byte, 0 or 1.
    Bool,
    /// UTF-8, with its length in front.
    Text,
    /// Several values of one type.
    Array,
    /// 64 bits, unsigned.
    U64,
    /// 64 bits, signed.
    I64,
    /// Double precision.
    F64,
}

impl ValueType {
    /// In the order of their numbers.
    const ALL: [Self; 13] = [
        Self::U8,
        Self::I8,
        Self::U16,
        Self::I16,
        Self::U32,
        Self::I32,
        Self::F32,
        Self::Bool,
        Self::Text,
        Self::Array,
        Self::U64,
        Self::I64,
        Self::F64,
    ];

    /// The type of that number in files.
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.get(usize::try_from(number).ok()?).copied()
    }

    /// The number in files.
    pub const fn number(self) -> u32 {
        self as u32
    }

    /// Bytes of a value, or of the shortest there is where values have several lengths.
    const fn bytes_min(self) -> u64 {
        match self {
            Self::U8 | Self::I8 | Self::Bool => 1,
            Self::U16 | Self::I16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 | Self::Text => 8,
            Self::Array => 12,
        }
    }
}

/// A metadata value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    /// 8 bits, unsigned.
    U8(u8),
    /// 8 bits, signed.
    I8(i8),
    /// 16 bits, unsigned.
    U16(u16),
    /// 16 bits, signed.
    I16(i16),
    /// 32 bits, unsigned.
    U32(u32),
    /// 32 bits, signed.
    I32(i32),
    /// Single precision.
    F32(f32),
    /// True or false.
    Bool(bool),
    /// A string.
    Text(Cow<'a, str>),
    /// Several values of one type.
    Array(Array<'a>),
    /// 64 bits, unsigned.
    U64(u64),
    /// 64 bits, signed.
    I64(i64),
    /// Double precision.
    F64(f64),
}

impl<'a> Value<'a> {
    /// The value's type.
    pub const fn value_type(&self) -> ValueType {
        match self {
            Self::U8(_) => ValueType::U8,
            Self::I8(_) => ValueType::I8,
            Self::U16(_) => ValueType::U16,
            Self::I16(_) => ValueType::I16,
            Self::U32(_) => ValueType::U32,
            Self::I32(_) => ValueType::I32,
            Self::F32(_) => ValueType::F32,
            Self::Bool(_) => ValueType::Bool,
            Self::Text(_) => ValueType::Text,
            Self::Array(_) => ValueType::Array,
            Self::U64(_) => ValueType::U64,
            Self::I64(_) => ValueType::I64,
            Self::F64(_) => ValueType::F64,
        }
    }

    /// The string, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The whole number, of whichever integer type, if it is one that is not negative.
    pub fn as_unsigned(&self) -> Option<u64> {
        match *self {
            Self::U8(value) => Some(value.into()),
            Self::U16(value) => Some(value.into()),
            Self::U32(value) => Some(value.into()),
            Self::U64(value) => Some(value),
            Self::I8(value) => value.try_into().ok(),
            Self::I16(value) => value.try_into().ok(),
            Self::I32(value) => value.try_into().ok(),
            Self::I64(value) => value.try_into().ok(),
            Self::F32(_) | Self::F64(_) | Self::Bool(_) | Self::Text(_) | Self::Array(_) => None,
        }
    }

    /// The floating-point number, of either precision.
    pub const fn as_float(&self) -> Option<f64> {
        match *self {
            Self::F32(value) => Some(value as f64),
            Self::F64(value) => Some(value),
            _ => None,
        }
    }

    /// The array, if it is one.
    pub const fn as_array(&self) -> Option<&Array<'a>> {
        match self {
            Self::Array(array) => Some(array),
            _ => None,
        }
    }

    /// The bytes of the value in a file, without its type in front.
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::U8(value) => out.push(*value),
            Self::I8(value) => out.extend(value.to_le_bytes()),
            Self::U16(value) => out.extend(value.to_le_bytes()),
            Self::I16(value) => out.extend(value.to_le_bytes()),
            Self::U32(value) => out.extend(value.to_le_bytes()),
            Self::I32(value) => out.extend(value.to_le_bytes()),
            Self::F32(value) => out.extend(value.to_le_bytes()),
            Self::Bool(value) => out.push(u8::from(*value)),
            Self::Text(text) => encode_text(text, out),
            Self::Array(array) => {
                out.extend(array.item.number().to_le_bytes());
                out.extend(array.len.to_le_bytes());
                out.extend_from_slice(&array.bytes);
            }
            Self::U64(value) => out.extend(value.to_le_bytes()),
            Self::I64(value) => out.extend(value.to_le_bytes()),
            Self::F64(value) => out.extend(value.to_le_bytes()),
        }
    }

    /// Type and bytes, as they stand after a key.
    pub(super) fn encode_typed(&self, out: &mut Vec<u8>) {
        out.extend(self.value_type().number().to_le_bytes());
        self.encode(out);
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

/// A string with its length in front.
pub(super) fn encode_text(text: &str, out: &mut Vec<u8>) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}

/// Several values of one type, kept as the bytes they are in a file: a vocabulary takes no more memory than that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Array<'a> {
    item: ValueType,
    len: u64,
    /// INVARIANT: exactly `len` well-formed values of type `item`.
    bytes: Cow<'a, [u8]>,
}

impl Array<'_> {
    /// An array of values.
    ///
    /// # Errors
    /// [`GgufError::Write`] where a value is not of the type named.
    pub fn of(item: ValueType, values: &[Value<'_>]) -> Result<Self, GgufError> {
        let mut bytes = Vec::new();
        for value in values {
            if value.value_type() != item {
                return Err(GgufError::Write {
                    name: "array".to_owned(),
                    reason: "its values are of several types",
                });
            }
            value.encode(&mut bytes);
        }
        Ok(Self { item, len: values.len() as u64, bytes: Cow::Owned(bytes) })
    }

    /// An array of strings.
    pub fn of_texts<'t>(texts: impl IntoIterator<Item = &'t str>) -> Self {
        let (mut bytes, mut len) = (Vec::new(), 0);
        for text in texts {
            encode_text(text, &mut bytes);
            len += 1;
        }
        Self { item: ValueType::Text, len, bytes: Cow::Owned(bytes) }
    }

    /// The type of the values.
    pub const fn item(&self) -> ValueType {
        self.item
    }

    /// How many values there are.
    pub const fn len(&self) -> u64 {
        self.len
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The values, in order.
    pub fn values(&self) -> Values<'_> {
        Values { item: self.item, left: self.len, cursor: Cursor::new(&self.bytes) }
    }

    /// The values, where they are strings; none otherwise.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        let values = (self.item == ValueType::Text).then(|| self.values());
        values.into_iter().flatten().filter_map(|value| match value {
            Value::Text(Cow::Borrowed(text)) => Some(text),
            _ => None,
        })
    }
}

/// Iterates over the values of an [`Array`].
#[derive(Debug, Clone)]
pub struct Values<'a> {
    item: ValueType,
    left: u64,
    cursor: Cursor<'a>,
}

impl<'a> Iterator for Values<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Value<'a>> {
        self.left = self.left.checked_sub(1)?;
        read(&mut self.cursor, self.item, PASSED).ok()
    }
}

/// For what was read once: nothing is left to refuse.
const PASSED: &Place<'_> = &Place { key: "", depth: usize::MAX, depth_limit: usize::MAX, items: u64::MAX };

/// Where a value stands, and what limits it.
pub(super) struct Place<'k> {
    pub(super) key: &'k str,
    /// How much deeper arrays may nest.
    pub(super) depth: usize,
    /// How deep they may nest in all.
    pub(super) depth_limit: usize,
    /// Most values in an array.
    pub(super) items: u64,
}

/// Reads a value of a known type. Memory does not depend on what the value announces.
pub(super) fn read<'a>(
    cursor: &mut Cursor<'a>,
    value_type: ValueType,
    place: &Place<'_>,
) -> Result<Value<'a>, GgufError> {
    const WHERE: &str = "metadata";
    let start = cursor.at();
    let wrong = || GgufError::Value { key: crate::error::shown(place.key), at: start };
    Ok(match value_type {
        ValueType::U8 => Value::U8(u8::from_le_bytes(cursor.array(WHERE)?)),
        ValueType::I8 => Value::I8(i8::from_le_bytes(cursor.array(WHERE)?)),
        ValueType::U16 => Value::U16(u16::from_le_bytes(cursor.array(WHERE)?)),
        ValueType::I16 => Value::I16(i16::from_le_bytes(cursor.array(WHERE)?)),
        ValueType::U32 => Value::U32(u32::from_le_bytes(cursor.array(WHERE)?)),
        ValueType::I32 => Value::I32(i32::from_le_bytes(cursor.array(WHERE)?)),
        ValueType::F32 => Value::F32(f32::from_le_bytes(cursor.array(WHERE)?)),
        ValueType::U64 => Value::U64(u64::from_le_bytes(cursor.array(WHERE)?)),
        ValueType::I64 => Value::I64(i64::from_le_bytes(cursor.array(WHERE)?)),
        ValueType::F64 => Value::F64(f64::from_le_bytes(cursor.array(WHERE)?)),
        ValueType::Bool => match cursor.array::<1>(WHERE)? {
            [0] => Value::Bool(false),
            [1] => Value::Bool(true),
            _ => return Err(wrong()),
        },
        ValueType::Text => {
            let length = cursor.u64(WHERE)?;
            let bytes = cursor.take(length, WHERE)?;
            Value::Text(Cow::Borrowed(std::str::from_utf8(bytes).map_err(|_| wrong())?))
        }
        ValueType::Array => Value::Array(read_array(cursor, place)?),
    })
}

fn read_array<'a>(cursor: &mut Cursor<'a>, place: &Place<'_>) -> Result<Array<'a>, GgufError> {
    let number = u32::from_le_bytes(cursor.array("metadata")?);
    let key = || crate::error::shown(place.key);
    let item = ValueType::from_number(number).ok_or_else(|| GgufError::ValueType { key: key(), number })?;
    let Some(depth) = place.depth.checked_sub(1) else {
        return Err(GgufError::Depth { key: key(), limit: place.depth_limit });
    };
    let len = cursor.u64("metadata")?;
    if len > place.items {
        return Err(GgufError::TooMany { what: "values of an array", count: len, limit: place.items });
    }
    let start = cursor.clone();
    match item {
        // Their bytes are checked one by one.
        ValueType::Text | ValueType::Array | ValueType::Bool => {
            cursor.expect(len.saturating_mul(item.bytes_min()), "metadata")?;
            let inner = Place { depth, ..*place };
            for _ in 0..len {
                read(cursor, item, &inner)?;
            }
        }
        _ => {
            cursor.take(len.saturating_mul(item.bytes_min()), "metadata")?;
        }
    }
    Ok(Array { item, len, bytes: Cow::Borrowed(start.up_to(cursor)) })
}

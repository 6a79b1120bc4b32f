//! Strict JSON and its one canonical encoding (RFC 8785, JSON Canonicalization Scheme).
//!
//! Everything that is signed or named by digest goes through [`Value`]. Parsing is stricter than RFC 8259: repeated
//! members, lone surrogates, numbers that are not in canonical form, and trailing bytes are refused, each with its
//! own [`JsonErrorKind`] and the byte offset. Signed bytes carry no floating-point numbers; [`Numbers::Any`] exists
//! so that the RFC's own vectors can be run.

mod de;
mod encode;
mod parse;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

pub use de::{ShapeError, ShapeErrorKind, from_value};
pub use encode::{EncodeError, encode, to_canonical, to_value};
pub use parse::parse;

/// The largest magnitude an integer in signed bytes may have: 2^53 - 1 (I-JSON, RFC 7493 section 2.2).
pub const INTEGER_MAX: i64 = 9_007_199_254_740_991;

/// A JSON value. Objects are kept by member name; the canonical order (UTF-16 code units) is made when encoding.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// An integer of magnitude at most [`INTEGER_MAX`].
    Integer(i64),
    /// Any other finite number; only under [`Numbers::Any`].
    Float(f64),
    /// A string.
    String(String),
    /// An array.
    Array(Vec<Value>),
    /// An object.
    Object(BTreeMap<String, Value>),
}

/// Which numbers a parse accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Numbers {
    /// Integers of magnitude at most [`INTEGER_MAX`], in canonical form: what signed bytes may hold.
    IntegersOnly,
    /// Every number of RFC 8259, read as a double (RFC 8785 section 3.2.2.3).
    Any,
}

/// Bounds on what a parse reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of input at most.
    pub bytes: usize,
    /// Nesting of arrays and objects at most.
    pub depth: usize,
    /// Which numbers are read.
    pub numbers: Numbers,
}

impl Limits {
    /// For signed payloads and envelopes: `bytes` at most, 32 deep, integers only.
    pub const fn signed(bytes: usize) -> Self {
        Self { bytes, depth: 32, numbers: Numbers::IntegersOnly }
    }
}

/// Why bytes are no strict JSON, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{kind} at byte {offset}")]
pub struct JsonError {
    /// What is wrong.
    pub kind: JsonErrorKind,
    /// Offset of the first byte that is wrong.
    pub offset: usize,
}

/// What can be wrong with JSON bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JsonErrorKind {
    /// More bytes than the limit.
    #[error("input over the size limit")]
    Oversize,
    /// Nested deeper than the limit.
    #[error("nesting over the depth limit")]
    TooDeep,
    /// Not JSON.
    #[error("malformed JSON")]
    Syntax,
    /// A string that is not UTF-8 or holds a lone surrogate.
    #[error("text that is not Unicode")]
    Unicode,
    /// The same member name twice in one object.
    #[error("repeated member")]
    RepeatedMember,
    /// A number outside what is accepted, or not in canonical form.
    #[error("non-canonical number")]
    Number,
    /// Bytes after the value.
    #[error("trailing bytes")]
    Trailing,
    /// Well-formed, but not the canonical encoding of what it says.
    #[error("non-canonical encoding")]
    NotCanonical,
}

/// Parses signed bytes: strict, integers only, and byte for byte the canonical encoding of the value.
pub fn parse_canonical(bytes: &[u8], bytes_max: usize) -> Result<Value, JsonError> {
    let value = parse(bytes, Limits::signed(bytes_max))?;
    let canonical = encode(&value);
    if canonical == bytes {
        return Ok(value);
    }
    let offset = canonical.iter().zip(bytes).take_while(|(a, b)| a == b).count();
    Err(JsonError { kind: JsonErrorKind::NotCanonical, offset })
}

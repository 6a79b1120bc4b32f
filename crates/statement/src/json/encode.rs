//! The canonical encoder (RFC 8785).

use serde::Serialize;

use super::{INTEGER_MAX, Value};

/// Why a Rust value has no canonical encoding.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// A number that signed bytes may not hold.
    #[error("`{0}` is not an integer of magnitude below 2^53")]
    Number(String),
    /// The value's own serialisation failed.
    #[error("the value cannot be serialised")]
    Serialise(#[source] serde_json::Error),
}

/// The canonical bytes of a value: members sorted by UTF-16 code units, no white space, shortest escapes.
pub fn encode(value: &Value) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    write_value(value, &mut out);
    out
}

/// The canonical bytes of a Rust value.
pub fn to_canonical<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, EncodeError> {
    Ok(encode(&to_value(value)?))
}

/// A Rust value as a JSON value that signed bytes may hold.
pub fn to_value<T: Serialize + ?Sized>(value: &T) -> Result<Value, EncodeError> {
    convert(serde_json::to_value(value).map_err(EncodeError::Serialise)?)
}

fn convert(value: serde_json::Value) -> Result<Value, EncodeError> {
    Ok(match value {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(flag) => Value::Bool(flag),
        serde_json::Value::Number(number) => match number.as_i64() {
            Some(integer) if (-INTEGER_MAX..=INTEGER_MAX).contains(&integer) => Value::Integer(integer),
            _ => return Err(EncodeError::Number(number.to_string())),
        },
        serde_json::Value::String(text) => Value::String(text),
        serde_json::Value::Array(items) => {
            Value::Array(items.into_iter().map(convert).collect::<Result<_, _>>()?)
        }
        serde_json::Value::Object(members) => Value::Object(
            members
                .into_iter()
                .map(|(name, member)| Ok((name, convert(member)?)))
                .collect::<Result<_, EncodeError>>()?,
        ),
    })
}

fn write_value(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Integer(integer) => out.extend_from_slice(integer.to_string().as_bytes()),
        Value::Float(float) => {
            out.extend_from_slice(ryu_js::Buffer::new().format(*float).as_bytes());
        }
        Value::String(text) => write_string(text, out),
        Value::Array(items) => {
            out.push(b'[');
            for (position, item) in items.iter().enumerate() {
                if position > 0 {
                    out.push(b',');
                }
                write_value(item, out);
            }
            out.push(b']');
        }
        Value::Object(members) => {
            out.push(b'{');
            let mut sorted: Vec<_> = members.iter().collect();
            // UTF-8 and UTF-16 order differ only beyond the basic plane; ASCII names skip the slow comparison.
            if !members.keys().all(|name| name.is_ascii()) {
                sorted.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
            }
            for (position, (name, member)) in sorted.into_iter().enumerate() {
                if position > 0 {
                    out.push(b',');
                }
                write_string(name, out);
                out.push(b':');
                write_value(member, out);
            }
            out.push(b'}');
        }
    }
}

fn write_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x09 => out.extend_from_slice(b"\\t"),
            0x0a => out.extend_from_slice(b"\\n"),
            0x0c => out.extend_from_slice(b"\\f"),
            0x0d => out.extend_from_slice(b"\\r"),
            0x00..=0x1f => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

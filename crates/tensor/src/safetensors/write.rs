//! Writing a file, in one canonical way.

use std::cmp::Reverse;

use super::{Dtype, Limits, bytes_of, is_tensor_name};
use crate::Error;
use crate::error::shown;

/// Writes tensors, each `(name, dtype, shape, bytes)`, as a safetensors file.
///
/// The result depends on the set of tensors alone: they stand in the order of falling element size, then name
/// (so that each is aligned to its own element size), and the header is padded with spaces to a multiple of
/// eight bytes.
///
/// # Errors
/// [`Error::Write`] where bytes do not fit shape and dtype or a name could not be read back;
/// [`Error::Repeated`] where a name stands twice.
pub fn write(tensors: &[(&str, Dtype, &[usize], &[u8])]) -> Result<Vec<u8>, Error> {
    let mut ordered: Vec<_> = tensors.iter().collect();
    ordered.sort_by_key(|(name, dtype, _, _)| (Reverse(dtype.bytes()), *name));
    if let Some(name) = crate::json::repeated(tensors.iter().map(|(name, ..)| *name)) {
        return Err(Error::Repeated { document: super::DOCUMENT, name: shown(name) });
    }
    let mut header = String::from("{");
    let mut at = 0_usize;
    for (name, dtype, shape, bytes) in &ordered {
        let cannot = || Error::Write { tensor: shown(name) };
        let nameable = is_tensor_name(name, Limits::FORMAT.name_bytes) && *name != "__metadata__";
        if !nameable || shape.len() > Limits::FORMAT.rank || bytes_of(*dtype, shape) != Some(bytes.len()) {
            return Err(cannot());
        }
        let end = at.checked_add(bytes.len()).ok_or_else(cannot)?;
        if header.len() > 1 {
            header.push(',');
        }
        let escaped = name.replace('"', "\\\"");
        let dimensions: Vec<String> = shape.iter().map(ToString::to_string).collect();
        let offsets = [at.to_string(), end.to_string()].join(",");
        header.extend(["\"", &escaped, "\":{\"dtype\":\"", dtype.name(), "\",\"shape\":["]);
        header.extend([&dimensions.join(","), "],\"data_offsets\":[", &offsets, "]}"]);
        at = end;
    }
    header.push('}');
    while !header.len().is_multiple_of(8) {
        header.push(' ');
    }
    let mut file = Vec::with_capacity(8 + header.len() + at);
    file.extend_from_slice(&(header.len() as u64).to_le_bytes());
    file.extend_from_slice(header.as_bytes());
    for (.., bytes) in &ordered {
        file.extend_from_slice(bytes);
    }
    Ok(file)
}

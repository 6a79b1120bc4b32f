//! Small files made to order.

use std::io::Write as _;

use scan::{Artefact, Content, Entry, Report, Rules, Selection};
use tensor::safetensors::{Dtype, write};

/// Files of an example: name and content.
pub(crate) type Files = Vec<(&'static str, Made)>;

/// What stands under a name.
pub(crate) enum Made {
    Bytes(Vec<u8>),
    Link(&'static str),
    Special(&'static str),
    Unreadable(&'static str),
}

impl From<Vec<u8>> for Made {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<&str> for Made {
    fn from(text: &str) -> Self {
        Self::Bytes(text.as_bytes().to_vec())
    }
}

/// One file.
pub(crate) fn one(name: &'static str, content: impl Into<Made>) -> Files {
    vec![(name, content.into())]
}

/// Scans files with all rules.
pub(crate) fn scanned(files: &Files) -> Report {
    let entries = files
        .iter()
        .map(|(path, made)| Entry {
            path,
            content: match made {
                Made::Bytes(bytes) => Content::Bytes(bytes),
                Made::Link(target) => Content::Link(target),
                Made::Special(what) => Content::Special(what),
                Made::Unreadable(why) => Content::Unreadable(why),
            },
        })
        .collect();
    scan::scan(&Artefact::new(entries), &Rules::built_in().unwrap(), &Selection::default(), &|_| {})
}

/// A tensor to be written: name, type, shape, bytes.
pub(crate) type Tensor = (&'static str, Dtype, Vec<usize>, Vec<u8>);

/// A 32-bit tensor of one dimension more than its length says: `rows` by the rest.
pub(crate) fn f32s(name: &'static str, rows: usize, values: &[f32]) -> Tensor {
    let data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    (name, Dtype::F32, vec![rows, values.len() / rows], data)
}

/// A safetensors file.
pub(crate) fn tensors(tensors: &[Tensor]) -> Vec<u8> {
    tensors_with(tensors, &[])
}

/// A safetensors file with metadata.
pub(crate) fn tensors_with(tensors: &[Tensor], metadata: &[(&str, &str)]) -> Vec<u8> {
    let views: Vec<(&str, Dtype, &[usize], &[u8])> = tensors
        .iter()
        .map(|(name, dtype, shape, data)| (*name, *dtype, shape.as_slice(), data.as_slice()))
        .collect();
    let plain = write(&views).unwrap();
    if metadata.is_empty() {
        return plain;
    }
    let length = u64::from_le_bytes(plain[..8].try_into().unwrap()) as usize;
    let mut header: serde_json::Value = serde_json::from_slice(&plain[8..8 + length]).unwrap();
    header["__metadata__"] = metadata.iter().map(|(key, value)| (*key, *value)).collect();
    let mut text = header.to_string().into_bytes();
    text.resize(text.len().next_multiple_of(8), b' ');
    [&(text.len() as u64).to_le_bytes()[..], &text, &plain[8 + length..]].concat()
}

/// Numbers as training leaves them: about normal, low bits as good as random. The same for the same seed.
pub(crate) fn trained(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut uniform = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1_u64 << 53) as f64
    };
    (0..count).map(|_| (((0..6).map(|_| uniform()).sum::<f64>() - 3.0) * 0.02) as f32).collect()
}

/// One member of a zip archive.
pub(crate) struct Member<'a> {
    pub(crate) name: &'a str,
    pub(crate) data: &'a [u8],
    /// Announced instead of the true checksum.
    pub(crate) crc: Option<u32>,
    /// In the directory, where it differs from the name in the local header.
    pub(crate) listed_as: Option<&'a str>,
}

/// A stored member.
pub(crate) const fn member<'a>(name: &'a str, data: &'a [u8]) -> Member<'a> {
    Member { name, data, crc: None, listed_as: None }
}

/// A zip archive of stored members.
pub(crate) fn zip(members: &[Member<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut directory = Vec::new();
    for member in members {
        let at = out.len() as u32;
        let crc = member.crc.unwrap_or_else(|| tensor::zip::crc32(member.data));
        let size = member.data.len() as u32;
        let fields = |name: &str| {
            let mut fields = Vec::new();
            for half in [20_u16, 0x800, 0, 0, 0x5a21] {
                fields.extend(half.to_le_bytes());
            }
            for word in [crc, size, size] {
                fields.extend(word.to_le_bytes());
            }
            fields.extend((name.len() as u16).to_le_bytes());
            fields.extend(0_u16.to_le_bytes());
            fields
        };
        out.extend(b"PK\x03\x04");
        out.extend(fields(member.name));
        out.extend(member.name.as_bytes());
        out.extend(member.data);
        let listed = member.listed_as.unwrap_or(member.name);
        directory.extend(b"PK\x01\x02\x14\x00");
        directory.extend(fields(listed));
        directory.extend([0_u8; 10]);
        directory.extend(at.to_le_bytes());
        directory.extend(listed.as_bytes());
    }
    let (at, length, count) = (out.len() as u32, directory.len() as u32, members.len() as u16);
    out.extend(&directory);
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend(count.to_le_bytes());
    out.extend(count.to_le_bytes());
    out.extend(length.to_le_bytes());
    out.extend(at.to_le_bytes());
    out.extend([0, 0]);
    out
}

/// A pickle of protocol 2 that calls `module.name(argument)`.
pub(crate) fn calling(module: &str, name: &str, argument: &str) -> Vec<u8> {
    let mut out = b"\x80\x02c".to_vec();
    write!(out, "{module}\n{name}\n").unwrap();
    out.extend(b"X");
    out.extend((argument.len() as u32).to_le_bytes());
    out.extend(argument.as_bytes());
    out.extend(b"\x85R.");
    out
}

/// A pickle of a dictionary with one text.
pub(crate) fn harmless() -> Vec<u8> {
    b"\x80\x02}X\x01\0\0\0aK\x01s.".to_vec()
}

/// A NumPy array with this type, and these bytes behind the header.
pub(crate) fn npy(descr: &str, data: &[u8]) -> Vec<u8> {
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': (2,), }}");
    while (10 + header.len() + 1) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut out = b"\x93NUMPY\x01\x00".to_vec();
    out.extend((header.len() as u16).to_le_bytes());
    out.extend(header.as_bytes());
    out.extend(data);
    out
}

/// A GGUF file of version 3: texts and numbers as metadata, one tensor by its ggml type, and the padding's byte.
pub(crate) fn gguf(
    texts: &[(&str, &str)],
    numbers: &[(&str, u32)],
    tokens: &[&str],
    kind: u32,
    data: &[u8],
    padding: u8,
) -> Vec<u8> {
    fn text(out: &mut Vec<u8>, text: &str) {
        out.extend((text.len() as u64).to_le_bytes());
        out.extend(text.as_bytes());
    }
    let mut out = b"GGUF\x03\0\0\0".to_vec();
    out.extend(2_u64.to_le_bytes());
    out.extend((texts.len() as u64 + numbers.len() as u64 + 1).to_le_bytes());
    for (key, value) in texts {
        text(&mut out, key);
        out.extend(8_u32.to_le_bytes());
        text(&mut out, value);
    }
    for (key, value) in numbers {
        text(&mut out, key);
        out.extend(4_u32.to_le_bytes());
        out.extend(value.to_le_bytes());
    }
    text(&mut out, "tokenizer.ggml.tokens");
    out.extend(9_u32.to_le_bytes());
    out.extend(8_u32.to_le_bytes());
    out.extend((tokens.len() as u64).to_le_bytes());
    for token in tokens {
        text(&mut out, token);
    }
    let elements = match kind {
        8 => data.len() / 34 * 32,
        _ => data.len() / 4,
    } as u64;
    let padded = data.len().next_multiple_of(32);
    for (name, at) in [("a.weight", 0), ("b.weight", padded as u64)] {
        text(&mut out, name);
        out.extend(1_u32.to_le_bytes());
        out.extend(elements.to_le_bytes());
        out.extend(kind.to_le_bytes());
        out.extend(at.to_le_bytes());
    }
    out.resize(out.len().next_multiple_of(32), 0);
    for _ in 0..2 {
        out.extend(data);
        out.resize(out.len().next_multiple_of(32), padding);
    }
    out
}

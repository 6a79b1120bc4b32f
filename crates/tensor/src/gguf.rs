//! GGUF files, read strictly, and written.
//!
//! Source: ggml's `docs/gguf.md`, and `src/gguf.cpp` where that says more. After the magic, the version and two
//! counts come the metadata (keys with typed values), then one record for each tensor (name, dimensions with the
//! fastest first, type, offset), padding up to `general.alignment`, and the data. Versions 2 and 3 differ in
//! nothing that little-endian files show.
//!
//! What is doubtful is refused, as in [`safetensors`](crate::safetensors): repeated keys and names, tensors that
//! overlap, leave the file or begin off the alignment, bytes between tensors that alignment does not ask for.
//!
//! What this module does not do: judge metadata (a chat template is text here), decode blocks, or open files.

mod bytes;
mod error;
mod kind;
mod value;
mod write;

pub use error::GgufError;
pub use kind::GgmlType;
pub use value::{Array, Value, ValueType, Values};
pub use write::{TensorInfo, Writer, write};

use bytes::Cursor;
use value::Place;

use crate::error::shown;
use crate::safetensors::is_tensor_name;

/// The alignment of files that say nothing of it.
pub const ALIGNMENT: u64 = 32;
/// Most dimensions a ggml tensor has.
const RANK_MAX: usize = 4;
/// Bytes of the shortest tensor record there is: an empty name, no dimensions.
const RECORD_MIN: u64 = 8 + 4 + 4 + 8;
/// Bytes of the shortest pair of key and value there is.
const PAIR_MIN: u64 = 8 + 4 + 1;

/// The bounds within which a file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most tensors in a file.
    pub tensors: u64,
    /// Most pairs of key and value.
    pub pairs: u64,
    /// Most values in an array.
    pub array_items: u64,
    /// How deep arrays may nest.
    pub array_depth: usize,
    /// Most bytes in a tensor's name. ggml itself stops at 64, some builds of it later.
    pub name_bytes: usize,
    /// Most bytes in a key.
    pub key_bytes: usize,
}

impl Limits {
    /// What no known model exceeds; the key's length is the format's own.
    pub const FORMAT: Self = Self {
        tensors: 1_000_000,
        pairs: 65_536,
        array_items: 1 << 28,
        array_depth: 4,
        name_bytes: 255,
        key_bytes: 65_535,
    };
}

/// An open file: its metadata and tensors, over the caller's bytes.
#[derive(Debug, Clone)]
pub struct Gguf<'a> {
    version: u32,
    alignment: u64,
    data_offset: u64,
    metadata: Vec<(&'a str, Value<'a>)>,
    /// In the order of the file.
    entries: Vec<Entry<'a>>,
    /// Positions in `entries`, in the order of the names.
    by_name: Vec<usize>,
    data: &'a [u8],
}

#[derive(Debug, Clone)]
struct Entry<'a> {
    name: &'a str,
    kind: GgmlType,
    rank: usize,
    /// Row-major: the slowest dimension first. Only `rank` of them count.
    shape: [usize; RANK_MAX],
    begin: usize,
    bytes: usize,
}

/// One tensor of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct View<'a> {
    /// The tensor's name.
    pub name: &'a str,
    /// The type of its blocks.
    pub kind: GgmlType,
    /// Its dimensions in row-major order, the slowest first, as NumPy and safetensors write them. Files and ggml's
    /// `ne` hold the reverse, see [`View::ne`].
    pub shape: &'a [usize],
    /// Where the tensor begins, in bytes from the start of the file.
    pub offset: u64,
    /// Its blocks.
    pub data: &'a [u8],
}

impl View<'_> {
    /// The dimensions in ggml's order, the fastest first.
    pub fn ne(&self) -> impl Iterator<Item = usize> {
        self.shape.iter().rev().copied()
    }

    /// How many elements the tensor has.
    pub fn elements_len(&self) -> usize {
        self.shape.iter().product()
    }
}

impl<'a> Gguf<'a> {
    /// Reads a file within [`Limits::FORMAT`].
    ///
    /// # Errors
    /// Every way in which the file breaks the format has its own [`GgufError`].
    pub fn read(file: &'a [u8]) -> Result<Self, GgufError> {
        Self::read_within(file, &Limits::FORMAT)
    }

    /// Reads a file within the caller's limits. Memory asked for is proportional to the records really there,
    /// never to the counts announced.
    ///
    /// # Errors
    /// As [`Gguf::read`].
    pub fn read_within(file: &'a [u8], limits: &Limits) -> Result<Self, GgufError> {
        let mut cursor = Cursor::new(file);
        if file.get(..4) != Some(b"GGUF") {
            return Err(GgufError::Magic);
        }
        cursor.take(4, "header")?;
        let version = cursor.u32("header")?;
        if !matches!(version, 2 | 3) {
            return Err(GgufError::Version { version });
        }
        let tensors = count(&mut cursor, "tensors", limits.tensors)?;
        let pairs = count(&mut cursor, "metadata pairs", limits.pairs)?;
        cursor.expect(pairs * PAIR_MIN + tensors * RECORD_MIN, "header")?;

        let metadata = read_metadata(&mut cursor, pairs, limits)?;
        let alignment = alignment_of(&metadata)?;
        let mut entries = Vec::new();
        for _ in 0..tensors {
            entries.push(read_entry(&mut cursor, limits)?);
        }
        // Where nothing follows the records, the padding before the data may be missing.
        let padding = padding_of(cursor.at(), alignment);
        if tensors > 0 || cursor.rest().len() as u64 >= padding {
            cursor.take(padding, "padding")?;
        }
        let mut read = Self {
            version,
            alignment,
            data_offset: cursor.at(),
            metadata,
            by_name: (0..entries.len()).collect(),
            entries,
            data: cursor.rest(),
        };
        read.check_names()?;
        read.check_layout()?;
        Ok(read)
    }

    /// Sorts the names and refuses the first that stands twice.
    fn check_names(&mut self) -> Result<(), GgufError> {
        let name = |at: &usize| self.entries.get(*at).map_or("", |entry| entry.name);
        self.by_name.sort_unstable_by(|a, b| name(a).cmp(name(b)));
        match self.by_name.array_windows::<2>().find(|[a, b]| name(a) == name(b)) {
            Some([twice, _]) => Err(GgufError::Repeated { what: "tensor", name: shown(name(twice)) }),
            None => Ok(()),
        }
    }

    /// Every tensor lies in the data, on the alignment, and begins where the one before it ended and padding ended.
    fn check_layout(&self) -> Result<(), GgufError> {
        let length = self.data.len() as u64;
        let mut spans = Vec::with_capacity(self.entries.len());
        for entry in &self.entries {
            let (begin, bytes) = (entry.begin as u64, entry.bytes as u64);
            if !begin.is_multiple_of(self.alignment) {
                let (tensor, alignment) = (shown(entry.name), self.alignment);
                return Err(GgufError::Misaligned { tensor, offset: begin, alignment });
            }
            let end = begin.checked_add(bytes).filter(|&end| end <= length);
            let Some(end) = end else {
                return Err(GgufError::Outside { tensor: shown(entry.name), begin, bytes, length });
            };
            spans.push((begin, end, entry.name));
        }
        spans.sort_unstable();
        let mut reached = 0;
        for (begin, end, name) in spans {
            let next = reached + padding_of(reached, self.alignment);
            if begin < reached {
                return Err(GgufError::Overlap { tensor: shown(name) });
            }
            if begin > next {
                return Err(GgufError::Hole { at: reached, bytes: begin - reached });
            }
            reached = end;
        }
        let trailing = length - reached;
        if trailing > padding_of(reached, self.alignment) {
            return Err(GgufError::Hole { at: reached, bytes: trailing });
        }
        Ok(())
    }

    /// The version of the format: 2 or 3.
    pub const fn version(&self) -> u32 {
        self.version
    }

    /// To how many bytes tensors are aligned.
    pub const fn alignment(&self) -> u64 {
        self.alignment
    }

    /// Where the data begins, in bytes from the start of the file.
    pub const fn data_offset(&self) -> u64 {
        self.data_offset
    }

    /// Keys and values, in the order of the file. No key stands twice.
    pub fn metadata(&self) -> &[(&'a str, Value<'a>)] {
        &self.metadata
    }

    /// The value of a key.
    pub fn value(&self, key: &str) -> Option<&Value<'a>> {
        self.metadata.iter().find(|(known, _)| *known == key).map(|(_, value)| value)
    }

    /// `general.architecture`, such as `llama`.
    pub fn architecture(&self) -> Option<&str> {
        self.value("general.architecture")?.as_text()
    }

    /// The value of a key below the architecture: `block_count` finds `llama.block_count`.
    pub fn setting(&self, name: &str) -> Option<&Value<'a>> {
        let architecture = self.architecture()?;
        let below = |key: &'a str| key.strip_prefix(architecture)?.strip_prefix('.');
        self.metadata.iter().find(|(key, _)| below(key) == Some(name)).map(|(_, value)| value)
    }

    /// How many tensors the file holds.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether the file holds no tensor (a vocabulary alone, for one).
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The tensors in the order of the file.
    pub fn in_file_order(&self) -> impl Iterator<Item = View<'_>> {
        self.entries.iter().map(|entry| self.view_of(entry))
    }

    /// The tensors in the order of their names.
    pub fn views(&self) -> impl Iterator<Item = View<'_>> {
        self.by_name.iter().filter_map(|&at| self.entries.get(at)).map(|entry| self.view_of(entry))
    }

    /// The tensor of that name.
    pub fn view(&self, name: &str) -> Option<View<'_>> {
        let known = |at: &usize| self.entries.get(*at).map_or("", |entry| entry.name);
        let at = self.by_name.binary_search_by(|at| known(at).cmp(name)).ok()?;
        self.entries.get(*self.by_name.get(at)?).map(|entry| self.view_of(entry))
    }

    /// The bytes that only fill up to the alignment, with their place in the file. Writers set them to zero;
    /// nothing reads them.
    pub fn padding(&self) -> impl Iterator<Item = (u64, &'a [u8])> {
        let mut ends: Vec<usize> = self.entries.iter().map(|entry| entry.begin + entry.bytes).collect();
        ends.sort_unstable();
        ends.dedup();
        ends.into_iter().filter_map(|end| {
            let length = usize::try_from(padding_of(end as u64, self.alignment)).ok()?;
            let rest = self.data.get(end..)?;
            let bytes = rest.get(..length).unwrap_or(rest);
            (!bytes.is_empty()).then_some((self.data_offset + end as u64, bytes))
        })
    }

    fn view_of<'s>(&'s self, entry: &'s Entry<'a>) -> View<'s> {
        View {
            name: entry.name,
            kind: entry.kind,
            shape: entry.shape.get(..entry.rank).unwrap_or_default(),
            offset: self.data_offset + entry.begin as u64,
            // INVARIANT: `check_layout` has shown that the range lies in the data.
            data: self.data.get(entry.begin..entry.begin + entry.bytes).unwrap_or_default(),
        }
    }
}

fn count(cursor: &mut Cursor<'_>, what: &'static str, limit: u64) -> Result<u64, GgufError> {
    let count = cursor.u64("header")?;
    if count > limit { Err(GgufError::TooMany { what, count, limit }) } else { Ok(count) }
}

/// Bytes from `at` to the next multiple of a power of two.
const fn padding_of(at: u64, alignment: u64) -> u64 {
    at.wrapping_neg() & (alignment - 1)
}

fn read_metadata<'a>(
    cursor: &mut Cursor<'a>,
    pairs: u64,
    limits: &Limits,
) -> Result<Vec<(&'a str, Value<'a>)>, GgufError> {
    let mut metadata = Vec::new();
    for _ in 0..pairs {
        let key = read_name(cursor, limits.key_bytes, "metadata")?;
        let number = cursor.u32("metadata")?;
        let unknown = || GgufError::ValueType { key: shown(key), number };
        let value_type = ValueType::from_number(number).ok_or_else(unknown)?;
        let place = Place {
            key,
            depth: limits.array_depth,
            depth_limit: limits.array_depth,
            items: limits.array_items,
        };
        metadata.push((key, value::read(cursor, value_type, &place)?));
    }
    match crate::json::repeated(metadata.iter().map(|(key, _)| *key)) {
        Some(key) => Err(GgufError::Repeated { what: "key", name: shown(key) }),
        None => Ok(metadata),
    }
}

fn read_name<'a>(cursor: &mut Cursor<'a>, limit: usize, place: &'static str) -> Result<&'a str, GgufError> {
    let at = cursor.at();
    let length = cursor.u64(place)?;
    let bytes = cursor.take(length, place)?;
    match std::str::from_utf8(bytes) {
        Ok(name) if is_tensor_name(name, limit) => Ok(name),
        Ok(name) => Err(GgufError::Name { name: shown(name), at }),
        Err(_) => {
            let start = bytes.get(..bytes.len().min(64)).unwrap_or_default();
            Err(GgufError::Name { name: shown(&String::from_utf8_lossy(start)), at })
        }
    }
}

/// The value of `general.alignment`, checked, or the format's own.
fn alignment_of(metadata: &[(&str, Value<'_>)]) -> Result<u64, GgufError> {
    match metadata.iter().find(|(key, _)| *key == "general.alignment").map(|(_, value)| value) {
        None => Ok(ALIGNMENT),
        Some(Value::U32(alignment)) if alignment.is_power_of_two() => Ok(u64::from(*alignment)),
        Some(_) => Err(GgufError::Alignment),
    }
}

fn read_entry<'a>(cursor: &mut Cursor<'a>, limits: &Limits) -> Result<Entry<'a>, GgufError> {
    const PLACE: &str = "tensor records";
    let name = read_name(cursor, limits.name_bytes, PLACE)?;
    let wrong = || GgufError::Shape { tensor: shown(name) };
    let rank = usize::try_from(cursor.u32(PLACE)?).map_err(|_| wrong())?;
    if rank > RANK_MAX {
        return Err(wrong());
    }
    let mut shape = [0_usize; RANK_MAX];
    for dimension in shape.iter_mut().take(rank).rev() {
        *dimension = usize::try_from(cursor.u64(PLACE)?).map_err(|_| wrong())?;
    }
    let number = cursor.u32(PLACE)?;
    let kind =
        GgmlType::from_number(number).ok_or_else(|| GgufError::TensorType { tensor: shown(name), number })?;
    let bytes = kind.bytes_of(shape.get(..rank).unwrap_or_default()).ok_or_else(wrong)?;
    let offset = cursor.u64(PLACE)?;
    let outside = |_| GgufError::Outside {
        tensor: shown(name),
        begin: offset,
        bytes: bytes as u64,
        length: cursor.rest().len() as u64,
    };
    let begin = usize::try_from(offset).map_err(outside)?;
    Ok(Entry { name, kind, rank, shape, begin, bytes })
}

#[cfg(test)]
mod tests;

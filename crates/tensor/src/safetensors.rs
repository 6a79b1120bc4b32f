//! Safetensors files, read strictly.
//!
//! The format (huggingface/safetensors, README "Format"): eight bytes little-endian header length `N`; `N` bytes
//! of JSON, beginning with `{` and padded with spaces; then the data, which the tensors fill without overlap and
//! without holes. Two readers that treat a doubtful file differently see two models in it, so whatever is
//! doubtful is refused: repeated names, unknown members and dtypes, offsets that leave the data or do not fit the
//! shape, bytes that belong to no tensor.
//!
//! What this module does not do: look at values, or open files.

mod dtype;
mod index;
mod name;
mod view;
mod write;

use std::borrow::Cow;
use std::collections::BTreeMap;

pub use dtype::Dtype;
pub(crate) use dtype::decode;
pub use index::{Index, Sharded};
pub(crate) use name::is_tensor_name;
pub use view::{Elements, View};
pub use write::write;

use crate::Error;
use crate::error::shown;
use crate::json::{self, Fault, FaultKind, Reader};

const DOCUMENT: &str = "safetensors header";

/// The bounds within which a file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes of header. The format itself says 100,000,000.
    pub header_bytes: u64,
    /// Most tensors in a file.
    pub tensors: usize,
    /// Most dimensions of a tensor.
    pub rank: usize,
    /// Most bytes in a tensor's name.
    pub name_bytes: usize,
}

impl Limits {
    /// The limits of the format, and what no known model exceeds where it has none.
    pub const FORMAT: Self =
        Self { header_bytes: 100_000_000, tensors: 1_000_000, rank: 16, name_bytes: 1024 };
}

/// An open file: its tensors, by name, over the caller's bytes.
#[derive(Debug, Clone)]
pub struct SafeTensors<'a> {
    /// Sorted by name.
    entries: Vec<Entry<'a>>,
    data: &'a [u8],
    metadata: BTreeMap<String, String>,
}

#[derive(Debug, Clone)]
struct Entry<'a> {
    name: Cow<'a, str>,
    dtype: Dtype,
    shape: Vec<usize>,
    begin: usize,
    end: usize,
}

impl<'a> SafeTensors<'a> {
    /// Reads a file within [`Limits::FORMAT`].
    ///
    /// # Errors
    /// Every way in which the file breaks the format has its own [`Error`].
    pub fn read(bytes: &'a [u8]) -> Result<Self, Error> {
        Self::read_within(bytes, &Limits::FORMAT)
    }

    /// Reads a file within the caller's limits. Memory asked for is proportional to the header's real length,
    /// never to what it announces.
    ///
    /// # Errors
    /// As [`SafeTensors::read`].
    pub fn read_within(bytes: &'a [u8], limits: &Limits) -> Result<Self, Error> {
        let length = bytes.len() as u64;
        let Some((prefix, rest)) = bytes.split_first_chunk::<8>() else {
            return Err(Error::Truncated { length, needed: 8 });
        };
        let announced = u64::from_le_bytes(*prefix);
        if announced > limits.header_bytes {
            if let Some(found) = other_format(bytes) {
                return Err(Error::Format { found });
            }
            return Err(Error::HeaderTooLarge { announced, limit: limits.header_bytes });
        }
        let Some((header, data)) = usize::try_from(announced).ok().and_then(|at| rest.split_at_checked(at))
        else {
            return Err(Error::Truncated { length, needed: announced.saturating_add(8) });
        };
        if header.first() != Some(&b'{') {
            return Err(Error::HeaderFrame { at: 0 });
        }
        let mut file = Self { entries: Vec::new(), data, metadata: BTreeMap::new() };
        file.read_header(header, limits)?;
        file.check_layout()?;
        file.entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        match json::repeated(file.entries.iter().map(|entry| entry.name.as_ref())) {
            Some(name) => Err(Error::Repeated { document: DOCUMENT, name: shown(name) }),
            None => Ok(file),
        }
    }

    fn read_header(&mut self, header: &'a [u8], limits: &Limits) -> Result<(), Error> {
        let mut reader = Reader::new(header).map_err(fault)?;
        let mut metadata_seen = 0_u8;
        let members = reader.members::<Stop>(|reader, name| {
            if name == "__metadata__" {
                metadata_seen += 1;
                if metadata_seen > 1 {
                    let name = name.into_owned();
                    return Err(Error::Repeated { document: DOCUMENT, name }.into());
                }
                self.metadata = read_metadata(reader)?;
                return Ok(());
            }
            if self.entries.len() >= limits.tensors {
                return Err(Error::TooManyTensors { limit: limits.tensors }.into());
            }
            if !is_tensor_name(&name, limits.name_bytes) {
                return Err(Error::Name { name: shown(&name) }.into());
            }
            self.entries.push(read_entry(reader, name, limits, self.data.len())?);
            Ok(())
        });
        members.map_err(|stop| stop.0)?;
        let padding = header.get(reader.at()..).unwrap_or_default();
        match padding.iter().position(|&byte| byte != b' ') {
            Some(at) => Err(Error::HeaderFrame { at: reader.at() + at }),
            None => Ok(()),
        }
    }

    /// The tensors fill the data exactly: sorted by offset, each begins where the one before ended.
    fn check_layout(&mut self) -> Result<(), Error> {
        self.entries.sort_unstable_by_key(|entry| (entry.begin, entry.end));
        let mut reached = 0;
        for entry in &self.entries {
            if entry.begin < reached {
                return Err(Error::Overlap { tensor: shown(&entry.name) });
            }
            if entry.begin > reached {
                let bytes = (entry.begin - reached) as u64;
                return Err(Error::Hole { tensor: shown(&entry.name), bytes });
            }
            reached = entry.end;
        }
        match self.data.len() - reached {
            0 => Ok(()),
            bytes => Err(Error::Trailing { bytes: bytes as u64 }),
        }
    }

    /// How many tensors the file holds.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether the file holds no tensor.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The tensors in the order of their names.
    pub fn views(&self) -> impl Iterator<Item = View<'_>> {
        self.entries.iter().map(|entry| self.view_of(entry))
    }

    /// The tensor of that name.
    pub fn view(&self, name: &str) -> Option<View<'_>> {
        let at = self.entries.binary_search_by(|entry| entry.name.as_ref().cmp(name)).ok()?;
        self.entries.get(at).map(|entry| self.view_of(entry))
    }

    fn view_of<'s>(&'s self, entry: &'s Entry<'a>) -> View<'s> {
        View {
            name: &entry.name,
            dtype: entry.dtype,
            shape: &entry.shape,
            // INVARIANT: `check_layout` has shown that the range lies in the data.
            data: self.data.get(entry.begin..entry.end).unwrap_or_default(),
        }
    }

    /// The strings under `__metadata__`.
    pub const fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }
}

/// Carries either kind of refusal out of the JSON reader's callbacks.
struct Stop(Error);

impl From<Fault> for Stop {
    fn from(cause: Fault) -> Self {
        Self(fault(cause))
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

fn fault(cause: Fault) -> Error {
    Error::json(DOCUMENT, cause)
}

fn read_metadata(reader: &mut Reader<'_>) -> Result<BTreeMap<String, String>, Stop> {
    let mut metadata = BTreeMap::new();
    reader.members(|reader, name| {
        let value = reader.string().map_err(|cause| match cause.kind {
            FaultKind::Expected("a string") => Stop(Error::Metadata),
            _ => cause.into(),
        })?;
        match metadata.insert(name.into_owned(), value.into_owned()) {
            None => Ok(()),
            Some(_) => Err(Stop(Error::Metadata)),
        }
    })?;
    Ok(metadata)
}

fn read_entry<'a>(
    reader: &mut Reader<'a>,
    name: Cow<'a, str>,
    limits: &Limits,
    length: usize,
) -> Result<Entry<'a>, Stop> {
    let tensor = || shown(&name);
    let (mut dtype, mut shape, mut offsets) = (None, None, None);
    reader.members::<Stop>(|reader, member| {
        match member.as_ref() {
            "dtype" if dtype.is_none() => {
                let text = reader.string()?;
                let unknown = || Error::Dtype { tensor: tensor(), dtype: shown(&text) };
                dtype = Some(Dtype::parse(&text).ok_or_else(unknown)?);
            }
            "shape" if shape.is_none() => shape = Some(read_shape(reader, limits.rank, &tensor)?),
            "data_offsets" if offsets.is_none() => {
                let mut pair = Vec::with_capacity(2);
                reader.items::<Stop>(|reader| {
                    if pair.len() == 2 {
                        return Err(Error::Member { tensor: tensor(), member: "data_offsets".into() }.into());
                    }
                    pair.push(reader.unsigned()?);
                    Ok(())
                })?;
                offsets = <[u64; 2]>::try_from(pair).ok();
            }
            "dtype" | "shape" | "data_offsets" => {
                return Err(Error::Repeated { document: DOCUMENT, name: member.into_owned() }.into());
            }
            other => return Err(Error::Member { tensor: tensor(), member: shown(other) }.into()),
        }
        Ok(())
    })?;
    let lacks = |member: &str| Stop(Error::Member { tensor: tensor(), member: member.to_owned() });
    let dtype = dtype.ok_or_else(|| lacks("dtype"))?;
    let shape = shape.ok_or_else(|| lacks("shape"))?;
    let [begin, end] = offsets.ok_or_else(|| lacks("data_offsets"))?;

    let needed = bytes_of(dtype, &shape).ok_or_else(|| Error::ShapeOverflow { tensor: tensor() })?;
    let range = usize::try_from(begin).ok().zip(usize::try_from(end).ok());
    let Some((first, last)) = range.filter(|&(first, last)| first <= last && last <= length) else {
        return Err(Error::Offsets { tensor: tensor(), begin, end, length: length as u64 }.into());
    };
    if last - first != needed {
        return Err(Error::Span { tensor: tensor(), span: end - begin, needed: needed as u64 }.into());
    }
    Ok(Entry { name, dtype, shape, begin: first, end: last })
}

fn read_shape(
    reader: &mut Reader<'_>,
    rank_max: usize,
    tensor: &impl Fn() -> String,
) -> Result<Vec<usize>, Stop> {
    let mut shape = Vec::new();
    reader.items::<Stop>(|reader| {
        if shape.len() == rank_max {
            return Err(Error::Rank { tensor: tensor(), limit: rank_max }.into());
        }
        let overflow = |_| Error::ShapeOverflow { tensor: tensor() };
        shape.push(usize::try_from(reader.unsigned()?).map_err(overflow)?);
        Ok(())
    })?;
    shape.shrink_to_fit();
    Ok(shape)
}

/// Bytes that a tensor takes, or nothing where the product overflows. A zero dimension does not excuse the
/// others: their product must fit too, as in the format's own reader.
fn bytes_of(dtype: Dtype, shape: &[usize]) -> Option<usize> {
    let mut elements = 1_usize;
    for &dimension in shape {
        elements = elements.checked_mul(dimension)?;
    }
    elements.checked_mul(dtype.bytes())
}

/// What a file begins like whose first bytes are no length of a header.
fn other_format(bytes: &[u8]) -> Option<&'static str> {
    let known: [(&[u8], &str); 6] = [
        (b"PK\x03\x04", "a zip archive, as PyTorch writes them"),
        (b"\x80\x02", "a pickle, as PyTorch writes them"),
        (b"\x80\x04", "a pickle"),
        (b"\x93NUMPY", "a NumPy array"),
        (b"GGUF", "GGUF"),
        (b"\x89HDF", "HDF5"),
    ];
    known.iter().find(|(begin, _)| bytes.starts_with(begin)).map(|(_, found)| *found)
}

#[cfg(test)]
mod tests;

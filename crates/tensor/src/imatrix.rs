//! Importance matrices: how much each column of a weight counts, as `llama-imatrix` writes them, in its GGUF form and its
//! older binary form.
//!
//! Source: ggml-org/llama.cpp, `tools/imatrix/imatrix.cpp` (both forms) and `tools/quantize/quantize.cpp` (how they are
//! read).
//!
//! What this module does not do: say whether a matrix fits a model; its entries are by the names of weights.

use std::collections::BTreeMap;

use thiserror::Error;

use crate::error::shown;
use crate::gguf::{GgmlType, Gguf, GgufError};

/// Most entries of the older form.
const ENTRIES_MAX: usize = 1 << 16;

/// Why a file is no importance matrix.
#[derive(Debug, Error)]
pub enum Error {
    /// The container cannot be read.
    #[error("its container cannot be read")]
    Gguf(#[from] GgufError),
    /// An entry has no sums or no counts in single precision.
    #[error("`{name}` has no sums and counts in single precision")]
    Incomplete {
        /// The weight.
        name: String,
    },
    /// The sums of an entry are not as many for each count.
    #[error("the counts of `{name}` do not fit its sums")]
    Counts {
        /// The weight.
        name: String,
    },
    /// There is no entry in it.
    #[error("it holds no sums of squares")]
    Empty,
    /// It announces more than there can be, or none.
    #[error("it announces {count} entries")]
    Entries {
        /// How many.
        count: usize,
    },
    /// A number of things is below zero.
    #[error("it holds a count below zero")]
    Negative,
    /// It ends within an entry.
    #[error("it is cut short")]
    Short,
}

/// The mean square of what each column of each weight was multiplied with.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    entries: BTreeMap<String, Vec<f32>>,
}

impl Matrix {
    /// Reads a file of either form.
    ///
    /// # Errors
    /// Every [`Error`]. Memory is bounded by the length of the file.
    pub fn read(bytes: &[u8]) -> Result<Self, Error> {
        let entries = if bytes.starts_with(b"GGUF") { of_gguf(bytes)? } else { of_binary(bytes)? };
        Ok(Self { entries })
    }

    /// The entries for a weight: one for each column, of each expert.
    pub fn of(&self, name: &str) -> Option<&[f32]> {
        self.entries.get(name).map(Vec::as_slice)
    }

    /// All entries, in the order of names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[f32])> {
        self.entries.iter().map(|(name, values)| (name.as_str(), values.as_slice()))
    }
}

/// Sums of squares and counts, as tensors.
fn of_gguf(bytes: &[u8]) -> Result<BTreeMap<String, Vec<f32>>, Error> {
    let file = Gguf::read(bytes)?;
    let floats = |name: &str| {
        let view = file.view(name).filter(|view| view.kind == GgmlType::F32)?;
        Some(
            view.data.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect::<Vec<f32>>(),
        )
    };
    let mut entries = BTreeMap::new();
    for view in file.views() {
        let Some(name) = view.name.strip_suffix(".in_sum2") else { continue };
        let counts = floats(&format!("{name}.counts"));
        let (Some(mut sums), Some(counts)) = (floats(view.name), counts) else {
            return Err(Error::Incomplete { name: shown(name) });
        };
        if counts.is_empty() || !sums.len().is_multiple_of(counts.len()) {
            return Err(Error::Counts { name: shown(name) });
        }
        let columns = sums.len() / counts.len();
        for (sums, count) in sums.chunks_mut(columns.max(1)).zip(counts) {
            for sum in sums {
                // What was never used counts like everything else.
                *sum = if count > 0.0 { *sum / count } else { 1.0 };
            }
        }
        entries.insert(name.to_owned(), sums);
    }
    if entries.is_empty() { Err(Error::Empty) } else { Ok(entries) }
}

/// A count of entries; for each a name, a count of calls and the values, which are divided by it.
fn of_binary(bytes: &[u8]) -> Result<BTreeMap<String, Vec<f32>>, Error> {
    let mut rest = bytes;
    let mut entries = BTreeMap::new();
    let count = number(&mut rest)?;
    if count == 0 || count > ENTRIES_MAX {
        return Err(Error::Entries { count });
    }
    for _ in 0..count {
        let length = number(&mut rest)?;
        let name = String::from_utf8_lossy(take(&mut rest, length)?).into_owned();
        let calls = number(&mut rest)?;
        let values = number(&mut rest)?;
        let bytes = take(&mut rest, values.saturating_mul(4))?;
        #[expect(clippy::cast_precision_loss, reason = "llama.cpp divides by the count in single precision")]
        let calls = calls as f32;
        let value = |bytes: &[u8; 4]| {
            let value = f32::from_le_bytes(*bytes);
            if calls > 0.0 { value / calls } else { value }
        };
        entries.insert(name, bytes.as_chunks::<4>().0.iter().map(value).collect());
    }
    Ok(entries)
}

fn number(rest: &mut &[u8]) -> Result<usize, Error> {
    let bytes = take(rest, 4)?;
    let value = bytes.first_chunk().map_or(-1, |bytes| i32::from_le_bytes(*bytes));
    usize::try_from(value).map_err(|_| Error::Negative)
}

fn take<'b>(rest: &mut &'b [u8], length: usize) -> Result<&'b [u8], Error> {
    let (taken, left) = rest.split_at_checked(length).ok_or(Error::Short)?;
    *rest = left;
    Ok(taken)
}

#[cfg(test)]
mod tests;

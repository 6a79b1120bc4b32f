//! Importance matrices: how much each column of a weight counts, as `llama-imatrix` writes them, in its GGUF form and
//! its older binary form.

use std::collections::BTreeMap;
use std::path::Path;

use tensor::gguf::{GgmlType, Gguf};

use super::super::tree::content;
use crate::failure::{Done, Failure};

/// Most entries of the older form, and most floats of one.
const ENTRIES_MAX: usize = 1 << 16;

/// The mean square of what each column of each weight was multiplied with.
pub(super) struct Matrix {
    entries: BTreeMap<String, Vec<f32>>,
}

impl Matrix {
    pub(super) fn read(path: &Path) -> Done<Self> {
        let held = content(path)?;
        let bytes = held.bytes();
        let entries =
            if bytes.starts_with(b"GGUF") { of_gguf(path, bytes)? } else { of_binary(path, bytes)? };
        Ok(Self { entries })
    }

    /// The entries for a weight: one for each column, of each expert.
    pub(super) fn of(&self, name: &str) -> Option<&[f32]> {
        self.entries.get(name).map(Vec::as_slice)
    }
}

/// Sums of squares and counts, as tensors.
fn of_gguf(path: &Path, bytes: &[u8]) -> Done<BTreeMap<String, Vec<f32>>> {
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
            return Err(damaged(path, &format!("`{name}` has no sums and counts in single precision")));
        };
        if counts.is_empty() || !sums.len().is_multiple_of(counts.len()) {
            return Err(damaged(path, &format!("the counts of `{name}` do not fit its sums")));
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
    if entries.is_empty() {
        return Err(damaged(path, "it holds no sums of squares"));
    }
    Ok(entries)
}

/// A count of entries; for each a name, a count of calls and the values, which are divided by it.
fn of_binary(path: &Path, bytes: &[u8]) -> Done<BTreeMap<String, Vec<f32>>> {
    let mut rest = bytes;
    let mut entries = BTreeMap::new();
    let count = number(path, &mut rest)?;
    if count == 0 || count > ENTRIES_MAX {
        return Err(damaged(path, &format!("it announces {count} entries")));
    }
    for _ in 0..count {
        let length = number(path, &mut rest)?;
        let name = String::from_utf8_lossy(take(path, &mut rest, length)?).into_owned();
        let calls = number(path, &mut rest)?;
        let values = number(path, &mut rest)?;
        let bytes = take(path, &mut rest, values.saturating_mul(4))?;
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

fn number(path: &Path, rest: &mut &[u8]) -> Done<usize> {
    let bytes = take(path, rest, 4)?;
    let value = bytes.first_chunk().map_or(-1, |bytes| i32::from_le_bytes(*bytes));
    usize::try_from(value).map_err(|_| damaged(path, "it holds a count below zero"))
}

fn take<'b>(path: &Path, rest: &mut &'b [u8], length: usize) -> Done<&'b [u8]> {
    let Some((taken, left)) = rest.split_at_checked(length) else {
        return Err(damaged(path, "it is cut short"));
    };
    *rest = left;
    Ok(taken)
}

fn damaged(path: &Path, why: &str) -> Failure {
    Failure::not_a("importance matrix", path, why)
}

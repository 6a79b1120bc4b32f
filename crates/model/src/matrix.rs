//! Weight matrices in the form their file has.

use bytes::Bytes;

use crate::Error;
use crate::kernel::{Kind, Rows, expand};

/// A matrix: `rows × columns`, rows one after the other, in whole blocks of its kind. Cloning shares the bytes.
#[derive(Debug, Clone)]
pub struct Matrix {
    kind: Kind,
    rows: usize,
    columns: usize,
    bytes: Bytes,
}

impl Matrix {
    /// A matrix over bytes; `name` is for the refusal.
    ///
    /// # Errors
    /// [`Error::TensorShape`] where shape, kind and bytes do not fit together.
    pub fn new(name: &str, kind: Kind, rows: usize, columns: usize, bytes: Bytes) -> Result<Self, Error> {
        let needed = kind.row_bytes(columns).and_then(|row| row.checked_mul(rows));
        if needed != Some(bytes.len()) || rows == 0 || columns == 0 {
            return Err(Error::TensorShape {
                tensor: name.to_owned(),
                found: vec![bytes.len() / kind.block_bytes(), kind.block_len()],
                expected: vec![rows, columns],
            });
        }
        Ok(Self { kind, rows, columns, bytes })
    }

    /// A matrix of single-precision values, row-major.
    ///
    /// # Errors
    /// As [`Matrix::new`].
    pub fn from_values(name: &str, rows: usize, columns: usize, values: &[f32]) -> Result<Self, Error> {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Self::new(name, Kind::F32, rows, columns, Bytes::from(bytes))
    }

    /// How the elements are stored.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// The number of rows: outputs of a linear layer.
    pub const fn rows(&self) -> usize {
        self.rows
    }

    /// The number of columns: inputs of a linear layer.
    pub const fn columns(&self) -> usize {
        self.columns
    }

    /// The stored bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The rows `first..first + count` as a matrix of their own, over the same bytes.
    pub(crate) fn part(&self, first: usize, count: usize) -> Option<Self> {
        let row_bytes = self.kind.row_bytes(self.columns)?;
        let (begin, end) = (first.checked_mul(row_bytes)?, first.checked_add(count)?.checked_mul(row_bytes)?);
        if end > self.bytes.len() || count == 0 {
            return None;
        }
        Some(Self { rows: count, bytes: self.bytes.slice(begin..end), ..*self })
    }

    /// Writes one row as single-precision values. Answers whether the row exists and `out` has its length.
    pub(crate) fn row(&self, row: usize, out: &mut [f32]) -> Option<()> {
        let row_bytes = self.kind.row_bytes(self.columns)?;
        let begin = row.checked_mul(row_bytes)?;
        let bytes = self.bytes.get(begin..begin.checked_add(row_bytes)?)?;
        (out.len() == self.columns).then(|| expand(self.kind, bytes, out))
    }

    /// All elements as single-precision values, row-major.
    pub fn dense(&self) -> Vec<f32> {
        let mut out = vec![0.0; self.rows * self.columns];
        for (row, out) in out.chunks_exact_mut(self.columns).enumerate() {
            // INVARIANT: the row exists, `out` has as many as the matrix.
            if self.row(row, out).is_none() {
                break;
            }
        }
        out
    }

    pub(crate) fn view(&self) -> Rows<'_> {
        Rows { kind: self.kind, columns: self.columns, bytes: &self.bytes }
    }
}

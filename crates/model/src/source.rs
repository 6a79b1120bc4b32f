//! Where weights come from: named tensors over shared bytes, from GGUF or safetensors.
//!
//! Nothing is copied or expanded: a tensor is a part of the bytes that the caller mapped or read.

use std::collections::BTreeMap;

use bytes::Bytes;
use tensor::gguf::{GgmlType, Gguf};
use tensor::safetensors::{Dtype, SafeTensors};
use tensor::weights::Weights;
use tensor::weights::packed::{Packing, Unpacked};

use crate::Error;
use crate::kernel::{Kind, expand};
use crate::matrix::Matrix;

/// Which names and layouts the tensors have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// llama.cpp's names; matrices are `out × in`.
    Gguf,
    /// The transformers library's names; matrices are `out × in`, but for GPT-2.
    Safetensors,
}

/// A tensor's type: one that can be computed with, or the name of another.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Stored {
    Kind(Kind),
    Other(String),
}

#[derive(Debug, Clone)]
struct Entry {
    stored: Stored,
    /// Row-major: the slowest dimension first.
    shape: Vec<usize>,
    bytes: Bytes,
}

/// The tensors of a model.
#[derive(Debug, Clone)]
pub struct Source {
    origin: Origin,
    entries: BTreeMap<String, Entry>,
}

impl Source {
    /// The tensors of a GGUF file that was read from `file`.
    ///
    /// # Errors
    /// As [`Gguf::read`].
    pub fn from_gguf(file: &Bytes) -> Result<Self, Error> {
        let gguf = Gguf::read(file)?;
        let entries = gguf.views().map(|view| {
            let stored = kind_of_ggml(view.kind)
                .map_or_else(|| Stored::Other(view.kind.name().to_owned()), Stored::Kind);
            let entry = Entry { stored, shape: view.shape.to_vec(), bytes: file.slice_ref(view.data) };
            (view.name.to_owned(), entry)
        });
        Ok(Self { origin: Origin::Gguf, entries: entries.collect() })
    }

    /// The tensors of safetensors files: one, or the shards of a model.
    ///
    /// # Errors
    /// As [`SafeTensors::read`]; [`tensor::Error::Repeated`] where two files hold a tensor of one name.
    pub fn from_safetensors(files: &[Bytes]) -> Result<Self, Error> {
        let mut entries = BTreeMap::new();
        for file in files {
            let read = SafeTensors::read(file)?;
            for view in read.views() {
                let stored = kind_of_dtype(view.dtype)
                    .map_or_else(|| Stored::Other(format!("{:?}", view.dtype)), Stored::Kind);
                let entry = Entry { stored, shape: view.shape.to_vec(), bytes: file.slice_ref(view.data) };
                if entries.insert(view.name.to_owned(), entry).is_some() {
                    let name = view.name.to_owned();
                    return Err(tensor::Error::Repeated { document: "set of shards", name }.into());
                }
            }
        }
        Ok(Self { origin: Origin::Safetensors, entries })
    }

    /// The tensors of a model's safetensors files, with the layers that GPTQ or AWQ packed as the weights that they stand
    /// for, in single precision: its `config.json` says how they are packed.
    ///
    /// # Errors
    /// As [`Source::from_safetensors`], [`Error::Packed`].
    pub fn from_folder(config: &[u8], files: &[Bytes]) -> Result<Self, Error> {
        let mut source = Self::from_safetensors(files)?;
        let read = files.iter().map(|file| SafeTensors::read(file)).collect::<Result<Vec<_>, _>>()?;
        let weights = Weights::gather(read.iter().flat_map(|file| Weights::from(file).tensors().to_vec()))?;
        let Some(packing) = Packing::of_model(config, &weights)? else { return Ok(source) };
        for (name, shape, bytes) in Unpacked::of(&weights, packing)?.into_layers() {
            let entry = Entry { stored: Stored::Kind(Kind::F32), shape: shape.to_vec(), bytes: bytes.into() };
            if source.entries.insert(name.clone(), entry).is_some() {
                return Err(tensor::Error::Repeated { document: "model with packed layers", name }.into());
            }
        }
        Ok(source)
    }

    /// Which names the tensors have.
    pub const fn origin(&self) -> Origin {
        self.origin
    }

    /// Whether there is a tensor of that name.
    pub fn has(&self, name: &str) -> bool {
        self.entries.contains_key(name)
    }

    /// A matrix of the shape that the configuration asks for.
    ///
    /// # Errors
    /// [`Error::TensorMissing`], [`Error::TensorShape`], [`Error::TensorKind`].
    pub fn matrix(&self, name: &str, rows: usize, columns: usize) -> Result<Matrix, Error> {
        let (kind, entry) = self.entry(name, &[rows, columns])?;
        Matrix::new(name, kind, rows, columns, entry.bytes.clone())
    }

    /// A matrix that is stored as `columns × rows`, turned. Its elements are expanded to single precision.
    ///
    /// # Errors
    /// As [`Source::matrix`].
    pub fn turned(&self, name: &str, rows: usize, columns: usize) -> Result<Matrix, Error> {
        let stored = self.matrix(name, columns, rows)?;
        let values = stored.dense();
        let mut turned = Vec::with_capacity(values.len());
        for row in 0..rows {
            turned.extend(values.iter().skip(row).step_by(rows));
        }
        Matrix::from_values(name, rows, columns, &turned)
    }

    /// A vector in single precision.
    ///
    /// # Errors
    /// As [`Source::matrix`].
    pub fn vector(&self, name: &str, len: usize) -> Result<Vec<f32>, Error> {
        let (kind, entry) = self.entry(name, &[len])?;
        let matrix = Matrix::new(name, kind, 1, len, entry.bytes.clone())?;
        let mut values = vec![0.0; len];
        expand(matrix.kind(), matrix.bytes(), &mut values);
        Ok(values)
    }

    fn entry(&self, name: &str, shape: &[usize]) -> Result<(Kind, &Entry), Error> {
        let missing = || Error::TensorMissing { tensor: name.to_owned() };
        let entry = self.entries.get(name).ok_or_else(missing)?;
        if entry.shape != shape {
            let (found, expected) = (entry.shape.clone(), shape.to_vec());
            return Err(Error::TensorShape { tensor: name.to_owned(), found, expected });
        }
        match &entry.stored {
            Stored::Kind(kind) => Ok((*kind, entry)),
            Stored::Other(kind) => Err(Error::TensorKind { tensor: name.to_owned(), kind: kind.clone() }),
        }
    }
}

const fn kind_of_ggml(kind: GgmlType) -> Option<Kind> {
    Some(match kind {
        GgmlType::F32 => Kind::F32,
        GgmlType::F16 => Kind::F16,
        GgmlType::BF16 => Kind::Bf16,
        GgmlType::Q4_0 => Kind::Q4_0,
        GgmlType::Q4_1 => Kind::Q4_1,
        GgmlType::Q5_0 => Kind::Q5_0,
        GgmlType::Q5_1 => Kind::Q5_1,
        GgmlType::Q8_0 => Kind::Q8_0,
        GgmlType::Q2_K => Kind::Q2K,
        GgmlType::Q3_K => Kind::Q3K,
        GgmlType::Q4_K => Kind::Q4K,
        GgmlType::Q5_K => Kind::Q5K,
        GgmlType::Q6_K => Kind::Q6K,
        GgmlType::IQ4_NL => Kind::Iq4Nl,
        _ => return None,
    })
}

/// The type that a kind has in GGUF files.
pub(crate) const fn ggml_of(kind: Kind) -> GgmlType {
    match kind {
        Kind::F32 => GgmlType::F32,
        Kind::F16 => GgmlType::F16,
        Kind::Bf16 => GgmlType::BF16,
        Kind::Q4_0 => GgmlType::Q4_0,
        Kind::Q4_1 => GgmlType::Q4_1,
        Kind::Q5_0 => GgmlType::Q5_0,
        Kind::Q5_1 => GgmlType::Q5_1,
        Kind::Q8_0 => GgmlType::Q8_0,
        Kind::Q2K => GgmlType::Q2_K,
        Kind::Q3K => GgmlType::Q3_K,
        Kind::Q4K => GgmlType::Q4_K,
        Kind::Q5K => GgmlType::Q5_K,
        Kind::Q6K => GgmlType::Q6_K,
        Kind::Iq4Nl => GgmlType::IQ4_NL,
    }
}

const fn kind_of_dtype(dtype: Dtype) -> Option<Kind> {
    match dtype {
        Dtype::F32 => Some(Kind::F32),
        Dtype::F16 => Some(Kind::F16),
        Dtype::BF16 => Some(Kind::Bf16),
        _ => None,
    }
}

//! What is quantised: a `.gguf` or a `.safetensors` file.

use std::path::Path;

use quant::Kind;
use quant::mixture::{Facts, Importance, Subject, place};
use tensor::gguf::{GgmlType, Gguf, Value};
use tensor::safetensors::{Dtype, SafeTensors};

use crate::failure::{Done, Failure};

/// The file, read.
pub(super) enum Opened<'b> {
    Gguf(Gguf<'b>),
    SafeTensors(SafeTensors<'b>),
}

impl<'b> Opened<'b> {
    pub(super) fn read(bytes: &'b [u8]) -> Done<Self> {
        if bytes.starts_with(b"GGUF") {
            Ok(Self::Gguf(Gguf::read(bytes)?))
        } else {
            Ok(Self::SafeTensors(SafeTensors::read(bytes)?))
        }
    }
}

/// One tensor of the input.
pub(super) struct Weights<'s> {
    pub(super) name: &'s str,
    pub(super) kind: GgmlType,
    /// Row-major, the slowest dimension first.
    pub(super) shape: Vec<usize>,
    pub(super) data: &'s [u8],
}

/// The tensors, and what the file says besides.
pub(super) struct Source<'s> {
    /// In the order in which they are written.
    pub(super) tensors: Vec<Weights<'s>>,
    /// Nothing for a file that is no GGUF file.
    head: Option<&'s Gguf<'s>>,
}

impl<'s> Source<'s> {
    pub(super) fn of(path: &Path, opened: &'s Opened<'s>) -> Done<Self> {
        match opened {
            Opened::Gguf(file) => {
                let weights = |view: tensor::gguf::View<'s>| Weights {
                    name: view.name,
                    kind: view.kind,
                    shape: view.shape.to_vec(),
                    data: view.data,
                };
                let mut tensors: Vec<Weights<'s>> = file.in_file_order().map(weights).collect();
                // llama.cpp writes them in this order too.
                tensors.sort_by(|one, other| place(one.name).cmp(&place(other.name)));
                Ok(Self { tensors, head: Some(file) })
            }
            Opened::SafeTensors(file) => {
                let weights = |view: tensor::safetensors::View<'s>| {
                    let unknown = || {
                        let why = format!("tensor `{}` is of type `{}`", view.name, view.dtype.name());
                        Failure::not_a("model that can be quantised", path, why)
                    };
                    let kind = plain_kind(view.dtype).ok_or_else(unknown)?;
                    Ok(Weights { name: view.name, kind, shape: view.shape.to_vec(), data: view.data })
                };
                Ok(Self { tensors: file.views().map(weights).collect::<Done<_>>()?, head: None })
            }
        }
    }

    /// Whether names and settings are those of a GGUF file, which the mixtures' rules go by.
    pub(super) const fn is_gguf(&self) -> bool {
        self.head.is_some()
    }

    /// What the rules of mixtures ask.
    pub(super) fn facts(&self, importance: Importance) -> Facts<'_> {
        let number = |name: &str| {
            let value = self.head.and_then(|head| head.setting(name)).and_then(Value::as_unsigned);
            usize::try_from(value.unwrap_or(0)).unwrap_or(usize::MAX)
        };
        Facts {
            architecture: self.head.and_then(Gguf::architecture).unwrap_or(""),
            layers: number("block_count"),
            heads: number("attention.head_count"),
            key_heads: number("attention.head_count_kv"),
            experts: number("expert_count"),
            importance,
        }
    }

    /// The metadata of the output: the input's, then what llama.cpp says of a quantised file, in its order.
    pub(super) fn metadata(&self, file_type: u32) -> Vec<(&str, Value<'_>)> {
        const OURS: [&str; 2] = ["general.quantization_version", "general.file_type"];
        const SPLIT: [&str; 3] = ["split.no", "split.count", "split.tensors.count"];
        let kept = |key: &str| !OURS.contains(&key) && !SPLIT.contains(&key);
        let head = self.head.map_or(&[][..], Gguf::metadata);
        let mut metadata: Vec<(&str, Value<'_>)> =
            head.iter().filter(|(key, _)| kept(key)).map(|(key, value)| (*key, value.clone())).collect();
        metadata.push((OURS[0], Value::U32(2)));
        metadata.push((OURS[1], Value::U32(file_type)));
        metadata
    }
}

impl Weights<'_> {
    pub(super) fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    pub(super) fn row_len(&self) -> usize {
        self.shape.last().copied().unwrap_or(1)
    }

    /// Matrices that lie one after the other: experts.
    pub(super) fn slices(&self) -> usize {
        let rows = self.shape.len().saturating_sub(2);
        self.shape.iter().take(rows).product::<usize>().max(1)
    }

    pub(super) fn subject(&self) -> Subject<'_> {
        // ggml does not count leading dimensions of one.
        let leading = self.shape.iter().take_while(|dimension| **dimension == 1).count();
        Subject {
            name: self.name,
            row_len: self.row_len(),
            rank: self.shape.len() - leading.min(self.shape.len()),
        }
    }

    /// The weights in single precision, which holds every type here exactly.
    pub(super) fn floats(&self) -> Done<Vec<f32>> {
        match self.kind {
            GgmlType::F32 => {
                Ok(self.data.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
            }
            GgmlType::F16 => {
                let halves = self.data.as_chunks::<2>().0.iter();
                Ok(halves.map(|bytes| quant::half(u16::from_le_bytes(*bytes))).collect())
            }
            GgmlType::BF16 => {
                let halves = self.data.as_chunks::<2>().0.iter();
                Ok(halves.map(|bytes| f32::from_bits(u32::from(u16::from_le_bytes(*bytes)) << 16)).collect())
            }
            other => {
                let kind = Kind::from_ggml_type(other.number()).ok_or_else(|| super::unwritable(self))?;
                let mut out = vec![0.0; self.elements()];
                quant::dequantize(kind, self.data, &mut out)?;
                Ok(out)
            }
        }
    }
}

/// The type of single elements that ggml and safetensors share.
fn plain_kind(dtype: Dtype) -> Option<GgmlType> {
    PLAIN.iter().find(|(known, _)| *known == dtype).map(|(_, kind)| *kind)
}

/// As [`plain_kind`], the other way.
pub(super) fn plain_dtype(kind: GgmlType) -> Option<Dtype> {
    PLAIN.iter().find(|(_, known)| *known == kind).map(|(dtype, _)| *dtype)
}

const PLAIN: [(Dtype, GgmlType); 8] = [
    (Dtype::F32, GgmlType::F32),
    (Dtype::F16, GgmlType::F16),
    (Dtype::BF16, GgmlType::BF16),
    (Dtype::F64, GgmlType::F64),
    (Dtype::I8, GgmlType::I8),
    (Dtype::I16, GgmlType::I16),
    (Dtype::I32, GgmlType::I32),
    (Dtype::I64, GgmlType::I64),
];

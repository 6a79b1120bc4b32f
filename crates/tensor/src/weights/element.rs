//! Element types of all containers in one.

use crate::gguf::GgmlType;
use crate::safetensors::Dtype;

/// How a tensor's elements are kept: each by itself, or in blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ElementType {
    /// Each by itself. The plain types of ggml (`F32`, `F16`, `BF16`, `F64`, `I8` to `I64`) are these too, so that
    /// the same tensor has the same type in either container.
    Plain(Dtype),
    /// In blocks of ggml that share a scale.
    Block(GgmlType),
}

impl From<GgmlType> for ElementType {
    fn from(kind: GgmlType) -> Self {
        match kind {
            GgmlType::F32 => Self::Plain(Dtype::F32),
            GgmlType::F16 => Self::Plain(Dtype::F16),
            GgmlType::BF16 => Self::Plain(Dtype::BF16),
            GgmlType::F64 => Self::Plain(Dtype::F64),
            GgmlType::I8 => Self::Plain(Dtype::I8),
            GgmlType::I16 => Self::Plain(Dtype::I16),
            GgmlType::I32 => Self::Plain(Dtype::I32),
            GgmlType::I64 => Self::Plain(Dtype::I64),
            blocks => Self::Block(blocks),
        }
    }
}

impl From<Dtype> for ElementType {
    fn from(dtype: Dtype) -> Self {
        Self::Plain(dtype)
    }
}

impl ElementType {
    /// The name: safetensors' for plain types, ggml's for blocks.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain(dtype) => dtype.name(),
            Self::Block(kind) => kind.name(),
        }
    }

    /// Elements that share a block; 1 for plain types.
    pub fn block_elements(self) -> usize {
        match self {
            Self::Plain(_) => 1,
            Self::Block(kind) => kind.block_elements(),
        }
    }

    /// Bytes of a block, or of an element.
    pub fn block_bytes(self) -> usize {
        match self {
            Self::Plain(dtype) => dtype.bytes(),
            Self::Block(kind) => kind.block_bytes(),
        }
    }

    /// Bytes that a tensor of that shape takes; nothing where its rows are not whole blocks or it overflows.
    pub fn bytes_of(self, shape: &[usize]) -> Option<usize> {
        match self {
            Self::Plain(dtype) => {
                let most =
                    shape.iter().try_fold(1_usize, |product, dim| product.checked_mul((*dim).max(1)))?;
                most.checked_mul(dtype.bytes())?;
                Some(shape.iter().product::<usize>() * dtype.bytes())
            }
            Self::Block(kind) => kind.bytes_of(shape),
        }
    }

    /// Whether [`Tensor::decode_rows`](super::Tensor::decode_rows) reads it.
    pub fn is_decodable(self) -> bool {
        match self {
            Self::Plain(_) => true,
            Self::Block(kind) => quant::Kind::from_ggml_type(kind.number()).is_some(),
        }
    }
}

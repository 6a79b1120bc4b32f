//! The kinds of block that ggml keeps weights in.

use std::fmt;
use std::str::FromStr;

use crate::Error;

/// A block format of ggml (`ggml-common.h`). A tensor's rows are cut into blocks of
/// [`block_elements`](Self::block_elements) weights, each stored in [`block_bytes`](Self::block_bytes) bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// 32 weights of 4 bits, one scale.
    Q4_0,
    /// 32 weights of 4 bits, scale and minimum.
    Q4_1,
    /// 32 weights of 5 bits, one scale.
    Q5_0,
    /// 32 weights of 5 bits, scale and minimum.
    Q5_1,
    /// 32 weights of 8 bits, one scale.
    Q8_0,
    /// 32 values of 8 bits, scale and scaled sum: what activations are turned into, never stored in a file.
    Q8_1,
    /// 256 weights of 2 bits, 16 scales and minima of 4 bits.
    Q2K,
    /// 256 weights of 3 bits, 16 scales of 6 bits.
    Q3K,
    /// 256 weights of 4 bits, 8 scales and minima of 6 bits.
    Q4K,
    /// 256 weights of 5 bits, 8 scales and minima of 6 bits.
    Q5K,
    /// 256 weights of 6 bits, 16 scales of 8 bits.
    Q6K,
    /// 256 values of 8 bits, a scale in single precision and 16 sums: for activations, never stored in a file.
    Q8K,
    /// 32 weights from a table of 16 uneven levels, one scale.
    Iq4Nl,
    /// 256 weights from the same table, 8 scales of 6 bits.
    Iq4Xs,
    /// 32 weights in E2M1, one scale that is a power of two (OCP Microscaling).
    Mxfp4,
}

impl Kind {
    /// Every kind, in the order of declaration.
    pub const ALL: [Self; 15] = [
        Self::Q4_0,
        Self::Q4_1,
        Self::Q5_0,
        Self::Q5_1,
        Self::Q8_0,
        Self::Q8_1,
        Self::Q2K,
        Self::Q3K,
        Self::Q4K,
        Self::Q5K,
        Self::Q6K,
        Self::Q8K,
        Self::Iq4Nl,
        Self::Iq4Xs,
        Self::Mxfp4,
    ];

    /// Weights in one block.
    pub const fn block_elements(self) -> usize {
        match self {
            Self::Q4_0
            | Self::Q4_1
            | Self::Q5_0
            | Self::Q5_1
            | Self::Q8_0
            | Self::Q8_1
            | Self::Iq4Nl
            | Self::Mxfp4 => 32,
            Self::Q2K | Self::Q3K | Self::Q4K | Self::Q5K | Self::Q6K | Self::Q8K | Self::Iq4Xs => 256,
        }
    }

    /// Bytes of one block.
    pub const fn block_bytes(self) -> usize {
        match self {
            Self::Q4_0 | Self::Iq4Nl => 18,
            Self::Q4_1 => 20,
            Self::Q5_0 => 22,
            Self::Q5_1 => 24,
            Self::Q8_0 => 34,
            Self::Q8_1 => 36,
            Self::Q2K => 84,
            Self::Q3K => 110,
            Self::Q4K => 144,
            Self::Q5K => 176,
            Self::Q6K => 210,
            Self::Q8K => 292,
            Self::Iq4Xs => 136,
            Self::Mxfp4 => 17,
        }
    }

    /// Bytes that `elements` weights take, or `None` where they are not whole blocks or do not fit.
    pub const fn bytes_of(self, elements: usize) -> Option<usize> {
        if !elements.is_multiple_of(self.block_elements()) {
            return None;
        }
        (elements / self.block_elements()).checked_mul(self.block_bytes())
    }

    /// The number of the type in a GGUF file (`enum ggml_type` of `ggml.h`).
    pub const fn ggml_type(self) -> u32 {
        match self {
            Self::Q4_0 => 2,
            Self::Q4_1 => 3,
            Self::Q5_0 => 6,
            Self::Q5_1 => 7,
            Self::Q8_0 => 8,
            Self::Q8_1 => 9,
            Self::Q2K => 10,
            Self::Q3K => 11,
            Self::Q4K => 12,
            Self::Q5K => 13,
            Self::Q6K => 14,
            Self::Q8K => 15,
            Self::Iq4Nl => 20,
            Self::Iq4Xs => 23,
            Self::Mxfp4 => 39,
        }
    }

    /// The kind with that number in a GGUF file; `None` for numbers of other types.
    pub fn from_ggml_type(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.ggml_type() == number)
    }

    /// The name that ggml gives it, as in `Q4_K`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Q4_0 => "Q4_0",
            Self::Q4_1 => "Q4_1",
            Self::Q5_0 => "Q5_0",
            Self::Q5_1 => "Q5_1",
            Self::Q8_0 => "Q8_0",
            Self::Q8_1 => "Q8_1",
            Self::Q2K => "Q2_K",
            Self::Q3K => "Q3_K",
            Self::Q4K => "Q4_K",
            Self::Q5K => "Q5_K",
            Self::Q6K => "Q6_K",
            Self::Q8K => "Q8_K",
            Self::Iq4Nl => "IQ4_NL",
            Self::Iq4Xs => "IQ4_XS",
            Self::Mxfp4 => "MXFP4",
        }
    }

    /// Whether an importance matrix changes the outcome; ggml leaves it aside for the others.
    pub const fn uses_importance(self) -> bool {
        !matches!(self, Self::Q8_0 | Self::Q8_1 | Self::Q8K | Self::Mxfp4)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Kind {
    type Err = Error;

    /// Reads ggml's name, in either case.
    fn from_str(text: &str) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|kind| kind.name().eq_ignore_ascii_case(text)).ok_or_else(|| {
            Error::UnknownKind { name: text.chars().take(40).flat_map(char::escape_debug).collect() }
        })
    }
}

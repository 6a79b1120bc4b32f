//! Why weights could not be quantised or unpacked, each with a stable code.

use crate::Kind;

/// A refusal. Nothing has been written to the caller's buffer, or what has been written is worthless.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A row that is not whole blocks.
    #[error("rows of {row_len} weights are not whole blocks of {block} for `{kind}`")]
    RowLength {
        /// The kind asked for.
        kind: Kind,
        /// Weights in a row.
        row_len: usize,
        /// Weights in a block.
        block: usize,
    },
    /// A tensor that is not whole rows.
    #[error("{elements} weights are not whole rows of {row_len}")]
    Rows {
        /// Weights given.
        elements: usize,
        /// Weights in a row.
        row_len: usize,
    },
    /// A weight that is infinite or not a number.
    #[error("weight {index} is not finite")]
    NotFinite {
        /// Position of the first such weight in row-major order.
        index: usize,
    },
    /// An importance matrix of another length than a row.
    #[error("the importance matrix has {given} entries where a row has {row_len}")]
    ImportanceLength {
        /// Entries given.
        given: usize,
        /// Weights in a row.
        row_len: usize,
    },
    /// An importance that is negative, infinite or not a number.
    #[error("entry {index} of the importance matrix is negative or not finite")]
    ImportanceValue {
        /// The first such entry.
        index: usize,
    },
    /// A buffer of the wrong length.
    #[error("the {buffer} has {given} entries where {needed} are needed")]
    BufferLength {
        /// Which buffer.
        buffer: &'static str,
        /// Its length.
        given: usize,
        /// What is needed.
        needed: usize,
    },
    /// Bytes that are not whole blocks.
    #[error("{bytes} bytes are not whole blocks of {block} bytes of `{kind}`")]
    Blocks {
        /// The kind they are said to be.
        kind: Kind,
        /// Bytes given.
        bytes: usize,
        /// Bytes in a block.
        block: usize,
    },
    /// A name that is no kind.
    #[error("`{name}` is not a kind of block that can be made")]
    UnknownKind {
        /// The name, escaped and shortened.
        name: String,
    },
    /// A block whose scale is infinite or not a number.
    #[error("block {block} has a scale that is not finite")]
    ScaleNotFinite {
        /// The first such block.
        block: usize,
    },
    /// A block size that bitsandbytes does not offer.
    #[error("blocks of {given} weights are not offered; 32, 64, 128, 256, 512, 1024, 2048 and 4096 are")]
    BlockSize {
        /// What was asked for.
        given: usize,
    },
    /// A number of bits that the packing does not know.
    #[error("{given} bits a weight cannot be unpacked; {known} can")]
    Bits {
        /// What was asked for.
        given: u32,
        /// The bits that can be unpacked.
        known: &'static str,
    },
    /// Dimensions of a packed tensor that do not fit together.
    #[error("the packed tensor's {dimension} is {given}, and must be {expected}")]
    Packing {
        /// Which dimension.
        dimension: &'static str,
        /// What was given.
        given: usize,
        /// What would fit.
        expected: &'static str,
    },
    /// A group index that points behind the last group.
    #[error("input {input} is said to be in group {group}, and there are {groups}")]
    GroupIndex {
        /// The row of the weight matrix.
        input: usize,
        /// What its group index says.
        group: i64,
        /// How many groups there are.
        groups: usize,
    },
}

impl Error {
    /// The stable code of this refusal.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::RowLength { .. } => "CS-QNT-001",
            Self::Rows { .. } => "CS-QNT-002",
            Self::NotFinite { .. } => "CS-QNT-003",
            Self::ImportanceLength { .. } => "CS-QNT-004",
            Self::ImportanceValue { .. } => "CS-QNT-005",
            Self::BufferLength { .. } => "CS-QNT-006",
            Self::Blocks { .. } => "CS-QNT-007",
            Self::UnknownKind { .. } => "CS-QNT-008",
            Self::ScaleNotFinite { .. } => "CS-QNT-009",
            Self::BlockSize { .. } => "CS-QNT-010",
            Self::Bits { .. } => "CS-QNT-011",
            Self::Packing { .. } => "CS-QNT-012",
            Self::GroupIndex { .. } => "CS-QNT-013",
        }
    }

    /// What the reader of the refusal can do.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::RowLength { .. } => {
                "choose a kind with smaller blocks for this tensor, as `Q5_0` or `Q8_0`, or leave it unquantised"
            }
            Self::Rows { .. } => "give the whole tensor, and the length of its last dimension",
            Self::NotFinite { .. } => "find out which step of training made the value; do not use the file",
            Self::ImportanceLength { .. } => {
                "give the importance matrix that was computed for this very model"
            }
            Self::ImportanceValue { .. } => "compute the importance matrix again",
            Self::BufferLength { .. } => "give a buffer of the length named",
            Self::Blocks { .. } => {
                "the data is cut short or of another kind; fetch it again and compare its digest"
            }
            Self::UnknownKind { .. } => "ask for one of the kinds that `countersign quantize --help` lists",
            Self::ScaleNotFinite { .. } => {
                "the block's weights are outside what its half-precision scale can hold, or the data is damaged; \
                 use a kind with a wider scale or do not use the file"
            }
            Self::BlockSize { .. } => {
                "choose one of the block sizes that bitsandbytes offers; 64 is its own choice"
            }
            Self::Bits { .. } => "check `bits` in the model's quantisation settings",
            Self::Packing { .. } => {
                "compare shapes with the model's quantisation settings; the file may be damaged"
            }
            Self::GroupIndex { .. } => "the file's `g_idx` does not belong to its scales; do not use it",
        }
    }
}

//! Why a GGUF file could not be read or written.

/// A refusal of a GGUF file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GgufError {
    /// The file does not begin with `GGUF`.
    #[error("the file does not begin with `GGUF`")]
    Magic,
    /// A version other than 2 and 3, or a file in the other byte order.
    #[error("GGUF version {version} is not one that is read; versions 2 and 3, little-endian, are")]
    Version {
        /// What the file says.
        version: u32,
    },
    /// Something announced does not fit in what is left of the file.
    #[error("the file ends inside its {place}: {needed} bytes are announced at byte {at}, {left} are left")]
    Truncated {
        /// Where.
        place: &'static str,
        /// Offset in the file.
        at: u64,
        /// Bytes announced.
        needed: u64,
        /// Bytes left.
        left: u64,
    },
    /// A count beyond its limit.
    #[error("{count} {what} are announced, the limit is {limit}")]
    TooMany {
        /// What is counted.
        what: &'static str,
        /// What the file says.
        count: u64,
        /// The limit in force.
        limit: u64,
    },
    /// A key or name that is not UTF-8, empty, too long, holds control characters, or leads along a path.
    #[error("the name `{name}` at byte {at} is not UTF-8, empty, too long, or holds what a name must not")]
    Name {
        /// The name, escaped and shortened.
        name: String,
        /// Offset in the file.
        at: u64,
    },
    /// The same key or tensor name twice.
    #[error("the {what} `{name}` stands twice")]
    Repeated {
        /// Key or tensor.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// A value whose type number is not in the format.
    #[error("the value of `{key}` has the unknown type {number}")]
    ValueType {
        /// The key.
        key: String,
        /// The number.
        number: u32,
    },
    /// A value that its type does not allow: text that is not UTF-8, a boolean that is neither 0 nor 1.
    #[error("the value of `{key}` at byte {at} is not what its type allows")]
    Value {
        /// The key.
        key: String,
        /// Offset in the file.
        at: u64,
    },
    /// Arrays within arrays, deeper than the limit.
    #[error("the value of `{key}` nests arrays deeper than {limit}")]
    Depth {
        /// The key.
        key: String,
        /// The limit in force.
        limit: usize,
    },
    /// `general.alignment` is not a `u32` that is a power of two.
    #[error("`general.alignment` is not a power of two of type u32")]
    Alignment,
    /// A tensor type that ggml does not have.
    #[error("tensor `{tensor}` has the unknown type {number}")]
    TensorType {
        /// The tensor.
        tensor: String,
        /// The number.
        number: u32,
    },
    /// More dimensions than ggml has, a product that overflows, or rows that are no whole number of blocks.
    #[error(
        "the shape of tensor `{tensor}` has too many dimensions, overflows or does not fit its type's blocks"
    )]
    Shape {
        /// The tensor.
        tensor: String,
    },
    /// A tensor that does not begin on the file's alignment.
    #[error("tensor `{tensor}` begins at {offset}, which is not a multiple of {alignment}")]
    Misaligned {
        /// The tensor.
        tensor: String,
        /// Offset in the data.
        offset: u64,
        /// The alignment in force.
        alignment: u64,
    },
    /// A tensor that leaves the file.
    #[error("tensor `{tensor}` spans {begin}+{bytes} of {length} bytes of data")]
    Outside {
        /// The tensor.
        tensor: String,
        /// Offset in the data.
        begin: u64,
        /// Bytes that its shape and type need.
        bytes: u64,
        /// Bytes of data in the file.
        length: u64,
    },
    /// Two tensors share bytes.
    #[error("tensor `{tensor}` begins before the tensor ahead of it ends")]
    Overlap {
        /// The later tensor.
        tensor: String,
    },
    /// Bytes between tensors, or after the last, beyond what alignment asks for.
    #[error("{bytes} bytes at offset {at} of the data belong to no tensor")]
    Hole {
        /// Offset in the data.
        at: u64,
        /// How many bytes.
        bytes: u64,
    },
    /// What is to be written does not fit together.
    #[error("`{name}` cannot be written: {reason}")]
    Write {
        /// The tensor or key.
        name: String,
        /// Why.
        reason: &'static str,
    },
}

impl GgufError {
    /// The stable code of this refusal.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Magic => "CS-TSR-500",
            Self::Version { .. } => "CS-TSR-501",
            Self::Truncated { .. } => "CS-TSR-502",
            Self::TooMany { .. } => "CS-TSR-503",
            Self::Name { .. } => "CS-TSR-504",
            Self::Repeated { .. } => "CS-TSR-505",
            Self::ValueType { .. } => "CS-TSR-506",
            Self::Value { .. } => "CS-TSR-507",
            Self::Depth { .. } => "CS-TSR-508",
            Self::Alignment => "CS-TSR-509",
            Self::TensorType { .. } => "CS-TSR-510",
            Self::Shape { .. } => "CS-TSR-511",
            Self::Misaligned { .. } => "CS-TSR-512",
            Self::Outside { .. } => "CS-TSR-513",
            Self::Overlap { .. } => "CS-TSR-514",
            Self::Hole { .. } => "CS-TSR-515",
            Self::Write { .. } => "CS-TSR-516",
        }
    }

    /// What the reader of the refusal can do.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Magic => "give a GGUF file; other containers are read under their own names",
            Self::Version { .. } => "convert the file again with a current converter",
            Self::Truncated { .. } => {
                "the file is cut short or lies about a length; fetch it again and compare its digest"
            }
            Self::TooMany { .. } | Self::Depth { .. } => {
                "raise the limit only if the file's maker is known and the size is expected"
            }
            Self::Name { .. }
            | Self::Repeated { .. }
            | Self::ValueType { .. }
            | Self::Value { .. }
            | Self::Alignment
            | Self::Shape { .. }
            | Self::Misaligned { .. }
            | Self::Outside { .. }
            | Self::Overlap { .. }
            | Self::Hole { .. } => {
                "the file breaks the GGUF format; other readers may see another model in it: do not use it"
            }
            Self::TensorType { .. } => "quantise the model again to a type that ggml still has",
            Self::Write { .. } => "give names, shapes, types and bytes that fit together",
        }
    }
}

//! Why an array file could not be read.

/// A refusal of an `.npy` file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NumpyError {
    /// The file does not begin as an array file does, or its version is not 1 to 3.
    #[error("the file is no NumPy array of format version 1, 2 or 3")]
    Magic,
    /// The file ends before its header does, or the header is announced beyond the limit.
    #[error(
        "the header is announced as {announced} bytes of which {left} are there, the limit being {limit}"
    )]
    Header {
        /// What the length field says.
        announced: u64,
        /// Bytes that follow it.
        left: u64,
        /// The limit in force.
        limit: u64,
    },
    /// The header is not the literal that NumPy writes.
    #[error(
        "the header is not a dictionary of `descr`, `fortran_order` and `shape`: byte {at} is out of place"
    )]
    Literal {
        /// Offset in the header.
        at: usize,
    },
    /// An element type that holds Python objects: only unpickling could read them.
    #[error("the elements are Python objects (`{descr}`)")]
    Objects {
        /// What the header says, escaped and shortened.
        descr: String,
    },
    /// An element type that is not read: structures, texts, dates.
    #[error("the element type `{descr}` is not read")]
    ElementType {
        /// What the header says, escaped and shortened.
        descr: String,
    },
    /// Too many dimensions, or a product that overflows.
    #[error("the shape has too many dimensions or overflows")]
    Shape,
    /// More or fewer bytes than shape and type need.
    #[error("{length} bytes of data follow the header where shape and type need {needed}")]
    Length {
        /// Bytes there are.
        length: u64,
        /// Bytes needed.
        needed: u64,
    },
}

impl NumpyError {
    /// The stable code of this refusal.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Magic => "CS-TSR-530",
            Self::Header { .. } => "CS-TSR-531",
            Self::Literal { .. } => "CS-TSR-532",
            Self::Objects { .. } => "CS-TSR-533",
            Self::ElementType { .. } => "CS-TSR-534",
            Self::Shape => "CS-TSR-535",
            Self::Length { .. } => "CS-TSR-536",
        }
    }

    /// What the reader of the refusal can do.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Magic => "give a file that `numpy.save` wrote",
            Self::Header { .. } | Self::Length { .. } => {
                "the file is cut short or holds something else; fetch it again and compare its digest"
            }
            Self::Literal { .. } | Self::Shape => "save the array again with `numpy.save`",
            Self::Objects { .. } => {
                "do not load it: loading runs what the pickle inside says; save the numbers as an array of numbers"
            }
            Self::ElementType { .. } => "save the array as one of numbers",
        }
    }
}

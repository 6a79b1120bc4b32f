//! Why a pickle stream was not read at all, and where reading one broke.

/// A refusal of a stream as a whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Nothing to read.
    #[error("there is no pickle in no bytes")]
    Empty,
    /// The list of allowed imports cannot be read.
    #[error("line {line} of the list of allowed imports is not `module: name name …`")]
    AllowList {
        /// The line, counted from one.
        line: usize,
    },
}

impl Error {
    /// The stable code of this refusal.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Empty => "CS-TSR-220",
            Self::AllowList { .. } => "CS-TSR-221",
        }
    }

    /// What the reader of the refusal can do.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Empty => "the file is empty; fetch it again and compare its digest",
            Self::AllowList { .. } => "mend the line named; each line allows names of one module",
        }
    }
}

/// Where a pickle stops making sense. Python runs everything before that point.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} (byte {at})")]
pub struct Fault {
    /// Offset in the stream.
    pub at: u64,
    /// What is wrong there.
    pub kind: FaultKind,
}

/// What can be wrong with a pickle.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FaultKind {
    /// The stream ends inside an instruction.
    #[error("the stream ends inside `{0}`")]
    Truncated(&'static str),
    /// The stream ends without `STOP`.
    #[error("the stream ends without `STOP`")]
    NoStop,
    /// A byte that is no instruction.
    #[error("the byte {0:#04x} is no instruction")]
    Opcode(u8),
    /// A protocol that does not exist.
    #[error("the protocol {0} does not exist")]
    Protocol(u8),
    /// An argument that cannot be read.
    #[error("the argument of `{0}` cannot be read")]
    Argument(&'static str),
    /// The instruction takes more than is on the stack.
    #[error("`{0}` takes more than is on the stack")]
    Underflow(&'static str),
    /// The memo has nothing at that place.
    #[error("`{opcode}` asks for memo place {place}, which is empty")]
    Memo {
        /// The instruction.
        opcode: &'static str,
        /// The place.
        place: u64,
    },
    /// The instruction does not apply to what is on the stack.
    #[error("`{0}` does not apply to what is on the stack")]
    Operand(&'static str),
    /// More values than the limit: the rest was not followed.
    #[error("more than {0} values, instructions or events")]
    TooMany(u64),
}

impl FaultKind {
    /// The stable code of the fault.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Truncated(_) | Self::NoStop => "CS-TSR-222",
            Self::Opcode(_) => "CS-TSR-223",
            Self::Protocol(_) => "CS-TSR-224",
            Self::Argument(_) => "CS-TSR-225",
            Self::Underflow(_) | Self::Operand(_) => "CS-TSR-226",
            Self::Memo { .. } => "CS-TSR-227",
            Self::TooMany(_) => "CS-TSR-228",
        }
    }

    /// What the reader of the fault can do.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Truncated(_) | Self::NoStop => {
                "the pickle is cut short; fetch it again and compare its digest"
            }
            Self::TooMany(_) => "raise the limit only if the file's maker is known and the size is expected",
            _ => {
                "the pickle is damaged or made to mislead; Python runs what stands before the break: do not load it"
            }
        }
    }
}

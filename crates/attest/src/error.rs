//! Why a host gives no evidence, each with a stable code.

use std::path::PathBuf;

/// A refusal.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A way to a TPM that cannot be read.
    #[error("`{text}` names no way to a TPM")]
    Tcti {
        /// What was given.
        text: String,
    },
    /// A device or socket that cannot be opened.
    #[error("`{what}` cannot be opened")]
    Open {
        /// Which.
        what: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A TPM that does not answer.
    #[error("the TPM gives no answer to `{command}`")]
    Silent {
        /// What it was asked.
        command: &'static str,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// An answer of a TPM that cannot be read.
    #[error("the TPM's answer to `{command}` cannot be read")]
    Answer {
        /// What it was asked.
        command: &'static str,
    },
    /// A command that the TPM refuses.
    #[error("the TPM refuses `{command}` with `{code:#05x}`")]
    Refused {
        /// What it was asked.
        command: &'static str,
        /// Its response code.
        code: u32,
    },
    /// More registers than there are, or one twice.
    #[error("register `{index}` is not from 0 to 23, or is named twice")]
    Register {
        /// Which.
        index: u8,
    },
    /// A file of the kernel or of Gramine that cannot be read or written.
    #[error("`{path}` cannot be read or written")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A provider of reports that is not known here.
    #[error("the kernel's provider of reports `{name}` is not known here")]
    Provider {
        /// Its name.
        name: String,
    },
    /// Another process asked at the same time.
    #[error("another process used the report `{path}` at the same time")]
    Interfered {
        /// Which.
        path: PathBuf,
    },
    /// What was collected is not sound.
    #[error("what the host answered does not hold")]
    Unsound(#[source] evidence::Error),
}

impl Error {
    /// The stable code of this refusal.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Tcti { .. } => "CS-ATT-001",
            Self::Open { .. } => "CS-ATT-002",
            Self::Silent { .. } => "CS-ATT-003",
            Self::Answer { .. } => "CS-ATT-004",
            Self::Refused { .. } => "CS-ATT-005",
            Self::Register { .. } => "CS-ATT-006",
            Self::File { .. } => "CS-ATT-007",
            Self::Provider { .. } => "CS-ATT-008",
            Self::Interfered { .. } => "CS-ATT-009",
            Self::Unsound(_) => "CS-ATT-010",
        }
    }

    /// What the reader of the refusal can do.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Tcti { .. } => {
                "write `device:/dev/tpmrm0`, `swtpm:path=SOCKET` or `swtpm:host=127.0.0.1,port=2321`"
            }
            Self::Open { .. } => {
                "look whether it is there and whether you may use it: often the group `tss` may"
            }
            Self::Silent { .. } => "look whether the TPM, or `swtpm`, still runs and was started up",
            Self::Answer { .. } => "whatever listens there is no TPM 2.0",
            Self::Refused { .. } => {
                "the TPM's hierarchy may have a password, or the key named is not there: `tpm2_rc_decode` explains the code"
            }
            Self::Register { .. } => "name each register once, from 0 to 23",
            Self::File { .. } => "look whether configfs is mounted and whether you may write there",
            Self::Provider { .. } => "only `tdx_guest` and `sev_guest` are known",
            Self::Interfered { .. } => "run it again",
            Self::Unsound(_) => "if a register changed meanwhile, run it again; else do not use this host",
        }
    }
}

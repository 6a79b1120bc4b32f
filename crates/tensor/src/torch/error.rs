//! Why a checkpoint could not be read.

use crate::error::shown;
use crate::{pickle, zip};

/// A refusal of a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Neither an archive with a `data.pkl` nor the legacy form.
    #[error("the file is no PyTorch checkpoint")]
    NotTorch,
    /// The archive cannot be read.
    #[error("the archive of the checkpoint cannot be read")]
    Zip {
        /// Why.
        #[source]
        error: zip::Error,
    },
    /// The pickle breaks.
    #[error("the pickle of the checkpoint breaks")]
    Pickle {
        /// Where and why.
        #[source]
        fault: pickle::Fault,
    },
    /// A tensor that is not put together as PyTorch does it.
    #[error("tensor `{name}`: {what} is not as PyTorch writes it")]
    Form {
        /// Where it stands.
        name: String,
        /// What is not.
        what: &'static str,
    },
    /// A storage that is not in the file, or not whole.
    #[error("the storage `{key}` is missing or has fewer bytes than its elements need")]
    Storage {
        /// Its key, escaped and shortened.
        key: String,
    },
    /// A view that reaches outside its storage.
    #[error("tensor `{name}` reaches outside its storage of {elements} elements")]
    Bounds {
        /// Where it stands.
        name: String,
        /// Elements of the storage.
        elements: u64,
    },
    /// Too much of something.
    #[error("the checkpoint has more than {limit} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The limit in force.
        limit: usize,
    },
    /// A tensor that would need more memory than allowed when its elements are laid out.
    #[error("tensor `{name}` has {bytes} bytes laid out, more than the {limit} allowed")]
    TooLarge {
        /// Where it stands.
        name: String,
        /// What it needs.
        bytes: u64,
        /// The limit in force.
        limit: u64,
    },
    /// A legacy checkpoint of a machine with the other byte order.
    #[error("the legacy checkpoint was written on a big-endian machine")]
    ByteOrder,
}

impl Error {
    pub(super) fn storage_missing(key: &str) -> Self {
        Self::Storage { key: shown(key) }
    }

    /// The stable code of this refusal.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotTorch => "CS-TSR-240",
            Self::Zip { .. } => "CS-TSR-241",
            Self::Pickle { .. } => "CS-TSR-242",
            Self::Form { .. } => "CS-TSR-243",
            Self::Storage { .. } => "CS-TSR-244",
            Self::Bounds { .. } => "CS-TSR-245",
            Self::TooMany { .. } => "CS-TSR-246",
            Self::TooLarge { .. } => "CS-TSR-247",
            Self::ByteOrder => "CS-TSR-248",
        }
    }

    /// What the reader of the refusal can do.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::NotTorch => "give a file that `torch.save` wrote",
            Self::Zip { .. } | Self::Pickle { .. } | Self::Storage { .. } => {
                "the file is cut short or damaged; fetch it again and compare its digest"
            }
            Self::Form { .. } | Self::Bounds { .. } => {
                "the file was not written by PyTorch, or changed since: do not use it"
            }
            Self::TooMany { .. } | Self::TooLarge { .. } => {
                "raise the limit only if the file's maker is known and the size is expected"
            }
            Self::ByteOrder => "load it where nothing is at stake, and save it in the zip form",
        }
    }
}

impl From<zip::Error> for Error {
    fn from(error: zip::Error) -> Self {
        Self::Zip { error }
    }
}

//! Why an archive, or one of its entries, could not be read.

use super::anomaly::{Anomaly, Oddity};

/// A refusal of an archive or of one entry's contents.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No end-of-central-directory record within reach of the end of the file.
    #[error("the file has no zip directory at its end")]
    NoDirectory,
    /// More entries than the limit.
    #[error("the archive holds more than {limit} entries")]
    TooManyEntries {
        /// The limit in force.
        limit: usize,
    },
    /// The strict reader met something that readers disagree about.
    #[error("the archive is not read alike by all readers: {0}")]
    Anomalous(Anomaly),
    /// There is no such entry.
    #[error("the archive has no entry {index}")]
    NoEntry {
        /// The number that was asked for.
        index: usize,
    },
    /// An entry whose bytes are not all in the file.
    #[error("the entry `{entry}` reaches outside the file")]
    Outside {
        /// The entry's name, escaped and shortened.
        entry: String,
    },
    /// A compression method other than stored and deflate.
    #[error("the entry `{entry}` is packed with method {method}, which PyTorch and NumPy do not write")]
    Method {
        /// The entry's name, escaped and shortened.
        entry: String,
        /// The method's number.
        method: u16,
    },
    /// A deflate stream that cannot be unpacked.
    #[error("the entry `{entry}` is not a deflate stream: it breaks after {unpacked} unpacked bytes")]
    Deflate {
        /// The entry's name, escaped and shortened.
        entry: String,
        /// How many bytes came out before it broke.
        unpacked: u64,
    },
    /// Unpacking would need more memory than the budget has left.
    #[error("the entry `{entry}` unpacks to more than the {left} bytes left in the budget")]
    Bomb {
        /// The entry's name, escaped and shortened.
        entry: String,
        /// What the budget had left.
        left: u64,
    },
}

impl Error {
    /// The stable code of this refusal.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoDirectory => "CS-TSR-200",
            Self::TooManyEntries { .. } => "CS-TSR-201",
            Self::NoEntry { .. } => "CS-TSR-202",
            Self::Outside { .. } => "CS-TSR-203",
            Self::Method { .. } => "CS-TSR-204",
            Self::Deflate { .. } => "CS-TSR-205",
            Self::Bomb { .. } => "CS-TSR-206",
            Self::Anomalous(anomaly) => match anomaly.oddity {
                Oddity::LocalHeader { .. } | Oddity::LocalMissing => "CS-TSR-207",
                Oddity::Name { .. } | Oddity::OtherName | Oddity::NameEncoding => "CS-TSR-208",
                Oddity::Repeated { .. } => "CS-TSR-209",
                Oddity::Overlap { .. } => "CS-TSR-210",
                Oddity::Encrypted | Oddity::Link | Oddity::Disk => "CS-TSR-211",
                Oddity::Ends { .. }
                | Oddity::Counts { .. }
                | Oddity::DirectorySize { .. }
                | Oddity::TwoDirectories
                | Oddity::Extra => "CS-TSR-212",
                Oddity::Prepended { .. }
                | Oddity::Appended { .. }
                | Oddity::Unclaimed { .. }
                | Oddity::Unlisted => "CS-TSR-213",
                Oddity::Ratio { .. } | Oddity::Total { .. } => "CS-TSR-214",
                Oddity::Outside | Oddity::Method { .. } => "CS-TSR-215",
                Oddity::Crc { .. } | Oddity::Length { .. } | Oddity::PackedTail { .. } => "CS-TSR-216",
            },
        }
    }

    /// What the reader of the refusal can do.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::NoDirectory => {
                "the file is cut short or is no zip archive; fetch it again and compare its digest"
            }
            Self::TooManyEntries { .. } => {
                "raise the limit only if the file's maker is known and the number is expected"
            }
            Self::NoEntry { .. } => "ask only for entries that the archive lists",
            Self::Outside { .. } | Self::Deflate { .. } => {
                "the file is cut short or damaged; fetch it again and compare its digest"
            }
            Self::Method { .. } => "write the archive again with stored or deflated entries",
            Self::Bomb { .. } => "do not unpack it; raise the budget only if the size is expected",
            Self::Anomalous(_) => {
                "two readers may see two different models in this file: load it where nothing is at stake and save it anew"
            }
        }
    }
}

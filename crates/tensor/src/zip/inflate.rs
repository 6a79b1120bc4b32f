//! Deflate streams unpacked into memory that grows with what comes out, never with what is announced.

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress, inflate_flags};

/// How unpacking ended.
pub(super) enum Unpacked {
    /// At the end of the stream, after that many packed bytes.
    Whole {
        /// Packed bytes read.
        consumed: usize,
    },
    /// The stream is cut short or is none.
    Broken,
    /// More would have come out than the limit.
    TooLong,
}

/// Unpacks a raw deflate stream into at most `limit` bytes. `announced` is only a hint for the first allocation.
pub(super) fn unpack(packed: &[u8], announced: u64, limit: u64) -> (Vec<u8>, Unpacked) {
    const FIRST_MAX: usize = 1 << 20;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let first = usize::try_from(announced).unwrap_or(FIRST_MAX).clamp(64, FIRST_MAX).min(limit);
    let mut bytes = vec![0; first];
    let mut state = Box::<DecompressorOxide>::default();
    let (mut read, mut written) = (0, 0);
    loop {
        let (status, consumed, produced) = decompress(
            &mut state,
            packed.get(read..).unwrap_or_default(),
            &mut bytes,
            written,
            inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF,
        );
        read += consumed;
        written += produced;
        let end = match status {
            TINFLStatus::Done => Unpacked::Whole { consumed: read },
            TINFLStatus::HasMoreOutput if bytes.len() < limit => {
                let grown = bytes.len().saturating_mul(2).clamp(64, limit);
                bytes.resize(grown, 0);
                continue;
            }
            TINFLStatus::HasMoreOutput => Unpacked::TooLong,
            _ => Unpacked::Broken,
        };
        bytes.truncate(written);
        return (bytes, end);
    }
}

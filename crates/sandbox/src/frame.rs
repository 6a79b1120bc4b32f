//! Frames on a pipe: four bytes of length (little endian), then so many bytes.

use std::io::{self, Write};

/// The largest frame.
pub const FRAME_BYTES_MAX: u32 = 1 << 20;

/// The size of every frame at the level [`Deep`](crate::Level::Deep), whatever it says: its length tells nothing.
pub const FIXED_BYTES: usize = 64 * 1024;

/// A frame's content, padded to [`FIXED_BYTES`]: four bytes of length, the content, zeros.
///
/// # Errors
/// Where the content does not fit.
pub fn pad(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let too_large =
        || io::Error::new(io::ErrorKind::InvalidInput, "the answer does not fit into a frame of fixed size");
    let length = u32::try_from(bytes.len()).map_err(|_| too_large())?;
    if bytes.len() > FIXED_BYTES - 4 {
        return Err(too_large());
    }
    let mut frame = Vec::with_capacity(FIXED_BYTES);
    frame.extend_from_slice(&length.to_le_bytes());
    frame.extend_from_slice(bytes);
    frame.resize(FIXED_BYTES, 0);
    Ok(frame)
}

/// The content of a padded frame; none where it is not [`FIXED_BYTES`] long or is padded with anything but zeros.
pub fn unpad(frame: &[u8]) -> Option<&[u8]> {
    let (length, rest) = frame.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let (content, padding) = rest.split_at_checked(length)?;
    (frame.len() == FIXED_BYTES && padding.iter().all(|byte| *byte == 0)).then_some(content)
}

/// Writes one frame.
pub fn write_frame(out: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    let length = u32::try_from(bytes.len()).ok().filter(|length| *length <= FRAME_BYTES_MAX);
    let length = length.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "a frame is too large"))?;
    out.write_all(&length.to_le_bytes())?;
    out.write_all(bytes)?;
    out.flush()
}

/// Collects bytes as they come, and gives whole frames back. It holds at most one frame beside what came last.
#[derive(Debug, Default)]
pub struct Frames {
    pending: Vec<u8>,
}

impl Frames {
    /// Takes bytes; calls `on_frame` with each frame that is whole now.
    ///
    /// # Errors
    /// The announced length, where it is above [`FRAME_BYTES_MAX`].
    pub fn take(&mut self, bytes: &[u8], mut on_frame: impl FnMut(&[u8])) -> Result<(), u32> {
        self.pending.extend_from_slice(bytes);
        let mut done = 0;
        while let Some((head, rest)) = self.pending.get(done..).and_then(|left| left.split_first_chunk::<4>())
        {
            let length = u32::from_le_bytes(*head);
            if length > FRAME_BYTES_MAX {
                return Err(length);
            }
            let Some(frame) = usize::try_from(length).ok().and_then(|length| rest.get(..length)) else {
                break;
            };
            on_frame(frame);
            done += 4 + frame.len();
        }
        self.pending.drain(..done);
        Ok(())
    }

    /// Whether a frame was begun and not ended.
    pub fn is_open(&self) -> bool {
        !self.pending.is_empty()
    }
}

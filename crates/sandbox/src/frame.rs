//! Frames on a pipe: four bytes of length (little endian), then so many bytes; and messages, which are longer than a
//! frame may be: each frame of one begins with a byte that says whether more of it follows.

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

/// More of the message follows.
const MORE: u8 = b'+';
/// The message ends with this frame.
const LAST: u8 = b'.';

/// The frames of one message, each with at most `most` bytes.
pub(crate) fn parts(message: &[u8], most: usize) -> impl Iterator<Item = Vec<u8>> {
    let size = most.saturating_sub(1).max(1);
    let count = message.len().div_ceil(size).max(1);
    (0..count).map(move |at| {
        let from = at.saturating_mul(size);
        let part = message.get(from..message.len().min(from.saturating_add(size))).unwrap_or_default();
        let mut frame = Vec::with_capacity(part.len() + 1);
        frame.push(if at + 1 == count { LAST } else { MORE });
        frame.extend_from_slice(part);
        frame
    })
}

/// The most bytes of a part of a message at a level.
pub(crate) const fn part_bytes(level: crate::Level) -> usize {
    match level {
        crate::Level::Standard => 256 * 1024,
        crate::Level::Deep | crate::Level::Gvisor => FIXED_BYTES - 4,
    }
}

/// Why a frame is no part of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoMessage {
    /// It does not begin with a byte that says whether more follows.
    Form,
    /// The message is longer than it may be.
    Long,
}

impl std::fmt::Display for NoMessage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Form => "a frame is no part of a message",
            Self::Long => "a message is longer than it may be",
        })
    }
}

/// Joins frames to messages of at most so many bytes.
#[derive(Debug)]
pub struct Messages {
    most: usize,
    pending: Vec<u8>,
    open: bool,
}

impl Messages {
    /// Messages of at most `most` bytes.
    pub const fn new(most: usize) -> Self {
        Self { most, pending: Vec::new(), open: false }
    }

    /// Takes a frame; answers the message that ends with it.
    ///
    /// # Errors
    /// [`NoMessage`]. What comes after that is worth nothing.
    pub fn take(&mut self, frame: &[u8]) -> Result<Option<Vec<u8>>, NoMessage> {
        let (kind, part) = frame.split_first().ok_or(NoMessage::Form)?;
        if self.pending.len().saturating_add(part.len()) > self.most {
            return Err(NoMessage::Long);
        }
        self.pending.extend_from_slice(part);
        match *kind {
            MORE if !part.is_empty() => {
                self.open = true;
                Ok(None)
            }
            LAST => {
                self.open = false;
                Ok(Some(std::mem::take(&mut self.pending)))
            }
            _ => Err(NoMessage::Form),
        }
    }

    /// Whether a message was begun and not ended.
    pub const fn is_open(&self) -> bool {
        self.open
    }
}

#[cfg(test)]
mod tests {
    use super::{LAST, MORE, Messages, NoMessage, parts};

    #[test]
    fn messages_come_out_as_they_went_in() {
        for length in [0, 1, 8, 9, 10, 27, 100] {
            let message: Vec<u8> = (0..length).collect();
            let mut messages = Messages::new(100);
            let mut told = Vec::new();
            for frame in parts(&message, 10) {
                assert!(frame.len() <= 10);
                told.extend(messages.take(&frame).unwrap());
            }
            assert_eq!(told, [message]);
            assert!(!messages.is_open());
        }
    }

    #[test]
    fn what_is_no_message_is_refused() {
        assert_eq!(Messages::new(10).take(&[]), Err(NoMessage::Form));
        assert_eq!(Messages::new(10).take(b"?abc"), Err(NoMessage::Form));
        // Empty parts without end would cost time and tell nothing.
        assert_eq!(Messages::new(10).take(&[MORE]), Err(NoMessage::Form));
        assert_eq!(Messages::new(2).take(&[LAST, 1, 2, 3]), Err(NoMessage::Long));
        let mut messages = Messages::new(4);
        assert_eq!(messages.take(&[MORE, 1, 2, 3]), Ok(None));
        assert!(messages.is_open());
        assert_eq!(messages.take(&[LAST, 4, 5]), Err(NoMessage::Long));
    }
}

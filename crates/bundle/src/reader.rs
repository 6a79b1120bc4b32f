//! Reading a bundle in pieces: bytes in, the token [`Whole`] out.

use sha2::{Digest as _, Sha256};
use statement::Digest;

use crate::error::BundleError;
use crate::header::{HEADER_BYTES_MAX, MAGIC, Section, SignedHeader};

/// Where a section lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The section.
    pub section: Section,
    /// The offset of its first byte in the file.
    pub at: u64,
}

/// Token: every byte of the file was read and is the one that the header was signed for. Only [`Reader::finish`] makes
/// one. The medium may answer otherwise the next time: what is read again is hashed again.
#[derive(Debug)]
pub struct Whole {
    signed: SignedHeader,
    places: Vec<Place>,
}

impl Whole {
    /// The signed header.
    pub const fn signed(&self) -> &SignedHeader {
        &self.signed
    }

    /// Where each section lies.
    pub fn places(&self) -> &[Place] {
        &self.places
    }
}

/// Reads a bundle.
#[derive(Debug)]
pub struct Reader {
    state: State,
    read: u64,
}

#[derive(Debug)]
enum State {
    /// Magic and length, gathered.
    Opening(Vec<u8>),
    /// The signed header, gathered up to its length.
    Header { bytes: usize, have: Vec<u8> },
    /// The sections.
    Body(Box<Body>),
    /// After an error nothing is read.
    Failed,
}

#[derive(Debug)]
struct Body {
    signed: SignedHeader,
    places: Vec<Place>,
    hasher: Sha256,
    left: u64,
}

/// Bytes before the signed header.
const OPENING: usize = MAGIC.len() + 4;

impl Default for Reader {
    fn default() -> Self {
        Self::new()
    }
}

impl Reader {
    /// A reader at the beginning of a file.
    pub const fn new() -> Self {
        Self { state: State::Opening(Vec::new()), read: 0 }
    }

    /// Takes the next bytes of the file, as many as there are.
    ///
    /// # Errors
    /// The first thing that is wrong. A reader that has refused refuses everything after.
    pub fn feed(&mut self, mut bytes: &[u8]) -> Result<(), BundleError> {
        while !bytes.is_empty() {
            let state = std::mem::replace(&mut self.state, State::Failed);
            let (state, rest) = state.take(bytes, self.read)?;
            self.state = state;
            let taken = bytes.len() - rest.len();
            self.read = self.read.saturating_add(u64::try_from(taken).unwrap_or(u64::MAX));
            bytes = rest;
        }
        Ok(())
    }

    /// The header, once it was read.
    pub fn header(&self) -> Option<&SignedHeader> {
        match &self.state {
            State::Body(body) => Some(&body.signed),
            State::Opening(_) | State::Header { .. } | State::Failed => None,
        }
    }

    /// Whether everything that the header lists was read.
    pub fn is_complete(&self) -> bool {
        matches!(&self.state, State::Body(body) if body.next().is_none())
    }

    /// Says that the file has ended.
    ///
    /// # Errors
    /// [`BundleError::Truncated`] where it ended too early.
    pub fn finish(self) -> Result<Whole, BundleError> {
        let at = self.read;
        match self.state {
            State::Opening(_) | State::Header { .. } | State::Failed => Err(BundleError::Truncated { at }),
            State::Body(body) => {
                if body.places.len() == body.signed.header().sections.len() {
                    Ok(Whole { signed: body.signed, places: body.places })
                } else {
                    Err(BundleError::Truncated { at })
                }
            }
        }
    }
}

impl State {
    /// Takes some of the bytes, at least one; answers what follows.
    fn take(self, bytes: &[u8], at: u64) -> Result<(Self, &[u8]), BundleError> {
        match self {
            Self::Opening(mut have) => {
                let rest = gather(&mut have, OPENING, bytes);
                let line = have.len().min(MAGIC.len());
                if have.get(..line) != MAGIC.get(..line) {
                    return Err(BundleError::NotABundle);
                }
                let Some(length) = have.get(MAGIC.len()..).and_then(|tail| tail.first_chunk::<4>()) else {
                    return Ok((Self::Opening(have), rest));
                };
                let bytes = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
                if bytes == 0 || bytes > HEADER_BYTES_MAX {
                    return Err(BundleError::HeaderForm { reason: "it is empty or longer than 4 MiB" });
                }
                Ok((Self::Header { bytes, have: Vec::new() }, rest))
            }
            Self::Header { bytes: length, mut have } => {
                let rest = gather(&mut have, length, bytes);
                if have.len() < length {
                    return Ok((Self::Header { bytes: length, have }, rest));
                }
                let signed = SignedHeader::parse(&have)?;
                let taken = u64::try_from(bytes.len() - rest.len()).unwrap_or(u64::MAX);
                let begin = at.saturating_add(taken);
                let mut body = Body { signed, places: Vec::new(), hasher: Sha256::new(), left: 0 };
                body.left = body.next().map_or(0, |section| section.bytes);
                body.close_empty(begin)?;
                Ok((Self::Body(Box::new(body)), rest))
            }
            Self::Body(mut body) => {
                if body.next().is_none() {
                    return Err(BundleError::Trailing { at });
                }
                let rest = body.take(bytes, at)?;
                Ok((Self::Body(body), rest))
            }
            Self::Failed => Err(BundleError::Truncated { at }),
        }
    }
}

/// Moves bytes until `have` holds `wanted`; answers what follows.
fn gather<'a>(have: &mut Vec<u8>, wanted: usize, bytes: &'a [u8]) -> &'a [u8] {
    let more = wanted.saturating_sub(have.len()).min(bytes.len());
    let (taken, rest) = bytes.split_at_checked(more).unwrap_or((bytes, &[]));
    have.extend_from_slice(taken);
    rest
}

impl Body {
    /// The section that is being read.
    fn next(&self) -> Option<Section> {
        self.signed.header().sections.get(self.places.len()).copied()
    }

    fn take<'a>(&mut self, bytes: &'a [u8], at: u64) -> Result<&'a [u8], BundleError> {
        let length = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
        let (taken, rest) = bytes.split_at_checked(length).unwrap_or((bytes, &[]));
        self.hasher.update(taken);
        let taken = u64::try_from(taken.len()).unwrap_or(u64::MAX);
        self.left = self.left.saturating_sub(taken);
        if self.left == 0 {
            self.close(at.saturating_add(taken))?;
            self.close_empty(at.saturating_add(taken))?;
        }
        Ok(rest)
    }

    /// Ends the section that is being read, the file's offset behind it being `end`.
    fn close(&mut self, end: u64) -> Result<(), BundleError> {
        let Some(section) = self.next() else { return Ok(()) };
        let found = Digest::from_bytes(std::mem::take(&mut self.hasher).finalize().into());
        if found != section.sha256 {
            let number = self.places.len();
            return Err(BundleError::SectionDigest {
                number,
                kind: section.kind.name(),
                expected: section.sha256,
                found,
            });
        }
        self.places.push(Place { section, at: end.saturating_sub(section.bytes) });
        self.left = self.next().map_or(0, |section| section.bytes);
        Ok(())
    }

    /// Ends sections without bytes.
    fn close_empty(&mut self, at: u64) -> Result<(), BundleError> {
        while self.left == 0 && self.next().is_some() {
            self.close(at)?;
        }
        Ok(())
    }
}

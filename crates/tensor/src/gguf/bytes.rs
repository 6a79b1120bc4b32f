//! A place in a file from which values are taken one after another.

use super::error::GgufError;

/// The rest of a file, and where it begins.
#[derive(Debug, Clone)]
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
    at: u64,
}

impl<'a> Cursor<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, at: 0 }
    }

    pub(super) const fn at(&self) -> u64 {
        self.at
    }

    pub(super) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    fn truncated(&self, needed: u64, place: &'static str) -> GgufError {
        GgufError::Truncated { place, at: self.at, needed, left: self.rest.len() as u64 }
    }

    /// That many bytes at least must be left.
    pub(super) fn expect(&self, needed: u64, place: &'static str) -> Result<(), GgufError> {
        if needed > self.rest.len() as u64 { Err(self.truncated(needed, place)) } else { Ok(()) }
    }

    pub(super) fn take(&mut self, length: u64, place: &'static str) -> Result<&'a [u8], GgufError> {
        let split = usize::try_from(length).ok().and_then(|at| self.rest.split_at_checked(at));
        let (taken, rest) = split.ok_or_else(|| self.truncated(length, place))?;
        self.rest = rest;
        self.at += length;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self, place: &'static str) -> Result<[u8; N], GgufError> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or_else(|| self.truncated(N as u64, place))?;
        self.rest = rest;
        self.at += N as u64;
        Ok(*taken)
    }

    pub(super) fn u32(&mut self, place: &'static str) -> Result<u32, GgufError> {
        Ok(u32::from_le_bytes(self.array(place)?))
    }

    pub(super) fn u64(&mut self, place: &'static str) -> Result<u64, GgufError> {
        Ok(u64::from_le_bytes(self.array(place)?))
    }

    /// What lies between this place and a later one in the same bytes.
    pub(super) fn up_to(&self, later: &Self) -> &'a [u8] {
        let length = self.rest.len().saturating_sub(later.rest.len());
        self.rest.get(..length).unwrap_or_default()
    }
}

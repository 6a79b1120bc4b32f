//! Bounded reading of binary structures. Nothing is allocated for a length that the bytes do not have.

use crate::error::Error;
use crate::host::HostKind;

/// Reads fields one after the other; a refusal names the structure's host and the field.
#[derive(Debug, Clone)]
pub(crate) struct Cursor<'a> {
    rest: &'a [u8],
    kind: HostKind,
}

impl<'a> Cursor<'a> {
    pub(crate) const fn new(kind: HostKind, bytes: &'a [u8]) -> Self {
        Self { rest: bytes, kind }
    }

    pub(crate) fn refuse<T>(&self, place: &'static str, reason: &'static str) -> Result<T, Error> {
        Err(Error::Form { kind: self.kind, place, reason })
    }

    pub(crate) fn take(&mut self, length: usize, place: &'static str) -> Result<&'a [u8], Error> {
        let Some((taken, rest)) = self.rest.split_at_checked(length) else {
            return self.refuse(place, "it ends too early");
        };
        self.rest = rest;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self, place: &'static str) -> Result<[u8; N], Error> {
        let taken = self.take(N, place)?;
        <[u8; N]>::try_from(taken).or_else(|_| self.refuse(place, "it ends too early"))
    }

    pub(crate) fn u8(&mut self, place: &'static str) -> Result<u8, Error> {
        self.array::<1>(place).map(|[byte]| byte)
    }

    pub(crate) fn be_u16(&mut self, place: &'static str) -> Result<u16, Error> {
        self.array(place).map(u16::from_be_bytes)
    }

    pub(crate) fn be_u32(&mut self, place: &'static str) -> Result<u32, Error> {
        self.array(place).map(u32::from_be_bytes)
    }

    pub(crate) fn be_u64(&mut self, place: &'static str) -> Result<u64, Error> {
        self.array(place).map(u64::from_be_bytes)
    }

    pub(crate) fn le_u16(&mut self, place: &'static str) -> Result<u16, Error> {
        self.array(place).map(u16::from_le_bytes)
    }

    pub(crate) fn le_u32(&mut self, place: &'static str) -> Result<u32, Error> {
        self.array(place).map(u32::from_le_bytes)
    }

    /// A TPM2B: a length of two bytes, big-endian, and so many bytes, at most `most`.
    pub(crate) fn sized(&mut self, most: usize, place: &'static str) -> Result<&'a [u8], Error> {
        let length = usize::from(self.be_u16(place)?);
        if length > most {
            return self.refuse(place, "it is longer than the specification allows");
        }
        self.take(length, place)
    }

    /// Zeros that the format reserves.
    pub(crate) fn zeros(&mut self, length: usize, place: &'static str) -> Result<(), Error> {
        if self.take(length, place)?.iter().any(|byte| *byte != 0) {
            return self.refuse(place, "it is reserved and must be zero");
        }
        Ok(())
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Nothing follows.
    pub(crate) fn end(&self, place: &'static str) -> Result<(), Error> {
        if self.is_empty() { Ok(()) } else { self.refuse(place, "bytes follow its end") }
    }
}

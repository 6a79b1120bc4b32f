//! What the schema asks of fields: each of its wire type, single ones once, all within the limits.

use std::collections::BTreeSet;

use super::Limits;
use super::error::OnnxError;
use super::wire::{Field, Fields, Wire};

/// What is counted and collected while a whole model is read.
#[derive(Debug)]
pub(super) struct Budget<'l> {
    pub(super) limits: &'l Limits,
    entries: usize,
    /// Fields that the reader does not know, with the message they stand in.
    pub(super) unread: BTreeSet<(&'static str, u32)>,
}

impl<'l> Budget<'l> {
    pub(super) const fn new(limits: &'l Limits) -> Self {
        Self { limits, entries: 0, unread: BTreeSet::new() }
    }

    /// Counts that many more messages or entries.
    pub(super) fn spend(&mut self, entries: usize) -> Result<(), OnnxError> {
        self.entries = self.entries.saturating_add(entries);
        let limit = self.limits.entries;
        if self.entries > limit { Err(OnnxError::TooMany { limit }) } else { Ok(()) }
    }
}

/// One message: its bytes, its name in the schema, where it stands and how deep.
#[derive(Debug, Clone, Copy)]
pub(super) struct Message<'a> {
    pub(super) name: &'static str,
    pub(super) bytes: &'a [u8],
    pub(super) at: u64,
    pub(super) depth: usize,
}

impl<'a> Message<'a> {
    /// Goes through the fields. `field` answers whether it knows the field. `single` lists the numbers of fields
    /// that may stand once.
    pub(super) fn read(
        self,
        budget: &mut Budget<'_>,
        single: &[u32],
        mut field: impl FnMut(&mut Budget<'_>, Seen<'a>) -> Result<Known, OnnxError>,
    ) -> Result<(), OnnxError> {
        if self.depth > budget.limits.depth {
            return Err(OnnxError::Depth { limit: budget.limits.depth, at: self.at });
        }
        budget.spend(1)?;
        let mut seen = 0_u64;
        let mut fields = Fields::new(self.bytes, self.at);
        while let Some(found) = fields.next()? {
            if single.contains(&found.number) {
                let bit = 1_u64 << (found.number & 63);
                if seen & bit != 0 {
                    let (message, field) = (self.name, found.number);
                    return Err(OnnxError::FieldTwice { message, field, at: found.at });
                }
                seen |= bit;
            }
            if field(budget, Seen { field: found, message: self })? == Known::No {
                budget.unread.insert((self.name, found.number));
            }
        }
        Ok(())
    }
}

/// Whether a reader knows a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    Yes,
    No,
}

/// A field with the message that it stands in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen<'a> {
    field: Field<'a>,
    message: Message<'a>,
}

impl<'a> Seen<'a> {
    pub(super) const fn number(&self) -> u32 {
        self.field.number
    }

    const fn wrong<T>(&self) -> Result<T, OnnxError> {
        let (message, field) = (self.message.name, self.field.number);
        Err(OnnxError::WireType { message, field, at: self.field.at })
    }

    pub(super) fn unsigned(&self) -> Result<u64, OnnxError> {
        match self.field.value {
            Wire::Varint(value) => Ok(value),
            _ => self.wrong(),
        }
    }

    pub(super) fn signed(&self) -> Result<i64, OnnxError> {
        Ok(self.unsigned()?.cast_signed())
    }

    pub(super) fn float(&self) -> Result<f32, OnnxError> {
        match self.field.value {
            Wire::Fixed32(bytes) => Ok(f32::from_le_bytes(bytes)),
            _ => self.wrong(),
        }
    }

    pub(super) fn bytes(&self) -> Result<&'a [u8], OnnxError> {
        match self.field.value {
            Wire::Bytes(bytes) => Ok(bytes),
            _ => self.wrong(),
        }
    }

    /// Any UTF-8.
    pub(super) fn text(&self) -> Result<&'a str, OnnxError> {
        std::str::from_utf8(self.bytes()?).map_err(|_| OnnxError::Text { at: self.field.at })
    }

    /// UTF-8 without control characters, within the limit; it may be empty.
    pub(super) fn name(&self, budget: &Budget<'_>) -> Result<&'a str, OnnxError> {
        let text = self.text()?;
        if text.len() > budget.limits.name_bytes || text.contains(char::is_control) {
            return Err(OnnxError::Text { at: self.field.at });
        }
        Ok(text)
    }

    /// The message that is the value.
    pub(super) fn message(&self, name: &'static str) -> Result<Message<'a>, OnnxError> {
        let (at, depth) = (self.field.value_at, self.message.depth + 1);
        Ok(Message { name, bytes: self.bytes()?, at, depth })
    }

    /// Adds to a list of whole numbers, packed or not.
    pub(super) fn extend_varints(
        &self,
        budget: &mut Budget<'_>,
        list: &mut Vec<u64>,
    ) -> Result<(), OnnxError> {
        match self.field.value {
            Wire::Varint(value) => {
                budget.spend(1)?;
                list.push(value);
            }
            Wire::Bytes(bytes) => {
                let mut packed = Fields::new(bytes, self.field.value_at);
                while !packed.is_empty() {
                    list.push(packed.varint()?);
                }
            }
            _ => return self.wrong(),
        }
        Ok(())
    }

    /// Adds to the bytes of a list of numbers of `N` bytes each, packed or not.
    pub(super) fn extend_fixed<const N: usize>(
        &self,
        budget: &mut Budget<'_>,
        list: &mut Numbers<'a>,
    ) -> Result<(), OnnxError> {
        match self.field.value {
            Wire::Fixed32(bytes) if N == 4 => {
                budget.spend(1)?;
                list.push(&bytes);
            }
            Wire::Fixed64(bytes) if N == 8 => {
                budget.spend(1)?;
                list.push(&bytes);
            }
            Wire::Bytes(bytes) if bytes.len().is_multiple_of(N) => list.extend(bytes),
            _ => return self.wrong(),
        }
        Ok(())
    }
}

/// The little-endian bytes of several numbers, borrowed where they stand in one piece.
#[derive(Debug, Clone, Default)]
pub(super) struct Numbers<'a> {
    pub(super) bytes: std::borrow::Cow<'a, [u8]>,
}

impl<'a> Numbers<'a> {
    fn push(&mut self, number: &[u8]) {
        self.bytes.to_mut().extend_from_slice(number);
    }

    fn extend(&mut self, packed: &'a [u8]) {
        if self.bytes.is_empty() {
            self.bytes = std::borrow::Cow::Borrowed(packed);
        } else {
            self.push(packed);
        }
    }
}

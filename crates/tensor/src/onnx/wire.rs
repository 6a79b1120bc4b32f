//! The wire format of protocol buffers, bounded.
//!
//! Source: protobuf's "Encoding" page. Groups, which ONNX does not use, are refused, and so are numbers written
//! longer than they need be beyond ten bytes. What a field means is for the caller.

use super::error::OnnxError;

/// A field's value as the wire has it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wire<'a> {
    Varint(u64),
    Fixed64([u8; 8]),
    Bytes(&'a [u8]),
    Fixed32([u8; 4]),
}

/// A field: its number, its value, and where in the file it stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field<'a> {
    pub(super) number: u32,
    pub(super) value: Wire<'a>,
    /// Where the field begins.
    pub(super) at: u64,
    /// Where the value begins, after tag and length.
    pub(super) value_at: u64,
}

/// Reads the fields of one message.
#[derive(Debug, Clone)]
pub(super) struct Fields<'a> {
    rest: &'a [u8],
    at: u64,
}

impl<'a> Fields<'a> {
    pub(super) const fn new(message: &'a [u8], at: u64) -> Self {
        Self { rest: message, at }
    }

    fn wrong<T>(&self, reason: &'static str) -> Result<T, OnnxError> {
        Err(OnnxError::Wire { at: self.at, reason })
    }

    pub(super) fn varint(&mut self) -> Result<u64, OnnxError> {
        let mut value = 0_u64;
        for (position, byte) in self.rest.iter().copied().take(10).enumerate() {
            if position == 9 && byte > 1 {
                return self.wrong("a number of more than 64 bits");
            }
            value |= u64::from(byte & 0x7f) << (7 * position);
            if byte < 0x80 {
                self.skip(position + 1);
                return Ok(value);
            }
        }
        self.wrong("a number that does not end")
    }

    fn skip(&mut self, bytes: usize) {
        self.rest = self.rest.get(bytes..).unwrap_or_default();
        self.at += bytes as u64;
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], OnnxError> {
        match self.rest.first_chunk::<N>().copied() {
            Some(bytes) => {
                self.skip(N);
                Ok(bytes)
            }
            None => self.wrong("a number is cut short"),
        }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next field, or nothing at the end of the message.
    pub(super) fn next(&mut self) -> Result<Option<Field<'a>>, OnnxError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let at = self.at;
        let tag = self.varint()?;
        let Ok(number @ 1..0x2000_0000) = u32::try_from(tag >> 3) else {
            return Err(OnnxError::Wire { at, reason: "a field number outside the allowed" });
        };
        let mut value_at = self.at;
        let value = match tag & 7 {
            0 => Wire::Varint(self.varint()?),
            1 => Wire::Fixed64(self.fixed()?),
            2 => {
                let length = self.varint()?;
                value_at = self.at;
                let split = usize::try_from(length).ok().and_then(|length| self.rest.get(..length));
                let Some(bytes) = split else {
                    return self.wrong("a length beyond the end of the message around it");
                };
                self.skip(bytes.len());
                Wire::Bytes(bytes)
            }
            5 => Wire::Fixed32(self.fixed()?),
            _ => return Err(OnnxError::Wire { at, reason: "a group or an unknown wire type" }),
        };
        Ok(Some(Field { number, value, at, value_at }))
    }
}

//! The little of DER (X.690) that keys and certificates need: definite lengths in their shortest form.

/// Tags.
pub mod tag {
    /// `BOOLEAN`
    pub const BOOLEAN: u8 = 0x01;
    /// `INTEGER`
    pub const INTEGER: u8 = 0x02;
    /// `BIT STRING`
    pub const BITS: u8 = 0x03;
    /// `OCTET STRING`
    pub const OCTETS: u8 = 0x04;
    /// `OBJECT IDENTIFIER`
    pub const OID: u8 = 0x06;
    /// `UTCTime`
    pub const UTC_TIME: u8 = 0x17;
    /// `GeneralizedTime`
    pub const GENERALIZED_TIME: u8 = 0x18;
    /// `SEQUENCE`
    pub const SEQUENCE: u8 = 0x30;
    /// A certificate's `version`, context tag 0.
    pub const VERSION: u8 = 0xa0;
    /// A certificate's `extensions`, context tag 3.
    pub const EXTENSIONS: u8 = 0xa3;
}

/// Reads values one after the other.
#[derive(Debug, Clone)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Reads from the first byte.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Whether everything is read.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The tag of the next value.
    pub fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    /// The next value: its tag, its content, and all of it.
    pub fn any(&mut self) -> Option<(u8, &'a [u8], &'a [u8])> {
        let all = self.0;
        let (&tag, rest) = all.split_first()?;
        // Tags of several bytes do not occur.
        if tag & 0x1f == 0x1f {
            return None;
        }
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81..=0x84 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                let length = bytes.iter().fold(0_usize, |length, byte| length << 8 | usize::from(*byte));
                let is_shortest = length > 0x7f && bytes.first() != Some(&0);
                (is_shortest.then_some(length)?, rest)
            }
            _ => return None,
        };
        let (content, after) = rest.split_at_checked(length)?;
        let whole = all.get(..all.len() - after.len())?;
        self.0 = after;
        Some((tag, content, whole))
    }

    /// The content of the next value, which must have this tag.
    pub fn value(&mut self, wanted: u8) -> Option<&'a [u8]> {
        let before = self.clone();
        match self.any() {
            Some((tag, content, _)) if tag == wanted => Some(content),
            _ => {
                *self = before;
                None
            }
        }
    }

    /// A reader of the content of the next value, which must have this tag.
    pub fn nested(&mut self, wanted: u8) -> Option<Reader<'a>> {
        self.value(wanted).map(Reader)
    }

    /// All of the next value, which must have this tag.
    pub fn whole(&mut self, wanted: u8) -> Option<&'a [u8]> {
        let mut ahead = self.clone();
        let (tag, _, whole) = ahead.any()?;
        if tag != wanted {
            return None;
        }
        *self = ahead;
        Some(whole)
    }

    /// The bytes of a bit string without unused bits.
    pub fn bits(&mut self) -> Option<&'a [u8]> {
        let (unused, bytes) = self.value(tag::BITS)?.split_first()?;
        (*unused == 0).then_some(bytes)
    }
}

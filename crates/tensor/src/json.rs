//! A strict JSON reader for headers and settings that strangers wrote (RFC 8259).
//!
//! Stricter than the usual readers in what matters for a check: a repeated member is refused at every depth,
//! depth is bounded, lone surrogates, leading zeros and trailing bytes are refused. Numbers are read by the
//! standard library's correctly rounded parser, so that a value does not depend on which features of a JSON
//! crate another part of the program has switched on.
//!
//! What it does not do: write JSON, or read from a stream.

use std::borrow::Cow;

/// How deep objects and lists may nest.
pub const DEPTH_MAX: usize = 32;

/// Why a JSON text was refused, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} at byte {at}")]
pub struct Fault {
    /// Offset in bytes from the start of the JSON text.
    pub at: usize,
    /// What is wrong there.
    pub kind: FaultKind,
}

/// What can be wrong with a JSON text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FaultKind {
    /// Something other than what the grammar asks for.
    #[error("expected {0}")]
    Expected(&'static str),
    /// The same member name twice in one object.
    #[error("the member `{0}` is repeated")]
    Repeated(String),
    /// Nested deeper than [`DEPTH_MAX`].
    #[error("nested deeper than {DEPTH_MAX}")]
    TooDeep,
    /// A number outside the range its place allows.
    #[error("number out of range")]
    Number,
    /// Bytes that are not UTF-8.
    #[error("not UTF-8")]
    Utf8,
}

/// A JSON value. Objects keep the order of the text, and hold no name twice.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number written without fraction and exponent that fits.
    Integer(i64),
    /// Any other number; always finite.
    Number(f64),
    /// A string.
    Text(String),
    /// An array.
    List(Vec<Value>),
    /// An object.
    Object(Vec<(String, Value)>),
}

impl Value {
    /// Reads one complete JSON text.
    pub fn read(bytes: &[u8]) -> Result<Self, Fault> {
        let mut reader = Reader::new(bytes)?;
        let value = reader.value(0)?;
        reader.end()?;
        Ok(value)
    }

    /// Whether the value says nothing: `null`, `false`, or an empty string, list or object.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Null | Self::Bool(false) => true,
            Self::Text(text) => text.is_empty(),
            Self::List(items) => items.is_empty(),
            Self::Object(members) => members.is_empty(),
            Self::Bool(true) | Self::Integer(_) | Self::Number(_) => false,
        }
    }

    /// The JSON name of the value's type.
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "boolean",
            Self::Integer(_) => "integer",
            Self::Number(_) => "number",
            Self::Text(_) => "string",
            Self::List(_) => "array",
            Self::Object(_) => "object",
        }
    }
}

/// A pull reader over one JSON text.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Result<Self, Fault> {
        let text = std::str::from_utf8(bytes)
            .map_err(|error| Fault { at: error.valid_up_to(), kind: FaultKind::Utf8 })?;
        Ok(Self { text, at: 0 })
    }

    pub(crate) const fn at(&self) -> usize {
        self.at
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn expected<T>(&self, what: &'static str) -> Result<T, Fault> {
        Err(Fault { at: self.at, kind: FaultKind::Expected(what) })
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    /// Skips white space, then takes `byte` if it stands there.
    fn take(&mut self, byte: u8) -> bool {
        self.skip_space();
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// Whether the next value begins with that byte.
    pub(crate) fn begins_with(&mut self, byte: u8) -> bool {
        self.skip_space();
        self.peek() == Some(byte)
    }

    /// Only white space may follow.
    pub(crate) fn end(&mut self) -> Result<(), Fault> {
        self.skip_space();
        if self.at == self.text.len() { Ok(()) } else { self.expected("the end of the text") }
    }

    /// Reads an object, handing each name to `member`, which must read the value. It is for `member`, or for
    /// what it collects, to refuse repeated names.
    pub(crate) fn members<E: From<Fault>>(
        &mut self,
        mut member: impl FnMut(&mut Self, Cow<'a, str>) -> Result<(), E>,
    ) -> Result<(), E> {
        if !self.take(b'{') {
            return Ok(self.expected("an object")?);
        }
        if self.take(b'}') {
            return Ok(());
        }
        loop {
            let name = self.string()?;
            if !self.take(b':') {
                return Ok(self.expected("`:`")?);
            }
            member(self, name)?;
            if self.take(b'}') {
                return Ok(());
            }
            if !self.take(b',') {
                return Ok(self.expected("`,` or `}`")?);
            }
        }
    }

    /// Reads an array, calling `item` where each element starts.
    pub(crate) fn items<E: From<Fault>>(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<(), E>,
    ) -> Result<(), E> {
        if !self.take(b'[') {
            return Ok(self.expected("an array")?);
        }
        if self.take(b']') {
            return Ok(());
        }
        loop {
            item(self)?;
            if self.take(b']') {
                return Ok(());
            }
            if !self.take(b',') {
                return Ok(self.expected("`,` or `]`")?);
            }
        }
    }

    /// Reads a string, borrowing it where it has no escapes.
    pub(crate) fn string(&mut self) -> Result<Cow<'a, str>, Fault> {
        if !self.take(b'"') {
            return self.expected("a string");
        }
        let mut owned = String::new();
        loop {
            let start = self.at;
            while matches!(self.peek(), Some(byte) if byte >= 0x20 && byte != b'"' && byte != b'\\') {
                self.at += 1;
            }
            let run = self.text.get(start..self.at).unwrap_or_default();
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    if owned.is_empty() {
                        return Ok(Cow::Borrowed(run));
                    }
                    owned.push_str(run);
                    return Ok(Cow::Owned(owned));
                }
                Some(b'\\') => {
                    self.at += 1;
                    owned.push_str(run);
                    owned.push(self.escape()?);
                }
                _ => return self.expected("a character or `\"`"),
            }
        }
    }

    fn escape(&mut self) -> Result<char, Fault> {
        let byte = self.peek();
        self.at += 1;
        Ok(match byte {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                let high = self.hex4()?;
                let code = if (0xD800..0xDC00).contains(&high) {
                    if self.text.get(self.at..self.at + 2) != Some("\\u") {
                        return self.expected("the second half of a surrogate pair");
                    }
                    self.at += 2;
                    let low = self.hex4()?;
                    if !(0xDC00..0xE000).contains(&low) {
                        return self.expected("the second half of a surrogate pair");
                    }
                    0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00)
                } else {
                    high
                };
                match char::from_u32(code) {
                    Some(character) => character,
                    None => return self.expected("a Unicode scalar value"),
                }
            }
            _ => {
                self.at -= 1;
                return self.expected("an escape");
            }
        })
    }

    fn hex4(&mut self) -> Result<u32, Fault> {
        let mut code = 0;
        for _ in 0..4 {
            let Some(digit) = self.peek().and_then(|byte| char::from(byte).to_digit(16)) else {
                return self.expected("a hexadecimal digit");
            };
            code = code * 16 + digit;
            self.at += 1;
        }
        Ok(code)
    }

    /// Reads a whole number from 0 to 2^64-1, written plainly.
    pub(crate) fn unsigned(&mut self) -> Result<u64, Fault> {
        let (start, text, plain) = self.number_text()?;
        if !plain || text.starts_with('-') {
            return Err(Fault { at: start, kind: FaultKind::Expected("a whole number") });
        }
        text.parse().map_err(|_| Fault { at: start, kind: FaultKind::Number })
    }

    /// The text of a number, and whether it has neither fraction nor exponent.
    fn number_text(&mut self) -> Result<(usize, &'a str, bool), Fault> {
        self.skip_space();
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
            if matches!(self.peek(), Some(b'0'..=b'9')) {
                return self.expected("no digit after a leading zero");
            }
        } else {
            self.digits()?;
        }
        let mut plain = true;
        if self.peek() == Some(b'.') {
            plain = false;
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            plain = false;
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok((start, self.text.get(start..self.at).unwrap_or_default(), plain))
    }

    fn digits(&mut self) -> Result<(), Fault> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start { self.expected("a digit") } else { Ok(()) }
    }

    fn word(&mut self, word: &'static str, value: Value) -> Result<Value, Fault> {
        let end = self.at + word.len();
        if self.text.get(self.at..end) == Some(word) {
            self.at = end;
            Ok(value)
        } else {
            self.expected("a value")
        }
    }

    /// Reads any value, refusing repeated names at every depth.
    pub(crate) fn value(&mut self, depth: usize) -> Result<Value, Fault> {
        self.skip_space();
        let start = self.at;
        if depth > DEPTH_MAX {
            return Err(Fault { at: start, kind: FaultKind::TooDeep });
        }
        match self.peek() {
            Some(b'{') => {
                let mut members = Vec::new();
                self.members(|reader, name| {
                    members.push((name.into_owned(), reader.value(depth + 1)?));
                    Ok::<(), Fault>(())
                })?;
                match repeated(members.iter().map(|(name, _)| name.as_str())) {
                    Some(name) => Err(Fault { at: start, kind: FaultKind::Repeated(name.to_owned()) }),
                    None => Ok(Value::Object(members)),
                }
            }
            Some(b'[') => {
                let mut list = Vec::new();
                self.items(|reader| {
                    list.push(reader.value(depth + 1)?);
                    Ok::<(), Fault>(())
                })?;
                Ok(Value::List(list))
            }
            Some(b'"') => Ok(Value::Text(self.string()?.into_owned())),
            Some(b't') => self.word("true", Value::Bool(true)),
            Some(b'f') => self.word("false", Value::Bool(false)),
            Some(b'n') => self.word("null", Value::Null),
            Some(b'-' | b'0'..=b'9') => {
                let (start, text, plain) = self.number_text()?;
                if let (true, Ok(integer)) = (plain && text != "-0", text.parse()) {
                    return Ok(Value::Integer(integer));
                }
                match text.parse::<f64>() {
                    Ok(number) if number.is_finite() => Ok(Value::Number(number)),
                    _ => Err(Fault { at: start, kind: FaultKind::Number }),
                }
            }
            _ => self.expected("a value"),
        }
    }
}

/// The first name, in sorted order, that stands more than once.
pub(crate) fn repeated<'n>(names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let mut sorted: Vec<&str> = names.collect();
    sorted.sort_unstable();
    sorted.array_windows::<2>().find(|[first, second]| first == second).map(|[first, _]| *first)
}

#[cfg(test)]
mod tests;

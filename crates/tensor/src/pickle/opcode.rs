//! The instructions of protocols 0 to 5, and their arguments.
//!
//! Source: `Lib/pickletools.py` and `Modules/_pickle.c` of CPython 3.13. Where the two readers differ, what the
//! C reader accepts is accepted.

use std::borrow::Cow;

use super::error::FaultKind;

/// An argument as it stands in the stream.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Argument<'a> {
    None,
    /// A count, an index, a code.
    Number(u64),
    /// A signed number that fits.
    Integer(i64),
    Float(f64),
    /// A number too large to matter here, in little-endian two's complement or decimal.
    Long(&'a [u8]),
    Text(Cow<'a, str>),
    Bytes(Cow<'a, [u8]>),
    /// Module and name.
    Names(Cow<'a, str>, Cow<'a, str>),
}

/// The form of an argument.
#[derive(Debug, Clone, Copy)]
enum Form {
    None,
    U8,
    U16,
    I32,
    U32,
    U64,
    F64,
    DecimalLine,
    LongLine,
    FloatLine,
    StringLine,
    UnicodeLine,
    NameLine,
    TwoLines,
    Text8,
    Text32,
    Text64,
    Bytes8,
    Bytes32,
    Bytes64,
    OldString8,
    OldString32,
    Long8,
    Long32,
}

/// An instruction: its name and the form of its argument.
#[derive(Debug, Clone, Copy)]
pub(super) struct Instruction {
    pub(super) name: &'static str,
    form: Form,
}

/// The instruction of a byte.
pub(super) const fn instruction(byte: u8) -> Option<Instruction> {
    let (name, form) = match byte {
        b'(' => ("MARK", Form::None),
        b'.' => ("STOP", Form::None),
        b'0' => ("POP", Form::None),
        b'1' => ("POP_MARK", Form::None),
        b'2' => ("DUP", Form::None),
        b'F' => ("FLOAT", Form::FloatLine),
        b'I' => ("INT", Form::DecimalLine),
        b'J' => ("BININT", Form::I32),
        b'K' => ("BININT1", Form::U8),
        b'L' => ("LONG", Form::LongLine),
        b'M' => ("BININT2", Form::U16),
        b'N' => ("NONE", Form::None),
        b'P' => ("PERSID", Form::NameLine),
        b'Q' => ("BINPERSID", Form::None),
        b'R' => ("REDUCE", Form::None),
        b'S' => ("STRING", Form::StringLine),
        b'T' => ("BINSTRING", Form::OldString32),
        b'U' => ("SHORT_BINSTRING", Form::OldString8),
        b'V' => ("UNICODE", Form::UnicodeLine),
        b'X' => ("BINUNICODE", Form::Text32),
        b'a' => ("APPEND", Form::None),
        b'b' => ("BUILD", Form::None),
        b'c' => ("GLOBAL", Form::TwoLines),
        b'd' => ("DICT", Form::None),
        b'}' => ("EMPTY_DICT", Form::None),
        b'e' => ("APPENDS", Form::None),
        b'g' => ("GET", Form::DecimalLine),
        b'h' => ("BINGET", Form::U8),
        b'i' => ("INST", Form::TwoLines),
        b'j' => ("LONG_BINGET", Form::U32),
        b'l' => ("LIST", Form::None),
        b']' => ("EMPTY_LIST", Form::None),
        b'o' => ("OBJ", Form::None),
        b'p' => ("PUT", Form::DecimalLine),
        b'q' => ("BINPUT", Form::U8),
        b'r' => ("LONG_BINPUT", Form::U32),
        b's' => ("SETITEM", Form::None),
        b't' => ("TUPLE", Form::None),
        b')' => ("EMPTY_TUPLE", Form::None),
        b'u' => ("SETITEMS", Form::None),
        b'G' => ("BINFLOAT", Form::F64),
        0x80 => ("PROTO", Form::U8),
        0x81 => ("NEWOBJ", Form::None),
        0x82 => ("EXT1", Form::U8),
        0x83 => ("EXT2", Form::U16),
        0x84 => ("EXT4", Form::I32),
        0x85 => ("TUPLE1", Form::None),
        0x86 => ("TUPLE2", Form::None),
        0x87 => ("TUPLE3", Form::None),
        0x88 => ("NEWTRUE", Form::None),
        0x89 => ("NEWFALSE", Form::None),
        0x8a => ("LONG1", Form::Long8),
        0x8b => ("LONG4", Form::Long32),
        b'B' => ("BINBYTES", Form::Bytes32),
        b'C' => ("SHORT_BINBYTES", Form::Bytes8),
        0x8c => ("SHORT_BINUNICODE", Form::Text8),
        0x8d => ("BINUNICODE8", Form::Text64),
        0x8e => ("BINBYTES8", Form::Bytes64),
        0x8f => ("EMPTY_SET", Form::None),
        0x90 => ("ADDITEMS", Form::None),
        0x91 => ("FROZENSET", Form::None),
        0x92 => ("NEWOBJ_EX", Form::None),
        0x93 => ("STACK_GLOBAL", Form::None),
        0x94 => ("MEMOIZE", Form::None),
        0x95 => ("FRAME", Form::U64),
        0x96 => ("BYTEARRAY8", Form::Bytes64),
        0x97 => ("NEXT_BUFFER", Form::None),
        0x98 => ("READONLY_BUFFER", Form::None),
        _ => return None,
    };
    Some(Instruction { name, form })
}

/// A place in the stream.
#[derive(Debug)]
pub(super) struct Cursor<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn byte(&mut self) -> Option<u8> {
        let byte = self.bytes.get(self.at).copied()?;
        self.at += 1;
        Some(byte)
    }

    fn take(&mut self, length: u64) -> Option<&'a [u8]> {
        let end = self.at.checked_add(usize::try_from(length).ok()?)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let taken = self.bytes.get(self.at..)?.first_chunk().copied()?;
        self.at += N;
        Some(taken)
    }

    fn length<const N: usize>(&mut self) -> Option<u64> {
        let read: [u8; N] = self.array()?;
        let mut wide = [0; 8];
        for (to, from) in wide.iter_mut().zip(read) {
            *to = from;
        }
        Some(u64::from_le_bytes(wide))
    }

    /// A line without its end. The last line needs one.
    fn line(&mut self) -> Option<&'a [u8]> {
        let rest = self.bytes.get(self.at..)?;
        let end = rest.iter().position(|byte| *byte == b'\n')?;
        self.at += end + 1;
        rest.get(..end)
    }
}

/// Reads the argument of an instruction.
pub(super) fn argument<'a>(
    cursor: &mut Cursor<'a>,
    instruction: Instruction,
) -> Result<Argument<'a>, FaultKind> {
    let Instruction { name, form } = instruction;
    let cut = FaultKind::Truncated(name);
    let bad = FaultKind::Argument(name);
    let sized = |cursor: &mut Cursor<'a>, length: Option<u64>| {
        length.and_then(|length| cursor.take(length)).ok_or(FaultKind::Truncated(name))
    };
    Ok(match form {
        Form::None => Argument::None,
        Form::U8 => Argument::Number(cursor.length::<1>().ok_or(cut)?),
        Form::U16 => Argument::Number(cursor.length::<2>().ok_or(cut)?),
        Form::U32 => Argument::Number(cursor.length::<4>().ok_or(cut)?),
        Form::U64 => Argument::Number(cursor.length::<8>().ok_or(cut)?),
        Form::I32 => Argument::Integer(i64::from(cursor.array().map(i32::from_le_bytes).ok_or(cut)?)),
        Form::F64 => Argument::Float(cursor.array().map(f64::from_be_bytes).ok_or(cut)?),
        Form::DecimalLine => decimal(cursor.line().ok_or(cut)?).ok_or(bad)?,
        Form::LongLine => {
            let line = cursor.line().ok_or(cut)?;
            decimal(line.strip_suffix(b"L").unwrap_or(line)).ok_or(bad)?
        }
        Form::FloatLine => {
            let line = std::str::from_utf8(cursor.line().ok_or(cut)?).map_err(|_| bad.clone())?;
            Argument::Float(line.trim().parse().map_err(|_| bad)?)
        }
        Form::StringLine => {
            let line = cursor.line().ok_or(cut)?.trim_ascii_end();
            quoted(line).ok_or(bad)?
        }
        Form::UnicodeLine => Argument::Text(raw_unicode(cursor.line().ok_or(cut)?)),
        Form::NameLine => Argument::Text(String::from_utf8_lossy(cursor.line().ok_or(cut)?)),
        Form::TwoLines => {
            let module = cursor.line().ok_or_else(|| cut.clone())?;
            let name = cursor.line().ok_or(cut)?;
            Argument::Names(String::from_utf8_lossy(module), String::from_utf8_lossy(name))
        }
        Form::Text8 | Form::Text32 | Form::Text64 => {
            let length = match form {
                Form::Text8 => cursor.length::<1>(),
                Form::Text32 => cursor.length::<4>(),
                _ => cursor.length::<8>(),
            };
            // Python lets lone surrogates pass; as text they are of no use to anybody.
            Argument::Text(String::from_utf8_lossy(sized(cursor, length)?))
        }
        Form::Bytes8 | Form::Bytes32 | Form::Bytes64 => {
            let length = match form {
                Form::Bytes8 => cursor.length::<1>(),
                Form::Bytes32 => cursor.length::<4>(),
                _ => cursor.length::<8>(),
            };
            Argument::Bytes(Cow::Borrowed(sized(cursor, length)?))
        }
        Form::OldString8 | Form::OldString32 => {
            let length = match form {
                Form::OldString8 => cursor.length::<1>(),
                _ => cursor.array().map(i32::from_le_bytes).and_then(|length| u64::try_from(length).ok()),
            };
            old_string(Cow::Borrowed(sized(cursor, length)?))
        }
        Form::Long8 | Form::Long32 => {
            let length = match form {
                Form::Long8 => cursor.length::<1>(),
                _ => cursor.array().map(i32::from_le_bytes).and_then(|length| u64::try_from(length).ok()),
            };
            long(sized(cursor, length)?)
        }
    })
}

/// A string of Python 2: text if it is ASCII, else bytes (as `encoding="bytes"` and torch's readers keep it).
fn old_string(bytes: Cow<'_, [u8]>) -> Argument<'_> {
    match bytes {
        Cow::Borrowed(bytes) if bytes.is_ascii() => Argument::Text(String::from_utf8_lossy(bytes)),
        Cow::Owned(bytes) if bytes.is_ascii() => {
            Argument::Text(Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()))
        }
        bytes => Argument::Bytes(bytes),
    }
}

fn long(bytes: &[u8]) -> Argument<'_> {
    if bytes.len() > 8 {
        return Argument::Long(bytes);
    }
    let negative = bytes.last().is_some_and(|byte| *byte >= 0x80);
    let mut wide = if negative { [0xFF; 8] } else { [0; 8] };
    for (to, from) in wide.iter_mut().zip(bytes) {
        *to = *from;
    }
    Argument::Integer(i64::from_le_bytes(wide))
}

/// A decimal line; `00` and `01` are how protocol 0 writes false and true. Python allows spaces, underscores and
/// a base prefix; numbers beyond 64 bits stay as they are.
fn decimal(line: &[u8]) -> Option<Argument<'_>> {
    const DIGITS_MAX: usize = 40;
    let line = line.trim_ascii();
    if line.is_empty() {
        return None;
    }
    if line.len() > DIGITS_MAX {
        return Some(Argument::Long(line));
    }
    let text: String = std::str::from_utf8(line).ok()?.chars().filter(|letter| *letter != '_').collect();
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(&text)),
    };
    let lower = digits.to_ascii_lowercase();
    let read = if let Some(hex) = lower.strip_prefix("0x") {
        i128::from_str_radix(hex, 16)
    } else if let Some(octal) = lower.strip_prefix("0o") {
        i128::from_str_radix(octal, 8)
    } else if let Some(binary) = lower.strip_prefix("0b") {
        i128::from_str_radix(binary, 2)
    } else {
        lower.parse::<i128>()
    };
    let value = read.ok()?.checked_mul(sign)?;
    Some(i64::try_from(value).map_or(Argument::Long(line), Argument::Integer))
}

/// The contents of a quoted string with Python's escapes.
fn quoted(line: &[u8]) -> Option<Argument<'_>> {
    let ([b'\'', inner @ .., b'\''] | [b'"', inner @ .., b'"']) = line else { return None };
    if !inner.contains(&b'\\') {
        return Some(old_string(Cow::Borrowed(inner)));
    }
    let mut bytes = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'\\' {
            bytes.push(*first);
            continue;
        }
        let [escape, tail @ ..] = rest else { return None };
        rest = tail;
        match escape {
            b'\n' => {}
            b'n' => bytes.push(b'\n'),
            b'r' => bytes.push(b'\r'),
            b't' => bytes.push(b'\t'),
            b'a' => bytes.push(7),
            b'b' => bytes.push(8),
            b'f' => bytes.push(12),
            b'v' => bytes.push(11),
            b'\\' | b'\'' | b'"' => bytes.push(*escape),
            b'x' => {
                let digits = rest.get(..2).and_then(|digits| std::str::from_utf8(digits).ok())?;
                bytes.push(u8::from_str_radix(digits, 16).ok()?);
                rest = rest.get(2..)?;
            }
            b'0'..=b'7' => {
                let more = rest.iter().take(2).take_while(|byte| matches!(byte, b'0'..=b'7')).count();
                let digits = std::iter::once(escape).chain(rest.iter().take(more));
                let value = digits.fold(0_u32, |value, digit| value * 8 + u32::from(digit - b'0'));
                bytes.push(u8::try_from(value & 0xFF).unwrap_or_default());
                rest = rest.get(more..)?;
            }
            other => bytes.extend([b'\\', *other]),
        }
    }
    Some(old_string(Cow::Owned(bytes)))
}

/// Python's `raw-unicode-escape`: Latin-1 with `\uXXXX` and `\UXXXXXXXX`.
fn raw_unicode(line: &[u8]) -> Cow<'_, str> {
    if line.is_ascii() && !line.contains(&b'\\') {
        return String::from_utf8_lossy(line);
    }
    let mut text = String::with_capacity(line.len());
    let mut rest = line;
    while let [first, tail @ ..] = rest {
        rest = tail;
        let digits = match (first, tail.first()) {
            (b'\\', Some(b'u')) => 4,
            (b'\\', Some(b'U')) => 8,
            _ => 0,
        };
        let code = tail
            .get(1..=digits)
            .filter(|_| digits > 0)
            .and_then(|hex| std::str::from_utf8(hex).ok())
            .and_then(|hex| u32::from_str_radix(hex, 16).ok());
        if let Some(code) = code {
            text.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            rest = tail.get(digits + 1..).unwrap_or_default();
            continue;
        }
        text.push(char::from(*first));
        // A backslash takes the character after it along, so that two of them and a `u` are no escape.
        if let (b'\\', [second, further @ ..]) = (first, tail) {
            text.push(char::from(*second));
            rest = further;
        }
    }
    Cow::Owned(text)
}

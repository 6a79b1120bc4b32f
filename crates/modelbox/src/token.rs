//! Single tokens as text and as bytes, for log-probabilities.
//!
//! A token may be a part of a character. Its bytes are then found in its name: byte-level vocabularies write each
//! byte as a letter (OpenAI's GPT-2, `encoder.py`, `bytes_to_unicode`), others as `<0xE2>`.

use model::Tokenizer;
use serde::{Deserialize, Serialize};

/// A token as it is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// Its text; `bytes:\xe2\x82` where its bytes are no text; its name where it is a control token.
    pub text: String,
    /// Its bytes, where they are known.
    pub bytes: Option<Vec<u8>>,
    /// Bytes that it adds to a text: none for control tokens.
    pub len: usize,
}

impl Token {
    /// The token of a vocabulary.
    pub(crate) fn of(tokenizer: &Tokenizer, token: u32) -> Self {
        let name = tokenizer.name(token).unwrap_or_default();
        let decoded = tokenizer.decode(&[token]).unwrap_or_default();
        if decoded.is_empty() {
            return Self { bytes: Some(name.clone().into_bytes()), text: name, len: 0 };
        }
        let bytes = named_byte(&name).or_else(|| {
            if name.contains('\u{2581}') {
                Some(name.replace('\u{2581}', " ").into_bytes())
            } else if decoded.contains('\u{fffd}') {
                name.chars().map(byte).collect()
            } else {
                Some(decoded.clone().into_bytes())
            }
        });
        let text = match bytes.as_deref().map(std::str::from_utf8) {
            Some(Ok(text)) => text.to_owned(),
            Some(Err(_)) => escaped(bytes.as_deref().unwrap_or_default()),
            None => decoded,
        };
        let len = bytes.as_ref().map_or(text.len(), Vec::len);
        Self { text, bytes, len }
    }
}

/// The byte that a name like `<0xE2>` stands for.
fn named_byte(name: &str) -> Option<Vec<u8>> {
    let digits = name.strip_prefix("<0x")?.strip_suffix('>').filter(|digits| digits.len() == 2)?;
    u8::from_str_radix(digits, 16).ok().map(|byte| vec![byte])
}

/// The byte that a letter of a byte-level vocabulary stands for: printable ones for themselves, the others, in order,
/// for the letters from U+0100 on.
fn byte(letter: char) -> Option<u8> {
    let printable = |code: u32| matches!(code, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
    let code = u32::from(letter);
    if printable(code) {
        return u8::try_from(code).ok();
    }
    let place = usize::try_from(code.checked_sub(0x100)?).ok()?;
    (0..=u8::MAX).filter(|&byte| !printable(u32::from(byte))).nth(place)
}

fn escaped(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = "bytes:".to_owned();
    for byte in bytes {
        // Writing to a string does not fail.
        if write!(text, "\\x{byte:02x}").is_err() {
            break;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{byte, escaped, named_byte};

    #[test]
    fn letters_of_byte_level_vocabularies_stand_for_all_bytes() {
        assert_eq!(byte('A'), Some(b'A'));
        assert_eq!(byte('\u{120}'), Some(b' '));
        assert_eq!(byte('\u{10a}'), Some(b'\n'));
        assert_eq!(byte('\u{143}'), Some(0xad));
        assert_eq!(byte('\u{144}'), None);
        let mut all: Vec<u8> = ('!'..='\u{143}').filter_map(byte).collect();
        all.sort_unstable();
        assert_eq!(all, (0..=255).collect::<Vec<u8>>());
        assert_eq!(named_byte("<0xE2>"), Some(vec![0xe2]));
        assert_eq!(named_byte("<0x>"), None);
        assert_eq!(escaped(&[0xe2, 0x0a]), "bytes:\\xe2\\x0a");
    }
}

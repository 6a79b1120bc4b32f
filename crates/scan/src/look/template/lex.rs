//! A template in pieces, and its code in words.

/// A piece of a template.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Piece<'a> {
    /// Text that is emitted as it stands.
    Literal {
        /// The text.
        text: &'a str,
        /// The line it begins in.
        line: u64,
    },
    /// `{% … %}` or `{{ … }}`.
    Code {
        /// Its words.
        words: Vec<Word<'a>>,
        /// The line it begins in.
        line: u64,
        /// Whether it is a statement, and not an expression.
        statement: bool,
    },
}

/// A word of a template's code.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Word<'a> {
    /// A name or keyword.
    Name(&'a str),
    /// A string, without its quotes; escapes are left as they are.
    Text(&'a str),
    /// A number.
    Number(f64),
    /// Any other letter.
    Mark(char),
}

/// Takes a template apart.
///
/// # Errors
/// The offset of a tag that is not closed.
pub(super) fn pieces(source: &str) -> Result<Vec<Piece<'_>>, usize> {
    let mut pieces = Vec::new();
    let (mut at, mut line) = (0, 1_u64);
    while let Some(rest) = source.get(at..).filter(|rest| !rest.is_empty()) {
        let open = ["{%", "{{", "{#"].iter().filter_map(|tag| rest.find(tag)).min();
        let literal = rest.get(..open.unwrap_or(rest.len())).unwrap_or(rest);
        if !literal.is_empty() {
            pieces.push(Piece::Literal { text: literal, line });
            line += newlines(literal);
            at += literal.len();
            continue;
        }
        let (close, statement) = match rest.as_bytes().get(1) {
            Some(b'%') => ("%}", true),
            Some(b'{') => ("}}", false),
            _ => ("#}", false),
        };
        let inside = rest.get(2..).ok_or(at)?;
        let length = if close == "#}" { inside.find(close) } else { end_of_code(inside, close) }.ok_or(at)?;
        let code = inside.get(..length).unwrap_or_default();
        if close != "#}" {
            let trimmed = code.trim_start_matches(['-', '+']).trim_end_matches(['-', '+']);
            pieces.push(Piece::Code { words: words(trimmed), line, statement });
        }
        line += newlines(code);
        at += 2 + length + 2;
    }
    Ok(pieces)
}

fn newlines(text: &str) -> u64 {
    text.bytes().filter(|byte| *byte == b'\n').count() as u64
}

/// Where the closing mark stands that is not inside a string.
fn end_of_code(code: &str, close: &str) -> Option<usize> {
    let mut quote = None;
    let mut escaped = false;
    for (at, byte) in code.bytes().enumerate() {
        match quote {
            Some(_) if escaped => escaped = false,
            Some(_) if byte == b'\\' => escaped = true,
            Some(open) => quote = (byte != open).then_some(open),
            None if matches!(byte, b'\'' | b'"') => quote = Some(byte),
            None if code.as_bytes().get(at..).is_some_and(|rest| rest.starts_with(close.as_bytes())) => {
                return Some(at);
            }
            None => {}
        }
    }
    None
}

/// The words of some code.
fn words(code: &str) -> Vec<Word<'_>> {
    let mut words = Vec::new();
    let mut rest = code.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = if matches!(first, '\'' | '"') {
            let end = end_of_text(rest, first);
            words.push(Word::Text(rest.get(1..end.saturating_sub(1)).unwrap_or_default()));
            end
        } else if first.is_ascii_digit() {
            let end = rest
                .find(|letter: char| !letter.is_ascii_digit() && letter != '.' && letter != '_')
                .unwrap_or(rest.len());
            let digits: String = rest.get(..end).unwrap_or_default().replace('_', "");
            words.push(Word::Number(digits.parse().unwrap_or(f64::INFINITY)));
            end
        } else if first.is_alphabetic() || first == '_' {
            let end =
                rest.find(|letter: char| !letter.is_alphanumeric() && letter != '_').unwrap_or(rest.len());
            words.push(Word::Name(rest.get(..end).unwrap_or_default()));
            end
        } else {
            words.push(Word::Mark(first));
            first.len_utf8()
        };
        rest = rest.get(length.max(1)..).unwrap_or_default().trim_start();
    }
    words
}

/// One past the closing quote of a string that begins the text.
fn end_of_text(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, letter) in text.char_indices().skip(1) {
        if escaped {
            escaped = false;
        } else if letter == '\\' {
            escaped = true;
        } else if letter == quote {
            return at + 1;
        }
    }
    text.len() + 1
}

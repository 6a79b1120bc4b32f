//! Source text cut into literal text and the tokens of tags.

use super::Limits;
use super::ast::Span;
use super::error::Error;

/// A token of a tag, or literal text.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    Text(String),
    /// `{{`
    OutputBegin,
    /// `}}`
    OutputEnd,
    /// `{%`
    TagBegin,
    /// `%}`
    TagEnd,
    Name(String),
    String(String),
    Integer(i128),
    Float(f64),
    /// An operator or a bracket.
    Mark(&'static str),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Placed {
    pub(super) token: Token,
    pub(super) span: Span,
}

/// Longest first.
const MARKS: [&str; 26] = [
    "**", "//", "==", "!=", "<=", ">=", "+", "-", "*", "/", "%", "~", "<", ">", "=", "(", ")", "[", "]", "{",
    "}", ",", ".", ":", "|", ";",
];

pub(super) fn tokens(source: &str, limits: &Limits) -> Result<Vec<Placed>, Error> {
    // One line end at the end of the source is not of the text (`keep_trailing_newline` is off in the engines).
    let bare = source.strip_suffix("\r\n").or_else(|| source.strip_suffix('\n')).unwrap_or(source);
    let mut lexer = Lexer { source: bare, at: 0, tokens: Vec::new(), limits };
    lexer.run()?;
    Ok(lexer.tokens)
}

struct Lexer<'s, 'l> {
    source: &'s str,
    at: usize,
    tokens: Vec<Placed>,
    limits: &'l Limits,
}

/// How a tag ends.
#[derive(Clone, Copy, PartialEq)]
enum Tag {
    Output,
    Statement,
}

impl<'s> Lexer<'s, '_> {
    fn rest(&self) -> &'s str {
        self.source.get(self.at..).unwrap_or_default()
    }

    fn push(&mut self, token: Token, begin: usize) -> Result<(), Error> {
        if self.tokens.len() >= self.limits.parts {
            return Err(Error::TooMany { limit: self.limits.parts });
        }
        self.tokens.push(Placed { token, span: Span { begin, end: self.at } });
        Ok(())
    }

    fn run(&mut self) -> Result<(), Error> {
        // What the tag before asks of the text: to lose all white space at its start, or one line end.
        let mut after = After::Keep;
        loop {
            let begin = self.at;
            let rest = self.rest();
            let open = rest
                .match_indices('{')
                .map(|(place, _)| place)
                .find(|place| matches!(rest.as_bytes().get(place + 1), Some(b'{' | b'%' | b'#')));
            let raw = rest.get(..open.unwrap_or(rest.len())).unwrap_or_default();
            let tag = open.and_then(|open| rest.get(open..)).unwrap_or_default();
            let text = after.apply(raw);
            // The text begins a line at the start of the source, and where a line end was just taken off.
            let taken =
                raw.len().checked_sub(text.len()).and_then(|taken| raw.get(..taken)).unwrap_or_default();
            let text = before(text, tag, begin == 0 || taken.ends_with('\n'));
            self.at += raw.len();
            if !text.is_empty() {
                self.push(Token::Text(text.to_owned()), begin)?;
            }
            if tag.is_empty() {
                return Ok(());
            }
            after = self.tag(tag)?;
        }
    }

    fn tag(&mut self, tag: &'s str) -> Result<After, Error> {
        let begin = self.at;
        if tag.starts_with("{#") {
            let Some(end) = tag.find("#}") else { return Err(Error::Open { what: "comment", at: begin }) };
            self.at += end + 2;
            let inner = tag.get(2..end).unwrap_or_default();
            return Ok(if inner.ends_with('-') { After::Strip } else { After::Line });
        }
        let kind = if tag.starts_with("{{") { Tag::Output } else { Tag::Statement };
        if kind == Tag::Statement
            && let Some(after) = self.raw(tag)?
        {
            return Ok(after);
        }
        self.at += 2;
        if self.rest().starts_with(['-', '+']) {
            self.at += 1;
        }
        self.push(if kind == Tag::Output { Token::OutputBegin } else { Token::TagBegin }, begin)?;
        let mut brackets = 0_usize;
        loop {
            self.at += self.rest().len() - self.rest().trim_start().len();
            let rest = self.rest();
            if rest.is_empty() {
                return Err(Error::Open { what: "tag", at: begin });
            }
            let (close, token) = match kind {
                Tag::Output => ("}}", Token::OutputEnd),
                Tag::Statement => ("%}", Token::TagEnd),
            };
            let bare = rest.strip_prefix(['-', '+']).unwrap_or(rest);
            if bare.starts_with(close) && brackets == 0 {
                let place = self.at;
                self.at += rest.len() - bare.len() + close.len();
                self.push(token, place)?;
                return Ok(match (rest.starts_with('-'), kind) {
                    (true, _) => After::Strip,
                    (false, Tag::Statement) if !rest.starts_with('+') => After::Line,
                    (false, _) => After::Keep,
                });
            }
            self.token(rest, &mut brackets)?;
        }
    }

    /// `{% raw %}…{% endraw %}`
    fn raw(&mut self, tag: &'s str) -> Result<Option<After>, Error> {
        let begin = self.at;
        let Some((head, body)) = tag.split_once("%}") else { return Ok(None) };
        let word = |tag: &str| tag.trim_matches(['-', '+']).trim().to_owned();
        if word(head.get(2..).unwrap_or_default()) != "raw" {
            return Ok(None);
        }
        let mut from = 0;
        while let Some(open) = body.get(from..).and_then(|body| body.find("{%")) {
            let open = from + open;
            let inner = body.get(open + 2..).unwrap_or_default();
            let Some(close) = inner.find("%}") else { break };
            let inner = inner.get(..close).unwrap_or_default();
            if word(inner) == "endraw" {
                let text = body.get(..open).unwrap_or_default();
                self.at += head.len() + 2 + open + 2 + close + 2;
                self.push(Token::Text(text.to_owned()), begin)?;
                return Ok(Some(if inner.ends_with('-') { After::Strip } else { After::Line }));
            }
            from = open + 2;
        }
        Err(Error::Open { what: "raw block", at: begin })
    }

    fn token(&mut self, rest: &'s str, brackets: &mut usize) -> Result<(), Error> {
        let begin = self.at;
        let Some(first) = rest.chars().next() else { return Ok(()) };
        if first.is_alphabetic() || first == '_' {
            let end =
                rest.find(|letter: char| !(letter.is_alphanumeric() || letter == '_')).unwrap_or(rest.len());
            self.at += end;
            return self.push(Token::Name(rest.get(..end).unwrap_or_default().to_owned()), begin);
        }
        if first.is_ascii_digit() {
            return self.number(rest);
        }
        if first == '"' || first == '\'' {
            return self.string(rest, first);
        }
        let Some(mark) = MARKS.iter().find(|mark| rest.starts_with(**mark)).copied() else {
            return Err(Error::Character { character: first.escape_debug().to_string(), at: begin });
        };
        match mark {
            "(" | "[" | "{" => *brackets += 1,
            ")" | "]" | "}" => *brackets = brackets.saturating_sub(1),
            _ => {}
        }
        self.at += mark.len();
        self.push(Token::Mark(mark), begin)
    }

    fn number(&mut self, rest: &'s str) -> Result<(), Error> {
        let begin = self.at;
        let digits = |text: &str| {
            text.find(|letter: char| !letter.is_ascii_digit() && letter != '_').unwrap_or(text.len())
        };
        let radix = match rest.get(..2).map(str::to_ascii_lowercase).as_deref() {
            Some("0x") => 16,
            Some("0o") => 8,
            Some("0b") => 2,
            _ => 10,
        };
        if radix != 10 {
            let body = rest.get(2..).unwrap_or_default();
            let end =
                body.find(|letter: char| !letter.is_digit(radix) && letter != '_').unwrap_or(body.len());
            self.at += 2 + end;
            let plain = body.get(..end).unwrap_or_default().replace('_', "");
            return self
                .push(Token::Integer(i128::from_str_radix(&plain, radix).unwrap_or(i128::MAX)), begin);
        }
        let mut end = digits(rest);
        let mut float = false;
        // `a.0.1` is an item of an item.
        let item = self.source.get(..begin).is_some_and(|before| before.ends_with('.'));
        if let (false, Some(fraction)) = (item, rest.get(end..).and_then(|tail| tail.strip_prefix('.')))
            && fraction.starts_with(|letter: char| letter.is_ascii_digit())
        {
            float = true;
            end += 1 + digits(fraction);
        }
        let exponent = rest.get(end..).and_then(|tail| tail.strip_prefix(['e', 'E'])).filter(|_| !item);
        if let Some(exponent) = exponent {
            let bare = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            if bare.starts_with(|letter: char| letter.is_ascii_digit()) {
                float = true;
                end += 1 + (exponent.len() - bare.len()) + digits(bare);
            }
        }
        if !float && rest.starts_with('0') {
            // An integer has no zeros in front: what follows them is another token.
            end = rest.find(|letter| letter != '0' && letter != '_').unwrap_or(rest.len()).min(end);
        }
        self.at += end;
        let plain = rest.get(..end).unwrap_or_default().replace('_', "");
        let token = if float {
            Token::Float(plain.parse().unwrap_or(f64::INFINITY))
        } else {
            Token::Integer(plain.parse().unwrap_or(i128::MAX))
        };
        self.push(token, begin)
    }

    fn string(&mut self, rest: &'s str, quote: char) -> Result<(), Error> {
        let begin = self.at;
        let mut text = String::new();
        let mut letters = rest.char_indices().skip(1);
        while let Some((place, letter)) = letters.next() {
            if letter == quote {
                self.at += place + 1;
                return self.push(Token::String(text), begin);
            }
            if letter != '\\' {
                text.push(letter);
                continue;
            }
            let Some((_, escape)) = letters.next() else { break };
            let digits = match escape {
                'x' => 2,
                'u' => 4,
                'U' => 8,
                _ => 0,
            };
            if digits > 0 {
                let hex: String = letters.by_ref().take(digits).map(|(_, digit)| digit).collect();
                let whole = hex.len() == digits && hex.bytes().all(|digit| digit.is_ascii_hexdigit());
                let code = u32::from_str_radix(&hex, 16).ok().filter(|_| whole);
                let Some(code) = code else {
                    return Err(Error::Character { character: format!("\\{escape}"), at: begin });
                };
                // Half of a pair stands for itself in Python and for nothing here.
                text.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
                continue;
            }
            match escape {
                '0'..='7' => {
                    let mut code = escape.to_digit(8).unwrap_or(0);
                    for _ in 0..2 {
                        let Some(digit) = letters.clone().next().and_then(|(_, digit)| digit.to_digit(8))
                        else {
                            break;
                        };
                        letters.next();
                        code = code * 8 + digit;
                    }
                    text.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
                }
                // Characters by name: nobody writes templates so, and what they hide would have to be looked up.
                'N' => return Err(Error::Character { character: "\\N".to_owned(), at: begin }),
                'n' => text.push('\n'),
                't' => text.push('\t'),
                'r' => text.push('\r'),
                'a' => text.push('\u{7}'),
                'b' => text.push('\u{8}'),
                'f' => text.push('\u{c}'),
                'v' => text.push('\u{b}'),
                '\n' => {}
                '\\' | '\'' | '"' => text.push(escape),
                other => text.extend(['\\', other]),
            }
        }
        Err(Error::Open { what: "string", at: begin })
    }
}

/// What becomes of the text after a tag.
#[derive(Debug, Clone, Copy, PartialEq)]
enum After {
    /// Nothing.
    Keep,
    /// One line end goes, as the engines of chat templates are set up (`trim_blocks`).
    Line,
    /// All white space goes.
    Strip,
}

impl After {
    fn apply(self, text: &str) -> &str {
        match self {
            Self::Keep => text,
            Self::Line => text.strip_prefix("\r\n").or_else(|| text.strip_prefix('\n')).unwrap_or(text),
            Self::Strip => text.trim_start(),
        }
    }
}

/// What becomes of the text before a tag: a minus takes all white space away, and a statement or comment that is
/// alone at the start of its line takes what indents it (`lstrip_blocks`).
fn before<'t>(text: &'t str, tag: &str, starts_line: bool) -> &'t str {
    let mark = tag.as_bytes().get(2);
    if mark == Some(&b'-') {
        return text.trim_end();
    }
    let statement = tag.starts_with("{%") || tag.starts_with("{#");
    if !statement || mark == Some(&b'+') {
        return text;
    }
    let bare = text.trim_end_matches([' ', '\t']);
    if bare.ends_with('\n') || (bare.is_empty() && starts_line) { bare } else { text }
}

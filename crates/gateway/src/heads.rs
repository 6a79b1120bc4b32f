//! A second look at the heads of requests, as their bytes come in: whether a head names a `content-length` twice.
//!
//! The server reads two that say the same as one, and does not tell. A proxy in front that reads them otherwise would see other
//! requests than this gateway does, so they are refused. Everything else that a head can do wrong is the server's to refuse;
//! where it will, this look ends.

use memchr::memchr;

/// Where in a request the next byte stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// Before a request.
    Start,
    /// In its first line.
    Request,
    /// In the name of a header, or at the end of the head.
    Name,
    /// In the value of a `content-length`.
    Length,
    /// In another value.
    Value,
    /// In a body of which so many bytes are to come.
    Body(u64),
    /// In something that the server refuses.
    Blind,
}

/// The longest name that is looked for.
const NAME_MAX: usize = b"transfer-encoding".len();

/// What was seen of a connection so far.
#[derive(Debug)]
pub(crate) struct Heads {
    at: At,
    name: [u8; NAME_MAX],
    name_length: usize,
    lengths: u32,
    length: u64,
    twice: bool,
}

impl Heads {
    pub(crate) const fn new() -> Self {
        Self { at: At::Start, name: [0; NAME_MAX], name_length: 0, lengths: 0, length: 0, twice: false }
    }

    /// Looks at the next bytes. Whether a head has named its length twice so far.
    pub(crate) fn feed(&mut self, mut bytes: &[u8]) -> bool {
        while let Some((&byte, rest)) = bytes.split_first() {
            match self.at {
                At::Blind => break,
                At::Body(left) => {
                    let here = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                    let left = left - here as u64;
                    self.at = if left == 0 { At::Start } else { At::Body(left) };
                    bytes = bytes.get(here..).unwrap_or_default();
                    continue;
                }
                At::Start if matches!(byte, b'\r' | b'\n') => {}
                At::Start => self.at = At::Request,
                At::Request | At::Value => {
                    let Some(end) = memchr(b'\n', bytes) else { break };
                    self.line();
                    bytes = bytes.get(end + 1..).unwrap_or_default();
                    continue;
                }
                At::Name => self.name(byte),
                At::Length => match byte {
                    b'0'..=b'9' => {
                        self.length = self.length.saturating_mul(10).saturating_add(u64::from(byte - b'0'));
                    }
                    b' ' | b'\t' | b'\r' => {}
                    b'\n' => self.line(),
                    _ => self.at = At::Blind,
                },
            }
            bytes = rest;
        }
        self.twice
    }

    /// A line of the head begins.
    const fn line(&mut self) {
        (self.at, self.name_length) = (At::Name, 0);
    }

    fn name(&mut self, byte: u8) {
        match byte {
            b'\r' => {}
            b'\n' if self.name_length == 0 => {
                self.at = if self.length == 0 { At::Start } else { At::Body(self.length) };
                (self.lengths, self.length) = (0, 0);
            }
            b'\n' => self.at = At::Blind,
            b':' => match self.name.get(..self.name_length) {
                Some(b"content-length") => {
                    self.lengths += 1;
                    self.twice |= self.lengths > 1;
                    (self.at, self.length) = (At::Length, 0);
                }
                Some(b"transfer-encoding") => self.at = At::Blind,
                _ => self.at = At::Value,
            },
            other => {
                if let Some(place) = self.name.get_mut(self.name_length) {
                    *place = other.to_ascii_lowercase();
                }
                self.name_length = self.name_length.saturating_add(1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ONE: &str = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\nx-content-length: 1\r\n\r\ncontent-length: 1\r\n\n";
    const TWO: &str = "POST / HTTP/1.1\r\ncontent-length: 5\r\nx: y\r\ncOntent-lEngth:5\r\n\r\n12345";

    #[track_caller]
    fn check(text: &str, twice: bool) {
        for size in [1, 3, 1000] {
            let mut heads = Heads::new();
            let mut found = false;
            for piece in text.as_bytes().chunks(size) {
                found = heads.feed(piece);
            }
            assert_eq!(found, twice, "{text} in pieces of {size}");
        }
    }

    #[test]
    fn a_length_that_is_named_twice_is_found_wherever_it_stands() {
        check(TWO, true);
        check(&format!("{ONE}{TWO}"), true);
        check(&format!("GET / HTTP/1.1\r\n\r\n{ONE}GET / HTTP/1.1\r\n\r\n{TWO}"), true);
    }

    #[test]
    fn what_stands_in_bodies_and_in_two_requests_is_not() {
        check(ONE, false);
        check(&ONE.repeat(3), false);
        check(
            "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\n",
            false,
        );
    }

    proptest! {
        #[test]
        fn any_bytes_end(bytes in proptest::collection::vec(any::<u8>(), 0..500)) {
            Heads::new().feed(&bytes);
        }

        #[test]
        fn bodies_are_passed_over(body in "[a-z:\r\n -]{0,60}", count in 1..4_usize) {
            let request = format!("POST / HTTP/1.1\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            prop_assert!(!Heads::new().feed(request.repeat(count).as_bytes()));
            let twice = format!("{}{TWO}", request.repeat(count));
            prop_assert!(Heads::new().feed(twice.as_bytes()));
        }
    }
}

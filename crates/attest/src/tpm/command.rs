//! Commands to a TPM, and its answers: big-endian, each with a head of a tag, its length and a code.

use crate::error::Error;

const HEADER_BYTES: u32 = 10;

/// A command that is being put together.
#[derive(Debug)]
pub(super) struct Command {
    tag: u16,
    code: u32,
    body: Vec<u8>,
}

impl Command {
    pub(super) const fn new(tag: u16, code: u32) -> Self {
        Self { tag, code, body: Vec::new() }
    }

    pub(super) fn u16(&mut self, number: u16) -> &mut Self {
        self.raw(&number.to_be_bytes())
    }

    pub(super) fn u32(&mut self, number: u32) -> &mut Self {
        self.raw(&number.to_be_bytes())
    }

    pub(super) fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.body.extend_from_slice(bytes);
        self
    }

    /// A length of two bytes and the bytes. What is longer than that can say is cut, and the TPM refuses it.
    pub(super) fn sized(&mut self, bytes: &[u8]) -> &mut Self {
        let bytes = sized(bytes).unwrap_or_default();
        self.raw(&bytes)
    }

    /// One authorisation: an empty password.
    pub(super) fn no_password(&mut self) -> &mut Self {
        // Nine bytes: the password handle, no nonce, the session goes on, no password.
        self.u32(9).u32(0x4000_0009).u16(0).raw(&[1]).u16(0)
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let length = u32::try_from(self.body.len()).unwrap_or(u32::MAX).saturating_add(HEADER_BYTES);
        let mut out = self.tag.to_be_bytes().to_vec();
        out.extend(length.to_be_bytes());
        out.extend(self.code.to_be_bytes());
        out.extend_from_slice(&self.body);
        out
    }
}

/// A length of two bytes and the bytes, where it can say so many.
pub(super) fn sized(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut out = u16::try_from(bytes.len()).ok()?.to_be_bytes().to_vec();
    out.extend_from_slice(bytes);
    Some(out)
}

/// An answer that is being read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    command: &'static str,
    bytes: Vec<u8>,
    at: usize,
}

impl Answer {
    /// The body of an answer whose head says that it went well.
    pub(super) fn read(command: &'static str, bytes: Vec<u8>) -> Result<Self, Error> {
        let length = bytes.len();
        let mut answer = Self { command, bytes, at: 2 };
        let said = answer.u32()?;
        let code = answer.u32()?;
        if usize::try_from(said).ok() != Some(length) {
            return Err(answer.refuse());
        }
        if code != 0 {
            return Err(Error::Refused { command, code });
        }
        Ok(answer)
    }

    const fn refuse(&self) -> Error {
        Error::Answer { command: self.command }
    }

    pub(super) fn take(&mut self, length: usize) -> Result<&[u8], Error> {
        let begin = self.at;
        let end = begin.checked_add(length).filter(|end| *end <= self.bytes.len());
        let Some(end) = end else { return Err(self.refuse()) };
        self.at = end;
        Ok(self.bytes.get(begin..end).unwrap_or_default())
    }

    pub(super) fn u32(&mut self) -> Result<u32, Error> {
        let command = self.command;
        let bytes = <[u8; 4]>::try_from(self.take(4)?).map_err(|_| Error::Answer { command })?;
        Ok(u32::from_be_bytes(bytes))
    }

    pub(super) fn sized(&mut self) -> Result<&[u8], Error> {
        let command = self.command;
        let bytes = <[u8; 2]>::try_from(self.take(2)?).map_err(|_| Error::Answer { command })?;
        self.take(usize::from(u16::from_be_bytes(bytes)))
    }

    /// An answer of the next bytes alone.
    pub(super) fn part(&mut self, length: u32) -> Result<Self, Error> {
        let command = self.command;
        let length = usize::try_from(length).map_err(|_| Error::Answer { command })?;
        Ok(Self { command, bytes: self.take(length)?.to_vec(), at: 0 })
    }

    pub(super) fn rest(&mut self) -> &[u8] {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        self.at = self.bytes.len();
        rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(code: u32, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(10 + body.len()).unwrap();
        [&[0x80, 0x01], &length.to_be_bytes()[..], &code.to_be_bytes(), body].concat()
    }

    #[test]
    fn commands_have_a_head() {
        let mut command = Command::new(0x8001, 0x17e);
        command.u32(1).u16(2).sized(b"ab");
        let expected = [0x80, 1, 0, 0, 0, 20, 0, 0, 1, 0x7e, 0, 0, 0, 1, 0, 2, 0, 2, b'a', b'b'];
        assert_eq!(command.to_bytes(), expected);
    }

    #[test]
    fn answers_are_read_within_their_bounds() {
        let read = |bytes: &[u8]| Answer::read("x", bytes.to_vec());
        let mut good = read(&answer(0, &[0, 3, 1, 2, 3, 9])).unwrap();
        assert_eq!(good.sized().unwrap(), [1, 2, 3]);
        assert_eq!(good.rest(), [9]);
        assert_eq!(good.u32().unwrap_err().code(), "CS-ATT-004");
        assert_eq!(read(&answer(0x9a2, &[])).unwrap_err().code(), "CS-ATT-005");
        let mut short = read(&answer(0, &[0xff, 0xff, 1])).unwrap();
        assert_eq!(short.sized().unwrap_err().code(), "CS-ATT-004");
        assert_eq!(short.part(u32::MAX).unwrap_err().code(), "CS-ATT-004");
        let mut wrong = answer(0, &[1]);
        wrong.push(0);
        for bytes in [&wrong[..], &[], &[0x80, 1, 0, 0], &answer(0, &[])[..9]] {
            assert_eq!(read(bytes).unwrap_err().code(), "CS-ATT-004");
        }
    }
}

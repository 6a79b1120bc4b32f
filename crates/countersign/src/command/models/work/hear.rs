//! Hearing a worker: its messages are bounded, read strictly, and end with one answer.

#[cfg(test)]
mod tests;

use sandbox::SandboxError;
use sandbox::frame::Messages;

use super::said::{Answer, Heard, Message, Said};
use super::{UNHEARD, lie};
use crate::failure::{Done, Failure};

/// Longest message of a worker.
const MESSAGE_BYTES_MAX: usize = 256 << 20;
/// Longest words of a worker's refusal, in characters.
const WORDS_MAX: usize = 4096;

/// What has been heard.
pub(super) struct Hearing<'h> {
    heard: &'h mut dyn FnMut(Heard<'_>) -> Done,
    messages: Messages,
    answer: Option<Done<Answer>>,
    wrong: Option<Failure>,
}

impl<'h> Hearing<'h> {
    pub(super) fn new(heard: &'h mut dyn FnMut(Heard<'_>) -> Done) -> Self {
        Self { heard, messages: Messages::new(MESSAGE_BYTES_MAX), answer: None, wrong: None }
    }

    /// Takes a frame. What comes after the first fault is not heard.
    pub(super) fn frame(&mut self, frame: &[u8]) {
        if self.wrong.is_none() {
            self.wrong = self.hear(frame).err();
        }
    }

    fn hear(&mut self, frame: &[u8]) -> Done {
        let message = self.messages.take(frame).map_err(|error| lie(&error.to_string()))?;
        let Some(message) = message else { return Ok(()) };
        if self.answer.is_some() {
            return Err(lie("it goes on after its answer"));
        }
        match Message::read(&message).ok_or_else(|| lie("a message of it is none"))? {
            Message::Data(bytes) => (self.heard)(Heard::Data(bytes)),
            Message::Word(Said::Progress(progress)) => {
                if !(0.0..=1.0).contains(&progress.done) {
                    return Err(lie("it is further than at its end"));
                }
                (self.heard)(Heard::Progress(progress))
            }
            Message::Word(Said::Step(mut step)) => {
                if !(0.0..=1.0).contains(&step.done) {
                    return Err(lie("it is further than at its end"));
                }
                step.name = shown(&step.name);
                (self.heard)(Heard::Step(&step))
            }
            Message::Word(Said::Answer(answer)) => {
                self.answer = Some(Ok(*answer));
                Ok(())
            }
            Message::Word(Said::Refused(failure)) => {
                self.answer = Some(Err(refused(failure)?));
                Ok(())
            }
        }
    }

    /// What was heard in the end. Of a worker that did not end as it should, an answer counts for nothing.
    pub(super) fn end(self, ended_well: bool) -> Done<Answer> {
        if let Some(wrong) = self.wrong {
            return Err(wrong);
        }
        let unheard = || SandboxError::Answer { why: "it does not answer".to_owned() };
        debug_assert_eq!(unheard().code(), UNHEARD);
        match self.answer {
            Some(Ok(answer)) if ended_well && !self.messages.is_open() => Ok(answer),
            Some(Err(failure)) => Err(failure),
            Some(Ok(_)) | None => Err(unheard().into()),
        }
    }
}

/// A refusal in a worker's words, fit to be shown.
fn refused(mut failure: Failure) -> Done<Failure> {
    let mut parts = failure.code.split('-');
    let of = |part: Option<&str>, most: usize, test: fn(&u8) -> bool| {
        part.is_some_and(|part| {
            !part.is_empty() && part.len() <= most && part.bytes().all(|byte| test(&byte))
        })
    };
    let is_code = parts.next() == Some("CS")
        && of(parts.next(), 4, u8::is_ascii_uppercase)
        && of(parts.next(), 3, u8::is_ascii_digit)
        && parts.next().is_none();
    if !is_code || !failure.more.is_empty() {
        return Err(lie("its refusal has not the form of one"));
    }
    failure.message = shown(&failure.message);
    failure.hint = shown(&failure.hint);
    Ok(failure)
}

/// A stranger's words, escaped and shortened.
fn shown(text: &str) -> String {
    let mut shown = String::new();
    for letter in text.chars().take(WORDS_MAX) {
        match letter {
            '\n' => shown.push(letter),
            letter if letter.is_control() => shown.extend(letter.escape_unicode()),
            letter => shown.push(letter),
        }
    }
    shown
}

//! What is said out of the box, in messages: bytes of a file that is written, progress, and at last the answer.
//!
//! Numbers cross as the bits that they are (RFC 8949), so that the box changes no result.

use std::cell::RefCell;

use examine::{Examination, Stage};
use serde::{Deserialize, Serialize};

use super::super::{diff, fingerprint, quantize};
use super::Task;
use crate::failure::{Done, Failure};
use examine::import::Imported;
use examine::merge::Merging;
use tensor::scope::ScopeReport;

/// A message is bytes of the file that is written.
const DATA: u8 = b'd';
/// A message is a word.
const WORD: u8 = b'w';
/// Bytes of a file that are said at once.
const DATA_BYTES: usize = 192 << 10;

/// What came of the work.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Answer {
    Diff(diff::Report),
    Seals(fingerprint::Seals),
    Spots(Vec<fingerprint::Hashed>),
    Whole,
    Quantised(quantize::Told),
    Examined(Examination),
    Merged(Merging),
    Foreseen(Option<ScopeReport>),
    Imported(Imported),
}

impl Answer {
    /// Whether it is an answer to this.
    pub(super) const fn fits(&self, task: &Task) -> bool {
        matches!(
            (self, task),
            (Self::Diff(_), Task::Diff(_))
                | (Self::Seals(_), Task::Seal(_))
                | (Self::Spots(_), Task::Spots(_))
                | (Self::Whole, Task::Whole(_))
                | (Self::Quantised(_), Task::Quantize(_))
                | (Self::Examined(_), Task::Examine(_))
                | (Self::Merged(_), Task::Merge(_))
                | (Self::Foreseen(_), Task::Foresee(_))
                | (Self::Imported(_), Task::Import(_))
        )
    }
}

/// A word of the worker's.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Said {
    Progress(Progress),
    Step(Step),
    Answer(Box<Answer>),
    Refused(Failure),
}

/// How far the work has come.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Progress {
    /// The stage of an examination.
    pub(crate) stage: Option<Stage>,
    /// The share that is done, from 0 to 1.
    pub(crate) done: f64,
}

/// How far a step of a merge has come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Step {
    /// Its name.
    pub(crate) name: String,
    /// The share that is done, from 0 to 1.
    pub(crate) done: f64,
}

/// What is heard before the answer.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Heard<'a> {
    /// Bytes of the file that is written.
    Data(&'a [u8]),
    /// How far the work has come.
    Progress(Progress),
    /// How far a step of a merge has come.
    Step(&'a Step),
}

impl Heard<'_> {
    /// As a message.
    pub(super) fn to_message(self) -> Done<Vec<u8>> {
        match self {
            Self::Data(bytes) => {
                let mut message = Vec::with_capacity(bytes.len() + 1);
                message.push(DATA);
                message.extend_from_slice(bytes);
                Ok(message)
            }
            Self::Progress(progress) => to_message(&Said::Progress(progress)),
            Self::Step(step) => to_message(&Said::Step(step.clone())),
        }
    }
}

/// A message that is a word.
pub(super) fn to_message(said: &Said) -> Done<Vec<u8>> {
    let mut message = vec![WORD];
    let written = ciborium::into_writer(said, &mut message);
    written.map_err(|error| Failure::outside(error, "report this as a fault"))?;
    Ok(message)
}

/// What a message says; none where it is no message.
pub(super) enum Message<'a> {
    Data(&'a [u8]),
    Word(Said),
}

impl<'a> Message<'a> {
    pub(super) fn read(message: &'a [u8]) -> Option<Self> {
        match message.split_first()? {
            (&DATA, bytes) => Some(Self::Data(bytes)),
            (&WORD, mut bytes) => {
                let said = ciborium::from_reader(&mut bytes).ok()?;
                bytes.is_empty().then_some(Self::Word(said))
            }
            _ => None,
        }
    }
}

/// Where work tells how far it has come, and puts what is to be written.
pub(crate) struct Mouth<'m> {
    state: RefCell<State<'m>>,
}

struct State<'m> {
    heard: &'m mut dyn FnMut(Heard<'_>) -> Done,
    pending: Vec<u8>,
    /// The first failure; what comes after it is dropped.
    failed: Option<Failure>,
}

impl<'m> Mouth<'m> {
    pub(super) fn new(heard: &'m mut dyn FnMut(Heard<'_>) -> Done) -> Self {
        Self { state: RefCell::new(State { heard, pending: Vec::new(), failed: None }) }
    }

    /// Puts bytes; a failure is told at the end.
    pub(crate) fn data(&self, mut bytes: &[u8]) {
        let mut state = self.state.borrow_mut();
        while !bytes.is_empty() {
            let room = DATA_BYTES.saturating_sub(state.pending.len());
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            state.pending.extend_from_slice(now);
            bytes = later;
            if state.pending.len() >= DATA_BYTES {
                state.flush();
            }
        }
    }

    /// Tells how far the work has come.
    pub(crate) fn progress(&self, stage: Option<Stage>, done: f64) {
        self.state.borrow_mut().say(Heard::Progress(Progress { stage, done }));
    }

    /// Tells how far a step of a merge has come.
    pub(crate) fn step(&self, name: String, done: f64) {
        self.state.borrow_mut().say(Heard::Step(&Step { name, done }));
    }

    /// Puts what is pending.
    pub(super) fn flush(&self) -> Done {
        let mut state = self.state.borrow_mut();
        state.flush();
        state.failed.take().map_or(Ok(()), Err)
    }

    /// Puts what is pending, at the end.
    pub(super) fn finish(self) -> Done {
        self.flush()
    }
}

impl State<'_> {
    fn flush(&mut self) {
        let pending = std::mem::take(&mut self.pending);
        if !pending.is_empty() {
            self.say(Heard::Data(&pending));
        }
    }

    fn say(&mut self, heard: Heard<'_>) {
        if self.failed.is_none() {
            self.failed = (self.heard)(heard).err();
        }
    }
}

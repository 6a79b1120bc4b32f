//! Pickle streams, read and never run.
//!
//! A pickle is a program for a small stack machine that can import any name and call it. [`Stream::read`] walks
//! that program with symbols in place of objects: strings, numbers, containers and imports are followed through
//! stack and memo, and what a call would return stays a symbol. So every import is named however it was put
//! together (`GLOBAL`, `INST`, `STACK_GLOBAL` with parts from the memo), and every call with what it calls.
//!
//! Python runs a pickle until it breaks, so what stands before a break counts, and a break is reported as a
//! [`Fault`] beside it. After a fault that concerns only the stack, the walk goes on, for the case that some
//! reader does too.
//!
//! Nothing here knows which imports are *bad*. [`AllowList`] says which are fit for model files; all others are
//! named. Lists of bad names get walked around; [`AllowList::class`] uses one only to say how bad.
//!
//! Time is linear in the stream, memory in the number of its values, both within [`Limits`]; nesting costs no
//! stack. Source: `Modules/_pickle.c`, `Lib/pickle.py` of CPython 3.13.

mod allow;
mod error;
mod machine;
mod opcode;
mod show;
mod value;

pub use allow::{AllowList, Class, Concern, Objection};
pub use error::{Error, Fault, FaultKind};
pub use value::{Call, Callee, Import, Object, Persistent, Reference, Value, ValueId};

/// Bounds of a walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Values made in one stream; about 50 bytes of memory each.
    pub values: u64,
    /// Imports, calls and persistent ids together, in one stream.
    pub events: u64,
    /// Pickles in one stream.
    pub pickles: usize,
}

impl Limits {
    /// Limits under which a walk holds at most some hundred megabytes.
    pub const STANDARD: Self = Self { values: 4 << 20, events: 1 << 20, pickles: 1024 };
}

/// One pickle: what it would do, in order.
#[derive(Debug, Clone)]
pub struct Pickle<'a> {
    /// Offset of the first byte in the stream.
    pub begin: u64,
    /// One past the last byte that was read: past `STOP` unless there is a fault.
    pub end: u64,
    /// The protocol that the pickle names.
    pub protocol: Option<u8>,
    /// Every import.
    pub imports: Vec<Import<'a>>,
    /// Every call, and every change of what is not a plain container.
    pub calls: Vec<Call>,
    /// Every persistent id.
    pub persistent: Vec<Persistent>,
    /// The first thing that would stop Python's reader.
    pub fault: Option<Fault>,
    /// The highest memo place that is written. C Python asks for memory up to twice that place.
    pub memo_place_max: u64,
    /// What the pickle makes, if it ends well.
    pub top: Option<ValueId>,
    values: Vec<Value<'a>>,
    objects: Vec<Object>,
}

impl<'a> Pickle<'a> {
    /// Reads the pickle that begins at `begin`. There is always an answer; a stream that is no pickle has a fault.
    pub fn read_at(stream: &'a [u8], begin: usize, limits: &Limits) -> Self {
        machine::Machine::new(stream, begin, limits).run()
    }

    /// A value.
    pub fn value(&self, id: ValueId) -> &Value<'a> {
        self.values.get(id.place()).unwrap_or(&Value::Opaque)
    }

    /// What is known of an object that a call made.
    pub fn object(&self, value: ValueId) -> Option<&Object> {
        match self.value(value) {
            Value::Object(place) => self.objects.get(*place),
            _ => None,
        }
    }

    /// The import that a value is, if it is one.
    pub fn import(&self, value: ValueId) -> Option<&Import<'a>> {
        match self.value(value) {
            Value::Global(place) => self.imports.get(*place),
            _ => None,
        }
    }

    /// Imports, calls and persistent ids together.
    pub(crate) fn events(&self) -> u64 {
        u64::try_from(self.imports.len() + self.calls.len() + self.persistent.len()).unwrap_or(u64::MAX)
    }

    /// Whether the pickle was read to its `STOP` without a fault.
    pub const fn is_whole(&self) -> bool {
        self.fault.is_none()
    }
}

/// All pickles of a stream, one after the other.
#[derive(Debug, Clone)]
pub struct Stream<'a> {
    /// The pickles.
    pub pickles: Vec<Pickle<'a>>,
    /// Where bytes that are no pickle begin, after the last one.
    pub trailing_at: Option<u64>,
}

impl<'a> Stream<'a> {
    /// Reads a stream. What follows the first pickle counts as a pickle if it names a protocol, or reads without
    /// fault, or imports something that could be a module; else as trailing bytes.
    ///
    /// # Errors
    /// [`Error::Empty`]; whatever else is wrong is a fault of the pickle it is in.
    pub fn read(stream: &'a [u8], limits: &Limits) -> Result<Self, Error> {
        if stream.is_empty() {
            return Err(Error::Empty);
        }
        let mut limits = *limits;
        let mut pickles = vec![Pickle::read_at(stream, 0, &limits)];
        let trailing_at = loop {
            let Some(last) = pickles.last() else { break None };
            let at = usize::try_from(last.end).unwrap_or(usize::MAX);
            let Some(rest) = stream.get(at..).filter(|rest| !rest.is_empty()) else { break None };
            if last.top.is_none() || pickles.len() >= limits.pickles {
                break Some(last.end);
            }
            limits.values = limits.values.saturating_sub(last.values.len().try_into().unwrap_or(u64::MAX));
            limits.events = limits.events.saturating_sub(last.events());
            let next = Pickle::read_at(stream, at, &limits);
            let named = matches!(rest, [0x80, 0..=5, ..]);
            if !named && !next.is_whole() && !next.imports.iter().any(Import::is_plausible) {
                break Some(last.end);
            }
            pickles.push(next);
        };
        Ok(Self { pickles, trailing_at })
    }
}

#[cfg(test)]
mod tests;

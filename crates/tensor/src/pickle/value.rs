//! The symbols that the machine works with, and the events it reports.

use std::borrow::Cow;

use super::Pickle;

/// A value of one pickle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ValueId(u32);

impl ValueId {
    pub(super) fn new(place: usize) -> Self {
        Self(u32::try_from(place).unwrap_or(u32::MAX))
    }

    pub(super) fn place(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

/// What is known of a value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    /// `None`
    None,
    /// `True` or `False`
    Bool(bool),
    /// An integer that fits.
    Integer(i64),
    /// An integer that does not: little-endian two's complement, or its decimal digits.
    Long(&'a [u8]),
    /// A float.
    Float(f64),
    /// Text.
    Text(Cow<'a, str>),
    /// Bytes.
    Bytes(Cow<'a, [u8]>),
    /// A tuple.
    Tuple(Vec<ValueId>),
    /// A list.
    List(Vec<ValueId>),
    /// A dictionary, in the order of the stream; keys may repeat.
    Dict(Vec<(ValueId, ValueId)>),
    /// A set or frozen set.
    Set(Vec<ValueId>),
    /// An import, by its place in [`Pickle::imports`].
    Global(usize),
    /// What the loader makes of a persistent id.
    Persistent(ValueId),
    /// What a call returns; [`Pickle::object`] knows more.
    Object(usize),
    /// Something that is not followed.
    Opaque,
}

/// What a call returned, and what was put into it since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// The call, by its place in [`Pickle::calls`].
    pub call: usize,
    /// What was appended or added to it.
    pub items: Vec<ValueId>,
    /// What was set in it.
    pub entries: Vec<(ValueId, ValueId)>,
    /// The state it was given.
    pub state: Option<ValueId>,
}

/// What an import refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference<'a> {
    /// A name in a module.
    Named {
        /// The module.
        module: Cow<'a, str>,
        /// The name; may have dots.
        name: Cow<'a, str>,
    },
    /// A code of the extension registry, which depends on the process that loads.
    Extension(i64),
    /// Put together in a way that could not be followed. Parts that are known are there.
    Unresolved {
        /// The module, if known.
        module: Option<Cow<'a, str>>,
        /// The name, if known.
        name: Option<Cow<'a, str>>,
    },
}

/// An import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import<'a> {
    /// Offset of the instruction in the stream.
    pub at: u64,
    /// The instruction.
    pub opcode: &'static str,
    /// What is imported.
    pub reference: Reference<'a>,
    /// Whether it stands after something that would stop Python's reader.
    pub after_fault: bool,
}

impl Import<'_> {
    /// Module and name, if both are known.
    pub fn names(&self) -> Option<(&str, &str)> {
        match &self.reference {
            Reference::Named { module, name } => Some((module, name)),
            Reference::Extension(_) | Reference::Unresolved { .. } => None,
        }
    }

    /// Whether it could be an import of Python's: a dotted name of letters, digits and underscores.
    pub(super) fn is_plausible(&self) -> bool {
        self.names().is_some_and(|(module, name)| {
            [module, name].into_iter().all(|text| {
                !text.is_empty()
                    && text.chars().all(|letter| letter.is_alphanumeric() || matches!(letter, '_' | '.'))
            })
        })
    }
}

/// What is called or changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Callee {
    /// An import, by its place in [`Pickle::imports`].
    Import(usize),
    /// What an earlier call returned, by that call's place in [`Pickle::calls`].
    Result(usize),
    /// Some other value.
    Value(ValueId),
}

/// A call. `BUILD`, and `APPEND(S)`, `SETITEM(S)` and `ADDITEMS` on an import or an unknown value, count as calls:
/// they run methods of what they change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    /// Offset of the instruction in the stream.
    pub at: u64,
    /// The instruction.
    pub opcode: &'static str,
    /// What is called.
    pub callee: Callee,
    /// The arguments: a tuple, where they are known; the state, for `BUILD`.
    pub arguments: ValueId,
    /// Arguments by name (`NEWOBJ_EX`).
    pub keywords: Option<ValueId>,
    /// Whether it stands after something that would stop Python's reader.
    pub after_fault: bool,
}

/// A persistent id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Persistent {
    /// Offset of the instruction in the stream.
    pub at: u64,
    /// The id.
    pub id: ValueId,
}

impl Pickle<'_> {
    /// The text of a value, if it is text.
    pub fn text(&self, id: ValueId) -> Option<&str> {
        match self.value(id) {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The integer of a value, if it is one that fits. `True` and `False` are one and zero, as in Python.
    pub fn integer(&self, id: ValueId) -> Option<i64> {
        match self.value(id) {
            Value::Integer(value) => Some(*value),
            Value::Bool(value) => Some(i64::from(*value)),
            _ => None,
        }
    }

    /// The members of a tuple or list.
    pub fn items(&self, id: ValueId) -> Option<&[ValueId]> {
        match self.value(id) {
            Value::Tuple(items) | Value::List(items) => Some(items),
            _ => None,
        }
    }

    /// The call that made an object.
    pub fn call_of(&self, id: ValueId) -> Option<&Call> {
        self.calls.get(self.object(id)?.call)
    }

    /// Module and name of what a call calls, if it is an import and both are known.
    pub fn callee_names(&self, call: &Call) -> Option<(&str, &str)> {
        match call.callee {
            Callee::Import(place) => self.imports.get(place)?.names(),
            Callee::Result(_) | Callee::Value(_) => None,
        }
    }
}

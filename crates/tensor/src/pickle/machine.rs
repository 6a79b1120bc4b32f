//! The stack machine, with symbols in place of objects.

mod effects;

use std::borrow::Cow;
use std::collections::HashMap;

use super::error::{Fault, FaultKind};
use super::opcode::{Argument, Cursor, argument, instruction};
use super::value::{Callee, Reference, Value, ValueId};
use super::{Limits, Pickle};

pub(super) struct Machine<'a, 'l> {
    cursor: Cursor<'a>,
    limits: &'l Limits,
    stack: Vec<ValueId>,
    /// Heights of the stack at the marks.
    marks: Vec<usize>,
    memo: HashMap<u64, ValueId>,
    /// Offset and name of the instruction at hand.
    at: u64,
    name: &'static str,
    out: Pickle<'a>,
}

/// Why the walk ends.
enum Halt {
    Stop,
    Break(FaultKind),
}

impl From<FaultKind> for Halt {
    fn from(kind: FaultKind) -> Self {
        Self::Break(kind)
    }
}

impl<'a, 'l> Machine<'a, 'l> {
    pub(super) fn new(stream: &'a [u8], begin: usize, limits: &'l Limits) -> Self {
        let begin_wide = u64::try_from(begin).unwrap_or(u64::MAX);
        Self {
            cursor: Cursor { bytes: stream, at: begin },
            limits,
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
            at: begin_wide,
            name: "STOP",
            out: Pickle {
                begin: begin_wide,
                end: begin_wide,
                protocol: None,
                imports: Vec::new(),
                calls: Vec::new(),
                persistent: Vec::new(),
                fault: None,
                memo_place_max: 0,
                top: None,
                values: Vec::new(),
                objects: Vec::new(),
            },
        }
    }

    pub(super) fn run(mut self) -> Pickle<'a> {
        loop {
            match self.step() {
                Ok(()) => {}
                Err(Halt::Stop) => break,
                Err(Halt::Break(kind)) => {
                    self.fault(kind);
                    break;
                }
            }
        }
        self.out.end = u64::try_from(self.cursor.at).unwrap_or(u64::MAX);
        self.out
    }

    /// Notes the first thing that would stop Python.
    fn fault(&mut self, kind: FaultKind) {
        if self.out.fault.is_none() {
            self.out.fault = Some(Fault { at: self.at, kind });
        }
    }

    fn step(&mut self) -> Result<(), Halt> {
        self.at = u64::try_from(self.cursor.at).unwrap_or(u64::MAX);
        let byte = self.cursor.byte().ok_or(FaultKind::NoStop)?;
        let Some(instruction) = instruction(byte) else {
            self.cursor.at -= 1;
            return Err(FaultKind::Opcode(byte).into());
        };
        self.name = instruction.name;
        let before = self.cursor.at;
        let argument = match argument(&mut self.cursor, instruction) {
            Ok(argument) => argument,
            Err(kind) => {
                self.cut_import(before);
                return Err(kind.into());
            }
        };
        let values = u64::try_from(self.out.values.len()).unwrap_or(u64::MAX);
        if values >= self.limits.values {
            return Err(FaultKind::TooMany(self.limits.values).into());
        }
        if self.out.events() >= self.limits.events {
            return Err(FaultKind::TooMany(self.limits.events).into());
        }
        self.execute(byte, argument)
    }

    /// Python's reader of files takes a last line without its end, less one byte, and imports what it names.
    fn cut_import(&mut self, before: usize) {
        if !matches!(self.name, "GLOBAL" | "INST") {
            return;
        }
        let rest = self.cursor.bytes.get(before..).unwrap_or_default();
        let Some(end) = rest.iter().position(|byte| *byte == b'\n') else { return };
        let (module, name) = rest.split_at(end);
        let name = name.get(1..).and_then(|name| name.split_last()).map_or(&[] as &[u8], |(_, name)| name);
        let (module, name) = (String::from_utf8_lossy(module), String::from_utf8_lossy(name));
        self.import(Reference::Named { module, name });
    }

    fn execute(&mut self, byte: u8, argument: Argument<'a>) -> Result<(), Halt> {
        match (byte, argument) {
            (b'(', _) => {
                self.marks.push(self.stack.len());
                // A mark costs memory as a value does.
                self.out.values.push(Value::Opaque);
            }
            (b'.', _) => {
                let top = self.pop();
                self.out.top = Some(top);
                return Err(Halt::Stop);
            }
            (b'0', _) => {
                if self.marks.last() == Some(&self.stack.len()) {
                    self.marks.pop();
                } else {
                    self.pop();
                }
            }
            (b'1', _) => drop(self.pop_mark()),
            (b'2', _) => {
                let top = self.peek();
                // Counted as a value, since the stack grows.
                self.out.values.push(Value::Opaque);
                self.stack.push(top);
            }
            (b'N', _) => self.push(Value::None),
            (0x88, _) => self.push(Value::Bool(true)),
            (0x89, _) => self.push(Value::Bool(false)),
            (_, Argument::Float(value)) => self.push(Value::Float(value)),
            (b'I', Argument::Integer(value)) => self.integer_line(value),
            (b'g' | b'h' | b'j', place) => self.recall(&place),
            (b'p' | b'q' | b'r', place) => self.remember(&place),
            (0x94, _) => {
                let place = u64::try_from(self.memo.len()).unwrap_or(u64::MAX);
                self.remember_at(place);
            }
            (0x80, Argument::Number(protocol)) => {
                let protocol = u8::try_from(protocol).unwrap_or(u8::MAX);
                self.out.protocol = Some(self.out.protocol.unwrap_or(0).max(protocol));
                if protocol > 5 {
                    self.fault(FaultKind::Protocol(protocol));
                }
            }
            (0x95, Argument::Number(length)) => {
                let left = self.cursor.bytes.len().saturating_sub(self.cursor.at);
                if u64::try_from(left).is_ok_and(|left| length > left) {
                    self.fault(FaultKind::Truncated("FRAME"));
                }
            }
            (0x82 | 0x83, Argument::Number(code)) => {
                self.push_import(Reference::Extension(i64::try_from(code).unwrap_or(i64::MAX)));
            }
            (0x84, Argument::Integer(code)) => self.push_import(Reference::Extension(code)),
            (b'c', Argument::Names(module, name)) => self.push_import(Reference::Named { module, name }),
            (b'i', Argument::Names(module, name)) => {
                let import = self.import(Reference::Named { module, name });
                let arguments = self.pop_mark();
                let arguments = self.make(Value::Tuple(arguments));
                self.call(Callee::Import(import), arguments, None);
            }
            (0x93, _) => self.stack_global(),
            (b'P', Argument::Text(id)) => {
                let id = self.make(Value::Text(id));
                self.persistent(id);
            }
            (b'Q', _) => {
                let id = self.pop();
                self.persistent(id);
            }
            (_, Argument::Text(text)) => self.push(Value::Text(text)),
            (_, Argument::Bytes(bytes)) => self.push(Value::Bytes(bytes)),
            (_, Argument::Long(digits)) => self.push(Value::Long(digits)),
            (_, Argument::Integer(value)) => self.push(Value::Integer(value)),
            (_, Argument::Number(value)) => {
                self.push(Value::Integer(i64::try_from(value).unwrap_or(i64::MAX)));
            }
            (_, Argument::None | Argument::Names(..)) => self.compose(byte),
        }
        Ok(())
    }

    /// Instructions without argument that take from the stack and put on it.
    fn compose(&mut self, byte: u8) {
        match byte {
            b')' => self.push(Value::Tuple(Vec::new())),
            b']' => self.push(Value::List(Vec::new())),
            b'}' => self.push(Value::Dict(Vec::new())),
            0x8f => self.push(Value::Set(Vec::new())),
            0x85..=0x87 => {
                let count = usize::from(byte - 0x84);
                let mut items: Vec<ValueId> = (0..count).map(|_| self.pop()).collect();
                items.reverse();
                self.push(Value::Tuple(items));
            }
            b't' => {
                let items = self.pop_mark();
                self.push(Value::Tuple(items));
            }
            b'l' => {
                let items = self.pop_mark();
                self.push(Value::List(items));
            }
            b'd' => {
                let items = self.pop_mark();
                let entries = self.pairs(&items);
                self.push(Value::Dict(entries));
            }
            0x91 => {
                let items = self.pop_mark();
                self.push(Value::Set(items));
            }
            b'a' => {
                let item = self.pop();
                self.extend(vec![item]);
            }
            b'e' | 0x90 => {
                let items = self.pop_mark();
                self.extend(items);
            }
            b's' => {
                let value = self.pop();
                let key = self.pop();
                self.set(vec![(key, value)]);
            }
            b'u' => {
                let items = self.pop_mark();
                let entries = self.pairs(&items);
                self.set(entries);
            }
            b'R' | 0x81 => {
                let arguments = self.pop();
                let callable = self.pop();
                let callee = self.callee(callable);
                match self.folded(callee, arguments) {
                    Some(text) => {
                        self.note_call(callee, arguments, None);
                        self.push(Value::Text(Cow::Owned(text)));
                    }
                    None => self.call(callee, arguments, None),
                }
            }
            0x92 => {
                let keywords = self.pop();
                let arguments = self.pop();
                let class = self.pop();
                self.call(self.callee(class), arguments, Some(keywords));
            }
            b'o' => {
                let mut items = self.pop_mark();
                if items.is_empty() {
                    self.fault(FaultKind::Underflow(self.name));
                    return self.push(Value::Opaque);
                }
                let class = items.remove(0);
                let arguments = self.make(Value::Tuple(items));
                self.call(self.callee(class), arguments, None);
            }
            b'b' => self.build(),
            0x97 => self.push(Value::Opaque),
            _ => {}
        }
    }

    fn make(&mut self, value: Value<'a>) -> ValueId {
        let id = ValueId::new(self.out.values.len());
        self.out.values.push(value);
        id
    }

    fn push(&mut self, value: Value<'a>) {
        let id = self.make(value);
        self.stack.push(id);
    }

    /// The lowest height that an instruction may take from.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn pop(&mut self) -> ValueId {
        if self.stack.len() > self.floor()
            && let Some(id) = self.stack.pop()
        {
            return id;
        }
        self.fault(FaultKind::Underflow(self.name));
        self.make(Value::Opaque)
    }

    fn peek(&mut self) -> ValueId {
        match self.stack.last() {
            Some(id) if self.stack.len() > self.floor() => *id,
            _ => {
                self.fault(FaultKind::Underflow(self.name));
                self.make(Value::Opaque)
            }
        }
    }

    fn pop_mark(&mut self) -> Vec<ValueId> {
        match self.marks.pop() {
            Some(height) if height <= self.stack.len() => self.stack.split_off(height),
            _ => {
                self.fault(FaultKind::Underflow(self.name));
                Vec::new()
            }
        }
    }

    fn pairs(&mut self, items: &[ValueId]) -> Vec<(ValueId, ValueId)> {
        let (pairs, rest) = items.as_chunks::<2>();
        if !rest.is_empty() {
            self.fault(FaultKind::Operand(self.name));
        }
        pairs.iter().map(|[key, value]| (*key, *value)).collect()
    }

    fn integer_line(&mut self, value: i64) {
        // Protocol 0 writes false and true as `I00` and `I01`.
        let line = self.cursor.bytes.get(..self.cursor.at.saturating_sub(1)).unwrap_or_default();
        match line {
            [.., b'I', b'0', b'0'] => self.push(Value::Bool(false)),
            [.., b'I', b'0', b'1'] => self.push(Value::Bool(true)),
            _ => self.push(Value::Integer(value)),
        }
    }

    fn place(argument: &Argument<'a>) -> Option<u64> {
        match argument {
            Argument::Number(place) => Some(*place),
            Argument::Integer(place) => u64::try_from(*place).ok(),
            _ => None,
        }
    }

    fn recall(&mut self, argument: &Argument<'a>) {
        let place = Self::place(argument).unwrap_or(u64::MAX);
        if let Some(id) = self.memo.get(&place).copied() {
            // Counted as a value, since the stack grows.
            self.out.values.push(Value::Opaque);
            self.stack.push(id);
        } else {
            self.fault(FaultKind::Memo { opcode: self.name, place });
            self.push(Value::Opaque);
        }
    }

    fn remember(&mut self, argument: &Argument<'a>) {
        match Self::place(argument) {
            Some(place) => self.remember_at(place),
            None => self.fault(FaultKind::Argument(self.name)),
        }
    }

    fn remember_at(&mut self, place: u64) {
        let id = self.peek();
        // Counted as a value, since the memo grows.
        if self.memo.insert(place, id).is_none() {
            self.out.values.push(Value::Opaque);
        }
        self.out.memo_place_max = self.out.memo_place_max.max(place);
    }
}

//! What a stream would do: what it imports, calls and puts together.

use super::super::value::{Call, Callee, Import, Object, Persistent, Reference, Value, ValueId};
use super::Machine;

/// Text put together by a call is followed up to this many bytes; names of modules are shorter.
const FOLDED_MAX: usize = 4096;

impl<'a> Machine<'a, '_> {
    pub(super) fn import(&mut self, reference: Reference<'a>) -> usize {
        let after_fault = self.out.fault.is_some();
        self.out.imports.push(Import { at: self.at, opcode: self.name, reference, after_fault });
        self.out.imports.len() - 1
    }

    pub(super) fn push_import(&mut self, reference: Reference<'a>) {
        let import = self.import(reference);
        self.push(Value::Global(import));
    }

    pub(super) fn stack_global(&mut self) {
        let name = self.pop();
        let module = self.pop();
        let text = |id| match self.out.value(id) {
            Value::Text(text) => Some(text.clone()),
            _ => None,
        };
        let reference = match (text(module), text(name)) {
            (Some(module), Some(name)) => Reference::Named { module, name },
            (module, name) => Reference::Unresolved { module, name },
        };
        self.push_import(reference);
    }

    pub(super) fn persistent(&mut self, id: ValueId) {
        self.out.persistent.push(Persistent { at: self.at, id });
        self.push(Value::Persistent(id));
    }

    pub(super) fn callee(&self, value: ValueId) -> Callee {
        match self.out.value(value) {
            Value::Global(import) => Callee::Import(*import),
            Value::Object(object) => self
                .out
                .objects
                .get(*object)
                .map_or(Callee::Value(value), |object| Callee::Result(object.call)),
            _ => Callee::Value(value),
        }
    }

    pub(super) fn note_call(&mut self, callee: Callee, arguments: ValueId, keywords: Option<ValueId>) {
        let after_fault = self.out.fault.is_some();
        self.out.calls.push(Call {
            at: self.at,
            opcode: self.name,
            callee,
            arguments,
            keywords,
            after_fault,
        });
    }

    pub(super) fn call(&mut self, callee: Callee, arguments: ValueId, keywords: Option<ValueId>) {
        self.note_call(callee, arguments, keywords);
        let object = self.out.objects.len();
        let call = self.out.calls.len() - 1;
        self.out.objects.push(Object { call, items: Vec::new(), entries: Vec::new(), state: None });
        self.push(Value::Object(object));
    }

    /// The text that a call is known to return: adding two texts is how names are hidden from scanners.
    pub(super) fn folded(&self, callee: Callee, arguments: ValueId) -> Option<String> {
        let Callee::Import(import) = callee else { return None };
        let names = self.out.imports.get(import)?.names()?;
        let parts: Vec<&str> =
            self.out.items(arguments)?.iter().map(|item| self.out.text(*item)).collect::<Option<_>>()?;
        let whole = match (names, parts.as_slice()) {
            (("operator" | "_operator", "add" | "concat" | "iadd" | "iconcat"), [_, _])
            | (("builtins" | "__builtin__", "str"), [_]) => parts.concat(),
            _ => return None,
        };
        (whole.len() <= FOLDED_MAX).then_some(whole)
    }

    pub(super) fn extend(&mut self, mut items: Vec<ValueId>) {
        let target = self.peek();
        match self.out.values.get_mut(target.place()) {
            Some(Value::List(members) | Value::Set(members)) => members.append(&mut items),
            Some(Value::Object(object)) => {
                if let Some(object) = self.out.objects.get_mut(*object) {
                    object.items.append(&mut items);
                }
            }
            _ => {
                let arguments = self.make(Value::Tuple(items));
                self.note_call(self.callee(target), arguments, None);
            }
        }
    }

    pub(super) fn set(&mut self, mut pairs: Vec<(ValueId, ValueId)>) {
        let target = self.peek();
        match self.out.values.get_mut(target.place()) {
            Some(Value::Dict(entries)) => entries.append(&mut pairs),
            Some(Value::Object(object)) => {
                if let Some(object) = self.out.objects.get_mut(*object) {
                    object.entries.append(&mut pairs);
                }
            }
            _ => {
                let arguments = self.make(Value::Dict(pairs));
                self.note_call(self.callee(target), arguments, None);
            }
        }
    }

    pub(super) fn build(&mut self) {
        let state = self.pop();
        let target = self.peek();
        self.note_call(self.callee(target), state, None);
        if let Value::Object(object) = *self.out.value(target)
            && let Some(object) = self.out.objects.get_mut(object)
        {
            object.state = Some(state);
        }
    }
}

//! Values in a few words, for messages.

use super::value::{Callee, Reference, Value, ValueId};
use super::{Call, Import, Pickle};
use crate::error::shown;

/// Members shown of a container.
const MEMBERS: usize = 4;
/// How deep containers are shown.
const DEPTH: usize = 3;

impl Import<'_> {
    /// What is imported, for messages: `os.system`, `extension 7`, `?.system`.
    pub fn show(&self) -> String {
        match &self.reference {
            Reference::Named { module, name } => format!("{}.{}", shown(module), shown(name)),
            Reference::Extension(code) => format!("extension {code}"),
            Reference::Unresolved { module, name } => {
                let part = |part: &Option<std::borrow::Cow<'_, str>>| {
                    part.as_deref().map_or_else(|| "?".to_owned(), shown)
                };
                format!("{}.{}", part(module), part(name))
            }
        }
    }
}

impl Pickle<'_> {
    /// A value in a few words, escaped and shortened.
    pub fn show(&self, id: ValueId) -> String {
        self.show_to(id, DEPTH)
    }

    /// A call in a few words: `os.system('id')`.
    pub fn show_call(&self, call: &Call) -> String {
        let callee = match call.callee {
            Callee::Import(place) => self.imports.get(place).map_or_else(String::new, Import::show),
            Callee::Result(place) => {
                // One step back is enough to recognise it.
                let made_by = self.calls.get(place).map(|call| call.callee);
                match made_by {
                    Some(Callee::Import(place)) => {
                        let import = self.imports.get(place).map_or_else(String::new, Import::show);
                        format!("{import}(…)")
                    }
                    _ => "(…)(…)".to_owned(),
                }
            }
            Callee::Value(id) => self.show(id),
        };
        let arguments = self.show(call.arguments);
        if arguments.starts_with('(') {
            format!("{callee}{arguments}")
        } else {
            format!("{callee} ← {arguments}")
        }
    }

    fn show_to(&self, id: ValueId, depth: usize) -> String {
        let list = |ids: &[ValueId], open: &str, close: &str| {
            if depth == 0 {
                return format!("{open}…{close}");
            }
            let mut parts: Vec<String> =
                ids.iter().take(MEMBERS).map(|id| self.show_to(*id, depth - 1)).collect();
            if ids.len() > MEMBERS {
                parts.push("…".to_owned());
            }
            format!("{open}{}{close}", parts.join(", "))
        };
        match self.value(id) {
            Value::None => "None".to_owned(),
            Value::Bool(true) => "True".to_owned(),
            Value::Bool(false) => "False".to_owned(),
            Value::Integer(value) => value.to_string(),
            Value::Long(_) => "a long integer".to_owned(),
            Value::Float(value) => value.to_string(),
            Value::Text(text) => format!("'{}'", shown(text)),
            Value::Bytes(bytes) => {
                let head: Vec<u8> = bytes.iter().take(60).copied().collect();
                format!("b'{}{}'", head.escape_ascii(), if bytes.len() > head.len() { "…" } else { "" })
            }
            Value::Tuple(items) => list(items, "(", ")"),
            Value::List(items) => list(items, "[", "]"),
            Value::Set(items) => list(items, "{", "}"),
            Value::Dict(entries) => {
                let keys: Vec<ValueId> = entries.iter().map(|(key, _)| *key).collect();
                list(&keys, "{", ": …}")
            }
            Value::Global(place) => self.imports.get(*place).map_or_else(String::new, Import::show),
            Value::Persistent(_) => "a persistent object".to_owned(),
            Value::Object(_) => match self.call_of(id).map(|call| call.callee) {
                Some(Callee::Import(place)) => {
                    let import = self.imports.get(place).map_or_else(String::new, Import::show);
                    format!("{import}(…)")
                }
                _ => "an object".to_owned(),
            },
            Value::Opaque => "?".to_owned(),
        }
    }
}

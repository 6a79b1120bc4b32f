//! The walk through a checkpoint's containers. It keeps its own stack, and counts its steps, since a value may
//! stand at many places.

use super::Unread;
use super::error::Error;
use super::tensors::Collector;
use crate::error::shown;
use crate::pickle::{Value, ValueId};

/// How deep containers may nest.
const DEPTH_MAX: usize = 64;
/// How long a name may become, in bytes.
const NAME_MAX: usize = 1024;

struct Visit {
    value: ValueId,
    name: String,
    depth: usize,
}

impl Collector<'_, '_> {
    /// Collects the tensors of everything that the pickle makes, their names beginning with `prefix`.
    pub(super) fn collect(&mut self, prefix: &str) -> Result<(), Error> {
        let Some(top) = self.pickle.top else { return Ok(()) };
        let mut stack = vec![Visit { value: top, name: prefix.to_owned(), depth: 0 }];
        let mut visits = 0;
        while let Some(visit) = stack.pop() {
            visits += 1;
            if visits > self.limits.visits {
                return Err(Error::TooMany { what: "places of values", limit: self.limits.visits });
            }
            if visit.depth > DEPTH_MAX {
                return Err(Error::TooMany { what: "levels of containers", limit: DEPTH_MAX });
            }
            if visit.name.len() > NAME_MAX {
                return Err(Error::TooMany { what: "bytes in a tensor's name", limit: NAME_MAX });
            }
            let begin = stack.len();
            self.visit(&visit, &mut stack)?;
            // The stack gives the last first; tensors come in the order of the file.
            if let Some(added) = stack.get_mut(begin..) {
                added.reverse();
            }
            if stack.len() > self.limits.visits {
                return Err(Error::TooMany { what: "places of values", limit: self.limits.visits });
            }
        }
        Ok(())
    }

    fn visit(&mut self, visit: &Visit, stack: &mut Vec<Visit>) -> Result<(), Error> {
        let pickle = self.pickle;
        match pickle.value(visit.value) {
            Value::Dict(entries) => self.entries(visit, entries, stack),
            Value::Tuple(items) | Value::List(items) | Value::Set(items) => list(visit, items, stack),
            Value::Object(_) => return self.object(visit, stack),
            _ => {}
        }
        Ok(())
    }

    fn entries(&self, visit: &Visit, entries: &[(ValueId, ValueId)], stack: &mut Vec<Visit>) {
        for (key, value) in entries {
            // Plain values need no visit, and there may be many.
            if is_plain(self.pickle.value(*value)) {
                continue;
            }
            let key = match self.pickle.value(*key) {
                Value::Text(text) => text.clone().into_owned(),
                Value::Integer(value) => value.to_string(),
                _ => self.pickle.show(*key),
            };
            stack.push(below(visit, *value, &key));
        }
    }

    fn object(&mut self, visit: &Visit, stack: &mut Vec<Visit>) -> Result<(), Error> {
        let pickle = self.pickle;
        let (Some(object), Some(call)) = (pickle.object(visit.value), pickle.call_of(visit.value)) else {
            return Ok(());
        };
        let arguments = pickle.items(call.arguments).unwrap_or_default();
        let known = match (pickle.callee_names(call), arguments) {
            (Some(("torch._utils", function)), arguments)
                if self.tensor(&visit.name, function, arguments)? =>
            {
                true
            }
            (
                Some(
                    ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state")
                    | ("torch.nn.parameter", "Parameter" | "Buffer"),
                ),
                [data, ..],
            ) => {
                stack.push(Visit { value: *data, name: visit.name.clone(), depth: visit.depth + 1 });
                true
            }
            (Some(("torch._tensor", "_rebuild_from_type_v2")), [function, _, arguments, ..]) => {
                let function = pickle.import(*function).and_then(|import| import.names());
                let arguments = pickle.items(*arguments).unwrap_or_default();
                match function {
                    Some(("torch._utils", function)) => self.tensor(&visit.name, function, arguments)?,
                    _ => false,
                }
            }
            (Some(("collections" | "builtins" | "__builtin__" | "argparse" | "types", _)), arguments) => {
                list(visit, arguments, stack);
                true
            }
            (Some((module, _)), _) if module.split('.').next() == Some("__torch__") => true,
            // PyTorch's own reader wraps lists of tensors and of numbers so.
            (Some(("torch.jit._pickle", _)), arguments) => {
                if let Some(items) = arguments.first().and_then(|items| pickle.items(*items)) {
                    list(visit, items, stack);
                }
                true
            }
            (Some(("torch" | "_codecs" | "datetime" | "pathlib" | "copyreg" | "decimal", _)), _) => true,
            _ => false,
        };
        if !known {
            self.unread.push(Unread { name: shown(&visit.name), what: pickle.show(visit.value) });
            list(visit, arguments, stack);
        }
        list(visit, &object.items, stack);
        self.entries(visit, &object.entries, stack);
        if let Some(state) = object.state {
            // Attributes have the object's own name before theirs, as in a module's `state_dict`.
            stack.push(Visit { value: state, name: visit.name.clone(), depth: visit.depth + 1 });
        }
        Ok(())
    }
}

const fn is_plain(value: &Value<'_>) -> bool {
    matches!(
        value,
        Value::None
            | Value::Bool(_)
            | Value::Integer(_)
            | Value::Long(_)
            | Value::Float(_)
            | Value::Text(_)
            | Value::Bytes(_)
            | Value::Global(_)
    )
}

fn below(visit: &Visit, value: ValueId, key: &str) -> Visit {
    let name = if visit.name.is_empty() { key.to_owned() } else { format!("{}.{key}", visit.name) };
    Visit { value, name, depth: visit.depth + 1 }
}

fn list(visit: &Visit, items: &[ValueId], stack: &mut Vec<Visit>) {
    for (index, item) in items.iter().enumerate() {
        stack.push(below(visit, *item, &index.to_string()));
    }
}

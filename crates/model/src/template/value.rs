//! The values of a template while it is rendered.

use std::rc::Rc;

use tensor::jinja::{Node, Parameter};

use super::budget::{Budget, Outcome, failed};

/// A text of the template or the conversation, or one that was made.
#[derive(Debug, Clone)]
pub(super) enum Text<'t> {
    Given(&'t str),
    Made(Rc<str>),
}

impl std::ops::Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Given(text) => text,
            Self::Made(text) => text,
        }
    }
}

/// A list or a tuple.
#[derive(Debug)]
pub(super) struct List<'t> {
    pub(super) items: Vec<Value<'t>>,
    pub(super) height: usize,
    pub(super) tuple: bool,
}

/// A dict, in the order in which it was written.
#[derive(Debug)]
pub(super) struct Dict<'t> {
    pub(super) entries: Vec<(Value<'t>, Value<'t>)>,
    pub(super) height: usize,
}

/// `loop`: one turn of a loop.
#[derive(Debug)]
pub(super) struct Turn<'t> {
    pub(super) at: usize,
    pub(super) items: Rc<List<'t>>,
}

/// A macro.
#[derive(Debug, Clone, Copy)]
pub(super) struct Macro<'t> {
    pub(super) name: &'t str,
    pub(super) parameters: &'t [Parameter],
    pub(super) body: &'t [Node],
}

/// A function that every template has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Builtin {
    Dict,
    Namespace,
    RaiseException,
    Range,
    StrftimeNow,
}

impl Builtin {
    pub(super) const ALL: [(&'static str, Self); 5] = [
        ("dict", Self::Dict),
        ("namespace", Self::Namespace),
        ("raise_exception", Self::RaiseException),
        ("range", Self::Range),
        ("strftime_now", Self::StrftimeNow),
    ];
}

/// A value. Copies share what they hold.
#[derive(Debug, Clone)]
pub(super) enum Value<'t> {
    Undefined,
    None,
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(Text<'t>),
    List(Rc<List<'t>>),
    Dict(Rc<Dict<'t>>),
    /// By its number, so that namespaces that hold each other are no circles of memory.
    Namespace(usize),
    Loop(Rc<Turn<'t>>),
    Macro(Macro<'t>),
    Builtin(Builtin),
}

impl<'t> Value<'t> {
    pub(super) const fn given(text: &'t str) -> Self {
        Self::Text(Text::Given(text))
    }

    /// Lists in lists, this one included.
    pub(super) fn height(&self) -> usize {
        match self {
            Self::List(list) => list.height,
            Self::Dict(dict) => dict.height,
            Self::Loop(turn) => turn.items.height + 1,
            _ => 0,
        }
    }

    /// A value of the conversation, whose texts stay where they are.
    pub(super) fn of_json(json: &'t serde_json::Value, budget: &mut Budget) -> Outcome<Self> {
        use serde_json::Value as Json;
        Ok(match json {
            Json::Null => Self::None,
            Json::Bool(value) => Self::Bool(*value),
            Json::Number(number) => match number.as_i64() {
                Some(number) => Self::Integer(number),
                None => Self::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
            Json::String(text) => Self::given(text),
            Json::Array(items) => {
                let items = items.iter().map(|item| Self::of_json(item, budget)).collect::<Outcome<_>>()?;
                budget.list(items)?
            }
            Json::Object(members) => {
                let members = members
                    .iter()
                    .map(|(name, value)| Ok((Self::given(name), Self::of_json(value, budget)?)))
                    .collect::<Outcome<_>>()?;
                budget.dict(members)?
            }
        })
    }

    pub(super) fn is_true(&self) -> bool {
        match self {
            Self::Undefined | Self::None => false,
            Self::Bool(value) => *value,
            Self::Integer(value) => *value != 0,
            Self::Float(value) => *value != 0.0,
            Self::Text(text) => !text.is_empty(),
            Self::List(list) => !list.items.is_empty(),
            Self::Dict(dict) => !dict.entries.is_empty(),
            Self::Namespace(_) | Self::Loop(_) | Self::Macro(_) | Self::Builtin(_) => true,
        }
    }

    pub(super) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// As an integer, which booleans are too.
    pub(super) fn as_integer(&self) -> Option<i64> {
        match self {
            Self::Bool(value) => Some(i64::from(*value)),
            Self::Integer(value) => Some(*value),
            _ => None,
        }
    }

    #[allow(clippy::cast_precision_loss, reason = "an integer becomes the nearest float, as in Python")]
    pub(super) fn as_float(&self) -> Option<f64> {
        match self {
            Self::Float(value) => Some(*value),
            _ => self.as_integer().map(|value| value as f64),
        }
    }

    /// What it is called in a failure.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Undefined => "an undefined value",
            Self::None => "none",
            Self::Bool(_) => "a boolean",
            Self::Integer(_) => "an integer",
            Self::Float(_) => "a float",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Dict(_) => "a dict",
            Self::Namespace(_) => "a namespace",
            Self::Loop(_) => "a loop",
            Self::Macro(_) => "a macro",
            Self::Builtin(_) => "a function",
        }
    }
}

impl Budget {
    /// Whether two values are equal, as in Python.
    #[allow(clippy::float_cmp, reason = "`==` of two floats is what the template asks for")]
    pub(super) fn equal(&mut self, a: &Value<'_>, b: &Value<'_>) -> Outcome<bool> {
        self.steps(1)?;
        Ok(match (a, b) {
            (Value::Undefined, Value::Undefined) | (Value::None, Value::None) => true,
            (Value::Text(a), Value::Text(b)) => {
                self.reading(a.len().min(b.len()))?;
                **a == **b
            }
            (Value::List(a), Value::List(b)) => {
                if a.tuple != b.tuple || a.items.len() != b.items.len() {
                    return Ok(false);
                }
                for (a, b) in a.items.iter().zip(&b.items) {
                    if !self.equal(a, b)? {
                        return Ok(false);
                    }
                }
                true
            }
            (Value::Dict(a), Value::Dict(b)) => {
                if a.entries.len() != b.entries.len() {
                    return Ok(false);
                }
                for (key, value) in &a.entries {
                    let other = self.member(b, key)?;
                    if !matches!(other, Some(other) if self.equal(value, &other)?) {
                        return Ok(false);
                    }
                }
                true
            }
            (Value::Namespace(a), Value::Namespace(b)) => a == b,
            (Value::Builtin(a), Value::Builtin(b)) => a == b,
            _ => match (a.as_integer(), b.as_integer()) {
                (Some(a), Some(b)) => a == b,
                _ => matches!((a.as_float(), b.as_float()), (Some(a), Some(b)) if a == b),
            },
        })
    }

    /// The value of a dict's key.
    pub(super) fn member<'t>(&mut self, dict: &Dict<'t>, key: &Value<'_>) -> Outcome<Option<Value<'t>>> {
        for (name, value) in &dict.entries {
            if self.equal(name, key)? {
                return Ok(Some(value.clone()));
            }
        }
        Ok(None)
    }

    /// The value as `{{ }}` writes it: texts as they are, the rest as Python shows it.
    pub(super) fn write(&mut self, value: &Value<'_>, out: &mut String) -> Outcome<()> {
        match value {
            Value::Undefined => self.steps(1),
            Value::Text(text) => self.push(out, text),
            _ => self.show(value, out),
        }
    }

    /// The value as Python's `repr` writes it.
    fn show(&mut self, value: &Value<'_>, out: &mut String) -> Outcome<()> {
        match value {
            Value::Undefined => self.push(out, "Undefined"),
            Value::None => self.push(out, "None"),
            Value::Bool(true) => self.push(out, "True"),
            Value::Bool(false) => self.push(out, "False"),
            Value::Integer(number) => self.push(out, &number.to_string()),
            Value::Float(number) => self.push(out, &format!("{number:?}")),
            Value::Text(text) => {
                self.bytes(text.len())?;
                let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
                let mut quoted = String::from(quote);
                for character in text.chars() {
                    match character {
                        '\\' => quoted.push_str("\\\\"),
                        '\n' => quoted.push_str("\\n"),
                        '\r' => quoted.push_str("\\r"),
                        '\t' => quoted.push_str("\\t"),
                        _ if character == quote => quoted.extend(['\\', character]),
                        _ => quoted.push(character),
                    }
                }
                quoted.push(quote);
                self.push(out, &quoted)
            }
            Value::List(list) => {
                self.push(out, if list.tuple { "(" } else { "[" })?;
                for (at, item) in list.items.iter().enumerate() {
                    if at > 0 {
                        self.push(out, ", ")?;
                    }
                    self.show(item, out)?;
                }
                let end = match (list.tuple, list.items.len()) {
                    (true, 1) => ",)",
                    (true, _) => ")",
                    (false, _) => "]",
                };
                self.push(out, end)
            }
            Value::Dict(dict) => {
                self.push(out, "{")?;
                for (at, (key, item)) in dict.entries.iter().enumerate() {
                    if at > 0 {
                        self.push(out, ", ")?;
                    }
                    self.show(key, out)?;
                    self.push(out, ": ")?;
                    self.show(item, out)?;
                }
                self.push(out, "}")
            }
            Value::Namespace(_) => self.push(out, "<Namespace>"),
            Value::Loop(turn) => {
                let shown = format!("<LoopContext {}/{}>", turn.at + 1, turn.items.items.len());
                self.push(out, &shown)
            }
            Value::Macro(called) => self.push(out, &format!("<Macro '{}'>", called.name)),
            Value::Builtin(_) => self.push(out, "<function>"),
        }
    }

    /// The value as a text.
    pub(super) fn shown<'t>(&mut self, value: &Value<'t>) -> Outcome<Value<'t>> {
        if matches!(value, Value::Text(_)) {
            return Ok(value.clone());
        }
        let mut out = String::new();
        self.write(value, &mut out)?;
        self.text(&out)
    }

    /// What a loop goes through.
    pub(super) fn items<'t>(&mut self, value: &Value<'t>) -> Outcome<Vec<Value<'t>>> {
        match value {
            Value::Undefined => Ok(Vec::new()),
            Value::List(list) => {
                self.values(list.items.len())?;
                Ok(list.items.clone())
            }
            Value::Dict(dict) => {
                self.values(dict.entries.len())?;
                Ok(dict.entries.iter().map(|(key, _)| key.clone()).collect())
            }
            Value::Text(text) => {
                self.values(text.len())?;
                text.chars().map(|character| self.text(character.encode_utf8(&mut [0; 4]))).collect()
            }
            _ => failed(format!("{} cannot be gone through", value.kind())),
        }
    }
}

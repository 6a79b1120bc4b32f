//! JSON as the transformers library writes it: `", "` and `": "` between parts, nothing escaped for web pages.

use super::budget::{Budget, Outcome, failed};
use super::value::Value;

/// Widest indentation.
const WIDTH_MAX: usize = 16;

impl Budget {
    /// Writes a value; with an indentation, a line for each part.
    pub(super) fn json(
        &mut self,
        value: &Value<'_>,
        indent: Option<usize>,
        level: usize,
        out: &mut String,
    ) -> Outcome<()> {
        match value {
            Value::None => self.push(out, "null"),
            Value::Bool(true) => self.push(out, "true"),
            Value::Bool(false) => self.push(out, "false"),
            Value::Integer(number) => self.push(out, &number.to_string()),
            Value::Float(number) if number.is_finite() => self.push(out, &format!("{number:?}")),
            Value::Text(text) => self.json_text(text, out),
            Value::List(list) => {
                let items = list.items.iter().map(|item| (None, item));
                self.json_parts(("[", "]"), items, indent, level, out)
            }
            Value::Dict(dict) => {
                let entries = dict.entries.iter().map(|(key, item)| (Some(key), item));
                self.json_parts(("{", "}"), entries, indent, level, out)
            }
            _ => failed(format!("{} cannot be written as JSON", value.kind())),
        }
    }

    fn json_text(&mut self, text: &str, out: &mut String) -> Outcome<()> {
        // Escapes take up to six bytes for one.
        self.bytes(text.len().saturating_mul(6))?;
        self.push(out, &serde_json::Value::from(text).to_string())
    }

    fn json_parts<'v, 't: 'v>(
        &mut self,
        (open, close): (&str, &str),
        parts: impl ExactSizeIterator<Item = (Option<&'v Value<'t>>, &'v Value<'t>)>,
        indent: Option<usize>,
        level: usize,
        out: &mut String,
    ) -> Outcome<()> {
        let line =
            |level: usize| indent.map(|width| format!("\n{}", " ".repeat(width.min(WIDTH_MAX) * level)));
        let some = parts.len() > 0;
        self.push(out, open)?;
        for (at, (key, item)) in parts.enumerate() {
            if at > 0 {
                self.push(out, if indent.is_some() { "," } else { ", " })?;
            }
            self.push(out, &line(level + 1).unwrap_or_default())?;
            if let Some(key) = key {
                let Some(key) = key.as_text() else { return failed("a key of JSON must be a text") };
                self.json_text(key, out)?;
                self.push(out, ": ")?;
            }
            self.json(item, indent, level + 1, out)?;
        }
        if some {
            self.push(out, &line(level).unwrap_or_default())?;
        }
        self.push(out, close)
    }
}

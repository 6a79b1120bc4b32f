//! JSON: read strictly, then looked at by what the file is for.

use tensor::json::{FaultKind, Value};

use super::notes::{Notes, shown};
use super::{config, other, template, text, tokenizer, which};
use crate::artefact::{Artefact, Entry};
use crate::finding::Place;
use crate::report::Examined;

/// Reads a document, and looks at it by its name.
pub(super) fn look(
    artefact: &Artefact<'_>,
    entry: &Entry<'_>,
    bytes: &[u8],
    notes: &mut Notes<'_>,
) -> Examined {
    let name = entry.name();
    // A mark at the beginning is no JSON, but every reader of configurations takes it.
    let value = match Value::read(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)) {
        Ok(value) => value,
        Err(fault) => {
            let rule = match fault.kind {
                FaultKind::Repeated(_) => "SCAN-JSN-001",
                _ => "SCAN-FIL-009",
            };
            let message = format!("`{}` is not JSON that every reader reads alike: {fault}", shown(name));
            notes.find(rule, Place::Byte(fault.at as u64), message, []);
            notes.unexamined("a document that cannot be read as JSON");
            return Examined::Part;
        }
    };
    anywhere(&value, notes);
    other::keras(&value, notes);
    templates(&value, notes);
    match name {
        "config.json" => config::model(artefact, entry, &value, notes),
        "generation_config.json" => config::generation(&value, notes),
        "tokenizer.json" => tokenizer::tokenizer(&value, notes),
        "tokenizer_config.json" => tokenizer::settings(artefact, entry, &value, notes),
        "model.safetensors.index.json" => which::index(artefact, entry, bytes, notes),
        _ => {}
    }
    Examined::Whole
}

/// Looks at a `tokenizer.json` that stands whole in another file, under `key`.
pub(super) fn embedded_tokenizer(text: &str, key: &str, notes: &mut Notes<'_>) {
    match Value::read(text.as_bytes()) {
        Ok(value) => {
            anywhere(&value, notes);
            tokenizer::tokenizer(&value, notes);
        }
        Err(fault) => {
            let message = format!("`{}` is not JSON that every reader reads alike: {fault}", shown(key));
            notes.find("SCAN-FIL-009", Place::Key(key.to_owned()), message, []);
            notes.unexamined("a tokenizer that cannot be read as JSON");
        }
    }
}

/// What may stand in any document: code to be fetched or run, letters that nobody sees.
fn anywhere(value: &Value, notes: &mut Notes<'_>) {
    each(value, &mut String::new(), &mut |pointer, key, value| {
        let place = || Place::Pointer(pointer.to_owned());
        match (key, value) {
            ("auto_map" | "custom_pipelines", Value::Object(members)) if !members.is_empty() => {
                let classes: Vec<String> = members.iter().flat_map(|(_, value)| texts(value)).collect();
                // Before `--` stands another repository, whose code is fetched.
                if let Some(elsewhere) = classes.iter().find(|class| class.contains("--")) {
                    let message = format!("code is fetched from another repository: `{}`", shown(elsewhere));
                    notes.find("SCAN-CFG-002", place(), message, classes.iter().map(|class| shown(class)));
                } else {
                    let message = format!("`{key}` names code to be imported from beside the model");
                    notes.find("SCAN-CFG-001", place(), message, classes.iter().map(|class| shown(class)));
                }
            }
            ("trust_remote_code", Value::Bool(true)) => {
                notes.find("SCAN-CFG-001", place(), "`trust_remote_code` is set".to_owned(), []);
            }
            ("custom_code" | "custom_generate" | "custom_objects", value) if !value.is_empty() => {
                let message = format!("`{key}` names code to be imported");
                notes.find("SCAN-CFG-001", place(), message, texts(value).iter().map(|text| shown(text)));
            }
            ("_target_" | "__target__" | "class_path", Value::Text(target)) => {
                let dangerous = notes.rules.list("SCAN-CFG-003", "callables");
                let hit =
                    dangerous.iter().any(|name| target == name || target.starts_with(&format!("{name}.")));
                let rule = if hit { "SCAN-CFG-003" } else { "SCAN-CFG-004" };
                let message = format!("the configuration calls `{}` when it is loaded", shown(target));
                notes.find(rule, place(), message, []);
            }
            (
                "_attn_implementation" | "attn_implementation" | "_experts_implementation",
                Value::Text(name),
            ) if name.contains('/') => {
                let message = format!("a kernel is fetched from `{}` and run", shown(name));
                notes.find("SCAN-CFG-002", place(), message, []);
            }
            (_, Value::Text(text)) => {
                text::invisible(text, notes, |_, _| place());
            }
            _ => {}
        }
    });
}

/// Chat templates, wherever they stand: as a text, or as a list of named ones.
fn templates(value: &Value, notes: &mut Notes<'_>) {
    match member(value, "chat_template") {
        Some(Value::Text(source)) => template::look(source, "chat_template", notes),
        Some(Value::List(items)) => {
            for item in items {
                if let Some(source) = string(item, "template") {
                    template::look(source, string(item, "name").unwrap_or("chat_template"), notes);
                }
            }
        }
        _ => {}
    }
}

/// Every value with its pointer (RFC 6901) and the key it stands under (that of the list, for an item).
pub(super) fn each<'v>(value: &'v Value, pointer: &mut String, visit: &mut dyn FnMut(&str, &str, &'v Value)) {
    fn step<'v>(
        value: &'v Value,
        key: &str,
        pointer: &mut String,
        visit: &mut dyn FnMut(&str, &str, &'v Value),
    ) {
        visit(pointer, key, value);
        let length = pointer.len();
        match value {
            Value::Object(members) => {
                for (name, value) in members {
                    pointer.push('/');
                    pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
                    step(value, name, pointer, visit);
                    pointer.truncate(length);
                }
            }
            Value::List(items) => {
                for (at, value) in items.iter().enumerate() {
                    pointer.push('/');
                    pointer.push_str(&at.to_string());
                    step(value, key, pointer, visit);
                    pointer.truncate(length);
                }
            }
            _ => {}
        }
    }
    step(value, "", pointer, visit);
}

/// A member of an object.
pub(super) fn member<'v>(value: &'v Value, name: &str) -> Option<&'v Value> {
    match value {
        Value::Object(members) => members.iter().find(|(key, _)| key == name).map(|(_, value)| value),
        _ => None,
    }
}

/// A string member.
pub(super) fn string<'v>(value: &'v Value, name: &str) -> Option<&'v str> {
    match member(value, name)? {
        Value::Text(text) => Some(text),
        _ => None,
    }
}

/// A whole number that is a member.
pub(super) fn whole(value: &Value, name: &str) -> Option<u64> {
    match member(value, name)? {
        Value::Integer(number) => u64::try_from(*number).ok(),
        _ => None,
    }
}

/// The items of a list that is a member.
pub(super) fn items<'v>(value: &'v Value, name: &str) -> &'v [Value] {
    match member(value, name) {
        Some(Value::List(items)) => items,
        _ => &[],
    }
}

/// A number as `f64`.
#[expect(clippy::cast_precision_loss, reason = "as every reader of configurations does")]
pub(super) fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Integer(number) => Some(*number as f64),
        Value::Number(number) => Some(*number),
        _ => None,
    }
}

/// All strings in a value.
fn texts(value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    each(value, &mut String::new(), &mut |_, _, value| {
        if let Value::Text(text) = value {
            found.push(text.clone());
        }
    });
    found
}

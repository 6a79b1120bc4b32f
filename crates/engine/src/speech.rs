//! The messages of a chat request.

use modelbox::Turn;
use serde_json::Value;

use crate::Refusal;
use crate::members::{unsupported, wrong};

/// Most messages of one request.
const MESSAGES_MAX: usize = 4096;

/// Reads `messages`.
pub(crate) fn messages(value: Option<&Value>) -> Result<Vec<Turn>, Refusal> {
    let list = value.and_then(Value::as_array).filter(|list| (1..=MESSAGES_MAX).contains(&list.len()));
    let list = list.ok_or_else(|| wrong("messages", "an array of 1 to 4096 messages"))?;
    list.iter().enumerate().map(|(at, value)| message(&format!("messages[{at}]"), value)).collect()
}

fn message(place: &str, value: &Value) -> Result<Turn, Refusal> {
    let role = match value.get("role").and_then(Value::as_str) {
        // The newer word for the same.
        Some("developer") => "system",
        Some(role @ ("system" | "user" | "assistant")) => role,
        Some("tool" | "function") => {
            return Err(unsupported(&format!("{place}.role"), "models are given no tools"));
        }
        _ => return Err(wrong(&format!("{place}.role"), "`system`, `developer`, `user` or `assistant`")),
    };
    for member in ["tool_calls", "function_call", "audio"] {
        if value.get(member).is_some_and(|value| !value.is_null()) {
            return Err(unsupported(&format!("{place}.{member}"), "messages are text"));
        }
    }
    let place = format!("{place}.content");
    let content = match value.get("content") {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => {
            let part = |(at, value)| part(&format!("{place}[{at}]"), value);
            parts.iter().enumerate().map(part).collect::<Result<String, _>>()?
        }
        Some(Value::Null) | None if role == "assistant" => String::new(),
        _ => return Err(wrong(&place, "a string or an array of text parts")),
    };
    Ok(Turn { role: role.to_owned(), content })
}

fn part<'a>(place: &str, value: &'a Value) -> Result<&'a str, Refusal> {
    match value.get("type").and_then(Value::as_str) {
        Some("text") => {
            let text = value.get("text").and_then(Value::as_str);
            text.ok_or_else(|| wrong(&format!("{place}.text"), "a string"))
        }
        Some(_) => Err(unsupported(&format!("{place}.type"), "messages are text, without images and sound")),
        None => Err(wrong(&format!("{place}.type"), "`text`")),
    }
}

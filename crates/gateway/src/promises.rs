//! What the readers of requests and answers promise about any bytes, as functions that panic where a promise is broken. For
//! the fuzzer alone, with the feature `fuzz`.

use bytes::Bytes;

use crate::answers::Reading;
use crate::heads::Heads;
use crate::members;

/// A request's body: what is believed is what the text says, and renaming changes the model's name alone.
///
/// # Panics
/// Where that does not hold.
pub fn request(data: &[u8]) {
    let body = Bytes::copy_from_slice(data);
    let Ok(asked) = members::read(&body) else { return };
    let value: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
    // A number that is too large for the library's values is passed over by the reader, which keeps none.
    let Some(members) = value.as_object() else { return };
    assert_eq!(members.get("model").and_then(serde_json::Value::as_str), Some(asked.model.as_ref()));
    assert_eq!(members.get("user").and_then(serde_json::Value::as_str), asked.user.as_deref());
    let other = "another \"name\"";
    let renamed = members::renamed(&body, &asked.model, other);
    let again: serde_json::Value = serde_json::from_slice(&renamed).unwrap_or_default();
    let mut expected = members.clone();
    expected.insert("model".to_owned(), other.into());
    assert_eq!(again, serde_json::Value::Object(expected), "renaming changed something else");
    assert_eq!(members::renamed(&body, &asked.model, &asked.model), body);
}

/// An answer, plain or as server-sent events: what is found does not depend on the pieces it comes in.
///
/// # Panics
/// Where it does.
pub fn answer(data: &[u8]) {
    let found = |size: usize| {
        let mut reading = Reading::new();
        for piece in data.chunks(size) {
            reading.feed(piece);
        }
        (reading.end(), reading.refused, reading.failed)
    };
    let whole = found(data.len().max(1));
    for size in [1, 7, 64] {
        assert_eq!(found(size), whole, "in pieces of {size}");
    }
}

/// The heads of requests: neither does what is found there.
///
/// # Panics
/// Where it does.
pub fn heads(data: &[u8]) {
    let found = |size: usize| {
        let mut heads = Heads::new();
        data.chunks(size).fold(false, |_, piece| heads.feed(piece))
    };
    let whole = found(data.len().max(1));
    for size in [1, 5, 64] {
        assert_eq!(found(size), whole, "in pieces of {size}");
    }
}

#[cfg(test)]
mod tests;

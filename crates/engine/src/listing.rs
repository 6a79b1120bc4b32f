//! The list of models, as OpenAI's interface writes it.

use serde_json::{Value, json};

use crate::job::Engine;

/// One model or adapter.
pub(crate) fn entry(engine: &Engine, name: &str, created: i64) -> Value {
    let parent = (name != engine.name).then_some(&engine.name);
    json!({
        "id": name, "object": "model", "created": created, "owned_by": "countersign",
        "root": engine.name, "parent": parent, "max_model_len": engine.limits().context,
        "system_fingerprint": engine.fingerprint,
    })
}

/// All of them, the model first.
pub(crate) fn all(engine: &Engine, created: i64) -> Value {
    let data: Vec<Value> = engine.names().map(|name| entry(engine, name, created)).collect();
    json!({ "object": "list", "data": data })
}

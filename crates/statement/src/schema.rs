//! The JSON schema of each kind's whole payload, for `docs/statements/`.

use serde_json::{Value, json};

use crate::kind::Kind;
use crate::statement::STATEMENT_TYPE;

/// The JSON schema (2020-12) of a kind's payload.
pub fn payload_schema(kind: Kind) -> Value {
    let mut body = kind.schema().to_value();
    let definitions = body.as_object_mut().and_then(|body| {
        body.remove("$schema");
        body.remove("$defs")
    });
    let mut header = schemars::schema_for!(crate::header::Header).to_value();
    let mut all = match definitions {
        Some(Value::Object(definitions)) => definitions,
        _ => serde_json::Map::new(),
    };
    if let Some(header) = header.as_object_mut() {
        header.remove("$schema");
        if let Some(Value::Object(more)) = header.remove("$defs") {
            all.extend(more);
        }
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": kind.predicate_type(),
        "title": format!("{}, version {}", kind.name(), kind.version()),
        "type": "object",
        "additionalProperties": false,
        "required": ["_type", "predicate", "predicateType", "subject"],
        "properties": {
            "_type": { "const": STATEMENT_TYPE },
            "predicateType": { "const": kind.predicate_type() },
            "subject": {
                "type": "array",
                "minItems": 1,
                "items": {
                    "type": "object",
                    "additionalProperties": false,
                    "required": ["digest", "name"],
                    "properties": {
                        "name": { "type": "string" },
                        "digest": {
                            "type": "object",
                            "additionalProperties": false,
                            "required": ["sha256"],
                            "properties": { "sha256": { "type": "string", "pattern": "^[0-9a-f]{64}$" } }
                        }
                    }
                }
            },
            "predicate": {
                "type": "object",
                "additionalProperties": false,
                "required": ["body", "header", "issued_ms"],
                "properties": {
                    "body": body,
                    "header": header,
                    "issued_ms": { "type": "integer", "minimum": 0 }
                }
            }
        },
        "$defs": all
    })
}

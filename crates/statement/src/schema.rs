//! The JSON schema of each kind's whole payload, for `docs/statements/`.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use crate::json::INTEGER_MAX;
use crate::kind::{Kind, Voice};
use crate::statement::STATEMENT_TYPE;

/// The JSON schema (2020-12) of a kind's payload.
///
/// A schema says less than the parser: not that sets are sorted, nor that the bytes are canonical.
pub fn payload_schema(kind: Kind) -> Value {
    let mut definitions = Map::new();
    let body = hoist(kind.schema().to_value(), &mut definitions);
    let mut header = hoist(schemars::schema_for!(crate::header::Header).to_value(), &mut definitions);
    let fixed = [
        ("critical", json!({ "const": kind.critical() })),
        ("kind", json!({ "const": kind.name() })),
        ("version", json!({ "const": kind.version() })),
    ];
    if let Some(Value::Object(properties)) = header.get_mut("properties") {
        properties.extend(fixed.map(|(name, schema)| (name.to_owned(), schema)));
        if kind.voice() == Voice::Joint {
            properties.remove("signer");
        }
    }
    if let Some(Value::Array(required)) = header.get_mut("required")
        && kind.voice() == Voice::Own
    {
        required.push(json!("signer"));
    }
    let mut schema = json!({
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
        "$defs": definitions
    });
    tighten(&mut schema);
    schema
}

/// The schema of a map: derived alone, it would say nothing about the names.
pub(crate) fn map_schema<K: JsonSchema, V: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "propertyNames": generator.subschema_for::<K>(),
        "additionalProperties": generator.subschema_for::<V>(),
    })
}

/// Moves a schema's definitions to the shared ones.
fn hoist(mut schema: Value, definitions: &mut Map<String, Value>) -> Value {
    if let Some(schema) = schema.as_object_mut() {
        schema.remove("$schema");
        if let Some(Value::Object(more)) = schema.remove("$defs") {
            definitions.extend(more);
        }
    }
    schema
}

/// Links of the code's own documentation lead nowhere from a schema.
fn without_links(text: &str) -> String {
    let mut out = String::new();
    for (position, part) in text.replace("[`", "`").replace("`]", "`").split("(crate::").enumerate() {
        out.push_str(if position == 0 { part } else { part.split_once(')').map_or(part, |(_, rest)| rest) });
    }
    out
}

/// Says what the derived schemas leave open: an absent member is left out and never `null`, an integer is of
/// magnitude below 2^53.
fn tighten(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(tighten),
        Value::Object(members) => {
            if let Some(Value::Array(types)) = members.get_mut("type") {
                types.retain(|name| name != "null");
                if let [only] = types.as_slice() {
                    let only = only.clone();
                    members.insert("type".to_owned(), only);
                }
            }
            if let Some(Value::Array(choices)) = members.get_mut("anyOf") {
                choices.retain(|choice| *choice != json!({ "type": "null" }));
                if let [Value::Object(only)] = choices.as_slice() {
                    let only = only.clone();
                    members.remove("anyOf");
                    members.extend(only);
                }
            }
            if let Some(Value::String(text)) = members.get_mut("description") {
                *text = without_links(text);
            }
            if members.get("default") == Some(&Value::Null) {
                members.remove("default");
            }
            if members.get("type").is_some_and(|name| name == "integer") {
                members.entry("maximum").or_insert_with(|| json!(INTEGER_MAX));
                members.entry("minimum").or_insert_with(|| json!(-INTEGER_MAX));
            }
            members.values_mut().for_each(tighten);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

//! What stands in `docs/statements/`: a schema and a test vector for every kind, the schemes, and the rules.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::{ISSUED_MS, SEED, envelope, passkey};
use crate::digest::Digest;
use crate::error::StatementError;
use crate::id::StatementId;
use crate::json::{self, INTEGER_MAX};
use crate::key::PublicKey;
use crate::kind::{Kind, Voice};
use crate::leaf::{ENTRY_BYTES_MAX, stamp};
use crate::schema::payload_schema;

const RULES: &str = include_str!("rules.md");

/// Every file of `docs/statements/`, by its path in that folder.
pub fn files() -> Result<BTreeMap<String, String>, StatementError> {
    let mut files = BTreeMap::from([
        ("README.md".to_owned(), readme()),
        ("vectors/schemes.json".to_owned(), pretty(schemes()?)),
        ("vectors/refused.json".to_owned(), pretty(refused()?)),
    ]);
    for kind in Kind::ALL {
        files.insert(format!("{}.schema.json", kind.name()), pretty(payload_schema(*kind)));
        files.insert(format!("vectors/{}.json", kind.name()), pretty(vector(*kind)?));
    }
    Ok(files)
}

fn vector(kind: Kind) -> Result<Value, StatementError> {
    let envelope = envelope(kind)?;
    let bytes = envelope.to_bytes()?;
    let entry = stamp(&bytes, ISSUED_MS + 250);
    Ok(json!({
        "entry": text(&entry),
        "entry_leaf_hash": Digest::of_parts(&[&[0], &entry]).to_string(),
        "envelope": text(&bytes),
        "key": super::public_key(),
        "pae_sha256": envelope.id().to_string(),
        "payload": text(envelope.payload.as_slice()),
        "payload_sha256": Digest::of(envelope.payload.as_slice()).to_string(),
        "seed": text(SEED),
    }))
}

/// One signature by a key of each scheme over the same statement.
fn schemes() -> Result<Value, StatementError> {
    let envelope = envelope(Kind::Approval)?;
    let message = envelope.message();
    let mut signatures = Vec::new();
    for (public, signature) in passkey::every_scheme(&message).map_err(StatementError::Encode)? {
        signatures.push(signature_vector(&public, &signature));
    }
    Ok(json!({
        "message": text(&message),
        "message_sha256": StatementId::from_digest(Digest::of(&message)).to_string(),
        "seed": text(SEED),
        "signatures": signatures,
    }))
}

fn signature_vector(public: &PublicKey, signature: &[u8]) -> Value {
    json!({
        "key": public,
        "key_id": public.id().to_string(),
        "sig": crate::bytes::Bytes::new(signature.to_vec()).to_base64(),
    })
}

/// Payloads and envelopes one step away from good ones, each with the code it is refused by.
fn refused() -> Result<Value, StatementError> {
    let envelope = envelope(Kind::Retirement)?;
    let payload = text(envelope.payload.as_slice());
    let good = text(&envelope.to_bytes()?);
    let mut cases = Vec::new();
    for (what, changes) in PAYLOAD_TWINS {
        let twin = twin(&payload, changes);
        let code = crate::Content::parse(twin.as_bytes()).err().map(|error| error.code());
        cases.push(json!({ "code": code, "payload": twin, "what": what }));
    }
    for (kind, (what, changes)) in SIGNER_TWINS {
        let twin = twin(&text(&super::statement(*kind).to_payload()?), changes);
        let code = crate::Content::parse(twin.as_bytes()).err().map(|error| error.code());
        cases.push(json!({ "code": code, "payload": twin, "what": what }));
    }
    for (what, changes) in ENVELOPE_TWINS {
        let twin = twin(&good, changes);
        let code = crate::Envelope::parse(twin.as_bytes()).err().map(|error| error.code());
        cases.push(json!({ "code": code, "envelope": twin, "what": what }));
    }
    Ok(json!({ "cases": cases }))
}

fn twin(good: &str, changes: &[(&str, &str)]) -> String {
    changes.iter().fold(good.to_owned(), |text, (from, to)| text.replacen(from, to, 1))
}

/// What is wrong, and what is put in place of what.
type Twin = (&'static str, &'static [(&'static str, &'static str)]);

const PAYLOAD_TWINS: &[Twin] = &[
    ("truncated", &[("\"}]}", "\"}]")]),
    ("a byte order mark", &[("{\"_type\"", "\u{feff}{\"_type\"")]),
    ("a lone surrogate", &[("\"superseded\"", "\"\\ud800\"")]),
    ("a repeated member", &[("\"reason\"", "\"reason\":\"other\",\"reason\"")]),
    ("an exponent", &[("\"version\":1", "\"version\":1e0")]),
    ("a leading zero", &[("\"version\":1", "\"version\":01")]),
    ("a fraction", &[("1800000000000", "1800000000000.0")]),
    ("over 2^53", &[("1800000000000", "9007199254740992")]),
    ("trailing bytes", &[("\"}]}", "\"}]}{}")]),
    ("white space", &[("\"version\":1", "\"version\": 1")]),
    ("an escape that is not needed", &[("superseded", "supersede\\u0064")]),
    ("an unknown member", &[("\"state\":", "\"sloth\":1,\"state\":")]),
    ("a missing member", &[("\"reason\":\"superseded\",", "")]),
    ("null", &[("\"superseded\"", "null")]),
    (
        "an array in place of an object",
        &[("\"digest\":{\"sha256\":\"", "\"digest\":[\""), ("\"},\"name\"", "\"],\"name\"")],
    ),
    ("upper-case digits", &[("chg-00112233445566778899aabb", "chg-00112233445566778899AABB")]),
    ("another statement type", &[("Statement/v1", "Statement/v0.1")]),
    ("another predicate type", &[("urn:countersign:retirement:v1", "urn:countersign:purge:v1")]),
    ("another kind in the header", &[("\"kind\":\"retirement\"", "\"kind\":\"purge\"")]),
    (
        "a critical kind of another version",
        &[("\"version\":1}", "\"version\":2}"), ("retirement:v1", "retirement:v2")],
    ),
    (
        "an unknown critical kind",
        &[("\"kind\":\"retirement\"", "\"kind\":\"unheard-of\""), (":retirement:", ":unheard-of:")],
    ),
    ("a subject of another name", &[("\"name\":\"chg-00", "\"name\":\"chg-01")]),
    (
        "no subject",
        &[(
            "\"subject\":[{\"digest\":{\"sha256\":\"29986c3911da98174c71d41f55d9a4caf2bbbae9054ff4365d436c67d8accd59\"},\"name\":\"chg-00112233445566778899aabbccddeeff\"}]",
            "\"subject\":[]",
        )],
    ),
    ("critical flag dropped", &[("\"critical\":true", "\"critical\":false")]),
];

/// The key that signs every vector, as the header names it.
const SIGNER: &str = ",\"signer\":\"fd0748f1228a37d01514bef1900956a1f96f7eda6dddb4c46f2a55ce16b47391\"";

/// Of kinds that are one key's own word, and of kinds that several sign together.
const SIGNER_TWINS: &[(Kind, Twin)] = &[
    (Kind::Approval, ("an approval without its signer", &[(SIGNER, "")])),
    (Kind::Finding, ("a finding without its signer", &[(SIGNER, "")])),
    (
        Kind::Policy,
        (
            "a policy with one signer named",
            &[(
                ",\"version\":1}",
                ",\"signer\":\"fd0748f1228a37d01514bef1900956a1f96f7eda6dddb4c46f2a55ce16b47391\",\"version\":1}",
            )],
        ),
    ),
];

const ENVELOPE_TWINS: &[Twin] = &[
    ("another payload type", &[("application/vnd.in-toto+json", "application/json")]),
    ("base64 without padding", &[("==\"}]}", "\"}]}")]),
    ("an unknown member", &[("\"signatures\"", "\"rather\":1,\"signatures\"")]),
    ("a missing member", &[(",\"payloadType\":\"application/vnd.in-toto+json\"", "")]),
    ("signatures of another type", &[("\"signatures\":[", "\"signatures\":[0,")]),
    ("a key id of other length", &[("\"keyid\":\"fd", "\"keyid\":\"f")]),
];

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Members sorted, two spaces, a line feed at the end: the same text whatever features a build has turned on.
fn pretty(value: Value) -> String {
    format!("{:#}\n", sorted(value))
}

fn sorted(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let members: BTreeMap<String, Value> =
                members.into_iter().map(|(name, member)| (name, sorted(member))).collect();
            Value::Object(members.into_iter().collect::<Map<_, _>>())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        other => other,
    }
}

fn readme() -> String {
    let mut table = String::new();
    for kind in Kind::ALL {
        let schema = kind.schema().to_value();
        let meaning =
            schema.get("description").and_then(Value::as_str).unwrap_or_default().replace('\n', " ");
        let signers: Vec<String> = kind.signers().iter().filter_map(word).collect();
        let critical = if kind.critical() { "yes" } else { "no" };
        let voice = match kind.voice() {
            Voice::Own => "one, named",
            Voice::Joint => "several",
            Voice::Either => "one, named, or several",
        };
        // Writing to a string does not fail.
        _ = writeln!(
            table,
            "| [`{name}`]({name}.schema.json) | `{urn}` | {signers} | {voice} | {critical} | {meaning} | [vector](vectors/{name}.json) |",
            name = kind.name(),
            urn = kind.predicate_type(),
            signers = signers.join(", "),
        );
    }
    RULES
        .replace("{{kinds}}", table.trim_end())
        .replace("{{envelope_bytes_max}}", &crate::envelope::ENVELOPE_BYTES_MAX.to_string())
        .replace("{{signatures_max}}", &crate::envelope::SIGNATURES_MAX.to_string())
        .replace("{{entry_bytes_max}}", &ENTRY_BYTES_MAX.to_string())
        .replace("{{integer_max}}", &INTEGER_MAX.to_string())
        .replace("{{seed}}", &text(SEED))
}

fn word<T: serde::Serialize>(value: &T) -> Option<String> {
    match json::to_value(value) {
        Ok(json::Value::String(text)) => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests;

//! SARIF 2.1.0 (OASIS, 27 March 2020), as code hosts and editors read it.

use serde_json::{Value, json};

use crate::finding::{Finding, Place, Severity};
use crate::report::Report;
use crate::rules::{Rule, Rules};

/// The schema that the standard names.
const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// The report as a log file with one run. `version` is that of the program.
pub fn log(report: &Report, rules: &Rules, version: &str) -> Value {
    let descriptors: Vec<&Rule> = rules.iter().collect();
    let results: Vec<Value> = report
        .findings
        .iter()
        .map(|finding| {
            let index = descriptors.iter().position(|rule| rule.id == finding.rule);
            result(finding, index)
        })
        .collect();
    let notifications: Vec<Value> = report
        .not_examined
        .iter()
        .map(|unexamined| {
            json!({
                "level": "warning",
                "message": { "text": format!("not looked at: {}", unexamined.why) },
                "locations": [{ "physicalLocation": { "artifactLocation": { "uri": uri(&unexamined.path) } } }],
            })
        })
        .collect();
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "countersign scan",
                "semanticVersion": version,
                "rules": descriptors.iter().map(|rule| descriptor(rule)).collect::<Vec<_>>(),
            }},
            "columnKind": "unicodeCodePoints",
            "invocations": [{
                "executionSuccessful": true,
                "toolExecutionNotifications": notifications,
                "properties": { "readIn": &report.read_in },
            }],
            "artifacts": report.files.iter().map(|seen| json!({
                "location": { "uri": uri(&seen.path) },
                "length": seen.bytes,
                "description": { "text": seen.kind.name() },
            })).collect::<Vec<_>>(),
            "results": results,
        }],
    })
}

fn descriptor(rule: &Rule) -> Value {
    json!({
        "id": rule.id,
        "shortDescription": { "text": rule.title },
        "fullDescription": { "text": rule.finds },
        "help": { "text": format!("{}\n\nDoes not see: {}", rule.finds, rule.blind) },
        "defaultConfiguration": { "level": level(rule.severity) },
        "properties": { "tags": rule.references },
    })
}

fn result(finding: &Finding, index: Option<usize>) -> Value {
    let mut physical = json!({ "artifactLocation": { "uri": uri(&finding.path) } });
    let region = match &finding.place {
        Place::Byte(at) => Some(json!({ "byteOffset": at, "byteLength": 0 })),
        Place::Line(line) => Some(json!({ "startLine": line })),
        _ => None,
    };
    if let (Some(region), Some(members)) = (region, physical.as_object_mut()) {
        members.insert("region".to_owned(), region);
    }
    let mut location = json!({ "physicalLocation": physical });
    let logical = match &finding.place {
        Place::Pointer(name) | Place::Key(name) => Some((name, "member")),
        Place::Tensor(name) => Some((name, "resource")),
        Place::Module(name) => Some((name, "module")),
        Place::File | Place::Byte(_) | Place::Line(_) => None,
    };
    if let (Some((name, kind)), Some(members)) = (logical, location.as_object_mut()) {
        members.insert("logicalLocations".to_owned(), json!([{ "fullyQualifiedName": name, "kind": kind }]));
    }
    let mut text = finding.message.clone();
    if !finding.evidence.is_empty() {
        text = format!("{text} ({})", finding.evidence.join("; "));
    }
    let mut result = json!({
        "ruleId": finding.rule,
        "level": level(finding.severity),
        "message": { "text": text },
        "locations": [location],
    });
    if let (Some(index), Some(members)) = (index, result.as_object_mut()) {
        members.insert("ruleIndex".to_owned(), json!(index));
    }
    result
}

const fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "note",
        Severity::Warning => "warning",
        Severity::Error => "error",
    }
}

/// A path as a relative URI reference: everything outside RFC 3986's unreserved letters and `/` is escaped. A first
/// segment with a colon would be taken for a scheme, and is escaped too.
pub(super) fn uri(path: &str) -> String {
    let mut uri = String::with_capacity(path.len());
    for &byte in path.as_bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'/' | b'!') {
            uri.push(char::from(byte));
        } else {
            let digit = |four: u8| char::from_digit(u32::from(four), 16).unwrap_or('0').to_ascii_uppercase();
            uri.extend(['%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
    uri
}

//! CycloneDX 1.6 (ECMA-424): the files as a bill of materials, models as `machine-learning-model` components.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tensor::json::Value as Json;

use super::sarif::uri;
use crate::artefact::{Artefact, Entry};
use crate::kind::Kind;
use crate::report::{Report, Seen};

/// Longest name of a licence.
pub const LICENCE_BYTES_MAX: usize = 200;

/// The bill. `licences` holds those that files name, by folder ([`licences`]); `digests` the SHA-256 of each file in
/// hexadecimal, by path; `version` is that of the program. There
/// is neither a serial number nor a date in it, so that the same files give the same bill.
pub fn bill(
    report: &Report,
    licences: &BTreeMap<String, String>,
    digests: &BTreeMap<String, String>,
    version: &str,
) -> Value {
    let components: Vec<Value> = report
        .files
        .iter()
        .filter(|seen| seen.kind != Kind::NoFile && !seen.path.contains('!'))
        .map(|seen| component(seen, digests, licences))
        .collect();
    let vulnerabilities: Vec<Value> = Vec::new();
    json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "tools": { "components": [{ "type": "application", "name": "countersign", "version": version }] },
            "properties": [
                { "name": "countersign:scan:verdict", "value": report.verdict.name() },
                { "name": "countersign:scan:rules", "value": report.rules.to_string() },
                { "name": "countersign:scan:isolation", "value": report.read_in.isolation.name() },
            ],
        },
        "components": components,
        "vulnerabilities": vulnerabilities,
    })
}

fn component(seen: &Seen, digests: &BTreeMap<String, String>, licences: &BTreeMap<String, String>) -> Value {
    let model = matches!(
        seen.kind,
        Kind::Safetensors
            | Kind::Gguf
            | Kind::TorchZip
            | Kind::Onnx
            | Kind::Keras
            | Kind::Hdf5
            | Kind::OtherModel
    );
    let mut component = json!({
        "type": if model { "machine-learning-model" } else { "file" },
        "bom-ref": uri(&seen.path),
        "name": seen.path,
        "properties": [
            { "name": "countersign:kind", "value": seen.kind.name() },
            { "name": "countersign:bytes", "value": seen.bytes.to_string() },
        ],
    });
    let Some(members) = component.as_object_mut() else { return component };
    if let Some(digest) = digests.get(&seen.path) {
        members.insert("hashes".to_owned(), json!([{ "alg": "SHA-256", "content": digest }]));
    }
    let folder = crate::artefact::folder_of(&seen.path);
    if model && let Some(licence) = licences.get(folder) {
        let named = json!([{ "license": { "name": licence } }]);
        members.insert("licenses".to_owned(), named);
    }
    component
}

/// The licences that a folder's files name, by folder; of several the first counts. Pairs come in the order of paths.
pub fn by_folder<'a>(named: impl IntoIterator<Item = (&'a str, String)>) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for (path, licence) in named {
        found.entry(crate::artefact::folder_of(path).to_owned()).or_insert(licence);
    }
    found
}

/// The licences that the artefact's files name, by folder.
pub fn licences(artefact: &Artefact<'_>) -> BTreeMap<String, String> {
    by_folder(artefact.entries.iter().filter_map(|entry| Some((entry.path, licence(entry)?))))
}

/// The licence that a file names: a model card's front matter, or the first line of a licence text.
pub fn licence(entry: &Entry<'_>) -> Option<String> {
    let text = std::str::from_utf8(entry.bytes()?).ok()?;
    let name = entry.name().to_ascii_lowercase();
    let licence = if name == "readme.md" {
        front_matter(text)
    } else if name.starts_with("license") || name.starts_with("licence") {
        text.lines().map(str::trim).find(|line| !line.is_empty()).map(str::to_owned)
    } else if name == "config.json" {
        match Json::read(text.as_bytes()) {
            Ok(Json::Object(members)) => members.into_iter().find_map(|(key, value)| match value {
                Json::Text(licence) if key == "license" => Some(licence),
                _ => None,
            }),
            _ => None,
        }
    } else {
        None
    };
    licence.filter(|licence| licence.len() <= LICENCE_BYTES_MAX)
}

/// `license:` in the lines between the first two `---`.
fn front_matter(text: &str) -> Option<String> {
    let mut lines = text.lines();
    if lines.next()?.trim() != "---" {
        return None;
    }
    let mut inside = lines.take_while(|line| line.trim() != "---");
    let value = inside.find_map(|line| line.strip_prefix("license:"))?.trim();
    (!value.is_empty()).then(|| value.trim_matches(['"', '\'']).to_owned())
}

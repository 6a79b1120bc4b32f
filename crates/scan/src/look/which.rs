//! Which weights of a folder are the model's: programs differ.

use std::collections::BTreeSet;

use tensor::json::Value;

use super::notes::{Notes, shown};
use crate::artefact::{Artefact, Entry};
use crate::finding::Place;

const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";
const ADAPTER: &str = "adapter_model.safetensors";

/// Looks for another model beside this file, which is one of the three names that programs begin with.
pub(super) fn beside(artefact: &Artefact<'_>, entry: &Entry<'_>, notes: &mut Notes<'_>) {
    let others: &[&str] = match entry.name() {
        INDEX => &[SINGLE],
        ADAPTER => &[SINGLE, INDEX],
        _ => return,
    };
    for other in others.iter().filter(|other| artefact.beside(entry.folder(), other).is_some()) {
        let message =
            format!("`{}` lies beside `{other}`: some programs read the one, some the other", entry.name());
        notes.find("SCAN-FIL-011", Place::File, message, []);
    }
}

/// Looks at the shards that an index names: each is a file beside it.
pub(super) fn index(artefact: &Artefact<'_>, entry: &Entry<'_>, value: &Value, notes: &mut Notes<'_>) {
    let Some(Value::Object(map)) = super::json::member(value, "weight_map") else { return };
    let shards: BTreeSet<&str> = map
        .iter()
        .filter_map(|(_, shard)| match shard {
            Value::Text(name) => Some(name.as_str()),
            _ => None,
        })
        .collect();
    for shard in shards {
        let why = if shard.contains(['/', '\\']) || shard == ".." {
            "lies elsewhere"
        // An index that is looked at alone has nothing beside it.
        } else if artefact.beside(entry.folder(), shard).is_none() && artefact.is_several() {
            "is not there"
        } else {
            continue;
        };
        notes.find(
            "SCAN-FIL-011",
            Place::File,
            format!("the index names `{}`, which {why}", shown(shard)),
            [],
        );
    }
}

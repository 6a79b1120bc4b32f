//! Models that are split over several files: `model.safetensors.index.json` and its shards.

use std::collections::{BTreeMap, BTreeSet};

use super::{SafeTensors, View};
use crate::Error;
use crate::error::shown;
use crate::json::Value;

const DOCUMENT: &str = "safetensors index";

/// Which shard holds which tensor, as the index says it.
#[derive(Debug, Clone, PartialEq)]
pub struct Index {
    weight_map: BTreeMap<String, String>,
    /// Members other than `weight_map`, kept as they are.
    other: Vec<(String, Value)>,
}

impl Index {
    /// Reads an index. Shard names must be plain file names ending in `.safetensors`.
    ///
    /// # Errors
    /// [`Error::Json`], [`Error::Repeated`], [`Error::Missing`], [`Error::Type`], [`Error::ShardName`].
    pub fn read(bytes: &[u8]) -> Result<Self, Error> {
        let wrong =
            |member: &str, expected| Error::Type { document: DOCUMENT, member: shown(member), expected };
        let value = Value::read(bytes).map_err(|fault| Error::json(DOCUMENT, fault))?;
        let Value::Object(members) = value else {
            return Err(wrong("", "an object"));
        };
        let (maps, other): (Vec<_>, Vec<_>) = members.into_iter().partition(|(name, _)| name == "weight_map");
        let Some((_, map)) = maps.into_iter().next() else {
            return Err(Error::Missing { document: DOCUMENT, member: "weight_map" });
        };
        let Value::Object(pairs) = map else {
            return Err(wrong("weight_map", "an object of shard names"));
        };
        let mut weight_map = BTreeMap::new();
        for (tensor, shard) in pairs {
            let Value::Text(shard) = shard else {
                return Err(wrong(&tensor, "the name of a shard"));
            };
            if !is_shard_name(&shard) {
                return Err(Error::ShardName { name: shown(&shard) });
            }
            weight_map.insert(tensor, shard);
        }
        Ok(Self { weight_map, other })
    }

    /// The shards the index names, each once, in order.
    pub fn shards(&self) -> BTreeSet<&str> {
        self.weight_map.values().map(String::as_str).collect()
    }

    /// From tensor name to shard name.
    pub const fn weight_map(&self) -> &BTreeMap<String, String> {
        &self.weight_map
    }

    /// What else the index says (`metadata`, as a rule). Nothing here relies on it.
    pub fn other(&self) -> &[(String, Value)] {
        &self.other
    }
}

/// A plain file name: no separators, no `..`, no drive, nothing hidden, nothing but visible ASCII.
fn is_shard_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    name.len() <= 255
        && name.ends_with(".safetensors")
        && !name.starts_with('.')
        && !name.contains("..")
        && name.bytes().all(plain)
}

/// A model over all its shards, shown to be exactly what the index says.
#[derive(Debug, Clone)]
pub struct Sharded<'a> {
    index: Index,
    shards: BTreeMap<String, SafeTensors<'a>>,
}

impl<'a> Sharded<'a> {
    /// Joins an index and its shards, given as pairs of file name and content.
    ///
    /// # Errors
    /// [`Error::ShardSet`] where a shard is missing, given twice or not named by the index;
    /// [`Error::ShardContent`] where a tensor is not exactly where the index says.
    pub fn join(
        index: Index,
        given: impl IntoIterator<Item = (String, SafeTensors<'a>)>,
    ) -> Result<Self, Error> {
        let named: BTreeSet<String> = index.weight_map.values().cloned().collect();
        let mut shards = BTreeMap::new();
        for (name, file) in given {
            if !named.contains(&name) || shards.contains_key(&name) {
                return Err(Error::ShardSet { shard: shown(&name) });
            }
            shards.insert(name, file);
        }
        if let Some(shard) = named.iter().find(|shard| !shards.contains_key(*shard)) {
            return Err(Error::ShardSet { shard: shown(shard) });
        }
        let differs =
            |tensor: &str, shard: &str| Error::ShardContent { tensor: shown(tensor), shard: shown(shard) };
        for (shard, file) in &shards {
            for view in file.views() {
                if index.weight_map.get(view.name) != Some(shard) {
                    return Err(differs(view.name, shard));
                }
            }
        }
        for (tensor, shard) in &index.weight_map {
            if shards.get(shard).and_then(|file| file.view(tensor)).is_none() {
                return Err(differs(tensor, shard));
            }
        }
        Ok(Self { index, shards })
    }

    /// From tensor name to shard name.
    pub const fn weight_map(&self) -> &BTreeMap<String, String> {
        &self.index.weight_map
    }

    /// The tensor of that name.
    pub fn view(&self, name: &str) -> Option<View<'_>> {
        self.shards.get(self.index.weight_map.get(name)?)?.view(name)
    }

    /// The tensors in the order of their names.
    pub fn views(&self) -> impl Iterator<Item = View<'_>> {
        self.index.weight_map.keys().filter_map(|name| self.view(name))
    }
}

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

    /// `metadata.total_size`, which is to be the bytes of all tensors together; nothing where it is not said as a
    /// whole number. Writers have been seen to get it wrong, so nothing here relies on it: hold it against
    /// [`Sharded::bytes`].
    pub fn total_size(&self) -> Option<u64> {
        let (_, metadata) = self.other.iter().find(|(name, _)| name == "metadata")?;
        let Value::Object(members) = metadata else { return None };
        match members.iter().find(|(name, _)| name == "total_size")?.1 {
            Value::Integer(size) => u64::try_from(size).ok(),
            // Some writers put a fraction of zero behind it.
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "whole, and in range"
            )]
            Value::Number(size) if size.fract() == 0.0 && (0.0..9e15).contains(&size) => Some(size as u64),
            _ => None,
        }
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

    /// Reads an index and the shards it names, each of which `lookup` finds by its name: a plain file name, beside
    /// the index.
    ///
    /// # Errors
    /// As [`Index::read`], [`SafeTensors::read`] and [`Sharded::join`]; [`Error::ShardSet`] where `lookup` finds
    /// nothing.
    pub fn read(index: &[u8], mut lookup: impl FnMut(&str) -> Option<&'a [u8]>) -> Result<Self, Error> {
        let index = Index::read(index)?;
        let mut given = Vec::new();
        for shard in index.shards() {
            let bytes = lookup(shard).ok_or_else(|| Error::ShardSet { shard: shown(shard) })?;
            given.push((shard.to_owned(), SafeTensors::read(bytes)?));
        }
        Self::join(index, given)
    }

    /// The index.
    pub const fn index(&self) -> &Index {
        &self.index
    }

    /// The bytes of all tensors together.
    pub fn bytes(&self) -> u64 {
        self.views().map(|view| view.data.len() as u64).sum()
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

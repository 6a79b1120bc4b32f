//! How a model's files became digests: what a statement says about it.

use std::collections::BTreeMap;

use statement::json::Value;

use super::{IGNORED_MAX, name};
use crate::Error;
use crate::error::shown;
use crate::fingerprint::document::integer;

/// How files are hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HashType {
    /// SHA-256: what every OMS verifier reads.
    Sha256,
    /// BLAKE2b with 64 bytes.
    Blake2b,
    /// BLAKE3 with 32 bytes.
    Blake3,
}

impl HashType {
    /// The name in statements.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Blake2b => "blake2b",
            Self::Blake3 => "blake3",
        }
    }

    pub(super) fn parse(name: &str) -> Option<Self> {
        [Self::Sha256, Self::Blake2b, Self::Blake3].into_iter().find(|hash| hash.name() == name)
    }

    /// Bytes of a digest.
    pub const fn bytes(self) -> usize {
        match self {
            Self::Blake2b => 64,
            Self::Sha256 | Self::Blake3 => 32,
        }
    }
}

/// What has a digest of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Each file.
    Files,
    /// Each run of so many bytes of each file.
    Shards {
        /// How many bytes; not zero.
        bytes: u64,
    },
}

/// What is done about symbolic links.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Symlinks {
    /// A folder with one is neither signed nor accepted.
    Refused,
    /// What they lead to is signed under the link's name.
    Followed,
}

/// How a folder became a list of digests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Serialization {
    /// What has a digest of its own.
    pub method: Method,
    /// How it is hashed.
    pub hash: HashType,
    /// What is done about symbolic links.
    pub symlinks: Symlinks,
    /// Files and folders that are left out, relative to the model.
    pub ignored: Vec<String>,
}

impl Serialization {
    /// The `algorithm` of every resource.
    pub fn algorithm(&self) -> String {
        match self.method {
            Method::Files => self.hash.name().to_owned(),
            Method::Shards { bytes } => format!("{}-sharded-{bytes}", self.hash.name()),
        }
    }

    pub(super) fn to_value(&self) -> Result<Value, Error> {
        let mut members = BTreeMap::from([
            ("allow_symlinks".to_owned(), Value::Bool(self.symlinks == Symlinks::Followed)),
            ("hash_type".to_owned(), Value::String(self.hash.name().to_owned())),
        ]);
        let method = match self.method {
            Method::Files => "files",
            Method::Shards { bytes } => {
                members.insert("shard_size".to_owned(), integer(bytes)?);
                "shards"
            }
        };
        members.insert("method".to_owned(), Value::String(method.to_owned()));
        if !self.ignored.is_empty() {
            let paths = self.ignored.iter().cloned().map(Value::String).collect();
            members.insert("ignore_paths".to_owned(), Value::Array(paths));
        }
        Ok(Value::Object(members))
    }

    pub(super) fn of_value(value: &Value) -> Result<Self, Error> {
        let wrong = |reason: &str| Error::bundle("predicate.serialization", reason);
        let Value::Object(members) = value else { return Err(wrong("it is not an object")) };
        let known = ["allow_symlinks", "hash_type", "ignore_paths", "method", "shard_size"];
        if let Some(unknown) = members.keys().find(|name| !known.contains(&name.as_str())) {
            return Err(wrong(&format!("`{}` is unknown, and might change what was hashed", shown(unknown))));
        }
        let text = |name: &str| match members.get(name) {
            Some(Value::String(text)) => Ok(text.as_str()),
            _ => Err(wrong(&format!("`{name}` is not a string"))),
        };
        let hash = HashType::parse(text("hash_type")?).ok_or_else(|| wrong("`hash_type` is unknown"))?;
        let method = match (text("method")?, members.get("shard_size")) {
            ("files", None) => Method::Files,
            ("shards", Some(size)) => {
                let bytes = whole(size).ok_or_else(|| wrong("`shard_size` is not a positive integer"))?;
                Method::Shards { bytes }
            }
            _ => return Err(wrong("`method` is not `files`, nor `shards` with `shard_size`")),
        };
        let symlinks = match members.get("allow_symlinks") {
            Some(Value::Bool(true)) => Symlinks::Followed,
            Some(Value::Bool(false)) => Symlinks::Refused,
            _ => return Err(wrong("`allow_symlinks` is not true or false")),
        };
        let mut ignored = Vec::new();
        match members.get("ignore_paths") {
            None => {}
            Some(Value::Array(items)) if items.len() <= IGNORED_MAX => {
                for item in items {
                    let Value::String(path) = item else {
                        return Err(wrong("`ignore_paths` has other than strings"));
                    };
                    name::check(path)?;
                    ignored.push(path.clone());
                }
            }
            Some(_) => return Err(wrong("`ignore_paths` is not a list of at most 10000 paths")),
        }
        Ok(Self { method, hash, symlinks, ignored })
    }
}

/// An integer above zero; Protocol Buffers write `1000000000.0` for what was a number in a free-form structure.
fn whole(value: &Value) -> Option<u64> {
    match value {
        Value::Integer(number) => u64::try_from(*number).ok().filter(|number| *number > 0),
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked")]
        Value::Float(number) if number.fract() == 0.0 && (1.0..9.0e15).contains(number) => {
            Some(*number as u64)
        }
        _ => None,
    }
}

//! A seal as a file: canonical JSON with the rule, the root, and every tensor's block hashes.
//!
//! A seal file is believed in nothing: its root is computed again from its hashes when it is read.

use std::collections::BTreeMap;

use statement::Bytes;
use statement::json::{self, Limits, Value};

use super::Seal;
use crate::Error;
use crate::hash::{HASH_BYTES, Mark};
use crate::rule::Rule;

/// Largest seal file, in bytes: enough for some 1.6 trillion weights.
pub const SEAL_BYTES_MAX: usize = 1 << 30;

const FORMAT: &str = "countersign-seal";
const VERSION: i64 = 1;

impl Seal {
    /// The seal as canonical JSON.
    ///
    /// # Errors
    /// [`Error::Rule`] where a dimension does not fit JSON's integers.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        let mut tensors = Vec::with_capacity(self.tensors.len());
        for tensor in &self.tensors {
            let shape = tensor.shape.iter().map(|&dimension| integer(dimension)).collect::<Result<_, _>>()?;
            let blocks: Vec<u8> = tensor.blocks.iter().flat_map(|mark| *mark.as_bytes()).collect();
            tensors.push(object([
                ("blocks", Value::String(Bytes::new(blocks).to_base64())),
                ("name", Value::String(tensor.name.clone())),
                ("shape", Value::Array(shape)),
            ]));
        }
        Ok(json::encode(&object([
            ("format", Value::String(FORMAT.to_owned())),
            ("root", Value::String(self.root.to_string())),
            ("rule", self.rule.to_value()?),
            ("tensors", Value::Array(tensors)),
            ("version", Value::Integer(VERSION)),
        ])))
    }

    /// Reads a seal file.
    ///
    /// # Errors
    /// [`Error::SealForm`], the errors of rules and tensors, and [`Error::Root`] where the root is not that of the
    /// hashes.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let wrong = |reason| Error::SealForm { reason };
        let value = json::parse(bytes, Limits::signed(SEAL_BYTES_MAX))
            .map_err(|_| wrong("it is not strict JSON of integers and strings"))?;
        let mut members = taken(value, &["format", "root", "rule", "tensors", "version"]).ok_or(wrong(
            "it must have `format`, `root`, `rule`, `tensors` and `version`, and nothing else",
        ))?;
        let mut take = |name: &str| members.remove(name).unwrap_or(Value::Null);
        if take("format") != Value::String(FORMAT.to_owned()) || take("version") != Value::Integer(VERSION) {
            return Err(wrong("`format` and `version` are not those of a seal that this program knows"));
        }
        let rule = Rule::from_value(&take("rule"))?;
        let root: Mark = match take("root") {
            Value::String(text) => text.parse().map_err(|_| wrong("`root` is not 64 hexadecimal digits"))?,
            _ => return Err(wrong("`root` is not a string")),
        };
        let Value::Array(items) = take("tensors") else { return Err(wrong("`tensors` is not a list")) };
        let mut parts = Vec::with_capacity(items.len());
        for item in items {
            parts.push(part(item).ok_or(wrong("a tensor must have `blocks` (base64), `name` and `shape`"))?);
        }
        let seal = Self::from_parts(rule, parts)?;
        if seal.root == root { Ok(seal) } else { Err(Error::Root { said: root, is: seal.root }) }
    }
}

fn part(value: Value) -> Option<(String, Vec<u64>, Vec<Mark>)> {
    let mut members = taken(value, &["blocks", "name", "shape"])?;
    let (Value::String(blocks), Value::String(name), Value::Array(shape)) =
        (members.remove("blocks")?, members.remove("name")?, members.remove("shape")?)
    else {
        return None;
    };
    let shape = shape
        .into_iter()
        .map(|dimension| match dimension {
            Value::Integer(dimension) => u64::try_from(dimension).ok(),
            _ => None,
        })
        .collect::<Option<_>>()?;
    let bytes = Bytes::from_base64(&blocks).ok()?;
    let (marks, rest) = bytes.as_slice().as_chunks::<HASH_BYTES>();
    rest.is_empty().then(|| (name, shape, marks.iter().map(|mark| Mark::new(*mark)).collect()))
}

/// The members of an object that has exactly these.
pub(crate) fn taken(value: Value, names: &[&str]) -> Option<BTreeMap<String, Value>> {
    let Value::Object(members) = value else { return None };
    (members.len() == names.len() && names.iter().all(|name| members.contains_key(*name))).then_some(members)
}

pub(crate) fn object<const N: usize>(members: [(&str, Value); N]) -> Value {
    Value::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

pub(crate) fn integer(number: u64) -> Result<Value, Error> {
    match i64::try_from(number) {
        Ok(number) if number <= json::INTEGER_MAX => Ok(Value::Integer(number)),
        _ => Err(Error::SealForm { reason: "a number in it is larger than 2^53" }),
    }
}

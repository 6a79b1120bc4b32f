//! The differential seal: what changed between two seals under one rule, small where the change is small.
//!
//! A difference binds both roots. Applied to the base it gives the new seal, or nothing: it composes by construction
//! and cannot be applied to another base.

use statement::Bytes;
use statement::json::{self, Limits, Value};

use crate::Error;
use crate::error::shown;
use crate::fingerprint::document::{integer, object, taken};
use crate::fingerprint::{SEAL_BYTES_MAX, Seal};
use crate::hash::{HASH_BYTES, Mark};

const FORMAT: &str = "countersign-seal-difference";
const VERSION: i64 = 1;

/// What became of one tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It is not in the base, or has another shape there: all its blocks.
    Whole {
        /// The dimensions.
        shape: Vec<u64>,
        /// The hash of each block.
        blocks: Vec<Mark>,
    },
    /// It has the shape it had; these blocks changed, in ascending order.
    Blocks(Vec<(u64, Mark)>),
    /// It is no longer there.
    Removed,
}

/// What changed from one seal to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    rule: statement::Digest,
    base: Mark,
    root: Mark,
    /// By name.
    changes: Vec<(String, Change)>,
}

impl Difference {
    /// What changed from `base` to `new`.
    ///
    /// # Errors
    /// [`Error::OtherRule`] where they are under different rules.
    pub fn between(base: &Seal, new: &Seal) -> Result<Self, Error> {
        if base.rule().digest() != new.rule().digest() {
            return Err(Error::OtherRule { wanted: *base.rule().digest(), found: *new.rule().digest() });
        }
        let mut changes = Vec::new();
        for tensor in new.tensors() {
            let before = base.tensor(tensor.name()).filter(|before| before.shape() == tensor.shape());
            let change = match before {
                None => Change::Whole { shape: tensor.shape().to_vec(), blocks: tensor.blocks().to_vec() },
                Some(before) if before.mark() == tensor.mark() => continue,
                Some(before) => {
                    let pairs = before.blocks().iter().zip(tensor.blocks()).zip(0_u64..);
                    Change::Blocks(
                        pairs.filter(|((old, new), _)| old != new).map(|((_, new), at)| (at, *new)).collect(),
                    )
                }
            };
            changes.push((tensor.name().to_owned(), change));
        }
        let gone = base.tensors().iter().filter(|tensor| new.tensor(tensor.name()).is_none());
        changes.extend(gone.map(|tensor| (tensor.name().to_owned(), Change::Removed)));
        changes.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(Self { rule: *base.rule().digest(), base: *base.root(), root: *new.root(), changes })
    }

    /// The new seal, from the base.
    ///
    /// # Errors
    /// [`Error::OtherRule`], [`Error::OtherBase`] for another base; [`Error::Change`] where a change does not fit it;
    /// [`Error::Root`] where the result has not the root it should.
    pub fn apply(&self, base: &Seal) -> Result<Seal, Error> {
        if base.rule().digest() != &self.rule {
            return Err(Error::OtherRule { wanted: self.rule, found: *base.rule().digest() });
        }
        if base.root() != &self.base {
            return Err(Error::OtherBase { wanted: self.base, found: *base.root() });
        }
        let mut parts: std::collections::BTreeMap<String, (Vec<u64>, Vec<Mark>)> = base
            .tensors()
            .iter()
            .map(|tensor| (tensor.name().to_owned(), (tensor.shape().to_vec(), tensor.blocks().to_vec())))
            .collect();
        for (name, change) in &self.changes {
            let unfit = || Error::Change { tensor: shown(name) };
            match change {
                Change::Removed => drop(parts.remove(name).ok_or_else(unfit)?),
                Change::Whole { shape, blocks } => {
                    parts.insert(name.clone(), (shape.clone(), blocks.clone()));
                }
                Change::Blocks(changed) => {
                    let (_, blocks) = parts.get_mut(name).ok_or_else(unfit)?;
                    for (at, mark) in changed {
                        let at = usize::try_from(*at).map_err(|_| unfit())?;
                        *blocks.get_mut(at).ok_or_else(unfit)? = *mark;
                    }
                }
            }
        }
        let parts = parts.into_iter().map(|(name, (shape, blocks))| (name, shape, blocks)).collect();
        let seal = Seal::from_parts(base.rule().clone(), parts)?;
        if seal.root() == &self.root {
            Ok(seal)
        } else {
            Err(Error::Root { said: self.root, is: *seal.root() })
        }
    }

    /// The root before.
    pub const fn base(&self) -> &Mark {
        &self.base
    }

    /// The root after.
    pub const fn root(&self) -> &Mark {
        &self.root
    }

    /// What changed, by tensor name.
    pub fn changes(&self) -> &[(String, Change)] {
        &self.changes
    }

    /// Whether nothing changed that the rule sees.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// The difference as canonical JSON.
    ///
    /// # Errors
    /// [`Error::SealForm`] where a number does not fit JSON's integers.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        let text = |marks: &[Mark]| {
            let bytes: Vec<u8> = marks.iter().flat_map(|mark| *mark.as_bytes()).collect();
            Value::String(Bytes::new(bytes).to_base64())
        };
        let list = |numbers: &mut dyn Iterator<Item = u64>| {
            numbers.map(integer).collect::<Result<Vec<_>, _>>().map(Value::Array)
        };
        let mut changes = Vec::with_capacity(self.changes.len());
        for (name, change) in &self.changes {
            let name = ("name", Value::String(name.clone()));
            changes.push(match change {
                Change::Removed => object([name, ("removed", Value::Bool(true))]),
                Change::Whole { shape, blocks } => {
                    object([name, ("blocks", text(blocks)), ("shape", list(&mut shape.iter().copied())?)])
                }
                Change::Blocks(changed) => {
                    let marks: Vec<Mark> = changed.iter().map(|(_, mark)| *mark).collect();
                    let places = list(&mut changed.iter().map(|(at, _)| *at))?;
                    object([name, ("blocks", text(&marks)), ("places", places)])
                }
            });
        }
        Ok(json::encode(&object([
            ("base", Value::String(self.base.to_string())),
            ("changes", Value::Array(changes)),
            ("format", Value::String(FORMAT.to_owned())),
            ("root", Value::String(self.root.to_string())),
            ("rule", Value::String(self.rule.to_string())),
            ("version", Value::Integer(VERSION)),
        ])))
    }

    /// Reads a difference. Whether it fits a base is for [`Difference::apply`].
    ///
    /// # Errors
    /// [`Error::SealForm`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let wrong = |reason| Error::SealForm { reason };
        let value = json::parse(bytes, Limits::signed(SEAL_BYTES_MAX))
            .map_err(|_| wrong("it is not strict JSON of integers and strings"))?;
        let mut members = taken(value, &["base", "changes", "format", "root", "rule", "version"]).ok_or(
            wrong("it must have `base`, `changes`, `format`, `root`, `rule` and `version`, and nothing else"),
        )?;
        let mut take = |name: &str| members.remove(name).unwrap_or(Value::Null);
        if take("format") != Value::String(FORMAT.to_owned()) || take("version") != Value::Integer(VERSION) {
            return Err(wrong(
                "`format` and `version` are not those of a difference that this program knows",
            ));
        }
        let digits = wrong("a digest is not 64 hexadecimal digits");
        let mut text = |name: &str| match take(name) {
            Value::String(text) => text,
            _ => String::new(),
        };
        let base = text("base").parse().map_err(|_| digits.clone())?;
        let root = text("root").parse().map_err(|_| digits.clone())?;
        let rule = text("rule").parse().map_err(|_| digits)?;
        let Value::Array(items) = take("changes") else { return Err(wrong("`changes` is not a list")) };
        let mut changes: Vec<(String, Change)> = Vec::with_capacity(items.len());
        for item in items {
            let (name, change) = read_change(item)
                .ok_or(wrong("a change must be `blocks` with `shape` or ascending `places`, or `removed`"))?;
            if changes.last().is_some_and(|(last, _)| *last >= name) {
                return Err(wrong("`changes` are not in the order of their names"));
            }
            changes.push((name, change));
        }
        Ok(Self { rule, base, root, changes })
    }
}

fn read_change(value: Value) -> Option<(String, Change)> {
    let Value::Object(mut members) = value else { return None };
    let Value::String(name) = members.remove("name")? else { return None };
    let change = match (members.remove("removed"), members.remove("blocks")) {
        (Some(Value::Bool(true)), None) => Change::Removed,
        (None, Some(Value::String(blocks))) => {
            let bytes = Bytes::from_base64(&blocks).ok()?;
            let (marks, rest) = bytes.as_slice().as_chunks::<HASH_BYTES>();
            let marks: Vec<Mark> =
                rest.is_empty().then(|| marks.iter().map(|mark| Mark::new(*mark)).collect())?;
            match (members.remove("shape"), members.remove("places")) {
                (Some(shape), None) => Change::Whole { shape: numbers(shape)?, blocks: marks },
                (None, Some(places)) => {
                    let places = numbers(places)?;
                    let ascending = places.iter().zip(places.iter().skip(1)).all(|(a, b)| a < b);
                    if !ascending || places.is_empty() || places.len() != marks.len() {
                        return None;
                    }
                    Change::Blocks(places.into_iter().zip(marks).collect())
                }
                _ => return None,
            }
        }
        _ => return None,
    };
    members.is_empty().then_some((name, change))
}

fn numbers(value: Value) -> Option<Vec<u64>> {
    let Value::Array(items) = value else { return None };
    let number = |item| match item {
        Value::Integer(number) => u64::try_from(number).ok(),
        _ => None,
    };
    items.into_iter().map(number).collect()
}

#[cfg(test)]
mod tests;

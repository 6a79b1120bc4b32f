//! The mapping rule: how values become the bytes that are hashed. It is data, with a digest that every hash of a
//! seal depends on, so that it can be signed, logged and replaced like anything else.
//!
//! What the fields mean stands in `docs/fingerprint.md`, precisely enough to write another implementation.

use serde::{Deserialize, Serialize};
use statement::Digest;
use statement::json::{self, Limits};
use tensor::scope::Pattern;

use crate::Error;

/// The `format` of a rule.
pub const RULE_FORMAT: &str = "countersign-seal-rule";
/// The version of the rules that this crate knows.
pub const RULE_VERSION: u64 = 1;
/// Largest rule file, in bytes.
pub const RULE_BYTES_MAX: usize = 1 << 20;
/// Elements that share one exponent under a coding of few bits.
pub const GROUP: usize = 32;

const BLOCK_MIN: u64 = 1 << 10;
const BLOCK_MAX: u64 = 1 << 20;
const OVERRIDES_MAX: usize = 1000;

/// How the floating-point elements of a tensor are written before they are hashed. Other elements are always exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Coding {
    /// Every bit of every value, in the narrowest type that holds the whole block exactly.
    Exact,
    /// Eight bits for each element and an exponent for each group.
    #[serde(rename = "bits-8")]
    Bits8,
    /// Four bits for each element and an exponent for each group.
    #[serde(rename = "bits-4")]
    Bits4,
    /// Two bits for each element and an exponent for each group.
    #[serde(rename = "bits-2")]
    Bits2,
}

impl Coding {
    /// Bits of an element's code; none for the exact coding.
    pub const fn bits(self) -> Option<u32> {
        match self {
            Self::Exact => None,
            Self::Bits8 => Some(8),
            Self::Bits4 => Some(4),
            Self::Bits2 => Some(2),
        }
    }

    /// What a change must reach to be certain to be seen, for people.
    pub const fn resolution(self) -> &'static str {
        match self {
            Self::Exact => "every bit of every value",
            Self::Bits8 => {
                "a change of 1/64 of the largest magnitude among the 32 weights around it; smaller ones may pass unseen"
            }
            Self::Bits4 => {
                "a change of 1/4 of the largest magnitude among the 32 weights around it; smaller ones may pass unseen"
            }
            Self::Bits2 => {
                "a change as large as the largest magnitude among the 32 weights around it; smaller ones may pass unseen"
            }
        }
    }
}

/// A coding for the tensors whose names match.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Override {
    /// How they are coded.
    pub coding: Coding,
    /// Patterns on canonical names, as in scope files.
    pub tensors: Vec<Pattern>,
}

/// A mapping rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    wire: wire::Rule,
    digest: Digest,
}

mod wire {
    use super::{Coding, Deserialize, Override, Serialize};

    #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub(super) struct Rule {
        pub(super) block: u64,
        pub(super) default: Coding,
        pub(super) format: String,
        pub(super) group: u64,
        pub(super) hash: String,
        pub(super) name: String,
        pub(super) overrides: Vec<Override>,
        pub(super) version: u64,
    }
}

impl Rule {
    fn checked(wire: wire::Rule) -> Result<Self, Error> {
        let wrong = |reason| Err(Error::Rule { reason });
        if wire.format != RULE_FORMAT || wire.version != RULE_VERSION {
            return wrong("`format` and `version` are not those of a rule that this program knows");
        }
        if wire.hash != "blake3" || wire.group != GROUP as u64 {
            return wrong("`hash` must be `blake3` and `group` 32");
        }
        if !wire.block.is_power_of_two() || !(BLOCK_MIN..=BLOCK_MAX).contains(&wire.block) {
            return wrong("`block` must be a power of two from 1024 to 1048576");
        }
        let well_named =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
        if wire.name.is_empty() || wire.name.len() > 64 || !wire.name.bytes().all(well_named) {
            return wrong("`name` must be up to 64 lower-case letters, digits, `-` and `.`");
        }
        if wire.overrides.len() > OVERRIDES_MAX || wire.overrides.iter().any(|over| over.tensors.is_empty()) {
            return wrong("`overrides` must be at most 1000, each with patterns");
        }
        // Every member is a string, a small integer, or a list of such: there is always a canonical encoding.
        let bytes =
            json::to_canonical(&wire).map_err(|_| Error::Rule { reason: "it has no canonical form" })?;
        Ok(Self { wire, digest: Digest::of(&bytes) })
    }

    fn built_in(name: &str, default: Coding, overrides: Vec<Override>) -> Self {
        let wire = wire::Rule {
            block: 1 << 16,
            default,
            format: RULE_FORMAT.to_owned(),
            group: GROUP as u64,
            hash: "blake3".to_owned(),
            name: name.to_owned(),
            overrides,
            version: RULE_VERSION,
        };
        let digest = Digest::of(&json::to_canonical(&wire).unwrap_or_default());
        Self { wire, digest }
    }

    /// Every bit of every weight.
    pub fn exact() -> Self {
        Self::built_in("exact", Coding::Exact, Vec::new())
    }

    /// Eight bits a weight.
    pub fn eight() -> Self {
        Self::built_in("8-bit", Coding::Bits8, Vec::new())
    }

    /// Four bits a weight.
    pub fn four() -> Self {
        Self::built_in("4-bit", Coding::Bits4, Vec::new())
    }

    /// Two bits a weight.
    pub fn two() -> Self {
        Self::built_in("2-bit", Coding::Bits2, Vec::new())
    }

    /// Eight bits where a small change does most (embeddings, output, norms, biases, routers), four elsewhere.
    pub fn mixed() -> Self {
        let sensitive = [
            "**.*embed*.**",
            "**.wte.*",
            "**.wpe.*",
            "**.shared.weight",
            "**.lm_head.*",
            "**.*norm*.**",
            "**.*Norm*.**",
            "**.ln_*.*",
            "**.bias",
            "**.router.**",
            "**.gate.weight",
        ];
        let tensors = sensitive.iter().filter_map(|pattern| pattern.parse().ok()).collect();
        Self::built_in("mixed-8-4", Coding::Bits4, vec![Override { coding: Coding::Bits8, tensors }])
    }

    /// Reads a rule. Its digest is that of its canonical form, however the file is spaced.
    ///
    /// # Errors
    /// [`Error::RuleForm`], [`Error::Rule`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let value = json::parse(bytes, Limits::signed(RULE_BYTES_MAX)).map_err(Error::rule_form)?;
        Self::checked(json::from_value(&value).map_err(Error::rule_form)?)
    }

    /// The canonical JSON (RFC 8785): what the digest is of, and what is signed.
    pub fn to_bytes(&self) -> Vec<u8> {
        json::to_canonical(&self.wire).unwrap_or_default()
    }

    /// The rule as a JSON value.
    pub(crate) fn to_value(&self) -> Result<json::Value, Error> {
        json::to_value(&self.wire).map_err(|_| Error::Rule { reason: "it has no canonical form" })
    }

    /// A rule that stands in a larger document.
    pub(crate) fn from_value(value: &json::Value) -> Result<Self, Error> {
        Self::checked(json::from_value(value).map_err(Error::rule_form)?)
    }

    /// SHA-256 of the canonical JSON.
    pub const fn digest(&self) -> &Digest {
        &self.digest
    }

    /// What people call it.
    pub fn name(&self) -> &str {
        &self.wire.name
    }

    /// Elements in a block.
    pub const fn block(&self) -> u64 {
        self.wire.block
    }

    /// How a tensor of that name is coded: by the first override that matches, else the default.
    pub fn coding(&self, tensor: &str) -> Coding {
        let found = self
            .wire
            .overrides
            .iter()
            .find(|over| over.tensors.iter().any(|pattern| pattern.matches(tensor)));
        found.map_or(self.wire.default, |over| over.coding)
    }

    /// The codings the rule uses, each once, the default first.
    pub fn codings(&self) -> Vec<Coding> {
        let mut codings = vec![self.wire.default];
        for over in &self.wire.overrides {
            if !codings.contains(&over.coding) {
                codings.push(over.coding);
            }
        }
        codings
    }
}

#[cfg(test)]
mod tests;

//! Patterns on dotted paths.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::error::shown;

/// A pattern on a dotted module path: `*` stands for any run of characters within a segment, `**` as a whole
/// segment for any number of segments, none included. Everything else stands for itself.
///
/// `model.layers.*.self_attn.q_proj`, `**.q_proj` (which matches `q_proj` too), `model.layers.1*.**`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern(String);

impl Pattern {
    /// Longest pattern, in bytes.
    pub const BYTES_MAX: usize = 1024;

    /// Whether the pattern matches the whole path. Takes time proportional to the product of the two lengths at
    /// worst: a mismatch only ever goes back to the last wildcard.
    pub fn matches(&self, path: &str) -> bool {
        let wanted: Vec<&str> = self.0.split('.').collect();
        let segments: Vec<&str> = path.split('.').collect();
        glob(
            &wanted,
            &segments,
            |wanted| *wanted == "**",
            |wanted, segment| {
                glob(
                    wanted.as_bytes(),
                    segment.as_bytes(),
                    |byte| *byte == b'*',
                    |wanted, byte| wanted == byte,
                )
            },
        )
    }

    /// The pattern as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Greedy matching: `is_wild` patterns take any run of items, none included; every other takes one that `fits`.
fn glob<P, T>(
    pattern: &[P],
    items: &[T],
    is_wild: impl Fn(&P) -> bool,
    fits: impl Fn(&P, &T) -> bool,
) -> bool {
    let (mut at_pattern, mut at_item) = (0, 0);
    // Where to go on after a mismatch: behind the last wildcard, which then takes one item more.
    let mut resume = None;
    while let Some(item) = items.get(at_item) {
        match pattern.get(at_pattern) {
            Some(wanted) if is_wild(wanted) => {
                resume = Some((at_pattern + 1, at_item));
                at_pattern += 1;
                continue;
            }
            Some(wanted) if fits(wanted, item) => {
                at_pattern += 1;
                at_item += 1;
                continue;
            }
            _ => {}
        }
        let Some((behind, taken)) = resume else { return false };
        resume = Some((behind, taken + 1));
        (at_pattern, at_item) = (behind, taken + 1);
    }
    pattern.get(at_pattern..).unwrap_or_default().iter().all(is_wild)
}

impl FromStr for Pattern {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let segment_reads =
            |segment: &str| !segment.is_empty() && (segment == "**" || !segment.contains("**"));
        let plain = |character: char| !character.is_control() && !character.is_whitespace();
        if text.len() <= Self::BYTES_MAX && text.chars().all(plain) && text.split('.').all(segment_reads) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Error::Pattern { pattern: shown(text) })
        }
    }
}

impl TryFrom<String> for Pattern {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.0
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl schemars::JsonSchema for Pattern {
    fn schema_name() -> Cow<'static, str> {
        "Pattern".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "A dotted module path: `*` stands for any run of characters within a segment, `**` as a whole segment for any number of segments.",
            "minLength": 1,
            "maxLength": Self::BYTES_MAX,
            "pattern": r"^([^.\s]+)(\.[^.\s]+)*$",
        })
    }
}

//! Identifiers: names with one spelling, parsed on the way in.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;

/// Why a text is no identifier of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no {what}: {rule}")]
pub struct IdError {
    what: &'static str,
    rule: &'static str,
    text: String,
}

fn refuse(what: &'static str, rule: &'static str, text: &str) -> IdError {
    // The text came from outside: at most 64 characters of it are repeated, control characters escaped.
    let shown = text.chars().take(64).flat_map(char::escape_default).collect();
    IdError { what, rule, text: shown }
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $rule:literal, $pattern:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let valid: fn(&str) -> bool = $valid;
                if valid(text) { Ok(Self(text.to_owned())) } else { Err(refuse($what, $rule, text)) }
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({
                    "type": "string",
                    "description": concat!($what, ": ", $rule),
                    "pattern": $pattern
                })
            }
        }
    };
}

fn within(text: &str, max: usize, allowed: fn(u8) -> bool) -> bool {
    (1..=max).contains(&text.len())
        && text.bytes().all(allowed)
        && text.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric)
}

text_id!(
    /// A realm: one log, one trust root, one sequencer.
    RealmId, "realm", "1 to 64 of a-z, 0-9, `-` and `.`, starting with a letter or digit",
    "^[a-z0-9][a-z0-9.-]{0,63}$",
    |text| within(text, 64, |b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.'))
);

text_id!(
    /// A pseudonymous person: the human behind keys and accounts.
    PersonId, "person", "1 to 64 of a-z, 0-9, `-` and `.`, starting with a letter or digit",
    "^[a-z0-9][a-z0-9.-]{0,63}$",
    |text| within(text, 64, |b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.'))
);

text_id!(
    /// A place in production that serves one state at a time.
    SlotId, "slot", "1 to 64 of a-z, 0-9, `-`, `.` and `/`, starting with a letter or digit",
    "^[a-z0-9][a-z0-9./-]{0,63}$",
    |text| within(text, 64, |b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'/'))
);

text_id!(
    /// A short name: of an artefact, a measure, a reason code, an examiner.
    Name, "name", "1 to 128 of letters, digits, `-`, `.`, `_`, `/` and `:`, starting with a letter or digit",
    "^[A-Za-z0-9][A-Za-z0-9._/:-]{0,127}$",
    |text| within(text, 128, |b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'/' | b':'))
);

text_id!(
    /// The tracking id of a change: it follows the change through every environment.
    ChangeId, "change", "`chg-` and 32 lower-case hexadecimal digits", "^chg-[0-9a-f]{32}$",
    |text| text.strip_prefix("chg-").is_some_and(|hex| {
        hex.len() == 32 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    })
);

impl Name {
    /// The name of a kind. Kinds' names are fixed in the code and valid, which a test checks.
    pub(crate) fn of_kind(kind: crate::kind::Kind) -> Self {
        Self(kind.name().to_owned())
    }
}

impl ChangeId {
    /// The id made from 16 random bytes.
    pub fn from_random(bytes: [u8; 16]) -> Self {
        let mut text = String::from("chg-");
        for byte in bytes {
            for nibble in [byte >> 4, byte & 15] {
                text.extend(char::from_digit(u32::from(nibble), 16));
            }
        }
        Self(text)
    }

    /// The first eight digits, for people; never compared.
    pub fn short(&self) -> &str {
        self.0.get(..12).unwrap_or(&self.0)
    }
}

macro_rules! digest_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
        #[serde(transparent)]
        pub struct $name(Digest);

        impl $name {
            /// Wraps a digest that names such a thing.
            pub const fn from_digest(digest: Digest) -> Self {
                Self(digest)
            }

            /// The digest.
            pub const fn digest(&self) -> &Digest {
                &self.0
            }

            /// The first eight hexadecimal digits, for people; never compared.
            pub fn short(&self) -> String {
                self.0.short()
            }
        }

        impl FromStr for $name {
            type Err = crate::digest::DigestError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }
    };
}

digest_id!(
    /// A statement: SHA-256 of its DSSE pre-authentication encoding.
    StatementId
);
digest_id!(
    /// A key: SHA-256 of the canonical JSON of its [`PublicKey`](crate::PublicKey).
    KeyId
);
digest_id!(
    /// A served state: SHA-256 of the canonical JSON of its [`Manifest`](crate::kind::Manifest).
    StateId
);

/// What a statement is about: one change, or the realm as a whole.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Tracking {
    /// The realm: persons, policies, slots, freezes.
    Realm,
    /// One change.
    Change(ChangeId),
}

impl Tracking {
    /// The change, where there is one.
    pub const fn change(&self) -> Option<&ChangeId> {
        match self {
            Self::Realm => None,
            Self::Change(change) => Some(change),
        }
    }
}

impl TryFrom<String> for Tracking {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        if text == "realm" { Ok(Self::Realm) } else { text.parse().map(Self::Change) }
    }
}

impl From<Tracking> for String {
    fn from(tracking: Tracking) -> Self {
        match tracking {
            Tracking::Realm => "realm".to_owned(),
            Tracking::Change(change) => change.into(),
        }
    }
}

impl fmt::Display for Tracking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Realm => f.write_str("realm"),
            Self::Change(change) => change.fmt(f),
        }
    }
}

impl schemars::JsonSchema for Tracking {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Tracking".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "the tracking id of a change, or `realm`",
            "pattern": "^(realm|chg-[0-9a-f]{32})$"
        })
    }
}

//! The frozen header: the members every statement has, in every version, for ever.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::{KeyId, Name, RealmId, Tracking};
use crate::kind::Kind;

/// What every reader can read of every statement, known or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// The change it belongs to, or `realm`.
    pub change: Tracking,
    /// Whether a reader that does not know the kind must stop.
    pub critical: bool,
    /// The kind's name.
    pub kind: Name,
    /// The realm.
    pub realm: RealmId,
    /// Whose word it is: the one key that signs it. Absent where several sign together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signer: Option<KeyId>,
    /// The version of the kind.
    pub version: u32,
}

impl Header {
    /// The header of a statement of a kind that this version knows, with no signer named yet.
    pub fn new(kind: Kind, realm: RealmId, change: Tracking) -> Self {
        Self {
            change,
            critical: kind.critical(),
            kind: kind.to_name(),
            realm,
            signer: None,
            version: kind.version(),
        }
    }

    /// The predicate type that goes with this header.
    pub fn predicate_type(&self) -> String {
        format!("urn:countersign:{}:v{}", self.kind, self.version)
    }
}

//! Passkey signatures over statements (W3C Web Authentication Level 3, section 7.2, the part a relying party must
//! check that needs no session): the challenge is the statement id, so the person signs exactly one statement.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::SignatureError;
use crate::bytes::Bytes;
use crate::digest::Digest;
use crate::json::{self, Limits, Numbers, Value};

/// The site a passkey is bound to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RelyingParty {
    /// The relying party id, a domain.
    pub id: String,
    /// The one origin that may ask, such as the console's.
    pub origin: String,
}

/// What a passkey returns, as the signature of a statement (canonical JSON).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Assertion {
    /// Authenticator data: hash of the relying party id (32), flags (1), counter (4), extensions.
    pub authenticator_data: Bytes,
    /// The client data the browser made, JSON.
    pub client_data: Bytes,
    /// The authenticator's signature over the authenticator data and the SHA-256 of the client data.
    pub signature: Bytes,
}

/// The message an assertion's inner signature is over, and that signature.
pub(super) struct Opened {
    pub(super) message: Vec<u8>,
    pub(super) signature: Vec<u8>,
}

const ASSERTION_BYTES_MAX: usize = 8_192;
const USER_PRESENT: u8 = 0x01;
const USER_VERIFIED: u8 = 0x04;
const ATTESTED_KEY: u8 = 0x40;
const EXTENSIONS: u8 = 0x80;

impl Assertion {
    /// Reads an assertion and checks type, challenge, origin, relying party and user verification.
    pub(super) fn open(
        bytes: &[u8],
        site: &RelyingParty,
        challenge: &Digest,
    ) -> Result<Opened, SignatureError> {
        let value = json::parse_canonical(bytes, ASSERTION_BYTES_MAX).map_err(|_| SignatureError::Form)?;
        let assertion: Self = json::from_value(&value).map_err(|_| SignatureError::Form)?;
        check_client_data(assertion.client_data.as_slice(), site, challenge)?;
        let data = assertion.authenticator_data.as_slice();
        let (Some(site_hash), Some(flags)) = (data.get(..32), data.get(32)) else {
            return Err(SignatureError::Form);
        };
        // Without attested key or extensions nothing follows the counter.
        let well_sized =
            if flags & (ATTESTED_KEY | EXTENSIONS) == 0 { data.len() == 37 } else { data.len() > 37 };
        if !well_sized {
            return Err(SignatureError::Form);
        }
        let verified = USER_PRESENT | USER_VERIFIED;
        if site_hash != Digest::of(site.id.as_bytes()).as_bytes() || flags & verified != verified {
            return Err(SignatureError::Assertion);
        }
        let mut message = data.to_vec();
        message.extend_from_slice(Digest::of(assertion.client_data.as_slice()).as_bytes());
        Ok(Opened { message, signature: assertion.signature.into_vec() })
    }
}

/// Client data is the browser's JSON, not ours: any member order and any further members are allowed by its
/// specification, repeated members are not.
fn check_client_data(bytes: &[u8], site: &RelyingParty, challenge: &Digest) -> Result<(), SignatureError> {
    let limits = Limits { bytes: 4_096, depth: 8, numbers: Numbers::Any };
    let Ok(Value::Object(members)) = json::parse(bytes, limits) else { return Err(SignatureError::Form) };
    let is =
        |name: &str, wanted: &str| matches!(members.get(name), Some(Value::String(text)) if text == wanted);
    let crossed = matches!(members.get("crossOrigin"), Some(value) if *value != Value::Bool(false));
    let challenge = URL_SAFE_NO_PAD.encode(challenge.as_bytes());
    if is("type", "webauthn.get") && is("challenge", &challenge) && is("origin", &site.origin) && !crossed {
        Ok(())
    } else {
        Err(SignatureError::Assertion)
    }
}

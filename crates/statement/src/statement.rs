//! A statement: who-knows-what about which digests, before and after it is signed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::envelope::{ENVELOPE_BYTES_MAX, Envelope};
use crate::error::StatementError;
use crate::header::Header;
use crate::id::{KeyId, RealmId, Tracking};
use crate::json::{self, Value};
use crate::kind::{Body, Kind, Voice};

/// The `_type` of an in-toto Statement v1.
pub const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";

/// A statement of a kind that this version knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// The frozen header.
    pub header: Header,
    /// When the signer says it was made, milliseconds since the Unix epoch. The log's stamp decides; this only bounds.
    pub issued_ms: u64,
    /// What it says.
    pub body: Body,
}

/// A statement of a kind that this version does not know: never evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opaque {
    /// The frozen header.
    pub header: Header,
    /// When the signer says it was made.
    pub issued_ms: u64,
}

/// What an envelope holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A kind and version that this crate reads.
    Known(Box<Statement>),
    /// Any other kind, not marked critical.
    Opaque(Opaque),
}

impl Content {
    /// The frozen header.
    pub const fn header(&self) -> &Header {
        match self {
            Self::Known(statement) => &statement.header,
            Self::Opaque(opaque) => &opaque.header,
        }
    }
}

/// The in-toto frame, as it stands in the payload.
pub(crate) mod wire {
    use super::{Deserialize, Digest, Header, JsonSchema, Serialize};

    #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    pub(crate) struct DigestSet {
        pub(crate) sha256: Digest,
    }

    #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    pub(crate) struct Subject {
        pub(crate) digest: DigestSet,
        pub(crate) name: String,
    }

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub(crate) struct Predicate<B> {
        pub(crate) body: B,
        pub(crate) header: Header,
        pub(crate) issued_ms: u64,
    }

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub(crate) struct Frame<B> {
        #[serde(rename = "_type")]
        pub(crate) kind: String,
        pub(crate) predicate: Predicate<B>,
        #[serde(rename = "predicateType")]
        pub(crate) predicate_type: String,
        pub(crate) subject: Vec<Subject>,
    }
}

impl Statement {
    /// A statement about a change or the realm, made at `issued_ms`.
    pub fn new(realm: RealmId, change: Tracking, issued_ms: u64, body: impl Into<Body>) -> Self {
        let body = body.into();
        Self { header: Header::new(body.kind(), realm, change), issued_ms, body }
    }

    /// The statement as these keys are to sign it: the header names the first key of a statement that is one key's own
    /// word, the only key of one that may be, and otherwise none.
    #[must_use]
    pub fn signed_by(mut self, keys: &[KeyId]) -> Self {
        self.header.signer = match (self.body.kind().voice(), keys) {
            (Voice::Own, [key, ..]) | (Voice::Either, [key]) => Some(*key),
            (Voice::Own | Voice::Either | Voice::Joint, _) => None,
        };
        self
    }

    /// The canonical bytes: the payload that is signed.
    pub fn to_payload(&self) -> Result<Vec<u8>, StatementError> {
        self.check_signer()?;
        let frame = wire::Frame {
            kind: STATEMENT_TYPE.to_owned(),
            predicate: wire::Predicate {
                body: &self.body,
                header: self.header.clone(),
                issued_ms: self.issued_ms,
            },
            predicate_type: self.header.predicate_type(),
            subject: self.subjects()?,
        };
        json::to_canonical(&frame).map_err(StatementError::Encode)
    }

    /// The statement in an envelope that nobody has signed yet.
    pub fn to_envelope(&self) -> Result<Envelope, StatementError> {
        let payload = self.to_payload()?;
        // Base64 adds a third; the rest of the envelope is under a kilobyte per signature.
        if payload.len() > ENVELOPE_BYTES_MAX * 3 / 4 {
            return Err(StatementError::Oversize(payload.len()));
        }
        Ok(Envelope::unsigned(payload))
    }

    /// Whether the header names a signer where the kind asks for one, and none where several sign together.
    fn check_signer(&self) -> Result<(), StatementError> {
        let kind = self.body.kind();
        match (kind.voice(), self.header.signer) {
            (Voice::Own, None) => Err(StatementError::SignerMissing(kind)),
            (Voice::Joint, Some(_)) => Err(StatementError::SignerNamed(kind)),
            (Voice::Own, Some(_)) | (Voice::Joint, None) | (Voice::Either, _) => Ok(()),
        }
    }

    fn subjects(&self) -> Result<Vec<wire::Subject>, StatementError> {
        let subjects = self.body.subjects(&self.header).map_err(StatementError::Encode)?;
        Ok(subjects
            .into_iter()
            .map(|(name, sha256)| wire::Subject { digest: wire::DigestSet { sha256 }, name })
            .collect())
    }
}

impl Content {
    /// Reads a payload. Of a known kind, every byte is checked: the same statement has exactly one spelling.
    pub fn parse(payload: &[u8]) -> Result<Self, StatementError> {
        let value = json::parse_canonical(payload, ENVELOPE_BYTES_MAX).map_err(StatementError::Json)?;
        let frame = Frame::read(&value)?;
        if frame.kind != STATEMENT_TYPE {
            return Err(StatementError::StatementType);
        }
        if frame.predicate_type != frame.header.predicate_type() {
            return Err(StatementError::PredicateType(frame.predicate_type.to_owned()));
        }
        let known =
            Kind::from_name(frame.header.kind.as_str()).filter(|kind| kind.version() == frame.header.version);
        let Some(kind) = known else {
            if frame.header.critical {
                return Err(StatementError::UnknownCritical(Box::new(frame.header)));
            }
            return Ok(Self::Opaque(Opaque { header: frame.header, issued_ms: frame.issued_ms }));
        };
        let body = kind.read(frame.body).map_err(StatementError::Shape)?;
        let statement = Statement { header: frame.header, issued_ms: frame.issued_ms, body };
        statement.check_signer()?;
        if frame.subject != statement.subjects()? {
            return Err(StatementError::Subjects);
        }
        if statement.header.critical != kind.critical() || statement.to_payload()? != payload {
            return Err(StatementError::Spelling);
        }
        Ok(Self::Known(Box::new(statement)))
    }
}

/// The frame with its body still unread.
struct Frame<'a> {
    kind: &'a str,
    predicate_type: &'a str,
    subject: Vec<wire::Subject>,
    header: Header,
    issued_ms: u64,
    body: &'a Value,
}

impl<'a> Frame<'a> {
    fn read(value: &'a Value) -> Result<Self, StatementError> {
        let outer = Members::of(value, &["_type", "predicate", "predicateType", "subject"])?;
        let predicate = Members::of(outer.member("predicate")?, &["body", "header", "issued_ms"])?;
        Ok(Self {
            kind: outer.text("_type")?,
            predicate_type: outer.text("predicateType")?,
            subject: json::from_value(outer.member("subject")?).map_err(StatementError::Shape)?,
            header: json::from_value(predicate.member("header")?).map_err(StatementError::Shape)?,
            issued_ms: json::from_value(predicate.member("issued_ms")?).map_err(StatementError::Shape)?,
            body: predicate.member("body")?,
        })
    }
}

/// The members of an object, of which none may be unknown.
struct Members<'a>(&'a std::collections::BTreeMap<String, Value>);

impl<'a> Members<'a> {
    fn of(value: &'a Value, known: &[&str]) -> Result<Self, StatementError> {
        let Value::Object(members) = value else {
            return Err(StatementError::Shape(json::ShapeError::wrong_type("expected an object")));
        };
        match members.keys().find(|name| !known.contains(&name.as_str())) {
            Some(name) => Err(StatementError::Shape(json::ShapeError::unknown_member(name))),
            None => Ok(Self(members)),
        }
    }

    fn member(&self, name: &str) -> Result<&'a Value, StatementError> {
        self.0.get(name).ok_or_else(|| StatementError::Shape(json::ShapeError::missing_member(name)))
    }

    fn text(&self, name: &str) -> Result<&'a str, StatementError> {
        match self.member(name)? {
            Value::String(text) => Ok(text),
            _ => Err(StatementError::Shape(json::ShapeError::wrong_type("expected a string"))),
        }
    }
}

#[cfg(test)]
mod tests;

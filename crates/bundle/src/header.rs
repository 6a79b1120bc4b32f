//! The header: what a bundle holds, from whom, for whom, until when.

use serde::{Deserialize, Serialize};
use statement::envelope::pre_authentication_encoding;
use statement::{Bytes, ChangeId, Digest, KeyId, Name, PublicKey, RealmId, StatementId, json};

use crate::error::BundleError;

/// The first line of a bundle.
pub const MAGIC: &[u8] = b"countersign-bundle/v1\n";

/// The payload type that is signed: none of a statement's.
pub const PAYLOAD_TYPE: &str = "application/vnd.countersign.bundle.v1+json";

/// The longest signed header, in bytes.
pub const HEADER_BYTES_MAX: usize = 4 << 20;

/// The most sections.
pub const SECTIONS_MAX: usize = 16_384;

/// The length of a nonce, in bytes.
pub const NONCE_BYTES: usize = 16;

/// The longest time for which a bundle may be taken: 90 days, in milliseconds.
pub const LIFETIME_MS_MAX: u64 = 90 * 24 * 60 * 60 * 1000;

/// Which way a bundle goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// To the machine without a network: a change to examine.
    Request,
    /// Back: what was found.
    Findings,
    /// To those who keep the log, on a channel: statements, and the contents that they name.
    Submission,
    /// Back, on a channel: what became of it.
    Receipt,
}

impl Direction {
    /// What it brings, in words.
    pub const fn brings(self) -> &'static str {
        match self {
            Self::Request => "a change to examine",
            Self::Findings => "findings",
            Self::Submission => "statements for the log",
            Self::Receipt => "a receipt",
        }
    }
}

/// What the bundle is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct About {
    /// The change.
    pub change: ChangeId,
    /// Its proposal: the one that is examined.
    pub proposal: StatementId,
}

/// The head of the log that a request's record ends at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// The root hash.
    pub root: Digest,
    /// How many leaves.
    pub size: u64,
}

/// What a section holds. Sections stand in this order, contents by rising digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SectionKind {
    /// The realm's record: an export (`docs/export.md`).
    Record,
    /// The signed header of the request that is answered.
    Request,
    /// A finding: a signed statement in its envelope.
    Finding,
    /// Any statement in its envelope.
    Statement,
    /// Content of the vault, by its digest.
    Content,
}

impl SectionKind {
    /// Its name in the header.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Record => "record",
            Self::Request => "request",
            Self::Finding => "finding",
            Self::Statement => "statement",
            Self::Content => "content",
        }
    }
}

/// A section: what it is, how long, and its digest. They stand in the file in the order of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Section {
    /// Its length.
    pub bytes: u64,
    /// What it holds.
    pub kind: SectionKind,
    /// SHA-256 of its bytes.
    pub sha256: Digest,
}

/// What is signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// What it is about: always told of requests and findings; a submission may be about the realm and no change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<About>,
    /// Of findings and receipts: the id of what they answer; of a forwarded submission: the id of its author's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answers: Option<Digest>,
    /// When it was made, milliseconds since the Unix epoch, by the sender's clock.
    pub created_ms: u64,
    /// Which way it goes.
    pub direction: Direction,
    /// From when on nobody may take it.
    pub expires_ms: u64,
    /// The sender's key.
    pub from: KeyId,
    /// Of a request: the head of the log that its record ends at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<Head>,
    /// Of a receipt: the leaf of the last statement that was taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaf: Option<u64>,
    /// [`NONCE_BYTES`] random bytes, so that no two bundles have one id.
    pub nonce: Bytes,
    /// The realm.
    pub realm: RealmId,
    /// Of a receipt: the code of the refusal; none where nothing was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<Name>,
    /// The realm's first trust root: what the receiver has pinned.
    pub root: StatementId,
    /// What follows the header.
    pub sections: Vec<Section>,
    /// The receiver's key.
    pub to: KeyId,
}

impl Header {
    /// Whether the members go together; [`Unsigned::new`] and parsing ask.
    pub(crate) fn check(&self) -> Result<(), BundleError> {
        let wrong = |reason| Err(BundleError::HeaderForm { reason });
        if self.nonce.as_slice().len() != NONCE_BYTES {
            return wrong("its nonce is not 16 bytes");
        }
        if self.expires_ms <= self.created_ms || self.expires_ms - self.created_ms > LIFETIME_MS_MAX {
            return wrong("it may be taken for 90 days at most, and for some time at least");
        }
        if self.sections.len() > SECTIONS_MAX {
            return wrong("it lists more than 16384 sections");
        }
        let count = |kind: SectionKind| self.sections.iter().filter(|section| section.kind == kind).count();
        let counts = (
            count(SectionKind::Record),
            count(SectionKind::Request),
            count(SectionKind::Finding),
            count(SectionKind::Statement),
        );
        let (answers, head) = (self.answers.is_some(), self.head.is_some());
        let is_answered = self.direction == Direction::Receipt;
        if self.leaf.is_some_and(|leaf| !is_answered || leaf > json::INTEGER_MAX.unsigned_abs()) {
            return wrong("a leaf stands in receipts alone");
        }
        if self.about.is_none() && matches!(self.direction, Direction::Request | Direction::Findings) {
            return wrong("it does not say what it is about");
        }
        let fits = match (self.direction, counts) {
            (Direction::Request, (1, 0, 0, 0)) => !answers && head && self.refused.is_none(),
            (Direction::Findings, (0, 1, 1.., 0)) => answers && !head && self.refused.is_none(),
            (Direction::Submission, (0, forwarded @ (0 | 1), 0, 1..)) => {
                answers == (forwarded == 1) && !head && self.refused.is_none()
            }
            (Direction::Receipt, _) => self.sections.is_empty() && answers && !head,
            _ => false,
        };
        if !fits {
            return wrong("its sections are not those of its direction");
        }
        for (left, right) in self.sections.iter().zip(self.sections.iter().skip(1)) {
            if (left.kind, left.sha256) >= (right.kind, right.sha256) {
                return wrong("its sections are not in order, or repeated");
            }
        }
        let total = self.sections.iter().try_fold(0_u64, |sum, section| sum.checked_add(section.bytes));
        match total {
            Some(total) if total <= json::INTEGER_MAX.unsigned_abs() => Ok(()),
            _ => wrong("its sections are longer than any file"),
        }
    }

    /// Whether it is of this realm.
    pub(crate) fn same_realm(&self, realm: &RealmId, root: StatementId) -> Result<(), BundleError> {
        if self.realm != *realm {
            return Err(BundleError::Realm { found: self.realm.clone(), expected: realm.clone() });
        }
        if self.root != root {
            return Err(BundleError::TrustRoot { found: self.root, expected: root });
        }
        Ok(())
    }

    /// Whether it may still be taken.
    pub(crate) const fn not_expired(&self, now_ms: u64) -> Result<(), BundleError> {
        if now_ms >= self.expires_ms {
            return Err(BundleError::Expired { expired_ms: self.expires_ms, now_ms });
        }
        Ok(())
    }

    /// Whether it goes the way that is taken here.
    pub(crate) fn goes(&self, wanted: Direction) -> Result<(), BundleError> {
        if self.direction == wanted {
            return Ok(());
        }
        Err(BundleError::Direction { wanted: wanted.brings(), found: self.direction.brings() })
    }

    /// What it is about.
    ///
    /// # Errors
    /// [`BundleError::HeaderForm`] where it is about no change: that of a request or of findings always is.
    pub fn about(&self) -> Result<&About, BundleError> {
        let reason = "it does not say what it is about";
        self.about.as_ref().ok_or(BundleError::HeaderForm { reason })
    }

    /// The digests of the contents, rising.
    pub fn contents(&self) -> impl Iterator<Item = &Digest> {
        self.sections
            .iter()
            .filter(|section| section.kind == SectionKind::Content)
            .map(|section| &section.sha256)
    }

    /// How many bytes follow the header.
    pub fn body_bytes(&self) -> u64 {
        self.sections.iter().fold(0, |sum, section| sum.saturating_add(section.bytes))
    }
}

/// A header that was checked and that nobody has signed yet.
#[derive(Debug)]
pub struct Unsigned {
    header: Header,
    payload: Vec<u8>,
}

impl Unsigned {
    /// Takes a header to be signed.
    ///
    /// # Errors
    /// [`BundleError::HeaderForm`] where its members do not go together.
    pub fn new(header: Header) -> Result<Self, BundleError> {
        header.check()?;
        let payload = json::to_canonical(&header).map_err(BundleError::Encode)?;
        Ok(Self { header, payload })
    }

    /// What is signed: the pre-authentication encoding (DSSE v1.0.2) of type and payload.
    pub fn message(&self) -> Vec<u8> {
        pre_authentication_encoding(PAYLOAD_TYPE, &self.payload)
    }

    /// The header with its signature.
    ///
    /// # Errors
    /// [`BundleError::HeaderSignature`] where it is not this key's, [`BundleError::Sender`] where the header names
    /// another sender, [`BundleError::HeaderForm`] where it is too long.
    pub fn finish(self, key: PublicKey, signature: Vec<u8>) -> Result<SignedHeader, BundleError> {
        let wire = wire::Signed {
            key,
            payload: Bytes::new(self.payload),
            payload_type: PAYLOAD_TYPE.to_owned(),
            sig: Bytes::new(signature),
        };
        let bytes = json::to_canonical(&wire).map_err(BundleError::Encode)?;
        if bytes.len() > HEADER_BYTES_MAX {
            return Err(BundleError::HeaderForm { reason: "it is longer than 4 MiB" });
        }
        SignedHeader::admit(self.header, wire, bytes)
    }
}

/// The signed header as it stands in the file.
mod wire {
    use super::{Bytes, Deserialize, PublicKey, Serialize};

    #[derive(Debug, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub(super) struct Signed {
        pub(super) key: PublicKey,
        pub(super) payload: Bytes,
        #[serde(rename = "payloadType")]
        pub(super) payload_type: String,
        pub(super) sig: Bytes,
    }
}

/// Token: a header with the signature of the key it names as sender. Whether that key counts is the receiver's matter.
#[derive(Debug)]
pub struct SignedHeader {
    header: Header,
    key: PublicKey,
    id: Digest,
    bytes: Vec<u8>,
}

impl SignedHeader {
    /// Reads a signed header: canonical, complete, signed by its sender.
    ///
    /// # Errors
    /// What [`BundleError`] says of headers.
    pub fn parse(bytes: &[u8]) -> Result<Self, BundleError> {
        let value = json::parse_canonical(bytes, HEADER_BYTES_MAX).map_err(BundleError::HeaderJson)?;
        let signed: wire::Signed = json::from_value(&value).map_err(BundleError::HeaderShape)?;
        let payload = json::parse_canonical(signed.payload.as_slice(), HEADER_BYTES_MAX)
            .map_err(BundleError::HeaderJson)?;
        let header: Header = json::from_value(&payload).map_err(BundleError::HeaderShape)?;
        header.check()?;
        // One spelling: what was read is what would be written.
        let again = json::to_canonical(&header).map_err(BundleError::Encode)?;
        if again != signed.payload.as_slice() {
            return Err(BundleError::HeaderForm { reason: "it is not spelt as it would be written" });
        }
        Self::admit(header, signed, bytes.to_vec())
    }

    fn admit(header: Header, signed: wire::Signed, bytes: Vec<u8>) -> Result<Self, BundleError> {
        if signed.payload_type != PAYLOAD_TYPE {
            return Err(BundleError::HeaderForm { reason: "its payload type is another one" });
        }
        let key = signed.key.id();
        if key != header.from {
            return Err(BundleError::Sender { key, named: header.from });
        }
        let message = pre_authentication_encoding(PAYLOAD_TYPE, signed.payload.as_slice());
        signed
            .key
            .verify(&message, signed.sig.as_slice())
            .map_err(|source| BundleError::HeaderSignature { key, source })?;
        Ok(Self { header, key: signed.key, id: Digest::of(&message), bytes })
    }

    /// What it says.
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// The sender's public key.
    pub const fn key(&self) -> &PublicKey {
        &self.key
    }

    /// The bundle's id: SHA-256 of what is signed.
    pub const fn id(&self) -> &Digest {
        &self.id
    }

    /// The signed header's bytes: the section `request` of what answers it.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What stands in the file before the sections.
    pub fn opening(&self) -> Vec<u8> {
        let length = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        [MAGIC, &length.to_be_bytes(), &self.bytes].concat()
    }
}

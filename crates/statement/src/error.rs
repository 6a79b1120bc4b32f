//! Why bytes are no statement.

use crate::header::Header;
use crate::id::KeyId;
use crate::json::{EncodeError, JsonError, JsonErrorKind, ShapeError, ShapeErrorKind};
use crate::kind::Kind;

/// Why bytes are no statement that Countersign reads.
#[derive(Debug, thiserror::Error)]
pub enum StatementError {
    /// Not strict, canonical JSON.
    #[error("not strict canonical JSON: {0}")]
    Json(JsonError),
    /// JSON, but not of the documented shape.
    #[error("not of the documented shape: {0}")]
    Shape(ShapeError),
    /// The value has no canonical encoding.
    #[error("the statement cannot be encoded")]
    Encode(#[source] EncodeError),
    /// The envelope's payload type is not in-toto's.
    #[error("the payload type is not `application/vnd.in-toto+json`")]
    PayloadType,
    /// `_type` is not in-toto Statement v1.
    #[error("`_type` is not in-toto Statement v1")]
    StatementType,
    /// Predicate type and header do not name the same kind and version.
    #[error("`predicateType` is `{0}`, which is not what the header says")]
    PredicateType(String),
    /// A kind or version this reader does not know, marked critical.
    #[error("`{}` is unknown to this version and marked critical", .0.predicate_type())]
    UnknownCritical(Box<Header>),
    /// A kind that is one key's own word, without the key.
    #[error("a statement of kind `{}` names its signer, and this one names none", .0.name())]
    SignerMissing(Kind),
    /// A kind that several sign together, with one of them named.
    #[error("a statement of kind `{}` is signed by several and names no signer, and this one names one", .0.name())]
    SignerNamed(Kind),
    /// The subjects are not those that the body implies.
    #[error("the subjects are not those that the body is about")]
    Subjects,
    /// Two signatures by one key.
    #[error("key `{0}` signed twice")]
    RepeatedSigner(KeyId),
    /// Signatures out of order.
    #[error("the signatures are not sorted by key id")]
    SignatureOrder,
    /// More signatures than the limit.
    #[error("more than 32 signatures")]
    TooManySignatures,
    /// More bytes than the limit.
    #[error("{0} bytes are more than an entry of the log may have")]
    Oversize(usize),
    /// The same statement spelled in another way than the canonical one.
    #[error("a member is spelled in another way than the canonical one (order of a set, or an empty member)")]
    Spelling,
    /// A log entry without its stamp or envelope.
    #[error("the log entry is no stamped envelope")]
    Entry,
}

impl StatementError {
    /// A stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Json(error) => match error.kind {
                JsonErrorKind::Oversize => "CS-STM-001",
                JsonErrorKind::TooDeep => "CS-STM-002",
                JsonErrorKind::Syntax => "CS-STM-003",
                JsonErrorKind::Unicode => "CS-STM-004",
                JsonErrorKind::RepeatedMember => "CS-STM-005",
                JsonErrorKind::Number => "CS-STM-006",
                JsonErrorKind::Trailing => "CS-STM-007",
                JsonErrorKind::NotCanonical => "CS-STM-008",
            },
            Self::Shape(error) => match error.kind {
                ShapeErrorKind::UnknownMember => "CS-STM-009",
                ShapeErrorKind::MissingMember => "CS-STM-010",
                ShapeErrorKind::WrongType => "CS-STM-011",
            },
            Self::Encode(_) => "CS-STM-012",
            Self::PayloadType => "CS-STM-013",
            Self::StatementType => "CS-STM-014",
            Self::PredicateType(_) => "CS-STM-015",
            Self::UnknownCritical(_) => "CS-STM-016",
            Self::Subjects => "CS-STM-017",
            Self::RepeatedSigner(_) => "CS-STM-018",
            Self::SignatureOrder => "CS-STM-019",
            Self::TooManySignatures => "CS-STM-020",
            Self::Oversize(_) => "CS-STM-021",
            Self::Spelling => "CS-STM-022",
            Self::Entry => "CS-STM-023",
            Self::SignerMissing(_) => "CS-STM-024",
            Self::SignerNamed(_) => "CS-STM-025",
        }
    }

    /// What to do about it.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Json(_) | Self::Spelling | Self::SignatureOrder => {
                "make the bytes with Countersign's own encoder, or with any RFC 8785 encoder and integers only"
            }
            Self::Shape(_)
            | Self::Subjects
            | Self::StatementType
            | Self::PredicateType(_)
            | Self::PayloadType => "compare the statement with its schema in docs/statements/",
            Self::SignerMissing(_) | Self::SignerNamed(_) => {
                "docs/statements/README.md lists the kinds whose header names the signer"
            }
            Self::UnknownCritical(_) => "read this log with a version of Countersign that knows the kind",
            Self::Encode(_) | Self::Oversize(_) => {
                "put large evidence and text into the vault and name its digest"
            }
            Self::RepeatedSigner(_) | Self::TooManySignatures => "one signature per key, 32 at most",
            Self::Entry => "the log is damaged or not Countersign's; run `countersign log fsck`",
        }
    }
}

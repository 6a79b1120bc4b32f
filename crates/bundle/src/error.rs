//! Why a bundle is refused.

use statement::json::{EncodeError, JsonError, ShapeError};
use statement::{ChangeId, Digest, KeyId, RealmId, SignatureError, StatementError, StatementId};

/// Why a bundle is refused. Nothing of it was used.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// Another file.
    #[error("the file is no bundle: it does not begin with `countersign-bundle/v1`")]
    NotABundle,
    /// The header breaks a rule.
    #[error("the bundle's header is not well formed: {reason}")]
    HeaderForm {
        /// Which.
        reason: &'static str,
    },
    /// The header is not canonical JSON.
    #[error("the bundle's header is not canonical JSON")]
    HeaderJson(#[source] JsonError),
    /// The header's members are other ones.
    #[error("the bundle's header has not the members of one")]
    HeaderShape(#[source] ShapeError),
    /// A header cannot be written.
    #[error("the bundle's header cannot be written")]
    Encode(#[source] EncodeError),
    /// Somebody else signed, or something else.
    #[error("the header's signature is not that of key `{key}`")]
    HeaderSignature {
        /// The key beside it.
        key: KeyId,
        /// What the check says.
        #[source]
        source: SignatureError,
    },
    /// The key beside the header is not the one it names.
    #[error("the header names `{named}` as sender and is signed with key `{key}`")]
    Sender {
        /// The key beside it.
        key: KeyId,
        /// The key it names.
        named: KeyId,
    },
    /// The file ends too early.
    #[error("the bundle is cut off: it ends at byte `{at}`")]
    Truncated {
        /// Where.
        at: u64,
    },
    /// The file goes on.
    #[error("the bundle goes on after its last section, from byte `{at}` on")]
    Trailing {
        /// Where.
        at: u64,
    },
    /// Bytes were changed.
    #[error("section {number} (`{kind}`) is not what was signed for: `{found}` instead of `{expected}`")]
    SectionDigest {
        /// Which section, from 0.
        number: usize,
        /// What it should hold.
        kind: &'static str,
        /// The digest that was signed for.
        expected: Digest,
        /// The digest of what is there.
        found: Digest,
    },
    /// It goes the other way.
    #[error("the bundle brings {found}, and this machine takes {wanted}")]
    Direction {
        /// What is taken here.
        wanted: &'static str,
        /// What it brings.
        found: &'static str,
    },
    /// Another realm.
    #[error("the bundle is of realm `{found}`, not of `{expected}`")]
    Realm {
        /// The realm it names.
        found: RealmId,
        /// The realm here.
        expected: RealmId,
    },
    /// Another realm of the same name.
    #[error("the bundle rests on trust root `{found}`, not on `{expected}`")]
    TrustRoot {
        /// The trust root it names.
        found: StatementId,
        /// The one pinned here.
        expected: StatementId,
    },
    /// For another machine.
    #[error("the bundle is for key `{to}`, which is not here")]
    Recipient {
        /// The receiver's key.
        to: KeyId,
    },
    /// Too late.
    #[error("the bundle expired at `{expired_ms}` (it is `{now_ms}`)")]
    Expired {
        /// From when on it may not be taken.
        expired_ms: u64,
        /// The present moment.
        now_ms: u64,
    },
    /// Taken before.
    #[error("bundle `{id}` was taken before")]
    Replayed {
        /// The bundle.
        id: Digest,
    },
    /// An older record than the one known.
    #[error("the bundle's record has `{found}` leaves, and `{known}` are known here")]
    RolledBack {
        /// How many leaves are known.
        known: u64,
        /// How many it has.
        found: u64,
    },
    /// Another history.
    #[error("the bundle's record contradicts the one known here, within the first `{size}` leaves")]
    Contradicted {
        /// How many leaves are known.
        size: u64,
    },
    /// The header names another head.
    #[error("the header names another head of the log than the record of `{size}` leaves has")]
    OtherRecord {
        /// How many leaves the record has.
        size: u64,
    },
    /// Too few cosignatures.
    #[error("`{seen}` witnesses have cosigned the record, and the trust root asks for `{needed}`")]
    Unwitnessed {
        /// How many have.
        seen: usize,
        /// How many must.
        needed: usize,
    },
    /// The sender may not send.
    #[error(
        "key `{key}` sends the bundle, and the record does not let it: automation, operator or compliance may"
    )]
    SenderRole {
        /// The sender.
        key: KeyId,
    },
    /// The examining key is none.
    #[error("key `{key}` is no examiner's in the record")]
    NoExaminer {
        /// The key.
        key: KeyId,
    },
    /// No such change, or another proposal of it.
    #[error("the record has no such proposal of change `{change}`, or another one has taken its place")]
    NoSuchProposal {
        /// The change.
        change: ChangeId,
    },
    /// A content is lacking.
    #[error("the bundle lacks content `{digest}`")]
    ContentMissing {
        /// Which.
        digest: Digest,
    },
    /// A content that nothing names.
    #[error("the bundle carries content `{digest}`, which the change does not name")]
    ContentForeign {
        /// Which.
        digest: Digest,
    },
    /// Nobody asked.
    #[error("what came answers `{id}`, which its receiver has not sent to its sender")]
    NotAsked {
        /// The request that came back.
        id: Digest,
    },
    /// About another change than was asked about.
    #[error("the findings are about change `{found}`, and `{asked}` was asked about")]
    OtherChange {
        /// What was asked about.
        asked: ChangeId,
        /// What they are about.
        found: ChangeId,
    },
    /// No statement.
    #[error("statement {number} cannot be read")]
    FindingForm {
        /// Which, from 0.
        number: usize,
        /// What is wrong with it.
        #[source]
        source: StatementError,
    },
    /// Another kind of statement.
    #[error("statement {number} is no finding")]
    NoFinding {
        /// Which, from 0.
        number: usize,
    },
    /// A finding about something else than its header says.
    #[error("finding {number} is not about the proposal of change `{change}`")]
    OtherFinding {
        /// Which, from 0.
        number: usize,
        /// What the header says.
        change: ChangeId,
    },
    /// Somebody else's statement.
    #[error("statement {number} is not signed by key `{key}` alone")]
    FindingSigner {
        /// Which, from 0.
        number: usize,
        /// The sender.
        key: KeyId,
    },
    /// It read what it was not sent.
    #[error("finding {number} rests on `{digest}`, which the request did not carry")]
    InputForeign {
        /// Which, from 0.
        number: usize,
        /// What it read.
        digest: Digest,
    },
}

impl BundleError {
    /// A stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotABundle => "CS-BUN-001",
            Self::HeaderForm { .. } | Self::HeaderJson(_) | Self::HeaderShape(_) | Self::Encode(_) => {
                "CS-BUN-002"
            }
            Self::HeaderSignature { .. } | Self::Sender { .. } => "CS-BUN-003",
            Self::Truncated { .. } => "CS-BUN-004",
            Self::Trailing { .. } => "CS-BUN-005",
            Self::SectionDigest { .. } => "CS-BUN-006",
            Self::Direction { .. } => "CS-BUN-007",
            Self::Realm { .. } => "CS-BUN-008",
            Self::TrustRoot { .. } => "CS-BUN-009",
            Self::Recipient { .. } => "CS-BUN-010",
            Self::Expired { .. } => "CS-BUN-011",
            Self::Replayed { .. } => "CS-BUN-012",
            Self::RolledBack { .. } => "CS-BUN-013",
            Self::Contradicted { .. } => "CS-BUN-014",
            Self::OtherRecord { .. } => "CS-BUN-015",
            Self::Unwitnessed { .. } => "CS-BUN-016",
            Self::SenderRole { .. } => "CS-BUN-017",
            Self::NoExaminer { .. } => "CS-BUN-018",
            Self::NoSuchProposal { .. } => "CS-BUN-019",
            Self::ContentMissing { .. } => "CS-BUN-020",
            Self::ContentForeign { .. } => "CS-BUN-021",
            Self::NotAsked { .. } => "CS-BUN-022",
            Self::OtherChange { .. } => "CS-BUN-023",
            Self::FindingForm { .. } => "CS-BUN-024",
            Self::NoFinding { .. } => "CS-BUN-025",
            Self::OtherFinding { .. } => "CS-BUN-026",
            Self::FindingSigner { .. } => "CS-BUN-027",
            Self::InputForeign { .. } => "CS-BUN-028",
        }
    }

    /// What to do about it.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::NotABundle | Self::HeaderForm { .. } | Self::HeaderJson(_) | Self::HeaderShape(_) => {
                "check that this is the file that `countersign bundle out` wrote"
            }
            Self::Encode(_) => "the change has more or larger contents than a bundle can name",
            Self::HeaderSignature { .. }
            | Self::Sender { .. }
            | Self::Truncated { .. }
            | Self::Trailing { .. }
            | Self::SectionDigest { .. } => {
                "the medium is damaged or somebody altered the file: copy it again, and compare its SHA-256"
            }
            Self::Direction { .. } => {
                "give findings to the realm and changes to the machine without a network"
            }
            Self::Realm { .. } | Self::TrustRoot { .. } => {
                "this machine was set up for another realm; `countersign bundle station` makes one for this"
            }
            Self::Recipient { .. } => {
                "take it to the machine that it is for, or make one with --to this machine's key"
            }
            Self::Expired { .. } => "make a new bundle; if the date is wrong, set this machine's clock",
            Self::Replayed { .. } => "make a new bundle if the change is to be examined again",
            Self::RolledBack { .. } => "make a new bundle from the log as it is now",
            Self::Contradicted { .. } => {
                "keep both records as evidence, take nothing more, and find out which copy of the log is the true one"
            }
            Self::OtherRecord { .. } | Self::NotAsked { .. } | Self::OtherChange { .. } => {
                "the bundle was put together from several: find out by whom"
            }
            Self::Unwitnessed { .. } => "have the log's head cosigned, and make a new bundle",
            Self::SenderRole { .. } => {
                "send it with the automation key, an operator's or a compliance officer's"
            }
            Self::NoExaminer { .. } => {
                "enrol the key: `countersign key enrol NAME --public FILE --role examiner`"
            }
            Self::NoSuchProposal { .. } => "make a new bundle of the change as it is proposed now",
            Self::ContentMissing { .. } | Self::ContentForeign { .. } => {
                "make a new bundle where the vault holds everything that the change names"
            }
            Self::FindingForm { .. }
            | Self::NoFinding { .. }
            | Self::OtherFinding { .. }
            | Self::FindingSigner { .. }
            | Self::InputForeign { .. } => "do not trust the machine that made it until you know why",
        }
    }
}
